/*
 * The verifying side: what AWS checks before it looks at a request. It takes nothing from the request on trust: the
 * body is hashed again, every x-amz- header must be under the signature, and the canonical request is built anew.
 */
#include <stdio.h>
#include <string.h>

#include "aws/sigv4_canonical.h"
#include "base/clock.h"
#include "base/text.h"

#define WINDOW_MS	 (5 * MS_PER_MINUTE)
#define SIGNED_NAMES_MAX 2048

struct authorization {
	char key_id[128];
	char date[16];
	char region[64];
	char service[64];
	char terminator[32];
	char signed_names[SIGNED_NAMES_MAX];
	char signature[SHA256_HEX_SIZE];
};

/* Copies up to one of the bytes in `stop` (or the end) and moves *at there. False when it is empty or too long. */
static bool take_until(const char **at, const char *stop, char *out, size_t size)
{
	size_t len = strcspn(*at, stop);
	if (len == 0 || len >= size)
		return false;
	memcpy(out, *at, len);
	out[len] = '\0';
	*at += len;
	return true;
}

static bool take_char(const char **at, char c)
{
	if (**at != c)
		return false;
	(*at)++;
	return true;
}

/* Key ids have no '/', so the scope's parts are told apart from the front. */
static bool parse_credential(const char *at, struct authorization *out)
{
	return take_until(&at, "/, ", out->key_id, sizeof(out->key_id)) && take_char(&at, '/') &&
	       take_until(&at, "/, ", out->date, sizeof(out->date)) && take_char(&at, '/') &&
	       take_until(&at, "/, ", out->region, sizeof(out->region)) && take_char(&at, '/') &&
	       take_until(&at, "/, ", out->service, sizeof(out->service)) && take_char(&at, '/') &&
	       take_until(&at, ", ", out->terminator, sizeof(out->terminator));
}

/* "Credential=…, SignedHeaders=…, Signature=…" in any order, each exactly once. */
static bool parse_authorization(const char *at, struct authorization *out)
{
	while (*at) {
		const char *value = at + strcspn(at, "=, ");
		if (*value != '=')
			return false;
		value++;
		bool good;
		if (text_starts_with(at, "Credential=") && !out->key_id[0])
			good = parse_credential(value, out);
		else if (text_starts_with(at, "SignedHeaders=") && !out->signed_names[0])
			good = take_until(&(const char *){value}, ", ", out->signed_names, sizeof(out->signed_names));
		else if (text_starts_with(at, "Signature=") && !out->signature[0])
			good = take_until(&(const char *){value}, ", ", out->signature, sizeof(out->signature));
		else
			good = false;
		if (!good)
			return false;
		at = value + strcspn(value, ", ");
		at += strspn(at, ", ");
	}
	return out->key_id[0] && out->signed_names[0] && out->signature[0];
}

static bool name_listed(const char *list, const char *name)
{
	size_t len = strlen(name);
	for (const char *at = list; (at = strstr(at, name)); at++)
		if ((at == list || at[-1] == ';') && (at[len] == ';' || at[len] == '\0'))
			return true;
	return false;
}

/* Host, the date and all of x-amz-* must be signed, or somebody on the way could change what the request asks for. */
static bool covers_enough(const struct http_request *r, const char *signed_names)
{
	if (!name_listed(signed_names, "host") || !name_listed(signed_names, "x-amz-date"))
		return false;
	for (size_t i = 0; i < r->n_headers; i++) {
		char lower[64];
		size_t n = 0;
		for (; n < sizeof(lower) - 1 && r->headers[i].name[n]; n++)
			lower[n] = (char)sigv4_lower(r->headers[i].name[n]);
		lower[n] = '\0';
		if (text_starts_with(lower, "x-amz-") && !name_listed(signed_names, lower))
			return false;
	}
	return true;
}

/* "20150830T123600Z" to milliseconds. */
static bool parse_timestamp(const char *s, int64_t *ret_unix_ms)
{
	if (strlen(s) != SIGV4_TIMESTAMP_SIZE - 1 || s[8] != 'T')
		return false;
	char iso[32];
	snprintf(iso, sizeof(iso), "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", s, s + 4, s + 6, s + 9, s + 11, s + 13);
	return s[15] == 'Z' && text_parse_utc(iso, ret_unix_ms) == 0;
}

static bool body_matches(const struct http_request *r, const char *body_sha256)
{
	const char *sent = http_header_find(r->headers, r->n_headers, "x-amz-content-sha256");
	return !sent || strcmp(sent, body_sha256) == 0;
}

static bool signature_matches(struct sigv4_signer *s, const struct http_request *r, const struct authorization *a,
			      char *secret, int64_t unix_ms)
{
	char body_sha256[SHA256_HEX_SIZE];
	sha256_hex(r->body ? r->body : "", r->body_len, body_sha256);
	if (!body_matches(r, body_sha256))
		return false;

	const struct sigv4_canonical_rules rules = {
	    .normalize_path = true,
	    .signed_names = a->signed_names,
	    .payload_sha256 = body_sha256,
	};
	struct sigv4_text *canonical = sigv4_signer_text(s);
	struct sigv4_span names = sigv4_canonical_write(r, &rules, canonical);
	/* A list that is unsorted, or names what was not sent, is not what is signed. */
	if (canonical->overflow || names.len != strlen(a->signed_names) ||
	    memcmp(names.at, a->signed_names, names.len) != 0)
		return false;

	const struct sigv4_scope scope = {.region = a->region, .service = a->service, .unix_ms = unix_ms};
	const struct aws_credentials keys = {.secret_access_key = secret};
	char expected[SHA256_HEX_SIZE];
	struct buf to_sign cleanup(buf_deinit) = BUF_INIT(SIGV4_TEXT_MAX);
	sigv4_string_to_sign(&scope, canonical->data, canonical->len, &to_sign);
	sigv4_signature(s, &keys, &scope, to_sign.data, to_sign.len, expected);
	return text_equal_secret(expected, a->signature);
}

static bool token_matches(const struct http_request *r, const char *expected)
{
	const char *sent = http_header_find(r->headers, r->n_headers, "x-amz-security-token");
	if (!expected || !sent)
		return !expected && !sent;
	return text_equal_secret(expected, sent);
}

enum sigv4_check sigv4_verify(struct sigv4_signer *s, const struct http_request *r, int64_t now_unix_ms,
			      const char *(*secret_of)(void *ctx, const char *key_id, const char **ret_token),
			      void *ctx, struct sigv4_verified *ret)
{
	const char *header = http_header_find(r->headers, r->n_headers, "authorization");
	if (!header || !text_starts_with(header, SIGV4_ALGORITHM " "))
		return SIGV4_CHECK_MISSING;
	struct authorization a = {0};
	const char *timestamp = http_header_find(r->headers, r->n_headers, "x-amz-date");
	int64_t unix_ms;
	if (!parse_authorization(header + sizeof(SIGV4_ALGORITHM), &a) || !timestamp ||
	    !parse_timestamp(timestamp, &unix_ms) || !covers_enough(r, a.signed_names))
		return SIGV4_CHECK_INCOMPLETE;

	const char *token = NULL;
	const char *secret = secret_of(ctx, a.key_id, &token);
	if (!secret)
		return SIGV4_CHECK_UNKNOWN_KEY;
	if (strncmp(a.date, timestamp, SIGV4_DATE_SIZE - 1) != 0 || strlen(a.date) != SIGV4_DATE_SIZE - 1 ||
	    strcmp(a.terminator, SIGV4_TERMINATOR) != 0)
		return SIGV4_CHECK_SCOPE;
	if (unix_ms > now_unix_ms + WINDOW_MS || unix_ms < now_unix_ms - WINDOW_MS)
		return SIGV4_CHECK_SKEWED;
	if (!token_matches(r, token) || !signature_matches(s, r, &a, (char *)secret, unix_ms))
		return SIGV4_CHECK_MISMATCH;

	text_copy(ret->access_key_id, sizeof(ret->access_key_id), a.key_id);
	text_copy(ret->region, sizeof(ret->region), a.region);
	text_copy(ret->service, sizeof(ret->service), a.service);
	return SIGV4_CHECK_OK;
}
