/* Deployments and stages of REST APIs. */
#include <string.h>

#include "base/error.h"
#include "sim/apigateway.h"
#include "sim/lambda.h"

static json_t *new_stage_json(struct call *c, const char *name, const char *deployment_id)
{
	json_t *json = json_pack("{s:s, s:s, s:b, s:s, s:{}, s:b, s:o, s:o}", "stageName", name, "deploymentId",
				 deployment_id, "cacheClusterEnabled", 0, "cacheClusterStatus", "NOT_AVAILABLE",
				 "methodSettings", "tracingEnabled", 0, "createdDate", gateway_time(c->w, GATEWAY_REST),
				 "lastUpdatedDate", gateway_time(c->w, GATEWAY_REST));
	require(json);
	return json;
}

bool apigateway_read_canary(struct call *c, const struct gateway_api *api, const json_t *settings,
			    const char *deployment_id, json_t **ret)
{
	*ret = NULL;
	if (!settings || json_is_null(settings))
		return true;
	const char *own = json_string_value(json_object_get(settings, "deploymentId"));
	const json_t *percent = json_object_get(settings, "percentTraffic");
	json_t *overrides = json_object_get(settings, "stageVariableOverrides"), *value;
	const char *name;
	json_object_foreach(overrides, name, value)
	{
		if (!json_is_string(value)) {
			call_fail(c, &apigateway_error_bad_request, "Invalid stage variable value: %s", name);
			return false;
		}
	}
	if (!apigateway_read_variables(c, overrides, false))
		return false;
	if (own && !gateway_deployment(api, own)) {
		call_fail(c, &apigateway_error_bad_request, "Deployment id does not exist");
		return false;
	}
	double share = percent ? json_number_value(percent) : 0;
	if (!(share >= 0 && share <= 100)) {
		call_fail(c, &apigateway_error_bad_request,
			  "Invalid canary percentTraffic: it must be between 0.0 and 100.0");
		return false;
	}
	*ret = json_pack("{s:s, s:f, s:b}", "deploymentId", own ? own : deployment_id, "percentTraffic", share,
			 "useStageCache", json_is_true(json_object_get(settings, "useStageCache")));
	if (json_object_size(overrides))
		json_object_set(*ret, "stageVariableOverrides", overrides);
	return true;
}

/* --- deployments --- */

static bool check_canary_stage(struct call *c, const struct gateway_api *api, const char *stage)
{
	if (!stage || !*stage)
		call_fail(c, &apigateway_error_bad_request,
			  "Invalid deployment content specified.Non null and non empty stageName must be provided for "
			  "canary deployment. Provided value is %s",
			  stage ? "" : "null");
	else if (!gateway_stage(api, stage))
		call_fail(
		    c, &apigateway_error_bad_request,
		    "Invalid deployment content specified.Stage %s must already be created before making a canary "
		    "release deployment",
		    stage);
	else
		return true;
	return false;
}

/* What stands in the way of putting a deployment on that stage. */
static bool check_target(struct call *c, const struct gateway_api *api, const char *name, bool canary)
{
	if (canary && !check_canary_stage(c, api, name))
		return false;
	if (!name || !*name)
		return true;
	const struct gateway_stage *stage = gateway_stage(api, name);
	if (!stage) {
		if (!gateway_stage_name_ok(GATEWAY_REST, name)) {
			call_fail(c, &apigateway_error_bad_request, "Stage name only allows a-zA-Z0-9_ and hyphens: %s",
				  name);
			return false;
		}
		return apigateway_check_room(c, api);
	}
	if (!canary && json_object_get(stage->json, "canarySettings")) {
		call_fail(c, &apigateway_error_bad_request,
			  "Stage %s has a canary: promote or remove it before a deployment without canarySettings",
			  name);
		return false;
	}
	return true;
}

/* Takes `canary`; NULL: none. */
static void put_on_stage(struct call *c, struct gateway_api *api, const char *name, const char *deployment_id,
			 json_t *variables, json_t *canary)
{
	const char *description = json_string_value(json_object_get(c->in, "stageDescription"));
	struct gateway_stage *stage = gateway_stage(api, name);
	if (!stage)
		stage = gateway_add_stage(api, name, new_stage_json(c, name, deployment_id));
	if (canary) {
		json_object_set_new(stage->json, "canarySettings", canary);
	} else {
		json_object_set_new(stage->json, "deploymentId", json_string(deployment_id));
		if (description)
			json_object_set_new(stage->json, "description", json_string(description));
		json_t *all = json_object_get(stage->json, "variables");
		if (all && variables)
			json_object_update(all, variables);
		else if (variables && json_object_size(variables))
			json_object_set_new(stage->json, "variables", json_copy(variables));
	}
	gateway_change_stage(c->w, stage, NULL);
}

void apigateway_create_deployment(struct call *c)
{
	struct gateway_api *api = apigateway_find_api(c, GATEWAY_REST);
	struct gateway_deployment *d;
	const char *stage = NULL, *description = NULL;
	json_t *variables, *settings = json_object_get(c->in, "canarySettings"), *canary;
	if (!api || !lambda_read_text(c, "stageName", &stage) || !lambda_read_text(c, "description", &description) ||
	    !apigateway_read_texts(c, "variables", &variables) || !apigateway_read_variables(c, variables, false) ||
	    !check_target(c, api, stage, json_is_object(settings)))
		return;
	/* Read before anything is made; which deployment it is about is known only afterwards. */
	if (!apigateway_read_canary(c, api, settings, "", &canary))
		return;
	enum gateway_ready ready = gateway_deploy(c->w, api, description, false, &d);
	if (ready != GATEWAY_READY) {
		json_decref(canary);
		apigateway_fail_deploy(c, ready);
		return;
	}
	if (canary)
		json_object_set_new(canary, "deploymentId", json_string(d->id));
	if (stage && *stage)
		put_on_stage(c, api, stage, d->id, variables, canary);
	else
		json_decref(canary);
	call_answer_json(c, 201, json_incref(d->json));
}

void apigateway_get_deployment(struct call *c)
{
	const struct gateway_api *api = apigateway_find_api(c, GATEWAY_REST);
	struct gateway_deployment *d = api ? apigateway_find_deployment(c, api) : NULL;
	const char *embed = call_query(c, "embed");
	if (!d)
		return;
	json_t *shown = json_copy(d->json);
	if (embed && strcmp(embed, "apisummary") == 0)
		json_object_set(shown, "apiSummary", d->summary);
	call_answer_json(c, 200, shown);
}

void apigateway_get_deployments(struct call *c)
{
	const struct gateway_api *api = apigateway_find_api(c, GATEWAY_REST);
	if (!api)
		return;
	json_t *all = json_array();
	for (size_t i = 0; i < api->deployments.len; i++)
		json_array_append(all, ((struct gateway_deployment *)api->deployments.entries[i].value)->json);
	apigateway_answer_list(c, GATEWAY_REST, all);
}

void apigateway_delete_deployment(struct call *c)
{
	struct gateway_api *api = apigateway_find_api(c, GATEWAY_REST);
	struct gateway_deployment *d = api ? apigateway_find_deployment(c, api) : NULL;
	if (!d)
		return;
	if (gateway_deployment_used(api, d->id)) {
		call_fail(c, &apigateway_error_bad_request,
			  "Active stages pointing to this deployment must be moved or deleted");
		return;
	}
	gateway_remove_deployment(api, d);
	call_answer_bytes(c, 202, NULL, "", 0);
}

/* --- stages --- */

static bool check_new_stage(struct call *c, const struct gateway_api *api, const char *name, const char *deployment_id)
{
	if (!name || !gateway_stage_name_ok(GATEWAY_REST, name)) {
		call_fail(c, &apigateway_error_bad_request, "Stage name only allows a-zA-Z0-9_ and hyphens: %s",
			  name ? name : "null");
		return false;
	}
	if (!deployment_id || !gateway_deployment(api, deployment_id)) {
		call_fail(c, &apigateway_error_bad_request, "Deployment id does not exist");
		return false;
	}
	if (gateway_stage(api, name)) {
		call_fail(c, &apigateway_error_conflict, "Stage already exists");
		return false;
	}
	return apigateway_check_room(c, api);
}

void apigateway_create_stage(struct call *c)
{
	static const char *const kept[] = {"description", "documentationVersion", "tracingEnabled", "tags", NULL};
	struct gateway_api *api = apigateway_find_api(c, GATEWAY_REST);
	const char *name = NULL, *deployment_id = NULL, *description = NULL;
	bool tracing = false;
	json_t *variables, *tags, *canary;
	if (!api || !lambda_read_text(c, "stageName", &name) || !lambda_read_text(c, "deploymentId", &deployment_id) ||
	    !lambda_read_text(c, "description", &description) || !lambda_read_bool(c, "tracingEnabled", &tracing) ||
	    !apigateway_read_texts(c, "tags", &tags) || !apigateway_read_texts(c, "variables", &variables) ||
	    !apigateway_read_variables(c, variables, false) || !check_new_stage(c, api, name, deployment_id) ||
	    !apigateway_read_canary(c, api, json_object_get(c->in, "canarySettings"), deployment_id, &canary))
		return;
	json_t *json = new_stage_json(c, name, deployment_id);
	apigateway_copy_fields(c, json, kept);
	if (variables && json_object_size(variables))
		json_object_set(json, "variables", variables);
	if (canary)
		json_object_set_new(json, "canarySettings", canary);
	const struct gateway_stage *stage = gateway_add_stage(api, name, json);
	call_answer_json(c, 201, json_incref(stage->json));
}

void apigateway_get_stage(struct call *c)
{
	const struct gateway_api *api = apigateway_find_api(c, GATEWAY_REST);
	const struct gateway_stage *stage = api ? apigateway_find_stage(c, api) : NULL;
	if (stage)
		call_answer_json(c, 200, json_incref(stage->json));
}

void apigateway_get_stages(struct call *c)
{
	const struct gateway_api *api = apigateway_find_api(c, GATEWAY_REST);
	const char *wanted = call_query(c, "deploymentId");
	if (!api)
		return;
	json_t *all = json_array();
	for (size_t i = 0; i < api->stages.len; i++) {
		const struct gateway_stage *s = api->stages.entries[i].value;
		if (!wanted || strcmp(wanted, json_string_value(json_object_get(s->json, "deploymentId"))) == 0)
			json_array_append(all, s->json);
	}
	/* Stages have no pages. */
	call_answer_json(c, 200, json_pack("{s:o}", "item", all));
}

void apigateway_update_stage(struct call *c)
{
	const struct gateway_api *api = apigateway_find_api(c, GATEWAY_REST);
	struct gateway_stage *stage = api ? apigateway_find_stage(c, api) : NULL;
	json_t *operations;
	if (!stage || !apigateway_read_patch(c, &operations))
		return;
	/* All of the operations, or none. */
	json_t *changed = json_deep_copy(stage->json);
	if (!apigateway_patch_stage(c, api, changed, operations)) {
		json_decref(changed);
		return;
	}
	gateway_change_stage(c->w, stage, changed);
	call_answer_json(c, 200, json_incref(stage->json));
}

void apigateway_delete_stage(struct call *c)
{
	struct gateway_api *api = apigateway_find_api(c, GATEWAY_REST);
	struct gateway_stage *stage = api ? apigateway_find_stage(c, api) : NULL;
	if (!stage)
		return;
	gateway_remove_stage(api, stage);
	call_answer_bytes(c, 202, NULL, "", 0);
}
