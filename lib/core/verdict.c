/*
 * One verdict of all metrics. Everything is computed from all samples each time, since CloudWatch delivers late and
 * corrects: a judgement that keeps running totals would keep the mistakes too.
 */
#include "core/verdict.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "core/judge.h"

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

int64_t verdict_from(int64_t first_traffic_unix_ms, int64_t stable_since_unix_ms, int64_t period_ms)
{
	int64_t clean = verdict_period_end(stable_since_unix_ms, period_ms);

	return clean > first_traffic_unix_ms ? clean : first_traffic_unix_ms;
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
const struct counts *judge_canary(const struct judge *j, const struct sample *s)
{
	const struct verdict_question *q = j->q;

	if (j->promotion.after.seen && s->start_unix_ms == j->promotion.start_unix_ms)
		return &j->promotion.canary;
	if (!s->canary.seen && q->promoted_unix_ms != 0 && s->start_unix_ms >= q->promoted_unix_ms)
		return &s->alias;
	return &s->canary;
}

static uint64_t rest_of(uint64_t whole, uint64_t part, uint64_t other)
{
	uint64_t sum = part + other;

	return whole > sum ? whole - sum : 0;
}

/* Left out is a period in which the canary had no traffic at first, as the stable version's is in none but the alias's
 * counts then; and one in which the stable version's are missing. */
static void find_promotion(struct judge *j)
{
	const struct verdict_question *q = j->q;
	struct promotion *p = &j->promotion;
	size_t at;
	const struct sample *s;

	p->start_unix_ms = verdict_period_start(q->promoted_unix_ms, q->analysis->period_ms);
	at = samples_find(q->samples, p->start_unix_ms);
	if (q->promoted_unix_ms == p->start_unix_ms || q->rollout_from_unix_ms > p->start_unix_ms ||
	    at == q->samples->len)
		return;
	s = &q->samples->items[at];
	if (s->start_unix_ms != p->start_unix_ms || !s->alias.seen || !s->stable.seen)
		return;
	p->after.invocations = rest_of(s->alias.invocations, s->canary.invocations, s->stable.invocations);
	p->after.errors = rest_of(s->alias.errors, s->canary.errors, s->stable.errors);
	p->after.seen = p->after.invocations > 0;
	judge_sum_up(&p->canary, &s->canary);
	judge_sum_up(&p->canary, &p->after);
}

size_t judge_settled(const struct judge *j, size_t *ret_first)
{
	const struct verdict_question *q = j->q;
	int64_t period = q->analysis->period_ms;
	size_t end = samples_find(q->samples, believed_until(q) - period + 1);

	*ret_first = samples_find(q->samples, verdict_period_start(q->rollout_from_unix_ms, period));
	return end;
}

void judge_sum_up(struct counts *sum, const struct counts *c)
{
	if (!c->seen)
		return;
	sum->invocations += c->invocations;
	sum->errors += c->errors;
	sum->seen = true;
}

static void tally_up(struct judge *j)
{
	const struct verdict_question *q = j->q;
	int64_t step_from = verdict_period_start(q->step_from_unix_ms, q->analysis->period_ms);
	struct tally *t = &j->tally;
	size_t i, end = judge_settled(j, &i);

	for (; i < end; i++) {
		const struct sample *s = &q->samples->items[i];

		judge_sum_up(&t->all, judge_canary(j, s));
		judge_sum_up(&t->stable, &s->stable);
		if (s->start_unix_ms >= step_from) {
			judge_sum_up(&t->step, judge_canary(j, s));
			judge_sum_up(&t->stable_step, &s->stable);
		}
	}
}

void judge_format_time(int64_t unix_ms, char out[static 32])
{
	text_format_utc(unix_ms, out);
	out[19] = 'Z';
	out[20] = '\0';
}

void judge_format_period(int64_t start_unix_ms, uint32_t failure_limit, char out[static 96])
{
	char time[32], tail[40] = "";

	judge_format_time(start_unix_ms, time);
	if (failure_limit > 1)
		(void)snprintf(tail, sizeof(tail), ", the last of %" PRIu32 " that failed", failure_limit);
	(void)snprintf(out, 96, "in the period from %s%s", time, tail);
}

void judge_format_rate(const struct counts *c, char out[static 16])
{
	uint32_t ppm = 0;

	if (c->invocations > 0)
		ppm = c->errors >= c->invocations ? 1000000u
						  : (uint32_t)((double)c->errors * 1e6 / (double)c->invocations + 0.5);
	if (ppm >= 1000)
		ppm = (ppm + 50) / 100 * 100;
	text_format_ppm(ppm, out);
}

void judge_gap(struct metric_result *ret, enum verdict_gap gap, const char *why)
{
	if (gap <= ret->gap)
		return;
	ret->gap = gap;
	(void)text_copy(ret->why, sizeof(ret->why), why);
}

void judge_minimum(const struct judge *j, uint64_t need, struct metric_result *ret)
{
	const struct counts *have = &j->tally.step;
	char why[LIMIT_REASON];

	if (!have->seen || have->invocations == 0) {
		judge_gap(ret, VERDICT_GAP_NO_DATA, "CloudWatch has no requests of the canary at the current weight");
		return;
	}
	if (have->invocations >= need)
		return;
	(void)snprintf(why, sizeof(why),
		       "the canary has served %" PRIu64 " of the %" PRIu64 " requests needed at the current weight",
		       have->invocations, need);
	judge_gap(ret, VERDICT_GAP_FEW, why);
}

void judge_cover(const struct judge *j, struct metric_result *ret)
{
	judge_cover_until(j, j->q->step_until_unix_ms, "this weight's bake", ret);
}

void judge_cover_until(const struct judge *j, int64_t until_unix_ms, const char *what, struct metric_result *ret)
{
	const struct verdict_question *q = j->q;
	int64_t need = verdict_period_end(until_unix_ms, q->analysis->period_ms);
	int64_t at = verdict_settled_at(until_unix_ms, q->analysis);
	char why[LIMIT_REASON], time[32], have[32];

	if (q->now_unix_ms < at) {
		judge_format_time(at, time);
		(void)snprintf(why, sizeof(why), "waits for the metrics of %s, which settle at %s", what, time);
		judge_gap(ret, VERDICT_GAP_NOT_SETTLED, why);
	} else if (q->read_through_unix_ms < need) {
		judge_format_time(need, time);
		judge_format_time(q->read_through_unix_ms, have);
		(void)snprintf(why, sizeof(why), "CloudWatch could be read up to %s only; %s needs data up to %s", have,
			       what, time);
		judge_gap(ret, VERDICT_GAP_UNREADABLE, why);
	}
}

static bool judge_metric(const struct judge *j, size_t index, struct metric_result *ret)
{
	const struct spec_metric *m = &j->q->analysis->metrics[index];

	switch (m->kind) {
	case SPEC_METRIC_ERRORS:
		return judge_rate(j, m, ret);
	case SPEC_METRIC_COMPARE:
		return judge_compare(j, m, ret);
	case SPEC_METRIC_THROTTLES:
	case SPEC_METRIC_DURATION:
	case SPEC_METRIC_API_5XX:
	case SPEC_METRIC_QUERY:
		return judge_series(j, index, ret);
	case SPEC_METRIC_ALARM:
		break;
	}
	return judge_alarm(j, index, ret);
}

static void decide_by(size_t metric, const struct metric_result *m, struct verdict_result *ret)
{
	ret->metric = metric;
	ret->gap = m->gap;
	(void)text_copy(ret->why, sizeof(ret->why), m->why);
}

/* Judges all of them, and returns the first that fails, or n_metrics. Whatever only runs dry decides nothing. */
static size_t judge_metrics(const struct judge *j, const struct judge *probed, struct verdict_result *ret)
{
	const struct spec_analysis *a = j->q->analysis;
	size_t failed = a->n_metrics;

	for (size_t i = 0; i < a->n_metrics; i++) {
		struct metric_result *m = &ret->metrics[i];
		bool fails = judge_metric(a->metrics[i].count_probes ? probed : j, i, m);

		if (fails)
			m->verdict = VERDICT_FAIL;
		else if (m->gap == VERDICT_GAP_NONE)
			m->verdict = VERDICT_PASS;
		if (fails && !a->metrics[i].dry_run && failed == a->n_metrics)
			failed = i;
	}
	return failed;
}

/* The gap of the metric that lacks most; without one, the sentence of the first metric. False: nothing is watched but
 * what runs dry. */
static bool find_gap(const struct spec_analysis *a, struct verdict_result *ret)
{
	bool found = false;

	for (size_t i = 0; i < a->n_metrics; i++) {
		if (a->metrics[i].dry_run || (found && ret->metrics[i].gap <= ret->gap))
			continue;
		decide_by(i, &ret->metrics[i], ret);
		found = true;
	}
	return found;
}

bool verdict_awaits_data(const struct spec_analysis *a, const struct verdict_result *v)
{
	for (size_t i = 0; i < a->n_metrics; i++) {
		if (!a->metrics[i].dry_run && v->metrics[i].gap == VERDICT_GAP_NOT_SETTLED)
			return true;
	}
	return false;
}

void verdict_judge(const struct verdict_question *q, struct verdict_result *ret)
{
	const struct spec_analysis *a = q->analysis;
	struct metric_result own = {.why = "nothing is watched but what runs dry"};
	struct judge j = {.q = q}, probed;
	const struct judge *own_minimum;
	size_t failed;
	bool watched;

	*ret = (struct verdict_result){0};
	find_promotion(&j);
	tally_up(&j);
	ret->through_unix_ms = believed_until(q);
	ret->canary_step = j.tally.step;
	ret->stable_step = j.tally.stable_step;
	ret->canary_all = j.tally.all;
	ret->stable_all = j.tally.stable;
	probed = j;
	judge_add_probes(&probed);
	ret->probe_canary = probed.tally.probe_canary;
	ret->probe_stable = probed.tally.probe_stable;
	/* What runs dry makes no step shorter. */
	own_minimum = spec_counts_probes(a) ? &probed : &j;
	ret->min_met = own_minimum->tally.step.invocations >= q->step_min_invocations;

	failed = judge_metrics(&j, &probed, ret);
	if (failed < a->n_metrics) {
		decide_by(failed, &ret->metrics[failed], ret);
		ret->verdict = VERDICT_FAIL;
		return;
	}
	watched = find_gap(a, ret);
	if (ret->gap == VERDICT_GAP_NONE && (!watched || !ret->min_met)) {
		judge_cover(&j, &own);
		if (!ret->min_met)
			judge_minimum(own_minimum, q->step_min_invocations, &own);
		decide_by(a->n_metrics, &own, ret);
	}
	if (ret->gap == VERDICT_GAP_NONE)
		ret->verdict = VERDICT_PASS;
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
