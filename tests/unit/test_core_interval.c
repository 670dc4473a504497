/*
 * Intervals that hold at every look: by simulated experiments that are looked at after each period, and at the edges.
 * Nothing depends on luck: the random numbers are the same in each run.
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
#include "core/interval.h"

#define ERROR	0.05
#define RUNS	2000 /* of each of the five worlds: ten thousand */
#define PERIODS 12

/* Stands before the library's own, which would abort: the test goes on from here. */
void require_failed(const char *file, int line, const char *condition)
{
	mock_assert(0, condition, file, line);
	abort(); /* mock_assert does not come back */
}

static struct counts counts(uint64_t invocations, uint64_t errors)
{
	return (struct counts){invocations, errors, true};
}

static struct interval of_rate(uint64_t invocations, uint64_t errors)
{
	struct counts c = counts(invocations, errors);
	struct interval i;

	interval_of_rate(&c, ERROR, &i);
	return i;
}

static struct interval of_difference(struct counts a, struct counts b)
{
	struct interval i;

	interval_of_difference(&a, &b, ERROR, &i);
	return i;
}

/* From hit to hit. */
static uint64_t draw(struct prng *p, uint64_t n, double rate)
{
	double step = log1p(-rate);
	uint64_t k = 0;

	if (rate <= 0)
		return 0;
	for (double x = floor(log(1 - prng_unit(p)) / step); x < (double)n;
	     x += 1 + floor(log(1 - prng_unit(p)) / step))
		k++;
	return k;
}

struct world {
	double canary_rate, stable_rate;
	uint64_t canary, stable; /* requests in a period */
};

static bool holds(const struct interval *i, double truth)
{
	return i->low <= truth && truth <= i->high;
}

/* What a textbook gives for a number of requests that was fixed before. */
static struct interval of_textbook(struct counts a, struct counts b)
{
	double pa = (double)a.errors / (double)a.invocations, pb = (double)b.errors / (double)b.invocations;
	double half = 1.96 * sqrt(pa * (1 - pa) / (double)a.invocations + pb * (1 - pb) / (double)b.invocations);

	return (struct interval){pa - pb - half, pa - pb + half};
}

/* One experiment, looked at after each period: did the interval hold at all of them? */
static void run(struct prng *p, const struct world *w, bool *ret_ours, bool *ret_textbook)
{
	struct counts a = counts(0, 0), b = counts(0, 0);
	double truth = w->canary_rate - w->stable_rate;

	*ret_ours = *ret_textbook = true;
	for (int i = 0; i < PERIODS; i++) {
		struct interval ours, textbook;

		a.invocations += w->canary;
		a.errors += draw(p, w->canary, w->canary_rate);
		b.invocations += w->stable;
		b.errors += draw(p, w->stable, w->stable_rate);
		ours = of_difference(a, b);
		textbook = of_textbook(a, b);
		*ret_ours = *ret_ours && holds(&ours, truth);
		*ret_textbook = *ret_textbook && holds(&textbook, truth);
	}
}

static void ten_thousand_experiments_hold_at_every_look(void **state)
{
	static const struct world worlds[] = {
	    {0.01, 0.01, 100, 100},	 {0.002, 0.03, 40, 360}, {0.2, 0.1, 50, 50},
	    {0.0005, 0.001, 1000, 1000}, {0.5, 0.5, 20, 30},
	};
	struct prng p;
	unsigned all = 0, textbook_all = 0;

	(void)state;
	prng_init(&p, 20);
	for (size_t n = 0; n < array_len(worlds); n++) {
		unsigned held = 0;

		for (int i = 0; i < RUNS; i++) {
			bool ours, textbook;

			run(&p, &worlds[n], &ours, &textbook);
			held += ours;
			textbook_all += textbook;
		}
		print_message("%.4f and %.4f: %u of %u hold\n", worlds[n].canary_rate, worlds[n].stable_rate, held,
			      RUNS);
		assert_true(held >= (1 - ERROR) * RUNS);
		all += held;
	}
	print_message("%u of %zu; by the textbook %u\n", all, RUNS * array_len(worlds), textbook_all);
	/* The looks are what it takes: an interval for one look does not hold at all of them. */
	assert_true(textbook_all < (1 - ERROR) * RUNS * array_len(worlds));
}

/* The martingale itself, by exact sums: its mean over all outcomes is 1, so nothing is given away either. */
static void the_ends_are_where_the_martingale_is_one_over_the_error(void **state)
{
	static const uint64_t n[] = {1, 7, 40, 1000, 1000000};

	(void)state;
	for (size_t k = 0; k < array_len(n); k++) {
		for (uint64_t x = 0; x <= n[k]; x += n[k] / 7 + 1) {
			struct interval i = of_rate(n[k], x);
			double beta = lgamma(x + 0.5) + lgamma(n[k] - x + 0.5) - lgamma(n[k] + 1.0) - log(M_PI);
			double at_low = beta - x * log(i.low) - (n[k] - x) * log1p(-i.low);
			double at_high = beta - x * log(i.high) - (n[k] - x) * log1p(-i.high);

			if (x > 0)
				assert_true(fabs(at_low + log(ERROR)) < 1e-4);
			else
				assert_true(i.low <= 0);
			if (x < n[k])
				assert_true(fabs(at_high + log(ERROR)) < 1e-4);
			else
				assert_true(i.high >= 1);
		}
	}
}

/* Each of the two has half of the error, so that both hold together. */
static void a_difference_is_between_the_farthest_ends(void **state)
{
	struct counts a = counts(1000, 40), b = counts(3000, 60);
	struct interval of_a, of_b, i = of_difference(a, b);

	(void)state;
	interval_of_rate(&a, ERROR / 2, &of_a);
	interval_of_rate(&b, ERROR / 2, &of_b);
	assert_true(fabs(i.low - (of_a.low - of_b.high)) < 1e-15);
	assert_true(fabs(i.high - (of_a.high - of_b.low)) < 1e-15);
}

static void without_requests_nothing_is_known(void **state)
{
	struct interval i = of_rate(0, 0);

	(void)state;
	assert_true(i.low <= 0 && i.high >= 1);
	i = of_difference(counts(0, 0), counts(0, 0));
	assert_true(i.low <= -1 && i.high >= 1);
}

static void more_requests_tell_more(void **state)
{
	double before = 1;

	(void)state;
	for (uint64_t n = 10; n < UINT64_C(1000000000000000); n *= 10) {
		struct interval i = of_rate(n, n / 10);

		assert_true(holds(&i, 0.1));
		assert_true(i.high - i.low < before);
		before = i.high - i.low;
	}
	assert_true(before < 1e-6);
}

static void a_difference_shows(void **state)
{
	struct interval i = of_difference(counts(10000, 100), counts(10000, 300));

	(void)state;
	assert_true(i.high < 0 && i.low > -0.04);
	i = of_difference(counts(10000, 300), counts(10000, 100));
	assert_true(i.low > 0 && i.high < 0.04);
	i = of_difference(counts(10000, 100), counts(10000, 101));
	assert_true(i.low < 0 && i.high > 0);
}

/* Late data can show it for a while. */
static void more_errors_than_requests_count_as_that_many(void **state)
{
	struct interval i = of_rate(5, 9), all = of_rate(5, 5);

	(void)state;
	assert_memory_equal(&i, &all, sizeof(i));
}

static void an_error_is_a_chance(void **state)
{
	struct counts c = counts(1, 0);
	struct interval i;

	(void)state;
	expect_assert_failure(interval_of_rate(&c, 0, &i));
	expect_assert_failure(interval_of_rate(&c, 1, &i));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ten_thousand_experiments_hold_at_every_look),
	    cmocka_unit_test(the_ends_are_where_the_martingale_is_one_over_the_error),
	    cmocka_unit_test(a_difference_is_between_the_farthest_ends),
	    cmocka_unit_test(without_requests_nothing_is_known),
	    cmocka_unit_test(more_requests_tell_more),
	    cmocka_unit_test(a_difference_shows),
	    cmocka_unit_test(more_errors_than_requests_count_as_that_many),
	    cmocka_unit_test(an_error_is_a_chance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
