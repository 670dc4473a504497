/*
 * The AWS config and credentials files as one: profiles ([default], [profile NAME]; [NAME] in the credentials file),
 * [sso-session NAME] and [services NAME]. What the credentials file says of a profile goes before what the config file
 * says, key by key. Empty values count as absent.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "aws/credentials.h"
#include "base/macros.h"

struct profiles;

/* Reads a file whole, as file_read() does: 0, or a negative errno. */
typedef int (*profiles_read)(void *ctx, const char *path, size_t max, char **ret_data, size_t *ret_len);

enum profiles_file {
	PROFILES_CREDENTIALS,
	PROFILES_CONFIG,
	PROFILES_N_FILES,
};

struct profiles_text {
	const char *path; /* for people; copied */
	const char *text; /* NULL: there is no such file */
	size_t len;
	const char *absent; /* why there is none: "does not exist"; copied */
};

/* Returns 0; or 1 with a sentence that names the file and the line. Both files may be absent. */
must_use int profiles_parse(const struct profiles_text files[static PROFILES_N_FILES], struct profiles **ret,
			    char *ret_error, size_t error_size);
/*
 * Reads AWS_SHARED_CREDENTIALS_FILE (or ~/.aws/credentials) and AWS_CONFIG_FILE (or ~/.aws/config). A file that does
 * not exist, or is none, is no error; one that cannot be read is, also where the environment has keys: it may say
 * where AWS is to be asked.
 */
must_use int profiles_load(credentials_lookup lookup, void *lookup_ctx, profiles_read read, void *read_ctx,
			   struct profiles **ret, char *ret_error, size_t error_size);
void profiles_free(struct profiles *p); /* wipes; NULL is fine */
define_cleanup(struct profiles *, profiles_free);

bool profiles_has(const struct profiles *p, const char *profile);
/* NULL: no file says it. Borrowed from *p, as all that follow. */
const char *profiles_get(const struct profiles *p, const char *profile, const char *key);
/* What one file alone says. */
const char *profiles_get_from(const struct profiles *p, enum profiles_file file, const char *profile, const char *key);
/* Whether there is a section [services NAME]. */
bool profiles_has_services(const struct profiles *p, const char *name);
/* A key under `service_id` ("lambda", "api_gateway", "sts", …) in the [services NAME] that the profile names. */
const char *profiles_get_service(const struct profiles *p, const char *profile, const char *service_id,
				 const char *key);
bool profiles_has_session(const struct profiles *p, const char *session);
const char *profiles_get_session(const struct profiles *p, const char *session, const char *key);

/* The path of the file that decides the key; that of the config file when none does. */
const char *profiles_path_of(const struct profiles *p, const char *profile, const char *key);
const char *profiles_path(const struct profiles *p, enum profiles_file file);
/* "does not exist" and the like; NULL: the file was read. */
const char *profiles_absent(const struct profiles *p, enum profiles_file file);
