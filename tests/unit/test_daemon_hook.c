/* Hooks are run for real: small shell scripts in a folder of the test's own. */
#include <linux/close_range.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/clock.h"
#include "folder.h"

/* The daemon is a program and no library: its parts are compiled into the test. */
#include "daemon/hook.c"

#define GUARD_MS 20000 /* a test that waits for so long has failed */

struct outcome {
	unsigned answers;
	bool started;
	bool timed_out;
	int status;
	char output[LIMIT_HOOK_OUTPUT_BYTES + 1];
};

struct rig {
	uv_loop_t loop;
	uv_timer_t guard;
	bool late;
	char folder[64];
	struct hooks *hooks;
	struct outcome outcomes[HOOKS_AT_ONCE * 3];
};

static void guard_cb(uv_timer_t *timer)
{
	((struct rig *)timer->data)->late = true;
}

static int rig_setup(void **state)
{
	struct rig *r = mem_alloc(sizeof(*r));
	snprintf(r->folder, sizeof(r->folder), "/tmp/rollout-test-hook-XXXXXX");
	if (!mkdtemp(r->folder) || uv_loop_init(&r->loop) != 0)
		return -1;
	uv_timer_init(&r->loop, &r->guard);
	r->guard.data = r;
	uv_timer_start(&r->guard, guard_cb, GUARD_MS, 0);
	uv_unref((uv_handle_t *)&r->guard);
	r->hooks = hooks_new(&r->loop, r->folder);
	*state = r;
	return 0;
}

static int rig_teardown(void **state)
{
	struct rig *r = *state;
	hooks_close(r->hooks);
	uv_close((uv_handle_t *)&r->guard, NULL);
	while (uv_run(&r->loop, UV_RUN_DEFAULT) != 0)
		;
	int rc = uv_loop_close(&r->loop);
	/* No zombie is left. */
	if (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD)
		rc = -1;
	if (folder_remove(r->folder) != 0)
		rc = -1;
	free(r);
	return rc;
}

static char *path_of(const struct rig *r, const char *name)
{
	return mem_printf("%s/%s", r->folder, name);
}

static void script(const struct rig *r, const char *name, mode_t mode, const char *text)
{
	cleanup(mem_free_p) char *path = path_of(r, name);
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	fprintf(f, "#!/bin/sh\n%s\n", text);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void ended(void *arg, const struct exec_result *x)
{
	struct outcome *o = arg;
	o->answers++;
	o->started = x->started;
	o->timed_out = x->timed_out;
	o->status = x->status;
	snprintf(o->output, sizeof(o->output), "%s", x->output);
}

static void wait_for(struct rig *r, size_t n)
{
	for (;;) {
		size_t done = 0;
		for (size_t i = 0; i < n; i++)
			done += r->outcomes[i].answers > 0;
		if (done == n)
			return;
		assert_false(r->late);
		uv_run(&r->loop, UV_RUN_ONCE);
	}
}

static const struct outcome *run(struct rig *r, const char *program, const char *input, int64_t timeout_ms)
{
	r->outcomes[0] = (struct outcome){0};
	hooks_run(r->hooks, program, input, timeout_ms, ended, &r->outcomes[0]);
	assert_int_equal(r->outcomes[0].answers, 0);
	wait_for(r, 1);
	assert_int_equal(r->outcomes[0].answers, 1);
	return &r->outcomes[0];
}

static void refused(struct rig *r, const char *program, const char *because)
{
	const struct outcome *o = run(r, program, "{}", 1000);
	assert_false(o->started);
	if (!strstr(o->output, because))
		fail_msg("'%s' does not say '%s'", o->output, because);
}

static bool exists(const struct rig *r, const char *name)
{
	cleanup(mem_free_p) char *path = path_of(r, name);
	return access(path, F_OK) == 0;
}

/* --- what a hook gets --- */

static void test_input_output_status(void **state)
{
	struct rig *r = *state;
	script(r, "echo", 0700, "cat; echo ' and more' >&2; exit 7");
	const struct outcome *o = run(r, "echo", "{\"alias\": \"prod\"}", 10000);
	assert_true(o->started);
	assert_false(o->timed_out);
	assert_int_equal(o->status, 7);
	assert_string_equal(o->output, "{\"alias\": \"prod\"} and more");
}

static void test_the_environment_is_clean(void **state)
{
	struct rig *r = *state;
	setenv("AWS_SECRET_ACCESS_KEY", "do-not-show", 1);
	script(r, "env", 0700, "env | sort; pwd; echo args $# $0");
	const struct outcome *o = run(r, "env", "", 10000);
	unsetenv("AWS_SECRET_ACCESS_KEY");
	assert_int_equal(o->status, 0);
	assert_null(strstr(o->output, "do-not-show"));
	assert_null(strstr(o->output, "HOME"));
	assert_non_null(strstr(o->output, "LANG=C.UTF-8"));
	assert_non_null(strstr(o->output, "ROLLOUTD_HOOK=1"));
	assert_non_null(strstr(o->output, "PATH=/usr/local/sbin:"));
	assert_non_null(strstr(o->output, r->folder));
	assert_non_null(strstr(o->output, "args 0"));
}

static void test_a_folder_that_is_relative(void **state)
{
	struct rig *r = *state;
	script(r, "here", 0700, "pwd");
	cleanup(mem_free_p) char *before = getcwd(NULL, 0);
	hooks_close(r->hooks);
	assert_int_equal(chdir("/tmp"), 0);
	r->hooks = hooks_new(&r->loop, strrchr(r->folder, '/') + 1);
	const struct outcome *o = run(r, "here", "", 10000);
	assert_int_equal(chdir(before), 0);
	assert_int_equal(o->status, 0);
	assert_string_equal(o->output, r->folder);
}

static void test_a_session_of_its_own_and_no_descriptors(void **state)
{
	struct rig *r = *state;
	script(
	    r, "look", 0700,
	    "read -r pid name st ppid pgrp sid rest </proc/$$/stat; [ $pid = $pgrp ] && [ $pid = $sid ] && echo alone\n"
	    "for f in /proc/$$/fd/*; do n=${f##*/}; [ $n -gt 2 ] && [ $n != 10 ] && readlink $f; done; echo end");
	const struct outcome *o = run(r, "look", "", 10000);
	/* The shell has the script open as 10 or so; there is nothing else. */
	assert_non_null(strstr(o->output, "alone"));
	assert_null(strstr(o->output, "socket"));
	assert_null(strstr(o->output, "pipe"));
	assert_null(strstr(o->output, "anon_inode"));
	assert_non_null(strstr(o->output, "end"));
}

static void test_who_does_not_read_its_input(void **state)
{
	struct rig *r = *state;
	cleanup(mem_free_p) char *long_text = mem_alloc(1024 * 1024 + 1);
	memset(long_text, 'x', 1024 * 1024);
	script(r, "deaf", 0700, "exec 0<&-; exit 0");
	const struct outcome *o = run(r, "deaf", long_text, 10000);
	assert_true(o->started);
	assert_int_equal(o->status, 0);
}

static void test_only_the_end_of_the_output_is_kept(void **state)
{
	struct rig *r = *state;
	script(r, "loud", 0700, "i=0; while [ $i -lt 3000 ]; do echo line-$i; i=$((i+1)); done; printf 'a\\033[31mb'");
	const struct outcome *o = run(r, "loud", "", 10000);
	assert_true(strlen(o->output) > LIMIT_HOOK_OUTPUT_BYTES - 16);
	assert_true(strlen(o->output) <= LIMIT_HOOK_OUTPUT_BYTES);
	assert_null(strstr(o->output, "line-1 "));
	assert_non_null(strstr(o->output, "line-2998 line-2999 a?[31mb"));
}

static void test_output_that_is_cut_in_a_character(void **state)
{
	struct rig *r = *state;
	/* 4099 bytes: a character of two bytes is cut in its middle. */
	script(r, "cut", 0700, "printf 'xx\\303\\244'; i=0; while [ $i -lt 4095 ]; do printf y; i=$((i+1)); done");
	const struct outcome *o = run(r, "cut", "", 10000);
	assert_int_equal(strlen(o->output), 4095);
	assert_int_equal(o->output[0], 'y');
}

/* --- the end --- */

static void test_its_time_is_up(void **state)
{
	struct rig *r = *state;
	script(r, "slow", 0700, "echo begun; exec sleep 1000");
	int64_t from = (int64_t)uv_hrtime();
	const struct outcome *o = run(r, "slow", "", 300);
	assert_true(o->started);
	assert_true(o->timed_out);
	assert_int_equal(o->status, 128 + SIGTERM);
	assert_string_equal(o->output, "begun");
	assert_true((int64_t)uv_hrtime() - from >= 300 * 1000000LL);
}

/* The whole number that a hook has printed. */
static int number(const char *text)
{
	uint64_t v = 0;
	assert_int_equal(text_parse_u64(text, INT32_MAX, &v), 0);
	return (int)v;
}

static bool runs(pid_t pid)
{
	char text[512];
	cleanup(mem_free_p) char *path = mem_printf("/proc/%d/stat", pid);
	FILE *f = fopen(path, "re");
	if (!f)
		return false;
	char *line = fgets(text, sizeof(text), f);
	assert_int_equal(fclose(f), 0);
	/* "PID (NAME) STATE": the name may hold anything, and the state comes after its last parenthesis. */
	const char *name_end = line ? strrchr(line, ')') : NULL;
	return name_end && name_end[1] == ' ' && name_end[2] != 'Z';
}

/* A grandchild that ignores TERM, keeps the output open and outlives its parent. */
static void test_grandchildren_are_killed(void **state)
{
	struct rig *r = *state;
	script(r, "parent", 0700, "(trap '' TERM; while :; do sleep 1; done) & echo $!; wait");
	const struct outcome *o = run(r, "parent", "", 300);
	assert_true(o->timed_out);
	pid_t child = number(o->output);
	assert_true(child > 1);
	for (int i = 0; runs(child) && i < 1000; i++) /* SIGKILL was sent; the kernel needs a moment */
		usleep(1000);
	assert_false(runs(child));
}

static void test_what_is_left_behind_is_killed(void **state)
{
	struct rig *r = *state;
	script(r, "fork", 0700, "sleep 1000 & echo $!; exit 0");
	const struct outcome *o = run(r, "fork", "", 15000);
	assert_false(o->timed_out);
	assert_int_equal(o->status, 0);
	pid_t child = number(o->output);
	for (int i = 0; runs(child) && i < 1000; i++)
		usleep(1000);
	assert_false(runs(child));
}

/* One that left the group holds the output; the hook is over nonetheless. */
static void test_an_output_that_does_not_end(void **state)
{
	struct rig *r = *state;
	script(r, "escape", 0700, "setsid sleep 30 & echo $!; exit 3");
	const struct outcome *o = run(r, "escape", "", 15000);
	assert_false(o->timed_out);
	assert_int_equal(o->status, 3);
	pid_t child = number(o->output);
	assert_true(child > 1);
	(void)kill(child, SIGKILL);
}

/* --- what is refused --- */

static void test_names(void **state)
{
	struct rig *r = *state;
	refused(r, "../bin/true", "expected the bare name of a file");
	refused(r, "/bin/true", "expected the bare name");
	refused(r, "", "expected the bare name");
	refused(r, ".hidden", "expected the bare name");
	refused(r, "absent", "there is no hook");
}

static void test_modes(void **state)
{
	struct rig *r = *state;
	script(r, "group", 0770, "exit 0");
	refused(r, "group", "can be written by others");
	script(r, "world", 0707, "exit 0");
	refused(r, "world", "can be written by others");
	script(r, "plain", 0600, "exit 0");
	refused(r, "plain", "chmod +x");
	cleanup(mem_free_p) char *link = path_of(r, "link");
	assert_int_equal(symlink("/bin/true", link), 0);
	refused(r, "link", "is not a regular file");
	cleanup(mem_free_p) char *folder = path_of(r, "folder");
	assert_int_equal(mkdir(folder, 0700), 0);
	refused(r, "folder", "is not a regular file");
	script(r, "good", 0755, "exit 0");
	assert_true(run(r, "good", "", 10000)->started);
	assert_int_equal(chmod(r->folder, 0777), 0);
	refused(r, "good", "can be written by others");
}

static void test_another_owner(void **state)
{
	struct rig *r = *state;
	if (geteuid() != 0)
		skip();
	script(r, "theirs", 0755, "exit 0");
	cleanup(mem_free_p) char *path = path_of(r, "theirs");
	assert_int_equal(chown(path, 12345, (gid_t)-1), 0);
	refused(r, "theirs", "belongs to uid 12345");
}

static void test_what_the_kernel_does_not_run(void **state)
{
	struct rig *r = *state;
	cleanup(mem_free_p) char *path = path_of(r, "bad");
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	fputs("#!/no/such/interpreter\n", f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0700), 0);
	refused(r, "bad", "cannot be run: no such file");
}

/* --- many, and the end of the daemon --- */

static void test_some_at_once_and_the_rest_later(void **state)
{
	struct rig *r = *state;
	size_t n = array_len(r->outcomes);
	/* Each is in the folder of those that run for as long as it does, and says how many there are. */
	assert_false(exists(r, "in"));
	cleanup(mem_free_p) char *in = path_of(r, "in");
	assert_int_equal(mkdir(in, 0700), 0);
	script(r, "count", 0700, "touch in/$$; ls in | wc -l; sleep 0.1; rm in/$$");
	for (size_t i = 0; i < n; i++)
		hooks_run(r->hooks, "count", "", 15000, ended, &r->outcomes[i]);
	wait_for(r, n);
	int most = 0;
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(r->outcomes[i].answers, 1);
		assert_int_equal(r->outcomes[i].status, 0);
		int there = number(r->outcomes[i].output);
		most = there > most ? there : most;
	}
	assert_in_range(most, 2, HOOKS_AT_ONCE);
}

static void test_the_daemon_stops(void **state)
{
	struct rig *r = *state;
	size_t n = HOOKS_AT_ONCE + 2;
	script(r, "slow", 0700, "touch begun; trap '' TERM; sleep 1000");
	for (size_t i = 0; i < n; i++)
		hooks_run(r->hooks, "slow", "", 3600000, ended, &r->outcomes[i]);
	while (!exists(r, "begun")) {
		assert_false(r->late);
		uv_run(&r->loop, UV_RUN_NOWAIT);
	}
	hooks_close(r->hooks);
	r->hooks = NULL;
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(r->outcomes[i].answers, 1);
		assert_non_null(strstr(r->outcomes[i].output, "the daemon stops"));
	}
	/* The teardown finds an empty loop and no child. */
}

int main(void)
{
#define test(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
	    test(test_input_output_status),
	    test(test_the_environment_is_clean),
	    test(test_a_folder_that_is_relative),
	    test(test_a_session_of_its_own_and_no_descriptors),
	    test(test_who_does_not_read_its_input),
	    test(test_only_the_end_of_the_output_is_kept),
	    test(test_output_that_is_cut_in_a_character),
	    test(test_its_time_is_up),
	    test(test_grandchildren_are_killed),
	    test(test_what_is_left_behind_is_killed),
	    test(test_an_output_that_does_not_end),
	    test(test_names),
	    test(test_modes),
	    test(test_another_owner),
	    test(test_what_the_kernel_does_not_run),
	    test(test_some_at_once_and_the_rest_later),
	    test(test_the_daemon_stops),
	};
	signal(SIGPIPE, SIG_IGN);			/* as the daemon does */
	(void)close_range(3, ~0U, CLOSE_RANGE_CLOEXEC); /* what the tests' own caller left open is not ours */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
