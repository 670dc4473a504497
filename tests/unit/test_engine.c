/* Whole rollouts in virtual time: every way to their end, crashes, failing stores, other writers. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine_bench.h"

/* --- tests --- */

static void test_good_version(void **state)
{
	struct bench *b = bench_new();

	(void)state;
	assert_int_equal(bench_take_file(b, "hello", 2), INTAKE_STARTED);
	assert_int_equal(bench_take_file(b, "hello", 2), INTAKE_UNCHANGED);
	bench_run_for(b, 30 * MS_PER_SECOND);
	assert_string_equal(bench_alias_holds(b), "1+2@0.1");
	bench_run_for(b, 15 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_SUCCEEDED);
	assert_string_equal(bench_alias_holds(b), "2");
	assert_int_equal(b->updates, 3);
	assert_int_equal(b->unrecorded, 0);
	assert_int_equal(bench_take_file(b, "hello", 2), INTAKE_UNCHANGED);
	assert_true(b->turns < 200);
	bench_free(b);
}

static void test_bad_version(void **state)
{
	struct bench *b = bench_new();

	(void)state;
	assert_int_equal(bench_take_file(b, "hello", 9), INTAKE_STARTED);
	bench_run_for(b, 15 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_ROLLED_BACK);
	assert_string_equal(bench_alias_holds(b), "1");
	assert_int_equal(b->unrecorded, 0);
	/* Its code is quarantined, whatever the plan is called, until a retry lifts that. */
	assert_int_equal(bench_take_file(b, "other", 9), INTAKE_STARTED);
	bench_run_for(b, MS_PER_MINUTE);
	bench_assert_phase(b, "other", PHASE_FAILED);
	bench_free(b);
}

/* Killed after each turn in turn, the rollout comes to the same end. */
static void test_crash_at_every_turn(void **state)
{
	bool done = false;

	(void)state;
	for (unsigned kill = 0; kill < 300 && !done; kill++) {
		struct bench *b = bench_new();
		int64_t until_ms = b->now.boot_ms + 20 * MS_PER_MINUTE;

		assert_int_equal(bench_take_file(b, "hello", 2), INTAKE_STARTED);
		for (unsigned n = 0; n < kill && bench_step(b, until_ms); n++)
			;
		done = b->now.boot_ms > until_ms - MS_PER_MINUTE || bench_ends_well(b, "hello");
		bench_crash(b);
		bench_run_for(b, 20 * MS_PER_MINUTE);
		bench_assert_phase(b, "hello", PHASE_SUCCEEDED);
		assert_string_equal(bench_alias_holds(b), "2");
		assert_int_equal(b->unrecorded, 0);
		assert_true(b->updates <= 4);
		bench_free(b);
	}
	assert_true(done);
}

/* The same on the way home, from the command on. */
static void test_crash_while_rolling_back(void **state)
{
	(void)state;
	for (unsigned kill = 0; kill < 12; kill++) {
		struct bench *b = bench_new();

		assert_int_equal(bench_take_file(b, "hello", 2), INTAKE_STARTED);
		bench_run_for(b, MS_PER_MINUTE);
		assert_int_equal(bench_command(b, "hello", COMMAND_ROLLBACK), ENGINE_DONE);
		for (unsigned n = 0; n < kill; n++)
			(void)bench_step(b, b->now.boot_ms + MS_PER_SECOND);
		bench_crash(b);
		bench_run_for(b, MS_PER_MINUTE);
		bench_assert_phase(b, "hello", PHASE_ROLLED_BACK);
		assert_string_equal(bench_alias_holds(b), "1");
		bench_free(b);
	}
}

static void test_command_survives_a_crash(void **state)
{
	struct bench *b = bench_new();

	(void)state;
	assert_int_equal(bench_take_file(b, "hello", 2), INTAKE_STARTED);
	bench_run_for(b, MS_PER_MINUTE);
	assert_int_equal(bench_command(b, "hello", COMMAND_PAUSE), ENGINE_DONE);
	bench_crash(b);
	bench_run_for(b, MS_PER_HOUR);
	bench_assert_phase(b, "hello", PHASE_PAUSED);
	assert_string_equal(bench_alias_holds(b), "1+2@0.1");
	assert_int_equal(bench_command(b, "hello", COMMAND_RESUME), ENGINE_DONE);
	bench_run_for(b, 15 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_SUCCEEDED);
	bench_free(b);
}

static void test_supersede(void **state)
{
	(void)state;
	for (unsigned kill = 0; kill < 12; kill++) {
		struct bench *b = bench_new();

		assert_int_equal(bench_take_file(b, "hello", 2), INTAKE_STARTED);
		bench_run_for(b, MS_PER_MINUTE);
		assert_int_equal(bench_take_file(b, "hello", 3), INTAKE_SUPERSEDES);
		for (unsigned n = 0; n < kill; n++)
			(void)bench_step(b, b->now.boot_ms + MS_PER_SECOND);
		bench_crash(b);
		bench_run_for(b, 15 * MS_PER_MINUTE);
		bench_assert_phase(b, "hello", PHASE_SUCCEEDED);
		assert_int_equal(bench_look(b, "hello").attempt, 2);
		assert_string_equal(bench_alias_holds(b), "3");
		bench_free(b);
	}
}

static void test_two_plans_of_one_alias(void **state)
{
	struct bench *b = bench_new();

	(void)state;
	assert_int_equal(bench_take_file(b, "one", 2), INTAKE_STARTED);
	assert_int_equal(bench_take_file(b, "two", 3), INTAKE_STARTED);
	bench_run_for(b, MS_PER_MINUTE);
	bench_assert_phase(b, "two", PHASE_PENDING);
	assert_string_equal(bench_alias_holds(b), "1+2@0.1");
	bench_run_for(b, 15 * MS_PER_MINUTE);
	bench_assert_phase(b, "one", PHASE_SUCCEEDED);
	bench_run_for(b, 15 * MS_PER_MINUTE);
	bench_assert_phase(b, "two", PHASE_SUCCEEDED);
	assert_string_equal(bench_alias_holds(b), "3");
	bench_free(b);
}

static void test_retry(void **state)
{
	struct bench *b = bench_new();
	char text[LIMIT_REASON];

	(void)state;
	assert_int_equal(bench_take_file(b, "hello", 2), INTAKE_STARTED);
	bench_run_for(b, MS_PER_MINUTE);
	assert_int_equal(engine_retry(b->e, "hello", "uid=0", "", text), ENGINE_REFUSED);
	assert_int_equal(bench_command(b, "hello", COMMAND_ROLLBACK), ENGINE_DONE);
	bench_run_for(b, MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_ROLLED_BACK);
	assert_int_equal(engine_retry(b->e, "hello", "uid=0", "", text), ENGINE_DONE);
	bench_crash(b);
	bench_run_for(b, 15 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_SUCCEEDED);
	assert_int_equal(bench_look(b, "hello").attempt, 2);
	assert_int_equal(engine_retry(b->e, "nobody", "uid=0", "", text), ENGINE_NO_SUCH);
	bench_free(b);
}

/* No weight rises without a record, a rollback goes out nevertheless, and everything is recorded in the end. */
/* The region is recorded with the plan for good, so nothing is taken in while it is not known. */
static void test_region_not_known(void **state)
{
	struct bench *b = bench_new();
	char text[LIMIT_REASON];

	(void)state;
	b->region_error = "/home/ops/.aws/config may not be read by this user";
	assert_int_equal(bench_take(b, "hello.yaml", bench_plan_text("hello", 2, ""), text), INTAKE_REFUSED);
	assert_string_equal(text,
			    "the region of account default is not known: /home/ops/.aws/config may not be read by "
			    "this user");
	assert_int_equal(bench_take(b, "placed.yaml", bench_plan_text("placed", 2, "region: us-east-1\n"), text),
			 INTAKE_STARTED);
	b->region_error = NULL;
	assert_int_not_equal(bench_take(b, "hello.yaml", bench_plan_text("hello", 2, ""), text), INTAKE_REFUSED);
	bench_free(b);
}

static void test_failing_store(void **state)
{
	struct bench *b = bench_new();
	char text[LIMIT_REASON];

	(void)state;
	assert_int_equal(bench_take_file(b, "hello", 2), INTAKE_STARTED);
	bench_run_for(b, MS_PER_MINUTE);
	bench_store_fails(b, true);
	bench_run_for(b, 15 * MS_PER_MINUTE);
	assert_string_equal(bench_alias_holds(b), "1+2@0.1");
	assert_int_equal(b->unrecorded, 0);
	assert_int_equal(bench_take_file(b, "late", 3), INTAKE_REFUSED);
	assert_int_equal(bench_command(b, "hello", COMMAND_ROLLBACK), ENGINE_UNAVAILABLE);
	bench_run_for(b, MS_PER_MINUTE);
	assert_string_equal(bench_alias_holds(b), "1");
	/* It has ended, but nobody knows yet: it is neither revived nor run again. */
	assert_int_equal(bench_command(b, "hello", COMMAND_ROLLBACK), ENGINE_ALREADY);
	assert_int_not_equal(engine_retry(b->e, "hello", "uid=0", "", text), ENGINE_DONE);
	bench_store_fails(b, false);
	bench_run_for(b, MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_ROLLED_BACK);
	assert_int_equal(bench_take_file(b, "late", 3), INTAKE_STARTED);
	bench_crash(b);
	bench_run_for(b, 15 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_ROLLED_BACK);
	bench_assert_phase(b, "late", PHASE_SUCCEEDED);
	bench_free(b);
}

static void test_rollback_of_a_succeeded_one(void **state)
{
	struct bench *b = bench_new();

	(void)state;
	assert_int_equal(bench_take_file(b, "hello", 2), INTAKE_STARTED);
	bench_run_for(b, 15 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_SUCCEEDED);
	assert_int_equal(bench_command(b, "hello", COMMAND_PAUSE), ENGINE_REFUSED);
	assert_int_equal(bench_command(b, "hello", COMMAND_ROLLBACK), ENGINE_DONE);
	bench_crash(b);
	bench_run_for(b, MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_ROLLED_BACK);
	assert_string_equal(bench_alias_holds(b), "1");
	bench_free(b);
}

/* A rollout ends while one of its calls is still under way, and is rolled back before that is answered. */
static void test_rollback_beside_an_open_call(void **state)
{
	struct bench *b = bench_new();
	struct engine_stats stats;

	(void)state;
	assert_int_equal(bench_take_file(b, "hello", 2), INTAKE_STARTED);
	bench_run_for(b, 4 * MS_PER_MINUTE);
	bench_admin(b, "POST", "/_localaws/faults",
		    "[{\"op\": \"GetMetricData\", \"fault\": \"delay\", \"delay\": \"8s\"}]");
	/* Promoted while metrics are being read: it ends without them. */
	while (b->n_flights == 0)
		assert_true(bench_step(b, b->now.boot_ms + 5 * MS_PER_MINUTE));
	assert_int_equal(bench_command(b, "hello", COMMAND_PROMOTE_FULL), ENGINE_DONE);
	bench_run_for(b, 2 * MS_PER_SECOND);
	assert_int_equal(b->n_flights, 1);
	bench_assert_phase(b, "hello", PHASE_SUCCEEDED);
	assert_int_equal(bench_command(b, "hello", COMMAND_ROLLBACK), ENGINE_DONE);
	engine_stats(b->e, &stats);
	assert_int_equal(stats.live, 1);
	bench_run_for(b, MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_ROLLED_BACK);
	assert_string_equal(bench_alias_holds(b), "1");
	engine_stats(b->e, &stats);
	assert_int_equal(stats.commit_failures, 0);
	assert_int_equal(stats.live, 0);
	bench_free(b);
}

/* The same with a retry: what is shown from then on is the new attempt. */
static void test_retry_beside_an_open_call(void **state)
{
	struct bench *b = bench_new();
	char text[LIMIT_REASON];

	(void)state;
	assert_int_equal(bench_take_file(b, "hello", 2), INTAKE_STARTED);
	bench_run_for(b, MS_PER_MINUTE);
	bench_admin(b, "POST", "/_localaws/faults",
		    "[{\"op\": \"GetMetricData\", \"fault\": \"delay\", \"delay\": \"8s\"}]");
	while (b->n_flights == 0)
		assert_true(bench_step(b, b->now.boot_ms + 5 * MS_PER_MINUTE));
	assert_int_equal(bench_command(b, "hello", COMMAND_ROLLBACK), ENGINE_DONE);
	bench_run_for(b, MS_PER_SECOND);
	assert_int_equal(b->n_flights, 1);
	bench_assert_phase(b, "hello", PHASE_ROLLED_BACK);
	assert_int_equal(engine_retry(b->e, "hello", "uid=0", "", text), ENGINE_DONE);
	bench_assert_phase(b, "hello", PHASE_PREPARING);
	assert_int_equal(bench_look(b, "hello").attempt, 2);
	bench_run_for(b, 15 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_SUCCEEDED);
	bench_free(b);
}

/* Somebody else's write stops it; an operator's word sends it home. */
static void test_foreign_write(void **state)
{
	struct bench *b = bench_new();

	(void)state;
	assert_int_equal(bench_take_file(b, "hello", 2), INTAKE_STARTED);
	assert_int_equal(bench_take_file(b, "waits", 3), INTAKE_STARTED);
	bench_run_for(b, MS_PER_MINUTE);
	bench_admin(b, "PUT", ALIAS_PATH, "{\"FunctionVersion\": \"3\"}");
	bench_run_for(b, 10 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_BLOCKED);
	bench_assert_phase(b, "waits", PHASE_PENDING);
	assert_int_equal(b->updates, 2); /* the second one was refused: 412 */
	assert_string_equal(bench_alias_holds(b), "3+2@0.1");
	bench_crash(b);
	bench_run_for(b, 10 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_BLOCKED);
	bench_assert_phase(b, "waits", PHASE_PENDING);
	assert_int_equal(bench_command(b, "hello", COMMAND_ROLLBACK), ENGINE_DONE);
	bench_run_for(b, 15 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_ROLLED_BACK);
	bench_assert_phase(b, "waits", PHASE_SUCCEEDED);
	bench_free(b);
}

static int break_record(void *ctx, const struct store_rollout *r)
{
	struct store_rollout row = *r;

	row.record = "{\"version\": 99}";
	return store_put_rollout(ctx, &row);
}

/* A record that cannot be read keeps its alias until an operator drops it, and is kept as it was. */
static void test_unreadable_record(void **state)
{
	struct bench *b = bench_new();
	struct engine_stats stats;

	(void)state;
	assert_int_equal(bench_take_file(b, "hello", 2), INTAKE_STARTED);
	bench_run_for(b, MS_PER_MINUTE);
	assert_int_equal(store_begin(b->store), 0);
	assert_int_equal(store_each_live(b->store, break_record, b->store), 0);
	assert_int_equal(store_commit(b->store), 0);
	bench_crash(b);
	assert_int_equal(bench_take_file(b, "waits", 3), INTAKE_STARTED);
	assert_int_equal(bench_take_file(b, "hello", 3), INTAKE_REFUSED);
	bench_run_for(b, 10 * MS_PER_MINUTE);
	bench_assert_phase(b, "waits", PHASE_PENDING);
	assert_int_equal(bench_command(b, "hello", COMMAND_RESUME), ENGINE_REFUSED);
	bench_store_fails(b, true);
	assert_int_equal(bench_command(b, "hello", COMMAND_ROLLBACK), ENGINE_UNAVAILABLE);
	assert_int_equal(bench_command(b, "hello", COMMAND_ROLLBACK), ENGINE_REFUSED);
	bench_run_for(b, MS_PER_MINUTE);
	bench_assert_phase(b, "waits", PHASE_PENDING);
	bench_store_fails(b, false);
	bench_admin(b, "PUT", ALIAS_PATH, "{\"RoutingConfig\": {\"AdditionalVersionWeights\": {}}}");
	bench_run_for(b, 20 * MS_PER_MINUTE);
	bench_assert_phase(b, "waits", PHASE_SUCCEEDED);
	engine_stats(b->e, &stats);
	assert_int_equal(stats.live, 0);
	assert_int_equal(bench_command(b, "hello", COMMAND_ROLLBACK), ENGINE_REFUSED);
	bench_free(b);
}

static int move_step_away(void *ctx, const struct store_rollout *r)
{
	struct store_rollout row = *r;
	char *record cleanup(mem_free_p) = mem_strdup(r->record);
	char *step = strstr(record, "\"step\":");

	assert_non_null(step);
	step[strlen("\"step\":")] = '9'; /* of a plan that has two */
	row.record = record;
	return store_put_rollout(ctx, &row);
}

/* A record that is sound by itself, but cannot be one of its plan, is as unreadable as any other: nothing is written
 * on the strength of it. */
static void test_record_of_another_plan(void **state)
{
	struct bench *b = bench_new();

	(void)state;
	assert_int_equal(bench_take_file(b, "hello", 2), INTAKE_STARTED);
	bench_run_for(b, MS_PER_MINUTE);
	assert_int_equal(store_begin(b->store), 0);
	assert_int_equal(store_each_live(b->store, move_step_away, b->store), 0);
	assert_int_equal(store_commit(b->store), 0);
	bench_crash(b);
	bench_run_for(b, MS_PER_HOUR);
	assert_int_equal(bench_command(b, "hello", COMMAND_RESUME), ENGINE_REFUSED);
	assert_int_equal(bench_take_file(b, "hello", 3), INTAKE_REFUSED);
	bench_free(b);
}

static int put_conflicts(struct store *s, const struct store_rollout *r)
{
	return store_fail(s, STORE_CONFLICT, "%s is at another revision", r->name);
}

/* Whoever has lost its state sends nothing, and takes no command. */
static void test_fenced(void **state)
{
	struct bench *b = bench_new();
	struct engine_stats stats;
	char text[LIMIT_REASON];

	(void)state;
	assert_int_equal(bench_take_file(b, "hello", 2), INTAKE_STARTED);
	bench_run_for(b, MS_PER_MINUTE);
	b->bad_ops = *b->good_ops;
	b->bad_ops.put_rollout = put_conflicts;
	b->store->ops = &b->bad_ops;
	assert_int_equal(bench_command(b, "hello", COMMAND_ROLLBACK), ENGINE_UNAVAILABLE);
	bench_run_for(b, MS_PER_HOUR);
	assert_string_equal(bench_alias_holds(b), "1+2@0.1");
	assert_int_equal(bench_command(b, "hello", COMMAND_ROLLBACK), ENGINE_UNAVAILABLE);
	assert_int_equal(bench_take(b, "other.yaml", bench_plan_text("other", 3, ""), text), INTAKE_REFUSED);
	engine_stats(b->e, &stats);
	assert_true(stats.fenced);
	assert_true(engine_idle(b->e));
	bench_free(b);
}

static int owned_by_another(struct store *s)
{
	return store_fail(s, STORE_LOCKED, "another rolloutd has taken over");
}

/* A rollback that waits for its next try while another daemon takes over, as while this one was stopped: it is not
 * sent again, though nothing has to be recorded for that. */
static void test_fenced_while_it_waits(void **state)
{
	struct bench *b = bench_new();
	struct engine_stats stats;
	unsigned before;

	(void)state;
	assert_int_equal(bench_take_file(b, "hello", 2), INTAKE_STARTED);
	bench_run_for(b, MS_PER_MINUTE);
	bench_admin(b, "POST", "/_localaws/faults", "[{\"op\": \"UpdateAlias\", \"fault\": \"throttle\"}]");
	assert_int_equal(bench_command(b, "hello", COMMAND_ROLLBACK), ENGINE_DONE);
	(void)bench_step(b, b->now.boot_ms + 10);
	before = b->updates;
	assert_true(before > 1);
	b->bad_ops = *b->good_ops;
	b->bad_ops.check_owner = owned_by_another;
	b->bad_ops.begin = owned_by_another;
	b->store->ops = &b->bad_ops;
	bench_run_for(b, MS_PER_HOUR);
	assert_int_equal(b->updates, before);
	engine_stats(b->e, &stats);
	assert_true(stats.fenced);
	bench_free(b);
}

/* The rollout that comes next on the alias is told which view of it is old. */
static void check_old_view_after_another(bool restarted)
{
	struct bench *b = bench_new();

	assert_int_equal(bench_take_file(b, "hello", 2), INTAKE_STARTED);
	bench_run_for(b, MS_PER_MINUTE);
	assert_int_equal(bench_command(b, "hello", COMMAND_ROLLBACK), ENGINE_DONE);
	while (strcmp(bench_alias_holds(b), "1") != 0)
		assert_true(bench_step(b, b->now.boot_ms + MS_PER_MINUTE));
	bench_run_for(b, 100);
	bench_assert_phase(b, "hello", PHASE_ROLLED_BACK);
	if (restarted) {
		bench_drop_flights(b);
		engine_free(b->e);
		bench_load(b);
	}
	bench_admin(b, "POST", "/_localaws/faults", "[{\"op\": \"GetAlias\", \"fault\": \"stale\", \"times\": 2}]");
	assert_int_equal(bench_take_file(b, "next", 3), INTAKE_STARTED);
	bench_run_for(b, 30 * MS_PER_SECOND);
	/* Not blocked on the weights of the one before, which are not there any more. */
	bench_assert_phase(b, "next", PHASE_PROGRESSING);
	assert_string_equal(bench_alias_holds(b), "1+3@0.1");
	assert_non_null(strstr(b->published, "AWS shows the alias as it was before its last change"));
	bench_free(b);
}

static void test_old_view_after_another_rollout(void **state)
{
	(void)state;
	check_old_view_after_another(false);
	check_old_view_after_another(true);
}

/* A stop: no weight rises any more, but a rollback is waited for. */
static void test_drain(void **state)
{
	struct bench *b = bench_new();
	unsigned n = 0;

	(void)state;
	assert_int_equal(bench_take_file(b, "hello", 2), INTAKE_STARTED);
	bench_run_for(b, MS_PER_MINUTE);
	engine_drain(b->e);
	bench_run_for(b, MS_PER_HOUR);
	assert_true(engine_idle(b->e));
	assert_string_equal(bench_alias_holds(b), "1+2@0.1");
	bench_admin(b, "POST", "/_localaws/faults", "[{\"op\": \"UpdateAlias\", \"fault\": \"reset\", \"times\": 6}]");
	assert_int_equal(bench_command(b, "hello", COMMAND_ROLLBACK), ENGINE_DONE);
	for (; !engine_idle(b->e) && n < 1000; n++)
		assert_true(bench_step(b, b->now.boot_ms + MS_PER_MINUTE));
	assert_true(n < 1000);
	assert_string_equal(bench_alias_holds(b), "1");
	bench_crash(b);
	bench_run_for(b, MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_ROLLED_BACK);
	bench_free(b);
}

/* A sentence of AWS that is cut within a character of four bytes. */
static void test_cut_sentence(void **state)
{
	struct rollout r = {0}, back;
	struct buf record = BUF_INIT(LIMIT_RECORD_BYTES);
	char boot_id[BOOT_ID_SIZE], error[LIMIT_REASON] = "";

	(void)state;
	for (size_t len = 240; len < LIMIT_REASON; len++) {
		memset(r.trouble, 0, sizeof(r.trouble));
		memset(r.trouble, 'x', len - 3);
		memcpy(r.trouble + len - 3, "\xf0\x9f\x98", 3);
		buf_reset(&record);
		record_encode(&r, "boot-1", &record);
		assert_int_equal(record_decode(buf_text(&record), &back, boot_id, error, sizeof(error)), 0);
		assert_int_equal(strlen(back.trouble), len);
	}
	buf_deinit(&record);
}

/* A pause calls back the write that AWS has not taken yet. */
static void test_pause_calls_back(void **state)
{
	struct bench *b = bench_new();

	(void)state;
	bench_admin(b, "POST", "/_localaws/faults", "[{\"op\": \"UpdateAlias\", \"fault\": \"throttle\"}]");
	assert_int_equal(bench_take_file(b, "hello", 2), INTAKE_STARTED);
	bench_run_for(b, 500);
	assert_int_equal(bench_command(b, "hello", COMMAND_PAUSE), ENGINE_DONE);
	bench_admin(b, "PUT", "/_localaws/reset", "{\"what\": \"faults\"}");
	bench_run_for(b, MS_PER_HOUR);
	bench_assert_phase(b, "hello", PHASE_PAUSED);
	assert_string_equal(bench_alias_holds(b), "1");
	assert_int_equal(bench_command(b, "hello", COMMAND_RESUME), ENGINE_DONE);
	bench_run_for(b, 15 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_SUCCEEDED);
	bench_free(b);
}

/* A first weight that landed unheard of is traffic all the same. */
static void test_lost_write_found_on_the_way_home(void **state)
{
	struct bench *b = bench_new();

	(void)state;
	bench_admin(b, "POST", "/_localaws/faults",
		    "[{\"op\": \"UpdateAlias\", \"fault\": \"lost_after\", \"times\": 1}]");
	assert_int_equal(bench_take_file(b, "hello", 2), INTAKE_STARTED);
	bench_run_for(b, 2 * MS_PER_SECOND);
	assert_string_equal(bench_alias_holds(b), "1+2@0.1");
	assert_int_equal(bench_command(b, "hello", COMMAND_ROLLBACK), ENGINE_DONE);
	bench_run_for(b, MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_ROLLED_BACK);
	assert_string_equal(bench_alias_holds(b), "1");
	bench_free(b);
}

/* GetAlias keeps showing what was before: the write is refused each time, and tried at growing distances. */
static void test_old_views_are_waited_out(void **state)
{
	struct bench *b = bench_new();

	(void)state;
	assert_int_equal(bench_take_file(b, "hello", 2), INTAKE_STARTED);
	bench_run_for(b, MS_PER_MINUTE);
	bench_admin(b, "PUT", ALIAS_PATH, "{\"Description\": \"touched\"}");
	bench_admin(b, "POST", "/_localaws/faults", "[{\"op\": \"GetAlias\", \"fault\": \"stale\"}]");
	assert_int_equal(bench_command(b, "hello", COMMAND_ROLLBACK), ENGINE_DONE);
	bench_run_for(b, MS_PER_MINUTE);
	assert_true(b->updates > 5);
	assert_true(b->updates < 60);
	bench_admin(b, "PUT", "/_localaws/reset", "{\"what\": \"faults\"}");
	bench_run_for(b, MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_ROLLED_BACK);
	bench_free(b);
}

/* By the clock, but not in the dark; and not after a restart before the time away has been looked at. */
static void test_clock_stops_in_the_dark(void **state)
{
	struct bench *b = bench_new();
	char text[LIMIT_REASON];
	const char *more = "analysis: {pace: clock, metrics: [{errors: {max_rate: 1%, min_invocations: 10}}]}\n";

	(void)state;
	assert_int_equal(bench_take(b, "hello.yaml", bench_plan_text("hello", 9, more), text), INTAKE_STARTED);
	bench_run_for(b, MS_PER_MINUTE);
	assert_string_equal(bench_alias_holds(b), "1+9@0.1");
	bench_drop_flights(b);
	engine_free(b->e);
	b->now.boot_ms += 20 * MS_PER_MINUTE;
	b->now.unix_ms += 20 * MS_PER_MINUTE;
	world_advance(b->world, b->now);
	bench_load(b);
	bench_run_for(b, 2 * MS_PER_SECOND);
	assert_string_equal(bench_alias_holds(b), "1+9@0.1");
	bench_run_for(b, 5 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_ROLLED_BACK);
	assert_int_equal(b->updates, 2);
	bench_free(b);
}
int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good_version),
	    cmocka_unit_test(test_bad_version),
	    cmocka_unit_test(test_crash_at_every_turn),
	    cmocka_unit_test(test_crash_while_rolling_back),
	    cmocka_unit_test(test_command_survives_a_crash),
	    cmocka_unit_test(test_supersede),
	    cmocka_unit_test(test_two_plans_of_one_alias),
	    cmocka_unit_test(test_retry),
	    cmocka_unit_test(test_region_not_known),
	    cmocka_unit_test(test_failing_store),
	    cmocka_unit_test(test_rollback_of_a_succeeded_one),
	    cmocka_unit_test(test_rollback_beside_an_open_call),
	    cmocka_unit_test(test_retry_beside_an_open_call),
	    cmocka_unit_test(test_foreign_write),
	    cmocka_unit_test(test_unreadable_record),
	    cmocka_unit_test(test_record_of_another_plan),
	    cmocka_unit_test(test_fenced),
	    cmocka_unit_test(test_fenced_while_it_waits),
	    cmocka_unit_test(test_old_view_after_another_rollout),
	    cmocka_unit_test(test_drain),
	    cmocka_unit_test(test_cut_sentence),
	    cmocka_unit_test(test_pause_calls_back),
	    cmocka_unit_test(test_lost_write_found_on_the_way_home),
	    cmocka_unit_test(test_old_views_are_waited_out),
	    cmocka_unit_test(test_clock_stops_in_the_dark),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
