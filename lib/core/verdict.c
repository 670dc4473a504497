/*
 * The plain threshold on counts, and alarms. Everything is computed from all samples each time, since CloudWatch
 * delivers late and corrects: a judgement that keeps running totals would keep the mistakes too.
 */
#include "core/verdict.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"

/* What one pass over the settled samples gives. */
struct tally {
	struct counts step;
	struct counts all;
	struct counts stable;
};

/* One window that a threshold is applied to. */
struct window {
	const struct counts *counts;
	const char *name;
};

int64_t verdict_period_start(int64_t unix_ms, int64_t period_ms)
{
	int64_t rest;

	require(period_ms > 0);
	rest = unix_ms % period_ms;
	return unix_ms - (rest < 0 ? rest + period_ms : rest);
}

int64_t verdict_period_end(int64_t until_unix_ms, int64_t period_ms)
{
	int64_t start = verdict_period_start(until_unix_ms, period_ms);

	return start == until_unix_ms ? start : start + period_ms;
}

int64_t verdict_settled_at(int64_t until_unix_ms, const struct spec_analysis *a)
{
	return verdict_period_end(until_unix_ms, a->period_ms) + a->settle_ms;
}

/* Everything before this is read and believed. */
static int64_t believed_until(const struct verdict_question *q)
{
	int64_t settled = verdict_period_start(q->now_unix_ms - q->analysis->settle_ms, q->analysis->period_ms);

	return settled < q->read_through_unix_ms ? settled : q->read_through_unix_ms;
}

/*
 * The canary's counts of one period. Once it has all traffic its own series may not be published any more; from the
 * first whole period on, the alias's series is the canary's.
 */
static const struct counts *canary_counts(const struct verdict_question *q, const struct sample *s)
{
	if (!s->canary.seen && q->promoted_unix_ms != 0 && s->start_unix_ms >= q->promoted_unix_ms)
		return &s->alias;
	return &s->canary;
}

static void counts_add(struct counts *sum, const struct counts *c)
{
	if (!c->seen)
		return;
	sum->invocations += c->invocations;
	sum->errors += c->errors;
	sum->seen = true;
}

static void tally_up(const struct verdict_question *q, struct tally *ret)
{
	int64_t period = q->analysis->period_ms;
	int64_t until = believed_until(q);
	int64_t step_from = verdict_period_start(q->step_from_unix_ms, period);

	*ret = (struct tally){0};
	for (size_t i = samples_find(q->samples, verdict_period_start(q->rollout_from_unix_ms, period));
	     i < q->samples->len; i++) {
		const struct sample *s = &q->samples->items[i];

		if (s->start_unix_ms + period > until)
			break;
		counts_add(&ret->all, canary_counts(q, s));
		counts_add(&ret->stable, &s->stable);
		if (s->start_unix_ms >= step_from)
			counts_add(&ret->step, canary_counts(q, s));
	}
}

/* errors / invocations > max_rate, without rounding. Lambda cannot report more errors than invocations in one period,
 * but late data can show it for a while; that is above every rate. */
static bool exceeds(const struct counts *c, const struct spec_metric *m)
{
	if (!c->seen || c->invocations < m->min_invocations)
		return false;
	return (unsigned __int128)c->errors * 1000000u > (unsigned __int128)c->invocations * m->max_rate_ppm;
}

/* Periods are whole seconds: "2026-11-22T20:03:00Z". */
static void format_time(int64_t unix_ms, char out[static 32])
{
	text_format_utc(unix_ms, out);
	out[19] = 'Z';
	out[20] = '\0';
}

/* For people: two decimals of a percent, four below a tenth of one. */
static void format_rate(const struct counts *c, char out[static 16])
{
	uint32_t ppm = 0;

	if (c->invocations > 0)
		ppm = c->errors >= c->invocations ? 1000000u
						  : (uint32_t)((double)c->errors * 1e6 / (double)c->invocations + 0.5);
	if (ppm >= 1000)
		ppm = (ppm + 50) / 100 * 100;
	text_format_ppm(ppm, out);
}

static void explain_failure(const struct counts *c, const struct spec_metric *m, const char *where, char *out)
{
	char rate[16], max[16];

	format_rate(c, rate);
	text_format_ppm(m->max_rate_ppm, max);
	(void)snprintf(out, LIMIT_REASON,
		       "the canary failed %" PRIu64 " of %" PRIu64 " requests (%s) %s; at most %s is allowed",
		       c->errors, c->invocations, rate, where, max);
}

/* Looks for one settled period that exceeds the rate. */
static bool period_fails(const struct verdict_question *q, const struct spec_metric *m, char *out)
{
	int64_t period = q->analysis->period_ms;
	int64_t until = believed_until(q);

	for (size_t i = samples_find(q->samples, verdict_period_start(q->rollout_from_unix_ms, period));
	     i < q->samples->len; i++) {
		const struct sample *s = &q->samples->items[i];
		const struct counts *c = canary_counts(q, s);
		char time[32], where[64];

		if (s->start_unix_ms + period > until)
			break;
		if (!exceeds(c, m))
			continue;
		format_time(s->start_unix_ms, time);
		(void)snprintf(where, sizeof(where), "in the period from %s", time);
		explain_failure(c, m, where, out);
		return true;
	}
	return false;
}

static bool errors_fail(const struct verdict_question *q, const struct spec_metric *m, const struct tally *t,
			struct verdict_result *ret)
{
	const struct window windows[] = {
	    {&t->step, "at the current weight"},
	    {&t->all, "since the rollout began"},
	};

	for (size_t i = 0; i < array_len(windows); i++) {
		if (exceeds(windows[i].counts, m)) {
			explain_failure(windows[i].counts, m, windows[i].name, ret->why);
			return true;
		}
	}
	return period_fails(q, m, ret->why);
}

/* Records a reason to stay undecided, if it is the strongest so far. */
static void gap_raise(struct verdict_result *ret, enum verdict_gap gap, size_t metric, const char *why)
{
	if (gap <= ret->gap)
		return;
	ret->gap = gap;
	ret->metric = metric;
	(void)text_copy(ret->why, sizeof(ret->why), why);
}

static void need_more(const struct counts *have, uint64_t need, size_t metric, struct verdict_result *ret)
{
	char why[LIMIT_REASON];

	if (!have->seen || have->invocations == 0) {
		gap_raise(ret, VERDICT_GAP_NO_DATA, metric,
			  "CloudWatch has no requests of the canary at the current weight");
		return;
	}
	if (have->invocations >= need)
		return;
	(void)snprintf(why, sizeof(why),
		       "the canary has served %" PRIu64 " of the %" PRIu64 " requests needed at the current weight",
		       have->invocations, need);
	gap_raise(ret, VERDICT_GAP_FEW, metric, why);
}

/* Whether settled, complete data covers the step's bake; otherwise says what is missing. */
static void check_cover(const struct verdict_question *q, size_t metric, struct verdict_result *ret)
{
	int64_t need = verdict_period_end(q->step_until_unix_ms, q->analysis->period_ms);
	int64_t at = verdict_settled_at(q->step_until_unix_ms, q->analysis);
	char why[LIMIT_REASON], time[32], have[32];

	if (q->now_unix_ms < at) {
		format_time(at, time);
		(void)snprintf(why, sizeof(why), "waits for the metrics of this weight's bake, which settle at %s",
			       time);
		gap_raise(ret, VERDICT_GAP_NOT_SETTLED, metric, why);
	} else if (q->read_through_unix_ms < need) {
		format_time(need, time);
		format_time(q->read_through_unix_ms, have);
		(void)snprintf(why, sizeof(why),
			       "CloudWatch could be read up to %s only; this weight's bake needs data up to %s", have,
			       time);
		gap_raise(ret, VERDICT_GAP_UNREADABLE, metric, why);
	}
}

/* An alarm that is in ALARM fails at once; everything else is believed only when it was read after the bake settled. */
static bool alarm_judge(const struct verdict_question *q, size_t index, struct verdict_result *ret)
{
	static const struct {
		enum verdict_gap gap;
		const char *text;
	} states[] = {
	    [ALARM_UNKNOWN] = {VERDICT_GAP_UNREADABLE, "could not be read"},
	    [ALARM_OK] = {VERDICT_GAP_NONE, "is OK"},
	    [ALARM_INSUFFICIENT] = {VERDICT_GAP_NO_DATA, "has INSUFFICIENT_DATA"},
	    [ALARM_ALARM] = {VERDICT_GAP_NONE, "is in state ALARM"},
	    [ALARM_MISSING] = {VERDICT_GAP_UNREADABLE, "does not exist"},
	};
	enum alarm_state state = q->alarms[index];
	int64_t settled = verdict_settled_at(q->step_until_unix_ms, q->analysis);
	enum verdict_gap gap = states[state].gap;
	char why[LIMIT_REASON], time[32];

	(void)snprintf(why, sizeof(why), "the alarm %.160s %s", q->analysis->metrics[index].alarm, states[state].text);
	if (state == ALARM_ALARM) {
		(void)text_copy(ret->why, sizeof(ret->why), why);
		return true;
	}
	if (q->now_unix_ms < settled) {
		format_time(settled, time);
		(void)snprintf(why, sizeof(why),
			       "the alarm %.140s is judged at %s, after this weight's bake has settled",
			       q->analysis->metrics[index].alarm, time);
		gap = VERDICT_GAP_NOT_SETTLED;
	} else if (q->alarms_read_unix_ms < settled) {
		gap = VERDICT_GAP_UNREADABLE;
	}
	gap_raise(ret, gap, index, why);
	return false;
}

static bool metric_judge(const struct verdict_question *q, size_t index, const struct tally *t,
			 struct verdict_result *ret)
{
	const struct spec_metric *m = &q->analysis->metrics[index];

	if (m->kind == SPEC_METRIC_ALARM)
		return alarm_judge(q, index, ret);
	if (errors_fail(q, m, t, ret))
		return true;
	check_cover(q, index, ret);
	if (ret->gap < VERDICT_GAP_NOT_SETTLED)
		need_more(&t->step, m->min_invocations, index, ret);
	return false;
}

static void explain_pass(const struct verdict_question *q, const struct tally *t, struct verdict_result *ret)
{
	char rate[16];

	ret->metric = 0;
	format_rate(&t->step, rate);
	if (t->step.seen)
		(void)snprintf(ret->why, sizeof(ret->why),
			       "the canary failed %" PRIu64 " of %" PRIu64 " requests (%s) at the current weight",
			       t->step.errors, t->step.invocations, rate);
	else
		(void)snprintf(ret->why, sizeof(ret->why), "all %zu alarms are OK", q->analysis->n_metrics);
}

void verdict_judge(const struct verdict_question *q, struct verdict_result *ret)
{
	const struct spec_analysis *a = q->analysis;
	struct tally t;

	*ret = (struct verdict_result){0};
	tally_up(q, &t);
	ret->canary_step = t.step;
	ret->canary_all = t.all;
	ret->stable_all = t.stable;
	ret->min_met = t.step.invocations >= q->step_min_invocations;

	for (size_t i = 0; i < a->n_metrics; i++) {
		if (metric_judge(q, i, &t, ret)) {
			ret->verdict = VERDICT_FAIL;
			ret->gap = VERDICT_GAP_NONE;
			ret->metric = i;
			return;
		}
	}
	if (ret->gap == VERDICT_GAP_NONE && !ret->min_met) {
		check_cover(q, a->n_metrics, ret);
		need_more(&t.step, q->step_min_invocations, a->n_metrics, ret);
	}
	if (ret->gap == VERDICT_GAP_NONE) {
		ret->verdict = VERDICT_PASS;
		explain_pass(q, &t, ret);
	}
}

const char *verdict_name(enum verdict v)
{
	static const char *const names[] = {"undecided", "pass", "fail"};

	require(v < array_len(names));
	return names[v];
}

const char *verdict_gap_name(enum verdict_gap g)
{
	static const char *const names[] = {"none", "not-settled", "few", "no-data", "unreadable"};

	require(g < array_len(names));
	return names[g];
}
