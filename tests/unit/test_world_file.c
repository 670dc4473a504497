/* World files: what is wrong, and where; and the admin API, which takes their parts. */
#include "world_rig.h"

/* The diagnostics of a bad file, formatted. */
static void expect_errors(const char *text, const char *errors)
{
	struct world *w = world_new(1);
	struct diags *diags = mem_alloc(sizeof(*diags));
	struct buf out = BUF_INIT(64 * 1024);
	assert_int_equal(world_load(w, text, strlen(text), (struct instant){.unix_ms = RIG_START_MS}, diags), 1);
	diags_format(diags, "w", &out);
	assert_string_equal(buf_text(&out), errors);
	buf_deinit(&out);
	diags_deinit(diags);
	free(diags);
	world_free(w);
}

static void test_all_errors_at_once(void **state)
{
	(void)state;
	expect_errors(
	    "functions:\n"
	    "  hello:\n"
	    "    versions:\n"
	    "      1: {body: x, eror_rate: 5%}\n"
	    "      2: {latency: soon}\n"
	    "metrics: {delay: -1s}\n"
	    "faults:\n"
	    "  - {op: UpdateAlias, fault: explode}\n"
	    "trafic: []\n",
	    "w:4:20: error: `eror_rate` is not a key of a version; did you mean `error_rate`?\n"
	    "w:5:20: error: `latency` is `soon`; it should be a duration such as 250ms, 90s or 1h30m, at most 1h\n"
	    "w:6:18: error: `delay` is `-1s`; it should be a duration such as 250ms, 90s or 1h30m, at most 1d\n"
	    "w:8:30: error: `fault` is `explode`; it should be one of throttle, error500, error503, access_denied, "
	    "lost_before, lost_after, late, twice, delay, garbage, html, truncated, reset, stale, metrics_missing, "
	    "metrics_partial, metrics_error and metrics_delay\n"
	    "w:9:1: error: `trafic` is not a key of a world file; did you mean `traffic`?\n");
}

static void test_each_error(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *error; /* begins so */
	} cases[] = {
	    {"[]", "w:1:1: error: this is a list; it should be a mapping"},
	    {"functions: []", "w:1:12: error: `functions` must be a mapping"},
	    {"functions: {'a b': {}}", "w:1:13: error: `a b` is no name for a function"},
	    {"functions: {a: {versions: {x: {}}}}", "w:1:28: error: a version is named by its number"},
	    {"functions: {a: {versions: [1]}}", "w:1:27: error: `versions` must be a mapping"},
	    {"functions: {a: {aliases: {p: {}}}}", "w:1:30: error: an alias needs `version`"},
	    {"functions: {a: {aliases: {p: {version: 1}}}}", "w:1:40: error: function a has no version `1`"},
	    {"functions: {a: {aliases: {'7': {version: $LATEST}}}}", "w:1:27: error: `7` is no name for an alias"},
	    {"functions: {a: {versions: {1: {}}, aliases: {p: {version: 1, weights: {1: 5%}}}}}",
	     "w:1:75: error: `weights` must name a version of a other than the alias's own"},
	    {"functions: {a: {versions: {1: {}, 2: {}}, aliases: {p: {version: 1, weights: {2: 120%}}}}}",
	     "w:1:82: error: `2` is `120%`; it should be a share"},
	    {"functions: {a: {versions: {1: {latency: {median: 2s, p99: 1s}}}}}", "w:1:41: error: `p99` is less"},
	    {"functions: {a: {copies: 0}}", "w:1:25: error: `copies` is `0`; it should be a whole number from 1 to"},
	    {"traffic: [{function: a, rps: 1}]", "w:1:11: error: traffic needs `alias`"},
	    {"traffic: [{function: a, alias: p, rps: 1}]", "w:1:11: error: there is no function a with an alias `p`"},
	    {"traffic: [{function: a, alias: p, rps: -1}]",
	     "w:1:40: error: `rps` is `-1`; it should be a number from 0"},
	    {"traffic: [{function: a, alias: p, rps: inf}]", "w:1:40: error: `rps` is `inf`"},
	    {"traffic: [{function: a, alias: p, rps: 0x10}]", "w:1:40: error: `rps` is `0x10`"},
	    {"metrics: {period: 1500ms}", "w:1:19: error: `period` must be whole seconds"},
	    {"metrics: {executed_version: never}", "w:1:29: error: `executed_version` is `never`; it should be one of"},
	    {"limits: {lambda: 3}", "w:1:10: error: `lambda` is not a key of limits"},
	    {"faults: {op: Invoke}", "w:1:9: error: `faults` is a mapping; it should be a list of faults"},
	    {"faults: [{op: Invoke}]", "w:1:10: error: a fault needs `fault`"},
	    {"faults: [{fault: throttle}]", "w:1:10: error: a fault needs `op`"},
	    {"faults: [{op: Invoke, fault: stale}]", "w:1:15: error: `stale` is a fault of GetAlias alone"},
	    {"faults: [{op: invoke, fault: throttle}]", "w:1:15: error: `op` is `invoke`; it should be one of"},
	    {"alarms: [{state: OK}]", "w:1:10: error: an alarm needs `name`"},
	    {"keys: [{id: a}]", "w:1:8: error: a key needs `id` and `secret`"},
	    {"clock: fast", "w:1:8: error: `clock` is `fast`; it should be one of real and virtual"},
	    {"invoke_delay: 'true'", "w:1:15: error: `invoke_delay` is `true`; it should be true or false"},
	    {"seed: many", "w:1:7: error: `seed` is `many`; it should be a whole number"},
	    {"a: &b 1", "w:1:4: error: "},
	    {"- [", "w:"},
	};
	for (size_t i = 0; i < array_len(cases); i++) {
		struct world *w = world_new(1);
		struct diags *diags = mem_alloc(sizeof(*diags));
		struct buf out = BUF_INIT(64 * 1024);
		const char *text = cases[i].text;
		assert_int_equal(world_load(w, text, strlen(text), (struct instant){.unix_ms = 1}, diags), 1);
		diags_format(diags, "w", &out);
		if (strncmp(buf_text(&out), cases[i].error, strlen(cases[i].error)) != 0)
			assert_string_equal(buf_text(&out), cases[i].error);
		buf_deinit(&out);
		diags_deinit(diags);
		free(diags);
		world_free(w);
	}
}

static void test_copies_and_patterns(void **state)
{
	(void)state;
	struct rig r;
	rig_init(
	    &r, 1,
	    "functions: {bench: {copies: 300, versions: {1: {}, 2: {}}, aliases: {live: {version: 1}}}, other: {}}\n"
	    "traffic: [{function: bench-*, alias: live, rps: 1, arrival: even}]\nlimits: off\n");
	assert_int_equal(rig_call(&r, "GET", "/_localaws/traffic", NULL), 200);
	assert_int_equal(json_array_size(r.body), 300);
	assert_int_equal(rig_call(&r, "GET", "/2015-03-31/functions/bench-0/aliases/live", NULL), 200);
	assert_int_equal(rig_call(&r, "GET", "/2015-03-31/functions/bench-299/aliases/live", NULL), 200);
	assert_int_equal(rig_call(&r, "GET", "/2015-03-31/functions/bench-300/aliases/live", NULL), 404);
	rig_advance(&r, 10000);
	assert_int_equal(rig_call(&r, "GET", "/_localaws/counters", NULL), 200);
	json_t *bench = json_object_get(json_object_get(r.body, "functions"), "bench-7");
	json_t *one = json_object_get(json_object_get(bench, "versions"), "1");
	assert_in_range(json_integer_value(json_object_get(one, "requests")), 9, 10);
	rig_deinit(&r);
}

static void test_seed_of_the_command_line_wins(void **state)
{
	(void)state;
	static const char text[] = "seed: 99\nfunctions: {hello: {versions: {1: {}}, aliases: {prod: {version: 1}}}}\n";
	char revisions[3][64];
	for (int i = 0; i < 3; i++) {
		struct world *w = world_new(i == 0 ? 5 : 6);
		struct diags *diags = mem_alloc(sizeof(*diags));
		if (i == 2)
			world_fix_seed(w);
		assert_int_equal(world_load(w, text, strlen(text), (struct instant){.unix_ms = 1}, diags), 0);
		struct rig r = {.w = w, .now = {.unix_ms = 1}};
		world_require_signatures(w, false);
		assert_int_equal(rig_call(&r, "GET", PROD, NULL), 200);
		text_copy(revisions[i], sizeof(revisions[i]), rig_text(&r, "RevisionId"));
		free(diags);
		rig_deinit(&r);
	}
	assert_string_equal(revisions[0], revisions[1]);
	assert_string_not_equal(revisions[1], revisions[2]);
}

static void test_bad_parts_change_nothing(void **state)
{
	(void)state;
	static const struct {
		const char *part;
		const char *body;
	} cases[] = {
	    {"faults", "[{op: Invoke, fault: throttle}, {op: Invoke, fault: nothing}]"},
	    {"metrics", "{delay: 5s, period: 100ms}"},
	    {"limits", "{invoke: 3, get_function: no}"},
	    {"traffic", "[{function: hello, alias: prod, rps: 9}, {function: hello, alias: none, rps: 1}]"},
	    {"alarms", "[{name: a, state: OK}, {name: b, state: SAD}]"},
	    {"keys", "[{id: a, secret: b}, {id: c}]"},
	    {"clock", "{mode: virtual, speed: 3}"},
	    {"reset", "{what: all, really: true}"},
	    {"functions/hello/versions/1", "{error_rate: 1, body: [x]}"},
	    {"functions/hello/aliases/prod", "{version: 2, weigths: {1: 1}}"},
	    {"world", "{functions: 5}"},
	};
	struct rig r;
	rig_init(&r, 1,
		 "functions: {hello: {versions: {1: {}, 2: {}}, aliases: {prod: {version: 1}}}}\n"
		 "faults: [{op: GetAlias, fault: throttle, nth: 99}]\n");
	assert_int_equal(rig_call(&r, "GET", "/_localaws/state", NULL), 200);
	char *before = json_dumps(r.body, JSON_SORT_KEYS);
	for (size_t i = 0; i < array_len(cases); i++) {
		char path[128];
		snprintf(path, sizeof(path), "/_localaws/%s", cases[i].part);
		assert_int_equal(rig_call(&r, "PUT", path, cases[i].body), 400);
		assert_true(json_array_size(json_object_get(r.body, "errors")) > 0);
	}
	assert_int_equal(rig_call(&r, "GET", "/_localaws/state", NULL), 200);
	char *after = json_dumps(r.body, JSON_SORT_KEYS);
	assert_string_equal(before, after);
	free(before);
	free(after);
	rig_deinit(&r);
}

static void test_reset_brings_the_file_back(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, 1,
		 "functions: {hello: {versions: {1: {}, 2: {}}, aliases: {prod: {version: 1}}}}\n"
		 "traffic: [{function: hello, alias: prod, rps: 10}]\nmetrics: {period: 1s, delay: 0s}\n");
	rig_advance(&r, 5000);
	assert_int_equal(rig_call(&r, "PUT", PROD, "{\"FunctionVersion\":\"2\"}"), 200);
	assert_int_equal(rig_call(&r, "PUT", "/_localaws/traffic", "[{function: hello, alias: prod, rps: 0}]"), 200);
	assert_int_equal(rig_call(&r, "PUT", "/_localaws/reset", ""), 200);
	assert_int_equal(rig_usage(&r, "1", "requests"), 0);
	assert_int_equal(rig_call(&r, "PUT", "/_localaws/reset", "what: all"), 200);
	assert_int_equal(json_array_size(rig_values(&r, "Invocations", "Sum", NULL, NULL)), 0);
	assert_int_equal(rig_call(&r, "GET", PROD, NULL), 200);
	assert_string_equal(rig_text(&r, "FunctionVersion"), "1");
	rig_advance(&r, 5000);
	assert_true(rig_usage(&r, "1", "requests") > 20);
	rig_deinit(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_all_errors_at_once),	     cmocka_unit_test(test_each_error),
	    cmocka_unit_test(test_copies_and_patterns),	     cmocka_unit_test(test_seed_of_the_command_line_wins),
	    cmocka_unit_test(test_bad_parts_change_nothing), cmocka_unit_test(test_reset_brings_the_file_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
