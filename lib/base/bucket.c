#include "base/bucket.h"

#include "base/error.h"

/* Sums of fractions such as 1/3 end a little below the whole number; that must not cost another millisecond. */
#define WHOLE_TOKEN (1.0 - 1e-9)

static double tokens_at(const struct bucket *b, int64_t now_ms)
{
	if (now_ms <= b->at_ms)
		return b->tokens;
	double elapsed_ms = (double)now_ms - (double)b->at_ms;
	double tokens = b->tokens + elapsed_ms * b->rate / 1000.0;
	return tokens < b->burst ? tokens : b->burst;
}

void bucket_init(struct bucket *b, double rate, double burst, int64_t now_ms)
{
	require(rate > 0);
	require(burst >= 1);
	*b = (struct bucket){.rate = rate, .burst = burst, .tokens = burst, .at_ms = now_ms};
}

void bucket_set_rate(struct bucket *b, double rate, double burst, int64_t now_ms)
{
	require(rate > 0);
	require(burst >= 1);
	b->tokens = tokens_at(b, now_ms);
	b->at_ms = now_ms;
	if (b->tokens > burst)
		b->tokens = burst;
	b->rate = rate;
	b->burst = burst;
}

bool bucket_take(struct bucket *b, int64_t now_ms)
{
	b->tokens = tokens_at(b, now_ms);
	/* The mark follows time that went backwards too: waiting for the old time to come again could take hours. */
	b->at_ms = now_ms;
	if (b->tokens < WHOLE_TOKEN)
		return false;
	b->tokens = b->tokens > 1.0 ? b->tokens - 1.0 : 0.0;
	return true;
}

int64_t bucket_wait_ms(const struct bucket *b, int64_t now_ms)
{
	double missing = 1.0 - tokens_at(b, now_ms);
	if (missing <= 1.0 - WHOLE_TOKEN)
		return 0;
	double wait_ms = missing * 1000.0 / b->rate;
	if (wait_ms >= 9e18)
		return INT64_MAX;
	int64_t whole_ms = (int64_t)wait_ms;
	/* Rounded up, unless the fraction is nothing but rounding of the division. */
	return (wait_ms - (double)whole_ms) * b->rate / 1000.0 > 1.0 - WHOLE_TOKEN ? whole_ms + 1 : whole_ms;
}

void bucket_give_back(struct bucket *b)
{
	b->tokens = b->tokens + 1 < b->burst ? b->tokens + 1 : b->burst;
}
