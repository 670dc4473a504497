/* The state of the world as JSON; never a secret. */
#include "sim/admin.h"

#include <math.h>

#include "base/text.h"

json_t *admin_clock_json(const struct world *w)
{
	char utc[32];
	text_format_utc(w->now_ms, utc);
	return json_pack("{s:s, s:I, s:s}", "clock", w->virtual_clock ? "virtual" : "real", "time_ms",
			 (json_int_t)w->now_ms, "time", utc);
}

json_t *admin_metrics_json(const struct world *w)
{
	const struct metrics_settings *s = &w->metrics.settings;
	return json_pack("{s:I, s:I, s:I, s:{s:f, s:I}, s:s, s:I, s:I}", "period_ms", (json_int_t)s->period_ms,
			 "delay_ms", (json_int_t)s->delay_ms, "jitter_ms", (json_int_t)s->jitter_ms, "late", "share",
			 s->late_share, "by_ms", (json_int_t)s->late_by_ms, "executed_version",
			 s->executed_version_always ? "always" : "weighted", "page_datapoints",
			 (json_int_t)s->page_datapoints, "series", (json_int_t)w->metrics.series.len);
}

json_t *admin_gauges_json(const struct world *w)
{
	json_t *out = json_array();
	for (size_t i = 0; i < w->gauges.len; i++) {
		const struct gauge *g = &w->gauges.items[i];
		json_t *dimensions = json_object();
		for (size_t k = 0; k < g->n_dimensions; k++)
			json_object_set_new(dimensions, g->dimensions[k].name, json_string(g->dimensions[k].value));
		json_array_append_new(out, json_pack("{s:s, s:s, s:o, s:o}", "namespace", g->namespace, "metric",
						     g->name, "dimensions", dimensions, "value",
						     isnan(g->value) ? json_null() : json_real(g->value)));
	}
	return out;
}

json_t *admin_limits_json(const struct world *w)
{
	json_t *out = json_object();
	for (size_t i = RATE_NONE + 1; i < RATE_N; i++)
		json_object_set_new(out, rates_name((enum rate_group)i), json_real(w->rates.per_second[i]));
	return out;
}

json_t *admin_traffic_json(const struct world *w)
{
	json_t *out = json_array();
	for (size_t i = 0; i < w->n_traffic; i++) {
		const struct traffic *t = &w->traffic[i];
		json_array_append_new(out, json_pack("{s:s, s:s, s:f, s:s, s:I}", "function", t->function, "alias",
						     t->alias, "rps", t->rps, "arrival", t->even ? "even" : "poisson",
						     "users", (json_int_t)t->users));
	}
	return out;
}

json_t *admin_alarms_json(const struct world *w)
{
	json_t *out = json_array();
	for (size_t i = 0; i < w->alarms.by_name.len; i++) {
		const struct alarm *a = w->alarms.by_name.entries[i].value;
		json_array_append_new(out, json_pack("{s:s, s:s, s:s, s:b, s:b, s:I}", "name", a->name, "state",
						     alarm_value_name(a->state), "reason", a->reason, "composite",
						     a->composite, "judged", a->judged, "updated_ms",
						     (json_int_t)a->updated_ms));
	}
	return out;
}

static json_t *version_json(const struct version *v)
{
	static const char *const states[] = {
	    [STATE_PENDING] = "Pending", [STATE_ACTIVE] = "Active", [STATE_FAILED] = "Failed"};
	static const char *const updates[] = {[UPDATE_NONE] = NULL,
					      [UPDATE_IN_PROGRESS] = "InProgress",
					      [UPDATE_SUCCESSFUL] = "Successful",
					      [UPDATE_FAILED] = "Failed"};
	const struct behaviour *b = &v->behaviour;
	json_t *out = json_pack("{s:s, s:s, s:s, s:f, s:f, s:I, s:I, s:{s:f, s:f}, s:I, s:I, s:s}", "description",
				v->description, "code_sha256", v->code_sha256, "revision", v->revision, "error_rate",
				b->error_rate, "throttle_rate", b->throttle_rate, "errors_after_requests",
				(json_int_t)b->errors_after_requests, "errors_after_ms", (json_int_t)b->errors_after_ms,
				"latency", "median_ms", b->latency_median_ms, "p99_ms", b->latency_p99_ms, "init_ms",
				(json_int_t)b->init_ms, "init_requests", (json_int_t)b->init_requests, "body", b->body);
	bool failed = v->state == STATE_FAILED || v->update == UPDATE_FAILED;
	json_t *more = json_pack("{s:s, s:s?, s:s?, s:s?}", "state", states[v->state], "update", updates[v->update],
				 "reason", failed ? v->reason : NULL, "image", v->image);
	json_object_update(out, more);
	json_decref(more);
	return out;
}

static json_t *alias_json(const struct alias *a)
{
	char version[24], extra[24];
	version_format(a->now.version, version);
	version_format(a->now.extra_version, extra);
	json_t *weights = json_object();
	if (a->now.extra_version)
		json_object_set_new(weights, extra, json_real(a->now.extra_weight));
	return json_pack("{s:s, s:o, s:s, s:s}", "version", version, "weights", weights, "description",
			 a->now.description, "revision", a->now.revision);
}

static json_t *provisioned_json(const struct provisioned *p)
{
	const char *status = p->in_progress ? "IN_PROGRESS" : p->reason ? "FAILED" : "READY";
	return json_pack("{s:s, s:I, s:I, s:b, s:s?}", "status", status, "requested", (json_int_t)p->requested,
			 "available", (json_int_t)p->available, "moving", p->moving, "reason",
			 p->in_progress ? NULL : p->reason);
}

/* Statements as they are kept; the function's own under "". */
static json_t *policies_json(const struct function *f)
{
	json_t *out = json_object();
	for (size_t i = 0; i < f->policies.len; i++) {
		const struct policy *p = f->policies.entries[i].value;
		json_object_set_new(out, f->policies.entries[i].key,
				    json_pack("{s:s, s:O}", "revision", p->revision, "statements", p->statements));
	}
	return out;
}

json_t *admin_function_json(struct world *w, struct function *f)
{
	model_settle(w, f);
	json_t *versions = json_object(), *aliases = json_object(), *provisioned = json_object();
	json_object_set_new(versions, "$LATEST", version_json(&f->latest));
	for (size_t i = 0; i < f->n_versions; i++) {
		char number[24];
		version_format(f->versions[i]->number, number);
		json_object_set_new(versions, number, version_json(f->versions[i]));
	}
	for (size_t i = 0; i < f->aliases.len; i++)
		json_object_set_new(aliases, f->aliases.entries[i].key, alias_json(f->aliases.entries[i].value));
	for (size_t i = 0; i < f->provisioned.len; i++)
		json_object_set_new(provisioned, f->provisioned.entries[i].key,
				    provisioned_json(f->provisioned.entries[i].value));
	return json_pack("{s:o, s:o, s:o, s:o}", "versions", versions, "aliases", aliases, "policies", policies_json(f),
			 "provisioned", provisioned);
}

static json_t *names_json(const struct table *t)
{
	json_t *out = json_array();
	for (size_t i = 0; i < t->len; i++)
		if (t->entries[i].value)
			json_array_append_new(out, json_string(t->entries[i].key));
	return out;
}

json_t *admin_state_json(struct world *w)
{
	json_t *functions = json_object(), *keys = json_array();
	for (size_t i = 0; i < w->functions.len; i++)
		json_object_set_new(functions, w->functions.entries[i].key,
				    admin_function_json(w, w->functions.entries[i].value));
	for (size_t i = 0; i < w->n_keys; i++)
		json_array_append_new(keys,
				      json_pack("{s:s, s:b}", "id", w->keys[i].id, "expired", w->keys[i].expired));
	return json_pack("{s:o, s:I, s:b, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I}",
			 "clock", admin_clock_json(w), "seed", (json_int_t)w->seed, "invoke_delay", w->invoke_delay,
			 "update_ms", (json_int_t)w->update_ms, "provision_ms", (json_int_t)w->provision_ms, "s3",
			 names_json(&w->objects), "images", names_json(&w->images), "keys", keys, "functions",
			 functions, "apis", gateway_state_json(w), "traffic", admin_traffic_json(w), "metrics",
			 admin_metrics_json(w), "gauges", admin_gauges_json(w), "limits", admin_limits_json(w),
			 "faults", faults_json(&w->faults), "alarms", admin_alarms_json(w), "late_requests",
			 (json_int_t)w->n_late);
}
