/* What the control socket's answers are made from. Filled by the daemon; all is borrowed and outlives the server. */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "daemon/dropin.h"
#include "daemon/io/turn.h"
#include "daemon/log.h"
#include "engine/engine.h"
#include "store/store.h"

struct backend {
	struct engine *engine;
	struct store *store;
	struct dropin *dropin;
	struct turn *turn;
	struct log *log;
	struct accounts *accounts; /* NULL: nobody can tell of them */
	int64_t started_unix_ms;

	void *ctx;
	struct instant (*now)(void *ctx);
	/* Looks through the plans again; says what that means. */
	void (*reload)(void *ctx, char *ret_message, size_t size);
	/* Whether the daemon can do its work; *ret_message says why not. */
	bool (*healthy)(void *ctx, const char **ret_message);
	void (*taken)(void *ctx);    /* a plan was handed to the engine */
	bool (*draining)(void *ctx); /* it stops: nothing new is taken in */
};
