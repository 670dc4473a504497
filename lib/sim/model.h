/*
 * The inside of the simulated world, for the files of this folder alone: functions, versions and aliases, and what the
 * world keeps besides. Who owns what: the world owns functions, a function its versions and aliases; everything else
 * points and never outlives the call, as functions may be deleted by any request.
 */
#pragma once

#include <jansson.h>

#include "aws/sigv4.h"
#include "core/alias.h"
#include "base/prng.h"
#include "sim/alarms.h"
#include "sim/counters.h"
#include "sim/faults.h"
#include "sim/metrics.h"
#include "sim/rates.h"
#include "sim/table.h"
#include "sim/world.h"

#define UUID_SIZE     37
#define CODE_SHA_SIZE 45 /* base64 of SHA-256, with its NUL */
#define FUNCTIONS_MAX 20000
#define VERSIONS_MAX  10000 /* of one function */
#define ALIASES_MAX   1000  /* of one function */
#define TRAFFIC_MAX   20000
#define LATE_MAX      1024 /* requests waiting to be applied late */
#define KEYS_MAX      64
#define USERS_MAX     1000000 /* of one alias's traffic */
#define BODY_MAX      (64 * 1024)
#define TICK_MS	      100 /* traffic is drawn in slices of this length */
#define LIST_PAGE     50  /* Lambda lists at most so many a page */

/* How a version answers. */
struct behaviour {
	double error_rate;		/* 0 … 1 of the requests it serves */
	double throttle_rate;		/* 0 … 1 of the requests meant for it are refused with 429 */
	uint64_t errors_after_requests; /* errors begin once it has served so many */
	int64_t errors_after_ms;	/* … and so long after its first request */
	double latency_median_ms;	/* log-normal */
	double latency_p99_ms;
	int64_t init_ms; /* added to its first init_requests requests */
	uint64_t init_requests;
	char *body; /* JSON text of a good answer */
};

/* What a version has served. Users are those of the traffic generator. */
struct usage {
	uint64_t requests;
	uint64_t errors;
	uint64_t throttles;
	int64_t first_ms, last_ms;
	int64_t first_error_ms, last_error_ms;
	struct user_set users;
	struct user_set error_users;
};

enum version_state { STATE_PENDING, STATE_ACTIVE };
enum update_status { UPDATE_NONE, UPDATE_IN_PROGRESS, UPDATE_SUCCESSFUL };

struct version {
	uint64_t number; /* VERSION_LATEST: $LATEST */
	char revision[UUID_SIZE];
	char code_sha256[CODE_SHA_SIZE];
	uint64_t code_size;
	char *description;
	json_t *settings; /* Runtime, Role, Handler and so on, as configured; shared by reference and never changed */
	int64_t modified_ms;
	enum version_state state;
	enum update_status update;
	int64_t settles_ms; /* when a state in progress ends */
	struct behaviour behaviour;
	struct usage usage;
};

/* The four metrics of one set of dimensions; NULL until something is recorded. */
struct lambda_series {
	struct series *invocations, *errors, *throttles, *duration;
};

struct executed_series {
	uint64_t version;
	struct lambda_series series;
};

struct alias_state {
	uint64_t version;
	uint64_t extra_version; /* VERSION_LATEST: none */
	double extra_weight;
	char *description;
	char revision[UUID_SIZE];
};

struct alias {
	char *name;
	struct alias_state now;
	struct alias_state before; /* before its last change: what a stale read sees; revision "" when never changed */
	struct lambda_series series;
	struct executed_series *executed;
	size_t n_executed;
	size_t executed_cap;
};

struct function {
	char *name;
	struct version latest;
	struct version **versions; /* rising numbers */
	size_t n_versions;
	size_t versions_cap;
	uint64_t next_version;
	struct table aliases;
	struct lambda_series series;
	struct user_set users; /* everyone who met any version */
	uint64_t n_users;      /* the largest population of its traffic */
};

struct traffic {
	char *function;
	char *alias;
	double rps;
	bool even; /* arrivals at equal distances; else Poisson */
	uint64_t users;
	double owed; /* even: the fraction of a request carried over */
	struct prng prng;
};

struct access_key {
	char *id;
	char *secret;
	char *token; /* NULL: none */
	bool expired;
};

struct late_request {
	int64_t due_ms;
	uint64_t sequence;
	struct arena *arena;
	struct http_request request;
	char key_id[128];
	char region[64];
};

struct world {
	uint64_t seed;
	bool seed_fixed;
	struct prng ids;    /* revisions and request ids */
	struct prng invoke; /* Invoke's choices */
	struct prng chance; /* faults' probabilities */
	bool signatures;
	bool admin;
	bool invoke_delay; /* Invoke answers after the drawn duration */
	int64_t update_ms; /* from a code update until it is done */
	bool started;	   /* the time has been told at least once */
	bool virtual_clock;
	int64_t now_ms;		/* the world's time */
	int64_t tick_ms;	/* start of the next slice of traffic */
	struct table functions; /* name -> struct function */
	struct traffic *traffic;
	size_t n_traffic;
	size_t traffic_cap;
	struct metrics metrics;
	struct alarms alarms;
	struct rates rates;
	struct faults faults;
	struct counters counters;
	struct access_key *keys;
	size_t n_keys;
	size_t keys_cap;
	struct late_request *late;
	size_t n_late;
	size_t late_cap;
	uint64_t late_sequence;
	struct sigv4_signer *signer;
	char *file; /* the text that was loaded first, for reset */
	size_t file_len;
};

void model_uuid(struct world *w, char out[static UUID_SIZE]);
/* Base64 of the SHA-256 of the code. */
void model_code_sha(const void *code, size_t len, char out[static CODE_SHA_SIZE]);
/* "$LATEST" or digits; a leading zero or more than 18 digits is no version. */
bool model_parse_version(const char *text, uint64_t *ret);

struct function *model_function(const struct world *w, const char *name);
/* NULL when there are FUNCTIONS_MAX. `settings` is not taken. */
struct function *model_add_function(struct world *w, const char *name, json_t *settings, const char *code_sha,
				    uint64_t code_size, const char *description);
void model_remove_function(struct world *w, struct function *f);
json_t *model_default_settings(void); /* a new reference */

/* An exact version; NULL if absent. */
struct version *model_version(struct function *f, uint64_t number);
/* Publishes $LATEST under `number`, or under the next one when it is 0; NULL when there are VERSIONS_MAX. */
struct version *model_publish(struct world *w, struct function *f, uint64_t number, const char *description);
void model_remove_version(struct function *f, struct version *v);
/* Ends a state in progress whose time has come. */
void model_settle(struct world *w, struct version *v);

struct alias *model_alias(const struct function *f, const char *name);
struct alias *model_add_alias(struct world *w, struct function *f, const char *name, const struct alias_state *state);
/* Copies the state but for its revision, which is drawn anew. */
void model_change_alias(struct world *w, struct alias *a, const struct alias_state *state);
void model_remove_alias(struct function *f, struct alias *a);

void behaviour_copy(struct behaviour *into, const struct behaviour *from); /* frees what `into` had */

void model_drop_everything(struct world *w); /* functions, traffic, alarms, faults, late requests, metrics, counters */
void model_reset_counters(struct world *w);  /* calls, the log of aliases, and what versions have served */
