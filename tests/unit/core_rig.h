/*
 * A rig for the state machine's tests: a rollout, an alias with compare-and-set, a clock, and metrics, all in memory.
 * The test decides the fate of each call; the rig checks the invariants at each write.
 */
#pragma once

#include "core/rollout.h"

#define RIG_STEPS_MAX 8

enum fate {
	FATE_OK,
	FATE_LOST_BEFORE, /* never reaches AWS; no answer */
	FATE_LOST_AFTER,  /* applied; no answer */
	FATE_LATE,	  /* no answer; reaches AWS when rig_deliver_late is called */
	FATE_THROTTLED,
	FATE_REFUSED,
};

struct rig_write {
	struct alias_target target;
	char revision[REVISION_SIZE];
	uint64_t seq;
	bool home;
};

struct rig {
	struct spec_step steps[RIG_STEPS_MAX];
	struct spec_metric metrics[2];
	struct rollout_spec spec;
	struct rollout r;
	struct samples samples;
	struct instant now;
	struct alias_view alias; /* the live one */
	uint64_t revision;
	bool alias_gone;
	struct rollout_effects effects; /* of the last event */
	struct rig_write write;		/* waiting to be answered */
	bool has_write;
	struct rig_write late;
	bool has_late;
	uint64_t read_seq;
	bool has_read;
	uint64_t prepare_seq;
	bool has_prepare;
	uint64_t poll_seq;
	int64_t poll_through;
	int64_t history_through; /* asked for with the poll; 0: not */
	struct counts history;	 /* what is answered then */
	bool has_poll;
	uint64_t gate_seq;
	enum rollout_gate gate;
	bool has_gate, gate_takes_long;
	bool gate_opened_pre, gate_opened_post;
	unsigned gates_asked;
	uint64_t provision_seq;
	uint32_t provision_count;
	bool has_provision;
	uint64_t release_seq, release_version;
	bool has_release;
	uint32_t stable_provisioned, canary_provisioned; /* as AWS has it */
	enum provision_state provision_state;		 /* the canary's */
	bool alias_provisioned;
	bool publishing;
	uint64_t source_version; /* of the alias that the version is taken from; 0: there is none */
	bool source_splits;
	int64_t source_since_unix_ms;
	uint64_t cancelled_seq;
	int64_t timer_boot_ms;
	bool quarantined_effect;
	unsigned ended_effects;
	unsigned writes; /* asked for */
	unsigned applied_writes;
	uint32_t weights[64]; /* applied, in order */
	size_t n_weights;
	uint64_t entropy;
	/* metrics of each settled minute while the canary has traffic */
	uint64_t canary_invocations, canary_errors, stable_errors;
	bool metrics_missing, metrics_unreadable, alarms_unreadable;
	enum alarm_state alarms[LIMIT_METRICS];
	bool trace;	  /* prints what happens */
	bool human_wrote; /* the live content is a human's */
	/* What the checks know of the live content by themselves. */
	int64_t landed_boot_ms, landed_unix_ms; /* when AWS took it */
	int64_t landed_before_ms;		/* how long it had held before the host was restarted */
	int64_t read_through_unix_ms;		/* metrics were delivered without gaps up to here */
	bool by_hand;				/* an operator has let it go on since */
	bool by_hand_full;			/* … all the way to 100 % */
};

/* Steps 10 % and 50 %, five minutes each, errors at most 1 % from 50 requests on, no final bake. */
void rig_init(struct rig *g);
void rig_deinit(struct rig *g);
void rig_event(struct rig *g, struct rollout_event *event);
void rig_simple(struct rig *g, enum rollout_event_kind kind);
enum rollout_answer rig_command(struct rig *g, enum rollout_command c);
enum rollout_answer rig_command_for(struct rig *g, enum rollout_command c, const char *reason);
/* The same, and the answer must be this one, with that in its text. */
void rig_expect(struct rig *g, enum rollout_command c, enum rollout_answer want, const char *text);
void rig_assert_phase(const struct rig *g, enum rollout_phase phase);
/* The last event announced this, with that in its text. */
bool rig_said(const struct rig *g, enum announce_kind kind, const char *text);
extern char rig_answer_text[LIMIT_REASON];
void rig_answer_prepare(struct rig *g);
/* The answer to EFFECT_PREPARE, for a test to change before it is sent. */
void rig_make_prepared(struct rig *g, struct rollout_event *ret);
void rig_answer_read(struct rig *g);
/* What waits to be read or written ends like this, and changed nothing. The error names the call. */
void rig_end_prepare(struct rig *g, enum call_outcome outcome);
void rig_end_read(struct rig *g, enum call_outcome outcome);
void rig_end_write(struct rig *g, enum call_outcome outcome);
void rig_answer_write(struct rig *g, enum fate fate);
void rig_answer_poll(struct rig *g);
void rig_answer_gate(struct rig *g, enum call_outcome outcome);
/* `applied`: it took effect in AWS, whatever the answer says. */
void rig_answer_provision(struct rig *g, enum call_outcome outcome, bool applied);
void rig_answer_release(struct rig *g, enum call_outcome outcome, bool applied);
void rig_deliver_late(struct rig *g);
void rig_human(struct rig *g, struct alias_target target);
/* Answers everything well and moves time to the next timer, until nothing happens or the phase is reached. */
bool rig_run_until(struct rig *g, enum rollout_phase phase);
/* Turns until a write is asked for, or until so many weights have landed. */
void rig_run_to_write(struct rig *g);
void rig_run_to_weight(struct rig *g, size_t n);
/* One turn of that: answers what waits, or else moves time. Returns false when nothing is left to do. */
bool rig_turn(struct rig *g);
/* A crash: the state survives, what was under way is forgotten by us (not by AWS). */
void rig_crash(struct rig *g, bool same_boot);
