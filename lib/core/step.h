/*
 * Inside the state machine only: what its files share. See rollout.h.
 */
#pragma once

#include "core/rollout.h"

/* One call of rollout_step. */
struct turn {
	const struct rollout_spec *spec;
	struct rollout *r;
	const struct samples *samples;
	const struct rollout_event *event;
	struct rollout_effects *effects;
	struct instant now;
};

/* step.c */
struct rollout_effect *turn_effect(struct turn *t, enum rollout_effect_kind kind);
void turn_announce(struct turn *t, enum announce_kind kind, const char *fmt, ...) printf_like(3, 4);
/* Changes the phase, says so, and drops what belonged to the old one. `reason` becomes r->reason. */
void turn_set_phase(struct turn *t, enum rollout_phase phase, const char *reason);
void turn_trouble(struct turn *t, const char *fmt, ...) printf_like(2, 3);
void turn_recovered(struct turn *t);
/* Tries again later what is being done now: capped full jitter, shorter on the way home. */
void turn_retry_later(struct turn *t);
/* Does whatever the state asks for next, if nothing is being waited for. */
void turn_proceed(struct turn *t);
/* The phase of a rollout that goes forward, from step, pause and applied. */
enum rollout_phase turn_forward_phase(const struct turn *t);
/* Ends the rollout in that phase. */
void turn_end(struct turn *t, enum rollout_phase phase, const char *reason);

/* traffic.c */
struct alias_target traffic_wanted(const struct rollout_spec *spec, const struct rollout *r);
/* Whether a step forward was asked for of which nobody knows yet what became of it. */
bool traffic_may_come(const struct turn *t);
void traffic_look(struct turn *t); /* asks for the alias */
void traffic_looked(struct turn *t);
void traffic_write(struct turn *t); /* asks for the wanted target, or finds that it holds already */
void traffic_written(struct turn *t);
/* Calls a write back that is asked for: one that has not left yet never will; it is answered in any case. */
void traffic_call_back(struct turn *t);
/* All traffic to stable, before anything else. Ends the rollout at once when nothing was moved or asked for. */
void traffic_go_home(struct turn *t, const char *reason, bool quarantine);

/* Nothing is written any more until an operator's word. */
void traffic_block(struct turn *t, const char *reason);
void traffic_take_over(struct turn *t); /* an operator's word on a blocked rollout */
/* What the alias holds is known: what was asked for before can no longer land. */
void traffic_confirm(struct turn *t, const struct alias_view *view);
/* Whether that is how the alias was before its last change; it is then looked at again later. */
bool traffic_is_old_view(struct turn *t, const struct alias_view *view);

/* prepare.c */
void prepare_ask(struct turn *t);
void prepare_answered(struct turn *t);
void prepare_fail(struct turn *t, const char *fmt, ...) printf_like(2, 3); /* ends it: nothing was moved */
/* What the canary needs is being made ready: looks again later, up to a limit. */
void prepare_await(struct turn *t, const char *what, const char *detail);

/* gates.c */
bool gates_hold_traffic(const struct turn *t); /* the first one is there and has not opened */
bool gates_hold_end(const struct turn *t);     /* the last one … */
bool gates_due(const struct turn *t);	       /* one must be asked now */
void gates_ask(struct turn *t);
void gates_answered(struct turn *t);
void gates_drop(struct turn *t); /* its answer does not matter any more */

/* concurrency.c: provisioned concurrency */
/* Whether the canary has what it needs, by the answer to EFFECT_PREPARE; if not, what to do about it was arranged. */
bool concurrency_ready(struct turn *t);
void concurrency_asked(struct turn *t); /* EVENT_PROVISIONED */
/* AWS moves the allocation of the alias itself between our two versions: a passing weight of its own. */
bool concurrency_moves(const struct rollout *r, const struct alias_view *view);
void concurrency_look_again(struct turn *t);
/* Returns whether that is under way to the wanted target: looked at again later, up to a limit. */
bool concurrency_await_move(struct turn *t, const struct alias_target *wanted);
void concurrency_end(struct turn *t, enum rollout_phase phase); /* notes what is to be released */
void concurrency_release(struct turn *t);
void concurrency_released(struct turn *t); /* EVENT_RELEASED */
void concurrency_keep(struct turn *t);	   /* nothing is released after all */
/* Of a succeeded rollout: the stable version's was released, or may have been. */
bool concurrency_gave_up(const struct rollout *r);

/* watch.c */
/* "the experiment is over: version 2 failed …": LIMIT_REASON characters. */
void watch_tell_experiment(const struct turn *t, char *out);
/* The canary failed, by its metrics or by a gate: back, or a pause, as the plan says. */
void watch_failed(struct turn *t, const char *why);
void watch_begin(struct turn *t); /* a weight has just landed */
void watch_poll(struct turn *t);  /* reads metrics, if it is time; whatever else is waited for */
void watch_polled(struct turn *t);
void watch_decide(struct turn *t);		  /* on or back, if it is time */
void watch_mark(struct turn *t);		  /* moves the bake's mark to now */
int64_t watch_next_boot_ms(const struct turn *t); /* when the watch wants to be woken */

/* command.c */
enum rollout_answer command_take(struct turn *t, char *ret_text);
