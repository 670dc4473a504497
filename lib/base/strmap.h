/*
 * A hash table from strings to pointers: open addressing, linear probing, keys copied. Not ordered.
 */
#pragma once

#include <stddef.h>

struct strmap_slot {
	char *key; /* NULL: empty */
	void *value;
};

struct strmap {
	struct strmap_slot *slots;
	size_t cap; /* a power of two, or 0 */
	size_t len;
};

void strmap_deinit(struct strmap *m);
void *strmap_get(const struct strmap *m, const char *key);	 /* NULL if absent */
void strmap_put(struct strmap *m, const char *key, void *value); /* replaces; value NULL removes */
