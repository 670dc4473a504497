/*
 * AWS Lambda's operations. Rules, statuses and texts are those of the real service, as far as they are known; where
 * this world cannot do what AWS can, it refuses and says so.
 */
#pragma once

#include "sim/call.h"

/* Which function a request means, and which part of it. */
struct lambda_target {
	struct function *function;
	struct version *version; /* the alias's stable version, if an alias is meant */
	struct alias *alias;	 /* NULL: none */
	const char *qualifier;	 /* NULL: none was given */
};

extern const struct call_error lambda_error_validation;
extern const struct call_error lambda_error_parameter;
extern const struct call_error lambda_error_not_found;
extern const struct call_error lambda_error_conflict;
extern const struct call_error lambda_error_precondition;

/* The functions below answer with an error and return false when the request will not do. */

/* The name in the path's first segment, without looking it up; sets call->function. `ret_qualifier` NULL: none. */
bool lambda_read_name(struct call *c, const char *text, const char **ret_name, const char **ret_qualifier);
/* Name and qualifier, from the path and the query; they must not contradict each other. */
bool lambda_read_target(struct call *c, const char **ret_name, const char **ret_qualifier);
/* The function alone. A qualifier in the name or the query is an error only if they contradict each other. */
bool lambda_find_function(struct call *c, struct lambda_target *ret);
/* The function and what its qualifier means; $LATEST without one. */
bool lambda_find(struct call *c, struct lambda_target *ret);
const char *lambda_arn(struct call *c, const char *function, const char *qualifier);

/* Fields of the JSON body; absent and null leave *ret alone. */
bool lambda_read_text(struct call *c, const char *key, const char **ret);
bool lambda_read_text_of(struct call *c, json_t *in, const char *key, const char **ret); /* of an object in it */
bool lambda_read_bool(struct call *c, const char *key, bool *ret);
bool lambda_check_revision(struct call *c, const char *current);
/* Marker and MaxItems of a list: the index to begin with, and the page's size, at most `most`. */
bool lambda_read_page(struct call *c, size_t most, size_t *ret_first, size_t *ret_count);
/* "NextMarker": the index to go on with, or null. */
json_t *lambda_next_marker(struct call *c, size_t next, size_t total);

/* The configuration of a version. `listed`: as ListVersionsByFunction and ListFunctions show it, without states. */
json_t *lambda_configuration(struct call *c, const struct function *f, const struct version *v, const char *qualifier,
			     bool listed);

/* Whether the alias may have provisioned concurrency while it names this version. */
bool lambda_may_provision(struct call *c, const struct function *f, const struct alias *a, uint64_t version);

/* How one request through a function ended. */
enum lambda_end {
	LAMBDA_ANSWERED,
	LAMBDA_FAILED,	  /* the function's own error: the payload says which */
	LAMBDA_THROTTLED, /* 429 to the caller */
	LAMBDA_ABSENT,	  /* no function, version or alias of that name */
	LAMBDA_NOT_READY, /* the version is still Pending, or has Failed: it serves nothing */
};

/* The last three are set when a version has run: LAMBDA_ANSWERED and LAMBDA_FAILED. */
struct lambda_served {
	enum lambda_end end;
	uint64_t version;    /* VERSION_LATEST: $LATEST */
	const char *payload; /* JSON text; the arena's */
	size_t payload_len;
	double duration_ms;
};

/*
 * One request at the world's time through a function and its qualifier: a version's number, an alias's name,
 * "$LATEST", or NULL for $LATEST. The version is chosen, behaves, is counted and measured just as for Invoke, which is
 * made of this. `user`, less than USERS_MAX, is counted; NULL: nobody in particular. `request_id` is told to whom the
 * function fails.
 */
void lambda_serve(struct world *w, struct arena *a, const char *function, const char *qualifier, const uint64_t *user,
		  const char *request_id, struct lambda_served *ret);

/*
 * Whether the policy of exactly this qualifier (NULL or "$LATEST": the function's own) lets the service invoke it:
 * principal_service "apigateway.amazonaws.com", source_arn as AWS forms it, source_account twelve digits; NULL for what
 * the request does not have. A statement with a condition that the world cannot judge permits nothing.
 */
bool lambda_permits(const struct function *f, const char *qualifier, const char *principal_service,
		    const char *source_arn, const char *source_account);

void lambda_create_function(struct call *c);
void lambda_get_function(struct call *c);
void lambda_get_function_configuration(struct call *c);
void lambda_list_functions(struct call *c);
void lambda_update_function_code(struct call *c);
void lambda_update_function_configuration(struct call *c);
void lambda_delete_function(struct call *c);
void lambda_publish_version(struct call *c);
void lambda_list_versions(struct call *c);
void lambda_create_alias(struct call *c);
void lambda_get_alias(struct call *c);
void lambda_update_alias(struct call *c);
void lambda_delete_alias(struct call *c);
void lambda_list_aliases(struct call *c);
void lambda_invoke(struct call *c);
void lambda_add_permission(struct call *c);
void lambda_remove_permission(struct call *c);
void lambda_get_policy(struct call *c);
void lambda_put_provisioned(struct call *c);
void lambda_get_provisioned(struct call *c);
void lambda_list_provisioned(struct call *c);
void lambda_delete_provisioned(struct call *c);
void lambda_get_account_settings(struct call *c);
