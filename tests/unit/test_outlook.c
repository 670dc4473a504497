/*
 * The forecast beside the simulator: what the arithmetic of engine/outlook.h says must lie near the median of rollouts
 * that the production engine has run.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/text.h"
#include "engine/outlook.h"
#include "plan/plan.h"
#include "simulate/simulate.h"

#define RUNS   31
#define FACTOR 1.5

static const struct spec_metric compare = {
    .kind = SPEC_METRIC_COMPARE, .min_invocations = 1, .false_alarm_ppm = 10000, .min_effect_permille = 1250};

/* Two steps and a final bake, or what `how` says; `m` in place of its metrics, if not NULL. */
static struct plan *load_plan(const char *how, const struct spec_metric *m)
{
	struct diags *diags cleanup(mem_free_p) = mem_alloc(sizeof(*diags));
	char text[1024];
	struct plan *p;

	(void)snprintf(text, sizeof(text),
		       "apiVersion: rolloutd/v1\nkind: Rollout\nname: hello-prod\nfunction: hello\nalias: prod\n"
		       "version: 2\n%s\n",
		       how);
	p = plan_load(text, strlen(text), diags);
	if (!p)
		fail_msg("%s", diags->items[0].text);
	diags_deinit(diags);
	if (m) {
		p->spec.analysis.metrics = m;
		p->spec.analysis.n_metrics = 1;
	}
	return p;
}

/* The time by which half of all rollouts were noticed; INT64_MAX: fewer than half were. */
struct seen {
	int64_t median_ms;
	size_t noticed, held, through;
};

static int later(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void simulate(const struct plan *p, const struct outlook_load *l, struct seen *ret)
{
	struct simulate_load load = {l->rps, l->stable_rate, l->canary_rate};
	int64_t times[RUNS];

	*ret = (struct seen){0};
	for (unsigned i = 0; i < RUNS; i++) {
		struct simulate_run run;

		simulate_run(p, &load, simulate_seed(11, i), &run);
		times[i] = run.end == SIMULATE_ROLLED_BACK ? run.lasted_ms : INT64_MAX;
		ret->noticed += run.end == SIMULATE_ROLLED_BACK;
		ret->held += run.end == SIMULATE_HELD;
		ret->through += run.end == SIMULATE_SUCCEEDED;
	}
	qsort(times, RUNS, sizeof(times[0]), later);
	ret->median_ms = times[RUNS / 2];
}

static bool is_near(const struct outlook *o, const struct seen *s)
{
	if (o->end == OUTLOOK_HELD)
		return s->held * 2 > RUNS;
	if (o->end == OUTLOOK_UNNOTICED)
		return s->noticed * 10 <= RUNS * 6 && s->through > 0;
	return (double)o->after_ms <= FACTOR * (double)s->median_ms &&
	       (double)s->median_ms <= FACTOR * (double)o->after_ms;
}

static bool agrees(const char *what, const struct plan *p, const struct outlook_load *l)
{
	char forecast[32], median[32] = "never";
	struct outlook o;
	struct seen s;

	outlook_judge(&p->spec, l, &o);
	simulate(p, l, &s);
	text_format_span(o.after_ms, forecast);
	if (s.median_ms != INT64_MAX)
		text_format_span(s.median_ms, median);
	if (!is_near(&o, &s) || getenv("TEST_OUTLOOK_TABLE"))
		print_message("%-10s %7.2f/s %5.2f%% %6.2f%%: forecast %d after %-9s simulated %-9s (%zu noticed, %zu "
			      "through, %zu held)\n",
			      what, l->rps, 100 * l->stable_rate, 100 * l->canary_rate, o.end, forecast, median,
			      s.noticed, s.through, s.held);
	return is_near(&o, &s);
}

#define STEPS "steps: [{weight: 5%, bake: 5m}, {weight: 25%, bake: 10m}, {weight: 50%, bake: 10m}]\n"
#define LIMIT "analysis: {metrics: [{errors: {max_rate: 5%, min_invocations: 50}}]}\n"

static void test_the_forecast_is_near_what_comes(void **state)
{
	static const struct {
		const char *name, *how;
		const struct spec_metric *metric;
	} plans[] = {
	    {"steps", STEPS LIMIT, &compare},
	    {"linear", "strategy: Linear10PercentEvery1Minute\n" LIMIT, &compare},
	    {"canary", "strategy: Canary10Percent30Minutes\n" LIMIT, &compare},
	    {"steps, 5%", STEPS "final_bake: 15m\n" LIMIT, NULL},
	    {"linear, 5%", "strategy: Linear10PercentEvery1Minute\n" LIMIT, NULL},
	};
	static const double rates[] = {0.05, 3, 50};
	static const double errors[][2] = {{0, 0.01}, {0.001, 0.5}, {0.001, 0.05}, {0.02, 0.04}, {0.1, 1}};
	bool good = true;

	(void)state;
	for (size_t i = 0; i < array_len(plans); i++) {
		struct plan *p = load_plan(plans[i].how, plans[i].metric);

		for (size_t r = 0; r < array_len(rates); r++) {
			for (size_t e = 0; e < array_len(errors); e++) {
				struct outlook_load l = {rates[r], errors[e][0], errors[e][1]};

				good &= agrees(plans[i].name, p, &l);
			}
		}
		plan_free(p);
	}
	assert_true(good);
}

static struct outlook forecast(const char *how, const struct spec_metric *m, struct outlook_load l)
{
	struct plan *p = load_plan(how, m);
	struct outlook o;

	outlook_judge(&p->spec, &l, &o);
	plan_free(p);
	return o;
}

static void test_edges(void **state)
{
	static const struct spec_metric dry = {.kind = SPEC_METRIC_ERRORS,
					       .min_invocations = 1,
					       .max_rate_ppm = 1000,
					       .failure_limit = 1,
					       .dry_run = true};
	static const struct spec_metric thrice = {
	    .kind = SPEC_METRIC_ERRORS, .min_invocations = 1, .max_rate_ppm = 10000, .failure_limit = 3};
	static const struct spec_metric duration = {
	    .kind = SPEC_METRIC_DURATION, .stat = "p99", .max_us = 1, .min_invocations = 1200, .failure_limit = 1};
	struct outlook_load bad = {20, 0, 1}, quiet = {0, 0, 1};

	(void)state;
	assert_int_equal(forecast("strategy: AllAtOnce", NULL, bad).end, OUTLOOK_UNNOTICED);
	assert_int_equal(forecast("strategy: AllAtOnce", NULL, bad).after_ms, 0);
	assert_int_equal(forecast(STEPS LIMIT, &dry, bad).end, OUTLOOK_UNNOTICED);
	assert_int_equal(forecast(STEPS LIMIT, &compare, quiet).end, OUTLOOK_HELD);
	/* The first period has half a minute, the third one settles at 2m 30s + 1m. */
	assert_in_range(forecast(STEPS LIMIT, &thrice, bad).after_ms, 205 * 1000, 215 * 1000);
	/* 1200 at 5 % of 20/s take 20 minutes; the other weights see as many within their bakes. */
	assert_int_equal(forecast(STEPS LIMIT, &duration, bad).after_ms, (20 + 10 + 10) * 60 * 1000 + 3 * 90 * 1000);
	/* min_invocations are waited for: 50 at 5 % of 1/m take 1000 minutes. */
	assert_int_equal(forecast(STEPS LIMIT, NULL, (struct outlook_load){1.0 / 60, 0, 0}).end, OUTLOOK_HELD);
	assert_int_equal(forecast(STEPS LIMIT, NULL, (struct outlook_load){20, 0, 0}).after_ms,
			 (25 * 60 + 3 * 90) * 1000);
}

static void test_the_first_weight(void **state)
{
	struct plan *p = load_plan(STEPS LIMIT, &compare), *limit = load_plan(STEPS LIMIT, NULL);
	struct outlook_load few = {0.05, 0.001, 0}, many = {100, 0.001, 0};

	(void)state;
	assert_float_equal(outlook_first_requests(&p->spec, 0.05), 0.75, 1e-9);
	assert_true(isinf(outlook_first_detectable(&p->spec, &few)));
	assert_true(outlook_first_detectable(&p->spec, &many) < 0.02);
	assert_true(isinf(outlook_first_detectable(&limit->spec, &few)));
	assert_float_equal(outlook_first_detectable(&limit->spec, &many), 0.05, 0.005);
	plan_free(p);
	plan_free(limit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_the_forecast_is_near_what_comes),
	    cmocka_unit_test(test_edges),
	    cmocka_unit_test(test_the_first_weight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
