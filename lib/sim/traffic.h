/*
 * Requests: those of the traffic generator, drawn slice by slice, and those of Invoke. Both choose a version by the
 * alias's weights, behave as the version says, and are counted and measured the same way.
 */
#pragma once

#include "sim/model.h"

struct request_result {
	struct version *version; /* that was chosen */
	bool throttled;
	bool refused; /* the version is not Active: it ran nothing, which no metric shows */
	bool failed;
	double duration_ms;
};

/* One invocation at the world's time, through `alias` (NULL: none) or of `version`; recorded in metrics and usage.
 * `user` NULL: nobody in particular. */
void traffic_invoke(struct world *w, struct function *f, struct alias *alias, struct version *version,
		    const uint64_t *user, struct request_result *ret);
/* One slice of generated traffic, which starts at start_ms and is w->slice_ms long. */
void traffic_tick(struct world *w, int64_t start_ms);
/* False when there are TRAFFIC_MAX; one for the same alias is replaced. Copies the names. */
bool traffic_set(struct world *w, const char *function, const char *alias, double rps, bool even, uint64_t users);
/* Requests that somebody else has drawn: so many of one version's at that time, of which so many failed; each took a
 * millisecond. Measured as those above are, and part of no version's usage. */
void traffic_count(struct world *w, struct function *f, struct alias *a, const struct version *v, int64_t at_ms,
		   uint64_t requests, uint64_t errors);
