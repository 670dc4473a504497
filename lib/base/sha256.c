#include "base/sha256.h"

#include <openssl/evp.h>

#include "base/error.h"

/*
 * Fetching an algorithm searches OpenSSL's providers, which costs more than hashing a request. So each thread fetches
 * once and keeps its context; both live as long as the thread, as they hold nothing but the algorithm's tables.
 */
static EVP_MD_CTX *thread_context(void)
{
	static _Thread_local EVP_MD_CTX *sha256_context;
	if (sha256_context)
		return sha256_context;

	EVP_MD *sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	EVP_MD_CTX *fresh = EVP_MD_CTX_new();
	require(sha256 && fresh);
	require(EVP_DigestInit_ex2(fresh, sha256, NULL) == 1);
	EVP_MD_free(sha256); /* the context keeps its own reference */
	sha256_context = fresh;
	return sha256_context;
}

void sha256_bytes(const void *data, size_t len, unsigned char out[static SHA256_BYTES])
{
	EVP_MD_CTX *context = thread_context();
	/* No algorithm given: the one of the context, without a new fetch. */
	require(EVP_DigestInit_ex2(context, NULL, NULL) == 1);
	require(EVP_DigestUpdate(context, data, len) == 1);
	require(EVP_DigestFinal_ex(context, out, NULL) == 1);
}

void sha256_format_hex(const unsigned char *bytes, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < len; i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 15];
	}
	out[2 * len] = '\0';
}

void sha256_hex(const void *data, size_t len, char out[static SHA256_HEX_SIZE])
{
	unsigned char bytes[SHA256_BYTES];
	sha256_bytes(data, len, bytes);
	sha256_format_hex(bytes, sizeof(bytes), out);
}
