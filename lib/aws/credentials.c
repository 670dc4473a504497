/*
 * The shared credentials file is read as the Python SDK reads it (configparser): sections in brackets, "key = value" or
 * "key: value", keys in any case, whole-line comments with '#' or ';', and a line that is indented deeper than its key
 * goes on with the value.
 */
#include "aws/credentials.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/text.h"

#define KEY_ID_MAX	  128
#define SECRET_MAX	  256
#define TOKEN_MAX	  (16 * 1024)
#define PROFILE_MAX	  128
#define SOURCE_SIZE	  64
#define DEFAULT_PROFILE	  "default"
#define DEFAULT_FILE	  "~/.aws/credentials"
#define LATER_THAN_ALWAYS INT64_MAX

static int broken(char *ret_error, size_t size, const char *what, const char *why)
{
	snprintf(ret_error, size, "%s %s", what, why);
	return CREDENTIALS_BROKEN;
}

/* Keys go into headers, so nothing but visible ASCII may be in them; and a key id must not look like two parts of a
 * credential scope. The value itself is never shown. */
static const char *value_problem(const char *value, size_t max, const char *forbidden)
{
	size_t len = strlen(value);
	if (len > max)
		return "is too long to be one";
	for (size_t i = 0; i < len; i++)
		if (value[i] <= ' ' || value[i] > '~' || strchr(forbidden, value[i]))
			return "has a blank, a control character or another character that no key has; check it for a "
			       "line break or quotes";
	return NULL;
}

struct found {
	const char *key_id;
	const char *secret;
	const char *token;
};

static int take_found(const struct found *f, const char *const names[static 3], struct aws_credentials *ret,
		      char *ret_error, size_t size)
{
	bool has_id = f->key_id && *f->key_id;
	bool has_secret = f->secret && *f->secret;
	if (!has_id && !has_secret)
		return CREDENTIALS_NONE;
	if (!has_id || !has_secret) {
		snprintf(ret_error, size, "%s is set but %s is not: set both, or neither", names[has_id ? 0 : 1],
			 names[has_id ? 1 : 0]);
		return CREDENTIALS_BROKEN;
	}
	const char *problem = value_problem(f->key_id, KEY_ID_MAX - 1, "/,\"'");
	if (problem)
		return broken(ret_error, size, names[0], problem);
	problem = value_problem(f->secret, SECRET_MAX, "\"'");
	if (problem)
		return broken(ret_error, size, names[1], problem);
	bool has_token = f->token && *f->token;
	problem = has_token ? value_problem(f->token, TOKEN_MAX, "\"'") : NULL;
	if (problem)
		return broken(ret_error, size, names[2], problem);
	*ret = (struct aws_credentials){
	    .access_key_id = mem_strdup(f->key_id),
	    .secret_access_key = mem_strdup(f->secret),
	    .session_token = has_token ? mem_strdup(f->token) : NULL,
	    .expires_unix_ms = LATER_THAN_ALWAYS,
	};
	return CREDENTIALS_FOUND;
}

int credentials_from_texts(const char *const names[static 3], const char *const values[static 3],
			   struct aws_credentials *ret, char *ret_error, size_t error_size)
{
	const struct found f = {.key_id = values[0], .secret = values[1], .token = values[2]};
	return take_found(&f, names, ret, ret_error, error_size);
}

/* --- environment --- */

int credentials_from_env(credentials_lookup lookup, void *ctx, struct aws_credentials *ret, char *ret_error,
			 size_t error_size)
{
	static const char *const names[] = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"};
	struct found f = {
	    .key_id = lookup(ctx, names[0]),
	    .secret = lookup(ctx, names[1]),
	    .token = lookup(ctx, names[2]),
	};
	if (!f.token || !*f.token)
		f.token = lookup(ctx, "AWS_SECURITY_TOKEN"); /* its name before 2015 */
	int64_t expires = LATER_THAN_ALWAYS;
	const char *expiration = lookup(ctx, "AWS_CREDENTIAL_EXPIRATION");
	bool bad_expiration = expiration && *expiration && text_parse_utc(expiration, &expires) != 0;

	struct aws_credentials found = {0};
	int result = take_found(&f, names, &found, ret_error, error_size);
	if (result)
		return result;
	if (bad_expiration) {
		aws_credentials_deinit(&found);
		return broken(ret_error, error_size, "AWS_CREDENTIAL_EXPIRATION",
			      "is not a time like 2026-11-22T22:10:05Z");
	}
	*ret = found;
	ret->expires_unix_ms = expires;
	return CREDENTIALS_FOUND;
}

/* --- file --- */

enum key { KEY_ID, KEY_SECRET, KEY_TOKEN, KEY_OLD_TOKEN, KEY_ROLE, KEY_PROCESS, KEY_COUNT };

static const char *const key_names[KEY_COUNT] = {
    "aws_access_key_id", "aws_secret_access_key", "aws_session_token", "aws_security_token",
    "role_arn",		 "credential_process",
};

struct reader {
	const char *profile;
	unsigned line;
	bool any_section; /* a header was seen */
	bool inside;	  /* of the wanted profile */
	bool seen;	  /* the wanted profile was */
	bool has_option;  /* a key precedes, so that a deeper line goes on with its value */
	size_t indent;	  /* of that key */
	int current;	  /* that key, or -1: one of no interest */
	char *values[KEY_COUNT];
	char *error;
	size_t error_size;
};

static int wrong_line(const struct reader *r, const char *what)
{
	snprintf(r->error, r->error_size, "line %u %s", r->line, what);
	return CREDENTIALS_BROKEN;
}

struct text {
	const char *at;
	size_t len;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static struct text trimmed(struct text t)
{
	while (t.len > 0 && is_blank(t.at[0])) {
		t.at++;
		t.len--;
	}
	while (t.len > 0 && is_blank(t.at[t.len - 1]))
		t.len--;
	return t;
}

static bool text_is(struct text t, const char *s)
{
	return strlen(s) == t.len && memcmp(t.at, s, t.len) == 0;
}

static bool text_is_key(struct text t, const char *s)
{
	if (strlen(s) != t.len)
		return false;
	for (size_t i = 0; i < t.len; i++) {
		char c = t.at[i];
		if ((c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c) != s[i])
			return false;
	}
	return true;
}

static int take_section(struct reader *r, struct text line)
{
	const char *end = memrchr(line.at, ']', line.len);
	if (!end || end == line.at + 1)
		return wrong_line(r, "starts with '[' but is no section like [default]");
	struct text name = {.at = line.at + 1, .len = (size_t)(end - line.at - 1)};
	r->inside = text_is(name, r->profile);
	if (r->inside && r->seen)
		return wrong_line(r, "begins this profile for the second time: keep one of the two");
	r->seen |= r->inside;
	r->any_section = true;
	r->has_option = false;
	return 0;
}

static int take_option(struct reader *r, struct text line)
{
	if (!r->any_section)
		return wrong_line(r, "comes before the first section: put it below a line like [default]");
	size_t at = 0;
	while (at < line.len && line.at[at] != '=' && line.at[at] != ':')
		at++;
	struct text key = trimmed((struct text){.at = line.at, .len = at});
	if (at == line.len || key.len == 0)
		return wrong_line(r, "is neither a section, a comment nor \"key = value\"");
	struct text value = trimmed((struct text){.at = line.at + at + 1, .len = line.len - at - 1});
	r->has_option = true;
	r->current = -1;
	for (int k = 0; r->inside && k < KEY_COUNT; k++) {
		if (!text_is_key(key, key_names[k]))
			continue;
		if (r->values[k])
			return wrong_line(r, "gives a key that this profile has already");
		r->values[k] = mem_strndup(value.at, value.len);
		r->current = k;
	}
	return 0;
}

/* A value over several lines is no key of ours, so the line break is all that has to be kept of it. */
static void go_on(struct reader *r)
{
	if (r->current < 0)
		return;
	char *longer = mem_printf("%s\n", r->values[r->current]);
	secret_free(r->values[r->current]);
	r->values[r->current] = longer;
}

static int take_line(struct reader *r, struct text whole)
{
	struct text line = trimmed(whole);
	if (line.len == 0 || line.at[0] == '#' || line.at[0] == ';')
		return 0;
	size_t indent = (size_t)(line.at - whole.at);
	if (r->has_option && indent > r->indent) {
		go_on(r);
		return 0;
	}
	r->indent = indent;
	return line.at[0] == '[' ? take_section(r, line) : take_option(r, line);
}

static int read_lines(struct reader *r, const char *text, size_t len)
{
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) { /* an editor's byte order mark */
		text += 3;
		len -= 3;
	}
	for (size_t at = 0; at < len;) {
		const char *end = memchr(text + at, '\n', len - at);
		size_t line_len = end ? (size_t)(end - text) - at : len - at;
		r->line++;
		int result = take_line(r, (struct text){.at = text + at, .len = line_len});
		if (result)
			return result;
		at += line_len + 1;
	}
	return 0;
}

static int judge_profile(const struct reader *r, struct aws_credentials *ret)
{
	if (!r->seen)
		return CREDENTIALS_NONE;
	/* These come before keys in the SDKs' chain, so the keys beside them are not the identity that is meant. */
	for (int k = KEY_ROLE; k <= KEY_PROCESS; k++) {
		if (r->values[k] && *r->values[k]) {
			snprintf(r->error, r->error_size,
				 "%s is set, which this version cannot use: give the profile plain keys", key_names[k]);
			return CREDENTIALS_BROKEN;
		}
	}
	const char *token = r->values[KEY_TOKEN] ? r->values[KEY_TOKEN] : r->values[KEY_OLD_TOKEN];
	const struct found f = {.key_id = r->values[KEY_ID], .secret = r->values[KEY_SECRET], .token = token};
	return take_found(&f, key_names, ret, r->error, r->error_size);
}

int credentials_from_file_text(const char *text, size_t len, const char *profile, struct aws_credentials *ret,
			       char *ret_error, size_t error_size)
{
	if (memchr(text, '\0', len) || !text_is_utf8(text, len))
		return broken(ret_error, error_size, "the file", "is not UTF-8 text");
	char why[256] = "";
	struct reader r = {.profile = profile, .error = why, .error_size = sizeof(why)};
	int result = read_lines(&r, text, len);
	if (!result)
		result = judge_profile(&r, ret);
	for (int k = 0; k < KEY_COUNT; k++)
		secret_free(r.values[k]);
	if (result == CREDENTIALS_BROKEN)
		snprintf(ret_error, error_size, "profile \"%.*s\": %s", PROFILE_MAX, profile, why);
	return result;
}

/* --- chain --- */

/* "~/" stands for $HOME; without a home there is no path. The caller frees. */
static char *expand_home(credentials_lookup lookup, void *ctx, const char *path)
{
	if (!text_starts_with(path, "~/"))
		return mem_strdup(path);
	const char *home = lookup(ctx, "HOME");
	return home && *home ? mem_printf("%s%s", home, path + 1) : NULL;
}

static const char *lookup_filled(credentials_lookup lookup, void *ctx, const char *name)
{
	const char *value = lookup(ctx, name);
	return value && *value ? value : NULL;
}

static int from_file(const char *path, const char *profile, struct aws_credentials *ret, char *ret_error, size_t size)
{
	char *text = NULL;
	size_t len;
	int r = file_read(path, LIMIT_CREDENTIALS_FILE, &text, &len);
	if (r == -ENOENT || r == -ENOTDIR) {
		snprintf(ret_error, size, "%s does not exist", path);
		return CREDENTIALS_NONE;
	}
	if (r) {
		const char *why = r == -EFBIG	 ? "is larger than 256 KiB, which no credentials file is"
				  : r == -EACCES ? "may not be read by this user: check its owner and mode"
				  : r == -EINVAL ? "is not a regular file"
						 : strerror(-r);
		return broken(ret_error, size, path, why);
	}
	char why[512] = "";
	int result = credentials_from_file_text(text, len, profile, ret, why, sizeof(why));
	secret_wipe(text, len);
	free(text);
	if (result == CREDENTIALS_BROKEN)
		snprintf(ret_error, size, "%s: %s", path, why);
	else if (result == CREDENTIALS_NONE)
		snprintf(ret_error, size, "%s has no keys under [%.*s]", path, PROFILE_MAX, profile);
	return result;
}

static int from_default_file(credentials_lookup lookup, void *ctx, const char *profile, struct aws_credentials *ret,
			     char *ret_source, char *ret_error, size_t size)
{
	const char *given = lookup_filled(lookup, ctx, "AWS_SHARED_CREDENTIALS_FILE");
	char *path cleanup(mem_free_p) = expand_home(lookup, ctx, given ? given : DEFAULT_FILE);
	if (!path) {
		snprintf(ret_error, size, "%s cannot be found, as HOME is not set", given ? given : DEFAULT_FILE);
		return CREDENTIALS_NONE;
	}
	int result = from_file(path, profile, ret, ret_error, size);
	if (result == CREDENTIALS_FOUND)
		snprintf(ret_source, SOURCE_SIZE, "profile %.16s of %.34s", profile, path);
	return result;
}

int credentials_resolve(credentials_lookup lookup, void *ctx, const char *profile, struct aws_credentials *ret,
			char *ret_source, char *ret_error, size_t error_size)
{
	char env_error[256] = "";
	if (!profile) {
		int result = credentials_from_env(lookup, ctx, ret, env_error, sizeof(env_error));
		if (result == CREDENTIALS_FOUND)
			snprintf(ret_source, SOURCE_SIZE, "environment");
		if (result == CREDENTIALS_BROKEN)
			snprintf(ret_error, error_size, "the environment's AWS keys are unusable: %s", env_error);
		if (result != CREDENTIALS_NONE)
			return result;
	}
	const char *wanted = profile;
	if (!wanted)
		wanted = lookup_filled(lookup, ctx, "AWS_PROFILE");
	if (!wanted)
		wanted = lookup_filled(lookup, ctx, "AWS_DEFAULT_PROFILE");
	if (!wanted)
		wanted = DEFAULT_PROFILE;

	char file_error[512] = "";
	int result = from_default_file(lookup, ctx, wanted, ret, ret_source, file_error, sizeof(file_error));
	if (result == CREDENTIALS_BROKEN)
		snprintf(ret_error, error_size, "%s", file_error);
	if (result == CREDENTIALS_NONE)
		snprintf(ret_error, error_size, "no AWS keys were found: %s%s",
			 profile ? "" : "AWS_ACCESS_KEY_ID is not set, and ", file_error);
	return result;
}
