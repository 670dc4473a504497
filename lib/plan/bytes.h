/*
 * The first look at a YAML file: is it text that may be given to libyaml at all? Done before libyaml sees a byte, as
 * its own reader has no positions for such errors.
 */
#pragma once

#include "plan/diag.h"

/* Length, byte order marks, UTF-8, NUL, control characters, directives. False when there was an error. */
must_use bool bytes_check(const char *bytes, size_t len, size_t max_bytes, struct diags *diags);
