/*
 * Carries http_requests: libcurl's multi interface on the loop's polls and timer. TLS 1.2 or newer, verified (trust.h);
 * no redirects; https by way of the environment's proxy (proxy.h). Plain http goes to this machine's loopback, without
 * a proxy, whatever a name is resolved to; and to a container's or an instance's metadata service, for whoever fetches
 * keys there.
 *
 * HTTP/1.1 on purpose: a connection carries one request at a time, so that a connection which dies leaves one outcome
 * unknown and not as many as HTTP/2 had streams on it. A connection and an address live for 30 s each, so that within a
 * minute everything goes where a name has moved to, and nothing waits on a connection that something in between has
 * forgotten. A resolver that hangs holds up the requests that need it, and not the loop.
 *
 * A session token or a signature that comes back in an answer is overwritten before anybody reads it; what libcurl had
 * in its buffers is zeroed when they are freed.
 *
 * The outcome is told so that a write is never repeated by mistake: TRANSPORT_NO_CONNECTION only when not one byte of
 * the request can have left, TRANSPORT_NO_ANSWER in all doubt. Only a GET is ever sent twice (by libcurl, when a
 * connection that was kept open turns out to be dead).
 */
#pragma once

#include <uv.h>

#include "aws/credentials.h"
#include "engine/ports.h"

struct transport;

struct transport_config {
	const char *user_agent; /* copied */
	credentials_lookup env; /* proxies and certificates; borrowed. NULL: nothing is set */
	void *env_ctx;
	void (*warn)(void *arg,
		     const char *text); /* about certificates that cannot be used, and proxies; NULL: nobody hears it */
	void *warn_arg;
};

/* libcurl as a whole: before any transport, and after the last. Returns 0 or a negative errno. */
must_use int transport_set_up(void);
void transport_tear_down(void);

/* Returns 0, or 1 with ret_error when a setting of the environment cannot be used, or libcurl cannot be. */
must_use int transport_new(uv_loop_t *loop, const struct transport_config *config, struct transport **ret,
			   char *ret_error, size_t error_size);
/* Whether transport_new would find settings that it can use: returns 0, or 1 with ret_error. */
must_use int transport_check(credentials_lookup env, void *env_ctx, char *ret_error, size_t error_size);

/* As ports.send: the request is copied; `cb` is called exactly once, and not before this returns. */
void transport_send(struct transport *t, const struct http_request *request, int64_t timeout_ms, transport_cb cb,
		    void *arg);
/* The same for what fetches keys: request and answer are wiped, and an answer is at most LIMIT_KEYS_ANSWER bytes.
 * `metadata`: plain http may go to the link-local addresses at which AWS gives keys as well (credentials/place.h), and
 * whatever the scheme, no proxy is asked. */
void transport_send_secret(struct transport *t, const struct http_request *request, int64_t timeout_ms, bool metadata,
			   transport_cb cb, void *arg);
size_t transport_in_flight(const struct transport *t);
/* Breaks off all requests in flight; each is answered at once. */
void transport_abort(struct transport *t);
/* Nothing may be in flight. The memory is freed by the loop's next turns. NULL is fine. */
void transport_close(struct transport *t);
