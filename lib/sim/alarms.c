#include "sim/alarms.h"

#include <math.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"

static const char *const value_names[] = {
    [ALARM_VALUE_OK] = "OK",
    [ALARM_VALUE_ALARM] = "ALARM",
    [ALARM_VALUE_INSUFFICIENT] = "INSUFFICIENT_DATA",
};
static const struct {
	const char *name;
	const char *words;
} comparisons[] = {
    [COMPARE_GREATER_OR_EQUAL] = {"GreaterThanOrEqualToThreshold", "greater than or equal to"},
    [COMPARE_GREATER] = {"GreaterThanThreshold", "greater than"},
    [COMPARE_LESS] = {"LessThanThreshold", "less than"},
    [COMPARE_LESS_OR_EQUAL] = {"LessThanOrEqualToThreshold", "less than or equal to"},
};
static const char *const missing_names[] = {
    [MISSING_MISSING] = "missing",
    [MISSING_IGNORE] = "ignore",
    [MISSING_BREACHING] = "breaching",
    [MISSING_NOT_BREACHING] = "notBreaching",
};

const char *alarm_value_name(enum alarm_value v)
{
	return value_names[v];
}

bool alarm_value_parse(const char *text, enum alarm_value *ret)
{
	for (size_t i = 0; i < array_len(value_names); i++)
		if (strcmp(text, value_names[i]) == 0) {
			*ret = (enum alarm_value)i;
			return true;
		}
	return false;
}

bool alarm_comparison_parse(const char *text, enum alarm_comparison *ret)
{
	for (size_t i = 0; i < array_len(comparisons); i++)
		if (strcmp(text, comparisons[i].name) == 0) {
			*ret = (enum alarm_comparison)i;
			return true;
		}
	return false;
}

bool alarm_missing_parse(const char *text, enum alarm_missing *ret)
{
	for (size_t i = 0; i < array_len(missing_names); i++)
		if (strcmp(text, missing_names[i]) == 0) {
			*ret = (enum alarm_missing)i;
			return true;
		}
	return false;
}

void alarm_free(struct alarm *alarm)
{
	if (!alarm)
		return;
	free(alarm->name);
	free(alarm->key);
	free(alarm->reason);
	free(alarm->reason_data);
	json_decref(alarm->as_put);
	free(alarm);
}

void alarms_deinit(struct alarms *a)
{
	for (size_t i = 0; i < a->by_name.len; i++)
		alarm_free(a->by_name.entries[i].value);
	table_deinit(&a->by_name);
}

struct alarm *alarms_find(const struct alarms *a, const char *name)
{
	return table_get(&a->by_name, name);
}

bool alarms_remove(struct alarms *a, const char *name)
{
	struct alarm *alarm = table_remove(&a->by_name, name);
	alarm_free(alarm);
	return alarm != NULL;
}

/* CloudWatch evaluates once a minute, and more often only what has shorter periods. */
static int64_t evaluation_interval_ms(const struct alarm *alarm)
{
	return alarm->period_ms < MS_PER_MINUTE ? alarm->period_ms : MS_PER_MINUTE;
}

bool alarms_put(struct alarms *a, struct alarm *alarm, int64_t now_ms)
{
	struct alarm *old = alarms_find(a, alarm->name);
	if (!old && a->by_name.len >= ALARMS_MAX) {
		alarm_free(alarm);
		return false;
	}
	alarm->configured_ms = now_ms;
	alarm->next_ms =
	    alarm->judged ? now_ms - now_ms % evaluation_interval_ms(alarm) + evaluation_interval_ms(alarm) : INT64_MAX;
	if (old) {
		alarm->state = old->state;
		alarm->updated_ms = old->updated_ms;
		alarm->reason = take_ptr(old->reason);
		alarm->reason_data = take_ptr(old->reason_data);
	} else {
		alarm->state = ALARM_VALUE_INSUFFICIENT;
		alarm->updated_ms = now_ms;
		alarm->reason = mem_strdup("Unchecked: Initial alarm creation");
	}
	table_put(&a->by_name, alarm->name, alarm);
	alarm_free(old);
	return true;
}

void alarm_set_state(struct alarm *alarm, enum alarm_value state, const char *reason, const char *reason_data,
		     int64_t now_ms)
{
	char *new_reason = mem_strdup(reason), *new_data = mem_strdup(reason_data);
	free(alarm->reason);
	free(alarm->reason_data);
	alarm->reason = new_reason;
	alarm->reason_data = new_data;
	alarm->state = state;
	alarm->updated_ms = now_ms;
}

int64_t alarms_next_ms(const struct alarms *a)
{
	int64_t next = INT64_MAX;
	for (size_t i = 0; i < a->by_name.len; i++) {
		const struct alarm *alarm = a->by_name.entries[i].value;
		if (alarm->next_ms < next)
			next = alarm->next_ms;
	}
	return next;
}

static bool breaches(const struct alarm *alarm, double value)
{
	switch (alarm->comparison) {
	case COMPARE_GREATER_OR_EQUAL:
		return value >= alarm->threshold;
	case COMPARE_GREATER:
		return value > alarm->threshold;
	case COMPARE_LESS:
		return value < alarm->threshold;
	case COMPARE_LESS_OR_EQUAL:
		return value <= alarm->threshold;
	}
	return false;
}

/*
 * The rule of the user guide, "Configuring how CloudWatch alarms treat missing data": of the values found in a range
 * somewhat longer than the evaluation periods the newest are judged; places that stay empty are filled as the alarm
 * says, but nothing is filled as long as there are values enough.
 */
static enum alarm_value judge(const struct alarm *alarm, const struct values *values)
{
	size_t wanted = alarm->evaluation_periods;
	size_t used = values->len < wanted ? values->len : wanted;
	size_t empty = wanted - used, breaching = 0;
	for (size_t i = values->len - used; i < values->len; i++)
		breaching += breaches(alarm, values->items[i].value);
	switch (alarm->missing) {
	case MISSING_BREACHING:
		breaching += empty;
		break;
	case MISSING_NOT_BREACHING:
		break;
	case MISSING_IGNORE:
		if (empty && breaching < alarm->datapoints_to_alarm)
			return alarm->state;
		break;
	case MISSING_MISSING:
		if (!used)
			return ALARM_VALUE_INSUFFICIENT;
		if (empty && breaching == used)
			return ALARM_VALUE_ALARM;
		break;
	}
	return breaching >= alarm->datapoints_to_alarm ? ALARM_VALUE_ALARM : ALARM_VALUE_OK;
}

static void explain(const struct alarm *alarm, enum alarm_value state, const struct values *values, struct buf *out)
{
	if (state == ALARM_VALUE_INSUFFICIENT) {
		buf_addf(out, "Insufficient Data: %u datapoint%s unknown.", alarm->evaluation_periods,
			 alarm->evaluation_periods == 1 ? " was" : "s were");
		return;
	}
	if (!values->len) {
		buf_addf(out,
			 "Threshold Crossed: no datapoints were received for %u period%s and %u missing datapoint%s "
			 "treated as [%s].",
			 alarm->evaluation_periods, alarm->evaluation_periods == 1 ? "" : "s",
			 alarm->evaluation_periods, alarm->evaluation_periods == 1 ? " was" : "s were",
			 alarm->missing == MISSING_BREACHING ? "Breaching" : "NonBreaching");
		return;
	}
	const struct value *newest = &values->items[values->len - 1];
	char time[32];
	text_format_utc(newest->start_ms, time);
	buf_addf(out, "Threshold Crossed: 1 datapoint [%.15g (%s)] was %s%s the threshold (%.15g).", newest->value,
		 time, breaches(alarm, newest->value) ? "" : "not ", comparisons[alarm->comparison].words,
		 alarm->threshold);
}

static void evaluate(struct alarm *alarm, const struct metrics *m, int64_t now_ms)
{
	struct values values = {0};
	const struct series *series = table_get(&m->series, alarm->key);
	if (series) {
		int64_t end_ms = now_ms - now_ms % alarm->period_ms;
		int64_t behind = (m->settings.delay_ms + m->settings.jitter_ms) / alarm->period_ms + 2;
		int64_t start_ms = end_ms - (alarm->evaluation_periods + behind) * alarm->period_ms;
		metrics_read(m, series, start_ms, end_ms, alarm->period_ms, &alarm->statistic, now_ms, 0, &values);
	}
	enum alarm_value state = judge(alarm, &values);
	if (state != alarm->state) {
		struct buf reason = BUF_INIT(1024);
		explain(alarm, state, &values, &reason);
		alarm_set_state(alarm, state, buf_text(&reason), NULL, now_ms);
		buf_deinit(&reason);
	}
	values_deinit(&values);
}

void alarms_evaluate(struct alarms *a, const struct metrics *m, int64_t now_ms)
{
	for (size_t i = 0; i < a->by_name.len; i++) {
		struct alarm *alarm = a->by_name.entries[i].value;
		if (alarm->next_ms > now_ms)
			continue;
		evaluate(alarm, m, now_ms);
		int64_t interval = evaluation_interval_ms(alarm);
		alarm->next_ms = now_ms - now_ms % interval + interval;
	}
}
