/* The file that a plan's probe sends, looked at where the daemon would: relative to the folder of the plan. */
#pragma once

#include "plan/plan.h"

/* Adds what is wrong with it to the plan's diagnostics, at its place in the plan: an error when it is there and can
 * never be sent, a warning when it is not there, as this may be another host. */
void event_check(const struct plan *p, const char *file, struct diags *diags);
