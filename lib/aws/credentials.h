/*
 * AWS keys as texts, and from the environment, meaning what they mean to the AWS SDKs. The environment is handed in
 * (`lookup`), so nothing here calls getenv(). The other sources are credentials/.
 */
#pragma once

#include "aws/sigv4.h"

typedef const char *(*credentials_lookup)(void *ctx, const char *name); /* getenv's shape; NULL: unset */

enum credentials_result {
	CREDENTIALS_FOUND = 0,
	CREDENTIALS_NONE = 1,	/* this source has none: ask the next */
	CREDENTIALS_BROKEN = 2, /* it has some, but unusable: an error, not silently passed over */
};

/* Key id, secret and session token as texts; `names` are what the user calls the three. Empty and NULL count as absent.
 * The error shows none of them. The keys never expire. */
must_use int credentials_from_texts(const char *const names[static 3], const char *const values[static 3],
				    struct aws_credentials *ret, char *ret_error, size_t error_size);
/* AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_CREDENTIAL_EXPIRATION. */
must_use int credentials_from_env(credentials_lookup lookup, void *ctx, struct aws_credentials *ret, char *ret_error,
				  size_t error_size);

/* "2026-11-22T22:10:05Z", with fractions, or with "UTC" or "+02:00" in place of the Z. Returns 0 or -EINVAL. */
must_use int credentials_parse_time(const char *s, int64_t *ret_unix_ms);
