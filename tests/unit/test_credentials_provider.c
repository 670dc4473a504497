/* Fetching keys and keeping them fresh, in virtual time against scripted answers. */
#include "provider_rig.h"

/* --- roles --- */

#define ENV "AWS_ACCESS_KEY_ID=BASE\nAWS_SECRET_ACCESS_KEY=" SECRET "\n"

static void rig_role(struct rig *w)
{
	rig_init(w, "AWS_PROFILE=r\n",
		 "[profile r]\nrole_arn = " ROLE "\nsource_profile = b\nexternal_id = e x\nduration_seconds = 3600\n"
		 "[profile b]\naws_access_key_id = BASE\naws_secret_access_key = " SECRET "\n");
}

static void a_role_is_assumed(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	rig_role(&w);
	expect_pending(&w);
	expect_sent(&w, "POST", "https://sts.us-east-1/", false, 10 * SECONDS);
	assert_string_equal(w.sent[0].body, "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A"
					    "123456789012%3Arole%2Fops&RoleSessionName=rolloutd&ExternalId=e%20x"
					    "&DurationSeconds=3600");
	assert_true(text_starts_with(w.sent[0].token, "AWS4-HMAC-SHA256 Credential=BASE/20261122/us-east-1/sts/"));
	/* However many ask meanwhile. */
	for (int i = 0; i < 100; i++)
		expect_pending(&w);
	assert_int_equal(w.n_requests, 1);
	assert_int_equal(w.settled, 0);
	answer(&w, 200, sts_keys(&w, "ASIA1", HOURS));
	assert_int_equal(w.settled, 1);
	expect_keys(&w, "ASIA1");
	struct provider_status status;
	provider_describe(w.p, &status);
	assert_string_equal(status.source, "role " ROLE " from profile b of /h/config");
	assert_int_equal(status.expires_unix_ms, START + HOURS);
	assert_string_equal(status.error, "");
}

/* One hour's keys, asked for every second over ten hours: always some, never dead ones, and 15 fetches at most. */
static void keys_are_renewed_under_load(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	rig_role(&w);
	int64_t ends = 0;
	expect_pending(&w);
	for (int64_t s = 0; s < 36000; s++) {
		if (w.n_sent > 0) {
			answer(&w, 200, sts_keys(&w, "ASIA", HOURS));
			ends = w.now.unix_ms + HOURS;
		}
		expect_keys(&w, "ASIA");
		assert_true(w.now.unix_ms < ends);
		pass(&w, SECONDS);
	}
	while (w.n_sent > 0)
		answer(&w, 200, sts_keys(&w, "ASIA", HOURS));
	assert_in_range(w.n_requests, 12, 15);
}

/* The source is down from the first renewal on: the old keys serve to their end, and not a moment longer. */
static void old_keys_serve_while_the_source_is_down(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	rig_role(&w);
	expect_pending(&w);
	answer(&w, 200, sts_keys(&w, "OLD", HOURS));
	struct provider_status status;
	unsigned tries_early = 0, tries_late = 0;
	for (int64_t s = 0; s < 3600 - 5; s++) {
		expect_keys(&w, "OLD");
		if (w.n_sent > 0)
			lose(&w, TRANSPORT_NO_CONNECTION, "connection refused");
		pass(&w, SECONDS);
		*(s < 3000 ? &tries_early : &tries_late) = w.n_requests;
	}
	tries_late -= tries_early;
	assert_in_range(tries_early, 5, 60);
	/* Ten minutes of pauses below ten seconds, each with three tries. */
	assert_in_range(tries_late, 120, 400);
	while (w.n_sent > 0) {
		expect_pending(&w);
		lose(&w, TRANSPORT_NO_CONNECTION, "connection refused");
		pass(&w, 10 * SECONDS);
	}
	pass(&w, 5 * SECONDS);
	for (int i = 0; i < 30 && w.n_requests < 2000; i++) {
		struct aws_credentials keys;
		char error[1024];
		int r = provider_get(w.p, &keys, error, sizeof(error));
		assert_int_not_equal(r, PROVIDER_FOUND);
		if (w.n_sent > 0)
			lose(&w, TRANSPORT_NO_CONNECTION, "connection refused");
		if (r == PROVIDER_BROKEN)
			assert_non_null(strstr(error, "AssumeRole: connection refused"));
		pass(&w, SECONDS);
	}
	provider_describe(w.p, &status);
	assert_false(status.has_keys);
	assert_non_null(
	    strstr(status.error, "role " ROLE " from profile b of /h/config: AssumeRole: connection refused"));
	/* It comes back. */
	pass(&w, 2 * MINUTES);
	expect_pending(&w);
	answer(&w, 200, sts_keys(&w, "NEW", HOURS));
	expect_keys(&w, "NEW");
}

/* With dead keys nothing can be done, a rollback least of all: that is when the source is asked most often. */
static void dead_keys_are_asked_for_most_often(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	unsigned runs = 0;
	rig_init(&w, "", "[default]\ncredential_process = keys\n");
	for (int s = 0; s < 20 * 60; s++) {
		struct aws_credentials keys;
		char error[1024];
		assert_int_not_equal(provider_get(w.p, &keys, error, sizeof(error)), PROVIDER_FOUND);
		if (w.ran_cb) {
			ran(&w, &(struct provider_output){.status = 1, .complaint = ""});
			runs++;
		}
		pass(&w, SECONDS);
	}
	assert_in_range(runs, 20 * 60 / 11, 20 * 60 / 5);
}

static void a_role_that_may_not_be_assumed(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	rig_role(&w);
	expect_pending(&w);
	answer(&w, 403,
	       "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not you</Message></Error>"
	       "</ErrorResponse>");
	expect_error(&w, "role " ROLE " from profile b of /h/config: AssumeRole: AccessDenied (403): not you");
	assert_int_equal(w.n_requests, 1); /* not asked again at once */
	pass(&w, 2 * SECONDS);
	expect_pending(&w);
	answer(&w, 500, "");
	pass(&w, SECONDS);
	expect_pending(&w); /* the same fetch: tried again */
	answer(&w, 200, "<a><Credentials><AccessKeyId>A</AccessKeyId></Credentials></a>");
	expect_error(&w, "the answer of STS has no Credentials with SecretAccessKey");
}

/* The signature is refused because this host is an hour behind; it is signed once more by the service's clock. */
static void a_wrong_clock_does_not_keep_a_role_from_being_assumed(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	struct sent s;
	rig_role(&w);
	expect_pending(&w);
	const char *body = "<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code><Message>old</Message></Error>"
			   "</ErrorResponse>";
	struct http_response r = {.status = 403, .body = body, .body_len = strlen(body)};
	r.headers[r.n_headers++] = (struct http_header){"Date", "Sun, 22 Nov 2026 23:10:05 GMT"};
	take_first(&w, &s);
	s.cb(s.arg, TRANSPORT_ANSWERED, &r, NULL);
	expect_pending(&w);
	answer(&w, 200, sts_keys(&w, "ASIA", 2 * HOURS));
	expect_keys(&w, "ASIA");
	/* They end by the service's clock. */
	pass(&w, HOURS);
	expect_pending(&w);
	answer(&w, 403, body);
	expect_error(&w, "SignatureDoesNotMatch");
}

/* This host is an hour ahead, as Lambda's answers have told: what ends in half an hour has not ended yet, and the role
 * is signed for by AWS's time from the start. */
static void a_clock_that_others_have_told_counts(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	rig_role(&w);
	aws_clock_told(&w.clock, w.now, START - HOURS, 0, false);
	expect_pending(&w);
	const char *body = sts_keys(&w, "ASIA", -HOURS + 30 * MINUTES);
	struct http_response r = {.status = 200, .body = body, .body_len = strlen(body)};
	r.headers[r.n_headers++] = (struct http_header){"Date", "Sun, 22 Nov 2026 21:10:05 GMT"};
	struct sent s;
	take_first(&w, &s);
	s.cb(s.arg, TRANSPORT_ANSWERED, &r, NULL);
	expect_keys(&w, "ASIA");
	assert_int_equal(w.n_requests, 1);
	pass(&w, 30 * MINUTES);
	expect_pending(&w);
	answer(&w, 200, sts_keys(&w, "NEXT", 0));
	expect_keys(&w, "NEXT");
}

static void what_sts_tells_of_the_time(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	struct sent s;
	rig_role(&w);
	expect_pending(&w);
	assert_false(w.clock.known);
	const char *body = "<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code><Message>old</Message></Error>"
			   "</ErrorResponse>";
	struct http_response r = {.status = 403, .body = body, .body_len = strlen(body)};
	r.headers[r.n_headers++] = (struct http_header){"Date", "Sun, 22 Nov 2026 23:10:05 GMT"};
	take_first(&w, &s);
	s.cb(s.arg, TRANSPORT_ANSWERED, &r, NULL);
	assert_true(w.clock.known);
	assert_in_range(aws_clock_unix_ms(&w.clock, w.now), START + HOURS - SECONDS, START + HOURS + SECONDS);
}

#define PROCESS_KEYS(id)                                                                                               \
	"{\"Version\":1,\"AccessKeyId\":\"" id "\",\"SecretAccessKey\":\"" SECRET "\",\"SessionToken\":\"T\"}"

static void ran_well(struct rig *w, const char *text)
{
	ran(w, &(struct provider_output){.text = text, .len = strlen(text), .complaint = ""});
	w->ran[0] = '\0';
}

/* A session without an end that anybody told: AWS tells it, by refusing. */
static void keys_that_aws_refuses_are_fetched_anew(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	rig_init(&w, "", "[default]\ncredential_process = keys\n");
	expect_pending(&w);
	ran_well(&w, PROCESS_KEYS("ONE"));
	expect_keys(&w, "ONE");
	assert_false(provider_refused(w.p, "ELSE")); /* of those before, say */
	expect_keys(&w, "ONE");
	assert_string_equal(w.ran, "");
	assert_true(provider_refused(w.p, "ONE"));
	expect_keys(&w, "ONE"); /* until there are others */
	assert_string_equal(w.ran, "<keys>");
	assert_true(provider_refused(w.p, "ONE"));
	expect_keys(&w, "ONE");
	ran(&w, &(struct provider_output){.status = 1, .complaint = "not now"});
	expect_keys(&w, "ONE");
	assert_null(w.ran_cb);
	pass(&w, SECONDS);
	expect_keys(&w, "ONE");
	ran_well(&w, PROCESS_KEYS("TWO"));
	expect_keys(&w, "TWO");
	/* These are refused as well, at once and on and on: the program is not run each time. */
	unsigned runs = 0;
	for (int i = 0; i < 600; i++) {
		assert_true(provider_refused(w.p, "TWO"));
		expect_keys(&w, "TWO");
		if (w.ran_cb) {
			ran_well(&w, PROCESS_KEYS("TWO"));
			runs++;
		}
		pass(&w, SECONDS);
	}
	assert_in_range(runs, 10, 30);
	pass(&w, MINUTES);
	expect_keys(&w, "TWO"); /* the last refusal */
	ran_well(&w, PROCESS_KEYS("TWO"));
	pass(&w, 1000 * HOURS);
	expect_keys(&w, "TWO");
	assert_null(w.ran_cb);
}

/* It is the keys that a role is assumed with that STS refuses: those of the program, not the role's. */
static void a_refusal_goes_down_the_chain(void **state)
{
	(void)state;
	static const char *const refusal =
	    "<ErrorResponse><Error><Code>ExpiredToken</Code><Message>old</Message></Error>"
	    "</ErrorResponse>";
	struct rig w cleanup(rig_deinit);
	rig_init(&w, "",
		 "[default]\nrole_arn = " ROLE "\nsource_profile = p\n[profile p]\ncredential_process = keys\n");
	expect_pending(&w);
	ran_well(&w, PROCESS_KEYS("ONE"));
	answer(&w, 200, sts_keys(&w, "ROLE1", HOURS));
	expect_keys(&w, "ROLE1");
	assert_true(provider_refused(w.p, "ROLE1"));
	expect_keys(&w, "ROLE1");
	assert_string_equal(w.ran, "");
	assert_non_null(strstr(w.sent[0].token, "Credential=ONE/"));
	answer(&w, 403, refusal);
	pass(&w, SECONDS);
	expect_keys(&w, "ROLE1");
	assert_string_equal(w.ran, "<keys>");
	assert_int_equal(w.n_sent, 0); /* it waits for those */
	ran_well(&w, PROCESS_KEYS("TWO"));
	assert_int_equal(w.n_sent, 1);
	assert_non_null(strstr(w.sent[0].token, "Credential=TWO/"));
	answer(&w, 200, sts_keys(&w, "ROLE2", HOURS));
	expect_keys(&w, "ROLE2");
}

static void a_chain_of_roles(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	rig_init(&w, "",
		 "[default]\nrole_arn = " ROLE "2\nsource_profile = m\n[profile m]\nrole_arn = " ROLE
		 "1\nsource_profile = b\n[profile b]\naws_access_key_id = BASE\naws_secret_access_key = " SECRET "\n");
	expect_pending(&w);
	assert_non_null(strstr(w.sent[0].body, "ops1"));
	answer(&w, 200, sts_keys(&w, "ONE", HOURS));
	assert_int_equal(w.settled, 0);
	assert_int_equal(w.n_sent, 1); /* without anybody asking again */
	assert_non_null(strstr(w.sent[0].body, "ops2"));
	assert_non_null(strstr(w.sent[0].token, "Credential=ONE/"));
	answer(&w, 200, sts_keys(&w, "TWO", HOURS));
	assert_int_equal(w.settled, 1);
	expect_keys(&w, "TWO");
	pass(&w, 2 * HOURS);
	expect_pending(&w);
	answer(&w, 403, "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>");
	expect_error(&w, "role " ROLE "2 cannot be assumed: role " ROLE "1 from profile b of /h/config: AssumeRole: "
			 "AccessDenied");
}

/* --- web identity, SSO, programs --- */

static void a_web_identity_whose_file_changes(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	rig_init(&w, "AWS_WEB_IDENTITY_TOKEN_FILE=/t\nAWS_ROLE_ARN=" ROLE "\nAWS_REGION=eu-west-1\n", NULL);
	expect_error(&w, "the token's file /t cannot be read: No such file");
	assert_int_equal(w.n_requests, 0);
	w.file = "first\n";
	pass(&w, SECONDS);
	expect_pending(&w);
	expect_sent(&w, "POST", "https://sts.eu-west-1/", false, 10 * SECONDS);
	assert_non_null(strstr(w.sent[0].body, "Action=AssumeRoleWithWebIdentity&"));
	assert_true(text_ends_with(w.sent[0].body, "&WebIdentityToken=first"));
	assert_string_equal(w.sent[0].token, "");
	answer(&w, 200, sts_keys(&w, "WEB", HOURS));
	expect_keys(&w, "WEB");
	w.file = "second";
	pass(&w, 50 * MINUTES);
	expect_keys(&w, "WEB");
	assert_true(text_ends_with(w.sent[0].body, "&WebIdentityToken=second"));
	answer(&w, 400, "<ErrorResponse><Error><Code>ExpiredTokenException</Code></Error></ErrorResponse>");
	expect_keys(&w, "WEB");
	w.file = "a\xff";
	pass(&w, HOURS);
	expect_error(&w, "is no text");
}

/* STS would be asked without any, and answer with something else. */
static void a_token_file_that_has_none(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	rig_init(&w, "AWS_WEB_IDENTITY_TOKEN_FILE=/t\nAWS_ROLE_ARN=" ROLE "\n", NULL);
	w.file = " \r\n";
	expect_error(&w, "the token's file /t is empty");
	w.file = "";
	pass(&w, 10 * SECONDS);
	expect_error(&w, "the token's file /t is empty");
	w.file_error = -EINVAL; /* a FIFO, a folder */
	pass(&w, 10 * SECONDS);
	expect_error(&w, "the token's file /t cannot be read: it is not a regular file");
	assert_int_equal(w.n_requests, 0);
}

/* JSON has larger numbers than time has milliseconds. */
static void ends_that_are_no_time(void **state)
{
	(void)state;
	static const char *const ends[] = {"-9223372036854775808", "9223372036854775807", "-1", "0", "253402300800000"};
	for (size_t i = 0; i < array_len(ends); i++) {
		struct aws_credentials keys;
		char text[256], error[256] = "";
		snprintf(text, sizeof(text),
			 "{\"roleCredentials\":{\"accessKeyId\":\"A\",\"secretAccessKey\":\"S\",\"sessionToken\":\"T\","
			 "\"expiration\":%s}}",
			 ends[i]);
		assert_int_equal(keys_from_json(KEYS_OF_SSO, text, strlen(text), &keys, error, sizeof(error)), 1);
		assert_string_equal(error, "has no roleCredentials with an expiration that is a time");
	}
}

/* Whoever shows the sentence has room for LIMIT_REASON of it. */
static void cause_and_cure_are_never_cut_off(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	struct aws_credentials keys;
	char error[LIMIT_REASON], folder[200], env[300];
	memset(folder, 'x', sizeof(folder));
	snprintf(env, sizeof(env), "AWS_PROFILE=a-profile-for-production\nHOME=/%.199s\n", folder);
	rig_init(&w, env,
		 "[profile a-profile-for-production]\nsso_start_url = https://s\nsso_region = eu-west-1\n"
		 "sso_account_id = 123456789012\nsso_role_name = AWSAdministratorAccessForProduction\n");
	assert_int_equal(provider_get(w.p, &keys, error, sizeof(error)), PROVIDER_BROKEN);
	assert_non_null(strstr(error,
			       "its token cannot be read (No such file or directory): run \"aws sso login --profile "
			       "a-profile-for-production\""));
}

static void sso_from_its_cached_token(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	rig_init(
	    &w, "HOME=/h\n",
	    "[default]\nsso_start_url = https://s\nsso_region = eu-west-1\nsso_account_id = 1\nsso_role_name = R\n");
	expect_error(&w, "run \"aws sso login --profile default\"");
	w.file = "{\"accessToken\":\"tok\",\"expiresAt\":\"2026-11-22T22:10:05UTC\"}";
	pass(&w, SECONDS);
	expect_error(&w, "its token has expired: run \"aws sso login --profile default\"");
	w.file = "{\"accessToken\":\"tok\",\"expiresAt\":\"2026-11-23T22:10:05Z\"}";
	pass(&w, 2 * SECONDS);
	expect_pending(&w);
	expect_sent(&w, "GET", "https://sso.eu-west-1/federation/credentials?role_name=R&account_id=1", false,
		    10 * SECONDS);
	assert_string_equal(w.sent[0].token, "tok");
	answer(&w, 401, "{\"message\":\"Session token not found or invalid\"}");
	expect_error(&w, "run \"aws sso login");
	pass(&w, 10 * SECONDS);
	expect_pending(&w);
	answer(&w, 200,
	       "{\"roleCredentials\":{\"accessKeyId\":\"SSO\",\"secretAccessKey\":\"" SECRET
	       "\",\"sessionToken\":\"T\",\"expiration\":1795389005000}}");
	expect_keys(&w, "SSO");
	struct provider_status status;
	provider_describe(w.p, &status);
	assert_int_equal(status.expires_unix_ms, START + HOURS);
}

static void a_program(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	rig_init(&w, "", "[default]\ncredential_process = keys 'a b' $HOME\n");
	expect_pending(&w);
	assert_string_equal(w.ran, "<keys><a b><$HOME>");
	ran(&w, &(struct provider_output){.status = 3, .complaint = "no such account"});
	expect_error(&w,
		     "credential_process of profile default in /h/config: keys ended with status 3: no such account");
	pass(&w, SECONDS);
	expect_pending(&w);
	ran(&w, &(struct provider_output){.problem = "cannot be run: no such file or directory", .complaint = ""});
	expect_error(&w, "keys cannot be run");
	static const char *const bad[][2] = {
	    {"", "no valid JSON"},
	    {"{\"Version\":2}", "\"Version\": 1"},
	    {"{\"Version\":1,\"AccessKeyId\":\"A\"}", "has no SecretAccessKey"},
	    {"{\"Version\":1,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"" SECRET "\",\"Expiration\":\"soon\"}",
	     "no Expiration that is a time"},
	    {"{\"Version\":1,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"" SECRET
	     "\",\"Expiration\":\"2026-11-22T22:00:00Z\"}",
	     "gave keys that have ended already"},
	};
	for (size_t i = 0; i < array_len(bad); i++) {
		pass(&w, 2 * MINUTES);
		expect_pending(&w);
		ran(&w, &(struct provider_output){.text = bad[i][0], .len = strlen(bad[i][0]), .complaint = ""});
		expect_error(&w, bad[i][1]);
	}
	const char *good = "{\"Version\":1,\"AccessKeyId\":\"PROC\",\"SecretAccessKey\":\"" SECRET
			   "\",\"SessionToken\":null,\"Expiration\":null}";
	pass(&w, 2 * MINUTES);
	expect_pending(&w);
	ran(&w, &(struct provider_output){.text = good, .len = strlen(good), .complaint = ""});
	expect_keys(&w, "PROC");
	w.ran[0] = '\0';
	pass(&w, 1000 * HOURS);
	expect_keys(&w, "PROC"); /* they never end */
	assert_string_equal(w.ran, "");
}

/* --- the rest --- */

/* Ten sources that stop while a request is on its way; the answer finds nobody. */
static void a_provider_that_goes_while_it_waits(void **state)
{
	(void)state;
	struct rig w;
	rig_init(&w, "", NULL);
	expect_pending(&w);
	provider_free(w.p);
	answer(&w, 200, "session");
	rig_init(&w, "", "[default]\ncredential_process = keys\n");
	expect_pending(&w);
	provider_free(w.p);
	ran(&w, &(struct provider_output){.problem = "broken off", .complaint = ""});
	provider_free(NULL);
	assert_int_equal(w.settled, 0);
}

static void keys_that_are_given(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	rig_init(&w, ENV "AWS_CREDENTIAL_EXPIRATION=2026-11-22T23:10:05Z\n", NULL);
	expect_keys(&w, "BASE");
	pass(&w, HOURS);
	expect_error(&w, "the keys of environment have ended");
	assert_int_equal(w.n_requests, 0);
}

static void times(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t seconds;
	} good[] = {{"2026-11-22T22:10:05Z", 0},       {"2026-11-22T22:10:05.123Z", 0},
		    {"2026-11-22T22:10:05UTC", 0},     {"2026-11-22T23:10:05+01:00", 0},
		    {"2026-11-22T17:40:05-0430", 0},   {"2026-11-22T22:10:05+00:00", 0},
		    {"2026-11-22T22:10:05.5+00:00", 0}};
	static const char *const bad[] = {"",
					  "now",
					  "2026-11-22",
					  "2026-11-22T22:10:05",
					  "2026-11-22T22:10:05+",
					  "2026-11-22T22:10:05+1:0x",
					  "2026-11-22T22:10:05Zz",
					  "2026-13-22T22:10:05Z"};
	int64_t v;
	for (size_t i = 0; i < array_len(good); i++) {
		if (credentials_parse_time(good[i].text, &v))
			fail_msg("%s", good[i].text);
		assert_int_equal(v / 1000, START / 1000 + good[i].seconds);
	}
	for (size_t i = 0; i < array_len(bad); i++)
		if (credentials_parse_time(bad[i], &v) == 0)
			fail_msg("%s", bad[i]);
}

static void answers_that_are_no_keys(void **state)
{
	(void)state;
	static const char *const xml[] = {
	    "",
	    "<a>",
	    "{}",
	    "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>",
	    "<Credentials><AccessKeyId>A</AccessKeyId><AccessKeyId>B</AccessKeyId><SecretAccessKey>S</SecretAccessKey>"
	    "<SessionToken>T</SessionToken><Expiration>2026-11-22T22:10:05Z</Expiration></Credentials>",
	    "<x><AccessKeyId>A</AccessKeyId><SecretAccessKey>S</SecretAccessKey><SessionToken>T</SessionToken>"
	    "<Expiration>2026-11-22T22:10:05Z</Expiration></x>",
	    "<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a></a></a></a></a></a></a></a></a></a></a></a></a></a></"
	    "a>"
	    "</a></a></a>",
	};
	struct aws_credentials keys;
	char error[256];
	for (size_t i = 0; i < array_len(xml); i++) {
		error[0] = '\0';
		assert_int_equal(keys_from_sts(xml[i], strlen(xml[i]), &keys, error, sizeof(error)), 1);
		assert_string_not_equal(error, "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_role_is_assumed),
	    cmocka_unit_test(keys_are_renewed_under_load),
	    cmocka_unit_test(old_keys_serve_while_the_source_is_down),
	    cmocka_unit_test(dead_keys_are_asked_for_most_often),
	    cmocka_unit_test(a_role_that_may_not_be_assumed),
	    cmocka_unit_test(a_wrong_clock_does_not_keep_a_role_from_being_assumed),
	    cmocka_unit_test(a_clock_that_others_have_told_counts),
	    cmocka_unit_test(what_sts_tells_of_the_time),
	    cmocka_unit_test(keys_that_aws_refuses_are_fetched_anew),
	    cmocka_unit_test(a_refusal_goes_down_the_chain),
	    cmocka_unit_test(a_chain_of_roles),
	    cmocka_unit_test(a_web_identity_whose_file_changes),
	    cmocka_unit_test(a_token_file_that_has_none),
	    cmocka_unit_test(ends_that_are_no_time),
	    cmocka_unit_test(cause_and_cure_are_never_cut_off),
	    cmocka_unit_test(sso_from_its_cached_token),
	    cmocka_unit_test(a_program),
	    cmocka_unit_test(a_provider_that_goes_while_it_waits),
	    cmocka_unit_test(keys_that_are_given),
	    cmocka_unit_test(times),
	    cmocka_unit_test(answers_that_are_no_keys),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
