/* Anything at any time: faults of AWS, crashes, a failing store, commands; each seed must end well. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine_bench.h"

/* --- anything at any time --- */

static uint64_t draw(struct bench *b, uint64_t below)
{
	b->entropy = b->entropy * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (b->entropy >> 33) % below;
}

static void random_fault(struct bench *b)
{
	static const char *const ops[] = {"UpdateAlias", "UpdateAlias", "GetAlias", "GetFunction", "GetMetricData"};
	static const char *const faults[] = {"throttle", "error500",  "lost_before", "lost_after",
					     "late",	 "twice",     "delay",	     "garbage",
					     "html",	 "truncated", "reset",	     "access_denied"};
	const char *op = ops[draw(b, array_len(ops))], *fault = faults[draw(b, array_len(faults))];
	char body[256];

	(void)snprintf(body, sizeof(body), "[{\"op\": \"%s\", \"fault\": \"%s\", \"times\": %d, \"delay\": \"%ds\"}]",
		       op, fault, 1 + (int)draw(b, 3), 1 + (int)draw(b, 90));
	bench_admin(b, "POST", "/_localaws/faults", body);
}

static void random_deed(struct bench *b)
{
	static const int versions[] = {2, 3, 9};
	static const char *const names[] = {"one", "two"};
	const char *name = names[draw(b, 2)];
	char text[LIMIT_REASON];

	switch (draw(b, 12)) {
	case 0:
	case 1:
		bench_crash(b);
		break;
	case 2:
		bench_store_fails(b, b->store->ops == b->good_ops);
		break;
	case 3:
	case 4:
		(void)bench_take_file(b, name, versions[draw(b, 3)]);
		break;
	case 5:
	case 6:
		(void)bench_command(b, name, (enum rollout_command)draw(b, COMMAND_ROLLBACK + 1));
		break;
	case 7:
		(void)engine_retry(b->e, name, "uid=0", "", text);
		break;
	case 8:
		b->config.boot_id[5]++;
		bench_crash(b);
		break;
	default:
		random_fault(b);
		break;
	}
}

static void check_alias(struct bench *b)
{
	const char *holds = bench_alias_holds(b);
	const char *at = strchr(holds, '@');

	if (at && strcmp(at, "@0.1") != 0 && strcmp(at, "@0.5") != 0)
		fail_msg("nobody asked for %s", holds);
}

static void end_quietly(struct bench *b, const char *name)
{
	struct seen s = {0};

	if (!engine_view(b->e, name, bench_keep, &s))
		return;
	/* A way home that could not be recorded is not recognised after a crash: then all traffic is home already. */
	if (s.phase == PHASE_BLOCKED && !b->forgetful)
		fail_msg("%s is blocked though nobody else wrote: %s", name, s.state.reason);
	for (int n = 0; n < 4 && !rollout_ended(&s.state); n++) {
		(void)bench_command(b, name, COMMAND_ROLLBACK);
		bench_run_for(b, 5 * MS_PER_MINUTE);
		(void)engine_view(b->e, name, bench_keep, &s);
	}
	if (!rollout_ended(&s.state))
		fail_msg("%s is still %s: %s", name, rollout_phase_name(s.phase), s.state.reason);
}

static void run_seed(uint64_t seed)
{
	struct bench *b = bench_new();
	struct engine_stats stats;

	b->entropy = seed * 7919 + 1;
	for (int n = 0; n < 40; n++) {
		random_deed(b);
		for (uint64_t k = draw(b, 8); k > 0; k--)
			(void)bench_step(b, b->now.boot_ms + MS_PER_MINUTE);
		if (draw(b, 4) == 0)
			bench_run_for(b, (int64_t)draw(b, 300) * MS_PER_SECOND);
		check_alias(b);
	}
	bench_store_fails(b, false);
	bench_admin(b, "PUT", "/_localaws/reset", "{\"what\": \"faults\"}");
	bench_run_for(b, 2 * MS_PER_HOUR);
	end_quietly(b, "one");
	end_quietly(b, "two");
	assert_null(strchr(bench_alias_holds(b), '@'));
	assert_int_equal(b->unrecorded_weights, 0);
	engine_stats(b->e, &stats);
	assert_false(stats.fenced);
	assert_int_equal(stats.live, 0);
	bench_free(b);
}

static void test_anything(void **state)
{
	const char *only = getenv("TEST_ENGINE_SEED");
	const char *count = getenv("TEST_ENGINE_SEEDS");
	uint64_t from = only ? strtoull(only, NULL, 10) : 1;
	uint64_t to = only ? from : count ? strtoull(count, NULL, 10) : 25;

	(void)state;
	for (uint64_t seed = from; seed <= to; seed++) {
		print_message("seed %llu\n", (unsigned long long)seed);
		run_seed(seed);
	}
}
int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
