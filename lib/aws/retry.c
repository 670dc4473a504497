#include "aws/retry.h"

#define BUDGET		 500
#define COST_TRANSIENT	 14
#define COST_THROTTLED	 5
#define ATTEMPTS	 3
#define BASE_TRANSIENT	 50
#define BASE_THROTTLED	 1000
#define DELAY_CAP_MS	 20000
#define EXEMPT_CAP_MS	 5000 /* while a rollback waits, requests fail */
#define HINT_WINDOW_MS	 5000 /* how far a service's own wish may stretch the wait */
#define REFUND_FIRST_TRY 1

void retry_budget_init(struct retry_budget *b)
{
	b->tokens = BUDGET;
}

/* Uniform in [0, min(cap, base * 2^(tries-1))). */
static int64_t jitter_ms(unsigned tries, int64_t base_ms, int64_t cap_ms, uint64_t entropy)
{
	unsigned doublings = tries - 1;
	/* Ten doublings pass the cap from either base; a shift further on would overflow in the end. */
	int64_t limit = doublings < 10 ? base_ms << doublings : cap_ms;
	if (limit > cap_ms)
		limit = cap_ms;
	return (int64_t)(entropy % (uint64_t)limit);
}

/* Whether the call may be sent again. What the service or the transport says was not applied always may. */
static bool is_repeatable(const struct aws_error *e, bool safe)
{
	switch (e->class) {
	case AWS_THROTTLED:
	case AWS_NO_CONNECTION:
		return true;
	case AWS_TRANSIENT:
	case AWS_NO_ANSWER:
		return safe;
	default:
		return false; /* it would be said again, or somebody has to look first */
	}
}

/*
 * x-amz-retry-after puts the wait t into [t, t + 5 s], as in the SDKs. Retry-After, which Lambda and API Gateway send,
 * is kept to with the jitter on top, so that those who were refused together do not come back together. Neither goes
 * beyond the cap.
 */
static int64_t heed_wish(const struct aws_error *e, int64_t wait_ms, int64_t cap_ms)
{
	int64_t wish_ms = e->retry_after_ms;
	if (e->retry_after_firm && wish_ms > 0)
		wait_ms += wish_ms;
	else if (wish_ms > wait_ms)
		wait_ms = wish_ms < wait_ms + HINT_WINDOW_MS ? wish_ms : wait_ms + HINT_WINDOW_MS;
	return wait_ms < cap_ms ? wait_ms : cap_ms;
}

int64_t retry_next_ms(struct retry_budget *b, struct retry_state *s, const struct aws_error *e, bool safe, bool exempt,
		      uint64_t entropy)
{
	bool throttled = e->class == AWS_THROTTLED;
	unsigned cost = throttled ? COST_THROTTLED : COST_TRANSIENT;
	if (s->attempt < UINT32_MAX)
		s->attempt++;
	if (!is_repeatable(e, safe))
		return -1;
	if (!exempt) {
		if (s->attempt >= ATTEMPTS || b->tokens < cost)
			return -1;
		b->tokens -= cost;
		s->paid = cost;
	}
	int64_t cap_ms = exempt ? EXEMPT_CAP_MS : DELAY_CAP_MS;
	int64_t wait_ms = jitter_ms(s->attempt, throttled ? BASE_THROTTLED : BASE_TRANSIENT, cap_ms, entropy);
	return heed_wish(e, wait_ms, cap_ms);
}

void retry_succeeded(struct retry_budget *b, const struct retry_state *s)
{
	b->tokens += s->paid ? s->paid : REFUND_FIRST_TRY;
	if (b->tokens > BUDGET)
		b->tokens = BUDGET;
}
