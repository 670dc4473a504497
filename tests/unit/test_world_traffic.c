/* Traffic and the metrics that come of it. */
#include "world_rig.h"

#define HALF "hello:half"

static const char world[] = "functions:\n"
			    "  hello:\n"
			    "    versions:\n"
			    "      1: {latency: {median: 20ms, p99: 80ms}}\n"
			    "      2: {latency: 40ms, error_rate: 25%}\n"
			    "      3: {error_rate: 1, init: 500ms, init_requests: 5}\n"
			    "    aliases: {half: {version: 1, weights: {2: 50%}}, three: {version: 3}}\n"
			    "traffic:\n"
			    "  - {function: hello, alias: half, rps: 100, arrival: even, users: 200}\n"
			    "  - {function: hello, alias: three, rps: 10, arrival: even}\n";

static void test_same_seed_same_world(void **state)
{
	(void)state;
	char *dumps[3];
	/* However the time is cut into pieces, and however often somebody looks. */
	for (int run = 0; run < 3; run++) {
		struct rig r;
		rig_init(&r, run == 2 ? 8 : 7, world);
		if (run != 1)
			rig_advance(&r, 90000);
		for (int i = 0; run == 1 && i < 900; i++) {
			rig_advance(&r, 100);
			if (i % 50 == 0)
				assert_int_equal(rig_call(&r, "GET", "/_localaws/state", NULL), 200);
		}
		assert_int_equal(rig_call(&r, "GET", "/_localaws/counters", NULL), 200);
		dumps[run] = json_dumps(json_object_get(r.body, "functions"), JSON_SORT_KEYS);
		rig_deinit(&r);
	}
	assert_string_equal(dumps[0], dumps[1]);
	assert_string_not_equal(dumps[0], dumps[2]);
	for (int run = 0; run < 3; run++)
		free(dumps[run]);
}

static void test_published_after_the_delay(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, 7, world);
	rig_advance(&r, 119999);
	assert_int_equal(json_array_size(rig_values(&r, "Invocations", "Sum", HALF, NULL)), 0);
	rig_advance(&r, 1);
	/* The first slice is the one that begins after the start. */
	assert_true(rig_value(&r, 0, "Invocations", HALF, NULL) == 5990);
	rig_advance(&r, 60000);
	assert_true(rig_value(&r, 1, "Invocations", HALF, NULL) == 6000);
	rig_deinit(&r);
}

static void test_versions_and_dimensions(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, 7, world);
	rig_advance(&r, 180000);
	double one = rig_value(&r, 1, "Invocations", HALF, "1"), two = rig_value(&r, 1, "Invocations", HALF, "2");
	double errors = rig_value(&r, 1, "Errors", HALF, "2");
	assert_true(one + two == 6000);
	assert_true(two > 2800 && two < 3200);
	assert_true(errors > two / 5 && errors < two / 3);
	assert_true(rig_value(&r, 1, "Errors", HALF, NULL) == errors);
	/* Without errors, zero is published; without requests, nothing. */
	assert_int_equal(json_array_size(rig_values(&r, "Errors", "Sum", HALF, "1")), 2);
	assert_true(rig_value(&r, 1, "Errors", HALF, "1") == 0);
	assert_int_equal(json_array_size(rig_values(&r, "Errors", "Sum", HALF, "3")), 0);
	/* Only weighted aliases have ExecutedVersion; only exact sets are found. */
	assert_int_equal(json_array_size(rig_values(&r, "Invocations", "Sum", "hello:three", "3")), 0);
	assert_int_equal(json_array_size(rig_values(&r, "Invocations", "Sum", NULL, "1")), 0);
	assert_true(rig_value(&r, 1, "Invocations", NULL, NULL) == 6600);
	assert_true(rig_value(&r, 1, "Duration", HALF, "2") == 40 * two);
	assert_true(json_number_value(json_array_get(rig_values(&r, "Duration", "p99", HALF, "2"), 1)) == 40);
	double p99 = json_number_value(json_array_get(rig_values(&r, "Duration", "p99", HALF, "1"), 1));
	assert_true(p99 > 65 && p99 < 95);
	rig_deinit(&r);
}

static void test_weights_count_from_the_instant_of_their_change(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, 7, world);
	rig_advance(&r, 60000);
	json_int_t before = rig_usage(&r, "2", "requests");
	assert_true(before > 0);
	assert_int_equal(rig_call(&r, "PUT", "/2015-03-31/functions/hello/aliases/half",
				  "{\"RoutingConfig\":{\"AdditionalVersionWeights\":{}}}"),
			 200);
	rig_advance(&r, 60000);
	assert_int_equal(rig_usage(&r, "2", "requests"), before);
	assert_int_equal(rig_usage(&r, "2", "last_ms"), RIG_START_MS + 60000);
	/* The series with ExecutedVersion ends with the weights. */
	rig_advance(&r, 60000);
	assert_int_equal(json_array_size(rig_values(&r, "Invocations", "Sum", HALF, "1")), 2);
	assert_int_equal(json_array_size(rig_values(&r, "Invocations", "Sum", HALF, NULL)), 2);
	assert_true(rig_value(&r, 1, "Invocations", HALF, "1") < 20);
	rig_deinit(&r);
}

static void test_errors_begin_later(void **state)
{
	(void)state;
	static const struct {
		const char *version;
		int64_t after_ms; /* at 10 requests a second */
	} cases[] = {{"{errors_after_requests: 100, errors_after: 30s}", 30000},
		     {"{errors_after_requests: 400, errors_after: 30s}", 40000},
		     {"{errors_after_requests: 0, errors_after: 0s}", 0}};
	for (size_t i = 0; i < array_len(cases); i++) {
		struct rig r;
		rig_init(&r, 7, world);
		assert_int_equal(rig_call(&r, "PUT", "/_localaws/functions/hello/versions/3", cases[i].version), 200);
		rig_advance(&r, 60000);
		json_int_t first = rig_usage(&r, "3", "first_error_ms"), began = rig_usage(&r, "3", "first_ms");
		assert_in_range(first - began, cases[i].after_ms, cases[i].after_ms + 200);
		assert_in_range(rig_usage(&r, "3", "errors"), 595 - cases[i].after_ms / 100,
				600 - cases[i].after_ms / 100);
		rig_deinit(&r);
	}
}

static void test_a_new_version_starts_slowly(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, 7, world);
	rig_advance(&r, 180000);
	double first = json_number_value(json_array_get(rig_values(&r, "Duration", "Maximum", "hello:three", NULL), 0));
	double second =
	    json_number_value(json_array_get(rig_values(&r, "Duration", "Maximum", "hello:three", NULL), 1));
	assert_true(first > 500 && second < 500);
	rig_deinit(&r);
}

static void test_late_reports_change_a_period(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, 7, world);
	assert_int_equal(rig_call(&r, "PUT", "/_localaws/metrics", "late: {share: 20%, by: 2m}"), 200);
	rig_advance(&r, 180000);
	double before = rig_value(&r, 1, "Invocations", HALF, NULL);
	assert_true(before > 4500 && before < 5100);
	rig_advance(&r, 119999);
	assert_true(rig_value(&r, 1, "Invocations", HALF, NULL) == before);
	rig_advance(&r, 1);
	assert_true(rig_value(&r, 1, "Invocations", HALF, NULL) == 6000);
	rig_deinit(&r);
}

static void test_poisson_has_the_right_mean(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, 7,
		 "functions: {hello: {versions: {1: {}}, aliases: {a: {version: 1}}}}\n"
		 "traffic: [{function: hello, alias: a, rps: 500, users: 10}]\n");
	rig_advance(&r, 100000);
	/* 50,000 expected; five standard deviations are 1,118. */
	assert_in_range(rig_usage(&r, "1", "requests"), 48880, 51120);
	assert_int_equal(rig_usage(&r, "1", "users"), 10);
	rig_deinit(&r);
}

static void test_users_that_met_errors(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, 7, world);
	rig_advance(&r, 500);
	json_int_t met = rig_usage(&r, "2", "users"), hurt = rig_usage(&r, "2", "users_with_errors");
	assert_true(met > 0 && met <= rig_usage(&r, "2", "requests"));
	assert_true(hurt <= met && hurt <= rig_usage(&r, "2", "errors"));
	rig_advance(&r, 60000);
	assert_int_equal(rig_usage(&r, "2", "users"), 200);
	assert_int_equal(rig_usage(&r, "1", "users_with_errors"), 0);
	rig_deinit(&r);
}

static void test_invokes_are_counted_alike(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, 7,
		 "functions: {hello: {versions: {1: {body: hi}, 2: {error_rate: 1}}, aliases: {half: {version: 1, "
		 "weights: {2: 0.5}}}}}\nlimits: off\n");
	int failed = 0;
	for (int i = 0; i < 400; i++) {
		struct http_request request = {
		    .method = "POST", .path = "/2015-03-31/functions/hello/invocations", .query = "Qualifier=half"};
		assert_int_equal(rig_request(&r, &request), 200);
		const struct http_response *a = &r.reply.response;
		const char *version = http_header_find(a->headers, a->n_headers, "x-amz-executed-version");
		bool error = http_header_find(a->headers, a->n_headers, "x-amz-function-error") != NULL;
		assert_string_equal(version, error ? "2" : "1");
		assert_true(r.reply.delay_ms > 0);
		failed += error;
	}
	assert_in_range(failed, 140, 260);
	assert_int_equal(rig_usage(&r, "2", "errors"), failed);
	rig_advance(&r, 120000);
	assert_true(rig_value(&r, 0, "Errors", HALF, "2") == failed);
	assert_true(rig_value(&r, 0, "Invocations", HALF, NULL) == 400);
	rig_deinit(&r);
}

static void test_a_jump_of_the_clock(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, 7,
		 "functions: {hello: {versions: {1: {}}, aliases: {a: {version: 1}}}}\n"
		 "traffic: [{function: hello, alias: a, rps: 1, arrival: even}]\n");
	rig_advance(&r, 365 * MS_PER_DAY);
	/* Seven days of traffic, and not a year's. */
	assert_in_range(rig_usage(&r, "1", "requests"), 604000, 605000);
	int64_t before = world_time_ms(r.w);
	r.now.unix_ms -= MS_PER_DAY;
	world_advance(r.w, r.now);
	assert_true(world_time_ms(r.w) == before);
	rig_deinit(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_same_seed_same_world),
	    cmocka_unit_test(test_published_after_the_delay),
	    cmocka_unit_test(test_versions_and_dimensions),
	    cmocka_unit_test(test_weights_count_from_the_instant_of_their_change),
	    cmocka_unit_test(test_errors_begin_later),
	    cmocka_unit_test(test_a_new_version_starts_slowly),
	    cmocka_unit_test(test_late_reports_change_a_period),
	    cmocka_unit_test(test_poisson_has_the_right_mean),
	    cmocka_unit_test(test_users_that_met_errors),
	    cmocka_unit_test(test_invokes_are_counted_alike),
	    cmocka_unit_test(test_a_jump_of_the_clock),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
