#include "sim/metrics.h"

#include <math.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"

#define KEY_BYTES (64 * 1024)

void metrics_init(struct metrics *m, uint64_t seed)
{
	*m = (struct metrics){.settings = {.period_ms = 60000, .delay_ms = 60000}};
	prng_init(&m->prng, seed);
}

void cells_deinit(struct cells *c)
{
	free(c->items);
	*c = (struct cells){0};
}

static void series_free(struct series *s)
{
	for (size_t i = 0; i < s->n_points; i++)
		cells_deinit(&s->points[i].cells);
	for (size_t i = 0; i < s->n_dimensions; i++) {
		free((char *)s->dimensions[i].name);
		free((char *)s->dimensions[i].value);
	}
	free(s->points);
	free(s->dimensions);
	free(s->namespace);
	free(s->name);
	free(s->unit);
	free(s);
}

void metrics_deinit(struct metrics *m)
{
	for (size_t i = 0; i < m->series.len; i++)
		series_free(m->series.entries[i].value);
	table_deinit(&m->series);
}

static int compare_dimensions(const void *a, const void *b)
{
	const struct dimension *x = a, *y = b;
	int by_name = strcmp(x->name, y->name);
	return by_name ? by_name : strcmp(x->value, y->value);
}

char *metrics_key(const char *namespace, const char *name, const struct dimension *dimensions, size_t n)
{
	require(n <= METRICS_DIMENSIONS_MAX);
	struct dimension sorted[METRICS_DIMENSIONS_MAX] = {{0}};
	for (size_t i = 0; i < n; i++)
		sorted[i] = dimensions[i];
	qsort(sorted, n, sizeof(*sorted), compare_dimensions);
	struct buf key = BUF_INIT(KEY_BYTES);
	/* The separator is a byte that no name may hold. */
	buf_addf(&key, "%s\x1f%s", namespace, name);
	for (size_t i = 0; i < n; i++)
		buf_addf(&key, "\x1f%s\x1e%s", sorted[i].name, sorted[i].value);
	return buf_take(&key);
}

struct series *metrics_find(const struct metrics *m, const char *namespace, const char *name,
			    const struct dimension *dimensions, size_t n)
{
	cleanup(mem_free_p) char *key = metrics_key(namespace, name, dimensions, n);
	return table_get(&m->series, key);
}

struct series *metrics_series(struct metrics *m, const char *namespace, const char *name, const char *unit,
			      const struct dimension *dimensions, size_t n, bool own)
{
	cleanup(mem_free_p) char *key = metrics_key(namespace, name, dimensions, n);
	struct series *s = table_get(&m->series, key);
	if (s || m->series.len >= METRICS_SERIES_MAX)
		return s;
	s = mem_alloc(sizeof(*s));
	*s = (struct series){.namespace = mem_strdup(namespace),
			     .name = mem_strdup(name),
			     .unit = mem_strdup(unit),
			     .dimensions = mem_array(n, sizeof(*s->dimensions)),
			     .n_dimensions = n,
			     .own = own};
	for (size_t i = 0; i < n; i++)
		s->dimensions[i] = (struct dimension){.name = mem_strdup(dimensions[i].name),
						      .value = mem_strdup(dimensions[i].value)};
	table_put(&m->series, key, s);
	return s;
}

void stat_add(struct stat *s, double value, uint64_t n)
{
	if (!n)
		return;
	stat_merge(s, &(struct stat){.n = n, .sum = value * (double)n, .min = value, .max = value});
}

void stat_merge(struct stat *into, const struct stat *from)
{
	if (!from->n)
		return;
	if (!into->n) {
		*into = *from;
		return;
	}
	into->n += from->n;
	into->sum += from->sum;
	into->min = fmin(into->min, from->min);
	into->max = fmax(into->max, from->max);
}

static size_t cells_lower_bound(const struct cells *c, double value)
{
	size_t low = 0, high = c->len;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (c->items[middle].value < value)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void cells_add(struct cells *c, double value, uint64_t n)
{
	size_t at = cells_lower_bound(c, value);
	if (at < c->len && c->items[at].value == value) {
		c->items[at].n += n;
		return;
	}
	if (c->len >= METRICS_CELLS_MAX) {
		if (at == c->len || (at > 0 && value - c->items[at - 1].value < c->items[at].value - value))
			at--;
		c->items[at].n += n;
		return;
	}
	c->items = mem_grow(c->items, &c->cap, c->len + 1, sizeof(*c->items));
	memmove(&c->items[at + 1], &c->items[at], (c->len - at) * sizeof(*c->items));
	c->items[at] = (struct cell){.value = value, .n = n};
	c->len++;
}

static void cells_merge(struct cells *into, const struct cells *from)
{
	for (size_t i = 0; i < from->len; i++)
		cells_add(into, from->items[i].value, from->items[i].n);
}

static int64_t floor_to(int64_t ms, int64_t period_ms)
{
	int64_t rest = ms % period_ms;
	return ms - (rest < 0 ? rest + period_ms : rest);
}

static size_t points_lower_bound(const struct series *s, int64_t start_ms)
{
	size_t low = 0, high = s->n_points;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (s->points[middle].start_ms < start_ms)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void drop_oldest(struct series *s)
{
	size_t gone = s->n_points / 4;
	for (size_t i = 0; i < gone; i++)
		cells_deinit(&s->points[i].cells);
	memmove(s->points, s->points + gone, (s->n_points - gone) * sizeof(*s->points));
	s->n_points -= gone;
}

static struct point *point_at(struct metrics *m, struct series *s, int64_t start_ms, int64_t length_ms)
{
	if (s->n_points && s->points[s->n_points - 1].start_ms == start_ms)
		return &s->points[s->n_points - 1];
	size_t at = points_lower_bound(s, start_ms);
	if (at < s->n_points && s->points[at].start_ms == start_ms)
		return &s->points[at];
	if (s->n_points >= METRICS_POINTS_MAX) {
		drop_oldest(s);
		at = points_lower_bound(s, start_ms);
	}
	s->points = mem_grow(s->points, &s->cap, s->n_points + 1, sizeof(*s->points));
	memmove(&s->points[at + 1], &s->points[at], (s->n_points - at) * sizeof(*s->points));
	s->n_points++;
	s->points[at] = (struct point){.start_ms = start_ms, .length_ms = length_ms, .jitter = prng_unit(&m->prng)};
	return &s->points[at];
}

void metrics_record(struct metrics *m, struct series *s, int64_t at_ms, int64_t resolution_ms,
		    const struct stat *prompt, const struct stat *late, const struct cells *cells)
{
	struct point *p = point_at(m, s, floor_to(at_ms, resolution_ms), resolution_ms);
	stat_merge(&p->prompt, prompt);
	stat_merge(&p->late, late);
	if (cells)
		cells_merge(&p->cells, cells);
}

int statistic_parse(const char *text, struct statistic *ret)
{
	static const char *const names[] = {
	    [STATISTIC_SUM] = "Sum",	     [STATISTIC_SAMPLE_COUNT] = "SampleCount", [STATISTIC_AVERAGE] = "Average",
	    [STATISTIC_MINIMUM] = "Minimum", [STATISTIC_MAXIMUM] = "Maximum",
	};
	for (size_t i = 0; i < array_len(names); i++)
		if (strcmp(text, names[i]) == 0) {
			*ret = (struct statistic){.kind = (enum metrics_statistic)i};
			return 0;
		}
	static const char *const others[] = {"tm", "tc", "ts", "wm", "TM(", "TC(", "TS(", "WM(", "PR(", "IQM"};
	for (size_t i = 0; i < array_len(others); i++)
		if (text_starts_with(text, others[i]))
			return -ENOTSUP;
	if (text[0] != 'p' || strspn(text + 1, "0123456789.") != strlen(text + 1) || text[1] == '\0')
		return -EINVAL;
	char *end;
	double percentile = strtod(text + 1, &end);
	if (*end || !(percentile >= 0 && percentile <= 100))
		return -EINVAL;
	*ret = (struct statistic){.kind = STATISTIC_PERCENTILE, .percentile = percentile};
	return 0;
}

/* The nearest-rank percentile: the smallest value that at least so many per cent of the samples do not exceed. */
static double cells_percentile(const struct cells *c, double percentile)
{
	uint64_t total = 0, seen = 0;
	for (size_t i = 0; i < c->len; i++)
		total += c->items[i].n;
	double rank = fmax(1.0, ceil(percentile / 100 * (double)total));
	for (size_t i = 0; i < c->len; i++) {
		seen += c->items[i].n;
		if ((double)seen >= rank)
			return c->items[i].value;
	}
	return 0;
}

struct window {
	int64_t start_ms;
	struct stat stat;
	struct cells cells;
};

static void window_close(struct window *w, const struct statistic *statistic, struct values *ret)
{
	if (w->stat.n) {
		struct value v = {.start_ms = w->start_ms,
				  .statistics = {[STATISTIC_SUM] = w->stat.sum,
						 [STATISTIC_SAMPLE_COUNT] = (double)w->stat.n,
						 [STATISTIC_AVERAGE] = w->stat.sum / (double)w->stat.n,
						 [STATISTIC_MINIMUM] = w->stat.min,
						 [STATISTIC_MAXIMUM] = w->stat.max}};
		bool known = true;
		if (statistic->kind != STATISTIC_PERCENTILE)
			v.value = v.statistics[statistic->kind];
		else if (w->cells.len)
			v.value = cells_percentile(&w->cells, statistic->percentile);
		else
			known = false; /* put as a StatisticSet: CloudWatch has no percentiles of those */
		if (known) {
			ret->items = mem_grow(ret->items, &ret->cap, ret->len + 1, sizeof(*ret->items));
			ret->items[ret->len++] = v;
		}
	}
	cells_deinit(&w->cells);
	w->stat = (struct stat){0};
}

void metrics_read(const struct metrics *m, const struct series *s, int64_t start_ms, int64_t end_ms, int64_t period_ms,
		  const struct statistic *statistic, int64_t now_ms, int64_t extra_delay_ms, struct values *ret)
{
	struct window w = {.start_ms = INT64_MIN};
	for (size_t i = points_lower_bound(s, start_ms); i < s->n_points && s->points[i].start_ms < end_ms; i++) {
		const struct point *p = &s->points[i];
		int64_t visible_ms = p->start_ms;
		if (s->own)
			visible_ms += p->length_ms + m->settings.delay_ms + extra_delay_ms +
				      (int64_t)(p->jitter * (double)m->settings.jitter_ms);
		if (visible_ms > now_ms)
			continue;
		int64_t start = floor_to(p->start_ms, period_ms);
		if (start != w.start_ms) {
			window_close(&w, statistic, ret);
			w.start_ms = start;
		}
		stat_merge(&w.stat, &p->prompt);
		if (visible_ms + m->settings.late_by_ms <= now_ms)
			stat_merge(&w.stat, &p->late);
		if (statistic->kind == STATISTIC_PERCENTILE)
			cells_merge(&w.cells, &p->cells);
	}
	window_close(&w, statistic, ret);
}

void values_deinit(struct values *v)
{
	free(v->items);
	*v = (struct values){0};
}
