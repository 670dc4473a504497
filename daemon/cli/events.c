/* events: what happened, and with -f what happens. */
#include <stdio.h>

#include "cli.h"
#include "control/api.h"
#include "field.h"
#include "follow.h"
#include "page.h"
#include "span.h"

static void print_event(struct cli *cli, const json_t *event)
{
	struct buf out = BUF_INIT(64 * 1024);
	struct canvas c = {.screen = &cli->screen, .out = &out};

	page_put_event(&c, event, span_now_unix_ms(), true);
	cli_write(&out);
	buf_deinit(&out);
}

static void on_event(void *ctx, const json_t *event)
{
	struct cli *cli = ctx;

	if (cli->json)
		cli_write_json_line(cli, event);
	else
		print_event(cli, event);
}

static int follow_on(struct cli *cli, const char *name, unsigned limit)
{
	struct follow *f = follow_new(cli->client, name, cli->after, limit, on_event, cli);
	int rc = -1;

	/* Who reads the output is gone when it cannot be written: SIGPIPE ends the process. */
	while (rc < 0) {
		int64_t away = follow_away_since_ms(f);

		follow_wait(f, -1, 1000);
		if (follow_refusal(f))
			rc = cli_refused(cli, follow_refusal(f));
		else if (away && follow_away_since_ms(f) == away && client_explain(cli->client)[0] &&
			 (!follow_was_open(f) || span_now_ms() - away > DAEMON_AWAY_MS))
			rc = cli_unreachable(cli);
	}
	follow_free(f);
	return rc;
}

int command_events(struct cli *cli)
{
	const char *name = cli->n_args > 0 ? cli->args[0] : NULL;
	unsigned limit = cli->limit ? cli->limit : CONTROL_EVENTS_DEFAULT;
	struct buf path = BUF_INIT(1024);
	json_t *answer = NULL;

	if (cli->follow)
		return follow_on(cli, name, limit);
	control_format_path(CONTROL_EVENTS, name, NULL, &path);
	buf_addf(&path, "%safter=%ju&limit=%u", name ? "&" : "?", (uintmax_t)cli->after, limit);
	int rc = cli_get(cli, buf_text(&path), &answer);
	buf_deinit(&path);
	if (rc != EXIT_DONE)
		return rc;
	if (cli->json) {
		cli_write_json(cli, answer);
	} else {
		const json_t *events = field_array(answer, "events");

		for (size_t i = 0; i < json_array_size(events); i++)
			print_event(cli, json_array_get(events, i));
	}
	json_decref(answer);
	return EXIT_DONE;
}
