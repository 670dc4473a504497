/*
 * The simulated world: AWS Lambda, CloudWatch and STS as rolloutd meets them, with traffic, metrics, alarms, rate
 * limits and faults on request. Plain computation over the time that is handed in: no socket, no clock, no thread. The
 * same calls in the same order with the same seed give the same bytes.
 *
 * Time. `now.unix_ms` is the wall clock of the caller. It is also the world's own time, unless the world's clock is
 * `virtual`: then the world's time moves only when it is told to (admin API: clock), and the caller's clock serves
 * signatures and rate limits alone. The world's time never goes back.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/http.h"
#include "base/mem.h"
#include "core/alias.h"
#include "plan/diag.h"

#define WORLD_ACCOUNT	    "123456789012"
#define WORLD_FILE_BYTES    (1024 * 1024)      /* largest world file, and largest body of the admin API */
#define WORLD_REQUEST_BYTES (72 * 1024 * 1024) /* largest request: a function's zip of 50 MB in base64 */

struct world;

struct world *world_new(uint64_t seed);
void world_free(struct world *w);
define_cleanup(struct world *, world_free);

/* A seed in a world file is not taken: the one given to world_new stays. */
void world_fix_seed(struct world *w);
/* Adds a key that requests may be signed with; one of the same id is replaced. `token` NULL: none is asked for. */
void world_add_key(struct world *w, const char *id, const char *secret, const char *token);
/* Whether requests must be signed; on at first. Off is for callers inside the process. */
void world_require_signatures(struct world *w, bool required);
/* The admin API under /_localaws/ is served; off at first. It is unsigned, so its caller must be trusted. */
void world_serve_admin(struct world *w, bool served);

/*
 * Adds what a world file (YAML, or JSON as a part of it) says. Returns 0, or 1 with errors in diags and the world
 * unchanged in a way that must not be relied on: load a fresh one.
 */
must_use int world_load(struct world *w, const char *text, size_t len, struct instant now, struct diags *diags);
/* Traffic is drawn in slices of that length; 100 ms at first. Coarser ones are quicker, and see a change of an alias
 * up to a slice late. Before anything else is asked of the world. */
void world_draw_traffic_in(struct world *w, int64_t slice_ms);

enum world_fate {
	WORLD_ANSWER,	/* send the response, delay_ms after the request */
	WORLD_TRUNCATE, /* send its header and the first half of its body, then close */
	WORLD_SILENCE,	/* never answer, and leave the connection open */
	WORLD_CLOSE,	/* close without an answer, in order (FIN) */
	WORLD_RESET,	/* close without an answer, by a reset (RST) */
};

struct world_reply {
	struct http_response response; /* what is, or would have been, answered; status 0: nothing */
	enum world_fate fate;
	int64_t delay_ms; /* of the caller's clock, for every fate */
	bool applied;	  /* the operation ran now (it may still have answered with an error) */
	struct arena *arena;
};

void world_reply_deinit(struct world_reply *r);

/*
 * One request. Its headers include Host, as it was sent. ret is filled in any case, and owned by the caller, who calls
 * world_reply_deinit.
 */
void world_handle(struct world *w, const struct http_request *request, struct instant now, struct world_reply *ret);

/* Counts requests that the caller has drawn himself, through the alias: so many that the version served at that time,
 * of which so many failed. For traffic of any height without a draw for each request. Alias and version must exist. */
void world_count_requests(struct world *w, const char *function, const char *alias, uint64_t version, int64_t at_ms,
			  uint64_t requests, uint64_t errors);

/* Lets the world's time go on: traffic, late requests, alarms. world_handle does this first, too. */
void world_advance(struct world *w, struct instant now);
/* The world's time when something is due next that nobody will ask for; INT64_MAX: nothing. */
int64_t world_next_ms(const struct world *w);
int64_t world_time_ms(const struct world *w);

/* --- for who looks on from outside: no call of anybody's, and counted nowhere --- */

struct world_alias {
	uint64_t version;
	uint64_t extra_version; /* VERSION_LATEST: none */
	double extra_weight;	/* 0 … 1 */
	char revision[REVISION_SIZE];
};

/* What the alias holds now; false: there is none. */
bool world_look_at_alias(const struct world *w, const char *function, const char *alias, struct world_alias *ret);
/* How often each of the faults on request has struck so far. */
void world_count_faults(const struct world *w, void (*cb)(void *ctx, const char *fault, uint64_t struck), void *ctx);
