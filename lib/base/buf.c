#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/secret.h"
#include "base/utf8.h"

#define FIRST_CAP 64

void buf_deinit(struct buf *b)
{
	free(b->data);
	*b = (struct buf){.max = b->max, .secret = b->secret};
}

void buf_wipe(struct buf *b)
{
	secret_wipe(b->data, b->cap);
	buf_deinit(b);
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->overflow = false;
	if (b->data)
		b->data[0] = '\0';
}

bool buf_ok(const struct buf *b)
{
	return !b->overflow;
}

const char *buf_text(const struct buf *b)
{
	return b->data ? b->data : "";
}

char *buf_take(struct buf *b)
{
	char *text = b->data ? take_ptr(b->data) : mem_strdup("");
	buf_deinit(b);
	return text;
}

static void set_capacity(struct buf *b, size_t cap)
{
	if (b->secret) {
		/* realloc would leave the old bytes in the heap. */
		char *moved = mem_alloc(cap);
		if (b->data)
			memcpy(moved, b->data, b->len + 1);
		secret_wipe(b->data, b->cap);
		free(b->data);
		b->data = moved;
	} else {
		b->data = mem_realloc(b->data, cap);
	}
	b->cap = cap;
}

/* Gives room for len more bytes and the NUL; NULL when the cap does not allow it. */
static char *reserve(struct buf *b, size_t len)
{
	if (b->overflow)
		return NULL;
	if (len > b->max - b->len || b->len + len == SIZE_MAX) {
		b->overflow = true;
		return NULL;
	}
	size_t need = b->len + len + 1;
	if (need > b->cap) {
		size_t cap = b->cap > SIZE_MAX / 2 ? need : b->cap * 2;
		if (cap < need)
			cap = need;
		if (cap < FIRST_CAP)
			cap = FIRST_CAP;
		if (cap - 1 > b->max)
			cap = b->max + 1;
		set_capacity(b, cap);
	}
	return b->data + b->len;
}

void buf_add(struct buf *b, const void *bytes, size_t len)
{
	char *at = reserve(b, len);
	if (!at)
		return;
	if (len > 0)
		memcpy(at, bytes, len);
	at[len] = '\0';
	b->len += len;
}

void buf_add_text(struct buf *b, const char *text)
{
	buf_add(b, text, strlen(text));
}

void buf_add_char(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	va_list again;
	va_copy(again, args);
	/* Most texts fit in the room that is there already; then one formatting is enough. */
	size_t room = b->cap > b->len && !b->overflow ? b->cap - b->len : 0;
	int wanted = vsnprintf(room > 0 ? b->data + b->len : NULL, room, fmt, args);
	va_end(args);
	size_t len = wanted < 0 ? 0 : (size_t)wanted;
	if (wanted < 0) {
		b->overflow = true;
	} else if (len < room) {
		b->len += len;
	} else {
		if (room > 0)
			b->data[b->len] = '\0'; /* takes the partial text back */
		char *at = reserve(b, len);
		if (at) {
			vsnprintf(at, len + 1, fmt, again);
			b->len += len;
		}
	}
	va_end(again);
}

void buf_add_u64(struct buf *b, uint64_t v)
{
	char digits[20];
	size_t at = sizeof(digits);
	do {
		digits[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	buf_add(b, digits + at, sizeof(digits) - at);
}

static void add_json_escape(struct buf *b, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	switch (c) {
	case '"':
		buf_add(b, "\\\"", 2);
		break;
	case '\\':
		buf_add(b, "\\\\", 2);
		break;
	case '\n':
		buf_add(b, "\\n", 2);
		break;
	case '\r':
		buf_add(b, "\\r", 2);
		break;
	case '\t':
		buf_add(b, "\\t", 2);
		break;
	default: {
		char escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
		buf_add(b, escape, sizeof(escape));
	}
	}
}

void buf_add_json_string(struct buf *b, const char *s)
{
	size_t left = strlen(s);
	buf_add_char(b, '"');
	while (left > 0) {
		/* What needs no escape goes in as one run. */
		size_t run = 0;
		size_t bad = 0;
		while (run < left && !bad) {
			unsigned char c = (unsigned char)s[run];
			size_t n = c < 0x20 || c == '"' || c == '\\' ? 0 : utf8_char_len(s + run, left - run);
			bad = n == 0;
			run += n;
		}
		buf_add(b, s, run);
		s += run;
		left -= run;
		if (!bad)
			break;
		if ((unsigned char)*s < 0x80)
			add_json_escape(b, (unsigned char)*s);
		else
			buf_add_text(b, "\\ufffd"); /* broken UTF-8: JSON has no way to carry the byte */
		s++;
		left--;
	}
	buf_add_char(b, '"');
}

static bool is_unreserved(unsigned char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
	       c == '_' || c == '~';
}

void buf_add_uri(struct buf *b, const char *s, size_t len, bool keep_slash)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t done = 0;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];
		if (is_unreserved(c) || (c == '/' && keep_slash))
			continue;
		char escape[3] = {'%', hex[c >> 4], hex[c & 15]};
		buf_add(b, s + done, i - done);
		buf_add(b, escape, sizeof(escape));
		done = i + 1;
	}
	buf_add(b, s + done, len - done);
}
