/* Provisioned concurrency, and versions and updates that take their time or come to nothing. */
#include "world_rig.h"

#define FUNCTION    "/2015-03-31/functions/hello"
#define PROVISIONED "/2019-09-30/functions/hello/provisioned-concurrency"
#define FIVE	    "{\"ProvisionedConcurrentExecutions\":5}"

#define VERSIONS                                                                                                       \
	"    versions: {1: {}, 2: {}, 3: {}}\n"                                                                        \
	"    aliases: {prod: {version: 1}, half: {version: 1, weights: {2: 50%}}, latest: {version: $LATEST}}\n"

static const char world[] = "limits: off\nprovision_time: 60s\nupdate_time: 10s\nfunctions:\n  hello:\n" VERSIONS;

static int ask(struct rig *r, const char *method, const char *path, const char *query, const char *body)
{
	struct http_request request = {.method = method, .path = path, .query = query, .body = body};
	return rig_request(r, &request);
}

static const char *provisioned_status(struct rig *r, const char *query)
{
	assert_int_equal(ask(r, "GET", PROVISIONED, query, NULL), 200);
	return rig_text(r, "Status");
}

static json_int_t number(const struct rig *r, const char *key)
{
	return json_integer_value(json_object_get(r->body, key));
}

/* The weight of a version of prod; -1: none. */
static double weight(struct rig *r, const char *version)
{
	assert_int_equal(rig_call(r, "GET", PROD, NULL), 200);
	json_t *weights = json_object_get(json_object_get(r->body, "RoutingConfig"), "AdditionalVersionWeights");
	json_t *value = json_object_get(weights, version);
	return value ? json_number_value(value) : -1;
}

static void test_ready_after_its_time(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, 1, world);
	assert_int_equal(ask(&r, "GET", PROVISIONED, "Qualifier=1", NULL), 404);
	assert_string_equal(rig_error(&r), "ProvisionedConcurrencyConfigNotFoundException");
	assert_int_equal(ask(&r, "PUT", PROVISIONED, "Qualifier=2", FIVE), 202);
	assert_string_equal(rig_text(&r, "Status"), "IN_PROGRESS");
	assert_int_equal(number(&r, "RequestedProvisionedConcurrentExecutions"), 5);
	assert_int_equal(number(&r, "AllocatedProvisionedConcurrentExecutions"), 0);
	assert_null(json_object_get(r.body, "StatusReason"));
	rig_advance(&r, 59999);
	assert_string_equal(provisioned_status(&r, "Qualifier=2"), "IN_PROGRESS");
	rig_advance(&r, 1);
	assert_string_equal(provisioned_status(&r, "Qualifier=2"), "READY");
	assert_int_equal(number(&r, "AvailableProvisionedConcurrentExecutions"), 5);
	assert_int_equal(number(&r, "AllocatedProvisionedConcurrentExecutions"), 5);

	assert_int_equal(ask(&r, "GET", PROVISIONED, "List=ALL", NULL), 200);
	json_t *list = json_object_get(r.body, "ProvisionedConcurrencyConfigs");
	assert_int_equal(json_array_size(list), 1);
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "FunctionArn")),
			    "arn:aws:lambda:us-east-1:123456789012:function:hello:2");
	assert_int_equal(ask(&r, "DELETE", PROVISIONED, "Qualifier=2", NULL), 204);
	assert_int_equal(ask(&r, "DELETE", PROVISIONED, "Qualifier=2", NULL), 204);
	assert_int_equal(ask(&r, "GET", PROVISIONED, "List=ALL", NULL), 200);
	assert_int_equal(json_array_size(json_object_get(r.body, "ProvisionedConcurrencyConfigs")), 0);
	rig_deinit(&r);
}

static void test_what_put_refuses(void **state)
{
	(void)state;
	static const struct {
		const char *query, *body;
		int status;
		const char *code;
	} cases[] = {
	    {"Qualifier=$LATEST", FIVE, 400, "InvalidParameterValueException"},
	    {"", FIVE, 400, "InvalidParameterValueException"},
	    {"Qualifier=latest", FIVE, 400, "InvalidParameterValueException"},
	    {"Qualifier=half", FIVE, 400, "InvalidParameterValueException"},
	    {"Qualifier=none", FIVE, 404, "ResourceNotFoundException"},
	    {"Qualifier=9", FIVE, 404, "ResourceNotFoundException"},
	    {"Qualifier=1", "{\"ProvisionedConcurrentExecutions\":0}", 400, "ValidationException"},
	    {"Qualifier=1", "{}", 400, "ValidationException"},
	    {"Qualifier=1", "{\"ProvisionedConcurrentExecutions\":1001}", 400, "InvalidParameterValueException"},
	    {"Qualifier=1", "{\"ProvisionedConcurrentExecutions\":901}", 400, "InvalidParameterValueException"},
	};
	struct rig r;
	rig_init(&r, 1, world);
	for (size_t i = 0; i < array_len(cases); i++) {
		int status = ask(&r, "PUT", PROVISIONED, cases[i].query, cases[i].body);
		assert_string_equal(rig_error(&r), cases[i].code);
		assert_int_equal(status, cases[i].status);
	}
	/* 900 fit, and what a configuration has already counts once. */
	for (int i = 0; i < 2; i++)
		assert_int_equal(
		    ask(&r, "PUT", PROVISIONED, "Qualifier=3", "{\"ProvisionedConcurrentExecutions\":900}"), 202);
	assert_int_equal(ask(&r, "PUT", PROVISIONED, "Qualifier=1", FIVE), 400);
	rig_deinit(&r);
}

static void test_a_version_is_provisioned_once(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, 1, world);
	assert_int_equal(ask(&r, "PUT", PROVISIONED, "Qualifier=1", FIVE), 202);
	assert_int_equal(ask(&r, "PUT", PROVISIONED, "Qualifier=prod", FIVE), 409);
	assert_int_equal(ask(&r, "DELETE", PROVISIONED, "Qualifier=1", NULL), 204);
	assert_int_equal(ask(&r, "PUT", PROVISIONED, "Qualifier=prod", FIVE), 202);
	assert_int_equal(ask(&r, "PUT", PROVISIONED, "Qualifier=1", FIVE), 409);
	assert_int_equal(ask(&r, "PUT", PROVISIONED, "Qualifier=2", FIVE), 202);
	/* The alias may not come to a version that has its own, nor may it be given weights. */
	assert_int_equal(rig_call(&r, "PUT", PROD, "{\"FunctionVersion\":\"2\"}"), 409);
	assert_int_equal(rig_call(&r, "PUT", PROD, "{\"RoutingConfig\":{\"AdditionalVersionWeights\":{\"2\":0.1}}}"),
			 400);
	assert_non_null(strstr(r.reply.response.body, "Alias with weights can not be used with Provisioned"));
	assert_int_equal(ask(&r, "PUT", PROVISIONED, "Qualifier=3", FIVE), 202);
	assert_int_equal(ask(&r, "DELETE", FUNCTION, "Qualifier=3", NULL), 409);
	assert_int_equal(ask(&r, "DELETE", PROVISIONED, "Qualifier=3", NULL), 204);
	assert_int_equal(ask(&r, "DELETE", FUNCTION, "Qualifier=3", NULL), 204);
	/* With the alias goes its configuration. */
	assert_int_equal(rig_call(&r, "DELETE", PROD, NULL), 204);
	const char *again = "{\"Name\":\"prod\",\"FunctionVersion\":\"1\"}";
	assert_int_equal(rig_call(&r, "POST", FUNCTION "/aliases", again), 201);
	assert_int_equal(ask(&r, "GET", PROVISIONED, "Qualifier=prod", NULL), 404);
	assert_int_equal(ask(&r, "PUT", PROVISIONED, "Qualifier=1", FIVE), 202);
	rig_deinit(&r);
}

static void test_moves_with_its_alias(void **state)
{
	(void)state;
	struct rig r;
	char answered[64], moving[64];
	rig_init(&r, 1, world);
	assert_int_equal(ask(&r, "PUT", PROVISIONED, "Qualifier=prod", FIVE), 202);
	rig_advance(&r, 60000);
	assert_string_equal(provisioned_status(&r, "Qualifier=prod"), "READY");
	assert_int_equal(rig_call(&r, "PUT", PROD, "{\"FunctionVersion\":\"2\"}"), 200);
	assert_true(json_is_null(json_object_get(r.body, "RoutingConfig")));
	text_copy(answered, sizeof(answered), rig_text(&r, "RevisionId"));
	/* The old version serves all until the new one is provisioned. */
	assert_true(weight(&r, "1") == 1);
	assert_string_equal(rig_text(&r, "FunctionVersion"), "2");
	text_copy(moving, sizeof(moving), rig_text(&r, "RevisionId"));
	assert_string_not_equal(moving, answered);
	assert_string_equal(provisioned_status(&r, "Qualifier=prod"), "IN_PROGRESS");
	assert_int_equal(number(&r, "AllocatedProvisionedConcurrentExecutions"), 5);
	for (int i = 0; i < 20; i++)
		assert_int_equal(ask(&r, "POST", FUNCTION "/invocations", "Qualifier=prod", NULL), 200);
	assert_int_equal(rig_usage(&r, "1", "requests"), 20);
	rig_advance(&r, 60000);
	assert_true(weight(&r, "1") == -1);
	assert_string_not_equal(rig_text(&r, "RevisionId"), moving);
	assert_string_equal(provisioned_status(&r, "Qualifier=prod"), "READY");
	rig_deinit(&r);
}

static void test_back_while_it_moves(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, 1, world);
	assert_int_equal(ask(&r, "PUT", PROVISIONED, "Qualifier=prod", FIVE), 202);
	rig_advance(&r, 60000);
	assert_int_equal(rig_call(&r, "PUT", PROD, "{\"FunctionVersion\":\"2\"}"), 200);
	/* A description is no reason to stop. */
	assert_int_equal(rig_call(&r, "PUT", PROD, "{\"Description\":\"d\"}"), 200);
	assert_true(weight(&r, "1") == 1);
	assert_int_equal(rig_call(&r, "PUT", PROD, "{\"FunctionVersion\":\"3\"}"), 200);
	assert_true(weight(&r, "1") == 1);
	assert_int_equal(rig_call(&r, "PUT", PROD, "{\"FunctionVersion\":\"1\"}"), 200);
	assert_true(weight(&r, "1") == -1);
	rig_advance(&r, 60000);
	assert_string_equal(provisioned_status(&r, "Qualifier=prod"), "READY");
	/* Deleted in the middle of a move, it takes its weights away. */
	assert_int_equal(rig_call(&r, "PUT", PROD, "{\"FunctionVersion\":\"2\"}"), 200);
	assert_true(weight(&r, "1") == 1);
	assert_int_equal(ask(&r, "DELETE", PROVISIONED, "Qualifier=prod", NULL), 204);
	assert_true(weight(&r, "1") == -1);
	rig_deinit(&r);
}

static void test_fails_on_request(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, 1, "functions:\n  hello:\n    provision_fails: FUNCTION_ERROR_INIT_FAILURE\n" VERSIONS);
	assert_int_equal(ask(&r, "PUT", PROVISIONED, "Qualifier=2", FIVE), 202);
	assert_string_equal(rig_text(&r, "Status"), "IN_PROGRESS");
	assert_string_equal(provisioned_status(&r, "Qualifier=2"), "FAILED");
	assert_string_equal(rig_text(&r, "StatusReason"), "FUNCTION_ERROR_INIT_FAILURE");
	assert_int_equal(number(&r, "AllocatedProvisionedConcurrentExecutions"), 0);
	rig_deinit(&r);
}

static void test_not_with_snap_start(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, 1, "limits: off\nfunctions:\n  hello:\n" VERSIONS);
	assert_int_equal(
	    rig_call(&r, "PUT", FUNCTION "/configuration", "{\"SnapStart\":{\"ApplyOn\":\"PublishedVersions\"}}"), 200);
	assert_int_equal(rig_call(&r, "POST", FUNCTION "/versions", "{}"), 201);
	assert_string_equal(rig_text(&r, "Version"), "4");
	assert_string_equal(
	    json_string_value(json_object_get(json_object_get(r.body, "SnapStart"), "OptimizationStatus")), "On");
	assert_int_equal(ask(&r, "PUT", PROVISIONED, "Qualifier=4", FIVE), 400);
	assert_int_equal(ask(&r, "PUT", PROVISIONED, "Qualifier=3", FIVE), 202);
	/* What is asked again makes no other version. */
	assert_int_equal(rig_call(&r, "POST", FUNCTION "/versions", "{}"), 201);
	assert_string_equal(rig_text(&r, "Version"), "4");
	rig_deinit(&r);
}

/* --- states --- */

static const char *state_of(struct rig *r, const char *query)
{
	assert_int_equal(ask(r, "GET", FUNCTION "/configuration", query, NULL), 200);
	return rig_text(r, "State");
}

static void publish_changed(struct rig *r)
{
	assert_int_equal(rig_call(r, "PUT", FUNCTION "/configuration", "{\"MemorySize\":256}"), 200);
	assert_int_equal(rig_call(r, "GET", FUNCTION, NULL), 200);
	assert_int_equal(rig_call(r, "POST", FUNCTION "/versions", "{}"), 201);
	assert_string_equal(rig_text(r, "Version"), "4");
	assert_string_equal(rig_text(r, "State"), "Pending");
	assert_string_equal(rig_text(r, "StateReasonCode"), "Creating");
}

static void test_a_version_takes_its_time(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, 1, "limits: off\nfunctions:\n  hello:\n    publish_time: 2m\n" VERSIONS);
	publish_changed(&r);
	rig_advance(&r, 119999);
	assert_string_equal(state_of(&r, "Qualifier=4"), "Pending");
	assert_int_equal(ask(&r, "POST", FUNCTION "/invocations", "Qualifier=4", NULL), 409);
	assert_int_equal(ask(&r, "PUT", PROVISIONED, "Qualifier=4", FIVE), 409);
	rig_advance(&r, 1);
	assert_string_equal(state_of(&r, "Qualifier=4"), "Active");
	assert_string_equal(rig_text(&r, "LastUpdateStatus"), "Successful");
	assert_int_equal(ask(&r, "POST", FUNCTION "/invocations", "Qualifier=4", NULL), 200);
	rig_deinit(&r);
}

static void test_a_version_that_fails(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, 1,
		 "limits: off\nfunctions:\n  hello:\n    publish_fails: \"Snapshot: init ended with 1\"\n" VERSIONS);
	publish_changed(&r);
	assert_string_equal(state_of(&r, "Qualifier=4"), "Failed");
	assert_string_equal(rig_text(&r, "StateReason"), "Snapshot: init ended with 1");
	assert_int_equal(rig_call(&r, "PUT", PROD, "{\"FunctionVersion\":\"4\"}"), 409);
	assert_string_equal(rig_error(&r), "ResourceConflictException");
	assert_int_equal(rig_call(&r, "PUT", PROD, "{\"RoutingConfig\":{\"AdditionalVersionWeights\":{\"4\":0.1}}}"),
			 409);
	assert_int_equal(rig_call(&r, "POST", FUNCTION "/aliases", "{\"Name\":\"n\",\"FunctionVersion\":\"4\"}"), 409);
	assert_int_equal(ask(&r, "POST", FUNCTION "/invocations", "Qualifier=4", NULL), 409);
	/* The next one is well again. */
	const char *mended = "{functions: {hello: {publish_fails: null}}}";
	assert_int_equal(rig_call(&r, "PUT", "/_localaws/world", mended), 200);
	assert_int_equal(rig_call(&r, "PUT", FUNCTION "/configuration", "{\"MemorySize\":512}"), 200);
	assert_int_equal(rig_call(&r, "GET", FUNCTION, NULL), 200);
	assert_int_equal(rig_call(&r, "POST", FUNCTION "/versions", "{}"), 201);
	assert_string_equal(rig_text(&r, "State"), "Active");
	rig_deinit(&r);
}

static void test_an_update_that_fails(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, 1,
		 "limits: off\nupdate_time: 10s\nfunctions:\n  hello:\n    update_fails: \"Role cannot be "
		 "assumed\"\n" VERSIONS);
	assert_int_equal(rig_call(&r, "PUT", FUNCTION "/configuration", "{\"MemorySize\":256}"), 200);
	assert_string_equal(rig_text(&r, "LastUpdateStatus"), "InProgress");
	assert_int_equal(number(&r, "MemorySize"), 256);
	assert_int_equal(rig_call(&r, "POST", FUNCTION "/versions", "{}"), 409);
	rig_advance(&r, 10000);
	assert_string_equal(state_of(&r, ""), "Active");
	assert_string_equal(rig_text(&r, "LastUpdateStatus"), "Failed");
	assert_string_equal(rig_text(&r, "LastUpdateStatusReason"), "Role cannot be assumed");
	assert_int_equal(number(&r, "MemorySize"), 128);
	rig_deinit(&r);
}

static void test_admin_shows_all_of_it(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, 1, world);
	assert_int_equal(ask(&r, "PUT", PROVISIONED, "Qualifier=prod", FIVE), 202);
	assert_int_equal(ask(&r, "POST", FUNCTION "/policy", "Qualifier=prod",
			     "{\"StatementId\":\"a\",\"Action\":\"lambda:InvokeFunction\",\"Principal\":\"*\"}"),
			 201);
	rig_advance(&r, 60000);
	assert_int_equal(rig_call(&r, "GET", "/_localaws/functions/hello", NULL), 200);
	json_t *provisioned = json_object_get(json_object_get(r.body, "provisioned"), "prod");
	assert_string_equal(json_string_value(json_object_get(provisioned, "status")), "READY");
	json_t *policy = json_object_get(json_object_get(r.body, "policies"), "prod");
	assert_int_equal(json_array_size(json_object_get(policy, "statements")), 1);
	json_t *version = json_object_get(json_object_get(r.body, "versions"), "1");
	assert_string_equal(json_string_value(json_object_get(version, "state")), "Active");
	assert_int_equal(rig_call(&r, "GET", "/_localaws/state", NULL), 200);
	assert_int_equal(number(&r, "provision_ms"), 60000);
	rig_deinit(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_ready_after_its_time),	  cmocka_unit_test(test_what_put_refuses),
	    cmocka_unit_test(test_a_version_is_provisioned_once), cmocka_unit_test(test_moves_with_its_alias),
	    cmocka_unit_test(test_back_while_it_moves),		  cmocka_unit_test(test_fails_on_request),
	    cmocka_unit_test(test_not_with_snap_start),		  cmocka_unit_test(test_a_version_takes_its_time),
	    cmocka_unit_test(test_a_version_that_fails),	  cmocka_unit_test(test_an_update_that_fails),
	    cmocka_unit_test(test_admin_shows_all_of_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
