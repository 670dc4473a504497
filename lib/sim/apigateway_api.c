/* REST APIs and their resources. */
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "sim/apigateway.h"
#include "sim/lambda.h"

#define PART_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:"

static void answer_api(struct call *c, int status, const struct gateway_api *api)
{
	call_answer_json(c, status, json_incref(api->json));
}

/* --- APIs --- */

static bool read_endpoint(struct call *c, json_t **ret)
{
	static const char *const known[] = {"EDGE", "REGIONAL", "PRIVATE", NULL};
	const json_t *given = json_object_get(c->in, "endpointConfiguration");
	const json_t *types = json_object_get(given, "types");
	const char *type = json_string_value(json_array_get(types, 0));
	const char *ip = json_string_value(json_object_get(given, "ipAddressType"));
	size_t i = 0;
	while (type && known[i] && strcmp(known[i], type) != 0)
		i++;
	if (type && !known[i]) {
		call_fail(
		    c, &apigateway_error_validation,
		    "1 validation error detected: Value '[%s]' at 'createRestApiInput.endpointConfiguration.types' "
		    "failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value "
		    "set: [PRIVATE, EDGE, REGIONAL]]",
		    type);
		return false;
	}
	if (json_array_size(types) > 1) {
		call_fail(c, &apigateway_error_bad_request, "Cannot create an api with multiple Endpoint Types.");
		return false;
	}
	if (!type)
		type = "EDGE";
	if (!ip || !*ip)
		ip = strcmp(type, "PRIVATE") == 0 ? "dualstack" : "ipv4";
	*ret = json_pack("{s:[s], s:s}", "types", type, "ipAddressType", ip);
	return true;
}

void apigateway_create_rest_api(struct call *c)
{
	static const char *const kept[] = {"binaryMediaTypes", "minimumCompressionSize",    "apiKeySource",
					   "policy",	       "disableExecuteApiEndpoint", NULL};
	const char *name = NULL, *description = NULL, *version = NULL;
	json_t *tags, *endpoint = NULL;
	if (!lambda_read_text(c, "name", &name) || !lambda_read_text(c, "description", &description) ||
	    !lambda_read_text(c, "version", &version) || !apigateway_read_texts(c, "tags", &tags))
		return;
	if (!name || !*name) {
		call_fail(c, &apigateway_error_bad_request, "A name must be specified for the API");
		return;
	}
	if (description && !*description) {
		call_fail(c, &apigateway_error_bad_request, "Description cannot be an empty string");
		return;
	}
	if (!read_endpoint(c, &endpoint))
		return;
	struct gateway_api *api = gateway_add(c->w, GATEWAY_REST, c->region, NULL, name);
	if (!api) {
		json_decref(endpoint);
		call_fail(c, &apigateway_error_limit, "Maximum number of APIs has been reached: %d", GATEWAY_APIS_MAX);
		return;
	}
	apigateway_copy_fields(c, api->json, kept);
	json_object_set_new(api->json, "endpointConfiguration", endpoint);
	if (!json_array_size(json_object_get(api->json, "binaryMediaTypes")))
		json_object_del(api->json, "binaryMediaTypes");
	if (description)
		json_object_set_new(api->json, "description", json_string(description));
	if (version)
		json_object_set_new(api->json, "version", json_string(version));
	if (tags && json_object_size(tags))
		json_object_set(api->json, "tags", tags);
	answer_api(c, 201, api);
}

void apigateway_get_rest_api(struct call *c)
{
	const struct gateway_api *api = apigateway_find_api(c, GATEWAY_REST);
	if (api)
		answer_api(c, 200, api);
}

void apigateway_get_rest_apis(struct call *c)
{
	json_t *all = json_array();
	for (size_t i = 0; i < c->w->gateway.by_id.len; i++) {
		const struct gateway_api *api = c->w->gateway.by_id.entries[i].value;
		if (api->type == GATEWAY_REST)
			json_array_append(all, api->json);
	}
	apigateway_answer_list(c, GATEWAY_REST, all);
}

static bool patch_api(struct call *c, const json_t *operation, json_t *json)
{
	const char *op = json_string_value(json_object_get(operation, "op"));
	const char *path = json_string_value(json_object_get(operation, "path"));
	const char *value = json_string_value(json_object_get(operation, "value"));
	bool named = strcmp(path, "/name") == 0, described = strcmp(path, "/description") == 0;
	bool versioned = strcmp(path, "/version") == 0, disabled = strcmp(path, "/disableExecuteApiEndpoint") == 0;
	bool removes = strcmp(op, "remove") == 0;
	if (!named && !described && !versioned && !disabled) {
		call_fail(c, &apigateway_error_bad_request, "Invalid patch path %s", path);
		return false;
	}
	if ((!removes && strcmp(op, "replace") != 0) || (removes && (named || disabled)) || (!removes && !value) ||
	    (named && !*value)) {
		call_fail(c, &apigateway_error_bad_request,
			  "Invalid patch path  '%s' specified for op '%s'. Please choose supported operations", path,
			  op);
		return false;
	}
	if (removes)
		json_object_del(json, path + 1);
	else
		json_object_set_new(json, path + 1,
				    disabled ? json_boolean(strcmp(value, "true") == 0) : json_string(value));
	return true;
}

void apigateway_update_rest_api(struct call *c)
{
	struct gateway_api *api = apigateway_find_api(c, GATEWAY_REST);
	json_t *operations, *operation;
	size_t i;
	if (!api || !apigateway_read_patch(c, &operations))
		return;
	json_t *json = json_copy(api->json);
	json_array_foreach(operations, i, operation)
	{
		if (!patch_api(c, operation, json)) {
			json_decref(json);
			return;
		}
	}
	json_decref(api->json);
	api->json = json;
	gateway_rename(api, gateway_name(api));
	/* An update answers with tags even where there are none. */
	json_t *shown = json_copy(json);
	if (!json_object_get(shown, "tags"))
		json_object_set_new(shown, "tags", json_object());
	call_answer_json(c, 200, shown);
}

void apigateway_delete_rest_api(struct call *c)
{
	struct gateway_api *api = apigateway_find_api(c, GATEWAY_REST);
	if (!api)
		return;
	gateway_remove(c->w, api);
	call_answer_bytes(c, 202, NULL, "", 0);
}

/* --- resources --- */

/* Without `methods` a resource names its verbs, and no more. */
static json_t *shown_resource(const json_t *resource, bool methods)
{
	json_t *shown = json_copy((json_t *)resource), *all = json_object_get(resource, "resourceMethods"), *method;
	const char *verb;
	if (!methods && all) {
		json_t *verbs = json_object();
		json_object_foreach(all, verb, method)
		{
			json_object_set_new(verbs, verb, json_object());
		}
		json_object_set_new(shown, "resourceMethods", verbs);
	}
	return shown;
}

static bool embeds_methods(struct call *c)
{
	const char *embed = call_query(c, "embed");
	return embed && strcmp(embed, "methods") == 0;
}

void apigateway_get_resource(struct call *c)
{
	struct gateway_api *api;
	const json_t *resource = apigateway_find_resource(c, &api);
	if (resource)
		call_answer_json(c, 200, shown_resource(resource, embeds_methods(c)));
}

static int compare_paths(const void *a, const void *b)
{
	const json_t *const *x = a, *const *y = b;
	return strcmp(json_string_value(json_object_get(*x, "path")), json_string_value(json_object_get(*y, "path")));
}

void apigateway_get_resources(struct call *c)
{
	const struct gateway_api *api = apigateway_find_api(c, GATEWAY_REST);
	if (!api)
		return;
	size_t n = api->resources.len;
	bool methods = embeds_methods(c);
	json_t **sorted = arena_array(c->arena, n, sizeof(json_t *)), *all = json_array();
	for (size_t i = 0; i < n; i++)
		sorted[i] = api->resources.entries[i].value;
	qsort(sorted, n, sizeof(json_t *), compare_paths);
	for (size_t i = 0; i < n; i++)
		json_array_append_new(all, shown_resource(sorted[i], methods));
	apigateway_answer_list(c, GATEWAY_REST, all);
}

static bool is_greedy(const char *part)
{
	return part[0] == '{' && text_ends_with(part, "+}");
}

/* "pets", "{id}", "{proxy+}" */
static bool part_ok(const char *part)
{
	size_t len = strlen(part);
	if (part[0] == '{') {
		if (len < 3 || part[len - 1] != '}')
			return false;
		part++;
		len -= is_greedy(part - 1) ? 3 : 2;
	}
	return len > 0 && strspn(part, PART_CHARS) >= len;
}

static bool check_part(struct call *c, const struct gateway_api *api, const json_t *parent, const char *part)
{
	const char *parent_part = json_string_value(json_object_get(parent, "pathPart"));
	const char *parent_id = json_string_value(json_object_get(parent, "id"));
	if (!part || !part_ok(part)) {
		call_fail(c, &apigateway_error_bad_request,
			  "Resource's path part only allow a-zA-Z0-9._-: or a valid greedy path variable and curly "
			  "braces at the beginning and the end.");
		return false;
	}
	if (parent_part && is_greedy(parent_part)) {
		call_fail(c, &apigateway_error_bad_request,
			  "Cannot create a child of a resource with a greedy path variable: %s", parent_part);
		return false;
	}
	if (gateway_child(api, parent_id, part)) {
		call_fail(c, &apigateway_error_conflict,
			  "Another resource with the same parent already has this name: %s", part);
		return false;
	}
	for (size_t i = 0; part[0] == '{' && i < api->resources.len; i++) {
		const json_t *other = api->resources.entries[i].value;
		const char *above = json_string_value(json_object_get(other, "parentId"));
		const char *sibling = json_string_value(json_object_get(other, "pathPart"));
		if (above && strcmp(above, parent_id) == 0 && sibling[0] == '{') {
			call_fail(c, &apigateway_error_bad_request,
				  "A sibling (%s) of this resource already has a variable path part -- only one is "
				  "allowed",
				  sibling);
			return false;
		}
	}
	return true;
}

void apigateway_create_resource(struct call *c)
{
	struct gateway_api *api;
	const char *part = NULL;
	const json_t *parent = apigateway_find_resource(c, &api);
	if (!parent || !lambda_read_text(c, "pathPart", &part) || !check_part(c, api, parent, part))
		return;
	json_t *resource = gateway_add_resource(c->w, api, c->segments[1], part);
	if (resource)
		call_answer_json(c, 201, json_incref(resource));
	else
		call_fail(c, &apigateway_error_limit, "Maximum number of resources for this API has been reached: %d",
			  GATEWAY_RESOURCES_MAX);
}

/* With everything below it. */
static void remove_tree(struct gateway_api *api, const char *id)
{
	for (size_t i = api->resources.len; i-- > 0;) {
		if (i >= api->resources.len)
			continue;
		const json_t *r = api->resources.entries[i].value;
		const char *parent = json_string_value(json_object_get(r, "parentId"));
		if (parent && strcmp(parent, id) == 0)
			remove_tree(api, api->resources.entries[i].key);
	}
	json_decref(table_remove(&api->resources, id));
}

void apigateway_delete_resource(struct call *c)
{
	struct gateway_api *api;
	if (!apigateway_find_resource(c, &api))
		return;
	if (strcmp(c->segments[1], api->root_id) == 0) {
		call_fail(c, &apigateway_error_bad_request, "Root resource cannot be deleted");
		return;
	}
	remove_tree(api, c->segments[1]);
	call_answer_bytes(c, 202, NULL, "", 0);
}
