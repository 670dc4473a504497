/* The daemon: everything wired to one loop, from the start to the clean stop. */
#pragma once

#include "base/macros.h"
#include "daemon/config.h"
#include "daemon/log.h"

/* Runs until it is told to stop. Returns the exit code: 0, or 1 when it could not start or had to give up; the log says
 * why. transport_set_up() is the caller's. */
must_use int daemon_run(const struct config *config, const char *config_path, struct log *log);
