/* list, status, history, version: one question, one answer. */
#include <stdio.h>

#include "base/text.h"
#include "cli.h"
#include "control/api.h"
#include "field.h"
#include "overview.h"
#include "page.h"
#include "span.h"
#include "table.h"

static int get(struct cli *cli, enum control_route route, const char *name, const char *more, json_t **ret)
{
	struct buf path = BUF_INIT(2048);

	control_format_path(route, name, NULL, &path);
	buf_add_text(&path, more);
	int rc = cli_get(cli, buf_text(&path), ret);
	buf_deinit(&path);
	return rc;
}

int command_list(struct cli *cli)
{
	struct buf out = BUF_INIT(LIMIT_CONTROL_ANSWER_BYTES);
	struct canvas c = {.screen = &cli->screen, .out = &out, .clip = cli->screen.terminal};
	json_t *list = NULL;
	int rc = get(cli, CONTROL_LIST, NULL, "", &list);

	if (rc != EXIT_DONE)
		return rc;
	if (cli->json)
		cli_write_json(cli, list);
	else
		overview_render(&c, list, OVERVIEW_BY_NAME);
	cli_write(&out);
	buf_deinit(&out);
	json_decref(list);
	return EXIT_DONE;
}

int command_status(struct cli *cli)
{
	struct buf out = BUF_INIT(LIMIT_CONTROL_ANSWER_BYTES);
	struct canvas c = {.screen = &cli->screen, .out = &out};
	json_t *rollout = NULL;
	int rc = get(cli, CONTROL_STATUS, cli->args[0], "", &rollout);

	if (rc != EXIT_DONE)
		return rc;
	struct page page = {.rollout = rollout, .now_unix_ms = field_time(rollout, "now"), .details = true};
	if (cli->json)
		cli_write_json(cli, rollout);
	else
		page_render(&c, &page);
	cli_write(&out);
	buf_deinit(&out);
	json_decref(rollout);
	return EXIT_DONE;
}

static void add_attempt(struct table *t, const json_t *r, bool with_name, int64_t now)
{
	const char *phase = field_text(r, "phase");
	int64_t created = field_time(r, "created_at"), ended = field_time(r, "ended_at");
	char versions[64], time[SPAN_TIME_SIZE], took[32] = "-";

	page_format_versions(r, versions);
	span_format_time(created, now, time);
	if (created && ended >= created)
		text_format_span(ended - created, took);
	table_row(t);
	if (with_name)
		table_cell(t, STYLE_BOLD, field_text(r, "name"));
	table_cellf(t, STYLE_PLAIN, "%jd", (intmax_t)field_int(r, "attempt"));
	table_cell(t, page_style(r), phase);
	table_cell(t, STYLE_PLAIN, versions);
	table_cell(t, STYLE_PLAIN, time);
	table_cell(t, STYLE_PLAIN, took);
	table_cell(t, STYLE_PLAIN, field_text(r, "source"));
	table_cell(t, STYLE_PLAIN, field_text(r, "reason"));
}

/* Names are a column of their own where there is more than one. */
static void put_attempts(struct canvas *c, const json_t *attempts, bool with_names)
{
	static const struct column columns[] = {{.title = "NAME", .shrink_to = 16},
						{.title = "ATTEMPT", .right = true},
						{.title = "PHASE"},
						{.title = "VERSIONS"},
						{.title = "STARTED"},
						{.title = "TOOK"},
						{.title = "PLAN", .shrink_to = 8},
						{.title = "REASON", .shrink_to = 12}};
	size_t skipped = with_names ? 0 : 1;
	struct table *t = table_new(c->screen, columns + skipped, array_len(columns) - skipped);

	for (size_t i = 0; i < json_array_size(attempts); i++)
		add_attempt(t, json_array_get(attempts, i), with_names, span_now_unix_ms());
	table_render(t, c, 0);
	table_free(t);
}

int command_history(struct cli *cli)
{
	const char *name = cli->n_args > 0 ? cli->args[0] : NULL;
	struct buf out = BUF_INIT(LIMIT_CONTROL_ANSWER_BYTES);
	struct canvas c = {.screen = &cli->screen, .out = &out, .clip = cli->screen.terminal};
	char limit[32] = "";
	json_t *history = NULL;

	if (cli->limit)
		snprintf(limit, sizeof(limit), "%climit=%u", name ? '&' : '?', cli->limit);
	int rc = get(cli, CONTROL_HISTORY, name, limit, &history);
	if (rc != EXIT_DONE)
		return rc;
	if (cli->json)
		cli_write_json(cli, history);
	else
		put_attempts(&c, field_array(history, "rollouts"), !name);
	cli_write(&out);
	buf_deinit(&out);
	json_decref(history);
	return EXIT_DONE;
}

int command_version(struct cli *cli)
{
	struct buf out = BUF_INIT(4096);
	struct canvas c = {.screen = &cli->screen, .out = &out};
	json_t *version = NULL;

	if (!cli->json) {
		puts("rolloutctl " ROLLOUTD_VERSION);
		fflush(stdout);
	}
	int rc = get(cli, CONTROL_VERSION, NULL, "", &version);
	if (rc != EXIT_DONE)
		return rc;
	if (cli->json) {
		cli_write_json(cli, version);
	} else {
		int64_t started = field_time(version, "started_at"), now = span_now_unix_ms();
		char since[SPAN_TIME_SIZE];

		span_format_time(started, now, since);
		canvas_putf(&c, STYLE_PLAIN, "rolloutd %s, running since %s", field_text(version, "version"), since);
		canvas_end_line(&c);
		cli_write(&out);
	}
	buf_deinit(&out);
	json_decref(version);
	return EXIT_DONE;
}
