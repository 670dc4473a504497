#include "sim/gauges.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

void gauges_deinit(struct gauges *g)
{
	for (size_t i = 0; i < g->len; i++) {
		struct gauge *one = &g->items[i];
		for (size_t k = 0; k < one->n_dimensions; k++) {
			free((char *)one->dimensions[k].name);
			free((char *)one->dimensions[k].value);
		}
		free(one->dimensions);
		free(one->namespace);
		free(one->name);
		free(one->unit);
	}
	free(g->items);
	*g = (struct gauges){0};
}

int64_t gauges_next_ms(const struct gauges *g)
{
	return g->len ? g->next_ms : INT64_MAX;
}

static void record(const struct gauge *one, struct metrics *m, int64_t now_ms)
{
	struct stat stat = {0};
	struct cells cells = {0};
	struct series *s;
	if (isnan(one->value))
		return;
	s = metrics_series(m, one->namespace, one->name, one->unit, one->dimensions, one->n_dimensions, true);
	if (!s)
		return;
	stat_add(&stat, one->value, 1);
	cells_add(&cells, one->value, 1);
	metrics_record(m, s, now_ms, m->settings.period_ms, &stat, &(struct stat){0}, &cells);
	cells_deinit(&cells);
}

void gauges_record(struct gauges *g, struct metrics *m, int64_t now_ms)
{
	int64_t period_ms = m->settings.period_ms;
	for (size_t i = 0; i < g->len; i++)
		record(&g->items[i], m, now_ms);
	g->next_ms = now_ms - now_ms % period_ms + period_ms;
}

void gauges_set(struct gauges *g, struct metrics *m, struct gauge *one, double value, int64_t now_ms)
{
	bool begins = isnan(one->value);
	int64_t period_ms = m->settings.period_ms;
	one->value = value;
	if (begins)
		record(one, m, now_ms);
	g->next_ms = now_ms - now_ms % period_ms + period_ms;
}

static bool is_same(const struct gauge *one, const char *namespace, const char *name,
		    const struct dimension *dimensions, size_t n)
{
	if (strcmp(one->namespace, namespace) != 0 || strcmp(one->name, name) != 0 || one->n_dimensions != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (strcmp(one->dimensions[i].name, dimensions[i].name) != 0 ||
		    strcmp(one->dimensions[i].value, dimensions[i].value) != 0)
			return false;
	return true;
}

struct gauge *gauges_put(struct gauges *g, const char *namespace, const char *name, const struct dimension *dimensions,
			 size_t n)
{
	for (size_t i = 0; i < g->len; i++)
		if (is_same(&g->items[i], namespace, name, dimensions, n))
			return &g->items[i];
	if (g->len == GAUGES_MAX)
		return NULL;
	g->items = mem_grow(g->items, &g->cap, g->len + 1, sizeof(*g->items));
	struct gauge *one = &g->items[g->len++];
	*one = (struct gauge){.namespace = mem_strdup(namespace),
			      .name = mem_strdup(name),
			      .unit = mem_strdup("None"),
			      .dimensions = mem_array(n, sizeof(*one->dimensions)),
			      .n_dimensions = n,
			      .value = NAN};
	for (size_t i = 0; i < n; i++)
		one->dimensions[i] = (struct dimension){.name = mem_strdup(dimensions[i].name),
							.value = mem_strdup(dimensions[i].value)};
	return one;
}
