/* UpdateStage: the paths that a patch of a REST stage may name. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "sim/apigateway.h"

#define CANARY	   "/canarySettings"
#define OVERRIDES  CANARY "/stageVariableOverrides"
#define ACCESS_LOG "/accessLogSettings"

enum op { OP_ADD, OP_REPLACE, OP_REMOVE, OP_COPY, OP_OTHER };

struct patch {
	struct call *c;
	const struct gateway_api *api;
	json_t *stage; /* what is changed */
	enum op op;
	const char *op_name;
	const char *path;
	const char *value; /* "" when there is none */
	const char *from;
};

static bool fail_path(const struct patch *p)
{
	static const char methods[] =
	    "/{resourcePath}/{httpMethod}/metrics/enabled, /{resourcePath}/{httpMethod}/logging/dataTrace, "
	    "/{resourcePath}/{httpMethod}/logging/loglevel, /{resourcePath}/{httpMethod}/throttling/burstLimit"
	    "/{resourcePath}/{httpMethod}/throttling/rateLimit/{resourcePath}/{httpMethod}/caching/ttlInSeconds, "
	    "/{resourcePath}/{httpMethod}/caching/enabled, /{resourcePath}/{httpMethod}/caching/dataEncrypted, "
	    "/{resourcePath}/{httpMethod}/caching/requireAuthorizationForCacheControl, "
	    "/{resourcePath}/{httpMethod}/caching/unauthorizedCacheControlHeaderStrategy, /*/*/metrics/enabled, "
	    "/*/*/logging/dataTrace, /*/*/logging/loglevel, /*/*/throttling/burstLimit /*/*/throttling/rateLimit "
	    "/*/*/caching/ttlInSeconds, /*/*/caching/enabled, /*/*/caching/dataEncrypted, "
	    "/*/*/caching/requireAuthorizationForCacheControl, /*/*/caching/unauthorizedCacheControlHeaderStrategy";
	call_fail(p->c, &apigateway_error_bad_request,
		  "Invalid method setting path: %s. Must be one of: [/deploymentId, /description, "
		  "/cacheClusterEnabled, /cacheClusterSize, /clientCertificateId, /accessLogSettings, "
		  "/accessLogSettings/destinationArn, /accessLogSettings/format, %s, /variables/{variable_name}, "
		  "/tracingEnabled]",
		  p->path, methods);
	return false;
}

/* AWS takes whatever it does not know for a method setting. */
static bool fail_removal(const struct patch *p)
{
	call_fail(p->c, &apigateway_error_bad_request,
		  "Cannot remove method setting %s because there is no method setting for this method ", p->path + 1);
	return false;
}

static bool fail_operation(const struct patch *p)
{
	call_fail(p->c, &apigateway_error_bad_request, "Invalid %s operation with path: %s", p->op_name, p->path);
	return false;
}

static bool fail_value(const struct patch *p)
{
	call_fail(p->c, &apigateway_error_bad_request, "Invalid value '%s' for path %s", p->value, p->path);
	return false;
}

/* The object under `key`, made if it is not there. */
static json_t *part_of(json_t *object, const char *key)
{
	json_t *part = json_object_get(object, key);
	if (!part) {
		part = json_object();
		json_object_set_new(object, key, part);
	}
	return part;
}

static bool check_deployment(const struct patch *p)
{
	if (gateway_deployment(p->api, p->value))
		return true;
	call_fail(p->c, &apigateway_error_bad_request, "Deployment id does not exist");
	return false;
}

static bool parse_bool(const char *text, bool *ret)
{
	*ret = strcmp(text, "true") == 0;
	return *ret || strcmp(text, "false") == 0;
}

/* In decimal and with at most nine digits: nothing here is larger. */
static bool parse_number(const char *text, double max, double *ret)
{
	size_t len = strlen(text);
	if (!len || len > 12 || strspn(text, "0123456789.") != len)
		return false;
	char *end;
	*ret = strtod(text, &end);
	return !*end && *ret <= max;
}

/* --- variables --- */

/* `owner`'s map under `key`, whose entry `name` is meant. */
static bool patch_variable(const struct patch *p, json_t *owner, const char *key, const char *name)
{
	json_t *all = json_object_get(owner, key);
	if (p->op == OP_REMOVE) {
		if (json_object_del(all, name) != 0)
			return fail_removal(p);
		if (!json_object_size(all))
			json_object_del(owner, key);
		return true;
	}
	json_t *one = json_pack("{s:s}", name, p->value);
	bool good = apigateway_read_variables(p->c, one, false);
	if (good && json_object_size(all) >= GATEWAY_VARIABLES_MAX && !json_object_get(all, name)) {
		call_fail(p->c, &apigateway_error_limit, "Maximum number of stage variables has been reached: %d",
			  GATEWAY_VARIABLES_MAX);
		good = false;
	}
	if (good)
		json_object_update(part_of(owner, key), one);
	json_decref(one);
	return good;
}

/* --- canary --- */

static bool remove_canary(const struct patch *p)
{
	json_t *canary = json_object_get(p->stage, "canarySettings");
	if (strcmp(p->path, CANARY) == 0 && canary) {
		json_object_del(p->stage, "canarySettings");
		return true;
	}
	if (strcmp(p->path, OVERRIDES) == 0 && json_object_del(canary, "stageVariableOverrides") == 0)
		return true;
	if (text_starts_with(p->path, OVERRIDES "/") && canary)
		return patch_variable(p, canary, "stageVariableOverrides", p->path + strlen(OVERRIDES "/"));
	return fail_removal(p);
}

static bool patch_canary(const struct patch *p)
{
	const char *what = p->path + strlen(CANARY);
	bool deployment = strcmp(what, "/deploymentId") == 0, percent = strcmp(what, "/percentTraffic") == 0;
	bool cache = strcmp(what, "/useStageCache") == 0, variable = text_starts_with(p->path, OVERRIDES "/");
	double share = 0;
	bool uses = false;
	if (p->op == OP_REMOVE)
		return remove_canary(p);
	if (!deployment && !percent && !cache && !variable)
		return fail_path(p);
	if (p->op == OP_ADD && !variable)
		return fail_operation(p);
	if (deployment && !check_deployment(p))
		return false;
	if (percent && !parse_number(p->value, 100, &share))
		return fail_value(p);
	if (cache && !parse_bool(p->value, &uses))
		return fail_value(p);
	json_t *canary = json_object_get(p->stage, "canarySettings");
	if (!canary) {
		/* A canary of a stage that had none begins with what the stage serves, and without traffic. */
		canary = json_pack("{s:O, s:f, s:b}", "deploymentId", json_object_get(p->stage, "deploymentId"),
				   "percentTraffic", 0.0, "useStageCache", 0);
		json_object_set_new(p->stage, "canarySettings", canary);
	}
	if (deployment)
		json_object_set_new(canary, "deploymentId", json_string(p->value));
	if (percent)
		json_object_set_new(canary, "percentTraffic", json_real(share));
	if (cache)
		json_object_set_new(canary, "useStageCache", json_boolean(uses));
	return !variable || patch_variable(p, canary, "stageVariableOverrides", p->path + strlen(OVERRIDES "/"));
}

/* Promotion. */
static bool patch_copy(const struct patch *p)
{
	bool deployment = strcmp(p->path, "/deploymentId") == 0 && strcmp(p->from, CANARY "/deploymentId") == 0;
	bool variables = strcmp(p->path, "/variables") == 0 && strcmp(p->from, OVERRIDES) == 0;
	json_t *canary = json_object_get(p->stage, "canarySettings");
	if (!deployment && !variables) {
		call_fail(p->c, &apigateway_error_bad_request,
			  "Invalid copy operation with path: %s and from %s. Valid copy:path are [/deploymentId, "
			  "/variables] and valid copy:from are [/canarySettings/deploymentId, "
			  "/canarySettings/stageVariableOverrides]",
			  p->path, p->from);
		return false;
	}
	if (!canary) {
		call_fail(p->c, &apigateway_error_bad_request, "Promotion not available. Canary does not exist.");
		return false;
	}
	if (deployment)
		json_object_set(p->stage, "deploymentId", json_object_get(canary, "deploymentId"));
	json_t *overrides = json_object_get(canary, "stageVariableOverrides");
	if (variables && overrides)
		json_object_update(part_of(p->stage, "variables"), overrides);
	return true;
}

/* --- access log --- */

static bool patch_access_log(const struct patch *p)
{
	const char *what = p->path + strlen(ACCESS_LOG);
	bool known = strcmp(what, "/destinationArn") == 0 || strcmp(what, "/format") == 0;
	if (p->op == OP_REMOVE) {
		if (!*what && json_object_del(p->stage, "accessLogSettings") == 0)
			return true;
		return fail_removal(p);
	}
	if (!known) {
		call_fail(p->c, &apigateway_error_bad_request,
			  "Invalid accessLogSettings path. Must be one of : [/accessLogSettings/destinationArn, "
			  "/accessLogSettings/format]");
		return false;
	}
	if (!*p->value) {
		call_fail(p->c, &apigateway_error_bad_request, "Access Log value must not be empty");
		return false;
	}
	json_object_set_new(part_of(p->stage, "accessLogSettings"), what + 1, json_string(p->value));
	return true;
}

/* --- settings of methods --- */

enum setting_kind { SETTING_BOOL, SETTING_WHOLE, SETTING_NUMBER, SETTING_TEXT };

static const struct method_setting {
	const char *path;
	const char *key;
	enum setting_kind kind;
} settings[] = {
    {"metrics/enabled", "metricsEnabled", SETTING_BOOL},
    {"logging/dataTrace", "dataTraceEnabled", SETTING_BOOL},
    {"logging/loglevel", "loggingLevel", SETTING_TEXT},
    {"throttling/burstLimit", "throttlingBurstLimit", SETTING_WHOLE},
    {"throttling/rateLimit", "throttlingRateLimit", SETTING_NUMBER},
    {"caching/enabled", "cachingEnabled", SETTING_BOOL},
    {"caching/ttlInSeconds", "cacheTtlInSeconds", SETTING_WHOLE},
    {"caching/dataEncrypted", "cacheDataEncrypted", SETTING_BOOL},
    {"caching/requireAuthorizationForCacheControl", "requireAuthorizationForCacheControl", SETTING_BOOL},
    {"caching/unauthorizedCacheControlHeaderStrategy", "unauthorizedCacheControlHeaderStrategy", SETTING_TEXT},
};

/* What a method has that somebody set one thing of. */
static json_t *new_settings(void)
{
	return json_pack("{s:b, s:b, s:s, s:i, s:f, s:b, s:i, s:b, s:b, s:s}", "metricsEnabled", 0, "dataTraceEnabled",
			 0, "loggingLevel", "OFF", "throttlingBurstLimit", 5000, "throttlingRateLimit", 10000.0,
			 "cachingEnabled", 0, "cacheTtlInSeconds", 300, "cacheDataEncrypted", 0,
			 "requireAuthorizationForCacheControl", 1, "unauthorizedCacheControlHeaderStrategy",
			 "SUCCEED_WITH_RESPONSE_HEADER");
}

static json_t *setting_value(const struct patch *p, const struct method_setting *s)
{
	double number = 0;
	bool flag = false;
	switch (s->kind) {
	case SETTING_BOOL:
		return parse_bool(p->value, &flag) ? json_boolean(flag) : NULL;
	case SETTING_WHOLE:
		return parse_number(p->value, 1e9, &number) ? json_integer((json_int_t)number) : NULL;
	case SETTING_NUMBER:
		return parse_number(p->value, 1e9, &number) ? json_real(number) : NULL;
	case SETTING_TEXT:
		return *p->value ? json_string(p->value) : NULL;
	}
	return NULL;
}

/* "/~1hello/GET/throttling/rateLimit": the setting of "hello/GET"; "~1" stands for a slash of the resource's path. */
static bool patch_method(const struct patch *p)
{
	const char *at = p->path + (text_starts_with(p->path, "/~1") && p->path[3] != '/' ? 3 : 1);
	size_t path = strcspn(at, "/"), verb = at[path] ? strcspn(at + path + 1, "/") : 0;
	const char *rest = at + path + (at[path] == '/') + verb;
	const char *method = arena_strndup(p->c->arena, at, (size_t)(rest - at));
	json_t *all = part_of(p->stage, "methodSettings");
	if (p->op == OP_REMOVE)
		return !*rest && json_object_del(all, method) == 0 ? true : fail_removal(p);
	for (size_t i = 0; verb && *rest && i < array_len(settings); i++) {
		if (strcmp(settings[i].path, rest + 1) != 0)
			continue;
		json_t *value = setting_value(p, &settings[i]);
		if (!value)
			return fail_value(p);
		if (!json_object_get(all, method))
			json_object_set_new(all, method, new_settings());
		json_object_set_new(json_object_get(all, method), settings[i].key, value);
		return true;
	}
	return fail_path(p);
}

/* --- all paths --- */

static bool patch_text(const struct patch *p)
{
	if (strcmp(p->path, "/deploymentId") == 0 && (p->op != OP_REPLACE || !check_deployment(p)))
		return p->op == OP_REPLACE ? false : fail_operation(p);
	if (p->op == OP_REMOVE)
		json_object_del(p->stage, p->path + 1);
	else
		json_object_set_new(p->stage, p->path + 1, json_string(p->value));
	return true;
}

static bool patch_flag(const struct patch *p)
{
	bool flag;
	if (p->op != OP_REPLACE)
		return fail_operation(p);
	if (!parse_bool(p->value, &flag))
		return fail_value(p);
	json_object_set_new(p->stage, p->path + 1, json_boolean(flag));
	return true;
}

static bool is_under(const char *path, const char *top)
{
	size_t len = strlen(top);
	return strncmp(path, top, len) == 0 && (!path[len] || path[len] == '/');
}

static bool apply_patch(const struct patch *p)
{
	static const char *const texts[] = {"/deploymentId", "/description", "/cacheClusterSize",
					    "/clientCertificateId", "/documentationVersion"};
	static const char *const flags[] = {"/tracingEnabled", "/cacheClusterEnabled"};
	if (p->op == OP_COPY)
		return patch_copy(p);
	if (p->op == OP_OTHER)
		return fail_operation(p);
	for (size_t i = 0; i < array_len(texts); i++)
		if (strcmp(p->path, texts[i]) == 0)
			return patch_text(p);
	for (size_t i = 0; i < array_len(flags); i++)
		if (strcmp(p->path, flags[i]) == 0)
			return patch_flag(p);
	if (text_starts_with(p->path, "/variables/"))
		return patch_variable(p, p->stage, "variables", p->path + strlen("/variables/"));
	if (is_under(p->path, CANARY))
		return patch_canary(p);
	if (is_under(p->path, ACCESS_LOG))
		return patch_access_log(p);
	return patch_method(p);
}

static enum op op_of(const char *name)
{
	static const char *const names[] = {"add", "replace", "remove", "copy"};
	for (size_t i = 0; i < array_len(names); i++)
		if (strcmp(names[i], name) == 0)
			return (enum op)i;
	return OP_OTHER;
}

static const char *text_of(const json_t *operation, const char *key)
{
	const char *text = json_string_value(json_object_get(operation, key));
	return text ? text : "";
}

bool apigateway_patch_stage(struct call *c, const struct gateway_api *api, json_t *json, const json_t *operations)
{
	for (size_t i = 0; i < json_array_size(operations); i++) {
		const json_t *one = json_array_get(operations, i);
		struct patch p = {.c = c,
				  .api = api,
				  .stage = json,
				  .op = op_of(text_of(one, "op")),
				  .op_name = text_of(one, "op"),
				  .path = text_of(one, "path"),
				  .value = text_of(one, "value"),
				  .from = text_of(one, "from")};
		if (!apply_patch(&p))
			return false;
	}
	return true;
}
