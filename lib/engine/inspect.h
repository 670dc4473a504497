/*
 * Inside the engine only: looking at what a plan is about, for `diff` and `doctor`. inspect.c looks and
 * compares; identify.c asks whose keys an account has; doctor.c tries what a rollout will need, by calls that change
 * nothing.
 */
#pragma once

#include "engine/chain.h"

struct doctor;

/* One look: at a plan, or (NULL) at all accounts. Everything that is told lives in the arena. */
struct inspect {
	struct engine *engine;
	struct inspect *next;
	uint64_t ticket;
	enum inspect_what what;
	bool forgotten;
	inspect_cb cb;
	void *arg;
	unsigned calls; /* of identify.c and doctor.c, whose answers refer to it */
	struct plan *plan;
	char *region;
	struct arena *arena;
	struct service_spec spec;    /* of a rollout's plan: its alias alone */
	struct service_alias alias;  /* … that */
	struct chain_memory *memory; /* a copy */
	struct reconcile *reconcile;
	struct change_list changes;
	struct doctor *doctor;
	struct view_account *accounts; /* whose keys were looked at */
	size_t n_accounts;
	struct finding *findings;
	size_t n_findings;
	size_t cap_findings;
};

/* The end, exactly once: the asker is told, unless it went away, and the inspection is freed. `error` NULL: none. */
void inspect_end(struct inspect *n, const char *error);
/* Where its function is. */
struct chain_place inspect_place(const struct inspect *n);
void inspect_find(struct inspect *n, enum finding_level level, const char *subject, const char *cure, const char *fmt,
		  ...) printf_like(5, 6);
/* One answer is there, which counted in n->calls. False: nobody wants to know any more; the last one then ends it. */
bool inspect_goes_on(struct inspect *n);
/* Whose keys the plan's account has, or all of them have, is known as far as it can be. `usable`: all have keys and an
 * endpoint. */
void inspect_identified(struct inspect *n, bool usable);

/* Asks whose keys the accounts have, at least one; ends with inspect_identified. */
void identify_accounts(struct inspect *n);

/* Begins to try things out; ends with inspect_end. */
void doctor_start(struct inspect *n);
/* A warning when this host's clock is off. */
void doctor_judge_clock(struct inspect *n);
/* What to do about an error of AWS's. */
const char *doctor_cure(const struct aws_error *e);
/* Not even looking was possible: that is the finding. */
void doctor_tell_error(struct inspect *n, const struct aws_error *error, const char *text);
void doctor_free(struct doctor *d); /* NULL is fine */
