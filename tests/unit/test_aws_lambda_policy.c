/* Resource-based policies of a function's aliases: requests (as botocore builds them) and answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <jansson.h>

#include "aws/lambda_chain.h"
#include "tests/unit/aws_answers.h"

#define RECORDED "../shared/vectors/real-aws-responses/lambda_api.snapshot.json"
#define SCENARIO "tests/aws/services/lambda_/test_lambda_api.py::TestLambdaPermissions::test_add_lambda_permission_aws"
#define ARN	 "arn:aws:lambda:us-east-1:123456789012:function:hello"
#define SOURCE	 "arn:aws:execute-api:us-east-1:123456789012:abc/prod/*"
#define F	 "/2015-03-31/functions/hello"

static const struct aws_endpoint aws = {.scheme = "https", .host = "lambda.us-east-1.amazonaws.com"};

/* --- requests --- */

static void expect(const struct http_request *r, const char *method, const char *path, const char *query,
		   const char *body)
{
	const char *type = http_header_find(r->headers, r->n_headers, "Content-Type");
	assert_string_equal(r->method, method);
	assert_string_equal(r->path, path);
	assert_string_equal(r->query, query);
	assert_string_equal(r->body, body);
	assert_int_equal(r->body_len, strlen(body));
	if (*body)
		assert_string_equal(type, "application/json");
	else
		assert_null(type);
}

static void permissions_are_asked_for(void **state)
{
	(void)state;
	struct arena *a cleanup(arena_free_p) = arena_new();
	struct http_request r;
	lambda_build_get_policy(a, &aws, "hello", "prod", &r);
	expect(&r, "GET", F "/policy", "Qualifier=prod", "");
	lambda_build_add_permission(a, &aws, "hello", "prod", "rolloutd-abc-prod", SOURCE, "123456789012", &r);
	expect(&r, "POST", F "/policy", "Qualifier=prod",
	       "{\"StatementId\":\"rolloutd-abc-prod\",\"Action\":\"lambda:InvokeFunction\","
	       "\"Principal\":\"apigateway.amazonaws.com\",\"SourceArn\":\"" SOURCE
	       "\",\"SourceAccount\":\"123456789012\"}");
	lambda_build_remove_permission(a, &aws, "hello", "prod", "rolloutd-abc-prod", &r);
	expect(&r, "DELETE", F "/policy/rolloutd-abc-prod", "Qualifier=prod", "");
	lambda_build_remove_permission(a, &aws, "hello", "prod", "a/b", &r);
	expect(&r, "DELETE", F "/policy/a%2Fb", "Qualifier=prod", "");
}

/* --- answers --- */

#define STATEMENT(sid, more)                                                                                           \
	"{\"Sid\":\"" sid "\",\"Effect\":\"Allow\",\"Principal\":{\"Service\":\"apigateway.amazonaws.com\"},"          \
	"\"Action\":\"lambda:InvokeFunction\",\"Resource\":\"" ARN ":prod\"" more "}"
#define CONDITIONS                                                                                                     \
	",\"Condition\":{\"StringEquals\":{\"AWS:SourceAccount\":\"123456789012\"},"                                   \
	"\"ArnLike\":{\"AWS:SourceArn\":\"" SOURCE "\"}}"

/* What the answer that has `policy` as text says about an alias. */
static int parse_policy_of(const char *alias, struct arena *a, const char *policy, struct view_policy *p,
			   struct aws_error *e)
{
	struct buf b cleanup(buf_deinit) = BUF_INIT(1 << 20);
	buf_add_text(&b, "{\"Policy\":");
	buf_add_json_string(&b, policy);
	buf_add_text(&b, ",\"RevisionId\":\"r\"}");
	struct http_response r = answer_body(buf_text(&b));
	return lambda_parse_policy(&r, alias, a, p, e);
}

static int parse_policy(struct arena *a, const char *policy, struct view_policy *p, struct aws_error *e)
{
	return parse_policy_of("prod", a, policy, p, e);
}

static void policies_are_read(void **state)
{
	(void)state;
	struct arena *a cleanup(arena_free_p) = arena_new();
	struct view_policy p;
	struct aws_error e = {0};
	const char *text = "{\"Version\":\"2012-10-17\",\"Id\":\"default\",\"Statement\":[" STATEMENT(
	    "one", CONDITIONS) "," STATEMENT("two", "") "]}";
	assert_int_equal(parse_policy(a, text, &p, &e), 0);
	assert_int_equal(p.bytes, strlen(text));
	assert_int_equal(p.n_statements, 2);
	assert_string_equal(p.statements[0].sid, "one");
	assert_true(p.statements[0].invokes);
	assert_string_equal(p.statements[0].source_arn, SOURCE);
	assert_string_equal(p.statements[0].source_account, "123456789012");
	assert_true(p.statements[1].invokes);
	assert_null(p.statements[1].source_arn);
	assert_null(p.statements[1].source_account);
	assert_int_equal(parse_policy(a, "{\"Statement\":" STATEMENT("alone", "") "}", &p, &e), 0);
	assert_int_equal(p.n_statements, 1);
	assert_int_equal(parse_policy(a, "{\"Statement\":[]}", &p, &e), 0);
	assert_int_equal(p.n_statements, 0);
}

static bool invokes(const char *statement)
{
	struct arena *a cleanup(arena_free_p) = arena_new();
	struct view_policy p;
	struct aws_error e = {0};
	char *policy = mem_printf("{\"Statement\":[%s]}", statement);
	if (parse_policy(a, policy, &p, &e))
		fail_msg("%s: %s", e.message, policy);
	free(policy);
	return p.statements[0].invokes;
}

#define WITH(effect, principal, action, more)                                                                          \
	"{\"Effect\":" effect ",\"Principal\":" principal ",\"Action\":" action more "}"
#define SERVICE "{\"Service\":\"apigateway.amazonaws.com\"}"
#define INVOKE	"\"lambda:InvokeFunction\""

static void only_what_is_understood_invokes(void **state)
{
	(void)state;
	static const char *const yes[] = {
	    WITH("\"Allow\"", SERVICE, INVOKE, ""),
	    WITH("\"Allow\"", "\"*\"", INVOKE, ""),
	    WITH("\"Allow\"", "{\"Service\":[\"s3.amazonaws.com\",\"apigateway.amazonaws.com\"]}", INVOKE, ""),
	    WITH("\"Allow\"", SERVICE, "[\"lambda:GetAlias\",\"lambda:InvokeFunction\"]", ""),
	    WITH("\"Allow\"", SERVICE, "\"lambda:*\"", ""),
	    WITH("\"Allow\"", SERVICE, "\"*\"", ""),
	    WITH("\"Allow\"", SERVICE, INVOKE, ",\"Condition\":{}"),
	    WITH("\"Allow\"", SERVICE, INVOKE, ",\"Condition\":{\"ArnEquals\":{\"aws:SourceArn\":[\"x\"]}}"),
	};
	for (size_t i = 0; i < array_len(yes); i++)
		if (!invokes(yes[i]))
			fail_msg("does not invoke: %s", yes[i]);
	static const char *const no[] = {
	    WITH("\"Deny\"", SERVICE, INVOKE, ""),
	    WITH("7", SERVICE, INVOKE, ""),
	    WITH("\"Allow\"", "{\"Service\":\"s3.amazonaws.com\"}", INVOKE, ""),
	    WITH("\"Allow\"", "{\"AWS\":\"arn:aws:iam::123456789012:root\"}", INVOKE, ""),
	    WITH("\"Allow\"", "[7]", INVOKE, ""),
	    WITH("\"Allow\"", "null", INVOKE, ""),
	    WITH("\"Allow\"", SERVICE, "\"lambda:InvokeFunctionUrl\"", ""),
	    WITH("\"Allow\"", SERVICE, "[]", ""),
	    WITH("\"Allow\"", SERVICE, INVOKE, ",\"Condition\":7"),
	    WITH("\"Allow\"", SERVICE, INVOKE, ",\"Condition\":{\"ArnLike\":\"x\"}"),
	    WITH("\"Allow\"", SERVICE, INVOKE, ",\"Condition\":{\"ArnLike\":{\"AWS:SourceArn\":[\"x\",\"y\"]}}"),
	    WITH("\"Allow\"", SERVICE, INVOKE, ",\"Condition\":{\"ArnLike\":{\"aws:PrincipalArn\":\"x\"}}"),
	    WITH("\"Allow\"", SERVICE, INVOKE, ",\"Condition\":{\"ArnNotLike\":{\"AWS:SourceArn\":\"x\"}}"),
	    WITH("\"Allow\"", SERVICE, INVOKE, ",\"Condition\":{\"StringEquals\":{\"AWS:SourceArn\":\"x\"}}"),
	    WITH("\"Allow\"", SERVICE, INVOKE, ",\"Condition\":{\"StringEquals\":{\"aws:PrincipalOrgID\":\"o\"}}"),
	    WITH("\"Allow\"", SERVICE, INVOKE, ",\"Condition\":{\"ArnLike\":{\"AWS:SourceArn\":7}}"),
	    ("{\"Effect\":\"Allow\",\"NotPrincipal\":" SERVICE ",\"Action\":" INVOKE "}"),
	    ("{\"Effect\":\"Allow\",\"Principal\":" SERVICE ",\"NotAction\":\"lambda:GetAlias\"}"),
	};
	for (size_t i = 0; i < array_len(no); i++)
		if (invokes(no[i]))
			fail_msg("invokes: %s", no[i]);
}

static void what_is_no_policy_is_refused(void **state)
{
	(void)state;
	struct arena *a cleanup(arena_free_p) = arena_new();
	struct view_policy p = {.bytes = 17};
	struct aws_error e = {0};
	static const char *const bad[] = {
	    "",
	    "[]",
	    "{}",
	    "{\"Statement\":7}",
	    "{\"Statement\":[7]}",
	    "{\"Statement\":[{\"Sid\":7}]}",
	    "{\"Statement\":[{\"Sid\":\"a\\nb\"}]}",
	    "{\"Statement\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}",
	};
	for (size_t i = 0; i < array_len(bad); i++) {
		if (!parse_policy(a, bad[i], &p, &e))
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(e.class, AWS_MALFORMED);
		assert_int_equal(p.bytes, 17);
	}
	struct http_response r = answer_body("{\"Policy\":{\"Statement\":[]}}");
	assert_int_equal(lambda_parse_policy(&r, "prod", a, &p, &e), 1);
	r = answer_of(404, "x-amzn-errortype", "ResourceNotFoundException", "{\"Message\":\"no policy\"}");
	assert_int_equal(lambda_parse_policy(&r, "prod", a, &p, &e), 1);
	assert_int_equal(e.class, AWS_NOT_FOUND);
}

static void added_permissions_tell_their_size(void **state)
{
	(void)state;
	static const char statement[] = STATEMENT("rolloutd-abc-prod", CONDITIONS);
	struct buf b cleanup(buf_deinit) = BUF_INIT(1 << 20);
	struct aws_error e = {0};
	size_t bytes = 0;
	buf_add_text(&b, "{\"Statement\":");
	buf_add_json_string(&b, statement);
	buf_add_char(&b, '}');
	struct http_response r = answer_of(201, NULL, NULL, buf_text(&b));
	assert_int_equal(lambda_parse_add_permission(&r, &bytes, &e), 0);
	assert_int_equal(bytes, sizeof(statement) - 1);
	static const char *const bad[] = {"{}", "{\"Statement\":{}}", "{\"Statement\":\"\"}", "{\"Statement\":\"x\"}"};
	for (size_t i = 0; i < array_len(bad); i++) {
		r = answer_body(bad[i]);
		assert_int_equal(lambda_parse_add_permission(&r, &bytes, &e), 1);
		assert_int_equal(bytes, sizeof(statement) - 1);
	}
}

static void cut_policy(const struct http_response *r, void *ctx)
{
	struct arena *a cleanup(arena_free_p) = arena_new();
	struct view_policy p;
	struct aws_error e = {0};
	(void)ctx;
	assert_int_equal(lambda_parse_policy(r, "prod", a, &p, &e), 1);
	assert_int_equal(e.class, AWS_MALFORMED);
}

static void every_cut_is_refused(void **state)
{
	(void)state;
	each_truncation("{\"Policy\":\"{\\\"Statement\\\":[{\\\"Sid\\\":\\\"x\\\"}]}\"}", cut_policy, NULL);
}

/* What keeps one policy for all aliases: the others' statements are not this one's. */
static void policy_of_all_aliases(void **state)
{
	(void)state;
	struct arena *a cleanup(arena_free_p) = arena_new();
	struct view_policy p;
	struct aws_error e;
	assert_int_equal(parse_policy(a,
				      "{\"Statement\":["
				      "{\"Sid\":\"a\",\"Resource\":\"arn:aws:lambda:r:1:function:hello:test\"},"
				      "{\"Sid\":\"b\",\"Resource\":\"arn:aws:lambda:r:1:function:hello:prod\"},"
				      "{\"Sid\":\"c\",\"Resource\":\"arn:aws:lambda:r:1:function:prod\"}]}",
				      &p, &e),
			 0);
	assert_int_equal(p.n_statements, 2);
	assert_string_equal(p.statements[0].sid, "b");
	assert_string_equal(p.statements[1].sid, "c");
}

static void recorded_policies(void **state)
{
	(void)state;
	json_t *all = json_load_file(RECORDED, 0, NULL);
	if (!all)
		skip();
	struct arena *a cleanup(arena_free_p) = arena_new();
	struct view_policy p;
	struct aws_error e = {0};
	json_t *steps = json_object_get(json_object_get(all, SCENARIO), "recorded-content");
	/* The recorder has read the text, which AWS writes without any space. */
	char *policy = json_dumps(json_object_get(json_object_get(steps, "get_policy"), "Policy"), JSON_COMPACT);
	/* The function's placeholder has a colon, so that "1>" looks like an alias. */
	assert_int_equal(parse_policy_of("1>", a, policy, &p, &e), 0);
	assert_int_equal(p.n_statements, 1);
	assert_string_equal(p.statements[0].sid, "s3");
	assert_false(p.statements[0].invokes);
	free(policy);
	/* What ours takes: the same members, with our values. */
	json_t *statement = json_object_get(json_object_get(steps, "add_permission"), "Statement");
	json_object_set_new(statement, "Sid", json_string("rolloutd-abc-prod"));
	json_object_set_new(statement, "Principal", json_pack("{ss}", "Service", "apigateway.amazonaws.com"));
	json_object_set_new(statement, "Resource", json_string(ARN ":prod"));
	json_object_set_new(statement, "Condition",
			    json_pack("{s{ss}s{ss}}", "StringEquals", "AWS:SourceAccount", "123456789012", "ArnLike",
				      "AWS:SourceArn", SOURCE));
	char *text = json_dumps(statement, JSON_COMPACT);
	/* And the comma before it. */
	assert_int_equal(strlen(text) + 1,
			 chain_statement_bytes(ARN, "prod", "rolloutd-abc-prod", SOURCE, "123456789012"));
	free(text);
	json_decref(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(permissions_are_asked_for),
	    cmocka_unit_test(policies_are_read),
	    cmocka_unit_test(only_what_is_understood_invokes),
	    cmocka_unit_test(what_is_no_policy_is_refused),
	    cmocka_unit_test(added_permissions_tell_their_size),
	    cmocka_unit_test(every_cut_is_refused),
	    cmocka_unit_test(policy_of_all_aliases),
	    cmocka_unit_test(recorded_policies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
