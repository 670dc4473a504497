/*
 * Carries http_requests: libcurl's multi interface on the loop's polls and timer. TLS 1.2 or newer, verified; no
 * redirects; proxies by the usual environment; AWS_CA_BUNDLE in place of the system's certificates. Plain http goes to
 * this machine's loopback, without a proxy, whatever a name is resolved to; and to a container's or an instance's
 * metadata service, for whoever fetches keys there.
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

#include "engine/ports.h"

struct transport;

struct transport_config {
	const char *ca_bundle;	/* NULL: the system's; copied */
	const char *user_agent; /* copied */
};

/* libcurl as a whole: before any transport, and after the last. Returns 0 or a negative errno. */
must_use int transport_set_up(void);
void transport_tear_down(void);

/* Returns 0 or a negative errno. */
must_use int transport_new(uv_loop_t *loop, const struct transport_config *config, struct transport **ret);

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
