/* AWS's time out of Date headers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/clock.h"
#include "base/macros.h"

#define NOW_MS INT64_C(1795385405000) /* a whole second, as a Date is */

static struct instant host_at(int64_t ahead_ms, int64_t boot_ms)
{
	return (struct instant){.unix_ms = NOW_MS + ahead_ms + boot_ms, .boot_ms = boot_ms};
}

static void nothing_known_is_the_hosts_time(void **state)
{
	(void)state;
	const struct aws_clock c = {0};
	assert_int_equal(aws_clock_unix_ms(&c, host_at(MS_PER_HOUR, 7000)), NOW_MS + MS_PER_HOUR + 7000);
	assert_int_equal(aws_clock_host_ahead_ms(&c, host_at(MS_PER_HOUR, 7000)), 0);
}

/* A Date has no fractions and an answer takes its time: a clock that agrees within that is left alone. */
static void a_good_clock_is_followed_to_the_millisecond(void **state)
{
	(void)state;
	static const int64_t good[] = {-2000, -1, 0, 999, 2999};
	for (size_t i = 0; i < array_len(good); i++) {
		struct aws_clock c = {0};
		aws_clock_told(&c, host_at(good[i], 0), NOW_MS, 0, true);
		assert_int_equal(aws_clock_unix_ms(&c, host_at(good[i], 60000)), NOW_MS + good[i] + 60000);
		assert_int_equal(aws_clock_host_ahead_ms(&c, host_at(good[i], 60000)), 0);
	}
	/* Both clocks are cut to milliseconds: what that makes of them is not seen. */
	for (int64_t cut = -1; cut <= 1; cut++) {
		struct aws_clock c = {0};
		aws_clock_told(&c, host_at(0, 0), NOW_MS, 0, true);
		assert_int_equal(aws_clock_unix_ms(&c, host_at(cut, 60000)), NOW_MS + cut + 60000);
	}
	/* An answer that was nine seconds on its way is of nine seconds ago at the most. */
	struct aws_clock c = {0};
	aws_clock_told(&c, host_at(9000, 0), NOW_MS, 9000, true);
	assert_int_equal(aws_clock_unix_ms(&c, host_at(9000, 0)), NOW_MS + 9000);
}

static void a_wrong_clock_is_measured(void **state)
{
	(void)state;
	static const int64_t wrong[] = {-6 * MS_PER_HOUR,  -MS_PER_MINUTE, -2001, 3201,
					2 * MS_PER_MINUTE, 90 * MS_PER_DAY};
	for (size_t i = 0; i < array_len(wrong); i++) {
		struct aws_clock c = {0};
		aws_clock_told(&c, host_at(wrong[i], 0), NOW_MS, 200, false);
		assert_in_range(aws_clock_unix_ms(&c, host_at(wrong[i], 5000)), NOW_MS + 5000, NOW_MS + 6000);
		int64_t ahead_ms = aws_clock_host_ahead_ms(&c, host_at(wrong[i], 5000));
		assert_in_range(ahead_ms - wrong[i] + 1000, 0, 2000);
	}
}

/* Each answer would move it by a second otherwise. */
static void a_measured_time_does_not_shake(void **state)
{
	(void)state;
	struct aws_clock c = {0};
	aws_clock_told(&c, host_at(MS_PER_HOUR, 0), NOW_MS, 0, false);
	int64_t before = c.ahead_ms;
	for (int64_t ms = 0; ms < 10000; ms += 130) {
		aws_clock_told(&c, host_at(MS_PER_HOUR, ms), NOW_MS + ms / 1000 * 1000, ms % 700, true);
		assert_int_equal(c.ahead_ms, before);
	}
	/* Until it is really another one. */
	aws_clock_told(&c, host_at(MS_PER_HOUR, 20000), NOW_MS + 40000, 0, true);
	assert_in_range(aws_clock_unix_ms(&c, host_at(MS_PER_HOUR, 20000)), NOW_MS + 40000, NOW_MS + 41000);
}

/* An answer that was long on its way fits nearly any clock: what was measured stands, and the host's is no
 * better. */
static void a_slow_answer_changes_nothing(void **state)
{
	(void)state;
	static const struct {
		int64_t host_ms, travel_ms;
	} cases[] = {{10 * MS_PER_MINUTE, 12 * MS_PER_MINUTE}, {11000, 9000}, {11000, 2900}, {-11000, 9000}};
	for (size_t i = 0; i < array_len(cases); i++) {
		struct aws_clock c = {0};
		int64_t at_ms = cases[i].travel_ms, host_ms = cases[i].host_ms;
		aws_clock_told(&c, host_at(host_ms, 0), NOW_MS, 0, false);
		int64_t before = c.ahead_ms;
		aws_clock_told(&c, host_at(host_ms, at_ms), NOW_MS, at_ms, true);
		assert_int_equal(c.ahead_ms, before);
		assert_in_range(aws_clock_host_ahead_ms(&c, host_at(host_ms, at_ms)) - host_ms + 1000, 0, 2000);
	}
	/* Nor is a time measured by one, when nothing is known or when what is known does not fit. */
	struct aws_clock c = {0};
	aws_clock_told(&c, host_at(20000, 0), NOW_MS, 9000, true);
	assert_false(c.known);
	aws_clock_told(&c, host_at(0, 0), NOW_MS, 0, true);
	aws_clock_told(&c, host_at(0, 0), NOW_MS - 20000, 9000, true);
	assert_int_equal(aws_clock_unix_ms(&c, host_at(0, 0)), NOW_MS);
	/* A refusal for the time is no such case: whatever it tells is better. */
	aws_clock_told(&c, host_at(0, 0), NOW_MS - MS_PER_HOUR, 9000, false);
	assert_in_range(aws_clock_unix_ms(&c, host_at(0, 0)), NOW_MS - MS_PER_HOUR, NOW_MS - MS_PER_HOUR + 10000);
}

/* AWS took the signature, so its time is within five minutes of it: somebody on the way has put that Date there. */
static void a_date_that_cannot_be_is_passed_over(void **state)
{
	(void)state;
	struct aws_clock c = {0};
	aws_clock_told(&c, host_at(0, 0), NOW_MS + MS_PER_HOUR, 0, true);
	assert_false(c.known);
	aws_clock_told(&c, host_at(0, 0), NOW_MS, 0, true);
	aws_clock_told(&c, host_at(0, 0), NOW_MS - MS_PER_HOUR, 0, true);
	assert_int_equal(aws_clock_unix_ms(&c, host_at(0, 0)), NOW_MS);
}

static void the_host_may_be_set_as_it_likes(void **state)
{
	(void)state;
	struct aws_clock c = {0};
	aws_clock_told(&c, host_at(0, 0), NOW_MS, 0, true);
	assert_int_equal(aws_clock_unix_ms(&c, host_at(-MS_PER_DAY, 1000)), NOW_MS + 1000);
	assert_int_equal(aws_clock_host_ahead_ms(&c, host_at(-MS_PER_DAY, 1000)), -MS_PER_DAY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nothing_known_is_the_hosts_time),
	    cmocka_unit_test(a_good_clock_is_followed_to_the_millisecond),
	    cmocka_unit_test(a_wrong_clock_is_measured),
	    cmocka_unit_test(a_measured_time_does_not_shake),
	    cmocka_unit_test(a_slow_answer_changes_nothing),
	    cmocka_unit_test(a_date_that_cannot_be_is_passed_over),
	    cmocka_unit_test(the_host_may_be_set_as_it_likes),
	};
	return cmocka_run_group_tests_name("AWS's clock", tests, NULL, NULL);
}
