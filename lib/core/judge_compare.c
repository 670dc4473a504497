/* The canary's errors against the stable version's, by the evidence of all periods. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/text.h"
#include "core/alias.h"
#include "core/evidence.h"
#include "core/judge.h"

#define BLOCK_MIN      10
#define ODDS_SHOWN_MAX 1e9
#define LANDING_MS     (3 * MS_PER_SECOND) /* a weight that is asked for takes hold that soon, or was seen that late */

static double false_alarm(const struct spec_metric *m)
{
	return m->false_alarm_ppm / 1e6;
}

static double min_effect(const struct spec_metric *m)
{
	return m->min_effect_permille / 1e3;
}

/*
 * Periods with few requests are put together to blocks that have BLOCK_MIN: one request of the canary's with nothing
 * beside it would tell nothing. Where a block ends depends on requests alone, never on errors, and a block that is not
 * full yet is not weighed: the promise for every look holds for whole blocks.
 *
 * Once the canary has all traffic nothing will ever stand beside it, and each of its requests is held against the
 * record by itself: a period is a block then, however small, or the last few requests of a quiet function would never
 * be weighed. The block before that ends with the promotion, as its share is another one.
 */
struct block {
	struct counts canary;
	struct counts stable;
	bool rising;  /* a weight landed within it */
	size_t first; /* sample */
};

static void sum_up(struct counts *sum, const struct counts *c)
{
	if (!c->seen)
		return;
	sum->invocations += c->invocations;
	sum->errors += c->errors < c->invocations ? c->errors : c->invocations;
}

static bool is_promoted(const struct judge *j, const struct sample *s)
{
	return j->q->promoted_unix_ms != 0 && s->start_unix_ms >= j->q->promoted_unix_ms;
}

/* The weight at a period's end, and whether it landed within that, or so close to it that it may have; 0: it is not
 * known. */
static uint32_t weight_in(const struct judge *j, const struct sample *s, bool *ret_rising)
{
	const struct verdict_question *q = j->q;
	int64_t from = s->start_unix_ms - LANDING_MS, until = s->start_unix_ms + q->analysis->period_ms + LANDING_MS;

	*ret_rising = false;
	for (size_t i = q->n_steps; i-- > 0;) {
		if (q->landed_unix_ms[i] == 0 || q->landed_unix_ms[i] >= until)
			continue;
		*ret_rising = q->landed_unix_ms[i] > from;
		return q->steps[i].weight_bp;
	}
	return 0;
}

/* The canary's counts beside the stable version's: in the period of the promotion, those before it. */
static const struct counts *canary_beside(const struct judge *j, const struct sample *s)
{
	const struct counts *c = judge_canary(j, s);

	return c == &j->promotion.canary ? &s->canary : c;
}

/* Fills the next block from sample *i on, before `end`; of users' requests, or of probes. False: it is not full. */
static bool next_block(const struct judge *j, bool probes, size_t *i, size_t end, struct block *ret)
{
	*ret = (struct block){.first = *i};
	while (*i < end) {
		const struct sample *s = &j->q->samples->items[*i];
		bool alone = !probes && is_promoted(j, s), rising;

		if (alone && ret->canary.invocations + ret->stable.invocations > 0)
			return true;
		(*i)++;
		ret->rising = ret->rising || (weight_in(j, s, &rising) > 0 && rising);
		sum_up(&ret->canary, probes ? &s->probe_canary : canary_beside(j, s));
		sum_up(&ret->stable, probes ? &s->probe_stable : &s->stable);
		if (ret->canary.invocations + ret->stable.invocations >= (alone ? 1 : BLOCK_MIN))
			return true;
	}
	return false;
}

/* What is known of the stable version where it served beside the canary, or before it. */
static struct counts stable_record(const struct judge *j)
{
	struct counts record = j->q->history;
	size_t i, end = judge_settled(j, &i);
	struct block b;

	while (next_block(j, false, &i, end, &b)) {
		if (!evidence_is_alone(&b.canary, &b.stable)) {
			record.invocations += b.stable.invocations;
			record.errors += b.stable.errors;
		}
	}
	return record;
}

/* Whether the canary may have got all traffic within that period, so that the share in it is no step's. */
static bool may_be_promoted(const struct judge *j, const struct sample *s)
{
	const struct verdict_question *q = j->q;

	return q->promoted_unix_ms != 0 && q->promoted_unix_ms < s->start_unix_ms + q->analysis->period_ms + LANDING_MS;
}

/* A block of several weights: each period by the one that it had. */
static void weigh_rising(const struct judge *j, size_t from, size_t end, struct evidence *ret)
{
	for (size_t i = from; i < end; i++) {
		const struct sample *s = &j->q->samples->items[i];
		struct counts canary = {0}, stable = {0};
		bool rising;
		uint32_t weight_bp = weight_in(j, s, &rising);

		sum_up(&canary, canary_beside(j, s));
		sum_up(&stable, &s->stable);
		if (weight_bp > 0 && !may_be_promoted(j, s))
			evidence_add_share(ret, &canary, &stable, (double)weight_bp / WEIGHT_BP_MAX, rising);
		else
			evidence_add(ret, &canary, &stable);
	}
}

static void weigh(const struct judge *j, const struct spec_metric *m, double null_rate, struct evidence *ret)
{
	size_t i, end = judge_settled(j, &i);
	struct counts after = {0};
	struct block b;

	evidence_init(ret, min_effect(m));
	if (end > samples_find(j->q->samples, j->promotion.start_unix_ms))
		sum_up(&after, &j->promotion.after);
	evidence_add_alone(ret, &after, null_rate);
	while (next_block(j, false, &i, end, &b)) {
		if (evidence_is_alone(&b.canary, &b.stable))
			evidence_add_alone(ret, &b.canary, null_rate);
		else if (b.rising)
			weigh_rising(j, b.first, i, ret);
		else
			evidence_add(ret, &b.canary, &b.stable);
	}
}

/* Probes of the canary with none of the stable version beside them are not held against its record, which is of other
 * requests: given their sum they tell nothing. */
static void weigh_probes(const struct judge *j, struct evidence *e)
{
	size_t i, end = judge_over(j, &i);
	struct block b;

	while (next_block(j, true, &i, end, &b))
		evidence_add(e, &b.canary, &b.stable);
}

/* How many rollouts of a canary that is no worse there are for each one that ever looks as bad: "1 of 5400". */
static void format_odds(double log_evidence, double threshold, const struct spec_metric *m, char out[static 32])
{
	double n = exp(fmin(log_evidence - threshold, log(ODDS_SHOWN_MAX))) / false_alarm(m);

	(void)snprintf(out, 32, "1 of %.0f", fmin(n, ODDS_SHOWN_MAX));
}

/* "; at this weight a rate of 4.1% would have shown" */
static void format_power(const struct judge *j, const struct spec_metric *m, double null_rate,
			 const struct counts *record, char *out, size_t size)
{
	const struct tally *t = &j->tally;
	struct evidence_outlook o = {
	    .null_rate = null_rate, .false_alarm = false_alarm(m), .min_effect = min_effect(m)};
	double rate;
	char text[16];

	if (record->invocations > 0)
		o.stable_rate = fmin(1, (double)record->errors / (double)record->invocations);
	rate = evidence_detectable_rate(&o, (double)t->step.invocations, (double)t->stable_step.invocations);
	if (isinf(rate)) {
		(void)snprintf(out, size, "too few at this weight to show even one that always fails");
		return;
	}
	text_format_ppm((uint32_t)(rate >= 1e-3 ? round(rate * 1e4) * 100 : ceil(rate * 1e6)), text);
	(void)snprintf(out, size, "at this weight a rate of %s would have shown", text);
}

static void explain_counts(const struct judge *j, const struct spec_metric *m, char *out, size_t size)
{
	const struct tally *t = &j->tally;
	char canary[16], stable[16];

	judge_format_rate(&t->all, canary);
	judge_format_rate(&t->stable, stable);
	(void)snprintf(out, size,
		       "the canary failed %" PRIu64 " of %" PRIu64 " requests (%s), the stable version %" PRIu64
		       " of %" PRIu64 " (%s%s)",
		       t->all.errors, t->all.invocations, canary, t->stable.errors, t->stable.invocations, stable,
		       judge_probes_note(j, m));
}

bool judge_compare(const struct judge *j, const struct spec_metric *m, struct metric_result *ret)
{
	struct counts record = stable_record(j);
	double null_rate = evidence_null_rate(&record, false_alarm(m), min_effect(m));
	char counts[160], odds[32], accepted[32], power[80];
	struct evidence e;

	weigh(j, m, null_rate, &e);
	if (m->count_probes)
		weigh_probes(j, &e);
	ret->weighed = true;
	ret->evidence = evidence_log(&e);
	ret->evidence_needed = evidence_threshold(false_alarm(m));
	explain_counts(j, m, counts, sizeof(counts));
	format_odds(ret->evidence_needed, ret->evidence_needed, m, accepted);
	if (ret->evidence >= ret->evidence_needed) {
		format_odds(ret->evidence, ret->evidence_needed, m, odds);
		(void)snprintf(
		    ret->why, sizeof(ret->why),
		    "%s; were it no worse, at most %s rollouts would ever look like this (the plan acts at %s)", counts,
		    odds, accepted);
		return true;
	}
	format_power(j, m, null_rate, &record, power, sizeof(power));
	(void)snprintf(ret->why, sizeof(ret->why), "%s; %s", counts, power);
	judge_cover(j, ret);
	if (ret->gap < VERDICT_GAP_NOT_SETTLED)
		judge_minimum(j, m->min_invocations, ret);
	return false;
}
