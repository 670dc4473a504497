/*
 * The engine: runs rollouts. It feeds events to the core's state machines, gathers the effects of one turn, makes the
 * turn durable in one transaction, and only then sends calls and publishes events.
 *
 * Single-threaded; every function is called from the loop's thread. Nothing calls back before engine_turn().
 */
#pragma once

#include "control/forms.h"
#include "engine/operations.h"
#include "engine/ports.h"
#include "plan/plan.h"

struct engine;

struct engine_config {
	const char *region; /* of plans and accounts that name none; borrowed for the engine's life */
	double lambda_rps;
	double cloudwatch_rps;
	double apigateway_rps;
	int64_t call_timeout_ms; /* of one try; default 10 s when 0 */
	bool mark;
	char boot_id[40]; /* of this boot of the host: records of another boot do not compare boot_ms */
	/* Returns 0; *ret is NULL where the account has no region of its own, else good until the account is next asked
	 * about. Or 1 with a sentence: it cannot be told now, and none must be taken in its place. */
	int (*account_region)(void *ctx, const char *account, const char **ret, char *ret_error, size_t error_size);
	bool (*account_known)(void *ctx, const char *account);
	const char *(*account_name)(void *ctx, size_t index); /* those of the configuration; NULL: no more */
	void *account_ctx;
};

/* The store stays the caller's and must outlive the engine. Loads what is live; a record that cannot be read is parked
 * and shown. Returns 0 or what the store returned. */
must_use int engine_new(const struct engine_config *config, const struct ports *ports, struct store *store,
			struct engine **ret);
void engine_free(struct engine *e); /* NULL is fine */
define_cleanup(struct engine *, engine_free);

/* Processes all that is due, commits, sends. Called by wake_at's timer, and by the owner after each batch of engine_…
 * calls or transport answers. */
void engine_turn(struct engine *e);

/* No new work that moves forward; rollbacks and answers go on. engine_idle: nothing in flight and nothing undurable. */
void engine_drain(struct engine *e);
bool engine_idle(const struct engine *e);

/* --- plans --- */

enum intake_result {
	INTAKE_STARTED,	   /* a new rollout was accepted (durably once engine_turn returned) */
	INTAKE_SUPERSEDES, /* accepted; an earlier rollout of the name goes home first */
	INTAKE_UNCHANGED,  /* this content was taken in before; nothing happens */
	INTAKE_REFUSED,	   /* ret_text says why */
};

/* Takes over the plan in every case. `source`: a file's name, or "submit". `hash`: of the source's bytes. The outcome
 * is durable when the function returns (it makes a turn), or it is INTAKE_REFUSED. */
enum intake_result engine_take_plan(struct engine *e, struct plan *plan, const char *source, const char *hash,
				    const char *by, char ret_text[static LIMIT_REASON]);

/* --- commands: durable when the function returns --- */

enum engine_answer {
	ENGINE_DONE,
	ENGINE_ALREADY,
	ENGINE_REFUSED,
	ENGINE_NO_SUCH,	    /* no rollout of that name */
	ENGINE_UNAVAILABLE, /* could not be made durable */
};

enum engine_answer engine_command(struct engine *e, const char *name, enum rollout_command command, const char *by,
				  const char *reason, char ret_text[static LIMIT_REASON]);
/* A new attempt of the name's last plan, its quarantine lifted. */
enum engine_answer engine_retry(struct engine *e, const char *name, const char *by, const char *reason,
				char ret_text[static LIMIT_REASON]);
/* The same, in spite of alarms that are in ALARM at its start: each counts only once it was seen in another state. Not
 * for services, whose rollouts are named SERVICE.ALIAS. */
enum engine_answer engine_retry_despite_alarms(struct engine *e, const char *name, const char *by, const char *reason,
					       char ret_text[static LIMIT_REASON]);

/* The service of that name is not kept any longer; AWS is left as it is. */
enum engine_answer engine_forget(struct engine *e, const char *name, const char *by, const char *reason,
				 char ret_text[static LIMIT_REASON]);

/* --- views --- */

typedef void (*engine_view_cb)(void *ctx, const struct view_rollout *v);
/* Live rollouts and the last ended one of each other name. Returns 0 or the store's error. */
must_use int engine_each(struct engine *e, engine_view_cb cb, void *ctx);
/* The name's live or last rollout. Returns false when there is none. */
bool engine_view(struct engine *e, const char *name, engine_view_cb cb, void *ctx);
/* Attempts of a name, or of all names (NULL), newest first. Returns 0 or the store's error. */
must_use int engine_each_attempt(struct engine *e, const char *name, unsigned limit, engine_view_cb cb, void *ctx);

/* All that is kept of one attempt of a rollout: what docs/openapi.yaml calls a Record. `attempt` 0: the one that
 * engine_view shows. ENGINE_DONE with *ret_form, the caller's; ENGINE_NO_SUCH; ENGINE_UNAVAILABLE: the store failed. */
enum engine_answer engine_record(struct engine *e, const char *name, uint64_t attempt, json_t **ret_form);

/* --- services --- */

typedef void (*engine_service_cb)(void *ctx, const struct view_service *v);
/* The services that are kept, by age. */
void engine_each_service(struct engine *e, engine_service_cb cb, void *ctx);
/* False when there is none of that name. */
bool engine_service(struct engine *e, const char *name, engine_service_cb cb, void *ctx);
/* Compares with AWS now rather than when the time comes: of the services whose code is that file (a path as plans write
 * it), or of all of them (NULL). */
void engine_check_services(struct engine *e, const char *zip);
/* The files that services' code comes from, for whoever watches them; each once. */
void engine_each_artifact(struct engine *e, void (*cb)(void *ctx, const char *path), void *ctx);

/* --- looking without touching --- */

enum inspect_what { INSPECT_DIFF, INSPECT_DOCTOR };

struct inspection {
	const char *name;		   /* "": it is about no plan */
	const char *kind;		   /* "Rollout" | "Service"; "": it is about no plan */
	const char *error;		   /* NULL: the next ones are there */
	const struct change_list *changes; /* INSPECT_DIFF */
	const struct finding *findings;	   /* INSPECT_DOCTOR */
	size_t n_findings;
	const struct view_account *accounts; /* INSPECT_DOCTOR: the plan's, or all of them */
	size_t n_accounts;
};

typedef void (*inspect_cb)(void *arg, const struct inspection *i);

/* What the plan would change, or what stands in its way; reads AWS and changes nothing. Takes over the plan.
 * The callback
 * comes exactly once, never before this returns, and not at all after engine_inspect_forget. Returns a ticket, or 0
 * when LIMIT_INSPECTIONS are under way (the plan is freed). */
uint64_t engine_inspect(struct engine *e, struct plan *plan, enum inspect_what what, inspect_cb cb, void *arg);
/* Whose keys each account has: INSPECT_DOCTOR without a plan. As engine_inspect. */
uint64_t engine_inspect_accounts(struct engine *e, inspect_cb cb, void *arg);
void engine_inspect_forget(struct engine *e, uint64_t ticket);

/* --- counters, for /metrics and the tests --- */

struct engine_stats {
	uint64_t live;
	uint64_t by_phase[PHASE_BLOCKED + 1];
	uint64_t calls[64]; /* by enum engine_operation */
	uint64_t call_errors;
	uint64_t throttled;
	uint64_t retries;
	uint64_t stale_answers;
	uint64_t turns;
	uint64_t commits;
	uint64_t commit_failures;
	uint64_t calls_queued;
	uint64_t calls_in_flight;
	uint64_t metrics_queried; /* as CloudWatch bills them */
	uint64_t probes_answered; /* invokes of rolloutd's own, … */
	uint64_t probes_failed;	  /* … those of them that failed, … */
	uint64_t probes_skipped;  /* … and those that were due and did not come to count */
	int64_t host_ahead_ms;	  /* this host's clock, of AWS's; 0: it agrees */
	bool fenced;		  /* this engine does nothing any more: its records are not its own */
};

void engine_stats(const struct engine *e, struct engine_stats *ret);
