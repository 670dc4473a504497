/*
 * An operator's commands. Each answers with a whole sentence: what was done, or why not and what can be done instead.
 */
#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"
#include "core/step.h"

struct answer {
	struct turn *t;
	char *text; /* LIMIT_REASON */
};

static enum rollout_answer printf_like(3, 4)
    answer_with(struct answer *a, enum rollout_answer answer, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(a->text, LIMIT_REASON, fmt, args);
	va_end(args);
	return answer;
}

/* "pause by uid=1000 pid=77: reason" becomes part of the record. */
static void announce_command(struct turn *t)
{
	const char *reason = t->event->command.reason;

	turn_announce(t, ANNOUNCE_COMMAND, "%s by %s%s%.160s", rollout_command_name(t->event->command.command),
		      t->event->command.by, reason[0] ? ": " : "", reason);
}

static void describe(const struct turn *t, const char *what, char *out)
{
	const char *reason = t->event->command.reason;

	(void)snprintf(out, LIMIT_REASON, "%s by %s%s%.160s", what, t->event->command.by, reason[0] ? ": " : "",
		       reason);
}

static enum rollout_answer refuse_ended(struct answer *a)
{
	return answer_with(a, ANSWER_REFUSED, "it has ended (%s): drop a new plan, or `rolloutctl retry`",
			   rollout_phase_name(a->t->r->phase));
}

static enum rollout_answer take_pause(struct answer *a)
{
	struct rollout *r = a->t->r;
	char reason[LIMIT_REASON];

	if (rollout_ended(r))
		return refuse_ended(a);
	if (r->goal == GOAL_HOME)
		return answer_with(a, ANSWER_REFUSED, "it is rolling back, which nothing pauses");
	if (r->phase == PHASE_BLOCKED)
		return answer_with(a, ANSWER_REFUSED, "it is blocked: nothing is written until `resume` or `rollback`");
	if (r->pause & PAUSE_OPERATOR)
		return answer_with(a, ANSWER_ALREADY, "it is paused already");
	announce_command(a->t);
	describe(a->t, "paused", reason);
	r->pause |= PAUSE_OPERATOR;
	traffic_call_back(a->t);
	if (r->phase == PHASE_PENDING || r->phase == PHASE_PREPARING)
		turn_set_phase(a->t, r->phase, reason);
	else
		turn_set_phase(a->t, turn_forward_phase(a->t), reason);
	if (r->wait == WAIT_WRITE)
		return answer_with(a, ANSWER_DONE,
				   "paused: no weight is asked for any more, but the last one may have left");
	return answer_with(a, ANSWER_DONE, "paused: the weight stays where it is, and the canary is still watched");
}

/* The operator lets a blocked rollout go on from what the alias holds now. */
static enum rollout_answer resume_blocked(struct answer *a)
{
	struct rollout *r = a->t->r;
	struct alias_view live = {.target = r->live};
	char reason[LIMIT_REASON] = "resumed";
	bool untouched =
	    r->first_traffic_unix_ms == 0 && !r->unsure && r->goal == GOAL_FORWARD && !concurrency_moves(r, &live);

	announce_command(a->t);
	r->attempts = 0;
	r->pause &= ~(uint32_t)PAUSE_OPERATOR;
	if (r->superseded)
		r->goal = GOAL_HOME;
	if (untouched && !r->superseded) {
		r->prepared = false;
		r->gated_pre = false; /* asked about another stable version, perhaps */
		turn_set_phase(a->t, PHASE_PREPARING, "resumed");
		return answer_with(a, ANSWER_DONE, "looks at the alias again");
	}
	traffic_take_over(a->t);
	if (r->concluded)
		watch_tell_experiment(a->t, reason);
	turn_set_phase(a->t, r->goal == GOAL_HOME ? PHASE_ROLLING_BACK : turn_forward_phase(a->t), reason);
	return answer_with(a, ANSWER_DONE, "goes on from what the alias holds now");
}

static enum rollout_answer take_resume(struct answer *a)
{
	struct rollout *r = a->t->r;

	if (rollout_ended(r))
		return refuse_ended(a);
	if (r->phase == PHASE_BLOCKED)
		return resume_blocked(a);
	if ((r->pause & PAUSE_FAILURE) && r->verdict == VERDICT_FAIL)
		return answer_with(a, ANSWER_REFUSED, "the canary fails (%.150s): only `rollback` leads on from here",
				   r->why);
	if ((r->pause & ~(uint32_t)PAUSE_APPROVAL) == 0) {
		if (r->pause & PAUSE_APPROVAL)
			return answer_with(a, ANSWER_REFUSED, "it waits for approval: `promote` takes the next step");
		return answer_with(a, ANSWER_ALREADY, "it is not paused");
	}
	announce_command(a->t);
	r->pause &= (uint32_t)PAUSE_APPROVAL;
	r->hold_from_baked_ms = -1;
	if (r->phase == PHASE_PENDING || r->phase == PHASE_PREPARING)
		turn_set_phase(a->t, r->phase, "resumed");
	else
		turn_set_phase(a->t, turn_forward_phase(a->t),
			       r->pause ? "waits for approval: `rolloutctl promote` takes the next step" : "resumed");
	return answer_with(a, ANSWER_DONE, r->pause ? "resumed; it still waits for approval: `promote`" : "resumed");
}

static enum rollout_answer promote_pending(struct answer *a, bool full)
{
	struct rollout *r = a->t->r;

	if (!a->t->spec->start_manual && !full && !(r->pause & PAUSE_OPERATOR))
		return answer_with(a, ANSWER_ALREADY, "it starts by itself as soon as its alias is free");
	announce_command(a->t);
	r->pause = 0;
	r->advance = true;
	r->full = full;
	(void)text_copy(r->reason, sizeof(r->reason), "starts as soon as its alias is free");
	return answer_with(a, ANSWER_DONE, "it starts as soon as its alias is free");
}

static enum rollout_answer take_promote(struct answer *a, bool full)
{
	struct rollout *r = a->t->r;

	if (rollout_ended(r))
		return refuse_ended(a);
	if (r->goal == GOAL_HOME)
		return answer_with(a, ANSWER_REFUSED, "it is rolling back, which nothing stops");
	if (r->phase == PHASE_BLOCKED)
		return answer_with(a, ANSWER_REFUSED, "it is blocked: `resume` or `rollback` first");
	if (r->verdict == VERDICT_FAIL)
		return answer_with(a, ANSWER_REFUSED, "the canary fails (%.150s): only `rollback` leads on from here",
				   r->why);
	if (r->phase == PHASE_PENDING)
		return promote_pending(a, full);
	if (!r->applied && !full && r->pause == 0 && r->phase == PHASE_PREPARING)
		return answer_with(a, ANSWER_ALREADY, "it is being prepared: its first weight comes by itself");
	if (!r->applied && !full && r->pause == 0)
		return answer_with(a, ANSWER_ALREADY, "the next weight is being applied right now");
	announce_command(a->t);
	r->pause = 0;
	r->hold_from_baked_ms = -1;
	r->full = full;
	r->advance = r->applied;
	if (!r->applied && full && r->prepared && r->wait != WAIT_WRITE)
		r->step = (uint32_t)a->t->spec->n_steps;
	turn_set_phase(a->t, turn_forward_phase(a->t), full ? "promoted to 100% by hand" : "promoted by hand");
	if (r->advance && a->t->spec->experiment_ends_home && !full)
		return answer_with(a, ANSWER_DONE, "ends the experiment now: all traffic goes back to version %llu",
				   (unsigned long long)r->stable);
	return answer_with(a, ANSWER_DONE, full ? "goes to 100%% now" : "takes the next step now");
}

/* A succeeded rollout goes back to its former version, if the alias is still as it was left. */
static enum rollout_answer reopen(struct answer *a, const char *reason)
{
	struct rollout *r = a->t->r;
	bool cold = concurrency_gave_up(r);

	if (r->stable == r->canary)
		return answer_with(a, ANSWER_REFUSED, "it changed nothing: there is no former version to go back to");
	r->goal = GOAL_HOME;
	r->reopened = true;
	r->look = true;
	r->quarantine = true;
	r->ended_unix_ms = 0;
	r->attempts = 0;
	concurrency_keep(a->t);
	announce_command(a->t);
	turn_set_phase(a->t, PHASE_ROLLING_BACK, reason);
	if (cold)
		return answer_with(
		    a, ANSWER_DONE,
		    "sends all traffic back to version %llu, whose provisioned concurrency was released "
		    "after the success: its first requests wait for cold starts. To keep it warm give it "
		    "provisioned concurrency again, by hand",
		    (unsigned long long)r->stable);
	return answer_with(a, ANSWER_DONE, "sends all traffic back to version %llu", (unsigned long long)r->stable);
}

/* An operator's rollback says that the canary is bad, where it had traffic; but one that goes home anyway is not. */
static bool is_failure(const struct turn *t)
{
	const struct rollout *r = t->r;

	return (r->first_traffic_unix_ms != 0 || traffic_may_come(t)) && !r->superseded && !r->concluded;
}

static enum rollout_answer take_rollback(struct answer *a)
{
	struct rollout *r = a->t->r;
	char reason[LIMIT_REASON];

	describe(a->t, "rolled back", reason);
	if (r->phase == PHASE_SUCCEEDED)
		return reopen(a, reason);
	if (rollout_ended(r))
		return answer_with(a, ANSWER_ALREADY, "it has ended already (%s)", rollout_phase_name(r->phase));
	if (r->phase == PHASE_ROLLING_BACK) {
		r->retry_boot_ms = 0;
		return answer_with(a, ANSWER_ALREADY, "it is rolling back already");
	}
	announce_command(a->t);
	if (r->phase == PHASE_PENDING) {
		turn_end(a->t, PHASE_FAILED, reason);
		return answer_with(a, ANSWER_DONE, "dropped before it started");
	}
	if (r->phase == PHASE_BLOCKED)
		traffic_take_over(a->t);
	traffic_go_home(a->t, reason, is_failure(a->t));
	if (rollout_ended(r))
		return answer_with(a, ANSWER_DONE, "ended; no traffic had been moved");
	return answer_with(a, ANSWER_DONE, "sends all traffic to version %llu", (unsigned long long)r->stable);
}

enum rollout_answer command_take(struct turn *t, char *ret_text)
{
	struct answer a = {t, ret_text};

	ret_text[0] = '\0';
	switch (t->event->command.command) {
	case COMMAND_PAUSE:
		return take_pause(&a);
	case COMMAND_RESUME:
		return take_resume(&a);
	case COMMAND_PROMOTE:
		return take_promote(&a, false);
	case COMMAND_PROMOTE_FULL:
		return take_promote(&a, true);
	case COMMAND_ROLLBACK:
		break;
	}
	return take_rollback(&a);
}
