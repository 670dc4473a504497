/*
 * The way out: a queue of AWS calls with a token bucket for each service's quota, account and region, priorities,
 * retries, signing. Knows nothing of rollouts.
 *
 *  - Rollback writes (PRIORITY_HOME) go before every other waiting call of the same bucket, then what they need to be
 *    decided (PRIORITY_LOOKUP), then the rest in order of arrival; last of all, services that look whether all is
 *    well (PRIORITY_PATIENT): a thousand of them would hold up every step for minutes.
 *  - A call is built anew for each try, then signed with the keys and the time of that moment.
 *  - Retries follow aws/retry.h. A call that may have taken effect is never repeated: its error goes up.
 *  - While its keys are being fetched a call waits, for at most six minutes; that costs no token and no try.
 *  - Signatures go by AWS's clock, as answers tell it (aws/clock.h); until the first one, by this host's. What is
 *    refused because of that is signed again, once. Until AWS has answered one call goes alone, rollbacks and
 *    their look-ups apart, so that a wrong clock costs one refusal.
 *  - An answer that says "throttled" empties the bucket, as others use the quota too, and slows the bucket down: see
 *    aws/adaptive.h. PRIORITY_HOME and PRIORITY_LOOKUP are not slowed down.
 *  - Buckets: Lambda's control plane; GetFunction, which has a quota of its own; Invoke; CloudWatch GetMetricData;
 *    CloudWatch DescribeAlarms; API Gateway; CreateDeployment, of which an account has one in 5 seconds; GetResources,
 *    of which it has 5 in 2 seconds; STS. Rates from the configuration; GetFunction and Invoke ten times the Lambda
 *    rate, DescribeAlarms at most 5 a second. Invokes, which may take minutes, have at most 16 places on the wire.
 *    Probes have a bucket of LIMIT_PROBES_RPS and 16 other places; nobody waits for them at the end.
 */
#pragma once

#include "engine/engine.h"

enum dispatch_priority {
	PRIORITY_HOME,
	PRIORITY_LOOKUP,
	PRIORITY_NORMAL,
	PRIORITY_PATIENT, /* a service looks whether all is well */
	PRIORITY_COUNT,
};

#define DISPATCH_KEYS_PENDING "KeysPending"

struct dispatch_call {
	enum engine_operation operation;
	const char *account; /* copied */
	const char *region;  /* copied */
	enum dispatch_priority priority;
	bool http_api;	    /* API Gateway's calls: about an HTTP API, which the SDKs know as another service */
	bool safe;	    /* a repeat cannot apply anything twice */
	bool probe;	    /* an invoke in a lane of its own, never repeated: what is not answered is not missed */
	int64_t timeout_ms; /* of one try; 0: the configuration's */
	/* Since it was submitted: after that it is not tried again, and waits for keys no longer: that is
	 * AWS_CREDENTIALS, DISPATCH_KEYS_PENDING. 0: as long as the rules above say. */
	int64_t patience_ms;
	bool exempt; /* from the retry budget and the limit on attempts: a rollback's write */
	/* Fills an unsigned request in the arena; called before each try. Returns 0 or a negative errno. */
	int (*build)(void *arg, struct arena *a, const struct aws_endpoint *e, struct http_request *ret);
	/* Exactly once, never before dispatch_submit returns: a 2xx response, or an error (the other one is NULL). */
	void (*done)(void *arg, const struct http_response *response, const struct aws_error *error);
	/* NULL, or told of each failed try of an exempt call that is made again, and, after a second and then twice a
	 * minute, of one that waits for keys: whoever waits for a rollback must see why it has not landed yet. It must
	 * not submit or cancel. */
	void (*delayed)(void *arg, const struct aws_error *error);
	void *arg;
};

struct dispatch;

struct dispatch *dispatch_new(const struct engine_config *config, const struct ports *ports);
/* Asked before each call that changes something leaves, waiting ones included; after a false nothing is sent any
 * more. */
void dispatch_set_guard(struct dispatch *d, bool (*may_change)(void *ctx), void *ctx);
/* Answers everything that is still waiting with AWS_NO_CONNECTION "shut down"; calls in flight must have been
 * answered by the transport before. `done` should submit nothing then: it would be answered in the same way, at
 * once, without end. NULL is fine. */
void dispatch_free(struct dispatch *d);

/* Returns a ticket, never 0. When LIMIT_CALLS_QUEUED is reached, a call of PRIORITY_NORMAL is answered with
 * AWS_THROTTLED naming the limit. */
uint64_t dispatch_submit(struct dispatch *d, const struct dispatch_call *call);
/* A call that waits in the queue (first try or between tries) is taken out and answered by the next dispatch_run
 * with AWS_NO_CONNECTION, code "Cancelled". One in flight goes on, and is not tried again. Returns whether it was
 * taken out. */
bool dispatch_cancel(struct dispatch *d, uint64_t ticket);
/* The program is about to end: what would change something, was never sent and is no rollback is answered by the next
 * dispatch_run as not sent. All else goes on. */
void dispatch_drain(struct dispatch *d);
/* Sends what the buckets allow now, at most LIMIT_CALLS_IN_FLIGHT at a time; PRIORITY_HOME has four places of its
 * own. What `done` adds meanwhile may wait for the next round, which dispatch_next_ms then wants at once. */
void dispatch_run(struct dispatch *d);
/* When dispatch_run has something to do again (boot_ms); INT64_MAX: only after an answer. */
int64_t dispatch_next_ms(const struct dispatch *d);
/* AWS's time, as far as it is known. */
int64_t dispatch_unix_ms(const struct dispatch *d, struct instant now);
/* What this host's clock is ahead of AWS's; negative: behind; 0: it agrees, or nothing is known. */
int64_t dispatch_host_ahead_ms(const struct dispatch *d);
bool dispatch_idle(const struct dispatch *d);
void dispatch_stats(const struct dispatch *d, struct engine_stats *ret); /* adds its part */
