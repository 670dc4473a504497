/*
 * Everything that lib/aws reads from outside: answers, credentials files, endpoints, the Authorization header.
 * The first byte chooses what the rest is taken for, the second the HTTP status of an answer.
 */
#include <stdint.h>
#include <string.h>

#include "aws/cloudwatch.h"
#include "aws/credentials.h"
#include "aws/lambda.h"
#include "base/error.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
	require(!strchr(text, '\n'));
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
	const struct cloudwatch_sink sink = {NULL, take_datapoint, take_status};
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

/* The input as the value of every header that is read, and as the body. */
static void fuzz_error(int status, const char *text)
{
	struct http_response r = {.status = status, .body = text, .body_len = strlen(text)};
	for (const char *const *name = http_response_headers_kept; *name; name++)
		r.headers[r.n_headers++] = (struct http_header){.name = *name, .value = text};
	struct aws_error e;
	aws_error_parse(&r, &e);
	(void)aws_error_check_clock(&e, INT64_C(1795385405000));
	require(e.retry_after_ms >= 0);
}

static void fuzz_credentials(const char *text, size_t len)
{
	struct aws_credentials keys = {0};
	char error[512] = "";
	int result = credentials_from_file_text(text, len, "default", &keys, error, sizeof(error));
	require((result == CREDENTIALS_FOUND) == (keys.access_key_id != NULL));
	require((result == CREDENTIALS_BROKEN) == (*error != '\0'));
	aws_credentials_deinit(&keys);
}

static const char *lookup_url(void *ctx, const char *name)
{
	return strcmp(name, "AWS_ENDPOINT_URL") == 0 ? ctx : NULL;
}

static void fuzz_endpoint(char *text)
{
	struct aws_endpoint e;
	char error[256] = "";
	if (endpoint_resolve(lookup_url, text, AWS_LAMBDA, "us-east-1", &e, error, sizeof(error)))
		require(*error);
	else
		require(*e.host && strncmp(e.scheme, "http", 4) == 0 && !strpbrk(e.host, "/?#@ "));
}

static const char *secret_of(void *ctx, const char *key_id, const char **ret_token)
{
	(void)ctx;
	(void)ret_token;
	return *key_id == 'A' ? "secret" : NULL;
}

/* Path, query, Authorization and date, by line. */
static void fuzz_verify(char *text)
{
	static struct sigv4_signer *signer;
	if (!signer)
		signer = sigv4_signer_new();
	char *fields[4] = {text};
	for (int i = 1; i < 4; i++) {
		char *end = strchr(fields[i - 1], '\n');
		if (!end)
			return;
		*end = '\0';
		fields[i] = end + 1;
	}
	struct http_request r = {.method = "GET", .path = fields[0], .query = fields[1], .body = ""};
	http_request_add_header(&r, "Host", "h");
	http_request_add_header(&r, "Authorization", fields[2]);
	http_request_add_header(&r, "X-Amz-Date", fields[3]);
	struct sigv4_verified v;
	(void)sigv4_verify(signer, &r, INT64_C(1795385405000), secret_of, NULL, &v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int statuses[] = {200, 201, 204, 302, 400, 403, 404, 409, 412, 429, 500, 503};
	if (size < 2)
		return 0;
	int status = statuses[data[1] % array_len(statuses)];
	/* Exactly as large as the text, so that a sanitizer sees each read beyond it. */
	size_t len = size - 2;
	char *text = mem_alloc(len + 1);
	memcpy(text, data + 2, len);
	const struct http_response r = {.status = status, .body = text, .body_len = len};
	unsigned which = data[0] % 9;
	if (which < 5)
		fuzz_answers(which, &r);
	else if (which == 5)
		fuzz_error(status, text);
	else if (which == 6)
		fuzz_credentials(text, len);
	else if (which == 7)
		fuzz_endpoint(text);
	else
		fuzz_verify(text);
	free(text);
	return 0;
}
