/* The adaptive rate against botocore's, answer by answer (tests/vectors/retries.json), and when it is over. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "aws/adaptive.h"

static void expect_near(const char *series, size_t n, double got, double want)
{
	if (fabs(got - want) > 1e-6 * (1 + fabs(want)))
		fail_msg("%s, answer %zu: %.9g instead of %.9g", series, n, got, want);
}

static void rates_are_botocores(void **state)
{
	(void)state;
	json_t *vectors = json_load_file("tests/vectors/retries.json", 0, NULL), *answers, *a;
	const char *name;
	size_t n, compared = 0;
	assert_non_null(vectors);
	json_object_foreach(json_object_get(vectors, "series"), name, answers)
	{
		struct adaptive rate;
		adaptive_init(&rate, 0, json_integer_value(json_object_get(vectors, "start_ms")));
		json_array_foreach(answers, n, a)
		{
			adaptive_answered(&rate, json_integer_value(json_array_get(a, 0)),
					  json_is_true(json_array_get(a, 1)));
			expect_near(name, n, rate.measured, json_number_value(json_array_get(a, 2)));
			expect_near(name, n, rate.rate, json_number_value(json_array_get(a, 3)));
			compared++;
		}
	}
	assert_true(compared > 1000);
	json_decref(vectors);
}

/* However far the curve is up, as who sends in bursts would be throttled again by the next one. */
static void a_limit_is_forgotten_after_ten_quiet_minutes(void **state)
{
	(void)state;
	struct adaptive a;
	adaptive_init(&a, 10, 5000);
	assert_false(adaptive_has_recovered(&a, 5000 + ADAPTIVE_QUIET_MS)); /* nothing was slowed down */
	adaptive_answered(&a, 5000, true);
	assert_true(a.slowed);
	expect_near("after the first", 0, a.rate, 7);
	adaptive_answered(&a, 65000, false);
	assert_false(adaptive_has_recovered(&a, 4999 + ADAPTIVE_QUIET_MS));
	assert_true(adaptive_has_recovered(&a, 5000 + ADAPTIVE_QUIET_MS));
	adaptive_answered(&a, 500000, true);
	assert_false(adaptive_has_recovered(&a, 5000 + ADAPTIVE_QUIET_MS));
}

static void there_is_a_floor(void **state)
{
	(void)state;
	struct adaptive a;
	adaptive_init(&a, 10, 5000);
	for (int64_t ms = 5000; ms < 600000; ms += 100) {
		adaptive_answered(&a, ms, true);
		assert_true(a.rate >= ADAPTIVE_MIN_RATE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rates_are_botocores),
	    cmocka_unit_test(a_limit_is_forgotten_after_ten_quiet_minutes),
	    cmocka_unit_test(there_is_a_floor),
	};
	return cmocka_run_group_tests_name("adaptive rates", tests, NULL, NULL);
}
