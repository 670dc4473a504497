#include "aws/adaptive.h"

#include <math.h>

#define BETA		0.7
#define SCALE		0.4
#define SMOOTHING	0.8
#define SPAN_S		0.5 /* rates are measured over so long */
#define MEASURED_FACTOR 2.0

static double seconds(int64_t ms)
{
	return (double)ms / 1000.0;
}

void adaptive_init(struct adaptive *a, double measured, int64_t now_ms)
{
	*a = (struct adaptive){
	    .measured = measured, .counted_from_s = floor(seconds(now_ms)), .throttled_s = seconds(now_ms)};
}

static void measure(struct adaptive *a, double now_s)
{
	double span_from_s = floor(now_s / SPAN_S) * SPAN_S;

	a->count++;
	if (span_from_s <= a->counted_from_s)
		return;
	a->measured = a->count / (span_from_s - a->counted_from_s) * SMOOTHING + a->measured * (1 - SMOOTHING);
	a->count = 0;
	a->counted_from_s = span_from_s;
}

static double curve(const struct adaptive *a, double now_s)
{
	double from_plateau_s = now_s - a->throttled_s - a->plateau_s;

	return SCALE * from_plateau_s * from_plateau_s * from_plateau_s + a->max_rate;
}

static double slow_down(struct adaptive *a, double now_s)
{
	a->max_rate = a->slowed && a->rate < a->measured ? a->rate : a->measured;
	a->plateau_s = cbrt(a->max_rate * (1 - BETA) / SCALE);
	a->throttled_s = now_s;
	a->slowed = true;
	return a->max_rate * BETA;
}

void adaptive_answered(struct adaptive *a, int64_t now_ms, bool throttled)
{
	double now_s = seconds(now_ms), rate;

	measure(a, now_s);
	rate = throttled ? slow_down(a, now_s) : curve(a, now_s);
	if (rate > MEASURED_FACTOR * a->measured)
		rate = MEASURED_FACTOR * a->measured;
	a->rate = rate > ADAPTIVE_MIN_RATE ? rate : ADAPTIVE_MIN_RATE;
}

bool adaptive_has_recovered(const struct adaptive *a, int64_t now_ms)
{
	return a->slowed && seconds(now_ms) - a->throttled_s >= ADAPTIVE_QUIET_MS / 1000.0;
}
