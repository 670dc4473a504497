/* The engine's ports, over the loop's clocks, the transport, the accounts, the environment, files and programs. */
#pragma once

#include "base/prng.h"
#include "daemon/accounts.h"
#include "daemon/artifact.h"
#include "daemon/hook.h"
#include "daemon/io/transport.h"
#include "daemon/io/turn.h"
#include "daemon/io/waker.h"
#include "daemon/log.h"
#include "daemon/program.h"
#include "engine/ports.h"

/* All are borrowed; to be filled before the engine is made. */
struct daemon_ports {
	struct accounts *accounts;
	struct transport *transport;
	struct waker *waker;
	struct turn *turn;
	struct artifacts *artifacts;
	struct hooks *hooks;
	struct programs *programs;
	struct log *log;
	struct prng prng;
	struct aws_clock clock; /* told by whatever AWS answers, to the engine and to the accounts */
	void *published_ctx;
	void (*published)(void *ctx, const struct store_event *event); /* after it was logged */
};

struct instant ports_now(void);
/* Seeds the generator. Returns 0 or a negative errno. */
must_use int ports_init(struct daemon_ports *p);
void ports_fill(struct daemon_ports *p, struct ports *ret);
/* Gives the accounts what they fetch keys with. */
void ports_connect_accounts(struct daemon_ports *p);
