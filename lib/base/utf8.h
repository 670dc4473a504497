/* UTF-8, one character at a time (Unicode 15, table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF). */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Bytes of the character at s, of which `left` bytes are there: 1 … 4; 0 when it is broken, cut off or NUL. */
size_t utf8_char_len(const char *s, size_t left);

/* The code point of the character at s, whose utf8_char_len is `len`: 1 … 4. */
uint32_t utf8_decode(const char *s, size_t len);
