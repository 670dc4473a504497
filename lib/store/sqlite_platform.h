/*
 * What the SQLite store asks of the operating system: a VFS of SQLite, and the few calls that the store makes beside
 * SQLite. The daemon has the host's own. The simulator has a disk in memory that can lose power, fail and be full.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "store/store.h"

struct sqlite_platform {
	void *ctx;	 /* handed to each call */
	const char *vfs; /* the name it is registered under with SQLite; NULL: SQLite's default */
	/* Prepare each statement when it is used first. It makes the opening quicker by half, for who opens thousands;
	 * the daemon rather hears at the opening that a table is missing. */
	bool prepares_late;
	/* Ownership of the file. 0 with the lock; 1 when another process holds it, with its pid (0: not known); or a
	 * negative errno. */
	int (*take_lock)(void *ctx, const char *path, int *ret_lock, pid_t *ret_owner);
	void (*drop_lock)(void *ctx, int lock);
	/* Makes the file if it is missing, for nobody but its owner to read. 0 or a negative errno. */
	int (*make_file)(void *ctx, const char *path);
	/* See reserve.h. */
	void (*make_reserve)(void *ctx, const char *path);
	bool (*spend_reserve)(void *ctx, const char *path);
	/* This boot of the host; "" where that cannot be told. The caller frees. */
	char *(*read_boot_id)(void *ctx);
};

extern const struct sqlite_platform sqlite_posix;

/* Like store_open_sqlite. The platform outlives the store. */
must_use int store_open_sqlite_on(const struct sqlite_platform *platform, const char *path, struct store **ret);
