/* What the script's two files share: how things are drawn, and what its plans look at. */
#pragma once

#include "base/clock.h"
#include "base/macros.h"
#include "base/prng.h"
#include "tests/sim/script.h"

static inline uint64_t below(struct prng *p, uint64_t bound)
{
	return prng_below(p, bound);
}

static inline bool chance(struct prng *p, unsigned percent)
{
	return prng_below(p, 100) < percent;
}

/* One of the values in the list. */
#define PICK(p, ...)                                                                                                   \
	({                                                                                                             \
		static const int64_t picks[] = {__VA_ARGS__};                                                          \
		picks[prng_below((p), array_len(picks))];                                                              \
	})

#define SECONDS(n) ((n)*MS_PER_SECOND)
#define MINUTES(n) ((n)*MS_PER_MINUTE)

/* The plain threshold on errors, which every plan had once. */
void script_draw_rate(struct prng *p, struct script_plan *plan);
/* What seeds have beyond that: other metrics, probes, experiments, and what goes wrong with them. From numbers of its
 * own, so that a seed without any of it is the one that it was. */
void script_draw_more(struct script *s);
/* For a seed in which nothing goes wrong: what its plan looks at is all well. */
void script_be_calm(struct script_plan *plan);
/* Adds the plan's metrics and probe: keys of `analysis`. */
void script_add_metrics(const struct script_plan *p, char *out, size_t size);
/* … and its event, at that time. */
struct deed *script_add_deed(struct script *s, enum deed_kind kind, int64_t at_ms);
