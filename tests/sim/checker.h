/*
 * The checker: watches from where AWS is. It sees every write when it leaves a host and when it lands, every answer
 * that brings metrics, what the operators and the human do, and what is published; and knows what the alias truly
 * holds. From that alone, and the plans' own words, it tells whether the ten invariants hold. It looks into the engine
 * for one thing only: whose write it is that is being sent.
 */
#pragma once

#include "core/alias.h"
#include "core/rollout.h"
#include "engine/engine.h"
#include "sim/world.h"
#include "store/store.h"
#include "tests/sim/script.h"

enum violation_kind {
	VIOLATION_NONE,
	VIOLATION_INTENT,     /* 1 */
	VIOLATION_WEIGHT,     /* 2 */
	VIOLATION_EVIDENCE,   /* 3 */
	VIOLATION_HOME,	      /* 4 */
	VIOLATION_FOREIGN,    /* 5 */
	VIOLATION_ONE_WRITER, /* 6 */
	VIOLATION_CRASH,      /* 7 */
	VIOLATION_END,	      /* 8 */
	VIOLATION_SECRET,     /* 9 */
	VIOLATION_BOUNDED,    /* 10 */
	VIOLATION_LIVENESS,   /* something does not end */
};

struct violation {
	enum violation_kind kind;
	int64_t at_ms;
	char text[512];
};

const char *violation_name(enum violation_kind k);

#define CHECKER_ASKED	 512 /* writes that are remembered */
#define CHECKER_ROLLOUTS 48  /* attempts of all names */
#define CHECKER_EXPECTED 512 /* judgements that are remembered */

enum writer { WRITER_NOBODY, WRITER_DAEMON, WRITER_HUMAN };

/* A write that left. */
struct asked {
	enum writer writer;
	unsigned alias;
	size_t rollout; /* index into checker.rollouts; of a daemon's */
	struct alias_target target;
	char revision[REVISION_SIZE]; /* that it carries; "": none */
	int64_t sent_ms;
	bool home;
	bool given_up; /* its caller has had an answer, or will have none */
	uint64_t row;  /* the rollout's row in the store, and the intent's number: what a crash must not take */
	uint64_t seq;
	bool unrecorded; /* sent without an intent, which only the way home may be */
};

/* A judgement that the daemon has made, made again. */
struct expected {
	uint64_t row; /* of its rollout; 0: a crash has taken it */
	uint64_t seq;
	bool durable, certain, found;
	enum verdict verdict;
	struct counts canary, stable;
	bool weighed;
	double evidence;
};

/* How a rollout stands before the daemon is given an answer. */
struct before_answer {
	bool polling; /* it waits for metrics, and will judge them */
	uint64_t seq; /* of that poll */
	uint32_t step;
	int64_t from_unix_ms, step_from_unix_ms, promoted_unix_ms;
};

/* Of one version, since from_ms. */
struct checked_probes {
	int64_t life_ms; /* which daemon's */
	int64_t from_ms;
	uint64_t n;
};

/* One attempt of a plan. */
struct checked_rollout {
	unsigned name;
	uint64_t attempt;
	const struct script_plan *plan;
	bool accepted; /* the daemon has said so: it must never be lost */
	uint64_t row;  /* in the store; 0: not known */
	int64_t born_ms;
	uint64_t stable;
	unsigned sends;
	int64_t first_send_ms;
	bool went_home;	    /* a write of the way home was sent */
	bool home_recorded; /* … and was on record */
	bool pre_agreed;    /* its hook before the traffic has */
	bool post_agreed;   /* … and the one after it */
	bool failed;	    /* by its counts, by its last hook, or an operator gave it up */
	bool must_pause;    /* it has been told that it fails, and its plan says to pause then */
	bool pause_durable; /* … and that this is so survives a crash */
	bool pardoned;	    /* an operator has let it go on */
	bool must_go_home;  /* since a command, a newer plan or a failure that it has been told of */
	bool home_asked;    /* the way home is on record, and has not left yet */
	bool home_durable;  /* … and that this is so survives a crash */
	char home_reason[LIMIT_REASON];
	unsigned words_before; /* word, by_hand, full and ended before the command that is under way, a bit each */
	bool word;	       /* an operator's resume, rollback or retry since the last write of a human */
	bool by_hand;	       /* an operator's promote since the last weight landed */
	bool full;	       /* … --full, at any time */
	bool paused;	       /* by an operator */
	bool landed;	       /* any of its writes */
	int64_t must_ms;       /* since when it must go home */
	struct before_answer before;
	bool begun;			 /* its canary has traffic: what it is told from now on counts */
	bool shared;			 /* it was told something together with another */
	bool probes_doubtful;		 /* a crash may have taken some of those that were counted */
	bool concluded;			 /* it is an experiment, and went home as it was over */
	bool failing;			 /* by the last judgement */
	bool audit_due;			 /* it has ended, and its judgements were not looked at yet */
	int64_t window_unix_ms;		 /* where the periods begin that it judges; 0: it has not yet */
	int64_t window_durable_unix_ms;	 /* … as of what is on the disk */
	int64_t judged_unix_ms;		 /* the last time … */
	int64_t judged_through_unix_ms;	 /* … and periods up to here */
	struct checked_probes probes[2]; /* of the stable version, of the canary */
	bool ended;
	bool reopened;		  /* it had ended, and an operator wanted it back */
	enum rollout_phase phase; /* as it was last published */
	int last_step;		  /* of the plan, that landed: -1 none, n_steps: the promotion */
	int64_t landed_ms;	  /* when it did */
	int64_t landed_unix_ms;	  /* by the host's wall clock */
	int64_t first_unix_ms;	  /* when the canary first had traffic, by the host's wall clock */
};

struct checked_alias {
	bool there;
	struct alias_target holds;
	char revision[REVISION_SIZE];
	enum writer writer;
	size_t by; /* index of the rollout, of a daemon's write */
	int64_t changed_ms;
	struct alias_target before_human; /* what it held when a human wrote */
	bool touched;			  /* a human has written, deleted or made it, ever */
	int64_t touched_ms;		  /* … and when last */
};

struct evidence;
struct simulation;
struct host;

struct checker {
	struct simulation *s;
	struct violation violation;
	struct asked asked[CHECKER_ASKED];
	size_t n_asked;
	struct checked_rollout rollouts[CHECKER_ROLLOUTS];
	size_t n_rollouts;
	struct checked_alias aliases[SCRIPT_ALIASES];
	struct evidence *evidence;
	bool quarantined[SCRIPT_ALIASES][SCRIPT_VERSIONS + 1];
	int64_t failing_ms; /* when the daemon's disk failed last */
	int64_t minute;	    /* the one that calls are counted in */
	unsigned calls;	    /* in it */
	struct expected expected[CHECKER_EXPECTED];
	size_t n_expected, n_durable; /* ever; those before n_durable are on the disk, or lost */
	bool concluded;		      /* an experiment has ended as planned */
	bool unrecorded_home;	      /* a way home left without a record, as the disk failed: a crash may forget it */
};

void checker_begin(struct checker *c, struct simulation *s);
void checker_end(struct checker *c);

/* A request that is about to leave the host. Returns the number of the write + 1; 0: it is none. */
unsigned checker_sending(struct checker *c, struct host *h, const struct http_request *r);
/* A request could not leave: no way to AWS, or no keys. */
void checker_not_sent(struct checker *c);
/* Nobody waits for that write any more. */
void checker_given_up(struct checker *c, unsigned asked);
/* The aliases may have changed: after each call to AWS and each step of its time. */
void checker_look(struct checker *c);
/* A human is about to write, or has deleted or made the alias. */
void checker_human(struct checker *c, unsigned alias);
struct delivery;
/* An answer is about to be given to the daemon; d: what CloudWatch says with it, or NULL … */
void checker_delivers(struct checker *c, struct host *h, const struct delivery *d);
/* … and it was. */
void checker_answered(struct checker *c, struct host *h);
/* The daemon has said that it took the plan: its newest attempt. */
void checker_plan_taken(struct checker *c, struct host *h, unsigned name, bool supersedes);
/* An operator commands that attempt … */
void checker_commands(struct checker *c, struct host *h, unsigned name, uint64_t attempt, enum rollout_command command);
/* … and the daemon has answered so. */
void checker_commanded(struct checker *c, unsigned name, uint64_t attempt, enum rollout_command command,
		       enum engine_answer answer);
/* An operator wants the newest attempt of that name once more, which has ended. */
void checker_retried(struct checker *c, unsigned name);
/* A hook is started with that input: gives the index of the rollout and which hook it is, for … */
size_t checker_hook_starts(struct checker *c, const char *input, bool *ret_pre);
/* … the moment in which the daemon is told how it ended. */
void checker_hook_ended(struct checker *c, size_t rollout, bool pre, const struct exec_result *result);
void checker_published(struct checker *c, struct host *h, const struct store_event *e);
/* The engine's turn is over. */
void checker_turned(struct checker *c, struct host *h);
/* The daemon was started: what was accepted and asked for must be on record. */
void checker_started(struct checker *c, struct host *h);
void checker_crashed(struct checker *c);
/* Everything had time to end. */
void checker_finish(struct checker *c, struct host *h);
/* No secret in what anybody can read. */
void checker_no_secret(struct checker *c, const char *where, const char *text);
void checker_fail(struct checker *c, enum violation_kind kind, const char *fmt, ...) printf_like(3, 4);
