/*
 * Inside the engine only: one rollout in memory, and what the engine's files share.
 *
 * Data flow of a turn:  answers, timers, commands -> engine_event() -> rollout_step() -> effects gathered in the outbox
 *   -> engine_turn(): one transaction for all that changed -> calls, events published.
 *
 * An item that has ended leaves memory as soon as it is durable and no call refers to it (`pins`).
 */
#pragma once

#include "base/strmap.h"
#include "chain/diff.h"
#include "engine/dispatch.h"

struct item {
	struct engine *engine;
	uint64_t id;
	uint64_t attempt;
	uint64_t revision; /* of the stored record */
	struct plan *plan; /* NULL when unreadable */
	struct rollout state;
	struct samples samples;
	char *name;
	char *alias_key; /* account/region/function/alias */
	char *region;
	char *unreadable;   /* why the record cannot be read: parked, shown, never touched */
	char *raw_record;   /* of an unreadable one, as it was stored */
	bool same_boot;	    /* the loaded record is of this boot of the host */
	struct item *older; /* a live rollout of the same name that goes home before this one starts */
	struct item *prev;  /* list of all items */
	struct item *next;
	bool in_pending; /* is in the list of those that have not started */
	struct item *prev_pending;
	struct item *next_pending;
	unsigned pins; /* calls under way */
	bool dirty;    /* state differs from the stored record */
	struct item *next_dirty;
	int64_t timer_boot_ms;
	size_t timer_slot;    /* index in the heap + 1; 0: none */
	uint64_t call_ticket; /* dispatch's, of the call under way that can be called back */
	uint64_t call_seq;
	struct gate_run *gate;	      /* under way; see gate.c */
	struct probing *probing;      /* see probing.c; NULL: it is not probed now */
	bool post_hook_agreed;	      /* only the requests after it are made again; not on record */
	bool concurrency_denied;      /* that it may not be listed was said */
	unsigned concurrency_unknown; /* times that nobody could tell whether there is any */
	int64_t *changed_samples;     /* starts of samples that are not stored yet */
	size_t n_changed;
	size_t cap_changed;
	struct cloudwatch_verbatim *
	    *verbatim;			     /* of each metric that is a `query`, made when first read; NULL: none is */
	bool metrics_alone;		     /* CloudWatch refused a call with its queries: it gets one of its own */
	struct flight_log *flight;	     /* what is to be recorded beside the state; see flight.c */
	struct chain_memory *publish_memory; /* of `version: {publish: …}`; NULL until then */
	uint64_t publish_seq;		     /* of its intents */
	uint64_t published;		     /* the version that came of it; 0: none yet */
};

/* An effect that leaves the process once the turn is durable. */
struct outgoing {
	struct item *item; /* pinned */
	struct rollout_effect effect;
};

struct pending_event {
	uint64_t rollout_id;
	char name[LIMIT_NAME + 1];
	int64_t unix_ms;
	const char *kind;
	enum rollout_phase phase;
	char text[LIMIT_REASON];
	char by[64];
};

struct pending_intent {
	uint64_t rollout_id;
	uint64_t seq;
	int64_t unix_ms;
	char text[LIMIT_REASON]; /* what is about to be asked for */
	char revision[REVISION_SIZE];
};

/* What goes on when all that was decided so far is durable. */
struct after_commit {
	void (*run)(void *arg);
	void *arg;
};

struct quarantine_entry {
	struct item *item; /* pinned */
};

/* The RevisionId that an alias had before the last change of a rollout that has left it: so that the next one can
 * tell an old view of the alias. */
struct left_alias {
	char *alias_key;
	char old_revision[REVISION_SIZE];
};

#define LEFT_ALIASES 64 /* the last ones; AWS shows old views for seconds */

struct engine {
	struct engine_config config;
	struct ports ports;
	struct store *store;
	struct dispatch *dispatch;
	struct item *first; /* by age */
	struct item *last;
	struct item *first_pending; /* by age; some have started since, and go when the list is next looked through */
	struct item *last_pending;
	struct strmap by_name;	/* newest live item of each name */
	struct strmap by_alias; /* the item that owns the alias */
	struct left_alias left[LEFT_ALIASES];
	size_t n_left;		 /* ever */
	struct strmap sources;	 /* source -> hash (heap string) of what was taken in */
	struct strmap source_of; /* plan name -> source (heap string) it was last taken in from */
	struct item **heap;	 /* timers, by boot_ms */
	size_t n_heap;
	size_t cap_heap;
	struct outgoing *outbox;
	size_t n_outbox;
	size_t cap_outbox;
	struct pending_event *events;
	size_t n_events;
	size_t cap_events;
	struct pending_intent *intents;
	size_t n_intents;
	size_t cap_intents;
	struct quarantine_entry *quarantines;
	size_t n_quarantines;
	size_t cap_quarantines;
	struct poll_entry **polls; /* collected in this turn; see poll.c */
	size_t n_polls;
	size_t cap_polls;
	struct after_commit *after;
	size_t n_after;
	size_t cap_after;
	struct service *first_service; /* by age; see chain.h */
	struct reconcile *first_loose; /* stopped ones with a change on its way; see reconcile.c */
	struct inspect *first_inspect; /* see inspect.h */
	struct probing *first_probing; /* see probing.c */
	int64_t next_probing_ms;       /* when one of them is due; INT64_MAX: none */
	struct strmap probed_places;   /* account/region -> struct probed_place */
	uint64_t last_inspect;	       /* ticket */
	unsigned calls_open;	       /* call sequences under way */
	struct item *dirty;	       /* the items that are; linked by next_dirty */
	size_t n_dirty;
	bool recheck_pending; /* an alias became free, or something new waits for one */
	bool reap_due;
	bool draining;
	uint64_t owned_turn; /* the last one in which the state was known to be ours */
	bool fenced;	     /* another daemon has taken the state over: nothing is sent any more */
	bool store_failing;
	int64_t store_retry_boot_ms;
	struct engine_stats stats;
};

#define STORE_RETRY_MS MS_PER_SECOND

/* engine.c */
struct item *item_new(struct engine *e, struct plan *plan);
struct item *item_from_row(struct engine *e, const struct store_rollout *r);
void item_free(struct item *i);
void item_link(struct engine *e, struct item *i);
void item_pin(struct item *i);
void item_unpin(struct item *i);
void item_mark_dirty(struct item *i);
void engine_event(struct item *i, struct rollout_event *event, enum rollout_answer *ret_answer, char *ret_text);
void engine_add_event(struct engine *e, const struct item *i, const char *kind, const char *text, const char *by);
/* An intent of that stored row: durable with this turn. `seq` is unique in the row. */
void engine_add_intent(struct engine *e, uint64_t row_id, uint64_t seq, const char *text, const char *revision);
/* Runs once all that was decided so far is durable, or when the engine drains; never before this returns. */
void engine_after_commit(struct engine *e, void (*run)(void *arg), void *arg);
void engine_add_row_event(struct engine *e, uint64_t row_id, const char *name, enum rollout_phase phase,
			  const char *kind, const char *text, const char *by);
struct instant engine_now(const struct engine *e);
/* `level`: of engine/ports.h. */
void engine_log(struct engine *e, int level, const char *fmt, ...) printf_like(3, 4);

/* timers.c: a binary heap */
void timers_set(struct engine *e, struct item *i, int64_t boot_ms); /* INT64_MAX: none */
struct item *timers_due(struct engine *e, int64_t boot_ms);	    /* takes the earliest one out if it is due */
int64_t timers_next(const struct engine *e);

/* commit.c */
int commit_turn(struct engine *e); /* 0, or the store's error; on failure everything is kept for another try */

/* calls.c */
void calls_send(struct engine *e, const struct outgoing *o);

struct buf;
/* poll.c */
void poll_add(struct item *i, const struct rollout_effect *effect); /* EFFECT_POLL */
/* What the rollout asks of CloudWatch now: the items of a list of MetricDataQueries. */
void poll_describe(struct item *i, struct buf *out);
void poll_flush(struct engine *e);
void poll_forget(struct item *i); /* what was made for its queries */

/* probing.c: rolloutd's own requests to the canary and the stable version */
void probing_follow(struct item *i);		 /* begins, or stops, as the rollout's state says */
void probing_stop(struct item *i);		 /* what is under way is answered to nobody */
void probing_run(struct engine *e);		 /* sends what is due, of rollouts that are durable as they are */
int64_t probing_next_ms(const struct engine *e); /* boot_ms; INT64_MAX: nothing */
void probing_deinit(struct engine *e);
/* A sample's probes as the store keeps them: canary invocations, errors; stable …; -1: none. */
#define PROBING_COUNTS 4
void probing_pack(const struct sample *s, int64_t ret[static PROBING_COUNTS]);
void probing_unpack(const int64_t counts[static PROBING_COUNTS], struct sample *ret);

/* left.c */
void left_remember(struct item *i);					      /* its rollout leaves its alias */
const char *left_old_revision(const struct engine *e, const char *alias_key); /* NULL: not known; borrowed */
void left_load(struct engine *e);					      /* from the records, at the start */
void left_deinit(struct engine *e);

/* flight.c: what was read, judged and asked, for the record */
struct flight_log *flight_log_new(void);
void flight_log_free(struct flight_log *f);					  /* NULL is fine */
void flight_judged(struct item *i, const struct rollout_judged *j, uint64_t seq); /* by the poll of that number */
void flight_asked(struct item *i);						  /* a poll is about to leave */
void flight_changed(struct item *i, int64_t start_unix_ms);			  /* the sample of that period */
must_use int flight_put(struct engine *e, const struct item *i);		  /* within a transaction */
void flight_recorded(struct item *i);						  /* … which is durable now */
must_use int flight_load(struct engine *e, struct item *i);			  /* the samples, after a restart */

/* record.c */
#define BOOT_ID_SIZE 40
/* No time and no length of time in a record is further from 0 than this, a thousand centuries: whoever adds two of them
 * gets a third one. */
#define RECORD_MS_MAX (INT64_C(1) << 52)
void record_encode(const struct rollout *r, const char *boot_id, struct buf *out);
/* Returns 0, or 1 with a sentence. */
must_use int record_decode(const char *json, struct rollout *ret, char ret_boot_id[static BOOT_ID_SIZE],
			   char *ret_error, size_t error_size);

/* Adds a stored sample, in the place of what was known of its period; ctx is a struct samples. A store_sample_cb. */
int record_load_sample(void *ctx, const struct store_sample *x);

/* intake.c */
char *intake_alias_key(const struct plan *p, const char *region);
void intake_remember_source(struct engine *e, const char *source, const char *hash, const char *name);
/* Takes a plan in as a new attempt, whatever ran before, without a turn: for who is in one. `lift`: the code's
 * quarantine
 * is lifted. NULL: *ret_text says why not. */
struct item *intake_start(struct engine *e, struct plan *plan, bool lift, const char *by,
			  char ret_text[static LIMIT_REASON]);
/* Of the plan, its account, or all. Returns 0 with a copy for the caller to free; or 1 with a sentence when that cannot
 * be told now. */
must_use int intake_region(const struct engine *e, const struct plan *p, char **ret, char *ret_error,
			   size_t error_size);
struct plan *intake_load_plan(const char *normalized, char *ret_error, size_t error_size);

/* views.c */
void view_of_item(const struct item *i, struct view_rollout *ret);
/* The view of a stored row, which is no service's: of the live item if there is one. */
void view_of_row(struct engine *e, const struct store_rollout *r, engine_view_cb cb, void *ctx);
