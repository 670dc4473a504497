/* What a plan says, as the control API shows it to whoever validates it. Used by the daemon and by rolloutctl. */
#pragma once

#include <jansson.h>

#include "plan/plan.h"

/* POST /v1/plans/validate. `plan` is NULL when it is not valid; the diagnostics say why. The caller owns the result. */
json_t *planform_check(const struct plan *plan, const struct diags *diags);
/* An array of form_diagnostic; the caller's. */
json_t *planform_diagnostics(const struct diags *diags);
