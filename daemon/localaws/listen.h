/* The listening socket. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

/* "127.0.0.1:4599" or "[::1]:4599"; port 0: the system chooses one, which ret_port tells. Only loopback addresses will
 * do. Returns the descriptor, or -1 with a sentence in error. */
must_use int listen_open(const char *address, uint16_t *ret_port, char *error, size_t error_size);
