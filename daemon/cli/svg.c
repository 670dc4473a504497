#include "svg.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/macros.h"
#include "base/text.h"
#include "html.h"
#include "span.h"

#define LEFT	   80.0
#define RIGHT	   18.0
#define TOP	   26.0
#define BOTTOM	   40.0
#define BAND	   8.0 /* height of the band below the plot */
#define TICKS	   4   /* about */
#define TICKS_MAX  12
#define TIME_TICKS 8 /* at most */
#define DOTS_MAX   90

static double plot_bottom(const struct svg_chart *c)
{
	return c->height - BOTTOM;
}

static double x_of(const struct svg_chart *c, int64_t at_ms)
{
	double share = (double)(at_ms - c->from_ms) / (double)(c->until_ms - c->from_ms);

	return LEFT + fmin(1, fmax(0, share)) * (SVG_WIDTH - LEFT - RIGHT);
}

static double y_of(const struct svg_chart *c, double value)
{
	double share = c->top > c->bottom ? (value - c->bottom) / (c->top - c->bottom) : 0;

	return plot_bottom(c) - fmin(1, fmax(0, share)) * (plot_bottom(c) - TOP);
}

/* --- axes --- */

/* A step of 1, 2 or 5 times a power of ten, of which about TICKS fit below `top`. */
static double round_step(double top)
{
	static const double parts[] = {1, 2, 5, 10};
	double raw = top / TICKS, power = pow(10, floor(log10(raw)));

	for (size_t i = 0; i < array_len(parts); i++)
		if (raw <= parts[i] * power * 1.0001)
			return parts[i] * power;
	return 10 * power;
}

static void format_value(enum svg_unit unit, double v, char out[static 32])
{
	char count[SPAN_TIME_SIZE];

	switch (unit) {
	case SVG_PERCENT:
		snprintf(out, 32, "%.4g%%", v * 100);
		break;
	case SVG_COUNT:
		span_format_count((int64_t)llround(v), count);
		snprintf(out, 32, "%.30s", count);
		break;
	case SVG_DIFFERENCE:
		snprintf(out, 32, "%s%.4g%%", v < 0 ? "−" : v > 0 ? "+" : "", fabs(v) * 100);
		break;
	case SVG_MS:
		snprintf(out, 32, "%.4g ms", v);
		break;
	case SVG_ODDS:
		span_format_count((int64_t)llround(pow(10, v)), count);
		snprintf(out, 32, "1 of %.24s", count);
		break;
	}
}

static void add_value_axis(struct svg_chart *c, const char *axis)
{
	char label[32];

	int first = (int)lround(c->bottom / c->step);

	for (int i = first; i <= TICKS_MAX && i * c->step <= c->top * 1.0001; i++) {
		double v = i * c->step, y = y_of(c, v);

		buf_addf(c->out, "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT,
			 SVG_WIDTH - RIGHT, y, y);
		format_value(c->unit, v, label);
		buf_addf(c->out, "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">", LEFT - 8, y + 4);
		html_add(c->out, label);
		buf_add_text(c->out, "</text>");
	}
	buf_addf(c->out, "<text class=\"axis\" x=\"%.1f\" y=\"14\">", 4.0);
	html_add(c->out, axis);
	buf_add_text(c->out, "</text>");
}

static int64_t time_step_ms(int64_t span_ms)
{
	static const int64_t seconds[] = {1,   2,   5,	  10,	15,   30,    60,    120,   300,
					  600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400};

	for (size_t i = 0; i < array_len(seconds); i++)
		if (span_ms / (seconds[i] * MS_PER_SECOND) <= TIME_TICKS)
			return seconds[i] * MS_PER_SECOND;
	return (span_ms / TIME_TICKS / (86400 * MS_PER_SECOND) + 1) * 86400 * MS_PER_SECOND;
}

static void format_tick(int64_t at_ms, int64_t step_ms, char out[static 32])
{
	char utc[32];

	text_format_utc(at_ms, utc);
	/* Where a day begins stands which one: what is beside it is clear then. */
	if (at_ms % (86400 * MS_PER_SECOND) == 0)
		snprintf(out, 32, "%.5s", utc + 5);
	else
		snprintf(out, 32, "%.*s", step_ms < MS_PER_MINUTE ? 8 : 5, utc + 11);
}

static void add_time_axis(struct svg_chart *c)
{
	int64_t step = time_step_ms(c->until_ms - c->from_ms);
	double y = plot_bottom(c);
	char label[32];

	for (int64_t at = (c->from_ms + step - 1) / step * step; at <= c->until_ms; at += step) {
		double x = x_of(c, at);

		/* The last label must not be cut off, nor the first one stand on the axis's name. */
		if (x > SVG_WIDTH - 26)
			break;
		format_tick(at, step, label);
		buf_addf(c->out, "<line class=\"base\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", x, x,
			 y + BAND + 2, y + BAND + 6);
		buf_addf(c->out, "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>", x,
			 y + BAND + 20, label);
	}
	buf_addf(c->out, "<line class=\"base\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT,
		 SVG_WIDTH - RIGHT, y, y);
	buf_addf(c->out, "<text class=\"axis\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">UTC</text>", LEFT - 36,
		 y + BAND + 20);
}

void svg_begin(struct svg_chart *c, const char *title, const char *description, const char *axis)
{
	if (c->unit == SVG_ODDS) {
		c->top = fmax(2, ceil(c->top));
		c->step = c->top > 6 ? ceil(c->top / 6) : 1;
	} else {
		bool share = c->unit == SVG_PERCENT || c->unit == SVG_DIFFERENCE;

		if (!(c->top > 0))
			c->top = share ? 0.01 : 1;
		c->step = c->unit == SVG_PERCENT && c->top >= 0.999 ? 0.25 : round_step(c->top);
		/* Half a request is none. */
		if (c->unit == SVG_COUNT && c->step < 1)
			c->step = 1;
	}
	c->top = ceil(c->top / c->step - 0.0001) * c->step;
	c->bottom = c->unit == SVG_DIFFERENCE ? -c->top : 0;
	buf_addf(c->out,
		 "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-labelledby=\"%s-title %s-desc\">"
		 "<title id=\"%s-title\">",
		 SVG_WIDTH, c->height, c->id, c->id, c->id);
	html_add(c->out, title);
	buf_addf(c->out, "</title><desc id=\"%s-desc\">", c->id);
	html_add(c->out, description);
	buf_add_text(c->out, "</desc>");
	add_value_axis(c, axis);
	add_time_axis(c);
}

void svg_end(struct svg_chart *c)
{
	buf_add_text(c->out, "</svg>\n");
}

/* --- what is drawn --- */

/* No line goes to it or from it, so without a dot it would not be seen. */
static bool is_alone(const struct svg_point *points, size_t i, size_t n)
{
	return (i == 0 || isnan(points[i - 1].value)) && (i + 1 == n || isnan(points[i + 1].value));
}

static void add_dots(struct svg_chart *c, const char *class, const struct svg_point *points, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isnan(points[i].value) && (n <= DOTS_MAX || is_alone(points, i, n)))
			buf_addf(c->out, "<circle class=\"dot %s\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.6\"/>", class,
				 x_of(c, points[i].at_ms), y_of(c, points[i].value));
}

void svg_line(struct svg_chart *c, const char *class, const struct svg_point *points, size_t n)
{
	bool drawing = false;

	buf_addf(c->out, "<path class=\"line %s\" d=\"", class);
	for (size_t i = 0; i < n; i++) {
		if (!isnan(points[i].value))
			buf_addf(c->out, "%s%.1f %.1f", drawing ? " L" : " M", x_of(c, points[i].at_ms),
				 y_of(c, points[i].value));
		drawing = !isnan(points[i].value);
	}
	buf_add_text(c->out, "\"/>");
	add_dots(c, class, points, n);
}

static int64_t end_of(const struct svg_point *points, size_t i, size_t n, int64_t until_ms)
{
	return i + 1 < n ? points[i + 1].at_ms : until_ms;
}

/* One piece of the area for each run without a gap: along its upper edge, and back along the lower one. */
void svg_steps(struct svg_chart *c, const char *class, const struct svg_point *points, const double *base, size_t n,
	       int64_t until_ms)
{
	for (size_t first = 0; first < n;) {
		size_t last = first;

		if (isnan(points[first].value)) {
			first++;
			continue;
		}
		while (last + 1 < n && !isnan(points[last + 1].value))
			last++;
		buf_addf(c->out, "<path class=\"area %s\" d=\"M%.1f %.1f", class, x_of(c, points[first].at_ms),
			 y_of(c, base ? base[first] : 0));
		for (size_t i = first; i <= last; i++)
			buf_addf(c->out, " V%.1f H%.1f", y_of(c, points[i].value + (base ? base[i] : 0)),
				 x_of(c, end_of(points, i, n, until_ms)));
		for (size_t i = last + 1; i-- > first;)
			buf_addf(c->out, " V%.1f H%.1f", y_of(c, base ? base[i] : 0), x_of(c, points[i].at_ms));
		buf_add_text(c->out, " Z\"/>");
		first = last + 1;
	}
}

void svg_limit(struct svg_chart *c, double value, const char *label)
{
	double y = y_of(c, value);

	buf_addf(c->out, "<line class=\"limit\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT,
		 SVG_WIDTH - RIGHT, y, y);
	buf_addf(c->out, "<text class=\"limit-label\" x=\"%.1f\" y=\"%.1f\">", LEFT + 6, y - 5);
	html_add(c->out, label);
	buf_add_text(c->out, "</text>");
}

void svg_zero(struct svg_chart *c)
{
	double y = y_of(c, 0);

	buf_addf(c->out, "<line class=\"base\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT,
		 SVG_WIDTH - RIGHT, y, y);
}

void svg_moment(struct svg_chart *c, int64_t at_ms, const char *class)
{
	double x = x_of(c, at_ms);

	buf_addf(c->out, "<line class=\"moment %s\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", class, x, x,
		 TOP, plot_bottom(c));
}

void svg_mark(struct svg_chart *c, int64_t at_ms, const char *class, const char *sign, const char *label)
{
	double x = x_of(c, at_ms);

	svg_moment(c, at_ms, class);
	buf_addf(c->out, "<g class=\"mark %s\"><title>", class);
	html_add(c->out, label);
	buf_addf(c->out,
		 "</title><circle cx=\"%.1f\" cy=\"%.1f\" r=\"9\"/><text x=\"%.1f\" y=\"%.1f\" "
		 "text-anchor=\"middle\">%s</text></g>",
		 x, TOP - 11, x, TOP - 7, sign);
}

void svg_band(struct svg_chart *c, int64_t from_ms, int64_t until_ms, const char *class, const char *label)
{
	double x = x_of(c, from_ms), width = fmax(3, x_of(c, until_ms) - x);

	buf_addf(c->out, "<rect class=\"band %s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"><title>", class,
		 x, plot_bottom(c) + 1, width, BAND);
	html_add(c->out, label);
	buf_add_text(c->out, "</title></rect>");
}
