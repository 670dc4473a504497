/*
 * The table of rights: it knows every operation that can be sent, docs/iam.md has what it says, policies have no more
 * than was asked for, and a refusal names what is missing. UPDATE_GOLDEN=1 writes the document's part anew.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/rights.h"

#define DOCUMENT     "docs/iam.md"
#define DOCUMENT_MAX (256 * 1024)
#define BEGIN	     "<!-- from the table of rights -->\n"
#define END	     "<!-- end of the table -->\n"

/* Whoever adds an operation adds its right. */
static void every_operation_has_a_right(void **state)
{
	(void)state;
	for (enum engine_operation o = 0; o < OPERATION_COUNT; o++) {
		bool found = false;
		for (size_t n = 0; n < rights_count(); n++)
			found |= rights_at(n)->operation == o;
		if (found != rights_are_needed(o))
			fail_msg("%s has no right in lib/engine/rights.c", engine_operation_name(o));
	}
}

static void every_right_is_whole(void **state)
{
	(void)state;
	for (size_t n = 0; n < rights_count(); n++) {
		const struct right *r = rights_at(n);
		assert_non_null(strchr(r->action, ':'));
		assert_non_null(r->resources[0]);
		assert_true(r->features != 0 && r->features < 1u << FEATURE_COUNT);
		for (size_t m = 0; m < n; m++)
			assert_false(rights_at(m)->operation == r->operation && r->operation < OPERATION_COUNT &&
				     strcmp(rights_at(m)->resources[0], r->resources[0]) == 0);
	}
}

static void the_document_has_the_table(void **state)
{
	(void)state;
	cleanup(mem_free_p) char *text = NULL;
	size_t len = 0;
	assert_int_equal(file_read(DOCUMENT, DOCUMENT_MAX, &text, &len), 0);
	char *begin = strstr(text, BEGIN), *end = strstr(text, END);
	assert_true(begin && end && begin < end);
	begin += strlen(BEGIN);
	cleanup(buf_deinit) struct buf table = BUF_INIT(DOCUMENT_MAX), whole = BUF_INIT(DOCUMENT_MAX);
	rights_print_document(&table);
	assert_true(buf_ok(&table));
	buf_add(&whole, text, (size_t)(begin - text));
	buf_add_text(&whole, buf_text(&table));
	buf_add_text(&whole, end);
	if (getenv("UPDATE_GOLDEN"))
		assert_int_equal(file_write_atomic(DOCUMENT, buf_text(&whole), whole.len, 0644), 0);
	else
		assert_string_equal(text, buf_text(&whole));
}

/* --- policies --- */

static json_t *policy_of(unsigned features, const char *function, const char *region)
{
	cleanup(buf_deinit) struct buf out = BUF_INIT(DOCUMENT_MAX);
	const struct rights_wish wish = {
	    .features = features,
	    .parts = {[PART_FUNCTION] = function, [PART_REGION] = region, [PART_ACCOUNT] = "123456789012"},
	};
	rights_print_policy(&wish, &out);
	assert_true(buf_ok(&out));
	json_t *policy = json_loads(buf_text(&out), JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(policy);
	assert_string_equal(json_string_value(json_object_get(policy, "Version")), "2012-10-17");
	return policy;
}

static bool holds(const json_t *list, const char *text)
{
	for (size_t n = 0; n < json_array_size(list); n++)
		if (strcmp(json_string_value(json_array_get(list, n)), text) == 0)
			return true;
	return false;
}

/* The resources that the policy allows the action on, with blanks between them. */
static void resources_of(const json_t *policy, const char *action, char out[static 1024])
{
	cleanup(buf_deinit) struct buf found = BUF_INIT(1023);
	size_t n, m;
	const json_t *statement, *text;
	json_array_foreach(json_object_get(policy, "Statement"), n, statement)
	{
		if (!holds(json_object_get(statement, "Action"), action))
			continue;
		json_array_foreach(json_object_get(statement, "Resource"), m, text)
		    buf_addf(&found, "%s%s", found.len > 0 ? " " : "", json_string_value(text));
	}
	assert_true(text_copy(out, 1024, buf_text(&found)));
}

static void a_policy_has_what_was_asked_for(void **state)
{
	(void)state;
	char text[1024];
	json_t *p = policy_of(rights_feature_closure(FEATURE_ROLLOUTS), "hello,shop-*", "eu-west-1");
	resources_of(p, "lambda:UpdateAlias", text);
	assert_string_equal(text, "arn:aws:lambda:eu-west-1:123456789012:function:hello "
				  "arn:aws:lambda:eu-west-1:123456789012:function:shop-* "
				  "arn:aws:lambda:eu-west-1:123456789012:function:hello:* "
				  "arn:aws:lambda:eu-west-1:123456789012:function:shop-*:*");
	resources_of(p, "cloudwatch:GetMetricData", text);
	assert_string_equal(text, "*");
	static const char *const absent[] = {"cloudwatch:DescribeAlarms", "lambda:DeleteFunction", "apigateway:GET",
					     "lambda:InvokeFunction", "lambda:UpdateFunctionCode"};
	for (size_t n = 0; n < array_len(absent); n++) {
		resources_of(p, absent[n], text);
		assert_string_equal(text, "");
	}
	json_decref(p);
}

/* Of the function itself never, lest a list of versions that goes wrong takes it away. */
static void versions_alone_may_be_deleted(void **state)
{
	(void)state;
	char text[1024];
	json_t *p = policy_of(rights_feature_closure(FEATURE_PRUNING), "hello", "us-east-1");
	resources_of(p, "lambda:DeleteFunction", text);
	assert_string_equal(text, "arn:aws:lambda:us-east-1:123456789012:function:hello:*");
	json_decref(p);
}

static void arns_are_of_the_regions_partition(void **state)
{
	(void)state;
	static const struct {
		const char *region, *prefix;
	} cases[] = {{"cn-north-1", "arn:aws-cn:"},
		     {"us-gov-west-1", "arn:aws-us-gov:"},
		     {"eusc-de-east-1", "arn:aws-eusc:"},
		     {"us-iso-east-1", "arn:aws-iso:"},
		     {"us-isob-east-1", "arn:aws-iso-b:"},
		     {"eu-isoe-west-1", "arn:aws-iso-e:"},
		     {"us-isof-south-1", "arn:aws-iso-f:"},
		     {"eu-west-1", "arn:aws:"},
		     {"cn-*", "arn:aws-cn:"},
		     {NULL, "arn:aws:"}};
	for (size_t n = 0; n < array_len(cases); n++) {
		json_t *p = policy_of((1u << FEATURE_COUNT) - 1, NULL, cases[n].region);
		size_t at, m;
		const json_t *statement, *text;
		json_array_foreach(json_object_get(p, "Statement"), at, statement)
		    json_array_foreach(json_object_get(statement, "Resource"), m, text)
			assert_true(strcmp(json_string_value(text), "*") == 0 ||
				    text_starts_with(json_string_value(text), cases[n].prefix));
		json_decref(p);
	}
}

static void features_bring_what_they_need(void **state)
{
	(void)state;
	unsigned rest = rights_feature_closure(FEATURE_CREATE_REST_APIS);
	assert_int_equal(rest, 1u << FEATURE_CREATE_REST_APIS | 1u << FEATURE_REST_APIS | 1u << FEATURE_SERVICES |
				   1u << FEATURE_ROLLOUTS);
}

static void parts_are_checked(void **state)
{
	(void)state;
	assert_true(rights_part_is_valid(PART_FUNCTION, "hello,shop-*"));
	assert_true(rights_part_is_valid(PART_ACCOUNT, "123456789012"));
	assert_true(rights_part_is_valid(PART_ACCOUNT, "*"));
	assert_true(rights_part_is_valid(PART_ROLE, "service-role/hello@x"));
	static const struct {
		enum right_part part;
		const char *text;
	} bad[] = {{PART_FUNCTION, ""},	       {PART_FUNCTION, "a,,b"},	       {PART_FUNCTION, "a,"},
		   {PART_FUNCTION, "a:b"},     {PART_FUNCTION, "a\"b"},	       {PART_REGION, "eu-west-1,x"},
		   {PART_ACCOUNT, "12345678"}, {PART_ACCOUNT, "12345678901x"}, {PART_BUCKET, "a/b"}};
	for (size_t n = 0; n < array_len(bad); n++)
		assert_false(rights_part_is_valid(bad[n].part, bad[n].text));
}

/* --- what is missing --- */

static void a_refusal_names_action_and_resource(void **state)
{
	(void)state;
	static const struct {
		enum engine_operation operation;
		const char *region, *path, *message, *want;
	} cases[] = {
	    {OPERATION_UPDATE_ALIAS, "eu-west-1", "/2015-03-31/functions/hello/aliases/prod", "",
	     "not allowed: lambda:UpdateAlias on arn:aws:lambda:eu-west-1:*:function:hello"},
	    {OPERATION_INVOKE, "cn-north-1",
	     "/2015-03-31/functions/arn%3Aaws-cn%3Alambda%3Acn-north-1%3A123456789012%3Afunction%3Asmoke/invocations",
	     "no",
	     "not allowed: lambda:InvokeFunction on arn:aws-cn:lambda:cn-north-1:123456789012:function:smoke: no"},
	    {OPERATION_GET_METRIC_DATA, "us-east-1", "/", "Forbidden",
	     "not allowed: cloudwatch:GetMetricData on *: Forbidden"},
	    {OPERATION_CREATE_STAGE, "us-gov-west-1", "/restapis/abc/stages", "",
	     "not allowed: apigateway:POST on arn:aws-us-gov:apigateway:us-gov-west-1::/restapis/abc/stages"},
	    {OPERATION_GET_STAGES, "us-east-1", "/base/v2/apis/abc/stages", "",
	     "not allowed: apigateway:GET on arn:aws:apigateway:us-east-1::/apis/abc/stages"},
	    {OPERATION_CREATE_FUNCTION, "us-east-1", "/2015-03-31/functions", "",
	     "not allowed: lambda:CreateFunction on arn:aws:lambda:us-east-1:*:function:*"},
	    /* AWS knows best, and has said so. */
	    {OPERATION_CREATE_FUNCTION, "us-east-1", "/2015-03-31/functions",
	     "not allowed: iam:PassRole on arn:aws:iam::123456789012:role/hello",
	     "not allowed: iam:PassRole on arn:aws:iam::123456789012:role/hello"},
	};
	for (size_t n = 0; n < array_len(cases); n++) {
		struct aws_error e = {.class = AWS_DENIED};
		(void)text_copy(e.message, sizeof(e.message), cases[n].message);
		rights_name_missing(cases[n].operation, cases[n].region, cases[n].path, &e);
		assert_string_equal(e.message, cases[n].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_operation_has_a_right),	   cmocka_unit_test(every_right_is_whole),
	    cmocka_unit_test(the_document_has_the_table),	   cmocka_unit_test(a_policy_has_what_was_asked_for),
	    cmocka_unit_test(versions_alone_may_be_deleted),	   cmocka_unit_test(arns_are_of_the_regions_partition),
	    cmocka_unit_test(features_bring_what_they_need),	   cmocka_unit_test(parts_are_checked),
	    cmocka_unit_test(a_refusal_names_action_and_resource),
	};
	return cmocka_run_group_tests_name("rights", tests, NULL, NULL);
}
