/* The one way to write a plan: JSON on one line, every default written out, keys in a fixed order. */
#pragma once

#include "plan/plan.h"

/* Appends it. With `display`, what is only for people (`from_strategy`) is in it; the hash is taken without. */
void normalize_plan(const struct plan *p, bool display, struct buf *out);
