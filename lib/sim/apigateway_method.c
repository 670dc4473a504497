/* Methods of REST resources, and their integrations. */
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "sim/apigateway.h"
#include "sim/lambda.h"

#define VERBS "GET,PUT,POST,DELETE,PATCH,OPTIONS,HEAD,ANY"

static bool is_verb(const char *text)
{
	size_t len = strlen(text);
	for (const char *at = VERBS; *at;) {
		size_t n = strcspn(at, ",");
		if (n == len && strncmp(at, text, n) == 0)
			return true;
		at += n + (at[n] == ',');
	}
	return false;
}

static bool check_authorization(struct call *c, const char *type)
{
	static const char *const known[] = {"NONE", "AWS_IAM", "CUSTOM", "COGNITO_USER_POOLS"};
	const char *authorizer = NULL;
	if (!lambda_read_text(c, "authorizerId", &authorizer))
		return false;
	/* The last two ask an authorizer. */
	for (size_t i = 0; type && i < (authorizer ? array_len(known) : 2); i++)
		if (strcmp(known[i], type) == 0)
			return true;
	if (type && (strcmp(type, "CUSTOM") == 0 || strcmp(type, "COGNITO_USER_POOLS") == 0))
		call_fail(c, &apigateway_error_bad_request,
			  "Invalid authorizer ID specified. Setting the authorization type to CUSTOM or "
			  "COGNITO_USER_POOLS requires a valid authorizer.");
	else
		call_fail(c, &apigateway_error_bad_request,
			  "Invalid Authorization type specified. Valid options are NONE,AWS_IAM,CUSTOM,"
			  "COGNITO_USER_POOLS");
	return false;
}

void apigateway_put_method(struct call *c)
{
	static const char *const kept[] = {"authorizerId",
					   "operationName",
					   "requestParameters",
					   "requestModels",
					   "requestValidatorId",
					   "authorizationScopes",
					   NULL};
	struct gateway_api *api;
	const char *type = NULL, *verb = c->segments[2];
	bool key = false;
	json_t *resource = apigateway_find_resource(c, &api);
	if (!resource || !lambda_read_text(c, "authorizationType", &type) ||
	    !lambda_read_bool(c, "apiKeyRequired", &key))
		return;
	if (!is_verb(verb)) {
		call_fail(c, &apigateway_error_bad_request, "Invalid HttpMethod specified. Valid options are " VERBS);
		return;
	}
	if (!check_authorization(c, type))
		return;
	json_t *methods = json_object_get(resource, "resourceMethods");
	if (json_object_get(methods, verb)) {
		call_fail(c, &apigateway_error_conflict, "Method already exists for this resource");
		return;
	}
	json_t *method =
	    json_pack("{s:s, s:s, s:b}", "httpMethod", verb, "authorizationType", type, "apiKeyRequired", (int)key);
	require(method);
	apigateway_copy_fields(c, method, kept);
	if (!methods) {
		methods = json_object();
		json_object_set_new(resource, "resourceMethods", methods);
	}
	json_object_set_new(methods, verb, method);
	call_answer_json(c, 201, json_incref(method));
}

void apigateway_get_method(struct call *c)
{
	struct gateway_api *api;
	json_t *method = apigateway_find_method(c, &api);
	if (method)
		call_answer_json(c, 200, json_incref(method));
}

void apigateway_delete_method(struct call *c)
{
	struct gateway_api *api;
	if (!apigateway_find_method(c, &api))
		return;
	json_t *resource = table_get(&api->resources, c->segments[1]);
	json_t *methods = json_object_get(resource, "resourceMethods");
	json_object_del(methods, c->segments[2]);
	if (!json_object_size(methods))
		json_object_del(resource, "resourceMethods");
	call_answer_bytes(c, 204, NULL, "", 0);
}

void apigateway_put_method_response(struct call *c)
{
	static const char *const kept[] = {"responseParameters", "responseModels", NULL};
	struct gateway_api *api;
	const char *status = c->segments[3];
	json_t *method = apigateway_find_method(c, &api);
	if (!method)
		return;
	if (strlen(status) != 3 || status[0] < '1' || status[0] > '5' || strspn(status, "0123456789") != 3) {
		call_fail(
		    c, &apigateway_error_validation,
		    "1 validation error detected: Value '%s' at 'statusCode' failed to satisfy constraint: Member "
		    "must satisfy regular expression pattern: [1-5]\\d\\d",
		    status);
		return;
	}
	json_t *response = json_pack("{s:s}", "statusCode", status), *all = json_object_get(method, "methodResponses");
	apigateway_copy_fields(c, response, kept);
	if (!all) {
		all = json_object();
		json_object_set_new(method, "methodResponses", all);
	}
	json_object_set_new(all, status, response);
	call_answer_json(c, 201, json_incref(response));
}

/* --- integrations --- */

static bool check_integration(struct call *c, const char *type, const char *by, const char *uri)
{
	static const char *const known[] = {"HTTP", "MOCK", "AWS_PROXY", "HTTP_PROXY", "AWS"};
	size_t i = 0;
	while (i < array_len(known) && strcmp(known[i], type) != 0)
		i++;
	if (i == array_len(known)) {
		call_fail(c, &apigateway_error_validation,
			  "1 validation error detected: Value '%s' at 'putIntegrationInput.type' failed to satisfy "
			  "constraint: Member must satisfy enum value set: [HTTP, MOCK, AWS_PROXY, HTTP_PROXY, AWS]",
			  type);
		return false;
	}
	if (strcmp(type, "MOCK") == 0)
		return true;
	if (!by || !is_verb(by)) {
		call_fail(c, &apigateway_error_bad_request, "Enumeration value for HttpMethod must be non-empty");
		return false;
	}
	bool aws = text_starts_with(type, "AWS");
	if (!uri || (aws && !text_starts_with(uri, "arn:"))) {
		call_fail(c, &apigateway_error_bad_request,
			  aws ? "Invalid ARN specified in the request" : "Invalid HTTP endpoint specified for URI");
		return false;
	}
	if (aws && !strstr(uri, ":path/") && !strstr(uri, ":action/")) {
		call_fail(c, &apigateway_error_bad_request, "AWS ARN for integration must contain path or action");
		return false;
	}
	return true;
}

void apigateway_put_integration(struct call *c)
{
	static const char *const kept[] = {"httpMethod",	  "uri",
					   "connectionType",	  "connectionId",
					   "credentials",	  "requestParameters",
					   "requestTemplates",	  "contentHandling",
					   "cacheKeyParameters",  "cacheNamespace",
					   "tlsConfig",		  "timeoutInMillis",
					   "passthroughBehavior", NULL};
	struct gateway_api *api;
	const char *type = NULL, *by = NULL, *uri = NULL;
	json_t *method = apigateway_find_method(c, &api);
	if (!method || !lambda_read_text(c, "type", &type) || !lambda_read_text(c, "httpMethod", &by) ||
	    !lambda_read_text(c, "uri", &uri) || !check_integration(c, type ? type : "", by, uri))
		return;
	const json_t *timeout = json_object_get(c->in, "timeoutInMillis");
	if (timeout && !json_is_null(timeout) &&
	    (!json_is_integer(timeout) || json_integer_value(timeout) < 50 ||
	     json_integer_value(timeout) > GATEWAY_TIMEOUT_MS)) {
		call_fail(c, &apigateway_error_bad_request, "Timeout should be between 50 ms and 29000 ms");
		return;
	}
	json_t *integration =
	    json_pack("{s:s, s:s, s:i, s:s, s:[]}", "type", type, "passthroughBehavior", "WHEN_NO_MATCH",
		      "timeoutInMillis", GATEWAY_TIMEOUT_MS, "cacheNamespace", c->segments[1], "cacheKeyParameters");
	require(integration);
	apigateway_copy_fields(c, integration, kept);
	json_object_set_new(method, "methodIntegration", integration);
	call_answer_json(c, 201, json_incref(integration));
}

static json_t *find_integration(struct call *c, json_t **ret_method)
{
	struct gateway_api *api;
	json_t *method = apigateway_find_method(c, &api);
	if (!method)
		return NULL;
	json_t *integration = json_object_get(method, "methodIntegration");
	if (!integration)
		call_fail(c, &apigateway_error_not_found, "Invalid Integration identifier specified");
	*ret_method = method;
	return integration;
}

void apigateway_get_integration(struct call *c)
{
	json_t *method, *integration = find_integration(c, &method);
	if (integration)
		call_answer_json(c, 200, json_incref(integration));
}

void apigateway_update_integration(struct call *c)
{
	json_t *method, *operations, *operation, *integration = find_integration(c, &method);
	size_t i;
	if (!integration || !apigateway_read_patch(c, &operations))
		return;
	json_t *changed = json_copy(integration);
	json_array_foreach(operations, i, operation)
	{
		const char *path = json_string_value(json_object_get(operation, "path"));
		const char *value = json_string_value(json_object_get(operation, "value"));
		uint64_t timeout = 0;
		bool times = strcmp(path, "/timeoutInMillis") == 0;
		if (strcmp(json_string_value(json_object_get(operation, "op")), "replace") != 0 || !value ||
		    (strcmp(path, "/uri") != 0 && strcmp(path, "/httpMethod") != 0 && !times) ||
		    (times && text_parse_u64(value, GATEWAY_TIMEOUT_MS, &timeout) != 0)) {
			call_fail(c, &apigateway_error_bad_request, "Invalid patch path %s", path);
			json_decref(changed);
			return;
		}
		json_object_set_new(changed, path + 1, times ? json_integer((json_int_t)timeout) : json_string(value));
	}
	json_object_set_new(method, "methodIntegration", changed);
	call_answer_json(c, 200, json_incref(changed));
}

void apigateway_delete_integration(struct call *c)
{
	json_t *method;
	if (!find_integration(c, &method))
		return;
	json_object_del(method, "methodIntegration");
	call_answer_bytes(c, 204, NULL, "", 0);
}
