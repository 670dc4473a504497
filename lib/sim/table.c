#include "sim/table.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"

static uint64_t hash_text(const char *s)
{
	/* FNV-1a, 64 bits: http://www.isthe.com/chongo/tech/comp/fnv/ */
	uint64_t h = 14695981039346656037u;
	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 1099511628211u;
	return h;
}

static size_t find_slot(const struct table *t, const char *key)
{
	size_t i = hash_text(key) & (t->n_slots - 1);
	while (t->slots[i] && strcmp(t->entries[t->slots[i] - 1].key, key) != 0)
		i = (i + 1) & (t->n_slots - 1);
	return i;
}

static void rebuild(struct table *t, size_t n_slots)
{
	free(t->slots);
	t->slots = mem_array(n_slots, sizeof(*t->slots));
	t->n_slots = n_slots;
	for (size_t i = 0; i < t->len; i++)
		t->slots[find_slot(t, t->entries[i].key)] = (uint32_t)(i + 1);
}

void table_deinit(struct table *t)
{
	for (size_t i = 0; i < t->len; i++)
		free(t->entries[i].key);
	free(t->entries);
	free(t->slots);
	*t = (struct table){0};
}

void *table_get(const struct table *t, const char *key)
{
	if (!t->n_slots)
		return NULL;
	size_t slot = find_slot(t, key);
	return t->slots[slot] ? t->entries[t->slots[slot] - 1].value : NULL;
}

void table_put(struct table *t, const char *key, void *value)
{
	if (t->n_slots) {
		size_t slot = find_slot(t, key);
		if (t->slots[slot]) {
			t->entries[t->slots[slot] - 1].value = value;
			return;
		}
	}
	require(t->len < UINT32_MAX - 1);
	t->entries = mem_grow(t->entries, &t->cap, t->len + 1, sizeof(*t->entries));
	t->entries[t->len++] = (struct table_entry){.key = mem_strdup(key), .value = value};
	if (t->len * 2 > t->n_slots)
		rebuild(t, t->n_slots ? t->n_slots * 2 : 16);
	else
		t->slots[find_slot(t, key)] = (uint32_t)t->len;
}

void *table_remove(struct table *t, const char *key)
{
	if (!t->n_slots)
		return NULL;
	size_t slot = find_slot(t, key);
	if (!t->slots[slot])
		return NULL;
	size_t index = t->slots[slot] - 1;
	void *value = t->entries[index].value;
	free(t->entries[index].key);
	memmove(&t->entries[index], &t->entries[index + 1], (t->len - index - 1) * sizeof(*t->entries));
	t->len--;
	/* Removal is rare here, so the slots are simply made anew. */
	rebuild(t, t->n_slots);
	return value;
}
