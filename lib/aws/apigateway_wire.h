/*
 * What the files of API Gateway's operations share. Internal to lib/aws.
 */
#pragma once

#include "aws/endpoint.h"
#include "base/buf.h"
#include "chain/spec.h"

struct arena;

/* "/restapis" or "/v2/apis", and the segments behind it, percent-encoded; NULL ends them. */
void apigateway_init_request(struct http_request *r, struct arena *a, const struct aws_endpoint *e, enum api_type type,
			     const char *method, const char *const *segments, const struct buf *query);
