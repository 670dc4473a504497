/* See forecast.h. */
#include "engine/forecast.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

#define MANY_FAIL 0.5
#define SOME_FAIL 0.01 /* where none do, there is nothing to double */
#define FEW	  3    /* requests of the canary, in the first step: nobody can tell anything by so many */

static void format_rate(double rate, char out[static 16])
{
	uint32_t ppm = (uint32_t)lround(rate * 1e6);

	text_format_ppm(ppm >= 1000 ? (ppm + 50) / 100 * 100 : ppm, out);
}

static void format_traffic(double rps, char out[static 48])
{
	static const struct {
		const char *unit;
		double seconds;
	} units[] = {{"second", 1}, {"minute", 60}, {"hour", 3600}};
	size_t i = 0;
	char number[16];

	while (i + 1 < array_len(units) && rps * units[i].seconds < 1)
		i++;
	(void)snprintf(number, sizeof(number), rps * units[i].seconds < 100 ? "%.2g" : "%.0f", rps * units[i].seconds);
	(void)snprintf(out, 48, "%s request%s %s %s", number, strcmp(number, "1") == 0 ? "" : "s", i == 2 ? "an" : "a",
		       units[i].unit);
}

/* "is noticed after about 12m 10s" */
static void format_outlook(const struct forecast *f, const struct outlook *o, char out[static 96])
{
	char span[32];

	text_format_span(o->after_ms, span);
	switch (o->end) {
	case OUTLOOK_NOTICED:
		(void)snprintf(out, 96, "is noticed after about %s", span);
		break;
	case OUTLOOK_UNNOTICED:
		(void)snprintf(out, 96, "is not noticed before the rollout is over, after about %s", span);
		break;
	case OUTLOOK_HELD:
		(void)snprintf(out, 96, "is not noticed before the rollout %s for want of requests, after %s",
			       f->spec->analysis.on_hold_limit == SPEC_PAUSE ? "pauses" : "goes back", span);
		break;
	}
}

static struct outlook judge(const struct forecast *f, double canary_rate)
{
	struct outlook_load l = {.rps = f->rps, .stable_rate = f->error_rate, .canary_rate = canary_rate};
	struct outlook o;

	outlook_judge(f->spec, &l, &o);
	return o;
}

/* What the first weight shows: "step 1 (5% for 5m) sees about 1 of the canary's requests: …". False: nearly nothing. */
static bool tell_first(const struct forecast *f, char *out, size_t size)
{
	struct outlook_load l = {.rps = f->rps, .stable_rate = f->error_rate};
	double n = outlook_first_requests(f->spec, f->rps), rate = outlook_first_detectable(f->spec, &l);
	char weight[16], span[32], shown[16];

	if (f->spec->n_steps == 0)
		return n >= FEW;
	text_format_bp(f->spec->steps[0].weight_bp, weight);
	text_format_span(f->spec->steps[0].bake_ms, span);
	format_rate(isinf(rate) ? 1 : rate, shown);
	if (n < FEW || isinf(rate))
		(void)snprintf(out, size,
			       "; step 1 (%s for %s) sees about %.2g of the canary's requests: too few to show %s",
			       weight, span, n, n < FEW ? "anything" : "even a canary that fails all of them");
	else
		(void)snprintf(out, size,
			       "; step 1 (%s for %s) sees about %.0f of the canary's requests, by which a rate of %s "
			       "shows",
			       weight, span, n, shown);
	return n >= FEW;
}

/* "that fails 1% of them (twice as many) is noticed after about 6h" */
static void tell_worse(const struct forecast *f, double worse, char out[static 160])
{
	struct outlook o = judge(f, worse);
	char rate[16], after[96];

	format_rate(worse, rate);
	format_outlook(f, &o, after);
	(void)snprintf(out, 160, "that fails %s of them%s %s", rate, f->error_rate > 0 ? " (twice as many)" : "",
		       after);
}

/* "a canary that fails every second request is noticed after about 12m, one that fails 1% of them …" */
static void tell_both(const struct forecast *f, double worse, bool noticed, char out[static 320])
{
	struct outlook many = judge(f, MANY_FAIL);
	char after[96], some[160];

	format_outlook(f, &many, after);
	tell_worse(f, worse, some);
	if (worse >= MANY_FAIL)
		(void)snprintf(out, 320, "a canary %s", some);
	else if (noticed)
		(void)snprintf(out, 320, "a canary that fails every second request %s, one %s", after, some);
	else
		(void)snprintf(out, 320, "even a canary that fails every second request %s", after);
}

const char *forecast_tell(const struct forecast *f, char out[static FORECAST_SIZE])
{
	double worse = f->error_rate > 0 ? fmin(1, 2 * f->error_rate) : SOME_FAIL;
	bool noticed = judge(f, fmax(MANY_FAIL, worse)).end == OUTLOOK_NOTICED;
	struct outlook equal = judge(f, f->error_rate);
	char traffic[48], now[16], both[320], span[32], first[192] = "";
	bool shows = tell_first(f, first, sizeof(first));

	format_traffic(f->rps, traffic);
	format_rate(f->error_rate, now);
	if (equal.end == OUTLOOK_NOTICED) {
		text_format_span(equal.after_ms, span);
		(void)snprintf(
		    out, FORECAST_SIZE,
		    "about %s lately, %s of them failed; more often than not a canary that is no worse fails "
		    "this plan all the same, after about %s",
		    traffic, now, span);
		return "raise `max_rate` well above what the function has now, or `min_invocations`; or compare with "
		       "the "
		       "stable version";
	}
	tell_both(f, worse, noticed, both);
	(void)snprintf(out, FORECAST_SIZE, "about %s lately, %s of them failed; with this plan %s%s", traffic, now,
		       both, first);
	if (noticed && shows)
		return "";
	return "a longer bake, a larger first weight or a `probe` in the analysis gives it more to go by; "
	       "`rolloutctl simulate` shows what helps";
}
