#include "plan/normalize.h"

#include "base/clock.h"
#include "base/number.h"
#include "base/text.h"
#include "core/alias.h"
#include "plan/rate.h"
#include "plan/schema.h"

#define US_PER_MS 1000

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

static void add_experiment(struct buf *out, const struct rollout_spec *spec)
{
	char weight[16];
	text_format_bp(spec->steps[0].weight_bp, weight);
	add_key(out, "experiment");
	buf_add_char(out, '{');
	add_text(out, "weight", weight);
	add_duration(out, "for", spec->steps[0].bake_ms);
	add_text(out, "then", choice(&schema_experiment, EXPERIMENT_THEN, !spec->experiment_ends_home));
	buf_add_char(out, '}');
	if (!spec->experiment_ends_home)
		add_duration(out, "final_bake", spec->final_bake_ms);
}

static void add_rate(struct buf *out, const char *key, uint32_t ppm)
{
	char rate[16];
	text_format_ppm(ppm, rate);
	add_text(out, key, rate);
}

static void add_permille(struct buf *out, const char *key, uint32_t permille)
{
	char text[32];
	number_format_permille(permille, text);
	add_key(out, key);
	buf_add_text(out, text);
}

static void add_number(struct buf *out, const char *key, bool has, double v)
{
	char text[32];
	if (!has)
		return;
	number_format(v, text);
	add_key(out, key);
	buf_add_text(out, text);
}

/* Errors of both kinds. `probes` is there where it may be. */
static void add_errors(struct buf *out, const struct spec_metric *m, bool probed)
{
	if (m->kind == SPEC_METRIC_COMPARE) {
		add_text(out, "compare", choice(&schema_errors, ERRORS_COMPARE, 0));
		add_rate(out, "false_alarm", m->false_alarm_ppm);
		add_permille(out, "min_effect", m->min_effect_permille);
	} else {
		add_rate(out, "max_rate", m->max_rate_ppm);
	}
	add_count(out, "min_invocations", m->min_invocations);
	if (probed)
		add_text(out, "probes", choice(&schema_errors, ERRORS_PROBES, !m->count_probes));
}

static void add_duration_metric(struct buf *out, const struct spec_metric *m)
{
	add_text(out, "stat", m->stat);
	if (m->max_us > 0)
		add_duration(out, "max", m->max_us / US_PER_MS);
	if (m->max_ratio_permille > 0)
		add_permille(out, "max_ratio", m->max_ratio_permille);
	add_duration(out, "warm_up", m->warm_up_ms);
	add_count(out, "min_invocations", m->min_invocations);
}

static void add_api_5xx(struct buf *out, const struct spec_metric *m)
{
	add_text(out, "api", m->api);
	add_text(out, "stage", m->stage);
	add_text(out, "type", choice(&schema_api_5xx, API_5XX_TYPE, m->http_api));
	add_rate(out, "max_rate", m->max_rate_ppm);
	add_count(out, "min_invocations", m->min_invocations);
}

static void add_query(struct buf *out, const struct spec_metric *m)
{
	add_key(out, "metric_data_queries");
	buf_add_text(out, m->queries);
	add_number(out, "max", m->has_max, m->max);
	add_number(out, "min", m->has_min, m->min);
}

static const char *metric_name(const struct spec_metric *m)
{
	switch (m->kind) {
	case SPEC_METRIC_ERRORS:
	case SPEC_METRIC_COMPARE:
		return schema_metric.keys[METRIC_ERRORS]->name;
	case SPEC_METRIC_THROTTLES:
		return schema_metric.keys[METRIC_THROTTLES]->name;
	case SPEC_METRIC_DURATION:
		return schema_metric.keys[METRIC_DURATION]->name;
	case SPEC_METRIC_API_5XX:
		return schema_metric.keys[METRIC_API_5XX]->name;
	case SPEC_METRIC_ALARM:
		break;
	case SPEC_METRIC_QUERY:
		return schema_metric.keys[METRIC_QUERY]->name;
	}
	return schema_metric.keys[METRIC_ALARM]->name;
}

static void add_metric_body(struct buf *out, const struct spec_metric *m, bool probed)
{
	switch (m->kind) {
	case SPEC_METRIC_ERRORS:
	case SPEC_METRIC_COMPARE:
		add_errors(out, m, probed);
		break;
	case SPEC_METRIC_THROTTLES:
		add_rate(out, "max_rate", m->max_rate_ppm);
		add_count(out, "min_invocations", m->min_invocations);
		break;
	case SPEC_METRIC_DURATION:
		add_duration_metric(out, m);
		break;
	case SPEC_METRIC_API_5XX:
		add_api_5xx(out, m);
		break;
	case SPEC_METRIC_ALARM:
		add_text(out, "name", m->alarm);
		break;
	case SPEC_METRIC_QUERY:
		add_query(out, m);
		break;
	}
}

/*
 * `failure_limit` and `dry_run` only where they say something, and an alarm as a mapping only then: plans were stored
 * before there were such keys, and the same plan keeps its hash.
 */
static void add_metric(struct buf *out, const struct spec_metric *m, bool probed)
{
	buf_add_char(out, '{');
	if (m->kind == SPEC_METRIC_ALARM && !m->dry_run) {
		add_text(out, metric_name(m), m->alarm);
		buf_add_char(out, '}');
		return;
	}
	add_key(out, metric_name(m));
	buf_add_char(out, '{');
	add_metric_body(out, m, probed);
	if (m->failure_limit > 1)
		add_count(out, "failure_limit", m->failure_limit);
	if (m->dry_run) {
		add_key(out, "dry_run");
		buf_add_text(out, "true");
	}
	buf_add_text(out, "}}");
}

static void add_probe(struct buf *out, const struct spec_probe *probe)
{
	char rate[32];
	if (!probe->payload)
		return;
	rate_format(probe->every_ms, rate);
	add_key(out, "probe");
	buf_add_char(out, '{');
	add_text(out, "invoke", probe->payload);
	add_text(out, "rate", rate);
	buf_add_char(out, '}');
}

static void add_analysis(struct buf *out, const struct rollout_spec *spec)
{
	const struct spec_analysis *a = &spec->analysis;
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
	add_probe(out, &spec->probe);
	add_key(out, "metrics");
	buf_add_char(out, '[');
	for (size_t i = 0; i < a->n_metrics; i++) {
		if (i > 0)
			buf_add_text(out, ", ");
		add_metric(out, &a->metrics[i], spec->probe.payload != NULL);
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
		if (spec->analysis.metrics[i].kind != SPEC_METRIC_ALARM)
			return false;
	return true;
}

static void add_how(struct buf *out, const struct plan_how *how, bool display)
{
	if (how->spec.experiment)
		add_experiment(out, &how->spec);
	else
		add_steps(out, &how->spec);
	if (has_analysis(&how->spec))
		add_analysis(out, &how->spec);
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
