/* Requests of STS and SSO that give keys for others. */
#pragma once

#include "aws/endpoint.h"
#include "credentials/source.h"

struct arena;

/* AssumeRole, to be signed with the keys of source->source. */
void sts_build_assume_role(const struct source *source, struct arena *a, const struct aws_endpoint *e,
			   struct http_request *ret);
/* AssumeRoleWithWebIdentity, which is not signed; the caller wipes ret->body. */
void sts_build_web_identity(const struct source *source, const char *token, struct arena *a,
			    const struct aws_endpoint *e, struct http_request *ret);
/* GetRoleCredentials of SSO; `token` is borrowed by the request. */
void sts_build_sso(const struct source *source, const char *token, struct arena *a, const struct aws_endpoint *e,
		   struct http_request *ret);
