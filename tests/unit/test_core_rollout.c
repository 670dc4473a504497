/* The state machine by scripts: every way through it, and every fault that it must survive. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core_rig.h"

static void start(struct rig *g)
{
	rig_init(g);
	rig_simple(g, EVENT_START);
}

static void assert_weights(const struct rig *g, const uint32_t *want, size_t n)
{
	assert_int_equal(g->n_weights, n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(g->weights[i], want[i]);
}

static void goes_through_all_steps(void **state)
{
	struct rig g;
	const uint32_t want[] = {1000, 5000, 10000};

	(void)state;
	start(&g);
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	assert_weights(&g, want, 3);
	assert_int_equal(g.alias.target.version, 2);
	assert_int_equal(g.alias.target.weight_bp, 0);
	assert_int_equal(g.ended_effects, 1);
	assert_false(g.quarantined_effect);
	assert_true(rollout_settled(&g.r)); /* nothing is left to be done */
	rig_deinit(&g);
}

/* A step of 5 minutes ends when its last period has ended and settled: not before 5 minutes, not before that. */
static void evidence_covers_each_bake(void **state)
{
	struct rig g;
	int64_t landed;

	(void)state;
	start(&g);
	while (g.n_weights < 1)
		(void)rig_turn(&g);
	landed = g.now.unix_ms;
	while (g.n_weights < 2)
		(void)rig_turn(&g);
	assert_true(g.now.unix_ms >= verdict_settled_at(landed + 5 * MS_PER_MINUTE, &g.spec.analysis));
	assert_true(g.now.unix_ms <= verdict_settled_at(landed + 5 * MS_PER_MINUTE, &g.spec.analysis) + 1000);
	rig_deinit(&g);
}

static void clock_pace_waits_for_evidence_only_at_the_end(void **state)
{
	struct rig g;
	int64_t landed;

	(void)state;
	rig_init(&g);
	g.spec.analysis.pace = SPEC_PACE_CLOCK;
	rig_simple(&g, EVENT_START);
	while (g.n_weights < 1)
		(void)rig_turn(&g);
	landed = g.now.boot_ms;
	while (g.n_weights < 2)
		(void)rig_turn(&g);
	assert_int_equal(g.now.boot_ms - landed, 5 * MS_PER_MINUTE);
	landed = g.now.unix_ms;
	while (g.n_weights < 3)
		(void)rig_turn(&g);
	assert_true(g.now.unix_ms >= verdict_settled_at(landed + 5 * MS_PER_MINUTE, &g.spec.analysis));
	rig_deinit(&g);
}

static void errors_roll_back_and_quarantine(void **state)
{
	struct rig g;

	(void)state;
	start(&g);
	g.canary_errors = 300;
	assert_true(rig_run_until(&g, PHASE_ROLLED_BACK));
	assert_int_equal(g.alias.target.version, 1);
	assert_int_equal(g.alias.target.weight_bp, 0);
	assert_true(g.quarantined_effect);
	assert_non_null(strstr(g.r.reason, "300 of 600"));
	assert_int_equal(g.writes, 2);
	rig_deinit(&g);
}

/* A breach in a period of an earlier step, delivered late, still rolls back. */
static void late_breach_rolls_back(void **state)
{
	struct rig g;

	(void)state;
	start(&g);
	while (g.n_weights < 2)
		(void)rig_turn(&g);
	g.samples.items[0].canary = (struct counts){600, 90, true};
	assert_true(rig_run_until(&g, PHASE_ROLLED_BACK));
	assert_int_equal(g.n_weights, 3);
	rig_deinit(&g);
}

static void on_failure_pause_waits_and_only_goes_home(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g);
	g.spec.on_failure = SPEC_PAUSE;
	rig_simple(&g, EVENT_START);
	g.canary_errors = 300;
	assert_true(rig_run_until(&g, PHASE_PAUSED));
	assert_int_equal(g.r.pause, PAUSE_FAILURE);
	assert_int_equal(rig_command(&g, COMMAND_RESUME), ANSWER_REFUSED);
	assert_int_equal(rig_command(&g, COMMAND_PROMOTE), ANSWER_REFUSED);
	assert_int_equal(rig_command(&g, COMMAND_PROMOTE_FULL), ANSWER_REFUSED);
	assert_int_equal(g.writes, 1);
	assert_int_equal(rig_command(&g, COMMAND_ROLLBACK), ANSWER_DONE);
	assert_true(rig_run_until(&g, PHASE_ROLLED_BACK));
	rig_deinit(&g);
}

static void no_data_holds_then_pauses_at_the_limit(void **state)
{
	struct rig g;
	int64_t began;

	(void)state;
	start(&g);
	g.metrics_missing = true;
	began = g.now.boot_ms;
	assert_true(rig_run_until(&g, PHASE_PAUSED));
	assert_int_equal(g.r.pause, PAUSE_HOLD_LIMIT);
	assert_int_equal(g.n_weights, 1);
	assert_true(g.now.boot_ms - began >= MS_PER_HOUR + 5 * MS_PER_MINUTE);
	assert_true(g.now.boot_ms - began <= MS_PER_HOUR + 10 * MS_PER_MINUTE);
	g.metrics_missing = false;
	assert_int_equal(rig_command(&g, COMMAND_RESUME), ANSWER_DONE);
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	rig_deinit(&g);
}

static void no_data_policies(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g);
	g.metrics_missing = true;
	g.spec.analysis.no_data = SPEC_NO_DATA_PASS;
	rig_simple(&g, EVENT_START);
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	rig_deinit(&g);

	rig_init(&g);
	g.metrics_missing = true;
	g.spec.analysis.no_data = SPEC_NO_DATA_ROLLBACK;
	rig_simple(&g, EVENT_START);
	assert_true(rig_run_until(&g, PHASE_ROLLED_BACK));
	assert_int_equal(g.n_weights, 2);
	rig_deinit(&g);
}

/* Unreadable metrics are no pass, whatever no_data says. */
static void unreadable_metrics_never_pass(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g);
	g.metrics_unreadable = true;
	g.spec.analysis.no_data = SPEC_NO_DATA_PASS;
	g.spec.analysis.on_hold_limit = SPEC_ROLLBACK;
	rig_simple(&g, EVENT_START);
	(void)rig_run_until(&g, PHASE_ROLLED_BACK);
	rig_assert_phase(&g, PHASE_ROLLED_BACK);
	assert_int_equal(g.n_weights, 2);
	assert_false(g.quarantined_effect);
	rig_deinit(&g);
}

static void few_requests_hold(void **state)
{
	struct rig g;

	(void)state;
	start(&g);
	g.canary_invocations = 1;
	while (g.n_weights < 1)
		(void)rig_turn(&g);
	for (int i = 0; i < 40; i++)
		(void)rig_turn(&g);
	assert_int_equal(g.n_weights, 1);
	assert_int_equal(g.r.gap, VERDICT_GAP_FEW);
	rig_deinit(&g);
}

static void step_minimum_is_waited_for(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g);
	g.steps[0].min_invocations = 600 * 20;
	g.spec.analysis.no_data = SPEC_NO_DATA_PASS; /* does not soften the step's own minimum */
	rig_simple(&g, EVENT_START);
	while (g.n_weights < 2)
		assert_true(rig_turn(&g));
	assert_true(g.now.unix_ms - g.r.first_traffic_unix_ms >= 20 * MS_PER_MINUTE);
	rig_deinit(&g);
}

static void approval_waits_for_promote(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g);
	g.steps[0].approve = true;
	rig_simple(&g, EVENT_START);
	assert_true(rig_run_until(&g, PHASE_PAUSED));
	assert_int_equal(g.r.pause, PAUSE_APPROVAL);
	for (int i = 0; i < 50; i++)
		(void)rig_turn(&g);
	assert_int_equal(g.n_weights, 1);
	assert_int_equal(rig_command(&g, COMMAND_RESUME), ANSWER_REFUSED);
	assert_int_equal(rig_command(&g, COMMAND_PROMOTE), ANSWER_DONE);
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	rig_deinit(&g);
}

/* While it waits for approval it is watched: a breach goes home. */
static void waiting_for_approval_is_watched(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g);
	g.steps[0].approve = true;
	rig_simple(&g, EVENT_START);
	assert_true(rig_run_until(&g, PHASE_PAUSED));
	g.canary_errors = 300;
	assert_true(rig_run_until(&g, PHASE_ROLLED_BACK));
	rig_deinit(&g);
}

static void pause_and_resume(void **state)
{
	struct rig g;

	(void)state;
	start(&g);
	while (g.n_weights < 1)
		(void)rig_turn(&g);
	assert_int_equal(rig_command(&g, COMMAND_PAUSE), ANSWER_DONE);
	rig_assert_phase(&g, PHASE_PAUSED);
	assert_int_equal(rig_command(&g, COMMAND_PAUSE), ANSWER_ALREADY);
	for (int i = 0; i < 50; i++)
		(void)rig_turn(&g);
	assert_int_equal(g.n_weights, 1);
	assert_int_equal(rig_command(&g, COMMAND_RESUME), ANSWER_DONE);
	assert_int_equal(rig_command(&g, COMMAND_RESUME), ANSWER_ALREADY);
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	assert_int_equal(rig_command(&g, COMMAND_PAUSE), ANSWER_REFUSED);
	assert_int_equal(rig_command(&g, COMMAND_PROMOTE), ANSWER_REFUSED);
	rig_deinit(&g);
}

static void promote_takes_the_next_step(void **state)
{
	struct rig g;
	const uint32_t want[] = {1000, 5000};

	(void)state;
	start(&g);
	while (g.n_weights < 1)
		(void)rig_turn(&g);
	assert_int_equal(rig_command(&g, COMMAND_PROMOTE), ANSWER_DONE);
	rig_answer_write(&g, FATE_OK);
	assert_weights(&g, want, 2);
	rig_assert_phase(&g, PHASE_PROGRESSING);
	assert_false(g.has_write); /* one step, not two */
	rig_deinit(&g);
}

static void promote_full_goes_to_the_end(void **state)
{
	struct rig g;
	const uint32_t want[] = {1000, 10000};

	(void)state;
	start(&g);
	while (g.n_weights < 1)
		(void)rig_turn(&g);
	assert_int_equal(rig_command(&g, COMMAND_PROMOTE_FULL), ANSWER_DONE);
	rig_answer_write(&g, FATE_OK);
	assert_weights(&g, want, 2);
	rig_assert_phase(&g, PHASE_SUCCEEDED);
	rig_deinit(&g);
}

static void start_manual_waits(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g);
	g.spec.start_manual = true;
	rig_simple(&g, EVENT_START);
	rig_assert_phase(&g, PHASE_PENDING);
	assert_false(g.has_prepare);
	assert_int_equal(rig_command(&g, COMMAND_PROMOTE), ANSWER_DONE);
	assert_true(rollout_may_start(&g.spec, &g.r));
	rig_simple(&g, EVENT_START);
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	assert_int_equal(g.n_weights, 3); /* that promote did not skip a step */
	rig_deinit(&g);
}

static void final_bake_is_watched_and_verified(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g);
	g.spec.final_bake_ms = 10 * MS_PER_MINUTE;
	rig_simple(&g, EVENT_START);
	assert_true(rig_run_until(&g, PHASE_BAKING));
	assert_int_equal(g.n_weights, 3);
	g.canary_errors = 300;
	assert_true(rig_run_until(&g, PHASE_ROLLED_BACK));
	assert_int_equal(g.alias.target.version, 1);
	rig_deinit(&g);

	rig_init(&g);
	g.spec.final_bake_ms = 10 * MS_PER_MINUTE;
	rig_simple(&g, EVENT_START);
	assert_true(rig_run_until(&g, PHASE_BAKING));
	rig_human(&g, (struct alias_target){.version = 7});
	assert_true(rig_run_until(&g, PHASE_BLOCKED));
	assert_int_equal(g.alias.target.version, 7);
	rig_deinit(&g);
}

static void lost_answers_are_looked_up(void **state)
{
	const enum fate fates[] = {FATE_LOST_BEFORE, FATE_LOST_AFTER, FATE_LATE, FATE_THROTTLED};
	const uint32_t want[] = {1000, 5000, 10000};

	(void)state;
	for (size_t f = 0; f < array_len(fates); f++) {
		for (unsigned at = 0; at < 3; at++) {
			struct rig g;
			unsigned seen = 0;

			start(&g);
			for (int i = 0; i < 500 && g.r.phase != PHASE_SUCCEEDED; i++) {
				if (g.has_write && seen++ == at)
					rig_answer_write(&g, fates[f]);
				else
					(void)rig_turn(&g);
			}
			rig_assert_phase(&g, PHASE_SUCCEEDED);
			assert_weights(&g, want, 3);
			rig_deinit(&g);
		}
	}
}

/* The forward write's answer is lost, a rollback is commanded, and only then the write lands: home must win. */
static void late_advance_does_not_survive_a_rollback(void **state)
{
	struct rig g;

	(void)state;
	for (int when = 0; when < 3; when++) {
		start(&g);
		while (!g.has_write)
			(void)rig_turn(&g);
		rig_answer_write(&g, FATE_LATE);
		assert_int_equal(rig_command(&g, COMMAND_ROLLBACK), ANSWER_DONE);
		if (when == 0)
			rig_deliver_late(&g);
		while (!g.has_write && g.r.phase == PHASE_ROLLING_BACK)
			assert_true(rig_turn(&g));
		if (when == 1)
			rig_deliver_late(&g);
		assert_true(rig_run_until(&g, when == 1 || when == 0 ? g.r.phase : PHASE_FAILED));
		for (int i = 0; i < 200 && !rollout_ended(&g.r); i++)
			(void)rig_turn(&g);
		rig_deliver_late(&g); /* when == 2: after the end; must bounce off the changed RevisionId */
		assert_true(rollout_ended(&g.r));
		assert_int_equal(g.alias.target.version, 1);
		assert_int_equal(g.alias.target.weight_bp, 0);
		rig_deinit(&g);
	}
}

static void a_humans_write_blocks(void **state)
{
	const struct alias_target humans[] = {
	    {.version = 9}, {.version = 1}, {1, 2, 3000}, {1, 3, 1000}, {.version = 2},
	};

	(void)state;
	for (size_t h = 0; h < array_len(humans); h++) {
		struct rig g;

		start(&g);
		while (g.n_weights < 1)
			(void)rig_turn(&g);
		rig_human(&g, humans[h]);
		assert_true(rig_run_until(&g, PHASE_BLOCKED));
		assert_true(g.human_wrote);
		for (int i = 0; i < 50; i++)
			(void)rig_turn(&g);
		assert_true(g.human_wrote);
		assert_true(alias_target_equal(&g.alias.target, &humans[h]));
		assert_int_equal(rig_command(&g, COMMAND_ROLLBACK), ANSWER_DONE);
		assert_true(rig_run_until(&g, PHASE_ROLLED_BACK));
		assert_int_equal(g.alias.target.version, 1);
		rig_deinit(&g);
	}
}

/* The same content under a new revision (a changed description, say) is ours to go on from. */
static void same_content_new_revision_goes_on(void **state)
{
	struct rig g;

	(void)state;
	start(&g);
	while (g.n_weights < 1)
		(void)rig_turn(&g);
	rig_human(&g, g.alias.target);
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	rig_deinit(&g);
}

static void resume_after_block_goes_on_from_there(void **state)
{
	struct rig g;

	(void)state;
	start(&g);
	while (g.n_weights < 1)
		(void)rig_turn(&g);
	rig_human(&g, (struct alias_target){.version = 1});
	assert_true(rig_run_until(&g, PHASE_BLOCKED));
	assert_int_equal(rig_command(&g, COMMAND_RESUME), ANSWER_DONE);
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	rig_deinit(&g);

	start(&g);
	while (g.n_weights < 1)
		(void)rig_turn(&g);
	rig_human(&g, (struct alias_target){.version = 9});
	assert_true(rig_run_until(&g, PHASE_BLOCKED));
	assert_int_equal(rig_command(&g, COMMAND_RESUME), ANSWER_DONE);
	(void)rig_turn(&g);
	rig_assert_phase(&g, PHASE_BLOCKED); /* version 9 is nothing to go on from */
	assert_true(g.human_wrote);
	rig_deinit(&g);
}

static void leftovers_block_before_the_start(void **state)
{
	struct rig g;

	(void)state;
	start(&g);
	g.alias.target = (struct alias_target){1, 5, 1000};
	rig_answer_prepare(&g);
	rig_assert_phase(&g, PHASE_BLOCKED);
	assert_int_equal(g.writes, 0);
	rig_human(&g, (struct alias_target){.version = 1}); /* cleared by hand */
	assert_int_equal(rig_command(&g, COMMAND_RESUME), ANSWER_DONE);
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	rig_deinit(&g);

	start(&g);
	g.alias.target = (struct alias_target){1, 5, 1000};
	rig_answer_prepare(&g);
	assert_int_equal(rig_command(&g, COMMAND_ROLLBACK), ANSWER_DONE);
	assert_true(rig_run_until(&g, PHASE_FAILED));
	assert_int_equal(g.alias.target.weight_bp, 0);
	assert_int_equal(g.alias.target.version, 1);
	rig_deinit(&g);
}

static void a_deleted_alias_blocks(void **state)
{
	struct rig g;

	(void)state;
	start(&g);
	while (g.n_weights < 1)
		(void)rig_turn(&g);
	while (!g.has_write)
		(void)rig_turn(&g);
	g.alias_gone = true;
	rig_answer_write(&g, FATE_LOST_BEFORE);
	assert_true(rig_run_until(&g, PHASE_BLOCKED));
	/* Nothing leads on from there, but the end is to be had. */
	assert_int_equal(rig_command(&g, COMMAND_RESUME), ANSWER_DONE);
	assert_true(rig_run_until(&g, PHASE_BLOCKED));
	assert_int_equal(rig_command(&g, COMMAND_ROLLBACK), ANSWER_DONE);
	assert_true(rig_run_until(&g, PHASE_ROLLED_BACK));
	rig_deinit(&g);
}

static void a_refused_weight_goes_home(void **state)
{
	struct rig g;

	(void)state;
	start(&g);
	while (!g.has_write)
		(void)rig_turn(&g);
	rig_answer_write(&g, FATE_REFUSED);
	assert_true(rig_run_until(&g, PHASE_FAILED));
	assert_int_equal(g.alias.target.weight_bp, 0);
	rig_deinit(&g);
}

static void supersede_goes_home_without_quarantine(void **state)
{
	struct rig g;

	(void)state;
	start(&g);
	while (g.n_weights < 1)
		(void)rig_turn(&g);
	rig_simple(&g, EVENT_SUPERSEDED);
	assert_true(rig_run_until(&g, PHASE_ROLLED_BACK));
	assert_false(g.quarantined_effect);
	rig_deinit(&g);

	rig_init(&g);
	rig_simple(&g, EVENT_SUPERSEDED);
	rig_assert_phase(&g, PHASE_FAILED);
	rig_deinit(&g);
}

static void rollback_of_a_succeeded_rollout(void **state)
{
	struct rig g;

	(void)state;
	start(&g);
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	assert_int_equal(rig_command(&g, COMMAND_ROLLBACK), ANSWER_DONE);
	assert_true(rig_run_until(&g, PHASE_ROLLED_BACK));
	assert_int_equal(g.alias.target.version, 1);
	assert_true(g.quarantined_effect);
	assert_int_equal(rig_command(&g, COMMAND_ROLLBACK), ANSWER_ALREADY);
	rig_deinit(&g);

	start(&g);
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	rig_human(&g, (struct alias_target){.version = 3}); /* a later release */
	assert_int_equal(rig_command(&g, COMMAND_ROLLBACK), ANSWER_DONE);
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	assert_int_equal(g.alias.target.version, 3);
	assert_false(g.quarantined_effect); /* nothing was rolled back, so nothing was found wanting */
	rig_deinit(&g);
}

static void bakes_survive_crashes_and_reboots(void **state)
{
	struct rig g;
	int64_t before;

	(void)state;
	start(&g);
	while (g.n_weights < 1)
		(void)rig_turn(&g);
	g.now.boot_ms += 3 * MS_PER_MINUTE;
	g.now.unix_ms += 3 * MS_PER_MINUTE;
	before = g.now.boot_ms;
	rig_crash(&g, true);
	while (g.n_weights < 2)
		assert_true(rig_turn(&g));
	assert_true(g.now.boot_ms - before >= 2 * MS_PER_MINUTE); /* the rest of the bake, no more than needed */
	assert_true(g.now.boot_ms - before <= 5 * MS_PER_MINUTE);
	rig_deinit(&g);

	/* Another boot: the time away does not count as bake, since no clock can be trusted across it. */
	start(&g);
	while (g.n_weights < 1)
		(void)rig_turn(&g);
	g.now.unix_ms += MS_PER_HOUR;
	rig_crash(&g, false);
	before = g.now.boot_ms;
	while (g.n_weights < 2)
		assert_true(rig_turn(&g));
	assert_true(g.now.boot_ms - before >= 5 * MS_PER_MINUTE);
	rig_deinit(&g);
}

static void clock_jumps_never_shorten_a_bake(void **state)
{
	const int64_t jumps[] = {MS_PER_HOUR, -MS_PER_HOUR, 2 * MS_PER_DAY};

	(void)state;
	for (size_t j = 0; j < array_len(jumps); j++) {
		struct rig g;
		int64_t landed;

		start(&g);
		while (g.n_weights < 1)
			(void)rig_turn(&g);
		landed = g.now.boot_ms;
		g.now.unix_ms += jumps[j];
		for (int i = 0; i < 500 && g.n_weights < 2 && g.r.phase == PHASE_PROGRESSING; i++)
			(void)rig_turn(&g);
		if (g.n_weights >= 2)
			assert_true(g.now.boot_ms - landed >= 5 * MS_PER_MINUTE);
		rig_deinit(&g);
	}
}

static void stale_answers_change_nothing(void **state)
{
	struct rig g;
	struct rollout_event old = {.kind = EVENT_WRITTEN, .seq = 1, .alias = {.outcome = CALL_OK}};

	(void)state;
	start(&g);
	while (g.n_weights < 1)
		(void)rig_turn(&g);
	rig_event(&g, &old);
	assert_int_equal(g.r.stale, 1);
	rig_assert_phase(&g, PHASE_PROGRESSING);
	rig_deinit(&g);
}

static void alarms_judge(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g);
	g.metrics[0] = (struct spec_metric){.kind = SPEC_METRIC_ALARM, .alarm = "bad"};
	g.alarms[0] = ALARM_OK;
	rig_simple(&g, EVENT_START);
	while (g.n_weights < 2)
		assert_true(rig_turn(&g));
	g.alarms[0] = ALARM_ALARM;
	assert_true(rig_run_until(&g, PHASE_ROLLED_BACK));
	rig_deinit(&g);

	rig_init(&g);
	g.metrics[0] = (struct spec_metric){.kind = SPEC_METRIC_ALARM, .alarm = "bad"};
	g.alarms[0] = ALARM_ALARM;
	rig_simple(&g, EVENT_START);
	assert_true(rig_run_until(&g, PHASE_FAILED));
	assert_int_equal(g.writes, 0);
	rig_deinit(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(goes_through_all_steps),
	    cmocka_unit_test(evidence_covers_each_bake),
	    cmocka_unit_test(clock_pace_waits_for_evidence_only_at_the_end),
	    cmocka_unit_test(errors_roll_back_and_quarantine),
	    cmocka_unit_test(late_breach_rolls_back),
	    cmocka_unit_test(on_failure_pause_waits_and_only_goes_home),
	    cmocka_unit_test(no_data_holds_then_pauses_at_the_limit),
	    cmocka_unit_test(no_data_policies),
	    cmocka_unit_test(unreadable_metrics_never_pass),
	    cmocka_unit_test(few_requests_hold),
	    cmocka_unit_test(step_minimum_is_waited_for),
	    cmocka_unit_test(approval_waits_for_promote),
	    cmocka_unit_test(waiting_for_approval_is_watched),
	    cmocka_unit_test(pause_and_resume),
	    cmocka_unit_test(promote_takes_the_next_step),
	    cmocka_unit_test(promote_full_goes_to_the_end),
	    cmocka_unit_test(start_manual_waits),
	    cmocka_unit_test(final_bake_is_watched_and_verified),
	    cmocka_unit_test(lost_answers_are_looked_up),
	    cmocka_unit_test(late_advance_does_not_survive_a_rollback),
	    cmocka_unit_test(a_humans_write_blocks),
	    cmocka_unit_test(same_content_new_revision_goes_on),
	    cmocka_unit_test(resume_after_block_goes_on_from_there),
	    cmocka_unit_test(leftovers_block_before_the_start),
	    cmocka_unit_test(a_deleted_alias_blocks),
	    cmocka_unit_test(a_refused_weight_goes_home),
	    cmocka_unit_test(supersede_goes_home_without_quarantine),
	    cmocka_unit_test(rollback_of_a_succeeded_rollout),
	    cmocka_unit_test(bakes_survive_crashes_and_reboots),
	    cmocka_unit_test(clock_jumps_never_shorten_a_bake),
	    cmocka_unit_test(stale_answers_change_nothing),
	    cmocka_unit_test(alarms_judge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
