/*
 * The world over HTTP. One thread owns everything: libmicrohttpd is driven from the caller's loop, and the world is
 * touched by nobody else.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sim/world.h"

struct server;

/* Takes over the listening descriptor; borrows the world. NULL when libmicrohttpd refuses. */
struct server *server_new(struct world *w, int listen_fd);
void server_free(struct server *s); /* closes all connections; NULL is fine */
/* Readable when server_run should be called. */
int server_fd(const struct server *s);
/* At most so long until server_run should be called anyway, in ms. */
int server_timeout_ms(const struct server *s);
/* Serves what is there, and sends the delayed answers whose time has come. */
void server_run(struct server *s);

struct instant server_now(void);
