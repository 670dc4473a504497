/* Many simulated rollouts in a few numbers. */
#include <stdlib.h>

#include "base/error.h"
#include "base/mem.h"
#include "simulate/simulate.h"

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* Nearest rank. */
static int64_t percentile(const int64_t *sorted, size_t n, unsigned percent)
{
	size_t rank = (n * percent + 99) / 100;

	return sorted[rank > 0 ? rank - 1 : 0];
}

static void spread(int64_t *values, size_t n, struct simulate_spread *ret)
{
	*ret = (struct simulate_spread){.n = n};
	if (n == 0)
		return;
	qsort(values, n, sizeof(*values), compare);
	ret->p10 = percentile(values, n, 10);
	ret->p50 = percentile(values, n, 50);
	ret->p90 = percentile(values, n, 90);
}

static bool is_failure(const struct simulate_run *r)
{
	return r->end == SIMULATE_ROLLED_BACK || r->end == SIMULATE_PAUSED;
}

static bool is_success(const struct simulate_run *r)
{
	return r->end == SIMULATE_SUCCEEDED || r->end == SIMULATE_CONCLUDED;
}

static bool is_any(const struct simulate_run *r)
{
	(void)r;
	return true;
}

static int64_t lasted(const struct simulate_run *r)
{
	return r->lasted_ms;
}

static int64_t failed(const struct simulate_run *r)
{
	return (int64_t)r->failed;
}

static void gather(const struct simulate_run *runs, size_t n, bool (*is)(const struct simulate_run *),
		   int64_t (*value)(const struct simulate_run *), struct simulate_spread *ret)
{
	int64_t *values cleanup(mem_free_p) = mem_array(n + 1, sizeof(*values));
	size_t len = 0;

	for (size_t i = 0; i < n; i++)
		if (is(&runs[i]))
			values[len++] = value(&runs[i]);
	spread(values, len, ret);
}

void simulate_summarise(const struct simulate_run *runs, size_t n, struct simulate_summary *ret)
{
	double all = 0, bad = 0;

	*ret = (struct simulate_summary){.runs = n};
	for (size_t i = 0; i < n; i++) {
		ret->ends[runs[i].end]++;
		ret->found[runs[i].found] += is_success(&runs[i]);
		all += (double)runs[i].requests;
		bad += (double)runs[i].failed;
	}
	ret->failed_share = all > 0 ? bad / all : 0;
	gather(runs, n, is_failure, lasted, &ret->back_ms);
	gather(runs, n, is_failure, failed, &ret->back_failed);
	gather(runs, n, is_success, lasted, &ret->through_ms);
	gather(runs, n, is_any, failed, &ret->failed);
}

const char *simulate_end_name(enum simulate_end end)
{
	static const char *const names[SIMULATE_ENDS] = {
	    "succeeded", "concluded", "rolled-back", "paused", "returned", "held", "stuck", "unfinished",
	};

	require(end < SIMULATE_ENDS);
	return names[end];
}
