/* What of a plan is simulated, and what is taken as fine. */
#include "simulate/fine.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"

static bool has_metric(const struct plan *p, enum spec_metric_kind kind)
{
	for (size_t i = 0; i < p->spec.analysis.n_metrics; i++)
		if (p->spec.analysis.metrics[i].kind == kind)
			return true;
	return false;
}

static bool has_approval(const struct plan *p)
{
	for (size_t i = 0; i < p->spec.n_steps; i++)
		if (p->spec.steps[i].approve)
			return true;
	return false;
}

unsigned simulate_fine(const struct plan *p)
{
	const struct {
		bool is;
		unsigned part;
	} parts[] = {
	    {p->version_kind == PLAN_VERSION_PUBLISH || p->version_kind == PLAN_VERSION_LATEST, SIMULATE_CODE},
	    {p->version_kind == PLAN_VERSION_FROM_ALIAS, SIMULATE_SOAK},
	    {p->spec.start_manual, SIMULATE_START},
	    {has_approval(p), SIMULATE_APPROVAL},
	    {p->spec.pre_gate || p->spec.post_gate, SIMULATE_HOOKS},
	    {has_metric(p, SPEC_METRIC_ALARM), SIMULATE_ALARMS},
	    {has_metric(p, SPEC_METRIC_THROTTLES), SIMULATE_THROTTLES},
	    {has_metric(p, SPEC_METRIC_DURATION), SIMULATE_DURATION},
	    {has_metric(p, SPEC_METRIC_API_5XX), SIMULATE_API},
	    {has_metric(p, SPEC_METRIC_QUERY), SIMULATE_QUERY},
	    {p->spec.probe.payload != NULL, SIMULATE_PROBE},
	};
	unsigned fine = 0;

	for (size_t i = 0; i < array_len(parts); i++)
		fine |= parts[i].is ? parts[i].part : 0;
	return fine;
}

const char *simulate_part_text(unsigned bit)
{
	switch ((enum simulate_part)bit) {
	case SIMULATE_CODE:
		return "the version is published and ready";
	case SIMULATE_SOAK:
		return "the version has soaked";
	case SIMULATE_START:
		return "somebody starts it (start: manual)";
	case SIMULATE_APPROVAL:
		return "steps are approved at once";
	case SIMULATE_HOOKS:
		return "hooks and verify agree";
	case SIMULATE_ALARMS:
		return "no alarm goes off";
	case SIMULATE_THROTTLES:
		return "nothing is throttled";
	case SIMULATE_DURATION:
		return "durations are good";
	case SIMULATE_API:
		return "the API's own errors are not looked at";
	case SIMULATE_QUERY:
		return "queries are not looked at";
	case SIMULATE_PROBE:
		return "probes are answered, and fail as often as users' requests";
	case SIMULATE_PARTS:
		break;
	}
	return "";
}

static void keep_metrics(struct plan *p)
{
	struct spec_analysis *a = &p->spec.analysis;
	struct spec_metric *kept = arena_array(p->arena, a->n_metrics + 1, sizeof(*kept));
	size_t n = 0;

	for (size_t i = 0; i < a->n_metrics; i++) {
		const struct spec_metric *m = &a->metrics[i];

		if (m->kind != SPEC_METRIC_API_5XX && m->kind != SPEC_METRIC_QUERY)
			kept[n++] = *m;
	}
	/* There must be one: this decides nothing. */
	if (n == 0)
		kept[n++] = (struct spec_metric){.kind = SPEC_METRIC_ERRORS,
						 .min_invocations = 1,
						 .max_rate_ppm = 1000000,
						 .failure_limit = 1,
						 .dry_run = true};
	a->metrics = kept;
	a->n_metrics = n;
}

static void keep_steps(struct plan *p)
{
	struct spec_step *steps = arena_array(p->arena, p->spec.n_steps + 1, sizeof(*steps));

	for (size_t i = 0; i < p->spec.n_steps; i++) {
		steps[i] = p->spec.steps[i];
		steps[i].approve = false;
	}
	p->spec.steps = steps;
}

struct plan *fine_plan(const struct plan *from)
{
	struct arena *a = arena_new();
	struct plan *p = arena_alloc(a, sizeof(*p));

	require(from->kind == PLAN_ROLLOUT);
	*p = *from;
	p->arena = a;
	p->account = "default";
	p->region = NULL;
	p->function_arn = NULL;
	p->version_kind = PLAN_VERSION_NUMBER;
	p->version = FINE_CANARY;
	p->code = (struct code_spec){0};
	p->pre_traffic = p->post_traffic = (struct plan_hook){0};
	p->n_verify = 0;
	p->keep_versions = 0;
	p->owner = NULL;
	p->spec.pre_gate = p->spec.post_gate = false;
	p->spec.start_manual = false;
	p->spec.soak_ms = 0;
	keep_metrics(p);
	keep_steps(p);
	return p;
}
