/* CloudWatch: both protocols, paging, alarms. */
#include "world_rig.h"

static const char world[] = "limits: off\n"
			    "functions: {hello: {versions: {1: {}}, aliases: {prod: {version: 1}}}}\n"
			    "traffic: [{function: hello, alias: prod, rps: 10, arrival: even}]\n";

static int form(struct rig *r, const char *body)
{
	struct http_request request = {.method = "POST", .path = "/", .body = body};
	http_request_add_header(&request, "Content-Type", "application/x-www-form-urlencoded; charset=utf-8");
	return rig_request(r, &request);
}

static bool answered(const struct rig *r, const char *part)
{
	return strstr(r->reply.response.body, part) != NULL;
}

static void test_query_protocol(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, 1, world);
	rig_advance(&r, 180000);
	assert_int_equal(form(&r, "Action=GetMetricData&Version=2010-08-01&StartTime=2026-11-22T22%3A11%3A00Z&EndTime="
				  "2026-11-22T22%3A12%3A"
				  "00Z&MetricDataQueries.member.1.Id=a&MetricDataQueries.member.1.MetricStat.Metric."
				  "Namespace=AWS%2FLambda&"
				  "MetricDataQueries.member.1.MetricStat.Metric.MetricName=Invocations&"
				  "MetricDataQueries.member.1.MetricStat."
				  "Metric.Dimensions.member.1.Name=FunctionName&MetricDataQueries.member.1.MetricStat."
				  "Metric.Dimensions.member."
				  "1.Value=hello&MetricDataQueries.member.1.MetricStat.Period=60&MetricDataQueries."
				  "member.1.MetricStat.Stat="
				  "Sum&MetricDataQueries.member.1.ReturnData=true"),
			 200);
	assert_true(answered(
	    &r,
	    "<GetMetricDataResponse xmlns=\"http://monitoring.amazonaws.com/doc/2010-08-01/\"><GetMetricDataResult>"
	    "<MetricDataResults><member><Id>a</Id><Label>Invocations</"
	    "Label><Timestamps><member>2026-11-22T22:11:00.000Z"
	    "</member></Timestamps><Values><member>600.0</member></Values><StatusCode>Complete</StatusCode></member>"
	    "</MetricDataResults><Messages></Messages></GetMetricDataResult>"));
	assert_int_equal(form(&r, "Action=GetMetricData&StartTime=x"), 400);
	assert_true(answered(&r, "<Code>InvalidParameterValue</Code>"));
	assert_int_equal(form(&r, "Action=GetMetricData"), 400);
	assert_true(answered(&r, "<Code>MissingParameter</Code>"));
	assert_int_equal(form(&r, "Action=SetAlarmState&AlarmName=%3Ca%26b%3E&StateValue=OK&StateReason=x"), 404);
	assert_true(answered(&r, "<Code>ResourceNotFound</Code>"));
	assert_false(answered(&r, "<Message>"));
	assert_int_equal(form(&r, "Action=Nothing"), 404);
	assert_int_equal(form(&r, "A=%F"), 400);
	assert_int_equal(form(&r, "A=%ff%fe"), 400);
	assert_int_equal(form(&r, "A=1&A.member.1=2"), 400);
	assert_int_equal(form(&r, ""), 404);
	assert_int_equal(form(&r, "Action=GetCallerIdentity&Version=2011-06-15"), 200);
	assert_true(answered(&r, "<Account>123456789012</Account>"));
	rig_deinit(&r);
}

static void test_json_refusals(void **state)
{
	(void)state;
	static const struct {
		const char *operation;
		const char *body;
		const char *type; /* ends so */
	} cases[] = {
	    {"GetMetricData", "{}", "#MissingRequiredParameterException"},
	    {"GetMetricData", "{\"StartTime\":\"x\",\"EndTime\":2}", "#InvalidParameterValueException"},
	    {"GetMetricData", "{\"StartTime\":2,\"EndTime\":1}", "#ValidationException"},
	    {"GetMetricData", "{\"StartTime\":1e300,\"EndTime\":1}", "#InvalidParameterValueException"},
	    {"GetMetricData", "{\"StartTime\":1,\"EndTime\":2,\"MetricDataQueries\":[]}",
	     "#MissingRequiredParameterException"},
	    {"GetMetricData", "{\"StartTime\":1,\"EndTime\":2,\"MetricDataQueries\":[{\"Id\":\"a\"}]}",
	     "#ValidationException"},
	    {"GetMetricData", "{\"StartTime\":1,\"EndTime\":2,\"MetricDataQueries\":[1]}",
	     "#MissingRequiredParameterException"},
	    {"GetMetricData", "{\"StartTime\":1,\"EndTime\":2,\"MaxDatapoints\":0,\"MetricDataQueries\":[]}",
	     "#ValidationException"},
	    {"GetMetricData", "{\"StartTime\":1,\"EndTime\":2,\"NextToken\":\"localaws-x-1\"}", "#InvalidNextToken"},
	    {"GetMetricData", "{\"StartTime\":1,\"EndTime\":2,\"NextToken\":\"localaws-1\"}", "#InvalidNextToken"},
	    {"PutMetricData", "{\"Namespace\":\"n\",\"MetricData\":[{\"MetricName\":\"m\"}]}",
	     "#MissingRequiredParameterException"},
	    {"PutMetricData", "{\"Namespace\":\"n\",\"MetricData\":[{\"MetricName\":\"m\",\"Value\":\"1e999\"}]}",
	     "#InvalidParameterValueException"},
	    {"DescribeAlarms", "{\"MaxRecords\":101}", "#ValidationException"},
	    {"DescribeAlarms", "[]", "#SerializationException"},
	    {"DescribeAlarms", "{", "#SerializationException"},
	    {"Nothing", "{}", "#UnknownOperationException"},
	};
	struct rig r;
	rig_init(&r, 1, world);
	for (size_t i = 0; i < array_len(cases); i++) {
		assert_int_equal(rig_cloudwatch(&r, cases[i].operation, cases[i].body), 400);
		if (!text_ends_with(rig_text(&r, "__type"), cases[i].type))
			assert_string_equal(rig_text(&r, "__type"), cases[i].type);
	}
	rig_deinit(&r);
}

static void test_pages_cover_everything_once(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, 1, world);
	rig_advance(&r, 12 * MS_PER_MINUTE);
	assert_int_equal(rig_call(&r, "PUT", "/_localaws/metrics", "page_datapoints: 4"), 200);
	double points = 0, sum = 0;
	char token[80] = "";
	int pages = 0;
	do {
		char body[1024], next[128] = "";
		if (token[0])
			snprintf(next, sizeof(next), "\"NextToken\":\"%s\",", token);
		snprintf(
		    body, sizeof(body),
		    "{%s\"StartTime\":%lld,\"EndTime\":%lld,\"MetricDataQueries\":["
		    "{\"Id\":\"a\",\"MetricStat\":{\"Metric\":{\"Namespace\":\"AWS/"
		    "Lambda\",\"MetricName\":\"Invocations\","
		    "\"Dimensions\":[{\"Name\":\"FunctionName\",\"Value\":\"hello\"}]},\"Period\":60,\"Stat\":\"Sum\"}}"
		    ","
		    "{\"Id\":\"none\",\"MetricStat\":{\"Metric\":{\"Namespace\":\"AWS/"
		    "Lambda\",\"MetricName\":\"Nothing\"},"
		    "\"Period\":60,\"Stat\":\"Sum\"}},"
		    "{\"Id\":\"b\",\"MetricStat\":{\"Metric\":{\"Namespace\":\"AWS/Lambda\",\"MetricName\":\"Errors\","
		    "\"Dimensions\":[{\"Name\":\"FunctionName\",\"Value\":\"hello\"}]},\"Period\":120,\"Stat\":\"Sum\"}"
		    "}]}",
		    next, (long long)(RIG_START_MS / 1000), (long long)(r.now.unix_ms / 1000));
		assert_int_equal(rig_cloudwatch(&r, "GetMetricData", body), 200);
		json_t *results = json_object_get(r.body, "MetricDataResults"), *result, *value;
		size_t i, k;
		json_array_foreach(results, i, result)
		{
			json_array_foreach(json_object_get(result, "Values"), k, value)
			{
				points++;
				sum += json_number_value(value);
			}
		}
		text_copy(token, sizeof(token), rig_text(&r, "NextToken"));
		pages++;
	} while (token[0] && pages < 20);
	/* 11 whole minutes are visible, and 6 periods of two minutes. */
	assert_true(points == 11 + 6);
	assert_true(sum == 11 * 600 - 1);
	assert_int_equal(pages, 5);
	rig_deinit(&r);
}

static void put_alarm(struct rig *r, const char *missing, int out_of, int datapoints)
{
	char body[1024];
	snprintf(body, sizeof(body),
		 "{\"AlarmName\":\"a\",\"Namespace\":\"n\",\"MetricName\":\"m\",\"Statistic\":\"Sum\",\"Period\":60,"
		 "\"EvaluationPeriods\":%d,\"DatapointsToAlarm\":%d,\"Threshold\":10,\"TreatMissingData\":\"%s\","
		 "\"ComparisonOperator\":\"GreaterThanThreshold\"}",
		 out_of, datapoints, missing);
	assert_int_equal(rig_cloudwatch(r, "PutMetricAlarm", body), 200);
}

static void put_value(struct rig *r, int64_t at_ms, double value)
{
	char body[256];
	snprintf(body, sizeof(body),
		 "{\"Namespace\":\"n\",\"MetricData\":[{\"MetricName\":\"m\",\"Value\":%g,\"Timestamp\":%lld}]}", value,
		 (long long)(at_ms / 1000));
	assert_int_equal(rig_cloudwatch(r, "PutMetricData", body), 200);
}

/* The user guide's table of missing data, for 3 out of 3: what is seen in the last three periods, oldest first. */
static void test_missing_data_of_alarms(void **state)
{
	(void)state;
	static const struct {
		const char *seen; /* '-' missing, '0' fine, 'B' breaching */
		const char *missing, *ignore, *breaching, *not_breaching;
	} cases[] = {
	    {"---", "INSUFFICIENT_DATA", "OK", "ALARM", "OK"},
	    {"--B", "ALARM", "OK", "ALARM", "OK"},
	    {"-BB", "ALARM", "OK", "ALARM", "OK"},
	    {"BBB", "ALARM", "ALARM", "ALARM", "ALARM"},
	    {"0BB", "OK", "OK", "OK", "OK"},
	    {"-0B", "OK", "OK", "OK", "OK"},
	    {"0--", "OK", "OK", "OK", "OK"},
	};
	for (size_t i = 0; i < array_len(cases); i++)
		for (int treat = 0; treat < 4; treat++) {
			static const char *const names[] = {"missing", "ignore", "breaching", "notBreaching"};
			const char *wanted[] = {cases[i].missing, cases[i].ignore, cases[i].breaching,
						cases[i].not_breaching};
			struct rig r;
			rig_init(&r, 1, "metrics: {delay: 0s}\nlimits: off\n");
			put_alarm(&r, names[treat], 3, 3);
			assert_int_equal(
			    rig_cloudwatch(&r, "SetAlarmState",
					   "{\"AlarmName\":\"a\",\"StateValue\":\"OK\",\"StateReason\":\"x\"}"),
			    200);
			for (int k = 0; k < 3; k++)
				if (cases[i].seen[k] != '-')
					put_value(&r, RIG_START_MS - (2 - k) * MS_PER_MINUTE,
						  cases[i].seen[k] == 'B' ? 11 : 10);
			rig_advance(&r, MS_PER_MINUTE);
			assert_int_equal(rig_cloudwatch(&r, "DescribeAlarms", "{}"), 200);
			json_t *alarm = json_array_get(json_object_get(r.body, "MetricAlarms"), 0);
			const char *got = json_string_value(json_object_get(alarm, "StateValue"));
			if (strcmp(got, wanted[treat]) != 0)
				fail_msg("%s, %s: %s instead of %s", cases[i].seen, names[treat], got, wanted[treat]);
			rig_deinit(&r);
		}
}

static void test_alarm_of_few_datapoints(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, 1, "metrics: {delay: 0s}\nlimits: off\n");
	put_alarm(&r, "notBreaching", 3, 1);
	put_value(&r, RIG_START_MS, 11);
	/* It counts as long as it is in the three periods, or in the two before them, which are looked at as well. */
	for (int minute = 1; minute <= 6; minute++) {
		rig_advance(&r, MS_PER_MINUTE);
		assert_int_equal(rig_cloudwatch(&r, "DescribeAlarms", "{\"AlarmNames\":[\"a\"]}"), 200);
		json_t *alarm = json_array_get(json_object_get(r.body, "MetricAlarms"), 0);
		assert_string_equal(json_string_value(json_object_get(alarm, "StateValue")),
				    minute <= 5 ? "ALARM" : "OK");
	}
	rig_deinit(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_query_protocol),
	    cmocka_unit_test(test_json_refusals),
	    cmocka_unit_test(test_pages_cover_everything_once),
	    cmocka_unit_test(test_missing_data_of_alarms),
	    cmocka_unit_test(test_alarm_of_few_datapoints),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
