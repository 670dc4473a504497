/* HTML out of text that came from outside: nothing in it can be taken for markup, or turn the page around. */
#pragma once

#include "base/buf.h"

/* Escaped for content and for quoted attributes. What is not UTF-8, control characters and marks that change the
 * direction of text become U+FFFD; line ends stay. */
void html_add(struct buf *out, const char *text);
/* The format is markup of ours; what stands for %s is escaped. No other conversions but %%. */
void html_addf(struct buf *out, const char *fmt, ...) printf_like(2, 3);
