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

/* --- serving --- */

/* Function, alias and version that a qualifier means; false when any of them is not there. */
static bool find_served(struct world *w, const char *function, const char *qualifier, struct lambda_target *ret)
{
	struct function *f = model_function(w, function);
	uint64_t number = VERSION_LATEST;
	if (!f)
		return false;
	model_settle(w, f);
	struct lambda_target t = {.function = f};
	if (qualifier && !model_parse_version(qualifier, &number)) {
		t.alias = model_alias(f, qualifier);
		number = t.alias ? t.alias->now.version : UINT64_MAX;
	}
	t.version = model_version(f, number);
	*ret = t;
	return t.version;
}

static const char *failure_payload(struct arena *a, const char *request_id)
{
	json_t *body =
	    json_pack("{s:s, s:s, s:s, s:[s]}", "errorMessage", "Handler fails", "errorType", "Exception", "requestId",
		      request_id, "stackTrace",
		      "  File \"/var/task/index.py\", line 2, in handler\n    raise Exception(\"Handler fails\")\n");
	char *text = json_dumps(body, JSON_COMPACT);
	require(text);
	const char *copy = arena_strdup(a, text);
	free(text);
	json_decref(body);
	return copy;
}

void lambda_serve(struct world *w, struct arena *a, const char *function, const char *qualifier, const uint64_t *user,
		  const char *request_id, struct lambda_served *ret)
{
	struct lambda_target t;
	struct request_result r;
	*ret = (struct lambda_served){.end = LAMBDA_ABSENT};
	if (!find_served(w, function, qualifier, &t))
		return;
	traffic_invoke(w, t.function, t.alias, t.version, user, &r);
	if (r.refused || r.throttled) {
		ret->end = r.refused ? LAMBDA_NOT_READY : LAMBDA_THROTTLED;
		ret->version = r.version->number;
		return;
	}
	const struct version *v = r.version;
	const struct behaviour *b = v->before ? &v->before->behaviour : &v->behaviour;
	const char *payload = r.failed ? failure_payload(a, request_id) : arena_strdup(a, b->body);
	*ret = (struct lambda_served){.end = r.failed ? LAMBDA_FAILED : LAMBDA_ANSWERED,
				      .version = v->number,
				      .payload = payload,
				      .payload_len = strlen(payload),
				      .duration_ms = r.duration_ms};
}

/* --- Invoke --- */

static void add_log(struct call *c, const char *version, const struct lambda_served *s)
{
	char text[512], encoded[1024];
	int len =
	    snprintf(text, sizeof(text),
		     "START RequestId: %s Version: %s\n%sEND RequestId: %s\nREPORT RequestId: %s\tDuration: %.2f ms\t"
		     "Billed Duration: %.0f ms\tMemory Size: 128 MB\tMax Memory Used: 36 MB\n",
		     c->request_id, version, s->end == LAMBDA_FAILED ? "[ERROR] Exception: Handler fails\n" : "",
		     c->request_id, c->request_id, s->duration_ms, ceil(s->duration_ms));
	require(len > 0 && (size_t)len < sizeof(text));
	EVP_EncodeBlock((unsigned char *)encoded, (const unsigned char *)text, len);
	call_header_add(c, "X-Amz-Log-Result", encoded);
}

static void answer_served(struct call *c, const struct lambda_served *s)
{
	char version[24];
	version_format(s->version, version);
	call_header_add(c, "X-Amz-Executed-Version", version);
	const char *log = call_header(c, "x-amz-log-type");
	if (log && strcmp(log, "Tail") == 0)
		add_log(c, version, s);
	if (s->end == LAMBDA_FAILED)
		call_header_add(c, "X-Amz-Function-Error", "Unhandled");
	call_answer_bytes(c, 200, "application/json", s->payload, s->payload_len);
	if (c->w->invoke_delay)
		c->reply->delay_ms = llround(s->duration_ms);
}

static void fail_not_served(struct call *c, struct function *f, const struct lambda_served *s)
{
	static const struct call_error throttled = {.code = "TooManyRequestsException",
						    .status = 429,
						    .reason = "ReservedFunctionConcurrentInvocationLimitExceeded"};
	if (s->end == LAMBDA_THROTTLED) {
		call_fail(c, &throttled, "Rate Exceeded.");
		return;
	}
	const struct version *v = model_version(f, s->version);
	call_fail(c, &lambda_error_conflict,
		  "The operation cannot be performed at this time. The function is currently in the following state: "
		  "%s",
		  v->state == STATE_PENDING ? "Pending" : "Failed");
}

static bool read_type(struct call *c, const char **ret)
{
	const char *type = call_header(c, "x-amz-invocation-type");
	if (type && strcmp(type, "Event") != 0 && strcmp(type, "DryRun") != 0 && strcmp(type, "RequestResponse") != 0) {
		call_fail(
		    c, &lambda_error_validation,
		    "1 validation error detected: Value '%s' at 'invocationType' failed to satisfy constraint: Member "
		    "must satisfy enum value set: [Event, RequestResponse, DryRun]",
		    type);
		return false;
	}
	*ret = type ? type : "RequestResponse";
	return true;
}

static bool size_ok(struct call *c, const char *type)
{
	static const struct call_error too_large = {.code = "RequestTooLargeException", .status = 413};
	size_t most = strcmp(type, "Event") == 0 ? 1024 * 1024 : 6 * 1024 * 1024;
	if (c->request->body_len <= most)
		return true;
	call_fail(c, &too_large, "%zu byte payload is too large for the %s invocation type (limit %zu bytes)",
		  c->request->body_len, type, most);
	return false;
}

void lambda_invoke(struct call *c)
{
	struct lambda_target t;
	struct lambda_served s;
	const char *type;
	if (!read_type(c, &type) || !size_ok(c, type) || !lambda_find(c, &t) || !payload_ok(c))
		return;
	if (strcmp(type, "DryRun") == 0) {
		call_answer_bytes(c, 204, NULL, "", 0);
		return;
	}
	lambda_serve(c->w, c->arena, t.function->name, t.qualifier, NULL, c->request_id, &s);
	if (s.end != LAMBDA_ANSWERED && s.end != LAMBDA_FAILED)
		fail_not_served(c, t.function, &s);
	/* What an asynchronous call comes to is for the metrics alone. */
	else if (strcmp(type, "Event") == 0)
		call_answer_bytes(c, 202, "application/json", "", 0);
	else
		answer_served(c, &s);
}
