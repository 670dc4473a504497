/* What comes before and after the traffic: gates, publishing, soaking on another alias, provisioned concurrency. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core_rig.h"

static void start_with(struct rig *g, bool pre, bool post)
{
	rig_init(g);
	g->spec.pre_gate = pre;
	g->spec.post_gate = post;
	g->spec.final_bake_ms = 5 * MS_PER_MINUTE;
	rig_simple(g, EVENT_START);
}

/* Everything happens but the gate's answer, until it is asked. */
static void run_to_gate(struct rig *g)
{
	g->gate_takes_long = true;
	for (int i = 0; i < 500 && !g->has_gate; i++)
		assert_true(rig_turn(g));
	assert_true(g->has_gate);
}

/* --- the first gate --- */

static void nothing_moves_before_the_first_gate(void **state)
{
	struct rig g;

	(void)state;
	start_with(&g, true, false);
	run_to_gate(&g);
	assert_int_equal(g.gate, GATE_PRE);
	rig_assert_phase(&g, PHASE_PREPARING);
	assert_non_null(strstr(g.r.reason, "pre-traffic hook"));
	assert_int_equal(g.writes, 0);
	rig_simple(&g, EVENT_TIMER);
	assert_int_equal(g.gates_asked, 1);
	assert_int_equal(g.writes, 0);
	rig_answer_gate(&g, CALL_OK);
	rig_assert_phase(&g, PHASE_PROGRESSING);
	assert_true(g.has_write);
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	assert_int_equal(g.gates_asked, 1);
	rig_deinit(&g);
}

static void a_refusal_ends_it_before_any_traffic(void **state)
{
	struct rig g;

	(void)state;
	start_with(&g, true, false);
	run_to_gate(&g);
	rig_answer_gate(&g, CALL_REFUSED);
	rig_assert_phase(&g, PHASE_FAILED);
	assert_string_equal(g.r.reason, "the hook said no");
	assert_int_equal(g.writes, 0);
	assert_false(g.quarantined_effect);
	rig_deinit(&g);
}

/* A hook that is not there, or in conflict, will not be there the next time either: as good as a no. */
static void a_gate_that_cannot_be_asked_is_a_refusal(void **state)
{
	static const enum call_outcome outcomes[] = {CALL_NOT_FOUND, CALL_CONFLICT};

	(void)state;
	for (size_t i = 0; i < array_len(outcomes); i++) {
		struct rig g;

		start_with(&g, true, false);
		run_to_gate(&g);
		rig_answer_gate(&g, outcomes[i]);
		rig_assert_phase(&g, PHASE_FAILED);
		assert_int_equal(g.writes, 0);
		rig_deinit(&g);
	}
}

static void a_gate_without_an_answer_is_asked_again(void **state)
{
	struct rig g;

	(void)state;
	start_with(&g, true, false);
	run_to_gate(&g);
	rig_answer_gate(&g, CALL_UNAVAILABLE);
	assert_string_equal(g.r.trouble, "the hook said no");
	assert_int_equal(g.r.attempts, 1);
	run_to_gate(&g);
	rig_answer_gate(&g, CALL_UNKNOWN);
	assert_int_equal(g.r.attempts, 2);
	run_to_gate(&g);
	/* … and so it is after a crash. */
	rig_crash(&g, true);
	run_to_gate(&g);
	assert_int_equal(g.gates_asked, 4);
	rig_answer_gate(&g, CALL_UNKNOWN);
	run_to_gate(&g);
	rig_answer_gate(&g, CALL_OK);
	assert_true(rig_said(&g, ANNOUNCE_RECOVERED, "the hook said no"));
	assert_string_equal(g.r.trouble, "");
	g.gate_takes_long = false;
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	assert_string_equal(g.r.trouble, "");
	rig_deinit(&g);
}

static void a_rollback_does_not_wait_for_the_first_gate(void **state)
{
	struct rig g;
	uint64_t stale;

	(void)state;
	start_with(&g, true, false);
	run_to_gate(&g);
	assert_int_equal(rig_command(&g, COMMAND_ROLLBACK), ANSWER_DONE);
	rig_assert_phase(&g, PHASE_FAILED);
	assert_int_equal(g.cancelled_seq, g.gate_seq);
	stale = g.r.stale;
	rig_answer_gate(&g, CALL_OK);
	assert_int_equal(g.r.stale, stale + 1);
	rig_assert_phase(&g, PHASE_FAILED);
	assert_int_equal(g.writes, 0);
	rig_deinit(&g);
}

static void newer_content_does_not_wait_for_a_gate(void **state)
{
	struct rig g;

	(void)state;
	start_with(&g, true, false);
	run_to_gate(&g);
	rig_simple(&g, EVENT_SUPERSEDED);
	rig_assert_phase(&g, PHASE_FAILED);
	assert_int_equal(g.cancelled_seq, g.gate_seq);
	rig_deinit(&g);
}

static void a_pause_does_not_stop_a_gate(void **state)
{
	struct rig g;

	(void)state;
	start_with(&g, true, false);
	assert_int_equal(rig_command(&g, COMMAND_PAUSE), ANSWER_DONE);
	run_to_gate(&g);
	rig_answer_gate(&g, CALL_OK);
	rig_assert_phase(&g, PHASE_PAUSED);
	assert_int_equal(g.writes, 0);
	assert_int_equal(rig_command(&g, COMMAND_RESUME), ANSWER_DONE);
	assert_true(g.has_write);
	rig_deinit(&g);
}

static void promote_full_waits_for_the_first_gate(void **state)
{
	struct rig g;

	(void)state;
	start_with(&g, true, false);
	run_to_gate(&g);
	assert_int_equal(rig_command(&g, COMMAND_PROMOTE_FULL), ANSWER_DONE);
	assert_int_equal(g.writes, 0);
	rig_answer_gate(&g, CALL_OK);
	assert_true(g.has_write);
	assert_int_equal(g.write.target.version, 2);
	assert_int_equal(g.write.target.weight_bp, 0);
	rig_deinit(&g);
}

/* --- the last gate --- */

static void no_success_before_the_last_gate(void **state)
{
	struct rig g;
	int64_t landed;

	(void)state;
	start_with(&g, false, true);
	run_to_gate(&g);
	assert_int_equal(g.gate, GATE_POST);
	rig_assert_phase(&g, PHASE_BAKING);
	assert_int_equal(g.alias.target.version, 2);
	landed = g.now.boot_ms;
	/* The bake goes on meanwhile, but its end is not enough. */
	for (int i = 0; i < 60; i++)
		assert_true(rig_turn(&g));
	assert_true(g.now.boot_ms - landed > 20 * MS_PER_MINUTE);
	rig_assert_phase(&g, PHASE_BAKING);
	assert_int_equal(g.gates_asked, 1);
	g.gate_takes_long = false;
	rig_answer_gate(&g, CALL_OK);
	landed = g.now.boot_ms;
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	assert_true(g.now.boot_ms - landed < MS_PER_MINUTE);
	rig_deinit(&g);
}

static void without_a_final_bake_the_gate_is_the_end(void **state)
{
	struct rig g;
	int64_t opened;

	(void)state;
	rig_init(&g);
	g.spec.post_gate = true;
	rig_simple(&g, EVENT_START);
	run_to_gate(&g);
	rig_assert_phase(&g, PHASE_BAKING);
	opened = g.now.boot_ms;
	g.gate_takes_long = false;
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	assert_int_equal(g.now.boot_ms, opened);
	rig_deinit(&g);
}

static void promotes_do_not_skip_the_last_gate(void **state)
{
	struct rig g;

	(void)state;
	start_with(&g, false, true);
	assert_true(rig_run_until(&g, PHASE_PROGRESSING));
	assert_int_equal(rig_command(&g, COMMAND_PROMOTE_FULL), ANSWER_DONE);
	run_to_gate(&g);
	assert_int_equal(rig_command(&g, COMMAND_PROMOTE), ANSWER_DONE);
	assert_int_equal(rig_command(&g, COMMAND_PROMOTE_FULL), ANSWER_DONE);
	rig_assert_phase(&g, PHASE_BAKING);
	for (int i = 0; i < 20; i++)
		(void)rig_turn(&g);
	rig_assert_phase(&g, PHASE_BAKING);
	rig_answer_gate(&g, CALL_OK);
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	rig_deinit(&g);
}

static void a_refusal_at_the_end_goes_home(void **state)
{
	struct rig g;

	(void)state;
	start_with(&g, false, true);
	run_to_gate(&g);
	rig_answer_gate(&g, CALL_REFUSED);
	rig_assert_phase(&g, PHASE_ROLLING_BACK);
	assert_true(rig_run_until(&g, PHASE_ROLLED_BACK));
	assert_string_equal(g.r.reason, "the hook said no");
	assert_int_equal(g.alias.target.version, 1);
	assert_true(g.quarantined_effect);
	rig_deinit(&g);
}

static void a_refusal_at_the_end_may_pause(void **state)
{
	struct rig g;

	(void)state;
	start_with(&g, false, true);
	g.spec.on_failure = SPEC_PAUSE;
	run_to_gate(&g);
	rig_answer_gate(&g, CALL_UNKNOWN);
	assert_string_equal(g.r.trouble, "the hook said no");
	run_to_gate(&g);
	g.gates_asked = 1;
	rig_answer_gate(&g, CALL_REFUSED);
	assert_string_equal(g.r.trouble, ""); /* it has answered */
	rig_assert_phase(&g, PHASE_PAUSED);
	for (int i = 0; i < 20; i++)
		(void)rig_turn(&g);
	assert_int_equal(g.gates_asked, 1);
	assert_int_equal(rig_command(&g, COMMAND_RESUME), ANSWER_DONE);
	run_to_gate(&g);
	assert_int_equal(g.gates_asked, 2);
	rig_answer_gate(&g, CALL_OK);
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	rig_deinit(&g);
}

/* The canary is watched while the hook runs: a failure does not wait for the answer. */
static void failure_goes_home_past_the_last_gate(void **state)
{
	struct rig g;

	(void)state;
	start_with(&g, false, true);
	run_to_gate(&g);
	g.canary_errors = 300;
	for (int i = 0; i < 30 && g.r.phase == PHASE_BAKING; i++)
		(void)rig_turn(&g);
	rig_assert_phase(&g, PHASE_ROLLING_BACK);
	assert_true(g.has_write);
	assert_true(g.write.home);
	assert_int_equal(g.cancelled_seq, g.gate_seq);
	rig_answer_gate(&g, CALL_OK);
	assert_true(rig_run_until(&g, PHASE_ROLLED_BACK));
	rig_deinit(&g);
}

static void a_hold_does_not_wait_for_the_last_gate(void **state)
{
	struct rig g;

	(void)state;
	start_with(&g, false, true);
	run_to_gate(&g);
	g.metrics_unreadable = true;
	for (int i = 0; i < 200 && g.r.phase == PHASE_BAKING; i++)
		(void)rig_turn(&g);
	rig_assert_phase(&g, PHASE_PAUSED);
	assert_int_equal(g.r.pause, PAUSE_HOLD_LIMIT);
	assert_int_equal(g.gates_asked, 1);
	rig_deinit(&g);
}

/* --- publishing and soaking --- */

static void publishing_is_waited_for_an_hour(void **state)
{
	struct rig g;
	int64_t began;

	(void)state;
	rig_init(&g);
	g.publishing = true;
	began = g.now.boot_ms;
	rig_simple(&g, EVENT_START);
	for (int i = 0; i < 1200; i++)
		assert_true(rig_turn(&g));
	rig_assert_phase(&g, PHASE_PREPARING);
	assert_string_equal(g.r.reason, "publishes a version of hello");
	assert_string_equal(g.r.trouble, "");
	assert_true(g.now.boot_ms - began > 40 * MS_PER_MINUTE);
	assert_true(g.has_prepare || g.timer_boot_ms <= g.now.boot_ms + 5 * MS_PER_SECOND);
	g.publishing = false;
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	rig_deinit(&g);
}

static void publishing_is_not_waited_for_without_end(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g);
	g.publishing = true;
	rig_simple(&g, EVENT_START);
	assert_true(rig_run_until(&g, PHASE_FAILED));
	assert_non_null(strstr(g.r.reason, "nothing came of publishing within an hour: it publishes a version"));
	assert_int_equal(g.r.first_traffic_unix_ms, 0);
	rig_deinit(&g);
}

static void start_soaking(struct rig *g, int64_t soak_ms)
{
	rig_init(g);
	g->spec.soak_ms = soak_ms;
	g->source_version = 2;
	rig_simple(g, EVENT_START);
	(void)rig_turn(g);
}

/* Runs until it goes forward; returns how long that took. */
static int64_t soak(struct rig *g)
{
	int64_t from = g->now.boot_ms;

	for (int i = 0; i < 2000 && g->r.phase == PHASE_PREPARING; i++)
		assert_true(rig_turn(g));
	return g->now.boot_ms - from;
}

static void a_version_soaks_before_it_is_taken(void **state)
{
	struct rig g;
	int64_t took;

	(void)state;
	start_soaking(&g, 2 * MS_PER_HOUR);
	rig_assert_phase(&g, PHASE_PREPARING);
	assert_non_null(strstr(g.r.reason, "waits until version 2 has been on test for 2h (until "));
	assert_int_equal(g.r.canary, 0);
	assert_true(g.timer_boot_ms <= g.now.boot_ms + MS_PER_MINUTE);
	took = soak(&g);
	assert_true(took >= 2 * MS_PER_HOUR && took < 2 * MS_PER_HOUR + MS_PER_MINUTE);
	/* Once it is chosen it stays. */
	g.source_version = 3;
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	assert_int_equal(g.alias.target.version, 2);
	rig_deinit(&g);
}

static void a_crash_does_not_begin_the_soak_anew(void **state)
{
	struct rig g;
	int64_t from;

	(void)state;
	for (int same_boot = 0; same_boot < 2; same_boot++) {
		start_soaking(&g, MS_PER_HOUR);
		from = g.now.unix_ms;
		while (g.now.unix_ms < from + 50 * MS_PER_MINUTE)
			assert_true(rig_turn(&g));
		rig_crash(&g, same_boot == 1);
		assert_true(soak(&g) <= 11 * MS_PER_MINUTE);
		assert_true(g.now.unix_ms >= from + MS_PER_HOUR);
		rig_deinit(&g);
	}
}

static void our_own_record_moves_the_soak_back(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g);
	g.spec.soak_ms = 2 * MS_PER_HOUR;
	g.source_version = 2;
	g.source_since_unix_ms = g.now.unix_ms - 90 * MS_PER_MINUTE;
	rig_simple(&g, EVENT_START);
	int64_t took = soak(&g);

	assert_true(took >= 30 * MS_PER_MINUTE && took < 31 * MS_PER_MINUTE);
	rig_deinit(&g);
}

static void a_change_of_the_source_begins_anew(void **state)
{
	struct rig g;
	int64_t from;

	(void)state;
	start_soaking(&g, MS_PER_HOUR);
	from = g.now.boot_ms;
	while (g.now.boot_ms < from + 50 * MS_PER_MINUTE)
		assert_true(rig_turn(&g));
	/* It splits its traffic for a while, and then has the same version again. */
	g.source_splits = true;
	for (int i = 0; i < 30; i++)
		assert_true(rig_turn(&g));
	assert_non_null(strstr(g.r.reason, "test holds one version alone"));
	assert_int_equal(g.r.soak_version, 0);
	g.source_splits = false;
	assert_true(soak(&g) >= MS_PER_HOUR);
	rig_deinit(&g);
}

/* Whatever the wall clock does, the hour is an hour. */
static void clock_jumps_do_not_change_the_soak(void **state)
{
	static const int64_t jumps[] = {-5 * MS_PER_HOUR, 5 * MS_PER_HOUR, -MS_PER_MINUTE};
	struct rig g;
	int64_t from;

	(void)state;
	start_soaking(&g, MS_PER_HOUR);
	from = g.now.boot_ms;
	for (int i = 0; i < 30; i++) {
		g.now.unix_ms += jumps[i % 3];
		for (int n = 0; n < 2; n++)
			(void)rig_turn(&g);
		rig_assert_phase(&g, PHASE_PREPARING);
	}
	(void)soak(&g);
	assert_in_range(g.now.boot_ms - from, MS_PER_HOUR, MS_PER_HOUR + MS_PER_MINUTE);
	rig_deinit(&g);
}

/* Across a restart of the host only the wall clock is left: one that went back costs time, and never gives any. */
static void a_clock_set_back_over_a_restart_only_lengthens(void **state)
{
	struct rig g;
	int64_t from;

	(void)state;
	start_soaking(&g, MS_PER_HOUR);
	from = g.now.boot_ms;
	while (g.now.boot_ms < from + 50 * MS_PER_MINUTE)
		assert_true(rig_turn(&g));
	g.now.unix_ms -= 5 * MS_PER_HOUR;
	rig_crash(&g, false);
	assert_in_range(soak(&g), MS_PER_HOUR, MS_PER_HOUR + MS_PER_MINUTE);
	rig_deinit(&g);
}

/* --- provisioned concurrency --- */

static void start_provisioned(struct rig *g)
{
	rig_init(g);
	g->stable_provisioned = 10;
	rig_simple(g, EVENT_START);
	rig_answer_prepare(g);
}

static void the_canary_gets_what_the_stable_version_has(void **state)
{
	struct rig g;

	(void)state;
	start_provisioned(&g);
	assert_true(g.has_provision);
	assert_int_equal(g.provision_count, 10);
	assert_int_equal(g.writes, 0);
	rig_answer_provision(&g, CALL_OK, true);
	(void)rig_turn(&g); /* to its time */
	g.provision_state = PROVISION_IN_PROGRESS;
	rig_answer_prepare(&g);
	rig_assert_phase(&g, PHASE_PREPARING);
	assert_int_equal(g.writes, 0);
	assert_non_null(strstr(g.r.trouble, "provisioned concurrency is not active yet"));
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	/* It has ended, the alias is free, and the stable version's is given back. */
	assert_true(rollout_ended(&g.r));
	assert_false(rollout_owns_alias(&g.r));
	assert_false(rollout_settled(&g.r));
	assert_true(g.has_release);
	assert_int_equal(g.release_version, 1);
	rig_answer_release(&g, CALL_OK, true);
	assert_true(rollout_settled(&g.r));
	assert_int_equal(g.stable_provisioned, 0);
	assert_int_equal(g.canary_provisioned, 10);
	assert_int_equal(g.timer_boot_ms, INT64_MAX);
	rig_deinit(&g);
}

static void a_rollback_gives_the_canarys_back(void **state)
{
	struct rig g;

	(void)state;
	start_provisioned(&g);
	g.canary_errors = 300;
	assert_true(rig_run_until(&g, PHASE_ROLLED_BACK));
	assert_true(g.has_release);
	assert_int_equal(g.release_version, 2);
	assert_true(rig_turn(&g));
	assert_true(rollout_settled(&g.r));
	assert_int_equal(g.canary_provisioned, 0);
	assert_int_equal(g.stable_provisioned, 10);
	rig_deinit(&g);
}

static void what_it_has_already_is_used_and_kept(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g);
	g.stable_provisioned = 10;
	g.canary_provisioned = 12;
	g.provision_state = PROVISION_READY;
	g.canary_errors = 300;
	rig_simple(&g, EVENT_START);
	assert_true(rig_run_until(&g, PHASE_ROLLED_BACK));
	assert_true(rollout_settled(&g.r));
	assert_int_equal(g.canary_provisioned, 12);
	rig_deinit(&g);
}

static void too_little_of_somebody_elses_is_refused(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g);
	g.stable_provisioned = 10;
	g.canary_provisioned = 3;
	g.provision_state = PROVISION_READY;
	rig_simple(&g, EVENT_START);
	rig_answer_prepare(&g);
	rig_assert_phase(&g, PHASE_FAILED);
	assert_non_null(strstr(g.r.reason, "of 3, the stable version 10"));
	assert_true(rollout_settled(&g.r));
	rig_deinit(&g);
}

static void what_aws_could_not_give_ends_it(void **state)
{
	struct rig g;

	(void)state;
	start_provisioned(&g);
	rig_answer_provision(&g, CALL_OK, true);
	(void)rig_turn(&g);
	g.provision_state = PROVISION_FAILED;
	rig_answer_prepare(&g);
	rig_assert_phase(&g, PHASE_FAILED);
	assert_non_null(strstr(g.r.reason, "could not give"));
	assert_true(g.has_release);
	assert_int_equal(g.release_version, 2);
	rig_deinit(&g);
}

static void a_refused_request_leaves_nothing_to_release(void **state)
{
	struct rig g;

	(void)state;
	start_provisioned(&g);
	rig_answer_provision(&g, CALL_REFUSED, false);
	rig_assert_phase(&g, PHASE_FAILED);
	assert_true(rollout_settled(&g.r));
	rig_deinit(&g);
	/* … unless an earlier one may have taken effect. */
	start_provisioned(&g);
	rig_answer_provision(&g, CALL_UNKNOWN, false);
	while (!g.has_provision)
		assert_true(rig_turn(&g));
	rig_answer_provision(&g, CALL_REFUSED, false);
	rig_assert_phase(&g, PHASE_FAILED);
	assert_true(g.has_release);
	rig_answer_release(&g, CALL_NOT_FOUND, false);
	assert_true(rollout_settled(&g.r));
	rig_deinit(&g);
}

/* A request that is under way lands before what takes it back is sent. */
static void a_rollback_waits_for_the_request_before_it_releases(void **state)
{
	struct rig g;

	(void)state;
	start_provisioned(&g);
	assert_int_equal(rig_command(&g, COMMAND_ROLLBACK), ANSWER_DONE);
	rig_assert_phase(&g, PHASE_FAILED);
	assert_int_equal(g.cancelled_seq, g.provision_seq);
	assert_false(g.has_release);
	assert_false(rollout_settled(&g.r));
	rig_answer_provision(&g, CALL_OK, true);
	assert_true(g.has_release);
	rig_answer_release(&g, CALL_OK, true);
	assert_true(rollout_settled(&g.r));
	assert_int_equal(g.canary_provisioned, 0);
	rig_deinit(&g);
	/* Called back in time: there is nothing to release. */
	start_provisioned(&g);
	(void)rig_command(&g, COMMAND_ROLLBACK);
	rig_answer_provision(&g, CALL_UNAVAILABLE, false);
	assert_true(rollout_settled(&g.r));
	assert_false(g.has_release);
	rig_deinit(&g);
}

static void a_release_is_tried_until_it_holds(void **state)
{
	struct rig g;

	(void)state;
	start_provisioned(&g);
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	for (int i = 0; i < 5; i++) {
		rig_answer_release(&g, CALL_UNAVAILABLE, false);
		rig_assert_phase(&g, PHASE_SUCCEEDED);
		assert_string_not_equal(g.r.trouble, "");
		while (!g.has_release)
			assert_true(rig_turn(&g));
	}
	rig_crash(&g, false);
	assert_true(g.has_release);
	rig_answer_release(&g, CALL_REFUSED, false);
	assert_true(rollout_settled(&g.r));
	assert_string_equal(g.r.trouble, "");
	rig_deinit(&g);
}

static void a_rollback_of_a_success_drops_its_release(void **state)
{
	struct rig g;

	(void)state;
	start_provisioned(&g);
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	rig_answer_release(&g, CALL_UNAVAILABLE, false);
	assert_int_equal(rig_command(&g, COMMAND_ROLLBACK), ANSWER_DONE);
	assert_true(rig_run_until(&g, PHASE_ROLLED_BACK));
	assert_int_equal(g.alias.target.version, 1);
	assert_int_equal(g.stable_provisioned, 10);
	assert_int_equal(g.release_version, 2);
	rig_deinit(&g);
}

/* The way home does not wait for an answer about money. */
static void a_rollback_does_not_wait_for_a_release(void **state)
{
	struct rig g;

	(void)state;
	start_provisioned(&g);
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	assert_true(g.has_release);
	assert_int_equal(rig_command(&g, COMMAND_ROLLBACK), ANSWER_DONE);
	assert_int_equal(g.cancelled_seq, g.release_seq);
	assert_true(g.has_read);
	rig_answer_read(&g);
	assert_true(g.has_write);
	rig_deinit(&g);
}

/* A version that was chosen does not soak again, whatever the clock says later. */
static void what_has_soaked_has_soaked(void **state)
{
	struct rig g;
	int64_t from;

	(void)state;
	start_soaking(&g, MS_PER_HOUR);
	g.stable_provisioned = 10;
	while (!g.has_provision)
		assert_true(rig_turn(&g));
	rig_answer_provision(&g, CALL_OK, true);
	g.source_version = 3;
	g.now.unix_ms -= 5 * MS_PER_HOUR;
	rig_crash(&g, false);
	from = g.now.boot_ms;
	while (g.r.phase == PHASE_PREPARING)
		assert_true(rig_turn(&g));
	assert_true(g.now.boot_ms - from < MS_PER_MINUTE);
	assert_int_equal(g.r.canary, 2);
	rig_deinit(&g);
}

static void steps_on_a_provisioned_alias_are_refused(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g);
	g.alias_provisioned = true;
	rig_simple(&g, EVENT_START);
	rig_answer_prepare(&g);
	rig_assert_phase(&g, PHASE_FAILED);
	assert_non_null(strstr(g.r.reason, "put it on the version instead"));
	rig_deinit(&g);
}

static void start_moving(struct rig *g)
{
	rig_init(g);
	g->alias_provisioned = true;
	g->spec.n_steps = 0;
	rig_simple(g, EVENT_START);
	rig_answer_prepare(g);
	rig_answer_write(g, FATE_OK);
	/* AWS keeps all traffic on the old version while it moves the allocation, under a new RevisionId. */
	g->alias.target = (struct alias_target){2, 1, WEIGHT_BP_MAX};
	(void)snprintf(g->alias.revision, REVISION_SIZE, "aws-1");
}

static void awss_own_weights_are_waited_out(void **state)
{
	struct rig g;

	(void)state;
	start_moving(&g);
	for (int i = 0; i < 20; i++)
		assert_true(rig_turn(&g));
	rig_assert_phase(&g, PHASE_PROMOTING);
	assert_int_equal(rollout_weight_bp(&g.r), 0);
	assert_non_null(strstr(g.r.trouble, "moving the alias's provisioned concurrency to version 2"));
	assert_int_equal(g.writes, 1);
	g.alias.target = (struct alias_target){.version = 2};
	(void)snprintf(g.alias.revision, REVISION_SIZE, "aws-2");
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	assert_string_equal(g.r.trouble, "");
	assert_int_equal(g.writes, 1);
	rig_deinit(&g);
}

static void a_move_that_does_not_end_blocks(void **state)
{
	struct rig g;

	(void)state;
	start_moving(&g);
	assert_true(rig_run_until(&g, PHASE_BLOCKED));
	assert_non_null(strstr(g.r.reason, "has not moved"));
	assert_int_equal(rig_command(&g, COMMAND_RESUME), ANSWER_DONE);
	g.alias.target = (struct alias_target){.version = 2};
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	rig_deinit(&g);
}

static void a_rollback_out_of_a_move(void **state)
{
	struct rig g;

	(void)state;
	start_moving(&g);
	for (int i = 0; i < 6; i++)
		assert_true(rig_turn(&g));
	assert_int_equal(rig_command(&g, COMMAND_ROLLBACK), ANSWER_DONE);
	while (!g.has_write)
		assert_true(rig_turn(&g));
	assert_true(g.write.home);
	rig_answer_write(&g, FATE_OK);
	g.alias.target = (struct alias_target){1, 2, WEIGHT_BP_MAX};
	for (int i = 0; i < 6; i++)
		assert_true(rig_turn(&g));
	rig_assert_phase(&g, PHASE_ROLLING_BACK);
	g.alias.target = (struct alias_target){.version = 1};
	while (!rollout_ended(&g.r))
		assert_true(rig_turn(&g));
	rig_assert_phase(&g, PHASE_ROLLED_BACK);
	rig_deinit(&g);
}

/* The same weights are somebody else's where AWS has no reason for them. */
static void weights_of_others_are_foreign_all_the_same(void **state)
{
	struct rig g;

	(void)state;
	start_moving(&g);
	g.alias.target = (struct alias_target){2, 3, WEIGHT_BP_MAX};
	assert_true(rig_run_until(&g, PHASE_BLOCKED));
	assert_non_null(strstr(g.r.reason, "somebody else"));
	rig_deinit(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nothing_moves_before_the_first_gate),
	    cmocka_unit_test(a_refusal_ends_it_before_any_traffic),
	    cmocka_unit_test(a_gate_that_cannot_be_asked_is_a_refusal),
	    cmocka_unit_test(a_gate_without_an_answer_is_asked_again),
	    cmocka_unit_test(a_rollback_does_not_wait_for_the_first_gate),
	    cmocka_unit_test(newer_content_does_not_wait_for_a_gate),
	    cmocka_unit_test(a_pause_does_not_stop_a_gate),
	    cmocka_unit_test(promote_full_waits_for_the_first_gate),
	    cmocka_unit_test(no_success_before_the_last_gate),
	    cmocka_unit_test(without_a_final_bake_the_gate_is_the_end),
	    cmocka_unit_test(promotes_do_not_skip_the_last_gate),
	    cmocka_unit_test(a_refusal_at_the_end_goes_home),
	    cmocka_unit_test(a_refusal_at_the_end_may_pause),
	    cmocka_unit_test(failure_goes_home_past_the_last_gate),
	    cmocka_unit_test(a_hold_does_not_wait_for_the_last_gate),
	    cmocka_unit_test(publishing_is_waited_for_an_hour),
	    cmocka_unit_test(publishing_is_not_waited_for_without_end),
	    cmocka_unit_test(a_version_soaks_before_it_is_taken),
	    cmocka_unit_test(a_crash_does_not_begin_the_soak_anew),
	    cmocka_unit_test(our_own_record_moves_the_soak_back),
	    cmocka_unit_test(a_change_of_the_source_begins_anew),
	    cmocka_unit_test(clock_jumps_do_not_change_the_soak),
	    cmocka_unit_test(a_clock_set_back_over_a_restart_only_lengthens),
	    cmocka_unit_test(the_canary_gets_what_the_stable_version_has),
	    cmocka_unit_test(a_rollback_gives_the_canarys_back),
	    cmocka_unit_test(what_it_has_already_is_used_and_kept),
	    cmocka_unit_test(too_little_of_somebody_elses_is_refused),
	    cmocka_unit_test(what_aws_could_not_give_ends_it),
	    cmocka_unit_test(a_refused_request_leaves_nothing_to_release),
	    cmocka_unit_test(a_rollback_waits_for_the_request_before_it_releases),
	    cmocka_unit_test(a_release_is_tried_until_it_holds),
	    cmocka_unit_test(a_rollback_of_a_success_drops_its_release),
	    cmocka_unit_test(a_rollback_does_not_wait_for_a_release),
	    cmocka_unit_test(what_has_soaked_has_soaked),
	    cmocka_unit_test(steps_on_a_provisioned_alias_are_refused),
	    cmocka_unit_test(awss_own_weights_are_waited_out),
	    cmocka_unit_test(a_move_that_does_not_end_blocks),
	    cmocka_unit_test(a_rollback_out_of_a_move),
	    cmocka_unit_test(weights_of_others_are_foreign_all_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
