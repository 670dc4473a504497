/*
 * AWS Lambda operations: each has a builder, which fills an unsigned http_request in the arena, and a parser.
 * A function is named by its bare name or its ARN, which is percent-encoded as one path segment.
 */
#pragma once

#include "aws/endpoint.h"
#include "aws/error.h"
#include "core/alias.h"

struct arena;

void lambda_build_get_alias(struct arena *a, const struct aws_endpoint *e, const char *function, const char *alias,
			    struct http_request *ret);
/* Always sends RevisionId and RoutingConfig (empty weights clear it). `description` NULL: left as it is. */
void lambda_build_update_alias(struct arena *a, const struct aws_endpoint *e, const char *function, const char *alias,
			       const struct alias_target *target, const char *revision, const char *description,
			       struct http_request *ret);
/* `qualifier`: a version's number as text, "$LATEST", or NULL. */
void lambda_build_get_function(struct arena *a, const struct aws_endpoint *e, const char *function,
			       const char *qualifier, struct http_request *ret);
void lambda_build_list_versions(struct arena *a, const struct aws_endpoint *e, const char *function, const char *marker,
				struct http_request *ret);

struct lambda_function {
	char function_name[65];
	char version[24]; /* "7" or "$LATEST" */
	char code_sha256[CODE_HASH_SIZE];
	char state[24]; /* "" when AWS leaves it out */
	char state_reason[LIMIT_REASON];
	char last_update_status[24];
	char role[256];
	char dead_letter_target[256]; /* "" when none */
	char revision[REVISION_SIZE];
};

struct lambda_versions {
	uint64_t highest;	/* highest published version of this page; 0: none */
	char next_marker[1024]; /* "" at the end */
};

/* Parsers return 0 on a good answer, and 1 with ret_error filled for every other one. */
must_use int lambda_parse_alias(const struct http_response *r, struct alias_view *ret, struct aws_error *ret_error);
must_use int lambda_parse_get_function(const struct http_response *r, struct lambda_function *ret,
				       struct aws_error *ret_error);
must_use int lambda_parse_list_versions(const struct http_response *r, struct lambda_versions *ret,
					struct aws_error *ret_error);
