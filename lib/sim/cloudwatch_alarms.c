/* Alarms: PutMetricAlarm, PutCompositeAlarm, DescribeAlarms, SetAlarmState, DeleteAlarms. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "aws/endpoint.h"
#include "base/error.h"
#include "base/text.h"
#include "sim/cloudwatch.h"

#define DESCRIBE_MAX 100

/* The lists of actions, which this world keeps and shows but never carries out. */
static bool read_actions(const struct field *f, json_t *as_put)
{
	static const char *const names[] = {"OKActions", "AlarmActions", "InsufficientDataActions"};
	for (size_t i = 0; i < array_len(names); i++) {
		json_t *list;
		if (!cloudwatch_list(f, names[i], &list))
			return false;
		json_object_set_new(as_put, names[i], list ? json_deep_copy(list) : json_array());
	}
	const char *description = NULL;
	bool enabled = true;
	if (!cloudwatch_text(f, "AlarmDescription", false, &description) ||
	    !cloudwatch_bool(f, "ActionsEnabled", &enabled))
		return false;
	if (description)
		json_object_set_new(as_put, "AlarmDescription", json_string(description));
	json_object_set_new(as_put, "ActionsEnabled", json_boolean(enabled));
	return true;
}

static bool read_choice(const struct field *f, const char *member, const char *text, bool good, const char *choices)
{
	if (!good)
		call_fail(
		    f->c, &cloudwatch_error_validation,
		    "1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must satisfy "
		    "enum value set: [%s]",
		    text, member, choices);
	return good;
}

static bool read_count(const struct field *f, const char *key, bool required, double fallback, uint32_t *ret)
{
	double number = fallback;
	if (!cloudwatch_number(f, key, required, &number))
		return false;
	if (!(number >= 1 && number <= 1440 && number == floor(number))) {
		call_fail(f->c, &cloudwatch_error_value, "The value %g for parameter %s must be a whole number from 1.",
			  number, key);
		return false;
	}
	*ret = (uint32_t)number;
	return true;
}

/* What is judged: namespace, name, dimensions, statistic and period. */
static bool read_metric(const struct field *f, struct alarm *a)
{
	const char *namespace, *name, *statistic = NULL, *extended = NULL, *unit = NULL;
	struct dimension dimensions[METRICS_DIMENSIONS_MAX];
	size_t n;
	if (json_object_get(f->from, "Metrics")) {
		call_fail(f->c, &cloudwatch_error_validation,
			  "rollout-localaws has no alarms on metric math: use Namespace, MetricName and Statistic.");
		return false;
	}
	if (!cloudwatch_text(f, "Namespace", true, &namespace) || !cloudwatch_text(f, "MetricName", true, &name) ||
	    !cloudwatch_dimensions(f, dimensions, &n) || !cloudwatch_text(f, "Statistic", false, &statistic) ||
	    !cloudwatch_text(f, "ExtendedStatistic", false, &extended) || !cloudwatch_text(f, "Unit", false, &unit) ||
	    !cloudwatch_period(f, "Period", &a->period_ms))
		return false;
	if (!statistic == !extended || statistic_parse(statistic ? statistic : extended, &a->statistic) != 0) {
		call_fail(
		    f->c, &cloudwatch_error_validation,
		    "Exactly one of Statistic (Sum, Average, Minimum, Maximum, SampleCount) and ExtendedStatistic "
		    "(p0 … p100) must be specified.");
		return false;
	}
	json_t *list = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(
		    list, json_pack("{s:s, s:s}", "Name", dimensions[i].name, "Value", dimensions[i].value));
	json_object_set_new(a->as_put, "Dimensions", list);
	json_object_set_new(a->as_put, "Namespace", json_string(namespace));
	json_object_set_new(a->as_put, "MetricName", json_string(name));
	json_object_set_new(a->as_put, statistic ? "Statistic" : "ExtendedStatistic",
			    json_string(statistic ? statistic : extended));
	if (unit)
		json_object_set_new(a->as_put, "Unit", json_string(unit));
	json_object_set_new(a->as_put, "Period", json_integer(a->period_ms / 1000));
	a->key = metrics_key(namespace, name, dimensions, n);
	a->judged = true;
	return true;
}

static bool read_rule(const struct field *f, struct alarm *a)
{
	const char *comparison = NULL, *missing = NULL;
	if (!cloudwatch_text(f, "ComparisonOperator", true, &comparison) ||
	    !cloudwatch_text(f, "TreatMissingData", false, &missing) ||
	    !cloudwatch_number(f, "Threshold", true, &a->threshold) ||
	    !read_count(f, "EvaluationPeriods", true, 1, &a->evaluation_periods) ||
	    !read_count(f, "DatapointsToAlarm", false, a->evaluation_periods, &a->datapoints_to_alarm))
		return false;
	if (!read_choice(f, "comparisonOperator", comparison, alarm_comparison_parse(comparison, &a->comparison),
			 "GreaterThanOrEqualToThreshold, GreaterThanThreshold, LessThanThreshold, "
			 "LessThanOrEqualToThreshold") ||
	    (missing && !read_choice(f, "treatMissingData", missing, alarm_missing_parse(missing, &a->missing),
				     "missing, ignore, breaching, notBreaching")))
		return false;
	if (a->datapoints_to_alarm > a->evaluation_periods) {
		call_fail(f->c, &cloudwatch_error_validation,
			  "The parameter DatapointsToAlarm must not be greater than EvaluationPeriods.");
		return false;
	}
	json_object_set_new(a->as_put, "ComparisonOperator", json_string(comparison));
	json_object_set_new(a->as_put, "Threshold", json_real(a->threshold));
	json_object_set_new(a->as_put, "EvaluationPeriods", json_integer(a->evaluation_periods));
	if (json_object_get(f->from, "DatapointsToAlarm"))
		json_object_set_new(a->as_put, "DatapointsToAlarm", json_integer(a->datapoints_to_alarm));
	if (missing)
		json_object_set_new(a->as_put, "TreatMissingData", json_string(missing));
	return true;
}

static bool read_name(const struct field *f, struct alarm *a)
{
	const char *name;
	if (!cloudwatch_text(f, "AlarmName", true, &name))
		return false;
	if (strlen(name) > LIMIT_ALARM_NAME) {
		call_fail(f->c, &cloudwatch_error_validation,
			  "The alarm name must have length less than or equal to %d", LIMIT_ALARM_NAME);
		return false;
	}
	a->name = mem_strdup(name);
	return true;
}

static void put(struct call *c, struct alarm *a)
{
	if (alarms_put(&c->w->alarms, a, c->w->now_ms))
		cloudwatch_answer(c, json_object());
	else
		call_fail(c, &cloudwatch_error_limit, "There are %d alarms, the most that rollout-localaws keeps.",
			  ALARMS_MAX);
}

void cloudwatch_put_metric_alarm(struct call *c)
{
	struct field f = {c, c->in, ""};
	struct alarm *a = mem_alloc(sizeof(*a));
	a->as_put = json_object();
	if (read_name(&f, a) && read_actions(&f, a->as_put) && read_rule(&f, a) && read_metric(&f, a))
		put(c, a);
	else
		alarm_free(a);
}

void cloudwatch_put_composite_alarm(struct call *c)
{
	struct field f = {c, c->in, ""};
	const char *rule;
	struct alarm *a = mem_alloc(sizeof(*a));
	a->as_put = json_object();
	a->composite = true;
	if (read_name(&f, a) && read_actions(&f, a->as_put) && cloudwatch_text(&f, "AlarmRule", true, &rule)) {
		json_object_set_new(a->as_put, "AlarmRule", json_string(rule));
		put(c, a);
	} else {
		alarm_free(a);
	}
}

static json_t *alarm_json(struct call *c, const struct alarm *a)
{
	json_t *out = json_copy(a->as_put);
	json_object_set_new(out, "AlarmName", json_string(a->name));
	json_object_set_new(out, "AlarmArn",
			    json_string(arena_printf(c->arena, "arn:%s:cloudwatch:%s:" WORLD_ACCOUNT ":alarm:%s",
						     endpoint_partition(c->region), c->region, a->name)));
	json_object_set_new(out, "StateValue", json_string(alarm_value_name(a->state)));
	json_object_set_new(out, "StateReason", json_string(a->reason));
	if (a->reason_data)
		json_object_set_new(out, "StateReasonData", json_string(a->reason_data));
	json_object_set_new(out, "AlarmConfigurationUpdatedTimestamp", json_real((double)a->configured_ms / 1000));
	json_object_set_new(out, "StateUpdatedTimestamp", json_real((double)a->updated_ms / 1000));
	json_object_set_new(out, "StateTransitionedTimestamp", json_real((double)a->updated_ms / 1000));
	return out;
}

struct alarm_filter {
	json_t *names;
	const char *prefix;
	const char *state;
	bool metric;
	bool composite;
	uint64_t first;
	size_t most;
};

static bool list_holds(json_t *list, const char *text)
{
	size_t i;
	json_t *item;
	json_array_foreach(list, i, item)
	{
		if (json_is_string(item) && strcmp(json_string_value(item), text) == 0)
			return true;
	}
	return false;
}

static bool read_filter(struct call *c, struct alarm_filter *ret)
{
	struct field f = {c, c->in, ""};
	json_t *types;
	const char *token = NULL;
	double most = DESCRIBE_MAX;
	*ret = (struct alarm_filter){0};
	if (!cloudwatch_list(&f, "AlarmNames", &ret->names) || !cloudwatch_list(&f, "AlarmTypes", &types) ||
	    !cloudwatch_text(&f, "AlarmNamePrefix", false, &ret->prefix) ||
	    !cloudwatch_text(&f, "StateValue", false, &ret->state) ||
	    !cloudwatch_text(&f, "NextToken", false, &token) || !cloudwatch_number(&f, "MaxRecords", false, &most))
		return false;
	if (ret->names && ret->prefix) {
		call_fail(c, &cloudwatch_error_combination,
			  "The parameters AlarmNames and AlarmNamePrefix are mutually exclusive.");
		return false;
	}
	if (json_array_size(ret->names) > DESCRIBE_MAX || !(most >= 1 && most <= DESCRIBE_MAX)) {
		call_fail(c, &cloudwatch_error_validation,
			  "1 validation error detected: at most %d AlarmNames, and MaxRecords from 1 to %d.",
			  DESCRIBE_MAX, DESCRIBE_MAX);
		return false;
	}
	if (token && text_parse_u64(token, ALARMS_MAX, &ret->first) != 0) {
		call_fail(c, &cloudwatch_error_token, "The NextToken is not one that rollout-localaws gave.");
		return false;
	}
	/* Without AlarmTypes, composite alarms are not shown. */
	ret->metric = !types || list_holds(types, "MetricAlarm");
	ret->composite = types && list_holds(types, "CompositeAlarm");
	ret->most = (size_t)most;
	return true;
}

static bool alarm_matches(const struct alarm *a, const struct alarm_filter *f)
{
	return (a->composite ? f->composite : f->metric) && (!f->names || list_holds(f->names, a->name)) &&
	       (!f->prefix || text_starts_with(a->name, f->prefix)) &&
	       (!f->state || strcmp(f->state, alarm_value_name(a->state)) == 0);
}

void cloudwatch_describe_alarms(struct call *c)
{
	struct alarm_filter f;
	if (!read_filter(c, &f))
		return;
	const struct table *all = &c->w->alarms.by_name;
	json_t *metric = json_array(), *composite = json_array();
	uint64_t i = f.first;
	for (size_t shown = 0; i < all->len && shown < f.most; i++) {
		const struct alarm *a = all->entries[i].value;
		if (!alarm_matches(a, &f))
			continue;
		json_array_append_new(a->composite ? composite : metric, alarm_json(c, a));
		shown++;
	}
	json_t *out = json_pack("{s:o, s:o, s:[]}", "MetricAlarms", metric, "CompositeAlarms", composite, "LogAlarms");
	for (; i < all->len; i++)
		if (alarm_matches(all->entries[i].value, &f)) {
			json_object_set_new(out, "NextToken",
					    json_string(arena_printf(c->arena, "%llu", (unsigned long long)i)));
			break;
		}
	cloudwatch_answer(c, out);
}

void cloudwatch_set_alarm_state(struct call *c)
{
	struct field f = {c, c->in, ""};
	const char *name, *value, *reason, *data = NULL;
	enum alarm_value state;
	if (!cloudwatch_text(&f, "AlarmName", true, &name) || !cloudwatch_text(&f, "StateValue", true, &value) ||
	    !cloudwatch_text(&f, "StateReason", true, &reason) ||
	    !cloudwatch_text(&f, "StateReasonData", false, &data) ||
	    !read_choice(&f, "stateValue", value, alarm_value_parse(value, &state), "INSUFFICIENT_DATA, ALARM, OK"))
		return;
	struct alarm *a = alarms_find(&c->w->alarms, name);
	if (!a) {
		call_fail(c, &cloudwatch_error_not_found, NULL);
		return;
	}
	alarm_set_state(a, state, reason, data, c->w->now_ms);
	cloudwatch_answer(c, json_object());
}

void cloudwatch_delete_alarms(struct call *c)
{
	struct field f = {c, c->in, ""};
	json_t *names, *name;
	size_t i;
	if (!cloudwatch_list(&f, "AlarmNames", &names))
		return;
	/* All or nothing. */
	json_array_foreach(names, i, name)
	{
		if (!json_is_string(name) || !alarms_find(&c->w->alarms, json_string_value(name))) {
			call_fail(c, &cloudwatch_error_not_found, NULL);
			return;
		}
	}
	json_array_foreach(names, i, name)
	{
		(void)alarms_remove(&c->w->alarms, json_string_value(name));
	}
	cloudwatch_answer(c, json_object());
}
