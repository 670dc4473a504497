/*
 * The shape of a rollout: `strategy` or `steps`, and what happens at 100 %.
 */
#pragma once

#include "core/spec.h"
#include "plan/record.h"

struct shape {
	bool ok;	      /* the rest may be used */
	const char *strategy; /* as written, or as `from_strategy` says; NULL otherwise */
	const struct spec_step *steps;
	size_t n_steps;
	bool final_ok;
	int64_t final_bake_ms;
	uint64_t final_min_invocations;
};

/* Reports every error of the shape. Steps live in the arena. */
void shape_read(struct arena *a, const struct record *how, struct diags *diags, struct shape *ret);
/* Nothing is ever watched: all traffic moves at once, and there is no final bake. */
bool shape_is_unwatched(const struct shape *s);
