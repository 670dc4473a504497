/*
 * What the request builders share. Internal to lib/aws.
 */
#pragma once

#include "aws/endpoint.h"
#include "base/buf.h"

struct arena;

#define REQUEST_TARGET_MAX 8192 /* path or query */
#define REQUEST_JSON	   "application/json"

/* A request to the endpoint with the given path (behind the endpoint's own) and query, both in wire form. */
void request_init(struct http_request *r, struct arena *a, const struct aws_endpoint *e, const char *method,
		  const char *path, const char *query);
/* The same from buffers; query NULL: none. Names and tokens are capped where they come from (plans, configuration,
 * AWS's own answers), so that neither can have overflown. */
void request_init_target(struct http_request *r, struct arena *a, const struct aws_endpoint *e, const char *method,
			 const struct buf *path, const struct buf *query);
void request_add_segment(struct buf *path, const char *text); /* percent-encoded, '/' too */
/* "name=value", behind what is there; nothing when the value is NULL or "". */
void request_add_parameter(struct buf *query, const char *name, const char *value);
/* The key of a JSON object's next member, behind what is there. */
void request_add_key(struct buf *body, const char *key);
/* A member of a JSON object, behind what is there; nothing when the value is NULL or "". */
void request_add_member(struct buf *body, const char *key, const char *value);
/* Hands over a body of JSON that is too small to overflow. */
void request_take_json(struct http_request *r, struct arena *a, const struct buf *body);
/* Hands over the body with its Content-Type, a string constant. Returns 0, or -E2BIG when the buffer had overflown. */
must_use int request_take_body(struct http_request *r, struct arena *a, const struct buf *body,
			       const char *content_type);
