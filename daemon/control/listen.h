/*
 * The control socket's file: made for owner and group only, a stale one replaced, another daemon's left alone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/macros.h"

struct listener {
	int fd;
	char *path;   /* NULL: the service manager's socket, which is not ours to remove */
	uint64_t dev; /* of the file that we made */
	uint64_t ino;
};

/*
 * `group` may connect; (gid_t)-1: only the owner may. Makes the last part of the socket's folder when it is missing.
 * Returns 0, or a negative errno with a sentence in ret_error.
 */
must_use int listen_open(const char *path, gid_t group, struct listener *ret, char *ret_error, size_t error_size);
void listen_adopt(int fd, struct listener *ret); /* takes over the descriptor */
/* Removes the file if it is still ours. The descriptor is closed unless it is -1. */
void listen_deinit(struct listener *l);
