/*
 * A rig for the tests of lib/chain: a function with versions and aliases, and one API, as a model that changes are
 * carried out on. It knows nothing of chain_apply: what a look shows is put together anew from the model. Each change
 * is checked where AWS would refuse it, and where a request would fail because of it.
 */
#pragma once

#include "base/mem.h"
#include "chain/diff.h"

#define CHAIN_RIG_ACCOUNT "123456789012"
#define CHAIN_RIG_MAX	  16
#define CHAIN_RIG_TEXT	  256

struct chain_rig_statement {
	char sid[CHAIN_RIG_TEXT];
	bool invokes;
	char arn[CHAIN_RIG_TEXT];     /* "": any */
	char account[CHAIN_RIG_TEXT]; /* "": any */
};

struct chain_rig_alias {
	char name[CHAIN_RIG_TEXT];
	struct alias_view view;
	struct chain_rig_statement statements[CHAIN_RIG_MAX];
	size_t n_statements;
	size_t bytes; /* of its policy, beside what the statements have */
	bool unread;  /* its policy cannot be read */
};

struct chain_rig_method {
	char resource[CHAIN_RIG_TEXT];
	char route[CHAIN_RIG_TEXT];
	char path[CHAIN_RIG_TEXT];
	char verb[CHAIN_RIG_TEXT];
	char integration[CHAIN_RIG_TEXT];
	char type[CHAIN_RIG_TEXT]; /* "": no integration */
	char uri[CHAIN_RIG_TEXT];
	char called_by[CHAIN_RIG_TEXT];
};

struct chain_rig_deployment {
	char id[CHAIN_RIG_TEXT];
	char description[CHAIN_RIG_TEXT];
	char routes[CHAIN_RIG_MAX][CHAIN_RIG_TEXT];
	size_t n_routes;
	bool unread; /* its summary is not known */
};

struct chain_rig_stage {
	char name[CHAIN_RIG_TEXT];
	char deployment[CHAIN_RIG_TEXT]; /* "": none */
	char variables[4][2][CHAIN_RIG_TEXT];
	size_t n_variables;
	bool canary, auto_deploy;
};

struct chain_rig {
	/* what is declared */
	struct service_spec spec;
	struct service_alias aliases[CHAIN_RIG_MAX];
	struct service_route routes[CHAIN_RIG_MAX];
	struct service_stage stages[LIMIT_SERVICE_STAGES];
	char code_sha256[SHA256_BASE64_SIZE];
	const char *code_problem;
	uint64_t kept[4];
	size_t n_kept;

	/* what AWS has */
	struct view_version latest; /* number 0; "" as state: settled */
	bool function_found;
	struct view_version versions[CHAIN_RIG_MAX * 2];
	size_t n_versions;
	uint64_t next_version;
	struct chain_rig_alias alias[CHAIN_RIG_MAX];
	size_t n_alias;
	struct view_concurrency concurrency[4];
	size_t n_concurrency;
	bool concurrency_unread;
	bool api_found;
	unsigned n_same_name;
	char api_id[API_ID_SIZE];
	struct view_resource resource[CHAIN_RIG_MAX]; /* strings in `strings` */
	size_t n_resource;
	bool root_unread;
	struct chain_rig_method method[CHAIN_RIG_MAX];
	size_t n_method;
	struct view_integration integration[CHAIN_RIG_MAX];
	size_t n_integration;
	struct chain_rig_deployment deployment[CHAIN_RIG_MAX * 4];
	size_t n_deployment;
	struct chain_rig_stage stage[CHAIN_RIG_MAX];
	size_t n_stage;
	unsigned next_id;
	struct arena *strings;

	/* between the two */
	struct chain_memory memory;
	struct chain_view view;
	struct change_list list;
	struct arena *arena; /* the list's */
	int64_t now_unix_ms;
	bool slow;	/* code and versions take until the next look */
	unsigned calls; /* made so far */
};

/* Function hello with code in $LATEST that is version 1 and 2; aliases dev, test, prod declared and missing; a REST API
 * with three stages and GET /hello declared, and missing. */
void chain_rig_init(struct chain_rig *g);
void chain_rig_deinit(struct chain_rig *g);

struct view_version *chain_rig_add_version(struct chain_rig *g, const char *sha256);
struct chain_rig_alias *chain_rig_add_alias(struct chain_rig *g, const char *name, uint64_t version);
struct chain_rig_alias *chain_rig_alias(struct chain_rig *g, const char *name);
void chain_rig_allow(struct chain_rig *g, struct chain_rig_alias *a, const char *sid, const char *arn,
		     const char *account);
struct chain_rig_stage *chain_rig_stage(struct chain_rig *g, const char *name);

struct chain_input chain_rig_input(const struct chain_rig *g);
void chain_rig_look(struct chain_rig *g); /* reads the model; what was slow is ready afterwards */
void chain_rig_diff(struct chain_rig *g);
/* Looks, lets the memory see it, and compares. */
void chain_rig_ask(struct chain_rig *g);

enum chain_rig_fate { CHAIN_RIG_OK, CHAIN_RIG_LOST_BEFORE, CHAIN_RIG_LOST_AFTER };
/* Makes the change as the engine does; when it is lost, the memory is that of before the call. */
void chain_rig_make(struct chain_rig *g, const struct change *c, enum chain_rig_fate fate);
/* As `rolloutctl retry` does. */
void chain_rig_insist(struct chain_rig *g);
/* The first call or rollout; NULL: none. */
const struct change *chain_rig_next(const struct chain_rig *g);
/* Calls and rollouts until none is left, fails when that takes too long. Returns how many calls were made. */
unsigned chain_rig_run(struct chain_rig *g);

/* The only item of that kind, or NULL; fails when there are several. */
const struct change *chain_rig_only(const struct chain_rig *g, enum change_kind kind);
/* The item about that subject; NULL: none. */
const struct change *chain_rig_about(const struct chain_rig *g, enum change_kind kind, const char *subject);
/* All items, one a line; in the list's arena. */
const char *chain_rig_text(const struct chain_rig *g);
