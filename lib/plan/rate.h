/*
 * How often something is done: "2/s", "30/m", "10/h". Kept as the time between two of them, rounded up to whole
 * milliseconds, so that it is never done more often than asked for.
 */
#pragma once

#include <stdint.h>

#include "base/macros.h"

/* 0, -EINVAL (not of the form) or -ERANGE (none at all, or more than one a millisecond). */
must_use int rate_parse(const char *s, int64_t *ret_every_ms);
/* The first of "N/s", "N/m" and "N/h" that rate_parse reads back to the same; of what it has read. */
void rate_format(int64_t every_ms, char out[static 32]);
