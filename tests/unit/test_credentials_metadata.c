/* Keys of containers and instances, in virtual time against scripted answers. */
#include "provider_rig.h"

/* --- container --- */

static void a_container(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	rig_init(&w, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/x?y=z\nAWS_CONTAINER_AUTHORIZATION_TOKEN=auth\n",
		 NULL);
	expect_pending(&w);
	expect_sent(&w, "GET", "http://169.254.170.2/v2/x?y=z", true, 2 * SECONDS);
	assert_string_equal(w.sent[0].token, "auth");
	/* Three tries, a second apart. */
	answer(&w, 500, "");
	expect_pending(&w);
	assert_int_equal(w.n_sent, 0);
	pass(&w, SECONDS);
	expect_pending(&w);
	answer(&w, 200, "not JSON");
	pass(&w, SECONDS);
	provider_look(w.p);
	lose(&w, TRANSPORT_NO_ANSWER, "it took too long");
	expect_error(&w, "container's role, by http://169.254.170.2: it took too long");
	pass(&w, SECONDS);
	expect_pending(&w);
	answer(&w, 200, metadata_keys(&w, "CONT", 6 * HOURS));
	expect_keys(&w, "CONT");
	assert_int_equal(w.n_requests, 4);
}

static void a_container_whose_token_is_in_a_file(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	rig_init(&w,
		 "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://[fd00:ec2::23]/v1\n"
		 "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=/f\nAWS_CONTAINER_AUTHORIZATION_TOKEN=other\n",
		 NULL);
	w.file = "one\n";
	expect_error(&w, "has a line break in it");
	w.file = "one";
	pass(&w, SECONDS);
	expect_pending(&w);
	expect_sent(&w, "GET", "http://[fd00:ec2::23]/v1", true, 2 * SECONDS);
	assert_string_equal(w.sent[0].token, "one");
	answer(&w, 200, metadata_keys(&w, "POD", HOURS));
	expect_keys(&w, "POD");
	w.file = "two";
	pass(&w, 58 * MINUTES);
	expect_keys(&w, "POD");
	assert_string_equal(w.sent[0].token, "two");
	answer(&w, 200, metadata_keys(&w, "POD2", HOURS));
	expect_keys(&w, "POD2");
}

/* --- instance --- */

#define BASE "http://169.254.169.254/latest/"

static void get_instance_keys(struct rig *w, const char *id, int64_t ms)
{
	expect_sent(w, "GET", BASE "meta-data/iam/security-credentials/", true, SECONDS);
	answer(w, 200, "ops\nother");
	expect_sent(w, "GET", BASE "meta-data/iam/security-credentials/ops", true, SECONDS);
	answer(w, 200, metadata_keys(w, id, ms));
	expect_keys(w, id);
}

static void an_instance(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	rig_init(&w, "", NULL);
	expect_pending(&w);
	expect_sent(&w, "PUT", BASE "api/token", true, SECONDS);
	assert_string_equal(w.sent[0].token, "21600");
	answer(&w, 200, "session");
	assert_string_equal(w.sent[0].token, "session");
	get_instance_keys(&w, "I1", HOURS);
	struct provider_status status;
	provider_describe(w.p, &status);
	assert_string_equal(status.source, "instance role ops");
	/* The session's token is kept; one that is refused is asked for anew, once. */
	pass(&w, 50 * MINUTES);
	expect_keys(&w, "I1");
	assert_string_equal(w.sent[0].token, "session");
	answer(&w, 401, "");
	expect_sent(&w, "PUT", BASE "api/token", true, SECONDS);
	answer(&w, 200, "session2");
	assert_string_equal(w.sent[0].token, "session2");
	answer(&w, 401, "");
	expect_keys(&w, "I1");
	provider_describe(w.p, &status);
	assert_non_null(strstr(status.error, "asked for its role, it answered with status 401"));
	/* After six hours a new one. */
	pass(&w, 6 * HOURS);
	expect_pending(&w);
	expect_sent(&w, "PUT", BASE "api/token", true, SECONDS);
	answer(&w, 200, "session3");
	get_instance_keys(&w, "I2", HOURS);
}

/* When the service gives no session token, and when keys are asked for without one. */
static void an_instance_of_the_first_version(void **state)
{
	(void)state;
	for (int status = 400; status <= 406; status++) {
		struct rig w cleanup(rig_deinit);
		rig_init(&w, "", NULL);
		expect_pending(&w);
		if (status == 406)
			lose(&w, TRANSPORT_NO_ANSWER, "time-out");
		else
			answer(&w, status, "");
		if (status == 403 || status == 404 || status == 405 || status == 406) {
			assert_string_equal(w.sent[0].token, "");
			get_instance_keys(&w, "V1", HOURS);
		} else {
			expect_error(&w,
				     "no AWS keys were found: the instance's metadata service at "
				     "http://169.254.169.254 gives no keys: asked for a session token, it answered");
			expect_error(&w, "; looked at before: AWS_ACCESS_KEY_ID is not set, /h/credentials does not "
					 "exist, /h/config does not exist");
		}
	}
	struct rig w cleanup(rig_deinit);
	rig_init(&w, "AWS_EC2_METADATA_V1_DISABLED=true\n", NULL);
	expect_pending(&w);
	answer(&w, 404, "");
	expect_error(&w, "AWS_EC2_METADATA_V1_DISABLED forbids");
}

static void an_instance_without_a_good_role(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	rig_init(&w, "", "[default]\nrole_arn = " ROLE "\ncredential_source = Ec2InstanceMetadata\n");
	expect_pending(&w);
	lose(&w, TRANSPORT_NO_CONNECTION, "no route");
	expect_error(&w, "role " ROLE " cannot be assumed: the instance's metadata service at http://169.254.169.254 "
			 "gives no keys: asked for a session token, no route");
	pass(&w, MINUTES);
	expect_pending(&w);
	answer(&w, 200, "s");
	answer(&w, 404, "");
	expect_error(&w, "it has no role: attach an instance profile");
	static const char *const roles[] = {"../../user-data", "a b", "\nops"};
	for (size_t i = 0; i < array_len(roles); i++) {
		pass(&w, 2 * MINUTES);
		expect_pending(&w);
		answer(&w, 200, roles[i]);
		expect_error(&w, "is no role");
	}
	pass(&w, 2 * MINUTES);
	expect_pending(&w);
	answer(&w, 200, "ops");
	answer(&w, 200, "{\"Code\":\"AssumeRoleUnauthorizedAccess\",\"Message\":\"EC2 cannot assume the role ops\"}");
	expect_error(&w, "its answer for role ops is AssumeRoleUnauthorizedAccess: EC2 cannot assume the role ops");
}

/* Keys that are over, and that the service still gives, are used on; and asked for again before long. */
static void keys_of_an_instance_that_are_extended(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	rig_init(&w, "", NULL);
	expect_pending(&w);
	answer(&w, 200, "s");
	get_instance_keys(&w, "OLD", -HOURS);
	struct provider_status status;
	provider_describe(w.p, &status);
	assert_true(status.extended);
	assert_in_range(status.expires_unix_ms - START, 17 * MINUTES, 25 * MINUTES);
	unsigned before = w.n_requests;
	pass(&w, 13 * MINUTES);
	expect_keys(&w, "OLD");
	assert_int_equal(w.n_requests, before + 1);
	get_instance_keys(&w, "NEW", HOURS);
	provider_describe(w.p, &status);
	assert_false(status.extended);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_container),
	    cmocka_unit_test(a_container_whose_token_is_in_a_file),
	    cmocka_unit_test(an_instance),
	    cmocka_unit_test(an_instance_of_the_first_version),
	    cmocka_unit_test(an_instance_without_a_good_role),
	    cmocka_unit_test(keys_of_an_instance_that_are_extended),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
