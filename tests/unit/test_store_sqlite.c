/* The SQLite store as a file: ownership, crashes, full disks, damage. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/prng.h"
#include "store/store.h"

static char folder[64];
static char path[96];

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/rollout-test-sqlite-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/state.db", folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	DIR *d = opendir(folder);
	for (struct dirent *e; (e = readdir(d));) {
		cleanup(mem_free_p) char *file = mem_printf("%s/%s", folder, e->d_name);
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && unlink(file) < 0)
			rmdir(file);
	}
	closedir(d);
	return rmdir(folder);
}

static struct store *open_store(void)
{
	struct store *s = NULL;
	int r = store_open_sqlite(path, &s);
	if (r)
		print_error("%s\n", store_error_text(NULL));
	assert_int_equal(r, 0);
	return s;
}

static void check_refused(int wanted, const char *part_of_text)
{
	struct store *s = NULL;
	assert_int_equal(store_open_sqlite(path, &s), wanted);
	assert_null(s);
	if (!strstr(store_error_text(NULL), part_of_text))
		print_error("said: %s\n", store_error_text(NULL));
	assert_non_null(strstr(store_error_text(NULL), part_of_text));
}

/* What an operator, or a fault, does to the file behind the store's back. */
static void execute(const char *sql)
{
	sqlite3 *db = NULL;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static int64_t number(const char *sql)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *statement = NULL;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	int64_t v = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	sqlite3_close(db);
	return v;
}

/* --- one step of work: an event and a new record, in one transaction --- */

struct totals {
	unsigned events;
	unsigned revision;
	int64_t last; /* unix_ms of the newest event: events are numbered by it */
};

static int count_event(void *ctx, const struct store_event *e)
{
	struct totals *t = ctx;
	/* Contiguous: a lost one in the middle would be worse than a lost end. */
	if (e->unix_ms != t->last + 1)
		return 99;
	t->last = e->unix_ms;
	t->events++;
	return 0;
}

static int note_revision(void *ctx, const struct store_rollout *r)
{
	((struct totals *)ctx)->revision = (unsigned)r->revision;
	return 0;
}

static struct totals read_totals(struct store *s)
{
	struct totals t = {0};
	assert_int_equal(store_each_event(s, NULL, 0, 1000000, count_event, &t), 0);
	assert_int_equal(store_each_live(s, note_revision, &t), 0);
	return t;
}

static int try_step(struct store *s, unsigned n, const char *record)
{
	struct store_event e = {.rollout_id = 1, .name = "hello", .unix_ms = n, .kind = "k", .text = record};
	struct store_rollout r = {.id = 1, .revision = n - 1, .live = true, .record = record};
	uint64_t id;
	int result = store_begin(s);
	if (!result)
		result = store_put_event(s, &e, &id);
	if (!result)
		result = store_put_rollout(s, &r);
	if (!result)
		result = store_commit(s);
	if (result)
		store_abort(s);
	return result;
}

static void insert_rollout(struct store *s)
{
	struct store_rollout r = {.name = "hello", .attempt = 1, .live = true};
	uint64_t id = 0;
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(store_insert_rollout(s, &r, &id), 0);
	assert_int_equal(id, 1);
	assert_int_equal(store_commit(s), 0);
}

/* --- processes --- */

/* A child that says bytes through `from_child` and hears them through `to_child`. */
struct child {
	pid_t pid;
	int from_child;
	int to_child;
};

static struct child start_child(int (*work)(int in, int out))
{
	int up[2];
	int down[2];
	assert_int_equal(pipe2(up, O_CLOEXEC), 0);
	assert_int_equal(pipe2(down, O_CLOEXEC), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(up[0]);
		close(down[1]);
		_exit(work(down[0], up[1]));
	}
	close(up[1]);
	close(down[0]);
	return (struct child){.pid = pid, .from_child = up[0], .to_child = down[1]};
}

static bool hear(int fd, uint32_t *ret_v)
{
	ssize_t n;
	do
		n = read(fd, ret_v, sizeof(*ret_v));
	while (n < 0 && errno == EINTR);
	return n == sizeof(*ret_v);
}

static bool say(int fd, uint32_t v)
{
	return write(fd, &v, sizeof(v)) == sizeof(v);
}

/* Gives the exit code, or 128 + the signal. */
static int end_child(struct child *c, int signal)
{
	if (signal)
		kill(c->pid, signal);
	close(c->from_child);
	close(c->to_child);
	int status = 0;
	assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* --- the file --- */

static unsigned mode_of(const char *suffix)
{
	cleanup(mem_free_p) char *file = mem_printf("%s%s", path, suffix);
	struct stat st;
	assert_int_equal(stat(file, &st), 0);
	return st.st_mode & 07777;
}

static void test_private(void **state)
{
	(void)state;
	mode_t old = umask(0);
	struct store *s = open_store();
	umask(old);
	insert_rollout(s);
	static const char *const suffixes[] = {"", "-wal", "-shm", ".lock", ".reserve"};
	for (size_t i = 0; i < array_len(suffixes); i++)
		assert_int_equal(mode_of(suffixes[i]), 0600);
	store_close(s);
	/* A copy that was put back with another mode becomes private again. */
	assert_int_equal(chmod(path, 0644), 0);
	store_close(open_store());
	assert_int_equal(mode_of(""), 0600);
}

static void test_reopen(void **state)
{
	(void)state;
	struct store *s = open_store();
	assert_int_equal(store_epoch(s), 1);
	insert_rollout(s);
	for (unsigned n = 1; n <= 5; n++)
		assert_int_equal(try_step(s, n, "{}"), 0);
	assert_int_equal(store_begin(s), 0);
	store_close(s); /* with a transaction open */
	s = open_store();
	assert_int_equal(store_epoch(s), 2);
	struct totals t = read_totals(s);
	assert_int_equal(t.events, 5);
	assert_int_equal(t.revision, 5);
	store_close(s);
	assert_int_equal(number("PRAGMA application_id"), 0x726f6c6c);
	assert_true(number("PRAGMA user_version") >= 1);
	assert_int_equal(number("SELECT clean FROM owner"), 1);
}

static void test_ids_are_never_reused(void **state)
{
	(void)state;
	struct store *s = open_store();
	insert_rollout(s);
	uint64_t event = 0;
	struct store_event e = {.kind = "k"};
	struct store_rollout ended = {.id = 1, .live = false};
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(store_put_event(s, &e, &event), 0);
	assert_int_equal(store_put_rollout(s, &ended), 0);
	assert_int_equal(store_prune(s, 1000, 0), 0);
	assert_int_equal(store_commit(s), 0);
	store_close(s);
	assert_int_equal(number("SELECT count(*) FROM rollouts") + number("SELECT count(*) FROM events"), 0);
	s = open_store();
	uint64_t next_event = 0;
	uint64_t next = 0;
	struct store_rollout r = {.name = "other", .attempt = 1};
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(store_put_event(s, &e, &next_event), 0);
	assert_int_equal(store_insert_rollout(s, &r, &next), 0);
	assert_int_equal(store_commit(s), 0);
	assert_true(next_event > event);
	assert_true(next > 1);
	store_close(s);
}

/* --- ownership --- */

static int hold_store(int in, int out)
{
	struct store *s = NULL;
	uint32_t ignored;
	if (store_open_sqlite(path, &s))
		return 1;
	say(out, 1);
	hear(in, &ignored);
	store_close(s);
	return 0;
}

static void test_locked(void **state)
{
	(void)state;
	struct child c = start_child(hold_store);
	uint32_t ready;
	assert_true(hear(c.from_child, &ready));
	char who[32];
	snprintf(who, sizeof(who), "(process %ld)", (long)c.pid);
	check_refused(STORE_LOCKED, who);
	check_refused(STORE_LOCKED, path);
	/* Being refused changes nothing for the owner; its death gives the lock back. */
	check_refused(STORE_LOCKED, "stop that one first");
	assert_int_equal(end_child(&c, SIGKILL), 128 + SIGKILL);
	struct store *s = open_store();
	assert_int_equal(store_epoch(s), 2);
	check_refused(STORE_LOCKED, "in use by another rolloutd"); /* this process itself */
	store_close(s);
	store_close(open_store());
}

/* An owner whose lock was lost: it may go on only until another has opened the file. */
static int write_when_told(int in, int out)
{
	struct store *s = NULL;
	uint32_t n;
	if (store_open_sqlite(path, &s))
		return 1;
	say(out, 0);
	while (hear(in, &n)) {
		int r = try_step(s, n, "{}");
		if (r == STORE_LOCKED && !strstr(store_error_text(s), "has taken over"))
			return 2;
		if (store_check_owner(s) != (r == STORE_LOCKED ? STORE_LOCKED : 0))
			return 3;
		say(out, (uint32_t)r);
	}
	store_close(s);
	return 0;
}

static void test_fenced(void **state)
{
	(void)state;
	struct store *s = open_store();
	insert_rollout(s);
	store_close(s);
	struct child c = start_child(write_when_told);
	uint32_t r;
	assert_true(hear(c.from_child, &r));
	assert_true(say(c.to_child, 1) && hear(c.from_child, &r));
	assert_int_equal(r, 0);

	cleanup(mem_free_p) char *lock = mem_printf("%s.lock", path);
	assert_int_equal(unlink(lock), 0);
	s = open_store();
	assert_int_equal(store_epoch(s), 3);
	assert_int_equal(store_check_owner(s), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(say(c.to_child, 2) && hear(c.from_child, &r));
		assert_int_equal(r, STORE_LOCKED);
	}
	assert_int_equal(try_step(s, 2, "{}"), 0);
	assert_int_equal(end_child(&c, 0), 0);
	struct totals t = read_totals(s);
	assert_int_equal(t.events, 2);
	assert_int_equal(t.revision, 2);
	store_close(s);
	/* The stale owner's orderly end did not vouch for the file in the new owner's name. */
	assert_int_equal(number("SELECT epoch FROM owner"), 3);
}

static void test_foreign_writer(void **state)
{
	(void)state;
	struct store *s = open_store();
	insert_rollout(s);
	sqlite3 *db = NULL;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(store_begin(s), -EBUSY); /* at once, not only at the first write */
	assert_non_null(strstr(store_error_text(s), "another program has"));
	assert_int_equal(read_totals(s).revision, 0); /* reading goes on */
	assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(try_step(s, 1, "{}"), 0);
	store_close(s);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	check_refused(STORE_LOCKED, "another program has");
	sqlite3_close(db);
	store_close(open_store());
}

/* SQLite alone would go on writing into the removed file, and the next start would find nothing of it. */
static void test_file_removed(void **state)
{
	(void)state;
	struct store *s = open_store();
	insert_rollout(s);
	cleanup(mem_free_p) char *away = mem_printf("%s/away.db", folder);
	assert_int_equal(rename(path, away), 0);
	assert_int_equal(try_step(s, 1, "{}"), -ESTALE);
	assert_non_null(strstr(store_error_text(s), "was removed or replaced"));
	assert_int_equal(rename(away, path), 0);
	assert_int_equal(try_step(s, 1, "{}"), 0);
	store_close(s);
}

/* --- crashes --- */

static int write_for_ever(int in, int out)
{
	(void)in;
	struct store *s = NULL;
	if (store_open_sqlite(path, &s))
		return 1;
	struct totals t = {0};
	if (store_each_event(s, NULL, 0, 1000000, count_event, &t))
		return 2;
	char record[3000];
	for (unsigned n = (unsigned)t.last + 1;; n++) {
		/* Records of all sizes, so that some change one page and some several. */
		memset(record, 'r', sizeof(record));
		record[n * 997 % sizeof(record)] = '\0';
		record[sizeof(record) - 1] = '\0';
		if (try_step(s, n, record))
			return 3;
		if (!say(out, n))
			return 4;
	}
}

static void test_killed(void **state)
{
	(void)state;
	struct store *s = open_store();
	insert_rollout(s);
	store_close(s);
	struct prng p;
	prng_init(&p, 99);
	uint32_t acknowledged = 0;
	for (unsigned i = 0; i < 40; i++) {
		struct child c = start_child(write_for_ever);
		for (uint64_t wanted = prng_below(&p, 40) + 1; wanted > 0; wanted--)
			assert_true(hear(c.from_child, &acknowledged));
		/* It goes on writing meanwhile, so that the end meets it anywhere. */
		kill(c.pid, SIGKILL);
		while (hear(c.from_child, &acknowledged))
			continue;
		assert_int_equal(end_child(&c, 0), 128 + SIGKILL);
		if (i % 4 == 3)
			continue; /* the next child recovers by itself */
		s = open_store();
		struct totals t = read_totals(s);
		assert_in_range(t.events, acknowledged, acknowledged + 1);
		assert_int_equal(t.revision, t.events); /* both parts of each transaction, or none */
		store_close(s);
	}
	assert_true(acknowledged > 40);
	assert_int_equal(number("SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"), 0);
}

/* These stand before those of the C library, for SQLite too. */
__attribute__((visibility("default"))) int fdatasync(int fd);
__attribute__((visibility("default"))) int fsync(int fd);

static unsigned n_syncs;
static bool sync_fails;

static int count_sync(long call, int fd)
{
	n_syncs++;
	if (sync_fails) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(call, fd);
}

int fdatasync(int fd)
{
	return count_sync(SYS_fdatasync, fd);
}

int fsync(int fd)
{
	return count_sync(SYS_fsync, fd);
}

/* A killed process says nothing about power cuts; what protects from those is that each commit waits for the disk. */
static void test_synced(void **state)
{
	(void)state;
	struct store *s = open_store();
	insert_rollout(s);
	for (unsigned n = 1; n <= 10; n++) {
		unsigned before = n_syncs;
		assert_int_equal(try_step(s, n, "{}"), 0);
		assert_int_equal(n_syncs, before + 1);
	}
	sync_fails = true;
	assert_int_equal(try_step(s, 11, "{}"), -EIO);
	sync_fails = false;
	assert_non_null(strstr(store_error_text(s), "look at the disk"));
	assert_int_equal(read_totals(s).revision, 10);
	assert_int_equal(try_step(s, 11, "{}"), 0);
	assert_int_equal(read_totals(s).events, 11);
	store_close(s);
}

/* --- full disks --- */

/* Steps with large records until one is refused; gives the result, and how many were taken. */
static int fill_disk(struct store *s, unsigned *n)
{
	cleanup(mem_free_p) char *record = mem_alloc(20001);
	memset(record, 'r', 20000);
	for (unsigned i = 0; i < 10000; i++) {
		int r = try_step(s, *n + 1, record);
		if (r)
			return r;
		++*n;
	}
	return 0;
}

static bool is_whole(struct store *s, unsigned n)
{
	struct totals t = {0};
	return store_each_event(s, NULL, 0, 1000000, count_event, &t) == 0 &&
	       store_each_live(s, note_revision, &t) == 0 && t.events == n && t.revision == n;
}

#define step_of_child(cond)                                                                                            \
	do {                                                                                                           \
		if (!(cond)) {                                                                                         \
			print_error("%s:%d: %s (%s)\n", __FILE__, __LINE__, #cond, store_error_text(s));               \
			return 1;                                                                                      \
		}                                                                                                      \
	} while (0)

static int meet_file_limit(int in, int out)
{
	(void)in;
	(void)out;
	signal(SIGXFSZ, SIG_IGN);
	struct store *s = NULL;
	unsigned n = 0;
	step_of_child(store_open_sqlite(path, &s) == 0);
	struct rlimit limit;
	getrlimit(RLIMIT_FSIZE, &limit);
	rlim_t before = limit.rlim_cur;
	limit.rlim_cur = 500000;
	setrlimit(RLIMIT_FSIZE, &limit);
	step_of_child(fill_disk(s, &n) == -EFBIG);
	step_of_child(n > 3);
	step_of_child(strstr(store_error_text(s), "may not grow further") && strstr(store_error_text(s), path));
	step_of_child(is_whole(s, n));
	/* After a failed commit there is no transaction any more in which something could be recorded by mistake. */
	struct store_event e = {.kind = "k", .unix_ms = n + 1};
	uint64_t id;
	step_of_child(store_begin(s) == 0);
	cleanup(mem_free_p) char *text = mem_alloc(200001);
	memset(text, 't', 200000);
	e.text = text;
	step_of_child(store_put_event(s, &e, &id) == 0);
	step_of_child(store_commit(s) == -EFBIG);
	e.text = "";
	step_of_child(store_put_event(s, &e, &id) == -EFBIG);
	step_of_child(store_commit(s) == -EFBIG);
	store_abort(s);
	step_of_child(is_whole(s, n));
	limit.rlim_cur = before;
	setrlimit(RLIMIT_FSIZE, &limit);
	step_of_child(try_step(s, n + 1, "{}") == 0);
	n++;
	step_of_child(is_whole(s, n));
	store_close(s);
	s = NULL;
	step_of_child(store_open_sqlite(path, &s) == 0);
	step_of_child(is_whole(s, n));
	store_close(s);
	return 0;
}

static void test_file_limit(void **state)
{
	(void)state;
	struct store *s = open_store();
	insert_rollout(s);
	store_close(s);
	struct child c = start_child(meet_file_limit);
	assert_int_equal(end_child(&c, 0), 0);
}

enum { NO_TMPFS = 42 };

/* A tmpfs of its own, in a mount namespace of its own, so that nobody else ever sees it. */
static int meet_full_disk(int in, int out)
{
	(void)in;
	(void)out;
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", folder, "tmpfs", 0, "size=24m") < 0)
		return NO_TMPFS;
	struct store *s = NULL;
	unsigned n = 0;
	cleanup(mem_free_p) char *ballast = mem_printf("%s/ballast", folder);
	int fd = open(ballast, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	step_of_child(fd >= 0 && ftruncate(fd, 0) == 0 && posix_fallocate(fd, 0, 9000000) == 0);
	close(fd);
	step_of_child(store_open_sqlite(path, &s) == 0);
	struct store_rollout r = {.name = "hello", .attempt = 1, .live = true};
	uint64_t id;
	step_of_child(store_begin(s) == 0 && store_insert_rollout(s, &r, &id) == 0 && store_commit(s) == 0);
	step_of_child(fill_disk(s, &n) == -ENOSPC);
	step_of_child(n > 3);
	cleanup(mem_free_p) char *sentence =
	    mem_printf("the disk is full: free space under %s; nothing was recorded", folder);
	step_of_child(strcmp(store_error_text(s), sentence) == 0);
	step_of_child(is_whole(s, n));
	/* What must not wait has the reserve, once. */
	step_of_child(store_spend_reserve(s));
	step_of_child(try_step(s, n + 1, "{}") == 0);
	n++;
	step_of_child(!store_spend_reserve(s));
	step_of_child(fill_disk(s, &n) == -ENOSPC);
	/* When there is room again it goes on by itself, and the reserve is held back anew. */
	step_of_child(unlink(ballast) == 0);
	step_of_child(try_step(s, n + 1, "{}") == 0);
	n++;
	step_of_child(store_begin(s) == 0 && store_prune(s, 0, 0) == 0 && store_commit(s) == 0);
	step_of_child(fill_disk(s, &n) == -ENOSPC);
	step_of_child(is_whole(s, n));
	/* A full disk does not keep the daemon from starting. Openings write as well; one of them needs the reserve. */
	cleanup(mem_free_p) char *reserve = mem_printf("%s.reserve", path);
	for (unsigned openings = 0; access(reserve, F_OK) == 0 && openings < 100; openings++) {
		store_close(s);
		s = NULL;
		step_of_child(store_open_sqlite(path, &s) == 0);
		step_of_child(is_whole(s, n));
	}
	step_of_child(!store_spend_reserve(s));
	step_of_child(try_step(s, n + 1, "{}") == 0);
	store_close(s);
	return 0;
}

static void test_full_disk(void **state)
{
	(void)state;
	struct child c = start_child(meet_full_disk);
	int code = end_child(&c, 0);
	if (code == NO_TMPFS)
		skip(); /* needs the right to mount */
	assert_int_equal(code, 0);
}

/* No room even for an empty database. */
static int open_on_full_disk(int in, int out)
{
	(void)in;
	(void)out;
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", folder, "tmpfs", 0, "size=4k") < 0)
		return NO_TMPFS;
	struct store *s = NULL;
	int r = store_open_sqlite(path, &s);
	return r == -ENOSPC && strstr(store_error_text(NULL), "free space under") ? 0 : 1;
}

static void test_open_on_full_disk(void **state)
{
	(void)state;
	struct child c = start_child(open_on_full_disk);
	int code = end_child(&c, 0);
	if (code == NO_TMPFS)
		skip(); /* needs the right to mount */
	assert_int_equal(code, 0);
}

/* --- damage --- */

static void write_file(const char *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
}

/* A closed database of about 200 pages. */
static void make_large(void)
{
	struct store *s = open_store();
	insert_rollout(s);
	cleanup(mem_free_p) char *record = mem_alloc(4001);
	memset(record, 'r', 4000);
	for (unsigned n = 1; n <= 150; n++)
		assert_int_equal(try_step(s, n, record), 0);
	store_close(s);
}

static void damage_pages(unsigned from, unsigned to)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	char page[4096];
	memset(page, 0xaa, sizeof(page));
	for (unsigned i = from; i < to; i++)
		assert_int_equal(pwrite(fd, page, sizeof(page), (off_t)i * (off_t)sizeof(page)), sizeof(page));
	close(fd);
}

static void test_not_ours(void **state)
{
	(void)state;
	char text[5000];
	memset(text, 'x', sizeof(text));
	write_file(text, sizeof(text));
	check_refused(STORE_CORRUPT, "is damaged (file is not a database)");
	check_refused(STORE_CORRUPT, "put a backup in its place");
	write_file("", 0);
	execute("CREATE TABLE other (x); PRAGMA user_version = 1");
	int64_t objects = number("SELECT count(*) FROM sqlite_schema");
	check_refused(STORE_CORRUPT, "is a database of another program");
	assert_int_equal(number("SELECT count(*) FROM sqlite_schema"), objects); /* and it was left alone */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	check_refused(-EISDIR, path);
}

static void test_no_folder(void **state)
{
	(void)state;
	struct store *s = NULL;
	cleanup(mem_free_p) char *missing = mem_printf("%s/missing/state.db", folder);
	assert_int_equal(store_open_sqlite(missing, &s), -ENOENT);
	assert_non_null(strstr(store_error_text(NULL), "missing does not exist: create it"));
}

static void test_newer(void **state)
{
	(void)state;
	store_close(open_store());
	execute("PRAGMA user_version = 99; CREATE TABLE of_the_future (x)");
	check_refused(STORE_NEWER, "written by a newer rolloutd (schema 99");
	assert_int_equal(number("SELECT epoch FROM owner"), 1); /* and it was left alone */
	execute("PRAGMA user_version = -3");
	check_refused(STORE_CORRUPT, "no version");
	execute("PRAGMA user_version = 0");
	check_refused(STORE_CORRUPT, "no version");
}

static void test_incomplete(void **state)
{
	(void)state;
	store_close(open_store());
	execute("DROP TABLE samples");
	check_refused(STORE_CORRUPT, "no such table: samples");
	execute("DELETE FROM owner");
	check_refused(STORE_CORRUPT, "damaged");
	execute("DROP TABLE owner");
	check_refused(STORE_CORRUPT, "no such table: owner");
}

static void test_header_damaged(void **state)
{
	(void)state;
	make_large();
	damage_pages(0, 1);
	check_refused(STORE_CORRUPT, "is damaged");
	assert_int_equal(truncate(path, 700), 0);
	check_refused(STORE_CORRUPT, "is damaged");
}

static int read_all(struct store *s)
{
	struct totals t = {0};
	int r = store_each_event(s, NULL, 0, 1000000, count_event, &t);
	return r ? r : store_each_latest(s, note_revision, &t);
}

/* After an orderly end the file is not looked through; damage is found where it is read. */
static void test_pages_damaged(void **state)
{
	(void)state;
	make_large();
	damage_pages(40, 140);
	struct store *s = open_store();
	assert_int_equal(read_all(s), STORE_CORRUPT);
	assert_non_null(strstr(store_error_text(s), "is damaged"));
	store_close(s);
}

/* The host went down with the store open: then it is looked through before anything is believed. */
static void test_damaged_by_power_cut(void **state)
{
	(void)state;
	make_large();
	damage_pages(40, 140);
	execute("UPDATE owner SET clean = 0, boot = 'an earlier one'");
	check_refused(STORE_CORRUPT, "is damaged");
	/* In the same boot it was only the process that died, and that cannot damage a file. */
	struct child c = start_child(hold_store);
	(void)end_child(&c, 0);
	execute("UPDATE owner SET clean = 1");
	store_close(open_store());
}

static void test_power_cut_without_damage(void **state)
{
	(void)state;
	make_large();
	execute("UPDATE owner SET clean = 0, boot = 'an earlier one'");
	struct store *s = open_store();
	assert_true(is_whole(s, 150));
	store_close(s);
}

static void test_crash_in_the_same_boot(void **state)
{
	(void)state;
	make_large();
	struct child c = start_child(hold_store);
	uint32_t ready;
	assert_true(hear(c.from_child, &ready));
	assert_int_equal(end_child(&c, SIGKILL), 128 + SIGKILL);
	assert_int_equal(number("SELECT clean FROM owner"), 0);
	/* Not looked through, or it would be refused: so a restart is quick however large the file is. */
	damage_pages(40, 140);
	store_close(open_store());
}

/* --- no memory --- */

static sqlite3_mem_methods memory;
static bool no_memory;

static void *allocate(int size)
{
	return no_memory ? NULL : memory.xMalloc(size);
}

static void prepare_memory(void)
{
	assert_int_equal(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory), SQLITE_OK);
	sqlite3_mem_methods mine = memory;
	mine.xMalloc = allocate;
	assert_int_equal(sqlite3_config(SQLITE_CONFIG_MALLOC, &mine), SQLITE_OK);
}

/* Even the undoing of a transaction needs memory. When there was none for that, the next one begins all the same. */
static void test_abort_without_memory(void **state)
{
	(void)state;
	struct store *s = open_store();
	insert_rollout(s);
	assert_int_equal(try_step(s, 1, "one"), 0);
	assert_int_equal(store_begin(s), 0);
	no_memory = true;
	store_abort(s);
	no_memory = false;
	assert_int_equal(try_step(s, 2, "two"), 0);
	assert_int_equal(read_totals(s).events, 2);
	store_close(s);
}

#define in_folder(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    in_folder(test_private),
	    in_folder(test_reopen),
	    in_folder(test_ids_are_never_reused),
	    in_folder(test_locked),
	    in_folder(test_fenced),
	    in_folder(test_foreign_writer),
	    in_folder(test_file_removed),
	    in_folder(test_killed),
	    in_folder(test_synced),
	    in_folder(test_file_limit),
	    in_folder(test_full_disk),
	    in_folder(test_open_on_full_disk),
	    in_folder(test_not_ours),
	    in_folder(test_no_folder),
	    in_folder(test_newer),
	    in_folder(test_incomplete),
	    in_folder(test_header_damaged),
	    in_folder(test_pages_damaged),
	    in_folder(test_damaged_by_power_cut),
	    in_folder(test_power_cut_without_damage),
	    in_folder(test_crash_in_the_same_boot),
	    in_folder(test_abort_without_memory),
	};
	prepare_memory();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
