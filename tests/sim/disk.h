/*
 * The crash disk: a disk in memory under the SQLite store, which loses power, fails and gets full when it is told to.
 *
 * It has two sides. Processes see one: files with the bytes that were last written. The other is what is on the disk
 * for good: a write, a new size, a new name and a removal get there only when the file is synced. At a power cut each
 * write that was not synced is kept, dropped, or torn at sectors of 512 bytes, each by its own lot; of what changed in
 * names and sizes a first part is kept, since file systems have a journal for those. A size that was kept without its
 * bytes reads as zeros. That is a little worse than ext4 and XFS are.
 *
 * All that happens follows from the seed and the calls. There are no threads, and no state but the disk's own, except
 * that SQLite's random numbers, of which a process has one source, begin anew with each disk_process_new: so of two
 * disks in use at the same time, each repeats only if both do.
 *
 *	struct disk *d = disk_new(seed);
 *	struct disk_process *p = disk_process_new(d);
 *	store_open_sqlite_on(disk_platform(p), DISK_DATABASE, &store);
 *	disk_crash(d);                 // from here on all that p does fails, and changes nothing
 *	store_close(store);
 *	disk_process_free(p);          // and so on with the next process
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/sqlite_platform.h"

#define DISK_DATABASE "/var/lib/rolloutd/rolloutd.db"

struct disk;
struct disk_process; /* of those that run on the host; two are two daemons */

/* For a program with one thread, before it uses SQLite at all: no mutexes and no statistics in SQLite, and a heap that
 * keeps what it was given back. Opening a store takes half the time then. */
void disk_quicken(void);

struct disk *disk_new(uint64_t seed);
/* A disk with the files that the template's processes see, all of them safe, in the same boot. */
struct disk *disk_new_from(const struct disk *template, uint64_t seed);
void disk_free(struct disk *d); /* NULL is fine; its processes are freed before */

struct disk_process *disk_process_new(struct disk *d);
void disk_process_free(struct disk_process *p); /* NULL is fine; what it opened is closed before */
const struct sqlite_platform *disk_platform(struct disk_process *p);
/* Whether it was killed or its host lost power. What its program concludes from there on nobody can see: it must be
 * freed, and nothing that it sends may arrive. */
bool disk_process_is_dead(const struct disk_process *p);

/* --- the ends --- */

void disk_crash(struct disk *d);	/* power cut: all processes are dead, and the boot is another one */
void disk_kill(struct disk_process *p); /* its locks are free; what it has written stays */
/* Its lock is free though it lives, as when an operator has deleted the lock's file. */
void disk_lose_lock(struct disk_process *p);
/* The same in the midst of the n-th operation from now, 1 being the next one; 0: not at all. A write that is met may
 * have happened in part. */
void disk_crash_at(struct disk *d, uint64_t n);
void disk_kill_at(struct disk_process *p, uint64_t n); /* of its own operations */

/* --- faults --- */

enum disk_fault {
	DISK_FAIL_ANY,	    /* EIO, whatever operation it is */
	DISK_FAIL_OPEN,	    /* EIO */
	DISK_FAIL_READ,	    /* EIO */
	DISK_FAIL_WRITE,    /* EIO; a part may have been written */
	DISK_FAIL_TRUNCATE, /* EIO */
	DISK_FAIL_SYNC,	    /* EIO, and nothing is forgotten: the next one may succeed */
	DISK_LOSE_SYNC,	    /* EIO, and what it should have synced counts as synced and never will be (as Linux does) */
	DISK_LIE,	    /* a sync that reports success and has done nothing */
	DISK_FULL,	    /* ENOSPC for what needs more room; a part may have been written */
	DISK_FAULTS,
};

#define DISK_FOR_EVER UINT64_MAX

/* Of the operations that the fault can meet, the next `after` go well, then `times` fail. */
void disk_fail(struct disk *d, enum disk_fault fault, uint64_t after, uint64_t times);
void disk_heal(struct disk *d); /* no more faults; planned ends and the capacity stay */
void disk_set_capacity(struct disk *d, uint64_t bytes);
uint64_t disk_used(const struct disk *d); /* bytes, in whole blocks; may exceed a capacity that was set later */

/* What an operator or bad luck does to a file, at once and for good. -ENOENT when there is no such file. */
must_use int disk_remove(struct disk *d, const char *path);
must_use int disk_damage(struct disk *d, const char *path, uint64_t offset, const void *bytes, size_t len);

/* --- for the observer --- */

enum disk_operation {
	DISK_OPEN,
	DISK_READ,
	DISK_WRITE,
	DISK_TRUNCATE,
	DISK_SYNC,
	DISK_DELETE,
	DISK_OPERATIONS,
};

struct disk_counts {
	uint64_t operations[DISK_OPERATIONS]; /* that were begun by living processes */
	uint64_t crashes;
	uint64_t kills;
	uint64_t faults[DISK_FAULTS]; /* that were met; DISK_FULL: also by the capacity */
	/* At crashes: writes that were kept, dropped and torn, and changes of names and sizes. */
	uint64_t kept;
	uint64_t dropped;
	uint64_t torn;
	uint64_t changes_kept;
	uint64_t changes_dropped;
};

const struct disk_counts *disk_counts(const struct disk *d);
uint64_t disk_operations(const struct disk *d); /* of all sorts */
/* Whether the text is in what no power cut could take away. For short texts: see image_contains(). */
bool disk_contains(const struct disk *d, const char *text);
/* Of the names, sizes and bytes that a power cut could not take away. */
uint64_t disk_hash(const struct disk *d);
/* Of the file as processes see it; 0: no such file. */
uint64_t disk_size(const struct disk *d, const char *path);
