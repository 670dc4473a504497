#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

static char folder[64];

static char *in_folder(const char *name)
{
	return mem_printf("%s/%s", folder, name);
}

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/rollout-test-file-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

/* Removes what a test left in the folder; gives how much it was. */
static int empty_folder(void)
{
	DIR *d = opendir(folder);
	int count = 0;
	for (struct dirent *e; (e = readdir(d));) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		cleanup(mem_free_p) char *path = in_folder(e->d_name);
		if (unlink(path) < 0)
			rmdir(path);
		count++;
	}
	closedir(d);
	return count;
}

static int remove_folder(void **state)
{
	(void)state;
	empty_folder();
	return rmdir(folder);
}

static void test_round_trip(void **state)
{
	(void)state;
	cleanup(mem_free_p) char *path = in_folder("data");
	char bytes[10000];
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 7);
	assert_int_equal(file_write_atomic(path, "old", 3, 0644), 0);
	assert_int_equal(file_write_atomic(path, bytes, sizeof(bytes), 0600), 0);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	cleanup(mem_free_p) char *data = NULL;
	size_t len = 0;
	assert_int_equal(file_read(path, sizeof(bytes), &data, &len), 0);
	assert_int_equal(len, sizeof(bytes));
	assert_memory_equal(data, bytes, len);
	assert_int_equal(data[len], 0);
	assert_int_equal(empty_folder(), 1); /* no temporary file is left */
}

static void test_empty_file(void **state)
{
	(void)state;
	cleanup(mem_free_p) char *path = in_folder("empty");
	assert_int_equal(file_write_atomic(path, "", 0, 0600), 0);
	cleanup(mem_free_p) char *data = NULL;
	size_t len = 1;
	assert_int_equal(file_read(path, 0, &data, &len), 0);
	assert_int_equal(len, 0);
	assert_string_equal(data, "");
	empty_folder();
}

static void test_too_large(void **state)
{
	(void)state;
	cleanup(mem_free_p) char *path = in_folder("large");
	assert_int_equal(file_write_atomic(path, "12345", 5, 0600), 0);
	char *data = NULL;
	size_t len = 77;
	assert_int_equal(file_read(path, 4, &data, &len), -EFBIG);
	assert_null(data);
	assert_int_equal(len, 77);
	empty_folder();
}

static void test_not_a_file(void **state)
{
	(void)state;
	char *data = NULL;
	size_t len;
	assert_int_equal(file_read(folder, 100, &data, &len), -EINVAL);
	assert_int_equal(file_read("/dev/null", 100, &data, &len), -EINVAL);
	cleanup(mem_free_p) char *fifo = in_folder("fifo");
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(file_read(fifo, 100, &data, &len), -EINVAL); /* and does not wait for a writer */
	cleanup(mem_free_p) char *missing = in_folder("missing");
	assert_int_equal(file_read(missing, 100, &data, &len), -ENOENT);
	assert_null(data);
	empty_folder();
}

/* Files of /proc give 0 as their size. */
static void test_size_unknown(void **state)
{
	(void)state;
	cleanup(mem_free_p) char *data = NULL;
	size_t len = 0;
	assert_int_equal(file_read("/proc/self/stat", 65536, &data, &len), 0);
	assert_true(len > 20);
	char *none = NULL;
	assert_int_equal(file_read("/proc/self/stat", 10, &none, &len), -EFBIG);
	assert_null(none);
}

static void test_write_fails(void **state)
{
	(void)state;
	cleanup(mem_free_p) char *missing = in_folder("no/such/file");
	assert_int_equal(file_write_atomic(missing, "x", 1, 0600), -ENOENT);
	/* The target is a folder: the temporary file must not be left behind. */
	cleanup(mem_free_p) char *target = in_folder("target");
	assert_int_equal(mkdir(target, 0700), 0);
	assert_int_equal(file_write_atomic(target, "x", 1, 0600), -EISDIR);
	assert_int_equal(empty_folder(), 1);
}

static void check_resolve(const char *dir, const char *path, const char *wanted)
{
	cleanup(mem_free_p) char *got = file_resolve(dir, path);
	assert_string_equal(got, wanted);
}

static void test_resolve(void **state)
{
	(void)state;
	check_resolve("/etc/rolloutd", "plans.d", "/etc/rolloutd/plans.d");
	check_resolve("/etc/rolloutd/", "plans.d", "/etc/rolloutd/plans.d");
	check_resolve("/etc/rolloutd", "./plans.d", "/etc/rolloutd/plans.d");
	check_resolve("/etc/rolloutd", ".//a", "/etc/rolloutd/a");
	check_resolve("/etc/rolloutd", "../a", "/etc/rolloutd/../a");
	check_resolve("/etc/rolloutd", "/a", "/a");
	check_resolve("/", "a", "/a");
	check_resolve("", "a", "a");
	check_resolve(NULL, "a", "a");
	check_resolve(".", "a", "./a");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round_trip), cmocka_unit_test(test_empty_file),   cmocka_unit_test(test_too_large),
	    cmocka_unit_test(test_not_a_file), cmocka_unit_test(test_size_unknown), cmocka_unit_test(test_write_fails),
	    cmocka_unit_test(test_resolve),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
