/*
 * CloudWatch's operations, by its JSON 1.0 and its query protocol. Both are read into one JSON tree (call->in), in
 * which numbers, booleans and times of the query protocol are texts, and answered from one.
 */
#pragma once

#include "sim/call.h"

extern const struct call_error cloudwatch_error_value;
extern const struct call_error cloudwatch_error_combination;
extern const struct call_error cloudwatch_error_missing;
extern const struct call_error cloudwatch_error_validation;
extern const struct call_error cloudwatch_error_not_found;
extern const struct call_error cloudwatch_error_token;
extern const struct call_error cloudwatch_error_limit;

/* Reads a form-encoded body into a new tree; NULL when it is none. */
json_t *cloudwatch_read_form(struct call *c);
/* The operation's name: X-Amz-Target or Action; NULL when there is none. */
const char *cloudwatch_operation(struct call *c);
/* Takes the reference. Keys that end in "Timestamp" or "Timestamps" hold seconds since the epoch. */
void cloudwatch_answer(struct call *c, json_t *result);

/*
 * Fields of a structure. Each returns false after it has answered with an error; an absent field leaves *ret alone,
 * but is an error when `required`. `where` is the path before the key, "" at the top.
 */
struct field {
	struct call *c;
	json_t *from;
	const char *where;
};
bool cloudwatch_text(const struct field *f, const char *key, bool required, const char **ret);
bool cloudwatch_number(const struct field *f, const char *key, bool required, double *ret);
bool cloudwatch_time(const struct field *f, const char *key, bool required, int64_t *ret_ms);
bool cloudwatch_bool(const struct field *f, const char *key, bool *ret);
bool cloudwatch_list(const struct field *f, const char *key, json_t **ret); /* NULL when absent or empty */
bool cloudwatch_dimensions(const struct field *f, struct dimension out[static METRICS_DIMENSIONS_MAX], size_t *ret_n);
/* A period in seconds: 1, 5, 10, 20, 30, any multiple of 60, and any multiple of the world's own period. */
bool cloudwatch_period(const struct field *f, const char *key, int64_t *ret_ms);

void cloudwatch_get_metric_data(struct call *c);
void cloudwatch_get_metric_statistics(struct call *c);
void cloudwatch_put_metric_data(struct call *c);
void cloudwatch_list_metrics(struct call *c);
void cloudwatch_put_metric_alarm(struct call *c);
void cloudwatch_put_composite_alarm(struct call *c);
void cloudwatch_describe_alarms(struct call *c);
void cloudwatch_set_alarm_state(struct call *c);
void cloudwatch_delete_alarms(struct call *c);

void sts_get_caller_identity(struct call *c);
