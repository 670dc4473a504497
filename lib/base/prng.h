/*
 * Deterministic pseudo-random numbers for jitter and simulation; never for secrets.
 * xoshiro256** 1.0, seeded by splitmix64 (Blackman and Vigna, https://prng.di.unimi.it/).
 */
#pragma once

#include <stdint.h>

struct prng {
	uint64_t s[4];
};

void prng_init(struct prng *p, uint64_t seed);
uint64_t prng_next(struct prng *p);
uint64_t prng_below(struct prng *p, uint64_t bound); /* uniform in 0 … bound-1; bound >= 1; without modulo bias */
double prng_unit(struct prng *p);		     /* uniform in [0, 1) */
