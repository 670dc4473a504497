#include "progress.h"

#include <stdio.h>
#include <unistd.h>

#include "span.h"

#define EVERY_MS 200

struct progress progress_begin(const char *name, const char *what)
{
	return (struct progress){
	    .name = name, .what = what, .terminal = isatty(STDERR_FILENO) == 1, .told_ms = span_now_ms()};
}

void progress_tell(struct progress *p, size_t done, size_t of)
{
	if (!p->terminal || span_now_ms() - p->told_ms < EVERY_MS)
		return;
	p->told_ms = span_now_ms();
	fprintf(stderr, "\r\033[K%s: %zu of %zu %s", p->name, done, of, p->what);
	fflush(stderr);
}

void progress_end(const struct progress *p)
{
	if (p->terminal)
		fputs("\r\033[K", stderr);
}
