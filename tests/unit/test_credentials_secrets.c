/*
 * No key and no token is left in memory that is given back, by whichever source it came: each block is looked at when
 * it is freed. That is AddressSanitizer's to show, whose hook sees every library's blocks; without it nothing is seen
 * here.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <malloc.h>

#include "base/mem.h"
#include "base/secret.h"
#include "credentials/provider.h"

#define SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYMARKERKEY0"
#define TOKEN  "IQoJb3JpZ2luX2VjEMARKER/TOKEN+with/some+length/0123456789abcdefghijklmnopqrstuvwxyz"
#define EARLY  INT64_C(1795385405000) /* 2026-11-22T22:10:05Z */
#define UNTIL  "2026-11-22T23:10:05Z"

__attribute__((weak)) int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
								    void (*on_free)(const volatile void *));
__attribute__((weak)) size_t __sanitizer_get_allocated_size(const volatile void *p);

static volatile unsigned
    blocks_left; /* freed with a part of a secret in them; the compiler knows that free() counts nothing */

static bool holds_part(const void *block, size_t size, const char *text)
{
	enum { PART = 12 };
	return memmem(block, size, text, PART) || memmem(block, size, text + strlen(text) - PART, PART);
}

static void look_at_new(const volatile void *block, size_t size)
{
	(void)block;
	(void)size;
}

static void look_at_freed(const volatile void *block)
{
	size_t size = block ? __sanitizer_get_allocated_size(block) : 0;
	const void *bytes = (const void *)block;
	blocks_left += size > 0 && (holds_part(bytes, size, SECRET) || holds_part(bytes, size, TOKEN));
}

static bool hooked;

static void free_wiped(void *p)
{
	if (p)
		secret_wipe(p, malloc_usable_size(p));
	free(p);
}

static int set_up(void **state)
{
	(void)state;
	json_set_alloc_funcs(malloc, free_wiped); /* as rolloutd does it */
	hooked = __sanitizer_install_malloc_and_free_hooks &&
		 __sanitizer_install_malloc_and_free_hooks(look_at_new, look_at_freed) != 0;
	if (!hooked)
		print_message("without AddressSanitizer nothing is seen of what is freed\n");
	return 0;
}

static void test_a_block_that_is_not_wiped_is_seen(void **state)
{
	(void)state;
	char *left = mem_strdup("a " SECRET);
	blocks_left = 0;
	free(left);
	assert_int_equal(blocks_left, hooked);
	blocks_left = 0;
}

/* --- what there is to answer --- */

struct rig {
	const char *credentials; /* NULL: no such file */
	const char *config;
	const char *token; /* of any other file */
	const char *answers[4];
	unsigned n_answers;
	transport_cb cb;
	provider_ran_cb ran;
	void *arg;
	const char *env[8];
};

static struct instant fake_now(void *ctx)
{
	(void)ctx;
	return (struct instant){.unix_ms = EARLY, .boot_ms = 1000};
}

static uint64_t fake_entropy(void *ctx)
{
	(void)ctx;
	return 1;
}

static void fake_send(void *ctx, const struct http_request *r, int64_t timeout_ms, bool metadata, transport_cb cb,
		      void *arg)
{
	struct rig *w = ctx;
	(void)r;
	(void)timeout_ms;
	(void)metadata;
	w->cb = cb;
	w->arg = arg;
}

static void fake_run(void *ctx, char *const *words, int64_t timeout_ms, provider_ran_cb cb, void *arg)
{
	struct rig *w = ctx;
	(void)words;
	(void)timeout_ms;
	w->ran = cb;
	w->arg = arg;
}

static int fake_read(void *ctx, const char *path, size_t max, char **ret, size_t *ret_len)
{
	const struct rig *w = ctx;
	const char *text = strcmp(path, "/h/.aws/credentials") == 0 ? w->credentials
			   : strcmp(path, "/h/.aws/config") == 0    ? w->config
								    : w->token;
	(void)max;
	if (!text)
		return -ENOENT;
	*ret = mem_strdup(text);
	*ret_len = strlen(text);
	return 0;
}

static int fake_endpoint(void *ctx, enum aws_service service, const char *region, struct aws_endpoint *ret,
			 char *ret_error, size_t error_size)
{
	(void)ctx;
	(void)service;
	(void)region;
	(void)ret_error;
	(void)error_size;
	*ret = (struct aws_endpoint){.scheme = "https", .host = "aws.example"};
	return 0;
}

static const char *look_up(void *ctx, const char *name)
{
	const struct rig *w = ctx;
	for (size_t i = 0; i + 1 < array_len(w->env) && w->env[i]; i += 2)
		if (strcmp(w->env[i], name) == 0)
			return w->env[i + 1];
	return strcmp(name, "HOME") == 0 ? "/h" : NULL;
}

static void answer_all(struct rig *w)
{
	for (unsigned i = 0; i < array_len(w->answers) && w->answers[i] && (w->cb || w->ran); i++) {
		const char *text = w->answers[i];
		transport_cb cb = take_ptr(w->cb);
		provider_ran_cb ran = take_ptr(w->ran);
		const struct http_response r = {.status = 200, .body = text, .body_len = strlen(text)};
		const struct provider_output o = {.text = text, .len = strlen(text), .complaint = ""};
		if (ran)
			ran(w->arg, &o);
		else
			cb(w->arg, TRANSPORT_ANSWERED, &r, NULL);
	}
}

/* Resolves, fetches, hands out a copy, and lets go of everything. Gives the last result. */
static int go_through(struct rig *w)
{
	struct source *source = NULL;
	char error[1024] = "";
	struct source_request request = {.lookup = look_up, .lookup_ctx = w};
	struct profiles *profiles cleanup(profiles_free_p) = NULL;
	const struct provider_ports ports = {.ctx = w,
					     .now = fake_now,
					     .entropy = fake_entropy,
					     .send = fake_send,
					     .run = fake_run,
					     .read_file = fake_read,
					     .endpoint = fake_endpoint};
	struct aws_credentials keys = {0};
	int r = profiles_load(look_up, w, fake_read, w, &profiles, error, sizeof(error));
	request.profiles = profiles;
	if (r == 0)
		r = source_resolve(&request, &source, error, sizeof(error));
	if (r == 0) {
		struct provider *p = provider_new(source, &ports, NULL, NULL);
		if (provider_get(p, &keys, error, sizeof(error)) == PROVIDER_PENDING)
			answer_all(w);
		aws_credentials_deinit(&keys);
		r = provider_get(p, &keys, error, sizeof(error));
		aws_credentials_deinit(&keys);
		provider_free(p);
	}
	assert_null(strstr(error, "MARKER"));
	assert_int_equal(blocks_left, 0);
	return r;
}

#define KEYS "aws_access_key_id = AKID\naws_secret_access_key = " SECRET "\naws_session_token = " TOKEN "\n"
#define METADATA                                                                                                       \
	"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"" SECRET "\",\"Token\":\"" TOKEN "\",\"Expiration\":\"" UNTIL    \
	"\"}"
#define STS                                                                                                            \
	"<a><Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>" SECRET                                         \
	"</SecretAccessKey><SessionToken>" TOKEN "</SessionToken><Expiration>" UNTIL "</Expiration></Credentials></a>"

static void test_a_credentials_file_is_wiped(void **state)
{
	(void)state;
	static const char *const good[] = {"[default]\n" KEYS "[other]\naws_secret_access_key = " SECRET "\n",
					   "[DEFAULT]\n" KEYS "[default]\nx =\n  y = " SECRET "\n"};
	/* A value over two lines, a key given twice, one key without the other, no group of keys, no text. */
	static const char *const bad[] = {"[default]\naws_access_key_id = A\naws_secret_access_key = " SECRET
					  "\n  " TOKEN "\n",
					  "[default]\nx = " SECRET "\nx = " SECRET "\n",
					  "[default]\naws_secret_access_key = " SECRET "\n",
					  "[default]\nx =\n  " SECRET "\n",
					  "[default]\nx = " SECRET "\n\xff\n",
					  "[default]\nx = " SECRET "\n" SECRET "\n",
					  "[default]\ncredential_process = keys " SECRET " '" TOKEN "\n"};
	for (size_t i = 0; i < array_len(good); i++)
		assert_int_equal(go_through(&(struct rig){.credentials = good[i], .config = good[i]}), 0);
	for (size_t i = 0; i < array_len(bad); i++)
		assert_int_equal(go_through(&(struct rig){.credentials = bad[i]}), 1);
}

static void test_keys_of_every_source_are_wiped(void **state)
{
	(void)state;
	struct rig rigs[] = {
	    {.env = {"AWS_ACCESS_KEY_ID", "A", "AWS_SECRET_ACCESS_KEY", SECRET, "AWS_SESSION_TOKEN", TOKEN}},
	    {.config = "[default]\nrole_arn = r\nsource_profile = b\n[profile b]\n" KEYS, .answers = {STS}},
	    {.env = {"AWS_WEB_IDENTITY_TOKEN_FILE", "/t", "AWS_ROLE_ARN", "r"}, .token = TOKEN, .answers = {STS}},
	    {.config = "[default]\nsso_start_url = u\nsso_region = r\nsso_account_id = 1\nsso_role_name = R\n",
	     .token = "{\"accessToken\":\"" TOKEN "\",\"expiresAt\":\"" UNTIL "\"}",
	     .answers = {"{\"roleCredentials\":{\"accessKeyId\":\"A\",\"secretAccessKey\":\"" SECRET
			 "\",\"sessionToken\":\"" TOKEN "\",\"expiration\":1795389005000}}"}},
	    {.config = "[default]\ncredential_process = keys " TOKEN "\n",
	     .answers = {"{\"Version\":1,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"" SECRET
			 "\",\"SessionToken\":\"" TOKEN "\"}"}},
	    {.env = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/t"},
	     .token = TOKEN,
	     .answers = {METADATA}},
	    {.env = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x", "AWS_CONTAINER_AUTHORIZATION_TOKEN", TOKEN},
	     .answers = {METADATA}},
	    {.answers = {TOKEN, "ops", METADATA}},
	};
	for (size_t i = 0; i < array_len(rigs); i++)
		if (go_through(&rigs[i]) != PROVIDER_FOUND)
			fail_msg("source %zu gives no keys", i);
}

/* Each answer cut short at every place. */
static void test_broken_answers_are_wiped(void **state)
{
	(void)state;
	static const struct rig rigs[] = {
	    {.env = {"AWS_WEB_IDENTITY_TOKEN_FILE", "/t", "AWS_ROLE_ARN", "r"}, .token = TOKEN, .answers = {STS}},
	    {.env = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x"}, .answers = {METADATA}},
	};
	for (size_t i = 0; i < array_len(rigs); i++) {
		static char cut[1024];
		size_t whole = strlen(rigs[i].answers[0]);
		for (size_t len = 0; len < whole; len++) {
			struct rig w = rigs[i];
			memcpy(cut, rigs[i].answers[0], len);
			cut[len] = '\0';
			w.answers[0] = cut;
			assert_int_not_equal(go_through(&w), PROVIDER_FOUND);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_block_that_is_not_wiped_is_seen),
	    cmocka_unit_test(test_a_credentials_file_is_wiped),
	    cmocka_unit_test(test_keys_of_every_source_are_wiped),
	    cmocka_unit_test(test_broken_answers_are_wiped),
	};
	return cmocka_run_group_tests(tests, set_up, NULL);
}
