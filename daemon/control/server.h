/*
 * The control socket's HTTP: libmicrohttpd, driven by the loop. Who may connect is the socket file's mode; who may do
 * what is checked again here from the peer's credentials.
 */
#pragma once

#include <uv.h>

#include "daemon/control/backend.h"
#include "daemon/control/listen.h"
#include "daemon/control/peer.h"

struct server;

struct server_config {
	const struct backend *backend;
	struct peer_rules rules;
};

/* Takes over the listener on success. Returns 0 or a negative errno. */
must_use int server_new(uv_loop_t *loop, const struct server_config *config, struct listener *listener,
			struct server **ret);
/* An event of that plan ("": of none) is durable: followers are woken. */
void server_published(struct server *s, const char *name);
/* The daemon is about to stop: what still has to be found out is answered with that. */
void server_drain(struct server *s);
/* Ends all connections; the socket's file is removed if it is ours. Freed by the loop's next turns. NULL is fine. */
void server_close(struct server *s);
