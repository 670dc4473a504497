/* A hash table from text to pointers. Keys are borrowed: they live in what the pointer points to. */
#pragma once

#include <stddef.h>

struct strmap_slot {
	const char *key; /* NULL: empty */
	void *value;
};

struct strmap {
	struct strmap_slot *slots;
	size_t cap; /* a power of two, or 0 */
	size_t len;
};

void strmap_deinit(struct strmap *m);				 /* the values are the caller's */
void *strmap_get(const struct strmap *m, const char *key);	 /* NULL if absent */
void strmap_put(struct strmap *m, const char *key, void *value); /* replaces key and value */
void strmap_drop(struct strmap *m, const char *key);

/* for (size_t i = 0; (value = strmap_next(m, &i));) walks all values; nothing may be put or dropped meanwhile. */
void *strmap_next(const struct strmap *m, size_t *i);
