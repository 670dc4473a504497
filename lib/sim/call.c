#include "sim/call.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/text.h"

#define CORAL_SERVICE "com.amazon.coral.service"

const struct call_error call_error_denied = {.code = "AccessDeniedException",
					     .query_code = "AccessDenied",
					     .space = CORAL_SERVICE,
					     .status = 403,
					     .capital = true,
					     .no_type = true};
const struct call_error call_error_unknown_operation = {.code = "UnknownOperationException",
							.query_code = "InvalidAction",
							.space = CORAL_SERVICE,
							.status = 404,
							.no_type = true};

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

char *call_decode(struct call *c, const char *text, size_t len, bool plus)
{
	char *out = arena_alloc(c->arena, len + 1);
	size_t n = 0;
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '+' && plus) {
			out[n++] = ' ';
		} else if (text[i] != '%') {
			out[n++] = text[i];
		} else {
			int high = i + 2 < len ? hex_digit(text[i + 1]) : -1;
			int low = i + 2 < len ? hex_digit(text[i + 2]) : -1;
			if (high < 0 || low < 0)
				return NULL;
			out[n++] = (char)(high << 4 | low);
			i += 2;
		}
	}
	out[n] = '\0';
	return text_is_utf8(out, n) ? out : NULL;
}

const char *call_query(struct call *c, const char *name)
{
	const char *at = c->request->query ? c->request->query : "";
	size_t name_len = strlen(name);
	while (*at) {
		size_t len = strcspn(at, "&");
		if (len > name_len && strncmp(at, name, name_len) == 0 && at[name_len] == '=')
			return call_decode(c, at + name_len + 1, len - name_len - 1, true);
		at += len + (at[len] == '&');
	}
	return NULL;
}

const char *call_header(const struct call *c, const char *name)
{
	return http_header_find(c->request->headers, c->request->n_headers, name);
}

void call_header_add(struct call *c, const char *name, const char *value)
{
	struct http_response *r = &c->reply->response;
	require(r->n_headers < HTTP_HEADERS_MAX);
	r->headers[r->n_headers++] =
	    (struct http_header){.name = arena_strdup(c->arena, name), .value = arena_strdup(c->arena, value)};
}

void call_answer_bytes(struct call *c, int status, const char *content_type, const char *body, size_t len)
{
	struct http_response *r = &c->reply->response;
	r->status = status;
	r->body = arena_strndup(c->arena, body, len);
	r->body_len = len;
	if (content_type)
		call_header_add(c, "Content-Type", content_type);
}

void call_answer_json(struct call *c, int status, json_t *body)
{
	/*
	 * Lambda's numbers are weights, and 15 digits give them back as they were sent: 0.1, and not
	 * 0.10000000000000001. CloudWatch's are measured: 17 digits lose nothing.
	 */
	bool weights = c->protocol == PROTOCOL_REST_JSON;
	char *text = json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(weights ? 15 : 17));
	require(text);
	json_decref(body);
	call_answer_bytes(c, status, c->protocol == PROTOCOL_JSON ? "application/x-amz-json-1.0" : "application/json",
			  text, strlen(text));
	free(text);
}

static void fail_rest(struct call *c, const struct call_error *e, const char *message)
{
	json_t *body = json_object();
	if (e->reason)
		json_object_set_new(body, "Reason", json_string(e->reason));
	if (!e->no_type)
		json_object_set_new(body, "Type", json_string(e->status >= 500 ? "Service" : "User"));
	/* Lambda writes either, depending on the error. */
	json_object_set_new(body, e->capital ? "Message" : "message", message ? json_string(message) : json_null());
	call_header_add(c, "x-amzn-ErrorType", e->code);
	call_answer_json(c, e->status, body);
}

static void fail_json(struct call *c, const struct call_error *e, const char *message)
{
	const char *space = e->space ? e->space : "com.amazonaws.cloudwatch.v2010_08_01";
	json_t *body = json_object();
	json_object_set_new(body, "__type", json_string(arena_printf(c->arena, "%s#%s", space, e->code)));
	if (message)
		json_object_set_new(body, "message", json_string(message));
	int status = e->status >= 500 ? e->status : 400;
	if (c->query_mode) {
		/* For SDKs that moved from the query protocol: the code and the status of old. */
		status = e->status;
		call_header_add(c, "x-amzn-query-error",
				arena_printf(c->arena, "%s;%s", e->query_code ? e->query_code : e->code,
					     e->status >= 500 ? "Receiver" : "Sender"));
	}
	call_answer_json(c, status, body);
}

static void add_xml_text(struct buf *out, const char *s)
{
	for (; *s; s++) {
		if (*s == '<')
			buf_add_text(out, "&lt;");
		else if (*s == '>')
			buf_add_text(out, "&gt;");
		else if (*s == '&')
			buf_add_text(out, "&amp;");
		else
			buf_add_char(out, *s);
	}
}

static void fail_query(struct call *c, const struct call_error *e, const char *message)
{
	const char *space = c->service == SERVICE_STS ? "https://sts.amazonaws.com/doc/2011-06-15/"
						      : "http://monitoring.amazonaws.com/doc/2010-08-01/";
	struct buf out cleanup(buf_deinit) = BUF_INIT(64 * 1024);
	buf_addf(&out, "<ErrorResponse xmlns=\"%s\">\n  <Error>\n    <Type>%s</Type>\n    <Code>%s</Code>\n", space,
		 e->status >= 500 ? "Receiver" : "Sender", e->query_code ? e->query_code : e->code);
	if (message) {
		buf_add_text(&out, "    <Message>");
		add_xml_text(&out, message);
		buf_add_text(&out, "</Message>\n");
	}
	buf_addf(&out, "  </Error>\n  <RequestId>%s</RequestId>\n</ErrorResponse>\n", c->request_id);
	call_answer_bytes(c, e->status, "text/xml", out.data, out.len);
}

void call_fail(struct call *c, const struct call_error *e, const char *fmt, ...)
{
	char *message = NULL;
	if (fmt) {
		va_list args;
		va_start(args, fmt);
		char raw[2048];
		(void)vsnprintf(raw, sizeof(raw), fmt, args);
		va_end(args);
		/* What a client sent may be part of it, and may have been cut inside a character. */
		message = arena_alloc(c->arena, sizeof(raw));
		text_copy_printable(message, sizeof(raw), raw);
	}
	switch (c->protocol) {
	case PROTOCOL_REST_JSON:
		fail_rest(c, e, message);
		break;
	case PROTOCOL_JSON:
		fail_json(c, e, message);
		break;
	case PROTOCOL_QUERY:
		fail_query(c, e, message);
		break;
	}
}

void call_fail_internal(struct call *c)
{
	static const struct call_error lambda = {.code = "ServiceException", .status = 500};
	static const struct call_error gateway = {.code = "InternalFailure", .status = 500, .no_type = true};
	static const struct call_error other = {
	    .code = "InternalServiceFault", .query_code = "InternalServiceError", .status = 500};
	if (c->service == SERVICE_APIGATEWAY) {
		call_fail(c, &gateway, "Internal server error");
		return;
	}
	call_fail(c, c->service == SERVICE_LAMBDA ? &lambda : &other, "%s", "An internal error occurred.");
}

void call_fail_unavailable(struct call *c)
{
	static const struct call_error unavailable = {.code = "ServiceUnavailableException",
						      .query_code = "ServiceUnavailable",
						      .space = CORAL_SERVICE,
						      .status = 503,
						      .no_type = true};
	call_fail(c, &unavailable, "%s", "Service is unavailable. Please retry.");
}

void call_fail_throttled(struct call *c)
{
	static const struct call_error lambda = {
	    .code = "TooManyRequestsException", .status = 429, .reason = "CallerRateLimitExceeded"};
	static const struct call_error other = {.code = "ThrottlingException",
						.query_code = "Throttling",
						.space = "com.amazon.coral.availability",
						.status = 400};
	static const struct call_error gateway = {.code = "TooManyRequestsException", .status = 429, .no_type = true};
	if (c->service == SERVICE_LAMBDA || c->service == SERVICE_APIGATEWAY)
		call_header_add(c, "Retry-After", "1");
	if (c->service == SERVICE_APIGATEWAY) {
		call_fail(c, &gateway, "Too Many Requests");
		return;
	}
	call_fail(c, c->service == SERVICE_LAMBDA ? &lambda : &other, "%s",
		  c->service == SERVICE_LAMBDA ? "Rate Exceeded." : "Rate exceeded");
}
