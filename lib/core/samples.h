/*
 * What is known about one rollout, period by period: what CloudWatch has said, and what its own probes have met.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Counts of one version in one metric period. `seen` false: the metric has no datapoint, which is not the same as 0. */
struct counts {
	uint64_t invocations;
	uint64_t errors;
	bool seen;
};

struct sample {
	int64_t start_unix_ms; /* aligned to the period */
	struct counts canary;  /* ExecutedVersion = canary */
	struct counts stable;  /* ExecutedVersion = stable */
	struct counts alias;   /* the alias's own series, all versions together */
	/* rolloutd's own requests that were answered in the period. They are in none of the others: those are of the
	 * alias, and these go past it. */
	struct counts probe_canary;
	struct counts probe_stable;
};

/* Samples of one rollout, rising in time, no two of the same start. Owned by the engine. */
struct samples {
	struct sample *items;
	double *values;	 /* n_values for each of them, NAN where there is no datapoint; see spec_first_value() */
	size_t n_values; /* set once, while there are no samples */
	size_t cap_values;
	size_t len;
	size_t cap;
};

void samples_deinit(struct samples *s);
/* The sample of that period, added (empty) when it is new. NULL when it is older than everything kept and the cap is
 * reached. At the cap the oldest one goes. */
struct sample *samples_at(struct samples *s, int64_t start_unix_ms);
/* Its n_values values; NULL when there are none. */
double *samples_values(const struct samples *s, size_t index);
/* The index of the first sample that does not start before that time. */
size_t samples_find(const struct samples *s, int64_t from_unix_ms);
