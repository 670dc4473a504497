/*
 * The control API as a table: HTTP method and path -> request. Used by the daemon's server to route and by rolloutctl
 * to build the same paths. docs/openapi.yaml describes it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/limits.h"
#include "core/rollout.h"

enum control_route {
	CONTROL_LIST,	  /* GET  /v1/rollouts */
	CONTROL_STATUS,	  /* GET  /v1/rollouts/NAME */
	CONTROL_RECORD,	  /* GET  /v1/rollouts/NAME/record?attempt= */
	CONTROL_COMMAND,  /* POST /v1/rollouts/NAME/{pause,resume,promote,rollback} */
	CONTROL_RETRY,	  /* POST /v1/rollouts/NAME/retry */
	CONTROL_FORGET,	  /* POST /v1/rollouts/NAME/forget: of a service */
	CONTROL_HISTORY,  /* GET  /v1/history?name=&limit= */
	CONTROL_SUBMIT,	  /* POST /v1/plans            body: the YAML */
	CONTROL_VALIDATE, /* POST /v1/plans/validate   body: the YAML */
	CONTROL_DIFF,	  /* POST /v1/plans/diff       body: the YAML */
	CONTROL_DOCTOR,	  /* POST /v1/plans/doctor     body: the YAML */
	CONTROL_ACCOUNTS, /* GET  /v1/accounts */
	CONTROL_EVENTS,	  /* GET  /v1/events?name=&after=&limit=&follow=1 */
	CONTROL_RELOAD,	  /* POST /v1/reload */
	CONTROL_VERSION,  /* GET  /v1/version */
	CONTROL_METRICS,  /* GET  /metrics */
	CONTROL_HEALTH,	  /* GET  /healthz */
};

/* One line of the table. `path` is as in docs/openapi.yaml: "/v1/rollouts/{name}/pause". */
struct control_entry {
	enum control_route route;
	const char *method;
	const char *path;
	enum rollout_command command; /* CONTROL_COMMAND */
};

const struct control_entry *control_table(size_t *ret_n);

#define CONTROL_EVENTS_DEFAULT	100 /* `limit` when a request names none */
#define CONTROL_HISTORY_DEFAULT 20

/* Of a plan, or of a rollout that moves a service's alias: "hello.prod". */
#define CONTROL_NAME_SIZE (LIMIT_NAME + 1 + LIMIT_ALIAS_NAME + 1)
bool control_is_name(const char *s);

struct control_request {
	enum control_route route;
	char name[CONTROL_NAME_SIZE]; /* "" when none */
	enum rollout_command command; /* CONTROL_COMMAND */
	char reason[LIMIT_REASON];    /* printable */
	uint64_t after;		      /* events */
	uint64_t attempt;	      /* record: 0: the one that status shows */
	unsigned limit;		      /* events and history: 1 … LIMIT_EVENTS_PAGE */
	bool follow;
	bool despite_alarms; /* CONTROL_RETRY; there is a reason then */
};

enum control_result {
	CONTROL_OK = 0,
	CONTROL_BAD_REQUEST = 1, /* 400, ret_error says why */
	CONTROL_NO_ROUTE = 2,	 /* 404 */
	CONTROL_BAD_METHOD = 3,	 /* 405; ret_error names the one that is allowed */
};

/* `query` gives a query argument's decoded value or NULL. The body of a command is empty or
 * {"reason": TEXT, "full": BOOL, "despite_alarms": BOOL}; unknown and duplicate keys are refused. */
must_use int control_parse(const char *method, const char *path, const char *(*query)(void *ctx, const char *key),
			   void *ctx, const char *body, size_t body_len, struct control_request *ret, char *ret_error,
			   size_t error_size);
bool control_route_may_change(enum control_route r); /* needs the right to command */
bool control_route_submits(enum control_route r);    /* needs the right to submit */
/* The path of a request, for the client: "/v1/rollouts/hello-prod/pause". History and events get "?name=…" when a name
 * is given; other arguments are the caller's to append. */
void control_format_path(enum control_route r, const char *name, const char *verb, struct buf *out);
