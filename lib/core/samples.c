/* The counts of one rollout, rising in time. */
#include "core/samples.h"

#include <math.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"

void samples_deinit(struct samples *s)
{
	free(s->items);
	free(s->values);
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

double *samples_values(const struct samples *s, size_t index)
{
	return s->n_values > 0 ? s->values + index * s->n_values : NULL;
}

/* Makes room for the values of one more sample before that index. */
static void open_values(struct samples *s, size_t at)
{
	size_t n = s->n_values;

	if (n == 0)
		return;
	s->values = mem_grow(s->values, &s->cap_values, (s->len + 1) * n, sizeof(*s->values));
	memmove(s->values + (at + 1) * n, s->values + at * n, (s->len - at) * n * sizeof(*s->values));
	for (size_t i = 0; i < n; i++)
		s->values[at * n + i] = NAN;
}

static void drop_oldest(struct samples *s)
{
	s->len--;
	memmove(s->items, s->items + 1, s->len * sizeof(*s->items));
	if (s->n_values > 0)
		memmove(s->values, s->values + s->n_values, s->len * s->n_values * sizeof(*s->values));
}

struct sample *samples_at(struct samples *s, int64_t start_unix_ms)
{
	size_t at = samples_find(s, start_unix_ms);

	if (at < s->len && s->items[at].start_unix_ms == start_unix_ms)
		return &s->items[at];
	if (s->len == LIMIT_PERIODS) {
		if (at == 0)
			return NULL;
		drop_oldest(s);
		at--;
	}
	s->items = mem_grow(s->items, &s->cap, s->len + 1, sizeof(*s->items));
	memmove(s->items + at + 1, s->items + at, (s->len - at) * sizeof(*s->items));
	open_values(s, at);
	s->len++;
	s->items[at] = (struct sample){.start_unix_ms = start_unix_ms};
	return &s->items[at];
}
