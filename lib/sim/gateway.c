/*
 * API Gateway's data plane: from a request to a stage, its deployment, a route, a function's qualifier, and back. It
 * is unsigned, and what a client hammers: nothing here parses more JSON than the function's answer, or walks more than
 * the routes of one deployment.
 */
#include "sim/gateway.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "aws/endpoint.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/text.h"
#include "sim/gateway_answer.h"
#include "sim/lambda.h"

#define USER_REQUEST  "/_user_request_"
#define EXECUTE_API   ".execute-api."
#define VARIABLE      "${stageVariables."
#define PRINCIPAL     "apigateway.amazonaws.com"
#define FUNCTION_PART ":function:"
#define URI_MAX	      2048

/* One request on its way. */
struct visit {
	struct call call;
	struct gateway_api *api;
	struct gateway_stage *stage;
	const char *path; /* inside the stage; decoded */
	const struct gateway_route *route;
	bool canary;
	const char *function; /* that was called; NULL: none */
	struct lambda_served served;
	double latency_ms; /* of the integration */
};

/* --- where to --- */

static bool is_user_request(const char *path)
{
	return text_starts_with(path, "/restapis/") && strstr(path, USER_REQUEST);
}

bool gateway_claims(const struct http_request *request)
{
	return (request->host && strstr(request->host, EXECUTE_API)) || is_user_request(request->path);
}

static struct gateway_api *find_api(const struct world *w, const char *id, size_t len)
{
	char text[GATEWAY_ID_SIZE];
	if (len >= sizeof(text))
		return NULL;
	memcpy(text, id, len);
	text[len] = '\0';
	return table_get(&w->gateway.by_id, text);
}

static struct gateway_stage *find_stage(struct visit *v, const char *name, size_t len)
{
	const char *decoded = call_decode(&v->call, name, len, false);
	return decoded ? gateway_stage(v->api, decoded) : NULL;
}

/* ID.execute-api.…/STAGE/PATH; an HTTP API's $default has no part in the path. */
static void locate_by_host(struct visit *v)
{
	const struct http_request *r = v->call.request;
	v->api = find_api(v->call.w, r->host, (size_t)(strstr(r->host, EXECUTE_API) - r->host));
	if (!v->api)
		return;
	size_t len = strcspn(r->path + 1, "/");
	v->stage = find_stage(v, r->path + 1, len);
	v->path = r->path + 1 + len;
	if (!v->stage && v->api->type == GATEWAY_HTTP) {
		v->stage = gateway_stage(v->api, "$default");
		v->path = r->path;
	}
}

/* /restapis/ID/STAGE/_user_request_/PATH */
static void locate_by_path(struct visit *v)
{
	const char *id = v->call.request->path + strlen("/restapis/");
	size_t id_len = strcspn(id, "/");
	const char *stage = id + id_len + (id[id_len] == '/');
	size_t stage_len = strcspn(stage, "/");
	const char *rest = stage + stage_len;
	v->api = find_api(v->call.w, id, id_len);
	if (!v->api || !text_starts_with(rest, USER_REQUEST))
		return;
	v->stage = find_stage(v, stage, stage_len);
	v->path = rest + strlen(USER_REQUEST);
}

static void decode_path(struct visit *v)
{
	size_t len = strlen(v->path);
	/* A REST API does not mind a slash at the end. */
	if (len > 1 && v->api->type == GATEWAY_REST && v->path[len - 1] == '/')
		len--;
	const char *decoded = strchr(v->path, '%') ? call_decode(&v->call, v->path, len, false)
						   : arena_strndup(v->call.arena, v->path, len);
	v->path = decoded && *decoded ? decoded : "/";
}

/* --- which route --- */

static bool path_fits(const char *pattern, const char *path)
{
	if (*pattern == '$')
		return true;
	while (*pattern == '/' && *path == '/') {
		size_t want = strcspn(++pattern, "/"), have = strcspn(++path, "/");
		if (*pattern == '{' && want > 2 && pattern[want - 2] == '+')
			return *path;
		if (*pattern == '{' ? !have : want != have || memcmp(pattern, path, want) != 0)
			return false;
		pattern += want;
		path += have;
	}
	return !*pattern && !*path;
}

static int rank_of(const char *segment)
{
	size_t len = strcspn(segment, "/");
	if (*segment != '{')
		return 2;
	return len > 2 && segment[len - 2] == '+' ? 0 : 1;
}

/* Whether `a` is closer than `b`, both of which fit: the first segment in which they differ in kind decides. */
static bool closer(const char *a, const char *b)
{
	if (*a == '$' || *b == '$')
		return *a != '$' && *b == '$';
	while (*a == '/' && *b == '/') {
		int left = rank_of(++a), right = rank_of(++b);
		if (left != right)
			return left > right;
		a += strcspn(a, "/");
		b += strcspn(b, "/");
	}
	return false;
}

static bool method_fits(const struct gateway_route *r, const char *method)
{
	return strcmp(r->method, "ANY") == 0 || strcmp(r->method, method) == 0;
}

/* Whether `r` goes before `best`, both of whose paths fit. In the same place the very method goes before ANY. */
static bool goes_before(const struct gateway_route *r, const struct gateway_route *best, const char *method)
{
	if (closer(r->path, best->path))
		return true;
	return !closer(best->path, r->path) && (strcmp(r->method, method) == 0 || !method_fits(best, method));
}

/* A REST API finds the resource, then its method; an HTTP API takes the closest of the routes that have the method. */
static const struct gateway_route *find_route(const struct gateway_deployment *d, bool rest, const char *method,
					      const char *path)
{
	const struct gateway_route *best = NULL;
	for (size_t i = 0; i < d->n_routes; i++) {
		const struct gateway_route *r = &d->routes[i];
		bool fits = (rest || method_fits(r, method)) && path_fits(r->path, path);
		if (fits && (!best || goes_before(r, best, method)))
			best = r;
	}
	return best && method_fits(best, method) ? best : NULL;
}

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

/* The stage's deployment, or its canary's. */
static const struct gateway_deployment *choose_deployment(struct visit *v)
{
	const json_t *canary = json_object_get(v->stage->json, "canarySettings");
	const char *id = text_of(v->stage->json, "deploymentId");
	double share = json_number_value(json_object_get(canary, "percentTraffic")) / 100;
	if (share > 0 && prng_unit(&v->call.w->canary) < share) {
		v->canary = true;
		id = text_of(canary, "deploymentId");
	}
	return id ? gateway_deployment(v->api, id) : NULL;
}

/* --- which function --- */

static const char *variable_of(const struct visit *v, const char *name)
{
	const json_t *canary = json_object_get(v->stage->json, "canarySettings");
	const char *value = v->canary ? text_of(json_object_get(canary, "stageVariableOverrides"), name) : NULL;
	bool rest = v->api->type == GATEWAY_REST;
	return value ? value : text_of(json_object_get(v->stage->json, rest ? "variables" : "stageVariables"), name);
}

/* An unknown variable stands for nothing. False when the text is too long. */
static bool resolve_uri(const struct visit *v, const char *uri, char out[static URI_MAX])
{
	size_t n = 0;
	while (*uri) {
		char name[65];
		size_t len = text_starts_with(uri, VARIABLE) ? strcspn(uri + strlen(VARIABLE), "}") : 0;
		if (len && len < sizeof(name) && uri[strlen(VARIABLE) + len] == '}') {
			memcpy(name, uri + strlen(VARIABLE), len);
			name[len] = '\0';
			const char *value = variable_of(v, name);
			size_t value_len = value ? strlen(value) : 0;
			if (n + value_len >= URI_MAX)
				return false;
			memcpy(out + n, value ? value : "", value_len);
			n += value_len;
			uri += strlen(VARIABLE) + len + 1;
		} else {
			if (n + 1 >= URI_MAX)
				return false;
			out[n++] = *uri++;
		}
	}
	out[n] = '\0';
	return true;
}

/* Cuts "…:ACCOUNT:function:NAME:QUALIFIER/invocations" where it lies. *ret_qualifier NULL: none. */
static bool split_uri(char *uri, const char **ret_name, const char **ret_qualifier)
{
	char *at = strstr(uri, FUNCTION_PART);
	size_t account = strlen(WORLD_ACCOUNT);
	if (!at || (size_t)(at - uri) < account || strncmp(at - account, WORLD_ACCOUNT, account) != 0)
		return false;
	*ret_name = at + strlen(FUNCTION_PART);
	at = at + strlen(FUNCTION_PART) + strcspn(*ret_name, ":/");
	bool qualified = *at == ':';
	if (*at)
		*at++ = '\0';
	*ret_qualifier = qualified ? at : NULL;
	if (qualified)
		at[strcspn(at, "/")] = '\0';
	return **ret_name && (!qualified || *at);
}

/*
 * The ARN that a function's policy is asked about. What AWS puts for a variable part of a path is not written down;
 * REST: '*', as its console's permissions have it; HTTP: the part of the route's key.
 */
static const char *source_arn(const struct visit *v)
{
	struct buf b = BUF_INIT(URI_MAX);
	buf_addf(&b, "arn:%s:execute-api:%s:" WORLD_ACCOUNT ":%s/%s/", endpoint_partition(v->api->region),
		 v->api->region, v->api->id, v->stage->name);
	if (*v->route->path != '$')
		buf_add_text(&b, v->call.request->method);
	for (const char *at = v->route->path; *at;) {
		size_t len = strcspn(at + 1, "/") + 1;
		if (v->api->type == GATEWAY_REST && at[1] == '{')
			buf_add_text(&b, "/*");
		else
			buf_add(&b, at, len);
		at += len;
	}
	const char *arn = arena_strdup(v->call.arena, buf_text(&b));
	buf_deinit(&b);
	return arn;
}

/* Calls the function. False when there is none that may be called. */
static bool call_function(struct visit *v)
{
	struct world *w = v->call.w;
	char uri[URI_MAX];
	const char *name, *qualifier;
	if (!v->route->uri || !v->route->post || !resolve_uri(v, v->route->uri, uri) ||
	    !split_uri(uri, &name, &qualifier))
		return false;
	const struct function *f = model_function(w, name);
	if (!f || (!v->route->by_role && !lambda_permits(f, qualifier, PRINCIPAL, source_arn(v), WORLD_ACCOUNT)))
		return false;
	lambda_serve(w, v->call.arena, name, qualifier, NULL, v->call.request_id, &v->served);
	if (v->served.end != LAMBDA_ANSWERED && v->served.end != LAMBDA_FAILED)
		return false;
	v->function = f->name;
	v->latency_ms = fmin(v->served.duration_ms, (double)v->route->timeout_ms);
	return true;
}

/* --- what is answered --- */

static void refuse(struct visit *v, int status, const char *code, const char *message)
{
	if (!v->api || v->api->type == GATEWAY_REST)
		call_header_add(&v->call, "x-amzn-ErrorType", code);
	const char *body = arena_printf(v->call.arena, "{\"message\":\"%s\"}", message);
	/* REST APIs write a space there, HTTP APIs do not. */
	if (!v->api || v->api->type == GATEWAY_REST)
		body = arena_printf(v->call.arena, "{\"message\": \"%s\"}", message);
	call_answer_bytes(&v->call, status, "application/json", body, strlen(body));
}

static void refuse_internal(struct visit *v, int rest_status)
{
	bool rest = v->api->type == GATEWAY_REST;
	refuse(v, rest ? rest_status : 500, "InternalServerErrorException",
	       rest ? "Internal server error" : "Internal Server Error");
}

static void answer_route(struct visit *v)
{
	bool rest = v->api->type == GATEWAY_REST;
	if (!call_function(v)) {
		refuse_internal(v, 500);
		return;
	}
	if (v->served.duration_ms > (double)v->route->timeout_ms) {
		refuse(v, rest ? 504 : 503, "InternalServerErrorException",
		       rest ? "Endpoint request timed out" : "Service Unavailable");
	} else if (v->served.end == LAMBDA_FAILED ||
		   !gateway_answer_proxy(&v->call, v->served.payload, v->served.payload_len, rest,
					 v->route->payload_two)) {
		refuse_internal(v, 502);
	}
	if (v->call.w->invoke_delay)
		v->call.reply->delay_ms = llround(v->latency_ms);
}

static void answer(struct visit *v)
{
	bool rest = v->api->type == GATEWAY_REST;
	const struct gateway_deployment *d = choose_deployment(v);
	v->route = d ? find_route(d, rest, v->call.request->method, v->path) : NULL;
	if (v->route)
		answer_route(v);
	else if (rest)
		refuse(v, 403, "MissingAuthenticationTokenException", "Missing Authentication Token");
	else
		refuse(v, 404, "NotFoundException", "Not Found");
}

/* --- what is measured --- */

static void record_one(struct metrics *m, struct series **slot, const char *name, const char *unit,
		       const struct dimension *dimensions, size_t n, int64_t at_ms, double value)
{
	struct stat one = {.n = 1, .sum = value, .min = value, .max = value}, none = {0};
	struct cell cell = {.value = value, .n = 1};
	const struct cells cells = {.items = &cell, .len = 1, .cap = 1};
	if (!*slot)
		*slot = metrics_series(m, "AWS/ApiGateway", name, unit, dimensions, n, true);
	if (*slot)
		metrics_record(m, *slot, at_ms, m->settings.period_ms, &one, &none,
			       strcmp(unit, "Count") == 0 ? NULL : &cells);
}

static void record_set(struct visit *v, struct gateway_series *to, const struct dimension *dimensions, size_t n)
{
	struct metrics *m = &v->call.w->metrics;
	bool rest = v->api->type == GATEWAY_REST;
	int status = v->call.reply->response.status;
	int64_t at_ms = v->call.w->now_ms;
	record_one(m, &to->count, "Count", "Count", dimensions, n, at_ms, 1);
	record_one(m, &to->error_4xx, rest ? "4XXError" : "4xx", "Count", dimensions, n, at_ms,
		   status >= 400 && status < 500);
	record_one(m, &to->error_5xx, rest ? "5XXError" : "5xx", "Count", dimensions, n, at_ms, status >= 500);
	record_one(m, &to->latency, "Latency", "Milliseconds", dimensions, n, at_ms, v->latency_ms);
	if (v->function)
		record_one(m, &to->integration_latency, "IntegrationLatency", "Milliseconds", dimensions, n, at_ms,
			   v->latency_ms);
}

static void record(struct visit *v)
{
	bool rest = v->api->type == GATEWAY_REST;
	const struct dimension dimensions[] = {{rest ? "ApiName" : "ApiId", rest ? gateway_name(v->api) : v->api->id},
					       {"Stage", v->stage->name}};
	record_set(v, &v->api->series, dimensions, 1);
	record_set(v, &v->stage->series, dimensions, 2);
	char key[GATEWAY_ID_SIZE + 130];
	snprintf(key, sizeof(key), "%s/%s", v->api->id, v->stage->name);
	counters_add_served(&v->call.w->counters, key, v->call.reply->response.status, v->function, v->served.version);
}

/* --- the whole way --- */

static void add_ids(struct visit *v)
{
	char id[UUID_SIZE];
	/* AWS's second id is Base64 of some bytes. */
	snprintf(id, sizeof(id), "%.8s%.4s%.3s=", v->call.request_id, v->call.request_id + 9, v->call.request_id + 14);
	if (v->api && v->api->type == GATEWAY_HTTP) {
		call_header_add(&v->call, "apigw-requestid", id);
		return;
	}
	call_header_add(&v->call, "x-amzn-RequestId", v->call.request_id);
	call_header_add(&v->call, "x-amz-apigw-id", id);
}

void gateway_handle(struct world *w, const struct http_request *request, struct world_reply *ret)
{
	struct visit v = {.call = {.w = w, .request = request, .reply = ret, .arena = ret->arena}};
	model_uuid(w, v.call.request_id);
	if (is_user_request(request->path))
		locate_by_path(&v);
	else
		locate_by_host(&v);
	add_ids(&v);
	ret->applied = true;
	if (!v.stage) {
		bool http = v.api && v.api->type == GATEWAY_HTTP;
		refuse(&v, http ? 404 : 403, "ForbiddenException", http ? "Not Found" : "Forbidden");
		return;
	}
	decode_path(&v);
	answer(&v);
	record(&v);
}
