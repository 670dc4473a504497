/* The tables of the SQLite store, and how older ones become today's. */
#pragma once

#include <sqlite3.h>

/* In the file's header, for file(1) and for telling a database of ours from any other: "roll". */
#define SCHEMA_APPLICATION_ID 0x726f6c6c

/* The version that this program reads and writes; PRAGMA user_version. */
int schema_version(void);

/* Brings a database from version `from` (0: empty) to schema_version(). The caller has a transaction open. Returns a
 * result code of SQLite. */
int schema_migrate(sqlite3 *db, int from);
