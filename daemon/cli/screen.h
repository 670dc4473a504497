/*
 * What stdout is, and how text is put on it: columns are counted in cells, what came from outside is made harmless, and
 * colour is used only where it is wanted.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct screen {
	bool terminal; /* and one that understands escape sequences */
	bool colour;
	bool utf8;
	int width; /* columns; 0: no limit */
	int height;
};

/* Looks at the descriptor, the locale (setlocale was called before), TERM and NO_COLOR. */
void screen_probe(struct screen *s, int fd);
/* The terminal's size now. */
void screen_measure(struct screen *s, int fd);

enum style { STYLE_PLAIN, STYLE_BOLD, STYLE_DIM, STYLE_GOOD, STYLE_WARN, STYLE_BAD, STYLE_INFO };

enum symbol {
	SYMBOL_DONE,
	SYMBOL_HERE,
	SYMBOL_FAILED,
	SYMBOL_STABLE, /* one cell of a weight bar */
	SYMBOL_CANARY,
	SYMBOL_DOT,
	SYMBOL_ELLIPSIS,
	SYMBOL_COUNT,
};

const char *screen_symbol(const struct screen *s, enum symbol symbol);

/* Cells that the text takes, made harmless. */
int screen_cells(const struct screen *s, const char *text);
/*
 * Appends the text with everything replaced that could command a terminal or turn it around: control characters, bidi
 * overrides, broken UTF-8, and in a locale that is not UTF-8 all beyond ASCII. Line ends and tabs become blanks.
 * At most max_cells cells (negative: no limit); a longer text is cut and ends in an ellipsis. Returns the cells taken.
 */
int screen_add(const struct screen *s, struct buf *out, const char *text, int max_cells);

/*
 * A canvas writes lines into a buffer. With `clip` no line is wider than the screen, and no more than max_rows lines
 * are made (0: no limit); further text is dropped.
 */
struct canvas {
	const struct screen *screen;
	struct buf *out;
	bool clip;
	bool redraw; /* lines end with "erase to the end of the line" */
	int max_rows;
	int rows;   /* lines done */
	int column; /* cells of the line at hand */
};

void canvas_put(struct canvas *c, enum style style, const char *text);
void canvas_putf(struct canvas *c, enum style style, const char *fmt, ...) printf_like(3, 4);
void canvas_symbol(struct canvas *c, enum style style, enum symbol symbol, int count);
void canvas_pad(struct canvas *c, int column); /* blanks up to that column; at least none */
void canvas_end_line(struct canvas *c);
int canvas_rows_left(const struct canvas *c); /* a large number when there is no limit */
