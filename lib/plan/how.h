/*
 * How traffic is moved: what a Rollout says about it, and the `rollout` of a service's alias, which say it alike.
 */
#pragma once

#include "plan/plan.h"
#include "plan/record.h"
#include "plan/shape.h"

struct how {
	struct record record; /* of schema_how */
	struct shape shape;
};

/* The part of a Rollout that says how, as a record of its own. */
struct record how_of_rollout(const struct record *rollout);
/* Reports every error across keys. */
void how_read(struct arena *a, const struct record *record, struct diags *diags, struct how *ret);
/* Of what had no error. Everything is copied into the arena. */
void how_fill(struct arena *a, const struct how *how, struct plan_how *ret);
