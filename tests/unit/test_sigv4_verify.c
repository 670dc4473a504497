/* The verifying side: what the signing side makes is taken, and nothing that was changed afterwards is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "aws/sigv4.h"
#include "base/clock.h"
#include "base/mem.h"

#define NOW INT64_C(1795385405000) /* 2026-11-22T22:10:05Z */

static char key_id[] = "AKIDEXAMPLE";
static char secret[] = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
static char token[] = "session/token==";

struct fixture {
	struct sigv4_signer *signer;
	struct arena *arena;
	struct http_request r; /* signed, as the other side receives it */
	const char *known_token;
	int64_t now;
};

static struct sigv4_scope scope_of(void)
{
	return (struct sigv4_scope){
	    .region = "us-east-1", .service = "lambda", .unix_ms = NOW, .normalize_path = true, .payload_header = true};
}

static void sign(struct fixture *f, const struct aws_credentials *c, const struct sigv4_scope *scope)
{
	f->r = (struct http_request){
	    .method = "PUT",
	    .scheme = "http",
	    .host = "127.0.0.1:4599",
	    .path = "/2015-03-31/functions/arn%3Aaws%3Alambda/aliases/prod",
	    .query = "Qualifier=%24LATEST&a=b",
	    .body = "{\"a\":1}",
	    .body_len = 7,
	};
	http_request_add_header(&f->r, "Content-Type", "application/json");
	assert_int_equal(sigv4_sign(f->signer, c, scope, &f->r, f->arena), 0);
	/* On the wire, host is a header like others, and more are added that are not signed. */
	http_request_add_header(&f->r, "Host", f->r.host);
	http_request_add_header(&f->r, "User-Agent", "test");
	f->r.host = NULL;
}

static void sign_plainly(struct fixture *f)
{
	const struct aws_credentials c = {.access_key_id = key_id, .secret_access_key = secret};
	const struct sigv4_scope scope = scope_of();
	sign(f, &c, &scope);
}

static const char *secret_of(void *ctx, const char *id, const char **ret_token)
{
	struct fixture *f = ctx;
	if (strcmp(id, key_id) != 0)
		return NULL;
	*ret_token = f->known_token;
	return secret;
}

static enum sigv4_check verify(struct fixture *f)
{
	struct sigv4_verified v = {.region = "untouched"};
	enum sigv4_check check = sigv4_verify(f->signer, &f->r, f->now, secret_of, f, &v);
	if (check == SIGV4_CHECK_OK) {
		assert_string_equal(v.access_key_id, key_id);
		assert_string_equal(v.region, "us-east-1");
		assert_string_equal(v.service, "lambda");
	} else {
		assert_string_equal(v.region, "untouched");
	}
	return check;
}

static struct http_header *header(struct fixture *f, const char *name)
{
	for (size_t i = 0; i < f->r.n_headers; i++)
		if (strcmp(f->r.headers[i].name, name) == 0)
			return &f->r.headers[i];
	fail_msg("no header %s", name);
	return NULL;
}

static void drop_header(struct fixture *f, const char *name)
{
	struct http_header *h = header(f, name);
	*h = f->r.headers[--f->r.n_headers];
}

/* Replaces the first `from` in the Authorization header. */
static void edit_authorization(struct fixture *f, const char *from, const char *to)
{
	struct http_header *h = header(f, "Authorization");
	const char *at = strstr(h->value, from);
	assert_non_null(at);
	h->value = arena_printf(f->arena, "%.*s%s%s", (int)(at - h->value), h->value, to, at + strlen(from));
}

static int setup(void **state)
{
	struct fixture *f = mem_alloc(sizeof(*f));
	f->signer = sigv4_signer_new();
	f->arena = arena_new();
	f->now = NOW;
	sign_plainly(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	sigv4_signer_free(f->signer);
	arena_free(f->arena);
	free(f);
	return 0;
}

static void good_is_taken(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(verify(f), SIGV4_CHECK_OK);
	/* Header names in any case, parts of Authorization in any order and spacing. */
	header(f, "Host")->name = "HOST";
	header(f, "X-Amz-Date")->name = "x-amz-DATE";
	assert_int_equal(verify(f), SIGV4_CHECK_OK);
	const char *value = header(f, "Authorization")->value;
	const char *signature = strstr(value, "Signature=");
	header(f, "Authorization")->value =
	    arena_printf(f->arena, "AWS4-HMAC-SHA256 %s,%.*s", signature, (int)(signature - value - 19), value + 17);
	assert_int_equal(verify(f), SIGV4_CHECK_OK);
}

static void good_without_payload_header(void **state)
{
	struct fixture *f = *state;
	const struct aws_credentials c = {.access_key_id = key_id, .secret_access_key = secret};
	struct sigv4_scope scope = scope_of();
	scope.payload_header = false;
	sign(f, &c, &scope);
	assert_int_equal(verify(f), SIGV4_CHECK_OK);
	f->r.body = "{\"a\":2}";
	assert_int_equal(verify(f), SIGV4_CHECK_MISMATCH);
}

static void a_body_that_is_not_signed_is_refused(void **state)
{
	struct fixture *f = *state;
	const struct aws_credentials c = {.access_key_id = key_id, .secret_access_key = secret};
	struct sigv4_scope scope = scope_of();
	scope.payload_header = false;
	sign_plainly(f);
	f->r.n_headers = 0;
	f->r.host = "h";
	http_request_add_header(&f->r, "X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD");
	assert_int_equal(sigv4_sign(f->signer, &c, &scope, &f->r, f->arena), 0);
	http_request_add_header(&f->r, "Host", "h");
	assert_int_equal(verify(f), SIGV4_CHECK_MISMATCH);
}

static void tokens_must_be_right_and_signed(void **state)
{
	struct fixture *f = *state;
	const struct aws_credentials c = {.access_key_id = key_id, .secret_access_key = secret, .session_token = token};
	struct sigv4_scope scope = scope_of();
	sign(f, &c, &scope);
	assert_int_equal(verify(f), SIGV4_CHECK_MISMATCH); /* a token where none belongs */
	f->known_token = token;
	assert_int_equal(verify(f), SIGV4_CHECK_OK);
	header(f, "X-Amz-Security-Token")->value = "another";
	assert_int_equal(verify(f), SIGV4_CHECK_MISMATCH);
	scope.omit_token = true;
	sign(f, &c, &scope);
	assert_int_equal(verify(f), SIGV4_CHECK_INCOMPLETE);
	sign_plainly(f);
	assert_int_equal(verify(f), SIGV4_CHECK_MISMATCH); /* missing */
}

static void tampering_is_seen(void **state)
{
	struct fixture *f = *state;
	f->r.method = "POST";
	assert_int_equal(verify(f), SIGV4_CHECK_MISMATCH);
	sign_plainly(f);
	f->r.path = "/2015-03-31/functions/arn%3Aaws%3Alambda/aliases/test";
	assert_int_equal(verify(f), SIGV4_CHECK_MISMATCH);
	sign_plainly(f);
	f->r.path = "/2015-03-31/functions/arn:aws:lambda/aliases/prod"; /* decoded once */
	assert_int_equal(verify(f), SIGV4_CHECK_MISMATCH);
	sign_plainly(f);
	f->r.query = "Qualifier=1&a=b";
	assert_int_equal(verify(f), SIGV4_CHECK_MISMATCH);
	sign_plainly(f);
	f->r.body = "{\"a\":2}";
	assert_int_equal(verify(f), SIGV4_CHECK_MISMATCH);
	sign_plainly(f);
	f->r.body_len--;
	assert_int_equal(verify(f), SIGV4_CHECK_MISMATCH);
	sign_plainly(f);
	header(f, "X-Amz-Content-Sha256")->value = "UNSIGNED-PAYLOAD";
	assert_int_equal(verify(f), SIGV4_CHECK_MISMATCH);
	sign_plainly(f);
	header(f, "Host")->value = "127.0.0.1:4600";
	assert_int_equal(verify(f), SIGV4_CHECK_MISMATCH);
	sign_plainly(f);
	header(f, "Content-Type")->value = "text/plain";
	assert_int_equal(verify(f), SIGV4_CHECK_MISMATCH);
	sign_plainly(f);
	http_request_add_header(&f->r, "Content-Type", "text/plain"); /* a second one */
	assert_int_equal(verify(f), SIGV4_CHECK_MISMATCH);
	sign_plainly(f);
	header(f, "User-Agent")->value = "another"; /* not signed, so not held to */
	assert_int_equal(verify(f), SIGV4_CHECK_OK);
}

static void the_wrong_secret_is_seen(void **state)
{
	struct fixture *f = *state;
	char other[] = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEZ";
	const struct aws_credentials c = {.access_key_id = key_id, .secret_access_key = other};
	const struct sigv4_scope scope = scope_of();
	sign(f, &c, &scope);
	assert_int_equal(verify(f), SIGV4_CHECK_MISMATCH);
}

static void every_digit_of_the_signature_counts(void **state)
{
	struct fixture *f = *state;
	char *value = arena_strdup(f->arena, header(f, "Authorization")->value);
	header(f, "Authorization")->value = value;
	size_t len = strlen(value);
	for (size_t i = len - 64; i < len; i++) {
		char old = value[i];
		value[i] = old == '0' ? '1' : '0';
		assert_int_equal(verify(f), SIGV4_CHECK_MISMATCH);
		value[i] = old;
	}
	value[len - 1] = '\0';
	assert_int_equal(verify(f), SIGV4_CHECK_MISMATCH);
}

static void unsigned_essentials_are_refused(void **state)
{
	struct fixture *f = *state;
	edit_authorization(f, "host;", "");
	assert_int_equal(verify(f), SIGV4_CHECK_INCOMPLETE);
	sign_plainly(f);
	edit_authorization(f, ";x-amz-date", "");
	assert_int_equal(verify(f), SIGV4_CHECK_INCOMPLETE);
	sign_plainly(f);
	http_request_add_header(&f->r, "X-Amz-Target", "Something.Else");
	assert_int_equal(verify(f), SIGV4_CHECK_INCOMPLETE);
	sign_plainly(f);
	drop_header(f, "X-Amz-Date");
	assert_int_equal(verify(f), SIGV4_CHECK_INCOMPLETE);
	sign_plainly(f);
	header(f, "X-Amz-Date")->value = "2026-11-22T22:10:05Z";
	assert_int_equal(verify(f), SIGV4_CHECK_INCOMPLETE);
	sign_plainly(f);
	drop_header(f, "Host"); /* signed, but not there */
	assert_int_equal(verify(f), SIGV4_CHECK_MISMATCH);
	sign_plainly(f);
	edit_authorization(f, "content-type;host", "host;content-type"); /* unsorted */
	assert_int_equal(verify(f), SIGV4_CHECK_MISMATCH);
}

static void a_missing_or_broken_authorization(void **state)
{
	struct fixture *f = *state;
	drop_header(f, "Authorization");
	assert_int_equal(verify(f), SIGV4_CHECK_MISSING);
	static const char *const missing[] = {"", "Basic abc", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA512 Credential=a"};
	for (size_t i = 0; i < array_len(missing); i++) {
		sign_plainly(f);
		header(f, "Authorization")->value = missing[i];
		assert_int_equal(verify(f), SIGV4_CHECK_MISSING);
	}
	static const char *const broken[] = {
	    "AWS4-HMAC-SHA256 ",
	    "AWS4-HMAC-SHA256 Credential",
	    "AWS4-HMAC-SHA256 Credential=, SignedHeaders=host;x-amz-date, Signature=0",
	    "AWS4-HMAC-SHA256 Credential=a/b/c, SignedHeaders=host;x-amz-date, Signature=0",
	    "AWS4-HMAC-SHA256 Credential=a/20261122/r/s/aws4_request, Signature=0",
	    "AWS4-HMAC-SHA256 Credential=a/20261122/r/s/aws4_request, SignedHeaders=host;x-amz-date",
	    "AWS4-HMAC-SHA256 Credential=a/20261122/r/s/aws4_request, SignedHeaders=host;x-amz-date, Signature=0, X=1",
	    "AWS4-HMAC-SHA256 Signature=0, Signature=0",
	};
	for (size_t i = 0; i < array_len(broken); i++) {
		sign_plainly(f);
		header(f, "Authorization")->value = broken[i];
		assert_int_equal(verify(f), SIGV4_CHECK_INCOMPLETE);
	}
}

static void every_cut_of_the_authorization_is_refused(void **state)
{
	struct fixture *f = *state;
	const char *whole = header(f, "Authorization")->value;
	for (size_t len = 0; whole[len]; len++) {
		header(f, "Authorization")->value = arena_strndup(f->arena, whole, len);
		assert_int_not_equal(verify(f), SIGV4_CHECK_OK);
	}
}

static void the_key_the_scope_and_the_time_are_checked(void **state)
{
	struct fixture *f = *state;
	edit_authorization(f, key_id, "AKIDOTHER");
	assert_int_equal(verify(f), SIGV4_CHECK_UNKNOWN_KEY);
	sign_plainly(f);
	edit_authorization(f, "20261122", "20261121");
	assert_int_equal(verify(f), SIGV4_CHECK_SCOPE);
	sign_plainly(f);
	edit_authorization(f, "aws4_request", "aws5_request");
	assert_int_equal(verify(f), SIGV4_CHECK_SCOPE);
	sign_plainly(f);
	edit_authorization(f, "us-east-1", "eu-west-1");
	assert_int_equal(verify(f), SIGV4_CHECK_MISMATCH);
	sign_plainly(f);
	edit_authorization(f, "/lambda/", "/monitoring/");
	assert_int_equal(verify(f), SIGV4_CHECK_MISMATCH);

	sign_plainly(f);
	f->now = NOW + 5 * MS_PER_MINUTE;
	assert_int_equal(verify(f), SIGV4_CHECK_OK);
	f->now++;
	assert_int_equal(verify(f), SIGV4_CHECK_SKEWED);
	f->now = NOW - 5 * MS_PER_MINUTE;
	assert_int_equal(verify(f), SIGV4_CHECK_OK);
	f->now--;
	assert_int_equal(verify(f), SIGV4_CHECK_SKEWED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(good_is_taken, setup, teardown),
	    cmocka_unit_test_setup_teardown(good_without_payload_header, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_body_that_is_not_signed_is_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(tokens_must_be_right_and_signed, setup, teardown),
	    cmocka_unit_test_setup_teardown(tampering_is_seen, setup, teardown),
	    cmocka_unit_test_setup_teardown(the_wrong_secret_is_seen, setup, teardown),
	    cmocka_unit_test_setup_teardown(every_digit_of_the_signature_counts, setup, teardown),
	    cmocka_unit_test_setup_teardown(unsigned_essentials_are_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_missing_or_broken_authorization, setup, teardown),
	    cmocka_unit_test_setup_teardown(every_cut_of_the_authorization_is_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(the_key_the_scope_and_the_time_are_checked, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
