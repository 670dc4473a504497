#include "core/evidence.h"

#include <math.h>

#include "base/error.h"

#define BOUND_PART   0.1  /* of false_alarm: kept for the bound on the stable version's rate */
#define ALONE_FACTOR 50	  /* the canary serves that many times as much: it is alone */
#define REQUESTS_MAX 1e15 /* as good as never */
#define BISECTIONS   60	  /* halves an interval to nothing that a double can show */
#define EXACT_MAX    16	  /* the widest support that is summed: 2^11 min_effect to that power is far from overflow */
#define SURE_PART    0.1  /* of what is staked on a period in which the share rises: kept back */
#define SHARE_SHOWS  100  /* requests by which it is seen that the share is higher than was asked for */
#define RATE_MIN     1e-7
#define RATE_STEP    1.1
#define RATE_STEPS   170 /* from RATE_MIN past 1 */

/* One period's counts, or what is expected of some: not always whole. */
struct pair {
	double canary;
	double canary_errors;
	double stable;
	double stable_errors;
};

void evidence_init(struct evidence *e, double min_effect)
{
	require(min_effect > 1);
	*e = (struct evidence){0};
	for (int i = 0; i < EVIDENCE_EFFECTS; i++) {
		e->effect[i] = ldexp(min_effect, i);
		e->log_effect[i] = log(e->effect[i]);
	}
}

static double errors_of(const struct counts *c)
{
	return (double)(c->errors < c->invocations ? c->errors : c->invocations);
}

/* The support of the hypergeometric is lo … lo + width. */
static double support(const struct pair *p, double *ret_lo)
{
	double errors = p->canary_errors + p->stable_errors;

	*ret_lo = fmax(0, errors - p->stable);
	return fmin(errors, p->canary) - *ret_lo;
}

static void add_bounded(struct evidence *e, const struct pair *p)
{
	double errors = p->canary_errors + p->stable_errors;
	double lo, width = support(p, &lo);
	double mean = errors * p->canary / (p->canary + p->stable) - lo;

	if (width <= 0)
		return; /* nothing could have come out otherwise */
	for (int i = 0; i < EVIDENCE_EFFECTS; i++)
		e->log_ratio[i] +=
		    (p->canary_errors - lo) * e->log_effect[i] - width * log1p(mean / width * (e->effect[i] - 1));
}

/* The chances of lo, lo + 1, …, lo + width; from one to the next by their quotient. Of counts up to 2^53 each is
 * between 2^-57 and 2^57, so EXACT_MAX of them fit into a double. */
static void fill_chances(const struct pair *p, double lo, int width, double chances[static EXACT_MAX + 1])
{
	double errors = p->canary_errors + p->stable_errors, sum = 1;

	chances[0] = 1;
	for (int k = 0; k < width; k++) {
		double x = lo + k;

		chances[k + 1] =
		    chances[k] * ((p->canary - x) / (x + 1)) * ((errors - x) / (p->stable - errors + x + 1));
		sum += chances[k + 1];
	}
	for (int k = 0; k <= width; k++)
		chances[k] /= sum;
}

/* Whole counts, of a narrow support: what is too small for a double among the chances is too small in the sum. */
static void add_exactly(struct evidence *e, const struct pair *p, double lo, int width)
{
	double chances[EXACT_MAX + 1];

	fill_chances(p, lo, width, chances);
	for (int i = 0; i < EVIDENCE_EFFECTS; i++) {
		double sum = chances[width];

		for (int k = width; k > 0; k--)
			sum = sum * e->effect[i] + chances[k - 1];
		e->log_ratio[i] += (p->canary_errors - lo) * e->log_effect[i] - log(sum);
	}
}

void evidence_add(struct evidence *e, const struct counts *canary, const struct counts *stable)
{
	struct pair p = {
	    .canary = (double)canary->invocations,
	    .canary_errors = errors_of(canary),
	    .stable = (double)stable->invocations,
	    .stable_errors = errors_of(stable),
	};
	double lo, width = support(&p, &lo);

	if (width > 0 && width <= EXACT_MAX)
		add_exactly(e, &p, lo, (int)width);
	else
		add_bounded(e, &p);
}

/* Logarithm of SURE_PART + (1 - SURE_PART) ratio. */
static double log_tempered(double log_ratio)
{
	double x = log_ratio + log1p(-SURE_PART), y = log(SURE_PART);

	return fmax(x, y) + log1p(exp(-fabs(x - y)));
}

void evidence_add_share(struct evidence *e, const struct counts *canary, const struct counts *stable, double share,
			bool rising)
{
	double x = errors_of(canary), errors = x + errors_of(stable);
	double all = (double)canary->invocations + (double)stable->invocations;

	require(share > 0 && share <= 1);
	if (errors == 0)
		return;
	if (all >= SHARE_SHOWS)
		share = fmax(share, (double)canary->invocations / all);
	for (int i = 0; i < EVIDENCE_EFFECTS; i++) {
		double ratio = x * e->log_effect[i] - errors * log1p(share * (e->effect[i] - 1));

		e->log_ratio[i] += rising ? log_tempered(ratio) : ratio;
	}
}

static void add_alone(struct evidence *e, double canary, double errors, double null_rate)
{
	for (int i = 0; i < EVIDENCE_EFFECTS; i++)
		e->log_ratio[i] += errors * e->log_effect[i] - canary * log1p(null_rate * (e->effect[i] - 1));
}

void evidence_add_alone(struct evidence *e, const struct counts *canary, double null_rate)
{
	require(null_rate >= 0 && null_rate <= 1);
	add_alone(e, (double)canary->invocations, errors_of(canary), null_rate);
}

double evidence_log(const struct evidence *e)
{
	double most = e->log_ratio[0], sum = 0;

	for (int i = 1; i < EVIDENCE_EFFECTS; i++)
		most = fmax(most, e->log_ratio[i]);
	for (int i = 0; i < EVIDENCE_EFFECTS; i++)
		sum += exp(e->log_ratio[i] - most);
	return most + log(sum / EVIDENCE_EFFECTS);
}

double evidence_threshold(double false_alarm)
{
	require(false_alarm > 0 && false_alarm < 1);
	return -log((1 - BOUND_PART) * false_alarm);
}

static bool is_alone(double canary, double stable)
{
	return canary > ALONE_FACTOR * stable;
}

bool evidence_is_alone(const struct counts *canary, const struct counts *stable)
{
	return is_alone((double)canary->invocations, (double)stable->invocations);
}

/* Relative entropy of two coins, in nats; 0 <= p <= q, 0 < q <= 1. */
static double divergence(double p, double q)
{
	double head = p > 0 ? p * log(p / q) : 0;
	double tail = p < 1 ? (1 - p) * log((1 - p) / (1 - q)) : 0;

	return head + tail;
}

double evidence_null_rate(const struct counts *record, double false_alarm, double min_effect)
{
	double n = (double)record->invocations;
	double rate, low, high = 1, odds;

	require(false_alarm > 0 && false_alarm < 1 && min_effect > 1);
	if (record->invocations == 0)
		return 1;
	rate = errors_of(record) / n;
	low = rate;
	/* Chernoff: the largest q for which n divergence(rate, q) <= log(1 / part). */
	for (int i = 0; i < BISECTIONS; i++) {
		double middle = (low + high) / 2;

		if (n * divergence(rate, middle) <= -log(BOUND_PART * false_alarm))
			low = middle;
		else
			high = middle;
	}
	if (high >= 1)
		return 1;
	odds = high / (1 - high) * min_effect;
	return odds / (1 + odds);
}

void evidence_add_expected(struct evidence *e, const struct evidence_outlook *o, double canary, double stable)
{
	struct pair p = {
	    .canary = canary,
	    .canary_errors = canary * o->canary_rate,
	    .stable = stable,
	    .stable_errors = stable * o->stable_rate,
	};

	if (is_alone(canary, stable))
		add_alone(e, p.canary, p.canary_errors, o->null_rate);
	else
		add_bounded(e, &p);
}

double evidence_expected_log(const struct evidence_outlook *o, double canary, double stable)
{
	struct evidence e;

	evidence_init(&e, o->min_effect);
	evidence_add_expected(&e, o, canary, stable);
	return evidence_log(&e);
}

double evidence_requests_needed(const struct evidence_outlook *o, double share)
{
	double need = evidence_threshold(o->false_alarm);
	double low = 0, high = 1;

	require(share > 0 && share <= 1);
	/* With counts as expected it falls at first, if at all, and then rises for ever; or it never rises. */
	while (evidence_expected_log(o, share * high, (1 - share) * high) < need) {
		low = high;
		high *= 2;
		if (high > REQUESTS_MAX)
			return INFINITY;
	}
	for (int i = 0; i < BISECTIONS; i++) {
		double middle = (low + high) / 2;

		if (evidence_expected_log(o, share * middle, (1 - share) * middle) < need)
			low = middle;
		else
			high = middle;
	}
	return high;
}

double evidence_detectable_rate(const struct evidence_outlook *o, double canary, double stable)
{
	struct evidence_outlook try = *o;
	double need = evidence_threshold(o->false_alarm);

	for (int i = 0; i <= RATE_STEPS; i++) {
		try.canary_rate = fmin(RATE_MIN * pow(RATE_STEP, i), 1);
		if (try.canary_rate > o->stable_rate && evidence_expected_log(&try, canary, stable) >= need)
			return try.canary_rate;
	}
	return INFINITY;
}
