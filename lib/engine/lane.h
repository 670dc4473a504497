/*
 * Inside the dispatcher only: a lane is what shares one quota of AWS (a service's bucket in one account and region):
 * its token bucket, its retry budget, and its waiting calls by priority.
 *
 * A lane whose service throttles is slowed down, below the configured rate, and comes up again (aws/adaptive.h). What a
 * rollback consists of is not: PRIORITY_HOME and PRIORITY_LOOKUP keep to the configured rate alone, and are never
 * behind others; each call's own waits grow all the same.
 *
 * A call is in exactly one place: a lane's queue, the heap of those that back off, on the wire, or the list of those
 * that have ended and are to be answered.
 */
#pragma once

#include "aws/adaptive.h"
#include "aws/retry.h"
#include "base/bucket.h"
#include "base/strmap.h"
#include "engine/dispatch.h"

enum lane_kind {
	LANE_LAMBDA, /* its control plane */
	LANE_GET_FUNCTION,
	LANE_INVOKE,
	LANE_PROBE, /* invokes of rolloutd's own, at a pace that plans set */
	LANE_METRIC_DATA,
	LANE_ALARMS,
	LANE_APIGATEWAY,
	LANE_DEPLOYMENT, /* CreateDeployment */
	LANE_RESOURCES,	 /* GetResources */
	LANE_STS,
	LANE_COUNT,
};

enum call_place { PLACE_QUEUE, PLACE_BACKOFF, PLACE_WIRE, PLACE_ENDED };

struct lane;

struct call {
	struct dispatch *owner;
	struct dispatch_call what; /* account and region are the lane's */
	struct lane *lane;
	uint64_t ticket;
	enum call_place place;
	struct call *prev; /* in a queue or the list of ended ones */
	struct call *next;
	int64_t since_boot_ms;	  /* it was submitted */
	int64_t due_ms;		  /* backing off until then */
	size_t heap_slot;	  /* there */
	int64_t keyless_since_ms; /* it has waited for keys since then; 0: it has not */
	int64_t tell_keyless_ms;  /* then somebody should hear of that (again) */
	struct retry_state retry;
	bool called_back;	 /* on the wire: what comes of this try is the end of it */
	bool clock_corrected;	 /* was tried again by the service's clock */
	int64_t signed_unix_ms;	 /* the last signature's time */
	int64_t sent_boot_ms;	 /* when that was */
	char *key_id;		 /* that the last try was signed with; owned */
	char *path;		 /* of the last try, for whoever is told that a right is missing; owned */
	struct aws_error *error; /* ended without an answer: why; owned */
};

struct call_list {
	struct call *first;
	struct call *last;
	size_t len;
};

struct lane {
	enum lane_kind kind;
	char *key;
	char *account;
	char *region;
	struct bucket bucket; /* the configured rate */
	struct adaptive adaptive;
	struct bucket slow; /* while adaptive.slowed: its rate */
	struct retry_budget budget;
	struct call_list queues[PRIORITY_COUNT];
	size_t n_queued; /* in all queues */
	size_t n_calls;	 /* anywhere */
	struct lane *prev;
	struct lane *next;
	struct lane_list *list; /* the one it is in; NULL: none */
	int64_t idle_since_ms;
};

struct lane_list {
	struct lane *first;
	struct lane *last;
	size_t len;
};

struct lanes {
	struct strmap by_key;
	struct lane_list active; /* have queued calls */
	struct lane_list idle;	 /* have no calls at all; the longest idle first */
};

void lanes_deinit(struct lanes *l);
/* The lane of a quota, made when it is new. Lanes that have been idle for an hour go on that occasion. */
struct lane *lanes_get(struct lanes *l, enum lane_kind kind, const char *account, const char *region, double rate,
		       int64_t now_ms);
/* A call joins and leaves for good. */
void lanes_hold(struct lanes *l, struct lane *lane);
void lanes_release(struct lanes *l, struct lane *lane, int64_t now_ms);

/* A call of that priority may leave now; if so it has taken its tokens. */
bool lane_take(struct lane *lane, enum dispatch_priority p, int64_t now_ms);
/* It has taken them for nothing, just now. */
void lane_give_back(struct lane *lane, enum dispatch_priority p);
int64_t lane_wait_ms(const struct lane *lane, enum dispatch_priority p, int64_t now_ms); /* until it may; 0: now */
const char *lane_name(enum lane_kind kind); /* "Lambda's control plane", …: the calls of such a lane, for people */
enum lane_pace { LANE_AS_BEFORE, LANE_SLOWED, LANE_RECOVERED };
/* The service has answered a call of the lane. Says when the lane begins to be slowed down, and, ten minutes after the
 * last throttling, that it is over. */
enum lane_pace lane_answered(struct lane *lane, bool throttled, int64_t now_ms);

void lanes_queue(struct lanes *l, struct call *c, bool first); /* first: before those that wait already */
void lanes_unqueue(struct lanes *l, struct call *c);
/* Puts an active lane behind the others, so that no lane keeps the places on the wire to itself. */
void lanes_rotate(struct lanes *l, struct lane *lane);

void call_list_append(struct call_list *l, struct call *c);
void call_list_prepend(struct call_list *l, struct call *c);
void call_list_remove(struct call_list *l, struct call *c);
