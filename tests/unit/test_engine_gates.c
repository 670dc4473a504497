/* Hooks, requests, provisioned concurrency and versions from another alias: whole rollouts in virtual time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine_bench.h"

#define CONCURRENCY "/2019-09-30/functions/hello/provisioned-concurrency"

static void start(struct bench *b, int version, const char *more)
{
	char text[LIMIT_REASON];

	assert_int_equal(bench_take(b, "hello.yaml", bench_plan_text("hello", version, more), text), INTAKE_STARTED);
}

static bool said(const struct bench *b, const char *text)
{
	return strstr(b->published, text) != NULL;
}

static void assert_ends(struct bench *b, enum rollout_phase phase, const char *reason)
{
	struct seen s = bench_look(b, "hello");

	bench_assert_phase(b, "hello", phase);
	if (!strstr(s.state.reason, reason))
		fail_msg("\"%s\" does not say \"%s\"", s.state.reason, reason);
}

/* A request of an operator's own tools. */
static int ask_aws(struct bench *b, const char *method, const char *path, const char *query, const char *body)
{
	struct http_request request = {.method = method,
				       .scheme = "http",
				       .host = "localhost",
				       .path = path,
				       .query = query,
				       .body = body,
				       .body_len = strlen(body)};
	struct world_reply reply = {0};
	int status;

	world_handle(b->world, &request, b->now, &reply);
	status = reply.response.status;
	world_reply_deinit(&reply);
	return status;
}

static bool is_provisioned(struct bench *b, const char *qualifier)
{
	char query[64];

	(void)snprintf(query, sizeof(query), "Qualifier=%s", qualifier);
	return ask_aws(b, "GET", CONCURRENCY, query, "") == 200;
}

static void provision(struct bench *b, const char *qualifier)
{
	char query[64];

	(void)snprintf(query, sizeof(query), "Qualifier=%s", qualifier);
	assert_int_equal(ask_aws(b, "PUT", CONCURRENCY, query, "{\"ProvisionedConcurrentExecutions\": 5}"), 202);
}

static void make_alias(struct bench *b, const char *name, const char *version)
{
	char body[96];

	(void)snprintf(body, sizeof(body), "{\"Name\": \"%s\", \"FunctionVersion\": \"%s\"}", name, version);
	assert_int_equal(ask_aws(b, "POST", "/2015-03-31/functions/hello/aliases", "", body), 201);
}

/* --- hooks --- */

static void a_program_is_asked_before_any_traffic(void **state)
{
	struct bench *b = bench_new();

	(void)state;
	b->hook.takes_ms = MS_PER_MINUTE;
	b->hook.output = "looking\nall fine\n";
	start(b, 2, "hooks: {pre_traffic: {exec: check}}\n");
	bench_run_for(b, 50 * MS_PER_SECOND);
	bench_assert_phase(b, "hello", PHASE_PREPARING);
	assert_string_equal(bench_alias_holds(b), "1");
	assert_int_equal(b->updates, 0);
	assert_string_equal(b->hook.program, "check");
	assert_string_equal(
	    b->hook.input,
	    "{\"hook\":\"pre_traffic\",\"rollout\":\"hello\",\"attempt\":1,\"function\":\"hello\","
	    "\"alias\":\"prod\",\"version\":\"2\","
	    "\"qualified_arn\":\"arn:aws:lambda:us-east-1:123456789012:function:hello:2\",\"stable_version\":\"1\"}");
	bench_run_for(b, MS_PER_MINUTE);
	assert_string_equal(bench_alias_holds(b), "1+2@0.1");
	assert_true(said(b, "hook: pre-traffic, program check: agreed: looking all fine"));
	bench_run_for(b, 15 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_SUCCEEDED);
	assert_int_equal(b->hook.runs, 1);
	bench_free(b);
}

static void a_program_says_no(void **state)
{
	struct bench *b = bench_new();

	(void)state;
	b->hook.status = 1;
	b->hook.output = "looking\nno table \"orders\"\n\n";
	start(b, 2, "hooks: {pre_traffic: {exec: check}}\n");
	bench_run_for(b, MS_PER_MINUTE);
	assert_ends(b, PHASE_FAILED, "the pre-traffic hook (program check) ended with status 1: no table \"orders\"");
	assert_string_equal(bench_alias_holds(b), "1");
	assert_int_equal(b->updates, 0);
	bench_free(b);
}

static void a_program_may_ask_to_be_tried_again(void **state)
{
	struct bench *b = bench_new();

	(void)state;
	b->hook.status = 75;
	start(b, 2, "hooks: {pre_traffic: {exec: check}}\n");
	bench_run_for(b, 200);
	b->hook.status = 0;
	bench_run_for(b, MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_PROGRESSING);
	assert_in_range(b->hook.runs, 2, 4);
	bench_free(b);
	/* … but not for ever. */
	b = bench_new();
	b->hook.status = 75;
	start(b, 2, "hooks: {pre_traffic: {exec: check}}\n");
	bench_run_for(b, 2 * MS_PER_MINUTE);
	assert_ends(b, PHASE_FAILED, "status 75");
	assert_int_equal(b->hook.runs, 5);
	bench_free(b);
}

static void a_program_that_hangs_or_is_missing_says_no(void **state)
{
	struct bench *b = bench_new();

	(void)state;
	b->hook.timed_out = true;
	b->hook.status = 137;
	start(b, 2, "hooks: {pre_traffic: {exec: check, timeout: 90s}}\n");
	bench_run_for(b, MS_PER_MINUTE);
	assert_ends(b, PHASE_FAILED, "did not end within 1m30s");
	bench_free(b);
	b = bench_new();
	b->hook.missing = true;
	b->hook.output = "hooks.d/check does not exist";
	start(b, 2, "hooks: {pre_traffic: {exec: check}}\n");
	bench_run_for(b, MS_PER_MINUTE);
	assert_ends(b, PHASE_FAILED, "could not be run: hooks.d/check does not exist");
	bench_free(b);
}

static void a_rollback_does_not_wait_for_a_program(void **state)
{
	struct bench *b = bench_new();

	(void)state;
	b->hook.takes_ms = MS_PER_MINUTE;
	start(b, 2, "hooks: {pre_traffic: {exec: check}}\n");
	bench_run_for(b, 30 * MS_PER_SECOND);
	assert_int_equal(bench_command(b, "hello", COMMAND_ROLLBACK), ENGINE_DONE);
	bench_assert_phase(b, "hello", PHASE_FAILED);
	assert_non_null(b->hook.cb);
	bench_run_for(b, 5 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_FAILED);
	assert_int_equal(b->updates, 0);
	bench_free(b);
}

static void no_hook_without_a_record(void **state)
{
	struct bench *b = bench_new();

	(void)state;
	start(b, 2, "hooks: {pre_traffic: {exec: check}}\n");
	bench_store_fails(b, true);
	bench_run_for(b, 5 * MS_PER_MINUTE);
	assert_int_equal(b->hook.runs, 0);
	bench_store_fails(b, false);
	bench_run_for(b, MS_PER_MINUTE);
	assert_int_equal(b->hook.runs, 1);
	bench_assert_phase(b, "hello", PHASE_PROGRESSING);
	bench_free(b);
}

static void a_function_is_invoked(void **state)
{
	struct bench *b = bench_new();
	struct engine_stats stats;

	(void)state;
	start(b, 2, "hooks: {pre_traffic: {invoke: \"hello:3\"}}\n");
	bench_run_for(b, 30 * MS_PER_SECOND);
	engine_stats(b->e, &stats);
	assert_int_equal(stats.calls[OPERATION_INVOKE], 1);
	assert_true(said(b, "hook: pre-traffic, function hello:3: agreed"));
	bench_assert_phase(b, "hello", PHASE_PROGRESSING);
	bench_free(b);
	b = bench_new();
	start(b, 2, "hooks: {pre_traffic: {invoke: \"arn:aws:lambda:us-east-1:123456789012:function:hello:77\"}}\n");
	bench_run_for(b, 30 * MS_PER_SECOND);
	assert_ends(b, PHASE_FAILED, "could not be asked: Invoke: ResourceNotFoundException");
	bench_free(b);
}

static void a_function_that_fails_says_no(void **state)
{
	struct bench *b = bench_new();

	(void)state;
	start(b, 2, "hooks: {pre_traffic: {invoke: \"hello:8\"}}\n");
	bench_run_for(b, 30 * MS_PER_SECOND);
	assert_ends(b, PHASE_FAILED, "(function hello:8) failed: Handler fails");
	assert_int_equal(b->updates, 0);
	bench_free(b);
}

static void a_function_without_an_answer_in_its_time_says_no(void **state)
{
	struct bench *b = bench_new();

	(void)state;
	bench_admin(b, "POST", "/_localaws/faults", "[{\"op\": \"Invoke\", \"fault\": \"lost_before\"}]");
	start(b, 2, "hooks: {pre_traffic: {invoke: \"hello:3\", timeout: 90s}}\n");
	bench_run_for(b, 80 * MS_PER_SECOND);
	bench_assert_phase(b, "hello", PHASE_PREPARING);
	bench_run_for(b, MS_PER_MINUTE);
	assert_ends(b, PHASE_FAILED, "did not answer within 1m30s");
	bench_free(b);
}

static void an_address_is_told_and_never_shown(void **state)
{
	static const char more[] = "hooks: {post_traffic: {http: \"https://hooks.example/services/s3cret\"}}\n";
	struct bench *b = bench_new();

	(void)state;
	b->web.status = 204;
	start(b, 2, more);
	bench_run_for(b, 20 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_SUCCEEDED);
	assert_int_equal(b->web.requests, 1);
	assert_string_equal(b->web.target, "POST https://hooks.example/services/s3cret");
	assert_non_null(strstr(b->web.body, "\"hook\":\"post_traffic\""));
	assert_true(said(b, "hook: post-traffic, https://hooks.example: agreed"));
	assert_false(said(b, "s3cret"));
	bench_free(b);
	/* Three tries, then it is a failure: home. */
	b = bench_new();
	b->web.status = 500;
	start(b, 2, more);
	bench_run_for(b, 20 * MS_PER_MINUTE);
	assert_ends(b, PHASE_ROLLED_BACK, "the post-traffic hook (https://hooks.example) answered 500");
	assert_string_equal(bench_alias_holds(b), "1");
	assert_int_equal(b->web.requests, 3);
	assert_false(said(b, "s3cret"));
	bench_free(b);
	/* A refusal is one at once. */
	b = bench_new();
	b->web.status = 403;
	start(b, 2, more);
	bench_run_for(b, 20 * MS_PER_MINUTE);
	assert_ends(b, PHASE_ROLLED_BACK, "answered 403");
	assert_int_equal(b->web.requests, 1);
	bench_free(b);
}

static void requests_must_be_answered(void **state)
{
	static const char more[] = "hooks: {post_traffic: {exec: notify}}\n"
				   "verify: [{url: \"https://app.example/hello\"}]\n";
	struct bench *b = bench_new();

	(void)state;
	b->web.status = 200;
	start(b, 2, more);
	bench_run_for(b, 20 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_SUCCEEDED);
	assert_string_equal(b->web.target, "GET https://app.example/hello");
	assert_int_equal(b->web.requests, 1);
	assert_int_equal(b->hook.runs, 1);
	bench_free(b);
	/* What fails is asked for again, but nobody is notified again. */
	b = bench_new();
	b->web.status = 503;
	start(b, 2, more);
	bench_run_for(b, 20 * MS_PER_MINUTE);
	assert_ends(b, PHASE_ROLLED_BACK, "answered 503, not 200");
	assert_int_equal(b->web.requests, 5);
	assert_int_equal(b->hook.runs, 1);
	bench_free(b);
}

/* --- provisioned concurrency --- */

static void it_goes_along_with_the_traffic(void **state)
{
	struct bench *b = bench_new();

	(void)state;
	provision(b, "1");
	start(b, 2, "");
	bench_run_for(b, MS_PER_MINUTE);
	assert_true(is_provisioned(b, "1"));
	assert_true(is_provisioned(b, "2"));
	bench_run_for(b, 20 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_SUCCEEDED);
	assert_false(is_provisioned(b, "1"));
	assert_true(is_provisioned(b, "2"));
	assert_true(said(b, "released: the provisioned concurrency of version 1 is released"));
	assert_int_equal(b->asked, 2);
	assert_int_equal(b->unrecorded_asks, 0);
	bench_free(b);
}

static void a_bad_version_gives_it_back(void **state)
{
	struct bench *b = bench_new();

	(void)state;
	provision(b, "1");
	start(b, 9, "");
	bench_run_for(b, 20 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_ROLLED_BACK);
	assert_true(is_provisioned(b, "1"));
	assert_false(is_provisioned(b, "9"));
	bench_free(b);
}

static void without_it_or_the_right_to_see_it_nothing_is_asked_for(void **state)
{
	struct bench *b = bench_new();
	const char *first;

	(void)state;
	b->no_concurrency = true;
	start(b, 2, "");
	bench_run_for(b, MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_PROGRESSING);
	assert_false(said(b, "provisioned concurrency"));
	bench_free(b);
	b = bench_new();
	provision(b, "1");
	bench_admin(b, "POST", "/_localaws/faults",
		    "[{\"op\": \"ListProvisionedConcurrencyConfigs\", \"fault\": \"access_denied\", "
		    "\"times\": 100}]");
	start(b, 2, "");
	bench_run_for(b, 20 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_SUCCEEDED);
	first = strstr(b->published, "trouble: provisioned concurrency is left alone: not allowed: lambda:ListProv");
	assert_non_null(first);
	assert_null(strstr(first + 1, "trouble: provisioned"));
	assert_int_equal(b->asked, 0);
	bench_free(b);
}

static void what_another_alias_has_is_kept(void **state)
{
	struct bench *b = bench_new();

	(void)state;
	provision(b, "1");
	make_alias(b, "blue", "1");
	start(b, 2, "");
	bench_run_for(b, 20 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_SUCCEEDED);
	assert_true(is_provisioned(b, "1"));
	assert_true(said(b, "version 1 is kept: the alias blue has that version"));
	bench_free(b);
}

static void a_provisioned_alias_takes_no_steps(void **state)
{
	struct bench *b = bench_new();

	(void)state;
	provision(b, "prod");
	start(b, 2, "");
	bench_run_for(b, MS_PER_MINUTE);
	assert_ends(b, PHASE_FAILED, "put it on the version instead");
	assert_int_equal(b->updates, 0);
	bench_free(b);
}

/* An ended rollout that has something left to do is in nobody's way, and does it after a restart. */
static void a_release_that_is_throttled_goes_on(void **state)
{
	struct bench *b = bench_new();
	struct engine_stats before, stats;
	char text[LIMIT_REASON];

	(void)state;
	provision(b, "1");
	start(b, 2, "");
	bench_run_for(b, MS_PER_MINUTE);
	bench_admin(
	    b, "POST", "/_localaws/faults",
	    "[{\"op\": \"DeleteProvisionedConcurrencyConfig\", \"fault\": \"access_denied\", \"times\": 1000}]");
	bench_run_for(b, 20 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_SUCCEEDED);
	assert_true(is_provisioned(b, "1"));
	/* Another one's end does not sweep it out. */
	assert_int_equal(bench_take(b, "quick.yaml", bench_plan_text("quick", 77, ""), text), INTAKE_STARTED);
	bench_run_for(b, MS_PER_MINUTE);
	bench_assert_phase(b, "quick", PHASE_FAILED);
	engine_stats(b->e, &before);
	bench_run_for(b, 5 * MS_PER_MINUTE);
	engine_stats(b->e, &stats);
	assert_true(stats.calls[OPERATION_DELETE_CONCURRENCY] > before.calls[OPERATION_DELETE_CONCURRENCY]);
	assert_int_equal(bench_take(b, "other.yaml", bench_plan_text("other", 3, ""), text), INTAKE_STARTED);
	bench_run_for(b, MS_PER_MINUTE);
	bench_assert_phase(b, "other", PHASE_PROGRESSING);
	bench_crash(b);
	bench_run_for(b, MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_SUCCEEDED);
	bench_admin(b, "DELETE", "/_localaws/faults", "");
	bench_run_for(b, 3 * MS_PER_MINUTE);
	assert_false(is_provisioned(b, "1"));
	bench_free(b);
}

/* --- killed at any turn --- */

static void killed_anywhere_it_comes_to_the_same_end(void **state)
{
	bool done = false;

	(void)state;
	for (unsigned kill = 0; kill < 300 && !done; kill++) {
		struct bench *b = bench_new();
		int64_t until_ms = b->now.boot_ms + 20 * MS_PER_MINUTE;

		provision(b, "1");
		b->web.status = 200;
		b->hook.takes_ms = 100;
		start(b, 2,
		      "hooks: {pre_traffic: {exec: check}, post_traffic: {exec: notify}}\n"
		      "verify: [{url: \"https://app.example/hello\"}]\n");
		for (unsigned n = 0; n < kill && bench_step(b, until_ms); n++)
			;
		done = b->now.boot_ms > until_ms - MS_PER_MINUTE || !b->e->first;
		bench_crash(b);
		bench_run_for(b, 20 * MS_PER_MINUTE);
		bench_assert_phase(b, "hello", PHASE_SUCCEEDED);
		assert_string_equal(bench_alias_holds(b), "2");
		assert_int_equal(b->unrecorded + b->unrecorded_asks, 0);
		assert_in_range(b->hook.runs, 2, 4);
		assert_false(is_provisioned(b, "1"));
		assert_true(is_provisioned(b, "2"));
		assert_null(b->e->first);
		bench_free(b);
	}
	assert_true(done);
}

/* --- versions from another alias --- */

static void start_from_test(struct bench *b, const char *soak)
{
	char text[512], answer[LIMIT_REASON];

	(void)snprintf(text, sizeof(text),
		       "apiVersion: rolloutd/v1\nkind: Rollout\nname: hello\nfunction: hello\nalias: prod\n"
		       "version: {from_alias: test, soak: %s}\nsteps: [{weight: 10%%, bake: 2m}]\n",
		       soak);
	assert_int_equal(bench_take(b, "hello.yaml", text, answer), INTAKE_STARTED);
}

static void a_version_is_taken_when_it_has_soaked(void **state)
{
	struct bench *b = bench_new();
	struct engine_stats before, after;

	(void)state;
	make_alias(b, "test", "2");
	start_from_test(b, "2h");
	bench_run_for(b, 10 * MS_PER_MINUTE);
	assert_ends(b, PHASE_PREPARING, "waits until version 2 has been on test for 2h (until ");
	/* As long as it soaks, one call a minute is all that it costs. */
	engine_stats(b->e, &before);
	bench_run_for(b, 10 * MS_PER_MINUTE);
	engine_stats(b->e, &after);
	assert_int_equal(after.calls[OPERATION_GET_ALIAS] - before.calls[OPERATION_GET_ALIAS], 10);
	assert_int_equal(after.calls[OPERATION_GET_FUNCTION], 0);
	bench_crash(b);
	bench_run_for(b, 95 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_PREPARING);
	bench_run_for(b, 7 * MS_PER_MINUTE);
	assert_string_equal(bench_alias_holds(b), "1+2@0.1");
	assert_int_equal(
	    ask_aws(b, "PUT", "/2015-03-31/functions/hello/aliases/test", "", "{\"FunctionVersion\": \"3\"}"), 200);
	bench_run_for(b, 20 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_SUCCEEDED);
	assert_string_equal(bench_alias_holds(b), "2");
	bench_free(b);
}

/* A rollout that has begun keeps its version, however often it has to prepare. */
static void a_chosen_version_stays(void **state)
{
	struct bench *b = bench_new();

	(void)state;
	make_alias(b, "test", "2");
	provision(b, "1");
	bench_admin(b, "POST", "/_localaws/faults",
		    "[{\"op\": \"PutProvisionedConcurrencyConfig\", \"fault\": \"throttle\", \"times\": 10}]");
	start_from_test(b, "1m");
	bench_run_for(b, 62 * MS_PER_SECOND);
	bench_assert_phase(b, "hello", PHASE_PREPARING);
	assert_int_equal(bench_look(b, "hello").state.canary, 2);
	assert_int_equal(
	    ask_aws(b, "PUT", "/2015-03-31/functions/hello/aliases/test", "", "{\"FunctionVersion\": \"3\"}"), 200);
	bench_run_for(b, 20 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_SUCCEEDED);
	assert_string_equal(bench_alias_holds(b), "2");
	bench_free(b);
}

/* What this daemon has rolled out there itself has soaked since it got all traffic. */
static void our_own_record_counts(void **state)
{
	struct bench *b = bench_new();
	char text[LIMIT_REASON];
	const char *plan = "apiVersion: rolloutd/v1\nkind: Rollout\nname: hello-test\nfunction: hello\nalias: test\n"
			   "version: 2\nstrategy: AllAtOnce\n";

	(void)state;
	make_alias(b, "test", "1");
	assert_int_equal(bench_take(b, "test.yaml", plan, text), INTAKE_STARTED);
	bench_run_for(b, 90 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello-test", PHASE_SUCCEEDED);
	start_from_test(b, "2h");
	bench_run_for(b, 28 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_PREPARING);
	bench_run_for(b, 3 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_PROGRESSING);
	bench_free(b);
}

static void a_source_without_one_version_is_waited_for_or_refused(void **state)
{
	struct bench *b = bench_new();

	(void)state;
	make_alias(b, "test", "2");
	assert_int_equal(ask_aws(b, "PUT", "/2015-03-31/functions/hello/aliases/test", "",
				 "{\"RoutingConfig\": {\"AdditionalVersionWeights\": {\"3\": 0.5}}}"),
			 200);
	start_from_test(b, "0s");
	bench_run_for(b, MS_PER_HOUR);
	assert_ends(b, PHASE_PREPARING, "waits until test has one version alone");
	assert_int_equal(ask_aws(b, "PUT", "/2015-03-31/functions/hello/aliases/test", "",
				 "{\"RoutingConfig\": {\"AdditionalVersionWeights\": {}}}"),
			 200);
	bench_run_for(b, MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_PROGRESSING);
	bench_free(b);
	b = bench_new();
	make_alias(b, "test", "$LATEST");
	start_from_test(b, "0s");
	bench_run_for(b, MS_PER_MINUTE);
	assert_ends(b, PHASE_FAILED, "test points at $LATEST");
	bench_free(b);
}

/* --- records of the version before --- */

static int make_older(void *ctx, const struct store_rollout *r)
{
	static const char *const newer[] = {
	    "gated_pre",	 "gated_post",	      "alias_provisioned", "stable_provisioned", "provisioned",
	    "provision_asked",	 "provision_unsure",  "release",	   "moving_ms",		 "soak_version",
	    "soak_from_unix_ms", "soak_seen_unix_ms", "soak_seen_boot_ms", "old_revision",	 "old_views",
	    "take_told",	 "told_revision"};
	json_t *record = json_loads(r->record, 0, NULL);
	struct store_rollout row = *r;
	char *text;
	int result;

	for (size_t n = 0; n < array_len(newer); n++)
		assert_int_equal(json_object_del(record, newer[n]), 0);
	assert_int_equal(json_integer_value(json_object_get(record, "version")), 6);
	json_object_set_new(record, "version", json_integer(1));
	text = json_dumps(record, JSON_COMPACT);
	row.record = text;
	result = store_put_rollout(ctx, &row);
	free(text);
	json_decref(record);
	return result;
}

static void a_record_of_the_version_before_goes_on(void **state)
{
	struct bench *b = bench_new();

	(void)state;
	start(b, 2, "");
	bench_run_for(b, MS_PER_MINUTE);
	assert_int_equal(store_begin(b->store), 0);
	assert_int_equal(store_each_live(b->store, make_older, b->store), 0);
	assert_int_equal(store_commit(b->store), 0);
	bench_crash(b);
	bench_run_for(b, 15 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_SUCCEEDED);
	assert_int_equal(b->updates, 3);
	bench_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_program_is_asked_before_any_traffic),
	    cmocka_unit_test(a_program_says_no),
	    cmocka_unit_test(a_program_may_ask_to_be_tried_again),
	    cmocka_unit_test(a_program_that_hangs_or_is_missing_says_no),
	    cmocka_unit_test(a_rollback_does_not_wait_for_a_program),
	    cmocka_unit_test(no_hook_without_a_record),
	    cmocka_unit_test(a_function_is_invoked),
	    cmocka_unit_test(a_function_that_fails_says_no),
	    cmocka_unit_test(a_function_without_an_answer_in_its_time_says_no),
	    cmocka_unit_test(an_address_is_told_and_never_shown),
	    cmocka_unit_test(requests_must_be_answered),
	    cmocka_unit_test(it_goes_along_with_the_traffic),
	    cmocka_unit_test(a_bad_version_gives_it_back),
	    cmocka_unit_test(without_it_or_the_right_to_see_it_nothing_is_asked_for),
	    cmocka_unit_test(what_another_alias_has_is_kept),
	    cmocka_unit_test(a_provisioned_alias_takes_no_steps),
	    cmocka_unit_test(a_release_that_is_throttled_goes_on),
	    cmocka_unit_test(killed_anywhere_it_comes_to_the_same_end),
	    cmocka_unit_test(a_version_is_taken_when_it_has_soaked),
	    cmocka_unit_test(a_chosen_version_stays),
	    cmocka_unit_test(our_own_record_counts),
	    cmocka_unit_test(a_source_without_one_version_is_waited_for_or_refused),
	    cmocka_unit_test(a_record_of_the_version_before_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
