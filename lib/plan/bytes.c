#include "plan/bytes.h"

#include <string.h>

#include "base/utf8.h"

/* Where the walk is, counted as libyaml counts: lines and characters. */
struct place {
	unsigned line;
	unsigned column;
};

static bool starts_with(const char *bytes, size_t len, const char *prefix, size_t prefix_len)
{
	return len >= prefix_len && memcmp(bytes, prefix, prefix_len) == 0;
}

/* Other encodings than plain UTF-8 are named, as an editor's "save as" is what mends them. */
static bool encoding_check(const char *bytes, size_t len, struct diags *diags)
{
	if (starts_with(bytes, len, "\xef\xbb\xbf", 3)) {
		diags_add(diags, DIAG_ERROR, 1, 1,
			  "the file starts with a byte order mark; save it as UTF-8 without one");
		return false;
	}
	if (starts_with(bytes, len, "\xff\xfe", 2) || starts_with(bytes, len, "\xfe\xff", 2)) {
		diags_add(diags, DIAG_ERROR, 1, 1, "the file is in UTF-16 or UTF-32; save it as UTF-8");
		return false;
	}
	return true;
}

bool bytes_is_break(uint32_t c)
{
	return c == '\n' || c == '\r' || c == 0x85 || c == 0x2028 || c == 0x2029;
}

/* YAML 1.1, chapter 5.1; a byte order mark inside the text is left out on purpose. */
static bool is_allowed(unsigned c)
{
	return c == '\t' || bytes_is_break(c) || (c >= 0x20 && c <= 0x7e) || (c >= 0xa0 && c <= 0xd7ff) ||
	       (c >= 0xe000 && c <= 0xfffd && c != 0xfeff) || c >= 0x10000;
}

/*
 * One character. Directives (%YAML, %TAG) say nothing that rolloutd could use, and libyaml's time for many of them is
 * quadratic.
 */
static bool character_check(const char *bytes, size_t left, size_t n, struct place at, struct diags *diags)
{
	if (bytes[0] == '\0') {
		diags_add(diags, DIAG_ERROR, at.line, at.column, "there is a NUL byte here; the file must be text");
		return false;
	}
	if (n == 0) {
		diags_add(diags, DIAG_ERROR, at.line, at.column,
			  "the byte 0x%02x here is not valid UTF-8; save the file as UTF-8", (unsigned char)bytes[0]);
		return false;
	}
	unsigned c = utf8_decode(bytes, n);
	if (!is_allowed(c)) {
		diags_add(diags, DIAG_ERROR, at.line, at.column,
			  "the character U+%04X is not allowed in YAML; remove it", c);
		return false;
	}
	if (at.column == 1 && c == '%' &&
	    (starts_with(bytes, left, "%TAG", 4) || starts_with(bytes, left, "%YAML", 5))) {
		diags_add(diags, DIAG_ERROR, at.line, at.column, "YAML directives are not supported; remove this line");
		return false;
	}
	return true;
}

/* Every character, up to the first that may not be there. */
static bool characters_check(const char *bytes, size_t len, struct diags *diags)
{
	struct place at = {1, 1};
	for (size_t i = 0; i < len;) {
		size_t n = utf8_char_len(bytes + i, len - i);
		if (!character_check(bytes + i, len - i, n, at, diags))
			return false;
		unsigned c = utf8_decode(bytes + i, n);
		i += n;
		bool crlf = c == '\r' && i < len && bytes[i] == '\n';
		if (bytes_is_break(c) && !crlf)
			at = (struct place){at.line + 1, 1};
		else
			at.column++;
	}
	return true;
}

bool bytes_check(const char *bytes, size_t len, size_t max_bytes, struct diags *diags)
{
	if (len > max_bytes) {
		diags_add(diags, DIAG_ERROR, 1, 1, "the file has %zu bytes; at most %zu are allowed", len, max_bytes);
		return false;
	}
	return encoding_check(bytes, len, diags) && characters_check(bytes, len, diags);
}
