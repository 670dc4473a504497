/* Watching a weight: when metrics are read, what an answer may decide, holds and the dark, and clocks that jump. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "core_rig.h"

#define MIN MS_PER_MINUTE

static void progressing(struct rig *g)
{
	rig_init(g);
	rig_simple(g, EVENT_START);
	rig_run_to_weight(g, 1);
}

static void run_to_poll(struct rig *g)
{
	for (int i = 0; i < 200 && !g->has_poll; i++)
		assert_true(rig_turn(g));
	assert_true(g->has_poll);
}

static bool has_effect(const struct rig *g, enum rollout_effect_kind kind)
{
	for (size_t i = 0; i < g->effects.len; i++) {
		if (g->effects.items[i].kind == kind)
			return true;
	}
	return false;
}

/* --- when --- */

/* Read every ten minutes, and between those when the bake's own metrics have settled: a step does not wait for more. */
static void the_poll_that_decides_comes_as_soon_as_it_can(void **state)
{
	struct rig g;
	int64_t landed;

	(void)state;
	rig_init(&g);
	g.spec.analysis.every_ms = 10 * MIN;
	rig_simple(&g, EVENT_START);
	rig_run_to_weight(&g, 1);
	landed = g.now.unix_ms;
	rig_run_to_weight(&g, 2);
	assert_int_equal(g.now.unix_ms, verdict_settled_at(landed + 5 * MIN, &g.spec.analysis));
	rig_deinit(&g);
}

/* --- answers --- */

static void an_answer_to_an_older_poll_decides_nothing(void **state)
{
	struct rig g;
	struct rollout_event e = {.kind = EVENT_POLLED};
	int64_t through;

	(void)state;
	progressing(&g);
	run_to_poll(&g);
	rig_answer_poll(&g);
	run_to_poll(&g);
	through = g.r.read_through_unix_ms;
	e.seq = g.poll_seq - 1;
	e.polled.complete = true;
	e.polled.through_unix_ms = g.now.unix_ms;
	rig_event(&g, &e);
	assert_int_equal(g.r.stale, 1);
	assert_int_equal(g.r.read_through_unix_ms, through);
	assert_true(g.r.poll_pending);
	rig_deinit(&g);
}

/* The alias was seen to be somebody else's while the metrics were being read: what they say must not write to it. */
static void metrics_decide_nothing_while_it_is_blocked(void **state)
{
	struct rig g;

	(void)state;
	progressing(&g);
	run_to_poll(&g);
	g.canary_errors = 300;
	rig_human(&g, (struct alias_target){.version = 9});
	assert_int_equal(rig_command(&g, COMMAND_PROMOTE), ANSWER_DONE);
	rig_answer_write(&g, FATE_OK);
	rig_answer_read(&g);
	rig_assert_phase(&g, PHASE_BLOCKED);
	rig_answer_poll(&g);
	rig_assert_phase(&g, PHASE_BLOCKED);
	assert_int_equal(g.r.verdict, VERDICT_UNDECIDED);
	assert_false(g.has_write);
	rig_deinit(&g);
}

/* Evidence for one weight does not let the next one rise: it arrives while that one is still being asked for. */
static void evidence_for_one_weight_is_none_for_the_next(void **state)
{
	struct rig g;
	int64_t settled;

	(void)state;
	progressing(&g);
	settled = verdict_settled_at(g.now.unix_ms + 5 * MIN, &g.spec.analysis);
	while (g.now.unix_ms < settled) {
		if (g.has_poll && g.now.unix_ms >= settled)
			break;
		assert_true(rig_turn(&g));
	}
	assert_true(g.has_poll);
	assert_int_equal(rig_command(&g, COMMAND_PROMOTE), ANSWER_DONE);
	assert_true(g.has_write);
	rig_answer_poll(&g);
	assert_int_equal(g.r.verdict, VERDICT_PASS);
	assert_false(g.r.allowed);
	rig_answer_write(&g, FATE_OK);
	assert_false(g.has_write);
	assert_false(g.r.allowed);
	rig_deinit(&g);
}

/* An alarm whose state cannot be read is no alarm that is OK, however long that lasts, and whatever it was before. */
static void alarms_that_cannot_be_read_never_pass(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g);
	g.metrics[0] = (struct spec_metric){.kind = SPEC_METRIC_ALARM, .alarm = "hello-5xx"};
	g.alarms[0] = ALARM_OK;
	rig_simple(&g, EVENT_START);
	rig_run_to_weight(&g, 1);
	run_to_poll(&g);
	rig_answer_poll(&g);
	assert_int_equal(g.r.alarms[0], ALARM_OK);
	g.alarms_unreadable = true;
	assert_true(rig_run_until(&g, PHASE_PAUSED));
	assert_int_equal(g.r.pause, PAUSE_HOLD_LIMIT);
	assert_int_equal(g.n_weights, 1);
	rig_deinit(&g);
}

/* "pass" for missing data covers a canary that hardly anybody calls, as well as one that nobody does. */
static void few_requests_pass_where_the_plan_says_so(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g);
	g.spec.analysis.no_data = SPEC_NO_DATA_PASS;
	g.canary_invocations = 3;
	rig_simple(&g, EVENT_START);
	rig_run_to_weight(&g, 2);
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	rig_deinit(&g);
}

/* … and not one metric's too few requests for what another one still waits for. */
static void few_requests_do_not_hide_what_is_to_come(void **state)
{
	struct rig g;
	int64_t landed;

	(void)state;
	rig_init(&g);
	g.spec.analysis.no_data = SPEC_NO_DATA_PASS;
	g.canary_invocations = 3;
	g.metrics[1] = (struct spec_metric){.kind = SPEC_METRIC_DURATION,
					    .stat = "p99",
					    .max_us = 800000,
					    .warm_up_ms = 15 * MIN,
					    .min_invocations = 20,
					    .failure_limit = 1};
	g.spec.analysis.n_metrics = 2;
	g.samples.n_values = SPEC_VALUES_MAX;
	rig_simple(&g, EVENT_START);
	rig_run_to_weight(&g, 1);
	landed = g.now.boot_ms;
	rig_run_to_weight(&g, 2);
	assert_true(g.now.boot_ms - landed >= 16 * MIN);
	assert_true(g.now.boot_ms - landed <= 19 * MIN);
	rig_deinit(&g);
}

/* What runs dry holds nothing up either, whatever it still waits for. */
static void what_runs_dry_is_not_waited_for(void **state)
{
	struct rig g;
	int64_t landed;

	(void)state;
	rig_init(&g);
	g.spec.analysis.no_data = SPEC_NO_DATA_PASS;
	g.canary_invocations = 3;
	g.metrics[1] = (struct spec_metric){.kind = SPEC_METRIC_DURATION,
					    .stat = "p99",
					    .max_us = 800000,
					    .warm_up_ms = 15 * MIN,
					    .min_invocations = 20,
					    .failure_limit = 1,
					    .dry_run = true};
	g.spec.analysis.n_metrics = 2;
	g.samples.n_values = SPEC_VALUES_MAX;
	rig_simple(&g, EVENT_START);
	rig_run_to_weight(&g, 1);
	landed = g.now.boot_ms;
	rig_run_to_weight(&g, 2);
	assert_in_range(g.now.boot_ms - landed, 5 * MIN, 8 * MIN);
	rig_deinit(&g);
}

/* The period in which the rollout before ended is not judged, and a short step waits for the next one. */
static void a_short_step_after_another_rollout(void **state)
{
	struct verdict_question q;
	struct rig g;
	int64_t from;

	(void)state;
	rig_init(&g);
	g.spec.analysis.no_data = SPEC_NO_DATA_ROLLBACK;
	g.steps[0].bake_ms = 10 * MS_PER_SECOND;
	rig_simple(&g, EVENT_START);
	rig_run_to_weight(&g, 1);
	g.r.stable_since_unix_ms = g.r.first_traffic_unix_ms - 1;
	from = verdict_period_end(g.r.first_traffic_unix_ms, MIN);
	rollout_question(&g.spec, &g.r, &g.samples, g.now, &q);
	assert_int_equal(q.rollout_from_unix_ms, from);
	assert_int_equal(q.step_until_unix_ms, from + MIN);
	rig_run_to_weight(&g, 2);
	assert_true(g.now.unix_ms >= from + 2 * MIN);
	rollout_question(&g.spec, &g.r, &g.samples, g.now, &q);
	assert_int_equal(q.step_until_unix_ms, g.r.step_from_unix_ms + g.steps[1].bake_ms);
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	rig_deinit(&g);
}

/* A step's own minimum is waited for even where the schedule goes by the clock. */
static void a_minimum_is_waited_for_by_the_clock_too(void **state)
{
	struct rig g;
	int64_t landed;

	(void)state;
	rig_init(&g);
	g.spec.analysis.pace = SPEC_PACE_CLOCK;
	g.steps[0].min_invocations = 600 * 12;
	rig_simple(&g, EVENT_START);
	rig_run_to_weight(&g, 1);
	landed = g.now.boot_ms;
	rig_run_to_weight(&g, 2);
	assert_true(g.now.boot_ms - landed >= 12 * MIN);
	rig_deinit(&g);
}

/* Evidence for the last weight does not stay: when no metrics at all are answered for the next one, it does not rise,
 * however long it has baked. */
static void a_weight_without_an_answer_does_not_rise(void **state)
{
	struct rig g;

	(void)state;
	progressing(&g);
	rig_run_to_weight(&g, 2);
	for (int i = 0; i < 200 && g.timer_boot_ms != INT64_MAX; i++) {
		g.has_poll = false; /* never answered */
		assert_true(rig_turn(&g));
	}
	assert_int_equal(g.n_weights, 2);
	rig_deinit(&g);
}

/* Each step has a bake of its own, and what it has baked outlives a restart of the host. */
static void each_step_bakes_by_itself(void **state)
{
	struct rig g;
	int64_t landed;

	(void)state;
	rig_init(&g);
	g.spec.analysis.pace = SPEC_PACE_CLOCK;
	g.steps[2] = (struct spec_step){7000, 5 * MIN, 0, false};
	g.spec.n_steps = 3;
	rig_simple(&g, EVENT_START);
	rig_run_to_weight(&g, 1);
	landed = g.now.boot_ms;
	rig_run_to_weight(&g, 2);
	assert_int_equal(g.now.boot_ms - landed, 5 * MIN);
	landed = g.now.boot_ms;
	while (g.now.boot_ms - landed < 4 * MIN)
		assert_true(rig_turn(&g));
	rig_crash(&g, false);
	landed = g.now.boot_ms;
	rig_run_to_weight(&g, 3);
	assert_in_range(g.now.boot_ms - landed, 1, 2 * MIN);
	rig_deinit(&g);
}

/* promote --full is about the steps: the final bake is watched as ever. */
static void a_full_promote_does_not_skip_the_final_bake(void **state)
{
	struct rig g;
	int64_t landed;

	(void)state;
	rig_init(&g);
	g.spec.final_bake_ms = 10 * MIN;
	rig_simple(&g, EVENT_START);
	rig_run_to_weight(&g, 1);
	assert_int_equal(rig_command(&g, COMMAND_PROMOTE_FULL), ANSWER_DONE);
	assert_int_equal(g.r.promoted_unix_ms, 0);
	rig_run_to_weight(&g, 2);
	rig_assert_phase(&g, PHASE_BAKING);
	assert_int_equal(g.r.promoted_unix_ms, g.now.unix_ms); /* the alias's own series speaks from here on */
	landed = g.now.boot_ms;
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	assert_true(g.now.boot_ms - landed >= 10 * MIN);
	rig_deinit(&g);
}

/* A plan that goes home without data goes on with it. */
static void data_that_is_there_is_not_missing(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g);
	g.spec.analysis.no_data = SPEC_NO_DATA_ROLLBACK;
	rig_simple(&g, EVENT_START);
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	rig_deinit(&g);
}

/* The canary is found to fail while the next weight is on its way: that one is called back, where it still can be. */
static void a_failure_calls_the_next_weight_back(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g);
	g.spec.on_failure = SPEC_PAUSE;
	rig_simple(&g, EVENT_START);
	rig_run_to_weight(&g, 1);
	for (int i = 0; i < 3; i++) {
		run_to_poll(&g);
		if (i < 2)
			rig_answer_poll(&g);
	}
	g.canary_errors = 300;
	assert_int_equal(rig_command(&g, COMMAND_PROMOTE), ANSWER_DONE);
	assert_true(g.has_write);
	rig_answer_poll(&g);
	rig_assert_phase(&g, PHASE_PAUSED);
	assert_int_equal(g.cancelled_seq, g.write.seq);
	rig_deinit(&g);
}

/* --- failure that lasts --- */

static void a_failure_that_lasts_is_said_once(void **state)
{
	struct rig g;
	unsigned said = 0;

	(void)state;
	rig_init(&g);
	g.spec.on_failure = SPEC_PAUSE;
	g.canary_errors = 300;
	rig_simple(&g, EVENT_START);
	for (int i = 0; i < 200; i++) {
		assert_true(rig_turn(&g));
		said += rig_said(&g, ANNOUNCE_PHASE, "paused");
	}
	rig_assert_phase(&g, PHASE_PAUSED);
	assert_int_equal(said, 1);
	assert_int_equal(g.r.pause, PAUSE_FAILURE);
	rig_deinit(&g);
}

/* --- trouble --- */

static void unreadable_metrics_are_told_and_so_is_their_end(void **state)
{
	struct rig g;

	(void)state;
	progressing(&g);
	g.metrics_unreadable = true;
	run_to_poll(&g);
	rig_answer_poll(&g);
	assert_true(rig_said(&g, ANNOUNCE_TROUBLE, "metrics: GetMetricData: throttled"));
	run_to_poll(&g);
	rig_answer_poll(&g);
	assert_false(rig_said(&g, ANNOUNCE_TROUBLE, ""));
	g.metrics_unreadable = false;
	run_to_poll(&g);
	rig_answer_poll(&g);
	assert_true(rig_said(&g, ANNOUNCE_RECOVERED, "over: metrics: GetMetricData"));
	assert_string_equal(g.r.trouble, "");
	rig_deinit(&g);
}

/* Neither the alias can be written nor metrics be read: the graver of the two stays to be seen, and is said once. */
static void trouble_with_the_alias_is_the_graver_one(void **state)
{
	struct rig g;
	unsigned polls = 0;

	(void)state;
	progressing(&g);
	rig_run_to_write(&g);
	g.metrics_unreadable = true;
	while (polls < 5) {
		if (g.has_write) {
			rig_answer_write(&g, FATE_THROTTLED);
			continue;
		}
		polls += g.has_poll;
		g.metrics_unreadable = polls < 4; /* that these can be read again does not end the other trouble */
		assert_true(rig_turn(&g));
		/* Woken for the poll, though the next try of the write is later than that. */
		if (g.has_poll)
			assert_true(g.timer_boot_ms > g.now.boot_ms);
		assert_false(rig_said(&g, ANNOUNCE_TROUBLE, "metrics"));
		assert_string_equal(g.r.trouble, "UpdateAlias: TooManyRequestsException (429)");
	}
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	assert_string_equal(g.r.trouble, "");
	rig_deinit(&g);
}

/* --- holds --- */

/* By the clock, but not in the dark: a step that the clock would take is held while metrics cannot be read. An
 * operator who promotes all the same is obeyed. */
static void the_clock_does_not_go_on_in_the_dark(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g);
	g.spec.analysis.pace = SPEC_PACE_CLOCK;
	g.metrics_unreadable = true;
	rig_simple(&g, EVENT_START);
	rig_run_to_weight(&g, 1);
	for (int i = 0; i < 60; i++)
		assert_true(rig_turn(&g));
	rig_assert_phase(&g, PHASE_PROGRESSING);
	assert_int_equal(g.n_weights, 1);
	assert_true(g.r.hold_from_baked_ms >= 0);
	assert_int_equal(rig_command(&g, COMMAND_PROMOTE), ANSWER_DONE);
	assert_true(g.has_write);
	assert_int_equal(g.write.target.weight_bp, 5000);
	rig_deinit(&g);
}

/* The limit of a hold passes while the alias cannot be read either: it is acted on as soon as that is over, and until
 * then nothing is woken in a hurry. */
static void a_hold_that_is_over_waits_for_the_alias(void **state)
{
	struct rig g;
	int64_t began;

	(void)state;
	progressing(&g);
	g.metrics_missing = true;
	while (g.r.hold_from_baked_ms < 0)
		assert_true(rig_turn(&g));
	rig_crash(&g, true);
	began = g.now.boot_ms;
	while (g.now.boot_ms - began < 2 * MS_PER_HOUR) {
		if (g.has_read)
			rig_end_read(&g, CALL_UNAVAILABLE);
		else
			assert_true(rig_turn(&g));
		if (!g.has_read && !g.has_poll)
			assert_true(g.timer_boot_ms > g.now.boot_ms);
	}
	rig_assert_phase(&g, PHASE_PROGRESSING);
	assert_true(rig_run_until(&g, PHASE_PAUSED));
	assert_int_equal(g.r.pause, PAUSE_HOLD_LIMIT);
	rig_deinit(&g);
}

/* --- the end --- */

/* The last look is made, and while it was under way an operator paused: much can happen until the resume, so what it
 * found is old by then. It looks once more. */
static void the_last_look_is_the_very_last(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g);
	g.spec.final_bake_ms = 10 * MIN;
	rig_simple(&g, EVENT_START);
	assert_true(rig_run_until(&g, PHASE_BAKING));
	for (int i = 0; i < 200 && !g.has_read; i++)
		assert_true(rig_turn(&g));
	assert_true(g.r.finishing);
	assert_int_equal(rig_command(&g, COMMAND_PAUSE), ANSWER_DONE);
	rig_answer_read(&g);
	rig_assert_phase(&g, PHASE_PAUSED);
	rig_human(&g, (struct alias_target){.version = 9});
	assert_int_equal(rig_command(&g, COMMAND_RESUME), ANSWER_DONE);
	rig_assert_phase(&g, PHASE_BAKING);
	assert_true(has_effect(&g, EFFECT_READ_ALIAS));
	rig_answer_read(&g);
	rig_assert_phase(&g, PHASE_BLOCKED);
	rig_deinit(&g);
}

/* --- clocks --- */

/* The wall clock is set back by an hour in the final bake: the bake is as long as ever, and metrics are read on. */
static void a_clock_set_back_does_not_stop_the_final_bake(void **state)
{
	struct rig g;
	int64_t landed;
	unsigned polls = 0;

	(void)state;
	rig_init(&g);
	g.spec.final_bake_ms = 10 * MIN;
	rig_simple(&g, EVENT_START);
	assert_true(rig_run_until(&g, PHASE_BAKING));
	landed = g.now.boot_ms;
	g.now.unix_ms -= MS_PER_HOUR;
	for (int i = 0; i < 500 && g.r.phase == PHASE_BAKING; i++) {
		polls += g.has_poll;
		assert_true(rig_turn(&g));
	}
	rig_assert_phase(&g, PHASE_SUCCEEDED);
	assert_true(polls >= 8);
	assert_true(g.r.promoted_unix_ms <= g.now.unix_ms);
	assert_in_range(g.now.boot_ms - landed, 10 * MIN, 13 * MIN);
	rig_deinit(&g);
}

/* Nor does it put off the judgement: another rollout that ended just before this one still lies before it. */
static void a_clock_set_back_does_not_put_off_the_judgement(void **state)
{
	struct verdict_question q;
	struct rig g;
	int64_t set_back;

	(void)state;
	progressing(&g);
	g.r.stable_since_unix_ms = g.r.first_traffic_unix_ms - 1;
	g.now.unix_ms -= MS_PER_HOUR;
	set_back = g.now.unix_ms;
	run_to_poll(&g);
	assert_in_range(g.r.stable_since_unix_ms, set_back, g.now.unix_ms);
	rollout_question(&g.spec, &g.r, &g.samples, g.now, &q);
	assert_true(q.rollout_from_unix_ms <= g.now.unix_ms + MIN);
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	rig_deinit(&g);
}

/* --- more than one metric --- */

static unsigned count_said(const struct rig *g, const char *text)
{
	unsigned n = 0;

	for (size_t i = 0; i < g->effects.len; i++)
		n += g->effects.items[i].kind == EFFECT_ANNOUNCE && strstr(g->effects.items[i].announce.text, text);
	return n;
}

/* Every metric that fails dry says so in the same turn, each of them once, and nothing comes of it. */
static void what_runs_dry_is_told_once(void **state)
{
	static struct spec_metric metrics[LIMIT_METRICS];
	struct rig g;
	unsigned said = 0;

	(void)state;
	rig_init(&g);
	for (size_t i = 0; i < LIMIT_METRICS; i++) {
		metrics[i] = g.metrics[0];
		metrics[i].dry_run = true;
	}
	metrics[1].dry_run = false;
	metrics[1].max_rate_ppm = 1000000;
	metrics[2].max_rate_ppm = 1000000;
	g.metrics[0].dry_run = true;
	g.spec.analysis.metrics = metrics;
	g.spec.analysis.n_metrics = LIMIT_METRICS;
	g.canary_errors = 300;
	rig_simple(&g, EVENT_START);
	rig_run_to_weight(&g, 1);
	for (int i = 0; i < 200 && g.r.phase != PHASE_SUCCEEDED; i++) {
		bool polled = g.has_poll;

		assert_true(rig_turn(&g));
		if (polled)
			said +=
			    count_said(&g, "would have failed (dry run): the canary failed 300 of 600 requests (50%)");
	}
	rig_assert_phase(&g, PHASE_SUCCEEDED);
	assert_int_equal(said, LIMIT_METRICS - 2);
	assert_int_equal(g.r.dry_failed, 0xffff & ~6u);
	rig_deinit(&g);
}

/* The stable version's record is asked for until it is there, and only where it is weighed. */
static void the_history_is_asked_for_until_it_is_there(void **state)
{
	struct rig g;
	int64_t through;

	(void)state;
	progressing(&g);
	run_to_poll(&g);
	assert_int_equal(g.history_through, 0);
	rig_deinit(&g);

	rig_init(&g);
	g.metrics[1] = g.metrics[0];
	g.metrics[0] = (struct spec_metric){
	    .kind = SPEC_METRIC_COMPARE, .false_alarm_ppm = 10000, .min_effect_permille = 1250, .min_invocations = 1};
	rig_simple(&g, EVENT_START);
	rig_run_to_weight(&g, 1);
	through = g.r.first_traffic_unix_ms / HISTORY_PERIOD_MS * HISTORY_PERIOD_MS;
	for (int polls = 0; polls < 2; polls++) {
		g.history_through = 0;
		while (g.history_through == 0)
			assert_true(rig_turn(&g));
		assert_int_equal(g.history_through, through);
		assert_true(through <= g.poll_through);
		rig_answer_poll(&g);
		assert_false(g.r.history.seen);
	}
	run_to_poll(&g);
	g.history = (struct counts){5000, 3, true};
	rig_answer_poll(&g);
	assert_int_equal(g.r.history.invocations, 5000);
	run_to_poll(&g);
	assert_int_equal(g.history_through, 0);
	rig_deinit(&g);
}

static const struct rollout_effect *next_poll(struct rig *g)
{
	run_to_poll(g);
	for (size_t i = 0; i < g->effects.len; i++) {
		if (g->effects.items[i].kind == EFFECT_POLL)
			return &g->effects.items[i];
	}
	fail();
	return NULL;
}

/* Of the hours before, only the whole periods in which the stable version served alone are its own. */
static void the_history_is_of_the_stable_version_alone(void **state)
{
	/* Since when it is stable, before the first traffic; 0: for long. */
	static const int64_t ago[] = {0, 4 * MS_PER_HOUR, MS_PER_HOUR, 1};

	(void)state;
	for (size_t i = 0; i < array_len(ago); i++) {
		const struct rollout_effect *e;
		struct rig g;
		int64_t through, since;

		rig_init(&g);
		g.metrics[0] = (struct spec_metric){.kind = SPEC_METRIC_COMPARE,
						    .false_alarm_ppm = 10000,
						    .min_effect_permille = 1250,
						    .min_invocations = 1};
		rig_simple(&g, EVENT_START);
		rig_run_to_weight(&g, 1);
		g.r.stable_since_unix_ms = since = ago[i] == 0 ? 0 : g.r.first_traffic_unix_ms - ago[i];
		through = verdict_period_start(g.r.first_traffic_unix_ms, HISTORY_PERIOD_MS);
		do {
			if (g.has_poll)
				rig_answer_poll(&g);
			e = next_poll(&g);
		} while (e->poll.through_unix_ms < through);
		if (ago[i] == 1) {
			/* There is none, which is known: it is not asked for. */
			assert_int_equal(e->poll.history_through_unix_ms, 0);
			assert_true(g.r.history.seen);
			assert_int_equal(g.r.history.invocations, 0);
		} else {
			assert_int_equal(e->poll.history_through_unix_ms, through);
			assert_int_equal(e->poll.history_from_unix_ms,
					 ago[i] == MS_PER_HOUR ? verdict_period_end(since, HISTORY_PERIOD_MS)
							       : through - HISTORY_MS);
			assert_false(g.r.history.seen);
		}
		rig_deinit(&g);
	}
}

/* What lies before the first traffic must have settled: the first poll may come too early for that. */
static void the_history_must_have_settled(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g);
	g.metrics[0] = (struct spec_metric){
	    .kind = SPEC_METRIC_COMPARE, .false_alarm_ppm = 10000, .min_effect_permille = 1250, .min_invocations = 1};
	g.spec.analysis.settle_ms = 10 * MIN;
	rig_simple(&g, EVENT_START);
	rig_run_to_weight(&g, 1);
	run_to_poll(&g);
	assert_true(g.poll_through < g.r.first_traffic_unix_ms - HISTORY_PERIOD_MS);
	assert_int_equal(g.history_through, 0);
	rig_deinit(&g);
}

/* --- alarms that an operator has excused --- */

static void excused(struct rig *g)
{
	rig_init(g);
	g->metrics[0] = (struct spec_metric){.kind = SPEC_METRIC_ALARM, .alarm = "hello-5xx"};
	g->r.despite_alarms = true;
	g->alarms[0] = ALARM_ALARM;
	rig_simple(g, EVENT_START);
	rig_run_to_weight(g, 1);
	assert_int_equal(g->r.excused_alarms, 1);
	run_to_poll(g);
	rig_answer_poll(g);
	assert_int_equal(g->r.excused_alarms, 1);
	assert_int_equal(g->r.goal, GOAL_FORWARD);
}

static void an_excused_alarm_holds_nothing_up(void **state)
{
	struct rig g;

	(void)state;
	excused(&g);
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	rig_deinit(&g);
}

/* From when it was seen in another state, whichever, it counts as any other does. */
static void an_alarm_is_excused_until_it_was_over(void **state)
{
	static const enum alarm_state others[] = {ALARM_OK, ALARM_INSUFFICIENT};

	(void)state;
	for (size_t i = 0; i < array_len(others); i++) {
		struct rig g;

		excused(&g);
		/* That it is not there, or could not be read, says nothing about it. */
		g.alarms[0] = ALARM_MISSING;
		run_to_poll(&g);
		rig_answer_poll(&g);
		g.alarms[0] = ALARM_ALARM;
		run_to_poll(&g);
		rig_answer_poll(&g);
		assert_int_equal(g.r.goal, GOAL_FORWARD);
		g.alarms[0] = others[i];
		run_to_poll(&g);
		rig_answer_poll(&g);
		assert_int_equal(g.r.excused_alarms, 0);
		g.alarms[0] = ALARM_ALARM;
		run_to_poll(&g);
		rig_answer_poll(&g);
		assert_int_equal(g.r.goal, GOAL_HOME);
		rig_deinit(&g);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_poll_that_decides_comes_as_soon_as_it_can),
	    cmocka_unit_test(an_answer_to_an_older_poll_decides_nothing),
	    cmocka_unit_test(metrics_decide_nothing_while_it_is_blocked),
	    cmocka_unit_test(evidence_for_one_weight_is_none_for_the_next),
	    cmocka_unit_test(alarms_that_cannot_be_read_never_pass),
	    cmocka_unit_test(few_requests_pass_where_the_plan_says_so),
	    cmocka_unit_test(few_requests_do_not_hide_what_is_to_come),
	    cmocka_unit_test(what_runs_dry_is_not_waited_for),
	    cmocka_unit_test(a_short_step_after_another_rollout),
	    cmocka_unit_test(a_minimum_is_waited_for_by_the_clock_too),
	    cmocka_unit_test(a_weight_without_an_answer_does_not_rise),
	    cmocka_unit_test(each_step_bakes_by_itself),
	    cmocka_unit_test(a_full_promote_does_not_skip_the_final_bake),
	    cmocka_unit_test(data_that_is_there_is_not_missing),
	    cmocka_unit_test(a_failure_calls_the_next_weight_back),
	    cmocka_unit_test(a_failure_that_lasts_is_said_once),
	    cmocka_unit_test(unreadable_metrics_are_told_and_so_is_their_end),
	    cmocka_unit_test(trouble_with_the_alias_is_the_graver_one),
	    cmocka_unit_test(the_clock_does_not_go_on_in_the_dark),
	    cmocka_unit_test(a_hold_that_is_over_waits_for_the_alias),
	    cmocka_unit_test(the_last_look_is_the_very_last),
	    cmocka_unit_test(a_clock_set_back_does_not_stop_the_final_bake),
	    cmocka_unit_test(a_clock_set_back_does_not_put_off_the_judgement),
	    cmocka_unit_test(what_runs_dry_is_told_once),
	    cmocka_unit_test(the_history_is_asked_for_until_it_is_there),
	    cmocka_unit_test(the_history_is_of_the_stable_version_alone),
	    cmocka_unit_test(the_history_must_have_settled),
	    cmocka_unit_test(an_excused_alarm_holds_nothing_up),
	    cmocka_unit_test(an_alarm_is_excused_until_it_was_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
