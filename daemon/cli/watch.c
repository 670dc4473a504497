/*
 * watch: the page of one rollout, or the table of all, redrawn as it happens. Events of the stream say that something
 * changed; what is drawn is the state, which is asked for then and once in a while besides.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "cli.h"
#include "control/api.h"
#include "field.h"
#include "follow.h"
#include "overview.h"
#include "page.h"
#include "span.h"
#include "terminal.h"

#define FRAME_MS     250  /* at most four frames a second */
#define TICK_MS	     1000 /* and at least one, as times count down */
#define POLL_MIN_MS  1000
#define POLL_MAX_MS  30000
#define POLL_SHARE   20 /* asking takes at most one twentieth of the time, however many rollouts there are */
#define EVENTS_KEPT  6
#define LAST_WORD_MS 2000 /* how long the event of the end may come after the end itself */

struct watch {
	struct cli *cli;
	const char *name; /* NULL: all */
	struct follow *follow;
	bool frames; /* on a terminal; else lines */
	struct terminal terminal;

	json_t *data;	/* the last answer; owned; NULL before the first */
	json_t *events; /* the last few */
	int64_t data_at_ms;
	int64_t next_poll_ms;
	int64_t appears_ms;    /* until then the name may still come */
	int64_t away_since_ms; /* since when questions go unanswered; 0: they do not */
	int64_t frame_at_ms;
	bool appeared; /* the name came while we waited for it */
	bool changed;  /* something happened that the data do not show yet */
	bool redraw;
	bool was_live;	/* the end comes while we watch */
	bool heard_end; /* its event was there */
	int rc;		/* -1: go on */
};

/* --- the data --- */

static void on_event(void *ctx, const json_t *event)
{
	struct watch *w = ctx;

	w->changed = true;
	w->heard_end = page_ended(event); /* an event has the phase after it */
	/* Those of intents are for the record: the weight that follows says the same, and a page is small. */
	if (w->frames && field_is(event, "kind", "intent"))
		return;
	json_array_append(w->events, (json_t *)event);
	while (json_array_size(w->events) > EVENTS_KEPT)
		json_array_remove(w->events, 0);
	if (w->frames)
		return;
	if (w->cli->json) {
		cli_write_json_line(w->cli, event);
		return;
	}
	struct buf out = BUF_INIT(64 * 1024);
	struct canvas c = {.screen = &w->cli->screen, .out = &out};
	page_put_event(&c, event, span_now_unix_ms(), true);
	cli_write(&out);
	buf_deinit(&out);
}

/* Superseded is no end of watching: the new content's rollout comes next under the same name. */
static bool ended(const struct watch *w)
{
	return w->name && page_ended(w->data) && !field_true(w->data, "superseded");
}

static void take_answer(struct watch *w, struct reply *reply)
{
	bool good = reply->status >= 200 && reply->status <= 299 && json_is_object(reply->json);

	/* A daemon that starts up or is busy will answer soon. */
	if (!good && w->data && reply->status >= 500)
		return;
	if (!w->data && w->name && reply->status == 404 && span_now_ms() < w->appears_ms) {
		w->appeared = true;
		return;
	}
	if (!good) {
		w->rc = cli_refused(w->cli, reply);
		return;
	}
	json_decref(w->data);
	w->data = take_ptr(reply->json);
	w->data_at_ms = span_now_ms();
	w->redraw = true;
	if (ended(w))
		w->rc = page_exit_code(w->data);
	else
		w->was_live = true;
}

static void ask(struct watch *w)
{
	struct buf path = BUF_INIT(1024);
	struct reply reply;
	int64_t from = span_now_ms();

	control_format_path(w->name ? CONTROL_STATUS : CONTROL_LIST, w->name, NULL, &path);
	int failed = client_call(w->cli->client, "GET", buf_text(&path), NULL, NULL, &reply);
	buf_deinit(&path);
	int64_t now = span_now_ms(), wait = (now - from) * POLL_SHARE;
	w->changed = false;
	w->next_poll_ms = now + (wait < POLL_MIN_MS ? POLL_MIN_MS : wait > POLL_MAX_MS ? POLL_MAX_MS : wait);
	if (!failed) {
		w->away_since_ms = 0;
		take_answer(w, &reply);
		reply_deinit(&reply);
		return;
	}
	w->redraw = true;
	if (w->away_since_ms == 0)
		w->away_since_ms = from;
	/* Who looks at a terminal sees that the daemon is away, and for how long. A script must be told. */
	if (!w->data || (!w->frames && now - w->away_since_ms > DAEMON_AWAY_MS))
		w->rc = cli_unreachable(w->cli);
}

/* Returns with data, or with the exit code that tells why there are none. */
static void ask_first(struct watch *w)
{
	w->appears_ms = span_now_ms() + NAME_APPEARS_MS;
	for (ask(w); w->rc < 0 && !w->data; ask(w))
		poll(NULL, 0, NAME_POLL_MS);
}

/* --- frames --- */

static void put_away(struct canvas *c, const struct watch *w)
{
	char span[32];

	if (w->away_since_ms == 0)
		return;
	text_format_span((span_now_ms() - w->away_since_ms) / 1000 * 1000, span);
	canvas_putf(c, STYLE_BAD, "No answer for %s, trying again. What follows is old. %s", span,
		    client_explain(w->cli->client));
	canvas_end_line(c);
}

static void put_foot(struct canvas *c, const struct watch *w, int64_t now)
{
	char time[SPAN_TIME_SIZE];

	if (w->rc >= 0)
		return;
	span_format_time(now, now, time);
	canvas_putf(c, STYLE_DIM, "%s  Ctrl-C ends watching, not the rollout%s", time, w->name ? "" : "s");
	canvas_end_line(c);
}

static void draw(struct watch *w)
{
	const struct screen *screen = &w->cli->screen;
	struct buf frame = BUF_INIT(1024 * 1024);
	/* The line below the frame holds the cursor, and the last row of the frame is the foot. */
	struct canvas c = {.screen = screen, .out = &frame, .clip = true, .redraw = true};
	int64_t now = field_time(w->data, "now") + (span_now_ms() - w->data_at_ms);

	c.max_rows = screen->height > 4 ? screen->height - 2 : 2;
	put_away(&c, w);
	if (w->name)
		page_render(&c, &(struct page){.rollout = w->data, .events = w->events, .now_unix_ms = now});
	else
		overview_render(&c, w->data, OVERVIEW_BY_URGENCY);
	c.max_rows++;
	put_foot(&c, w, now);
	terminal_draw(&w->terminal, &frame, c.rows);
	buf_deinit(&frame);
	w->frame_at_ms = span_now_ms();
	w->redraw = false;
}

static void take_signals(struct watch *w)
{
	int signal;

	while (w->frames && (signal = terminal_take_signal(&w->terminal)) != 0) {
		if (signal == SIGWINCH) {
			screen_measure(&w->cli->screen, STDOUT_FILENO);
			terminal_clear(&w->terminal);
			draw(w);
		} else if (signal == SIGCONT) {
			screen_measure(&w->cli->screen, STDOUT_FILENO);
			draw(w);
		} else {
			terminal_die(&w->terminal, signal);
		}
	}
}

/* --- the loop --- */

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* When there is something to do without anything happening. */
static int64_t next_ms(const struct watch *w)
{
	int64_t next = w->changed ? earlier(w->next_poll_ms, w->data_at_ms + FRAME_MS) : w->next_poll_ms;

	if (w->frames)
		next = earlier(next, w->frame_at_ms + (w->redraw ? FRAME_MS : TICK_MS));
	return next;
}

static void turn(struct watch *w)
{
	int64_t wait = next_ms(w) - span_now_ms();

	follow_wait(w->follow, w->frames ? w->terminal.signal_fd : -1, wait > 0 ? wait : 0);
	take_signals(w);
	if (follow_refusal(w->follow)) {
		w->rc = cli_refused(w->cli, follow_refusal(w->follow));
		return;
	}
	int64_t now = span_now_ms();
	if (now >= w->next_poll_ms || (w->changed && now >= w->data_at_ms + FRAME_MS))
		ask(w);
	if (w->frames && now >= w->frame_at_ms + (w->redraw ? FRAME_MS : TICK_MS))
		draw(w);
}

/* The id of the newest event there is, so that only what comes later is printed. */
static int find_last_event(struct watch *w, uint64_t *ret)
{
	struct buf path = BUF_INIT(1024);
	json_t *answer = NULL;

	control_format_path(CONTROL_EVENTS, w->name, NULL, &path);
	buf_add_text(&path, w->name ? "&limit=1" : "?limit=1");
	int rc = cli_get(w->cli, buf_text(&path), &answer);
	buf_deinit(&path);
	if (rc != EXIT_DONE)
		return rc;
	*ret = (uint64_t)field_int(json_array_get(field_array(answer, "events"), 0), "id");
	json_decref(answer);
	return EXIT_DONE;
}

static void print_state(struct watch *w)
{
	struct buf out = BUF_INIT(1024 * 1024);
	struct canvas c = {.screen = &w->cli->screen, .out = &out};

	if (w->cli->json)
		cli_write_json_line(w->cli, w->data);
	else if (w->name)
		page_put_line(&c, w->data);
	else
		overview_render(&c, w->data, OVERVIEW_BY_NAME);
	cli_write(&out);
	buf_deinit(&out);
}

static void hear_the_end(struct watch *w)
{
	int64_t until = span_now_ms() + LAST_WORD_MS, left = LAST_WORD_MS;

	for (; left > 0 && !w->heard_end; left = until - span_now_ms()) {
		follow_wait(w->follow, w->frames ? w->terminal.signal_fd : -1, left);
		take_signals(w);
	}
}

static void run(struct watch *w)
{
	while (w->rc < 0)
		turn(w);
	if (w->was_live && ended(w))
		hear_the_end(w);
}

static int watch_lines(struct watch *w)
{
	uint64_t last = 0;
	int rc = find_last_event(w, &last);

	if (rc != EXIT_DONE)
		return rc;
	ask_first(w);
	if (!w->data)
		return w->rc;
	w->follow = follow_new(w->cli->client, w->name, last, LIMIT_EVENTS_PAGE, on_event, w);
	/* Of a rollout that came while we waited the events tell everything. */
	if (w->rc < 0 && !w->cli->json && !w->appeared)
		print_state(w);
	run(w);
	if (w->data && ended(w))
		print_state(w);
	return w->rc;
}

static int watch_frames(struct watch *w)
{
	ask_first(w);
	if (!w->data)
		return w->rc;
	int rc = terminal_enter(&w->terminal);
	if (rc < 0) {
		cli_error(w->cli, "cannot set up the terminal: %s", strerror(-rc));
		return EXIT_REFUSED;
	}
	w->frames = true;
	w->follow = follow_new(w->cli->client, w->name, 0, 2 * EVENTS_KEPT, on_event, w);
	draw(w);
	run(w);
	if (ended(w))
		draw(w);
	terminal_leave(&w->terminal);
	return w->rc;
}

int command_watch(struct cli *cli)
{
	struct watch w = {.cli = cli, .name = cli->n_args > 0 ? cli->args[0] : NULL, .rc = -1};

	w.events = json_array();
	int rc = cli->screen.terminal && !cli->json ? watch_frames(&w) : watch_lines(&w);
	follow_free(w.follow);
	json_decref(w.data);
	json_decref(w.events);
	return rc;
}
