/*
 * Every key that a plan may have, in one table: the loader reads by it, the hints for unknown keys come from it, and
 * docs/plan.schema.json is printed from it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum schema_type {
	SCHEMA_TEXT,
	SCHEMA_CHOICE,	    /* number: index into choices */
	SCHEMA_DURATION,    /* number: milliseconds */
	SCHEMA_PERCENT_BP,  /* number: basis points */
	SCHEMA_PERCENT_PPM, /* number: parts per million */
	SCHEMA_COUNT,
	SCHEMA_BOOL, /* number: 0 or 1 */
	SCHEMA_OBJECT,
	SCHEMA_LIST, /* of objects */
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
	int64_t min; /* the smallest value; lists: the fewest items; texts: 1 if it may be a number from there */
	int64_t max; /* the largest value; the most items */
	const char *fallback;	    /* what stands when the key is left out, as it would be written; NULL: nothing */
	const char *const *choices; /* NULL-terminated */
	/* Text: whether it will do; if not, `why` completes the sentence. */
	bool (*check)(const char *text, char *why, size_t size);
	const char *pattern;		    /* text: the same check for editors, as an ECMA 262 expression */
	const struct schema_object *object; /* of an object, of a list's items; of a text that may be an object later */
	const char *example;		    /* a good value */
	const char *about;		    /* one or two sentences, for people */
};

struct schema_object {
	const char *noun;  /* "a step" */
	const char *place; /* "in a step", "at the top level" */
	const struct schema_key *keys;
	size_t n_keys;
};

/* Indices into the objects' keys. Keys that come later stand behind these. */
enum {
	TOP_API_VERSION,
	TOP_KIND,
	TOP_NAME,
	TOP_FUNCTION,
	TOP_ALIAS,
	TOP_REGION,
	TOP_ACCOUNT,
	TOP_VERSION,
	TOP_STRATEGY,
	TOP_STEPS,
	TOP_FINAL_BAKE,
	TOP_ANALYSIS,
	TOP_ON_FAILURE,
	TOP_START,
	TOP_FROM_STRATEGY,
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
	ANALYSIS_METRICS,
	ANALYSIS_KNOWN,
};
enum { METRIC_ERRORS, METRIC_ALARM, METRIC_KNOWN };
enum { ERRORS_MAX_RATE, ERRORS_MIN_INVOCATIONS, ERRORS_KNOWN };

extern const struct schema_object schema_plan; /* the root */
extern const struct schema_object schema_step;
extern const struct schema_object schema_analysis;
extern const struct schema_object schema_metric;
extern const struct schema_object schema_errors;

/* All of them, for looking a key up elsewhere. */
extern const struct schema_object *const schema_objects[];
extern const size_t schema_n_objects;

/* The default metric of a plan that names none: errors, with this max_rate and the table's own min_invocations. */
#define SCHEMA_DEFAULT_MAX_RATE_PPM 10000

/* NULL if the object has no such key. */
const struct schema_key *schema_find(const struct schema_object *o, const char *name);
