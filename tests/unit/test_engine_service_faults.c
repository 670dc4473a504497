/* Whole services in virtual time: killed, stopped and commanded anywhere, with a store and an AWS that fail. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "service_bench.h"

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
		service_bench_assert_recovers(b, kind, "killed after change", n);
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
		service_bench_assert_recovers(b, "rest", "killed at turn", turn);
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
		service_bench_assert_recovers(b, "rest", "store failed at turn", turn);
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
			service_bench_assert_recovers(b, "rest", body, 0);
			service_bench_free(b);
		}
	}
}

static void an_update_is_killed_at_each_turn(void **state)
{
	bool more = true;

	(void)state;
	for (unsigned turn = 0; more; turn++) {
		struct service_sends s;
		struct bench *b = service_bench_kept("rest", &s);

		service_bench_update(b, "Hello V2");
		for (unsigned n = 0; n < turn && more; n++) {
			(void)bench_step(b, INT64_MAX);
			more = n < 5 || service_bench_look(b, "hello").phase != PHASE_SUCCEEDED;
		}
		bench_store_fails(b, turn % 3 == 1);
		bench_crash(b);
		bench_store_fails(b, false);
		service_bench_assert_updated(b, "rest", "killed at turn", turn);
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
		service_bench_assert_recovers(b, "rest", "newer content at turn", turn);
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
			struct bench *b = service_bench_kept("http", &s);
			char body[256];

			(void)snprintf(body, sizeof(body), "[{\"op\": \"%s\", \"fault\": \"%s\", \"times\": 3}]",
				       operations[o], faults[f]);
			bench_admin(b, "PUT", "/_localaws/faults", body);
			service_bench_update(b, "Hello V2");
			service_bench_assert_updated(b, "http", body, 0);
			service_bench_free(b);
		}
	}
}

/* Whatever it is at when the daemon is told to stop: no change is begun any more, and nothing is waited for
 * without end. */
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
		service_bench_assert_recovers(b, "rest", "stopped at turn", turn);
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
		service_bench_update(b, body);
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
		/* A way home that could not be recorded before a crash is an operator's to close, and is shown
		 * as that. */
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
		service_bench_assert_recovers(b, kinds[k], "stale reads", 0);
		assert_int_equal(s.apis, 1);
		assert_int_equal(s.deployments, k == 0);
		assert_int_equal(s.integrations, k == 1);
		service_bench_free(b);
		arena_free(take_ptr(stale_texts));
	}
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
			service_bench_assert_recovers(b, "rest", "paused during change", n);
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
		service_bench_assert_recovers(b, kind, operations[n], 0);
		assert_int_equal(s.apis, 1);
		assert_int_equal(s.deployments + s.integrations, 1);
		service_bench_free(b);
	}
}

/* The file changes while AWS is looked at, the stages are asked, or a rollout is about to start or under way. */
static void a_file_that_changes_at_any_turn_is_noticed(void **state)
{
	bool more = true;

	(void)state;
	for (unsigned turn = 0; more; turn++) {
		struct service_sends s;
		struct bench *b = service_bench_kept("rest", &s);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(it_is_killed_after_each_change),
	    cmocka_unit_test(it_is_killed_at_each_turn),
	    cmocka_unit_test(the_store_fails_at_each_turn),
	    cmocka_unit_test(each_operation_fails),
	    cmocka_unit_test(an_update_is_killed_at_each_turn),
	    cmocka_unit_test(newer_content_at_each_turn),
	    cmocka_unit_test(each_operation_of_an_update_fails),
	    cmocka_unit_test(nothing_is_begun_while_it_stops),
	    cmocka_unit_test(anything_in_any_order),
	    cmocka_unit_test(what_aws_shows_late_is_not_made_twice),
	    cmocka_unit_test(paused_and_resumed_during_each_change),
	    cmocka_unit_test(what_is_on_its_way_is_waited_for),
	    cmocka_unit_test(a_file_that_changes_at_any_turn_is_noticed),
	};

	cmocka_set_test_filter(getenv("TEST_FILTER"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
