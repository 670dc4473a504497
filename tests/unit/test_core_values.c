/* What operators and the record see of a rollout: names, sentences about aliases, times, questions about a state. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/backoff.h"
#include "core_rig.h"

#define MIN MS_PER_MINUTE

static void an_alias_is_said_in_words(void **state)
{
	const struct {
		struct alias_view view;
		const char *text;
	} cases[] = {
	    {{.target = {.version = 7}}, "version 7"},
	    {{.target = {.version = VERSION_LATEST}}, "$LATEST"},
	    {{.target = {1, 2, 1000}}, "version 1 (90%) and version 2 (10%)"},
	    {{.target = {1, 2, 1}}, "version 1 (99.99%) and version 2 (0.01%)"},
	    {{.target = {1, 2, WEIGHT_BP_MAX}}, "version 1 (0%) and version 2 (100%)"},
	    {{.target = {.version = 3}, .odd = true}, "version 3 and further or uneven weights"},
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		char text[128];

		alias_view_format(&cases[i].view, text, sizeof(text));
		assert_string_equal(text, cases[i].text);
	}
}

/* The second version of an alias that sends nothing to it is of no account. */
static void targets_are_equal_by_the_traffic_they_send(void **state)
{
	const struct alias_target a = {1, 2, 1000}, all = {.version = 1};

	(void)state;
	assert_true(alias_target_equal(&a, &(struct alias_target){1, 2, 1000}));
	assert_true(alias_target_equal(&all, &(struct alias_target){1, 9, 0}));
	assert_false(alias_target_equal(&a, &(struct alias_target){3, 2, 1000}));
	assert_false(alias_target_equal(&a, &(struct alias_target){1, 2, 1001}));
	assert_false(alias_target_equal(&a, &(struct alias_target){1, 3, 1000}));
}

/* These names are in records, metrics and scripts: they never change. */
static void names_are_the_interface(void **state)
{
	static const char *const phases[] = {"pending",	    "preparing", "progressing", "paused",
					     "promoting",   "baking",	 "succeeded",	"rolling-back",
					     "rolled-back", "failed",	 "blocked"};
	static const char *const commands[] = {"pause", "resume", "promote", "promote --full", "rollback"};
	static const char *const announced[] = {"phase",   "weight",	"intent",	 "verdict", "command",
						"trouble", "recovered", "foreign-write", "released"};
	static const char *const gaps[] = {"none", "not-settled", "few", "no-data", "unreadable"};
	static const char *const verdicts[] = {"undecided", "pass", "fail"};

	(void)state;
	for (size_t i = 0; i < array_len(phases); i++) {
		enum rollout_phase phase = PHASE_PENDING;

		assert_string_equal(rollout_phase_name((enum rollout_phase)i), phases[i]);
		assert_true(rollout_phase_from_name(phases[i], &phase));
		assert_int_equal(phase, i);
	}
	for (size_t i = 0; i < array_len(commands); i++)
		assert_string_equal(rollout_command_name((enum rollout_command)i), commands[i]);
	for (size_t i = 0; i < array_len(announced); i++)
		assert_string_equal(rollout_announce_name((enum announce_kind)i), announced[i]);
	for (size_t i = 0; i < array_len(gaps); i++)
		assert_string_equal(verdict_gap_name((enum verdict_gap)i), gaps[i]);
	for (size_t i = 0; i < array_len(verdicts); i++)
		assert_string_equal(verdict_name((enum verdict)i), verdicts[i]);
}

static void an_unknown_phase_is_no_phase(void **state)
{
	enum rollout_phase phase = PHASE_BLOCKED;

	(void)state;
	assert_false(rollout_phase_from_name("Succeeded", &phase));
	assert_false(rollout_phase_from_name("", &phase));
	assert_int_equal(phase, PHASE_BLOCKED);
}

static void all_reasons_for_a_pause_are_named(void **state)
{
	const struct {
		uint32_t pause;
		const char *text;
	} cases[] = {
	    {0, ""},
	    {PAUSE_APPROVAL, "approval"},
	    {PAUSE_OPERATOR | PAUSE_HOLD_LIMIT, "operator+hold-limit"},
	    {PAUSE_OPERATOR | PAUSE_APPROVAL | PAUSE_HOLD_LIMIT | PAUSE_FAILURE,
	     "operator+approval+hold-limit+failure"},
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		char text[48];

		rollout_pause_format(cases[i].pause, text);
		assert_string_equal(text, cases[i].text);
	}
}

/* Metric periods lie on one grid for all times: a host whose clock begins in 1970 looks back to before it. */
static void periods_lie_on_one_grid(void **state)
{
	const struct {
		int64_t at, start, end;
	} cases[] = {
	    {0, 0, 0},	   {1, 0, MIN},	       {MIN - 1, 0, MIN},	   {MIN, MIN, MIN},
	    {-1, -MIN, 0}, {-MIN, -MIN, -MIN}, {-MIN - 1, -2 * MIN, -MIN},
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		assert_int_equal(verdict_period_start(cases[i].at, MIN), cases[i].start);
		assert_int_equal(verdict_period_end(cases[i].at, MIN), cases[i].end);
	}
}

/* The length that `validate` and `status` show: with evidence each window waits for its last period to settle too. */
static void the_length_shown_is_the_real_one(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g);
	assert_int_equal(spec_bake_ms(&g.spec), 10 * MIN);
	assert_int_equal(spec_expected_ms(&g.spec), 10 * MIN + 2 * (MIN / 2 + MIN));
	g.spec.analysis.pace = SPEC_PACE_CLOCK;
	assert_int_equal(spec_expected_ms(&g.spec), 10 * MIN + (MIN / 2 + MIN));
	g.spec.final_bake_ms = 3 * MIN;
	assert_int_equal(spec_bake_ms(&g.spec), 13 * MIN);
	assert_int_equal(spec_expected_ms(&g.spec), 13 * MIN + 2 * (MIN / 2 + MIN));
	g.spec.n_steps = 0;
	assert_int_equal(spec_expected_ms(&g.spec), 3 * MIN + MIN / 2 + MIN);
	g.spec.final_bake_ms = 0;
	assert_int_equal(spec_expected_ms(&g.spec), 0);
	rig_deinit(&g);
}

/* One live rollout for each alias: who owns it, and who may begin. */
static void who_owns_the_alias_and_who_may_start(void **state)
{
	const struct {
		enum rollout_phase phase;
		bool owns, ended;
	} cases[] = {
	    {PHASE_PENDING, false, false},  {PHASE_PREPARING, true, false},    {PHASE_PROGRESSING, true, false},
	    {PHASE_PAUSED, true, false},    {PHASE_PROMOTING, true, false},    {PHASE_BAKING, true, false},
	    {PHASE_SUCCEEDED, false, true}, {PHASE_ROLLING_BACK, true, false}, {PHASE_ROLLED_BACK, false, true},
	    {PHASE_FAILED, false, true},    {PHASE_BLOCKED, true, false},
	};
	struct rig g;

	(void)state;
	rig_init(&g);
	for (size_t i = 0; i < array_len(cases); i++) {
		g.r.phase = cases[i].phase;
		assert_int_equal(rollout_owns_alias(&g.r), cases[i].owns);
		assert_int_equal(rollout_ended(&g.r), cases[i].ended);
		assert_int_equal(rollout_may_start(&g.spec, &g.r), cases[i].phase == PHASE_PENDING);
	}
	g.r.phase = PHASE_PENDING;
	g.r.pause = PAUSE_OPERATOR;
	assert_false(rollout_may_start(&g.spec, &g.r));
	g.r.pause = 0;
	g.spec.start_manual = true;
	assert_false(rollout_may_start(&g.spec, &g.r));
	g.r.advance = true;
	assert_true(rollout_may_start(&g.spec, &g.r));
	rig_deinit(&g);
}

/* Whether it may start is asked before every start: one that was paused meanwhile stays where it is. */
static void a_start_that_comes_too_late_does_nothing(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g);
	assert_int_equal(rig_command(&g, COMMAND_PAUSE), ANSWER_DONE);
	rig_simple(&g, EVENT_START);
	rig_assert_phase(&g, PHASE_PENDING);
	assert_false(g.has_prepare);
	rig_deinit(&g);
}

static void the_canarys_share_is_what_the_alias_says(void **state)
{
	const struct {
		struct alias_target live;
		uint32_t bp;
	} cases[] = {
	    {{.version = 1}, 0},
	    {{1, 2, 2500}, 2500},
	    {{.version = 2}, WEIGHT_BP_MAX},
	    {{1, 9, 2500}, 0},
	};
	struct rollout r = {.stable = 1, .canary = 2};

	(void)state;
	r.live.version = 2;
	assert_int_equal(rollout_weight_bp(&r), 0); /* nothing is known before it is prepared */
	r.prepared = true;
	for (size_t i = 0; i < array_len(cases); i++) {
		r.live = cases[i].live;
		assert_int_equal(rollout_weight_bp(&r), cases[i].bp);
	}
}

static void the_bake_is_counted_from_its_mark(void **state)
{
	struct rollout r = {.phase = PHASE_PROGRESSING, .baked_ms = 1000, .bake_mark_boot_ms = 5000};

	(void)state;
	assert_int_equal(rollout_baked_ms(&r, 9000), 0); /* nothing bakes before the weight holds */
	r.applied = true;
	assert_int_equal(rollout_baked_ms(&r, 9000), 5000);
	assert_int_equal(rollout_baked_ms(&r, 4999), 1000); /* a view between a crash and its repair */
	r.phase = PHASE_SUCCEEDED;
	assert_int_equal(rollout_baked_ms(&r, 9000), 1000);
}

/* What `status` says about the next step: the end of the bake, or when its metrics have settled, whatever is later. */
static void the_next_step_is_foretold(void **state)
{
	struct rig g;
	int64_t landed;

	(void)state;
	rig_init(&g);
	assert_int_equal(rollout_next_step_unix_ms(&g.spec, &g.r, g.now), 0);
	rig_simple(&g, EVENT_START);
	rig_run_to_weight(&g, 1);
	landed = g.now.unix_ms;
	assert_int_equal(rollout_next_step_unix_ms(&g.spec, &g.r, g.now),
			 verdict_settled_at(landed + 5 * MIN, &g.spec.analysis));
	g.spec.analysis.pace = SPEC_PACE_CLOCK;
	assert_int_equal(rollout_next_step_unix_ms(&g.spec, &g.r, g.now), landed + 5 * MIN);
	g.spec.n_steps = 1; /* the promotion waits for evidence in any case */
	assert_int_equal(rollout_next_step_unix_ms(&g.spec, &g.r, g.now),
			 verdict_settled_at(landed + 5 * MIN, &g.spec.analysis));
	g.spec.n_steps = 2;
	g.spec.analysis.pace = SPEC_PACE_EVIDENCE;
	/* Overdue, as it is held: it can come now. */
	g.now.unix_ms += MS_PER_HOUR;
	g.now.boot_ms += MS_PER_HOUR;
	assert_int_equal(rollout_next_step_unix_ms(&g.spec, &g.r, g.now), g.now.unix_ms);
	rig_expect(&g, COMMAND_PAUSE, ANSWER_DONE, "paused");
	assert_int_equal(rollout_next_step_unix_ms(&g.spec, &g.r, g.now), 0);
	rig_deinit(&g);
}

static void the_final_bake_is_foretold_as_well(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g);
	g.spec.final_bake_ms = 10 * MIN;
	rig_simple(&g, EVENT_START);
	assert_true(rig_run_until(&g, PHASE_BAKING));
	assert_int_equal(rollout_next_step_unix_ms(&g.spec, &g.r, g.now),
			 verdict_settled_at(g.now.unix_ms + 10 * MIN, &g.spec.analysis));
	rig_deinit(&g);
}

/* A wait of nothing at all would turn a refusal into a busy loop. */
static void a_retry_always_waits(void **state)
{
	(void)state;
	for (uint64_t entropy = 0; entropy < 100; entropy++) {
		assert_int_equal(backoff_full_jitter_ms(0, 0, 0, entropy), 1);
		assert_int_equal(backoff_full_jitter_ms(5, 1, 1, entropy), 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_alias_is_said_in_words),
	    cmocka_unit_test(targets_are_equal_by_the_traffic_they_send),
	    cmocka_unit_test(names_are_the_interface),
	    cmocka_unit_test(an_unknown_phase_is_no_phase),
	    cmocka_unit_test(all_reasons_for_a_pause_are_named),
	    cmocka_unit_test(periods_lie_on_one_grid),
	    cmocka_unit_test(the_length_shown_is_the_real_one),
	    cmocka_unit_test(who_owns_the_alias_and_who_may_start),
	    cmocka_unit_test(a_start_that_comes_too_late_does_nothing),
	    cmocka_unit_test(the_canarys_share_is_what_the_alias_says),
	    cmocka_unit_test(the_bake_is_counted_from_its_mark),
	    cmocka_unit_test(the_next_step_is_foretold),
	    cmocka_unit_test(the_final_bake_is_foretold_as_well),
	    cmocka_unit_test(a_retry_always_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
