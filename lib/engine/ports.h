/*
 * What the engine needs from outside. The daemon gives uv, curl and SQLite; the simulator gives a virtual clock, a
 * simulated AWS and memory. Every function gets the port's own ctx first.
 */
#pragma once

#include <stdbool.h>

#include "aws/endpoint.h"
#include "aws/error.h"
#include "base/clock.h"
#include "base/http.h"
#include "store/store.h"

enum transport_result {
	TRANSPORT_ANSWERED,	 /* a complete response */
	TRANSPORT_NO_CONNECTION, /* the request certainly was not sent */
	TRANSPORT_NO_ANSWER,	 /* it may have been sent */
};

/* Called exactly once for each submit, never before submit returns. The response is borrowed during the call; `error`
 * is a sentence when nothing was answered. */
typedef void (*transport_cb)(void *arg, enum transport_result result, const struct http_response *response,
			     const char *error);

struct ports {
	void *ctx;
	struct instant (*now)(void *ctx);
	uint64_t (*entropy)(void *ctx);
	/* Ask for one call of engine_turn() at that time (replaces the earlier wish; INT64_MAX: none). */
	void (*wake_at)(void *ctx, int64_t boot_ms);
	/* The request is copied or sent before it returns. */
	void (*send)(void *ctx, const struct http_request *request, int64_t timeout_ms, transport_cb cb, void *arg);
	/* Keys of an account; 0, or 1 with a sentence that names what was tried. The caller deinits *ret. */
	int (*credentials)(void *ctx, const char *account, struct aws_credentials *ret, char *ret_error,
			   size_t error_size);
	/* Endpoint of a service; 0, or 1 with a sentence. */
	int (*endpoint)(void *ctx, enum aws_service service, const char *region, struct aws_endpoint *ret,
			char *ret_error, size_t error_size);
	/* An event is durable now: to the log and to whoever follows. Borrowed during the call. */
	void (*published)(void *ctx, const struct store_event *event);
	/* Something about the engine itself that belongs into the log only. */
	void (*log)(void *ctx, int level, const char *text); /* level as syslog: 3 error, 4 warning, 6 info, 7 debug */
};
