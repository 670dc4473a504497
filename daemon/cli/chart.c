#include "chart.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "core/experiment.h"
#include "field.h"
#include "html.h"
#include "span.h"
#include "svg.h"
#include "trial.h"

#define BUCKETS	  480 /* more points than that nobody can tell apart */
#define MARKS_MAX 40
#define VALUE_MAX 1e12 /* larger ones are drawn at the top */

/* Periods in a row, put together so that there are not too many. */
struct bucket {
	int64_t start_unix_ms;
	struct counts canary;
	struct counts stable;
	struct counts probe_canary;
	struct counts probe_stable;
};

struct buckets {
	struct bucket *items;
	size_t n;
	int64_t width_ms;
};

static int64_t from_ms(const struct story *s)
{
	return s->first_traffic_unix_ms - s->first_traffic_unix_ms % s->period_ms;
}

/* The end of what is drawn: that of the last thing there is. */
static int64_t until_ms(const struct story *s)
{
	int64_t until = s->until_unix_ms;

	if (s->n_periods > 0 && s->periods[s->n_periods - 1].start_unix_ms + s->period_ms > until)
		until = s->periods[s->n_periods - 1].start_unix_ms + s->period_ms;
	if (until <= from_ms(s))
		until = from_ms(s) + s->period_ms;
	return until;
}

/* The right edge: a little later, so that the end can be seen. */
static int64_t edge_ms(const struct story *s)
{
	return until_ms(s) + (until_ms(s) - from_ms(s)) / 40;
}

static struct buckets make_buckets(const struct story *s)
{
	int64_t from = from_ms(s), periods = (until_ms(s) - from) / s->period_ms + 1;
	struct buckets b = {.width_ms = (periods / BUCKETS + 1) * s->period_ms};

	b.n = (size_t)((until_ms(s) - from + b.width_ms - 1) / b.width_ms);
	b.items = mem_array(b.n + 1, sizeof(*b.items));
	for (size_t i = 0; i < b.n; i++)
		b.items[i].start_unix_ms = from + (int64_t)i * b.width_ms;
	for (size_t i = 0; i < s->n_periods; i++) {
		const struct story_period *p = &s->periods[i];
		int64_t at = (p->start_unix_ms - from) / b.width_ms;

		if (p->start_unix_ms < from || at >= (int64_t)b.n)
			continue;
		story_add_counts(&b.items[at].canary, &p->canary);
		story_add_counts(&b.items[at].stable, &p->stable);
		story_add_counts(&b.items[at].probe_canary, &p->probe_canary);
		story_add_counts(&b.items[at].probe_stable, &p->probe_stable);
	}
	return b;
}

/* --- figures --- */

static void begin_figure(struct buf *out, const char *title)
{
	html_addf(out, "<figure><figcaption><h3>%s</h3><p class=\"legend\">", title);
}

static void add_key(struct buf *out, const char *class, const char *label)
{
	html_addf(out, "<span class=\"key %s\"><i></i>%s</span> ", class, label);
}

static void end_legend(struct buf *out)
{
	buf_add_text(out, "</p></figcaption>");
}

static void end_figure(struct svg_chart *c)
{
	svg_end(c);
	buf_add_text(c->out, "</figure>\n");
}

static struct svg_chart new_chart(const struct story *s, struct buf *out, const char *id, enum svg_unit unit,
				  double top, double height)
{
	return (struct svg_chart){.out = out,
				  .id = id,
				  .from_ms = from_ms(s),
				  .until_ms = edge_ms(s),
				  .unit = unit,
				  .top = top,
				  .height = height};
}

static void add_version_keys(const struct story *s, struct buf *out)
{
	char label[64];

	snprintf(label, sizeof(label), "%s, the canary", s->canary);
	add_key(out, "canary", label);
	snprintf(label, sizeof(label), "%s, stable", s->stable);
	add_key(out, "stable", label);
}

/* Where the weight changed, in every chart. */
static void add_moments(const struct story *s, struct svg_chart *c)
{
	for (size_t i = 0; i < s->n_weights; i++)
		svg_moment(c, s->weights[i].from_unix_ms, s->weights[i].home ? "home" : "");
}

/* --- weights --- */

static void add_marks(const struct story *s, struct svg_chart *c)
{
	unsigned number = 0;
	char sign[16];

	for (size_t i = 0; i < json_array_size(s->events) && number < MARKS_MAX; i++) {
		const json_t *event = json_array_get(s->events, i);

		if (!field_is(event, "kind", "command"))
			continue;
		snprintf(sign, sizeof(sign), "%u", ++number);
		svg_mark(c, field_time(event, "at"), "command", sign, field_text(event, "text"));
	}
	for (size_t i = 0; i < s->n_judgements; i++) {
		if (strcmp(s->judgements[i].verdict, "fail") != 0)
			continue;
		svg_mark(c, s->judgements[i].at_unix_ms, "fail", "✗", s->judgements[i].text);
		break; /* the first is what counted */
	}
}

static void add_verdicts(const struct story *s, struct svg_chart *c)
{
	for (size_t i = 0; i < s->n_judgements;) {
		const struct story_judgement *j = &s->judgements[i];
		size_t next = i + 1;
		char label[LIMIT_REASON + 32];

		while (next < s->n_judgements && strcmp(s->judgements[next].verdict, j->verdict) == 0)
			next++;
		snprintf(label, sizeof(label), "%s: %s", j->verdict, s->judgements[next - 1].text);
		svg_band(c, j->at_unix_ms, next < s->n_judgements ? s->judgements[next].at_unix_ms : s->until_unix_ms,
			 strcmp(j->verdict, "pass") == 0   ? "pass"
			 : strcmp(j->verdict, "fail") == 0 ? "fail"
							   : "undecided",
			 label);
		i = next;
	}
}

static void add_weights(const struct story *s, struct buf *out)
{
	struct svg_chart c = new_chart(s, out, "weights", SVG_PERCENT, 1, 250);
	struct svg_point *points = mem_array(s->n_weights + 1, sizeof(*points));
	size_t n = 0;
	char text[256];

	for (size_t i = 0; i < s->n_weights; i++)
		points[n++] = (struct svg_point){s->weights[i].from_unix_ms, s->weights[i].weight_bp / 1e4};
	begin_figure(out, "Weight: the canary's share of the traffic");
	snprintf(text, sizeof(text), "%s, the canary", s->canary);
	add_key(out, "canary", text);
	add_key(out, "pass", "verdict pass");
	add_key(out, "undecided", "undecided");
	add_key(out, "fail", "fail");
	add_key(out, "command", "an operator's word, numbered as in the table below");
	end_legend(out);
	snprintf(text, sizeof(text), "%zu weights; below the plot a band with the verdicts over time.", s->n_weights);
	svg_begin(&c, "The canary's share of the traffic over time", text, "share of the traffic");
	add_verdicts(s, &c);
	svg_steps(&c, "canary", points, NULL, n, edge_ms(s));
	add_marks(s, &c);
	end_figure(&c);
	free(points);
}

/* --- counts --- */

static void format_width(const struct buckets *b, const char *what, char *out, size_t size)
{
	char span[32];

	text_format_span(b->width_ms, span);
	snprintf(out, size, "%s per %s", what, span);
}

static double served(const struct counts *c)
{
	return c->seen ? fmin(VALUE_MAX, (double)c->invocations) : NAN;
}

static bool any_requests(const struct buckets *b)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->items[i].canary.seen || b->items[i].stable.seen)
			return true;
	return false;
}

static void add_requests(const struct story *s, const struct buckets *b, struct buf *out)
{
	struct svg_point *canary = mem_array(b->n + 1, sizeof(*canary)), *stable = mem_array(b->n + 1, sizeof(*stable));
	double *base = mem_array(b->n + 1, sizeof(*base)), top = 0;
	char title[128];

	for (size_t i = 0; i < b->n; i++) {
		const struct bucket *x = &b->items[i];

		canary[i] = (struct svg_point){x->start_unix_ms, served(&x->canary)};
		stable[i] = (struct svg_point){x->start_unix_ms, served(&x->stable)};
		base[i] = x->canary.seen ? served(&x->canary) : 0;
		top = fmax(top, base[i] + (x->stable.seen ? served(&x->stable) : 0));
	}
	struct svg_chart c = new_chart(s, out, "requests", SVG_COUNT, top, 230);
	format_width(b, "Requests", title, sizeof(title));
	begin_figure(out, title);
	add_version_keys(s, out);
	end_legend(out);
	svg_begin(&c, title, "Requests that each version served, one on top of the other.", "requests");
	svg_steps(&c, "canary", canary, NULL, b->n, until_ms(s));
	svg_steps(&c, "stable", stable, base, b->n, until_ms(s));
	add_moments(s, &c);
	end_figure(&c);
	free(canary);
	free(stable);
	free(base);
}

static double rate_of(const struct counts *c)
{
	return c->seen && c->invocations > 0 ? fmin(1, (double)c->errors / (double)c->invocations) : NAN;
}

/* The highest share that a plain threshold allows; 0: there is none. */
static double max_rate(const struct story *s)
{
	double least = 0;

	for (size_t i = 0; i < json_array_size(s->metrics); i++) {
		const json_t *m = json_array_get(s->metrics, i);
		double rate = (double)field_int(m, "max_rate_ppm") / 1e6;

		if (field_is(m, "kind", "errors") && rate > 0 && (least == 0 || rate < least))
			least = rate;
	}
	return least;
}

/* Two lines of shares that failed, and what the plan allows; 0: it says nothing of them alone. */
static void add_shares(const struct story *s, const char *id, const char *title, const struct svg_point *canary,
		       const struct svg_point *stable, size_t n, double limit, struct buf *out)
{
	double top = limit * 1.15;
	char label[64], rate[16];

	for (size_t i = 0; i < n; i++)
		top = fmax(top, fmax(isnan(canary[i].value) ? 0 : canary[i].value,
				     isnan(stable[i].value) ? 0 : stable[i].value));
	struct svg_chart c = new_chart(s, out, id, SVG_PERCENT, fmin(1, top), 230);
	begin_figure(out, title);
	add_version_keys(s, out);
	if (limit > 0)
		add_key(out, "limit", "what the plan allows the canary");
	end_legend(out);
	svg_begin(&c, title, "The share of each version's requests that failed.", "failed requests");
	add_moments(s, &c);
	svg_line(&c, "stable", stable, n);
	svg_line(&c, "canary", canary, n);
	if (limit > 0) {
		text_format_ppm((uint32_t)lround(limit * 1e6), rate);
		snprintf(label, sizeof(label), "limit %s", rate);
		svg_limit(&c, limit, label);
	}
	end_figure(&c);
}

static void add_rates(const struct story *s, const struct buckets *b, bool of_probes, struct buf *out)
{
	struct svg_point *canary = mem_array(b->n + 1, sizeof(*canary)), *stable = mem_array(b->n + 1, sizeof(*stable));
	char title[128];

	for (size_t i = 0; i < b->n; i++) {
		const struct bucket *x = &b->items[i];
		int64_t middle = x->start_unix_ms + b->width_ms / 2;

		canary[i] = (struct svg_point){middle, rate_of(of_probes ? &x->probe_canary : &x->canary)};
		stable[i] = (struct svg_point){middle, rate_of(of_probes ? &x->probe_stable : &x->stable)};
	}
	format_width(b, of_probes ? "Share of rolloutd's own probes that failed," : "Share of requests that failed,",
		     title, sizeof(title));
	add_shares(s, of_probes ? "probes" : "rates", title, canary, stable, b->n, of_probes ? 0 : max_rate(s), out);
	free(canary);
	free(stable);
}

/* --- experiments --- */

/* The interval of the difference as it would have been known with each bucket's end, by the counts known now. */
static size_t make_intervals(const struct story *s, const struct buckets *b, struct svg_point *found,
			     struct svg_point *width, double *low)
{
	const struct story_experiment *x = &s->experiment;
	struct counts canary = {0}, stable = {0};
	size_t n = 0;

	for (size_t i = 0; i < b->n; i++) {
		const struct bucket *at = &b->items[i];
		struct interval d;

		if (at->start_unix_ms < x->counted_from_unix_ms || at->start_unix_ms >= x->counted_until_unix_ms)
			continue;
		story_add_counts(&canary, &at->canary);
		story_add_counts(&stable, &at->stable);
		interval_of_difference(&canary, &stable, EXPERIMENT_ERROR, &d);
		found[n] = (struct svg_point){at->start_unix_ms + b->width_ms, NAN};
		if (canary.invocations > 0 && stable.invocations > 0)
			found[n].value = trial_difference(&canary, &stable) / 100;
		width[n] = (struct svg_point){at->start_unix_ms + b->width_ms, d.high - d.low};
		low[n++] = d.low;
	}
	return n;
}

/* What of the interval is drawn: at first it is everything, which would leave no room for what it becomes. */
#define SHOWN_OF_LAST 2

static void add_difference(const struct story *s, const struct buckets *b, struct buf *out)
{
	struct svg_point *found = mem_array(b->n + 1, sizeof(*found)), *width = mem_array(b->n + 1, sizeof(*width));
	double *low = mem_array(b->n + 1, sizeof(*low)), top = 0;
	size_t n = make_intervals(s, b, found, width, low);

	if (n > 0)
		top = fmin(1, SHOWN_OF_LAST * fmax(fabs(low[n - 1]), fabs(low[n - 1] + width[n - 1].value)));
	struct svg_chart c = new_chart(s, out, "difference", SVG_DIFFERENCE, top, 250);
	begin_figure(out, "Experiment: how much more of its requests the canary fails");
	add_key(out, "canary", "as counted so far");
	add_key(out, "interval",
		"where it truly is, with 95 % confidence at all times together; off zero, one of them is "
		"better");
	end_legend(out);
	svg_begin(&c, "Difference of the failed shares over time",
		  "The canary's share of failed requests less the stable version's, with the interval that holds it.",
		  "canary less stable; below zero the canary is better");
	svg_steps(&c, "interval", width, low, n,
		  s->experiment.until_unix_ms != 0 ? s->experiment.until_unix_ms : edge_ms(s));
	svg_zero(&c);
	add_moments(s, &c);
	svg_line(&c, "canary", found, n);
	end_figure(&c);
	free(found);
	free(width);
	free(low);
}

/* --- evidence --- */

/* The metric whose evidence is drawn: the first that weighs any. -1: none does. */
static int find_weighed(const struct story *s)
{
	for (size_t i = 0; i < s->n_judgements; i++) {
		const json_t *results = json_object_get(s->judgements[i].detail, "metrics");

		for (size_t m = 0; m < json_array_size(results); m++)
			if (json_is_number(json_object_get(json_array_get(results, m), "evidence")) &&
			    field_int(story_metric(s, m), "false_alarm_ppm") > 0)
				return (int)m;
	}
	return -1;
}

static void add_evidence(const struct story *s, struct buf *out)
{
	int metric = find_weighed(s);

	if (metric < 0)
		return;
	double accepted = log10(1e6 / (double)field_int(story_metric(s, (size_t)metric), "false_alarm_ppm"));
	struct svg_point *points = mem_array(s->n_judgements + 1, sizeof(*points));
	double top = accepted * 1.2;
	char label[64], count[SPAN_TIME_SIZE];

	for (size_t i = 0; i < s->n_judgements; i++) {
		const json_t *result =
		    json_array_get(json_object_get(s->judgements[i].detail, "metrics"), (size_t)metric);
		const json_t *evidence = json_object_get(result, "evidence");
		double beyond =
		    json_number_value(evidence) - json_number_value(json_object_get(result, "evidence_needed"));

		points[i] = (struct svg_point){s->judgements[i].at_unix_ms, NAN};
		if (json_is_number(evidence))
			points[i].value = fmin(9, fmax(0, accepted + beyond / log(10)));
		top = fmax(top, isnan(points[i].value) ? 0 : points[i].value);
	}
	struct svg_chart c = new_chart(s, out, "evidence", SVG_ODDS, top, 250);
	begin_figure(out, "Evidence against the canary");
	add_key(out, "canary", "at most so many rollouts of a canary that is no worse would ever look like this");
	add_key(out, "limit", "where the plan acts");
	end_legend(out);
	svg_begin(&c, "Evidence against the canary over time",
		  "Of how many rollouts of a canary that is no worse one would ever show numbers like these; higher is "
		  "worse.",
		  "higher is worse");
	add_moments(s, &c);
	svg_line(&c, "canary", points, s->n_judgements);
	span_format_count((int64_t)llround(pow(10, accepted)), count);
	snprintf(label, sizeof(label), "the plan acts at 1 of %.30s", count);
	svg_limit(&c, accepted, label);
	end_figure(&c);
	free(points);
}

/* --- durations --- */

static double value_of(const struct story_period *p, size_t index)
{
	const json_t *v = json_array_get(p->values, index);

	return json_is_number(v) ? fmin(VALUE_MAX, fmax(0, json_number_value(v))) : NAN;
}

/* Values of a statistic cannot be put together, so every period is drawn: at most LIMIT_PERIODS of them. */
static void add_durations(const struct story *s, const json_t *metric, size_t number, struct buf *out)
{
	size_t first = (size_t)field_int(metric, "first_value");
	struct svg_point *canary = mem_array(s->n_periods + 1, sizeof(*canary));
	struct svg_point *stable = mem_array(s->n_periods + 1, sizeof(*stable));
	double limit = json_number_value(json_object_get(metric, "max_ms")), top = limit * 1.15;
	char id[32], label[64];

	for (size_t i = 0; i < s->n_periods; i++) {
		int64_t middle = s->periods[i].start_unix_ms + s->period_ms / 2;

		canary[i] = (struct svg_point){middle, value_of(&s->periods[i], first)};
		stable[i] = (struct svg_point){middle, value_of(&s->periods[i], first + 1)};
		top = fmax(top, fmax(isnan(canary[i].value) ? 0 : canary[i].value,
				     isnan(stable[i].value) ? 0 : stable[i].value));
	}
	snprintf(id, sizeof(id), "duration%zu", number);
	struct svg_chart c = new_chart(s, out, id, SVG_MS, top, 230);
	begin_figure(out, field_text(metric, "text"));
	add_version_keys(s, out);
	end_legend(out);
	svg_begin(&c, field_text(metric, "text"), "How long the requests of each version took.", "duration");
	add_moments(s, &c);
	svg_line(&c, "stable", stable, s->n_periods);
	svg_line(&c, "canary", canary, s->n_periods);
	if (limit > 0) {
		snprintf(label, sizeof(label), "limit %g ms", limit);
		svg_limit(&c, limit, label);
	}
	end_figure(&c);
	free(canary);
	free(stable);
}

bool chart_any(const struct story *s)
{
	return s->first_traffic_unix_ms != 0;
}

void chart_add_all(const struct story *s, struct buf *out)
{
	struct buckets b = make_buckets(s);

	add_weights(s, out);
	/* A function that nobody called but rolloutd. */
	if (any_requests(&b) || s->probes.from_unix_ms == 0) {
		add_requests(s, &b, out);
		add_rates(s, &b, false, out);
	}
	if (s->probes.from_unix_ms != 0)
		add_rates(s, &b, true, out);
	if (s->experiment.is && trial_is_known(&s->experiment))
		add_difference(s, &b, out);
	add_evidence(s, out);
	for (size_t i = 0; i < json_array_size(s->metrics); i++)
		if (field_is(json_array_get(s->metrics, i), "kind", "duration"))
			add_durations(s, json_array_get(s->metrics, i), i, out);
	free(b.items);
}
