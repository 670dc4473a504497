#include "daemon/program.h"

#include <ctype.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <linux/close_range.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/text.h"

#define COMPLAINT_MAX 200
#define MASKED_MIN    16
#define DRAIN_MS      1000 /* for what has ended well, and whose pipes somebody else keeps open */
#define HUMP_MIN      2	   /* small letters behind each capital of a word */
#define NUMBER_MAX    2	   /* digits behind a word */

enum stream { STREAM_OUTPUT, STREAM_ERROR, STREAM_COUNT };

struct program {
	struct programs *owner;
	struct program *next;
	char **words;
	int64_t timeout_ms;
	provider_ran_cb cb;
	void *arg;

	uv_process_t process;
	uv_pipe_t pipes[STREAM_COUNT];
	uv_timer_t timer; /* first to start, then for the time-out, then for the rest of the output */
	unsigned open_handles;
	unsigned open_pipes; /* whose end has not come */
	bool has_process;    /* its handle is initialised */
	bool waiting;	     /* for its turn */
	bool started;
	bool exited;
	bool answered;
	const char *problem;
	char late[64]; /* one of those */
	int status;
	struct buf output;
	struct buf complaint; /* its end */
	bool complaint_cut;   /* what came before that is not kept */
	char block[4096];
};

struct programs {
	uv_loop_t *loop;
	struct program *running; /* or waiting; the newest first */
	bool closing;
};

/* --- the end --- */

static size_t span(const char *text, size_t len, int (*is)(int c))
{
	size_t n = 0;
	while (n < len && is((unsigned char)text[n]))
		n++;
	return n;
}

/* "python3", "Denied", "ExpiredTokenException", "11"; or "AWS", where such are meant. */
static bool is_word(const char *text, size_t len, bool capitals)
{
	size_t at = span(text, len, islower);
	bool good = at < MASKED_MIN;
	if (capitals && span(text, len, isupper) == len)
		return len < MASKED_MIN;
	while (good && at < len && isupper((unsigned char)text[at])) {
		size_t small = span(text + at + 1, len - at - 1, islower);
		good = small >= HUMP_MIN && small < MASKED_MIN;
		at += 1 + small;
	}
	return good && len - at <= NUMBER_MAX && span(text + at, len - at, isdigit) == len - at;
}

/* Of words, most of it letters: a path, an option, the name of an error or a variable. No token is, be it base64, hex
 * or a UUID. */
static bool is_plain(const char *text, size_t len)
{
	bool capitals = memchr(text, '_', len) != NULL;
	size_t letters = 0;
	for (size_t i = 0; i < len; i++)
		letters += isalpha((unsigned char)text[i]) != 0;
	for (size_t from = 0, to; from < len; from = to + 1) {
		to = from + span(text + from, len - from, isalnum);
		if (!is_word(text + from, to - from, capitals))
			return false;
	}
	return 2 * letters >= len;
}

void program_mask(char *text, bool cut)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=._~%-";
	size_t len = strspn(text, alphabet);
	if (cut) /* the end of what may have been longer */
		memset(text, '*', len);
	for (; *text; text += len ? len : 1) {
		len = strspn(text, alphabet);
		if (len >= MASKED_MIN && !is_plain(text, len))
			memset(text, '*', len);
	}
}

/* The last of it, on one line. */
static void format_complaint(struct program *g, char out[static COMPLAINT_MAX + 1])
{
	char line[sizeof(g->block) + 1];
	size_t len = g->complaint.len < sizeof(g->block) ? g->complaint.len : sizeof(g->block);
	memcpy(line, buf_text(&g->complaint) + g->complaint.len - len, len);
	line[len] = '\0';
	bool cut = g->complaint_cut || len < g->complaint.len;
	for (size_t i = 0; i < len; i++)
		if (strchr("\n\r\t", line[i])) /* finds the NUL as well */
			line[i] = ' ';
	while (len > 0 && line[len - 1] == ' ')
		line[--len] = '\0';
	program_mask(line, cut);
	size_t from = len > COMPLAINT_MAX ? len - COMPLAINT_MAX : 0;
	while (line[from] == ' ' || ((unsigned char)line[from] & 0xc0) == 0x80)
		from++;
	text_copy_printable(out, COMPLAINT_MAX + 1, line + from);
	secret_wipe(line, sizeof(line));
}

static void answer(struct program *g)
{
	char complaint[COMPLAINT_MAX + 1];
	if (g->answered)
		return;
	g->answered = true;
	format_complaint(g, complaint);
	const struct provider_output o = {
	    .problem = g->problem,
	    .status = g->status,
	    .text = buf_text(&g->output),
	    .len = g->output.len,
	    .complaint = complaint,
	};
	g->cb(g->arg, &o);
}

static void start_cb(uv_timer_t *timer);

/* From the loop, never from a caller. The list has the newest first. */
static void give_turns(struct programs *s)
{
	size_t n = 0;
	struct program *oldest = NULL;
	for (struct program *g = s->running; g; g = g->next) {
		n += !g->waiting;
		if (g->waiting)
			oldest = g;
	}
	if (!oldest || n >= LIMIT_KEYS_PROGRAMS || s->closing)
		return;
	oldest->waiting = false;
	require(uv_timer_start(&oldest->timer, start_cb, 0, 0) == 0);
}

static void free_program(struct program *g)
{
	struct programs *s = g->owner;
	struct program **at = &s->running;
	while (*at != g)
		at = &(*at)->next;
	*at = g->next;
	give_turns(s);
	for (size_t i = 0; g->words[i]; i++)
		secret_free(g->words[i]);
	free(g->words);
	buf_wipe(&g->output);
	buf_wipe(&g->complaint);
	secret_wipe(g->block, sizeof(g->block));
	free(g);
	if (s->closing && !s->running)
		free(s);
}

static void handle_closed(uv_handle_t *handle)
{
	struct program *g = handle->data;
	if (--g->open_handles == 0)
		free_program(g);
}

static void close_one(void *handle)
{
	if (!uv_is_closing(handle))
		uv_close(handle, handle_closed);
}

/* The answer, and then the handles; the process's own must live until it was reaped. */
static void finish(struct program *g)
{
	answer(g);
	if (g->started && !g->exited)
		return;
	if (g->has_process)
		close_one(&g->process);
	for (size_t i = 0; i < STREAM_COUNT; i++)
		close_one(&g->pipes[i]);
	close_one(&g->timer);
}

static void kill_group(const struct program *g)
{
	(void)kill(-g->process.pid, SIGKILL); /* whether any of it is left does not matter */
}

static void break_off(struct program *g, const char *problem)
{
	if (!g->problem)
		g->problem = problem;
	if (g->started && !g->exited)
		kill_group(g);
	finish(g);
}

/* An agent that it has left in a session of its own, say, which lives on: what there was to read has been read. */
static void drained_cb(uv_timer_t *timer)
{
	finish(timer->data);
}

static void exit_cb(uv_process_t *process, int64_t status, int signal)
{
	struct program *g = process->data;
	g->exited = true;
	g->status = signal ? 128 + signal : (int)status;
	kill_group(g); /* what it left running would keep the pipes open */
	if (g->open_pipes == 0 || g->answered)
		finish(g);
	else
		require(uv_timer_start(&g->timer, drained_cb, DRAIN_MS, 0) == 0);
}

static void timeout_cb(uv_timer_t *timer)
{
	struct program *g = timer->data;
	char span[32];
	text_format_span(g->timeout_ms, span);
	snprintf(g->late, sizeof(g->late), "did not end within %s", span);
	break_off(g, g->late);
}

/* --- output --- */

static void alloc_cb(uv_handle_t *handle, size_t wish, uv_buf_t *ret)
{
	struct program *g = handle->data;
	(void)wish;
	*ret = uv_buf_init(g->block, sizeof(g->block));
}

/* Keeps the last block's worth. */
static void keep_complaint(struct program *g, const char *bytes, size_t len)
{
	if (g->complaint.len + len > g->complaint.max) {
		buf_reset(&g->complaint);
		g->complaint_cut = true;
	}
	buf_add(&g->complaint, bytes, len);
}

static void read_cb(uv_stream_t *stream, ssize_t n, const uv_buf_t *block)
{
	struct program *g = stream->data;
	bool output = stream == (uv_stream_t *)&g->pipes[STREAM_OUTPUT];
	if (n > 0 && output)
		buf_add(&g->output, block->base, (size_t)n);
	else if (n > 0)
		keep_complaint(g, block->base, (size_t)n);
	if (!buf_ok(&g->output)) {
		break_off(g, "wrote more than 64 KiB, which no keys are");
		return;
	}
	if (n >= 0)
		return;
	(void)uv_read_stop(stream); /* never fails */
	if (--g->open_pipes == 0 && g->exited)
		finish(g);
}

/* --- the start --- */

static int spawn(struct program *g)
{
	uv_stdio_container_t stdio[] = {
	    {.flags = UV_IGNORE},
	    {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&g->pipes[STREAM_OUTPUT]},
	    {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&g->pipes[STREAM_ERROR]},
	};
	uv_process_options_t options = {
	    .exit_cb = exit_cb,
	    .file = g->words[0],
	    .args = g->words,
	    .flags = UV_PROCESS_DETACHED, /* a session, and so a process group, of its own */
	    .stdio_count = array_len(stdio),
	    .stdio = stdio,
	};
	/* Libraries' sockets are not all closed on exec: libcurl's are not. */
	(void)close_range(STDERR_FILENO + 1, UINT_MAX, CLOSE_RANGE_CLOEXEC); /* old kernels cannot */
	g->has_process = true;						     /* even when it fails */
	g->process.data = g;
	g->open_handles++;
	return uv_spawn(g->owner->loop, &g->process, &options);
}

static void start_cb(uv_timer_t *timer)
{
	struct program *g = timer->data;
	int r = spawn(g);
	if (r < 0) {
		break_off(g, r == UV_ENOENT   ? "cannot be run: there is no such program"
			     : r == UV_EACCES ? "cannot be run: it may not be executed by this user"
					      : "cannot be run");
		return;
	}
	g->started = true;
	for (size_t i = 0; i < STREAM_COUNT; i++) {
		g->open_pipes++;
		r = uv_read_start((uv_stream_t *)&g->pipes[i], alloc_cb, read_cb);
		if (r < 0) {
			break_off(g, "cannot be listened to");
			return;
		}
	}
	uv_update_time(timer->loop);
	require(uv_timer_start(timer, timeout_cb, (uint64_t)g->timeout_ms, 0) == 0);
}

/* --- life --- */

struct programs *programs_new(uv_loop_t *loop)
{
	struct programs *s = mem_alloc(sizeof(*s));
	s->loop = loop;
	return s;
}

static char **copy_words(char *const *words)
{
	size_t n = 0;
	while (words[n])
		n++;
	char **copy = mem_array(n + 1, sizeof(*copy));
	for (size_t i = 0; i < n; i++)
		copy[i] = mem_strdup(words[i]);
	return copy;
}

void programs_run(struct programs *s, char *const *words, int64_t timeout_ms, provider_ran_cb cb, void *arg)
{
	struct program *g = mem_alloc(sizeof(*g));
	require(!s->closing);
	g->owner = s;
	g->words = copy_words(words);
	g->timeout_ms = timeout_ms;
	g->cb = cb;
	g->arg = arg;
	g->output = BUF_INIT_SECRET(LIMIT_KEYS_ANSWER);
	g->complaint = BUF_INIT_SECRET(2 * sizeof(g->block));
	/* None of these can fail. */
	for (size_t i = 0; i < STREAM_COUNT; i++) {
		require(uv_pipe_init(s->loop, &g->pipes[i], 0) == 0);
		g->pipes[i].data = g;
	}
	require(uv_timer_init(s->loop, &g->timer) == 0);
	g->timer.data = g;
	g->open_handles = STREAM_COUNT + 1;
	g->next = s->running;
	s->running = g;
	g->waiting = true;
	give_turns(s);
}

void programs_close(struct programs *s)
{
	if (!s || s->closing)
		return;
	s->closing = true;
	if (!s->running)
		free(s);
	else
		for (struct program *g = s->running; g; g = g->next)
			break_off(g, "was broken off: the daemon stops");
}
