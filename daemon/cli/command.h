/* The table of commands, their options and their help. */
#pragma once

#include "cli.h"

enum option_bit {
	OPTION_REASON = 1,
	OPTION_FULL = 2,
	OPTION_TIMEOUT = 4,
	OPTION_FOLLOW = 8,
	OPTION_AFTER = 16,
	OPTION_LIMIT = 32,
	OPTION_FEATURE = 64,
	OPTION_PARTS = 128, /* one for each enum right_part */
	OPTION_DESPITE_ALARMS = 256,
	OPTION_SIMULATE = 512, /* one for each enum simulate_option */
	OPTION_ATTEMPT = 1024,
	OPTION_OF = 2048,
	OPTION_FILE = 4096, /* --output may name a file */
};

struct command {
	const char *name;
	int (*run)(struct cli *cli);
	int min_args;
	int max_args; /* -1: no limit */
	bool local;   /* needs no daemon */
	bool named;   /* the arguments are a rollout's name */
	unsigned options;
	const char *usage;   /* what follows the command's name */
	const char *summary; /* one line */
	const char *text;    /* the rest of its help */
	const char *example;
};

const struct command *command_find(const char *name);
/* The command whose name is nearest, if any is near; NULL otherwise. */
const struct command *command_nearest(const char *name);
void command_print_help(const struct command *c); /* NULL: of the program */
void command_print_usage(const struct command *c);
