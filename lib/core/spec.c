/* What a specification means in time. */
#include "core/spec.h"

#include "base/error.h"
#include "core/alias.h"

static void require_steps(const struct rollout_spec *spec)
{
	uint32_t before_bp = 0;

	require(spec->n_steps <= LIMIT_STEPS);
	for (size_t i = 0; i < spec->n_steps; i++) {
		require(spec->steps[i].weight_bp > before_bp);
		require(spec->steps[i].weight_bp < WEIGHT_BP_MAX);
		require(spec->steps[i].bake_ms > 0);
		before_bp = spec->steps[i].weight_bp;
	}
}

static void require_metrics(const struct spec_analysis *a)
{
	require(a->n_metrics > 0);
	require(a->n_metrics <= LIMIT_METRICS);
	for (size_t i = 0; i < a->n_metrics; i++) {
		if (a->metrics[i].kind == SPEC_METRIC_ALARM)
			require(a->metrics[i].alarm != NULL);
		else
			require(a->metrics[i].min_invocations > 0);
	}
}

void spec_require(const struct rollout_spec *spec)
{
	const struct spec_analysis *a = &spec->analysis;

	require_steps(spec);
	require(spec->final_bake_ms >= 0);
	require(spec->soak_ms >= 0);
	require(a->every_ms > 0);
	require(a->settle_ms >= 0);
	require(a->period_ms > 0);
	require(a->hold_limit_ms > 0);
	require_metrics(a);
}

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
