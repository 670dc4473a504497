/* The plans folder: real files, a real loop, and a taker that writes down what it got. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"

/* The daemon is a program and no library: its parts are compiled into the test. */
#include "daemon/dropin.c"
#include "daemon/log.c"
#include "daemon/planfile.c"

#define BEAT_MS	  5    /* uv_run() may run a timer and then wait on; a beat lets the condition be looked at */
#define BEATS_MAX 4000 /* a test that waits for so long has failed */

struct rig {
	char top[64];
	char *folder;
	uv_loop_t loop;
	uv_timer_t guard;
	unsigned beats;
	bool late;
	struct log log;
	struct dropin *dropin;
	unsigned scans;
	enum intake_result result; /* what the taker says */
	char taken[8192];	   /* "file:plan " for each plan */
};

static enum intake_result take_plan(void *ctx, struct plan *plan, const char *source, const char *hash,
				    char ret_text[static LIMIT_REASON])
{
	struct rig *r = ctx;
	size_t len = strlen(r->taken);
	assert_int_equal(strlen(hash), SHA256_HEX_SIZE - 1);
	snprintf(r->taken + len, sizeof(r->taken) - len, "%s:%s:%ju ", source, plan->name, (uintmax_t)plan->version);
	snprintf(ret_text, LIMIT_REASON, r->result == INTAKE_REFUSED ? "the disk is full" : "");
	plan_free(plan);
	return r->result;
}

static void scanned(void *ctx, const struct dropin_counts *counts)
{
	struct rig *r = ctx;
	(void)counts;
	r->scans++;
}

static void guard_cb(uv_timer_t *timer)
{
	struct rig *r = timer->data;
	r->late = ++r->beats > BEATS_MAX;
}

static char *path_of(const struct rig *r, const char *name)
{
	return mem_printf("%s/%s", r->folder, name);
}

static void start(struct rig *r, int64_t stable_ms)
{
	const struct dropin_config config = {
	    .folder = r->folder,
	    .stable_ms = stable_ms,
	    .ops = {.ctx = r, .take = take_plan, .scanned = scanned},
	    .log = &r->log,
	};
	assert_int_equal(dropin_new(&r->loop, &config, &r->dropin), 0);
}

static void stop(struct rig *r)
{
	dropin_close(r->dropin);
	r->dropin = NULL;
	while (r->loop.active_handles > 1 && uv_run(&r->loop, UV_RUN_NOWAIT))
		;
	uv_run(&r->loop, UV_RUN_NOWAIT);
}

static int make_rig(void **state)
{
	struct rig *r = mem_alloc(sizeof(*r));
	snprintf(r->top, sizeof(r->top), "/tmp/rollout-test-dropin-XXXXXX");
	if (!mkdtemp(r->top))
		return -1;
	r->folder = mem_printf("%s/plans.d", r->top);
	assert_int_equal(mkdir(r->folder, 0755), 0);
	assert_int_equal(uv_loop_init(&r->loop), 0);
	uv_timer_init(&r->loop, &r->guard);
	r->guard.data = r;
	uv_timer_start(&r->guard, guard_cb, BEAT_MS, BEAT_MS);
	int fd = memfd_create("log", MFD_CLOEXEC);
	log_init(&r->log, LOG_FORMAT_TEXT, LOG_LEVEL_INFO, fd);
	*state = r;
	return 0;
}

static void empty_folder(const char *folder)
{
	DIR *d = opendir(folder);
	for (struct dirent *e; d && (e = readdir(d));) {
		cleanup(mem_free_p) char *path = mem_printf("%s/%s", folder, e->d_name);
		unlink(path);
	}
	if (d)
		closedir(d);
	rmdir(folder);
}

static int drop_rig(void **state)
{
	struct rig *r = *state;
	uv_close((uv_handle_t *)&r->guard, NULL);
	if (r->dropin)
		dropin_close(r->dropin);
	while (uv_run(&r->loop, UV_RUN_DEFAULT))
		;
	int closed = uv_loop_close(&r->loop);
	close(r->log.fd);
	empty_folder(r->folder);
	empty_folder(r->top);
	free(r->folder);
	free(r);
	return closed;
}

/* Runs the loop until the condition holds. */
#define until(r, condition)                                                                                            \
	do {                                                                                                           \
		while (!(condition) && !(r)->late)                                                                     \
			uv_run(&(r)->loop, UV_RUN_ONCE);                                                               \
		assert_false((r)->late);                                                                               \
	} while (0)

static void rescan(struct rig *r)
{
	unsigned scans = r->scans;
	dropin_rescan(r->dropin);
	until(r, r->scans > scans);
}

static void put_bytes(struct rig *r, const char *name, const char *text)
{
	cleanup(mem_free_p) char *path = path_of(r, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fputs(text, f) < 0, 0);
	assert_int_equal(fclose(f), 0);
	chmod(path, 0644);
}

static char *plan_text(const char *name, unsigned version)
{
	return mem_printf(
	    "apiVersion: rolloutd/v1\nkind: Rollout\nname: %s\nfunction: hello\nalias: prod\nversion: %u\n", name,
	    version);
}

static void put_plan(struct rig *r, const char *file, const char *name, unsigned version)
{
	cleanup(mem_free_p) char *text = plan_text(name, version);
	put_bytes(r, file, text);
}

struct problems {
	struct buf text;
	size_t n;
};

static void add_problem(void *ctx, const struct view_file *f)
{
	struct problems *p = ctx;
	buf_addf(&p->text, "[%s] %s", f->file, f->errors);
	p->n++;
}

/* All that is wrong, as one text. */
static char *problems_of(const struct rig *r)
{
	struct problems p = {.text = BUF_INIT(1024 * 1024)};
	dropin_each_problem(r->dropin, add_problem, &p);
	return buf_take(&p.text);
}

static void assert_problems(const struct rig *r, const char *expected)
{
	cleanup(mem_free_p) char *got = problems_of(r);
	assert_string_equal(got, expected);
}

static bool has_problem(const struct rig *r, const char *part)
{
	cleanup(mem_free_p) char *got = problems_of(r);
	return strstr(got, part) != NULL;
}

static unsigned count_logged(const struct rig *r, const char *part)
{
	static char text[1024 * 1024];
	ssize_t n = pread(r->log.fd, text, sizeof(text) - 1, 0);
	unsigned count = 0;
	assert_true(n >= 0);
	text[n] = '\0';
	for (const char *at = text; (at = strstr(at, part)); at++)
		count++;
	return count;
}

static void test_takes_what_is_there_in_the_order_of_names(void **state)
{
	struct rig *r = *state;
	put_plan(r, "b.yml", "beta", 1);
	put_plan(r, "a.yaml", "alpha", 2);
	put_plan(r, "c.yaml", "gamma", 3);
	start(r, 1);
	until(r, strstr(r->taken, "gamma"));
	until(r, r->scans >= 1);
	assert_string_equal(r->taken, "a.yaml:alpha:2 b.yml:beta:1 c.yaml:gamma:3 ");
	assert_problems(r, "");
}

static void test_passes_over_what_is_no_plan(void **state)
{
	struct rig *r = *state;
	static const char *const others[] = {".hidden.yaml", "a.yaml~", ".a.yaml.swp", "#a.yaml#",  ".#a.yaml",
					     "a.yaml.bak",   "a.YAML",	"readme.txt",  "a\nb.yaml", "a\xff.yaml"};
	for (size_t i = 0; i < array_len(others); i++)
		put_plan(r, others[i], "other", 1);
	put_plan(r, "real.yaml", "real", 1);
	start(r, 1);
	until(r, r->taken[0] && r->scans >= 1);
	assert_string_equal(r->taken, "real.yaml:real:1 ");
	assert_problems(r, "");
}

static void test_sees_changes_and_takes_each_content_once(void **state)
{
	struct rig *r = *state;
	start(r, 20);
	until(r, r->scans >= 1);
	put_plan(r, "a.yaml", "alpha", 1);
	until(r, strstr(r->taken, ":1 "));
	put_plan(r, "a.yaml", "alpha", 2);
	until(r, strstr(r->taken, ":2 "));

	/* The same bytes again, by a new file as editors do it: read, and not taken. */
	put_plan(r, ".new", "alpha", 2);
	cleanup(mem_free_p) char *from = path_of(r, ".new"), *to = path_of(r, "a.yaml");
	assert_int_equal(rename(from, to), 0);
	put_plan(r, "z.yaml", "zeta", 1);
	until(r, strstr(r->taken, "zeta"));
	rescan(r);
	assert_string_equal(r->taken, "a.yaml:alpha:1 a.yaml:alpha:2 z.yaml:zeta:1 ");
}

static void test_waits_until_a_file_is_stable(void **state)
{
	struct rig *r = *state;
	cleanup(mem_free_p) char *path = path_of(r, "a.yaml"), *text = plan_text("alpha", 7);
	start(r, 400);
	until(r, r->scans >= 1);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	for (size_t i = 0; i < strlen(text); i += 16) {
		fprintf(f, "%.16s", text + i);
		fflush(f);
		uv_run(&r->loop, UV_RUN_NOWAIT);
	}
	fclose(f);
	chmod(path, 0644);
	until(r, r->taken[0]);
	assert_string_equal(r->taken, "a.yaml:alpha:7 ");
	assert_int_equal(count_logged(r, "error"), 0);
}

static void test_keeps_what_is_wrong_and_logs_it_once(void **state)
{
	struct rig *r = *state;
	put_bytes(r, "bad.yaml", "kind: Rollout\nnme: x\n");
	put_plan(r, "good.yaml", "good", 1);
	start(r, 1);
	until(r, r->taken[0] && r->scans >= 1);
	rescan(r);
	rescan(r);
	assert_true(has_problem(r, "[bad.yaml] bad.yaml:"));
	assert_true(has_problem(r, "bad.yaml:2:1: error: "));
	assert_int_equal(count_logged(r, "bad.yaml:2:1: error: "), 1);
	assert_string_equal(r->taken, "good.yaml:good:1 ");

	put_plan(r, "bad.yaml", "mended", 1);
	until(r, strstr(r->taken, "mended"));
	assert_problems(r, "");
}

static void test_refuses_files_that_cannot_be_believed(void **state)
{
	struct rig *r = *state;
	cleanup(mem_free_p) char *outside = mem_printf("%s/outside.yaml", r->top);
	cleanup(mem_free_p) char *link = path_of(r, "link.yaml"), *open = path_of(r, "open.yaml");
	cleanup(mem_free_p) char *folder = path_of(r, "folder.yaml"), *huge = mem_alloc(LIMIT_PLAN_BYTES + 2);
	cleanup(mem_free_p) char *fifo = path_of(r, "fifo.yaml");
	put_plan(r, "../outside.yaml", "outside", 1);
	assert_int_equal(symlink(outside, link), 0);
	put_plan(r, "open.yaml", "open", 1);
	assert_int_equal(chmod(open, 0664), 0);
	assert_int_equal(mkdir(folder, 0755), 0);
	assert_int_equal(mkfifo(fifo, 0644), 0);
	memset(huge, '#', LIMIT_PLAN_BYTES + 1);
	put_bytes(r, "huge.yaml", huge);
	start(r, 1);
	until(r, r->scans >= 1 && has_problem(r, "open.yaml"));
	assert_problems(r,
			"[fifo.yaml] fifo.yaml: error: is not a regular file\n"
			"[folder.yaml] folder.yaml: error: is not a regular file\n"
			"[huge.yaml] huge.yaml: error: has 65537 bytes: a plan has at most 65536\n"
			"[link.yaml] link.yaml: error: is a symbolic link, which is not followed: put the file itself "
			"there\n"
			"[open.yaml] open.yaml: error: can be written by others (mode 0664): chmod go-w it\n");
	assert_string_equal(r->taken, "");
	assert_int_equal(chmod(open, 0644), 0); /* mending the mode is enough */
	until(r, strstr(r->taken, "open.yaml:open:1 "));
	unlink(outside);
	rmdir(folder);
}

/* Who may rename in the folder may put an old file in the place of a new one, though neither is theirs. */
static void test_refuses_a_folder_that_cannot_be_believed(void **state)
{
	struct rig *r = *state;
	put_plan(r, "a.yaml", "alpha", 1);
	assert_int_equal(chmod(r->folder, 0777), 0);
	start(r, 1);
	until(r, r->scans >= 1);
	assert_true(has_problem(r, "can be written by others"));
	assert_true(has_problem(r, "(mode 0777): chmod go-w it, no plan in it is used"));
	assert_int_equal(chmod(r->folder, 0775), 0);
	rescan(r);
	assert_true(has_problem(r, "(mode 0775)"));
	assert_string_equal(r->taken, "");
	assert_int_equal(chmod(r->folder, 0755), 0);
	until(r, strstr(r->taken, "a.yaml:alpha:1 "));
	assert_problems(r, "");

	struct stat st = {.st_uid = 4711, .st_mode = S_IFDIR | 0755};
	char why[LIMIT_REASON];
	assert_false(planfile_check_folder(&st, 1000, why, sizeof(why)));
	assert_non_null(strstr(why, "belongs to uid 4711: expected root or the daemon's user (uid 1000)"));
	st.st_uid = 1000;
	assert_true(planfile_check_folder(&st, 1000, why, sizeof(why)));
	st.st_uid = 0;
	assert_true(planfile_check_folder(&st, 1000, why, sizeof(why)));
}

/* A file of somebody else's is refused, even where its mode is right; checked on the values, as chown() needs root. */
static void test_refuses_files_of_others(void **state)
{
	struct buf notes cleanup(buf_deinit) = BUF_INIT(1000);
	struct stat st = {.st_uid = 4711, .st_mode = S_IFREG | 0600, .st_size = 10};
	(void)state;
	assert_false(check_file("a.yaml", &st, 1000, &notes));
	assert_string_equal(buf_text(&notes), "a.yaml: error: belongs to uid 4711: expected root or the daemon's user "
					      "(uid 1000); chown it\n");
	st.st_uid = 1000;
	assert_true(check_file("a.yaml", &st, 1000, &notes));
	st.st_uid = 0;
	assert_true(check_file("a.yaml", &st, 1000, &notes));
}

/* Nothing outside the folder can be named, whatever the name looks like. */
static void test_opens_nothing_outside_the_folder(void **state)
{
	struct rig *r = *state;
	cleanup(mem_free_p) char *link = path_of(r, "sub"), *outside = mem_printf("%s/outside.yaml", r->top);
	put_plan(r, "../outside.yaml", "outside", 1);
	int dir = open(r->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(symlink(r->top, link), 0);
	assert_int_equal(open_beneath(dir, "../outside.yaml"), -EXDEV);
	assert_int_equal(open_beneath(dir, outside), -EXDEV);
	assert_int_equal(open_beneath(dir, "sub/outside.yaml"), -ELOOP);
	close(dir);
	unlink(outside);
}

static void test_one_name_in_two_files(void **state)
{
	struct rig *r = *state;
	put_plan(r, "a.yaml", "same", 1);
	put_plan(r, "b.yaml", "same", 2);
	start(r, 1);
	until(r, r->scans >= 1 && has_problem(r, "b.yaml"));
	assert_string_equal(r->taken, "a.yaml:same:1 ");
	assert_problems(r, "[b.yaml] b.yaml: error: a plan named 'same' is in a.yaml already: names are unique; this "
			   "file is not used\n");

	/* When the first one goes, the second one may. */
	cleanup(mem_free_p) char *first = path_of(r, "a.yaml");
	assert_int_equal(unlink(first), 0);
	until(r, strstr(r->taken, "b.yaml:same:2 "));
	assert_problems(r, "");

	/* An error in a file does not give its name away. */
	put_bytes(r, "b.yaml", "oops: 1\n");
	until(r, has_problem(r, "[b.yaml]"));
	put_plan(r, "c.yaml", "same", 3);
	until(r, has_problem(r, "is in b.yaml already"));

	/* Another name does. */
	put_plan(r, "b.yaml", "other", 4);
	until(r, strstr(r->taken, "c.yaml:same:3 "));
	assert_problems(r, "");
}

static void test_what_was_refused_is_tried_again(void **state)
{
	struct rig *r = *state;
	r->result = INTAKE_REFUSED;
	put_plan(r, "a.yaml", "alpha", 1);
	start(r, 1);
	until(r, r->scans >= 1 && r->taken[0]);
	assert_problems(r, "[a.yaml] a.yaml: error: the disk is full\n");
	rescan(r);
	assert_string_equal(r->taken, "a.yaml:alpha:1 a.yaml:alpha:1 ");
	assert_int_equal(count_logged(r, "the disk is full"), 1);
	r->result = INTAKE_STARTED;
	rescan(r);
	assert_problems(r, "");
	rescan(r);
	assert_string_equal(r->taken, "a.yaml:alpha:1 a.yaml:alpha:1 a.yaml:alpha:1 ");
}

static void test_a_folder_that_vanishes_comes_back(void **state)
{
	struct rig *r = *state;
	cleanup(mem_free_p) char *away = mem_printf("%s/away", r->top);
	put_plan(r, "a.yaml", "alpha", 1);
	start(r, 1);
	until(r, r->scans >= 1 && r->taken[0]);
	assert_int_equal(rename(r->folder, away), 0);
	rescan(r);
	assert_true(has_problem(r, "the folder for plans cannot be opened: No such file or directory"));
	rescan(r);
	assert_int_equal(count_logged(r, "the folder for plans cannot be opened"), 1);
	assert_int_equal(mkdir(r->folder, 0755), 0); /* another one, by the same name */
	put_plan(r, "b.yaml", "beta", 1);
	until(r, strstr(r->taken, "b.yaml:beta:1 "));
	assert_problems(r, "");
	assert_int_equal(count_logged(r, "can be read again"), 1);
	/* It is watched again, too. */
	put_plan(r, "c.yaml", "gamma", 1);
	until(r, strstr(r->taken, "c.yaml:gamma:1 "));
	empty_folder(away);
}

static void test_a_missing_folder_is_no_reason_to_fail(void **state)
{
	struct rig *r = *state;
	assert_int_equal(rmdir(r->folder), 0);
	start(r, 1);
	until(r, r->scans >= 1);
	assert_true(has_problem(r, "cannot be opened"));
	assert_int_equal(mkdir(r->folder, 0755), 0);
	put_plan(r, "a.yaml", "alpha", 1);
	until(r, strstr(r->taken, "alpha"));
}

static void test_stop_takes_nothing_in_and_still_tells(void **state)
{
	struct rig *r = *state;
	put_bytes(r, "bad.yaml", "x: y\n");
	start(r, 1);
	until(r, r->scans >= 1 && has_problem(r, "bad.yaml"));
	dropin_stop(r->dropin);
	put_plan(r, "a.yaml", "alpha", 1);
	dropin_rescan(r->dropin);
	for (int i = 0; i < 100; i++)
		uv_run(&r->loop, UV_RUN_NOWAIT);
	assert_string_equal(r->taken, "");
	assert_true(has_problem(r, "bad.yaml"));
	stop(r);
}

/* Closing in the middle of a scan leaves nothing behind: the sanitizer and uv_loop_close() say. */
static void test_close_at_any_time(void **state)
{
	struct rig *r = *state;
	for (int i = 0; i < 50; i++) {
		cleanup(mem_free_p) char *file = mem_printf("f%d.yaml", i), *name = mem_printf("n%d", i);
		put_plan(r, file, name, 1);
	}
	for (int turns = 0; turns < 6; turns++) {
		start(r, turns % 2 ? 1 : 60000);
		for (int i = 0; i < turns; i++)
			uv_run(&r->loop, UV_RUN_NOWAIT);
		stop(r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_takes_what_is_there_in_the_order_of_names, make_rig, drop_rig),
	    cmocka_unit_test_setup_teardown(test_passes_over_what_is_no_plan, make_rig, drop_rig),
	    cmocka_unit_test_setup_teardown(test_sees_changes_and_takes_each_content_once, make_rig, drop_rig),
	    cmocka_unit_test_setup_teardown(test_waits_until_a_file_is_stable, make_rig, drop_rig),
	    cmocka_unit_test_setup_teardown(test_keeps_what_is_wrong_and_logs_it_once, make_rig, drop_rig),
	    cmocka_unit_test_setup_teardown(test_refuses_files_that_cannot_be_believed, make_rig, drop_rig),
	    cmocka_unit_test_setup_teardown(test_refuses_a_folder_that_cannot_be_believed, make_rig, drop_rig),
	    cmocka_unit_test_setup_teardown(test_refuses_files_of_others, make_rig, drop_rig),
	    cmocka_unit_test_setup_teardown(test_opens_nothing_outside_the_folder, make_rig, drop_rig),
	    cmocka_unit_test_setup_teardown(test_one_name_in_two_files, make_rig, drop_rig),
	    cmocka_unit_test_setup_teardown(test_what_was_refused_is_tried_again, make_rig, drop_rig),
	    cmocka_unit_test_setup_teardown(test_a_folder_that_vanishes_comes_back, make_rig, drop_rig),
	    cmocka_unit_test_setup_teardown(test_a_missing_folder_is_no_reason_to_fail, make_rig, drop_rig),
	    cmocka_unit_test_setup_teardown(test_stop_takes_nothing_in_and_still_tells, make_rig, drop_rig),
	    cmocka_unit_test_setup_teardown(test_close_at_any_time, make_rig, drop_rig),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
