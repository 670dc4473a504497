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
#include "sim/gateway.h"
#include "sim/gauges.h"
#include "sim/metrics.h"
#include "sim/rates.h"
#include "sim/table.h"
#include "sim/world.h"

#define UUID_SIZE     37
#define CODE_SHA_SIZE 65 /* SHA-256 with its NUL: of a zip in base64, of an image in hexadecimals */
#define FUNCTIONS_MAX 20000
#define VERSIONS_MAX  10000 /* of one function */
#define ALIASES_MAX   1000  /* of one function */
#define TRAFFIC_MAX   20000
#define LATE_MAX      1024  /* requests waiting to be applied late */
#define OBJECTS_MAX   10000 /* in S3; and so many images */
#define KEYS_MAX      64
#define USERS_MAX     1000000 /* of one alias's traffic */
#define BODY_MAX      (64 * 1024)
#define SLICE_MS      100 /* traffic is drawn in slices of this length, if nobody asks for another */
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

enum version_state { STATE_PENDING, STATE_ACTIVE, STATE_FAILED };
enum update_status { UPDATE_NONE, UPDATE_IN_PROGRESS, UPDATE_SUCCESSFUL, UPDATE_FAILED };

/* What an update changes, as it was before: requests are served by it until the update is done, and it comes back when
 * the update fails. */
struct version_before {
	char code_sha256[CODE_SHA_SIZE];
	uint64_t code_size;
	char *image;
	json_t *settings;
	struct behaviour behaviour;
};

struct version {
	uint64_t number; /* VERSION_LATEST: $LATEST */
	char revision[UUID_SIZE];
	char code_sha256[CODE_SHA_SIZE];
	uint64_t code_size;
	char *image; /* the code's image; NULL: a zip */
	char *description;
	json_t *settings; /* Runtime, Role, Handler and so on, as configured; shared by reference and never changed */
	int64_t modified_ms;
	enum version_state state;
	enum update_status update;
	int64_t settles_ms;	       /* when a state in progress ends */
	char *reason;		       /* why it has failed, or will; NULL: it does not */
	struct version_before *before; /* while an update is in progress */
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
	int64_t changed_ms;	   /* when that was */
	struct lambda_series series;
	struct executed_series *executed;
	size_t n_executed;
	size_t executed_cap;
};

/* The policy of a function itself, or of one of its versions or aliases. */
struct policy {
	char revision[UUID_SIZE];
	json_t *statements; /* array, never empty */
};

/* Provisioned concurrency of a version or an alias. */
struct provisioned {
	uint64_t requested;
	uint64_t available; /* until it is ready; more than 0 while it moves from one version to another */
	int64_t modified_ms;
	int64_t ready_ms; /* when what is in progress ends */
	bool in_progress;
	bool moving;  /* its alias has weights that are there for the move alone */
	char *reason; /* why it fails in the end; NULL: it does not */
};

/* How the platform treats a function, as the world file asks. NULL: nothing fails. */
struct platform {
	int64_t publish_ms;    /* a new version is Pending for so long */
	char *publish_fails;   /* … and then Failed */
	char *update_fails;    /* updates end so */
	char *provision_fails; /* provisioned concurrency ends so */
};

/* Code to be found by name: an object in S3 or a container image. */
struct code_object {
	char code_sha256[CODE_SHA_SIZE];
	uint64_t code_size;
	char *version; /* S3's; NULL: any will do */
	struct behaviour behaviour;
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
	struct table policies;	  /* qualifier, "" for the function itself -> struct policy */
	struct table provisioned; /* qualifier -> struct provisioned */
	struct platform platform;
	int64_t settles_ms;    /* nothing in it changes by itself before */
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
	char *token;	/* NULL: none */
	json_t *policy; /* IAM's, of what it may do; NULL: everything */
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
	struct prng canary; /* which requests an API's canary gets */
	bool signatures;
	bool admin;
	bool invoke_delay;    /* Invoke answers after the drawn duration */
	int64_t update_ms;    /* from a code update until it is done */
	int64_t provision_ms; /* from a request for provisioned concurrency until it is there */
	bool started;	      /* the time has been told at least once */
	bool virtual_clock;
	int64_t now_ms;		/* the world's time */
	int64_t slice_ms;	/* length of a slice of traffic */
	int64_t tick_ms;	/* start of the next slice of traffic */
	struct table functions; /* name -> struct function */
	struct gateway_apis gateway;
	struct table objects; /* "bucket/key" -> struct code_object; "bucket/" -> NULL, so that it is there */
	struct table images;  /* URI -> struct code_object */
	struct traffic *traffic;
	size_t n_traffic;
	size_t traffic_cap;
	struct metrics metrics;
	struct gauges gauges;
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
void model_remove_version(struct world *w, struct function *f, struct version *v);
void model_start_update(struct world *w, struct function *f);
/* Publishing goes through its states: Pending for so long, then Active or, as the platform says, Failed. */
void model_start_version(struct world *w, struct function *f, struct version *v, int64_t pending_ms);
/* Ends what is in progress in the function, where its time has come: versions' states, provisioned concurrency. */
void model_settle(struct world *w, struct function *f);

/* A version's number or an alias's name, as a key of a function's tables. "" stands for the function itself. */
struct policy *model_policy(const struct function *f, const char *qualifier);
struct policy *model_add_policy(struct function *f, const char *qualifier);
void model_remove_policy(struct function *f, const char *qualifier);
struct provisioned *model_provisioned(const struct function *f, const char *qualifier);
/* Starts it, or changes it to another number. */
struct provisioned *model_provision(struct world *w, struct function *f, const char *qualifier, uint64_t requested);
void model_remove_provisioned(struct world *w, struct function *f, const char *qualifier);
/* The alias, whose version has just been changed from `old`, takes its provisioned concurrency along: until that is
 * done the old version serves all of its requests. */
void model_move_provisioned(struct world *w, struct function *f, struct alias *a, uint64_t old);

void code_object_free(struct code_object *o);
/* Replaces one of the same name; false when there are OBJECTS_MAX. Takes the object. */
bool model_put_object(struct table *t, const char *name, struct code_object *o);

struct alias *model_alias(const struct function *f, const char *name);
struct alias *model_add_alias(struct world *w, struct function *f, const char *name, const struct alias_state *state);
/* Copies the state but for its revision, which is drawn anew. */
void model_change_alias(struct world *w, struct alias *a, const struct alias_state *state);
void model_remove_alias(struct world *w, struct function *f, struct alias *a);

void behaviour_init(struct behaviour *b);				   /* answers with a greeting */
void behaviour_copy(struct behaviour *into, const struct behaviour *from); /* frees what `into` had */

void model_drop_everything(struct world *w); /* functions, traffic, alarms, faults, late requests, metrics, counters */
void model_reset_counters(struct world *w);  /* calls, the log of aliases, and what versions have served */
