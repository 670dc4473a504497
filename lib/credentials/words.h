/*
 * Splits a line into words as a POSIX shell would quote them, and as Python's shlex.split() does: blanks part words,
 * '…' takes everything as it is, "…" everything but \" and \\, a backslash outside of quotes the next character.
 * Nothing is expanded.
 */
#pragma once

#include <stddef.h>

#include "base/macros.h"

enum words_result {
	WORDS_OK = 0,
	WORDS_OPEN_QUOTE = 1,	  /* a quote that is not closed */
	WORDS_OPEN_BACKSLASH = 2, /* nothing behind the last backslash */
	WORDS_TOO_MANY = 3,
};

#define WORDS_MAX 64

/* *ret ends with NULL; words_free() wipes it, as a program's arguments may hold a secret. */
must_use int words_split(const char *line, char ***ret);
void words_free(char **words); /* NULL is fine */
