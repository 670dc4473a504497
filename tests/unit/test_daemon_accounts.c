/* What becomes of an account's keys and settings when its files change, break and come back, in virtual time. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* The daemon is a program and no library: its parts are compiled into the test. */
#include "daemon/accounts.c"

#define START	INT64_C(1795385405000) /* 2026-11-22T22:10:05Z */
#define SECRET	"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define SECONDS (INT64_C(1000))
#define MINUTES (60 * SECONDS)
#define LOCAL                                                                                                          \
	"[profile ops]\nregion = eu-west-3\nservices = local\n[services local]\nlambda =\n  endpoint_url = "           \
	"http://127.0.0.1:9\n"
#define LOCAL_BUT_NO_SECTION "[profile ops]\nregion = eu-west-3\nservices = local\n"
#define KEYS		     "[ops]\naws_access_key_id = AKIDOPS\naws_secret_access_key = " SECRET "\n"

struct rig {
	struct instant now;
	const char *config; /* the files; NULL: not there */
	const char *credentials;
	int config_error; /* in place of the file: a negative errno */
	unsigned reads;
	unsigned settled;
	unsigned told;	 /* how often */
	bool trouble;	 /* the last that was told */
	char words[512]; /* and how */
	char ran[128];	 /* the last program; "": none */
	provider_ran_cb ran_cb;
	void *ran_arg;
	struct accounts *accounts;
};

const struct config_account *config_find_account(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->n_accounts; i++)
		if (strcmp(c->accounts[i].name, name) == 0)
			return &c->accounts[i];
	return NULL;
}

static struct instant fake_now(void *ctx)
{
	return ((struct rig *)ctx)->now;
}

static uint64_t fake_entropy(void *ctx)
{
	(void)ctx;
	return 0;
}

static int fake_read(void *ctx, const char *path, size_t max, char **ret, size_t *ret_len)
{
	struct rig *w = ctx;
	bool config = strstr(path, "config") != NULL;
	const char *text = config ? w->config : w->credentials;
	(void)max;
	w->reads++;
	if (config && w->config_error)
		return w->config_error;
	if (!text)
		return -ENOENT;
	*ret = mem_strdup(text);
	*ret_len = strlen(text);
	return 0;
}

static void fake_run(void *ctx, char *const *words, int64_t timeout_ms, provider_ran_cb cb, void *arg)
{
	struct rig *w = ctx;
	(void)timeout_ms;
	assert_null(w->ran_cb);
	snprintf(w->ran, sizeof(w->ran), "%s", words[0]);
	w->ran_cb = cb;
	w->ran_arg = arg;
}

static void fake_settled(void *arg)
{
	((struct rig *)arg)->settled++;
}

static void fake_tell(void *arg, bool trouble, const char *text)
{
	struct rig *w = arg;
	w->told++;
	w->trouble = trouble;
	snprintf(w->words, sizeof(w->words), "%s", text);
	assert_null(strstr(text, SECRET));
}

static void rig_init(struct rig *w, const char *config, const char *credentials)
{
	static struct config_account ops = {.name = (char *)"ops", .profile = (char *)"ops"};
	static const struct config named = {.accounts = &ops, .n_accounts = 1};
	*w = (struct rig){
	    .now = {.unix_ms = START, .boot_ms = 5 * MINUTES}, .config = config, .credentials = credentials};
	clearenv();
	setenv("AWS_CONFIG_FILE", "/h/config", 1);
	setenv("AWS_SHARED_CREDENTIALS_FILE", "/h/credentials", 1);
	setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
	const struct provider_ports ports = {
	    .ctx = w,
	    .now = fake_now,
	    .entropy = fake_entropy,
	    .run = fake_run,
	    .read_file = fake_read,
	};
	w->accounts = accounts_new(&named);
	accounts_connect(w->accounts, &ports, fake_settled, fake_tell, w);
}

static void rig_deinit(struct rig *w)
{
	accounts_free(w->accounts);
}

static void pass(struct rig *w, int64_t ms)
{
	w->now.unix_ms += ms;
	w->now.boot_ms += ms;
}

static void expect_keys(struct rig *w, const char *name, const char *id)
{
	struct aws_credentials keys = {0};
	char error[ERROR_SIZE] = "";
	int r = accounts_credentials(w->accounts, name, &keys, error, sizeof(error));
	if (r != PROVIDER_FOUND)
		fail_msg("%s: %d %s", id, r, error);
	assert_string_equal(keys.access_key_id, id);
	aws_credentials_deinit(&keys);
}

static void expect_no_keys(struct rig *w, const char *name, const char *needle)
{
	struct aws_credentials keys;
	char error[ERROR_SIZE] = "";
	assert_int_equal(accounts_credentials(w->accounts, name, &keys, error, sizeof(error)), PROVIDER_BROKEN);
	if (!strstr(error, needle))
		fail_msg("%s: %s", needle, error);
	assert_null(strstr(error, SECRET));
}

static void expect_host(struct rig *w, const char *name, const char *host)
{
	struct aws_endpoint e = {0};
	char error[ERROR_SIZE] = "";
	if (accounts_endpoint(w->accounts, name, AWS_LAMBDA, "eu-west-3", &e, error, sizeof(error)))
		fail_msg("%s: %s", host, error);
	assert_string_equal(e.host, host);
}

static void expect_no_host(struct rig *w, const char *name, const char *needle)
{
	struct aws_endpoint e;
	char error[ERROR_SIZE] = "";
	assert_int_equal(accounts_endpoint(w->accounts, name, AWS_LAMBDA, "eu-west-3", &e, error, sizeof(error)), 1);
	if (!strstr(error, needle))
		fail_msg("%s: %s", needle, error);
}

static void expect_trouble(struct rig *w, const char *name, const char *needle)
{
	struct provider_status status;
	assert_true(accounts_describe(w->accounts, name, &status));
	if (*needle ? !strstr(status.error, needle) : *status.error)
		fail_msg("%s: %s", needle, status.error);
}

/* --- keys and settings are of one reading --- */

/* Editors and the CLI write in place: at any moment some of the file may be missing. */
static void a_file_that_is_half_there_changes_nothing(void **state)
{
	(void)state;
	static const struct {
		const char *config;
		int config_error;
		const char *trouble;
	} halves[] = {
	    {LOCAL_BUT_NO_SECTION, 0, "local"},
	    {"[profile ops]\nservices = local\n[services local]\nlambda =\n  endpoint_url = ftp://x\n", 0, "unusable"},
	    {"[profile ops]\nservices = lo\n[serv", 0, "/h/config: line 3"},
	    {"[profile ops]\nrole_arn = arn:aws:iam::123456789012:role/x\n", 0, "source_profile"},
	    {NULL, -EACCES, "/h/config may not be read"},
	};
	for (size_t i = 0; i < array_len(halves); i++) {
		struct rig w cleanup(rig_deinit);
		rig_init(&w, LOCAL, KEYS);
		expect_host(&w, "ops", "127.0.0.1:9");
		expect_keys(&w, "ops", "AKIDOPS");
		w.config = halves[i].config;
		w.config_error = halves[i].config_error;
		pass(&w, 61 * SECONDS);
		for (int minute = 0; minute < 3; minute++) {
			expect_host(&w, "ops", "127.0.0.1:9");
			expect_keys(&w, "ops", "AKIDOPS");
			expect_trouble(&w, "ops", halves[i].trouble);
			pass(&w, MINUTES);
		}
		/* Whole again, and another one. */
		w.config = "[profile ops]\nendpoint_url = http://127.0.0.1:10\n";
		w.config_error = 0;
		pass(&w, 6 * SECONDS);
		expect_host(&w, "ops", "127.0.0.1:10");
		expect_keys(&w, "ops", "AKIDOPS");
		expect_trouble(&w, "ops", "");
	}
}

/* Without the profile's settings AWS's public endpoint would be asked. */
static void nothing_is_sent_anywhere_before_the_files_could_be_read(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	rig_init(&w, NULL, KEYS);
	w.config_error = -EACCES;
	expect_no_host(&w, "ops", "/h/config may not be read");
	expect_no_keys(&w, "ops", "/h/config may not be read");
	w.config_error = 0;
	w.config = LOCAL;
	expect_no_host(&w, "ops", "/h/config may not be read"); /* not read at each call */
	pass(&w, 6 * SECONDS);
	expect_host(&w, "ops", "127.0.0.1:9");
	expect_keys(&w, "ops", "AKIDOPS");
}

/* The first reading finds a setting that is wrong: each call says so, until it is mended. */
static void a_setting_that_was_always_wrong_is_told(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	rig_init(&w, LOCAL_BUT_NO_SECTION, KEYS);
	expect_no_host(&w, "ops", "local");
	w.config = LOCAL;
	pass(&w, 61 * SECONDS);
	expect_host(&w, "ops", "127.0.0.1:9");
}

/* As for the SDKs: the file may say where AWS is. */
static void keys_in_the_environment_do_not_excuse_a_broken_file(void **state)
{
	(void)state;
	static const struct {
		const char *config;
		int config_error;
		const char *trouble;
	} broken[] = {
	    {"[default]\nendpoint_url\n", 0, "/h/config: line 2"},
	    {NULL, -EACCES, "/h/config may not be read by this user"},
	    {NULL, -EIO, "/h/config"},
	};
	for (size_t i = 0; i < array_len(broken); i++) {
		struct rig w cleanup(rig_deinit);
		rig_init(&w, broken[i].config, NULL);
		w.config_error = broken[i].config_error;
		setenv("AWS_ACCESS_KEY_ID", "AKIDENV", 1);
		setenv("AWS_SECRET_ACCESS_KEY", SECRET, 1);
		expect_no_keys(&w, "default", broken[i].trouble);
		expect_no_host(&w, "default", broken[i].trouble);
		w.config = "[default]\nendpoint_url = http://127.0.0.1:9\n";
		w.config_error = 0;
		pass(&w, 6 * SECONDS);
		expect_keys(&w, "default", "AKIDENV");
		expect_host(&w, "default", "127.0.0.1:9");
		w.config = broken[i].config;
		w.config_error = broken[i].config_error;
		pass(&w, 61 * SECONDS);
		expect_keys(&w, "default", "AKIDENV");
		expect_host(&w, "default", "127.0.0.1:9");
		expect_trouble(&w, "default", broken[i].trouble);
	}
}

/* It says nothing, which is as good as a file that is empty. */
static void keys_in_the_environment_need_no_file(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	rig_init(&w, NULL, NULL);
	setenv("AWS_ACCESS_KEY_ID", "AKIDENV", 1);
	setenv("AWS_SECRET_ACCESS_KEY", SECRET, 1);
	expect_keys(&w, "default", "AKIDENV");
	expect_host(&w, "default", "lambda.eu-west-3.amazonaws.com");
}

/* A region is recorded with a plan for good: none is better than a wrong one. */
static void a_region_that_cannot_be_told(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	const char *region = "none";
	char error[ERROR_SIZE] = "";
	rig_init(&w, LOCAL, KEYS);
	w.config_error = -EACCES;
	assert_int_equal(accounts_region(w.accounts, "ops", &region, error, sizeof(error)), 1);
	assert_non_null(strstr(error, "/h/config may not be read"));
	assert_string_equal(region, "none");
	w.config_error = 0;
	pass(&w, 6 * SECONDS);
	assert_int_equal(accounts_region(w.accounts, "ops", &region, error, sizeof(error)), 0);
	assert_string_equal(region, "eu-west-3");
	w.config_error = -EACCES;
	pass(&w, 61 * SECONDS);
	assert_int_equal(accounts_region(w.accounts, "ops", &region, error, sizeof(error)), 0);
	assert_string_equal(region, "eu-west-3");
	assert_int_equal(accounts_region(w.accounts, "other", &region, error, sizeof(error)), 1);
}

/* The files could be read, and only keys are missing yet. */
static void a_region_before_there_are_keys(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	const char *region = "none";
	char error[ERROR_SIZE] = "";
	rig_init(&w, "[profile ops]\nregion = eu-west-3\n", NULL);
	assert_int_equal(accounts_region(w.accounts, "ops", &region, error, sizeof(error)), 0);
	assert_string_equal(region, "eu-west-3");
	assert_int_equal(accounts_region(w.accounts, "default", &region, error, sizeof(error)), 0);
	assert_null(region);
	w.config = "[profile op"; /* half of it, or not yet that profile */
	pass(&w, 61 * SECONDS);
	assert_int_equal(accounts_region(w.accounts, "ops", &region, error, sizeof(error)), 1);
	w.config = "[profile other]\nregion = eu-west-1\n";
	pass(&w, 61 * SECONDS);
	assert_int_equal(accounts_region(w.accounts, "ops", &region, error, sizeof(error)), 1);
}

static void an_account_without_a_region_of_its_own(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	const char *region = "none";
	char error[ERROR_SIZE] = "";
	rig_init(&w, "[profile ops]\nservices = x\n[services x]\n", KEYS);
	assert_int_equal(accounts_region(w.accounts, "ops", &region, error, sizeof(error)), 0);
	assert_null(region);
	assert_string_equal(accounts_default_region(w.accounts), "us-east-1");
	/* With one for all accounts the files do not matter. */
	setenv("AWS_REGION", "eu-central-1", 1);
	w.config_error = -EACCES;
	pass(&w, 61 * SECONDS);
	assert_int_equal(accounts_region(w.accounts, "ops", &region, error, sizeof(error)), 0);
	assert_null(region);
	assert_string_equal(accounts_default_region(w.accounts), "eu-central-1");
}

/* Keys of a file that somebody has made anew: the file is read again long before its minute is over. */
static void keys_that_aws_refuses_are_looked_for(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	rig_init(&w, LOCAL, KEYS);
	expect_keys(&w, "ops", "AKIDOPS");
	w.credentials = "[ops]\naws_access_key_id = AKIDNEW\naws_secret_access_key = " SECRET "\n";
	pass(&w, 6 * SECONDS);
	accounts_refused(w.accounts, "ops", "AKIDELSE");
	accounts_refused(w.accounts, "default", "AKIDOPS");
	accounts_refused(w.accounts, "nobody", "AKIDOPS");
	pass(&w, 6 * SECONDS);
	expect_keys(&w, "ops", "AKIDOPS");
	unsigned reads = w.reads;
	accounts_refused(w.accounts, "ops", "AKIDOPS");
	expect_keys(&w, "ops", "AKIDOPS");
	assert_int_equal(w.reads, reads); /* not at each refusal */
	pass(&w, 6 * SECONDS);
	expect_keys(&w, "ops", "AKIDNEW");
	assert_int_equal(w.reads, reads + 2);
}

/* --- sources that change --- */

#define BY_PROGRAM(name, port)                                                                                         \
	"[profile ops]\ncredential_process = " name "\nendpoint_url = http://127.0.0.1:" port "\n"
#define PROCESS_KEYS(id) "{\"Version\":1,\"AccessKeyId\":\"" id "\",\"SecretAccessKey\":\"" SECRET "\"}"
#define ENDING_KEYS(id)                                                                                                \
	"{\"Version\":1,\"AccessKeyId\":\"" id "\",\"SecretAccessKey\":\"" SECRET                                      \
	"\",\"Expiration\":\"2026-11-22T23:10:05Z\"}" /* an hour */

static void expect_pending(struct rig *w, const char *name)
{
	struct aws_credentials keys;
	char error[ERROR_SIZE] = "";
	assert_int_equal(accounts_credentials(w->accounts, name, &keys, error, sizeof(error)), PROVIDER_PENDING);
}

static void ran(struct rig *w, const char *name, int status, const char *text)
{
	const struct provider_output o = {.status = status, .text = text, .len = strlen(text), .complaint = ""};
	assert_string_equal(w->ran, name);
	w->ran[0] = '\0';
	take_ptr(w->ran_cb)(w->ran_arg, &o);
}

static void begin_with_program(struct rig *w, const char *keys)
{
	rig_init(w, BY_PROGRAM("one", "1"), NULL);
	expect_pending(w, "ops");
	ran(w, "one", 0, keys);
	assert_int_equal(w->settled, 1);
	expect_keys(w, "ops", "AKIDONE");
	w->config = BY_PROGRAM("two", "2");
	pass(w, 61 * SECONDS);
}

static void another_source_takes_over_when_it_has_keys(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	begin_with_program(&w, PROCESS_KEYS("AKIDONE"));
	expect_keys(&w, "ops", "AKIDONE");
	expect_host(&w, "ops", "127.0.0.1:1");
	ran(&w, "two", 1, "");
	expect_keys(&w, "ops", "AKIDONE");
	expect_host(&w, "ops", "127.0.0.1:1");
	expect_trouble(&w, "ops", "two ended with status 1");
	pass(&w, 11 * SECONDS);
	accounts_look(w.accounts);
	ran(&w, "two", 0, PROCESS_KEYS("AKIDTWO"));
	expect_host(&w, "ops", "127.0.0.1:2");
	expect_keys(&w, "ops", "AKIDTWO");
	expect_trouble(&w, "ops", "");
}

/* The change is taken back before the other source has given anything. */
static void a_source_that_comes_back_is_the_one_that_was(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	begin_with_program(&w, PROCESS_KEYS("AKIDONE"));
	expect_keys(&w, "ops", "AKIDONE");
	w.config = BY_PROGRAM("one", "3");
	pass(&w, 61 * SECONDS);
	expect_keys(&w, "ops", "AKIDONE");
	expect_host(&w, "ops", "127.0.0.1:3");
	ran(&w, "two", 0, PROCESS_KEYS("AKIDTWO")); /* nobody wants them any more */
	expect_keys(&w, "ops", "AKIDONE");
}

static void old_keys_serve_until_they_end(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	begin_with_program(&w, ENDING_KEYS("AKIDONE"));
	for (int s = 60; s < 3590; s += 10) {
		expect_keys(&w, "ops", "AKIDONE");
		if (w.ran_cb)
			ran(&w, "two", 1, "");
		pass(&w, 10 * SECONDS);
	}
	pass(&w, 10 * SECONDS);
	expect_host(&w, "ops", "127.0.0.1:2");
	expect_pending(&w, "ops");
	ran(&w, "two", 1, "");
	expect_no_keys(&w, "ops", "two ended with status 1");
}

static void old_keys_that_aws_refuses_serve_no_longer(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	begin_with_program(&w, PROCESS_KEYS("AKIDONE"));
	expect_keys(&w, "ops", "AKIDONE");
	accounts_refused(w.accounts, "ops", "AKIDONE");
	expect_host(&w, "ops", "127.0.0.1:2");
	expect_pending(&w, "ops");
	ran(&w, "two", 0, PROCESS_KEYS("AKIDTWO"));
	expect_keys(&w, "ops", "AKIDTWO");
}

/* Files and keys are asked for anew, whatever pause there was; what is there is used meanwhile. */
static void a_reload_keeps_what_is_there(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	begin_with_program(&w, PROCESS_KEYS("AKIDONE"));
	w.config = BY_PROGRAM("one", "1");
	expect_keys(&w, "ops", "AKIDONE");
	assert_string_equal(w.ran, "");
	accounts_renew(w.accounts);
	w.config_error = -EACCES;
	expect_keys(&w, "ops", "AKIDONE");
	expect_trouble(&w, "ops", "/h/config may not be read");
	ran(&w, "one", 1, "");
	expect_keys(&w, "ops", "AKIDONE");
	w.config_error = 0;
	accounts_renew(w.accounts);
	expect_keys(&w, "ops", "AKIDONE");
	expect_trouble(&w, "ops", "one ended with status 1");
	ran(&w, "one", 0, PROCESS_KEYS("AKIDNEW"));
	expect_keys(&w, "ops", "AKIDNEW");
	expect_trouble(&w, "ops", "");
	accounts_renew(w.accounts);
	expect_keys(&w, "ops", "AKIDNEW");
	provider_ran_cb first = take_ptr(w.ran_cb); /* it hangs, is mended, and is run anew */
	void *first_arg = w.ran_arg;
	accounts_renew(w.accounts);
	expect_keys(&w, "ops", "AKIDNEW");
	ran(&w, "one", 0, PROCESS_KEYS("AKIDLAST"));
	expect_keys(&w, "ops", "AKIDLAST");
	first(first_arg, &(struct provider_output){.status = 1, .text = "", .complaint = ""});
	expect_keys(&w, "ops", "AKIDLAST");
}

/* --- trouble that is told --- */

static void trouble_is_told_once_and_when_it_is_over(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	rig_init(&w, LOCAL, KEYS);
	w.config_error = -EACCES;
	accounts_look(w.accounts); /* nobody uses it: nobody has to hear of it */
	assert_int_equal(w.reads, 0);
	expect_no_keys(&w, "ops", "/h/config");
	assert_int_equal(w.told, 1);
	assert_true(w.trouble);
	assert_non_null(strstr(w.words, "account ops: nothing can be signed: /h/config may not be read by this user"));
	for (int i = 0; i < 100; i++) {
		pass(&w, 5 * SECONDS);
		accounts_look(w.accounts);
	}
	assert_int_equal(w.told, 1);
	w.config_error = 0;
	pass(&w, 5 * SECONDS);
	accounts_look(w.accounts);
	assert_int_equal(w.told, 2);
	assert_false(w.trouble);
	assert_string_equal(w.words, "account ops: its AWS keys and settings are good again");
	/* Without any call that would notice. */
	w.config = LOCAL_BUT_NO_SECTION;
	for (int i = 0; i < 13; i++) {
		pass(&w, 5 * SECONDS);
		accounts_look(w.accounts);
	}
	assert_int_equal(w.told, 3);
	assert_non_null(strstr(w.words,
			       "account ops: what was known goes on being used, but there is trouble: the profile "
			       "names [services local]"));
	/* Other words: not at once. */
	w.config_error = -EACCES;
	for (int i = 0; i < 70; i++) {
		pass(&w, 5 * SECONDS);
		accounts_look(w.accounts);
		if (i == 50)
			assert_int_equal(w.told, 3);
	}
	assert_int_equal(w.told, 4);
	assert_non_null(strstr(w.words, "may not be read"));
}

static void a_source_that_fails_is_told(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	struct provider_status status;
	const char *name;
	size_t at = 0;
	rig_init(&w, BY_PROGRAM("one", "1"), NULL);
	assert_false(accounts_next_used(w.accounts, &at, &name, &status));
	expect_pending(&w, "ops");
	assert_int_equal(w.told, 0);
	ran(&w, "one", 1, "");
	assert_int_equal(w.told, 1);
	assert_non_null(strstr(w.words, "account ops: nothing can be signed: credential_process of profile ops"));
	pass(&w, 5 * SECONDS);
	accounts_look(w.accounts);
	ran(&w, "one", 0, ENDING_KEYS("AKIDONE"));
	assert_int_equal(w.told, 2);
	assert_false(w.trouble);
	at = 0;
	assert_true(accounts_next_used(w.accounts, &at, &name, &status));
	assert_string_equal(name, "ops");
	assert_true(status.has_keys);
	assert_int_equal(status.expires_unix_ms, START + 60 * MINUTES);
	assert_false(accounts_next_used(w.accounts, &at, &name, &status));
}

static void an_account_that_nobody_named(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	rig_init(&w, LOCAL, KEYS);
	expect_no_keys(&w, "other", "rolloutd.yaml has no account 'other'");
	expect_no_host(&w, "other", "rolloutd.yaml has no account 'other'");
	assert_false(accounts_known(w.accounts, "other"));
	assert_true(accounts_known(w.accounts, "default"));
	assert_string_equal(accounts_name(w.accounts, 0), "ops");
	assert_null(accounts_name(w.accounts, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_file_that_is_half_there_changes_nothing),
	    cmocka_unit_test(nothing_is_sent_anywhere_before_the_files_could_be_read),
	    cmocka_unit_test(a_setting_that_was_always_wrong_is_told),
	    cmocka_unit_test(keys_in_the_environment_do_not_excuse_a_broken_file),
	    cmocka_unit_test(keys_in_the_environment_need_no_file),
	    cmocka_unit_test(a_region_that_cannot_be_told),
	    cmocka_unit_test(a_region_before_there_are_keys),
	    cmocka_unit_test(an_account_without_a_region_of_its_own),
	    cmocka_unit_test(keys_that_aws_refuses_are_looked_for),
	    cmocka_unit_test(another_source_takes_over_when_it_has_keys),
	    cmocka_unit_test(a_source_that_comes_back_is_the_one_that_was),
	    cmocka_unit_test(old_keys_serve_until_they_end),
	    cmocka_unit_test(old_keys_that_aws_refuses_serve_no_longer),
	    cmocka_unit_test(a_reload_keeps_what_is_there),
	    cmocka_unit_test(trouble_is_told_once_and_when_it_is_over),
	    cmocka_unit_test(a_source_that_fails_is_told),
	    cmocka_unit_test(an_account_that_nobody_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
