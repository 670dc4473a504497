/* The charts of a rollout's report, each a <figure>. What a record has nothing for is left out. */
#pragma once

#include "story.h"

/* Whether there is anything to draw: the canary had traffic. */
bool chart_any(const struct story *s);
void chart_add_all(const struct story *s, struct buf *out);
