/*
 * Amazon CloudWatch by its JSON 1.0 protocol: GetMetricData (up to 500 queries a call, paged) and DescribeAlarms.
 * Building appends text into a capped buffer; a JSON library takes forty times as long for 500 queries.
 */
#pragma once

#include "aws/endpoint.h"
#include "aws/error.h"
#include "core/verdict.h"

struct arena;
struct cloudwatch_verbatim; /* cloudwatch_verbatim.h */

enum cloudwatch_metric {
	CLOUDWATCH_INVOCATIONS,
	CLOUDWATCH_ERRORS,
	CLOUDWATCH_THROTTLES,
	CLOUDWATCH_DURATION, /* in ms, of that statistic */
	CLOUDWATCH_API_5XX,  /* of an API's stage */
	CLOUDWATCH_API_COUNT,
	CLOUDWATCH_VERBATIM,  /* as somebody wrote it: the next ones, as many as it has queries besides the first … */
	CLOUDWATCH_CONTINUED, /* … are these */
};

/*
 * One metric: AWS/Lambda's or AWS/ApiGateway's, statistic Sum but for the duration. Dimensions are sent in the order
 * FunctionName, Resource, ExecutedVersion; ApiName or ApiId, Stage.
 */
struct cloudwatch_query {
	enum cloudwatch_metric metric;
	const char *function; /* bare name */
	const char *alias;
	uint64_t version; /* ExecutedVersion; 0: the alias's own series, without that dimension */
	uint32_t period_s;
	const char *stat; /* of the duration: "p99", "Average" */
	const char *api;  /* name of a REST API, or id of an HTTP API */
	bool http_api;
	const char *stage;
	const struct cloudwatch_verbatim *verbatim;
};

/* How much of a request it takes, at most; of CLOUDWATCH_VERBATIM with what it is continued by. */
size_t cloudwatch_query_bytes(const struct cloudwatch_query *q);
/* So many bytes of queries leave room for everything else in a request, a token of this length included. */
#define CLOUDWATCH_TOKEN_MAX   8192
#define CLOUDWATCH_QUERIES_MAX (LIMIT_AWS_REQUEST_BYTES - 6 * CLOUDWATCH_TOKEN_MAX - 1024)

/* The same list of MetricDataQueries by itself, for showing what is asked: its items, without the brackets. */
void cloudwatch_print_queries(struct buf *b, const struct cloudwatch_query *queries, size_t n);

/* Ids on the wire are "q0", "q1", … by index. Times are whole seconds. `token` NULL for the first page.
 * Returns 0, or -E2BIG beyond LIMIT_AWS_REQUEST_BYTES. Requires 1 <= n <= LIMIT_METRIC_QUERIES. */
must_use int cloudwatch_build_get_metric_data(struct arena *a, const struct aws_endpoint *e,
					      const struct cloudwatch_query *queries, size_t n, int64_t start_unix_s,
					      int64_t end_unix_s, const char *token, struct http_request *ret);

/* StatusCode of one result, of all pages the worst. */
enum cloudwatch_status { CLOUDWATCH_COMPLETE, CLOUDWATCH_PARTIAL, CLOUDWATCH_INTERNAL_ERROR, CLOUDWATCH_FORBIDDEN };

struct cloudwatch_sink {
	void *ctx;
	/* Called for every datapoint, in any order. `query` is the index, below n. The value is finite, and of a count
	 * 0 … 2^53. */
	void (*datapoint)(void *ctx, size_t query, int64_t unix_ms, double value);
	/* Called once for every result of the page. A query without a result was not answered. */
	void (*status)(void *ctx, size_t query, enum cloudwatch_status status);
	/* Whether the query's values are counts; NULL: all are. */
	bool (*is_count)(void *ctx, size_t query);
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
