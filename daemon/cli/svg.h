/*
 * Charts over time as inline SVG: axes with units and tick labels, lines, areas, limits, marks. Colours are classes of
 * the page's style sheet, so that they follow the reader's light or dark scheme. Every text is escaped.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum svg_unit {
	SVG_PERCENT, /* values are shares, 0 … 1 */
	SVG_COUNT,
	SVG_MS,
	SVG_DIFFERENCE, /* of shares, -1 … 1: the axis goes as far below zero as above */
	SVG_ODDS,	/* values are decimal logarithms of n in "1 of n" */
};

struct svg_chart {
	struct buf *out;
	const char *id; /* unique in the page, of a-z */
	int64_t from_ms;
	int64_t until_ms; /* > from_ms */
	enum svg_unit unit;
	double top;    /* the value at the upper end; svg_begin makes a round one of it */
	double bottom; /* the value at the lower end: 0, or of a difference -top */
	double step;
	double height; /* of the whole picture */
};

struct svg_point {
	int64_t at_ms;
	double value; /* NAN: a gap */
};

#define SVG_WIDTH 960.0

/* `title` names the picture, `description` says what it shows, for who cannot see it. */
void svg_begin(struct svg_chart *c, const char *title, const char *description, const char *axis);
void svg_end(struct svg_chart *c);

/* Between points; across a gap there is no line. Few points are marked. */
void svg_line(struct svg_chart *c, const char *class, const struct svg_point *points, size_t n);
/* Each value holds until the next point; the area from `base` (n values; NULL: from 0) up to it. */
void svg_steps(struct svg_chart *c, const char *class, const struct svg_point *points, const double *base, size_t n,
	       int64_t until_ms);
/* A value across the whole chart, with its label. */
void svg_limit(struct svg_chart *c, double value, const char *label);
/* The line of zero, where that is not the lower end. */
void svg_zero(struct svg_chart *c);
/* A dashed line from top to bottom. */
void svg_moment(struct svg_chart *c, int64_t at_ms, const char *class);
/* A mark above the plot with a sign of one or two characters, of ours; `label` is shown when it is pointed at. */
void svg_mark(struct svg_chart *c, int64_t at_ms, const char *class, const char *sign, const char *label);
/* A piece of the band below the plot. */
void svg_band(struct svg_chart *c, int64_t from_ms, int64_t until_ms, const char *class, const char *label);
