/* Metrics with values of their own, judged period by period. Periods are one minute, settle one minute. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "base/clock.h"
#include "base/macros.h"
#include "core/verdict.h"

#define T0  (INT64_C(1795377600000)) /* a whole minute: 2026-11-22T20:00:00Z */
#define MIN MS_PER_MINUTE

struct fixture {
	struct spec_metric metrics[3];
	struct spec_analysis analysis;
	struct samples samples;
	enum alarm_state alarms[LIMIT_METRICS];
	struct verdict_question q;
	struct verdict_result v;
};

/* A step of five minutes from T0, everything settled and read. The first metric is an alarm without a value, so that
 * the values of the one that is tested are not the first ones by chance. */
static void setup(struct fixture *f, const struct spec_metric *m)
{
	*f = (struct fixture){0};
	f->metrics[0] =
	    (struct spec_metric){.kind = SPEC_METRIC_QUERY, .failure_limit = 1, .queries = "[]", .returns = "x"};
	f->metrics[0].dry_run = true;
	f->metrics[1] = *m;
	f->analysis = (struct spec_analysis){
	    .every_ms = MIN, .settle_ms = MIN, .period_ms = MIN, .metrics = f->metrics, .n_metrics = 2};
	f->samples.n_values = spec_first_value(&f->analysis, 2);
	f->q = (struct verdict_question){
	    .analysis = &f->analysis,
	    .samples = &f->samples,
	    .alarms = f->alarms,
	    .now_unix_ms = T0 + 6 * MIN,
	    .rollout_from_unix_ms = T0,
	    .step_from_unix_ms = T0,
	    .step_until_unix_ms = T0 + 5 * MIN,
	    .read_through_unix_ms = T0 + 5 * MIN,
	};
}

static struct sample *put(struct fixture *f, int minute, double first, double second)
{
	struct sample *s = samples_at(&f->samples, T0 + minute * MIN);
	double *v = samples_values(&f->samples, samples_find(&f->samples, s->start_unix_ms));

	v[1] = first;
	if (f->samples.n_values > 2)
		v[2] = second;
	return s;
}

static void put_all(struct fixture *f, double first, double second)
{
	for (int m = 0; m < 5; m++)
		(void)put(f, m, first, second);
}

static enum verdict judge(struct fixture *f)
{
	verdict_judge(&f->q, &f->v);
	return f->v.verdict;
}

static void expect(struct fixture *f, enum verdict verdict, const char *why)
{
	(void)judge(f);
	assert_string_equal(f->v.why, why);
	assert_int_equal(f->v.verdict, verdict);
}

static void expect_gap(struct fixture *f, enum verdict_gap gap, const char *why)
{
	expect(f, VERDICT_UNDECIDED, why);
	assert_int_equal(f->v.gap, gap);
}

static const struct spec_metric throttles = {
    .kind = SPEC_METRIC_THROTTLES, .max_rate_ppm = 10000, .min_invocations = 100, .failure_limit = 1};
static const struct spec_metric answers = {.kind = SPEC_METRIC_API_5XX,
					   .max_rate_ppm = 10000,
					   .min_invocations = 100,
					   .failure_limit = 1,
					   .api = "hello-api",
					   .stage = "prod"};
static const struct spec_metric duration = {.kind = SPEC_METRIC_DURATION,
					    .stat = "p99",
					    .max_us = 800000,
					    .max_ratio_permille = 1500,
					    .min_invocations = 20,
					    .failure_limit = 1};
static const struct spec_metric query = {.kind = SPEC_METRIC_QUERY,
					 .queries = "[]",
					 .returns = "lag",
					 .failure_limit = 1,
					 .has_min = true,
					 .has_max = true,
					 .min = -2.5,
					 .max = 250};

/* --- shares --- */

static void throttles_are_a_share_of_all_requests(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, &throttles);
	put_all(&f, 10, 990);
	expect(&f, VERDICT_PASS,
	       "the alias throttled 10 of 1000 requests (1%) in the period from 2026-11-22T20:04:00Z");
	(void)put(&f, 2, 11, 990);
	expect(&f, VERDICT_FAIL,
	       "the alias throttled 11 of 1001 requests (1.1%) in the period from 2026-11-22T20:02:00Z; at most 1% is "
	       "allowed");
	/* Where everything is throttled there is no invocation, not even a datapoint. */
	(void)put(&f, 2, 100, NAN);
	expect(&f, VERDICT_FAIL,
	       "the alias throttled 100 of 100 requests (100%) in the period from 2026-11-22T20:02:00Z; at most 1% is "
	       "allowed");
	(void)put(&f, 2, 99, NAN);
	assert_int_equal(judge(&f), VERDICT_PASS);
	samples_deinit(&f.samples);
}

static void answers_of_an_api_need_both_numbers(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, &answers);
	put_all(&f, NAN, 1000);
	expect_gap(
	    &f, VERDICT_GAP_NO_DATA,
	    "CloudWatch has no value of the answers of the API hello-api on its stage prod at the current weight");
	put_all(&f, 1000, NAN);
	assert_int_equal(judge(&f), VERDICT_UNDECIDED);
	(void)put(&f, 4, 10, 1000);
	expect(&f, VERDICT_PASS,
	       "the API hello-api answered 10 of 1000 requests on its stage prod with 5xx (1%) in the period from "
	       "2026-11-22T20:04:00Z");
	(void)put(&f, 4, 1000, 1000);
	expect(&f, VERDICT_FAIL,
	       "the API hello-api answered 1000 of 1000 requests on its stage prod with 5xx (100%) in the period from "
	       "2026-11-22T20:04:00Z; at most 1% is allowed");
	samples_deinit(&f.samples);
}

static void few_requests_do_not_judge(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, &answers);
	put_all(&f, 50, 99);
	(void)put(&f, 1, 0, 12);
	expect_gap(
	    &f, VERDICT_GAP_FEW,
	    "at most 99 requests in a period at the current weight, and it takes 100 to judge the answers of the "
	    "API hello-api on its stage prod");
	/* One period with enough of them is. */
	(void)put(&f, 1, 0, 100);
	assert_int_equal(judge(&f), VERDICT_PASS);
	samples_deinit(&f.samples);
	setup(&f, &throttles);
	put_all(&f, NAN, NAN);
	expect_gap(&f, VERDICT_GAP_NO_DATA, "CloudWatch has no value of the alias's throttles at the current weight");
	samples_deinit(&f.samples);
}

/* Nothing that CloudWatch or a damaged record says leads beyond the numbers that there are. */
static void absurd_numbers_are_borne(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, &answers);
	put_all(&f, 1e300, 1e300);
	assert_int_equal(judge(&f), VERDICT_FAIL);
	put_all(&f, -5, 1e18);
	assert_int_equal(judge(&f), VERDICT_PASS);
	samples_deinit(&f.samples);
}

/* --- durations --- */

static void put_served(struct fixture *f, double canary, double stable, uint64_t invocations)
{
	for (int m = 0; m < 5; m++)
		put(f, m, canary, stable)->canary = (struct counts){invocations, 0, true};
}

static void durations_have_a_limit(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, &duration);
	put_served(&f, 800, NAN, 20);
	expect(&f, VERDICT_PASS, "the canary's p99 duration was 800 ms in the period from 2026-11-22T20:04:00Z");
	put(&f, 3, 800.5, NAN);
	expect(&f, VERDICT_FAIL,
	       "the canary's p99 duration was 800.5 ms in the period from 2026-11-22T20:03:00Z; at most 800 ms is "
	       "allowed");
	put(&f, 3, 800.5, 700);
	f.metrics[1].max_us = 0;
	assert_int_equal(judge(&f), VERDICT_PASS);
	samples_deinit(&f.samples);
}

static void durations_are_held_against_the_stable_versions(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, &duration);
	put_served(&f, 150, 100, 20);
	expect(&f, VERDICT_PASS,
	       "the canary's p99 duration was 150 ms, the stable version's 100 ms in the period from "
	       "2026-11-22T20:04:00Z");
	put(&f, 0, 151, 100);
	expect(&f, VERDICT_FAIL,
	       "the canary's p99 duration was 151 ms, the stable version's 100 ms in the period from "
	       "2026-11-22T20:00:00Z; at most 1.5 times that is allowed");
	/* Where the stable version did not serve, there is nothing to hold it against. */
	put(&f, 0, 151, NAN);
	assert_int_equal(judge(&f), VERDICT_PASS);
	put(&f, 0, 151, 100);
	f.metrics[1].max_ratio_permille = 0;
	assert_int_equal(judge(&f), VERDICT_PASS);
	samples_deinit(&f.samples);
}

/* A ratio that could not be formed is no evidence, unless there is nothing that it could be formed with. */
static void a_ratio_needs_both(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, &duration);
	f.metrics[1].max_us = 0;
	put_served(&f, 150, NAN, 20);
	expect_gap(&f, VERDICT_GAP_NO_DATA,
		   "CloudWatch has no value of the stable version's p99 duration at the current weight");
	put(&f, 3, 151, 100);
	assert_int_equal(judge(&f), VERDICT_FAIL);
	put(&f, 3, 150, 100);
	assert_int_equal(judge(&f), VERDICT_PASS);
	put(&f, 3, 150, NAN);
	f.q.promoted_unix_ms = T0 + 3 * MIN;
	assert_int_equal(judge(&f), VERDICT_PASS);
	f.q.promoted_unix_ms = 0;
	/* The limit holds by itself. */
	f.metrics[1].max_us = 149000;
	assert_int_equal(judge(&f), VERDICT_FAIL);
	f.metrics[1].max_us = 150000;
	assert_int_equal(judge(&f), VERDICT_PASS);
	samples_deinit(&f.samples);
}

static void few_invocations_say_nothing_of_durations(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, &duration);
	put_served(&f, 5000, 100, 19);
	expect_gap(&f, VERDICT_GAP_FEW,
		   "at most 19 requests in a period at the current weight, and it takes 20 to judge the canary's p99 "
		   "duration");
	put_served(&f, NAN, 100, 500);
	expect_gap(&f, VERDICT_GAP_NO_DATA,
		   "CloudWatch has no value of the canary's p99 duration at the current weight");
	/* With all traffic on the canary the alias's counts are its own. */
	f.q.promoted_unix_ms = T0;
	put_all(&f, 100, NAN);
	for (int m = 0; m < 5; m++)
		*samples_at(&f.samples, T0 + m * MIN) =
		    (struct sample){.start_unix_ms = T0 + m * MIN, .alias = {20, 0, true}};
	assert_int_equal(judge(&f), VERDICT_PASS);
	samples_deinit(&f.samples);
}

/* Where one period has both durations, what it lacks is requests, and those of the others are of no use to it. */
static void a_ratio_of_few_requests_lacks_requests(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, &duration);
	f.metrics[1].max_us = 0;
	put_served(&f, 150, NAN, 500);
	put(&f, 3, 150, 100)->canary.invocations = 19;
	expect_gap(&f, VERDICT_GAP_FEW,
		   "at most 19 requests in a period at the current weight, and it takes 20 to judge the canary's p99 "
		   "duration");
	put(&f, 3, 150, 100)->canary.invocations = 20;
	assert_int_equal(judge(&f), VERDICT_PASS);
	samples_deinit(&f.samples);
}

/* Cold starts: what the canary shows in its first minutes is not judged, and a step does not pass before the first
 * period that is. */
static void the_warm_up_is_not_judged(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, &duration);
	f.q.rollout_from_unix_ms = f.q.step_from_unix_ms = T0 + 7000;
	f.metrics[1].warm_up_ms = 3 * MIN;
	put_served(&f, 100, 100, 500);
	for (int m = 0; m < 4; m++)
		put(&f, m, 5000, 100);
	assert_int_equal(judge(&f), VERDICT_PASS);
	put(&f, 4, 5000, 100);
	assert_int_equal(judge(&f), VERDICT_FAIL);
	/* A step that is shorter than that. */
	put(&f, 4, 100, 100);
	f.q.step_until_unix_ms = T0 + 2 * MIN;
	assert_int_equal(judge(&f), VERDICT_PASS);
	f.q.now_unix_ms = T0 + 5 * MIN;
	f.q.read_through_unix_ms = T0 + 4 * MIN;
	expect_gap(&f, VERDICT_GAP_NOT_SETTLED,
		   "waits for the metrics of the first period after the canary's warm-up, which settle at "
		   "2026-11-22T20:06:00Z");
	f.q.now_unix_ms = T0 + 6 * MIN;
	expect_gap(
	    &f, VERDICT_GAP_UNREADABLE,
	    "CloudWatch could be read up to 2026-11-22T20:04:00Z only; the first period after the canary's warm-up "
	    "needs data up to 2026-11-22T20:05:00Z");
	samples_deinit(&f.samples);
}

/* --- queries --- */

static void queries_have_a_range(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, &query);
	put_all(&f, 250, 0);
	expect(&f, VERDICT_PASS, "the query lag was 250 in the period from 2026-11-22T20:04:00Z");
	(void)put(&f, 4, 250.5, 0);
	expect(&f, VERDICT_FAIL,
	       "the query lag was 250.5 in the period from 2026-11-22T20:04:00Z; at most 250 is allowed");
	(void)put(&f, 4, -2.5, 0);
	assert_int_equal(judge(&f), VERDICT_PASS);
	(void)put(&f, 4, -2.6, 0);
	expect(&f, VERDICT_FAIL,
	       "the query lag was -2.6 in the period from 2026-11-22T20:04:00Z; at least -2.5 is asked for");
	f.metrics[1].has_min = false;
	assert_int_equal(judge(&f), VERDICT_PASS);
	(void)put(&f, 4, 1e12, 0);
	f.metrics[1].has_max = false;
	assert_int_equal(judge(&f), VERDICT_PASS);
	put_all(&f, NAN, 0);
	expect_gap(&f, VERDICT_GAP_NO_DATA, "CloudWatch has no value of the query lag at the current weight");
	samples_deinit(&f.samples);
}

static void so_many_periods_must_fail(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, &query);
	f.metrics[1].failure_limit = 2;
	put_all(&f, 0, 0);
	(void)put(&f, 1, 300, 0);
	expect(&f, VERDICT_PASS,
	       "the query lag was 0 in the period from 2026-11-22T20:04:00Z; 1 of the 2 periods that fail it");
	/* All periods since the rollout began count, not only the step's. */
	f.q.step_from_unix_ms = T0 + 3 * MIN;
	(void)put(&f, 3, 301, 0);
	expect(
	    &f, VERDICT_FAIL,
	    "the query lag was 301 in the period from 2026-11-22T20:03:00Z, the last of 2 that failed; at most 250 is "
	    "allowed");
	/* Nothing before it counts. */
	f.q.rollout_from_unix_ms = T0 + 2 * MIN;
	assert_int_equal(judge(&f), VERDICT_PASS);
	samples_deinit(&f.samples);
}

/* What an earlier step showed is no evidence for this one. */
static void each_step_needs_its_own_values(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, &query);
	f.q.step_from_unix_ms = T0 + 3 * MIN;
	for (int m = 0; m < 3; m++)
		(void)put(&f, m, 1, 0);
	expect_gap(&f, VERDICT_GAP_NO_DATA, "CloudWatch has no value of the query lag at the current weight");
	(void)put(&f, 3, 1, 0);
	assert_int_equal(judge(&f), VERDICT_PASS);
	/* And not before its bake has settled. */
	f.q.now_unix_ms = T0 + 6 * MIN - 1;
	expect_gap(&f, VERDICT_GAP_NOT_SETTLED,
		   "waits for the metrics of this weight's bake, which settle at 2026-11-22T20:06:00Z");
	samples_deinit(&f.samples);
}

/* The plain threshold on errors, with a limit: no window but the single periods then. */
static void error_rates_can_need_several_periods(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, &(struct spec_metric){
		      .kind = SPEC_METRIC_ERRORS, .max_rate_ppm = 10000, .min_invocations = 100, .failure_limit = 2});
	for (int m = 0; m < 5; m++)
		samples_at(&f.samples, T0 + m * MIN)->canary = (struct counts){100, m == 1 ? 100 : 0, true};
	assert_int_equal(judge(&f), VERDICT_PASS);
	samples_at(&f.samples, T0 + 2 * MIN)->canary.errors = 2;
	expect(&f, VERDICT_FAIL,
	       "the canary failed 2 of 100 requests (2%) in the period from 2026-11-22T20:02:00Z, the last of 2 that "
	       "failed; at most 1% is allowed");
	samples_deinit(&f.samples);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(throttles_are_a_share_of_all_requests),
	    cmocka_unit_test(answers_of_an_api_need_both_numbers),
	    cmocka_unit_test(few_requests_do_not_judge),
	    cmocka_unit_test(absurd_numbers_are_borne),
	    cmocka_unit_test(durations_have_a_limit),
	    cmocka_unit_test(durations_are_held_against_the_stable_versions),
	    cmocka_unit_test(few_invocations_say_nothing_of_durations),
	    cmocka_unit_test(a_ratio_needs_both),
	    cmocka_unit_test(a_ratio_of_few_requests_lacks_requests),
	    cmocka_unit_test(the_warm_up_is_not_judged),
	    cmocka_unit_test(queries_have_a_range),
	    cmocka_unit_test(so_many_periods_must_fail),
	    cmocka_unit_test(each_step_needs_its_own_values),
	    cmocka_unit_test(error_rates_can_need_several_periods),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
