#include "plan/checks.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/text.h"
#include "plan/target.h"

void checks_target(const struct record *plan, struct diags *diags)
{
	const struct field *function = &plan->fields[ROOT_FUNCTION];
	const struct field *region = &plan->fields[ROOT_REGION];
	struct target_function f;
	char why[128];
	if (!function->ok || !region->ok || !region->node ||
	    !target_parse_function(function->text, &f, why, sizeof(why)) || f.region_len == 0)
		return;
	if (strlen(region->text) == f.region_len && memcmp(region->text, f.region, f.region_len) == 0)
		return;
	diags_add(diags, DIAG_ERROR, AT_VALUE(region->node),
		  "`region` is %s, but the function's ARN (line %u) is in %.*s; remove one or make them agree",
		  region->text, function->node->line, (int)f.region_len, f.region);
}

int64_t checks_every_ms(const struct record *analysis)
{
	const struct field *every = &analysis->fields[ANALYSIS_EVERY];
	const struct field *period = &analysis->fields[ANALYSIS_PERIOD];
	if (every->node || !period->ok || period->number > every->number)
		return every->number;
	return period->number;
}

/* CloudWatch's own rule for periods. */
static void check_period(const struct field *period, struct diags *diags)
{
	static const int64_t short_ones_s[] = {1, 5, 10, 30};
	char given[32];
	if (!period->ok || period->number % MS_PER_MINUTE == 0)
		return;
	for (size_t i = 0; i < array_len(short_ones_s); i++)
		if (period->number == short_ones_s[i] * MS_PER_SECOND)
			return;
	text_format_duration(period->number, given);
	diags_add(diags, DIAG_ERROR, AT_VALUE(period->node),
		  "`period` is %s; CloudWatch takes 1s, 5s, 10s, 30s and whole minutes", given);
}

/* A judgement looks at all periods of the rollout, of which the last LIMIT_PERIODS are kept. */
static void check_total(const struct record *how, const struct shape *shape, const struct field *period,
			struct diags *diags)
{
	if (!shape->ok || !shape->final_ok || !period->ok)
		return;
	int64_t total = shape_bake_ms(shape);
	if (total <= LIMIT_PERIODS * period->number)
		return;
	const size_t blamed[] = {HOW_STEPS, HOW_STRATEGY, HOW_EXPERIMENT, HOW_FINAL_BAKE};
	const struct node *at = how->node;
	for (size_t i = array_len(blamed); i > 0; i--)
		at = record_has(how, blamed[i - 1]) ? how->fields[blamed[i - 1]].node : at;
	char sum[32], most[32], one[32];
	text_format_duration(total, sum);
	text_format_duration(LIMIT_PERIODS * period->number, most);
	text_format_duration(period->number, one);
	diags_add(diags, DIAG_ERROR, AT_VALUE(at),
		  "the bakes add up to %s; with a period of %s at most %s can be judged (%d periods are kept); shorten "
		  "them, or use a longer `period`",
		  sum, one, most, LIMIT_PERIODS);
}

/* A hold is ended by the next reading, so it must be able to last until then. */
static void check_hold_limit(const struct record *analysis, struct diags *diags)
{
	const struct field *limit = &analysis->fields[ANALYSIS_HOLD_LIMIT];
	const struct field *every = &analysis->fields[ANALYSIS_EVERY];
	if (!limit->ok || !every->ok || limit->number >= checks_every_ms(analysis))
		return;
	const struct node *at = limit->node ? limit->node : every->node;
	char given[32], reads[32];
	text_format_duration(limit->number, given);
	text_format_duration(checks_every_ms(analysis), reads);
	diags_add(
	    diags, DIAG_ERROR, AT_VALUE(at),
	    "`hold_limit` is %s, but metrics are read `every` %s, so it would be reached before the next reading; "
	    "make it longer, or `every` shorter",
	    given, reads);
}

static void warn_about_weight(const struct field *weight, struct diags *diags)
{
	if (weight->ok && weight->number % 100 != 0)
		diags_add(
		    diags, DIAG_WARNING, AT_VALUE(weight->node),
		    "`weight` is finer than 1%%; AWS documents weights in hundredths and does not say how it rounds "
		    "others");
}

/* For a step that was written out; a strategy's weights and bakes are all alike. */
static void warn_about_step(const struct record *step, const struct field *period, const struct field *every,
			    struct diags *diags)
{
	const struct field *bake = &step->fields[STEP_BAKE];
	char given[32], other[32];
	warn_about_weight(&step->fields[STEP_WEIGHT], diags);
	if (!bake->ok || !bake->node || bake->number == 0)
		return;
	text_format_duration(bake->number, given);
	if (period->ok && bake->number < period->number) {
		text_format_duration(period->number, other);
		diags_add(diags, DIAG_WARNING, AT_VALUE(bake->node),
			  "`bake` is %s, shorter than the metric period of %s, which it is judged by", given, other);
	} else if (every->ok && every->node && bake->number < every->number) {
		text_format_duration(every->number, other);
		diags_add(diags, DIAG_WARNING, AT_VALUE(bake->node),
			  "`bake` is %s, but metrics are read only `every` %s", given, other);
	}
}

/* The bakes that are written once: a strategy's, and the final one. */
static void warn_about_bake(const struct field *f, int64_t bake_ms, const char *what, const struct field *period,
			    struct diags *diags)
{
	char given[32], other[32];
	if (!f->node || !period->ok || bake_ms == 0 || bake_ms >= period->number)
		return;
	text_format_duration(bake_ms, given);
	text_format_duration(period->number, other);
	diags_add(diags, DIAG_WARNING, AT_VALUE(f->node),
		  "%s %s, shorter than the metric period of %s, which it is judged by", what, given, other);
}

static void warn(const struct record *how, const struct record *analysis, const struct shape *shape,
		 struct diags *diags)
{
	const struct field *steps = &how->fields[HOW_STEPS];
	const struct field *strategy = &how->fields[HOW_STRATEGY];
	const struct record *experiment = how->fields[HOW_EXPERIMENT].items;
	const struct field *final_bake = &how->fields[HOW_FINAL_BAKE];
	const struct field *period = &analysis->fields[ANALYSIS_PERIOD];
	for (size_t i = 0; i < steps->n_items; i++)
		warn_about_step(&steps->items[i], period, &analysis->fields[ANALYSIS_EVERY], diags);
	if (experiment) {
		warn_about_weight(&experiment->fields[EXPERIMENT_WEIGHT], diags);
		if (experiment->fields[EXPERIMENT_FOR].ok)
			warn_about_bake(&experiment->fields[EXPERIMENT_FOR], experiment->fields[EXPERIMENT_FOR].number,
					"`for` is", period, diags);
	}
	if (!steps->node && shape->ok && shape->n_steps > 0)
		warn_about_bake(strategy, shape->steps[0].bake_ms, "this strategy's steps bake for", period, diags);
	if (final_bake->ok)
		warn_about_bake(final_bake, final_bake->number, "`final_bake` is", period, diags);
}

void checks_analysis(const struct record *how, const struct shape *shape, struct diags *diags)
{
	const struct field *f = &how->fields[HOW_ANALYSIS];
	if (!f->items)
		return;
	const struct record *analysis = f->items;
	check_period(&analysis->fields[ANALYSIS_PERIOD], diags);
	check_hold_limit(analysis, diags);
	checks_metrics(how, shape, diags);
	check_total(how, shape, &analysis->fields[ANALYSIS_PERIOD], diags);
	warn(how, analysis, shape, diags);
}
