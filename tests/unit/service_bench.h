/*
 * A service over the simulated world: what its file says, the zip that its code comes from, and what AWS has of it in
 * the end. Every call that changes something must find an intent on record that no call before it has used.
 */
#pragma once

#include "engine_bench.h"

#define STEP_LIMIT 20000
#define HOUR	   (60 * MS_PER_MINUTE)
#define FUNCTION   "/2015-03-31/functions/hello"

struct service_seen {
	bool any;
	enum rollout_phase phase;
	char reason[LIMIT_REASON];
	char trouble[LIMIT_REASON];
	uint64_t changes_made;
	size_t n_changes;
};

/* What the bench knows of the calls that change something. */
struct service_sends {
	unsigned changes;			  /* sent, repeated ones included */
	unsigned unrecorded;			  /* sent without an intent of their own */
	unsigned crash_at;			  /* the change after which nothing is answered any more; 0: none */
	bool struck;				  /* that was sent */
	uint64_t used;				  /* intents, by the changes that were sent */
	char last[256];				  /* what that was */
	unsigned apis, deployments, integrations; /* creations that were sent */
};

/* An account with that world file's content; NULL: an empty one. */
struct bench *service_bench_new(const char *world, struct service_sends *sends);
void service_bench_free(struct bench *b);
/* The zip's function answers with that body; NULL: the file vanishes. */
void service_bench_zip(struct bench *b, const char *body);
/* A file with dev, test and prod behind three stages; `prod`: what it says of that alias, NULL: the newest version. */
const char *service_bench_text(const char *kind, const char *prod);
void service_bench_take(struct bench *b, const char *text);
struct service_seen service_bench_look(struct bench *b, const char *name);
void service_bench_assert(struct bench *b, enum rollout_phase phase);
/* Until the service is in that phase, or the time is up. */
bool service_bench_until(struct bench *b, enum rollout_phase phase, int64_t ms);
/* The status of a request that is no call of the engine's; `ret_body` NULL: it is of no interest. */
int service_bench_ask(struct bench *b, const char *method, const char *path, const char *query, const char *body,
		      char **ret_body);
/* "$LATEST 1 2": what aliases hold, in the order dev, test, prod. */
const char *service_bench_holds(struct bench *b);
/* Every stage answers with that body, and there is one API and one statement for each alias. */
void service_bench_assert_answers(struct bench *b, const char *kind, const char *body);
/* … and no version too many. */
void service_bench_assert_whole(struct bench *b, const char *kind, const char *body, size_t versions);
/* A service from nothing to as declared. */
struct bench *service_bench_kept(const char *kind, struct service_sends *s);
/* The zip is another one, and whoever watches it has seen that. */
void service_bench_update(struct bench *b, const char *body);
/* Whatever happened while it was made: as declared in the end, with nothing twice, and then no call without end. */
void service_bench_assert_recovers(struct bench *b, const char *kind, const char *what, unsigned n);
/* … while it was updated to "Hello V2". */
void service_bench_assert_updated(struct bench *b, const char *kind, const char *what, unsigned n);
