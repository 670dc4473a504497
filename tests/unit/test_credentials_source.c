/* The chain: which source of keys an environment and two files mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "credentials/place.h"
#include "credentials/source.h"

#define ROLE   "arn:aws:iam::123456789012:role/"
#define SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

/* Lines of NAME=value. */
static const char *look_up(void *ctx, const char *name)
{
	static char values[32][512]; /* as many as one resolution asks for */
	static unsigned next;
	char *value = values[next++ % array_len(values)];
	size_t len = strlen(name);
	for (const char *line = ctx; line && *line; line += strcspn(line, "\n"), line += *line == '\n') {
		if (strncmp(line, name, len) != 0 || line[len] != '=')
			continue;
		size_t n = strcspn(line + len + 1, "\n");
		memcpy(value, line + len + 1, n);
		value[n] = '\0';
		return value;
	}
	return NULL;
}

struct chain {
	const char *env;
	const char *credentials; /* NULL: no such file */
	const char *config;
	const char *profile;
	const char *role_arn;
};

static int resolve(const struct chain *c, struct source **ret, char error[static 1024])
{
	struct profiles *p = NULL;
	const struct profiles_text files[] = {
	    [PROFILES_CREDENTIALS] = {"/h/credentials", c->credentials, c->credentials ? strlen(c->credentials) : 0,
				      "does not exist"},
	    [PROFILES_CONFIG] = {"/h/config", c->config, c->config ? strlen(c->config) : 0, "does not exist"},
	};
	error[0] = '\0';
	assert_int_equal(profiles_parse(files, &p, error, 1024), 0);
	const struct source_request request = {
	    .lookup = look_up,
	    .lookup_ctx = (void *)c->env,
	    .profiles = p,
	    .profile = c->profile,
	    .role_arn = c->role_arn,
	    .external_id = c->role_arn ? "ext" : NULL,
	};
	int r = source_resolve(&request, ret, error, 1024);
	profiles_free(p);
	return r;
}

static void add_source(struct buf *out, const struct source *s)
{
	static const char *const kinds[] = {"static", "role", "web", "sso", "process", "container", "instance"};
	buf_add_text(out, kinds[s->kind]);
	const char *details[] = {s->keys.access_key_id, s->role_arn, s->command ? s->command[0] : NULL, s->role_name,
				 s->url};
	for (size_t i = 0; i < array_len(details); i++)
		if (details[i])
			buf_addf(out, " %s", details[i]);
	if (s->source) {
		buf_add_text(out, " < ");
		add_source(out, s->source);
	}
}

static void expect(const struct chain *c, const char *wanted)
{
	char error[1024];
	struct source *s cleanup(source_free_p) = NULL;
	struct buf out cleanup(buf_deinit) = BUF_INIT(1024);
	if (resolve(c, &s, error))
		fail_msg("%s: %s", wanted, error);
	add_source(&out, s);
	assert_string_equal(buf_text(&out), wanted);
	assert_non_null(s->text);
	assert_null(strstr(s->text, SECRET));
	assert_true(source_equal(s, s));
}

static void expect_broken(const struct chain *c, const char *needle)
{
	char error[1024];
	struct source *s = NULL;
	if (resolve(c, &s, error) == 0)
		fail_msg("%s: found %s", needle, s->text);
	if (!strstr(error, needle))
		fail_msg("%s: %s", needle, error);
	assert_null(strstr(error, SECRET));
}

#define ENV_KEYS  "AWS_ACCESS_KEY_ID=ENV\nAWS_SECRET_ACCESS_KEY=" SECRET "\n"
#define CONTAINER "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/x\n"
#define WEB	  "AWS_WEB_IDENTITY_TOKEN_FILE=/t\nAWS_ROLE_ARN=" ROLE "web\n"
#define KEYS(id)  "aws_access_key_id = " id "\naws_secret_access_key = " SECRET "\n"
#define SSO	  "sso_start_url = https://s\nsso_region = eu-west-1\nsso_account_id = 1\nsso_role_name = R\n"
#define PROCESS	  "credential_process = /bin/keys --now\n"
#define ASSUME	  "role_arn = " ROLE "r\nsource_profile = base\n"

/* Each step of the order is taken away in turn, and what comes next is what holds then. */
static void the_order_of_sources(void **state)
{
	(void)state;
	static const char *const base = "[profile base]\n" KEYS("BASE");
	struct chain c = {.env = "HOME=/h\n" ENV_KEYS WEB CONTAINER, .credentials = "[default]\n" KEYS("FILE")};
	char *config = mem_printf("%s[default]\n%s%s%s%s", base, ASSUME, SSO, PROCESS, KEYS("CONFIG"));
	c.config = config;
	expect(&c, "static ENV");
	c.env = "HOME=/h\n" WEB CONTAINER;
	expect(&c, "role " ROLE "r < static BASE");
	free(config);

	c.config = config = mem_printf("%s[default]\n%s%s%s", base, SSO, PROCESS, KEYS("CONFIG"));
	expect(&c, "web " ROLE "web");
	c.env = "HOME=/h\n" CONTAINER;
	expect(&c, "sso R");
	free(config);

	c.config = config = mem_printf("%s[default]\n%s%s", base, PROCESS, KEYS("CONFIG"));
	expect(&c, "static FILE");
	c.credentials = NULL;
	expect(&c, "process /bin/keys");
	free(config);

	c.config = "[default]\n" KEYS("CONFIG");
	expect(&c, "static CONFIG");
	c.config = "[default]\nregion = r\n";
	expect(&c, "container http://169.254.170.2/v2/x");
	c.env = "HOME=/h\n";
	expect(&c, "instance http://169.254.169.254");
	c.env = "AWS_EC2_METADATA_DISABLED=True\n";
	expect_broken(&c, "no AWS keys were found: give a profile some, or let the instance be asked, which "
			  "AWS_EC2_METADATA_DISABLED forbids; looked at: AWS_ACCESS_KEY_ID is not set, "
			  "/h/credentials does not exist, /h/config has no keys for profile \"default\"");
}

static void a_named_profile(void **state)
{
	(void)state;
	struct chain c = {.env = ENV_KEYS WEB, .credentials = "[default]\n" KEYS("D") "[prod]\n" KEYS("P")};
	c.profile = "prod";
	expect(&c, "static P"); /* goes before the environment */
	c.profile = NULL;
	c.env = ENV_KEYS "AWS_PROFILE=prod\n";
	expect(&c, "static ENV"); /* chosen by the environment, it does not */
	c.env = "AWS_PROFILE=prod\n";
	expect(&c, "static P");
	c.env = "AWS_DEFAULT_PROFILE=prod\n";
	expect(&c, "static P");
	c.env = "AWS_PROFILE=nobody\n";
	expect_broken(&c, "there is no profile \"nobody\"");
	c.env = ENV_KEYS CONTAINER;
	c.profile = "nobody";
	expect_broken(&c, "there is no profile \"nobody\"");
	c.profile = "empty";
	c.config = "[profile empty]\nregion = x\n";
	expect(&c, "container http://169.254.170.2/v2/x");
}

static void keys_in_halves(void **state)
{
	(void)state;
	expect_broken(&(struct chain){.env = "AWS_ACCESS_KEY_ID=A\n", .credentials = "[default]\n" KEYS("D")},
		      "AWS_SECRET_ACCESS_KEY is not");
	expect_broken(
	    &(struct chain){.credentials = "[default]\naws_access_key_id = A\n", .config = "[default]\n" PROCESS},
	    "/h/credentials: profile \"default\": aws_access_key_id is set but aws_secret_access_key is not");
	/* The halves do not add up over two files. */
	expect_broken(&(struct chain){.config = "[default]\naws_access_key_id = A\n",
				      .credentials = "[default]\naws_secret_access_key = " SECRET "\n"},
		      "/h/credentials: profile \"default\": aws_secret_access_key is set but");
}

static void roles_from_profiles(void **state)
{
	(void)state;
	expect(&(struct chain){.config =
				   "[default]\nrole_arn = " ROLE "a\nsource_profile = b\n[profile b]\nrole_arn = " ROLE
				   "b\nsource_profile = c\n",
			       .credentials = "[c]\n" KEYS("C")},
	       "role " ROLE "a < role " ROLE "b < static C");
	/* With its own keys. */
	expect(&(struct chain){.config = "[default]\nrole_arn = " ROLE "a\nsource_profile = default\n" KEYS("OWN")},
	       "role " ROLE "a < static OWN");
	/* A source's keys go before the role that it could assume. */
	expect(&(struct chain){.config =
				   "[default]\nrole_arn = " ROLE "a\nsource_profile = b\n[profile b]\nrole_arn = " ROLE
				   "b\nsource_profile = c\n" KEYS("B")},
	       "role " ROLE "a < static B");
	expect(&(struct chain){.env = WEB,
			       .config = "[default]\nrole_arn = " ROLE "a\nsource_profile = b\n[profile b]\n"
					 "web_identity_token_file = /u\nrole_arn = " ROLE "b\n"},
	       "role " ROLE "a < web " ROLE "b");
	expect(&(struct chain){.config = "[default]\nrole_arn = " ROLE "a\nsource_profile = b\n[profile b]\n" PROCESS},
	       "role " ROLE "a < process /bin/keys");
	expect(&(struct chain){.env = ENV_KEYS,
			       .profile = "x",
			       .config = "[profile x]\nrole_arn = " ROLE "a\ncredential_source = Environment\n"},
	       "role " ROLE "a < static ENV");
	expect(&(struct chain){.env = CONTAINER,
			       .config = "[default]\nrole_arn = " ROLE "a\ncredential_source = EcsContainer\n"},
	       "role " ROLE "a < container http://169.254.170.2/v2/x");
	expect(&(struct chain){.config = "[default]\nrole_arn = " ROLE "a\ncredential_source = Ec2InstanceMetadata\n"},
	       "role " ROLE "a < instance http://169.254.169.254");
	/* What rolloutd.yaml asks for comes on top. */
	expect(&(struct chain){.env = ENV_KEYS, .role_arn = ROLE "mine"}, "role " ROLE "mine < static ENV");
}

static void what_a_role_is_asked_with(void **state)
{
	(void)state;
	char error[1024];
	struct source *s cleanup(source_free_p) = NULL, *t cleanup(source_free_p) = NULL;
	struct chain c = {.env = "AWS_REGION=eu-west-3\n",
			  .config = "[default]\nregion = eu-west-1\n" ASSUME "external_id = e\nrole_session_name = n\n"
				    "duration_seconds = 3600\n[profile base]\n" KEYS("B")};
	assert_int_equal(resolve(&c, &s, error), 0);
	assert_string_equal(s->external_id, "e");
	assert_string_equal(s->session_name, "n");
	assert_int_equal(s->duration_s, 3600);
	assert_string_equal(s->region, "eu-west-3");
	assert_string_equal(s->text, "role " ROLE "r from profile base of /h/config");
	c.env = "";
	assert_int_equal(resolve(&c, &t, error), 0);
	assert_string_equal(t->region, "eu-west-1");
	assert_false(source_equal(s, t));
}

static void roles_that_cannot_be_assumed(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
	    {"[default]\nrole_arn = r\n", "neither source_profile nor credential_source"},
	    {"[default]\nrole_arn = r\nsource_profile = a\ncredential_source = Environment\n", "has both"},
	    {"[default]\nrole_arn = r\nsource_profile = a\n", "source_profile names \"a\", which does not exist"},
	    {"[default]\nrole_arn = r\nsource_profile = a\n[profile a]\n", "its source_profile \"a\" has no keys"},
	    {"[default]\nrole_arn = r\nsource_profile = default\n", "leads back to \"default\""},
	    {"[default]\nrole_arn = r\nsource_profile = a\n[profile a]\nrole_arn = s\nsource_profile = default\n",
	     "/h/config: profile \"a\": source_profile leads back to \"default\""},
	    {"[default]\nrole_arn = r\ncredential_source = environment\n", "is neither Environment"},
	    {"[default]\nrole_arn = r\ncredential_source = Environment\n", "AWS_ACCESS_KEY_ID is not set"},
	    {"[default]\nrole_arn = r\ncredential_source = EcsContainer\n", "_FULL_URI are not set"},
	    {"[default]\nrole_arn = r\nsource_profile = a\nmfa_serial = m\n[profile a]\n" KEYS("A"), "mfa_serial"},
	    {"[default]\nrole_arn = r\nsource_profile = a\nduration_seconds = 1h\n[profile a]\n" KEYS("A"),
	     "duration_seconds is no number from 900"},
	    {"[default]\nweb_identity_token_file = f\n", "web_identity_token_file but no role_arn"},
	    {"[default]\nlogin_session = x\n", "login_session"},
	    {"[default]\ncredential_process = 'a\n", "a quote that is not closed"},
	    {"[default]\ncredential_process = ''\n", "names no program"},
	    {"[default]\nsso_role_name = r\n", "no sso_account_id"},
	    {"[default]\nsso_role_name = r\nsso_account_id = 1\nsso_session = s\n", "add [sso-session s]"},
	    {"[default]\nsso_role_name = r\nsso_account_id = 1\nsso_session = s\nsso_region = a\nsso_start_url = u\n"
	     "[sso-session s]\nsso_region = b\n",
	     "do not say the same for sso_region"},
	};
	for (size_t i = 0; i < array_len(cases); i++)
		expect_broken(&(struct chain){.env = "HOME=/h\n", .config = cases[i][0]}, cases[i][1]);
	expect_broken(&(struct chain){.env = "AWS_WEB_IDENTITY_TOKEN_FILE=/t\n"}, "AWS_ROLE_ARN is not");

	struct buf long_chain cleanup(buf_deinit) = BUF_INIT(4096);
	for (int i = 0; i < 12; i++)
		buf_addf(&long_chain, "[profile p%d]\nrole_arn = r\nsource_profile = p%d\n", i, i + 1);
	buf_add_text(&long_chain, "[profile p12]\n" KEYS("A"));
	expect_broken(&(struct chain){.profile = "p0", .config = buf_text(&long_chain)}, "more than 8 roles");
}

static void an_sso_token_is_looked_for_by_its_hash(void **state)
{
	(void)state;
	char error[1024];
	struct source *by_url cleanup(source_free_p) = NULL, *by_session cleanup(source_free_p) = NULL;
	assert_int_equal(resolve(&(struct chain){.env = "HOME=/h\n", .config = "[default]\n" SSO}, &by_url, error), 0);
	/* sha1("https://s") and sha1("corp") */
	assert_string_equal(by_url->token_file, "/h/.aws/sso/cache/9ea3c043881f6bad486147713ae23b0b566d0360.json");
	assert_int_equal(resolve(&(struct chain){.env = "HOME=/h\n",
						 .config = "[default]\nsso_session = corp\nsso_account_id = 1\n"
							   "sso_role_name = R\n[sso-session corp]\n"
							   "sso_start_url = https://s\nsso_region = eu-west-1\n"},
				 &by_session, error),
			 0);
	assert_string_equal(by_session->token_file, "/h/.aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json");
	assert_string_equal(by_session->region, "eu-west-1");
	expect_broken(&(struct chain){.env = "", .config = "[default]\n" SSO}, "HOME is not set");
}

static void addresses_of_containers_and_instances(void **state)
{
	(void)state;
	static const char *const good[] = {"http://169.254.170.2/v2",	"http://169.254.170.23/v1/credentials",
					   "http://[fd00:ec2::23]/v1",	"http://localhost:8080/x",
					   "http://127.9.9.9:1",	"http://[::1]:80/x?y",
					   "https://keys.example.com/a"};
	static const char *const bad[] = {"http://169.254.170.3/v2",
					  "http://example.com/",
					  "http://127.0.0.1.example.com/",
					  "http://127.1/",
					  "http://169.254.169.254/",
					  "ftp://127.0.0.1/",
					  "http://",
					  "http://127.0.0.1:x/",
					  "http://u@127.0.0.1/",
					  "http://127.0.0.1/ x",
					  "http://[::1/",
					  "http://127.0.0.256/"};
	for (size_t i = 0; i < array_len(good); i++)
		if (place_check_container(good[i]))
			fail_msg("%s %s", good[i], place_check_container(good[i]));
	for (size_t i = 0; i < array_len(bad); i++)
		if (!place_check_container(bad[i]))
			fail_msg("%s is taken", bad[i]);
	assert_null(place_check_instance("http://169.254.169.254"));
	assert_null(place_check_instance("http://[fd00:ec2::254]/"));
	assert_non_null(place_check_instance("http://10.0.0.1/"));
	expect_broken(&(struct chain){.env = "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://example.com/"},
		      "AWS_CONTAINER_CREDENTIALS_FULL_URI is unusable: it is http to another machine");
	expect_broken(&(struct chain){.env = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=x"}, "does not begin with '/'");
	/* The relative one goes first. */
	expect(&(struct chain){.env = CONTAINER "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://example.com/\n"},
	       "container http://169.254.170.2/v2/x");
	expect(&(struct chain){.env = "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE=IPv6\n"},
	       "instance http://[fd00:ec2::254]");
	expect(&(struct chain){.config = "[default]\nec2_metadata_service_endpoint = http://127.0.0.1:99/\n"},
	       "instance http://127.0.0.1:99");
	expect_broken(&(struct chain){.env = "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE=ipv5\n"}, "neither ipv4 nor ipv6");
	/* More than is waited for is not one second, or one try. */
	expect(&(struct chain){.env = "AWS_METADATA_SERVICE_TIMEOUT=60\nAWS_METADATA_SERVICE_NUM_ATTEMPTS=10\n"},
	       "instance http://169.254.169.254");
	expect_broken(
	    &(struct chain){.env = "AWS_METADATA_SERVICE_NUM_ATTEMPTS=11\n"},
	    "AWS_METADATA_SERVICE_NUM_ATTEMPTS (metadata_service_num_attempts) is no whole number from 1 to 10");
	expect_broken(&(struct chain){.env = "AWS_METADATA_SERVICE_TIMEOUT=0\n"},
		      "AWS_METADATA_SERVICE_TIMEOUT (metadata_service_timeout) is no whole number from 1 to 60");
	expect_broken(&(struct chain){.env = "", .config = "[default]\nmetadata_service_timeout = 2.5\n"},
		      "(metadata_service_timeout) is no whole number from 1 to 60");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_order_of_sources),
	    cmocka_unit_test(a_named_profile),
	    cmocka_unit_test(keys_in_halves),
	    cmocka_unit_test(roles_from_profiles),
	    cmocka_unit_test(what_a_role_is_asked_with),
	    cmocka_unit_test(roles_that_cannot_be_assumed),
	    cmocka_unit_test(an_sso_token_is_looked_for_by_its_hash),
	    cmocka_unit_test(addresses_of_containers_and_instances),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
