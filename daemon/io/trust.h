/*
 * The authorities that servers' certificates are verified by: one store of OpenSSL's for all connections. Where libcurl
 * is left to load them, it does so for each connection anew as soon as a folder is among them, which costs 28 ms and
 * 880 KB a time with a system's bundle.
 *
 * They come from the first of: AWS_CA_BUNDLE, REQUESTS_CA_BUNDLE (each a file, or a folder with names by hash, and
 * then nothing else is trusted), SSL_CERT_FILE and SSL_CERT_DIR (as OpenSSL reads them: each alone replaces its half
 * of the system's), the system. Files that change are read again, and folders in which a certificate does. What can
 * then not be read leaves in force what was there, and is tried again; so does what vanishes. The system's may be
 * missing from the start: then nobody is trusted.
 */
#pragma once

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>

#include "aws/credentials.h"
#include "base/macros.h"

struct trust;

/* `profile_bundle`: what a profile's ca_bundle says, which goes between the first two; NULL: nothing. Returns 0, or 1
 * with ret_error when a setting cannot be used: it is named, with what to do. */
must_use int trust_new(credentials_lookup env, void *env_ctx, const char *profile_bundle, struct trust **ret,
		       char *ret_error, size_t error_size);
void trust_free(struct trust *t); /* NULL is fine */

/* Looks whether files have changed. Returns 0 (as it was), 1 (read again), or -1 with ret_error: they have, and cannot
 * be used; that is told once for each change. What cannot be read is tried again at every look, what is broken when it
 * has changed once more. */
int trust_look(struct trust *t, char *ret_error, size_t error_size);
X509_STORE *trust_store(const struct trust *t); /* borrowed; until the next look */
/* There is nobody to trust, for want of the system's certificates. They are taken when they come. */
bool trust_is_empty(const struct trust *t);
const char *trust_describe(const struct trust *t); /* "AWS_CA_BUNDLE (/etc/ssl/own.pem)" */
unsigned trust_loads(const struct trust *t);	   /* how often the files were read */
