/*
 * Reading metrics for many rollouts at once. All polls of one turn that share account and region go into as few
 * GetMetricData calls as 500 queries each allow; DescribeAlarms likewise takes up to 100 names. A rollout gets its one
 * EVENT_POLLED when all of its parts have been answered.
 */
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "engine/poll.h"

/* --- one rollout's poll --- */

void poll_add(struct item *i, const struct rollout_effect *effect)
{
	struct engine *e = i->engine;
	struct poll_entry *p;

	e->polls = mem_grow(e->polls, &e->cap_polls, e->n_polls + 1, sizeof(struct poll_entry *));
	p = mem_alloc(sizeof(*p));
	*p = (struct poll_entry){
	    .item = i,
	    .seq = effect->seq,
	    .from_unix_ms = effect->poll.from_unix_ms,
	    .through_unix_ms = effect->poll.through_unix_ms,
	    .history_from_unix_ms = effect->poll.history_from_unix_ms,
	    .history_through_unix_ms = effect->poll.history_through_unix_ms,
	};
	item_pin(i);
	e->calls_open++;
	e->polls[e->n_polls++] = p;
}

void poll_part_done(struct poll_entry *p)
{
	struct item *i = p->item;
	struct rollout_event event = {.kind = EVENT_POLLED, .seq = p->seq};

	if (--p->parts > 0)
		return;
	event.polled.complete = !p->failed;
	event.polled.through_unix_ms = p->through_unix_ms;
	event.polled.alarms = p->alarms_read ? p->alarms : NULL;
	event.polled.history = p->history;
	(void)text_copy(event.polled.error, sizeof(event.polled.error), p->error);
	engine_event(i, &event, NULL, NULL);
	i->engine->calls_open--;
	free(p);
	item_unpin(i);
}

void poll_part_failed(struct poll_entry *p, const char *why)
{
	if (!p->failed)
		(void)text_copy(p->error, sizeof(p->error), why);
	p->failed = true;
}

/* --- the turn's polls --- */

static int by_target(const void *a, const void *b)
{
	const struct poll_entry *const *x = a, *const *y = b;
	int order = strcmp((*x)->item->plan->account, (*y)->item->plan->account);

	if (order == 0)
		order = strcmp((*x)->item->region, (*y)->item->region);
	if (order == 0)
		order = ((*x)->from_unix_ms > (*y)->from_unix_ms) - ((*x)->from_unix_ms < (*y)->from_unix_ms);
	return order;
}

static bool same_target(const struct poll_entry *x, const struct poll_entry *y)
{
	return strcmp(x->item->plan->account, y->item->plan->account) == 0 &&
	       strcmp(x->item->region, y->item->region) == 0;
}

static bool reads_metrics(const struct poll_entry *p)
{
	return p->through_unix_ms > p->from_unix_ms;
}

static bool reads_history(const struct poll_entry *p)
{
	return p->history_through_unix_ms != 0;
}

static bool reads_alarms(const struct poll_entry *p)
{
	return poll_alarms_count(p) > 0;
}

static size_t choose(struct poll_entry **from, size_t n, bool (*chosen)(const struct poll_entry *p),
		     struct poll_entry **out)
{
	size_t len = 0;

	for (size_t k = 0; k < n; k++) {
		if (chosen(from[k]))
			out[len++] = from[k];
	}
	return len;
}

/* The entries of one account and region. None of their calls is answered before this is over. */
static void start_group(struct engine *e, struct poll_entry **entries, size_t n)
{
	struct poll_entry **part cleanup(mem_free_p) = mem_array(n, sizeof(*part));
	struct poll_entry **history cleanup(mem_free_p) = mem_array(n, sizeof(*history));
	struct poll_entry **alarms cleanup(mem_free_p) = mem_array(n, sizeof(*alarms));
	size_t n_part, n_history = choose(entries, n, reads_history, history);
	size_t n_alarms = choose(entries, n, reads_alarms, alarms);

	for (size_t k = 0; k < n; k++) {
		struct poll_entry *p = entries[k];

		p->parts = (unsigned)reads_metrics(p) + reads_history(p) + reads_alarms(p);
	}
	n_part = choose(entries, n, reads_metrics, part);
	for (size_t k = 0; k < n; k++) {
		if (entries[k]->parts > 0)
			continue;
		entries[k]->parts = 1;
		poll_part_done(entries[k]);
	}
	poll_metrics_start(e, part, n_part, false);
	poll_metrics_start(e, history, n_history, true);
	poll_alarms_start(e, alarms, n_alarms);
}

void poll_flush(struct engine *e)
{
	size_t n = e->n_polls, first = 0;

	if (n == 0)
		return;
	e->n_polls = 0;
	qsort(e->polls, n, sizeof(struct poll_entry *), by_target);
	for (size_t k = 1; k <= n; k++) {
		if (k < n && same_target(e->polls[first], e->polls[k]))
			continue;
		start_group(e, e->polls + first, k - first);
		first = k;
	}
}
