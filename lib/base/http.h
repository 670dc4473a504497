/*
 * HTTP messages as plain values, shared by what builds them (aws), what carries them (daemon/io) and what plays the
 * other side (sim). No I/O.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

struct arena;

struct http_header {
	const char *name; /* as sent; compare with http_header_find, which ignores case */
	const char *value;
};

#define HTTP_HEADERS_MAX 24

/* All strings live in the arena of whoever builds the request. */
struct http_request {
	const char *method;
	const char *scheme; /* "http" | "https" */
	const char *host;   /* with ":port" when it is not the scheme's own; exactly what goes into Host */
	const char *path;   /* wire form, percent-encoded, starts with '/' */
	const char *query;  /* wire form without '?'; "" when there is none */
	struct http_header headers[HTTP_HEADERS_MAX]; /* without Host and Content-Length */
	size_t n_headers;
	const char *body;
	size_t body_len;
	const char *ca_bundle; /* by whose certificates the server is verified; NULL: by those that hold for all */
};

/* Responses name only the headers that somebody reads. */
struct http_response {
	int status;
	struct http_header headers[HTTP_HEADERS_MAX];
	size_t n_headers;
	const char *body; /* NUL-terminated beyond body_len */
	size_t body_len;
};

void http_request_add_header(struct http_request *r, const char *name, const char *value); /* borrows both */
/* "https://host:8443/path?query", or http -> scheme, host, path and query of *ret, in the arena. Returns 0, or -EINVAL
 * when it is not of that form. A fragment is not taken. */
must_use int http_request_set_url(struct arena *a, const char *url, struct http_request *ret);
const char *http_header_find(const struct http_header *headers, size_t n, const char *name); /* NULL if absent */

/* The response headers that a transport must hand up; the others may be dropped. NULL ends the list. */
extern const char *const http_response_headers_kept[];
