/* Aliases, versions and invokes: what is asserted by hand here is asserted through boto3 in tests/e2e as well. */
#include "world_rig.h"

static const char world[] = "invoke_delay: false\n"
			    "functions:\n"
			    "  hello:\n"
			    "    versions: {1: {}, 2: {}, 3: {}}\n"
			    "    aliases: {prod: {version: 1}}\n";

static void test_update_needs_the_revision(void **state)
{
	(void)state;
	struct rig r;
	char revision[64], body[256];
	rig_init(&r, 1, world);
	assert_int_equal(rig_call(&r, "GET", PROD, NULL), 200);
	text_copy(revision, sizeof(revision), rig_text(&r, "RevisionId"));
	assert_true(json_is_null(json_object_get(r.body, "RoutingConfig")));

	snprintf(body, sizeof(body), "{\"RevisionId\":\"%s\",\"FunctionVersion\":\"1\"}", revision);
	assert_int_equal(rig_call(&r, "PUT", PROD, body), 200);
	assert_string_not_equal(rig_text(&r, "RevisionId"), revision);
	assert_int_equal(rig_call(&r, "PUT", PROD, body), 412);
	assert_string_equal(rig_error(&r), "PreconditionFailedException");
	assert_int_equal(rig_call(&r, "PUT", PROD, "{\"FunctionVersion\":\"2\"}"), 200);
	rig_deinit(&r);
}

static double weight_of_2(const struct rig *r)
{
	json_t *weights = json_object_get(json_object_get(r->body, "RoutingConfig"), "AdditionalVersionWeights");
	return weights ? json_number_value(json_object_get(weights, "2")) : -1;
}

static void test_what_is_left_out_stays(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, 1, world);
	const char *weights = "{\"RoutingConfig\":{\"AdditionalVersionWeights\":{\"2\":0.07}},\"Description\":\"d\"}";
	assert_int_equal(rig_call(&r, "PUT", PROD, weights), 200);
	assert_true(strstr(r.reply.response.body, "0.07}") != NULL);
	assert_int_equal(rig_call(&r, "PUT", PROD, "{\"FunctionVersion\":\"3\"}"), 200);
	assert_true(weight_of_2(&r) == 0.07);
	assert_string_equal(rig_text(&r, "Description"), "d");
	/* The weights that stay may contradict what is new. */
	assert_int_equal(rig_call(&r, "PUT", PROD, "{\"FunctionVersion\":\"2\"}"), 400);
	assert_int_equal(rig_call(&r, "PUT", PROD, "{\"RoutingConfig\":{\"AdditionalVersionWeights\":{}}}"), 200);
	assert_true(weight_of_2(&r) == -1);
	assert_string_equal(rig_text(&r, "FunctionVersion"), "3");
	rig_deinit(&r);
}

static void test_refusals(void **state)
{
	(void)state;
	static const struct {
		const char *body;
		int status;
		const char *code;
	} cases[] = {
	    {"{\"RoutingConfig\":{\"AdditionalVersionWeights\":{\"2\":1.01}}}", 400, "ValidationException"},
	    {"{\"RoutingConfig\":{\"AdditionalVersionWeights\":{\"2\":-0.01}}}", 400, "ValidationException"},
	    {"{\"RoutingConfig\":{\"AdditionalVersionWeights\":{\"2\":\"0.1\"}}}", 400, "ValidationException"},
	    {"{\"RoutingConfig\":{\"AdditionalVersionWeights\":{\"x\":0.1}}}", 400, "ValidationException"},
	    {"{\"RoutingConfig\":{\"AdditionalVersionWeights\":{\"2\":0.1,\"3\":0.1}}}", 400,
	     "InvalidParameterValueException"},
	    {"{\"RoutingConfig\":{\"AdditionalVersionWeights\":{\"1\":0.1}}}", 400, "InvalidParameterValueException"},
	    {"{\"RoutingConfig\":{\"AdditionalVersionWeights\":{\"9\":0.1}}}", 404, "ResourceNotFoundException"},
	    {"{\"RoutingConfig\":[]}", 400, "InvalidParameterValueException"},
	    {"{\"FunctionVersion\":\"9\"}", 404, "ResourceNotFoundException"},
	    {"{\"FunctionVersion\":\"01\"}", 400, "ValidationException"},
	    {"{\"FunctionVersion\":1}", 400, "SerializationException"},
	    {"{\"FunctionVersion\":\"$LATEST\",\"RoutingConfig\":{\"AdditionalVersionWeights\":{\"2\":0.1}}}", 400,
	     "InvalidParameterValueException"},
	    {"{\"FunctionVersion\":\"2\",\"FunctionVersion\":\"3\"}", 400, "InvalidRequestContentException"},
	    {"{", 400, "InvalidRequestContentException"},
	    {"[]", 400, "InvalidRequestContentException"},
	};
	struct rig r;
	rig_init(&r, 1, world);
	assert_int_equal(rig_call(&r, "GET", PROD, NULL), 200);
	char before[64];
	text_copy(before, sizeof(before), rig_text(&r, "RevisionId"));
	for (size_t i = 0; i < array_len(cases); i++) {
		assert_int_equal(rig_call(&r, "PUT", PROD, cases[i].body), cases[i].status);
		assert_string_equal(rig_error(&r), cases[i].code);
	}
	assert_int_equal(rig_call(&r, "GET", PROD, NULL), 200);
	assert_string_equal(rig_text(&r, "RevisionId"), before);
	rig_deinit(&r);
}

static void test_names_in_paths(void **state)
{
	(void)state;
	static const struct {
		const char *function;
		const char *query;
		int status;
	} cases[] = {
	    {"hello", "", 200},
	    {"hello%3Aprod", "", 200},
	    {"arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Ahello", "Qualifier=%24LATEST", 200},
	    {"arn:aws:lambda:us-east-1:123456789012:function:hello:3", "Qualifier=3", 200},
	    {"123456789012%3Afunction%3Ahello%3A%24LATEST", "", 200},
	    {"hello%3Aprod", "Qualifier=1", 400},
	    {"hello%3A9", "", 404},
	    {"arn%3Aaws%3Alambda%3Aeu-west-1%3A123456789012%3Afunction%3Ahello", "", 404},
	    {"arn%3Aaws%3Alambda%3Aus-east-1%3A111111111111%3Afunction%3Ahello", "", 403},
	    {"hello%3Aprod%3Ax", "", 400},
	    {"a%20b", "", 400},
	};
	struct rig r;
	rig_init(&r, 1, world);
	for (size_t i = 0; i < array_len(cases); i++) {
		char path[256];
		snprintf(path, sizeof(path), "/2015-03-31/functions/%s", cases[i].function);
		struct http_request request = {.method = "GET", .path = path, .query = cases[i].query};
		assert_int_equal(rig_request(&r, &request), cases[i].status);
	}
	rig_deinit(&r);
}

static void test_versions(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, 1, world);
	struct http_request in_use = {
	    .method = "DELETE", .path = "/2015-03-31/functions/hello", .query = "Qualifier=1"};
	assert_int_equal(rig_request(&r, &in_use), 409);
	assert_non_null(strstr(rig_text(&r, "message"), "[prod]"));
	struct http_request unused = {
	    .method = "DELETE", .path = "/2015-03-31/functions/hello", .query = "Qualifier=2"};
	assert_int_equal(rig_request(&r, &unused), 204);
	/* $LATEST is as version 3 was published. */
	assert_int_equal(rig_call(&r, "POST", "/2015-03-31/functions/hello/versions", "{}"), 201);
	assert_string_equal(rig_text(&r, "Version"), "3");
	assert_int_equal(rig_call(&r, "PUT", "/2015-03-31/functions/hello/configuration", "{\"Timeout\":9}"), 200);
	assert_string_equal(rig_text(&r, "LastUpdateStatus"), "InProgress");
	assert_int_equal(rig_call(&r, "POST", "/2015-03-31/functions/hello/versions", "{}"), 201);
	assert_string_equal(rig_text(&r, "Version"), "4");
	rig_deinit(&r);
}

static void test_change_log_is_bounded_and_in_order(void **state)
{
	(void)state;
	enum { MORE = 10050, KEPT = 10000 };
	struct rig r;
	rig_init(&r, 1, "limits: off\nfunctions: {hello: {versions: {1: {}, 2: {}}, aliases: {prod: {version: 1}}}}\n");
	for (int i = 0; i < MORE; i++) {
		rig_advance(&r, 1);
		assert_int_equal(
		    rig_call(&r, "PUT", PROD, i % 2 ? "{\"FunctionVersion\":\"1\"}" : "{\"FunctionVersion\":\"2\"}"),
		    200);
	}
	assert_int_equal(rig_call(&r, "GET", "/_localaws/counters", NULL), 200);
	json_t *log = json_object_get(r.body, "alias_changes");
	assert_int_equal(json_array_size(log), KEPT);
	assert_int_equal(json_integer_value(json_object_get(r.body, "alias_changes_total")), MORE + 1);
	json_int_t last = json_integer_value(json_object_get(json_array_get(log, KEPT - 1), "time_ms"));
	json_int_t first = json_integer_value(json_object_get(json_array_get(log, 0), "time_ms"));
	assert_int_equal(last, RIG_START_MS + MORE);
	assert_int_equal(first, RIG_START_MS + MORE - KEPT + 1);
	rig_deinit(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_update_needs_the_revision),
	    cmocka_unit_test(test_what_is_left_out_stays),
	    cmocka_unit_test(test_refusals),
	    cmocka_unit_test(test_names_in_paths),
	    cmocka_unit_test(test_versions),
	    cmocka_unit_test(test_change_log_is_bounded_and_in_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
