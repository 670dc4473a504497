#include "sim/dispatch.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "sim/apigateway.h"
#include "sim/cloudwatch.h"
#include "sim/iam.h"
#include "sim/lambda.h"

#define FUNCTIONS   "/2015-03-31/functions"
#define PROVISIONED "/2019-09-30/functions/*/provisioned-concurrency"
#define RESTAPIS    "/restapis"
#define RESOURCE    RESTAPIS "/*/resources/*"
#define METHOD	    RESOURCE "/methods/*"
#define APIS	    "/v2/apis"

static const struct operation operations[] = {
    {"CreateFunction", SERVICE_LAMBDA, "POST", FUNCTIONS, RATE_LAMBDA_CONTROL, lambda_create_function},
    {"ListFunctions", SERVICE_LAMBDA, "GET", FUNCTIONS, RATE_LAMBDA_CONTROL, lambda_list_functions},
    {"GetFunction", SERVICE_LAMBDA, "GET", FUNCTIONS "/*", RATE_GET_FUNCTION, lambda_get_function},
    {"DeleteFunction", SERVICE_LAMBDA, "DELETE", FUNCTIONS "/*", RATE_LAMBDA_CONTROL, lambda_delete_function},
    {"GetFunctionConfiguration", SERVICE_LAMBDA, "GET", FUNCTIONS "/*/configuration", RATE_LAMBDA_CONTROL,
     lambda_get_function_configuration},
    {"UpdateFunctionConfiguration", SERVICE_LAMBDA, "PUT", FUNCTIONS "/*/configuration", RATE_LAMBDA_CONTROL,
     lambda_update_function_configuration},
    {"UpdateFunctionCode", SERVICE_LAMBDA, "PUT", FUNCTIONS "/*/code", RATE_LAMBDA_CONTROL,
     lambda_update_function_code},
    {"PublishVersion", SERVICE_LAMBDA, "POST", FUNCTIONS "/*/versions", RATE_LAMBDA_CONTROL, lambda_publish_version},
    {"ListVersionsByFunction", SERVICE_LAMBDA, "GET", FUNCTIONS "/*/versions", RATE_LAMBDA_CONTROL,
     lambda_list_versions},
    {"CreateAlias", SERVICE_LAMBDA, "POST", FUNCTIONS "/*/aliases", RATE_LAMBDA_CONTROL, lambda_create_alias},
    {"ListAliases", SERVICE_LAMBDA, "GET", FUNCTIONS "/*/aliases", RATE_LAMBDA_CONTROL, lambda_list_aliases},
    {"GetAlias", SERVICE_LAMBDA, "GET", FUNCTIONS "/*/aliases/*", RATE_LAMBDA_CONTROL, lambda_get_alias},
    {"UpdateAlias", SERVICE_LAMBDA, "PUT", FUNCTIONS "/*/aliases/*", RATE_LAMBDA_CONTROL, lambda_update_alias},
    {"DeleteAlias", SERVICE_LAMBDA, "DELETE", FUNCTIONS "/*/aliases/*", RATE_LAMBDA_CONTROL, lambda_delete_alias},
    {"AddPermission", SERVICE_LAMBDA, "POST", FUNCTIONS "/*/policy", RATE_LAMBDA_CONTROL, lambda_add_permission},
    {"GetPolicy", SERVICE_LAMBDA, "GET", FUNCTIONS "/*/policy", RATE_GET_POLICY, lambda_get_policy},
    {"RemovePermission", SERVICE_LAMBDA, "DELETE", FUNCTIONS "/*/policy/*", RATE_LAMBDA_CONTROL,
     lambda_remove_permission},
    {"PutProvisionedConcurrencyConfig", SERVICE_LAMBDA, "PUT", PROVISIONED, RATE_LAMBDA_CONTROL,
     lambda_put_provisioned},
    {"ListProvisionedConcurrencyConfigs", SERVICE_LAMBDA, "GET", PROVISIONED "?List", RATE_LAMBDA_CONTROL,
     lambda_list_provisioned},
    {"GetProvisionedConcurrencyConfig", SERVICE_LAMBDA, "GET", PROVISIONED, RATE_LAMBDA_CONTROL,
     lambda_get_provisioned},
    {"DeleteProvisionedConcurrencyConfig", SERVICE_LAMBDA, "DELETE", PROVISIONED, RATE_LAMBDA_CONTROL,
     lambda_delete_provisioned},
    {"Invoke", SERVICE_LAMBDA, "POST", FUNCTIONS "/*/invocations", RATE_INVOKE, lambda_invoke},
    {"GetAccountSettings", SERVICE_LAMBDA, "GET", "/2016-08-19/account-settings", RATE_LAMBDA_CONTROL,
     lambda_get_account_settings},
    {"GetMetricData", SERVICE_MONITORING, NULL, NULL, RATE_GET_METRIC_DATA, cloudwatch_get_metric_data},
    {"GetMetricStatistics", SERVICE_MONITORING, NULL, NULL, RATE_GET_METRIC_STATISTICS,
     cloudwatch_get_metric_statistics},
    {"PutMetricData", SERVICE_MONITORING, NULL, NULL, RATE_PUT_METRIC_DATA, cloudwatch_put_metric_data},
    {"ListMetrics", SERVICE_MONITORING, NULL, NULL, RATE_LIST_METRICS, cloudwatch_list_metrics},
    {"PutMetricAlarm", SERVICE_MONITORING, NULL, NULL, RATE_CHANGE_ALARMS, cloudwatch_put_metric_alarm},
    {"PutCompositeAlarm", SERVICE_MONITORING, NULL, NULL, RATE_CHANGE_ALARMS, cloudwatch_put_composite_alarm},
    {"DescribeAlarms", SERVICE_MONITORING, NULL, NULL, RATE_DESCRIBE_ALARMS, cloudwatch_describe_alarms},
    {"SetAlarmState", SERVICE_MONITORING, NULL, NULL, RATE_SET_ALARM_STATE, cloudwatch_set_alarm_state},
    {"DeleteAlarms", SERVICE_MONITORING, NULL, NULL, RATE_CHANGE_ALARMS, cloudwatch_delete_alarms},
    {"GetCallerIdentity", SERVICE_STS, NULL, NULL, RATE_NONE, sts_get_caller_identity},
    {"CreateRestApi", SERVICE_APIGATEWAY, "POST", RESTAPIS, RATE_APIGATEWAY, apigateway_create_rest_api},
    {"GetRestApis", SERVICE_APIGATEWAY, "GET", RESTAPIS, RATE_APIGATEWAY, apigateway_get_rest_apis},
    {"GetRestApi", SERVICE_APIGATEWAY, "GET", RESTAPIS "/*", RATE_APIGATEWAY, apigateway_get_rest_api},
    {"UpdateRestApi", SERVICE_APIGATEWAY, "PATCH", RESTAPIS "/*", RATE_APIGATEWAY, apigateway_update_rest_api},
    {"DeleteRestApi", SERVICE_APIGATEWAY, "DELETE", RESTAPIS "/*", RATE_APIGATEWAY, apigateway_delete_rest_api},
    {"GetResources", SERVICE_APIGATEWAY, "GET", RESTAPIS "/*/resources", RATE_GET_RESOURCES, apigateway_get_resources},
    {"CreateResource", SERVICE_APIGATEWAY, "POST", RESOURCE, RATE_CREATE_RESOURCE, apigateway_create_resource},
    {"GetResource", SERVICE_APIGATEWAY, "GET", RESOURCE, RATE_APIGATEWAY, apigateway_get_resource},
    {"DeleteResource", SERVICE_APIGATEWAY, "DELETE", RESOURCE, RATE_APIGATEWAY, apigateway_delete_resource},
    {"PutMethod", SERVICE_APIGATEWAY, "PUT", METHOD, RATE_APIGATEWAY, apigateway_put_method},
    {"GetMethod", SERVICE_APIGATEWAY, "GET", METHOD, RATE_APIGATEWAY, apigateway_get_method},
    {"DeleteMethod", SERVICE_APIGATEWAY, "DELETE", METHOD, RATE_APIGATEWAY, apigateway_delete_method},
    {"PutMethodResponse", SERVICE_APIGATEWAY, "PUT", METHOD "/responses/*", RATE_APIGATEWAY,
     apigateway_put_method_response},
    {"PutIntegration", SERVICE_APIGATEWAY, "PUT", METHOD "/integration", RATE_APIGATEWAY, apigateway_put_integration},
    {"GetIntegration", SERVICE_APIGATEWAY, "GET", METHOD "/integration", RATE_APIGATEWAY, apigateway_get_integration},
    {"UpdateIntegration", SERVICE_APIGATEWAY, "PATCH", METHOD "/integration", RATE_APIGATEWAY,
     apigateway_update_integration},
    {"DeleteIntegration", SERVICE_APIGATEWAY, "DELETE", METHOD "/integration", RATE_APIGATEWAY,
     apigateway_delete_integration},
    {"CreateDeployment", SERVICE_APIGATEWAY, "POST", RESTAPIS "/*/deployments", RATE_CREATE_DEPLOYMENT,
     apigateway_create_deployment},
    {"GetDeployments", SERVICE_APIGATEWAY, "GET", RESTAPIS "/*/deployments", RATE_APIGATEWAY,
     apigateway_get_deployments},
    {"GetDeployment", SERVICE_APIGATEWAY, "GET", RESTAPIS "/*/deployments/*", RATE_APIGATEWAY,
     apigateway_get_deployment},
    {"DeleteDeployment", SERVICE_APIGATEWAY, "DELETE", RESTAPIS "/*/deployments/*", RATE_APIGATEWAY,
     apigateway_delete_deployment},
    {"CreateStage", SERVICE_APIGATEWAY, "POST", RESTAPIS "/*/stages", RATE_APIGATEWAY, apigateway_create_stage},
    {"GetStages", SERVICE_APIGATEWAY, "GET", RESTAPIS "/*/stages", RATE_APIGATEWAY, apigateway_get_stages},
    {"GetStage", SERVICE_APIGATEWAY, "GET", RESTAPIS "/*/stages/*", RATE_APIGATEWAY, apigateway_get_stage},
    {"UpdateStage", SERVICE_APIGATEWAY, "PATCH", RESTAPIS "/*/stages/*", RATE_APIGATEWAY, apigateway_update_stage},
    {"DeleteStage", SERVICE_APIGATEWAY, "DELETE", RESTAPIS "/*/stages/*", RATE_APIGATEWAY, apigateway_delete_stage},
    {"CreateApi", SERVICE_APIGATEWAY, "POST", APIS, RATE_APIGATEWAY, apigatewayv2_create_api},
    {"GetApis", SERVICE_APIGATEWAY, "GET", APIS, RATE_APIGATEWAY, apigatewayv2_get_apis},
    {"GetApi", SERVICE_APIGATEWAY, "GET", APIS "/*", RATE_APIGATEWAY, apigatewayv2_get_api},
    {"UpdateApi", SERVICE_APIGATEWAY, "PATCH", APIS "/*", RATE_APIGATEWAY, apigatewayv2_update_api},
    {"DeleteApi", SERVICE_APIGATEWAY, "DELETE", APIS "/*", RATE_APIGATEWAY, apigatewayv2_delete_api},
    {"CreateIntegration", SERVICE_APIGATEWAY, "POST", APIS "/*/integrations", RATE_APIGATEWAY,
     apigatewayv2_create_integration},
    {"GetIntegrations", SERVICE_APIGATEWAY, "GET", APIS "/*/integrations", RATE_APIGATEWAY,
     apigatewayv2_get_integrations},
    {"GetIntegration", SERVICE_APIGATEWAY, "GET", APIS "/*/integrations/*", RATE_APIGATEWAY,
     apigatewayv2_get_integration},
    {"UpdateIntegration", SERVICE_APIGATEWAY, "PATCH", APIS "/*/integrations/*", RATE_APIGATEWAY,
     apigatewayv2_update_integration},
    {"DeleteIntegration", SERVICE_APIGATEWAY, "DELETE", APIS "/*/integrations/*", RATE_APIGATEWAY,
     apigatewayv2_delete_integration},
    {"CreateRoute", SERVICE_APIGATEWAY, "POST", APIS "/*/routes", RATE_APIGATEWAY, apigatewayv2_create_route},
    {"GetRoutes", SERVICE_APIGATEWAY, "GET", APIS "/*/routes", RATE_APIGATEWAY, apigatewayv2_get_routes},
    {"GetRoute", SERVICE_APIGATEWAY, "GET", APIS "/*/routes/*", RATE_APIGATEWAY, apigatewayv2_get_route},
    {"UpdateRoute", SERVICE_APIGATEWAY, "PATCH", APIS "/*/routes/*", RATE_APIGATEWAY, apigatewayv2_update_route},
    {"DeleteRoute", SERVICE_APIGATEWAY, "DELETE", APIS "/*/routes/*", RATE_APIGATEWAY, apigatewayv2_delete_route},
    {"CreateDeployment", SERVICE_APIGATEWAY, "POST", APIS "/*/deployments", RATE_CREATE_DEPLOYMENT,
     apigatewayv2_create_deployment},
    {"GetDeployments", SERVICE_APIGATEWAY, "GET", APIS "/*/deployments", RATE_APIGATEWAY, apigatewayv2_get_deployments},
    {"GetDeployment", SERVICE_APIGATEWAY, "GET", APIS "/*/deployments/*", RATE_APIGATEWAY, apigatewayv2_get_deployment},
    {"UpdateDeployment", SERVICE_APIGATEWAY, "PATCH", APIS "/*/deployments/*", RATE_APIGATEWAY,
     apigatewayv2_update_deployment},
    {"DeleteDeployment", SERVICE_APIGATEWAY, "DELETE", APIS "/*/deployments/*", RATE_APIGATEWAY,
     apigatewayv2_delete_deployment},
    {"CreateStage", SERVICE_APIGATEWAY, "POST", APIS "/*/stages", RATE_APIGATEWAY, apigatewayv2_create_stage},
    {"GetStages", SERVICE_APIGATEWAY, "GET", APIS "/*/stages", RATE_APIGATEWAY, apigatewayv2_get_stages},
    {"GetStage", SERVICE_APIGATEWAY, "GET", APIS "/*/stages/*", RATE_APIGATEWAY, apigatewayv2_get_stage},
    {"UpdateStage", SERVICE_APIGATEWAY, "PATCH", APIS "/*/stages/*", RATE_APIGATEWAY, apigatewayv2_update_stage},
    {"DeleteStage", SERVICE_APIGATEWAY, "DELETE", APIS "/*/stages/*", RATE_APIGATEWAY, apigatewayv2_delete_stage},
};

static const struct {
	const char *scope;
	enum service service;
} services[] = {{"lambda", SERVICE_LAMBDA},
		{"monitoring", SERVICE_MONITORING},
		{"sts", SERVICE_STS},
		{"apigateway", SERVICE_APIGATEWAY}};

void dispatch_names(const char *out[static DISPATCH_NAMES_MAX])
{
	_Static_assert(array_len(operations) < DISPATCH_NAMES_MAX, "room for every name");
	size_t n = 0;
	/* REST and HTTP APIs have some names in common. */
	for (size_t i = 0; i < array_len(operations); i++) {
		size_t known = 0;
		while (known < n && strcmp(out[known], operations[i].name) != 0)
			known++;
		if (known == n)
			out[n++] = operations[i].name;
	}
	out[n] = NULL;
}

/* --- who --- */

static bool is_form(const struct call *c)
{
	const char *type = call_header(c, "content-type");
	return type && text_starts_with(type, "application/x-www-form-urlencoded") &&
	       strcmp(c->request->path, "/") == 0;
}

static void guess_protocol(struct call *c)
{
	const char *mode = call_header(c, "x-amzn-query-mode");
	c->protocol = call_header(c, "x-amz-target") ? PROTOCOL_JSON : is_form(c) ? PROTOCOL_QUERY : PROTOCOL_REST_JSON;
	c->query_mode = c->protocol == PROTOCOL_JSON && mode && strcmp(mode, "true") == 0;
	/* The service is told by the signature; without one, by the form of the request. */
	c->service = c->protocol == PROTOCOL_REST_JSON ? SERVICE_LAMBDA : SERVICE_MONITORING;
	if (c->service == SERVICE_LAMBDA &&
	    (text_starts_with(c->request->path, RESTAPIS) || text_starts_with(c->request->path, APIS)))
		c->service = SERVICE_APIGATEWAY;
	if (c->protocol == PROTOCOL_QUERY && c->request->body_len &&
	    memmem(c->request->body, c->request->body_len, "Version=2011-06-15", strlen("Version=2011-06-15")))
		c->service = SERVICE_STS;
}

static const struct access_key *find_key(const struct world *w, const char *id)
{
	for (size_t i = 0; i < w->n_keys; i++)
		if (strcmp(w->keys[i].id, id) == 0)
			return &w->keys[i];
	return NULL;
}

static const char *secret_of(void *ctx, const char *key_id, const char **ret_token)
{
	const struct access_key *key = find_key(ctx, key_id);
	if (!key)
		return NULL;
	*ret_token = key->token;
	return key->secret;
}

static void fail_skewed(struct call *c, const struct call_error *e, struct instant now)
{
	char limit[17], clock[17];
	const char *sent = call_header(c, "x-amz-date");
	text_format_amz_date(now.unix_ms, clock);
	bool early = strcmp(sent ? sent : "", clock) < 0;
	text_format_amz_date(now.unix_ms + (early ? -5 : 5) * MS_PER_MINUTE, limit);
	call_fail(c, e,
		  early ? "Signature expired: %s is now earlier than %s (%s - 5 min.)"
			: "Signature not yet current: %s is still later than %s (%s + 5 min.)",
		  sent ? sent : "", limit, clock);
}

static void fail_signature(struct call *c, enum sigv4_check check, struct instant now)
{
	static const struct call_error missing = {.code = "MissingAuthenticationTokenException",
						  .query_code = "MissingAuthenticationToken",
						  .space = "com.amazon.coral.service",
						  .status = 403,
						  .no_type = true};
	static const struct call_error incomplete = {.code = "IncompleteSignatureException",
						     .query_code = "IncompleteSignature",
						     .space = "com.amazon.coral.service",
						     .status = 403,
						     .no_type = true};
	static const struct call_error unknown = {.code = "UnrecognizedClientException",
						  .query_code = "InvalidClientTokenId",
						  .space = "com.amazon.coral.service",
						  .status = 403,
						  .no_type = true};
	static const struct call_error invalid = {.code = "InvalidSignatureException",
						  .query_code = "SignatureDoesNotMatch",
						  .space = "com.amazon.coral.service",
						  .status = 403,
						  .no_type = true};
	switch (check) {
	case SIGV4_CHECK_OK:
		break;
	case SIGV4_CHECK_MISSING:
		call_fail(c, &missing, "Missing Authentication Token");
		break;
	case SIGV4_CHECK_INCOMPLETE:
		call_fail(c, &incomplete,
			  "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature' parameters and "
			  "existence "
			  "of either a 'X-Amz-Date' or a 'Date' header, and 'host' and every 'x-amz-' header must be "
			  "signed.");
		break;
	case SIGV4_CHECK_UNKNOWN_KEY:
		call_fail(c, &unknown, "The security token included in the request is invalid.");
		break;
	case SIGV4_CHECK_SKEWED:
		fail_skewed(c, &invalid, now);
		break;
	case SIGV4_CHECK_SCOPE:
		call_fail(
		    c, &invalid,
		    "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP, or the "
		    "scope does not end in 'aws4_request'.");
		break;
	case SIGV4_CHECK_MISMATCH:
		call_fail(
		    c, &invalid,
		    "The request signature we calculated does not match the signature you provided. Check your AWS "
		    "Secret Access Key and signing method. Consult the service documentation for details.");
		break;
	}
}

/* Fills key, region and service. False after it has answered. */
static bool authenticate(struct call *c, struct instant now)
{
	static const struct call_error expired = {.code = "ExpiredTokenException",
						  .query_code = "ExpiredToken",
						  .space = "com.amazon.coral.service",
						  .status = 403,
						  .no_type = true};
	struct sigv4_verified who = {.service = ""};
	text_copy(c->region, sizeof(c->region), "us-east-1");
	if (!c->w->signatures)
		return true;
	enum sigv4_check check = sigv4_verify(c->w->signer, c->request, now.unix_ms, secret_of, c->w, &who);
	c->w->counters.signatures[check]++;
	if (check != SIGV4_CHECK_OK) {
		fail_signature(c, check, now);
		return false;
	}
	text_copy(c->key_id, sizeof(c->key_id), who.access_key_id);
	text_copy(c->region, sizeof(c->region), who.region);
	const struct access_key *key = find_key(c->w, who.access_key_id);
	if (key && key->expired) {
		call_fail(c, &expired, "The security token included in the request is expired");
		return false;
	}
	c->service = SERVICE_NONE;
	for (size_t i = 0; i < array_len(services); i++)
		if (strcmp(services[i].scope, who.service) == 0)
			c->service = services[i].service;
	if (c->service == SERVICE_NONE)
		call_fail(c, &call_error_unknown_operation, "rollout-localaws does not have the service '%s'.",
			  who.service);
	return c->service != SERVICE_NONE;
}

/* --- what --- */

/* Whether the path has the pattern's segments; those under '*' are decoded into call->segments. A '?' at the pattern's
 * end asks for a parameter of that name. */
static bool path_matches(struct call *c, const char *pattern)
{
	const char *path = c->request->path;
	size_t n = 0;
	memset(c->segments, 0, sizeof(c->segments));
	while (*pattern == '/' && *path == '/') {
		size_t want = strcspn(++pattern, "/?"), have = strcspn(++path, "/");
		bool any = want == 1 && *pattern == '*';
		if (!have || (!any && (want != have || strncmp(pattern, path, want) != 0)))
			return false;
		if (any && !(c->segments[n++] = call_decode(c, path, have, false)))
			return false;
		pattern += want;
		path += have;
	}
	/* CreateFunction and ListFunctions are also called with a slash at the end. */
	if (*pattern == '?' ? !call_query(c, pattern + 1) : *pattern)
		return false;
	return !*path || strcmp(path, "/") == 0;
}

static const struct operation *find_operation(struct call *c, const char *name)
{
	for (size_t i = 0; i < array_len(operations); i++) {
		const struct operation *o = &operations[i];
		if (o->service != c->service)
			continue;
		if (name ? strcmp(o->name, name) == 0
			 : strcmp(o->method, c->request->method) == 0 && path_matches(c, o->path))
			return o;
	}
	return NULL;
}

/* "hello" of "hello", "hello:prod" and of any ARN: for faults, before the name is checked. */
static const char *bare_name(struct call *c, const char *text)
{
	const char *function = strstr(text, "function:");
	if (function)
		text = function + strlen("function:");
	return arena_strndup(c->arena, text, strcspn(text, ":"));
}

static bool read_body(struct call *c)
{
	static const struct call_error content = {.code = "InvalidRequestContentException", .status = 400};
	static const struct call_error serialization = {
	    .code = "SerializationException", .space = "com.amazon.coral.service", .status = 400, .no_type = true};
	const char *encoding = call_header(c, "content-encoding");
	json_error_t error = {.text = "the body is compressed: set AWS_DISABLE_REQUEST_COMPRESSION=true"};
	bool compressed = encoding && *encoding && strcmp(encoding, "identity") != 0;
	if (c->protocol == PROTOCOL_QUERY) {
		c->in = compressed ? NULL : cloudwatch_read_form(c);
		text_copy(error.text, sizeof(error.text), compressed ? error.text : "not a form");
	} else if (!compressed) {
		c->in = c->request->body_len
			    ? json_loadb(c->request->body, c->request->body_len, JSON_REJECT_DUPLICATES, &error)
			    : json_object();
	}
	if (json_is_object(c->in))
		return true;
	call_fail(c, c->service == SERVICE_LAMBDA ? &content : &serialization,
		  "Could not parse request body into json: %s", error.text);
	return false;
}

static bool identify(struct call *c)
{
	bool lambda = c->service == SERVICE_LAMBDA, rest = lambda || c->service == SERVICE_APIGATEWAY;
	const char *name = NULL;
	/* Lambda and API Gateway have one protocol, STS another; CloudWatch is asked by two. */
	if (rest)
		c->protocol = PROTOCOL_REST_JSON;
	else if (c->protocol == PROTOCOL_REST_JSON || c->service == SERVICE_STS)
		c->protocol = PROTOCOL_QUERY;
	/* The query protocol names the operation in the body. */
	if (!rest && !read_body(c))
		return false;
	if (!rest)
		name = cloudwatch_operation(c);
	c->operation = rest || name ? find_operation(c, name) : NULL;
	if (!c->operation) {
		call_fail(c, &call_error_unknown_operation, "rollout-localaws does not have the operation %s %s.",
			  name ? name : c->request->method, name ? "" : c->request->path);
		return false;
	}
	/* What Invoke is sent is for the function. */
	if (rest && c->operation->run != lambda_invoke && !read_body(c))
		return false;
	if (!lambda)
		return true;
	if (c->segments[0])
		c->function = bare_name(c, c->segments[0]);
	/* A statement's id is no alias. */
	bool statement = c->operation->run == lambda_remove_permission;
	c->alias = c->segments[1] && !statement ? c->segments[1] : call_query(c, "Qualifier");
	return true;
}

/* --- how it ends --- */

static enum outcome outcome_of(const struct world_reply *r, bool throttled)
{
	if (r->fate != WORLD_ANSWER)
		return OUTCOME_NO_ANSWER;
	if (throttled || r->response.status == 429)
		return OUTCOME_THROTTLED;
	if (r->response.status >= 500)
		return OUTCOME_SERVER_ERROR;
	return r->response.status >= 400 ? OUTCOME_CLIENT_ERROR : OUTCOME_OK;
}

static void run(struct call *c)
{
	c->reply->applied = true;
	c->operation->run(c);
}

/* What was answered so far is taken back. */
static void forget_answer(struct call *c)
{
	c->reply->response.n_headers = 0;
	c->reply->delay_ms = 0;
	call_header_add(c, "x-amzn-RequestId", c->request_id);
}

static void copy_request(const struct http_request *from, struct arena *a, struct http_request *to)
{
	*to = (struct http_request){.method = arena_strdup(a, from->method),
				    .scheme = arena_strdup(a, from->scheme),
				    .host = arena_strdup(a, from->host),
				    .path = arena_strdup(a, from->path),
				    .query = arena_strdup(a, from->query),
				    .body = from->body ? arena_strndup(a, from->body, from->body_len) : NULL,
				    .body_len = from->body_len};
	for (size_t i = 0; i < from->n_headers; i++)
		http_request_add_header(to, arena_strdup(a, from->headers[i].name),
					arena_strdup(a, from->headers[i].value));
}

/* Beyond LATE_MAX the request is simply lost. */
static void apply_later(struct call *c, int64_t delay_ms)
{
	struct world *w = c->w;
	if (w->n_late >= LATE_MAX)
		return;
	w->late = mem_grow(w->late, &w->late_cap, w->n_late + 1, sizeof(*w->late));
	struct late_request *late = &w->late[w->n_late++];
	*late =
	    (struct late_request){.due_ms = w->now_ms + delay_ms, .sequence = w->late_sequence++, .arena = arena_new()};
	copy_request(c->request, late->arena, &late->request);
	memcpy(late->key_id, c->key_id, sizeof(late->key_id));
	memcpy(late->region, c->region, sizeof(late->region));
}

/* Faults that leave an answer, but another one. */
static void strike_answer(struct call *c, const struct fault *f)
{
	static const char html[] = "<!DOCTYPE html>\n<html><head><title>Sign in to the network</title></head>"
				   "<body><h1>Please sign in to go on</h1></body></html>\n";
	if (f->applied)
		run(c);
	if (f->kind != FAULT_TRUNCATED)
		forget_answer(c);
	switch (f->kind) {
	case FAULT_THROTTLE:
		call_fail_throttled(c);
		break;
	case FAULT_ERROR_500:
		call_fail_internal(c);
		break;
	case FAULT_ERROR_503:
		call_fail_unavailable(c);
		break;
	case FAULT_ACCESS_DENIED:
		iam_deny(c);
		break;
	case FAULT_GARBAGE:
		call_answer_bytes(c, 200, "application/json", "\xff\xfe{\"Alias\": [\x01", 14);
		break;
	case FAULT_HTML:
		call_answer_bytes(c, 200, "text/html", html, sizeof(html) - 1);
		break;
	default:
		if (!f->applied)
			call_fail_internal(c);
		c->reply->fate = f->kind == FAULT_RESET ? WORLD_RESET : WORLD_TRUNCATE;
	}
}

static void strike(struct call *c, const struct fault *f)
{
	struct world_reply *r = c->reply;
	switch (f->kind) {
	case FAULT_LOST_BEFORE:
		r->fate = f->close ? WORLD_CLOSE : WORLD_SILENCE;
		break;
	case FAULT_LOST_AFTER:
		run(c);
		r->fate = f->close ? WORLD_CLOSE : WORLD_SILENCE;
		break;
	case FAULT_LATE:
		apply_later(c, f->delay_ms);
		r->fate = f->close ? WORLD_CLOSE : WORLD_SILENCE;
		break;
	case FAULT_TWICE:
		apply_later(c, f->delay_ms);
		run(c);
		break;
	case FAULT_DELAY:
		run(c);
		r->delay_ms += f->delay_ms;
		break;
	case FAULT_STALE:
		c->stale_ms = f->within_ms;
		run(c);
		break;
	default:
		strike_answer(c, f);
	}
}

static void call_init(struct call *c, struct world *w, const struct http_request *request, struct world_reply *reply)
{
	*c = (struct call){.w = w, .request = request, .reply = reply, .arena = reply->arena};
	model_uuid(w, c->request_id);
	call_header_add(c, "x-amzn-RequestId", c->request_id);
	guess_protocol(c);
}

/* API Gateway limits all operations together, and some of them once more. */
static bool take_rates(struct call *c, struct instant now)
{
	struct rates *r = &c->w->rates;
	enum rate_group own = c->operation->rate;
	return rates_take(r, c->region, own, now.unix_ms) &&
	       (c->service != SERVICE_APIGATEWAY || own == RATE_APIGATEWAY ||
		rates_take(r, c->region, RATE_APIGATEWAY, now.unix_ms));
}

void dispatch_request(struct world *w, const struct http_request *request, struct instant now, struct world_reply *ret)
{
	struct call c;
	bool throttled = false;
	call_init(&c, w, request, ret);
	if (!authenticate(&c, now)) {
		counters_add(&w->counters, "(unauthenticated)", OUTCOME_CLIENT_ERROR, now.unix_ms);
		return;
	}
	if (!identify(&c)) {
		counters_add(&w->counters, "(unknown)", OUTCOME_CLIENT_ERROR, now.unix_ms);
		json_decref(c.in);
		return;
	}
	const char *name = c.operation->name;
	const struct access_key *key = find_key(w, c.key_id);
	const struct fault *fault;
	if (key && key->policy && !iam_allows(&c, key->policy)) {
		iam_deny(&c);
	} else if (!take_rates(&c, now)) {
		throttled = true;
		call_fail_throttled(&c);
	} else if ((fault = faults_strike(&w->faults, &w->chance, name, c.function, c.alias))) {
		throttled = fault->kind == FAULT_THROTTLE;
		strike(&c, fault);
	} else {
		run(&c);
	}
	counters_add(&w->counters, name, outcome_of(ret, throttled), now.unix_ms);
	json_decref(c.in);
}

void dispatch_late(struct world *w, const struct late_request *late)
{
	struct world_reply reply = {.arena = arena_new()};
	struct call c;
	call_init(&c, w, &late->request, &reply);
	memcpy(c.key_id, late->key_id, sizeof(c.key_id));
	memcpy(c.region, late->region, sizeof(c.region));
	c.late = true;
	if (identify(&c))
		run(&c);
	json_decref(c.in);
	world_reply_deinit(&reply);
}
