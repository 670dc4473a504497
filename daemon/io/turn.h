/*
 * Runs one function once at the end of each of the loop's turns in which somebody wanted it: after all timers and all
 * sockets of the turn were served, and before the loop waits again. Also measures how long turns keep the loop busy.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/macros.h"

struct turn;

struct turn_stats {
	uint64_t turns;	 /* of the loop */
	uint64_t stalls; /* turns that were busy for longer than TURN_STALL_MS */
	uint64_t longest_us;
};

#define TURN_STALL_MS 5

/* Before the loop's first run. */
void turn_new(uv_loop_t *loop, void (*run)(void *ctx), void *ctx, struct turn **ret);
void turn_want(struct turn *t); /* also from within run: then once more */
void turn_stats(const struct turn *t, struct turn_stats *ret);
void turn_close(struct turn *t); /* freed by the loop's next turns; NULL is fine */
