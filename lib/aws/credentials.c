/* What makes keys usable is checked here, whatever they are read from: credentials/ knows the places. */
#include "aws/credentials.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

#define KEY_ID_MAX	  128
#define SECRET_MAX	  256
#define TOKEN_MAX	  (16 * 1024)
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
