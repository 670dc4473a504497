/*
 * Inside the engine only: looking at what a plan is about, for `diff` and `doctor`. inspect.c looks and
 * compares; doctor.c
 * tries what a rollout will need, by calls that change nothing.
 */
#pragma once

#include "engine/chain.h"

struct doctor;

/* One look. Everything that is told lives in the arena. */
struct inspect {
	struct engine *engine;
	struct inspect *next;
	uint64_t ticket;
	enum inspect_what what;
	bool forgotten;
	inspect_cb cb;
	void *arg;
	struct plan *plan;
	char *region;
	struct arena *arena;
	struct service_spec spec;    /* of a rollout's plan: its alias alone */
	struct service_alias alias;  /* … that */
	struct chain_memory *memory; /* a copy */
	struct reconcile *reconcile;
	struct change_list changes;
	struct doctor *doctor;
};

/* The end, exactly once: the asker is told, unless it went away, and the inspection is freed. `error` NULL: none. */
void inspect_end(struct inspect *n, const char *error, const struct finding *findings, size_t n_findings);
/* Where its function is. */
struct chain_place inspect_place(const struct inspect *n);
/* Begins to try things out; ends with inspect_end. */
void doctor_start(struct inspect *n);
/* Not even looking was possible: that is the finding. */
void doctor_tell_error(struct inspect *n, const struct aws_error *error, const char *text);
void doctor_free(struct doctor *d); /* NULL is fine */
