/*
 * MetricDataQueries that somebody wrote for a call of their own, made ready to stand in a call with others: their Ids
 * are replaced, and so is whatever refers to them in expressions, word by word. METRICS(), which means all metrics of
 * the call, is spelled out as the list of their own.
 */
#pragma once

#include <stddef.h>

#include "base/buf.h"

/* Of one set. AWS takes LIMIT_METRIC_QUERIES of all sets of a call together. */
#define CLOUDWATCH_VERBATIM_MAX	      20
#define CLOUDWATCH_VERBATIM_BYTES_MAX (48 * 1024)
#define CLOUDWATCH_ID_MAX	      255 /* AWS's own limit */

struct cloudwatch_verbatim;

/* `json`: an array of MetricDataQuery; `returns`: the Id of the one whose values are wanted. Returns 0, or 1 with a
 * clause that says what is wrong. */
must_use int cloudwatch_verbatim_new(const char *json, const char *returns, struct cloudwatch_verbatim **ret,
				     char *ret_error, size_t error_size);
void cloudwatch_verbatim_free(struct cloudwatch_verbatim *v); /* NULL is fine */

size_t cloudwatch_verbatim_count(const struct cloudwatch_verbatim *v);	 /* queries, 1 … CLOUDWATCH_VERBATIM_MAX */
size_t cloudwatch_verbatim_returns(const struct cloudwatch_verbatim *v); /* index of the one that returns data */
/* At most so many bytes are added. */
size_t cloudwatch_verbatim_bytes(const struct cloudwatch_verbatim *v);
/* The queries, without brackets, with Ids "q<first>", "q<first + 1>" … */
void cloudwatch_verbatim_add(const struct cloudwatch_verbatim *v, size_t first, struct buf *out);
