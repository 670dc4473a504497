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

/* One metric period, or a sum. */
struct period {
	int64_t start_unix_ms;
	bool settled;
	struct counts canary, stable, probe_canary, probe_stable;
};

struct work {
	const struct expect_question *q;
	struct expectation *ret;
	int64_t first_ms; /* start of the first period */
	int64_t step_ms;  /* … of the step's */
	int64_t over_ms;  /* periods before this are over */
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
static struct counts canary_of(struct work *w, int64_t start_unix_ms)
{
	struct counts c = counts_of(w, w->q->canary, start_unix_ms);

	return !c.seen && is_promoted(w, start_unix_ms) ? counts_of(w, 0, start_unix_ms) : c;
}

static struct period read_period(struct work *w, int64_t start_unix_ms)
{
	const struct samples *s = w->q->samples;
	size_t at = samples_find(s, start_unix_ms);
	struct period p = {.start_unix_ms = start_unix_ms};

	p.settled = start_unix_ms + w->q->plan->period_ms <= w->ret->through_unix_ms;
	if (p.settled) {
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
	enum verdict_gap gap = cover(w, w->q->step_until_unix_ms);

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

/* The next block of periods from *at on; false: there is none that is full. */
static bool next_block(struct work *w, bool probes, int64_t *at, struct counts *ret_canary, struct counts *ret_stable)
{
	*ret_canary = *ret_stable = (struct counts){0};
	while (*at < w->over_ms) {
		struct period p = read_period(w, *at);
		struct counts c = probes ? p.probe_canary : p.canary, s = probes ? p.probe_stable : p.stable;

		*at += w->q->plan->period_ms;
		c.errors = c.errors < c.invocations ? c.errors : c.invocations;
		s.errors = s.errors < s.invocations ? s.errors : s.invocations;
		add(ret_canary, &c);
		add(ret_stable, &s);
		if (ret_canary->invocations + ret_stable->invocations >= BLOCK)
			return true;
	}
	return false;
}

static bool is_alone(const struct counts *canary, const struct counts *stable)
{
	return canary->invocations > ALONE * stable->invocations;
}

static double null_rate_of(struct work *w, double false_alarm, double effect)
{
	struct counts record = w->q->history, canary, stable;
	int64_t at = w->first_ms;
	double n, rate, low, high = 1;

	while (next_block(w, false, &at, &canary, &stable)) {
		if (!is_alone(&canary, &stable))
			add(&record, &stable);
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
	struct counts canary, stable;
	struct weighing x = {0};
	int64_t at = w->first_ms;

	for (int i = 0; i < EFFECTS; i++)
		x.effect[i] = ldexp(effect, i);
	while (next_block(w, false, &at, &canary, &stable)) {
		if (is_alone(&canary, &stable))
			weigh_alone(&x, &canary, null_rate);
		else
			weigh(&x, &canary, &stable);
	}
	at = w->first_ms;
	while (probes && next_block(w, true, &at, &canary, &stable))
		weigh(&x, &canary, &stable);
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

static bool value_fails(struct work *w, const struct script_metric *m, int64_t start, bool *ret_known, bool *ret_enough)
{
	struct counts canary = canary_of(w, start);
	double v, beside;

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
			      ? ceil_to(w->q->from_unix_ms + m->warm_up_ms, p->period_ms)
			      : w->first_ms;
	unsigned failed = 0, judged = 0, known = 0;

	for (int64_t at = w->first_ms; at + p->period_ms <= w->ret->through_unix_ms; at += p->period_ms) {
		bool is_known, enough, fails = value_fails(w, m, at, &is_known, &enough);

		if (!is_known || at < warm_ms)
			continue;
		known += at >= w->step_ms;
		judged += at >= w->step_ms && enough;
		failed += enough && fails;
	}
	*ret_gap = cover(w, w->q->step_until_unix_ms);
	if (warm_ms > w->first_ms && warm_ms + p->period_ms > w->q->step_until_unix_ms)
		*ret_gap = worse(*ret_gap, cover(w, warm_ms + p->period_ms));
	if (*ret_gap == VERDICT_GAP_NONE && judged == 0)
		*ret_gap = known == 0 ? VERDICT_GAP_NO_DATA : VERDICT_GAP_FEW;
	return failed >= m->failure_limit;
}

static bool alarm_fails(const struct work *w, size_t index, enum verdict_gap *ret_gap)
{
	const struct script_plan *p = w->q->plan;
	int64_t settled = ceil_to(w->q->step_until_unix_ms, p->period_ms) + p->settle_ms;
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
		ret->gap = cover(w, w->q->step_until_unix_ms);
		if (!ret->min_met)
			ret->gap = worse(ret->gap, minimum(w, w->q->step_min_invocations, script_counts_probes(p)));
	}
	if ((ret->failed & ~ret->dry) != 0)
		ret->verdict = VERDICT_FAIL;
	else if (ret->gap == VERDICT_GAP_NONE)
		ret->verdict = VERDICT_PASS;
}

void expect_judge(const struct expect_question *q, struct expectation *ret)
{
	const struct script_plan *p = q->plan;
	struct work w = {.q = q, .ret = ret};
	int64_t settled = floor_to(q->now_unix_ms - p->settle_ms, p->period_ms);
	uint64_t served;

	*ret = (struct expectation){.certain = true};
	ret->through_unix_ms = settled < q->read_through_unix_ms ? settled : q->read_through_unix_ms;
	w.first_ms = floor_to(q->from_unix_ms, p->period_ms);
	w.step_ms = floor_to(q->step_from_unix_ms, p->period_ms);
	w.over_ms = floor_to(q->now_unix_ms, p->period_ms);
	if (w.over_ms - w.first_ms > PERIODS_MAX * p->period_ms) {
		ret->certain = false; /* the oldest ones are not kept */
		return;
	}
	sum_up(&w);
	served = w.step.invocations + (script_counts_probes(p) ? w.step_probes.invocations : 0);
	ret->min_met = served >= q->step_min_invocations;
	judge_metrics(&w);
}
