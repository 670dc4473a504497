/* The crash disk, and on it the SQLite store: what was committed outlives everything, what was not leaves nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "tests/sim/disk.h"

static void test_opens(void **state)
{
	(void)state;
	struct disk *d = disk_new(1);
	for (uint64_t epoch = 1; epoch < 4; epoch++) {
		struct disk_process *p = disk_process_new(d);
		struct store *s = NULL;
		assert_int_equal(store_open_sqlite_on(disk_platform(p), DISK_DATABASE, &s), 0);
		assert_int_equal(store_epoch(s), epoch);
		disk_crash(d);
		assert_true(disk_process_is_dead(p));
		store_close(s);
		disk_process_free(p);
	}
	disk_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_opens),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
