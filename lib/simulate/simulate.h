/*
 * What a plan does to a canary, found out by running it: the production engine over a store in memory and a virtual
 * clock, lib/sim's AWS as its transport, and random traffic. One rollout takes milliseconds.
 *
 * Traffic is a Poisson process of one rate, each request failing by itself with its version's rate. Calls to AWS are
 * answered at once, and so are probes, which are requests besides; a metric period can be seen 30 to 40 s after its
 * end, as Lambda's mostly can. What cannot be simulated is taken as fine, and named: simulate_fine().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "core/experiment.h"

struct plan;

/* What is asked for. Rates of errors are shares of requests, 0 … 1. */
struct simulate_load {
	double rps; /* requests a second to the alias, 0 … LIMIT_SIMULATE_RPS */
	double stable_rate;
	double canary_rate;
};

enum simulate_end {
	SIMULATE_SUCCEEDED,
	SIMULATE_CONCLUDED,   /* an experiment whose time was over went back, as planned */
	SIMULATE_ROLLED_BACK, /* the metrics failed it */
	SIMULATE_PAUSED,      /* … and the plan says `on_failure: pause` */
	SIMULATE_RETURNED,    /* sent back for want of data, as the plan says */
	SIMULATE_HELD,	      /* paused for want of data: an operator must look */
	SIMULATE_STUCK,	      /* ended or blocked in another way */
	SIMULATE_UNFINISHED,  /* still under way after LIMIT_SIMULATE_MS */
	SIMULATE_ENDS,
};

/* One rollout. Times are counted from the canary's first weight; -1: it never got one. */
struct simulate_run {
	enum simulate_end end;
	int64_t lasted_ms; /* until all traffic was on one version again, the final bake over, or it was paused */
	uint64_t requests; /* to the alias in that time */
	uint64_t canary;   /* … of which the canary served */
	uint64_t failed;   /* … and failed */
	enum experiment_finding found; /* by an experiment, at its end */
	char why[LIMIT_REASON];	       /* the last reason that was told */
};

/* Runs a rollout's plan (PLAN_ROLLOUT) once. The plan is borrowed. The same seed gives the same run. */
void simulate_run(const struct plan *p, const struct simulate_load *load, uint64_t seed, struct simulate_run *ret);
/* The seed of one of many runs. */
uint64_t simulate_seed(uint64_t seed, unsigned run);

/* Parts of a plan that are not simulated; bits. */
enum simulate_part {
	SIMULATE_CODE = 1,	 /* code is published, or a version found */
	SIMULATE_SOAK = 2,	 /* another alias has held the version for long enough */
	SIMULATE_START = 4,	 /* `start: manual` was promoted */
	SIMULATE_APPROVAL = 8,	 /* steps are approved at once */
	SIMULATE_HOOKS = 16,	 /* hooks agree, and requests to verify are answered */
	SIMULATE_ALARMS = 32,	 /* no alarm goes off */
	SIMULATE_THROTTLES = 64, /* nothing is throttled */
	SIMULATE_DURATION = 128, /* every request takes a millisecond */
	SIMULATE_API = 256,	 /* not watched: answers of an API */
	SIMULATE_QUERY = 512,	 /* not watched: queries */
	SIMULATE_PROBE = 1024,	 /* probes are answered, and fail as often as users' requests */
	SIMULATE_PARTS = 11,	 /* how many bits */
};

unsigned simulate_fine(const struct plan *p);
/* A sentence on the part with that bit: "no alarm goes off". */
const char *simulate_part_text(unsigned bit);

/* Three percentiles of some runs. */
struct simulate_spread {
	size_t n;
	int64_t p10, p50, p90; /* 0 when n is */
};

struct simulate_summary {
	size_t runs;
	size_t ends[SIMULATE_ENDS];
	size_t found[EXPERIMENT_FINDINGS];  /* … of those, by experiments */
	struct simulate_spread back_ms;	    /* of those that failed: until the rollback, or the pause */
	struct simulate_spread through_ms;  /* of those that succeeded, or were concluded */
	struct simulate_spread failed;	    /* requests that the canary failed, of all runs */
	struct simulate_spread back_failed; /* … of those that failed */
	double failed_share;		    /* of all requests of all runs */
};

void simulate_summarise(const struct simulate_run *runs, size_t n, struct simulate_summary *ret);
/* Its name in JSON: "rolled-back". */
const char *simulate_end_name(enum simulate_end end);
