/*
 * API Gateway's control plane: REST APIs, and HTTP APIs (v2). Builders fill an unsigned request in the arena; parsers
 * read into the view, whose api.id is set by then. Lists that are paged have a position, "" at the end.
 */
#pragma once

#include "aws/endpoint.h"
#include "aws/error.h"
#include "chain/diff.h"

/* --- reading; the type decides between REST and HTTP --- */

enum apigateway_list {
	APIGATEWAY_APIS,
	APIGATEWAY_RESOURCES,	 /* REST: with their methods and integrations */
	APIGATEWAY_ROUTES,	 /* HTTP */
	APIGATEWAY_INTEGRATIONS, /* HTTP */
	APIGATEWAY_DEPLOYMENTS,	 /* newest … whatever order the service gives */
	APIGATEWAY_STAGES,
};

#define APIGATEWAY_POSITION_SIZE 1024

/* `position` NULL or "": from the start. */
void apigateway_build_list(struct arena *a, const struct aws_endpoint *e, enum api_type type, enum apigateway_list what,
			   const char *api_id, const char *position, struct http_request *ret);
/* One API by its id. */
void apigateway_build_get_api(struct arena *a, const struct aws_endpoint *e, enum api_type type, const char *api_id,
			      struct http_request *ret);
/* One integration of a REST method, for services that do not embed it in GetResources. */
void apigateway_build_get_integration(struct arena *a, const struct aws_endpoint *e, const char *api_id,
				      const char *resource_id, const char *verb, struct http_request *ret);
/* One deployment with the summary of its routes (REST). */
void apigateway_build_get_deployment(struct arena *a, const struct aws_endpoint *e, const char *api_id,
				     const char *deployment_id, struct http_request *ret);

/* A page; adds to the view. Of APIs: takes the one of that name and the type, and counts them (n_same_name). */
must_use int apigateway_parse_list(const struct http_response *r, enum api_type type, enum apigateway_list what,
				   const char *api_name, struct chain_view *v, char *ret_position, size_t position_size,
				   struct aws_error *ret_error);
must_use int apigateway_parse_api(const struct http_response *r, enum api_type type, struct chain_view *v,
				  struct aws_error *ret_error);
/* Into the view's method of that resource and verb. */
must_use int apigateway_parse_integration(const struct http_response *r, const char *resource_id, const char *verb,
					  struct chain_view *v, struct aws_error *ret_error);
/* Into the view's deployment of that id. */
must_use int apigateway_parse_deployment(const struct http_response *r, const char *deployment_id, struct chain_view *v,
					 struct aws_error *ret_error);

/* --- changing --- */

/* The request of a change: CREATE_API … UPDATE_STAGE. `uri`: of the integration. */
void apigateway_build_change(struct arena *a, const struct aws_endpoint *e, const struct service_spec *spec,
			     const struct chain_view *v, const struct change *c, struct http_request *ret);
/* The id of what was created ("" when the operation gives none, as stages have names), and of an API's root resource
 * if it is told. */
must_use int apigateway_parse_created(const struct http_response *r, enum change_kind kind, enum api_type type,
				      char ret_id[static API_ID_SIZE], char ret_root_id[static API_ID_SIZE],
				      struct aws_error *ret_error);
