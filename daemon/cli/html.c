#include "html.h"

#include <stdarg.h>
#include <string.h>

#include "base/error.h"
#include "base/utf8.h"

static bool is_harmless(uint32_t c)
{
	if (c < 0x20)
		return c == '\n';
	if (c >= 0x7f && c < 0xa0)
		return false;
	return !(c >= 0x200b && c <= 0x200f) && !(c >= 0x2028 && c <= 0x202e) && !(c >= 0x2060 && c <= 0x206f) &&
	       c != 0x061c && c != 0xfeff && (c & 0xfffe) != 0xfffe;
}

static const char *entity_of(char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return NULL;
	}
}

void html_add(struct buf *out, const char *text)
{
	for (size_t left = strlen(text); left > 0;) {
		size_t len = utf8_char_len(text, left);
		const char *entity = entity_of(*text);

		if (entity)
			buf_add_text(out, entity);
		else if (len > 0 && is_harmless(utf8_decode(text, len)))
			buf_add(out, text, len);
		else
			buf_add_text(out, "\xef\xbf\xbd");
		len = len > 0 ? len : 1;
		text += len;
		left -= len;
	}
}

void html_addf(struct buf *out, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	for (const char *at = fmt; *at;) {
		size_t len = strcspn(at, "%");

		buf_add(out, at, len);
		at += len;
		if (!*at)
			break;
		require(at[1] == 's' || at[1] == '%');
		if (at[1] == 's')
			html_add(out, va_arg(args, const char *));
		else
			buf_add_char(out, '%');
		at += 2;
	}
	va_end(args);
}
