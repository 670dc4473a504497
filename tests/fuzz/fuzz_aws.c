/*
 * Every answer that lib/aws reads. The first byte chooses whose answer it is taken for, the second its HTTP status; the
 * rest is the body.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "aws/apigateway.h"
#include "aws/cloudwatch.h"
#include "aws/cloudwatch_verbatim.h"
#include "aws/lambda_chain.h"
#include "base/text.h"
#include "fuzz.h"

#define QUERIES 8

static void take_datapoint(void *ctx, size_t query, int64_t unix_ms, double value)
{
	(void)ctx;
	require(query < QUERIES && unix_ms >= 0 && value >= 0 && value <= 9007199254740992.0);
}

static void take_status(void *ctx, size_t query, enum cloudwatch_status status)
{
	(void)ctx;
	require(query < QUERIES && status <= CLOUDWATCH_FORBIDDEN);
}

static void take_alarm(void *ctx, const char *name, enum alarm_state state, const char *reason)
{
	(void)ctx;
	require(*name && strlen(reason) < LIMIT_REASON && state <= ALARM_ALARM);
}

static void check_error(int result, const struct http_response *r, const struct aws_error *e)
{
	char text[512];
	if (!result)
		return;
	require(e->class != AWS_OK && (r->status < 200 || r->status > 299 || e->class == AWS_MALFORMED));
	require(aws_error_outcome(e) != CALL_OK);
	aws_error_format(e, "Operation", text, sizeof(text));
	fuzz_check_sentence(text, sizeof(text));
	fuzz_check_printable(e->message, sizeof(e->message));
	fuzz_check_printable(e->code, sizeof(e->code));
}

static void fuzz_alias(const struct http_response *r)
{
	struct alias_view v;
	struct aws_error e;
	int result = lambda_parse_alias(r, &v, &e);
	check_error(result, r, &e);
	if (!result)
		require(v.target.weight_bp <= WEIGHT_BP_MAX && *v.revision &&
			(v.target.weight_bp == 0) == (v.target.extra == 0));
}

static void fuzz_answers(unsigned which, const struct http_response *r)
{
	struct lambda_function f;
	struct lambda_versions l;
	struct aws_error e;
	struct buf token cleanup(buf_deinit) = BUF_INIT(256);
	const struct cloudwatch_sink sink = {NULL, take_datapoint, take_status, NULL};
	switch (which) {
	case 0:
		fuzz_alias(r);
		break;
	case 1:
		check_error(lambda_parse_get_function(r, &f, &e), r, &e);
		break;
	case 2:
		check_error(lambda_parse_list_versions(r, &l, &e), r, &e);
		break;
	case 3:
		check_error(cloudwatch_parse_get_metric_data(r, QUERIES, &sink, &token, &e), r, &e);
		break;
	default:
		check_error(cloudwatch_parse_describe_alarms(r, take_alarm, NULL, &token, &e), r, &e);
	}
}

static void fuzz_lambda_chain(unsigned which, const struct http_response *r)
{
	struct chain_view v;
	struct view_version version;
	struct view_policy policy = {0};
	struct lambda_invoked invoked;
	struct aws_error e;
	char revision[REVISION_SIZE];
	char marker[64];
	size_t bytes;
	chain_view_init(&v);
	switch (which) {
	case 0:
		check_error(lambda_parse_configuration(r, &version, &e), r, &e);
		break;
	case 1:
		check_error(lambda_parse_function(r, &v, revision, &e), r, &e);
		require(!v.function_found || (strlen(v.account_id) == 12 && *v.partition && *v.region));
		break;
	case 2:
		check_error(lambda_parse_versions(r, &v, marker, sizeof(marker), &e), r, &e);
		for (size_t i = 0; i < v.n_versions; i++)
			require(v.versions[i].number > 0 &&
				(i == 0 || v.versions[i - 1].number <= v.versions[i].number));
		break;
	case 3:
		check_error(lambda_parse_aliases(r, &v, marker, sizeof(marker), &e), r, &e);
		for (size_t i = 0; i < v.n_aliases; i++)
			require(*v.aliases[i].name && strlen(v.aliases[i].name) <= LIMIT_ALIAS_NAME);
		break;
	case 4:
		check_error(lambda_parse_policy(r, "prod", v.arena, &policy, &e), r, &e);
		for (size_t i = 0; i < policy.n_statements; i++)
			require(policy.statements[i].sid);
		break;
	case 5:
		check_error(lambda_parse_add_permission(r, &bytes, &e), r, &e);
		break;
	case 6:
		check_error(lambda_parse_concurrencies(r, &v, marker, sizeof(marker), &e), r, &e);
		require(v.n_concurrency == 0 || v.concurrency_read);
		break;
	default:
		check_error(lambda_parse_invoke(r, &invoked, &e), r, &e);
	}
	chain_view_deinit(&v);
}

/* Two times the same page, as the second one meets what the first has left. */
static void fuzz_apigateway_list(const struct http_response *r, enum api_type type, enum apigateway_list what)
{
	struct chain_view v;
	struct aws_error e;
	char position[64];
	chain_view_init(&v);
	for (int i = 0; i < 2; i++)
		check_error(apigateway_parse_list(r, type, what, "hello", &v, position, sizeof(position), &e), r, &e);
	for (size_t i = 0; i < v.api.n_methods; i++) {
		require(v.api.methods[i].verb && v.api.methods[i].path);
		require(what == APIGATEWAY_RESOURCES ? !!v.api.methods[i].resource_id : !!v.api.methods[i].route_id);
	}
	for (size_t i = 0; i < v.api.n_stages; i++)
		require(v.api.stages[i].name);
	for (size_t i = 0; i < v.api.n_deployments; i++)
		require(v.api.deployments[i].id && v.api.deployments[i].description);
	require(v.api.found == (v.api.n_same_name > 0));
	chain_view_deinit(&v);
}

static void fuzz_apigateway(unsigned which, const struct http_response *r)
{
	struct chain_view v;
	struct aws_error e;
	char id[API_ID_SIZE];
	char root_id[API_ID_SIZE];
	enum api_type type = which % 2 ? API_HTTP : API_REST;
	which /= 2;
	if (which <= APIGATEWAY_STAGES) {
		fuzz_apigateway_list(r, type, which);
		return;
	}
	const struct view_method method = {.resource_id = "r1", .path = "/", .verb = "GET"};
	chain_view_init(&v);
	v.api.methods = &method;
	v.api.n_methods = 1;
	switch (which - APIGATEWAY_STAGES - 1) {
	case 0:
		check_error(apigateway_parse_api(r, type, &v, &e), r, &e);
		break;
	case 1:
		check_error(apigateway_parse_integration(r, "r1", "GET", &v, &e), r, &e);
		break;
	case 2:
		check_error(apigateway_parse_deployment(r, "d1", &v, &e), r, &e);
		break;
	default:
		check_error(apigateway_parse_created(r, which % CHANGE_ROLLOUT, type, id, root_id, &e), r, &e);
	}
	chain_view_deinit(&v);
}

/* The input as the value of every header that is read, and as the body. */
static void fuzz_error(int status, const char *text)
{
	struct http_response r = {.status = status, .body = text, .body_len = strlen(text)};
	for (const char *const *name = http_response_headers_kept; *name; name++)
		r.headers[r.n_headers++] = (struct http_header){.name = *name, .value = text};
	struct aws_error e;
	aws_error_parse(&r, &e);
	fuzz_check_printable(e.code, sizeof(e.code));
	fuzz_check_printable(e.message, sizeof(e.message));
	(void)aws_error_check_clock(&e, INT64_C(1795385405000));
	require(e.retry_after_ms >= 0);
}

/* Queries of a plan: refused with a clause, or JSON with as many queries, each under its new Id, within the bounds. */
static void fuzz_verbatim(const char *text)
{
	struct cloudwatch_verbatim *v = NULL;
	struct buf out cleanup(buf_deinit) = BUF_INIT(LIMIT_AWS_REQUEST_BYTES);
	char error[256] = "";
	if (cloudwatch_verbatim_new(text, "m", &v, error, sizeof(error)) != 0) {
		fuzz_check_sentence(error, sizeof(error));
		return;
	}
	buf_add_char(&out, '[');
	cloudwatch_verbatim_add(v, 480, &out);
	buf_add_char(&out, ']');
	require(out.len <= cloudwatch_verbatim_bytes(v) + 2);
	json_t *list = json_loads(buf_text(&out), JSON_REJECT_DUPLICATES, NULL);
	require(json_array_size(list) == cloudwatch_verbatim_count(v));
	for (size_t i = 0; i < json_array_size(list); i++) {
		char id[32];
		const json_t *query = json_array_get(list, i);
		(void)snprintf(id, sizeof(id), "q%zu", 480 + i);
		require(strcmp(json_string_value(json_object_get(query, "Id")), id) == 0);
		require(json_is_true(json_object_get(query, "ReturnData")) == (i == cloudwatch_verbatim_returns(v)));
	}
	json_decref(list);
	cloudwatch_verbatim_free(v);
}

void fuzz_one(const uint8_t *data, size_t size)
{
	static const int statuses[] = {200, 201, 204, 302, 400, 403, 404, 409, 412, 429, 500, 503};
	if (size < 2)
		return;
	int status = statuses[data[1] % array_len(statuses)];
	size_t len = size - 2;
	cleanup(mem_free_p) char *text = fuzz_text(data + 2, len);
	const struct http_response r = {.status = status, .body = text, .body_len = len};
	unsigned which = data[0] % 64;
	if (which < 5)
		fuzz_answers(which, &r);
	else if (which == 5)
		fuzz_error(status, text);
	else if (which < 14)
		fuzz_lambda_chain(which - 6, &r);
	else if (which == 63)
		fuzz_verbatim(text);
	else
		fuzz_apigateway(which - 14, &r);
}
