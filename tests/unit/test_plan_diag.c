/* Diagnostics: order, caps, text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "plan/diag.h"

static void test_sorted_by_place(void **state)
{
	(void)state;
	cleanup(diags_deinit) struct diags d = {0};
	diags_add(&d, DIAG_ERROR, 3, 1, "c");
	diags_add(&d, DIAG_ERROR, 1, 9, "b%d", 1);
	diags_add(&d, DIAG_WARNING, 1, 9, "b2");
	diags_add(&d, DIAG_ERROR, 1, 2, "a");
	diags_add(&d, DIAG_ERROR, 1, 9, "b3");
	diags_sort(&d);
	cleanup(buf_deinit) struct buf out = BUF_INIT(4096);
	diags_format(&d, "x.yaml", &out);
	assert_string_equal(buf_text(&out), "x.yaml:1:2: error: a\n"
					    "x.yaml:1:9: error: b1\n"
					    "x.yaml:1:9: warning: b2\n"
					    "x.yaml:1:9: error: b3\n"
					    "x.yaml:3:1: error: c\n");
	assert_int_equal(d.errors, 4);
}

static void test_cap_counts_the_rest(void **state)
{
	(void)state;
	cleanup(diags_deinit) struct diags d = {0};
	for (unsigned i = 0; i < LIMIT_DIAGNOSTICS + 5; i++)
		diags_add(&d, DIAG_ERROR, i + 1, 1, "e");
	diags_add(&d, DIAG_WARNING, 1, 1, "w");
	assert_int_equal(d.len, LIMIT_DIAGNOSTICS);
	assert_int_equal(d.dropped, 6);
	assert_int_equal(d.errors, LIMIT_DIAGNOSTICS + 5);
	cleanup(buf_deinit) struct buf out = BUF_INIT(65536);
	diags_format(&d, "x", &out);
	assert_non_null(strstr(buf_text(&out), "x: 6 more problems are not shown; these are the first 64\n"));
}

/* A full list of warnings must not hide why a plan is refused. */
static void test_errors_displace_warnings(void **state)
{
	(void)state;
	cleanup(diags_deinit) struct diags d = {0};
	for (unsigned i = 0; i < LIMIT_DIAGNOSTICS; i++)
		diags_add(&d, DIAG_WARNING, i + 1, 1, "w");
	diags_add(&d, DIAG_ERROR, 7, 3, "the reason");
	assert_int_equal(d.len, LIMIT_DIAGNOSTICS);
	assert_int_equal(d.dropped, 1);
	bool found = false;
	for (size_t i = 0; i < d.len; i++)
		found |= strcmp(d.items[i].text, "the reason") == 0;
	assert_true(found);
}

static void test_deinit_leaves_an_empty_list(void **state)
{
	(void)state;
	struct diags d = {0};
	diags_add(&d, DIAG_ERROR, 0, 0, "no place");
	assert_int_equal(d.items[0].line, 1);
	assert_int_equal(d.items[0].column, 1);
	diags_deinit(&d);
	assert_int_equal(d.len, 0);
	assert_int_equal(d.errors, 0);
	diags_deinit(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sorted_by_place),
	    cmocka_unit_test(test_cap_counts_the_rest),
	    cmocka_unit_test(test_errors_displace_warnings),
	    cmocka_unit_test(test_deinit_leaves_an_empty_list),
	};
	return cmocka_run_group_tests_name("plan diagnostics", tests, NULL, NULL);
}
