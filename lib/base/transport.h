/* How a request ends, for what sends it over a port (engine, credentials) and what carries it. */
#pragma once

#include "base/http.h"

enum transport_result {
	TRANSPORT_ANSWERED,	 /* a complete response */
	TRANSPORT_NO_CONNECTION, /* the request certainly was not sent */
	TRANSPORT_NO_ANSWER,	 /* it may have been sent */
};

/* Called exactly once for each submit, never before submit returns. The response is borrowed during the call; `error`
 * is a sentence when nothing was answered. */
typedef void (*transport_cb)(void *arg, enum transport_result result, const struct http_response *response,
			     const char *error);
