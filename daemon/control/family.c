#include "daemon/control/family.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "control/api.h"

#define NAMES_MAX (LIMIT_SERVICE_ALIASES + 1)

struct names {
	char *items[NAMES_MAX];
	size_t len;
};

/* An event's form and its place. */
struct entry {
	uint64_t id;
	json_t *form;
};

struct entries {
	struct entry *items;
	size_t len;
	size_t cap;
};

static void names_deinit(struct names *n)
{
	for (size_t i = 0; i < n->len; i++)
		free(n->items[i]);
}

static void add_aliases(void *ctx, const struct view_service *v)
{
	struct names *n = ctx;
	for (size_t i = 0; !v->unreadable && i < v->n_aliases && n->len < NAMES_MAX; i++)
		n->items[n->len++] = mem_printf("%s.%s", v->name, v->aliases[i].name);
}

static int keep(void *ctx, const struct store_event *e)
{
	struct entries *all = ctx;
	all->items = mem_grow(all->items, &all->cap, all->len + 1, sizeof(*all->items));
	json_t *form = form_event(e->id, e->name, e->rollout_id, e->unix_ms, e->kind, e->phase, e->text, e->by);
	all->items[all->len++] = (struct entry){e->id, form};
	return 0;
}

static int by_id(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	return x->id < y->id ? -1 : x->id > y->id;
}

/* After an event the oldest ones count, otherwise the newest. */
static void append(struct entries *all, uint64_t after, unsigned limit, json_t *out)
{
	size_t n = all->len < limit ? all->len : limit;
	size_t from = after == 0 ? all->len - n : 0;
	if (all->len > 0)
		qsort(all->items, all->len, sizeof(*all->items), by_id);
	for (size_t i = from; i < from + n; i++)
		require(json_array_append(out, all->items[i].form) == 0);
}

int family_collect_events(struct engine *e, struct store *store, const char *name, uint64_t after, unsigned limit,
			  json_t *out)
{
	cleanup(names_deinit) struct names names = {0};
	struct entries all = {0};
	int r = 0;
	names.items[names.len++] = name[0] ? mem_strdup(name) : NULL;
	if (name[0])
		(void)engine_service(e, name, add_aliases, &names); /* else it is a rollout's name, and stands alone */
	for (size_t i = 0; i < names.len && r == 0; i++)
		r = store_each_event(store, names.items[i], after, limit, keep, &all);
	if (r == 0)
		append(&all, after, limit, out);
	for (size_t i = 0; i < all.len; i++)
		json_decref(all.items[i].form);
	free(all.items);
	return r;
}

bool family_has(const char *family, const char *name)
{
	size_t len = strlen(family);
	return len == 0 || (strncmp(family, name, len) == 0 && (!name[len] || name[len] == '.'));
}
