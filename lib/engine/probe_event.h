/* The event that probes send, judged as it is before one is sent. */
#pragma once

#include <stddef.h>

/* Whether it can be an event: not too large, not too deep, JSON of any kind. Writes a sentence that begins with the
 * path and says what is wrong, or "". `text` has a NUL behind its `size` bytes; nothing of it gets into the sentence,
 * as it is for the function alone. A size beyond the cap needs no text. */
void probe_event_check(const char *text, size_t size, const char *path, char *out, size_t out_size);
