/* Invoke: the data plane. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/error.h"
#include "base/text.h"
#include "sim/lambda.h"
#include "sim/traffic.h"

static bool payload_ok(struct call *c)
{
	static const struct call_error content = {.code = "InvalidRequestContentException", .status = 400};
	if (!c->request->body_len)
		return true;
	json_error_t error;
	json_t *payload = json_loadb(c->request->body, c->request->body_len, JSON_DECODE_ANY, &error);
	if (!payload) {
		call_fail(
		    c, &content,
		    "Could not parse request body into json: Could not parse payload into json: %s; line: %d, column: "
		    "%d",
		    error.text, error.line, error.column);
		return false;
	}
	json_decref(payload);
	return true;
}

static void add_log(struct call *c, const char *version, const struct request_result *r)
{
	char text[512], encoded[1024];
	int len =
	    snprintf(text, sizeof(text),
		     "START RequestId: %s Version: %s\n%sEND RequestId: %s\nREPORT RequestId: %s\tDuration: %.2f ms\t"
		     "Billed Duration: %.0f ms\tMemory Size: 128 MB\tMax Memory Used: 36 MB\n",
		     c->request_id, version, r->failed ? "[ERROR] Exception: Handler fails\n" : "", c->request_id,
		     c->request_id, r->duration_ms, ceil(r->duration_ms));
	require(len > 0 && (size_t)len < sizeof(text));
	EVP_EncodeBlock((unsigned char *)encoded, (const unsigned char *)text, len);
	call_header_add(c, "X-Amz-Log-Result", encoded);
}

static void answer_result(struct call *c, const struct request_result *r)
{
	char version[24];
	version_format(r->version->number, version);
	call_header_add(c, "X-Amz-Executed-Version", version);
	const char *log = call_header(c, "x-amz-log-type");
	if (log && strcmp(log, "Tail") == 0)
		add_log(c, version, r);
	if (r->failed) {
		call_header_add(c, "X-Amz-Function-Error", "Unhandled");
		call_answer_json(
		    c, 200,
		    json_pack(
			"{s:s, s:s, s:s, s:[s]}", "errorMessage", "Handler fails", "errorType", "Exception",
			"requestId", c->request_id, "stackTrace",
			"  File \"/var/task/index.py\", line 2, in handler\n    raise Exception(\"Handler fails\")\n"));
	} else {
		const char *body = r->version->behaviour.body;
		call_answer_bytes(c, 200, "application/json", body, strlen(body));
	}
	if (c->w->invoke_delay)
		c->reply->delay_ms = llround(r->duration_ms);
}

void lambda_invoke(struct call *c)
{
	struct lambda_target t;
	const char *type = call_header(c, "x-amz-invocation-type");
	if (!type)
		type = "RequestResponse";
	bool event = strcmp(type, "Event") == 0, dry = strcmp(type, "DryRun") == 0;
	if (!event && !dry && strcmp(type, "RequestResponse") != 0) {
		call_fail(
		    c, &lambda_error_validation,
		    "1 validation error detected: Value '%s' at 'invocationType' failed to satisfy constraint: Member "
		    "must satisfy enum value set: [Event, RequestResponse, DryRun]",
		    type);
		return;
	}
	if (!lambda_find(c, &t) || !payload_ok(c))
		return;
	if (dry) {
		call_answer_bytes(c, 204, NULL, "", 0);
		return;
	}
	struct request_result r;
	traffic_invoke(c->w, t.function, t.alias, t.version, &r);
	if (r.throttled) {
		static const struct call_error throttled = {.code = "TooManyRequestsException",
							    .status = 429,
							    .reason =
								"ReservedFunctionConcurrentInvocationLimitExceeded"};
		call_fail(c, &throttled, "Rate Exceeded.");
		return;
	}
	/* What an asynchronous call comes to is for the metrics alone. */
	if (event)
		call_answer_bytes(c, 202, "application/json", "", 0);
	else
		answer_result(c, &r);
}
