/* rolloutctl: reads the command line, runs one command, ends with its exit code. */
#include <jansson.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cryptomem.h"
#include "base/mem.h"
#include "command.h"
#include "option.h"

#define DEFAULT_SOCKET "/run/rolloutd/control.sock"

int command_help(struct cli *cli)
{
	const struct command *c = NULL;

	if (cli->n_args > 0) {
		c = command_find(cli->args[0]);
		if (!c) {
			cli_error(cli, "no command '%s'. See: rolloutctl help", cli->args[0]);
			return EXIT_USAGE;
		}
	}
	command_print_help(c);
	return EXIT_DONE;
}

static int unknown_command(const struct cli *cli, const char *name)
{
	const struct command *near = command_nearest(name);

	if (near)
		cli_error(cli, "no command '%s'; did you mean '%s'?", name, near->name);
	else
		cli_error(cli, "no command '%s'. See: rolloutctl help", name);
	return EXIT_USAGE;
}

static int check_arguments(const struct cli *cli)
{
	const struct command *c = cli->command;

	if (cli->n_args < c->min_args || (c->max_args >= 0 && cli->n_args > c->max_args)) {
		if (cli->n_args < c->min_args)
			cli_error(cli, "%s: %s is missing", c->name,
				  c->named ? "the NAME of a rollout or a service" : "a FILE");
		else
			cli_error(cli, "%s: '%s' is one argument too many", c->name, cli->args[c->max_args]);
		command_print_usage(c);
		return EXIT_USAGE;
	}
	if (c->named && cli->n_args > 0 && !cli_check_name(cli, cli->args[0]))
		return EXIT_USAGE;
	return option_check(cli);
}

/* ROLLOUTD_SOCKET counts where no option was given. */
static void default_socket(struct cli *cli)
{
	const char *named = getenv("ROLLOUTD_SOCKET");

	if (!cli->socket)
		cli->socket = named && named[0] ? named : DEFAULT_SOCKET;
}

static int run(struct cli *cli)
{
	int rc = check_arguments(cli);

	if (rc != 0)
		return rc;
	if (cli->command->local)
		return cli->command->run(cli);
	default_socket(cli);
	cli->client = client_new(cli->socket);
	if (!cli->client) {
		cli_error(cli, "the socket's path is too long: %zu bytes, at most %d: %s", strlen(cli->socket),
			  CLIENT_PATH_MAX, cli->socket);
		return EXIT_USAGE;
	}
	rc = cli->command->run(cli);
	client_free(cli->client);
	return rc;
}

/* Out of memory ends the program with a sentence, whoever asked for it. */
static void *allocate(size_t size)
{
	return mem_realloc(NULL, size);
}

int main(int argc, char **argv)
{
	struct cli cli = {.timeout_ms = -1};

	json_set_alloc_funcs(allocate, free);
	cryptomem_take_over();
	setlocale(LC_CTYPE, "");
	screen_probe(&cli.screen, STDOUT_FILENO);
	if (option_parse(&cli, argc - 1, argv + 1) != 0)
		return EXIT_USAGE;
	if (cli.version && cli.n_args == 0) {
		puts("rolloutctl " ROLLOUTD_VERSION);
		return EXIT_DONE;
	}
	if (cli.n_args == 0) {
		if (cli.help) {
			command_print_help(NULL);
			return EXIT_DONE;
		}
		cli_error(&cli, "which command? See: rolloutctl help");
		return EXIT_USAGE;
	}
	cli.command = command_find(cli.args[0]);
	if (!cli.command)
		return unknown_command(&cli, cli.args[0]);
	if (cli.help) {
		command_print_help(cli.command);
		return EXIT_DONE;
	}
	cli.args++;
	cli.n_args--;
	int rc = run(&cli);
	/* What could not be written was not said: a full disk behind `-o json >file` must not pass for success. */
	if (rc == EXIT_DONE && (fflush(stdout) != 0 || ferror(stdout))) {
		cli_error(&cli, "cannot write to standard output: %m");
		return EXIT_REFUSED;
	}
	return rc;
}
