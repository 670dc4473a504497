/* What the checker's two files share. */
#pragma once

#include "tests/sim/simulation.h"

/* What is known of the item's attempt; NULL after a violation. */
struct checked_rollout *checker_rollout(struct checker *c, const struct item *i);
