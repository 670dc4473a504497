/*
 * One seed: the production core, engine and SQLite store on a simulated host, against the simulated AWS, in one thread
 * and in virtual time. See docs/TESTING.md for what it shows.
 *
 * Who owns what: the simulation owns all. A host is one process of the daemon; there are two places for one, as a
 * second daemon may be started beside the first. Each start of a daemon opens the store on the crash disk anew.
 *
 * Time: `now_ms` is the true one, from 0. A host's CLOCK_BOOTTIME is that minus when it was booted; its wall clock is
 * AWS's plus whatever it has jumped by.
 */
#pragma once

#include "base/prng.h"
#include "engine/item.h"
#include "sim/world.h"
#include "tests/sim/checker.h"
#include "tests/sim/disk.h"
#include "tests/sim/script.h"
#include "tests/sim/tally.h"
#include "tests/sim/trace.h"

#define SIMULATION_START_UNIX_MS INT64_C(1795385407123) /* 2026-11-22T22:10:07Z */
#define HOSTS			 2
#define FLIGHTS			 128
#define HOOKS_RUNNING		 8
#define READINGS		 8
#define SECRET_MARKER		 "mArKeRsEcReT"

/* A call under way, with the answer that it will have. */
struct flight {
	transport_cb cb;
	void *arg;
	int64_t due_ms;
	unsigned asked; /* number of the UpdateAlias; 0: something else */
	bool metrics;	/* of CloudWatch */
	bool no_connection;
	struct world_reply reply;
	struct delivery *delivery; /* what a GetMetricData says; owned; NULL: it is none, or says nothing */
};

struct hook_run {
	exec_cb cb;
	void *arg;
	int64_t due_ms;
	struct exec_result result;
	size_t rollout; /* the checker's */
	bool pre;
};

/* A probe's event that is being read. */
struct reading_file {
	artifact_cb cb;
	void *arg;
	int64_t due_ms;
};

struct host {
	struct simulation *s;
	struct disk_process *process; /* NULL: no daemon runs here */
	struct store *store;
	struct engine *engine;
	int64_t wake_ms; /* by its CLOCK_BOOTTIME */
	int64_t stopped_until_ms;
	int64_t start_after_ms; /* once it has died; 0: as systemd does it */
	int64_t start_at_ms;	/* it is started (again) then; INT64_MAX: not at all */
	int64_t refused_ms;	/* how long it waits before the next try; 0: the last one was not refused */
	bool dying;		/* killed while it was computing: nothing that it does reaches anybody */
	bool draining;
	uint64_t starts;
	struct engine_stats counted; /* of its engine, by now */
	struct flight flights[FLIGHTS];
	size_t n_flights;
	struct hook_run hooks[HOOKS_RUNNING];
	size_t n_hooks;
	struct reading_file readings[READINGS];
	size_t n_readings;
	int64_t started_ms;
};

struct simulation {
	const struct script *script; /* as it was drawn */
	struct deed deeds[SCRIPT_DEEDS];
	struct prng chance; /* for what is not in the script: jitter, hooks' ends, torn writes */
	int64_t now_ms;
	int64_t booted_ms;
	bool fates_put; /* AWS has some */
	bool unread;	/* files changed while nobody read them */
	int64_t wall_jump_ms;
	uint64_t boots;
	uint64_t crashes, kills; /* of the disk, that were seen */
	struct world *world;
	struct disk *disk;
	struct host hosts[HOSTS];
	unsigned owner;			    /* the host that the state belongs to */
	char plan_hashes[SCRIPT_PLANS][65]; /* "" until it was dropped */
	unsigned files[SCRIPT_NAMES];	    /* index + 1 of the plan in each name's file; 0: there is none */
	int64_t disk_full_until_ms, region_out_until_ms, keys_out_until_ms, alias_back_ms[SCRIPT_ALIASES];
	int64_t gauge_back_ms, alarm_back_ms;
	unsigned region_out_how;
	uint64_t writes; /* UpdateAlias that were sent, by all hosts */
	uint64_t starts;
	bool unlocked; /* the owner has lost its lock */
	bool quiet;    /* faults are over */
	struct trace trace;
	struct tally tally;
	struct checker checker;
};

/* --- host.c: a process of the daemon --- */

struct instant host_now(const struct host *h);
bool host_runs(const struct host *h); /* there is a daemon, and it is not stopped */
/* Killed, by a deed or in the midst of an operation of its disk; host_step buries it. */
bool host_is_dead(const struct host *h);
/* Opens the store and loads the engine. False: the disk or another daemon refused it. */
bool host_start(struct host *h);
/* The process is gone, in whatever it was doing. What it had sent goes its way. */
void host_end(struct host *h);
/* It has died: what is left of it goes, and it comes back. */
void host_bury(struct host *h);
void simulation_reboot(struct simulation *s);
/* Answers what is due, and lets the engine have its turn. */
void host_step(struct host *h);
/* When it has something to do, true time; INT64_MAX: never. */
int64_t host_next_ms(const struct host *h);

/* --- deeds.c: what the script does to it all --- */

void deeds_run_due(struct simulation *s);
int64_t deeds_next_ms(const struct simulation *s);
/* Deeds that are tied to the number of a write or a start. */
void deeds_at(struct simulation *s, struct host *h, enum deed_trigger trigger, uint64_t number);
/* An operator who resolves what is left over, so that everything can end. */
void deeds_resolve(struct simulation *s);
/* A daemon runs, and nothing is left to do for it. */
bool deeds_all_ended(const struct simulation *s);
/* Everything works again. */
void deeds_calm(struct simulation *s);
/* One request of somebody else to the simulated AWS; whether it answered with 2xx. */
bool deeds_call_aws(struct simulation *s, const char *method, const char *path, const char *body);
void simulation_put_fates(struct simulation *s);
/* The owner's daemon; NULL: none runs. */
struct host *simulation_owner(struct simulation *s);

/* --- simulation.c --- */

struct outcome {
	uint64_t hash; /* of the trace */
	uint64_t entries;
	struct violation violation; /* of kind VIOLATION_NONE when all is well */
	struct tally tally;
};

/* What runs have in common. Starts as zeros. */
struct simulator {
	struct disk *template;
};

void simulator_deinit(struct simulator *s);

/* Runs the script to its end, or to its first violation. `to`: NULL, or where the trace's text goes. */
void simulation_run(struct simulator *simulator, const struct script *script, FILE *to, struct outcome *ret);
