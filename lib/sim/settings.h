/*
 * The parts of a world file, which the admin API takes as well, from the same words. Each function changes the world
 * only when the whole part is good, and returns false after it has added what is wrong to diags.
 */
#pragma once

#include "plan/node.h"
#include "sim/model.h"

bool settings_metrics(struct world *w, const struct node *n, struct diags *d);
/* Adds gauges, or gives those that are there another value. */
bool settings_gauges(struct world *w, const struct node *n, struct diags *d);
bool settings_limits(struct world *w, const struct node *n, struct diags *d);
/* Adds to the faults that are there. */
bool settings_faults(struct world *w, const struct node *n, struct diags *d);
bool settings_traffic(struct world *w, const struct node *n, struct diags *d);
bool settings_keys(struct world *w, const struct node *n, struct diags *d);
bool settings_alarms(struct world *w, const struct node *n, struct diags *d);
bool settings_functions(struct world *w, const struct node *n, struct diags *d);
/* Adds to the APIs that are there; their functions must be, too. */
bool settings_apis(struct world *w, const struct node *n, struct diags *d);
/* One version's behaviour, description and code; made if it is absent. */
bool settings_version(struct world *w, struct function *f, const struct node *n, struct diags *d);
/* One alias; made if it is absent. `n` is the mapping, `name` its name. */
bool settings_alias(struct world *w, struct function *f, const char *name, const struct node *n, struct diags *d);
/* How code behaves: the keys of a version that are not about itself, and those in `besides` (NULL-terminated; NULL:
 * none), which the caller reads. `b` starts as what stands now, with a body of its own. */
bool settings_behaviour(const struct node *n, const char *what, const char *const *besides, struct behaviour *b,
			struct diags *d);
/* Objects that code can be taken from. */
bool settings_s3(struct world *w, const struct node *n, struct diags *d);
bool settings_images(struct world *w, const struct node *n, struct diags *d);
