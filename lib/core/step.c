/*
 * rollout_step(): takes one event, dispatches it, then lets the state do what comes next. See rollout.h for the rules.
 */
#include "core/step.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "core/backoff.h"

#define RETRY_HOME_BASE_MS 200
#define RETRY_HOME_CAP_MS  (5 * MS_PER_SECOND)
#define RETRY_BASE_MS	   500
#define RETRY_CAP_MS	   MS_PER_MINUTE

struct rollout_effect *turn_effect(struct turn *t, enum rollout_effect_kind kind)
{
	struct rollout_effect *e;

	require(t->effects->len < LIMIT_EFFECTS);
	e = &t->effects->items[t->effects->len++];
	*e = (struct rollout_effect){.kind = kind};
	return e;
}

void turn_announce(struct turn *t, enum announce_kind kind, const char *fmt, ...)
{
	struct rollout_effect *e = turn_effect(t, EFFECT_ANNOUNCE);
	va_list args;

	e->announce.kind = kind;
	va_start(args, fmt);
	(void)vsnprintf(e->announce.text, sizeof(e->announce.text), fmt, args);
	va_end(args);
}

void turn_set_phase(struct turn *t, enum rollout_phase phase, const char *reason)
{
	struct rollout *r = t->r;
	bool changed = r->phase != phase;
	bool said = reason[0] != '\0' && strcmp(r->reason, reason) != 0;

	r->phase = phase;
	(void)text_copy(r->reason, sizeof(r->reason), reason);
	if (changed || said)
		turn_announce(t, ANNOUNCE_PHASE, "%s%s%s", rollout_phase_name(phase), reason[0] ? ": " : "", reason);
}

void turn_trouble(struct turn *t, const char *fmt, ...)
{
	char text[LIMIT_REASON];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (strcmp(text, t->r->trouble) == 0)
		return;
	(void)text_copy(t->r->trouble, sizeof(t->r->trouble), text);
	turn_announce(t, ANNOUNCE_TROUBLE, "%s", text);
}

void turn_recovered(struct turn *t)
{
	t->r->attempts = 0;
	t->r->retry_boot_ms = 0;
	if (t->r->trouble[0] == '\0')
		return;
	turn_announce(t, ANNOUNCE_RECOVERED, "over: %.240s", t->r->trouble);
	t->r->trouble[0] = '\0';
}

void turn_retry_later(struct turn *t)
{
	bool home = t->r->goal == GOAL_HOME && !rollout_ended(t->r);
	int64_t wait = backoff_full_jitter_ms(t->r->attempts, home ? RETRY_HOME_BASE_MS : RETRY_BASE_MS,
					      home ? RETRY_HOME_CAP_MS : RETRY_CAP_MS, t->event->entropy);

	t->r->attempts++; /* at a minute each they last for eight thousand years */
	t->r->retry_boot_ms = t->now.boot_ms + wait;
}

enum rollout_phase turn_forward_phase(const struct turn *t)
{
	const struct rollout *r = t->r;

	if (!r->prepared || gates_hold_traffic(t))
		return PHASE_PREPARING;
	if (r->pause != 0)
		return PHASE_PAUSED;
	if (r->step < t->spec->n_steps)
		return PHASE_PROGRESSING;
	return r->applied ? PHASE_BAKING : PHASE_PROMOTING;
}

void turn_end(struct turn *t, enum rollout_phase phase, const char *reason)
{
	struct rollout *r = t->r;

	/* A request for provisioned concurrency is waited for even now: it must not land after what takes it back. */
	if (r->wait != WAIT_PROVISION)
		r->wait = WAIT_NOTHING;
	r->look = false;
	r->pause = 0;
	r->poll_pending = false;
	r->ended_unix_ms = t->now.unix_ms;
	r->reopened = false;
	turn_recovered(t);
	turn_set_phase(t, phase, reason);
	concurrency_end(t, phase);
	if (r->quarantine && phase == PHASE_ROLLED_BACK)
		(void)turn_effect(t, EFFECT_QUARANTINE);
	(void)turn_effect(t, EFFECT_ENDED);
}

/* A decision to go home is acted on in the same turn. */
static void decide(struct turn *t)
{
	watch_decide(t);
	if (t->r->goal == GOAL_HOME)
		traffic_write(t); /* a weight bakes, so there is a way to go, and nothing else is under way */
}

void turn_proceed(struct turn *t)
{
	struct rollout *r = t->r;

	if (rollout_settled(r) || r->phase == PHASE_PENDING || r->phase == PHASE_BLOCKED)
		return;
	/* The last gate is asked while the canary bakes: holds and pauses come all the same. */
	if (r->wait == WAIT_GATE && r->applied)
		decide(t);
	if (r->wait != WAIT_NOTHING)
		return;
	if (r->retry_boot_ms > t->now.boot_ms)
		return;
	r->retry_boot_ms = 0;
	if (rollout_ended(r))
		concurrency_release(t);
	else if (!r->prepared)
		prepare_ask(t);
	else if (r->look)
		traffic_look(t);
	else if (gates_due(t))
		gates_ask(t);
	else if (r->goal == GOAL_HOME || (!r->applied && r->pause == 0))
		traffic_write(t);
	else
		decide(t);
}

/* After a restart nothing that was under way is known any more: the record says what was meant, the alias what is. */
static void take_resumed(struct turn *t)
{
	struct rollout *r = t->r;

	if (!t->event->resumed.same_boot || r->bake_mark_boot_ms > t->now.boot_ms)
		r->bake_mark_boot_ms = t->now.boot_ms;
	if (r->wait == WAIT_WRITE)
		r->unsure = true;
	if (!t->event->resumed.same_boot)
		r->soak_seen_boot_ms = 0;
	r->take_told = r->take_over;
	r->wait = WAIT_NOTHING;
	r->cancelled = false;
	r->retry_boot_ms = 0;
	r->poll_pending = false;
	r->next_poll_unix_ms = 0;
	if (r->prepared && !rollout_ended(r) && r->phase != PHASE_BLOCKED)
		r->look = true;
}

static void take_start(struct turn *t)
{
	if (!rollout_may_start(t->spec, t->r))
		return;
	t->r->advance = false;
	if (t->event->start.old_revision)
		(void)text_copy(t->r->old_revision, sizeof(t->r->old_revision), t->event->start.old_revision);
	turn_set_phase(t, PHASE_PREPARING, "");
}

static void take_superseded(struct turn *t)
{
	struct rollout *r = t->r;

	if (rollout_ended(r))
		return;
	r->superseded = true;
	if (r->phase == PHASE_PENDING)
		turn_end(t, PHASE_FAILED, "newer content of this plan took its place before it started");
	else if (r->phase != PHASE_BLOCKED && r->goal == GOAL_FORWARD)
		traffic_go_home(t, "newer content of this plan takes its place", false);
}

/* An answer belongs to the request that is waited for, or it is too late to mean anything. */
static bool answers_wait(struct turn *t, enum rollout_wait wait)
{
	if (t->r->wait != wait || t->event->seq != t->r->seq) {
		t->r->stale++;
		return false;
	}
	t->r->wait = WAIT_NOTHING;
	return true;
}

static void take_event(struct turn *t, enum rollout_answer *ret_answer, char *ret_text)
{
	switch (t->event->kind) {
	case EVENT_START:
		spec_require(t->spec);
		take_start(t);
		break;
	case EVENT_RESUMED:
		spec_require(t->spec);
		take_resumed(t);
		break;
	case EVENT_PREPARED:
		if (answers_wait(t, WAIT_PREPARE))
			prepare_answered(t);
		break;
	case EVENT_ALIAS_READ:
		if (answers_wait(t, WAIT_READ))
			traffic_looked(t);
		break;
	case EVENT_WRITTEN:
		if (answers_wait(t, WAIT_WRITE))
			traffic_written(t);
		break;
	case EVENT_POLLED:
		watch_polled(t);
		break;
	case EVENT_DELAYED:
		if (t->r->wait == WAIT_WRITE && t->event->seq == t->r->seq)
			turn_trouble(t, "%.250s", t->event->alias.error);
		break;
	case EVENT_TIMER:
		break;
	case EVENT_COMMAND:
		require(ret_answer != NULL);
		require(ret_text != NULL);
		*ret_answer = command_take(t, ret_text);
		break;
	case EVENT_SUPERSEDED:
		take_superseded(t);
		break;
	case EVENT_GATED:
		if (answers_wait(t, WAIT_GATE))
			gates_answered(t);
		break;
	case EVENT_PROVISIONED:
		if (answers_wait(t, WAIT_PROVISION))
			concurrency_asked(t);
		break;
	case EVENT_RELEASED:
		if (answers_wait(t, WAIT_PROVISION))
			concurrency_released(t);
		break;
	}
}

static void arm_timer(struct turn *t)
{
	const struct rollout *r = t->r;
	int64_t at = INT64_MAX;

	if (!rollout_settled(r) && r->phase != PHASE_PENDING && r->phase != PHASE_BLOCKED) {
		at = watch_next_boot_ms(t);
		if (r->retry_boot_ms != 0 && r->retry_boot_ms < at)
			at = r->retry_boot_ms;
	}
	turn_effect(t, EFFECT_TIMER)->timer.boot_ms = at;
}

void rollout_step(const struct rollout_spec *spec, struct rollout *r, const struct samples *samples,
		  const struct rollout_event *event, struct rollout_effects *ret, enum rollout_answer *ret_answer,
		  char *ret_text)
{
	ret->len = 0;
	ret->judged.done = false;
	struct turn t = {spec, r, samples, event, ret, event->now};

	require(event->kind <= EVENT_RELEASED);
	require(event->now.boot_ms >= 0);
	require(rollout_fits(spec, r));
	take_event(&t, ret_answer, ret_text);
	turn_proceed(&t);
	if (rollout_ended(r))
		turn_proceed(&t); /* what its end has left to be done */
	watch_poll(&t);
	arm_timer(&t);
}
