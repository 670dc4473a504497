#include "plan/diag.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"

/* Longer sentences are cut. What a file holds is shown shortened, so this is for the longest list of keys. */
#define TEXT_SIZE 768

void diags_deinit(struct diags *d)
{
	for (size_t i = 0; i < d->len; i++)
		free(d->items[i].text);
	*d = (struct diags){0};
}

/* Makes room for an error in a full list, as warnings matter less. */
static void drop_warning(struct diags *d)
{
	for (size_t i = d->len; i > 0; i--) {
		if (d->items[i - 1].severity == DIAG_ERROR)
			continue;
		free(d->items[i - 1].text);
		d->items[i - 1] = d->items[--d->len];
		d->dropped++;
		return;
	}
}

void diags_add(struct diags *d, enum diag_severity severity, unsigned line, unsigned column, const char *fmt, ...)
{
	if (severity == DIAG_ERROR) {
		d->errors++;
		if (d->len == array_len(d->items))
			drop_warning(d);
	}
	if (d->len == array_len(d->items)) {
		d->dropped++;
		return;
	}
	va_list args;
	va_start(args, fmt);
	char text[TEXT_SIZE];
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	/* Keys and values of the file are quoted in sentences that go to a log and to a terminal. */
	char shown[TEXT_SIZE];
	text_copy_printable(shown, sizeof(shown), text);
	d->items[d->len++] = (struct diag){
	    .severity = severity,
	    .line = line > 0 ? line : 1,
	    .column = column > 0 ? column : 1,
	    .text = mem_strdup(shown),
	};
}

static bool comes_before(const struct diag *a, const struct diag *b)
{
	return a->line != b->line ? a->line < b->line : a->column < b->column;
}

/* By insertion, which is stable; the list is short. */
void diags_sort(struct diags *d)
{
	for (size_t i = 1; i < d->len; i++) {
		struct diag moved = d->items[i];
		size_t at = i;
		for (; at > 0 && comes_before(&moved, &d->items[at - 1]); at--)
			d->items[at] = d->items[at - 1];
		d->items[at] = moved;
	}
}

void diags_format(const struct diags *d, const char *file, struct buf *out)
{
	for (size_t i = 0; i < d->len; i++) {
		const struct diag *item = &d->items[i];
		buf_addf(out, "%s:%u:%u: %s: %s\n", file, item->line, item->column,
			 item->severity == DIAG_ERROR ? "error" : "warning", item->text);
	}
	if (d->dropped > 0)
		buf_addf(out, "%s: %zu more problems are not shown; these are the first %zu\n", file, d->dropped,
			 array_len(d->items));
}
