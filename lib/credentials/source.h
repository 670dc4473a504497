/*
 * Which source of keys holds for an identity: the SDKs' chain, over an environment and profiles that are handed in. The
 * outcome is a tree: a role is assumed with the keys of another source. Nothing is asked yet; that is provider.h.
 *
 * Order: environment; the profile's role_arn; web identity (environment, then profile); SSO; keys in the credentials
 * file; credential_process; keys in the config file; container; instance. A profile that is named in rolloutd.yaml
 * leaves the environment out.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "aws/credentials.h"
#include "credentials/profiles.h"

enum source_kind {
	SOURCE_STATIC,
	SOURCE_ASSUME_ROLE,
	SOURCE_WEB_IDENTITY,
	SOURCE_SSO,
	SOURCE_PROCESS,
	SOURCE_CONTAINER,
	SOURCE_INSTANCE,
};

#define SOURCE_SESSION_NAME "rolloutd"
#define SOURCE_DEPTH_MAX    8 /* roles that are assumed one from another */

/* What a source does not use is NULL or 0. */
struct source {
	enum source_kind kind;
	char *text;	       /* for people: "environment", "role arn:… from profile ops of /root/.aws/config" */
	struct source *source; /* ASSUME_ROLE: whose keys are signed with; owned */
	struct aws_credentials keys; /* STATIC */
	bool from_file;		     /* STATIC: the file may be changed */

	char *region;	    /* ASSUME_ROLE, WEB_IDENTITY: of STS; SSO: its own */
	char *role_arn;	    /* ASSUME_ROLE, WEB_IDENTITY */
	char *session_name; /* the same */
	char *external_id;
	unsigned duration_s;

	char *token_file; /* WEB_IDENTITY, CONTAINER: read at each use; SSO: the cached token */
	char *account_id; /* SSO */
	char *role_name;  /* SSO */
	char *profile;	  /* SSO: for "aws sso login --profile" */

	char **command; /* PROCESS; words_free() */

	char *url;	     /* CONTAINER: whole; INSTANCE: without a final slash */
	char *authorization; /* CONTAINER: when there is no token_file */
	bool v1_refused;     /* INSTANCE: no request without a session token */
	char *tried;	     /* INSTANCE when nothing else was configured: what was looked at before */
	int64_t timeout_ms;  /* INSTANCE: of one try */
	unsigned tries;	     /* INSTANCE */
};

struct source_request {
	credentials_lookup lookup; /* the environment */
	void *lookup_ctx;
	const struct profiles *profiles;
	const char *profile; /* NULL: AWS_PROFILE, AWS_DEFAULT_PROFILE, "default" */
	const char *region;  /* NULL: AWS_REGION, AWS_DEFAULT_REGION, the profile's, us-east-1 */
	/* A role to assume with what the chain gives; NULL: none. */
	const char *role_arn;
	const char *external_id;  /* NULL: none */
	const char *session_name; /* NULL: SOURCE_SESSION_NAME */
};

/* Returns 0; or 1 with a sentence that names file, profile and key, and what to do. */
must_use int source_resolve(const struct source_request *request, struct source **ret, char *ret_error,
			    size_t error_size);
/* The profile that is in use when none is named. */
const char *source_profile(const struct source_request *request);
void source_free(struct source *s); /* wipes; NULL is fine */
define_cleanup(struct source *, source_free);

/* Whether the same would be asked of the same place, with the same keys. */
bool source_equal(const struct source *a, const struct source *b);
