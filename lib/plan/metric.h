/*
 * One metric of an analysis, from its record to the core's struct.
 */
#pragma once

#include "core/spec.h"
#include "plan/record.h"

/* The index of the metric that an item of `metrics` holds, the first by METRIC_…; METRIC_KNOWN if there is none. */
size_t metric_find(const struct record *item);
/* Of an item without an error; of NULL, the metric of a plan that names none. `probed`: the analysis has a `probe`.
 * Everything is copied into the arena. */
void metric_read(struct arena *a, const struct record *item, bool probed, struct spec_metric *ret);
/* Whether both watch the same, and fail alike; one of them may be a dry run. */
bool metric_same(const struct spec_metric *a, const struct spec_metric *b);
