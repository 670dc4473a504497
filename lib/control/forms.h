/*
 * The JSON forms of the control API, described by docs/openapi.yaml. Views are plain values that the engine fills; the
 * strings are borrowed.
 *
 * Habits of all forms: snake_case; times are text in ISO 8601, UTC, in fields that end in `_at`; lengths of time are
 * milliseconds in fields that end in `_ms`; a weight is a percent number and, beside it, basis points in `…_bp`;
 * what is not known yet is null; text fields are "" when there is nothing to say.
 */
#pragma once

#include <jansson.h>

#include "base/clock.h"
#include "chain/diff.h"
#include "core/rollout.h"

/* How a form becomes text: percents as they were written, whatever the double behind them. */
#define FORM_DUMP_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(15))

struct view_step {
	uint32_t weight_bp;
	int64_t bake_ms;
	bool approve;
};

struct view_rollout {
	const char *name;
	uint64_t attempt;
	const char *function;
	const char *alias;
	const char *account;
	const char *region;
	const char *plan_hash;
	const char *source; /* file name or "submit"; "" when not known any more */
	const struct rollout_spec *spec;
	const struct rollout *state; /* phase, step, weights, verdict, reasons */
	struct instant now;
	struct verdict_result verdict;	     /* counts */
	struct experiment_result experiment; /* when the plan is one and the canary has had traffic */
	const char *unreadable; /* a record that could not be read: why; NULL otherwise (then only name is valid) */
};

/* What a service's alias should be and is. */
struct view_service_alias {
	const char *name;
	const char *declared; /* "version 2", "the newest version", "$LATEST", "what test holds, after 2h" */
	const char *holds;    /* "version 1 (90%) and version 2 (10%)"; "" when it does not exist or is not known */
	const char *rollout;  /* "hello.prod" when one is under way; "" otherwise */
	const char *state;    /* "as declared", or what is in the way */
};

struct view_service_stage {
	const char *name;
	const char *alias;
	const char *url; /* "" while it is not known */
};

struct view_service {
	const char *name;
	uint64_t attempt;
	const char *function;
	const char *account;
	const char *region;
	const char *plan_hash;
	const char *source;
	enum rollout_phase phase;
	const char *reason;
	const char *trouble;
	int64_t checked_unix_ms; /* when AWS was compared with the file last; 0: not yet */
	uint64_t changes_made;	 /* calls that changed something, since it was accepted */
	const char *api_id;	 /* "" when there is none */
	const struct view_service_alias *aliases;
	size_t n_aliases;
	const struct view_service_stage *stages;
	size_t n_stages;
	const struct change_list *changes; /* what differs, as of checked_unix_ms; NULL: nothing */
	struct instant now;
	const char *unreadable;
};

/* What `doctor` found. */
enum finding_level { FINDING_OK, FINDING_WARNING, FINDING_PROBLEM };

struct finding {
	enum finding_level level;
	const char *subject; /* "alias prod", "credentials of account default" */
	const char *text;    /* what is so */
	const char *cure;    /* what to do; "" when nothing */
};

/* Which identity an account has. No secret. */
struct view_account {
	const char *name;
	const char *region;
	const char *source;	 /* of its keys; "" when it is not known */
	const char *arn;	 /* "" when STS did not say */
	const char *account_id;	 /* the number; "" likewise */
	int64_t expires_unix_ms; /* INT64_MAX: never; 0: it has no keys */
	bool extended;		 /* beyond their end, by AWS */
};

/* A file that is wrong: shown in `list`. */
struct view_file {
	const char *file;
	const char *errors; /* "file:line:column: …" lines */
};

/* Every form is the caller's to own. */
json_t *form_rollout(const struct view_rollout *v, bool details);
json_t *form_file(const struct view_file *v);
/* "kind": "Service", phase, aliases, stages, and with details what differs: `changes`. */
json_t *form_service(const struct view_service *v, bool details);
/* One change: {kind, subject, field, from, to, text}; `kind` as change_kind_name says. */
json_t *form_change(const struct change *c);
/* POST /v1/plans/diff: {"name", "kind", "as_declared": no call and no rollout would follow, and nothing
 * is in the way, "changes": […]}. */
json_t *form_diff(const char *name, const char *kind, const struct change_list *changes);
/* One account: {name, region, source, arn, account_id, expires_at: null when never or not known, extended}. */
json_t *form_account(const struct view_account *v);
/* POST /v1/plans/doctor and GET /v1/accounts: {"name": "" when it is about no plan, "healthy": no finding is a problem,
 * "accounts": […], "findings": [{level, subject, text, cure}]}. Takes over the accounts. */
json_t *form_doctor(const char *name, json_t *accounts, const struct finding *findings, size_t n);
/* {"error": {"code": CODE, "message": TEXT}} */
json_t *form_error(const char *code, const char *message);
json_t *form_event(uint64_t id, const char *name, uint64_t rollout_id, int64_t unix_ms, const char *kind,
		   const char *phase, const char *text, const char *by);

/* What a plan says about how to roll out, and how long that takes: {steps, bake_ms, expected_ms, analysis, …}. */
json_t *form_spec(const struct rollout_spec *spec);

/* Answers. They take over the arrays that they are given. */

/* GET /v1/rollouts: {"now": …, "services": […], "rollouts": […], "files": […]} */
json_t *form_list(json_t *services, json_t *rollouts, json_t *files, int64_t now_unix_ms);
/* GET /v1/history: {"rollouts": […]}, newest first. */
json_t *form_history(json_t *rollouts);
/* GET /v1/events without follow: {"events": […]}, oldest first. With follow: one form_event a line. */
json_t *form_events(json_t *events);
/* What became of a command, a retry, a submitted plan or a reload. `result`: "done", "already", "started", "supersedes"
 * or "unchanged"; `phase` NULL when it is about no rollout. */
json_t *form_answer(const char *result, const char *name, const char *phase, const char *message);
/* One line of a plan's diagnostics. */
json_t *form_diagnostic(bool is_error, unsigned line, unsigned column, const char *text);
/* What an alias should hold, for people: "version 2", "the newest version", "$LATEST", "what test holds, after 2h". */
void form_declared(const struct service_alias *alias, char *out, size_t size);
/* One alias of a service, as POST /v1/plans/validate shows it. `rollout` is the name of the rollouts that move it, and
 * `spec` how they go; both NULL for an alias that no rollout moves. */
json_t *form_alias_plan(const struct service_alias *alias, const char *rollout, const struct rollout_spec *spec);
/* POST /v1/plans/validate: {"valid": …, "name": …, "kind": …, "diagnostics": […], "plan": form_spec or null,
 * "aliases": [form_alias_plan]}. `name` and `kind` NULL when the plan is not valid. `spec` is a rollout's and NULL
 * otherwise; `aliases` are a service's (taken over), and NULL otherwise. */
json_t *form_check(const char *name, const char *kind, const struct rollout_spec *spec, json_t *aliases,
		   json_t *diagnostics);
/* A submitted plan that is not valid: the error form with code "invalid_plan" and the diagnostics in it. */
json_t *form_invalid_plan(const char *message, json_t *diagnostics);
json_t *form_version(const char *version, int64_t started_unix_ms);
/* GET /healthz: {"status": "ok" | "failing", "message": …} */
json_t *form_health(bool ok, const char *message);
