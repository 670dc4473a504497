/*
 * AWS Lambda operations that keep a function's chain: code, versions, aliases, policies, provisioned concurrency, and
 * invoking. Builders and parsers as in lambda.h; what parsers read goes into the arena of the view.
 */
#pragma once

#include "aws/lambda.h"
#include "chain/view.h"

/* --- code and versions --- */

/* `zip_base64`: of the file, for CODE_ZIP; NULL otherwise. Returns 0 or -E2BIG. */
must_use int lambda_build_create_function(struct arena *a, const struct aws_endpoint *e, const char *function,
					  const struct create_spec *create, const struct code_spec *code,
					  const char *zip_base64, struct http_request *ret);
must_use int lambda_build_update_code(struct arena *a, const struct aws_endpoint *e, const char *function,
				      const struct code_spec *code, const char *zip_base64, const char *revision,
				      struct http_request *ret);
/* `code_sha256`: the version must have this code, else AWS refuses; `description` NULL: none. */
void lambda_build_publish_version(struct arena *a, const struct aws_endpoint *e, const char *function,
				  const char *code_sha256, const char *description, struct http_request *ret);
void lambda_build_delete_version(struct arena *a, const struct aws_endpoint *e, const char *function, uint64_t version,
				 struct http_request *ret);

/* A configuration, as CreateFunction, UpdateFunctionCode and PublishVersion answer it. */
must_use int lambda_parse_configuration(const struct http_response *r, struct view_version *ret,
					struct aws_error *ret_error);
/* GetFunction of $LATEST: fills function_found, partition, region, account_id, latest and image_uri, and says what
 * revision it has. */
must_use int lambda_parse_function(const struct http_response *r, struct chain_view *v,
				   char ret_revision[static REVISION_SIZE], struct aws_error *ret_error);
/* A page of ListVersionsByFunction: adds to v->versions; and sets v->latest.config_digest from its $LATEST. */
must_use int lambda_parse_versions(const struct http_response *r, struct chain_view *v, char *ret_marker,
				   size_t marker_size, struct aws_error *ret_error);

/* --- aliases --- */

void lambda_build_create_alias(struct arena *a, const struct aws_endpoint *e, const char *function, const char *alias,
			       uint64_t version, struct http_request *ret);
void lambda_build_list_aliases(struct arena *a, const struct aws_endpoint *e, const char *function, const char *marker,
			       struct http_request *ret);
must_use int lambda_parse_aliases(const struct http_response *r, struct chain_view *v, char *ret_marker,
				  size_t marker_size, struct aws_error *ret_error);

/* --- policies --- */

void lambda_build_get_policy(struct arena *a, const struct aws_endpoint *e, const char *function, const char *qualifier,
			     struct http_request *ret);
/* Lets API Gateway invoke through the alias: action lambda:InvokeFunction, principal apigateway.amazonaws.com. */
void lambda_build_add_permission(struct arena *a, const struct aws_endpoint *e, const char *function, const char *alias,
				 const char *sid, const char *source_arn, const char *source_account,
				 struct http_request *ret);
void lambda_build_remove_permission(struct arena *a, const struct aws_endpoint *e, const char *function,
				    const char *alias, const char *sid, struct http_request *ret);
/* The statements about that alias. */
must_use int lambda_parse_policy(const struct http_response *r, const char *alias, struct arena *a,
				 struct view_policy *ret, struct aws_error *ret_error);
/* ret_bytes: of the statement that was added. */
must_use int lambda_parse_add_permission(const struct http_response *r, size_t *ret_bytes, struct aws_error *ret_error);

/* --- provisioned concurrency --- */

void lambda_build_put_concurrency(struct arena *a, const struct aws_endpoint *e, const char *function, uint64_t version,
				  uint32_t count, struct http_request *ret);
void lambda_build_delete_concurrency(struct arena *a, const struct aws_endpoint *e, const char *function,
				     uint64_t version, struct http_request *ret);
void lambda_build_list_concurrency(struct arena *a, const struct aws_endpoint *e, const char *function,
				   const char *marker, struct http_request *ret);
/* Adds to v->concurrency and sets concurrency_read. */
must_use int lambda_parse_concurrencies(const struct http_response *r, struct chain_view *v, char *ret_marker,
					size_t marker_size, struct aws_error *ret_error);

/* --- invoking --- */

/* Synchronous. `payload` is JSON. */
void lambda_build_invoke(struct arena *a, const struct aws_endpoint *e, const char *function, const char *qualifier,
			 const char *payload, size_t payload_len, struct http_request *ret);

/* The same, with what the function finds as its client context: JSON, at most LAMBDA_CONTEXT_MAX characters. */
#define LAMBDA_CONTEXT_MAX 2048 /* AWS takes 3,583 bytes of base64 */
void lambda_build_invoke_with(struct arena *a, const struct aws_endpoint *e, const char *function,
			      const char *qualifier, const char *context, const char *payload, size_t payload_len,
			      struct http_request *ret);

struct lambda_invoked {
	bool failed; /* X-Amz-Function-Error */
	char executed_version[24];
	/* The first bytes of what it answered, printable, cut. */
	char payload[LIMIT_HOOK_OUTPUT_BYTES];
	/* {"status": TEXT, "reason": TEXT} when the answer is an object that says so; "" otherwise. An object that
	 * cannot be read (not JSON to its end, a key twice, nested too deep) has a status that is no success, and why.
	 */
	char status[32];
	char reason[LIMIT_REASON];
};

/* Of a call whose answer says nothing but that it was done. Returns 0, or 1 with the problem. */
must_use int lambda_parse_done(const struct http_response *r, struct aws_error *ret_error);
must_use int lambda_parse_invoke(const struct http_response *r, struct lambda_invoked *ret,
				 struct aws_error *ret_error);

/* --- trying rights: requests that AWS refuses for another reason when the right is there --- */

/* UpdateAlias that names a RevisionId which no alias has: 412 with the right, 403 without. Nothing is changed. */
void lambda_build_try_update_alias(struct arena *a, const struct aws_endpoint *e, const char *function,
				   const char *alias, struct http_request *ret);
/* PublishVersion for a code that the function has not: 400 with the right, 403 without. */
void lambda_build_try_publish(struct arena *a, const struct aws_endpoint *e, const char *function,
			      struct http_request *ret);
/* RemovePermission of a statement that is not there: 404 with the right, 403 without. */
void lambda_build_try_remove_permission(struct arena *a, const struct aws_endpoint *e, const char *function,
					const char *alias, struct http_request *ret);
