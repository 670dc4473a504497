/* The statements of the SQLite store, and how one is used. */
#include <string.h>

#include "base/error.h"
#include "store/schema.h"
#include "store/sqlite.h"

#define ROLLOUT_COLUMNS                                                                                                \
	"r.id, r.name, r.attempt, r.alias_key, r.live, r.revision, p.plan, r.plan_hash, r.record, r.created_unix_ms, " \
	"r.updated_unix_ms"
/* LEFT: a rollout whose plan were missing must still be seen. */
#define WITH_PLAN "LEFT JOIN plans p ON p.rollout_id = r.id "

#define EVENT_COLUMNS "id, rollout_id, name, unix_ms, kind, phase, text, by"

static const char *const texts[ST_COUNT] = {
    /* IMMEDIATE: no other owner can come between the look at the epoch and the commit. */
    [ST_BEGIN] = "BEGIN IMMEDIATE",
    [ST_COMMIT] = "COMMIT",
    [ST_EPOCH] = "SELECT epoch FROM owner",

    [ST_INSERT_ROLLOUT] = "INSERT INTO rollouts (id, name, attempt, alias_key, live, revision, plan_hash, "
			  "created_unix_ms, updated_unix_ms, after_event_id, after_judgement_id, record) "
			  "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [ST_INSERT_PLAN] = "INSERT INTO plans (rollout_id, plan) VALUES (?, ?)",
    [ST_PUT_ROLLOUT] = "UPDATE rollouts SET record = ?1, updated_unix_ms = ?2, revision = revision + 1 "
		       "WHERE id = ?3 AND revision = ?4 AND live = ?5",
    [ST_PUT_ROLLOUT_LIVE] = "UPDATE rollouts SET record = ?1, updated_unix_ms = ?2, revision = revision + 1, "
			    "live = ?5 WHERE id = ?3 AND revision = ?4",
    [ST_FIND_ROLLOUT] = "SELECT revision FROM rollouts WHERE id = ?",
    [ST_PUT_INTENT] = "INSERT OR REPLACE INTO intents (rollout_id, seq, unix_ms, target, revision) "
		      "VALUES (?, ?, ?, ?, ?)",
    [ST_PUT_EVENT] = "INSERT INTO events (" EVENT_COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    [ST_PUT_SAMPLE] = "INSERT OR REPLACE INTO samples VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [ST_DROP_PERIOD] = "DELETE FROM samples WHERE rollout_id = ? AND start_unix_ms = ?",
    [ST_DROP_SAMPLES] = "DELETE FROM samples WHERE rollout_id = ? AND start_unix_ms < ?",
    [ST_PUT_JUDGEMENT] = "INSERT INTO judgements VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [ST_DROP_JUDGEMENTS] = "DELETE FROM judgements WHERE " SCHEMA_ROLLOUT_BLOCK " = ? AND rollout_id = ? AND seq <= ?",
    [ST_FIND_AFTER_JUDGEMENT] = "SELECT after_judgement_id FROM rollouts WHERE id = ?",
    [ST_PUT_QUERY] = "INSERT INTO queries VALUES (?, ?, ?, ?)",
    [ST_FIND_QUERY] = "SELECT seq, text FROM queries WHERE rollout_id = ? ORDER BY seq DESC LIMIT 1",
    [ST_DROP_QUERIES] = "DELETE FROM queries WHERE rollout_id = ? AND seq <= ?",
    [ST_PUT_SOURCE] = "INSERT OR REPLACE INTO sources (source, hash, name) VALUES (?, ?, ?)",
    [ST_PUT_QUARANTINE] = "INSERT OR REPLACE INTO quarantine (alias_key, code_hash, reason, unix_ms) "
			  "VALUES (?, ?, ?, ?)",
    [ST_DROP_QUARANTINE] = "DELETE FROM quarantine WHERE alias_key = ? AND code_hash = ?",

    /* Newer attempts are counted only as far as `keep`. */
    [ST_PRUNABLE] =
	"SELECT id, after_event_id, after_judgement_id FROM rollouts r WHERE live = 0 AND updated_unix_ms < ?1 AND "
	"(SELECT count(*) FROM (SELECT 1 FROM rollouts n WHERE n.name = r.name AND n.attempt > r.attempt "
	"LIMIT ?2)) >= ?2 ORDER BY updated_unix_ms LIMIT ?3",
    [ST_PRUNE_EVENTS] = "DELETE FROM events WHERE " SCHEMA_ROLLOUT_BLOCK " = ? AND rollout_id = ?",
    [ST_PRUNE_INTENTS] = "DELETE FROM intents WHERE rollout_id = ?",
    [ST_PRUNE_SAMPLES] = "DELETE FROM samples WHERE rollout_id = ?",
    [ST_PRUNE_QUERIES] = "DELETE FROM queries WHERE rollout_id = ?",
    [ST_PRUNE_PLAN] = "DELETE FROM plans WHERE rollout_id = ?",
    [ST_PRUNE_ROLLOUT] = "DELETE FROM rollouts WHERE id = ?",
    [ST_PRUNE_LOOSE_EVENTS] = "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE rollout_id = 0 AND "
			      "unix_ms < ? ORDER BY unix_ms LIMIT ?)",
    [ST_KEEP_LAST_IDS] = "UPDATE owner SET last_rollout_id = ?, last_event_id = ?, last_judgement_id = ?",

    [ST_EACH_LIVE] = "SELECT " ROLLOUT_COLUMNS " FROM rollouts r " WITH_PLAN "WHERE r.live = 1 ORDER BY r.id",
    /* The index on (name, attempt) gives the order: sorting would hold all plans and records in memory. */
    [ST_EACH_LATEST] = "SELECT " ROLLOUT_COLUMNS " FROM rollouts r " WITH_PLAN "WHERE NOT EXISTS (SELECT 1 FROM "
		       "rollouts n WHERE n.name = r.name AND n.attempt > r.attempt) ORDER BY r.name",
    [ST_EACH_OF_NAME] =
	"SELECT " ROLLOUT_COLUMNS " FROM rollouts r " WITH_PLAN "WHERE r.name = ? ORDER BY r.attempt DESC LIMIT ?",
    [ST_EACH_ROLLOUT] = "SELECT " ROLLOUT_COLUMNS " FROM rollouts r " WITH_PLAN "ORDER BY r.id DESC LIMIT ?",
    [ST_EACH_EVENT] = "SELECT " EVENT_COLUMNS " FROM events WHERE id > ? ORDER BY id LIMIT ?",
    [ST_EACH_EVENT_OF_NAME] = "SELECT " EVENT_COLUMNS " FROM events WHERE " SCHEMA_NAME_BLOCK
			      " = ? AND name = ? AND id > ? ORDER BY id LIMIT ?",
    [ST_EACH_NEWEST_EVENT] = "SELECT * FROM (SELECT " EVENT_COLUMNS " FROM events ORDER BY id DESC LIMIT ?) "
			     "ORDER BY id",
    [ST_FIND_NEWEST_OF_NAME] =
	"SELECT id FROM events WHERE " SCHEMA_NAME_BLOCK " = ? AND name = ? ORDER BY id DESC LIMIT ?",
    [ST_EACH_EVENT_OF_ROLLOUT] = "SELECT " EVENT_COLUMNS " FROM events WHERE " SCHEMA_ROLLOUT_BLOCK
				 " = ? AND rollout_id = ? AND id > ? ORDER BY id LIMIT ?",
    [ST_FIND_NEWEST_OF_ROLLOUT] =
	"SELECT id FROM events WHERE " SCHEMA_ROLLOUT_BLOCK " = ? AND rollout_id = ? ORDER BY id DESC LIMIT ?",
    [ST_FIND_AFTER_EVENT] = "SELECT after_event_id FROM rollouts WHERE id = ?",
    [ST_FIRST_EVENT] = "SELECT ifnull(min(id), 0) FROM events",
    [ST_EACH_INTENT] = "SELECT rollout_id, seq, unix_ms, target, revision FROM intents WHERE rollout_id = ? "
		       "ORDER BY seq",
    [ST_EACH_SAMPLE] = "SELECT * FROM samples WHERE rollout_id = ? ORDER BY start_unix_ms, read_unix_ms",
    [ST_EACH_JUDGEMENT] = "SELECT * FROM judgements WHERE " SCHEMA_ROLLOUT_BLOCK " = ? AND rollout_id = ? ORDER BY id",
    [ST_EACH_QUERY] = "SELECT rollout_id, unix_ms, text FROM queries WHERE rollout_id = ? ORDER BY seq",
    [ST_EACH_SOURCE] = "SELECT source, hash, name FROM sources ORDER BY source",
    [ST_FIND_QUARANTINE] = "SELECT 1 FROM quarantine WHERE alias_key = ? AND code_hash = ?",
};

static int prepare(struct sqlite_store *s, size_t i)
{
	if (s->statements[i])
		return SQLITE_OK;
	return sqlite3_prepare_v3(s->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &s->statements[i], NULL);
}

int sqlite_prepare_all(struct sqlite_store *s)
{
	int code = SQLITE_OK;
	for (size_t i = 0; i < ST_COUNT && code == SQLITE_OK; i++)
		code = prepare(s, i);
	return code;
}

void sqlite_finalize_all(struct sqlite_store *s)
{
	for (size_t i = 0; i < ST_COUNT; i++) {
		sqlite3_finalize(s->statements[i]);
		s->statements[i] = NULL;
	}
}

struct sqlite_query sqlite_query_start_once(struct sqlite_store *s, const char *text)
{
	struct sqlite_query q = {.store = s, .temporary = true};
	errno = 0;
	q.code = sqlite3_prepare_v2(s->db, text, -1, &q.statement, NULL);
	q.error = sqlite_errno(q.code);
	return q;
}

struct sqlite_query sqlite_query_start(struct sqlite_store *s, enum sqlite_statement statement)
{
	if (sqlite3_stmt_busy(s->statements[statement]))
		return sqlite_query_start_once(s, texts[statement]);
	struct sqlite_query q = {.store = s};
	errno = 0;
	q.code = prepare(s, statement);
	q.error = sqlite_errno(q.code);
	q.statement = s->statements[statement];
	return q;
}

/* Only the first fault of a query counts: what follows it is a consequence. */
static void keep_code(struct sqlite_query *q, int code)
{
	if (q->code == SQLITE_OK)
		q->code = code;
}

void sqlite_query_bind_text(struct sqlite_query *q, const char *text)
{
	text = store_text(text);
	keep_code(q, sqlite3_bind_text(q->statement, ++q->bound, text, (int)strlen(text), SQLITE_STATIC));
}

void sqlite_query_bind_text_or_null(struct sqlite_query *q, const char *text)
{
	if (text)
		sqlite_query_bind_text(q, text);
	else
		keep_code(q, sqlite3_bind_null(q->statement, ++q->bound));
}

void sqlite_query_bind_i64(struct sqlite_query *q, int64_t v)
{
	keep_code(q, sqlite3_bind_int64(q->statement, ++q->bound, v));
}

void sqlite_query_bind_u64(struct sqlite_query *q, uint64_t v)
{
	/* SQLite has no unsigned numbers. What is beyond is no id, attempt or sequence of ours: it matches nothing. */
	sqlite_query_bind_i64(q, v > INT64_MAX ? INT64_MAX : (int64_t)v);
}

bool sqlite_query_next(struct sqlite_query *q)
{
	if (q->code != SQLITE_OK)
		return false;
	errno = 0;
	int code = sqlite3_step(q->statement);
	if (code == SQLITE_ROW)
		return true;
	q->error = errno;
	q->code = code == SQLITE_DONE ? SQLITE_OK : code;
	return false;
}

const char *sqlite_query_text(const struct sqlite_query *q, int column)
{
	return store_text((const char *)sqlite3_column_text(q->statement, column));
}

const char *sqlite_query_text_or_null(const struct sqlite_query *q, int column)
{
	return (const char *)sqlite3_column_text(q->statement, column);
}

int64_t sqlite_query_i64(const struct sqlite_query *q, int column)
{
	return sqlite3_column_int64(q->statement, column);
}

uint64_t sqlite_query_u64(const struct sqlite_query *q, int column)
{
	return (uint64_t)sqlite3_column_int64(q->statement, column);
}

int sqlite_query_end(struct sqlite_query *q, int result)
{
	/* The sentence first: resetting may overwrite what it is made of. */
	if (result == 0 && q->code != SQLITE_OK)
		result = sqlite_fail(q->store, q->code, q->error);
	if (q->temporary)
		sqlite3_finalize(q->statement);
	else
		sqlite3_reset(q->statement);
	return result;
}

int sqlite_query_run(struct sqlite_query *q)
{
	while (sqlite_query_next(q))
		continue;
	return sqlite_query_end(q, 0);
}
