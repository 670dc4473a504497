#include "plan/normalize.h"

#include "base/clock.h"
#include "base/text.h"
#include "core/alias.h"
#include "plan/schema.h"

static void add_key(struct buf *out, const char *key)
{
	char last = out->len > 0 ? out->data[out->len - 1] : '\0';
	if (last != '{' && last != '\0')
		buf_add_text(out, ", ");
	buf_add_char(out, '"');
	buf_add_text(out, key); /* the table's own, an alias or a stage, so there is nothing to escape */
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
	return o->keys[key]->choices[value];
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
	case SPEC_METRIC_COMPARE:
	case SPEC_METRIC_THROTTLES:
	case SPEC_METRIC_DURATION:
	case SPEC_METRIC_API_5XX:
	case SPEC_METRIC_QUERY:
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

/* Only what was given. */
static void add_optional(struct buf *out, const char *key, const char *text)
{
	if (text)
		add_text(out, key, text);
}

static void add_hook(struct buf *out, const char *key, const struct plan_hook *hook)
{
	static const char *const names[] = {
	    [PLAN_HOOK_INVOKE] = "invoke", [PLAN_HOOK_EXEC] = "exec", [PLAN_HOOK_HTTP] = "http"};
	if (hook->kind == PLAN_HOOK_NONE)
		return;
	add_key(out, key);
	buf_add_char(out, '{');
	add_text(out, names[hook->kind], hook->target);
	add_duration(out, "timeout", hook->timeout_ms);
	buf_add_char(out, '}');
}

static void add_hooks(struct buf *out, const struct plan_how *how)
{
	if (how->pre_traffic.kind == PLAN_HOOK_NONE && how->post_traffic.kind == PLAN_HOOK_NONE)
		return;
	add_key(out, "hooks");
	buf_add_char(out, '{');
	add_hook(out, "pre_traffic", &how->pre_traffic);
	add_hook(out, "post_traffic", &how->post_traffic);
	buf_add_char(out, '}');
}

static void add_verify(struct buf *out, const struct plan_how *how)
{
	if (how->n_verify == 0)
		return;
	add_key(out, "verify");
	buf_add_char(out, '[');
	for (size_t i = 0; i < how->n_verify; i++) {
		buf_add_text(out, i > 0 ? ", {" : "{");
		add_text(out, "url", how->verify[i].url);
		add_count(out, "expect_status", (uint64_t)how->verify[i].expect_status);
		buf_add_char(out, '}');
	}
	buf_add_char(out, ']');
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

static void add_how(struct buf *out, const struct plan_how *how, bool display)
{
	add_steps(out, &how->spec);
	if (has_analysis(&how->spec))
		add_analysis(out, &how->spec.analysis);
	add_hooks(out, how);
	add_verify(out, how);
	add_text(out, "on_failure", choice(&schema_how, HOW_ON_FAILURE, how->spec.on_failure));
	add_text(out, "start", choice(&schema_how, HOW_START, how->spec.start_manual));
	if (display)
		add_optional(out, "from_strategy", how->strategy);
}

static void add_code(struct buf *out, const char *key, const struct code_spec *c)
{
	add_key(out, key);
	buf_add_char(out, '{');
	add_optional(out, "zip", c->zip);
	if (c->source == CODE_S3) {
		add_key(out, "s3");
		buf_add_char(out, '{');
		add_text(out, "bucket", c->bucket);
		add_text(out, "key", c->key);
		add_optional(out, "version", c->object_version);
		buf_add_char(out, '}');
	}
	add_optional(out, "image", c->image);
	add_optional(out, "description", c->description);
	buf_add_char(out, '}');
}

static void add_from_alias(struct buf *out, const char *from_alias, int64_t soak_ms)
{
	add_key(out, "version");
	buf_add_char(out, '{');
	add_text(out, "from_alias", from_alias);
	add_duration(out, "soak", soak_ms);
	buf_add_char(out, '}');
}

static void add_version(struct buf *out, const struct plan *p)
{
	switch (p->version_kind) {
	case PLAN_VERSION_NUMBER:
		add_count(out, "version", p->version);
		break;
	case PLAN_VERSION_LATEST:
		add_text(out, "version", "latest");
		break;
	case PLAN_VERSION_PUBLISH:
		add_key(out, "version");
		buf_add_char(out, '{');
		add_code(out, "publish", &p->code);
		buf_add_char(out, '}');
		break;
	case PLAN_VERSION_FROM_ALIAS:
		add_from_alias(out, p->from_alias, p->spec.soak_ms);
		break;
	}
}

static void add_rollout(struct buf *out, const struct plan *p, bool display)
{
	struct plan_how how = {
	    .strategy = p->strategy,
	    .spec = p->spec,
	    .pre_traffic = p->pre_traffic,
	    .post_traffic = p->post_traffic,
	    .verify = p->verify,
	    .n_verify = p->n_verify,
	};
	add_version(out, p);
	add_how(out, &how, display);
	if (p->keep_versions > 0)
		add_count(out, "keep_versions", p->keep_versions);
	add_optional(out, "service", p->owner);
}

static void add_create(struct buf *out, const struct create_spec *c)
{
	if (!c->role)
		return;
	add_key(out, "create");
	buf_add_char(out, '{');
	add_text(out, "role", c->role);
	add_optional(out, "runtime", c->runtime);
	add_optional(out, "handler", c->handler);
	add_text(out, "architecture", c->architecture);
	add_count(out, "memory", c->memory_mb);
	add_duration(out, "timeout", (int64_t)c->timeout_s * MS_PER_SECOND);
	buf_add_char(out, '}');
}

static void add_alias(struct buf *out, const struct service_alias *alias, const struct plan_how *how, bool display)
{
	add_key(out, alias->name);
	buf_add_char(out, '{');
	switch (alias->follow) {
	case FOLLOW_VERSION:
		add_count(out, "version", alias->version);
		break;
	case FOLLOW_NEWEST:
		add_text(out, "version", "latest");
		break;
	case FOLLOW_HEAD:
		add_text(out, "version", "$LATEST");
		break;
	case FOLLOW_ALIAS:
		add_from_alias(out, alias->from_alias, alias->soak_ms);
		break;
	}
	if (alias->follow != FOLLOW_HEAD) {
		add_key(out, "rollout");
		buf_add_char(out, '{');
		add_how(out, how, display);
		buf_add_char(out, '}');
	}
	buf_add_char(out, '}');
}

static void add_routes(struct buf *out, const struct service_api *api)
{
	if (api->n_routes == 0)
		return;
	add_key(out, "routes");
	buf_add_char(out, '[');
	for (size_t i = 0; i < api->n_routes; i++) {
		buf_add_text(out, i > 0 ? ", {" : "{");
		add_text(out, "method", api->routes[i].method);
		add_text(out, "path", api->routes[i].path);
		buf_add_char(out, '}');
	}
	buf_add_char(out, ']');
}

static void add_api(struct buf *out, const struct service_spec *s)
{
	const struct service_api *api = &s->api;
	if (api->type == API_NONE)
		return;
	add_key(out, "api");
	buf_add_char(out, '{');
	add_optional(out, "name", api->name);
	add_optional(out, "id", api->id);
	add_text(out, "type", choice(&schema_api, API_KEY_TYPE, api->type == API_HTTP));
	add_text(out, "stage_variable", api->stage_variable);
	add_routes(out, api);
	add_key(out, "stages");
	buf_add_char(out, '{');
	for (size_t i = 0; i < api->n_stages; i++)
		add_text(out, api->stages[i].name, s->aliases[api->stages[i].alias].name);
	buf_add_char(out, '}');
	if (api->probe_path) {
		add_key(out, "probe");
		buf_add_char(out, '{');
		add_text(out, "path", api->probe_path);
		add_count(out, "expect_status", (uint64_t)api->probe_status);
		buf_add_char(out, '}');
	}
	buf_add_char(out, '}');
}

static void add_service(struct buf *out, const struct plan *p, bool display)
{
	const struct service_spec *s = &p->service;
	if (s->code.source == CODE_LATEST)
		add_text(out, "code", "$LATEST");
	else if (s->code.source != CODE_NONE)
		add_code(out, "code", &s->code);
	add_create(out, &s->create);
	if (s->n_aliases > 0) {
		add_key(out, "aliases");
		buf_add_char(out, '{');
		for (size_t i = 0; i < s->n_aliases; i++)
			add_alias(out, &s->aliases[i], &p->hows[i], display);
		buf_add_char(out, '}');
	}
	add_api(out, s);
	if (s->keep_versions > 0)
		add_count(out, "keep_versions", s->keep_versions);
	add_duration(out, "check_every", s->check_every_ms);
}

void normalize_plan(const struct plan *p, bool display, struct buf *out)
{
	bool is_service = p->kind == PLAN_SERVICE;
	buf_add_char(out, '{');
	add_text(out, "apiVersion", schema_key_api_version.choices[0]);
	add_text(out, "kind", schema_key_kind.choices[is_service ? SCHEMA_KIND_SERVICE : SCHEMA_KIND_ROLLOUT]);
	add_text(out, "name", p->name);
	add_text(out, "function", p->function_arn ? p->function_arn : p->function);
	add_optional(out, "alias", p->alias);
	add_optional(out, "region", p->region);
	add_text(out, "account", p->account);
	if (is_service)
		add_service(out, p, display);
	else
		add_rollout(out, p, display);
	buf_add_char(out, '}');
}
