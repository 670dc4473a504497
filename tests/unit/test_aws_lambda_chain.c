/* Lambda's operations of a chain: what goes out (as botocore builds it), and what is made of what comes back. */
#include <errno.h>
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
#define ROLE	 "arn:aws:iam::123456789012:role/r"
#define ARN	 "arn:aws:lambda:us-east-1:123456789012:function:hello"
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

static const struct create_spec creation = {
    .role = ROLE,
    .runtime = "python3.12",
    .handler = "app.handler",
    .architecture = "arm64",
    .memory_mb = 128,
    .timeout_s = 3,
};
static const struct code_spec zip = {.source = CODE_ZIP, .zip = "app.zip"};
static const struct code_spec s3 = {.source = CODE_S3, .bucket = "bkt", .key = "k/\"x\".zip"};
static const struct code_spec s3_version = {.source = CODE_S3, .bucket = "bkt", .key = "k", .object_version = "v1"};
static const struct code_spec image = {.source = CODE_IMAGE, .image = "1.dkr.ecr.us-east-1.amazonaws.com/x:1"};

static void functions_are_created(void **state)
{
	(void)state;
	struct arena *a cleanup(arena_free_p) = arena_new();
	struct http_request r;
	assert_int_equal(lambda_build_create_function(a, &aws, "hello", &creation, &zip, "UEs=", &r), 0);
	expect(&r, "POST", "/2015-03-31/functions", "",
	       "{\"FunctionName\":\"hello\",\"Runtime\":\"python3.12\",\"Handler\":\"app.handler\",\"Role\":\"" ROLE
	       "\",\"PackageType\":\"Zip\",\"Architectures\":[\"arm64\"],\"MemorySize\":128,\"Timeout\":3,"
	       "\"Code\":{\"ZipFile\":\"UEs=\"}}");
	assert_int_equal(lambda_build_create_function(a, &aws, "hello", &creation, &s3, NULL, &r), 0);
	assert_string_equal(strstr(r.body, "\"Code\""),
			    "\"Code\":{\"S3Bucket\":\"bkt\",\"S3Key\":\"k/\\\"x\\\".zip\"}}");
	assert_int_equal(lambda_build_create_function(a, &aws, "hello", &creation, &image, NULL, &r), 0);
	expect(&r, "POST", "/2015-03-31/functions", "",
	       "{\"FunctionName\":\"hello\",\"Role\":\"" ROLE
	       "\",\"PackageType\":\"Image\",\"Architectures\":[\"arm64\"],\"MemorySize\":128,\"Timeout\":3,"
	       "\"Code\":{\"ImageUri\":\"1.dkr.ecr.us-east-1.amazonaws.com/x:1\"}}");
}

static void code_is_updated(void **state)
{
	(void)state;
	struct arena *a cleanup(arena_free_p) = arena_new();
	struct http_request r;
	assert_int_equal(lambda_build_update_code(a, &aws, "hello", &zip, "UEs=", "rev-1", &r), 0);
	expect(&r, "PUT", F "/code", "", "{\"RevisionId\":\"rev-1\",\"ZipFile\":\"UEs=\"}");
	assert_int_equal(lambda_build_update_code(a, &aws, "hello", &zip, "UEs=", NULL, &r), 0);
	expect(&r, "PUT", F "/code", "", "{\"ZipFile\":\"UEs=\"}");
	assert_int_equal(lambda_build_update_code(a, &aws, "hello", &s3_version, NULL, "rev-1", &r), 0);
	expect(&r, "PUT", F "/code", "",
	       "{\"RevisionId\":\"rev-1\",\"S3Bucket\":\"bkt\",\"S3Key\":\"k\",\"S3ObjectVersion\":\"v1\"}");
	assert_int_equal(lambda_build_update_code(a, &aws, "hello", &image, NULL, NULL, &r), 0);
	expect(&r, "PUT", F "/code", "", "{\"ImageUri\":\"1.dkr.ecr.us-east-1.amazonaws.com/x:1\"}");
}

static void a_file_may_be_as_large_as_aws_takes(void **state)
{
	(void)state;
	struct arena *a cleanup(arena_free_p) = arena_new();
	size_t most = ((size_t)LIMIT_ZIP_BYTES + 2) / 3 * 4;
	char *text = mem_alloc(most + 2);
	memset(text, 'A', most + 1);
	struct http_request r = {.method = "untouched"};
	assert_int_equal(lambda_build_update_code(a, &aws, "hello", &zip, text, NULL, &r), -E2BIG);
	assert_string_equal(r.method, "untouched");
	text[most] = '\0';
	size_t before = arena_bytes(a);
	assert_int_equal(lambda_build_update_code(a, &aws, "hello", &zip, text, NULL, &r), 0);
	assert_int_equal(r.body_len, most + strlen("{\"ZipFile\":\"\"}"));
	assert_string_equal(r.body + r.body_len - 4, "AA\"}");
	assert_true(arena_bytes(a) - before < most + 100000); /* one copy */
	free(text);
}

static void versions_and_aliases_are_made(void **state)
{
	(void)state;
	struct arena *a cleanup(arena_free_p) = arena_new();
	struct http_request r;
	lambda_build_publish_version(a, &aws, "hello", "sha=", "a \"d\"", &r);
	expect(&r, "POST", F "/versions", "", "{\"CodeSha256\":\"sha=\",\"Description\":\"a \\\"d\\\"\"}");
	lambda_build_publish_version(a, &aws, "hello", "sha=", NULL, &r);
	expect(&r, "POST", F "/versions", "", "{\"CodeSha256\":\"sha=\"}");
	lambda_build_delete_version(a, &aws, "hello", 7, &r);
	expect(&r, "DELETE", F, "Qualifier=7", "");
	lambda_build_create_alias(a, &aws, "hello", "prod", 2, &r);
	expect(&r, "POST", F "/aliases", "", "{\"Name\":\"prod\",\"FunctionVersion\":\"2\"}");
	lambda_build_create_alias(a, &aws, "hello", "dev", VERSION_LATEST, &r);
	expect(&r, "POST", F "/aliases", "", "{\"Name\":\"dev\",\"FunctionVersion\":\"$LATEST\"}");
	lambda_build_list_aliases(a, &aws, "hello", "a/b=", &r);
	expect(&r, "GET", F "/aliases", "Marker=a%2Fb%3D", "");
	lambda_build_list_aliases(a, &aws, "hello", "", &r);
	expect(&r, "GET", F "/aliases", "", "");
}

static void concurrency_and_invoking_are_asked_for(void **state)
{
	(void)state;
	struct arena *a cleanup(arena_free_p) = arena_new();
	struct http_request r;
	lambda_build_put_concurrency(a, &aws, "hello", 3, 5, &r);
	expect(&r, "PUT", "/2019-09-30/functions/hello/provisioned-concurrency", "Qualifier=3",
	       "{\"ProvisionedConcurrentExecutions\":5}");
	lambda_build_delete_concurrency(a, &aws, "hello", 3, &r);
	expect(&r, "DELETE", "/2019-09-30/functions/hello/provisioned-concurrency", "Qualifier=3", "");
	lambda_build_list_concurrency(a, &aws, "hello", NULL, &r);
	expect(&r, "GET", "/2019-09-30/functions/hello/provisioned-concurrency", "List=ALL", "");
	lambda_build_list_concurrency(a, &aws, "hello", "m", &r);
	expect(&r, "GET", "/2019-09-30/functions/hello/provisioned-concurrency", "List=ALL&Marker=m", "");
	lambda_build_invoke(a, &aws, "hello", "$LATEST", "{\"a\":1}x", 7, &r);
	expect(&r, "POST", F "/invocations", "Qualifier=%24LATEST", "{\"a\":1}");
	assert_string_equal(http_header_find(r.headers, r.n_headers, "X-Amz-Invocation-Type"), "RequestResponse");
	assert_null(http_header_find(r.headers, r.n_headers, "X-Amz-Client-Context"));
	lambda_build_invoke_with(a, &aws, "hello", "7", "{\"custom\":{}}", "[]", 2, &r);
	expect(&r, "POST", F "/invocations", "Qualifier=7", "[]");
	/* printf '{"custom":{}}' | base64 */
	assert_string_equal(http_header_find(r.headers, r.n_headers, "X-Amz-Client-Context"), "eyJjdXN0b20iOnt9fQ==");
}

static void rights_are_tried_without_a_change(void **state)
{
	(void)state;
	struct arena *a cleanup(arena_free_p) = arena_new();
	struct http_request r;
	lambda_build_try_update_alias(a, &aws, "hello", "prod", &r);
	expect(&r, "PUT", F "/aliases/prod", "", "{\"RevisionId\":\"00000000-0000-0000-0000-000000000000\"}");
	lambda_build_try_publish(a, &aws, "hello", &r);
	expect(&r, "POST", F "/versions", "", "{\"CodeSha256\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"}");
	lambda_build_try_remove_permission(a, &aws, "hello", "prod", &r);
	expect(&r, "DELETE", F "/policy/rolloutd-no-such-statement", "Qualifier=prod", "");
}

/* --- configurations --- */

#define CONFIG(version, more)                                                                                          \
	"{\"FunctionName\":\"hello\",\"FunctionArn\":\"" ARN "\",\"Version\":\"" version                               \
	"\",\"CodeSha256\":\"sha=\",\"Role\":\"" ROLE "\",\"Timeout\":3" more "}"

static struct view_version configuration(const char *body)
{
	struct http_response r = answer_body(body);
	struct view_version v;
	struct aws_error e = {0};
	if (lambda_parse_configuration(&r, &v, &e))
		fail_msg("%s\n%s", e.message, body);
	return v;
}

static void configurations_are_read(void **state)
{
	(void)state;
	struct view_version v = configuration(
	    CONFIG("7", ",\"State\":\"Failed\",\"StateReason\":\"a\\nb\",\"LastUpdateStatus\":\"Failed\","
			"\"LastUpdateStatusReason\":\"why\",\"DeadLetterConfig\":{\"TargetArn\":\"arn:aws:sqs:::q\"}"));
	assert_int_equal(v.number, 7);
	assert_string_equal(v.code_sha256, "sha=");
	assert_string_equal(v.role, ROLE);
	assert_string_equal(v.dead_letter_target, "arn:aws:sqs:::q");
	assert_string_equal(v.state, "Failed");
	assert_string_equal(v.state_reason, "a?b");
	assert_string_equal(v.last_update_status, "Failed");
	assert_string_equal(v.last_update_reason, "why");
	assert_int_equal(strlen(v.config_digest), DIGEST_SIZE - 1);
	v = configuration(CONFIG("$LATEST", ""));
	assert_int_equal(v.number, VERSION_LATEST);
	assert_string_equal(v.state, "");
}

static void what_a_version_does_not_freeze_is_not_in_its_digest(void **state)
{
	(void)state;
	struct view_version plain = configuration(CONFIG("$LATEST", ""));
	static const char *const same[] = {
	    CONFIG("8", ""),
	    CONFIG("8", ",\"Description\":\"eighth\",\"RevisionId\":\"x\",\"LastModified\":\"now\",\"CodeSize\":12"),
	    CONFIG("8", ",\"State\":\"Pending\",\"StateReason\":\"r\",\"StateReasonCode\":\"Creating\""),
	    CONFIG("8", ",\"LastUpdateStatus\":\"InProgress\",\"LastUpdateStatusReason\":\"r\","
			"\"LastUpdateStatusReasonCode\":\"c\""),
	    CONFIG("8", ",\"MasterArn\":\"m\",\"ConfigSha256\":\"x\",\"RuntimeVersionConfig\":{\"Error\":{}}"),
	    CONFIG("8", ",\"Layers\":[],\"Environment\":{\"Variables\":{}},\"KMSKeyArn\":\"\""),
	    CONFIG("8", ",\"Layers\":null,\"Environment\":{},\"DeadLetterConfig\":null"),
	    CONFIG("8", ",\"VpcConfig\":{\"SubnetIds\":[],\"SecurityGroupIds\":[],\"VpcId\":\"\","
			"\"Ipv6AllowedForDualStack\":false}"),
	    CONFIG("8", ",\"SnapStart\":{\"ApplyOn\":\"None\",\"OptimizationStatus\":\"Off\"}"),
	};
	for (size_t i = 0; i < array_len(same); i++)
		if (strcmp(configuration(same[i]).config_digest, plain.config_digest) != 0)
			fail_msg("another digest: %s", same[i]);

	const char *a = CONFIG("8", ",\"SnapStart\":{\"ApplyOn\":\"PublishedVersions\",\"OptimizationStatus\":\"On\"}");
	const char *b =
	    CONFIG("8", ",\"SnapStart\":{\"ApplyOn\":\"PublishedVersions\",\"OptimizationStatus\":\"Off\"}");
	assert_string_equal(configuration(a).config_digest, configuration(b).config_digest);
	assert_string_not_equal(configuration(a).config_digest, plain.config_digest);
	a = CONFIG("8", ",\"VpcConfig\":{\"SubnetIds\":[\"s1\",\"s2\"]}");
	b = CONFIG("8", ",\"VpcConfig\":{\"SubnetIds\":[\"s2\",\"s1\"],\"VpcId\":null}");
	assert_string_equal(configuration(a).config_digest, configuration(b).config_digest);
}

static void what_a_version_freezes_is_in_its_digest(void **state)
{
	(void)state;
	static const char *const other[] = {
	    CONFIG("8", ""),
	    CONFIG("8", ",\"Environment\":{\"Variables\":{\"A\":\"1\"}}"),
	    CONFIG("8", ",\"Environment\":{\"Variables\":{\"A\":\"2\"}}"),
	    CONFIG("8", ",\"Layers\":[{\"Arn\":\"a\"},{\"Arn\":\"b\"}]"),
	    CONFIG("8", ",\"Layers\":[{\"Arn\":\"b\"},{\"Arn\":\"a\"}]"),
	    CONFIG("8", ",\"MemorySize\":256"),
	    CONFIG("8", ",\"LoggingConfig\":{\"LogFormat\":\"JSON\"}"),
	    CONFIG("8", ",\"VpcConfig\":{\"SubnetIds\":[\"s1\"]}"),
	    CONFIG("8", ",\"VpcConfig\":{\"SubnetIds\":[\"s1\"],\"SecurityGroupIds\":[7,\"a\"]}"),
	    CONFIG("8", ",\"DeadLetterConfig\":{\"TargetArn\":\"q\"}"),
	};
	for (size_t i = 0; i < array_len(other); i++)
		for (size_t k = 0; k < i; k++)
			if (strcmp(configuration(other[i]).config_digest, configuration(other[k]).config_digest) == 0)
				fail_msg("the same digest: %s and %s", other[i], other[k]);
	/* An environment whose key is out of reach may be any: no digest rather than a wrong one. */
	const char *unreadable =
	    CONFIG("8", ",\"Environment\":{\"Error\":{\"ErrorCode\":\"KMSAccessDeniedException\"}}");
	assert_string_equal(configuration(unreadable).config_digest, "");
}

static const char *const bad_configurations[] = {
    "{}",
    "{\"Version\":\"7\"}",
    "{\"CodeSha256\":\"x\"}",
    "{\"Version\":7,\"CodeSha256\":\"x\"}",
    "{\"Version\":\"x\",\"CodeSha256\":\"x\"}",
    "{\"Version\":\"7\",\"CodeSha256\":\"\"}",
    CONFIG("07", ""),
    CONFIG("7", ",\"State\":7"),
    CONFIG("7", ",\"StateReason\":{}"),
    CONFIG("7", ",\"DeadLetterConfig\":\"q\""),
    CONFIG("7", ",\"DeadLetterConfig\":{\"TargetArn\":[]}"),
};

static void what_is_no_configuration_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(bad_configurations); i++) {
		struct view_version v = {.number = 99};
		struct aws_error e = {0};
		struct http_response r = answer_body(bad_configurations[i]);
		if (!lambda_parse_configuration(&r, &v, &e))
			fail_msg("taken: %s", bad_configurations[i]);
		assert_int_equal(e.class, AWS_MALFORMED);
		assert_int_equal(v.number, 99);
	}
}

static void functions_are_read(void **state)
{
	(void)state;
	struct chain_view v;
	char revision[REVISION_SIZE];
	struct aws_error e = {0};
	chain_view_init(&v);
	struct http_response r = answer_body("{\"Configuration\":" CONFIG(
	    "$LATEST", ",\"RevisionId\":\"rev\"") ","
						  "\"Code\":{\"ImageUri\":\"repo/x:1\",\"ResolvedImageUri\":\"y\"}}");
	assert_int_equal(lambda_parse_function(&r, &v, revision, &e), 0);
	assert_true(v.function_found);
	assert_string_equal(v.partition, "aws");
	assert_string_equal(v.region, "us-east-1");
	assert_string_equal(v.account_id, "123456789012");
	assert_string_equal(v.image_uri, "repo/x:1");
	assert_string_equal(v.latest.code_sha256, "sha=");
	assert_string_equal(revision, "rev");
	assert_string_equal(v.revision, "rev");

	static const char *const bad[] = {
	    "{}",
	    "{\"Configuration\":" CONFIG("7", "") "}",
	    "{\"Configuration\":{\"Version\":\"$LATEST\",\"CodeSha256\":\"x\"}}",
	    "{\"Configuration\":{\"Version\":\"$LATEST\",\"CodeSha256\":\"x\",\"FunctionArn\":\"arn:aws:lambda:r\"}}",
	    "{\"Configuration\":{\"Version\":\"$LATEST\",\"CodeSha256\":\"x\","
	    "\"FunctionArn\":\"arn:aws:lambda:r:12345678901:function:f\"}}",
	    "{\"Configuration\":{\"Version\":\"$LATEST\",\"CodeSha256\":\"x\","
	    "\"FunctionArn\":\"arn:aws:lambda:r:123456789012x:function:f\"}}",
	    "{\"Configuration\":{\"Version\":\"$LATEST\",\"CodeSha256\":\"x\","
	    "\"FunctionArn\":\"arn:aws:s3:r:123456789012:function:f\"}}",
	    "{\"Configuration\":" CONFIG("$LATEST", ",\"RevisionId\":7") "}",
	    "{\"Configuration\":" CONFIG("$LATEST", "") ",\"Code\":[]}",
	};
	for (size_t i = 0; i < array_len(bad); i++) {
		r = answer_body(bad[i]);
		if (!lambda_parse_function(&r, &v, revision, &e))
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(e.class, AWS_MALFORMED);
		assert_string_equal(v.latest.code_sha256, "sha=");
		assert_string_equal(revision, "rev");
	}
	chain_view_deinit(&v);
}

static void pages_of_versions_are_put_together(void **state)
{
	(void)state;
	struct chain_view v;
	struct aws_error e = {0};
	char marker[64] = "";
	chain_view_init(&v);
	struct http_response r = answer_body("{\"Versions\":[" CONFIG("$LATEST", "") "," CONFIG("10", "") "," CONFIG(
	    "2", ",\"MemorySize\":64") "],\"NextMarker\":\"m/=\"}");
	assert_int_equal(lambda_parse_versions(&r, &v, marker, sizeof(marker), &e), 0);
	assert_string_equal(marker, "m/=");
	r = answer_body("{\"Versions\":[" CONFIG("9", "") "],\"NextMarker\":null}");
	assert_int_equal(lambda_parse_versions(&r, &v, marker, sizeof(marker), &e), 0);
	assert_string_equal(marker, "");
	assert_int_equal(v.n_versions, 3);
	assert_int_equal(v.versions[0].number, 2);
	assert_int_equal(v.versions[1].number, 9);
	assert_int_equal(v.versions[2].number, 10);
	assert_string_equal(v.versions[2].config_digest, v.latest.config_digest);
	assert_string_not_equal(v.versions[0].config_digest, v.latest.config_digest);

	static const char *const bad[] = {"{}",
					  "{\"Versions\":{}}",
					  "{\"Versions\":[7]}",
					  "{\"Versions\":[{}]}",
					  "{\"Versions\":[],\"NextMarker\":7}",
					  "{\"Versions\":[" CONFIG("3", "") ",{}]}"};
	for (size_t i = 0; i < array_len(bad); i++) {
		r = answer_body(bad[i]);
		if (!lambda_parse_versions(&r, &v, marker, sizeof(marker), &e))
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(e.class, AWS_MALFORMED);
		assert_int_equal(v.n_versions, 3);
	}
	r = answer_body("{\"Versions\":[],\"NextMarker\":\"0123456789\"}");
	assert_int_equal(lambda_parse_versions(&r, &v, marker, 10, &e), 1);
	chain_view_deinit(&v);
}

static void a_list_has_a_cap(void **state)
{
	(void)state;
	struct chain_view v;
	struct aws_error e = {0};
	char marker[64];
	chain_view_init(&v);
	struct buf b = BUF_INIT(LIMIT_AWS_RESPONSE_BYTES);
	buf_add_text(&b, "{\"Aliases\":[");
	for (int i = 0; i <= LIMIT_VIEW_ITEMS; i++)
		buf_addf(&b, "%s{\"Name\":\"a%d\",\"FunctionVersion\":\"1\",\"RevisionId\":\"r\"}", i ? "," : "", i);
	buf_add_text(&b, "]}");
	struct http_response r = answer_body(buf_text(&b));
	assert_int_equal(lambda_parse_aliases(&r, &v, marker, sizeof(marker), &e), 1);
	assert_non_null(strstr(e.message, "20,000"));
	assert_int_equal(v.n_aliases, 0);
	buf_deinit(&b);
	chain_view_deinit(&v);
}

/* --- aliases --- */

#define ALIAS(name, more) "{\"Name\":\"" name "\",\"FunctionVersion\":\"2\",\"RevisionId\":\"r-" name "\"" more "}"

static void aliases_are_read(void **state)
{
	(void)state;
	struct chain_view v;
	struct aws_error e = {0};
	char marker[64];
	chain_view_init(&v);
	struct http_response r = answer_body("{\"Aliases\":[" ALIAS("test", "") "," ALIAS(
	    "dev", ",\"RoutingConfig\":{\"AdditionalVersionWeights\":{\"3\":0.1}}") "],\"NextMarker\":\"m\"}");
	assert_int_equal(lambda_parse_aliases(&r, &v, marker, sizeof(marker), &e), 0);
	assert_string_equal(marker, "m");
	r = answer_body("{\"Aliases\":[" ALIAS("prod", "") "]}");
	assert_int_equal(lambda_parse_aliases(&r, &v, marker, sizeof(marker), &e), 0);
	assert_string_equal(marker, "");
	assert_int_equal(v.n_aliases, 3);
	assert_string_equal(v.aliases[0].name, "dev");
	assert_int_equal(v.aliases[0].view.target.extra, 3);
	assert_int_equal(v.aliases[0].view.target.weight_bp, 1000);
	assert_string_equal(v.aliases[1].name, "prod");
	assert_string_equal(v.aliases[1].view.revision, "r-prod");
	assert_false(v.aliases[1].policy_read);
	assert_string_equal(v.aliases[2].name, "test");

	static const char *const bad[] = {"{}",
					  "{\"Aliases\":7}",
					  "{\"Aliases\":[{}]}",
					  "{\"Aliases\":[null]}",
					  "{\"Aliases\":[{\"Name\":\"x\"}]}",
					  "{\"Aliases\":[" ALIAS("x", ",\"RoutingConfig\":[]") "]}"};
	for (size_t i = 0; i < array_len(bad); i++) {
		r = answer_body(bad[i]);
		if (!lambda_parse_aliases(&r, &v, marker, sizeof(marker), &e))
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(v.n_aliases, 3);
	}
	chain_view_deinit(&v);
}

/* --- provisioned concurrency --- */

#define PROVISIONED(arn, status)                                                                                       \
	"{\"FunctionArn\":\"" arn "\",\"RequestedProvisionedConcurrentExecutions\":5,"                                 \
	"\"AvailableProvisionedConcurrentExecutions\":3,\"AllocatedProvisionedConcurrentExecutions\":3,"               \
	"\"Status\":\"" status "\",\"StatusReason\":\"why\"}"
#define PROVISIONED_LIST(items) "{\"ProvisionedConcurrencyConfigs\":[" items "]}"

static void concurrency_is_read(void **state)
{
	(void)state;
	struct chain_view v;
	struct aws_error e = {0};
	char marker[64];
	chain_view_init(&v);
	struct http_response r = answer_of(404, "Content-Type", "text/html", "<!doctype html>");
	assert_int_equal(lambda_parse_concurrencies(&r, &v, marker, sizeof(marker), &e), 1);
	assert_int_equal(e.status, 404);
	assert_false(v.concurrency_read);
	r = answer_body(PROVISIONED_LIST(PROVISIONED(ARN ":7", "READY") "," PROVISIONED(ARN ":prod", "FAILED")));
	assert_int_equal(lambda_parse_concurrencies(&r, &v, marker, sizeof(marker), &e), 0);
	r = answer_body(PROVISIONED_LIST(PROVISIONED(ARN ":8", "IN_PROGRESS")));
	assert_int_equal(lambda_parse_concurrencies(&r, &v, marker, sizeof(marker), &e), 0);
	assert_true(v.concurrency_read);
	assert_int_equal(v.n_concurrency, 3);
	assert_string_equal(v.concurrency[0].qualifier, "7");
	assert_int_equal(v.concurrency[0].requested, 5);
	assert_int_equal(v.concurrency[0].available, 3);
	assert_int_equal(v.concurrency[0].status, CONCURRENCY_READY);
	assert_string_equal(v.concurrency[1].qualifier, "prod");
	assert_int_equal(v.concurrency[1].status, CONCURRENCY_FAILED);
	assert_string_equal(v.concurrency[1].reason, "why");
	assert_int_equal(v.concurrency[2].status, CONCURRENCY_IN_PROGRESS);

	static const char *const bad[] = {
	    "{}",
	    PROVISIONED_LIST("7"),
	    PROVISIONED_LIST(PROVISIONED(ARN, "READY")),
	    PROVISIONED_LIST(PROVISIONED(ARN ":", "READY")),
	    PROVISIONED_LIST(PROVISIONED(ARN ":a:b", "READY")),
	    PROVISIONED_LIST(PROVISIONED(ARN ":7", "SOON")),
	    PROVISIONED_LIST("{\"FunctionArn\":\"" ARN ":7\",\"Status\":\"READY\"}"),
	    PROVISIONED_LIST("{\"FunctionArn\":\"" ARN ":7\",\"Status\":\"READY\","
			     "\"RequestedProvisionedConcurrentExecutions\":-1,"
			     "\"AvailableProvisionedConcurrentExecutions\":1}"),
	};
	for (size_t i = 0; i < array_len(bad); i++) {
		r = answer_body(bad[i]);
		if (!lambda_parse_concurrencies(&r, &v, marker, sizeof(marker), &e))
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(e.class, AWS_MALFORMED);
		assert_int_equal(v.n_concurrency, 3);
	}
	chain_view_deinit(&v);
}

/* --- invoking --- */

static void invocations_are_read(void **state)
{
	(void)state;
	struct lambda_invoked i;
	struct aws_error e = {0};
	struct http_response r =
	    answer_of(200, "X-Amz-Executed-Version", "7", "{\"status\":\"ok\",\"reason\":\"a\\tb\"}");
	assert_int_equal(lambda_parse_invoke(&r, &i, &e), 0);
	assert_false(i.failed);
	assert_string_equal(i.executed_version, "7");
	assert_string_equal(i.status, "ok");
	assert_string_equal(i.reason, "a?b");
	assert_string_equal(i.payload, r.body);
	r = answer_of(200, "X-Amz-Function-Error", "Unhandled", "{\"errorMessage\":\"boom\\n\"}");
	assert_int_equal(lambda_parse_invoke(&r, &i, &e), 0);
	assert_true(i.failed);
	assert_string_equal(i.executed_version, "");
	assert_string_equal(i.status, "");
	static const char *const odd[] = {"", "null", "\"ok\"", "{\"status\":7,\"reason\":[]}", "\x01\xff"};
	for (size_t k = 0; k < array_len(odd); k++) {
		r = answer_of(200, "X-Amzn-RequestId", "r", odd[k]);
		assert_int_equal(lambda_parse_invoke(&r, &i, &e), 0);
		assert_string_equal(i.status, "");
		assert_string_equal(i.reason, "");
	}
	assert_string_equal(i.payload, "??");
	char *large = mem_alloc(100001);
	memset(large, 'x', 100000);
	r = answer_of(200, "X-Amzn-RequestId", "r", large);
	assert_int_equal(lambda_parse_invoke(&r, &i, &e), 0);
	assert_int_equal(strlen(i.payload), LIMIT_HOOK_OUTPUT_BYTES - 1);
	free(large);
	r = answer_of(429, "x-amzn-errortype", "TooManyRequestsException", "{}");
	assert_int_equal(lambda_parse_invoke(&r, &i, &e), 1);
	assert_int_equal(e.class, AWS_THROTTLED);
}

/* The page of a network that wants a sign-in has status 200: it is no hook's yes, and nothing that was done. */
static void what_is_not_from_aws_is_no_answer(void **state)
{
	(void)state;
	static const char page[] = "<!DOCTYPE html>\n<html>Please sign in</html>";
	struct http_response foreign = answer_of(200, "Content-Type", "text/html", page);
	struct lambda_invoked i;
	struct aws_error e = {0};
	assert_int_equal(lambda_parse_invoke(&foreign, &i, &e), 1);
	assert_int_equal(e.class, AWS_MALFORMED);
	assert_non_null(strstr(e.message, "check the endpoint and the network"));
	e = (struct aws_error){0};
	assert_int_equal(lambda_parse_done(&foreign, &e), 1);
	assert_int_equal(e.class, AWS_MALFORMED);
	assert_int_equal(aws_error_outcome(&e), CALL_UNKNOWN);
	struct http_response done = answer_of(204, "x-amzn-RequestId", "r", "");
	assert_int_equal(lambda_parse_done(&done, &e), 0);
	struct http_response refused = answer_of(403, "x-amzn-errortype", "AccessDeniedException", "{}");
	assert_int_equal(lambda_parse_done(&refused, &e), 1);
	assert_int_equal(e.class, AWS_DENIED);
}

/* --- cut and recorded answers --- */

static void cut_answer(const struct http_response *r, void *ctx)
{
	struct chain_view v;
	struct view_version version;
	struct aws_error e = {0};
	char revision[REVISION_SIZE];
	char marker[64];
	int result = 0;
	chain_view_init(&v);
	switch (*(int *)ctx) {
	case 0:
		result = lambda_parse_configuration(r, &version, &e);
		break;
	case 1:
		result = lambda_parse_function(r, &v, revision, &e);
		break;
	case 2:
		result = lambda_parse_versions(r, &v, marker, sizeof(marker), &e);
		break;
	case 3:
		result = lambda_parse_aliases(r, &v, marker, sizeof(marker), &e);
		break;
	default:
		result = lambda_parse_concurrencies(r, &v, marker, sizeof(marker), &e);
	}
	chain_view_deinit(&v);
	assert_int_equal(result, 1);
	assert_int_equal(e.class, AWS_MALFORMED);
}

static void every_cut_is_refused(void **state)
{
	(void)state;
	static const char *const whole[] = {
	    CONFIG("7", ",\"Environment\":{\"Variables\":{\"A\":\"1\"}}"),
	    "{\"Configuration\":" CONFIG("$LATEST", "") ",\"Code\":{}}",
	    "{\"Versions\":[" CONFIG("$LATEST", "") "," CONFIG("1", "") "],\"NextMarker\":\"m\"}",
	    "{\"Aliases\":[" ALIAS("prod", "") "]}",
	    PROVISIONED_LIST(PROVISIONED(ARN ":7", "READY")),
	};
	for (int which = 0; which < (int)array_len(whole); which++)
		each_truncation(whole[which], cut_answer, &which);
}

static json_t *scenario(json_t *all, const char *name)
{
	const char *key;
	json_t *entry;
	size_t len = strlen(name);
	json_object_foreach(all, key, entry) if (strlen(key) > len && strcmp(key + strlen(key) - len, name) ==
									  0) return json_object_get(entry,
												    "recorded-content");
	fail_msg("no recording %s", name);
	return NULL;
}

/* The digest of a recorded FunctionConfiguration. */
static void recorded_digest(const json_t *recorded, char out[static DIGEST_SIZE])
{
	json_t *copy = json_copy((json_t *)recorded);
	json_object_del(copy, "ResponseMetadata"); /* the recorder's own */
	char *body = json_dumps(copy, 0);
	json_decref(copy);
	memcpy(out, configuration(body).config_digest, DIGEST_SIZE);
	free(body);
}

static void recorded_lists_have_one_digest(json_t *all, const char *name, const char *step, size_t n_versions)
{
	struct chain_view v;
	struct aws_error e = {0};
	char marker[64];
	chain_view_init(&v);
	char *body = json_dumps(json_object_get(scenario(all, name), step), 0);
	struct http_response r = answer_body(body);
	assert_int_equal(lambda_parse_versions(&r, &v, marker, sizeof(marker), &e), 0);
	assert_int_equal(v.n_versions, n_versions);
	assert_int_equal(strlen(v.latest.config_digest), DIGEST_SIZE - 1);
	for (size_t i = 0; i < v.n_versions; i++)
		assert_string_equal(v.versions[i].config_digest, v.latest.config_digest);
	free(body);
	chain_view_deinit(&v);
}

static void recorded_versions_are_as_latest(void **state)
{
	(void)state;
	json_t *all = json_load_file(RECORDED, 0, NULL);
	if (!all)
		skip();
	recorded_lists_have_one_digest(all, "test_publish_version_on_create", "list_versions_result_after_publish", 1);
	recorded_lists_have_one_digest(all, "test_version_lifecycle", "list_versions_result_after_third_publish", 2);
	/* GetFunction of $LATEST, PublishVersion and ListVersionsByFunction tell different parts of the same. */
	char latest[DIGEST_SIZE];
	char published[DIGEST_SIZE];
	char listed[DIGEST_SIZE];
	json_t *steps = scenario(all, "test_publish_version_on_create");
	recorded_digest(json_object_get(json_object_get(steps, "get_function_latest_result"), "Configuration"), latest);
	recorded_digest(json_object_get(steps, "repeated_publish_response"), published);
	recorded_digest(
	    json_array_get(json_object_get(json_object_get(steps, "list_versions_result_after_publish"), "Versions"),
			   1),
	    listed);
	assert_string_equal(latest, published);
	assert_string_equal(latest, listed);
	json_decref(all);
}

static void try_recorded(const json_t *recorded, int *n)
{
	char *body = json_dumps(recorded, 0);
	struct http_response r = answer_body(body);
	struct chain_view v;
	struct view_version version;
	struct aws_error e = {0};
	char revision[REVISION_SIZE];
	char marker[64];
	int result = 0;
	chain_view_init(&v);
	if (json_object_get(recorded, "CodeSha256") && json_object_get(recorded, "Version"))
		n[0]++, result = lambda_parse_configuration(&r, &version, &e);
	else if (json_object_get(recorded, "Aliases"))
		n[1]++, result = lambda_parse_aliases(&r, &v, marker, sizeof(marker), &e);
	else if (json_object_get(recorded, "Versions"))
		n[2]++, result = lambda_parse_versions(&r, &v, marker, sizeof(marker), &e);
	else if (json_object_get(recorded, "ProvisionedConcurrencyConfigs"))
		n[3]++, result = lambda_parse_concurrencies(&r, &v, marker, sizeof(marker), &e);
	else if (strcmp("$LATEST",
			json_string_value(json_object_get(json_object_get(recorded, "Configuration"), "Version"))
			    ?: "") == 0)
		n[4]++, result = lambda_parse_function(&r, &v, revision, &e);
	if (result)
		fail_msg("%s\n%s", e.message, body);
	chain_view_deinit(&v);
	free(body);
}

static void recorded_answers(void **state)
{
	(void)state;
	json_t *all = json_load_file(RECORDED, 0, NULL);
	if (!all)
		skip();
	int n[5] = {0};
	const char *name;
	json_t *entry;
	json_object_foreach(all, name, entry)
	{
		const char *step;
		json_t *recorded;
		json_object_foreach(json_object_get(entry, "recorded-content"), step,
				    recorded) if (json_is_object(recorded)) try_recorded(recorded, n);
	}
	json_decref(all);
	for (size_t i = 0; i < array_len(n); i++)
		assert_true(n[i] > 0);
	assert_true(n[0] > 50 && n[4] > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(functions_are_created),
	    cmocka_unit_test(code_is_updated),
	    cmocka_unit_test(a_file_may_be_as_large_as_aws_takes),
	    cmocka_unit_test(versions_and_aliases_are_made),
	    cmocka_unit_test(concurrency_and_invoking_are_asked_for),
	    cmocka_unit_test(rights_are_tried_without_a_change),
	    cmocka_unit_test(configurations_are_read),
	    cmocka_unit_test(what_a_version_does_not_freeze_is_not_in_its_digest),
	    cmocka_unit_test(what_a_version_freezes_is_in_its_digest),
	    cmocka_unit_test(what_is_no_configuration_is_refused),
	    cmocka_unit_test(functions_are_read),
	    cmocka_unit_test(pages_of_versions_are_put_together),
	    cmocka_unit_test(a_list_has_a_cap),
	    cmocka_unit_test(aliases_are_read),
	    cmocka_unit_test(concurrency_is_read),
	    cmocka_unit_test(invocations_are_read),
	    cmocka_unit_test(what_is_not_from_aws_is_no_answer),
	    cmocka_unit_test(every_cut_is_refused),
	    cmocka_unit_test(recorded_versions_are_as_latest),
	    cmocka_unit_test(recorded_answers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
