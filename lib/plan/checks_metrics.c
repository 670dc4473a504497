/* Of checks.h: what the metrics of an analysis say together, and with the rest of it. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "plan/checks.h"
#include "plan/metric.h"
#include "plan/query.h"
#include "plan/texts.h"
#include "plan/value.h"

/* What a metric says as a mapping; NULL when it says nothing so. */
static const struct field *fields_of(const struct record *item, size_t metric)
{
	const struct field *f = &item->fields[metric];
	return f->node && f->items ? f->items->fields : NULL;
}

/* Each item holds exactly one metric. What an item holds besides was reported by its name already. */
static void check_one(const struct record *item, struct diags *diags)
{
	size_t first = metric_find(item);
	for (size_t i = first + 1; i < METRIC_KNOWN; i++)
		if (record_has(item, i))
			diags_add(diags, DIAG_ERROR, AT_VALUE(item->node),
				  "an item of `metrics` holds one metric; put `%s` into an item of its own",
				  schema_metric.keys[i]->name);
	if (first == METRIC_KNOWN && item->node->n_children == 0)
		diags_add(diags, DIAG_ERROR, AT_VALUE(item->node),
			  "an item of `metrics` is empty; write one such as `errors: {max_rate: 1%%}`");
}

static void check_rate(const struct field *rate, struct diags *diags)
{
	if (rate->ok && rate->node && rate->number == 1000000)
		diags_add(diags, DIAG_ERROR, AT_VALUE(rate->node),
			  "`max_rate` is 100%%, which can never be exceeded; write a lower one");
}

/* Keys of `errors` that only the other way to judge has. */
static void check_errors_keys(const struct record *r, const size_t *keys, size_t n, const char *why,
			      struct diags *diags)
{
	for (size_t i = 0; i < n; i++) {
		const struct node *at = r->fields[keys[i]].node;
		if (at)
			diags_add(diags, DIAG_ERROR, AT_KEY(at), "`%s` has no effect with %s", at->key, why);
	}
}

static void check_errors(const struct record *r, bool probed, struct diags *diags)
{
	static const size_t of_compare[] = {ERRORS_FALSE_ALARM, ERRORS_MIN_EFFECT};
	static const size_t of_rate[] = {ERRORS_FAILURE_LIMIT};
	const struct field *rate = &r->fields[ERRORS_MAX_RATE], *compare = &r->fields[ERRORS_COMPARE];
	const struct field *probes = &r->fields[ERRORS_PROBES];
	check_rate(rate, diags);
	if (rate->node && compare->node)
		diags_add(diags, DIAG_ERROR, AT_KEY(compare->node),
			  "`compare` and `max_rate` (line %u) are both given; make two metrics of them, or remove one",
			  rate->node->key_line);
	else if (compare->node)
		check_errors_keys(
		    r, of_rate, array_len(of_rate),
		    "with `compare`, which weighs all periods together; make `false_alarm` smaller instead "
		    "where it is too strict",
		    diags);
	else if (rate->node)
		check_errors_keys(r, of_compare, array_len(of_compare),
				  "`max_rate`, only with `compare: stable`; remove it", diags);
	else if (!rate->misspelt && !compare->misspelt)
		diags_add(diags, DIAG_ERROR, AT_VALUE(r->node),
			  "`errors` does not say when it fails; add `compare: stable`, or a limit such as `max_rate: "
			  "1%%`");
	if (probes->node && !probed)
		diags_add(diags, DIAG_ERROR, AT_KEY(probes->node),
			  "`probes` has no effect, since the analysis has no `probe`; remove it, or add one, such as "
			  "`probe: {invoke: probe.json, rate: 1/s}`");
}

static void check_duration(const struct record *r, struct diags *diags)
{
	const struct field *max = &r->fields[DURATION_MAX], *ratio = &r->fields[DURATION_MAX_RATIO];
	if (!max->node && !ratio->node && !max->misspelt && !ratio->misspelt)
		diags_add(
		    diags, DIAG_ERROR, AT_VALUE(r->node),
		    "`duration` does not say when it fails; add `max`, for example `max: 800ms`, `max_ratio`, for "
		    "example `max_ratio: 1.5`, or both");
}

static void check_api(const struct record *r, struct diags *diags)
{
	const struct field *api = &r->fields[API_5XX_API], *stage = &r->fields[API_5XX_STAGE];
	const struct field *type = &r->fields[API_5XX_TYPE];
	bool http = type->number != 0;
	char shown[VALUE_SHOWN], why[256];
	check_rate(&r->fields[API_5XX_MAX_RATE], diags);
	if (!type->ok)
		return;
	if (http && api->ok && api->node && !texts_check_api_id(api->text, why, sizeof(why))) {
		value_show(api->node, shown);
		diags_add(diags, DIAG_ERROR, AT_VALUE(api->node),
			  "`api` is %s, but CloudWatch knows an HTTP API by its id, such as a1b2c3d4e5; write that",
			  shown);
	}
	if (!http && stage->ok && stage->node && !texts_is_rest_stage(stage->text))
		diags_add(
		    diags, DIAG_ERROR, AT_VALUE(stage->node),
		    "a REST API has no stage `%s`; its stages have letters, digits and `_`. Write `type: http` if it "
		    "is an HTTP API",
		    stage->text);
}

/* With the metric periods before it, `warm_up` ends so long after the first traffic. */
static void warn_about_warm_up(const struct record *r, const struct shape *shape, struct diags *diags)
{
	const struct field *warm_up = &r->fields[DURATION_WARM_UP];
	char given[32], watched[32];
	if (!warm_up->ok || !shape->ok || !shape->final_ok || shape_is_unwatched(shape) ||
	    warm_up->number < shape_bake_ms(shape))
		return;
	text_format_duration(warm_up->number, given);
	text_format_duration(shape_bake_ms(shape), watched);
	const struct node *at = warm_up->node ? warm_up->node : r->node;
	diags_add(
	    diags, DIAG_WARNING, AT_VALUE(at),
	    "the `warm_up` of `duration` is %s, and the new version is watched for %s: nothing would be judged; make "
	    "it shorter, or the bakes longer",
	    given, watched);
}

static void check_metric(const struct record *item, const struct record *analysis, const struct shape *shape,
			 struct diags *diags)
{
	const struct field *throttles = fields_of(item, METRIC_THROTTLES);
	bool probed = record_has(analysis, ANALYSIS_PROBE);
	check_one(item, diags);
	if (fields_of(item, METRIC_ERRORS))
		check_errors(item->fields[METRIC_ERRORS].items, probed, diags);
	if (throttles)
		check_rate(&throttles[THROTTLES_MAX_RATE], diags);
	if (fields_of(item, METRIC_DURATION)) {
		check_duration(item->fields[METRIC_DURATION].items, diags);
		warn_about_warm_up(item->fields[METRIC_DURATION].items, shape, diags);
	}
	if (fields_of(item, METRIC_API_5XX))
		check_api(item->fields[METRIC_API_5XX].items, diags);
	if (fields_of(item, METRIC_QUERY))
		query_check(item->fields[METRIC_QUERY].items, &analysis->fields[ANALYSIS_PERIOD], diags);
}

/* Whether an item was found to be in order, so that it can be held against the others. */
static bool check_item(const struct record *item, const struct record *analysis, const struct shape *shape,
		       struct diags *diags)
{
	size_t before = diags->errors;
	check_metric(item, analysis, shape, diags);
	return diags->errors == before && metric_find(item) < METRIC_KNOWN && record_is_good(item);
}

static void check_items(const struct record *analysis, const struct shape *shape, struct diags *diags)
{
	const struct field *metrics = &analysis->fields[ANALYSIS_METRICS];
	bool probed = record_has(analysis, ANALYSIS_PROBE);
	cleanup(arena_free_p) struct arena *a = arena_new();
	struct spec_metric *m = arena_array(a, metrics->n_items, sizeof(*m));
	bool *good = arena_array(a, metrics->n_items, sizeof(*good));
	for (size_t i = 0; i < metrics->n_items; i++) {
		const struct record *item = &metrics->items[i];
		good[i] = check_item(item, analysis, shape, diags);
		if (!good[i])
			continue;
		metric_read(a, item, probed, &m[i]);
		for (size_t j = 0; j < i; j++) {
			if (!good[j] || !metric_same(&m[i], &m[j]))
				continue;
			diags_add(diags, DIAG_ERROR, AT_VALUE(item->node),
				  "this metric is the same as the one in line %u; remove one of them",
				  metrics->items[j].node->line);
			break;
		}
	}
}

/* With no step and no final bake, counts are never judged; only alarms are, once, before the start. */
static void check_unwatched(const struct record *how, const struct shape *shape, struct diags *diags)
{
	static const char text[] = "has nothing to judge, since all traffic moves at once and is not watched "
				   "afterwards; add `final_bake`, or remove it";
	const struct field *analysis = &how->fields[HOW_ANALYSIS];
	if (!shape_is_unwatched(shape) || !analysis->node)
		return;
	const struct field *metrics = &analysis->items->fields[ANALYSIS_METRICS];
	const struct node *probe = analysis->items->fields[ANALYSIS_PROBE].node;
	if (!metrics->node)
		diags_add(diags, DIAG_ERROR, AT_KEY(analysis->node), "`analysis` %s", text);
	else if (probe)
		diags_add(diags, DIAG_ERROR, AT_KEY(probe), "`probe` %s", text);
	for (size_t i = 0; i < metrics->n_items; i++) {
		const struct record *item = &metrics->items[i];
		for (size_t k = 0; k < METRIC_KNOWN; k++)
			if (k != METRIC_ALARM && record_has(item, k))
				diags_add(diags, DIAG_ERROR, AT_KEY(item->fields[k].node), "`%s` %s",
					  schema_metric.keys[k]->name, text);
	}
}

/* The metrics that AWS publishes by itself; a query's may have any resolution. */
static void warn_about_period(const struct record *analysis, struct diags *diags)
{
	static const size_t minutely[] = {METRIC_ERRORS, METRIC_THROTTLES, METRIC_DURATION, METRIC_API_5XX};
	const struct field *period = &analysis->fields[ANALYSIS_PERIOD];
	const struct field *metrics = &analysis->fields[ANALYSIS_METRICS];
	char given[32];
	if (!period->ok || !period->node || period->number >= MS_PER_MINUTE)
		return;
	text_format_duration(period->number, given);
	for (size_t k = 0; k < array_len(minutely); k++) {
		bool found = !metrics->node && minutely[k] == METRIC_ERRORS;
		for (size_t i = 0; i < metrics->n_items; i++)
			found |= record_has(&metrics->items[i], minutely[k]);
		if (found)
			diags_add(diags, DIAG_WARNING, AT_VALUE(period->node),
				  "`period` is %s, but %s publishes its metrics once a minute: CloudWatch will have no "
				  "data for `%s`; use 60s",
				  given, minutely[k] == METRIC_API_5XX ? "API Gateway" : "AWS Lambda",
				  schema_metric.keys[minutely[k]]->name);
	}
}

static bool is_dry_run(const struct record *item)
{
	static const size_t keys[METRIC_KNOWN] = {
	    [METRIC_ERRORS] = ERRORS_DRY_RUN,	  [METRIC_THROTTLES] = THROTTLES_DRY_RUN,
	    [METRIC_DURATION] = DURATION_DRY_RUN, [METRIC_API_5XX] = API_5XX_DRY_RUN,
	    [METRIC_ALARM] = ALARM_KEY_DRY_RUN,	  [METRIC_QUERY] = QUERY_KEY_DRY_RUN,
	};
	size_t which = metric_find(item);
	const struct field *f = which < METRIC_KNOWN ? fields_of(item, which) : NULL;
	return f && f[keys[which]].ok && f[keys[which]].number;
}

static void warn_about_dry_runs(const struct field *metrics, struct diags *diags)
{
	for (size_t i = 0; i < metrics->n_items; i++)
		if (!is_dry_run(&metrics->items[i]))
			return;
	if (metrics->n_items > 0)
		diags_add(
		    diags, DIAG_WARNING, AT_VALUE(metrics->node),
		    "every metric is a `dry_run`, so nothing but an operator brings a bad version back; remove it "
		    "from one of them");
}

void checks_metrics(const struct record *how, const struct shape *shape, struct diags *diags)
{
	const struct record *analysis = how->fields[HOW_ANALYSIS].items;
	check_items(analysis, shape, diags);
	check_unwatched(how, shape, diags);
	warn_about_period(analysis, diags);
	warn_about_dry_runs(&analysis->fields[ANALYSIS_METRICS], diags);
}
