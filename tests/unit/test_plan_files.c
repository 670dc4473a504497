/*
 * The plans in tests/plans against their golden files: for a good plan its normalised form and warnings, for a bad one
 * every diagnostic. UPDATE_GOLDEN=1 writes the golden files anew; read the difference before committing it.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "plan/plan.h"

#define FOLDER	    "tests/plans"
#define GOLDEN_MAX  (256 * 1024)
#define SCHEMA_FILE "docs/plan.schema.json"

/* Compares, or writes. Returns whether all is well. */
static bool matches(const char *path, const struct buf *got)
{
	if (getenv("UPDATE_GOLDEN")) {
		assert_int_equal(file_write_atomic(path, buf_text(got), got->len, 0644), 0);
		return true;
	}
	cleanup(mem_free_p) char *want = NULL;
	size_t len = 0;
	if (file_read(path, GOLDEN_MAX, &want, &len)) {
		print_error("%s cannot be read; it should hold:\n%s", path, buf_text(got));
		return false;
	}
	if (len == got->len && memcmp(want, buf_text(got), len) == 0)
		return true;
	print_error("%s: wanted:\n%sgot:\n%s", path, want, buf_text(got));
	return false;
}

static bool check_file(const char *folder, const char *file, bool good)
{
	cleanup(mem_free_p) char *path = mem_printf("%s/%s", folder, file);
	cleanup(mem_free_p) char *golden = mem_printf("%s/%.*s.txt", folder, (int)(strlen(file) - 5), file);
	cleanup(mem_free_p) char *bytes = NULL;
	cleanup(diags_deinit) struct diags diags = {0};
	cleanup(buf_deinit) struct buf got = BUF_INIT(GOLDEN_MAX);
	size_t len = 0;
	assert_int_equal(file_read(path, GOLDEN_MAX, &bytes, &len), 0);
	cleanup(plan_free_p) struct plan *p = plan_load(bytes, len, &diags);
	diags_format(&diags, file, &got);
	if (p)
		buf_addf(&got, "%s\n%s\n", p->normalized, p->hash);
	assert_true(buf_ok(&got));
	bool as_meant = (p != NULL) == good && (diags.errors == 0) == good;
	if (!as_meant)
		print_error("%s should be %s:\n%s", path, good ? "good" : "bad", buf_text(&got));
	return matches(golden, &got) && as_meant;
}

static void check_folder(const char *folder, bool good, int at_least)
{
	struct dirent **names = NULL;
	int n = scandir(folder, &names, NULL, alphasort);
	int files = 0, wrong = 0;
	assert_true(n > 0);
	for (int i = 0; i < n; i++) {
		if (text_ends_with(names[i]->d_name, ".yaml")) {
			files++;
			wrong += !check_file(folder, names[i]->d_name, good);
		}
		free(names[i]);
	}
	free(names);
	assert_true(files >= at_least);
	assert_int_equal(wrong, 0);
}

static void test_good(void **state)
{
	(void)state;
	check_folder(FOLDER "/good", true, 10);
}

static void test_bad(void **state)
{
	(void)state;
	check_folder(FOLDER "/bad", false, 40);
}

static void test_schema_file(void **state)
{
	(void)state;
	cleanup(buf_deinit) struct buf got = BUF_INIT(GOLDEN_MAX);
	plan_print_schema(&got);
	assert_true(buf_ok(&got));
	assert_true(matches(SCHEMA_FILE, &got));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good),
	    cmocka_unit_test(test_bad),
	    cmocka_unit_test(test_schema_file),
	};
	return cmocka_run_group_tests_name("plan files", tests, NULL, NULL);
}
