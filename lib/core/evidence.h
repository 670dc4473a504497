/*
 * How strongly counts speak against the canary: an e-process, i.e. a number that stays right however often and whenever
 * it is looked at. If the canary is no worse than the stable version, the chance that it ever reaches 1/A, over a whole
 * rollout, is at most A (Ville's inequality).
 *
 * Under "no worse", given how many requests each version served in a period and how many of them failed altogether, the
 * canary's errors are hypergeometric: which of the requests failed has nothing to do with who served them. Whatever
 * drives the error rate up for both (an outage behind them, the hour of the day) cancels out, since each period is
 * conditioned on its own sum. With odds `w` times as high they are Fisher's noncentral hypergeometric, and the
 * likelihood ratio is w^x / G(w), where x are the canary's errors and G is the hypergeometric's probability generating
 * function. Ratios of successive periods multiply; the alternatives are a mixture over w = min_effect, 2 min_effect,
 * 4 min_effect, …
 *
 * G is summed where the support is narrow. Where it is wide, G is bounded from above, which keeps the promise and costs
 * one logarithm: all zeros of G are real, so the hypergeometric is a sum of m independent Bernoulli variables, m the
 * width of its support, and by the inequality of the means G(w) <= w^lo (1 + (mean - lo) / m (w - 1))^m. For errors
 * that are rare this is the binomial law of the canary's share.
 *
 * All that holds as long as a request is the canary's with the same chance throughout the period. While its share
 * rises, what fails late is more often its own than what fails early: an outage behind both that begins just then
 * would speak against it. Each error is the canary's with at most the new share p, whenever it happens, so w^x is at
 * most (1 + p (w - 1))^m in the mean, for m errors of both. With many early errors that bound is far too high, and
 * the ratio next to nothing: for good, as ratios multiply. So nine parts of the ratio and one part of 1 are taken,
 * which keeps the promise as well. Nothing of it takes more requests than there are errors, so quiet periods need not
 * be put together.
 *
 * Where the stable version serves next to nothing (at 100 %), there is nothing to condition on. The canary's errors are
 * then held against the highest rate that the stable version's own record still allows: an upper confidence bound that
 * fails with chance A / 10, while the evidence is asked to reach 1 / (0.9 A): together still A, as long as the stable
 * version would have behaved as before.
 *
 * Sources: M. Lindon, A. Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022; M. Lindon,
 * D. Ham, M. Tingley, I. Bojinov, "Anytime-valid linear models and regression adjusted causal inference in randomized
 * experiments" and Netflix Technology Blog, "Sequential A/B testing keeps the world streaming" (2024); R. Turner,
 * A. Ly, P. Grünwald, "Generic E-variables for exact sequential k-sample tests" (2022); V. Vatutin, V. Mikhailov,
 * "Limit theorems for the number of empty cells in an equiprobable scheme for group allocation of particles", 1982,
 * and J. Pitman, "Probabilistic bounds on the coefficients of polynomials with only real zeros", 1997, for the zeros;
 * H. Chernoff 1952 for the bound on a rate.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/samples.h"

#define EVIDENCE_EFFECTS 12 /* alternatives: min_effect times 1, 2, 4, … 2048 */

/* Natural logarithms of the likelihood ratios, one for each alternative. */
struct evidence {
	double effect[EVIDENCE_EFFECTS]; /* odds ratios, > 1 */
	double log_effect[EVIDENCE_EFFECTS];
	double log_ratio[EVIDENCE_EFFECTS];
};

void evidence_init(struct evidence *e, double min_effect);
/* One period in which both served. More errors than invocations count as that many. */
void evidence_add(struct evidence *e, const struct counts *canary, const struct counts *stable);
/* One period in which the canary got that share of the requests, 0 < share <= 1, however few there were; `rising`: at
 * its end, after less. */
void evidence_add_share(struct evidence *e, const struct counts *canary, const struct counts *stable, double share,
			bool rising);
/* One period in which the canary served alone; `null_rate` in [0, 1] is the highest rate that counts as no worse. */
void evidence_add_alone(struct evidence *e, const struct counts *canary, double null_rate);
/* Natural logarithm of the e-value: of the mean of all ratios. */
double evidence_log(const struct evidence *e);

/* What the e-value's logarithm must reach for that chance of a false alarm, 0 < false_alarm < 1. */
double evidence_threshold(double false_alarm);
/* Whether a period tells nothing about the canary relative to the stable version: that one served less than a
 * fiftieth. Decided on invocations alone, so that it does not depend on what failed. */
bool evidence_is_alone(const struct counts *canary, const struct counts *stable);
/* The highest rate that is not worse than this record by a factor of min_effect in odds: an upper confidence bound that
 * fails with the part of false_alarm kept for it. 1 without a record. */
double evidence_null_rate(const struct counts *record, double false_alarm, double min_effect);

/* What is assumed when nothing was counted yet. Rates are shares of requests, 0 … 1. */
struct evidence_outlook {
	double stable_rate; /* share of the stable version's requests that fail */
	double canary_rate;
	double null_rate; /* of evidence_null_rate, for a canary that serves alone */
	double false_alarm;
	double min_effect;
};

/* What so many requests would add if they failed just as expected. It grows with their number: half of both, half. */
void evidence_add_expected(struct evidence *e, const struct evidence_outlook *o, double canary, double stable);
/* Logarithm of the e-value that so many requests would give if they failed just as expected. */
double evidence_expected_log(const struct evidence_outlook *o, double canary, double stable);
/* How many requests to both are needed, by that, until the canary is found out, if it gets this share of them,
 * 0 < share <= 1; INFINITY: never. */
double evidence_requests_needed(const struct evidence_outlook *o, double share);
/* The lowest rate of the canary's that so many requests would have shown (o->canary_rate is not read), to a tenth of
 * itself; INFINITY: none, not even if all had failed. */
double evidence_detectable_rate(const struct evidence_outlook *o, double canary, double stable);
