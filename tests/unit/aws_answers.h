/* For the tests of lib/aws: answers written down as text. */
#pragma once

#include <string.h>

#include "base/http.h"
#include "base/mem.h"

/* An answer with one header at most; the body is used as it is. */
static inline struct http_response answer_of(int status, const char *header, const char *value, const char *body)
{
	struct http_response r = {.status = status, .body = body, .body_len = strlen(body)};
	if (header)
		r.headers[r.n_headers++] = (struct http_header){.name = header, .value = value};
	return r;
}

static inline struct http_response answer_body(const char *body)
{
	return answer_of(200, NULL, NULL, body);
}

/* Calls `parse` with every shorter form of the body, each in memory of exactly its size, so that a sanitizer sees any
 * read beyond it. */
static inline void each_truncation(const char *body, void (*parse)(const struct http_response *r, void *ctx), void *ctx)
{
	size_t whole = strlen(body);
	for (size_t len = 0; len < whole; len++) {
		char *cut = mem_alloc(len + 1);
		memcpy(cut, body, len);
		struct http_response r = {.status = 200, .body = cut, .body_len = len};
		parse(&r, ctx);
		free(cut);
	}
}
