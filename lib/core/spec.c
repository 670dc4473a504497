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

static void require_metric(const struct spec_metric *m)
{
	switch (m->kind) {
	case SPEC_METRIC_COMPARE:
		require(m->false_alarm_ppm > 0);
		require(m->false_alarm_ppm < 1000000);
		require(m->min_effect_permille > 1000);
		break;
	case SPEC_METRIC_DURATION:
		require(m->stat != NULL);
		break;
	case SPEC_METRIC_API_5XX:
		require(m->api != NULL);
		require(m->stage != NULL);
		break;
	case SPEC_METRIC_QUERY:
		require(m->queries != NULL);
		require(m->returns != NULL);
		break;
	case SPEC_METRIC_ALARM:
		require(m->alarm != NULL);
		break;
	case SPEC_METRIC_ERRORS:
	case SPEC_METRIC_THROTTLES:
		break;
	}
	if (m->kind != SPEC_METRIC_ALARM && m->kind != SPEC_METRIC_QUERY)
		require(m->min_invocations > 0);
	if (m->kind != SPEC_METRIC_ALARM && m->kind != SPEC_METRIC_COMPARE)
		require(m->failure_limit > 0);
}

unsigned spec_metric_values(const struct spec_metric *m)
{
	switch (m->kind) {
	case SPEC_METRIC_THROTTLES:
	case SPEC_METRIC_DURATION:
	case SPEC_METRIC_API_5XX:
		return 2;
	case SPEC_METRIC_QUERY:
		return 1;
	case SPEC_METRIC_ERRORS:
	case SPEC_METRIC_COMPARE:
	case SPEC_METRIC_ALARM:
		break;
	}
	return 0;
}

size_t spec_first_value(const struct spec_analysis *a, size_t metric)
{
	size_t n = 0;

	for (size_t i = 0; i < metric; i++)
		n += spec_metric_values(&a->metrics[i]);
	return n;
}

bool spec_probes_stable(const struct rollout_spec *spec)
{
	const struct spec_analysis *a = &spec->analysis;

	for (size_t i = 0; i < a->n_metrics; i++) {
		if (a->metrics[i].kind == SPEC_METRIC_COMPARE && a->metrics[i].count_probes)
			return true;
	}
	return false;
}

bool spec_counts_probes(const struct spec_analysis *a)
{
	for (size_t i = 0; i < a->n_metrics; i++) {
		if (a->metrics[i].count_probes && !a->metrics[i].dry_run)
			return true;
	}
	return false;
}

static void require_metrics(const struct spec_analysis *a)
{
	require(a->n_metrics > 0);
	require(a->n_metrics <= LIMIT_METRICS);
	for (size_t i = 0; i < a->n_metrics; i++)
		require_metric(&a->metrics[i]);
}

void spec_require(const struct rollout_spec *spec)
{
	const struct spec_analysis *a = &spec->analysis;

	require_steps(spec);
	require(spec->final_bake_ms >= 0);
	require(spec->soak_ms >= 0);
	require(!spec->experiment || spec->n_steps == 1);
	require(!spec->experiment_ends_home || spec->experiment);
	require(!spec->probe.payload || spec->probe.every_ms >= LIMIT_PROBE_EVERY_MS);
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
