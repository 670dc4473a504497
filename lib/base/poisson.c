#include "base/poisson.h"

#include <math.h>
#include <stdbool.h>

#define FEW 10

/* Knuth, The Art of Computer Programming 2, 3.4.1: one number for each arrival. */
static uint64_t draw_few(struct prng *p, double mean)
{
	double limit = exp(-mean), product = prng_unit(p);
	uint64_t n = 0;

	while (product > limit) {
		product *= prng_unit(p);
		n++;
	}
	return n;
}

static double log_factorial(double n)
{
	int sign;

	return lgamma_r(n + 1, &sign);
}

/* W. Hörmann, "The transformed rejection method for generating Poisson random variables", 1993: algorithm PTRS. */
static uint64_t draw_many(struct prng *p, double mean)
{
	double b = 0.931 + 2.53 * sqrt(mean), a = -0.059 + 0.02483 * b;
	double inverse_alpha = 1.1239 + 1.1328 / (b - 3.4), accepted = 0.9277 - 3.6224 / (b - 2);

	while (true) {
		double u = prng_unit(p) - 0.5, v = prng_unit(p), us = 0.5 - fabs(u);
		double k = floor((2 * a / us + b) * u + mean + 0.43);

		if (us >= 0.07 && v <= accepted)
			return (uint64_t)k;
		if (k < 0 || (us < 0.013 && v > us))
			continue;
		if (log(v) + log(inverse_alpha) - log(a / (us * us) + b) <= k * log(mean) - mean - log_factorial(k))
			return (uint64_t)k;
	}
}

uint64_t poisson_draw(struct prng *p, double mean)
{
	if (!(mean > 0))
		return 0;
	return mean < FEW ? draw_few(p, mean) : draw_many(p, mean);
}
