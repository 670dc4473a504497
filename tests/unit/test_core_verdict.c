/* The verdict on counts: windows, boundaries, gaps, late data. Periods are one minute, settle one minute. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/macros.h"
#include "core/backoff.h"
#include "core/verdict.h"

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

/* A step of five minutes from T0, everything settled and read; at most 1 %, from 100 requests on. */
static void setup(struct fixture *f)
{
	*f = (struct fixture){0};
	f->metrics[0] = (struct spec_metric){
	    .kind = SPEC_METRIC_ERRORS, .max_rate_ppm = 10000, .min_invocations = 100, .failure_limit = 1};
	f->analysis = (struct spec_analysis){
	    .every_ms = MIN, .settle_ms = MIN, .period_ms = MIN, .metrics = f->metrics, .n_metrics = 1};
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

static void add(struct fixture *f, int minute, uint64_t invocations, uint64_t errors)
{
	samples_at(&f->samples, T0 + minute * MIN)->canary = (struct counts){invocations, errors, true};
}

static enum verdict judge(struct fixture *f)
{
	verdict_judge(&f->q, &f->v);
	return f->v.verdict;
}

static void the_rate_itself_passes_and_one_more_fails(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	add(&f, 0, 1000, 10);
	assert_int_equal(judge(&f), VERDICT_PASS);
	add(&f, 0, 1000, 11);
	assert_int_equal(judge(&f), VERDICT_FAIL);
	assert_string_equal(
	    f.v.why, "the canary failed 11 of 1000 requests (1.1%) at the current weight; at most 1% is allowed");
	samples_deinit(&f.samples);
}

static void minimum_of_requests_is_exact(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	add(&f, 0, 99, 99);
	assert_int_equal(judge(&f), VERDICT_UNDECIDED);
	assert_int_equal(f.v.gap, VERDICT_GAP_FEW);
	add(&f, 0, 100, 99);
	assert_int_equal(judge(&f), VERDICT_FAIL);
	add(&f, 0, 100, 1);
	assert_int_equal(judge(&f), VERDICT_PASS);
	samples_deinit(&f.samples);
}

/* One bad minute among many good ones fails by itself, though the step as a whole is below the rate. */
static void one_period_is_enough(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	for (int m = 0; m < 5; m++)
		add(&f, m, 1000, 0);
	add(&f, 3, 1000, 20);
	assert_int_equal(judge(&f), VERDICT_FAIL);
	assert_non_null(strstr(f.v.why, "in the period from 2026-11-22T20:03:00"));
	/* The last one that has settled counts as the others do. */
	add(&f, 3, 1000, 0);
	add(&f, 4, 1000, 20);
	assert_int_equal(judge(&f), VERDICT_FAIL);
	assert_non_null(strstr(f.v.why, "in the period from 2026-11-22T20:04:00"));
	samples_deinit(&f.samples);
}

/* Small periods, each below the minimum, add up in the step's window and over the whole rollout. */
static void windows_add_up(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	f.q.step_from_unix_ms = T0 + 3 * MIN;
	for (int m = 0; m < 5; m++)
		add(&f, m, 30, 1);
	assert_int_equal(judge(&f), VERDICT_FAIL);
	assert_non_null(strstr(f.v.why, "5 of 150"));
	assert_non_null(strstr(f.v.why, "since the rollout began"));
	/* The counts that are shown beside the verdict. */
	samples_at(&f.samples, T0)->stable = (struct counts){900, 2, true};
	(void)judge(&f);
	assert_int_equal(f.v.canary_step.invocations, 60);
	assert_int_equal(f.v.canary_all.invocations, 150);
	assert_int_equal(f.v.canary_all.errors, 5);
	assert_int_equal(f.v.stable_all.invocations, 900);
	samples_deinit(&f.samples);
}

static void what_is_not_settled_is_not_believed(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	add(&f, 0, 1000, 0);
	add(&f, 4, 1000, 500);
	f.q.now_unix_ms = T0 + 6 * MIN - 1;
	assert_int_equal(judge(&f), VERDICT_UNDECIDED);
	assert_int_equal(f.v.gap, VERDICT_GAP_NOT_SETTLED);
	f.q.now_unix_ms = T0 + 6 * MIN;
	assert_int_equal(judge(&f), VERDICT_FAIL);
	samples_deinit(&f.samples);
}

static void what_could_not_be_read_is_not_passed(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	for (int m = 0; m < 5; m++)
		add(&f, m, 1000, 0);
	f.q.read_through_unix_ms = T0 + 4 * MIN;
	assert_int_equal(judge(&f), VERDICT_UNDECIDED);
	assert_int_equal(f.v.gap, VERDICT_GAP_UNREADABLE);
	samples_deinit(&f.samples);
}

static void missing_is_not_zero(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	assert_int_equal(judge(&f), VERDICT_UNDECIDED);
	assert_int_equal(f.v.gap, VERDICT_GAP_NO_DATA);
	samples_deinit(&f.samples);
}

/* With all traffic on the canary its own series may end: whole minutes after that come from the alias's. */
static void after_the_promotion_the_alias_speaks(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	f.q.promoted_unix_ms = T0 + 30 * MS_PER_SECOND;
	f.q.step_from_unix_ms = f.q.promoted_unix_ms;
	f.q.rollout_from_unix_ms = T0 - 10 * MIN;
	samples_at(&f.samples, T0)->alias = (struct counts){1000, 900, true}; /* half of it is the stable version's */
	samples_at(&f.samples, T0 + MIN)->alias = (struct counts){1000, 0, true};
	assert_int_equal(judge(&f), VERDICT_PASS);
	samples_at(&f.samples, T0 + 2 * MIN)->alias = (struct counts){1000, 900, true};
	assert_int_equal(judge(&f), VERDICT_FAIL);
	samples_deinit(&f.samples);
}

/* Before the promotion the alias's own series is a mixture, and says nothing about the canary. */
static void before_the_promotion_the_alias_is_silent(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	samples_at(&f.samples, T0 + MIN)->alias = (struct counts){1000, 900, true};
	assert_int_equal(judge(&f), VERDICT_UNDECIDED);
	assert_int_equal(f.v.gap, VERDICT_GAP_NO_DATA);
	samples_deinit(&f.samples);
}

/* CloudWatch gives datapoints of 0 as well: nobody has asked the canary for anything, which is no pass. */
static void a_datapoint_of_nothing_is_no_data(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	add(&f, 0, 0, 0);
	assert_int_equal(judge(&f), VERDICT_UNDECIDED);
	assert_int_equal(f.v.gap, VERDICT_GAP_NO_DATA);
	samples_deinit(&f.samples);
}

/* Late data can show more errors than invocations for a while: that is every request, and not more. */
static void more_errors_than_requests_are_all_of_them(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	add(&f, 0, 100, 130);
	assert_int_equal(judge(&f), VERDICT_FAIL);
	assert_non_null(strstr(f.v.why, "130 of 100 requests (100%)"));
	samples_deinit(&f.samples);
}

static void alarm_states(void **state)
{
	const struct {
		enum alarm_state alarm;
		enum verdict verdict;
		enum verdict_gap gap;
	} cases[] = {
	    {ALARM_OK, VERDICT_PASS, VERDICT_GAP_NONE},
	    {ALARM_ALARM, VERDICT_FAIL, VERDICT_GAP_NONE},
	    {ALARM_INSUFFICIENT, VERDICT_UNDECIDED, VERDICT_GAP_NO_DATA},
	    {ALARM_MISSING, VERDICT_UNDECIDED, VERDICT_GAP_UNREADABLE},
	    {ALARM_UNKNOWN, VERDICT_UNDECIDED, VERDICT_GAP_UNREADABLE},
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		struct fixture f;

		setup(&f);
		f.metrics[0] = (struct spec_metric){.kind = SPEC_METRIC_ALARM, .alarm = "a"};
		f.alarms[0] = cases[i].alarm;
		f.q.alarms_read_unix_ms = T0 + 6 * MIN;
		assert_int_equal(judge(&f), cases[i].verdict);
		assert_int_equal(f.v.gap, cases[i].gap);
		/* Read before the bake had settled: only ALARM counts. */
		f.q.alarms_read_unix_ms = T0 + 5 * MIN;
		assert_int_equal(judge(&f), cases[i].alarm == ALARM_ALARM ? VERDICT_FAIL : VERDICT_UNDECIDED);
	}
}

static void every_metric_must_pass(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	f.metrics[1] = (struct spec_metric){.kind = SPEC_METRIC_ALARM, .alarm = "a"};
	f.analysis.n_metrics = 2;
	f.alarms[1] = ALARM_OK;
	f.q.alarms_read_unix_ms = T0 + 6 * MIN;
	add(&f, 0, 1000, 0);
	assert_int_equal(judge(&f), VERDICT_PASS);
	f.alarms[1] = ALARM_ALARM;
	assert_int_equal(judge(&f), VERDICT_FAIL);
	assert_int_equal(f.v.metric, 1);
	/* What another metric still lacks is of no account then. */
	add(&f, 0, 10, 0);
	assert_int_equal(judge(&f), VERDICT_FAIL);
	assert_int_equal(f.v.gap, VERDICT_GAP_NONE);
	/* The one that lacks most is named. */
	f.alarms[1] = ALARM_MISSING;
	assert_int_equal(judge(&f), VERDICT_UNDECIDED);
	assert_int_equal(f.v.gap, VERDICT_GAP_UNREADABLE);
	assert_int_equal(f.v.metric, 1);
	samples_deinit(&f.samples);
}

/* What runs dry decides nothing, even where there is nothing else: then only the bake and the step's own minimum do. */
static void what_runs_dry_decides_nothing(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	f.metrics[0].dry_run = true;
	f.q.step_min_invocations = 1000;
	add(&f, 0, 1000, 900);
	assert_int_equal(judge(&f), VERDICT_PASS);
	assert_string_equal(f.v.why, "nothing is watched but what runs dry");
	assert_int_equal(f.v.metrics[0].verdict, VERDICT_FAIL);
	f.q.read_through_unix_ms = T0 + 4 * MIN;
	assert_int_equal(judge(&f), VERDICT_UNDECIDED);
	f.q.read_through_unix_ms = T0 + 5 * MIN;
	f.q.step_min_invocations = 1001;
	assert_int_equal(judge(&f), VERDICT_UNDECIDED);
	assert_int_equal(f.v.gap, VERDICT_GAP_FEW);
	assert_int_equal(f.v.metric, 1);
	samples_deinit(&f.samples);
}

/* Of several that fail the first is named; whichever runs dry beside it has its own result. */
static void the_first_failure_is_named(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	f.metrics[1] = f.metrics[0];
	f.metrics[1].max_rate_ppm = 20000;
	f.analysis.n_metrics = 2;
	add(&f, 0, 1000, 900);
	assert_int_equal(judge(&f), VERDICT_FAIL);
	assert_int_equal(f.v.metric, 0);
	f.metrics[0].dry_run = true;
	assert_int_equal(judge(&f), VERDICT_FAIL);
	assert_int_equal(f.v.metric, 1);
	f.metrics[1].max_rate_ppm = 900000;
	assert_int_equal(judge(&f), VERDICT_PASS);
	assert_int_equal(f.v.metric, 1);
	samples_deinit(&f.samples);
}

/* Values stay with their periods, whatever comes in between and whatever goes at the cap. */
static void values_stay_with_their_periods(void **state)
{
	struct samples s = {.n_values = 2};

	(void)state;
	for (int i = 0; i < LIMIT_PERIODS + 10; i++) {
		int64_t minute = i < 10 ? 10 - i : i + 1;
		const struct sample *x = samples_at(&s, T0 + minute * MIN);
		double *v = samples_values(&s, samples_find(&s, x->start_unix_ms));
		assert_true(v[0] != v[0] && v[1] != v[1]);
		v[1] = (double)minute;
	}
	for (size_t i = 0; i < s.len; i++)
		assert_true(T0 + (int64_t)samples_values(&s, i)[1] * MIN == s.items[i].start_unix_ms);
	samples_deinit(&s);
	assert_null(samples_values(&s, 0));
}

static void samples_stay_in_order_and_bounded(void **state)
{
	struct samples s = {0};

	(void)state;
	for (int i = 0; i < LIMIT_PERIODS + 10; i++)
		(void)samples_at(&s, T0 + (int64_t)((i * 7919) % (LIMIT_PERIODS + 10)) * MIN + MIN);
	assert_int_equal(s.len, LIMIT_PERIODS);
	for (size_t i = 1; i < s.len; i++)
		assert_true(s.items[i - 1].start_unix_ms < s.items[i].start_unix_ms);
	assert_null(samples_at(&s, T0));
	assert_int_equal(samples_find(&s, s.items[100].start_unix_ms), 100);
	samples_deinit(&s);
}

static void backoff_grows_to_its_cap(void **state)
{
	(void)state;
	for (unsigned attempt = 0; attempt < 70; attempt++) {
		for (uint64_t e = 0; e < 1000; e++) {
			int64_t ms = backoff_full_jitter_ms(attempt, 500, 60000, e * UINT64_C(0x9E3779B97F4A7C15));
			int64_t limit = attempt < 7 ? 500 << attempt : 60000;

			assert_true(ms >= 1 && ms <= (limit < 60000 ? limit : 60000));
		}
	}
	assert_int_equal(backoff_full_jitter_ms(0, 500, 60000, 499), 500);
	assert_int_equal(backoff_full_jitter_ms(63, 500, 60000, 59999), 60000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_rate_itself_passes_and_one_more_fails),
	    cmocka_unit_test(minimum_of_requests_is_exact),
	    cmocka_unit_test(one_period_is_enough),
	    cmocka_unit_test(windows_add_up),
	    cmocka_unit_test(what_is_not_settled_is_not_believed),
	    cmocka_unit_test(what_could_not_be_read_is_not_passed),
	    cmocka_unit_test(missing_is_not_zero),
	    cmocka_unit_test(after_the_promotion_the_alias_speaks),
	    cmocka_unit_test(before_the_promotion_the_alias_is_silent),
	    cmocka_unit_test(a_datapoint_of_nothing_is_no_data),
	    cmocka_unit_test(more_errors_than_requests_are_all_of_them),
	    cmocka_unit_test(alarm_states),
	    cmocka_unit_test(every_metric_must_pass),
	    cmocka_unit_test(what_runs_dry_decides_nothing),
	    cmocka_unit_test(the_first_failure_is_named),
	    cmocka_unit_test(values_stay_with_their_periods),
	    cmocka_unit_test(samples_stay_in_order_and_bounded),
	    cmocka_unit_test(backoff_grows_to_its_cap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
