/* Makes a failing script smaller: less in it, as long as it fails in the same way. */
#pragma once

#include "tests/sim/simulation.h"

/* `script` must fail with that kind of violation. Runs at most `runs` others. */
void shrink(struct simulator *simulator, struct script *script, enum violation_kind kind, unsigned runs);
