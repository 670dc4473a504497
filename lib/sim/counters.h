/*
 * What the world saw: calls by operation and outcome, the newest CALL_LOG_MAX of them one by one, and every change of
 * an alias, the newest ALIAS_LOG_MAX of them.
 */
#pragma once

#include <jansson.h>

#include "aws/sigv4.h"
#include "sim/table.h"
#include "sim/user_set.h"

#define ALIAS_LOG_MAX 10000
#define CALL_LOG_MAX  10000

enum outcome {
	OUTCOME_OK,
	OUTCOME_CLIENT_ERROR, /* 4xx but throttling */
	OUTCOME_THROTTLED,
	OUTCOME_SERVER_ERROR,
	OUTCOME_NO_ANSWER, /* lost, late, reset, truncated */
	OUTCOME_N,
};

struct call_counts {
	uint64_t calls;
	uint64_t by[OUTCOME_N];
};

/* One call of an operation. */
struct call_entry {
	int64_t unix_ms;       /* of the caller's clock, as rates are limited by it */
	const char *operation; /* static text */
	enum outcome outcome;
};

/* One change of an alias, as the world applied it. */
struct alias_change {
	int64_t unix_ms;
	const char *operation; /* static text */
	char *function;
	char *alias;
	uint64_t version;
	uint64_t extra_version; /* 0: none */
	double extra_weight;
	char revision[37];
	char *key_id;
	char *user_agent;
	bool late; /* applied after its caller had long given up */
};

/* What one version has answered through a stage. */
struct stage_version {
	char *function;
	uint64_t version;
	uint64_t requests;
};

/* What came to one stage of an API. */
struct stage_counts {
	uint64_t requests;
	uint64_t client_errors; /* 4xx */
	uint64_t server_errors; /* 5xx */
	struct stage_version *versions;
	size_t n_versions;
	size_t cap;
};

#define COUNTERS_SIGNATURES (SIGV4_CHECK_MISMATCH + 1)

struct counters {
	uint64_t signatures[COUNTERS_SIGNATURES]; /* what came of verifying them, by enum sigv4_check */
	struct table operations;		  /* name -> struct call_counts */
	struct call_entry *calls;		  /* a ring */
	size_t calls_cap;
	uint64_t n_calls;	  /* all that ever were */
	struct alias_change *log; /* a ring */
	size_t n_log;
	size_t log_cap;
	uint64_t n_changes;  /* all that ever were */
	struct table stages; /* "API/STAGE" -> struct stage_counts */
};

void counters_deinit(struct counters *c);
/* `operation` is static text. */
void counters_add(struct counters *c, const char *operation, enum outcome outcome, int64_t unix_ms);
/* One answer of a stage. `function` NULL: no version has run. */
void counters_add_served(struct counters *c, const char *stage, int status, const char *function, uint64_t version);
/* Copies the strings. */
void counters_log(struct counters *c, const struct alias_change *change);

struct world;
json_t *counters_json(const struct world *w);
json_t *counters_calls_json(const struct world *w); /* the newest calls, oldest first */
