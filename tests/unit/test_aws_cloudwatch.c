/* CloudWatch: what goes out, and what is made of what comes back. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <jansson.h>

#include "aws/cloudwatch.h"
#include "tests/unit/aws_answers.h"

#define RECORDED "../shared/vectors/real-aws-responses/cloudwatch.snapshot.json"

static const struct aws_endpoint aws = {.scheme = "https", .host = "monitoring.us-east-1.amazonaws.com"};
static const struct aws_endpoint local = {.scheme = "http", .host = "127.0.0.1:4599", .base_path = "/aws"};

/* --- requests --- */

static void expect_headers(const struct http_request *r, const char *target)
{
	assert_string_equal(r->method, "POST");
	assert_string_equal(r->query, "");
	assert_string_equal(http_header_find(r->headers, r->n_headers, "X-Amz-Target"), target);
	assert_string_equal(http_header_find(r->headers, r->n_headers, "Content-Type"), "application/x-amz-json-1.0");
	assert_string_equal(http_header_find(r->headers, r->n_headers, "x-amzn-query-mode"), "true");
}

static void metric_queries_are_built(void **state)
{
	(void)state;
	struct arena *a cleanup(arena_free_p) = arena_new();
	const struct cloudwatch_query queries[] = {
	    {.metric = CLOUDWATCH_ERRORS, .function = "hello", .alias = "prod", .version = 8, .period_s = 60},
	    {.metric = CLOUDWATCH_INVOCATIONS, .function = "hello", .alias = "prod", .period_s = 300},
	};
	struct http_request r;
	assert_int_equal(cloudwatch_build_get_metric_data(a, &aws, queries, 2, 1795377600, 1795377900, NULL, &r), 0);
	expect_headers(&r, "GraniteServiceVersion20100801.GetMetricData");
	assert_string_equal(r.path, "/");
	assert_string_equal(
	    r.body,
	    "{\"StartTime\":1795377600,\"EndTime\":1795377900,\"ScanBy\":\"TimestampAscending\",\"MetricDataQueries\":["
	    "{\"Id\":\"q0\",\"MetricStat\":{\"Metric\":{\"Namespace\":\"AWS/Lambda\",\"MetricName\":\"Errors\","
	    "\"Dimensions\":[{\"Name\":\"FunctionName\",\"Value\":\"hello\"},"
	    "{\"Name\":\"Resource\",\"Value\":\"hello:prod\"},{\"Name\":\"ExecutedVersion\",\"Value\":\"8\"}]},"
	    "\"Period\":60,\"Stat\":\"Sum\"}},"
	    "{\"Id\":\"q1\",\"MetricStat\":{\"Metric\":{\"Namespace\":\"AWS/Lambda\",\"MetricName\":\"Invocations\","
	    "\"Dimensions\":[{\"Name\":\"FunctionName\",\"Value\":\"hello\"},"
	    "{\"Name\":\"Resource\",\"Value\":\"hello:prod\"}]},\"Period\":300,\"Stat\":\"Sum\"}}]}");

	assert_int_equal(cloudwatch_build_get_metric_data(a, &local, queries, 1, 0, 60, "to\"ken", &r), 0);
	assert_string_equal(r.path, "/aws/");
	assert_non_null(strstr(r.body, ",\"NextToken\":\"to\\\"ken\","));
}

/* One metric as it goes out, without what all have. */
static void expect_query(const struct cloudwatch_query *q, const char *want)
{
	struct arena *a cleanup(arena_free_p) = arena_new();
	struct http_request r;
	assert_int_equal(cloudwatch_build_get_metric_data(a, &aws, q, 1, 0, 60, NULL, &r), 0);
	const char *got = strstr(r.body, "\"MetricDataQueries\":[") + strlen("\"MetricDataQueries\":[");
	assert_int_equal(strlen(got), strlen(want) + strlen("]}"));
	assert_memory_equal(got, want, strlen(want));
	assert_true(strlen(want) < cloudwatch_query_bytes(q));
}

static void every_metric_has_its_name_and_dimensions(void **state)
{
	(void)state;
	struct cloudwatch_query q = {
	    .metric = CLOUDWATCH_THROTTLES, .function = "hello", .alias = "prod", .period_s = 60, .stat = "p99"};
#define STAT(namespace, name, dimensions, stat)                                                                        \
	"{\"Id\":\"q0\",\"MetricStat\":{\"Metric\":{\"Namespace\":\"" namespace "\",\"MetricName\":\"" name            \
										"\",\"Dimensions\":[" dimensions       \
										"]},\"Period\":60,\"Stat\":\"" stat    \
										"\"}}"
#define IS(name, value) "{\"Name\":\"" name "\",\"Value\":\"" value "\"}"
#define ALIAS		IS("FunctionName", "hello") "," IS("Resource", "hello:prod")
	expect_query(&q, STAT("AWS/Lambda", "Throttles", ALIAS, "Sum"));
	q.metric = CLOUDWATCH_DURATION;
	q.version = 8;
	expect_query(&q, STAT("AWS/Lambda", "Duration", ALIAS "," IS("ExecutedVersion", "8"), "p99"));
	q.metric = CLOUDWATCH_API_5XX;
	q.api = "hello \"api\"";
	q.stage = "prod";
	expect_query(
	    &q, STAT("AWS/ApiGateway", "5XXError", IS("ApiName", "hello \\\"api\\\"") "," IS("Stage", "prod"), "Sum"));
	q.metric = CLOUDWATCH_API_COUNT;
	expect_query(
	    &q, STAT("AWS/ApiGateway", "Count", IS("ApiName", "hello \\\"api\\\"") "," IS("Stage", "prod"), "Sum"));
	q.http_api = true;
	q.api = "a1b2c3";
	expect_query(&q, STAT("AWS/ApiGateway", "Count", IS("ApiId", "a1b2c3") "," IS("Stage", "prod"), "Sum"));
	q.metric = CLOUDWATCH_API_5XX;
	expect_query(&q, STAT("AWS/ApiGateway", "5xx", IS("ApiId", "a1b2c3") "," IS("Stage", "prod"), "Sum"));
}

static void five_hundred_queries_fit(void **state)
{
	(void)state;
	struct arena *a cleanup(arena_free_p) = arena_new();
	struct cloudwatch_query queries[LIMIT_METRIC_QUERIES];
	char function[LIMIT_FUNCTION_NAME + 1];
	char alias[LIMIT_ALIAS_NAME + 1];
	memset(function, 'f', sizeof(function) - 1);
	memset(alias, 'a', sizeof(alias) - 1);
	function[sizeof(function) - 1] = alias[sizeof(alias) - 1] = '\0';
	for (size_t i = 0; i < array_len(queries); i++)
		queries[i] = (struct cloudwatch_query){.metric = CLOUDWATCH_DURATION,
						       .function = function,
						       .alias = alias,
						       .version = UINT64_MAX - 1,
						       .period_s = UINT32_MAX,
						       .stat = "p99.99"};
	struct http_request r;
	assert_int_equal(cloudwatch_build_get_metric_data(a, &aws, queries, array_len(queries), 0, INT64_MAX, NULL, &r),
			 0);
	json_t *body = json_loads(r.body, JSON_REJECT_DUPLICATES, NULL);
	assert_int_equal(json_array_size(json_object_get(body, "MetricDataQueries")), LIMIT_METRIC_QUERIES);
	json_decref(body);
	assert_true(array_len(queries) * cloudwatch_query_bytes(&queries[0]) < CLOUDWATCH_QUERIES_MAX);
	assert_true(r.body_len <= array_len(queries) * cloudwatch_query_bytes(&queries[0]) + 1024);
	char *token = mem_alloc(LIMIT_AWS_REQUEST_BYTES + 1);
	memset(token, 't', LIMIT_AWS_REQUEST_BYTES);
	assert_int_equal(cloudwatch_build_get_metric_data(a, &aws, queries, 1, 0, 1, token, &r), -E2BIG);
	free(token);
}

static void alarm_questions_are_built(void **state)
{
	(void)state;
	struct arena *a cleanup(arena_free_p) = arena_new();
	static const char *const names[] = {"hello-5xx", "a \"b\""};
	struct http_request r;
	cloudwatch_build_describe_alarms(a, &aws, names, 2, NULL, &r);
	expect_headers(&r, "GraniteServiceVersion20100801.DescribeAlarms");
	assert_string_equal(r.body, "{\"AlarmNames\":[\"hello-5xx\",\"a \\\"b\\\"\"],"
				    "\"AlarmTypes\":[\"MetricAlarm\",\"CompositeAlarm\"],\"MaxRecords\":100}");
	cloudwatch_build_describe_alarms(a, &aws, names, 1, "t", &r);
	assert_non_null(strstr(r.body, ",\"NextToken\":\"t\"}"));
}

/* --- metric data --- */

struct seen {
	char text[1024];
};

static void note_datapoint(void *ctx, size_t query, int64_t unix_ms, double value)
{
	struct seen *s = ctx;
	size_t len = strlen(s->text);
	snprintf(s->text + len, sizeof(s->text) - len, "q%zu@%lld=%g ", query, (long long)unix_ms, value);
}

static void note_status(void *ctx, size_t query, enum cloudwatch_status status)
{
	struct seen *s = ctx;
	size_t len = strlen(s->text);
	snprintf(s->text + len, sizeof(s->text) - len, "q%zu:%d ", query, (int)status);
}

/* The eighth is none. */
static bool is_count(void *ctx, size_t query)
{
	(void)ctx;
	return query != 8;
}

static int parse(const char *body, size_t n, struct seen *s, struct buf *token)
{
	struct http_response r = answer_body(body);
	const struct cloudwatch_sink sink = {s, note_datapoint, note_status, is_count};
	struct aws_error e = {0};
	s->text[0] = '\0';
	int result = cloudwatch_parse_get_metric_data(&r, n, &sink, token, &e);
	if (result)
		assert_int_equal(e.class, AWS_MALFORMED);
	return result;
}

static void expect_data(const char *body, const char *want, const char *want_token)
{
	struct seen s;
	struct buf token cleanup(buf_deinit) = BUF_INIT(64);
	buf_add_text(&token, "the last page's");
	if (parse(body, 10, &s, &token))
		fail_msg("refused: %s", body);
	assert_string_equal(s.text, want);
	assert_string_equal(buf_text(&token), want_token);
}

#define RESULT(id, code, times, values)                                                                                \
	"{\"Id\":\"" id "\",\"Label\":\"x\",\"StatusCode\":\"" code "\",\"Timestamps\":[" times                        \
	"],\"Values\":[" values "]}"
#define DATA(results) "{\"MetricDataResults\":[" results "],\"Messages\":[]}"

static void metric_data_is_read(void **state)
{
	(void)state;
	expect_data(DATA(RESULT("q0", "Complete", "1795379700", "3.0")), "q0@1795379700000=3 q0:0 ", "");
	expect_data(DATA(RESULT("q9", "Complete", "1765977780.0", "3")), "q9@1765977780000=3 q9:0 ", "");
	expect_data(DATA(RESULT("q1", "Complete", "\"2026-11-22T22:10:00Z\",\"2026-11-22T22:09:00+00:00\"", "0,2")),
		    "q1@1795385400000=0 q1@1795385340000=2 q1:0 ", "");
	/* in any order, of several statuses */
	expect_data(
	    DATA(RESULT("q2", "PartialData", "1795379700,1795379580,1795379640", "1,2,3") "," RESULT(
		"q0", "InternalError", "", "") "," RESULT("q1", "Forbidden", "", "") "," RESULT("q3", "New", "", "")),
	    "q2@1795379700000=1 q2@1795379580000=2 q2@1795379640000=3 q2:1 q0:2 q1:3 q3:2 ", "");
	/* what is no count may be anything */
	expect_data(DATA(RESULT("q8", "Complete", "1,2,3", "-1.5,1e300,0.001")),
		    "q8@1000=-1.5 q8@2000=1e+300 q8@3000=0.001 q8:0 ", "");
	expect_data("{\"MetricDataResults\":[],\"NextToken\":\"abc\"}", "", "abc");
	expect_data("{\"MetricDataResults\":[],\"NextToken\":null,\"Surprise\":{\"a\":[1]}}", "", "");
	/* no lists at all, and result-level messages */
	expect_data("{\"MetricDataResults\":[{\"Id\":\"q0\",\"StatusCode\":\"Complete\",\"Timestamps\":null,"
		    "\"Messages\":[{\"Code\":\"MultipleUnits\",\"Value\":\"x\"}]}]}",
		    "q0:0 ", "");
}

static void what_is_no_metric_data_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {
	    "{}",
	    "{\"MetricDataResults\":{}}",
	    "{\"MetricDataResults\":[1]}",
	    "{\"MetricDataResults\":[{}]}",
	    "{\"MetricDataResults\":[{\"Id\":\"q0\"}]}",
	    DATA(RESULT("q10", "Complete", "", "")), /* beyond those that were asked for */
	    DATA(RESULT("q00", "Complete", "", "")),
	    DATA(RESULT("q", "Complete", "", "")),
	    DATA(RESULT("x0", "Complete", "", "")),
	    DATA(RESULT("q-1", "Complete", "", "")),
	    DATA(RESULT("q18446744073709551616", "Complete", "", "")),
	    DATA(RESULT("q0", "Complete", "1", "")),
	    DATA(RESULT("q0", "Complete", "", "1")),
	    DATA(RESULT("q0", "Complete", "-1", "1")),
	    DATA(RESULT("q0", "Complete", "1e12", "1")),
	    DATA(RESULT("q0", "Complete", "null", "1")),
	    DATA(RESULT("q0", "Complete", "\"yesterday\"", "1")),
	    DATA(RESULT("q0", "Complete", "\"1969-12-31T23:59:59Z\"", "1")),
	    DATA(RESULT("q0", "Complete", "1", "-1")),
	    DATA(RESULT("q0", "Complete", "1", "1e16")),
	    DATA(RESULT("q0", "Complete", "1", "1e999")),
	    DATA(RESULT("q0", "Complete", "1", "NaN")),
	    DATA(RESULT("q0", "Complete", "1", "\"3\"")),
	    DATA(RESULT("q8", "Complete", "1", "1e999")),
	    DATA(RESULT("q8", "Complete", "1", "NaN")),
	    DATA(RESULT("q8", "Complete", "1", "\"3\"")),
	    "{\"MetricDataResults\":[{\"Id\":\"q0\",\"StatusCode\":\"Complete\",\"Timestamps\":{},\"Values\":[]}]}",
	    "{\"MetricDataResults\":[],\"NextToken\":7}",
	    ("{\"MetricDataResults\":[],\"NextToken\":"
	     "\"01234567890123456789012345678901234567890123456789012345678901234\"}"),
	};
	for (size_t i = 0; i < array_len(bad); i++) {
		struct seen s;
		struct buf token cleanup(buf_deinit) = BUF_INIT(64);
		if (!parse(bad[i], 10, &s, &token))
			fail_msg("taken: %s", bad[i]);
		assert_string_equal(buf_text(&token), "");
	}
}

/* --- alarms --- */

static void note_alarm(void *ctx, const char *name, enum alarm_state alarm, const char *reason)
{
	struct seen *s = ctx;
	size_t len = strlen(s->text);
	snprintf(s->text + len, sizeof(s->text) - len, "%s:%d:%s ", name, (int)alarm, reason);
}

static int parse_alarms(const char *body, struct seen *s, struct buf *token)
{
	struct http_response r = answer_body(body);
	struct aws_error e = {0};
	s->text[0] = '\0';
	int result = cloudwatch_parse_describe_alarms(&r, note_alarm, s, token, &e);
	if (result)
		assert_int_equal(e.class, AWS_MALFORMED);
	return result;
}

static void alarms_are_read(void **state)
{
	(void)state;
	struct seen s;
	struct buf token cleanup(buf_deinit) = BUF_INIT(64);
	assert_int_equal(parse_alarms("{\"CompositeAlarms\":[{\"AlarmName\":\"c\",\"StateValue\":\"ALARM\"}],"
				      "\"LogAlarms\":[{\"x\":1}],\"MetricAlarms\":["
				      "{\"AlarmName\":\"a\",\"StateValue\":\"OK\",\"StateReason\":\"r\\u0007\"},"
				      "{\"AlarmName\":\"b\",\"StateValue\":\"INSUFFICIENT_DATA\"},"
				      "{\"AlarmName\":\"n\",\"StateValue\":\"NEW_STATE\"}],\"NextToken\":\"t\"}",
				      &s, &token),
			 0);
	char want[64];
	snprintf(want, sizeof(want), "a:%d:r? b:%d: n:%d: c:%d: ", ALARM_OK, ALARM_INSUFFICIENT, ALARM_UNKNOWN,
		 ALARM_ALARM);
	assert_string_equal(s.text, want);
	assert_string_equal(buf_text(&token), "t");
	assert_int_equal(parse_alarms("{\"MetricAlarms\":[]}", &s, &token), 0);
	assert_string_equal(buf_text(&token), "");
	static const char *const bad[] = {
	    "{}",
	    "{\"LogAlarms\":[]}",
	    "{\"MetricAlarms\":{}}",
	    "{\"MetricAlarms\":[],\"CompositeAlarms\":7}",
	    "{\"MetricAlarms\":[7]}",
	    "{\"MetricAlarms\":[{\"AlarmName\":\"a\"}]}",
	    "{\"MetricAlarms\":[{\"StateValue\":\"OK\"}]}",
	    "{\"MetricAlarms\":[{\"AlarmName\":\"\",\"StateValue\":\"OK\"}]}",
	    "{\"MetricAlarms\":[],\"NextToken\":[]}",
	};
	for (size_t i = 0; i < array_len(bad); i++)
		if (!parse_alarms(bad[i], &s, &token))
			fail_msg("taken: %s", bad[i]);
}

/* --- cut and recorded answers --- */

static void cut_data(const struct http_response *r, void *ctx)
{
	struct seen s = {{0}};
	const struct cloudwatch_sink sink = {&s, note_datapoint, note_status, NULL};
	struct buf token cleanup(buf_deinit) = BUF_INIT(64);
	struct aws_error e = {0};
	int result = *(int *)ctx == 0 ? cloudwatch_parse_get_metric_data(r, 10, &sink, &token, &e)
				      : cloudwatch_parse_describe_alarms(r, note_alarm, &s, &token, &e);
	assert_int_equal(result, 1);
	assert_int_equal(e.class, AWS_MALFORMED);
	assert_string_equal(s.text, ""); /* nothing of a cut page is taken */
}

static void every_cut_is_refused(void **state)
{
	(void)state;
	int which = 0;
	each_truncation(DATA(RESULT("q0", "Complete", "1795379700.0,1795379760", "3.0,4")), cut_data, &which);
	which = 1;
	each_truncation("{\"CompositeAlarms\":[],\"MetricAlarms\":[{\"AlarmName\":\"a\",\"StateValue\":\"OK\"}]}",
			cut_data, &which);
}

/* Recorded timestamps are masked ("timestamp") and ids are the recorder's, so those are put back first. */
static void restore(json_t *results)
{
	size_t i;
	json_t *result;
	json_array_foreach(results, i, result)
	{
		char id[8];
		snprintf(id, sizeof(id), "q%zu", i);
		json_object_set_new(result, "Id", json_string(id));
		json_t *times = json_array();
		for (size_t k = 0; k < json_array_size(json_object_get(result, "Values")); k++)
			json_array_append_new(times, json_real(1765977780.0 + 60.0 * (double)k));
		json_object_set_new(result, "Timestamps", times);
	}
}

static int try_recorded(json_t *recorded)
{
	json_t *results = json_object_get(recorded, "MetricDataResults");
	bool alarms = json_object_get(recorded, "MetricAlarms") || json_object_get(recorded, "CompositeAlarms");
	if (!json_is_array(results) && !alarms)
		return 0;
	restore(results);
	char *body = json_dumps(recorded, 0);
	struct seen s;
	struct buf token cleanup(buf_deinit) = BUF_INIT(4096);
	int result = alarms ? parse_alarms(body, &s, &token) : parse(body, 10, &s, &token);
	if (result)
		fail_msg("refused: %s", body);
	free(body);
	return alarms ? 2 : 1;
}

static void recorded_answers(void **state)
{
	(void)state;
	json_t *all = json_load_file(RECORDED, 0, NULL);
	if (!all)
		skip();
	int n[3] = {0};
	const char *scenario;
	json_t *entry;
	json_object_foreach(all, scenario, entry)
	{
		const char *step;
		json_t *recorded;
		json_object_foreach(json_object_get(entry, "recorded-content"), step, recorded)
		{
			n[json_is_object(recorded) ? try_recorded(recorded) : 0]++;
		}
	}
	json_decref(all);
	assert_true(n[1] >= 10);
	assert_true(n[2] >= 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(metric_queries_are_built), cmocka_unit_test(every_metric_has_its_name_and_dimensions),
	    cmocka_unit_test(five_hundred_queries_fit), cmocka_unit_test(alarm_questions_are_built),
	    cmocka_unit_test(metric_data_is_read),	cmocka_unit_test(what_is_no_metric_data_is_refused),
	    cmocka_unit_test(alarms_are_read),		cmocka_unit_test(every_cut_is_refused),
	    cmocka_unit_test(recorded_answers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
