/*
 * Metrics that have values of their own in each period: throttles, durations, answers of an API, any query. Each
 * settled period is judged by itself; the metric fails when failure_limit of them have failed.
 */
#include <math.h>
#include <stdio.h>

#include "base/text.h"
#include "core/judge.h"

bool judge_series(const struct judge *j, size_t index, struct metric_result *ret)
{
	(void)j;
	(void)index;
	judge_gap(ret, VERDICT_GAP_UNREADABLE, "is not read yet");
	return false;
}
