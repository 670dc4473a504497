/*
 * The evidence: by exact sums over small tables, by simulated rollouts that are looked at after each period, and at the
 * edges. Nothing depends on luck: the random numbers are the same in each run, and every bound on a share leaves four
 * standard deviations.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/macros.h"
#include "base/prng.h"
#include "core/evidence.h"

#define EFFECT 1.25
#define ALARM  0.01
#define NULLS  10000

/* Stands before the library's own, which would abort: the test goes on from here. */
void require_failed(const char *file, int line, const char *condition)
{
	mock_assert(0, condition, file, line);
	abort(); /* mock_assert does not come back */
}

static double uniform(struct prng *p)
{
	return 1 - prng_unit(p); /* never 0 */
}

static double normal(struct prng *p)
{
	return sqrt(-2 * log(uniform(p))) * cos(2 * M_PI * uniform(p));
}

/* Binomial: from hit to hit while those are few, else by the normal law. */
static uint64_t draw(struct prng *p, uint64_t n, double rate)
{
	double mean = (double)n * rate, x;
	uint64_t k = 0;

	if (mean > 100 && mean < (double)n - 100) {
		x = round(mean + sqrt(mean * (1 - rate)) * normal(p));
		return x < 0 ? 0 : x > (double)n ? n : (uint64_t)x;
	}
	if (rate > 0.5)
		return n - draw(p, n, 1 - rate);
	if (rate <= 0)
		return 0;
	for (x = floor(log(uniform(p)) / log1p(-rate)); x < (double)n; x += 1 + floor(log(uniform(p)) / log1p(-rate)))
		k++;
	return k;
}

static double log_choose(unsigned n, unsigned k)
{
	return lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma(n - k + 1.0);
}

static struct counts counts(uint64_t invocations, uint64_t errors)
{
	return (struct counts){invocations, errors, true};
}

static double weigh(uint64_t canary, uint64_t canary_errors, uint64_t stable, uint64_t stable_errors)
{
	struct counts c = counts(canary, canary_errors), s = counts(stable, stable_errors);
	struct evidence e;

	evidence_init(&e, EFFECT);
	evidence_add(&e, &c, &s);
	return evidence_log(&e);
}

/* Given the sums, each alternative's ratio has the mean of at most one: that is the whole promise. */
static void no_alternative_gains_by_luck(void **state)
{
	double closest = 0;

	(void)state;
	for (unsigned a = 0; a <= 9; a++) {
		for (unsigned b = 0; b <= 9; b++) {
			for (unsigned errors = 0; errors <= a + b; errors++) {
				double mean[EVIDENCE_EFFECTS] = {0};
				unsigned lo = errors > b ? errors - b : 0, hi = errors < a ? errors : a;

				for (unsigned x = lo; x <= hi; x++) {
					double chance = exp(log_choose(a, x) + log_choose(b, errors - x) -
							    log_choose(a + b, errors));
					struct counts c = counts(a, x), s = counts(b, errors - x);
					struct evidence e;

					evidence_init(&e, EFFECT);
					evidence_add(&e, &c, &s);
					for (int i = 0; i < EVIDENCE_EFFECTS; i++)
						mean[i] += chance * exp(e.log_ratio[i]);
				}
				for (int i = 0; i < EVIDENCE_EFFECTS; i++) {
					assert_true(mean[i] <= 1 + 1e-9);
					if (a > 0 && b > 0 && errors > 0 && errors < a + b)
						closest = fmax(closest, mean[i]);
				}
			}
		}
	}
	/* And nothing is given away where one error is all there is. */
	assert_true(closest > 1 - 1e-9);
}

/* The same against a known rate, at it and below. */
static void alone_nothing_gains_by_luck(void **state)
{
	static const double rates[] = {0, 0.001, 0.2, 1};
	const unsigned n = 20;

	(void)state;
	for (size_t r = 0; r < array_len(rates); r++) {
		for (double part = 0; part <= 1; part += 0.5) {
			double p = rates[r] * part, mean[EVIDENCE_EFFECTS] = {0};

			for (unsigned x = 0; x <= n; x++) {
				double chance = exp(log_choose(n, x)) * pow(p, x) * pow(1 - p, n - x);
				struct counts c = counts(n, x);
				struct evidence e;

				evidence_init(&e, EFFECT);
				evidence_add_alone(&e, &c, rates[r]);
				for (int i = 0; i < EVIDENCE_EFFECTS; i++)
					mean[i] += chance * exp(e.log_ratio[i]);
			}
			for (int i = 0; i < EVIDENCE_EFFECTS; i++)
				assert_true(mean[i] <= 1 + 1e-9);
		}
	}
}

/* One rollout of what is told, looked at after each period. */
struct world {
	double requests; /* of each period, to both */
	double stable_rate, canary_rate;
	double drift; /* both rates are this much higher in every third period */
	unsigned periods, alone_after;
	bool late; /* each period is first seen with half of its errors */
};

static double share_at(unsigned period)
{
	static const double shares[] = {0.01, 0.1, 0.25, 0.5, 0.9};

	return shares[period / 8 % array_len(shares)];
}

static void add_period(struct evidence *e, struct counts canary, struct counts stable, const struct counts *record)
{
	if (evidence_is_alone(&canary, &stable))
		evidence_add_alone(e, &canary, evidence_null_rate(record, ALARM, EFFECT));
	else
		evidence_add(e, &canary, &stable);
}

/* The first period whose look reaches the threshold; 0: none. */
static unsigned run(struct prng *p, const struct world *w)
{
	struct counts record = {.seen = true};
	struct evidence all;

	evidence_init(&all, EFFECT);
	for (unsigned t = 0; t < w->periods; t++) {
		double more = t % 3 == 2 && w->drift > 0 ? w->drift : 1;
		bool alone = t >= w->alone_after;
		uint64_t n = (uint64_t)w->requests + (uniform(p) < w->requests - floor(w->requests));
		uint64_t a = alone ? n : draw(p, n, share_at(t));
		struct counts canary = counts(a, draw(p, a, fmin(1, w->canary_rate * more)));
		struct counts stable = counts(n - a, draw(p, n - a, fmin(1, w->stable_rate * more)));
		struct evidence look = all;

		if (!alone) {
			record.invocations += stable.invocations;
			record.errors += stable.errors;
		}
		/* What is looked at now may be half of what it will be. */
		add_period(&look, counts(a, canary.errors / (w->late ? 2 : 1)),
			   counts(n - a, stable.errors / (w->late ? 2 : 1)), &record);
		if (evidence_log(&look) >= evidence_threshold(ALARM))
			return t + 1;
		add_period(&all, canary, stable, &record);
	}
	return 0;
}

/* Wherever in the period they fail: of so many errors, each is the canary's with at most its highest share. */
static void a_rising_share_adds_nothing_in_the_mean(void **state)
{
	static const double high[] = {0.01, 0.1, 0.5, 1};
	static const double part[] = {0, 0.3, 1}; /* of it, that the errors meet */
	struct evidence e;

	(void)state;
	for (size_t h = 0; h < array_len(high); h++) {
		for (size_t k = 0; k < array_len(part); k++) {
			double q = high[h] * part[k], means[EVIDENCE_EFFECTS] = {0};

			for (unsigned x = 0; x <= 30; x++) {
				struct counts canary = {5 + x, x, true}, stable = {100000, 30 - x, true};
				double chance = exp(log_choose(30, x)) * pow(q, x) * pow(1 - q, 30 - x);

				evidence_init(&e, EFFECT);
				evidence_add_share(&e, &canary, &stable, high[h], true);
				for (int i = 0; i < EVIDENCE_EFFECTS; i++) {
					means[i] += chance * exp(e.log_ratio[i]);
					assert_true(e.log_ratio[i] >= log(0.1) - 1e-9);
				}
			}
			for (int i = 0; i < EVIDENCE_EFFECTS; i++)
				assert_true(means[i] <= 1 + 1e-9);
		}
	}
	evidence_init(&e, EFFECT);
	evidence_add_share(&e, &(struct counts){0}, &(struct counts){0}, 0.5, true);
	assert_true(evidence_log(&e) == 0);
	/* What was more than that anyway counts as it was. */
	evidence_add_share(&e, &(struct counts){900, 9, true}, &(struct counts){100, 1, true}, 0.1, true);
	assert_true(evidence_log(&e) < 0.1);
}

/* Nothing is kept back of what is staked where the share held throughout: each alternative gains exactly one. */
static void a_share_that_holds_is_weighed_in_full(void **state)
{
	static const double shares[] = {0.01, 0.5, 1};

	(void)state;
	for (size_t h = 0; h < array_len(shares); h++) {
		double means[EVIDENCE_EFFECTS] = {0}, least = 0;

		for (unsigned x = 0; x <= 30; x++) {
			struct counts canary = counts(x, x), stable = counts(100000, 30 - x);
			double chance = exp(log_choose(30, x)) * pow(shares[h], x) * pow(1 - shares[h], 30 - x);
			struct evidence e;

			evidence_init(&e, EFFECT);
			evidence_add_share(&e, &canary, &stable, shares[h], false);
			for (int i = 0; i < EVIDENCE_EFFECTS; i++)
				means[i] += chance * exp(e.log_ratio[i]);
			least = fmin(least, evidence_log(&e));
		}
		for (int i = 0; i < EVIDENCE_EFFECTS; i++)
			assert_true(fabs(means[i] - 1) < 1e-9);
		/* That none of them is the canary's may clear it by more than a rising share ever lets it. */
		assert_true(shares[h] < 0.5 || least < log(0.1));
	}
}

/* Of a few requests the canary gets more than its share by luck: that is no sign of a higher one. */
static void a_few_requests_do_not_show_their_share(void **state)
{
	struct counts most = counts(90, 1), others = counts(9, 0);
	struct evidence few, more;

	(void)state;
	evidence_init(&few, EFFECT);
	more = few;
	evidence_add_share(&few, &most, &others, 0.1, false);
	for (int i = 0; i < EVIDENCE_EFFECTS; i++)
		assert_true(fabs(few.log_ratio[i] - (log(few.effect[i]) - log1p(0.1 * (few.effect[i] - 1)))) < 1e-9);
	others.invocations++;
	evidence_add_share(&more, &most, &others, 0.1, false);
	for (int i = 0; i < EVIDENCE_EFFECTS; i++)
		assert_true(fabs(more.log_ratio[i] - (log(few.effect[i]) - log1p(0.9 * (few.effect[i] - 1)))) < 1e-9);
}

/* However often it is looked at, at most ALARM of the rollouts of an equal canary come back. */
static void equal_canaries_stay(void **state)
{
	static const struct world worlds[] = {
	    {.requests = 60, .stable_rate = 0.02, .canary_rate = 0.02, .periods = 40, .alone_after = 40},
	    {.requests = 60, .stable_rate = 0.3, .canary_rate = 0.3, .periods = 30, .alone_after = 30},
	    {.requests = 40, .stable_rate = 0.97, .canary_rate = 0.97, .periods = 30, .alone_after = 30},
	    {.requests = 2, .stable_rate = 0.5, .canary_rate = 0.5, .periods = 40, .alone_after = 40},
	    {.requests = 1200, .stable_rate = 0.001, .canary_rate = 0.001, .periods = 40, .alone_after = 25},
	    {.requests = 6, .stable_rate = 0.02, .canary_rate = 0.02, .periods = 40, .alone_after = 25},
	    {.requests = 60, .stable_rate = 0.02, .canary_rate = 0.02, .drift = 20, .periods = 40, .alone_after = 40},
	    {.requests = 60, .stable_rate = 0.05, .canary_rate = 0.05, .late = true, .periods = 30, .alone_after = 30},
	    {.requests = 60, .stable_rate = 0.05, .canary_rate = 0.02, .periods = 30, .alone_after = 20},
	};
	struct prng p;

	(void)state;
	prng_init(&p, 20261123);
	for (size_t w = 0; w < array_len(worlds); w++) {
		unsigned back = 0;

		for (unsigned n = 0; n < NULLS; n++)
			back += run(&p, &worlds[w]) > 0;
		print_message("[          ] %g requests a period, %g fail: %u of %d equal canaries come back\n",
			      worlds[w].requests, worlds[w].stable_rate, back, NULLS);
		assert_true(back <= ALARM * NULLS);
	}
}

static void worse_canaries_come_back(void **state)
{
	static const struct {
		struct world world;
		unsigned at_most; /* periods, at the mean */
	} cases[] = {
	    {{.requests = 1200, .stable_rate = 0.001, .canary_rate = 0.05, .periods = 40, .alone_after = 40}, 9},
	    {{.requests = 1200, .stable_rate = 0.02, .canary_rate = 0.2, .periods = 40, .alone_after = 40}, 6},
	    {{.requests = 60, .stable_rate = 0, .canary_rate = 1, .periods = 40, .alone_after = 40}, 4},
	    {{.requests = 60, .stable_rate = 0.02, .canary_rate = 0.5, .periods = 40, .alone_after = 4}, 10},
	    {{.requests = 30000, .stable_rate = 0.001, .canary_rate = 0.003, .periods = 40, .alone_after = 40}, 10},
	};
	struct prng p;

	(void)state;
	prng_init(&p, 7);
	for (size_t c = 0; c < array_len(cases); c++) {
		unsigned sum = 0, back = 0;

		for (unsigned n = 0; n < 200; n++) {
			unsigned at = run(&p, &cases[c].world);

			back += at > 0;
			sum += at;
		}
		print_message("[          ] %g requests a period, %g fail instead of %g: found after %.1f periods\n",
			      cases[c].world.requests, cases[c].world.canary_rate, cases[c].world.stable_rate,
			      sum / 200.0);
		assert_int_equal(back, 200);
		assert_true(sum <= 200 * cases[c].at_most);
	}
}

static void little_worse_is_let_through(void **state)
{
	/* A tenth more errors, a million requests each: not what min_effect asks for, however much traffic there is. */
	(void)state;
	assert_true(weigh(1000000, 11000, 1000000, 10000) < evidence_threshold(ALARM));
	assert_true(weigh(1000000, 12500, 1000000, 10000) > evidence_threshold(ALARM));
}

static void edges(void **state)
{
	(void)state;
	/* Nothing happened, or nothing that says anything. */
	assert_true(weigh(0, 0, 0, 0) == 0);
	assert_true(weigh(1000, 0, 9000, 0) == 0);
	assert_true(weigh(1000, 1000, 9000, 9000) == 0);
	assert_true(weigh(0, 0, 9000, 90) == 0);
	assert_true(weigh(1000, 500, 0, 0) == 0);
	/* One unlucky request is no proof; all errors on the canary soon are. */
	assert_true(weigh(100, 1, 900, 0) < evidence_threshold(ALARM));
	assert_true(weigh(100, 3, 900, 0) > evidence_threshold(ALARM));
	assert_true(weigh(10, 10, 10, 0) > evidence_threshold(ALARM));
	/* A canary that is better is no evidence against it. */
	assert_true(weigh(1000, 0, 1000, 200) < 0);
	/* Late data can show more errors than requests; they count as that many. */
	assert_true(weigh(10, 15, 90, 0) == weigh(10, 10, 90, 0));
	/* The counters' end. */
	assert_true(isfinite(weigh(UINT64_C(1) << 53, UINT64_C(1) << 52, UINT64_C(1) << 53, 1)));
}

static void the_record_bounds_the_rate(void **state)
{
	struct counts none = {0}, all = counts(10, 10), some = counts(1000, 10), many = counts(1000000, 10000);

	(void)state;
	assert_true(evidence_null_rate(&none, ALARM, EFFECT) == 1);
	assert_true(evidence_null_rate(&all, ALARM, EFFECT) == 1);
	/* Chernoff's bound at n = 1000, rate 1 %, one in a thousand: 2.65 %, and a quarter more in odds. */
	assert_float_equal(evidence_null_rate(&some, ALARM, EFFECT), 0.0329, 0.0002);
	assert_float_equal(evidence_null_rate(&many, ALARM, EFFECT), 0.01297, 0.0002);
	/* So it fails at most in a part of the alarms that it is allowed. */
	struct prng p;
	unsigned below = 0;

	prng_init(&p, 3);
	for (unsigned n = 0; n < NULLS; n++) {
		struct counts record = counts(500, draw(&p, 500, 0.02));

		below += evidence_null_rate(&record, ALARM, 1 + 1e-9) < 0.02;
	}
	assert_true(below <= ALARM / 10 * NULLS);
}

static void who_serves_alone(void **state)
{
	struct counts canary = counts(50, 0), stable = counts(1, 0), none = counts(0, 0);

	(void)state;
	assert_false(evidence_is_alone(&canary, &stable));
	canary.invocations++;
	assert_true(evidence_is_alone(&canary, &stable));
	assert_false(evidence_is_alone(&none, &none));
}

static void forecasts(void **state)
{
	struct evidence_outlook o = {
	    .stable_rate = 0.001, .canary_rate = 0.01, .null_rate = 0.002, .false_alarm = ALARM, .min_effect = EFFECT};
	double need = evidence_requests_needed(&o, 0.1), found;
	struct prng p;
	unsigned back = 0;

	(void)state;
	/* About half of the rollouts with so many requests are found out by them. */
	prng_init(&p, 11);
	for (unsigned n = 0; n < 2000; n++) {
		uint64_t a = (uint64_t)(need * 0.1), b = (uint64_t)(need * 0.9);

		back += weigh(a, draw(&p, a, 0.01), b, draw(&p, b, 0.001)) >= evidence_threshold(ALARM);
	}
	assert_true(back > 700 && back < 1300);
	/* What is found is what so many requests show. */
	found = evidence_detectable_rate(&o, need * 0.1, need * 0.9);
	assert_true(found > 0.009 && found < 0.0111);
	assert_true(evidence_detectable_rate(&o, need, 0) > 0.002);
	assert_true(evidence_detectable_rate(&o, need, 0) < 0.01);
	/* Two requests show nothing; nor does one that is not worse, ever. */
	assert_true(isinf(evidence_detectable_rate(&o, 1, 1)));
	o.canary_rate = 0.001;
	assert_true(isinf(evidence_requests_needed(&o, 0.1)));
	/* Alone, against what is known. */
	o.canary_rate = 0.05;
	assert_true(evidence_requests_needed(&o, 1) < 1000);
}

static void what_makes_no_sense_is_refused(void **state)
{
	struct evidence_outlook o = {
	    .stable_rate = 0.001, .canary_rate = 0.01, .false_alarm = ALARM, .min_effect = EFFECT};
	struct counts some = counts(1000, 10);
	struct evidence e;

	(void)state;
	expect_assert_failure(evidence_init(&e, 1));
	evidence_init(&e, EFFECT);
	expect_assert_failure(evidence_add_alone(&e, &some, -0.1));
	expect_assert_failure(evidence_add_alone(&e, &some, 1.1));
	expect_assert_failure(evidence_add_share(&e, &some, &some, 0, true));
	expect_assert_failure(evidence_add_share(&e, &some, &some, 1.1, true));
	expect_assert_failure((void)evidence_threshold(0));
	expect_assert_failure((void)evidence_threshold(1));
	expect_assert_failure((void)evidence_null_rate(&some, 0, EFFECT));
	expect_assert_failure((void)evidence_null_rate(&some, 1, EFFECT));
	expect_assert_failure((void)evidence_null_rate(&some, ALARM, 1));
	expect_assert_failure((void)evidence_requests_needed(&o, 0));
	expect_assert_failure((void)evidence_requests_needed(&o, 1.1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_rising_share_adds_nothing_in_the_mean),
	    cmocka_unit_test(a_share_that_holds_is_weighed_in_full),
	    cmocka_unit_test(a_few_requests_do_not_show_their_share),
	    cmocka_unit_test(no_alternative_gains_by_luck),
	    cmocka_unit_test(alone_nothing_gains_by_luck),
	    cmocka_unit_test(equal_canaries_stay),
	    cmocka_unit_test(worse_canaries_come_back),
	    cmocka_unit_test(little_worse_is_let_through),
	    cmocka_unit_test(edges),
	    cmocka_unit_test(the_record_bounds_the_rate),
	    cmocka_unit_test(who_serves_alone),
	    cmocka_unit_test(forecasts),
	    cmocka_unit_test(what_makes_no_sense_is_refused),
	};

	return cmocka_run_group_tests_name("core_evidence", tests, NULL, NULL);
}
