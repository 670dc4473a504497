/*
 * The alias: prepare, look, write, and recognise what is found.
 *
 * What counts as ours: the content that was last confirmed, and every target asked for since then whose outcome is not
 * known. A write carries the RevisionId of that confirmation, so once the RevisionId has changed, no older write can
 * land. As long as an outcome is unknown (`unsure`), the way home is written even if the alias seems to be home: that
 * changes the RevisionId, and what is still under way can no longer land.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "core/step.h"

#define PREPARE_LIMIT_MS (15 * MS_PER_MINUTE) /* SnapStart takes minutes */

static struct alias_target target_at(const struct rollout_spec *spec, const struct rollout *r, uint32_t step)
{
	if (step < spec->n_steps)
		return (struct alias_target){r->stable, r->canary, spec->steps[step].weight_bp};
	return (struct alias_target){.version = r->canary};
}

struct alias_target traffic_wanted(const struct rollout_spec *spec, const struct rollout *r)
{
	if (r->goal == GOAL_HOME)
		return (struct alias_target){.version = r->stable};
	return target_at(spec, r, r->step);
}

static bool asked_test(const struct rollout *r, uint32_t bit)
{
	return (r->asked[bit / 64] >> (bit % 64)) & 1;
}

static bool is_asked(const struct turn *t, const struct alias_target *target)
{
	const struct rollout *r = t->r;
	struct alias_target home = {.version = r->stable};

	if (asked_test(r, ASKED_HOME) && alias_target_equal(target, &home))
		return true;
	for (uint32_t i = 0; i <= t->spec->n_steps; i++) {
		struct alias_target at = target_at(t->spec, r, i);

		if (asked_test(r, i) && alias_target_equal(target, &at))
			return true;
	}
	return false;
}

static void ask(struct turn *t)
{
	uint32_t bit = t->r->goal == GOAL_HOME ? ASKED_HOME : t->r->step;

	t->r->asked[bit / 64] |= UINT64_C(1) << (bit % 64);
}

static void confirm(struct turn *t, const struct alias_view *view)
{
	struct rollout *r = t->r;

	r->live = view->target;
	(void)text_copy(r->revision, sizeof(r->revision), view->revision);
	r->asked[0] = r->asked[1] = 0;
	r->unsure = false;
}

static void block(struct turn *t, const char *reason)
{
	t->r->wait = WAIT_NOTHING;
	t->r->look = false;
	t->r->take_over = false;
	t->r->retry_boot_ms = 0;
	turn_set_phase(t, PHASE_BLOCKED, reason);
}

/* The first repetition comes at once, as a lost answer is looked up without delay; then with growing waits. */
static void retry_soon(struct turn *t)
{
	if (t->r->attempts == 0)
		t->r->attempts = 1;
	else
		turn_retry_later(t);
}

/* --- preparing --- */

void traffic_prepare(struct turn *t)
{
	t->r->wait = WAIT_PREPARE;
	turn_effect(t, EFFECT_PREPARE)->seq = ++t->r->seq;
}

static void printf_like(2, 3) fail_before_traffic(struct turn *t, const char *fmt, ...)
{
	char reason[LIMIT_REASON];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(reason, sizeof(reason), fmt, args);
	va_end(args);
	turn_end(t, PHASE_FAILED, reason);
}

/* Left-over weights are somebody's unfinished work: shown, never overwritten without an operator's word. */
static void block_on_leftovers(struct turn *t)
{
	struct rollout *r = t->r;
	const struct alias_view *alias = &t->event->prepared.alias;
	char holds[128], reason[LIMIT_REASON];

	r->stable = alias->target.version;
	r->prepared = true;
	confirm(t, alias);
	alias_view_format(alias, holds, sizeof(holds));
	(void)snprintf(reason, sizeof(reason),
		       "the alias already splits its traffic (%s): clear that and `resume`, or `rollback` to send all "
		       "to the first one",
		       holds);
	turn_announce(t, ANNOUNCE_FOREIGN, "the alias holds %s before the rollout began", holds);
	block(t, reason);
}

static const char *alarm_in_alarm(const struct turn *t)
{
	const struct spec_analysis *a = &t->spec->analysis;

	for (size_t i = 0; i < a->n_metrics; i++) {
		if (a->metrics[i].kind == SPEC_METRIC_ALARM && t->event->prepared.alarms[i] == ALARM_ALARM)
			return a->metrics[i].alarm;
	}
	return NULL;
}

/* Ends the rollout when something forbids it to begin. Returns whether it did. */
static bool forbidden(struct turn *t)
{
	const struct version_info *canary = &t->event->prepared.canary_info;
	const char *alarm = alarm_in_alarm(t);
	char version[24];

	version_format(t->event->prepared.canary, version);
	if (canary->state == VERSION_ABSENT)
		fail_before_traffic(t, "version %s does not exist: publish it, or correct `version` in the plan",
				    version);
	else if (canary->state == VERSION_BROKEN)
		fail_before_traffic(t, "the new version cannot run: %.200s", canary->detail);
	else if (t->event->prepared.quarantined)
		fail_before_traffic(t,
				    "version %s is quarantined on this alias: the same code was rolled back before. "
				    "`rolloutctl retry` ships it again",
				    version);
	else if (t->spec->n_steps > 0 && t->event->prepared.alias.target.version == VERSION_LATEST)
		fail_before_traffic(t,
				    "the alias points at $LATEST, which cannot share traffic: point it at a published "
				    "version first, or use AllAtOnce");
	else if (t->spec->n_steps > 0 && !t->event->prepared.same_role)
		fail_before_traffic(t,
				    "the two versions differ in execution role or dead-letter target: AWS refuses to "
				    "split traffic between them");
	else if (alarm)
		fail_before_traffic(t, "the alarm %.160s is in state ALARM already", alarm);
	else
		return false;
	return true;
}

static void begin_forward(struct turn *t)
{
	struct rollout *r = t->r;

	r->stable = t->event->prepared.alias.target.version;
	(void)text_copy(r->stable_hash, sizeof(r->stable_hash), t->event->prepared.stable_info.hash);
	confirm(t, &t->event->prepared.alias);
	r->prepared = true;
	r->step = r->full ? (uint32_t)t->spec->n_steps : 0;
	turn_recovered(t);
	turn_set_phase(t, turn_forward_phase(t), r->pause ? r->reason : "");
}

static void await_version(struct turn *t)
{
	int64_t before = t->now.boot_ms;

	turn_retry_later(t);
	t->r->prepare_ms += t->r->retry_boot_ms - before;
	if (t->r->prepare_ms > PREPARE_LIMIT_MS)
		fail_before_traffic(t, "the new version did not become active within 15 minutes: %.160s",
				    t->event->prepared.canary_info.detail);
	else
		turn_trouble(t, "the new version is not active yet: %.160s", t->event->prepared.canary_info.detail);
}

static void prepare_read(struct turn *t)
{
	const struct alias_view *alias = &t->event->prepared.alias;

	t->r->canary = t->event->prepared.canary;
	(void)text_copy(t->r->canary_hash, sizeof(t->r->canary_hash), t->event->prepared.canary_info.hash);
	if (alias->odd || alias->target.weight_bp > 0) {
		block_on_leftovers(t);
	} else if (alias->target.version == t->event->prepared.canary) {
		t->r->stable = alias->target.version;
		confirm(t, alias);
		t->r->prepared = true;
		turn_end(t, PHASE_SUCCEEDED, "the alias points at this version already; nothing was changed");
	} else if (!forbidden(t)) {
		if (t->event->prepared.canary_info.state == VERSION_PENDING)
			await_version(t);
		else
			begin_forward(t);
	}
}

void traffic_prepared(struct turn *t)
{
	const char *error = t->event->prepared.error;

	switch (t->event->prepared.outcome) {
	case CALL_OK:
		prepare_read(t);
		break;
	case CALL_NOT_FOUND:
	case CALL_REFUSED:
	case CALL_CONFLICT:
		fail_before_traffic(t, "%.250s", error);
		break;
	case CALL_UNAVAILABLE:
	case CALL_UNKNOWN:
		turn_trouble(t, "%.250s", error);
		turn_retry_later(t);
		break;
	}
}

/* --- looking --- */

void traffic_look(struct turn *t)
{
	t->r->wait = WAIT_READ;
	turn_effect(t, EFFECT_READ_ALIAS)->seq = ++t->r->seq;
}

/* After an operator's word: may we go on from this content? */
static bool may_take_over(const struct turn *t, const struct alias_view *view)
{
	const struct rollout *r = t->r;

	if (!r->take_over)
		return false;
	if (r->goal == GOAL_HOME)
		return true;
	return !view->odd && view->target.version == r->stable &&
	       (view->target.weight_bp == 0 || view->target.extra == r->canary);
}

static void found_foreign(struct turn *t, const struct alias_view *view)
{
	struct rollout *r = t->r;
	char holds[128], last[96], reason[LIMIT_REASON];

	alias_view_format(view, holds, sizeof(holds));
	alias_target_format(&r->live, last, sizeof(last));
	turn_announce(t, ANNOUNCE_FOREIGN, "the alias holds %s; rolloutd had left it at %s", holds, last);
	if (r->reopened) {
		r->goal = GOAL_FORWARD;
		(void)snprintf(reason, sizeof(reason), "not rolled back: somebody has moved the alias on to %s", holds);
		turn_end(t, PHASE_SUCCEEDED, reason);
		return;
	}
	(void)snprintf(
	    reason, sizeof(reason),
	    "somebody else changed the alias: it holds %.70s, rolloutd had left %.50s. `resume` goes on from "
	    "there, `rollback` sends all traffic to version %llu",
	    holds, last, (unsigned long long)r->stable);
	block(t, reason);
}

static void look_succeeded(struct turn *t)
{
	struct rollout *r = t->r;
	const struct alias_view *view = &t->event->alias.alias;
	bool same = alias_target_equal(&view->target, &r->live) && !view->odd;
	bool ours = !view->odd && (same || is_asked(t, &view->target));
	bool moved = !same || strcmp(view->revision, r->revision) != 0;
	uint32_t attempts = r->attempts;

	if (!ours) {
		if (!may_take_over(t, view)) {
			found_foreign(t, view);
			return;
		}
		confirm(t, view);
		r->applied = false;
		r->unsure = view->odd; /* an odd content has no target of its own: written over in any case */
	} else if (moved) {
		if (!same && r->unsure)
			turn_announce(t, ANNOUNCE_RECOVERED, "the write whose answer was lost has taken effect");
		confirm(t, view);
	}
	if (r->goal == GOAL_HOME && r->first_traffic_unix_ms == 0 && rollout_weight_bp(r) > 0)
		r->first_traffic_unix_ms = t->now.unix_ms; /* found only now, and on its way home already */
	r->look = false;
	r->reopened = false;
	r->take_over = false;
	if (!r->unsure)
		turn_recovered(t);
	/* Refused for its revision, and the alias still shows that one: an old view. The next try waits. */
	if (!moved && (r->goal == GOAL_HOME || !r->applied))
		r->attempts = attempts;
}

void traffic_looked(struct turn *t)
{
	const char *error = t->event->alias.error;
	char reason[LIMIT_REASON];

	switch (t->event->alias.outcome) {
	case CALL_OK:
		look_succeeded(t);
		break;
	case CALL_NOT_FOUND:
	case CALL_REFUSED:
	case CALL_CONFLICT:
		(void)snprintf(reason, sizeof(reason), "the alias cannot be read any more: %.200s", error);
		if (t->r->reopened)
			turn_end(t, PHASE_SUCCEEDED, reason);
		else
			block(t, reason);
		break;
	case CALL_UNAVAILABLE:
	case CALL_UNKNOWN:
		turn_trouble(t, "%.250s", error);
		turn_retry_later(t);
		break;
	}
}

/* --- writing --- */

/* What r->live holds is what was wanted, for certain. */
static void landed(struct turn *t)
{
	struct rollout *r = t->r;
	char reason[LIMIT_REASON], holds[96];

	turn_recovered(t);
	alias_target_format(&r->live, holds, sizeof(holds));
	if (r->goal == GOAL_HOME) {
		(void)text_copy(reason, sizeof(reason), r->reason);
		turn_announce(t, ANNOUNCE_WEIGHT, "all traffic is on %s", holds);
		r->applied = false;
		turn_end(t, r->first_traffic_unix_ms != 0 ? PHASE_ROLLED_BACK : PHASE_FAILED, reason);
		return;
	}
	turn_announce(t, ANNOUNCE_WEIGHT, "the alias sends its traffic to %s", holds);
	r->applied = true;
	watch_begin(t);
	if (r->step == t->spec->n_steps && t->spec->final_bake_ms == 0)
		turn_end(t, PHASE_SUCCEEDED, "");
	else
		turn_set_phase(t, turn_forward_phase(t), r->pause ? r->reason : "");
}

void traffic_write(struct turn *t)
{
	struct rollout *r = t->r;
	struct alias_target wanted = traffic_wanted(t->spec, r);
	struct rollout_effect *e;
	char target[96];

	if (alias_target_equal(&wanted, &r->live) && !r->unsure) {
		landed(t);
		return;
	}
	ask(t);
	r->wait = WAIT_WRITE;
	r->cancelled = false;
	alias_target_format(&wanted, target, sizeof(target));
	if (r->attempts == 0)
		turn_announce(t, ANNOUNCE_INTENT, "asks AWS for %s", target);
	e = turn_effect(t, EFFECT_WRITE_ALIAS);
	e->seq = ++r->seq;
	e->write.target = wanted;
	e->write.home = r->goal == GOAL_HOME;
	(void)text_copy(e->write.revision, sizeof(e->write.revision), r->revision);
}

static void write_succeeded(struct turn *t)
{
	struct rollout *r = t->r;
	const struct alias_view *view = &t->event->alias.alias;
	struct alias_target wanted;

	if (view->odd || !is_asked(t, &view->target)) {
		found_foreign(t, view);
		return;
	}
	confirm(t, view);
	wanted = traffic_wanted(t->spec, r);
	if (alias_target_equal(&wanted, &r->live))
		landed(t);
	else if (r->first_traffic_unix_ms == 0)
		r->first_traffic_unix_ms = t->now.unix_ms; /* it landed although it was called back: home comes next */
}

/* AWS will not take this write, however often it is sent. */
static void write_impossible(struct turn *t)
{
	char reason[LIMIT_REASON];

	if (t->r->goal == GOAL_HOME) {
		(void)snprintf(reason, sizeof(reason), "AWS refuses to send all traffic to version %llu: %.180s",
			       (unsigned long long)t->r->stable, t->event->alias.error);
		block(t, reason);
		return;
	}
	(void)snprintf(reason, sizeof(reason), "AWS refuses the next weight: %.200s", t->event->alias.error);
	t->r->look = true;
	traffic_go_home(t, reason, false);
}

void traffic_written(struct turn *t)
{
	struct rollout *r = t->r;
	bool cancelled = r->cancelled;

	r->cancelled = false;
	switch (t->event->alias.outcome) {
	case CALL_OK:
		write_succeeded(t);
		break;
	case CALL_CONFLICT:
		r->look = true;
		retry_soon(t);
		break;
	case CALL_UNKNOWN:
		r->unsure = true;
		r->look = true;
		turn_trouble(t, "%.220s; looking up what became of it", t->event->alias.error);
		retry_soon(t);
		break;
	case CALL_NOT_FOUND:
	case CALL_REFUSED:
		if (cancelled)
			r->look = true;
		else
			write_impossible(t);
		break;
	case CALL_UNAVAILABLE:
		if (!r->unsure)
			r->asked[0] = r->asked[1] = 0;
		if (cancelled)
			break;
		turn_trouble(t, "%.250s", t->event->alias.error);
		turn_retry_later(t);
		break;
	}
}

void traffic_call_back(struct turn *t)
{
	struct rollout *r = t->r;

	if (r->wait != WAIT_WRITE || r->cancelled)
		return;
	r->cancelled = true;
	turn_effect(t, EFFECT_CANCEL)->seq = r->seq;
}

void traffic_go_home(struct turn *t, const char *reason, bool quarantine)
{
	struct rollout *r = t->r;
	struct alias_target home = {.version = r->stable};

	r->goal = GOAL_HOME;
	r->quarantine = quarantine;
	r->pause = 0;
	r->attempts = 0;
	r->retry_boot_ms = 0;
	r->poll_pending = false;
	if (r->wait == WAIT_PREPARE)
		r->wait = WAIT_NOTHING;
	if (!r->prepared || (r->wait == WAIT_NOTHING && !r->unsure && !r->look && r->first_traffic_unix_ms == 0 &&
			     alias_target_equal(&r->live, &home))) {
		turn_end(t, PHASE_FAILED, reason);
		return;
	}
	traffic_call_back(t);
	turn_set_phase(t, PHASE_ROLLING_BACK, reason);
}
