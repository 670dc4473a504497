/*
 * The values of a sample as text for the store: a JSON array with a number, or null where there is no datapoint, for
 * each value of the plan's metrics.
 */
#pragma once

#include "base/buf.h"
#include "core/samples.h"

/* The text of that sample's values, in `out`; NULL when there are none. Reads back to the same numbers. */
const char *record_values_encode(const struct samples *s, size_t index, struct buf *out);
/* Puts them back into the sample of that start, which must be there. NULL, and what is no such list of as many values,
 * leave it without values. */
void record_values_decode(const char *text, struct samples *s, int64_t start_unix_ms);
