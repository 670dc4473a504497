/* APIs and what belongs to them: their life. */
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "sim/gateway.h"
#include "sim/model.h"

#define API_ID_LENGTH  10
#define PART_ID_LENGTH 6

static void route_deinit(struct gateway_route *r)
{
	free(r->method);
	free(r->path);
	free(r->uri);
}

static void deployment_free(struct gateway_deployment *d)
{
	for (size_t i = 0; i < d->n_routes; i++)
		route_deinit(&d->routes[i]);
	free(d->routes);
	json_decref(d->json);
	json_decref(d->summary);
	free(d->id);
	free(d);
}

static void stage_free(struct gateway_stage *s)
{
	json_decref(s->json);
	free(s->name);
	free(s);
}

static void json_table_deinit(struct table *t)
{
	for (size_t i = 0; i < t->len; i++)
		json_decref(t->entries[i].value);
	table_deinit(t);
}

static void api_free(struct gateway_api *api)
{
	for (size_t i = 0; i < api->deployments.len; i++)
		deployment_free(api->deployments.entries[i].value);
	for (size_t i = 0; i < api->stages.len; i++)
		stage_free(api->stages.entries[i].value);
	table_deinit(&api->deployments);
	table_deinit(&api->stages);
	json_table_deinit(&api->resources);
	json_table_deinit(&api->integrations);
	json_table_deinit(&api->routes);
	json_decref(api->json);
	free(api->root_id);
	free(api->id);
	free(api);
}

void gateway_deinit(struct gateway_apis *a)
{
	for (size_t i = 0; i < a->by_id.len; i++)
		api_free(a->by_id.entries[i].value);
	table_deinit(&a->by_id);
}

void gateway_draw_id(struct world *w, size_t len, char out[static GATEWAY_ID_SIZE])
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	require(len < GATEWAY_ID_SIZE);
	for (size_t i = 0; i < len; i++)
		out[i] = digits[prng_below(&w->ids, sizeof(digits) - 1)];
	out[len] = '\0';
}

/* One that the table does not have. */
static void draw_new_id(struct world *w, const struct table *t, size_t len, char out[static GATEWAY_ID_SIZE])
{
	do
		gateway_draw_id(w, len, out);
	while (table_get(t, out));
}

json_t *gateway_time(const struct world *w, enum gateway_type type)
{
	if (type == GATEWAY_REST)
		return json_integer((json_int_t)(w->now_ms / 1000));
	char utc[32];
	text_format_utc(w->now_ms - w->now_ms % 1000, utc);
	char *fraction = strchr(utc, '.');
	if (fraction)
		memcpy(fraction, "Z", 2);
	return json_string(utc);
}

/* --- APIs --- */

struct gateway_api *gateway_find(const struct world *w, enum gateway_type type, const char *id)
{
	struct gateway_api *api = table_get(&w->gateway.by_id, id);
	return api && api->type == type ? api : NULL;
}

static json_t *new_rest_json(struct world *w, struct gateway_api *api, const char *name)
{
	return json_pack("{s:s, s:s, s:o, s:s, s:b, s:{s:[s], s:s}, s:s}", "id", api->id, "name", name, "createdDate",
			 gateway_time(w, GATEWAY_REST), "apiKeySource", "HEADER", "disableExecuteApiEndpoint", 0,
			 "endpointConfiguration", "types", "EDGE", "ipAddressType", "ipv4", "rootResourceId",
			 api->root_id);
}

static json_t *new_http_json(struct world *w, struct gateway_api *api, const char *name)
{
	cleanup(mem_free_p) char *endpoint =
	    mem_printf("https://%s.execute-api.%s.amazonaws.com", api->id, api->region);
	return json_pack("{s:s, s:s, s:s, s:o, s:s, s:s, s:s, s:b, s:s, s:o}", "apiId", api->id, "name", name,
			 "apiEndpoint", endpoint, "createdDate", gateway_time(w, GATEWAY_HTTP), "protocolType", "HTTP",
			 "routeSelectionExpression", "$request.method $request.path", "apiKeySelectionExpression",
			 "$request.header.x-api-key", "disableExecuteApiEndpoint", 0, "ipAddressType", "ipv4", "tags",
			 json_object());
}

struct gateway_api *gateway_add(struct world *w, enum gateway_type type, const char *region, const char *id,
				const char *name)
{
	struct table *all = &w->gateway.by_id;
	char drawn[GATEWAY_ID_SIZE];
	if (all->len >= GATEWAY_APIS_MAX || (id && table_get(all, id)))
		return NULL;
	if (!id) {
		draw_new_id(w, all, API_ID_LENGTH, drawn);
		id = drawn;
	}
	struct gateway_api *api = mem_alloc(sizeof(*api));
	*api = (struct gateway_api){.type = type, .id = mem_strdup(id)};
	text_copy(api->region, sizeof(api->region), region);
	if (type == GATEWAY_REST) {
		char root[GATEWAY_ID_SIZE];
		gateway_draw_id(w, API_ID_LENGTH, root);
		api->root_id = mem_strdup(root);
		table_put(&api->resources, root, json_pack("{s:s, s:s}", "id", root, "path", "/"));
	}
	api->json = type == GATEWAY_REST ? new_rest_json(w, api, name) : new_http_json(w, api, name);
	require(api->json);
	table_put(all, id, api);
	return api;
}

void gateway_remove(struct world *w, struct gateway_api *api)
{
	table_remove(&w->gateway.by_id, api->id);
	api_free(api);
}

const char *gateway_name(const struct gateway_api *api)
{
	return json_string_value(json_object_get(api->json, "name"));
}

void gateway_rename(struct gateway_api *api, const char *name)
{
	json_object_set_new(api->json, "name", json_string(name));
	/* REST APIs are measured by name: what comes belongs to other series. */
	api->series = (struct gateway_series){0};
	for (size_t i = 0; i < api->stages.len; i++)
		((struct gateway_stage *)api->stages.entries[i].value)->series = (struct gateway_series){0};
}

/* --- resources, routes, integrations --- */

json_t *gateway_child(const struct gateway_api *api, const char *parent_id, const char *part)
{
	for (size_t i = 0; i < api->resources.len; i++) {
		json_t *r = api->resources.entries[i].value;
		const char *parent = json_string_value(json_object_get(r, "parentId"));
		if (parent && strcmp(parent, parent_id) == 0 &&
		    strcmp(json_string_value(json_object_get(r, "pathPart")), part) == 0)
			return r;
	}
	return NULL;
}

json_t *gateway_add_resource(struct world *w, struct gateway_api *api, const char *parent_id, const char *part)
{
	const json_t *parent = table_get(&api->resources, parent_id);
	require(parent);
	if (api->resources.len >= GATEWAY_RESOURCES_MAX)
		return NULL;
	char id[GATEWAY_ID_SIZE];
	draw_new_id(w, &api->resources, PART_ID_LENGTH, id);
	const char *above = json_string_value(json_object_get(parent, "path"));
	cleanup(mem_free_p) char *path = mem_printf("%s/%s", above[1] ? above : "", part);
	json_t *r = json_pack("{s:s, s:s, s:s, s:s}", "id", id, "parentId", parent_id, "pathPart", part, "path", path);
	require(r);
	table_put(&api->resources, id, r);
	return r;
}

bool gateway_add_part(struct world *w, struct table *parts, const char *id_key, json_t *json)
{
	char id[GATEWAY_ID_SIZE];
	if (parts->len >= GATEWAY_RESOURCES_MAX) {
		json_decref(json);
		return false;
	}
	draw_new_id(w, parts, PART_ID_LENGTH + 1, id);
	json_object_set_new(json, id_key, json_string(id));
	table_put(parts, id, json);
	return true;
}

/* --- deployments --- */

struct gateway_deployment *gateway_deployment(const struct gateway_api *api, const char *id)
{
	return table_get(&api->deployments, id);
}

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

/* Where the part that comes next is kept. */
static struct gateway_route *new_route(struct gateway_deployment *d)
{
	d->routes = mem_grow(d->routes, &d->cap, d->n_routes + 1, sizeof(*d->routes));
	return &d->routes[d->n_routes++];
}

static int64_t timeout_of(const json_t *integration, int64_t otherwise_ms)
{
	const json_t *timeout = json_object_get(integration, "timeoutInMillis");
	return json_is_integer(timeout) ? json_integer_value(timeout) : otherwise_ms;
}

static void take_method(struct gateway_deployment *d, const char *path, const char *verb, const json_t *integration)
{
	const char *type = text_of(integration, "type"), *by = text_of(integration, "httpMethod");
	bool proxy = strcmp(type, "AWS_PROXY") == 0;
	*new_route(d) = (struct gateway_route){.method = mem_strdup(verb),
					       .path = mem_strdup(path),
					       .uri = proxy ? mem_strdup(text_of(integration, "uri")) : NULL,
					       .post = by && strcmp(by, "POST") == 0,
					       .by_role = text_of(integration, "credentials"),
					       .timeout_ms = timeout_of(integration, GATEWAY_TIMEOUT_MS)};
}

static enum gateway_ready snapshot_rest(const struct gateway_api *api, struct gateway_deployment *d)
{
	d->summary = json_object();
	for (size_t i = 0; i < api->resources.len; i++) {
		const json_t *resource = api->resources.entries[i].value;
		const char *path = text_of(resource, "path"), *verb;
		json_t *method, *verbs = json_object();
		json_object_foreach(json_object_get(resource, "resourceMethods"), verb, method)
		{
			const json_t *integration = json_object_get(method, "methodIntegration");
			if (!integration) {
				json_decref(verbs);
				return GATEWAY_NO_INTEGRATION;
			}
			take_method(d, path, verb, integration);
			json_object_set_new(verbs, verb,
					    json_pack("{s:O, s:O}", "authorizationType",
						      json_object_get(method, "authorizationType"), "apiKeyRequired",
						      json_object_get(method, "apiKeyRequired")));
		}
		if (json_object_size(verbs))
			json_object_set(d->summary, path, verbs);
		json_decref(verbs);
	}
	return d->n_routes ? GATEWAY_READY : GATEWAY_NO_METHODS;
}

static enum gateway_ready snapshot_http(const struct gateway_api *api, struct gateway_deployment *d)
{
	for (size_t i = 0; i < api->routes.len; i++) {
		const json_t *route = api->routes.entries[i].value;
		const char *key = text_of(route, "routeKey"), *target = text_of(route, "target");
		const char *id = target ? strrchr(target, '/') : NULL;
		const json_t *integration = id ? table_get(&api->integrations, id + 1) : NULL;
		const char *type = text_of(integration, "integrationType");
		const char *version = text_of(integration, "payloadFormatVersion");
		size_t method = strcspn(key, " ");
		*new_route(d) = (struct gateway_route){
		    .method = key[method] ? mem_strndup(key, method) : mem_strdup("ANY"),
		    .path = mem_strdup(key[method] ? key + method + 1 : key),
		    .uri = type && strcmp(type, "AWS_PROXY") == 0 ? mem_strdup(text_of(integration, "integrationUri"))
								  : NULL,
		    .post = true,
		    .by_role = text_of(integration, "credentialsArn"),
		    .payload_two = version && strcmp(version, "2.0") == 0,
		    .timeout_ms = timeout_of(integration, GATEWAY_HTTP_TIMEOUT_MS)};
	}
	return d->n_routes ? GATEWAY_READY : GATEWAY_NO_METHODS;
}

enum gateway_ready gateway_deploy(struct world *w, struct gateway_api *api, const char *description, bool by_itself,
				  struct gateway_deployment **ret)
{
	if (api->deployments.len >= GATEWAY_DEPLOYMENTS_MAX)
		return GATEWAY_TOO_MANY;
	struct gateway_deployment *d = mem_alloc(sizeof(*d));
	bool rest = api->type == GATEWAY_REST;
	enum gateway_ready ready = rest ? snapshot_rest(api, d) : snapshot_http(api, d);
	if (ready != GATEWAY_READY) {
		deployment_free(d);
		return ready;
	}
	char id[GATEWAY_ID_SIZE];
	draw_new_id(w, &api->deployments, PART_ID_LENGTH, id);
	d->id = mem_strdup(id);
	d->json = json_pack("{s:s, s:o}", rest ? "id" : "deploymentId", id, "createdDate", gateway_time(w, api->type));
	if (!rest)
		json_object_update_new(
		    d->json, json_pack("{s:b, s:s}", "autoDeployed", by_itself, "deploymentStatus", "DEPLOYED"));
	if (description)
		json_object_set_new(d->json, "description", json_string(description));
	table_put(&api->deployments, id, d);
	*ret = d;
	return GATEWAY_READY;
}

void gateway_remove_deployment(struct gateway_api *api, struct gateway_deployment *d)
{
	table_remove(&api->deployments, d->id);
	deployment_free(d);
}

bool gateway_deployment_used(const struct gateway_api *api, const char *id)
{
	for (size_t i = 0; i < api->stages.len; i++) {
		const struct gateway_stage *s = api->stages.entries[i].value;
		const char *served = text_of(s->json, "deploymentId");
		const char *canary = text_of(json_object_get(s->json, "canarySettings"), "deploymentId");
		if ((served && strcmp(served, id) == 0) || (canary && strcmp(canary, id) == 0))
			return true;
	}
	return false;
}

/* --- stages --- */

struct gateway_stage *gateway_stage(const struct gateway_api *api, const char *name)
{
	return table_get(&api->stages, name);
}

struct gateway_stage *gateway_add_stage(struct gateway_api *api, const char *name, json_t *json)
{
	struct gateway_stage *s = mem_alloc(sizeof(*s));
	*s = (struct gateway_stage){.name = mem_strdup(name), .json = json};
	table_put(&api->stages, name, s);
	return s;
}

void gateway_remove_stage(struct gateway_api *api, struct gateway_stage *s)
{
	table_remove(&api->stages, s->name);
	stage_free(s);
}

void gateway_change_stage(struct world *w, struct gateway_stage *s, json_t *json)
{
	bool iso = json_is_string(json_object_get(s->json, "createdDate"));
	if (json) {
		json_decref(s->json);
		s->json = json;
	}
	json_object_set_new(s->json, "lastUpdatedDate", gateway_time(w, iso ? GATEWAY_HTTP : GATEWAY_REST));
}

/* What a stage deployed by itself and no longer serves is of no use to anybody. */
static void drop_unused(struct gateway_api *api, const char *id)
{
	struct gateway_deployment *d = id ? gateway_deployment(api, id) : NULL;
	if (d && json_is_true(json_object_get(d->json, "autoDeployed")) && !gateway_deployment_used(api, id))
		gateway_remove_deployment(api, d);
}

void gateway_auto_deploy_stage(struct world *w, struct gateway_api *api, struct gateway_stage *s)
{
	struct gateway_deployment *d;
	if (!json_is_true(json_object_get(s->json, "autoDeploy")))
		return;
	enum gateway_ready ready =
	    gateway_deploy(w, api, "Automatic deployment triggered by changes to the Api configuration", true, &d);
	if (ready != GATEWAY_READY) {
		const char *why =
		    ready == GATEWAY_TOO_MANY
			? "Deployment attempt failed: too many deployments"
			: "Deployment attempt failed: At least one route is required before deploying the "
			  "Api.";
		json_object_set_new(s->json, "lastDeploymentStatusMessage", json_string(why));
		return;
	}
	cleanup(mem_free_p) char *old = mem_strdup(text_of(s->json, "deploymentId"));
	cleanup(mem_free_p) char *done = mem_printf("Successfully deployed stage with deployment ID '%s'", d->id);
	json_object_set_new(s->json, "deploymentId", json_string(d->id));
	json_object_set_new(s->json, "lastDeploymentStatusMessage", json_string(done));
	gateway_change_stage(w, s, NULL);
	drop_unused(api, old);
}

void gateway_auto_deploy(struct world *w, struct gateway_api *api)
{
	for (size_t i = 0; i < api->stages.len; i++)
		gateway_auto_deploy_stage(w, api, api->stages.entries[i].value);
}

/* --- what may be --- */

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS	"0123456789"

bool gateway_stage_name_ok(enum gateway_type type, const char *name)
{
	size_t len = strlen(name);
	if (type == GATEWAY_HTTP && strcmp(name, "$default") == 0)
		return true;
	return len > 0 && len <= 128 && strspn(name, LETTERS DIGITS "-_") == len;
}

bool gateway_variable_name_ok(const char *name)
{
	size_t len = strlen(name);
	return len > 0 && len <= 64 && strspn(name, LETTERS DIGITS "_") == len;
}

bool gateway_variable_value_ok(const char *value)
{
	size_t len = strlen(value);
	return len > 0 && len <= 512 && strspn(value, LETTERS DIGITS "-._~:/?#&=,") == len;
}

/* --- for people and tests --- */

static json_t *api_state_json(const struct gateway_api *api)
{
	json_t *routes = json_array(), *stages = json_object();
	for (size_t i = 0; i < api->resources.len; i++) {
		const json_t *r = api->resources.entries[i].value;
		const char *verb;
		json_t *method;
		json_object_foreach(json_object_get(r, "resourceMethods"), verb, method)
		{
			json_array_append_new(routes, json_sprintf("%s %s", verb, text_of(r, "path")));
		}
	}
	for (size_t i = 0; i < api->routes.len; i++)
		json_array_append(routes, json_object_get(api->routes.entries[i].value, "routeKey"));
	for (size_t i = 0; i < api->stages.len; i++) {
		const struct gateway_stage *s = api->stages.entries[i].value;
		json_object_set(stages, s->name, s->json);
	}
	return json_pack("{s:s, s:s, s:s, s:o, s:I, s:o}", "name", gateway_name(api), "type",
			 api->type == GATEWAY_REST ? "rest" : "http", "region", api->region, "routes", routes,
			 "deployments", (json_int_t)api->deployments.len, "stages", stages);
}

json_t *gateway_state_json(const struct world *w)
{
	json_t *out = json_object();
	for (size_t i = 0; i < w->gateway.by_id.len; i++)
		json_object_set_new(out, w->gateway.by_id.entries[i].key,
				    api_state_json(w->gateway.by_id.entries[i].value));
	return out;
}
