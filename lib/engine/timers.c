/* One timer for each item, in a binary heap; an item knows its slot, so that a change is O(log n). */
#include "base/mem.h"
#include "engine/item.h"

static void place(struct engine *e, size_t at, struct item *i)
{
	e->heap[at] = i;
	i->timer_slot = at + 1;
}

static void sift_up(struct engine *e, size_t at)
{
	struct item *i = e->heap[at];

	while (at > 0 && e->heap[(at - 1) / 2]->timer_boot_ms > i->timer_boot_ms) {
		place(e, at, e->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	place(e, at, i);
}

static void sift_down(struct engine *e, size_t at)
{
	struct item *i = e->heap[at];

	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= e->n_heap)
			break;
		if (child + 1 < e->n_heap && e->heap[child + 1]->timer_boot_ms < e->heap[child]->timer_boot_ms)
			child++;
		if (e->heap[child]->timer_boot_ms >= i->timer_boot_ms)
			break;
		place(e, at, e->heap[child]);
		at = child;
	}
	place(e, at, i);
}

static void take_out(struct engine *e, struct item *i)
{
	size_t at = i->timer_slot - 1;
	struct item *last = e->heap[--e->n_heap];

	i->timer_slot = 0;
	if (last == i)
		return;
	place(e, at, last);
	sift_up(e, at);
	sift_down(e, last->timer_slot - 1);
}

void timers_set(struct engine *e, struct item *i, int64_t boot_ms)
{
	if (i->timer_slot != 0)
		take_out(e, i);
	i->timer_boot_ms = boot_ms;
	if (boot_ms == INT64_MAX)
		return;
	e->heap = mem_grow(e->heap, &e->cap_heap, e->n_heap + 1, sizeof(struct item *));
	place(e, e->n_heap, i);
	sift_up(e, e->n_heap++);
}

struct item *timers_due(struct engine *e, int64_t boot_ms)
{
	struct item *i = e->n_heap > 0 ? e->heap[0] : NULL;

	if (!i || i->timer_boot_ms > boot_ms)
		return NULL;
	take_out(e, i);
	return i;
}

int64_t timers_next(const struct engine *e)
{
	return e->n_heap > 0 ? e->heap[0]->timer_boot_ms : INT64_MAX;
}
