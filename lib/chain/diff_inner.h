/* Inside lib/chain only: what the parts of chain_diff share. Each part appends in the order of diff.h. */
#pragma once

#include "chain/diff.h"

struct diff {
	const struct chain_input *in;
	const struct service_spec *spec;
	const struct chain_view *v;
	const struct chain_memory *m;
	struct arena *a;
	struct change *items;
	size_t len;
	size_t cap;
	bool code_busy;	   /* code or a version is due or under way: what is newest is about to change */
	bool code_settled; /* neither that, nor anything wrong with the code */
	size_t api_calls;  /* listed ones, of the API and its permissions */
	size_t route_calls;
	bool routes_held;		  /* routes are due that must not be changed yet */
	bool api_waits;			  /* something of the API is to be looked at later */
	const char *api_subject;	  /* "API hello-api" */
	bool ready[LIMIT_SERVICE_STAGES]; /* the stage's alias is there, and lets the stage invoke it */
	const char *uri;		  /* of the integration */
};

/* Appends one of that kind; its texts are "" and to be set by the caller. Valid until the next one is appended. */
struct change *diff_add(struct diff *d, enum change_kind kind, const char *subject);
void diff_problem(struct diff *d, const char *subject, const char *field, const char *fmt, ...) printf_like(4, 5);
void diff_wait(struct diff *d, const char *subject, const char *field, const char *fmt, ...) printf_like(4, 5);
size_t diff_count(const struct diff *d, enum change_kind kind);
/* All parts in order. */
void diff_run(struct diff *d);

/* --- the parts --- */

void diff_function(struct diff *d); /* function, code, version */
void diff_missing_aliases(struct diff *d);
void diff_api(struct diff *d);		  /* API … stages */
void diff_moving_aliases(struct diff *d); /* jumps and rollouts */
void diff_permissions(struct diff *d);
void diff_unused_permissions(struct diff *d);
void diff_routes(struct diff *d);
void diff_stages_before_routes(struct diff *d); /* those that serve a route as soon as there is one */
void diff_stages(struct diff *d);
void diff_prune(struct diff *d);

/* --- questions that what is remembered depends on as well --- */

/* The declared code is what $LATEST has, as far as its hash can tell. */
bool code_is_latest(const struct chain_input *in);
/* What is declared of an alias, when it is known at once: a number that exists, the newest, $LATEST. */
bool alias_is_wanted(const struct chain_input *in, size_t alias, uint64_t version);
/* FOLLOW_ALIAS: the version that the other one holds alone, published and with no rollout; 0: none. */
uint64_t alias_source_version(const struct chain_input *in, size_t alias);
/* The deployment that was made for the routes as they are; NULL: none. */
const struct view_deployment *stage_deployment_made(const struct chain_view *v, const struct chain_memory *m);
