/* Rows of the SQLite store: what is written into them and read from them. */
#include "base/error.h"
#include "base/limits.h"
#include "store/sqlite.h"

/* The shape of ROLLOUT_COLUMNS. */
static struct store_rollout read_rollout(const struct sqlite_query *q)
{
	return (struct store_rollout){
	    .id = sqlite_query_u64(q, 0),
	    .name = sqlite_query_text(q, 1),
	    .attempt = sqlite_query_u64(q, 2),
	    .alias_key = sqlite_query_text(q, 3),
	    .live = sqlite_query_i64(q, 4) != 0,
	    .revision = sqlite_query_u64(q, 5),
	    .plan = sqlite_query_text(q, 6),
	    .plan_hash = sqlite_query_text(q, 7),
	    .record = sqlite_query_text(q, 8),
	    .created_unix_ms = sqlite_query_i64(q, 9),
	    .updated_unix_ms = sqlite_query_i64(q, 10),
	};
}

int sqlite_insert_rollout(struct store *store, const struct store_rollout *r, uint64_t *ret_id)
{
	struct sqlite_store *s = sqlite_of(store);
	uint64_t id = ++s->last_rollout_id;
	struct sqlite_query q = sqlite_query_start(s, ST_INSERT_ROLLOUT);
	sqlite_query_bind_u64(&q, id);
	sqlite_query_bind_text(&q, r->name);
	sqlite_query_bind_u64(&q, r->attempt);
	sqlite_query_bind_text(&q, r->alias_key);
	sqlite_query_bind_i64(&q, r->live);
	sqlite_query_bind_u64(&q, r->revision);
	sqlite_query_bind_text(&q, r->plan_hash);
	sqlite_query_bind_i64(&q, r->created_unix_ms);
	sqlite_query_bind_i64(&q, r->updated_unix_ms);
	sqlite_query_bind_u64(&q, s->last_event_id);
	sqlite_query_bind_u64(&q, s->last_judgement_id);
	sqlite_query_bind_text(&q, r->record);
	int result = sqlite_query_run(&q);
	if (result == STORE_CONFLICT)
		return store_fail(store, result, "attempt %llu of rollout \"%s\" is recorded already",
				  (unsigned long long)r->attempt, store_text(r->name));
	if (result)
		return result;

	q = sqlite_query_start(s, ST_INSERT_PLAN);
	sqlite_query_bind_u64(&q, id);
	sqlite_query_bind_text(&q, r->plan);
	result = sqlite_query_run(&q);
	if (!result)
		*ret_id = id;
	return result;
}

static int try_put(struct sqlite_store *s, enum sqlite_statement statement, const struct store_rollout *r,
		   bool *ret_changed)
{
	struct sqlite_query q = sqlite_query_start(s, statement);
	sqlite_query_bind_text(&q, r->record);
	sqlite_query_bind_i64(&q, r->updated_unix_ms);
	sqlite_query_bind_u64(&q, r->id);
	sqlite_query_bind_u64(&q, r->revision);
	sqlite_query_bind_i64(&q, r->live);
	int result = sqlite_query_run(&q);
	if (!result)
		*ret_changed = sqlite3_changes(s->db) > 0;
	return result;
}

/* Nothing matched: names why. */
static int explain_conflict(struct sqlite_store *s, const struct store_rollout *r)
{
	struct sqlite_query q = sqlite_query_start(s, ST_FIND_ROLLOUT);
	sqlite_query_bind_u64(&q, r->id);
	bool found = sqlite_query_next(&q);
	unsigned long long revision = found ? sqlite_query_u64(&q, 0) : 0;
	int result = sqlite_query_end(&q, 0);
	if (result)
		return result;
	if (!found)
		return store_fail(&s->base, STORE_NOT_FOUND, "there is no record of rollout %llu",
				  (unsigned long long)r->id);
	return store_fail(&s->base, STORE_CONFLICT, "the record of rollout %llu is at revision %llu, not at %llu",
			  (unsigned long long)r->id, revision, (unsigned long long)r->revision);
}

int sqlite_put_rollout(struct store *store, const struct store_rollout *r)
{
	struct sqlite_store *s = sqlite_of(store);
	/* `live` changes once, and an UPDATE that names it rewrites indexes: so first without it. */
	bool changed = false;
	int result = try_put(s, ST_PUT_ROLLOUT, r, &changed);
	if (!result && !changed)
		result = try_put(s, ST_PUT_ROLLOUT_LIVE, r, &changed);
	if (!result && !changed)
		result = explain_conflict(s, r);
	return result;
}

int sqlite_put_intent(struct store *store, const struct store_intent *i)
{
	struct sqlite_query q = sqlite_query_start(sqlite_of(store), ST_PUT_INTENT);
	sqlite_query_bind_u64(&q, i->rollout_id);
	sqlite_query_bind_u64(&q, i->seq);
	sqlite_query_bind_i64(&q, i->unix_ms);
	sqlite_query_bind_text(&q, i->target);
	sqlite_query_bind_text(&q, i->revision);
	return sqlite_query_run(&q);
}

int sqlite_put_source(struct store *store, const struct store_source *x)
{
	struct sqlite_query q = sqlite_query_start(sqlite_of(store), ST_PUT_SOURCE);
	sqlite_query_bind_text(&q, x->source);
	sqlite_query_bind_text(&q, x->hash);
	sqlite_query_bind_text(&q, x->name);
	return sqlite_query_run(&q);
}

int sqlite_put_quarantine(struct store *store, const char *alias_key, const char *code_hash, const char *reason,
			  int64_t unix_ms)
{
	struct sqlite_query q = sqlite_query_start(sqlite_of(store), ST_PUT_QUARANTINE);
	sqlite_query_bind_text(&q, alias_key);
	sqlite_query_bind_text(&q, code_hash);
	sqlite_query_bind_text(&q, reason);
	sqlite_query_bind_i64(&q, unix_ms);
	return sqlite_query_run(&q);
}

int sqlite_drop_quarantine(struct store *store, const char *alias_key, const char *code_hash)
{
	struct sqlite_query q = sqlite_query_start(sqlite_of(store), ST_DROP_QUARANTINE);
	sqlite_query_bind_text(&q, alias_key);
	sqlite_query_bind_text(&q, code_hash);
	return sqlite_query_run(&q);
}

static int drop_rollout(struct sqlite_store *s, uint64_t id, uint64_t after_event_id, uint64_t after_judgement_id)
{
	static const enum sqlite_statement parts[] = {
	    ST_PRUNE_INTENTS, ST_PRUNE_SAMPLES, ST_PRUNE_QUERIES, ST_PRUNE_PLAN, ST_PRUNE_ROLLOUT,
	};
	int result = sqlite_drop_events(s, id, after_event_id);
	if (!result)
		result = sqlite_drop_judgements(s, id, after_judgement_id, UINT64_MAX);
	for (size_t i = 0; i < array_len(parts) && !result; i++) {
		struct sqlite_query q = sqlite_query_start(s, parts[i]);
		sqlite_query_bind_u64(&q, id);
		result = sqlite_query_run(&q);
	}
	return result;
}

/* What has the highest id may be dropped; the next to come must not get the same. */
static int keep_last_ids(struct sqlite_store *s)
{
	struct sqlite_query q = sqlite_query_start(s, ST_KEEP_LAST_IDS);
	sqlite_query_bind_u64(&q, s->last_rollout_id);
	sqlite_query_bind_u64(&q, s->last_event_id);
	sqlite_query_bind_u64(&q, s->last_judgement_id);
	return sqlite_query_run(&q);
}

int sqlite_prune(struct store *store, int64_t before_unix_ms, unsigned keep)
{
	struct sqlite_store *s = sqlite_of(store);
	struct {
		uint64_t id;
		uint64_t after_event_id;
		uint64_t after_judgement_id;
	} old[LIMIT_PRUNE_ROLLOUTS];
	size_t n = 0;
	struct sqlite_query q = sqlite_query_start(s, ST_PRUNABLE);
	sqlite_query_bind_i64(&q, before_unix_ms);
	sqlite_query_bind_i64(&q, keep);
	sqlite_query_bind_i64(&q, LIMIT_PRUNE_ROLLOUTS);
	for (; n < array_len(old) && sqlite_query_next(&q); n++) {
		old[n].id = sqlite_query_u64(&q, 0);
		old[n].after_event_id = sqlite_query_u64(&q, 1);
		old[n].after_judgement_id = sqlite_query_u64(&q, 2);
	}
	int result = sqlite_query_end(&q, 0);
	for (size_t i = 0; i < n && !result; i++)
		result = drop_rollout(s, old[i].id, old[i].after_event_id, old[i].after_judgement_id);
	if (result)
		return result;

	q = sqlite_query_start(s, ST_PRUNE_LOOSE_EVENTS);
	sqlite_query_bind_i64(&q, before_unix_ms);
	sqlite_query_bind_i64(&q, LIMIT_PRUNE_EVENTS);
	result = sqlite_query_run(&q);
	s->platform->make_reserve(s->platform->ctx, s->reserve_path);
	return result ? result : keep_last_ids(s);
}

static int walk_rollouts(struct sqlite_query *q, store_rollout_cb cb, void *ctx)
{
	int result = 0;
	while (!result && sqlite_query_next(q)) {
		struct store_rollout r = read_rollout(q);
		result = cb(ctx, &r);
	}
	return sqlite_query_end(q, result);
}

int sqlite_each_live(struct store *store, store_rollout_cb cb, void *ctx)
{
	struct sqlite_query q = sqlite_query_start(sqlite_of(store), ST_EACH_LIVE);
	return walk_rollouts(&q, cb, ctx);
}

int sqlite_each_latest(struct store *store, store_rollout_cb cb, void *ctx)
{
	struct sqlite_query q = sqlite_query_start(sqlite_of(store), ST_EACH_LATEST);
	return walk_rollouts(&q, cb, ctx);
}

int sqlite_each_of_name(struct store *store, const char *name, unsigned limit, store_rollout_cb cb, void *ctx)
{
	struct sqlite_query q = sqlite_query_start(sqlite_of(store), name ? ST_EACH_OF_NAME : ST_EACH_ROLLOUT);
	if (name)
		sqlite_query_bind_text(&q, name);
	sqlite_query_bind_i64(&q, limit);
	return walk_rollouts(&q, cb, ctx);
}

int sqlite_each_intent(struct store *store, uint64_t rollout_id, store_intent_cb cb, void *ctx)
{
	struct sqlite_query q = sqlite_query_start(sqlite_of(store), ST_EACH_INTENT);
	sqlite_query_bind_u64(&q, rollout_id);
	int result = 0;
	while (!result && sqlite_query_next(&q)) {
		struct store_intent i = {
		    .rollout_id = sqlite_query_u64(&q, 0),
		    .seq = sqlite_query_u64(&q, 1),
		    .unix_ms = sqlite_query_i64(&q, 2),
		    .target = sqlite_query_text(&q, 3),
		    .revision = sqlite_query_text(&q, 4),
		};
		result = cb(ctx, &i);
	}
	return sqlite_query_end(&q, result);
}

int sqlite_each_source(struct store *store, store_source_cb cb, void *ctx)
{
	struct sqlite_query q = sqlite_query_start(sqlite_of(store), ST_EACH_SOURCE);
	int result = 0;
	while (!result && sqlite_query_next(&q)) {
		struct store_source x = {
		    .source = sqlite_query_text(&q, 0),
		    .hash = sqlite_query_text(&q, 1),
		    .name = sqlite_query_text(&q, 2),
		};
		result = cb(ctx, &x);
	}
	return sqlite_query_end(&q, result);
}

int sqlite_find_quarantine(struct store *store, const char *alias_key, const char *code_hash)
{
	struct sqlite_query q = sqlite_query_start(sqlite_of(store), ST_FIND_QUARANTINE);
	sqlite_query_bind_text(&q, alias_key);
	sqlite_query_bind_text(&q, code_hash);
	bool found = sqlite_query_next(&q);
	int result = sqlite_query_end(&q, 0);
	return result || found ? result : STORE_NOT_FOUND;
}
