/*
 * What a rollout has read, judged and asked, in the SQLite store: samples, judgements, queries. Judgements are found
 * block after block like events, as schema.c explains.
 */
#include <string.h>

#include "base/error.h"
#include "base/limits.h"
#include "store/schema.h"
#include "store/sqlite.h"

/* Drops the rows that stand before `key`: a period's start, or a number in a row. */
static int drop(struct sqlite_store *s, enum sqlite_statement statement, uint64_t rollout_id, int64_t key)
{
	struct sqlite_query q = sqlite_query_start(s, statement);
	sqlite_query_bind_u64(&q, rollout_id);
	sqlite_query_bind_i64(&q, key);
	return sqlite_query_run(&q);
}

int sqlite_put_sample(struct store *store, const struct store_sample *x)
{
	struct sqlite_store *s = sqlite_of(store);
	int result = x->alone ? drop(s, ST_DROP_PERIOD, x->rollout_id, x->start_unix_ms) : 0;
	if (result)
		return result;
	struct sqlite_query q = sqlite_query_start(s, ST_PUT_SAMPLE);
	sqlite_query_bind_u64(&q, x->rollout_id);
	sqlite_query_bind_i64(&q, x->start_unix_ms);
	sqlite_query_bind_i64(&q, x->read_unix_ms);
	for (size_t i = 0; i < array_len(x->counts); i++)
		sqlite_query_bind_i64(&q, x->counts[i]);
	sqlite_query_bind_text_or_null(&q, x->values);
	for (size_t i = 0; i < array_len(x->probes); i++)
		sqlite_query_bind_i64(&q, x->probes[i]);
	return sqlite_query_run(&q);
}

int sqlite_drop_samples(struct store *store, uint64_t rollout_id, int64_t before_start_unix_ms)
{
	return drop(sqlite_of(store), ST_DROP_SAMPLES, rollout_id, before_start_unix_ms);
}

int sqlite_drop_judgements(struct sqlite_store *s, uint64_t rollout_id, uint64_t after_judgement_id, uint64_t seq)
{
	uint64_t last = s->last_judgement_id >> SCHEMA_ROLLOUT_BLOCK_BITS;
	int result = 0;
	for (uint64_t block = after_judgement_id >> SCHEMA_ROLLOUT_BLOCK_BITS; block <= last && !result; block++) {
		struct sqlite_query q = sqlite_query_start(s, ST_DROP_JUDGEMENTS);
		sqlite_query_bind_u64(&q, block);
		sqlite_query_bind_u64(&q, rollout_id);
		sqlite_query_bind_u64(&q, seq);
		result = sqlite_query_run(&q);
	}
	return result;
}

/* The id after which all of the rollout's judgements come; 0 of one that there is no record of. */
static int find_after(struct sqlite_store *s, uint64_t rollout_id, uint64_t *ret_after)
{
	struct sqlite_query q = sqlite_query_start(s, ST_FIND_AFTER_JUDGEMENT);
	sqlite_query_bind_u64(&q, rollout_id);
	uint64_t after = sqlite_query_next(&q) ? sqlite_query_u64(&q, 0) : 0;
	int result = sqlite_query_end(&q, 0);
	if (!result)
		*ret_after = after;
	return result;
}

static int drop_oldest(struct sqlite_store *s, const struct store_judgement *j)
{
	uint64_t after = 0;
	int result = find_after(s, j->rollout_id, &after);
	return result ? result : sqlite_drop_judgements(s, j->rollout_id, after, j->seq - LIMIT_JUDGEMENTS);
}

int sqlite_put_judgement(struct store *store, const struct store_judgement *j)
{
	struct sqlite_store *s = sqlite_of(store);
	struct sqlite_query q = sqlite_query_start(s, ST_PUT_JUDGEMENT);
	sqlite_query_bind_u64(&q, ++s->last_judgement_id);
	sqlite_query_bind_u64(&q, j->rollout_id);
	sqlite_query_bind_u64(&q, j->seq);
	sqlite_query_bind_i64(&q, j->unix_ms);
	sqlite_query_bind_i64(&q, j->through_unix_ms);
	sqlite_query_bind_i64(&q, j->step);
	sqlite_query_bind_i64(&q, j->weight_bp);
	sqlite_query_bind_text(&q, j->verdict);
	sqlite_query_bind_text(&q, j->gap);
	sqlite_query_bind_i64(&q, j->metric);
	sqlite_query_bind_text(&q, j->detail);
	sqlite_query_bind_text(&q, j->text);
	int result = sqlite_query_run(&q);
	if (!result && store_drops_judgements(j))
		result = drop_oldest(s, j);
	return result;
}

int sqlite_put_query(struct store *store, const struct store_query *x)
{
	struct sqlite_store *s = sqlite_of(store);
	struct sqlite_query q = sqlite_query_start(s, ST_FIND_QUERY);
	sqlite_query_bind_u64(&q, x->rollout_id);
	bool any = sqlite_query_next(&q);
	int64_t last = any ? sqlite_query_i64(&q, 0) : 0;
	bool known = any && strcmp(sqlite_query_text(&q, 1), store_text(x->text)) == 0;
	int result = sqlite_query_end(&q, 0);
	if (result || known)
		return result;

	q = sqlite_query_start(s, ST_PUT_QUERY);
	sqlite_query_bind_u64(&q, x->rollout_id);
	sqlite_query_bind_i64(&q, last + 1);
	sqlite_query_bind_i64(&q, x->unix_ms);
	sqlite_query_bind_text(&q, x->text);
	result = sqlite_query_run(&q);
	if (!result && last >= LIMIT_QUERIES)
		result = drop(s, ST_DROP_QUERIES, x->rollout_id, last + 1 - LIMIT_QUERIES);
	return result;
}

int sqlite_each_sample(struct store *store, uint64_t rollout_id, store_sample_cb cb, void *ctx)
{
	struct sqlite_query q = sqlite_query_start(sqlite_of(store), ST_EACH_SAMPLE);
	sqlite_query_bind_u64(&q, rollout_id);
	int result = 0;
	while (!result && sqlite_query_next(&q)) {
		struct store_sample x = {
		    .rollout_id = sqlite_query_u64(&q, 0),
		    .start_unix_ms = sqlite_query_i64(&q, 1),
		    .read_unix_ms = sqlite_query_i64(&q, 2),
		    .values = sqlite_query_text_or_null(&q, 9),
		};
		for (int i = 0; i < (int)array_len(x.counts); i++)
			x.counts[i] = sqlite_query_i64(&q, 3 + i);
		for (int i = 0; i < (int)array_len(x.probes); i++)
			x.probes[i] = sqlite_query_i64(&q, 10 + i);
		result = cb(ctx, &x);
	}
	return sqlite_query_end(&q, result);
}

static int walk_judgements(struct sqlite_query *q, store_judgement_cb cb, void *ctx)
{
	int result = 0;
	while (!result && sqlite_query_next(q)) {
		struct store_judgement j = {
		    .rollout_id = sqlite_query_u64(q, 1),
		    .seq = sqlite_query_u64(q, 2),
		    .unix_ms = sqlite_query_i64(q, 3),
		    .through_unix_ms = sqlite_query_i64(q, 4),
		    .step = (uint32_t)sqlite_query_i64(q, 5),
		    .weight_bp = (uint32_t)sqlite_query_i64(q, 6),
		    .verdict = sqlite_query_text(q, 7),
		    .gap = sqlite_query_text(q, 8),
		    .metric = (uint32_t)sqlite_query_i64(q, 9),
		    .detail = sqlite_query_text(q, 10),
		    .text = sqlite_query_text(q, 11),
		};
		result = cb(ctx, &j);
	}
	return sqlite_query_end(q, result);
}

int sqlite_each_judgement(struct store *store, uint64_t rollout_id, store_judgement_cb cb, void *ctx)
{
	struct sqlite_store *s = sqlite_of(store);
	uint64_t after = 0, last = s->last_judgement_id >> SCHEMA_ROLLOUT_BLOCK_BITS;
	int result = find_after(s, rollout_id, &after);
	for (uint64_t block = after >> SCHEMA_ROLLOUT_BLOCK_BITS; block <= last && !result; block++) {
		struct sqlite_query q = sqlite_query_start(s, ST_EACH_JUDGEMENT);
		sqlite_query_bind_u64(&q, block);
		sqlite_query_bind_u64(&q, rollout_id);
		result = walk_judgements(&q, cb, ctx);
	}
	return result;
}

int sqlite_each_query(struct store *store, uint64_t rollout_id, store_query_cb cb, void *ctx)
{
	struct sqlite_query q = sqlite_query_start(sqlite_of(store), ST_EACH_QUERY);
	sqlite_query_bind_u64(&q, rollout_id);
	int result = 0;
	while (!result && sqlite_query_next(&q)) {
		struct store_query x = {
		    .rollout_id = sqlite_query_u64(&q, 0),
		    .unix_ms = sqlite_query_i64(&q, 1),
		    .text = sqlite_query_text(&q, 2),
		};
		result = cb(ctx, &x);
	}
	return sqlite_query_end(&q, result);
}
