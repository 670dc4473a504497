/*
 * Polls of all kinds of metrics against the simulated CloudWatch: what is asked for and in how many calls, where the
 * values land, what a query that CloudWatch refuses does to others, the stable version's history, and alarms.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/mem.h"
#include "base/text.h"
#include "engine/record_values.h"
#include "engine_bench.h"

#define STAT(namespace, name)                                                                                          \
	"\"MetricStat\":{\"Metric\":{\"Namespace\":\"" namespace "\",\"MetricName\":\"" name                           \
								 "\",\"Dimensions\":[]},\"Period\":60,\"Stat\":"       \
								 "\"Average\"}"

static const char world_text[] =
    "seed: 7\n"
    "functions:\n"
    "  hello:\n"
    "    versions: {1: {latency: 100ms}, 2: {latency: 150ms}, 3: {latency: 900ms}, 4: {throttle_rate: 50%}}\n"
    "    aliases: {prod: {version: 1}}\n"
    "  other:\n"
    "    versions: {1: {}, 2: {}}\n"
    "    aliases: {prod: {version: 1}}\n"
    "traffic: [{function: hello, alias: prod, rps: 20}, {function: other, alias: prod, rps: 20}]\n"
    "gauges: [{namespace: Shop, metric: Age, value: 12}, {namespace: Shop, metric: Rest, value: 4}]\n"
    "alarms: [{name: bad, state: ALARM}]\n"
    "metrics: {delay: 30s}\n";

static const struct spec_metric threshold = {
    .kind = SPEC_METRIC_ERRORS, .max_rate_ppm = 10000, .min_invocations = 50, .failure_limit = 1};
static const struct spec_metric duration = {.kind = SPEC_METRIC_DURATION,
					    .stat = "p99",
					    .max_us = 800000,
					    .max_ratio_permille = 2000,
					    .min_invocations = 20,
					    .failure_limit = 1};
static const struct spec_metric throttles = {
    .kind = SPEC_METRIC_THROTTLES, .max_rate_ppm = 10000, .min_invocations = 50, .failure_limit = 1};
static const struct spec_metric ratio = {.kind = SPEC_METRIC_QUERY,
					 .queries = "[{\"Id\":\"m1\"," STAT("Shop", "Age") "},{\"Id\":\"m2\"," STAT(
					     "Shop", "Rest") "},{\"Id\":\"share\",\"Expression\":\"m1/m2\"}]",
					 .returns = "share",
					 .failure_limit = 2,
					 .has_max = true,
					 .max = 10};
/* The simulated CloudWatch does not have that function. */
static const struct spec_metric refused = {.kind = SPEC_METRIC_QUERY,
					   .queries = "[{\"Id\":\"m1\",\"Expression\":\"NOSUCH(1)\"}]",
					   .returns = "m1",
					   .failure_limit = 1,
					   .has_max = true,
					   .max = 10};

/* What the calls to CloudWatch were. */
struct watcher {
	unsigned calls;	   /* of GetMetricData */
	unsigned history;  /* of them, for history */
	size_t most;	   /* queries in one */
	bool lose_history; /* an error instead of it */
	bool several;	   /* the seventh query has two results */
	bool lose_alarms;  /* DescribeAlarms is not allowed */
	unsigned alarms;   /* calls of it */
};

static size_t queries_in(const char *body)
{
	json_t *j = json_loads(body, JSON_REJECT_DUPLICATES, NULL);
	size_t n = json_array_size(json_object_get(j, "MetricDataQueries"));

	json_decref(j);
	return n;
}

static void see(struct bench *b, const struct http_request *r, struct world_reply *reply)
{
	static const char broken[] = "{\"__type\":\"InternalServiceFault\"}";
#define EMPTY(id) "{\"Id\":\"" id "\",\"StatusCode\":\"Complete\",\"Timestamps\":[],\"Values\":[]}"
	static const char twice[] = "{\"MetricDataResults\":[" EMPTY("q0") "," EMPTY("q1") "," EMPTY("q2") "," EMPTY(
	    "q3") "," EMPTY("q6") "," EMPTY("q6") "]}";
	struct watcher *w = b->sent_ctx;
	static const char denied[] = "{\"__type\":\"AccessDenied\",\"message\":\"no DescribeAlarms\"}";
	bool history;

	if (r->body && strstr(r->body, "AlarmNames")) {
		w->alarms++;
		if (w->lose_alarms)
			reply->response =
			    (struct http_response){.status = 403, .body = denied, .body_len = sizeof(denied) - 1};
	}
	if (!r->body || !strstr(r->body, "MetricDataQueries"))
		return;
	history = strstr(r->body, "\"Period\":300") != NULL;
	w->calls++;
	w->history += history;
	if (queries_in(r->body) > w->most)
		w->most = queries_in(r->body);
	if (w->several)
		reply->response = (struct http_response){.status = 200, .body = twice, .body_len = sizeof(twice) - 1};
	if (history && w->lose_history)
		reply->response = (struct http_response){.status = 400, .body = broken, .body_len = sizeof(broken) - 1};
}

static struct bench *start_bench(struct watcher *w)
{
	struct bench *b = bench_new_world(world_text);

	*w = (struct watcher){0};
	b->sent_ctx = w;
	b->answers = see;
	return b;
}

/* A rollout of that function to that version, 2m and 2m, with these metrics, which no plan can say yet. */
static void take(struct bench *b, const char *name, const char *function, int version,
		 const struct spec_metric *metrics, size_t n)
{
	struct diags *diags cleanup(mem_free_p) = mem_alloc(sizeof(*diags));
	char text[512], answer[LIMIT_REASON];
	struct plan *p;

	(void)snprintf(text, sizeof(text),
		       "apiVersion: rolloutd/v1\nkind: Rollout\nname: %s\nfunction: %s\nalias: prod\nversion: %d\n"
		       "steps: [{weight: 10%%, bake: 2m}, {weight: 50%%, bake: 2m}]\nfinal_bake: 3m\n",
		       name, function, version);
	p = plan_load(text, strlen(text), diags);
	assert_non_null(p);
	diags_deinit(diags);
	p->spec.analysis.metrics = metrics;
	p->spec.analysis.n_metrics = n;
	assert_int_equal(engine_take_plan(b->e, p, name, name, "", answer), INTAKE_STARTED);
}

static struct item *item_of(struct bench *b, const char *name)
{
	struct item *i = strmap_get(&b->e->by_name, name);

	assert_non_null(i);
	return i;
}

/* One value of the last but so many samples; NAN: none. */
static double value_of(struct bench *b, const char *name, size_t back, size_t value)
{
	const struct samples *s = &item_of(b, name)->samples;

	assert_true(s->len > back && value < s->n_values);
	return samples_values(s, s->len - 1 - back)[value];
}

/* --- values --- */

static void every_kind_is_read(void **state)
{
	struct spec_metric metrics[] = {threshold, duration, throttles, ratio};
	struct watcher w;
	struct bench *b = start_bench(&w);

	(void)state;
	bench_run_for(b, 10 * MS_PER_MINUTE);
	take(b, "hello", "hello", 2, metrics, 4);
	bench_run_for(b, 4 * MS_PER_MINUTE);
	assert_int_equal(item_of(b, "hello")->samples.n_values, 5);
	assert_true(value_of(b, "hello", 0, 0) == 150);
	assert_true(value_of(b, "hello", 0, 1) == 100);
	assert_true(value_of(b, "hello", 0, 2) == 0);
	assert_true(value_of(b, "hello", 0, 3) > 1000 && value_of(b, "hello", 0, 3) < 1400);
	assert_true(value_of(b, "hello", 0, 4) == 3);
	assert_true(w.most == 4 + 2 + 2 + 3);
	assert_int_equal(w.history, 0);
	bench_run_for(b, 20 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_SUCCEEDED);
	bench_free(b);
}

/* Once all traffic is the canary's, its durations are the alias's, and the stable version's are not asked for. */
static void durations_after_the_promotion_are_the_aliass(void **state)
{
	struct spec_metric metrics[] = {threshold, duration};
	struct watcher w;
	struct bench *b = start_bench(&w);
	const struct samples *s;

	(void)state;
	metrics[1].stat = "Average"; /* of the alias: a mixture, as long as both versions serve */
	take(b, "hello", "hello", 2, metrics, 2);
	for (int i = 0; i < 100 && item_of(b, "hello")->state.phase != PHASE_BAKING; i++)
		bench_run_for(b, 10 * MS_PER_SECOND);
	/* What is there of its own series is kept, and the alias's is not taken for it. */
	bench_admin(b, "POST", "/_localaws/faults",
		    "[{fault: metrics_missing, function: hello, metric: Duration, version: \"2\"}]");
	bench_run_for(b, 3 * MS_PER_MINUTE + 30 * MS_PER_SECOND);
	bench_assert_phase(b, "hello", PHASE_BAKING);
	assert_true(value_of(b, "hello", 0, 0) == 150);
	assert_true(isnan(value_of(b, "hello", 0, 1)));
	s = &item_of(b, "hello")->samples;
	assert_true(s->items[s->len - 1].start_unix_ms >= item_of(b, "hello")->state.promoted_unix_ms);
	/* The polls since have reached back before it, where the alias's series is not the canary's. */
	for (size_t i = 0; i < s->len; i++)
		assert_true(isnan(samples_values(s, i)[0]) || samples_values(s, i)[0] == 150);
	assert_true(samples_values(s, 0)[0] == 150);
	bench_run_for(b, 20 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_SUCCEEDED);
	bench_free(b);
}

static void expect_rolled_back(int version, const struct spec_metric *metric, const char *why)
{
	struct spec_metric metrics[] = {*metric};
	struct watcher w;
	struct bench *b = start_bench(&w);

	take(b, "hello", "hello", version, metrics, 1);
	bench_run_for(b, 15 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_ROLLED_BACK);
	if (!strstr(b->published, why))
		fail_msg("%s", b->published);
	bench_free(b);
}

static void each_of_them_brings_it_back(void **state)
{
	struct spec_metric low = ratio, slow = duration;

	(void)state;
	expect_rolled_back(3, &duration,
			   "the canary's p99 duration was 900 ms, the stable version's 100 ms in the period");
	slow.max_us = 0;
	expect_rolled_back(3, &slow, "at most 2 times that is allowed");
	expect_rolled_back(4, &throttles, "the alias throttled ");
	low.max = 2;
	expect_rolled_back(2, &low, "the query share was 3 in the period from");
}

/* --- history --- */

static void the_history_is_read_once(void **state)
{
	const struct spec_metric metrics[] = {
	    {.kind = SPEC_METRIC_COMPARE, .false_alarm_ppm = 10000, .min_effect_permille = 1250, .min_invocations = 1}};
	struct watcher w;
	struct bench *b = start_bench(&w);
	struct rollout r;

	(void)state;
	bench_run_for(b, 20 * MS_PER_MINUTE);
	w.lose_history = true;
	take(b, "hello", "hello", 2, metrics, 1);
	bench_run_for(b, 3 * MS_PER_MINUTE);
	/* That it could not be read changes nothing else, and it is asked for again. */
	assert_true(w.history >= 2);
	assert_false(item_of(b, "hello")->state.history.seen);
	assert_string_equal(item_of(b, "hello")->state.trouble, "");
	assert_true(item_of(b, "hello")->samples.len > 0);
	w.lose_history = false;
	w.history = 0;
	bench_run_for(b, 5 * MS_PER_MINUTE);
	r = item_of(b, "hello")->state;
	assert_true(r.history.seen);
	assert_int_equal(w.history, 1);
	/* From the world's beginning to the last five minutes before the first traffic, 20 a second. */
	assert_true(r.history.invocations > 20 * 60 * 14 && r.history.invocations < 20 * 60 * 21);
	assert_int_equal(r.history.errors, 0);
	bench_crash(b);
	bench_free(b);
}

/*
 * What the alias had before is the record of the version that served then. Held against that of a better one, a canary
 * that is as bad as the version it takes the place of would be sent back as soon as it serves alone.
 */
static void the_history_is_of_the_stable_version_alone(void **state)
{
	const struct spec_metric lenient = {
	    .kind = SPEC_METRIC_ERRORS, .max_rate_ppm = 500000, .min_invocations = 50, .failure_limit = 1};
	const struct spec_metric compare = {
	    .kind = SPEC_METRIC_COMPARE, .false_alarm_ppm = 10000, .min_effect_permille = 1250, .min_invocations = 1};
	struct watcher w;
	struct bench *b = start_bench(&w);

	(void)state;
	bench_admin(b, "PUT", "/_localaws/functions/hello/versions/2", "{error_rate: 10%}");
	bench_admin(b, "PUT", "/_localaws/functions/hello/versions/3", "{error_rate: 10%}");
	bench_run_for(b, 2 * MS_PER_HOUR);
	take(b, "first", "hello", 2, &lenient, 1);
	bench_run_for(b, 15 * MS_PER_MINUTE);
	bench_assert_phase(b, "first", PHASE_SUCCEEDED);
	bench_crash(b);
	take(b, "second", "hello", 3, &compare, 1);
	bench_run_for(b, 3 * MS_PER_MINUTE);
	/* Some seven minutes since the first one's promotion, and not two hours. */
	assert_true(item_of(b, "second")->state.history.seen);
	assert_true(item_of(b, "second")->state.history.invocations < 20 * 60 * 11);
	bench_run_for(b, 20 * MS_PER_MINUTE);
	bench_assert_phase(b, "second", PHASE_SUCCEEDED);
	bench_free(b);
}

/* Somebody else has moved the alias since: nobody knows when, so nothing is known of the version that it holds. */
static void a_version_that_somebody_else_put_there_has_no_history(void **state)
{
	const struct spec_metric lenient = {
	    .kind = SPEC_METRIC_ERRORS, .max_rate_ppm = 500000, .min_invocations = 50, .failure_limit = 1};
	const struct spec_metric compare = {
	    .kind = SPEC_METRIC_COMPARE, .false_alarm_ppm = 10000, .min_effect_permille = 1250, .min_invocations = 1};
	struct watcher w;
	struct bench *b = start_bench(&w);

	(void)state;
	take(b, "first", "hello", 2, &lenient, 1);
	bench_run_for(b, 15 * MS_PER_MINUTE);
	bench_assert_phase(b, "first", PHASE_SUCCEEDED);
	bench_admin(b, "PUT", "/_localaws/functions/hello/aliases/prod", "{version: 1}");
	bench_run_for(b, 15 * MS_PER_MINUTE);
	w.history = 0;
	take(b, "second", "hello", 3, &compare, 1);
	bench_run_for(b, 5 * MS_PER_MINUTE);
	assert_int_equal(w.history, 0);
	assert_true(item_of(b, "second")->state.history.seen);
	assert_int_equal(item_of(b, "second")->state.history.invocations, 0);
	bench_crash(b);
	bench_free(b);
}

/* What an attempt did in the minute in which the next one begins is not the next one's doing. */
static void an_attempt_is_not_judged_by_the_one_before(void **state)
{
	const struct spec_metric lenient = {
	    .kind = SPEC_METRIC_ERRORS, .max_rate_ppm = 900000, .min_invocations = 5000, .failure_limit = 1};
	struct watcher w;
	struct bench *b = start_bench(&w);
	char text[LIMIT_REASON];

	(void)state;
	bench_admin(b, "PUT", "/_localaws/functions/hello/versions/2", "{error_rate: 100%}");
	take(b, "hello", "hello", 2, &lenient, 1);
	bench_run_for(b, 40 * MS_PER_SECOND);
	assert_int_equal(bench_command(b, "hello", COMMAND_ROLLBACK), ENGINE_DONE);
	bench_run_for(b, 3 * MS_PER_SECOND);
	bench_assert_phase(b, "hello", PHASE_ROLLED_BACK);
	bench_admin(b, "PUT", "/_localaws/functions/hello/versions/2", "{error_rate: 0%}");
	assert_int_equal(engine_retry(b->e, "hello", "uid=0", "the table is back", text), ENGINE_DONE);
	bench_run_for(b, 25 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_SUCCEEDED);
	assert_int_equal(bench_look(b, "hello").attempt, 2);
	bench_free(b);
}

/* --- queries that CloudWatch refuses --- */

static void a_bad_query_blinds_nobody_else(void **state)
{
	struct spec_metric bad[] = {threshold, refused}, good[] = {threshold, ratio};
	struct watcher w;
	struct bench *b = start_bench(&w);

	(void)state;
	take(b, "hello", "hello", 2, bad, 2);
	take(b, "other", "other", 2, good, 2);
	bench_run_for(b, 15 * MS_PER_MINUTE);
	bench_assert_phase(b, "other", PHASE_SUCCEEDED);
	bench_assert_phase(b, "hello", PHASE_PROGRESSING);
	assert_true(item_of(b, "hello")->metrics_alone);
	if (!strstr(item_of(b, "hello")->state.trouble, "does not have the function NOSUCH"))
		fail_msg("%s", item_of(b, "hello")->state.trouble);
	bench_free(b);
}

/* The next polls do not try them together again. */
static void a_bad_query_stays_alone(void **state)
{
	struct spec_metric bad[] = {threshold, refused}, good[] = {threshold};
	struct watcher w;
	struct bench *b = start_bench(&w);
	unsigned calls;

	(void)state;
	take(b, "hello", "hello", 2, bad, 2);
	take(b, "other", "other", 2, good, 1);
	for (int i = 0; i < 100 && !item_of(b, "hello")->metrics_alone; i++)
		bench_run_for(b, 5 * MS_PER_SECOND);
	assert_true(item_of(b, "hello")->metrics_alone);
	bench_run_for(b, 15 * MS_PER_SECOND);
	calls = w.calls;
	bench_run_for(b, MS_PER_MINUTE);
	assert_int_equal(w.calls, calls + 2);
	bench_free(b);
}

static void what_runs_dry_may_be_refused(void **state)
{
	struct spec_metric metrics[] = {threshold, refused, ratio};
	struct watcher w;
	struct bench *b = start_bench(&w);

	(void)state;
	metrics[1].dry_run = true;
	take(b, "hello", "hello", 2, metrics, 3);
	bench_run_for(b, 15 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_SUCCEEDED);
	bench_free(b);
}

/* What cannot even be asked for is said, with what to do. */
static void a_query_that_cannot_be_asked_for_is_said(void **state)
{
	struct spec_metric metrics[] = {threshold, refused};
	struct watcher w;
	struct bench *b = start_bench(&w);

	(void)state;
	metrics[1].queries = "[{\"Id\":\"m1\",\"Expression\":\"METRICS()\"}]";
	take(b, "hello", "hello", 2, metrics, 2);
	bench_run_for(b, 5 * MS_PER_MINUTE);
	if (!strstr(item_of(b, "hello")->state.trouble,
		    "the metric `query` m1 cannot be asked for: METRICS(…) in an expression of it names none of its "
		    "metrics. Correct it in the plan"))
		fail_msg("%s", item_of(b, "hello")->state.trouble);
	assert_int_equal(item_of(b, "hello")->state.step, 0);
	bench_free(b);
}

/* A SEARCH gives as many results as it finds: which of them would be the value? */
static void several_series_are_no_value(void **state)
{
	struct spec_metric metrics[] = {threshold, ratio};
	struct watcher w;
	struct bench *b = start_bench(&w);

	(void)state;
	w.several = true;
	take(b, "hello", "hello", 2, metrics, 2);
	bench_run_for(b, 5 * MS_PER_MINUTE);
	if (!strstr(item_of(b, "hello")->state.trouble, "a query of the plan gives several series"))
		fail_msg("%s", item_of(b, "hello")->state.trouble);
	assert_int_equal(item_of(b, "hello")->state.step, 0);
	bench_free(b);
}

/* --- alarms --- */

static void alarms_are_excused_by_an_operator(void **state)
{
	struct watcher w;
	struct bench *b = start_bench(&w);
	char text[LIMIT_REASON], plan[LIMIT_REASON];

	(void)state;
	assert_int_equal(
	    bench_take(b, "hello.yaml", bench_plan_text("hello", 2, "analysis: {metrics: [{alarm: bad}]}\n"), text),
	    INTAKE_STARTED);
	bench_run_for(b, MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_FAILED);
	assert_non_null(strstr(b->published,
			       "the alarm bad is in state ALARM already: `rolloutctl retry` once it is not, "
			       "or with --despite-alarms --reason TEXT to start all the same"));
	assert_int_equal(engine_retry_despite_alarms(b->e, "nobody", "uid=0", "INC-7", text), ENGINE_NO_SUCH);
	assert_int_equal(engine_retry_despite_alarms(b->e, "hello", "uid=0", "INC-7", plan), ENGINE_DONE);
	assert_string_equal(plan,
			    "hello#2 starts, whatever alarms are in ALARM now: each counts once it was in another "
			    "state; the version's quarantine is lifted");
	assert_non_null(strstr(b->published, "command: retry despite alarms by uid=0: INC-7\n"));
	bench_run_for(b, MS_PER_MINUTE);
	/* On record: a restart does not forget it. */
	bench_crash(b);
	assert_true(item_of(b, "hello")->state.despite_alarms);
	assert_int_equal(item_of(b, "hello")->state.excused_alarms, 1);
	assert_non_null(strstr(b->published, "the alarm bad is in state ALARM already, which was excused"));
	bench_run_for(b, 3 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_PROGRESSING);
	/* Another state, and from then on it counts. */
	bench_admin(b, "PUT", "/_localaws/alarms", "[{name: bad, state: OK}]");
	bench_run_for(b, MS_PER_MINUTE + 30 * MS_PER_SECOND);
	bench_assert_phase(b, "hello", PHASE_PROGRESSING);
	bench_admin(b, "PUT", "/_localaws/alarms", "[{name: bad, state: ALARM}]");
	bench_run_for(b, MS_PER_MINUTE + 30 * MS_PER_SECOND);
	bench_assert_phase(b, "hello", PHASE_ROLLED_BACK);
	bench_free(b);
}

/* --- values on record --- */

/* It is shown as one that could not be read, and nothing waits for it: neither the start nor a step. */
static void an_alarm_that_runs_dry_may_be_out_of_reach(void **state)
{
	const struct spec_metric metrics[] = {threshold, {.kind = SPEC_METRIC_ALARM, .alarm = "bad", .dry_run = true}};
	struct watcher w;
	struct bench *b = start_bench(&w);

	(void)state;
	w.lose_alarms = true;
	take(b, "hello", "hello", 2, metrics, 2);
	bench_run_for(b, 25 * MS_PER_MINUTE);
	assert_true(w.alarms > 0);
	bench_assert_phase(b, "hello", PHASE_SUCCEEDED);
	bench_free(b);
}

static void values_have_a_text(void **state)
{
	struct samples s = {.n_values = 3}, t = {.n_values = 3};
	struct buf out cleanup(buf_deinit) = BUF_INIT(4096);
	static const char *const bad[] = {NULL, "", "{}", "[", "[1,2]", "[1,2,3,4]", "[[1],2,3]", "x"};

	(void)state;
	(void)samples_at(&s, 60000);
	(void)samples_at(&t, 0);
	(void)samples_at(&t, 60000);
	assert_null(record_values_encode(&s, 0, &out));
	samples_values(&s, 0)[0] = 0.1;
	samples_values(&s, 0)[2] = -1e300;
	assert_string_equal(record_values_encode(&s, 0, &out), "[0.10000000000000001,null,-1.0000000000000001e+300]");
	for (size_t i = 0; i < array_len(bad); i++) {
		record_values_decode(bad[i], &t, 60000);
		for (size_t k = 0; k < 3; k++)
			assert_true(isnan(samples_values(&t, 1)[k]));
	}
	record_values_decode(buf_text(&out), &t, 60000);
	assert_true(samples_values(&t, 1)[0] == 0.1);
	assert_true(isnan(samples_values(&t, 1)[1]));
	assert_true(samples_values(&t, 1)[2] == -1e300);
	assert_true(isnan(samples_values(&t, 0)[0]));
	record_values_decode("[1,\"2\",3]", &t, 0);
	assert_true(samples_values(&t, 0)[0] == 1 && isnan(samples_values(&t, 0)[1]));
	samples_deinit(&s);
	samples_deinit(&t);
	/* Of metrics without values there is nothing to write. */
	(void)samples_at(&s, 0);
	assert_null(record_values_encode(&s, 0, &out));
	record_values_decode("[]", &s, 0);
	samples_deinit(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_kind_is_read),
	    cmocka_unit_test(durations_after_the_promotion_are_the_aliass),
	    cmocka_unit_test(each_of_them_brings_it_back),
	    cmocka_unit_test(the_history_is_read_once),
	    cmocka_unit_test(the_history_is_of_the_stable_version_alone),
	    cmocka_unit_test(a_version_that_somebody_else_put_there_has_no_history),
	    cmocka_unit_test(an_attempt_is_not_judged_by_the_one_before),
	    cmocka_unit_test(a_bad_query_blinds_nobody_else),
	    cmocka_unit_test(a_bad_query_stays_alone),
	    cmocka_unit_test(what_runs_dry_may_be_refused),
	    cmocka_unit_test(a_query_that_cannot_be_asked_for_is_said),
	    cmocka_unit_test(several_series_are_no_value),
	    cmocka_unit_test(alarms_are_excused_by_an_operator),
	    cmocka_unit_test(an_alarm_that_runs_dry_may_be_out_of_reach),
	    cmocka_unit_test(values_have_a_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
