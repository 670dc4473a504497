/*
 * Inside the engine only: one service in memory, for the service_*.c files. A service is a stored row like a rollout's,
 * with a key of its own kind, that lives until newer content takes its place. It looks at AWS at
 * `due_boot_ms`, makes the changes
 * that are calls (reconcile), starts a rollout for each alias that should move, and asks the stages for an answer.
 */
#pragma once

#include "engine/chain.h"

/* What is recorded. */
struct service_state {
	enum rollout_phase phase;
	bool paused;
	bool probe;		 /* the stages are to be asked for an answer */
	uint32_t probe_failures; /* in a row */
	uint64_t seq;		 /* of intents */
	uint64_t changes_made;
	int64_t created_unix_ms;
	int64_t checked_unix_ms; /* 0: not yet */
	char api_id[API_ID_SIZE];
	char reason[LIMIT_REASON];
	char trouble[LIMIT_REASON];
	struct chain_memory memory;
};

struct service {
	struct engine *engine;
	struct service *next;
	uint64_t id;
	uint64_t attempt;
	uint64_t revision; /* of the stored record */
	struct plan *plan; /* NULL when unreadable */
	char *name;
	char *region;
	char *key; /* "@service/account/region/function" */
	char *unreadable;
	char *raw_record;
	struct service_state state;
	bool dirty;
	int64_t due_boot_ms;	/* when to look again; INT64_MAX: not */
	uint32_t failures;	/* to look, in a row */
	uint32_t starts_failed; /* rollouts that should start and could not, in a row */
	uint32_t unstable;	/* looks in a row that did not show what was made before them */
	uint32_t waits;		/* looks in a row that found AWS or somebody else at work */
	uint64_t stamp_begun;	/* of the code's file when the look under way began */
	uint64_t stamp_seen;	/* … and when the last complete one did; 0: none since the start, or no file */
	bool look_again;	/* something happened while it was looking */
	bool rollouts_due;	/* what was seen last asks for rollouts */
	struct reconcile *now;	/* looking, or changing */
	struct reconcile *last; /* what was seen last */
	struct probe *probe;
	uint64_t *kept; /* versions that must not be deleted */
	size_t n_kept;
	size_t cap_kept;
};

/* service.c */
struct service *service_new(struct engine *e, struct plan *plan);
void service_free(struct service *s); /* NULL is fine */
void service_mark_dirty(struct service *s);
void service_event(struct service *s, const char *kind, const char *text, const char *by);
void service_set_phase(struct service *s, enum rollout_phase phase, const char *reason);
void service_look_soon(struct service *s, int64_t wait_ms);
/* The live rollout of an alias; NULL: none. */
struct item *service_rollout(const struct service *s, size_t alias);
void service_rollout_name(const struct service *s, size_t alias, char out[static LIMIT_NAME + 1]);

/* service_check.c */
void service_check(struct service *s);
void service_stop(struct service *s); /* whatever it is doing */
/* The rollout that brings an alias to a version, its stages' probes included; NULL: they have no usable address. */
struct plan *service_make_rollout(const struct service *s, size_t alias, uint64_t version);
/* The phase that operators see: a rollout that needs somebody is the service's matter, too. */
enum rollout_phase service_phase(const struct service *s, const char **ret_reason);

/* service_record.c */
void service_record_encode(const struct service_state *s, const struct service_spec *spec, struct buf *out);
/* Aliases that the spec does not name are dropped. Returns 0, or 1 with a sentence. */
must_use int service_record_decode(const char *json, const struct service_spec *spec, struct service_state *ret,
				   char *ret_error, size_t error_size);

/* service_view.c */
void service_show(const struct service *s, engine_service_cb cb, void *ctx);
