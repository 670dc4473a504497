/*
 * struct plan: one validated YAML document. Immutable, normalised, hashed; everything lives in its own arena. Only the
 * loader makes one, so what was not validated cannot be run.
 */
#pragma once

#include "core/rollout.h"
#include "plan/diag.h"

enum plan_version_kind { PLAN_VERSION_NUMBER, PLAN_VERSION_LATEST };

struct plan {
	struct arena *arena;
	const char *name;
	const char *function;	  /* bare name */
	const char *function_arn; /* as written when an ARN was given; else NULL */
	const char *alias;
	const char *region;  /* NULL: from the account, the configuration or the environment; an ARN's own region */
	const char *account; /* "default" when the plan names none */
	enum plan_version_kind version_kind;
	uint64_t version;     /* when a number */
	const char *strategy; /* as written, for display only; NULL when steps were given or nothing */
	struct rollout_spec spec;
	const char *normalized; /* the plan again as one YAML flow document (JSON), every default written out, a
				 * strategy as its steps; loading it gives an equal plan with the same hash */
	char hash[65];		/* SHA-256 of `normalized` without the strategy's name: of name, target, version and
				 * behaviour, however they were written */
};

/* Loads one document. NULL when there are errors; warnings may come with a plan. The caller frees with plan_free. */
struct plan *plan_load(const char *bytes, size_t len, struct diags *diags);
void plan_free(struct plan *p); /* NULL is fine */
define_cleanup(struct plan *, plan_free);

/* The keys that a plan may have, with their descriptions, as a JSON Schema (draft 2020-12) from the same table that
 * the loader uses: docs/plan.schema.json is its output. */
void plan_print_schema(struct buf *out);
