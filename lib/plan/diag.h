/*
 * Diagnostics of a YAML document: all of them at once, in the order of their place.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/limits.h"

enum diag_severity { DIAG_ERROR, DIAG_WARNING };

struct diag {
	enum diag_severity severity;
	unsigned line;	 /* from 1 */
	unsigned column; /* from 1, in characters */
	char *text;	 /* what is wrong, what was expected */
};

struct diags {
	struct diag items[LIMIT_DIAGNOSTICS];
	size_t len;
	size_t dropped; /* beyond the cap */
	size_t errors;	/* how many are errors, the dropped ones included */
};

void diags_deinit(struct diags *d);
/* What in the sentence is no printable UTF-8, out of the file, is shown as '?'. */
void diags_add(struct diags *d, enum diag_severity severity, unsigned line, unsigned column, const char *fmt, ...)
    printf_like(5, 6);
/* By line and column; a stable sort. */
void diags_sort(struct diags *d);
/* "file:line:column: error: text\n" for each, and a line that counts the dropped ones. */
void diags_format(const struct diags *d, const char *file, struct buf *out);
