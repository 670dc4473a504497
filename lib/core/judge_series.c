/*
 * Metrics that have values of their own in each period: throttles, durations, answers of an API, any query. Each
 * settled period is judged by itself; the metric fails when failure_limit of them have failed.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/error.h"
#include "base/text.h"
#include "core/judge.h"

#define COUNT_MAX 9007199254740992.0 /* 2^53 */

/* One metric of that kind. */
struct series {
	const struct judge *j;
	const struct spec_metric *m;
	size_t first; /* of its values */
};

/* What is known of one settled period. */
struct reading {
	int64_t start_unix_ms;
	double value;	 /* of a share its part, a duration in ms, or a query's value */
	double beside;	 /* of a share the whole; the stable version's duration in ms, NAN: not known */
	double requests; /* INFINITY: they do not matter */
	bool known;
};

/* What became of the periods. */
struct outcome {
	uint32_t failed;     /* since the rollout began */
	uint32_t judged;     /* in the step's window, as the next ones are */
	uint32_t known;	     /* with a value, enough requests or not */
	uint32_t beside;     /* of them, without the stable version's, which it would take */
	double most;	     /* requests in any of the others */
	struct reading last; /* the last one judged, or the one that failed it */
};

/* --- one period --- */

/* Throttled requests are no invocations, and where everything is throttled there is none. */
static void read_throttles(const double *v, struct reading *ret)
{
	ret->value = v[0];
	ret->beside = v[0] + (isnan(v[1]) ? 0 : v[1]);
	ret->requests = ret->beside;
	ret->known = !isnan(v[0]);
}

static void read_answers(const double *v, struct reading *ret)
{
	ret->value = v[0];
	ret->beside = v[1];
	ret->requests = v[1];
	ret->known = !isnan(v[0] + v[1]);
}

static void read_duration(const double *v, const struct counts *canary, struct reading *ret)
{
	ret->value = v[0];
	ret->beside = v[1];
	ret->requests = (double)canary->invocations;
	ret->known = !isnan(v[0]);
}

static struct reading read_period(const struct series *x, size_t index)
{
	const struct sample *s = &x->j->q->samples->items[index];
	const double *v;
	struct reading r = {.start_unix_ms = s->start_unix_ms};

	require(x->first + spec_metric_values(x->m) <= x->j->q->samples->n_values);
	v = samples_values(x->j->q->samples, index) + x->first;
	if (x->m->kind == SPEC_METRIC_THROTTLES)
		read_throttles(v, &r);
	else if (x->m->kind == SPEC_METRIC_API_5XX)
		read_answers(v, &r);
	else if (x->m->kind == SPEC_METRIC_DURATION)
		read_duration(v, judge_canary(x->j, s), &r);
	else
		r = (struct reading){s->start_unix_ms, v[0], NAN, INFINITY, !isnan(v[0])};
	return r;
}

/* Without rounding, as far as doubles go; a comparison with NAN is false. */
static bool exceeds_rate(const struct spec_metric *m, const struct reading *r)
{
	return r->value * 1e6 > r->beside * m->max_rate_ppm;
}

static bool exceeds_max(const struct spec_metric *m, const struct reading *r)
{
	return m->max_us > 0 && r->value * 1e3 > m->max_us;
}

static bool exceeds_ratio(const struct spec_metric *m, const struct reading *r)
{
	return m->max_ratio_permille > 0 && r->value * 1e3 > r->beside * m->max_ratio_permille;
}

static bool above_range(const struct spec_metric *m, const struct reading *r)
{
	return m->has_max && r->value > m->max;
}

static bool below_range(const struct spec_metric *m, const struct reading *r)
{
	return m->has_min && r->value < m->min;
}

static bool fails(const struct spec_metric *m, const struct reading *r)
{
	if (m->kind == SPEC_METRIC_DURATION)
		return exceeds_max(m, r) || exceeds_ratio(m, r);
	if (m->kind == SPEC_METRIC_QUERY)
		return above_range(m, r) || below_range(m, r);
	return exceeds_rate(m, r);
}

/* --- all periods --- */

/* When the canary's first time is over: before that, cold starts are what its durations show. */
static int64_t warm_from(const struct series *x)
{
	int64_t from = x->j->q->rollout_from_unix_ms;
	int64_t period = x->j->q->analysis->period_ms;

	if (x->m->warm_up_ms == 0)
		return verdict_period_start(from, period);
	return verdict_period_end(from + x->m->warm_up_ms, period);
}

/* A ratio is all that is asked for, and cannot be formed for want of the stable version's duration, although that
 * version may have served. */
static bool lacks_beside(const struct series *x, const struct reading *r)
{
	int64_t promoted = x->j->q->promoted_unix_ms;
	bool alone = promoted != 0 && r->start_unix_ms >= promoted;

	return x->m->kind == SPEC_METRIC_DURATION && x->m->max_us == 0 && isnan(r->beside) && !alone;
}

/* Returns whether so many periods have failed as it takes; the last of them is ret->last then. */
static bool judge_periods(const struct series *x, struct outcome *ret)
{
	const struct verdict_question *q = x->j->q;
	int64_t step_from = verdict_period_start(q->step_from_unix_ms, q->analysis->period_ms);
	int64_t from = warm_from(x);
	size_t i, end = judge_settled(x->j, &i);

	for (; i < end; i++) {
		struct reading r = read_period(x, i);
		bool in_step = r.start_unix_ms >= step_from;
		bool enough = r.requests >= (double)x->m->min_invocations;

		if (!r.known || r.start_unix_ms < from)
			continue;
		if (in_step) {
			ret->known++;
			if (lacks_beside(x, &r))
				ret->beside++;
			else
				ret->most = fmax(ret->most, r.requests);
		}
		if (!enough)
			continue;
		if (in_step && !lacks_beside(x, &r))
			ret->judged++;
		ret->last = r;
		if (fails(x->m, &r) && ++ret->failed >= x->m->failure_limit)
			return true;
	}
	return false;
}

/* --- sentences --- */

/* "the alias's throttles": what there is no value of. */
static void name_series(const struct spec_metric *m, bool of_stable, char *out, size_t size)
{
	if (m->kind == SPEC_METRIC_THROTTLES)
		(void)snprintf(out, size, "the alias's throttles");
	else if (m->kind == SPEC_METRIC_DURATION)
		(void)snprintf(out, size, "the %s %.16s duration", of_stable ? "stable version's" : "canary's",
			       m->stat);
	else if (m->kind == SPEC_METRIC_API_5XX)
		(void)snprintf(out, size, "the answers of the API %.64s on its stage %.48s", m->api, m->stage);
	else
		(void)snprintf(out, size, "the query %.64s", m->returns);
}

static uint64_t as_count(double v)
{
	return (uint64_t)fmin(fmax(v, 0), COUNT_MAX);
}

static void format_share(const struct reading *r, char out[static 16])
{
	struct counts c = {.errors = as_count(r->value), .invocations = as_count(r->beside)};

	judge_format_rate(&c, out);
}

/* "the alias throttled 12 of 600 requests (2%)" */
static void describe(const struct spec_metric *m, const struct reading *r, char *out, size_t size)
{
	char share[16], beside[48] = "";

	if (m->kind == SPEC_METRIC_THROTTLES) {
		format_share(r, share);
		(void)snprintf(out, size, "the alias throttled %.0f of %.0f requests (%s)", r->value, r->beside, share);
	} else if (m->kind == SPEC_METRIC_DURATION) {
		if (!isnan(r->beside))
			(void)snprintf(beside, sizeof(beside), ", the stable version's %.6g ms", r->beside);
		(void)snprintf(out, size, "the canary's %.16s duration was %.6g ms%s", m->stat, r->value, beside);
	} else if (m->kind == SPEC_METRIC_API_5XX) {
		format_share(r, share);
		(void)snprintf(out, size,
			       "the API %.32s answered %.0f of %.0f requests on its stage %.24s with 5xx (%s)", m->api,
			       r->value, r->beside, m->stage, share);
	} else {
		(void)snprintf(out, size, "the query %.64s was %.6g", m->returns, r->value);
	}
}

/* "at most 1% is allowed": the limit that it broke. */
static void describe_limit(const struct spec_metric *m, const struct reading *r, char *out, size_t size)
{
	char max[16];

	if (m->kind == SPEC_METRIC_DURATION && exceeds_max(m, r)) {
		(void)snprintf(out, size, "at most %.6g ms is allowed", m->max_us / 1e3);
	} else if (m->kind == SPEC_METRIC_DURATION) {
		(void)snprintf(out, size, "at most %.6g times that is allowed", m->max_ratio_permille / 1e3);
	} else if (m->kind == SPEC_METRIC_QUERY && above_range(m, r)) {
		(void)snprintf(out, size, "at most %.6g is allowed", m->max);
	} else if (m->kind == SPEC_METRIC_QUERY) {
		(void)snprintf(out, size, "at least %.6g is asked for", m->min);
	} else {
		text_format_ppm(m->max_rate_ppm, max);
		(void)snprintf(out, size, "at most %s is allowed", max);
	}
}

static void explain_failure(const struct series *x, const struct outcome *o, char *out)
{
	char what[160], period[96], limit[48];

	describe(x->m, &o->last, what, sizeof(what));
	judge_format_period(o->last.start_unix_ms, x->m->failure_limit, period);
	describe_limit(x->m, &o->last, limit, sizeof(limit));
	(void)snprintf(out, LIMIT_REASON, "%s %s; %s", what, period, limit);
}

static void explain_pass(const struct series *x, const struct outcome *o, char *out)
{
	char what[160], time[32], failed[64] = "";

	describe(x->m, &o->last, what, sizeof(what));
	judge_format_time(o->last.start_unix_ms, time);
	if (o->failed > 0)
		(void)snprintf(failed, sizeof(failed), "; %" PRIu32 " of the %" PRIu32 " periods that fail it",
			       o->failed, x->m->failure_limit);
	(void)snprintf(out, LIMIT_REASON, "%s in the period from %s%s", what, time, failed);
}

/* --- the step --- */

/* What is missing before the step can pass. */
static void judge_gaps(const struct series *x, const struct outcome *o, struct metric_result *ret)
{
	const struct verdict_question *q = x->j->q;
	int64_t warm_until = warm_from(x) + q->analysis->period_ms;
	char why[LIMIT_REASON], what[160];

	judge_cover(x->j, ret);
	if (x->m->warm_up_ms > 0 && warm_until > q->step_until_unix_ms)
		judge_cover_until(x->j, warm_until, "the first period after the canary's warm-up", ret);
	if (ret->gap != VERDICT_GAP_NONE || o->judged > 0)
		return;
	name_series(x->m, o->beside > 0 && o->known == o->beside, what, sizeof(what));
	if (o->known == o->beside) {
		(void)snprintf(why, sizeof(why), "CloudWatch has no value of %s at the current weight", what);
		judge_gap(ret, VERDICT_GAP_NO_DATA, why);
	} else {
		(void)snprintf(why, sizeof(why),
			       "at most %.0f requests in a period at the current weight, and it takes %" PRIu64
			       " to judge %s",
			       o->most, x->m->min_invocations, what);
		judge_gap(ret, VERDICT_GAP_FEW, why);
	}
}

bool judge_series(const struct judge *j, size_t index, struct metric_result *ret)
{
	const struct spec_analysis *a = j->q->analysis;
	struct series x = {j, &a->metrics[index], spec_first_value(a, index)};
	struct outcome o = {0};

	if (judge_periods(&x, &o)) {
		explain_failure(&x, &o, ret->why);
		return true;
	}
	if (o.judged > 0)
		explain_pass(&x, &o, ret->why);
	judge_gaps(&x, &o, ret);
	return false;
}
