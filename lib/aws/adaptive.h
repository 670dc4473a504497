/*
 * How fast to send to a service that throttles: the SDKs' adaptive mode, after CUBIC (RFC 9438). A throttled answer
 * brings the rate down to 0.7 of what was measured; good answers bring it up again, slowly near the rate that was too
 * much and quickly away from it, never beyond twice what is measured. Constants and steps are botocore's
 * (retries/adaptive.py, throttling.py, bucket.py). Pure arithmetic over the time that is handed in.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define ADAPTIVE_MIN_RATE 0.5		   /* calls a second: however bad it is, this much is tried */
#define ADAPTIVE_QUIET_MS (10 * 60 * 1000) /* after which a limit is forgotten */

struct adaptive {
	bool slowed; /* `rate` is to be kept to */
	double rate; /* calls a second */
	double measured;
	double counted_from_s; /* the half second that `count` is of began then */
	double count;
	double max_rate;  /* what was too much */
	double plateau_s; /* from the last throttling until the rate is there again */
	double throttled_s;
};

/* `measured`: taken for the measured rate until there is one; botocore has 0, and so brings a client that is throttled
 * at its first answer down to the least there is. */
void adaptive_init(struct adaptive *a, double measured, int64_t now_ms);
/* An answer has come; `throttled`: it asked to slow down. */
void adaptive_answered(struct adaptive *a, int64_t now_ms, bool throttled);
/* Whether nothing has been throttled for so long that the limit need not be kept to any more (botocore never forgets
 * one). Until then it comes up with what is really sent: time alone tells nothing of who sends in bursts. */
bool adaptive_has_recovered(const struct adaptive *a, int64_t now_ms);
