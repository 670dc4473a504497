/* Requests of rolloutd's own: when they are sent, what they count for. Periods are one minute, settle one minute. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core_rig.h"

#define T0  (INT64_C(1795377600000)) /* a whole minute */
#define MIN MS_PER_MINUTE

struct fixture {
	struct spec_metric metrics[2];
	struct spec_analysis analysis;
	struct samples samples;
	enum alarm_state alarms[LIMIT_METRICS];
	struct verdict_question q;
	struct verdict_result v;
};

/* A step of five minutes from T0, everything settled and read; at most 1 %, from 100 requests on, probes counted. */
static int setup(void **state)
{
	static struct fixture f;

	f = (struct fixture){0};
	f.metrics[0] = (struct spec_metric){.kind = SPEC_METRIC_ERRORS,
					    .max_rate_ppm = 10000,
					    .min_invocations = 100,
					    .failure_limit = 1,
					    .count_probes = true};
	f.analysis = (struct spec_analysis){
	    .every_ms = MIN, .settle_ms = MIN, .period_ms = MIN, .metrics = f.metrics, .n_metrics = 1};
	f.q = (struct verdict_question){
	    .analysis = &f.analysis,
	    .samples = &f.samples,
	    .alarms = f.alarms,
	    .now_unix_ms = T0 + 6 * MIN,
	    .rollout_from_unix_ms = T0,
	    .step_from_unix_ms = T0,
	    .step_until_unix_ms = T0 + 5 * MIN,
	    .read_through_unix_ms = T0 + 5 * MIN,
	};
	*state = &f;
	return 0;
}

static int setup_compare(void **state)
{
	struct fixture *f;

	(void)setup(state);
	f = *state;
	f->metrics[0] = (struct spec_metric){.kind = SPEC_METRIC_COMPARE,
					     .false_alarm_ppm = 10000,
					     .min_effect_permille = 1250,
					     .min_invocations = 20,
					     .count_probes = true};
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	samples_deinit(&f->samples);
	return 0;
}

static void probe(struct fixture *f, int minute, uint64_t invocations, uint64_t errors)
{
	samples_at(&f->samples, T0 + minute * MIN)->probe_canary = (struct counts){invocations, errors, true};
}

static void probe_stable(struct fixture *f, int minute, uint64_t invocations, uint64_t errors)
{
	samples_at(&f->samples, T0 + minute * MIN)->probe_stable = (struct counts){invocations, errors, true};
}

static void serve(struct fixture *f, int minute, uint64_t invocations, uint64_t errors)
{
	samples_at(&f->samples, T0 + minute * MIN)->canary = (struct counts){invocations, errors, true};
}

static enum verdict judge(struct fixture *f)
{
	verdict_judge(&f->q, &f->v);
	return f->v.verdict;
}

static void assert_says(const struct fixture *f, const char *text)
{
	if (!strstr(f->v.why, text))
		print_message("%s\n", f->v.why);
	assert_non_null(strstr(f->v.why, text));
}

/* --- against a limit --- */

static void probes_make_up_for_requests_that_are_missing(void **state)
{
	struct fixture *f = *state;

	serve(f, 0, 40, 0);
	assert_int_equal(judge(f), VERDICT_UNDECIDED);
	assert_int_equal(f->v.gap, VERDICT_GAP_FEW);
	probe(f, 1, 60, 0);
	assert_int_equal(judge(f), VERDICT_PASS);
	assert_says(f, "the canary failed 0 of 100 requests (0%, probes included) at the current weight");
	/* What CloudWatch says is shown as it is. */
	assert_int_equal(f->v.canary_all.invocations, 40);
	assert_int_equal(f->v.probe_canary.invocations, 60);
	assert_false(f->v.probe_stable.seen);
	/* Who does not want them counted has them for nothing but warmth. */
	f->metrics[0].count_probes = false;
	assert_int_equal(judge(f), VERDICT_UNDECIDED);
	assert_says(f, "the canary has served 40 of the 100 requests");
}

static void a_quiet_function_has_data_by_its_probes_alone(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(judge(f), VERDICT_UNDECIDED);
	assert_int_equal(f->v.gap, VERDICT_GAP_NO_DATA);
	probe(f, 2, 300, 3);
	assert_int_equal(judge(f), VERDICT_PASS);
	probe(f, 2, 300, 4);
	assert_int_equal(judge(f), VERDICT_FAIL);
	assert_says(f,
		    "the canary failed 4 of 300 requests (1.33%, probes included) at the current weight; at most 1%");
}

/* The bake's own metrics must have been read all the same: nobody knows what users have met. */
static void probes_do_not_stand_for_what_was_not_read(void **state)
{
	struct fixture *f = *state;

	probe(f, 2, 300, 0);
	f->q.read_through_unix_ms = T0 + 2 * MIN;
	assert_int_equal(judge(f), VERDICT_UNDECIDED);
	assert_int_equal(f->v.gap, VERDICT_GAP_UNREADABLE);
}

/* They are counted here, so there is nothing to wait for: but a period that is not over may still grow. */
static void a_period_counts_as_soon_as_it_is_over(void **state)
{
	struct fixture *f = *state;

	f->q.now_unix_ms = T0 + 3 * MIN - 1;
	probe(f, 2, 300, 300);
	assert_int_equal(judge(f), VERDICT_UNDECIDED);
	assert_false(f->v.probe_canary.seen);
	f->q.now_unix_ms = T0 + 3 * MIN;
	assert_int_equal(judge(f), VERDICT_FAIL);
	/* … while what CloudWatch says of it is not believed yet. */
	probe(f, 2, 0, 0);
	serve(f, 2, 300, 300);
	assert_int_equal(judge(f), VERDICT_UNDECIDED);
}

static void a_single_period_can_fail_by_its_probes(void **state)
{
	struct fixture *f = *state;

	serve(f, 0, 10000, 0);
	serve(f, 1, 50, 1);
	probe(f, 1, 49, 1);
	assert_int_equal(judge(f), VERDICT_PASS);
	probe(f, 1, 50, 1);
	assert_int_equal(judge(f), VERDICT_FAIL);
	assert_says(f, "the canary failed 2 of 100 requests (2%, probes included) in the period from 2026-11-22T");
}

static void earlier_steps_are_not_the_current_one(void **state)
{
	struct fixture *f = *state;

	f->q.step_from_unix_ms = T0 + 3 * MIN + 1;
	probe(f, -1, 1000, 1000); /* before the rollout */
	probe(f, 2, 1000, 0);
	probe(f, 3, 99, 0);
	assert_int_equal(judge(f), VERDICT_UNDECIDED);
	assert_says(f, "has served 99 of the 100 requests needed at the current weight");
	probe(f, 3, 100, 0);
	assert_int_equal(judge(f), VERDICT_PASS);
	assert_int_equal(f->v.probe_canary.invocations, 1100);
}

static void a_steps_own_minimum_is_of_what_is_counted(void **state)
{
	struct fixture *f = *state;

	f->q.step_min_invocations = 200;
	serve(f, 0, 100, 0);
	probe(f, 0, 99, 0);
	assert_int_equal(judge(f), VERDICT_UNDECIDED);
	assert_false(f->v.min_met);
	assert_says(f, "has served 199 of the 200 requests");
	probe(f, 0, 100, 0);
	assert_int_equal(judge(f), VERDICT_PASS);
	assert_true(f->v.min_met);
	f->metrics[0].count_probes = false;
	assert_int_equal(judge(f), VERDICT_UNDECIDED);
	assert_says(f, "has served 100 of the 200 requests");
	/* What runs dry counts them for itself alone. */
	f->metrics[1] = f->metrics[0];
	f->metrics[1].count_probes = true;
	f->metrics[1].dry_run = true;
	f->analysis.n_metrics = 2;
	assert_int_equal(judge(f), VERDICT_UNDECIDED);
	assert_says(f, "has served 100 of the 200 requests");
}

/* --- compared --- */

static void probes_of_both_are_compared(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 5; i++) {
		probe(f, i, 30, 0);
		probe_stable(f, i, 30, 0);
	}
	assert_int_equal(judge(f), VERDICT_PASS);
	assert_says(f, "the canary failed 0 of 150 requests (0%), the stable version 0 of 150 (0%, probes included); ");
	for (int i = 0; i < 5; i++)
		probe(f, i, 30, 8);
	assert_int_equal(judge(f), VERDICT_FAIL);
	assert_int_equal(f->v.probe_stable.invocations, 150);
	f->metrics[0].count_probes = false;
	assert_int_equal(judge(f), VERDICT_UNDECIDED);
}

/*
 * Both versions fail one in a hundred users, and every probe. Taken together the canary, most of whose requests are
 * probes, would look far worse.
 */
static void probes_and_users_are_not_mixed(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 5; i++) {
		struct sample *s = samples_at(&f->samples, T0 + i * MIN);

		s->canary = (struct counts){100, 1, true};
		s->stable = (struct counts){9900, 99, true};
		s->probe_canary = (struct counts){1000, 1000, true};
		s->probe_stable = (struct counts){1000, 1000, true};
	}
	assert_int_equal(judge(f), VERDICT_PASS);
}

/* The stable version's probes were not answered: what the canary's meet has nothing beside it. */
static void probes_of_one_alone_tell_nothing(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 5; i++)
		probe(f, i, 30, 30);
	assert_int_equal(judge(f), VERDICT_PASS);
	/* With fewer than it takes for a block nothing is weighed either. */
	probe_stable(f, 0, 5, 0);
	for (int i = 0; i < 5; i++)
		probe(f, i, i == 0 ? 4 : 0, i == 0 ? 4 : 0);
	assert_int_equal(judge(f), VERDICT_UNDECIDED);
	assert_int_equal(f->v.gap, VERDICT_GAP_FEW);
}

/* --- when --- */

static void the_canary_is_probed_while_it_is_watched(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g);
	g.spec.probe = (struct spec_probe){.payload = "probe.json", .every_ms = 1000};
	g.spec.final_bake_ms = 5 * MIN;
	assert_false(rollout_is_probed(&g.spec, &g.r));
	rig_simple(&g, EVENT_START);
	rig_run_to_write(&g);
	assert_false(rollout_is_probed(&g.spec, &g.r));
	rig_run_to_weight(&g, 1);
	assert_true(rollout_is_probed(&g.spec, &g.r));
	(void)rig_command(&g, COMMAND_PAUSE);
	assert_true(rollout_is_probed(&g.spec, &g.r));
	(void)rig_command(&g, COMMAND_RESUME);
	assert_true(rig_run_until(&g, PHASE_BAKING));
	assert_true(rollout_is_probed(&g.spec, &g.r));
	(void)rig_command(&g, COMMAND_ROLLBACK);
	rig_assert_phase(&g, PHASE_ROLLING_BACK);
	assert_false(rollout_is_probed(&g.spec, &g.r));
	assert_true(rig_run_until(&g, PHASE_ROLLED_BACK));
	assert_false(rollout_is_probed(&g.spec, &g.r));
	rig_deinit(&g);
}

static void nothing_is_probed_without_a_word_or_while_blocked(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g);
	rig_simple(&g, EVENT_START);
	rig_run_to_weight(&g, 1);
	assert_false(rollout_is_probed(&g.spec, &g.r));
	g.spec.probe = (struct spec_probe){.payload = "probe.json", .every_ms = 1000};
	rig_run_to_write(&g);
	rig_human(&g, (struct alias_target){.version = 7});
	assert_true(rig_run_until(&g, PHASE_BLOCKED));
	assert_false(rollout_is_probed(&g.spec, &g.r));
	rig_deinit(&g);
}

static void the_stable_version_is_probed_where_probes_are_compared(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g);
	g.metrics[0].count_probes = true;
	assert_false(spec_probes_stable(&g.spec));
	g.metrics[0].kind = SPEC_METRIC_COMPARE;
	assert_true(spec_probes_stable(&g.spec));
	g.metrics[0].count_probes = false;
	assert_false(spec_probes_stable(&g.spec));
	rig_deinit(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(probes_make_up_for_requests_that_are_missing, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_quiet_function_has_data_by_its_probes_alone, setup, teardown),
	    cmocka_unit_test_setup_teardown(probes_do_not_stand_for_what_was_not_read, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_period_counts_as_soon_as_it_is_over, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_single_period_can_fail_by_its_probes, setup, teardown),
	    cmocka_unit_test_setup_teardown(earlier_steps_are_not_the_current_one, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_steps_own_minimum_is_of_what_is_counted, setup, teardown),
	    cmocka_unit_test_setup_teardown(probes_of_both_are_compared, setup_compare, teardown),
	    cmocka_unit_test_setup_teardown(probes_and_users_are_not_mixed, setup_compare, teardown),
	    cmocka_unit_test_setup_teardown(probes_of_one_alone_tell_nothing, setup_compare, teardown),
	    cmocka_unit_test(the_canary_is_probed_while_it_is_watched),
	    cmocka_unit_test(nothing_is_probed_without_a_word_or_while_blocked),
	    cmocka_unit_test(the_stable_version_is_probed_where_probes_are_compared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
