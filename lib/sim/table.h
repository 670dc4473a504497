/*
 * A table from text to pointer that keeps the order of insertion, so that whatever walks it is deterministic. The
 * values are borrowed, the keys copied.
 */
#pragma once

#include <stdint.h>

#include "base/macros.h"

struct table_entry {
	char *key;
	void *value;
};

struct table {
	struct table_entry *entries;
	size_t len;
	size_t cap;
	uint32_t *slots; /* open addressing; index + 1, 0: free */
	size_t n_slots;	 /* a power of two, or 0 */
};

void table_deinit(struct table *t); /* the values are the caller's */
void *table_get(const struct table *t, const char *key);
void table_put(struct table *t, const char *key, void *value); /* replaces */
void *table_remove(struct table *t, const char *key);	       /* gives the value; NULL if absent */
