/* The crash disk by itself: what a power cut may do to files, what it may not, and the locks that SQLite relies on. */
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

#define FILE_NAME "/f"
#define SECTOR	  512

static sqlite3_vfs *vfs_of(struct disk_process *p)
{
	return sqlite3_vfs_find(disk_platform(p)->vfs);
}

/* SQLite's way to a file. The caller closes it. */
static sqlite3_file *open_file(struct disk_process *p, const char *name, int flags)
{
	sqlite3_vfs *vfs = vfs_of(p);
	sqlite3_file *f = mem_alloc((size_t)vfs->szOsFile);
	if (vfs->xOpen(vfs, name, f, flags, NULL) == SQLITE_OK)
		return f;
	free(f);
	return NULL;
}

static void close_file(sqlite3_file *f)
{
	f->pMethods->xClose(f);
	free(f);
}

static sqlite3_file *make_file(struct disk_process *p)
{
	sqlite3_file *f = open_file(p, FILE_NAME, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
	assert_non_null(f);
	return f;
}

static int write_letters(sqlite3_file *f, char letter, size_t len, int64_t offset)
{
	cleanup(mem_free_p) char *bytes = mem_alloc(len);
	memset(bytes, letter, len);
	return f->pMethods->xWrite(f, bytes, (int)len, offset);
}

static int sync_file(sqlite3_file *f)
{
	return f->pMethods->xSync(f, SQLITE_SYNC_NORMAL);
}

/* The file after the end, as a new process sees it; NULL: there is none. The caller frees. */
static char *read_file(struct disk *d, size_t *ret_len)
{
	struct disk_process *p = disk_process_new(d);
	sqlite3_file *f = open_file(p, FILE_NAME, SQLITE_OPEN_READWRITE);
	char *bytes = NULL;
	if (f) {
		sqlite3_int64 size = 0;
		assert_int_equal(f->pMethods->xFileSize(f, &size), SQLITE_OK);
		bytes = mem_alloc((size_t)size + 1);
		assert_int_equal(f->pMethods->xRead(f, bytes, (int)size, 0), SQLITE_OK);
		*ret_len = (size_t)size;
		close_file(f);
	}
	disk_process_free(p);
	return bytes;
}

/* --- power cuts --- */

/* 16 synced sectors of 'a', written over with 'b': each sector is one or the other, and all mixtures occur. */
static void test_torn(void **state)
{
	(void)state;
	unsigned all_old = 0;
	unsigned all_new = 0;
	unsigned begun = 0;
	unsigned ended = 0;
	for (uint64_t seed = 0; seed < 200; seed++) {
		struct disk *d = disk_new(seed);
		struct disk_process *p = disk_process_new(d);
		sqlite3_file *f = make_file(p);
		assert_int_equal(write_letters(f, 'a', 16 * SECTOR, 0), SQLITE_OK);
		assert_int_equal(sync_file(f), SQLITE_OK);
		assert_int_equal(write_letters(f, 'b', 14 * SECTOR, SECTOR), SQLITE_OK);
		disk_crash(d);
		close_file(f);
		disk_process_free(p);
		size_t len = 0;
		cleanup(mem_free_p) char *bytes = read_file(d, &len);
		assert_int_equal(len, 16 * SECTOR);
		unsigned b = 0;
		for (size_t i = 0; i < len; i++) {
			assert_true(bytes[i] == 'a' || bytes[i] == 'b');
			assert_int_equal(bytes[i], bytes[i / SECTOR * SECTOR]);
			b += bytes[i] == 'b';
		}
		assert_true(bytes[0] == 'a' && bytes[len - 1] == 'a');
		all_old += b == 0;
		all_new += b == 14 * SECTOR;
		begun += b > 0 && b < 14 * SECTOR && bytes[SECTOR] == 'b';
		ended += b > 0 && b < 14 * SECTOR && bytes[14 * SECTOR] == 'b';
		disk_free(d);
	}
	assert_true(all_old > 10 && all_new > 10 && begun > 10 && ended > 10);
}

/* Two writes of which only the second is kept: the disk owes no order. */
static void test_no_order(void **state)
{
	(void)state;
	unsigned second_alone = 0;
	for (uint64_t seed = 0; seed < 200; seed++) {
		struct disk *d = disk_new(seed);
		struct disk_process *p = disk_process_new(d);
		sqlite3_file *f = make_file(p);
		assert_int_equal(write_letters(f, 'a', 2 * SECTOR, 0), SQLITE_OK);
		assert_int_equal(sync_file(f), SQLITE_OK);
		assert_int_equal(write_letters(f, 'b', SECTOR, 0), SQLITE_OK);
		assert_int_equal(write_letters(f, 'c', SECTOR, SECTOR), SQLITE_OK);
		disk_crash(d);
		close_file(f);
		disk_process_free(p);
		size_t len = 0;
		cleanup(mem_free_p) char *bytes = read_file(d, &len);
		second_alone += bytes[0] == 'a' && bytes[SECTOR] == 'c';
		disk_free(d);
	}
	assert_true(second_alone > 10);
}

/* What was synced cannot be taken away, and what was not can, from its name on. */
static void test_names_and_sizes(void **state)
{
	(void)state;
	unsigned missing = 0;
	unsigned without_bytes = 0;
	unsigned whole = 0;
	for (uint64_t seed = 0; seed < 300; seed++) {
		struct disk *d = disk_new(seed);
		struct disk_process *p = disk_process_new(d);
		sqlite3_file *f = make_file(p);
		assert_int_equal(write_letters(f, 'a', 3000, 0), SQLITE_OK);
		disk_crash(d);
		close_file(f);
		disk_process_free(p);
		size_t len = 0;
		cleanup(mem_free_p) char *bytes = read_file(d, &len);
		missing += bytes == NULL;
		whole += bytes && len == 3000 && bytes[0] == 'a' && bytes[2999] == 'a';
		without_bytes += bytes && len == 3000 && bytes[0] == '\0' && bytes[2999] == '\0';
		disk_free(d);
	}
	assert_true(missing > 10 && without_bytes > 10 && whole > 10);
}

/* A truncated file that was not synced is as long as before or after, and never holds what was never written. */
static void test_truncated(void **state)
{
	(void)state;
	unsigned old = 0;
	for (uint64_t seed = 0; seed < 100; seed++) {
		struct disk *d = disk_new(seed);
		struct disk_process *p = disk_process_new(d);
		sqlite3_file *f = make_file(p);
		assert_int_equal(write_letters(f, 'a', 4096, 0), SQLITE_OK);
		assert_int_equal(sync_file(f), SQLITE_OK);
		assert_int_equal(write_letters(f, 'c', 1000, 100), SQLITE_OK);
		assert_int_equal(f->pMethods->xTruncate(f, 100), SQLITE_OK);
		assert_int_equal(write_letters(f, 'b', 10, 200), SQLITE_OK);
		char seen[300];
		/* Processes see zeros between the two at once; a synced file has them as well. */
		assert_int_equal(f->pMethods->xRead(f, seen, sizeof(seen), 0), SQLITE_IOERR_SHORT_READ);
		assert_true(seen[99] == 'a' && seen[100] == '\0' && seen[199] == '\0' && seen[200] == 'b');
		bool synced = seed % 2;
		if (synced)
			assert_int_equal(sync_file(f), SQLITE_OK);
		disk_crash(d);
		close_file(f);
		disk_process_free(p);
		size_t len = 0;
		cleanup(mem_free_p) char *bytes = read_file(d, &len);
		assert_true(len == 210 || (!synced && (len == 100 || len == 4096)));
		assert_int_equal(bytes[99], 'a');
		if (len == 210)
			assert_int_equal(bytes[150], '\0');
		if (synced)
			assert_memory_equal(bytes, seen, len);
		old += len == 4096;
		disk_free(d);
	}
	assert_true(old > 5);
}

/* A sync takes along what the journal has before that file's last change, and nothing behind it. */
static void test_journal(void **state)
{
	(void)state;
	unsigned missing = 0;
	for (uint64_t seed = 0; seed < 60; seed++) {
		struct disk *d = disk_new(seed);
		struct disk_process *p = disk_process_new(d);
		sqlite3_file *f = open_file(p, "/other", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
		assert_non_null(f);
		assert_int_equal(write_letters(f, 'a', 100, 0), SQLITE_OK);
		assert_int_equal(sync_file(f), SQLITE_OK);
		sqlite3_file *g = make_file(p);
		bool grows = seed % 2;
		assert_int_equal(write_letters(f, 'b', 100, grows ? 100 : 0), SQLITE_OK);
		assert_int_equal(sync_file(f), SQLITE_OK);
		disk_crash(d);
		close_file(f);
		close_file(g);
		disk_process_free(p);
		size_t len = 0;
		cleanup(mem_free_p) char *bytes = read_file(d, &len);
		assert_true(bytes || !grows);
		missing += bytes == NULL;
		disk_free(d);
	}
	assert_true(missing > 5);
}

/* A removal that was not synced may be undone; the next file of that name does not mix with it. */
static void test_removed(void **state)
{
	(void)state;
	unsigned returned = 0;
	unsigned replaced = 0;
	for (uint64_t seed = 0; seed < 200; seed++) {
		struct disk *d = disk_new(seed);
		struct disk_process *p = disk_process_new(d);
		sqlite3_vfs *vfs = vfs_of(p);
		sqlite3_file *f = make_file(p);
		assert_int_equal(write_letters(f, 'a', 100, 0), SQLITE_OK);
		assert_int_equal(sync_file(f), SQLITE_OK);
		bool synced = seed % 2;
		assert_int_equal(vfs->xDelete(vfs, FILE_NAME, synced), SQLITE_OK);
		int moved = 0;
		assert_int_equal(f->pMethods->xFileControl(f, SQLITE_FCNTL_HAS_MOVED, &moved), SQLITE_OK);
		assert_int_equal(moved, 1);
		/* Who has it open goes on with it. */
		char letter = '\0';
		assert_int_equal(f->pMethods->xRead(f, &letter, 1, 99), SQLITE_OK);
		assert_int_equal(letter, 'a');
		assert_int_equal(vfs->xDelete(vfs, FILE_NAME, 0), SQLITE_IOERR_DELETE_NOENT);
		sqlite3_file *g = make_file(p);
		assert_int_equal(write_letters(g, 'b', 50, 0), SQLITE_OK);
		disk_crash(d);
		close_file(f);
		close_file(g);
		disk_process_free(p);
		size_t len = 0;
		cleanup(mem_free_p) char *bytes = read_file(d, &len);
		assert_true(!bytes || len == 0 || len == 50 || len == 100);
		if (bytes && len == 100) {
			assert_int_equal(bytes[0], 'a');
			assert_false(synced);
			returned++;
		}
		replaced += bytes && len == 50;
		disk_free(d);
	}
	assert_true(returned > 10 && replaced > 10);
}

/* The kernel has what a killed process wrote. Its files are open no more. */
static void test_killed(void **state)
{
	(void)state;
	struct disk *d = disk_new(1);
	struct disk_process *p = disk_process_new(d);
	sqlite3_file *f = make_file(p);
	assert_int_equal(write_letters(f, 'a', 5000, 0), SQLITE_OK);
	disk_kill(p);
	assert_true(disk_process_is_dead(p));
	char letter;
	int reserved;
	sqlite3_int64 size;
	sqlite3_vfs *vfs = vfs_of(p);
	assert_int_equal(write_letters(f, 'b', 5000, 0), SQLITE_IOERR_WRITE);
	assert_int_equal(f->pMethods->xRead(f, &letter, 1, 0), SQLITE_IOERR_CORRUPTFS);
	assert_int_equal(f->pMethods->xTruncate(f, 0), SQLITE_IOERR_TRUNCATE);
	assert_int_equal(sync_file(f), SQLITE_IOERR_FSYNC);
	assert_int_equal(f->pMethods->xFileSize(f, &size), SQLITE_IOERR_FSTAT);
	assert_int_equal(f->pMethods->xLock(f, SQLITE_LOCK_SHARED), SQLITE_IOERR_LOCK);
	assert_int_equal(f->pMethods->xCheckReservedLock(f, &reserved), SQLITE_IOERR_CHECKRESERVEDLOCK);
	assert_int_equal(vfs->xDelete(vfs, FILE_NAME, 0), SQLITE_IOERR_DELETE);
	assert_int_equal(vfs->xGetLastError(vfs, 0, NULL), EIO);
	assert_null(open_file(p, FILE_NAME, SQLITE_OPEN_READWRITE));
	close_file(f);
	disk_process_free(p);
	size_t len = 0;
	cleanup(mem_free_p) char *bytes = read_file(d, &len);
	assert_int_equal(len, 5000);
	assert_int_equal(bytes[4999], 'a');
	disk_free(d);
}

/* A power cut or a kill at each of four operations; the write that it meets has happened in part, if at all. */
static void test_planned_ends(void **state)
{
	(void)state;
	unsigned parts = 0;
	for (uint64_t seed = 0; seed < 50; seed++)
		for (uint64_t at = 1; at <= 5; at++) {
			struct disk *d = disk_new(seed);
			struct disk_process *p = disk_process_new(d);
			if (seed % 2)
				disk_kill_at(p, at);
			else
				disk_crash_at(d, at);
			sqlite3_file *f = open_file(p, FILE_NAME, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
			assert_int_equal(f == NULL, at == 1);
			if (f) {
				assert_int_equal(write_letters(f, 'a', 9000, 0) == SQLITE_OK, at > 2);
				assert_int_equal(sync_file(f) == SQLITE_OK, at > 3);
				assert_int_equal(f->pMethods->xTruncate(f, 10) == SQLITE_OK, at > 4);
				close_file(f);
			}
			assert_int_equal(disk_process_is_dead(p), at < 5);
			assert_int_equal(disk_counts(d)->kills + disk_counts(d)->crashes, at < 5);
			disk_process_free(p);
			size_t len = 0;
			cleanup(mem_free_p) char *bytes = read_file(d, &len);
			if (at == 4)
				assert_int_equal(len, 9000);
			parts += at == 2 && bytes && len > 0 && len < 9000;
			disk_free(d);
		}
	assert_true(parts > 10);
}

/* --- faults --- */

static void test_faults(void **state)
{
	(void)state;
	struct disk *d = disk_new(1);
	struct disk_process *p = disk_process_new(d);
	sqlite3_file *f = make_file(p);
	char letter;
	disk_fail(d, DISK_FAIL_READ, 1, 2);
	assert_int_equal(write_letters(f, 'a', 100, 0), SQLITE_OK);
	assert_int_equal(f->pMethods->xRead(f, &letter, 1, 0), SQLITE_OK);
	assert_int_equal(f->pMethods->xRead(f, &letter, 1, 0), SQLITE_IOERR_CORRUPTFS);
	assert_int_equal(f->pMethods->xRead(f, &letter, 1, 0), SQLITE_IOERR_CORRUPTFS);
	assert_int_equal(f->pMethods->xRead(f, &letter, 1, 0), SQLITE_OK);
	disk_fail(d, DISK_FAIL_WRITE, 0, 1);
	assert_int_equal(write_letters(f, 'b', 100, 0), SQLITE_IOERR_WRITE);
	disk_fail(d, DISK_FAIL_TRUNCATE, 0, 1);
	assert_int_equal(f->pMethods->xTruncate(f, 1), SQLITE_IOERR_TRUNCATE);
	disk_fail(d, DISK_FAIL_OPEN, 0, 1);
	assert_null(open_file(p, FILE_NAME, SQLITE_OPEN_READWRITE));
	disk_fail(d, DISK_FAIL_ANY, 0, DISK_FOR_EVER);
	assert_int_equal(sync_file(f), SQLITE_IOERR_FSYNC);
	assert_int_equal(write_letters(f, 'b', 100, 0), SQLITE_IOERR_WRITE);
	disk_heal(d);
	/* A full disk refuses only what grows. */
	disk_fail(d, DISK_FULL, 0, DISK_FOR_EVER);
	assert_int_equal(write_letters(f, 'c', 100, 0), SQLITE_OK);
	assert_int_equal(write_letters(f, 'c', 100, 50), SQLITE_FULL);
	disk_heal(d);
	assert_int_equal(write_letters(f, 'c', 100, 50), SQLITE_OK);
	const struct disk_counts *counts = disk_counts(d);
	assert_int_equal(counts->faults[DISK_FAIL_READ], 2);
	assert_int_equal(counts->faults[DISK_FAIL_ANY], 2);
	assert_int_equal(counts->faults[DISK_FULL], 1);
	close_file(f);
	disk_process_free(p);
	disk_free(d);
}

/* Whether the letters are there after a power cut that keeps only what is safe. */
static bool is_safe_after(enum disk_fault fault, bool sync_again)
{
	bool safe = true;
	for (uint64_t seed = 0; seed < 40; seed++) {
		struct disk *d = disk_new(seed);
		struct disk_process *p = disk_process_new(d);
		sqlite3_file *f = make_file(p);
		assert_int_equal(write_letters(f, 'a', 4000, 0), SQLITE_OK);
		disk_fail(d, fault, 0, 1);
		assert_int_equal(sync_file(f) == SQLITE_OK, fault == DISK_LIE);
		char letter = '\0';
		assert_int_equal(f->pMethods->xRead(f, &letter, 1, 0), SQLITE_OK);
		assert_int_equal(letter, 'a');
		if (sync_again)
			assert_int_equal(sync_file(f), SQLITE_OK);
		disk_crash(d);
		close_file(f);
		disk_process_free(p);
		size_t len = 0;
		cleanup(mem_free_p) char *bytes = read_file(d, &len);
		safe &= bytes && len == 4000 && bytes[0] == 'a' && bytes[3999] == 'a';
		disk_free(d);
	}
	return safe;
}

/* After a sync that failed, Linux takes the pages for clean: the next sync succeeds, and the bytes are lost. */
static void test_syncs_that_fail(void **state)
{
	(void)state;
	assert_false(is_safe_after(DISK_FAIL_SYNC, false));
	assert_true(is_safe_after(DISK_FAIL_SYNC, true));
	assert_false(is_safe_after(DISK_LOSE_SYNC, false));
	assert_false(is_safe_after(DISK_LOSE_SYNC, true));
	assert_false(is_safe_after(DISK_LIE, false));
	assert_true(is_safe_after(DISK_LIE, true));
}

static void test_capacity(void **state)
{
	(void)state;
	struct disk *d = disk_new(1);
	struct disk_process *p = disk_process_new(d);
	const struct sqlite_platform *platform = disk_platform(p);
	sqlite3_file *f = make_file(p);
	disk_set_capacity(d, 16 * 1024 * 1024);
	platform->make_reserve(platform->ctx, "/r");
	assert_int_equal(disk_used(d), 8 * 1024 * 1024);
	/* In whole blocks: a file of one byte takes 4096. */
	assert_int_equal(write_letters(f, 'a', 1, 0), SQLITE_OK);
	assert_int_equal(disk_used(d), 8 * 1024 * 1024 + 4096);
	disk_set_capacity(d, disk_used(d));
	assert_int_equal(write_letters(f, 'a', 4096, 0), SQLITE_OK);
	/* As far as there is room. */
	assert_int_equal(write_letters(f, 'b', 4096, 4000), SQLITE_FULL);
	assert_int_equal(disk_size(d, FILE_NAME), 4096);
	assert_true(platform->spend_reserve(platform->ctx, "/r"));
	assert_false(platform->spend_reserve(platform->ctx, "/r"));
	assert_int_equal(write_letters(f, 'b', 4096, 4096), SQLITE_OK);
	/* No room for another reserve: nothing of it stays. */
	disk_set_capacity(d, 1024 * 1024);
	platform->make_reserve(platform->ctx, "/r");
	assert_int_equal(disk_used(d), 8192);
	assert_int_equal(disk_counts(d)->faults[DISK_FULL], 2);
	close_file(f);
	disk_process_free(p);
	disk_free(d);
}

/* --- locks --- */

static void test_file_locks(void **state)
{
	(void)state;
	struct disk *d = disk_new(1);
	struct disk_process *p = disk_process_new(d);
	struct disk_process *q = disk_process_new(d);
	sqlite3_file *f = make_file(p);
	sqlite3_file *g = make_file(q);
	const sqlite3_io_methods *m = f->pMethods;
	assert_int_equal(m->xLock(f, SQLITE_LOCK_SHARED), SQLITE_OK);
	assert_int_equal(m->xLock(g, SQLITE_LOCK_SHARED), SQLITE_OK);
	assert_int_equal(m->xLock(f, SQLITE_LOCK_RESERVED), SQLITE_OK);
	int reserved = 0;
	assert_int_equal(m->xCheckReservedLock(g, &reserved), SQLITE_OK);
	assert_int_equal(reserved, 1);
	assert_int_equal(m->xLock(g, SQLITE_LOCK_RESERVED), SQLITE_BUSY);
	assert_int_equal(m->xLock(f, SQLITE_LOCK_EXCLUSIVE), SQLITE_BUSY);
	/* It waits now, and lets nobody else in. */
	assert_int_equal(m->xUnlock(g, SQLITE_LOCK_NONE), SQLITE_OK);
	assert_int_equal(m->xLock(g, SQLITE_LOCK_SHARED), SQLITE_BUSY);
	assert_int_equal(m->xLock(f, SQLITE_LOCK_EXCLUSIVE), SQLITE_OK);
	assert_int_equal(m->xLock(g, SQLITE_LOCK_SHARED), SQLITE_BUSY);
	disk_kill(p);
	assert_int_equal(m->xLock(g, SQLITE_LOCK_SHARED), SQLITE_OK);
	assert_int_equal(m->xLock(g, SQLITE_LOCK_EXCLUSIVE), SQLITE_OK);
	close_file(f);
	close_file(g);
	disk_process_free(p);
	disk_process_free(q);
	disk_free(d);
}

static void test_shared_memory(void **state)
{
	(void)state;
	struct disk *d = disk_new(1);
	struct disk_process *p = disk_process_new(d);
	struct disk_process *q = disk_process_new(d);
	sqlite3_file *f = make_file(p);
	sqlite3_file *g = make_file(q);
	const sqlite3_io_methods *m = f->pMethods;
	void volatile *of_f = NULL;
	void volatile *of_g = NULL;
	assert_int_equal(m->xShmMap(f, 0, 32768, 0, &of_f), SQLITE_OK);
	assert_null((void *)of_f);
	assert_int_equal(m->xShmMap(f, 0, 32768, 1, &of_f), SQLITE_OK);
	assert_int_equal(m->xShmMap(g, 0, 32768, 0, &of_g), SQLITE_OK);
	assert_ptr_equal((void *)of_f, (void *)of_g);
	const int shared = SQLITE_SHM_LOCK | SQLITE_SHM_SHARED;
	const int exclusive = SQLITE_SHM_LOCK | SQLITE_SHM_EXCLUSIVE;
	assert_int_equal(m->xShmLock(f, 3, 1, shared), SQLITE_OK);
	assert_int_equal(m->xShmLock(g, 3, 1, shared), SQLITE_OK);
	assert_int_equal(m->xShmLock(g, 0, 3, exclusive), SQLITE_OK);
	assert_int_equal(m->xShmLock(f, 2, 1, shared), SQLITE_BUSY);
	assert_int_equal(m->xShmLock(f, 4, 2, exclusive), SQLITE_OK);
	assert_int_equal(m->xShmLock(g, 3, 2, exclusive), SQLITE_BUSY);
	disk_kill(p);
	assert_int_equal(m->xShmLock(f, 7, 1, shared), SQLITE_IOERR_SHMLOCK);
	assert_int_equal(m->xShmMap(f, 0, 32768, 1, &of_f), SQLITE_IOERR_SHMMAP);
	assert_int_equal(m->xShmLock(g, 3, 3, exclusive), SQLITE_OK);
	/* With the last of the living it is gone, whatever the dead still hold. */
	*(char volatile *)of_g = 'x';
	close_file(g);
	g = make_file(q);
	assert_int_equal(m->xShmMap(g, 0, 32768, 1, &of_g), SQLITE_OK);
	assert_int_equal(*(char volatile *)of_g, '\0');
	close_file(f);
	close_file(g);
	disk_process_free(p);
	disk_process_free(q);
	disk_free(d);
}

/* --- the same again --- */

static uint64_t work(uint64_t seed)
{
	struct disk *d = disk_new(seed);
	for (unsigned life = 0; life < 5; life++) {
		struct disk_process *p = disk_process_new(d);
		sqlite3_file *f = make_file(p);
		for (unsigned i = 0; i < 20; i++)
			assert_int_equal(write_letters(f, (char)('a' + i), 700, i * 600), SQLITE_OK);
		disk_crash(d);
		close_file(f);
		disk_process_free(p);
	}
	uint64_t hash = disk_hash(d);
	struct disk *copy = disk_new_from(d, seed + 1);
	assert_int_equal(disk_hash(copy), hash);
	char x = 'x';
	if (disk_size(copy, FILE_NAME) > 0) {
		assert_int_equal(disk_damage(copy, FILE_NAME, 0, &x, 1), 0);
		assert_int_not_equal(disk_hash(copy), hash);
		assert_int_equal(disk_remove(copy, FILE_NAME), 0);
	}
	assert_int_equal(disk_remove(copy, "/missing"), -ENOENT);
	disk_free(copy);
	assert_int_equal(disk_hash(d), hash);
	disk_free(d);
	return hash;
}

static void test_deterministic(void **state)
{
	(void)state;
	unsigned differ = 0;
	for (uint64_t seed = 0; seed < 20; seed++) {
		uint64_t hash = work(seed);
		assert_int_equal(work(seed), hash);
		differ += work(seed + 1) != hash;
	}
	assert_true(differ > 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_torn),
	    cmocka_unit_test(test_no_order),
	    cmocka_unit_test(test_names_and_sizes),
	    cmocka_unit_test(test_truncated),
	    cmocka_unit_test(test_journal),
	    cmocka_unit_test(test_removed),
	    cmocka_unit_test(test_killed),
	    cmocka_unit_test(test_planned_ends),
	    cmocka_unit_test(test_faults),
	    cmocka_unit_test(test_syncs_that_fail),
	    cmocka_unit_test(test_capacity),
	    cmocka_unit_test(test_file_locks),
	    cmocka_unit_test(test_shared_memory),
	    cmocka_unit_test(test_deterministic),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
