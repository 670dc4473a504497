/*
 * What happened in a seed, as one number: everything that the simulation does and sees goes in, in order. The same seed
 * must give the same number, whatever compiler, machine or day. With a file, the text of it as well, for people.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>

struct trace {
	uint64_t hash;
	uint64_t entries;
	FILE *to; /* NULL: the hash alone */
};

void trace_begin(struct trace *t, FILE *to);
void trace_note(struct trace *t, int64_t at_ms, const char *kind, const char *text);
/* Only counted in; for what is too much to be read. */
void trace_bytes(struct trace *t, const void *bytes, size_t len);
void trace_number(struct trace *t, uint64_t n);
