#include "aws/clock.h"

#define DATE_STEP_MS	1000 /* a Date has no fractions */
#define TOLERANCE_MS	2000 /* of two clocks that are kept by NTP, generously */
#define TRAVEL_MAX_MS	3000 /* what is measured is within TOLERANCE_MS then */
#define SIGNATURE_OF_MS (5 * MS_PER_MINUTE)

int64_t aws_clock_unix_ms(const struct aws_clock *c, struct instant now)
{
	int64_t unix_ms = now.boot_ms + c->ahead_ms;

	/* Two clocks that are cut to milliseconds are one apart now and then. */
	if (!c->known || (unix_ms - now.unix_ms <= 1 && now.unix_ms - unix_ms <= 1))
		return now.unix_ms;
	return unix_ms;
}

int64_t aws_clock_host_ahead_ms(const struct aws_clock *c, struct instant now)
{
	int64_t ahead_ms = now.unix_ms - aws_clock_unix_ms(c, now);

	return ahead_ms > TOLERANCE_MS || ahead_ms < -TOLERANCE_MS ? ahead_ms : 0;
}

/* Whether the time can be AWS's now, that was in the given second when the answer was made. */
static bool fits(int64_t unix_ms, int64_t date_unix_ms, int64_t travel_ms)
{
	return unix_ms >= date_unix_ms - TOLERANCE_MS &&
	       unix_ms <= date_unix_ms + DATE_STEP_MS + travel_ms + TOLERANCE_MS;
}

/* A Date whose answer took longer tells too little: of a hook's, which may take minutes, it is minutes old or none. */
static bool tells(int64_t travel_ms, bool accepted)
{
	return !accepted || travel_ms <= TRAVEL_MAX_MS;
}

void aws_clock_told(struct aws_clock *c, struct instant now, int64_t date_unix_ms, int64_t travel_ms, bool accepted)
{
	int64_t off_ms = date_unix_ms - aws_clock_unix_ms(c, now);

	if (accepted && (off_ms > SIGNATURE_OF_MS || off_ms < -SIGNATURE_OF_MS - travel_ms))
		return;
	if (c->known && fits(aws_clock_unix_ms(c, now), date_unix_ms, travel_ms)) {
		/* What was measured stands, unless the host's clock, which has milliseconds, says the same. */
		if (aws_clock_host_ahead_ms(c, now) == 0)
			c->ahead_ms = now.unix_ms - now.boot_ms;
		return;
	}
	if (!tells(travel_ms, accepted))
		return;
	if (fits(now.unix_ms, date_unix_ms, travel_ms))
		c->ahead_ms = now.unix_ms - now.boot_ms;
	else
		c->ahead_ms = date_unix_ms + DATE_STEP_MS / 2 + travel_ms / 2 - now.boot_ms;
	c->known = true;
}
