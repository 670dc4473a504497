#include "plan/how.h"

#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "plan/checks.h"
#include "plan/metric.h"

struct record how_of_rollout(const struct record *rollout)
{
	return (struct record){
	    .object = &schema_how,
	    .node = rollout->node,
	    .fields = rollout->fields + TOP_HOW,
	};
}

static const size_t targets[] = {HOOK_INVOKE, HOOK_EXEC, HOOK_HTTP};

/* The index of the one that a hook calls; HOOK_KNOWN if there is none. */
static size_t find_target(const struct record *hook)
{
	for (size_t i = 0; i < array_len(targets); i++)
		if (record_has(hook, targets[i]))
			return targets[i];
	return HOOK_KNOWN;
}

static void check_hook(const struct record *hook, struct diags *diags)
{
	const struct field *timeout = &hook->fields[HOOK_TIMEOUT];
	const struct node *first = NULL;
	bool misspelt = false;
	for (size_t i = 0; i < array_len(targets); i++) {
		const struct field *f = &hook->fields[targets[i]];
		misspelt |= f->misspelt;
		if (f->node && first)
			diags_add(diags, DIAG_ERROR, AT_KEY(f->node),
				  "a hook calls one thing, and `%s` (line %u) is given already; remove one of them",
				  first->key, first->key_line);
		else if (f->node)
			first = f->node;
	}
	if (!first && !misspelt)
		diags_add(diags, DIAG_ERROR, AT_VALUE(hook->node),
			  "a hook calls one thing; write `invoke: FUNCTION`, `exec: PROGRAM` or `http: URL` into it");
	if (record_has(hook, HOOK_INVOKE) && timeout->node && timeout->ok &&
	    timeout->number > SCHEMA_HOOK_INVOKE_MAX_MS) {
		char given[32];
		text_format_duration(timeout->number, given);
		diags_add(diags, DIAG_ERROR, AT_VALUE(timeout->node),
			  "`timeout` is %s; a Lambda function runs for 15m at most", given);
	}
}

static void check_hooks(const struct field *hooks, struct diags *diags)
{
	const struct record *r = hooks->items;
	if (!r)
		return;
	if (r->node->n_children == 0)
		diags_add(diags, DIAG_ERROR, AT_VALUE(r->node),
			  "`hooks` is empty; give it `pre_traffic` or `post_traffic`, or remove it");
	for (size_t i = 0; i < HOOKS_KNOWN; i++)
		if (r->fields[i].items)
			check_hook(r->fields[i].items, diags);
}

void how_read(struct arena *a, const struct record *record, struct diags *diags, struct how *ret)
{
	ret->record = *record;
	shape_read(a, record, diags, &ret->shape);
	checks_analysis(record, &ret->shape, diags);
	check_hooks(&record->fields[HOW_HOOKS], diags);
}

static void fill_probe(struct arena *a, const struct field *probe, struct spec_probe *ret)
{
	if (!probe->items)
		return;
	ret->payload = arena_strdup(a, probe->items->fields[PROBING_INVOKE].text);
	ret->every_ms = probe->items->fields[PROBING_RATE].number;
	ret->line = probe->items->fields[PROBING_INVOKE].node->line;
	ret->column = probe->items->fields[PROBING_INVOKE].node->column;
}

static void fill_metrics(struct arena *a, const struct record *analysis, struct spec_analysis *ret)
{
	const struct field *metrics = &analysis->fields[ANALYSIS_METRICS];
	bool probed = record_has(analysis, ANALYSIS_PROBE);
	size_t n = metrics->node ? metrics->n_items : 1;
	struct spec_metric *m = arena_array(a, n, sizeof(*m));
	for (size_t i = 0; i < n; i++)
		metric_read(a, metrics->node ? &metrics->items[i] : NULL, probed, &m[i]);
	ret->metrics = m;
	ret->n_metrics = n;
}

static void fill_analysis(struct arena *a, const struct record *analysis, struct spec_analysis *ret)
{
	const struct field *f = analysis->fields;
	*ret = (struct spec_analysis){
	    .every_ms = checks_every_ms(analysis),
	    .settle_ms = f[ANALYSIS_SETTLE].number,
	    .period_ms = f[ANALYSIS_PERIOD].number,
	    .no_data = (enum spec_no_data)f[ANALYSIS_NO_DATA].number,
	    .hold_limit_ms = f[ANALYSIS_HOLD_LIMIT].number,
	    .on_hold_limit = (enum spec_reaction)f[ANALYSIS_ON_HOLD_LIMIT].number,
	    .pace = (enum spec_pace)f[ANALYSIS_PACE].number,
	};
	fill_metrics(a, analysis, ret);
}

static void fill_hook(struct arena *a, const struct field *hook, struct plan_hook *ret)
{
	static const enum plan_hook_kind kinds[] = {
	    [HOOK_INVOKE] = PLAN_HOOK_INVOKE, [HOOK_EXEC] = PLAN_HOOK_EXEC, [HOOK_HTTP] = PLAN_HOOK_HTTP};
	if (!hook->items)
		return;
	size_t target = find_target(hook->items);
	require(target < array_len(kinds));
	ret->kind = kinds[target];
	ret->target = arena_strdup(a, hook->items->fields[target].text);
	ret->timeout_ms = hook->items->fields[HOOK_TIMEOUT].number;
}

static void fill_verify(struct arena *a, const struct field *list, struct plan_how *ret)
{
	struct plan_verify *v = arena_array(a, list->n_items, sizeof(*v));
	for (size_t i = 0; i < list->n_items; i++) {
		v[i].url = arena_strdup(a, list->items[i].fields[VERIFY_URL].text);
		v[i].expect_status = (int)list->items[i].fields[VERIFY_EXPECT_STATUS].number;
	}
	ret->verify = v;
	ret->n_verify = list->n_items;
}

void how_fill(struct arena *a, const struct how *how, struct plan_how *ret)
{
	const struct field *f = how->record.fields;
	const struct shape *shape = &how->shape;
	struct spec_step *steps = arena_array(a, shape->n_steps, sizeof(*steps));
	if (shape->n_steps > 0)
		memcpy(steps, shape->steps, shape->n_steps * sizeof(*steps));
	*ret = (struct plan_how){.strategy = arena_strdup(a, shape->strategy)};
	if (f[HOW_HOOKS].items) {
		fill_hook(a, &f[HOW_HOOKS].items->fields[HOOKS_PRE_TRAFFIC], &ret->pre_traffic);
		fill_hook(a, &f[HOW_HOOKS].items->fields[HOOKS_POST_TRAFFIC], &ret->post_traffic);
	}
	fill_verify(a, &f[HOW_VERIFY], ret);
	ret->spec = (struct rollout_spec){
	    .steps = steps,
	    .n_steps = shape->n_steps,
	    .final_bake_ms = shape->final_bake_ms,
	    .final_min_invocations = shape->final_min_invocations,
	    .experiment = shape->experiment,
	    .experiment_ends_home = shape->experiment && shape->ends_home,
	    .on_failure = (enum spec_reaction)f[HOW_ON_FAILURE].number,
	    .start_manual = f[HOW_START].number != 0,
	    .pre_gate = ret->pre_traffic.kind != PLAN_HOOK_NONE,
	    .post_gate = ret->post_traffic.kind != PLAN_HOOK_NONE || ret->n_verify > 0,
	};
	fill_analysis(a, f[HOW_ANALYSIS].items, &ret->spec.analysis);
	fill_probe(a, &f[HOW_ANALYSIS].items->fields[ANALYSIS_PROBE], &ret->spec.probe);
}
