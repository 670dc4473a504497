/*
 * The bench of the engine's tests: the engine over a store in memory, a clock that the test moves, and the simulated
 * AWS as its transport. The engine can be killed and loaded anew, and its store made to fail, at any time.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/item.h"
#include "sim/world.h"
#include "store/ops.h"

#define START_UNIX_MS INT64_C(1795385407123) /* 2026-11-22T22:10:07Z */
#define START_BOOT_MS 5000
#define FLIGHTS	      64
#define ALIAS_PATH    "/2015-03-31/functions/hello/aliases/prod"

struct flight {
	transport_cb cb;
	void *arg;
	int64_t due_ms;
	struct world_reply reply;
};

/* A hook's program, and how it ends. */
struct bench_hook {
	unsigned runs;
	char program[64];
	char input[1024];
	int status;
	bool timed_out;
	bool missing; /* it cannot be started */
	const char *output;
	int64_t takes_ms;
	exec_cb cb; /* NULL: none is running */
	void *arg;
	int64_t due_ms;
};

/* The other end of hooks and probes beyond AWS: every host that ends in ".example". */
struct bench_web {
	unsigned requests;
	char target[128]; /* "POST https://hooks.example/x" */
	char body[1024];
	int status; /* 0: no answer */
};

/* The one file that plans may name as their code; see service_bench.h. */
struct bench_file {
	char *base64; /* owned; NULL: the file is missing */
	char sha256[48];
	struct {
		artifact_cb cb;
		void *arg;
		bool content;
	} loads[8];
	size_t n_loads;
};

/* The one file that plans may name as a probe's event. */
struct bench_event {
	const char *text; /* NULL: the file is missing */
	size_t size;	  /* 0: that of the text */
	unsigned reads;
	size_t waiting;
	artifact_cb cb[32];
	void *arg[32];
};

struct bench {
	struct instant now;
	uint64_t entropy;
	struct world *world;
	struct store *store;
	const struct store_ops *good_ops;
	struct store_ops bad_ops;
	struct engine *e;
	struct engine_config config;
	struct flight flights[FLIGHTS];
	size_t n_flights;
	int64_t wake_ms;
	unsigned turns;
	unsigned updates;    /* UpdateAlias calls that were sent */
	unsigned unrecorded; /* of them, without an intent in the store */
	unsigned unrecorded_weights;
	struct bench_hook hook;
	bool no_concurrency; /* the service has never heard of provisioned concurrency */
	struct bench_web web;
	unsigned asked; /* for provisioned concurrency, or to give it back */
	unsigned unrecorded_asks;
	bool forgetful; /* was killed while its store failed */
	struct bench_file file;
	struct bench_event event;
	/* NULL, or told of each request to AWS before it has any effect; who is told looks after its intent, too. */
	void (*sent)(struct bench *b, const struct http_request *r);
	void *sent_ctx;
	/* NULL, or told of each answer of AWS before it is handed on, and may put another one in its place. */
	void (*answers)(struct bench *b, const struct http_request *r, struct world_reply *reply);
	unsigned calls;		  /* to AWS */
	const char *no_keys;	  /* why no account has keys; NULL: they have */
	const char *keys_pending; /* the account whose keys are being fetched for ever; NULL: none */
	struct keys_told keys;	  /* what is told of them */
	const char *region_error; /* why an account's region is not known; NULL: it is */
	const char *region;
	char published[64 * 1024]; /* texts of events, one a line */
};

struct seen {
	bool any;
	enum rollout_phase phase;
	uint64_t attempt;
	struct rollout state;
};

void bench_drop_flights(struct bench *b);
void bench_crash(struct bench *b);
void bench_store_fails(struct bench *b, bool fails);
bool bench_step(struct bench *b, int64_t until_ms);
void bench_run_for(struct bench *b, int64_t ms);
const char *bench_plan_text(const char *name, int version, const char *more);
enum intake_result bench_take(struct bench *b, const char *source, const char *text, char *ret_text);
enum intake_result bench_take_file(struct bench *b, const char *name, int version);
struct seen bench_look(struct bench *b, const char *name);
void bench_assert_phase(struct bench *b, const char *name, enum rollout_phase phase);
enum engine_answer bench_command(struct bench *b, const char *name, enum rollout_command c);
void bench_admin(struct bench *b, const char *method, const char *path, const char *body);
const char *bench_alias_holds(struct bench *b);
bool bench_ends_well(struct bench *b, const char *name);
void bench_load(struct bench *b);
void bench_keep(void *ctx, const struct view_rollout *v); /* an engine_view_cb; ctx is a struct seen */
struct bench *bench_new(void);
struct bench *bench_new_world(const char *world);
void bench_free(struct bench *b);
