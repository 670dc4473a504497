/* Requests that read. Those that change are in apigateway_change.c, the answers in apigateway_read.c. */
#include "aws/apigateway.h"

#include "aws/apigateway_wire.h"
#include "aws/request.h"
#include "base/error.h"

/* Pages as large as the service has them; but resources come with their methods, and 500 of these may be more than
 * LIMIT_AWS_RESPONSE_BYTES. HTTP APIs choose their pages' size themselves. */
#define PAGE_LIMIT	     "500"
#define PAGE_LIMIT_RESOURCES "100"

static const char *apis_path(enum api_type type)
{
	require(type != API_NONE);
	return type == API_REST ? "/restapis" : "/v2/apis";
}

void apigateway_init_request(struct http_request *r, struct arena *a, const struct aws_endpoint *e, enum api_type type,
			     const char *method, const char *const *segments, const struct buf *query)
{
	struct buf path cleanup(buf_deinit) = BUF_INIT(REQUEST_TARGET_MAX);
	buf_add_text(&path, apis_path(type));
	for (; *segments; segments++) {
		buf_add_char(&path, '/');
		request_add_segment(&path, *segments);
	}
	request_init_target(r, a, e, method, &path, query);
	/* Without it REST APIs answer in HAL. */
	http_request_add_header(r, "Accept", REQUEST_JSON);
}

void apigateway_build_list(struct arena *a, const struct aws_endpoint *e, enum api_type type, enum apigateway_list what,
			   const char *api_id, const char *position, struct http_request *ret)
{
	static const char *const names[] = {
	    [APIGATEWAY_APIS] = NULL,
	    [APIGATEWAY_RESOURCES] = "resources",
	    [APIGATEWAY_ROUTES] = "routes",
	    [APIGATEWAY_INTEGRATIONS] = "integrations",
	    [APIGATEWAY_DEPLOYMENTS] = "deployments",
	    [APIGATEWAY_STAGES] = "stages",
	};
	struct buf query cleanup(buf_deinit) = BUF_INIT(REQUEST_TARGET_MAX);
	const char *const segments[] = {what == APIGATEWAY_APIS ? NULL : api_id, names[what], NULL};
	if (type == API_HTTP) {
		request_add_parameter(&query, "nextToken", position);
	} else if (what != APIGATEWAY_STAGES) {
		request_add_parameter(&query, "position", position);
		request_add_parameter(&query, "limit",
				      what == APIGATEWAY_RESOURCES ? PAGE_LIMIT_RESOURCES : PAGE_LIMIT);
		if (what == APIGATEWAY_RESOURCES)
			request_add_parameter(&query, "embed", "methods");
	}
	apigateway_init_request(ret, a, e, type, "GET", segments, &query);
}

void apigateway_build_get_api(struct arena *a, const struct aws_endpoint *e, enum api_type type, const char *api_id,
			      struct http_request *ret)
{
	const char *const segments[] = {api_id, NULL};
	apigateway_init_request(ret, a, e, type, "GET", segments, NULL);
}

void apigateway_build_get_integration(struct arena *a, const struct aws_endpoint *e, const char *api_id,
				      const char *resource_id, const char *verb, struct http_request *ret)
{
	const char *const segments[] = {api_id, "resources", resource_id, "methods", verb, "integration", NULL};
	apigateway_init_request(ret, a, e, API_REST, "GET", segments, NULL);
}

void apigateway_build_get_deployment(struct arena *a, const struct aws_endpoint *e, const char *api_id,
				     const char *deployment_id, struct http_request *ret)
{
	struct buf query cleanup(buf_deinit) = BUF_INIT(REQUEST_TARGET_MAX);
	const char *const segments[] = {api_id, "deployments", deployment_id, NULL};
	request_add_parameter(&query, "embed", "apisummary");
	apigateway_init_request(ret, a, e, API_REST, "GET", segments, &query);
}
