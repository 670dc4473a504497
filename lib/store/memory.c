/* The store in memory, for tests and the simulator: the same answers as the SQLite store, and nothing survives. */
#include <string.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/mem.h"
#include "store/memtable.h"
#include "store/ops.h"

struct memory_store {
	struct store base; /* must be first */
	struct memtable *rows;
	uint64_t last_rollout_id;
	uint64_t last_event_id;
};

static struct memory_store *memory_of(struct store *s)
{
	return (struct memory_store *)s;
}

static struct row_key numbers_key(enum row_kind kind, uint64_t a, uint64_t b)
{
	return (struct row_key){.kind = kind, .s = "", .t = "", .a = a, .b = b};
}

static struct row_key texts_key(enum row_kind kind, const char *s, const char *t)
{
	return (struct row_key){.kind = kind, .s = store_text(s), .t = store_text(t)};
}

static struct row_key named_key(enum row_kind kind, const char *name, uint64_t a)
{
	return (struct row_key){.kind = kind, .s = store_text(name), .t = "", .a = a};
}

static uint64_t time_key(int64_t unix_ms)
{
	return (uint64_t)unix_ms ^ UINT64_C(1) << 63;
}

static void put_index(struct memory_store *m, struct row_key key, uint64_t id)
{
	struct row *row = memtable_row_new(&key, NULL, 0);
	row->id = id;
	memtable_put(m->rows, row);
}

static void put_rollout_row(struct memory_store *m, const struct store_rollout *r)
{
	const char *texts[] = {r->name, r->alias_key, r->plan, r->plan_hash, r->record};
	struct row_key key = numbers_key(ROW_ROLLOUT, r->id, 0);
	struct row *row = memtable_row_new(&key, texts, array_len(texts));
	row->rollout = *r;
	row->rollout.name = texts[0];
	row->rollout.alias_key = texts[1];
	row->rollout.plan = texts[2];
	row->rollout.plan_hash = texts[3];
	row->rollout.record = texts[4];
	memtable_put(m->rows, row);
}

static struct row *find_rollout(struct memory_store *m, uint64_t id)
{
	struct row_key key = numbers_key(ROW_ROLLOUT, id, 0);
	return memtable_find(m->rows, &key);
}

static int memory_insert_rollout(struct store *s, const struct store_rollout *r, uint64_t *ret_id)
{
	struct memory_store *m = memory_of(s);
	struct row_key by_name = named_key(ROW_ROLLOUT_OF_NAME, r->name, r->attempt);
	if (memtable_find(m->rows, &by_name))
		return store_fail(s, STORE_CONFLICT, "attempt %llu of rollout \"%s\" is recorded already",
				  (unsigned long long)r->attempt, store_text(r->name));
	struct store_rollout stored = *r;
	stored.id = ++m->last_rollout_id;
	put_rollout_row(m, &stored);
	put_index(m, by_name, stored.id);
	*ret_id = stored.id;
	return 0;
}

static int memory_put_rollout(struct store *s, const struct store_rollout *r)
{
	struct memory_store *m = memory_of(s);
	const struct row *old = find_rollout(m, r->id);
	if (!old)
		return store_fail(s, STORE_NOT_FOUND, "there is no record of rollout %llu", (unsigned long long)r->id);
	if (old->rollout.revision != r->revision)
		return store_fail(s, STORE_CONFLICT, "the record of rollout %llu is at revision %llu, not at %llu",
				  (unsigned long long)r->id, (unsigned long long)old->rollout.revision,
				  (unsigned long long)r->revision);
	struct store_rollout stored = old->rollout;
	stored.record = r->record;
	stored.live = r->live;
	stored.updated_unix_ms = r->updated_unix_ms;
	stored.revision++;
	put_rollout_row(m, &stored);
	return 0;
}

static int memory_put_intent(struct store *s, const struct store_intent *i)
{
	const char *texts[] = {i->target, i->revision};
	struct row_key key = numbers_key(ROW_INTENT, i->rollout_id, i->seq);
	struct row *row = memtable_row_new(&key, texts, array_len(texts));
	row->intent = *i;
	row->intent.target = texts[0];
	row->intent.revision = texts[1];
	memtable_put(memory_of(s)->rows, row);
	return 0;
}

static int memory_put_event(struct store *s, const struct store_event *e, uint64_t *ret_id)
{
	struct memory_store *m = memory_of(s);
	uint64_t id = ++m->last_event_id;
	const char *texts[] = {e->name, e->kind, e->phase, e->text, e->by};
	struct row_key key = numbers_key(ROW_EVENT, id, 0);
	struct row *row = memtable_row_new(&key, texts, array_len(texts));
	row->event = *e;
	row->event.id = id;
	row->event.name = texts[0];
	row->event.kind = texts[1];
	row->event.phase = texts[2];
	row->event.text = texts[3];
	row->event.by = texts[4];
	memtable_put(m->rows, row);
	put_index(m, named_key(ROW_EVENT_OF_NAME, e->name, id), id);
	put_index(m, numbers_key(ROW_EVENT_OF_ROLLOUT, e->rollout_id, id), id);
	*ret_id = id;
	return 0;
}

/* Drops the rollout's rows of that kind with from <= b < before. */
static void drop_range(struct memory_store *m, enum row_kind kind, uint64_t rollout_id, uint64_t from, uint64_t before)
{
	struct row_key key = numbers_key(kind, rollout_id, from);
	const struct row *at;
	while ((at = memtable_after(m->rows, &key, true)) && at->key.a == rollout_id && at->key.b < before) {
		key = at->key;
		memtable_drop(m->rows, &key);
	}
}

static int memory_put_sample(struct store *s, const struct store_sample *x)
{
	struct memory_store *m = memory_of(s);
	const char *texts[] = {x->values};
	struct row_key key = numbers_key(ROW_SAMPLE, x->rollout_id, time_key(x->start_unix_ms));
	if (x->alone)
		drop_range(m, ROW_SAMPLE, x->rollout_id, key.b, key.b + 1);
	key.c = time_key(x->read_unix_ms);
	struct row *row = memtable_row_new(&key, texts, array_len(texts));
	row->sample = *x;
	row->sample.values = x->values ? texts[0] : NULL;
	row->sample.alone = false;
	memtable_put(m->rows, row);
	return 0;
}

static int memory_drop_samples(struct store *s, uint64_t rollout_id, int64_t before_start_unix_ms)
{
	drop_range(memory_of(s), ROW_SAMPLE, rollout_id, 0, time_key(before_start_unix_ms));
	return 0;
}

static int memory_put_judgement(struct store *s, const struct store_judgement *j)
{
	struct memory_store *m = memory_of(s);
	const char *texts[] = {j->verdict, j->gap, j->detail, j->text};
	struct row_key key = numbers_key(ROW_JUDGEMENT, j->rollout_id, j->seq);
	struct row *row = memtable_row_new(&key, texts, array_len(texts));
	row->judgement = *j;
	row->judgement.verdict = texts[0];
	row->judgement.gap = texts[1];
	row->judgement.detail = texts[2];
	row->judgement.text = texts[3];
	memtable_put(m->rows, row);
	if (store_drops_judgements(j))
		drop_range(m, ROW_JUDGEMENT, j->rollout_id, 0, j->seq - LIMIT_JUDGEMENTS + 1);
	return 0;
}

static int memory_put_query(struct store *s, const struct store_query *x)
{
	struct memory_store *m = memory_of(s);
	const char *texts[] = {x->text};
	struct row_key key = numbers_key(ROW_QUERY, x->rollout_id, UINT64_MAX);
	const struct row *newest = memtable_before(m->rows, &key, false);
	bool any = newest && newest->key.a == x->rollout_id;
	if (any && strcmp(newest->query.text, store_text(x->text)) == 0)
		return 0;
	key.b = any ? newest->key.b + 1 : 1;
	struct row *row = memtable_row_new(&key, texts, array_len(texts));
	row->query = *x;
	row->query.text = texts[0];
	memtable_put(m->rows, row);
	if (key.b > LIMIT_QUERIES)
		drop_range(m, ROW_QUERY, x->rollout_id, 0, key.b - LIMIT_QUERIES + 1);
	return 0;
}

static int memory_put_source(struct store *s, const struct store_source *x)
{
	const char *texts[] = {x->hash, x->name};
	struct row_key key = texts_key(ROW_SOURCE, x->source, NULL);
	struct row *row = memtable_row_new(&key, texts, array_len(texts));
	row->source = (struct store_source){.source = row->key.s, .hash = texts[0], .name = texts[1]};
	memtable_put(memory_of(s)->rows, row);
	return 0;
}

/* Nobody reads the reason and the time back; the SQLite store keeps them for whoever looks into the file. */
static int memory_put_quarantine(struct store *s, const char *alias_key, const char *code_hash, const char *reason,
				 int64_t unix_ms)
{
	(void)reason;
	(void)unix_ms;
	put_index(memory_of(s), texts_key(ROW_QUARANTINE, alias_key, code_hash), 0);
	return 0;
}

static int memory_drop_quarantine(struct store *s, const char *alias_key, const char *code_hash)
{
	struct row_key key = texts_key(ROW_QUARANTINE, alias_key, code_hash);
	memtable_drop(memory_of(s)->rows, &key);
	return 0;
}

static bool is_prunable(struct memory_store *m, const struct store_rollout *r, int64_t before_unix_ms, unsigned keep)
{
	if (r->live || r->updated_unix_ms >= before_unix_ms)
		return false;
	struct row_key key = named_key(ROW_ROLLOUT_OF_NAME, r->name, r->attempt);
	for (; keep > 0; keep--) {
		const struct row *newer = memtable_after(m->rows, &key, false);
		if (!newer || strcmp(newer->key.s, key.s) != 0)
			return false;
		key = newer->key;
	}
	return true;
}

/* The row's strings stay readable: what is dropped is freed at the end of the transaction. */
static void drop_event(struct memory_store *m, const struct store_event *e)
{
	struct row_key event = numbers_key(ROW_EVENT, e->id, 0);
	struct row_key by_name = named_key(ROW_EVENT_OF_NAME, e->name, e->id);
	struct row_key by_rollout = numbers_key(ROW_EVENT_OF_ROLLOUT, e->rollout_id, e->id);
	memtable_drop(m->rows, &event);
	memtable_drop(m->rows, &by_name);
	memtable_drop(m->rows, &by_rollout);
}

/* Drops the rollout's events from before that time, `limit` at most. */
static void drop_events(struct memory_store *m, uint64_t rollout_id, int64_t before_unix_ms, size_t limit)
{
	struct row_key key = numbers_key(ROW_EVENT_OF_ROLLOUT, rollout_id, 0);
	const struct row *at;
	while (limit > 0 && (at = memtable_after(m->rows, &key, false)) && at->key.a == rollout_id) {
		key = at->key;
		struct row_key event = numbers_key(ROW_EVENT, at->id, 0);
		const struct store_event *e = &memtable_find(m->rows, &event)->event;
		if (e->unix_ms < before_unix_ms) {
			drop_event(m, e);
			limit--;
		}
	}
}

static void drop_rollout(struct memory_store *m, const struct store_rollout *r)
{
	drop_events(m, r->id, INT64_MAX, SIZE_MAX);
	drop_range(m, ROW_INTENT, r->id, 0, UINT64_MAX);
	drop_range(m, ROW_SAMPLE, r->id, 0, UINT64_MAX);
	drop_range(m, ROW_JUDGEMENT, r->id, 0, UINT64_MAX);
	drop_range(m, ROW_QUERY, r->id, 0, UINT64_MAX);
	struct row_key by_name = named_key(ROW_ROLLOUT_OF_NAME, r->name, r->attempt);
	struct row_key by_id = numbers_key(ROW_ROLLOUT, r->id, 0);
	memtable_drop(m->rows, &by_name);
	memtable_drop(m->rows, &by_id);
}

static int memory_prune(struct store *s, int64_t before_unix_ms, unsigned keep)
{
	struct memory_store *m = memory_of(s);
	struct row_key key = numbers_key(ROW_ROLLOUT, 0, 0);
	size_t left = LIMIT_PRUNE_ROLLOUTS;
	const struct row *at;
	while (left > 0 && (at = memtable_after(m->rows, &key, false))) {
		key = at->key;
		if (is_prunable(m, &at->rollout, before_unix_ms, keep)) {
			drop_rollout(m, &at->rollout);
			left--;
		}
	}
	drop_events(m, 0, before_unix_ms, LIMIT_PRUNE_EVENTS);
	return 0;
}

static int memory_each_live(struct store *s, store_rollout_cb cb, void *ctx)
{
	struct memory_store *m = memory_of(s);
	struct row_key key = numbers_key(ROW_ROLLOUT, 0, 0);
	const struct row *at;
	int result = 0;
	while (!result && (at = memtable_after(m->rows, &key, false))) {
		key = at->key;
		if (at->rollout.live)
			result = cb(ctx, &at->rollout);
	}
	return result;
}

static int memory_each_latest(struct store *s, store_rollout_cb cb, void *ctx)
{
	struct memory_store *m = memory_of(s);
	struct row_key key = named_key(ROW_ROLLOUT_OF_NAME, "", 0);
	const struct row *at;
	int result = 0;
	while (!result && (at = memtable_after(m->rows, &key, true))) {
		/* The first attempt of the next name; its last one is what stands before the end of the name. */
		key = named_key(ROW_ROLLOUT_OF_NAME, at->key.s, UINT64_MAX);
		key.b = UINT64_MAX;
		at = memtable_before(m->rows, &key, true);
		key.s = at->key.s;
		result = cb(ctx, &find_rollout(m, at->id)->rollout);
	}
	return result;
}

static int memory_each_of_name(struct store *s, const char *name, unsigned limit, store_rollout_cb cb, void *ctx)
{
	struct memory_store *m = memory_of(s);
	struct row_key key =
	    name ? named_key(ROW_ROLLOUT_OF_NAME, name, UINT64_MAX) : numbers_key(ROW_ROLLOUT, UINT64_MAX, 0);
	const struct row *at;
	int result = 0;
	for (; !result && limit > 0 && (at = memtable_before(m->rows, &key, true)); limit--) {
		if (name && strcmp(at->key.s, name) != 0)
			break;
		key = at->key;
		result = cb(ctx, name ? &find_rollout(m, at->id)->rollout : &at->rollout);
		if (key.a == 0)
			break;
		key.a--;
	}
	return result;
}

/* The key from which the newest `limit` events begin. */
static struct row_key newest_events(struct memory_store *m, struct row_key key, unsigned limit)
{
	struct row_key first = key;
	first.a = UINT64_MAX;
	const struct row *at;
	for (; limit > 0 && (at = memtable_before(m->rows, &first, false)) && strcmp(at->key.s, key.s) == 0; limit--)
		first = at->key;
	return first;
}

static int memory_each_event(struct store *s, const char *name, uint64_t after, unsigned limit, store_event_cb cb,
			     void *ctx)
{
	struct memory_store *m = memory_of(s);
	struct row_key key = name ? named_key(ROW_EVENT_OF_NAME, name, after) : numbers_key(ROW_EVENT, after, 0);
	bool inclusive = after == 0;
	if (inclusive)
		key = newest_events(m, key, limit);
	const struct row *at;
	int result = 0;
	for (; !result && limit > 0 && (at = memtable_after(m->rows, &key, inclusive)); limit--) {
		if (name && strcmp(at->key.s, name) != 0)
			break;
		key = at->key;
		inclusive = false;
		struct row_key event = numbers_key(ROW_EVENT, at->key.a, 0);
		result = cb(ctx, &memtable_find(m->rows, &event)->event);
	}
	return result;
}

static int memory_each_intent(struct store *s, uint64_t rollout_id, store_intent_cb cb, void *ctx)
{
	struct row_key key = numbers_key(ROW_INTENT, rollout_id, 0);
	bool inclusive = true;
	const struct row *at;
	int result = 0;
	while (!result && (at = memtable_after(memory_of(s)->rows, &key, inclusive)) && at->key.a == rollout_id) {
		key = at->key;
		inclusive = false;
		result = cb(ctx, &at->intent);
	}
	return result;
}

static int memory_each_sample(struct store *s, uint64_t rollout_id, store_sample_cb cb, void *ctx)
{
	struct row_key key = numbers_key(ROW_SAMPLE, rollout_id, 0);
	bool inclusive = true;
	const struct row *at;
	int result = 0;
	while (!result && (at = memtable_after(memory_of(s)->rows, &key, inclusive)) && at->key.a == rollout_id) {
		key = at->key;
		inclusive = false;
		result = cb(ctx, &at->sample);
	}
	return result;
}

static int memory_each_judgement(struct store *s, uint64_t rollout_id, store_judgement_cb cb, void *ctx)
{
	struct row_key key = numbers_key(ROW_JUDGEMENT, rollout_id, 0);
	bool inclusive = true;
	const struct row *at;
	int result = 0;
	while (!result && (at = memtable_after(memory_of(s)->rows, &key, inclusive)) && at->key.a == rollout_id) {
		key = at->key;
		inclusive = false;
		result = cb(ctx, &at->judgement);
	}
	return result;
}

static int memory_each_query(struct store *s, uint64_t rollout_id, store_query_cb cb, void *ctx)
{
	struct row_key key = numbers_key(ROW_QUERY, rollout_id, 0);
	const struct row *at;
	int result = 0;
	while (!result && (at = memtable_after(memory_of(s)->rows, &key, false)) && at->key.a == rollout_id) {
		key = at->key;
		result = cb(ctx, &at->query);
	}
	return result;
}

static int memory_each_event_of(struct store *s, uint64_t rollout_id, unsigned limit, store_event_cb cb, void *ctx)
{
	struct memory_store *m = memory_of(s);
	struct row_key key = numbers_key(ROW_EVENT_OF_ROLLOUT, rollout_id, UINT64_MAX);
	const struct row *at;
	int result = 0;
	for (unsigned n = 0; n < limit && (at = memtable_before(m->rows, &key, false)) && at->key.a == rollout_id; n++)
		key = at->key;
	bool inclusive = true;
	while (!result && limit > 0 && (at = memtable_after(m->rows, &key, inclusive)) && at->key.a == rollout_id) {
		key = at->key;
		inclusive = false;
		limit--;
		struct row_key event = numbers_key(ROW_EVENT, at->id, 0);
		result = cb(ctx, &memtable_find(m->rows, &event)->event);
	}
	return result;
}

static int memory_each_source(struct store *s, store_source_cb cb, void *ctx)
{
	struct row_key key = texts_key(ROW_SOURCE, NULL, NULL);
	bool inclusive = true;
	const struct row *at;
	int result = 0;
	while (!result && (at = memtable_after(memory_of(s)->rows, &key, inclusive))) {
		key = at->key;
		inclusive = false;
		result = cb(ctx, &at->source);
	}
	return result;
}

static int memory_find_quarantine(struct store *s, const char *alias_key, const char *code_hash)
{
	struct row_key key = texts_key(ROW_QUARANTINE, alias_key, code_hash);
	return memtable_find(memory_of(s)->rows, &key) ? 0 : STORE_NOT_FOUND;
}

static int memory_begin(struct store *s)
{
	(void)s;
	return 0;
}

static int memory_commit(struct store *s)
{
	memtable_keep_changes(memory_of(s)->rows);
	return 0;
}

static void memory_abort(struct store *s)
{
	memtable_undo_changes(memory_of(s)->rows);
}

static int memory_check_owner(struct store *s)
{
	(void)s;
	return 0;
}

static bool memory_spend_reserve(struct store *s)
{
	(void)s;
	return false;
}

static void memory_close(struct store *s)
{
	struct memory_store *m = memory_of(s);
	memtable_free(m->rows);
	free(m);
}

static const struct store_ops memory_ops = {
    .close = memory_close,
    .check_owner = memory_check_owner,
    .begin = memory_begin,
    .commit = memory_commit,
    .abort = memory_abort,
    .spend_reserve = memory_spend_reserve,
    .insert_rollout = memory_insert_rollout,
    .put_rollout = memory_put_rollout,
    .put_intent = memory_put_intent,
    .put_event = memory_put_event,
    .put_sample = memory_put_sample,
    .drop_samples = memory_drop_samples,
    .put_judgement = memory_put_judgement,
    .put_query = memory_put_query,
    .put_source = memory_put_source,
    .put_quarantine = memory_put_quarantine,
    .drop_quarantine = memory_drop_quarantine,
    .prune = memory_prune,
    .each_live = memory_each_live,
    .each_latest = memory_each_latest,
    .each_of_name = memory_each_of_name,
    .each_event = memory_each_event,
    .each_event_of = memory_each_event_of,
    .each_intent = memory_each_intent,
    .each_sample = memory_each_sample,
    .each_judgement = memory_each_judgement,
    .each_query = memory_each_query,
    .each_source = memory_each_source,
    .find_quarantine = memory_find_quarantine,
};

struct store *store_open_memory(void)
{
	struct memory_store *m = mem_alloc(sizeof(*m));
	m->base.ops = &memory_ops;
	m->base.epoch = 1;
	m->rows = memtable_new();
	return &m->base;
}
