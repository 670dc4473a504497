/* What a specification means in time. */
#include "core/spec.h"

int64_t spec_bake_ms(const struct rollout_spec *spec)
{
	int64_t total = spec->final_bake_ms;

	for (size_t i = 0; i < spec->n_steps; i++)
		total += spec->steps[i].bake_ms;
	return total;
}

int64_t spec_expected_ms(const struct rollout_spec *spec)
{
	const struct spec_analysis *a = &spec->analysis;
	int64_t per_window = a->period_ms / 2 + a->settle_ms;
	size_t windows = a->pace == SPEC_PACE_EVIDENCE ? spec->n_steps : (spec->n_steps > 0);

	if (spec->final_bake_ms > 0)
		windows++;
	return spec_bake_ms(spec) + (int64_t)windows * per_window;
}
