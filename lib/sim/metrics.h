/*
 * Metric series as CloudWatch keeps them: datapoints of a fixed resolution, known by namespace, name and the exact set
 * of dimensions in any order, which become visible only some time after their period has ended.
 *
 * A datapoint may have a second part that becomes visible later still: CloudWatch revises periods when reports of long
 * or delayed invocations arrive.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/prng.h"
#include "sim/table.h"

#define METRICS_DIMENSIONS_MAX 30    /* CloudWatch's own limit */
#define METRICS_POINTS_MAX     21600 /* of a series: 15 days of 60 s, which is CloudWatch's retention */
#define METRICS_CELLS_MAX      512   /* distinct values kept of one datapoint; more are put to their nearest */
#define METRICS_SERIES_MAX     400000

struct dimension {
	const char *name;
	const char *value;
};

struct metrics_settings {
	int64_t period_ms;  /* resolution of AWS/Lambda's own series */
	int64_t delay_ms;   /* from a period's end until it is visible */
	int64_t jitter_ms;  /* at most so much more, drawn for each datapoint */
	double late_share;  /* 0 … 1 of the requests are reported late */
	int64_t late_by_ms; /* how much later than the rest of their period */
	/* The series with ExecutedVersion goes on while the alias has no weights. AWS does not say; see the manual. */
	bool executed_version_always;
	uint32_t page_datapoints; /* GetMetricData gives at most so many a page; 0: what the caller asks for */
};

/* Statistics of a set of samples. */
struct stat {
	uint64_t n;
	double sum;
	double min;
	double max;
};

struct cell {
	double value;
	uint64_t n;
};

struct cells {
	struct cell *items; /* rising values */
	size_t len;
	size_t cap;
};

struct point {
	int64_t start_ms;
	int64_t length_ms;
	struct stat prompt;
	struct stat late;
	double jitter; /* 0 … 1 of the settings' jitter */
	struct cells cells;
};

struct series {
	char *namespace;
	char *name;
	char *unit;
	struct dimension *dimensions;
	size_t n_dimensions;
	bool own;	      /* the world's: delayed; else put by a client, and visible at once */
	struct point *points; /* rising start */
	size_t n_points;
	size_t cap;
};

struct metrics {
	struct metrics_settings settings;
	struct table series; /* canonical key -> struct series */
	struct prng prng;
};

void metrics_init(struct metrics *m, uint64_t seed);
void metrics_deinit(struct metrics *m);

/* Sorts a copy of the dimensions. The key is owned by the caller. */
char *metrics_key(const char *namespace, const char *name, const struct dimension *dimensions, size_t n);
struct series *metrics_find(const struct metrics *m, const char *namespace, const char *name,
			    const struct dimension *dimensions, size_t n); /* NULL if absent */
/* Finds or makes. NULL when there are METRICS_SERIES_MAX already. */
struct series *metrics_series(struct metrics *m, const char *namespace, const char *name, const char *unit,
			      const struct dimension *dimensions, size_t n, bool own);

void stat_add(struct stat *s, double value, uint64_t n);
void stat_merge(struct stat *into, const struct stat *from);
void cells_add(struct cells *c, double value, uint64_t n);
void cells_deinit(struct cells *c);

/* Adds samples that were taken at at_ms; `cells` may be NULL. */
void metrics_record(struct metrics *m, struct series *s, int64_t at_ms, int64_t resolution_ms,
		    const struct stat *prompt, const struct stat *late, const struct cells *cells);

enum metrics_statistic {
	STATISTIC_SUM,
	STATISTIC_SAMPLE_COUNT,
	STATISTIC_AVERAGE,
	STATISTIC_MINIMUM,
	STATISTIC_MAXIMUM,
	STATISTIC_PERCENTILE,
};

struct statistic {
	enum metrics_statistic kind;
	double percentile; /* 0 … 100 */
};

/* "Sum", "p99", "p99.9"; -EINVAL for what CloudWatch does not have, -ENOTSUP for what only this world does not have. */
must_use int statistic_parse(const char *text, struct statistic *ret);

struct value {
	int64_t start_ms;
	double value;
	double statistics[5]; /* by enum metrics_statistic: for what wants several at once */
};

struct values {
	struct value *items;
	size_t len;
	size_t cap;
};

/*
 * The visible values of start <= period < end, rising. Periods lie on multiples of period_ms. `extra_delay_ms` is added
 * to the publication delay of the world's own series.
 */
void metrics_read(const struct metrics *m, const struct series *s, int64_t start_ms, int64_t end_ms, int64_t period_ms,
		  const struct statistic *statistic, int64_t now_ms, int64_t extra_delay_ms, struct values *ret);
void values_deinit(struct values *v);
