/* STS GetCallerIdentity: whose keys a request was signed with. Needs no right, and cannot be forbidden. */
#pragma once

#include "aws/endpoint.h"
#include "aws/error.h"

struct arena;

#define IDENTITY_ARN_SIZE 768 /* a user's path has 512 characters, names 64 */

struct identity {
	char arn[IDENTITY_ARN_SIZE];
	char account_id[16];
};

void identity_build_get(struct arena *a, const struct aws_endpoint *e, struct http_request *ret);
/* Returns 0, or 1 with an AWS_MALFORMED error. */
must_use int identity_parse(const struct http_response *response, struct identity *ret, struct aws_error *ret_error);
