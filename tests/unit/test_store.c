/* The store's interface, each case on both implementations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/mem.h"
#include "store/store.h"

static char folder[64];

static int open_memory(void **state)
{
	*state = store_open_memory();
	return 0;
}

static char *state_path(void)
{
	return mem_printf("%s/state.db", folder);
}

static int open_sqlite(void **state)
{
	snprintf(folder, sizeof(folder), "/tmp/rollout-test-store-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	cleanup(mem_free_p) char *path = state_path();
	return store_open_sqlite(path, (struct store **)state);
}

static int close_memory(void **state)
{
	store_close(*state);
	return 0;
}

static int close_sqlite(void **state)
{
	store_close(*state);
	static const char *const suffixes[] = {"", "-wal", "-shm", ".lock", ".reserve"};
	cleanup(mem_free_p) char *path = state_path();
	for (size_t i = 0; i < array_len(suffixes); i++) {
		cleanup(mem_free_p) char *file = mem_printf("%s%s", path, suffixes[i]);
		unlink(file);
	}
	return rmdir(folder);
}

/* --- what the cases are written with --- */

static void begin(struct store *s)
{
	assert_int_equal(store_begin(s), 0);
}

static void commit(struct store *s)
{
	assert_int_equal(store_commit(s), 0);
}

static struct store_rollout sample_rollout(const char *name, uint64_t attempt)
{
	return (struct store_rollout){
	    .name = name,
	    .attempt = attempt,
	    .alias_key = "default/us-east-1/hello/prod",
	    .live = true,
	    .plan = "kind: Rollout",
	    .plan_hash = "cafe",
	    .record = "{\"v\":1}",
	    .created_unix_ms = 1000,
	    .updated_unix_ms = 1000,
	};
}

static uint64_t insert(struct store *s, const char *name, uint64_t attempt)
{
	struct store_rollout r = sample_rollout(name, attempt);
	uint64_t id = 0;
	assert_int_equal(store_insert_rollout(s, &r, &id), 0);
	assert_true(id > 0);
	return id;
}

/* Replaces the record at that revision. */
static int put(struct store *s, uint64_t id, uint64_t revision, bool live, int64_t unix_ms)
{
	struct store_rollout r = {
	    .id = id,
	    .revision = revision,
	    .live = live,
	    .record = live ? "{\"v\":1,\"step\":2}" : "{\"v\":1,\"done\":true}",
	    .updated_unix_ms = unix_ms,
	};
	return store_put_rollout(s, &r);
}

static uint64_t event(struct store *s, uint64_t rollout_id, const char *name, int64_t unix_ms, const char *text)
{
	struct store_event e = {
	    .rollout_id = rollout_id,
	    .name = name,
	    .unix_ms = unix_ms,
	    .kind = "phase",
	    .phase = "progressing",
	    .text = text,
	    .by = "uid=1000 pid=77",
	};
	uint64_t id = 0;
	assert_int_equal(store_put_event(s, &e, &id), 0);
	assert_true(id > 0);
	return id;
}

/* Walks are compared as texts: one word for each row. */
struct words {
	char text[16384];
	unsigned stop_after; /* 0: never */
	unsigned count;
};

static int add_word(struct words *w, const char *word)
{
	size_t len = strlen(w->text);
	snprintf(w->text + len, sizeof(w->text) - len, "%s%s", len > 0 ? " " : "", word);
	return ++w->count == w->stop_after ? 77 : 0;
}

static int rollout_word(void *ctx, const struct store_rollout *r)
{
	char word[256];
	snprintf(word, sizeof(word), "%s/%u@%u%s", r->name, (unsigned)r->attempt, (unsigned)r->revision,
		 r->live ? "" : "!");
	return add_word(ctx, word);
}

static int event_word(void *ctx, const struct store_event *e)
{
	return add_word(ctx, e->text);
}

static int intent_word(void *ctx, const struct store_intent *i)
{
	char word[256];
	snprintf(word, sizeof(word), "%u:%u:%u:%s:%s", (unsigned)i->rollout_id, (unsigned)i->seq, (unsigned)i->unix_ms,
		 i->target, i->revision);
	return add_word(ctx, word);
}

static int sample_word(void *ctx, const struct store_sample *x)
{
	char word[256];
	snprintf(word, sizeof(word), "%lld:%lld,%lld,%lld,%lld,%lld,%lld", (long long)x->start_unix_ms,
		 (long long)x->counts[0], (long long)x->counts[1], (long long)x->counts[2], (long long)x->counts[3],
		 (long long)x->counts[4], (long long)x->counts[5]);
	return add_word(ctx, word);
}

static int seq_word(void *ctx, const struct store_judgement *j)
{
	char word[32];
	snprintf(word, sizeof(word), "%u", (unsigned)j->seq);
	return add_word(ctx, word);
}

static int query_word(void *ctx, const struct store_query *x)
{
	return add_word(ctx, x->text);
}

static int source_word(void *ctx, const struct store_source *x)
{
	char word[256];
	snprintf(word, sizeof(word), "%s=%s=%s", x->source, x->hash, x->name);
	return add_word(ctx, word);
}

#define check_walk(wanted, walk, s, ...)                                                                               \
	do {                                                                                                           \
		struct words w_ = {.text = ""};                                                                        \
		assert_int_equal(walk(s, __VA_ARGS__, &w_), 0);                                                        \
		assert_string_equal(w_.text, wanted);                                                                  \
	} while (0)

/* --- the cases --- */

static int keep_rollout(void *ctx, const struct store_rollout *r)
{
	struct store_rollout *kept = ctx;
	assert_string_equal(r->name, "hello");
	assert_string_equal(r->alias_key, "default/us-east-1/hello/prod");
	assert_string_equal(r->plan, "kind: Rollout");
	assert_string_equal(r->plan_hash, "cafe");
	*kept = *r;
	return 0;
}

static void test_rollout(void **state)
{
	struct store *s = *state;
	assert_true(store_epoch(s) >= 1);
	begin(s);
	uint64_t id = insert(s, "hello", 1);
	commit(s);
	struct store_rollout r = {0};
	assert_int_equal(store_each_live(s, keep_rollout, &r), 0);
	assert_int_equal(r.id, id);
	assert_int_equal(r.attempt, 1);
	assert_int_equal(r.revision, 0);
	assert_true(r.live);
	assert_int_equal(r.created_unix_ms, 1000);

	begin(s);
	assert_int_equal(put(s, id, 0, true, 2000), 0);
	commit(s);
	assert_int_equal(store_each_live(s, keep_rollout, &r), 0);
	assert_int_equal(r.revision, 1);
	assert_int_equal(r.updated_unix_ms, 2000);
	assert_int_equal(r.created_unix_ms, 1000);

	begin(s);
	assert_int_equal(put(s, id, 1, false, 3000), 0);
	commit(s);
	check_walk("", store_each_live, s, rollout_word);
	check_walk("hello/1@2!", store_each_latest, s, rollout_word);
	/* An ended one may come back to life: `rollback` of a succeeded rollout. */
	begin(s);
	assert_int_equal(put(s, id, 2, true, 4000), 0);
	commit(s);
	check_walk("hello/1@3", store_each_live, s, rollout_word);
}

static int check_record(void *ctx, const struct store_rollout *r)
{
	assert_string_equal(r->record, ctx);
	return 0;
}

/* What cannot be parsed is handed out as it is: judging it is the engine's business. */
static void test_any_record(void **state)
{
	struct store *s = *state;
	static const char record[] = "not JSON \xff\xfe '\"; DROP TABLE rollouts; --\n\x01";
	struct store_rollout r = sample_rollout("hello", 1);
	r.record = record;
	uint64_t id;
	begin(s);
	assert_int_equal(store_insert_rollout(s, &r, &id), 0);
	commit(s);
	assert_int_equal(store_each_live(s, check_record, (void *)record), 0);
}

static void test_conflict(void **state)
{
	struct store *s = *state;
	begin(s);
	uint64_t id = insert(s, "hello", 1);
	commit(s);
	begin(s);
	assert_int_equal(put(s, id, 1, true, 2000), STORE_CONFLICT);
	assert_non_null(strstr(store_error_text(s), "at revision 0, not at 1"));
	store_abort(s);
	begin(s);
	assert_int_equal(put(s, id, 1, false, 2000), STORE_CONFLICT); /* with another `live` too */
	store_abort(s);
	begin(s);
	assert_int_equal(put(s, id + 1, 0, true, 2000), STORE_NOT_FOUND);
	store_abort(s);
	begin(s);
	struct store_rollout again = sample_rollout("hello", 1);
	uint64_t other = 4711;
	assert_int_equal(store_insert_rollout(s, &again, &other), STORE_CONFLICT);
	assert_int_equal(other, 4711);
	assert_non_null(strstr(store_error_text(s), "attempt 1 of rollout \"hello\""));
	store_abort(s);
	check_walk("hello/1@0", store_each_live, s, rollout_word);
	/* Twice in one transaction: the second has to know of the first. */
	begin(s);
	assert_int_equal(put(s, id, 0, true, 2000), 0);
	assert_int_equal(put(s, id, 0, true, 2000), STORE_CONFLICT);
	store_abort(s);
	begin(s);
	assert_int_equal(put(s, id, 0, true, 2000), 0);
	assert_int_equal(put(s, id, 1, true, 2000), 0);
	commit(s);
	check_walk("hello/1@2", store_each_live, s, rollout_word);
}

static void put_flight(struct store *s, uint64_t rollout_id)
{
	struct store_judgement j = {.rollout_id = rollout_id, .seq = 1, .verdict = "pass", .detail = "{}"};
	assert_int_equal(store_put_judgement(s, &j), 0);
	struct store_query q = {.rollout_id = rollout_id, .unix_ms = 5, .text = "[]"};
	assert_int_equal(store_put_query(s, &q), 0);
}

static void fill(struct store *s, uint64_t *ret_id)
{
	*ret_id = insert(s, "hello", 1);
	event(s, *ret_id, "hello", 1, "one");
	event(s, 0, "", 2, "two");
	struct store_intent i = {
	    .rollout_id = *ret_id, .seq = 1, .unix_ms = 3, .target = "1 + 2@1000bp", .revision = "r1"};
	assert_int_equal(store_put_intent(s, &i), 0);
	struct store_sample x = {.rollout_id = *ret_id, .start_unix_ms = 60000, .counts = {1, 2, 3, 4, 5, -1}};
	assert_int_equal(store_put_sample(s, &x), 0);
	put_flight(s, *ret_id);
	struct store_source f = {.source = "hello.yaml", .hash = "h1", .name = "hello"};
	assert_int_equal(store_put_source(s, &f), 0);
	assert_int_equal(store_put_quarantine(s, "alias", "code", "it failed", 4), 0);
}

static void check_empty(struct store *s, uint64_t id)
{
	check_walk("", store_each_live, s, rollout_word);
	check_walk("", store_each_latest, s, rollout_word);
	check_walk("", store_each_of_name, s, NULL, 10, rollout_word);
	check_walk("", store_each_event, s, NULL, 0, 10, event_word);
	check_walk("", store_each_intent, s, id, intent_word);
	check_walk("", store_each_sample, s, id, sample_word);
	check_walk("", store_each_judgement, s, id, seq_word);
	check_walk("", store_each_query, s, id, query_word);
	check_walk("", store_each_event_of, s, id, 10, event_word);
	check_walk("", store_each_source, s, source_word);
	assert_int_equal(store_find_quarantine(s, "alias", "code"), STORE_NOT_FOUND);
}

static void check_filled(struct store *s, uint64_t id)
{
	check_walk("hello/1@0", store_each_live, s, rollout_word);
	check_walk("one two", store_each_event, s, NULL, 0, 10, event_word);
	char wanted[64];
	snprintf(wanted, sizeof(wanted), "%u:1:3:1 + 2@1000bp:r1", (unsigned)id);
	check_walk(wanted, store_each_intent, s, id, intent_word);
	check_walk("60000:1,2,3,4,5,-1", store_each_sample, s, id, sample_word);
	check_walk("1", store_each_judgement, s, id, seq_word);
	check_walk("[]", store_each_query, s, id, query_word);
	check_walk("one", store_each_event_of, s, id, 10, event_word);
	check_walk("hello.yaml=h1=hello", store_each_source, s, source_word);
	assert_int_equal(store_find_quarantine(s, "alias", "code"), 0);
}

static void test_abort(void **state)
{
	struct store *s = *state;
	uint64_t id;
	begin(s);
	fill(s, &id);
	check_filled(s, id); /* its own changes are seen within a transaction */
	store_abort(s);
	check_empty(s, id);
	store_abort(s); /* of none: nothing happens */

	begin(s);
	fill(s, &id);
	commit(s);
	check_filled(s, id);
	store_abort(s);
	check_filled(s, id);

	/* Replacing and dropping are taken back as well. */
	begin(s);
	assert_int_equal(put(s, id, 0, false, 9), 0);
	assert_int_equal(put(s, id, 1, false, 9), 0);
	struct store_intent i = {.rollout_id = id, .seq = 1, .unix_ms = 9, .target = "9", .revision = "r9"};
	assert_int_equal(store_put_intent(s, &i), 0);
	struct store_sample x = {.rollout_id = id, .start_unix_ms = 60000};
	assert_int_equal(store_put_sample(s, &x), 0);
	x.alone = true;
	x.read_unix_ms = 70000;
	assert_int_equal(store_put_sample(s, &x), 0);
	assert_int_equal(store_drop_samples(s, id, 70000), 0);
	struct store_query q = {.rollout_id = id, .unix_ms = 9, .text = "[9]"};
	assert_int_equal(store_put_query(s, &q), 0);
	struct store_source f = {.source = "hello.yaml", .hash = "h9", .name = "other"};
	assert_int_equal(store_put_source(s, &f), 0);
	assert_int_equal(store_drop_quarantine(s, "alias", "code"), 0);
	assert_int_equal(store_find_quarantine(s, "alias", "code"), STORE_NOT_FOUND);
	assert_int_equal(store_prune(s, 1000000, 0), 0);
	check_walk("", store_each_of_name, s, NULL, 10, rollout_word);
	check_walk("", store_each_event, s, NULL, 0, 10, event_word);
	store_abort(s);
	check_filled(s, id);
}

/* After a failure a transaction cannot become durable in part. */
static void test_failed_transaction(void **state)
{
	struct store *s = *state;
	begin(s);
	uint64_t id = insert(s, "hello", 1);
	event(s, id, "hello", 1, "one");
	assert_int_equal(put(s, id, 5, true, 1), STORE_CONFLICT);
	struct store_sample x = {.rollout_id = id};
	assert_int_equal(store_put_sample(s, &x), STORE_CONFLICT);
	assert_int_equal(store_prune(s, 0, 0), STORE_CONFLICT);
	assert_int_equal(store_commit(s), STORE_CONFLICT);
	store_abort(s);
	check_empty(s, id);
	begin(s);
	insert(s, "hello", 1);
	commit(s);
	check_walk("hello/1@0", store_each_live, s, rollout_word);
}

static void test_bounds(void **state)
{
	struct store *s = *state;
	cleanup(mem_free_p) char *largest = mem_alloc(LIMIT_RECORD_BYTES + 2);
	memset(largest, 'x', LIMIT_RECORD_BYTES);
	struct store_rollout r = sample_rollout("hello", 1);
	r.record = largest;
	r.plan = largest;
	uint64_t id;
	begin(s);
	assert_int_equal(store_insert_rollout(s, &r, &id), 0);
	commit(s);
	assert_int_equal(store_each_live(s, check_record, largest), 0);

	largest[LIMIT_RECORD_BYTES] = 'x';
	begin(s);
	r.attempt = 2;
	r.plan = "";
	assert_int_equal(store_insert_rollout(s, &r, &id), -EMSGSIZE);
	assert_non_null(strstr(store_error_text(s), "the rollout's record is longer than 262144 bytes"));
	assert_int_equal(store_commit(s), -EMSGSIZE);
	store_abort(s);
	begin(s);
	struct store_event e = {.text = largest};
	assert_int_equal(store_put_event(s, &e, &id), -EMSGSIZE);
	store_abort(s);
	begin(s);
	assert_int_equal(store_put_quarantine(s, "a", "c", largest, 0), -EMSGSIZE);
	store_abort(s);
	begin(s);
	struct store_source f = {.source = largest};
	assert_int_equal(store_put_source(s, &f), -EMSGSIZE);
	store_abort(s);
	check_walk("hello/1@0", store_each_of_name, s, NULL, 10, rollout_word);
}

static int check_null_event(void *ctx, const struct store_event *e)
{
	++*(int *)ctx;
	assert_string_equal(e->name, "");
	assert_string_equal(e->phase, "");
	assert_string_equal(e->by, "");
	return 0;
}

static void test_null_text(void **state)
{
	struct store *s = *state;
	struct store_event e = {.kind = "k"};
	uint64_t id;
	begin(s);
	assert_int_equal(store_put_event(s, &e, &id), 0);
	commit(s);
	int count = 0;
	assert_int_equal(store_each_event(s, NULL, 0, 10, check_null_event, &count), 0);
	assert_int_equal(store_each_event(s, "", 0, 10, check_null_event, &count), 0);
	assert_int_equal(count, 2);
}

static void test_rollout_queries(void **state)
{
	struct store *s = *state;
	begin(s);
	uint64_t b1 = insert(s, "bravo", 1);
	uint64_t a1 = insert(s, "alpha", 1);
	uint64_t b2 = insert(s, "bravo", 2);
	insert(s, "brav", 1);
	insert(s, "bravo", 3);
	assert_true(b1 < a1 && a1 < b2);
	assert_int_equal(put(s, b1, 0, false, 1), 0);
	assert_int_equal(put(s, b2, 0, false, 1), 0);
	commit(s);
	check_walk("alpha/1@0 brav/1@0 bravo/3@0", store_each_live, s, rollout_word);
	check_walk("alpha/1@0 brav/1@0 bravo/3@0", store_each_latest, s, rollout_word);
	check_walk("bravo/3@0 bravo/2@1! bravo/1@1!", store_each_of_name, s, "bravo", 10, rollout_word);
	check_walk("bravo/3@0 bravo/2@1!", store_each_of_name, s, "bravo", 2, rollout_word);
	check_walk("", store_each_of_name, s, "bravo", 0, rollout_word);
	check_walk("", store_each_of_name, s, "nobody", 10, rollout_word);
	check_walk("bravo/3@0 brav/1@0 bravo/2@1! alpha/1@0 bravo/1@1!", store_each_of_name, s, NULL, 10, rollout_word);
	check_walk("bravo/3@0 brav/1@0", store_each_of_name, s, NULL, 2, rollout_word);

	struct words w = {.stop_after = 2};
	assert_int_equal(store_each_live(s, rollout_word, &w), 77);
	assert_string_equal(w.text, "alpha/1@0 brav/1@0");
	/* A walk that was ended early leaves nothing behind. */
	check_walk("alpha/1@0 brav/1@0 bravo/3@0", store_each_live, s, rollout_word);
	begin(s);
	commit(s);
}

static void test_event_queries(void **state)
{
	struct store *s = *state;
	begin(s);
	uint64_t e1 = event(s, 1, "a", 10, "e1");
	uint64_t e2 = event(s, 2, "b", 9, "e2");
	uint64_t e3 = event(s, 1, "a", 8, "e3");
	uint64_t e4 = event(s, 0, "", 7, "e4");
	uint64_t e5 = event(s, 1, "a", 6, "e5");
	assert_true(e1 < e2 && e2 < e3 && e3 < e4 && e4 < e5);
	commit(s);
	check_walk("e1 e2 e3 e4 e5", store_each_event, s, NULL, 0, 10, event_word);
	check_walk("e4 e5", store_each_event, s, NULL, 0, 2, event_word);
	check_walk("e3 e4", store_each_event, s, NULL, e2, 2, event_word);
	check_walk("", store_each_event, s, NULL, e5, 2, event_word);
	check_walk("", store_each_event, s, NULL, 0, 0, event_word);
	check_walk("", store_each_event, s, NULL, UINT64_MAX, 10, event_word);
	check_walk("e1 e3 e5", store_each_event, s, "a", 0, 10, event_word);
	check_walk("e3 e5", store_each_event, s, "a", 0, 2, event_word);
	check_walk("e3", store_each_event, s, "a", e1, 1, event_word);
	check_walk("e3 e5", store_each_event, s, "a", e2, 10, event_word);
	check_walk("e4", store_each_event, s, "", 0, 10, event_word);
	check_walk("", store_each_event, s, "c", 0, 10, event_word);
	struct words w = {.stop_after = 1};
	assert_int_equal(store_each_event(s, "a", 0, 10, event_word, &w), 77);
}

static void put_sample_at(struct store *s, uint64_t rollout_id, int64_t start, int64_t first)
{
	struct store_sample x = {.rollout_id = rollout_id, .start_unix_ms = start, .counts = {first}};
	assert_int_equal(store_put_sample(s, &x), 0);
}

static void put_intent_at(struct store *s, uint64_t rollout_id, uint64_t seq, const char *target)
{
	struct store_intent i = {.rollout_id = rollout_id, .seq = seq, .target = target, .revision = ""};
	assert_int_equal(store_put_intent(s, &i), 0);
}

static void test_parts(void **state)
{
	struct store *s = *state;
	begin(s);
	put_sample_at(s, 7, 120000, 2);
	put_sample_at(s, 7, -60000, 0);
	put_sample_at(s, 7, 60000, 1);
	put_sample_at(s, 8, 60000, 8);
	put_intent_at(s, 7, 2, "x2");
	put_intent_at(s, 7, 1, "x1");
	put_intent_at(s, 8, 1, "y1");
	put_intent_at(s, 7, 10, "x10");
	commit(s);
	check_walk("-60000:0,0,0,0,0,0 60000:1,0,0,0,0,0 120000:2,0,0,0,0,0", store_each_sample, s, 7, sample_word);
	check_walk("7:1:0:x1: 7:2:0:x2: 7:10:0:x10:", store_each_intent, s, 7, intent_word);
	begin(s);
	put_sample_at(s, 7, 60000, 5);
	put_intent_at(s, 7, 2, "again");
	commit(s);
	check_walk("-60000:0,0,0,0,0,0 60000:5,0,0,0,0,0 120000:2,0,0,0,0,0", store_each_sample, s, 7, sample_word);
	check_walk("7:1:0:x1: 7:2:0:again: 7:10:0:x10:", store_each_intent, s, 7, intent_word);
	check_walk("60000:8,0,0,0,0,0", store_each_sample, s, 8, sample_word);
	check_walk("", store_each_sample, s, 9, sample_word);
}

static void test_sources_and_quarantine(void **state)
{
	struct store *s = *state;
	struct store_source b = {.source = "b.yaml", .hash = "h1", .name = "b"};
	struct store_source a = {.source = "a.yaml", .hash = "h2", .name = "a"};
	begin(s);
	assert_int_equal(store_put_source(s, &b), 0);
	assert_int_equal(store_put_source(s, &a), 0);
	assert_int_equal(store_put_quarantine(s, "alias", "c1", "bad", 1), 0);
	assert_int_equal(store_put_quarantine(s, "alias", "c1", "still bad", 2), 0);
	assert_int_equal(store_put_quarantine(s, "alias", "c2", "bad", 1), 0);
	commit(s);
	check_walk("a.yaml=h2=a b.yaml=h1=b", store_each_source, s, source_word);
	begin(s);
	b.hash = "h3";
	assert_int_equal(store_put_source(s, &b), 0);
	assert_int_equal(store_drop_quarantine(s, "alias", "c1"), 0);
	assert_int_equal(store_drop_quarantine(s, "alias", "never there"), 0);
	commit(s);
	check_walk("a.yaml=h2=a b.yaml=h3=b", store_each_source, s, source_word);
	assert_int_equal(store_find_quarantine(s, "alias", "c1"), STORE_NOT_FOUND);
	assert_int_equal(store_find_quarantine(s, "alias", "c2"), 0);
	assert_int_equal(store_find_quarantine(s, "other", "c2"), STORE_NOT_FOUND);
}

static void test_prune(void **state)
{
	struct store *s = *state;
	uint64_t ids[5];
	begin(s);
	for (unsigned i = 0; i < 5; i++) {
		ids[i] = insert(s, "hello", i + 1);
		char text[8];
		snprintf(text, sizeof(text), "h%u", i + 1);
		event(s, ids[i], "hello", 1, text);
		put_sample_at(s, ids[i], 60000, i);
		put_intent_at(s, ids[i], 1, "x");
		put_flight(s, ids[i]);
		/* Attempts 1 to 4 ended at 100, 200, 300, 400; the fifth is live, and was changed long ago. */
		assert_int_equal(put(s, ids[i], 0, i == 4, i == 4 ? 1 : (i + 1) * 100), 0);
	}
	uint64_t other = insert(s, "other", 1);
	assert_int_equal(put(s, other, 0, false, 100), 0);
	event(s, 0, "", 50, "old");
	event(s, 0, "", 500, "new");
	uint64_t last = event(s, 0, "", 50, "old");
	commit(s);

	begin(s);
	assert_int_equal(store_prune(s, 100, 0), 0); /* before, not at */
	commit(s);
	check_walk("h1 h2 h3 h4 h5 new", store_each_event, s, NULL, 0, 20, event_word);

	begin(s);
	assert_int_equal(store_prune(s, 350, 3), 0);
	commit(s);
	check_walk("hello/5@1 hello/4@1! hello/3@1!", store_each_of_name, s, "hello", 10, rollout_word);
	check_walk("other/1@1!", store_each_of_name, s, "other", 10, rollout_word);
	check_walk("h3 h4 h5 new", store_each_event, s, NULL, 0, 20, event_word);
	check_walk("", store_each_sample, s, ids[1], sample_word);
	check_walk("", store_each_intent, s, ids[1], intent_word);
	check_walk("60000:2,0,0,0,0,0", store_each_sample, s, ids[2], sample_word);
	check_walk("", store_each_judgement, s, ids[1], seq_word);
	check_walk("1", store_each_judgement, s, ids[2], seq_word);
	check_walk("", store_each_query, s, ids[1], query_word);
	check_walk("", store_each_event_of, s, ids[1], 10, event_word);
	check_walk("h3", store_each_event_of, s, ids[2], 10, event_word);

	begin(s);
	assert_int_equal(store_prune(s, INT64_MAX, 0), 0);
	commit(s);
	check_walk("hello/5@1", store_each_of_name, s, NULL, 10, rollout_word);
	check_walk("h5", store_each_event, s, NULL, 0, 20, event_word);

	/* What was dropped does not come back under its number. */
	begin(s);
	assert_true(insert(s, "next", 1) > other);
	assert_true(event(s, 0, "", 1, "x") > last);
	commit(s);
}

static void test_prune_in_portions(void **state)
{
	struct store *s = *state;
	begin(s);
	for (unsigned i = 0; i < LIMIT_PRUNE_ROLLOUTS + 5; i++)
		assert_int_equal(put(s, insert(s, "hello", i + 1), 0, false, 1), 0);
	for (unsigned i = 0; i < LIMIT_PRUNE_EVENTS + 3; i++)
		event(s, 0, "", 1, "x");
	commit(s);
	struct words rollouts = {.text = ""};
	struct words events = {.text = ""};
	begin(s);
	assert_int_equal(store_prune(s, 10, 1), 0);
	commit(s);
	assert_int_equal(store_each_of_name(s, NULL, 1000, rollout_word, &rollouts), 0);
	assert_int_equal(store_each_event(s, NULL, 0, 10000, event_word, &events), 0);
	assert_int_equal(rollouts.count, 5);
	assert_int_equal(events.count, 3);
	begin(s);
	assert_int_equal(store_prune(s, 10, 1), 0);
	commit(s);
	char wanted[32];
	snprintf(wanted, sizeof(wanted), "hello/%u@1!", LIMIT_PRUNE_ROLLOUTS + 5);
	check_walk(wanted, store_each_of_name, s, NULL, 1000, rollout_word);
	check_walk("", store_each_event, s, NULL, 0, 10, event_word);
}

struct nested {
	struct store *store;
	unsigned count;
};

static int write_within(void *ctx, const struct store_rollout *r)
{
	struct nested *n = ctx;
	n->count++;
	/* The same walk within itself, another one, and writes to what is being walked over. */
	check_walk("a/1@0 b/1@0", store_each_live, n->store, rollout_word);
	check_walk("", store_each_sample, n->store, 99, sample_word);
	event(n->store, r->id, r->name, 1, r->name);
	return 0;
}

static int put_within(void *ctx, const struct store_rollout *r)
{
	struct nested *n = ctx;
	n->count++;
	assert_int_equal(put(n->store, r->id, r->revision, true, 5), 0);
	return 0;
}

static void test_nested(void **state)
{
	struct store *s = *state;
	begin(s);
	insert(s, "a", 1);
	insert(s, "b", 1);
	commit(s);
	struct nested n = {.store = s};
	begin(s);
	assert_int_equal(store_each_live(s, write_within, &n), 0);
	assert_int_equal(store_each_live(s, put_within, &n), 0);
	commit(s);
	assert_int_equal(n.count, 4);
	check_walk("a b", store_each_event, s, NULL, 0, 10, event_word);
	check_walk("a/1@1 b/1@1", store_each_live, s, rollout_word);
}

/* Many keys in no order, with aborts in between: the answers stay those of a plain array. */
static void test_many(void **state)
{
	struct store *s = *state;
	enum { COUNT = 500 };
	int64_t wanted[COUNT];
	memset(wanted, -1, sizeof(wanted));
	for (unsigned round = 0; round < 20; round++) {
		bool keep = round % 3 != 1;
		begin(s);
		for (unsigned i = 0; i < 60; i++) {
			unsigned k = (round * 7919 + i * 104729) % COUNT;
			put_sample_at(s, 1, k, round);
			if (keep)
				wanted[k] = round;
		}
		if (keep)
			commit(s);
		else
			store_abort(s);
	}
	struct words w = {.text = ""};
	struct words expected = {.text = ""};
	for (unsigned k = 0; k < COUNT; k++) {
		if (wanted[k] < 0)
			continue;
		struct store_sample x = {.start_unix_ms = k, .counts = {wanted[k]}};
		sample_word(&expected, &x);
	}
	assert_true(expected.count > 300);
	assert_int_equal(store_each_sample(s, 1, sample_word, &w), 0);
	assert_int_equal(w.count, expected.count);
	assert_string_equal(w.text, expected.text);
}

/* Enough events that they fill several blocks of the indexes, each name's spread over all of them. */
enum { SPREAD_EVENTS = 9000, SPREAD_NAMES = 7 };

/* Every 3000th event is of the name "rare", the others of "n0" … "n6". */
static const char *spread_name(unsigned i, char out[static 8])
{
	snprintf(out, 8, i % 3000 == 7 ? "rare" : "n%u", i % SPREAD_NAMES);
	return out;
}

static uint64_t fill_spread(struct store *s, uint64_t *ret_rollout)
{
	uint64_t first = 0;
	begin(s);
	uint64_t rollouts[SPREAD_NAMES];
	for (unsigned n = 0; n < SPREAD_NAMES; n++) {
		char name[8];
		snprintf(name, sizeof(name), "n%u", n);
		rollouts[n] = insert(s, name, 1);
	}
	for (unsigned i = 0; i < SPREAD_EVENTS; i++) {
		char name[8];
		char text[16];
		snprintf(text, sizeof(text), "%u", i);
		uint64_t id = event(s, rollouts[i % SPREAD_NAMES], spread_name(i, name), 1, text);
		first = i == 0 ? id : first;
		assert_int_equal(id, first + i);
	}
	assert_int_equal(put(s, rollouts[3], 0, false, 1), 0);
	commit(s);
	*ret_rollout = rollouts[3];
	return first;
}

struct expected {
	const char *name;
	unsigned next; /* number of the next event that may come */
	unsigned count;
};

static int check_spread(void *ctx, const struct store_event *e)
{
	struct expected *x = ctx;
	char name[8];
	while (x->next < SPREAD_EVENTS && strcmp(spread_name(x->next, name), x->name) != 0)
		x->next++;
	char text[16];
	snprintf(text, sizeof(text), "%u", x->next++);
	assert_string_equal(e->text, text);
	assert_string_equal(e->name, x->name);
	x->count++;
	return 0;
}

static unsigned count_spread(const char *name, unsigned from)
{
	unsigned count = 0;
	char each[8];
	for (unsigned i = from; i < SPREAD_EVENTS; i++)
		count += strcmp(spread_name(i, each), name) == 0;
	return count;
}

static void test_many_events(void **state)
{
	struct store *s = *state;
	uint64_t rollout;
	uint64_t first = fill_spread(s, &rollout);
	static const char *const names[] = {"n0", "n6", "rare"};
	static const unsigned starts[] = {1, 1000, 1023, 1024, 4095, 8999};
	for (size_t n = 0; n < array_len(names); n++) {
		struct expected all = {.name = names[n]};
		assert_int_equal(store_each_event(s, names[n], 0, SPREAD_EVENTS, check_spread, &all), 0);
		assert_int_equal(all.count, count_spread(names[n], 0));
		for (size_t k = 0; k < array_len(starts); k++) {
			struct expected x = {.name = names[n], .next = starts[k]};
			assert_int_equal(
			    store_each_event(s, names[n], first + starts[k] - 1, SPREAD_EVENTS, check_spread, &x), 0);
			assert_int_equal(x.count, count_spread(names[n], starts[k]));
		}
	}
	check_walk("3007 6007", store_each_event, s, "rare", 0, 2, event_word);
	check_walk("7 3007", store_each_event, s, "rare", first, 2, event_word);
	check_walk("8987 8994", store_each_event, s, "n6", 0, 2, event_word);
	check_walk("8984 8991 8998", store_each_event_of, s, rollout, 3, event_word);
	check_walk("", store_each_event_of, s, rollout, 0, event_word);
	check_walk("", store_each_event_of, s, rollout + 100, 3, event_word);
	struct words of_rollout = {.text = ""};
	assert_int_equal(store_each_event_of(s, rollout, SPREAD_EVENTS, event_word, &of_rollout), 0);
	assert_int_equal(of_rollout.count, 1286);
	assert_memory_equal(of_rollout.text, "3 10 17 ", 8);

	/* All of a rollout's events go with it, whatever name they have: 9000 / 7, rounded up. */
	begin(s);
	assert_int_equal(store_prune(s, 100, 0), 0);
	commit(s);
	struct words left = {.text = ""};
	assert_int_equal(store_each_event(s, NULL, 0, SPREAD_EVENTS, event_word, &left), 0);
	assert_int_equal(left.count, SPREAD_EVENTS - 1286);
	check_walk("", store_each_event, s, "n3", 0, 10, event_word);
}

static void test_close_within_transaction(void **state)
{
	struct store *s = store_open_memory();
	uint64_t id;
	begin(s);
	fill(s, &id);
	store_close(s);
	store_close(NULL);
	(void)state;
}

#define both(name)                                                                                                     \
	cmocka_unit_test_setup_teardown(name, open_memory, close_memory),                                              \
	    cmocka_unit_test_setup_teardown(name, open_sqlite, close_sqlite)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    both(test_rollout),
	    both(test_any_record),
	    both(test_conflict),
	    both(test_abort),
	    both(test_failed_transaction),
	    both(test_bounds),
	    both(test_null_text),
	    both(test_rollout_queries),
	    both(test_event_queries),
	    both(test_parts),
	    both(test_sources_and_quarantine),
	    both(test_prune),
	    both(test_prune_in_portions),
	    both(test_nested),
	    both(test_many),
	    both(test_many_events),
	    cmocka_unit_test(test_close_within_transaction),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
