/*
 * API Gateway's APIs as the world keeps them, REST APIs and HTTP APIs alike. What operations show is kept as the JSON
 * that they show; what the data plane needs is drawn out of it when a deployment is made, and is a copy: what changes
 * later is not served before it is deployed.
 */
#pragma once

#include <jansson.h>

#include "base/mem.h"
#include "sim/metrics.h"
#include "sim/table.h"
#include "sim/world.h"

#define GATEWAY_ID_SIZE		16
#define GATEWAY_APIS_MAX	600 /* of both types: AWS's quota of regional REST APIs */
#define GATEWAY_RESOURCES_MAX	300 /* of one API; routes and integrations of an HTTP API likewise */
#define GATEWAY_STAGES_MAX	10
#define GATEWAY_DEPLOYMENTS_MAX 1000 /* of one API */
#define GATEWAY_SEGMENTS_MAX	64   /* of a request's path */
#define GATEWAY_TIMEOUT_MS	29000
#define GATEWAY_HTTP_TIMEOUT_MS 30000
#define GATEWAY_VARIABLES_MAX	100

enum gateway_type { GATEWAY_REST, GATEWAY_HTTP };

/* A method of a resource, or a route, as it was deployed. */
struct gateway_route {
	char *method; /* "GET", or "ANY" */
	char *path;   /* "/pets/{id}", "/{proxy+}"; "$default": any that nothing else fits */
	char *uri; /* of a Lambda proxy integration, stage variables still in it; NULL: nothing that is served here */
	bool post; /* the integration calls Lambda by POST, as it must */
	bool by_role;	  /* Lambda is called with a role's rights: the function's policy is not asked */
	bool payload_two; /* payload format 2.0 */
	int64_t timeout_ms;
};

struct gateway_deployment {
	char *id;
	json_t *json;	 /* as GetDeployment shows it */
	json_t *summary; /* REST: path -> verb -> what it needs */
	struct gateway_route *routes;
	size_t n_routes;
	size_t cap;
};

/* NULL until something is recorded. */
struct gateway_series {
	struct series *count, *error_4xx, *error_5xx, *latency, *integration_latency;
};

struct gateway_stage {
	char *name;
	json_t *json; /* as GetStage shows it */
	struct gateway_series series;
};

struct gateway_api {
	enum gateway_type type;
	char *id;
	char region[64];	   /* where it was made: part of its ARN */
	json_t *json;		   /* as GetRestApi and GetApi show it */
	char *root_id;		   /* REST: of the resource "/" */
	struct table resources;	   /* REST: id -> json_t, all methods and integrations in it */
	struct table integrations; /* HTTP: id -> json_t */
	struct table routes;	   /* HTTP: id -> json_t */
	struct table deployments;  /* id -> struct gateway_deployment */
	struct table stages;	   /* name -> struct gateway_stage */
	struct gateway_series series;
};

struct gateway_apis {
	struct table by_id; /* struct gateway_api */
};

void gateway_deinit(struct gateway_apis *a);
/* Lower-case letters and digits, as AWS's are. */
void gateway_draw_id(struct world *w, size_t len, char out[static GATEWAY_ID_SIZE]);

/* NULL when absent, or of the other type. */
struct gateway_api *gateway_find(const struct world *w, enum gateway_type type, const char *id);
/* `id` NULL: one is drawn. NULL when there are GATEWAY_APIS_MAX, or the id is taken. A REST API begins with "/". */
struct gateway_api *gateway_add(struct world *w, enum gateway_type type, const char *region, const char *id,
				const char *name);
void gateway_remove(struct world *w, struct gateway_api *api);
void gateway_rename(struct gateway_api *api, const char *name);
const char *gateway_name(const struct gateway_api *api);

/* REST. The resource of that path part under the parent; NULL when absent. */
json_t *gateway_child(const struct gateway_api *api, const char *parent_id, const char *part);
/* Adds; NULL when there are GATEWAY_RESOURCES_MAX. Borrowed. */
json_t *gateway_add_resource(struct world *w, struct gateway_api *api, const char *parent_id, const char *part);
/* HTTP. Takes `json`, whose `id_key` is set to a new id; false, with `json` freed, when there are too many. */
bool gateway_add_part(struct world *w, struct table *parts, const char *id_key, json_t *json);

struct gateway_deployment *gateway_deployment(const struct gateway_api *api, const char *id);
/* The names of what stands in the way of a deployment. */
enum gateway_ready { GATEWAY_READY, GATEWAY_NO_METHODS, GATEWAY_NO_INTEGRATION, GATEWAY_TOO_MANY };
/* A snapshot of what there is. `description` NULL: none. *ret is set when it is GATEWAY_READY. */
enum gateway_ready gateway_deploy(struct world *w, struct gateway_api *api, const char *description, bool by_itself,
				  struct gateway_deployment **ret);
void gateway_remove_deployment(struct gateway_api *api, struct gateway_deployment *d);
/* Whether any stage serves it, as its canary either. */
bool gateway_deployment_used(const struct gateway_api *api, const char *id);

struct gateway_stage *gateway_stage(const struct gateway_api *api, const char *name);
/* Takes `json`. */
struct gateway_stage *gateway_add_stage(struct gateway_api *api, const char *name, json_t *json);
void gateway_remove_stage(struct gateway_api *api, struct gateway_stage *s);
/* HTTP: stages that deploy by themselves get what is there now. */
void gateway_auto_deploy(struct world *w, struct gateway_api *api);
void gateway_auto_deploy_stage(struct world *w, struct gateway_api *api, struct gateway_stage *s);
/* Takes `json`; NULL changes nothing but the time. */
void gateway_change_stage(struct world *w, struct gateway_stage *s, json_t *json);
/* The time as this API's JSON has it: seconds, or ISO 8601. */
json_t *gateway_time(const struct world *w, enum gateway_type type);

/* Letters, digits, - and _; or "$default" of an HTTP API. */
bool gateway_stage_name_ok(enum gateway_type type, const char *name);
bool gateway_variable_name_ok(const char *name);
bool gateway_variable_value_ok(const char *value);

/* --- the data plane --- */

/* Whether the request is for an API, by its host or its path, rather than for an AWS service. */
bool gateway_claims(const struct http_request *request);
void gateway_handle(struct world *w, const struct http_request *request, struct world_reply *ret);

/* The part of the admin state. */
json_t *gateway_state_json(const struct world *w);
