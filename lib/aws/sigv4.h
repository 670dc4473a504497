/*
 * AWS Signature Version 4 in its stages, each testable by itself:
 *   canonical request -> string to sign -> signature -> Authorization header.
 * Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 *
 * The path is normalised and encoded a second time, as every service but S3 wants it; request->path is the wire form.
 * Signs host, x-amz-* and content-type and whatever else is in the request but the hop-by-hop headers.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena_fwd.h"
#include "base/buf.h"
#include "base/http.h"
#include "base/sha256.h"

struct aws_credentials {
	char *access_key_id;
	char *secret_access_key;
	char *session_token;	 /* NULL: none */
	int64_t expires_unix_ms; /* INT64_MAX: never */
};

void aws_credentials_deinit(struct aws_credentials *c); /* wipes */
void aws_credentials_copy(struct aws_credentials *out, const struct aws_credentials *c);

struct sigv4_scope {
	const char *region;
	const char *service; /* "lambda", "monitoring", … */
	int64_t unix_ms;
	bool normalize_path; /* true for every service but S3 */
	bool payload_header; /* also send x-amz-content-sha256 */
	bool omit_token;     /* the token is sent, but not signed */
};

/* Keeps the EVP objects and the day's key. One signer per thread. */
struct sigv4_signer;
struct sigv4_signer *sigv4_signer_new(void);
void sigv4_signer_free(struct sigv4_signer *s);

/* Stages. All append to the buffer. signed_headers gets "host;x-amz-date" and so on. */
void sigv4_canonical_request(const struct http_request *r, const struct sigv4_scope *scope, struct buf *ret,
			     struct buf *signed_headers);
void sigv4_string_to_sign(const struct sigv4_scope *scope, const char *canonical_request, size_t len, struct buf *ret);
void sigv4_signature(struct sigv4_signer *s, const struct aws_credentials *c, const struct sigv4_scope *scope,
		     const char *string_to_sign, size_t len, char ret_hex[static SHA256_HEX_SIZE]);

/* Adds X-Amz-Date, X-Amz-Security-Token, X-Amz-Content-Sha256 and Authorization to the request; the strings live in
 * `arena`. Returns 0, or -E2BIG when the request has too many headers or too large ones. */
must_use int sigv4_sign(struct sigv4_signer *s, const struct aws_credentials *c, const struct sigv4_scope *scope,
			struct http_request *r, struct arena *arena);
/* Zeroes what sigv4_sign() put into the request: for when it was handed on, and the arena lives or is freed. */
void sigv4_forget(struct http_request *r);

/* The other side, for what stands in for AWS: checks Authorization, scope, date window, signed headers, body hash. */
enum sigv4_check {
	SIGV4_CHECK_OK,
	SIGV4_CHECK_MISSING,	/* no Authorization, or not AWS4-HMAC-SHA256 */
	SIGV4_CHECK_INCOMPLETE, /* malformed Authorization, or host / x-amz-date not signed */
	SIGV4_CHECK_UNKNOWN_KEY,
	SIGV4_CHECK_SKEWED, /* x-amz-date off by more than 5 minutes */
	SIGV4_CHECK_SCOPE,  /* scope's date, or terminator wrong */
	SIGV4_CHECK_MISMATCH,
};
struct sigv4_verified {
	char access_key_id[128];
	char region[64];
	char service[64];
};
/* `secret_of` gives the secret (borrowed) for a key id, or NULL. The request's headers include Host. */
enum sigv4_check sigv4_verify(struct sigv4_signer *s, const struct http_request *r, int64_t now_unix_ms,
			      const char *(*secret_of)(void *ctx, const char *key_id, const char **ret_token),
			      void *ctx, struct sigv4_verified *ret);
