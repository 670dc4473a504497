/* The verdict by comparison with the stable version, and what runs dry. Periods are one minute, settle one minute. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "core/evidence.h"
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

/* A step of five minutes from T0, everything settled and read; one false alarm in a hundred rollouts. */
static int setup(void **state)
{
	static struct fixture f;

	f = (struct fixture){0};
	f.metrics[0] = (struct spec_metric){
	    .kind = SPEC_METRIC_COMPARE, .false_alarm_ppm = 10000, .min_effect_permille = 1250, .min_invocations = 1};
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

static int teardown(void **state)
{
	struct fixture *f = *state;

	samples_deinit(&f->samples);
	return 0;
}

static struct sample *add(struct fixture *f, int minute, uint64_t canary, uint64_t canary_errors, uint64_t stable,
			  uint64_t stable_errors)
{
	struct sample *s = samples_at(&f->samples, T0 + minute * MIN);

	s->canary = (struct counts){canary, canary_errors, canary > 0};
	s->stable = (struct counts){stable, stable_errors, stable > 0};
	return s;
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

static void an_equal_canary_passes(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 5; i++)
		add(f, i, 1000, 2, 9000, 18);
	assert_int_equal(judge(f), VERDICT_PASS);
	assert_says(f, "the canary failed 10 of 5000 requests (0.2%), the stable version 90 of 45000 (0.2%); at this "
		       "weight a rate of 0.");
	assert_true(f->v.metrics[0].weighed);
	assert_int_equal(f->v.metrics[0].verdict, VERDICT_PASS);
	assert_true(f->v.metrics[0].evidence < f->v.metrics[0].evidence_needed);
	assert_true(f->v.stable_step.invocations == 45000);
	/* With much traffic small differences show. */
	for (int i = 0; i < 5; i++)
		add(f, i, 100000000, 10, 900000000, 90);
	assert_int_equal(judge(f), VERDICT_PASS);
	assert_says(f, "(0%); at this weight a rate of 0.0001% would have shown");
}

static void a_worse_canary_fails(void **state)
{
	struct fixture *f = *state;

	add(f, 0, 120, 12, 1080, 9);
	assert_int_equal(judge(f), VERDICT_FAIL);
	assert_says(f, "the canary failed 12 of 120 requests (10%), the stable version 9 of 1080 (0.83%); were it no "
		       "worse, at most 1 of ");
	assert_says(f, "rollouts would ever look like this (the plan acts at 1 of 100)");
	assert_int_equal(f->v.metrics[0].verdict, VERDICT_FAIL);
	assert_int_equal(f->v.gap, VERDICT_GAP_NONE);
	/* Proof beyond any number is shown as a large one. */
	add(f, 0, 100000, 100000, 900000, 0);
	assert_int_equal(judge(f), VERDICT_FAIL);
	assert_says(f, "1 of 1000000000 rollouts");
}

static void corrections_are_taken_in(void **state)
{
	struct fixture *f = *state;

	add(f, 0, 120, 12, 1080, 9);
	assert_int_equal(judge(f), VERDICT_FAIL);
	/* The stable version's errors come late: it was an outage behind both. */
	add(f, 0, 120, 12, 1080, 108);
	assert_int_equal(judge(f), VERDICT_PASS);
	/* What has not settled is not weighed. */
	add(f, 5, 120, 120, 1080, 0);
	assert_int_equal(judge(f), VERDICT_PASS);
}

static void one_request_a_day(void **state)
{
	struct fixture *f = *state;
	int days = 0;

	f->q.now_unix_ms = T0 + 14 * MS_PER_DAY;
	f->q.read_through_unix_ms = f->q.now_unix_ms;
	/* Half of them are the canary's, and all of those fail. */
	for (int i = 0; i < 13; i++) {
		add(f, i * 1440, i % 2, i % 2, (i + 1) % 2, 0);
		if (judge(f) == VERDICT_FAIL && days == 0)
			days = i;
	}
	/* Five of each, all of the canary's and none of the stable version's: 1 of 252 by chance. */
	assert_int_equal(days, 9);
	assert_says(f, "the canary failed 6 of 6 requests (100%), the stable version 0 of 7 (0%)");
}

static void with_little_traffic_it_takes_several(void **state)
{
	struct fixture *f = *state;

	add(f, 0, 1, 1, 9, 0);
	assert_int_equal(judge(f), VERDICT_PASS);
	add(f, 1, 1, 1, 9, 0);
	assert_int_equal(judge(f), VERDICT_PASS);
	add(f, 2, 1, 1, 9, 0);
	assert_int_equal(judge(f), VERDICT_FAIL);
}

static void nothing_to_compare_with(void **state)
{
	struct fixture *f = *state;

	add(f, 0, 0, 0, 1000, 10);
	assert_int_equal(judge(f), VERDICT_UNDECIDED);
	assert_int_equal(f->v.gap, VERDICT_GAP_NO_DATA);
	f->metrics[0].min_invocations = 11;
	add(f, 0, 10, 0, 1000, 10);
	assert_int_equal(judge(f), VERDICT_UNDECIDED);
	assert_int_equal(f->v.gap, VERDICT_GAP_FEW);
	f->q.now_unix_ms -= MIN;
	assert_int_equal(judge(f), VERDICT_UNDECIDED);
	assert_int_equal(f->v.gap, VERDICT_GAP_NOT_SETTLED);
	f->q.now_unix_ms += MIN;
	f->q.read_through_unix_ms -= MIN;
	assert_int_equal(judge(f), VERDICT_UNDECIDED);
	assert_int_equal(f->v.gap, VERDICT_GAP_UNREADABLE);
}

/* An outage behind both that begins while the weight rises hits the canary more than its share of the whole period. */
static void a_weight_that_rises_amid_an_outage(void **state)
{
	static const struct spec_step steps[] = {{.weight_bp = 100}, {.weight_bp = 5000}};
	int64_t landed[] = {T0 - 10 * MIN, T0 + MIN / 2};
	struct fixture *f = *state;

	f->q.steps = steps;
	f->q.landed_unix_ms = landed;
	f->q.n_steps = 2;
	add(f, 0, 150 + 7500, 125, 14850 + 7500, 125);
	assert_int_equal(judge(f), VERDICT_PASS);
	/* Whether it was that is seen a minute later. */
	add(f, 1, 15000, 250, 15000, 250);
	assert_int_equal(judge(f), VERDICT_PASS);
	add(f, 1, 15000, 250, 15000, 125);
	assert_int_equal(judge(f), VERDICT_FAIL);
	/* What fails before it rises speaks for the canary, but not for ever. */
	add(f, 0, 150 + 7500, 150 + 100, 14850 + 7500, 14850 + 100);
	assert_int_equal(judge(f), VERDICT_FAIL);
	/* And there is proof enough that it is not an outage. */
	add(f, 0, 150 + 7500, 50, 14850 + 7500, 5);
	add(f, 1, 0, 0, 0, 0);
	assert_int_equal(judge(f), VERDICT_FAIL);
	landed[1] = T0 + 2 * MIN;
	add(f, 0, 150 + 7500, 125, 14850 + 7500, 125);
	assert_int_equal(judge(f), VERDICT_FAIL);
}

static void assert_weighed(struct fixture *f, const struct evidence *want)
{
	(void)judge(f);
	assert_true(fabs(f->v.metrics[0].evidence - evidence_log(want)) < 1e-9);
}

/* What a period's sample adds, by its weight or by the requests that both got. */
static void add_share(struct evidence *e, const struct sample *s, double share, bool rising)
{
	evidence_add_share(e, &s->canary, &s->stable, share, rising);
}

static void add_pair(struct evidence *e, const struct sample *s)
{
	evidence_add(e, &s->canary, &s->stable);
}

/* Minutes of a quiet function are weighed together, but not those of two weights, nor by a weight that is not known. */
static void a_weight_that_rises_amid_a_few_requests(void **state)
{
	static const struct spec_step steps[] = {{.weight_bp = 1000}, {.weight_bp = 5000}};
	int64_t landed[] = {T0 - 10 * MIN, T0 + MIN / 2};
	struct fixture *f = *state;
	struct evidence e, none;

	f->q.steps = steps;
	f->q.landed_unix_ms = landed;
	f->q.n_steps = 2;
	evidence_init(&none, 1.25);
	for (int i = 0; i < 3; i++)
		add(f, i, 2, 1 + i / 2, 2, 1);
	/* The block goes on after the minute of the landing, and is one of several weights to its end. */
	e = none;
	for (size_t i = 0; i < 3; i++)
		add_share(&e, &f->samples.items[i], 0.5, i == 0);
	assert_weighed(f, &e);
	/* The weight before the last landing. */
	landed[1] += MIN;
	e = none;
	for (size_t i = 0; i < 3; i++)
		add_share(&e, &f->samples.items[i], i == 0 ? 0.1 : 0.5, i == 1);
	assert_weighed(f, &e);
	/* When that landed is not known: what served in the minute is compared as it is. */
	landed[0] = 0;
	e = none;
	add_pair(&e, &f->samples.items[0]);
	for (size_t i = 1; i < 3; i++)
		add_share(&e, &f->samples.items[i], 0.5, i == 1);
	assert_weighed(f, &e);
	/* Where nothing landed they are one. */
	landed[1] = 0;
	e = none;
	evidence_add(&e, &(struct counts){6, 4, true}, &(struct counts){6, 3, true});
	assert_weighed(f, &e);
}

/* The last step and the promotion landed in one minute: the canary's part of it is neither weight's. */
static void a_promotion_as_soon_as_the_weight_has_landed(void **state)
{
	static const struct spec_step steps[] = {{.weight_bp = 1000}, {.weight_bp = 5000}};
	int64_t landed[] = {T0 - 10 * MIN, T0 + 10 * MS_PER_SECOND};
	struct fixture *f = *state;
	struct evidence by_share, as_served;

	f->q.steps = steps;
	f->q.landed_unix_ms = landed;
	f->q.n_steps = 2;
	evidence_init(&by_share, 1.25);
	as_served = by_share;
	add(f, 0, 40, 5, 60, 3);
	add_share(&by_share, &f->samples.items[0], 0.5, true);
	add_pair(&as_served, &f->samples.items[0]);
	assert_weighed(f, &by_share);
	f->q.promoted_unix_ms = T0 + 50 * MS_PER_SECOND;
	assert_weighed(f, &as_served);
	/* It may have been seen late, but not by more than that. */
	f->q.promoted_unix_ms = T0 + MIN + 3 * MS_PER_SECOND - 1;
	assert_weighed(f, &as_served);
	f->q.promoted_unix_ms++;
	assert_weighed(f, &by_share);
}

/* At 100 % it is held against what was known of the stable version. */
static void alone_it_is_held_against_the_record(void **state)
{
	struct fixture *f = *state;

	f->q.promoted_unix_ms = T0;
	samples_at(&f->samples, T0)->alias = (struct counts){600, 30, true};
	assert_int_equal(judge(f), VERDICT_PASS);
	assert_says(f, "too few at this weight to show even one that always fails");
	f->q.history = (struct counts){100000, 100, true};
	assert_int_equal(judge(f), VERDICT_FAIL);
	/* One stray request of the stable version's changes nothing. */
	samples_at(&f->samples, T0)->stable = (struct counts){1, 0, true};
	assert_int_equal(judge(f), VERDICT_FAIL);
	samples_at(&f->samples, T0)->alias.errors = 1;
	assert_int_equal(judge(f), VERDICT_PASS);
	assert_says(f, "at this weight a rate of ");
	/* More errors than requests are all of them. */
	f->q.history = (struct counts){10, 20, true};
	assert_int_equal(judge(f), VERDICT_PASS);
}

/* What it does alone needs nothing beside it, so each request counts by itself. */
static void alone_a_few_are_enough(void **state)
{
	struct fixture *f = *state;

	f->q.promoted_unix_ms = T0 + 1;
	f->q.history = (struct counts){100000, 100, true};
	/* Before that they are too few to tell anything, and are not weighed with those that come later. */
	add(f, 0, 1, 1, 3, 0);
	for (int i = 1; i < 5; i++)
		samples_at(&f->samples, T0 + i * MIN)->alias = (struct counts){1, 0, true};
	assert_int_equal(judge(f), VERDICT_PASS);
	for (int i = 1; i < 5; i++)
		samples_at(&f->samples, T0 + i * MIN)->alias.errors = 1;
	assert_int_equal(judge(f), VERDICT_FAIL);
}

/* What the stable version did beside the canary belongs to its record, too. */
static void the_steps_are_the_record(void **state)
{
	struct fixture *f = *state;

	f->q.promoted_unix_ms = T0 + 4 * MIN;
	for (int i = 0; i < 4; i++)
		add(f, i, 1000, 1, 9000, 9);
	assert_int_equal(judge(f), VERDICT_PASS);
	samples_at(&f->samples, T0 + 4 * MIN)->alias = (struct counts){10000, 100, true};
	assert_int_equal(judge(f), VERDICT_FAIL);
}

/* The minute of the promotion has both: what is the canary's after it is in the alias's counts only. */
static void the_minute_of_the_promotion_counts(void **state)
{
	struct fixture *f = *state;
	struct sample *s;

	f->q.promoted_unix_ms = T0 + 4 * MIN + 20 * MS_PER_SECOND;
	for (int i = 0; i < 4; i++)
		add(f, i, 1000, 1, 9000, 9);
	s = add(f, 4, 300, 0, 2700, 3);
	assert_int_equal(judge(f), VERDICT_PASS);
	s->alias = (struct counts){9000, 4, true};
	assert_int_equal(judge(f), VERDICT_PASS);
	assert_true(f->v.canary_all.invocations == 4 * 1000 + 300 + 6000);
	assert_true(f->v.canary_all.errors == 5);
	s->alias.errors = 300;
	assert_int_equal(judge(f), VERDICT_FAIL);
	assert_true(f->v.canary_all.errors == 301);
	/* It is believed when its time has come. */
	f->q.now_unix_ms = T0 + 6 * MIN - 1;
	assert_int_equal(judge(f), VERDICT_UNDECIDED);
	f->q.now_unix_ms++;
	/* Another metric sees it as well. */
	f->metrics[0] = (struct spec_metric){
	    .kind = SPEC_METRIC_ERRORS, .max_rate_ppm = 20000, .min_invocations = 50, .failure_limit = 1};
	assert_int_equal(judge(f), VERDICT_FAIL);
	/* Late data: the versions' counts may be ahead of the alias's. */
	s->alias = (struct counts){2000, 300, true};
	assert_int_equal(judge(f), VERDICT_PASS);
	assert_true(f->v.canary_all.invocations == 4 * 1000 + 300);
}

/* Where the canary had its first traffic in that minute, the alias's counts are the stable version's as well. */
static void the_minute_of_both_landings_tells_nothing(void **state)
{
	struct fixture *f = *state;

	f->q.history = (struct counts){100000, 100, true};
	f->q.rollout_from_unix_ms = T0 + 5 * MS_PER_SECOND;
	f->q.promoted_unix_ms = T0 + 20 * MS_PER_SECOND;
	add(f, 0, 10, 0, 100, 0)->alias = (struct counts){1000, 500, true};
	assert_int_equal(judge(f), VERDICT_PASS);
	f->q.rollout_from_unix_ms = T0;
	assert_int_equal(judge(f), VERDICT_FAIL);
	samples_at(&f->samples, T0)->stable.seen = false;
	assert_int_equal(judge(f), VERDICT_PASS);
	/* Nothing is known of it yet. */
	samples_at(&f->samples, T0)->alias.seen = false;
	assert_int_equal(judge(f), VERDICT_PASS);
	f->q.promoted_unix_ms += 5 * MIN;
	assert_int_equal(judge(f), VERDICT_PASS);
	f->q.promoted_unix_ms = T0 + MIN + 1;
	samples_at(&f->samples, T0 + 2 * MIN)->alias = (struct counts){1000, 0, true};
	assert_int_equal(judge(f), VERDICT_PASS);
}

static void assert_canary(struct fixture *f, uint64_t requests, uint64_t errors)
{
	(void)judge(f);
	assert_int_equal(f->v.canary_all.invocations, requests);
	assert_int_equal(f->v.canary_all.errors, errors);
}

/* The rest of the alias's requests in the minute of the promotion is the canary's, unless any of these is so. */
static void when_the_minute_of_the_promotion_is_not_divided(void **state)
{
	struct fixture *f = *state;
	struct sample *s = add(f, 0, 10, 0, 100, 0);

	s->alias = (struct counts){1000, 500, true};
	f->q.promoted_unix_ms = T0 + 20 * MS_PER_SECOND;
	assert_canary(f, 900, 500);
	/* The canary has had traffic in a part of it only. */
	f->q.rollout_from_unix_ms = T0 + 1;
	assert_canary(f, 10, 0);
	f->q.rollout_from_unix_ms = T0;
	/* What the alias or the stable version served in it is not known yet. */
	s->alias.seen = false;
	assert_canary(f, 10, 0);
	s->alias.seen = true;
	s->stable.seen = false;
	assert_canary(f, 10, 0);
	s->stable.seen = true;
	assert_canary(f, 900, 500);
	/* There is no such minute: it is the canary's from its beginning. */
	f->q.promoted_unix_ms = T0;
	assert_canary(f, 10, 0);
	/* Nothing of it has been read, … */
	f->q.promoted_unix_ms = T0 + MIN + 20 * MS_PER_SECOND;
	assert_canary(f, 10, 0);
	/* … and the next minute does not stand for it. */
	f->q.history = (struct counts){100000, 100, true};
	add(f, 2, 20, 0, 100, 0)->alias = (struct counts){1000, 500, true};
	assert_canary(f, 30, 0);
	assert_int_equal(f->v.verdict, VERDICT_PASS);
	f->q.promoted_unix_ms += MIN;
	assert_canary(f, 910, 500);
	assert_int_equal(f->v.verdict, VERDICT_FAIL);
}

static void what_runs_dry_has_no_consequence(void **state)
{
	struct fixture *f = *state;

	f->metrics[1] = f->metrics[0];
	f->metrics[1].dry_run = true;
	f->metrics[0] = (struct spec_metric){
	    .kind = SPEC_METRIC_ERRORS, .max_rate_ppm = 500000, .min_invocations = 1, .failure_limit = 1};
	f->analysis.n_metrics = 2;
	add(f, 0, 120, 12, 1080, 9);
	assert_int_equal(judge(f), VERDICT_PASS);
	assert_int_equal(f->v.metrics[0].verdict, VERDICT_PASS);
	assert_int_equal(f->v.metrics[1].verdict, VERDICT_FAIL);
	/* Nor does what it lacks. */
	f->metrics[1].min_invocations = 1000;
	add(f, 0, 120, 0, 1080, 9);
	assert_int_equal(judge(f), VERDICT_PASS);
	assert_int_equal(f->v.metrics[1].gap, VERDICT_GAP_FEW);
	assert_int_equal(f->v.metrics[1].verdict, VERDICT_UNDECIDED);
	/* The order of the metrics is of no account. */
	f->metrics[0].dry_run = true;
	f->metrics[1].dry_run = false;
	assert_int_equal(judge(f), VERDICT_UNDECIDED);
	assert_int_equal(f->v.metric, 1);
}

static void dry_alone_still_waits_for_the_bake(void **state)
{
	struct fixture *f = *state;

	f->metrics[0].dry_run = true;
	add(f, 0, 120, 12, 1080, 9);
	assert_int_equal(judge(f), VERDICT_PASS);
	assert_says(f, "nothing is watched but what runs dry");
	f->q.read_through_unix_ms -= MIN;
	assert_int_equal(judge(f), VERDICT_UNDECIDED);
	assert_int_equal(f->v.gap, VERDICT_GAP_UNREADABLE);
	f->q.read_through_unix_ms += MIN;
	f->q.step_min_invocations = 121;
	assert_int_equal(judge(f), VERDICT_UNDECIDED);
	assert_int_equal(f->v.gap, VERDICT_GAP_FEW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(an_equal_canary_passes, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_worse_canary_fails, setup, teardown),
	    cmocka_unit_test_setup_teardown(corrections_are_taken_in, setup, teardown),
	    cmocka_unit_test_setup_teardown(one_request_a_day, setup, teardown),
	    cmocka_unit_test_setup_teardown(with_little_traffic_it_takes_several, setup, teardown),
	    cmocka_unit_test_setup_teardown(nothing_to_compare_with, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_weight_that_rises_amid_an_outage, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_weight_that_rises_amid_a_few_requests, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_promotion_as_soon_as_the_weight_has_landed, setup, teardown),
	    cmocka_unit_test_setup_teardown(alone_it_is_held_against_the_record, setup, teardown),
	    cmocka_unit_test_setup_teardown(alone_a_few_are_enough, setup, teardown),
	    cmocka_unit_test_setup_teardown(the_steps_are_the_record, setup, teardown),
	    cmocka_unit_test_setup_teardown(the_minute_of_the_promotion_counts, setup, teardown),
	    cmocka_unit_test_setup_teardown(the_minute_of_both_landings_tells_nothing, setup, teardown),
	    cmocka_unit_test_setup_teardown(when_the_minute_of_the_promotion_is_not_divided, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_runs_dry_has_no_consequence, setup, teardown),
	    cmocka_unit_test_setup_teardown(dry_alone_still_waits_for_the_bake, setup, teardown),
	};

	return cmocka_run_group_tests_name("core_compare", tests, NULL, NULL);
}
