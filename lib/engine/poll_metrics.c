/*
 * GetMetricData for many rollouts at once: as few calls as 500 queries each allow. What one rollout asks for stays in
 * one call. Where CloudWatch refuses a call, whoever has queries of their own in it is asked for alone, so that a
 * mistake in one plan blinds no other rollout.
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/poll.h"

#define POINTS_MAX INT64_C(90000) /* of one call; AWS gives at most 100,800 */

/* How a query was answered, over all pages. */
struct answer {
	uint8_t page; /* the last one with a result of it; 0: none */
	uint8_t status;
	bool several; /* results on one page */
};

/* One GetMetricData call, with its pages. */
struct batch {
	struct engine *engine;
	bool history; /* of the stable version, not the metrics */
	struct poll_entry **entries;
	size_t n_entries;
	size_t cap_entries;
	struct poll_list list;
	struct answer *answers; /* of each query */
	int64_t from_unix_ms;
	int64_t through_unix_ms;
	int64_t period_ms; /* the finest */
	struct buf token;
	uint8_t page; /* being read, from 1 */
};

static void batch_submit(struct batch *b);

static struct batch *batch_new(struct engine *e, bool history)
{
	struct batch *b = mem_alloc(sizeof(*b));

	b->engine = e;
	b->history = history;
	b->from_unix_ms = INT64_MAX;
	b->through_unix_ms = INT64_MIN;
	b->period_ms = INT64_MAX;
	b->token = BUF_INIT(CLOUDWATCH_TOKEN_MAX);
	return b;
}

static void batch_free(struct batch *b)
{
	buf_deinit(&b->token);
	free(b->entries);
	free(b->list.items);
	free(b->answers);
	free(b);
}

/* --- cutting --- */

struct range {
	int64_t from_unix_ms;
	int64_t through_unix_ms;
	int64_t period_ms;
};

static struct range range_of(const struct poll_entry *p, bool history)
{
	if (history)
		return (struct range){p->history_from_unix_ms, p->history_through_unix_ms, HISTORY_PERIOD_MS};
	return (struct range){p->from_unix_ms, p->through_unix_ms, p->item->plan->spec.analysis.period_ms};
}

static struct range wider(const struct batch *b, struct range r)
{
	if (b->from_unix_ms < r.from_unix_ms)
		r.from_unix_ms = b->from_unix_ms;
	if (b->through_unix_ms > r.through_unix_ms)
		r.through_unix_ms = b->through_unix_ms;
	if (b->period_ms < r.period_ms)
		r.period_ms = b->period_ms;
	return r;
}

static bool fits(const struct batch *b, struct range r, const struct poll_list *more)
{
	size_t n = b->list.len + more->len;
	int64_t points = (r.through_unix_ms - r.from_unix_ms) / r.period_ms * (int64_t)n;

	return n <= LIMIT_METRIC_QUERIES && points <= POINTS_MAX &&
	       b->list.bytes + more->bytes <= CLOUDWATCH_QUERIES_MAX;
}

static void batch_add(struct batch *b, struct poll_entry *p, struct range r, const struct poll_list *more)
{
	struct poll_list *all = &b->list;

	b->entries = mem_grow(b->entries, &b->cap_entries, b->n_entries + 1, sizeof(struct poll_entry *));
	b->entries[b->n_entries++] = p;
	all->items = mem_grow(all->items, &all->cap, all->len + more->len, sizeof(*all->items));
	memcpy(all->items + all->len, more->items, more->len * sizeof(*more->items));
	all->len += more->len;
	all->bytes += more->bytes;
	b->from_unix_ms = r.from_unix_ms;
	b->through_unix_ms = r.through_unix_ms;
	b->period_ms = r.period_ms;
}

/* A batch that is being filled; sent when the next entry does not fit, or is one that must not be with others. */
static void start(struct engine *e, struct poll_entry **entries, size_t n, bool history, bool singly)
{
	struct poll_list one = {0};
	struct batch *b = NULL;

	for (size_t k = 0; k < n; k++) {
		struct poll_entry *p = entries[k];
		bool alone = singly || (p->item->metrics_alone && !history);
		struct range r = range_of(p, history);

		one.len = one.bytes = 0;
		if (history)
			poll_list_history(p, &one);
		else
			poll_list_metrics(p, &one);
		if (b && (alone || !fits(b, wider(b, r), &one)))
			batch_submit(take_ptr(b));
		if (!b)
			b = batch_new(e, history);
		batch_add(b, p, wider(b, r), &one);
		if (alone)
			batch_submit(take_ptr(b));
	}
	if (b)
		batch_submit(b);
	free(one.items);
}

void poll_metrics_start(struct engine *e, struct poll_entry **entries, size_t n, bool history)
{
	start(e, entries, n, history, false);
}

/* --- answers --- */

static void take_datapoint(void *ctx, size_t query, int64_t unix_ms, double value)
{
	struct batch *b = ctx;

	if (b->list.items[query].returns)
		poll_take(&b->list.items[query], unix_ms, value);
}

static void take_status(void *ctx, size_t query, enum cloudwatch_status status)
{
	struct batch *b = ctx;
	struct answer *a = &b->answers[query];

	a->several = a->several || a->page == b->page;
	a->page = b->page;
	/* Of several pages only the last says Complete; PartialData on an earlier one just means that more follows. */
	a->status = (uint8_t)status;
}

static bool is_count(void *ctx, size_t query)
{
	const struct batch *b = ctx;

	return poll_is_count(&b->list.items[query]);
}

/* What is wrong with one query's answer; NULL: nothing. */
static const char *problem_of(const struct batch *b, size_t query)
{
	const struct answer *a = &b->answers[query];

	if (!b->list.items[query].returns)
		return NULL;
	if (a->page == 0)
		return "GetMetricData: CloudWatch has not answered all queries";
	if (a->status == CLOUDWATCH_FORBIDDEN)
		return "GetMetricData: CloudWatch forbids reading one of the metrics";
	if (a->status != CLOUDWATCH_COMPLETE)
		return "GetMetricData: CloudWatch answered with a part of the data only";
	if (a->several)
		return "GetMetricData: a query of the plan gives several series: put them together, with SUM() or "
		       "MAX()";
	return NULL;
}

static void judge_answers(struct batch *b)
{
	for (size_t n = 0; n < b->list.len; n++) {
		const char *problem = problem_of(b, n);
		struct poll_entry *p = b->list.items[n].owner;

		if (problem && b->history)
			p->history.seen = false;
		else if (problem && !poll_is_dry(&b->list.items[n]))
			poll_part_failed(p, problem);
	}
}

/* The history is asked for again with the next poll while it is not there, and nothing else depends on it. */
static void batch_finish(struct batch *b, const char *error)
{
	for (size_t n = 0; n < b->n_entries; n++) {
		if (b->history)
			b->entries[n]->history.seen = !error;
		else if (error)
			poll_part_failed(b->entries[n], error);
	}
	if (!error)
		judge_answers(b);
	for (size_t n = 0; n < b->n_entries; n++)
		poll_part_done(b->entries[n]);
	batch_free(b);
}

/* --- calls that are refused --- */

static bool has_own(const struct batch *b, const struct poll_entry *p, bool dry)
{
	for (size_t n = 0; n < b->list.len; n++) {
		const struct poll_query *q = &b->list.items[n];

		if (q->owner == p && q->metric == CLOUDWATCH_VERBATIM && (!dry || poll_is_dry(q)))
			return true;
	}
	return false;
}

/* Asks again without what only runs dry. Returns whether that is something else than before. */
static bool try_without_dry(struct batch *b)
{
	struct poll_entry *p = b->entries[0];

	if (p->without_dry || !has_own(b, p, true))
		return false;
	p->without_dry = true;
	start(b->engine, &p, 1, b->history, true);
	return true;
}

/* Asks again for those with queries of their own, one by one, and for the others together. Returns whether there are
 * any. */
static bool try_apart(struct batch *b)
{
	struct poll_entry **own cleanup(mem_free_p) = mem_array(b->n_entries, sizeof(*own));
	struct poll_entry **others cleanup(mem_free_p) = mem_array(b->n_entries, sizeof(*others));
	size_t n_own = 0, n_others = 0;

	for (size_t n = 0; n < b->n_entries; n++) {
		if (has_own(b, b->entries[n], false))
			own[n_own++] = b->entries[n];
		else
			others[n_others++] = b->entries[n];
	}
	if (n_own == 0)
		return false;
	start(b->engine, own, n_own, b->history, true);
	start(b->engine, others, n_others, b->history, false);
	return true;
}

/* CloudWatch found something wrong with the call itself. Returns whether it is asked again, in another way. */
static bool try_again(struct batch *b, const struct aws_error *error)
{
	struct item *i = b->entries[0]->item;

	if (error->class != AWS_INVALID || b->history)
		return false;
	if (b->n_entries > 1)
		return try_apart(b);
	i->metrics_alone = i->metrics_alone || has_own(b, b->entries[0], false);
	return try_without_dry(b);
}

/* --- the call --- */

static int batch_build(void *arg, struct arena *a, const struct aws_endpoint *e, struct http_request *ret)
{
	struct batch *b = arg;
	struct cloudwatch_query *queries cleanup(mem_free_p) = mem_array(b->list.len, sizeof(*queries));

	for (size_t n = 0; n < b->list.len; n++)
		poll_query_make(&b->list.items[n], &queries[n]);
	return cloudwatch_build_get_metric_data(a, e, queries, b->list.len, b->from_unix_ms / MS_PER_SECOND,
						b->through_unix_ms / MS_PER_SECOND,
						b->token.len > 0 ? buf_text(&b->token) : NULL, ret);
}

static void batch_done(void *arg, const struct http_response *response, const struct aws_error *error)
{
	struct batch *b = arg;
	struct cloudwatch_sink sink = {b, take_datapoint, take_status, is_count};
	struct aws_error problem;
	char text[LIMIT_REASON];

	buf_reset(&b->token);
	b->page++;
	if (!error && cloudwatch_parse_get_metric_data(response, b->list.len, &sink, &b->token, &problem) != 0)
		error = &problem;
	if (error && try_again(b, error)) {
		batch_free(b);
	} else if (error) {
		aws_error_format(error, "GetMetricData", text, sizeof(text));
		batch_finish(b, text);
	} else if (b->token.len > 0 && b->page < LIMIT_PAGES) {
		batch_submit(b);
	} else if (b->token.len > 0) {
		batch_finish(b, "GetMetricData: the answer has more than 100 pages");
	} else {
		if (b->n_entries == 1 && !b->entries[0]->without_dry)
			b->entries[0]->item->metrics_alone = false;
		batch_finish(b, NULL);
	}
}

static void batch_submit(struct batch *b)
{
	struct item *i = b->entries[0]->item;
	struct dispatch_call call = {
	    .operation = OPERATION_GET_METRIC_DATA,
	    .account = i->plan->account,
	    .region = i->region,
	    .priority = PRIORITY_NORMAL,
	    .safe = true,
	    .build = batch_build,
	    .done = batch_done,
	    .arg = b,
	};

	if (!b->answers)
		b->answers = mem_array(b->list.len, sizeof(*b->answers));
	b->engine->stats.metrics_queried += b->list.len;
	(void)dispatch_submit(b->engine->dispatch, &call);
}
