/*
 * What an implementation of the store gives: the same calls as store.h, without the checks that store.c makes for all
 * of them (a transaction is open where one is needed and has not failed; no string is too long). Private to lib/store.
 */
#pragma once

#include "base/limits.h"
#include "store/store.h"

struct store_ops {
	void (*close)(struct store *s); /* frees; no transaction is open */
	int (*check_owner)(struct store *s);
	int (*begin)(struct store *s);
	int (*commit)(struct store *s);
	void (*abort)(struct store *s);
	bool (*spend_reserve)(struct store *s);

	int (*insert_rollout)(struct store *s, const struct store_rollout *r, uint64_t *ret_id);
	int (*put_rollout)(struct store *s, const struct store_rollout *r);
	int (*put_intent)(struct store *s, const struct store_intent *i);
	int (*put_event)(struct store *s, const struct store_event *e, uint64_t *ret_id);
	int (*put_sample)(struct store *s, const struct store_sample *x);
	int (*drop_samples)(struct store *s, uint64_t rollout_id, int64_t before_start_unix_ms);
	int (*put_judgement)(struct store *s, const struct store_judgement *j);
	int (*put_query)(struct store *s, const struct store_query *x);
	int (*put_source)(struct store *s, const struct store_source *x);
	int (*put_quarantine)(struct store *s, const char *alias_key, const char *code_hash, const char *reason,
			      int64_t unix_ms);
	int (*drop_quarantine)(struct store *s, const char *alias_key, const char *code_hash);
	int (*prune)(struct store *s, int64_t before_unix_ms, unsigned keep);

	int (*each_live)(struct store *s, store_rollout_cb cb, void *ctx);
	int (*each_latest)(struct store *s, store_rollout_cb cb, void *ctx);
	int (*each_of_name)(struct store *s, const char *name, unsigned limit, store_rollout_cb cb, void *ctx);
	int (*each_event)(struct store *s, const char *name, uint64_t after, unsigned limit, store_event_cb cb,
			  void *ctx);
	int (*each_event_of)(struct store *s, uint64_t rollout_id, unsigned limit, store_event_cb cb, void *ctx);
	int (*each_intent)(struct store *s, uint64_t rollout_id, store_intent_cb cb, void *ctx);
	int (*each_sample)(struct store *s, uint64_t rollout_id, store_sample_cb cb, void *ctx);
	int (*each_judgement)(struct store *s, uint64_t rollout_id, store_judgement_cb cb, void *ctx);
	int (*each_query)(struct store *s, uint64_t rollout_id, store_query_cb cb, void *ctx);
	int (*each_source)(struct store *s, store_source_cb cb, void *ctx);
	int (*find_quarantine)(struct store *s, const char *alias_key, const char *code_hash);
};

#define STORE_ERROR_SIZE 1024

/* The first member of every implementation's own struct. */
struct store {
	const struct store_ops *ops;
	uint64_t epoch;
	bool in_transaction;
	int failed; /* what the open transaction failed with: it can only be aborted now */
	char error[STORE_ERROR_SIZE];
};

/* Keeps the sentence for store_error_text and returns result. */
int store_fail(struct store *s, int result, const char *fmt, ...) printf_like(3, 4);
/* The same for an open that failed, when there is no store to keep it. */
void store_keep_open_error(const char *text);

/* Whether the oldest of that rollout's make room now: not at each put, since to find them takes a while. */
static inline bool store_drops_judgements(const struct store_judgement *j)
{
	return j->seq > LIMIT_JUDGEMENTS && j->seq % LIMIT_JUDGEMENTS_MORE == 0;
}

static inline const char *store_text(const char *s)
{
	return s ? s : "";
}
