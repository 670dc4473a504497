#include "base/utf8.h"

#include <stdbool.h>

static bool is_continuation(unsigned char c)
{
	return (c & 0xc0) == 0x80;
}

size_t utf8_char_len(const char *s, size_t left)
{
	const unsigned char *u = (const unsigned char *)s;
	if (left == 0 || u[0] == 0)
		return 0;
	if (u[0] < 0x80)
		return 1;
	if (u[0] >= 0xc2 && u[0] <= 0xdf)
		return left >= 2 && is_continuation(u[1]) ? 2 : 0;
	if (u[0] >= 0xe0 && u[0] <= 0xef) {
		if (left < 3 || !is_continuation(u[1]) || !is_continuation(u[2]))
			return 0;
		bool overlong = u[0] == 0xe0 && u[1] < 0xa0;
		bool surrogate = u[0] == 0xed && u[1] > 0x9f;
		return overlong || surrogate ? 0 : 3;
	}
	if (u[0] >= 0xf0 && u[0] <= 0xf4) {
		if (left < 4 || !is_continuation(u[1]) || !is_continuation(u[2]) || !is_continuation(u[3]))
			return 0;
		bool overlong = u[0] == 0xf0 && u[1] < 0x90;
		bool too_high = u[0] == 0xf4 && u[1] > 0x8f;
		return overlong || too_high ? 0 : 4;
	}
	return 0;
}

uint32_t utf8_decode(const char *s, size_t len)
{
	const unsigned char *u = (const unsigned char *)s;

	switch (len) {
	case 1:
		return u[0];
	case 2:
		return (u[0] & 0x1fu) << 6 | (u[1] & 0x3fu);
	case 3:
		return (u[0] & 0x0fu) << 12 | (u[1] & 0x3fu) << 6 | (u[2] & 0x3fu);
	default:
		return (u[0] & 0x07u) << 18 | (u[1] & 0x3fu) << 12 | (u[2] & 0x3fu) << 6 | (u[3] & 0x3fu);
	}
}
