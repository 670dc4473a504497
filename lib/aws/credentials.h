/*
 * AWS keys from the environment and from the shared credentials file, meaning what they mean to the AWS SDKs.
 * The environment is handed in (`lookup`), so nothing here calls getenv().
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
/* One profile of a credentials file's text. */
must_use int credentials_from_file_text(const char *text, size_t len, const char *profile, struct aws_credentials *ret,
					char *ret_error, size_t error_size);
/*
 * The chain as far as it goes: an explicitly named profile (from rolloutd.yaml; NULL: none) skips the environment;
 * else environment, then the shared credentials file (AWS_SHARED_CREDENTIALS_FILE, or $HOME/.aws/credentials) with
 * AWS_PROFILE or "default". ret_source (64 bytes) says where they came from, without any secret. The error names the
 * sources that were tried.
 */
must_use int credentials_resolve(credentials_lookup lookup, void *ctx, const char *profile, struct aws_credentials *ret,
				 char *ret_source, char *ret_error, size_t error_size);
