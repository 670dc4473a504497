/* What rolloutctl puts on a screen: cells, harmless text, tables that fit, times and rates. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/cli/screen.c"
#include "daemon/cli/span.c"
#include "daemon/cli/table.c"

static const struct screen wide = {.utf8 = true};
static const struct screen ascii = {.utf8 = false};

static void shows(const struct screen *s, const char *text, int max, const char *want, int cells)
{
	struct buf b = BUF_INIT(4096);
	int got = screen_add(s, &b, text, max);

	assert_string_equal(buf_text(&b), want);
	assert_int_equal(got, cells);
	buf_deinit(&b);
}

static void text_is_made_harmless(void **state)
{
	(void)state;
	shows(&wide, "plain größer ✓", -1, "plain größer ✓", 14);
	shows(&wide, "\x1b[31m\a\b", -1, "?[31m??", 7);
	shows(&wide, "a\nb\tc\rd", -1, "a b c d", 7);
	shows(&wide,
	      "\xc2\x9b"
	      "2J",
	      -1, "?2J", 3); /* CSI in one byte of C1 */
	shows(&wide,
	      "\xe2\x80\xae"
	      "evil",
	      -1, "?evil", 5); /* right-to-left override */
	shows(&wide,
	      "a\xff\xfe"
	      "b",
	      -1, "a??b", 4);
	shows(&wide, "\x7f", -1, "?", 1);
	shows(&ascii, "größer ✓", -1, "gr??er ?", 8);
}

static void text_is_cut_by_cells(void **state)
{
	(void)state;
	shows(&wide, "abcdef", 6, "abcdef", 6);
	shows(&wide, "abcdef", 5, "abcd…", 5);
	shows(&wide, "abcdef", 1, "…", 1);
	shows(&wide, "abcdef", 0, "", 0);
	shows(&ascii, "abcdef", 5, "ab...", 5);
	shows(&ascii, "abcdef", 2, "..", 2);
	shows(&wide, "日本語", 6, "日本語", 6);
	shows(&wide, "日本語", 5, "日本…", 5);
	shows(&wide, "日本語", 4, "日…", 3);		 /* half a character is none */
	shows(&wide, "e\xcc\x81x", -1, "e\xcc\x81x", 2); /* a combining accent takes no cell */
}

static void a_canvas_clips(void **state)
{
	struct screen s = {.utf8 = true, .width = 10};
	struct buf b = BUF_INIT(4096);
	struct canvas c = {.screen = &s, .out = &b, .clip = true, .max_rows = 2};

	(void)state;
	canvas_put(&c, STYLE_BAD, "12345");
	canvas_putf(&c, STYLE_PLAIN, "%d", 678901234);
	canvas_put(&c, STYLE_PLAIN, "never");
	canvas_end_line(&c);
	canvas_pad(&c, 20);
	canvas_end_line(&c);
	canvas_put(&c, STYLE_PLAIN, "beyond");
	canvas_end_line(&c);
	assert_string_equal(buf_text(&b), "123456789…\n          \n");
	assert_int_equal(c.rows, 2);
	buf_deinit(&b);
}

static void colours_end_where_they_began(void **state)
{
	struct screen s = {.utf8 = true, .colour = true};
	struct buf b = BUF_INIT(4096);
	struct canvas c = {.screen = &s, .out = &b};

	(void)state;
	canvas_put(&c, STYLE_GOOD, "yes");
	canvas_put(&c, STYLE_PLAIN, " ");
	canvas_put(&c, STYLE_BAD, "");
	assert_string_equal(buf_text(&b), "\033[32myes\033[0m ");
	assert_int_equal(c.column, 4);
	buf_deinit(&b);
}

static void renders(int width, const char *want)
{
	static const struct column columns[] = {
	    {.title = "NAME", .shrink_to = 6}, {.title = "N", .right = true}, {.title = "REASON", .shrink_to = 8}};
	struct screen s = {.utf8 = true, .width = width};
	struct table *t = table_new(&s, columns, array_len(columns));
	struct buf b = BUF_INIT(4096);
	struct canvas c = {.screen = &s, .out = &b};

	table_row(t);
	table_cell(t, STYLE_PLAIN, "hello-prod");
	table_cellf(t, STYLE_PLAIN, "%d", 1000);
	table_cell(t, STYLE_PLAIN, "nothing to say here");
	table_row(t);
	table_cell(t, STYLE_PLAIN, "größer");
	table_cell(t, STYLE_PLAIN, "7");
	table_render(t, &c, 0);
	assert_string_equal(buf_text(&b), want);
	table_free(t);
	buf_deinit(&b);
}

static void tables_fit(void **state)
{
	(void)state;
	renders(0, "NAME           N  REASON\nhello-prod  1000  nothing to say here\ngrößer         7\n");
	renders(37, "NAME           N  REASON\nhello-prod  1000  nothing to say here\ngrößer         7\n");
	renders(28, "NAME           N  REASON\nhello-prod  1000  nothing t…\ngrößer         7\n");
	/* Where it cannot fit, nothing goes below its minimum. */
	renders(5, "NAME       N  REASON\nhello…  1000  nothing…\ngrößer     7\n");
}

static void counts_and_rates(void **state)
{
	char out[SPAN_TIME_SIZE];

	(void)state;
	span_format_count(0, out);
	assert_string_equal(out, "0");
	span_format_count(999, out);
	assert_string_equal(out, "999");
	span_format_count(1234567, out);
	assert_string_equal(out, "1,234,567");
	span_format_count(INT64_MAX, out);
	assert_string_equal(out, "9,223,372,036,854,775,807");
	span_format_count(-5, out);
	assert_string_equal(out, "0");

	span_format_rate(0, 0, out);
	assert_string_equal(out, "-");
	span_format_rate(0, 10, out);
	assert_string_equal(out, "0.00%");
	span_format_rate(1, 1000000, out);
	assert_string_equal(out, "<0.01%");
	span_format_rate(52, 10000, out);
	assert_string_equal(out, "0.52%");
}

static void times_name_the_day_when_it_is_another(void **state)
{
	const int64_t at = INT64_C(1795385405000); /* 2026-11-22T22:10:05Z */
	char out[SPAN_TIME_SIZE];

	(void)state;
	span_format_time(at, at + 3600000, out);
	assert_string_equal(out, "22:10:05");
	span_format_time(at, at + 2 * 3600000, out);
	assert_string_equal(out, "2026-11-22 22:10:05");
	span_format_time(0, at, out);
	assert_string_equal(out, "-");
}

static int set_up(void **state)
{
	(void)state;
	setenv("TZ", "UTC0", 1);
	return setlocale(LC_CTYPE, "C.UTF-8") ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(text_is_made_harmless),
	    cmocka_unit_test(text_is_cut_by_cells),
	    cmocka_unit_test(a_canvas_clips),
	    cmocka_unit_test(colours_end_where_they_began),
	    cmocka_unit_test(tables_fit),
	    cmocka_unit_test(counts_and_rates),
	    cmocka_unit_test(times_name_the_day_when_it_is_another),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
