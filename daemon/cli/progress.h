/* How far something slow is, on standard error where that is a terminal: one line, gone at the end. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress {
	const char *name; /* borrowed */
	const char *what; /* "rollouts", borrowed */
	bool terminal;
	int64_t told_ms;
};

struct progress progress_begin(const char *name, const char *what);
void progress_tell(struct progress *p, size_t done, size_t of); /* now and then; cheap to call often */
void progress_end(const struct progress *p);
