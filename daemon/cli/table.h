/* Tables of text: columns as wide as their widest cell; on a terminal those that may shrink do, where they must. */
#pragma once

#include "screen.h"

struct column {
	const char *title;
	bool right;
	int shrink_to; /* 0: never narrower than its widest cell */
};

struct table;

#define TABLE_COLUMNS_MAX 10

/* `columns` and `screen` are borrowed. */
struct table *table_new(const struct screen *screen, const struct column *columns, size_t n);
void table_free(struct table *t); /* NULL is fine */

/* Starts a row, and fills its next cell; the text is copied. Cells left out are empty. */
void table_row(struct table *t);
void table_cell(struct table *t, enum style style, const char *text);
void table_cellf(struct table *t, enum style style, const char *fmt, ...) printf_like(3, 4);

/* Titles and rows, each line indented. */
void table_render(const struct table *t, struct canvas *c, int indent);
