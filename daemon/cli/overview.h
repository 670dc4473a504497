/* All services and all rollouts, a table of each, and the plan files that are wrong below them. */
#pragma once

#include <jansson.h>

#include "screen.h"

enum overview_order {
	OVERVIEW_BY_NAME,
	OVERVIEW_BY_URGENCY, /* what an operator must look at first, then what moves, then the rest */
};

/* `list` is the API's answer. With a limit on the canvas's rows the rest is counted. */
void overview_render(struct canvas *c, const json_t *list, enum overview_order order);
