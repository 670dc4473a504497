#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/prng.h"
#include "base/text.h"

static void test_u64(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t max;
		int result;
		uint64_t value;
	} cases[] = {
	    {"0", UINT64_MAX, 0, 0},
	    {"007", UINT64_MAX, 0, 7},
	    {"18446744073709551615", UINT64_MAX, 0, UINT64_MAX},
	    {"18446744073709551616", UINT64_MAX, -ERANGE, 0},
	    {"18446744073709551620", UINT64_MAX, -ERANGE, 0},
	    {"99999999999999999999999999", UINT64_MAX, -ERANGE, 0},
	    {"00000000000000000000000000018446744073709551615", UINT64_MAX, 0, UINT64_MAX},
	    {"10", 10, 0, 10},
	    {"11", 10, -ERANGE, 0},
	    {"", 10, -EINVAL, 0},
	    {" 1", 10, -EINVAL, 0},
	    {"1 ", 10, -EINVAL, 0},
	    {"+1", 10, -EINVAL, 0},
	    {"-1", 10, -EINVAL, 0},
	    {"0x1", 10, -EINVAL, 0},
	    {"1e1", 10, -EINVAL, 0},
	    {"99999999999999999999999999x", 10, -EINVAL, 0},
	};
	for (size_t i = 0; i < array_len(cases); i++) {
		uint64_t v = 4711;
		assert_int_equal(text_parse_u64(cases[i].text, cases[i].max, &v), cases[i].result);
		assert_int_equal(v, cases[i].result ? 4711 : cases[i].value);
	}
}

static void test_i64(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t min;
		int64_t max;
		int result;
		int64_t value;
	} cases[] = {
	    {"-9223372036854775808", INT64_MIN, INT64_MAX, 0, INT64_MIN},
	    {"-9223372036854775809", INT64_MIN, INT64_MAX, -ERANGE, 0},
	    {"9223372036854775807", INT64_MIN, INT64_MAX, 0, INT64_MAX},
	    {"9223372036854775808", INT64_MIN, INT64_MAX, -ERANGE, 0},
	    {"-0", INT64_MIN, INT64_MAX, 0, 0},
	    {"-5", -4, 4, -ERANGE, 0},
	    {"5", -4, 4, -ERANGE, 0},
	    {"-4", -4, 4, 0, -4},
	    {"-", -4, 4, -EINVAL, 0},
	    {"--1", -4, 4, -EINVAL, 0},
	    {"", -4, 4, -EINVAL, 0},
	};
	for (size_t i = 0; i < array_len(cases); i++) {
		int64_t v = 4711;
		assert_int_equal(text_parse_i64(cases[i].text, cases[i].min, cases[i].max, &v), cases[i].result);
		assert_true(v == (cases[i].result ? 4711 : cases[i].value));
	}
}

static void test_duration(void **state)
{
	(void)state;
	const int64_t year = 365 * MS_PER_DAY;
	static const struct {
		const char *text;
		int result;
		int64_t ms;
	} cases[] = {
	    {"90s", 0, 90000},
	    {"5m", 0, 300000},
	    {"2h", 0, 7200000},
	    {"1d", 0, 86400000},
	    {"250ms", 0, 250},
	    {"1h30m", 0, 5400000},
	    {"1d2h3m4s5ms", 0, 93784005},
	    {"1m5ms", 0, 60005},
	    {"0", 0, 0},
	    {"000", 0, 0},
	    {"0s", 0, 0},
	    {"365d", 0, 365LL * 86400000},
	    {"365d1ms", -ERANGE, 0},
	    {"106751991168d", -ERANGE, 0},
	    {"99999999999999999999999s", -ERANGE, 0},
	    {"9223372036854775807ms1", -EINVAL, 0},
	    {"18446744073709551616", -EINVAL, 0},
	    {"", -EINVAL, 0},
	    {"5", -EINVAL, 0},
	    {"5 m", -EINVAL, 0},
	    {" 5m", -EINVAL, 0},
	    {"5m ", -EINVAL, 0},
	    {"-5m", -EINVAL, 0},
	    {"1.5h", -EINVAL, 0},
	    {"m", -EINVAL, 0},
	    {"5M", -EINVAL, 0},
	    {"5min", -EINVAL, 0},
	    {"30m1h", -EINVAL, 0},
	    {"1m1m", -EINVAL, 0},
	    {"5ms1s", -EINVAL, 0},
	    {"1h0", -EINVAL, 0},
	    {"0h0", -EINVAL, 0},
	};
	for (size_t i = 0; i < array_len(cases); i++) {
		int64_t ms = 4711;
		assert_int_equal(text_parse_duration(cases[i].text, year, &ms), cases[i].result);
		assert_int_equal(ms, cases[i].result ? 4711 : cases[i].ms);
	}
	int64_t ms;
	assert_int_equal(text_parse_duration("106751991167d7h12m55s807ms", INT64_MAX, &ms), 0);
	assert_true(ms == INT64_MAX);
	assert_int_equal(text_parse_duration("106751991167d7h12m55s808ms", INT64_MAX, &ms), -ERANGE);
}

static void check_duration(int64_t ms)
{
	char text[32];
	int64_t again = -1;
	text_format_duration(ms, text);
	assert_int_equal(text_parse_duration(text, INT64_MAX, &again), 0);
	assert_true(again == ms);
}

static void test_duration_round_trip(void **state)
{
	(void)state;
	struct prng p;
	prng_init(&p, 42);
	for (int bits = 0; bits < 64; bits++)
		for (int i = 0; i < 50; i++)
			check_duration((int64_t)(prng_next(&p) >> (63 - bits) >> 1));
	check_duration(INT64_MAX);

	static const struct {
		int64_t ms;
		const char *duration;
		const char *span;
	} cases[] = {
	    {-5, "0s", "0s"},
	    {0, "0s", "0s"},
	    {1, "1ms", "0.1s"},
	    {250, "250ms", "0.2s"},
	    {400, "400ms", "0.4s"},
	    {999, "999ms", "0.9s"},
	    {1000, "1s", "1s"},
	    {12900, "12s900ms", "12s"},
	    {60000, "1m", "1m"},
	    {60999, "1m999ms", "1m"},
	    {250000, "4m10s", "4m 10s"},
	    {3900000, "1h5m", "1h 5m"},
	    {3605000, "1h5s", "1h"},
	    {5400000, "1h30m", "1h 30m"},
	    {MS_PER_DAY, "1d", "1d"},
	    {MS_PER_DAY + 3 * MS_PER_HOUR + 59 * MS_PER_MINUTE, "1d3h59m", "1d 3h"},
	};
	for (size_t i = 0; i < array_len(cases); i++) {
		char text[32];
		text_format_duration(cases[i].ms, text);
		assert_string_equal(text, cases[i].duration);
		text_format_span(cases[i].ms, text);
		assert_string_equal(text, cases[i].span);
	}
	char text[32];
	text_format_span(INT64_MAX, text);
	assert_string_equal(text, "106751991167d 7h");
}

static void test_percent(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int bp_result;
		uint32_t bp;
		int ppm_result;
		uint32_t ppm;
	} cases[] = {
	    {"0%", 0, 0, 0, 0},
	    {"5%", 0, 500, 0, 50000},
	    {"05%", 0, 500, 0, 50000},
	    {"12.5%", 0, 1250, 0, 125000},
	    {"12.50%", 0, 1250, 0, 125000},
	    {"0.01%", 0, 1, 0, 100},
	    {"0.05%", 0, 5, 0, 500},
	    {"100%", 0, 10000, 0, 1000000},
	    {"100.00%", 0, 10000, 0, 1000000},
	    {"100.01%", -ERANGE, 0, -ERANGE, 0},
	    {"101%", -ERANGE, 0, -ERANGE, 0},
	    {"18446744073709551616%", -ERANGE, 0, -ERANGE, 0},
	    {"0.001%", -EINVAL, 0, 0, 10},
	    {"0.0001%", -EINVAL, 0, 0, 1},
	    {"0.00001%", -EINVAL, 0, -EINVAL, 0},
	    {"100.0001%", -EINVAL, 0, -ERANGE, 0},
	    {"", -EINVAL, 0, -EINVAL, 0},
	    {"%", -EINVAL, 0, -EINVAL, 0},
	    {"5", -EINVAL, 0, -EINVAL, 0},
	    {"5.%", -EINVAL, 0, -EINVAL, 0},
	    {".5%", -EINVAL, 0, -EINVAL, 0},
	    {"5,5%", -EINVAL, 0, -EINVAL, 0},
	    {"-5%", -EINVAL, 0, -EINVAL, 0},
	    {"+5%", -EINVAL, 0, -EINVAL, 0},
	    {"5 %", -EINVAL, 0, -EINVAL, 0},
	    {"5%%", -EINVAL, 0, -EINVAL, 0},
	    {"5% ", -EINVAL, 0, -EINVAL, 0},
	    {"1e1%", -EINVAL, 0, -EINVAL, 0},
	};
	for (size_t i = 0; i < array_len(cases); i++) {
		uint32_t v = 4711;
		assert_int_equal(text_parse_percent_bp(cases[i].text, &v), cases[i].bp_result);
		assert_int_equal(v, cases[i].bp_result ? 4711 : cases[i].bp);
		v = 4711;
		assert_int_equal(text_parse_percent_ppm(cases[i].text, &v), cases[i].ppm_result);
		assert_int_equal(v, cases[i].ppm_result ? 4711 : cases[i].ppm);
	}
}

static void test_percent_format(void **state)
{
	(void)state;
	static const struct {
		uint32_t v;
		const char *bp;
		const char *ppm;
	} cases[] = {
	    {0, "0%", "0%"},
	    {1, "0.01%", "0.0001%"},
	    {10, "0.1%", "0.001%"},
	    {1250, "12.5%", "0.125%"},
	    {10000, "100%", "1%"},
	    {1000000, "10000%", "100%"},
	    {UINT32_MAX, "42949672.95%", "429496.7295%"},
	};
	char text[16];
	for (size_t i = 0; i < array_len(cases); i++) {
		text_format_bp(cases[i].v, text);
		assert_string_equal(text, cases[i].bp);
		text_format_ppm(cases[i].v, text);
		assert_string_equal(text, cases[i].ppm);
	}
	for (uint32_t bp = 0; bp <= 10000; bp++) {
		uint32_t again = UINT32_MAX;
		text_format_bp(bp, text);
		assert_int_equal(text_parse_percent_bp(text, &again), 0);
		assert_int_equal(again, bp);
	}
	for (uint32_t ppm = 0; ppm <= 1000000; ppm += 7) {
		uint32_t again = UINT32_MAX;
		text_format_ppm(ppm, text);
		assert_int_equal(text_parse_percent_ppm(text, &again), 0);
		assert_int_equal(again, ppm);
	}
}

static void test_utc(void **state)
{
	(void)state;
	/* The seconds are from `date -u -d … +%s`. */
	static const struct {
		int64_t unix_ms;
		const char *utc;
		const char *amz;
	} cases[] = {
	    {0, "1970-01-01T00:00:00.000Z", "19700101T000000Z"},
	    {INT64_C(1795385405123), "2026-11-22T22:10:05.123Z", "20261122T221005Z"},
	    {INT64_C(951782400000), "2000-02-29T00:00:00.000Z", "20000229T000000Z"},
	    {INT64_C(951868800000), "2000-03-01T00:00:00.000Z", "20000301T000000Z"},
	    {INT64_C(4107542399999), "2100-02-28T23:59:59.999Z", "21000228T235959Z"},
	    {INT64_C(4107542400000), "2100-03-01T00:00:00.000Z", "21000301T000000Z"},
	    {-1, "1969-12-31T23:59:59.999Z", "19691231T235959Z"},
	    {INT64_C(-62167219200000), "0000-01-01T00:00:00.000Z", "00000101T000000Z"},
	    {INT64_C(253402300799999), "9999-12-31T23:59:59.999Z", "99991231T235959Z"},
	};
	char text[32];
	for (size_t i = 0; i < array_len(cases); i++) {
		text_format_utc(cases[i].unix_ms, text);
		assert_string_equal(text, cases[i].utc);
		int64_t again = 4711;
		assert_int_equal(text_parse_utc(text, &again), 0);
		assert_true(again == cases[i].unix_ms);
		char amz[17];
		text_format_amz_date(cases[i].unix_ms, amz);
		assert_string_equal(amz, cases[i].amz);
	}
	/* Absurd times stay within their arrays. */
	char amz[17];
	text_format_amz_date(INT64_MAX, amz);
	assert_string_equal(amz, "99991231T235959Z");
	text_format_amz_date(INT64_MIN, amz);
	assert_string_equal(amz, "00000101T000000Z");
	text_format_utc(INT64_MAX, text);
	assert_string_equal(text, "292278994-08-17T07:12:55.807Z");
	text_format_utc(INT64_MIN, text);
	assert_string_equal(text, "-292275055-05-16T16:47:04.192Z");
}

static void test_utc_parse(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int result;
		int64_t unix_ms;
	} cases[] = {
	    {"2026-11-22T22:10:05Z", 0, INT64_C(1795385405000)},
	    {"2026-11-22T22:10:05.1Z", 0, INT64_C(1795385405100)},
	    {"2026-11-22T22:10:05.123999999999999Z", 0, INT64_C(1795385405123)},
	    {"2026-11-22T22:10:05+00:00", 0, INT64_C(1795385405000)},
	    {"2026-11-22T22:10:05.000+0000", 0, INT64_C(1795385405000)},
	    {"2024-02-29T00:00:00Z", 0, INT64_C(1709164800000)},
	    {"2023-02-29T00:00:00Z", -ERANGE, 0},
	    {"2100-02-29T00:00:00Z", -ERANGE, 0},
	    {"2026-04-31T00:00:00Z", -ERANGE, 0},
	    {"2026-00-10T00:00:00Z", -ERANGE, 0},
	    {"2026-13-10T00:00:00Z", -ERANGE, 0},
	    {"2026-11-00T00:00:00Z", -ERANGE, 0},
	    {"2026-11-22T24:00:00Z", -ERANGE, 0},
	    {"2026-11-22T22:60:05Z", -ERANGE, 0},
	    {"2026-11-22T22:10:60Z", -ERANGE, 0},
	    {"2026-11-22T22:10:05", -EINVAL, 0},
	    {"2026-11-22T22:10:05.Z", -EINVAL, 0},
	    {"2026-11-22T22:10:05z", -EINVAL, 0},
	    {"2026-11-22T22:10:05+01:00", -EINVAL, 0},
	    {"2026-11-22 22:10:05Z", -EINVAL, 0},
	    {"26-11-22T22:10:05Z", -EINVAL, 0},
	    {"2026-1-22T22:10:05Z", -EINVAL, 0},
	    {"2026-11-22T22:10:05Z ", -EINVAL, 0},
	    {"-026-11-22T22:10:05Z", -EINVAL, 0},
	    {"2026-11", -EINVAL, 0},
	    {"", -EINVAL, 0},
	};
	for (size_t i = 0; i < array_len(cases); i++) {
		int64_t v = 4711;
		assert_int_equal(text_parse_utc(cases[i].text, &v), cases[i].result);
		assert_true(v == (cases[i].result ? 4711 : cases[i].unix_ms));
	}
	/* Every day from 1896 to 2109 comes back, with the day after it exactly one day later. */
	for (int64_t day = -27000; day < 51000; day++) {
		char text[32];
		int64_t again;
		text_format_utc(day * MS_PER_DAY, text);
		assert_int_equal(text_parse_utc(text, &again), 0);
		assert_true(again == day * MS_PER_DAY);
	}
}

static void test_utf8(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool good;
	} cases[] = {
	    {"", true},
	    {"plain", true},
	    {"caf\xc3\xa9", true},
	    {"\xe2\x82\xac", true},
	    {"\xf0\x9f\x98\x80", true},
	    {"\xf4\x8f\xbf\xbf", true},	 /* U+10FFFF */
	    {"\xf4\x90\x80\x80", false}, /* above it */
	    {"\xf5\x80\x80\x80", false},
	    {"\xed\x9f\xbf", true},
	    {"\xed\xa0\x80", false}, /* a surrogate */
	    {"\xee\x80\x80", true},
	    {"\xc0\x80", false}, /* overlong */
	    {"\xc1\xbf", false},
	    {"\xe0\x9f\xbf", false},
	    {"\xe0\xa0\x80", true},
	    {"\xf0\x8f\xbf\xbf", false},
	    {"\xf0\x90\x80\x80", true},
	    {"\x80", false},
	    {"a\xc3", false}, /* cut off */
	    {"a\xe2\x82", false},
	    {"a\xf0\x9f\x98", false},
	    {"\xc3(", false},
	    {"\xe2\x82(", false},
	    {"\xf0\x9f\x98(", false},
	    {"\xff", false},
	};
	for (size_t i = 0; i < array_len(cases); i++)
		assert_int_equal(text_is_utf8(cases[i].text, strlen(cases[i].text)), cases[i].good);
	assert_false(text_is_utf8("a\0b", 3));
	assert_true(text_is_utf8("\xc3\xa9\xc3", 2)); /* looks at len bytes only */
}

static void test_names(void **state)
{
	(void)state;
	assert_true(text_is_name("a", 63));
	assert_true(text_is_name("hello-prod-2", 63));
	assert_true(text_is_name("abc", 3));
	assert_false(text_is_name("abcd", 3));
	assert_false(text_is_name("", 63));
	assert_false(text_is_name("-a", 63));
	assert_false(text_is_name("a-", 63));
	assert_false(text_is_name("-", 63));
	assert_false(text_is_name("Hello", 63));
	assert_false(text_is_name("a_b", 63));
	assert_false(text_is_name("a.b", 63));
	assert_false(text_is_name("caf\xc3\xa9", 63));

	assert_true(text_starts_with("hello", "he"));
	assert_true(text_starts_with("hello", ""));
	assert_false(text_starts_with("he", "hello"));
	assert_true(text_ends_with("a.yaml", ".yaml"));
	assert_true(text_ends_with("a", ""));
	assert_false(text_ends_with("yaml", ".yaml"));
	assert_false(text_ends_with("a.yaml~", ".yaml"));
}

static void test_distance(void **state)
{
	(void)state;
	assert_int_equal(text_distance("", "", 3), 0);
	assert_int_equal(text_distance("weight", "weight", 3), 0);
	assert_int_equal(text_distance("weight", "wieght", 3), 1); /* a swap */
	assert_int_equal(text_distance("weight", "wight", 3), 1);
	assert_int_equal(text_distance("wight", "weight", 3), 1);
	assert_int_equal(text_distance("weight", "weigth", 3), 1);
	assert_int_equal(text_distance("kitten", "sitting", 5), 3);
	assert_int_equal(text_distance("kitten", "sitting", 2), 3);
	assert_int_equal(text_distance("kitten", "sitting", 0), 1);
	assert_int_equal(text_distance("", "abc", 5), 3);
	assert_int_equal(text_distance("abc", "", 5), 3);
	assert_int_equal(text_distance("ca", "abc", 5), 3); /* restricted: no edit between swapped letters */

	char a[66];
	memset(a, 'a', sizeof(a));
	a[65] = '\0';
	assert_int_equal(text_distance(a, a, 3), 4);
	assert_int_equal(text_distance("a", a, 200), 201);
	a[64] = '\0';
	assert_int_equal(text_distance(a, a, 3), 0);
	assert_int_equal(text_distance("", a, 100), 64);
}

static void test_copy(void **state)
{
	(void)state;
	char out[8];
	assert_true(text_copy(out, sizeof(out), "1234567"));
	assert_string_equal(out, "1234567");
	assert_false(text_copy(out, sizeof(out), "12345678"));
	assert_string_equal(out, "1234567");
	assert_true(text_copy(out, sizeof(out), ""));
	assert_string_equal(out, "");
	assert_true(text_copy(out, 1, ""));
	assert_false(text_copy(out, 1, "x"));
	assert_string_equal(out, "");
	out[0] = '!';
	assert_false(text_copy(out, 0, "x"));
	assert_int_equal(out[0], '!');
	/* A character that does not fit is left out whole. */
	assert_false(text_copy(out, sizeof(out), "12345\xe2\x82\xac"));
	assert_string_equal(out, "12345");
	assert_false(text_copy(out, sizeof(out), "123456\xf0\x9f\x98\x80"));
	assert_string_equal(out, "123456");
	assert_true(text_copy(out, sizeof(out), "1234\xe2\x82\xac"));
	/* Without UTF-8 it still copies. */
	assert_false(text_copy(out, sizeof(out), "\x80\x80\x80\x80\x80\x80\x80\x80\x80"));
	assert_int_equal(strlen(out), 4);
}

static void test_copy_printable(void **state)
{
	(void)state;
	static const struct {
		const char *from;
		const char *to;
	} cases[] = {
	    {"plain \xc3\xa9", "plain \xc3\xa9"},
	    {"a\nb\tc\x1b[31m", "a?b?c?[31m"},
	    {"\x7f", "?"},
	    {"\xc2\x9b"
	     "31m",
	     "?31m"}, /* CSI as one character of C1 */
	    {"\xc2\xa0", "\xc2\xa0"},
	    {"a\xff"
	     "b",
	     "a?b"},
	    {"\xe2\x82", "??"}, /* cut off */
	    {"\xed\xa0\x80", "???"},
	};
	char out[32];
	for (size_t i = 0; i < array_len(cases); i++) {
		text_copy_printable(out, sizeof(out), cases[i].from);
		assert_string_equal(out, cases[i].to);
	}
	char small[4] = "xxx";
	text_copy_printable(small, sizeof(small), "ab\xc3\xa9");
	assert_string_equal(small, "ab");
	text_copy_printable(small, sizeof(small), "a\xc3\xa9");
	assert_string_equal(small, "a\xc3\xa9");
	text_copy_printable(small, 1, "abc");
	assert_string_equal(small, "");
	small[0] = '!';
	text_copy_printable(small, 0, "abc");
	assert_int_equal(small[0], '!');
}

static void test_equal_secret(void **state)
{
	(void)state;
	assert_true(text_equal_secret("", ""));
	assert_true(text_equal_secret("secret", "secret"));
	assert_false(text_equal_secret("secret", "secreT"));
	assert_false(text_equal_secret("Secret", "secret"));
	assert_false(text_equal_secret("secret", "secre"));
	assert_false(text_equal_secret("", "x"));
	assert_false(text_equal_secret("ab", "ba"));
}

static void test_loopback(void **state)
{
	(void)state;
	static const char *const good[] = {"127.0.0.1", "127.255.0.255", "127.0.00.001"};
	static const char *const bad[] = {
	    "",		  "127",       "127.",	      "127.0.0",      "127.0.0.",
	    "127.0.0.1.", "128.0.0.1", "127.0.0.256", "127.0.0.0001", "127.0.0.1.example.com",
	    "127..0.1",	  "127.0.0.x", " 127.0.0.1",  "localhost",    "::1",
	    "127.0.0.1 ", "10.0.0.1"};
	for (size_t i = 0; i < array_len(good); i++)
		assert_true(text_is_loopback(good[i], strlen(good[i])));
	for (size_t i = 0; i < array_len(bad); i++)
		assert_false(text_is_loopback(bad[i], strlen(bad[i])));
	assert_true(text_is_loopback("127.0.0.1:80", 9)); /* no further than its length */
	assert_false(text_is_loopback("127.0.0.1", 8));	  /* "127.0.0." */
}

static void test_percent_byte(void **state)
{
	(void)state;
	assert_int_equal(text_percent_byte("%41", 3), 'A');
	assert_int_equal(text_percent_byte("%fF rest", 8), 255);
	assert_int_equal(text_percent_byte("%00", 3), 0);
	static const char *const bad[] = {"", "%", "%4", "41", "%4g", "%g4", "%%41", "%-1", "%4 "};
	for (size_t i = 0; i < array_len(bad); i++)
		assert_int_equal(text_percent_byte(bad[i], strlen(bad[i])), -1);
	assert_int_equal(text_percent_byte("%41", 2), -1); /* cut off */
}

int main(void)
{
	/* Where the machine has one, a locale with a decimal comma shows what depends on it. */
	if (!setlocale(LC_ALL, "de_DE.UTF-8"))
		setlocale(LC_ALL, "");
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_u64),
	    cmocka_unit_test(test_i64),
	    cmocka_unit_test(test_duration),
	    cmocka_unit_test(test_duration_round_trip),
	    cmocka_unit_test(test_percent),
	    cmocka_unit_test(test_percent_format),
	    cmocka_unit_test(test_utc),
	    cmocka_unit_test(test_utc_parse),
	    cmocka_unit_test(test_utf8),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_distance),
	    cmocka_unit_test(test_copy),
	    cmocka_unit_test(test_copy_printable),
	    cmocka_unit_test(test_equal_secret),
	    cmocka_unit_test(test_loopback),
	    cmocka_unit_test(test_percent_byte),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
