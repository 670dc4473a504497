/* What a function returned to a proxy integration, as an HTTP answer. */
#pragma once

#include "sim/call.h"

/*
 * False, with nothing answered, when the payload is not what the integration wants. `rest`: of a REST API; `two`:
 * payload format 2.0, where a payload without a statusCode is the body itself.
 */
bool gateway_answer_proxy(struct call *c, const char *payload, size_t len, bool rest, bool two);
