/* diff and doctor: what the daemon finds out about a plan, under its own keys, without changing anything. */
#include <string.h>

#include "change.h"
#include "field.h"
#include "plans.h"

/* The daemon gives up after a minute, and says so itself. */
#define PATIENCE_MS 75000

/* --- diff --- */

static size_t count_changes(const json_t *changes, enum change_sort from, enum change_sort to)
{
	size_t n = 0;

	for (size_t i = 0; i < json_array_size(changes); i++) {
		enum change_sort sort = change_sort_of(json_array_get(changes, i));
		n += sort >= from && sort <= to;
	}
	return n;
}

static void put_outcome(struct canvas *c, const json_t *changes)
{
	size_t would = count_changes(changes, SORT_MAKES, SORT_REMOVES);
	size_t problems = count_changes(changes, SORT_HINDERS, SORT_HINDERS);
	size_t waits = count_changes(changes, SORT_WAITS, SORT_WAITS);

	if (would > 0)
		canvas_putf(c, STYLE_BOLD, "%zu %s would be made", would, would == 1 ? "change" : "changes");
	else
		canvas_put(c, problems || waits ? STYLE_PLAIN : STYLE_GOOD,
			   problems || waits ? "nothing would change now" : "as declared: nothing would change");
	if (problems > 0)
		canvas_putf(c, STYLE_BAD, "; %zu %s in the way", problems, problems == 1 ? "problem" : "problems");
	if (waits > 0)
		canvas_putf(c, STYLE_PLAIN, "; %zu %s to be waited for", waits,
			    waits == 1 ? "thing has" : "things have");
	canvas_end_line(c);
}

static void print_diff(const json_t *diff, struct canvas *c)
{
	const json_t *changes = field_array(diff, "changes");

	for (size_t i = 0; i < json_array_size(changes); i++)
		change_put(c, json_array_get(changes, i), 0);
	put_outcome(c, changes);
}

/* --- doctor --- */

#define LEVEL_CELLS 9

static void put_finding(struct canvas *c, const json_t *finding)
{
	const char *level = field_text(finding, "level"), *cure = field_text(finding, "cure");
	bool ok = strcmp(level, "ok") == 0, problem = strcmp(level, "problem") == 0;

	canvas_putf(c, ok ? STYLE_GOOD : problem ? STYLE_BAD : STYLE_WARN, "%-*s", LEVEL_CELLS, level);
	canvas_put(c, STYLE_BOLD, field_text(finding, "subject"));
	canvas_putf(c, STYLE_PLAIN, ": %s", field_text(finding, "text"));
	canvas_end_line(c);
	if (!cure[0])
		return;
	canvas_pad(c, LEVEL_CELLS);
	canvas_put(c, STYLE_DIM, "to do: ");
	canvas_put(c, STYLE_PLAIN, cure);
	canvas_end_line(c);
}

static size_t count_level(const json_t *findings, const char *level)
{
	size_t n = 0;

	for (size_t i = 0; i < json_array_size(findings); i++)
		n += field_is(json_array_get(findings, i), "level", level);
	return n;
}

static void print_doctor(const json_t *answer, struct canvas *c)
{
	const json_t *findings = field_array(answer, "findings");
	size_t problems = count_level(findings, "problem"), warnings = count_level(findings, "warning");
	size_t accounts = json_array_size(field_array(answer, "accounts"));

	for (size_t i = 0; i < json_array_size(findings); i++)
		put_finding(c, json_array_get(findings, i));
	if (field_text(answer, "name")[0])
		canvas_putf(c, STYLE_BOLD, "%s: ", field_text(answer, "name"));
	else
		canvas_putf(c, STYLE_BOLD, "%zu %s: ", accounts, accounts == 1 ? "account" : "accounts");
	if (problems > 0)
		canvas_putf(c, STYLE_BAD, "%zu %s", problems, problems == 1 ? "problem" : "problems");
	else
		canvas_put(c, STYLE_GOOD, "healthy");
	if (warnings > 0)
		canvas_putf(c, STYLE_WARN, ", %zu %s", warnings, warnings == 1 ? "warning" : "warnings");
	canvas_end_line(c);
}

/* --- both --- */

static int ask_accounts(struct cli *cli, json_t **ret)
{
	struct buf path = BUF_INIT(256);

	control_format_path(CONTROL_ACCOUNTS, NULL, NULL, &path);
	int rc = cli_get(cli, buf_text(&path), ret);
	buf_deinit(&path);
	return rc;
}

static int inspect(struct cli *cli, enum control_route route, void (*print)(const json_t *answer, struct canvas *c),
		   json_t **ret)
{
	struct buf out = BUF_INIT(LIMIT_CONTROL_ANSWER_BYTES);
	struct canvas c = {.screen = &cli->screen, .out = &out};

	client_allow_calls(cli->client, PATIENCE_MS);
	int rc = route == CONTROL_ACCOUNTS ? ask_accounts(cli, ret) : plans_post(cli, cli->args[0], route, ret);
	if (rc != EXIT_DONE)
		return rc;
	if (cli->json)
		cli_write_json(cli, *ret);
	else
		print(*ret, &c);
	cli_write(&out);
	buf_deinit(&out);
	return EXIT_DONE;
}

int command_diff(struct cli *cli)
{
	json_t *diff = NULL;
	int rc = inspect(cli, CONTROL_DIFF, print_diff, &diff);

	json_decref(diff);
	return rc;
}

int command_doctor(struct cli *cli)
{
	json_t *answer = NULL;
	int rc = inspect(cli, cli->n_args > 0 ? CONTROL_DOCTOR : CONTROL_ACCOUNTS, print_doctor, &answer);

	if (rc == EXIT_DONE && !field_true(answer, "healthy"))
		rc = EXIT_REFUSED;
	json_decref(answer);
	return rc;
}
