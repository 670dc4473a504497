/*
 * Amazon CloudWatch by its JSON 1.0 protocol: GetMetricData (up to 500 queries a call, paged) and DescribeAlarms.
 * Building appends text into a capped buffer; a JSON library takes forty times as long for 500 queries.
 */
#pragma once

#include "aws/endpoint.h"
#include "aws/error.h"
#include "core/verdict.h"

struct arena;

enum cloudwatch_metric { CLOUDWATCH_INVOCATIONS, CLOUDWATCH_ERRORS };

/* One Lambda metric, statistic Sum. Dimensions are sent in the order FunctionName, Resource, ExecutedVersion. */
struct cloudwatch_query {
	enum cloudwatch_metric metric;
	const char *function; /* bare name */
	const char *alias;
	uint64_t version; /* ExecutedVersion; 0: the alias's own series, without that dimension */
	uint32_t period_s;
};

/* Ids on the wire are "q0", "q1", … by index. Times are whole seconds. `token` NULL for the first page.
 * Returns 0, or -E2BIG beyond LIMIT_AWS_REQUEST_BYTES. Requires 1 <= n <= LIMIT_METRIC_QUERIES. */
must_use int cloudwatch_build_get_metric_data(struct arena *a, const struct aws_endpoint *e,
					      const struct cloudwatch_query *queries, size_t n, int64_t start_unix_s,
					      int64_t end_unix_s, const char *token, struct http_request *ret);

/* StatusCode of one result, of all pages the worst. */
enum cloudwatch_status { CLOUDWATCH_COMPLETE, CLOUDWATCH_PARTIAL, CLOUDWATCH_INTERNAL_ERROR, CLOUDWATCH_FORBIDDEN };

struct cloudwatch_sink {
	void *ctx;
	/* Called for every datapoint, in any order. `query` is the index, below n. 0 <= value <= 2^53. */
	void (*datapoint)(void *ctx, size_t query, int64_t unix_ms, double value);
	/* Called once for every result of the page. A query without a result was not answered. */
	void (*status)(void *ctx, size_t query, enum cloudwatch_status status);
};

/* Returns 0 on a good page and writes the next token ("" at the end); 1 with ret_error filled for all else, in which
 * case the sink may have been called for a part of it. */
must_use int cloudwatch_parse_get_metric_data(const struct http_response *r, size_t n_queries,
					      const struct cloudwatch_sink *sink, struct buf *ret_next_token,
					      struct aws_error *ret_error);

#define CLOUDWATCH_ALARMS_MAX 100
/* Metric and composite alarms by name, at most CLOUDWATCH_ALARMS_MAX. */
void cloudwatch_build_describe_alarms(struct arena *a, const struct aws_endpoint *e, const char *const *names, size_t n,
				      const char *token, struct http_request *ret);
/* Calls `alarm` for each one found. */
must_use int cloudwatch_parse_describe_alarms(const struct http_response *r,
					      void (*alarm)(void *ctx, const char *name, enum alarm_state state,
							    const char *reason),
					      void *ctx, struct buf *ret_next_token, struct aws_error *ret_error);
