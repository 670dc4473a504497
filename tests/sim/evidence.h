/*
 * What the daemon has been told by CloudWatch, kept by the checker: counts by alias, version and period, and how far
 * complete answers reach. Read from the requests and answers themselves, not with the product's parsers.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/http.h"
#include "tests/sim/script.h"

struct evidence;
struct delivery;

/* TOLD_BESIDE: the invocations that a plan's throttles are held against, which are asked for by themselves. */
enum told_metric { TOLD_INVOCATIONS, TOLD_ERRORS, TOLD_THROTTLES, TOLD_BESIDE, TOLD_DURATION, TOLD_QUERY };
enum told_how { TOLD_NOTHING, TOLD_DOUBTFUL, TOLD_FIRM };

struct evidence_counts {
	uint64_t invocations;
	uint64_t errors;
};

struct evidence *evidence_new(void);
void evidence_free(struct evidence *e); /* NULL is fine */

/* NULL: no GetMetricData, or an answer that says nothing. */
struct delivery *delivery_read(const struct http_request *r, const struct http_response *answer);
void delivery_free(struct delivery *d); /* NULL is fine */

/* `at_unix_ms`: the host's wall clock when it arrived. */
void evidence_take(struct evidence *e, const struct delivery *d, int64_t at_unix_ms);
/* Whether it was asked about that alias, and about no other. */
bool delivery_is_of(const struct delivery *d, unsigned alias);
bool delivery_is_of_alone(const struct delivery *d, unsigned alias);
/* Another rollout begins on that alias: what its predecessors were told is not what it knows. */
void evidence_forget(struct evidence *e, unsigned alias);
/* What was told so far is on the disk. */
void evidence_durable(struct evidence *e);
/* What was told since the last evidence_durable may be forgotten. */
void evidence_crash(struct evidence *e);

/* A version behind an alias, by periods of that length that lie within [from, until). */
struct evidence_window {
	unsigned alias;
	unsigned version;
	int64_t period_ms;
	int64_t from_unix_ms;
	int64_t until_unix_ms;
};

/* The sum of it. `firm`: only what no crash has made doubtful. */
struct evidence_counts evidence_count(const struct evidence *e, const struct evidence_window *w, bool firm);
/* What was told of one period, which begins at w->from_unix_ms. A query's value is of version 0. */
enum told_how evidence_value(const struct evidence *e, enum told_metric metric, const struct evidence_window *w,
			     double *ret);
/* How far the complete answers for that version reach, of those that arrived at or after `not_before`; 0: there is
 * none. */
int64_t evidence_complete_through(const struct evidence *e, unsigned alias, unsigned version, int64_t period_ms,
				  int64_t not_before_unix_ms, bool firm);
