/*
 * A follower of the events: GET /v1/events?follow=1. It has no queue of its own; it has a place in the store's record
 * and reads on from there, a page at a time, as fast as its connection takes the lines. So a slow follower costs one
 * page of memory, never slows the daemon, misses nothing, and sees only what is durable.
 */
#pragma once

#include "control/api.h"
#include "engine/engine.h"
#include "store/store.h"

struct stream;

struct stream *stream_new(struct engine *engine, struct store *store, const struct control_request *r);
void stream_free(struct stream *s); /* NULL is fine */

/* Copies at most `size` bytes of what there is; 0: nothing now. After an error line it gives -1 for ever. */
long stream_read(struct stream *s, char *out, size_t size);
/* Makes the next read give an empty line when there is nothing else: so both sides see that the other one lives. */
void stream_beat(struct stream *s);
/* Whether an event of that plan is of interest. */
bool stream_wants(const struct stream *s, const char *name);
