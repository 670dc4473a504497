/* What differs of an API: permissions, routes, deployments, stages; REST and HTTP. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "chain_rig.h"

#define set_text(out, s) assert_true(text_copy(out, sizeof(out), s))
#define URI                                                                                                            \
	"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/"                                               \
	"arn:aws:lambda:us-east-1:123456789012:function:hello:${stageVariables.lambdaAlias}/invocations"

static int setup(void **state)
{
	struct chain_rig *g = mem_alloc(sizeof(*g));
	chain_rig_init(g);
	*state = g;
	return 0;
}

static int setup_http(void **state)
{
	setup(state);
	((struct chain_rig *)*state)->spec.api.type = API_HTTP;
	return 0;
}

static int teardown(void **state)
{
	chain_rig_deinit(*state);
	free(*state);
	return 0;
}

static void assert_list(struct chain_rig *g, const char *expected)
{
	assert_string_equal(chain_rig_text(g), expected);
}

static void assert_problem(struct chain_rig *g, const char *subject, const char *words)
{
	const struct change *c = chain_rig_about(g, CHANGE_PROBLEM, subject);
	if (!c || !strstr(c->text, words))
		fail_msg("no problem of %s with \"%s\":\n%s", subject, words, chain_rig_text(g));
}

/* The first call of the list is of that kind; it is made. */
static void make_next(struct chain_rig *g, enum change_kind kind)
{
	const struct change *c = chain_first_call(&g->list);
	if (!c || c->kind != kind)
		fail_msg("%s is not first:\n%s", change_kind_name(kind), chain_rig_text(g));
	chain_rig_make(g, c, CHAIN_RIG_OK);
	chain_rig_diff(g);
}

static struct chain_rig_statement *statement(struct chain_rig *g, const char *alias, size_t n)
{
	return &chain_rig_alias(g, alias)->statements[n];
}

/* --- REST, from nothing --- */

static void test_rest_from_nothing(void **state)
{
	struct chain_rig *g = *state;
	g->routes[1] = (struct service_route){.method = "ANY", .path = "/a/b/{proxy+}"};
	g->routes[2] = (struct service_route){.method = "GET", .path = "/"};
	g->routes[3] = (struct service_route){.method = "POST", .path = "/a/b"};
	g->spec.api.n_routes = 4;
	chain_rig_ask(g);
	for (int n = 0; n < 3; n++)
		make_next(g, CHANGE_CREATE_ALIAS);
	assert_list(g, "create-api create API hello-api\n");
	make_next(g, CHANGE_CREATE_API);
	assert_string_equal(g->list.items[0].to,
			    arena_printf(g->arena, "arn:aws:execute-api:us-east-1:123456789012:%s/dev/*", g->api_id));
	assert_string_equal(g->list.items[0].key, arena_printf(g->arena, "rolloutd-%s-dev", g->api_id));
	for (int n = 0; n < 3; n++)
		make_next(g, CHANGE_ADD_PERMISSION);
	assert_list(g, "create-resource create resource /hello of API hello-api\n"
		       "create-resource create resource /a of API hello-api\n"
		       "put-method create method GET / of API hello-api\n");
	assert_false(g->memory.deploy);
	make_next(g, CHANGE_CREATE_RESOURCE);
	assert_true(g->memory.deploy);
	make_next(g, CHANGE_PUT_METHOD);
	const struct change *c = chain_rig_only(g, CHANGE_PUT_INTEGRATION);
	assert_string_equal(c->to, URI);
	assert_string_equal(c->key, "GET /hello");
	chain_rig_run(g);
	assert_list(g, "");
	assert_int_equal(g->n_resource, 5);
	assert_int_equal(g->n_deployment, 1);
	assert_int_equal(g->n_stage, 3);
	for (size_t n = 0; n < 3; n++)
		assert_string_equal(g->stage[n].deployment, g->deployment[0].id);
	assert_string_equal(g->memory.deployment_id, g->deployment[0].id);
	assert_false(g->memory.deploy);
	assert_int_equal(chain_rig_run(g), 0);
}

static void test_deployment_and_stages(void **state)
{
	struct chain_rig *g = *state;
	chain_rig_run(g);
	/* A route more: one deployment for all stages. */
	g->routes[1] = (struct service_route){.method = "POST", .path = "/hello"};
	g->spec.api.n_routes = 2;
	chain_rig_ask(g);
	make_next(g, CHANGE_PUT_METHOD);
	assert_string_equal(g->memory.deployment_id, "");
	make_next(g, CHANGE_PUT_INTEGRATION);
	const struct change *c = chain_rig_only(g, CHANGE_CREATE_DEPLOYMENT);
	assert_string_equal(c->key, "rolloutd 2023-11-14T22:13:20.000Z");
	assert_int_equal(g->list.len, 1);
	make_next(g, CHANGE_CREATE_DEPLOYMENT);
	for (int n = 0; n < 3; n++) {
		assert_string_equal(g->list.items[0].field, "deployment");
		assert_string_equal(g->list.items[0].parent, g->memory.deployment_id);
		assert_string_equal(g->list.items[0].from, g->deployment[0].id);
		make_next(g, CHANGE_UPDATE_STAGE);
	}
	assert_list(g, "");
	assert_false(g->memory.deploy);
	/* Variables that are not ours stay, and ours is put back. */
	struct chain_rig_stage *s = chain_rig_stage(g, "prod");
	set_text(s->variables[0][1], "dev");
	set_text(s->variables[1][0], "other");
	set_text(s->variables[1][1], "kept");
	s->n_variables = 2;
	chain_rig_ask(g);
	assert_list(g, "update-stage stage prod of API hello-api: variable lambdaAlias: dev -> prod\n");
	assert_null(g->list.items[0].parent);
	assert_int_equal(chain_rig_run(g), 1);
	assert_string_equal(s->variables[1][1], "kept");
	/* A stage that went is put on what the others have, without a deployment. */
	*chain_rig_stage(g, "dev") = g->stage[--g->n_stage];
	chain_rig_ask(g);
	assert_list(g, "create-stage create stage dev of API hello-api (alias dev)\n");
	assert_int_equal(chain_rig_run(g), 1);
	assert_int_equal(g->n_deployment, 2);
}

static void test_deployment_that_lacks(void **state)
{
	struct chain_rig *g = *state;
	chain_rig_run(g);
	/* The record is lost, and one stage has a deployment of before the route. */
	g->memory = (struct chain_memory){0};
	g->deployment[1] = (struct chain_rig_deployment){.id = "old"};
	g->n_deployment = 2;
	set_text(chain_rig_stage(g, "prod")->deployment, "old");
	chain_rig_ask(g);
	assert_list(g, arena_printf(g->arena, "update-stage stage prod of API hello-api: deployment: old -> %s\n",
				    g->deployment[0].id));
	/* It is not known to lack anything. */
	g->deployment[1].unread = true;
	chain_rig_ask(g);
	assert_list(g, "");
	/* Half a chain: a stage whose deployment is gone, or that has none. */
	set_text(chain_rig_stage(g, "prod")->deployment, "");
	set_text(chain_rig_stage(g, "test")->deployment, "gone");
	set_text(chain_rig_stage(g, "dev")->deployment, "gone");
	chain_rig_ask(g);
	make_next(g, CHANGE_CREATE_DEPLOYMENT);
	assert_int_equal(chain_rig_run(g), 3);
	assert_list(g, "");
	/* A service that tells a summary without our routes: the same deployment is not made again and again. */
	g->deployment[2].n_routes = 0;
	chain_rig_ask(g);
	assert_list(g, "");
}

static void test_deployment_lost_answer(void **state)
{
	struct chain_rig *g = *state;
	chain_rig_ask(g);
	for (const struct change *c = chain_first_call(&g->list); c->kind != CHANGE_CREATE_DEPLOYMENT;
	     c = chain_first_call(&g->list)) {
		chain_rig_make(g, c, CHAIN_RIG_OK);
		chain_rig_diff(g);
	}
	/* Asked for again it has the same mark: either of the two may arrive. */
	char *mark = arena_strdup(g->strings, chain_rig_only(g, CHANGE_CREATE_DEPLOYMENT)->key);
	chain_rig_make(g, chain_rig_only(g, CHANGE_CREATE_DEPLOYMENT), CHAIN_RIG_LOST_BEFORE);
	g->now_unix_ms += 60000;
	chain_rig_ask(g);
	assert_string_equal(chain_rig_only(g, CHANGE_CREATE_DEPLOYMENT)->key, mark);
	chain_rig_make(g, chain_rig_only(g, CHANGE_CREATE_DEPLOYMENT), CHAIN_RIG_LOST_AFTER);
	chain_rig_run(g);
	assert_list(g, "");
	assert_int_equal(g->n_deployment, 1);
}

static void test_canary_stage(void **state)
{
	struct chain_rig *g = *state;
	chain_rig_run(g);
	chain_rig_stage(g, "prod")->canary = true;
	chain_rig_ask(g);
	assert_list(g, "");
	g->routes[0].path = "/other";
	chain_rig_run(g);
	assert_int_equal(g->list.len, 1);
	assert_problem(g, "stage prod of API hello-api", "promote or remove that canary");
	assert_string_equal(chain_rig_stage(g, "prod")->deployment, g->deployment[0].id);
	assert_string_equal(chain_rig_stage(g, "dev")->deployment, g->deployment[1].id);
	/* Its variable is another matter. */
	set_text(chain_rig_stage(g, "prod")->variables[0][1], "dev");
	chain_rig_ask(g);
	assert_null(chain_rig_only(g, CHANGE_UPDATE_STAGE)->parent);
	assert_int_equal(chain_rig_run(g), 1);
	/* Once it is gone the stage gets what it missed. */
	chain_rig_stage(g, "prod")->canary = false;
	assert_int_equal(chain_rig_run(g), 1);
	assert_string_equal(chain_rig_stage(g, "prod")->deployment, g->deployment[1].id);
	assert_list(g, "");
}

static void test_rest_integration_drift(void **state)
{
	struct chain_rig *g = *state;
	chain_rig_run(g);
	set_text(g->method[0].uri, "arn:elsewhere");
	chain_rig_ask(g);
	assert_list(g, "put-integration method GET /hello of API hello-api: integration: arn:elsewhere -> " URI "\n");
	set_text(g->method[0].uri, URI);
	set_text(g->method[0].type, "MOCK");
	assert_int_equal(chain_rig_run(g), 5); /* integration, deployment, three stages */
	/* By another verb than POST it would answer nothing but errors. */
	set_text(g->method[0].called_by, "GET");
	chain_rig_ask(g);
	assert_list(g, "put-integration method GET /hello of API hello-api: integration: " URI " by GET -> " URI "\n");
	assert_int_equal(chain_rig_run(g), 5);
	assert_list(g, "");
	set_text(g->method[0].called_by, ""); /* not told */
	assert_int_equal(chain_rig_run(g), 0);
	g->root_unread = true;
	g->n_stage = 2;
	chain_rig_ask(g);
	assert_list(g, "wait API hello-api: its resources were not read yet\n");
}

/* --- the API itself --- */

static void test_api_names(void **state)
{
	struct chain_rig *g = *state;
	chain_rig_run(g);
	g->n_same_name = 2;
	chain_rig_ask(g);
	assert_problem(g, "API hello-api", "2 APIs have the name hello-api: say which one with `id:`");
	assert_int_equal(g->list.len, 1);
	g->spec.api.name = NULL;
	g->spec.api.id = "abc";
	g->api_found = false;
	chain_rig_ask(g);
	assert_problem(g, "API abc", "no REST API with the id abc");
	/* A deleted one is made anew, all of it, once it cannot be one that AWS does not show yet. */
	g->now_unix_ms += CHAIN_API_COMES_MS;
	g->spec.api.name = "hello-api";
	g->spec.api.id = NULL;
	g->n_same_name = 0;
	chain_rig_run(g);
	assert_list(g, "");
	assert_int_equal(g->n_stage, 3);
	assert_int_equal(g->n_deployment, 1);
	assert_int_equal(chain_rig_alias(g, "prod")->n_statements, 2); /* that of the other API is not ours to judge */
}

static void test_rollout_after_api(void **state)
{
	struct chain_rig *g = *state;
	chain_rig_run(g);
	chain_rig_add_version(g, "sha-two");
	g->aliases[2].version = 3;
	chain_rig_alias(g, "prod")->n_statements = 0;
	chain_rig_ask(g);
	assert_null(chain_rig_only(g, CHANGE_ROLLOUT));
	make_next(g, CHANGE_ADD_PERMISSION);
	assert_non_null(chain_rig_only(g, CHANGE_ROLLOUT));
	/* A problem of another part does not hold it. */
	chain_rig_stage(g, "dev")->canary = true;
	set_text(chain_rig_stage(g, "dev")->deployment, "gone");
	chain_rig_ask(g);
	assert_problem(g, "stage dev of API hello-api", "canary");
	assert_non_null(chain_rig_only(g, CHANGE_ROLLOUT));
}

/* --- permissions --- */

static void test_permission_of_others(void **state)
{
	struct chain_rig *g = *state;
	static const struct {
		const char *arn, *account;
		bool enough;
	} cases[] = {
	    {"", "", true},
	    {"", CHAIN_RIG_ACCOUNT, true},
	    {"", "999999999999", false},
	    {"arn:aws:execute-api:us-east-1:123456789012:%s/*", "", true},
	    {"arn:aws:execute-api:us-east-1:123456789012:%s/*/*", "", true},
	    {"arn:aws:execute-api:us-east-1:123456789012:%s/prod/*", "", true},
	    {"arn:aws:execute-api:*:*:%s/pro?/*", "", true},
	    {"arn:aws:execute-api:*:*:%s/prod/***", "", true},
	    {"arn:aws:execute-api:us-east-1:123456789012:%s/*/GET/hello", "", false},
	    {"arn:aws:execute-api:us-east-1:123456789012:%s/prod/?", "", false},
	    {"arn:aws:execute-api:us-east-1:123456789012:%s/dev/*", "", false},
	    {"arn:aws:execute-api:us-east-1:123456789012:%s/prod", "", false},
	    {"arn:aws:execute-api:*/prod/*", "", false}, /* a star stays within its part */
	    {"arn:aws:execute-api:us-west-2:123456789012:%s/*", "", false},
	};
	chain_rig_run(g);
	for (size_t n = 0; n < array_len(cases); n++) {
		char arn[256];
		const char *at = strstr(cases[n].arn, "%s");
		snprintf(arn, sizeof(arn), "%.*s%s%s", (int)(at ? at - cases[n].arn : (long)strlen(cases[n].arn)),
			 cases[n].arn, at ? g->api_id : "", at ? at + 2 : "");
		chain_rig_alias(g, "prod")->n_statements = 0;
		chain_rig_allow(g, chain_rig_alias(g, "prod"), "by-hand", arn, cases[n].account);
		chain_rig_ask(g);
		if ((chain_rig_only(g, CHANGE_ADD_PERMISSION) == NULL) != cases[n].enough)
			fail_msg("%s %s:\n%s", arn, cases[n].account, chain_rig_text(g));
	}
	chain_rig_alias(g, "prod")->n_statements = 0;
	chain_rig_allow(g, chain_rig_alias(g, "prod"), "by-hand", "", "");
	statement(g, "prod", 0)->invokes = false;
	chain_rig_ask(g);
	assert_non_null(chain_rig_only(g, CHANGE_ADD_PERMISSION));
	assert_string_equal(chain_rig_only(g, CHANGE_ADD_PERMISSION)->subject,
			    "permission of alias prod for stage prod of API hello-api");
}

/* A statement with our id that says something else: another is added first, and that one goes last. */
static void test_permission_mended(void **state)
{
	struct chain_rig *g = *state;
	chain_rig_run(g);
	set_text(statement(g, "prod", 0)->account, "999999999999");
	char sid[256];
	set_text(sid, statement(g, "prod", 0)->sid);
	chain_rig_ask(g);
	assert_string_equal(chain_rig_only(g, CHANGE_ADD_PERMISSION)->key, arena_printf(g->arena, "%s-2", sid));
	assert_null(chain_rig_only(g, CHANGE_REMOVE_PERMISSION));
	make_next(g, CHANGE_ADD_PERMISSION);
	assert_list(g, arena_printf(g->arena, "remove-permission remove permission %s of alias prod\n", sid));
	assert_int_equal(g->list.items[0].index, 2);
	make_next(g, CHANGE_REMOVE_PERMISSION);
	assert_list(g, "");
	assert_int_equal(chain_rig_alias(g, "prod")->n_statements, 1);
}

static void test_permission_unused(void **state)
{
	struct chain_rig *g = *state;
	chain_rig_run(g);
	/* prod is served by test from now on: the variable first, then what nothing needs any more. */
	g->stages[2].alias = 1;
	chain_rig_ask(g);
	make_next(g, CHANGE_ADD_PERMISSION);
	assert_null(chain_rig_only(g, CHANGE_REMOVE_PERMISSION));
	make_next(g, CHANGE_UPDATE_STAGE);
	make_next(g, CHANGE_REMOVE_PERMISSION);
	assert_list(g, "");
	assert_int_equal(chain_rig_alias(g, "prod")->n_statements, 0);
	/* A stage that is not declared any more is left alone, and goes on serving. */
	g->spec.api.n_stages = 2;
	chain_rig_ask(g);
	assert_list(g, "");
	/* What a canary's variables name is not known. */
	set_text(chain_rig_stage(g, "prod")->variables[0][1], "elsewhere");
	chain_rig_stage(g, "prod")->canary = true;
	chain_rig_ask(g);
	assert_list(g, "");
	chain_rig_stage(g, "prod")->canary = false;
	chain_rig_ask(g);
	assert_non_null(chain_rig_only(g, CHANGE_REMOVE_PERMISSION));
	/* Not ours. */
	set_text(statement(g, "test", 1)->sid, "by-hand");
	chain_rig_ask(g);
	assert_list(g, "");
}

static void test_permission_limit(void **state)
{
	struct chain_rig *g = *state;
	chain_rig_run(g);
	struct chain_rig_alias *a = chain_rig_alias(g, "prod");
	set_text(a->statements[0].sid, "by-hand");
	set_text(a->statements[0].arn, "arn:x");
	size_t one = chain_statement_bytes("arn:aws:lambda:us-east-1:123456789012:function:hello", "prod",
					   chain_statement_id(g->strings, &g->view, "prod"),
					   chain_source_arn(g->strings, &g->view, "prod"), CHAIN_RIG_ACCOUNT);
	assert_in_range(one, 300, 400);
	a->bytes = LIMIT_POLICY_BYTES - 300 - one;
	chain_rig_ask(g);
	assert_non_null(chain_rig_only(g, CHANGE_ADD_PERMISSION));
	a->bytes++;
	chain_rig_ask(g);
	assert_null(chain_rig_only(g, CHANGE_ADD_PERMISSION));
	assert_problem(g, "permission of alias prod for stage prod of API hello-api",
		       "20481 bytes, more than AWS's limit of 20480");
	assert_problem(g, "permission of alias prod for stage prod of API hello-api", "(the first is by-hand)");
	/* Its stage is not touched. */
	set_text(chain_rig_stage(g, "prod")->variables[0][1], "dev");
	chain_rig_ask(g);
	assert_null(chain_rig_only(g, CHANGE_UPDATE_STAGE));
	a->bytes = 0;
	a->unread = true;
	chain_rig_ask(g);
	assert_non_null(chain_rig_about(g, CHANGE_WAIT, "alias prod"));
	assert_null(chain_first_call(&g->list));
}

static void test_statement_id(void **state)
{
	struct chain_rig *g = *state;
	chain_rig_run(g);
	char name[129];
	memset(name, 'x', 128);
	name[128] = '\0';
	const char *id = chain_statement_id(g->strings, &g->view, name);
	assert_true(strlen(id) < 98);
	name[127] = 'y';
	assert_string_not_equal(id, chain_statement_id(g->strings, &g->view, name));
	id = chain_statement_id(g->strings, &g->view, "$default");
	assert_null(strchr(id, '$'));
	assert_true(text_starts_with(id, arena_printf(g->strings, "rolloutd-%s-", g->api_id)));
}

/* --- HTTP --- */

static void test_http_from_nothing(void **state)
{
	struct chain_rig *g = *state;
	g->routes[1] = (struct service_route){.method = "ANY", .path = "/{proxy+}"};
	g->spec.api.n_routes = 2;
	chain_rig_run(g);
	assert_list(g, "");
	assert_int_equal(g->n_integration, 1);
	assert_int_equal(g->n_method, 2);
	assert_int_equal(g->n_deployment, 0);
	for (size_t n = 0; n < 3; n++)
		assert_true(g->stage[n].auto_deploy);
	assert_false(g->memory.deploy);
	assert_int_equal(chain_rig_run(g), 0);
	/* An integration that is there is used again. */
	set_text(g->method[0].integration, "other");
	chain_rig_ask(g);
	const struct change *c = chain_rig_only(g, CHANGE_UPDATE_ROUTE);
	assert_string_equal(c->parent, g->integration[0].id);
	assert_string_equal(c->id, g->method[0].route);
	assert_string_equal(c->key, "GET /hello");
	assert_int_equal(chain_rig_run(g), 1);
}

static void test_http_auto_deploy(void **state)
{
	struct chain_rig *g = *state;
	chain_rig_run(g);
	/* A route by hand, and a stage that is not ready for ours: variable and permission come first. */
	set_text(g->method[0].integration, "by-hand");
	g->integration[1] = (struct view_integration){"by-hand", "AWS_PROXY", "arn:elsewhere"};
	g->n_integration = 2;
	chain_rig_stage(g, "prod")->n_variables = 0;
	chain_rig_alias(g, "prod")->n_statements = 0;
	chain_rig_ask(g);
	make_next(g, CHANGE_ADD_PERMISSION);
	make_next(g, CHANGE_UPDATE_STAGE);
	make_next(g, CHANGE_UPDATE_ROUTE);
	assert_list(g, "");
	/* No alias, no route. */
	set_text(g->method[0].integration, "by-hand");
	g->n_alias = 2;
	g->aliases[2].version = 77;
	chain_rig_ask(g);
	assert_null(chain_first_call(&g->list));
	assert_problem(g, "alias prod", "version 77 does not exist");
	chain_rig_add_alias(g, "prod", 2);
	g->aliases[2].version = 2;
	/* A stage of somebody else's would fail. */
	g->stage[3] = (struct chain_rig_stage){.name = "$default", .auto_deploy = true};
	g->n_stage = 4;
	chain_rig_run(g);
	assert_int_equal(g->list.len, 1);
	assert_problem(g, "stage $default of API hello-api", "declare it in `stages:`");
	/* It is nobody's business when it does not deploy by itself, or sets the variable. */
	g->stage[3].auto_deploy = false;
	chain_rig_ask(g);
	assert_non_null(chain_rig_only(g, CHANGE_UPDATE_ROUTE));
	g->stage[3].auto_deploy = true;
	set_text(g->stage[3].variables[0][0], "lambdaAlias");
	g->stage[3].n_variables = 1;
	assert_int_equal(chain_rig_run(g), 1);
	assert_list(g, "");
}

/* A new route beside a stage of somebody else's that serves nothing yet. */
static void test_http_idle_stage(void **state)
{
	struct chain_rig *g = *state;
	chain_rig_run(g);
	g->stage[3] = (struct chain_rig_stage){.name = "$default", .auto_deploy = true};
	g->n_stage = 4;
	g->routes[1] = (struct service_route){.method = "GET", .path = "/new"};
	g->spec.api.n_routes = 2;
	assert_int_equal(chain_rig_run(g), 1);
	assert_list(g, "");
}

static void test_answer_without_size(void **state)
{
	struct chain_rig *g = *state;
	chain_rig_run(g);
	chain_rig_alias(g, "prod")->n_statements = 0;
	chain_rig_ask(g);
	struct change_answer answer = {0};
	chain_apply(&g->spec, chain_rig_only(g, CHANGE_ADD_PERMISSION), &answer, &g->view);
	assert_in_range(chain_view_alias(&g->view, "prod")->policy.bytes, 350, 500);
	chain_rig_diff(g);
	assert_list(g, "");
}

static void test_http_without_auto_deploy(void **state)
{
	struct chain_rig *g = *state;
	chain_rig_run(g);
	chain_rig_stage(g, "prod")->auto_deploy = false;
	chain_rig_ask(g);
	assert_list(g, "create-deployment create deployment of API hello-api\n");
	assert_int_equal(chain_rig_run(g), 2);
	assert_string_equal(chain_rig_stage(g, "prod")->deployment, g->deployment[0].id);
	assert_string_equal(chain_rig_stage(g, "dev")->deployment, "");
	assert_list(g, "");
	/* Once it is made, its deployments are read no more: that is no reason to make another. */
	g->n_deployment = 0;
	chain_rig_ask(g);
	assert_list(g, "");
}

/* What is foretold is what is done, one after the other. */
static void test_forecast(void **state)
{
	struct chain_rig *g = *state;
	struct arena *a cleanup(arena_free_p) = arena_new();
	struct change_list l;
	struct chain_input in;

	chain_rig_ask(g);
	in = chain_rig_input(g);
	chain_forecast(&in, a, &l);
	assert_true(l.len > 10);
	for (size_t n = 0; n < l.len; n++) {
		const struct change *c;

		chain_rig_ask(g);
		c = chain_first_call(&g->list);
		assert_non_null(c);
		assert_int_equal(c->kind, l.items[n].kind);
		assert_string_equal(c->subject, l.items[n].subject);
		chain_rig_make(g, c, CHAIN_RIG_OK);
	}
	chain_rig_ask(g);
	assert_null(chain_first_call(&g->list));
}

int main(void)
{
#define rest(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define http(test) cmocka_unit_test_setup_teardown(test, setup_http, teardown)
	const struct CMUnitTest tests[] = {
	    rest(test_rest_from_nothing),
	    rest(test_deployment_and_stages),
	    rest(test_deployment_that_lacks),
	    rest(test_deployment_lost_answer),
	    rest(test_canary_stage),
	    rest(test_rest_integration_drift),
	    rest(test_api_names),
	    rest(test_rollout_after_api),
	    rest(test_permission_of_others),
	    rest(test_permission_mended),
	    rest(test_permission_unused),
	    rest(test_permission_limit),
	    rest(test_statement_id),
	    http(test_http_from_nothing),
	    http(test_http_auto_deploy),
	    http(test_http_without_auto_deploy),
	    http(test_http_idle_stage),
	    rest(test_answer_without_size),
	    rest(test_forecast),
	    http(test_forecast),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
