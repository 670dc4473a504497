/*
 * The shape of a rollout: `strategy`, `steps` or `experiment`, and what happens at 100 %.
 */
#pragma once

#include "core/spec.h"
#include "plan/record.h"

struct shape {
	bool ok;	      /* the rest may be used */
	const char *strategy; /* as written, or as `from_strategy` says; NULL otherwise */
	const struct spec_step *steps;
	size_t n_steps;
	bool experiment; /* the only step is one */
	bool ends_home;	 /* … after which the traffic goes back */
	bool final_ok;
	int64_t final_bake_ms;
	uint64_t final_min_invocations;
};

/* Reports every error of the shape. Steps live in the arena. */
void shape_read(struct arena *a, const struct record *how, struct diags *diags, struct shape *ret);
/* Nothing is ever watched: all traffic moves at once, and there is no final bake. */
bool shape_is_unwatched(const struct shape *s);
/* The sum of the bakes. */
int64_t shape_bake_ms(const struct shape *s);
