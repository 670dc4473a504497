/*
 * The first look at a YAML file: is it text that may be given to libyaml at all? Done before libyaml sees a byte, as
 * its own reader has no positions for such errors.
 */
#pragma once

#include "plan/diag.h"

/* What ends a line in YAML 1.1. */
bool bytes_is_break(uint32_t c);
/* Length, byte order marks, UTF-8, NUL, control characters, directives. False when there was an error. */
must_use bool bytes_check(const char *bytes, size_t len, size_t max_bytes, struct diags *diags);
