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

static const struct field *errors_field(const struct record *m, size_t index)
{
	const struct field *errors = &m->fields[METRIC_ERRORS];
	return errors->node && errors->items ? &errors->items->fields[index] : NULL;
}

/* Each item holds exactly one metric. What an item holds besides was reported by its name already. */
static void check_metric(const struct record *m, struct diags *diags)
{
	const struct field *errors = &m->fields[METRIC_ERRORS];
	const struct field *alarm = &m->fields[METRIC_ALARM];
	if (errors->node && alarm->node)
		diags_add(diags, DIAG_ERROR, AT_VALUE(m->node),
			  "an item of `metrics` holds one metric; put `alarm` into an item of its own");
	else if (!errors->node && !alarm->node && m->node->n_children == 0)
		diags_add(diags, DIAG_ERROR, AT_VALUE(m->node),
			  "an item of `metrics` is empty; write one such as `errors: {max_rate: 1%%}`");
	const struct field *rate = errors_field(m, ERRORS_MAX_RATE);
	if (rate && rate->ok && rate->number == 1000000)
		diags_add(diags, DIAG_ERROR, AT_VALUE(rate->node),
			  "`max_rate` is 100%%, which can never be exceeded; write a lower one");
}

static bool same_errors(const struct record *a, const struct record *b)
{
	for (size_t i = 0; i < ERRORS_KNOWN; i++) {
		const struct field *x = errors_field(a, i);
		const struct field *y = errors_field(b, i);
		if (!x || !y || !x->ok || !y->ok || x->number != y->number)
			return false;
	}
	return true;
}

static bool same_alarm(const struct record *a, const struct record *b)
{
	const struct field *x = &a->fields[METRIC_ALARM];
	const struct field *y = &b->fields[METRIC_ALARM];
	return x->node && y->node && x->ok && y->ok && strcmp(x->text, y->text) == 0;
}

static void check_metrics(const struct field *metrics, struct diags *diags)
{
	for (size_t i = 0; i < metrics->n_items; i++) {
		const struct record *m = &metrics->items[i];
		check_metric(m, diags);
		for (size_t j = 0; j < i; j++) {
			const struct record *other = &metrics->items[j];
			if (!same_errors(m, other) && !same_alarm(m, other))
				continue;
			diags_add(diags, DIAG_ERROR, AT_VALUE(m->node),
				  "this metric is the same as the one in line %u; remove one of them",
				  other->node->line);
			break;
		}
	}
}

static bool watches_errors(const struct field *metrics)
{
	bool found = !metrics->node;
	for (size_t i = 0; i < metrics->n_items; i++)
		found |= record_has(&metrics->items[i], METRIC_ERRORS);
	return found;
}

/* With no step and no final bake, counts are never judged; only alarms are, once, before the start. */
static void check_unwatched(const struct record *how, const struct field *metrics, const struct shape *shape,
			    struct diags *diags)
{
	static const char text[] = "has nothing to judge, since all traffic moves at once and is not watched "
				   "afterwards; add `final_bake`, or remove it";
	const struct field *analysis = &how->fields[HOW_ANALYSIS];
	if (!shape_is_unwatched(shape) || !analysis->node)
		return;
	if (!metrics->node)
		diags_add(diags, DIAG_ERROR, AT_KEY(analysis->node), "`analysis` %s", text);
	for (size_t i = 0; i < metrics->n_items; i++) {
		const struct node *errors = metrics->items[i].fields[METRIC_ERRORS].node;
		if (errors)
			diags_add(diags, DIAG_ERROR, AT_KEY(errors), "`errors` %s", text);
	}
}

/* A judgement looks at all periods of the rollout, of which the last LIMIT_PERIODS are kept. */
static void check_total(const struct record *how, const struct shape *shape, const struct field *period,
			struct diags *diags)
{
	if (!shape->ok || !shape->final_ok || !period->ok)
		return;
	int64_t total = shape->final_bake_ms;
	for (size_t i = 0; i < shape->n_steps; i++)
		total += shape->steps[i].bake_ms;
	if (total <= LIMIT_PERIODS * period->number)
		return;
	const size_t blamed[] = {HOW_STEPS, HOW_STRATEGY, HOW_FINAL_BAKE};
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

static void warn_about_period(const struct field *period, const struct field *metrics, struct diags *diags)
{
	char given[32];
	if (!period->ok || !period->node || period->number >= MS_PER_MINUTE || !watches_errors(metrics))
		return;
	text_format_duration(period->number, given);
	diags_add(
	    diags, DIAG_WARNING, AT_VALUE(period->node),
	    "`period` is %s, but AWS Lambda publishes its metrics once a minute: CloudWatch will have no data for "
	    "`errors`; use 60s",
	    given);
}

/* For a step that was written out; a strategy's weights and bakes are all alike. */
static void warn_about_step(const struct record *step, const struct field *period, const struct field *every,
			    struct diags *diags)
{
	const struct field *weight = &step->fields[STEP_WEIGHT];
	const struct field *bake = &step->fields[STEP_BAKE];
	char given[32], other[32];
	if (weight->ok && weight->number % 100 != 0)
		diags_add(
		    diags, DIAG_WARNING, AT_VALUE(weight->node),
		    "`weight` is finer than 1%%; AWS documents weights in hundredths and does not say how it rounds "
		    "others");
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
	const struct field *final_bake = &how->fields[HOW_FINAL_BAKE];
	const struct field *period = &analysis->fields[ANALYSIS_PERIOD];
	warn_about_period(period, &analysis->fields[ANALYSIS_METRICS], diags);
	for (size_t i = 0; i < steps->n_items; i++)
		warn_about_step(&steps->items[i], period, &analysis->fields[ANALYSIS_EVERY], diags);
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
	const struct field *metrics = &analysis->fields[ANALYSIS_METRICS];
	check_period(&analysis->fields[ANALYSIS_PERIOD], diags);
	check_metrics(metrics, diags);
	check_hold_limit(analysis, diags);
	check_unwatched(how, metrics, shape, diags);
	check_total(how, shape, &analysis->fields[ANALYSIS_PERIOD], diags);
	warn(how, analysis, shape, diags);
}
