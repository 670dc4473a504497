/* An operator's commands in every state they can meet: what each does there, and what it says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core_rig.h"

/* --- states, each reached as it is in life --- */

static void pending(struct rig *g)
{
	rig_init(g);
}

static void preparing(struct rig *g)
{
	rig_init(g);
	rig_simple(g, EVENT_START);
}

/* The first weight is asked for, and not answered yet. */
static void writing(struct rig *g)
{
	preparing(g);
	rig_answer_prepare(g);
}

static void progressing(struct rig *g)
{
	preparing(g);
	rig_run_to_weight(g, 1);
}

static void waiting_for_approval(struct rig *g)
{
	rig_init(g);
	g->steps[0].approve = true;
	rig_simple(g, EVENT_START);
	assert_true(rig_run_until(g, PHASE_PAUSED));
	assert_int_equal(g->r.pause, PAUSE_APPROVAL);
}

static void rolling_back(struct rig *g)
{
	progressing(g);
	assert_int_equal(rig_command(g, COMMAND_ROLLBACK), ANSWER_DONE);
	rig_assert_phase(g, PHASE_ROLLING_BACK);
}

static void blocked(struct rig *g)
{
	progressing(g);
	rig_human(g, (struct alias_target){.version = 9});
	assert_true(rig_run_until(g, PHASE_BLOCKED));
}

static void failing(struct rig *g)
{
	rig_init(g);
	g->spec.on_failure = SPEC_PAUSE;
	g->canary_errors = 300;
	rig_simple(g, EVENT_START);
	assert_true(rig_run_until(g, PHASE_PAUSED));
}

static void succeeded(struct rig *g)
{
	preparing(g);
	assert_true(rig_run_until(g, PHASE_SUCCEEDED));
}

static void unchanged(struct rig *g)
{
	preparing(g);
	g->alias.target.version = 2;
	assert_true(rig_run_until(g, PHASE_SUCCEEDED));
}

static void rolled_back(struct rig *g)
{
	rolling_back(g);
	assert_true(rig_run_until(g, PHASE_ROLLED_BACK));
}

static void failed(struct rig *g)
{
	preparing(g);
	rig_end_prepare(g, CALL_NOT_FOUND);
	rig_assert_phase(g, PHASE_FAILED);
}

struct row {
	void (*reach)(struct rig *g);
	enum rollout_command command;
	enum rollout_answer answer;
	const char *text; /* part of the answer */
	enum rollout_phase after;
};

/* What nothing can be done about says so, and what can be done instead. */
static const struct row rows[] = {
    {pending, COMMAND_PAUSE, ANSWER_DONE, "paused", PHASE_PENDING},
    {pending, COMMAND_RESUME, ANSWER_ALREADY, "not paused", PHASE_PENDING},
    {pending, COMMAND_PROMOTE, ANSWER_ALREADY, "starts by itself", PHASE_PENDING},
    {pending, COMMAND_PROMOTE_FULL, ANSWER_DONE, "as soon as its alias is free", PHASE_PENDING},
    {pending, COMMAND_ROLLBACK, ANSWER_DONE, "dropped before it started", PHASE_FAILED},

    {preparing, COMMAND_PAUSE, ANSWER_DONE, "paused", PHASE_PREPARING},
    {preparing, COMMAND_RESUME, ANSWER_ALREADY, "not paused", PHASE_PREPARING},
    {preparing, COMMAND_PROMOTE, ANSWER_ALREADY, "being prepared", PHASE_PREPARING},
    {preparing, COMMAND_PROMOTE_FULL, ANSWER_DONE, "goes to 100% now", PHASE_PREPARING},
    {preparing, COMMAND_ROLLBACK, ANSWER_DONE, "no traffic had been moved", PHASE_FAILED},

    {writing, COMMAND_PAUSE, ANSWER_DONE, "the last one may have left", PHASE_PAUSED},
    {writing, COMMAND_PROMOTE, ANSWER_ALREADY, "being applied right now", PHASE_PROGRESSING},
    {writing, COMMAND_PROMOTE_FULL, ANSWER_DONE, "goes to 100% now", PHASE_PROGRESSING},
    {writing, COMMAND_ROLLBACK, ANSWER_DONE, "all traffic to version 1", PHASE_ROLLING_BACK},

    {progressing, COMMAND_PAUSE, ANSWER_DONE, "the canary is still watched", PHASE_PAUSED},
    {progressing, COMMAND_PROMOTE, ANSWER_DONE, "takes the next step now", PHASE_PROGRESSING},
    {progressing, COMMAND_PROMOTE_FULL, ANSWER_DONE, "goes to 100% now", PHASE_PROMOTING},

    {waiting_for_approval, COMMAND_PAUSE, ANSWER_DONE, "paused", PHASE_PAUSED},
    {waiting_for_approval, COMMAND_RESUME, ANSWER_REFUSED, "`promote` takes the next step", PHASE_PAUSED},
    {waiting_for_approval, COMMAND_PROMOTE, ANSWER_DONE, "takes the next step now", PHASE_PROGRESSING},
    {waiting_for_approval, COMMAND_ROLLBACK, ANSWER_DONE, "all traffic to version 1", PHASE_ROLLING_BACK},

    {rolling_back, COMMAND_PAUSE, ANSWER_REFUSED, "nothing pauses", PHASE_ROLLING_BACK},
    {rolling_back, COMMAND_RESUME, ANSWER_ALREADY, "not paused", PHASE_ROLLING_BACK},
    {rolling_back, COMMAND_PROMOTE, ANSWER_REFUSED, "nothing stops", PHASE_ROLLING_BACK},
    {rolling_back, COMMAND_PROMOTE_FULL, ANSWER_REFUSED, "nothing stops", PHASE_ROLLING_BACK},
    {rolling_back, COMMAND_ROLLBACK, ANSWER_ALREADY, "rolling back already", PHASE_ROLLING_BACK},

    {blocked, COMMAND_PAUSE, ANSWER_REFUSED, "until `resume` or `rollback`", PHASE_BLOCKED},
    {blocked, COMMAND_RESUME, ANSWER_DONE, "from what the alias holds now", PHASE_PROGRESSING},
    {blocked, COMMAND_PROMOTE, ANSWER_REFUSED, "`resume` or `rollback` first", PHASE_BLOCKED},
    {blocked, COMMAND_PROMOTE_FULL, ANSWER_REFUSED, "`resume` or `rollback` first", PHASE_BLOCKED},
    {blocked, COMMAND_ROLLBACK, ANSWER_DONE, "all traffic to version 1", PHASE_ROLLING_BACK},

    {failing, COMMAND_PAUSE, ANSWER_DONE, "paused", PHASE_PAUSED},
    {failing, COMMAND_RESUME, ANSWER_REFUSED, "only `rollback` leads on", PHASE_PAUSED},
    {failing, COMMAND_PROMOTE, ANSWER_REFUSED, "only `rollback` leads on", PHASE_PAUSED},
    {failing, COMMAND_PROMOTE_FULL, ANSWER_REFUSED, "only `rollback` leads on", PHASE_PAUSED},
    {failing, COMMAND_ROLLBACK, ANSWER_DONE, "all traffic to version 1", PHASE_ROLLING_BACK},

    {succeeded, COMMAND_PAUSE, ANSWER_REFUSED, "it has ended (succeeded)", PHASE_SUCCEEDED},
    {succeeded, COMMAND_RESUME, ANSWER_REFUSED, "it has ended (succeeded)", PHASE_SUCCEEDED},
    {succeeded, COMMAND_PROMOTE, ANSWER_REFUSED, "it has ended (succeeded)", PHASE_SUCCEEDED},
    {succeeded, COMMAND_ROLLBACK, ANSWER_DONE, "back to version 1", PHASE_ROLLING_BACK},
    {unchanged, COMMAND_ROLLBACK, ANSWER_REFUSED, "it changed nothing", PHASE_SUCCEEDED},

    {rolled_back, COMMAND_RESUME, ANSWER_REFUSED, "`rolloutctl retry`", PHASE_ROLLED_BACK},
    {rolled_back, COMMAND_ROLLBACK, ANSWER_ALREADY, "it has ended already (rolled-back)", PHASE_ROLLED_BACK},
    {failed, COMMAND_ROLLBACK, ANSWER_ALREADY, "it has ended already (failed)", PHASE_FAILED},
};

static void each_command_in_each_state(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(rows); i++) {
		struct rig g;
		uint64_t seq;

		rows[i].reach(&g);
		seq = g.r.seq;
		rig_expect(&g, rows[i].command, rows[i].answer, rows[i].text);
		rig_assert_phase(&g, rows[i].after);
		/* Nothing pauses a way home. */
		assert_true(g.r.phase != PHASE_ROLLING_BACK || g.r.pause == 0);
		/* The record is of what was done, and of nothing else. */
		assert_int_equal(rig_said(&g, ANNOUNCE_COMMAND, "by uid=0 pid=1"), rows[i].answer == ANSWER_DONE);
		/* What is refused asks AWS for nothing. */
		if (rows[i].answer == ANSWER_REFUSED)
			assert_int_equal(g.r.seq, seq);
		rig_deinit(&g);
	}
}

/* --- what comes of them --- */

static void the_record_says_who_and_why(void **state)
{
	struct rig g;

	(void)state;
	progressing(&g);
	(void)rig_command_for(&g, COMMAND_PAUSE, "the database is being moved");
	assert_true(rig_said(&g, ANNOUNCE_COMMAND, "pause by uid=0 pid=1: the database is being moved"));
	assert_string_equal(g.r.reason, "paused by uid=0 pid=1: the database is being moved");
	(void)rig_command(&g, COMMAND_RESUME);
	assert_true(rig_said(&g, ANNOUNCE_COMMAND, "resume by uid=0 pid=1"));
	(void)rig_command_for(&g, COMMAND_ROLLBACK, "too slow");
	assert_string_equal(g.r.reason, "rolled back by uid=0 pid=1: too slow");
	rig_deinit(&g);
}

/* A refused command leaves no trace: the record is of what was done. */
static void what_is_refused_is_not_on_record(void **state)
{
	struct rig g;

	(void)state;
	rolling_back(&g);
	(void)rig_command_for(&g, COMMAND_PAUSE, "wait");
	assert_false(rig_said(&g, ANNOUNCE_COMMAND, ""));
	assert_string_equal(g.r.reason, "rolled back by uid=0 pid=1");
	rig_deinit(&g);
}

static void a_paused_start_is_resumed_or_promoted(void **state)
{
	struct rig g;

	(void)state;
	pending(&g);
	rig_expect(&g, COMMAND_PAUSE, ANSWER_DONE, "paused");
	rig_expect(&g, COMMAND_RESUME, ANSWER_DONE, "resumed");
	rig_assert_phase(&g, PHASE_PENDING);
	assert_string_equal(g.r.reason, "resumed");
	assert_true(rollout_may_start(&g.spec, &g.r));
	rig_expect(&g, COMMAND_PAUSE, ANSWER_DONE, "paused");
	rig_expect(&g, COMMAND_PROMOTE, ANSWER_DONE, "as soon as its alias is free");
	assert_true(rollout_may_start(&g.spec, &g.r));
	rig_simple(&g, EVENT_START);
	rig_run_to_weight(&g, 1);
	assert_int_equal(g.weights[0], 1000);
	rig_deinit(&g);
}

/* promote --full of what has not begun: no step on the way, but everything that forbids it is still looked at. */
static void a_full_promote_before_the_start_skips_the_steps(void **state)
{
	struct rig g;

	(void)state;
	pending(&g);
	rig_expect(&g, COMMAND_PROMOTE_FULL, ANSWER_DONE, "as soon as");
	rig_simple(&g, EVENT_START);
	assert_true(g.has_prepare);
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	assert_int_equal(g.n_weights, 1);
	assert_int_equal(g.weights[0], WEIGHT_BP_MAX);
	rig_deinit(&g);
}

static void a_full_promote_while_preparing_skips_the_steps(void **state)
{
	struct rig g;

	(void)state;
	preparing(&g);
	rig_expect(&g, COMMAND_PROMOTE_FULL, ANSWER_DONE, "goes to 100% now");
	assert_string_equal(g.r.reason, "promoted to 100% by hand");
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	assert_int_equal(g.n_weights, 1);
	assert_int_equal(g.weights[0], WEIGHT_BP_MAX);
	rig_deinit(&g);
}

/* Paused before its first weight: promote lets it go on, one step. */
static void a_pause_while_preparing_holds_until_promoted(void **state)
{
	struct rig g;

	(void)state;
	preparing(&g);
	rig_expect(&g, COMMAND_PAUSE, ANSWER_DONE, "paused");
	rig_answer_prepare(&g);
	rig_assert_phase(&g, PHASE_PAUSED);
	assert_string_equal(g.r.reason, "paused by uid=0 pid=1");
	assert_false(g.has_write);
	rig_expect(&g, COMMAND_PROMOTE, ANSWER_DONE, "takes the next step now");
	assert_true(g.has_write);
	assert_int_equal(g.write.target.weight_bp, 1000);
	rig_deinit(&g);

	preparing(&g);
	rig_expect(&g, COMMAND_PAUSE, ANSWER_DONE, "paused");
	rig_expect(&g, COMMAND_RESUME, ANSWER_DONE, "resumed");
	rig_assert_phase(&g, PHASE_PREPARING);
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	rig_deinit(&g);
}

/* An operator's pause on top of an approval that is missing: resume lifts the one, and not the other. */
static void resume_does_not_approve(void **state)
{
	struct rig g;

	(void)state;
	waiting_for_approval(&g);
	rig_expect(&g, COMMAND_PAUSE, ANSWER_DONE, "paused");
	rig_expect(&g, COMMAND_RESUME, ANSWER_DONE, "it still waits for approval");
	rig_assert_phase(&g, PHASE_PAUSED);
	assert_int_equal(g.r.pause, PAUSE_APPROVAL);
	assert_non_null(strstr(g.r.reason, "waits for approval"));
	rig_deinit(&g);
}

/* A pause calls the weight back; when it had left already it lands, and the rollout stays paused with the reason. */
static void a_weight_that_lands_in_a_pause_stays(void **state)
{
	struct rig g;

	(void)state;
	writing(&g);
	rig_expect(&g, COMMAND_PAUSE, ANSWER_DONE, "may have left");
	assert_int_equal(g.cancelled_seq, g.write.seq);
	rig_answer_write(&g, FATE_OK);
	rig_assert_phase(&g, PHASE_PAUSED);
	assert_string_equal(g.r.reason, "paused by uid=0 pid=1");
	assert_int_equal(rollout_weight_bp(&g.r), 1000);
	for (int i = 0; i < 30; i++)
		(void)rig_turn(&g);
	assert_int_equal(g.n_weights, 1);
	rig_expect(&g, COMMAND_RESUME, ANSWER_DONE, "resumed");
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	rig_deinit(&g);
}

/* It was called back in time: AWS never saw it, so there is nothing in the alias, and nothing wrong either. */
static void a_weight_that_was_called_back_did_not_leave(void **state)
{
	struct rig g;

	(void)state;
	writing(&g);
	rig_expect(&g, COMMAND_PAUSE, ANSWER_DONE, "may have left");
	rig_end_write(&g, CALL_UNAVAILABLE);
	rig_assert_phase(&g, PHASE_PAUSED);
	assert_string_equal(g.r.trouble, "");
	assert_int_equal(g.r.asked[0], 0);
	rig_expect(&g, COMMAND_RESUME, ANSWER_DONE, "resumed");
	assert_true(g.has_write);
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	rig_deinit(&g);
}

/* One call back is enough: the engine is told once for each request. */
static void a_weight_is_called_back_once(void **state)
{
	struct rig g;

	(void)state;
	writing(&g);
	rig_expect(&g, COMMAND_PAUSE, ANSWER_DONE, "may have left");
	assert_int_equal(g.cancelled_seq, g.write.seq);
	g.cancelled_seq = 0;
	rig_expect(&g, COMMAND_ROLLBACK, ANSWER_DONE, "all traffic to version 1");
	assert_int_equal(g.cancelled_seq, 0);
	rig_deinit(&g);
}

/* Refused for what it was, after it was called back: the alias is looked at, and that is all. */
static void a_refusal_of_what_was_called_back_is_no_failure(void **state)
{
	struct rig g;

	(void)state;
	writing(&g);
	rig_expect(&g, COMMAND_PAUSE, ANSWER_DONE, "may have left");
	rig_end_write(&g, CALL_REFUSED);
	rig_assert_phase(&g, PHASE_PAUSED);
	assert_true(g.has_read);
	rig_deinit(&g);
}

/* promote --full with a weight on its way: that one lands first, for its answer is awaited. */
static void a_full_promote_waits_for_the_weight_on_its_way(void **state)
{
	struct rig g;
	const uint32_t want[] = {1000, WEIGHT_BP_MAX};

	(void)state;
	writing(&g);
	rig_expect(&g, COMMAND_PROMOTE_FULL, ANSWER_DONE, "goes to 100% now");
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	assert_int_equal(g.n_weights, 2);
	assert_memory_equal(g.weights, want, sizeof(want));
	rig_deinit(&g);
}

/* --- blocked, and on from there --- */

/* Paused, and then blocked: one word leads on, not two. */
static void resume_of_what_was_paused_and_blocked(void **state)
{
	struct rig g;

	(void)state;
	writing(&g);
	rig_expect(&g, COMMAND_PAUSE, ANSWER_DONE, "may have left");
	rig_human(&g, (struct alias_target){.version = 9});
	rig_answer_write(&g, FATE_OK);
	rig_answer_read(&g);
	rig_assert_phase(&g, PHASE_BLOCKED);
	rig_human(&g, (struct alias_target){.version = 1});
	rig_expect(&g, COMMAND_RESUME, ANSWER_DONE, "looks at the alias again");
	assert_int_equal(g.r.pause, 0);
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	rig_deinit(&g);
}

/* A success that is taken back has not ended: `history` must not show it as over while it is under way. */
static void a_success_that_is_taken_back_has_not_ended(void **state)
{
	struct rig g;

	(void)state;
	succeeded(&g);
	assert_true(g.r.ended_unix_ms != 0);
	rig_expect(&g, COMMAND_ROLLBACK, ANSWER_DONE, "back to version 1");
	assert_int_equal(g.r.ended_unix_ms, 0);
	rig_deinit(&g);
}

/* Its first weight may still be on its way: that is more than a beginning, so what the alias holds is taken over. */
static void resume_with_a_lost_write_does_not_begin_anew(void **state)
{
	struct rig g;

	(void)state;
	writing(&g);
	rig_answer_write(&g, FATE_LATE);
	rig_human(&g, (struct alias_target){.version = 9});
	rig_answer_read(&g);
	rig_assert_phase(&g, PHASE_BLOCKED);
	rig_human(&g, (struct alias_target){.version = 1});
	rig_expect(&g, COMMAND_RESUME, ANSWER_DONE, "from what the alias holds now");
	assert_false(g.has_prepare);
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	rig_deliver_late(&g);
	assert_int_equal(g.alias.target.weight_bp, 0);
	rig_deinit(&g);
}

/* On its way home before any traffic, as AWS refused the weight, and then blocked: resume does not turn it around. */
static void resume_on_the_way_home_goes_home(void **state)
{
	struct rig g;

	(void)state;
	writing(&g);
	rig_end_write(&g, CALL_REFUSED);
	rig_assert_phase(&g, PHASE_ROLLING_BACK);
	rig_human(&g, (struct alias_target){.version = 9});
	rig_answer_read(&g);
	rig_assert_phase(&g, PHASE_BLOCKED);
	rig_expect(&g, COMMAND_RESUME, ANSWER_DONE, "from what the alias holds now");
	rig_assert_phase(&g, PHASE_ROLLING_BACK);
	rig_answer_read(&g);
	assert_true(g.has_write);
	assert_true(g.write.home);
	rig_answer_write(&g, FATE_OK);
	rig_assert_phase(&g, PHASE_FAILED);
	rig_deinit(&g);
}

/* Newer content waits behind a blocked rollout: an operator's resume then leads home, never forward. */
static void resume_of_what_is_superseded_goes_home(void **state)
{
	struct rig g;

	(void)state;
	blocked(&g);
	rig_simple(&g, EVENT_SUPERSEDED);
	rig_assert_phase(&g, PHASE_BLOCKED);
	assert_false(g.has_write);
	rig_expect(&g, COMMAND_RESUME, ANSWER_DONE, "from what the alias holds now");
	rig_assert_phase(&g, PHASE_ROLLING_BACK);
	assert_true(rig_run_until(&g, PHASE_ROLLED_BACK));
	assert_int_equal(g.alias.target.version, 1);
	assert_false(g.quarantined_effect);
	rig_deinit(&g);
	/* … even where nothing had been moved. */
	preparing(&g);
	g.alias.target = (struct alias_target){1, 5, 1000};
	rig_answer_prepare(&g);
	rig_assert_phase(&g, PHASE_BLOCKED);
	rig_simple(&g, EVENT_SUPERSEDED);
	rig_expect(&g, COMMAND_RESUME, ANSWER_DONE, "from what the alias holds now");
	rig_assert_phase(&g, PHASE_ROLLING_BACK);
	rig_deinit(&g);
}

/* The version was not found wanting: newer content took its place, and the block came on top of that. */
static void rollback_of_what_is_superseded_puts_nothing_in_quarantine(void **state)
{
	struct rig g;

	(void)state;
	blocked(&g);
	rig_simple(&g, EVENT_SUPERSEDED);
	rig_expect(&g, COMMAND_ROLLBACK, ANSWER_DONE, "all traffic to version 1");
	assert_true(rig_run_until(&g, PHASE_ROLLED_BACK));
	assert_false(g.quarantined_effect);
	rig_deinit(&g);
}

/* The first weight had left and landed, and its answer was not there yet: the version has had traffic. */
static void rollback_before_the_first_answer_puts_in_quarantine(void **state)
{
	struct rig g;

	(void)state;
	writing(&g);
	rig_expect(&g, COMMAND_ROLLBACK, ANSWER_DONE, "all traffic to version 1");
	rig_answer_write(&g, FATE_OK);
	assert_true(rig_run_until(&g, PHASE_ROLLED_BACK));
	assert_true(g.quarantined_effect);
	rig_deinit(&g);
	/* Blocked before anything was asked for: there was none. */
	preparing(&g);
	g.alias.target = (struct alias_target){1, 5, 1000};
	rig_answer_prepare(&g);
	rig_assert_phase(&g, PHASE_BLOCKED);
	assert_int_equal(rig_command(&g, COMMAND_ROLLBACK), ANSWER_DONE);
	assert_true(rig_run_until(&g, PHASE_FAILED));
	assert_false(g.quarantined_effect);
	rig_deinit(&g);
}

/* The way home left and landed while the disk failed, and the daemon was killed: it finds the alias at home. */
static void home_that_nobody_remembers_is_home(void **state)
{
	struct rig g;

	(void)state;
	rolling_back(&g);
	rig_answer_write(&g, FATE_LOST_AFTER);
	g.r.asked[0] = g.r.asked[1] = 0;
	rig_crash(&g, true);
	assert_true(rig_run_until(&g, PHASE_ROLLED_BACK));
	assert_int_equal(g.alias.target.version, 1);
	rig_deinit(&g);
}

/* Newer content for what ends already, or has ended, changes nothing about how it ends. */
static void superseded_too_late(void **state)
{
	struct rig g;
	char reason[LIMIT_REASON];

	(void)state;
	rolling_back(&g);
	(void)snprintf(reason, sizeof(reason), "%s", g.r.reason);
	rig_simple(&g, EVENT_SUPERSEDED);
	assert_true(rig_run_until(&g, PHASE_ROLLED_BACK));
	assert_string_equal(g.r.reason, reason);
	assert_true(g.quarantined_effect);
	rig_deinit(&g);

	succeeded(&g);
	rig_simple(&g, EVENT_SUPERSEDED);
	rig_assert_phase(&g, PHASE_SUCCEEDED);
	assert_false(g.r.superseded);
	rig_deinit(&g);
}

/* An operator who asks again does not want to wait out the time until the next try. */
static void a_second_rollback_tries_at_once(void **state)
{
	struct rig g;

	(void)state;
	rolling_back(&g);
	rig_answer_write(&g, FATE_THROTTLED);
	assert_false(g.has_write);
	rig_expect(&g, COMMAND_ROLLBACK, ANSWER_ALREADY, "rolling back already");
	assert_true(g.has_write);
	assert_true(g.write.home);
	rig_deinit(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_command_in_each_state),
	    cmocka_unit_test(the_record_says_who_and_why),
	    cmocka_unit_test(what_is_refused_is_not_on_record),
	    cmocka_unit_test(a_paused_start_is_resumed_or_promoted),
	    cmocka_unit_test(a_full_promote_before_the_start_skips_the_steps),
	    cmocka_unit_test(a_full_promote_while_preparing_skips_the_steps),
	    cmocka_unit_test(a_pause_while_preparing_holds_until_promoted),
	    cmocka_unit_test(resume_does_not_approve),
	    cmocka_unit_test(a_weight_that_lands_in_a_pause_stays),
	    cmocka_unit_test(a_weight_that_was_called_back_did_not_leave),
	    cmocka_unit_test(a_weight_is_called_back_once),
	    cmocka_unit_test(a_refusal_of_what_was_called_back_is_no_failure),
	    cmocka_unit_test(a_full_promote_waits_for_the_weight_on_its_way),
	    cmocka_unit_test(resume_of_what_was_paused_and_blocked),
	    cmocka_unit_test(a_success_that_is_taken_back_has_not_ended),
	    cmocka_unit_test(resume_with_a_lost_write_does_not_begin_anew),
	    cmocka_unit_test(resume_on_the_way_home_goes_home),
	    cmocka_unit_test(resume_of_what_is_superseded_goes_home),
	    cmocka_unit_test(rollback_of_what_is_superseded_puts_nothing_in_quarantine),
	    cmocka_unit_test(rollback_before_the_first_answer_puts_in_quarantine),
	    cmocka_unit_test(home_that_nobody_remembers_is_home),
	    cmocka_unit_test(superseded_too_late),
	    cmocka_unit_test(a_second_rollback_tries_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
