/*
 * The error convention of the whole project.
 *
 *   0         good
 *   negative  -errno: unexpected, goes up unchanged until somebody can name it to the user
 *   positive  the module's own enum, documented beside the function, which the caller handles
 *
 * A function that cannot fail returns void. Out-parameters are named ret_… and are written only on success.
 * require() is for programmers' errors only and stays on in release builds: no outside input may ever reach one.
 */
#pragma once

#include <errno.h>

#include "base/macros.h"

/* Prints the place and the condition to stderr and aborts. */
__attribute__((noreturn)) void require_failed(const char *file, int line, const char *condition);

#define require(cond)                                                                                                  \
	do {                                                                                                           \
		if (__builtin_expect(!(cond), 0))                                                                      \
			require_failed(__FILE__, __LINE__, #cond);                                                     \
	} while (0)
