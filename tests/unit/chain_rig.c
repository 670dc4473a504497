#include "chain_rig.h"

#include <fnmatch.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/text.h"

#define CALLS_MAX 200

#define copy_text(out, s) assert_true(text_copy(out, sizeof(out), s))

/* --- building --- */

static const char *own(struct chain_rig *g, const char *s)
{
	return arena_strdup(g->strings, s);
}

static const char *draw_id(struct chain_rig *g, const char *prefix)
{
	return arena_printf(g->strings, "%s%u", prefix, ++g->next_id);
}

void chain_rig_init(struct chain_rig *g)
{
	*g = (struct chain_rig){.now_unix_ms = 1700000000000, .function_found = true, .next_version = 1};
	g->strings = arena_new();
	g->aliases[0] = (struct service_alias){.name = "dev", .follow = FOLLOW_HEAD};
	g->aliases[1] = (struct service_alias){.name = "test", .follow = FOLLOW_VERSION, .version = 1};
	g->aliases[2] = (struct service_alias){.name = "prod", .follow = FOLLOW_VERSION, .version = 2};
	g->routes[0] = (struct service_route){.method = "GET", .path = "/hello"};
	for (size_t n = 0; n < 3; n++)
		g->stages[n] = (struct service_stage){.name = g->aliases[n].name, .alias = n};
	g->spec = (struct service_spec){
	    .name = "hello",
	    .function = "hello",
	    .code = {.source = CODE_ZIP, .zip = "hello.zip"},
	    .aliases = g->aliases,
	    .n_aliases = 3,
	    .api = {.type = API_REST,
		    .name = "hello-api",
		    .stage_variable = "lambdaAlias",
		    .routes = g->routes,
		    .n_routes = 1,
		    .stages = g->stages,
		    .n_stages = 3},
	    .check_every_ms = 60000,
	};
	copy_text(g->code_sha256, "sha-two");
	chain_rig_add_version(g, "sha-one");
	chain_rig_add_version(g, "sha-two");
	copy_text(g->latest.code_sha256, "sha-two");
	copy_text(g->latest.config_digest, "config");
}

void chain_rig_deinit(struct chain_rig *g)
{
	chain_view_deinit(&g->view);
	arena_free(g->strings);
	arena_free(g->arena);
}

struct view_version *chain_rig_add_version(struct chain_rig *g, const char *sha256)
{
	assert_true(g->n_versions < array_len(g->versions));
	struct view_version *v = &g->versions[g->n_versions++];
	*v = (struct view_version){.number = g->next_version++};
	copy_text(v->code_sha256, sha256);
	copy_text(v->config_digest, "config");
	return v;
}

struct chain_rig_alias *chain_rig_add_alias(struct chain_rig *g, const char *name, uint64_t version)
{
	assert_true(g->n_alias < CHAIN_RIG_MAX);
	struct chain_rig_alias *a = &g->alias[g->n_alias++];
	*a = (struct chain_rig_alias){.view = {.target = {.version = version}}};
	copy_text(a->name, name);
	return a;
}

struct chain_rig_alias *chain_rig_alias(struct chain_rig *g, const char *name)
{
	for (size_t n = 0; n < g->n_alias; n++) {
		if (strcmp(g->alias[n].name, name) == 0)
			return &g->alias[n];
	}
	return NULL;
}

void chain_rig_allow(struct chain_rig *g, struct chain_rig_alias *a, const char *sid, const char *arn,
		     const char *account)
{
	(void)g;
	assert_true(a->n_statements < CHAIN_RIG_MAX);
	for (size_t n = 0; n < a->n_statements; n++)
		assert_string_not_equal(a->statements[n].sid, sid); /* AWS refuses it */
	struct chain_rig_statement *s = &a->statements[a->n_statements++];
	*s = (struct chain_rig_statement){.invokes = true};
	copy_text(s->sid, sid);
	copy_text(s->arn, arn);
	copy_text(s->account, account);
}

struct chain_rig_stage *chain_rig_stage(struct chain_rig *g, const char *name)
{
	for (size_t n = 0; n < g->n_stage; n++) {
		if (strcmp(g->stage[n].name, name) == 0)
			return &g->stage[n];
	}
	return NULL;
}

/* --- looking --- */

static void look_aliases(const struct chain_rig *g, struct chain_view *v)
{
	struct view_alias_entry *entries = arena_array(v->arena, CHAIN_RIG_MAX, sizeof(*entries));

	for (size_t n = 0; n < g->n_alias; n++) {
		const struct chain_rig_alias *a = &g->alias[n];
		struct view_statement *s = arena_array(v->arena, CHAIN_RIG_MAX, sizeof(*s));
		size_t bytes = a->bytes;
		for (size_t k = 0; k < a->n_statements; k++) {
			const struct chain_rig_statement *from = &a->statements[k];
			s[k] = (struct view_statement){
			    .sid = arena_strdup(v->arena, from->sid),
			    .invokes = from->invokes,
			    .source_arn = from->arn[0] ? arena_strdup(v->arena, from->arn) : NULL,
			    .source_account = from->account[0] ? arena_strdup(v->arena, from->account) : NULL};
			bytes += 300;
		}
		entries[n] = (struct view_alias_entry){
		    .name = arena_strdup(v->arena, a->name),
		    .view = a->view,
		    .policy_read = !a->unread,
		    .policy = {.statements = s, .n_statements = a->n_statements, .bytes = bytes}};
	}
	v->aliases = entries;
	v->n_aliases = g->n_alias;
}

static const char *text_or_null(struct chain_view *v, const char *s)
{
	return s[0] ? arena_strdup(v->arena, s) : NULL;
}

static void look_methods(const struct chain_rig *g, struct chain_view *v)
{
	struct view_method *methods = arena_array(v->arena, CHAIN_RIG_MAX, sizeof(*methods));

	for (size_t n = 0; n < g->n_method; n++) {
		const struct chain_rig_method *m = &g->method[n];
		methods[n] = (struct view_method){.resource_id = text_or_null(v, m->resource),
						  .route_id = text_or_null(v, m->route),
						  .path = arena_strdup(v->arena, m->path),
						  .verb = arena_strdup(v->arena, m->verb),
						  .integration_id = text_or_null(v, m->integration),
						  .integration_type = text_or_null(v, m->type),
						  .uri = text_or_null(v, m->uri),
						  .called_by = text_or_null(v, m->called_by)};
	}
	v->api.methods = methods;
	v->api.n_methods = g->n_method;
}

/* As a look does: those that declared stages have; all when a deployment is due. */
static bool is_read(const struct chain_rig *g, const struct chain_rig_deployment *x)
{
	if (g->memory.deploy)
		return true;
	for (size_t n = 0; n < g->n_stage; n++) {
		if (strcmp(g->stage[n].deployment, x->id) == 0)
			return true;
	}
	return false;
}

static void look_deployments(const struct chain_rig *g, struct chain_view *v)
{
	struct view_deployment *all = arena_array(v->arena, array_len(g->deployment), sizeof(*all));

	v->api.n_deployments = 0;
	for (size_t n = 0; n < g->n_deployment; n++) {
		const struct chain_rig_deployment *x = &g->deployment[n];
		const char **routes = arena_array(v->arena, CHAIN_RIG_MAX, sizeof(*routes));
		if (!is_read(g, x))
			continue;
		for (size_t k = 0; k < x->n_routes; k++)
			routes[k] = arena_strdup(v->arena, x->routes[k]);
		all[v->api.n_deployments++] =
		    (struct view_deployment){.id = arena_strdup(v->arena, x->id),
					     .description = arena_strdup(v->arena, x->description),
					     .summary_read = !x->unread,
					     .routes = routes,
					     .n_routes = x->n_routes};
	}
	v->api.deployments = all;
}

static void look_stages(const struct chain_rig *g, struct chain_view *v)
{
	struct view_stage *stages = arena_array(v->arena, CHAIN_RIG_MAX, sizeof(*stages));

	for (size_t n = 0; n < g->n_stage; n++) {
		const struct chain_rig_stage *s = &g->stage[n];
		struct view_variable *variables = arena_array(v->arena, 4, sizeof(*variables));
		for (size_t k = 0; k < s->n_variables; k++)
			variables[k] = (struct view_variable){arena_strdup(v->arena, s->variables[k][0]),
							      arena_strdup(v->arena, s->variables[k][1])};
		stages[n] = (struct view_stage){.name = arena_strdup(v->arena, s->name),
						.deployment_id = text_or_null(v, s->deployment),
						.variables = variables,
						.n_variables = s->n_variables,
						.canary = s->canary,
						.auto_deploy = s->auto_deploy};
	}
	v->api.stages = stages;
	v->api.n_stages = g->n_stage;
}

static void look_api(const struct chain_rig *g, struct chain_view *v)
{
	v->api.found = g->api_found;
	v->api.n_same_name = g->n_same_name;
	if (!g->api_found)
		return;
	copy_text(v->api.id, g->api_id);
	if (g->spec.api.type == API_REST && !g->root_unread)
		v->api.root_id = arena_strdup(v->arena, g->resource[0].id);
	struct view_resource *resources = arena_array(v->arena, CHAIN_RIG_MAX, sizeof(*resources));
	memcpy(resources, g->resource, sizeof(g->resource));
	v->api.resources = resources;
	v->api.n_resources = g->n_resource;
	struct view_integration *integrations = arena_array(v->arena, CHAIN_RIG_MAX, sizeof(*integrations));
	memcpy(integrations, g->integration, sizeof(g->integration));
	v->api.integrations = integrations;
	v->api.n_integrations = g->n_integration;
	look_methods(g, v);
	look_deployments(g, v);
	look_stages(g, v);
}

static void settle(struct view_version *v)
{
	if (strcmp(v->state, "Pending") == 0)
		copy_text(v->state, "Active");
	if (strcmp(v->last_update_status, "InProgress") == 0)
		copy_text(v->last_update_status, "Successful");
}

void chain_rig_look(struct chain_rig *g)
{
	struct chain_view *v = &g->view;

	chain_view_deinit(v);
	chain_view_init(v);
	copy_text(v->region, "us-east-1");
	v->function_found = g->function_found;
	if (g->function_found) {
		copy_text(v->partition, "aws");
		copy_text(v->account_id, CHAIN_RIG_ACCOUNT);
		v->latest = g->latest;
		struct view_version *versions = arena_array(v->arena, array_len(g->versions), sizeof(*versions));
		memcpy(versions, g->versions, sizeof(g->versions));
		v->versions = versions;
		v->n_versions = g->n_versions;
		look_aliases(g, v);
		v->concurrency_read = !g->concurrency_unread;
		v->concurrency = arena_alloc(v->arena, sizeof(g->concurrency));
		memcpy((void *)v->concurrency, g->concurrency, sizeof(g->concurrency));
		v->n_concurrency = g->n_concurrency;
	}
	look_api(g, v);
	if (g->slow) {
		settle(&g->latest);
		for (size_t n = 0; n < g->n_versions; n++)
			settle(&g->versions[n]);
	}
}

struct chain_input chain_rig_input(const struct chain_rig *g)
{
	struct chain_input in = {.spec = &g->spec,
				 .view = &g->view,
				 .memory = &g->memory,
				 .code_problem = g->code_problem,
				 .kept_versions = g->kept,
				 .n_kept_versions = g->n_kept,
				 .now_unix_ms = g->now_unix_ms};

	copy_text(in.code_sha256, g->code_sha256);
	return in;
}

void chain_rig_diff(struct chain_rig *g)
{
	struct chain_input in = chain_rig_input(g);

	arena_free(g->arena);
	g->arena = arena_new();
	chain_diff(&in, g->arena, &g->list);
}

void chain_rig_ask(struct chain_rig *g)
{
	chain_rig_look(g);
	struct chain_input in = chain_rig_input(g);
	(void)chain_remember_seen(&in, &g->memory);
	assert_false(chain_remember_seen(&in, &g->memory)); /* the same look shows nothing new */
	chain_rig_diff(g);
}

/* --- making changes --- */

static bool admits(const struct chain_rig *g, const struct chain_rig_alias *a, const char *stage)
{
	/* A request as API Gateway makes it, compared by the C library's own matching. */
	char request[CHAIN_RIG_TEXT];
	snprintf(request, sizeof(request), "arn:aws:execute-api:us-east-1:" CHAIN_RIG_ACCOUNT ":%s/%s/GET/some/path",
		 g->api_id, stage);
	for (size_t n = 0; n < a->n_statements; n++) {
		const struct chain_rig_statement *s = &a->statements[n];
		if (s->invokes && (s->arn[0] == '\0' || fnmatch(s->arn, request, 0) == 0) &&
		    (s->account[0] == '\0' || strcmp(s->account, CHAIN_RIG_ACCOUNT) == 0))
			return true;
	}
	return false;
}

static const char *variable(const struct chain_rig_stage *s, const char *name)
{
	for (size_t n = 0; n < s->n_variables; n++) {
		if (strcmp(s->variables[n][0], name) == 0)
			return s->variables[n][1];
	}
	return "";
}

static void set_variable(const struct chain_rig *g, const struct change *c, struct chain_rig_stage *s)
{
	const char *alias = g->aliases[g->stages[c->index].alias].name;
	size_t n = 0;

	while (n < s->n_variables && strcmp(s->variables[n][0], g->spec.api.stage_variable) != 0)
		n++;
	assert_true(n < 4);
	copy_text(s->variables[n][0], g->spec.api.stage_variable);
	copy_text(s->variables[n][1], alias);
	if (n == s->n_variables)
		s->n_variables++;
}

static const struct chain_rig_deployment *deployment(const struct chain_rig *g, const char *id)
{
	for (size_t n = 0; n < g->n_deployment; n++) {
		if (strcmp(g->deployment[n].id, id) == 0)
			return &g->deployment[n];
	}
	return NULL;
}

static struct chain_rig_method *method(struct chain_rig *g, const struct service_route *r)
{
	for (size_t n = 0; n < g->n_method; n++) {
		if (strcmp(g->method[n].verb, r->method) == 0 && strcmp(g->method[n].path, r->path) == 0)
			return &g->method[n];
	}
	return NULL;
}

static struct chain_rig_method *add_method(struct chain_rig *g, const struct service_route *r)
{
	assert_null(method(g, r)); /* AWS refuses it */
	assert_true(g->n_method < CHAIN_RIG_MAX);
	struct chain_rig_method *m = &g->method[g->n_method++];
	*m = (struct chain_rig_method){0};
	copy_text(m->verb, r->method);
	copy_text(m->path, r->path);
	return m;
}

static void make_function(struct chain_rig *g, const struct change *c, struct change_answer *answer)
{
	if (c->kind == CHANGE_CREATE_FUNCTION) {
		assert_false(g->function_found);
		g->function_found = true;
		copy_text(g->latest.config_digest, "config");
		copy_text(g->latest.state, g->slow ? "Pending" : "Active");
	} else if (c->kind == CHANGE_UPDATE_CODE) {
		assert_string_not_equal(g->latest.last_update_status, "InProgress");
		copy_text(g->latest.last_update_status, g->slow ? "InProgress" : "Successful");
	}
	if (c->kind != CHANGE_PUBLISH_VERSION) {
		copy_text(g->latest.code_sha256, g->spec.code.source == CODE_ZIP ? g->code_sha256 : c->to);
		answer->version = g->latest;
		answer->version.config_digest[0] = '\0'; /* its form is that of lists */
		return;
	}
	assert_string_equal(c->key, g->latest.code_sha256); /* the guard */
	struct view_version *v = chain_rig_add_version(g, g->latest.code_sha256);
	assert_true(v->number > c->version);
	copy_text(v->config_digest, g->latest.config_digest);
	copy_text(v->state, g->slow ? "Pending" : "Active");
	answer->version = *v;
	answer->version.config_digest[0] = '\0';
}

static void delete_version(struct chain_rig *g, uint64_t number)
{
	size_t len = 0;

	for (size_t n = 0; n < g->n_alias; n++)
		assert_true(g->alias[n].view.target.version != number); /* AWS refuses it */
	for (size_t n = 0; n < g->n_versions; n++) {
		if (g->versions[n].number != number)
			g->versions[len++] = g->versions[n];
	}
	assert_int_equal(len + 1, g->n_versions);
	g->n_versions = len;
}

static void make_alias(struct chain_rig *g, const struct change *c, struct change_answer *answer)
{
	struct chain_rig_alias *a = chain_rig_alias(g, c->key);
	bool exists = c->version == VERSION_LATEST;

	for (size_t n = 0; n < g->n_versions; n++)
		exists = exists || g->versions[n].number == c->version;
	assert_true(exists);
	if (c->kind == CHANGE_CREATE_ALIAS) {
		assert_null(a);
		a = chain_rig_add_alias(g, c->key, c->version);
	} else {
		assert_non_null(a);
		assert_true(c->kind == CHANGE_MOVE_ALIAS ||
			    (c->version != VERSION_LATEST && a->view.target.version != VERSION_LATEST));
		a->view.target = (struct alias_target){.version = c->version};
	}
	answer->alias = a->view;
}

static void make_permission(struct chain_rig *g, const struct change *c, struct change_answer *answer)
{
	if (c->kind == CHANGE_ADD_PERMISSION) {
		const struct service_stage *s = &g->stages[c->index];
		chain_rig_allow(g, chain_rig_alias(g, g->aliases[s->alias].name), c->key, c->to, CHAIN_RIG_ACCOUNT);
		assert_true(admits(g, chain_rig_alias(g, g->aliases[s->alias].name), s->name));
		answer->statement_bytes = 299;
		return;
	}
	struct chain_rig_alias *a = chain_rig_alias(g, g->aliases[c->index].name);
	struct chain_rig_alias before = *a;
	size_t len = 0;
	for (size_t n = 0; n < a->n_statements; n++) {
		if (strcmp(before.statements[n].sid, c->key) != 0)
			a->statements[len++] = before.statements[n];
	}
	assert_int_equal(len + 1, a->n_statements);
	a->n_statements = len;
	/* Nobody who was let in is shut out. */
	for (size_t n = 0; n < g->n_stage; n++) {
		if (strcmp(variable(&g->stage[n], g->spec.api.stage_variable), a->name) == 0)
			assert_true(!admits(g, &before, g->stage[n].name) || admits(g, a, g->stage[n].name));
	}
}

static void make_resource(struct chain_rig *g, const struct change *c, const char *id)
{
	bool parent = false;

	for (size_t n = 0; n < g->n_resource; n++) {
		assert_string_not_equal(g->resource[n].path, c->key); /* AWS refuses it */
		parent = parent || strcmp(g->resource[n].id, c->parent) == 0;
	}
	assert_true(parent && text_ends_with(c->key, c->to) && g->n_resource < CHAIN_RIG_MAX);
	g->resource[g->n_resource++] =
	    (struct view_resource){.id = id, .parent_id = own(g, c->parent), .path = own(g, c->key)};
}

static void make_route(struct chain_rig *g, const struct change *c, const char *id)
{
	const struct service_route *r = &g->routes[c->index];
	struct chain_rig_method *m;

	switch (c->kind) {
	case CHANGE_CREATE_RESOURCE:
		make_resource(g, c, id);
		return;
	case CHANGE_CREATE_INTEGRATION:
		assert_true(g->n_integration < CHAIN_RIG_MAX);
		g->integration[g->n_integration++] = (struct view_integration){id, "AWS_PROXY", own(g, c->to)};
		return;
	case CHANGE_PUT_METHOD:
		m = add_method(g, r);
		copy_text(m->resource, c->parent);
		return;
	case CHANGE_PUT_INTEGRATION:
		m = method(g, r);
		assert_non_null(m);
		assert_string_equal(m->resource, c->parent);
		break;
	case CHANGE_CREATE_ROUTE:
		m = add_method(g, r);
		copy_text(m->route, id);
		copy_text(m->integration, c->parent);
		break;
	default:
		m = method(g, r);
		assert_non_null(m);
		assert_string_equal(m->route, c->id);
		copy_text(m->integration, c->parent);
	}
	copy_text(m->type, "AWS_PROXY");
	copy_text(m->uri, chain_integration_uri(g->strings, &g->spec, &g->view));
	copy_text(m->called_by, "POST");
	/* Stages that deploy by themselves serve it from now on. */
	for (size_t n = 0; n < g->spec.api.n_stages; n++) {
		const struct chain_rig_stage *s = chain_rig_stage(g, g->stages[n].name);
		const struct chain_rig_alias *a = chain_rig_alias(g, g->aliases[g->stages[n].alias].name);
		if (s && s->auto_deploy)
			assert_true(a && admits(g, a, s->name) &&
				    strcmp(variable(s, g->spec.api.stage_variable), a->name) == 0);
	}
}

static void make_deployment(struct chain_rig *g, const struct change *c, const char *id)
{
	assert_true(g->n_deployment < array_len(g->deployment));
	struct chain_rig_deployment *x = &g->deployment[g->n_deployment++];
	*x = (struct chain_rig_deployment){0};
	copy_text(x->id, id);
	copy_text(x->description, c->key);
	for (size_t n = 0; n < g->n_method; n++) {
		assert_string_not_equal(g->method[n].uri, ""); /* AWS refuses it */
		snprintf(x->routes[x->n_routes++], CHAIN_RIG_TEXT, "%.64s %.128s", g->method[n].verb,
			 g->method[n].path);
	}
}

static void make_stage(struct chain_rig *g, const struct change *c)
{
	const char *alias = g->aliases[g->stages[c->index].alias].name;
	struct chain_rig_stage *s = chain_rig_stage(g, c->key);

	if (c->kind == CHANGE_CREATE_STAGE) {
		assert_null(s);
		assert_true(g->n_stage < CHAIN_RIG_MAX);
		s = &g->stage[g->n_stage++];
		*s = (struct chain_rig_stage){.auto_deploy = !c->parent};
		copy_text(s->name, c->key);
		assert_true(c->parent || g->spec.api.type == API_HTTP);
	}
	assert_non_null(s);
	if (c->parent) {
		assert_false(s->canary);
		assert_non_null(deployment(g, c->parent));
		copy_text(s->deployment, c->parent);
	}
	set_variable(g, c, s);
	assert_non_null(chain_rig_alias(g, alias));
	assert_true(admits(g, chain_rig_alias(g, alias), s->name));
}

static void make_api(struct chain_rig *g, const char *id)
{
	assert_false(g->api_found);
	assert_int_equal(g->n_same_name, 0);
	g->api_found = true;
	g->n_same_name = 1;
	copy_text(g->api_id, id);
	g->resource[0] = (struct view_resource){.id = draw_id(g, "root"), .path = "/"};
	g->n_resource = 1;
	g->n_method = g->n_integration = g->n_deployment = g->n_stage = 0;
}

static void make_on_model(struct chain_rig *g, const struct change *c, struct change_answer *answer)
{
	answer->id = draw_id(g, "id");
	if (c->kind <= CHANGE_PUBLISH_VERSION) {
		make_function(g, c, answer);
	} else if (c->kind == CHANGE_CREATE_ALIAS || c->kind == CHANGE_MOVE_ALIAS || c->kind == CHANGE_ROLLOUT) {
		make_alias(g, c, answer);
	} else if (c->kind == CHANGE_CREATE_API) {
		make_api(g, answer->id);
		answer->root_id = g->resource[0].id;
	} else if (c->kind == CHANGE_ADD_PERMISSION || c->kind == CHANGE_REMOVE_PERMISSION) {
		make_permission(g, c, answer);
	} else if (c->kind == CHANGE_CREATE_DEPLOYMENT) {
		make_deployment(g, c, answer->id);
	} else if (c->kind == CHANGE_CREATE_STAGE || c->kind == CHANGE_UPDATE_STAGE) {
		make_stage(g, c);
	} else if (c->kind == CHANGE_DELETE_VERSION) {
		delete_version(g, c->version);
	} else {
		make_route(g, c, answer->id);
	}
}

static void make_rollout(struct chain_rig *g, const struct change *c)
{
	struct chain_input in = chain_rig_input(g);
	struct change_answer answer = {0};

	chain_remember_after(&in, c, NULL, &g->memory);
	assert_true(g->memory.aliases[c->index].rollout_live);
	make_on_model(g, c, &answer);
	g->memory.aliases[c->index].rollout_live = false; /* it has succeeded */
}

void chain_rig_make(struct chain_rig *g, const struct change *c, enum chain_rig_fate fate)
{
	struct change_answer answer = {0};

	g->calls++;
	if (c->kind == CHANGE_ROLLOUT) {
		make_rollout(g, c);
		return;
	}
	chain_remember_before(c, &g->memory);
	if (fate != CHAIN_RIG_LOST_BEFORE)
		make_on_model(g, c, &answer);
	if (fate != CHAIN_RIG_OK)
		return;
	chain_apply(&g->spec, c, &answer, &g->view);
	struct chain_input in = chain_rig_input(g);
	chain_remember_after(&in, c, answer.id, &g->memory);
}

void chain_rig_insist(struct chain_rig *g)
{
	g->memory.insist = true;
	g->memory.code_done = false;
	for (size_t n = 0; n < LIMIT_SERVICE_ALIASES; n++)
		g->memory.aliases[n].insisted = false;
}

const struct change *chain_rig_next(const struct chain_rig *g)
{
	for (size_t n = 0; n < g->list.len; n++) {
		if (CHANGE_IS_CALL(g->list.items[n].kind) || g->list.items[n].kind == CHANGE_ROLLOUT)
			return &g->list.items[n];
	}
	return NULL;
}

unsigned chain_rig_run(struct chain_rig *g)
{
	unsigned before = g->calls;

	chain_rig_ask(g);
	for (const struct change *c = chain_rig_next(g); c; c = chain_rig_next(g)) {
		if (g->calls - before > CALLS_MAX)
			fail_msg("no end:\n%s", chain_rig_text(g));
		bool rollout = c->kind == CHANGE_ROLLOUT;
		chain_rig_make(g, c, CHAIN_RIG_OK);
		if (rollout)
			chain_rig_ask(g);
		else
			chain_rig_diff(g);
	}
	return g->calls - before;
}

/* --- what the list says --- */

const struct change *chain_rig_only(const struct chain_rig *g, enum change_kind kind)
{
	const struct change *found = NULL;

	for (size_t n = 0; n < g->list.len; n++) {
		if (g->list.items[n].kind != kind)
			continue;
		if (found)
			fail_msg("more than one %s:\n%s", change_kind_name(kind), chain_rig_text(g));
		found = &g->list.items[n];
	}
	return found;
}

const struct change *chain_rig_about(const struct chain_rig *g, enum change_kind kind, const char *subject)
{
	for (size_t n = 0; n < g->list.len; n++) {
		if (g->list.items[n].kind == kind && strcmp(g->list.items[n].subject, subject) == 0)
			return &g->list.items[n];
	}
	return NULL;
}

const char *chain_rig_text(const struct chain_rig *g)
{
	cleanup(buf_deinit) struct buf b = BUF_INIT(1 << 16);

	for (size_t n = 0; n < g->list.len; n++) {
		char text[1024];
		change_format(&g->list.items[n], text, sizeof(text));
		buf_addf(&b, "%s %s\n", change_kind_name(g->list.items[n].kind), text);
	}
	return arena_strdup(g->arena, buf_text(&b));
}
