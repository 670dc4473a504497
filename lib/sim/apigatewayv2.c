/* HTTP APIs, their integrations and routes. */
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "sim/apigateway.h"
#include "sim/lambda.h"

/* --- APIs --- */

static bool check_api(struct call *c, bool creating)
{
	const char *name = NULL, *protocol = NULL, *target = NULL;
	if (!lambda_read_text(c, "name", &name) || !lambda_read_text(c, "protocolType", &protocol) ||
	    !lambda_read_text(c, "target", &target))
		return false;
	if (creating ? !name || !*name : name && !*name) {
		call_fail(c, &apigateway_error_bad_request, "Name must be specified and not empty");
		return false;
	}
	if (creating && (!protocol || strcmp(protocol, "HTTP") != 0)) {
		call_fail(c, &apigateway_error_bad_request,
			  "Invalid protocol specified. rollout-localaws has HTTP APIs only");
		return false;
	}
	if (target) {
		call_fail(c, &apigateway_error_bad_request,
			  "rollout-localaws has no quick create: leave out target, and make integration, route and "
			  "stage one by one");
		return false;
	}
	return true;
}

static const char *const api_fields[] = {"description",	      "version",       "disableExecuteApiEndpoint",
					 "corsConfiguration", "ipAddressType", NULL};

void apigatewayv2_create_api(struct call *c)
{
	json_t *tags;
	if (!check_api(c, true) || !apigateway_read_texts(c, "tags", &tags))
		return;
	struct gateway_api *api =
	    gateway_add(c->w, GATEWAY_HTTP, c->region, NULL, json_string_value(json_object_get(c->in, "name")));
	if (!api) {
		call_fail(c, &apigateway_error_limit, "Maximum number of APIs has been reached: %d", GATEWAY_APIS_MAX);
		return;
	}
	apigateway_copy_fields(c, api->json, api_fields);
	if (tags)
		json_object_set(api->json, "tags", tags);
	call_answer_json(c, 201, json_incref(api->json));
}

void apigatewayv2_get_api(struct call *c)
{
	const struct gateway_api *api = apigateway_find_api(c, GATEWAY_HTTP);
	if (api)
		call_answer_json(c, 200, json_incref(api->json));
}

void apigatewayv2_get_apis(struct call *c)
{
	json_t *all = json_array();
	for (size_t i = 0; i < c->w->gateway.by_id.len; i++) {
		const struct gateway_api *api = c->w->gateway.by_id.entries[i].value;
		if (api->type == GATEWAY_HTTP)
			json_array_append(all, api->json);
	}
	apigateway_answer_list(c, GATEWAY_HTTP, all);
}

void apigatewayv2_update_api(struct call *c)
{
	struct gateway_api *api = apigateway_find_api(c, GATEWAY_HTTP);
	if (!api || !check_api(c, false))
		return;
	apigateway_copy_fields(c, api->json, api_fields);
	const char *name = json_string_value(json_object_get(c->in, "name"));
	if (name)
		gateway_rename(api, name);
	call_answer_json(c, 200, json_incref(api->json));
}

void apigatewayv2_delete_api(struct call *c)
{
	struct gateway_api *api = apigateway_find_api(c, GATEWAY_HTTP);
	if (!api)
		return;
	gateway_remove(c->w, api);
	call_answer_bytes(c, 204, NULL, "", 0);
}

/* --- what integrations and routes share --- */

static void answer_parts(struct call *c, const struct table *parts)
{
	json_t *all = json_array();
	for (size_t i = 0; i < parts->len; i++)
		json_array_append(all, parts->entries[i].value);
	apigateway_answer_list(c, GATEWAY_HTTP, all);
}

static json_t *find_part(struct call *c, const struct table *parts, const char *what)
{
	json_t *part = table_get(parts, c->segments[1]);
	if (!part)
		call_fail(c, &apigateway_error_not_found, "Invalid %s identifier specified", what);
	return part;
}

/* Takes `json`. */
static void answer_new_part(struct call *c, struct gateway_api *api, struct table *parts, const char *id_key,
			    json_t *json)
{
	if (!gateway_add_part(c->w, parts, id_key, json)) {
		call_fail(c, &apigateway_error_limit, "Maximum number of these for one API has been reached: %d",
			  GATEWAY_RESOURCES_MAX);
		return;
	}
	gateway_auto_deploy(c->w, api);
	call_answer_json(c, 201, json_incref(json));
}

/* --- integrations --- */

static const char *const integration_fields[] = {"connectionType",
						 "connectionId",
						 "credentialsArn",
						 "description",
						 "integrationMethod",
						 "integrationSubtype",
						 "integrationType",
						 "integrationUri",
						 "payloadFormatVersion",
						 "requestParameters",
						 "responseParameters",
						 "timeoutInMillis",
						 "tlsConfig",
						 NULL};

/* What the integration would be. */
static bool check_integration(struct call *c, const json_t *json)
{
	const char *type = json_string_value(json_object_get(json, "integrationType"));
	const char *uri = json_string_value(json_object_get(json, "integrationUri"));
	const char *version = json_string_value(json_object_get(json, "payloadFormatVersion"));
	const json_t *timeout = json_object_get(json, "timeoutInMillis");
	const char *why = NULL;
	if (!type || (strcmp(type, "AWS_PROXY") != 0 && strcmp(type, "HTTP_PROXY") != 0))
		why = "Integration type must be AWS_PROXY or HTTP_PROXY for HTTP APIs";
	else if (!version || (strcmp(version, "1.0") != 0 && strcmp(version, "2.0") != 0))
		why = "PayloadFormatVersion is a required parameter for integration and must be 1.0 or 2.0";
	else if (!uri || !*uri)
		why = "IntegrationUri is a required parameter for integration";
	else if (!json_is_integer(timeout) || json_integer_value(timeout) < 50 ||
		 json_integer_value(timeout) > GATEWAY_HTTP_TIMEOUT_MS)
		why = "Timeout should be between 50 ms and 30000 ms";
	if (why)
		call_fail(c, &apigateway_error_bad_request, "%s", why);
	return !why;
}

void apigatewayv2_create_integration(struct call *c)
{
	struct gateway_api *api = apigateway_find_api(c, GATEWAY_HTTP);
	if (!api)
		return;
	json_t *json =
	    json_pack("{s:s, s:i}", "connectionType", "INTERNET", "timeoutInMillis", GATEWAY_HTTP_TIMEOUT_MS);
	apigateway_copy_fields(c, json, integration_fields);
	/* Lambda is called by POST, whatever else is wanted. */
	if (!json_object_get(json, "integrationMethod"))
		json_object_set_new(json, "integrationMethod", json_string("POST"));
	if (check_integration(c, json))
		answer_new_part(c, api, &api->integrations, "integrationId", json);
	else
		json_decref(json);
}

void apigatewayv2_get_integration(struct call *c)
{
	const struct gateway_api *api = apigateway_find_api(c, GATEWAY_HTTP);
	json_t *json = api ? find_part(c, &api->integrations, "Integration") : NULL;
	if (json)
		call_answer_json(c, 200, json_incref(json));
}

void apigatewayv2_get_integrations(struct call *c)
{
	const struct gateway_api *api = apigateway_find_api(c, GATEWAY_HTTP);
	if (api)
		answer_parts(c, &api->integrations);
}

void apigatewayv2_update_integration(struct call *c)
{
	struct gateway_api *api = apigateway_find_api(c, GATEWAY_HTTP);
	json_t *json = api ? find_part(c, &api->integrations, "Integration") : NULL;
	if (!json)
		return;
	json_t *changed = json_copy(json);
	apigateway_copy_fields(c, changed, integration_fields);
	if (check_integration(c, changed)) {
		json_object_update(json, changed);
		gateway_auto_deploy(c->w, api);
		call_answer_json(c, 200, json_incref(json));
	}
	json_decref(changed);
}

void apigatewayv2_delete_integration(struct call *c)
{
	struct gateway_api *api = apigateway_find_api(c, GATEWAY_HTTP);
	json_t *json = api ? find_part(c, &api->integrations, "Integration") : NULL;
	if (!json)
		return;
	const char *target = arena_printf(c->arena, "integrations/%s", c->segments[1]);
	for (size_t i = 0; i < api->routes.len; i++) {
		const char *used = json_string_value(json_object_get(api->routes.entries[i].value, "target"));
		if (used && strcmp(used, target) == 0) {
			call_fail(c, &apigateway_error_conflict,
				  "Cannot delete Integration with id '%s': a Route has it as its target",
				  c->segments[1]);
			return;
		}
	}
	json_decref(table_remove(&api->integrations, c->segments[1]));
	gateway_auto_deploy(c->w, api);
	call_answer_bytes(c, 204, NULL, "", 0);
}

/* --- routes --- */

static const char *const route_fields[] = {"routeKey",	   "target",	    "apiKeyRequired",	   "authorizationType",
					   "authorizerId", "operationName", "authorizationScopes", NULL};

/* "$default", or "GET /hello" */
static bool route_key_ok(const char *key)
{
	static const char *const verbs[] = {"GET ", "PUT ", "POST ", "DELETE ", "PATCH ", "OPTIONS ", "HEAD ", "ANY "};
	if (strcmp(key, "$default") == 0)
		return true;
	for (size_t i = 0; i < array_len(verbs); i++)
		if (text_starts_with(key, verbs[i]))
			return key[strlen(verbs[i])] == '/' && !strchr(key + strlen(verbs[i]), ' ');
	return false;
}

static bool check_route(struct call *c, const struct gateway_api *api, const json_t *json, const json_t *itself)
{
	const char *key = json_string_value(json_object_get(json, "routeKey"));
	const char *target = json_string_value(json_object_get(json, "target"));
	if (!key || !route_key_ok(key)) {
		call_fail(c, &apigateway_error_bad_request,
			  "The provided route key is not formatted properly for HTTP protocol. Format should be "
			  "\"<HTTP METHOD> /<RESOURCE PATH>\" or \"$default\"");
		return false;
	}
	if (target && (!text_starts_with(target, "integrations/") ||
		       !table_get(&api->integrations, target + strlen("integrations/")))) {
		call_fail(c, &apigateway_error_bad_request, "Invalid target specified: %s", target);
		return false;
	}
	for (size_t i = 0; i < api->routes.len; i++) {
		const json_t *other = api->routes.entries[i].value;
		if (other != itself && strcmp(json_string_value(json_object_get(other, "routeKey")), key) == 0) {
			call_fail(c, &apigateway_error_conflict, "Route with key %s already exists for this API", key);
			return false;
		}
	}
	return true;
}

void apigatewayv2_create_route(struct call *c)
{
	struct gateway_api *api = apigateway_find_api(c, GATEWAY_HTTP);
	if (!api)
		return;
	json_t *json = json_pack("{s:b, s:s}", "apiKeyRequired", 0, "authorizationType", "NONE");
	apigateway_copy_fields(c, json, route_fields);
	if (check_route(c, api, json, NULL))
		answer_new_part(c, api, &api->routes, "routeId", json);
	else
		json_decref(json);
}

void apigatewayv2_get_route(struct call *c)
{
	const struct gateway_api *api = apigateway_find_api(c, GATEWAY_HTTP);
	json_t *json = api ? find_part(c, &api->routes, "Route") : NULL;
	if (json)
		call_answer_json(c, 200, json_incref(json));
}

void apigatewayv2_get_routes(struct call *c)
{
	const struct gateway_api *api = apigateway_find_api(c, GATEWAY_HTTP);
	if (api)
		answer_parts(c, &api->routes);
}

void apigatewayv2_update_route(struct call *c)
{
	struct gateway_api *api = apigateway_find_api(c, GATEWAY_HTTP);
	json_t *json = api ? find_part(c, &api->routes, "Route") : NULL;
	if (!json)
		return;
	json_t *changed = json_copy(json);
	apigateway_copy_fields(c, changed, route_fields);
	if (check_route(c, api, changed, json)) {
		json_object_update(json, changed);
		gateway_auto_deploy(c->w, api);
		call_answer_json(c, 200, json_incref(json));
	}
	json_decref(changed);
}

void apigatewayv2_delete_route(struct call *c)
{
	struct gateway_api *api = apigateway_find_api(c, GATEWAY_HTTP);
	json_t *json = api ? find_part(c, &api->routes, "Route") : NULL;
	if (!json)
		return;
	json_decref(table_remove(&api->routes, c->segments[1]));
	gateway_auto_deploy(c->w, api);
	call_answer_bytes(c, 204, NULL, "", 0);
}
