/*
 * Answers of API Gateway, read into the view. REST APIs call a list `item`, HTTP APIs `items`; either is taken from
 * both. The view changes only when all of an answer was understood; what was read until then stays in its arena.
 */
#include <string.h>

#include "aws/answer.h"
#include "aws/apigateway.h"
#include "base/text.h"

#define ID_MAX	  (API_ID_SIZE - 1)
#define VERB_MAX  32
#define TARGET	  "integrations/"
#define VALUE_MAX 2048 /* AWS's own limits are lower: 512 for a variable, 1,024 for a description */

/* What the parsers of elements share: where texts go, and what an element is called in the API's type. */
struct reader {
	struct arena *arena;
	enum api_type type;
	const char *api_name; /* of a list of APIs; NULL: none is taken */
};

static const char *id_key(const struct reader *rd, const char *http_key)
{
	return rd->type == API_REST ? "id" : http_key;
}

/* --- APIs --- */

static bool take_api(const struct reader *rd, const json_t *json, struct view_api *api)
{
	struct view_api taken = *api;
	if (!json_copy_text(json, id_key(rd, "apiId"), true, taken.id, sizeof(taken.id)) ||
	    !chain_view_is_api_id(taken.id) || !json_copy_text(json, "name", true, taken.name, sizeof(taken.name)) ||
	    !answer_text(rd->arena, json, "rootResourceId", false, ID_MAX, &taken.root_id))
		return false;
	/* An earlier answer may have told what this one leaves out. */
	if (!taken.root_id)
		taken.root_id = api->root_id;
	taken.found = true;
	*api = taken;
	return true;
}

static const char *read_apis(const struct reader *rd, const json_t *items, struct view_api *api)
{
	size_t i;
	json_t *item;
	json_array_foreach(items, i, item)
	{
		const char *name = json_string_value(json_object_get(item, "name"));
		const char *protocol = json_string_value(json_object_get(item, "protocolType"));
		if (!name)
			return "an API has a name";
		/* WebSocket APIs are in the same list. */
		if (rd->type == API_HTTP && (!protocol || strcmp(protocol, "HTTP") != 0))
			continue;
		if (!rd->api_name || strcmp(name, rd->api_name) != 0)
			continue;
		if (api->n_same_name++ == 0 && !take_api(rd, item, api))
			return "an API has an id of at most 63 characters";
	}
	return NULL;
}

int apigateway_parse_api(const struct http_response *r, enum api_type type, struct chain_view *v,
			 struct aws_error *ret_error)
{
	json_t *root cleanup(json_decref_p) = json_from_answer(r, ret_error);
	if (!root)
		return 1;
	const struct reader rd = {.arena = v->arena, .type = type};
	const char *protocol = json_string_value(json_object_get(root, "protocolType"));
	if (type == API_HTTP && protocol && strcmp(protocol, "HTTP") != 0)
		return answer_malformed(r, "the API of that id is a WebSocket API, not an HTTP API", ret_error);
	if (!take_api(&rd, root, &v->api))
		return answer_malformed(r, "an API has an id of at most 63 characters, and a name", ret_error);
	v->api.n_same_name = 1;
	return 0;
}

/* --- REST: resources with their methods --- */

static bool read_integration(const struct reader *rd, const json_t *json, struct view_method *m)
{
	return answer_text(rd->arena, json, "type", false, VERB_MAX, &m->integration_type) &&
	       answer_text(rd->arena, json, "uri", false, LIMIT_URL, &m->uri) &&
	       answer_text(rd->arena, json, "httpMethod", false, VERB_MAX, &m->called_by);
}

/* A service that does not embed integrations leaves the type NULL: the caller asks for each. */
static bool read_methods(const struct reader *rd, const json_t *methods, const struct view_resource *resource,
			 struct view_method *all, size_t *n)
{
	const char *verb;
	json_t *value;
	json_object_foreach((json_t *)methods, verb, value)
	{
		const json_t *integration = NULL;
		struct view_method m = {.resource_id = resource->id, .path = resource->path};
		if (strlen(verb) == 0 || strlen(verb) > VERB_MAX || (!json_is_object(value) && !json_is_null(value)) ||
		    !answer_object(value, "methodIntegration", &integration) || !read_integration(rd, integration, &m))
			return false;
		m.verb = arena_strdup(rd->arena, verb);
		all[(*n)++] = m;
	}
	return true;
}

static const char *read_resources(const struct reader *rd, const json_t *items, struct view_api *api)
{
	size_t n_methods = 0;
	size_t i;
	json_t *item;
	json_array_foreach(items, i, item) n_methods += json_object_size(json_object_get(item, "resourceMethods"));
	struct view_resource *resources =
	    answer_extend(rd->arena, api->resources, api->n_resources, json_array_size(items), sizeof(*resources));
	struct view_method *methods =
	    answer_extend(rd->arena, api->methods, api->n_methods, n_methods, sizeof(*methods));
	if (!resources || !methods)
		return "an API has at most 20,000 resources and as many methods here";
	json_array_foreach(items, i, item)
	{
		struct view_resource *resource = &resources[api->n_resources + i];
		const json_t *of_resource;
		if (!answer_text(rd->arena, item, "id", true, ID_MAX, &resource->id) ||
		    !answer_text(rd->arena, item, "parentId", false, ID_MAX, &resource->parent_id) ||
		    !answer_text(rd->arena, item, "path", true, LIMIT_URL, &resource->path))
			return "a resource has an id and a path";
		if (!answer_object(item, "resourceMethods", &of_resource) ||
		    !read_methods(rd, of_resource, resource, methods, &api->n_methods))
			return "a resource's methods are objects by verb, with a methodIntegration of texts";
		if (strcmp(resource->path, "/") == 0)
			api->root_id = resource->id;
	}
	api->resources = resources;
	api->n_resources += json_array_size(items);
	api->methods = methods;
	return NULL;
}

int apigateway_parse_integration(const struct http_response *r, const char *resource_id, const char *verb,
				 struct chain_view *v, struct aws_error *ret_error)
{
	json_t *root cleanup(json_decref_p) = json_from_answer(r, ret_error);
	if (!root)
		return 1;
	const struct reader rd = {.arena = v->arena, .type = API_REST};
	struct view_method read = {0};
	/* Without a type there is none: what stands in for AWS says so with an empty object instead of a 404. */
	if (!read_integration(&rd, root, &read))
		return answer_malformed(r, "an integration's type, uri and httpMethod are text", ret_error);
	struct view_method *all = answer_extend(v->arena, v->api.methods, v->api.n_methods, 0, sizeof(*all));
	for (size_t i = 0; i < v->api.n_methods; i++)
		if (all[i].resource_id && strcmp(all[i].resource_id, resource_id) == 0 &&
		    strcmp(all[i].verb, verb) == 0) {
			all[i].integration_type = read.integration_type;
			all[i].uri = read.uri;
			all[i].called_by = read.called_by;
		}
	v->api.methods = all;
	return 0;
}

/* --- HTTP: routes and integrations --- */

/* "GET /hello"; "$default", which is everything that no other route takes, has no path. */
static bool read_route_key(const struct reader *rd, const char *key, struct view_method *m)
{
	const char *space = strchr(key, ' ');
	size_t len = space ? (size_t)(space - key) : strlen(key);
	if (len == 0 || len > VERB_MAX)
		return false;
	m->verb = arena_strndup(rd->arena, key, len);
	m->path = space ? space + 1 : "";
	return true;
}

static const char *read_routes(const struct reader *rd, const json_t *items, struct view_api *api)
{
	struct view_method *methods =
	    answer_extend(rd->arena, api->methods, api->n_methods, json_array_size(items), sizeof(*methods));
	if (!methods)
		return "an API has at most 20,000 routes here";
	size_t i;
	json_t *item;
	json_array_foreach(items, i, item)
	{
		struct view_method *m = &methods[api->n_methods + i];
		const char *key;
		const char *target;
		if (!answer_text(rd->arena, item, "routeId", true, ID_MAX, &m->route_id) ||
		    !answer_text(rd->arena, item, "routeKey", true, LIMIT_URL, &key) || !read_route_key(rd, key, m))
			return "a route has a routeId, and a routeKey of a verb and a path";
		if (!answer_text(rd->arena, item, "target", false, sizeof(TARGET) + ID_MAX, &target))
			return "a route's target is text";
		if (target && text_starts_with(target, TARGET))
			m->integration_id = target + strlen(TARGET);
	}
	api->methods = methods;
	api->n_methods += json_array_size(items);
	return NULL;
}

static const char *read_integrations(const struct reader *rd, const json_t *items, struct view_api *api)
{
	struct view_integration *all =
	    answer_extend(rd->arena, api->integrations, api->n_integrations, json_array_size(items), sizeof(*all));
	if (!all)
		return "an API has at most 20,000 integrations here";
	size_t i;
	json_t *item;
	json_array_foreach(items, i, item)
	{
		struct view_integration *integration = &all[api->n_integrations + i];
		if (!answer_text(rd->arena, item, "integrationId", true, ID_MAX, &integration->id) ||
		    !answer_text(rd->arena, item, "integrationType", true, VERB_MAX, &integration->type) ||
		    !answer_text(rd->arena, item, "integrationUri", false, LIMIT_URL, &integration->uri))
			return "an integration has an integrationId and an integrationType, its integrationUri is text";
	}
	api->integrations = all;
	api->n_integrations += json_array_size(items);
	return NULL;
}

/* Routes name their integrations, which come with other pages: before or after. */
static void join_integrations(const struct reader *rd, struct view_api *api)
{
	struct view_method *methods = answer_extend(rd->arena, api->methods, api->n_methods, 0, sizeof(*methods));
	for (size_t i = 0; i < api->n_methods; i++)
		for (size_t k = 0; methods[i].integration_id && k < api->n_integrations; k++)
			if (strcmp(api->integrations[k].id, methods[i].integration_id) == 0) {
				methods[i].integration_type = api->integrations[k].type;
				methods[i].uri = api->integrations[k].uri;
				break;
			}
	api->methods = methods;
}

/* --- deployments --- */

static bool read_description(const struct reader *rd, const json_t *json, const char **ret)
{
	const json_t *value = json_object_get(json, "description");
	char shown[VALUE_MAX];
	if (!answer_copy_reason(json, "description", shown, sizeof(shown)))
		return false;
	*ret = json_is_string(value) ? arena_strdup(rd->arena, shown) : "";
	return true;
}

/* {"/hello": {"GET": {…}}} as "GET /hello". */
static bool read_summary(const struct reader *rd, const json_t *summary, struct view_deployment *d)
{
	size_t n = 0;
	const char *path;
	json_t *methods;
	json_object_foreach((json_t *)summary, path, methods)
	{
		if (!json_is_object(methods))
			return false;
		n += json_object_size(methods);
	}
	const char **routes = answer_extend(rd->arena, NULL, 0, n, sizeof(*routes));
	if (!routes)
		return false;
	json_object_foreach((json_t *)summary, path, methods)
	{
		const char *verb;
		json_t *ignored;
		json_object_foreach(methods, verb, ignored)
		{
			if (strlen(path) > LIMIT_URL || strlen(verb) > VERB_MAX)
				return false;
			routes[d->n_routes++] = arena_printf(rd->arena, "%s %s", verb, path);
		}
	}
	d->routes = routes;
	d->summary_read = true;
	return true;
}

static size_t find_deployment(const struct view_deployment *all, size_t n, const char *id)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(all[i].id, id) == 0)
			return i;
	return n;
}

static const char *read_deployments(const struct reader *rd, const json_t *items, struct view_api *api)
{
	struct view_deployment *all =
	    answer_extend(rd->arena, api->deployments, api->n_deployments, json_array_size(items), sizeof(*all));
	if (!all)
		return "an API has at most 20,000 deployments here";
	size_t n = api->n_deployments;
	size_t i;
	json_t *item;
	json_array_foreach(items, i, item)
	{
		struct view_deployment d = {0};
		if (!answer_text(rd->arena, item, id_key(rd, "deploymentId"), true, ID_MAX, &d.id) ||
		    !read_description(rd, item, &d.description))
			return "a deployment has an id, and its description is text";
		/* One that was read by itself is known better: with its summary. Only those can be there twice. */
		if (find_deployment(all, api->n_deployments, d.id) == api->n_deployments)
			all[n++] = d;
	}
	api->deployments = all;
	api->n_deployments = n;
	return NULL;
}

int apigateway_parse_deployment(const struct http_response *r, const char *deployment_id, struct chain_view *v,
				struct aws_error *ret_error)
{
	json_t *root cleanup(json_decref_p) = json_from_answer(r, ret_error);
	if (!root)
		return 1;
	const struct reader rd = {.arena = v->arena, .type = API_REST};
	const json_t *summary;
	struct view_deployment d = {0};
	if (!answer_text(v->arena, root, "id", true, ID_MAX, &d.id) || strcmp(d.id, deployment_id) != 0 ||
	    !read_description(&rd, root, &d.description))
		return answer_malformed(r, "a deployment has the id that was asked for, and its description is text",
					ret_error);
	if (!answer_object(root, "apiSummary", &summary) || (summary && !read_summary(&rd, summary, &d)))
		return answer_malformed(r, "a deployment's apiSummary has objects of methods by path", ret_error);
	size_t at = find_deployment(v->api.deployments, v->api.n_deployments, deployment_id);
	bool added = at == v->api.n_deployments;
	struct view_deployment *all =
	    answer_extend(v->arena, v->api.deployments, v->api.n_deployments, added, sizeof(*all));
	if (!all)
		return answer_malformed(r, "an API has at most 20,000 deployments here", ret_error);
	all[at] = d;
	v->api.deployments = all;
	v->api.n_deployments += added;
	return 0;
}

/* --- stages --- */

static bool read_variables(const struct reader *rd, const json_t *variables, struct view_stage *stage)
{
	struct view_variable *all = answer_extend(rd->arena, NULL, 0, json_object_size(variables), sizeof(*all));
	if (!all)
		return false;
	const char *name;
	json_t *value;
	json_object_foreach((json_t *)variables, name, value)
	{
		const char *text = json_string_value(value);
		if (!text || strlen(text) > VALUE_MAX || strlen(name) > VALUE_MAX)
			return false;
		all[stage->n_variables++] = (struct view_variable){.name = arena_strdup(rd->arena, name),
								   .value = arena_strdup(rd->arena, text)};
	}
	stage->variables = all;
	return true;
}

static const char *read_stages(const struct reader *rd, const json_t *items, struct view_api *api)
{
	struct view_stage *all =
	    answer_extend(rd->arena, api->stages, api->n_stages, json_array_size(items), sizeof(*all));
	if (!all)
		return "an API has at most 20,000 stages here";
	size_t i;
	json_t *item;
	json_array_foreach(items, i, item)
	{
		struct view_stage *stage = &all[api->n_stages + i];
		const json_t *variables;
		const json_t *canary;
		if (!answer_text(rd->arena, item, "stageName", true, LIMIT_ALIAS_NAME, &stage->name) ||
		    !answer_text(rd->arena, item, "deploymentId", false, ID_MAX, &stage->deployment_id))
			return "a stage has a stageName, and its deploymentId is text";
		if (!answer_object(item, rd->type == API_REST ? "variables" : "stageVariables", &variables) ||
		    !read_variables(rd, variables, stage))
			return "a stage's variables are texts by name";
		if (!answer_object(item, "canarySettings", &canary) ||
		    !answer_flag(item, "autoDeploy", &stage->auto_deploy))
			return "a stage's canarySettings are an object, its autoDeploy is true or false";
		stage->canary = canary != NULL;
	}
	api->stages = all;
	api->n_stages += json_array_size(items);
	return NULL;
}

/* --- lists --- */

static const char *read_list(const struct reader *rd, enum apigateway_list what, const json_t *items,
			     struct view_api *api)
{
	const char *problem = NULL;
	switch (what) {
	case APIGATEWAY_APIS:
		return read_apis(rd, items, api);
	case APIGATEWAY_RESOURCES:
		return read_resources(rd, items, api);
	case APIGATEWAY_ROUTES:
		problem = read_routes(rd, items, api);
		break;
	case APIGATEWAY_INTEGRATIONS:
		problem = read_integrations(rd, items, api);
		break;
	case APIGATEWAY_DEPLOYMENTS:
		return read_deployments(rd, items, api);
	case APIGATEWAY_STAGES:
		return read_stages(rd, items, api);
	}
	if (!problem)
		join_integrations(rd, api);
	return problem;
}

int apigateway_parse_list(const struct http_response *r, enum api_type type, enum apigateway_list what,
			  const char *api_name, struct chain_view *v, char *ret_position, size_t position_size,
			  struct aws_error *ret_error)
{
	json_t *root cleanup(json_decref_p) = json_from_answer(r, ret_error);
	if (!root)
		return 1;
	const struct reader rd = {.arena = v->arena, .type = type, .api_name = api_name};
	const char *key = json_object_get(root, "item") ? "item" : "items";
	const json_t *items;
	char position[APIGATEWAY_POSITION_SIZE];
	if (!json_object_get(root, key) || !json_get_array(root, key, &items))
		return answer_malformed(r, "a list of API Gateway has an array named item or items", ret_error);
	if (!json_copy_text(root, type == API_REST ? "position" : "nextToken", false, position, sizeof(position)) ||
	    strlen(position) >= position_size)
		return answer_malformed(r, "the position of a list is text of at most 1,023 characters", ret_error);
	struct view_api api = v->api;
	const char *problem = read_list(&rd, what, items, &api);
	if (problem)
		return answer_malformed(r, problem, ret_error);
	v->api = api;
	memcpy(ret_position, position, strlen(position) + 1);
	return 0;
}
