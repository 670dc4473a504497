/* Strategy names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "plan/strategy.h"

struct parsed {
	struct spec_step *steps;
	size_t n;
	char error[128];
};

static int parse(struct arena *a, const char *name, struct parsed *p)
{
	*p = (struct parsed){.steps = NULL, .n = 12345};
	return strategy_parse(a, name, &p->steps, &p->n, p->error, sizeof(p->error));
}

static void test_forms(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		size_t n;
		unsigned first_percent;
		unsigned last_percent;
		int minutes;
	} cases[] = {
	    {"AllAtOnce", 0, 0, 0, 0},
	    {"CodeDeployDefault.LambdaAllAtOnce", 0, 0, 0, 0},
	    {"CodeDeployDefault.AllAtOnce", 0, 0, 0, 0},
	    {"Canary10Percent5Minutes", 1, 10, 10, 5},
	    {"Canary1Percent1Minute", 1, 1, 1, 1},
	    {"CodeDeployDefault.LambdaCanary99Percent20160Minutes", 1, 99, 99, 20160},
	    {"Linear10PercentEvery1Minute", 9, 10, 90, 1},
	    {"CodeDeployDefault.LambdaLinear10PercentEvery10Minutes", 9, 10, 90, 10},
	    {"Linear33PercentEvery5Minutes", 3, 33, 99, 5},
	    {"Linear50PercentEvery2Minutes", 1, 50, 50, 2},
	    {"Linear49PercentEvery2Minutes", 2, 49, 98, 2},
	    {"Linear51PercentEvery2Minutes", 1, 51, 51, 2},
	    {"Linear1PercentEvery1Minutes", 99, 1, 99, 1},
	    {"Linear99PercentEvery1Minutes", 1, 99, 99, 1},
	};
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup(arena_free_p) struct arena *a = arena_new();
		struct parsed p;
		assert_int_equal(parse(a, cases[i].name, &p), STRATEGY_OK);
		assert_int_equal(p.n, cases[i].n);
		if (p.n == 0)
			continue;
		assert_int_equal(p.steps[0].weight_bp, cases[i].first_percent * 100);
		assert_int_equal(p.steps[p.n - 1].weight_bp, cases[i].last_percent * 100);
		for (size_t j = 0; j < p.n; j++) {
			assert_int_equal(p.steps[j].bake_ms, cases[i].minutes * MS_PER_MINUTE);
			assert_int_equal(p.steps[j].min_invocations, 0);
			assert_false(p.steps[j].approve);
			assert_true(j == 0 || p.steps[j].weight_bp > p.steps[j - 1].weight_bp);
		}
	}
}

static void test_unknown(void **state)
{
	(void)state;
	static const char *const names[] = {
	    "",
	    "allatonce",
	    "AllAtOnce ",
	    "Canary",
	    "Canary10",
	    "Canary10Percent",
	    "Canary10PercentMinutes",
	    "Canary10Percent5",
	    "Canary10Percent5Hours",
	    "Canary10Percent5Minutess",
	    "Canary10PercentEvery5Minutes",
	    "Linear10Percent5Minutes",
	    "Linear10PercentEveryMinute",
	    "LinearPercentEvery1Minute",
	    "Canary-1Percent5Minutes",
	    "Canary1.5Percent5Minutes",
	    "Canary010Percent5Minutes",
	    "Canary10Percent05Minutes",
	    "LambdaCanary10Percent5Minutes",
	    "CodeDeployDefault.ECSCanary10Percent5Minutes",
	    "CodeDeployDefault.",
	    " Canary10Percent5Minutes",
	};
	for (size_t i = 0; i < array_len(names); i++) {
		cleanup(arena_free_p) struct arena *a = arena_new();
		struct parsed p;
		assert_int_equal(parse(a, names[i], &p), STRATEGY_UNKNOWN);
		assert_int_equal(p.n, 12345); /* untouched */
	}
}

static void test_range(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		const char *words;
	} cases[] = {
	    {"Canary0Percent5Minutes", "percentage"},
	    {"Canary100Percent5Minutes", "percentage"},
	    {"Linear100PercentEvery1Minute", "percentage"},
	    {"Linear18446744073709551617PercentEvery1Minute", "percentage"},
	    {"Canary10Percent0Minutes", "minutes"},
	    {"Canary10Percent20161Minutes", "minutes"},
	    {"Canary10Percent18446744073709551621Minutes", "minutes"},
	};
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup(arena_free_p) struct arena *a = arena_new();
		struct parsed p;
		assert_int_equal(parse(a, cases[i].name, &p), STRATEGY_RANGE);
		assert_non_null(strstr(p.error, cases[i].words));
		assert_int_equal(p.n, 12345);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_forms),
	    cmocka_unit_test(test_unknown),
	    cmocka_unit_test(test_range),
	};
	return cmocka_run_group_tests_name("plan strategies", tests, NULL, NULL);
}
