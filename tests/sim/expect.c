/* See expect.h. */
#include "tests/sim/expect.h"

#include <math.h>

#include "base/clock.h"

#define BLOCK	    10
#define EFFECTS	    12
#define WIDTH_MAX   16 /* of a hypergeometric that is summed; wider ones are bounded */
#define ALONE	    50
#define BOUND_PART  0.1
#define HALVINGS    60
#define PERIODS_MAX 21000
#define LANDING_MS  3000
#define SURE_PART   0.1 /* of what is staked while the share rises: kept back */
#define SHARE_SHOWS 100 /* requests */

/* One metric period, or a sum. */
struct period {
	int64_t start_unix_ms;
	bool settled;
	struct counts canary, stable, probe_canary, probe_stable;
	struct counts beside; /* the canary's, before it got all traffic */
};

/* Periods that are weighed together. */
struct block {
	struct counts canary, stable;
	int64_t first_ms;
	bool rising; /* a weight landed within it */
};

struct work {
	const struct expect_question *q;
	struct expectation *ret;
	int64_t from_ms;      /* since when what the canary does is its own doing */
	int64_t until_ms;     /* end of the step's bake */
	int64_t promotion_ms; /* start of the period in which it got all traffic, if its parts can be told apart */
	struct counts after;  /* … and what it served after that; not seen: nothing, or nobody knows */
	int64_t first_ms;     /* start of the first period */
	int64_t step_ms;      /* … of the step's */
	int64_t over_ms;      /* periods before this are over */
	struct counts step, step_probes, probes;
};

static int64_t floor_to(int64_t t, int64_t unit)
{
	return t / unit * unit;
}

static int64_t ceil_to(int64_t t, int64_t unit)
{
	return floor_to(t + unit - 1, unit);
}

static void add(struct counts *sum, const struct counts *c)
{
	if (!c->seen)
		return;
	sum->seen = true;
	sum->invocations += c->invocations;
	sum->errors += c->errors;
}

/* --- what was told --- */

static double told(struct work *w, enum told_metric metric, unsigned version, int64_t start_unix_ms)
{
	const struct script_plan *p = w->q->plan;
	const struct evidence_window at = {p->alias, version, p->period_ms, start_unix_ms, 0};
	double v = NAN;

	if (evidence_value(w->q->told, metric, &at, &v) == TOLD_DOUBTFUL)
		w->ret->certain = false;
	return v;
}

static struct counts counts_of(struct work *w, unsigned version, int64_t start_unix_ms)
{
	double n = told(w, TOLD_INVOCATIONS, version, start_unix_ms);
	double errors = told(w, TOLD_ERRORS, version, start_unix_ms);

	if (isnan(n))
		return (struct counts){0};
	return (struct counts){(uint64_t)llround(n), isnan(errors) ? 0 : (uint64_t)llround(errors), true};
}

static bool is_promoted(const struct work *w, int64_t start_unix_ms)
{
	return w->q->promoted_unix_ms != 0 && start_unix_ms >= w->q->promoted_unix_ms;
}

/* With all traffic on it, what the alias has is the canary's. */
static struct counts canary_beside(struct work *w, int64_t start_unix_ms)
{
	struct counts c = counts_of(w, w->q->canary, start_unix_ms);

	return !c.seen && is_promoted(w, start_unix_ms) ? counts_of(w, 0, start_unix_ms) : c;
}

static struct counts canary_of(struct work *w, int64_t start_unix_ms)
{
	struct counts c = canary_beside(w, start_unix_ms);

	if (w->after.seen && start_unix_ms == w->promotion_ms)
		add(&c, &w->after);
	return c;
}

/* In the period in which it got all traffic the canary has what no version has. Where it got its first traffic in it,
 * or nothing was told of the stable version, the alias's counts are of that one as well. */
static void find_after(struct work *w)
{
	int64_t promoted = w->q->promoted_unix_ms, start = floor_to(promoted, w->q->plan->period_ms);
	struct counts alias, canary, stable;
	double errors;

	if (promoted == start || w->from_ms > start)
		return;
	alias = counts_of(w, 0, start);
	stable = counts_of(w, w->q->stable, start);
	canary = counts_of(w, w->q->canary, start);
	errors = told(w, TOLD_ERRORS, w->q->canary, start);
	if (!isnan(errors))
		canary.errors = (uint64_t)llround(errors);
	if (!alias.seen || !stable.seen || alias.invocations <= stable.invocations + canary.invocations)
		return;
	w->promotion_ms = start;
	w->after.seen = true;
	w->after.invocations = alias.invocations - stable.invocations - canary.invocations;
	if (alias.errors > stable.errors + canary.errors)
		w->after.errors = alias.errors - stable.errors - canary.errors;
}

static struct period read_period(struct work *w, int64_t start_unix_ms)
{
	const struct samples *s = w->q->samples;
	size_t at = samples_find(s, start_unix_ms);
	struct period p = {.start_unix_ms = start_unix_ms};

	p.settled = start_unix_ms + w->q->plan->period_ms <= w->ret->through_unix_ms;
	if (p.settled) {
		p.beside = canary_beside(w, start_unix_ms);
		p.canary = canary_of(w, start_unix_ms);
		p.stable = counts_of(w, w->q->stable, start_unix_ms);
	}
	if (at < s->len && s->items[at].start_unix_ms == start_unix_ms) {
		p.probe_canary = s->items[at].probe_canary;
		p.probe_stable = s->items[at].probe_stable;
	}
	return p;
}

static void sum_up(struct work *w)
{
	for (int64_t at = w->first_ms; at < w->over_ms; at += w->q->plan->period_ms) {
		struct period p = read_period(w, at);

		add(&w->ret->canary, &p.canary);
		add(&w->ret->stable, &p.stable);
		add(&w->probes, &p.probe_canary);
		if (at < w->step_ms)
			continue;
		add(&w->step, &p.canary);
		add(&w->step_probes, &p.probe_canary);
	}
}

/* --- what is missing --- */

static enum verdict_gap worse(enum verdict_gap a, enum verdict_gap b)
{
	return a > b ? a : b;
}

static enum verdict_gap cover(const struct work *w, int64_t until_unix_ms)
{
	const struct script_plan *p = w->q->plan;
	int64_t end = ceil_to(until_unix_ms, p->period_ms);

	if (w->q->now_unix_ms < end + p->settle_ms)
		return VERDICT_GAP_NOT_SETTLED;
	return w->q->read_through_unix_ms < end ? VERDICT_GAP_UNREADABLE : VERDICT_GAP_NONE;
}

static enum verdict_gap minimum(const struct work *w, uint64_t need, bool probes)
{
	struct counts c = w->step;

	if (probes)
		add(&c, &w->step_probes);
	if (!c.seen || c.invocations == 0)
		return VERDICT_GAP_NO_DATA;
	return c.invocations < need ? VERDICT_GAP_FEW : VERDICT_GAP_NONE;
}

static enum verdict_gap gap_of_counts(const struct work *w, const struct script_metric *m, bool probes)
{
	enum verdict_gap gap = cover(w, w->until_ms);

	return gap == VERDICT_GAP_NONE ? minimum(w, m->min_invocations, probes) : gap;
}

/* --- errors against a limit --- */

static bool exceeds(const struct script_metric *m, const struct counts *c)
{
	return c->seen && c->invocations >= m->min_invocations &&
	       c->errors * 100 > c->invocations * m->max_rate_percent;
}

static bool rate_fails(struct work *w, const struct script_metric *m, bool probes)
{
	struct counts step = w->step, all = w->ret->canary;
	unsigned failed = 0;

	if (probes) {
		add(&step, &w->step_probes);
		add(&all, &w->probes);
	}
	if (m->failure_limit == 1 && (exceeds(m, &step) || exceeds(m, &all)))
		return true;
	for (int64_t at = w->first_ms; at < w->over_ms; at += w->q->plan->period_ms) {
		struct period p = read_period(w, at);
		struct counts c = p.canary;

		if (probes)
			add(&c, &p.probe_canary);
		failed += exceeds(m, &c);
	}
	return failed >= m->failure_limit;
}

/* --- errors, compared --- */

struct weighing {
	double effect[EFFECTS];
	double ratio[EFFECTS]; /* logarithms */
};

/* G of evidence.h: by the quotient of one term and the next, as an unnormalised sum. */
static double generating(double n1, double n2, double errors, double lo, int width, double effect)
{
	double term = 1, power = 1, sum = 0, all = 0;

	for (int k = 0; k <= width; k++) {
		double x = lo + k;

		sum += term * power;
		all += term;
		power *= effect;
		term *= (n1 - x) * (errors - x) / ((x + 1) * (n2 - errors + x + 1));
	}
	return log(sum / all);
}

static void weigh(struct weighing *w, const struct counts *canary, const struct counts *stable)
{
	double n1 = (double)canary->invocations, n2 = (double)stable->invocations;
	double x = (double)canary->errors, errors = x + (double)stable->errors;
	double lo = fmax(0, errors - n2), width = fmin(errors, n1) - lo;

	for (int i = 0; i < EFFECTS && width > 0; i++) {
		double mean = errors * n1 / (n1 + n2) - lo;
		double g = width <= WIDTH_MAX ? generating(n1, n2, errors, lo, (int)width, w->effect[i])
					      : width * log(1 + mean / width * (w->effect[i] - 1));

		w->ratio[i] += (x - lo) * log(w->effect[i]) - g;
	}
}

static void weigh_alone(struct weighing *w, const struct counts *canary, double null_rate)
{
	for (int i = 0; i < EFFECTS; i++)
		w->ratio[i] += (double)canary->errors * log(w->effect[i]) -
			       (double)canary->invocations * log(1 + null_rate * (w->effect[i] - 1));
}

/* A period's share, when several weights may have held in it: SURE_PART of the stake is kept back while it rises. */
static void weigh_share(struct weighing *w, const struct counts *canary, const struct counts *stable, double share,
			bool rising)
{
	double n1 = (double)canary->invocations, n = n1 + (double)stable->invocations;
	double x = (double)canary->errors, errors = x + (double)stable->errors;

	if (errors == 0)
		return;
	if (n >= SHARE_SHOWS)
		share = fmax(share, n1 / n);
	for (int i = 0; i < EFFECTS; i++) {
		double ratio = x * log(w->effect[i]) - errors * log(1 + share * (w->effect[i] - 1));

		/* Beyond what exp() can hold, what is kept back is nothing. */
		if (!rising)
			w->ratio[i] += ratio;
		else if (ratio > 500)
			w->ratio[i] += ratio + log(1 - SURE_PART);
		else
			w->ratio[i] += log(SURE_PART + (1 - SURE_PART) * exp(ratio));
	}
}

/* The weight at a period's end, and whether it landed in it, or close to it; 0: nobody knows. */
static unsigned weight_in(const struct work *w, int64_t start_unix_ms, bool *ret_rising)
{
	const struct script_plan *p = w->q->plan;

	*ret_rising = false;
	for (unsigned i = p->n_steps; i-- > 0;) {
		int64_t landed = w->q->landed_unix_ms[i];

		if (landed == 0 || landed >= start_unix_ms + p->period_ms + LANDING_MS)
			continue;
		*ret_rising = landed > start_unix_ms - LANDING_MS;
		return p->weight_percent[i];
	}
	return 0;
}

static struct counts capped(struct counts c)
{
	c.errors = c.errors < c.invocations ? c.errors : c.invocations;
	return c;
}

/* The next block of periods from *at on; false: there is none that is full. Of periods of which no version's counts
 * were told it is not known here whether the daemon has anything else of them. */
static bool next_block(struct work *w, bool probes, int64_t *at, struct block *ret)
{
	*ret = (struct block){.first_ms = *at};
	while (*at < w->over_ms) {
		struct period p = read_period(w, *at);
		struct counts c = capped(probes ? p.probe_canary : p.beside);
		struct counts s = capped(probes ? p.probe_stable : p.stable);
		bool alone = !probes && p.settled && is_promoted(w, *at), is_told = c.seen || s.seen, rising;

		if (alone && ret->canary.invocations + ret->stable.invocations > 0) {
			if (is_told)
				return true;
			w->ret->certain = false;
		}
		rising = false;
		if (!probes && p.settled && weight_in(w, *at, &rising) > 0 && rising && !is_told)
			w->ret->certain = false;
		*at += w->q->plan->period_ms;
		ret->rising = ret->rising || rising;
		add(&ret->canary, &c);
		add(&ret->stable, &s);
		if (ret->canary.invocations + ret->stable.invocations >= (alone ? 1 : BLOCK))
			return true;
	}
	return false;
}

/* A block of several weights: each period by its own. In that of the promotion nobody knows which part had which. */
static void weigh_rising(struct work *w, struct weighing *x, int64_t from_ms, int64_t until_ms)
{
	int64_t promoted = w->q->promoted_unix_ms;

	for (int64_t at = from_ms; at < until_ms; at += w->q->plan->period_ms) {
		struct period p = read_period(w, at);
		struct counts c = capped(p.beside), s = capped(p.stable);
		bool rising, mixed = promoted != 0 && promoted < at + w->q->plan->period_ms + LANDING_MS;
		unsigned weight = weight_in(w, at, &rising);

		if (weight > 0 && !mixed)
			weigh_share(x, &c, &s, weight / 100.0, rising);
		else
			weigh(x, &c, &s);
	}
}

static bool is_alone(const struct counts *canary, const struct counts *stable)
{
	return canary->invocations > ALONE * stable->invocations;
}

static double null_rate_of(struct work *w, double false_alarm, double effect)
{
	struct counts record = w->q->history;
	int64_t at = w->first_ms;
	double n, rate, low, high = 1;
	struct block b;

	while (next_block(w, false, &at, &b)) {
		if (!is_alone(&b.canary, &b.stable))
			add(&record, &b.stable);
	}
	n = (double)record.invocations;
	if (record.invocations == 0)
		return 1;
	low = rate = (double)(record.errors < record.invocations ? record.errors : record.invocations) / n;
	for (int i = 0; i < HALVINGS; i++) {
		double middle = (low + high) / 2;
		double far = (rate > 0 ? rate * log(rate / middle) : 0) +
			     (rate < 1 ? (1 - rate) * log((1 - rate) / (1 - middle)) : 0);

		if (n * far <= -log(BOUND_PART * false_alarm))
			low = middle;
		else
			high = middle;
	}
	return high >= 1 ? 1 : high * effect / (1 - high + high * effect);
}

static bool compare_fails(struct work *w, const struct script_metric *m, bool probes)
{
	double false_alarm = m->false_alarm_percent / 100.0, effect = m->min_effect_percent / 100.0, sum = 0, most;
	double need = -log((1 - BOUND_PART) * false_alarm), null_rate = null_rate_of(w, false_alarm, effect);
	struct counts after = capped(w->after);
	struct weighing x = {0};
	int64_t at = w->first_ms;
	struct block b;

	for (int i = 0; i < EFFECTS; i++)
		x.effect[i] = ldexp(effect, i);
	if (w->promotion_ms + w->q->plan->period_ms <= w->ret->through_unix_ms)
		weigh_alone(&x, &after, null_rate);
	while (next_block(w, false, &at, &b)) {
		if (is_alone(&b.canary, &b.stable))
			weigh_alone(&x, &b.canary, null_rate);
		else if (b.rising)
			weigh_rising(w, &x, b.first_ms, at);
		else
			weigh(&x, &b.canary, &b.stable);
	}
	at = w->first_ms;
	while (probes && next_block(w, true, &at, &b))
		weigh(&x, &b.canary, &b.stable);
	most = x.ratio[0];
	for (int i = 1; i < EFFECTS; i++)
		most = fmax(most, x.ratio[i]);
	for (int i = 0; i < EFFECTS; i++)
		sum += exp(x.ratio[i] - most);
	w->ret->weighed = true;
	w->ret->evidence = most + log(sum / EFFECTS);
	/* So near to it the last digit decides. */
	if (fabs(w->ret->evidence - need) < 1e-7)
		w->ret->certain = false;
	return w->ret->evidence >= need;
}

/* --- values --- */

/* *ret_lacks: a ratio is all that is asked for, and the stable version's part of it is missing. */
static bool value_fails(struct work *w, const struct script_metric *m, int64_t start, bool *ret_known, bool *ret_enough,
			bool *ret_lacks)
{
	struct counts canary = canary_of(w, start);
	double v, beside;

	*ret_lacks = false;
	switch (m->kind) {
	case SCRIPT_THROTTLES:
		v = told(w, TOLD_THROTTLES, 0, start);
		beside = told(w, TOLD_BESIDE, 0, start);
		beside = v + (isnan(beside) ? 0 : beside);
		*ret_known = !isnan(v);
		*ret_enough = beside >= m->min_invocations;
		return v * 100 > beside * m->max_rate_percent;
	case SCRIPT_DURATION:
		v = told(w, TOLD_DURATION, is_promoted(w, start) ? 0 : w->q->canary, start);
		beside = told(w, TOLD_DURATION, w->q->stable, start);
		*ret_known = !isnan(v);
		*ret_enough = canary.invocations >= m->min_invocations;
		*ret_lacks = m->max_ms == 0 && isnan(beside) && !is_promoted(w, start);
		return (m->max_ms > 0 && v > m->max_ms) ||
		       (m->max_ratio_percent > 0 && v * 100 > beside * m->max_ratio_percent);
	default:
		v = told(w, TOLD_QUERY, 0, start);
		*ret_known = !isnan(v);
		*ret_enough = true;
		return v > (m->expression ? 2 * m->max : m->max);
	}
}

static bool series_fails(struct work *w, const struct script_metric *m, enum verdict_gap *ret_gap)
{
	const struct script_plan *p = w->q->plan;
	int64_t warm_ms = m->kind == SCRIPT_DURATION && m->warm_up_ms > 0
			      ? ceil_to(w->from_ms + m->warm_up_ms, p->period_ms)
			      : w->first_ms;
	unsigned failed = 0, judged = 0, known = 0, lacking = 0;

	for (int64_t at = w->first_ms; at + p->period_ms <= w->ret->through_unix_ms; at += p->period_ms) {
		bool is_known, enough, lacks, fails = value_fails(w, m, at, &is_known, &enough, &lacks);

		if (!is_known || at < warm_ms)
			continue;
		known += at >= w->step_ms;
		lacking += at >= w->step_ms && lacks;
		judged += at >= w->step_ms && enough && !lacks;
		failed += enough && fails;
	}
	*ret_gap = cover(w, w->until_ms);
	if (warm_ms > w->first_ms && warm_ms + p->period_ms > w->until_ms)
		*ret_gap = worse(*ret_gap, cover(w, warm_ms + p->period_ms));
	if (*ret_gap == VERDICT_GAP_NONE && judged == 0)
		*ret_gap = known == lacking ? VERDICT_GAP_NO_DATA : VERDICT_GAP_FEW;
	return failed >= m->failure_limit;
}

static bool alarm_fails(const struct work *w, size_t index, enum verdict_gap *ret_gap)
{
	const struct script_plan *p = w->q->plan;
	int64_t settled = ceil_to(w->until_ms, p->period_ms) + p->settle_ms;
	enum alarm_state state = w->q->alarms[index];

	*ret_gap = VERDICT_GAP_NONE;
	if (state == ALARM_UNKNOWN || state == ALARM_MISSING)
		*ret_gap = VERDICT_GAP_UNREADABLE;
	else if (state == ALARM_INSUFFICIENT)
		*ret_gap = VERDICT_GAP_NO_DATA;
	if (w->q->now_unix_ms < settled)
		*ret_gap = VERDICT_GAP_NOT_SETTLED;
	else if (w->q->alarms_read_unix_ms < settled)
		*ret_gap = VERDICT_GAP_UNREADABLE;
	return state == ALARM_ALARM && (w->q->excused_alarms >> index & 1) == 0;
}

/* --- all of them --- */

static bool metric_fails(struct work *w, size_t index, enum verdict_gap *ret_gap)
{
	const struct script_metric *m = &w->q->plan->metrics[index];
	bool probes = w->q->plan->probe_ms > 0 && !m->ignores_probes;

	if (m->kind == SCRIPT_IN_ALARM)
		return alarm_fails(w, index, ret_gap);
	if (m->kind > SCRIPT_COMPARE)
		return series_fails(w, m, ret_gap);
	*ret_gap = gap_of_counts(w, m, probes);
	return m->kind == SCRIPT_RATE ? rate_fails(w, m, probes) : compare_fails(w, m, probes);
}

static void judge_metrics(struct work *w)
{
	const struct script_plan *p = w->q->plan;
	struct expectation *ret = w->ret;
	bool watched = false;

	for (unsigned i = 0; i < p->n_metrics; i++) {
		enum verdict_gap gap;
		bool fails = metric_fails(w, i, &gap), dry = p->metrics[i].dry_run;

		ret->failed |= (unsigned)fails << i;
		ret->dry |= (unsigned)dry << i;
		if (!dry)
			ret->gap = worse(ret->gap, gap);
		watched = watched || !dry;
	}
	if (ret->gap == VERDICT_GAP_NONE && (!watched || !ret->min_met)) {
		ret->gap = cover(w, w->until_ms);
		if (!ret->min_met)
			ret->gap =
			    worse(ret->gap, minimum(w, w->q->step_min_invocations, script_counts_probes(p, false)));
	}
	if ((ret->failed & ~ret->dry) != 0)
		ret->verdict = VERDICT_FAIL;
	else if (ret->gap == VERDICT_GAP_NONE)
		ret->verdict = VERDICT_PASS;
}

void expect_judge(const struct expect_question *q, struct expectation *ret)
{
	const struct script_plan *p = q->plan;
	struct work w = {.q = q, .ret = ret, .from_ms = q->from_unix_ms, .until_ms = q->step_until_unix_ms};
	int64_t clean = ceil_to(q->stable_since_unix_ms, p->period_ms);
	int64_t settled = floor_to(q->now_unix_ms - p->settle_ms, p->period_ms);
	uint64_t served;

	*ret = (struct expectation){.certain = true};
	ret->through_unix_ms = settled < q->read_through_unix_ms ? settled : q->read_through_unix_ms;
	/* What another rollout did in that period is not this one's doing; a step that is over before waits for the
	 * next. */
	if (clean > w.from_ms) {
		w.from_ms = clean;
		w.until_ms = w.until_ms > clean + p->period_ms ? w.until_ms : clean + p->period_ms;
	}
	w.first_ms = floor_to(w.from_ms, p->period_ms);
	w.step_ms = floor_to(q->step_from_unix_ms, p->period_ms);
	w.over_ms = floor_to(q->now_unix_ms, p->period_ms);
	if (w.over_ms - w.first_ms > PERIODS_MAX * p->period_ms) {
		ret->certain = false; /* the oldest ones are not kept */
		return;
	}
	find_after(&w);
	sum_up(&w);
	served = w.step.invocations + (script_counts_probes(p, false) ? w.step_probes.invocations : 0);
	ret->min_met = served >= q->step_min_invocations;
	judge_metrics(&w);
}
