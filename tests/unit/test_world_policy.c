/* Resource-based policies: how they are changed, and what they permit. */
#include "world_rig.h"

#include "sim/lambda.h"

#define POLICY	"/2015-03-31/functions/hello/policy"
#define GATEWAY "apigateway.amazonaws.com"
#define ACCOUNT "123456789012"
#define SOURCE	"arn:aws:execute-api:us-east-1:" ACCOUNT ":a1b2c3/prod/GET/hello"

static const char world[] = "limits: off\nfunctions:\n"
			    "  hello:\n"
			    "    versions: {1: {}, 2: {}}\n"
			    "    aliases: {prod: {version: 1}, test: {version: 2}}\n";

/* Adds a statement, of which `fields` are the rest of the JSON text; gives the status. */
static int add(struct rig *r, const char *query, const char *sid, const char *principal, const char *fields)
{
	char body[1024];
	snprintf(body, sizeof(body),
		 "{\"StatementId\":\"%s\",\"Action\":\"lambda:InvokeFunction\",\"Principal\":\"%s\"%s}", sid, principal,
		 fields);
	struct http_request request = {.method = "POST", .path = POLICY, .query = query, .body = body};
	return rig_request(r, &request);
}

static int ask(struct rig *r, const char *method, const char *path, const char *query)
{
	struct http_request request = {.method = method, .path = path, .query = query};
	return rig_request(r, &request);
}

static bool permits(const struct rig *r, const char *qualifier, const char *arn, const char *account)
{
	return lambda_permits(model_function(r->w, "hello"), qualifier, GATEWAY, arn, account);
}

static void test_each_qualifier_has_its_own(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, 1, world);
	assert_int_equal(add(&r, "Qualifier=prod", "a", GATEWAY, ""), 201);
	assert_int_equal(ask(&r, "GET", POLICY, "Qualifier=test"), 404);
	assert_int_equal(ask(&r, "GET", POLICY, ""), 404);
	assert_int_equal(ask(&r, "GET", POLICY, "Qualifier=1"), 404);
	assert_int_equal(ask(&r, "GET", POLICY, "Qualifier=prod"), 200);
	assert_string_equal(rig_text(&r, "Policy"),
			    "{\"Version\":\"2012-10-17\",\"Id\":\"default\",\"Statement\":[{\"Sid\":\"a\",\"Effect\":"
			    "\"Allow\",\"Principal\":{\"Service\":\"" GATEWAY
			    "\"},\"Action\":\"lambda:InvokeFunction\",\"Resource\":\"arn:aws:lambda:us-east-1:" ACCOUNT
			    ":function:hello:prod\"}]}");
	assert_true(permits(&r, "prod", SOURCE, ACCOUNT));
	assert_false(permits(&r, "test", SOURCE, ACCOUNT));
	assert_false(permits(&r, NULL, SOURCE, ACCOUNT));
	assert_false(permits(&r, "1", SOURCE, ACCOUNT));

	assert_int_equal(add(&r, "", "own", GATEWAY, ""), 201);
	assert_true(permits(&r, NULL, SOURCE, ACCOUNT));
	assert_true(permits(&r, "$LATEST", SOURCE, ACCOUNT));
	assert_false(permits(&r, "test", SOURCE, ACCOUNT));
	rig_deinit(&r);
}

static void test_what_add_refuses(void **state)
{
	(void)state;
	static const struct {
		const char *query, *sid, *principal, *fields;
		int status;
		const char *code;
	} cases[] = {
	    {"Qualifier=$LATEST", "a", GATEWAY, "", 400, "InvalidParameterValueException"},
	    {"Qualifier=none", "a", GATEWAY, "", 404, "ResourceNotFoundException"},
	    {"Qualifier=9", "a", GATEWAY, "", 404, "ResourceNotFoundException"},
	    {"Qualifier=prod", "a.b", GATEWAY, "", 400, "ValidationException"},
	    {"Qualifier=prod", "", GATEWAY, "", 400, "ValidationException"},
	    {"Qualifier=prod", "a", "nobody", "", 400, "InvalidParameterValueException"},
	    {"Qualifier=prod", "a", GATEWAY, ",\"SourceAccount\":\"12\"", 400, "ValidationException"},
	    {"Qualifier=prod", "a", GATEWAY, ",\"SourceArn\":\"prod\"", 400, "ValidationException"},
	    {"Qualifier=prod", "a", GATEWAY, ",\"RevisionId\":\"wrong\"", 412, "PreconditionFailedException"},
	    {"Qualifier=prod", "a", GATEWAY, ",\"SourceAccount\":12", 400, "SerializationException"},
	};
	struct rig r;
	rig_init(&r, 1, world);
	for (size_t i = 0; i < array_len(cases); i++) {
		int status = add(&r, cases[i].query, cases[i].sid, cases[i].principal, cases[i].fields);
		assert_string_equal(rig_error(&r), cases[i].code);
		assert_int_equal(status, cases[i].status);
	}
	assert_int_equal(ask(&r, "GET", POLICY, "Qualifier=prod"), 404);
	assert_int_equal(
	    rig_call(&r, "POST", POLICY, "{\"StatementId\":\"a\",\"Action\":\"s3:GetObject\",\"Principal\":\"*\"}"),
	    400);
	assert_int_equal(rig_call(&r, "POST", POLICY, "{\"StatementId\":\"a\",\"Action\":\"lambda:*\"}"), 400);
	rig_deinit(&r);
}

static void test_statements_come_and_go(void **state)
{
	(void)state;
	struct rig r;
	char revision[64], query[128];
	rig_init(&r, 1, world);
	assert_int_equal(ask(&r, "DELETE", POLICY "/a", "Qualifier=prod"), 404);
	assert_int_equal(add(&r, "Qualifier=prod", "a", GATEWAY, ""), 201);
	assert_int_equal(add(&r, "Qualifier=prod", "a", GATEWAY, ""), 409);
	assert_int_equal(add(&r, "Qualifier=test", "a", GATEWAY, ""), 201);
	assert_int_equal(ask(&r, "GET", POLICY, "Qualifier=prod"), 200);
	text_copy(revision, sizeof(revision), rig_text(&r, "RevisionId"));
	assert_int_equal(add(&r, "Qualifier=prod", "b", "*", ""), 201);
	/* The revision has changed with it. */
	snprintf(query, sizeof(query), "Qualifier=prod&RevisionId=%s", revision);
	assert_int_equal(ask(&r, "DELETE", POLICY "/a", query), 412);
	assert_int_equal(ask(&r, "DELETE", POLICY "/c", "Qualifier=prod"), 404);
	assert_int_equal(ask(&r, "DELETE", POLICY "/a", "Qualifier=prod"), 204);
	assert_int_equal(ask(&r, "GET", POLICY, "Qualifier=prod"), 200);
	assert_null(strstr(rig_text(&r, "Policy"), "\"a\""));
	assert_non_null(strstr(rig_text(&r, "Policy"), "\"Principal\":\"*\""));
	/* With its last statement the policy is gone. */
	assert_int_equal(ask(&r, "DELETE", POLICY "/b", "Qualifier=prod"), 204);
	assert_int_equal(ask(&r, "GET", POLICY, "Qualifier=prod"), 404);
	rig_deinit(&r);
}

static void test_length_is_limited(void **state)
{
	(void)state;
	struct rig r;
	char sid[16];
	int status = 201;
	size_t n = 0;
	rig_init(&r, 1, world);
	while (status == 201 && n < 1000) {
		snprintf(sid, sizeof(sid), "s%zu", n++);
		status = add(&r, "Qualifier=prod", sid, GATEWAY, ",\"SourceArn\":\"" SOURCE "\"");
	}
	assert_int_equal(status, 400);
	assert_string_equal(rig_error(&r), "PolicyLengthExceededException");
	assert_int_equal(ask(&r, "GET", POLICY, "Qualifier=prod"), 200);
	size_t len = strlen(rig_text(&r, "Policy"));
	assert_in_range(len, 20480 - 400, 20480);
	assert_null(strstr(rig_text(&r, "Policy"), sid));
	rig_deinit(&r);
}

static void test_gone_with_what_it_belongs_to(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, 1, world);
	assert_int_equal(add(&r, "Qualifier=prod", "a", GATEWAY, ""), 201);
	assert_int_equal(add(&r, "Qualifier=2", "a", GATEWAY, ""), 201);
	assert_int_equal(ask(&r, "DELETE", "/2015-03-31/functions/hello/aliases/prod", ""), 204);
	assert_int_equal(ask(&r, "DELETE", "/2015-03-31/functions/hello/aliases/test", ""), 204);
	assert_int_equal(ask(&r, "DELETE", "/2015-03-31/functions/hello", "Qualifier=2"), 204);
	assert_int_equal(rig_call(&r, "POST", "/2015-03-31/functions/hello/aliases",
				  "{\"Name\":\"prod\",\"FunctionVersion\":\"1\"}"),
			 201);
	assert_int_equal(ask(&r, "GET", POLICY, "Qualifier=prod"), 404);
	assert_int_equal(ask(&r, "GET", POLICY, "Qualifier=2"), 404);
	assert_false(permits(&r, "prod", SOURCE, ACCOUNT));
	rig_deinit(&r);
}

static void test_conditions(void **state)
{
	(void)state;
	static const struct {
		const char *fields;
		bool permitted;
	} cases[] = {
	    {"", true},
	    {",\"SourceArn\":\"" SOURCE "\"", true},
	    {",\"SourceArn\":\"arn:aws:execute-api:us-east-1:" ACCOUNT ":a1b2c3/prod/*\"", true},
	    {",\"SourceArn\":\"arn:aws:execute-api:us-east-1:" ACCOUNT ":a1b2c3/*/G?T/hel*o\"", true},
	    {",\"SourceArn\":\"arn:aws:execute-api:*:*:a1b2c3/*\"", true},
	    {",\"SourceArn\":\"arn:aws:execute-api:us-east-1:" ACCOUNT ":a1b2c3/test/*\"", false},
	    {",\"SourceArn\":\"arn:aws:execute-api:us-east-1:" ACCOUNT ":a1b2c3/prod\"", false},
	    {",\"SourceArn\":\"arn:aws:execute-api:eu-west-1:*:a1b2c3/*\"", false},
	    /* A star ends at the colon, but for the last part. */
	    {",\"SourceArn\":\"arn:aws:*/prod/GET/hello\"", false},
	    {",\"SourceArn\":\"arn:*\"", false},
	    {",\"SourceAccount\":\"" ACCOUNT "\"", true},
	    {",\"SourceAccount\":\"210987654321\"", false},
	    {",\"SourceAccount\":\"" ACCOUNT "\",\"SourceArn\":\"arn:aws:execute-api:*:*:other/*\"", false},
	    {",\"SourceAccount\":\"210987654321\",\"SourceArn\":\"arn:aws:execute-api:*:*:a1b2c3/*\"", false},
	    /* Nothing is known of organisations here. */
	    {",\"PrincipalOrgID\":\"o-1234567890\"", false},
	};
	struct rig r;
	rig_init(&r, 1, world);
	for (size_t i = 0; i < array_len(cases); i++) {
		assert_int_equal(add(&r, "Qualifier=prod", "a", GATEWAY, cases[i].fields), 201);
		if (permits(&r, "prod", SOURCE, ACCOUNT) != cases[i].permitted)
			fail_msg("%s", cases[i].fields);
		assert_int_equal(ask(&r, "DELETE", POLICY "/a", "Qualifier=prod"), 204);
	}
	/* A source that the request does not have satisfies no condition. */
	assert_int_equal(add(&r, "Qualifier=prod", "a", GATEWAY, ",\"SourceAccount\":\"" ACCOUNT "\""), 201);
	assert_false(permits(&r, "prod", SOURCE, NULL));
	rig_deinit(&r);
}

static void test_principals(void **state)
{
	(void)state;
	static const struct {
		const char *principal, *shown;
		bool permitted;
	} cases[] = {
	    {GATEWAY, "{\\\"Service\\\":\\\"" GATEWAY "\\\"}", true},
	    {"*", "\\\"Principal\\\":\\\"*\\\"", true},
	    {"s3.amazonaws.com", "{\\\"Service\\\":\\\"s3.amazonaws.com\\\"}", false},
	    {ACCOUNT, "{\\\"AWS\\\":\\\"arn:aws:iam::" ACCOUNT ":root\\\"}", false},
	    {"arn:aws:iam::" ACCOUNT ":user/u", "{\\\"AWS\\\":\\\"arn:aws:iam::" ACCOUNT ":user/u\\\"}", false},
	};
	struct rig r;
	rig_init(&r, 1, world);
	for (size_t i = 0; i < array_len(cases); i++) {
		assert_int_equal(add(&r, "Qualifier=prod", "a", cases[i].principal, ""), 201);
		assert_non_null(strstr(r.reply.response.body, cases[i].shown));
		assert_int_equal(permits(&r, "prod", SOURCE, ACCOUNT), cases[i].permitted);
		assert_int_equal(ask(&r, "DELETE", POLICY "/a", "Qualifier=prod"), 204);
	}
	/* An action other than invoking permits no invoking. */
	assert_int_equal(rig_call(&r, "POST", POLICY,
				  "{\"StatementId\":\"g\",\"Action\":\"lambda:GetFunction\",\"Principal\":\"*\"}"),
			 201);
	assert_false(permits(&r, NULL, SOURCE, ACCOUNT));
	assert_int_equal(
	    rig_call(&r, "POST", POLICY, "{\"StatementId\":\"h\",\"Action\":\"lambda:*\",\"Principal\":\"*\"}"), 201);
	assert_true(permits(&r, NULL, SOURCE, ACCOUNT));
	rig_deinit(&r);
}

/* --- the data plane's door --- */

static void serve(struct rig *r, struct arena *a, const char *function, const char *qualifier,
		  struct lambda_served *ret)
{
	uint64_t user = 7;
	lambda_serve(r->w, a, function, qualifier, &user, "request-1", ret);
}

static void test_serving(void **state)
{
	(void)state;
	struct rig r;
	struct lambda_served s;
	struct arena *a = arena_new();
	rig_init(&r, 1,
		 "functions:\n"
		 "  hello:\n"
		 "    versions: {1: {response: one, latency: 30ms}, 2: {error_rate: 1}, 3: {throttle_rate: 1}}\n"
		 "    aliases: {prod: {version: 1}, half: {version: 1, weights: {2: 50%}}}\n");
	serve(&r, a, "hello", "prod", &s);
	assert_int_equal(s.end, LAMBDA_ANSWERED);
	assert_int_equal(s.version, 1);
	assert_string_equal(s.payload, "{\"statusCode\":200,\"body\":\"one\"}");
	assert_int_equal(s.payload_len, strlen(s.payload));
	assert_true(s.duration_ms == 30);
	serve(&r, a, "hello", "2", &s);
	assert_int_equal(s.end, LAMBDA_FAILED);
	assert_non_null(strstr(s.payload, "\"errorType\":\"Exception\",\"requestId\":\"request-1\""));
	serve(&r, a, "hello", "3", &s);
	assert_int_equal(s.end, LAMBDA_THROTTLED);
	serve(&r, a, "hello", NULL, &s);
	assert_int_equal(s.end, LAMBDA_ANSWERED);
	assert_int_equal(s.version, VERSION_LATEST);
	static const char *const absent[][2] = {{"none", "prod"}, {"hello", "none"}, {"hello", "9"}};
	for (size_t i = 0; i < array_len(absent); i++) {
		serve(&r, a, absent[i][0], absent[i][1], &s);
		assert_int_equal(s.end, LAMBDA_ABSENT);
	}
	int by[3] = {0};
	for (int i = 0; i < 1000; i++) {
		serve(&r, a, "hello", "half", &s);
		by[s.version]++;
	}
	assert_in_range(by[2], 440, 560);
	assert_int_equal(by[1] + by[2], 1000);
	assert_int_equal(rig_usage(&r, "2", "requests"), by[2] + 1);
	assert_int_equal(rig_usage(&r, "2", "users_with_errors"), 1);
	rig_advance(&r, 120 * 1000);
	assert_true(rig_value(&r, 0, "Invocations", "hello:half", NULL) == 1000);
	arena_free(a);
	rig_deinit(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_each_qualifier_has_its_own),
	    cmocka_unit_test(test_what_add_refuses),
	    cmocka_unit_test(test_statements_come_and_go),
	    cmocka_unit_test(test_length_is_limited),
	    cmocka_unit_test(test_gone_with_what_it_belongs_to),
	    cmocka_unit_test(test_conditions),
	    cmocka_unit_test(test_principals),
	    cmocka_unit_test(test_serving),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
