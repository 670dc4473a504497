/* Inside this folder only: the plan as it is simulated. */
#pragma once

#include "plan/plan.h"
#include "simulate/simulate.h"

#define FINE_STABLE 1
#define FINE_CANARY 2

/* A plan of its own, which borrows of the other; what cannot be simulated is not in it. The caller frees it first. */
struct plan *fine_plan(const struct plan *from);
