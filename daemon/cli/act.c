/* pause, resume, promote, rollback, abort, retry, reload: one call each, and what the daemon says to it. */
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "control/api.h"
#include "field.h"

static const char content_type[] = "application/json";

/* {"reason": …, "full": true, "despite_alarms": true}, or nothing. */
static void format_body(const struct cli *cli, struct buf *out)
{
	if (!cli->reason && !cli->full)
		return;
	buf_add_char(out, '{');
	if (cli->reason) {
		buf_add_text(out, "\"reason\":");
		buf_add_json_string(out, cli->reason);
	}
	if (cli->full)
		buf_add_text(out, cli->reason ? ",\"full\":true" : "\"full\":true");
	if (cli->despite_alarms)
		buf_add_text(out, ",\"despite_alarms\":true"); /* never without a reason */
	buf_add_char(out, '}');
}

static void print_answer(struct cli *cli, const json_t *answer)
{
	struct buf out = BUF_INIT(64 * 1024);
	struct canvas c = {.screen = &cli->screen, .out = &out};
	const char *name = field_text(answer, "name");

	if (cli->json) {
		cli_write_json(cli, answer);
		return;
	}
	if (name[0])
		canvas_putf(&c, STYLE_BOLD, "%s: ", name);
	canvas_put(&c, STYLE_PLAIN, field_text(answer, "message"));
	canvas_end_line(&c);
	cli_write(&out);
	buf_deinit(&out);
}

static int post(struct cli *cli, enum control_route route, const char *verb)
{
	struct buf path = BUF_INIT(1024), body = BUF_INIT(LIMIT_CONTROL_REQUEST_BYTES);
	json_t *answer = NULL;

	control_format_path(route, cli->n_args > 0 ? cli->args[0] : NULL, verb, &path);
	format_body(cli, &body);
	int rc = cli_call(cli, "POST", buf_text(&path), &body, content_type, &answer);
	if (rc == EXIT_DONE)
		print_answer(cli, answer);
	json_decref(answer);
	buf_deinit(&path);
	buf_deinit(&body);
	return rc;
}

int command_act(struct cli *cli)
{
	const char *verb = cli->command->name;

	if (cli->despite_alarms && (!cli->reason || !cli->reason[0])) {
		cli_error(cli, "--despite-alarms needs --reason TEXT, which is kept with the record");
		return EXIT_USAGE;
	}
	if (strcmp(verb, "retry") == 0)
		return post(cli, CONTROL_RETRY, NULL);
	if (strcmp(verb, "forget") == 0)
		return post(cli, CONTROL_FORGET, NULL);
	return post(cli, CONTROL_COMMAND, strcmp(verb, "abort") == 0 ? "rollback" : verb);
}

int command_reload(struct cli *cli)
{
	return post(cli, CONTROL_RELOAD, NULL);
}
