/*
 * The canonical request of Signature Version 4, shared by the signing side and the verifying side. Internal to lib/aws.
 */
#pragma once

#include "aws/sigv4.h"

#define SIGV4_ALGORITHM	     "AWS4-HMAC-SHA256"
#define SIGV4_TERMINATOR     "aws4_request"
#define SIGV4_CANONICAL_MAX  ((size_t)64 * 1024)
#define SIGV4_QUERY_PAIRS    64
#define SIGV4_DATE_SIZE	     9	/* "20150830" */
#define SIGV4_TIMESTAMP_SIZE 17 /* "20150830T123600Z" */

struct sigv4_canonical_rules {
	bool normalize_path;
	bool omit_token;	    /* leaves x-amz-security-token out */
	const char *signed_names;   /* "a;b;c": sign exactly these; NULL: all but the hop-by-hop headers */
	const char *payload_sha256; /* in hex; NULL: from x-amz-content-sha256, or hashed from the body */
};

/* Appends to both; either is marked as overflown when the request has too many headers or query parameters. */
void sigv4_canonical_write(const struct http_request *r, const struct sigv4_canonical_rules *rules, struct buf *ret,
			   struct buf *signed_headers);

/* Appends the string to sign for a canonical request whose hash is known. */
void sigv4_string_to_sign_hashed(const struct sigv4_scope *scope, const char canonical_sha256[static SHA256_HEX_SIZE],
				 struct buf *ret);

/* ASCII only, whatever the locale. */
static inline unsigned char sigv4_lower(char c)
{
	return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}
