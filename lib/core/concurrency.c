/*
 * Provisioned concurrency. A version that takes traffic from one that has it gets as much before any of that traffic
 * moves, or its first requests would all be cold starts. What is not needed any more is released after the end: the
 * stable version's when the rollout succeeded, the canary's otherwise, if it was this rollout that asked for it.
 *
 * An alias's own provisioned concurrency cannot be combined with weights, so only AllAtOnce can move such an alias.
 * AWS then moves the allocation by itself: for minutes the alias names the new version, with all of its traffic still
 * on the old one by a passing weight of 1, and under RevisionIds that nobody asked for.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"
#include "core/step.h"

#define MOVING_LOOK_MS	(5 * MS_PER_SECOND)
#define MOVING_FIRST_MS (2 * MS_PER_SECOND)
#define MOVING_LIMIT_MS (30 * MS_PER_MINUTE)

/* --- before traffic --- */

static void ask(struct turn *t, uint32_t count)
{
	struct rollout *r = t->r;
	struct rollout_effect *e = turn_effect(t, EFFECT_PROVISION);

	r->provision_unsure = r->provision_unsure || r->provision_asked;
	r->provision_asked = true;
	r->provisioned = count;
	r->wait = WAIT_PROVISION;
	e->seq = ++r->seq;
	e->provision.version = r->canary;
	e->provision.count = count;
	turn_announce(t, ANNOUNCE_INTENT, "asks AWS for provisioned concurrency of %" PRIu32 " for version %" PRIu64,
		      count, r->canary);
}

/* The canary has some, or is getting it. Returns whether it can take traffic; if not, what to do was arranged. */
static bool has_enough(struct turn *t)
{
	struct rollout *r = t->r;
	uint32_t need = r->stable_provisioned, has = t->event->prepared.canary_provisioned;

	if (r->provision_asked && has != r->provisioned) {
		/* Somebody else has changed it since: theirs from now on, to use and to keep. */
		r->provision_asked = false;
		r->provisioned = 0;
	}
	if (has < need && r->provision_asked) {
		ask(t, need);
		return false;
	}
	if (has < need) {
		prepare_fail(t,
			     "version %" PRIu64 " has provisioned concurrency of %" PRIu32
			     ", the stable version %" PRIu32 ": raise it, or delete it, and `rolloutctl retry`",
			     r->canary, has, need);
		return false;
	}
	if (t->event->prepared.canary_provision == PROVISION_READY)
		return true;
	prepare_await(t, "the new version's provisioned concurrency", t->event->prepared.provision_detail);
	return false;
}

bool concurrency_ready(struct turn *t)
{
	struct rollout *r = t->r;

	r->alias_provisioned = t->event->prepared.alias_provisioned;
	r->stable_provisioned = r->alias_provisioned ? 0 : t->event->prepared.stable_provisioned;
	if (r->stable_provisioned == 0)
		return true;
	switch (t->event->prepared.canary_provision) {
	case PROVISION_NONE:
		ask(t, r->stable_provisioned);
		return false;
	case PROVISION_FAILED:
		prepare_fail(t, "AWS could not give version %" PRIu64 " its provisioned concurrency: %.150s", r->canary,
			     t->event->prepared.provision_detail);
		return false;
	case PROVISION_IN_PROGRESS:
	case PROVISION_READY:
		break;
	}
	return has_enough(t);
}

/* The request has certainly not taken effect; an earlier one may have. */
static void not_given(struct rollout *r)
{
	if (r->provision_unsure)
		return;
	r->provision_asked = false;
	r->provisioned = 0;
	if (rollout_ended(r))
		r->release = 0;
}

void concurrency_asked(struct turn *t)
{
	struct rollout *r = t->r;
	const char *error = t->event->provisioned.error;
	enum call_outcome outcome = t->event->provisioned.outcome;

	if (outcome == CALL_UNKNOWN)
		r->provision_unsure = true;
	else if (outcome != CALL_OK)
		not_given(r);
	if (rollout_ended(r)) {
		/* It may still land: what takes it back waits a moment. */
		if (outcome == CALL_UNKNOWN)
			turn_retry_later(t);
		return;
	}
	switch (outcome) {
	case CALL_OK:
		prepare_await(t, "the new version's provisioned concurrency", "it was asked for");
		break;
	case CALL_NOT_FOUND:
	case CALL_REFUSED:
		prepare_fail(t, "AWS refuses provisioned concurrency for version %" PRIu64 ": %.180s", r->canary,
			     error);
		break;
	case CALL_CONFLICT:
	case CALL_UNAVAILABLE:
	case CALL_UNKNOWN:
		turn_trouble(t, "%.250s", error);
		turn_retry_later(t);
		break;
	}
}

/* --- while AWS moves an alias's own --- */

bool concurrency_moves(const struct rollout *r, const struct alias_view *view)
{
	const struct alias_target *v = &view->target;

	return r->alias_provisioned && !view->odd && v->weight_bp == WEIGHT_BP_MAX &&
	       ((v->version == r->canary && v->extra == r->stable) ||
		(v->version == r->stable && v->extra == r->canary));
}

void concurrency_look_again(struct turn *t)
{
	t->r->look = true;
	t->r->retry_boot_ms = t->now.boot_ms + MOVING_FIRST_MS;
}

bool concurrency_await_move(struct turn *t, const struct alias_target *wanted)
{
	struct rollout *r = t->r;
	struct alias_view live = {.target = r->live};
	char reason[LIMIT_REASON], span[32];

	if (r->live.version != wanted->version || !concurrency_moves(r, &live))
		return false;
	r->moving_ms += MOVING_LOOK_MS;
	if (r->moving_ms > MOVING_LIMIT_MS) {
		text_format_duration(MOVING_LIMIT_MS, span);
		(void)snprintf(reason, sizeof(reason),
			       "AWS has not moved the alias's provisioned concurrency to version %" PRIu64
			       " within %s: all requests still go to version %" PRIu64
			       ". `resume` waits on, `rollback` sends all to version %" PRIu64,
			       wanted->version, span, r->live.extra, r->stable);
		r->moving_ms = 0;
		traffic_block(t, reason);
		return true;
	}
	turn_trouble(t,
		     "AWS is moving the alias's provisioned concurrency to version %" PRIu64
		     "; until then all requests go to version %" PRIu64,
		     wanted->version, r->live.extra);
	r->look = true;
	r->retry_boot_ms = t->now.boot_ms + MOVING_LOOK_MS;
	return true;
}

/* --- after the end --- */

void concurrency_end(struct turn *t, enum rollout_phase phase)
{
	struct rollout *r = t->r;

	r->moving_ms = 0;
	if (phase != PHASE_SUCCEEDED)
		r->release = r->provision_asked ? r->canary : 0;
	else
		r->release = r->stable_provisioned > 0 && r->stable != r->canary ? r->stable : 0;
}

void concurrency_release(struct turn *t)
{
	struct rollout *r = t->r;
	struct rollout_effect *e = turn_effect(t, EFFECT_RELEASE);

	r->wait = WAIT_PROVISION;
	e->seq = ++r->seq;
	e->provision.version = r->release;
}

bool concurrency_gave_up(const struct rollout *r)
{
	/* A release that is under way may have taken effect. */
	return r->stable_provisioned > 0 && (r->release == 0 || r->wait == WAIT_PROVISION);
}

void concurrency_keep(struct turn *t)
{
	struct rollout *r = t->r;

	if (r->release != 0 && r->wait == WAIT_PROVISION) {
		turn_effect(t, EFFECT_CANCEL)->seq = r->seq;
		r->wait = WAIT_NOTHING;
	}
	r->release = 0;
}

void concurrency_released(struct turn *t)
{
	struct rollout *r = t->r;
	const char *error = t->event->provisioned.error;

	switch (t->event->provisioned.outcome) {
	case CALL_OK:
	case CALL_NOT_FOUND:
		turn_recovered(t);
		turn_announce(t, ANNOUNCE_RELEASED, "the provisioned concurrency of version %" PRIu64 " is released",
			      r->release);
		break;
	case CALL_REFUSED:
		turn_recovered(t);
		turn_announce(t, ANNOUNCE_RELEASED,
			      "the provisioned concurrency of version %" PRIu64 " is kept: %.180s", r->release, error);
		break;
	case CALL_CONFLICT:
	case CALL_UNAVAILABLE:
	case CALL_UNKNOWN:
		turn_trouble(t, "%.250s", error);
		turn_retry_later(t);
		return;
	}
	if (r->release != r->stable)
		r->provision_asked = false;
	else if (t->event->provisioned.outcome == CALL_REFUSED)
		r->stable_provisioned = 0; /* nothing of it was given up */
	r->release = 0;
}
