/* SQLite alone on the crash disk, and power cuts while an older file is migrated; for the rest, test_store_crash.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/error.h"
#include "base/mem.h"
#include "tests/sim/disk.h"
#include "tests/unit/schema1.h"

static int open_store(struct disk_process *p, struct store **ret)
{
	return store_open_sqlite_on(disk_platform(p), DISK_DATABASE, ret);
}

static bool is_sound(struct disk *d)
{
	struct disk_process *p = disk_process_new(d);
	sqlite3 *db = NULL;
	sqlite3_stmt *q = NULL;
	bool sound = sqlite3_open_v2(DISK_DATABASE, &db, SQLITE_OPEN_READWRITE, disk_platform(p)->vfs) == SQLITE_OK &&
		     sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &q, NULL) == SQLITE_OK &&
		     sqlite3_step(q) == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(q, 0), "ok") == 0;
	sqlite3_finalize(q);
	sqlite3_close(db);
	disk_process_free(p);
	return sound;
}

/* A test that does not see what syncs are for would see nothing: SQLite has its own switch against them. */
static unsigned lose_rows(const char *synchronous)
{
	unsigned lost = 0;
	for (uint64_t seed = 0; seed < 40; seed++) {
		struct disk *d = disk_new(seed);
		struct disk_process *p = disk_process_new(d);
		cleanup(mem_free_p) char *setting = mem_printf("PRAGMA synchronous = %s", synchronous);
		sqlite3 *db = NULL;
		int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
		assert_int_equal(sqlite3_open_v2("/t.db", &db, flags, disk_platform(p)->vfs), SQLITE_OK);
		assert_int_equal(sqlite3_exec(db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL), SQLITE_OK);
		assert_int_equal(sqlite3_exec(db, setting, NULL, NULL, NULL), SQLITE_OK);
		assert_int_equal(sqlite3_exec(db, "CREATE TABLE t (x)", NULL, NULL, NULL), SQLITE_OK);
		for (unsigned i = 0; i < 5; i++)
			assert_int_equal(sqlite3_exec(db, "INSERT INTO t VALUES (1)", NULL, NULL, NULL), SQLITE_OK);
		disk_crash(d);
		sqlite3_close(db);
		disk_process_free(p);
		p = disk_process_new(d);
		sqlite3_stmt *q = NULL;
		assert_int_equal(sqlite3_open_v2("/t.db", &db, flags, disk_platform(p)->vfs), SQLITE_OK);
		lost += sqlite3_prepare_v2(db, "SELECT count(*) FROM t", -1, &q, NULL) != SQLITE_OK ||
			sqlite3_step(q) != SQLITE_ROW || sqlite3_column_int(q, 0) != 5;
		sqlite3_finalize(q);
		sqlite3_close(db);
		disk_process_free(p);
		disk_free(d);
	}
	return lost;
}

static void test_synchronous_off(void **state)
{
	(void)state;
	assert_int_equal(lose_rows("FULL"), 0);
	assert_true(lose_rows("OFF") > 20);
}

/* --- a database of the first schema --- */

static struct disk *make_old_template(void)
{
	struct disk *d = disk_new(1);
	struct disk_process *p = disk_process_new(d);
	sqlite3 *db = NULL;
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
	assert_int_equal(sqlite3_open_v2(DISK_DATABASE, &db, flags, disk_platform(p)->vfs), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, SCHEMA_1_TABLES SCHEMA_1_ROWS, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	disk_process_free(p);
	return d;
}

static int count_old(void *ctx, const struct store_sample *x)
{
	(void)x;
	++*(unsigned *)ctx;
	return 0;
}

/* The power fails at each operation of the opening that migrates: before it or after it, and never in between. */
static void test_cut_migration(void **state)
{
	(void)state;
	struct disk *template = make_old_template();
	unsigned cuts = 0;
	bool met = true;
	for (uint64_t at = 1; met; at++) {
		struct disk *d = disk_new_from(template, at);
		struct disk_process *p = disk_process_new(d);
		struct store *s = NULL;
		unsigned samples = 0;
		disk_crash_at(d, at);
		int r = open_store(p, &s);
		met = disk_process_is_dead(p);
		cuts += met && r != 0;
		store_close(s);
		disk_crash_at(d, 0);
		disk_process_free(p);
		p = disk_process_new(d);
		assert_int_equal(open_store(p, &s), 0);
		assert_int_equal(store_each_sample(s, 2, count_old, &samples), 0);
		assert_int_equal(samples, 40);
		samples = 0;
		assert_int_equal(store_each_sample(s, 1, count_old, &samples), 0);
		assert_int_equal(samples, 1);
		store_close(s);
		disk_process_free(p);
		assert_true(is_sound(d));
		disk_free(d);
	}
	disk_free(template);
	print_message("%u power cuts in an opening that migrates\n", cuts);
	assert_true(cuts > 20);
}

int main(void)
{
	disk_quicken();
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_synchronous_off),
	    cmocka_unit_test(test_cut_migration),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
