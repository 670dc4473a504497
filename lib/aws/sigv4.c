/*
 * The signing side. What is dear is done once: the MAC algorithm is fetched with the signer, and the key of the day,
 * four HMACs away from the secret, stays in a keyed MAC context for as long as its (secret, date, region, service) is
 * in use.
 */
#include "aws/sigv4.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "aws/sigv4_canonical.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/text.h"

#define KEYS 16 /* accounts x regions x services in use at the same time; more only cost the derivation */

struct day_key {
	char *secret; /* NULL: unused */
	char *region;
	char *service;
	char date[SIGV4_DATE_SIZE];
	EVP_MAC_CTX *mac; /* keyed */
};

struct sigv4_signer {
	EVP_MAC *hmac;
	struct day_key keys[KEYS];
	size_t next; /* the oldest one: replaced next */
	size_t last; /* the one used last: looked at first */
	struct sigv4_text canonical;
	struct sigv4_text to_sign; /* and then the Authorization header */
	char *memory;		   /* of both */
};

void aws_credentials_deinit(struct aws_credentials *c)
{
	secret_free(c->access_key_id);
	secret_free(c->secret_access_key);
	secret_free(c->session_token);
	*c = (struct aws_credentials){0};
}

void aws_credentials_copy(struct aws_credentials *out, const struct aws_credentials *c)
{
	*out = (struct aws_credentials){
	    .access_key_id = mem_strdup(c->access_key_id),
	    .secret_access_key = mem_strdup(c->secret_access_key),
	    .session_token = mem_strdup(c->session_token),
	    .expires_unix_ms = c->expires_unix_ms,
	};
}

struct sigv4_signer *sigv4_signer_new(void)
{
	struct sigv4_signer *s = mem_alloc(sizeof(*s));
	s->hmac = EVP_MAC_fetch(NULL, OSSL_MAC_NAME_HMAC, NULL);
	require(s->hmac); /* without HMAC there is no AWS at all */
	s->memory = mem_alloc(2 * SIGV4_TEXT_MAX);
	s->canonical = (struct sigv4_text){.data = s->memory, .size = SIGV4_TEXT_MAX};
	s->to_sign = (struct sigv4_text){.data = s->memory + SIGV4_TEXT_MAX, .size = SIGV4_TEXT_MAX};
	return s;
}

static void day_key_deinit(struct day_key *k)
{
	secret_free(k->secret);
	free(k->region);
	free(k->service);
	EVP_MAC_CTX_free(k->mac); /* wipes the key */
	*k = (struct day_key){0};
}

void sigv4_signer_free(struct sigv4_signer *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < KEYS; i++)
		day_key_deinit(&s->keys[i]);
	secret_wipe(s->memory, 2 * SIGV4_TEXT_MAX); /* session tokens */
	free(s->memory);
	EVP_MAC_free(s->hmac);
	free(s);
}

struct sigv4_text *sigv4_signer_text(struct sigv4_signer *s)
{
	return &s->canonical;
}

/* --- the key of the day --- */

static EVP_MAC_CTX *mac_keyed(struct sigv4_signer *s, const void *key, size_t len)
{
	char digest[] = "SHA256";
	const OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
	    OSSL_PARAM_construct_end(),
	};
	EVP_MAC_CTX *mac = EVP_MAC_CTX_new(s->hmac);
	require(mac);
	require(EVP_MAC_init(mac, key, len, params) == 1);
	return mac;
}

static void mac_finish(EVP_MAC_CTX *mac, const void *data, size_t len, unsigned char out[static SHA256_BYTES])
{
	size_t written;
	require(EVP_MAC_update(mac, data, len) == 1);
	require(EVP_MAC_final(mac, out, &written, SHA256_BYTES) == 1 && written == SHA256_BYTES);
}

static void hmac_step(struct sigv4_signer *s, const void *key, size_t key_len, const char *text,
		      unsigned char out[static SHA256_BYTES])
{
	EVP_MAC_CTX *mac = mac_keyed(s, key, key_len);
	mac_finish(mac, text, strlen(text), out);
	EVP_MAC_CTX_free(mac);
}

static EVP_MAC_CTX *derive_key(struct sigv4_signer *s, const char *secret, const char *date,
			       const struct sigv4_scope *scope)
{
	unsigned char key[SHA256_BYTES];
	char *first = mem_printf("AWS4%s", secret);
	hmac_step(s, first, strlen(first), date, key);
	secret_free(first);
	hmac_step(s, key, sizeof(key), scope->region, key);
	hmac_step(s, key, sizeof(key), scope->service, key);
	hmac_step(s, key, sizeof(key), SIGV4_TERMINATOR, key);
	EVP_MAC_CTX *mac = mac_keyed(s, key, sizeof(key));
	secret_wipe(key, sizeof(key));
	return mac;
}

static bool day_key_is(const struct day_key *k, const char *secret, const char *date, const struct sigv4_scope *scope)
{
	return k->secret && memcmp(k->date, date, SIGV4_DATE_SIZE) == 0 && strcmp(k->service, scope->service) == 0 &&
	       strcmp(k->region, scope->region) == 0 && text_equal_secret(k->secret, secret);
}

static EVP_MAC_CTX *find_key(struct sigv4_signer *s, const char *secret, const char *date,
			     const struct sigv4_scope *scope)
{
	if (day_key_is(&s->keys[s->last], secret, date, scope))
		return s->keys[s->last].mac;
	for (size_t i = 0; i < KEYS; i++) {
		if (day_key_is(&s->keys[i], secret, date, scope)) {
			s->last = i;
			return s->keys[i].mac;
		}
	}
	struct day_key *k = &s->keys[s->next];
	day_key_deinit(k);
	k->secret = mem_strdup(secret);
	k->region = mem_strdup(scope->region);
	k->service = mem_strdup(scope->service);
	memcpy(k->date, date, SIGV4_DATE_SIZE);
	k->mac = derive_key(s, secret, date, scope);
	s->last = s->next;
	s->next = (s->next + 1) % KEYS;
	return k->mac;
}

/* --- stages --- */

static void format_date(const char timestamp[static SIGV4_TIMESTAMP_SIZE], char date[static SIGV4_DATE_SIZE])
{
	memcpy(date, timestamp, SIGV4_DATE_SIZE - 1);
	date[SIGV4_DATE_SIZE - 1] = '\0';
}

void sigv4_canonical_request(const struct http_request *r, const struct sigv4_scope *scope, struct buf *ret,
			     struct buf *signed_headers)
{
	const struct sigv4_canonical_rules rules = {
	    .normalize_path = scope->normalize_path,
	    .omit_token = scope->omit_token,
	};
	char *memory cleanup(mem_free_p) = mem_alloc(SIGV4_TEXT_MAX);
	struct sigv4_text t = {.data = memory, .size = SIGV4_TEXT_MAX};
	struct sigv4_span names = sigv4_canonical_write(r, &rules, &t);
	buf_add(ret, t.data, t.len);
	buf_add(signed_headers, names.at, names.len);
	ret->overflow |= t.overflow;
	secret_wipe(memory, SIGV4_TEXT_MAX);
}

/* "20150830/us-east-1/lambda/aws4_request". */
static void put_scope(struct sigv4_text *t, const char *date, const struct sigv4_scope *scope)
{
	sigv4_put(t, date, SIGV4_DATE_SIZE - 1);
	sigv4_put_char(t, '/');
	sigv4_put_text(t, scope->region);
	sigv4_put_char(t, '/');
	sigv4_put_text(t, scope->service);
	sigv4_put_text(t, "/" SIGV4_TERMINATOR);
}

static void put_string_to_sign(struct sigv4_text *t, const char *timestamp, const struct sigv4_scope *scope,
			       const char *canonical_sha256)
{
	t->len = 0;
	t->overflow = false;
	sigv4_put_text(t, SIGV4_ALGORITHM "\n");
	sigv4_put(t, timestamp, SIGV4_TIMESTAMP_SIZE - 1);
	sigv4_put_char(t, '\n');
	put_scope(t, timestamp, scope);
	sigv4_put_char(t, '\n');
	sigv4_put(t, canonical_sha256, SHA256_HEX_SIZE - 1);
}

void sigv4_string_to_sign(const struct sigv4_scope *scope, const char *canonical_request, size_t len, struct buf *ret)
{
	char hash[SHA256_HEX_SIZE];
	char timestamp[SIGV4_TIMESTAMP_SIZE];
	char memory[512]; /* region and service have at most 63 letters */
	struct sigv4_text t = {.data = memory, .size = sizeof(memory)};
	sha256_hex(canonical_request, len, hash);
	text_format_amz_date(scope->unix_ms, timestamp);
	put_string_to_sign(&t, timestamp, scope, hash);
	buf_add(ret, t.data, t.len);
	ret->overflow |= t.overflow;
}

static void sign_text(struct sigv4_signer *s, const struct aws_credentials *c, const char *date,
		      const struct sigv4_scope *scope, const char *text, size_t len,
		      char ret_hex[static SHA256_HEX_SIZE])
{
	EVP_MAC_CTX *mac = find_key(s, c->secret_access_key, date, scope);
	unsigned char signature[SHA256_BYTES];
	require(EVP_MAC_init(mac, NULL, 0, NULL) == 1); /* starts over with the same key */
	mac_finish(mac, text, len, signature);
	sha256_format_hex(signature, sizeof(signature), ret_hex);
}

void sigv4_signature(struct sigv4_signer *s, const struct aws_credentials *c, const struct sigv4_scope *scope,
		     const char *string_to_sign, size_t len, char ret_hex[static SHA256_HEX_SIZE])
{
	char timestamp[SIGV4_TIMESTAMP_SIZE];
	char date[SIGV4_DATE_SIZE];
	text_format_amz_date(scope->unix_ms, timestamp);
	format_date(timestamp, date);
	sign_text(s, c, date, scope, string_to_sign, len, ret_hex);
}

/* --- the whole --- */

/* The value of the Authorization header; NULL when it is too long. printf would take longer than the signature. */
static const char *format_authorization(struct sigv4_text *t, struct arena *arena, const char *key_id, const char *date,
					const struct sigv4_scope *scope, struct sigv4_span names, const char *signature)
{
	t->len = 0;
	sigv4_put_text(t, SIGV4_ALGORITHM " Credential=");
	sigv4_put_text(t, key_id);
	sigv4_put_char(t, '/');
	put_scope(t, date, scope);
	sigv4_put_text(t, ", SignedHeaders=");
	sigv4_put(t, names.at, names.len);
	sigv4_put_text(t, ", Signature=");
	sigv4_put(t, signature, SHA256_HEX_SIZE - 1);
	return t->overflow ? NULL : arena_strndup(arena, t->data, t->len);
}

static int sign_request(struct sigv4_signer *s, const struct aws_credentials *c, const struct sigv4_scope *scope,
			struct http_request *r, struct arena *arena)
{
	char *timestamp = arena_alloc(arena, SIGV4_TIMESTAMP_SIZE);
	char date[SIGV4_DATE_SIZE];
	text_format_amz_date(scope->unix_ms, timestamp);
	format_date(timestamp, date);
	char payload[SHA256_HEX_SIZE];
	sha256_hex(r->body ? r->body : "", r->body_len, payload);
	/* In the order in which they are signed, which saves the sorting. */
	if (scope->payload_header)
		http_request_add_header(r, "X-Amz-Content-Sha256", arena_strndup(arena, payload, sizeof(payload) - 1));
	http_request_add_header(r, "X-Amz-Date", timestamp);
	if (c->session_token)
		http_request_add_header(r, "X-Amz-Security-Token", arena_strdup(arena, c->session_token));

	const struct sigv4_canonical_rules rules = {
	    .normalize_path = scope->normalize_path,
	    .omit_token = scope->omit_token,
	    .payload_sha256 = payload,
	};
	struct sigv4_span names = sigv4_canonical_write(r, &rules, &s->canonical);
	if (s->canonical.overflow) {
		secret_wipe(s->canonical.data, s->canonical.len);
		return -E2BIG;
	}

	char hash[SHA256_HEX_SIZE];
	char signature[SHA256_HEX_SIZE];
	sha256_hex(s->canonical.data, s->canonical.len, hash);
	put_string_to_sign(&s->to_sign, timestamp, scope, hash);
	if (s->to_sign.overflow) {
		secret_wipe(s->canonical.data, s->canonical.len);
		return -E2BIG;
	}
	sign_text(s, c, date, scope, s->to_sign.data, s->to_sign.len, signature);
	const char *authorization =
	    format_authorization(&s->to_sign, arena, c->access_key_id, date, scope, names, signature);
	secret_wipe(s->canonical.data, s->canonical.len); /* the session's token; `names` was in it */
	if (!authorization)
		return -E2BIG;
	http_request_add_header(r, "Authorization", authorization);
	return 0;
}

#define HEADERS_ADDED 4

int sigv4_sign(struct sigv4_signer *s, const struct aws_credentials *c, const struct sigv4_scope *scope,
	       struct http_request *r, struct arena *arena)
{
	size_t before = r->n_headers;
	if (before + HEADERS_ADDED > HTTP_HEADERS_MAX)
		return -E2BIG;
	int result = sign_request(s, c, scope, r, arena);
	if (result) {
		sigv4_forget(r);
		r->n_headers = before;
	}
	return result;
}

void sigv4_forget(struct http_request *r)
{
	static const char *const names[] = {"X-Amz-Security-Token", "Authorization"};
	for (size_t i = 0; i < array_len(names); i++) {
		const char *value = http_header_find(r->headers, r->n_headers, names[i]);
		if (value)
			secret_wipe((char *)value, strlen(value)); /* sigv4_sign()'s own, in the arena */
	}
}
