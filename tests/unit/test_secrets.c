/*
 * No secret is left in memory that is given back. The modules that hold secrets are compiled into this test with a
 * free() that looks at each block before it goes; so are those that they lean on. OpenSSL's blocks are looked at too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <malloc.h>

#include <cmocka.h>
#include <openssl/crypto.h>

static const char the_secret[] = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYMARKERKEY0";
static const char the_token[] = "IQoJb3JpZ2luX2VjEMARKER/TOKEN+with/some+length/0123456789abcdefghijklmnopqrstuvwxyz";
static unsigned blocks_left; /* blocks that were freed with a part of a secret in them */

static bool holds_part(const void *block, size_t size, const char *text)
{
	enum { PART = 12 };
	return memmem(block, size, text, PART) || memmem(block, size, text + strlen(text) - PART, PART);
}

static void look_and_free(void *block)
{
	if (block) {
		size_t size = malloc_usable_size(block);
		blocks_left += holds_part(block, size, the_secret) || holds_part(block, size, the_token);
	}
	free(block);
}

static void *look_and_realloc(void *block, size_t size)
{
	void *moved = malloc(size);
	if (block && moved) {
		size_t before = malloc_usable_size(block);
		memcpy(moved, block, before < size ? before : size);
	}
	look_and_free(block);
	return moved;
}

#define free(p)	      look_and_free(p)
#define realloc(p, n) look_and_realloc(p, n)

#include "aws/credentials.c"
#include "base/buf.c"
#include "base/mem.c"
#include "base/secret.c"
#include "aws/sigv4.c"
#define is_unreserved sigv4_is_unreserved
#define is_blank      sigv4_is_blank
#include "aws/sigv4_canonical.c"

#undef free
#undef realloc

static void *openssl_malloc(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return malloc(size);
}

static void *openssl_realloc(void *block, size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return look_and_realloc(block, size);
}

static void openssl_free(void *block, const char *file, int line)
{
	(void)file;
	(void)line;
	look_and_free(block);
}

static const char *look_up(void *ctx, const char *name)
{
	for (const char *const *e = ctx; *e; e += 2)
		if (strcmp(e[0], name) == 0)
			return e[1];
	return NULL;
}

/* The watch itself sees what it should. */
static void test_a_block_that_is_not_wiped_is_seen(void **state)
{
	(void)state;
	blocks_left = 0;
	look_and_free(mem_strdup(the_secret));
	look_and_free(mem_printf("%.40s", the_token + strlen(the_token) - 20));
	assert_int_equal(blocks_left, 2);
	blocks_left = 0;
}

static void test_secret_free_wipes(void **state)
{
	(void)state;
	secret_free(mem_strdup(the_secret));
	secret_free(NULL);
	assert_int_equal(blocks_left, 0);
}

static void test_a_buffer_of_secrets_wipes_as_it_grows(void **state)
{
	(void)state;
	struct buf b = BUF_INIT_SECRET(4096);
	for (int i = 0; i < 40; i++)
		buf_add_text(&b, the_token);
	assert_true(buf_ok(&b));
	buf_wipe(&b);
	assert_int_equal(blocks_left, 0);
}

static void test_credentials_are_wiped(void **state)
{
	(void)state;
	const char *const environment[] = {
	    "AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY", the_secret, "AWS_SESSION_TOKEN",
	    the_token,		 NULL};
	struct aws_credentials keys = {0}, copy = {0};
	char error[256];
	assert_int_equal(credentials_from_env(look_up, (void *)environment, &keys, error, sizeof(error)),
			 CREDENTIALS_FOUND);
	aws_credentials_copy(&copy, &keys);
	assert_string_equal(copy.session_token, the_token);
	aws_credentials_deinit(&keys);
	aws_credentials_deinit(&copy);
	assert_null(copy.secret_access_key);
	assert_int_equal(blocks_left, 0);
}

static void sign_one(struct sigv4_signer *signer, const char *key)
{
	struct aws_credentials keys = {(char *)"AKIDEXAMPLE", (char *)key, (char *)the_token, INT64_MAX};
	const struct sigv4_scope scope = {.region = "eu-west-1",
					  .service = "lambda",
					  .unix_ms = INT64_C(1795385405000),
					  .normalize_path = true,
					  .payload_header = true};
	struct arena *arena = arena_new();
	struct http_request r = {.method = "GET", .scheme = "https", .host = "x.test", .path = "/", .query = ""};
	assert_int_equal(sigv4_sign(signer, &keys, &scope, &r, arena), 0);
	assert_string_equal(http_header_find(r.headers, r.n_headers, "x-amz-security-token"), the_token);
	/* Not even while the signer lives. */
	assert_null(memmem(signer->memory, 2 * SIGV4_TEXT_MAX, the_token, strlen(the_token)));
	sigv4_forget(&r);
	assert_string_equal(http_header_find(r.headers, r.n_headers, "authorization"), "");
	arena_free(arena);
}

static void test_a_signed_request_and_the_keys_of_the_day_are_wiped(void **state)
{
	(void)state;
	struct sigv4_signer *signer = sigv4_signer_new();
	/* More keys than the signer keeps, so that old ones make room. */
	for (int i = 0; i < KEYS + 4; i++) {
		char *key = mem_printf("%s%02d", the_secret, i);
		sign_one(signer, key);
		secret_free(key);
	}
	sigv4_signer_free(signer);
	assert_int_equal(blocks_left, 0);
}

static void test_a_request_that_is_too_large_to_sign_is_wiped(void **state)
{
	(void)state;
	struct sigv4_signer *signer = sigv4_signer_new();
	struct aws_credentials keys = {(char *)"AKIDEXAMPLE", (char *)the_secret, (char *)the_token, INT64_MAX};
	const struct sigv4_scope scope = {.region = "eu-west-1", .service = "lambda", .unix_ms = 1795385405000};
	char *value = mem_alloc(SIGV4_TEXT_MAX);
	memset(value, 'v', SIGV4_TEXT_MAX - 1);
	struct arena *arena = arena_new();
	struct http_request r = {.method = "GET", .scheme = "https", .host = "x.test", .path = "/", .query = ""};
	http_request_add_header(&r, "X-Amz-Zz", value);
	assert_int_equal(sigv4_sign(signer, &keys, &scope, &r, arena), -E2BIG);
	assert_null(memmem(signer->memory, 2 * SIGV4_TEXT_MAX, the_token, strlen(the_token)));
	sigv4_signer_free(signer);
	arena_free(arena);
	free(value);
	assert_int_equal(blocks_left, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_block_that_is_not_wiped_is_seen),
	    cmocka_unit_test(test_secret_free_wipes),
	    cmocka_unit_test(test_a_buffer_of_secrets_wipes_as_it_grows),
	    cmocka_unit_test(test_credentials_are_wiped),
	    cmocka_unit_test(test_a_signed_request_and_the_keys_of_the_day_are_wiped),
	    cmocka_unit_test(test_a_request_that_is_too_large_to_sign_is_wiped),
	};
	if (CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) != 1)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
