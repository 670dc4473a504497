/*
 * What depends on more than one key of a plan: combinations that cannot work, or that would be accepted and then have
 * no effect, are errors; those that work otherwise than one might think are warnings.
 */
#pragma once

#include "plan/shape.h"

void checks_target(const struct record *plan, struct diags *diags);
void checks_analysis(const struct record *how, const struct shape *shape, struct diags *diags);
/* The part of it that is about `metrics` and `probe`. */
void checks_metrics(const struct record *how, const struct shape *shape, struct diags *diags);
/* How often metrics are read: as written, or 60s, or the period where that is shorter. */
int64_t checks_every_ms(const struct record *analysis);
