#include "plan/schema.h"

#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/macros.h"
#include "plan/target.h"

/* Counts stay far below what JSON's numbers hold exactly. */
#define COUNT_MAX INT64_C(1000000000000)

static const char *const api_versions[] = {"rolloutd/v1", NULL};
static const char *const kinds[] = {"Rollout", NULL};
/* In the order of enum spec_no_data, spec_reaction, spec_pace and of spec.start_manual. */
static const char *const no_data_choices[] = {"hold", "pass", "rollback", NULL};
static const char *const reactions[] = {"rollback", "pause", NULL};
static const char *const paces[] = {"evidence", "clock", NULL};
static const char *const starts[] = {"auto", "manual", NULL};

#define LATER(key_name, text)                                                                                          \
	{                                                                                                              \
		.name = (key_name), .state = SCHEMA_LATER, .about = (text)                                             \
	}

static const struct schema_key version_keys[] = {
    LATER("publish", "Publishes a new version first."),
    LATER("from_alias", "Takes the version that another alias serves."),
    LATER("soak", "How long the other alias must have served it."),
};
static const struct schema_object schema_version = {
    .noun = "`version`",
    .place = "in `version`",
    .keys = version_keys,
    .n_keys = array_len(version_keys),
};

static const struct schema_key step_keys[] = {
    [STEP_WEIGHT] = {.name = "weight",
		     .type = SCHEMA_PERCENT_BP,
		     .required = true,
		     .min = 1,
		     .max = 10000,
		     .example = "5%",
		     .about = "The new version's share of the alias's traffic, with at most two decimals. Weights rise "
			      "from step to step; 100% may only be the last one."},
    [STEP_BAKE] = {.name = "bake",
		   .type = SCHEMA_DURATION,
		   .min = 0,
		   .max = LIMIT_BAKE_MS,
		   .example = "5m",
		   .about =
		       "How long the weight is held while the new version is watched. Needed for every step before "
		       "100%; at 100% it is the final bake."},
    [STEP_MIN_INVOCATIONS] = {.name = "min_invocations",
			      .type = SCHEMA_COUNT,
			      .min = 0,
			      .max = COUNT_MAX,
			      .fallback = "0",
			      .example = "500",
			      .about = "The step does not end before the new version has served this many requests in "
				       "it."},
    [STEP_APPROVE] = {.name = "approve",
		      .type = SCHEMA_BOOL,
		      .fallback = "false",
		      .example = "true",
		      .about = "After the step, wait for `rolloutctl promote`."},
};
const struct schema_object schema_step = {
    .noun = "a step",
    .place = "in a step",
    .keys = step_keys,
    .n_keys = array_len(step_keys),
};

static const struct schema_key errors_keys[] = {
    [ERRORS_MAX_RATE] = {.name = "max_rate",
			 .type = SCHEMA_PERCENT_PPM,
			 .required = true,
			 .min = 0,
			 .max = 1000000,
			 .example = "1%",
			 .about = "The new version fails when its errors exceed this share of its invocations, in one "
				  "metric period, in the step or in the whole rollout. At most four decimals."},
    [ERRORS_MIN_INVOCATIONS] = {.name = "min_invocations",
				.type = SCHEMA_COUNT,
				.min = 1,
				.max = COUNT_MAX,
				.fallback = "50",
				.example = "50",
				.about = "A rate is judged from this many invocations on, and a step passes only with "
					 "as many."},
    LATER("compare", "Compares with the stable version."),
    LATER("false_alarm", "The accepted chance of a false alarm when comparing."),
    LATER("min_effect", "The smallest difference that matters when comparing."),
    LATER("failure_limit", "How many failed judgements in a row count as a failure."),
    LATER("dry_run", "Judged and shown, without any consequence."),
};
const struct schema_object schema_errors = {
    .noun = "`errors`",
    .place = "in `errors`",
    .keys = errors_keys,
    .n_keys = array_len(errors_keys),
};

static const struct schema_key metric_keys[] = {
    [METRIC_ERRORS] = {.name = "errors",
		       .type = SCHEMA_OBJECT,
		       .object = &schema_errors,
		       .example = "{max_rate: 1%, min_invocations: 50}",
		       .about = "The new version's own Errors and Invocations, as Lambda counts them."},
    [METRIC_ALARM] = {.name = "alarm",
		      .type = SCHEMA_TEXT,
		      .check = target_check_alarm,
		      .pattern = "^(?!arn:aws).{1,255}$",
		      .example = "hello-prod-5xx",
		      .about =
			  "The name of a CloudWatch alarm, composite ones included. The rollout fails when it is in "
			  "ALARM."},
    LATER("throttles", "Throttled invocations."),
    LATER("duration", "Durations of invocations."),
    LATER("api_5xx", "Answers of an API Gateway stage with a status of 5xx."),
    LATER("query", "Any CloudWatch metric query."),
    LATER("failure_limit", "How many failed judgements in a row count as a failure."),
    LATER("dry_run", "Judged and shown, without any consequence."),
};
const struct schema_object schema_metric = {
    .noun = "an item of `metrics`",
    .place = "in an item of `metrics`",
    .keys = metric_keys,
    .n_keys = array_len(metric_keys),
};

static const struct schema_key analysis_keys[] = {
    [ANALYSIS_EVERY] = {.name = "every",
			.type = SCHEMA_DURATION,
			.min = MS_PER_SECOND,
			.max = MS_PER_HOUR,
			.fallback = "60s",
			.example = "60s",
			.about =
			    "How often metrics and alarms are read. Left out it is 60s, or the period where that is "
			    "shorter. It may be shorter than the period, which finds alarms and corrected data "
			    "sooner and costs more calls."},
    [ANALYSIS_SETTLE] = {.name = "settle",
			 .type = SCHEMA_DURATION,
			 .min = 0,
			 .max = MS_PER_HOUR,
			 .fallback = "60s",
			 .example = "60s",
			 .about =
			     "How long after its end a metric period is believed, since CloudWatch delivers late."},
    [ANALYSIS_PERIOD] = {.name = "period",
			 .type = SCHEMA_DURATION,
			 .min = MS_PER_SECOND,
			 .max = MS_PER_HOUR,
			 .fallback = "60s",
			 .example = "60s",
			 .about = "The metric period: 1s, 5s, 10s, 30s or whole minutes. AWS Lambda publishes its own "
				  "metrics once a minute."},
    [ANALYSIS_NO_DATA] = {.name = "no_data",
			  .type = SCHEMA_CHOICE,
			  .choices = no_data_choices,
			  .fallback = "hold",
			  .example = "hold",
			  .about = "What a window without any data means: wait for data, count it as a pass, or roll "
				   "back."},
    [ANALYSIS_HOLD_LIMIT] = {.name = "hold_limit",
			     .type = SCHEMA_DURATION,
			     .min = 1,
			     .max = LIMIT_BAKE_MS,
			     .fallback = "1h",
			     .example = "1h",
			     .about = "How long a step may be held for want of a verdict."},
    [ANALYSIS_ON_HOLD_LIMIT] = {.name = "on_hold_limit",
				.type = SCHEMA_CHOICE,
				.choices = reactions,
				.fallback = "pause",
				.example = "pause",
				.about = "What happens when hold_limit is reached."},
    [ANALYSIS_PACE] = {.name = "pace",
		       .type = SCHEMA_CHOICE,
		       .choices = paces,
		       .fallback = "evidence",
		       .example = "evidence",
		       .about =
			   "evidence: a step also waits until its own metric periods have settled and been judged. "
			   "clock: steps go by the clock unless something fails, and only the last promotion waits "
			   "for evidence."},
    [ANALYSIS_METRICS] = {.name = "metrics",
			  .type = SCHEMA_LIST,
			  .object = &schema_metric,
			  .min = 1,
			  .max = LIMIT_METRICS,
			  .example = "[{errors: {max_rate: 1%}}]",
			  .about =
			      "What is watched; each item holds one metric. The rollout fails when any of them does. "
			      "Left out it is errors: {max_rate: 1%, min_invocations: 50}."},
    LATER("experiment", "Compares two new versions."),
    LATER("failure_limit", "How many failed judgements in a row count as a failure."),
    LATER("dry_run", "Judged and shown, without any consequence."),
};
const struct schema_object schema_analysis = {
    .noun = "`analysis`",
    .place = "in `analysis`",
    .keys = analysis_keys,
    .n_keys = array_len(analysis_keys),
};

static const struct schema_key plan_keys[] = {
    [TOP_API_VERSION] = {.name = "apiVersion",
			 .type = SCHEMA_CHOICE,
			 .required = true,
			 .choices = api_versions,
			 .example = "rolloutd/v1",
			 .about = "The format of this file."},
    [TOP_KIND] = {.name = "kind",
		  .type = SCHEMA_CHOICE,
		  .required = true,
		  .choices = kinds,
		  .example = "Rollout",
		  .about = "What this file describes."},
    [TOP_NAME] = {.name = "name",
		  .type = SCHEMA_TEXT,
		  .required = true,
		  .check = target_check_name,
		  .pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
		  .example = "hello-prod",
		  .about = "The rollout's name, unique among all plans."},
    [TOP_FUNCTION] = {.name = "function",
		      .type = SCHEMA_TEXT,
		      .required = true,
		      .check = target_check_function,
		      .pattern = "^((arn:aws[A-Za-z-]*:lambda:[a-z]+(-[a-z]+)+-[0-9]{1,2}:)?[0-9]{12}:function:)?"
				 "[A-Za-z0-9_-]{1,64}$",
		      .example = "hello",
		      .about = "The Lambda function: its name, its ARN, or its partial ARN "
			       "(123456789012:function:hello). Without a qualifier."},
    [TOP_ALIAS] = {.name = "alias",
		   .type = SCHEMA_TEXT,
		   .required = true,
		   .check = target_check_alias,
		   .pattern = "^(?![0-9]+$)[A-Za-z0-9_-]{1,128}$",
		   .example = "prod",
		   .about = "The alias whose traffic is moved. It must exist."},
    [TOP_REGION] = {.name = "region",
		    .type = SCHEMA_TEXT,
		    .check = target_check_region,
		    .pattern = "^[a-z]+(-[a-z]+)+-[0-9]{1,2}$",
		    .example = "us-east-1",
		    .about = "The AWS region. Left out it is the ARN's, the account's or the configuration's."},
    [TOP_ACCOUNT] = {.name = "account",
		     .type = SCHEMA_TEXT,
		     .check = target_check_account,
		     .pattern = "^[A-Za-z0-9._-]{1,64}$",
		     .fallback = "default",
		     .example = "prod-eu",
		     .about = "The AWS identity to use: a name under `accounts` in rolloutd.yaml."},
    [TOP_VERSION] = {.name = "version",
		     .type = SCHEMA_TEXT,
		     .required = true,
		     .min = 1, /* may be a number */
		     .check = target_check_version,
		     .pattern = "^([1-9][0-9]*|latest)$",
		     .object = &schema_version,
		     .example = "2",
		     .about = "The published version to roll out: its number, or `latest`, the newest published one."},
    [TOP_STRATEGY] =
	{.name = "strategy",
	 .type = SCHEMA_TEXT,
	 .pattern = "^(CodeDeployDefault\\.(Lambda)?)?(AllAtOnce|Canary[1-9][0-9]?Percent[1-9][0-9]*Minutes?|"
		    "Linear[1-9][0-9]?PercentEvery[1-9][0-9]*Minutes?)$",
	 .example = "Linear10PercentEvery1Minute",
	 .about = "A schedule by its CodeDeploy name, with any numbers, instead of `steps`. With neither, it is "
		  "Canary10Percent5Minutes."},
    [TOP_STEPS] = {.name = "steps",
		   .type = SCHEMA_LIST,
		   .object = &schema_step,
		   .min = 1,
		   .max = LIMIT_STEPS + 1, /* 100% is one more */
		   .example = "[{weight: 5%, bake: 5m}]",
		   .about = "The weights, one after the other, before all traffic moves."},
    [TOP_FINAL_BAKE] = {.name = "final_bake",
			.type = SCHEMA_DURATION,
			.min = 0,
			.max = LIMIT_BAKE_MS,
			.fallback = "0s",
			.example = "15m",
			.about = "How long the new version is watched at 100%, the stable one ready to come back."},
    [TOP_ANALYSIS] = {.name = "analysis",
		      .type = SCHEMA_OBJECT,
		      .object = &schema_analysis,
		      .fallback = "{}",
		      .example = "{metrics: [{errors: {max_rate: 1%}}]}",
		      .about = "How the new version is judged."},
    [TOP_ON_FAILURE] = {.name = "on_failure",
			.type = SCHEMA_CHOICE,
			.choices = reactions,
			.fallback = "rollback",
			.example = "rollback",
			.about =
			    "What a failed verdict does: all traffic back at once, or stop and wait for an operator."},
    [TOP_START] = {.name = "start",
		   .type = SCHEMA_CHOICE,
		   .choices = starts,
		   .fallback = "auto",
		   .example = "auto",
		   .about = "manual: wait in pending for `rolloutctl promote`."},
    [TOP_FROM_STRATEGY] = {.name = "from_strategy",
			   .type = SCHEMA_TEXT,
			   .example = "Linear10PercentEvery1Minute",
			   .about =
			       "For display only: the strategy that `steps` were written out from. rolloutd writes it "
			       "into the normalised form of a plan; the steps must be that strategy's."},
    LATER("hooks", "Functions, programs and URLs called before and after traffic moves."),
    LATER("publish", "Publishes a new version first."),
    LATER("from_alias", "Takes the version that another alias serves."),
    LATER("experiment", "Compares two new versions."),
    LATER("probe", "A real request after a change."),
    LATER("dry_run", "Everything but the writes."),
    LATER("group", "Rollouts that go back together."),
    LATER("freeze", "Times at which nothing moves."),
    LATER("code", "Code to publish; of kind: Service."),
    LATER("aliases", "Aliases to keep as declared; of kind: Service."),
    LATER("api", "An API Gateway API to keep as declared; of kind: Service."),
};
const struct schema_object schema_plan = {
    .noun = "a plan",
    .place = "at the top level",
    .keys = plan_keys,
    .n_keys = array_len(plan_keys),
};

const struct schema_object *const schema_objects[] = {
    &schema_plan, &schema_step, &schema_analysis, &schema_metric, &schema_errors, &schema_version,
};
const size_t schema_n_objects = array_len(schema_objects);

const struct schema_key *schema_find(const struct schema_object *o, const char *name)
{
	for (size_t i = 0; i < o->n_keys; i++)
		if (strcmp(o->keys[i].name, name) == 0)
			return &o->keys[i];
	return NULL;
}
