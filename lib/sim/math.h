/*
 * Metric math: as much of CloudWatch's as tests and demos of plans need. Numbers, Ids, lists, + - * / ^, comparisons,
 * AND and OR; SUM, AVG, MIN, MAX over lists, ABS, CEIL, FLOOR, IF, FILL. All else is an error, as an expression that
 * CloudWatch does not understand is there.
 */
#pragma once

#include "base/mem.h"
#include "sim/metrics.h"

/* What an expression stands among. */
struct math_scope {
	struct arena *arena;
	/* The values of the query of that Id, in the arena or living as long. False: there is none, or it cannot be
	 * known. */
	bool (*find)(void *ctx, const char *id, struct values *ret);
	void *ctx;
	int64_t start_ms; /* the range that FILL fills */
	int64_t end_ms;
	int64_t period_ms;
};

/* *ret is in the arena: no values_deinit. False: ret_error is a sentence. */
bool math_evaluate(const struct math_scope *scope, const char *expression, struct values *ret, char *ret_error,
		   size_t error_size);
