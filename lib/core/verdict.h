/*
 * The judgement of a canary on counts, computed each time anew from all samples, since CloudWatch delivers late and
 * corrects. A period is believed once it ended `settle` ago.
 *
 * The plain threshold (errors: {max_rate, min_invocations}) fails when the canary's errors / invocations exceed
 * max_rate in any of: one settled period, the settled periods of the current step, all settled periods of the rollout;
 * each only from min_invocations invocations on. With a failure_limit above 1 only the settled periods count, and so
 * many of them must exceed it. It passes when the current step's window has at least min_invocations and no window
 * fails. Where it counts probes, they are requests of the canary like others.
 *
 * The comparison (errors: {compare: stable}) weighs all settled periods since the rollout began by core/evidence.h. It
 * fails when the evidence is enough, and passes when the current step's window has at least min_invocations and it is
 * not. Where it counts probes, those are weighed by themselves, the canary's against the stable version's: both get
 * alike many, whatever the weight, so together with users' requests a difference between the two kinds would look like
 * one between the versions.
 *
 * What has values of its own (throttles, durations, an API's answers, queries) is judged period by period, all of them
 * since the rollout began: it fails when failure_limit periods have failed. A period without a value, or with fewer
 * requests than min_invocations, is not judged; it passes when at least one period of the current step's window was.
 *
 * An alarm fails while it is in ALARM, unless it was so before the start and an operator has excused it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/samples.h"
#include "core/spec.h"

enum verdict { VERDICT_UNDECIDED, VERDICT_PASS, VERDICT_FAIL };

/* Why a verdict is undecided (the strongest that applies comes last). */
enum verdict_gap {
	VERDICT_GAP_NONE,
	VERDICT_GAP_NOT_SETTLED, /* the window's periods are not old enough yet */
	VERDICT_GAP_FEW,	 /* fewer invocations than asked for */
	VERDICT_GAP_NO_DATA,	 /* settled, read, and empty */
	VERDICT_GAP_UNREADABLE,	 /* CloudWatch could not be read up to here */
};

enum alarm_state { ALARM_UNKNOWN, ALARM_OK, ALARM_INSUFFICIENT, ALARM_ALARM, ALARM_MISSING };

/* What the verdict is asked about. */
struct verdict_question {
	const struct spec_analysis *analysis;
	const struct samples *samples;
	const enum alarm_state *alarms; /* one for each metric of the analysis; ALARM_UNKNOWN for the others */
	int64_t alarms_read_unix_ms;	/* when they were read; 0: never */
	int64_t now_unix_ms;
	int64_t rollout_from_unix_ms;  /* since when the canary has had traffic: verdict_from() */
	int64_t step_from_unix_ms;     /* since when the current weight holds */
	int64_t step_until_unix_ms;    /* end of its bake; data beyond it counts as well */
	int64_t read_through_unix_ms;  /* CloudWatch answered completely for everything before this */
	int64_t promoted_unix_ms;      /* when the canary got all traffic; 0: not yet. Periods that start later are
	                                  * read from the alias's own series where the version has none. */
	uint64_t step_min_invocations; /* the step's own; 0: none */
	struct counts history;	       /* of the stable version, before the canary had traffic */
	const struct spec_step *steps; /* what they weigh, rising, … */
	const int64_t *landed_unix_ms; /* … and when each of them landed; 0: not yet, or it is not known */
	size_t n_steps;
	uint32_t excused_alarms; /* bits by metric: in ALARM since before the start, which counts as OK */
};

/* Of one metric. */
struct metric_result {
	enum verdict verdict;
	enum verdict_gap gap;
	bool weighed;		/* by evidence: the next two mean something */
	double evidence;	/* natural logarithm of the e-value */
	double evidence_needed; /* to fail */
	char why[LIMIT_REASON]; /* a whole sentence with its numbers */
};

struct verdict_result {
	enum verdict verdict;
	enum verdict_gap gap;
	bool min_met;		   /* the step's own min_invocations are reached */
	int64_t through_unix_ms;   /* of the periods: those before this were settled and read, and so judged */
	size_t metric;		   /* index of the metric that decided, or n_metrics for the step's own minimum */
	struct counts canary_step; /* settled counts in the step's window */
	struct counts stable_step;
	struct counts canary_all; /* settled counts of the whole rollout */
	struct counts stable_all;
	struct counts probe_canary; /* rolloutd's own requests of the whole rollout: in none of those above */
	struct counts probe_stable;
	char why[LIMIT_REASON]; /* the deciding metric's */
	struct metric_result metrics[LIMIT_METRICS];
};

/* Whether any metric waits for data that is still to come, whatever others lack for good. */
bool verdict_awaits_data(const struct spec_analysis *a, const struct verdict_result *v);

void verdict_judge(const struct verdict_question *q, struct verdict_result *ret);

/* From when on a rollout is judged whose canary first got traffic then, while the stable version has served alone since
 * that time, 0: for long. The period of both is left out: in it are the requests of the rollout before, which may have
 * been of the same versions. */
int64_t verdict_from(int64_t first_traffic_unix_ms, int64_t stable_since_unix_ms, int64_t period_ms);
/* Start of the period that holds this time; of any grid of that spacing, before 1970 as well. */
int64_t verdict_period_start(int64_t unix_ms, int64_t period_ms);
/* End of the last period that overlaps [.., until), i.e. until rounded up to the period. */
int64_t verdict_period_end(int64_t until_unix_ms, int64_t period_ms);
/* When the evidence for a window that ends at `until` is complete and settled. */
int64_t verdict_settled_at(int64_t until_unix_ms, const struct spec_analysis *a);

const char *verdict_name(enum verdict v);	  /* "pass" "fail" "undecided" */
const char *verdict_gap_name(enum verdict_gap g); /* "none" "not-settled" "few" "no-data" "unreadable" */
