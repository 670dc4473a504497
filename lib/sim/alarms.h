/*
 * CloudWatch alarms: metric alarms, judged on the visible values of their series, and composite alarms, whose state is
 * set from outside.
 */
#pragma once

#include <jansson.h>

#include "sim/metrics.h"

#define ALARMS_MAX 5000

enum alarm_value { ALARM_VALUE_OK, ALARM_VALUE_ALARM, ALARM_VALUE_INSUFFICIENT };
enum alarm_comparison {
	COMPARE_GREATER_OR_EQUAL,
	COMPARE_GREATER,
	COMPARE_LESS,
	COMPARE_LESS_OR_EQUAL,
};
enum alarm_missing { MISSING_MISSING, MISSING_IGNORE, MISSING_BREACHING, MISSING_NOT_BREACHING };

struct alarm {
	char *name;
	bool composite;
	bool judged;	/* has a metric */
	json_t *as_put; /* the fields of the call that made it, for DescribeAlarms */
	char *key;	/* of the series */
	struct statistic statistic;
	int64_t period_ms;
	uint32_t evaluation_periods;
	uint32_t datapoints_to_alarm;
	double threshold;
	enum alarm_comparison comparison;
	enum alarm_missing missing;
	enum alarm_value state;
	char *reason;
	char *reason_data; /* NULL: none */
	int64_t configured_ms;
	int64_t updated_ms;
	int64_t next_ms; /* next evaluation */
};

struct alarms {
	struct table by_name;
};

void alarms_deinit(struct alarms *a);
/* Takes the alarm over; one of the same name is replaced and keeps its state. False beyond ALARMS_MAX. */
bool alarms_put(struct alarms *a, struct alarm *alarm, int64_t now_ms);
bool alarms_remove(struct alarms *a, const char *name);
struct alarm *alarms_find(const struct alarms *a, const char *name);
void alarm_free(struct alarm *alarm);
void alarm_set_state(struct alarm *alarm, enum alarm_value state, const char *reason, const char *reason_data,
		     int64_t now_ms);
const char *alarm_value_name(enum alarm_value v);
bool alarm_value_parse(const char *text, enum alarm_value *ret);
bool alarm_comparison_parse(const char *text, enum alarm_comparison *ret);
bool alarm_missing_parse(const char *text, enum alarm_missing *ret);

/* When the next evaluation is due; INT64_MAX: never. */
int64_t alarms_next_ms(const struct alarms *a);
/* Evaluates every alarm that is due. */
void alarms_evaluate(struct alarms *a, const struct metrics *m, int64_t now_ms);
