/* Strings to pointers. Deletion moves later entries of the run back, so there are no tombstones. */
#include "base/strmap.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"

/* FNV-1a, 64 bit (Fowler, Noll, Vo). Keys come from plans that an operator wrote, so flooding is no concern. */
static uint64_t hash(const char *key)
{
	uint64_t h = UINT64_C(14695981039346656037);

	for (; *key; key++)
		h = (h ^ (unsigned char)*key) * UINT64_C(1099511628211);
	return h;
}

static size_t find(const struct strmap *m, const char *key)
{
	size_t i = (size_t)hash(key) & (m->cap - 1);

	while (m->slots[i].key && strcmp(m->slots[i].key, key) != 0)
		i = (i + 1) & (m->cap - 1);
	return i;
}

void strmap_deinit(struct strmap *m)
{
	for (size_t i = 0; i < m->cap; i++)
		free(m->slots[i].key);
	free(m->slots);
	*m = (struct strmap){0};
}

void *strmap_get(const struct strmap *m, const char *key)
{
	return m->cap == 0 ? NULL : m->slots[find(m, key)].value;
}

static void grow(struct strmap *m)
{
	struct strmap bigger = {.cap = m->cap == 0 ? 16 : m->cap * 2, .len = m->len};

	bigger.slots = mem_array(bigger.cap, sizeof(*bigger.slots));
	for (size_t i = 0; i < m->cap; i++) {
		if (m->slots[i].key)
			bigger.slots[find(&bigger, m->slots[i].key)] = m->slots[i];
	}
	free(m->slots);
	*m = bigger;
}

static void take_out(struct strmap *m, size_t hole)
{
	size_t i = hole;

	free(m->slots[hole].key);
	m->slots[hole] = (struct strmap_slot){0};
	m->len--;
	for (;;) {
		size_t home;
		bool reachable;

		i = (i + 1) & (m->cap - 1);
		if (!m->slots[i].key)
			return;
		home = (size_t)hash(m->slots[i].key) & (m->cap - 1);
		/* The entry may stay if its home lies cyclically in (hole, i]. */
		reachable = hole <= i ? (hole < home && home <= i) : (hole < home || home <= i);
		if (reachable)
			continue;
		m->slots[hole] = m->slots[i];
		m->slots[i] = (struct strmap_slot){0};
		hole = i;
	}
}

void strmap_put(struct strmap *m, const char *key, void *value)
{
	size_t i;

	if (m->cap == 0 || (m->len + 1) * 4 > m->cap * 3)
		grow(m);
	i = find(m, key);
	if (m->slots[i].key) {
		if (value)
			m->slots[i].value = value;
		else
			take_out(m, i);
	} else if (value) {
		m->slots[i] = (struct strmap_slot){mem_strdup(key), value};
		m->len++;
	}
}
