/* Plans: what they mean, what their hash covers, and that the normalised form is the same plan. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/prng.h"
#include "base/sha256.h"
#include "base/text.h"
#include "plan/plan.h"

#define HEAD "apiVersion: rolloutd/v1\nkind: Rollout\nname: hello\nfunction: hello\nalias: prod\nversion: 2\n"

static struct plan *load(const char *text)
{
	cleanup(diags_deinit) struct diags d = {0};
	struct plan *p = plan_load(text, strlen(text), &d);
	if (!p) {
		cleanup(buf_deinit) struct buf out = BUF_INIT(65536);
		diags_format(&d, "plan", &out);
		fail_msg("%s\n%s", text, buf_text(&out));
	}
	return p;
}

static bool is_refused(const char *text)
{
	cleanup(diags_deinit) struct diags d = {0};
	cleanup(plan_free_p) struct plan *p = plan_load(text, strlen(text), &d);
	assert_true((p == NULL) == (d.errors > 0));
	return !p;
}

static void test_defaults(void **state)
{
	(void)state;
	cleanup(plan_free_p) struct plan *p = load(HEAD);
	const struct rollout_spec *s = &p->spec;
	assert_string_equal(p->name, "hello");
	assert_string_equal(p->function, "hello");
	assert_null(p->function_arn);
	assert_string_equal(p->alias, "prod");
	assert_null(p->region);
	assert_string_equal(p->account, "default");
	assert_int_equal(p->version_kind, PLAN_VERSION_NUMBER);
	assert_int_equal(p->version, 2);
	assert_null(p->strategy);
	assert_int_equal(s->n_steps, 1);
	assert_int_equal(s->steps[0].weight_bp, 1000);
	assert_int_equal(s->steps[0].bake_ms, 5 * MS_PER_MINUTE);
	assert_int_equal(s->final_bake_ms, 0);
	assert_int_equal(s->final_min_invocations, 0);
	assert_int_equal(s->analysis.every_ms, MS_PER_MINUTE);
	assert_int_equal(s->analysis.settle_ms, MS_PER_MINUTE);
	assert_int_equal(s->analysis.period_ms, MS_PER_MINUTE);
	assert_int_equal(s->analysis.no_data, SPEC_NO_DATA_HOLD);
	assert_int_equal(s->analysis.hold_limit_ms, MS_PER_HOUR);
	assert_int_equal(s->analysis.on_hold_limit, SPEC_PAUSE);
	assert_int_equal(s->analysis.pace, SPEC_PACE_EVIDENCE);
	assert_int_equal(s->analysis.n_metrics, 1);
	assert_int_equal(s->analysis.metrics[0].kind, SPEC_METRIC_COMPARE);
	assert_int_equal(s->analysis.metrics[0].false_alarm_ppm, 10000);
	assert_int_equal(s->analysis.metrics[0].min_effect_permille, 1250);
	assert_int_equal(s->analysis.metrics[0].min_invocations, 1);
	assert_int_equal(s->analysis.metrics[0].failure_limit, 0);
	assert_false(s->analysis.metrics[0].count_probes);
	assert_null(s->probe.payload);
	assert_false(s->experiment);
	spec_require(s);
	assert_int_equal(s->on_failure, SPEC_ROLLBACK);
	assert_false(s->start_manual);
}

static void test_values(void **state)
{
	(void)state;
	cleanup(plan_free_p) struct plan *p = load(
	    "apiVersion: rolloutd/v1\nkind: Rollout\nname: x\nalias: prod\nversion: latest\n"
	    "function: arn:aws-cn:lambda:cn-north-1:123456789012:function:my_fn\naccount: main\n"
	    "steps: [{weight: 2.5%, bake: 90s, min_invocations: 7}, {weight: 50%, bake: 2h, approve: true},"
	    " {weight: 100%, bake: 1d, min_invocations: 9}]\n"
	    "analysis: {every: 5s, settle: 0, period: 30s, no_data: pass, hold_limit: 10m, on_hold_limit: rollback,"
	    " pace: clock, metrics: [{alarm: ab}, {errors: {max_rate: 0.0001%, min_invocations: 3}}]}\n"
	    "on_failure: pause\nstart: manual\n");
	const struct rollout_spec *s = &p->spec;
	assert_string_equal(p->function, "my_fn");
	assert_string_equal(p->function_arn, "arn:aws-cn:lambda:cn-north-1:123456789012:function:my_fn");
	assert_string_equal(p->region, "cn-north-1");
	assert_string_equal(p->account, "main");
	assert_int_equal(p->version_kind, PLAN_VERSION_LATEST);
	assert_int_equal(s->n_steps, 2);
	assert_int_equal(s->steps[0].weight_bp, 250);
	assert_int_equal(s->steps[0].bake_ms, 90 * MS_PER_SECOND);
	assert_int_equal(s->steps[0].min_invocations, 7);
	assert_false(s->steps[0].approve);
	assert_true(s->steps[1].approve);
	assert_int_equal(s->final_bake_ms, MS_PER_DAY);
	assert_int_equal(s->final_min_invocations, 9);
	assert_int_equal(s->analysis.every_ms, 5 * MS_PER_SECOND);
	assert_int_equal(s->analysis.settle_ms, 0);
	assert_int_equal(s->analysis.period_ms, 30 * MS_PER_SECOND);
	assert_int_equal(s->analysis.no_data, SPEC_NO_DATA_PASS);
	assert_int_equal(s->analysis.hold_limit_ms, 10 * MS_PER_MINUTE);
	assert_int_equal(s->analysis.on_hold_limit, SPEC_ROLLBACK);
	assert_int_equal(s->analysis.pace, SPEC_PACE_CLOCK);
	assert_int_equal(s->analysis.n_metrics, 2);
	assert_string_equal(s->analysis.metrics[0].alarm, "ab");
	assert_int_equal(s->analysis.metrics[1].max_rate_ppm, 1);
	assert_int_equal(s->analysis.metrics[1].min_invocations, 3);
	assert_int_equal(s->on_failure, SPEC_PAUSE);
	assert_true(s->start_manual);
}

/* The metrics of a plan that has nothing else. */
static struct plan *load_metrics(const char *metrics)
{
	cleanup(mem_free_p) char *text = mem_printf(HEAD "analysis:\n  metrics:\n%s", metrics);
	struct plan *p = load(text);
	spec_require(&p->spec);
	return p;
}

static void test_counted_metrics(void **state)
{
	(void)state;
	cleanup(plan_free_p) struct plan *p =
	    load_metrics("    - errors: {max_rate: 2%}\n"
			 "    - errors: {max_rate: 0%, min_invocations: 7, failure_limit: 1000, dry_run: true}\n"
			 "    - errors: {compare: stable, false_alarm: 0.0001%, min_effect: 1.5, min_invocations: 9, "
			 "dry_run: true}\n"
			 "    - throttles: {max_rate: 3%}\n"
			 "    - api_5xx: {api: 'my api', stage: prod, max_rate: 0.5%}\n"
			 "    - api_5xx: {api: a1b2, stage: $default, type: http, max_rate: 1%, min_invocations: 6, "
			 "failure_limit: 3}\n");
	const struct spec_metric *m = p->spec.analysis.metrics;
	assert_int_equal(p->spec.analysis.n_metrics, 6);
	assert_int_equal(m[0].kind, SPEC_METRIC_ERRORS);
	assert_int_equal(m[0].max_rate_ppm, 20000);
	assert_int_equal(m[0].min_invocations, 50);
	assert_int_equal(m[0].failure_limit, 1);
	assert_false(m[0].dry_run);
	assert_int_equal(m[1].min_invocations, 7);
	assert_int_equal(m[1].failure_limit, 1000);
	assert_true(m[1].dry_run);
	assert_int_equal(m[2].kind, SPEC_METRIC_COMPARE);
	assert_int_equal(m[2].false_alarm_ppm, 1);
	assert_int_equal(m[2].min_effect_permille, 1500);
	assert_int_equal(m[2].min_invocations, 9);
	assert_int_equal(m[2].failure_limit, 0);
	assert_true(m[2].dry_run);
	assert_int_equal(m[3].kind, SPEC_METRIC_THROTTLES);
	assert_int_equal(m[3].max_rate_ppm, 30000);
	assert_int_equal(m[3].min_invocations, 50);
	assert_int_equal(m[3].failure_limit, 1);
	assert_int_equal(m[4].kind, SPEC_METRIC_API_5XX);
	assert_string_equal(m[4].api, "my api");
	assert_string_equal(m[4].stage, "prod");
	assert_false(m[4].http_api);
	assert_int_equal(m[4].max_rate_ppm, 5000);
	assert_int_equal(m[4].min_invocations, 50);
	assert_string_equal(m[5].stage, "$default");
	assert_true(m[5].http_api);
	assert_int_equal(m[5].min_invocations, 6);
	assert_int_equal(m[5].failure_limit, 3);
}

static void test_duration_metrics(void **state)
{
	(void)state;
	cleanup(plan_free_p) struct plan *p = load_metrics(
	    "    - duration: {stat: p99.95, max: 800ms}\n"
	    "    - duration: {stat: Average, max: 15m, max_ratio: 1.05, warm_up: 30s, min_invocations: 5,\n"
	    "        failure_limit: 2, dry_run: true}\n"
	    "    - alarm: {name: quiet, dry_run: true}\n"
	    "    - alarm: {name: loud}\n");
	const struct spec_metric *m = p->spec.analysis.metrics;
	assert_int_equal(m[0].kind, SPEC_METRIC_DURATION);
	assert_string_equal(m[0].stat, "p99.95");
	assert_int_equal(m[0].max_us, 800000);
	assert_int_equal(m[0].max_ratio_permille, 0);
	assert_int_equal(m[0].warm_up_ms, 3 * MS_PER_MINUTE);
	assert_int_equal(m[0].min_invocations, 20);
	assert_int_equal(m[0].failure_limit, 1);
	assert_int_equal(m[1].max_us, 900000000);
	assert_int_equal(m[1].max_ratio_permille, 1050);
	assert_int_equal(m[1].warm_up_ms, 30 * MS_PER_SECOND);
	assert_int_equal(m[1].min_invocations, 5);
	assert_int_equal(m[1].failure_limit, 2);
	assert_true(m[1].dry_run);
	assert_string_equal(m[2].alarm, "quiet");
	assert_true(m[2].dry_run);
	assert_string_equal(m[3].alarm, "loud");
	assert_false(m[3].dry_run);
}

static void test_query_metrics(void **state)
{
	(void)state;
	cleanup(plan_free_p) struct plan *p = load_metrics(
	    "    - query:\n"
	    "        metric_data_queries:\n"
	    "          - Id: depth\n"
	    "            MetricStat:\n"
	    "              Stat: Maximum\n"
	    "              Metric: {MetricName: Depth, Namespace: AWS/SQS, Dimensions: [{Name: Queue, Value: 007}]}\n"
	    "              Period: 060\n"
	    "            ReturnData: false\n"
	    "          - {ReturnData: true, Id: e, Expression: \"depth > 1\\n\", Period: 60, AccountId: 012345678901}\n"
	    "        max: 250\n        failure_limit: 2\n        dry_run: true\n"
	    "    - query: {metric_data_queries: [{Id: only, Expression: x, Period: 60}], min: -0.25}\n");
	const struct spec_metric *m = p->spec.analysis.metrics;
	assert_int_equal(m[0].kind, SPEC_METRIC_QUERY);
	assert_string_equal(
	    m[0].queries,
	    "[{\"Id\":\"depth\",\"MetricStat\":{\"Stat\":\"Maximum\",\"Metric\":{\"MetricName\":\"Depth\","
	    "\"Namespace\":\"AWS/SQS\",\"Dimensions\":[{\"Name\":\"Queue\",\"Value\":\"007\"}]},"
	    "\"Period\":60},\"ReturnData\":false},{\"ReturnData\":true,\"Id\":\"e\","
	    "\"Expression\":\"depth > 1\\n\",\"Period\":60,\"AccountId\":\"012345678901\"}]");
	assert_string_equal(m[0].returns, "e");
	assert_true(m[0].has_max);
	assert_false(m[0].has_min);
	assert_float_equal(m[0].max, 250, 0);
	assert_int_equal(m[0].failure_limit, 2);
	assert_true(m[0].dry_run);
	assert_string_equal(m[1].returns, "only");
	assert_true(m[1].has_min);
	assert_false(m[1].has_max);
	assert_float_equal(m[1].min, -0.25, 0);
	assert_int_equal(m[1].failure_limit, 1);
}

static void test_probes(void **state)
{
	(void)state;
	static const struct {
		const char *rate;
		int64_t every_ms;
		const char *again;
	} rates[] = {
	    {"1/s", 1000, "1/s"},     {"10/s", 100, "10/s"},  {"3/s", 334, "3/s"},	{"30/m", 2000, "30/m"},
	    {"60/m", 1000, "1/s"},    {"7/m", 8572, "7/m"},   {"10/h", 360000, "10/h"}, {"1/h", 3600000, "1/h"},
	    {"36000/h", 100, "10/s"}, {"601/m", 100, "10/s"}, {"07/h", 514286, "7/h"},
	};
	for (size_t i = 0; i < array_len(rates); i++) {
		cleanup(mem_free_p) char *text =
		    mem_printf(HEAD "analysis: {probe: {invoke: a.json, rate: %s}}\n", rates[i].rate);
		cleanup(mem_free_p) char *want = mem_printf("\"rate\": \"%s\"", rates[i].again);
		cleanup(plan_free_p) struct plan *p = load(text);
		assert_string_equal(p->spec.probe.payload, "a.json");
		assert_int_equal(p->spec.probe.every_ms, rates[i].every_ms);
		assert_true(p->spec.analysis.metrics[0].count_probes);
		assert_non_null(strstr(p->normalized, want));
	}
	cleanup(plan_free_p) struct plan *p =
	    load(HEAD "analysis:\n  probe: {invoke: a.json, rate: 1/s}\n  metrics:\n"
		      "    - errors: {compare: stable}\n    - errors: {max_rate: 1%, probes: ignore}\n"
		      "    - throttles: {max_rate: 1%}\n");
	const struct spec_metric *m = p->spec.analysis.metrics;
	assert_true(m[0].count_probes);
	assert_false(m[1].count_probes);
	assert_false(m[2].count_probes);
}

static void test_experiments(void **state)
{
	(void)state;
	cleanup(plan_free_p) struct plan *back = load(HEAD "experiment: {weight: 50%, for: 24h}\n");
	assert_true(back->spec.experiment);
	assert_true(back->spec.experiment_ends_home);
	assert_int_equal(back->spec.n_steps, 1);
	assert_int_equal(back->spec.steps[0].weight_bp, 5000);
	assert_int_equal(back->spec.steps[0].bake_ms, MS_PER_DAY);
	assert_int_equal(back->spec.final_bake_ms, 0);
	cleanup(plan_free_p) struct plan *on =
	    load(HEAD "experiment: {weight: 0.5%, for: 1h, then: on}\nfinal_bake: 5m\n");
	assert_true(on->spec.experiment);
	assert_false(on->spec.experiment_ends_home);
	assert_int_equal(on->spec.steps[0].weight_bp, 50);
	assert_int_equal(on->spec.final_bake_ms, 5 * MS_PER_MINUTE);
	spec_require(&on->spec);
}

/* What plans said before there were other metrics keeps its text, so that a stored plan keeps its hash. */
static void test_hash_of_old_plans(void **state)
{
	(void)state;
	cleanup(plan_free_p) struct plan *p =
	    load(HEAD "analysis: {metrics: [{errors: {max_rate: 1%}}, {alarm: a}]}\n");
	assert_non_null(strstr(p->normalized, "\"metrics\": [{\"errors\": {\"max_rate\": \"1%\", "
					      "\"min_invocations\": 50}}, {\"alarm\": \"a\"}]}"));
	cleanup(plan_free_p) struct plan *same =
	    load(HEAD "analysis: {metrics: [{errors: {max_rate: 1%, failure_limit: 1, dry_run: false}}, "
		      "{alarm: {name: a}}]}\n");
	assert_string_equal(p->hash, same->hash);
}

static void test_every_follows_short_periods(void **state)
{
	(void)state;
	static const struct {
		const char *analysis;
		int64_t every_ms;
	} cases[] = {
	    {"analysis: {period: 10s}", 10 * MS_PER_SECOND},
	    {"analysis: {period: 60s}", MS_PER_MINUTE},
	    {"analysis: {period: 5m}", MS_PER_MINUTE},
	    {"analysis: {period: 10s, every: 60s}", MS_PER_MINUTE},
	    {"analysis: {period: 5m, every: 10s}", 10 * MS_PER_SECOND},
	};
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup(mem_free_p) char *text = mem_printf(HEAD "%s\n", cases[i].analysis);
		cleanup(plan_free_p) struct plan *p = load(text);
		assert_int_equal(p->spec.analysis.every_ms, cases[i].every_ms);
	}
}

static void assert_hashes(const char *a_text, const char *b_text, bool equal)
{
	cleanup(plan_free_p) struct plan *a = load(a_text);
	cleanup(plan_free_p) struct plan *b = load(b_text);
	if ((strcmp(a->hash, b->hash) == 0) != equal)
		fail_msg("%s\n%s\nshould be %s:\n%s\n%s", a_text, b_text, equal ? "equal" : "different", a->normalized,
			 b->normalized);
}

/* The hash covers name, target, version and behaviour, however they were written. */
static void test_hash(void **state)
{
	(void)state;
	static const char *const same[][2] = {
	    {HEAD, HEAD "strategy: Canary10Percent5Minutes\n"},
	    {HEAD, HEAD "strategy: CodeDeployDefault.LambdaCanary10Percent5Minutes\n"},
	    {HEAD, HEAD "steps: [{weight: 10.0%, bake: 300s}]\nfinal_bake: 0\n"},
	    {HEAD, HEAD "steps: [{weight: 10%, bake: 5m}, {weight: 100%}]\n"},
	    {HEAD, HEAD "# said\n\naccount: \"default\"\nanalysis: {}\nstart: auto\n"},
	    {HEAD, HEAD "analysis: {metrics: [{errors: {false_alarm: 1.00%, compare: stable}}], every: 60s}\n"},
	    {HEAD "experiment: {weight: 50%, for: 1d}\n", HEAD "experiment: {then: back, for: 24h, weight: 50.00%}\n"},
	    {HEAD "final_bake: 1h\n", HEAD "steps: [{weight: 10%, bake: 5m}, {weight: 100%, bake: 60m}]\n"},
	    {HEAD "strategy: AllAtOnce\n", HEAD "steps: [{weight: 100%}]\n"},
	};
	static const char *const different[] = {
	    "start: manual\n",
	    "on_failure: pause\n",
	    "final_bake: 1s\n",
	    "account: other\n",
	    "region: us-east-1\n",
	    "strategy: AllAtOnce\n",
	    "strategy: Linear10PercentEvery1Minute\n",
	    "steps: [{weight: 10%, bake: 5m, approve: true}]\n",
	    "steps: [{weight: 10%, bake: 5m, min_invocations: 1}]\n",
	    "steps: [{weight: 10%, bake: 5m}, {weight: 100%, bake: 1s, min_invocations: 1}]\n",
	    "analysis: {every: 61s}\n",
	    "analysis: {settle: 61s}\n",
	    "analysis: {period: 2m}\n",
	    "analysis: {no_data: pass}\n",
	    "analysis: {hold_limit: 61m}\n",
	    "analysis: {on_hold_limit: rollback}\n",
	    "analysis: {pace: clock}\n",
	    "analysis: {metrics: [{alarm: x}]}\n",
	    "analysis: {metrics: [{alarm: y}]}\n",
	    "analysis: {metrics: [{errors: {max_rate: 1.0001%}}]}\n",
	    "analysis: {metrics: [{errors: {max_rate: 1%, min_invocations: 51}}]}\n",
	    "analysis: {metrics: [{errors: {max_rate: 1%, min_invocations: 51, failure_limit: 2}}]}\n",
	    "analysis: {metrics: [{errors: {max_rate: 1%, min_invocations: 51}}, {alarm: {name: x, dry_run: true}}]}\n",
	    "analysis: {metrics: [{errors: {compare: stable, false_alarm: 2%}}]}\n",
	    "analysis: {metrics: [{errors: {compare: stable, min_effect: 1.251}}]}\n",
	    "analysis: {metrics: [{errors: {compare: stable, min_invocations: 2}}]}\n",
	    "analysis: {metrics: [{throttles: {max_rate: 1%}}]}\n",
	    "analysis: {metrics: [{duration: {stat: p99, max: 1s}}]}\n",
	    "analysis: {metrics: [{duration: {stat: p99, max: 1s, max_ratio: 1}}]}\n",
	    "analysis: {metrics: [{duration: {stat: p99, max: 1s, warm_up: 0}}]}\n",
	    "analysis: {metrics: [{api_5xx: {api: a, stage: b, max_rate: 1%}}]}\n",
	    "analysis: {metrics: [{api_5xx: {api: a, stage: b, max_rate: 1%, type: http}}]}\n",
	    "analysis: {metrics: [{query: {metric_data_queries: [{Id: a, Expression: x, Period: 60}], max: 1}}]}\n",
	    "analysis: {metrics: [{query: {metric_data_queries: [{Id: a, Expression: x, Period: 60}], min: 1}}]}\n",
	    "analysis: {metrics: [{query: {metric_data_queries: [{Expression: x, Id: a, Period: 60}], min: 1}}]}\n",
	    "analysis: {probe: {invoke: a, rate: 1/s}}\n",
	    "analysis: {probe: {invoke: a, rate: 2/s}}\n",
	    "analysis: {probe: {invoke: a, rate: 2/s}, metrics: [{errors: {compare: stable, probes: ignore}}]}\n",
	    "experiment: {weight: 10%, for: 5m}\n",
	    "experiment: {weight: 10%, for: 5m, then: on}\n",
	    "experiment: {weight: 10%, for: 5m, then: on}\nfinal_bake: 1s\n",
	};
	for (size_t i = 0; i < array_len(same); i++)
		assert_hashes(same[i][0], same[i][1], true);
	for (size_t i = 0; i < array_len(different); i++) {
		cleanup(mem_free_p) char *a = mem_printf(HEAD "%s", different[i]);
		assert_hashes(HEAD, a, false);
		for (size_t j = 0; j < i; j++) {
			cleanup(mem_free_p) char *b = mem_printf(HEAD "%s", different[j]);
			assert_hashes(a, b, false);
		}
	}
}

static void test_hash_is_of_the_text(void **state)
{
	(void)state;
	char hex[SHA256_HEX_SIZE];
	cleanup(plan_free_p) struct plan *p = load(HEAD);
	sha256_hex(p->normalized, strlen(p->normalized), hex);
	assert_string_equal(hex, p->hash);
}

static void assert_texts_equal(const char *a, const char *b)
{
	assert_int_equal(a != NULL, b != NULL);
	if (a)
		assert_string_equal(a, b);
}

static void assert_specs_equal(const struct rollout_spec *a, const struct rollout_spec *b)
{
	assert_int_equal(a->n_steps, b->n_steps);
	for (size_t i = 0; i < a->n_steps; i++) {
		assert_int_equal(a->steps[i].weight_bp, b->steps[i].weight_bp);
		assert_int_equal(a->steps[i].bake_ms, b->steps[i].bake_ms);
		assert_int_equal(a->steps[i].min_invocations, b->steps[i].min_invocations);
		assert_int_equal(a->steps[i].approve, b->steps[i].approve);
	}
	assert_int_equal(a->final_bake_ms, b->final_bake_ms);
	assert_int_equal(a->final_min_invocations, b->final_min_invocations);
	assert_int_equal(a->on_failure, b->on_failure);
	assert_int_equal(a->start_manual, b->start_manual);
	assert_int_equal(a->analysis.every_ms, b->analysis.every_ms);
	assert_int_equal(a->analysis.settle_ms, b->analysis.settle_ms);
	assert_int_equal(a->analysis.period_ms, b->analysis.period_ms);
	assert_int_equal(a->analysis.no_data, b->analysis.no_data);
	assert_int_equal(a->analysis.hold_limit_ms, b->analysis.hold_limit_ms);
	assert_int_equal(a->analysis.on_hold_limit, b->analysis.on_hold_limit);
	assert_int_equal(a->analysis.pace, b->analysis.pace);
	assert_int_equal(a->analysis.n_metrics, b->analysis.n_metrics);
	for (size_t i = 0; i < a->analysis.n_metrics; i++) {
		const struct spec_metric *x = &a->analysis.metrics[i], *y = &b->analysis.metrics[i];
		assert_int_equal(x->kind, y->kind);
		assert_int_equal(x->max_rate_ppm, y->max_rate_ppm);
		assert_int_equal(x->min_invocations, y->min_invocations);
		assert_int_equal(x->false_alarm_ppm, y->false_alarm_ppm);
		assert_int_equal(x->min_effect_permille, y->min_effect_permille);
		assert_int_equal(x->failure_limit, y->failure_limit);
		assert_int_equal(x->dry_run, y->dry_run);
		assert_int_equal(x->count_probes, y->count_probes);
		assert_texts_equal(x->alarm, y->alarm);
		assert_texts_equal(x->stat, y->stat);
		assert_int_equal(x->max_us, y->max_us);
		assert_int_equal(x->max_ratio_permille, y->max_ratio_permille);
		assert_int_equal(x->warm_up_ms, y->warm_up_ms);
		assert_texts_equal(x->api, y->api);
		assert_int_equal(x->http_api, y->http_api);
		assert_texts_equal(x->stage, y->stage);
		assert_texts_equal(x->queries, y->queries);
		assert_texts_equal(x->returns, y->returns);
		assert_int_equal(x->has_min, y->has_min);
		assert_int_equal(x->has_max, y->has_max);
		assert_memory_equal(&x->min, &y->min, sizeof(x->min));
		assert_memory_equal(&x->max, &y->max, sizeof(x->max));
	}
	assert_texts_equal(a->probe.payload, b->probe.payload);
	assert_int_equal(a->probe.every_ms, b->probe.every_ms);
	assert_int_equal(a->experiment, b->experiment);
	assert_int_equal(a->experiment_ends_home, b->experiment_ends_home);
}

/* load(normalize(p)) is p. */
static void assert_round_trip(const struct plan *p)
{
	cleanup(plan_free_p) struct plan *q = load(p->normalized);
	assert_string_equal(p->normalized, q->normalized);
	assert_string_equal(p->hash, q->hash);
	assert_texts_equal(p->name, q->name);
	assert_texts_equal(p->function, q->function);
	assert_texts_equal(p->function_arn, q->function_arn);
	assert_texts_equal(p->alias, q->alias);
	assert_texts_equal(p->region, q->region);
	assert_texts_equal(p->account, q->account);
	assert_texts_equal(p->strategy, q->strategy);
	assert_int_equal(p->version_kind, q->version_kind);
	assert_int_equal(p->version, q->version);
	assert_specs_equal(&p->spec, &q->spec);
	json_error_t error;
	json_t *json = json_loads(p->normalized, JSON_REJECT_DUPLICATES, &error);
	assert_non_null(json);
	json_decref(json);
}

static bool coin(struct prng *r)
{
	return prng_below(r, 2) == 1;
}

static const char *pick(struct prng *r, const char *const *words, size_t n)
{
	return words[prng_below(r, n)];
}

#define PICK(r, ...)                                                                                                   \
	pick((r), (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static void add_random_steps(struct prng *r, struct buf *b)
{
	uint64_t weight = 0;
	buf_add_text(b, "steps:\n");
	for (uint64_t left = 1 + prng_below(r, 12); left > 0; left--) {
		weight += 1 + prng_below(r, coin(r) ? 100 : 900);
		if (weight >= 10000)
			weight = 10000;
		char percent[16], bake[32];
		text_format_bp((uint32_t)weight, percent);
		text_format_duration(1 + (int64_t)prng_below(r, 10 * MS_PER_HOUR), bake);
		buf_addf(b, "  - {weight: %s, bake: %s", percent, bake);
		if (coin(r))
			buf_addf(b, ", min_invocations: %llu", (unsigned long long)prng_below(r, 1000));
		if (coin(r))
			buf_addf(b, ", approve: %s", weight < 10000 && coin(r) ? "true" : "false");
		buf_add_text(b, "}\n");
		if (weight == 10000)
			return;
	}
	if (coin(r))
		buf_addf(b, "final_bake: %s\n", PICK(r, "0", "0s", "1ms", "90s", "1h30m", "3d"));
}

static void add_random_errors(struct prng *r, struct buf *b, uint64_t i, bool probed)
{
	if (coin(r))
		buf_addf(b, "    - errors: {max_rate: %llu.%04llu%%", (unsigned long long)prng_below(r, 100),
			 (unsigned long long)prng_below(r, 10000));
	else
		buf_addf(b, "    - errors: {compare: stable, false_alarm: 0.%04llu%%, min_effect: %llu.%03llu",
			 (unsigned long long)(1 + prng_below(r, 9999)), (unsigned long long)(2 + prng_below(r, 98)),
			 (unsigned long long)prng_below(r, 1000));
	buf_addf(b, ", min_invocations: %llu", (unsigned long long)(i + 100 * prng_below(r, 100)));
	if (probed && coin(r))
		buf_addf(b, ", probes: %s", PICK(r, "count", "ignore"));
}

static void add_random_query(struct prng *r, struct buf *b, uint64_t i, unsigned period_s)
{
	buf_add_text(b, "    - query: {metric_data_queries: [");
	for (uint64_t n = prng_below(r, 4); n > 0; n--)
		buf_addf(b, "{ReturnData: false, Period: %u, Id: q%llu, Expression: %s}, ", period_s,
			 (unsigned long long)n, PICK(r, "x", "\"a\\t\\u263a'\"", "'SUM(METRICS())'"));
	buf_addf(b, "{Id: m%llu, MetricStat: {Period: %u, Stat: Sum, Metric: {MetricName: %s, Namespace: N}}}]",
		 (unsigned long long)i, period_s, PICK(r, "M", "007", "true", "'\"'", "größe"));
	buf_addf(b, ", %s: %s%llu.%llu", PICK(r, "max", "min"), PICK(r, "-", ""),
		 (unsigned long long)prng_below(r, 1000000), (unsigned long long)prng_below(r, 1000000000));
}

static void add_random_metric(struct prng *r, struct buf *b, uint64_t i, unsigned period_s, bool probed)
{
	switch (prng_below(r, 6)) {
	case 0:
		buf_addf(b, "    - alarm: {name: \"%llu %s\"", (unsigned long long)i,
			 PICK(r, "x", "\\\"q\\\"", "\\\\", "größe", "日本", "{a: b}", "'", "# no", "\xf0\x9f\x9a\x80"));
		break;
	case 1:
		buf_addf(b, "    - throttles: {max_rate: %llu.5%%", (unsigned long long)i);
		break;
	case 2:
		buf_addf(b, "    - duration: {stat: p%llu.%llu, max: %llums, warm_up: %s",
			 (unsigned long long)prng_below(r, 100), (unsigned long long)prng_below(r, 100),
			 (unsigned long long)(1 + prng_below(r, 900000)), PICK(r, "0", "0s", "1ms", "90s", "1d"));
		break;
	case 3:
		buf_addf(b, "    - api_5xx: {api: a%llu, stage: %s, max_rate: 0%%, type: %s", (unsigned long long)i,
			 PICK(r, "prod", "1"), PICK(r, "rest", "http"));
		break;
	case 4:
		add_random_query(r, b, i, period_s);
		break;
	default:
		add_random_errors(r, b, i, probed);
		break;
	}
	buf_addf(b, "%s}\n", PICK(r, "", ", dry_run: true", ", dry_run: false"));
}

static void add_random_analysis(struct prng *r, struct buf *b)
{
	buf_addf(b, "analysis:\n  settle: %s\n", PICK(r, "0", "1s", "90s", "1h"));
	if (coin(r))
		buf_addf(b, "  every: %s\n", PICK(r, "1s", "59s", "10m"));
	static const unsigned periods_s[] = {60, 30, 120, 3600};
	unsigned period_s = periods_s[prng_below(r, array_len(periods_s))];
	if (period_s != 60 || coin(r))
		buf_addf(b, "  period: %us\n", period_s);
	if (coin(r))
		buf_addf(b, "  no_data: %s\n", PICK(r, "hold", "pass", "rollback"));
	if (coin(r))
		buf_addf(b, "  hold_limit: %s\n", PICK(r, "600001ms", "10m", "14d"));
	if (coin(r))
		buf_addf(b, "  on_hold_limit: %s\n  pace: %s\n", PICK(r, "pause", "rollback"),
			 PICK(r, "clock", "evidence"));
	if (coin(r))
		return;
	bool probed = coin(r);
	if (probed)
		buf_addf(b, "  probe: {invoke: %s, rate: %llu/%s}\n", PICK(r, "a.json", "'b c/d'"),
			 (unsigned long long)(1 + prng_below(r, 10)), PICK(r, "s", "m", "h"));
	buf_add_text(b, "  metrics:\n");
	for (uint64_t i = prng_below(r, LIMIT_METRICS) + 1; i > 0; i--)
		add_random_metric(r, b, i, period_s, probed);
}

static void random_plan(struct prng *r, struct buf *b)
{
	bool watched = true;
	buf_addf(b, "apiVersion: rolloutd/v1\nkind: Rollout\nname: n%llu\nalias: %s\n",
		 (unsigned long long)prng_below(r, 100), PICK(r, "prod", "1a", "_", "'-'"));
	buf_addf(b, "function: %s\n",
		 PICK(r, "hello", "f_-9", "123456789012:function:f",
		      "arn:aws:lambda:us-east-1:123456789012:function:hello"));
	buf_addf(b, "version: %s\n", PICK(r, "latest", "1", "\"77\"", "9007199254740991"));
	if (coin(r))
		buf_addf(b, "region: us-east-1\naccount: %s\n", PICK(r, "default", "a.b_c-D", "123"));
	if (coin(r)) {
		buf_addf(b, "on_failure: %s\n", PICK(r, "pause", "rollback"));
		buf_addf(b, "start: %s\n", PICK(r, "auto", "manual"));
	}
	switch (prng_below(r, 5)) {
	case 0:
		add_random_steps(r, b);
		break;
	case 3:
		buf_addf(b, "experiment: {weight: %s, for: %s", PICK(r, "50%", "0.01%", "99.99%"),
			 PICK(r, "1d", "90s"));
		buf_add_text(b, coin(r) ? "}\n" : ", then: on}\nfinal_bake: 5m\n");
		break;
	case 1:
		buf_addf(b, "strategy: %sLinear%lluPercentEvery%lluMinutes\n", PICK(r, "", "CodeDeployDefault.Lambda"),
			 (unsigned long long)(1 + prng_below(r, 99)), (unsigned long long)(1 + prng_below(r, 90)));
		break;
	case 2:
		watched = coin(r);
		buf_addf(b, "strategy: AllAtOnce\n%s", watched ? "final_bake: 1h\n" : "");
		break;
	default:
		break;
	}
	if (watched && coin(r))
		add_random_analysis(r, b);
}

/* The generator may by chance write two equal metrics, or too long a rollout for its period. */
static void assert_unlucky(const char *text, const struct diags *d)
{
	for (size_t i = 0; i < d->len; i++) {
		const struct diag *item = &d->items[i];
		if (item->severity == DIAG_ERROR && !strstr(item->text, "is the same as") &&
		    !strstr(item->text, "the bakes add up") && !strstr(item->text, "needs a bake"))
			fail_msg("%s\n%u:%u: %s", text, item->line, item->column, item->text);
	}
}

static void test_round_trip(void **state)
{
	(void)state;
	struct prng r;
	int good = 0;
	prng_init(&r, 20261122);
	for (int i = 0; i < 5000; i++) {
		cleanup(buf_deinit) struct buf b = BUF_INIT(LIMIT_PLAN_BYTES);
		random_plan(&r, &b);
		cleanup(diags_deinit) struct diags d = {0};
		cleanup(plan_free_p) struct plan *p = plan_load(buf_text(&b), b.len, &d);
		if (!p) {
			assert_unlucky(buf_text(&b), &d);
			continue;
		}
		assert_round_trip(p);
		good++;
	}
	assert_true(good > 4000);
}

/* The largest plan that is accepted must still have a normalised form that can be read. */
static void test_largest_round_trip(void **state)
{
	(void)state;
	cleanup(buf_deinit) struct buf b = BUF_INIT(LIMIT_PLAN_BYTES);
	buf_add_text(&b, HEAD "steps:\n");
	for (int i = 1; i <= LIMIT_STEPS; i++)
		buf_addf(&b, "- {weight: %d.%02d%%, bake: 1h59m58s%dms, min_invocations: 1000000000000}\n", i / 2,
			 i % 2 ? 55 : 5, i);
	buf_add_text(&b, "analysis:\n  period: 1h\n  metrics:\n");
	for (int i = 0; i < LIMIT_METRICS; i++) {
		buf_add_text(&b, "  - alarm: '");
		for (int j = 0; j < LIMIT_ALARM_NAME - 2; j++)
			buf_add_text(&b, i % 2 ? "\"" : "\xf0\x9f\x9a\x80");
		buf_addf(&b, "%02d'\n", i);
	}
	cleanup(plan_free_p) struct plan *p = load(buf_text(&b));
	assert_true(strlen(p->normalized) > 20000);
	assert_round_trip(p);
}

/* Whatever is cut off or changed, there is a plan or an error, and nothing else. */
static void test_damaged(void **state)
{
	(void)state;
	static const char text[] = HEAD "steps:\n  - {weight: 5%, bake: 5m}\n  - {weight: 100%, bake: 1h}\n"
					"analysis:\n  metrics:\n    - errors: {max_rate: 1%}\n    - alarm: \"a b\"\n";
	struct prng r;
	prng_init(&r, 7);
	for (size_t len = 0; len < sizeof(text); len++) {
		cleanup(diags_deinit) struct diags d = {0};
		cleanup(plan_free_p) struct plan *p = plan_load(text, len, &d);
		assert_true((p == NULL) == (d.errors > 0));
	}
	for (int i = 0; i < 5000; i++) {
		char copy[sizeof(text)];
		memcpy(copy, text, sizeof(text));
		for (uint64_t n = 1 + prng_below(&r, 3); n > 0; n--)
			copy[prng_below(&r, sizeof(text) - 1)] = "{}[]:,-#&*!|>'\"%@`\n \t5"[prng_below(&r, 22)];
		(void)is_refused(copy);
	}
}

/* Errors that were there before are not this plan's. */
static void test_diags_may_hold_others(void **state)
{
	(void)state;
	cleanup(diags_deinit) struct diags d = {0};
	diags_add(&d, DIAG_ERROR, 1, 1, "of another file");
	cleanup(plan_free_p) struct plan *p = plan_load(HEAD, strlen(HEAD), &d);
	assert_non_null(p);
	assert_int_equal(d.errors, 1);
	plan_free(NULL);
}

static void test_schema_is_json(void **state)
{
	(void)state;
	cleanup(buf_deinit) struct buf b = BUF_INIT(256 * 1024);
	json_error_t error;
	plan_print_schema(&b);
	json_t *json = json_loads(buf_text(&b), JSON_REJECT_DUPLICATES, &error);
	if (!json)
		fail_msg("line %d: %s", error.line, error.text);
	json_t *rollout = json_object_get(json, "else");
	json_t *steps = json_object_get(json_object_get(rollout, "properties"), "steps");
	assert_int_equal(json_integer_value(json_object_get(steps, "maxItems")), LIMIT_STEPS + 1);
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_defaults),
	    cmocka_unit_test(test_values),
	    cmocka_unit_test(test_counted_metrics),
	    cmocka_unit_test(test_duration_metrics),
	    cmocka_unit_test(test_query_metrics),
	    cmocka_unit_test(test_probes),
	    cmocka_unit_test(test_experiments),
	    cmocka_unit_test(test_hash_of_old_plans),
	    cmocka_unit_test(test_every_follows_short_periods),
	    cmocka_unit_test(test_hash),
	    cmocka_unit_test(test_hash_is_of_the_text),
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_largest_round_trip),
	    cmocka_unit_test(test_damaged),
	    cmocka_unit_test(test_diags_may_hold_others),
	    cmocka_unit_test(test_schema_is_json),
	};
	return cmocka_run_group_tests_name("plan loading", tests, NULL, NULL);
}
