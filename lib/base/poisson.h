/* Draws of the Poisson distribution: how many requests come, or fail, when so many are expected. */
#pragma once

#include "base/prng.h"

/* Any mean from 0 on; takes about the same time for each. */
uint64_t poisson_draw(struct prng *p, double mean);
