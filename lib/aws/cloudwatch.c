#include "aws/cloudwatch.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "aws/cloudwatch_verbatim.h"
#include "aws/json.h"
#include "aws/request.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"

#define TARGET_PREFIX	"GraniteServiceVersion20100801."
#define CONTENT_TYPE	"application/x-amz-json-1.0"
#define LARGEST_COUNT	9007199254740992.0 /* 2^53: beyond it a double skips numbers */
#define QUERY_BYTES	320		   /* of one, besides the names in it */
#define LATEST_TIME_S	1e11		   /* the year 5138: what is later is no time */
#define ALARM_NAME_SIZE (LIMIT_ALARM_NAME * 4 + 1)

/* --- requests --- */

static int finish_request(struct http_request *r, struct arena *a, const struct aws_endpoint *e, const char *target,
			  const struct buf *body)
{
	request_init(r, a, e, "POST", "/", "");
	int result = request_take_body(r, a, body, CONTENT_TYPE);
	http_request_add_header(r, "X-Amz-Target", target);
	/* Asks for the status codes of the documentation (404) instead of 400 for everything. */
	http_request_add_header(r, "x-amzn-query-mode", "true");
	return result;
}

static void add_dimension(struct buf *b, const char *name, const char *value)
{
	buf_add_text(b, "{\"Name\":\"");
	buf_add_text(b, name);
	buf_add_text(b, "\",\"Value\":");
	buf_add_json_string(b, value);
	buf_add_char(b, '}');
}

struct named_metric {
	const char *namespace;
	const char *name;
};

static struct named_metric name_metric(const struct cloudwatch_query *q)
{
	static const struct named_metric names[] = {
	    [CLOUDWATCH_INVOCATIONS] = {"AWS/Lambda", "Invocations"},
	    [CLOUDWATCH_ERRORS] = {"AWS/Lambda", "Errors"},
	    [CLOUDWATCH_THROTTLES] = {"AWS/Lambda", "Throttles"},
	    [CLOUDWATCH_DURATION] = {"AWS/Lambda", "Duration"},
	    [CLOUDWATCH_API_5XX] = {"AWS/ApiGateway", "5XXError"},
	    [CLOUDWATCH_API_COUNT] = {"AWS/ApiGateway", "Count"},
	};
	if (q->metric == CLOUDWATCH_API_5XX && q->http_api)
		return (struct named_metric){"AWS/ApiGateway", "5xx"};
	return names[q->metric];
}

static bool is_of_api(const struct cloudwatch_query *q)
{
	return q->metric == CLOUDWATCH_API_5XX || q->metric == CLOUDWATCH_API_COUNT;
}

static void add_lambda_dimensions(struct buf *b, const struct cloudwatch_query *q)
{
	char resource[LIMIT_FUNCTION_NAME + LIMIT_ALIAS_NAME + 2];
	int len = snprintf(resource, sizeof(resource), "%s:%s", q->function, q->alias);
	require(len > 0 && (size_t)len < sizeof(resource)); /* both are capped where plans are read */

	add_dimension(b, "FunctionName", q->function);
	buf_add_char(b, ',');
	add_dimension(b, "Resource", resource);
	if (q->version != 0) {
		char version[24];
		version_format(q->version, version);
		buf_add_char(b, ',');
		add_dimension(b, "ExecutedVersion", version);
	}
}

static void add_metric_stat(struct buf *b, size_t index, const struct cloudwatch_query *q)
{
	struct named_metric name = name_metric(q);
	buf_add_text(b, "{\"Id\":\"q");
	buf_add_u64(b, index);
	buf_add_text(b, "\",\"MetricStat\":{\"Metric\":{\"Namespace\":\"");
	buf_add_text(b, name.namespace);
	buf_add_text(b, "\",\"MetricName\":\"");
	buf_add_text(b, name.name);
	buf_add_text(b, "\",\"Dimensions\":[");
	if (is_of_api(q)) {
		add_dimension(b, q->http_api ? "ApiId" : "ApiName", q->api);
		buf_add_char(b, ',');
		add_dimension(b, "Stage", q->stage);
	} else {
		add_lambda_dimensions(b, q);
	}
	buf_add_text(b, "]},\"Period\":");
	buf_add_u64(b, q->period_s);
	buf_add_text(b, ",\"Stat\":");
	buf_add_json_string(b, q->metric == CLOUDWATCH_DURATION ? q->stat : "Sum");
	buf_add_text(b, "}}");
}

void cloudwatch_print_queries(struct buf *b, const struct cloudwatch_query *queries, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (queries[i].metric == CLOUDWATCH_CONTINUED)
			continue;
		if (i > 0)
			buf_add_char(b, ',');
		if (queries[i].metric == CLOUDWATCH_VERBATIM)
			cloudwatch_verbatim_add(queries[i].verbatim, i, b);
		else
			add_metric_stat(b, i, &queries[i]);
	}
}

size_t cloudwatch_query_bytes(const struct cloudwatch_query *q)
{
	/* The function's name stands there twice; what names an API may have to be escaped. */
	if (q->metric == CLOUDWATCH_VERBATIM)
		return cloudwatch_verbatim_bytes(q->verbatim) + 1;
	if (q->metric == CLOUDWATCH_CONTINUED)
		return 0;
	if (is_of_api(q))
		return QUERY_BYTES + 6 * (strlen(q->api) + strlen(q->stage));
	return QUERY_BYTES + 2 * strlen(q->function) + strlen(q->alias) + (q->stat ? strlen(q->stat) : 0);
}

static void add_token(struct buf *b, const char *token)
{
	if (!token || !*token)
		return;
	buf_add_text(b, ",\"NextToken\":");
	buf_add_json_string(b, token);
}

int cloudwatch_build_get_metric_data(struct arena *a, const struct aws_endpoint *e,
				     const struct cloudwatch_query *queries, size_t n, int64_t start_unix_s,
				     int64_t end_unix_s, const char *token, struct http_request *ret)
{
	require(n >= 1 && n <= LIMIT_METRIC_QUERIES);
	require(start_unix_s >= 0 && end_unix_s >= start_unix_s);
	struct buf body cleanup(buf_deinit) = BUF_INIT(LIMIT_AWS_REQUEST_BYTES);
	buf_add_text(&body, "{\"StartTime\":");
	buf_add_u64(&body, (uint64_t)start_unix_s);
	buf_add_text(&body, ",\"EndTime\":");
	buf_add_u64(&body, (uint64_t)end_unix_s);
	buf_add_text(&body, ",\"ScanBy\":\"TimestampAscending\"");
	add_token(&body, token);
	buf_add_text(&body, ",\"MetricDataQueries\":[");
	cloudwatch_print_queries(&body, queries, n);
	buf_add_text(&body, "]}");
	return finish_request(ret, a, e, TARGET_PREFIX "GetMetricData", &body);
}

void cloudwatch_build_describe_alarms(struct arena *a, const struct aws_endpoint *e, const char *const *names, size_t n,
				      const char *token, struct http_request *ret)
{
	require(n >= 1 && n <= CLOUDWATCH_ALARMS_MAX);
	struct buf body cleanup(buf_deinit) = BUF_INIT(LIMIT_AWS_REQUEST_BYTES);
	buf_add_text(&body, "{\"AlarmNames\":[");
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_add_char(&body, ',');
		buf_add_json_string(&body, names[i]);
	}
	/* Without AlarmTypes, composite alarms are not looked for. */
	buf_add_text(&body, "],\"AlarmTypes\":[\"MetricAlarm\",\"CompositeAlarm\"],\"MaxRecords\":100");
	add_token(&body, token);
	buf_add_char(&body, '}');
	require(finish_request(ret, a, e, TARGET_PREFIX "DescribeAlarms", &body) == 0);
}

/* --- answers --- */

static int malformed(const struct http_response *r, const char *what, struct aws_error *ret_error)
{
	aws_error_malformed(r, what, ret_error);
	return 1;
}

/* "q17" to 17, below n; no other spelling of it. */
static bool parse_id(const json_t *result, size_t n, size_t *ret)
{
	char id[16];
	uint64_t v;
	if (!json_copy_text(result, "Id", true, id, sizeof(id)) || id[0] != 'q' || (id[1] == '0' && id[2]) ||
	    text_parse_u64(id + 1, n - 1, &v))
		return false;
	*ret = (size_t)v;
	return true;
}

/* What is not known to be complete is not taken for it. */
static bool parse_status(const json_t *result, enum cloudwatch_status *ret)
{
	char code[32];
	if (!json_copy_text(result, "StatusCode", true, code, sizeof(code)))
		return false;
	if (strcmp(code, "Complete") == 0)
		*ret = CLOUDWATCH_COMPLETE;
	else if (strcmp(code, "PartialData") == 0)
		*ret = CLOUDWATCH_PARTIAL;
	else if (strcmp(code, "Forbidden") == 0)
		*ret = CLOUDWATCH_FORBIDDEN;
	else
		*ret = CLOUDWATCH_INTERNAL_ERROR;
	return true;
}

/* Seconds as a number, whole or not, or ISO 8601. */
static bool parse_time(const json_t *value, int64_t *ret_unix_ms)
{
	if (json_is_string(value))
		return text_parse_utc(json_string_value(value), ret_unix_ms) == 0 && *ret_unix_ms >= 0;
	double seconds = json_number_value(value);
	if (!json_is_number(value) || !(seconds >= 0 && seconds <= LATEST_TIME_S))
		return false;
	*ret_unix_ms = (int64_t)nearbyint(seconds * 1000);
	return true;
}

static const char *read_datapoints(const json_t *result, size_t query, const struct cloudwatch_sink *sink)
{
	const json_t *times;
	const json_t *values;
	if (!json_get_array(result, "Timestamps", &times) || !json_get_array(result, "Values", &values) ||
	    json_array_size(times) != json_array_size(values))
		return "a result has as many Timestamps as Values";
	bool count = !sink->is_count || sink->is_count(sink->ctx, query);
	for (size_t i = 0; i < json_array_size(times); i++) {
		int64_t unix_ms;
		const json_t *value = json_array_get(values, i);
		double v = json_number_value(value);
		if (!parse_time(json_array_get(times, i), &unix_ms))
			return "Timestamps are seconds since 1970 or ISO 8601";
		if (count && (!json_is_number(value) || !(v >= 0 && v <= LARGEST_COUNT)))
			return "a count is a number from 0 to 2^53";
		if (!json_is_number(value) || !isfinite(v))
			return "a value is a finite number";
		sink->datapoint(sink->ctx, query, unix_ms, v);
	}
	return NULL;
}

static const char *read_token(const json_t *root, struct buf *ret_next_token)
{
	const json_t *token = json_object_get(root, "NextToken");
	if (token && !json_is_null(token) && !json_is_string(token))
		return "NextToken is text";
	const char *text = json_is_string(token) ? json_string_value(token) : "";
	if (strlen(text) > ret_next_token->max)
		return "NextToken is longer than any that can be sent back";
	buf_reset(ret_next_token);
	buf_add_text(ret_next_token, text);
	return NULL;
}

int cloudwatch_parse_get_metric_data(const struct http_response *r, size_t n_queries,
				     const struct cloudwatch_sink *sink, struct buf *ret_next_token,
				     struct aws_error *ret_error)
{
	require(n_queries >= 1);
	json_t *root cleanup(json_decref_p) = json_from_answer(r, ret_error);
	if (!root)
		return 1;
	const json_t *results = json_object_get(root, "MetricDataResults");
	if (!json_is_array(results))
		return malformed(r, "metric data has MetricDataResults", ret_error);
	size_t i;
	json_t *result;
	json_array_foreach(results, i, result)
	{
		size_t query;
		enum cloudwatch_status status;
		if (!parse_id(result, n_queries, &query))
			return malformed(r, "a result's Id is one that was asked for", ret_error);
		if (!parse_status(result, &status))
			return malformed(r, "a result has a StatusCode", ret_error);
		const char *problem = read_datapoints(result, query, sink);
		if (problem)
			return malformed(r, problem, ret_error);
		sink->status(sink->ctx, query, status);
	}
	const char *problem = read_token(root, ret_next_token);
	return problem ? malformed(r, problem, ret_error) : 0;
}

static enum alarm_state alarm_state_from_text(const char *text)
{
	if (strcmp(text, "OK") == 0)
		return ALARM_OK;
	if (strcmp(text, "ALARM") == 0)
		return ALARM_ALARM;
	if (strcmp(text, "INSUFFICIENT_DATA") == 0)
		return ALARM_INSUFFICIENT;
	return ALARM_UNKNOWN;
}

static const char *read_alarms(const json_t *alarms,
			       void (*alarm)(void *ctx, const char *name, enum alarm_state state, const char *reason),
			       void *ctx)
{
	for (size_t i = 0; i < json_array_size(alarms); i++) {
		const json_t *item = json_array_get(alarms, i);
		char name[ALARM_NAME_SIZE];
		char state[32];
		char reason[LIMIT_REASON];
		if (!json_copy_text(item, "AlarmName", true, name, sizeof(name)) ||
		    !json_copy_text(item, "StateValue", true, state, sizeof(state)))
			return "an alarm has AlarmName and StateValue";
		const json_t *text = json_object_get(item, "StateReason");
		text_copy_printable(reason, sizeof(reason), json_is_string(text) ? json_string_value(text) : "");
		alarm(ctx, name, alarm_state_from_text(state), reason);
	}
	return NULL;
}

int cloudwatch_parse_describe_alarms(const struct http_response *r,
				     void (*alarm)(void *ctx, const char *name, enum alarm_state state,
						   const char *reason),
				     void *ctx, struct buf *ret_next_token, struct aws_error *ret_error)
{
	json_t *root cleanup(json_decref_p) = json_from_answer(r, ret_error);
	if (!root)
		return 1;
	const json_t *metric;
	const json_t *composite;
	/* One of the two lists at least: {} is what something else than CloudWatch would say. */
	if (!json_get_array(root, "MetricAlarms", &metric) || !json_get_array(root, "CompositeAlarms", &composite) ||
	    (!metric && !composite))
		return malformed(r, "alarms come as MetricAlarms and CompositeAlarms", ret_error);
	const char *problem = read_alarms(metric, alarm, ctx);
	if (!problem)
		problem = read_alarms(composite, alarm, ctx);
	if (!problem)
		problem = read_token(root, ret_next_token);
	return problem ? malformed(r, problem, ret_error) : 0;
}
