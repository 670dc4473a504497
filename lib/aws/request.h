/*
 * What the request builders share. Internal to lib/aws.
 */
#pragma once

#include "aws/endpoint.h"
#include "base/buf.h"

struct arena;

#define REQUEST_TARGET_MAX 4096 /* path or query */

/* A request to the endpoint with the given path (behind the endpoint's own) and query, both in wire form. */
void request_init(struct http_request *r, struct arena *a, const struct aws_endpoint *e, const char *method,
		  const char *path, const char *query);
/* Hands over the body with its Content-Type, a string constant. Returns 0, or -E2BIG when the buffer had overflown. */
must_use int request_take_body(struct http_request *r, struct arena *a, const struct buf *body,
			       const char *content_type);
