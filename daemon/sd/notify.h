/*
 * What the service manager is told. Without one (no NOTIFY_SOCKET) all of these do nothing.
 *
 * The watchdog is tied to the loop's progress: the daemon asks for a turn of the engine twice in each watchdog period
 * and calls notify_alive() only after that turn has run. A loop that hangs in a callback, or an engine that does not
 * come back, therefore ends in a restart.
 */
#pragma once

#include <stdint.h>

#include "base/macros.h"

/* All return 0 or a negative errno. */
must_use int notify_ready(void);
must_use int notify_stopping(void);
must_use int notify_reloading(void);
must_use int notify_status(const char *text);
must_use int notify_alive(void);
/* The period asked for by the service manager; 0: no watchdog. */
int64_t notify_watchdog_ms(void);
