/* What the store keeps of what a rollout read, judged and asked, on both implementations; and databases from before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/mem.h"
#include "store/store.h"
#include "tests/unit/schema1.h"

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

static int version_word(void *ctx, const struct store_sample *x)
{
	char word[256];
	snprintf(word, sizeof(word), "%lld@%lld:%lld:%s", (long long)x->start_unix_ms, (long long)x->read_unix_ms,
		 (long long)x->counts[0], x->values ? x->values : "-");
	assert_false(x->alone);
	return add_word(ctx, word);
}

static int judgement_word(void *ctx, const struct store_judgement *j)
{
	char word[256];
	snprintf(word, sizeof(word), "%u:%u@%lld<%lld:%u/%u:%s:%s:%u:%s:%s", (unsigned)j->rollout_id, (unsigned)j->seq,
		 (long long)j->unix_ms, (long long)j->through_unix_ms, (unsigned)j->step, (unsigned)j->weight_bp,
		 j->verdict, j->gap, (unsigned)j->metric, j->detail, j->text);
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
	char word[64];
	snprintf(word, sizeof(word), "%u@%lld:%s", (unsigned)x->rollout_id, (long long)x->unix_ms, x->text);
	return add_word(ctx, word);
}

#define check_walk(wanted, walk, s, ...)                                                                               \
	do {                                                                                                           \
		struct words w_ = {.text = ""};                                                                        \
		assert_int_equal(walk(s, __VA_ARGS__, &w_), 0);                                                        \
		assert_string_equal(w_.text, wanted);                                                                  \
	} while (0)

/* --- the cases --- */

static void put_version(struct store *s, int64_t start, int64_t read, int64_t first, const char *values, bool alone)
{
	struct store_sample x = {.rollout_id = 7,
				 .start_unix_ms = start,
				 .read_unix_ms = read,
				 .counts = {first},
				 .values = values,
				 .alone = alone};
	assert_int_equal(store_put_sample(s, &x), 0);
}

/* What was known when: every change of a period's counts stays, in the order of its reading. */
static void test_versions(void **state)
{
	struct store *s = *state;
	begin(s);
	put_version(s, 120000, 190000, 5, NULL, false);
	put_version(s, 60000, 190000, 2, "[1.5,null]", false);
	put_version(s, 60000, 130000, 1, "", false);
	put_version(s, 60000, 250000, 3, NULL, false);
	put_version(s, 60000, 250000, 4, "[2]", false); /* of the same reading: in its place */
	put_version(s, -60000, 0, 9, NULL, false);
	commit(s);
	check_walk("-60000@0:9:- 60000@130000:1: 60000@190000:2:[1.5,null] 60000@250000:4:[2] 120000@190000:5:-",
		   store_each_sample, s, 7, version_word);
	begin(s);
	put_version(s, 60000, 310000, 6, NULL, true);
	commit(s);
	check_walk("-60000@0:9:- 60000@310000:6:- 120000@190000:5:-", store_each_sample, s, 7, version_word);
	begin(s);
	assert_int_equal(store_drop_samples(s, 8, 1000000), 0);
	assert_int_equal(store_drop_samples(s, 7, 120000), 0);
	commit(s);
	check_walk("120000@190000:5:-", store_each_sample, s, 7, version_word);
}

static void put_judgement(struct store *s, uint64_t rollout_id, uint64_t seq, const char *text)
{
	struct store_judgement j = {.rollout_id = rollout_id,
				    .seq = seq,
				    .unix_ms = 100 + (int64_t)seq,
				    .through_unix_ms = 60,
				    .step = 2,
				    .weight_bp = 1000,
				    .verdict = "undecided",
				    .gap = "few",
				    .metric = 1,
				    .detail = "{}",
				    .text = text};
	assert_int_equal(store_put_judgement(s, &j), 0);
}

static void test_judgements(void **state)
{
	struct store *s = *state;
	begin(s);
	put_judgement(s, 7, 1, "a");
	put_judgement(s, 8, 1, "c");
	put_judgement(s, 7, 2, "b");
	commit(s);
	check_walk("7:1@101<60:2/1000:undecided:few:1:{}:a 7:2@102<60:2/1000:undecided:few:1:{}:b",
		   store_each_judgement, s, 7, judgement_word);
	/* The oldest make room. */
	begin(s);
	put_judgement(s, 7, 400, "d");
	put_judgement(s, 7, LIMIT_JUDGEMENTS + 1, "e"); /* not at each put: they go together */
	commit(s);
	check_walk("1 2 400 20161", store_each_judgement, s, 7, seq_word);
	begin(s);
	put_judgement(s, 7, 20 * LIMIT_JUDGEMENTS_MORE, "f"); /* 20480 */
	commit(s);
	check_walk("400 20161 20480", store_each_judgement, s, 7, seq_word);
	check_walk("1", store_each_judgement, s, 8, seq_word);
	check_walk("", store_each_judgement, s, 9, seq_word);
	cleanup(mem_free_p) char *large = mem_alloc(LIMIT_RECORD_BYTES + 2);
	memset(large, 'x', LIMIT_RECORD_BYTES + 1);
	struct store_judgement j = {.rollout_id = 7, .seq = 3, .detail = large};
	begin(s);
	assert_int_equal(store_put_judgement(s, &j), -EMSGSIZE);
	assert_non_null(strstr(store_error_text(s), "judgement's details"));
	store_abort(s);
}

static uint64_t insert(struct store *s, const char *name)
{
	struct store_rollout r = {.name = name, .attempt = 1, .record = "{}"};
	uint64_t id = 0;
	assert_int_equal(store_insert_rollout(s, &r, &id), 0);
	return id;
}

/* So many that they fill several blocks of the index, those of each rollout spread over all from its first one on. */
static void test_many_judgements(void **state)
{
	enum { ROUNDS = 3000, ROLLOUTS = 5 };
	struct store *s = *state;
	uint64_t ids[ROLLOUTS];
	begin(s);
	for (unsigned n = 0; n < ROUNDS; n++) {
		for (unsigned r = 0; r < ROLLOUTS; r++) {
			char name[16];
			snprintf(name, sizeof(name), "r%u", r);
			if (n == r * 500)
				ids[r] = insert(s, name);
			if (n >= r * 500)
				put_judgement(s, ids[r], n + 1, "");
		}
	}
	commit(s);
	for (unsigned r = 0; r < ROLLOUTS; r++) {
		struct words w = {.text = ""};
		char first[32];
		int len = snprintf(first, sizeof(first), "%u %u ", r * 500 + 1, r * 500 + 2);
		assert_int_equal(store_each_judgement(s, ids[r], seq_word, &w), 0);
		assert_int_equal(w.count, ROUNDS - r * 500);
		assert_memory_equal(w.text, first, (size_t)len);
	}
	/* All of a rollout's go with it, and what comes next is found although the highest ids are gone. */
	begin(s);
	assert_int_equal(store_prune(s, 100, 0), 0);
	commit(s);
	check_walk("", store_each_judgement, s, ids[0], seq_word);
	check_walk("", store_each_judgement, s, ids[4], seq_word);
	begin(s);
	uint64_t next = insert(s, "next");
	put_judgement(s, next, 1, "");
	commit(s);
	check_walk("1", store_each_judgement, s, next, seq_word);
}

static void put_query(struct store *s, uint64_t rollout_id, int64_t unix_ms, const char *text)
{
	struct store_query x = {.rollout_id = rollout_id, .unix_ms = unix_ms, .text = text};
	assert_int_equal(store_put_query(s, &x), 0);
}

static void test_queries(void **state)
{
	struct store *s = *state;
	begin(s);
	put_query(s, 7, 1, "a");
	put_query(s, 7, 2, "a"); /* as it was */
	put_query(s, 8, 3, "a");
	put_query(s, 7, 4, "b");
	put_query(s, 7, 3, "a"); /* a clock that went back */
	commit(s);
	check_walk("7@1:a 7@4:b 7@3:a", store_each_query, s, 7, query_word);
	check_walk("8@3:a", store_each_query, s, 8, query_word);
	check_walk("", store_each_query, s, 9, query_word);
	begin(s);
	for (unsigned i = 0; i < LIMIT_QUERIES; i++)
		put_query(s, 7, 10 + i, i % 2 ? "odd" : "even");
	commit(s);
	struct words w = {.text = ""};
	assert_int_equal(store_each_query(s, 7, query_word, &w), 0);
	assert_int_equal(w.count, LIMIT_QUERIES);
	assert_memory_equal(w.text, "7@10:even 7@11:odd", 18);
}

/* --- a database of the first schema --- */

static char *make_folder(void)
{
	snprintf(folder, sizeof(folder), "/tmp/rollout-test-store-XXXXXX");
	assert_non_null(mkdtemp(folder));
	return state_path();
}

static struct store *open_path(const char *path)
{
	struct store *s = NULL;
	assert_int_equal(store_open_sqlite(path, &s), 0);
	return s;
}

static void execute(const char *path, const char *sql)
{
	sqlite3 *db = NULL;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static int64_t number(const char *path, const char *sql)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *statement = NULL;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	int64_t v = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	sqlite3_close(db);
	return v;
}

static int add_counts(void *ctx, const struct store_sample *x)
{
	int64_t *sum = ctx;
	assert_int_equal(x->read_unix_ms, 0);
	assert_null(x->values);
	*sum += x->counts[0] + x->counts[2];
	return 0;
}

/* A database that an earlier version wrote is taken over with all that is in it. */
static void test_first_schema(void **state)
{
	cleanup(mem_free_p) char *path = make_folder();
	execute(path, SCHEMA_1_TABLES SCHEMA_1_ROWS);
	struct store *s = open_path(path);
	assert_int_equal(store_epoch(s), 4);
	int64_t sum = 0;
	assert_int_equal(store_each_sample(s, 2, add_counts, &sum), 0);
	assert_int_equal(sum, 10 * 39 * 40 / 2);
	assert_int_equal(store_find_quarantine(s, "k1", "code"), 0);
	struct store_judgement j = {.rollout_id = 2, .seq = 1};
	struct store_sample x = {.rollout_id = 2, .start_unix_ms = 60000, .read_unix_ms = 5, .values = "[1]"};
	struct store_query q = {.rollout_id = 2, .text = "[]"};
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(store_put_judgement(s, &j), 0);
	assert_int_equal(store_put_sample(s, &x), 0);
	assert_int_equal(store_put_query(s, &q), 0);
	assert_int_equal(store_commit(s), 0);
	store_close(s);
	assert_int_equal(number(path, "PRAGMA user_version"), 2);
	assert_int_equal(number(path, "SELECT count(*) FROM samples"), 42);
	assert_int_equal(number(path, "SELECT count(*) FROM rollouts JOIN plans ON rollout_id = id"), 2);
	assert_int_equal(number(path, "SELECT count(*) FROM events"), 2);
	assert_int_equal(number(path, "SELECT count(*) FROM judgements WHERE id = 1"), 1);
	store_close(open_path(path)); /* and is not migrated again */
	assert_int_equal(number(path, "SELECT count(*) FROM samples"), 42);
	*state = open_path(path); /* which the teardown closes */
}

#define both(name)                                                                                                     \
	cmocka_unit_test_setup_teardown(name, open_memory, close_memory),                                              \
	    cmocka_unit_test_setup_teardown(name, open_sqlite, close_sqlite)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    both(test_versions),
	    both(test_judgements),
	    both(test_many_judgements),
	    both(test_queries),
	    cmocka_unit_test_teardown(test_first_schema, close_sqlite),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
