/*
 * A request whose answer has to be found out first: POST /v1/plans/diff and /v1/plans/doctor, and
 * GET /v1/accounts. The engine asks AWS; the
 * connection is suspended meanwhile, by the server.
 */
#pragma once

#include "daemon/control/answer.h"

struct inquiry;

#define INQUIRY_TIMEOUT_MS 60000

/* Starts one. NULL when the answer is known at once; it is in *ret then. `ready` is called once when the answer is
 * there, never before this returns. */
struct inquiry *inquiry_new(const struct backend *b, const struct control_request *r, const char *body, size_t len,
			    void (*ready)(void *ctx), void *ctx, struct answer *ret);
/* Nobody waits for the answer any more. NULL is fine. */
void inquiry_free(struct inquiry *q);
/* Gives the answer away; false while there is none. */
bool inquiry_take(struct inquiry *q, struct answer *ret);
/* Ends it, without a call of `ready`: 504, or 503 when the daemon stops. The answer can be taken then. */
void inquiry_time_out(struct inquiry *q);
void inquiry_stop(struct inquiry *q);
