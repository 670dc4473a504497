/*
 * Every key that a plan may have, in one table: the loader reads by it, the hints for unknown keys come from it, and
 * docs/plan.schema.json is printed from it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

enum schema_type {
	SCHEMA_TEXT,
	SCHEMA_CHOICE,	    /* number: index into choices */
	SCHEMA_DURATION,    /* number: milliseconds */
	SCHEMA_PERCENT_BP,  /* number: basis points */
	SCHEMA_PERCENT_PPM, /* number: parts per million */
	SCHEMA_COUNT,
	SCHEMA_PERMILLE, /* number: thousandths, of a decimal number */
	SCHEMA_NUMBER,	 /* text: any decimal number, for number_parse() */
	SCHEMA_RATE,	 /* number: milliseconds from one to the next */
	SCHEMA_BOOL,	 /* number: 0 or 1 */
	SCHEMA_OBJECT,
	SCHEMA_LIST, /* of objects */
	SCHEMA_MAP,  /* free keys, which `check` is for; values as `entry` says */
};

enum schema_state {
	SCHEMA_KNOWN,
	SCHEMA_LATER, /* its machinery comes with a later version: refused by name */
};

struct schema_object;

struct schema_key {
	const char *name;
	enum schema_state state;
	enum schema_type type;
	bool required;
	int64_t min; /* the smallest value; lists, maps: the fewest items; texts: 1 if it may be a number from there */
	int64_t max; /* the largest value; the most items */
	const char *fallback;	    /* what stands when the key is left out, as it would be written; NULL: nothing */
	const char *const *choices; /* NULL-terminated */
	/* Text, a map's keys: whether it will do; if not, `why` completes the sentence. */
	bool (*check)(const char *text, char *why, size_t size);
	const char *pattern; /* the same check for editors, as an ECMA 262 expression */
	/* Of an object, of a list's items; of a text that may be written as a mapping instead. */
	const struct schema_object *object;
	const struct schema_key *entry; /* of a map's values */
	const char *example;		/* a good value */
	const char *about;		/* one or two sentences, for people */
};

struct schema_object {
	const char *noun;  /* "a step" */
	const char *place; /* "in a step", "at the top level of a Rollout" */
	const struct schema_key *const *keys;
	size_t n_keys;
};

/* An entry of an object's keys, written in place. */
#define SCHEMA_KEY(...)			   (&(const struct schema_key){__VA_ARGS__})
#define SCHEMA_COMES_LATER(key_name, text) SCHEMA_KEY(.name = (key_name), .state = SCHEMA_LATER, .about = (text))

/* Indices into the objects' keys. Keys that come later stand behind these. */

/* Both kinds begin with these. */
enum { ROOT_API_VERSION, ROOT_KIND, ROOT_NAME, ROOT_FUNCTION, ROOT_REGION, ROOT_ACCOUNT, ROOT_KNOWN };
/* How traffic is moved: `rollout` of a service's alias, and a part of a Rollout. */
enum {
	HOW_STRATEGY,
	HOW_STEPS,
	HOW_EXPERIMENT,
	HOW_FINAL_BAKE,
	HOW_ANALYSIS,
	HOW_HOOKS,
	HOW_VERIFY,
	HOW_ON_FAILURE,
	HOW_START,
	HOW_FROM_STRATEGY,
	HOW_KNOWN,
};
enum {
	TOP_ALIAS = ROOT_KNOWN,
	TOP_VERSION,
	TOP_HOW,
	TOP_KEEP_VERSIONS = TOP_HOW + HOW_KNOWN,
	TOP_SERVICE,
	TOP_KNOWN,
};
enum { STEP_WEIGHT, STEP_BAKE, STEP_MIN_INVOCATIONS, STEP_APPROVE, STEP_KNOWN };
enum {
	ANALYSIS_EVERY,
	ANALYSIS_SETTLE,
	ANALYSIS_PERIOD,
	ANALYSIS_NO_DATA,
	ANALYSIS_HOLD_LIMIT,
	ANALYSIS_ON_HOLD_LIMIT,
	ANALYSIS_PACE,
	ANALYSIS_PROBE,
	ANALYSIS_METRICS,
	ANALYSIS_KNOWN,
};
enum { EXPERIMENT_WEIGHT, EXPERIMENT_FOR, EXPERIMENT_THEN, EXPERIMENT_KNOWN };
enum { PROBING_INVOKE, PROBING_RATE, PROBING_KNOWN }; /* `probe` of an analysis */
enum {
	METRIC_ERRORS,
	METRIC_THROTTLES,
	METRIC_DURATION,
	METRIC_API_5XX,
	METRIC_ALARM,
	METRIC_QUERY,
	METRIC_KNOWN,
};
enum {
	ERRORS_MAX_RATE,
	ERRORS_COMPARE,
	ERRORS_FALSE_ALARM,
	ERRORS_MIN_EFFECT,
	ERRORS_MIN_INVOCATIONS,
	ERRORS_FAILURE_LIMIT,
	ERRORS_DRY_RUN,
	ERRORS_PROBES,
	ERRORS_KNOWN,
};
enum { THROTTLES_MAX_RATE, THROTTLES_MIN_INVOCATIONS, THROTTLES_FAILURE_LIMIT, THROTTLES_DRY_RUN, THROTTLES_KNOWN };
enum {
	DURATION_STAT,
	DURATION_MAX,
	DURATION_MAX_RATIO,
	DURATION_WARM_UP,
	DURATION_MIN_INVOCATIONS,
	DURATION_FAILURE_LIMIT,
	DURATION_DRY_RUN,
	DURATION_KNOWN,
};
enum {
	API_5XX_API,
	API_5XX_STAGE,
	API_5XX_TYPE,
	API_5XX_MAX_RATE,
	API_5XX_MIN_INVOCATIONS,
	API_5XX_FAILURE_LIMIT,
	API_5XX_DRY_RUN,
	API_5XX_KNOWN,
};
enum { ALARM_KEY_NAME, ALARM_KEY_DRY_RUN, ALARM_KEY_KNOWN }; /* `alarm` as a mapping */
enum { QUERY_KEY_QUERIES, QUERY_KEY_MAX, QUERY_KEY_MIN, QUERY_KEY_FAILURE_LIMIT, QUERY_KEY_DRY_RUN, QUERY_KEY_KNOWN };
/* CloudWatch's own words, from here to the dimensions of a metric. */
enum {
	DATA_QUERY_ID,
	DATA_QUERY_METRIC_STAT,
	DATA_QUERY_EXPRESSION,
	DATA_QUERY_LABEL,
	DATA_QUERY_RETURN_DATA,
	DATA_QUERY_PERIOD,
	DATA_QUERY_ACCOUNT_ID,
	DATA_QUERY_KNOWN,
};
enum { METRIC_STAT_METRIC, METRIC_STAT_PERIOD, METRIC_STAT_STAT, METRIC_STAT_UNIT, METRIC_STAT_KNOWN };
enum { CW_METRIC_NAMESPACE, CW_METRIC_NAME, CW_METRIC_DIMENSIONS, CW_METRIC_KNOWN };
enum { DIMENSION_NAME, DIMENSION_VALUE, DIMENSION_KNOWN };
enum { HOOKS_PRE_TRAFFIC, HOOKS_POST_TRAFFIC, HOOKS_KNOWN };
enum { HOOK_INVOKE, HOOK_EXEC, HOOK_HTTP, HOOK_TIMEOUT, HOOK_KNOWN };
enum { VERIFY_URL, VERIFY_EXPECT_STATUS, VERIFY_KNOWN };
/* `version` as a mapping; a service's alias cannot publish, so there it is without the last. */
enum { VERSION_FROM_ALIAS, VERSION_SOAK, VERSION_PUBLISH, VERSION_KNOWN };
enum { CODE_KEY_ZIP, CODE_KEY_S3, CODE_KEY_IMAGE, CODE_KEY_DESCRIPTION, CODE_KEY_KNOWN };
enum { S3_BUCKET, S3_KEY, S3_VERSION, S3_KNOWN };
enum {
	SERVICE_CODE = ROOT_KNOWN,
	SERVICE_CREATE,
	SERVICE_ALIASES,
	SERVICE_API,
	SERVICE_KEEP_VERSIONS,
	SERVICE_CHECK_EVERY,
	SERVICE_KNOWN,
};
enum {
	CREATE_ROLE,
	CREATE_RUNTIME,
	CREATE_HANDLER,
	CREATE_ARCHITECTURE,
	CREATE_MEMORY,
	CREATE_TIMEOUT,
	CREATE_KNOWN,
};
enum { ALIAS_VERSION, ALIAS_ROLLOUT, ALIAS_KNOWN };
enum {
	API_KEY_NAME,
	API_KEY_ID,
	API_KEY_TYPE,
	API_KEY_STAGE_VARIABLE,
	API_KEY_ROUTES,
	API_KEY_STAGES,
	API_KEY_PROBE,
	API_KEY_KNOWN,
};
enum { ROUTE_METHOD, ROUTE_PATH, ROUTE_KNOWN };
enum { PROBE_PATH, PROBE_EXPECT_STATUS, PROBE_KNOWN };

extern const struct schema_object schema_plan;	  /* kind: Rollout */
extern const struct schema_object schema_service; /* kind: Service */
extern const struct schema_object schema_how;
extern const struct schema_object schema_step;
extern const struct schema_object schema_analysis;
extern const struct schema_object schema_metric;
extern const struct schema_object schema_errors;
extern const struct schema_object schema_throttles;
extern const struct schema_object schema_duration;
extern const struct schema_object schema_api_5xx;
extern const struct schema_object schema_alarm;
extern const struct schema_object schema_query;
extern const struct schema_object schema_data_query;
extern const struct schema_object schema_metric_stat;
extern const struct schema_object schema_cw_metric;
extern const struct schema_object schema_dimension;
extern const struct schema_object schema_probing;
extern const struct schema_object schema_experiment;
extern const struct schema_object schema_hooks;
extern const struct schema_object schema_hook;
extern const struct schema_object schema_verify;
extern const struct schema_object schema_rollout_version;
extern const struct schema_object schema_code;
extern const struct schema_object schema_s3;
extern const struct schema_object schema_create;
extern const struct schema_object schema_alias;
extern const struct schema_object schema_alias_version;
extern const struct schema_object schema_api;
extern const struct schema_object schema_route;
extern const struct schema_object schema_probe;

/* Keys that both kinds have. */
extern const struct schema_key schema_key_api_version;
extern const struct schema_key schema_key_kind;
extern const struct schema_key schema_key_region;
extern const struct schema_key schema_key_account;
extern const struct schema_key schema_key_keep_versions;
/* Keys of both kinds of `version`. */
extern const struct schema_key schema_key_from_alias;
extern const struct schema_key schema_key_soak;

#define SCHEMA_KIND_ROLLOUT 0 /* indices into the choices of `kind` */
#define SCHEMA_KIND_SERVICE 1

/* As editors are told; the loader's own checks are in plan/target.h. */
#define SCHEMA_PATTERN_NAME "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
#define SCHEMA_PATTERN_FUNCTION                                                                                        \
	"^((arn:aws[A-Za-z-]*:lambda:[a-z]+(-[a-z]+)+-[0-9]{1,2}:)?[0-9]{12}:function:)?[A-Za-z0-9_-]{1,64}$"
#define SCHEMA_PATTERN_ALIAS "^(?![0-9]+$)[A-Za-z0-9_-]{1,128}$"

#define SCHEMA_HOOK_INVOKE_MAX_MS (15 * MS_PER_MINUTE) /* a Lambda function runs no longer */

/* All of them, for looking a key up elsewhere. */
extern const struct schema_object *const schema_objects[];
extern const size_t schema_n_objects;

/* Choices of the same words in both kinds. */
extern const char *const schema_reactions[];
extern const char *const schema_api_types[];

/* Counts stay far below what JSON's numbers hold exactly. */
#define SCHEMA_COUNT_MAX INT64_C(1000000000000)
/* Of `errors`, where the default is another one for each way to judge. */
#define SCHEMA_MIN_INVOCATIONS_RATE    50
#define SCHEMA_MIN_INVOCATIONS_COMPARE 1

/* NULL if the object has no such key. */
const struct schema_key *schema_find(const struct schema_object *o, const char *name);
/* Its index; the object must have it. */
size_t schema_index(const struct schema_object *o, const struct schema_key *k);
