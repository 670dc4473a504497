/* Decimal numbers as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/number.h"
#include "base/prng.h"

static void test_permille(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int result;
		int64_t permille;
		const char *again;
	} cases[] = {
	    {"1.25", 0, 1250, "1.25"},
	    {"1", 0, 1000, "1"},
	    {"0", 0, 0, "0"},
	    {"007.5", 0, 7500, "7.5"},
	    {"0.001", 0, 1, "0.001"},
	    {"1.2500", 0, 1250, "1.25"},
	    {"100.0", 0, 100000, "100"},
	    {"999999999999.999", 0, INT64_C(999999999999999), "999999999999.999"},
	    {"1.2345", -ERANGE, 0, NULL},
	    {"1000000000000000", -ERANGE, 0, NULL},
	    {"99999999999999999999999999", -ERANGE, 0, NULL},
	    {"", -EINVAL, 0, NULL},
	    {".5", -EINVAL, 0, NULL},
	    {"1.", -EINVAL, 0, NULL},
	    {"-1", -EINVAL, 0, NULL},
	    {"+1", -EINVAL, 0, NULL},
	    {"1e3", -EINVAL, 0, NULL},
	    {"1,5", -EINVAL, 0, NULL},
	    {" 1", -EINVAL, 0, NULL},
	    {"1.5.5", -EINVAL, 0, NULL},
	    {"1.23456x", -EINVAL, 0, NULL},
	    {"0x10", -EINVAL, 0, NULL},
	};
	for (size_t i = 0; i < array_len(cases); i++) {
		int64_t v = -1;
		char text[32];
		if (number_parse_permille(cases[i].text, &v) != cases[i].result)
			fail_msg("%s", cases[i].text);
		assert_int_equal(v, cases[i].result ? -1 : cases[i].permille);
		if (cases[i].result)
			continue;
		number_format_permille(v, text);
		assert_string_equal(text, cases[i].again);
	}
}

static void test_numbers(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int result;
		double v;
		const char *again;
	} cases[] = {
	    {"250", 0, 250, "250"},
	    {"-0.5", 0, -0.5, "-0.5"},
	    {"0.1", 0, 0.1, "0.1"},
	    {"0.000000001", 0, 1e-9, "0.000000001"},
	    {"-0.0", 0, 0, "0"},
	    {"999999999999999", 0, 999999999999999.0, "999999999999999"},
	    {"-999999.999999999", 0, -999999.999999999, "-999999.999999999"},
	    {"1.10", 0, 1.1, "1.1"},
	    {"1000", 0, 1000, "1000"},
	    {"1000000000000000", -ERANGE, 0, NULL},
	    {"0.0000000001", -ERANGE, 0, NULL},
	    {"123456789.123456789", -ERANGE, 0, NULL},
	    {"-", -EINVAL, 0, NULL},
	    {"--1", -EINVAL, 0, NULL},
	    {"1e5", -EINVAL, 0, NULL},
	    {"inf", -EINVAL, 0, NULL},
	    {"nan", -EINVAL, 0, NULL},
	    {"", -EINVAL, 0, NULL},
	};
	for (size_t i = 0; i < array_len(cases); i++) {
		double v = -1;
		char text[32];
		if (number_parse(cases[i].text, &v) != cases[i].result)
			fail_msg("%s", cases[i].text);
		if (cases[i].result)
			continue;
		assert_memory_equal(&v, &cases[i].v, sizeof(v));
		number_format(v, text);
		assert_string_equal(text, cases[i].again);
	}
}

/* Whatever was read is written so that it is read to the same bits, and in the same words. */
static void test_numbers_come_back(void **state)
{
	(void)state;
	struct prng r;
	prng_init(&r, 20261123);
	for (int i = 0; i < 200000; i++) {
		unsigned decimals = (unsigned)prng_below(&r, NUMBER_DECIMALS + 1);
		uint64_t whole = 1, fraction = 1;
		for (unsigned n = (unsigned)prng_below(&r, NUMBER_DIGITS - decimals + 1); n > 0; n--)
			whole *= 10;
		for (unsigned n = decimals; n > 0; n--)
			fraction *= 10;
		char text[64], once[32], again[32];
		double a, b;
		(void)snprintf(text, sizeof(text), "%s%llu", prng_below(&r, 2) ? "-" : "",
			       (unsigned long long)prng_below(&r, whole));
		if (decimals > 0)
			(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), ".%0*llu", (int)decimals,
				       (unsigned long long)prng_below(&r, fraction));
		assert_int_equal(number_parse(text, &a), 0);
		number_format(a, once);
		assert_int_equal(number_parse(once, &b), 0);
		number_format(b, again);
		assert_memory_equal(&a, &b, sizeof(a));
		assert_string_equal(once, again);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_permille),
	    cmocka_unit_test(test_numbers),
	    cmocka_unit_test(test_numbers_come_back),
	};
	return cmocka_run_group_tests_name("numbers", tests, NULL, NULL);
}
