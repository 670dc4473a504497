/* API Gateway's control plane: what goes out (as botocore builds it), and what is made of what comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <jansson.h>

#include "aws/apigateway.h"
#include "base/text.h"
#include "tests/unit/aws_answers.h"

#define RECORDED(name) "../shared/vectors/real-aws-responses/" name ".snapshot.json"
#define URI                                                                                                            \
	"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/"                                               \
	"arn:aws:lambda:us-east-1:123456789012:function:hello:${stageVariables.lambdaAlias}/invocations"

static const struct aws_endpoint aws = {.scheme = "https", .host = "apigateway.us-east-1.amazonaws.com"};

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
	assert_string_equal(http_header_find(r->headers, r->n_headers, "Accept"), "application/json");
	if (*body)
		assert_string_equal(type, "application/json");
	else
		assert_null(type);
}

static void expect_list(enum api_type type, enum apigateway_list what, const char *position, const char *path,
			const char *query)
{
	struct arena *a cleanup(arena_free_p) = arena_new();
	struct http_request r;
	apigateway_build_list(a, &aws, type, what, "abc", position, &r);
	expect(&r, "GET", path, query, "");
}

static void lists_are_asked_for(void **state)
{
	(void)state;
	expect_list(API_REST, APIGATEWAY_APIS, NULL, "/restapis", "limit=500");
	expect_list(API_REST, APIGATEWAY_APIS, "p/=", "/restapis", "position=p%2F%3D&limit=500");
	expect_list(API_REST, APIGATEWAY_RESOURCES, "", "/restapis/abc/resources", "limit=100&embed=methods");
	expect_list(API_REST, APIGATEWAY_DEPLOYMENTS, NULL, "/restapis/abc/deployments", "limit=500");
	expect_list(API_REST, APIGATEWAY_STAGES, NULL, "/restapis/abc/stages", "");
	expect_list(API_HTTP, APIGATEWAY_APIS, NULL, "/v2/apis", "");
	expect_list(API_HTTP, APIGATEWAY_APIS, "t/=", "/v2/apis", "nextToken=t%2F%3D");
	expect_list(API_HTTP, APIGATEWAY_ROUTES, NULL, "/v2/apis/abc/routes", "");
	expect_list(API_HTTP, APIGATEWAY_INTEGRATIONS, NULL, "/v2/apis/abc/integrations", "");
	expect_list(API_HTTP, APIGATEWAY_DEPLOYMENTS, NULL, "/v2/apis/abc/deployments", "");
	expect_list(API_HTTP, APIGATEWAY_STAGES, "t", "/v2/apis/abc/stages", "nextToken=t");
}

static void single_things_are_asked_for(void **state)
{
	(void)state;
	struct arena *a cleanup(arena_free_p) = arena_new();
	struct http_request r;
	apigateway_build_get_api(a, &aws, API_REST, "abc", &r);
	expect(&r, "GET", "/restapis/abc", "", "");
	apigateway_build_get_api(a, &aws, API_HTTP, "a/c", &r);
	expect(&r, "GET", "/v2/apis/a%2Fc", "", "");
	apigateway_build_get_integration(a, &aws, "abc", "r1", "GET", &r);
	expect(&r, "GET", "/restapis/abc/resources/r1/methods/GET/integration", "", "");
	apigateway_build_get_deployment(a, &aws, "abc", "d1", &r);
	expect(&r, "GET", "/restapis/abc/deployments/d1", "embed=apisummary", "");
}

static const struct service_alias aliases[] = {{.name = "dev"}, {.name = "prod"}};
static const struct service_route routes[] = {{.method = "GET", .path = "/hello"},
					      {.method = "ANY", .path = "/a/{proxy+}"}};
static const struct service_stage stages[] = {{.name = "dev", .alias = 0}, {.name = "$default", .alias = 1}};

static struct service_spec spec_of(enum api_type type)
{
	return (struct service_spec){
	    .name = "hello",
	    .function = "hello",
	    .aliases = aliases,
	    .n_aliases = 2,
	    .api = {.type = type,
		    .name = "hello \"api\"",
		    .stage_variable = "lambdaAlias",
		    .routes = routes,
		    .n_routes = 2,
		    .stages = stages,
		    .n_stages = 2},
	};
}

static const struct view_variable variables[] = {
    {"color", "blue"}, {"lambdaAlias", "dev"}, {"size", "1=2"}, {"none", ""}};
static const struct view_stage seen_stages[] = {
    {.name = "$default", .deployment_id = "d0", .variables = variables, .n_variables = 4}};

static void expect_change(enum api_type type, struct change c, const char *method, const char *path, const char *body)
{
	struct chain_view v;
	struct http_request r;
	struct service_spec spec = spec_of(type);
	chain_view_init(&v);
	text_copy(v.partition, sizeof(v.partition), "aws");
	text_copy(v.region, sizeof(v.region), "us-east-1");
	text_copy(v.account_id, sizeof(v.account_id), "123456789012");
	text_copy(v.api.id, sizeof(v.api.id), "abc");
	v.api.stages = seen_stages;
	v.api.n_stages = 1;
	apigateway_build_change(v.arena, &aws, &spec, &v, &c, &r);
	expect(&r, method, path, "", body);
	chain_view_deinit(&v);
}

static void rest_apis_are_built(void **state)
{
	(void)state;
	expect_change(API_REST, (struct change){.kind = CHANGE_CREATE_API}, "POST", "/restapis",
		      "{\"name\":\"hello \\\"api\\\"\",\"endpointConfiguration\":{\"types\":[\"REGIONAL\"]}}");
	expect_change(API_REST,
		      (struct change){.kind = CHANGE_CREATE_RESOURCE, .key = "/a/{proxy+}", .index = 1, .parent = "r0"},
		      "POST", "/restapis/abc/resources/r0", "{\"pathPart\":\"{proxy+}\"}");
	expect_change(API_REST,
		      (struct change){.kind = CHANGE_PUT_METHOD, .key = "GET /hello", .index = 0, .parent = "r1"},
		      "PUT", "/restapis/abc/resources/r1/methods/GET", "{\"authorizationType\":\"NONE\"}");
	expect_change(API_REST, (struct change){.kind = CHANGE_PUT_INTEGRATION, .index = 1, .parent = "r1"}, "PUT",
		      "/restapis/abc/resources/r1/methods/ANY/integration",
		      "{\"type\":\"AWS_PROXY\",\"httpMethod\":\"POST\",\"uri\":\"" URI "\"}");
	expect_change(API_REST, (struct change){.kind = CHANGE_CREATE_DEPLOYMENT, .key = "rolloutd 1"}, "POST",
		      "/restapis/abc/deployments", "{\"description\":\"rolloutd 1\"}");
	expect_change(API_REST, (struct change){.kind = CHANGE_CREATE_STAGE, .key = "dev", .index = 0, .parent = "d1"},
		      "POST", "/restapis/abc/stages",
		      "{\"stageName\":\"dev\",\"deploymentId\":\"d1\",\"variables\":{\"lambdaAlias\":\"dev\"}}");
	expect_change(API_REST,
		      (struct change){.kind = CHANGE_UPDATE_STAGE, .key = "$default", .index = 1, .parent = "d2"},
		      "PATCH", "/restapis/abc/stages/%24default",
		      "{\"patchOperations\":[{\"op\":\"replace\",\"path\":\"/deploymentId\",\"value\":\"d2\"},"
		      "{\"op\":\"replace\",\"path\":\"/variables/lambdaAlias\",\"value\":\"prod\"}]}");
	expect_change(API_REST, (struct change){.kind = CHANGE_UPDATE_STAGE, .key = "dev", .index = 0}, "PATCH",
		      "/restapis/abc/stages/dev",
		      "{\"patchOperations\":[{\"op\":\"replace\",\"path\":\"/variables/lambdaAlias\",\"value\":\"dev\"}"
		      "]}");
}

static void http_apis_are_built(void **state)
{
	(void)state;
	expect_change(API_HTTP, (struct change){.kind = CHANGE_CREATE_API}, "POST", "/v2/apis",
		      "{\"name\":\"hello \\\"api\\\"\",\"protocolType\":\"HTTP\"}");
	expect_change(API_HTTP, (struct change){.kind = CHANGE_CREATE_INTEGRATION}, "POST", "/v2/apis/abc/integrations",
		      "{\"integrationType\":\"AWS_PROXY\",\"integrationUri\":\"" URI
		      "\",\"payloadFormatVersion\":\"2.0\",\"integrationMethod\":\"POST\"}");
	expect_change(API_HTTP, (struct change){.kind = CHANGE_CREATE_ROUTE, .index = 1, .parent = "i1"}, "POST",
		      "/v2/apis/abc/routes", "{\"routeKey\":\"ANY /a/{proxy+}\",\"target\":\"integrations/i1\"}");
	expect_change(API_HTTP, (struct change){.kind = CHANGE_UPDATE_ROUTE, .index = 0, .parent = "i2", .id = "rt1"},
		      "PATCH", "/v2/apis/abc/routes/rt1", "{\"target\":\"integrations/i2\"}");
	expect_change(API_HTTP, (struct change){.kind = CHANGE_CREATE_DEPLOYMENT, .key = "rolloutd 1"}, "POST",
		      "/v2/apis/abc/deployments", "{\"description\":\"rolloutd 1\"}");
	expect_change(
	    API_HTTP, (struct change){.kind = CHANGE_CREATE_STAGE, .key = "$default", .index = 1, .parent = "d1"},
	    "POST", "/v2/apis/abc/stages",
	    "{\"stageName\":\"$default\",\"deploymentId\":\"d1\",\"stageVariables\":{\"lambdaAlias\":\"prod\"}}");
	expect_change(API_HTTP, (struct change){.kind = CHANGE_CREATE_STAGE, .key = "$default", .index = 1}, "POST",
		      "/v2/apis/abc/stages",
		      "{\"stageName\":\"$default\",\"autoDeploy\":true,\"stageVariables\":{\"lambdaAlias\":\"prod\"}}");
	/* Somebody else's variables go along. */
	expect_change(API_HTTP,
		      (struct change){.kind = CHANGE_UPDATE_STAGE, .key = "$default", .index = 1, .parent = "d2"},
		      "PATCH", "/v2/apis/abc/stages/%24default",
		      "{\"deploymentId\":\"d2\",\"stageVariables\":{\"color\":\"blue\",\"size\":\"1=2\",\"none\":\"\","
		      "\"lambdaAlias\":\"prod\"}}");
	expect_change(
	    API_HTTP, (struct change){.kind = CHANGE_UPDATE_STAGE, .key = "$default", .index = 1}, "PATCH",
	    "/v2/apis/abc/stages/%24default",
	    "{\"stageVariables\":{\"color\":\"blue\",\"size\":\"1=2\",\"none\":\"\",\"lambdaAlias\":\"prod\"}}");
}

/* --- what was created --- */

static void created_things_have_ids(void **state)
{
	(void)state;
	static const struct {
		enum change_kind kind;
		enum api_type type;
		const char *body;
		const char *id;
		const char *root_id;
	} good[] = {
	    {CHANGE_CREATE_API, API_REST, "{\"id\":\"abc\",\"rootResourceId\":\"r0\",\"name\":\"x\"}", "abc", "r0"},
	    {CHANGE_CREATE_API, API_REST, "{\"id\":\"abc\"}", "abc", ""},
	    {CHANGE_CREATE_API, API_HTTP, "{\"apiId\":\"abc\",\"name\":\"x\"}", "abc", ""},
	    {CHANGE_CREATE_RESOURCE, API_REST, "{\"id\":\"r1\",\"parentId\":\"r0\"}", "r1", ""},
	    {CHANGE_PUT_METHOD, API_REST, "{\"httpMethod\":\"GET\"}", "", ""},
	    {CHANGE_PUT_INTEGRATION, API_REST, "{\"type\":\"AWS_PROXY\"}", "", ""},
	    {CHANGE_CREATE_INTEGRATION, API_HTTP, "{\"integrationId\":\"i1\"}", "i1", ""},
	    {CHANGE_CREATE_ROUTE, API_HTTP, "{\"routeId\":\"rt1\"}", "rt1", ""},
	    {CHANGE_UPDATE_ROUTE, API_HTTP, "{\"routeId\":\"rt1\"}", "", ""},
	    {CHANGE_CREATE_DEPLOYMENT, API_REST, "{\"id\":\"d1\"}", "d1", ""},
	    {CHANGE_CREATE_DEPLOYMENT, API_HTTP, "{\"deploymentId\":\"d1\"}", "d1", ""},
	    {CHANGE_CREATE_STAGE, API_REST, "{\"stageName\":\"prod\"}", "", ""},
	    {CHANGE_UPDATE_STAGE, API_HTTP, "{\"stageName\":\"prod\"}", "", ""},
	};
	for (size_t i = 0; i < array_len(good); i++) {
		struct http_response r = answer_of(i % 2 ? 200 : 201, NULL, NULL, good[i].body);
		char id[API_ID_SIZE];
		char root_id[API_ID_SIZE];
		struct aws_error e = {0};
		assert_int_equal(apigateway_parse_created(&r, good[i].kind, good[i].type, id, root_id, &e), 0);
		assert_string_equal(id, good[i].id);
		assert_string_equal(root_id, good[i].root_id);
	}
	static const char *const bad[] = {
	    "",
	    "<html>",
	    "{}",
	    "[]",
	    "{\"id\":7}",
	    "{\"id\":\"\"}",
	    "{\"apiId\":\"abc\"}",
	    "{\"id\":\"a\\nb\"}",
	    "{\"id\":\"abc\",\"rootResourceId\":7}",
	    "{\"id\":\"0123456789012345678901234567890123456789012345678901234567890123\"}",
	};
	for (size_t i = 0; i < array_len(bad); i++) {
		struct http_response r = answer_of(201, NULL, NULL, bad[i]);
		char id[API_ID_SIZE] = "untouched";
		char root_id[API_ID_SIZE];
		struct aws_error e = {0};
		if (!apigateway_parse_created(&r, CHANGE_CREATE_API, API_REST, id, root_id, &e))
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(e.class, AWS_MALFORMED);
		assert_string_equal(id, "untouched");
	}
}

/* --- lists --- */

static int parse_list(struct chain_view *v, enum api_type type, enum apigateway_list what, const char *body,
		      char position[static 64])
{
	struct http_response r = answer_body(body);
	struct aws_error e = {0};
	int result = apigateway_parse_list(&r, type, what, "hello", v, position, 64, &e);
	if (result)
		assert_int_equal(e.class, AWS_MALFORMED);
	return result;
}

static void take_list(struct chain_view *v, enum api_type type, enum apigateway_list what, const char *body)
{
	char position[64];
	if (parse_list(v, type, what, body, position))
		fail_msg("refused: %s", body);
}

static void apis_are_found_by_name_and_type(void **state)
{
	(void)state;
	struct chain_view v;
	char position[64];
	chain_view_init(&v);
	assert_int_equal(parse_list(&v, API_REST, APIGATEWAY_APIS,
				    "{\"item\":[{\"id\":\"a1\",\"name\":\"Hello\"},{\"id\":\"a2\",\"name\":\"hello\","
				    "\"rootResourceId\":\"r0\"}],\"position\":\"p/=\"}",
				    position),
			 0);
	assert_string_equal(position, "p/=");
	assert_true(v.api.found);
	assert_string_equal(v.api.id, "a2");
	assert_string_equal(v.api.name, "hello");
	assert_string_equal(v.api.root_id, "r0");
	assert_int_equal(v.api.n_same_name, 1);
	take_list(&v, API_REST, APIGATEWAY_APIS, "{\"item\":[{\"id\":\"a3\",\"name\":\"hello\"}]}");
	assert_string_equal(v.api.id, "a2");
	assert_int_equal(v.api.n_same_name, 2);
	chain_view_deinit(&v);

	chain_view_init(&v);
	take_list(&v, API_HTTP, APIGATEWAY_APIS,
		  "{\"items\":[{\"apiId\":\"w\",\"name\":\"hello\",\"protocolType\":\"WEBSOCKET\"},"
		  "{\"apiId\":\"h\",\"name\":\"hello\",\"protocolType\":\"HTTP\"}],\"nextToken\":null}");
	assert_string_equal(v.api.id, "h");
	assert_int_equal(v.api.n_same_name, 1);
	chain_view_deinit(&v);

	chain_view_init(&v);
	take_list(&v, API_REST, APIGATEWAY_APIS, "{\"item\":[]}");
	assert_false(v.api.found);
	assert_int_equal(v.api.n_same_name, 0);
	chain_view_deinit(&v);
}

static void an_api_is_read_by_its_id(void **state)
{
	(void)state;
	struct chain_view v;
	struct aws_error e = {0};
	chain_view_init(&v);
	struct http_response r = answer_body("{\"id\":\"a1\",\"name\":\"x\",\"rootResourceId\":\"r0\"}");
	assert_int_equal(apigateway_parse_api(&r, API_REST, &v, &e), 0);
	assert_true(v.api.found);
	assert_string_equal(v.api.name, "x");
	assert_string_equal(v.api.root_id, "r0");
	assert_int_equal(v.api.n_same_name, 1);
	r = answer_body("{\"apiId\":\"a1\",\"name\":\"x\",\"protocolType\":\"WEBSOCKET\"}");
	assert_int_equal(apigateway_parse_api(&r, API_HTTP, &v, &e), 1);
	assert_non_null(strstr(e.message, "WebSocket"));
	r = answer_body("{\"apiId\":\"a2\",\"name\":\"y\",\"protocolType\":\"HTTP\"}");
	assert_int_equal(apigateway_parse_api(&r, API_REST, &v, &e), 1);
	assert_string_equal(v.api.id, "a1");
	assert_int_equal(apigateway_parse_api(&r, API_HTTP, &v, &e), 0);
	assert_string_equal(v.api.id, "a2");
	r = answer_of(404, "x-amzn-errortype", "NotFoundException", "{\"message\":\"Invalid API identifier\"}");
	assert_int_equal(apigateway_parse_api(&r, API_REST, &v, &e), 1);
	assert_int_equal(e.class, AWS_NOT_FOUND);
	chain_view_deinit(&v);
}

#define RESOURCES                                                                                                      \
	"{\"item\":[{\"id\":\"r0\",\"path\":\"/\"},{\"id\":\"r1\",\"parentId\":\"r0\",\"path\":\"/hello\","            \
	"\"pathPart\":\"hello\",\"resourceMethods\":{\"GET\":{\"httpMethod\":\"GET\",\"methodIntegration\":{"          \
	"\"type\":\"AWS_PROXY\",\"uri\":\"" URI "\",\"httpMethod\":\"POST\"}},\"POST\":{},\"OPTIONS\":null}}],"        \
	"\"position\":\"p\"}"

static void resources_are_read_with_their_methods(void **state)
{
	(void)state;
	struct chain_view v;
	struct aws_error e = {0};
	chain_view_init(&v);
	take_list(&v, API_REST, APIGATEWAY_RESOURCES, RESOURCES);
	take_list(&v, API_REST, APIGATEWAY_RESOURCES,
		  "{\"items\":[{\"id\":\"r2\",\"parentId\":\"r1\",\"path\":\"/hello/x\",\"resourceMethods\":{\"ANY\":{"
		  "\"methodIntegration\":{\"type\":\"MOCK\"}}}}]}");
	assert_int_equal(v.api.n_resources, 3);
	assert_string_equal(v.api.root_id, "r0");
	assert_null(v.api.resources[0].parent_id);
	assert_string_equal(v.api.resources[1].path, "/hello");
	assert_string_equal(v.api.resources[2].parent_id, "r1");
	assert_int_equal(v.api.n_methods, 4);
	assert_string_equal(v.api.methods[0].verb, "GET");
	assert_string_equal(v.api.methods[0].path, "/hello");
	assert_string_equal(v.api.methods[0].resource_id, "r1");
	assert_string_equal(v.api.methods[0].integration_type, "AWS_PROXY");
	assert_string_equal(v.api.methods[0].uri, URI);
	assert_string_equal(v.api.methods[1].verb, "POST");
	assert_null(v.api.methods[1].integration_type);
	assert_null(v.api.methods[1].uri);
	assert_string_equal(v.api.methods[3].integration_type, "MOCK");
	assert_null(v.api.methods[3].uri);

	struct http_response r = answer_body("{\"type\":\"AWS_PROXY\",\"uri\":\"u\",\"httpMethod\":\"GET\"}");
	assert_int_equal(apigateway_parse_integration(&r, "r1", "POST", &v, &e), 0);
	assert_string_equal(v.api.methods[1].integration_type, "AWS_PROXY");
	assert_string_equal(v.api.methods[1].called_by, "GET");
	assert_null(v.api.methods[3].called_by);
	assert_string_equal(v.api.methods[1].uri, "u");
	assert_string_equal(v.api.methods[0].uri, URI);
	assert_null(v.api.methods[2].integration_type);
	/* There is none, as some say it. */
	r = answer_body("{}");
	assert_int_equal(apigateway_parse_integration(&r, "r1", "POST", &v, &e), 0);
	assert_null(v.api.methods[1].integration_type);
	r = answer_body("{\"type\":7}");
	assert_int_equal(apigateway_parse_integration(&r, "r1", "POST", &v, &e), 1);
	chain_view_deinit(&v);
}

static void routes_meet_their_integrations(void **state)
{
	(void)state;
	static const char routes_page[] =
	    "{\"items\":[{\"routeId\":\"rt1\",\"routeKey\":\"GET /hello\",\"target\":\"integrations/i2\"},"
	    "{\"routeId\":\"rt2\",\"routeKey\":\"$default\",\"target\":\"integrations/gone\"},"
	    "{\"routeId\":\"rt3\",\"routeKey\":\"ANY /x\"}],\"nextToken\":\"t\"}";
	static const char integrations_page[] =
	    "{\"items\":[{\"integrationId\":\"i1\",\"integrationType\":\"HTTP_PROXY\"},"
	    "{\"integrationId\":\"i2\",\"integrationType\":\"AWS_PROXY\",\"integrationUri\":\"u\"}]}";
	for (int order = 0; order < 2; order++) {
		struct chain_view v;
		chain_view_init(&v);
		if (order)
			take_list(&v, API_HTTP, APIGATEWAY_INTEGRATIONS, integrations_page);
		take_list(&v, API_HTTP, APIGATEWAY_ROUTES, routes_page);
		if (!order)
			take_list(&v, API_HTTP, APIGATEWAY_INTEGRATIONS, integrations_page);
		assert_int_equal(v.api.n_integrations, 2);
		assert_null(v.api.integrations[0].uri);
		assert_int_equal(v.api.n_methods, 3);
		assert_string_equal(v.api.methods[0].route_id, "rt1");
		assert_string_equal(v.api.methods[0].verb, "GET");
		assert_string_equal(v.api.methods[0].path, "/hello");
		assert_string_equal(v.api.methods[0].integration_id, "i2");
		assert_string_equal(v.api.methods[0].integration_type, "AWS_PROXY");
		assert_string_equal(v.api.methods[0].uri, "u");
		assert_string_equal(v.api.methods[1].verb, "$default");
		assert_string_equal(v.api.methods[1].path, "");
		assert_null(v.api.methods[1].integration_type);
		assert_null(v.api.methods[2].integration_id);
		chain_view_deinit(&v);
	}
}

static void deployments_are_read(void **state)
{
	(void)state;
	struct chain_view v;
	struct aws_error e = {0};
	chain_view_init(&v);
	struct http_response r = answer_body("{\"id\":\"d1\",\"description\":\"a\\tb\",\"apiSummary\":{\"/hello\":{"
					     "\"GET\":{},\"POST\":{}},\"/\":{\"ANY\":{}}}}");
	assert_int_equal(apigateway_parse_deployment(&r, "d1", &v, &e), 0);
	assert_int_equal(v.api.n_deployments, 1);
	assert_true(v.api.deployments[0].summary_read);
	assert_string_equal(v.api.deployments[0].description, "a?b");
	assert_int_equal(v.api.deployments[0].n_routes, 3);
	assert_string_equal(v.api.deployments[0].routes[0], "GET /hello");
	assert_string_equal(v.api.deployments[0].routes[2], "ANY /");
	/* The list knows no summaries, and takes none away. */
	take_list(&v, API_REST, APIGATEWAY_DEPLOYMENTS,
		  "{\"item\":[{\"id\":\"d2\",\"description\":null},{\"id\":\"d1\",\"description\":\"a\"}]}");
	assert_int_equal(v.api.n_deployments, 2);
	assert_true(v.api.deployments[0].summary_read);
	assert_string_equal(v.api.deployments[1].id, "d2");
	assert_string_equal(v.api.deployments[1].description, "");
	assert_false(v.api.deployments[1].summary_read);
	r = answer_body("{\"id\":\"d2\",\"apiSummary\":{}}");
	assert_int_equal(apigateway_parse_deployment(&r, "d2", &v, &e), 0);
	assert_int_equal(v.api.n_deployments, 2);
	assert_true(v.api.deployments[1].summary_read);
	assert_int_equal(v.api.deployments[1].n_routes, 0);
	/* A stand-in of AWS has none. */
	r = answer_body("{\"id\":\"d3\",\"description\":\"rolloutd\",\"stageName\":null}");
	assert_int_equal(apigateway_parse_deployment(&r, "d3", &v, &e), 0);
	assert_false(v.api.deployments[2].summary_read);
	static const char *const bad[] = {
	    "{}",
	    "{\"id\":\"other\"}",
	    "{\"id\":\"d9\",\"description\":7}",
	    "{\"id\":\"d9\",\"apiSummary\":[]}",
	    "{\"id\":\"d9\",\"apiSummary\":{\"/\":7}}",
	};
	for (size_t i = 0; i < array_len(bad); i++) {
		r = answer_body(bad[i]);
		assert_int_equal(apigateway_parse_deployment(&r, "d9", &v, &e), 1);
		assert_int_equal(v.api.n_deployments, 3);
	}
	chain_view_deinit(&v);

	chain_view_init(&v);
	take_list(&v, API_HTTP, APIGATEWAY_DEPLOYMENTS,
		  "{\"items\":[{\"deploymentId\":\"d1\",\"autoDeployed\":true}]}");
	assert_string_equal(v.api.deployments[0].id, "d1");
	chain_view_deinit(&v);
}

static void stages_are_read(void **state)
{
	(void)state;
	struct chain_view v;
	chain_view_init(&v);
	take_list(&v, API_REST, APIGATEWAY_STAGES,
		  "{\"item\":[{\"stageName\":\"prod\",\"deploymentId\":\"d1\",\"variables\":{\"lambdaAlias\":\"prod\","
		  "\"x\":\"\"},\"accessLogSettings\":null},{\"stageName\":\"dev\",\"deploymentId\":null,"
		  "\"canarySettings\":{\"percentTraffic\":0.0}}]}");
	assert_int_equal(v.api.n_stages, 2);
	assert_string_equal(v.api.stages[0].name, "prod");
	assert_string_equal(v.api.stages[0].deployment_id, "d1");
	assert_int_equal(v.api.stages[0].n_variables, 2);
	assert_string_equal(v.api.stages[0].variables[0].name, "lambdaAlias");
	assert_string_equal(v.api.stages[0].variables[0].value, "prod");
	assert_false(v.api.stages[0].canary);
	assert_true(v.api.stages[1].canary);
	assert_null(v.api.stages[1].deployment_id);
	assert_int_equal(v.api.stages[1].n_variables, 0);
	chain_view_deinit(&v);

	chain_view_init(&v);
	take_list(&v, API_HTTP, APIGATEWAY_STAGES,
		  "{\"items\":[{\"stageName\":\"$default\",\"autoDeploy\":true,\"stageVariables\":{\"a\":\"b\"}}]}");
	take_list(&v, API_HTTP, APIGATEWAY_STAGES, "{\"items\":[{\"stageName\":\"prod\",\"autoDeploy\":false}]}");
	assert_int_equal(v.api.n_stages, 2);
	assert_true(v.api.stages[0].auto_deploy);
	assert_string_equal(v.api.stages[0].variables[0].value, "b");
	assert_false(v.api.stages[1].auto_deploy);
	chain_view_deinit(&v);
}

static void what_is_no_list_is_refused(void **state)
{
	(void)state;
	static const struct {
		enum api_type type;
		enum apigateway_list what;
		const char *body;
	} bad[] = {
	    {API_REST, APIGATEWAY_APIS, ""},
	    {API_REST, APIGATEWAY_APIS, "[]"},
	    {API_REST, APIGATEWAY_APIS, "{}"},
	    {API_REST, APIGATEWAY_APIS, "{\"item\":{}}"},
	    {API_REST, APIGATEWAY_APIS, "{\"item\":[7]}"},
	    {API_REST, APIGATEWAY_APIS, "{\"item\":[{\"id\":\"x\"}]}"},
	    {API_REST, APIGATEWAY_APIS, "{\"item\":[{\"name\":\"hello\"}]}"},
	    {API_REST, APIGATEWAY_APIS, "{\"item\":[{\"name\":\"hello\",\"apiId\":\"x\"}]}"},
	    {API_REST, APIGATEWAY_APIS, "{\"item\":[],\"position\":7}"},
	    {API_REST, APIGATEWAY_RESOURCES, "{\"item\":[{\"id\":\"r\"}]}"},
	    {API_REST, APIGATEWAY_RESOURCES, "{\"item\":[{\"path\":\"/\"}]}"},
	    {API_REST, APIGATEWAY_RESOURCES, "{\"item\":[{\"id\":\"r\",\"path\":\"/a\",\"resourceMethods\":[]}]}"},
	    {API_REST, APIGATEWAY_RESOURCES,
	     "{\"item\":[{\"id\":\"r\",\"path\":\"/a\",\"resourceMethods\":{\"GET\":7}}]}"},
	    {API_REST, APIGATEWAY_RESOURCES,
	     "{\"item\":[{\"id\":\"r\",\"path\":\"/a\",\"resourceMethods\":{\"GET\":{\"methodIntegration\":7}}}]}"},
	    {API_REST, APIGATEWAY_RESOURCES,
	     "{\"item\":[{\"id\":\"r\",\"path\":\"/a\",\"resourceMethods\":{\"GET\":{\"methodIntegration\":"
	     "{\"type\":[]}}}}]}"},
	    {API_HTTP, APIGATEWAY_ROUTES, "{\"items\":[{\"routeId\":\"r\"}]}"},
	    {API_HTTP, APIGATEWAY_ROUTES, "{\"items\":[{\"routeId\":\"r\",\"routeKey\":\" /x\"}]}"},
	    {API_HTTP, APIGATEWAY_ROUTES, "{\"items\":[{\"routeId\":\"r\",\"routeKey\":\"GET /x\",\"target\":7}]}"},
	    {API_HTTP, APIGATEWAY_INTEGRATIONS, "{\"items\":[{\"integrationId\":\"i\"}]}"},
	    {API_HTTP, APIGATEWAY_DEPLOYMENTS, "{\"items\":[{\"id\":\"d\"}]}"},
	    {API_REST, APIGATEWAY_DEPLOYMENTS, "{\"item\":[{\"id\":\"d\",\"description\":[]}]}"},
	    {API_REST, APIGATEWAY_STAGES, "{\"item\":[{\"deploymentId\":\"d\"}]}"},
	    {API_REST, APIGATEWAY_STAGES, "{\"item\":[{\"stageName\":\"s\",\"variables\":[]}]}"},
	    {API_REST, APIGATEWAY_STAGES, "{\"item\":[{\"stageName\":\"s\",\"variables\":{\"a\":7}}]}"},
	    {API_REST, APIGATEWAY_STAGES, "{\"item\":[{\"stageName\":\"s\",\"canarySettings\":7}]}"},
	    {API_HTTP, APIGATEWAY_STAGES, "{\"items\":[{\"stageName\":\"s\",\"autoDeploy\":\"no\"}]}"},
	    {API_HTTP, APIGATEWAY_STAGES, "{\"items\":[{\"stageName\":\"s\"},{}]}"},
	};
	for (size_t i = 0; i < array_len(bad); i++) {
		struct chain_view v;
		char position[64] = "untouched";
		chain_view_init(&v);
		if (!parse_list(&v, bad[i].type, bad[i].what, bad[i].body, position))
			fail_msg("taken: %s", bad[i].body);
		assert_string_equal(position, "untouched");
		assert_int_equal(v.api.n_resources + v.api.n_methods + v.api.n_integrations + v.api.n_deployments +
				     v.api.n_stages + v.api.n_same_name,
				 0);
		chain_view_deinit(&v);
	}
}

static void a_position_that_does_not_fit_is_refused(void **state)
{
	(void)state;
	struct chain_view v;
	char position[8] = "old";
	struct aws_error e = {0};
	chain_view_init(&v);
	struct http_response r = answer_body("{\"item\":[],\"position\":\"12345678\"}");
	assert_int_equal(apigateway_parse_list(&r, API_REST, APIGATEWAY_STAGES, NULL, &v, position, 8, &e), 1);
	assert_string_equal(position, "old");
	r = answer_body("{\"item\":[],\"position\":\"1234567\"}");
	assert_int_equal(apigateway_parse_list(&r, API_REST, APIGATEWAY_STAGES, NULL, &v, position, 8, &e), 0);
	assert_string_equal(position, "1234567");
	chain_view_deinit(&v);
}

static void cut_list(const struct http_response *r, void *ctx)
{
	struct chain_view v;
	char position[64];
	struct aws_error e = {0};
	(void)ctx;
	chain_view_init(&v);
	assert_int_equal(
	    apigateway_parse_list(r, API_REST, APIGATEWAY_RESOURCES, NULL, &v, position, sizeof(position), &e), 1);
	assert_int_equal(e.class, AWS_MALFORMED);
	assert_int_equal(v.api.n_resources, 0);
	chain_view_deinit(&v);
}

static void every_cut_is_refused(void **state)
{
	(void)state;
	each_truncation(RESOURCES, cut_list, NULL);
}

/* --- recorded answers --- */

static bool is_list_of(const json_t *recorded, const char *key)
{
	const json_t *items = json_object_get(recorded, "items") ?: json_object_get(recorded, "item");
	return json_object_get(json_array_get(items, 0), key) != NULL;
}

/* In recordings an id that was drawn stands as <id:1>, which no id looks like. */
static void restore_ids(char *body)
{
	for (char *at = body; (at = strstr(at, "<id:")) != NULL;) {
		char *end = strchr(at, '>');
		if (!end)
			return;
		at[0] = at[3] = *end = 'x';
	}
}

/* Every recorded answer whose kind can be told by its fields. */
static void try_recorded(const json_t *recorded, int *n)
{
	char *body = json_dumps(recorded, 0);
	restore_ids(body);
	struct http_response r = answer_body(body);
	struct chain_view v;
	struct aws_error e = {0};
	char id[API_ID_SIZE];
	char root_id[API_ID_SIZE];
	int result = 0;
	chain_view_init(&v);
	if (is_list_of(recorded, "rootResourceId")) {
		n[0]++;
		take_list(&v, API_REST, APIGATEWAY_APIS, body);
	} else if (is_list_of(recorded, "path") && is_list_of(recorded, "id")) {
		n[1]++;
		take_list(&v, API_REST, APIGATEWAY_RESOURCES, body);
		assert_true(v.api.n_resources > 0 && v.api.root_id);
	} else if (is_list_of(recorded, "stageName")) {
		n[2]++;
		take_list(&v, API_REST, APIGATEWAY_STAGES, body);
		assert_true(v.api.n_stages > 0 && v.api.stages[0].deployment_id);
	} else if (json_object_get(recorded, "rootResourceId")) {
		n[3]++;
		result = apigateway_parse_created(&r, CHANGE_CREATE_API, API_REST, id, root_id, &e) +
			 apigateway_parse_api(&r, API_REST, &v, &e);
	} else if (json_object_get(recorded, "pathPart") && json_object_get(recorded, "id")) {
		n[4]++;
		result = apigateway_parse_created(&r, CHANGE_CREATE_RESOURCE, API_REST, id, root_id, &e);
	} else if (json_object_get(recorded, "passthroughBehavior") && json_object_get(recorded, "type")) {
		n[5]++;
		result = apigateway_parse_integration(&r, "r", "GET", &v, &e);
	}
	if (result)
		fail_msg("%s\n%s", e.message, body);
	chain_view_deinit(&v);
	free(body);
}

static void recorded_answers(void **state)
{
	(void)state;
	json_t *all = json_load_file(RECORDED("apigateway_api"), 0, NULL);
	if (!all)
		skip();
	int n[6] = {0};
	const char *name;
	json_t *entry;
	json_object_foreach(all, name, entry)
	{
		const char *step;
		json_t *recorded;
		json_object_foreach(json_object_get(entry, "recorded-content"), step, recorded)
		{
			if (json_is_object(recorded))
				try_recorded(recorded, n);
		}
	}
	json_decref(all);
	for (size_t i = 0; i < array_len(n); i++)
		if (n[i] == 0)
			fail_msg("no recording of kind %zu", i);
}

/* A stage as it was recorded, in a list of one. */
static void recorded_canary(void **state)
{
	(void)state;
	json_t *all = json_load_file(RECORDED("apigateway_canary"), 0, NULL);
	if (!all)
		skip();
	const char *name;
	json_t *entry;
	int n = 0;
	json_object_foreach(all, name, entry)
	{
		const json_t *stage = json_object_get(json_object_get(entry, "recorded-content"), "get-stage");
		if (!json_object_get(stage, "stageName"))
			continue;
		struct chain_view v;
		json_t *list = json_pack("{s[O]}", "item", stage);
		char *body = json_dumps(list, 0);
		chain_view_init(&v);
		take_list(&v, API_REST, APIGATEWAY_STAGES, body);
		assert_int_equal(v.api.stages[0].canary, json_object_get(stage, "canarySettings") != NULL);
		assert_int_equal(v.api.stages[0].n_variables, json_object_size(json_object_get(stage, "variables")));
		n += v.api.stages[0].canary;
		chain_view_deinit(&v);
		free(body);
		json_decref(list);
	}
	json_decref(all);
	assert_true(n > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lists_are_asked_for),
	    cmocka_unit_test(single_things_are_asked_for),
	    cmocka_unit_test(rest_apis_are_built),
	    cmocka_unit_test(http_apis_are_built),
	    cmocka_unit_test(created_things_have_ids),
	    cmocka_unit_test(apis_are_found_by_name_and_type),
	    cmocka_unit_test(an_api_is_read_by_its_id),
	    cmocka_unit_test(resources_are_read_with_their_methods),
	    cmocka_unit_test(routes_meet_their_integrations),
	    cmocka_unit_test(deployments_are_read),
	    cmocka_unit_test(stages_are_read),
	    cmocka_unit_test(what_is_no_list_is_refused),
	    cmocka_unit_test(a_position_that_does_not_fit_is_refused),
	    cmocka_unit_test(every_cut_is_refused),
	    cmocka_unit_test(recorded_answers),
	    cmocka_unit_test(recorded_canary),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
