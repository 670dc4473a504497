/*
 * The stream of events, followed over the daemon's restarts: when it breaks, it is opened again after the last event
 * that was seen, so nothing is missed and nothing comes twice.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "client.h"

struct follow;

/* `event` is called from within follow_wait. */
typedef void (*follow_cb)(void *ctx, const json_t *event);

/* Events after that id or, when `after` is 0, first the newest `backlog`. `name` NULL: of all. Both pointers are
 * borrowed. */
struct follow *follow_new(struct client *client, const char *name, uint64_t after, unsigned backlog, follow_cb event,
			  void *ctx);
void follow_free(struct follow *f); /* NULL is fine */

/* Waits at most that long for something to happen: on the stream, or that fd (-1: none) can be read. */
void follow_wait(struct follow *f, int fd, int64_t timeout_ms);

/* Since when there has been no stream, on the clock of span_now_ms(); 0: there is one. */
int64_t follow_away_since_ms(const struct follow *f);
bool follow_was_open(const struct follow *f); /* ever */
/* The daemon's answer when it will not give a stream; NULL otherwise. Asking again would not help. */
const struct reply *follow_refusal(const struct follow *f);
