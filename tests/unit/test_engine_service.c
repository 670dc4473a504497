/* Whole services in virtual time: from nothing, killed anywhere, with a store and an AWS that fail. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "service_bench.h"

#define HOUR	 (60 * MS_PER_MINUTE)
#define FUNCTION "/2015-03-31/functions/hello"

/* From nothing to as declared. */
static struct bench *kept(const char *kind, struct service_sends *s)
{
	struct bench *b = service_bench_new(NULL, s);

	service_bench_take(b, service_bench_text(kind, NULL));
	if (!service_bench_until(b, PHASE_SUCCEEDED, HOUR))
		service_bench_assert(b, PHASE_SUCCEEDED);
	return b;
}

static void from_nothing(const char *kind)
{
	struct service_sends s;
	struct bench *b = kept(kind, &s);
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

/* --- killed, refused, not recorded --- */

/* Whatever happened to it: as declared in the end, with nothing twice, and with no call without end. */
static void assert_recovers(struct bench *b, const char *kind, const char *what, unsigned n)
{
	struct service_sends *s = b->sent_ctx;
	unsigned calls;

	s->struck = false;
	s->crash_at = 0;
	if (!service_bench_until(b, PHASE_SUCCEEDED, 3 * HOUR)) {
		print_message("%s %u: %s\n", what, n, s->last);
		service_bench_assert(b, PHASE_SUCCEEDED);
	}
	service_bench_assert_whole(b, kind, "Hello V1", 1);
	assert_string_equal(service_bench_holds(b), "$LATEST 1 1");
	calls = s->changes;
	b->calls = 0;
	bench_run_for(b, HOUR);
	service_bench_assert(b, PHASE_SUCCEEDED);
	assert_int_equal(s->changes, calls);
	assert_in_range(b->calls, 1, 400);
}

static unsigned killed_at(const char *kind, unsigned n)
{
	struct service_sends s;
	struct bench *b = service_bench_new(NULL, &s);
	unsigned changes;

	s.crash_at = n;
	service_bench_take(b, service_bench_text(kind, NULL));
	(void)service_bench_until(b, PHASE_SUCCEEDED, HOUR);
	changes = s.changes;
	if (s.struck) {
		bench_crash(b);
		assert_recovers(b, kind, "killed after change", n);
	}
	service_bench_free(b);
	return changes;
}

static void it_is_killed_after_each_change(void **state)
{
	static const char *const kinds[] = {"rest", "http"};

	(void)state;
	for (size_t k = 0; k < 2; k++) {
		unsigned n = 1;

		while (killed_at(kinds[k], n) == n)
			n++;
		assert_in_range(n, 12, 60);
	}
}

static void it_is_killed_at_each_turn(void **state)
{
	bool more = true;

	(void)state;
	for (unsigned turn = 0; more; turn++) {
		struct service_sends s;
		struct bench *b = service_bench_new(NULL, &s);

		service_bench_take(b, service_bench_text("rest", NULL));
		for (unsigned n = 0; n < turn && more; n++) {
			(void)bench_step(b, INT64_MAX);
			more = service_bench_look(b, "hello").phase != PHASE_SUCCEEDED;
		}
		bench_crash(b);
		assert_recovers(b, "rest", "killed at turn", turn);
		service_bench_free(b);
	}
}

static void the_store_fails_at_each_turn(void **state)
{
	bool more = true;

	(void)state;
	for (unsigned turn = 0; more; turn++) {
		struct service_sends s;
		struct bench *b = service_bench_new(NULL, &s);

		service_bench_take(b, service_bench_text("rest", NULL));
		for (unsigned n = 0; n < turn && more; n++) {
			(void)bench_step(b, INT64_MAX);
			more = service_bench_look(b, "hello").phase != PHASE_SUCCEEDED;
		}
		bench_store_fails(b, true);
		bench_run_for(b, 20 * MS_PER_SECOND);
		if (turn % 2 == 0)
			bench_crash(b);
		bench_store_fails(b, false);
		assert_recovers(b, "rest", "store failed at turn", turn);
		service_bench_free(b);
	}
}

static void each_operation_fails(void **state)
{
	static const char *const faults[] = {
	    "{\"fault\": \"lost_before\", \"times\": 1}", "{\"fault\": \"lost_after\", \"times\": 1}",
	    "{\"fault\": \"error500\", \"times\": 2}",	  "{\"fault\": \"throttle\", \"times\": 4}",
	    "{\"fault\": \"garbage\", \"times\": 1}",	  "{\"fault\": \"html\", \"times\": 1}",
	    "{\"fault\": \"truncated\", \"times\": 1}",	  "{\"fault\": \"access_denied\", \"times\": 2}",
	};
	static const char *const operations[] = {
	    "CreateFunction",
	    "PublishVersion",
	    "CreateAlias",
	    "AddPermission",
	    "CreateRestApi",
	    "CreateResource",
	    "PutMethod",
	    "PutIntegration",
	    "CreateDeployment",
	    "CreateStage",
	    "GetFunction",
	    "ListAliases",
	    "ListVersionsByFunction",
	    "GetPolicy",
	    "GetRestApis",
	    "GetResources",
	    "GetStages",
	};

	(void)state;
	for (size_t o = 0; o < array_len(operations); o++) {
		for (size_t f = 0; f < array_len(faults); f++) {
			struct service_sends s;
			struct bench *b = service_bench_new(NULL, &s);
			char body[256];

			(void)snprintf(body, sizeof(body), "[{\"op\": \"%s\", %s]", operations[o], faults[f] + 1);
			bench_admin(b, "PUT", "/_localaws/faults", body);
			service_bench_take(b, service_bench_text("rest", NULL));
			assert_recovers(b, "rest", body, 0);
			service_bench_free(b);
		}
	}
}

static void update(struct bench *b, const char *body)
{
	service_bench_zip(b, body);
	engine_check_services(b->e, "hello.zip");
	engine_turn(b->e);
}

static void assert_updated(struct bench *b, const char *kind, const char *what, unsigned n)
{
	struct service_sends *s = b->sent_ctx;
	unsigned changes;

	bench_run_for(b, HOUR);
	if (service_bench_look(b, "hello").phase != PHASE_SUCCEEDED)
		print_message("%s %u\n", what, n);
	service_bench_assert(b, PHASE_SUCCEEDED);
	service_bench_assert_whole(b, kind, "Hello V2", 2);
	if (strcmp(service_bench_holds(b), "$LATEST 2 2") != 0)
		fail_msg("%s %u: %s", what, n, service_bench_holds(b));
	assert_int_equal(bench_look(b, "hello.prod").attempt, 1);
	assert_int_equal(bench_look(b, "hello.test").attempt, 1);
	changes = s->changes;
	bench_run_for(b, HOUR);
	assert_int_equal(s->changes, changes);
}

static void an_update_is_killed_at_each_turn(void **state)
{
	bool more = true;

	(void)state;
	for (unsigned turn = 0; more; turn++) {
		struct service_sends s;
		struct bench *b = kept("rest", &s);

		update(b, "Hello V2");
		for (unsigned n = 0; n < turn && more; n++) {
			(void)bench_step(b, INT64_MAX);
			more = n < 5 || service_bench_look(b, "hello").phase != PHASE_SUCCEEDED;
		}
		bench_store_fails(b, turn % 3 == 1);
		bench_crash(b);
		bench_store_fails(b, false);
		assert_updated(b, "rest", "killed at turn", turn);
		service_bench_free(b);
	}
}

/* Newer content takes the place of a service that is being made, whatever it is at. */
static void newer_content_at_each_turn(void **state)
{
	bool more = true;

	(void)state;
	for (unsigned turn = 0; more; turn++) {
		struct service_sends s;
		struct bench *b = service_bench_new(NULL, &s);

		service_bench_take(b, service_bench_text("rest", NULL));
		for (unsigned n = 0; n < turn && more; n++) {
			(void)bench_step(b, INT64_MAX);
			more = service_bench_look(b, "hello").phase != PHASE_SUCCEEDED;
		}
		service_bench_take(b,
				   service_bench_text("rest", "{version: latest, rollout: {steps: [{weight: 20%, bake: "
							      "2m}], analysis: {no_data: pass}}}"));
		assert_recovers(b, "rest", "newer content at turn", turn);
		assert_int_equal(s.apis, 1);
		assert_int_equal(s.deployments, 1);
		service_bench_free(b);
	}
}

static void each_operation_of_an_update_fails(void **state)
{
	static const char *const faults[] = {"lost_before", "lost_after", "error500",
					     "throttle",    "garbage",	  "truncated"};
	static const char *const operations[] = {"UpdateFunctionCode", "PublishVersion", "GetFunction", "ListAliases",
						 "GetPolicy"};

	(void)state;
	for (size_t o = 0; o < array_len(operations); o++) {
		for (size_t f = 0; f < array_len(faults); f++) {
			struct service_sends s;
			struct bench *b = kept("http", &s);
			char body[256];

			(void)snprintf(body, sizeof(body), "[{\"op\": \"%s\", \"fault\": \"%s\", \"times\": 3}]",
				       operations[o], faults[f]);
			bench_admin(b, "PUT", "/_localaws/faults", body);
			update(b, "Hello V2");
			assert_updated(b, "http", body, 0);
			service_bench_free(b);
		}
	}
}

/* Whatever it is at when the daemon is told to stop: no change is begun any more, and nothing is waited for without end. */
static void nothing_is_begun_while_it_stops(void **state)
{
	bool more = true;

	(void)state;
	for (unsigned turn = 0; more; turn++) {
		struct service_sends s;
		struct bench *b = service_bench_new(NULL, &s);
		unsigned changes;

		service_bench_take(b, service_bench_text("rest", NULL));
		for (unsigned n = 0; n < turn && more; n++) {
			(void)bench_step(b, INT64_MAX);
			more = service_bench_look(b, "hello").phase != PHASE_SUCCEEDED;
		}
		changes = s.changes;
		bench_store_fails(b, turn % 2 == 1);
		engine_drain(b->e);
		engine_turn(b->e);
		bench_run_for(b, 15 * MS_PER_SECOND);
		/* What waited for its turn in the queue is a change that is on record already. */
		assert_in_range(s.changes - changes, 0, 1);
		if (turn % 2 == 0)
			assert_true(engine_idle(b->e));
		bench_store_fails(b, false);
		bench_crash(b);
		assert_recovers(b, "rest", "stopped at turn", turn);
		service_bench_free(b);
	}
}

#define WALKS	   30
#define WALK_STEPS 400

static void walk(struct bench *b, unsigned *version)
{
	static const char *const faults[] = {"lost_before", "lost_after", "error503", "throttle",
					     "garbage",	    "reset",	  "late"};
	char text[LIMIT_REASON], body[128];

	switch (b->entropy >> 33 & 15) {
	case 0:
		(void)bench_command(b, "hello", COMMAND_PAUSE);
		break;
	case 1:
	case 2:
		(void)bench_command(b, "hello", COMMAND_RESUME);
		break;
	case 3:
		(void)engine_retry(b->e, "hello", "uid=0", "", text);
		break;
	case 4:
		bench_crash(b);
		break;
	case 5:
		bench_store_fails(b, true);
		break;
	case 6:
	case 7:
		bench_store_fails(b, false);
		break;
	case 8:
		(void)snprintf(body, sizeof(body), "Hello V%u", ++*version);
		update(b, body);
		break;
	case 9:
	case 10:
		(void)snprintf(
		    body, sizeof(body), "[{\"op\": \"*\", \"fault\": \"%s\", \"times\": 2%s}]",
		    faults[(b->entropy >> 40) % array_len(faults)],
		    (b->entropy >> 40) % array_len(faults) < 6 ? "" : ", \"delay\": \"3s\", \"connection\": \"close\"");
		bench_admin(b, "PUT", "/_localaws/faults", body);
		break;
	case 11:
		(void)bench_take(b, "hello.yaml",
				 service_bench_text("rest", b->entropy >> 50 & 1
								? NULL
								: "{version: latest, rollout: {steps: [{weight: 20%, "
								  "bake: 2m}], analysis: {no_data: pass}}}"),
				 text);
		break;
	default:
		break;
	}
}

static void anything_in_any_order(void **state)
{
	(void)state;
	for (unsigned seed = 0; seed < WALKS; seed++) {
		struct service_sends s;
		struct bench *b = service_bench_new(NULL, &s);
		char text[LIMIT_REASON], body[32];
		unsigned version = 1;

		b->entropy = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
		service_bench_take(b, service_bench_text("rest", NULL));
		for (unsigned n = 0; n < WALK_STEPS; n++) {
			for (unsigned k = b->entropy >> 37 & 7; k > 0; k--)
				(void)bench_step(b, b->now.boot_ms + MS_PER_MINUTE);
			b->entropy = b->entropy * UINT64_C(6364136223846793005) + 1442695040888963407u;
			walk(b, &version);
		}
		bench_store_fails(b, false);
		bench_admin(b, "DELETE", "/_localaws/faults", "");
		bench_run_for(b, HOUR);
		(void)bench_command(b, "hello", COMMAND_RESUME);
		/* A way home that could not be recorded before a crash is an operator's to close, and is shown as that. */
		for (unsigned n = 0; n < 4 && b->forgetful && service_bench_look(b, "hello").phase == PHASE_BLOCKED;
		     n++) {
			(void)bench_command(b, "hello.prod", COMMAND_ROLLBACK);
			bench_run_for(b, HOUR);
		}
		(void)engine_retry(b->e, "hello", "uid=0", "", text);
		(void)snprintf(body, sizeof(body), "Hello V%u", version);
		bench_run_for(b, 2 * HOUR);
		if (service_bench_look(b, "hello").phase != PHASE_SUCCEEDED)
			print_message("seed %u\n", seed);
		service_bench_assert(b, PHASE_SUCCEEDED);
		service_bench_assert_answers(b, "rest", body);
		assert_int_equal(s.unrecorded, 0);
		b->forgetful = false;
		service_bench_free(b);
	}
}

/* --- what came back, what somebody moved, what has to wait --- */

static void what_was_rolled_back_is_tried_again_only_when_somebody_asks(void **state)
{
	struct service_sends s;
	struct bench *b = kept("rest", &s);
	char text[LIMIT_REASON];
	unsigned changes;

	(void)state;
	update(b, "Hello V2");
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
	struct bench *b = kept("rest", &s);
	char text[LIMIT_REASON];
	unsigned changes;

	(void)state;
	update(b, "Hello V2");
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
	update(b, "Hello V2");
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
	struct bench *b = kept("rest", &s);

	(void)state;
	update(b, NULL);
	bench_run_for(b, MS_PER_MINUTE);
	service_bench_assert(b, PHASE_BLOCKED);
	b->calls = 0;
	bench_run_for(b, HOUR);
	assert_in_range(b->calls, 10, 400);
	update(b, "Hello V2");
	assert_updated(b, "rest", "file", 0);
	service_bench_free(b);
}

/* Somebody deletes the API: it is made anew, whole, and the old one's statements go. */
static void a_deleted_api_is_made_anew(void **state)
{
	struct service_sends s;
	struct bench *b = kept("rest", &s);
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
	struct bench *b = kept("rest", &s);
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
	struct bench *b = kept("rest", &s);
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

#define STALE_MS    (4 * MS_PER_SECOND)
#define STALE_PATHS 64

/* What was answered to a read last, while it was the truth. */
static struct {
	const char *target;
	const char *body;
	int status;
} stale[STALE_PATHS];
static struct arena *stale_texts; /* answers on their way borrow from it, so it goes with the test */
static int64_t changed_boot_ms;

static void answer_stale(struct bench *b, const struct http_request *r, struct world_reply *reply)
{
	char *target cleanup(mem_free_p) = mem_printf("%s?%s", r->path, r->query);
	size_t n = 0;

	if (strcmp(r->method, "GET") != 0) {
		if (reply->response.status / 100 == 2)
			changed_boot_ms = b->now.boot_ms;
		return;
	}
	if (!strstr(r->path, "apis"))
		return;
	while (n < STALE_PATHS && stale[n].target && strcmp(stale[n].target, target) != 0)
		n++;
	if (n == STALE_PATHS || strstr(r->path, "_user_request_"))
		return;
	if (stale[n].target && b->now.boot_ms < changed_boot_ms + STALE_MS) {
		reply->response.status = stale[n].status;
		reply->response.body = stale[n].body;
		reply->response.body_len = strlen(stale[n].body);
		return;
	}
	stale[n].target = arena_strdup(stale_texts, target);
	stale[n].body = arena_strndup(stale_texts, reply->response.body, reply->response.body_len);
	stale[n].status = reply->response.status;
}

static void what_aws_shows_late_is_not_made_twice(void **state)
{
	static const char *const kinds[] = {"rest", "http"};

	(void)state;
	for (size_t k = 0; k < 2; k++) {
		struct service_sends s;
		struct bench *b = service_bench_new(NULL, &s);

		changed_boot_ms = 0;
		memset(stale, 0, sizeof(stale));
		stale_texts = arena_new();
		b->answers = answer_stale;
		service_bench_take(b, service_bench_text(kinds[k], NULL));
		assert_recovers(b, kinds[k], "stale reads", 0);
		assert_int_equal(s.apis, 1);
		assert_int_equal(s.deployments, k == 0);
		assert_int_equal(s.integrations, k == 1);
		service_bench_free(b);
		arena_free(take_ptr(stale_texts));
	}
}

/* --- commands --- */

static void what_is_paused_stays_so(void **state)
{
	struct service_sends s;
	struct bench *b = kept("rest", &s);

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
	struct bench *b = kept("rest", &s);

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

/* Paused and resumed while a change is under way: what that makes is not made twice. */
static void paused_and_resumed_during_each_change(void **state)
{
	(void)state;
	for (unsigned n = 1, more = 1; more; n++) {
		struct service_sends s;
		struct bench *b = service_bench_new(NULL, &s);

		bench_admin(b, "PUT", "/_localaws/faults",
			    "[{\"op\": \"*\", \"fault\": \"delay\", \"delay\": \"3s\"}]");
		service_bench_take(b, service_bench_text("rest", NULL));
		s.crash_at = n;
		(void)service_bench_until(b, PHASE_SUCCEEDED, HOUR);
		more = s.struck;
		s.struck = false;
		if (more) {
			(void)bench_command(b, "hello", COMMAND_PAUSE);
			assert_int_equal(bench_command(b, "hello", COMMAND_RESUME), ENGINE_DONE);
			assert_recovers(b, "rest", "paused during change", n);
		}
		assert_int_equal(s.apis, 1);
		assert_int_equal(s.deployments, 1);
		service_bench_free(b);
	}
}

/* What its answer is waited for when the service is stopped: a look may not show yet what it makes. */
static void what_is_on_its_way_is_waited_for(void **state)
{
	static const char *const operations[] = {"CreateRestApi", "CreateDeployment", "CreateIntegration"};

	(void)state;
	for (size_t n = 0; n < array_len(operations); n++) {
		const char *kind = n < 2 ? "rest" : "http";
		struct service_sends s;
		struct bench *b = service_bench_new(NULL, &s);
		char fault[128];

		(void)snprintf(fault, sizeof(fault),
			       "[{\"op\": \"%s\", \"fault\": \"late\", \"delay\": \"4s\", \"times\": 1}]",
			       operations[n]);
		bench_admin(b, "PUT", "/_localaws/faults", fault);
		service_bench_take(b, service_bench_text(kind, NULL));
		while (s.apis + s.deployments + s.integrations < (n == 0 ? 1 : 2))
			assert_true(bench_step(b, INT64_MAX));
		assert_int_equal(bench_command(b, "hello", COMMAND_PAUSE), ENGINE_DONE);
		assert_int_equal(bench_command(b, "hello", COMMAND_RESUME), ENGINE_DONE);
		assert_recovers(b, kind, operations[n], 0);
		assert_int_equal(s.apis, 1);
		assert_int_equal(s.deployments + s.integrations, 1);
		service_bench_free(b);
	}
}

/* --- nothing gets lost --- */

/* The file changes while AWS is looked at, the stages are asked, or a rollout is about to start or under way. */
static void a_file_that_changes_at_any_turn_is_noticed(void **state)
{
	bool more = true;

	(void)state;
	for (unsigned turn = 0; more; turn++) {
		struct service_sends s;
		struct bench *b = kept("rest", &s);
		char *body cleanup(mem_free_p) = NULL;

		service_bench_zip(b, "Hello V2");
		engine_check_services(b->e, "hello.zip");
		engine_turn(b->e);
		for (unsigned n = 0; n < turn && more; n++) {
			(void)bench_step(b, INT64_MAX);
			more = n < 5 || service_bench_look(b, "hello").phase != PHASE_SUCCEEDED;
		}
		service_bench_zip(b, "Hello V9");
		engine_check_services(b->e, "hello.zip");
		engine_turn(b->e);
		bench_run_for(b, 30 * MS_PER_SECOND);
		assert_int_equal(service_bench_ask(b, "POST", FUNCTION "/invocations", "Qualifier=dev", "{}", &body),
				 200);
		if (!strstr(body, "Hello V9"))
			fail_msg("changed at turn %u, and dev answers %s", turn, body);
		service_bench_free(b);
	}
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
	struct bench *b = kept("rest", &s);
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
	struct bench *b = kept("rest", &s);
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
	    cmocka_unit_test(it_is_killed_after_each_change),
	    cmocka_unit_test(it_is_killed_at_each_turn),
	    cmocka_unit_test(the_store_fails_at_each_turn),
	    cmocka_unit_test(each_operation_fails),
	    cmocka_unit_test(an_update_is_killed_at_each_turn),
	    cmocka_unit_test(newer_content_at_each_turn),
	    cmocka_unit_test(each_operation_of_an_update_fails),
	    cmocka_unit_test(nothing_is_begun_while_it_stops),
	    cmocka_unit_test(anything_in_any_order),
	    cmocka_unit_test(what_was_rolled_back_is_tried_again_only_when_somebody_asks),
	    cmocka_unit_test(what_somebody_moves_is_named_and_not_moved_back),
	    cmocka_unit_test(a_soak_goes_on_over_restarts),
	    cmocka_unit_test(a_file_that_vanishes_is_named_and_its_return_noticed),
	    cmocka_unit_test(a_deleted_api_is_made_anew),
	    cmocka_unit_test(a_soak_is_not_asked_for_every_few_seconds),
	    cmocka_unit_test(a_rollout_that_cannot_start_is_not_tried_without_pause),
	    cmocka_unit_test(who_sets_it_back_each_time_is_not_fought_without_end),
	    cmocka_unit_test(what_aws_shows_late_is_not_made_twice),
	    cmocka_unit_test(what_is_paused_stays_so),
	    cmocka_unit_test(what_is_paused_stays_so_when_its_rollout_ends),
	    cmocka_unit_test(paused_and_resumed_during_each_change),
	    cmocka_unit_test(what_is_on_its_way_is_waited_for),
	    cmocka_unit_test(a_file_that_changes_at_any_turn_is_noticed),
	    cmocka_unit_test(looks_do_not_hold_up_a_rollout),
	    cmocka_unit_test(what_one_service_keeps_no_other_one_takes),
	    cmocka_unit_test(a_rollout_by_hand_is_let_alone),
	};

	cmocka_set_test_filter(getenv("TEST_FILTER"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
