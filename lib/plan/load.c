/*
 * From bytes to a plan: nodes, then records by the schema's table, then the checks across keys. Only when nothing was
 * wrong is a plan made, in an arena of its own; everything else is freed.
 */
#include <string.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/sha256.h"
#include "base/text.h"
#include "plan/checks.h"
#include "plan/normalize.h"
#include "plan/plan.h"
#include "plan/record.h"
#include "plan/shape.h"
#include "plan/target.h"

/* What was read and found to be in order. */
struct parts {
	struct record plan;
	struct shape shape;
};

/* False when the document is nothing that could be read as a Rollout. */
static bool check_root(const struct node *root, struct diags *diags)
{
	if (node_is_null(root)) {
		diags_add(diags, DIAG_ERROR, AT_VALUE(root),
			  "the file is empty; a plan begins with `apiVersion: rolloutd/v1` and `kind: Rollout`");
		return false;
	}
	if (root->kind != NODE_MAPPING) {
		diags_add(
		    diags, DIAG_ERROR, AT_VALUE(root),
		    "a plan is a mapping that begins with `apiVersion: rolloutd/v1` and `kind: Rollout`, not a %s",
		    root->kind == NODE_SEQUENCE ? "list" : "single value");
		return false;
	}
	const struct node *kind = node_get(root, "kind");
	if (kind && kind->kind == NODE_SCALAR && strcmp(kind->text, "Service") == 0) {
		diags_add(diags, DIAG_ERROR, AT_VALUE(kind),
			  "kind: Service is not supported by this version of rolloutd; use kind: Rollout");
		return false;
	}
	return true;
}

static void fill_target(struct plan *p, const struct record *r)
{
	struct target_function f;
	char why[128];
	require(r->fields); /* a document without errors is a whole record */
	const char *function = r->fields[TOP_FUNCTION].text;
	require(target_parse_function(function, &f, why, sizeof(why)));
	p->name = arena_strdup(p->arena, r->fields[TOP_NAME].text);
	p->function = arena_strdup(p->arena, f.name);
	p->function_arn = f.is_arn ? arena_strdup(p->arena, function) : NULL;
	p->alias = arena_strdup(p->arena, r->fields[TOP_ALIAS].text);
	p->region = f.region_len > 0 ? arena_strndup(p->arena, f.region, f.region_len)
				     : arena_strdup(p->arena, r->fields[TOP_REGION].text);
	p->account = arena_strdup(p->arena, r->fields[TOP_ACCOUNT].text);
	const char *version = r->fields[TOP_VERSION].text;
	p->version_kind = PLAN_VERSION_LATEST;
	if (strcmp(version, "latest") != 0) {
		p->version_kind = PLAN_VERSION_NUMBER;
		require(text_parse_u64(version, UINT64_MAX, &p->version) == 0);
	}
}

static void fill_metrics(struct plan *p, const struct field *metrics)
{
	size_t n = metrics->node ? metrics->n_items : 1;
	struct spec_metric *m = arena_array(p->arena, n, sizeof(*m));
	p->spec.analysis.metrics = m;
	p->spec.analysis.n_metrics = n;
	if (!metrics->node) {
		const struct schema_key *k = &schema_errors.keys[ERRORS_MIN_INVOCATIONS];
		m->kind = SPEC_METRIC_ERRORS;
		m->max_rate_ppm = SCHEMA_DEFAULT_MAX_RATE_PPM;
		require(text_parse_u64(k->fallback, (uint64_t)k->max, &m->min_invocations) == 0);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		const struct record *r = &metrics->items[i];
		if (record_has(r, METRIC_ALARM)) {
			m[i].kind = SPEC_METRIC_ALARM;
			m[i].alarm = arena_strdup(p->arena, r->fields[METRIC_ALARM].text);
			continue;
		}
		const struct field *errors = r->fields[METRIC_ERRORS].items->fields;
		m[i].kind = SPEC_METRIC_ERRORS;
		m[i].max_rate_ppm = (uint32_t)errors[ERRORS_MAX_RATE].number;
		m[i].min_invocations = (uint64_t)errors[ERRORS_MIN_INVOCATIONS].number;
	}
}

static void fill_spec(struct plan *p, const struct parts *parts)
{
	const struct field *top = parts->plan.fields;
	const struct shape *shape = &parts->shape;
	const struct record *analysis = top[TOP_ANALYSIS].items;
	const struct field *f = analysis->fields;
	struct spec_step *steps = arena_array(p->arena, shape->n_steps, sizeof(*steps));
	if (shape->n_steps > 0)
		memcpy(steps, shape->steps, shape->n_steps * sizeof(*steps));
	p->strategy = arena_strdup(p->arena, shape->strategy);
	p->spec = (struct rollout_spec){
	    .steps = steps,
	    .n_steps = shape->n_steps,
	    .final_bake_ms = shape->final_bake_ms,
	    .final_min_invocations = shape->final_min_invocations,
	    .on_failure = (enum spec_reaction)top[TOP_ON_FAILURE].number,
	    .start_manual = top[TOP_START].number != 0,
	    .analysis =
		{
		    .every_ms = checks_every_ms(analysis),
		    .settle_ms = f[ANALYSIS_SETTLE].number,
		    .period_ms = f[ANALYSIS_PERIOD].number,
		    .no_data = (enum spec_no_data)f[ANALYSIS_NO_DATA].number,
		    .hold_limit_ms = f[ANALYSIS_HOLD_LIMIT].number,
		    .on_hold_limit = (enum spec_reaction)f[ANALYSIS_ON_HOLD_LIMIT].number,
		    .pace = (enum spec_pace)f[ANALYSIS_PACE].number,
		},
	};
	fill_metrics(p, &f[ANALYSIS_METRICS]);
}

/* The normalised text, and the hash of its part that means something. */
static void fill_text(struct plan *p)
{
	cleanup(buf_deinit) struct buf b = BUF_INIT(LIMIT_PLAN_BYTES);
	normalize_plan(p, false, &b);
	sha256_hex(buf_text(&b), b.len, p->hash);
	if (p->strategy) {
		buf_reset(&b);
		normalize_plan(p, true, &b);
	}
	/* Names, alarms and steps are all capped, so it cannot grow beyond what can be read back. */
	require(buf_ok(&b));
	p->normalized = arena_strndup(p->arena, buf_text(&b), b.len);
}

static struct plan *make_plan(const struct parts *parts)
{
	struct arena *a = arena_new();
	struct plan *p = arena_alloc(a, sizeof(*p));
	p->arena = a;
	fill_target(p, &parts->plan);
	fill_spec(p, parts);
	fill_text(p);
	return p;
}

struct plan *plan_load(const char *bytes, size_t len, struct diags *diags)
{
	cleanup(arena_free_p) struct arena *scratch = arena_new();
	size_t errors_before = diags->errors;
	struct parts parts = {0};
	const struct node *root = node_parse(scratch, bytes, len, LIMIT_PLAN_BYTES, diags);
	if (root && check_root(root, diags)) {
		record_read(scratch, &schema_plan, root, diags, &parts.plan);
		shape_read(scratch, &parts.plan, diags, &parts.shape);
		checks_target(&parts.plan, diags);
		checks_analysis(&parts.plan, &parts.shape, diags);
	}
	diags_sort(diags);
	if (!root || diags->errors > errors_before)
		return NULL;
	return make_plan(&parts);
}

void plan_free(struct plan *p)
{
	if (p)
		arena_free(p->arena);
}
