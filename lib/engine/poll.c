/*
 * Reading metrics for many rollouts at once. All polls of one turn that share account and region go into as few
 * GetMetricData calls as 500 queries each allow; DescribeAlarms likewise takes up to 100 names. A rollout gets its one
 * EVENT_POLLED when all of its parts have been answered.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "aws/cloudwatch.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/item.h"

#define TOKEN_MAX  8192
#define SERIES_MAX 3		  /* canary, stable, alias */
#define POINTS_MAX INT64_C(90000) /* of one call; AWS gives at most 100,800 */

enum series { SERIES_CANARY, SERIES_STABLE, SERIES_ALIAS };

/* One rollout's poll. It lives until both of its parts are answered. */
struct poll_entry {
	struct item *item; /* pinned */
	uint64_t seq;
	int64_t from_unix_ms;
	int64_t through_unix_ms;
	enum series series[SERIES_MAX];
	size_t n_series;
	size_t first_query; /* within its batch: two queries for each series */
	unsigned parts;	    /* still to be answered */
	unsigned results;   /* queries answered Complete on all pages */
	bool failed;
	bool alarms_read;
	enum alarm_state alarms[LIMIT_METRICS];
	char error[LIMIT_REASON];
};

/* One GetMetricData call, with its pages. */
struct batch {
	struct engine *engine;
	struct poll_entry **entries;
	size_t n_entries;
	struct cloudwatch_query *queries;
	struct poll_entry **owners; /* of each query */
	bool *bad;		    /* query had a status other than Complete on some page */
	bool *seen;
	size_t n_queries;
	int64_t from_unix_ms;
	int64_t through_unix_ms;
	struct buf token;
	unsigned pages;
};

/* One DescribeAlarms call, with its pages. */
struct alarm_batch {
	struct engine *engine;
	struct poll_entry **entries;
	size_t n_entries;
	const char **names; /* borrowed of the plans */
	size_t n_names;
	struct buf token;
	unsigned pages;
};

/* --- collecting --- */

static void choose_series(const struct rollout *r, struct poll_entry *p)
{
	p->series[p->n_series++] = SERIES_CANARY;
	p->series[p->n_series++] = r->promoted_unix_ms != 0 ? SERIES_ALIAS : SERIES_STABLE;
	/* A poll that reaches back before the promotion still reads the stable version's late data. */
	if (r->promoted_unix_ms != 0 && p->from_unix_ms < r->promoted_unix_ms && r->stable != VERSION_LATEST)
		p->series[p->n_series++] = SERIES_STABLE;
}

void poll_add(struct item *i, uint64_t seq, int64_t from_unix_ms, int64_t through_unix_ms)
{
	struct engine *e = i->engine;
	struct poll_entry *p;

	e->polls = mem_grow(e->polls, &e->cap_polls, e->n_polls + 1, sizeof(struct poll_entry *));
	p = mem_alloc(sizeof(*p));
	*p = (struct poll_entry){
	    .item = i,
	    .seq = seq,
	    .from_unix_ms = from_unix_ms,
	    .through_unix_ms = through_unix_ms,
	};
	choose_series(&i->state, p);
	item_pin(i);
	e->calls_open++;
	e->polls[e->n_polls++] = p;
}

/* --- one rollout's answer --- */

static void part_done(struct poll_entry *p)
{
	struct item *i = p->item;
	struct rollout_event event = {.kind = EVENT_POLLED, .seq = p->seq};

	if (--p->parts > 0)
		return;
	event.polled.complete = !p->failed;
	event.polled.through_unix_ms = p->through_unix_ms;
	event.polled.alarms = p->alarms_read ? p->alarms : NULL;
	(void)text_copy(event.polled.error, sizeof(event.polled.error), p->error);
	engine_event(i, &event, NULL, NULL);
	i->engine->calls_open--;
	free(p);
	item_unpin(i);
}

static void part_failed(struct poll_entry *p, const char *why)
{
	if (!p->failed)
		(void)text_copy(p->error, sizeof(p->error), why);
	p->failed = true;
}

/* --- metrics --- */

static struct counts *counts_of(struct sample *s, enum series series)
{
	switch (series) {
	case SERIES_CANARY:
		return &s->canary;
	case SERIES_STABLE:
		return &s->stable;
	case SERIES_ALIAS:
		break;
	}
	return &s->alias;
}

static void note_change(struct item *i, int64_t start_unix_ms)
{
	if (i->n_changed > 0 && i->changed_samples[i->n_changed - 1] == start_unix_ms)
		return;
	i->changed_samples =
	    mem_grow(i->changed_samples, &i->cap_changed, i->n_changed + 1, sizeof(*i->changed_samples));
	i->changed_samples[i->n_changed++] = start_unix_ms;
	item_mark_dirty(i);
}

static void take_datapoint(void *ctx, size_t query, int64_t unix_ms, double value)
{
	struct batch *b = ctx;
	struct poll_entry *p = b->owners[query];
	size_t local = query - p->first_query;
	int64_t period = p->item->plan->spec.analysis.period_ms;
	int64_t start = unix_ms - unix_ms % period;
	uint64_t n = (uint64_t)llround(value);
	struct sample *s;
	struct counts *c;

	/* The batch's range is the union of all its rollouts'. */
	if (start < p->from_unix_ms || start >= p->through_unix_ms)
		return;
	s = samples_at(&p->item->samples, start);
	if (!s)
		return;
	c = counts_of(s, p->series[local / 2]);
	if (local % 2 == 0) {
		if (c->seen && c->invocations == n)
			return;
		c->seen = true;
		c->invocations = n;
	} else {
		if (c->errors == n)
			return;
		c->errors = n;
	}
	note_change(p->item, start);
}

static void take_status(void *ctx, size_t query, enum cloudwatch_status status)
{
	struct batch *b = ctx;

	b->seen[query] = true;
	/* Of several pages only the last says Complete; PartialData on an earlier one just means that more follows. */
	b->bad[query] = status != CLOUDWATCH_COMPLETE;
}

static void batch_free(struct batch *b)
{
	buf_deinit(&b->token);
	free(b->entries);
	free(b->queries);
	free(b->owners);
	free(b->bad);
	free(b->seen);
	free(b);
}

static void batch_finish(struct batch *b, const char *error)
{
	for (size_t n = 0; n < b->n_queries && !error; n++) {
		if (b->bad[n] || !b->seen[n])
			part_failed(b->owners[n], "GetMetricData: CloudWatch answered with a part of the data only");
	}
	for (size_t n = 0; n < b->n_entries; n++) {
		if (error)
			part_failed(b->entries[n], error);
		part_done(b->entries[n]);
	}
	batch_free(b);
}

static int batch_build(void *arg, struct arena *a, const struct aws_endpoint *e, struct http_request *ret)
{
	struct batch *b = arg;

	return cloudwatch_build_get_metric_data(a, e, b->queries, b->n_queries, b->from_unix_ms / MS_PER_SECOND,
						b->through_unix_ms / MS_PER_SECOND,
						b->token.len > 0 ? buf_text(&b->token) : NULL, ret);
}

static void batch_submit(struct batch *b);

static void batch_done(void *arg, const struct http_response *response, const struct aws_error *error)
{
	struct batch *b = arg;
	struct cloudwatch_sink sink = {b, take_datapoint, take_status, NULL};
	struct aws_error problem;
	char text[LIMIT_REASON];

	buf_reset(&b->token);
	if (!error && cloudwatch_parse_get_metric_data(response, b->n_queries, &sink, &b->token, &problem) != 0)
		error = &problem;
	if (error) {
		aws_error_format(error, "GetMetricData", text, sizeof(text));
		batch_finish(b, text);
	} else if (b->token.len > 0 && ++b->pages < LIMIT_PAGES) {
		batch_submit(b);
	} else if (b->token.len > 0) {
		batch_finish(b, "GetMetricData: the answer has more than 100 pages");
	} else {
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

	b->engine->stats.metrics_queried += b->n_queries;
	(void)dispatch_submit(b->engine->dispatch, &call);
}

static void add_query(struct batch *b, struct poll_entry *p, enum series series, enum cloudwatch_metric metric)
{
	const struct item *i = p->item;
	uint64_t version = series == SERIES_CANARY ? i->state.canary : series == SERIES_STABLE ? i->state.stable : 0;

	b->queries[b->n_queries] = (struct cloudwatch_query){
	    .metric = metric,
	    .function = i->plan->function,
	    .alias = i->plan->alias,
	    .version = version,
	    .period_s = (uint32_t)(i->plan->spec.analysis.period_ms / MS_PER_SECOND),
	};
	b->owners[b->n_queries++] = p;
}

/* Puts entries[0 … n) into one call. */
static void batch_start(struct engine *e, struct poll_entry **entries, size_t n, size_t n_queries, int64_t from,
			int64_t through)
{
	struct batch *b = mem_alloc(sizeof(*b));

	b->engine = e;
	b->entries = mem_array(n, sizeof(*b->entries));
	b->n_entries = n;
	memcpy(b->entries, entries, n * sizeof(*entries));
	b->queries = mem_array(n_queries, sizeof(*b->queries));
	b->owners = mem_array(n_queries, sizeof(*b->owners));
	b->bad = mem_array(n_queries, sizeof(*b->bad));
	b->seen = mem_array(n_queries, sizeof(*b->seen));
	b->from_unix_ms = from;
	b->through_unix_ms = through;
	b->token = BUF_INIT(TOKEN_MAX);
	for (size_t k = 0; k < n; k++) {
		entries[k]->first_query = b->n_queries;
		for (size_t s = 0; s < entries[k]->n_series; s++) {
			add_query(b, entries[k], entries[k]->series[s], CLOUDWATCH_INVOCATIONS);
			add_query(b, entries[k], entries[k]->series[s], CLOUDWATCH_ERRORS);
		}
	}
	batch_submit(b);
}

static int64_t points(int64_t from, int64_t through, size_t n_queries, int64_t period_ms)
{
	return (through - from) / period_ms * (int64_t)n_queries;
}

/* Cuts the entries of one account and region into calls. Entries with nothing to read are done at once. */
static void start_batches(struct engine *e, struct poll_entry **entries, size_t n)
{
	size_t first = 0, n_queries = 0;
	int64_t from = INT64_MAX, through = INT64_MIN, period = INT64_MAX;

	for (size_t k = 0; k < n; k++) {
		struct poll_entry *p = entries[k];
		size_t more = 2 * p->n_series;
		int64_t wider_from = p->from_unix_ms < from ? p->from_unix_ms : from;
		int64_t wider_through = p->through_unix_ms > through ? p->through_unix_ms : through;
		int64_t finer = p->item->plan->spec.analysis.period_ms;

		finer = finer < period ? finer : period;
		if (k > first && (n_queries + more > LIMIT_METRIC_QUERIES ||
				  points(wider_from, wider_through, n_queries + more, finer) > POINTS_MAX)) {
			batch_start(e, entries + first, k - first, n_queries, from, through);
			first = k;
			n_queries = 0;
			wider_from = p->from_unix_ms;
			wider_through = p->through_unix_ms;
			finer = p->item->plan->spec.analysis.period_ms;
		}
		n_queries += more;
		from = wider_from;
		through = wider_through;
		period = finer;
	}
	if (n > first)
		batch_start(e, entries + first, n - first, n_queries, from, through);
}

/* --- alarms --- */

static void take_alarm(void *ctx, const char *name, enum alarm_state state, const char *reason)
{
	struct alarm_batch *b = ctx;

	(void)reason;
	for (size_t k = 0; k < b->n_entries; k++) {
		const struct spec_analysis *a = &b->entries[k]->item->plan->spec.analysis;

		for (size_t m = 0; m < a->n_metrics; m++) {
			if (a->metrics[m].kind == SPEC_METRIC_ALARM && strcmp(a->metrics[m].alarm, name) == 0)
				b->entries[k]->alarms[m] = state;
		}
	}
}

static void alarm_batch_finish(struct alarm_batch *b, const char *error)
{
	for (size_t k = 0; k < b->n_entries; k++) {
		if (error)
			part_failed(b->entries[k], error);
		else
			b->entries[k]->alarms_read = true;
		part_done(b->entries[k]);
	}
	buf_deinit(&b->token);
	free(b->entries);
	free(b->names);
	free(b);
}

static int alarm_batch_build(void *arg, struct arena *a, const struct aws_endpoint *e, struct http_request *ret)
{
	struct alarm_batch *b = arg;

	cloudwatch_build_describe_alarms(a, e, b->names, b->n_names, b->token.len > 0 ? buf_text(&b->token) : NULL,
					 ret);
	return 0;
}

static void alarm_batch_submit(struct alarm_batch *b);

static void alarm_batch_done(void *arg, const struct http_response *response, const struct aws_error *error)
{
	struct alarm_batch *b = arg;
	struct aws_error problem;
	char text[LIMIT_REASON];

	buf_reset(&b->token);
	if (!error && cloudwatch_parse_describe_alarms(response, take_alarm, b, &b->token, &problem) != 0)
		error = &problem;
	if (error) {
		aws_error_format(error, "DescribeAlarms", text, sizeof(text));
		alarm_batch_finish(b, text);
	} else if (b->token.len > 0 && ++b->pages < LIMIT_PAGES) {
		alarm_batch_submit(b);
	} else {
		alarm_batch_finish(b, NULL);
	}
}

static void alarm_batch_submit(struct alarm_batch *b)
{
	struct item *i = b->entries[0]->item;
	struct dispatch_call call = {
	    .operation = OPERATION_DESCRIBE_ALARMS,
	    .account = i->plan->account,
	    .region = i->region,
	    .priority = PRIORITY_NORMAL,
	    .safe = true,
	    .build = alarm_batch_build,
	    .done = alarm_batch_done,
	    .arg = b,
	};

	(void)dispatch_submit(b->engine->dispatch, &call);
}

static size_t count_alarms(const struct poll_entry *p)
{
	const struct spec_analysis *a = &p->item->plan->spec.analysis;
	size_t n = 0;

	for (size_t m = 0; m < a->n_metrics; m++)
		n += a->metrics[m].kind == SPEC_METRIC_ALARM;
	return n;
}

static void alarm_batch_start(struct engine *e, struct poll_entry **entries, size_t n)
{
	struct alarm_batch *b = mem_alloc(sizeof(*b));

	b->engine = e;
	b->entries = mem_array(n, sizeof(*b->entries));
	b->n_entries = n;
	memcpy(b->entries, entries, n * sizeof(*entries));
	b->names = mem_array(CLOUDWATCH_ALARMS_MAX, sizeof(*b->names));
	b->token = BUF_INIT(TOKEN_MAX);
	for (size_t k = 0; k < n; k++) {
		const struct spec_analysis *a = &entries[k]->item->plan->spec.analysis;

		for (size_t m = 0; m < a->n_metrics; m++) {
			if (a->metrics[m].kind != SPEC_METRIC_ALARM)
				continue;
			entries[k]->alarms[m] = ALARM_MISSING;
			b->names[b->n_names++] = a->metrics[m].alarm;
		}
	}
	alarm_batch_submit(b);
}

static void start_alarm_batches(struct engine *e, struct poll_entry **entries, size_t n)
{
	size_t first = 0, names = 0;

	for (size_t k = 0; k < n; k++) {
		size_t more = count_alarms(entries[k]);

		if (k > first && names + more > CLOUDWATCH_ALARMS_MAX) {
			alarm_batch_start(e, entries + first, k - first);
			first = k;
			names = 0;
		}
		names += more;
	}
	if (n > first)
		alarm_batch_start(e, entries + first, n - first);
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

/* The entries of one account and region: those that read metrics, those that read alarms, those that read neither. */
static void start_group(struct engine *e, struct poll_entry **entries, size_t n)
{
	struct poll_entry **metrics cleanup(mem_free_p) = mem_array(n, sizeof(*metrics));
	struct poll_entry **alarms cleanup(mem_free_p) = mem_array(n, sizeof(*alarms));
	size_t n_metrics = 0, n_alarms = 0;

	for (size_t k = 0; k < n; k++) {
		struct poll_entry *p = entries[k];

		p->parts = 0;
		if (p->through_unix_ms > p->from_unix_ms) {
			metrics[n_metrics++] = p;
			p->parts++;
		}
		if (count_alarms(p) > 0) {
			alarms[n_alarms++] = p;
			p->parts++;
		}
		if (p->parts == 0) {
			p->parts = 1;
			part_done(p);
		}
	}
	start_batches(e, metrics, n_metrics);
	start_alarm_batches(e, alarms, n_alarms);
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
