/* Requests of rolloutd's own to the versions: whole rollouts in virtual time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/evp.h>

#include "base/mem.h"
#include "base/text.h"
#include "engine_bench.h"

#define EVERY_MS (2 * MS_PER_SECOND)
#define PROBE	 "probe: {invoke: probe.json, rate: 30/m}, "
#define COMPARED "analysis: {" PROBE "metrics: [{errors: {compare: stable, min_invocations: 50}}]}\n"
#define LIMITED	 "analysis: {" PROBE "metrics: [{errors: {max_rate: 5%, min_invocations: 50}}]}\n"

/* Nobody calls it but rolloutd. */
static const char quiet[] = "seed: 7\n"
			    "functions:\n"
			    "  hello:\n"
			    "    versions: {1: {}, 2: {}, 9: {error_rate: 50%}}\n"
			    "    aliases: {prod: {version: 1}}\n"
			    "metrics: {delay: 30s}\n";

static struct {
	unsigned sent[16]; /* by version */
	char context[256], body[64];
	bool weighted; /* when the first one was sent */
	enum { AS_IT_IS, SILENT, RESET, SLOW, THROTTLED, DENIED, BROKEN } mood;
	int64_t last_boot_ms;
} probes;

static bool is_probe(const struct http_request *r)
{
	return strstr(r->path, "/invocations") != NULL;
}

static const char *header(const struct http_request *r, const char *name)
{
	for (size_t n = 0; n < r->n_headers; n++) {
		if (strcasecmp(r->headers[n].name, name) == 0)
			return r->headers[n].value;
	}
	return "";
}

static void sent(struct bench *b, const struct http_request *r)
{
	uint64_t version = 0;

	if (!is_probe(r))
		return;
	assert_true(text_starts_with(r->query, "Qualifier="));
	assert_int_equal(text_parse_u64(strchr(r->query, '=') + 1, 15, &version), 0);
	assert_true(version < array_len(probes.sent));
	probes.sent[version]++;
	probes.last_boot_ms = b->now.boot_ms;
	probes.weighted = strchr(bench_alias_holds(b), '+') != NULL;
	(void)text_copy(probes.context, sizeof(probes.context), header(r, "X-Amz-Client-Context"));
	(void)snprintf(probes.body, sizeof(probes.body), "%.*s", (int)r->body_len, r->body);
	assert_string_equal(header(r, "X-Amz-Invocation-Type"), "RequestResponse");
	/* It was signed: nobody on the way can make a user's request of it, or the other way round. */
	assert_non_null(strstr(header(r, "Authorization"), "x-amz-client-context"));
}

static void answers(struct bench *b, const struct http_request *r, struct world_reply *reply)
{
	static const struct {
		int status;
		const char *body;
	} of[] = {
	    [THROTTLED] = {429, "{\"__type\":\"TooManyRequestsException\"}"},
	    [DENIED] = {403, "{\"__type\":\"AccessDeniedException\"}"},
	    [BROKEN] = {502, "{\"__type\":\"EFSIOException\"}"},
	};

	(void)b;
	if (!is_probe(r) || probes.mood == AS_IT_IS)
		return;
	if (probes.mood == SLOW) {
		reply->delay_ms = 5 * EVERY_MS / 2;
		return;
	}
	world_reply_deinit(reply);
	*reply = (struct world_reply){.fate = probes.mood == SILENT  ? WORLD_SILENCE
					      : probes.mood == RESET ? WORLD_RESET
								     : WORLD_ANSWER};
	if (reply->fate == WORLD_ANSWER)
		reply->response = (struct http_response){.status = of[probes.mood].status,
							 .body = of[probes.mood].body,
							 .body_len = strlen(of[probes.mood].body)};
}

static struct bench *begin(int version, const char *analysis)
{
	struct bench *b = bench_new_world(quiet);
	char text[LIMIT_REASON];

	memset(&probes, 0, sizeof(probes));
	b->event.text = "{\"path\": \"/health\"}\n";
	b->sent = sent;
	b->answers = answers;
	assert_int_equal(bench_take(b, "hello.yaml", bench_plan_text("hello", version, analysis), text),
			 INTAKE_STARTED);
	return b;
}

static void until_probed(struct bench *b, unsigned version)
{
	int64_t end = b->now.boot_ms + 10 * MS_PER_MINUTE;

	while (probes.sent[version] == 0)
		assert_true(bench_step(b, end));
}

struct told {
	struct verdict_result verdict;
	uint64_t skipped;
};

static void keep(void *ctx, const struct view_rollout *v)
{
	struct told *t = ctx;

	t->verdict = v->verdict;
	t->skipped = v->state->probes_skipped;
}

static struct told look(struct bench *b)
{
	struct told t = {0};

	assert_true(engine_view(b->e, "hello", keep, &t));
	return t;
}

static unsigned said(const struct bench *b, const char *text)
{
	unsigned n = 0;

	for (const char *at = b->published; (at = strstr(at, text)); at += strlen(text))
		n++;
	return n;
}

/* --- whole rollouts --- */

static void a_quiet_function_gets_its_evidence(void **state)
{
	struct bench *b = begin(2, COMPARED);
	char context[256] = {0};
	struct told t;
	unsigned before[2];

	(void)state;
	until_probed(b, 2);
	assert_true(probes.weighted);
	assert_int_equal(probes.sent[1], 1);
	assert_string_equal(probes.body, "{\"path\": \"/health\"}\n");
	assert_true(EVP_DecodeBlock((unsigned char *)context, (const unsigned char *)probes.context,
				    (int)strlen(probes.context)) > 0);
	assert_string_equal(context, "{\"custom\":{\"rolloutd\":\"probe\",\"rollout\":\"hello\"}}");
	/* Thirty a minute to each. */
	before[0] = probes.sent[1];
	before[1] = probes.sent[2];
	bench_run_for(b, MS_PER_MINUTE);
	assert_in_range(probes.sent[1] - before[0], 29, 30);
	assert_in_range(probes.sent[2] - before[1], 29, 30);
	bench_run_for(b, 10 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_SUCCEEDED);
	t = look(b);
	assert_int_equal(t.skipped, 0);
	/* Its end is the end. */
	before[0] = probes.sent[2];
	bench_run_for(b, MS_PER_HOUR);
	assert_int_equal(probes.sent[2], before[0]);
	assert_int_equal(b->event.reads, 1);
	bench_free(b);
}

static void a_bad_canary_is_found_without_a_single_user(void **state)
{
	struct bench *b = begin(9, COMPARED);
	struct seen s;
	unsigned before;

	(void)state;
	bench_run_for(b, 10 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_ROLLED_BACK);
	s = bench_look(b, "hello");
	assert_non_null(strstr(s.state.reason, "probes included); were it no worse, at most 1 of "));
	before = probes.sent[9];
	bench_run_for(b, MS_PER_HOUR);
	assert_int_equal(probes.sent[9], before);
	bench_free(b);
}

/* Nothing compares, so the stable version need not be asked. */
static void against_a_limit_the_canary_alone_is_probed(void **state)
{
	struct bench *b = begin(9, LIMITED);

	(void)state;
	bench_run_for(b, 10 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_ROLLED_BACK);
	assert_int_equal(probes.sent[1], 0);
	assert_true(probes.sent[9] > 50);
	bench_free(b);
}

static void a_pause_is_watched_and_so_probed(void **state)
{
	struct bench *b = begin(2, COMPARED);
	unsigned before;

	(void)state;
	until_probed(b, 2);
	(void)bench_command(b, "hello", COMMAND_PAUSE);
	bench_run_for(b, MS_PER_MINUTE);
	before = probes.sent[2];
	bench_run_for(b, MS_PER_MINUTE);
	assert_int_equal(probes.sent[2] - before, 30);
	(void)bench_command(b, "hello", COMMAND_ROLLBACK);
	bench_step(b, b->now.boot_ms + 1);
	before = probes.sent[2];
	bench_run_for(b, MS_PER_MINUTE);
	assert_int_equal(probes.sent[2], before);
	bench_assert_phase(b, "hello", PHASE_ROLLED_BACK);
	bench_free(b);
}

/* --- what does not count --- */

static void a_slow_one_skips_its_turns(void **state)
{
	struct bench *b = begin(2, LIMITED);
	struct told t;

	(void)state;
	probes.mood = SLOW; /* two turns pass before the answer */
	bench_run_for(b, 2 * MS_PER_MINUTE);
	t = look(b);
	assert_in_range(probes.sent[2], 18, 20);
	assert_in_range(t.skipped, 38, 40);
	assert_int_equal(t.verdict.probe_canary.errors, 0);
	/* The record has them, also after a crash and the end. */
	bench_crash(b);
	assert_true(look(b).skipped > 10);
	bench_run_for(b, MS_PER_MINUTE);
	assert_true(look(b).skipped > 25);
	(void)bench_command(b, "hello", COMMAND_ROLLBACK);
	bench_run_for(b, MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_ROLLED_BACK);
	assert_true(look(b).skipped > 25);
	bench_free(b);
}

static void what_lambda_says_in_its_own_name_is_no_answer(void **state)
{
	static const struct {
		int mood;
		unsigned told; /* by the end of so many turns, but not after one; 1: at once */
		const char *text;
	} cases[] = {
	    {THROTTLED, 30, "the canary is not probed: Invoke: TooManyRequestsException"},
	    {BROKEN, 6, "the canary is not probed: Invoke: EFSIOException"},
	    {RESET, 6, "the canary is not probed: Invoke"},
	    {DENIED, 1, "the canary is not probed: Invoke: AccessDeniedException"},
	};

	(void)state;
	for (size_t n = 0; n < array_len(cases); n++) {
		struct bench *b = begin(2, COMPARED);
		struct told t;

		until_probed(b, 2);
		bench_run_for(b, EVERY_MS / 2);
		probes.mood = cases[n].mood;
		bench_run_for(b, EVERY_MS);
		assert_int_equal(said(b, cases[n].text), cases[n].told == 1);
		bench_run_for(b, cases[n].told * EVERY_MS);
		assert_int_equal(said(b, cases[n].text), 1);
		bench_run_for(b, MS_PER_MINUTE);
		t = look(b);
		assert_true(t.skipped > 30);
		assert_int_equal(t.verdict.probe_canary.errors, 0);
		assert_true(t.verdict.probe_canary.invocations <= 1);
		/* Each of them once, however long it goes on; and once that it is over. */
		assert_int_equal(said(b, cases[n].text), 1);
		assert_int_equal(said(b, "the stable version is not probed: "), 1);
		probes.mood = AS_IT_IS;
		bench_run_for(b, MS_PER_MINUTE);
		assert_int_equal(said(b, "probe: the canary answers probes again"), 1);
		bench_free(b);
	}
}

static void no_answer_for_a_minute_is_a_failure(void **state)
{
	struct bench *b = begin(2, LIMITED);
	struct told t;

	(void)state;
	probes.mood = SILENT;
	bench_run_for(b, 4 * MS_PER_MINUTE);
	t = look(b);
	assert_int_equal(t.verdict.probe_canary.invocations, t.verdict.probe_canary.errors);
	assert_in_range(t.verdict.probe_canary.errors, 2, 3);
	bench_free(b);
}

/* That it took long is no failure of the version's where nothing was sent. */
static void without_keys_nothing_is_said_about_the_version(void **state)
{
	struct bench *b = begin(2, LIMITED);
	uint64_t before;

	(void)state;
	bench_run_for(b, 100 * MS_PER_SECOND);
	before = look(b).skipped;
	b->no_keys = "no keys were found";
	bench_run_for(b, MS_PER_MINUTE);
	assert_int_equal(look(b).verdict.probe_canary.errors, 0);
	assert_true(look(b).skipped - before >= 29);
	assert_int_equal(said(b, "the canary is not probed: Invoke: "), 1);
	bench_free(b);
}

/* --- the event --- */

static void an_event_that_cannot_be_sent_is_told_once_and_read_again(void **state)
{
	static char deep[200];
	static const struct {
		const char *text;
		size_t size;
		const char *said;
	} cases[] = {
	    {NULL, 0, "nothing is probed: probe.json does not exist; it is read again each minute"},
	    {"{\"path\": }", 0, "nothing is probed: probe.json:1:10: this is no JSON; it is read again each minute"},
	    {"", 0, "nothing is probed: probe.json:1:0: this is no JSON; it is read again each minute"},
	    {"{}", LIMIT_PROBE_BYTES + 1, "probe.json is too large: a probe's event has at most 262144 bytes"},
	    {deep, 0, "probe.json is no event: JSON nested deeper than 32 levels"},
	};

	(void)state;
	memset(deep, '[', 40);
	for (size_t n = 0; n < array_len(cases); n++) {
		struct bench *b = begin(2, COMPARED);

		b->event.text = cases[n].text;
		b->event.size = cases[n].size;
		bench_run_for(b, 3 * MS_PER_MINUTE);
		if (said(b, cases[n].said) != 1)
			print_message("%s\n", b->published);
		assert_int_equal(said(b, cases[n].said), 1);
		assert_int_equal(probes.sent[2], 0);
		assert_in_range(b->event.reads, 2, 4);
		b->event.text = "7";
		b->event.size = 0;
		bench_run_for(b, 2 * MS_PER_MINUTE);
		assert_true(probes.sent[2] > 20);
		bench_free(b);
	}
}

static void what_was_asked_for_may_come_when_all_is_over(void **state)
{
	struct bench *b = begin(2, COMPARED);

	(void)state;
	while (b->event.waiting == 0)
		assert_true(bench_step(b, INT64_MAX));
	(void)bench_command(b, "hello", COMMAND_ROLLBACK);
	bench_run_for(b, MS_PER_MINUTE);
	assert_int_equal(probes.sent[2], 0);
	bench_assert_phase(b, "hello", PHASE_ROLLED_BACK);
	bench_free(b);
}

/* --- ends --- */

static void nothing_leaves_that_is_not_on_record(void **state)
{
	struct bench *b = begin(2, COMPARED);
	unsigned before;

	(void)state;
	until_probed(b, 2);
	bench_store_fails(b, true);
	bench_run_for(b, 2 * MS_PER_MINUTE); /* the next reading of the metrics must be recorded */
	before = probes.sent[2];
	bench_run_for(b, MS_PER_MINUTE);
	assert_int_equal(probes.sent[2], before);
	bench_store_fails(b, false);
	bench_run_for(b, MS_PER_MINUTE);
	assert_true(probes.sent[2] > before + 25);
	bench_free(b);
}

static void the_program_waits_for_no_probe_at_its_end(void **state)
{
	struct bench *b = begin(2, COMPARED);
	unsigned before;

	(void)state;
	probes.mood = SILENT;
	until_probed(b, 2);
	bench_step(b, b->now.boot_ms + 1);
	engine_drain(b->e);
	bench_step(b, b->now.boot_ms + 1);
	assert_true(b->n_flights > 0);
	assert_true(engine_idle(b->e));
	before = probes.sent[2];
	bench_run_for(b, MS_PER_MINUTE / 2);
	assert_int_equal(probes.sent[2], before);
	bench_free(b);
}

static void a_restart_goes_on_and_repeats_nothing(void **state)
{
	struct bench *b = begin(2, COMPARED);
	struct counts counted, again;
	unsigned before;

	(void)state;
	until_probed(b, 2);
	bench_run_for(b, MS_PER_MINUTE);
	probes.mood = SILENT;
	before = probes.sent[2];
	while (probes.sent[2] == before)
		assert_true(bench_step(b, INT64_MAX));
	probes.mood = AS_IT_IS;
	before = probes.sent[2];
	counted = look(b).verdict.probe_canary;
	bench_crash(b);
	/* What was judged was recorded with it. */
	assert_true(counted.invocations >= 20);
	again = look(b).verdict.probe_canary;
	assert_memory_equal(&again, &counted, sizeof(again));
	bench_run_for(b, MS_PER_MINUTE);
	assert_in_range(probes.sent[2] - before, 29, 31);
	bench_run_for(b, 10 * MS_PER_MINUTE);
	bench_assert_phase(b, "hello", PHASE_SUCCEEDED);
	bench_free(b);
}

/* --- many --- */

#define MANY 20

/* A place on the wire costs the account concurrency, which is there for users. */
static void an_account_has_so_many_under_way_and_no_more(void **state)
{
	char world[1024] = "seed: 7\nfunctions:\n  hello:\n    versions: {1: {}, 2: {}}\n    aliases: {z: {version: 1}";
	struct engine_stats stats;
	struct bench *b;
	unsigned wire = 0;

	(void)state;
	for (int n = 0; n < MANY; n++)
		(void)snprintf(world + strlen(world), sizeof(world) - strlen(world), ", a%d: {version: 1}", n);
	(void)snprintf(world + strlen(world), sizeof(world) - strlen(world), "}\n");
	b = bench_new_world(world);
	memset(&probes, 0, sizeof(probes));
	probes.mood = SILENT;
	b->answers = answers;
	for (int n = 0; n < MANY; n++) {
		char text[1024], answer[LIMIT_REASON], file[16];

		(void)snprintf(file, sizeof(file), "r%d.yaml", n);
		(void)snprintf(text, sizeof(text),
			       "apiVersion: rolloutd/v1\nkind: Rollout\nname: r%d\nfunction: hello\nalias: a%d\n"
			       "version: 2\nsteps: [{weight: 10%%, bake: 1h}]\n"
			       "analysis: {probe: {invoke: p.json, rate: 1/s}}\n",
			       n, n);
		assert_int_equal(bench_take(b, file, text, answer), INTAKE_STARTED);
	}
	b->event.text = "{}";
	bench_run_for(b, 30 * MS_PER_SECOND);
	for (size_t n = 0; n < b->n_flights; n++)
		wire += b->flights[n].reply.fate == WORLD_SILENCE;
	assert_int_equal(wire, 16);
	engine_stats(b->e, &stats);
	assert_int_equal(stats.calls_queued, LIMIT_PROBES_OPEN - 16);
	assert_true(stats.probes_skipped > MANY);
	bench_free(b);
}

static void a_record_keeps_what_was_counted(void **state)
{
	struct sample s = {.canary = {9, 9, true}, .probe_canary = {7, 2, true}}, t = {0};
	int64_t counts[PROBING_COUNTS];

	(void)state;
	probing_pack(&s, counts);
	assert_int_equal(counts[0], 7);
	assert_int_equal(counts[1], 2);
	assert_int_equal(counts[2], -1);
	assert_int_equal(counts[3], -1);
	probing_unpack(counts, &t);
	assert_memory_equal(&t.probe_canary, &s.probe_canary, sizeof(t.probe_canary));
	assert_false(t.probe_stable.seen);
	assert_false(t.canary.seen);
	/* A damaged database says anything. */
	probing_unpack((int64_t[PROBING_COUNTS]){3, -5, INT64_MIN, 4}, &t);
	assert_int_equal(t.probe_canary.invocations, 3);
	assert_int_equal(t.probe_canary.errors, 0);
	assert_false(t.probe_stable.seen);
	assert_int_equal(t.probe_stable.errors, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_quiet_function_gets_its_evidence),
	    cmocka_unit_test(a_bad_canary_is_found_without_a_single_user),
	    cmocka_unit_test(against_a_limit_the_canary_alone_is_probed),
	    cmocka_unit_test(a_pause_is_watched_and_so_probed),
	    cmocka_unit_test(a_slow_one_skips_its_turns),
	    cmocka_unit_test(what_lambda_says_in_its_own_name_is_no_answer),
	    cmocka_unit_test(no_answer_for_a_minute_is_a_failure),
	    cmocka_unit_test(without_keys_nothing_is_said_about_the_version),
	    cmocka_unit_test(an_event_that_cannot_be_sent_is_told_once_and_read_again),
	    cmocka_unit_test(what_was_asked_for_may_come_when_all_is_over),
	    cmocka_unit_test(nothing_leaves_that_is_not_on_record),
	    cmocka_unit_test(the_program_waits_for_no_probe_at_its_end),
	    cmocka_unit_test(a_restart_goes_on_and_repeats_nothing),
	    cmocka_unit_test(an_account_has_so_many_under_way_and_no_more),
	    cmocka_unit_test(a_record_keeps_what_was_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
