/* APIs of a world file: whole chains, or half of them, as somebody made them by hand before. */
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "sim/reader.h"
#include "sim/settings.h"

#define PATH_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:{}+/"

struct api_wish {
	const char *name;
	enum gateway_type type;
	const char *id;
	const char *function;
	const char *variable;
	const struct node *routes;
	const struct node *stages;
};

struct stage_wish {
	const char *name;
	const char *alias;
	bool deployed;
	bool permitted;
};

/* --- reading --- */

/* "GET /pets/{id}"; *ret_path points into the text, *ret_len is the method's. */
static bool read_route(const struct node *n, enum gateway_type type, size_t *ret_len, const char **ret_path,
		       struct diags *d)
{
	static const char *const verbs[] = {"GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "HEAD", "ANY"};
	const char *text = NULL;
	if (!reader_text(n, 512, &text, d))
		return false;
	size_t len = strcspn(text, " "), i = 0;
	while (i < array_len(verbs) && (strlen(verbs[i]) != len || strncmp(verbs[i], text, len) != 0))
		i++;
	const char *path = text + len + (text[len] == ' ');
	if (type == GATEWAY_HTTP && strcmp(text, "$default") == 0)
		path = "/";
	else if (i == array_len(verbs) || *path != '/' || strspn(path, PATH_CHARS) != strlen(path) ||
		 strstr(path, "//") || (path[1] && text_ends_with(path, "/"))) {
		reader_error(n, d, "`%s` is no route: a method or ANY, a space, and a path, such as GET /hello", text);
		return false;
	}
	*ret_len = len;
	*ret_path = path;
	return true;
}

static bool read_stage(const struct node *n, enum gateway_type type, struct stage_wish *ret, struct diags *d)
{
	static const char *const keys[] = {"alias", "deployed", "permitted", NULL};
	size_t before = d->errors;
	*ret = (struct stage_wish){.name = n->key, .deployed = true, .permitted = true};
	if (!gateway_stage_name_ok(type, n->key)) {
		reader_key_error(n, d, "`%s` is no name for a stage: letters, digits, - and _%s", n->key,
				 type == GATEWAY_HTTP ? ", or $default" : "");
		return false;
	}
	if (!reader_mapping(n, "a stage", keys, d))
		return false;
	reader_text(node_get(n, "alias"), 128, &ret->alias, d);
	reader_bool(node_get(n, "deployed"), &ret->deployed, d);
	reader_bool(node_get(n, "permitted"), &ret->permitted, d);
	if (ret->alias && !gateway_variable_value_ok(ret->alias))
		reader_error(node_get(n, "alias"), d, "a stage variable cannot hold `%s`", ret->alias);
	if (!ret->deployed && type == GATEWAY_REST)
		reader_error(n, d, "a stage of a REST API always has a deployment");
	return d->errors == before;
}

static bool read_api(const struct world *w, const struct node *n, struct api_wish *ret, struct diags *d)
{
	static const char *const keys[] = {"type", "id", "function", "stage_variable", "routes", "stages", NULL};
	static const char *const types[] = {"rest", "http", NULL};
	size_t before = d->errors, type = 0;
	*ret = (struct api_wish){.name = n->key, .variable = "lambdaAlias"};
	if (!reader_mapping(n, "an API", keys, d) || !reader_choice(node_get(n, "type"), types, &type, d))
		return false;
	ret->type = (enum gateway_type)type;
	ret->routes = node_get(n, "routes");
	ret->stages = node_get(n, "stages");
	reader_text(node_get(n, "id"), GATEWAY_ID_SIZE - 1, &ret->id, d);
	reader_text(node_get(n, "function"), 64, &ret->function, d);
	reader_text(node_get(n, "stage_variable"), 64, &ret->variable, d);
	if (!ret->function || !model_function(w, ret->function))
		reader_error(n, d, "an API needs `function`: one that is in the world");
	if (!gateway_variable_name_ok(ret->variable))
		reader_error(n, d, "`stage_variable` has letters, digits and _");
	if (ret->id && strspn(ret->id, "abcdefghijklmnopqrstuvwxyz0123456789") != strlen(ret->id))
		reader_error(node_get(n, "id"), d, "`id` has small letters and digits");
	else if (ret->id && table_get(&w->gateway.by_id, ret->id))
		reader_error(node_get(n, "id"), d, "there is an API with the id %s already", ret->id);
	if (ret->routes && reader_sequence(ret->routes, "a list of routes", d))
		for (const struct node *r = ret->routes->first; r; r = r->next) {
			size_t len;
			const char *path;
			(void)read_route(r, ret->type, &len, &path, d);
		}
	if (ret->stages && ret->stages->kind != NODE_MAPPING)
		reader_error(ret->stages, d, "`stages` must be a mapping from names to stages");
	else if (ret->stages && ret->stages->n_children > GATEWAY_STAGES_MAX)
		reader_error(ret->stages, d, "an API has %d stages at most", GATEWAY_STAGES_MAX);
	else if (ret->stages)
		for (const struct node *s = ret->stages->first; s; s = s->next) {
			struct stage_wish stage;
			(void)read_stage(s, ret->type, &stage, d);
		}
	return d->errors == before;
}

/* --- making --- */

/* The resource of that path, with all above it. NULL when there are too many. */
static json_t *find_or_add_resource(struct world *w, struct gateway_api *api, const char *path)
{
	const char *parent = api->root_id;
	json_t *resource = table_get(&api->resources, parent);
	while (resource && path[1]) {
		size_t len = strcspn(++path, "/");
		cleanup(mem_free_p) char *part = mem_strndup(path, len);
		json_t *child = gateway_child(api, parent, part);
		resource = child ? child : gateway_add_resource(w, api, parent, part);
		parent = json_string_value(json_object_get(resource, "id"));
		path += len;
		if (!*path)
			break;
	}
	return resource;
}

static json_t *new_method(const char *verb, const char *uri)
{
	return json_pack("{s:s, s:s, s:b, s:{s:s, s:s, s:s, s:s, s:i, s:s, s:[]}}", "httpMethod", verb,
			 "authorizationType", "NONE", "apiKeyRequired", 0, "methodIntegration", "type", "AWS_PROXY",
			 "httpMethod", "POST", "uri", uri, "passthroughBehavior", "WHEN_NO_MATCH", "timeoutInMillis",
			 GATEWAY_TIMEOUT_MS, "cacheNamespace", "localaws", "cacheKeyParameters");
}

static bool add_rest_route(struct world *w, struct gateway_api *api, const char *verb, const char *path,
			   const char *uri)
{
	json_t *resource = find_or_add_resource(w, api, path);
	if (!resource)
		return false;
	json_t *methods = json_object_get(resource, "resourceMethods");
	if (!methods) {
		methods = json_object();
		json_object_set_new(resource, "resourceMethods", methods);
	}
	json_object_set_new(methods, verb, new_method(verb, uri));
	return true;
}

static bool add_http_route(struct world *w, struct gateway_api *api, const char *key)
{
	const char *integration = api->integrations.len ? api->integrations.entries[0].key : "";
	cleanup(mem_free_p) char *target = mem_printf("integrations/%s", integration);
	return gateway_add_part(w, &api->routes, "routeId",
				json_pack("{s:b, s:s, s:s, s:s}", "apiKeyRequired", 0, "authorizationType", "NONE",
					  "routeKey", key, "target", target));
}

static void add_routes(struct world *w, struct gateway_api *api, const struct api_wish *wish, struct diags *d)
{
	cleanup(mem_free_p) char *uri =
	    mem_printf("arn:aws:apigateway:%s:lambda:path/2015-03-31/functions/arn:aws:lambda:%s:" WORLD_ACCOUNT
		       ":function:%s:${stageVariables.%s}/invocations",
		       api->region, api->region, wish->function, wish->variable);
	if (api->type == GATEWAY_HTTP && wish->routes)
		(void)gateway_add_part(w, &api->integrations, "integrationId",
				       json_pack("{s:s, s:s, s:s, s:s, s:s, s:i}", "connectionType", "INTERNET",
						 "integrationType", "AWS_PROXY", "integrationMethod", "POST",
						 "integrationUri", uri, "payloadFormatVersion", "2.0",
						 "timeoutInMillis", GATEWAY_HTTP_TIMEOUT_MS));
	for (const struct node *n = wish->routes ? wish->routes->first : NULL; n; n = n->next) {
		size_t len;
		const char *path;
		if (!read_route(n, wish->type, &len, &path, d))
			return;
		cleanup(mem_free_p) char *verb = mem_strndup(n->text, len);
		bool added = wish->type == GATEWAY_REST ? add_rest_route(w, api, verb, path, uri)
							: add_http_route(w, api, n->text);
		if (!added) {
			reader_error(n, d, "an API has %d resources or routes at most", GATEWAY_RESOURCES_MAX);
			return;
		}
	}
}

/* As AddPermission writes it. */
static void add_permission(struct world *w, const struct gateway_api *api, struct function *f,
			   const struct stage_wish *wish)
{
	/* A statement's id has no '$'. */
	cleanup(mem_free_p) char *sid = mem_printf("%s-%s", api->id, wish->name + (*wish->name == '$'));
	cleanup(mem_free_p) char *source =
	    mem_printf("arn:aws:execute-api:%s:" WORLD_ACCOUNT ":%s/%s/*", api->region, api->id, wish->name);
	cleanup(mem_free_p) char *resource =
	    mem_printf("arn:aws:lambda:%s:" WORLD_ACCOUNT ":function:%s:%s", api->region, f->name, wish->alias);
	struct policy *p = model_policy(f, wish->alias);
	if (!p)
		p = model_add_policy(f, wish->alias);
	json_array_append_new(p->statements,
			      json_pack("{s:s, s:s, s:{s:s}, s:s, s:s, s:{s:{s:s}}}", "Sid", sid, "Effect", "Allow",
					"Principal", "Service", "apigateway.amazonaws.com", "Action",
					"lambda:InvokeFunction", "Resource", resource, "Condition", "ArnLike",
					"AWS:SourceArn", source));
	model_uuid(w, p->revision);
}

static void add_stage(struct world *w, struct gateway_api *api, const struct api_wish *api_wish,
		      const struct stage_wish *wish, const struct gateway_deployment *deployment)
{
	bool rest = api->type == GATEWAY_REST;
	json_t *json = json_pack("{s:s, s:o, s:o}", "stageName", wish->name, "createdDate", gateway_time(w, api->type),
				 "lastUpdatedDate", gateway_time(w, api->type));
	if (rest)
		json_object_update_new(json, json_pack("{s:b, s:s, s:{}, s:b}", "cacheClusterEnabled", 0,
						       "cacheClusterStatus", "NOT_AVAILABLE", "methodSettings",
						       "tracingEnabled", 0));
	else
		json_object_update_new(json, json_pack("{s:{s:b}, s:{}, s:{}, s:{}}", "defaultRouteSettings",
						       "detailedMetricsEnabled", 0, "routeSettings", "stageVariables",
						       "tags"));
	if (wish->deployed && deployment)
		json_object_set_new(json, "deploymentId", json_string(deployment->id));
	if (wish->alias)
		json_object_set_new(json, rest ? "variables" : "stageVariables",
				    json_pack("{s:s}", api_wish->variable, wish->alias));
	gateway_add_stage(api, wish->name, json);
	if (wish->alias && wish->permitted)
		add_permission(w, api, model_function(w, api_wish->function), wish);
}

static void apply_api(struct world *w, const struct node *n, const struct api_wish *wish, struct diags *d)
{
	size_t before = d->errors;
	struct gateway_api *api = gateway_add(w, wish->type, "us-east-1", wish->id, wish->name);
	struct gateway_deployment *deployment = NULL;
	if (!api) {
		reader_error(n, d, "there are %d APIs already, the most there may be", GATEWAY_APIS_MAX);
		return;
	}
	add_routes(w, api, wish, d);
	if (d->errors == before && gateway_deploy(w, api, NULL, false, &deployment) != GATEWAY_READY && wish->stages &&
	    wish->type == GATEWAY_REST)
		reader_error(n, d, "stages of a REST API need a deployment, and that needs `routes`");
	for (const struct node *s = wish->stages ? wish->stages->first : NULL; s && d->errors == before; s = s->next) {
		struct stage_wish stage;
		if (read_stage(s, wish->type, &stage, d))
			add_stage(w, api, wish, &stage, deployment);
	}
	if (d->errors != before)
		gateway_remove(w, api);
}

bool settings_apis(struct world *w, const struct node *n, struct diags *d)
{
	size_t before = d->errors;
	struct api_wish wish;
	if (n->kind != NODE_MAPPING) {
		reader_error(n, d, "`apis` must be a mapping from names to APIs");
		return false;
	}
	for (const struct node *api = n->first; api; api = api->next)
		(void)read_api(w, api, &wish, d);
	for (const struct node *api = n->first; api && d->errors == before; api = api->next)
		if (read_api(w, api, &wish, d))
			apply_api(w, api, &wish, d);
	return d->errors == before;
}
