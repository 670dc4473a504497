/* Full jitter; see the header for the source. */
#include "core/backoff.h"

int64_t backoff_full_jitter_ms(unsigned attempt, int64_t base_ms, int64_t cap_ms, uint64_t entropy)
{
	int64_t limit = cap_ms;

	/* Beyond 2^20 times the base every cap in use is reached; this also keeps the shift defined. */
	if (attempt < 20 && (base_ms << attempt) < cap_ms)
		limit = base_ms << attempt;
	if (limit <= 1)
		return 1;
	return 1 + (int64_t)(entropy % (uint64_t)limit);
}
