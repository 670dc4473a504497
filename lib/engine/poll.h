/*
 * Inside the engine's polling only: one rollout's poll, and what its parts share. A poll has up to three parts, each of
 * them in a call together with other rollouts': its metrics, the stable version's history, its alarms.
 */
#pragma once

#include "aws/cloudwatch.h"
#include "engine/item.h"

/* One rollout's poll. It lives until all of its parts are answered. */
struct poll_entry {
	struct item *item; /* pinned */
	uint64_t seq;
	int64_t from_unix_ms;
	int64_t through_unix_ms;
	int64_t history_from_unix_ms;
	int64_t history_through_unix_ms; /* 0: not asked for */
	unsigned parts;			 /* still to be answered */
	bool failed;
	bool without_dry; /* CloudWatch refuses its queries, perhaps those that only run dry */
	bool alarms_read;
	enum alarm_state alarms[LIMIT_METRICS];
	struct counts history;
	char error[LIMIT_REASON];
};

/* poll.c */
void poll_part_done(struct poll_entry *p); /* frees it with the last one */
void poll_part_failed(struct poll_entry *p, const char *why);

/* --- poll_queries.c: what a rollout asks for, and where the answers go --- */

enum poll_series { POLL_CANARY, POLL_STABLE, POLL_ALIAS };

/* What a query is for. */
enum poll_purpose { POLL_COUNTS, POLL_VALUES, POLL_HISTORY };

/* One query of a call, kept small: there are tens of thousands of them at a time. */
struct poll_query {
	struct poll_entry *owner;
	uint8_t metric;	 /* enum cloudwatch_metric */
	uint8_t series;	 /* enum poll_series */
	uint8_t purpose; /* enum poll_purpose */
	uint8_t of;	 /* POLL_VALUES: index among the analysis's metrics … */
	uint8_t value;	 /* … and of which of its values */
	bool returns;	 /* data comes of it */
};

struct poll_list {
	struct poll_query *items;
	size_t len;
	size_t cap;
	size_t bytes; /* of the request that they take, at most */
};

/* Appends what the rollout asks for. What cannot be asked for fails the poll. */
void poll_list_metrics(struct poll_entry *p, struct poll_list *list);
void poll_list_history(struct poll_entry *p, struct poll_list *list);
void poll_query_make(const struct poll_query *q, struct cloudwatch_query *ret);
/* A datapoint of a query that returns some. */
void poll_take(const struct poll_query *q, int64_t unix_ms, double value);
bool poll_is_count(const struct poll_query *q);
/* Whether what becomes of it has no consequence for the rollout. */
bool poll_is_dry(const struct poll_query *q);

/* --- poll_metrics.c, poll_alarms.c: calls for the entries of one account and region --- */

void poll_metrics_start(struct engine *e, struct poll_entry **entries, size_t n, bool history);
size_t poll_alarms_count(const struct poll_entry *p);
void poll_alarms_start(struct engine *e, struct poll_entry **entries, size_t n);
