/*
 * Inside the engine only: the effects that are calls. Each function starts a sequence of calls for one effect, which
 * ends with one event for the state machine; the item stays pinned until then.
 */
#pragma once

#include "engine/item.h"

/* calls.c */
const char *calls_function(const struct item *i); /* as calls name it: its ARN where the plan gave one */

/* calls_prepare.c: EFFECT_PREPARE */
void calls_prepare(struct item *i, uint64_t seq);

/* gate.c: EFFECT_GATE */
void gate_start(struct item *i, const struct rollout_effect *effect);
/* Nobody waits for its answer any more. What has left is not called back: a hook that runs goes on to its end. */
/* Where the function of an `invoke` hook is: its ARN says so, else it is the rollout's own region. */
void gate_hook_region(const struct plan_hook *hook, const char *region, char *out, size_t size);
void gate_cancel(struct item *i, uint64_t seq);

/* provision.c: EFFECT_PROVISION, EFFECT_RELEASE */
void provision_start(struct item *i, const struct rollout_effect *effect);
