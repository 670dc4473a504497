/*
 * What an experiment has shown: the two versions' error rates, and what their difference can be. It is computed from
 * all settled periods in which both served, each time anew, as verdicts are; the interval holds at every look.
 *
 * It is told, and decides nothing: a canary that is worse is the verdict's matter. rolloutd's own probes are not in it.
 * They come to both versions alike, whatever the weight, and fail in another way than users' requests do: together with
 * those they would make a difference where there is none.
 */
#pragma once

#include "core/interval.h"
#include "core/verdict.h"

#define EXPERIMENT_ERROR 0.05 /* the chance that the interval does not hold at some look */

enum experiment_finding {
	EXPERIMENT_NOTHING, /* a version has no requests that were counted */
	EXPERIMENT_OPEN,    /* which one fails less cannot be told */
	EXPERIMENT_CANARY,  /* the canary fails less … */
	EXPERIMENT_STABLE,  /* … or the stable version does */
	EXPERIMENT_FINDINGS,
};

struct experiment_result {
	enum experiment_finding finding;
	struct counts canary;
	struct counts stable;
	int64_t from_unix_ms;	    /* the periods that they are of, from the first one's start … */
	int64_t until_unix_ms;	    /* … to the last one's end; 0: there are none */
	struct interval difference; /* of the shares that fail: the canary's less the stable version's */
	char text[LIMIT_REASON];    /* a clause with its numbers */
};

/* `stable`, `canary`: the versions, to be named. */
void experiment_judge(const struct verdict_question *q, uint64_t stable, uint64_t canary,
		      struct experiment_result *ret);

const char *experiment_finding_name(enum experiment_finding f); /* "no-data" "open" "canary" "stable" */
