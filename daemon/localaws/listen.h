/* The listening socket. */
#pragma once

#include <stddef.h>

#include "base/macros.h"

#define LISTEN_URL_SIZE 80

/* "127.0.0.1:4599" or "[::1]:4599"; with port 0 the system chooses one. Only loopback addresses will do. ret_url is
 * where it is then: "http://127.0.0.1:4599". Returns the descriptor, or -1 with a sentence in error. */
must_use int listen_open(const char *address, char ret_url[static LISTEN_URL_SIZE], char *error, size_t error_size);
