/* See trace.h. */
#include "tests/sim/trace.h"

#include <string.h>

#define PRIME UINT64_C(0x9e3779b97f4a7c15)

void trace_begin(struct trace *t, FILE *to)
{
	*t = (struct trace){.hash = PRIME, .to = to};
}

void trace_number(struct trace *t, uint64_t n)
{
	uint64_t h = (t->hash ^ n) * PRIME;

	t->hash = h ^ (h >> 29);
}

void trace_bytes(struct trace *t, const void *bytes, size_t len)
{
	const unsigned char *from = bytes;

	trace_number(t, len);
	for (size_t i = 0; i < len; i += 8) {
		unsigned char last[8] = {0};
		uint64_t word = 0;

		memcpy(last, from + i, len - i < 8 ? len - i : 8);
		for (int n = 7; n >= 0; n--)
			word = word << 8 | last[n];
		trace_number(t, word);
	}
}

void trace_note(struct trace *t, int64_t at_ms, const char *kind, const char *text)
{
	t->entries++;
	trace_number(t, (uint64_t)at_ms);
	trace_bytes(t, kind, strlen(kind));
	trace_bytes(t, text, strlen(text));
	if (t->to)
		fprintf(t->to, "%10.3f  %-14s %s\n", (double)at_ms / 1000, kind, text);
}
