/*
 * The JSON forms of the control API. Views are plain values that the engine fills; the strings are borrowed.
 */
#pragma once

#include <jansson.h>

#include "base/clock.h"
#include "core/rollout.h"

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

json_t *form_rollout(const struct view_rollout *v, bool details); /* the caller owns it */
json_t *form_file(const struct view_file *v);
/* {"error": {"code": CODE, "message": TEXT}} */
json_t *form_error(const char *code, const char *message);
json_t *form_event(uint64_t id, const char *name, uint64_t rollout_id, int64_t unix_ms, const char *kind,
		   const char *phase, const char *text, const char *by);
