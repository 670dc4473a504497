/* wait: until the newest attempt of a name has ended, is paused or blocked; or a service is as declared. */
#include <stdio.h>

#include "base/text.h"
#include "cli.h"
#include "control/api.h"
#include "field.h"
#include "follow.h"
#include "page.h"
#include "service.h"
#include "span.h"

#define POLL_MS 2000

struct waiting {
	struct cli *cli;
	const char *name;
	int64_t deadline_ms; /* INT64_MAX: none */
	int64_t appears_ms;  /* until then the name may still come */
	int64_t attempt;     /* the one waited for; 0: not known yet */
	int64_t away_since_ms;
	bool is_service; /* as far as is known */
	json_t *rollout; /* as last seen; owned; or the service */
};

static void on_event(void *ctx, const json_t *event)
{
	(void)ctx;
	(void)event; /* the state is asked for, whatever happened */
}

/*
 * The attempt waited for, out of the history: the newest one when the wait begins. A retry or new content that comes
 * later makes a newer attempt, whose end is not the end of this one.
 */
static const json_t *pick(struct waiting *w, const json_t *history)
{
	const json_t *all = field_array(history, "rollouts");

	for (size_t i = 0; i < json_array_size(all); i++) {
		const json_t *r = json_array_get(all, i);

		if (w->attempt == 0 || field_int(r, "attempt") == w->attempt)
			return r;
	}
	return NULL;
}

/* Takes what was seen last. Returns -1 to go on waiting, else the exit code. */
static int take(struct waiting *w, const json_t *r)
{
	w->attempt = field_int(r, "attempt");
	json_decref(w->rollout);
	w->rollout = json_incref((json_t *)r);
	return page_exit_code(r);
}

static int take_refusal(struct waiting *w, const struct reply *reply)
{
	/* A daemon that starts up or is busy will answer soon. */
	if (w->attempt && reply->status >= 500)
		return -1;
	if (w->attempt == 0 && reply->status == 404 && span_now_ms() < w->appears_ms)
		return -1;
	return cli_refused(w->cli, reply);
}

static int take_history(struct waiting *w, const struct reply *reply)
{
	const json_t *r = pick(w, reply->json);

	if (r)
		return take(w, r);
	if (w->attempt)
		cli_error(w->cli, "attempt %jd of %s is not in the history any more", (intmax_t)w->attempt, w->name);
	else
		cli_error(w->cli, "there is no rollout %s. See: rolloutctl list", w->name);
	return EXIT_REFUSED;
}

static int take_answer(struct waiting *w, enum control_route route, const struct reply *reply)
{
	if (reply->status < 200 || reply->status > 299)
		return take_refusal(w, reply);
	if (!json_is_object(reply->json))
		return cli_odd_answer(w->cli, w->name);
	return route == CONTROL_STATUS ? take(w, reply->json) : take_history(w, reply);
}

/* Returns 0 when there was an answer. */
static int call(struct waiting *w, enum control_route route, struct reply *ret)
{
	struct buf path = BUF_INIT(1024);

	control_format_path(route, w->name, NULL, &path);
	int failed = client_call(w->cli->client, "GET", buf_text(&path), NULL, NULL, ret);
	buf_deinit(&path);
	return failed;
}

/*
 * Until it is known what the name stands for, its status is asked for: a service has that alone. A rollout has its
 * history, in which the attempt that is waited for stays when a newer one comes.
 */
static int ask(struct waiting *w)
{
	struct reply reply;
	int64_t now = span_now_ms();
	enum control_route route = w->is_service || w->attempt == 0 ? CONTROL_STATUS : CONTROL_HISTORY;
	int failed = call(w, route, &reply);

	if (!failed && route == CONTROL_STATUS && reply.status == 200 && !service_is(reply.json)) {
		reply_deinit(&reply);
		route = CONTROL_HISTORY;
		failed = call(w, route, &reply);
	}
	if (!failed) {
		w->away_since_ms = 0;
		w->is_service = w->is_service || (route == CONTROL_STATUS && reply.status == 200);
		int rc = take_answer(w, route, &reply);
		reply_deinit(&reply);
		return rc;
	}
	if (w->away_since_ms == 0)
		w->away_since_ms = now;
	if (w->attempt == 0 || now - w->away_since_ms > DAEMON_AWAY_MS)
		return cli_unreachable(w->cli);
	return -1;
}

static int timed_out(struct waiting *w)
{
	char span[32];
	const char *trouble = field_text(w->rollout, "trouble");

	text_format_duration(w->cli->timeout_ms, span);
	cli_error(w->cli, "timed out after %s: %s is %s%s%s. It goes on; to see it: rolloutctl status %s", span,
		  w->name, field_text(w->rollout, "phase"), trouble[0] ? ", in trouble: " : "", trouble, w->name);
	return EXIT_TIMED_OUT;
}

static void print_end(struct cli *cli, const json_t *rollout)
{
	struct buf out = BUF_INIT(64 * 1024);
	struct canvas c = {.screen = &cli->screen, .out = &out};

	if (cli->json) {
		cli_write_json(cli, rollout);
		return;
	}
	page_put_line(&c, rollout);
	cli_write(&out);
	buf_deinit(&out);
}

/* Waits until it is worth asking again. False: the time is up. That a name never came is for ask() to say. */
static bool hold(const struct waiting *w, struct follow *f)
{
	int64_t left = w->deadline_ms - span_now_ms(), poll = w->attempt ? POLL_MS : NAME_POLL_MS;

	if (left <= 0)
		return !w->rollout;
	client_limit_calls(w->cli->client, left);
	follow_wait(f, -1, left < poll ? left : poll);
	return true;
}

int command_wait(struct cli *cli)
{
	struct waiting w = {.cli = cli, .name = cli->args[0], .deadline_ms = INT64_MAX};
	struct follow *f = follow_new(cli->client, w.name, 0, 1, on_event, &w);
	int rc;

	w.appears_ms = span_now_ms() + NAME_APPEARS_MS;
	if (cli->timeout_ms >= 0) {
		w.deadline_ms = span_now_ms() + cli->timeout_ms;
		client_limit_calls(cli->client, cli->timeout_ms);
	}
	if (w.deadline_ms < w.appears_ms)
		w.appears_ms = w.deadline_ms;
	while ((rc = ask(&w)) < 0) {
		if (!hold(&w, f)) {
			rc = timed_out(&w);
			break;
		}
	}
	if (w.rollout && page_exit_code(w.rollout) == rc)
		print_end(cli, w.rollout);
	follow_free(f);
	json_decref(w.rollout);
	return rc;
}
