/*
 * struct rollout_spec: everything a plan says about *how* to roll out, validated and normalised. Immutable; lib/plan
 * makes it (and owns the memory), the core reads it. What was not validated has no way to become one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"

struct spec_step {
	uint32_t weight_bp;	  /* 1 … 9999, rising from step to step */
	int64_t bake_ms;	  /* > 0 */
	uint64_t min_invocations; /* of the canary in this step's window; 0: none asked */
	bool approve;		  /* then wait for an operator's promote */
};

enum spec_no_data { SPEC_NO_DATA_HOLD, SPEC_NO_DATA_PASS, SPEC_NO_DATA_ROLLBACK };
enum spec_reaction { SPEC_ROLLBACK, SPEC_PAUSE };
enum spec_pace { SPEC_PACE_EVIDENCE, SPEC_PACE_CLOCK };
enum spec_metric_kind {
	SPEC_METRIC_ERRORS,    /* against max_rate */
	SPEC_METRIC_COMPARE,   /* errors against the stable version's: core/evidence.h */
	SPEC_METRIC_THROTTLES, /* of the alias: throttled / (throttled + invocations), against max_rate */
	SPEC_METRIC_DURATION,  /* of the canary, against max and against the stable version's times max_ratio */
	SPEC_METRIC_API_5XX,   /* of a stage: 5XXError / Count, against max_rate */
	SPEC_METRIC_ALARM,
	SPEC_METRIC_QUERY, /* the value of a CloudWatch query, against min and max */
};

/* What a metric does not have is 0, NULL or false. */
struct spec_metric {
	enum spec_metric_kind kind;
	uint64_t min_invocations;     /* errors, compare: passes from this many of the canary's on; throttles, duration,
				   * api_5xx: a period is judged from this many on; >= 1 */
	uint32_t max_rate_ppm;	      /* errors, throttles, api_5xx: fails above this share */
	uint32_t false_alarm_ppm;     /* compare: 1 … 999999, the accepted chance for a whole rollout */
	uint32_t min_effect_permille; /* compare: > 1000; how much higher odds of failing matter */
	uint32_t failure_limit;	      /* all but compare and alarm: so many periods must fail; >= 1 */
	bool dry_run;		      /* judged and shown, without any consequence */
	bool count_probes;	      /* errors, compare: rolloutd's own requests count, too */
	const char *alarm;	      /* alarm: its name */
	const char *stat;	      /* duration: CloudWatch's statistic, "p99", "Average", "Maximum" */
	uint32_t max_us;	      /* duration: 0: none */
	uint32_t max_ratio_permille;  /* duration: 0: none */
	uint32_t warm_up_ms;	      /* duration: of the canary's first time with traffic not judged: cold starts */
	const char *api;	      /* api_5xx: the API's name (REST) or id (HTTP) … */
	bool http_api;		      /* … of which it is */
	const char *stage;
	const char *queries; /* query: the MetricDataQueries, a JSON array as it was written, without blanks */
	const char *returns; /* query: the Id of the one that returns data */
	bool has_min, has_max;
	double min, max; /* query: fails outside of [min, max] */
};

/* How many values a metric has in each period besides the counts of all of them (struct samples). */
#define SPEC_VALUES_MAX 2
/*
 *   throttles: throttles, invocations of the alias
 *   duration:  of the canary, of the stable version, in ms
 *   api_5xx:   answers with 5xx, requests
 *   query:     the value
 */
unsigned spec_metric_values(const struct spec_metric *m);

struct spec_analysis {
	int64_t every_ms;  /* > 0 */
	int64_t settle_ms; /* >= 0: age of a period, counted from its end, before it is believed */
	int64_t period_ms; /* 1, 5, 10, 30 s or whole minutes */
	enum spec_no_data no_data;
	int64_t hold_limit_ms; /* > 0 */
	enum spec_reaction on_hold_limit;
	enum spec_pace pace;
	const struct spec_metric *metrics;
	size_t n_metrics; /* 1 … LIMIT_METRICS */
};

/* Where that metric's values begin among those of all metrics; for n_metrics, how many there are. */
size_t spec_first_value(const struct spec_analysis *a, size_t metric);

/* Requests of rolloutd's own to the canary, and to the stable version where `compare` counts them, so that a quiet
 * function gives evidence. */
struct spec_probe {
	const char *payload; /* a file beneath the plans folder; NULL: no probing */
	int64_t every_ms;    /* one request to each in that time */
	unsigned line;	     /* where the plan names the file, from 1; for messages alone */
	unsigned column;
};

struct rollout_spec {
	const struct spec_step *steps; /* before 100 %; may be none */
	size_t n_steps;
	int64_t final_bake_ms; /* watched at 100 %; 0: none */
	uint64_t final_min_invocations;
	struct spec_analysis analysis;
	enum spec_reaction on_failure;
	struct spec_probe probe;
	/* The only step is an experiment: after it the traffic goes back, unless it goes on to 100 % as ever. */
	bool experiment;
	bool experiment_ends_home;
	bool start_manual; /* waits in pending for promote */
	bool pre_gate;	   /* something outside must agree before any traffic moves: EFFECT_GATE */
	bool post_gate;	   /* … and once all traffic is on the canary, before the final bake */
	int64_t soak_ms;   /* how long the alias that the version is taken from must have held it; 0: no matter */
};

/* Whether the stable version is probed as well: a metric compares probes. */
bool spec_probes_stable(const struct rollout_spec *spec);

/* Whether a metric that is acted upon counts probes as requests. */
bool spec_counts_probes(const struct spec_analysis *a);

/* Aborts unless all that is said above holds: whoever made it has not validated it. */
void spec_require(const struct rollout_spec *spec);

/* How long the rollout takes when everything passes, in ms: the bakes, and with pace `evidence` also the wait for each
 * step's last period to end and settle (the mean wait for the period's end is half a period). */
int64_t spec_expected_ms(const struct rollout_spec *spec);
/* The sum of the bakes alone. */
int64_t spec_bake_ms(const struct rollout_spec *spec);
