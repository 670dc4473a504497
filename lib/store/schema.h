/* The tables of the SQLite store, and how older ones become today's. */
#pragma once

#include <sqlite3.h>

/* In the file's header, for file(1) and for telling a database of ours from any other: "roll". */
#define SCHEMA_APPLICATION_ID 0x726f6c6c

/* Events and judgements are indexed in blocks of that many bits of the id: see schema.c. Part of the schema: never to
 * be changed. */
#define SCHEMA_NAME_BLOCK_BITS	  10
#define SCHEMA_ROLLOUT_BLOCK_BITS 12
/* Such a number within the text of a statement. */
#define SCHEMA_TEXT(number)  SCHEMA_TEXT_(number)
#define SCHEMA_TEXT_(number) #number
#define SCHEMA_NAME_BLOCK    "(id >> " SCHEMA_TEXT(SCHEMA_NAME_BLOCK_BITS) ")"
#define SCHEMA_ROLLOUT_BLOCK "(id >> " SCHEMA_TEXT(SCHEMA_ROLLOUT_BLOCK_BITS) ")"

/* The version that this program reads and writes; PRAGMA user_version. */
int schema_version(void);

/* Brings a database from version `from` (0: empty) to schema_version(). The caller has a transaction open. Returns a
 * result code of SQLite. */
int schema_migrate(sqlite3 *db, int from);
