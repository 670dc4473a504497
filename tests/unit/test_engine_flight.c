/*
 * The flight recorder: of a whole rollout each period is judged once it has settled, over crashes as well, and from
 * what was recorded each judgement can be made again on what was known then.
 */
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/mem.h"
#include "base/text.h"
#include "engine_bench.h"
#include "openapi.h"

#define ROWS_MAX 512

/* Everything that the store has of one rollout. */
struct flown {
	struct plan *plan;
	struct rollout state;
	struct {
		struct store_sample row;
		char values[256];
	} samples[ROWS_MAX];
	size_t n_samples;
	struct {
		struct store_judgement row;
		json_t *detail;
		char verdict[16];
		char gap[16];
		char text[LIMIT_REASON];
	} judgements[ROWS_MAX];
	size_t n_judgements;
	char queries[4][8192];
	size_t n_queries;
};

static int keep_rollout(void *ctx, const struct store_rollout *r)
{
	struct flown *f = ctx;
	char error[LIMIT_REASON], boot_id[BOOT_ID_SIZE];

	f->plan = intake_load_plan(r->plan, error, sizeof(error));
	assert_non_null(f->plan);
	assert_int_equal(record_decode(r->record, &f->state, boot_id, error, sizeof(error)), 0);
	return 0;
}

static int keep_sample(void *ctx, const struct store_sample *x)
{
	struct flown *f = ctx;

	assert_true(f->n_samples < ROWS_MAX);
	f->samples[f->n_samples].row = *x;
	if (x->values)
		(void)text_copy(f->samples[f->n_samples].values, sizeof(f->samples[0].values), x->values);
	f->n_samples++;
	return 0;
}

static int keep_judgement(void *ctx, const struct store_judgement *j)
{
	struct flown *f = ctx;
	size_t n = f->n_judgements++;

	assert_true(n < ROWS_MAX);
	f->judgements[n].row = *j;
	(void)text_copy(f->judgements[n].verdict, 16, j->verdict);
	(void)text_copy(f->judgements[n].gap, 16, j->gap);
	(void)text_copy(f->judgements[n].text, LIMIT_REASON, j->text);
	f->judgements[n].detail = json_loads(j->detail, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(f->judgements[n].detail);
	return 0;
}

static int keep_query(void *ctx, const struct store_query *x)
{
	struct flown *f = ctx;

	assert_true(f->n_queries < array_len(f->queries));
	assert_true(text_copy(f->queries[f->n_queries++], sizeof(f->queries[0]), x->text));
	return 0;
}

static struct flown *read_flown(struct bench *b, uint64_t id)
{
	struct flown *f = mem_alloc(sizeof(*f));

	assert_int_equal(store_each_of_name(b->store, "hello", 1, keep_rollout, f), 0);
	assert_int_equal(store_each_sample(b->store, id, keep_sample, f), 0);
	assert_int_equal(store_each_judgement(b->store, id, keep_judgement, f), 0);
	assert_int_equal(store_each_query(b->store, id, keep_query, f), 0);
	return f;
}

static void flown_free(struct flown *f)
{
	for (size_t n = 0; n < f->n_judgements; n++)
		json_decref(f->judgements[n].detail);
	plan_free(f->plan);
	free(f);
}

static int64_t detail_time(const json_t *detail, const char *key)
{
	const char *text = json_string_value(json_object_get(detail, key));
	int64_t unix_ms = 0;

	if (text)
		assert_int_equal(text_parse_utc(text, &unix_ms), 0);
	return unix_ms;
}

/* What is known of those periods at that time. */
static void known_at(const struct flown *f, int64_t unix_ms, struct samples *ret)
{
	const struct spec_analysis *a = &f->plan->spec.analysis;

	ret->n_values = spec_first_value(a, a->n_metrics);
	for (size_t n = 0; n < f->n_samples; n++) {
		if (f->samples[n].row.read_unix_ms <= unix_ms)
			assert_int_equal(record_load_sample(ret, &f->samples[n].row), 0);
	}
}

/* Each judgement, made again on what was known then, is the same. */
static void check_judged_again(const struct flown *f)
{
	for (size_t n = 0; n < f->n_judgements; n++) {
		const struct store_judgement *j = &f->judgements[n].row;
		const json_t *detail = f->judgements[n].detail;
		struct samples known = {0};
		enum alarm_state alarms[LIMIT_METRICS] = {ALARM_UNKNOWN};
		struct verdict_question q = {
		    .analysis = &f->plan->spec.analysis,
		    .samples = &known,
		    .alarms = alarms,
		    .now_unix_ms = j->unix_ms,
		    .rollout_from_unix_ms = f->state.first_traffic_unix_ms,
		    .step_from_unix_ms = detail_time(detail, "weight_since_at"),
		    .step_until_unix_ms = detail_time(detail, "bake_until_at"),
		    .read_through_unix_ms = detail_time(detail, "read_through_at"),
		    .promoted_unix_ms = f->state.promoted_unix_ms <= j->unix_ms ? f->state.promoted_unix_ms : 0,
		    .history = f->state.history,
		    .steps = f->plan->spec.steps,
		    .landed_unix_ms = f->state.landed_unix_ms,
		    .n_steps = f->plan->spec.n_steps,
		};
		struct verdict_result v;

		known_at(f, j->unix_ms, &known);
		verdict_judge(&q, &v);
		assert_string_equal(verdict_name(v.verdict), f->judgements[n].verdict);
		assert_string_equal(verdict_gap_name(v.gap), f->judgements[n].gap);
		assert_string_equal(v.why, f->judgements[n].text);
		assert_int_equal(v.through_unix_ms, j->through_unix_ms);
		assert_int_equal(v.metric, j->metric);
		samples_deinit(&known);
	}
}

/* Every period from the first traffic on is new in one judgement only, up to the end of each bake that was passed. */
static void check_every_period(const struct flown *f, bool to_the_end)
{
	const struct spec_analysis *a = &f->plan->spec.analysis;
	int64_t from = verdict_period_start(f->state.first_traffic_unix_ms, a->period_ms);
	int64_t until = verdict_period_end(f->state.step_from_unix_ms + f->plan->spec.final_bake_ms, a->period_ms);
	unsigned judged[ROWS_MAX] = {0};
	int64_t through = from;

	for (size_t n = 0; n < f->n_judgements; n++) {
		const struct store_judgement *j = &f->judgements[n].row;
		int64_t bake_until = detail_time(f->judgements[n].detail, "bake_until_at");

		assert_true(n == 0 || j->seq > f->judgements[n - 1].row.seq);
		assert_true(j->through_unix_ms >= through || n == 0);
		for (int64_t at = through; at < j->through_unix_ms; at += a->period_ms)
			judged[(at - from) / a->period_ms]++;
		through = j->through_unix_ms > through ? j->through_unix_ms : through;
		/* No step was left before the last of its periods was judged. */
		if (n + 1 < f->n_judgements && f->judgements[n + 1].row.step != j->step)
			assert_true(through >= verdict_period_end(bake_until, a->period_ms));
	}
	if (to_the_end)
		assert_true(through >= until);
	assert_true(through > from);
	for (int64_t at = from; at < through; at += a->period_ms)
		assert_int_equal(judged[(at - from) / a->period_ms], 1);
}

/* In the minute of the promotion it is what the stable version leaves of the alias's. */
static uint64_t canary_served(const struct flown *f, const struct sample *s)
{
	int64_t promoted = f->state.promoted_unix_ms, period = f->plan->spec.analysis.period_ms;

	if (!s->canary.seen)
		return s->alias.invocations;
	if (s->start_unix_ms < promoted && promoted < s->start_unix_ms + period && s->alias.seen && s->stable.seen)
		return s->alias.invocations - s->stable.invocations;
	return s->canary.invocations;
}

/* The last judgement was made on all that the store has. */
static void check_totals(const struct flown *f)
{
	const json_t *canary = json_object_get(f->judgements[f->n_judgements - 1].detail, "canary");
	int64_t through = f->judgements[f->n_judgements - 1].row.through_unix_ms;
	struct samples known = {0};
	int64_t served = 0;

	known_at(f, INT64_MAX, &known);
	for (size_t n = 0; n < known.len && known.items[n].start_unix_ms < through; n++)
		served += (int64_t)canary_served(f, &known.items[n]);
	assert_int_equal(json_integer_value(json_array_get(canary, 0)), served);
	assert_true(served > 0);
	samples_deinit(&known);
}

static const char plan_more[] = "final_bake: 3m\n";

static struct bench *bench_of_flight(int version)
{
	struct bench *b = bench_new();
	char text[LIMIT_REASON];

	assert_int_equal(bench_take(b, "hello.yaml", bench_plan_text("hello", version, plan_more), text),
			 INTAKE_STARTED);
	return b;
}

static void test_good(void **state)
{
	struct bench *b = bench_of_flight(2);
	struct flown *f;

	(void)state;
	bench_run_for(b, 20 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_SUCCEEDED);
	f = read_flown(b, 1);
	assert_true(f->n_judgements > 8);
	check_every_period(f, true);
	check_judged_again(f);
	check_totals(f);
	assert_int_equal(f->judgements[0].row.weight_bp, 1000);
	assert_int_equal(f->judgements[f->n_judgements - 1].row.weight_bp, 10000);
	/* Asked for two versions first, and once all traffic was on the canary for the alias as a whole. */
	assert_int_equal(f->n_queries, 2);
	assert_non_null(strstr(f->queries[0], "{\"Name\":\"ExecutedVersion\",\"Value\":\"1\"}"));
	assert_null(strstr(f->queries[1], "{\"Name\":\"ExecutedVersion\",\"Value\":\"1\"}"));
	flown_free(f);
	bench_free(b);
}

static void test_bad(void **state)
{
	struct bench *b = bench_of_flight(9);
	struct flown *f;

	(void)state;
	bench_run_for(b, 20 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_ROLLED_BACK);
	f = read_flown(b, 1);
	check_every_period(f, false);
	check_judged_again(f);
	check_totals(f);
	assert_string_equal(f->judgements[f->n_judgements - 1].verdict, "fail");
	assert_int_equal(f->judgements[f->n_judgements - 1].row.weight_bp, 1000);
	flown_free(f);
	bench_free(b);
}

/* Killed after each turn in turn: still no period is missing, none comes twice, and numbers rise. */
static void test_crashes(void **state)
{
	bool done = false;

	(void)state;
	for (unsigned kill = 0; kill < 300 && !done; kill += 3) {
		struct bench *b = bench_of_flight(2);
		struct flown *f;

		for (unsigned n = 0; n < kill && bench_step(b, b->now.boot_ms + MS_PER_HOUR); n++)
			;
		done = bench_ends_well(b, "hello");
		bench_crash(b);
		bench_run_for(b, 25 * MS_PER_MINUTE);
		bench_assert_phase(b, "hello", PHASE_SUCCEEDED);
		f = read_flown(b, 1);
		check_every_period(f, true);
		check_judged_again(f);
		check_totals(f);
		flown_free(f);
		bench_free(b);
	}
	assert_true(done);
}

/* While the disk does not take it, nothing is lost. */
static void test_failing_store(void **state)
{
	struct bench *b = bench_of_flight(2);
	struct flown *f;

	(void)state;
	bench_run_for(b, 3 * MS_PER_MINUTE);
	bench_store_fails(b, true);
	bench_run_for(b, 3 * MS_PER_MINUTE);
	bench_store_fails(b, false);
	bench_run_for(b, 20 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_SUCCEEDED);
	f = read_flown(b, 1);
	check_every_period(f, true);
	check_totals(f);
	flown_free(f);
	bench_free(b);
}

static size_t samples_put;

static int count_put(struct store *s, const struct store_sample *x)
{
	const struct bench *b = (const struct bench *)((const char *)s->ops - offsetof(struct bench, bad_ops));

	samples_put++;
	return b->good_ops->put_sample(s, x);
}

/* However many metrics are read of them in one answer, periods are written once. */
static void test_rows_are_written_once(void **state)
{
	struct bench *b = bench_of_flight(2);
	struct flown *f;

	(void)state;
	b->bad_ops = *b->good_ops;
	b->bad_ops.put_sample = count_put;
	b->store->ops = &b->bad_ops;
	samples_put = 0;
	bench_run_for(b, 25 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_SUCCEEDED);
	f = read_flown(b, 1);
	assert_int_equal(samples_put, f->n_samples);
	flown_free(f);
	bench_free(b);
}

/* CloudWatch corrects: what was known before stays. */
static void test_versions(void **state)
{
	struct bench *b = bench_new_world("seed: 7\nfunctions: {hello: {versions: {1: {}, 2: {}}, aliases: {prod: "
					  "{version: 1}}}}\ntraffic: [{function: hello, alias: prod, rps: 20}]\n"
					  "metrics: {delay: 30s, late: {share: 30%, by: 2m}}\n");
	char text[LIMIT_REASON];
	struct flown *f;
	size_t changed = 0;

	(void)state;
	assert_int_equal(bench_take(b, "hello.yaml", bench_plan_text("hello", 2, plan_more), text), INTAKE_STARTED);
	bench_run_for(b, 25 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_SUCCEEDED);
	f = read_flown(b, 1);
	for (size_t n = 1; n < f->n_samples; n++)
		changed += f->samples[n].row.start_unix_ms == f->samples[n - 1].row.start_unix_ms;
	assert_true(changed > 3);
	check_every_period(f, true);
	check_judged_again(f);
	check_totals(f);
	flown_free(f);
	bench_free(b);
}

/* Errors may be told before the requests that they are of. A restart in between does not forget them. */
static void test_errors_without_requests(void **state)
{
	struct bench *b = bench_new();
	char text[LIMIT_REASON];

	(void)state;
	assert_int_equal(bench_take(b, "hello.yaml",
				    bench_plan_text("hello", 9,
						    "analysis: {metrics: [{errors: {max_rate: 10%, min_invocations: "
						    "5}}]}\n"),
				    text),
			 INTAKE_STARTED);
	bench_admin(b, "PUT", "/_localaws/faults", "[{fault: metrics_missing, metric: Invocations, version: \"9\"}]");
	bench_run_for(b, 4 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_PROGRESSING);
	bench_crash(b);
	bench_admin(b, "PUT", "/_localaws/faults", "[{fault: metrics_missing, metric: Errors, version: \"9\"}]");
	bench_run_for(b, 4 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_ROLLED_BACK);
	bench_free(b);
}

/* What the control API tells is all of that, in the form that docs/openapi.yaml describes. */
static void test_told(void **state)
{
	struct bench *b = bench_of_flight(9);
	struct openapi openapi;
	json_t *form = NULL;
	struct flown *f;

	(void)state;
	assert_true(openapi_open(&openapi));
	assert_int_equal(engine_record(b->e, "hello", 0, &form), ENGINE_DONE); /* before there is much to tell */
	assert_true(openapi_fits(&openapi, openapi_schema(&openapi, "Record"), form, "Record"));
	json_decref(form);
	bench_run_for(b, 20 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_ROLLED_BACK);
	f = read_flown(b, 1);
	assert_int_equal(engine_record(b->e, "hello", 1, &form), ENGINE_DONE);
	assert_true(openapi_fits(&openapi, openapi_schema(&openapi, "Record"), form, "Record"));
	assert_int_equal(json_array_size(json_object_get(form, "judgements")), f->n_judgements);
	assert_int_equal(json_array_size(json_object_get(form, "samples")), f->n_samples);
	assert_int_equal(json_array_size(json_object_get(form, "queries")), f->n_queries);
	assert_int_equal(json_array_size(json_object_get(form, "intents")), 2);
	assert_true(json_array_size(json_object_get(form, "events")) > 6);
	assert_int_equal(json_integer_value(json_object_get(form, "judgements_omitted")), 0);
	json_decref(form);
	assert_int_equal(engine_record(b->e, "hello", 2, &form), ENGINE_NO_SUCH);
	assert_int_equal(engine_record(b->e, "other", 0, &form), ENGINE_NO_SUCH);
	flown_free(f);
	openapi_close(&openapi);
	bench_free(b);
}

/* What a database holds that was damaged, or that somebody wrote into, is told as far as it can be. */
static void test_told_of_damage(void **state)
{
	struct bench *b = bench_of_flight(2);
	struct store_judgement j = {.rollout_id = 1,
				    .seq = 1000000,
				    .verdict = "pass\xff",
				    .gap = "\x01",
				    .detail = "{\"metrics\":",
				    .text = "\xc3("};
	struct store_query q = {.rollout_id = 1, .text = "[1] 2"};
	struct store_sample x = {
	    .rollout_id = 1, .start_unix_ms = -5, .read_unix_ms = INT64_MAX, .values = "[[[[[1]]]"};
	json_t *form = NULL;
	char *text;

	(void)state;
	bench_run_for(b, 3 * MS_PER_MINUTE);
	assert_int_equal(store_begin(b->store), 0);
	assert_int_equal(store_put_judgement(b->store, &j), 0);
	assert_int_equal(store_put_query(b->store, &q), 0);
	assert_int_equal(store_put_sample(b->store, &x), 0);
	assert_int_equal(store_commit(b->store), 0);
	assert_int_equal(engine_record(b->e, "hello", 0, &form), ENGINE_DONE);
	text = json_dumps(form, JSON_COMPACT);
	assert_non_null(text);
	assert_non_null(strstr(text, "\"detail\":null"));
	assert_non_null(strstr(text, "\"asks\":null"));
	free(text);
	json_decref(form);
	bench_crash(b); /* and is loaded again */
	bench_run_for(b, 20 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_SUCCEEDED);
	bench_free(b);
}

/* Where all judgements would be too much, those that say nothing new are left out. */
static void test_told_in_part(void **state)
{
	enum { MANY = 5000 };
	struct bench *b = bench_of_flight(2);
	char *detail = mem_alloc(LIMIT_JUDGEMENT_BYTES);
	json_t *form = NULL;
	const json_t *all;
	size_t told;
	bool fail = false;

	(void)state;
	memset(detail, 'x', LIMIT_JUDGEMENT_BYTES - 1);
	detail[0] = '[';
	detail[1] = '"';
	detail[LIMIT_JUDGEMENT_BYTES - 3] = '"';
	detail[LIMIT_JUDGEMENT_BYTES - 2] = ']';
	assert_int_equal(store_begin(b->store), 0);
	for (unsigned n = 1; n <= MANY; n++) {
		struct store_judgement j = {.rollout_id = 1,
					    .seq = 1000 + n,
					    .verdict = n == 777 ? "fail" : "undecided",
					    .gap = "few",
					    .detail = detail};

		assert_int_equal(store_put_judgement(b->store, &j), 0);
	}
	assert_int_equal(store_commit(b->store), 0);
	free(detail);
	assert_int_equal(engine_record(b->e, "hello", 0, &form), ENGINE_DONE);
	all = json_object_get(form, "judgements");
	told = json_array_size(all);
	assert_true(told > 1000 && told < LIMIT_TOLD_BYTES / LIMIT_JUDGEMENT_BYTES + 10);
	assert_int_equal(json_integer_value(json_object_get(form, "judgements_omitted")), MANY - told);
	for (size_t n = 0; n < told; n++)
		fail =
		    fail || strcmp(json_string_value(json_object_get(json_array_get(all, n), "verdict")), "fail") == 0;
	assert_true(fail);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(all, told - 1), "seq")), 1000 + MANY);
	json_decref(form);
	bench_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good),
	    cmocka_unit_test(test_bad),
	    cmocka_unit_test(test_crashes),
	    cmocka_unit_test(test_failing_store),
	    cmocka_unit_test(test_rows_are_written_once),
	    cmocka_unit_test(test_versions),
	    cmocka_unit_test(test_errors_without_requests),
	    cmocka_unit_test(test_told),
	    cmocka_unit_test(test_told_of_damage),
	    cmocka_unit_test(test_told_in_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
