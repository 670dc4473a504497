/* The counts of one rollout, rising in time. */
#include <string.h>

#include "base/mem.h"
#include "core/verdict.h"

void samples_deinit(struct samples *s)
{
	free(s->items);
	*s = (struct samples){0};
}

size_t samples_find(const struct samples *s, int64_t from_unix_ms)
{
	size_t low = 0, high = s->len;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (s->items[mid].start_unix_ms < from_unix_ms)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct sample *samples_at(struct samples *s, int64_t start_unix_ms)
{
	size_t at = samples_find(s, start_unix_ms);

	if (at < s->len && s->items[at].start_unix_ms == start_unix_ms)
		return &s->items[at];
	if (s->len == LIMIT_PERIODS) {
		if (at == 0)
			return NULL;
		memmove(s->items, s->items + 1, (s->len - 1) * sizeof(*s->items));
		s->len--;
		at--;
	}
	s->items = mem_grow(s->items, &s->cap, s->len + 1, sizeof(*s->items));
	memmove(s->items + at + 1, s->items + at, (s->len - at) * sizeof(*s->items));
	s->len++;
	s->items[at] = (struct sample){.start_unix_ms = start_unix_ms};
	return &s->items[at];
}
