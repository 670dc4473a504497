/* The control socket, when the service manager has opened it already (rolloutd.socket). */
#pragma once

#include "base/macros.h"

enum activation_result {
	ACTIVATION_TAKEN = 0,
	ACTIVATION_NONE = 1,  /* the daemon opens its socket itself */
	ACTIVATION_WRONG = 2, /* something else than one listening unix stream socket was handed over */
};

/* On success the descriptor is the caller's. To be called once, early: it also keeps the environment from children. */
must_use int activation_take_socket(int *ret_fd);
