/*
 * Through which proxy a host is asked, by the environment: https_proxy, HTTPS_PROXY, all_proxy, ALL_PROXY, the first
 * that is set; no_proxy or NO_PROXY has exceptions. An empty name in small letters switches the large one off, and an
 * empty https_proxy the proxy, as Python has it. It is read once, so that what cannot be used is told at the
 * start, and so that neither the name nor the password in it can end up in a message: libcurl is given a URL without
 * them.
 *
 * An exception is a host, which stands for all below it as well, with or without a dot in front; the same with a port;
 * an address; a network such as 10.0.0.0/8 or fd00::/8; or, alone, '*'.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "aws/credentials.h"
#include "base/macros.h"

struct proxy {
	const char *setting; /* "HTTPS_PROXY", … as it was found; NULL: no proxy */
	char *url;	     /* http, https, socks5 or socks5h://host:port */
	char *user;	     /* NULL: it wants none */
	char *password;
	char *exceptions; /* NULL: none */
	const char *exceptions_setting;
};

/* Returns 0, or 1 with ret_error when a setting cannot be used: it is named, and its value is not shown. */
must_use int proxy_read(credentials_lookup env, void *env_ctx, struct proxy *ret, char *ret_error, size_t error_size);
void proxy_deinit(struct proxy *p);
/* Whether https to this host goes through it. The host is as in http_request: with ":port", if it is not 443. */
bool proxy_serves(const struct proxy *p, const char *host);
/* Whether an exception looks as if it were meant otherwise than it is taken: then ret_text says so. */
bool proxy_advise(const struct proxy *p, char *ret_text, size_t size);
