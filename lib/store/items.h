/*
 * An ordered table of items in memory, whose changes can be taken back: what the in-memory store is made of. Each item
 * has a key; keys are ordered by kind, s, t, a, b.
 */
#pragma once

#include <stdbool.h>

#include "store/store.h"

enum item_kind {
	ITEM_ROLLOUT,	       /* a: id */
	ITEM_ROLLOUT_OF_NAME,  /* s: name, a: attempt; an index */
	ITEM_INTENT,	       /* a: rollout, b: seq */
	ITEM_EVENT,	       /* a: id */
	ITEM_EVENT_OF_NAME,    /* s: name, a: id; an index */
	ITEM_EVENT_OF_ROLLOUT, /* a: rollout, b: id; an index */
	ITEM_SAMPLE,	       /* a: rollout, b: start, with the sign turned so that it sorts */
	ITEM_SOURCE,	       /* s: source */
	ITEM_QUARANTINE,       /* s: alias, t: code hash */
};

struct item_key {
	enum item_kind kind;
	const char *s; /* never NULL */
	const char *t;
	uint64_t a;
	uint64_t b;
};

struct item {
	struct item_key key;
	union {
		struct store_rollout rollout;
		struct store_intent intent;
		struct store_event event;
		struct store_sample sample;
		struct store_source source;
		uint64_t id; /* of an index */
	};
	struct item *left;
	struct item *right;
	uint64_t priority;
	char text[]; /* what the key and the value point to */
};

/* A new item with a zeroed value. The strings of the key and the n `texts` (NULL counts as "") are copied into it, and
 * each of `texts` is set to its copy. */
struct item *items_new(const struct item_key *key, const char **texts, size_t n);

struct items;

struct items *items_new(void);
void items_free(struct items *t);

/* Puts the item, which is the table's from now on, in place of one with an equal key. */
void items_put(struct items *t, struct item *item);
void items_drop(struct items *t, const struct item_key *key); /* if it is there */
/* Since the last of the two. What was replaced or dropped stays readable until then. */
void items_keep_changes(struct items *t);
void items_undo_changes(struct items *t);

struct item *items_find(const struct items *t, const struct item_key *key); /* NULL: not there */
/* The nearest item of the key's kind on that side; the key itself counts if `inclusive`. */
struct item *items_after(const struct items *t, const struct item_key *key, bool inclusive);
struct item *items_before(const struct items *t, const struct item_key *key, bool inclusive);
