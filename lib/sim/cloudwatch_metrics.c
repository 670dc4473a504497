/* Metrics: GetMetricData, GetMetricStatistics, PutMetricData, ListMetrics. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "sim/cloudwatch.h"
#include "sim/math.h"

#define DATAPOINTS_MAX 100800 /* of one page of GetMetricData */
#define STATISTICS_MAX 1440   /* datapoints of GetMetricStatistics */
#define METRICS_PAGE   500    /* of ListMetrics */
#define PUT_MAX	       1000   /* data of one PutMetricData */
#define PUT_VALUES_MAX 150

struct query {
	const char *id;
	const char *label; /* given; NULL: made */
	const char *namespace;
	const char *name;
	const char *unit; /* NULL: any */
	struct dimension dimensions[METRICS_DIMENSIONS_MAX];
	size_t n_dimensions;
	int64_t period_ms;
	const char *statistic_name;
	struct statistic statistic;
	bool wanted;		/* ReturnData */
	const char *expression; /* NULL: it is a metric */
	enum { MATH_NEW, MATH_UNDER_WAY, MATH_DONE } math;
	const char *status;
	struct values values; /* of an expression, or of a metric that one names; in the call's arena */
};

/* --- one metric --- */

static bool read_statistic(struct call *c, const char *text, struct statistic *ret)
{
	int r = statistic_parse(text, ret);
	if (r == -ENOTSUP)
		call_fail(
		    c, &cloudwatch_error_validation,
		    "rollout-localaws does not have the statistic %s: use Sum, SampleCount, Average, Minimum, Maximum "
		    "or a percentile such as p99",
		    text);
	else if (r)
		call_fail(c, &cloudwatch_error_value, "The value %s for parameter Stat is not supported.", text);
	return r == 0;
}

static const char *dimension_value(const struct query *q, const char *name)
{
	for (size_t i = 0; i < q->n_dimensions; i++)
		if (strcmp(q->dimensions[i].name, name) == 0)
			return q->dimensions[i].value;
	return NULL;
}

static const struct fault *strike(struct call *c, const struct query *q)
{
	const char *resource = dimension_value(q, "Resource");
	const char *colon = resource ? strchr(resource, ':') : NULL;
	return faults_strike_metric(&c->w->faults, &c->w->chance, c->operation->name,
				    dimension_value(q, "FunctionName"), colon ? colon + 1 : NULL, q->name,
				    dimension_value(q, "ExecutedVersion"));
}

/* The visible values, with whatever fault strikes the metric; returns its StatusCode. */
static const char *read_values(struct call *c, const struct query *q, int64_t start_ms, int64_t end_ms,
			       struct values *ret)
{
	const struct fault *fault = strike(c, q);
	if (fault && fault->kind == FAULT_METRICS_MISSING)
		return "Complete";
	if (fault && fault->kind == FAULT_METRICS_ERROR)
		return "InternalError";
	const struct series *s = metrics_find(&c->w->metrics, q->namespace, q->name, q->dimensions, q->n_dimensions);
	if (s && (!q->unit || strcmp(q->unit, s->unit) == 0)) {
		int64_t delay_ms = fault && fault->kind == FAULT_METRICS_DELAY ? fault->delay_ms : 0;
		/* A start inside a period is taken back to its beginning. */
		metrics_read(&c->w->metrics, s, start_ms - start_ms % q->period_ms, end_ms, q->period_ms, &q->statistic,
			     c->w->now_ms, delay_ms, ret);
	}
	if (!fault || fault->kind != FAULT_METRICS_PARTIAL)
		return "Complete";
	ret->len /= 2;
	return "PartialData";
}

static bool read_times(struct call *c, int64_t *ret_start_ms, int64_t *ret_end_ms)
{
	struct field f = {c, c->in, ""};
	if (!cloudwatch_time(&f, "StartTime", true, ret_start_ms) || !cloudwatch_time(&f, "EndTime", true, ret_end_ms))
		return false;
	if (*ret_start_ms >= *ret_end_ms) {
		call_fail(c,
			  c->operation->rate == RATE_GET_METRIC_DATA ? &cloudwatch_error_validation
								     : &cloudwatch_error_value,
			  "The parameter StartTime must be less than the parameter EndTime.");
		return false;
	}
	return true;
}

/* --- GetMetricData --- */

static bool read_metric_stat(struct call *c, json_t *stat, const char *where, struct query *q)
{
	struct field f = {c, stat, arena_printf(c->arena, "%sMetricStat.", where)};
	struct field metric = {c, json_object_get(stat, "Metric"), arena_printf(c->arena, "%sMetric.", f.where)};
	return cloudwatch_text(&metric, "Namespace", true, &q->namespace) &&
	       cloudwatch_text(&metric, "MetricName", true, &q->name) &&
	       cloudwatch_dimensions(&metric, q->dimensions, &q->n_dimensions) &&
	       cloudwatch_period(&f, "Period", &q->period_ms) && cloudwatch_text(&f, "Unit", false, &q->unit) &&
	       cloudwatch_text(&f, "Stat", true, &q->statistic_name) &&
	       read_statistic(c, q->statistic_name, &q->statistic);
}

static bool id_ok(const char *id)
{
	return id[0] >= 'a' && id[0] <= 'z' && strlen(id) <= 255 &&
	       strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == strlen(id);
}

static bool read_query(struct call *c, json_t *item, size_t index, struct query *q)
{
	struct field f = {c, item, arena_printf(c->arena, "MetricDataQueries.member.%zu.", index + 1)};
	*q = (struct query){.wanted = true};
	if (!cloudwatch_text(&f, "Id", true, &q->id) || !cloudwatch_text(&f, "Label", false, &q->label) ||
	    !cloudwatch_bool(&f, "ReturnData", &q->wanted))
		return false;
	if (!id_ok(q->id)) {
		call_fail(c, &cloudwatch_error_validation,
			  "Invalid metrics list: the id '%s' must start with a lower-case letter and hold letters, "
			  "digits and "
			  "underscores only.",
			  q->id);
		return false;
	}
	json_t *stat = json_object_get(item, "MetricStat");
	if (!cloudwatch_text(&f, "Expression", false, &q->expression))
		return false;
	if (!json_is_object(stat) == !q->expression) {
		call_fail(c, &cloudwatch_error_validation, "The query '%s' must have one of MetricStat and Expression.",
			  q->id);
		return false;
	}
	if (q->expression) {
		q->period_ms = c->w->metrics.settings.period_ms;
		q->statistic_name = "";
		q->name = q->expression;
		return !json_object_get(item, "Period") || cloudwatch_period(&f, "Period", &q->period_ms);
	}
	return read_metric_stat(c, stat, f.where, q);
}

static bool ids_unique(struct call *c, const struct query *queries, size_t n)
{
	struct table seen = {0};
	bool unique = true;
	for (size_t i = 0; i < n && unique; i++) {
		unique = !table_get(&seen, queries[i].id);
		table_put(&seen, queries[i].id, (void *)&queries[i]);
	}
	table_deinit(&seen);
	if (!unique)
		call_fail(c, &cloudwatch_error_validation,
			  "The values for parameter id in MetricDataQueries are not unique.");
	return unique;
}

static struct query *read_queries(struct call *c, size_t *ret_n)
{
	json_t *list, *item;
	size_t i;
	struct field f = {c, c->in, ""};
	if (!cloudwatch_list(&f, "MetricDataQueries", &list))
		return NULL;
	if (!list) {
		call_fail(c, &cloudwatch_error_missing, "The parameter MetricDataQueries is required.");
		return NULL;
	}
	if (json_array_size(list) > LIMIT_METRIC_QUERIES) {
		call_fail(c, &cloudwatch_error_validation,
			  "The collection MetricDataQueries must not have a size greater than %d.",
			  LIMIT_METRIC_QUERIES);
		return NULL;
	}
	struct query *queries = arena_array(c->arena, json_array_size(list), sizeof(*queries));
	json_array_foreach(list, i, item)
	{
		if (!read_query(c, item, i, &queries[i]))
			return NULL;
	}
	*ret_n = json_array_size(list);
	return ids_unique(c, queries, *ret_n) ? queries : NULL;
}

/* CloudWatch adds to the metric's name whatever tells the queries apart. */
static const char *make_label(struct call *c, const struct query *q, const struct query *all, size_t n)
{
	if (q->label)
		return q->label;
	bool statistics = false, periods = false;
	for (size_t i = 0; i < n; i++) {
		statistics |= strcmp(all[i].statistic_name, q->statistic_name) != 0;
		periods |= all[i].period_ms != q->period_ms;
	}
	const char *label = q->name;
	if (statistics)
		label = arena_printf(c->arena, "%s %s", label, q->statistic_name);
	if (periods)
		label = arena_printf(c->arena, "%s %lld", label, (long long)(q->period_ms / 1000));
	return label;
}

/* --- metric math --- */

struct math {
	struct call *c;
	struct query *queries;
	size_t n;
	int64_t start_ms;
	int64_t end_ms;
	char error[256];
};

/* Whatever stands under a name, worked out once. False: m->error says why not. */
static bool work_out(struct math *m, struct query *q);

static bool find_operand(void *ctx, const char *id, struct values *ret)
{
	struct math *m = ctx;
	for (size_t i = 0; i < m->n; i++) {
		if (strcmp(m->queries[i].id, id) != 0)
			continue;
		if (!work_out(m, &m->queries[i]))
			return false;
		*ret = m->queries[i].values;
		return true;
	}
	return false;
}

static void keep_values(struct math *m, struct query *q)
{
	struct values read = {0};
	q->status = read_values(m->c, q, m->start_ms, m->end_ms, &read);
	q->values = (struct values){.len = read.len, .cap = read.len};
	q->values.items = arena_array(m->c->arena, read.len, sizeof(*read.items));
	if (read.len)
		memcpy(q->values.items, read.items, read.len * sizeof(*read.items));
	values_deinit(&read);
}

/* The period of an expression that does not name one is that of the metrics beside it. */
static int64_t math_period_ms(const struct math *m, const struct query *q)
{
	int64_t period_ms = q->period_ms;
	for (size_t i = 0; i < m->n; i++)
		if (!m->queries[i].expression)
			period_ms = m->queries[i].period_ms;
	return period_ms;
}

static bool work_out(struct math *m, struct query *q)
{
	struct math_scope scope = {.arena = m->c->arena,
				   .find = find_operand,
				   .ctx = m,
				   .start_ms = m->start_ms,
				   .end_ms = m->end_ms,
				   .period_ms = math_period_ms(m, q)};
	if (q->math != MATH_NEW)
		return q->math == MATH_DONE;
	q->math = MATH_UNDER_WAY; /* an expression that leads back to itself finds nothing there */
	if (!q->expression) {
		keep_values(m, q);
	} else {
		char error[256];
		q->status = "Complete";
		if (!math_evaluate(&scope, q->expression, &q->values, error, sizeof(error))) {
			if (!m->error[0])
				snprintf(m->error, sizeof(m->error), "Error in expression '%s': %.200s", q->id, error);
			return false;
		}
	}
	q->math = MATH_DONE;
	return true;
}

/* Values of metrics that are read for themselves alone are not kept. */
static bool work_out_all(struct math *m)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->queries[i].expression && !work_out(m, &m->queries[i])) {
			call_fail(m->c, &cloudwatch_error_validation, "%s", m->error);
			return false;
		}
	return true;
}

struct page {
	bool ascending;
	size_t room;	 /* datapoints that still fit */
	size_t query;	 /* where to begin … */
	int64_t from_ms; /* … and with which of its datapoints; INT64_MIN: the first */
	char next[64];	 /* the token of the next page; "" */
};

#define TOKEN_PREFIX "localaws-"

/* "localaws-QUERY-TIME": the query to begin with, and the time of its first datapoint. */
static bool parse_token(struct call *c, const char *token, struct page *ret)
{
	uint64_t query;
	if (!text_starts_with(token, TOKEN_PREFIX))
		return false;
	const char *index = token + strlen(TOKEN_PREFIX), *dash = strchr(index, '-');
	if (!dash || text_parse_i64(dash + 1, INT64_MIN + 1, INT64_MAX, &ret->from_ms) != 0 ||
	    text_parse_u64(arena_strndup(c->arena, index, (size_t)(dash - index)), LIMIT_METRIC_QUERIES, &query) != 0)
		return false;
	ret->query = (size_t)query;
	return true;
}

static bool read_page(struct call *c, struct page *ret)
{
	struct field f = {c, c->in, ""};
	const char *token = NULL, *order = "TimestampDescending";
	double most = DATAPOINTS_MAX;
	if (!cloudwatch_text(&f, "NextToken", false, &token) || !cloudwatch_text(&f, "ScanBy", false, &order) ||
	    !cloudwatch_number(&f, "MaxDatapoints", false, &most))
		return false;
	bool ascending = strcmp(order, "TimestampAscending") == 0;
	if (!ascending && strcmp(order, "TimestampDescending") != 0) {
		call_fail(
		    c, &cloudwatch_error_validation,
		    "1 validation error detected: Value '%s' at 'scanBy' failed to satisfy constraint: Member must "
		    "satisfy enum value set: [TimestampDescending, TimestampAscending]",
		    order);
		return false;
	}
	if (!(most >= 1 && most <= DATAPOINTS_MAX)) {
		call_fail(c, &cloudwatch_error_validation, "The parameter MaxDatapoints must be between 1 and %d.",
			  DATAPOINTS_MAX);
		return false;
	}
	*ret = (struct page){.ascending = ascending, .room = (size_t)most, .from_ms = INT64_MIN};
	uint32_t own = c->w->metrics.settings.page_datapoints;
	if (own && ret->room > own)
		ret->room = own;
	if (token && !parse_token(c, token, ret)) {
		call_fail(c, &cloudwatch_error_token, "The NextToken is not one that rollout-localaws gave.");
		return false;
	}
	return true;
}

/* Adds what fits of one query; false when the page is full. */
static bool add_result(struct call *c, struct page *page, size_t index, const struct query *q, const char *label,
		       int64_t start_ms, int64_t end_ms, json_t *results)
{
	struct values read = {0};
	const char *status = q->math == MATH_DONE ? q->status : read_values(c, q, start_ms, end_ms, &read);
	struct values values = q->math == MATH_DONE ? q->values : read;
	json_t *times = json_array(), *numbers = json_array();
	bool full = false;
	for (size_t i = 0; i < values.len && !full; i++) {
		const struct value *v = &values.items[page->ascending ? i : values.len - 1 - i];
		bool before = page->ascending ? v->start_ms < page->from_ms : v->start_ms > page->from_ms;
		if (page->from_ms != INT64_MIN && before)
			continue;
		if (!page->room) {
			snprintf(page->next, sizeof(page->next), TOKEN_PREFIX "%zu-%lld", index,
				 (long long)v->start_ms);
			full = true;
			break;
		}
		page->room--;
		json_array_append_new(times, json_real((double)v->start_ms / 1000));
		json_array_append_new(numbers, json_real(v->value));
	}
	page->from_ms = INT64_MIN;
	values_deinit(&read);
	json_array_append_new(results,
			      json_pack("{s:s, s:s, s:o, s:o, s:s}", "Id", q->id, "Label", label, "Timestamps", times,
					"Values", numbers, "StatusCode", full ? "PartialData" : status));
	return !full;
}

void cloudwatch_get_metric_data(struct call *c)
{
	int64_t start_ms, end_ms;
	struct page page;
	size_t n;
	struct query *queries;
	if (!read_times(c, &start_ms, &end_ms) || !read_page(c, &page) || !(queries = read_queries(c, &n)))
		return;
	struct math math = {c, queries, n, start_ms, end_ms, ""};
	if (!work_out_all(&math))
		return;
	json_t *results = json_array();
	for (size_t i = page.query; i < n; i++)
		if (queries[i].wanted && !add_result(c, &page, i, &queries[i], make_label(c, &queries[i], queries, n),
						     start_ms, end_ms, results))
			break;
	json_t *out = json_pack("{s:o, s:[]}", "MetricDataResults", results, "Messages");
	if (page.next[0])
		json_object_set_new(out, "NextToken", json_string(page.next));
	cloudwatch_answer(c, out);
}

/* --- GetMetricStatistics --- */

static json_t *datapoint_json(const struct value *v, const char *unit, json_t *statistics)
{
	static const char *const names[] = {"Sum", "SampleCount", "Average", "Minimum", "Maximum"};
	json_t *out = json_pack("{s:f, s:s}", "Timestamp", (double)v->start_ms / 1000, "Unit", unit);
	size_t i;
	json_t *name;
	json_array_foreach(statistics, i, name)
	{
		for (size_t k = 0; k < array_len(names); k++)
			if (strcmp(json_string_value(name), names[k]) == 0)
				json_object_set_new(out, names[k], json_real(v->statistics[k]));
	}
	return out;
}

static bool check_names(struct call *c, json_t *list, bool percentiles)
{
	size_t i;
	json_t *name;
	json_array_foreach(list, i, name)
	{
		struct statistic s;
		const char *text = json_is_string(name) ? json_string_value(name) : "";
		if (!read_statistic(c, text, &s))
			return false;
		if ((s.kind == STATISTIC_PERCENTILE) != percentiles) {
			call_fail(c, &cloudwatch_error_value, "The value %s for parameter %s is not supported.", text,
				  percentiles ? "ExtendedStatistics" : "Statistics");
			return false;
		}
	}
	return true;
}

static void add_percentiles(struct call *c, struct query *q, json_t *names, int64_t start_ms, int64_t end_ms,
			    json_t *datapoints)
{
	const struct series *s = metrics_find(&c->w->metrics, q->namespace, q->name, q->dimensions, q->n_dimensions);
	size_t i, k;
	json_t *name, *point;
	json_array_foreach(names, i, name)
	{
		struct statistic statistic;
		struct values values = {0};
		if (!s || statistic_parse(json_string_value(name), &statistic) != 0)
			continue;
		metrics_read(&c->w->metrics, s, start_ms - start_ms % q->period_ms, end_ms, q->period_ms, &statistic,
			     c->w->now_ms, 0, &values);
		json_array_foreach(datapoints, k, point)
		{
			int64_t at_ms = llround(json_number_value(json_object_get(point, "Timestamp")) * 1000);
			json_t *extended = json_object_get(point, "ExtendedStatistics");
			if (!extended) {
				extended = json_object();
				json_object_set_new(point, "ExtendedStatistics", extended);
			}
			for (size_t v = 0; v < values.len; v++)
				if (values.items[v].start_ms == at_ms)
					json_object_set_new(extended, json_string_value(name),
							    json_real(values.items[v].value));
		}
		values_deinit(&values);
	}
}

static bool read_statistics_query(struct call *c, struct query *q, json_t **ret_plain, json_t **ret_extended)
{
	struct field f = {c, c->in, ""};
	*q = (struct query){.statistic = {.kind = STATISTIC_SUM}};
	if (!cloudwatch_text(&f, "Namespace", true, &q->namespace) ||
	    !cloudwatch_text(&f, "MetricName", true, &q->name) ||
	    !cloudwatch_dimensions(&f, q->dimensions, &q->n_dimensions) ||
	    !cloudwatch_text(&f, "Unit", false, &q->unit) || !cloudwatch_period(&f, "Period", &q->period_ms) ||
	    !cloudwatch_list(&f, "Statistics", ret_plain) || !cloudwatch_list(&f, "ExtendedStatistics", ret_extended))
		return false;
	if (!*ret_plain && !*ret_extended) {
		call_fail(c, &cloudwatch_error_missing, "Must specify either Statistics or ExtendedStatistics");
		return false;
	}
	return check_names(c, *ret_plain, false) && check_names(c, *ret_extended, true);
}

void cloudwatch_get_metric_statistics(struct call *c)
{
	struct query q;
	int64_t start_ms, end_ms;
	json_t *plain, *extended;
	if (!read_times(c, &start_ms, &end_ms) || !read_statistics_query(c, &q, &plain, &extended))
		return;
	if ((end_ms - start_ms) / q.period_ms > STATISTICS_MAX) {
		call_fail(c, &cloudwatch_error_combination,
			  "You have requested up to %lld datapoints, which exceeds the limit of %d. You may reduce the "
			  "datapoints requested by increasing Period, or decreasing the time range.",
			  (long long)((end_ms - start_ms) / q.period_ms), STATISTICS_MAX);
		return;
	}
	struct values values = {0};
	read_values(c, &q, start_ms, end_ms, &values);
	const struct series *s = metrics_find(&c->w->metrics, q.namespace, q.name, q.dimensions, q.n_dimensions);
	json_t *datapoints = json_array();
	for (size_t i = 0; i < values.len; i++)
		json_array_append_new(datapoints, datapoint_json(&values.items[i], s ? s->unit : "None", plain));
	values_deinit(&values);
	add_percentiles(c, &q, extended, start_ms, end_ms, datapoints);
	cloudwatch_answer(c, json_pack("{s:s, s:o}", "Label", q.name, "Datapoints", datapoints));
}

/* --- PutMetricData --- */

struct datum {
	const char *name;
	const char *unit;
	struct dimension dimensions[METRICS_DIMENSIONS_MAX];
	size_t n_dimensions;
	int64_t at_ms;
	int64_t resolution_ms;
	struct stat stat;
	struct cells cells;
};

static bool read_values_and_counts(const struct field *f, json_t *values, struct datum *d)
{
	json_t *counts, *value;
	size_t i;
	if (!cloudwatch_list(f, "Counts", &counts))
		return false;
	if (counts && json_array_size(counts) != json_array_size(values)) {
		call_fail(f->c, &cloudwatch_error_value,
			  "The parameters %sValues and %sCounts must be of the same size.", f->where, f->where);
		return false;
	}
	if (json_array_size(values) > PUT_VALUES_MAX) {
		call_fail(f->c, &cloudwatch_error_value,
			  "The collection %sValues must not have a size greater than %d.", f->where, PUT_VALUES_MAX);
		return false;
	}
	json_array_foreach(values, i, value)
	{
		/* Both lists hold bare numbers: each is read as a field of an object of its own. */
		json_t *pair = json_pack("{s:O, s:O*}", "Value", value, "Count", json_array_get(counts, i));
		struct field one = {f->c, pair, f->where};
		double number = 0, count = 1;
		bool good =
		    cloudwatch_number(&one, "Value", true, &number) && cloudwatch_number(&one, "Count", false, &count);
		json_decref(pair);
		if (!good)
			return false;
		if (!(count >= 0 && count <= 1e12)) {
			call_fail(f->c, &cloudwatch_error_value, "The value %g for parameter %sCounts is invalid.",
				  count, f->where);
			return false;
		}
		stat_add(&d->stat, number, (uint64_t)count);
		cells_add(&d->cells, number, (uint64_t)count);
	}
	return true;
}

static bool read_statistic_set(const struct field *f, json_t *set, struct datum *d)
{
	struct field one = {f->c, set, arena_printf(f->c->arena, "%sStatisticValues.", f->where)};
	double n = 0, sum = 0, min = 0, max = 0;
	if (!cloudwatch_number(&one, "SampleCount", true, &n) || !cloudwatch_number(&one, "Sum", true, &sum) ||
	    !cloudwatch_number(&one, "Minimum", true, &min) || !cloudwatch_number(&one, "Maximum", true, &max))
		return false;
	if (!(n > 0 && n <= 1e15 && min <= max)) {
		call_fail(f->c, &cloudwatch_error_value, "The value for parameter %sStatisticValues is invalid.",
			  f->where);
		return false;
	}
	d->stat = (struct stat){.n = (uint64_t)n, .sum = sum, .min = min, .max = max};
	return true;
}

static bool read_samples(const struct field *f, struct datum *d)
{
	json_t *values, *set = json_object_get(f->from, "StatisticValues");
	bool single = json_object_get(f->from, "Value") != NULL;
	if (!cloudwatch_list(f, "Values", &values))
		return false;
	const char *other = single && values ? "Values" : single && set ? "StatisticValues" : NULL;
	if (other) {
		call_fail(f->c, &cloudwatch_error_combination,
			  "The parameters %sValue and %s%s are mutually exclusive and you have specified both.",
			  f->where, f->where, other);
		return false;
	}
	if (set)
		return read_statistic_set(f, set, d);
	if (values)
		return read_values_and_counts(f, values, d);
	double number = 0;
	if (!cloudwatch_number(f, "Value", true, &number))
		return false;
	stat_add(&d->stat, number, 1);
	cells_add(&d->cells, number, 1);
	return true;
}

static bool read_datum(struct call *c, json_t *item, size_t index, struct datum *d)
{
	struct field f = {c, item, arena_printf(c->arena, "MetricData.member.%zu.", index + 1)};
	double resolution = 60;
	d->unit = "None";
	d->at_ms = c->w->now_ms;
	if (!cloudwatch_text(&f, "MetricName", true, &d->name) || !cloudwatch_text(&f, "Unit", false, &d->unit) ||
	    !cloudwatch_dimensions(&f, d->dimensions, &d->n_dimensions) ||
	    !cloudwatch_time(&f, "Timestamp", false, &d->at_ms) ||
	    !cloudwatch_number(&f, "StorageResolution", false, &resolution) || !read_samples(&f, d))
		return false;
	if (d->at_ms < c->w->now_ms - 14 * MS_PER_DAY || d->at_ms > c->w->now_ms + 2 * MS_PER_HOUR) {
		call_fail(c, &cloudwatch_error_value,
			  "The parameter %sTimestamp must specify a time no earlier than 2 weeks ago and no later than "
			  "2 hours "
			  "from now.",
			  f.where);
		return false;
	}
	d->resolution_ms = resolution == 1 ? MS_PER_SECOND : MS_PER_MINUTE;
	return true;
}

static bool store_data(struct call *c, const char *namespace, const struct datum *data, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct datum *d = &data[i];
		struct series *s =
		    metrics_series(&c->w->metrics, namespace, d->name, d->unit, d->dimensions, d->n_dimensions, false);
		if (!s) {
			call_fail(c, &cloudwatch_error_limit,
				  "There are %d metrics, the most that rollout-localaws keeps.", METRICS_SERIES_MAX);
			return false;
		}
		metrics_record(&c->w->metrics, s, d->at_ms, d->resolution_ms, &d->stat, &(struct stat){0}, &d->cells);
	}
	return true;
}

void cloudwatch_put_metric_data(struct call *c)
{
	struct field f = {c, c->in, ""};
	const char *namespace;
	json_t *list, *item;
	size_t i = 0;
	if (!cloudwatch_text(&f, "Namespace", true, &namespace) || !cloudwatch_list(&f, "MetricData", &list))
		return;
	size_t n = json_array_size(list);
	if (text_starts_with(namespace, "AWS/")) {
		call_fail(c, &cloudwatch_error_value, "The value AWS/ for parameter Namespace is invalid.");
		return;
	}
	if (!n || n > PUT_MAX) {
		call_fail(c, n ? &cloudwatch_error_value : &cloudwatch_error_missing,
			  n ? "The collection MetricData must not have a size greater than 1000."
			    : "The parameter MetricData is required.");
		return;
	}
	/* All or nothing. */
	struct datum *data = mem_array(n, sizeof(*data));
	bool good = true;
	json_array_foreach(list, i, item)
	{
		good = good && read_datum(c, item, i, &data[i]);
	}
	if (good && store_data(c, namespace, data, n))
		cloudwatch_answer(c, json_object());
	for (i = 0; i < n; i++)
		cells_deinit(&data[i].cells);
	free(data);
}

/* --- ListMetrics --- */

/* Each filter names a dimension, and perhaps its value. */
static bool series_matches(const struct series *s, const char *namespace, const char *name, json_t *filters)
{
	if (!s->n_points || (namespace && strcmp(s->namespace, namespace) != 0) || (name && strcmp(s->name, name) != 0))
		return false;
	size_t i;
	json_t *filter;
	json_array_foreach(filters, i, filter)
	{
		const char *wanted = json_string_value(json_object_get(filter, "Name"));
		const char *value = json_string_value(json_object_get(filter, "Value"));
		bool found = false;
		for (size_t k = 0; wanted && k < s->n_dimensions; k++)
			found |= strcmp(s->dimensions[k].name, wanted) == 0 &&
				 (!value || strcmp(s->dimensions[k].value, value) == 0);
		if (!found)
			return false;
	}
	return true;
}

static json_t *series_json(const struct series *s)
{
	json_t *dimensions = json_array();
	for (size_t i = 0; i < s->n_dimensions; i++)
		json_array_append_new(dimensions, json_pack("{s:s, s:s}", "Name", s->dimensions[i].name, "Value",
							    s->dimensions[i].value));
	return json_pack("{s:s, s:s, s:o}", "Namespace", s->namespace, "MetricName", s->name, "Dimensions", dimensions);
}

void cloudwatch_list_metrics(struct call *c)
{
	struct field f = {c, c->in, ""};
	const char *namespace = NULL, *name = NULL, *token = NULL;
	json_t *filters;
	uint64_t i = 0;
	if (!cloudwatch_text(&f, "Namespace", false, &namespace) || !cloudwatch_text(&f, "MetricName", false, &name) ||
	    !cloudwatch_list(&f, "Dimensions", &filters) || !cloudwatch_text(&f, "NextToken", false, &token))
		return;
	if (token && text_parse_u64(token, METRICS_SERIES_MAX, &i) != 0) {
		call_fail(c, &cloudwatch_error_value, "The NextToken is not one that rollout-localaws gave.");
		return;
	}
	const struct table *all = &c->w->metrics.series;
	json_t *list = json_array();
	for (; i < all->len && json_array_size(list) < METRICS_PAGE; i++)
		if (series_matches(all->entries[i].value, namespace, name, filters))
			json_array_append_new(list, series_json(all->entries[i].value));
	json_t *out = json_pack("{s:o}", "Metrics", list);
	if (i < all->len)
		json_object_set_new(out, "NextToken",
				    json_string(arena_printf(c->arena, "%llu", (unsigned long long)i)));
	cloudwatch_answer(c, out);
}
