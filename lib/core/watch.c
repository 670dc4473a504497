/*
 * Watching a weight: when to read metrics, how long it has baked, whether to go on, hold or go home.
 *
 * Bakes and holds are counted on CLOCK_BOOTTIME, so that a jump of the wall clock never shortens one; metric periods
 * are wall time, as CloudWatch's are. Polls of all rollouts with the same `every` and `settle` fall on the same
 * instants, so that the engine can put them into one call.
 */
#include <stdio.h>

#include "base/text.h"
#include "core/step.h"

/* Lambda stamps a metric with the invocation's start, and an invocation may last 15 minutes: so far back every poll
 * reads again what it has read before. Datapoints cost nothing, only metrics do. */
#define REREAD_MS (20 * MS_PER_MINUTE)

#define METRICS_TROUBLE "metrics: "

static bool is_watched(const struct rollout *r)
{
	return r->first_traffic_unix_ms != 0 && r->goal == GOAL_FORWARD && !rollout_ended(r) &&
	       r->phase != PHASE_BLOCKED;
}

bool rollout_is_probed(const struct rollout_spec *spec, const struct rollout *r)
{
	return spec->probe.payload && is_watched(r);
}

static int64_t step_until(const struct turn *t)
{
	return t->r->step_from_unix_ms + rollout_bake_ms(t->spec, t->r);
}

void rollout_question(const struct rollout_spec *spec, const struct rollout *r, const struct samples *samples,
		      struct instant now, struct verdict_question *ret)
{
	int64_t period = spec->analysis.period_ms;
	int64_t from = verdict_from(r->first_traffic_unix_ms, r->stable_since_unix_ms, period);
	int64_t until = r->step_from_unix_ms + rollout_bake_ms(spec, r);

	/* A step that is over before the first period that is judged waits for that one. */
	if (from > r->first_traffic_unix_ms && until < from + period)
		until = from + period;
	*ret = (struct verdict_question){
	    .analysis = &spec->analysis,
	    .samples = samples,
	    .alarms = r->alarms,
	    .alarms_read_unix_ms = r->alarms_read_unix_ms,
	    .now_unix_ms = now.unix_ms,
	    .rollout_from_unix_ms = from,
	    .step_from_unix_ms = r->step_from_unix_ms,
	    .step_until_unix_ms = until,
	    .read_through_unix_ms = r->read_through_unix_ms,
	    .promoted_unix_ms = r->promoted_unix_ms,
	    .history = r->history,
	    .steps = spec->steps,
	    .landed_unix_ms = r->landed_unix_ms,
	    .n_steps = spec->n_steps,
	    .excused_alarms = r->excused_alarms,
	    .step_min_invocations =
		r->step < spec->n_steps ? spec->steps[r->step].min_invocations : spec->final_min_invocations,
	};
}

void rollout_experiment(const struct rollout_spec *spec, const struct rollout *r, const struct samples *samples,
			struct instant now, struct experiment_result *ret)
{
	struct verdict_question q;

	rollout_question(spec, r, samples, now, &q);
	experiment_judge(&q, r->stable, r->canary, ret);
}

void watch_tell_experiment(const struct turn *t, char *out)
{
	struct experiment_result x;

	rollout_experiment(t->spec, t->r, t->samples, t->now, &x);
	(void)snprintf(out, LIMIT_REASON, "the experiment is over, %s: %.219s",
		       t->r->advance ? "by hand" : "as planned", x.text);
}

void watch_mark(struct turn *t)
{
	t->r->baked_ms = rollout_baked_ms(t->r, t->now.boot_ms);
	t->r->bake_mark_boot_ms = t->now.boot_ms;
}

static void plan_poll(struct turn *t)
{
	const struct spec_analysis *a = &t->spec->analysis;
	int64_t now = t->now.unix_ms;
	int64_t tick = verdict_period_start(now - a->settle_ms, a->every_ms) + a->every_ms + a->settle_ms;
	int64_t settled = verdict_settled_at(step_until(t), a);

	t->r->next_poll_unix_ms = settled > now && settled < tick ? settled : tick;
}

void watch_begin(struct turn *t)
{
	struct rollout *r = t->r;

	r->step_from_unix_ms = t->now.unix_ms;
	r->baked_ms = 0;
	r->bake_mark_boot_ms = t->now.boot_ms;
	r->hold_from_baked_ms = -1;
	r->advance = false;
	r->full = r->full && r->step < t->spec->n_steps;
	r->allowed = false;
	r->finishing = false;
	r->verdict = VERDICT_UNDECIDED;
	r->gap = VERDICT_GAP_NOT_SETTLED;
	r->why[0] = '\0';
	if (r->first_traffic_unix_ms == 0) {
		r->first_traffic_unix_ms = t->now.unix_ms;
		r->read_through_unix_ms = verdict_period_start(t->now.unix_ms, t->spec->analysis.period_ms);
	}
	if (r->step == t->spec->n_steps)
		r->promoted_unix_ms = t->now.unix_ms;
	else
		r->landed_unix_ms[r->step] = t->now.unix_ms;
	plan_poll(t);
}

/* The wall clock went back: what lies in the future did not happen yet. */
static void follow_clock(struct turn *t)
{
	struct rollout *r = t->r;
	const struct spec_analysis *a = &t->spec->analysis;
	int64_t now = t->now.unix_ms;

	if (r->step_from_unix_ms > now)
		r->step_from_unix_ms = now;
	if (r->first_traffic_unix_ms > now)
		r->first_traffic_unix_ms = now;
	if (r->stable_since_unix_ms > now)
		r->stable_since_unix_ms = now;
	if (r->promoted_unix_ms > now)
		r->promoted_unix_ms = now;
	for (size_t i = 0; i < t->spec->n_steps; i++) {
		if (r->landed_unix_ms[i] > now)
			r->landed_unix_ms[i] = now;
	}
	if (r->read_through_unix_ms > now)
		r->read_through_unix_ms = verdict_period_start(now, a->period_ms);
	if (r->next_poll_unix_ms > now + a->every_ms + a->settle_ms)
		r->next_poll_unix_ms = 0;
}

static bool weighs_history(const struct spec_analysis *a)
{
	for (size_t i = 0; i < a->n_metrics; i++) {
		if (a->metrics[i].kind == SPEC_METRIC_COMPARE)
			return true;
	}
	return false;
}

/* Asks for the stable version's history, once it has settled. Where the alias held another version just before, there
 * is none: its errors would be counted as those of this one. */
static void ask_history(struct turn *t, int64_t settled_unix_ms, struct rollout_effect *e)
{
	struct rollout *r = t->r;
	int64_t through = verdict_period_start(r->first_traffic_unix_ms, HISTORY_PERIOD_MS);
	int64_t from = through - HISTORY_MS;
	int64_t since = verdict_period_end(r->stable_since_unix_ms, HISTORY_PERIOD_MS);

	if (r->history.seen || !weighs_history(&t->spec->analysis) || through > settled_unix_ms)
		return;
	if (since > from)
		from = since;
	if (from >= through) {
		r->history = (struct counts){.seen = true};
		return;
	}
	e->poll.history_from_unix_ms = from;
	e->poll.history_through_unix_ms = through;
}

void watch_poll(struct turn *t)
{
	struct rollout *r = t->r;
	const struct spec_analysis *a = &t->spec->analysis;
	struct rollout_effect *e;
	int64_t through, from;

	if (!is_watched(r) || r->poll_pending)
		return;
	follow_clock(t);
	if (r->next_poll_unix_ms == 0)
		plan_poll(t);
	if (t->now.unix_ms < r->next_poll_unix_ms)
		return;
	through = verdict_period_start(t->now.unix_ms - a->settle_ms, a->period_ms);
	from = through - REREAD_MS < r->read_through_unix_ms ? through - REREAD_MS : r->read_through_unix_ms;
	if (from < r->first_traffic_unix_ms)
		from = r->first_traffic_unix_ms;
	r->poll_pending = true;
	e = turn_effect(t, EFFECT_POLL);
	e->seq = ++r->poll_seq;
	e->poll.from_unix_ms = verdict_period_start(from, a->period_ms);
	e->poll.through_unix_ms = through;
	ask_history(t, through, e);
	plan_poll(t);
}

static bool evidence_allows(const struct turn *t, const struct verdict_result *v)
{
	const struct spec_analysis *a = &t->spec->analysis;

	if (v->verdict == VERDICT_PASS)
		return true;
	if (v->verdict == VERDICT_FAIL || !v->min_met)
		return false;
	return a->no_data == SPEC_NO_DATA_PASS && !verdict_awaits_data(a, v) &&
	       (v->gap == VERDICT_GAP_NO_DATA || v->gap == VERDICT_GAP_FEW);
}

static bool evidence_fails(const struct turn *t, const struct verdict_result *v)
{
	return v->verdict == VERDICT_FAIL ||
	       (v->gap == VERDICT_GAP_NO_DATA && t->spec->analysis.no_data == SPEC_NO_DATA_ROLLBACK);
}

static void pause_for(struct turn *t, enum rollout_pause bit, const char *reason)
{
	struct rollout *r = t->r;

	r->pause |= bit;
	traffic_call_back(t);
	turn_set_phase(t, PHASE_PAUSED, reason);
}

void watch_failed(struct turn *t, const char *why)
{
	char reason[LIMIT_REASON];

	(void)text_copy(reason, sizeof(reason), why);
	if (t->spec->on_failure == SPEC_ROLLBACK)
		traffic_go_home(t, reason, true);
	else if (!(t->r->pause & PAUSE_FAILURE))
		pause_for(t, PAUSE_FAILURE, reason);
}

/* What would have brought it back, if the plan meant it: told once for each metric. */
static void tell_dry_failures(struct turn *t, const struct verdict_result *v)
{
	const struct spec_analysis *a = &t->spec->analysis;

	for (size_t i = 0; i < a->n_metrics; i++) {
		uint32_t bit = UINT32_C(1) << i;

		if (!a->metrics[i].dry_run || v->metrics[i].verdict != VERDICT_FAIL || (t->r->dry_failed & bit) != 0)
			continue;
		t->r->dry_failed |= bit;
		turn_announce(t, ANNOUNCE_VERDICT, "would have failed (dry run): %.220s", v->metrics[i].why);
	}
}

static void judge(struct turn *t)
{
	struct rollout *r = t->r;
	struct rollout_judged *j = &t->effects->judged;
	const struct verdict_result *v = &j->result;

	rollout_question(t->spec, r, t->samples, t->now, &j->question);
	verdict_judge(&j->question, &j->result);
	j->done = true;
	j->step = r->step;
	j->weight_bp = rollout_weight_bp(r);
	if (v->verdict != r->verdict || v->gap != r->gap)
		turn_announce(t, ANNOUNCE_VERDICT, "%s: %.230s", verdict_name(v->verdict), v->why);
	r->verdict = v->verdict;
	r->gap = v->gap;
	tell_dry_failures(t, v);
	(void)text_copy(r->why, sizeof(r->why), v->why);
	r->allowed = r->applied && evidence_allows(t, v);
	if (r->allowed)
		r->hold_from_baked_ms = -1;
	if (evidence_fails(t, v))
		watch_failed(t, v->why);
}

static void read_trouble(struct turn *t)
{
	struct rollout *r = t->r;

	bool other = r->trouble[0] != '\0' && !text_starts_with(r->trouble, METRICS_TROUBLE);

	if (other)
		return; /* the alias's trouble is the graver one; two that alternate would fill the log */
	if (!t->event->polled.complete) {
		turn_trouble(t, METRICS_TROUBLE "%.240s", t->event->polled.error);
	} else if (r->trouble[0] != '\0') {
		turn_announce(t, ANNOUNCE_RECOVERED, "over: %.240s", r->trouble);
		r->trouble[0] = '\0';
	}
}

/* An alarm that was in ALARM before the start counts from when it was seen in another state. */
static void take_alarms(struct turn *t)
{
	const enum alarm_state *alarms = t->event->polled.alarms;
	struct rollout *r = t->r;

	if (!alarms)
		return;
	for (size_t i = 0; i < t->spec->analysis.n_metrics; i++) {
		r->alarms[i] = alarms[i];
		if (alarms[i] == ALARM_OK || alarms[i] == ALARM_INSUFFICIENT)
			r->excused_alarms &= ~(UINT32_C(1) << i);
	}
	r->alarms_read_unix_ms = t->now.unix_ms;
}

void watch_polled(struct turn *t)
{
	struct rollout *r = t->r;

	if (!r->poll_pending || t->event->seq != r->poll_seq) {
		r->stale++;
		return;
	}
	r->poll_pending = false;
	if (!is_watched(r))
		return;
	watch_mark(t);
	if (t->event->polled.complete && t->event->polled.through_unix_ms > r->read_through_unix_ms)
		r->read_through_unix_ms = t->event->polled.through_unix_ms;
	if (t->event->polled.history.seen)
		r->history = t->event->polled.history;
	take_alarms(t);
	read_trouble(t);
	judge(t);
}

/* Metrics have not been readable for so long that not even the current weight can be judged. */
static bool is_dark(const struct turn *t)
{
	const struct spec_analysis *a = &t->spec->analysis;

	return t->now.unix_ms - t->r->read_through_unix_ms > 2 * a->period_ms + a->settle_ms + 2 * a->every_ms;
}

static void hold(struct turn *t, int64_t baked)
{
	struct rollout *r = t->r;
	char span[32], reason[LIMIT_REASON];

	if (r->hold_from_baked_ms < 0)
		r->hold_from_baked_ms = baked;
	if (baked - r->hold_from_baked_ms < t->spec->analysis.hold_limit_ms)
		return;
	text_format_span(t->spec->analysis.hold_limit_ms, span);
	(void)snprintf(reason, sizeof(reason), "no verdict for %s: %.200s", span, r->why);
	if (t->spec->analysis.on_hold_limit == SPEC_ROLLBACK)
		traffic_go_home(t, reason, false);
	else
		pause_for(t, PAUSE_HOLD_LIMIT, reason);
}

static void conclude(struct turn *t)
{
	char reason[LIMIT_REASON];

	t->r->concluded = true;
	watch_tell_experiment(t, reason);
	traffic_go_home(t, reason, false);
}

static void advance(struct turn *t)
{
	struct rollout *r = t->r;
	uint32_t end = (uint32_t)t->spec->n_steps;
	char reason[LIMIT_REASON] = "";

	if (r->step == end && gates_hold_end(t))
		return;
	if (r->step == end) {
		/* Only the very answer ends it: what was seen before a hold or a pause may have changed since. */
		if (!r->finishing || t->event->kind != EVENT_ALIAS_READ) {
			r->finishing = true;
			r->look = true;
			traffic_look(t);
		} else {
			turn_end(t, PHASE_SUCCEEDED, "");
		}
		return;
	}
	if (t->spec->experiment_ends_home && !r->full) {
		conclude(t);
		return;
	}
	if (t->spec->experiment)
		watch_tell_experiment(t, reason);
	r->step = r->full ? end : r->step + 1;
	r->applied = false;
	turn_set_phase(t, turn_forward_phase(t), reason);
	traffic_write(t);
}

static bool needs_evidence(const struct turn *t)
{
	const struct rollout *r = t->r;

	if (r->advance || r->full)
		return false;
	/* Without a final bake the promotion is the end, and nothing but a gate can come after it. */
	if (r->step == t->spec->n_steps && t->spec->final_bake_ms == 0)
		return false;
	return t->spec->analysis.pace == SPEC_PACE_EVIDENCE || r->step + 1 >= t->spec->n_steps ||
	       t->spec->steps[r->step].min_invocations > 0;
}

static void decide_after_bake(struct turn *t, int64_t baked)
{
	struct rollout *r = t->r;
	bool by_hand = r->advance || r->full;

	if (needs_evidence(t) && !r->allowed) {
		if (t->now.unix_ms >= verdict_settled_at(step_until(t), &t->spec->analysis))
			hold(t, baked);
		return;
	}
	/* By the clock or not: while metrics cannot be read, nobody knows that nothing fails. */
	if (!by_hand && !r->allowed && is_dark(t)) {
		hold(t, baked);
		return;
	}
	if (!by_hand && r->step < t->spec->n_steps && t->spec->steps[r->step].approve) {
		pause_for(t, PAUSE_APPROVAL, "waits for approval: `rolloutctl promote` takes the next step");
		return;
	}
	advance(t);
}

void watch_decide(struct turn *t)
{
	struct rollout *r = t->r;
	int64_t baked = rollout_baked_ms(r, t->now.boot_ms);

	if (r->applied && r->pause == 0) {
		if (baked >= rollout_bake_ms(t->spec, r) || r->advance || r->full)
			decide_after_bake(t, baked);
		else if (is_dark(t))
			hold(t, baked);
		else
			r->hold_from_baked_ms = -1;
	}
}

int64_t watch_next_boot_ms(const struct turn *t)
{
	const struct rollout *r = t->r;
	int64_t at = INT64_MAX;
	int64_t baked = rollout_baked_ms(r, t->now.boot_ms);
	int64_t left = rollout_bake_ms(t->spec, r) - baked;

	if (!is_watched(r))
		return at;
	if (!r->poll_pending)
		at = t->now.boot_ms + (r->next_poll_unix_ms - t->now.unix_ms); /* planned ahead by watch_poll */
	if (r->applied && r->pause == 0) {
		if (left > 0 && t->now.boot_ms + left < at)
			at = t->now.boot_ms + left;
		if (r->hold_from_baked_ms >= 0) {
			int64_t end = r->hold_from_baked_ms + t->spec->analysis.hold_limit_ms - baked;

			if (end > 0 && t->now.boot_ms + end < at)
				at = t->now.boot_ms + end;
		}
	}
	return at;
}
