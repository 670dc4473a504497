/*
 * Looking at a function's chain: a sequence of reads, each decided by what the ones before it found.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "aws/apigateway.h"
#include "aws/lambda_chain.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/chain.h"

enum look {
	LOOK_FUNCTION,
	LOOK_VERSIONS,
	LOOK_NEWEST, /* its state, which lists leave out */
	LOOK_ALIASES,
	LOOK_POLICY, /* of each alias that a stage names */
	LOOK_CONCURRENCY,
	LOOK_APIS, /* by name */
	LOOK_API,  /* by id */
	LOOK_RESOURCES,
	LOOK_METHOD, /* an integration that the list did not tell */
	LOOK_ROUTES,
	LOOK_INTEGRATIONS,
	LOOK_STAGES,
	LOOK_DEPLOYMENTS,
	LOOK_DEPLOYMENT, /* of each declared stage */
	LOOK_END,
};

struct observation {
	struct engine *e;
	struct chain_place place;
	const struct service_spec *spec;
	struct observe_scope scope;
	observe_cb cb;
	void *arg;
	bool cancelled;
	struct chain_view view;
	enum look look;
	size_t index; /* of the alias, method or stage that is being looked at */
	unsigned pages;
	char position[APIGATEWAY_POSITION_SIZE];
};

static void submit(struct observation *o);

static void observation_free(struct observation *o)
{
	chain_view_deinit(&o->view);
	free(o);
}

static void end(struct observation *o, const struct aws_error *error, const char *operation)
{
	if (!o->cancelled)
		o->cb(o->arg, error ? NULL : &o->view, error, operation);
	observation_free(o);
}

bool observe_unsettled(const struct chain_view *v)
{
	const struct view_version *newest = chain_view_newest(v);

	if (!v->function_found)
		return false;
	return strcmp(v->latest.state, "Pending") == 0 || strcmp(v->latest.last_update_status, "InProgress") == 0 ||
	       (newest && strcmp(newest->state, "Pending") == 0);
}

/* --- which look comes next --- */

static bool wants_api(const struct observation *o)
{
	return o->spec->api.type != API_NONE && o->scope.aliases;
}

/* The policy of an alias is of interest if a stage names it and it exists. */
static bool wants_policy(const struct observation *o, size_t alias)
{
	const char *name = o->view.aliases[alias].name;

	for (size_t n = 0; n < o->spec->api.n_stages; n++) {
		if (strcmp(o->spec->aliases[o->spec->api.stages[n].alias].name, name) == 0)
			return true;
	}
	return false;
}

static bool is_declared_method(const struct service_api *api, const struct view_method *m)
{
	for (size_t n = 0; n < api->n_routes; n++) {
		if (strcmp(api->routes[n].method, m->verb) == 0 && strcmp(api->routes[n].path, m->path) == 0)
			return true;
	}
	return false;
}

/* The first of a kind from o->index on that is to be looked at; false: none. */
static bool find_policy(struct observation *o)
{
	while (wants_api(o) && o->index < o->view.n_aliases && !wants_policy(o, o->index))
		o->index++;
	return wants_api(o) && o->index < o->view.n_aliases;
}

static bool find_method(struct observation *o)
{
	const struct view_api *api = &o->view.api;

	while (o->index < api->n_methods &&
	       (api->methods[o->index].integration_type || !is_declared_method(&o->spec->api, &api->methods[o->index])))
		o->index++;
	return o->index < api->n_methods;
}

static const struct view_stage *stage_at(const struct observation *o)
{
	return chain_view_stage(&o->view, o->spec->api.stages[o->index].name);
}

/* Stages that share a deployment ask for it once. */
static bool deployment_was_read(const struct observation *o, const char *id)
{
	for (size_t n = 0; n < o->index; n++) {
		const struct view_stage *s = chain_view_stage(&o->view, o->spec->api.stages[n].name);

		if (s && s->deployment_id && strcmp(s->deployment_id, id) == 0)
			return true;
	}
	return false;
}

static bool find_deployment(struct observation *o)
{
	for (; o->index < o->spec->api.n_stages; o->index++) {
		const struct view_stage *s = stage_at(o);

		if (s && s->deployment_id && !deployment_was_read(o, s->deployment_id))
			return true;
	}
	return false;
}

/* Whether a look is of interest; o->index is where it begins. */
static bool applies(struct observation *o, enum look look)
{
	enum api_type type = o->spec->api.type;

	switch (look) {
	case LOOK_FUNCTION:
		return true;
	case LOOK_VERSIONS:
		return o->view.function_found;
	case LOOK_NEWEST:
		return chain_view_newest(&o->view) != NULL;
	case LOOK_ALIASES:
		return o->view.function_found && o->scope.aliases;
	case LOOK_POLICY:
		return find_policy(o);
	case LOOK_CONCURRENCY:
		return o->view.function_found && o->scope.concurrency;
	case LOOK_APIS:
		return wants_api(o) && !o->spec->api.id;
	case LOOK_API:
		return wants_api(o) && o->spec->api.id;
	case LOOK_RESOURCES:
		return o->view.api.found && type == API_REST;
	case LOOK_METHOD:
		return o->view.api.found && type == API_REST && find_method(o);
	case LOOK_ROUTES:
	case LOOK_INTEGRATIONS:
		return o->view.api.found && type == API_HTTP;
	case LOOK_STAGES:
		return o->view.api.found;
	case LOOK_DEPLOYMENTS:
		return o->view.api.found && o->scope.deployments;
	case LOOK_DEPLOYMENT:
		return o->view.api.found && type == API_REST && find_deployment(o);
	case LOOK_END:
		break;
	}
	return true;
}

static bool stops_here(const struct observation *o)
{
	bool last_of_code = o->look == LOOK_VERSIONS || o->look == LOOK_NEWEST;

	return o->scope.until_settled && last_of_code && observe_unsettled(&o->view);
}

static void next(struct observation *o)
{
	if (stops_here(o)) {
		end(o, NULL, NULL);
		return;
	}
	o->position[0] = '\0';
	o->pages = 0;
	do {
		o->look++;
		o->index = 0;
	} while (!applies(o, o->look));
	if (o->look == LOOK_END)
		end(o, NULL, NULL);
	else
		submit(o);
}

/* The same look for the next alias, method or stage. */
static void again(struct observation *o)
{
	o->index++;
	if (applies(o, o->look))
		submit(o);
	else
		next(o);
}

/* --- building --- */

static int build(void *arg, struct arena *a, const struct aws_endpoint *e, struct http_request *ret)
{
	const struct observation *o = arg;
	const struct view_api *api = &o->view.api;
	const char *position = o->position[0] ? o->position : NULL;
	const char *function = o->place.function;
	enum api_type type;
	char version[24];

	if (o->cancelled)
		return -ECANCELED; /* the owner, and what it lent, may be gone */
	type = o->spec->api.type;
	switch (o->look) {
	case LOOK_FUNCTION:
		lambda_build_get_function(a, e, function, NULL, ret);
		break;
	case LOOK_VERSIONS:
		lambda_build_list_versions(a, e, function, position, ret);
		break;
	case LOOK_NEWEST:
		version_format(chain_view_newest(&o->view)->number, version);
		lambda_build_get_function(a, e, function, version, ret);
		break;
	case LOOK_ALIASES:
		lambda_build_list_aliases(a, e, function, position, ret);
		break;
	case LOOK_POLICY:
		lambda_build_get_policy(a, e, function, o->view.aliases[o->index].name, ret);
		break;
	case LOOK_CONCURRENCY:
		lambda_build_list_concurrency(a, e, function, position, ret);
		break;
	case LOOK_API:
		apigateway_build_get_api(a, e, type, o->spec->api.id, ret);
		break;
	case LOOK_METHOD:
		apigateway_build_get_integration(a, e, api->id, api->methods[o->index].resource_id,
						 api->methods[o->index].verb, ret);
		break;
	case LOOK_DEPLOYMENT:
		apigateway_build_get_deployment(a, e, api->id, stage_at(o)->deployment_id, ret);
		break;
	case LOOK_APIS:
		apigateway_build_list(a, e, type, APIGATEWAY_APIS, NULL, position, ret);
		break;
	case LOOK_RESOURCES:
		apigateway_build_list(a, e, type, APIGATEWAY_RESOURCES, api->id, position, ret);
		break;
	case LOOK_ROUTES:
		apigateway_build_list(a, e, type, APIGATEWAY_ROUTES, api->id, position, ret);
		break;
	case LOOK_INTEGRATIONS:
		apigateway_build_list(a, e, type, APIGATEWAY_INTEGRATIONS, api->id, position, ret);
		break;
	case LOOK_STAGES:
		apigateway_build_list(a, e, type, APIGATEWAY_STAGES, api->id, position, ret);
		break;
	case LOOK_DEPLOYMENTS:
		apigateway_build_list(a, e, type, APIGATEWAY_DEPLOYMENTS, api->id, position, ret);
		break;
	case LOOK_END:
		break;
	}
	return 0;
}

static enum engine_operation operation(const struct observation *o)
{
	static const enum engine_operation operations[] = {
	    [LOOK_FUNCTION] = OPERATION_GET_FUNCTION,
	    [LOOK_VERSIONS] = OPERATION_LIST_VERSIONS,
	    [LOOK_NEWEST] = OPERATION_GET_FUNCTION,
	    [LOOK_ALIASES] = OPERATION_LIST_ALIASES,
	    [LOOK_POLICY] = OPERATION_GET_POLICY,
	    [LOOK_CONCURRENCY] = OPERATION_LIST_CONCURRENCY,
	    [LOOK_APIS] = OPERATION_GET_APIS,
	    [LOOK_API] = OPERATION_GET_API,
	    [LOOK_RESOURCES] = OPERATION_GET_RESOURCES,
	    [LOOK_METHOD] = OPERATION_GET_INTEGRATION,
	    [LOOK_ROUTES] = OPERATION_GET_ROUTES,
	    [LOOK_INTEGRATIONS] = OPERATION_GET_INTEGRATIONS,
	    [LOOK_STAGES] = OPERATION_GET_STAGES,
	    [LOOK_DEPLOYMENTS] = OPERATION_GET_DEPLOYMENTS,
	    [LOOK_DEPLOYMENT] = OPERATION_GET_DEPLOYMENT,
	};

	return operations[o->look];
}

/* --- answers --- */

/* The newest version's state, and why it is so, into its place in the view. */
static int take_newest(struct observation *o, const struct http_response *r, struct aws_error *problem)
{
	const struct view_version *newest = chain_view_newest(&o->view);
	struct lambda_function f;
	struct view_version *copy;

	if (lambda_parse_get_function(r, &f, problem) != 0)
		return 1;
	copy = arena_array(o->view.arena, o->view.n_versions, sizeof(*copy));
	memcpy(copy, o->view.versions, o->view.n_versions * sizeof(*copy));
	for (size_t n = 0; n < o->view.n_versions; n++) {
		if (copy[n].number != newest->number)
			continue;
		(void)text_copy(copy[n].state, sizeof(copy[n].state), f.state);
		(void)text_copy(copy[n].state_reason, sizeof(copy[n].state_reason), f.state_reason);
	}
	o->view.versions = copy;
	return 0;
}

static int take_policy(struct observation *o, const struct http_response *r, struct aws_error *problem)
{
	struct view_alias_entry *copy = arena_array(o->view.arena, o->view.n_aliases, sizeof(*copy));

	memcpy(copy, o->view.aliases, o->view.n_aliases * sizeof(*copy));
	copy[o->index].policy_read = true;
	if (r && lambda_parse_policy(r, copy[o->index].name, o->view.arena, &copy[o->index].policy, problem) != 0)
		return 1;
	o->view.aliases = copy;
	return 0;
}

static int parse(struct observation *o, const struct http_response *r, struct aws_error *problem)
{
	static const enum apigateway_list lists[] = {
	    [LOOK_APIS] = APIGATEWAY_APIS,     [LOOK_RESOURCES] = APIGATEWAY_RESOURCES,
	    [LOOK_ROUTES] = APIGATEWAY_ROUTES, [LOOK_INTEGRATIONS] = APIGATEWAY_INTEGRATIONS,
	    [LOOK_STAGES] = APIGATEWAY_STAGES, [LOOK_DEPLOYMENTS] = APIGATEWAY_DEPLOYMENTS,
	};
	enum api_type type = o->spec->api.type;
	const struct view_method *m;

	switch (o->look) {
	case LOOK_FUNCTION:
		return lambda_parse_function(r, &o->view, o->view.revision, problem);
	case LOOK_VERSIONS:
		return lambda_parse_versions(r, &o->view, o->position, sizeof(o->position), problem);
	case LOOK_NEWEST:
		return take_newest(o, r, problem);
	case LOOK_ALIASES:
		return lambda_parse_aliases(r, &o->view, o->position, sizeof(o->position), problem);
	case LOOK_POLICY:
		return take_policy(o, r, problem);
	case LOOK_CONCURRENCY:
		return lambda_parse_concurrencies(r, &o->view, o->position, sizeof(o->position), problem);
	case LOOK_API:
		return apigateway_parse_api(r, type, &o->view, problem);
	case LOOK_METHOD:
		m = &o->view.api.methods[o->index];
		return apigateway_parse_integration(r, m->resource_id, m->verb, &o->view, problem);
	case LOOK_DEPLOYMENT:
		return apigateway_parse_deployment(r, stage_at(o)->deployment_id, &o->view, problem);
	default:
		return apigateway_parse_list(r, type, lists[o->look], o->spec->api.name, &o->view, o->position,
					     sizeof(o->position), problem);
	}
}

/* An error that is an answer: what was looked for is not there, or the service cannot tell. */
static bool tolerate(struct observation *o, const struct aws_error *error)
{
	/* A 404 without a code of AWS's says nothing about what is there. */
	bool absent = error->class == AWS_NOT_FOUND;
	struct aws_error unused;

	switch (o->look) {
	case LOOK_FUNCTION:
	case LOOK_API:
	case LOOK_METHOD:
	case LOOK_DEPLOYMENT:
		return absent;
	case LOOK_POLICY:
		return absent && take_policy(o, NULL, &unused) == 0;
	case LOOK_CONCURRENCY: /* left unread: nothing depends on it but what is never deleted then */
		return error->status == 404 || error->class == AWS_DENIED || error->class == AWS_INVALID;
	default:
		return false;
	}
}

static bool is_per_item(enum look look)
{
	return look == LOOK_POLICY || look == LOOK_METHOD || look == LOOK_DEPLOYMENT;
}

static void answered(void *arg, const struct http_response *response, const struct aws_error *error)
{
	struct observation *o = arg;
	struct aws_error problem;

	o->e->calls_open--;
	if (o->cancelled || o->e->draining) {
		aws_error_transport(AWS_NO_CONNECTION, "rolloutd is shutting down", &problem);
		end(o, &problem, engine_operation_name(operation(o)));
		return;
	}
	if (error && !tolerate(o, error)) {
		end(o, error, engine_operation_name(operation(o)));
		return;
	}
	if (!error && parse(o, response, &problem) != 0) {
		end(o, &problem, engine_operation_name(operation(o)));
		return;
	}
	if (is_per_item(o->look)) {
		again(o);
	} else if (error || o->position[0] == '\0') {
		next(o);
	} else if (++o->pages < LIMIT_PAGES) {
		submit(o);
	} else {
		aws_error_transport(AWS_INVALID, "the list has more than 100 pages, the limit", &problem);
		end(o, &problem, engine_operation_name(operation(o)));
	}
}

static void submit(struct observation *o)
{
	struct dispatch_call call = {
	    .operation = operation(o),
	    .account = o->place.account,
	    .region = o->place.region,
	    .priority = o->scope.patient ? PRIORITY_PATIENT : PRIORITY_NORMAL,
	    .http_api = o->spec->api.type == API_HTTP,
	    .safe = true,
	    .build = build,
	    .done = answered,
	    .arg = o,
	};

	o->e->calls_open++;
	(void)dispatch_submit(o->e->dispatch, &call);
}

struct observation *observe_start(struct engine *e, const struct chain_place *place, const struct service_spec *spec,
				  const struct observe_scope *scope, observe_cb cb, void *arg)
{
	struct observation *o = mem_alloc(sizeof(*o));

	o->e = e;
	o->place = *place;
	o->spec = spec;
	o->scope = *scope;
	o->cb = cb;
	o->arg = arg;
	chain_view_init(&o->view);
	(void)text_copy(o->view.region, sizeof(o->view.region), place->region);
	submit(o);
	return o;
}

void observe_cancel(struct observation *o)
{
	if (o)
		o->cancelled = true;
}
