/*
 * What AWS has of a function's chain, as values in one arena: put together from the answers of several calls, and kept
 * up to date by the answers of the changes that are made, until it is read anew. Nothing here is a promise: other
 * writers may change everything at any time.
 */
#pragma once

#include "base/mem.h"
#include "chain/spec.h"
#include "core/rollout.h"

#define SHA256_BASE64_SIZE 45
#define API_ID_SIZE	   64
#define DIGEST_SIZE	   65

/* One version's configuration, $LATEST's included. */
struct view_version {
	uint64_t number; /* VERSION_LATEST: $LATEST */
	char code_sha256[CODE_HASH_SIZE];
	char config_digest[DIGEST_SIZE]; /* of everything that a version freezes beside its code; "" when not known */
	char role[256];
	char dead_letter_target[256];
	char state[24]; /* "" when AWS leaves it out, as in lists */
	char state_reason[LIMIT_REASON];
	char last_update_status[24];
	char last_update_reason[LIMIT_REASON];
};

/* One statement of an alias's policy. */
struct view_statement {
	const char *sid;
	bool invokes;		    /* allows API Gateway lambda:InvokeFunction, with no condition but the two below */
	const char *source_arn;	    /* NULL: any */
	const char *source_account; /* NULL: any */
};

struct view_policy {
	const struct view_statement *statements;
	size_t n_statements;
	size_t bytes; /* of the whole policy, as AWS counts it */
};

struct view_concurrency {
	char qualifier[LIMIT_ALIAS_NAME + 1]; /* a version's number or an alias's name */
	uint32_t requested;
	uint32_t available;
	enum { CONCURRENCY_IN_PROGRESS, CONCURRENCY_READY, CONCURRENCY_FAILED } status;
	char reason[LIMIT_REASON];
};

struct view_alias_entry {
	const char *name;
	struct alias_view view;
	bool policy_read;
	struct view_policy policy;
};

struct view_resource {
	const char *id;
	const char *parent_id; /* NULL: the root */
	const char *path;
};

/* A method of a resource (REST), or a route (HTTP). */
struct view_method {
	const char *resource_id; /* REST */
	const char *route_id;	 /* HTTP */
	const char *path;
	const char *verb;	      /* "GET", …, "ANY" */
	const char *integration_id;   /* HTTP; NULL: none */
	const char *integration_type; /* "AWS_PROXY"; NULL: no integration */
	const char *uri;	      /* of the integration; NULL: none */
	const char *called_by;	      /* REST: the verb by which the integration calls Lambda; NULL: not told */
};

struct view_integration { /* HTTP */
	const char *id;
	const char *type;
	const char *uri;
};

struct view_deployment {
	const char *id;
	const char *description;
	bool summary_read;	   /* REST: the next two are known */
	const char *const *routes; /* "GET /hello" */
	size_t n_routes;
};

struct view_variable {
	const char *name;
	const char *value;
};

struct view_stage {
	const char *name;
	const char *deployment_id; /* NULL: none */
	const struct view_variable *variables;
	size_t n_variables;
	bool canary;	  /* has canary settings: takes no other deployment */
	bool auto_deploy; /* HTTP */
};

struct view_api {
	bool found;
	unsigned n_same_name; /* APIs of the declared name and type */
	char id[API_ID_SIZE];
	char name[256];
	const char *root_id; /* REST: the resource "/" */
	const struct view_resource *resources;
	size_t n_resources;
	const struct view_method *methods;
	size_t n_methods;
	const struct view_integration *integrations;
	size_t n_integrations;
	const struct view_deployment *deployments; /* those of declared stages, and others when they were asked for */
	size_t n_deployments;
	const struct view_stage *stages;
	size_t n_stages;
};

struct chain_view {
	struct arena *arena; /* owned */
	bool function_found;
	char partition[16]; /* "aws" */
	char region[40];
	char account_id[16];		     /* twelve digits; "" while the function does not exist */
	struct view_version latest;	     /* $LATEST */
	char revision[REVISION_SIZE];	     /* of $LATEST when it was looked at; "" when AWS tells none */
	char image_uri[512];		     /* "" for zips */
	const struct view_version *versions; /* published ones, rising */
	size_t n_versions;
	const struct view_alias_entry *aliases; /* all of the function's, by name */
	size_t n_aliases;
	bool concurrency_read; /* else the service does not know the operation, or the right to it is missing */
	const struct view_concurrency *concurrency;
	size_t n_concurrency;
	struct view_api api;
};

/* An empty view with an arena of its own; free by chain_view_deinit. */
void chain_view_init(struct chain_view *v);
void chain_view_deinit(struct chain_view *v);

/* Whether text can be an API's id. It becomes a part of the name of the host that is probed, so it has nothing in it
 * but ASCII letters, digits, '-' and '_'. */
bool chain_view_is_api_id(const char *text);

/* NULL when absent. */
const struct view_alias_entry *chain_view_alias(const struct chain_view *v, const char *name);
const struct view_version *chain_view_version(const struct chain_view *v, uint64_t number);
const struct view_version *chain_view_newest(const struct chain_view *v);
const struct view_concurrency *chain_view_concurrency(const struct chain_view *v, const char *qualifier);
const struct view_stage *chain_view_stage(const struct chain_view *v, const char *name);
/* "arn:aws:lambda:us-east-1:123456789012:function:hello:${stageVariables.lambdaAlias}" within API Gateway's invocation
 * URI. */
const char *chain_integration_uri(struct arena *a, const struct service_spec *spec, const struct chain_view *v);
/* "arn:aws:execute-api:us-east-1:123456789012:abcdef/prod/" and a star: all methods and paths of a stage. */
const char *chain_source_arn(struct arena *a, const struct chain_view *v, const char *stage);
/* "rolloutd-APIID-STAGE": the same each time, so that a second attempt finds the first one's. */
const char *chain_statement_id(struct arena *a, const struct chain_view *v, const char *stage);
/* The ARN of the function, without a qualifier. */
const char *chain_function_arn(struct arena *a, const struct service_spec *spec, const struct chain_view *v);
/* What a statement of ours takes in an alias's policy, so that the limit is foreseen. */
size_t chain_statement_bytes(const char *function_arn, const char *alias, const char *sid, const char *source_arn,
			     const char *source_account);
