#include "engine/probe_event.h"

#include <stdio.h>

#include <jansson.h>

#include "base/limits.h"
#include "base/nesting.h"

void probe_event_check(const char *text, size_t size, const char *path, char *out, size_t out_size)
{
	json_error_t where; /* its text may quote the file */
	json_t *event;

	out[0] = '\0';
	if (size > LIMIT_PROBE_BYTES) {
		(void)snprintf(out, out_size, "%.150s is too large: a probe's event has at most %d bytes", path,
			       LIMIT_PROBE_BYTES);
		return;
	}
	if (nesting_exceeds(text, size, LIMIT_JSON_DEPTH)) {
		(void)snprintf(out, out_size, "%.150s is no event: JSON nested deeper than %d levels", path,
			       LIMIT_JSON_DEPTH);
		return;
	}
	event = json_loadb(text, size, JSON_DECODE_ANY, &where);
	if (!event)
		(void)snprintf(out, out_size, "%.150s:%d:%d: this is no JSON", path, where.line, where.column);
	json_decref(event);
}
