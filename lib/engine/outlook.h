/*
 * When a plan would notice that a canary is worse, by arithmetic: what is expected of the counts, and when that is
 * enough for the verdict. It gives about the median of what lib/simulate finds by running the plan (test_outlook.c
 * holds them together), and takes no time, so that the daemon can tell it.
 *
 * `compare`: the evidence that is expected of each weight adds up until it reaches what is asked for. `max_rate`: the
 * chance that one of its windows exceeds the rate, with windows taken as independent of each other, until it is one
 * half. Both are then judged when their period has ended and settled.
 */
#pragma once

#include "core/samples.h"
#include "core/spec.h"

struct outlook_load {
	double rps;	    /* requests a second to the alias, >= 0 */
	double stable_rate; /* share that fails, 0 … 1 */
	double canary_rate;
};

enum outlook_end {
	OUTLOOK_NOTICED,   /* the rollout fails */
	OUTLOOK_UNNOTICED, /* it is over before */
	OUTLOOK_HELD,	   /* it is held for want of requests until hold_limit, before */
};

struct outlook {
	enum outlook_end end;
	int64_t after_ms; /* of the first weight */
};

void outlook_judge(const struct rollout_spec *spec, const struct outlook_load *load, struct outlook *ret);

/* Whether any metric counts errors: else nothing can be told, and the canary is never noticed. */
bool outlook_counts_errors(const struct rollout_spec *spec);
/* What the canary serves while the first weight bakes; 0 when nothing bakes. */
double outlook_first_requests(const struct rollout_spec *spec, double rps);
/* The lowest error rate that would show in these requests, by any metric; INFINITY: not even one of 100 %. */
double outlook_first_detectable(const struct rollout_spec *spec, const struct outlook_load *load);
