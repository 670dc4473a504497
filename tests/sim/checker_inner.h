/* What the checker's two files share. */
#pragma once

#include "tests/sim/simulation.h"

/* What is known of the item's attempt; NULL after a violation. */
struct checked_rollout *checker_rollout(struct checker *c, const struct item *i);

void checker_must_go_home(struct checker *c, struct checked_rollout *r, bool durable, const char *reason);
/* 2, 3: the hooks of its plan have agreed: the first before traffic moves, the other before the end. */
void checker_hooks_agreed(struct checker *c, const struct checked_rollout *r, bool end);
/* It is rolled back: its version gets no traffic on that alias again … */
void checker_quarantine(struct checker *c, const struct checked_rollout *r);
/* … until an operator says so. */
void checker_lift_quarantine(struct checker *c, const struct checked_rollout *r);
/* 4: it sends its first step forward. */
void checker_not_quarantined(struct checker *c, const struct checked_rollout *r);

/* --- checker_judge.c --- */

/* The judgements made so far are on the disk; those that are not are lost. */
void checker_judgements_durable(struct checker *c);
void checker_judgements_lost(struct checker *c);
/* 3: of rollouts that have ended, the judgements on record are those that were to be made. */
void checker_audit(struct checker *c, struct host *h);
/* 2, 10: a request that may be a probe; returns whether it is one. */
bool checker_probes(struct checker *c, struct host *h, const struct http_request *request);
