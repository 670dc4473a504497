/*
 * Code to publish, as a plan writes it: `code` of a service, `publish` of a rollout's version.
 */
#pragma once

#include "chain/spec.h"
#include "plan/record.h"

/* One source; none is good with `or_latest`, and means $LATEST as it stands. */
void artifact_check(const struct record *code, bool or_latest, struct diags *diags);
/* Of what had no error. Texts are copied into the arena. */
void artifact_fill(struct arena *a, const struct record *code, struct code_spec *ret);
