#include "option.h"

#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/text.h"
#include "command.h"

enum option_id {
	ID_SOCKET,
	ID_OUTPUT,
	ID_REASON,
	ID_FULL,
	ID_DESPITE_ALARMS,
	ID_TIMEOUT,
	ID_FOLLOW,
	ID_AFTER,
	ID_LIMIT,
	ID_ATTEMPT,
	ID_OF,
	ID_FEATURE,
	ID_PART, /* … and enum right_part */
	ID_PART_LAST = ID_PART + PART_COUNT - 1,
	ID_SIMULATE, /* … and enum simulate_option */
	ID_SIMULATE_LAST = ID_SIMULATE + SIMULATE_OPTIONS - 1,
	ID_HELP,
	ID_VERSION,
};

struct option_entry {
	enum option_id id;
	char letter; /* 0: none */
	const char *name;
	bool argument;
	unsigned bit; /* enum option_bit; 0: every command takes it */
};

static const struct option_entry entries[] = {
    {ID_SOCKET, 's', "socket", true, 0},
    {ID_OUTPUT, 'o', "output", true, 0},
    {ID_REASON, 'r', "reason", true, OPTION_REASON},
    {ID_FULL, 0, "full", false, OPTION_FULL},
    {ID_DESPITE_ALARMS, 0, "despite-alarms", false, OPTION_DESPITE_ALARMS},
    {ID_TIMEOUT, 't', "timeout", true, OPTION_TIMEOUT},
    {ID_FOLLOW, 'f', "follow", false, OPTION_FOLLOW},
    {ID_AFTER, 0, "after", true, OPTION_AFTER},
    {ID_LIMIT, 'n', "limit", true, OPTION_LIMIT},
    {ID_ATTEMPT, 0, "attempt", true, OPTION_ATTEMPT},
    {ID_OF, 0, "of", true, OPTION_OF},
    {ID_FEATURE, 0, "feature", true, OPTION_FEATURE},
    {ID_PART + PART_FUNCTION, 0, "function", true, OPTION_PARTS},
    {ID_PART + PART_HOOK, 0, "hook", true, OPTION_PARTS},
    {ID_PART + PART_REGION, 0, "region", true, OPTION_PARTS},
    {ID_PART + PART_ACCOUNT, 0, "account", true, OPTION_PARTS},
    {ID_PART + PART_API, 0, "api", true, OPTION_PARTS},
    {ID_PART + PART_ROLE, 0, "role", true, OPTION_PARTS},
    {ID_PART + PART_BUCKET, 0, "bucket", true, OPTION_PARTS},
    {ID_PART + PART_REPOSITORY, 0, "repository", true, OPTION_PARTS},
    {ID_SIMULATE + SIMULATE_RPS, 0, "rps", true, OPTION_SIMULATE},
    {ID_SIMULATE + SIMULATE_STABLE_ERRORS, 0, "stable-errors", true, OPTION_SIMULATE},
    {ID_SIMULATE + SIMULATE_CANARY_ERRORS, 0, "canary-errors", true, OPTION_SIMULATE},
    {ID_SIMULATE + SIMULATE_RUNS, 0, "runs", true, OPTION_SIMULATE},
    {ID_SIMULATE + SIMULATE_SEED, 0, "seed", true, OPTION_SIMULATE},
    {ID_HELP, 'h', "help", false, 0},
    {ID_VERSION, 'V', "version", false, 0},
};

static const struct option_entry *find_long(const char *name, size_t len)
{
	for (size_t i = 0; i < array_len(entries); i++)
		if (strlen(entries[i].name) == len && strncmp(entries[i].name, name, len) == 0)
			return &entries[i];
	return NULL;
}

static const struct option_entry *find_letter(char letter)
{
	for (size_t i = 0; i < array_len(entries); i++)
		if (entries[i].letter == letter)
			return &entries[i];
	return NULL;
}

static int unknown_option(const struct cli *cli, const char *given, size_t len)
{
	char name[64];
	unsigned best = 3; /* farther than that is another word */
	const char *nearest = NULL;

	snprintf(name, sizeof(name), "%.*s", (int)len, given);
	for (size_t i = 0; i < array_len(entries); i++) {
		unsigned distance = text_distance(name, entries[i].name, best);

		if (distance < best) {
			best = distance;
			nearest = entries[i].name;
		}
	}
	if (nearest)
		cli_error(cli, "unknown option '--%s'; did you mean '--%s'?", name, nearest);
	else
		cli_error(cli, "unknown option '--%s'. See: rolloutctl --help", name);
	return EXIT_USAGE;
}

static int take_output(struct cli *cli, const char *value)
{
	if (strcmp(value, "json") == 0)
		cli->json = true;
	else if (strcmp(value, "table") == 0)
		cli->json = false;
	else
		cli->output = value; /* a file, of the command that writes one: see option_check */
	return 0;
}

static int take_attempt(struct cli *cli, const char *value)
{
	if (text_parse_u64(value, INT64_MAX, &cli->attempt) == 0 && cli->attempt > 0)
		return 0;
	cli_error(cli, "--attempt: expected the number of an attempt as `rolloutctl history` has it, not '%s'", value);
	return EXIT_USAGE;
}

static int take_of(struct cli *cli, const char *value)
{
	cli->of = value;
	return cli_check_name(cli, value) ? 0 : EXIT_USAGE;
}

static int take_reason(struct cli *cli, const char *value)
{
	if (strlen(value) >= LIMIT_REASON) {
		cli_error(cli, "--reason is too long: %zu bytes, at most %d", strlen(value), LIMIT_REASON - 1);
		return EXIT_USAGE;
	}
	if (!text_is_utf8(value, strlen(value))) {
		cli_error(cli, "--reason: expected text in UTF-8");
		return EXIT_USAGE;
	}
	cli->reason = value;
	return 0;
}

static int take_timeout(struct cli *cli, const char *value)
{
	if (text_parse_duration(value, LIMIT_DURATION_MS, &cli->timeout_ms) == 0)
		return 0;
	cli_error(cli, "--timeout: expected a length of time such as 90s, 10m or 1h30m, not '%s'", value);
	return EXIT_USAGE;
}

static int take_after(struct cli *cli, const char *value)
{
	if (text_parse_u64(value, INT64_MAX, &cli->after) == 0)
		return 0;
	cli_error(cli, "--after: expected the id of an event, not '%s'", value);
	return EXIT_USAGE;
}

static int take_limit(struct cli *cli, const char *value)
{
	uint64_t v;

	if (text_parse_u64(value, LIMIT_EVENTS_PAGE, &v) == 0 && v > 0) {
		cli->limit = (unsigned)v;
		return 0;
	}
	cli_error(cli, "--limit: expected a number from 1 to %d, not '%s'", LIMIT_EVENTS_PAGE, value);
	return EXIT_USAGE;
}

static int apply(struct cli *cli, const struct option_entry *e, const char *value)
{
	if (e->id >= ID_PART && e->id <= ID_PART_LAST)
		return policy_take_part(cli, (enum right_part)(e->id - ID_PART), value);
	if (e->id >= ID_SIMULATE && e->id <= ID_SIMULATE_LAST)
		return simulate_take_option(cli, (enum simulate_option)(e->id - ID_SIMULATE), value);
	switch (e->id) {
	case ID_SOCKET:
		cli->socket = value;
		break;
	case ID_OUTPUT:
		return take_output(cli, value);
	case ID_REASON:
		return take_reason(cli, value);
	case ID_FULL:
		cli->full = true;
		break;
	case ID_DESPITE_ALARMS:
		cli->despite_alarms = true;
		break;
	case ID_TIMEOUT:
		return take_timeout(cli, value);
	case ID_FOLLOW:
		cli->follow = true;
		break;
	case ID_AFTER:
		return take_after(cli, value);
	case ID_LIMIT:
		return take_limit(cli, value);
	case ID_ATTEMPT:
		return take_attempt(cli, value);
	case ID_OF:
		return take_of(cli, value);
	case ID_FEATURE:
		return policy_take_features(cli, value);
	case ID_PART: /* above */
	case ID_PART_LAST:
	case ID_SIMULATE:
	case ID_SIMULATE_LAST:
		break;
	case ID_HELP:
		cli->help = true;
		break;
	case ID_VERSION:
		cli->version = true;
		break;
	}
	return 0;
}

/* The words that are still to be read. */
struct words {
	int n;
	char **at;
};

static int take_value(struct cli *cli, const struct option_entry *e, const char *attached, struct words *rest)
{
	if (!e->argument && attached) {
		cli_error(cli, "--%s takes no value", e->name);
		return EXIT_USAGE;
	}
	if (e->argument && !attached) {
		if (rest->n == 0) {
			cli_error(cli, "--%s wants a value", e->name);
			return EXIT_USAGE;
		}
		attached = *rest->at++;
		rest->n--;
	}
	cli->given |= e->bit;
	return apply(cli, e, attached ? attached : "");
}

static int take_long(struct cli *cli, const char *word, struct words *rest)
{
	size_t len = strcspn(word, "=");
	const struct option_entry *e = find_long(word, len);

	if (!e)
		return unknown_option(cli, word, len);
	return take_value(cli, e, word[len] == '=' ? word + len + 1 : NULL, rest);
}

/* "-f", "-ojson", "-o json", and several letters in one word. */
static int take_letters(struct cli *cli, const char *word, struct words *rest)
{
	while (*word) {
		const struct option_entry *e = find_letter(*word);

		if (!e) {
			cli_error(cli, "unknown option '-%c'. See: rolloutctl --help", *word);
			return EXIT_USAGE;
		}
		word++;
		const char *attached = e->argument && *word ? word : NULL;
		int rc = take_value(cli, e, attached, rest);
		if (rc != 0 || attached)
			return rc;
	}
	return 0;
}

int option_parse(struct cli *cli, int argc, char **argv)
{
	struct words rest = {argc, argv};
	bool ended = false;

	cli->args = argv;
	while (rest.n > 0) {
		char *word = *rest.at++;
		int rc = 0;

		rest.n--;
		if (!ended && strcmp(word, "--") == 0)
			ended = true;
		else if (!ended && text_starts_with(word, "--"))
			rc = take_long(cli, word + 2, &rest);
		else if (!ended && word[0] == '-' && word[1])
			rc = take_letters(cli, word + 1, &rest);
		else
			cli->args[cli->n_args++] = word; /* never beyond the words already read */
		if (rc != 0)
			return rc;
	}
	return 0;
}

int option_check(const struct cli *cli)
{
	unsigned wrong = cli->given & ~cli->command->options;

	if (cli->output && !(cli->command->options & OPTION_FILE)) {
		cli_error(cli, "--output: expected 'table' or 'json', not '%s'", cli->output);
		return EXIT_USAGE;
	}
	if (cli->output && cli->output[0] == '\0') {
		cli_error(cli, "--output: expected a file, '-' or 'json', not ''");
		return EXIT_USAGE;
	}
	for (size_t i = 0; i < array_len(entries); i++) {
		if (!(entries[i].bit & wrong))
			continue;
		cli_error(cli, "%s does not take --%s. See: rolloutctl help %s", cli->command->name, entries[i].name,
			  cli->command->name);
		return EXIT_USAGE;
	}
	return 0;
}
