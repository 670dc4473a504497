/*
 * An ordered table of rows in memory, whose changes can be taken back: what the in-memory store is made of. Each row
 * has a key; keys are ordered by kind, s, t, a, b, c.
 */
#pragma once

#include <stdbool.h>

#include "store/store.h"

enum row_kind {
	ROW_ROLLOUT,	      /* a: id */
	ROW_ROLLOUT_OF_NAME,  /* s: name, a: attempt; an index */
	ROW_INTENT,	      /* a: rollout, b: seq */
	ROW_EVENT,	      /* a: id */
	ROW_EVENT_OF_NAME,    /* s: name, a: id; an index */
	ROW_EVENT_OF_ROLLOUT, /* a: rollout, b: id; an index */
	ROW_SAMPLE,	      /* a: rollout, b: start, c: when it was read; signs turned so that they sort */
	ROW_JUDGEMENT,	      /* a: rollout, b: seq */
	ROW_QUERY,	      /* a: rollout, b: its number */
	ROW_SOURCE,	      /* s: source */
	ROW_QUARANTINE,	      /* s: alias, t: code hash */
};

struct row_key {
	enum row_kind kind;
	const char *s; /* never NULL */
	const char *t;
	uint64_t a;
	uint64_t b;
	uint64_t c;
};

struct row {
	struct row_key key;
	union {
		struct store_rollout rollout;
		struct store_intent intent;
		struct store_event event;
		struct store_sample sample;
		struct store_judgement judgement;
		struct store_query query;
		struct store_source source;
		uint64_t id; /* of an index */
	};
	struct row *left;
	struct row *right;
	uint64_t priority;
	char text[]; /* what the key and the value point to */
};

/* A new row with a zeroed value. The strings of the key and the n `texts` (NULL counts as "") are copied into it, and
 * each of `texts` is set to its copy. */
struct row *memtable_row_new(const struct row_key *key, const char **texts, size_t n);

struct memtable;

struct memtable *memtable_new(void);
void memtable_free(struct memtable *t);

/* Puts the row, which is the table's from now on, in place of one with an equal key. */
void memtable_put(struct memtable *t, struct row *row);
void memtable_drop(struct memtable *t, const struct row_key *key); /* if it is there */
/* Since the last of the two. What was replaced or dropped stays readable until then. */
void memtable_keep_changes(struct memtable *t);
void memtable_undo_changes(struct memtable *t);

struct row *memtable_find(const struct memtable *t, const struct row_key *key); /* NULL: not there */
/* The nearest row of the key's kind on that side; the key itself counts if `inclusive`. */
struct row *memtable_after(const struct memtable *t, const struct row_key *key, bool inclusive);
struct row *memtable_before(const struct memtable *t, const struct row_key *key, bool inclusive);
