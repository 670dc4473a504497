/* A rollout's beginning, and questions about it. */
#include "core/rollout.h"

#include "core/step.h"

void rollout_init(struct rollout *r, struct instant now)
{
	*r = (struct rollout){
	    .phase = PHASE_PENDING,
	    .goal = GOAL_FORWARD,
	    .created_unix_ms = now.unix_ms,
	    .hold_from_baked_ms = -1,
	};
}

bool rollout_fits(const struct rollout_spec *spec, const struct rollout *r)
{
	return r->step <= spec->n_steps;
}

bool rollout_ended(const struct rollout *r)
{
	return r->phase == PHASE_SUCCEEDED || r->phase == PHASE_ROLLED_BACK || r->phase == PHASE_FAILED;
}

bool rollout_settled(const struct rollout *r)
{
	return rollout_ended(r) && r->release == 0;
}

bool rollout_owns_alias(const struct rollout *r)
{
	return !rollout_ended(r) && r->phase != PHASE_PENDING;
}

bool rollout_may_start(const struct rollout_spec *spec, const struct rollout *r)
{
	return r->phase == PHASE_PENDING && r->pause == 0 && (!spec->start_manual || r->advance);
}

int64_t rollout_baked_ms(const struct rollout *r, int64_t now_boot_ms)
{
	if (!r->applied)
		return 0;
	if (rollout_ended(r) || now_boot_ms < r->bake_mark_boot_ms)
		return r->baked_ms;
	return r->baked_ms + (now_boot_ms - r->bake_mark_boot_ms);
}

int64_t rollout_bake_ms(const struct rollout_spec *spec, const struct rollout *r)
{
	return r->step < spec->n_steps ? spec->steps[r->step].bake_ms : spec->final_bake_ms;
}

uint32_t rollout_weight_bp(const struct rollout *r)
{
	if (!r->prepared)
		return 0;
	if (r->live.weight_bp > 0)
		return r->live.extra == r->canary ? r->live.weight_bp : 0;
	return r->live.version == r->canary ? WEIGHT_BP_MAX : 0;
}

int64_t rollout_next_step_unix_ms(const struct rollout_spec *spec, const struct rollout *r, struct instant now)
{
	int64_t left, at;

	if (!r->applied || (r->phase != PHASE_PROGRESSING && r->phase != PHASE_BAKING))
		return 0;
	left = rollout_bake_ms(spec, r) - rollout_baked_ms(r, now.boot_ms);
	at = now.unix_ms + (left > 0 ? left : 0);
	if (spec->analysis.pace == SPEC_PACE_EVIDENCE || r->step + 1 >= spec->n_steps) {
		int64_t settled = verdict_settled_at(r->step_from_unix_ms + rollout_bake_ms(spec, r), &spec->analysis);

		if (settled > at)
			at = settled;
	}
	return at;
}
