/*
 * What rolloutctl makes of the answers that it gets over the socket, which another program may listen on: the first
 * byte chooses the command, the second how the screen is and which HTTP status comes. The rest is the answer, of each
 * call the next one where lines "---" part them. Nothing that an answer says may command the terminal.
 */
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/text.h"
#include "base/utf8.h"
#include "daemon/cli/cli.h"
#include "daemon/cli/command.h"
#include "daemon/cli/field.h"
#include "daemon/cli/follow.h"
#include "fuzz.h"

/* --- the socket, without one: client.h and follow.h --- */

struct client {
	char *rest; /* answers that are still to come; the last one comes again and again */
	long status;
};

struct follow {
	int unused;
};

static char *next_answer(struct client *c)
{
	char *answer = c->rest, *end = strstr(answer, "\n---\n");
	if (end) {
		*end = '\0';
		c->rest = end + strlen("\n---\n");
	}
	return answer;
}

void reply_deinit(struct reply *r)
{
	json_decref(r->json);
	buf_deinit(&r->body);
}

int client_call(struct client *c, const char *method, const char *path, const struct buf *body,
		const char *content_type, struct reply *ret)
{
	(void)body, (void)content_type;
	require((strcmp(method, "GET") == 0 || strcmp(method, "POST") == 0) && path[0] == '/');
	*ret = (struct reply){.status = c->status, .body = BUF_INIT(LIMIT_CONTROL_ANSWER_BYTES)};
	buf_add_text(&ret->body, next_answer(c));
	ret->json = field_parse(&ret->body);
	return 0;
}

void client_limit_calls(struct client *c, int64_t ms)
{
	(void)c, (void)ms;
}

void client_allow_calls(struct client *c, int64_t ms)
{
	(void)c, (void)ms;
}

const char *client_explain(const struct client *c)
{
	(void)c;
	return "cannot reach rolloutd";
}

struct follow *follow_new(struct client *client, const char *name, uint64_t after, unsigned backlog, follow_cb event,
			  void *ctx)
{
	(void)client, (void)name, (void)after, (void)backlog, (void)event, (void)ctx;
	return NULL;
}

void follow_free(struct follow *f)
{
	(void)f;
}

void follow_wait(struct follow *f, int fd, int64_t timeout_ms)
{
	(void)f, (void)fd, (void)timeout_ms;
}

int64_t follow_away_since_ms(const struct follow *f)
{
	(void)f;
	return 1;
}

bool follow_was_open(const struct follow *f)
{
	(void)f;
	return false;
}

const struct reply *follow_refusal(const struct follow *f)
{
	(void)f;
	return NULL;
}

/* Of main.c; never called. */
int command_help(struct cli *cli)
{
	(void)cli;
	return EXIT_DONE;
}

/* --- what is written --- */

/* Lines of text for people: UTF-8 or, on a screen that has none, ASCII; no control characters, nothing that turns text
 * around. Colours are off. */
static void check_output(const char *text, size_t len, bool utf8)
{
	for (size_t i = 0; i < len;) {
		size_t n = utf8_char_len(text + i, len - i);
		require(n > 0);
		uint32_t c = utf8_decode(text + i, n);
		bool control = (c < 0x20 && c != '\n') || (c >= 0x7f && c < 0xa0);
		bool turns = (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0x200e || c == 0x200f;
		require(!control && !turns && (utf8 || c < 0x80));
		i += n;
	}
}

struct capture {
	FILE *saved;
	FILE *stream;
	char *text;
	size_t len;
};

static void capture_begin(struct capture *c, FILE **slot)
{
	c->saved = *slot;
	c->stream = open_memstream(&c->text, &c->len);
	require(c->stream);
	*slot = c->stream;
}

static void capture_end(struct capture *c, FILE **slot)
{
	fclose(c->stream);
	*slot = c->saved;
}

/* --- the commands --- */

static const char *const names[] = {"list",    "status",   "history", "events", "submit",  "diff", "doctor",
				    "pause",   "rollback", "retry",   "reload", "version", "wait", "validate",
				    "promote", "forget",   "explain", "report", "replay"};

/* A plan to submit, as a file that has no place in the file system. */
static char *plan_path(void)
{
	static char path[64];
	static const char plan[] = "apiVersion: rolloutd/v1\nkind: Rollout\nname: hello-prod\nfunction: hello\n"
				   "alias: prod\nversion: 2\n";
	if (!path[0]) {
		int fd = memfd_create("plan.yaml", 0);
		require(fd >= 0 && write(fd, plan, strlen(plan)) == (ssize_t)strlen(plan));
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	return path;
}

static void run(const struct command *command, unsigned bits, char *answers)
{
	static const long statuses[] = {200, 200, 200, 202, 400, 404, 409, 500};
	static const int widths[] = {0, 80, 40, 1};
	struct client client = {.rest = answers, .status = statuses[bits >> 5]};
	bool file = !command->named && command->min_args > 0;
	char name[] = "hello-prod";
	char *args[] = {file ? plan_path() : name, NULL};
	struct cli cli = {
	    .command = command,
	    .args = args,
	    .n_args = command->max_args != 0,
	    .socket = "/run/rolloutd/control.sock",
	    .timeout_ms = 0,
	    .json = (bits & 1) != 0,
	    .full = (bits & 4) != 0,
	    .of = "hello-prod",
	    .output = "-", /* `report` must not leave files behind */
	    .screen = {.terminal = (bits & 2) != 0, .utf8 = (bits & 4) == 0, .width = widths[bits >> 3 & 3]},
	    .client = &client};
	struct capture out, err;
	capture_begin(&out, &stdout);
	capture_begin(&err, &stderr);
	int rc = command->run(&cli);
	capture_end(&err, &stderr);
	capture_end(&out, &stdout);
	require(rc >= EXIT_DONE && rc <= EXIT_UNREACHABLE);
	check_output(err.text, err.len, cli.screen.utf8);
	/* `validate` prints what the plan, which is ours, says. JSON that does not go to a terminal is as it came. */
	if (!cli.json)
		check_output(out.text, out.len, cli.screen.utf8 || command->run == command_report);
	else if (cli.screen.terminal)
		check_output(out.text, out.len, false);
	free(out.text);
	free(err.text);
}

void fuzz_one(const uint8_t *data, size_t size)
{
	if (size < 2)
		return;
	/* Column widths are the locale's to know. */
	static bool localised;
	if (!localised)
		localised = setlocale(LC_CTYPE, "C.UTF-8") != NULL;
	cleanup(mem_free_p) char *text = fuzz_text(data + 2, size - 2);
	const struct command *command = command_find(names[data[0] % array_len(names)]);
	require(command);
	run(command, data[1], text);
}
