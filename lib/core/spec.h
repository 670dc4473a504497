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
enum spec_metric_kind { SPEC_METRIC_ERRORS, SPEC_METRIC_ALARM };

struct spec_metric {
	enum spec_metric_kind kind;
	uint32_t max_rate_ppm;	  /* errors: fails above this share of the invocations */
	uint64_t min_invocations; /* errors: judged from this many on; >= 1 */
	const char *alarm;	  /* alarm: its name */
};

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

struct rollout_spec {
	const struct spec_step *steps; /* before 100 %; may be none */
	size_t n_steps;
	int64_t final_bake_ms; /* watched at 100 %; 0: none */
	uint64_t final_min_invocations;
	struct spec_analysis analysis;
	enum spec_reaction on_failure;
	bool start_manual; /* waits in pending for promote */
	bool pre_gate;	   /* something outside must agree before any traffic moves: EFFECT_GATE */
	bool post_gate;	   /* … and once all traffic is on the canary, before the final bake */
	int64_t soak_ms;   /* how long the alias that the version is taken from must have held it; 0: no matter */
};

/* Aborts unless all that is said above holds: whoever made it has not validated it. */
void spec_require(const struct rollout_spec *spec);

/* How long the rollout takes when everything passes, in ms: the bakes, and with pace `evidence` also the wait for each
 * step's last period to end and settle (the mean wait for the period's end is half a period). */
int64_t spec_expected_ms(const struct rollout_spec *spec);
/* The sum of the bakes alone. */
int64_t spec_bake_ms(const struct rollout_spec *spec);
