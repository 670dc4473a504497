/*
 * What time it is at AWS. Signatures are refused when they are five minutes off, and metrics are asked for by AWS's
 * periods, so a host whose clock is wrong must not go by it. Each answer has AWS's time in its Date header; from then
 * on it is counted by CLOCK_BOOTTIME, so that somebody who sets the host's clock afterwards does no harm either.
 *
 * A Date is good to a second, and as old as the answer was on its way: where the host's clock is within that it is the
 * better one, and is followed. Once AWS's time is known, the host's is followed only where the two agree; and an answer
 * that was more than three seconds on its way tells no time at all, unless it refuses a signature for its time.
 */
#pragma once

#include <stdbool.h>

#include "base/clock.h"

struct aws_clock {
	bool known;
	int64_t ahead_ms; /* what AWS's time is ahead of boot_ms */
};

/* By the host's clock as long as nothing else is known. */
int64_t aws_clock_unix_ms(const struct aws_clock *c, struct instant now);
/* What the host's clock is ahead of AWS's; negative: behind. 0 while it agrees, or nothing is known. */
int64_t aws_clock_host_ahead_ms(const struct aws_clock *c, struct instant now);
/*
 * An answer with that Date has come, `travel_ms` after it was asked for. `accepted`: the signature was, so that a Date
 * which is further off than AWS lets signatures be was put there by somebody else, and does not count.
 */
void aws_clock_told(struct aws_clock *c, struct instant now, int64_t date_unix_ms, int64_t travel_ms, bool accepted);
