/* The JSON forms: their values, and that docs/openapi.yaml describes all of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "control/forms.h"
#include "openapi.h"

static struct openapi openapi;

static const struct spec_step steps[] = {
    {.weight_bp = 1234, .bake_ms = 60000, .min_invocations = 500},
    {.weight_bp = 5000, .bake_ms = 120000, .approve = true},
};

static const struct spec_metric metrics[] = {
    {.kind = SPEC_METRIC_ERRORS, .max_rate_ppm = 500, .min_invocations = 50, .failure_limit = 1},
    {.kind = SPEC_METRIC_ALARM, .alarm = "hello-5xx"},
};

static const struct spec_metric other_metrics[] = {
    {.kind = SPEC_METRIC_COMPARE,
     .false_alarm_ppm = 100,
     .min_effect_permille = 1250,
     .min_invocations = 1,
     .count_probes = true},
    {.kind = SPEC_METRIC_ERRORS, .max_rate_ppm = 10000, .min_invocations = 50, .failure_limit = 3, .dry_run = true},
    {.kind = SPEC_METRIC_THROTTLES, .max_rate_ppm = 20000, .min_invocations = 50, .failure_limit = 1},
    {.kind = SPEC_METRIC_DURATION,
     .stat = "p99",
     .max_us = 800000,
     .max_ratio_permille = 1500,
     .warm_up_ms = 180000,
     .min_invocations = 20,
     .failure_limit = 2},
    {.kind = SPEC_METRIC_API_5XX,
     .api = "a1b2",
     .stage = "$default",
     .http_api = true,
     .max_rate_ppm = 500,
     .min_invocations = 50,
     .failure_limit = 1},
    {.kind = SPEC_METRIC_ALARM, .alarm = "quiet", .dry_run = true},
    {.kind = SPEC_METRIC_QUERY,
     .queries =
	 "[{\"Id\":\"m\",\"MetricStat\":{\"Metric\":{\"Namespace\":\"N\",\"MetricName\":\"M\","
	 "\"Dimensions\":[{\"Name\":\"a\",\"Value\":\"b\"}]},\"Period\":60,\"Stat\":\"Sum\"},\"ReturnData\":false},"
	 "{\"Id\":\"e\",\"Expression\":\"m / 2\",\"Period\":60}]",
     .returns = "e",
     .has_max = true,
     .max = 250.5,
     .failure_limit = 2},
};

static struct rollout_spec make_spec(void)
{
	return (struct rollout_spec){
	    .steps = steps,
	    .n_steps = array_len(steps),
	    .final_bake_ms = 300000,
	    .analysis = {.every_ms = 60000,
			 .settle_ms = 60000,
			 .period_ms = 60000,
			 .hold_limit_ms = 3600000,
			 .on_hold_limit = SPEC_PAUSE,
			 .metrics = metrics,
			 .n_metrics = array_len(metrics)},
	};
}

static const struct instant now = {.unix_ms = 1795385405123, .boot_ms = 50000}; /* 2026-11-22T22:10:05.123Z */

static struct rollout make_rollout(void)
{
	struct rollout r;

	rollout_init(&r, now);
	r.phase = PHASE_PAUSED;
	r.pause = PAUSE_OPERATOR | PAUSE_FAILURE;
	r.stable = 1;
	r.canary = 2;
	r.live = (struct alias_target){.version = 1, .extra = 2, .weight_bp = 1234};
	snprintf(r.revision, sizeof(r.revision), "%s", "rev-1");
	r.prepared = true;
	r.applied = true;
	r.baked_ms = 20000;
	r.bake_mark_boot_ms = now.boot_ms;
	r.alarms[1] = ALARM_ALARM;
	r.verdict = VERDICT_FAIL;
	snprintf(r.why, sizeof(r.why), "%s", "version 2: 30 errors of 100 invocations");
	snprintf(r.reason, sizeof(r.reason), "%s", "paused by uid 0");
	return r;
}

static struct view_rollout make_view(const struct rollout_spec *spec, const struct rollout *r)
{
	return (struct view_rollout){
	    .name = "hello-prod",
	    .attempt = 3,
	    .function = "hello",
	    .alias = "prod",
	    .account = "default",
	    .region = "us-east-1",
	    .plan_hash = "c0ffee",
	    .source = "hello.yaml",
	    .spec = spec,
	    .state = r,
	    .now = now,
	    .verdict = {.verdict = VERDICT_UNDECIDED,
			.gap = VERDICT_GAP_FEW,
			.canary_step = {10, 1, true},
			.canary_all = {100, 30, true},
			.stable_all = {900, 2, true},
			.why = "later counts"},
	};
}

static json_t *get(const json_t *o, const char *path)
{
	char key[64];

	while (o && *path) {
		size_t len = strcspn(path, ".");
		snprintf(key, sizeof(key), "%.*s", (int)len, path);
		o = json_is_array(o) ? json_array_get(o, (size_t)(key[0] - '0')) : json_object_get(o, key);
		path += len + (path[len] == '.');
	}
	return (json_t *)o;
}

static void is_text(const json_t *o, const char *path, const char *want)
{
	const char *got = json_string_value(get(o, path));

	if (!got)
		fail_msg("%s: no text", path);
	assert_string_equal(got, want);
}

static void is_int(const json_t *o, const char *path, int64_t want)
{
	if (!json_is_integer(get(o, path)))
		fail_msg("%s: no integer", path);
	assert_int_equal(json_integer_value(get(o, path)), want);
}

static void fits(const char *schema, json_t *j)
{
	assert_true(openapi_fits(&openapi, openapi_schema(&openapi, schema), j, schema));
	json_decref(j);
}

static void probes_are_shown_beside_users_requests(void **state)
{
	struct rollout_spec spec = make_spec();
	struct rollout r = make_rollout();
	struct view_rollout v = make_view(&spec, &r);
	json_t *j = form_rollout(&v, false);

	(void)state;
	assert_true(json_is_null(get(j, "probes")));
	fits("Rollout", j);
	spec.probe = (struct spec_probe){.payload = "probe.json", .every_ms = 1000};
	v.verdict.probe_canary = (struct counts){30, 2, true};
	r.probes_skipped = 4;
	j = form_rollout(&v, false);
	is_int(j, "probes.canary.invocations", 30);
	is_int(j, "probes.canary.errors", 2);
	assert_true(json_is_false(get(j, "probes.stable.seen")));
	is_int(j, "probes.skipped", 4);
	is_int(j, "verdict.canary.invocations", 100);
	fits("Rollout", j);
}

static void an_experiment_says_what_it_found(void **state)
{
	struct rollout_spec spec = make_spec();
	struct rollout r = make_rollout();
	struct view_rollout v = make_view(&spec, &r);
	json_t *j = form_rollout(&v, false);

	(void)state;
	assert_true(json_is_null(get(j, "experiment")));
	fits("Rollout", j);
	spec.experiment = true;
	j = form_rollout(&v, false);
	is_text(j, "experiment.then", "on");
	is_text(j, "experiment.finding", "no-data");
	assert_true(json_is_null(get(j, "experiment.counted_from_at")));
	assert_true(json_is_null(get(j, "experiment.difference_low")));
	assert_true(json_is_null(get(j, "experiment.difference_high")));
	fits("Rollout", j);
	spec.experiment_ends_home = true;
	r.concluded = true;
	v.experiment = (struct experiment_result){
	    .finding = EXPERIMENT_CANARY,
	    .canary = {1000, 1, true},
	    .stable = {2000, 30, true},
	    .from_unix_ms = now.unix_ms,
	    .until_unix_ms = now.unix_ms + 60000,
	    .difference = {-0.0212345, -0.0012345},
	    .text = "version 2 fails less often",
	};
	j = form_rollout(&v, true);
	is_text(j, "experiment.then", "back");
	assert_true(json_is_true(get(j, "experiment.concluded")));
	is_text(j, "experiment.finding", "canary");
	is_text(j, "experiment.text", "version 2 fails less often");
	is_int(j, "experiment.canary.invocations", 1000);
	is_int(j, "experiment.stable.errors", 30);
	is_text(j, "experiment.counted_from_at", "2026-11-22T22:10:05.123Z");
	is_text(j, "experiment.counted_until_at", "2026-11-22T22:11:05.123Z");
	/* Rounded to where it still holds. */
	assert_true(json_number_value(get(j, "experiment.difference_low")) == -2.1235);
	assert_true(json_number_value(get(j, "experiment.difference_high")) == -0.1234);
	fits("Rollout", j);
}

static void a_rollout_says_all(void **state)
{
	struct rollout_spec spec = make_spec();
	struct rollout r = make_rollout();
	struct view_rollout v = make_view(&spec, &r);
	json_t *j = form_rollout(&v, true);

	(void)state;
	is_text(j, "name", "hello-prod");
	is_int(j, "attempt", 3);
	is_text(j, "phase", "paused");
	assert_true(json_is_true(get(j, "live")));
	is_text(j, "reason", "paused by uid 0");
	is_text(j, "pause.0", "operator");
	is_text(j, "pause.1", "failure");
	is_text(j, "stable_version", "1");
	is_text(j, "canary_version", "2");
	is_int(j, "weight_bp", 1234);
	assert_float_equal(json_real_value(get(j, "weight")), 12.34, 1e-9);
	is_int(j, "step_index", 0);
	is_int(j, "step_count", 2);
	is_int(j, "bake_ms", 60000);
	is_text(j, "now", "2026-11-22T22:10:05.123Z");
	is_text(j, "created_at", "2026-11-22T22:10:05.123Z");
	assert_true(json_is_null(get(j, "ended_at")));
	is_text(j, "verdict.verdict", "fail");
	is_text(j, "verdict.why", "version 2: 30 errors of 100 invocations");
	is_int(j, "verdict.canary.errors", 30);
	is_int(j, "verdict.canary_step.invocations", 10);
	is_int(j, "verdict.stable.invocations", 900);
	is_text(j, "alias_holds", "version 1 (87.66%) and version 2 (12.34%)");
	is_text(j, "alarms.0.state", "alarm");
	is_int(j, "plan.steps.1.weight", 50);
	fits("Rollout", j);
}

static void percents_come_out_as_they_went_in(void **state)
{
	struct rollout_spec spec = make_spec();
	json_t *j = form_spec(&spec);
	char *text = json_dumps(j, FORM_DUMP_FLAGS);

	(void)state;
	assert_non_null(strstr(text, "\"weight\":12.34,"));
	assert_non_null(strstr(text, "\"weight\":50,"));
	assert_non_null(strstr(text, "\"max_rate\":0.05,"));
	free(text);
	json_decref(j);
}

static void every_kind_of_metric_has_a_form(void **state)
{
	struct rollout_spec spec = make_spec();
	spec.analysis.metrics = other_metrics;
	spec.analysis.n_metrics = array_len(other_metrics);
	spec.probe = (struct spec_probe){.payload = "probe.json", .every_ms = 500};
	spec.experiment = true;
	json_t *j = form_spec(&spec);

	(void)state;
	is_text(j, "experiment", "on");
	is_text(j, "analysis.probe.invoke", "probe.json");
	is_int(j, "analysis.probe.every_ms", 500);
	is_text(j, "analysis.metrics.0.kind", "compare");
	is_text(j, "analysis.metrics.0.compare", "stable");
	is_int(j, "analysis.metrics.0.false_alarm_ppm", 100);
	is_text(j, "analysis.metrics.0.probes", "count");
	assert_null(json_object_get(get(j, "analysis.metrics.0"), "failure_limit"));
	is_int(j, "analysis.metrics.1.failure_limit", 3);
	is_text(j, "analysis.metrics.1.probes", "ignore");
	assert_true(json_is_true(get(j, "analysis.metrics.1.dry_run")));
	is_text(j, "analysis.metrics.2.kind", "throttles");
	is_int(j, "analysis.metrics.2.max_rate", 2);
	is_text(j, "analysis.metrics.3.stat", "p99");
	is_int(j, "analysis.metrics.3.max_ms", 800);
	is_int(j, "analysis.metrics.3.warm_up_ms", 180000);
	is_text(j, "analysis.metrics.4.type", "http");
	is_text(j, "analysis.metrics.4.stage", "$default");
	is_text(j, "analysis.metrics.5.alarm", "quiet");
	is_text(j, "analysis.metrics.6.metric_data_queries.1.Expression", "m / 2");
	is_text(j, "analysis.metrics.6.returns", "e");
	assert_null(json_object_get(get(j, "analysis.metrics.6"), "min"));
	char *text = json_dumps(j, FORM_DUMP_FLAGS);
	assert_non_null(strstr(text, "\"min_effect\":1.25,"));
	assert_non_null(strstr(text, "\"max_ratio\":1.5,"));
	assert_non_null(strstr(text, "\"max\":250.5,"));
	free(text);
	fits("Spec", j);
	spec.experiment_ends_home = true;
	j = form_spec(&spec);
	is_text(j, "experiment", "back");
	json_decref(j);
	spec = make_spec();
	j = form_spec(&spec);
	is_text(j, "experiment", "no");
	assert_true(json_is_null(get(j, "analysis.probe")));
	fits("Spec", j);
}

static void before_the_preparation_nothing_is_known(void **state)
{
	struct rollout_spec spec = make_spec();
	struct rollout r;
	rollout_init(&r, now);
	struct view_rollout v = make_view(&spec, &r);
	json_t *j = form_rollout(&v, true);

	(void)state;
	is_text(j, "phase", "pending");
	assert_true(json_is_null(get(j, "stable_version")));
	assert_true(json_is_null(get(j, "canary_version")));
	assert_true(json_is_null(get(j, "alias_holds")));
	assert_true(json_is_null(get(j, "first_traffic_at")));
	is_text(j, "verdict.why", "later counts"); /* the state has none of its own */
	is_text(j, "verdict.gap", "few");
	fits("Rollout", j);
}

static void a_list_leaves_details_out(void **state)
{
	struct rollout_spec spec = make_spec();
	struct rollout r = make_rollout();
	struct view_rollout v = make_view(&spec, &r);
	json_t *j = form_rollout(&v, false);

	(void)state;
	assert_null(get(j, "plan"));
	assert_null(get(j, "alias_revision"));
	assert_non_null(get(j, "verdict"));
	fits("Rollout", j);
}

static void an_unreadable_record_is_shown_as_blocked(void **state)
{
	struct view_rollout v = {.name = "old", .unreadable = "record of version 9"};
	json_t *j = form_rollout(&v, true);

	(void)state;
	is_text(j, "phase", "blocked");
	is_text(j, "reason", "record of version 9");
	assert_true(json_is_true(get(j, "unreadable")));
	fits("Rollout", j);
}

static int64_t sum_of_parts(const struct rollout_spec *spec)
{
	json_t *j = form_spec(spec), *step;
	int64_t sum = json_integer_value(get(j, "final_expected_ms"));
	size_t i;

	json_array_foreach(get(j, "steps"), i, step) sum += json_integer_value(get(step, "expected_ms"));
	is_int(j, "expected_ms", spec_expected_ms(spec));
	json_decref(j);
	return sum;
}

static void the_lengths_of_the_steps_add_up(void **state)
{
	struct rollout_spec spec = make_spec();

	(void)state;
	for (int pace = SPEC_PACE_EVIDENCE; pace <= SPEC_PACE_CLOCK; pace++) {
		spec.analysis.pace = (enum spec_pace)pace;
		spec.final_bake_ms = 300000;
		spec.n_steps = array_len(steps);
		assert_int_equal(sum_of_parts(&spec), spec_expected_ms(&spec));
		spec.final_bake_ms = 0;
		assert_int_equal(sum_of_parts(&spec), spec_expected_ms(&spec));
		spec.n_steps = 0;
		assert_int_equal(sum_of_parts(&spec), spec_expected_ms(&spec));
	}
}

static void broken_text_does_not_break_a_form(void **state)
{
	json_t *j = form_event(7, "a", 1, now.unix_ms, "phase", "paused", "from AWS: \xff\x1b!", NULL);

	(void)state;
	is_text(j, "text",
		"from AWS: ?"
		"?!");
	is_text(j, "by", "");
	is_text(j, "at", "2026-11-22T22:10:05.123Z");
	fits("Event", j);
}

static void errors_of_a_file_are_lines(void **state)
{
	struct view_file f = {"bad.yaml", "bad.yaml:1:2: error: a\n\nbad.yaml:3:4: error: b"};
	json_t *j = form_file(&f);

	(void)state;
	assert_int_equal(json_array_size(get(j, "errors")), 2);
	is_text(j, "errors.1", "bad.yaml:3:4: error: b");
	fits("File", j);
}

static json_t *one_diagnostic(void)
{
	json_t *a = json_array();

	json_array_append_new(a, form_diagnostic(true, 3, 7, "unknown key"));
	return a;
}

/* --- services --- */

static const struct view_service_alias service_aliases[] = {
    {"dev", "$LATEST", "", "", "does not exist yet"},
    {"prod", "version 2", "version 1 (90%) and version 2 (10%)", "hello.prod", "progressing"},
};
static const struct view_service_stage service_stages[] = {{"dev", "dev", ""},
							   {"prod", "prod", "https://x/prod/hello"}};
static struct change some_changes[] = {
    {.kind = CHANGE_WAIT, .subject = "version 2", .field = "", .from = "", .to = "", .text = "it is Pending"},
    {.kind = CHANGE_CREATE_ALIAS, .subject = "alias dev", .field = "", .from = "", .to = "$LATEST"},
    {.kind = CHANGE_PROBLEM, .subject = "alias test", .text = "somebody moved it"},
};

static struct view_service make_service(void)
{
	static const struct change_list changes = {some_changes, array_len(some_changes)};

	return (struct view_service){
	    .name = "hello",
	    .attempt = 3,
	    .function = "hello",
	    .account = "default",
	    .region = "us-east-1",
	    .plan_hash = "c0ffee",
	    .source = "hello.yaml",
	    .phase = PHASE_PROGRESSING,
	    .reason = "alias prod moves",
	    .trouble = "",
	    .checked_unix_ms = now.unix_ms,
	    .changes_made = 7,
	    .api_id = "",
	    .aliases = service_aliases,
	    .n_aliases = array_len(service_aliases),
	    .stages = service_stages,
	    .n_stages = array_len(service_stages),
	    .changes = &changes,
	    .now = now,
	};
}

static void a_service_says_all(void **state)
{
	struct view_service v = make_service();
	json_t *j = form_service(&v, true);

	(void)state;
	is_text(j, "kind", "Service");
	is_text(j, "phase", "progressing");
	is_text(j, "checked_at", "2026-11-22T22:10:05.123Z");
	assert_int_equal(json_integer_value(get(j, "changes_made")), 7);
	assert_true(json_is_null(get(j, "api_id")));
	assert_true(json_is_null(get(j, "aliases.0.holds")));
	is_text(j, "aliases.1.holds", "version 1 (90%) and version 2 (10%)");
	is_text(j, "aliases.1.rollout", "hello.prod");
	assert_true(json_is_null(get(j, "stages.0.url")));
	is_text(j, "stages.1.url", "https://x/prod/hello");
	is_text(j, "changes.1.kind", "create-alias");
	is_text(j, "changes.1.to", "$LATEST");
	is_text(j, "changes.2.text", "somebody moved it");
	is_text(j, "changes.2.field", "");
	fits("Service", j);
}

static void a_service_that_was_not_looked_at(void **state)
{
	struct view_service v = make_service();

	(void)state;
	v.checked_unix_ms = 0;
	v.changes = NULL;
	json_t *j = form_service(&v, true);
	assert_true(json_is_null(get(j, "checked_at")));
	assert_int_equal(json_array_size(get(j, "changes")), 0);
	fits("Service", j);
	v = (struct view_service){.name = "hello", .unreadable = "the record is damaged"};
	j = form_service(&v, true);
	is_text(j, "phase", "blocked");
	is_text(j, "reason", "the record is damaged");
	fits("Service", j);
}

static void what_differs(void **state)
{
	struct change_list l = {some_changes, 1}; /* nothing but a wait */

	(void)state;
	json_t *j = form_diff("hello", "Service", &l);
	assert_true(json_is_true(get(j, "as_declared")));
	fits("Diff", j);
	for (l.len = 2; l.len <= 3; l.len++) {
		j = form_diff("hello", "Service", &l);
		assert_true(json_is_false(get(j, "as_declared")));
		assert_int_equal(json_array_size(get(j, "changes")), l.len);
		fits("Diff", j);
	}
	l = (struct change_list){&some_changes[2], 1}; /* a problem alone */
	j = form_diff("hello", "Rollout", &l);
	assert_true(json_is_false(get(j, "as_declared")));
	fits("Diff", j);
}

static void what_doctor_found(void **state)
{
	const struct finding findings[] = {
	    {FINDING_OK, "credentials of account default", "read from the environment", ""},
	    {FINDING_WARNING, "alias prod", "no metrics yet", "wait"},
	    {FINDING_PROBLEM, "function hello", "does not exist", "create it"},
	};

	(void)state;
	const struct view_account accounts[] = {
	    {"default", "eu-west-1", "environment", "arn:aws:iam::123456789012:user/ops", "123456789012", INT64_MAX,
	     false},
	    {"b", "eu-west-1", "instance role ops", "", "", INT64_C(1767225600000), true},
	    {"c", "eu-west-1", "", "", "", 0, false},
	};
	json_t *three = json_array();
	for (size_t i = 0; i < array_len(accounts); i++)
		json_array_append_new(three, form_account(&accounts[i]));
	json_t *j = form_doctor("hello", three, findings, 2);
	is_text(j, "accounts.0.arn", "arn:aws:iam::123456789012:user/ops");
	assert_true(json_is_null(get(j, "accounts.0.expires_at")));
	is_text(j, "accounts.1.expires_at", "2026-01-01T00:00:00.000Z");
	assert_true(json_is_true(get(j, "accounts.1.extended")));
	assert_true(json_is_null(get(j, "accounts.2.expires_at")));
	assert_true(json_is_true(get(j, "healthy")));
	is_text(j, "findings.1.level", "warning");
	fits("Doctor", j);
	j = form_doctor("", json_array(), findings, 3);
	assert_true(json_is_false(get(j, "healthy")));
	is_text(j, "findings.2.level", "problem");
	is_text(j, "findings.2.cure", "create it");
	fits("Doctor", j);
}

static void what_aliases_should_hold(void **state)
{
	const struct {
		struct service_alias alias;
		const char *declared;
	} cases[] = {
	    {{.name = "a", .follow = FOLLOW_VERSION, .version = 7}, "version 7"},
	    {{.name = "a", .follow = FOLLOW_NEWEST}, "the newest version"},
	    {{.name = "a", .follow = FOLLOW_HEAD}, "$LATEST"},
	    {{.name = "a", .follow = FOLLOW_ALIAS, .from_alias = "test"}, "what test holds"},
	    {{.name = "a", .follow = FOLLOW_ALIAS, .from_alias = "test", .soak_ms = 7200000},
	     "what test holds, after 2h"},
	};
	struct rollout_spec spec = make_spec();

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		json_t *aliases = json_array();
		json_t *j = form_alias_plan(&cases[i].alias, i ? "s.a" : NULL, i ? &spec : NULL);

		is_text(j, "declared", cases[i].declared);
		is_text(j, "rollout", i ? "s.a" : "");
		json_array_append_new(aliases, j);
		fits("Check", form_check("s", "Service", NULL, aliases, json_array()));
	}
}

static void answers_fit_their_description(void **state)
{
	struct rollout_spec spec = make_spec();
	struct rollout r = make_rollout();
	struct view_rollout v = make_view(&spec, &r);
	json_t *all = json_array(), *files = json_array(), *services = json_array();
	struct view_service service = make_service();

	(void)state;
	json_array_append_new(services, form_service(&service, false));
	json_array_append_new(all, form_rollout(&v, false));
	json_array_append_new(files, form_file(&(struct view_file){"a", "b"}));
	fits("History", form_history(json_incref(all)));
	fits("List", form_list(services, all, files, now.unix_ms));
	fits("Events", form_events(json_array()));
	fits("Answer", form_answer("done", "a", "paused", "x"));
	fits("Answer", form_answer("done", "", NULL, "x"));
	fits("Check", form_check("a", "Rollout", &spec, NULL, json_array()));
	fits("Check", form_check(NULL, NULL, NULL, NULL, one_diagnostic()));
	fits("Error", form_error("refused", "no"));
	fits("Error", form_invalid_plan("one error", one_diagnostic()));
	fits("Version", form_version("0.1.0", now.unix_ms));
	fits("Health", form_health(true, ""));
	fits("Health", form_health(false, "no disk"));
}

static void every_phase_is_described(void **state)
{
	struct rollout_spec spec = make_spec();
	struct rollout r = make_rollout();
	struct view_rollout v = make_view(&spec, &r);

	(void)state;
	for (int p = PHASE_PENDING; p <= PHASE_BLOCKED; p++) {
		r.phase = (enum rollout_phase)p;
		fits("Rollout", form_rollout(&v, true));
	}
}

static int open_description(void **state)
{
	(void)state;
	return openapi_open(&openapi) ? 0 : -1;
}

static int close_description(void **state)
{
	(void)state;
	openapi_close(&openapi);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_rollout_says_all),
	    cmocka_unit_test(an_experiment_says_what_it_found),
	    cmocka_unit_test(probes_are_shown_beside_users_requests),
	    cmocka_unit_test(percents_come_out_as_they_went_in),
	    cmocka_unit_test(every_kind_of_metric_has_a_form),
	    cmocka_unit_test(before_the_preparation_nothing_is_known),
	    cmocka_unit_test(a_list_leaves_details_out),
	    cmocka_unit_test(an_unreadable_record_is_shown_as_blocked),
	    cmocka_unit_test(the_lengths_of_the_steps_add_up),
	    cmocka_unit_test(broken_text_does_not_break_a_form),
	    cmocka_unit_test(errors_of_a_file_are_lines),
	    cmocka_unit_test(a_service_says_all),
	    cmocka_unit_test(a_service_that_was_not_looked_at),
	    cmocka_unit_test(what_differs),
	    cmocka_unit_test(what_doctor_found),
	    cmocka_unit_test(what_aliases_should_hold),
	    cmocka_unit_test(answers_fit_their_description),
	    cmocka_unit_test(every_phase_is_described),
	};

	return cmocka_run_group_tests(tests, open_description, close_description);
}
