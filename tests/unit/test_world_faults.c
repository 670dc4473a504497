/* Faults, rate limits, signatures, the virtual clock. */
#include "aws/sigv4.h"
#include "sim/counters.h"
#include "world_rig.h"

#define TO_2 "{\"FunctionVersion\":\"2\"}"
#define TO_1 "{\"FunctionVersion\":\"1\"}"

static const char world[] = "limits: off\n"
			    "functions:\n"
			    "  hello:\n"
			    "    versions: {1: {}, 2: {}}\n"
			    "    aliases: {prod: {version: 1}}\n";

static void set_fault(struct rig *r, const char *fault)
{
	assert_int_equal(rig_call(r, "PUT", "/_localaws/faults", fault), 200);
}

static bool serves(struct rig *r, const char *version)
{
	assert_int_equal(rig_call(r, "DELETE", "/_localaws/faults", NULL), 200);
	assert_int_equal(rig_call(r, "GET", PROD, NULL), 200);
	return strcmp(rig_text(r, "FunctionVersion"), version) == 0;
}

static void test_fates(void **state)
{
	(void)state;
	static const struct {
		const char *fault;
		enum world_fate fate;
		int status; /* of what is, or would have been, answered */
		bool applied;
	} cases[] = {
	    {"throttle", WORLD_ANSWER, 429, false},
	    {"error500", WORLD_ANSWER, 500, false},
	    {"error500, applied: true", WORLD_ANSWER, 500, true},
	    {"error503", WORLD_ANSWER, 503, false},
	    {"access_denied", WORLD_ANSWER, 403, false},
	    {"lost_before", WORLD_SILENCE, 0, false},
	    {"lost_before, connection: close", WORLD_CLOSE, 0, false},
	    {"lost_after", WORLD_SILENCE, 200, true},
	    {"lost_after, connection: close", WORLD_CLOSE, 200, true},
	    {"garbage", WORLD_ANSWER, 200, true},
	    {"html", WORLD_ANSWER, 200, false},
	    {"truncated", WORLD_TRUNCATE, 200, true},
	    {"reset", WORLD_RESET, 500, false},
	    {"reset, applied: true", WORLD_RESET, 200, true},
	};
	struct rig r;
	rig_init(&r, 1, world);
	for (size_t i = 0; i < array_len(cases); i++) {
		char fault[128];
		snprintf(fault, sizeof(fault), "[{op: UpdateAlias, fault: %s}]", cases[i].fault);
		set_fault(&r, fault);
		assert_int_equal(rig_call(&r, "PUT", PROD, TO_2), cases[i].status);
		assert_int_equal(r.reply.fate, cases[i].fate);
		assert_int_equal(r.reply.applied, cases[i].applied);
		assert_true(serves(&r, cases[i].applied ? "2" : "1"));
		assert_int_equal(rig_call(&r, "PUT", PROD, TO_1), 200);
	}
	set_fault(&r, "[{op: UpdateAlias, fault: delay, delay: 5s}]");
	assert_int_equal(rig_call(&r, "PUT", PROD, TO_2), 200);
	assert_int_equal(r.reply.delay_ms, 5000);
	assert_true(serves(&r, "2"));
	rig_deinit(&r);
}

static void test_late_requests_keep_their_order(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, 1, world);
	set_fault(&r, "[{op: UpdateAlias, fault: late, delay: 30s}]");
	rig_call(&r, "PUT", PROD, TO_2);
	assert_int_equal(r.reply.fate, WORLD_SILENCE);
	assert_false(r.reply.applied);
	rig_call(&r, "PUT", PROD, TO_1);
	rig_advance(&r, 10000);
	set_fault(&r, "[{op: UpdateAlias, fault: late, delay: 10s}]");
	rig_call(&r, "PUT", PROD, TO_2);
	assert_true(world_next_ms(r.w) == RIG_START_MS + 20000);
	rig_advance(&r, 9999);
	assert_true(serves(&r, "1"));
	rig_advance(&r, 1);
	assert_true(serves(&r, "2"));
	/* At 30 s the first two, in the order in which they were sent. */
	rig_advance(&r, 10000);
	assert_true(serves(&r, "1"));
	assert_int_equal(rig_call(&r, "GET", "/_localaws/counters", NULL), 200);
	json_t *log = json_object_get(r.body, "alias_changes");
	assert_int_equal(json_array_size(log), 4);
	for (size_t i = 1; i < 4; i++)
		assert_true(json_is_true(json_object_get(json_array_get(log, i), "late")));
	assert_true(world_next_ms(r.w) == INT64_MAX);
	rig_deinit(&r);
}

static json_t *call_at(const struct rig *r, size_t i)
{
	return json_array_get(json_object_get(r->body, "calls"), i);
}

static void test_calls_one_by_one(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, 1, world);
	set_fault(&r, "[{op: UpdateAlias, fault: throttle, nth: 1}]");
	rig_call(&r, "PUT", PROD, TO_2);
	rig_advance(&r, 1500);
	rig_call(&r, "GET", PROD, NULL);
	assert_int_equal(rig_call(&r, "GET", "/_localaws/calls", NULL), 200);
	assert_int_equal(json_integer_value(json_object_get(r.body, "calls_total")), 2);
	assert_string_equal(json_string_value(json_object_get(call_at(&r, 0), "operation")), "UpdateAlias");
	assert_string_equal(json_string_value(json_object_get(call_at(&r, 0), "outcome")), "throttled");
	assert_string_equal(json_string_value(json_object_get(call_at(&r, 1), "operation")), "GetAlias");
	assert_string_equal(json_string_value(json_object_get(call_at(&r, 1), "outcome")), "ok");
	assert_int_equal(json_integer_value(json_object_get(call_at(&r, 0), "time_ms")), RIG_START_MS);
	assert_int_equal(json_integer_value(json_object_get(call_at(&r, 1), "time_ms")), RIG_START_MS + 1500);
	/* The newest are kept. */
	for (size_t i = 0; i < CALL_LOG_MAX; i++)
		rig_call(&r, "GET", PROD, NULL);
	assert_int_equal(rig_call(&r, "GET", "/_localaws/calls", NULL), 200);
	assert_int_equal(json_integer_value(json_object_get(r.body, "calls_total")), CALL_LOG_MAX + 2);
	assert_int_equal(json_array_size(json_object_get(r.body, "calls")), CALL_LOG_MAX);
	assert_string_equal(json_string_value(json_object_get(call_at(&r, 0), "operation")), "GetAlias");
	rig_deinit(&r);
}

static void test_counting_of_calls(void **state)
{
	(void)state;
	static const struct {
		const char *fault;
		const char *outcomes; /* of ten calls: x struck */
	} cases[] = {
	    {"{op: GetAlias, fault: error500, nth: 2}", ".x........"},
	    {"{op: GetAlias, fault: error500, times: 3}", "xxx......."},
	    {"{op: GetAlias, fault: error500, from: 8}", ".......xxx"},
	    {"{op: GetAlias, fault: error500, from: 3, times: 1}", "..x......."},
	    {"{op: '*', fault: error500, times: 1}", "x........."},
	    {"{op: UpdateAlias, fault: error500}", ".........."},
	    {"{op: GetAlias, fault: error500, function: other}", ".........."},
	    {"{op: GetAlias, fault: error500, function: hello, alias: prod, times: 1}", "x........."},
	    {"{op: GetAlias, fault: error500, alias: test}", ".........."},
	    {"{op: GetAlias, fault: error500, nth: 3}, {op: GetAlias, fault: error503, nth: 5}",
	     "..x..x...."}, /* the second sees what the first lets pass */
	};
	struct rig r;
	rig_init(&r, 1, world);
	for (size_t i = 0; i < array_len(cases); i++) {
		char faults[256], outcomes[11] = "";
		snprintf(faults, sizeof(faults), "[%s]", cases[i].fault);
		set_fault(&r, faults);
		for (int k = 0; k < 10; k++)
			outcomes[k] = rig_call(&r, "GET", PROD, NULL) == 200 ? '.' : 'x';
		assert_string_equal(outcomes, cases[i].outcomes);
	}
	rig_deinit(&r);
}

static void test_rates(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, 1, "functions: {hello: {versions: {1: {}}, aliases: {prod: {version: 1}}}}\n");
	int good = 0;
	/* Two seconds of 100 calls each: 15 saved up, then 15 a second. */
	for (int i = 0; i < 200; i++) {
		good += rig_call(&r, "GET", PROD, NULL) == 200;
		rig_advance(&r, 10);
	}
	assert_in_range(good, 44, 46);
	for (int i = 0; i < 100; i++)
		assert_int_equal(rig_call(&r, "GET", "/2015-03-31/functions/hello", NULL), 200);
	assert_int_equal(rig_call(&r, "GET", "/2015-03-31/functions/hello", NULL), 429);
	assert_string_equal(rig_text(&r, "Reason"), "CallerRateLimitExceeded");
	assert_int_equal(rig_call(&r, "PUT", "/_localaws/limits", "{get_function: 0}"), 200);
	assert_int_equal(rig_call(&r, "GET", "/2015-03-31/functions/hello", NULL), 200);
	rig_deinit(&r);
}

static void test_virtual_clock(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, 1, world);
	assert_int_equal(rig_call(&r, "PUT", "/_localaws/clock", "{advance: 1s}"), 400);
	assert_int_equal(rig_call(&r, "PUT", "/_localaws/clock", "{mode: virtual}"), 200);
	rig_advance(&r, 50000);
	assert_true(world_time_ms(r.w) == RIG_START_MS);
	assert_int_equal(rig_call(&r, "PUT", "/_localaws/clock", "{advance: 90s}"), 200);
	assert_true(world_time_ms(r.w) == RIG_START_MS + 90000);
	assert_int_equal(rig_call(&r, "PUT", "/_localaws/clock", "{mode: real}"), 200);
	/* Never back: it waits for the real one to catch up. */
	rig_advance(&r, 10000);
	assert_true(world_time_ms(r.w) == RIG_START_MS + 90000);
	rig_advance(&r, 40000);
	assert_true(world_time_ms(r.w) == RIG_START_MS + 100000);
	rig_deinit(&r);
}

static int signed_call(struct rig *r, struct sigv4_signer *s, const char *secret, const char *token,
		       const char *service, int64_t off_ms)
{
	struct arena *a cleanup(arena_free_p) = arena_new();
	struct aws_credentials keys = {.access_key_id = (char *)"me",
				       .secret_access_key = (char *)secret,
				       .session_token = (char *)token,
				       .expires_unix_ms = INT64_MAX};
	struct http_request request = {
	    .method = "GET", .scheme = "http", .host = "localhost", .path = PROD, .query = ""};
	const struct sigv4_scope scope = {
	    .region = "eu-central-1", .service = service, .unix_ms = r->now.unix_ms + off_ms, .normalize_path = true};
	assert_int_equal(sigv4_sign(s, &keys, &scope, &request, a), 0);
	http_request_add_header(&request, "Host", "localhost");
	return rig_request(r, &request);
}

static void test_signatures(void **state)
{
	(void)state;
	struct rig r;
	struct sigv4_signer *s = sigv4_signer_new();
	rig_init(&r, 1, world);
	world_require_signatures(r.w, true);
	world_add_key(r.w, "me", "secret", NULL);
	assert_int_equal(rig_call(&r, "GET", PROD, NULL), 403);
	assert_string_equal(rig_error(&r), "MissingAuthenticationTokenException");
	assert_int_equal(signed_call(&r, s, "secret", NULL, "lambda", 0), 200);
	assert_non_null(strstr(rig_text(&r, "AliasArn"), ":eu-central-1:"));
	assert_int_equal(signed_call(&r, s, "secrets", NULL, "lambda", 0), 403);
	assert_string_equal(rig_error(&r), "InvalidSignatureException");
	assert_int_equal(signed_call(&r, s, "secret", NULL, "lambda", -MS_PER_HOUR), 403);
	assert_non_null(strstr(rig_text(&r, "message"), "Signature expired"));
	assert_int_equal(signed_call(&r, s, "secret", NULL, "s3", 0), 404);
	assert_int_equal(rig_call(&r, "PUT", "/_localaws/keys", "[{id: me, secret: secret, token: abc}]"), 200);
	assert_int_equal(signed_call(&r, s, "secret", "abd", "lambda", 0), 403);
	assert_int_equal(signed_call(&r, s, "secret", "abc", "lambda", 0), 200);
	assert_int_equal(rig_call(&r, "PUT", "/_localaws/keys", "[{id: me, expired: true}]"), 200);
	assert_int_equal(signed_call(&r, s, "secret", "abc", "lambda", 0), 403);
	assert_string_equal(rig_error(&r), "ExpiredTokenException");
	/* Signatures go by the caller's clock, also while the world stands still. */
	assert_int_equal(rig_call(&r, "PUT", "/_localaws/clock", "{mode: virtual}"), 200);
	assert_int_equal(rig_call(&r, "PUT", "/_localaws/keys", "[{id: me, secret: secret}]"), 200);
	rig_advance(&r, MS_PER_HOUR);
	assert_int_equal(signed_call(&r, s, "secret", NULL, "lambda", 0), 200);
	sigv4_signer_free(s);
	rig_deinit(&r);
}

static void test_admin_is_off_at_first(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, 1, world);
	world_serve_admin(r.w, false);
	assert_int_equal(rig_call(&r, "PUT", "/_localaws/reset", "{what: all}"), 404);
	rig_deinit(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_fates),
	    cmocka_unit_test(test_late_requests_keep_their_order),
	    cmocka_unit_test(test_calls_one_by_one),
	    cmocka_unit_test(test_counting_of_calls),
	    cmocka_unit_test(test_rates),
	    cmocka_unit_test(test_virtual_clock),
	    cmocka_unit_test(test_signatures),
	    cmocka_unit_test(test_admin_is_off_at_first),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
