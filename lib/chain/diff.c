#include "chain/diff.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "chain/diff_inner.h"

struct change *diff_add(struct diff *d, enum change_kind kind, const char *subject)
{
	if (d->len == d->cap) {
		size_t cap = d->cap ? 2 * d->cap : 16;
		struct change *items = arena_array(d->a, cap, sizeof(*items));
		if (d->len > 0)
			memcpy(items, d->items, d->len * sizeof(*items));
		d->items = items;
		d->cap = cap;
	}
	struct change *c = &d->items[d->len++];
	*c = (struct change){.kind = kind, .subject = subject, .field = "", .from = "", .to = ""};
	if (CHANGE_IS_CALL(kind) && kind >= CHANGE_CREATE_API && kind <= CHANGE_UPDATE_STAGE)
		d->api_calls++;
	if (kind >= CHANGE_CREATE_RESOURCE && kind <= CHANGE_UPDATE_ROUTE)
		d->route_calls++;
	return c;
}

printf_like(5, 0) static void add_text(struct diff *d, enum change_kind kind, const char *subject, const char *field,
				       const char *fmt, va_list args)
{
	char text[LIMIT_REASON + 512];

	vsnprintf(text, sizeof(text), fmt, args);
	struct change *c = diff_add(d, kind, subject);
	c->field = field;
	c->text = arena_strdup(d->a, text);
}

void diff_problem(struct diff *d, const char *subject, const char *field, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	add_text(d, CHANGE_PROBLEM, subject, field, fmt, args);
	va_end(args);
}

void diff_wait(struct diff *d, const char *subject, const char *field, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	add_text(d, CHANGE_WAIT, subject, field, fmt, args);
	va_end(args);
}

size_t diff_count(const struct diff *d, enum change_kind kind)
{
	size_t count = 0;

	for (size_t n = 0; n < d->len; n++)
		count += d->items[n].kind == kind;
	return count;
}

void diff_run(struct diff *d)
{
	require(d->spec->n_aliases <= LIMIT_SERVICE_ALIASES);
	require(d->spec->api.n_stages <= LIMIT_SERVICE_STAGES);
	diff_function(d);
	if (!d->v->function_found)
		return; /* everything else names the function */
	diff_missing_aliases(d);
	diff_api(d);
	diff_moving_aliases(d);
	diff_unused_permissions(d);
	diff_prune(d);
}

void chain_diff(const struct chain_input *in, struct arena *a, struct change_list *ret)
{
	struct diff d = {.in = in, .spec = in->spec, .v = in->view, .m = in->memory, .a = a};

	diff_run(&d);
	*ret = (struct change_list){.items = d.items, .len = d.len};
}

const struct change *chain_first_call(const struct change_list *l)
{
	for (size_t n = 0; n < l->len; n++) {
		if (CHANGE_IS_CALL(l->items[n].kind))
			return &l->items[n];
	}
	return NULL;
}
