/*
 * The rollout's state machine. One pure function, rollout_step(): no I/O, no clock, no allocation. The engine feeds it
 * events and carries out the effects it asks for, in this order: make everything durable, then send.
 *
 *   pending ──> preparing ──> progressing <──> paused
 *                  │              │  │
 *                  │              │  └──> promoting ──> baking ──> succeeded
 *                  v              v                        │           │ (rollback)
 *               failed       rolling-back <────────────────┴───────────┘
 *                                 │
 *                                 v
 *                            rolled-back          blocked: from anywhere a foreign write is seen
 *
 * How a write is made safe (invariants 1, 2, 5, 7):
 *  - A write's target is recorded in the state (`asked`) before it is asked for; the engine persists the state first.
 *  - Each write carries the RevisionId that the decision was made on.
 *  - An answer that never came, or a 412, is looked up with EFFECT_READ_ALIAS. A live alias that equals any recorded
 *    target is ours to go on from, however late it landed; anything else is foreign, and the rollout is blocked.
 *  - The way home (all traffic to stable) is known from the first record on, so it may leave while nothing can be
 *    recorded. A crash then makes it look like somebody else's write: blocked, with all traffic on stable.
 *
 * What must agree from outside (gates) is asked at least once: after a crash in the middle it is asked again. The first
 * gate opens before the first weight is asked for, the last one before the rollout can succeed.
 *
 * Provisioned concurrency that is not needed any more is released after the end: the rollout has ended, and does not
 * own its alias, but is not settled until that is done.
 *
 * Stale answers (whose seq is not the one waited for) are counted in `stale` and change nothing else.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/macros.h"
#include "core/alias.h"
#include "core/experiment.h"
#include "core/spec.h"
#include "core/verdict.h"

enum rollout_phase {
	PHASE_PENDING,
	PHASE_PREPARING,
	PHASE_PROGRESSING,
	PHASE_PAUSED,
	PHASE_PROMOTING,
	PHASE_BAKING,
	PHASE_SUCCEEDED,
	PHASE_ROLLING_BACK,
	PHASE_ROLLED_BACK,
	PHASE_FAILED,
	PHASE_BLOCKED,
};

/* Why a paused rollout is paused; bits, as several can hold at once. */
enum rollout_pause {
	PAUSE_OPERATOR = 1,
	PAUSE_APPROVAL = 2,
	PAUSE_HOLD_LIMIT = 4,
	PAUSE_FAILURE = 8, /* on_failure: pause */
};

/* What the rollout waits for from outside. */
enum rollout_wait { WAIT_NOTHING, WAIT_PREPARE, WAIT_READ, WAIT_WRITE, WAIT_GATE, WAIT_PROVISION };

/* Where the rollout is heading. */
enum rollout_goal { GOAL_FORWARD, GOAL_HOME };

#define CODE_HASH_SIZE 65
#define ASKED_HOME     127 /* above LIMIT_STEPS */

/* Of the stable version's history. */
#define HISTORY_MS	  (3 * MS_PER_HOUR)
#define HISTORY_PERIOD_MS (5 * MS_PER_MINUTE)

/*
 * The whole state: plain data, no pointers, copied and persisted as a whole. Times in wall milliseconds are records;
 * bakes are counted on boot_ms (baked_ms plus what passed since bake_mark_boot_ms).
 */
struct rollout {
	enum rollout_phase phase;
	enum rollout_goal goal;
	uint32_t pause;	 /* enum rollout_pause bits */
	uint32_t step;	 /* index into spec->steps; n_steps: the promotion */
	bool applied;	 /* the current step's weight is known to hold */
	bool look;	 /* the alias must be read before anything else is decided */
	bool advance;	 /* an operator's promote: take the next step now */
	bool full;	 /* an operator's promote --full: go to 100 % now */
	bool superseded; /* newer content of the plan waits for this one's end */
	bool quarantine; /* this rollback's version is to be quarantined */
	bool concluded;	 /* an experiment whose time is over: the way home is what was planned, and no failure */
	bool take_over;	 /* an operator resumed or rolled back a blocked rollout: go on from what the alias holds */
	bool take_told;	 /* … but time has passed since, so only if that is what the operator was told */
	bool reopened;	 /* a succeeded rollout is being rolled back, and its alias was not looked at yet */
	bool prepared;	 /* stable, canary and live are known */
	bool unsure;	 /* a write's outcome is unknown: it may still land until the RevisionId changes */
	bool cancelled;	 /* the write that is waited for was called back */
	bool finishing;	 /* the final bake is over, the alias is read once more */
	bool gated_pre;	 /* the pre-traffic gate has opened */
	bool gated_post; /* the post-traffic gate has opened */
	/* An operator started it in spite of alarms that are in ALARM; bits by metric: which of them were, and have not
	 * been seen in another state since. */
	bool despite_alarms;
	uint32_t excused_alarms;
	uint32_t dry_failed; /* bits by metric: that it would have failed was told */
	/*
	 * Provisioned concurrency. The canary gets what the stable version has before it takes traffic; what is not
	 * needed any more is released after the end. With the alias itself provisioned AWS adds passing weights of its
	 * own while it moves the allocation.
	 */
	bool alias_provisioned;
	uint32_t stable_provisioned; /* what the stable version has, or had until it was released after a success */
	uint32_t provisioned;	     /* what the canary is given by us; 0: nothing */
	bool provision_asked;	     /* it was asked for, and may have taken effect */
	bool provision_unsure; /* an earlier request's outcome is unknown: a refusal of a later one says nothing */
	uint64_t release;      /* ended, but this version's provisioned concurrency is still to be released; 0: none */
	int64_t moving_ms;     /* how long AWS has been seen to move the alias's allocation */

	uint64_t soak_version;	   /* what the source alias was seen to hold alone … */
	int64_t soak_from_unix_ms; /* … since when we know */
	int64_t soak_seen_unix_ms; /* when it was last looked at, by both clocks: a jump of the wall clock … */
	int64_t soak_seen_boot_ms; /* … moves soak_from along; 0: not in this boot */

	uint64_t stable;
	uint64_t canary;
	char stable_hash[CODE_HASH_SIZE]; /* CodeSha256, as AWS gives it (base64) */
	char canary_hash[CODE_HASH_SIZE];

	struct alias_target live;	   /* what the alias was last seen to hold */
	char revision[REVISION_SIZE];	   /* its RevisionId then */
	char old_revision[REVISION_SIZE];  /* the one before: an answer that carries it is an old view of the alias */
	uint32_t old_views;		   /* such answers in a row */
	char told_revision[REVISION_SIZE]; /* of the content that the rollout was blocked for */
	/*
	 * Intents recorded since `live` was confirmed, whose outcome is not known: bit i is the weight of step i, bit
	 * n_steps all traffic to the canary, bit ASKED_HOME all traffic to the stable version. Writes that are older
	 * than the confirmation carry an older RevisionId and can never land.
	 */
	uint64_t asked[2];

	enum rollout_wait wait;
	uint64_t seq;	       /* of the request waited for; grows by one with each request */
	uint32_t attempts;     /* failed tries of what is being done now */
	int64_t retry_boot_ms; /* when to try again; 0: not waiting to */
	uint64_t stale;	       /* answers that came for an older request */
	uint64_t
	    probes_skipped; /* turns of the probe that did not come to count; the engine's, nothing is decided by it */

	int64_t created_unix_ms;
	int64_t first_traffic_unix_ms;	     /* when the canary first got traffic; 0: never */
	int64_t step_from_unix_ms;	     /* when the current weight landed */
	int64_t landed_unix_ms[LIMIT_STEPS]; /* when each step's weight landed; 0: not yet, or nobody knows */
	int64_t promoted_unix_ms;
	int64_t ended_unix_ms;
	int64_t baked_ms;	    /* time at the current weight, up to the mark */
	int64_t bake_mark_boot_ms;  /* the mark; meaningful while `applied` */
	int64_t hold_from_baked_ms; /* what it had baked when it began to be held for a verdict; -1: it is not */
	int64_t prepare_ms;	    /* spent waiting for the version to become ready */

	/* The alias's counts of the three hours before the canary had traffic, as far as it is known to have held
	 * nothing but the stable version: for judging a canary that serves alone. Not seen: not read yet. */
	struct counts history;
	int64_t stable_since_unix_ms; /* another version may have served before this; 0: nobody knows of any */
	int64_t read_through_unix_ms; /* metrics are complete up to here */
	int64_t alarms_read_unix_ms;
	enum alarm_state alarms[LIMIT_METRICS];
	int64_t next_poll_unix_ms; /* 0: plan one */
	bool poll_pending;
	uint64_t poll_seq;

	enum verdict verdict;
	enum verdict_gap gap;
	bool allowed;		    /* the evidence lets the weight rise */
	char why[LIMIT_REASON];	    /* the last verdict's sentence */
	char reason[LIMIT_REASON];  /* why the phase is what it is */
	char trouble[LIMIT_REASON]; /* what keeps going wrong now, e.g. AccessDenied; "" when nothing does */
};

enum rollout_event_kind {
	EVENT_START,	  /* the engine lets a pending rollout go: nothing else lives on its alias */
	EVENT_RESUMED,	  /* loaded from the store after a restart */
	EVENT_PREPARED,	  /* answers EFFECT_PREPARE */
	EVENT_ALIAS_READ, /* answers EFFECT_READ_ALIAS */
	EVENT_WRITTEN,	  /* answers EFFECT_WRITE_ALIAS */
	EVENT_POLLED,	  /* answers EFFECT_POLL; the samples were merged already */
	EVENT_DELAYED,	  /* what EVENT_WRITTEN will answer has failed, and is tried again */
	EVENT_TIMER,	  /* the time asked for by EFFECT_TIMER came, or earlier */
	EVENT_COMMAND,
	EVENT_SUPERSEDED,  /* new content for the same name was accepted */
	EVENT_GATED,	   /* answers EFFECT_GATE */
	EVENT_PROVISIONED, /* answers EFFECT_PROVISION */
	EVENT_RELEASED,	   /* answers EFFECT_RELEASE */
};

/* What must agree from outside: hooks and probes. */
enum rollout_gate { GATE_PRE, GATE_POST };

enum provision_state { PROVISION_NONE, PROVISION_IN_PROGRESS, PROVISION_READY, PROVISION_FAILED };

enum rollout_command {
	COMMAND_PAUSE,
	COMMAND_RESUME,
	COMMAND_PROMOTE,
	COMMAND_PROMOTE_FULL,
	COMMAND_ROLLBACK,
};

/* How a call ended, as far as the state machine must know. */
enum call_outcome {
	CALL_OK,
	CALL_CONFLICT,	  /* 412: the revision was not the live one; nothing was changed */
	CALL_NOT_FOUND,	  /* alias, version or function is not there */
	CALL_REFUSED,	  /* AWS says no and will say no again */
	CALL_UNAVAILABLE, /* certainly not applied; trying again later may work (throttled, no connection, no rights) */
	CALL_UNKNOWN,	  /* sent, and no usable answer: it may have been applied, now or later */
};

/* What EFFECT_PREPARE found out about one version. */
struct version_info {
	enum { VERSION_ABSENT, VERSION_PENDING, VERSION_READY, VERSION_BROKEN } state;
	char hash[CODE_HASH_SIZE];
	char detail[LIMIT_REASON]; /* why it is broken, in AWS's words */
};

struct rollout_event {
	enum rollout_event_kind kind;
	struct instant now;
	uint64_t entropy; /* 64 random bits, for jitter */
	uint64_t seq;	  /* of the answered request */
	union {
		struct {
			/* The alias's RevisionId before its last change by an earlier rollout; NULL: not known. */
			const char *old_revision;
		} start;
		struct {
			bool same_boot; /* boot_ms of the record is comparable with now */
		} resumed;
		struct {
			enum call_outcome outcome;
			struct alias_view alias;
			/* The version that the plan asks for, `latest` resolved. Once r->canary is known it is that
			 * one: a rollout that has chosen its version keeps it. */
			uint64_t canary;
			struct version_info canary_info;
			struct version_info stable_info;
			bool same_role;			/* execution role and dead-letter target are the same */
			bool quarantined;		/* the canary's code hash is, for this alias */
			const enum alarm_state *alarms; /* one for each metric */
			/* The version is not known yet, though nothing is wrong: being published, say. `error` says
			 * what is waited for; counted as preparing, without end as long as the outcome is CALL_OK. */
			bool waiting;
			/*
			 * The version is what another alias holds alone: the rollout waits until it has soaked there.
			 * While it does, the rest need not be read: `waiting`, with that version, or 0 when the alias
			 * splits its traffic.
			 */
			bool from_alias;
			const char *source;	      /* that alias's name */
			int64_t source_since_unix_ms; /* what our own record knows about since when; 0: nothing */
			int64_t stable_since_unix_ms; /* likewise, since when the alias holds the stable version */
			uint32_t stable_provisioned;  /* of the stable version itself; 0: none */
			bool alias_provisioned;	      /* the alias itself has provisioned concurrency */
			enum provision_state canary_provision;
			uint32_t canary_provisioned; /* requested for the canary; 0: none */
			char provision_detail[LIMIT_REASON];
			char error[LIMIT_REASON];
		} prepared;
		struct {
			enum call_outcome
			    outcome;		 /* CALL_OK: it opens; CALL_REFUSED: it says no; others: tried again */
			char text[LIMIT_REASON]; /* what was said */
		} gated;
		struct {
			enum call_outcome outcome;
			char error[LIMIT_REASON];
		} provisioned; /* EVENT_PROVISIONED, EVENT_RELEASED */
		struct {
			enum call_outcome outcome;
			struct alias_view alias; /* when CALL_OK */
			char error[LIMIT_REASON];
		} alias; /* EVENT_ALIAS_READ, EVENT_WRITTEN; of EVENT_DELAYED the error alone */
		struct {
			bool complete;			/* every series was read without gaps */
			int64_t through_unix_ms;	/* up to here */
			const enum alarm_state *alarms; /* NULL: could not be read */
			struct counts history;		/* answers history_through_unix_ms; not seen: not read */
			char error[LIMIT_REASON];	/* why it is not complete */
		} polled;
		struct {
			enum rollout_command command;
			char by[64]; /* "uid 1000", for the record */
			char reason[LIMIT_REASON];
		} command;
	};
};

enum rollout_effect_kind {
	EFFECT_PREPARE, /* read alias, versions, alarms; answer with EVENT_PREPARED */
	EFFECT_READ_ALIAS,
	EFFECT_WRITE_ALIAS,
	EFFECT_CANCEL,	   /* drop the request `seq` if it has not been sent; all but gates are answered in any case */
	EFFECT_POLL,	   /* read metrics from from_unix_ms to through_unix_ms, and the alarms */
	EFFECT_TIMER,	   /* wake me at boot_ms; replaces the earlier one; INT64_MAX: no timer */
	EFFECT_ANNOUNCE,   /* an event for the record, the log and whoever watches */
	EFFECT_QUARANTINE, /* the canary's code hash, for this alias */
	EFFECT_ENDED,	   /* the alias is free for another rollout */
	EFFECT_GATE,	   /* run the hooks and probes of a gate */
	EFFECT_PROVISION,  /* give the canary provisioned concurrency */
	EFFECT_RELEASE,	   /* take a version's provisioned concurrency away */
};

/* Kinds of announced events; the names are part of the interface (docs). */
enum announce_kind {
	ANNOUNCE_PHASE,	    /* the phase changed */
	ANNOUNCE_WEIGHT,    /* a weight landed */
	ANNOUNCE_INTENT,    /* a weight is about to be asked for */
	ANNOUNCE_VERDICT,   /* the verdict changed */
	ANNOUNCE_COMMAND,   /* an operator's command was taken */
	ANNOUNCE_TROUBLE,   /* something keeps the rollout from going on */
	ANNOUNCE_RECOVERED, /* the trouble is over, or a lost answer was found */
	ANNOUNCE_FOREIGN,   /* somebody else's write was seen */
	ANNOUNCE_RELEASED,  /* what was left of provisioned concurrency is gone, or stays for a reason */
};

struct rollout_effect {
	enum rollout_effect_kind kind;
	uint64_t seq;
	union {
		struct {
			struct alias_target target;
			char revision[REVISION_SIZE];
			bool home; /* goes before every other waiting call, and is retried without budget */
		} write;
		struct {
			int64_t from_unix_ms;	 /* aligned to the period */
			int64_t through_unix_ms; /* aligned to the period, exclusive */
			/* And the alias's own counts between these two, which are aligned to HISTORY_PERIOD_MS and at
			 * most HISTORY_MS apart; through 0: they are not asked for. */
			int64_t history_from_unix_ms;
			int64_t history_through_unix_ms;
		} poll;
		struct {
			int64_t boot_ms;
		} timer;
		struct {
			enum rollout_gate which;
		} gate;
		struct {
			uint64_t version;
			uint32_t count; /* EFFECT_PROVISION */
		} provision;		/* EFFECT_PROVISION, EFFECT_RELEASE */
		struct {
			enum announce_kind kind;
			char text[LIMIT_REASON];
		} announce;
	};
};

/* A verdict that was taken, what it was asked, and where the rollout stood then: for the record. */
struct rollout_judged {
	bool done; /* one was taken in this step; otherwise the rest means nothing */
	uint32_t step;
	uint32_t weight_bp;
	struct verdict_question question; /* borrows of the rollout and its samples: valid until the next step */
	struct verdict_result result;
};

struct rollout_effects {
	struct rollout_effect items[LIMIT_EFFECTS];
	size_t len;
	struct rollout_judged judged;
};

/* Answers to a command. */
enum rollout_answer {
	ANSWER_DONE,
	ANSWER_ALREADY, /* nothing to do: it is so already */
	ANSWER_REFUSED, /* not in this phase; the text says what can be done */
};

/* A new rollout in `pending`. Nothing is asked for until EVENT_START. */
void rollout_init(struct rollout *r, struct instant now);

/*
 * Takes one event. `samples` are all the counts known. Effects are appended to `ret` in the order in which they are to
 * be carried out; everything in *r that changed must be durable before any of them leaves the process.
 * For EVENT_COMMAND, ret_answer and ret_text (LIMIT_REASON) say what became of it; both may be NULL otherwise.
 */
void rollout_step(const struct rollout_spec *spec, struct rollout *r, const struct samples *samples,
		  const struct rollout_event *event, struct rollout_effects *ret, enum rollout_answer *ret_answer,
		  char *ret_text);

/* A stored state can be one of this specification: what does not fit must not be stepped. */
bool rollout_fits(const struct rollout_spec *spec, const struct rollout *r);
bool rollout_ended(const struct rollout *r); /* succeeded, rolled-back or failed */
/* Ended, and nothing is left to be done for it: it may leave memory. */
bool rollout_settled(const struct rollout *r);
bool rollout_owns_alias(const struct rollout *r); /* no other rollout may start on its alias */
/* Pending, not held back by an operator's pause or `start: manual`: EVENT_START may be sent. */
bool rollout_may_start(const struct rollout_spec *spec, const struct rollout *r);
/* How long the current weight has baked, and how long it must. 0 when it does not bake. */
int64_t rollout_baked_ms(const struct rollout *r, int64_t now_boot_ms);
int64_t rollout_bake_ms(const struct rollout_spec *spec, const struct rollout *r);
/* The question whose answer is the verdict on this rollout now. Borrows all. */
void rollout_question(const struct rollout_spec *spec, const struct rollout *r, const struct samples *samples,
		      struct instant now, struct verdict_question *ret);
/* The canary has traffic and its metrics are judged, so it is probed if the plan says so: during a pause, too. */
bool rollout_is_probed(const struct rollout_spec *spec, const struct rollout *r);
/* What an experiment has shown so far, or had shown when it was over. */
void rollout_experiment(const struct rollout_spec *spec, const struct rollout *r, const struct samples *samples,
			struct instant now, struct experiment_result *ret);
/* The earliest time the next step can come if all passes (wall ms); 0 when no step is waited for. */
int64_t rollout_next_step_unix_ms(const struct rollout_spec *spec, const struct rollout *r, struct instant now);
/* The canary's share now, in basis points. */
uint32_t rollout_weight_bp(const struct rollout *r);

const char *rollout_phase_name(enum rollout_phase p);
bool rollout_phase_from_name(const char *name, enum rollout_phase *ret);
const char *rollout_command_name(enum rollout_command c);
const char *rollout_announce_name(enum announce_kind k);
/* "operator", "approval", "hold-limit", "failure", joined by '+'; "" when none. */
void rollout_pause_format(uint32_t pause, char out[static 48]);
