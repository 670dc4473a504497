/*
 * The way of a request through the world: who signed it, which operation it is, whether its rate allows it, which fault
 * strikes it; and then the operation.
 */
#pragma once

#include "sim/call.h"

/* `now` is the caller's clock; the world's own time is w->now_ms. ret->arena is there already. */
void dispatch_request(struct world *w, const struct http_request *request, struct instant now, struct world_reply *ret);
/* Applies what a fault held back. */
void dispatch_late(struct world *w, const struct late_request *late);
#define DISPATCH_NAMES_MAX 128
/* The names of all operations, and a NULL after them. */
void dispatch_names(const char *out[static DISPATCH_NAMES_MAX]);
