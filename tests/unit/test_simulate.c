/* Rollouts simulated by lib/simulate: how they end, what they count, and that chance is fair. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/poisson.h"
#include "plan/plan.h"
#include "simulate/simulate.h"

#define RUNS  20
#define STEPS "steps: [{weight: 10%, bake: 2m}, {weight: 50%, bake: 2m}]\n"
#define LIMIT "metrics: [{errors: {max_rate: 5%, min_invocations: 20}}]"

static struct plan *load_plan(const char *how)
{
	struct diags *diags cleanup(mem_free_p) = mem_alloc(sizeof(*diags));
	char text[1024];
	struct plan *p;

	(void)snprintf(text, sizeof(text),
		       "apiVersion: rolloutd/v1\nkind: Rollout\nname: hello-prod\nfunction: hello\nalias: prod\n%s\n",
		       how);
	p = plan_load(text, strlen(text), diags);
	if (!p)
		fail_msg("%s", diags->items[0].text);
	diags_deinit(diags);
	return p;
}

static struct simulate_summary simulate(const char *how, double rps, double stable, double canary)
{
	struct plan *p = load_plan(how);
	struct simulate_load load = {rps, stable, canary};
	struct simulate_run runs[RUNS];
	struct simulate_summary m;

	for (unsigned i = 0; i < RUNS; i++)
		simulate_run(p, &load, simulate_seed(3, i), &runs[i]);
	simulate_summarise(runs, RUNS, &m);
	plan_free(p);
	return m;
}

static void test_a_good_and_a_bad_one(void **state)
{
	struct simulate_summary good = simulate("version: 2\n" STEPS "analysis: {" LIMIT "}", 20, 0.001, 0.001);
	struct simulate_summary bad = simulate("version: 2\n" STEPS "analysis: {" LIMIT "}", 20, 0.001, 0.5);

	(void)state;
	assert_int_equal(good.ends[SIMULATE_SUCCEEDED], RUNS);
	assert_int_equal(good.back_ms.n, 0);
	/* Two bakes, each with the rest of its period and a minute to settle. */
	assert_in_range(good.through_ms.p10, 360 * 1000, 440 * 1000);
	assert_in_range(good.through_ms.p90, 360 * 1000, 490 * 1000);
	assert_int_equal(bad.ends[SIMULATE_ROLLED_BACK], RUNS);
	/* 20 requests at 2/s, the period's end, a minute. */
	assert_in_range(bad.back_ms.p10, 60 * 1000, 100 * 1000);
	assert_in_range(bad.back_ms.p90, 90 * 1000, 140 * 1000);
	/* One of two requests at 2/s fails, for 1 to 2 1/3 minutes. */
	assert_in_range(bad.failed.p10, 50, 100);
	assert_in_range(bad.failed.p90, 90, 150);
	assert_float_equal(bad.failed_share, 0.05, 0.01);
}

static void test_other_ends(void **state)
{
#define QUICK "every: 1m, hold_limit: 10m, " LIMIT
	struct simulate_summary m;

	(void)state;
	m = simulate("version: 2\n" STEPS "analysis: {" QUICK "}", 0.01, 0, 0);
	assert_int_equal(m.ends[SIMULATE_HELD], RUNS);
	m = simulate("version: 2\n" STEPS "analysis: {on_hold_limit: rollback, " QUICK "}", 0.01, 0, 0);
	assert_int_equal(m.ends[SIMULATE_RETURNED], RUNS);
	m = simulate("version: 2\n" STEPS "analysis: {no_data: rollback, " QUICK "}", 0, 0, 0);
	assert_int_equal(m.ends[SIMULATE_RETURNED], RUNS);
	m = simulate("version: 2\n" STEPS "analysis: {no_data: pass, " QUICK "}", 0, 0, 0);
	assert_int_equal(m.ends[SIMULATE_SUCCEEDED], RUNS);
	m = simulate("version: 2\n" STEPS "on_failure: pause\nanalysis: {" QUICK "}", 20, 0, 1);
	assert_int_equal(m.ends[SIMULATE_PAUSED], RUNS);
	assert_int_equal(m.back_ms.n, RUNS);
	m = simulate("version: 2\nstrategy: AllAtOnce", 20, 0, 1);
	assert_int_equal(m.ends[SIMULATE_SUCCEEDED], RUNS);
}

/* Nobody calls the function but rolloutd; and what it does is in no count of users' requests. */
static void test_probes(void **state)
{
#define PROBE "probe: {invoke: health.json, rate: 1/s}, hold_limit: 20m"
	static const char counted[] = "version: 2\n" STEPS "analysis: {" PROBE ", " LIMIT "}";
	static const char compared[] = "version: 2\n" STEPS "analysis: {" PROBE "}";
	static const char ignored[] = "version: 2\n" STEPS "analysis: {" PROBE ", metrics: [{errors: {max_rate: 5%, "
				      "min_invocations: 20, probes: ignore}}]}";
	struct simulate_summary m;
	struct plan *p = load_plan(counted);

	(void)state;
	m = simulate(counted, 0, 0, 0);
	assert_int_equal(m.ends[SIMULATE_SUCCEEDED], RUNS);
	m = simulate(counted, 0, 0, 0.5);
	assert_int_equal(m.ends[SIMULATE_ROLLED_BACK], RUNS);
	/* 20 probes, and a reading within the minute after. */
	assert_in_range(m.back_ms.p90, 20 * 1000, 90 * 1000);
	assert_int_equal(m.failed.p90, 0);
	m = simulate(compared, 0, 0.01, 0.5);
	assert_int_equal(m.ends[SIMULATE_ROLLED_BACK], RUNS);
	m = simulate(ignored, 0, 0, 0.5);
	assert_int_equal(m.ends[SIMULATE_HELD], RUNS);
	assert_int_equal(simulate_fine(p), SIMULATE_PROBE);
	plan_free(p);
}

static void test_experiments(void **state)
{
	static const char back[] = "version: 2\nexperiment: {weight: 50%, for: 30m}";
	static const char on[] = "version: 2\nexperiment: {weight: 50%, for: 30m, then: on}\nfinal_bake: 2m";
	struct simulate_summary m;

	(void)state;
	m = simulate(back, 20, 0.01, 0.01);
	assert_int_equal(m.ends[SIMULATE_CONCLUDED], RUNS);
	assert_int_equal(m.through_ms.n, RUNS);
	assert_int_equal(m.back_ms.n, 0);
	assert_in_range(m.through_ms.p50, 30 * 60 * 1000, 33 * 60 * 1000);
	assert_int_equal(m.found[EXPERIMENT_OPEN], RUNS);
	m = simulate(back, 20, 0.05, 0.005);
	assert_int_equal(m.found[EXPERIMENT_CANARY], RUNS);
	/* One that is broken off does not come to its end, and is asked nothing. */
	m = simulate(back, 20, 0.001, 0.2);
	assert_int_equal(m.ends[SIMULATE_ROLLED_BACK], RUNS);
	assert_int_equal(m.found[EXPERIMENT_STABLE], 0);
	assert_true(m.back_ms.p90 < 10 * 60 * 1000);
	m = simulate(on, 20, 0.05, 0.005);
	assert_int_equal(m.ends[SIMULATE_SUCCEEDED], RUNS);
	assert_int_equal(m.found[EXPERIMENT_CANARY], RUNS);
	assert_true(m.through_ms.p10 > 32 * 60 * 1000);
}

/* What cannot be simulated does not stand in the way, and is named. */
static void test_what_is_taken_as_fine(void **state)
{
	static const char how[] = "version: {publish: {zip: a.zip}}\nstart: manual\nkeep_versions: 3\n"
				  "steps: [{weight: 10%, bake: 2m, approve: true}]\n"
				  "hooks: {pre_traffic: {invoke: smoke}, post_traffic: {exec: notify}}\n"
				  "analysis: {metrics: [{alarm: 'it''s: \"odd\" {'}]}";
	struct simulate_summary m = simulate(how, 20, 0, 1);
	struct plan *p = load_plan(how), *soak = load_plan("version: {from_alias: test, soak: 2h}\n" STEPS);

	(void)state;
	assert_int_equal(m.ends[SIMULATE_SUCCEEDED], RUNS);
	assert_int_equal(simulate_fine(p),
			 SIMULATE_CODE | SIMULATE_START | SIMULATE_APPROVAL | SIMULATE_HOOKS | SIMULATE_ALARMS);
	assert_int_equal(simulate_fine(soak), SIMULATE_SOAK);
	for (unsigned i = 0; i < SIMULATE_PARTS; i++)
		assert_true(simulate_part_text(1u << i)[0] != '\0');
	plan_free(p);
	plan_free(soak);
}

/* Metrics that no one reads in a simulation decide nothing, also when there is nothing else. */
static void test_metrics_that_are_left_out(void **state)
{
	static const struct spec_metric api = {
	    .kind = SPEC_METRIC_API_5XX, .min_invocations = 1, .failure_limit = 1, .api = "a", .stage = "s"};
	struct plan *p = load_plan("version: 2\n" STEPS);
	struct simulate_load load = {20, 0, 1};
	struct simulate_run run;

	(void)state;
	p->spec.analysis.metrics = &api;
	p->spec.analysis.n_metrics = 1;
	simulate_run(p, &load, 1, &run);
	assert_int_equal(run.end, SIMULATE_SUCCEEDED);
	assert_int_equal(simulate_fine(p), SIMULATE_API);
	plan_free(p);
}

static void test_the_same_seed_gives_the_same(void **state)
{
	struct plan *p = load_plan("version: 2\n" STEPS "analysis: {" LIMIT "}");
	struct simulate_load load = {20, 0.01, 0.06};
	struct simulate_run a, b, other;

	(void)state;
	simulate_run(p, &load, simulate_seed(7, 1), &a);
	simulate_run(p, &load, simulate_seed(7, 1), &b);
	simulate_run(p, &load, simulate_seed(7, 2), &other);
	assert_int_equal(a.end, b.end);
	assert_int_equal(a.lasted_ms, b.lasted_ms);
	assert_int_equal(a.requests, b.requests);
	assert_int_equal(a.failed, b.failed);
	assert_string_equal(a.why, b.why);
	assert_true(a.requests != other.requests);
	plan_free(p);
}

static void test_percentiles(void **state)
{
	struct simulate_run runs[10] = {{0}};
	struct simulate_summary m;

	(void)state;
	for (unsigned i = 0; i < 10; i++)
		runs[i] = (struct simulate_run){
		    .end = SIMULATE_ROLLED_BACK, .lasted_ms = 10 - i, .requests = 10, .failed = i == 0 ? 50 : 0};
	simulate_summarise(runs, 10, &m);
	assert_int_equal(m.back_ms.p10, 1);
	assert_int_equal(m.back_ms.p50, 5);
	assert_int_equal(m.back_ms.p90, 9);
	assert_int_equal(m.failed.p90, 0);
	assert_float_equal(m.failed_share, 0.5, 1e-9);
	assert_int_equal(m.through_ms.n, 0);
	simulate_summarise(runs, 0, &m);
	assert_float_equal(m.failed_share, 0, 0);
}

/* Mean and variance of a Poisson law are its parameter. */
static void test_poisson(void **state)
{
	static const double means[] = {0.1, 3, 9.99, 10, 40, 1e4, 1e7};
	enum { N = 20000 };

	(void)state;
	for (size_t m = 0; m < array_len(means); m++) {
		double sum = 0, squares = 0, mean = means[m];
		struct prng p;

		prng_init(&p, 5);
		for (int i = 0; i < N; i++) {
			double off = (double)poisson_draw(&p, mean) - mean;

			sum += off;
			squares += off * off;
		}
		/* Four and five standard errors. */
		assert_true(fabs(sum / N) < 4 * sqrt(mean / N));
		assert_true(fabs(squares / N - mean) < 5 * sqrt((mean + 2 * mean * mean) / N));
		assert_int_equal(poisson_draw(&p, 0), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_good_and_a_bad_one),
	    cmocka_unit_test(test_other_ends),
	    cmocka_unit_test(test_probes),
	    cmocka_unit_test(test_experiments),
	    cmocka_unit_test(test_what_is_taken_as_fine),
	    cmocka_unit_test(test_metrics_that_are_left_out),
	    cmocka_unit_test(test_the_same_seed_gives_the_same),
	    cmocka_unit_test(test_percentiles),
	    cmocka_unit_test(test_poisson),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
