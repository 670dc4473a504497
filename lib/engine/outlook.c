#include "engine/outlook.h"

#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/poisson.h"
#include "core/alias.h"
#include "core/evidence.h"

#define HISTORY_S      10800 /* of the stable version, that a comparison knows of before the first weight */
#define BLOCK_REQUESTS 10    /* a comparison weighs so many at a time */
#define BISECTIONS     40
#define HALF	       0.5
#define LOOK_GROWTH    1.1 /* looks at a threshold are spread so */
#define EXACT_MEAN     700 /* the Poisson law is summed up to there; exp() of more is too small for a double */
#define PATHS	       101
#define RATE_STEP      1.1
#define RATE_MIN       1e-4
#define PPM	       1e6

/* A weight, as long as it will hold. Times are counted from the first one. */
struct segment {
	double share;
	double from_ms, length_ms;
	bool held; /* it ends in hold_limit */
};

struct timeline {
	const struct spec_analysis *analysis;
	const struct outlook_load *load;
	struct segment segments[LIMIT_STEPS + 1];
	size_t n;
};

/* --- how long each weight holds --- */

static bool counts_errors(const struct spec_metric *m)
{
	return !m->dry_run && (m->kind == SPEC_METRIC_ERRORS || m->kind == SPEC_METRIC_COMPARE);
}

bool outlook_counts_errors(const struct rollout_spec *spec)
{
	for (size_t i = 0; i < spec->analysis.n_metrics; i++)
		if (counts_errors(&spec->analysis.metrics[i]))
			return true;
	return false;
}

/* Whether a weight waits until the canary has served as many requests as the metric asks for. */
static bool asks_for_requests(const struct spec_metric *m)
{
	return counts_errors(m) || (m->kind == SPEC_METRIC_DURATION && !m->dry_run);
}

/* How many requests of the canary's a weight waits for. */
static uint64_t needed(const struct spec_analysis *a, uint64_t of_step)
{
	uint64_t most = of_step;

	for (size_t i = 0; i < a->n_metrics && a->no_data != SPEC_NO_DATA_PASS; i++)
		if (asks_for_requests(&a->metrics[i]) && a->metrics[i].min_invocations > most)
			most = a->metrics[i].min_invocations;
	return most;
}

/* From the end of a bake until its last period has ended and settled; the mean. */
static double settling(const struct spec_analysis *a)
{
	return (double)a->period_ms / 2 + (double)a->settle_ms;
}

static void add_segment(struct timeline *t, double share, int64_t bake_ms, uint64_t of_step, bool waits)
{
	const struct spec_analysis *a = t->analysis;
	const struct segment *last = t->n > 0 ? &t->segments[t->n - 1] : NULL;
	struct segment s = {.share = share, .length_ms = (double)bake_ms};
	double per_ms = t->load->rps * share / MS_PER_SECOND;
	double reached_ms = (double)needed(a, of_step) / per_ms;

	s.from_ms = last ? last->from_ms + last->length_ms : 0;
	if (waits) {
		s.held = !(reached_ms - s.length_ms <= (double)a->hold_limit_ms);
		s.length_ms = s.held ? s.length_ms + (double)a->hold_limit_ms : fmax(s.length_ms, reached_ms);
		s.length_ms += settling(a);
	}
	t->segments[t->n++] = s;
}

static void lay_out(const struct rollout_spec *spec, const struct outlook_load *load, struct timeline *t)
{
	*t = (struct timeline){.analysis = &spec->analysis, .load = load};
	for (size_t i = 0; i < spec->n_steps; i++) {
		const struct spec_step *s = &spec->steps[i];
		bool waits =
		    spec->analysis.pace == SPEC_PACE_EVIDENCE || i + 1 == spec->n_steps || s->min_invocations > 0;

		if (t->n > 0 && t->segments[t->n - 1].held)
			return;
		add_segment(t, (double)s->weight_bp / WEIGHT_BP_MAX, s->bake_ms, s->min_invocations, waits);
	}
	if (spec->final_bake_ms > 0 && (t->n == 0 || !t->segments[t->n - 1].held))
		add_segment(t, 1, spec->final_bake_ms, spec->final_min_invocations, true);
}

/* When the data up to there has been judged. */
static double judged_at(const struct timeline *t, double data_ms)
{
	const struct spec_analysis *a = t->analysis;
	double lag = a->every_ms > a->period_ms ? (double)(a->every_ms - a->period_ms) / 2 : 0;

	return data_ms + settling(a) + lag;
}

/* --- the comparison --- */

static double reaches(const struct evidence *sum, const struct evidence *part, double fraction)
{
	struct evidence e = *sum;

	for (size_t i = 0; i < EVIDENCE_EFFECTS; i++)
		e.log_ratio[i] += fraction * part->log_ratio[i];
	return evidence_log(&e);
}

/* The part of the segment after which the evidence is enough: with counts as expected it is convex in time. */
static double crossing(const struct evidence *sum, const struct evidence *part, double need)
{
	double low = 0, high = 1;

	for (int i = 0; i < BISECTIONS; i++) {
		double middle = (low + high) / 2;

		if (reaches(sum, part, middle) < need)
			low = middle;
		else
			high = middle;
	}
	return high;
}

static struct counts expected_counts(double requests, double rate)
{
	return (struct counts){(uint64_t)llround(requests), (uint64_t)llround(requests * rate), true};
}

static double notice_compare(const struct timeline *t, const struct spec_metric *m)
{
	const struct outlook_load *l = t->load;
	double effect = m->min_effect_permille / 1e3, alarm = m->false_alarm_ppm / PPM;
	double need = evidence_threshold(alarm), before = l->rps * HISTORY_S;
	double block_ms = BLOCK_REQUESTS / l->rps * MS_PER_SECOND;
	struct evidence_outlook o = {
	    .stable_rate = l->stable_rate, .canary_rate = l->canary_rate, .false_alarm = alarm, .min_effect = effect};
	struct evidence sum, part;

	evidence_init(&sum, effect);
	for (size_t i = 0; i < t->n; i++) {
		const struct segment *s = &t->segments[i];
		double all = l->rps * s->length_ms / MS_PER_SECOND;
		struct counts record = expected_counts(before, l->stable_rate);

		o.null_rate = evidence_null_rate(&record, alarm, effect);
		evidence_init(&part, effect);
		evidence_add_expected(&part, &o, all * s->share, all * (1 - s->share));
		if (reaches(&sum, &part, 1) >= need)
			return s->from_ms + crossing(&sum, &part, need) * s->length_ms +
			       (block_ms > (double)t->analysis->period_ms ? block_ms / 2 : 0);
		for (size_t k = 0; k < EVIDENCE_EFFECTS; k++)
			sum.log_ratio[k] += part.log_ratio[k];
		before += all * (1 - s->share);
	}
	return INFINITY;
}

/* --- the threshold --- */

/* The chance of more than `most` events when `mean` are expected. */
static double poisson_above(double most, double mean)
{
	double term, sum;

	if (mean > EXACT_MEAN)
		return erfc((most + HALF - mean) / sqrt(2 * mean)) / 2;
	term = sum = exp(-mean);
	for (double k = 1; k <= most && (term > 0 || k < mean); k++) {
		term *= mean / k;
		sum += term;
	}
	return fmax(0, 1 - sum);
}

/* The chance that a window fails in which so many requests are expected. */
static double window_fails(const struct spec_metric *m, double requests, double rate)
{
	double judged = poisson_above((double)m->min_invocations - 1, requests);
	double n = fmax(requests, (double)m->min_invocations);

	return judged * poisson_above(floor(n * m->max_rate_ppm / PPM), n * rate);
}

/*
 * Its windows overlap, and what is seen in one is likely in the next: so some rollouts are drawn, and the median taken.
 * Looks come with each period at first, then further apart.
 */
struct path {
	const struct timeline *timeline;
	const struct spec_metric *metric;
	struct prng prng;
	struct counts all;
	struct counts step;
	uint64_t failed_periods;
};

static bool exceeds(const struct counts *c, const struct spec_metric *m)
{
	return c->invocations >= m->min_invocations &&
	       (double)c->errors * PPM > (double)c->invocations * m->max_rate_ppm;
}

static void add_counts(struct counts *sum, const struct counts *c)
{
	sum->invocations += c->invocations;
	sum->errors += c->errors;
}

static void draw(struct path *p, double requests, struct counts *window)
{
	double rate = p->timeline->load->canary_rate;
	struct counts c = {.errors = poisson_draw(&p->prng, requests * rate)};

	c.invocations = c.errors + poisson_draw(&p->prng, requests * (1 - rate));
	add_counts(window, &c);
	add_counts(&p->all, &c);
	add_counts(&p->step, &c);
}

/* After so many periods more; `one`: the chance that a single one of several fails. */
static bool look(struct path *p, const struct counts *window, double periods, double one)
{
	const struct spec_metric *m = p->metric;

	p->failed_periods += periods > 1 ? poisson_draw(&p->prng, periods * one) : exceeds(window, m);
	if (p->failed_periods >= m->failure_limit)
		return true;
	return m->failure_limit <= 1 && (exceeds(&p->all, m) || exceeds(&p->step, m));
}

/* When it is noticed, counted from the first weight; INFINITY: not. `phase`: how much of the first period is left. */
static double walk(struct path *p, double phase)
{
	const struct timeline *t = p->timeline;
	double period = (double)t->analysis->period_ms, at = 0, looked = 0, next = phase * period;
	struct counts window = {0};

	for (size_t i = 0; i < t->n; i++) {
		const struct segment *s = &t->segments[i];
		double per_ms = t->load->rps * s->share / MS_PER_SECOND;
		double one = window_fails(p->metric, per_ms * period, t->load->canary_rate);
		double end = s->from_ms + s->length_ms;

		p->step = window; /* a weight's window begins with the period in which it landed */
		while (at < end) {
			double until = fmin(next, end);

			draw(p, per_ms * (until - at), &window);
			at = until;
			if (at < next)
				continue;
			if (look(p, &window, (at - looked) / period, one))
				return at;
			window = (struct counts){0};
			looked = at;
			next = fmax(at + period, s->from_ms + (at - s->from_ms) * LOOK_GROWTH);
		}
	}
	return INFINITY;
}

static int later(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double notice_rate(const struct timeline *t, const struct spec_metric *m)
{
	double times[PATHS];
	struct path p = {.timeline = t, .metric = m};

	prng_init(&p.prng, PATHS);
	for (size_t i = 0; i < PATHS; i++) {
		p.all = (struct counts){0};
		p.failed_periods = 0;
		times[i] = walk(&p, (double)(i + 1) / PATHS);
	}
	qsort(times, PATHS, sizeof(times[0]), later);
	return times[PATHS / 2] - (double)t->analysis->period_ms / 2; /* it is a period's end already */
}

/* --- both --- */

static double notice(const struct timeline *t)
{
	double first = INFINITY;

	for (size_t i = 0; i < t->analysis->n_metrics && t->load->rps > 0; i++) {
		const struct spec_metric *m = &t->analysis->metrics[i];

		if (!counts_errors(m))
			continue;
		first = fmin(first, m->kind == SPEC_METRIC_COMPARE ? notice_compare(t, m) : notice_rate(t, m));
	}
	return judged_at(t, first);
}

void outlook_judge(const struct rollout_spec *spec, const struct outlook_load *load, struct outlook *ret)
{
	struct timeline t;
	double at, end = 0;

	lay_out(spec, load, &t);
	at = notice(&t);
	if (t.n > 0)
		end = t.segments[t.n - 1].from_ms + t.segments[t.n - 1].length_ms;
	*ret = (struct outlook){.end = OUTLOOK_UNNOTICED, .after_ms = (int64_t)end};
	if (t.n > 0 && at <= end)
		*ret = (struct outlook){.end = OUTLOOK_NOTICED, .after_ms = (int64_t)at};
	else if (t.n > 0 && t.segments[t.n - 1].held)
		ret->end = OUTLOOK_HELD;
}

/* --- the first weight --- */

static double first_share(const struct rollout_spec *spec)
{
	return spec->n_steps > 0 ? (double)spec->steps[0].weight_bp / WEIGHT_BP_MAX : 1;
}

static double first_total(const struct rollout_spec *spec, double rps)
{
	int64_t bake_ms = spec->n_steps > 0 ? spec->steps[0].bake_ms : spec->final_bake_ms;

	return rps * (double)bake_ms / MS_PER_SECOND;
}

double outlook_first_requests(const struct rollout_spec *spec, double rps)
{
	return first_total(spec, rps) * first_share(spec);
}

static double detectable_compare(const struct spec_metric *m, const struct outlook_load *l, double canary,
				 double stable)
{
	struct counts record = expected_counts(l->rps * HISTORY_S, l->stable_rate);
	struct evidence_outlook o = {.stable_rate = l->stable_rate,
				     .false_alarm = m->false_alarm_ppm / PPM,
				     .min_effect = m->min_effect_permille / 1e3};

	o.null_rate = evidence_null_rate(&record, o.false_alarm, o.min_effect);
	return evidence_detectable_rate(&o, canary, stable);
}

static double detectable_rate(const struct spec_metric *m, double canary)
{
	double rate = RATE_MIN;

	while (rate < 1 && window_fails(m, canary, rate) < HALF)
		rate *= RATE_STEP;
	if (rate < 1)
		return rate;
	return window_fails(m, canary, 1) >= HALF ? 1 : INFINITY;
}

double outlook_first_detectable(const struct rollout_spec *spec, const struct outlook_load *load)
{
	double all = first_total(spec, load->rps), canary = all * first_share(spec), lowest = INFINITY;

	for (size_t i = 0; i < spec->analysis.n_metrics; i++) {
		const struct spec_metric *m = &spec->analysis.metrics[i];

		if (counts_errors(m))
			lowest = fmin(lowest, m->kind == SPEC_METRIC_COMPARE
						  ? detectable_compare(m, load, canary, all - canary)
						  : detectable_rate(m, canary));
	}
	return lowest;
}
