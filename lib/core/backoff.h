/*
 * Capped exponential backoff with full jitter: uniform in [0, min(cap, base * 2^attempt)).
 * Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
 */
#pragma once

#include <stdint.h>

/* attempt counts from 0. `entropy` is any 64 random bits. Never less than 1 ms. */
int64_t backoff_full_jitter_ms(unsigned attempt, int64_t base_ms, int64_t cap_ms, uint64_t entropy);
