#include "prose.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "span.h"

#define SENTENCE_SIZE 2048

/* A sentence that is cut within a character must not be broken text. */
__attribute__((format(printf, 1, 0))) static char *format(const char *fmt, va_list args)
{
	char text[SENTENCE_SIZE], clean[SENTENCE_SIZE];

	vsnprintf(text, sizeof(text), fmt, args);
	text_copy_printable(clean, sizeof(clean), text);
	return mem_strdup(clean);
}

static struct story_sentence *add(struct story_chapter *c, int64_t at, enum story_tone tone)
{
	c->sentences = mem_grow(c->sentences, &c->cap, c->n + 1, sizeof(*c->sentences));
	struct story_sentence *s = &c->sentences[c->n++];
	*s = (struct story_sentence){.at_unix_ms = at, .tone = tone, .source = mem_strdup("")};
	return s;
}

struct story_sentence *prose_say(struct story_chapter *c, int64_t at, enum story_tone tone, const char *fmt, ...)
{
	struct story_sentence *s = add(c, at, tone);
	va_list args;

	va_start(args, fmt);
	s->text = format(fmt, args);
	va_end(args);
	return s;
}

/* Where the sentence's numbers are from. */
void prose_cite(struct story_sentence *s, const char *fmt, ...)
{
	va_list args;

	free(s->source);
	va_start(args, fmt);
	s->source = format(fmt, args);
	va_end(args);
}

/* --- words --- */

void prose_format_span(int64_t from, int64_t until, char out[static 32])
{
	text_format_span(until > from ? until - from : 0, out);
}

void prose_format_at(const struct story *s, int64_t unix_ms, char out[static 40])
{
	story_format_time(unix_ms, s->created_unix_ms, out);
}

void prose_format_counts(const struct counts *c, char *out, size_t size)
{
	char n[SPAN_TIME_SIZE], e[SPAN_TIME_SIZE], rate[SPAN_TIME_SIZE];

	if (!c->seen || c->invocations == 0) {
		snprintf(out, size, "no requests that CloudWatch knows of");
		return;
	}
	span_format_count((int64_t)c->invocations, n);
	span_format_count((int64_t)c->errors, e);
	span_format_rate((int64_t)c->errors, (int64_t)c->invocations, rate);
	snprintf(out, size, "%s request%s, of which %s failed (%s)", n, c->invocations == 1 ? "" : "s", e, rate);
}

void prose_format_counted(const struct story *s, const struct story_weight *w, char out[static 64])
{
	char until[40];

	out[0] = '\0';
	if (!w || !w->counted_short || !w->canary.seen)
		return;
	prose_format_at(s, w->counted_until_unix_ms, until);
	snprintf(out, 64, ", counted up to %s", until);
}

/* "uid=1000 pid=77" reads as "the user with uid 1000 (process 77)". */
void prose_format_by(const char *by, char *out, size_t size)
{
	size_t uid = text_starts_with(by, "uid=") ? strspn(by + 4, "0123456789") : 0;
	const char *rest = by + 4 + uid;

	if (uid > 0 && uid <= 10 && text_starts_with(rest, " pid="))
		snprintf(out, size, "the user with uid %.*s (process %s)", (int)uid, by + 4, rest + 5);
	else
		snprintf(out, size, "%s", by[0] ? by : "somebody");
}

void prose_format_weight(uint32_t bp, char out[static 32])
{
	char percent[16];

	text_format_bp(bp, percent);
	snprintf(out, 32, bp >= 10000 ? "all of the traffic" : "%s of the traffic", percent);
}

/* "Version 1". */
void prose_begin(const char *text, char *out, size_t size)
{
	snprintf(out, size, "%s", text);
	out[0] = (char)toupper((unsigned char)out[0]);
}
