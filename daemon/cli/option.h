/* The command line: options may stand anywhere, "--" ends them. */
#pragma once

#include "cli.h"

/* Fills *cli; its args point into argv, which is reordered. Returns 0, or EXIT_USAGE after a complaint. */
must_use int option_parse(struct cli *cli, int argc, char **argv);
/* Whether the command takes all the options that were given; complains if not. */
must_use int option_check(const struct cli *cli);
