/*
 * The text of an AWS config or credentials file, read as the Python SDK reads it (configparser, then its own second
 * level): sections in brackets; "key = value" or "key: value" with keys in any case; whole-line comments with '#' or
 * ';'; a line that is indented deeper than its key goes on with the value. A value that begins with such a line is a
 * group of keys of its own ("lambda =\n  endpoint_url = …"). What [DEFAULT] says holds for every section.
 *
 * A section or a key that stands there twice makes the file unusable, as it does for the SDK.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/macros.h"

struct ini;

/* Returns 0; or 1 with a sentence that names the line and shows nothing of a value. */
must_use int ini_parse(const char *text, size_t len, struct ini **ret, char *ret_error, size_t error_size);
void ini_free(struct ini *ini); /* wipes all values; NULL is fine */

size_t ini_n_sections(const struct ini *ini); /* in the order of the file, without [DEFAULT] */
const char *ini_section(const struct ini *ini, size_t index);
bool ini_has(const struct ini *ini, const char *section);
/* NULL: the section has no such key. `group`: NULL, or the key that the wanted one stands under. Keys are in lower
 * case, but for those of a group, which are as they are written. */
const char *ini_get(const struct ini *ini, const char *section, const char *group, const char *key);
