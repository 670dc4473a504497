/* What the files of the crash disk share: the disk below, and SQLite's view of it. Private to tests/sim/disk*. */
#pragma once

#include <sqlite3.h>

#include "base/prng.h"
#include "tests/sim/disk.h"
#include "tests/sim/image.h"

/* A write that is not safe yet. Its bytes stand in the node's log: a later write may have changed them in `now`. */
struct disk_write {
	uint64_t offset;
	size_t len;
	size_t at;
};

/* The wal-index, which is shared memory and no file: it does not outlive the last of those who have it open. */
struct disk_shm {
	unsigned refs;
	void **regions;
	size_t n_regions;
	size_t region_size;
};

/* A file; it has one name for all its life. */
struct disk_node {
	struct disk_node *next;
	char *name;	    /* "" for a temporary file */
	bool named;	    /* processes find it */
	bool named_durably; /* so it will be after a power cut */
	unsigned refs;	    /* of open files, locks and changes */
	unsigned opened;    /* by processes, dead ones as well */
	struct image now;
	struct image durable;
	struct disk_write *writes;
	size_t n_writes;
	size_t cap_writes;
	char *log;
	size_t log_len;
	size_t log_cap;
	struct disk_shm *shm;		  /* NULL: nobody alive has it */
	const struct disk_process *owner; /* who has the lock on it */
};

/* A change of names or sizes that is not safe yet. */
struct disk_change {
	enum { DISK_NAMED, DISK_UNNAMED, DISK_RESIZED } kind;
	struct disk_node *node;
	uint64_t size;
};

struct disk_plan {
	enum disk_fault fault;
	uint64_t after;
	uint64_t times;
};

struct disk {
	struct prng prng;
	struct disk_node *nodes;
	struct disk_change *changes; /* in the journal's order */
	size_t n_changes;
	size_t cap_changes;
	struct disk_plan plans[16];
	size_t n_plans;
	uint64_t crash_at; /* the operations left until then; 0: none is planned */
	uint64_t capacity;
	struct disk_process *processes;
	struct disk_file *files; /* open ones, of the dead as well */
	unsigned boots;
	unsigned pids;
	struct disk_counts counts;
};

struct disk_process {
	struct disk_process *next;
	struct disk *disk;
	bool dead;
	uint64_t kill_at;
	int pid;
	struct disk_node *lock; /* the file that it locked; it has one lock at most */
	int error;		/* the last one, a positive errno, for SQLite to ask */
	sqlite3_vfs vfs;
	struct sqlite_platform platform;
	char vfs_name[32];
};

/* An open file, as SQLite has it. */
struct disk_file {
	sqlite3_file base; /* must be first */
	struct disk_file *next;
	struct disk_process *process;
	struct disk_node *node;
	int level; /* SQLITE_LOCK_… */
	struct disk_shm *shm;
	unsigned shm_shared; /* a bit for each of the locks */
	unsigned shm_exclusive;
};

struct disk_node *disk_find(const struct disk *d, const char *name); /* NULL: no process sees such a file */
void disk_hold(struct disk_node *n);
void disk_release(struct disk *d, struct disk_node *n);

/* The operations. 0 or more, or a negative errno; -EIO for whatever a dead process tries. */
must_use int disk_open(struct disk_process *p, const char *name, bool create, struct disk_node **ret); /* not held */
must_use int disk_read(struct disk_process *p, struct disk_node *n, uint64_t offset, void *ret_bytes, size_t len);
must_use int disk_write(struct disk_process *p, struct disk_node *n, uint64_t offset, const void *bytes, size_t len);
must_use int disk_truncate(struct disk_process *p, struct disk_node *n, uint64_t size);
must_use int disk_sync(struct disk_process *p, struct disk_node *n);
must_use int disk_delete(struct disk_process *p, const char *name, bool sync_folder);
/* Room for bytes that belong to no file yet. No operation: it only meets DISK_FULL and the capacity. */
must_use int disk_ask_room(struct disk_process *p, uint64_t bytes);

/* SQLite's side: registers and unregisters the process's VFS; lets go of the locks and the memory of a dead process. */
void disk_vfs_init(struct disk_process *p);
void disk_vfs_deinit(struct disk_process *p);
void disk_vfs_let_go(struct disk_process *p);
