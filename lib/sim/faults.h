/*
 * Faults on request: which operation, what goes wrong, how often.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/prng.h"

#define FAULTS_MAX 256

enum fault_kind {
	FAULT_THROTTLE,
	FAULT_ERROR_500,
	FAULT_ERROR_503,
	FAULT_ACCESS_DENIED,
	FAULT_LOST_BEFORE, /* never applied, never answered */
	FAULT_LOST_AFTER,  /* applied, never answered */
	FAULT_LATE,	   /* applied `delay` later, never answered */
	FAULT_TWICE,	   /* applied and answered, and applied once more `delay` later */
	FAULT_DELAY,	   /* applied at once, answered `delay` later */
	FAULT_GARBAGE,	   /* applied; the answer is no JSON or XML */
	FAULT_HTML,	   /* a proxy's page with status 200; not applied */
	FAULT_TRUNCATED,   /* applied; the answer breaks off */
	FAULT_RESET,	   /* not applied; connection reset */
	FAULT_STALE,	   /* GetAlias answers what the alias was before its last change, if not older than `within` */
	FAULT_METRICS_MISSING,
	FAULT_METRICS_PARTIAL,
	FAULT_METRICS_ERROR,
	FAULT_METRICS_DELAY, /* publication takes `delay` longer */
	FAULT_N,
};

struct fault {
	enum fault_kind kind;
	char *op;	/* "UpdateAlias", or "*" */
	char *function; /* NULL: any */
	char *alias;	/* NULL: any */
	char *metric;	/* NULL: any; metrics_… only */
	char *version;	/* NULL: any ExecutedVersion; metrics_… only */
	int64_t delay_ms;
	int64_t within_ms;  /* stale only; INT64_MAX: however old */
	double probability; /* 0 … 1 */
	uint64_t from_call; /* the first matching call that it may strike, from 1 */
	int64_t times;	    /* so often; -1: always */
	bool close;	    /* lost_…, late: the connection is closed instead of left hanging */
	bool applied;	    /* error_500, error_503, garbage, html, truncated, reset: applied all the same */
	/* kept by the world */
	uint64_t calls;
	uint64_t struck;
};

struct faults {
	struct fault *items;
	size_t len;
	size_t cap;
};

void faults_deinit(struct faults *f);
void faults_clear(struct faults *f);
/* Takes over the strings. False when there are FAULTS_MAX already. */
bool faults_add(struct faults *f, struct fault *fault);
const char *fault_kind_name(enum fault_kind k);
bool fault_kind_is_metrics(enum fault_kind k);

/* The first fault that strikes this call; NULL: none. `function` and `alias` may be NULL. */
const struct fault *faults_strike(struct faults *f, struct prng *chance, const char *op, const char *function,
				  const char *alias);
/* The same for one metric of a GetMetricData or GetMetricStatistics call. */
const struct fault *faults_strike_metric(struct faults *f, struct prng *chance, const char *op, const char *function,
					 const char *alias, const char *metric, const char *version);
json_t *faults_json(const struct faults *f);
