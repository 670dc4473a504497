#include "cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "control/api.h"
#include "field.h"

void cli_error(const struct cli *cli, const char *fmt, ...)
{
	struct buf line = BUF_INIT(16 * 1024);
	char text[8192];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	screen_add(&cli->screen, &line, text, -1);
	fprintf(stderr, "rolloutctl: %s\n", buf_text(&line));
	buf_deinit(&line);
}

void cli_write(const struct buf *b)
{
	fwrite(buf_text(b), 1, b->len, stdout);
	fflush(stdout);
}

static void write_json(const struct cli *cli, const json_t *j, size_t flags)
{
	bool plain = cli->screen.terminal || !cli->screen.utf8;
	char *text = json_dumps(j, flags | JSON_REAL_PRECISION(15) | (plain ? JSON_ENSURE_ASCII : 0));

	/* DEL is the one control character that stands for itself in JSON. It is in strings only. */
	for (const char *c = text ? text : ""; *c;) {
		size_t len = plain ? strcspn(c, "\x7f") : strlen(c);

		fwrite(c, 1, len, stdout);
		c += len;
		if (*c) {
			fputs("\\u007f", stdout);
			c++;
		}
	}
	free(text);
	putchar('\n');
	fflush(stdout);
}

void cli_write_json(const struct cli *cli, const json_t *j)
{
	write_json(cli, j, JSON_INDENT(2));
}

void cli_write_json_line(const struct cli *cli, const json_t *j)
{
	write_json(cli, j, JSON_COMPACT);
}

int cli_unreachable(struct cli *cli)
{
	cli_error(cli, "%s", client_explain(cli->client));
	return EXIT_UNREACHABLE;
}

int cli_refused(struct cli *cli, const struct reply *reply)
{
	const json_t *error = json_object_get(reply->json, "error");
	const char *message = field_text(error, "message");

	if (cli->json && reply->json)
		cli_write_json(cli, reply->json);
	if (message[0])
		cli_error(cli, "%s", message);
	else
		cli_error(cli,
			  "rolloutd answered with HTTP status %ld and said nothing more. Try: journalctl -u rolloutd",
			  reply->status);
	return EXIT_REFUSED;
}

int cli_odd_answer(struct cli *cli, const char *about)
{
	cli_error(cli, "the answer about %s at %s is not what rolloutd says: is another program listening there?",
		  about, cli->socket);
	return EXIT_REFUSED;
}

int cli_call(struct cli *cli, const char *method, const char *path, const struct buf *body, const char *content_type,
	     json_t **ret_json)
{
	struct reply reply;

	if (client_call(cli->client, method, path, body, content_type, &reply) != 0)
		return cli_unreachable(cli);
	int rc = EXIT_DONE;
	if (reply.status < 200 || reply.status > 299) {
		rc = cli_refused(cli, &reply);
	} else if (!json_is_object(reply.json)) {
		rc = cli_odd_answer(cli, path);
	} else {
		*ret_json = take_ptr(reply.json);
	}
	reply_deinit(&reply);
	return rc;
}

int cli_get(struct cli *cli, const char *path, json_t **ret_json)
{
	return cli_call(cli, "GET", path, NULL, NULL, ret_json);
}

bool cli_check_name(const struct cli *cli, const char *name)
{
	if (control_is_name(name))
		return true;
	cli_error(cli,
		  "'%s' is not the name of a rollout or a service: names are made of a-z, 0-9 and '-', at most %d "
		  "characters; a service's rollouts are named SERVICE.ALIAS",
		  name, LIMIT_NAME);
	return false;
}
