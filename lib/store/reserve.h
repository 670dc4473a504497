/*
 * A file that holds disk space back, to be given up when the disk is full: so that a daemon whose disk was filled by
 * somebody else can still start, and still record that it takes traffic home.
 *
 * Its size: SQLite's log is about 4 MiB when it is copied into the database, which may have to grow by as much; then
 * the log begins anew in the room that it has.
 */
#pragma once

#include <stdbool.h>

#define RESERVE_BYTES (8 * 1024 * 1024)

/* Makes or fills it up. Without room for it there is none, and the next call tries again. */
void reserve_make(const char *path);
/* Whether it held anything; now that space is free. */
bool reserve_spend(const char *path);
