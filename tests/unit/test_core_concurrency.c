/* Provisioned concurrency, where it meets faults and other people: requests whose outcome is unknown, allocations that
 * somebody else changes, and an alias whose own allocation AWS moves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core_rig.h"

static void start_provisioned(struct rig *g)
{
	rig_init(g);
	g->stable_provisioned = 10;
	rig_simple(g, EVENT_START);
	rig_answer_prepare(g);
	assert_true(g->has_provision);
}

/* The request was taken; the next look is due. */
static void start_provisioning(struct rig *g)
{
	start_provisioned(g);
	rig_answer_provision(g, CALL_OK, true);
	(void)rig_turn(g);
	assert_true(g->has_prepare);
}

/* --- the request --- */

static void a_request_may_end_in_many_ways(void **state)
{
	static const struct {
		enum call_outcome outcome;
		enum rollout_phase phase;
		bool asked; /* it may have taken effect */
	} cases[] = {
	    {CALL_OK, PHASE_PREPARING, true},		{CALL_CONFLICT, PHASE_PREPARING, false},
	    {CALL_UNAVAILABLE, PHASE_PREPARING, false}, {CALL_UNKNOWN, PHASE_PREPARING, true},
	    {CALL_NOT_FOUND, PHASE_FAILED, false},	{CALL_REFUSED, PHASE_FAILED, false},
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		struct rig g;

		start_provisioned(&g);
		rig_answer_provision(&g, cases[i].outcome, false);
		rig_assert_phase(&g, cases[i].phase);
		assert_int_equal(g.r.provision_asked, cases[i].asked);
		if (cases[i].phase == PHASE_FAILED)
			assert_non_null(strstr(g.r.reason, "AWS refuses provisioned concurrency for version 2"));
		else
			assert_true(g.timer_boot_ms > g.now.boot_ms && g.timer_boot_ms != INT64_MAX);
		rig_deinit(&g);
	}
}

/* Taken away again by somebody while it was in the making: asked for once more, and taken back at the end, since one
 * of the two requests is ours in any case. */
static void what_was_taken_away_is_asked_for_again(void **state)
{
	struct rig g;

	(void)state;
	start_provisioning(&g);
	g.canary_provisioned = 0;
	rig_answer_prepare(&g);
	assert_true(g.has_provision);
	assert_true(g.r.provision_unsure);
	rig_answer_provision(&g, CALL_REFUSED, false);
	rig_assert_phase(&g, PHASE_FAILED);
	assert_true(g.has_release);
	assert_int_equal(g.release_version, 2);
	rig_deinit(&g);
}

/* Somebody gives the canary another amount: theirs from then on, used if it is enough, and never taken back. */
static void what_somebody_else_changed_is_theirs(void **state)
{
	struct rig g;

	(void)state;
	start_provisioning(&g);
	g.canary_provisioned = 30;
	g.provision_state = PROVISION_READY;
	rig_answer_prepare(&g);
	assert_true(g.has_write);
	assert_false(g.r.provision_asked);
	assert_int_equal(rig_command(&g, COMMAND_ROLLBACK), ANSWER_DONE);
	while (!rollout_settled(&g.r))
		assert_true(rig_turn(&g));
	assert_int_equal(g.canary_provisioned, 30);
	rig_deinit(&g);
}

/* The stable version was given more meanwhile: the canary gets as much, as the first amount was ours. */
static void the_canary_follows_the_stable_versions_amount(void **state)
{
	struct rig g;

	(void)state;
	start_provisioning(&g);
	g.stable_provisioned = 20;
	rig_answer_prepare(&g);
	assert_true(g.has_provision);
	assert_int_equal(g.provision_count, 20);
	assert_int_equal(g.writes, 0);
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	rig_deinit(&g);
}

/* Dropped while the request is under way, and its answer is lost: it may still land, so a moment passes before what
 * takes it back is sent. */
static void what_may_still_land_is_released_a_moment_later(void **state)
{
	struct rig g;

	(void)state;
	start_provisioned(&g);
	assert_int_equal(rig_command(&g, COMMAND_ROLLBACK), ANSWER_DONE);
	rig_answer_provision(&g, CALL_UNKNOWN, false);
	assert_false(g.has_release);
	assert_false(rollout_settled(&g.r));
	assert_true(g.timer_boot_ms > g.now.boot_ms);
	(void)rig_turn(&g);
	assert_true(g.has_release);
	rig_deinit(&g);
}

/* Somebody moves the alias to the very version meanwhile: nothing is left to do, and nobody's allocation is touched. */
static void a_success_by_somebody_else_releases_nothing(void **state)
{
	struct rig g;

	(void)state;
	start_provisioning(&g);
	rig_human(&g, (struct alias_target){.version = 2});
	rig_answer_prepare(&g);
	rig_assert_phase(&g, PHASE_SUCCEEDED);
	assert_true(rollout_settled(&g.r));
	assert_false(g.has_release);
	rig_deinit(&g);
}

/* --- the release --- */

static void a_release_may_end_in_many_ways(void **state)
{
	static const struct {
		enum call_outcome outcome;
		bool settled;
		const char *said;
	} cases[] = {
	    {CALL_OK, true, "of version 1 is released"},
	    {CALL_NOT_FOUND, true, "of version 1 is released"},
	    {CALL_REFUSED, true, "of version 1 is kept: "},
	    {CALL_CONFLICT, false, NULL},
	    {CALL_UNAVAILABLE, false, NULL},
	    {CALL_UNKNOWN, false, NULL},
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		struct rig g;

		start_provisioned(&g);
		assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
		rig_answer_release(&g, cases[i].outcome, false);
		assert_int_equal(rollout_settled(&g.r), cases[i].settled);
		if (cases[i].said)
			assert_true(rig_said(&g, ANNOUNCE_RELEASED, cases[i].said));
		else
			assert_true(g.timer_boot_ms > g.now.boot_ms && g.timer_boot_ms != INT64_MAX);
		rig_deinit(&g);
	}
}

/* Money can wait longer than traffic: a release is not tried again at the pace of a rollback. */
static void a_release_after_a_rollback_is_in_no_hurry(void **state)
{
	struct rig g;

	(void)state;
	start_provisioned(&g);
	g.canary_errors = 300;
	assert_true(rig_run_until(&g, PHASE_ROLLED_BACK));
	for (int i = 0; i < 20; i++) {
		rig_answer_release(&g, CALL_UNAVAILABLE, false);
		if (g.r.retry_boot_ms - g.now.boot_ms > 5 * MS_PER_SECOND)
			break;
		while (!g.has_release)
			assert_true(rig_turn(&g));
	}
	assert_true(g.r.retry_boot_ms - g.now.boot_ms > 5 * MS_PER_SECOND); /* more than any wait on the way home */
	rig_deinit(&g);
}

/* An operator who goes back after the release is told that it is going to be slow, and why. */
static void a_rollback_after_the_release_is_said_to_be_cold(void **state)
{
	struct rig g;

	(void)state;
	start_provisioned(&g);
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	rig_answer_release(&g, CALL_OK, true);
	rig_expect(&g, COMMAND_ROLLBACK, ANSWER_DONE, "wait for cold starts");
	rig_deinit(&g);
	/* Under way: it may have taken effect. */
	start_provisioned(&g);
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	assert_true(g.has_release);
	rig_expect(&g, COMMAND_ROLLBACK, ANSWER_DONE, "wait for cold starts");
	rig_deinit(&g);
	/* Refused, so that nothing of it was given up. */
	start_provisioned(&g);
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	rig_answer_release(&g, CALL_REFUSED, false);
	(void)rig_command(&g, COMMAND_ROLLBACK);
	assert_null(strstr(rig_answer_text, "cold"));
	rig_deinit(&g);
	/* Waiting for its next try. */
	start_provisioned(&g);
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	rig_answer_release(&g, CALL_UNAVAILABLE, false);
	(void)rig_command(&g, COMMAND_ROLLBACK);
	assert_null(strstr(rig_answer_text, "cold"));
	rig_deinit(&g);
}

/* --- an alias with provisioned concurrency of its own --- */

static void start_moving(struct rig *g)
{
	rig_init(g);
	g->alias_provisioned = true;
	g->spec.n_steps = 0;
	rig_simple(g, EVENT_START);
	rig_answer_prepare(g);
	assert_true(g->has_write);
}

static void aws_holds(struct rig *g, struct alias_target target, bool odd)
{
	g->alias.target = target;
	g->alias.odd = odd;
	(void)snprintf(g->alias.revision, REVISION_SIZE, "aws-%llu", (unsigned long long)++g->revision);
}

/* AWS is still busy with somebody's last change of that alias: nothing begins before that is over. */
static void a_move_before_the_start_is_waited_out(void **state)
{
	static const struct {
		struct alias_target target;
		bool odd, provisioned, waits;
	} cases[] = {
	    {{1, 9, WEIGHT_BP_MAX}, false, true, true},
	    {{1, 9, WEIGHT_BP_MAX}, true, true, false},	  /* more than AWS would leave there */
	    {{1, 9, 5000}, false, true, false},		  /* AWS's own is always the whole */
	    {{1, 9, WEIGHT_BP_MAX}, false, false, false}, /* nothing is provisioned: a weight that somebody left */
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		struct rig g;

		rig_init(&g);
		g.alias_provisioned = cases[i].provisioned;
		g.spec.n_steps = 0;
		aws_holds(&g, cases[i].target, cases[i].odd);
		rig_simple(&g, EVENT_START);
		rig_answer_prepare(&g);
		rig_assert_phase(&g, cases[i].waits ? PHASE_PREPARING : PHASE_BLOCKED);
		assert_false(g.has_prepare); /* not in the same breath */
		aws_holds(&g, (struct alias_target){.version = 1}, false);
		if (cases[i].waits)
			assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
		rig_deinit(&g);
	}
}

/* AWS may begin to move before it answers: the answer then shows the passing weight already. */
static void an_answer_in_the_middle_of_the_move_is_ours(void **state)
{
	struct rig g;
	struct rollout_event e = {.kind = EVENT_WRITTEN};

	(void)state;
	start_moving(&g);
	aws_holds(&g, (struct alias_target){2, 1, WEIGHT_BP_MAX}, false);
	e.seq = g.write.seq;
	e.alias.alias = g.alias;
	g.has_write = false;
	rig_event(&g, &e);
	rig_assert_phase(&g, PHASE_PROMOTING);
	(void)rig_turn(&g);
	rig_answer_read(&g);
	assert_non_null(strstr(g.r.trouble, "moving the alias's provisioned concurrency to version 2"));
	aws_holds(&g, (struct alias_target){.version = 2}, false);
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	rig_deinit(&g);
}

/* The answer is lost, and the look that follows finds AWS in the middle of it. */
static void a_lost_write_is_recognised_in_the_middle_of_the_move(void **state)
{
	struct rig g;

	(void)state;
	start_moving(&g);
	rig_answer_write(&g, FATE_LOST_AFTER);
	aws_holds(&g, (struct alias_target){2, 1, WEIGHT_BP_MAX}, false);
	rig_answer_read(&g);
	rig_assert_phase(&g, PHASE_PROMOTING);
	assert_int_equal(rollout_weight_bp(&g.r), 0);
	aws_holds(&g, (struct alias_target){.version = 2}, false);
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	assert_int_equal(g.writes, 1);
	rig_deinit(&g);
}

/* What is seen while AWS moves, and must be somebody else's. */
static void what_is_foreign_during_a_move(void **state)
{
	static const struct {
		struct alias_target target;
		bool odd;
	} cases[] = {
	    {{2, 1, WEIGHT_BP_MAX}, true}, /* more entries than AWS makes */
	    {{9, 1, WEIGHT_BP_MAX}, false}, {{1, 9, WEIGHT_BP_MAX}, false}, {{2, 9, WEIGHT_BP_MAX}, false},
	    {{2, 1, 5000}, false},	    {{.version = 9}, false},	    {{.version = 2}, true},
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		struct rig g;

		start_moving(&g);
		rig_answer_write(&g, FATE_OK);
		aws_holds(&g, (struct alias_target){2, 1, WEIGHT_BP_MAX}, false);
		(void)rig_turn(&g);
		rig_answer_read(&g);
		rig_assert_phase(&g, PHASE_PROMOTING);
		aws_holds(&g, cases[i].target, cases[i].odd);
		(void)rig_turn(&g);
		rig_answer_read(&g);
		rig_assert_phase(&g, PHASE_BLOCKED);
		assert_int_equal(g.writes, 1);
		rig_deinit(&g);
	}
}

/* Nothing of ours has landed yet: what looks like a move to another version is somebody's. */
static void a_move_that_nobody_asked_for_is_foreign(void **state)
{
	struct rig g;

	(void)state;
	start_moving(&g);
	rig_answer_write(&g, FATE_LOST_BEFORE);
	aws_holds(&g, (struct alias_target){1, 9, WEIGHT_BP_MAX}, false);
	rig_answer_read(&g);
	rig_assert_phase(&g, PHASE_BLOCKED);
	rig_deinit(&g);
}

/* An operator who lets it wait on gives it as long as the first time. */
static void a_move_that_is_resumed_has_its_time_again(void **state)
{
	struct rig g;
	int64_t before;

	(void)state;
	start_moving(&g);
	rig_answer_write(&g, FATE_OK);
	assert_int_equal(g.timer_boot_ms - g.now.boot_ms, 2 * MS_PER_SECOND); /* AWS begins a moment later */
	aws_holds(&g, (struct alias_target){2, 1, WEIGHT_BP_MAX}, false);
	assert_true(rig_run_until(&g, PHASE_BLOCKED));
	before = g.now.boot_ms;
	assert_int_equal(rig_command(&g, COMMAND_RESUME), ANSWER_DONE);
	assert_true(rig_run_until(&g, PHASE_BLOCKED));
	assert_in_range(g.now.boot_ms - before, 29 * MS_PER_MINUTE, 31 * MS_PER_MINUTE);
	rig_deinit(&g);
}

/* Somebody turns the move around: back to the stable version, which nobody here has asked for. */
static void a_move_that_somebody_turned_around_is_foreign(void **state)
{
	struct rig g;

	(void)state;
	start_moving(&g);
	rig_answer_write(&g, FATE_OK);
	aws_holds(&g, (struct alias_target){2, 1, WEIGHT_BP_MAX}, false);
	(void)rig_turn(&g);
	rig_answer_read(&g);
	rig_human(&g, (struct alias_target){1, 2, WEIGHT_BP_MAX});
	(void)rig_turn(&g);
	rig_answer_read(&g);
	rig_assert_phase(&g, PHASE_BLOCKED);
	rig_deinit(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_request_may_end_in_many_ways),
	    cmocka_unit_test(what_was_taken_away_is_asked_for_again),
	    cmocka_unit_test(what_somebody_else_changed_is_theirs),
	    cmocka_unit_test(the_canary_follows_the_stable_versions_amount),
	    cmocka_unit_test(what_may_still_land_is_released_a_moment_later),
	    cmocka_unit_test(a_success_by_somebody_else_releases_nothing),
	    cmocka_unit_test(a_release_may_end_in_many_ways),
	    cmocka_unit_test(a_release_after_a_rollback_is_in_no_hurry),
	    cmocka_unit_test(a_rollback_after_the_release_is_said_to_be_cold),
	    cmocka_unit_test(a_move_before_the_start_is_waited_out),
	    cmocka_unit_test(an_answer_in_the_middle_of_the_move_is_ours),
	    cmocka_unit_test(a_lost_write_is_recognised_in_the_middle_of_the_move),
	    cmocka_unit_test(what_is_foreign_during_a_move),
	    cmocka_unit_test(a_move_that_nobody_asked_for_is_foreign),
	    cmocka_unit_test(a_move_that_is_resumed_has_its_time_again),
	    cmocka_unit_test(a_move_that_somebody_turned_around_is_foreign),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
