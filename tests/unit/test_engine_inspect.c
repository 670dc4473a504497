/* Whose keys each account has, as `doctor` tells it; and what becomes of whoever looks when the engine goes. */
#include "engine_bench.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define ARN "arn:aws:iam::123456789012:user/localaws"

/* What the asker was told, copied: what comes with it is gone afterwards. */
struct told {
	unsigned times;
	bool failed;
	size_t n_accounts;
	char accounts[2048]; /* "name|arn|number|source|expires", one a line */
	char cure[512];	     /* of the first */
	char findings[4096]; /* "level subject: text", one a line */
};

static void told(void *arg, const struct inspection *i)
{
	struct told *t = arg;
	size_t len = 0;

	t->times++;
	t->failed = i->error != NULL;
	t->n_accounts = i->n_accounts;
	for (size_t n = 0; n < i->n_accounts; n++) {
		const struct view_account *a = &i->accounts[n];
		len += (size_t)snprintf(t->accounts + len, sizeof(t->accounts) - len, "%s|%s|%s|%s|%lld%s\n", a->name,
					a->arn, a->account_id, a->source, (long long)a->expires_unix_ms,
					a->extended ? "|extended" : "");
	}
	len = 0;
	for (size_t n = 0; n < i->n_findings; n++)
		len += (size_t)snprintf(t->findings + len, sizeof(t->findings) - len, "%d %s: %s\n",
					i->findings[n].level, i->findings[n].subject, i->findings[n].text);
	if (i->n_findings > 0)
		(void)snprintf(t->cure, sizeof(t->cure), "%s", i->findings[0].cure);
}

static void ask(struct bench *b, struct told *t)
{
	*t = (struct told){0};
	assert_int_not_equal(engine_inspect_accounts(b->e, told, t), 0);
	assert_int_equal(t->times, 0); /* never before it returns */
	bench_run_for(b, 20 * MS_PER_SECOND);
	assert_int_equal(t->times, 1);
	assert_false(t->failed);
}

static struct plan *some_plan(void)
{
	const char *text = bench_plan_text("hello", 2, "");
	struct diags diags = {0};
	struct plan *p = plan_load(text, strlen(text), &diags);

	diags_deinit(&diags);
	assert_non_null(p);
	return p;
}

static void every_account_is_told_in_its_order(void **state)
{
	struct bench *b = bench_new();
	struct told t;

	(void)state;
	b->keys = (struct keys_told){
	    .source = "instance role ops", .there = true, .error = "", .expires_unix_ms = INT64_C(1795390000000)};
	ask(b, &t);
	assert_string_equal(t.accounts, "other|" ARN "|123456789012|instance role ops|1795390000000\n"
					"default|" ARN "|123456789012|instance role ops|1795390000000\n");
	assert_string_equal(t.findings, "0 account other: it is " ARN " of account 123456789012, by keys from "
					"instance role ops, good until 2026-11-22T23:26:40.000Z\n"
					"0 account default: it is " ARN " of account 123456789012, by keys from "
					"instance role ops, good until 2026-11-22T23:26:40.000Z\n");
	b->keys.extended = true;
	b->keys.error = "the instance's metadata service gives no keys";
	ask(b, &t);
	assert_non_null(strstr(t.accounts, "|extended\n"));
	assert_non_null(strstr(t.findings, "as AWS has extended them"));
	assert_non_null(strstr(t.findings, "1 account other: its next keys cannot be fetched: the instance's"));
	b->keys = (struct keys_told){.source = "environment", .there = true, .expires_unix_ms = INT64_MAX, .error = ""};
	ask(b, &t);
	assert_non_null(strstr(t.findings, "by keys from environment, which do not end\n"));
	bench_free(b);
}

/* Nothing else is asked with keys that are not there, and the whole sentence of the source is told. */
static void keys_that_are_missing_are_a_problem(void **state)
{
	struct bench *b = bench_new();
	struct told t = {0};

	(void)state;
	b->no_keys = "cut off";
	b->keys = (struct keys_told){.source = "profile ops", .error = "profile ops: get-keys ended with status 7"};
	ask(b, &t);
	assert_non_null(strstr(t.accounts, "other|||profile ops|0\n"));
	assert_non_null(strstr(t.findings, "2 account default: it has no keys: profile ops: get-keys ended"));
	memset(&t, 0, sizeof(t));
	assert_int_not_equal(engine_inspect(b->e, some_plan(), INSPECT_DOCTOR, told, &t), 0);
	bench_run_for(b, 20 * MS_PER_SECOND);
	assert_int_equal(t.times, 1);
	assert_int_equal(t.n_accounts, 1);
	assert_string_equal(t.findings,
			    "2 account default: it has no keys: profile ops: get-keys ended with status 7\n");
	assert_int_equal(b->calls, 0);
	bench_free(b);
}

/* The others are told well before whoever asks gives up (after a minute). */
static void one_slow_source_hides_nobody(void **state)
{
	struct bench *b = bench_new();
	struct told t = {0};

	(void)state;
	b->keys_pending = "other";
	b->keys = (struct keys_told){.source = "profile ops", .error = ""};
	assert_int_not_equal(engine_inspect_accounts(b->e, told, &t), 0);
	bench_run_for(b, 19 * MS_PER_SECOND);
	assert_int_equal(t.times, 0); /* they may come yet */
	bench_run_for(b, 3 * MS_PER_SECOND);
	assert_int_equal(t.times, 1);
	assert_non_null(strstr(t.findings,
			       "2 account other: its keys are still being fetched from profile ops\n0 account default: "
			       "it is " ARN));
	/* So is it of a plan's account, and nothing else is asked. */
	b->keys_pending = "default";
	b->calls = 0;
	memset(&t, 0, sizeof(t));
	assert_int_not_equal(engine_inspect(b->e, some_plan(), INSPECT_DOCTOR, told, &t), 0);
	bench_run_for(b, 22 * MS_PER_SECOND);
	assert_string_equal(t.findings, "2 account default: its keys are still being fetched from profile ops\n");
	assert_int_equal(b->calls, 0);
	bench_free(b);
}

static void ask_for_patience(struct bench *b, const struct http_request *r, struct world_reply *reply)
{
	(void)b;
	(void)r;
	reply->response = (struct http_response){.status = 429, .body = ""};
	reply->response.headers[reply->response.n_headers++] = (struct http_header){"Retry-After", "12"};
}

/* An STS that asks to come again later is not asked for longer than that either. */
static void nobody_is_asked_without_end(void **state)
{
	struct bench *b = bench_new();
	struct told t = {0};

	(void)state;
	b->answers = ask_for_patience;
	assert_int_not_equal(engine_inspect_accounts(b->e, told, &t), 0);
	bench_run_for(b, 22 * MS_PER_SECOND);
	assert_int_equal(t.times, 1);
	assert_non_null(strstr(t.findings, "1 account default: it has keys"));
	bench_free(b);
}

/* A rollout does not need STS. */
static void a_deaf_sts_is_a_warning(void **state)
{
	struct bench *b = bench_new();
	struct told t = {0};

	(void)state;
	bench_admin(b, "PUT", "/_localaws/faults", "[{\"fault\": \"error503\", \"op\": \"GetCallerIdentity\"}]");
	assert_int_not_equal(engine_inspect(b->e, some_plan(), INSPECT_DOCTOR, told, &t), 0);
	bench_run_for(b, 20 * MS_PER_SECOND);
	assert_int_equal(t.times, 1);
	assert_non_null(
	    strstr(t.findings, "1 account default: it has keys from a source that is not known; STS could not"));
	assert_non_null(strstr(t.findings, "0 account default: its credentials work in us-east-1\n"));
	bench_free(b);
}

/* Asks about a plan whose alias had so many requests in each of the last hours, of which so many failed. */
static void ask_about_traffic(struct told *t, unsigned hours, uint64_t requests, uint64_t errors, const char *more)
{
	struct bench *b = bench_new_world("functions:\n"
					  "  hello: {versions: {1: {code: a}, 2: {code: b}}, aliases: {prod: {version: "
					  "1}}}\n");
	const char *text = bench_plan_text("hello", 2, more);
	struct diags diags = {0};
	struct plan *p = plan_load(text, strlen(text), &diags);

	assert_non_null(p);
	diags_deinit(&diags);
	for (unsigned i = 1; i <= hours; i++)
		world_count_requests(b->world, "hello", "prod", 1, b->now.unix_ms - i * MS_PER_HOUR, requests, errors);
	*t = (struct told){0};
	assert_int_not_equal(engine_inspect(b->e, p, INSPECT_DOCTOR, told, t), 0);
	bench_run_for(b, 20 * MS_PER_SECOND);
	assert_int_equal(t->times, 1);
	bench_free(b);
}

static void assert_found(const struct told *t, const char *what)
{
	if (!strstr(t->findings, what))
		fail_msg("no \"%s\" in:\n%s", what, t->findings);
}

#define LIMIT_1 "analysis: {metrics: [{errors: {max_rate: 1%, min_invocations: 10}}]}\n"

static void the_traffic_says_when_a_bad_version_is_noticed(void **state)
{
	struct told t;

	(void)state;
	ask_about_traffic(&t, 71, 72000, 144, LIMIT_1);
	assert_found(&t, "0 alias prod: its metrics can be read: 5112000 requests in the last 3 days\n");
	/* 2 of 20 a second are the canary's: the first period that ends has enough. */
	assert_found(&t,
		     "0 alias prod: about 20 requests a second lately, 0.2% of them failed; with this plan a canary "
		     "that fails every second request is noticed after about 1m 3");
	assert_found(&t, ", one that fails 0.4% of them (twice as many) is ");
	assert_found(&t, "; step 1 (10% for 2m) sees about 239 of the canary's requests, by which a rate of ");
	ask_about_traffic(&t, 71, 180, 0, LIMIT_1);
	assert_found(&t,
		     "1 alias prod: about 3 requests a minute lately, 0% of them failed; with this plan a canary that "
		     "fails every second request is noticed after about ");
	assert_found(&t, ", one that fails 1% of them is not noticed before the rollout is over, after about ");
	assert_found(&t, "; step 1 (10% for 2m) sees about 0.6 of the canary's requests: too few to show anything\n");
}

static void little_traffic_and_none(void **state)
{
	struct told t;

	(void)state;
	ask_about_traffic(&t, 71, 1, 0, LIMIT_1);
	assert_found(&t, "1 alias prod: about 1 request an hour lately, 0% of them failed; ");
	assert_found(&t, "with this plan even a canary that fails every second request is not noticed before the "
			 "rollout pauses for want of requests, after 1h 3m");
	ask_about_traffic(&t, 71, 1, 0, "analysis: {on_hold_limit: rollback}\n");
	assert_found(&t, "is not noticed before the rollout goes back for want of requests, after 1h 3m");
	ask_about_traffic(&t, 0, 0, 0, LIMIT_1);
	assert_found(&t, "1 alias prod: its metrics can be read, and show no request in the last 3 days\n");
	assert_null(strstr(t.findings, "lately"));
	/* More fail already than the plan allows; and a plan that counts none. */
	ask_about_traffic(&t, 2, 60000, 1200, LIMIT_1);
	assert_found(&t, " 2% of them failed; more often than not a canary that is no worse fails this plan all "
			 "the same, after about ");
	ask_about_traffic(&t, 2, 60000, 30000, "analysis: {metrics: [{errors: {max_rate: 60%}}]}\n");
	assert_found(&t,
		     "50% of them failed; with this plan a canary that fails 100% of them (twice as many) is noticed ");
	ask_about_traffic(&t, 2, 60, 30, "analysis: {metrics: [{alarm: a}]}\n");
	assert_found(&t, "120 requests in the last 3 days");
	assert_null(strstr(t.findings, "lately"));
}

#define PROBED "analysis: {probe: {invoke: probe.json, rate: 1/s}}\n"

static struct plan *probing_plan(const char *more)
{
	const char *text = bench_plan_text("hello", 2, more);
	struct diags diags = {0};
	struct plan *p = plan_load(text, strlen(text), &diags);

	assert_non_null(p);
	diags_deinit(&diags);
	return p;
}

static void ask_about_probes(struct told *t, const char *event, const char *more)
{
	struct bench *b = bench_new();

	b->event.text = event;
	*t = (struct told){0};
	assert_int_not_equal(engine_inspect(b->e, probing_plan(more), INSPECT_DOCTOR, told, t), 0);
	bench_run_for(b, 20 * MS_PER_SECOND);
	assert_int_equal(t->times, 1);
	assert_int_equal(b->event.reads, 1);
	bench_free(b);
}

static void the_event_of_a_probe_is_looked_at(void **state)
{
	struct told t;

	(void)state;
	ask_about_probes(&t, "{}\n", PROBED);
	assert_found(&t, "0 probe probe.json: its event can be sent: 3 bytes of JSON\n");
	assert_found(&t, "0 alias prod: its metrics can be read, and show no request in the last 3 days: the evidence "
			 "comes by probes\n");
	ask_about_probes(&t, "{\"path\": }", PROBED);
	assert_found(&t, "2 probe probe.json: no probe would be sent: probe.json:1:10: this is no JSON\n");
	ask_about_probes(&t, NULL, PROBED);
	assert_found(&t, "2 probe probe.json: no probe would be sent: probe.json does not exist\n");
	ask_about_probes(&t, "7",
			 "analysis: {probe: {invoke: probe.json, rate: 1/s}, metrics: [{errors: {max_rate: 1%, probes: "
			 "ignore}}]}\n");
	assert_found(&t, "0 probe probe.json: its event can be sent: 1 byte of JSON\n");
	assert_found(&t, "1 alias prod: its metrics can be read, and show no request in the last 3 days\n");
}

/* An STS that answers is not one that cannot be reached. */
static void the_cure_is_of_what_sts_says(void **state)
{
	static const struct {
		const char *fault, *cure;
	} cases[] = {
	    {"throttle", "ask again in a minute"},
	    {"access_denied", "allow this operation"},
	    {"html", "somebody else than AWS has answered"},
	    {"error503", "let this host reach STS"},
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		struct bench *b = bench_new();
		struct told t;
		char fault[128];

		(void)snprintf(fault, sizeof(fault), "[{\"fault\": \"%s\", \"op\": \"GetCallerIdentity\"}]",
			       cases[i].fault);
		bench_admin(b, "PUT", "/_localaws/faults", fault);
		ask(b, &t);
		assert_ptr_equal(strstr(t.cure, cases[i].cure), t.cure);
		bench_free(b);
	}
}

static void what_is_no_answer_of_sts(void **state)
{
	struct bench *b = bench_new();
	struct told t;

	(void)state;
	bench_admin(b, "PUT", "/_localaws/faults", "[{\"fault\": \"html\", \"op\": \"GetCallerIdentity\"}]");
	ask(b, &t);
	assert_non_null(strstr(t.findings, "1 account default: it has keys"));
	assert_non_null(strstr(t.findings, "no answer of AWS's, but a web page"));
	bench_free(b);
}

/* Its calls refer to it; those that still wait are answered by the engine's end. */
static void the_engine_ends_while_one_looks(void **state)
{
	struct told t[3] = {{0}, {0}, {0}};

	(void)state;
	for (int steps = 0; steps < 12; steps++) {
		struct bench *b = bench_new();

		bench_admin(b, "PUT", "/_localaws/faults", "[{\"fault\": \"error503\", \"op\": \"*\"}]");
		assert_int_not_equal(engine_inspect_accounts(b->e, told, &t[0]), 0);
		assert_int_not_equal(engine_inspect(b->e, some_plan(), INSPECT_DOCTOR, told, &t[1]), 0);
		uint64_t ticket = engine_inspect(b->e, some_plan(), INSPECT_DOCTOR, told, &t[2]);
		for (int n = 0; n < steps; n++)
			(void)bench_step(b, b->now.boot_ms + MS_PER_SECOND);
		engine_inspect_forget(b->e, ticket);
		bench_free(b);
	}
	assert_int_equal(t[2].times, 0);
}

/* The doctor's own calls, at each point of its way. */
static void the_engine_ends_while_the_doctor_tries(void **state)
{
	struct told t = {0};
	unsigned last = 0;

	(void)state;
	for (int steps = 0; steps < 40 && !last; steps++) {
		struct bench *b = bench_new();

		memset(&t, 0, sizeof(t));
		assert_int_not_equal(engine_inspect(b->e, probing_plan(PROBED), INSPECT_DOCTOR, told, &t), 0);
		for (int n = 0; n < steps; n++)
			(void)bench_step(b, b->now.boot_ms + MS_PER_SECOND);
		last = t.times;
		bench_free(b);
		assert_true(t.times <= 1);
	}
	assert_int_equal(last, 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_account_is_told_in_its_order),
	    cmocka_unit_test(keys_that_are_missing_are_a_problem),
	    cmocka_unit_test(one_slow_source_hides_nobody),
	    cmocka_unit_test(nobody_is_asked_without_end),
	    cmocka_unit_test(a_deaf_sts_is_a_warning),
	    cmocka_unit_test(the_traffic_says_when_a_bad_version_is_noticed),
	    cmocka_unit_test(little_traffic_and_none),
	    cmocka_unit_test(the_cure_is_of_what_sts_says),
	    cmocka_unit_test(what_is_no_answer_of_sts),
	    cmocka_unit_test(the_engine_ends_while_one_looks),
	    cmocka_unit_test(the_event_of_a_probe_is_looked_at),
	    cmocka_unit_test(the_engine_ends_while_the_doctor_tries),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
