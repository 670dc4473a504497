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
	struct verdict_result verdict; /* counts */
	const char *unreadable; /* a record that could not be read: why; NULL otherwise (then only name is valid) */
};

/* A file that is wrong: shown in `list`. */
struct view_file {
	const char *file;
	const char *errors; /* "file:line:column: …" lines */
};

/* Every form is the caller's to own. */
json_t *form_rollout(const struct view_rollout *v, bool details);
json_t *form_file(const struct view_file *v);
/* {"error": {"code": CODE, "message": TEXT}} */
json_t *form_error(const char *code, const char *message);
json_t *form_event(uint64_t id, const char *name, uint64_t rollout_id, int64_t unix_ms, const char *kind,
		   const char *phase, const char *text, const char *by);

/* What a plan says about how to roll out, and how long that takes: {steps, bake_ms, expected_ms, analysis, …}. */
json_t *form_spec(const struct rollout_spec *spec);

/* Answers. They take over the arrays that they are given. */

/* GET /v1/rollouts: {"now": …, "rollouts": […], "files": […]} */
json_t *form_list(json_t *rollouts, json_t *files, int64_t now_unix_ms);
/* GET /v1/history: {"rollouts": […]}, newest first. */
json_t *form_history(json_t *rollouts);
/* GET /v1/events without follow: {"events": […]}, oldest first. With follow: one form_event a line. */
json_t *form_events(json_t *events);
/* What became of a command, a retry, a submitted plan or a reload. `result`: "done", "already", "started", "supersedes"
 * or "unchanged"; `phase` NULL when it is about no rollout. */
json_t *form_answer(const char *result, const char *name, const char *phase, const char *message);
/* One line of a plan's diagnostics. */
json_t *form_diagnostic(bool is_error, unsigned line, unsigned column, const char *text);
/* POST /v1/plans/validate: {"valid": …, "name": …, "diagnostics": […], "plan": form_spec or null}. `spec` NULL when the
 * plan is not valid. */
json_t *form_check(const char *name, const struct rollout_spec *spec, json_t *diagnostics);
/* A submitted plan that is not valid: the error form with code "invalid_plan" and the diagnostics in it. */
json_t *form_invalid_plan(const char *message, json_t *diagnostics);
json_t *form_version(const char *version, int64_t started_unix_ms);
/* GET /healthz: {"status": "ok" | "failing", "message": …} */
json_t *form_health(bool ok, const char *message);
