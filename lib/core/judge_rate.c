/* The plain threshold on the canary's error rate. */
#include <inttypes.h>
#include <stdio.h>

#include "base/macros.h"
#include "base/text.h"
#include "core/judge.h"

/* One window that a threshold is applied to. */
struct window {
	const struct counts *counts;
	const char *name;
};

/* errors / invocations > max_rate, without rounding. Lambda cannot report more errors than invocations in one period,
 * but late data can show it for a while; that is above every rate. */
static bool exceeds(const struct counts *c, const struct spec_metric *m)
{
	if (!c->seen || c->invocations < m->min_invocations)
		return false;
	return (unsigned __int128)c->errors * 1000000u > (unsigned __int128)c->invocations * m->max_rate_ppm;
}

static void explain(const struct judge *j, const struct counts *c, const struct spec_metric *m, const char *where,
		    char *out)
{
	char rate[16], max[16];

	judge_format_rate(c, rate);
	text_format_ppm(m->max_rate_ppm, max);
	(void)snprintf(out, LIMIT_REASON,
		       "the canary failed %" PRIu64 " of %" PRIu64 " requests (%s%s) %s; at most %s is allowed",
		       c->errors, c->invocations, rate, judge_probes_note(j, m), where, max);
}

/* Looks for as many settled periods that exceed the rate as it takes. */
static bool periods_fail(const struct judge *j, const struct spec_metric *m, char *out)
{
	size_t i, settled = judge_settled(j, &i), end = judge_over(j, &i);
	uint32_t failed = 0;

	for (; i < end; i++) {
		const struct sample *s = &j->q->samples->items[i];
		const struct counts c = judge_counted(j, m, i, settled);
		char where[96];

		if (!exceeds(&c, m) || ++failed < m->failure_limit)
			continue;
		judge_format_period(s->start_unix_ms, m->failure_limit, where);
		explain(j, &c, m, where, out);
		return true;
	}
	return false;
}

bool judge_rate(const struct judge *j, const struct spec_metric *m, struct metric_result *ret)
{
	const struct window windows[] = {
	    {&j->tally.step, "at the current weight"},
	    {&j->tally.all, "since the rollout began"},
	};
	char rate[16];

	for (size_t i = 0; i < array_len(windows) && m->failure_limit == 1; i++) {
		if (exceeds(windows[i].counts, m)) {
			explain(j, windows[i].counts, m, windows[i].name, ret->why);
			return true;
		}
	}
	if (periods_fail(j, m, ret->why))
		return true;
	judge_format_rate(&j->tally.step, rate);
	(void)snprintf(ret->why, sizeof(ret->why),
		       "the canary failed %" PRIu64 " of %" PRIu64 " requests (%s%s) at the current weight",
		       j->tally.step.errors, j->tally.step.invocations, rate, judge_probes_note(j, m));
	judge_cover(j, ret);
	if (ret->gap < VERDICT_GAP_NOT_SETTLED)
		judge_minimum(j, m->min_invocations, ret);
	return false;
}
