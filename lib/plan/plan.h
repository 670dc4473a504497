/*
 * struct plan: one validated YAML document. Immutable, normalised, hashed; everything lives in its own arena. Only the
 * loader makes one, so what was not validated cannot be run.
 */
#pragma once

#include "chain/spec.h"
#include "core/rollout.h"
#include "plan/diag.h"

enum plan_kind { PLAN_ROLLOUT, PLAN_SERVICE };

enum plan_version_kind { PLAN_VERSION_NUMBER, PLAN_VERSION_LATEST, PLAN_VERSION_PUBLISH, PLAN_VERSION_FROM_ALIAS };

enum plan_hook_kind { PLAN_HOOK_NONE, PLAN_HOOK_INVOKE, PLAN_HOOK_EXEC, PLAN_HOOK_HTTP };

struct plan_hook {
	enum plan_hook_kind kind;
	const char *target; /* a function's name or ARN, optionally qualified; a program in hooks_dir; a URL */
	int64_t timeout_ms;
};

/* A GET that must be answered so before a rollout counts as succeeded. */
struct plan_verify {
	const char *url;
	int expect_status;
};

/* How traffic is moved. */
struct plan_how {
	const char *strategy; /* as written, for display only; NULL when steps were given or nothing */
	struct rollout_spec spec;
	struct plan_hook pre_traffic;
	struct plan_hook post_traffic;
	const struct plan_verify *verify;
	size_t n_verify;
};

struct plan {
	struct arena *arena;
	enum plan_kind kind;
	const char *name;
	const char *function;	  /* bare name */
	const char *function_arn; /* as written when an ARN was given; else NULL */
	const char *alias;
	const char *region;  /* NULL: from the account, the configuration or the environment; an ARN's own region */
	const char *account; /* "default" when the plan names none */
	enum plan_version_kind version_kind;
	uint64_t version;	/* when a number */
	struct code_spec code;	/* PLAN_VERSION_PUBLISH */
	const char *from_alias; /* PLAN_VERSION_FROM_ALIAS; the soak time is in the spec */
	struct plan_hook pre_traffic;
	struct plan_hook post_traffic;
	const struct plan_verify *verify;
	size_t n_verify;
	uint32_t keep_versions;	     /* 0: none are deleted */
	const char *owner;	     /* the service that this rollout belongs to; NULL: none */
	struct service_spec service; /* PLAN_SERVICE; what is said of one alias above and below is empty then */
	const struct plan_how *hows; /* PLAN_SERVICE: how each of service.aliases moves; for plan_make_child */
	const char *strategy;	     /* as written, for display only; NULL when steps were given or nothing */
	struct rollout_spec spec;
	const char *normalized; /* the plan again as one YAML flow document (JSON), every default written out, a
				 * strategy as its steps; loading it gives an equal plan with the same hash */
	char hash[65];		/* SHA-256 of `normalized` without the strategy's name: of name, target, version and
				 * behaviour, however they were written */
};

/* Loads one document. NULL when there are errors; warnings may come with a plan. The caller frees with plan_free. */
struct plan *plan_load(const char *bytes, size_t len, struct diags *diags);
/*
 * The rollout that moves a service's alias to a version: named "SERVICE.ALIAS" (a name that no file can have), owned by
 * the service, with everything that the alias's `rollout:` says. `verify` are the probes of its stages, which come
 * before its own. NULL when that is no valid plan, since a URL is one that no plan may have or they are too many. The
 * caller frees it with plan_free.
 */
struct plan *plan_make_child(const struct plan *service, size_t alias, uint64_t version,
			     const struct plan_verify *verify, size_t n_verify);
void plan_free(struct plan *p); /* NULL is fine */
define_cleanup(struct plan *, plan_free);

/* The keys that a plan may have, with their descriptions, as a JSON Schema (draft 2020-12) from the same table that
 * the loader uses: docs/plan.schema.json is its output. */
void plan_print_schema(struct buf *out);
