/* rolloutd: the command line, and what a process must be before it may hold secrets. */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <uv.h>

#include "base/cryptomem.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/secret.h"
#include "daemon/check.h"
#include "daemon/config.h"
#include "daemon/daemon.h"
#include "daemon/io/transport.h"
#include "daemon/log.h"

enum { EXIT_GOOD = 0, EXIT_BAD = 1, EXIT_USAGE = 2 };

struct options {
	const char *config;
	bool check;
};

static const char usage[] =
    "usage: rolloutd [--config FILE] [--check]\n"
    "\n"
    "Gives AWS Lambda functions zero-downtime updates: takes plans from a folder, shifts an alias's traffic in steps,\n"
    "watches CloudWatch, and puts all traffic back when the new version is worse.\n"
    "\n"
    "  -c, --config FILE   the configuration (" CONFIG_DEFAULT_PATH ")\n"
    "      --check         check the configuration and every plan, print what is wrong, and exit\n"
    "      --version       print the version\n"
    "      --help          print this\n"
    "\n"
    "rolloutctl talks to a running rolloutd. See rolloutd(8) and rolloutd.yaml(5).\n";

/* Jansson's and libuv's; OpenSSL's and libcurl's are the same. SQLite is left as it is: it undoes the transaction,
 * which is tried again. */
static void *allocate(size_t size)
{
	return mem_realloc(NULL, size);
}

/* Keys come in JSON, too, and jansson keeps copies of what it reads. */
static void free_wiped(void *p)
{
	if (p)
		secret_wipe(p, malloc_usable_size(p));
	free(p);
}

/* No dump of this process's memory, which has keys in it; no file readable by others; no log of TLS keys. */
static int harden(void)
{
	const struct rlimit none = {0, 0};
	umask(077);
	/* libcurl would write the keys of every TLS session to the file that this names. */
	if (unsetenv("SSLKEYLOGFILE") < 0)
		return -errno;
	if (setrlimit(RLIMIT_CORE, &none) < 0)
		return -errno;
#ifndef __SANITIZE_ADDRESS__ /* whose search for leaks attaches to the process */
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return -errno;
#endif
	return 0;
}

/* A peer that goes away is an error of that one write. */
static int ignore_broken_pipes(void)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	return sigaction(SIGPIPE, &ignore, NULL) < 0 ? -errno : 0;
}

static int run(const char *config_path)
{
	struct diags diags = {0};
	struct log log;
	char error[LIMIT_REASON];
	cleanup(config_free_p) struct config *config = config_load(config_path, &diags, error, sizeof(error));
	if (config)
		log_init(&log, config->log_format, config->log_level, 2);
	else
		log_init(&log, LOG_FORMAT_AUTO, LOG_LEVEL_INFO, 2);
	for (size_t i = 0; i < diags.len; i++)
		log_printf(&log, diags.items[i].severity == DIAG_ERROR ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING,
			   "%s:%u:%u: %s", config_path, diags.items[i].line, diags.items[i].column,
			   diags.items[i].text);
	diags_deinit(&diags);
	if (!config) {
		log_printf(&log, LOG_LEVEL_ERROR, "%s", error[0] ? error : "the configuration has errors: not started");
		return EXIT_BAD;
	}
	if (transport_set_up() < 0) {
		log_printf(&log, LOG_LEVEL_ERROR, "libcurl cannot be set up");
		return EXIT_BAD;
	}
	int code = daemon_run(config, config_path, &log);
	transport_tear_down();
	return code;
}

/* Returns 0 to go on, or the exit code + 1. */
static int parse_options(int argc, char **argv, struct options *ret)
{
	enum { OPTION_CHECK = 256, OPTION_VERSION, OPTION_HELP };
	static const struct option known[] = {
	    {"config", required_argument, NULL, 'c'},
	    {"check", no_argument, NULL, OPTION_CHECK},
	    {"version", no_argument, NULL, OPTION_VERSION},
	    {"help", no_argument, NULL, OPTION_HELP},
	    {NULL, 0, NULL, 0},
	};
	int c;
	while ((c = getopt_long(argc, argv, "c:h", known, NULL)) != -1) {
		switch (c) {
		case 'c':
			ret->config = optarg;
			break;
		case OPTION_CHECK:
			ret->check = true;
			break;
		case OPTION_VERSION:
			puts("rolloutd " ROLLOUTD_VERSION);
			return EXIT_GOOD + 1;
		case 'h':
		case OPTION_HELP:
			fputs(usage, stdout);
			return EXIT_GOOD + 1;
		default:
			fputs("try rolloutd --help\n", stderr);
			return EXIT_USAGE + 1;
		}
	}
	if (optind == argc)
		return 0;
	fprintf(stderr, "rolloutd: unexpected argument '%s'\ntry rolloutd --help\n", argv[optind]);
	return EXIT_USAGE + 1;
}

int main(int argc, char **argv)
{
	struct options options = {.config = CONFIG_DEFAULT_PATH};
	int done = parse_options(argc, argv, &options);
	if (done)
		return done - 1;
	json_set_alloc_funcs(allocate, free_wiped);
	cryptomem_take_over();
	require(uv_replace_allocator(allocate, mem_realloc, mem_array, free) == 0); /* fails for a NULL only */
	int r = harden();
	if (r == 0)
		r = ignore_broken_pipes();
	if (r < 0) {
		fprintf(stderr, "rolloutd: the process cannot be hardened: %s\n", strerror(-r));
		return EXIT_BAD;
	}
	return options.check ? check_run(options.config, stdout) : run(options.config);
}
