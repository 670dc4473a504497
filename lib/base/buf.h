/*
 * struct buf: a growing byte string with a cap. Appending beyond the cap sets `overflow` and appends nothing more, so
 * a builder checks once, at its end (buf_ok). The bytes are always followed by a NUL that is not counted in len.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"

struct buf {
	char *data; /* NULL until the first append */
	size_t len;
	size_t cap;
	size_t max; /* largest len allowed */
	bool overflow;
	bool secret; /* growing leaves no copy of the bytes in the heap */
};

#define BUF_INIT(max_len)	 ((struct buf){.max = (max_len)})
#define BUF_INIT_SECRET(max_len) ((struct buf){.max = (max_len), .secret = true})

void buf_deinit(struct buf *b);		   /* frees; leaves an empty buf with the same max */
void buf_wipe(struct buf *b);		   /* overwrites the bytes, then buf_deinit: for secrets */
void buf_reset(struct buf *b);		   /* len 0, overflow off, memory kept */
bool buf_ok(const struct buf *b);	   /* no overflow so far */
const char *buf_text(const struct buf *b); /* never NULL */
char *buf_take(struct buf *b);		   /* the caller owns the string; never NULL; b becomes empty */

void buf_add(struct buf *b, const void *bytes, size_t len);
void buf_add_text(struct buf *b, const char *text);
void buf_add_char(struct buf *b, char c);
void buf_addf(struct buf *b, const char *fmt, ...) printf_like(2, 3);
void buf_add_u64(struct buf *b, uint64_t v);		/* decimal */
void buf_add_json_string(struct buf *b, const char *s); /* quoted, escaped (RFC 8259); broken UTF-8: U+FFFD */
/* Percent-encodes everything but A-Za-z0-9-._~ with uppercase hex; '/' is kept when keep_slash. */
void buf_add_uri(struct buf *b, const char *s, size_t len, bool keep_slash);
