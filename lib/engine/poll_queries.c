/*
 * What a rollout asks CloudWatch for, and where the answers go: counts of the versions, of all rollouts; values of the
 * metrics that have some of their own; the stable version's history.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "aws/cloudwatch_verbatim.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/poll.h"

/* --- listing --- */

static void add(struct poll_list *list, const struct poll_query *q)
{
	struct cloudwatch_query made;

	list->items = mem_grow(list->items, &list->cap, list->len + 1, sizeof(*list->items));
	list->items[list->len++] = *q;
	poll_query_make(q, &made);
	list->bytes += cloudwatch_query_bytes(&made);
}

static void add_counts(struct poll_entry *p, enum poll_series series, enum poll_purpose purpose, struct poll_list *list)
{
	struct poll_query q = {.owner = p, .series = (uint8_t)series, .purpose = (uint8_t)purpose, .returns = true};

	q.metric = CLOUDWATCH_INVOCATIONS;
	add(list, &q);
	q.metric = CLOUDWATCH_ERRORS;
	add(list, &q);
}

static void add_value(struct poll_entry *p, size_t of, enum cloudwatch_metric metric, enum poll_series series,
		      uint8_t value, struct poll_list *list)
{
	const struct poll_query q = {.owner = p,
				     .metric = (uint8_t)metric,
				     .series = (uint8_t)series,
				     .purpose = POLL_VALUES,
				     .of = (uint8_t)of,
				     .value = value,
				     .returns = true};

	add(list, &q);
}

/* Late data of before the promotion is still read. */
static bool reaches_back(const struct poll_entry *p)
{
	return p->from_unix_ms < p->item->state.promoted_unix_ms;
}

/* The canary's duration is read from its own series until it has all traffic, and from the alias's from then on. */
static void add_duration(struct poll_entry *p, size_t of, struct poll_list *list)
{
	const struct rollout *r = &p->item->state;
	bool ratio = p->item->plan->spec.analysis.metrics[of].max_ratio_permille > 0;
	bool promoted = r->promoted_unix_ms != 0;

	if (promoted)
		add_value(p, of, CLOUDWATCH_DURATION, POLL_ALIAS, 0, list);
	if (!promoted || reaches_back(p)) {
		add_value(p, of, CLOUDWATCH_DURATION, POLL_CANARY, 0, list);
		if (ratio && r->stable != VERSION_LATEST)
			add_value(p, of, CLOUDWATCH_DURATION, POLL_STABLE, 1, list);
	}
}

/* The metric's queries, made ready for a call with others; NULL: there is something wrong with them, as *error says. */
static const struct cloudwatch_verbatim *verbatim_of(struct item *i, size_t of, char *error)
{
	const struct spec_analysis *a = &i->plan->spec.analysis;
	char why[128];

	if (!i->verbatim)
		i->verbatim = mem_array(a->n_metrics, sizeof(struct cloudwatch_verbatim *));
	if (!i->verbatim[of] && cloudwatch_verbatim_new(a->metrics[of].queries, a->metrics[of].returns,
							&i->verbatim[of], why, sizeof(why)) != 0)
		(void)snprintf(error, LIMIT_REASON,
			       "the metric `query` %.64s cannot be asked for: %s. Correct it in the plan",
			       a->metrics[of].returns, why);
	return i->verbatim[of];
}

static void add_verbatim(struct poll_entry *p, size_t of, struct poll_list *list)
{
	bool dry = p->item->plan->spec.analysis.metrics[of].dry_run;
	char error[LIMIT_REASON] = "";
	const struct cloudwatch_verbatim *v = verbatim_of(p->item, of, error);

	if (!v && !dry)
		poll_part_failed(p, error);
	if (!v || (dry && p->without_dry))
		return;
	for (size_t n = 0; n < cloudwatch_verbatim_count(v); n++) {
		const struct poll_query q = {.owner = p,
					     .metric = n == 0 ? CLOUDWATCH_VERBATIM : CLOUDWATCH_CONTINUED,
					     .purpose = POLL_VALUES,
					     .of = (uint8_t)of,
					     .returns = n == cloudwatch_verbatim_returns(v)};

		add(list, &q);
	}
}

static void add_values(struct poll_entry *p, size_t of, struct poll_list *list)
{
	switch (p->item->plan->spec.analysis.metrics[of].kind) {
	case SPEC_METRIC_THROTTLES:
		add_value(p, of, CLOUDWATCH_THROTTLES, POLL_ALIAS, 0, list);
		add_value(p, of, CLOUDWATCH_INVOCATIONS, POLL_ALIAS, 1, list);
		break;
	case SPEC_METRIC_DURATION:
		add_duration(p, of, list);
		break;
	case SPEC_METRIC_API_5XX:
		add_value(p, of, CLOUDWATCH_API_5XX, POLL_ALIAS, 0, list);
		add_value(p, of, CLOUDWATCH_API_COUNT, POLL_ALIAS, 1, list);
		break;
	case SPEC_METRIC_QUERY:
		add_verbatim(p, of, list);
		break;
	case SPEC_METRIC_ERRORS:
	case SPEC_METRIC_COMPARE:
	case SPEC_METRIC_ALARM:
		break;
	}
}

void poll_list_metrics(struct poll_entry *p, struct poll_list *list)
{
	const struct rollout *r = &p->item->state;

	add_counts(p, POLL_CANARY, POLL_COUNTS, list);
	add_counts(p, r->promoted_unix_ms != 0 ? POLL_ALIAS : POLL_STABLE, POLL_COUNTS, list);
	if (r->promoted_unix_ms != 0 && reaches_back(p) && r->stable != VERSION_LATEST)
		add_counts(p, POLL_STABLE, POLL_COUNTS, list);
	for (size_t n = 0; n < p->item->plan->spec.analysis.n_metrics; n++)
		add_values(p, n, list);
}

void poll_list_history(struct poll_entry *p, struct poll_list *list)
{
	add_counts(p, POLL_ALIAS, POLL_HISTORY, list);
}

static uint64_t version_of(const struct poll_query *q)
{
	const struct rollout *r = &q->owner->item->state;

	switch ((enum poll_series)q->series) {
	case POLL_CANARY:
		return r->canary;
	case POLL_STABLE:
		return r->stable;
	case POLL_ALIAS:
		break;
	}
	return 0;
}

void poll_query_make(const struct poll_query *q, struct cloudwatch_query *ret)
{
	const struct item *i = q->owner->item;
	const struct spec_analysis *a = &i->plan->spec.analysis;
	int64_t period_ms = q->purpose == POLL_HISTORY ? HISTORY_PERIOD_MS : a->period_ms;

	*ret = (struct cloudwatch_query){
	    .metric = (enum cloudwatch_metric)q->metric,
	    .function = i->plan->function,
	    .alias = i->plan->alias,
	    .version = version_of(q),
	    .period_s = (uint32_t)(period_ms / MS_PER_SECOND),
	};
	if (q->purpose != POLL_VALUES)
		return;
	ret->stat = a->metrics[q->of].stat;
	ret->api = a->metrics[q->of].api;
	ret->http_api = a->metrics[q->of].http_api;
	ret->stage = a->metrics[q->of].stage;
	ret->verbatim = i->verbatim ? i->verbatim[q->of] : NULL;
}

void poll_describe(struct item *i, struct buf *out)
{
	struct poll_entry p = {.item = i, .from_unix_ms = i->state.promoted_unix_ms};
	struct poll_list list = {0};
	struct cloudwatch_query *queries cleanup(mem_free_p) = NULL;

	poll_list_metrics(&p, &list);
	queries = mem_array(list.len, sizeof(*queries));
	for (size_t n = 0; n < list.len; n++)
		poll_query_make(&list.items[n], &queries[n]);
	cloudwatch_print_queries(out, queries, list.len);
	free(list.items);
}

bool poll_is_count(const struct poll_query *q)
{
	return q->metric != CLOUDWATCH_DURATION && q->metric != CLOUDWATCH_VERBATIM &&
	       q->metric != CLOUDWATCH_CONTINUED;
}

bool poll_is_dry(const struct poll_query *q)
{
	return q->purpose == POLL_VALUES && q->owner->item->plan->spec.analysis.metrics[q->of].dry_run;
}

void poll_forget(struct item *i)
{
	if (!i->verbatim)
		return;
	for (size_t n = 0; n < i->plan->spec.analysis.n_metrics; n++)
		cloudwatch_verbatim_free(i->verbatim[n]);
	free(i->verbatim);
	i->verbatim = NULL;
}

/* --- answers --- */

static struct counts *counts_of(struct sample *s, enum poll_series series)
{
	switch (series) {
	case POLL_CANARY:
		return &s->canary;
	case POLL_STABLE:
		return &s->stable;
	case POLL_ALIAS:
		break;
	}
	return &s->alias;
}

static void note_change(struct item *i, int64_t start_unix_ms)
{
	flight_changed(i, start_unix_ms);
	item_mark_dirty(i);
}

static bool set(uint64_t *at, uint64_t v)
{
	bool other = *at != v;

	*at = v;
	return other;
}

static void take_count(const struct poll_query *q, struct sample *s, double value)
{
	struct counts *c = counts_of(s, (enum poll_series)q->series);
	uint64_t n = (uint64_t)llround(value);
	bool changed;

	if (q->metric == CLOUDWATCH_ERRORS) {
		changed = set(&c->errors, n);
	} else {
		changed = set(&c->invocations, n) || !c->seen;
		c->seen = true;
	}
	if (changed)
		note_change(q->owner->item, s->start_unix_ms);
}

/* Durations of the canary come from two series: which one is its own depends on when it got all traffic. */
static bool is_own(const struct poll_query *q, int64_t start_unix_ms)
{
	int64_t promoted = q->owner->item->state.promoted_unix_ms;
	bool alone = promoted != 0 && start_unix_ms >= promoted;

	return q->metric != CLOUDWATCH_DURATION || q->value != 0 || alone == (q->series == POLL_ALIAS);
}

static void take_value(const struct poll_query *q, struct sample *s, double value)
{
	struct item *i = q->owner->item;
	int64_t start = s->start_unix_ms;
	size_t first = spec_first_value(&i->plan->spec.analysis, q->of);
	double *at = samples_values(&i->samples, samples_find(&i->samples, start)) + first + q->value;

	if (!is_own(q, start) || *at == value)
		return;
	*at = value;
	note_change(i, start);
}

static void take_history(const struct poll_query *q, int64_t unix_ms, double value)
{
	struct poll_entry *p = q->owner;

	/* The batch's range is the union of all its rollouts'. */
	if (unix_ms < p->history_from_unix_ms || unix_ms >= p->history_through_unix_ms)
		return;
	if (q->metric == CLOUDWATCH_ERRORS)
		p->history.errors += (uint64_t)llround(value);
	else
		p->history.invocations += (uint64_t)llround(value);
}

void poll_take(const struct poll_query *q, int64_t unix_ms, double value)
{
	struct poll_entry *p = q->owner;
	int64_t start = verdict_period_start(unix_ms, p->item->plan->spec.analysis.period_ms);
	struct sample *s;

	if (q->purpose == POLL_HISTORY) {
		take_history(q, unix_ms, value);
		return;
	}
	if (start < p->from_unix_ms || start >= p->through_unix_ms)
		return;
	s = samples_at(&p->item->samples, start);
	if (!s)
		return;
	if (q->purpose == POLL_COUNTS)
		take_count(q, s, value);
	else
		take_value(q, s, value);
}
