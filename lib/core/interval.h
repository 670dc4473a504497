/*
 * How large a share can be, by counts that are looked at again and again: a confidence sequence, i.e. an interval that
 * holds at all looks together, however many there are and whenever one stops.
 *
 * If each request fails with chance p, independently of the others, then for any fixed distribution of t the ratio
 *
 *   E[t^x (1 - t)^(n - x)] / (p^x (1 - p)^(n - x))          (x errors in n requests)
 *
 * is a martingale that begins at 1, so the chance that it ever reaches 1/A is at most A (Ville's inequality). The
 * shares for which it has not are the interval. With t drawn from Beta(1/2, 1/2) the mean is
 * B(x + 1/2, n - x + 1/2) / pi.
 *
 * The difference of two shares is held by the difference of their intervals, each with half of the error: neither their
 * weights nor the hour at which either of them serves need be alike. What must not change while they are compared is
 * each one's own share.
 *
 * Sources: H. Robbins, "Statistical methods related to the law of the iterated logarithm", 1970; S. Howard, A. Ramdas,
 * J. McAuliffe, J. Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences", 2021 (the beta-binomial
 * mixture).
 */
#pragma once

#include "core/samples.h"

struct interval {
	double low;
	double high;
};

/* Of the share that fails, within [0, 1]; `error` is the chance that it ever does not hold, 0 < error < 1. Without
 * requests it is [0, 1]. More errors than invocations count as that many. */
void interval_of_rate(const struct counts *c, double error, struct interval *ret);
/* Of the first one's share less the second one's, within [-1, 1]. */
void interval_of_difference(const struct counts *a, const struct counts *b, double error, struct interval *ret);
