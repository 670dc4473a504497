/*
 * A service and the rollouts that move its aliases, as one name: who asks for the events of "hello" gets those of
 * "hello.prod" as well, in the order in which they happened.
 */
#pragma once

#include <jansson.h>

#include "engine/engine.h"
#include "store/store.h"

/* Appends the events of that name ("": of all) to the array: as store_each_event. Returns 0 or the store's error; the
 * array then has none of them. */
must_use int family_collect_events(struct engine *e, struct store *store, const char *name, uint64_t after,
				   unsigned limit, json_t *out);
/* Whether an event of `name` is one of `family`'s ("": everything is). */
bool family_has(const char *family, const char *name);
