/*
 * Secrets of a request that come back in its answer. An answer that repeats its request, as a proxy's page or a
 * signature error does, would carry the session's token into logs, events and records: whatever was sent as a secret
 * is overwritten with asterisks wherever it stands.
 */
#pragma once

#include <curl/curl.h>

#include "base/buf.h"
#include "base/http.h"

struct echo {
	const struct curl_slist *sent_headers;
	const struct buf *sent_secret; /* a body that holds secrets itself, as STS's forms do; NULL: it has none */
	/* The answer's, which are changed in place. */
	struct buf *body;
	const struct http_header *headers;
	size_t n_headers;
	char *error; /* "": none */
};

void echo_mask(const struct echo *e);
