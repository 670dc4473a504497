/* A world without signatures, its clock, and the last answer: for the tests of lib/sim. */
#pragma once

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/clock.h"
#include "base/text.h"
#include "sim/world.h"

#define RIG_START_MS INT64_C(1795385400000) /* 2026-11-22T22:10:00Z, a whole minute */
#define PROD	     "/2015-03-31/functions/hello/aliases/prod"

struct rig {
	struct world *w;
	struct instant now;
	struct world_reply reply;
	json_t *body; /* of the last answer, if it was JSON */
};

static inline void rig_init(struct rig *r, uint64_t seed, const char *world)
{
	*r = (struct rig){.w = world_new(seed), .now = {.unix_ms = RIG_START_MS, .boot_ms = 1000}};
	struct diags *diags = mem_alloc(sizeof(*diags));
	struct buf errors = BUF_INIT(64 * 1024);
	world_require_signatures(r->w, false);
	world_serve_admin(r->w, true);
	int failed = world ? world_load(r->w, world, strlen(world), r->now, diags) : 0;
	diags_format(diags, "world", &errors);
	assert_string_equal(buf_text(&errors), "");
	assert_int_equal(failed, 0);
	buf_deinit(&errors);
	diags_deinit(diags);
	free(diags);
}

static inline void rig_deinit(struct rig *r)
{
	json_decref(r->body);
	world_reply_deinit(&r->reply);
	world_free(r->w);
}

static inline void rig_advance(struct rig *r, int64_t ms)
{
	r->now.unix_ms += ms;
	r->now.boot_ms += ms;
	world_advance(r->w, r->now);
}

/* Answers what it would have been: the fate is in r->reply. */
static inline int rig_request(struct rig *r, struct http_request *request)
{
	json_decref(r->body);
	world_reply_deinit(&r->reply);
	request->scheme = "http";
	request->host = "localhost";
	if (!request->query)
		request->query = "";
	if (request->body && !request->body_len)
		request->body_len = strlen(request->body);
	world_handle(r->w, request, r->now, &r->reply);
	r->body = r->reply.response.body_len
		      ? json_loadb(r->reply.response.body, r->reply.response.body_len, JSON_DECODE_ANY, NULL)
		      : NULL;
	return r->reply.response.status;
}

static inline int rig_call(struct rig *r, const char *method, const char *path, const char *body)
{
	struct http_request request = {.method = method, .path = path, .body = body};
	return rig_request(r, &request);
}

static inline int rig_cloudwatch(struct rig *r, const char *operation, const char *body)
{
	char target[128];
	snprintf(target, sizeof(target), "GraniteServiceVersion20100801.%s", operation);
	struct http_request request = {.method = "POST", .path = "/", .body = body};
	http_request_add_header(&request, "X-Amz-Target", target);
	http_request_add_header(&request, "Content-Type", "application/x-amz-json-1.0");
	return rig_request(r, &request);
}

static inline const char *rig_text(const struct rig *r, const char *key)
{
	const char *text = json_string_value(json_object_get(r->body, key));
	return text ? text : "";
}

static inline const char *rig_error(const struct rig *r)
{
	const struct http_response *a = &r->reply.response;
	const char *code = http_header_find(a->headers, a->n_headers, "x-amzn-errortype");
	return code ? code : "";
}

/* The values of one metric from the start of the rig to now, rising; missing dimensions are NULL. The result is
 * borrowed from r->body. */
static inline json_t *rig_values(struct rig *r, const char *metric, const char *stat, const char *resource,
				 const char *version)
{
	json_t *dimensions = json_pack("[{s:s, s:s}]", "Name", "FunctionName", "Value", "hello");
	if (resource)
		json_array_append_new(dimensions, json_pack("{s:s, s:s}", "Name", "Resource", "Value", resource));
	/* In front, to show that the order does not matter. */
	if (version)
		json_array_insert_new(dimensions, 0,
				      json_pack("{s:s, s:s}", "Name", "ExecutedVersion", "Value", version));
	json_t *in = json_pack("{s:I, s:I, s:s, s:[{s:s, s:{s:{s:s, s:s, s:o}, s:i, s:s}}]}", "StartTime",
			       (json_int_t)(RIG_START_MS / 1000 - 3600), "EndTime",
			       (json_int_t)(r->now.unix_ms / 1000 + 1), "ScanBy", "TimestampAscending",
			       "MetricDataQueries", "Id", "a", "MetricStat", "Metric", "Namespace", "AWS/Lambda",
			       "MetricName", metric, "Dimensions", dimensions, "Period", 60, "Stat", stat);
	char *text = json_dumps(in, 0);
	int status = rig_cloudwatch(r, "GetMetricData", text);
	free(text);
	json_decref(in);
	assert_int_equal(status, 200);
	return json_object_get(json_array_get(json_object_get(r->body, "MetricDataResults"), 0), "Values");
}

static inline double rig_value(struct rig *r, size_t index, const char *metric, const char *resource,
			       const char *version)
{
	return json_number_value(json_array_get(rig_values(r, metric, "Sum", resource, version), index));
}

/* One number of what a version of hello has served. */
static inline json_int_t rig_usage(struct rig *r, const char *version, const char *what)
{
	assert_int_equal(rig_call(r, "GET", "/_localaws/counters", NULL), 200);
	json_t *hello = json_object_get(json_object_get(r->body, "functions"), "hello");
	json_t *usage = json_object_get(json_object_get(hello, "versions"), version);
	assert_non_null(usage);
	return json_integer_value(json_object_get(usage, what));
}
