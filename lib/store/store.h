/*
 * What must survive: rollouts, intents, events, samples, judgements, queries, plan sources, quarantine. The interface
 * is one that a key-value table with conditional writes could keep as well: a rollout's record is one item, replaced by
 * compare-and-set on its revision; the rest are items under the rollout's id; nothing joins across rollouts.
 *
 * All writes happen between store_begin and store_commit; store_commit returns only when they are durable. When any
 * call of a transaction fails, the caller calls store_abort and may try the whole transaction again later.
 *
 * Returns: 0; STORE_…; or a negative errno (-ENOSPC, -EIO, -EBUSY, …). store_error_text gives the sentence for people.
 * A string longer than LIMIT_RECORD_BYTES is -EMSGSIZE; NULL counts as "".
 *
 * Ownership: one process at a time. Who opens takes a lock beside the file and raises the epoch in it; each transaction
 * looks whether the epoch is still its own, so that an owner whose lock was lost cannot write over its successor.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

enum store_result {
	STORE_LOCKED = 1,   /* another daemon owns this state */
	STORE_CORRUPT = 2,  /* not a database of ours, or damaged */
	STORE_NEWER = 3,    /* written by a newer schema than this program knows */
	STORE_CONFLICT = 4, /* compare-and-set: the record is not at the expected revision, or exists already */
	STORE_NOT_FOUND = 5,
};

struct store;

struct store_rollout {
	uint64_t id;	       /* given by the store at insertion, rising */
	const char *name;      /* the plan's name */
	uint64_t attempt;      /* 1, 2, … for each name */
	const char *alias_key; /* account/region/function/alias */
	bool live;	       /* not ended */
	uint64_t revision;     /* grows by one with each put */
	const char *plan;      /* normalised text */
	const char *plan_hash;
	const char *record; /* JSON of the state, with its own version number */
	int64_t created_unix_ms;
	int64_t updated_unix_ms;
};

struct store_intent {
	uint64_t rollout_id;
	uint64_t seq;
	int64_t unix_ms;
	const char *target;   /* text, e.g. "1 + 2@1000bp" */
	const char *revision; /* RevisionId it was decided on */
};

struct store_event {
	uint64_t id;	     /* given by the store, rising */
	uint64_t rollout_id; /* 0: about no rollout (the daemon, a file) */
	const char *name;    /* plan name; "" when none */
	int64_t unix_ms;
	const char *kind;
	const char *phase; /* after the event; "" when none */
	const char *text;
	const char *by; /* who commanded: "uid=1000 pid=77"; "" otherwise */
};

/* What was known of one metric period from that time on: every change of it is a row of its own, so that it can be told
 * what a judgement was made on. */
struct store_sample {
	uint64_t rollout_id;
	int64_t start_unix_ms;
	int64_t read_unix_ms; /* 0: not known, as of rows that an earlier version wrote */
	int64_t counts[6];    /* canary invocations, errors; stable …; alias …; -1: no datapoint */
	const char *values;   /* JSON array of what metrics with values of their own have read; NULL: there are none */
	int64_t probes[4];    /* rolloutd's own requests: canary invocations, errors; stable …; -1: none */
	bool alone;	      /* put in the place of all that was known of that period before */
};

/* One judgement of a rollout: of each poll that was judged. */
struct store_judgement {
	uint64_t rollout_id;
	uint64_t seq; /* 1, 2, … within the rollout */
	int64_t unix_ms;
	int64_t through_unix_ms; /* periods before this were settled and read */
	uint32_t step;
	uint32_t weight_bp;
	const char *verdict; /* as verdict_name() says */
	const char *gap;     /* as verdict_gap_name() says */
	uint32_t metric;     /* index of the one that decided; the number of metrics: the step's own minimum */
	const char *detail;  /* JSON object */
	const char *text;    /* the deciding metric's sentence */
};

/* What CloudWatch is asked for a rollout, from that time on. */
struct store_query {
	uint64_t rollout_id;
	int64_t unix_ms;
	const char *text; /* JSON */
};

struct store_source {
	const char *source; /* a file's name within plans_dir, or "submit:NAME" */
	const char *hash;   /* SHA-256 of the bytes that were taken in */
	const char *name;   /* the plan's name */
};

/* Opens or makes the database file, takes ownership (an flock beside it) and migrates the schema. */
must_use int store_open_sqlite(const char *path, struct store **ret);
/* The same interface in memory, for tests and the simulator. */
struct store *store_open_memory(void);
void store_close(struct store *s);		     /* NULL is fine; aborts an open transaction */
const char *store_error_text(const struct store *s); /* of the last failure; s NULL: of the last failed open */
uint64_t store_epoch(const struct store *s);	     /* grows with each opening */

/* 0: it is still ours; STORE_LOCKED: another owner has taken over; or that cannot be told now. */
must_use int store_check_owner(struct store *s);
must_use int store_begin(struct store *s); /* STORE_LOCKED: another owner has taken over; this one must stop */
must_use int store_commit(struct store *s);
void store_abort(struct store *s); /* nothing happens outside of a transaction */
/* Frees the disk space that the store holds back. True: there was some, so what failed with -ENOSPC is worth another
 * try, if it cannot wait (a rollback can not). It is held back anew by store_prune and at the next opening. */
must_use bool store_spend_reserve(struct store *s);

/* STORE_CONFLICT when the name has that attempt already. */
must_use int store_insert_rollout(struct store *s, const struct store_rollout *r, uint64_t *ret_id);
/* Replaces record, live and updated_unix_ms where id and revision match; the stored revision becomes revision + 1.
 * STORE_CONFLICT when the revision differs, STORE_NOT_FOUND when there is no such rollout. */
must_use int store_put_rollout(struct store *s, const struct store_rollout *r);
must_use int store_put_intent(struct store *s, const struct store_intent *i); /* replaces the same seq */
must_use int store_put_event(struct store *s, const struct store_event *e, uint64_t *ret_id);
must_use int store_put_sample(struct store *s, const struct store_sample *x); /* replaces what was read at that time */
/* Drops what is known of the rollout's periods that start before that time. */
must_use int store_drop_samples(struct store *s, uint64_t rollout_id, int64_t before_start_unix_ms);
/* `seq` is higher than any put before. Of each rollout at least the newest LIMIT_JUDGEMENTS are kept, and at most
 * LIMIT_JUDGEMENTS_MORE beyond them. */
must_use int store_put_judgement(struct store *s, const struct store_judgement *j);
/* Nothing happens if that is what was put last. Of each rollout the newest LIMIT_QUERIES are kept. */
must_use int store_put_query(struct store *s, const struct store_query *x);
must_use int store_put_source(struct store *s, const struct store_source *x); /* replaces */
must_use int store_put_quarantine(struct store *s, const char *alias_key, const char *code_hash, const char *reason,
				  int64_t unix_ms);						   /* replaces */
must_use int store_drop_quarantine(struct store *s, const char *alias_key, const char *code_hash); /* 0 if absent too */
/* Bounds the history: drops ended rollouts (with all that is kept of them) updated before that time, keeping at least
 * the newest `keep` of each name, and events about no rollout older than it. One call drops at most
 * LIMIT_PRUNE_ROLLOUTS and LIMIT_PRUNE_EVENTS, so that the loop goes on; the next call goes on with the rest. */
must_use int store_prune(struct store *s, int64_t before_unix_ms, unsigned keep);

/* Reads; strings are borrowed during the callback. A callback that returns non-zero ends the walk, and that is
 * returned. No transaction is needed. A callback may read, and in a transaction write, but not commit or abort. */
typedef int (*store_rollout_cb)(void *ctx, const struct store_rollout *r);
typedef int (*store_intent_cb)(void *ctx, const struct store_intent *i);
typedef int (*store_event_cb)(void *ctx, const struct store_event *e);
typedef int (*store_sample_cb)(void *ctx, const struct store_sample *x);
typedef int (*store_judgement_cb)(void *ctx, const struct store_judgement *j);
typedef int (*store_query_cb)(void *ctx, const struct store_query *x);
typedef int (*store_source_cb)(void *ctx, const struct store_source *x);
must_use int store_each_live(struct store *s, store_rollout_cb cb, void *ctx); /* by id */
must_use int store_each_latest(struct store *s, store_rollout_cb cb,
			       void *ctx); /* newest attempt of each name, by name */
must_use int store_each_of_name(struct store *s, const char *name, unsigned limit, store_rollout_cb cb,
				void *ctx); /* newest first; name NULL: all */
/* Events with id > after, oldest first; or, with after == 0, the newest `limit`, oldest first. name NULL: all. */
must_use int store_each_event(struct store *s, const char *name, uint64_t after, unsigned limit, store_event_cb cb,
			      void *ctx);
/* The newest `limit` events of one rollout, oldest first. */
must_use int store_each_event_of(struct store *s, uint64_t rollout_id, unsigned limit, store_event_cb cb, void *ctx);
must_use int store_each_intent(struct store *s, uint64_t rollout_id, store_intent_cb cb, void *ctx); /* by seq */
/* By the period's start and, of one period, in the order of reading: the last one is what is known now. */
must_use int store_each_sample(struct store *s, uint64_t rollout_id, store_sample_cb cb, void *ctx);
must_use int store_each_judgement(struct store *s, uint64_t rollout_id, store_judgement_cb cb, void *ctx); /* by seq */
must_use int store_each_query(struct store *s, uint64_t rollout_id, store_query_cb cb, void *ctx); /* oldest first */
must_use int store_each_source(struct store *s, store_source_cb cb, void *ctx);
/* STORE_NOT_FOUND when it is not quarantined. */
must_use int store_find_quarantine(struct store *s, const char *alias_key, const char *code_hash);
