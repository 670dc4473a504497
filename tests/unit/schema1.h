/*
 * The first schema of the SQLite store, as it was released, with a rollout in it: what today's store must be able to
 * take over. It is never changed.
 */
#pragma once

#define SCHEMA_1_TABLES                                                                                                \
	"CREATE TABLE owner ("                                                                                         \
	"  one INTEGER PRIMARY KEY CHECK (one = 1),"                                                                   \
	"  epoch INTEGER NOT NULL,"                                                                                    \
	"  clean INTEGER NOT NULL,"                                                                                    \
	"  boot TEXT NOT NULL,"                                                                                        \
	"  last_rollout_id INTEGER NOT NULL,"                                                                          \
	"  last_event_id INTEGER NOT NULL"                                                                             \
	") STRICT;"                                                                                                    \
	"INSERT INTO owner VALUES (1, 0, 1, '', 0, 0);"                                                                \
	"CREATE TABLE rollouts ("                                                                                      \
	"  id INTEGER PRIMARY KEY,"                                                                                    \
	"  name TEXT NOT NULL,"                                                                                        \
	"  attempt INTEGER NOT NULL,"                                                                                  \
	"  alias_key TEXT NOT NULL,"                                                                                   \
	"  live INTEGER NOT NULL,"                                                                                     \
	"  revision INTEGER NOT NULL,"                                                                                 \
	"  plan_hash TEXT NOT NULL,"                                                                                   \
	"  created_unix_ms INTEGER NOT NULL,"                                                                          \
	"  updated_unix_ms INTEGER NOT NULL,"                                                                          \
	"  after_event_id INTEGER NOT NULL,"                                                                           \
	"  record TEXT NOT NULL,"                                                                                      \
	"  UNIQUE (name, attempt)"                                                                                     \
	") STRICT;"                                                                                                    \
	"CREATE INDEX rollouts_live ON rollouts (id) WHERE live = 1;"                                                  \
	"CREATE INDEX rollouts_ended ON rollouts (updated_unix_ms) WHERE live = 0;"                                    \
	"CREATE TABLE plans ("                                                                                         \
	"  rollout_id INTEGER PRIMARY KEY,"                                                                            \
	"  plan TEXT NOT NULL"                                                                                         \
	") STRICT;"                                                                                                    \
	"CREATE TABLE intents ("                                                                                       \
	"  rollout_id INTEGER NOT NULL,"                                                                               \
	"  seq INTEGER NOT NULL,"                                                                                      \
	"  unix_ms INTEGER NOT NULL,"                                                                                  \
	"  target TEXT NOT NULL,"                                                                                      \
	"  revision TEXT NOT NULL,"                                                                                    \
	"  PRIMARY KEY (rollout_id, seq)"                                                                              \
	") STRICT, WITHOUT ROWID;"                                                                                     \
	"CREATE TABLE events ("                                                                                        \
	"  id INTEGER PRIMARY KEY,"                                                                                    \
	"  rollout_id INTEGER NOT NULL,"                                                                               \
	"  unix_ms INTEGER NOT NULL,"                                                                                  \
	"  name TEXT NOT NULL,"                                                                                        \
	"  kind TEXT NOT NULL,"                                                                                        \
	"  phase TEXT NOT NULL,"                                                                                       \
	"  text TEXT NOT NULL,"                                                                                        \
	"  by TEXT NOT NULL"                                                                                           \
	") STRICT;"                                                                                                    \
	"CREATE INDEX events_of_name ON events ("                                                                      \
	"(id >> 10)"                                                                                                   \
	", name);"                                                                                                     \
	"CREATE INDEX events_of_rollout ON events ("                                                                   \
	"(id >> 12)"                                                                                                   \
	", rollout_id);"                                                                                               \
	"CREATE INDEX events_loose ON events (unix_ms) WHERE rollout_id = 0;"                                          \
	"CREATE TABLE samples ("                                                                                       \
	"  rollout_id INTEGER NOT NULL,"                                                                               \
	"  start_unix_ms INTEGER NOT NULL,"                                                                            \
	"  canary_invocations INTEGER NOT NULL,"                                                                       \
	"  canary_errors INTEGER NOT NULL,"                                                                            \
	"  stable_invocations INTEGER NOT NULL,"                                                                       \
	"  stable_errors INTEGER NOT NULL,"                                                                            \
	"  alias_invocations INTEGER NOT NULL,"                                                                        \
	"  alias_errors INTEGER NOT NULL,"                                                                             \
	"  PRIMARY KEY (rollout_id, start_unix_ms)"                                                                    \
	") STRICT, WITHOUT ROWID;"                                                                                     \
	"CREATE TABLE sources ("                                                                                       \
	"  source TEXT PRIMARY KEY,"                                                                                   \
	"  hash TEXT NOT NULL,"                                                                                        \
	"  name TEXT NOT NULL"                                                                                         \
	") STRICT, WITHOUT ROWID;"                                                                                     \
	"CREATE TABLE quarantine ("                                                                                    \
	"  alias_key TEXT NOT NULL,"                                                                                   \
	"  code_hash TEXT NOT NULL,"                                                                                   \
	"  reason TEXT NOT NULL,"                                                                                      \
	"  unix_ms INTEGER NOT NULL,"                                                                                  \
	"  PRIMARY KEY (alias_key, code_hash)"                                                                         \
	") STRICT, WITHOUT ROWID;"                                                                                     \
	"PRAGMA application_id = 1919904876; PRAGMA user_version = 1;"

/* An ended rollout, a live one, and what is kept of them; 40 periods of the live one. */
#define SCHEMA_1_ROWS                                                                                                  \
	"INSERT INTO rollouts VALUES (1, 'old', 1, 'k1', 0, 4, 'h1', 10, 20, 0, 'r1');"                                \
	"INSERT INTO rollouts VALUES (2, 'hello', 7, 'k2', 1, 9, 'h2', 30, 40, 1, 'r2');"                              \
	"INSERT INTO plans VALUES (1, 'p1'), (2, 'p2');"                                                               \
	"INSERT INTO intents VALUES (2, 5, 31, '1 + 2@1000bp', 'rev');"                                                \
	"INSERT INTO events VALUES (1, 1, 11, 'old', 'phase', 'succeeded', 'e1', '');"                                 \
	"INSERT INTO events VALUES (2, 2, 31, 'hello', 'phase', 'progressing', 'e2', 'uid=0');"                        \
	"INSERT INTO samples VALUES (1, 60000, 1, 2, 3, 4, 5, -1);"                                                    \
	"WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 39) "                                \
	"INSERT INTO samples SELECT 2, i * 60000, i, 0, 9 * i, 1, -1, -1 FROM n;"                                      \
	"INSERT INTO sources VALUES ('hello.yaml', 'h2', 'hello');"                                                    \
	"INSERT INTO quarantine VALUES ('k1', 'code', 'it failed', 12);"                                               \
	"UPDATE owner SET epoch = 3, last_rollout_id = 2, last_event_id = 2;"
