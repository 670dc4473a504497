/* The table of routes: parsing, refusing, and its agreement with docs/openapi.yaml. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include "base/macros.h"
#include "control/api.h"
#include "openapi.h"

struct pair {
	const char *key;
	const char *value;
};

static const char *find(void *ctx, const char *key)
{
	for (const struct pair *p = ctx; p && p->key; p++)
		if (strcmp(p->key, key) == 0)
			return p->value;
	return NULL;
}

static char error[256];

static int parse_all(const char *method, const char *path, const struct pair *query, const char *body,
		     struct control_request *ret)
{
	error[0] = '\0';
	return control_parse(method, path, find, (void *)query, body, body ? strlen(body) : 0, ret, error,
			     sizeof(error));
}

static int parse(const char *method, const char *path, struct control_request *ret)
{
	return parse_all(method, path, NULL, NULL, ret);
}

static void each_route_is_found(void **state)
{
	struct control_request r;
	size_t n;
	const struct control_entry *table = control_table(&n);

	(void)state;
	assert_true(n > 10);
	for (size_t i = 0; i < n; i++) {
		char path[128];
		const char *hole = strstr(table[i].path, "{name}");
		struct pair query[] = {{"name", "hello-prod"}, {NULL, NULL}};

		if (hole)
			snprintf(path, sizeof(path), "%.*shello-prod%s", (int)(hole - table[i].path), table[i].path,
				 hole + 6);
		else
			snprintf(path, sizeof(path), "%s", table[i].path);
		bool plan = strncmp(table[i].path, "/v1/plans", 9) == 0;
		assert_int_equal(parse_all(table[i].method, path, query, plan ? "kind: Rollout" : NULL, &r),
				 CONTROL_OK);
		assert_int_equal(r.route, table[i].route);
		if (r.route == CONTROL_COMMAND)
			assert_int_equal(r.command, table[i].command);
		if (hole)
			assert_string_equal(r.name, "hello-prod");

		/* The client builds the same path. */
		struct buf built = BUF_INIT(256);
		control_format_path(r.route, "hello-prod", hole ? strrchr(path, '/') + 1 : NULL, &built);
		assert_memory_equal(buf_text(&built), path, strlen(path));
		buf_deinit(&built);
	}
}

static void wrong_paths_and_methods(void **state)
{
	static const char *const paths[] = {"",
					    "/",
					    "/v1",
					    "/v2/rollouts",
					    "/v1/rollouts/",
					    "/v1/rollouts//pause",
					    "/v1/rollouts/a/explode",
					    "/v1/rollouts/a/pause/",
					    "/v1/rollouts/a/b/pause",
					    "/metricsx"};
	struct control_request r = {.limit = 77};

	(void)state;
	for (size_t i = 0; i < array_len(paths); i++) {
		assert_int_equal(parse("GET", paths[i], &r), CONTROL_NO_ROUTE);
		assert_true(error[0]);
	}
	assert_int_equal(parse("POST", "/v1/rollouts", &r), CONTROL_BAD_METHOD);
	assert_string_equal(error, "this path takes GET only");
	assert_int_equal(parse("GET", "/v1/rollouts/a/pause", &r), CONTROL_BAD_METHOD);
	assert_string_equal(error, "this path takes POST only");
	assert_int_equal(parse("get", "/v1/rollouts", &r), CONTROL_BAD_METHOD);
	assert_int_equal(r.limit, 77); /* nothing was written */
}

static void wrong_names(void **state)
{
	char path[256], name[LIMIT_NAME + 2];
	struct control_request r;

	(void)state;
	assert_int_equal(parse("GET", "/v1/rollouts/Hello", &r), CONTROL_BAD_REQUEST);
	assert_int_equal(parse("GET", "/v1/rollouts/..", &r), CONTROL_BAD_REQUEST);
	assert_int_equal(parse("POST", "/v1/rollouts/a%2fb/pause", &r), CONTROL_BAD_REQUEST);
	memset(name, 'a', sizeof(name));
	name[LIMIT_NAME + 1] = '\0';
	snprintf(path, sizeof(path), "/v1/rollouts/%s", name);
	assert_int_equal(parse("GET", path, &r), CONTROL_BAD_REQUEST);
	name[LIMIT_NAME] = '\0';
	snprintf(path, sizeof(path), "/v1/rollouts/%s", name);
	assert_int_equal(parse("GET", path, &r), CONTROL_OK);
	assert_string_equal(r.name, name);
}

static void names_of_services_rollouts(void **state)
{
	static const char *const good[] = {"a.b", "hello.prod", "hello.Prod_2-x", "h-1.0"};
	static const char *const bad[] = {".b", "a.", "a.b.c", "a.b/c", "a.$", "A.b", "a..b", "-a.b", "", "."};
	char name[CONTROL_NAME_SIZE + 1], path[300];
	struct control_request r;

	(void)state;
	for (size_t i = 0; i < array_len(good); i++)
		assert_true(control_is_name(good[i]));
	for (size_t i = 0; i < array_len(bad); i++)
		assert_false(control_is_name(bad[i]));
	/* The longest one, and one that is longer by one. */
	memset(name, 'a', sizeof(name));
	name[LIMIT_NAME] = '.';
	name[CONTROL_NAME_SIZE] = '\0';
	snprintf(path, sizeof(path), "/v1/rollouts/%s", name);
	assert_int_equal(parse("GET", path, &r), CONTROL_BAD_REQUEST);
	name[CONTROL_NAME_SIZE - 1] = '\0';
	snprintf(path, sizeof(path), "/v1/rollouts/%s", name);
	assert_int_equal(parse("GET", path, &r), CONTROL_OK);
	assert_string_equal(r.name, name);
}

static int command(const char *verb, const char *body, struct control_request *ret)
{
	char path[64];

	snprintf(path, sizeof(path), "/v1/rollouts/a/%s", verb);
	return parse_all("POST", path, NULL, body, ret);
}

static void bodies_of_commands(void **state)
{
	struct control_request r;

	(void)state;
	assert_int_equal(command("pause", "{\"reason\": \"why \\u001b[2J\", \"full\": false}", &r), CONTROL_OK);
	assert_string_equal(r.reason, "why ?[2J");
	assert_int_equal(r.command, COMMAND_PAUSE);
	assert_int_equal(command("pause", "{}", &r), CONTROL_OK);
	assert_string_equal(r.reason, "");
	assert_int_equal(command("promote", "{\"full\": true}", &r), CONTROL_OK);
	assert_int_equal(r.command, COMMAND_PROMOTE_FULL);
	assert_int_equal(command("retry", "{\"reason\": \"again\"}", &r), CONTROL_OK);
	assert_string_equal(r.reason, "again");
	assert_false(r.despite_alarms);
	assert_int_equal(command("retry", "{\"despite_alarms\": true, \"reason\": \"INC-7\"}", &r), CONTROL_OK);
	assert_true(r.despite_alarms);
	assert_int_equal(command("retry", "{\"despite_alarms\": false}", &r), CONTROL_OK);
	assert_false(r.despite_alarms);
}

static void wrong_bodies_of_commands(void **state)
{
	static const struct {
		const char *verb, *body, *error;
	} wrong[] = {
	    {"pause", "{", "not JSON"},
	    {"pause", "[]", "expected an object"},
	    {"pause", "{\"reason\": 1}", "'reason': expected a text"},
	    {"pause", "{\"raeson\": \"x\"}", "unknown key 'raeson'"},
	    {"pause", "{\"reason\": \"x\", \"reason\": \"y\"}", "duplicate"},
	    {"pause", "{\"full\": true}", "promote only"},
	    {"retry", "{\"full\": true}", "promote only"},
	    {"promote", "{\"full\": 1}", "expected true or false"},
	    {"retry", "{\"despite_alarms\": 1}", "'despite_alarms': expected true or false"},
	    {"retry", "{\"despite_alarms\": true}", "needs a 'reason'"},
	    {"retry", "{\"despite_alarms\": true, \"reason\": \"\"}", "needs a 'reason'"},
	    {"promote", "{\"despite_alarms\": true, \"reason\": \"x\"}", "retry only"},
	    {"rollback", "{\"despite_alarms\": true, \"reason\": \"x\"}", "retry only"},
	    {"pause", "{\"reason\": \"\\u0000\"}", "not JSON"},
	    {"pause", "{} {}", "not JSON"},
	};
	struct control_request r = {.limit = 77};
	char body[600];

	(void)state;
	for (size_t i = 0; i < array_len(wrong); i++) {
		assert_int_equal(command(wrong[i].verb, wrong[i].body, &r), CONTROL_BAD_REQUEST);
		if (!strstr(error, wrong[i].error))
			fail_msg("%s: got '%s'", wrong[i].body, error);
	}
	snprintf(body, sizeof(body), "{\"reason\": \"%0*d\"}", LIMIT_REASON, 0);
	assert_int_equal(command("pause", body, &r), CONTROL_BAD_REQUEST);
	assert_non_null(strstr(error, "too long: 256 bytes, at most 255"));
	snprintf(body, sizeof(body), "{\"reason\": \"%0*d\"}", LIMIT_REASON - 1, 0);
	assert_int_equal(r.limit, 77);
	assert_int_equal(command("pause", body, &r), CONTROL_OK);
}

static void plans_have_a_size(void **state)
{
	static char body[LIMIT_CONTROL_REQUEST_BYTES + 2];
	struct control_request r;

	(void)state;
	memset(body, '#', sizeof(body) - 1);
	assert_int_equal(parse("POST", "/v1/plans", &r), CONTROL_BAD_REQUEST);
	assert_int_equal(parse_all("POST", "/v1/plans", NULL, body, &r), CONTROL_BAD_REQUEST);
	assert_non_null(strstr(error, "too large"));
	body[LIMIT_PLAN_BYTES] = '\0';
	assert_int_equal(parse_all("POST", "/v1/plans", NULL, body, &r), CONTROL_OK);
}

static void arguments_of_events(void **state)
{
	struct pair all[] = {{"name", "a"}, {"after", "17"}, {"limit", "5"}, {"follow", "1"}, {NULL, NULL}};
	struct control_request r;

	(void)state;
	assert_int_equal(parse_all("GET", "/v1/events", all, NULL, &r), CONTROL_OK);
	assert_string_equal(r.name, "a");
	assert_int_equal(r.after, 17);
	assert_int_equal(r.limit, 5);
	assert_true(r.follow);

	assert_int_equal(parse("GET", "/v1/events", &r), CONTROL_OK);
	assert_string_equal(r.name, "");
	assert_int_equal(r.after, 0);
	assert_int_equal(r.limit, CONTROL_EVENTS_DEFAULT);
	assert_false(r.follow);
}

static void wrong_arguments(void **state)
{
	static const struct pair wrong[][2] = {
	    {{"name", "A"}, {NULL, NULL}},     {{"name", ""}, {NULL, NULL}},
	    {{"after", "-1"}, {NULL, NULL}},   {{"after", "x"}, {NULL, NULL}},
	    {{"limit", "0"}, {NULL, NULL}},    {{"limit", "1001"}, {NULL, NULL}},
	    {{"follow", "yes"}, {NULL, NULL}}, {{"after", "99999999999999999999"}, {NULL, NULL}},
	};
	struct pair history[] = {{"name", "a"}, {NULL, NULL}};
	struct control_request r;

	(void)state;
	for (size_t i = 0; i < array_len(wrong); i++)
		assert_int_equal(parse_all("GET", "/v1/events", wrong[i], NULL, &r), CONTROL_BAD_REQUEST);
	assert_int_equal(parse("GET", "/v1/history", &r), CONTROL_OK);
	assert_string_equal(r.name, "");
	assert_int_equal(parse_all("GET", "/v1/history", history, NULL, &r), CONTROL_OK);
	assert_int_equal(r.limit, CONTROL_HISTORY_DEFAULT);
}

static void attempts(void **state)
{
	struct pair third[] = {{"attempt", "3"}, {NULL, NULL}};
	static const struct pair wrong[][2] = {
	    {{"attempt", "0"}, {NULL, NULL}},
	    {{"attempt", "-1"}, {NULL, NULL}},
	    {{"attempt", "9223372036854775808"}, {NULL, NULL}},
	};
	struct control_request r;

	(void)state;
	assert_int_equal(parse("GET", "/v1/rollouts/hello.prod/record", &r), CONTROL_OK);
	assert_int_equal(r.route, CONTROL_RECORD);
	assert_string_equal(r.name, "hello.prod");
	assert_int_equal(r.attempt, 0);
	assert_int_equal(parse_all("GET", "/v1/rollouts/a/record", third, NULL, &r), CONTROL_OK);
	assert_int_equal(r.attempt, 3);
	for (size_t i = 0; i < array_len(wrong); i++)
		assert_int_equal(parse_all("GET", "/v1/rollouts/a/record", wrong[i], NULL, &r), CONTROL_BAD_REQUEST);
	assert_int_equal(parse("POST", "/v1/rollouts/a/record", &r), CONTROL_BAD_METHOD);
}

static void rights(void **state)
{
	size_t n;
	const struct control_entry *table = control_table(&n);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		bool looks = strcmp(table[i].method, "GET") == 0 || table[i].route == CONTROL_VALIDATE ||
			     table[i].route == CONTROL_DIFF || table[i].route == CONTROL_DOCTOR;
		assert_int_equal(control_route_may_change(table[i].route), !looks);
		assert_int_equal(control_route_submits(table[i].route), table[i].route == CONTROL_SUBMIT);
	}
}

static void paths_escape(void **state)
{
	struct buf b = BUF_INIT(256);

	(void)state;
	control_format_path(CONTROL_STATUS, "a/../b?c", NULL, &b);
	assert_string_equal(buf_text(&b), "/v1/rollouts/a%2F..%2Fb%3Fc");
	buf_reset(&b);
	control_format_path(CONTROL_HISTORY, "a&b", NULL, &b);
	assert_string_equal(buf_text(&b), "/v1/history?name=a%26b");
	buf_deinit(&b);
}

static void openapi_has_the_same_routes(void **state)
{
	struct openapi o;
	size_t n, described = 0;
	const struct control_entry *table = control_table(&n);

	(void)state;
	assert_true(openapi_open(&o));
	yaml_node_t *paths = openapi_get(&o, openapi_root(&o), "paths");
	for (size_t i = 0; i < n; i++) {
		char method[8];

		for (size_t k = 0; k <= strlen(table[i].method); k++)
			method[k] = (char)(table[i].method[k] | (table[i].method[k] ? 0x20 : 0));
		if (!openapi_get(&o, openapi_get(&o, openapi_get(&o, paths, table[i].path), method), "responses"))
			fail_msg("%s %s is not described", table[i].method, table[i].path);
	}
	for (yaml_node_pair_t *p = paths->data.mapping.pairs.start; p < paths->data.mapping.pairs.top; p++) {
		yaml_node_t *item = yaml_document_get_node(&o.doc, p->value);

		for (yaml_node_pair_t *m = item->data.mapping.pairs.start; m < item->data.mapping.pairs.top; m++)
			described += strcmp(openapi_text(yaml_document_get_node(&o.doc, m->key)), "parameters") != 0;
	}
	assert_int_equal(described, n);
	openapi_close(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_route_is_found),
	    cmocka_unit_test(wrong_paths_and_methods),
	    cmocka_unit_test(wrong_names),
	    cmocka_unit_test(names_of_services_rollouts),
	    cmocka_unit_test(bodies_of_commands),
	    cmocka_unit_test(wrong_bodies_of_commands),
	    cmocka_unit_test(plans_have_a_size),
	    cmocka_unit_test(arguments_of_events),
	    cmocka_unit_test(wrong_arguments),
	    cmocka_unit_test(rights),
	    cmocka_unit_test(paths_escape),
	    cmocka_unit_test(attempts),
	    cmocka_unit_test(openapi_has_the_same_routes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
