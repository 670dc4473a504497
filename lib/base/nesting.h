/* How deep JSON is nested, told before a parser takes a stack frame for each level. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Whether more than `max` brackets and braces are open at the same time. Those in strings do not count. Any bytes may
 * be asked about; of what is no JSON the answer says at least how deep a parser could come. */
bool nesting_exceeds(const char *json, size_t len, size_t max);
