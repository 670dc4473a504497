/*
 * The alias: look, write, and recognise what is found.
 *
 * What counts as ours: the content that was last confirmed, and every target asked for since then whose outcome is not
 * known. A write carries the RevisionId of that confirmation, so once the RevisionId has changed, no older write can
 * land. As long as an outcome is unknown (`unsure`), the way home is written even if the alias seems to be home: that
 * changes the RevisionId, and what is still under way can no longer land.
 *
 * A read may show what the alias held before its last change. That is told by its RevisionId, which is the one that we
 * knew before, and it is read again. RevisionIds never come back.
 */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "core/step.h"

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

bool traffic_may_come(const struct turn *t)
{
	for (uint32_t i = 0; i <= t->spec->n_steps; i++) {
		if (asked_test(t->r, i))
			return true;
	}
	return false;
}

static void ask(struct turn *t)
{
	uint32_t bit = t->r->goal == GOAL_HOME ? ASKED_HOME : t->r->step;

	t->r->asked[bit / 64] |= UINT64_C(1) << (bit % 64);
}

void traffic_confirm(struct turn *t, const struct alias_view *view)
{
	struct rollout *r = t->r;

	r->live = view->target;
	r->old_views = 0;
	if (strcmp(r->revision, view->revision) != 0 && r->revision[0] != '\0')
		(void)text_copy(r->old_revision, sizeof(r->old_revision), r->revision);
	(void)text_copy(r->revision, sizeof(r->revision), view->revision);
	r->asked[0] = r->asked[1] = 0;
	r->unsure = false;
}

void traffic_block(struct turn *t, const char *reason)
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

/* --- looking --- */

void traffic_look(struct turn *t)
{
	t->r->wait = WAIT_READ;
	turn_effect(t, EFFECT_READ_ALIAS)->seq = ++t->r->seq;
}

void traffic_take_over(struct turn *t)
{
	t->r->take_over = true;
	t->r->take_told = false;
	t->r->look = true;
}

/*
 * An operator's word is for what is found at once. When that look fails, or the daemon is killed, somebody may write
 * before the next one: then the word is for what the operator was told, and this is something else.
 */
static bool is_newer_than_word(const struct turn *t, const struct alias_view *view)
{
	return t->r->take_told && strcmp(view->revision, t->r->told_revision) != 0;
}

/* After an operator's word: may we go on from this content? */
static bool may_take_over(const struct turn *t, const struct alias_view *view)
{
	const struct rollout *r = t->r;

	if (!r->take_over || is_newer_than_word(t, view))
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
	    "%s: it holds %.70s, rolloutd had left %.50s. `resume` goes on from there, `rollback` sends all traffic to "
	    "version %llu",
	    is_newer_than_word(t, view) ? "the alias was changed again" : "somebody else changed the alias", holds,
	    last, (unsigned long long)r->stable);
	(void)text_copy(r->told_revision, sizeof(r->told_revision), view->revision);
	traffic_block(t, reason);
}

/* All traffic is where it should go, whoever has sent it there: that is nothing to stop for. */
static bool is_home_already(const struct turn *t, const struct alias_view *view)
{
	struct alias_target home = {.version = t->r->stable};

	return t->r->goal == GOAL_HOME && alias_target_equal(&view->target, &home);
}

/* The alias's allocation is on its way to a version that we asked for, or that the alias was left at. */
static bool moved_by_us(const struct turn *t, const struct alias_view *view)
{
	struct alias_target target = {.version = view->target.version};

	return concurrency_moves(t->r, view) && (is_asked(t, &target) || t->r->live.version == target.version);
}

/* … and has arrived there. */
static bool has_arrived(const struct turn *t, const struct alias_view *view)
{
	struct alias_view live = {.target = t->r->live};

	return concurrency_moves(t->r, &live) && view->target.weight_bp == 0 &&
	       view->target.version == t->r->live.version;
}

/*
 * The alias has been changed, and holds what it held before a write of ours whose outcome is not known: that has landed
 * and somebody has taken it back at once, perhaps. Then it must not be asked for again.
 */
static bool is_taken_back(const struct turn *t, const struct alias_view *view)
{
	const struct rollout *r = t->r;

	return r->goal == GOAL_FORWARD && r->unsure && strcmp(view->revision, r->revision) != 0;
}

static void look_succeeded(struct turn *t)
{
	struct rollout *r = t->r;
	const struct alias_view *view = &t->event->alias.alias;
	bool same = alias_target_equal(&view->target, &r->live) && !view->odd && !is_taken_back(t, view);
	bool ours = !view->odd && (same || is_asked(t, &view->target) || is_home_already(t, view) ||
				   moved_by_us(t, view) || has_arrived(t, view));
	bool moved = !same || strcmp(view->revision, r->revision) != 0;
	uint32_t attempts = r->attempts;

	if (moved_by_us(t, view))
		r->applied = false; /* whatever it seemed to hold before */
	if (!ours) {
		if (!may_take_over(t, view)) {
			found_foreign(t, view);
			return;
		}
		traffic_confirm(t, view);
		r->applied = false;
		r->unsure = view->odd; /* an odd content has no target of its own: written over in any case */
	} else if (moved) {
		if (!same && r->unsure)
			turn_announce(t, ANNOUNCE_RECOVERED, "the write whose answer was lost has taken effect");
		traffic_confirm(t, view);
	}
	if (r->goal == GOAL_HOME && r->first_traffic_unix_ms == 0 &&
	    (rollout_weight_bp(r) > 0 || concurrency_moves(r, view)))
		r->first_traffic_unix_ms = t->now.unix_ms; /* found only now, and on its way home already */
	r->look = false;
	r->reopened = false;
	r->take_over = false;
	if (!r->unsure && !concurrency_moves(r, view))
		turn_recovered(t);
	/* Refused for its revision, and the alias still shows that one: an old view. The next try waits. */
	if (!moved && (r->goal == GOAL_HOME || !r->applied))
		r->attempts = attempts;
}

/* Nobody is served by an alias that is not there. An operator who wants the way home then wants the end. */
static bool is_home_without_alias(const struct turn *t)
{
	return t->event->alias.outcome == CALL_NOT_FOUND && t->r->take_over && t->r->goal == GOAL_HOME;
}

static void end_without_alias(struct turn *t)
{
	struct rollout *r = t->r;

	r->take_over = false;
	turn_end(t, r->first_traffic_unix_ms != 0 ? PHASE_ROLLED_BACK : PHASE_FAILED,
		 "the alias does not exist any more, so there is nothing to send back");
}

static void block_unreadable(struct turn *t)
{
	const struct rollout *r = t->r;
	char reason[LIMIT_REASON];

	if (t->event->alias.outcome == CALL_NOT_FOUND)
		(void)snprintf(reason, sizeof(reason),
			       "the alias does not exist any more (%.90s): `rollback` ends the rollout; or create the "
			       "alias on version %llu, then `resume`",
			       t->event->alias.error, (unsigned long long)r->stable);
	else
		(void)snprintf(reason, sizeof(reason), "the alias cannot be read any more: %.200s",
			       t->event->alias.error);
	if (r->reopened)
		turn_end(t, PHASE_SUCCEEDED, reason);
	else
		traffic_block(t, reason);
}

/*
 * What is taken for the past may be the present: when an old view showed a RevisionId between the two, which nobody
 * here had seen, the later one counts as the one before. Then every look shows it, and is believed in the end: should
 * it be the past after all, the next write is refused.
 */
#define OLD_VIEWS_MAX 12 /* tries: some 20 seconds on the way home; AWS shows old views for less */

bool traffic_is_old_view(struct turn *t, const struct alias_view *view)
{
	struct rollout *r = t->r;

	if (r->old_revision[0] == '\0' || strcmp(view->revision, r->old_revision) != 0) {
		r->old_views = 0;
		return false;
	}
	if (r->old_views >= OLD_VIEWS_MAX)
		return false;
	r->old_views++;
	turn_trouble(t, "AWS shows the alias as it was before its last change; looking again");
	turn_retry_later(t);
	return true;
}

void traffic_looked(struct turn *t)
{
	const char *error = t->event->alias.error;

	switch (t->event->alias.outcome) {
	case CALL_OK:
		if (!traffic_is_old_view(t, &t->event->alias.alias))
			look_succeeded(t);
		break;
	case CALL_NOT_FOUND:
	case CALL_REFUSED:
	case CALL_CONFLICT:
		if (is_home_without_alias(t))
			end_without_alias(t);
		else
			block_unreadable(t);
		break;
	case CALL_UNAVAILABLE:
	case CALL_UNKNOWN:
		turn_trouble(t, "%.250s", error);
		turn_retry_later(t);
		break;
	}
	t->r->take_told = t->r->take_over;
}

/* --- writing --- */

/* What r->live holds is what was wanted, for certain. */
static void landed(struct turn *t)
{
	struct rollout *r = t->r;
	char reason[LIMIT_REASON], holds[96];

	turn_recovered(t);
	r->moving_ms = 0;
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
	if (r->step == t->spec->n_steps && t->spec->final_bake_ms == 0 && !gates_hold_end(t))
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
	if (concurrency_await_move(t, &wanted))
		return;
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

/* What AWS answered to a write is what was asked for, or the way there. */
static bool is_answer_ours(const struct turn *t, const struct alias_view *view)
{
	return !view->odd && (is_asked(t, &view->target) || moved_by_us(t, view));
}

static void write_succeeded(struct turn *t)
{
	struct rollout *r = t->r;
	const struct alias_view *view = &t->event->alias.alias;
	struct alias_target wanted;

	if (!is_answer_ours(t, view)) {
		found_foreign(t, view);
		return;
	}
	traffic_confirm(t, view);
	if (r->alias_provisioned) {
		/* The answer may come before AWS begins to move the allocation: what the alias holds then decides. */
		concurrency_look_again(t);
		return;
	}
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
		traffic_block(t, reason);
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
	if (r->wait == WAIT_PROVISION)
		turn_effect(t, EFFECT_CANCEL)->seq = r->seq;
	gates_drop(t);
	if (!r->prepared || (r->wait == WAIT_NOTHING && !r->unsure && !r->look && r->first_traffic_unix_ms == 0 &&
			     alias_target_equal(&r->live, &home))) {
		turn_end(t, PHASE_FAILED, reason);
		return;
	}
	traffic_call_back(t);
	turn_set_phase(t, PHASE_ROLLING_BACK, reason);
}
