/* Options of `simulate`, and how its outcome is shown. */
#pragma once

#include "simulate/simulate.h"

struct canvas;

/* What was asked for. */
struct simulate_wish {
	bool has_rps, has_stable, has_canary;
	struct simulate_load load;
	unsigned runs; /* 0: not given */
	uint64_t seed;
	bool has_seed;
};

/* One plan's rollouts, simulated. */
struct simulated {
	const struct plan *plan;
	const struct simulate_load *load;
	const struct simulate_run *runs;
	struct simulate_summary summary;
};

/* A bar of the time until the canary was back. */
struct simulate_bar {
	int64_t until_ms; /* and not within an earlier one */
	size_t runs;
};

#define SIMULATE_BARS_MAX 16
#define SIMULATE_SENTENCE 512

/* Bars of equal, round width from 0 on; returns how many, 0 when no canary came back. */
size_t chances_bars(const struct simulated *s, struct simulate_bar ret[static SIMULATE_BARS_MAX]);
/* "With 20 requests/s and 5% errors this plan brings the canary back in 99 of 100 rollouts, …" */
void chances_sentence(const struct simulated *s, char out[static SIMULATE_SENTENCE]);
/* What would make it better; "" when it is good. */
void chances_advice(const struct simulated *s, char out[static SIMULATE_SENTENCE]);
void chances_print(const struct simulated *s, struct canvas *c);
