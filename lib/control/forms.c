#include "control/forms.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"

/* Every value below is built from text that is valid by then, so a refusal means that memory ran out. */
static void set(json_t *object, const char *key, json_t *value)
{
	int rc = json_object_set_new(object, key, value);

	require(rc == 0);
}

static void append(json_t *array, json_t *value)
{
	int rc = json_array_append_new(array, value);

	require(rc == 0);
}

static json_t *new_object(void)
{
	json_t *o = json_object();

	require(o);
	return o;
}

static json_t *new_array(void)
{
	json_t *a = json_array();

	require(a);
	return a;
}

/* Text as it is; what is not UTF-8 (an answer of AWS may hold anything) is made printable first. NULL counts as "". */
static json_t *make_text(const char *s)
{
	if (!s)
		s = "";
	json_t *j = json_string(s);
	if (j)
		return j;
	size_t size = strlen(s) + 1;
	cleanup(mem_free_p) char *copy = mem_alloc(size);
	text_copy_printable(copy, size, s);
	return json_string(copy);
}

/* 0 stands for "not yet" in all records of times. */
static json_t *make_time(int64_t unix_ms)
{
	char text[32];

	if (unix_ms == 0)
		return json_null();
	text_format_utc(unix_ms, text);
	return json_string(text);
}

/* `units` parts, of which 100 % has `whole`: an integer where it is one, so that 10 % reads 10 and not 10.0. */
static json_t *make_percent(uint64_t units, uint64_t whole)
{
	uint64_t per_percent = whole / 100;

	if (units % per_percent == 0)
		return json_integer((json_int_t)(units / per_percent));
	return json_real((double)units / (double)per_percent);
}

static void set_weight(json_t *o, const char *key, const char *key_bp, uint32_t bp)
{
	set(o, key, make_percent(bp, WEIGHT_BP_MAX));
	set(o, key_bp, json_integer(bp));
}

/* Versions are text, as in AWS; `known` false: not found out yet. */
static json_t *make_version(uint64_t version, bool known)
{
	char text[24];

	if (!known)
		return json_null();
	version_format(version, text);
	return json_string(text);
}

static const char *no_data_name(enum spec_no_data n)
{
	switch (n) {
	case SPEC_NO_DATA_HOLD:
		return "hold";
	case SPEC_NO_DATA_PASS:
		return "pass";
	case SPEC_NO_DATA_ROLLBACK:
		return "rollback";
	}
	return "hold";
}

static const char *reaction_name(enum spec_reaction r)
{
	return r == SPEC_PAUSE ? "pause" : "rollback";
}

static const char *alarm_state_name(enum alarm_state s)
{
	switch (s) {
	case ALARM_UNKNOWN:
		return "unknown";
	case ALARM_OK:
		return "ok";
	case ALARM_INSUFFICIENT:
		return "insufficient-data";
	case ALARM_ALARM:
		return "alarm";
	case ALARM_MISSING:
		return "missing";
	}
	return "unknown";
}

/* What one step takes when it passes: the step as a plan of its own, but for the clock's pace, where only the last one
 * waits for evidence. The steps and the final bake add up to spec_expected_ms. */
static int64_t step_expected_ms(const struct rollout_spec *spec, size_t i)
{
	struct rollout_spec alone = *spec;

	if (spec->analysis.pace == SPEC_PACE_CLOCK && i + 1 < spec->n_steps)
		return spec->steps[i].bake_ms;
	alone.steps = &spec->steps[i];
	alone.n_steps = 1;
	alone.final_bake_ms = 0;
	return spec_expected_ms(&alone);
}

static int64_t final_expected_ms(const struct rollout_spec *spec)
{
	struct rollout_spec alone = *spec;

	alone.n_steps = 0;
	return spec_expected_ms(&alone);
}

static json_t *make_steps(const struct rollout_spec *spec)
{
	json_t *steps = new_array();

	for (size_t i = 0; i < spec->n_steps; i++) {
		const struct spec_step *s = &spec->steps[i];
		json_t *o = new_object();

		set_weight(o, "weight", "weight_bp", s->weight_bp);
		set(o, "bake_ms", json_integer(s->bake_ms));
		set(o, "expected_ms", json_integer(step_expected_ms(spec, i)));
		set(o, "min_invocations", json_integer((json_int_t)s->min_invocations));
		set(o, "approve", json_boolean(s->approve));
		append(steps, o);
	}
	return steps;
}

static const char *metric_kind_name(enum spec_metric_kind kind)
{
	switch (kind) {
	case SPEC_METRIC_ERRORS:
		return "errors";
	case SPEC_METRIC_COMPARE:
		return "compare";
	case SPEC_METRIC_THROTTLES:
		return "throttles";
	case SPEC_METRIC_DURATION:
		return "duration";
	case SPEC_METRIC_API_5XX:
		return "api_5xx";
	case SPEC_METRIC_ALARM:
		return "alarm";
	case SPEC_METRIC_QUERY:
		return "query";
	}
	return "errors";
}

static void set_rate(json_t *o, const char *key, const char *key_ppm, uint32_t ppm)
{
	set(o, key, make_percent(ppm, 1000000));
	set(o, key_ppm, json_integer(ppm));
}

/* A ratio, as it was written. */
static json_t *make_ratio(uint32_t permille)
{
	if (permille % 1000 == 0)
		return json_integer(permille / 1000);
	return json_real(permille / 1000.0);
}

static void set_duration(json_t *o, const struct spec_metric *m)
{
	set(o, "stat", make_text(m->stat));
	if (m->max_us > 0)
		set(o, "max_ms", json_integer(m->max_us / 1000));
	if (m->max_ratio_permille > 0)
		set(o, "max_ratio", make_ratio(m->max_ratio_permille));
	set(o, "warm_up_ms", json_integer(m->warm_up_ms));
}

static void set_query(json_t *o, const struct spec_metric *m)
{
	json_t *queries = json_loads(m->queries, 0, NULL);

	require(queries); /* the plan's loader has written it */
	set(o, "metric_data_queries", queries);
	set(o, "returns", make_text(m->returns));
	if (m->has_max)
		set(o, "max", json_real(m->max));
	if (m->has_min)
		set(o, "min", json_real(m->min));
}

/* What only this kind has. */
static void set_metric(json_t *o, const struct spec_metric *m, bool probed)
{
	switch (m->kind) {
	case SPEC_METRIC_COMPARE:
		set(o, "compare", json_string("stable"));
		set_rate(o, "false_alarm", "false_alarm_ppm", m->false_alarm_ppm);
		set(o, "min_effect", make_ratio(m->min_effect_permille));
		break;
	case SPEC_METRIC_ERRORS:
	case SPEC_METRIC_THROTTLES:
		set_rate(o, "max_rate", "max_rate_ppm", m->max_rate_ppm);
		break;
	case SPEC_METRIC_DURATION:
		set_duration(o, m);
		break;
	case SPEC_METRIC_API_5XX:
		set(o, "api", make_text(m->api));
		set(o, "stage", make_text(m->stage));
		set(o, "type", json_string(m->http_api ? "http" : "rest"));
		set_rate(o, "max_rate", "max_rate_ppm", m->max_rate_ppm);
		break;
	case SPEC_METRIC_ALARM:
		set(o, "alarm", make_text(m->alarm));
		break;
	case SPEC_METRIC_QUERY:
		set_query(o, m);
		break;
	}
	if (probed && (m->kind == SPEC_METRIC_ERRORS || m->kind == SPEC_METRIC_COMPARE))
		set(o, "probes", json_string(m->count_probes ? "count" : "ignore"));
}

static json_t *make_metric(const struct spec_metric *m, bool probed)
{
	json_t *o = new_object();

	set(o, "kind", json_string(metric_kind_name(m->kind)));
	set_metric(o, m, probed);
	if (m->min_invocations > 0)
		set(o, "min_invocations", json_integer((json_int_t)m->min_invocations));
	if (m->failure_limit > 0)
		set(o, "failure_limit", json_integer(m->failure_limit));
	set(o, "dry_run", json_boolean(m->dry_run));
	return o;
}

static json_t *make_probe(const struct spec_probe *p)
{
	json_t *o;

	if (!p->payload)
		return json_null();
	o = new_object();
	set(o, "invoke", make_text(p->payload));
	set(o, "every_ms", json_integer(p->every_ms));
	return o;
}

static json_t *make_analysis(const struct rollout_spec *spec)
{
	const struct spec_analysis *a = &spec->analysis;
	json_t *o = new_object();
	json_t *metrics = new_array();

	for (size_t i = 0; i < a->n_metrics; i++)
		append(metrics, make_metric(&a->metrics[i], spec->probe.payload != NULL));
	set(o, "every_ms", json_integer(a->every_ms));
	set(o, "settle_ms", json_integer(a->settle_ms));
	set(o, "period_ms", json_integer(a->period_ms));
	set(o, "pace", json_string(a->pace == SPEC_PACE_CLOCK ? "clock" : "evidence"));
	set(o, "no_data", json_string(no_data_name(a->no_data)));
	set(o, "hold_limit_ms", json_integer(a->hold_limit_ms));
	set(o, "on_hold_limit", json_string(reaction_name(a->on_hold_limit)));
	set(o, "probe", make_probe(&spec->probe));
	set(o, "metrics", metrics);
	return o;
}

json_t *form_spec(const struct rollout_spec *spec)
{
	json_t *o = new_object();

	set(o, "steps", make_steps(spec));
	set(o, "experiment", json_string(!spec->experiment ? "no" : spec->experiment_ends_home ? "back" : "on"));
	set(o, "final_bake_ms", json_integer(spec->final_bake_ms));
	set(o, "final_expected_ms", json_integer(final_expected_ms(spec)));
	set(o, "final_min_invocations", json_integer((json_int_t)spec->final_min_invocations));
	set(o, "bake_ms", json_integer(spec_bake_ms(spec)));
	set(o, "expected_ms", json_integer(spec_expected_ms(spec)));
	set(o, "analysis", make_analysis(spec));
	set(o, "on_failure", json_string(reaction_name(spec->on_failure)));
	set(o, "start", json_string(spec->start_manual ? "manual" : "auto"));
	return o;
}

static json_t *make_counts(const struct counts *c)
{
	json_t *o = new_object();

	set(o, "invocations", json_integer((json_int_t)c->invocations));
	set(o, "errors", json_integer((json_int_t)c->errors));
	set(o, "seen", json_boolean(c->seen));
	return o;
}

/* The verdict that the state machine acted on, with the counts as they are known now. Before the first one was taken,
 * the view's own says why there is none. */
static json_t *make_verdict(const struct view_rollout *v)
{
	const struct rollout *r = v->state;
	const struct verdict_result *now = &v->verdict;
	bool taken = r->why[0] != '\0';
	json_t *o = new_object();

	set(o, "verdict", json_string(verdict_name(taken ? r->verdict : now->verdict)));
	set(o, "gap", json_string(verdict_gap_name(taken ? r->gap : now->gap)));
	set(o, "why", make_text(taken ? r->why : now->why));
	set(o, "canary", make_counts(&now->canary_all));
	set(o, "canary_step", make_counts(&now->canary_step));
	set(o, "stable", make_counts(&now->stable_all));
	return o;
}

static json_t *make_probes(const struct view_rollout *v)
{
	json_t *o;

	if (!v->spec->probe.payload)
		return json_null();
	o = new_object();
	set(o, "canary", make_counts(&v->verdict.probe_canary));
	set(o, "stable", make_counts(&v->verdict.probe_stable));
	set(o, "skipped", json_integer((json_int_t)v->state->probes_skipped));
	return o;
}

/* In percent, rounded to the side on which it still holds. */
static json_t *make_bound(double share, bool up)
{
	return json_real((up ? ceil(share * 1e6) : floor(share * 1e6)) / 1e4);
}

static json_t *make_experiment(const struct view_rollout *v)
{
	const struct experiment_result *x = &v->experiment;
	bool known = x->finding != EXPERIMENT_NOTHING;
	json_t *o;

	if (!v->spec->experiment)
		return json_null();
	o = new_object();
	set(o, "then", json_string(v->spec->experiment_ends_home ? "back" : "on"));
	set(o, "concluded", json_boolean(v->state->concluded));
	set(o, "finding", json_string(experiment_finding_name(x->finding)));
	set(o, "text", make_text(x->text));
	set(o, "canary", make_counts(&x->canary));
	set(o, "stable", make_counts(&x->stable));
	set(o, "counted_from_at", make_time(x->from_unix_ms));
	set(o, "counted_until_at", make_time(x->until_unix_ms));
	set(o, "difference_low", known ? make_bound(x->difference.low, false) : json_null());
	set(o, "difference_high", known ? make_bound(x->difference.high, true) : json_null());
	return o;
}

static json_t *make_pauses(uint32_t pause)
{
	static const uint32_t bits[] = {PAUSE_OPERATOR, PAUSE_APPROVAL, PAUSE_HOLD_LIMIT, PAUSE_FAILURE};
	json_t *a = new_array();

	for (size_t i = 0; i < array_len(bits); i++) {
		char name[48];

		if (!(pause & bits[i]))
			continue;
		rollout_pause_format(bits[i], name);
		append(a, json_string(name));
	}
	return a;
}

static void set_identity(json_t *o, const struct view_rollout *v)
{
	set(o, "name", make_text(v->name));
	set(o, "attempt", json_integer((json_int_t)v->attempt));
	set(o, "function", make_text(v->function));
	set(o, "alias", make_text(v->alias));
	set(o, "account", make_text(v->account));
	set(o, "region", make_text(v->region));
	set(o, "source", make_text(v->source));
	set(o, "plan_hash", make_text(v->plan_hash));
}

static void set_state(json_t *o, const struct rollout *r)
{
	set(o, "phase", json_string(rollout_phase_name(r->phase)));
	set(o, "live", json_boolean(!rollout_ended(r)));
	set(o, "superseded", json_boolean(r->superseded));
	set(o, "despite_alarms", json_boolean(r->despite_alarms));
	set(o, "reason", make_text(r->reason));
	set(o, "trouble", make_text(r->trouble));
	set(o, "pause", make_pauses(r->pause));
	set(o, "stable_version", make_version(r->stable, r->prepared));
	set(o, "canary_version", make_version(r->canary, r->prepared));
}

static void set_progress(json_t *o, const struct view_rollout *v)
{
	const struct rollout *r = v->state;
	size_t step = r->step < v->spec->n_steps ? r->step : v->spec->n_steps;

	set_weight(o, "weight", "weight_bp", rollout_weight_bp(r));
	set(o, "step_index", json_integer((json_int_t)step));
	set(o, "step_count", json_integer((json_int_t)v->spec->n_steps));
	set(o, "baked_ms", json_integer(rollout_baked_ms(r, v->now.boot_ms)));
	set(o, "bake_ms", json_integer(rollout_bake_ms(v->spec, r)));
	set(o, "expected_ms", json_integer(spec_expected_ms(v->spec)));
	set(o, "next_step_at", make_time(rollout_next_step_unix_ms(v->spec, r, v->now)));
}

static void set_times(json_t *o, const struct view_rollout *v)
{
	const struct rollout *r = v->state;

	set(o, "now", make_time(v->now.unix_ms));
	set(o, "created_at", make_time(r->created_unix_ms));
	set(o, "first_traffic_at", make_time(r->first_traffic_unix_ms));
	set(o, "weight_since_at", make_time(r->step_from_unix_ms));
	set(o, "promoted_at", make_time(r->promoted_unix_ms));
	set(o, "ended_at", make_time(r->ended_unix_ms));
}

static json_t *make_alarms(const struct view_rollout *v)
{
	const struct spec_analysis *a = &v->spec->analysis;
	json_t *alarms = new_array();

	for (size_t i = 0; i < a->n_metrics && i < LIMIT_METRICS; i++) {
		if (a->metrics[i].kind != SPEC_METRIC_ALARM)
			continue;
		json_t *o = new_object();
		set(o, "alarm", make_text(a->metrics[i].alarm));
		set(o, "state", json_string(alarm_state_name(v->state->alarms[i])));
		append(alarms, o);
	}
	return alarms;
}

static void set_details(json_t *o, const struct view_rollout *v)
{
	const struct rollout *r = v->state;
	char holds[128];

	alias_target_format(&r->live, holds, sizeof(holds));
	set(o, "plan", form_spec(v->spec));
	set(o, "alias_holds", r->revision[0] ? json_string(holds) : json_null());
	set(o, "alias_revision", r->revision[0] ? make_text(r->revision) : json_null());
	set(o, "alarms", make_alarms(v));
	set(o, "metrics_read_through_at", make_time(r->read_through_unix_ms));
	set(o, "next_poll_at", make_time(r->next_poll_unix_ms));
	set(o, "failed_tries", json_integer(r->attempts));
	set(o, "stale_answers", json_integer((json_int_t)r->stale));
}

/* A record that cannot be read is an operator's matter, so it is shown as a blocked rollout. */
static json_t *make_unreadable(const struct view_rollout *v)
{
	json_t *o = new_object();

	set(o, "name", make_text(v->name));
	set(o, "phase", json_string(rollout_phase_name(PHASE_BLOCKED)));
	set(o, "reason", make_text(v->unreadable));
	set(o, "unreadable", json_true());
	return o;
}

json_t *form_rollout(const struct view_rollout *v, bool details)
{
	if (v->unreadable)
		return make_unreadable(v);

	json_t *o = new_object();
	set_identity(o, v);
	set_state(o, v->state);
	set_progress(o, v);
	set_times(o, v);
	set(o, "verdict", make_verdict(v));
	set(o, "probes", make_probes(v));
	set(o, "experiment", make_experiment(v));
	if (details)
		set_details(o, v);
	return o;
}

/* --- services --- */

static json_t *make_service_aliases(const struct view_service *v)
{
	json_t *aliases = new_array();

	for (size_t i = 0; i < v->n_aliases; i++) {
		const struct view_service_alias *a = &v->aliases[i];
		json_t *o = new_object();

		set(o, "name", make_text(a->name));
		set(o, "declared", make_text(a->declared));
		set(o, "holds", a->holds && a->holds[0] ? make_text(a->holds) : json_null());
		set(o, "rollout", make_text(a->rollout));
		set(o, "state", make_text(a->state));
		append(aliases, o);
	}
	return aliases;
}

static json_t *make_service_stages(const struct view_service *v)
{
	json_t *stages = new_array();

	for (size_t i = 0; i < v->n_stages; i++) {
		const struct view_service_stage *s = &v->stages[i];
		json_t *o = new_object();

		set(o, "name", make_text(s->name));
		set(o, "alias", make_text(s->alias));
		set(o, "url", s->url && s->url[0] ? make_text(s->url) : json_null());
		append(stages, o);
	}
	return stages;
}

static json_t *make_unreadable_service(const struct view_service *v)
{
	json_t *o = new_object();

	set(o, "kind", json_string("Service"));
	set(o, "name", make_text(v->name));
	set(o, "phase", json_string(rollout_phase_name(PHASE_BLOCKED)));
	set(o, "reason", make_text(v->unreadable));
	set(o, "unreadable", json_true());
	return o;
}

static json_t *make_changes(const struct change_list *changes)
{
	json_t *items = new_array();

	for (size_t i = 0; changes && i < changes->len; i++)
		append(items, form_change(&changes->items[i]));
	return items;
}

json_t *form_service(const struct view_service *v, bool details)
{
	if (v->unreadable)
		return make_unreadable_service(v);

	json_t *o = new_object();
	set(o, "kind", json_string("Service"));
	set(o, "name", make_text(v->name));
	set(o, "attempt", json_integer((json_int_t)v->attempt));
	set(o, "function", make_text(v->function));
	set(o, "account", make_text(v->account));
	set(o, "region", make_text(v->region));
	set(o, "source", make_text(v->source));
	set(o, "plan_hash", make_text(v->plan_hash));
	set(o, "phase", json_string(rollout_phase_name(v->phase)));
	set(o, "reason", make_text(v->reason));
	set(o, "trouble", make_text(v->trouble));
	set(o, "now", make_time(v->now.unix_ms));
	set(o, "checked_at", make_time(v->checked_unix_ms));
	set(o, "changes_made", json_integer((json_int_t)v->changes_made));
	set(o, "api_id", v->api_id && v->api_id[0] ? make_text(v->api_id) : json_null());
	set(o, "aliases", make_service_aliases(v));
	set(o, "stages", make_service_stages(v));
	if (details)
		set(o, "changes", make_changes(v->changes));
	return o;
}

json_t *form_change(const struct change *c)
{
	json_t *o = new_object();

	set(o, "kind", make_text(change_kind_name(c->kind)));
	set(o, "subject", make_text(c->subject));
	set(o, "field", make_text(c->field));
	set(o, "from", make_text(c->from));
	set(o, "to", make_text(c->to));
	set(o, "text", make_text(c->text));
	return o;
}

/* What only has to be waited for is on its way to be as declared; what is a problem is not. */
static bool is_as_declared(const struct change_list *changes)
{
	for (size_t i = 0; changes && i < changes->len; i++)
		if (changes->items[i].kind != CHANGE_WAIT)
			return false;
	return true;
}

json_t *form_diff(const char *name, const char *kind, const struct change_list *changes)
{
	json_t *o = new_object();

	set(o, "name", make_text(name));
	set(o, "kind", make_text(kind));
	set(o, "as_declared", json_boolean(is_as_declared(changes)));
	set(o, "changes", make_changes(changes));
	return o;
}

static const char *finding_level_name(enum finding_level l)
{
	switch (l) {
	case FINDING_OK:
		return "ok";
	case FINDING_WARNING:
		return "warning";
	case FINDING_PROBLEM:
		return "problem";
	}
	return "problem";
}

json_t *form_account(const struct view_account *v)
{
	bool ends = v->expires_unix_ms != 0 && v->expires_unix_ms != INT64_MAX;
	json_t *o = new_object();

	set(o, "name", make_text(v->name));
	set(o, "region", make_text(v->region));
	set(o, "source", make_text(v->source));
	set(o, "arn", make_text(v->arn));
	set(o, "account_id", make_text(v->account_id));
	set(o, "expires_at", ends ? make_time(v->expires_unix_ms) : json_null());
	set(o, "extended", json_boolean(v->extended));
	return o;
}

json_t *form_doctor(const char *name, json_t *accounts, const struct finding *findings, size_t n)
{
	json_t *o = new_object(), *items = new_array();
	bool healthy = true;

	for (size_t i = 0; i < n; i++) {
		const struct finding *f = &findings[i];
		json_t *item = new_object();

		healthy = healthy && f->level != FINDING_PROBLEM;
		set(item, "level", json_string(finding_level_name(f->level)));
		set(item, "subject", make_text(f->subject));
		set(item, "text", make_text(f->text));
		set(item, "cure", make_text(f->cure));
		append(items, item);
	}
	set(o, "name", make_text(name));
	set(o, "healthy", json_boolean(healthy));
	set(o, "accounts", accounts);
	set(o, "findings", items);
	return o;
}

json_t *form_file(const struct view_file *v)
{
	json_t *o = new_object();
	json_t *lines = new_array();
	const char *at = v->errors ? v->errors : "";

	while (*at) {
		size_t len = strcspn(at, "\n");
		cleanup(mem_free_p) char *line = mem_strndup(at, len);

		if (len > 0)
			append(lines, make_text(line));
		at += len + (at[len] == '\n');
	}
	set(o, "file", make_text(v->file));
	set(o, "errors", lines);
	return o;
}

static json_t *wrap(const char *key, json_t *value)
{
	json_t *o = new_object();

	set(o, key, value);
	return o;
}

json_t *form_error(const char *code, const char *message)
{
	json_t *o = new_object();

	set(o, "code", make_text(code));
	set(o, "message", make_text(message));
	return wrap("error", o);
}

json_t *form_event(uint64_t id, const char *name, uint64_t rollout_id, int64_t unix_ms, const char *kind,
		   const char *phase, const char *text, const char *by)
{
	json_t *o = new_object();

	set(o, "id", json_integer((json_int_t)id));
	set(o, "at", make_time(unix_ms));
	set(o, "name", make_text(name));
	set(o, "rollout_id", json_integer((json_int_t)rollout_id));
	set(o, "kind", make_text(kind));
	set(o, "phase", make_text(phase));
	set(o, "text", make_text(text));
	set(o, "by", make_text(by));
	return o;
}

json_t *form_list(json_t *services, json_t *rollouts, json_t *files, int64_t now_unix_ms)
{
	json_t *o = wrap("now", make_time(now_unix_ms));

	set(o, "services", services);
	set(o, "rollouts", rollouts);
	set(o, "files", files);
	return o;
}

json_t *form_history(json_t *rollouts)
{
	return wrap("rollouts", rollouts);
}

json_t *form_events(json_t *events)
{
	return wrap("events", events);
}

json_t *form_answer(const char *result, const char *name, const char *phase, const char *message)
{
	json_t *o = new_object();

	set(o, "result", make_text(result));
	set(o, "name", make_text(name));
	set(o, "phase", phase ? make_text(phase) : json_null());
	set(o, "message", make_text(message));
	return o;
}

json_t *form_diagnostic(bool is_error, unsigned line, unsigned column, const char *text)
{
	json_t *o = new_object();

	set(o, "severity", json_string(is_error ? "error" : "warning"));
	set(o, "line", json_integer(line));
	set(o, "column", json_integer(column));
	set(o, "text", make_text(text));
	return o;
}

void form_declared(const struct service_alias *alias, char *out, size_t size)
{
	char soak[32];

	switch (alias->follow) {
	case FOLLOW_VERSION:
		snprintf(out, size, "version %ju", (uintmax_t)alias->version);
		break;
	case FOLLOW_NEWEST:
		snprintf(out, size, "the newest version");
		break;
	case FOLLOW_HEAD:
		snprintf(out, size, "$LATEST");
		break;
	case FOLLOW_ALIAS:
		text_format_span(alias->soak_ms, soak);
		snprintf(out, size, "what %s holds%s%s", alias->from_alias, alias->soak_ms > 0 ? ", after " : "",
			 alias->soak_ms > 0 ? soak : "");
		break;
	}
}

json_t *form_alias_plan(const struct service_alias *alias, const char *rollout, const struct rollout_spec *spec)
{
	json_t *o = new_object();
	char declared[LIMIT_REASON];

	form_declared(alias, declared, sizeof(declared));
	set(o, "name", make_text(alias->name));
	set(o, "declared", make_text(declared));
	set(o, "rollout", make_text(rollout));
	set(o, "plan", spec ? form_spec(spec) : json_null());
	return o;
}

json_t *form_check(const char *name, const char *kind, const struct rollout_spec *spec, json_t *aliases,
		   json_t *diagnostics)
{
	json_t *o = new_object();

	set(o, "valid", json_boolean(kind != NULL));
	set(o, "name", name ? make_text(name) : json_null());
	set(o, "kind", kind ? make_text(kind) : json_null());
	set(o, "diagnostics", diagnostics);
	set(o, "plan", spec ? form_spec(spec) : json_null());
	set(o, "aliases", aliases ? aliases : new_array());
	return o;
}

json_t *form_invalid_plan(const char *message, json_t *diagnostics)
{
	json_t *o = form_error("invalid_plan", message);

	set(json_object_get(o, "error"), "diagnostics", diagnostics);
	return o;
}

json_t *form_version(const char *version, int64_t started_unix_ms)
{
	json_t *o = new_object();

	set(o, "version", make_text(version));
	set(o, "api", json_string("v1"));
	set(o, "started_at", make_time(started_unix_ms));
	return o;
}

json_t *form_health(bool ok, const char *message)
{
	json_t *o = new_object();

	set(o, "status", json_string(ok ? "ok" : "failing"));
	set(o, "message", make_text(message));
	return o;
}
