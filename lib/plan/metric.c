#include "plan/metric.h"

#include <string.h>

#include "base/error.h"
#include "base/number.h"
#include "base/text.h"
#include "plan/query.h"
#include "plan/value.h"

#define US_PER_MS 1000

size_t metric_find(const struct record *item)
{
	size_t i = 0;
	while (i < METRIC_KNOWN && !record_has(item, i))
		i++;
	return i;
}

static void read_compare(const struct field *f, struct spec_metric *m)
{
	m->kind = SPEC_METRIC_COMPARE;
	m->false_alarm_ppm = (uint32_t)f[ERRORS_FALSE_ALARM].number;
	m->min_effect_permille = (uint32_t)f[ERRORS_MIN_EFFECT].number;
	m->min_invocations = SCHEMA_MIN_INVOCATIONS_COMPARE;
}

static void read_rate(const struct field *f, struct spec_metric *m)
{
	m->kind = SPEC_METRIC_ERRORS;
	m->max_rate_ppm = (uint32_t)f[ERRORS_MAX_RATE].number;
	m->failure_limit = (uint32_t)f[ERRORS_FAILURE_LIMIT].number;
	m->min_invocations = SCHEMA_MIN_INVOCATIONS_RATE;
}

static void read_errors(const struct field *f, bool probed, struct spec_metric *m)
{
	if (f[ERRORS_COMPARE].node)
		read_compare(f, m);
	else
		read_rate(f, m);
	if (f[ERRORS_MIN_INVOCATIONS].node)
		m->min_invocations = (uint64_t)f[ERRORS_MIN_INVOCATIONS].number;
	m->dry_run = f[ERRORS_DRY_RUN].number != 0;
	m->count_probes = probed && f[ERRORS_PROBES].number == 0;
}

static void read_throttles(const struct field *f, struct spec_metric *m)
{
	m->kind = SPEC_METRIC_THROTTLES;
	m->max_rate_ppm = (uint32_t)f[THROTTLES_MAX_RATE].number;
	m->min_invocations = (uint64_t)f[THROTTLES_MIN_INVOCATIONS].number;
	m->failure_limit = (uint32_t)f[THROTTLES_FAILURE_LIMIT].number;
	m->dry_run = f[THROTTLES_DRY_RUN].number != 0;
}

static void read_duration(struct arena *a, const struct field *f, struct spec_metric *m)
{
	m->kind = SPEC_METRIC_DURATION;
	m->stat = arena_strdup(a, f[DURATION_STAT].text);
	m->max_us = (uint32_t)(f[DURATION_MAX].number * US_PER_MS);
	m->max_ratio_permille = (uint32_t)f[DURATION_MAX_RATIO].number;
	m->warm_up_ms = (uint32_t)f[DURATION_WARM_UP].number;
	m->min_invocations = (uint64_t)f[DURATION_MIN_INVOCATIONS].number;
	m->failure_limit = (uint32_t)f[DURATION_FAILURE_LIMIT].number;
	m->dry_run = f[DURATION_DRY_RUN].number != 0;
}

static void read_api_5xx(struct arena *a, const struct field *f, struct spec_metric *m)
{
	m->kind = SPEC_METRIC_API_5XX;
	m->api = arena_strdup(a, f[API_5XX_API].text);
	m->stage = arena_strdup(a, f[API_5XX_STAGE].text);
	m->http_api = f[API_5XX_TYPE].number != 0;
	m->max_rate_ppm = (uint32_t)f[API_5XX_MAX_RATE].number;
	m->min_invocations = (uint64_t)f[API_5XX_MIN_INVOCATIONS].number;
	m->failure_limit = (uint32_t)f[API_5XX_FAILURE_LIMIT].number;
	m->dry_run = f[API_5XX_DRY_RUN].number != 0;
}

static void read_alarm(struct arena *a, const struct field *alarm, struct spec_metric *m)
{
	const struct field *f = alarm->items ? alarm->items->fields : NULL;
	m->kind = SPEC_METRIC_ALARM;
	m->alarm = arena_strdup(a, f ? f[ALARM_KEY_NAME].text : alarm->text);
	m->dry_run = f && f[ALARM_KEY_DRY_RUN].number != 0;
}

static void read_bound(const struct field *f, bool *ret_has, double *ret)
{
	*ret_has = f->node != NULL;
	if (f->node)
		require(number_parse(f->text, ret) == 0);
}

static void read_query(struct arena *a, const struct record *r, struct spec_metric *m)
{
	m->kind = SPEC_METRIC_QUERY;
	m->queries = query_json(a, r);
	m->returns = arena_strdup(a, query_returning(r));
	read_bound(&r->fields[QUERY_KEY_MIN], &m->has_min, &m->min);
	read_bound(&r->fields[QUERY_KEY_MAX], &m->has_max, &m->max);
	m->failure_limit = (uint32_t)r->fields[QUERY_KEY_FAILURE_LIMIT].number;
	m->dry_run = r->fields[QUERY_KEY_DRY_RUN].number != 0;
}

/* errors: {compare: stable}, with the table's own defaults. */
static void read_default(bool probed, struct spec_metric *m)
{
	struct value false_alarm, min_effect;
	value_fallback(schema_errors.keys[ERRORS_FALSE_ALARM], &false_alarm);
	value_fallback(schema_errors.keys[ERRORS_MIN_EFFECT], &min_effect);
	m->kind = SPEC_METRIC_COMPARE;
	m->false_alarm_ppm = (uint32_t)false_alarm.number;
	m->min_effect_permille = (uint32_t)min_effect.number;
	m->min_invocations = SCHEMA_MIN_INVOCATIONS_COMPARE;
	m->count_probes = probed;
}

void metric_read(struct arena *a, const struct record *item, bool probed, struct spec_metric *ret)
{
	struct spec_metric m = {0};
	size_t which = item ? metric_find(item) : METRIC_KNOWN;
	const struct field *f = which < METRIC_KNOWN ? &item->fields[which] : NULL;
	switch (which) {
	case METRIC_ERRORS:
		read_errors(f->items->fields, probed, &m);
		break;
	case METRIC_THROTTLES:
		read_throttles(f->items->fields, &m);
		break;
	case METRIC_DURATION:
		read_duration(a, f->items->fields, &m);
		break;
	case METRIC_API_5XX:
		read_api_5xx(a, f->items->fields, &m);
		break;
	case METRIC_ALARM:
		read_alarm(a, f, &m);
		break;
	case METRIC_QUERY:
		read_query(a, f->items, &m);
		break;
	default:
		require(!item);
		read_default(probed, &m);
		break;
	}
	*ret = m;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_bound(bool has_a, double a, bool has_b, double b)
{
	return has_a == has_b && !(a < b) && !(a > b);
}

bool metric_same(const struct spec_metric *a, const struct spec_metric *b)
{
	return a->kind == b->kind && a->min_invocations == b->min_invocations && a->max_rate_ppm == b->max_rate_ppm &&
	       a->false_alarm_ppm == b->false_alarm_ppm && a->min_effect_permille == b->min_effect_permille &&
	       a->failure_limit == b->failure_limit && a->count_probes == b->count_probes &&
	       same_text(a->alarm, b->alarm) && same_text(a->stat, b->stat) && a->max_us == b->max_us &&
	       a->max_ratio_permille == b->max_ratio_permille && a->warm_up_ms == b->warm_up_ms &&
	       same_text(a->api, b->api) && a->http_api == b->http_api && same_text(a->stage, b->stage) &&
	       same_text(a->queries, b->queries) && same_bound(a->has_min, a->min, b->has_min, b->min) &&
	       same_bound(a->has_max, a->max, b->has_max, b->max);
}
