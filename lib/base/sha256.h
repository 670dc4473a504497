/* SHA-256 over OpenSSL's EVP; hex is lower case. Aborts if OpenSSL has no SHA-256, as nothing here works then. */
#pragma once

#include <stddef.h>

#define SHA256_BYTES	32
#define SHA256_HEX_SIZE 65 /* with the NUL */

void sha256_bytes(const void *data, size_t len, unsigned char out[static SHA256_BYTES]);
void sha256_hex(const void *data, size_t len, char out[static SHA256_HEX_SIZE]);
void sha256_format_hex(const unsigned char *bytes, size_t len, char *out); /* out has 2 * len + 1 bytes */
