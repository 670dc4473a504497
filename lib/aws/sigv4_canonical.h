/*
 * The canonical request of Signature Version 4, shared by the signing side and the verifying side. Internal to lib/aws.
 */
#pragma once

#include <string.h>

#include "aws/sigv4.h"

#define SIGV4_ALGORITHM	     "AWS4-HMAC-SHA256"
#define SIGV4_TERMINATOR     "aws4_request"
#define SIGV4_QUERY_PAIRS    64
#define SIGV4_DATE_SIZE	     9	/* "20150830" */
#define SIGV4_TIMESTAMP_SIZE 17 /* "20150830T123600Z" */

/* The largest canonical request; it holds no body, only what is a URL or a header. */
#define SIGV4_TEXT_MAX ((size_t)64 * 1024)

/*
 * Text that grows in memory of a fixed size. A signature is a microsecond's work over some fifty small pieces of text,
 * so this is in line where struct buf would be a call for each.
 */
struct sigv4_text {
	char *data;
	size_t size;
	size_t len;
	bool overflow; /* a piece did not fit; nothing was added from there on */
};

static inline void sigv4_put(struct sigv4_text *t, const char *bytes, size_t len)
{
	if (t->overflow || len > t->size - t->len) {
		t->overflow = true;
		return;
	}
	memcpy(t->data + t->len, bytes, len);
	t->len += len;
}

static inline void sigv4_put_char(struct sigv4_text *t, char c)
{
	sigv4_put(t, &c, 1);
}

static inline void sigv4_put_text(struct sigv4_text *t, const char *text)
{
	sigv4_put(t, text, strlen(text));
}

/* ASCII only, whatever the locale. */
static inline unsigned char sigv4_lower(char c)
{
	return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

struct sigv4_span {
	const char *at;
	size_t len;
};

struct sigv4_canonical_rules {
	bool normalize_path;
	bool omit_token;	    /* leaves x-amz-security-token out */
	const char *signed_names;   /* "a;b;c": sign exactly these; NULL: all but the hop-by-hop headers */
	const char *payload_sha256; /* in hex; NULL: from x-amz-content-sha256, or hashed from the body */
};

/* Replaces the text. Returns the list of signed headers, which is a part of it; the text has overflown when the request
 * has too many query parameters as well. */
struct sigv4_span sigv4_canonical_write(const struct http_request *r, const struct sigv4_canonical_rules *rules,
					struct sigv4_text *t);

/* The signer's own memory for a canonical request, for whoever works with that signer. */
struct sigv4_text *sigv4_signer_text(struct sigv4_signer *s);
