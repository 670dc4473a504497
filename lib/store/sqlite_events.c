/*
 * Events of the SQLite store. They are found by name or rollout block after block, as schema.c explains: a look into a
 * block that has none is one search in an index, about a microsecond.
 */
#include "base/error.h"
#include "store/schema.h"
#include "store/sqlite.h"

/* The shape of EVENT_COLUMNS. */
static struct store_event read_event(const struct sqlite_query *q)
{
	return (struct store_event){
	    .id = sqlite_query_u64(q, 0),
	    .rollout_id = sqlite_query_u64(q, 1),
	    .name = sqlite_query_text(q, 2),
	    .unix_ms = sqlite_query_i64(q, 3),
	    .kind = sqlite_query_text(q, 4),
	    .phase = sqlite_query_text(q, 5),
	    .text = sqlite_query_text(q, 6),
	    .by = sqlite_query_text(q, 7),
	};
}

int sqlite_put_event(struct store *store, const struct store_event *e, uint64_t *ret_id)
{
	struct sqlite_store *s = sqlite_of(store);
	uint64_t id = ++s->last_event_id;
	struct sqlite_query q = sqlite_query_start(s, ST_PUT_EVENT);
	sqlite_query_bind_u64(&q, id);
	sqlite_query_bind_u64(&q, e->rollout_id);
	sqlite_query_bind_text(&q, e->name);
	sqlite_query_bind_i64(&q, e->unix_ms);
	sqlite_query_bind_text(&q, e->kind);
	sqlite_query_bind_text(&q, e->phase);
	sqlite_query_bind_text(&q, e->text);
	sqlite_query_bind_text(&q, e->by);
	int result = sqlite_query_run(&q);
	if (!result)
		*ret_id = id;
	return result;
}

/* The rollout's number was not known before it was inserted, so none of its events is older. */
int sqlite_drop_events(struct sqlite_store *s, uint64_t rollout_id, uint64_t after_event_id)
{
	uint64_t last = s->last_event_id >> SCHEMA_ROLLOUT_BLOCK_BITS;
	int result = 0;
	for (uint64_t block = after_event_id >> SCHEMA_ROLLOUT_BLOCK_BITS; block <= last && !result; block++) {
		struct sqlite_query q = sqlite_query_start(s, ST_PRUNE_EVENTS);
		sqlite_query_bind_u64(&q, block);
		sqlite_query_bind_u64(&q, rollout_id);
		result = sqlite_query_run(&q);
	}
	return result;
}

static int walk_events(struct sqlite_query *q, unsigned *left, store_event_cb cb, void *ctx)
{
	int result = 0;
	while (!result && sqlite_query_next(q)) {
		struct store_event e = read_event(q);
		--*left;
		result = cb(ctx, &e);
	}
	return sqlite_query_end(q, result);
}

/* Below the lowest id there is nothing to look for. */
static int find_first_event(struct sqlite_store *s, uint64_t *ret_id)
{
	struct sqlite_query q = sqlite_query_start(s, ST_FIRST_EVENT);
	uint64_t id = sqlite_query_next(&q) ? sqlite_query_u64(&q, 0) : 0;
	int result = sqlite_query_end(&q, 0);
	if (!result)
		*ret_id = id;
	return result;
}

/* What events are found by: a name or a rollout, each with the statements that look into one of its blocks. */
struct owner {
	const char *name; /* NULL: the rollout */
	uint64_t rollout_id;
	unsigned block_bits;
	enum sqlite_statement newest;
	enum sqlite_statement each;
};

static struct sqlite_query start_in_block(struct sqlite_store *s, enum sqlite_statement statement, uint64_t block,
					  const struct owner *o)
{
	struct sqlite_query q = sqlite_query_start(s, statement);
	sqlite_query_bind_u64(&q, block);
	if (o->name)
		sqlite_query_bind_text(&q, o->name);
	else
		sqlite_query_bind_u64(&q, o->rollout_id);
	return q;
}

/* The id after which the owner's newest `limit` events come; none of them is older than `first`. */
static int find_newest(struct sqlite_store *s, const struct owner *o, unsigned limit, uint64_t first,
		       uint64_t *ret_after)
{
	uint64_t oldest = s->last_event_id + 1;
	uint64_t first_block = first >> o->block_bits;
	int result = 0;
	for (uint64_t block = oldest >> o->block_bits; limit > 0 && !result; block--) {
		struct sqlite_query q = start_in_block(s, o->newest, block, o);
		sqlite_query_bind_i64(&q, limit);
		for (; sqlite_query_next(&q); limit--)
			oldest = sqlite_query_u64(&q, 0);
		result = sqlite_query_end(&q, 0);
		if (block <= first_block)
			break;
	}
	if (!result)
		*ret_after = oldest - 1;
	return result;
}

static int each_after(struct sqlite_store *s, const struct owner *o, uint64_t after, unsigned limit, store_event_cb cb,
		      void *ctx)
{
	uint64_t last = s->last_event_id >> o->block_bits;
	int result = 0;
	for (uint64_t block = after >> o->block_bits; block <= last && limit > 0 && !result; block++) {
		struct sqlite_query q = start_in_block(s, o->each, block, o);
		sqlite_query_bind_u64(&q, after);
		sqlite_query_bind_i64(&q, limit);
		result = walk_events(&q, &limit, cb, ctx);
	}
	return result;
}

static int each_of_name(struct sqlite_store *s, const char *name, uint64_t after, unsigned limit, store_event_cb cb,
			void *ctx)
{
	struct owner o = {.name = name,
			  .block_bits = SCHEMA_NAME_BLOCK_BITS,
			  .newest = ST_FIND_NEWEST_OF_NAME,
			  .each = ST_EACH_EVENT_OF_NAME};
	uint64_t first = 0;
	int result = find_first_event(s, &first);
	if (!result && after == 0)
		result = find_newest(s, &o, limit, first, &after);
	if (after < first)
		after = first - 1;
	return result ? result : each_after(s, &o, after, limit, cb, ctx);
}

/* The rollout's number was not known before it was inserted, so none of its events is older. */
int sqlite_each_event_of(struct store *store, uint64_t rollout_id, unsigned limit, store_event_cb cb, void *ctx)
{
	struct sqlite_store *s = sqlite_of(store);
	struct owner o = {.rollout_id = rollout_id,
			  .block_bits = SCHEMA_ROLLOUT_BLOCK_BITS,
			  .newest = ST_FIND_NEWEST_OF_ROLLOUT,
			  .each = ST_EACH_EVENT_OF_ROLLOUT};
	struct sqlite_query q = sqlite_query_start(s, ST_FIND_AFTER_EVENT);
	sqlite_query_bind_u64(&q, rollout_id);
	bool found = sqlite_query_next(&q);
	uint64_t after = found ? sqlite_query_u64(&q, 0) : 0;
	int result = sqlite_query_end(&q, 0);
	if (!result && found)
		result = find_newest(s, &o, limit, after, &after);
	return result || !found ? result : each_after(s, &o, after, limit, cb, ctx);
}

int sqlite_each_event(struct store *store, const char *name, uint64_t after, unsigned limit, store_event_cb cb,
		      void *ctx)
{
	struct sqlite_store *s = sqlite_of(store);
	if (name)
		return each_of_name(s, name, after, limit, cb, ctx);
	struct sqlite_query q = sqlite_query_start(s, after == 0 ? ST_EACH_NEWEST_EVENT : ST_EACH_EVENT);
	if (after > 0)
		sqlite_query_bind_u64(&q, after);
	sqlite_query_bind_i64(&q, limit);
	return walk_events(&q, &limit, cb, ctx);
}
