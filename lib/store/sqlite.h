/* What the files of the SQLite store share. Private to lib/store. */
#pragma once

#include <sqlite3.h>

#include "base/error.h"
#include "store/ops.h"
#include "store/sqlite_platform.h"

/* Prepared once and kept: at the opening, or at the first use where the platform says so. */
enum sqlite_statement {
	ST_BEGIN,
	ST_COMMIT,
	ST_EPOCH,
	ST_INSERT_ROLLOUT,
	ST_INSERT_PLAN,
	ST_PUT_ROLLOUT,
	ST_PUT_ROLLOUT_LIVE,
	ST_FIND_ROLLOUT,
	ST_PUT_INTENT,
	ST_PUT_EVENT,
	ST_PUT_SAMPLE,
	ST_DROP_PERIOD,
	ST_DROP_SAMPLES,
	ST_PUT_JUDGEMENT,
	ST_DROP_JUDGEMENTS,
	ST_PUT_QUERY,
	ST_FIND_QUERY,
	ST_DROP_QUERIES,
	ST_PUT_SOURCE,
	ST_PUT_QUARANTINE,
	ST_DROP_QUARANTINE,
	ST_PRUNABLE,
	ST_PRUNE_EVENTS,
	ST_PRUNE_INTENTS,
	ST_PRUNE_SAMPLES,
	ST_PRUNE_QUERIES,
	ST_PRUNE_PLAN,
	ST_PRUNE_ROLLOUT,
	ST_PRUNE_LOOSE_EVENTS,
	ST_KEEP_LAST_IDS,
	ST_EACH_LIVE,
	ST_EACH_LATEST,
	ST_EACH_OF_NAME,
	ST_EACH_ROLLOUT,
	ST_EACH_EVENT,
	ST_EACH_EVENT_OF_NAME,
	ST_EACH_NEWEST_EVENT,
	ST_FIND_NEWEST_OF_NAME,
	ST_EACH_EVENT_OF_ROLLOUT,
	ST_FIND_NEWEST_OF_ROLLOUT,
	ST_FIND_AFTER_EVENT,
	ST_FIND_AFTER_JUDGEMENT,
	ST_FIRST_EVENT,
	ST_EACH_INTENT,
	ST_EACH_SAMPLE,
	ST_EACH_JUDGEMENT,
	ST_EACH_QUERY,
	ST_EACH_SOURCE,
	ST_FIND_QUARANTINE,
	ST_COUNT,
};

struct sqlite_store {
	struct store base; /* must be first */
	const struct sqlite_platform *platform;
	sqlite3 *db;
	sqlite3_stmt *statements[ST_COUNT];
	char *path;
	char *folder;
	char *reserve_path;
	bool locked;
	int lock; /* of the platform */
	uint64_t last_rollout_id;
	uint64_t last_event_id;
	uint64_t last_judgement_id;
};

static inline struct sqlite_store *sqlite_of(struct store *s)
{
	return (struct sqlite_store *)s;
}

/* A result of SQLite. What was prepared before a failure is finalised by sqlite_finalize_all. */
int sqlite_prepare_all(struct sqlite_store *s);
void sqlite_finalize_all(struct sqlite_store *s);

/* Turns a result code of SQLite into one of ours and keeps a sentence for it. `error`: the errno behind it; 0: ask
 * SQLite, which knows it unless a COMMIT failed. */
int sqlite_fail(struct sqlite_store *s, int code, int error);

/* The errno of a call that has just failed, where SQLite itself does not keep it; 0: sqlite_fail will ask. */
static inline int sqlite_errno(int code)
{
	return (code & 0xff) == SQLITE_CORRUPT ? errno : 0;
}

/* One use of a statement: start, bind its parameters in order, then either run it, or fetch its rows and end it. */
struct sqlite_query {
	struct sqlite_store *store;
	sqlite3_stmt *statement;
	bool temporary; /* not one of those that are kept, or that one was busy: a walk within a walk */
	int bound;
	int code;
	int error; /* errno of what failed; 0: none */
};

struct sqlite_query sqlite_query_start(struct sqlite_store *s, enum sqlite_statement statement);
struct sqlite_query sqlite_query_start_once(struct sqlite_store *s, const char *text);
void sqlite_query_bind_text(struct sqlite_query *q, const char *text);	       /* borrowed until the query ends */
void sqlite_query_bind_text_or_null(struct sqlite_query *q, const char *text); /* borrowed likewise */
void sqlite_query_bind_i64(struct sqlite_query *q, int64_t v);
void sqlite_query_bind_u64(struct sqlite_query *q, uint64_t v);
bool sqlite_query_next(struct sqlite_query *q);				 /* whether there is a row */
const char *sqlite_query_text(const struct sqlite_query *q, int column); /* never NULL; borrowed until the next row */
const char *sqlite_query_text_or_null(const struct sqlite_query *q, int column); /* borrowed likewise */
int64_t sqlite_query_i64(const struct sqlite_query *q, int column);
uint64_t sqlite_query_u64(const struct sqlite_query *q, int column);
/* Returns result, or, when that is 0, what went wrong with the query. */
int sqlite_query_end(struct sqlite_query *q, int result);
int sqlite_query_run(struct sqlite_query *q); /* to its end, ignoring rows */

int sqlite_drop_events(struct sqlite_store *s, uint64_t rollout_id, uint64_t after_event_id);
/* Those of the rollout up to that seq; none of its judgements is older than `after_judgement_id`. */
int sqlite_drop_judgements(struct sqlite_store *s, uint64_t rollout_id, uint64_t after_judgement_id, uint64_t seq);

/* The rows' part of the operations. */
int sqlite_insert_rollout(struct store *s, const struct store_rollout *r, uint64_t *ret_id);
int sqlite_put_rollout(struct store *s, const struct store_rollout *r);
int sqlite_put_intent(struct store *s, const struct store_intent *i);
int sqlite_put_event(struct store *s, const struct store_event *e, uint64_t *ret_id);
int sqlite_put_sample(struct store *s, const struct store_sample *x);
int sqlite_drop_samples(struct store *s, uint64_t rollout_id, int64_t before_start_unix_ms);
int sqlite_put_judgement(struct store *s, const struct store_judgement *j);
int sqlite_put_query(struct store *s, const struct store_query *x);
int sqlite_put_source(struct store *s, const struct store_source *x);
int sqlite_put_quarantine(struct store *s, const char *alias_key, const char *code_hash, const char *reason,
			  int64_t unix_ms);
int sqlite_drop_quarantine(struct store *s, const char *alias_key, const char *code_hash);
int sqlite_prune(struct store *s, int64_t before_unix_ms, unsigned keep);
int sqlite_each_live(struct store *s, store_rollout_cb cb, void *ctx);
int sqlite_each_latest(struct store *s, store_rollout_cb cb, void *ctx);
int sqlite_each_of_name(struct store *s, const char *name, unsigned limit, store_rollout_cb cb, void *ctx);
int sqlite_each_event(struct store *s, const char *name, uint64_t after, unsigned limit, store_event_cb cb, void *ctx);
int sqlite_each_event_of(struct store *s, uint64_t rollout_id, unsigned limit, store_event_cb cb, void *ctx);
int sqlite_each_intent(struct store *s, uint64_t rollout_id, store_intent_cb cb, void *ctx);
int sqlite_each_sample(struct store *s, uint64_t rollout_id, store_sample_cb cb, void *ctx);
int sqlite_each_judgement(struct store *s, uint64_t rollout_id, store_judgement_cb cb, void *ctx);
int sqlite_each_query(struct store *s, uint64_t rollout_id, store_query_cb cb, void *ctx);
int sqlite_each_source(struct store *s, store_source_cb cb, void *ctx);
int sqlite_find_quarantine(struct store *s, const char *alias_key, const char *code_hash);
