/* What API Gateway's operations share: look-ups, fields, pages. */
#include "sim/apigateway.h"

#include <string.h>

#include "base/error.h"
#include "base/text.h"

#define PAGE_REST     25
#define PAGE_REST_MAX 500
#define PAGE_HTTP     100 /* AWS does not say */

const struct call_error apigateway_error_bad_request = {.code = "BadRequestException", .status = 400, .no_type = true};
const struct call_error apigateway_error_not_found = {.code = "NotFoundException", .status = 404, .no_type = true};
const struct call_error apigateway_error_conflict = {.code = "ConflictException", .status = 409, .no_type = true};
const struct call_error apigateway_error_limit = {.code = "LimitExceededException", .status = 429, .no_type = true};
const struct call_error apigateway_error_validation = {.code = "ValidationException", .status = 400, .no_type = true};

struct gateway_api *apigateway_find_api(struct call *c, enum gateway_type type)
{
	struct gateway_api *api = gateway_find(c->w, type, c->segments[0]);
	if (!api)
		call_fail(c, &apigateway_error_not_found, "Invalid API identifier specified " WORLD_ACCOUNT ":%s",
			  c->segments[0]);
	return api;
}

json_t *apigateway_find_resource(struct call *c, struct gateway_api **ret_api)
{
	struct gateway_api *api = gateway_find(c->w, GATEWAY_REST, c->segments[0]);
	json_t *resource = api ? table_get(&api->resources, c->segments[1]) : NULL;
	if (!resource) {
		call_fail(c, &apigateway_error_not_found, "Invalid Resource identifier specified");
		return NULL;
	}
	*ret_api = api;
	return resource;
}

json_t *apigateway_find_method(struct call *c, struct gateway_api **ret_api)
{
	json_t *resource = apigateway_find_resource(c, ret_api);
	if (!resource)
		return NULL;
	json_t *method = json_object_get(json_object_get(resource, "resourceMethods"), c->segments[2]);
	if (!method)
		call_fail(c, &apigateway_error_not_found, "Invalid Method identifier specified");
	return method;
}

struct gateway_deployment *apigateway_find_deployment(struct call *c, const struct gateway_api *api)
{
	struct gateway_deployment *d = gateway_deployment(api, c->segments[1]);
	if (!d)
		call_fail(c, &apigateway_error_not_found, "Invalid Deployment identifier specified");
	return d;
}

struct gateway_stage *apigateway_find_stage(struct call *c, const struct gateway_api *api)
{
	struct gateway_stage *s = gateway_stage(api, c->segments[1]);
	if (!s)
		call_fail(c, &apigateway_error_not_found, "Invalid stage identifier specified");
	return s;
}

static bool wrong_type(struct call *c, const char *key, const char *wanted)
{
	static const struct call_error serialization = {
	    .code = "SerializationException", .status = 400, .no_type = true};
	call_fail(c, &serialization, "%s must be %s", key, wanted);
	return false;
}

bool apigateway_read_texts(struct call *c, const char *key, json_t **ret)
{
	json_t *map = json_object_get(c->in, key), *value;
	const char *name;
	*ret = NULL;
	if (!map || json_is_null(map))
		return true;
	if (!json_is_object(map))
		return wrong_type(c, key, "a map of strings");
	json_object_foreach(map, name, value)
	{
		if (!json_is_string(value))
			return wrong_type(c, key, "a map of strings");
	}
	*ret = map;
	return true;
}

bool apigateway_read_variables(struct call *c, const json_t *variables, bool removing)
{
	const char *name;
	json_t *value;
	/* The macro takes a pointer that it could change. */
	json_object_foreach((json_t *)variables, name, value)
	{
		const char *text = json_string_value(value);
		if (!gateway_variable_name_ok(name)) {
			call_fail(
			    c, &apigateway_error_bad_request,
			    "Invalid stage variable name: %s. Please use alphanumeric characters and underscores.",
			    name);
			return false;
		}
		if (!gateway_variable_value_ok(text) && !(removing && !*text)) {
			call_fail(c, &apigateway_error_bad_request,
				  "Invalid stage variable value: %s. Please use values with alphanumeric characters "
				  "and the symbols ' ', '-', '.', '_', '~', ':', '/', '?', '#', '&', '=', and ','.",
				  text);
			return false;
		}
	}
	return true;
}

bool apigateway_read_patch(struct call *c, json_t **ret_operations)
{
	static const char *const kinds[] = {"add", "remove", "replace", "move", "copy", "test", NULL};
	json_t *operations = json_object_get(c->in, "patchOperations"), *one;
	size_t index;
	*ret_operations = NULL;
	if (!operations || json_is_null(operations))
		return true;
	if (!json_is_array(operations))
		return wrong_type(c, "patchOperations", "a list");
	json_array_foreach(operations, index, one)
	{
		const char *op = json_string_value(json_object_get(one, "op"));
		const char *path = json_string_value(json_object_get(one, "path"));
		const json_t *value = json_object_get(one, "value");
		size_t kind = 0;
		while (op && kinds[kind] && strcmp(kinds[kind], op) != 0)
			kind++;
		if (!op || !kinds[kind]) {
			call_fail(
			    c, &apigateway_error_validation,
			    "1 validation error detected: Value '%s' at 'patchOperations.%zu.member.op' failed "
			    "to satisfy constraint: Member must satisfy enum value set: [add, remove, move, test, "
			    "replace, copy]",
			    op ? op : "", index + 1);
			return false;
		}
		if (!path || *path != '/') {
			call_fail(c, &apigateway_error_bad_request, "Invalid patch path %s", path ? path : "null");
			return false;
		}
		if (value && !json_is_string(value) && !json_is_null(value))
			return wrong_type(c, "patchOperations.value", "a string");
	}
	*ret_operations = operations;
	return true;
}

bool apigateway_check_room(struct call *c, const struct gateway_api *api)
{
	if (api->stages.len < GATEWAY_STAGES_MAX)
		return true;
	call_fail(c, &apigateway_error_limit, "Maximum number of stages for this API has been reached: %d",
		  GATEWAY_STAGES_MAX);
	return false;
}

void apigateway_fail_deploy(struct call *c, enum gateway_ready why)
{
	switch (why) {
	case GATEWAY_READY:
		break;
	case GATEWAY_NO_METHODS:
		call_fail(c, &apigateway_error_bad_request, "%s",
			  c->service == SERVICE_APIGATEWAY && text_starts_with(c->request->path, "/v2/")
			      ? "At least one route is required before deploying the Api."
			      : "The REST API doesn't contain any methods");
		break;
	case GATEWAY_NO_INTEGRATION:
		call_fail(c, &apigateway_error_bad_request, "No integration defined for method");
		break;
	case GATEWAY_TOO_MANY:
		call_fail(c, &apigateway_error_limit, "Maximum number of deployments for this API has been reached: %d",
			  GATEWAY_DEPLOYMENTS_MAX);
		break;
	}
}

void apigateway_copy_fields(struct call *c, json_t *json, const char *const *keys)
{
	for (size_t i = 0; keys[i]; i++) {
		json_t *value = json_object_get(c->in, keys[i]);
		if (value && !json_is_null(value))
			json_object_set(json, keys[i], value);
	}
}

/* The position is the index of what comes next. */
static bool read_page(struct call *c, enum gateway_type type, size_t *ret_first, size_t *ret_count)
{
	bool rest = type == GATEWAY_REST;
	const char *limit = call_query(c, rest ? "limit" : "maxResults");
	const char *position = call_query(c, rest ? "position" : "nextToken");
	uint64_t count = rest ? PAGE_REST : PAGE_HTTP, first = 0;
	if (limit && (text_parse_u64(limit, INT32_MAX, &count) != 0 || !count)) {
		call_fail(c, &apigateway_error_bad_request, "Invalid limit parameter: %s", limit);
		return false;
	}
	if (position && *position &&
	    (strncmp(position, "p-", 2) != 0 || text_parse_u64(position + 2, INT32_MAX, &first) != 0)) {
		call_fail(c, &apigateway_error_bad_request, "Invalid position parameter specified");
		return false;
	}
	*ret_first = first;
	*ret_count = count < PAGE_REST_MAX ? count : PAGE_REST_MAX;
	return true;
}

void apigateway_answer_list(struct call *c, enum gateway_type type, json_t *all)
{
	bool rest = type == GATEWAY_REST;
	size_t first, count, total = json_array_size(all);
	if (read_page(c, type, &first, &count)) {
		json_t *items = json_array();
		for (size_t i = first; i < total && i - first < count; i++)
			json_array_append(items, json_array_get(all, i));
		json_t *out = json_pack("{s:o}", rest ? "item" : "items", items);
		if (first < total && total - first > count)
			json_object_set_new(out, rest ? "position" : "nextToken",
					    json_string(arena_printf(c->arena, "p-%zu", first + count)));
		call_answer_json(c, 200, out);
	}
	json_decref(all);
}
