/* What makes keys usable is checked here, whatever they are read from: credentials/ knows the places. */
#include "aws/credentials.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"

#define KEY_ID_MAX	  128
#define SECRET_MAX	  256
#define TOKEN_MAX	  (16 * 1024)
#define LATER_THAN_ALWAYS INT64_MAX
#define TIME_MAX	  48

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

/* "01:30" or "0130" to minutes; -1: neither. */
static int parse_offset(const char *s)
{
	char digits[4];
	size_t n = 0;
	for (; *s && n < sizeof(digits); s++) {
		if (*s == ':' && n == 2)
			continue;
		if (*s < '0' || *s > '9')
			return -1;
		digits[n++] = *s;
	}
	if (n < sizeof(digits) || *s)
		return -1;
	return ((digits[0] - '0') * 10 + digits[1] - '0') * 60 + (digits[2] - '0') * 10 + digits[3] - '0';
}

int credentials_parse_time(const char *s, int64_t *ret_unix_ms)
{
	char text[TIME_MAX + 2];
	size_t len = strlen(s);
	int64_t offset_ms = 0, unix_ms;
	if (len < 19 || len > TIME_MAX)
		return -EINVAL;
	/* The zone begins behind the seconds and their fraction. */
	size_t zone = 19;
	if (s[zone] == '.')
		zone += 1 + strspn(s + zone + 1, "0123456789");
	const char *z = s + zone;
	if (*z == '+' || *z == '-') {
		int minutes = parse_offset(z + 1);
		if (minutes < 0)
			return -EINVAL;
		offset_ms = (*z == '-' ? -minutes : minutes) * MS_PER_MINUTE;
	} else if (strcmp(z, "Z") != 0 && strcmp(z, "UTC") != 0) {
		return -EINVAL;
	}
	snprintf(text, sizeof(text), "%.*sZ", (int)zone, s);
	if (text_parse_utc(text, &unix_ms) != 0)
		return -EINVAL;
	*ret_unix_ms = unix_ms - offset_ms;
	return 0;
}

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
	bool bad_expiration = expiration && *expiration && credentials_parse_time(expiration, &expires) != 0;

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
