/*
 * Requests to rollout-localaws, and its answers through the product's own parsers. The first line is
 * "METHOD PATH[?QUERY]" or, for CloudWatch, "OPERATION"; then the body. Blank lines part several requests.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "aws/apigateway.h"
#include "aws/cloudwatch.h"
#include "aws/lambda.h"
#include "aws/lambda_chain.h"
#include "base/text.h"
#include "fuzz.h"
#include "sim/world.h"

#define NOW_MS	     INT64_C(1795385400000)
#define REQUESTS_MAX 6

static const char world_text[] =
    "functions:\n"
    "  hello:\n"
    "    versions: {1: {response: one}, 2: {response: two, error_rate: 50%}}\n"
    "    aliases: {prod: {version: 1, weights: {2: 10%}}, test: {version: 2}}\n"
    "traffic: [{function: hello, alias: prod, rps: 0.2}]\n"
    "apis: {hello-api: {id: abc123, function: hello, routes: [GET /hello], stages: {prod: {alias: prod}}}}\n"
    "alarms: [{name: hello-5xx, state: OK}]\n";

static void ignore_datapoint(void *ctx, size_t query, int64_t unix_ms, double value)
{
	(void)ctx, (void)query, (void)unix_ms, (void)value;
}

static void ignore_status(void *ctx, size_t query, enum cloudwatch_status status)
{
	(void)ctx, (void)query, (void)status;
}

/* Whoever asked the wrong question gets the wrong answer; no parser may stumble over it. */
static void parse_all(const struct http_response *r)
{
	const struct cloudwatch_sink sink = {NULL, ignore_datapoint, ignore_status, NULL};
	struct buf token cleanup(buf_deinit) = BUF_INIT(4096);
	struct alias_view alias;
	struct chain_view v;
	struct aws_error e;
	char marker[2048];
	chain_view_init(&v);
	(void)!lambda_parse_alias(r, &alias, &e);
	(void)!lambda_parse_versions(r, &v, marker, sizeof(marker), &e);
	(void)!lambda_parse_aliases(r, &v, marker, sizeof(marker), &e);
	(void)!cloudwatch_parse_get_metric_data(r, 1, &sink, &token, &e);
	for (enum apigateway_list what = APIGATEWAY_APIS; what <= APIGATEWAY_STAGES; what++)
		(void)!apigateway_parse_list(r, API_REST, what, "hello-api", &v, marker, sizeof(marker), &e);
	chain_view_deinit(&v);
}

static void check_reply(const struct world_reply *reply)
{
	const struct http_response *r = &reply->response;
	require(reply->fate <= WORLD_RESET && reply->delay_ms >= 0);
	require(r->status == 0 || (r->status >= 100 && r->status < 600));
	require(r->n_headers <= HTTP_HEADERS_MAX && (r->body || r->body_len == 0));
	for (size_t i = 0; i < r->n_headers; i++) /* no way to smuggle a header in */
		require(!strpbrk(r->headers[i].name, "\r\n: ") && !strpbrk(r->headers[i].value, "\r\n"));
	if (r->status >= 200 && r->body)
		parse_all(r);
}

static void ask(struct world *w, char *line, const char *body, size_t len, struct instant now)
{
	char target[128];
	struct http_request r = {.method = "POST",
				 .scheme = "http",
				 .host = "localhost",
				 .path = "/",
				 .query = "",
				 .body = body,
				 .body_len = len};
	char *path = strchr(line, ' ');
	http_request_add_header(&r, "Host", r.host);
	if (path) {
		*path++ = '\0';
		r.method = line;
		r.path = path;
		char *query = strchr(path, '?');
		if (query) {
			*query = '\0';
			r.query = query + 1;
		}
		/* The HTTP server lets no other path through. */
		if (path[0] != '/')
			return;
	} else {
		(void)snprintf(target, sizeof(target), "GraniteServiceVersion20100801.%s", line);
		http_request_add_header(&r, "X-Amz-Target", target);
		http_request_add_header(&r, "Content-Type", "application/x-amz-json-1.0");
	}
	struct world_reply reply = {.arena = NULL};
	world_handle(w, &r, now, &reply);
	check_reply(&reply);
	world_reply_deinit(&reply);
}

void fuzz_one(const uint8_t *data, size_t size)
{
	struct instant now = {.unix_ms = NOW_MS, .boot_ms = 1000};
	cleanup(diags_deinit) struct diags d = {0};
	cleanup(world_free_p) struct world *w = world_new(7);
	world_require_signatures(w, false);
	world_serve_admin(w, true);
	int rc = world_load(w, world_text, strlen(world_text), now, &d);
	require(rc == 0);
	cleanup(mem_free_p) char *text = fuzz_text(data, size);
	char *rest = text;
	for (size_t i = 0; i < REQUESTS_MAX && *rest; i++) {
		char *end = strstr(rest, "\n\n"), *next = end ? end + 2 : rest + strlen(rest);
		if (end)
			*end = '\0';
		char *line = fuzz_line(&rest);
		ask(w, line, rest, strlen(rest), now);
		rest = next;
		now.unix_ms += 61000;
		now.boot_ms += 61000;
	}
}
