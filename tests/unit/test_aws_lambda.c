/* Lambda: what goes out, and what is made of what comes back. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <jansson.h>

#include "aws/lambda.h"
#include "tests/unit/aws_answers.h"

#define RECORDED "../shared/vectors/real-aws-responses/lambda_api.snapshot.json"
#define ARN	 "arn:aws:lambda:us-east-1:123456789012:function:hello"

static const struct aws_endpoint aws = {.scheme = "https", .host = "lambda.us-east-1.amazonaws.com"};
static const struct aws_endpoint local = {.scheme = "http", .host = "127.0.0.1:4599", .base_path = "/aws"};

static const char *header_of(const struct http_request *r, const char *name)
{
	return http_header_find(r->headers, r->n_headers, name);
}

/* --- requests --- */

static void reads_are_built(void **state)
{
	(void)state;
	struct arena *a cleanup(arena_free_p) = arena_new();
	struct http_request r;
	lambda_build_get_alias(a, &aws, "hello", "prod", &r);
	assert_string_equal(r.method, "GET");
	assert_string_equal(r.scheme, "https");
	assert_string_equal(r.host, "lambda.us-east-1.amazonaws.com");
	assert_string_equal(r.path, "/2015-03-31/functions/hello/aliases/prod");
	assert_string_equal(r.query, "");
	assert_int_equal(r.body_len, 0);
	assert_int_equal(r.n_headers, 0); /* no Content-Type without a body */

	lambda_build_get_alias(a, &local, ARN, "prod", &r);
	assert_string_equal(r.scheme, "http");
	assert_string_equal(r.path, "/aws/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3A"
				    "function%3Ahello/aliases/prod");

	lambda_build_get_function(a, &aws, "hello", "$LATEST", &r);
	assert_string_equal(r.path, "/2015-03-31/functions/hello");
	assert_string_equal(r.query, "Qualifier=%24LATEST");
	lambda_build_get_function(a, &aws, "hello", NULL, &r);
	assert_string_equal(r.query, "");

	lambda_build_list_versions(a, &aws, "hello", NULL, &r);
	assert_string_equal(r.path, "/2015-03-31/functions/hello/versions");
	assert_string_equal(r.query, "");
	lambda_build_list_versions(a, &aws, "hello", "a b/+=", &r);
	assert_string_equal(r.query, "Marker=a%20b%2F%2B%3D");
}

static const char *update_body(struct arena *a, struct alias_target t, const char *description)
{
	struct http_request r;
	lambda_build_update_alias(a, &aws, "hello", "prod", &t, "rev-1", description, &r);
	assert_string_equal(r.method, "PUT");
	assert_string_equal(r.path, "/2015-03-31/functions/hello/aliases/prod");
	assert_string_equal(header_of(&r, "Content-Type"), "application/json");
	assert_int_equal(r.body_len, strlen(r.body));
	return r.body;
}

static void an_update_says_all_of_it(void **state)
{
	(void)state;
	struct arena *a cleanup(arena_free_p) = arena_new();
	assert_string_equal(update_body(a, (struct alias_target){.version = 1, .extra = 2, .weight_bp = 500}, NULL),
			    "{\"FunctionVersion\":\"1\",\"RoutingConfig\":{\"AdditionalVersionWeights\":{\"2\":0.05}},"
			    "\"RevisionId\":\"rev-1\"}");
	assert_string_equal(update_body(a, (struct alias_target){.version = 2}, "a \"b\"\n"),
			    "{\"FunctionVersion\":\"2\",\"RoutingConfig\":{\"AdditionalVersionWeights\":{}},"
			    "\"RevisionId\":\"rev-1\",\"Description\":\"a \\\"b\\\"\\n\"}");
	assert_non_null(strstr(update_body(a, (struct alias_target){.version = VERSION_LATEST}, NULL), "\"$LATEST\""));
}

static void every_weight_is_written_exactly(void **state)
{
	(void)state;
	/* Where the machine has such a locale, its decimal comma must not get into the body. */
	setlocale(LC_ALL, "de_DE.UTF-8");
	for (uint32_t bp = 1; bp <= WEIGHT_BP_MAX; bp++) {
		struct arena *a cleanup(arena_free_p) = arena_new();
		const char *body =
		    update_body(a, (struct alias_target){.version = 1, .extra = 2, .weight_bp = bp}, NULL);
		char *answer =
		    mem_printf("{\"FunctionVersion\":\"1\",\"RevisionId\":\"r\",%s", strstr(body, "\"RoutingConfig\""));
		char *again = strstr(answer, ",\"RevisionId\":\"rev-1\"");
		*again++ = '}';
		*again = '\0';
		struct http_response r = answer_body(answer);
		struct alias_view v;
		struct aws_error e;
		assert_int_equal(lambda_parse_alias(&r, &v, &e), 0);
		assert_int_equal(v.target.weight_bp, bp);
		assert_false(v.odd);
		free(answer);
	}
	setlocale(LC_ALL, "C");
}

/* --- aliases --- */

#define ALIAS(routing)                                                                                                 \
	"{\"AliasArn\":\"" ARN ":prod\",\"Name\":\"prod\",\"FunctionVersion\":\"7\",\"Description\":\"\","             \
	"\"RevisionId\":\"6b8d2a3c-1\"" routing "}"
#define WEIGHTS(w) ALIAS(",\"RoutingConfig\":{\"AdditionalVersionWeights\":{" w "}}")

static int parse(const char *body, struct alias_view *v)
{
	struct http_response r = answer_body(body);
	struct aws_error e;
	int result = lambda_parse_alias(&r, v, &e);
	if (result) {
		assert_int_equal(e.class, AWS_MALFORMED);
		assert_string_not_equal(e.message, "");
	}
	return result;
}

static void expect_alias(const char *body, uint64_t version, uint64_t extra, uint32_t weight_bp, bool odd)
{
	struct alias_view v;
	if (parse(body, &v))
		fail_msg("refused: %s", body);
	if (v.target.version != version || v.target.extra != extra || v.target.weight_bp != weight_bp || v.odd != odd)
		fail_msg("%s: %lu %lu %u %d", body, (unsigned long)v.target.version, (unsigned long)v.target.extra,
			 v.target.weight_bp, v.odd);
	assert_string_equal(v.revision, "6b8d2a3c-1");
}

static void aliases_are_read(void **state)
{
	(void)state;
	expect_alias(ALIAS(""), 7, 0, 0, false);
	expect_alias(ALIAS(",\"RoutingConfig\":null"), 7, 0, 0, false);
	expect_alias(ALIAS(",\"RoutingConfig\":{}"), 7, 0, 0, false);
	expect_alias(ALIAS(",\"RoutingConfig\":{\"AdditionalVersionWeights\":null}"), 7, 0, 0, false);
	expect_alias(WEIGHTS(""), 7, 0, 0, false);
	expect_alias(WEIGHTS("\"8\":0.1"), 7, 8, 1000, false);
	expect_alias(WEIGHTS("\"8\":0.07"), 7, 8, 700, false);
	expect_alias(WEIGHTS("\"8\":0.29"), 7, 8, 2900, false);
	expect_alias(WEIGHTS("\"8\":1"), 7, 8, 10000, false);
	expect_alias(WEIGHTS("\"8\":1.0"), 7, 8, 10000, false);
	expect_alias(WEIGHTS("\"8\":1e-4"), 7, 8, 1, false);
	expect_alias(WEIGHTS("\"8\":0.10000000000000003"), 7, 8, 1000, false);
	expect_alias("{\"FunctionVersion\":\"$LATEST\",\"RevisionId\":\"6b8d2a3c-1\"}", VERSION_LATEST, 0, 0, false);
	struct http_response r = answer_of(201, "Content-Type", "text", ALIAS(""));
	struct alias_view v;
	struct aws_error e;
	assert_int_equal(lambda_parse_alias(&r, &v, &e), 0);
}

static void what_no_target_can_say_is_odd(void **state)
{
	(void)state;
	expect_alias(WEIGHTS("\"8\":0.0"), 7, 0, 0, true);
	expect_alias(WEIGHTS("\"8\":0"), 7, 0, 0, true);
	expect_alias(WEIGHTS("\"8\":-0.5"), 7, 0, 0, true);
	expect_alias(WEIGHTS("\"8\":1.5"), 7, 0, 0, true);
	expect_alias(WEIGHTS("\"8\":1e300"), 7, 0, 0, true);
	expect_alias(WEIGHTS("\"8\":0.12345"), 7, 8, 1234, true);
	expect_alias(WEIGHTS("\"8\":0.1,\"9\":0.2"), 7, 0, 0, true);
	expect_alias(WEIGHTS("\"7\":0.1"), 7, 0, 0, true); /* the same version */
	expect_alias(WEIGHTS("\"$LATEST\":0.1"), 7, 0, 0, true);
	expect_alias(WEIGHTS("\"0\":0.1"), 7, 0, 0, true);
	expect_alias("{\"FunctionVersion\":\"$LATEST.PUBLISHED\",\"RevisionId\":\"6b8d2a3c-1\"}", VERSION_LATEST, 0, 0,
		     true);
}

static void what_is_no_alias_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {
	    "",
	    " ",
	    "null",
	    "[]",
	    "\"x\"",
	    "17",
	    "{}",
	    "<html>Log in to the hotel's network</html>",
	    "{\"FunctionVersion\":\"7\"}",
	    "{\"RevisionId\":\"x\"}",
	    "{\"FunctionVersion\":7,\"RevisionId\":\"x\"}",
	    "{\"FunctionVersion\":\"\",\"RevisionId\":\"x\"}",
	    "{\"FunctionVersion\":\"07\",\"RevisionId\":\"x\"}",
	    "{\"FunctionVersion\":\"-1\",\"RevisionId\":\"x\"}",
	    "{\"FunctionVersion\":\"99999999999999999999\",\"RevisionId\":\"x\"}",
	    "{\"FunctionVersion\":\"prod\",\"RevisionId\":\"x\"}",
	    "{\"FunctionVersion\":\"7\",\"RevisionId\":\"\"}",
	    "{\"FunctionVersion\":\"7\",\"RevisionId\":null}",
	    "{\"FunctionVersion\":\"7\",\"RevisionId\":\"a\\nb\"}",
	    "{\"FunctionVersion\":\"7\",\"RevisionId\":\"a\\u0000b\"}",
	    "{\"FunctionVersion\":\"7\",\"FunctionVersion\":\"8\",\"RevisionId\":\"x\"}",
	    "{\"FunctionVersion\":\"7\",\"RevisionId\":"
	    "\"0123456789012345678901234567890123456789012345678901234567890123\"}",
	    ALIAS(",\"RoutingConfig\":[]"),
	    ALIAS(",\"RoutingConfig\":\"x\""),
	    ALIAS(",\"RoutingConfig\":{\"AdditionalVersionWeights\":[]}"),
	    WEIGHTS("\"8\":\"0.1\""),
	    WEIGHTS("\"8\":null"),
	    WEIGHTS("\"8\":0.1,\"8\":0.2"),
	    WEIGHTS("\"8\":1e999"),
	    ALIAS("") "x",
	};
	for (size_t i = 0; i < array_len(bad); i++) {
		struct alias_view v = {.revision = "untouched"};
		if (!parse(bad[i], &v))
			fail_msg("taken: %s", bad[i]);
		assert_string_equal(v.revision, "untouched");
	}
}

static void deep_json_is_refused(void **state)
{
	(void)state;
	for (size_t depth = 30; depth < 100000; depth = depth < 34 ? depth + 1 : depth * 9) {
		struct buf b = BUF_INIT(1 << 20);
		buf_add_text(&b, "{\"FunctionVersion\":\"7\",\"RevisionId\":\"x[[[\",\"x\":");
		for (size_t i = 1; i < depth; i++)
			buf_add_char(&b, '[');
		for (size_t i = 1; i < depth; i++)
			buf_add_char(&b, ']');
		buf_add_char(&b, '}');
		struct alias_view v;
		assert_int_equal(parse(buf_text(&b), &v), depth > LIMIT_JSON_DEPTH);
		buf_deinit(&b);
	}
}

static void errors_go_up(void **state)
{
	(void)state;
	struct http_response r =
	    answer_of(404, "x-amzn-errortype", "ResourceNotFoundException", "{\"Message\":\"Alias not found: x\"}");
	struct alias_view v;
	struct lambda_function f;
	struct lambda_versions l;
	struct aws_error e;
	assert_int_equal(lambda_parse_alias(&r, &v, &e), 1);
	assert_int_equal(e.class, AWS_NOT_FOUND);
	assert_int_equal(lambda_parse_get_function(&r, &f, &e), 1);
	assert_int_equal(e.class, AWS_NOT_FOUND);
	assert_int_equal(lambda_parse_list_versions(&r, &l, &e), 1);
	assert_int_equal(e.class, AWS_NOT_FOUND);
}

/* --- functions and versions --- */

#define CONFIGURATION                                                                                                  \
	"\"FunctionName\":\"hello\",\"Version\":\"7\",\"CodeSha256\":\"whlR1UMH4+tmSEg5/"                              \
	"G0rrG1ykiCvWqUzCqYxdD2a8oA=\","                                                                               \
	"\"State\":\"Active\",\"LastUpdateStatus\":\"Successful\",\"Role\":\"arn:aws:iam::123456789012:role/r\","      \
	"\"RevisionId\":\"rev\""
#define FUNCTION(more) "{\"Configuration\":{" CONFIGURATION more "},\"Code\":{\"Location\":\"https://x\"}}"

static void functions_are_read(void **state)
{
	(void)state;
	struct http_response r = answer_body(FUNCTION(",\"DeadLetterConfig\":{\"TargetArn\":\"arn:aws:sqs:::q\"},"
						      "\"StateReason\":\"a\\nb\",\"VpcConfig\":null"));
	struct lambda_function f;
	struct aws_error e;
	assert_int_equal(lambda_parse_get_function(&r, &f, &e), 0);
	assert_string_equal(f.function_name, "hello");
	assert_string_equal(f.version, "7");
	assert_string_equal(f.code_sha256, "whlR1UMH4+tmSEg5/G0rrG1ykiCvWqUzCqYxdD2a8oA=");
	assert_string_equal(f.state, "Active");
	assert_string_equal(f.state_reason, "a?b");
	assert_string_equal(f.last_update_status, "Successful");
	assert_string_equal(f.role, "arn:aws:iam::123456789012:role/r");
	assert_string_equal(f.dead_letter_target, "arn:aws:sqs:::q");
	assert_string_equal(f.revision, "rev");
	/* A published version's answer has no LastUpdateStatus, a stand-in's no RevisionId. */
	r = answer_body("{\"Configuration\":{\"FunctionName\":\"f\",\"Version\":\"$LATEST\",\"CodeSha256\":\"x\","
			"\"DeadLetterConfig\":null,\"State\":null}}");
	assert_int_equal(lambda_parse_get_function(&r, &f, &e), 0);
	assert_string_equal(f.version, "$LATEST");
	assert_string_equal(f.state, "");
	assert_string_equal(f.revision, "");
	assert_string_equal(f.dead_letter_target, "");
}

static void what_is_no_function_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {
	    "{}",
	    "{\"Configuration\":null}",
	    "{\"Configuration\":[]}",
	    "{\"Configuration\":{}}",
	    "{\"Configuration\":{\"FunctionName\":\"f\",\"Version\":\"7\"}}",
	    "{\"Configuration\":{\"FunctionName\":\"f\",\"Version\":\"x\",\"CodeSha256\":\"x\"}}",
	    "{\"Configuration\":{\"FunctionName\":\"f\",\"Version\":7,\"CodeSha256\":\"x\"}}",
	    FUNCTION(",\"DeadLetterConfig\":\"x\""),
	    FUNCTION(",\"DeadLetterConfig\":{\"TargetArn\":1}"),
	    FUNCTION(",\"StateReason\":[]"),
	    "{\"Configuration\":{\"FunctionName\":\"f\",\"Version\":\"7\",\"CodeSha256\":\"x\",\"State\":17}}",
	    ("{\"Configuration\":{\"FunctionName\":\"f\",\"Version\":\"7\",\"CodeSha256\":\"x\","
	     "\"State\":\"AStateThatIsTooLongToBeOne\"}}"),
	};
	for (size_t i = 0; i < array_len(bad); i++) {
		struct http_response r = answer_body(bad[i]);
		struct lambda_function f = {.version = "untouched"};
		struct aws_error e;
		if (!lambda_parse_get_function(&r, &f, &e))
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(e.class, AWS_MALFORMED);
		assert_string_equal(f.version, "untouched");
	}
}

static void versions_are_listed(void **state)
{
	(void)state;
	struct http_response r = answer_body("{\"Versions\":[{\"Version\":\"$LATEST\"},{\"Version\":\"9\"},"
					     "{\"Version\":\"10\"},{\"Version\":\"2\"}],\"NextMarker\":\"m/=\"}");
	struct lambda_versions l;
	struct aws_error e;
	assert_int_equal(lambda_parse_list_versions(&r, &l, &e), 0);
	assert_int_equal(l.highest, 10);
	assert_string_equal(l.next_marker, "m/=");
	r = answer_body("{\"Versions\":[{\"Version\":\"$LATEST\"}],\"NextMarker\":null}");
	assert_int_equal(lambda_parse_list_versions(&r, &l, &e), 0);
	assert_int_equal(l.highest, 0);
	assert_string_equal(l.next_marker, "");
	r = answer_body("{\"Versions\":[]}");
	assert_int_equal(lambda_parse_list_versions(&r, &l, &e), 0);
	static const char *const bad[] = {
	    "{}",
	    "{\"Versions\":{}}",
	    "{\"Versions\":[7]}",
	    "{\"Versions\":[{}]}",
	    "{\"Versions\":[{\"Version\":\"x\"}]}",
	    "{\"Versions\":[],\"NextMarker\":7}",
	};
	for (size_t i = 0; i < array_len(bad); i++) {
		r = answer_body(bad[i]);
		if (!lambda_parse_list_versions(&r, &l, &e))
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(e.class, AWS_MALFORMED);
	}
}

static void a_marker_that_is_too_long_is_refused(void **state)
{
	(void)state;
	for (size_t len = 1023; len <= 1024; len++) {
		char marker[1100];
		memset(marker, 'm', len);
		marker[len] = '\0';
		char *body = mem_printf("{\"Versions\":[],\"NextMarker\":\"%s\"}", marker);
		struct http_response r = answer_body(body);
		struct lambda_versions l;
		struct aws_error e;
		assert_int_equal(lambda_parse_list_versions(&r, &l, &e), len == 1024);
		free(body);
	}
}

/* --- cut and recorded answers --- */

static void cut_answer(const struct http_response *r, void *ctx)
{
	struct alias_view v;
	struct lambda_function f;
	struct lambda_versions l;
	struct aws_error e = {0};
	int which = *(int *)ctx;
	int result = which == 0	  ? lambda_parse_alias(r, &v, &e)
		     : which == 1 ? lambda_parse_get_function(r, &f, &e)
				  : lambda_parse_list_versions(r, &l, &e);
	assert_int_equal(result, 1);
	assert_int_equal(e.class, AWS_MALFORMED);
}

static void every_cut_is_refused(void **state)
{
	(void)state;
	int which = 0;
	each_truncation(WEIGHTS("\"8\":0.1"), cut_answer, &which);
	which = 1;
	each_truncation(FUNCTION(",\"DeadLetterConfig\":{\"TargetArn\":\"arn\"}"), cut_answer, &which);
	which = 2;
	each_truncation("{\"Versions\":[{\"Version\":\"$LATEST\"},{\"Version\":\"1\"}],\"NextMarker\":\"m\"}",
			cut_answer, &which);
}

/* Every good answer of these three kinds that was recorded; errors have been tried elsewhere. */
static int try_recorded(const json_t *recorded)
{
	char *body = json_dumps(recorded, 0);
	struct http_response r = answer_body(body);
	struct alias_view v;
	struct lambda_function f;
	struct lambda_versions l;
	struct aws_error e = {0};
	int result = 0;
	int kind = 0;
	if (json_object_get(recorded, "AliasArn")) {
		result = lambda_parse_alias(&r, &v, &e);
		assert_int_equal(v.target.weight_bp > 0, json_object_get(recorded, "RoutingConfig") != NULL);
		kind = 1;
	} else if (json_object_get(recorded, "Configuration") && json_object_get(recorded, "Code")) {
		result = lambda_parse_get_function(&r, &f, &e);
		kind = 2;
	} else if (json_is_array(json_object_get(recorded, "Versions"))) {
		result = lambda_parse_list_versions(&r, &l, &e);
		kind = 4;
	}
	if (result)
		fail_msg("%s\n%s", e.message, body);
	free(body);
	return kind;
}

static void recorded_answers(void **state)
{
	(void)state;
	json_t *all = json_load_file(RECORDED, 0, NULL);
	if (!all)
		skip();
	int kinds = 0;
	int n = 0;
	const char *scenario;
	json_t *entry;
	json_object_foreach(all, scenario, entry)
	{
		const char *step;
		json_t *recorded;
		json_object_foreach(json_object_get(entry, "recorded-content"), step, recorded)
		{
			int kind = json_is_object(recorded) ? try_recorded(recorded) : 0;
			kinds |= kind;
			n += kind != 0;
		}
	}
	json_decref(all);
	assert_int_equal(kinds, 7);
	assert_true(n > 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reads_are_built),
	    cmocka_unit_test(an_update_says_all_of_it),
	    cmocka_unit_test(every_weight_is_written_exactly),
	    cmocka_unit_test(aliases_are_read),
	    cmocka_unit_test(what_no_target_can_say_is_odd),
	    cmocka_unit_test(what_is_no_alias_is_refused),
	    cmocka_unit_test(deep_json_is_refused),
	    cmocka_unit_test(errors_go_up),
	    cmocka_unit_test(functions_are_read),
	    cmocka_unit_test(what_is_no_function_is_refused),
	    cmocka_unit_test(versions_are_listed),
	    cmocka_unit_test(a_marker_that_is_too_long_is_refused),
	    cmocka_unit_test(every_cut_is_refused),
	    cmocka_unit_test(recorded_answers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
