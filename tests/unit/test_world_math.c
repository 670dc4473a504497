/* Metric math and gauges of the simulated CloudWatch. */
#include "world_rig.h"

static const char world[] = "limits: off\n"
			    "metrics: {delay: 0s}\n"
			    "gauges:\n"
			    "  - {namespace: Shop, metric: Age, dimensions: {Queue: orders, Zone: a}, value: 12}\n"
			    "  - {namespace: Shop, metric: Requests, value: 200}\n"
			    "  - {namespace: Shop, metric: Errors, value: 5}\n";

#define METRIC(id, name, dimensions)                                                                                   \
	"{\"Id\":\"" id "\",\"ReturnData\":false,\"MetricStat\":{\"Metric\":{\"Namespace\":\"Shop\","                  \
	"\"MetricName\":\"" name "\",\"Dimensions\":[" dimensions "]},\"Period\":60,\"Stat\":\"Sum\"}},"
#define DIMENSION(name, value) "{\"Name\":\"" name "\",\"Value\":\"" value "\"}"

/* The values of an expression over the three metrics, from the rig's start to now: "1 2 3", or the error. */
static const char *values_of(struct rig *r, const char *expression)
{
	static char text[1024];
	char body[4096];
	(void)snprintf(
	    body, sizeof(body),
	    "{\"StartTime\":%lld,\"EndTime\":%lld,\"ScanBy\":\"TimestampAscending\",\"MetricDataQueries\":[" METRIC(
		"age", "Age", DIMENSION("Zone", "a") "," DIMENSION("Queue", "orders")) METRIC("m1", "Requests", "")
		METRIC("m2", "Errors", "") "{\"Id\":\"loop\",\"ReturnData\":false,\"Expression\":\"m1\"},"
					   "{\"Id\":\"e\",\"Expression\":\"%s\"}]}",
	    (long long)(RIG_START_MS / 1000), (long long)(r->now.unix_ms / 1000), expression);
	text[0] = '\0';
	if (rig_cloudwatch(r, "GetMetricData", body) != 200) {
		(void)text_copy(text, sizeof(text), rig_text(r, "message"));
		return text;
	}
	json_t *values = json_object_get(json_array_get(json_object_get(r->body, "MetricDataResults"), 0), "Values");
	assert_int_equal(json_array_size(json_object_get(r->body, "MetricDataResults")), 1);
	for (size_t i = 0; i < json_array_size(values); i++) {
		size_t len = strlen(text);
		(void)snprintf(text + len, sizeof(text) - len, "%s%g", i ? " " : "",
			       json_number_value(json_array_get(values, i)));
	}
	return text;
}

static void test_expressions(void **state)
{
	static const struct {
		const char *expression;
		const char *values;
	} cases[] = {
	    {"m2/m1*100", "2.5 2.5 2.5"},
	    {"m1", "200 200 200"},
	    {"loop", "200 200 200"},
	    {"100 * m2 / m1", "2.5 2.5 2.5"},
	    {"-(m2-10)^2/5", "5 5 5"}, /* a sign binds closest */
	    {"2+m2*2-1", "11 11 11"},
	    {"10-m2-1", "4 4 4"},
	    {"SUM([m1, m2, age])", "217 217 217"},
	    {"AVG([m1,m2])", "102.5 102.5 102.5"},
	    {"MIN([m1,m2])+MAX([m1,m2])", "205 205 205"},
	    {"m1 - SUM(m2)", "185 185 185"},
	    {"m1 - AVG(m2)", "195 195 195"},
	    {"ABS(m2 - m1) + CEIL(m2 / 2) + FLOOR(m2/2)", "200 200 200"},
	    {"IF(m1 > 100, m2, age)", "5 5 5"},
	    {"IF(m1 <= 100 OR m2 == 4, m2, 7)", "7 7 7"},
	    {"IF(m1 >= 200 AND m2 != 4, 1, 0)", "1 1 1"},
	    {"IF(m1 < 100 || m2 < 6 && 1 > 0, 1, 0)", "1 1 1"},
	    {"m1/0", ""},
	    {"FILL(m1/0, 3)", "3 3 3"},
	    {"FILL(m1/0, REPEAT)", ""},
	    {"FILL(m1, REPEAT)", "200 200 200"},
	    {"m3", "Error in expression 'e': 'm3' is undefined"},
	    {"e", "Error in expression 'e': 'e' is undefined"},
	    {"m1 +",
	     "Error in expression 'e': something is missing at its end, or there is a character that has no meaning"},
	    {"m1 m2", "Error in expression 'e': something is left behind its end"},
	    {"1+1", "Error in expression 'e': its result is not a time series"},
	    {"[m1]", "Error in expression 'e': its result is not a time series"},
	    {"[m1]*2", "Error in expression 'e': Unsupported operand type(s) for *"},
	    {"SUM([m1", "Error in expression 'e': ']' is missing"},
	    {"(m1", "Error in expression 'e': ')' is missing"},
	    {"SUM(1)", "Error in expression 'e': SUM is of a metric or a list of metrics"},
	    {"ABS([m1])", "Error in expression 'e': ABS is of a metric"},
	    {"IF(m1, [m1], 2)", "Error in expression 'e': IF is of metrics and numbers"},
	    {"FILL(m1, LINEAR)", "Error in expression 'e': 'LINEAR' is undefined"},
	    {"FILL(1, 1)", "Error in expression 'e': FILL is of a metric and a number or REPEAT"},
	    {"IF(m1)", "Error in expression 'e': IF takes 3 arguments"},
	    {"SEARCH(m1)",
	     "Error in expression 'e': rollout-localaws does not have the function SEARCH: it has SUM, AVG, "
	     "MIN, MAX, ABS, CEIL, FLOOR, IF and FILL"},
	};
	struct rig r;
	(void)state;
	rig_init(&r, 1, world);
	rig_advance(&r, 180000);
	for (size_t i = 0; i < array_len(cases); i++) {
		const char *got = values_of(&r, cases[i].expression);
		if (strcmp(got, cases[i].values) != 0)
			fail_msg("%s gives %s, not %s", cases[i].expression, got, cases[i].values);
	}
	char deep[256] = "";
	memset(deep, '(', 60);
	assert_string_equal(values_of(&r, deep), "Error in expression 'e': it is nested too deep");
	memset(deep, '-', 60);
	assert_string_equal(values_of(&r, deep), "Error in expression 'e': it is nested too deep");
	rig_deinit(&r);
}

/* A value lasts until it is given another one; none is none. */
static void test_gauges(void **state)
{
	struct rig r;
	(void)state;
	rig_init(&r, 1, world);
	rig_advance(&r, 90000);
	assert_int_equal(rig_call(&r, "PUT", "/_localaws/gauges",
				  "[{\"namespace\":\"Shop\",\"metric\":\"Requests\",\"value\":-0.5}]"),
			 200);
	rig_advance(&r, 60000);
	assert_int_equal(rig_call(&r, "PUT", "/_localaws/gauges", "[{namespace: Shop, metric: Requests, value: null}]"),
			 200);
	rig_advance(&r, 60000);
	assert_int_equal(rig_call(&r, "PUT", "/_localaws/gauges", "[{namespace: Shop, metric: Requests, value: 7}]"),
			 200);
	rig_advance(&r, 90000);
	assert_string_equal(values_of(&r, "m1"), "200 200 -0.5 7 7");
	assert_string_equal(values_of(&r, "m1+m2"), "205 205 4.5 12 12");
	assert_string_equal(values_of(&r, "SUM([m1,m2])"), "205 205 4.5 12 12");
	/* Only so many periods have one of m1; MAX over time of what there is. */
	assert_string_equal(values_of(&r, "age*0 + MAX(m1)"), "200 200 200 200 200");
	assert_int_equal(rig_call(&r, "GET", "/_localaws/gauges", NULL), 200);
	assert_int_equal(json_array_size(r.body), 3);
	rig_deinit(&r);
}

static void test_gauges_refused(void **state)
{
	static const char *const bad[] = {"{}",
					  "[7]",
					  "[{metric: a, value: 1}]",
					  "[{namespace: a, value: 1}]",
					  "[{namespace: AWS/Lambda, metric: Errors, value: 1}]",
					  "[{namespace: a, metric: b, value: x}]",
					  "[{namespace: a, metric: b, dimensions: 7}]",
					  "[{namespace: a, metric: b, dimensions: {x: [1]}}]",
					  "[{namespace: a, metric: b, unknown: 7}]"};
	struct rig r;
	(void)state;
	rig_init(&r, 1, NULL);
	for (size_t i = 0; i < array_len(bad); i++)
		assert_int_equal(rig_call(&r, "PUT", "/_localaws/gauges", bad[i]), 400);
	assert_int_equal(rig_call(&r, "GET", "/_localaws/gauges", NULL), 200);
	assert_int_equal(json_array_size(r.body), 0);
	rig_deinit(&r);
}

/* One of MetricStat and Expression. */
static void test_queries_refused(void **state)
{
	struct rig r;
	(void)state;
	rig_init(&r, 1, world);
	rig_advance(&r, 60000);
	assert_int_equal(rig_cloudwatch(&r, "GetMetricData",
					"{\"StartTime\":1,\"EndTime\":60,\"MetricDataQueries\":[{\"Id\":\"a\"}]}"),
			 400);
	assert_int_equal(
	    rig_cloudwatch(&r, "GetMetricData",
			   "{\"StartTime\":1,\"EndTime\":60,\"MetricDataQueries\":[{\"Id\":\"a\",\"Expression\":7}]}"),
	    400);
	assert_int_equal(rig_cloudwatch(&r, "GetMetricData",
					"{\"StartTime\":0,\"EndTime\":1795385400,\"MetricDataQueries\":[" METRIC(
					    "m1", "Errors", "") "{\"Id\":\"a\",\"Expression\":\"FILL(m1,0)\"}]}"),
			 400);
	assert_string_equal(rig_text(&r, "message"),
			    "Error in expression 'a': FILL would give more than 100800 datapoints");
	rig_deinit(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_expressions),
	    cmocka_unit_test(test_gauges),
	    cmocka_unit_test(test_gauges_refused),
	    cmocka_unit_test(test_queries_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
