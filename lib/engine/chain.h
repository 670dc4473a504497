/*
 * Inside the engine only: looking at a function's chain, and bringing it to what is declared. Services use it to keep
 * themselves, rollouts to publish what they roll out, `diff` and `doctor` to look.
 *
 *   look:      the hash of the code's file, then a sequence of reads -> struct chain_view
 *   reconcile: look -> chain_diff -> first call -> intent, durable -> send -> chain_apply -> chain_diff … ->
 * look again, until
 *              nothing is left that a call can do
 *
 * A change whose answer is lost is never sent again blindly: everything is looked at anew, and what is still missing
 * is asked for. So a restart needs nothing but the memory that the owner records with each intent.
 */
#pragma once

#include "chain/diff.h"
#include "engine/item.h"

/* Where a chain is, and how calls name its function; borrowed from the owner, who outlives what it started. */
struct chain_place {
	const char *account;
	const char *region;
	const char *function; /* name or ARN */
};

/* --- observe.c --- */

struct observation;

/* The view is moved to the callee when there is no error; `operation` names the call that failed. */
typedef void (*observe_cb)(void *arg, struct chain_view *view, const struct aws_error *error, const char *operation);

struct observe_scope {
	bool aliases;	  /* all of the function's aliases */
	bool concurrency; /* provisioned concurrency of all of its versions and aliases */
	bool deployments; /* all of the API's deployments, to find one that was made without our learning its id */
	/* As long as $LATEST or the newest version is being made ready, nothing else is looked at: settled is false. */
	bool until_settled;
	bool patient; /* nobody waits for it: everything else goes first */
};

/* Starts reading; the callback comes exactly once, never before this returns, and not at all after observe_cancel. */
struct observation *observe_start(struct engine *e, const struct chain_place *place, const struct service_spec *spec,
				  const struct observe_scope *scope, observe_cb cb, void *arg);
void observe_cancel(struct observation *o); /* NULL is fine */
/* $LATEST or the newest version is still being made ready: what the view says beyond them was not read. */
bool observe_unsettled(const struct chain_view *v);

/* --- reconcile.c --- */

struct reconcile;

struct reconcile_ops {
	/* AWS was looked at; what the owner knows besides goes into the memory now, before anything is
	 * decided. May be NULL. */
	void (*looked)(void *arg, const struct chain_view *v);
	/* This change leaves once the turn is durable. The memory has been changed; the owner records it, and
	 * the text. */
	void (*intent)(void *arg, const struct change *c, const char *text);
	/* It has taken effect; the memory has been changed. */
	void (*changed)(void *arg, const struct change *c, const char *text);
	/*
	 * The end, exactly once: no call is left to make, and reconcile_changes says what remains; or an
	 * error, with the operation that failed. What AWS refuses (reconcile_refused) is an error, too: the
	 * first one, told when everything that does not depend on it is done. The owner may free the
	 * reconcile here, whose error it may be.
	 */
	void (*done)(void *arg, const struct aws_error *error, const char *operation);
};

struct reconcile_config {
	struct engine *engine;
	struct chain_place place;
	const struct service_spec *spec;
	struct chain_memory *memory; /* the owner's */
	bool look_only;		     /* nothing is changed */
	bool patient;		     /* nobody waits for its looks: everything else goes first */
	bool aliases;		     /* look at the aliases, too; false: code and versions alone */
	const uint64_t *kept_versions;
	size_t n_kept_versions;
	struct reconcile_ops ops;
	void *arg;
};

struct reconcile *reconcile_start(const struct reconcile_config *config);
/* Stops it: no callback any more. A call that is on its way is not called back; its answer is not waited for. */
void reconcile_free(struct reconcile *r); /* NULL is fine */
/* The operation of the error that says so: what was made is not there at a look that came right after it. */
#define RECONCILE_UNSTABLE "looking at what was made"
/* A change of a reconcile that was stopped is on its way there still: what a look shows may be of before it. */
bool reconcile_is_loose(const struct engine *e, const struct chain_place *place);
/* As of the end; borrowed until reconcile_free. */
const struct chain_view *reconcile_view(const struct reconcile *r);
const struct change_list *reconcile_changes(const struct reconcile *r);
/* Everything that would follow, one after the other. */
void reconcile_forecast(const struct reconcile *r, struct arena *a, struct change_list *ret);
/* A rollout that the changes ask for was started: into the memory. */
void reconcile_remember(const struct reconcile *r, const struct change *rollout);
/* AWS said no to some of the changes, and will again: what remains is known, and so is why. */
bool reconcile_refused(const struct reconcile *r);
/* $LATEST or a version is being made ready: look again soon. */
bool reconcile_unsettled(const struct reconcile *r);
/* The CodeSha256 of the declared zip; "" when there is none. */
const char *reconcile_code_sha256(const struct reconcile *r);

/* --- prune.c --- */

/* Of intents of a rollout that are not about its alias: above every sequence number of the rollout itself. */
#define PUBLISH_SEQ (UINT64_C(1) << 32)

/* The function's old versions go, as the rollout's plan says; it has succeeded. */
void prune_versions(struct item *i);

/* --- publish.c --- */

/* version 0: not published; with `waiting` it will be, and the caller asks again later. */
typedef void (*publish_cb)(void *arg, enum call_outcome outcome, uint64_t version, bool waiting, const char *text);

/* Publishes what the rollout's plan says, if it is new. The callback comes exactly once, never before this returns. */
void publish_for(struct item *i, publish_cb cb, void *arg);

/* --- services, as the rest of the engine knows them; see service.h --- */

struct service;

struct service *service_find(const struct engine *e, const char *name); /* NULL: none */
struct service *service_next(const struct service *s);			/* by age; NULL: the last one */
/* Another service says otherwise about an alias or a stage: each would set back what the other one did, without end. */
bool service_clashes(const struct engine *e, const struct plan *plan, const char *region,
		     char ret_text[static LIMIT_REASON]);
/* The plan, which nothing forbids, becomes a service, in the place of an older one of its name; durable, or
 * refused. Takes
 * the plan over. */
enum intake_result service_accept(struct engine *e, struct plan *plan, const char *region, uint64_t attempt,
				  const char *source, const char *hash, const char *by,
				  char ret_text[static LIMIT_REASON]);
enum engine_answer service_command(struct service *s, enum rollout_command command, const char *by, const char *reason,
				   char ret_text[static LIMIT_REASON]);
enum engine_answer service_retry(struct service *s, const char *by, const char *reason,
				 char ret_text[static LIMIT_REASON]);
/* What a live service remembers, for a chain of other content of its name. */
void service_copy_memory(const struct service *s, const struct service_spec *spec, struct chain_memory *ret);
/* A stored row is a service's: by its key. */
bool service_is_row(const struct store_rollout *r);
void service_load_row(struct engine *e, const struct store_rollout *r);
/* After everything was loaded: what became of their rollouts meanwhile. Returns 0 or the store's error. */
must_use int services_resume(struct engine *e);
/* A rollout has ended; if it is a service's, that one looks again. */
void services_rollout_ended(struct engine *e, const struct item *i);
/* A rollout was started by somebody else's word: `retry` of it alone. */
void services_rollout_started(struct engine *e, const struct item *i);
void services_run(struct engine *e);		  /* starts what is due */
int64_t services_next_ms(const struct engine *e); /* boot_ms; INT64_MAX: nothing */
must_use int services_put(struct engine *e);	  /* those that changed, into the open transaction */
void services_recorded(struct engine *e);	  /* … and that is durable now */
bool services_dirty(const struct engine *e);
void services_free(struct engine *e);
void inspects_free(struct engine *e);

/* --- probe.c --- */

/* Where a stage's path is: API Gateway's own host, or that of whoever stands in for it. */
void probe_url(const struct engine *e, const struct chain_place *place, enum api_type type, const char *api_id,
	       const char *stage, const char *path, char *out, size_t size);

struct probe;
/* `error` "": all answered as expected; else what the first one that did not says. */
typedef void (*probe_cb)(void *arg, const char *error);
/* One GET for each; never calls back before it returns; not at all after probe_cancel. */
struct probe *probe_start(struct engine *e, const struct plan_verify *targets, size_t n, probe_cb cb, void *arg);
void probe_cancel(struct probe *p); /* NULL is fine */
