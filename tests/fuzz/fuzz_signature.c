/*
 * Signatures, both sides: a request of any path, query, headers and body is signed, and what was signed is found good;
 * and an Authorization header of any bytes is looked at as the simulated AWS does. By line: path, query, Authorization,
 * date, one more header's value; then the body.
 */
#include <string.h>

#include "aws/sigv4.h"
#include "base/text.h"
#include "fuzz.h"

#define NOW_MS INT64_C(1795385405000)

static const char *secret_of(void *ctx, const char *key_id, const char **ret_token)
{
	(void)ctx;
	*ret_token = strcmp(key_id, "AKTOKEN") == 0 ? "token" : NULL;
	return key_id[0] == 'A' ? "secret" : NULL;
}

static void check_own(struct sigv4_signer *signer, struct http_request r, bool normalize)
{
	cleanup(arena_free_p) struct arena *a = arena_new();
	static char id[] = "AKID", secret[] = "secret";
	const struct aws_credentials keys = {.access_key_id = id, .secret_access_key = secret};
	const struct sigv4_scope scope = {
	    .region = "us-east-1", .service = "lambda", .unix_ms = NOW_MS, .normalize_path = normalize};
	struct sigv4_verified v;
	if (sigv4_sign(signer, &keys, &scope, &r, a) != 0)
		return;
	http_request_add_header(&r, "Host", r.host);
	enum sigv4_check check = sigv4_verify(signer, &r, NOW_MS, secret_of, NULL, &v);
	require(check == SIGV4_CHECK_OK);
	require(strcmp(v.access_key_id, "AKID") == 0 && strcmp(v.region, "us-east-1") == 0);
	/* Another body is not what was signed. */
	r.body = "another body";
	r.body_len = strlen(r.body);
	check = sigv4_verify(signer, &r, NOW_MS, secret_of, NULL, &v);
	require(check == SIGV4_CHECK_MISMATCH);
}

/* What a transport would let through as a path or a query. */
static bool is_wire(const char *text)
{
	for (const char *c = text; *c; c++)
		if (*c <= ' ' || *c > '~')
			return false;
	return true;
}

void fuzz_one(const uint8_t *data, size_t size)
{
	static struct sigv4_signer *signer;
	if (!signer)
		signer = sigv4_signer_new();
	cleanup(mem_free_p) char *text = fuzz_text(data, size);
	char *rest = text;
	const char *path = fuzz_line(&rest), *query = fuzz_line(&rest), *authorization = fuzz_line(&rest);
	const char *date = fuzz_line(&rest), *extra = fuzz_line(&rest);
	struct http_request r = {.method = "GET",
				 .scheme = "https",
				 .host = "lambda.us-east-1.amazonaws.com",
				 .path = path,
				 .query = query,
				 .body = rest,
				 .body_len = strlen(rest)};
	http_request_add_header(&r, "X-Amz-Extra", extra);
	if (path[0] == '/' && is_wire(path) && is_wire(query) && is_wire(extra) && strcmp(rest, "another body") != 0)
		check_own(signer, r, true);
	http_request_add_header(&r, "Host", r.host);
	http_request_add_header(&r, "Authorization", authorization);
	http_request_add_header(&r, "X-Amz-Date", date);
	struct sigv4_verified v;
	/* Nobody guesses a signature. */
	enum sigv4_check check = sigv4_verify(signer, &r, NOW_MS, secret_of, NULL, &v);
	require(check <= SIGV4_CHECK_MISMATCH);
}
