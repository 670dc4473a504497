/* Experiments: how they end, what they have shown, and what an operator can do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "core_rig.h"

#define MIN MS_PER_MINUTE
#define T0  (INT64_C(1795377600000)) /* a whole minute */

/* Stands before the library's own, which would abort: the test goes on from here. */
void require_failed(const char *file, int line, const char *condition)
{
	mock_assert(0, condition, file, line);
	abort(); /* mock_assert does not come back */
}

/* Half of the traffic for ten minutes. */
static void begin(struct rig *g, bool ends_home)
{
	rig_init(g);
	g->spec.n_steps = 1;
	g->spec.experiment = true;
	g->spec.experiment_ends_home = ends_home;
	g->steps[0].weight_bp = 5000;
	g->steps[0].bake_ms = 10 * MIN;
	rig_simple(g, EVENT_START);
	rig_run_to_weight(g, 1);
}

static struct experiment_result result_of(const struct rig *g)
{
	struct experiment_result x;

	rollout_experiment(&g->spec, &g->r, &g->samples, g->now, &x);
	return x;
}

static void assert_text(const char *have, const char *want)
{
	if (!strstr(have, want))
		print_message("%s\n", have);
	assert_non_null(strstr(have, want));
}

static void it_goes_back_when_its_time_is_over(void **state)
{
	struct rig g;
	struct experiment_result x;
	int64_t landed;

	(void)state;
	begin(&g, true);
	landed = g.now.unix_ms;
	g.canary_errors = 1;
	g.stable_errors = 54;
	rig_run_to_write(&g);
	assert_true(g.write.home);
	/* Not before its last period has settled and was judged. */
	assert_int_equal(g.now.unix_ms, verdict_settled_at(landed + 10 * MIN, &g.spec.analysis));
	rig_assert_phase(&g, PHASE_ROLLING_BACK);
	assert_true(rig_said(&g, ANNOUNCE_PHASE, "rolling-back: the experiment is over, as planned: version 2 failed"));
	assert_true(rig_run_until(&g, PHASE_ROLLED_BACK));
	assert_text(g.r.reason,
		    "the experiment is over, as planned: version 2 failed 11 of 6600 requests (0.17%), version "
		    "1 594 of 59400 (1%); version 2 fails less often, by 0.");
	assert_true(g.r.concluded);
	assert_false(g.quarantined_effect);
	assert_int_equal(g.ended_effects, 1);
	assert_int_equal(g.n_weights, 2);
	assert_int_equal(g.weights[1], 0);
	x = result_of(&g);
	assert_int_equal(x.finding, EXPERIMENT_CANARY);
	assert_non_null(strstr(g.r.reason, x.text));
	rig_deinit(&g);
}

static void one_that_goes_on_is_a_rollout_that_tells_what_it_found(void **state)
{
	struct rig g;

	(void)state;
	begin(&g, false);
	rig_run_to_write(&g);
	rig_assert_phase(&g, PHASE_PROMOTING);
	assert_true(
	    rig_said(&g, ANNOUNCE_PHASE, "promoting: the experiment is over, as planned: version 2 failed 0 of"));
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	assert_string_equal(g.r.reason, "");
	assert_false(g.r.concluded);
	assert_int_equal(result_of(&g).finding, EXPERIMENT_OPEN);
	rig_deinit(&g);
}

static void a_worse_canary_comes_back_at_once(void **state)
{
	struct rig g;

	(void)state;
	begin(&g, true);
	g.canary_errors = 300;
	assert_true(rig_run_until(&g, PHASE_ROLLED_BACK));
	assert_false(g.r.concluded);
	assert_true(g.quarantined_effect);
	assert_text(g.r.reason, "the canary failed");
	assert_int_equal(result_of(&g).finding, EXPERIMENT_STABLE);
	assert_text(result_of(&g).text, "; version 1 fails less often, by ");
	rig_deinit(&g);
}

static void without_evidence_it_is_held_as_ever(void **state)
{
	struct rig g;

	(void)state;
	begin(&g, true);
	g.metrics_missing = true;
	assert_true(rig_run_until(&g, PHASE_PAUSED));
	assert_int_equal(g.r.pause, PAUSE_HOLD_LIMIT);
	assert_int_equal(result_of(&g).finding, EXPERIMENT_NOTHING);
	rig_deinit(&g);
}

static void an_operator_can_end_it(void **state)
{
	struct rig g;

	(void)state;
	begin(&g, true);
	rig_expect(&g, COMMAND_PROMOTE, ANSWER_DONE, "ends the experiment now: all traffic goes back to version 1");
	assert_true(g.has_write && g.write.home);
	assert_true(rig_run_until(&g, PHASE_ROLLED_BACK));
	assert_true(g.r.concluded);
	assert_string_equal(g.r.reason,
			    "the experiment is over, by hand: nothing can be told, as no requests of version 2 "
			    "were counted");
	rig_deinit(&g);
}

static void an_operator_can_take_the_canary_on(void **state)
{
	struct rig g;

	(void)state;
	begin(&g, true);
	rig_expect(&g, COMMAND_PROMOTE_FULL, ANSWER_DONE, "goes to 100% now");
	assert_true(rig_said(&g, ANNOUNCE_PHASE, "promoting: the experiment is over, by hand: "));
	assert_true(rig_run_until(&g, PHASE_SUCCEEDED));
	assert_false(g.r.concluded);
	assert_int_equal(g.weights[1], WEIGHT_BP_MAX);
	rig_deinit(&g);
}

/* Before the weight has landed there is nothing to end: the word lets it go on from a pause. */
static void a_promotion_before_its_weight_ends_nothing(void **state)
{
	struct rig g;

	(void)state;
	rig_init(&g);
	g.spec.n_steps = 1;
	g.spec.experiment = g.spec.experiment_ends_home = true;
	rig_simple(&g, EVENT_START);
	rig_run_to_write(&g);
	(void)rig_command(&g, COMMAND_PAUSE);
	rig_end_write(&g, CALL_UNAVAILABLE);
	rig_expect(&g, COMMAND_PROMOTE, ANSWER_DONE, "takes the next step now");
	assert_false(g.r.concluded);
	assert_true(rig_run_until(&g, PHASE_ROLLED_BACK));
	assert_true(g.r.concluded);
	rig_deinit(&g);
}

/* Somebody else's change meets the way home; an operator's word leads on, and what was found is not forgotten. */
static void a_block_on_the_way_home_does_not_make_it_a_failure(void **state)
{
	struct rig g;

	(void)state;
	for (int rollback = 0; rollback <= 1; rollback++) {
		begin(&g, true);
		rig_run_to_write(&g);
		rig_human(&g, (struct alias_target){1, 2, 300});
		assert_true(rig_run_until(&g, PHASE_BLOCKED));
		(void)rig_command(&g, rollback ? COMMAND_ROLLBACK : COMMAND_RESUME);
		assert_true(rig_run_until(&g, PHASE_ROLLED_BACK));
		assert_true(g.r.concluded);
		assert_false(g.quarantined_effect);
		assert_text(g.r.reason, rollback ? "rolled back by" : "the experiment is over, as planned: version 2");
		rig_deinit(&g);
	}
}

static void a_rollback_before_its_end_is_one(void **state)
{
	struct rig g;

	(void)state;
	begin(&g, true);
	(void)rig_command(&g, COMMAND_ROLLBACK);
	assert_true(rig_run_until(&g, PHASE_ROLLED_BACK));
	assert_false(g.r.concluded);
	assert_true(g.quarantined_effect);
	rig_deinit(&g);
}

/* --- what it has shown --- */

struct fixture {
	struct spec_metric metric;
	struct spec_analysis analysis;
	struct samples samples;
	struct verdict_question q;
};

static void init(struct fixture *f)
{
	*f = (struct fixture){.metric = {.kind = SPEC_METRIC_COMPARE}};
	f->analysis = (struct spec_analysis){.settle_ms = MIN, .period_ms = MIN, .metrics = &f->metric, .n_metrics = 1};
	f->q = (struct verdict_question){
	    .analysis = &f->analysis,
	    .samples = &f->samples,
	    .now_unix_ms = T0 + 6 * MIN,
	    .rollout_from_unix_ms = T0,
	    .read_through_unix_ms = T0 + 5 * MIN,
	};
}

static void add(struct fixture *f, int minute, struct counts canary, struct counts stable)
{
	struct sample *s = samples_at(&f->samples, T0 + minute * MIN);

	s->canary = canary;
	s->stable = stable;
}

static void only_settled_periods_in_which_both_served_are_counted(void **state)
{
	struct fixture f;
	struct experiment_result x;

	(void)state;
	init(&f);
	for (int i = -1; i < 7; i++)
		add(&f, i, (struct counts){100, 1, true}, (struct counts){200, 3, true});
	experiment_judge(&f.q, 7, 8, &x);
	assert_int_equal(x.canary.invocations, 500);
	assert_int_equal(x.stable.invocations, 1000);
	assert_int_equal(x.stable.errors, 15);
	assert_true(x.stable.seen && x.canary.seen);
	assert_int_equal(x.from_unix_ms, T0);
	assert_int_equal(x.until_unix_ms, T0 + 5 * MIN);
	assert_text(x.text,
		    "version 8 failed 5 of 500 requests (1%), version 7 15 of 1000 (1.5%); which is better cannot "
		    "be told: version 8 fails at most ");
	assert_text(x.text, " of the requests more, or ");
	/* Once it has been promoted the canary serves alone: that is no comparison. */
	f.q.promoted_unix_ms = T0 + 2 * MIN + 1;
	experiment_judge(&f.q, 7, 8, &x);
	assert_int_equal(x.canary.invocations, 300);
	assert_int_equal(x.until_unix_ms, T0 + 3 * MIN);
	samples_deinit(&f.samples);
}

/* It lasts from the first period in which either version served to the last one. */
static void periods_without_requests_are_no_part_of_it(void **state)
{
	struct fixture f;
	struct experiment_result x;

	(void)state;
	init(&f);
	for (int i = 0; i < 5; i++)
		add(&f, i, (struct counts){0}, (struct counts){0});
	experiment_judge(&f.q, 7, 8, &x);
	assert_int_equal(x.from_unix_ms, 0);
	assert_int_equal(x.until_unix_ms, 0);
	add(&f, 1, (struct counts){100, 1, true}, (struct counts){0});
	experiment_judge(&f.q, 7, 8, &x);
	assert_int_equal(x.from_unix_ms, T0 + MIN);
	assert_int_equal(x.until_unix_ms, T0 + 2 * MIN);
	add(&f, 3, (struct counts){0}, (struct counts){200, 3, true});
	experiment_judge(&f.q, 7, 8, &x);
	assert_int_equal(x.from_unix_ms, T0 + MIN);
	assert_int_equal(x.until_unix_ms, T0 + 4 * MIN);
	assert_int_equal(x.canary.invocations, 100);
	assert_int_equal(x.stable.invocations, 200);
	samples_deinit(&f.samples);
}

/* Errors may be told before the requests that they are of. */
static void errors_without_their_requests_count_nothing_yet(void **state)
{
	struct fixture f;
	struct experiment_result x;

	(void)state;
	init(&f);
	add(&f, 0, (struct counts){100, 1, true}, (struct counts){100, 2, true});
	add(&f, 1, (struct counts){0, 50, false}, (struct counts){100, 2, true});
	experiment_judge(&f.q, 7, 8, &x);
	assert_int_equal(x.canary.invocations, 100);
	assert_int_equal(x.canary.errors, 1);
	assert_int_equal(x.finding, EXPERIMENT_OPEN);
	samples_deinit(&f.samples);
}

static void both_versions_must_have_served(void **state)
{
	struct fixture f;
	struct experiment_result x;

	(void)state;
	init(&f);
	add(&f, 0, (struct counts){100, 1, true}, (struct counts){0, 0, false});
	experiment_judge(&f.q, 7, 8, &x);
	assert_int_equal(x.finding, EXPERIMENT_NOTHING);
	assert_string_equal(x.text, "nothing can be told, as no requests of version 7 were counted");
	assert_true(x.canary.seen);
	assert_false(x.stable.seen);
	samples_deinit(&f.samples);
}

/* With much traffic a small difference is told, and how small: what is said is never less than what was found. */
static void small_differences_are_told_finely(void **state)
{
	struct fixture f;
	struct experiment_result x;

	(void)state;
	init(&f);
	add(&f, 0, (struct counts){100000000, 10000, true}, (struct counts){100000000, 20000, true});
	experiment_judge(&f.q, 7, 8, &x);
	assert_int_equal(x.finding, EXPERIMENT_CANARY);
	assert_text(x.text, "version 8 fails less often, by 0.0087% to 0.0113% of the requests");
	add(&f, 0, (struct counts){10000, 5000, true}, (struct counts){10000, 1000, true});
	experiment_judge(&f.q, 7, 8, &x);
	assert_int_equal(x.finding, EXPERIMENT_STABLE);
	assert_text(x.text, "version 7 fails less often, by 36.65% to 43.26% of");
	samples_deinit(&f.samples);
}

static void findings_have_names(void **state)
{
	(void)state;
	assert_string_equal(experiment_finding_name(EXPERIMENT_NOTHING), "no-data");
	assert_string_equal(experiment_finding_name(EXPERIMENT_OPEN), "open");
	assert_string_equal(experiment_finding_name(EXPERIMENT_CANARY), "canary");
	assert_string_equal(experiment_finding_name(EXPERIMENT_STABLE), "stable");
	expect_assert_failure((void)experiment_finding_name((enum experiment_finding)(EXPERIMENT_STABLE + 1)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(it_goes_back_when_its_time_is_over),
	    cmocka_unit_test(one_that_goes_on_is_a_rollout_that_tells_what_it_found),
	    cmocka_unit_test(a_worse_canary_comes_back_at_once),
	    cmocka_unit_test(without_evidence_it_is_held_as_ever),
	    cmocka_unit_test(an_operator_can_end_it),
	    cmocka_unit_test(an_operator_can_take_the_canary_on),
	    cmocka_unit_test(a_promotion_before_its_weight_ends_nothing),
	    cmocka_unit_test(a_block_on_the_way_home_does_not_make_it_a_failure),
	    cmocka_unit_test(a_rollback_before_its_end_is_one),
	    cmocka_unit_test(only_settled_periods_in_which_both_served_are_counted),
	    cmocka_unit_test(periods_without_requests_are_no_part_of_it),
	    cmocka_unit_test(errors_without_their_requests_count_nothing_yet),
	    cmocka_unit_test(both_versions_must_have_served),
	    cmocka_unit_test(small_differences_are_told_finely),
	    cmocka_unit_test(findings_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
