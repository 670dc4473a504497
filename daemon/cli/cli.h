/*
 * rolloutctl: what all its commands share. One process runs one command, so there is one struct cli, in main().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "client.h"
#include "engine/rights.h"
#include "screen.h"
#include "simulate.h"

/* Exit codes: part of the interface (docs/rolloutctl.md). */
enum exit_code {
	EXIT_DONE = 0,
	EXIT_REFUSED = 1, /* the daemon refused or failed */
	EXIT_USAGE = 2,
	EXIT_ROLLED_BACK = 3,
	EXIT_HELD = 4, /* paused or blocked */
	EXIT_TIMED_OUT = 5,
	EXIT_UNREACHABLE = 6,
};

/* How long `wait` and `watch` go on asking a daemon that went away, e.g. for a restart. */
#define DAEMON_AWAY_MS 60000
/* How long they wait for a name that is not there: the daemon reads a plan file a moment after it was dropped. */
#define NAME_APPEARS_MS 5000
#define NAME_POLL_MS	200

struct command;

struct cli {
	const struct command *command;
	char **args; /* what is left when the options are taken out */
	int n_args;
	unsigned given; /* options that were given: enum option_bit */

	const char *socket;
	const char *reason; /* NULL: none given */
	int64_t timeout_ms; /* -1: none given */
	uint64_t after;
	uint64_t attempt;   /* 0: none given */
	unsigned limit;	    /* 0: none given */
	const char *of;	    /* NULL: none given */
	const char *output; /* where `report` writes; NULL: its default */
	bool json;
	bool full;
	bool despite_alarms;
	bool follow;
	bool help;
	bool version;
	struct rights_wish rights; /* of `policy` */
	struct simulate_wish simulate;

	struct screen screen; /* of stdout */
	struct client *client;
};

/* "rolloutctl: …" on stderr, made fit for a terminal. */
void cli_error(const struct cli *cli, const char *fmt, ...) printf_like(2, 3);
/* Writes a whole buffer to stdout, which is flushed. */
void cli_write(const struct buf *b);
/* Pretty-prints to stdout. On a terminal everything beyond ASCII is escaped, so that no text can command it. */
void cli_write_json(const struct cli *cli, const json_t *j);
/* The same on one line. */
void cli_write_json_line(const struct cli *cli, const json_t *j);

/*
 * One call. Returns EXIT_DONE with *ret_json (the caller's to decref) on a 2xx answer. Otherwise it said on stderr (and
 * with -o json also on stdout) what went wrong, and returns the exit code.
 */
must_use int cli_call(struct cli *cli, const char *method, const char *path, const struct buf *body,
		      const char *content_type, json_t **ret_json);
must_use int cli_get(struct cli *cli, const char *path, json_t **ret_json);
/* Says what the answer of that status complains of; returns the exit code. */
int cli_refused(struct cli *cli, const struct reply *reply);
/* Says that what was answered about it (a path, a name) is not the daemon's; returns the exit code. */
int cli_odd_answer(struct cli *cli, const char *about);
/* Says why the daemon cannot be reached; returns the exit code. */
int cli_unreachable(struct cli *cli);
/* Whether the text can be a rollout's or a service's name; complains if not. */
bool cli_check_name(const struct cli *cli, const char *name);

/* Options of `policy`; each complains by itself and returns 0 or EXIT_USAGE. */
must_use int policy_take_features(struct cli *cli, const char *value);
must_use int policy_take_part(struct cli *cli, enum right_part part, const char *value);
void policy_print_features(void);

/* Options of `simulate`, likewise. */
enum simulate_option {
	SIMULATE_RPS,
	SIMULATE_STABLE_ERRORS,
	SIMULATE_CANARY_ERRORS,
	SIMULATE_RUNS,
	SIMULATE_SEED,
	SIMULATE_OPTIONS,
};

must_use int simulate_take_option(struct cli *cli, enum simulate_option option, const char *value);

/* Commands; each returns the exit code. */
int command_list(struct cli *cli);
int command_status(struct cli *cli);
int command_history(struct cli *cli);
int command_version(struct cli *cli);
int command_events(struct cli *cli);
int command_validate(struct cli *cli);
int command_simulate(struct cli *cli);
int command_submit(struct cli *cli);
int command_diff(struct cli *cli);
int command_doctor(struct cli *cli);
int command_act(struct cli *cli); /* pause, resume, promote, rollback, abort, retry */
int command_reload(struct cli *cli);
int command_wait(struct cli *cli);
int command_watch(struct cli *cli);
int command_policy(struct cli *cli);
int command_explain(struct cli *cli);
int command_report(struct cli *cli);
int command_replay(struct cli *cli);
int command_help(struct cli *cli);
