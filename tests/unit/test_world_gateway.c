/* API Gateway's data plane: stages, routes, permissions, canaries, what a function's answer becomes. */
#include "world_rig.h"

#define API  "/restapis/api1/"
#define WEB  "/restapis/web1/"
#define USER "/_user_request_"

static const char world[] =
    "limits: off\n"
    "functions:\n"
    "  hello:\n"
    "    versions:\n"
    "      1: {body: '{\"statusCode\": 200, \"body\": \"Hello V1\"}', latency: 30ms}\n"
    "      2: {body: '{\"statusCode\": 201, \"headers\": {\"X-Version\": \"2\"}, \"body\": \"Hello V2\"}'}\n"
    "      3: {error_rate: 100%}\n"
    "      4: {body: '{\"message\": \"no status\"}'}\n"
    "      5: {latency: 40s}\n"
    "      6: {throttle_rate: 100%}\n"
    "      7: {body: 'just text'}\n"
    "    aliases:\n"
    "      one: {version: 1}\n"
    "      two: {version: 2}\n"
    "      bad: {version: 3}\n"
    "      odd: {version: 4}\n"
    "      slow: {version: 5}\n"
    "      busy: {version: 6}\n"
    "      text: {version: 7}\n"
    "      half: {version: 1, weights: {2: 50%}}\n"
    "apis:\n"
    "  shop:\n"
    "    id: api1\n"
    "    function: hello\n"
    "    routes: [GET /hello, 'ANY /pets/{id}', 'GET /pets/new', 'ANY /all/{proxy+}']\n"
    "    stages:\n"
    "      one: {alias: one}\n"
    "      two: {alias: two}\n"
    "      bad: {alias: bad}\n"
    "      odd: {alias: odd}\n"
    "      slow: {alias: slow}\n"
    "      busy: {alias: busy}\n"
    "      half: {alias: half}\n"
    "      closed: {alias: one, permitted: false}\n"
    "      gone: {alias: nobody}\n"
    "      unset: {}\n"
    "  web:\n"
    "    type: http\n"
    "    id: web1\n"
    "    function: hello\n"
    "    routes: [GET /hello, 'GET /pets/{id}', 'ANY /all/{proxy+}', 'POST /all/these']\n"
    "    stages:\n"
    "      $default: {alias: one}\n"
    "      one: {alias: one}\n"
    "      bad: {alias: bad}\n"
    "      odd: {alias: odd}\n"
    "      slow: {alias: slow}\n"
    "      text: {alias: text}\n"
    "      open: {alias: one, permitted: false}\n"
    "      empty: {alias: one, deployed: false}\n";

static int get(struct rig *r, const char *path)
{
	return rig_call(r, "GET", path, NULL);
}

static const char *body(const struct rig *r)
{
	return r->reply.response.body;
}

static const char *header(const struct rig *r, const char *name)
{
	const char *value = http_header_find(r->reply.response.headers, r->reply.response.n_headers, name);
	return value ? value : "";
}

struct answer_case {
	const char *path;
	int status;
	const char *body;
	const char *error; /* x-amzn-ErrorType */
};

static void check_cases(const struct answer_case *cases, size_t n)
{
	struct rig r;
	rig_init(&r, 1, world);
	for (size_t i = 0; i < n; i++) {
		int status = get(&r, cases[i].path);
		if (status != cases[i].status || strcmp(body(&r), cases[i].body) != 0 ||
		    strcmp(rig_error(&r), cases[i].error) != 0)
			fail_msg("%s: %d %s (%s)", cases[i].path, status, body(&r), rig_error(&r));
	}
	rig_deinit(&r);
}

static void test_rest_answers(void **state)
{
	(void)state;
	static const char internal[] = "{\"message\": \"Internal server error\"}",
			  server[] = "InternalServerErrorException";
	const struct answer_case cases[] = {
	    {API "one" USER "/hello", 200, "Hello V1", ""},
	    {API "one" USER "/hello/", 200, "Hello V1", ""},
	    {API "two" USER "/hello", 201, "Hello V2", ""},
	    {API "bad" USER "/hello", 502, internal, server},
	    {API "odd" USER "/hello", 502, internal, server},
	    {API "slow" USER "/hello", 504, "{\"message\": \"Endpoint request timed out\"}", server},
	    {API "busy" USER "/hello", 500, internal, server},
	    {API "closed" USER "/hello", 500, internal, server},
	    {API "gone" USER "/hello", 500, internal, server},
	    {API "unset" USER "/hello", 500, internal, server},
	    {API "none" USER "/hello", 403, "{\"message\": \"Forbidden\"}", "ForbiddenException"},
	    {"/restapis/nobody/one" USER "/hello", 403, "{\"message\": \"Forbidden\"}", "ForbiddenException"},
	    {API "one" USER "/nothing", 403, "{\"message\": \"Missing Authentication Token\"}",
	     "MissingAuthenticationTokenException"},
	    {API "one" USER, 403, "{\"message\": \"Missing Authentication Token\"}",
	     "MissingAuthenticationTokenException"},
	};
	check_cases(cases, array_len(cases));
}

static void test_http_answers(void **state)
{
	(void)state;
	static const char internal[] = "{\"message\":\"Internal Server Error\"}",
			  absent[] = "{\"message\":\"Not Found\"}";
	const struct answer_case cases[] = {
	    {WEB "%24default" USER "/hello", 200, "Hello V1", ""},
	    {WEB "one" USER "/hello", 200, "Hello V1", ""},
	    {WEB "one" USER "/hello/", 404, absent, ""},
	    {WEB "bad" USER "/hello", 500, internal, ""},
	    /* Without a statusCode the payload is the body. */
	    {WEB "odd" USER "/hello", 200, "{\"message\": \"no status\"}", ""},
	    {WEB "text" USER "/hello", 200, "just text", ""},
	    {WEB "slow" USER "/hello", 503, "{\"message\":\"Service Unavailable\"}", ""},
	    {WEB "empty" USER "/hello", 404, absent, ""},
	    {WEB "none" USER "/hello", 404, absent, ""},
	    {WEB "one" USER "/nothing", 404, absent, ""},
	};
	check_cases(cases, array_len(cases));
}

static void test_headers_and_delay(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, 1, world);
	assert_int_equal(get(&r, API "one" USER "/hello"), 200);
	assert_int_equal(r.reply.delay_ms, 30);
	assert_string_equal(header(&r, "content-type"), "application/json");
	assert_int_equal(strlen(header(&r, "x-amzn-requestid")), 36);
	assert_int_equal(strlen(header(&r, "x-amz-apigw-id")), 16);
	assert_int_equal(get(&r, API "two" USER "/hello"), 201);
	assert_string_equal(header(&r, "x-version"), "2");
	/* A timeout answers when the time is over, and not when the function is done. */
	assert_int_equal(get(&r, API "slow" USER "/hello"), 504);
	assert_int_equal(r.reply.delay_ms, 29000);
	assert_int_equal(get(&r, WEB "one" USER "/hello"), 200);
	assert_string_equal(header(&r, "content-type"), "text/plain;charset=UTF-8");
	assert_int_equal(strlen(header(&r, "apigw-requestid")), 16);
	assert_string_equal(header(&r, "x-amzn-requestid"), "");
	rig_deinit(&r);
}

static int by_host(struct rig *r, const char *method, const char *host, const char *path)
{
	struct http_request request = {.method = method, .path = path, .scheme = "http", .host = host, .query = ""};
	world_reply_deinit(&r->reply);
	world_handle(r->w, &request, r->now, &r->reply);
	return r->reply.response.status;
}

static void test_by_host(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, 1, world);
	assert_int_equal(by_host(&r, "GET", "api1.execute-api.us-east-1.amazonaws.com", "/one/hello"), 200);
	assert_int_equal(by_host(&r, "GET", "api1.execute-api.localhost:4599", "/two/hello"), 201);
	assert_int_equal(by_host(&r, "GET", "api1.execute-api.localhost:4599", "/hello"), 403);
	assert_int_equal(by_host(&r, "GET", "nobody.execute-api.localhost", "/one/hello"), 403);
	assert_int_equal(by_host(&r, "GET", "a-name-that-is-much-too-long.execute-api.localhost", "/one/hello"), 403);
	/* $default has no part in the path; another stage has. */
	assert_int_equal(by_host(&r, "GET", "web1.execute-api.localhost", "/hello"), 200);
	assert_int_equal(by_host(&r, "GET", "web1.execute-api.localhost", "/one/hello"), 200);
	assert_int_equal(by_host(&r, "GET", "web1.execute-api.localhost", "/bad/hello"), 500);
	/* Neither is the admin API reached under such a name. */
	assert_int_equal(by_host(&r, "GET", "web1.execute-api.localhost", "/_localaws/state"), 404);
	rig_deinit(&r);
}

static void test_routes(void **state)
{
	(void)state;
	static const struct {
		const char *method, *path;
		int status;
	} cases[] = {
	    {"GET", API "one" USER "/pets/7", 200},
	    {"POST", API "one" USER "/pets/7", 200},
	    {"GET", API "one" USER "/pets/new", 200},
	    /* A REST API has found the resource by then. */
	    {"POST", API "one" USER "/pets/new", 403},
	    {"GET", API "one" USER "/pets", 403},
	    {"GET", API "one" USER "/pets/7/8", 403},
	    {"POST", API "one" USER "/hello", 403},
	    {"DELETE", API "one" USER "/all/a/b/c", 200},
	    {"GET", API "one" USER "/all", 403},
	    {"GET", API "one" USER "/pets/%20%2D", 200},
	    {"GET", WEB "one" USER "/pets/7", 200},
	    {"POST", WEB "one" USER "/pets/7", 404},
	    /* An HTTP API takes the closest route that has the method. */
	    {"GET", WEB "one" USER "/all/these", 200},
	    {"POST", WEB "one" USER "/all/these", 200},
	};
	struct rig r;
	rig_init(&r, 1, world);
	for (size_t i = 0; i < array_len(cases); i++) {
		int status = rig_call(&r, cases[i].method, cases[i].path, NULL);
		if (status != cases[i].status)
			fail_msg("%s %s: %d", cases[i].method, cases[i].path, status);
	}
	rig_deinit(&r);
}

static void permit(struct rig *r, const char *statement)
{
	struct http_request remove = {
	    .method = "DELETE", .path = "/2015-03-31/functions/hello/policy/api1-one", .query = "Qualifier=one"};
	struct http_request add = {.method = "POST",
				   .path = "/2015-03-31/functions/hello/policy",
				   .query = "Qualifier=one",
				   .body = statement};
	assert_int_equal(rig_request(r, &remove), 204);
	assert_int_equal(rig_request(r, &add), 201);
}

static void test_permissions(void **state)
{
	(void)state;
	static const struct {
		const char *source, *path;
		bool good;
	} cases[] = {
	    {"api1/*", API "one" USER "/hello", true},
	    {"api1/one/*", API "one" USER "/hello", true},
	    {"api1/one/GET/hello", API "one" USER "/hello", true},
	    {"api1/*/*/hello", API "one" USER "/hello", true},
	    {"api1/*/GET/pets/*", API "one" USER "/pets/7", true},
	    {"api1/two/*", API "one" USER "/hello", false},
	    {"api2/*", API "one" USER "/hello", false},
	    {"api1/one/POST/hello", API "one" USER "/hello", false},
	    {"web1/*/GET/pets/{id}", WEB "open" USER "/pets/7", true},
	    {"web1/*/GET/pets/7", WEB "open" USER "/pets/7", false},
	};
	struct rig r;
	rig_init(&r, 1, world);
	for (size_t i = 0; i < array_len(cases); i++) {
		char statement[512];
		snprintf(
		    statement, sizeof(statement),
		    "{\"StatementId\":\"api1-one\",\"Action\":\"lambda:InvokeFunction\",\"Principal\":"
		    "\"apigateway.amazonaws.com\",\"SourceArn\":\"arn:aws:execute-api:us-east-1:123456789012:%s\"}",
		    cases[i].source);
		permit(&r, statement);
		int status = get(&r, cases[i].path);
		if (status != (cases[i].good ? 200 : 500))
			fail_msg("%s for %s: %d", cases[i].source, cases[i].path, status);
	}
	/* Another account's API, and another service. */
	permit(&r, "{\"StatementId\":\"api1-one\",\"Action\":\"lambda:InvokeFunction\",\"Principal\":"
		   "\"apigateway.amazonaws.com\",\"SourceAccount\":\"111122223333\"}");
	assert_int_equal(get(&r, API "one" USER "/hello"), 500);
	permit(&r, "{\"StatementId\":\"api1-one\",\"Action\":\"lambda:InvokeFunction\",\"Principal\":"
		   "\"events.amazonaws.com\"}");
	assert_int_equal(get(&r, API "one" USER "/hello"), 500);
	rig_deinit(&r);
}

static void test_weights_and_counters(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, 1, world);
	for (int i = 0; i < 1000; i++)
		assert_in_range(get(&r, API "half" USER "/hello"), 200, 201);
	get(&r, API "half" USER "/nothing");
	get(&r, API "bad" USER "/hello");
	assert_int_equal(rig_call(&r, "GET", "/_localaws/counters", NULL), 200);
	const json_t *stages = json_object_get(r.body, "stages");
	const json_t *half = json_object_get(stages, "api1/half"), *bad = json_object_get(stages, "api1/bad");
	assert_int_equal(json_integer_value(json_object_get(half, "requests")), 1001);
	assert_int_equal(json_integer_value(json_object_get(half, "client_errors")), 1);
	assert_int_equal(json_integer_value(json_object_get(half, "server_errors")), 0);
	json_int_t two = json_integer_value(json_object_get(json_object_get(half, "versions"), "hello:2"));
	json_int_t one = json_integer_value(json_object_get(json_object_get(half, "versions"), "hello:1"));
	assert_int_equal(one + two, 1000);
	assert_in_range(two, 440, 560);
	assert_int_equal(json_integer_value(json_object_get(bad, "server_errors")), 1);
	assert_int_equal(rig_usage(&r, "3", "errors"), 1);
	rig_deinit(&r);
}

static double metric(struct rig *r, const char *name, const char *stat, const char *dimensions)
{
	char in[1024];
	snprintf(in, sizeof(in),
		 "{\"StartTime\":%lld,\"EndTime\":%lld,\"MetricDataQueries\":[{\"Id\":\"a\",\"MetricStat\":{\"Metric\":"
		 "{\"Namespace\":\"AWS/ApiGateway\",\"MetricName\":\"%s\",\"Dimensions\":[%s]},\"Period\":60,"
		 "\"Stat\":\"%s\"}}]}",
		 (long long)(RIG_START_MS / 1000 - 60), (long long)(r->now.unix_ms / 1000), name, dimensions, stat);
	assert_int_equal(rig_cloudwatch(r, "GetMetricData", in), 200);
	json_t *result = json_array_get(json_object_get(r->body, "MetricDataResults"), 0);
	return json_number_value(json_array_get(json_object_get(result, "Values"), 0));
}

#define SHOP	 "{\"Name\":\"ApiName\",\"Value\":\"shop\"}"
#define SHOP_ONE SHOP ",{\"Name\":\"Stage\",\"Value\":\"one\"}"
#define WEB_BAD	 "{\"Name\":\"Stage\",\"Value\":\"bad\"},{\"Name\":\"ApiId\",\"Value\":\"web1\"}"

static void test_metrics(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, 1, world);
	for (int i = 0; i < 3; i++)
		get(&r, API "one" USER "/hello");
	get(&r, API "one" USER "/nothing");
	get(&r, API "closed" USER "/hello");
	get(&r, WEB "bad" USER "/hello");
	rig_advance(&r, 180000);
	assert_true(metric(&r, "Count", "Sum", SHOP_ONE) == 4);
	assert_true(metric(&r, "4XXError", "Sum", SHOP_ONE) == 1);
	assert_true(metric(&r, "5XXError", "Sum", SHOP_ONE) == 0);
	assert_true(metric(&r, "IntegrationLatency", "p99", SHOP_ONE) == 30);
	assert_true(metric(&r, "IntegrationLatency", "SampleCount", SHOP_ONE) == 3);
	assert_true(metric(&r, "Latency", "SampleCount", SHOP_ONE) == 4);
	assert_true(metric(&r, "Count", "Sum", SHOP) == 5);
	assert_true(metric(&r, "5XXError", "Average", SHOP) == 0.2);
	assert_true(metric(&r, "5xx", "Sum", WEB_BAD) == 1);
	assert_true(metric(&r, "Count", "Sum", WEB_BAD) == 1);
	rig_deinit(&r);
}

/* The deployment that the stage serves, or "". */
static void served(struct rig *r, const char *stage, char out[static 16])
{
	char path[128];
	snprintf(path, sizeof(path), API "stages/%s", stage);
	assert_int_equal(get(r, path), 200);
	text_copy(out, 16, rig_text(r, "deploymentId"));
}

static void test_deployments_are_snapshots(void **state)
{
	(void)state;
	struct rig r;
	char root[16], id[16], path[128], patch[256];
	rig_init(&r, 1, world);
	get(&r, "/restapis/api1");
	text_copy(root, sizeof(root), rig_text(&r, "rootResourceId"));
	snprintf(path, sizeof(path), API "resources/%s", root);
	assert_int_equal(rig_call(&r, "POST", path, "{\"pathPart\":\"more\"}"), 201);
	text_copy(id, sizeof(id), rig_text(&r, "id"));
	snprintf(path, sizeof(path), API "resources/%s/methods/GET", id);
	assert_int_equal(rig_call(&r, "PUT", path, "{\"authorizationType\":\"NONE\"}"), 201);
	/* A method without an integration cannot be deployed. */
	assert_int_equal(rig_call(&r, "POST", API "deployments", "{}"), 400);
	assert_string_equal(rig_text(&r, "message"), "No integration defined for method");
	snprintf(path, sizeof(path), API "resources/%s/methods/GET/integration", id);
	assert_int_equal(
	    rig_call(&r, "PUT", path,
		     "{\"type\":\"AWS_PROXY\",\"httpMethod\":\"POST\",\"uri\":\"arn:aws:apigateway:us-east-1:"
		     "lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:123456789012:function:hello:"
		     "${stageVariables.lambdaAlias}/invocations\"}"),
	    201);
	assert_int_equal(get(&r, API "one" USER "/more"), 403);
	assert_int_equal(rig_call(&r, "POST", API "deployments", "{\"stageName\":\"one\"}"), 201);
	assert_int_equal(get(&r, API "one" USER "/more"), 200);
	assert_int_equal(get(&r, API "two" USER "/more"), 403);
	/* What is deleted goes on being served, too. */
	snprintf(path, sizeof(path), API "resources/%s", id);
	assert_int_equal(rig_call(&r, "DELETE", path, NULL), 202);
	assert_int_equal(get(&r, API "one" USER "/more"), 200);
	/* By a patch, and no deployment that is in use is deleted. */
	served(&r, "one", id);
	snprintf(path, sizeof(path), API "deployments/%s", id);
	assert_int_equal(rig_call(&r, "DELETE", path, NULL), 400);
	snprintf(patch, sizeof(patch),
		 "{\"patchOperations\":[{\"op\":\"replace\",\"path\":\"/deploymentId\",\"value\":\"%s\"}]}", id);
	assert_int_equal(rig_call(&r, "PATCH", API "stages/two", patch), 200);
	assert_int_equal(get(&r, API "two" USER "/more"), 201);
	rig_deinit(&r);
}

static void test_integration_must_post(void **state)
{
	(void)state;
	struct rig r;
	char path[128];
	rig_init(&r, 1, world);
	struct http_request list = {.method = "GET", .path = API "resources", .query = "embed=methods"};
	assert_int_equal(rig_request(&r, &list), 200);
	json_t *item, *items = json_object_get(r.body, "item");
	size_t i;
	json_array_foreach(items, i, item)
	{
		if (strcmp(json_string_value(json_object_get(item, "path")), "/hello") == 0)
			snprintf(path, sizeof(path), API "resources/%s/methods/GET/integration",
				 json_string_value(json_object_get(item, "id")));
	}
	assert_int_equal(
	    rig_call(&r, "PATCH", path,
		     "{\"patchOperations\":[{\"op\":\"replace\",\"path\":\"/httpMethod\",\"value\":\"GET\"}]}"),
	    200);
	assert_int_equal(rig_call(&r, "POST", API "deployments", "{\"stageName\":\"one\"}"), 201);
	assert_int_equal(get(&r, API "one" USER "/hello"), 500);
	rig_deinit(&r);
}

static void test_canary(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, 1, world);
	assert_int_equal(
	    rig_call(&r, "PATCH", API "stages/one",
		     "{\"patchOperations\":[{\"op\":\"replace\",\"path\":\"/canarySettings/percentTraffic\","
		     "\"value\":\"25\"},{\"op\":\"replace\",\"path\":"
		     "\"/canarySettings/stageVariableOverrides/lambdaAlias\",\"value\":\"two\"}]}"),
	    200);
	/* The override's alias must permit this stage as well. */
	struct http_request add = {.method = "POST",
				   .path = "/2015-03-31/functions/hello/policy",
				   .query = "Qualifier=two",
				   .body =
				       "{\"StatementId\":\"canary\",\"Action\":\"lambda:InvokeFunction\",\"Principal\":"
				       "\"apigateway.amazonaws.com\"}"};
	assert_int_equal(rig_request(&r, &add), 201);
	int of_two = 0;
	for (int i = 0; i < 1000; i++) {
		int status = get(&r, API "one" USER "/hello");
		assert_in_range(status, 200, 201);
		of_two += status == 201;
	}
	assert_in_range(of_two, 200, 300);
	rig_deinit(&r);
}

static void test_bad_world_files(void **state)
{
	(void)state;
#define BEGIN "functions: {hello: {versions: {1: {}}}}\napis:\n  shop: "
	static const struct {
		const char *text, *error;
	} cases[] = {
	    {BEGIN "{function: nobody}\n", "w:3:9: error: an API needs `function`: one that is in the world\n"},
	    {BEGIN "{function: hello, type: web}\n", NULL},
	    {BEGIN "{function: hello, id: UPPER}\n", "w:3:31: error: `id` has small letters and digits\n"},
	    {BEGIN "{function: hello, routes: [FETCH /x, GET /a//b, GET x, 'GET /x/']}\n", NULL},
	    {BEGIN "{function: hello, stages: {prod: {}}}\n",
	     "w:3:9: error: stages of a REST API need a deployment, and that needs `routes`\n"},
	    {BEGIN "{function: hello, routes: [GET /], stages: {prod: {deployed: false}}}\n",
	     "w:3:59: error: a stage of a REST API always has a deployment\n"},
	    {BEGIN "{function: hello, routes: [GET /], stages: {prod: {alias: $LATEST}}}\n",
	     "w:3:67: error: a stage variable cannot hold `$LATEST`\n"},
	    {BEGIN "{function: hello, routes: [GET /], stages: {$default: {}}}\n",
	     "w:3:53: error: `$default` is no name for a stage: letters, digits, - and _\n"},
	    {BEGIN "[]\n", NULL},
	};
	for (size_t i = 0; i < array_len(cases); i++) {
		struct world *w = world_new(1);
		struct diags *diags = mem_alloc(sizeof(*diags));
		struct buf out = BUF_INIT(64 * 1024);
		const char *text = cases[i].text;
		assert_int_equal(world_load(w, text, strlen(text), (struct instant){.unix_ms = 1}, diags), 1);
		diags_format(diags, "w", &out);
		if (cases[i].error)
			assert_string_equal(buf_text(&out), cases[i].error);
		buf_deinit(&out);
		diags_deinit(diags);
		free(diags);
		world_free(w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rest_answers),
	    cmocka_unit_test(test_http_answers),
	    cmocka_unit_test(test_headers_and_delay),
	    cmocka_unit_test(test_by_host),
	    cmocka_unit_test(test_routes),
	    cmocka_unit_test(test_permissions),
	    cmocka_unit_test(test_weights_and_counters),
	    cmocka_unit_test(test_metrics),
	    cmocka_unit_test(test_deployments_are_snapshots),
	    cmocka_unit_test(test_integration_must_post),
	    cmocka_unit_test(test_canary),
	    cmocka_unit_test(test_bad_world_files),
	};
	return cmocka_run_group_tests_name("world_gateway", tests, NULL, NULL);
}
