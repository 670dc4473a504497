#include "core/interval.h"

#include <math.h>

#include "base/error.h"

#define HALF_LOG_TWO_PI 0.91893853320467274178
#define LOG_PI		1.14472988584940017414
#define SERIES_FROM	16 /* from here on two terms are right to 1e-9 */
#define BISECTIONS	40 /* to 1e-12 */

/* What Stirling's formula for log Gamma(z) lacks, z > 0. */
static double stirling_rest(double z)
{
	int sign;

	if (z >= SERIES_FROM)
		return 1 / (12 * z) - 1 / (360 * z * z * z);
	return lgamma_r(z, &sign) - ((z - 0.5) * log(z) - z + HALF_LOG_TWO_PI);
}

/*
 * Logarithm of the martingale at p. The gamma functions are written by Stirling's formula, so that what grows with the
 * counts cancels before it is computed, and not after.
 */
static double log_martingale(double errors, double n, double p)
{
	double u = errors + 0.5, v = n - errors + 0.5, w = n + 1;
	double head = errors > 0 ? errors * log(u / (w * p)) : 0;
	double tail = errors < n ? (n - errors) * log(v / (w * (1 - p))) : 0;

	return head + tail - 0.5 * log(w) + HALF_LOG_TWO_PI - LOG_PI + stirling_rest(u) + stirling_rest(v) -
	       stirling_rest(w);
}

/* The martingale is convex in p and lowest at the observed share: the last point towards `out` that is allowed. */
static double last_allowed(double errors, double n, double limit, double out)
{
	double in = errors / n;

	for (int i = 0; i < BISECTIONS; i++) {
		double middle = (in + out) / 2;

		if (log_martingale(errors, n, middle) < limit)
			in = middle;
		else
			out = middle;
	}
	return out; /* on the safe side */
}

void interval_of_rate(const struct counts *c, double error, struct interval *ret)
{
	double n = (double)c->invocations;
	double errors = (double)(c->errors < c->invocations ? c->errors : c->invocations);

	require(error > 0 && error < 1);
	*ret = (struct interval){0, 1};
	if (errors > 0)
		ret->low = last_allowed(errors, n, -log(error), 0);
	if (errors < n)
		ret->high = last_allowed(errors, n, -log(error), 1);
}

void interval_of_difference(const struct counts *a, const struct counts *b, double error, struct interval *ret)
{
	struct interval of_a, of_b;

	interval_of_rate(a, error / 2, &of_a);
	interval_of_rate(b, error / 2, &of_b);
	*ret = (struct interval){of_a.low - of_b.high, of_a.high - of_b.low};
}
