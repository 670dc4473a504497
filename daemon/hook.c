/*
 * A hook is over when its program has ended and its output has too. The output ends when the last holder of the pipe is
 * gone; as one that left the process group could keep it for ever, what has not come a moment after the program's end
 * does not count.
 */
#include "daemon/hook.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/close_range.h>

#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"

#define LAST_OUTPUT_MS 200

enum handle { HANDLE_PROCESS, HANDLE_INPUT, HANDLE_OUTPUT, HANDLE_TIMER, HANDLE_COUNT };

struct hook {
	struct hooks *owner;
	struct hook *next;
	char *program;
	char *input;
	int64_t timeout_ms;
	exec_cb cb;
	void *arg;

	uv_process_t process;
	uv_pipe_t stdin_pipe;
	uv_pipe_t stdout_pipe;
	uv_timer_t timer;
	uv_write_t write;
	unsigned open_handles;
	bool answered;
	bool exited;
	bool timed_out;
	int status;
	char block[4096]; /* what is being read */
	char tail[LIMIT_HOOK_OUTPUT_BYTES];
	size_t len;
};

struct hooks {
	uv_loop_t *loop;
	char *dir;
	uv_timer_t kick; /* starts and refuses from the loop, never from a caller */
	struct hook *waiting;
	struct hook *running; /* until its handles are closed */
	unsigned n_running;
	bool closing;
	bool closed; /* the handle is */
};

/* --- which programs may run --- */

#define refuse(out, ...) (snprintf(out, LIMIT_REASON, __VA_ARGS__), -1)

static int check_owner(const struct stat *st, const char *path, char out[static LIMIT_REASON])
{
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return refuse(out, "%s belongs to uid %u: it must be root's, or that of rolloutd's own user", path,
			      st->st_uid);
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return refuse(out, "%s can be written by others than its owner (mode %04o): chmod go-w it", path,
			      st->st_mode & 07777);
	return 0;
}

static int check_program(const char *dir, const char *program, char out[static LIMIT_REASON])
{
	struct stat st;
	if (!program[0] || program[0] == '.' || strchr(program, '/'))
		return refuse(out, "'%s' cannot be a hook: expected the bare name of a file in %s", program, dir);
	if (stat(dir, &st) < 0)
		return refuse(out, "the folder of hooks, %s, cannot be looked at: %s", dir, strerror(errno));
	if (check_owner(&st, dir, out) < 0)
		return -1;
	cleanup(mem_free_p) char *path = file_resolve(dir, program);
	if (lstat(path, &st) < 0 && errno == ENOENT)
		return refuse(out, "there is no hook %s: put the program there, or correct the plan", path);
	if (lstat(path, &st) < 0)
		return refuse(out, "the hook %s cannot be looked at: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return refuse(out, "the hook %s is not a regular file", path);
	if (check_owner(&st, path, out) < 0)
		return -1;
	if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0)
		return refuse(out, "the hook %s cannot be executed by rolloutd: chmod +x it", path);
	return 0;
}

/* --- the end --- */

/* The last bytes, on one line: what follows a cut character is left out, and nothing in it can command a terminal. */
static void format_output(struct hook *h, char out[static LIMIT_HOOK_OUTPUT_BYTES + 1])
{
	char line[LIMIT_HOOK_OUTPUT_BYTES + 1];
	size_t from = 0, n = h->len;
	for (size_t i = 0; i < n; i++)
		if (strchr("\n\r\t", h->tail[i])) /* finds the NUL as well */
			h->tail[i] = ' ';
	while (from < n && n == sizeof(h->tail) && ((unsigned char)h->tail[from] & 0xc0) == 0x80)
		from++;
	while (from < n && h->tail[from] == ' ')
		from++;
	while (n > from && h->tail[n - 1] == ' ')
		n--;
	memcpy(line, h->tail + from, n - from);
	line[n - from] = '\0';
	text_copy_printable(out, LIMIT_HOOK_OUTPUT_BYTES + 1, line);
}

static void answer(struct hook *h, const char *refusal)
{
	char output[LIMIT_HOOK_OUTPUT_BYTES + 1] = "";
	if (h->answered)
		return;
	h->answered = true;
	if (!refusal)
		format_output(h, output);
	struct exec_result r = {
	    .started = !refusal,
	    .status = h->status,
	    .timed_out = h->timed_out,
	    .output = refusal ? refusal : output,
	};
	h->cb(h->arg, &r);
}

static void hook_free(struct hook *h)
{
	free(h->program);
	free(h->input);
	free(h);
}

static void free_when_closed(struct hooks *s)
{
	if (!s->closing || !s->closed || s->running)
		return;
	free(s->dir);
	free(s);
}

static void drop(struct hook *h)
{
	struct hooks *s = h->owner;
	struct hook **at = &s->running;
	while (*at != h)
		at = &(*at)->next;
	*at = h->next;
	s->n_running--;
	hook_free(h);
}

static void kick_cb(uv_timer_t *timer);

static void kick(struct hooks *s)
{
	if (!s->closing)
		require(uv_timer_start(&s->kick, kick_cb, 0, 0) == 0);
}

static void handle_closed(uv_handle_t *handle)
{
	struct hook *h = handle->data;
	struct hooks *s = h->owner;
	if (--h->open_handles > 0)
		return;
	drop(h);
	kick(s);
	free_when_closed(s);
}

static void close_one(void *handle)
{
	if (!uv_is_closing(handle))
		uv_close(handle, handle_closed);
}

static void finish(struct hook *h)
{
	answer(h, NULL);
	close_one(&h->process);
	close_one(&h->stdin_pipe);
	close_one(&h->stdout_pipe);
	close_one(&h->timer);
}

/* The program leads a group of its own name. Whether any of it is left does not matter. */
static void kill_group(const struct hook *h, int signal)
{
	(void)kill(-h->process.pid, signal);
}

static void last_output_cb(uv_timer_t *timer)
{
	finish(timer->data);
}

static void exit_cb(uv_process_t *process, int64_t status, int signal)
{
	struct hook *h = process->data;
	h->exited = true;
	h->status = signal ? 128 + signal : (int)status;
	kill_group(h, SIGKILL);
	if (uv_is_closing((uv_handle_t *)&h->timer))
		return;
	if (uv_is_active((uv_handle_t *)&h->stdout_pipe) && !h->owner->closing)
		require(uv_timer_start(&h->timer, last_output_cb, LAST_OUTPUT_MS, 0) == 0);
	else
		finish(h);
}

static void timeout_cb(uv_timer_t *timer)
{
	struct hook *h = timer->data;
	kill_group(h, h->timed_out ? SIGKILL : SIGTERM);
	if (!h->timed_out)
		require(uv_timer_start(timer, timeout_cb, HOOK_GRACE_MS, 0) == 0);
	h->timed_out = true;
}

/* --- input and output --- */

static void written_cb(uv_write_t *write, int status)
{
	struct hook *h = write->data;
	(void)status; /* a program need not read what it is told */
	close_one(&h->stdin_pipe);
}

static void alloc_cb(uv_handle_t *handle, size_t wish, uv_buf_t *ret)
{
	struct hook *h = handle->data;
	(void)wish;
	*ret = uv_buf_init(h->block, sizeof(h->block));
}

static void keep(struct hook *h, const char *bytes, size_t n)
{
	size_t cap = sizeof(h->tail);
	if (n > cap) {
		bytes += n - cap;
		n = cap;
	}
	size_t over = h->len + n > cap ? h->len + n - cap : 0;
	memmove(h->tail, h->tail + over, h->len - over);
	h->len -= over;
	memcpy(h->tail + h->len, bytes, n);
	h->len += n;
}

static void read_cb(uv_stream_t *stream, ssize_t n, const uv_buf_t *block)
{
	struct hook *h = stream->data;
	if (n > 0)
		keep(h, block->base, (size_t)n);
	if (n >= 0)
		return;
	(void)uv_read_stop(stream); /* never fails */
	if (h->exited)
		finish(h);
}

/* --- the start --- */

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static int spawn(struct hook *h, int output_fd)
{
	struct hooks *s = h->owner;
	/* From the folder, into which the child changes first: hooks_dir may be relative to where the daemon stands. */
	cleanup(mem_free_p) char *path = mem_printf("./%s", h->program);
	char *argv[] = {h->program, NULL};
	/* uv wants them writable, and does not write. */
	char *env[] = {(char *)"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		       (char *)"LANG=C.UTF-8", (char *)"ROLLOUTD_HOOK=1", NULL};
	uv_stdio_container_t stdio[] = {
	    {.flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&h->stdin_pipe},
	    {.flags = UV_INHERIT_FD, .data.fd = output_fd},
	    {.flags = UV_INHERIT_FD, .data.fd = output_fd},
	};
	uv_process_options_t options = {
	    .exit_cb = exit_cb,
	    .file = path,
	    .args = argv,
	    .env = env,
	    .cwd = s->dir,
	    .flags = UV_PROCESS_DETACHED, /* a session, and so a process group, of its own */
	    .stdio_count = array_len(stdio),
	    .stdio = stdio,
	};
	/* Libraries' sockets are not all closed on exec: libcurl's are not. A hook shall hold no connection to AWS. */
	(void)close_range(STDERR_FILENO + 1, UINT_MAX, CLOSE_RANGE_CLOEXEC); /* old kernels cannot */
	return uv_spawn(s->loop, &h->process, &options);
}

static void init_handles(struct hook *h)
{
	uv_loop_t *loop = h->owner->loop;
	uv_handle_t *handles[HANDLE_COUNT] = {
	    [HANDLE_PROCESS] = (uv_handle_t *)&h->process,
	    [HANDLE_INPUT] = (uv_handle_t *)&h->stdin_pipe,
	    [HANDLE_OUTPUT] = (uv_handle_t *)&h->stdout_pipe,
	    [HANDLE_TIMER] = (uv_handle_t *)&h->timer,
	};
	/* None of these can fail. */
	require(uv_pipe_init(loop, &h->stdin_pipe, 0) == 0);
	require(uv_pipe_init(loop, &h->stdout_pipe, 0) == 0);
	require(uv_timer_init(loop, &h->timer) == 0);
	for (size_t i = 0; i < array_len(handles); i++)
		handles[i]->data = h;
	h->open_handles = HANDLE_COUNT;
}

static void give_input(struct hook *h)
{
	uv_buf_t input = uv_buf_init(h->input, (unsigned)strlen(h->input));
	h->write.data = h;
	if (uv_write(&h->write, (uv_stream_t *)&h->stdin_pipe, &input, 1, written_cb) < 0)
		close_one(&h->stdin_pipe);
}

/* Returns 0 or a negative errno. The handles are initialised in both cases. */
static int launch(struct hook *h)
{
	cleanup(close_fd) int reader = -1;
	cleanup(close_fd) int writer = -1;
	uv_file ends[2];
	init_handles(h);
	int r = uv_pipe(ends, UV_NONBLOCK_PIPE, 0); /* both are closed on exec */
	if (r == 0) {
		reader = ends[0];
		writer = ends[1];
		r = uv_pipe_open(&h->stdout_pipe, reader);
	}
	if (r == 0) {
		reader = -1;
		r = uv_read_start((uv_stream_t *)&h->stdout_pipe, alloc_cb, read_cb);
	}
	/* Initialises the process's handle even when it fails, but not when it is not called. */
	if (r < 0)
		h->open_handles--;
	else
		r = spawn(h, writer);
	return r;
}

static void start(struct hook *h)
{
	char why[LIMIT_REASON];
	struct hooks *s = h->owner;
	h->next = s->running;
	s->running = h;
	s->n_running++;
	if (check_program(s->dir, h->program, why) < 0) {
		answer(h, why);
		drop(h);
		return;
	}
	int r = launch(h);
	if (r < 0) {
		bool has_process = h->open_handles == HANDLE_COUNT;
		snprintf(why, sizeof(why), "the hook %s/%s cannot be run: %s", s->dir, h->program, uv_strerror(r));
		answer(h, why);
		if (has_process)
			close_one(&h->process);
		close_one(&h->stdin_pipe);
		close_one(&h->stdout_pipe);
		close_one(&h->timer);
		return;
	}
	uv_update_time(h->timer.loop); /* the loop's time is of its turn's begin: a hook gets all of its own */
	require(uv_timer_start(&h->timer, timeout_cb, (uint64_t)h->timeout_ms, 0) == 0);
	give_input(h);
}

static void kick_cb(uv_timer_t *timer)
{
	struct hooks *s = timer->data;
	while (s->waiting && s->n_running < HOOKS_AT_ONCE) {
		struct hook *h = s->waiting;
		s->waiting = h->next;
		start(h);
	}
}

/* --- life --- */

struct hooks *hooks_new(uv_loop_t *loop, const char *dir)
{
	struct hooks *s = mem_alloc(sizeof(*s));
	s->loop = loop;
	s->dir = mem_strdup(dir);
	require(uv_timer_init(loop, &s->kick) == 0); /* cannot fail */
	s->kick.data = s;
	return s;
}

void hooks_run(struct hooks *s, const char *program, const char *input, int64_t timeout_ms, exec_cb cb, void *arg)
{
	struct hook *h = mem_alloc(sizeof(*h)), **last = &s->waiting;
	require(!s->closing);
	h->owner = s;
	h->program = mem_strdup(program);
	h->input = mem_strdup(input);
	h->timeout_ms = timeout_ms < LIMIT_HOOK_TIMEOUT_MS ? timeout_ms : LIMIT_HOOK_TIMEOUT_MS;
	h->cb = cb;
	h->arg = arg;
	while (*last)
		last = &(*last)->next;
	*last = h;
	kick(s);
}

static void closed_cb(uv_handle_t *handle)
{
	struct hooks *s = handle->data;
	s->closed = true;
	free_when_closed(s);
}

/* Killed, it ends within the loop's next turns, and is reaped by its exit_cb: the handle stays open until then. */
static void abandon(struct hook *h)
{
	answer(h, "broken off: the daemon stops");
	if (uv_is_closing((uv_handle_t *)&h->timer))
		return;			/* it is over */
	(void)uv_timer_stop(&h->timer); /* never fails */
	if (!h->exited)
		kill_group(h, SIGKILL);
	else
		finish(h);
}

void hooks_close(struct hooks *s)
{
	if (!s || s->closing)
		return;
	s->closing = true;
	uv_close((uv_handle_t *)&s->kick, closed_cb);
	while (s->waiting) {
		struct hook *h = s->waiting;
		s->waiting = h->next;
		answer(h, "not run: the daemon stops");
		hook_free(h);
	}
	for (struct hook *h = s->running; h; h = h->next)
		abandon(h);
}
