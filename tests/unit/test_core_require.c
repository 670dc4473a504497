/*
 * What only a fault of the program can bring about stops it, in release builds as well: a caller that was never
 * validated, a name that does not exist. Each require() of lib/core is met here once; nothing from outside reaches one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "core/step.h"
#include "core_rig.h"

/* Stands before the library's own, which would abort: the test goes on from here. */
void require_failed(const char *file, int line, const char *condition)
{
	mock_assert(0, condition, file, line);
	abort(); /* mock_assert does not come back */
}

/* --- specifications that nobody has validated --- */

struct change {
	const char *what;
	void (*make)(struct rig *g);
};

static void weightless(struct rig *g)
{
	g->steps[0].weight_bp = 0;
}

static void falling(struct rig *g)
{
	g->steps[1].weight_bp = g->steps[0].weight_bp;
}

static void whole(struct rig *g)
{
	g->steps[1].weight_bp = WEIGHT_BP_MAX;
}

static void unbaked(struct rig *g)
{
	g->steps[0].bake_ms = 0;
}

static void too_many_steps(struct rig *g)
{
	g->spec.n_steps = LIMIT_STEPS + 1;
}

static void final_bake_below_nothing(struct rig *g)
{
	g->spec.final_bake_ms = -1;
}

static void soak_below_nothing(struct rig *g)
{
	g->spec.soak_ms = -1;
}

static void experiment_of_two_steps(struct rig *g)
{
	g->spec.experiment = true;
}

static void rollout_that_ends_home(struct rig *g)
{
	g->spec.experiment_ends_home = true;
}

static void probed_without_end(struct rig *g)
{
	g->spec.probe.payload = "probe.json";
}

static void never_read(struct rig *g)
{
	g->spec.analysis.every_ms = 0;
}

static void settled_before_its_end(struct rig *g)
{
	g->spec.analysis.settle_ms = -1;
}

static void no_period(struct rig *g)
{
	g->spec.analysis.period_ms = 0;
}

static void no_hold(struct rig *g)
{
	g->spec.analysis.hold_limit_ms = 0;
}

static void unwatched(struct rig *g)
{
	g->spec.analysis.n_metrics = 0;
}

static void too_many_metrics(struct rig *g)
{
	g->spec.analysis.n_metrics = LIMIT_METRICS + 1;
}

static void judged_on_nothing(struct rig *g)
{
	g->metrics[0].min_invocations = 0;
}

static void nameless_alarm(struct rig *g)
{
	g->metrics[0] = (struct spec_metric){.kind = SPEC_METRIC_ALARM, .alarm = NULL};
}

static struct spec_metric *as(struct rig *g, enum spec_metric_kind kind)
{
	g->metrics[0] = (struct spec_metric){.kind = kind,
					     .min_invocations = 1,
					     .failure_limit = 1,
					     .false_alarm_ppm = 1,
					     .min_effect_permille = 1001,
					     .stat = "p99",
					     .api = "a",
					     .stage = "s",
					     .queries = "[]",
					     .returns = "q"};
	return &g->metrics[0];
}

static void always_alarmed(struct rig *g)
{
	as(g, SPEC_METRIC_COMPARE)->false_alarm_ppm = 1000000;
}

static void never_alarmed(struct rig *g)
{
	as(g, SPEC_METRIC_COMPARE)->false_alarm_ppm = 0;
}

static void without_effect(struct rig *g)
{
	as(g, SPEC_METRIC_COMPARE)->min_effect_permille = 1000;
}

static void no_statistic(struct rig *g)
{
	as(g, SPEC_METRIC_DURATION)->stat = NULL;
}

static void no_api(struct rig *g)
{
	as(g, SPEC_METRIC_API_5XX)->api = NULL;
}

static void no_stage(struct rig *g)
{
	as(g, SPEC_METRIC_API_5XX)->stage = NULL;
}

static void no_queries(struct rig *g)
{
	as(g, SPEC_METRIC_QUERY)->queries = NULL;
}

static void nothing_returned(struct rig *g)
{
	as(g, SPEC_METRIC_QUERY)->returns = NULL;
}

static void failing_at_once(struct rig *g)
{
	as(g, SPEC_METRIC_THROTTLES)->failure_limit = 0;
}

static const struct change changes[] = {
    {"a step without weight", weightless},
    {"weights that do not rise", falling},
    {"a step of 100 %", whole},
    {"a step without a bake", unbaked},
    {"more steps than LIMIT_STEPS", too_many_steps},
    {"a negative final bake", final_bake_below_nothing},
    {"a negative soak", soak_below_nothing},
    {"an experiment of two steps", experiment_of_two_steps},
    {"a rollout that is no experiment and ends home", rollout_that_ends_home},
    {"probes without a pause between them", probed_without_end},
    {"metrics that are never read", never_read},
    {"metrics believed before their end", settled_before_its_end},
    {"no metric period", no_period},
    {"no limit of a hold", no_hold},
    {"no metric at all", unwatched},
    {"more metrics than LIMIT_METRICS", too_many_metrics},
    {"a rate judged on no request", judged_on_nothing},
    {"an alarm without a name", nameless_alarm},
    {"a comparison that always alarms", always_alarmed},
    {"a comparison that never does", never_alarmed},
    {"a comparison for no effect", without_effect},
    {"a duration of no statistic", no_statistic},
    {"answers of no API", no_api},
    {"answers of no stage", no_stage},
    {"no queries", no_queries},
    {"queries that return nothing", nothing_returned},
    {"failing on no period", failing_at_once},
};

/* Both ways into the state machine: a new rollout, and one from the store. A function of its own, as what stops a step
 * leaves by longjmp. */
static void refuse(const struct change *change)
{
	struct rig g;

	rig_init(&g);
	change->make(&g);
	print_message("%s\n", change->what);
	expect_assert_failure(rig_simple(&g, EVENT_START));
	assert_int_equal(g.r.phase, PHASE_PENDING);
	expect_assert_failure(rig_crash(&g, true));
	rig_deinit(&g);
}

static void a_specification_must_have_been_validated(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(changes); i++)
		refuse(&changes[i]);
}

/* The limits themselves are allowed: a plan may use all of what the loader lets through. */
static void the_largest_specification_is_taken(void **state)
{
	static struct spec_step steps[LIMIT_STEPS];
	static struct spec_metric metrics[LIMIT_METRICS];
	struct rig g;

	(void)state;
	rig_init(&g);
	for (uint32_t i = 0; i < LIMIT_STEPS; i++)
		steps[i] = (struct spec_step){WEIGHT_BP_MAX - LIMIT_STEPS + i, 1, 0, false};
	for (size_t i = 0; i < LIMIT_METRICS; i++)
		metrics[i] = (struct spec_metric){
		    .kind = SPEC_METRIC_ERRORS, .max_rate_ppm = 0, .min_invocations = 1, .failure_limit = 1};
	g.spec.steps = steps;
	g.spec.n_steps = LIMIT_STEPS;
	g.spec.analysis.metrics = metrics;
	g.spec.analysis.n_metrics = LIMIT_METRICS;
	g.spec.analysis.settle_ms = 0;
	g.spec.analysis.every_ms = g.spec.analysis.period_ms = g.spec.analysis.hold_limit_ms = 1;
	rig_simple(&g, EVENT_START);
	rig_assert_phase(&g, PHASE_PREPARING);
	rig_deinit(&g);
}

/* Each kind of metric, and where its values stand among all. */
static void every_kind_is_taken(void **state)
{
	static const unsigned values[] = {0, 0, 2, 2, 2, 0, 1};
	size_t first = 0;

	(void)state;
	for (unsigned kind = 0; kind < array_len(values); kind++) {
		struct spec_metric metrics[2];
		struct spec_analysis a = {.metrics = metrics, .n_metrics = 2};
		struct rig g;

		rig_init(&g);
		metrics[0] = metrics[1] = *as(&g, (enum spec_metric_kind)kind);
		metrics[0].alarm = g.metrics[0].alarm = "a";
		rig_simple(&g, EVENT_START);
		rig_assert_phase(&g, PHASE_PREPARING);
		assert_int_equal(spec_metric_values(&metrics[0]), values[kind]);
		assert_int_equal(spec_first_value(&a, 2), 2 * values[kind]);
		first += values[kind];
		rig_deinit(&g);
	}
	assert_int_equal(first, 7);
}

/* --- steps of the state machine --- */

static void an_event_must_be_one(void **state)
{
	struct rig g;
	struct rollout_event unknown = {.kind = (enum rollout_event_kind)(EVENT_RELEASED + 1)};

	(void)state;
	rig_init(&g);
	expect_assert_failure(rig_event(&g, &unknown));
	g.now.boot_ms = -1;
	expect_assert_failure(rig_simple(&g, EVENT_TIMER));
	rig_deinit(&g);
}

static void a_state_must_fit_its_specification(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g);
	g.r.step = (uint32_t)g.spec.n_steps;
	assert_true(rollout_fits(&g.spec, &g.r));
	g.r.step++;
	assert_false(rollout_fits(&g.spec, &g.r));
	expect_assert_failure(rig_simple(&g, EVENT_TIMER));
	rig_deinit(&g);
}

static void a_command_must_be_answered(void **state)
{
	struct rig g;
	struct rollout_event e = {.kind = EVENT_COMMAND, .command = {.command = COMMAND_PAUSE}};
	enum rollout_answer answer;
	char text[LIMIT_REASON];

	(void)state;
	rig_init(&g);
	e.now = g.now;
	expect_assert_failure(rollout_step(&g.spec, &g.r, &g.samples, &e, &g.effects, NULL, text));
	expect_assert_failure(rollout_step(&g.spec, &g.r, &g.samples, &e, &g.effects, &answer, NULL));
	rollout_step(&g.spec, &g.r, &g.samples, &e, &g.effects, &answer, text);
	assert_int_equal(answer, ANSWER_DONE);
	rig_deinit(&g);
}

/* More effects than there is room for would be lost without a word. */
static void effects_have_room(void **state)
{
	struct rig g;
	struct turn t = {.r = &g.r, .effects = &g.effects};

	(void)state;
	rig_init(&g);
	g.effects.len = LIMIT_EFFECTS - 1;
	(void)turn_effect(&t, EFFECT_ENDED);
	expect_assert_failure((void)turn_effect(&t, EFFECT_ENDED));
	rig_deinit(&g);
}

/* --- values --- */

static void judge_without_values(struct rig *g)
{
	struct verdict_question q;
	struct verdict_result v;

	rollout_question(&g->spec, &g->r, &g->samples, g->now, &q);
	verdict_judge(&q, &v);
}

/* Samples that were not made for the metrics that are judged by them. */
static void samples_must_have_the_metrics_values(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g);
	(void)as(&g, SPEC_METRIC_DURATION);
	g.samples.n_values = 1;
	g.r.first_traffic_unix_ms = g.r.step_from_unix_ms = g.now.unix_ms - 5 * MS_PER_MINUTE;
	g.r.read_through_unix_ms = g.now.unix_ms;
	(void)samples_at(&g.samples, verdict_period_start(g.r.step_from_unix_ms, MS_PER_MINUTE));
	expect_assert_failure(judge_without_values(&g));
	rig_deinit(&g);
}

static void values_must_exist(void **state)
{
	const struct alias_target heavy = {1, 2, WEIGHT_BP_MAX + 1};
	char text[128];

	(void)state;
	expect_assert_failure(alias_target_format(&heavy, text, sizeof(text)));
	expect_assert_failure((void)rollout_phase_name((enum rollout_phase)(PHASE_BLOCKED + 1)));
	expect_assert_failure((void)rollout_command_name((enum rollout_command)(COMMAND_ROLLBACK + 1)));
	expect_assert_failure((void)rollout_announce_name((enum announce_kind)(ANNOUNCE_RELEASED + 1)));
	expect_assert_failure((void)verdict_name((enum verdict)(VERDICT_FAIL + 1)));
	expect_assert_failure((void)verdict_gap_name((enum verdict_gap)(VERDICT_GAP_UNREADABLE + 1)));
	expect_assert_failure((void)verdict_period_start(0, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_specification_must_have_been_validated),
	    cmocka_unit_test(the_largest_specification_is_taken),
	    cmocka_unit_test(every_kind_is_taken),
	    cmocka_unit_test(an_event_must_be_one),
	    cmocka_unit_test(a_state_must_fit_its_specification),
	    cmocka_unit_test(a_command_must_be_answered),
	    cmocka_unit_test(effects_have_room),
	    cmocka_unit_test(samples_must_have_the_metrics_values),
	    cmocka_unit_test(values_must_exist),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
