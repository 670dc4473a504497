/* The retry policy: attempts, waits, budget, exemptions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/retry.h"

#define TOP UINT64_MAX /* 2^64-1 modulo an even limit is not its top; used where any value will do */

static struct aws_error error_of(enum aws_error_class class)
{
	return (struct aws_error){.class = class};
}

static void what_may_be_repeated(void **state)
{
	(void)state;
	static const struct {
		enum aws_error_class class;
		bool when_safe;
		bool when_unsafe;
	} table[] = {
	    {AWS_THROTTLED, true, true},      {AWS_NO_CONNECTION, true, true}, {AWS_TRANSIENT, true, false},
	    {AWS_NO_ANSWER, true, false},     {AWS_NOT_FOUND, false, false},   {AWS_CONFLICT, false, false},
	    {AWS_PRECONDITION, false, false}, {AWS_DENIED, false, false},      {AWS_CREDENTIALS, false, false},
	    {AWS_SETTINGS, false, false},     {AWS_SKEW, false, false},	       {AWS_INVALID, false, false},
	    {AWS_MALFORMED, false, false},
	};
	for (size_t i = 0; i < array_len(table); i++)
		for (int safe = 0; safe < 2; safe++)
			for (int exempt = 0; exempt < 2; exempt++) {
				struct retry_budget b;
				struct retry_state s = {0};
				struct aws_error e = error_of(table[i].class);
				retry_budget_init(&b);
				bool want = safe ? table[i].when_safe : table[i].when_unsafe;
				assert_int_equal(retry_next_ms(&b, &s, &e, safe, exempt, 1) >= 0, want);
				assert_int_equal(s.attempt, 1);
			}
}

static void waits_double_up_to_the_cap(void **state)
{
	(void)state;
	struct retry_budget b;
	retry_budget_init(&b);
	const struct aws_error transient = error_of(AWS_NO_CONNECTION);
	const struct aws_error throttled = error_of(AWS_THROTTLED);
	int64_t limit = 50;
	struct retry_state s = {0};
	for (int i = 0; i < 40; i++) {
		/* The largest and the smallest that the entropy can give. */
		struct retry_state copy = s;
		assert_int_equal(retry_next_ms(&b, &copy, &transient, true, true, (uint64_t)limit - 1), limit - 1);
		copy = s;
		assert_int_equal(retry_next_ms(&b, &copy, &transient, true, true, (uint64_t)limit), 0);
		s = copy;
		limit = limit * 2 < 5000 ? limit * 2 : 5000;
	}
	s = (struct retry_state){0};
	assert_int_equal(retry_next_ms(&b, &s, &throttled, true, true, 999), 999);
	assert_int_equal(retry_next_ms(&b, &s, &throttled, true, true, 1999), 1999);
	s.attempt = UINT32_MAX;
	assert_true(retry_next_ms(&b, &s, &throttled, true, true, TOP) < 5000);
}

/* The hint of x-amz-retry-after moves the wait by 5 s at most; Retry-After is kept to, with the jitter on top.
 * A rollback waits 5 s at the most, whatever is wished. */
static void wishes_are_heeded(void **state)
{
	(void)state;
	static const struct {
		int64_t wish_ms;
		bool firm, exempt;
		uint64_t entropy;
		int64_t want_ms;
	} cases[] = {
	    {100, false, false, 700, 700},   {900, false, false, 700, 900},    {60000, false, false, 700, 5700},
	    {3000, true, false, 700, 3700},  {60000, true, false, 700, 20000}, {1000, true, true, 999, 1999},
	    {60000, true, true, 700, 5000},  {0, true, false, 700, 700},       {3000, false, true, 700, 3000},
	    {60000, false, true, 700, 5000},
	};
	for (size_t i = 0; i < array_len(cases); i++) {
		struct retry_budget b;
		struct retry_state s = {0};
		struct aws_error e = error_of(AWS_THROTTLED);
		e.retry_after_ms = cases[i].wish_ms;
		e.retry_after_firm = cases[i].firm;
		retry_budget_init(&b);
		assert_int_equal(retry_next_ms(&b, &s, &e, true, cases[i].exempt, cases[i].entropy), cases[i].want_ms);
	}
}

static void three_attempts(void **state)
{
	(void)state;
	struct retry_budget b;
	struct retry_state s = {0};
	const struct aws_error e = error_of(AWS_TRANSIENT);
	retry_budget_init(&b);
	assert_true(retry_next_ms(&b, &s, &e, true, false, 1) >= 0);
	assert_true(retry_next_ms(&b, &s, &e, true, false, 1) >= 0);
	assert_int_equal(retry_next_ms(&b, &s, &e, true, false, 1), -1);
	assert_int_equal(s.attempt, 3);
	assert_int_equal(b.tokens, 500 - 2 * 14);
	/* The exempt go on, and pay nothing. */
	for (int i = 0; i < 1000; i++)
		assert_true(retry_next_ms(&b, &s, &e, true, true, 1) >= 0);
	assert_int_equal(b.tokens, 500 - 2 * 14);
}

static void the_budget(void **state)
{
	(void)state;
	struct retry_budget b;
	const struct aws_error transient = error_of(AWS_TRANSIENT);
	const struct aws_error throttled = error_of(AWS_THROTTLED);
	struct retry_state s;
	retry_budget_init(&b);
	for (int i = 0; i < 35; i++) {
		s = (struct retry_state){0};
		assert_true(retry_next_ms(&b, &s, &transient, true, false, 1) >= 0);
	}
	assert_int_equal(b.tokens, 10);
	s = (struct retry_state){0};
	assert_int_equal(retry_next_ms(&b, &s, &transient, true, false, 1), -1);
	assert_int_equal(s.paid, 0);
	/* Throttling is cheaper. */
	s = (struct retry_state){0};
	assert_true(retry_next_ms(&b, &s, &throttled, true, false, 1) >= 0);
	assert_int_equal(b.tokens, 5);
	/* A success gives the price of its last retry back, or 1. */
	retry_succeeded(&b, &s);
	assert_int_equal(b.tokens, 10);
	s = (struct retry_state){0};
	retry_succeeded(&b, &s);
	assert_int_equal(b.tokens, 11);
	for (int i = 0; i < 1000; i++)
		retry_succeeded(&b, &s);
	assert_int_equal(b.tokens, 500);
}

static void the_services_wish(void **state)
{
	(void)state;
	struct retry_budget b;
	retry_budget_init(&b);
	struct aws_error e = error_of(AWS_THROTTLED);
	static const struct {
		int64_t hint;
		int64_t want;
	} table[] = {{0, 100}, {50, 100}, {3000, 3000}, {4900, 4900}, {5100, 5000}, {60000, 5000}};
	for (size_t i = 0; i < array_len(table); i++) {
		struct retry_state s = {0};
		e.retry_after_ms = table[i].hint;
		assert_int_equal(retry_next_ms(&b, &s, &e, true, true, 100), table[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_may_be_repeated), cmocka_unit_test(waits_double_up_to_the_cap),
	    cmocka_unit_test(wishes_are_heeded),    cmocka_unit_test(three_attempts),
	    cmocka_unit_test(the_budget),	    cmocka_unit_test(the_services_wish),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
