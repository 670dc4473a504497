/* Deployments and stages of HTTP APIs. */
#include <string.h>

#include "base/error.h"
#include "sim/apigateway.h"
#include "sim/lambda.h"

/* --- deployments --- */

void apigatewayv2_create_deployment(struct call *c)
{
	struct gateway_api *api = apigateway_find_api(c, GATEWAY_HTTP);
	struct gateway_deployment *d;
	const char *name = NULL, *description = NULL;
	if (!api || !lambda_read_text(c, "stageName", &name) || !lambda_read_text(c, "description", &description))
		return;
	struct gateway_stage *stage = name ? gateway_stage(api, name) : NULL;
	if (name && !stage) {
		call_fail(c, &apigateway_error_not_found, "Unable to find Stage by name %s within the provided API",
			  name);
		return;
	}
	if (stage && json_is_true(json_object_get(stage->json, "autoDeploy"))) {
		call_fail(c, &apigateway_error_bad_request,
			  "Deployment ID can not be set on a Stage that deploys automatically");
		return;
	}
	enum gateway_ready ready = gateway_deploy(c->w, api, description, false, &d);
	if (ready != GATEWAY_READY) {
		apigateway_fail_deploy(c, ready);
		return;
	}
	if (stage) {
		json_object_set_new(stage->json, "deploymentId", json_string(d->id));
		gateway_change_stage(c->w, stage, NULL);
	}
	call_answer_json(c, 201, json_incref(d->json));
}

void apigatewayv2_get_deployment(struct call *c)
{
	const struct gateway_api *api = apigateway_find_api(c, GATEWAY_HTTP);
	const struct gateway_deployment *d = api ? apigateway_find_deployment(c, api) : NULL;
	if (d)
		call_answer_json(c, 200, json_incref(d->json));
}

void apigatewayv2_get_deployments(struct call *c)
{
	const struct gateway_api *api = apigateway_find_api(c, GATEWAY_HTTP);
	if (!api)
		return;
	json_t *all = json_array();
	for (size_t i = 0; i < api->deployments.len; i++)
		json_array_append(all, ((struct gateway_deployment *)api->deployments.entries[i].value)->json);
	apigateway_answer_list(c, GATEWAY_HTTP, all);
}

void apigatewayv2_update_deployment(struct call *c)
{
	const struct gateway_api *api = apigateway_find_api(c, GATEWAY_HTTP);
	struct gateway_deployment *d = api ? apigateway_find_deployment(c, api) : NULL;
	const char *description = NULL;
	if (!d || !lambda_read_text(c, "description", &description))
		return;
	if (description)
		json_object_set_new(d->json, "description", json_string(description));
	call_answer_json(c, 200, json_incref(d->json));
}

void apigatewayv2_delete_deployment(struct call *c)
{
	struct gateway_api *api = apigateway_find_api(c, GATEWAY_HTTP);
	struct gateway_deployment *d = api ? apigateway_find_deployment(c, api) : NULL;
	if (!d)
		return;
	if (gateway_deployment_used(api, d->id)) {
		call_fail(c, &apigateway_error_bad_request,
			  "Active stages pointing to this deployment must be moved or deleted");
		return;
	}
	gateway_remove_deployment(api, d);
	call_answer_bytes(c, 204, NULL, "", 0);
}

/* --- stages --- */

static const char *const stage_fields[] = {
    "description", "deploymentId", "accessLogSettings", "clientCertificateId", "defaultRouteSettings", "routeSettings",
    NULL};

struct stage_wish {
	const char *deployment_id;
	json_t *variables;
	bool auto_deploy;
};

/* `auto_deploy`: as it is. */
static bool read_stage(struct call *c, const struct gateway_api *api, bool auto_deploy, struct stage_wish *ret)
{
	const char *description = NULL;
	*ret = (struct stage_wish){.auto_deploy = auto_deploy};
	if (!lambda_read_text(c, "deploymentId", &ret->deployment_id) ||
	    !lambda_read_text(c, "description", &description) ||
	    !lambda_read_bool(c, "autoDeploy", &ret->auto_deploy) ||
	    !apigateway_read_texts(c, "stageVariables", &ret->variables) ||
	    !apigateway_read_variables(c, ret->variables, true))
		return false;
	if (ret->deployment_id && ret->auto_deploy) {
		call_fail(c, &apigateway_error_bad_request,
			  "Deployment ID can not be set on a Stage that deploys automatically");
		return false;
	}
	if (ret->deployment_id && !gateway_deployment(api, ret->deployment_id)) {
		call_fail(c, &apigateway_error_not_found, "Invalid Deployment identifier specified");
		return false;
	}
	return true;
}

/* What is named is set; what is named without a value goes; the rest stays. */
static void merge_variables(json_t *into, const json_t *from)
{
	const char *name;
	json_t *value;
	json_object_foreach((json_t *)from, name, value)
	{
		if (json_string_length(value))
			json_object_set(into, name, value);
		else
			json_object_del(into, name);
	}
}

void apigatewayv2_create_stage(struct call *c)
{
	struct gateway_api *api = apigateway_find_api(c, GATEWAY_HTTP);
	const char *name = NULL;
	struct stage_wish wish;
	json_t *tags;
	if (!api || !lambda_read_text(c, "stageName", &name) || !apigateway_read_texts(c, "tags", &tags) ||
	    !read_stage(c, api, false, &wish))
		return;
	if (!name || !gateway_stage_name_ok(GATEWAY_HTTP, name)) {
		call_fail(c, &apigateway_error_bad_request,
			  "Stage name only allows a-zA-Z0-9_ and hyphens, or $default: %s", name ? name : "null");
		return;
	}
	if (gateway_stage(api, name)) {
		call_fail(c, &apigateway_error_conflict, "Stage already exists");
		return;
	}
	if (!apigateway_check_room(c, api))
		return;
	json_t *json = json_pack("{s:s, s:o, s:o, s:{s:b}, s:{}, s:{}, s:o}", "stageName", name, "createdDate",
				 gateway_time(c->w, GATEWAY_HTTP), "lastUpdatedDate", gateway_time(c->w, GATEWAY_HTTP),
				 "defaultRouteSettings", "detailedMetricsEnabled", 0, "routeSettings", "stageVariables",
				 "tags", tags ? json_incref(tags) : json_object());
	require(json);
	apigateway_copy_fields(c, json, stage_fields);
	merge_variables(json_object_get(json, "stageVariables"), wish.variables);
	if (wish.auto_deploy)
		json_object_set_new(json, "autoDeploy", json_true());
	struct gateway_stage *stage = gateway_add_stage(api, name, json);
	gateway_auto_deploy_stage(c->w, api, stage);
	call_answer_json(c, 201, json_incref(stage->json));
}

void apigatewayv2_get_stage(struct call *c)
{
	const struct gateway_api *api = apigateway_find_api(c, GATEWAY_HTTP);
	const struct gateway_stage *stage = api ? apigateway_find_stage(c, api) : NULL;
	if (stage)
		call_answer_json(c, 200, json_incref(stage->json));
}

void apigatewayv2_get_stages(struct call *c)
{
	const struct gateway_api *api = apigateway_find_api(c, GATEWAY_HTTP);
	if (!api)
		return;
	json_t *all = json_array();
	for (size_t i = 0; i < api->stages.len; i++)
		json_array_append(all, ((struct gateway_stage *)api->stages.entries[i].value)->json);
	apigateway_answer_list(c, GATEWAY_HTTP, all);
}

void apigatewayv2_update_stage(struct call *c)
{
	struct gateway_api *api = apigateway_find_api(c, GATEWAY_HTTP);
	struct gateway_stage *stage = api ? apigateway_find_stage(c, api) : NULL;
	struct stage_wish wish;
	if (!stage)
		return;
	bool automatic = json_is_true(json_object_get(stage->json, "autoDeploy"));
	if (!read_stage(c, api, automatic, &wish))
		return;
	json_t *changed = json_deep_copy(stage->json);
	apigateway_copy_fields(c, changed, stage_fields);
	merge_variables(json_object_get(changed, "stageVariables"), wish.variables);
	if (wish.auto_deploy)
		json_object_set_new(changed, "autoDeploy", json_true());
	else
		json_object_del(changed, "autoDeploy");
	gateway_change_stage(c->w, stage, changed);
	if (wish.auto_deploy && !automatic)
		gateway_auto_deploy_stage(c->w, api, stage);
	call_answer_json(c, 200, json_incref(stage->json));
}

void apigatewayv2_delete_stage(struct call *c)
{
	struct gateway_api *api = apigateway_find_api(c, GATEWAY_HTTP);
	struct gateway_stage *stage = api ? apigateway_find_stage(c, api) : NULL;
	if (!stage)
		return;
	gateway_remove_stage(api, stage);
	call_answer_bytes(c, 204, NULL, "", 0);
}
