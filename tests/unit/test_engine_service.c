/* Whole services in virtual time: what they make, how often they ask, and what they leave to others. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "service_bench.h"

static void from_nothing(const char *kind)
{
	struct service_sends s;
	struct bench *b = service_bench_kept(kind, &s);
	unsigned changes = s.changes;

	service_bench_assert_whole(b, kind, "Hello V1", 1);
	assert_string_equal(service_bench_holds(b), "$LATEST 1 1");
	bench_run_for(b, HOUR);
	service_bench_assert(b, PHASE_SUCCEEDED);
	assert_int_equal(s.changes, changes);
	service_bench_zip(b, "Hello V2");
	engine_check_services(b->e, "hello.zip");
	engine_turn(b->e);
	bench_run_for(b, HOUR);
	service_bench_assert(b, PHASE_SUCCEEDED);
	service_bench_assert_whole(b, kind, "Hello V2", 2);
	assert_string_equal(service_bench_holds(b), "$LATEST 2 2");
	assert_int_equal(s.apis, 1);
	assert_int_equal(s.deployments, strcmp(kind, "rest") == 0);
	service_bench_free(b);
}

static void it_is_made_from_nothing_and_stays(void **state)
{
	(void)state;
	from_nothing("rest");
	from_nothing("http");
}

/* --- what came back, what somebody moved, what has to wait --- */

static void what_was_rolled_back_is_tried_again_only_when_somebody_asks(void **state)
{
	struct service_sends s;
	struct bench *b = service_bench_kept("rest", &s);
	char text[LIMIT_REASON];
	unsigned changes;

	(void)state;
	service_bench_update(b, "Hello V2");
	while (strcmp(service_bench_holds(b), "$LATEST 2 1+") != 0)
		assert_true(bench_step(b, INT64_MAX));
	assert_int_equal(bench_command(b, "hello.prod", COMMAND_ROLLBACK), ENGINE_DONE);
	bench_run_for(b, 10 * MS_PER_MINUTE);
	service_bench_assert(b, PHASE_ROLLED_BACK);
	changes = s.changes;
	bench_run_for(b, HOUR);
	bench_crash(b);
	bench_run_for(b, HOUR);
	service_bench_assert(b, PHASE_ROLLED_BACK);
	assert_string_equal(service_bench_holds(b), "$LATEST 2 1");
	assert_int_equal(s.changes, changes);
	assert_int_equal(engine_retry(b->e, "hello", "uid=0", "", text), ENGINE_DONE);
	bench_crash(b);
	bench_run_for(b, HOUR);
	service_bench_assert(b, PHASE_SUCCEEDED);
	assert_string_equal(service_bench_holds(b), "$LATEST 2 2");
	assert_int_equal(bench_look(b, "hello.prod").attempt, 2);
	service_bench_free(b);
}

static void what_somebody_moves_is_named_and_not_moved_back(void **state)
{
	struct service_sends s;
	struct bench *b = service_bench_kept("rest", &s);
	char text[LIMIT_REASON];
	unsigned changes;

	(void)state;
	service_bench_update(b, "Hello V2");
	bench_run_for(b, HOUR);
	assert_string_equal(service_bench_holds(b), "$LATEST 2 2");
	assert_int_equal(
	    service_bench_ask(b, "PUT", FUNCTION "/aliases/prod", "", "{\"FunctionVersion\": \"1\"}", NULL), 200);
	changes = s.changes;
	bench_run_for(b, HOUR);
	bench_crash(b);
	bench_run_for(b, HOUR);
	service_bench_assert(b, PHASE_BLOCKED);
	assert_int_equal(s.changes, changes);
	assert_int_equal(engine_retry(b->e, "hello", "uid=0", "", text), ENGINE_DONE);
	bench_run_for(b, HOUR);
	service_bench_assert(b, PHASE_SUCCEEDED);
	assert_string_equal(service_bench_holds(b), "$LATEST 2 2");
	service_bench_free(b);
}

static void a_soak_goes_on_over_restarts(void **state)
{
	struct service_sends s;
	struct bench *b = service_bench_new(NULL, &s);

	(void)state;
	service_bench_take(b, service_bench_text("rest", "{version: {from_alias: test, soak: 2h}, rollout: {steps: "
							 "[{weight: 10%, bake: 1m}], analysis: {no_data: pass}}}"));
	assert_true(service_bench_until(b, PHASE_SUCCEEDED, HOUR));
	service_bench_update(b, "Hello V2");
	for (unsigned n = 0; n < 11; n++) {
		bench_run_for(b, 10 * MS_PER_MINUTE);
		bench_crash(b);
	}
	assert_string_equal(service_bench_holds(b), "$LATEST 2 1");
	bench_run_for(b, 20 * MS_PER_MINUTE);
	assert_string_equal(service_bench_holds(b), "$LATEST 2 2");
	service_bench_free(b);
}

static void a_file_that_vanishes_is_named_and_its_return_noticed(void **state)
{
	struct service_sends s;
	struct bench *b = service_bench_kept("rest", &s);

	(void)state;
	service_bench_update(b, NULL);
	bench_run_for(b, MS_PER_MINUTE);
	service_bench_assert(b, PHASE_BLOCKED);
	b->calls = 0;
	bench_run_for(b, HOUR);
	assert_in_range(b->calls, 10, 400);
	service_bench_update(b, "Hello V2");
	service_bench_assert_updated(b, "rest", "file", 0);
	service_bench_free(b);
}

/* Somebody deletes the API: it is made anew, whole, and the old one's statements go. */
static void a_deleted_api_is_made_anew(void **state)
{
	struct service_sends s;
	struct bench *b = service_bench_kept("rest", &s);
	char path[128], *list cleanup(mem_free_p) = NULL;

	(void)state;
	assert_int_equal(service_bench_ask(b, "GET", "/restapis", "", "", &list), 200);
	(void)snprintf(path, sizeof(path), "/restapis/%.10s", strstr(list, "\"id\":\"") + 6);
	assert_int_equal(service_bench_ask(b, "DELETE", path, "", "", NULL) / 100, 2);
	bench_run_for(b, 10 * MS_PER_MINUTE);
	service_bench_assert(b, PHASE_SUCCEEDED);
	bench_run_for(b, 10 * MS_PER_MINUTE);
	assert_int_equal(s.apis, 2);
	assert_int_equal(s.deployments, 2);
	service_bench_free(b);
}

/* --- how often it asks --- */

static void a_soak_is_not_asked_for_every_few_seconds(void **state)
{
	struct service_sends s;
	struct bench *b = service_bench_new(NULL, &s);

	(void)state;
	service_bench_take(b, service_bench_text("rest", "{version: {from_alias: test, soak: 2h}, rollout: {steps: "
							 "[{weight: 10%, bake: 1m}], analysis: {no_data: pass}}}"));
	assert_true(service_bench_until(b, PHASE_SUCCEEDED, HOUR));
	service_bench_zip(b, "Hello V2");
	engine_check_services(b->e, NULL);
	bench_run_for(b, 10 * MS_PER_MINUTE);
	assert_string_equal(service_bench_holds(b), "$LATEST 2 1");
	b->calls = 0;
	bench_run_for(b, HOUR);
	assert_in_range(b->calls, 10, 400);
	assert_string_equal(service_bench_holds(b), "$LATEST 2 1");
	bench_run_for(b, HOUR + MS_PER_MINUTE * 5);
	assert_string_equal(service_bench_holds(b), "$LATEST 2 2");
	service_bench_free(b);
}

static int spoil(struct store *store, const char *name, const char *alias_key)
{
	struct store_rollout row = {.name = name,
				    .attempt = 1,
				    .alias_key = alias_key,
				    .live = true,
				    .revision = 1,
				    .plan = "no plan at all",
				    .plan_hash = "x",
				    .record = "{}"};
	uint64_t id;
	int r = store_begin(store);

	r = r == 0 ? store_insert_rollout(store, &row, &id) : r;
	return r == 0 ? store_commit(store) : r;
}

static void a_rollout_that_cannot_start_is_not_tried_without_pause(void **state)
{
	struct service_sends s;
	struct bench *b = service_bench_kept("rest", &s);
	size_t told;

	(void)state;
	assert_int_equal(spoil(b->store, "hello.prod", "default/us-east-1/hello/prod"), 0);
	bench_crash(b);
	service_bench_zip(b, "Hello V2");
	bench_run_for(b, 10 * MS_PER_MINUTE);
	told = strlen(b->published);
	b->calls = 0;
	bench_run_for(b, HOUR);
	assert_in_range(b->calls, 10, 1500);
	assert_in_range(strlen(b->published) - told, 0, 2000);
	assert_string_equal(service_bench_holds(b), "$LATEST 2 1");
	service_bench_free(b);
}

/* --- an AWS that others change, or that shows late what was changed --- */

/* Whoever it is, sets the stage's variable back each time. */
static void set_back(struct bench *b, const struct http_request *r, struct world_reply *reply)
{
	(void)reply;
	if (strcmp(r->method, "PATCH") == 0 && strstr(r->path, "/stages/dev"))
		(void)service_bench_ask(b, "PATCH", r->path, "",
					"{\"patchOperations\": [{\"op\": \"replace\", \"path\": "
					"\"/variables/lambdaAlias\", \"value\": \"prod\"}]}",
					NULL);
}

static void who_sets_it_back_each_time_is_not_fought_without_end(void **state)
{
	struct service_sends s;
	struct bench *b = service_bench_kept("rest", &s);
	char path[128], *list cleanup(mem_free_p) = NULL;
	unsigned changes;

	(void)state;
	b->answers = set_back;
	assert_int_equal(service_bench_ask(b, "GET", "/restapis", "", "", &list), 200);
	assert_non_null(strstr(list, "\"id\":\""));
	(void)snprintf(path, sizeof(path), "/restapis/%.10s/stages/dev", strstr(list, "\"id\":\"") + 6);
	assert_int_equal(service_bench_ask(b, "PATCH", path, "",
					   "{\"patchOperations\": [{\"op\": \"replace\", \"path\": "
					   "\"/variables/lambdaAlias\", \"value\": \"prod\"}]}",
					   NULL),
			 200);
	bench_run_for(b, 10 * MS_PER_MINUTE);
	service_bench_assert(b, PHASE_BLOCKED);
	changes = s.changes;
	bench_run_for(b, HOUR);
	service_bench_assert(b, PHASE_BLOCKED);
	assert_in_range(s.changes - changes, 1, 70);
	b->answers = NULL;
	bench_run_for(b, 10 * MS_PER_MINUTE);
	service_bench_assert(b, PHASE_SUCCEEDED);
	service_bench_free(b);
}

/* --- commands --- */

static void what_is_paused_stays_so(void **state)
{
	struct service_sends s;
	struct bench *b = service_bench_kept("rest", &s);

	(void)state;
	assert_int_equal(bench_command(b, "hello", COMMAND_PAUSE), ENGINE_DONE);
	service_bench_zip(b, "Hello V2");
	b->calls = 0;
	engine_check_services(b->e, "hello.zip");
	engine_turn(b->e);
	bench_run_for(b, HOUR);
	bench_crash(b);
	bench_run_for(b, HOUR);
	service_bench_assert(b, PHASE_PAUSED);
	assert_int_equal(b->calls, 0);
	assert_int_equal(bench_command(b, "hello", COMMAND_RESUME), ENGINE_DONE);
	bench_run_for(b, HOUR);
	service_bench_assert(b, PHASE_SUCCEEDED);
	assert_string_equal(service_bench_holds(b), "$LATEST 2 2");
	service_bench_free(b);
}

/* Its rollout goes on, and its end does not wake the service. */
static void what_is_paused_stays_so_when_its_rollout_ends(void **state)
{
	struct service_sends s;
	struct bench *b = service_bench_kept("rest", &s);

	(void)state;
	service_bench_zip(b, "Hello V2");
	engine_check_services(b->e, "hello.zip");
	assert_true(service_bench_until(b, PHASE_PROGRESSING, HOUR));
	while (bench_step(b, INT64_MAX) && !strstr(service_bench_look(b, "hello").reason, "under way"))
		;
	assert_int_equal(bench_command(b, "hello", COMMAND_PAUSE), ENGINE_DONE);
	service_bench_zip(b, "Hello V3");
	bench_run_for(b, HOUR);
	service_bench_assert(b, PHASE_PAUSED);
	assert_string_equal(service_bench_holds(b), "$LATEST 2 2");
	service_bench_free(b);
}

/* --- many of them --- */

#define MANY 200

/* A service's looking is never urgent: an account's few calls a second are for what carries traffic first. */
static void looks_do_not_hold_up_a_rollout(void **state)
{
	static const char world[] =
	    "seed: 3\nlimits: off\ninvoke_delay: false\nfunctions: {hello: {versions: {1: {}, 2: {}}, "
	    "aliases: {prod: {version: 1}}}}\n";
	struct service_sends s;
	struct bench *b = service_bench_new(world, &s);
	char text[1024], why[LIMIT_REASON];
	int64_t began;

	(void)state;
	for (unsigned n = 0; n < MANY; n++) {
		(void)snprintf(text, sizeof(text),
			       "apiVersion: rolloutd/v1\nkind: Service\nname: s%u\nfunction: hello\naliases: {a%u: "
			       "{version: 1}}\ncheck_every: 9h\n",
			       n, n);
		assert_int_equal(bench_take(b, text, text, why), INTAKE_STARTED);
	}
	bench_run_for(b, HOUR);
	bench_crash(b);
	bench_run_for(b, 2 * MS_PER_SECOND);
	assert_int_equal(bench_take(b, "by-hand.yaml",
				    "apiVersion: rolloutd/v1\nkind: Rollout\nname: by-hand\nfunction: hello\nalias: "
				    "prod\nversion: 2\nsteps: [{weight: 10%, bake: 1h}]\nanalysis: {no_data: pass}\n",
				    why),
			 INTAKE_STARTED);
	began = b->now.boot_ms;
	while (strcmp(bench_alias_holds(b), "1+2@0.1") != 0)
		assert_true(bench_step(b, began + MS_PER_HOUR));
	assert_in_range(b->now.boot_ms - began, 0, 5 * MS_PER_SECOND);
	bench_run_for(b, 10 * MS_PER_MINUTE);
	for (unsigned n = 0; n < MANY; n++) {
		(void)snprintf(text, sizeof(text), "s%u", n);
		assert_int_equal(service_bench_look(b, text).phase, PHASE_SUCCEEDED);
	}
	service_bench_free(b);
}

/* --- others at work on its aliases --- */

/* Two files that each set back what the other one says would change what users get every few minutes. */
static void what_one_service_keeps_no_other_one_takes(void **state)
{
	static const char head[] = "apiVersion: rolloutd/v1\nkind: Service\nname: other\nfunction: hello\n";
	struct service_sends s;
	struct bench *b = service_bench_kept("rest", &s);
	char text[512], why[LIMIT_REASON];

	(void)state;
	(void)snprintf(text, sizeof(text), "%saliases: {blue: {version: 1}, prod: {version: 1}}\n", head);
	assert_int_equal(bench_take(b, "other.yaml", text, why), INTAKE_REFUSED);
	assert_string_equal(why,
			    "service hello keeps alias prod of function hello already: take it out of one of the two");
	(void)snprintf(
	    text, sizeof(text),
	    "%saliases: {blue: {version: 1}}\napi: {name: hello-api, type: rest, routes: [{method: GET, path: /x}], "
	    "stages: {test: blue}}\n",
	    head);
	assert_int_equal(bench_take(b, "other.yaml", text, why), INTAKE_REFUSED);
	assert_string_equal(
	    why, "service hello keeps stage test of API hello-api on alias test: take the stage out of one of "
		 "the two");
	(void)snprintf(text, sizeof(text), "%saliases: {blue: {version: 1}}\n", head);
	assert_int_equal(bench_take(b, "other.yaml", text, why), INTAKE_STARTED);
	service_bench_free(b);
}

static void a_rollout_by_hand_is_let_alone(void **state)
{
	struct service_sends s;
	struct bench *b = service_bench_kept("rest", &s);
	char text[LIMIT_REASON];
	struct service_seen seen;

	(void)state;
	/* Only $LATEST may be jumped to, which no rollout can do: so dev is declared on it, and prod moves there. */
	service_bench_zip(b, "Hello V2");
	service_bench_take(b, service_bench_text("rest", "{version: 1, rollout: {strategy: AllAtOnce}}"));
	bench_run_for(b, 10 * MS_PER_MINUTE);
	assert_string_equal(service_bench_holds(b), "$LATEST 2 1");
	assert_int_equal(bench_take(b, "by-hand.yaml",
				    "apiVersion: rolloutd/v1\nkind: Rollout\nname: by-hand\nfunction: hello\nalias: "
				    "prod\nversion: 2\nsteps: [{weight: 10%, bake: 5m}]\nfinal_bake: 30m\nanalysis: "
				    "{no_data: pass}\n",
				    text),
			 INTAKE_STARTED);
	bench_run_for(b, 3 * MS_PER_MINUTE);
	assert_string_equal(service_bench_holds(b), "$LATEST 2 1+");
	engine_check_services(b->e, NULL);
	engine_turn(b->e);
	bench_run_for(b, MS_PER_MINUTE);
	seen = service_bench_look(b, "hello");
	assert_int_equal(seen.phase, PHASE_PROGRESSING);
	assert_non_null(strstr(seen.reason, "by-hand"));
	bench_run_for(b, 15 * MS_PER_MINUTE); /* all traffic on 2, watched */
	service_bench_take(b, service_bench_text("rest", "{version: $LATEST}"));
	bench_run_for(b, 2 * MS_PER_MINUTE);
	assert_string_equal(service_bench_holds(b), "$LATEST 2 2");
	bench_run_for(b, HOUR);
	assert_int_equal(bench_look(b, "by-hand").phase, PHASE_SUCCEEDED);
	assert_string_equal(service_bench_holds(b), "$LATEST 2 $LATEST");
	service_bench_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(it_is_made_from_nothing_and_stays),
	    cmocka_unit_test(what_was_rolled_back_is_tried_again_only_when_somebody_asks),
	    cmocka_unit_test(what_somebody_moves_is_named_and_not_moved_back),
	    cmocka_unit_test(a_soak_goes_on_over_restarts),
	    cmocka_unit_test(a_file_that_vanishes_is_named_and_its_return_noticed),
	    cmocka_unit_test(a_deleted_api_is_made_anew),
	    cmocka_unit_test(a_soak_is_not_asked_for_every_few_seconds),
	    cmocka_unit_test(a_rollout_that_cannot_start_is_not_tried_without_pause),
	    cmocka_unit_test(who_sets_it_back_each_time_is_not_fought_without_end),
	    cmocka_unit_test(what_is_paused_stays_so),
	    cmocka_unit_test(what_is_paused_stays_so_when_its_rollout_ends),
	    cmocka_unit_test(looks_do_not_hold_up_a_rollout),
	    cmocka_unit_test(what_one_service_keeps_no_other_one_takes),
	    cmocka_unit_test(a_rollout_by_hand_is_let_alone),
	};

	cmocka_set_test_filter(getenv("TEST_FILTER"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
