/* Keys from the environment and from the shared credentials file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "aws/credentials.h"
#include "base/mem.h"

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
	char source[64];
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

static struct outcome from_text(const char *text, const char *profile)
{
	struct outcome o = {0};
	o.result = credentials_from_file_text(text, strlen(text), profile, &o.keys, o.error, sizeof(o.error));
	return o;
}

static struct outcome resolve(const char *const *env, const char *profile)
{
	struct outcome o = {0};
	o.result = credentials_resolve(fake_lookup, (void *)env, profile, &o.keys, o.source, o.error, sizeof(o.error));
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

/* --- file --- */

static void expect_keys(const char *text, const char *profile, const char *id, const char *secret, const char *token)
{
	struct outcome o cleanup(deinit) = from_text(text, profile);
	if (o.result != CREDENTIALS_FOUND)
		fail_msg("%s: %d %s", text, o.result, o.error);
	assert_string_equal(o.keys.access_key_id, id);
	assert_string_equal(o.keys.secret_access_key, secret);
	if (token)
		assert_string_equal(o.keys.session_token, token);
	else
		assert_null(o.keys.session_token);
}

static void files_as_people_write_them(void **state)
{
	(void)state;
	const char *plain = "[default]\naws_access_key_id = A\naws_secret_access_key = S\n"
			    "[prod]\naws_access_key_id=B\naws_secret_access_key=T=/+\naws_session_token = tok\n";
	expect_keys(plain, "default", "A", "S", NULL);
	expect_keys(plain, "prod", "B", "T=/+", "tok");
	assert_int_equal(from_text(plain, "test").result, CREDENTIALS_NONE);
	assert_int_equal(from_text(plain, "Default").result, CREDENTIALS_NONE);
	assert_int_equal(from_text("", "default").result, CREDENTIALS_NONE);
	assert_int_equal(from_text("# nothing\n\n", "default").result, CREDENTIALS_NONE);
	assert_int_equal(from_text("[default]\nregion = eu-west-1\n", "default").result, CREDENTIALS_NONE);
	assert_int_equal(from_text("[default]\naws_access_key_id =\naws_secret_access_key =\n", "default").result,
			 CREDENTIALS_NONE);

	/* blanks, tabs, CRLF, no last line break, keys in capitals, colons, comments, a byte order mark */
	expect_keys("\xef\xbb\xbf[default]\r\nAWS_Access_Key_Id\t:\tA  \r\naws_secret_access_key:S\r\n", "default", "A",
		    "S", NULL);
	expect_keys("; a\n# b\n  # c\n[default] ; d\n\n  aws_access_key_id = A\n  aws_secret_access_key = S", "default",
		    "A", "S", NULL);
	expect_keys("[a b]\naws_access_key_id = A\naws_secret_access_key = S#;x\n", "a b", "A", "S#;x", NULL);
	expect_keys("[default]\naws_access_key_id = A\naws_secret_access_key = S\naws_security_token = old\n",
		    "default", "A", "S", "old");
	expect_keys("[p]\na = b\n[default]\n  aws_access_key_id = A\n  aws_secret_access_key = S\n", "default", "A",
		    "S", NULL);
	/* a nested value's lines are not keys */
	expect_keys("[default]\ns3 =\n  aws_access_key_id = X\n\n  # y\n  other = Y\naws_access_key_id = A\n"
		    "aws_secret_access_key = S\n",
		    "default", "A", "S", NULL);
}

static void expect_broken_text(const char *text, const char *profile, const char *needle)
{
	struct outcome o = from_text(text, profile);
	if (o.result != CREDENTIALS_BROKEN || !strstr(o.error, needle))
		fail_msg("%s: %d %s", text, o.result, o.error);
	assert_null(strstr(o.error, "SECRET"));
	deinit(&o);
}

static void broken_files(void **state)
{
	(void)state;
	expect_broken_text("[p]\naws_access_key_id = A\n", "p",
			   "profile \"p\": aws_access_key_id is set but aws_secret_access_key is not");
	expect_broken_text("[p]\naws_secret_access_key = SECRET\n", "p", "aws_access_key_id is not");
	expect_broken_text("[p]\naws_access_key_id = A\naws_secret_access_key = \"SECRET\"\n", "p", "quotes");
	expect_broken_text("[p]\naws_access_key_id = A\naws_secret_access_key = SECRET\n more\n", "p",
			   "aws_secret_access_key has");
	expect_broken_text("[p]\naws_access_key_id = A\naws_access_key_id = B\n", "p", "line 3");
	expect_broken_text("[p]\na = b\n[p]\n", "p", "line 3");
	expect_broken_text("[p]\nnonsense SECRET\n", "p", "line 2");
	expect_broken_text("[p]\n= SECRET\n", "p", "line 2");
	expect_broken_text("a = SECRET\n[p]\n", "p", "line 1 comes before the first section");
	expect_broken_text("[p\n", "p", "line 1");
	expect_broken_text("[]\n", "p", "line 1");
	expect_broken_text("[p]\nrole_arn = arn:aws:iam::1:role/r\naws_access_key_id = A\naws_secret_access_key = S\n",
			   "p", "role_arn");
	expect_broken_text("[p]\ncredential_process = /bin/keys\n", "p", "credential_process");
	expect_broken_text("[p]\naws_access_key_id = A\xff\n", "p", "UTF-8");
	/* What is wrong with another profile is not this one's matter, unless the file cannot be read on. */
	expect_keys("[q]\naws_access_key_id = A\nrole_arn = x\n[p]\naws_access_key_id = A\naws_secret_access_key = S\n",
		    "p", "A", "S", NULL);
}

static void every_cut_is_survived(void **state)
{
	(void)state;
	const char *whole = "[default]\naws_access_key_id = A\n  more\n# c\n[p]\naws_access_key_id : B\n"
			    "aws_secret_access_key = S\n";
	for (size_t len = 0; whole[len]; len++) {
		char *cut = mem_alloc(len + 1);
		memcpy(cut, whole, len);
		struct outcome o = {0};
		o.result = credentials_from_file_text(cut, len, "p", &o.keys, o.error, sizeof(o.error));
		if (o.result == CREDENTIALS_BROKEN)
			assert_string_not_equal(o.error, "");
		deinit(&o);
		free(cut);
	}
}

/* --- chain --- */

struct files {
	char dir[64];
	char path[128];
};

static int make_files(void **state)
{
	struct files *f = mem_alloc(sizeof(*f));
	snprintf(f->dir, sizeof(f->dir), "/tmp/test-credentials-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/.aws", f->dir);
	assert_int_equal(mkdir(f->path, 0700), 0);
	snprintf(f->path, sizeof(f->path), "%s/.aws/credentials", f->dir);
	FILE *out = fopen(f->path, "w");
	assert_non_null(out);
	fputs("[default]\naws_access_key_id = D\naws_secret_access_key = S\n"
	      "[prod]\naws_access_key_id = P\naws_secret_access_key = S\n[half]\naws_access_key_id = H\n",
	      out);
	fclose(out);
	*state = f;
	return 0;
}

static int remove_files(void **state)
{
	struct files *f = *state;
	unlink(f->path);
	*strrchr(f->path, '/') = '\0';
	rmdir(f->path);
	rmdir(f->dir);
	free(f);
	return 0;
}

static void the_chain(void **state)
{
	struct files *f = *state;
	struct outcome home cleanup(deinit) = resolve((const char *[]){"HOME", f->dir, NULL}, NULL);
	assert_int_equal(home.result, CREDENTIALS_FOUND);
	assert_string_equal(home.keys.access_key_id, "D");
	assert_non_null(strstr(home.source, "profile default"));

	const char *both[] = {"AWS_ACCESS_KEY_ID",
			      "E",
			      "AWS_SECRET_ACCESS_KEY",
			      "S",
			      "AWS_SHARED_CREDENTIALS_FILE",
			      f->path,
			      "AWS_PROFILE",
			      "prod",
			      NULL};
	struct outcome env cleanup(deinit) = resolve(both, NULL);
	assert_string_equal(env.keys.access_key_id, "E");
	assert_string_equal(env.source, "environment");
	/* A profile that was named in the configuration goes before the environment. */
	struct outcome named cleanup(deinit) = resolve(both, "default");
	assert_string_equal(named.keys.access_key_id, "D");
	struct outcome chosen cleanup(deinit) = resolve(both + 4, NULL);
	assert_string_equal(chosen.keys.access_key_id, "P");
	struct outcome tilde cleanup(deinit) =
	    resolve((const char *[]){"HOME", f->dir, "AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials", NULL}, NULL);
	assert_string_equal(tilde.keys.access_key_id, "D");
	struct outcome old cleanup(deinit) =
	    resolve((const char *[]){"HOME", f->dir, "AWS_DEFAULT_PROFILE", "prod", NULL}, NULL);
	assert_string_equal(old.keys.access_key_id, "P");
}

static void expect_failure(const char *const *env, const char *profile, int result, const char *needle)
{
	struct outcome o = resolve(env, profile);
	if (o.result != result || !strstr(o.error, needle))
		fail_msg("%d %s", o.result, o.error);
	deinit(&o);
}

static void the_chain_says_what_it_tried(void **state)
{
	struct files *f = *state;
	const char *home[] = {"HOME", f->dir, NULL};
	expect_failure((const char *[]){NULL}, NULL, CREDENTIALS_NONE, "AWS_ACCESS_KEY_ID is not set");
	expect_failure((const char *[]){NULL}, NULL, CREDENTIALS_NONE, "HOME is not set");
	expect_failure((const char *[]){"HOME", "/nonexistent", NULL}, NULL, CREDENTIALS_NONE,
		       "/nonexistent/.aws/credentials does not exist");
	expect_failure(home, "nobody", CREDENTIALS_NONE, "no keys under [nobody]");
	expect_failure(home, "half", CREDENTIALS_BROKEN, f->path);
	expect_failure(home, "half", CREDENTIALS_BROKEN, "profile \"half\": aws_access_key_id is set but");
	expect_failure((const char *[]){"AWS_SHARED_CREDENTIALS_FILE", f->dir, NULL}, NULL, CREDENTIALS_BROKEN,
		       "is not a regular file");
	/* Half a pair in the environment is an error, though the file has whole ones. */
	expect_failure((const char *[]){"HOME", f->dir, "AWS_ACCESS_KEY_ID", "E", NULL}, NULL, CREDENTIALS_BROKEN,
		       "AWS_SECRET_ACCESS_KEY is not");
	assert_int_equal(truncate(f->path, 256 * 1024 + 1), 0);
	expect_failure(home, NULL, CREDENTIALS_BROKEN, "larger than 256 KiB");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_environment),
	    cmocka_unit_test(an_environment_without_keys),
	    cmocka_unit_test(a_broken_environment),
	    cmocka_unit_test(files_as_people_write_them),
	    cmocka_unit_test(broken_files),
	    cmocka_unit_test(every_cut_is_survived),
	    cmocka_unit_test_setup_teardown(the_chain, make_files, remove_files),
	    cmocka_unit_test_setup_teardown(the_chain_says_what_it_tried, make_files, remove_files),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
