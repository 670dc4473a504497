/* Ownership of a file by one process: an flock on a file beside it, held as long as the descriptor is open. */
#pragma once

#include <sys/types.h>

#include "base/macros.h"

/* Returns 0 with the descriptor, to be closed by the caller; 1 when another process holds it, with its pid (0: not
 * known); or a negative errno. The file stays when the lock is given up: removing it would let two processes lock two
 * files of the same name. */
must_use int lock_take(const char *path, int *ret_fd, pid_t *ret_owner);
