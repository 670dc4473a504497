#include "table.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

#define GAP 2 /* blanks between columns */

struct cell {
	char *text;
	enum style style;
};

struct row {
	struct cell cells[TABLE_COLUMNS_MAX];
	size_t n;
};

struct table {
	const struct screen *screen;
	const struct column *columns;
	size_t n_columns;
	struct row *rows;
	size_t n_rows;
	size_t cap;
};

struct table *table_new(const struct screen *screen, const struct column *columns, size_t n)
{
	struct table *t = mem_alloc(sizeof(*t));

	require(n >= 1 && n <= TABLE_COLUMNS_MAX);
	t->screen = screen;
	t->columns = columns;
	t->n_columns = n;
	return t;
}

void table_free(struct table *t)
{
	if (!t)
		return;
	for (size_t r = 0; r < t->n_rows; r++)
		for (size_t i = 0; i < t->rows[r].n; i++)
			free(t->rows[r].cells[i].text);
	free(t->rows);
	free(t);
}

void table_row(struct table *t)
{
	t->rows = mem_grow(t->rows, &t->cap, t->n_rows + 1, sizeof(*t->rows));
	t->rows[t->n_rows++] = (struct row){0};
}

void table_cell(struct table *t, enum style style, const char *text)
{
	require(t->n_rows > 0);
	struct row *row = &t->rows[t->n_rows - 1];
	require(row->n < t->n_columns);
	row->cells[row->n++] = (struct cell){mem_strdup(text), style};
}

void table_cellf(struct table *t, enum style style, const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	table_cell(t, style, text);
}

/* Takes cells from the widest columns that may shrink, until the table fits or nothing more can go. */
static void fit(const struct table *t, int width[static TABLE_COLUMNS_MAX], int room)
{
	int total = 0;

	for (size_t i = 0; i < t->n_columns; i++)
		total += width[i] + (i + 1 < t->n_columns ? GAP : 0);
	for (; total > room; total--) {
		size_t widest = t->n_columns;

		for (size_t i = 0; i < t->n_columns; i++) {
			int least = t->columns[i].shrink_to;

			if (least > 0 && width[i] > least && (widest == t->n_columns || width[i] > width[widest]))
				widest = i;
		}
		if (widest == t->n_columns)
			return;
		width[widest]--;
	}
}

static void measure(const struct table *t, int indent, int width[static TABLE_COLUMNS_MAX])
{
	for (size_t i = 0; i < t->n_columns; i++)
		width[i] = screen_cells(t->screen, t->columns[i].title);
	for (size_t r = 0; r < t->n_rows; r++) {
		for (size_t i = 0; i < t->rows[r].n; i++) {
			int cells = screen_cells(t->screen, t->rows[r].cells[i].text);
			if (cells > width[i])
				width[i] = cells;
		}
	}
	if (t->screen->width > 0)
		fit(t, width, t->screen->width - indent);
}

static void put_cell(const struct table *t, struct canvas *c, const struct cell *cell, size_t i, int from, int width)
{
	if (!cell->text[0])
		return; /* no blanks at the end of a line */
	struct buf text = BUF_INIT(64 * 1024);
	int cells = screen_add(t->screen, &text, cell->text, width);

	canvas_pad(c, from + (t->columns[i].right ? width - cells : 0));
	canvas_put(c, cell->style, buf_text(&text));
	buf_deinit(&text);
}

static void put_line(const struct table *t, struct canvas *c, const struct cell *cells, size_t n, int indent,
		     const int width[static TABLE_COLUMNS_MAX])
{
	int from = indent;

	for (size_t i = 0; i < n; i++) {
		put_cell(t, c, &cells[i], i, from, width[i]);
		from += width[i] + GAP;
	}
	canvas_end_line(c);
}

void table_render(const struct table *t, struct canvas *c, int indent)
{
	struct cell titles[TABLE_COLUMNS_MAX];
	int width[TABLE_COLUMNS_MAX] = {0};

	measure(t, indent, width);
	for (size_t i = 0; i < t->n_columns; i++)
		titles[i] = (struct cell){(char *)t->columns[i].title, STYLE_BOLD};
	put_line(t, c, titles, t->n_columns, indent, width);
	for (size_t r = 0; r < t->n_rows; r++)
		put_line(t, c, t->rows[r].cells, t->rows[r].n, indent, width);
}
