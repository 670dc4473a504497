/*
 * API Gateway's operations on REST APIs (2015-07-09) and on HTTP APIs (v2, 2018-11-29). Rules, statuses and texts are
 * recorded from the real service, as far as there are recordings; docs/localaws.md says what is missing.
 */
#pragma once

#include "sim/call.h"

extern const struct call_error apigateway_error_bad_request;
extern const struct call_error apigateway_error_not_found;
extern const struct call_error apigateway_error_conflict;
extern const struct call_error apigateway_error_limit;
extern const struct call_error apigateway_error_validation;

/* The functions below answer with an error and return NULL or false when the request will not do. */

/* The API of the path's first segment. */
struct gateway_api *apigateway_find_api(struct call *c, enum gateway_type type);
/* REST: the resource of the second segment; an API that is absent is told like an absent resource. */
json_t *apigateway_find_resource(struct call *c, struct gateway_api **ret_api);
/* REST: the method of the third. */
json_t *apigateway_find_method(struct call *c, struct gateway_api **ret_api);
/* The deployment or stage of the second segment. */
struct gateway_deployment *apigateway_find_deployment(struct call *c, const struct gateway_api *api);
struct gateway_stage *apigateway_find_stage(struct call *c, const struct gateway_api *api);

/* A JSON object of texts under `key`; *ret NULL when absent. */
bool apigateway_read_texts(struct call *c, const char *key, json_t **ret);
/* Stage variables under `key`: names and values as they may be. `removing`: an empty value is one. */
bool apigateway_read_variables(struct call *c, const json_t *variables, bool removing);
bool apigateway_read_patch(struct call *c, json_t **ret_operations);
bool apigateway_check_room(struct call *c, const struct gateway_api *api); /* for one more stage */
void apigateway_fail_deploy(struct call *c, enum gateway_ready why);

/* The page that was asked for: `limit` and `position` for REST APIs, `maxResults` and `nextToken` for HTTP APIs. Takes
 * the array. */
void apigateway_answer_list(struct call *c, enum gateway_type type, json_t *all);

/* An object's fields that come as they are: those of `keys` that the body has go into `json`; null is passed over. */
void apigateway_copy_fields(struct call *c, json_t *json, const char *const *keys);

/* REST stages: one patch after another, into `json`. */
bool apigateway_patch_stage(struct call *c, const struct gateway_api *api, json_t *json, const json_t *operations);
/* CanarySettings of a body, completed; false after an error. */
bool apigateway_read_canary(struct call *c, const struct gateway_api *api, const json_t *settings,
			    const char *deployment_id, json_t **ret);

void apigateway_create_rest_api(struct call *c);
void apigateway_get_rest_api(struct call *c);
void apigateway_get_rest_apis(struct call *c);
void apigateway_update_rest_api(struct call *c);
void apigateway_delete_rest_api(struct call *c);
void apigateway_create_resource(struct call *c);
void apigateway_get_resource(struct call *c);
void apigateway_get_resources(struct call *c);
void apigateway_delete_resource(struct call *c);
void apigateway_put_method(struct call *c);
void apigateway_get_method(struct call *c);
void apigateway_delete_method(struct call *c);
void apigateway_put_method_response(struct call *c);
void apigateway_put_integration(struct call *c);
void apigateway_get_integration(struct call *c);
void apigateway_update_integration(struct call *c);
void apigateway_delete_integration(struct call *c);
void apigateway_create_deployment(struct call *c);
void apigateway_get_deployment(struct call *c);
void apigateway_get_deployments(struct call *c);
void apigateway_delete_deployment(struct call *c);
void apigateway_create_stage(struct call *c);
void apigateway_get_stage(struct call *c);
void apigateway_get_stages(struct call *c);
void apigateway_update_stage(struct call *c);
void apigateway_delete_stage(struct call *c);

void apigatewayv2_create_api(struct call *c);
void apigatewayv2_get_api(struct call *c);
void apigatewayv2_get_apis(struct call *c);
void apigatewayv2_update_api(struct call *c);
void apigatewayv2_delete_api(struct call *c);
void apigatewayv2_create_integration(struct call *c);
void apigatewayv2_get_integration(struct call *c);
void apigatewayv2_get_integrations(struct call *c);
void apigatewayv2_update_integration(struct call *c);
void apigatewayv2_delete_integration(struct call *c);
void apigatewayv2_create_route(struct call *c);
void apigatewayv2_get_route(struct call *c);
void apigatewayv2_get_routes(struct call *c);
void apigatewayv2_update_route(struct call *c);
void apigatewayv2_delete_route(struct call *c);
void apigatewayv2_create_deployment(struct call *c);
void apigatewayv2_get_deployment(struct call *c);
void apigatewayv2_get_deployments(struct call *c);
void apigatewayv2_update_deployment(struct call *c);
void apigatewayv2_delete_deployment(struct call *c);
void apigatewayv2_create_stage(struct call *c);
void apigatewayv2_get_stage(struct call *c);
void apigatewayv2_get_stages(struct call *c);
void apigatewayv2_update_stage(struct call *c);
void apigatewayv2_delete_stage(struct call *c);
