/* What is told of an experiment: the split, for how long, what both sides met, how they differ, and what followed. */
#include "trial.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "field.h"
#include "prose.h"
#include "span.h"

#define FINE_BELOW 0.1 /* percent: smaller ones are told to the ten-thousandth, others to the hundredth */

/* Without its sign, in percent of the requests. */
static void format_part(double percent, enum trial_rounding to, char out[static 16])
{
	double unit = fabs(percent) < FINE_BELOW ? 1e-4 : 1e-2, units = percent / unit;

	units = to == TRIAL_UP ? ceil(units - 1e-6) : to == TRIAL_DOWN ? floor(units + 1e-6) : round(units);

	text_format_ppm((uint32_t)llround(fabs(units) * unit * 1e4), out);
}

static void format_side(double percent, enum trial_rounding to, char out[static TRIAL_PART_SIZE])
{
	char part[16];

	format_part(percent, to, part);
	if (strcmp(part, "0%") == 0)
		snprintf(out, TRIAL_PART_SIZE, "none");
	else
		snprintf(out, TRIAL_PART_SIZE, "%s %s", part, percent < 0 ? "less" : "more");
}

bool trial_is_known(const struct story_experiment *x)
{
	return !isnan(x->low) && !isnan(x->high) && x->canary.invocations > 0 && x->stable.invocations > 0;
}

double trial_difference(const struct counts *canary, const struct counts *stable)
{
	return 100 * ((double)canary->errors / (double)canary->invocations -
		      (double)stable->errors / (double)stable->invocations);
}

void trial_format_signed(double percent, enum trial_rounding to, char out[static TRIAL_PART_SIZE])
{
	char part[16];

	format_part(percent, to, part);
	snprintf(out, TRIAL_PART_SIZE, "%s%s", strcmp(part, "0%") == 0 ? "" : percent < 0 ? "−" : "+", part);
}

void trial_format_end(const struct story *s, char *out, size_t size)
{
	const struct story_experiment *x = &s->experiment;
	bool by_hand = strstr(field_text(s->rollout, "reason"), "the experiment is over, by hand") != NULL;
	char at[40];

	prose_format_at(s, x->until_unix_ms, at);
	if (x->concluded && x->until_unix_ms == 0)
		snprintf(out, size, "It is over%s, and all traffic is on its way back to %s", by_hand ? " by hand" : "",
			 s->stable);
	else if (x->concluded)
		snprintf(out, size, "%s all traffic went back to %s at %s",
			 by_hand ? "It was ended by hand, before its time:" : "As planned,", s->stable, at);
	else if (s->promoted_unix_ms != 0 && x->back)
		snprintf(out, size, "An operator sent all traffic on to %s at %s, where the plan meant it to go back",
			 s->canary, at);
	else if (s->promoted_unix_ms != 0)
		snprintf(out, size, "All traffic went on to %s at %s, as the plan meant it to", s->canary, at);
	else if (x->until_unix_ms != 0)
		snprintf(out, size, "It was broken off: at %s all traffic went back to %s", at, s->stable);
	else
		snprintf(out, size, "When its time is over all traffic goes %s %s", x->back ? "back to" : "on to",
			 x->back ? s->stable : s->canary);
}

void trial_format_finding(const struct story *s, char *out, size_t size)
{
	const struct story_experiment *x = &s->experiment;

	if (strcmp(x->finding, "canary") == 0)
		snprintf(out, size, "%s fails less often", s->canary);
	else if (strcmp(x->finding, "stable") == 0)
		snprintf(out, size, "%s fails less often", s->stable);
	else
		snprintf(out, size, "which of them is better cannot be told");
}

static void tell_split(const struct story *s, struct story_chapter *c)
{
	const struct story_experiment *x = &s->experiment;
	char weight[32], span[32], asked[32], from[40], until[40];
	int64_t end = x->until_unix_ms != 0 ? x->until_unix_ms : s->now_unix_ms;

	prose_format_weight(x->weight_bp, weight);
	prose_format_span(x->from_unix_ms, end, span);
	text_format_span(x->asked_ms, asked);
	prose_format_at(s, x->from_unix_ms, from);
	prose_format_at(s, x->until_unix_ms, until);
	struct story_sentence *told = prose_say(
	    c, 0, TONE_PLAIN, "It is an experiment: %s %s %s, beside %s with the rest, for %s (the plan asks for %s).",
	    s->canary, x->until_unix_ms != 0 ? "had" : "has had", weight, s->stable, span, asked);
	if (x->until_unix_ms != 0)
		prose_cite(told, "alias, events of %s and %s", from, until);
	else
		prose_cite(told, "alias, event of %s", from);
}

static void tell_rates(const struct story *s, struct story_chapter *c)
{
	const struct story_experiment *x = &s->experiment;
	char canary[160], stable[160], name[32], from[40], until[40];

	prose_format_counts(&x->canary, canary, sizeof(canary));
	prose_format_counts(&x->stable, stable, sizeof(stable));
	prose_begin(s->canary, name, sizeof(name));
	prose_format_at(s, x->counted_from_unix_ms, from);
	prose_format_at(s, x->counted_until_unix_ms, until);
	struct story_sentence *told = prose_say(c, 0, TONE_PLAIN, "%s served %s; %s served %s.%s", name, canary,
						s->stable, stable, s->probes.event ? " Probes are not in it." : "");
	if (x->counted_from_unix_ms != 0)
		prose_cite(told, "AWS/Lambda Invocations and Errors by ExecutedVersion, settled periods from %s to %s",
			   from, until);
	else
		prose_cite(told, "AWS/Lambda Invocations and Errors by ExecutedVersion");
}

static void tell_difference(const struct story *s, struct story_chapter *c)
{
	const struct story_experiment *x = &s->experiment;
	char part[16], found[64], low[TRIAL_PART_SIZE], high[TRIAL_PART_SIZE], finding[96], name[32];

	if (!trial_is_known(x)) {
		prose_say(c, 0, TONE_WARN, "So how they differ cannot be told.");
		return;
	}
	double difference = trial_difference(&x->canary, &x->stable);
	format_part(difference, TRIAL_NEAREST, part);
	if (strcmp(part, "0%") == 0)
		snprintf(found, sizeof(found), "the same share of the requests as");
	else
		snprintf(found, sizeof(found), "%s of the requests %s than", part, difference < 0 ? "less" : "more");
	prose_begin(s->canary, name, sizeof(name));
	format_side(x->low, TRIAL_DOWN, low);
	format_side(x->high, TRIAL_UP, high);
	trial_format_finding(s, finding, sizeof(finding));
	prose_cite(
	    prose_say(c, 0, TONE_PLAIN,
		      "%s failed %s %s, as counted. With 95%% confidence, however often and whenever one looked, "
		      "the true difference is between %s and %s: %s.",
		      name, found, s->stable, low, high, finding),
	    "of these counts: an interval that holds at all looks together");
}

void trial_tell(const struct story *s, struct story_chapter *c)
{
	char end[256];

	if (!s->experiment.is || s->experiment.from_unix_ms == 0)
		return;
	tell_split(s, c);
	tell_rates(s, c);
	tell_difference(s, c);
	trial_format_end(s, end, sizeof(end));
	struct story_sentence *told = prose_say(c, 0, s->experiment.concluded ? TONE_GOOD : TONE_PLAIN, "%s.", end);
	if (s->experiment.until_unix_ms != 0) {
		prose_format_at(s, s->experiment.until_unix_ms, end);
		prose_cite(told, "alias, event of %.40s", end);
	} else {
		prose_cite(told, "plan %.12s", field_text(s->rollout, "plan_hash"));
	}
}
