/*
 * Signature Version 4 against vectors: our own, made with botocore (tests/vectors/make_sigv4.py), and the published
 * ones of aws-c-auth where they are at hand.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <dirent.h>

#include <cmocka.h>
#include <jansson.h>

#include "aws/sigv4.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

#define OWN_VECTORS	  "tests/vectors/sigv4.json"
#define PUBLISHED_VECTORS "../shared/vectors/sigv4-aws-c-auth/v4"
#define BUF_MAX		  65536

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static int64_t time_of(const char *iso)
{
	int64_t ms = 0;
	assert_int_equal(text_parse_utc(iso, &ms), 0);
	return ms;
}

static const char *header_of(const struct http_request *r, const char *name)
{
	const char *value = http_header_find(r->headers, r->n_headers, name);
	assert_non_null(value);
	return value;
}

/* --- our own --- */

static void load_own(const json_t *v, struct http_request *r, struct aws_credentials *c, struct sigv4_scope *scope)
{
	*r = (struct http_request){
	    .method = text_of(v, "method"),
	    .scheme = text_of(v, "scheme"),
	    .host = text_of(v, "host"),
	    .path = text_of(v, "path"),
	    .query = text_of(v, "query"),
	    .body = text_of(v, "body"),
	    .body_len = strlen(text_of(v, "body")),
	};
	size_t i;
	json_t *header;
	json_array_foreach(json_object_get(v, "headers"), i, header) http_request_add_header(
	    r, json_string_value(json_array_get(header, 0)), json_string_value(json_array_get(header, 1)));
	*c = (struct aws_credentials){
	    .access_key_id = (char *)text_of(v, "access_key_id"),
	    .secret_access_key = (char *)text_of(v, "secret_access_key"),
	    .session_token = (char *)text_of(v, "token"),
	};
	*scope = (struct sigv4_scope){
	    .region = text_of(v, "region"),
	    .service = text_of(v, "service"),
	    .unix_ms = time_of(text_of(v, "timestamp")),
	    .normalize_path = true,
	    .payload_header = json_is_true(json_object_get(v, "payload_header")),
	};
}

static void check_own(struct sigv4_signer *s, const json_t *v)
{
	struct http_request r;
	struct aws_credentials c;
	struct sigv4_scope scope;
	load_own(v, &r, &c, &scope);
	struct arena *arena cleanup(arena_free_p) = arena_new();
	assert_int_equal(sigv4_sign(s, &c, &scope, &r, arena), 0);
	assert_string_equal(header_of(&r, "Authorization"), text_of(v, "authorization"));

	/* The stages give the same when they are called one by one on the signed request. */
	struct buf canonical cleanup(buf_deinit) = BUF_INIT(BUF_MAX);
	struct buf names cleanup(buf_deinit) = BUF_INIT(BUF_MAX);
	struct buf to_sign cleanup(buf_deinit) = BUF_INIT(BUF_MAX);
	char signature[SHA256_HEX_SIZE];
	sigv4_canonical_request(&r, &scope, &canonical, &names);
	assert_string_equal(buf_text(&canonical), text_of(v, "canonical_request"));
	sigv4_string_to_sign(&scope, canonical.data, canonical.len, &to_sign);
	assert_string_equal(buf_text(&to_sign), text_of(v, "string_to_sign"));
	sigv4_signature(s, &c, &scope, to_sign.data, to_sign.len, signature);
	assert_true(text_ends_with(text_of(v, "authorization"), signature));
	assert_non_null(strstr(text_of(v, "authorization"), buf_text(&names)));
}

static void own_vectors(void **state)
{
	(void)state;
	json_error_t error;
	json_t *all = json_load_file(OWN_VECTORS, 0, &error);
	assert_non_null(all);
	assert_true(json_array_size(all) >= 20);
	struct sigv4_signer *s = sigv4_signer_new();
	/* Twice: the second round finds the keys of the day in the signer. */
	for (int round = 0; round < 2; round++) {
		size_t i;
		json_t *v;
		json_array_foreach(all, i, v)
		{
			check_own(s, v);
		}
	}
	sigv4_signer_free(s);
	json_decref(all);
}

/* --- published ones --- */

static char *read_text(const char *dir, const char *name)
{
	char *path cleanup(mem_free_p) = mem_printf(PUBLISHED_VECTORS "/%s/%s", dir, name);
	char *text;
	size_t len;
	if (file_read(path, 1 << 20, &text, &len))
		fail_msg("cannot read %s", path);
	return text;
}

/* Takes a raw request apart in place; a folded header keeps its line breaks. */
static void parse_raw(char *text, struct http_request *r)
{
	*r = (struct http_request){.method = text, .query = "", .body = ""};
	char *end = strchr(text, '\n');
	*end = '\0';
	char *path = strchr(text, ' ');
	*path++ = '\0';
	*strstr(path, " HTTP/1.1") = '\0';
	char *query = strchr(path, '?');
	if (query) {
		*query++ = '\0';
		r->query = query;
	}
	r->path = path;
	char *line = end + 1;
	while (*line && *line != '\n') {
		char *next = strchr(line, '\n');
		while (next && (next[1] == ' ' || next[1] == '\t'))
			next = strchr(next + 1, '\n');
		if (next)
			*next = '\0';
		char *value = strchr(line, ':');
		*value++ = '\0';
		if (strcmp(line, "Host") == 0)
			r->host = value;
		else
			http_request_add_header(r, line, value);
		line = next ? next + 1 : line + strlen(line);
	}
	if (*line == '\n') {
		r->body = line + 1;
		r->body_len = strlen(r->body);
	}
}

static void expect_text(const char *vector, const char *name, const char *got)
{
	char *want cleanup(mem_free_p) = read_text(vector, name);
	if (strcmp(want, got) != 0)
		fail_msg("%s/%s:\nwant:\n%s\ngot:\n%s", vector, name, want, got);
}

static void check_published(struct sigv4_signer *s, const char *vector)
{
	char *context_text cleanup(mem_free_p) = read_text(vector, "context.json");
	char *raw cleanup(mem_free_p) = read_text(vector, "request.txt");
	json_t *context = json_loads(context_text, 0, NULL);
	const json_t *keys = json_object_get(context, "credentials");
	struct http_request r;
	parse_raw(raw, &r);
	const struct aws_credentials c = {
	    .access_key_id = (char *)text_of(keys, "access_key_id"),
	    .secret_access_key = (char *)text_of(keys, "secret_access_key"),
	    .session_token = (char *)text_of(keys, "token"),
	};
	const struct sigv4_scope scope = {
	    .region = text_of(context, "region"),
	    .service = text_of(context, "service"),
	    .unix_ms = time_of(text_of(context, "timestamp")),
	    .normalize_path = json_is_true(json_object_get(context, "normalize")),
	    .payload_header = json_is_true(json_object_get(context, "sign_body")),
	    .omit_token = json_is_true(json_object_get(context, "omit_session_token")),
	};
	struct arena *arena cleanup(arena_free_p) = arena_new();
	assert_int_equal(sigv4_sign(s, &c, &scope, &r, arena), 0);

	struct buf canonical cleanup(buf_deinit) = BUF_INIT(BUF_MAX);
	struct buf names cleanup(buf_deinit) = BUF_INIT(BUF_MAX);
	struct buf to_sign cleanup(buf_deinit) = BUF_INIT(BUF_MAX);
	char signature[SHA256_HEX_SIZE];
	sigv4_canonical_request(&r, &scope, &canonical, &names);
	expect_text(vector, "header-canonical-request.txt", buf_text(&canonical));
	sigv4_string_to_sign(&scope, canonical.data, canonical.len, &to_sign);
	expect_text(vector, "header-string-to-sign.txt", buf_text(&to_sign));
	sigv4_signature(s, &c, &scope, to_sign.data, to_sign.len, signature);
	expect_text(vector, "header-signature.txt", signature);

	char *whole cleanup(mem_free_p) = read_text(vector, "header-signed-request.txt");
	char *line cleanup(mem_free_p) = mem_printf("Authorization:%s\n", header_of(&r, "Authorization"));
	assert_non_null(strstr(whole, line));
	json_decref(context);
}

static void published_vectors(void **state)
{
	(void)state;
	DIR *dir = opendir(PUBLISHED_VECTORS);
	if (!dir)
		skip();
	struct sigv4_signer *s = sigv4_signer_new();
	int n = 0;
	for (struct dirent *e; (e = readdir(dir));) {
		if (e->d_name[0] == '.')
			continue;
		check_published(s, e->d_name);
		n++;
	}
	closedir(dir);
	sigv4_signer_free(s);
	assert_int_equal(n, 38);
}

/* --- what no vector shows --- */

static char key_id[] = "AKID";
static char key_secret[] = "secret";
static char key_token[] = "token";
static const struct aws_credentials keys = {.access_key_id = key_id, .secret_access_key = key_secret};

static struct http_request simple_request(void)
{
	return (struct http_request){
	    .method = "GET", .scheme = "https", .host = "h", .path = "/", .query = "", .body = ""};
}

static void signature_of(struct sigv4_signer *s, const struct aws_credentials *c, const struct sigv4_scope *scope,
			 char out[static SHA256_HEX_SIZE])
{
	sigv4_signature(s, c, scope, "text", 4, out);
}

static void key_cache_tells_keys_apart(void **state)
{
	(void)state;
	struct sigv4_signer *s = sigv4_signer_new();
	char secret[24] = "secret";
	char region[24] = "us-east-1";
	char service[24] = "lambda";
	const struct aws_credentials c = {.access_key_id = key_id, .secret_access_key = secret};
	struct sigv4_scope scope = {.region = region, .service = service, .unix_ms = 1};
	/* Each of 64 differs from all others in one part, more than the signer keeps; each is made twice. */
	char seen[64][SHA256_HEX_SIZE];
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 64; i++) {
			scope.unix_ms = (i & 1) * INT64_C(86400000);
			snprintf(service, sizeof(service), "service-%d", i >> 1 & 1);
			snprintf(secret, sizeof(secret), "secret-%d", i >> 2 & 3);
			snprintf(region, sizeof(region), "region-%d", i >> 4 & 3);
			char hex[SHA256_HEX_SIZE];
			signature_of(s, &c, &scope, hex);
			if (round == 0)
				memcpy(seen[i], hex, sizeof(hex));
			assert_string_equal(hex, seen[i]);
			for (int k = 0; k < i; k++)
				assert_string_not_equal(hex, seen[k]);
		}
	}
	sigv4_signer_free(s);
}

static void too_many_headers_are_refused(void **state)
{
	(void)state;
	struct sigv4_signer *s = sigv4_signer_new();
	struct arena *arena cleanup(arena_free_p) = arena_new();
	const struct sigv4_scope scope = {.region = "r", .service = "s", .normalize_path = true};
	struct http_request r = simple_request();
	while (r.n_headers < HTTP_HEADERS_MAX - 3)
		http_request_add_header(&r, "x", "y");
	size_t before = r.n_headers;
	assert_int_equal(sigv4_sign(s, &keys, &scope, &r, arena), -E2BIG);
	assert_int_equal(r.n_headers, before);
	r.n_headers--;
	assert_int_equal(sigv4_sign(s, &keys, &scope, &r, arena), 0);
	sigv4_signer_free(s);
}

static void too_large_requests_are_refused(void **state)
{
	(void)state;
	struct sigv4_signer *s = sigv4_signer_new();
	struct arena *arena cleanup(arena_free_p) = arena_new();
	const struct sigv4_scope scope = {.region = "r", .service = "s", .normalize_path = true};
	struct buf query cleanup(buf_deinit) = BUF_INIT(BUF_MAX);
	for (int i = 0; i < 65; i++)
		buf_add_text(&query, "a=b&");
	struct http_request r = simple_request();
	r.query = buf_text(&query);
	assert_int_equal(sigv4_sign(s, &keys, &scope, &r, arena), -E2BIG);
	assert_int_equal(r.n_headers, 0);

	struct buf value cleanup(buf_deinit) = BUF_INIT(BUF_MAX);
	while (value.len < BUF_MAX - 1)
		buf_add_char(&value, 'v');
	r = simple_request();
	http_request_add_header(&r, "x", buf_text(&value));
	assert_int_equal(sigv4_sign(s, &keys, &scope, &r, arena), -E2BIG);
	assert_int_equal(r.n_headers, 1);
	sigv4_signer_free(s);
}

static void credentials_are_copied_and_wiped(void **state)
{
	(void)state;
	const struct aws_credentials c = {
	    .access_key_id = key_id, .secret_access_key = key_secret, .session_token = key_token, .expires_unix_ms = 7};
	struct aws_credentials copy;
	aws_credentials_copy(&copy, &c);
	assert_string_equal(copy.access_key_id, "AKID");
	assert_string_equal(copy.secret_access_key, "secret");
	assert_string_equal(copy.session_token, "token");
	assert_ptr_not_equal(copy.session_token, c.session_token);
	assert_int_equal(copy.expires_unix_ms, 7);
	aws_credentials_deinit(&copy);
	assert_null(copy.secret_access_key);
	aws_credentials_deinit(&copy); /* of nothing */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(own_vectors),
	    cmocka_unit_test(published_vectors),
	    cmocka_unit_test(key_cache_tells_keys_apart),
	    cmocka_unit_test(too_many_headers_are_refused),
	    cmocka_unit_test(too_large_requests_are_refused),
	    cmocka_unit_test(credentials_are_copied_and_wiped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
