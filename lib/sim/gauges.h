/*
 * Gauges: metrics of a namespace of their own that have a value in each period without anybody putting it there, so
 * that a plan's query has something to look at. They are delayed as AWS's own are.
 */
#pragma once

#include "plan/node.h"
#include "sim/metrics.h"

#define GAUGES_MAX 1000

struct gauge {
	char *namespace;
	char *name;
	char *unit;
	struct dimension *dimensions;
	size_t n_dimensions;
	double value; /* NAN: none, until it is given one again */
};

struct gauges {
	struct gauge *items;
	size_t len;
	size_t cap;
	int64_t next_ms; /* when the next period begins; meaningful while there are any */
};

void gauges_deinit(struct gauges *g);
/* INT64_MAX: there are none. */
int64_t gauges_next_ms(const struct gauges *g);
/* Records the period that begins now. */
void gauges_record(struct gauges *g, struct metrics *m, int64_t now_ms);
/* Gives it another value. One that had none has it from this period on, any other from the next one on. */
void gauges_set(struct gauges *g, struct metrics *m, struct gauge *one, double value, int64_t now_ms);
/* Finds one by its namespace, name and dimensions, or makes it, without a value. NULL when there are GAUGES_MAX. */
struct gauge *gauges_put(struct gauges *g, const char *namespace, const char *name, const struct dimension *dimensions,
			 size_t n);
