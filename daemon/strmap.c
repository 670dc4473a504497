/* Open addressing with linear probing, at most two thirds full; a drop moves what follows, so there are no tombs. */
#include "daemon/strmap.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* FNV-1a, 64 bits: http://www.isthe.com/chongo/tech/comp/fnv/. The keys are names that root or the daemon's own user
 * chose, so nobody gains by collisions. */
static uint64_t hash(const char *s)
{
	uint64_t h = UINT64_C(14695981039346656037);
	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * UINT64_C(1099511628211);
	return h;
}

/* The key's slot, or the empty one where it belongs. Needs cap > len. */
static size_t find(const struct strmap *m, const char *key)
{
	size_t i = (size_t)hash(key) & (m->cap - 1);
	while (m->slots[i].key && strcmp(m->slots[i].key, key) != 0)
		i = (i + 1) & (m->cap - 1);
	return i;
}

static void grow(struct strmap *m)
{
	struct strmap old = *m;
	m->cap = old.cap ? old.cap * 2 : 16;
	m->slots = mem_array(m->cap, sizeof(m->slots[0]));
	for (size_t i = 0; i < old.cap; i++)
		if (old.slots[i].key)
			m->slots[find(m, old.slots[i].key)] = old.slots[i];
	free(old.slots);
}

void strmap_deinit(struct strmap *m)
{
	free(m->slots);
	*m = (struct strmap){0};
}

void *strmap_get(const struct strmap *m, const char *key)
{
	return m->cap ? m->slots[find(m, key)].value : NULL;
}

void strmap_put(struct strmap *m, const char *key, void *value)
{
	if ((m->len + 1) * 3 > m->cap * 2)
		grow(m);
	size_t i = find(m, key);
	if (!m->slots[i].key)
		m->len++;
	m->slots[i] = (struct strmap_slot){.key = key, .value = value};
}

void strmap_drop(struct strmap *m, const char *key)
{
	size_t mask = m->cap - 1;
	size_t hole = m->cap ? find(m, key) : 0;
	if (!m->cap || !m->slots[hole].key)
		return;
	for (size_t i = (hole + 1) & mask; m->slots[i].key; i = (i + 1) & mask) {
		size_t home = (size_t)hash(m->slots[i].key) & mask;
		/* Moves back only what may not stay behind a hole: its home lies at or before the hole. */
		if (((i - home) & mask) >= ((i - hole) & mask)) {
			m->slots[hole] = m->slots[i];
			hole = i;
		}
	}
	m->slots[hole] = (struct strmap_slot){0};
	m->len--;
}

void *strmap_next(const struct strmap *m, size_t *i)
{
	while (*i < m->cap) {
		const struct strmap_slot *slot = &m->slots[(*i)++];
		if (slot->key)
			return slot->value;
	}
	return NULL;
}
