/* How many requests come: draws of the Poisson distribution. */
#pragma once

#include "base/prng.h"

/* Any mean from 0 on; takes about the same time for each. */
uint64_t arrivals_draw(struct prng *p, double mean);
