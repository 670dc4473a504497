/*
 * The judgement that a plan's words ask for, made by the checker from what CloudWatch has told the daemon: another
 * program than the core's, of the same sentences of docs/plans.md and the same formulas of docs/judging.md. Every
 * judgement of the daemon's is held against it.
 */
#pragma once

#include "core/rollout.h"
#include "tests/sim/evidence.h"
#include "tests/sim/script.h"

struct expect_question {
	const struct evidence *told;
	const struct script_plan *plan;
	const struct samples *samples;	/* for probes alone, which CloudWatch knows nothing of */
	const enum alarm_state *alarms; /* of each metric */
	unsigned canary, stable;
	int64_t now_unix_ms;
	int64_t from_unix_ms;	      /* since when the canary has had traffic */
	int64_t stable_since_unix_ms; /* another version may have served before this; 0: nobody knows of any */
	int64_t step_from_unix_ms, step_until_unix_ms;
	int64_t read_through_unix_ms, alarms_read_unix_ms;
	int64_t promoted_unix_ms; /* 0: not yet */
	unsigned step_min_invocations;
	uint32_t excused_alarms;
	struct counts history;
	const int64_t *landed_unix_ms; /* of each step; 0: not yet, or it is not known */
};

struct expectation {
	bool certain; /* nothing that counts may have been forgotten by a crash; otherwise the rest means nothing */
	enum verdict verdict;
	enum verdict_gap gap;
	bool min_met;
	int64_t through_unix_ms;
	struct counts canary, stable; /* settled, of the whole rollout */
	bool weighed;
	double evidence; /* of the comparison */
	unsigned failed; /* metrics that fail, a bit each */
	unsigned dry;	 /* … which of them only run dry */
};

void expect_judge(const struct expect_question *q, struct expectation *ret);
