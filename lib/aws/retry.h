/*
 * The SDKs' standard retry mode, 2026 numbers: at most 3 attempts, full jitter under min(base * 2^(n-1), 20 s) with
 * base 50 ms for transient errors and 1 s for throttling, and a budget of 500 tokens that retries pay from (14
 * transient, 5 throttling) and successes refill. Source: AWS SDKs and Tools Reference Guide, "Retry behavior".
 * A service's wish, x-amz-retry-after or Retry-After, is heeded.
 * A rollback's write is exempt from the budget and from the limit on attempts, and its waits end at 5 s.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "aws/error.h"

struct retry_budget {
	unsigned tokens; /* 0 … 500 */
};

void retry_budget_init(struct retry_budget *b);

struct retry_state {
	unsigned attempt; /* tries made so far */
	unsigned paid;	  /* tokens taken for the last retry */
};

/*
 * After a failed try: the wait in ms until the next one, or -1 to give up. `safe` says that a repeat cannot apply
 * anything twice (reads always; writes only when the error says that nothing was applied). `exempt`: see above.
 */
int64_t retry_next_ms(struct retry_budget *b, struct retry_state *s, const struct aws_error *e, bool safe, bool exempt,
		      uint64_t entropy);
/* After a success: refunds. */
void retry_succeeded(struct retry_budget *b, const struct retry_state *s);
