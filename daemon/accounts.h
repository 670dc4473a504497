/*
 * The AWS identities that plans may name, and their keys. Keys are read from the environment or from the shared
 * credentials file, kept for a minute, and read again: so keys that somebody else renews in the file are picked up.
 */
#pragma once

#include "aws/credentials.h"
#include "base/clock.h"
#include "daemon/config.h"

struct accounts;

struct accounts *accounts_new(const struct config *config); /* borrows it */
void accounts_free(struct accounts *a);			    /* wipes; NULL is fine */

bool accounts_known(const struct accounts *a, const char *name);
const char *accounts_region(const struct accounts *a, const char *name); /* NULL: none of its own */
/* Returns 0 and a copy for the caller to deinit; or 1 with a sentence that names what was tried. */
must_use int accounts_credentials(struct accounts *a, struct instant now, const char *name, struct aws_credentials *ret,
				  char *ret_error, size_t error_size);
void accounts_forget(struct accounts *a); /* the next use reads all keys anew */
