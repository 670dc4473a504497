/* Requests that change. What a change holds for which kind is written down at struct change. */
#include <string.h>

#include "aws/answer.h"
#include "aws/apigateway.h"
#include "aws/apigateway_wire.h"
#include "aws/request.h"
#include "base/error.h"

/* What a request is made from. */
struct making {
	struct arena *arena;
	const struct aws_endpoint *endpoint;
	const struct service_api *api;
	const struct chain_view *view;
	const struct change *change;
	const char *uri; /* of the integration */
};

static void finish(const struct making *m, const char *method, const char *const *segments, struct buf *body,
		   struct http_request *ret)
{
	apigateway_init_request(ret, m->arena, m->endpoint, m->api->type, method, segments, NULL);
	buf_add_char(body, '}');
	request_take_json(ret, m->arena, body);
}

static const struct service_route *route_of(const struct making *m)
{
	require(m->change->index < m->api->n_routes);
	return &m->api->routes[m->change->index];
}

static void build_create_api(const struct making *m, struct buf *b, struct http_request *ret)
{
	const char *const segments[] = {NULL};
	request_add_member(b, "name", m->api->name);
	if (m->api->type == API_REST) {
		request_add_key(b, "endpointConfiguration");
		buf_add_text(b, "{\"types\":[\"REGIONAL\"]}");
	} else {
		request_add_member(b, "protocolType", "HTTP");
	}
	finish(m, "POST", segments, b, ret);
}

static void build_create_resource(const struct making *m, struct buf *b, struct http_request *ret)
{
	const char *const segments[] = {m->view->api.id, "resources", m->change->parent, NULL};
	const char *slash = strrchr(m->change->key, '/');
	request_add_member(b, "pathPart", slash ? slash + 1 : m->change->key);
	finish(m, "POST", segments, b, ret);
}

static void build_put_method(const struct making *m, struct buf *b, struct http_request *ret)
{
	const char *const segments[] = {m->view->api.id, "resources",	      m->change->parent,
					"methods",	 route_of(m)->method, NULL};
	request_add_member(b, "authorizationType", "NONE");
	finish(m, "PUT", segments, b, ret);
}

static void build_put_integration(const struct making *m, struct buf *b, struct http_request *ret)
{
	const char *const segments[] = {m->view->api.id, "resources", m->change->parent, "methods", route_of(m)->method,
					"integration",	 NULL};
	request_add_member(b, "type", "AWS_PROXY");
	request_add_member(b, "httpMethod", "POST"); /* Lambda's, whatever the caller's is */
	request_add_member(b, "uri", m->uri);
	finish(m, "PUT", segments, b, ret);
}

static void build_create_integration(const struct making *m, struct buf *b, struct http_request *ret)
{
	const char *const segments[] = {m->view->api.id, "integrations", NULL};
	request_add_member(b, "integrationType", "AWS_PROXY");
	request_add_member(b, "integrationUri", m->uri);
	request_add_member(b, "payloadFormatVersion", "2.0");
	request_add_member(b, "integrationMethod", "POST");
	finish(m, "POST", segments, b, ret);
}

static void build_route(const struct making *m, struct buf *b, struct http_request *ret)
{
	bool update = m->change->kind == CHANGE_UPDATE_ROUTE;
	const char *const segments[] = {m->view->api.id, "routes", update ? m->change->id : NULL, NULL};
	if (!update) {
		const struct service_route *route = route_of(m);
		request_add_member(b, "routeKey", arena_printf(m->arena, "%s %s", route->method, route->path));
	}
	request_add_member(b, "target", arena_printf(m->arena, "integrations/%s", m->change->parent));
	finish(m, update ? "PATCH" : "POST", segments, b, ret);
}

static void build_create_deployment(const struct making *m, struct buf *b, struct http_request *ret)
{
	const char *const segments[] = {m->view->api.id, "deployments", NULL};
	request_add_member(b, "description", m->change->key);
	finish(m, "POST", segments, b, ret);
}

/* The alias that the stage's variable is to name; which alias that is stands in the spec beside it. */
static const char *alias_of(const struct making *m, const struct service_spec *spec)
{
	require(m->change->index < m->api->n_stages && m->api->stages[m->change->index].alias < spec->n_aliases);
	return spec->aliases[m->api->stages[m->change->index].alias].name;
}

static void add_variable(struct buf *b, const char *name, const char *value)
{
	request_add_key(b, name);
	buf_add_json_string(b, value); /* an empty one, too */
}

/* Our variable, and with it all others of the stage as they were last seen: whether HTTP APIs replace the map or merge
 * it is not documented, and nobody else's variable may get lost either way. */
static void add_variables(const struct making *m, const struct view_stage *stage, const char *alias, struct buf *b)
{
	buf_add_char(b, '{');
	for (size_t i = 0; stage && i < stage->n_variables; i++)
		if (strcmp(stage->variables[i].name, m->api->stage_variable) != 0)
			add_variable(b, stage->variables[i].name, stage->variables[i].value);
	add_variable(b, m->api->stage_variable, alias);
	buf_add_char(b, '}');
}

static void build_create_stage(const struct making *m, const char *alias, struct buf *b, struct http_request *ret)
{
	const char *const segments[] = {m->view->api.id, "stages", NULL};
	request_add_member(b, "stageName", m->change->key);
	request_add_member(b, "deploymentId", m->change->parent);
	if (!m->change->parent) {
		require(m->api->type == API_HTTP);
		request_add_key(b, "autoDeploy");
		buf_add_text(b, "true");
	}
	request_add_key(b, m->api->type == API_REST ? "variables" : "stageVariables");
	add_variables(m, NULL, alias, b);
	finish(m, "POST", segments, b, ret);
}

static void add_replace(struct buf *b, const char *path, const char *value)
{
	buf_add_text(b, b->data[b->len - 1] == '[' ? "{" : ",{");
	request_add_member(b, "op", "replace");
	request_add_member(b, "path", path);
	request_add_member(b, "value", value);
	buf_add_char(b, '}');
}

static void build_update_stage(const struct making *m, const char *alias, struct buf *b, struct http_request *ret)
{
	const char *const segments[] = {m->view->api.id, "stages", m->change->key, NULL};
	if (m->api->type == API_REST) {
		request_add_key(b, "patchOperations");
		buf_add_char(b, '[');
		if (m->change->parent)
			add_replace(b, "/deploymentId", m->change->parent);
		add_replace(b, arena_printf(m->arena, "/variables/%s", m->api->stage_variable), alias);
		buf_add_char(b, ']');
	} else {
		request_add_member(b, "deploymentId", m->change->parent);
		request_add_key(b, "stageVariables");
		add_variables(m, chain_view_stage(m->view, m->change->key), alias, b);
	}
	finish(m, "PATCH", segments, b, ret);
}

void apigateway_build_change(struct arena *a, const struct aws_endpoint *e, const struct service_spec *spec,
			     const struct chain_view *v, const struct change *c, struct http_request *ret)
{
	/* A hundred variables of 577 bytes are the most that a stage has. */
	struct buf body cleanup(buf_deinit) = BUF_INIT(LIMIT_AWS_REQUEST_BYTES);
	struct making m = {.arena = a, .endpoint = e, .api = &spec->api, .view = v, .change = c};
	buf_add_char(&body, '{');
	switch (c->kind) {
	case CHANGE_CREATE_API:
		build_create_api(&m, &body, ret);
		break;
	case CHANGE_CREATE_RESOURCE:
		build_create_resource(&m, &body, ret);
		break;
	case CHANGE_PUT_METHOD:
		build_put_method(&m, &body, ret);
		break;
	case CHANGE_PUT_INTEGRATION:
		m.uri = chain_integration_uri(a, spec, v);
		build_put_integration(&m, &body, ret);
		break;
	case CHANGE_CREATE_INTEGRATION:
		m.uri = chain_integration_uri(a, spec, v);
		build_create_integration(&m, &body, ret);
		break;
	case CHANGE_CREATE_ROUTE:
	case CHANGE_UPDATE_ROUTE:
		build_route(&m, &body, ret);
		break;
	case CHANGE_CREATE_DEPLOYMENT:
		build_create_deployment(&m, &body, ret);
		break;
	case CHANGE_CREATE_STAGE:
		build_create_stage(&m, alias_of(&m, spec), &body, ret);
		break;
	case CHANGE_UPDATE_STAGE:
		build_update_stage(&m, alias_of(&m, spec), &body, ret);
		break;
	default:
		require(!"a change of API Gateway");
	}
}

int apigateway_parse_created(const struct http_response *r, enum change_kind kind, enum api_type type,
			     char ret_id[static API_ID_SIZE], char ret_root_id[static API_ID_SIZE],
			     struct aws_error *ret_error)
{
	json_t *root cleanup(json_decref_p) = json_from_answer(r, ret_error);
	if (!root)
		return 1;
	const char *key = NULL;
	if (kind == CHANGE_CREATE_API)
		key = type == API_REST ? "id" : "apiId";
	else if (kind == CHANGE_CREATE_RESOURCE)
		key = "id";
	else if (kind == CHANGE_CREATE_INTEGRATION)
		key = "integrationId";
	else if (kind == CHANGE_CREATE_ROUTE)
		key = "routeId";
	else if (kind == CHANGE_CREATE_DEPLOYMENT)
		key = type == API_REST ? "id" : "deploymentId";
	char id[API_ID_SIZE] = "";
	char root_id[API_ID_SIZE] = "";
	if (key && !json_copy_text(root, key, true, id, sizeof(id)))
		return answer_malformed(r, "what was created has an id of at most 63 characters", ret_error);
	if (kind == CHANGE_CREATE_API && !chain_view_is_api_id(id))
		return answer_malformed(r, "an API's id has letters, digits, '-' and '_' only", ret_error);
	if (kind == CHANGE_CREATE_API && !json_copy_text(root, "rootResourceId", false, root_id, sizeof(root_id)))
		return answer_malformed(r, "a rootResourceId is text of at most 63 characters", ret_error);
	memcpy(ret_id, id, API_ID_SIZE);
	memcpy(ret_root_id, root_id, API_ID_SIZE);
	return 0;
}
