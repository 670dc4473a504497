/*
 * The dispatcher over fake ports: a clock that the test moves, and a transport that keeps what was sent until the test
 * answers it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/prng.h"
#include "base/text.h"
#include "dispatch_rig.h"

static void a_call_is_signed_sent_and_answered_once(void **state)
{
	(void)state;
	struct dispatch_rig *w = dispatch_rig_new(10);
	struct probe p = {0};
	assert_true(dispatch_idle(w->d));
	assert_int_equal(dispatch_next_ms(w->d), INT64_MAX);
	dispatch_rig_submit(w, &p, 'a', OPERATION_GET_ALIAS, PRIORITY_NORMAL);
	assert_int_equal(w->n_sent, 0);
	assert_int_equal(dispatch_next_ms(w->d), w->now.boot_ms);
	dispatch_run(w->d);
	assert_int_equal(w->n_sent, 1);
	assert_int_equal(w->sent[0].timeout_ms, 10000);
	assert_string_equal(w->sent[0].amz_date, "20261122T221005Z");
	assert_non_null(strstr(w->sent[0].authorization, "Credential=AKID-default/20261122/us-east-1/lambda/"));
	assert_int_equal(p.done, 0);
	assert_false(dispatch_idle(w->d));
	assert_int_equal(dispatch_next_ms(w->d), INT64_MAX);
	dispatch_rig_answer_status(w, 0, 201, NULL, NULL);
	assert_int_equal(p.done, 1);
	assert_int_equal(p.status, 201);
	assert_true(dispatch_idle(w->d));
	dispatch_rig_free(w);
	assert_int_equal(p.done, 1);
}

static bool says(void *ctx)
{
	return *(bool *)ctx;
}

/* What changes something leaves only as long as the state is ours; after that nothing does. */
static void the_guard_is_asked_before_each_change(void **state)
{
	(void)state;
	struct dispatch_rig *w = dispatch_rig_new(10);
	struct probe p[4] = {0};
	bool ours = true;
	char order[16];
	dispatch_set_guard(w->d, says, &ours);
	dispatch_rig_submit(w, &p[0], 'a', OPERATION_UPDATE_ALIAS, PRIORITY_HOME);
	dispatch_run(w->d);
	assert_string_equal(dispatch_rig_sent_order(w, order, sizeof(order)), "a");
	/* It fails, and is to be sent again; meanwhile another daemon takes over. */
	dispatch_rig_answer_status(w, 0, 429, "TooManyRequestsException", NULL);
	ours = false;
	dispatch_rig_submit(w, &p[1], 'b', OPERATION_GET_METRIC_DATA, PRIORITY_NORMAL);
	dispatch_rig_submit(w, &p[2], 'c', OPERATION_UPDATE_ALIAS, PRIORITY_NORMAL);
	dispatch_rig_run_until(w, w->now.boot_ms + 60000);
	assert_null(strchr(dispatch_rig_sent_order(w, order, sizeof(order)) + 1, 'a'));
	assert_null(strchr(order, 'c'));
	ours = true;
	dispatch_rig_submit(w, &p[3], 'd', OPERATION_GET_ALIAS, PRIORITY_NORMAL);
	dispatch_rig_run_until(w, w->now.boot_ms + 60000);
	assert_null(strchr(dispatch_rig_sent_order(w, order, sizeof(order)), 'd'));
	dispatch_rig_answer_all_from(w, 1);
	dispatch_rig_free(w);
}

static void services_have_their_own_names_and_buckets(void **state)
{
	(void)state;
	struct dispatch_rig *w = dispatch_rig_new(1);
	static const enum engine_operation all[] = {OPERATION_GET_ALIAS,       OPERATION_UPDATE_ALIAS,
						    OPERATION_LIST_VERSIONS,   OPERATION_GET_FUNCTION,
						    OPERATION_GET_METRIC_DATA, OPERATION_DESCRIBE_ALARMS};
	struct probe p[6] = {0};
	for (int i = 0; i < 6; i++)
		dispatch_rig_submit(w, &p[i], (char)('a' + i), all[i], PRIORITY_NORMAL);
	dispatch_run(w->d);
	/* One token for the three that share Lambda's control plane; one each for the others. */
	char order[16];
	assert_string_equal(dispatch_rig_sent_order(w, order, sizeof(order)), "adef");
	assert_non_null(strstr(w->sent[2].authorization, "/us-east-1/monitoring/"));
	assert_int_equal(dispatch_next_ms(w->d), w->now.boot_ms + 1000);
	dispatch_rig_advance(w, 1000);
	dispatch_run(w->d);
	assert_string_equal(dispatch_rig_sent_order(w, order, sizeof(order)), "adefb");
	dispatch_rig_answer_all_from(w, 0);
	dispatch_rig_free(w);
}

static void rates_hold_by_account_and_region(void **state)
{
	(void)state;
	struct dispatch_rig *w = dispatch_rig_new(10);
	struct probe p[100] = {0};
	for (int i = 0; i < 100; i++) {
		p[i].w = w;
		p[i].name = 'n';
		struct dispatch_call call = dispatch_rig_call_of(&p[i], OPERATION_GET_ALIAS, PRIORITY_NORMAL);
		call.region = i % 2 ? "eu-west-1" : "us-east-1";
		call.account = i % 4 < 2 ? "default" : "prod";
		dispatch_submit(w->d, &call);
	}
	dispatch_run(w->d);
	assert_int_equal(w->n_sent, 40); /* a burst of 10 for each of four */
	dispatch_rig_answer_all_from(w, 0);
	dispatch_rig_run_until(w, w->now.boot_ms + 500);
	assert_int_equal(w->n_sent, 60); /* and 10 a second */
	dispatch_rig_answer_all_from(w, 40);
	dispatch_rig_run_until(w, w->now.boot_ms + 1000);
	assert_int_equal(w->n_sent, 100);
	dispatch_rig_answer_all_from(w, 60);
	assert_int_equal(w->done, 100);
	dispatch_rig_free(w);
}

static void rollbacks_go_first_then_lookups_then_by_arrival(void **state)
{
	(void)state;
	struct dispatch_rig *w = dispatch_rig_new(1);
	struct probe p[7] = {0};
	dispatch_rig_submit(w, &p[6], 'p', OPERATION_GET_ALIAS, PRIORITY_PATIENT);
	dispatch_rig_submit(w, &p[0], 'a', OPERATION_UPDATE_ALIAS, PRIORITY_NORMAL);
	dispatch_rig_submit(w, &p[1], 'b', OPERATION_GET_ALIAS, PRIORITY_NORMAL);
	dispatch_rig_submit(w, &p[2], 'l', OPERATION_GET_ALIAS, PRIORITY_LOOKUP);
	dispatch_rig_submit(w, &p[3], 'h', OPERATION_UPDATE_ALIAS, PRIORITY_HOME);
	dispatch_rig_submit(w, &p[4], 'm', OPERATION_GET_ALIAS, PRIORITY_LOOKUP);
	dispatch_rig_submit(w, &p[5], 'i', OPERATION_UPDATE_ALIAS, PRIORITY_HOME);
	dispatch_rig_run_until(w, w->now.boot_ms + 10000);
	char order[16];
	assert_string_equal(dispatch_rig_sent_order(w, order, sizeof(order)), "hilmabp");
	dispatch_rig_answer_all_from(w, 0);
	dispatch_rig_free(w);
}

/* Hooks that take their time leave the wire to others, and wait for an answer as long as they were given. */
static void slow_invokes_leave_places_to_others(void **state)
{
	(void)state;
	struct dispatch_rig *w = dispatch_rig_new(100);
	static struct probe p[41];
	memset(p, 0, sizeof(p));
	for (int i = 0; i < 40; i++) {
		p[i].w = w;
		p[i].name = 'i';
		struct dispatch_call call = dispatch_rig_call_of(&p[i], OPERATION_INVOKE, PRIORITY_NORMAL);
		call.timeout_ms = 300000;
		dispatch_submit(w->d, &call);
	}
	dispatch_run(w->d);
	assert_int_equal(w->n_sent, 16);
	assert_int_equal(w->sent[0].timeout_ms, 300000);
	assert_int_equal(dispatch_next_ms(w->d), INT64_MAX); /* only an answer helps */
	dispatch_rig_submit(w, &p[40], 'n', OPERATION_GET_ALIAS, PRIORITY_NORMAL);
	dispatch_run(w->d);
	assert_int_equal(w->n_sent, 17);
	assert_int_equal(w->sent[16].timeout_ms, 10000);
	dispatch_rig_answer_status(w, 0, 200, NULL, NULL);
	dispatch_run(w->d);
	assert_int_equal(w->n_sent, 18);
	for (size_t i = 1; i < w->n_sent; i++) {
		dispatch_rig_answer_status(w, i, 200, NULL, NULL);
		dispatch_run(w->d);
	}
	assert_int_equal(w->done, 41);
	dispatch_rig_free(w);
}

/* An account has one CreateDeployment in 5 seconds and five GetResources in any 2. */
static void api_gateway_keeps_its_narrow_limits(void **state)
{
	(void)state;
	struct dispatch_rig *w = dispatch_rig_new(10);
	static struct probe p[15];
	char order[32];
	memset(p, 0, sizeof(p));
	for (int i = 0; i < 3; i++)
		dispatch_rig_submit(w, &p[i], 'd', OPERATION_CREATE_DEPLOYMENT, PRIORITY_NORMAL);
	for (int i = 3; i < 9; i++)
		dispatch_rig_submit(w, &p[i], 'r', OPERATION_GET_RESOURCES, PRIORITY_NORMAL);
	for (int i = 9; i < 15; i++)
		dispatch_rig_submit(w, &p[i], 's', OPERATION_UPDATE_STAGE, PRIORITY_NORMAL);
	dispatch_run(w->d);
	assert_string_equal(dispatch_rig_sent_order(w, order, sizeof(order)), "drs");
	assert_non_null(strstr(w->sent[0].authorization, "/us-east-1/apigateway/"));
	/* Nothing is saved up: AWS counts the calls of all three together. */
	dispatch_rig_run_until(w, w->now.boot_ms + 999);
	assert_string_equal(dispatch_rig_sent_order(w, order, sizeof(order)), "drsssrss");
	dispatch_rig_run_until(w, w->now.boot_ms + 1001);
	assert_int_equal(w->n_sent, 12);
	dispatch_rig_run_until(w, w->now.boot_ms + 3555);
	assert_int_equal(w->n_sent, 13);
	dispatch_rig_run_until(w, w->now.boot_ms + 1);
	assert_int_equal(w->n_sent, 14);
	dispatch_rig_run_until(w, w->now.boot_ms + 5556);
	assert_int_equal(w->n_sent, 15);
	dispatch_rig_answer_all_from(w, 0);
	dispatch_rig_free(w);
}

static void home_has_places_of_its_own_on_the_wire(void **state)
{
	(void)state;
	struct dispatch_rig *w = dispatch_rig_new(1000);
	static struct probe p[100];
	memset(p, 0, sizeof(p));
	for (int i = 0; i < 80; i++)
		dispatch_rig_submit(w, &p[i], 'n', OPERATION_GET_ALIAS, PRIORITY_NORMAL);
	dispatch_run(w->d);
	assert_int_equal(w->n_sent, LIMIT_CALLS_IN_FLIGHT - 4);
	assert_int_equal(dispatch_next_ms(w->d), INT64_MAX); /* only an answer helps */
	for (int i = 80; i < 86; i++)
		dispatch_rig_submit(w, &p[i], 'h', OPERATION_UPDATE_ALIAS, PRIORITY_HOME);
	assert_int_equal(dispatch_next_ms(w->d), w->now.boot_ms);
	dispatch_run(w->d);
	assert_int_equal(w->n_sent, LIMIT_CALLS_IN_FLIGHT);
	dispatch_rig_answer_status(w, 0, 200, NULL, NULL);
	dispatch_run(w->d);
	assert_int_equal(w->sent[64].path[1], 'h'); /* before the 20 that waited longer */
	struct engine_stats stats = {.calls_queued = 1};
	dispatch_stats(w->d, &stats);
	assert_int_equal(stats.calls_in_flight, 64);
	assert_int_equal(stats.calls_queued, 1 + 20 + 1);
	assert_int_equal(stats.calls[OPERATION_UPDATE_ALIAS], 5);
	dispatch_rig_answer_all_from(w, 1);
	dispatch_run(w->d);
	dispatch_rig_answer_all_from(w, 65);
	assert_int_equal(w->done, 86);
	dispatch_rig_free(w);
}

static void lanes_take_turns_on_the_wire(void **state)
{
	(void)state;
	struct dispatch_rig *w = dispatch_rig_new(1000);
	static struct probe p[200];
	memset(p, 0, sizeof(p));
	for (int i = 0; i < 200; i++) {
		p[i].w = w;
		p[i].name = i < 190 ? 'x' : 'y';
		struct dispatch_call call = dispatch_rig_call_of(&p[i], OPERATION_GET_ALIAS, PRIORITY_NORMAL);
		call.account = i < 190 ? "big" : "small";
		dispatch_submit(w->d, &call);
	}
	dispatch_run(w->d);
	int small = 0;
	for (size_t i = 0; i < w->n_sent; i++)
		small += w->sent[i].path[1] == 'y';
	assert_int_equal(small, 10);
	dispatch_rig_answer_all_from(w, 0);
	dispatch_rig_free(w);
}

static void throttled_calls_come_again(void **state)
{
	(void)state;
	struct dispatch_rig *w = dispatch_rig_new(10);
	struct probe p = {0};
	dispatch_rig_submit(w, &p, 'a', OPERATION_UPDATE_ALIAS,
			    PRIORITY_NORMAL); /* a write: safe as nothing was applied */
	dispatch_run(w->d);
	w->entropy = 700;
	dispatch_rig_answer_status(w, 0, 429, "TooManyRequestsException", NULL);
	assert_int_equal(p.done, 0);
	assert_int_equal(dispatch_next_ms(w->d), w->now.boot_ms + 700);
	dispatch_rig_run_until(w, w->now.boot_ms + 699);
	assert_int_equal(w->n_sent, 1);
	dispatch_rig_run_until(w, w->now.boot_ms + 1);
	assert_int_equal(w->n_sent, 2);
	assert_int_equal(p.builds, 2);
	dispatch_rig_answer_status(w, 1, 429, NULL, NULL);
	dispatch_rig_run_until(w, w->now.boot_ms + 20000);
	assert_int_equal(w->n_sent, 3);
	dispatch_rig_answer_status(w, 2, 429, NULL, NULL);
	assert_int_equal(p.done, 1); /* the third try was the last */
	assert_int_equal(p.error.class, AWS_THROTTLED);
	struct engine_stats stats = {0};
	dispatch_stats(w->d, &stats);
	assert_int_equal(stats.throttled, 3);
	assert_int_equal(stats.retries, 2);
	assert_int_equal(stats.call_errors, 1);
	assert_int_equal(stats.calls[OPERATION_UPDATE_ALIAS], 3);
	dispatch_rig_free(w);
}

/* What a probe was to find out can be asked again; nobody waits for the answer, not even at the end. */
static void a_probe_is_sent_once(void **state)
{
	(void)state;
	struct dispatch_rig *w = dispatch_rig_new(10);
	struct probe p = {.w = w, .name = 'a'}, q = {.w = w, .name = 'b'};
	struct dispatch_call call = dispatch_rig_call_of(&p, OPERATION_INVOKE, PRIORITY_PATIENT);
	call.probe = true;
	(void)dispatch_submit(w->d, &call);
	dispatch_run(w->d);
	assert_int_equal(w->n_sent, 1);
	assert_true(dispatch_idle(w->d));
	dispatch_rig_answer_status(w, 0, 429, "TooManyRequestsException", NULL);
	assert_int_equal(p.done, 1);
	assert_int_equal(p.error.class, AWS_THROTTLED);
	/* Users' hooks are in another lane, which is as fast as before. */
	dispatch_rig_submit(w, &q, 'b', OPERATION_INVOKE, PRIORITY_NORMAL);
	dispatch_run(w->d);
	assert_int_equal(w->n_sent, 2);
	assert_false(dispatch_idle(w->d));
	dispatch_rig_answer_status(w, 1, 200, NULL, NULL);
	dispatch_rig_free(w);
}

/* And slows down: from 10 calls a second to 7. */
static void throttling_empties_the_bucket(void **state)
{
	(void)state;
	struct dispatch_rig *w = dispatch_rig_new(10);
	struct probe p[5] = {0};
	dispatch_rig_submit(w, &p[0], 'a', OPERATION_GET_ALIAS, PRIORITY_NORMAL);
	dispatch_run(w->d);
	w->entropy = 999;
	dispatch_rig_answer_status(w, 0, 429, NULL, NULL);
	for (int i = 1; i < 5; i++)
		dispatch_rig_submit(w, &p[i], 'b', OPERATION_GET_ALIAS, PRIORITY_NORMAL);
	dispatch_run(w->d);
	assert_int_equal(w->n_sent, 1);
	dispatch_rig_run_until(w, w->now.boot_ms + 142);
	assert_int_equal(w->n_sent, 1);
	dispatch_rig_run_until(w, w->now.boot_ms + 144);
	assert_int_equal(w->n_sent, 3);
	assert_non_null(strstr(w->logged, "AWS asks to slow down: calls of Lambda's control plane of account default"));
	dispatch_rig_answer_all_from(w, 1);
	dispatch_rig_free(w);
}

static void what_may_have_been_applied_is_not_sent_again(void **state)
{
	(void)state;
	struct dispatch_rig *w = dispatch_rig_new(10);
	struct probe p[4] = {0};
	dispatch_rig_submit(w, &p[0], 'a', OPERATION_UPDATE_ALIAS, PRIORITY_NORMAL);
	dispatch_rig_submit(w, &p[1], 'b', OPERATION_UPDATE_ALIAS, PRIORITY_NORMAL);
	dispatch_run(w->d);
	dispatch_rig_answer_status(w, 0, 503, NULL, NULL);
	w->sent[1].cb(w->sent[1].arg, TRANSPORT_NO_ANSWER, NULL, "timed out after 10s");
	assert_int_equal(p[0].error.class, AWS_TRANSIENT);
	assert_int_equal(p[1].error.class, AWS_NO_ANSWER);
	assert_string_equal(p[1].error.message, "timed out after 10s; no whole answer came; check the network");
	/* A rollback's write neither: it has to be looked up. */
	dispatch_rig_submit(w, &p[2], 'h', OPERATION_UPDATE_ALIAS, PRIORITY_HOME);
	dispatch_run(w->d);
	dispatch_rig_answer_status(w, 2, 500, NULL, NULL);
	assert_int_equal(p[2].done, 1);
	/* A read is. */
	dispatch_rig_submit(w, &p[3], 'r', OPERATION_GET_ALIAS, PRIORITY_NORMAL);
	dispatch_run(w->d);
	dispatch_rig_answer_status(w, 3, 500, NULL, NULL);
	assert_int_equal(p[3].done, 0);
	dispatch_rig_run_until(w, w->now.boot_ms + 100);
	dispatch_rig_answer_status(w, 4, 200, NULL, NULL);
	assert_int_equal(p[3].status, 200);
	dispatch_rig_free(w);
}

static void a_rollback_is_tried_without_end_and_says_so(void **state)
{
	(void)state;
	struct dispatch_rig *w = dispatch_rig_new(10);
	struct probe p = {0};
	dispatch_rig_submit(w, &p, 'h', OPERATION_UPDATE_ALIAS, PRIORITY_HOME);
	dispatch_run(w->d);
	for (size_t i = 0; i < 100; i++) {
		assert_int_equal(w->n_sent, i + 1);
		w->entropy = i * 977;
		w->sent[i].cb(w->sent[i].arg, TRANSPORT_NO_CONNECTION, NULL, "connection refused");
		assert_int_equal(p.done, 0);
		assert_true(dispatch_next_ms(w->d) <= w->now.boot_ms + 20000);
		dispatch_rig_run_until(w, dispatch_next_ms(w->d));
	}
	assert_int_equal(p.delays, 100);
	assert_int_equal(p.error.class, AWS_NO_CONNECTION);
	assert_string_equal(p.error.message,
			    "connection refused; nothing was sent; check the network and the endpoint");
	dispatch_rig_answer_status(w, 100, 200, NULL, NULL);
	assert_int_equal(p.status, 200);
	dispatch_rig_free(w);
}

static void the_budget_ends_retries(void **state)
{
	(void)state;
	struct dispatch_rig *w = dispatch_rig_new(1000);
	static struct probe p[200];
	memset(p, 0, sizeof(p));
	w->entropy = 49;
	int given_up = 0;
	for (size_t i = 0; i < 200; i++) {
		dispatch_rig_submit(w, &p[i], 'a', OPERATION_GET_ALIAS, PRIORITY_NORMAL);
		dispatch_run(w->d);
		w->sent[i].cb(w->sent[i].arg, TRANSPORT_NO_CONNECTION, NULL, "refused");
		given_up += p[i].done;
	}
	/* 500 tokens, 14 each: 35 retries, and every other call ends with its first try. */
	assert_int_equal(given_up, 200 - 35);
	dispatch_rig_run_until(w, w->now.boot_ms + 100);
	assert_int_equal(w->n_sent, 235);
	/* The first success gives the price of its retry back. */
	dispatch_rig_answer_all_from(w, 200);
	struct probe later = {0};
	dispatch_rig_submit(w, &later, 'b', OPERATION_GET_ALIAS, PRIORITY_NORMAL);
	dispatch_run(w->d);
	w->sent[235].cb(w->sent[235].arg, TRANSPORT_NO_CONNECTION, NULL, "refused");
	assert_int_equal(later.done, 0);
	dispatch_rig_run_until(w, w->now.boot_ms + 100);
	dispatch_rig_answer_all_from(w, 236);
	assert_int_equal(later.status, 200);
	dispatch_rig_free(w);
}

/* One that is on the wire comes back once, and is not sent again: what was called back must not leave a second time. */
static void a_call_on_the_wire_that_is_called_back_is_not_tried_again(void **state)
{
	(void)state;
	static const int statuses[] = {429, 503, 200};
	for (int i = 0; i < 3; i++) {
		struct dispatch_rig *w = dispatch_rig_new(10);
		struct probe p = {0};
		dispatch_rig_submit(w, &p, 'a', OPERATION_UPDATE_ALIAS, PRIORITY_NORMAL);
		dispatch_run(w->d);
		assert_false(dispatch_cancel(w->d, p.ticket));
		dispatch_rig_answer_status(w, 0, statuses[i], NULL, NULL);
		assert_int_equal(p.done, 1);
		assert_int_equal(p.status, statuses[i] == 200 ? 200 : 0);
		dispatch_rig_run_until(w, w->now.boot_ms + 60000);
		assert_int_equal(w->n_sent, 1);
		dispatch_rig_free(w);
	}
}

static void waiting_calls_can_be_cancelled(void **state)
{
	(void)state;
	struct dispatch_rig *w = dispatch_rig_new(1);
	struct probe p[4] = {0};
	for (int i = 0; i < 4; i++)
		dispatch_rig_submit(w, &p[i], (char)('a' + i), OPERATION_UPDATE_ALIAS, PRIORITY_NORMAL);
	dispatch_run(w->d);
	assert_true(dispatch_cancel(w->d, p[1].ticket));
	assert_false(dispatch_cancel(w->d, p[1].ticket)); /* only once */
	assert_int_equal(p[1].done, 0);
	assert_int_equal(dispatch_next_ms(w->d), w->now.boot_ms);
	w->entropy = 500;
	dispatch_rig_answer_status(w, 0, 429, NULL, NULL);
	assert_true(dispatch_cancel(w->d, p[0].ticket)); /* between tries */
	dispatch_run(w->d);
	assert_int_equal(p[0].done, 1);
	assert_int_equal(p[1].done, 1);
	assert_int_equal(p[1].error.class, AWS_NO_CONNECTION);
	assert_string_equal(p[1].error.code, "Cancelled");
	assert_false(dispatch_cancel(w->d, p[0].ticket)); /* gone */
	assert_false(dispatch_cancel(w->d, 0));
	assert_false(dispatch_cancel(w->d, UINT64_MAX));
	/* A new call in an old one's place has another ticket. */
	struct probe fresh = {0};
	dispatch_rig_submit(w, &fresh, 'f', OPERATION_UPDATE_ALIAS, PRIORITY_NORMAL);
	assert_false(dispatch_cancel(w->d, p[0].ticket));
	assert_false(dispatch_cancel(w->d, p[1].ticket));
	dispatch_rig_run_until(w, w->now.boot_ms + 10000);
	char order[16];
	assert_string_equal(dispatch_rig_sent_order(w, order, sizeof(order)), "acdf");
	dispatch_rig_answer_all_from(w, 1);
	dispatch_rig_free(w);
}

/* Shutting down: what would change something and has never left does not leave any more; the rest goes on. */
static void a_drain_leaves_changes_that_wait(void **state)
{
	(void)state;
	struct dispatch_rig *w = dispatch_rig_new(1);
	struct probe sent = {0}, change = {0}, look = {0}, home = {0}, keyless = {0};
	dispatch_rig_submit(w, &sent, 's', OPERATION_UPDATE_ALIAS, PRIORITY_NORMAL);
	dispatch_run(w->d);
	w->entropy = 500;
	dispatch_rig_answer_status(w, 0, 429, NULL, NULL); /* it is tried again: it has left before */
	dispatch_rig_submit(w, &change, 'c', OPERATION_UPDATE_ALIAS, PRIORITY_NORMAL);
	dispatch_rig_submit(w, &look, 'l', OPERATION_GET_ALIAS, PRIORITY_NORMAL);
	dispatch_rig_submit(w, &home, 'h', OPERATION_UPDATE_ALIAS, PRIORITY_HOME);
	dispatch_drain(w->d);
	assert_int_equal(change.done, 0); /* by the next run */
	dispatch_run(w->d);
	assert_int_equal(change.done, 1);
	assert_int_equal(change.error.class, AWS_NO_CONNECTION);
	assert_string_equal(change.error.code, "ShutDown");
	dispatch_rig_run_until(w, w->now.boot_ms + 20000);
	char order[16];
	dispatch_rig_sent_order(w, order, sizeof(order));
	assert_int_equal(strlen(order), 4);
	assert_null(strchr(order, 'c'));
	assert_int_equal(order[1], 'h');
	dispatch_rig_answer_all_from(w, 1);
	/* What waits for its keys has never left either. */
	w->credentials_fail = 2;
	dispatch_rig_submit(w, &keyless, 'k', OPERATION_UPDATE_ALIAS, PRIORITY_NORMAL);
	dispatch_run(w->d);
	assert_int_equal(keyless.done, 0);
	dispatch_drain(w->d);
	dispatch_run(w->d);
	assert_int_equal(keyless.done, 1);
	assert_true(dispatch_idle(w->d));
	dispatch_rig_free(w);
}

static void a_retry_goes_before_what_came_later(void **state)
{
	(void)state;
	struct dispatch_rig *w = dispatch_rig_new(1);
	struct probe p[3] = {0};
	for (int i = 0; i < 3; i++)
		dispatch_rig_submit(w, &p[i], (char)('a' + i), OPERATION_GET_ALIAS, PRIORITY_NORMAL);
	dispatch_run(w->d);
	w->entropy = 500;
	dispatch_rig_answer_status(w, 0, 429, NULL, NULL);
	dispatch_rig_run_until(w, w->now.boot_ms + 10000);
	char order[16];
	assert_string_equal(dispatch_rig_sent_order(w, order, sizeof(order)), "aabc");
	dispatch_rig_answer_all_from(w, 1);
	dispatch_rig_free(w);
}

enum { N_BACKOFF = 60 };

/* The earliest time of those that still back off. */
static int64_t earliest(const int64_t *due_ms)
{
	int64_t min = INT64_MAX;
	for (int i = 0; i < N_BACKOFF; i++)
		min = due_ms[i] < min ? due_ms[i] : min;
	return min;
}

static void back_off_and_cancel(uint64_t seed)
{
	struct dispatch_rig *w = dispatch_rig_new(1000);
	struct prng random;
	static struct probe p[N_BACKOFF];
	int64_t due_ms[N_BACKOFF];
	int cancelled = 0;
	memset(p, 0, sizeof(p));
	prng_init(&random, seed);
	for (int i = 0; i < N_BACKOFF; i++) {
		due_ms[i] = INT64_MAX;
		dispatch_rig_submit(w, &p[i], 'a', OPERATION_GET_ALIAS, PRIORITY_HOME);
	}
	dispatch_run(w->d);
	assert_int_equal(w->n_sent, N_BACKOFF);
	for (int i = 0; i < N_BACKOFF; i++) {
		w->entropy = prng_below(&random, 1000);
		due_ms[i] = w->now.boot_ms + (int64_t)w->entropy;
		dispatch_rig_answer_status(w, (size_t)i, 429, NULL, NULL);
		assert_int_equal(dispatch_next_ms(w->d), earliest(due_ms));
	}
	for (int i = 0; i < N_BACKOFF; i++) {
		if (prng_below(&random, 3) > 0)
			continue;
		assert_true(dispatch_cancel(w->d, p[i].ticket));
		due_ms[i] = INT64_MAX;
		cancelled++;
	}
	dispatch_run(w->d); /* answers those */
	/* The rest comes exactly when its time has come. */
	for (int64_t next; (next = earliest(due_ms)) != INT64_MAX;) {
		assert_int_equal(dispatch_next_ms(w->d), next);
		dispatch_rig_run_until(w, next);
		for (int i = 0; i < N_BACKOFF; i++)
			due_ms[i] = due_ms[i] <= next ? INT64_MAX : due_ms[i];
	}
	dispatch_rig_run_until(w, w->now.boot_ms + 1000);
	assert_int_equal(w->n_sent, 2 * N_BACKOFF - cancelled);
	dispatch_rig_answer_all_from(w, N_BACKOFF);
	assert_int_equal(w->done, N_BACKOFF);
	dispatch_rig_free(w);
}

static void cancel_any_of_many_that_back_off(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 50; seed++)
		back_off_and_cancel(seed);
}

static void submit_again(struct probe *p)
{
	if (p->done < 5)
		dispatch_submit(p->w->d, &p->again);
	dispatch_run(p->w->d); /* within done: must not answer or send out of turn */
}

static void done_may_submit_and_run(void **state)
{
	(void)state;
	struct dispatch_rig *w = dispatch_rig_new(100);
	struct probe p = {.then = submit_again};
	p.again = dispatch_rig_call_of(&p, OPERATION_GET_ALIAS, PRIORITY_NORMAL);
	w->credentials_fail = 1; /* every call ends at once, and asks for the next */
	dispatch_rig_submit(w, &p, 'a', OPERATION_GET_ALIAS, PRIORITY_NORMAL);
	for (int round = 1; round <= 6; round++) {
		dispatch_run(w->d);
		assert_int_equal(p.done, round - 1);
	}
	assert_true(dispatch_idle(w->d));
	dispatch_rig_free(w);
}

static void run_within(struct probe *p)
{
	dispatch_run(p->w->d);
}

static void a_run_within_done_does_nothing(void **state)
{
	(void)state;
	struct dispatch_rig *w = dispatch_rig_new(100);
	struct probe p[3] = {{.then = run_within}, {.then = run_within}, {.then = run_within}};
	for (int i = 0; i < 3; i++) {
		dispatch_rig_submit(w, &p[i], (char)('a' + i), OPERATION_GET_ALIAS, PRIORITY_NORMAL);
		assert_true(dispatch_cancel(w->d, p[i].ticket));
	}
	dispatch_run(w->d);
	assert_string_equal(w->order, "abc");
	dispatch_rig_free(w);
}

static void cancel_neighbour(struct probe *p)
{
	dispatch_cancel(p->w->d, p[1].ticket);
}

static void done_may_cancel(void **state)
{
	(void)state;
	struct dispatch_rig *w = dispatch_rig_new(1);
	struct probe p[2] = {{.then = cancel_neighbour}};
	dispatch_rig_submit(w, &p[0], 'a', OPERATION_GET_ALIAS, PRIORITY_NORMAL);
	dispatch_rig_submit(w, &p[1], 'b', OPERATION_GET_ALIAS, PRIORITY_NORMAL);
	dispatch_run(w->d);
	dispatch_rig_answer_status(w, 0, 200, NULL, NULL);
	assert_int_equal(p[1].done, 0);
	dispatch_run(w->d);
	assert_int_equal(p[1].done, 1);
	assert_string_equal(p[1].error.code, "Cancelled");
	/* What is cancelled while cancelled calls are answered is answered by the round after. */
	struct probe q[2] = {{.then = cancel_neighbour}};
	dispatch_rig_submit(w, &q[0], 'a', OPERATION_GET_ALIAS, PRIORITY_NORMAL);
	dispatch_rig_submit(w, &q[1], 'b', OPERATION_GET_ALIAS, PRIORITY_NORMAL);
	assert_true(dispatch_cancel(w->d, q[0].ticket));
	dispatch_run(w->d);
	assert_int_equal(q[0].done, 1);
	assert_int_equal(q[1].done, 0);
	assert_int_equal(dispatch_next_ms(w->d), w->now.boot_ms);
	dispatch_run(w->d);
	assert_int_equal(q[1].done, 1);
	dispatch_rig_free(w);
}

static void the_end_answers_what_waits(void **state)
{
	(void)state;
	struct dispatch_rig *w = dispatch_rig_new(1);
	struct probe p[4] = {0};
	for (int i = 0; i < 4; i++)
		dispatch_rig_submit(w, &p[i], 'a', i < 2 ? OPERATION_GET_ALIAS : OPERATION_GET_METRIC_DATA,
				    PRIORITY_NORMAL);
	dispatch_rig_submit(w, &p[3], 'a', OPERATION_UPDATE_ALIAS, PRIORITY_HOME);
	p[3].done--; /* it was used twice above; its first call is answered too */
	dispatch_run(w->d);
	for (size_t i = 0; i < w->n_sent; i++)
		dispatch_rig_answer_status(w, i, 429, NULL, NULL);
	dispatch_rig_free(w);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(p[i].done, 1);
		assert_int_equal(p[i].error.class, AWS_NO_CONNECTION);
		assert_non_null(strstr(p[i].error.message, "shut down"));
	}
}

static void a_full_queue_says_so(void **state)
{
	(void)state;
	struct dispatch_rig *w = dispatch_rig_new(1);
	struct probe filler = {.w = w, .name = 'f'};
	const struct dispatch_call call = dispatch_rig_call_of(&filler, OPERATION_GET_ALIAS, PRIORITY_NORMAL);
	for (int i = 0; i < LIMIT_CALLS_QUEUED; i++)
		dispatch_submit(w->d, &call);
	struct probe refused = {0};
	struct probe home = {0};
	dispatch_rig_submit(w, &refused, 'r', OPERATION_GET_ALIAS, PRIORITY_NORMAL);
	dispatch_rig_submit(w, &home, 'h', OPERATION_UPDATE_ALIAS, PRIORITY_HOME);
	dispatch_run(w->d);
	assert_int_equal(refused.done, 1);
	assert_int_equal(refused.error.class, AWS_THROTTLED);
	assert_non_null(strstr(refused.error.message, "65536"));
	assert_int_equal(w->sent[0].path[1], 'h');
	dispatch_rig_answer_status(w, 0, 200, NULL, NULL);
	dispatch_rig_free(w);
	assert_int_equal(filler.done, LIMIT_CALLS_QUEUED);
}

static void ten_thousand_calls_then_a_rollback(void **state)
{
	(void)state;
	struct dispatch_rig *w = dispatch_rig_new(1000);
	struct probe p = {.w = w, .name = 'n'};
	struct probe home = {0};
	const struct dispatch_call call = dispatch_rig_call_of(&p, OPERATION_GET_ALIAS, PRIORITY_NORMAL);
	for (int i = 0; i < MANY; i++)
		dispatch_submit(w->d, &call);
	dispatch_run(w->d);
	size_t before = w->n_sent;
	dispatch_rig_submit(w, &home, 'h', OPERATION_UPDATE_ALIAS, PRIORITY_HOME);
	dispatch_run(w->d);
	assert_int_equal(w->sent[before].path[1], 'h');
	for (size_t answered = 0; answered < MANY + 1;) {
		size_t n = w->n_sent;
		for (; answered < n; answered++)
			dispatch_rig_answer_status(w, answered, 200, NULL, NULL);
		int64_t next = dispatch_next_ms(w->d);
		dispatch_rig_run_until(w, next == INT64_MAX ? w->now.boot_ms : next);
	}
	assert_int_equal(p.done, MANY);
	assert_int_equal(home.done, 1);
	assert_true(w->now.boot_ms - START_BOOT_MS >= 9000); /* the rate held */
	assert_true(w->now.boot_ms - START_BOOT_MS <= 9100);
	dispatch_rig_free(w);
}

static void idle_lanes_are_forgotten(void **state)
{
	(void)state;
	struct lanes l = {0};
	struct lane *first = lanes_get(&l, LANE_LAMBDA, "default", "us-east-1", 10, 0);
	lanes_hold(&l, first);
	struct lane *second = lanes_get(&l, LANE_LAMBDA, "default", "eu-west-1", 10, 0);
	assert_ptr_not_equal(first, second);
	assert_ptr_equal(lanes_get(&l, LANE_LAMBDA, "default", "us-east-1", 10, 5), first);
	assert_int_equal(l.by_key.len, 2);
	/* After an hour the idle one goes when another is made; the one with a call stays. */
	lanes_get(&l, LANE_ALARMS, "default", "us-east-1", 5, MS_PER_HOUR - 1);
	assert_int_equal(l.by_key.len, 3);
	lanes_get(&l, LANE_GET_FUNCTION, "default", "us-east-1", 5, MS_PER_HOUR);
	assert_int_equal(l.by_key.len, 3);
	assert_ptr_equal(lanes_get(&l, LANE_LAMBDA, "default", "us-east-1", 10, MS_PER_HOUR), first);
	lanes_release(&l, first, MS_PER_HOUR);
	lanes_deinit(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_call_is_signed_sent_and_answered_once),
	    cmocka_unit_test(the_guard_is_asked_before_each_change),
	    cmocka_unit_test(services_have_their_own_names_and_buckets),
	    cmocka_unit_test(rates_hold_by_account_and_region),
	    cmocka_unit_test(rollbacks_go_first_then_lookups_then_by_arrival),
	    cmocka_unit_test(home_has_places_of_its_own_on_the_wire),
	    cmocka_unit_test(slow_invokes_leave_places_to_others),
	    cmocka_unit_test(api_gateway_keeps_its_narrow_limits),
	    cmocka_unit_test(lanes_take_turns_on_the_wire),
	    cmocka_unit_test(throttled_calls_come_again),
	    cmocka_unit_test(a_probe_is_sent_once),
	    cmocka_unit_test(throttling_empties_the_bucket),
	    cmocka_unit_test(what_may_have_been_applied_is_not_sent_again),
	    cmocka_unit_test(a_rollback_is_tried_without_end_and_says_so),
	    cmocka_unit_test(the_budget_ends_retries),
	    cmocka_unit_test(a_call_on_the_wire_that_is_called_back_is_not_tried_again),
	    cmocka_unit_test(waiting_calls_can_be_cancelled),
	    cmocka_unit_test(a_drain_leaves_changes_that_wait),
	    cmocka_unit_test(a_retry_goes_before_what_came_later),
	    cmocka_unit_test(a_run_within_done_does_nothing),
	    cmocka_unit_test(cancel_any_of_many_that_back_off),
	    cmocka_unit_test(done_may_submit_and_run),
	    cmocka_unit_test(done_may_cancel),
	    cmocka_unit_test(the_end_answers_what_waits),
	    cmocka_unit_test(a_full_queue_says_so),
	    cmocka_unit_test(ten_thousand_calls_then_a_rollback),
	    cmocka_unit_test(idle_lanes_are_forgotten),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
