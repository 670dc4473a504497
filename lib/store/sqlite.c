/*
 * The store in an SQLite file: opening, ownership, transactions, and the sentences for what goes wrong.
 *
 * The file is in WAL mode with synchronous=FULL: a commit is one append to the log and one fdatasync, and a process
 * that is killed leaves nothing behind that could damage the file, as the log's checksums tell what was complete.
 * Readers, such as an operator's sqlite3 shell, do not stop the owner.
 */
#include "store/sqlite.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "store/schema.h"

static int fail_system(struct sqlite_store *s, int error)
{
	switch (error) {
	case ENOSPC:
	case EDQUOT:
		return store_fail(&s->base, -ENOSPC, "the disk is full: free space under %s; nothing was recorded",
				  s->folder);
	case EFBIG:
		return store_fail(
		    &s->base, -EFBIG,
		    "%s may not grow further: raise the limit on the size of files (LimitFSIZE=, ulimit -f); "
		    "nothing was recorded",
		    s->path);
	case ENOENT:
	case ENOTDIR:
		return store_fail(&s->base, -error, "the folder %s does not exist: create it, or set state_dir",
				  s->folder);
	case EACCES:
	case EPERM:
	case EROFS:
		return store_fail(
		    &s->base, -error,
		    "%s cannot be written (%s): it and its folder must belong to rolloutd's user, on a file "
		    "system that is mounted read-write",
		    s->path, strerror(error));
	default:
		return store_fail(
		    &s->base, -error,
		    "reading or writing %s failed (%s): look at the disk and the kernel's log; nothing was "
		    "recorded",
		    s->path, strerror(error));
	}
}

static int fail_damaged(struct sqlite_store *s, const char *detail)
{
	return store_fail(
	    &s->base, STORE_CORRUPT,
	    "%s is damaged (%s): stop rolloutd, keep a copy of the file, then put a backup in its place, or "
	    "try `sqlite3 %s .recover | sqlite3 NEW`, or move it away to begin with an empty one; the "
	    "aliases in AWS stay as they are",
	    s->path, detail, s->path);
}

/* An opening finds somebody in possession; a transaction only finds the file in use for a moment. */
static int fail_busy(struct sqlite_store *s)
{
	bool opening = s->base.epoch == 0;
	return store_fail(
	    &s->base, opening ? STORE_LOCKED : -EBUSY,
	    "another program has %s open for writing (a sqlite3 shell, a backup): end it; nothing was recorded",
	    s->path);
}

int sqlite_fail(struct sqlite_store *s, int code, int error)
{
	/* SQLite takes a page that the disk would not give up for a damaged one, here and there under another name. */
	if (error == EIO && (code & 0xff) == SQLITE_CORRUPT)
		return fail_system(s, EIO);
	if (error == 0 && s->db)
		error = sqlite3_system_errno(s->db);
	switch (code & 0xff) {
	case SQLITE_FULL:
		return fail_system(s, ENOSPC);
	case SQLITE_IOERR:
		return code == SQLITE_IOERR_NOMEM ? fail_system(s, ENOMEM) : fail_system(s, error > 0 ? error : EIO);
	case SQLITE_CANTOPEN:
		return fail_system(s, error > 0 ? error : EIO);
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return fail_system(s, EROFS);
	case SQLITE_NOMEM:
		return fail_system(s, ENOMEM);
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL:
		return fail_busy(s);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return fail_damaged(s, sqlite3_errstr(code));
	case SQLITE_CONSTRAINT:
		return store_fail(&s->base, STORE_CONFLICT, "a record of that key exists already (%s)",
				  sqlite3_errmsg(s->db));
	default:
		/* A table or column is missing, a value has the wrong type: not the file that we wrote. */
		return fail_damaged(s, s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(code));
	}
}

static int execute(struct sqlite_store *s, const char *text)
{
	errno = 0;
	int code = sqlite3_exec(s->db, text, NULL, NULL, NULL);
	return code == SQLITE_OK ? 0 : sqlite_fail(s, code, sqlite_errno(code));
}

/* The first column of the first row. `parameter` may be NULL, if the statement has none. */
static int read_number(struct sqlite_store *s, const char *text, const char *parameter, int64_t *ret_v)
{
	struct sqlite_query q = sqlite_query_start_once(s, text);
	if (parameter)
		sqlite_query_bind_text(&q, parameter);
	int64_t v = 0;
	if (sqlite_query_next(&q))
		v = sqlite_query_i64(&q, 0);
	int r = sqlite_query_end(&q, 0);
	if (!r)
		*ret_v = v;
	return r;
}

static int own(struct sqlite_store *s)
{
	cleanup(mem_free_p) char *lock = mem_printf("%s.lock", s->path);
	pid_t owner = 0;
	int r = s->platform->take_lock(s->platform->ctx, lock, &s->lock, &owner);
	if (r < 0)
		return fail_system(s, -r);
	s->locked = r == 0;
	if (s->locked)
		return 0;
	cleanup(mem_free_p) char *who =
	    owner > 0 ? mem_printf("process %ld", (long)owner) : mem_strdup("unknown process");
	return store_fail(
	    &s->base, STORE_LOCKED,
	    "%s is in use by another rolloutd (%s): stop that one first, or give this one a state_dir of its own",
	    s->path, who);
}

static int connect_file(struct sqlite_store *s)
{
	int code = sqlite3_open_v2(s->path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, s->platform->vfs);
	if (code != SQLITE_OK)
		return sqlite_fail(s, code, 0);
	sqlite3_extended_result_codes(s->db, 1);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	/* An opening that fails must not copy the log into the file: see settle_log() and disconnect(). */
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	return 0;
}

/* Tells our file from a foreign and from a newer one, before anything is written into it. */
static int recognise(struct sqlite_store *s, int *ret_version)
{
	int64_t application = 0;
	int64_t version = 0;
	int64_t objects = 0;
	int r = read_number(s, "PRAGMA application_id", NULL, &application);
	if (!r)
		r = read_number(s, "PRAGMA user_version", NULL, &version);
	if (!r)
		r = read_number(s, "SELECT count(*) FROM sqlite_schema", NULL, &objects);
	if (r)
		return r;
	bool empty = application == 0 && version == 0 && objects == 0;
	if (!empty && application != SCHEMA_APPLICATION_ID)
		return store_fail(&s->base, STORE_CORRUPT,
				  "%s is a database of another program: move it away, or set another state_dir",
				  s->path);
	if (version < 0 || (version == 0 && !empty))
		return fail_damaged(s, "its schema has no version");
	if (version > schema_version())
		return store_fail(
		    &s->base, STORE_NEWER,
		    "%s was written by a newer rolloutd (schema %lld; this one knows %d): install that one "
		    "again, or put back a copy from before it ran",
		    s->path, (long long)version, schema_version());
	*ret_version = (int)version;
	return 0;
}

static int configure(struct sqlite_store *s)
{
	int64_t is_wal = 0;
	/* The answer is the mode that is in force: a file system without shared memory keeps another. */
	int r = execute(s, "PRAGMA journal_mode = WAL");
	if (!r)
		r = read_number(s, "SELECT journal_mode = 'wal' FROM pragma_journal_mode", NULL, &is_wal);
	if (!r && !is_wal)
		return store_fail(
		    &s->base, -EOPNOTSUPP,
		    "the file system of %s cannot hold the state (no write-ahead log is possible there, as on "
		    "network file systems): set state_dir to a local disk",
		    s->folder);
	if (r)
		return r;
	/* The log is cut back after a burst; a look into a row that a damaged page made up ends in an error. */
	return execute(s, "PRAGMA synchronous = FULL; PRAGMA foreign_keys = OFF; PRAGMA busy_timeout = 0; "
			  "PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = 16777216; "
			  "PRAGMA cell_size_check = ON");
}

/* SQLite's own handle of it; NULL: it is not open. */
static sqlite3_file *find_log(struct sqlite_store *s)
{
	sqlite3_file *log = NULL;

	if (sqlite3_file_control(s->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, (void *)&log) != SQLITE_OK)
		return NULL;
	return log && log->pMethods ? log : NULL;
}

/* The log's bytes are written again as they are read, and synced. Nobody else may be writing to it. */
static int write_log_again(sqlite3_file *log)
{
	enum { CHUNK = 65536 };
	const sqlite3_io_methods *on = log->pMethods;
	cleanup(mem_free_p) char *bytes = mem_alloc(CHUNK);
	sqlite3_int64 size = 0;
	int code = on->xFileSize(log, &size);
	if (code != SQLITE_OK || size == 0)
		return code;
	for (sqlite3_int64 at = 0; at < size && code == SQLITE_OK; at += CHUNK) {
		int len = size - at < CHUNK ? (int)(size - at) : CHUNK;
		code = on->xRead(log, bytes, len, at);
		if (code == SQLITE_OK)
			code = on->xWrite(log, bytes, len, at);
	}
	return code == SQLITE_OK ? on->xSync(log, SQLITE_SYNC_NORMAL) : code;
}

/*
 * After a sync that failed, the kernel may go on showing pages that are not on the disk and that no later sync writes.
 * The process that saw it fail counts none of them as recorded. The one after it cannot tell: SQLite takes them from
 * the cache for a part of the log and copies them into the file, and when the power goes then, the file has pages from
 * a log that the disk has only the beginning of. What is written again is synced again: after this the disk has what
 * the cache shows. What it had of these bytes before were the same ones, or such as no commit was reported for.
 * The transaction keeps off whoever else might have the file open; it changes nothing.
 */
static int settle_log(struct sqlite_store *s)
{
	int r = execute(s, "BEGIN IMMEDIATE");
	if (r)
		return r;
	sqlite3_file *log = find_log(s);
	errno = 0;
	int code = log ? write_log_again(log) : SQLITE_OK;
	if (code != SQLITE_OK)
		r = sqlite_fail(s, code, errno);
	if (sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL) != SQLITE_OK && !r)
		r = sqlite_fail(s, SQLITE_NOMEM, 0);
	return r;
}

/* The log begins anew, but stays as it is where a reader is in the way. */
static int begin_log(struct sqlite_store *s)
{
	int r = settle_log(s);
	if (r)
		return r;
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	return execute(s, "PRAGMA wal_checkpoint(TRUNCATE)");
}

/*
 * Reads the whole file for damage, but only after the host went down with the store open. A killed process cannot
 * leave a damaged file behind: what it wrote is in the kernel's hands, and what it was writing is told by checksums. A
 * power cut can, where a disk does not keep its promises. So the restart after a crash stays quick however large the
 * file is, and what damage there is otherwise is found when it is read.
 */
static int inspect(struct sqlite_store *s, const char *boot_id)
{
	int64_t trusted = 0;
	int r = read_number(s, "SELECT clean OR (boot = ?1 AND boot <> '') FROM owner", boot_id, &trusted);
	if (r || trusted)
		return r;
	struct sqlite_query q = sqlite_query_start_once(s, "PRAGMA quick_check(1)");
	bool told = sqlite_query_next(&q);
	/* A page that the disk would not give up is reported as damage as well; only errno tells. */
	bool unreadable = errno == EIO;
	if (told && strcmp(sqlite_query_text(&q, 0), "ok") != 0)
		r = unreadable ? fail_system(s, EIO) : fail_damaged(s, sqlite_query_text(&q, 0));
	return sqlite_query_end(&q, r);
}

/* Migrates and raises the epoch in one transaction: from its commit on, an earlier owner cannot write any more. */
static int take_over(struct sqlite_store *s, int version, const char *boot_id)
{
	int r = execute(s, "BEGIN IMMEDIATE");
	if (!r && version < schema_version()) {
		errno = 0;
		int code = schema_migrate(s->db, version);
		r = code == SQLITE_OK ? 0 : sqlite_fail(s, code, sqlite_errno(code));
	}
	int64_t epoch = 0;
	if (!r)
		r = read_number(s, "UPDATE owner SET epoch = epoch + 1, clean = 0, boot = ?1 RETURNING epoch", boot_id,
				&epoch);
	if (!r && epoch < 1)
		r = fail_damaged(s, "it has no owner's row");
	if (!r)
		r = execute(s, "COMMIT");
	if (!r)
		s->base.epoch = (uint64_t)epoch;
	return r;
}

static int load_last_ids(struct sqlite_store *s)
{
	int64_t rollout = 0;
	int64_t event = 0;
	int64_t judgement = 0;
	int r = read_number(s, "SELECT max(last_rollout_id, (SELECT ifnull(max(id), 0) FROM rollouts)) FROM owner",
			    NULL, &rollout);
	if (!r)
		r = read_number(s, "SELECT max(last_event_id, (SELECT ifnull(max(id), 0) FROM events)) FROM owner",
				NULL, &event);
	if (!r)
		r = read_number(s,
				"SELECT max(last_judgement_id, (SELECT ifnull(max(id), 0) FROM judgements)) FROM owner",
				NULL, &judgement);
	if (!r && (rollout < 0 || event < 0 || judgement < 0))
		r = fail_damaged(s, "its counters are negative");
	s->last_rollout_id = (uint64_t)rollout;
	s->last_event_id = (uint64_t)event;
	s->last_judgement_id = (uint64_t)judgement;
	return r;
}

static int open_owned(struct sqlite_store *s)
{
	int version = 0;
	cleanup(mem_free_p) char *boot_id = s->platform->read_boot_id(s->platform->ctx);
	int made = s->platform->make_file(s->platform->ctx, s->path);
	int r = made ? fail_system(s, -made) : connect_file(s);
	if (!r)
		r = recognise(s, &version);
	if (!r)
		r = configure(s);
	if (!r && version > 0)
		r = inspect(s, boot_id);
	if (!r)
		r = begin_log(s);
	if (!r)
		r = take_over(s, version, boot_id);
	if (!r && !s->platform->prepares_late) {
		errno = 0;
		int code = sqlite_prepare_all(s);
		r = code == SQLITE_OK ? 0 : sqlite_fail(s, code, sqlite_errno(code));
	}
	return r ? r : load_last_ids(s);
}

static int sqlite_check_owner(struct store *store)
{
	struct sqlite_store *s = sqlite_of(store);
	struct sqlite_query q = sqlite_query_start(s, ST_EPOCH);
	uint64_t epoch = sqlite_query_next(&q) ? sqlite_query_u64(&q, 0) : 0;
	int r = sqlite_query_end(&q, 0);
	if (!r && epoch != store->epoch)
		r = store_fail(
		    store, STORE_LOCKED,
		    "another rolloutd has taken over %s (its epoch is %llu, ours was %llu): this one must stop, and "
		    "has recorded nothing more",
		    s->path, (unsigned long long)epoch, (unsigned long long)store->epoch);
	return r;
}

static void sqlite_abort(struct store *store)
{
	struct sqlite_store *s = sqlite_of(store);
	/* After some faults SQLite has rolled back by itself. Otherwise this only drops pages of the cache. */
	if (!sqlite3_get_autocommit(s->db))
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
}

static int sqlite_begin(struct store *store)
{
	struct sqlite_store *s = sqlite_of(store);
	int moved = 0;
	if (sqlite3_file_control(s->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && moved)
		/* SQLite would go on writing into a file that no restart will find. */
		return store_fail(
		    store, -ESTALE,
		    "%s was removed or replaced while rolloutd was running: put it back, or restart rolloutd; "
		    "nothing was recorded",
		    s->path);
	/* The end of the last one may have failed for want of memory. */
	sqlite_abort(store);
	if (!sqlite3_get_autocommit(s->db))
		return fail_system(s, ENOMEM);
	struct sqlite_query q = sqlite_query_start(s, ST_BEGIN);
	int r = sqlite_query_run(&q);
	if (r)
		return r;
	r = sqlite_check_owner(store);
	if (r)
		store->ops->abort(store);
	return r;
}

static int sqlite_commit(struct store *store)
{
	struct sqlite_query q = sqlite_query_start(sqlite_of(store), ST_COMMIT);
	return sqlite_query_run(&q);
}

static bool spend_reserve(struct sqlite_store *s)
{
	return s->platform->spend_reserve(s->platform->ctx, s->reserve_path);
}

static bool sqlite_spend_reserve(struct store *store)
{
	return spend_reserve(sqlite_of(store));
}

/* A file that was only looked at is left as it was found: SQLite takes an empty log away that it has made itself, but
 * only where it may copy it as well. */
static void drop_empty_log(struct sqlite_store *s)
{
	sqlite3_file *log = find_log(s);
	sqlite3_int64 size = 0;

	if (log && log->pMethods->xFileSize(log, &size) == SQLITE_OK && size == 0)
		sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
}

static void disconnect(struct sqlite_store *s)
{
	sqlite_finalize_all(s);
	if (s->db)
		drop_empty_log(s);
	sqlite3_close(s->db);
	s->db = NULL;
}

static void destroy(struct sqlite_store *s)
{
	disconnect(s);
	/* Last, as this lets the next owner in. */
	if (s->locked)
		s->platform->drop_lock(s->platform->ctx, s->lock);
	free(s->path);
	free(s->folder);
	free(s->reserve_path);
	free(s);
}

static void sqlite_close(struct store *store)
{
	struct sqlite_store *s = sqlite_of(store);
	/* If it does not work, the next opening may look through the file: no reason to complain. */
	if (sqlite_begin(store) == 0)
		if (execute(s, "UPDATE owner SET clean = 1; COMMIT") != 0)
			sqlite_abort(store);
	destroy(s);
}

static const struct store_ops sqlite_ops = {
    .close = sqlite_close,
    .check_owner = sqlite_check_owner,
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .abort = sqlite_abort,
    .spend_reserve = sqlite_spend_reserve,
    .insert_rollout = sqlite_insert_rollout,
    .put_rollout = sqlite_put_rollout,
    .put_intent = sqlite_put_intent,
    .put_event = sqlite_put_event,
    .put_sample = sqlite_put_sample,
    .drop_samples = sqlite_drop_samples,
    .put_judgement = sqlite_put_judgement,
    .put_query = sqlite_put_query,
    .put_source = sqlite_put_source,
    .put_quarantine = sqlite_put_quarantine,
    .drop_quarantine = sqlite_drop_quarantine,
    .prune = sqlite_prune,
    .each_live = sqlite_each_live,
    .each_latest = sqlite_each_latest,
    .each_of_name = sqlite_each_of_name,
    .each_event = sqlite_each_event,
    .each_event_of = sqlite_each_event_of,
    .each_intent = sqlite_each_intent,
    .each_sample = sqlite_each_sample,
    .each_judgement = sqlite_each_judgement,
    .each_query = sqlite_each_query,
    .each_source = sqlite_each_source,
    .find_quarantine = sqlite_find_quarantine,
};

int store_open_sqlite_on(const struct sqlite_platform *platform, const char *path, struct store **ret)
{
	struct sqlite_store *s = mem_alloc(sizeof(*s));
	s->base.ops = &sqlite_ops;
	s->platform = platform;
	s->path = mem_strdup(path);
	const char *slash = strrchr(path, '/');
	s->folder = slash ? mem_strndup(path, slash > path ? (size_t)(slash - path) : 1) : mem_strdup(".");
	s->reserve_path = mem_printf("%s.reserve", path);
	int r = own(s);
	if (!r)
		r = open_owned(s);
	bool spent = r == -ENOSPC && spend_reserve(s);
	if (spent) {
		disconnect(s);
		r = open_owned(s);
	}
	if (r) {
		store_keep_open_error(s->base.error);
		destroy(s);
		return r;
	}
	/* What the opening needed may be needed again at once; pruning holds it back anew. */
	if (!spent)
		platform->make_reserve(platform->ctx, s->reserve_path);
	*ret = &s->base;
	return 0;
}

int store_open_sqlite(const char *path, struct store **ret)
{
	return store_open_sqlite_on(&sqlite_posix, path, ret);
}
