#include "plan/normalize.h"

#include "base/text.h"
#include "core/alias.h"
#include "plan/schema.h"

static void add_key(struct buf *out, const char *key)
{
	char last = out->len > 0 ? out->data[out->len - 1] : '\0';
	if (last != '{' && last != '\0')
		buf_add_text(out, ", ");
	buf_add_char(out, '"');
	buf_add_text(out, key); /* the table's own, so there is nothing to escape */
	buf_add_text(out, "\": ");
}

static void add_text(struct buf *out, const char *key, const char *text)
{
	add_key(out, key);
	buf_add_json_string(out, text);
}

static void add_count(struct buf *out, const char *key, uint64_t v)
{
	add_key(out, key);
	buf_add_u64(out, v);
}

static void add_duration(struct buf *out, const char *key, int64_t ms)
{
	char text[32];
	text_format_duration(ms, text);
	add_text(out, key, text);
}

static const char *choice(const struct schema_object *o, size_t key, int value)
{
	return o->keys[key].choices[value];
}

static void add_step(struct buf *out, uint32_t weight_bp, int64_t bake_ms, uint64_t min_invocations, bool approve)
{
	char weight[16];
	text_format_bp(weight_bp, weight);
	buf_add_char(out, '{');
	add_text(out, "weight", weight);
	add_duration(out, "bake", bake_ms);
	add_count(out, "min_invocations", min_invocations);
	add_key(out, "approve");
	buf_add_text(out, approve ? "true}" : "false}");
}

/* 100 % is always the last step, so `final_bake` has no second way to be written. */
static void add_steps(struct buf *out, const struct rollout_spec *spec)
{
	add_key(out, "steps");
	buf_add_char(out, '[');
	for (size_t i = 0; i < spec->n_steps; i++) {
		const struct spec_step *s = &spec->steps[i];
		add_step(out, s->weight_bp, s->bake_ms, s->min_invocations, s->approve);
		buf_add_text(out, ", ");
	}
	add_step(out, WEIGHT_BP_MAX, spec->final_bake_ms, spec->final_min_invocations, false);
	buf_add_char(out, ']');
}

static void add_metric(struct buf *out, const struct spec_metric *m)
{
	char rate[16];
	buf_add_char(out, '{');
	switch (m->kind) {
	case SPEC_METRIC_ERRORS:
		text_format_ppm(m->max_rate_ppm, rate);
		add_key(out, "errors");
		buf_add_char(out, '{');
		add_text(out, "max_rate", rate);
		add_count(out, "min_invocations", m->min_invocations);
		buf_add_char(out, '}');
		break;
	case SPEC_METRIC_ALARM:
		add_text(out, "alarm", m->alarm);
		break;
	}
	buf_add_char(out, '}');
}

static void add_analysis(struct buf *out, const struct spec_analysis *a)
{
	const struct schema_object *o = &schema_analysis;
	add_key(out, "analysis");
	buf_add_char(out, '{');
	add_duration(out, "every", a->every_ms);
	add_duration(out, "settle", a->settle_ms);
	add_duration(out, "period", a->period_ms);
	add_text(out, "no_data", choice(o, ANALYSIS_NO_DATA, a->no_data));
	add_duration(out, "hold_limit", a->hold_limit_ms);
	add_text(out, "on_hold_limit", choice(o, ANALYSIS_ON_HOLD_LIMIT, a->on_hold_limit));
	add_text(out, "pace", choice(o, ANALYSIS_PACE, a->pace));
	add_key(out, "metrics");
	buf_add_char(out, '[');
	for (size_t i = 0; i < a->n_metrics; i++) {
		if (i > 0)
			buf_add_text(out, ", ");
		add_metric(out, &a->metrics[i]);
	}
	buf_add_text(out, "]}");
}

static void add_target(struct buf *out, const struct plan *p)
{
	add_text(out, "name", p->name);
	add_text(out, "function", p->function_arn ? p->function_arn : p->function);
	add_text(out, "alias", p->alias);
	if (p->region)
		add_text(out, "region", p->region);
	add_text(out, "account", p->account);
	if (p->version_kind == PLAN_VERSION_LATEST)
		add_text(out, "version", "latest");
	else
		add_count(out, "version", p->version);
}

/* With nothing watched, a plan may name alarms at most; the default metric then stands for no analysis at all. */
static bool has_analysis(const struct rollout_spec *spec)
{
	if (spec->n_steps > 0 || spec->final_bake_ms > 0)
		return true;
	for (size_t i = 0; i < spec->analysis.n_metrics; i++)
		if (spec->analysis.metrics[i].kind == SPEC_METRIC_ERRORS)
			return false;
	return true;
}

void normalize_plan(const struct plan *p, bool display, struct buf *out)
{
	buf_add_char(out, '{');
	add_text(out, "apiVersion", choice(&schema_plan, TOP_API_VERSION, 0));
	add_text(out, "kind", choice(&schema_plan, TOP_KIND, 0));
	add_target(out, p);
	add_steps(out, &p->spec);
	if (has_analysis(&p->spec))
		add_analysis(out, &p->spec.analysis);
	add_text(out, "on_failure", choice(&schema_plan, TOP_ON_FAILURE, p->spec.on_failure));
	add_text(out, "start", choice(&schema_plan, TOP_START, p->spec.start_manual));
	if (display && p->strategy)
		add_text(out, "from_strategy", p->strategy);
	buf_add_char(out, '}');
}
