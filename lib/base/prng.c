#include "base/prng.h"

#include "base/error.h"

static uint64_t rotate_left(uint64_t v, unsigned by)
{
	return v << by | v >> (64 - by);
}

static uint64_t splitmix64(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

void prng_init(struct prng *p, uint64_t seed)
{
	/* Four successive outputs of splitmix64 are never all zero, the one state xoshiro cannot leave. */
	for (size_t i = 0; i < array_len(p->s); i++)
		p->s[i] = splitmix64(&seed);
}

uint64_t prng_next(struct prng *p)
{
	uint64_t *s = p->s;
	uint64_t result = rotate_left(s[1] * 5, 7) * 9;
	uint64_t t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate_left(s[3], 45);
	return result;
}

/* Lemire's multiplication: the high word is the result; the few low words that would favour some are redrawn. */
uint64_t prng_below(struct prng *p, uint64_t bound)
{
	require(bound >= 1);
	uint64_t biased = -bound % bound; /* 2^64 mod bound */
	for (;;) {
		unsigned __int128 wide = (unsigned __int128)prng_next(p) * bound;
		if ((uint64_t)wide >= biased)
			return (uint64_t)(wide >> 64);
	}
}

double prng_unit(struct prng *p)
{
	return (double)(prng_next(p) >> 11) * 0x1.0p-53;
}
