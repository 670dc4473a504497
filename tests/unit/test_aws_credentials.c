/* Keys from texts and from the environment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "aws/credentials.h"
#include "base/macros.h"

#define SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

/* A fake environment: name, value, name, value, …, NULL. */
static const char *fake_lookup(void *ctx, const char *name)
{
	for (const char *const *e = ctx; *e; e += 2)
		if (strcmp(e[0], name) == 0)
			return e[1];
	return NULL;
}

struct outcome {
	int result;
	struct aws_credentials keys;
	char error[512];
};

static void deinit(struct outcome *o)
{
	aws_credentials_deinit(&o->keys);
}

static struct outcome from_env(const char *const *env)
{
	struct outcome o = {0};
	o.result = credentials_from_env(fake_lookup, (void *)env, &o.keys, o.error, sizeof(o.error));
	return o;
}

/* --- environment --- */

static void the_environment(void **state)
{
	(void)state;
	struct outcome o cleanup(deinit) =
	    from_env((const char *[]){"AWS_ACCESS_KEY_ID", "AKID", "AWS_SECRET_ACCESS_KEY", SECRET, NULL});
	assert_int_equal(o.result, CREDENTIALS_FOUND);
	assert_string_equal(o.keys.access_key_id, "AKID");
	assert_string_equal(o.keys.secret_access_key, SECRET);
	assert_null(o.keys.session_token);
	assert_int_equal(o.keys.expires_unix_ms, INT64_MAX);

	struct outcome t cleanup(deinit) =
	    from_env((const char *[]){"AWS_ACCESS_KEY_ID", "AKID", "AWS_SECRET_ACCESS_KEY", SECRET, "AWS_SESSION_TOKEN",
				      "tok", "AWS_CREDENTIAL_EXPIRATION", "2026-11-22T22:10:05Z", NULL});
	assert_int_equal(t.result, CREDENTIALS_FOUND);
	assert_string_equal(t.keys.session_token, "tok");
	assert_int_equal(t.keys.expires_unix_ms, INT64_C(1795385405000));

	/* As whoever else gives keys may write it. */
	struct outcome z cleanup(deinit) =
	    from_env((const char *[]){"AWS_ACCESS_KEY_ID", "AKID", "AWS_SECRET_ACCESS_KEY", SECRET,
				      "AWS_CREDENTIAL_EXPIRATION", "2026-11-23T00:10:05+02:00", NULL});
	assert_int_equal(z.result, CREDENTIALS_FOUND);
	assert_int_equal(z.keys.expires_unix_ms, INT64_C(1795385405000));

	struct outcome old cleanup(deinit) = from_env((const char *[]){
	    "AWS_ACCESS_KEY_ID", "AKID", "AWS_SECRET_ACCESS_KEY", SECRET, "AWS_SECURITY_TOKEN", "old", NULL});
	assert_string_equal(old.keys.session_token, "old");
}

static void an_environment_without_keys(void **state)
{
	(void)state;
	assert_int_equal(from_env((const char *[]){NULL}).result, CREDENTIALS_NONE);
	assert_int_equal(from_env((const char *[]){"AWS_ACCESS_KEY_ID", "", "AWS_SECRET_ACCESS_KEY", "", NULL}).result,
			 CREDENTIALS_NONE);
	assert_int_equal(from_env((const char *[]){"AWS_SESSION_TOKEN", "x", NULL}).result, CREDENTIALS_NONE);
}

static void expect_broken_env(const char *const *env, const char *needle)
{
	struct outcome o = from_env(env);
	assert_int_equal(o.result, CREDENTIALS_BROKEN);
	if (!strstr(o.error, needle))
		fail_msg("%s", o.error);
	assert_null(strstr(o.error, "SECRET-"));
	assert_null(o.keys.access_key_id);
}

static void a_broken_environment(void **state)
{
	(void)state;
	expect_broken_env((const char *[]){"AWS_ACCESS_KEY_ID", "AKID", NULL},
			  "AWS_ACCESS_KEY_ID is set but AWS_SECRET_ACCESS_KEY is not");
	expect_broken_env((const char *[]){"AWS_SECRET_ACCESS_KEY", "SECRET-", NULL},
			  "AWS_SECRET_ACCESS_KEY is set but AWS_ACCESS_KEY_ID is not");
	expect_broken_env((const char *[]){"AWS_ACCESS_KEY_ID", "AK/ID", "AWS_SECRET_ACCESS_KEY", "SECRET-", NULL},
			  "AWS_ACCESS_KEY_ID has");
	expect_broken_env((const char *[]){"AWS_ACCESS_KEY_ID", "AKID", "AWS_SECRET_ACCESS_KEY", "SECRET-\r", NULL},
			  "AWS_SECRET_ACCESS_KEY has");
	expect_broken_env((const char *[]){"AWS_ACCESS_KEY_ID", "AKID", "AWS_SECRET_ACCESS_KEY", "\"SECRET-\"", NULL},
			  "quotes");
	expect_broken_env((const char *[]){"AWS_ACCESS_KEY_ID", "AKID", "AWS_SECRET_ACCESS_KEY", "SECRET-",
					   "AWS_SESSION_TOKEN", "a\nHost: b", NULL},
			  "AWS_SESSION_TOKEN has");
	expect_broken_env((const char *[]){"AWS_ACCESS_KEY_ID", "AKID", "AWS_SECRET_ACCESS_KEY", "SECRET-",
					   "AWS_CREDENTIAL_EXPIRATION", "tomorrow", NULL},
			  "AWS_CREDENTIAL_EXPIRATION is not a time");
	char longer[200];
	memset(longer, 'A', sizeof(longer));
	longer[128] = '\0';
	expect_broken_env((const char *[]){"AWS_ACCESS_KEY_ID", longer, "AWS_SECRET_ACCESS_KEY", "SECRET-", NULL},
			  "AWS_ACCESS_KEY_ID is too long");
}

/* --- texts --- */

static void texts_of_other_places(void **state)
{
	(void)state;
	static const char *const names[] = {"Id", "Secret", "Token"};
	static const char *const whole[] = {"AKID", SECRET, ""}, *const half[] = {NULL, SECRET, "t"};
	struct outcome o cleanup(deinit) = {0};
	o.result = credentials_from_texts(names, whole, &o.keys, o.error, sizeof(o.error));
	assert_int_equal(o.result, CREDENTIALS_FOUND);
	assert_null(o.keys.session_token);
	assert_int_equal(o.keys.expires_unix_ms, INT64_MAX);
	struct outcome h = {0};
	h.result = credentials_from_texts(names, half, &h.keys, h.error, sizeof(h.error));
	assert_int_equal(h.result, CREDENTIALS_BROKEN);
	assert_string_equal(h.error, "Secret is set but Id is not: set both, or neither");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_environment),
	    cmocka_unit_test(an_environment_without_keys),
	    cmocka_unit_test(a_broken_environment),
	    cmocka_unit_test(texts_of_other_places),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
