/* The keys of an analysis: what is watched, and when it speaks against the new version. */
#include "base/limits.h"
#include "base/macros.h"
#include "plan/schema.h"
#include "plan/target.h"
#include "plan/texts.h"

/* In the order of enum spec_no_data and spec_pace. */
static const char *const no_data_choices[] = {"hold", "pass", "rollback", NULL};
static const char *const paces[] = {"evidence", "clock", NULL};
static const char *const compared[] = {"stable", NULL};
static const char *const probe_choices[] = {"count", "ignore", NULL}; /* whether they count, from true to false */

static const struct schema_key key_failure_limit = {.name = "failure_limit",
						    .type = SCHEMA_COUNT,
						    .min = 1,
						    .max = 1000,
						    .fallback = "1",
						    .example = "2",
						    .about =
							"So many metric periods must fail before the metric does."};
static const struct schema_key key_dry_run = {.name = "dry_run",
					      .type = SCHEMA_BOOL,
					      .fallback = "false",
					      .example = "true",
					      .about = "Judged and shown, without any consequence."};
static const struct schema_key key_max_rate = {
    .name = "max_rate",
    .type = SCHEMA_PERCENT_PPM,
    .required = true,
    .min = 0,
    .max = 1000000,
    .example = "1%",
    .about = "A metric period fails when the share is higher. At most four decimals."};

/* From how many requests on a period is judged. */
#define MIN_INVOCATIONS(count, text)                                                                                   \
	SCHEMA_KEY(.name = "min_invocations", .type = SCHEMA_COUNT, .min = 1, .max = SCHEMA_COUNT_MAX,                 \
		   .fallback = (count), .example = (count), .about = (text))

static const struct schema_key *const errors_keys[] = {
    [ERRORS_MAX_RATE] =
	SCHEMA_KEY(.name = "max_rate", .type = SCHEMA_PERCENT_PPM, .min = 0, .max = 1000000, .example = "1%",
		   .about = "The new version fails when its errors exceed this share of its invocations, in one "
			    "metric period, in the step or in the whole rollout. At most four decimals. Either this "
			    "or `compare`."),
    [ERRORS_COMPARE] =
	SCHEMA_KEY(.name = "compare", .type = SCHEMA_CHOICE, .choices = compared, .example = "stable",
		   .about = "The new version fails when its errors, held against those of the stable version in the "
			    "same periods, are more than chance explains. Either this or `max_rate`."),
    [ERRORS_FALSE_ALARM] =
	SCHEMA_KEY(.name = "false_alarm", .type = SCHEMA_PERCENT_PPM, .min = 1, .max = 500000, .fallback = "1%",
		   .example = "1%",
		   .about = "With `compare`: the accepted chance that a version which is no worse fails at any time of "
			    "the rollout. At most four decimals."),
    [ERRORS_MIN_EFFECT] =
	SCHEMA_KEY(.name = "min_effect", .type = SCHEMA_PERMILLE, .min = 1001, .max = 100000, .fallback = "1.25",
		   .example = "1.5",
		   .about =
		       "With `compare`: how many times as high the odds of an error must be to matter. At most three "
		       "decimals."),
    [ERRORS_MIN_INVOCATIONS] =
	SCHEMA_KEY(.name = "min_invocations", .type = SCHEMA_COUNT, .min = 1, .max = SCHEMA_COUNT_MAX, .example = "50",
		   .about = "A rate is judged from this many invocations on, and a step passes only with "
			    "as many. Left out it is 50 with `max_rate` and 1 with `compare`."),
    [ERRORS_FAILURE_LIMIT] =
	SCHEMA_KEY(.name = "failure_limit", .type = SCHEMA_COUNT, .min = 1, .max = 1000, .fallback = "1",
		   .example = "2",
		   .about = "With `max_rate`: so many metric periods must fail before the metric does."),
    [ERRORS_DRY_RUN] = &key_dry_run,
    [ERRORS_PROBES] =
	SCHEMA_KEY(.name = "probes", .type = SCHEMA_CHOICE, .choices = probe_choices, .fallback = "count",
		   .example = "ignore", .about = "Whether the requests of the analysis's `probe` count here, too."),
};
const struct schema_object schema_errors = {
    .noun = "`errors`",
    .place = "in `errors`",
    .keys = errors_keys,
    .n_keys = array_len(errors_keys),
};

static const struct schema_key *const throttles_keys[] = {
    [THROTTLES_MAX_RATE] = &key_max_rate,
    [THROTTLES_MIN_INVOCATIONS] =
	MIN_INVOCATIONS("50", "A period is judged from this many requests on, the throttled ones included."),
    [THROTTLES_FAILURE_LIMIT] = &key_failure_limit,
    [THROTTLES_DRY_RUN] = &key_dry_run,
};
const struct schema_object schema_throttles = {
    .noun = "`throttles`",
    .place = "in `throttles`",
    .keys = throttles_keys,
    .n_keys = array_len(throttles_keys),
};

static const struct schema_key *const duration_keys[] = {
    [DURATION_STAT] =
	SCHEMA_KEY(.name = "stat", .type = SCHEMA_TEXT, .required = true, .check = texts_check_stat,
		   .pattern = "^(p([0-9]{1,2}(\\.[0-9]{1,2})?|100(\\.00?)?)|Average|Maximum|Minimum)$",
		   .example = "p99",
		   .about = "What of a period's durations is judged: p0 to p100, with at most two decimals, "
			    "Average, Maximum or Minimum."),
    [DURATION_MAX] = SCHEMA_KEY(.name = "max", .type = SCHEMA_DURATION, .min = 1, .max = 15 * MS_PER_MINUTE,
				.example = "800ms", .about = "A period fails when the new version takes longer."),
    [DURATION_MAX_RATIO] =
	SCHEMA_KEY(.name = "max_ratio", .type = SCHEMA_PERMILLE, .min = 1000, .max = 100000, .example = "1.5",
		   .about = "A period fails when the new version takes more than so many times as long as the stable "
			    "one. At most three decimals."),
    [DURATION_WARM_UP] =
	SCHEMA_KEY(.name = "warm_up", .type = SCHEMA_DURATION, .min = 0, .max = MS_PER_DAY, .fallback = "3m",
		   .example = "3m",
		   .about = "The new version's first time with traffic, which is not judged: cold starts take longer."),
    [DURATION_MIN_INVOCATIONS] =
	MIN_INVOCATIONS("20", "A period is judged from this many invocations of the new version on."),
    [DURATION_FAILURE_LIMIT] = &key_failure_limit,
    [DURATION_DRY_RUN] = &key_dry_run,
};
const struct schema_object schema_duration = {
    .noun = "`duration`",
    .place = "in `duration`",
    .keys = duration_keys,
    .n_keys = array_len(duration_keys),
};

static const struct schema_key *const api_5xx_keys[] = {
    [API_5XX_API] = SCHEMA_KEY(.name = "api", .type = SCHEMA_TEXT, .required = true, .check = texts_check_api_name,
			       .pattern = "^.{1,128}$", .example = "hello-api",
			       .about = "The API as CloudWatch knows it: a REST API's name, an HTTP API's id."),
    [API_5XX_STAGE] =
	SCHEMA_KEY(.name = "stage", .type = SCHEMA_TEXT, .required = true, .check = texts_check_stage,
		   .pattern = "^([A-Za-z0-9_]{1,128}|\\$default|-)$", .example = "prod", .about = "The stage."),
    [API_5XX_TYPE] = SCHEMA_KEY(.name = "type", .type = SCHEMA_CHOICE, .choices = schema_api_types, .fallback = "rest",
				.example = "http", .about = "A REST API or an HTTP API."),
    [API_5XX_MAX_RATE] = &key_max_rate,
    [API_5XX_MIN_INVOCATIONS] = MIN_INVOCATIONS("50", "A period is judged from this many requests to the stage on."),
    [API_5XX_FAILURE_LIMIT] = &key_failure_limit,
    [API_5XX_DRY_RUN] = &key_dry_run,
};
const struct schema_object schema_api_5xx = {
    .noun = "`api_5xx`",
    .place = "in `api_5xx`",
    .keys = api_5xx_keys,
    .n_keys = array_len(api_5xx_keys),
};

#define PATTERN_ALARM "^(?!arn:aws).{1,255}$"

static const struct schema_key *const alarm_keys[] = {
    [ALARM_KEY_NAME] = SCHEMA_KEY(.name = "name", .type = SCHEMA_TEXT, .required = true, .check = target_check_alarm,
				  .pattern = PATTERN_ALARM, .example = "hello-prod-5xx", .about = "The alarm's name."),
    [ALARM_KEY_DRY_RUN] = &key_dry_run,
};
const struct schema_object schema_alarm = {
    .noun = "`alarm`",
    .place = "in `alarm`",
    .keys = alarm_keys,
    .n_keys = array_len(alarm_keys),
};

/* What CloudWatch itself calls a MetricDataQuery, with its own words for the keys; every part of it that exists. */
#define CW_TEXT(key_name, must, checker, good, text)                                                                   \
	SCHEMA_KEY(.name = (key_name), .type = SCHEMA_TEXT, .required = (must), .check = (checker), .example = (good), \
		   .about = (text))

static const struct schema_key key_data_period = {.name = "Period",
						  .type = SCHEMA_COUNT,
						  .min = 1,
						  .max = 3600,
						  .example = "60",
						  .about = "Seconds; those of the analysis's `period`."};

static const struct schema_key *const dimension_keys[] = {
    [DIMENSION_NAME] = CW_TEXT("Name", true, texts_check_metric_word, "QueueName", "The dimension's name."),
    [DIMENSION_VALUE] = CW_TEXT("Value", true, texts_check_dimension_value, "hello", "The dimension's value."),
};
const struct schema_object schema_dimension = {
    .noun = "a dimension",
    .place = "in a dimension",
    .keys = dimension_keys,
    .n_keys = array_len(dimension_keys),
};

static const struct schema_key *const cw_metric_keys[] = {
    [CW_METRIC_NAMESPACE] = CW_TEXT("Namespace", true, texts_check_metric_word, "AWS/SQS", "The metric's namespace."),
    [CW_METRIC_NAME] =
	CW_TEXT("MetricName", true, texts_check_metric_word, "NumberOfMessagesSent", "The metric's name."),
    [CW_METRIC_DIMENSIONS] =
	SCHEMA_KEY(.name = "Dimensions", .type = SCHEMA_LIST, .object = &schema_dimension, .min = 1, .max = 30,
		   .example = "[{Name: QueueName, Value: hello}]", .about = "All dimensions of the metric."),
};
const struct schema_object schema_cw_metric = {
    .noun = "`Metric`",
    .place = "in `Metric`",
    .keys = cw_metric_keys,
    .n_keys = array_len(cw_metric_keys),
};

static const struct schema_key *const metric_stat_keys[] = {
    [METRIC_STAT_METRIC] =
	SCHEMA_KEY(.name = "Metric", .type = SCHEMA_OBJECT, .required = true, .object = &schema_cw_metric,
		   .example = "{Namespace: AWS/SQS, MetricName: NumberOfMessagesSent}", .about = "Which metric."),
    [METRIC_STAT_PERIOD] = &key_data_period,
    [METRIC_STAT_STAT] = CW_TEXT("Stat", true, texts_check_metric_word, "Sum", "The statistic: Sum, Average, p99 …"),
    [METRIC_STAT_UNIT] = CW_TEXT("Unit", false, texts_check_metric_word, "Count", "Only data of this unit."),
};
const struct schema_object schema_metric_stat = {
    .noun = "`MetricStat`",
    .place = "in `MetricStat`",
    .keys = metric_stat_keys,
    .n_keys = array_len(metric_stat_keys),
};

static const struct schema_key *const data_query_keys[] = {
    [DATA_QUERY_ID] = SCHEMA_KEY(.name = "Id", .type = SCHEMA_TEXT, .required = true, .check = texts_check_data_id,
				 .pattern = "^[a-z][A-Za-z0-9_]{0,254}$", .example = "depth",
				 .about = "What expressions call it; begins with a small letter."),
    [DATA_QUERY_METRIC_STAT] =
	SCHEMA_KEY(.name = "MetricStat", .type = SCHEMA_OBJECT, .object = &schema_metric_stat,
		   .example = "{Metric: {Namespace: AWS/SQS, MetricName: NumberOfMessagesSent}, Period: 60, Stat: Sum}",
		   .about = "A metric. Either this or `Expression`."),
    [DATA_QUERY_EXPRESSION] = CW_TEXT("Expression", false, texts_check_expression, "errors / requests",
				      "Metric math, a SEARCH or a SELECT. Either this or `MetricStat`."),
    [DATA_QUERY_LABEL] = CW_TEXT("Label", false, texts_check_expression, "depth", "A name for people."),
    [DATA_QUERY_RETURN_DATA] =
	SCHEMA_KEY(.name = "ReturnData", .type = SCHEMA_BOOL, .example = "false",
		   .about = "Whether its value is the one that is judged; left out it is. Exactly one is."),
    [DATA_QUERY_PERIOD] = &key_data_period,
    [DATA_QUERY_ACCOUNT_ID] =
	SCHEMA_KEY(.name = "AccountId", .type = SCHEMA_TEXT, .min = 1, .check = texts_check_account_id,
		   .pattern = "^[0-9]{12}$", .example = "123456789012",
		   .about = "The account of the metric, where CloudWatch observes several."),
};
const struct schema_object schema_data_query = {
    .noun = "an item of `metric_data_queries`",
    .place = "in an item of `metric_data_queries`",
    .keys = data_query_keys,
    .n_keys = array_len(data_query_keys),
};

static const struct schema_key *const query_keys[] = {
    [QUERY_KEY_QUERIES] =
	SCHEMA_KEY(.name = "metric_data_queries", .type = SCHEMA_LIST, .required = true, .object = &schema_data_query,
		   .min = 1, .max = LIMIT_DATA_QUERIES,
		   .example = "[{Id: depth, MetricStat: {Metric: {Namespace: AWS/SQS, MetricName: "
			      "ApproximateAgeOfOldestMessage}, Period: 60, Stat: Maximum}}]",
		   .about = "MetricDataQueries as CloudWatch takes them, of which exactly one returns data."),
    [QUERY_KEY_MAX] = SCHEMA_KEY(.name = "max", .type = SCHEMA_NUMBER, .example = "250",
				 .about = "A period fails when the value is above it."),
    [QUERY_KEY_MIN] = SCHEMA_KEY(.name = "min", .type = SCHEMA_NUMBER, .example = "0.5",
				 .about = "A period fails when the value is below it."),
    [QUERY_KEY_FAILURE_LIMIT] = &key_failure_limit,
    [QUERY_KEY_DRY_RUN] = &key_dry_run,
};
const struct schema_object schema_query = {
    .noun = "`query`",
    .place = "in `query`",
    .keys = query_keys,
    .n_keys = array_len(query_keys),
};

static const struct schema_key *const metric_keys[] = {
    [METRIC_ERRORS] = SCHEMA_KEY(.name = "errors", .type = SCHEMA_OBJECT, .object = &schema_errors,
				 .example = "{max_rate: 1%, min_invocations: 50}",
				 .about = "The new version's own Errors and Invocations, as Lambda counts them."),
    [METRIC_THROTTLES] =
	SCHEMA_KEY(.name = "throttles", .type = SCHEMA_OBJECT, .object = &schema_throttles, .example = "{max_rate: 1%}",
		   .about = "The share of the alias's requests that Lambda turned away for want of "
			    "concurrency."),
    [METRIC_DURATION] =
	SCHEMA_KEY(.name = "duration", .type = SCHEMA_OBJECT, .object = &schema_duration,
		   .example = "{stat: p99, max: 800ms}", .about = "How long the new version takes for an invocation."),
    [METRIC_API_5XX] = SCHEMA_KEY(.name = "api_5xx", .type = SCHEMA_OBJECT, .object = &schema_api_5xx,
				  .example = "{api: hello-api, stage: prod, max_rate: 1%}",
				  .about = "The share of an API Gateway stage's answers with a status of 5xx."),
    [METRIC_ALARM] =
	SCHEMA_KEY(.name = "alarm", .type = SCHEMA_TEXT, .check = target_check_alarm, .pattern = PATTERN_ALARM,
		   .object = &schema_alarm, .example = "hello-prod-5xx",
		   .about = "The name of a CloudWatch alarm, composite ones included. The rollout fails when it is in "
			    "ALARM. Or a mapping that says more."),
    [METRIC_QUERY] = SCHEMA_KEY(.name = "query", .type = SCHEMA_OBJECT, .object = &schema_query,
				.example = "{metric_data_queries: [{Id: q, Expression: \"…\", Period: 60}], max: 250}",
				.about = "The value of any CloudWatch query, held against `max`, `min` or both."),
};
const struct schema_object schema_metric = {
    .noun = "an item of `metrics`",
    .place = "in an item of `metrics`",
    .keys = metric_keys,
    .n_keys = array_len(metric_keys),
};

static const struct schema_key *const probing_keys[] = {
    [PROBING_INVOKE] =
	SCHEMA_KEY(.name = "invoke", .type = SCHEMA_TEXT, .required = true, .check = texts_check_path,
		   .pattern = "^.{1,1024}$", .example = "probe.json",
		   .about = "A file beneath the plans folder with the event, JSON of at most 256 KiB, to invoke both "
			    "versions with."),
    [PROBING_RATE] =
	SCHEMA_KEY(.name = "rate", .type = SCHEMA_RATE, .required = true, .min = LIMIT_PROBE_EVERY_MS,
		   .max = MS_PER_HOUR, .example = "1/s",
		   .about = "How often each version is invoked: N/s, N/m or N/h; at most 10/s, at least 1/h."),
};
const struct schema_object schema_probing = {
    .noun = "`probe`",
    .place = "in the `probe` of an analysis",
    .keys = probing_keys,
    .n_keys = array_len(probing_keys),
};

static const struct schema_key *const analysis_keys[] = {
    [ANALYSIS_EVERY] =
	SCHEMA_KEY(.name = "every", .type = SCHEMA_DURATION, .min = MS_PER_SECOND, .max = MS_PER_HOUR,
		   .fallback = "60s", .example = "60s",
		   .about = "How often metrics and alarms are read. Left out it is 60s, or the period where that is "
			    "shorter. It may be shorter than the period, which finds alarms and corrected data "
			    "sooner and costs more calls."),
    [ANALYSIS_SETTLE] =
	SCHEMA_KEY(.name = "settle", .type = SCHEMA_DURATION, .min = 0, .max = MS_PER_HOUR, .fallback = "60s",
		   .example = "60s",
		   .about = "How long after its end a metric period is believed, since CloudWatch delivers late."),
    [ANALYSIS_PERIOD] =
	SCHEMA_KEY(.name = "period", .type = SCHEMA_DURATION, .min = MS_PER_SECOND, .max = MS_PER_HOUR,
		   .fallback = "60s", .example = "60s",
		   .about = "The metric period: 1s, 5s, 10s, 30s or whole minutes. AWS Lambda publishes its own "
			    "metrics once a minute."),
    [ANALYSIS_NO_DATA] =
	SCHEMA_KEY(.name = "no_data", .type = SCHEMA_CHOICE, .choices = no_data_choices, .fallback = "hold",
		   .example = "hold",
		   .about = "What a window without any data means: wait for data, count it as a pass, or roll "
			    "back."),
    [ANALYSIS_HOLD_LIMIT] =
	SCHEMA_KEY(.name = "hold_limit", .type = SCHEMA_DURATION, .min = 1, .max = LIMIT_BAKE_MS, .fallback = "1h",
		   .example = "1h", .about = "How long a step may be held for want of a verdict."),
    [ANALYSIS_ON_HOLD_LIMIT] =
	SCHEMA_KEY(.name = "on_hold_limit", .type = SCHEMA_CHOICE, .choices = schema_reactions, .fallback = "pause",
		   .example = "pause", .about = "What happens when hold_limit is reached."),
    [ANALYSIS_PACE] =
	SCHEMA_KEY(.name = "pace", .type = SCHEMA_CHOICE, .choices = paces, .fallback = "evidence",
		   .example = "evidence",
		   .about = "evidence: a step also waits until its own metric periods have settled and been judged. "
			    "clock: steps go by the clock unless something fails, and only the last promotion waits "
			    "for evidence."),
    [ANALYSIS_PROBE] =
	SCHEMA_KEY(.name = "probe", .type = SCHEMA_OBJECT, .object = &schema_probing,
		   .example = "{invoke: probe.json, rate: 1/s}",
		   .about =
		       "Requests of rolloutd's own, to the new version and to the stable one alike, so that a function "
		       "with little traffic gives evidence."),
    [ANALYSIS_METRICS] =
	SCHEMA_KEY(.name = "metrics", .type = SCHEMA_LIST, .object = &schema_metric, .min = 1, .max = LIMIT_METRICS,
		   .example = "[{errors: {compare: stable}}]",
		   .about = "What is watched; each item holds one metric. The rollout fails when any of them does. "
			    "Left out it is errors: {compare: stable}."),
};
const struct schema_object schema_analysis = {
    .noun = "`analysis`",
    .place = "in `analysis`",
    .keys = analysis_keys,
    .n_keys = array_len(analysis_keys),
};
