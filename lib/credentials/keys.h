/* Keys out of what their sources answer: STS's XML, and the JSON of programs, containers, instances and SSO. */
#pragma once

#include <stddef.h>

#include "aws/sigv4.h"

enum keys_form {
	KEYS_OF_PROCESS,   /* Version 1; Expiration may be missing */
	KEYS_OF_CONTAINER, /* Token, Expiration */
	KEYS_OF_INSTANCE,  /* the same; or Code and Message in place of keys */
	KEYS_OF_SSO,	   /* roleCredentials, its expiration in milliseconds */
};

/* Both return 0; or 1 with half a sentence, "has no …", that shows nothing of a value. Sizes are the caller's to cap,
 * and the bytes the caller's to wipe. */
must_use int keys_from_json(enum keys_form form, const char *text, size_t len, struct aws_credentials *ret,
			    char *ret_error, size_t error_size);
/* The answer of AssumeRole or AssumeRoleWithWebIdentity. */
must_use int keys_from_sts(const char *text, size_t len, struct aws_credentials *ret, char *ret_error,
			   size_t error_size);
/* The token that "aws sso login" left, and until when it is good. The caller secret_frees it. */
must_use int keys_sso_token(const char *text, size_t len, char **ret_token, int64_t *ret_expires_unix_ms,
			    char *ret_error, size_t error_size);
