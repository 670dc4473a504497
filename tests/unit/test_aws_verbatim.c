/* MetricDataQueries as somebody wrote them, made ready to stand beside others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "aws/cloudwatch.h"
#include "aws/cloudwatch_verbatim.h"
#include "base/mem.h"

#define STAT(name) "\"MetricStat\":{\"Metric\":{\"MetricName\":\"" name "\"},\"Period\":60,\"Stat\":\"Sum\"}"

static struct cloudwatch_verbatim *make(const char *json, const char *returns)
{
	struct cloudwatch_verbatim *v = NULL;
	char error[256] = "";

	if (cloudwatch_verbatim_new(json, returns, &v, error, sizeof(error)) != 0)
		fail_msg("%s: %s", json, error);
	return v;
}

static void expect(const char *json, const char *returns, size_t first, const char *want)
{
	struct cloudwatch_verbatim *v = make(json, returns);
	struct buf out cleanup(buf_deinit) = BUF_INIT(64 * 1024);

	cloudwatch_verbatim_add(v, first, &out);
	assert_string_equal(buf_text(&out), want);
	assert_true(out.len <= cloudwatch_verbatim_bytes(v));
	cloudwatch_verbatim_free(v);
}

static void ids_are_replaced(void **state)
{
	(void)state;
	expect("[{\"Id\":\"m1\"," STAT("Errors") "}]", "m1", 0,
	       "{\"Id\":\"q0\",\"ReturnData\":true," STAT("Errors") "}");
	/* Whatever else stands there stays, in its order, and values that look like an Id are none. */
	expect("[{\"Label\":\"m1 of "
	       "m2\",\"Id\":\"m1\",\"AccountId\":\"123456789012\",\"ReturnData\":false,\"Period\":60.5," STAT(
		   "m1") "},{\"Id\":\"m2\",\"Expression\":\"m1\"}]",
	       "m2", 497,
	       "{\"Id\":\"q497\",\"ReturnData\":false,\"Label\":\"m1 of "
	       "m2\",\"AccountId\":\"123456789012\",\"Period\":60.5," STAT(
		   "m1") "},{\"Id\":\"q498\",\"ReturnData\":true,\"Expression\":\"q497\"}");
}

/* An expression of the fourth query over those before it. */
static void expect_expression(const char *written, const char *want)
{
	json_t *text = json_string(written);
	char *quoted = json_dumps(text, JSON_ENCODE_ANY), json[4096];
	struct cloudwatch_verbatim *v;
	struct buf out cleanup(buf_deinit) = BUF_INIT(64 * 1024);

	(void)snprintf(
	    json, sizeof(json),
	    "[{\"Id\":\"m1\"," STAT("a") "},{\"Id\":\"m10\"," STAT("b") "},{\"Id\":\"sum\",\"Expression\":\"1\"},"
									"{\"Id\":\"e\",\"Expression\":%s}]",
	    quoted);
	v = make(json, "e");
	buf_add_char(&out, '[');
	cloudwatch_verbatim_add(v, 7, &out);
	buf_add_char(&out, ']');
	json_t *got = json_loads(buf_text(&out), 0, NULL);
	assert_string_equal(json_string_value(json_object_get(json_array_get(got, 3), "Expression")), want);
	json_decref(got);
	json_decref(text);
	free(quoted);
	cloudwatch_verbatim_free(v);
}

static void references_are_replaced_word_by_word(void **state)
{
	(void)state;
	expect_expression("m1/m10*100", "q7/q8*100");
	expect_expression("m10 / (m1+m100) - m1x - xm1 - m1_ - _m1", "q8 / (q7+m100) - m1x - xm1 - m1_ - _m1");
	expect_expression("SUM([m1,m10])", "SUM([q7,q8])"); /* functions are told by their capitals */
	expect_expression("sum*2+1.5e3", "q9*2+1.5e3");
	expect_expression("IF(m1 > 0, FILL(m10, REPEAT), 0)", "IF(q7 > 0, FILL(q8, REPEAT), 0)");
	expect_expression("SEARCH('{AWS/Lambda,FunctionName} m1=\"m10\"', 'Sum', 60)+m1",
			  "SEARCH('{AWS/Lambda,FunctionName} m1=\"m10\"', 'Sum', 60)+q7");
	expect_expression("SELECT SUM(m1) FROM \"AWS/Lambda\" WHERE m10 = 'm1'",
			  "SELECT SUM(m1) FROM \"AWS/Lambda\" WHERE m10 = 'm1'");
	expect_expression(" select\nSUM(m1) FROM x", "select\nSUM(m1) FROM x");
	expect_expression("SELECTED + m1\n\t+ \xc3\xa4\\", "SELECTED + q7\n\t+ \xc3\xa4\\");
	expect_expression("", "");
}

/* METRICS() is all metrics of a call, of which others may be in there. */
static void all_metrics_are_its_own(void **state)
{
	(void)state;
	expect_expression("SUM(METRICS())", "SUM([q7,q8])");
	expect_expression("SUM(METRICS( \"10\" ))/METRICS ('m')", "SUM([q8])/[q7,q8]");
	expect_expression("METRICS1+XMETRICS", "METRICS1+XMETRICS");
}

static void what_is_wrong_is_said(void **state)
{
	static const struct {
		const char *json;
		const char *error;
	} cases[] = {
	    {"", "it is no list of MetricDataQueries"},
	    {"{}", "it is no list of MetricDataQueries"},
	    {"[1", "it is no list of MetricDataQueries"},
	    {"[]", "it has 0 queries, not 1 to 20"},
	    {"[7]", "its query 1 has no Id of letters, digits and '_' that begins with a small letter"},
	    {"[{\"Id\":\"M\"}]", "its query 1 has no Id of letters, digits and '_' that begins with a small letter"},
	    {"[{\"Id\":\"a-b\"}]", "its query 1 has no Id of letters, digits and '_' that begins with a small letter"},
	    {"[{\"Id\":\"\"}]", "its query 1 has no Id of letters, digits and '_' that begins with a small letter"},
	    {"[{\"Id\":\"r\"},{\"Id\":\"r\"}]", "two of its queries have the Id r"},
	    {"[{\"Id\":\"rr\"}]", "none of its queries has the Id r, which is to return data"},
	    {"[{\"Id\":\"r\",\"Expression\":1}]", "an Expression of it is no text"},
	    {"[{\"Id\":\"r\",\"Expression\":\"SUM('r\"}]", "an expression of it has a text that does not end"},
	    {"[{\"Id\":\"r\",\"Expression\":\"\\u0001r\"}]", "an expression of it has a control character"},
	    {"[{\"Id\":\"r\",\"Expression\":\"METRICS()\"}]",
	     "METRICS(…) in an expression of it names none of its metrics"},
	    {"[{\"Id\":\"r\",\"Expression\":\"METRICS\"}]",
	     "METRICS(…) in an expression of it names none of its metrics"},
	    {"[{\"Id\":\"r\",\"Expression\":\"METRICS(\"}]",
	     "METRICS(…) in an expression of it names none of its metrics"},
	    {"[{\"Id\":\"r\",\"Expression\":\"METRICS('\"}]",
	     "METRICS(…) in an expression of it names none of its metrics"},
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		struct cloudwatch_verbatim *v = NULL;
		char error[256] = "";

		assert_int_equal(cloudwatch_verbatim_new(cases[i].json, "r", &v, error, sizeof(error)), 1);
		assert_string_equal(error, cases[i].error);
		assert_null(v);
	}
}

static void its_size_is_bounded(void **state)
{
	struct buf json cleanup(buf_deinit) = BUF_INIT(1024 * 1024);
	struct cloudwatch_verbatim *v = NULL;
	char error[256] = "";

	(void)state;
	buf_add_text(&json, "[{\"Id\":\"r\"," STAT("a") ",\"Label\":\"");
	while (json.len < CLOUDWATCH_VERBATIM_BYTES_MAX)
		buf_add_char(&json, 'x');
	buf_add_text(&json, "\"}]");
	assert_int_equal(cloudwatch_verbatim_new(buf_text(&json), "r", &v, error, sizeof(error)), 1);
	/* What is short as it was written, and long as it would be sent. */
	buf_reset(&json);
	buf_add_text(&json, "[");
	for (int i = 0; i < 19; i++)
		buf_addf(&json, "{\"Id\":\"m%d\"," STAT("a") "},", i);
	buf_add_text(&json, "{\"Id\":\"r\",\"Expression\":\"");
	for (int i = 0; i < 4000; i++)
		buf_add_text(&json, "METRICS()");
	buf_add_text(&json, "\"}]");
	assert_true(json.len < CLOUDWATCH_VERBATIM_BYTES_MAX);
	assert_int_equal(cloudwatch_verbatim_new(buf_text(&json), "r", &v, error, sizeof(error)), 1);
	assert_non_null(strstr(error, "long"));
	/* Twenty-one. */
	buf_reset(&json);
	for (int i = 0; i < 21; i++)
		buf_addf(&json, "%c{\"Id\":\"m%d\"}", i == 0 ? '[' : ',', i);
	buf_add_char(&json, ']');
	assert_int_equal(cloudwatch_verbatim_new(buf_text(&json), "m1", &v, error, sizeof(error)), 1);
	assert_string_equal(error, "it has 21 queries, not 1 to 20");
}

/* Two of them beside a metric of ours, in one call. */
static void they_stand_beside_others(void **state)
{
	static const struct aws_endpoint aws = {.scheme = "https", .host = "monitoring.us-east-1.amazonaws.com"};
	struct arena *a cleanup(arena_free_p) = arena_new();
	struct cloudwatch_verbatim *v =
	    make("[{\"Id\":\"m1\"," STAT("a") "},{\"Id\":\"e\",\"Expression\":\"m1*2\"}]", "e");
	const struct cloudwatch_query queries[] = {
	    {.metric = CLOUDWATCH_VERBATIM, .verbatim = v},
	    {.metric = CLOUDWATCH_CONTINUED},
	    {.metric = CLOUDWATCH_ERRORS, .function = "hello", .alias = "prod", .period_s = 60},
	    {.metric = CLOUDWATCH_VERBATIM, .verbatim = v},
	    {.metric = CLOUDWATCH_CONTINUED},
	};
	struct http_request r;
	json_t *body, *list;

	(void)state;
	assert_int_equal(cloudwatch_verbatim_count(v), 2);
	assert_int_equal(cloudwatch_verbatim_returns(v), 1);
	assert_int_equal(cloudwatch_build_get_metric_data(a, &aws, queries, 5, 0, 60, NULL, &r), 0);
	body = json_loads(r.body, JSON_REJECT_DUPLICATES, NULL);
	list = json_object_get(body, "MetricDataQueries");
	assert_int_equal(json_array_size(list), 5);
	for (size_t i = 0; i < 5; i++) {
		char id[8];

		(void)snprintf(id, sizeof(id), "q%zu", i);
		assert_string_equal(json_string_value(json_object_get(json_array_get(list, i), "Id")), id);
	}
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 1), "Expression")), "q0*2");
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 4), "Expression")), "q3*2");
	json_decref(body);
	assert_int_equal(cloudwatch_query_bytes(&queries[1]), 0);
	assert_true(cloudwatch_query_bytes(&queries[0]) > cloudwatch_verbatim_bytes(v));
	cloudwatch_verbatim_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ids_are_replaced),	       cmocka_unit_test(references_are_replaced_word_by_word),
	    cmocka_unit_test(all_metrics_are_its_own), cmocka_unit_test(what_is_wrong_is_said),
	    cmocka_unit_test(its_size_is_bounded),     cmocka_unit_test(they_stand_beside_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
