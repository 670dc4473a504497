#include "store/schema.h"

#include <stdio.h>

#include "base/macros.h"

/*
 * migrations[n] brings version n to n + 1. What has been released is never changed; a new version is a new entry.
 *
 * The plan stands in a table of its own because it never changes: SQLite rewrites a whole row, and a rollout's record
 * is replaced at each step. For the same reason the indexes on what changes are partial: only an ending touches them.
 *
 * Events and judgements are the rows that are written most, a hundred in a turn, each of another rollout. An index by
 * name or rollout alone would spread them over as many pages, each of which would go into the log whole. So the indexes
 * begin with a block number, made of the high bits of the id: new entries meet in the pages of the newest block, and a
 * query looks into one block after the other.
 */
static const char *const migrations[] = {
    "CREATE TABLE owner ("
    "  one INTEGER PRIMARY KEY CHECK (one = 1),"
    "  epoch INTEGER NOT NULL,"		  /* grows at each opening */
    "  clean INTEGER NOT NULL,"		  /* 1: closed in order */
    "  boot TEXT NOT NULL,"		  /* of the host, when it was opened */
    "  last_rollout_id INTEGER NOT NULL," /* given out; they are never used again */
    "  last_event_id INTEGER NOT NULL"
    ") STRICT;"
    "INSERT INTO owner VALUES (1, 0, 1, '', 0, 0);"

    "CREATE TABLE rollouts ("
    "  id INTEGER PRIMARY KEY,"
    "  name TEXT NOT NULL,"
    "  attempt INTEGER NOT NULL,"
    "  alias_key TEXT NOT NULL,"
    "  live INTEGER NOT NULL,"
    "  revision INTEGER NOT NULL,"
    "  plan_hash TEXT NOT NULL,"
    "  created_unix_ms INTEGER NOT NULL,"
    "  updated_unix_ms INTEGER NOT NULL,"
    "  after_event_id INTEGER NOT NULL," /* the last one before it was inserted */
    "  record TEXT NOT NULL,"
    "  UNIQUE (name, attempt)"
    ") STRICT;"
    "CREATE INDEX rollouts_live ON rollouts (id) WHERE live = 1;"
    "CREATE INDEX rollouts_ended ON rollouts (updated_unix_ms) WHERE live = 0;"
    "CREATE TABLE plans ("
    "  rollout_id INTEGER PRIMARY KEY,"
    "  plan TEXT NOT NULL"
    ") STRICT;"

    "CREATE TABLE intents ("
    "  rollout_id INTEGER NOT NULL,"
    "  seq INTEGER NOT NULL,"
    "  unix_ms INTEGER NOT NULL,"
    "  target TEXT NOT NULL,"
    "  revision TEXT NOT NULL,"
    "  PRIMARY KEY (rollout_id, seq)"
    ") STRICT, WITHOUT ROWID;"

    "CREATE TABLE events ("
    "  id INTEGER PRIMARY KEY,"
    "  rollout_id INTEGER NOT NULL,"
    "  unix_ms INTEGER NOT NULL,"
    "  name TEXT NOT NULL,"
    "  kind TEXT NOT NULL,"
    "  phase TEXT NOT NULL,"
    "  text TEXT NOT NULL,"
    "  by TEXT NOT NULL"
    ") STRICT;"
    "CREATE INDEX events_of_name ON events (" SCHEMA_NAME_BLOCK ", name);"
    "CREATE INDEX events_of_rollout ON events (" SCHEMA_ROLLOUT_BLOCK ", rollout_id);"
    "CREATE INDEX events_loose ON events (unix_ms) WHERE rollout_id = 0;"

    "CREATE TABLE samples ("
    "  rollout_id INTEGER NOT NULL,"
    "  start_unix_ms INTEGER NOT NULL,"
    "  canary_invocations INTEGER NOT NULL,"
    "  canary_errors INTEGER NOT NULL,"
    "  stable_invocations INTEGER NOT NULL,"
    "  stable_errors INTEGER NOT NULL,"
    "  alias_invocations INTEGER NOT NULL,"
    "  alias_errors INTEGER NOT NULL,"
    "  PRIMARY KEY (rollout_id, start_unix_ms)"
    ") STRICT, WITHOUT ROWID;"

    "CREATE TABLE sources ("
    "  source TEXT PRIMARY KEY,"
    "  hash TEXT NOT NULL,"
    "  name TEXT NOT NULL"
    ") STRICT, WITHOUT ROWID;"

    "CREATE TABLE quarantine ("
    "  alias_key TEXT NOT NULL,"
    "  code_hash TEXT NOT NULL,"
    "  reason TEXT NOT NULL,"
    "  unix_ms INTEGER NOT NULL,"
    "  PRIMARY KEY (alias_key, code_hash)"
    ") STRICT, WITHOUT ROWID;",

    /* 2: every version of a period's counts, what was judged, and what CloudWatch was asked. A table's key cannot be
     * changed, so the counts move into a new one; when they were read is not known any more: 0. */
    "CREATE TABLE samples_2 ("
    "  rollout_id INTEGER NOT NULL,"
    "  start_unix_ms INTEGER NOT NULL,"
    "  read_unix_ms INTEGER NOT NULL,"
    "  canary_invocations INTEGER NOT NULL,"
    "  canary_errors INTEGER NOT NULL,"
    "  stable_invocations INTEGER NOT NULL,"
    "  stable_errors INTEGER NOT NULL,"
    "  alias_invocations INTEGER NOT NULL,"
    "  alias_errors INTEGER NOT NULL,"
    "  \"values\" TEXT," /* JSON array */
    "  probe_canary_invocations INTEGER NOT NULL,"
    "  probe_canary_errors INTEGER NOT NULL,"
    "  probe_stable_invocations INTEGER NOT NULL,"
    "  probe_stable_errors INTEGER NOT NULL,"
    "  PRIMARY KEY (rollout_id, start_unix_ms, read_unix_ms)"
    ") STRICT, WITHOUT ROWID;"
    "INSERT INTO samples_2 SELECT rollout_id, start_unix_ms, 0, canary_invocations, canary_errors, "
    "stable_invocations, stable_errors, alias_invocations, alias_errors, NULL, -1, -1, -1, -1 FROM samples;"
    "DROP TABLE samples;"
    "ALTER TABLE samples_2 RENAME TO samples;"

    "ALTER TABLE owner ADD COLUMN last_judgement_id INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE rollouts ADD COLUMN after_judgement_id INTEGER NOT NULL DEFAULT 0;" /* as after_event_id */
    "CREATE TABLE judgements ("
    "  id INTEGER PRIMARY KEY,"
    "  rollout_id INTEGER NOT NULL,"
    "  seq INTEGER NOT NULL,"
    "  unix_ms INTEGER NOT NULL,"
    "  through_unix_ms INTEGER NOT NULL,"
    "  step INTEGER NOT NULL,"
    "  weight_bp INTEGER NOT NULL,"
    "  verdict TEXT NOT NULL,"
    "  gap TEXT NOT NULL,"
    "  metric INTEGER NOT NULL,"
    "  detail TEXT NOT NULL," /* JSON object */
    "  text TEXT NOT NULL"
    ") STRICT;"
    "CREATE INDEX judgements_of_rollout ON judgements (" SCHEMA_ROLLOUT_BLOCK ", rollout_id);"

    "CREATE TABLE queries ("
    "  rollout_id INTEGER NOT NULL,"
    "  seq INTEGER NOT NULL,"
    "  unix_ms INTEGER NOT NULL,"
    "  text TEXT NOT NULL," /* JSON */
    "  PRIMARY KEY (rollout_id, seq)"
    ") STRICT, WITHOUT ROWID;",
};

int schema_version(void)
{
	return (int)array_len(migrations);
}

int schema_migrate(sqlite3 *db, int from)
{
	for (int version = from; version < schema_version(); version++) {
		int rc = sqlite3_exec(db, migrations[version], NULL, NULL, NULL);
		if (rc != SQLITE_OK)
			return rc;
	}
	/* Both stand in the first page, so they become durable with the tables or not at all. */
	char pragmas[96];
	snprintf(pragmas, sizeof(pragmas), "PRAGMA application_id = %d; PRAGMA user_version = %d;",
		 SCHEMA_APPLICATION_ID, schema_version());
	return sqlite3_exec(db, pragmas, NULL, NULL, NULL);
}
