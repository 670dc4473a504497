#include "core/experiment.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/error.h"
#include "base/text.h"
#include "core/alias.h"
#include "core/judge.h"

#define FINE_BELOW 1e-3 /* shares below this are told to the millionth, those above to the ten-thousandth */

/* Periods that began after the promotion are none of the experiment's; that of the promotion itself is of both. */
static void count(const struct verdict_question *q, struct experiment_result *ret)
{
	struct judge j = {.q = q};
	size_t i, end = judge_settled(&j, &i);

	for (; i < end; i++) {
		const struct sample *s = &q->samples->items[i];

		if (q->promoted_unix_ms != 0 && s->start_unix_ms >= q->promoted_unix_ms)
			break;
		judge_sum_up(&ret->canary, &s->canary);
		judge_sum_up(&ret->stable, &s->stable);
		if (!s->canary.seen && !s->stable.seen)
			continue;
		if (ret->from_unix_ms == 0)
			ret->from_unix_ms = s->start_unix_ms;
		ret->until_unix_ms = s->start_unix_ms + q->analysis->period_ms;
	}
}

/* A share of requests, rounded so that what is said still holds: "0.4%". */
static void format_share(double share, bool up, char out[static 16])
{
	double unit = share < FINE_BELOW ? 1e-6 : 1e-4;
	double units = up ? ceil(share / unit) : floor(share / unit);

	text_format_ppm((uint32_t)(units * unit * 1e6 + 0.5), out);
}

static void tell_winner(struct experiment_result *ret, const char *winner, size_t len)
{
	bool canary = ret->finding == EXPERIMENT_CANARY;
	double least = canary ? -ret->difference.high : ret->difference.low;
	double most = canary ? -ret->difference.low : ret->difference.high;
	char from[16], to[16];

	format_share(least, false, from);
	format_share(most, true, to);
	(void)snprintf(ret->text + len, sizeof(ret->text) - len,
		       "; version %s fails less often, by %s to %s of the requests", winner, from, to);
}

static void tell_open(struct experiment_result *ret, const char *canary, size_t len)
{
	char more[16], less[16];

	format_share(ret->difference.high, true, more);
	format_share(-ret->difference.low, true, less);
	(void)snprintf(
	    ret->text + len, sizeof(ret->text) - len,
	    "; which is better cannot be told: version %s fails at most %s of the requests more, or %s fewer", canary,
	    more, less);
}

void experiment_judge(const struct verdict_question *q, uint64_t stable, uint64_t canary, struct experiment_result *ret)
{
	char canary_name[24], stable_name[24], canary_rate[16], stable_rate[16];
	size_t len;

	*ret = (struct experiment_result){0};
	count(q, ret);
	version_format(canary, canary_name);
	version_format(stable, stable_name);
	judge_format_rate(&ret->canary, canary_rate);
	judge_format_rate(&ret->stable, stable_rate);
	interval_of_difference(&ret->canary, &ret->stable, EXPERIMENT_ERROR, &ret->difference);
	if (ret->canary.invocations == 0 || ret->stable.invocations == 0) {
		(void)snprintf(ret->text, sizeof(ret->text),
			       "nothing can be told, as no requests of version %s were counted",
			       ret->canary.invocations == 0 ? canary_name : stable_name);
		return;
	}
	len = (size_t)snprintf(ret->text, sizeof(ret->text),
			       "version %s failed %" PRIu64 " of %" PRIu64 " requests (%s), version %s %" PRIu64
			       " of %" PRIu64 " (%s)",
			       canary_name, ret->canary.errors, ret->canary.invocations, canary_rate, stable_name,
			       ret->stable.errors, ret->stable.invocations, stable_rate);
	if (ret->difference.high < 0)
		ret->finding = EXPERIMENT_CANARY;
	else if (ret->difference.low > 0)
		ret->finding = EXPERIMENT_STABLE;
	else
		ret->finding = EXPERIMENT_OPEN;
	if (ret->finding == EXPERIMENT_OPEN)
		tell_open(ret, canary_name, len);
	else
		tell_winner(ret, ret->finding == EXPERIMENT_CANARY ? canary_name : stable_name, len);
}

const char *experiment_finding_name(enum experiment_finding f)
{
	static const char *const names[] = {"no-data", "open", "canary", "stable"};

	require(f < array_len(names));
	return names[f];
}
