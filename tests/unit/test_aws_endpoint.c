/* Hosts by region, as botocore has them (tests/vectors/endpoints.json), and endpoints that are configured. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "aws/endpoint.h"

#define in_env(names) ((struct endpoint_settings){.env = fake_lookup, .env_ctx = (void *)(names)})

static const char *fake_lookup(void *ctx, const char *name)
{
	for (const char *const *e = ctx; *e; e += 2)
		if (strcmp(e[0], name) == 0)
			return e[1];
	return NULL;
}

static void expect(const char *const *env, enum aws_service service, const char *region, const char *scheme,
		   const char *host, const char *base_path)
{
	struct aws_endpoint e;
	char error[256] = "";
	if (endpoint_resolve(&in_env(env), service, region, &e, error, sizeof(error)))
		fail_msg("%s: %s", host, error);
	assert_string_equal(e.scheme, scheme);
	assert_string_equal(e.host, host);
	assert_string_equal(e.base_path, base_path);
}

static void hosts_by_region(void **state)
{
	(void)state;
	const char *const none[] = {NULL};
	expect(none, AWS_LAMBDA, "us-east-1", "https", "lambda.us-east-1.amazonaws.com", "");
	expect(none, AWS_CLOUDWATCH, "eu-west-1", "https", "monitoring.eu-west-1.amazonaws.com", "");
	expect(none, AWS_APIGATEWAY, "ap-northeast-1", "https", "apigateway.ap-northeast-1.amazonaws.com", "");
	expect(none, AWS_STS, "us-west-2", "https", "sts.us-west-2.amazonaws.com", "");
	expect(none, AWS_LAMBDA, "cn-north-1", "https", "lambda.cn-north-1.amazonaws.com.cn", "");
	expect(none, AWS_CLOUDWATCH, "us-gov-west-1", "https", "monitoring.us-gov-west-1.amazonaws.com", "");
	expect(none, AWS_LAMBDA, "eusc-de-east-1", "https", "lambda.eusc-de-east-1.amazonaws.eu", "");
	expect(none, AWS_LAMBDA, "us-iso-east-1", "https", "lambda.us-iso-east-1.c2s.ic.gov", "");
	expect(none, AWS_LAMBDA, "us-isob-east-1", "https", "lambda.us-isob-east-1.sc2s.sgov.gov", "");
}

/* --- against botocore --- */

static void expect_host(const char *partition, const char *service, const char *region, const char *pattern, bool fips,
			bool dualstack)
{
	const char *const env[] = {"AWS_USE_FIPS_ENDPOINT", fips ? "true" : "false", "AWS_USE_DUALSTACK_ENDPOINT",
				   dualstack ? "true" : "false", NULL};
	const char *at = strstr(pattern, "{region}");
	assert_non_null(at);
	char host[256];
	snprintf(host, sizeof(host), "%.*s%s%s", (int)(at - pattern), pattern, region, at + strlen("{region}"));
	assert_string_equal(endpoint_partition(region), partition);
	for (enum aws_service s = 0; s < AWS_N_SERVICES; s++)
		if (strcmp(endpoint_service_name(s), service) == 0)
			expect(env, s, region, "https", host, "");
}

static void hosts_are_botocores(void **state)
{
	(void)state;
	json_t *vectors = json_load_file("tests/vectors/endpoints.json", 0, NULL), *entry, *hosts, *region;
	const char *partition, *service;
	size_t r, compared = 0;
	assert_non_null(vectors);
	json_object_foreach(json_object_get(vectors, "partitions"), partition, entry)
	{
		assert_int_equal(json_object_size(json_object_get(entry, "hosts")), AWS_N_SERVICES);
		json_object_foreach(json_object_get(entry, "hosts"), service, hosts) json_array_foreach(
		    json_object_get(entry, "regions"), r, region) for (size_t n = 0; n < 4; n++, compared++)
		    expect_host(partition, service, json_string_value(region),
				json_string_value(json_array_get(hosts, n)), n & 2, n & 1);
	}
	assert_true(compared > 800);
	json_decref(vectors);
}

static void fips_and_dualstack(void **state)
{
	(void)state;
	const char *const fips[] = {"AWS_USE_FIPS_ENDPOINT", "true", NULL};
	const char *const dual[] = {"AWS_USE_DUALSTACK_ENDPOINT", "True", NULL};
	const char *const both[] = {"AWS_USE_FIPS_ENDPOINT", "TRUE", "AWS_USE_DUALSTACK_ENDPOINT", "true", NULL};
	const char *const off[] = {"AWS_USE_FIPS_ENDPOINT", "false", "AWS_USE_DUALSTACK_ENDPOINT", "", NULL};
	expect(fips, AWS_LAMBDA, "us-east-1", "https", "lambda-fips.us-east-1.amazonaws.com", "");
	expect(dual, AWS_LAMBDA, "us-east-1", "https", "lambda.us-east-1.api.aws", "");
	expect(both, AWS_LAMBDA, "us-east-1", "https", "lambda-fips.us-east-1.api.aws", "");
	expect(off, AWS_LAMBDA, "us-east-1", "https", "lambda.us-east-1.amazonaws.com", "");
	expect(dual, AWS_STS, "cn-north-1", "https", "sts.cn-north-1.api.amazonwebservices.com.cn", "");
	/* GovCloud */
	expect(fips, AWS_LAMBDA, "us-gov-west-1", "https", "lambda-fips.us-gov-west-1.amazonaws.com", "");
	expect(fips, AWS_CLOUDWATCH, "us-gov-west-1", "https", "monitoring.us-gov-west-1.amazonaws.com", "");
	expect(both, AWS_CLOUDWATCH, "us-gov-west-1", "https", "monitoring.us-gov-west-1.api.aws", "");
	expect(fips, AWS_STS, "us-gov-west-1", "https", "sts.us-gov-west-1.amazonaws.com", "");
	expect(both, AWS_STS, "us-gov-west-1", "https", "sts-fips.us-gov-west-1.api.aws", "");
}

static void configured_endpoints(void **state)
{
	(void)state;
	const char *const env[] = {"AWS_ENDPOINT_URL_LAMBDA",
				   "http://127.0.0.1:4599",
				   "AWS_ENDPOINT_URL_CLOUDWATCH",
				   "",
				   "AWS_ENDPOINT_URL_API_GATEWAY",
				   "HTTPS://Gateway.Example.com:443/a/b/",
				   "AWS_ENDPOINT_URL",
				   "https://[2001:DB8::1]:8443/",
				   NULL};
	expect(env, AWS_LAMBDA, "us-east-1", "http", "127.0.0.1:4599", "");
	expect(env, AWS_CLOUDWATCH, "us-east-1", "https", "[2001:db8::1]:8443", "");
	expect(env, AWS_APIGATEWAY, "us-east-1", "https", "gateway.example.com", "/a/b");
	expect(env, AWS_STS, "us-east-1", "https", "[2001:db8::1]:8443", "");

	const char *const ignored[] = {"AWS_ENDPOINT_URL_LAMBDA",
				       "http://127.0.0.1:4599",
				       "AWS_ENDPOINT_URL",
				       "nonsense",
				       "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
				       "true",
				       NULL};
	expect(ignored, AWS_LAMBDA, "us-east-1", "https", "lambda.us-east-1.amazonaws.com", "");
	const char *const not_ignored[] = {"AWS_ENDPOINT_URL", "https://x", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
					   "truely", NULL};
	expect(not_ignored, AWS_LAMBDA, "us-east-1", "https", "x", "");
}

/* --- profiles --- */

struct fake_profile {
	const char *const *env;
	const char *const *profile;
	const char *const *services; /* "id.key" */
};

static const char *fake_profile_get(void *ctx, const char *key)
{
	const struct fake_profile *p = ctx;
	return fake_lookup((void *)p->profile, key);
}

static const char *fake_service_get(void *ctx, const char *service_id, const char *key)
{
	const struct fake_profile *p = ctx;
	char name[64];
	snprintf(name, sizeof(name), "%s.%s", service_id, key);
	return fake_lookup((void *)p->services, name);
}

static bool fake_has_services(void *ctx, const char *name)
{
	(void)ctx;
	return strcmp(name, "mine") == 0;
}

static struct endpoint_settings settings_of(const struct fake_profile *p)
{
	return (struct endpoint_settings){.env = fake_lookup,
					  .env_ctx = (void *)p->env,
					  .profile_get = fake_profile_get,
					  .service_get = fake_service_get,
					  .has_services = fake_has_services,
					  .ctx = (void *)p};
}

static void expect_with(const struct fake_profile *p, enum aws_service service, const char *host)
{
	const struct endpoint_settings settings = settings_of(p);
	struct aws_endpoint e;
	char error[256] = "";
	if (endpoint_resolve(&settings, service, "us-east-1", &e, error, sizeof(error)))
		fail_msg("%s: %s", host, error);
	assert_string_equal(e.host, host);
}

/* A name that leads nowhere is a mistake, and AWS itself not what was meant. What goes before it still counts. */
static void a_section_that_is_not_there(void **state)
{
	(void)state;
	const char *const none[] = {NULL};
	const char *const there[] = {"services", "mine", NULL};
	const char *const missing[] = {"services", "mien", "endpoint_url", "https://profile", NULL};
	const char *const ignored[] = {"services", "mien", "ignore_configured_endpoint_urls", "true", NULL};
	const char *const of_all[] = {"AWS_ENDPOINT_URL", "https://env", NULL};
	struct fake_profile p = {none, there, none};
	expect_with(&p, AWS_LAMBDA, "lambda.us-east-1.amazonaws.com");
	p.profile = ignored;
	expect_with(&p, AWS_LAMBDA, "lambda.us-east-1.amazonaws.com");
	p.profile = missing;
	struct endpoint_settings settings = settings_of(&p);
	struct aws_endpoint e;
	char error[256] = "";
	assert_int_equal(endpoint_resolve(&settings, AWS_LAMBDA, "us-east-1", &e, error, sizeof(error)), 1);
	assert_string_equal(error, "the profile names [services mien], which the AWS config file does not have");
	p.env = of_all;
	expect_with(&p, AWS_LAMBDA, "env");
}

static void the_nearest_setting_counts(void **state)
{
	(void)state;
	const char *const none[] = {NULL};
	const char *const of_lambda[] = {"AWS_ENDPOINT_URL_LAMBDA", "https://env-lambda", NULL};
	const char *const of_all[] = {"AWS_ENDPOINT_URL", "https://env", NULL};
	const char *const profile[] = {"endpoint_url", "https://profile", NULL};
	const char *const section[] = {"lambda.endpoint_url",
				       "https://section-lambda",
				       "api_gateway.endpoint_url",
				       "https://section-rest",
				       "apigatewayv2.endpoint_url",
				       "https://section-http",
				       NULL};
	struct fake_profile p = {of_lambda, profile, section};
	expect_with(&p, AWS_LAMBDA, "env-lambda");
	expect_with(&p, AWS_CLOUDWATCH, "profile");
	expect_with(&p, AWS_APIGATEWAY, "section-rest");
	expect_with(&p, AWS_APIGATEWAY_V2, "section-http");
	p.env = of_all;
	expect_with(&p, AWS_LAMBDA, "env");
	expect_with(&p, AWS_STS, "env");
	p.env = none;
	expect_with(&p, AWS_LAMBDA, "section-lambda");
	expect_with(&p, AWS_STS, "profile");
	p.services = none;
	expect_with(&p, AWS_LAMBDA, "profile");

	const char *const ignoring[] = {"endpoint_url", "https://profile", "ignore_configured_endpoint_urls", "true",
					NULL};
	p = (struct fake_profile){of_lambda, ignoring, section};
	expect_with(&p, AWS_LAMBDA, "lambda.us-east-1.amazonaws.com");
	const char *const heeding[] = {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "false", NULL};
	p.env = heeding;
	expect_with(&p, AWS_LAMBDA, "section-lambda");
}

static void profiles_have_switches(void **state)
{
	(void)state;
	const char *const none[] = {NULL};
	const char *const on[] = {"use_fips_endpoint", "true", "use_dualstack_endpoint", "True", NULL};
	const char *const off[] = {"AWS_USE_FIPS_ENDPOINT", "false", NULL};
	struct fake_profile p = {none, on, none};
	expect_with(&p, AWS_LAMBDA, "lambda-fips.us-east-1.api.aws");
	p.env = off;
	expect_with(&p, AWS_LAMBDA, "lambda.us-east-1.api.aws");
}

static void a_broken_setting_is_named(void **state)
{
	(void)state;
	const char *const none[] = {NULL};
	const char *const profile[] = {"endpoint_url", "http://example.com/SECRET", NULL};
	const char *const section[] = {"cloudwatch.endpoint_url", "https://user:SECRET@x", NULL};
	const struct fake_profile p = {none, profile, section};
	const struct endpoint_settings settings = settings_of(&p);
	struct aws_endpoint e;
	char error[256];
	assert_int_equal(endpoint_resolve(&settings, AWS_LAMBDA, "us-east-1", &e, error, sizeof(error)), 1);
	assert_non_null(strstr(error, "the profile's endpoint_url"));
	assert_null(strstr(error, "SECRET"));
	assert_int_equal(endpoint_resolve(&settings, AWS_CLOUDWATCH, "us-east-1", &e, error, sizeof(error)), 1);
	assert_non_null(strstr(error, "endpoint_url of cloudwatch in the profile's [services] section"));
	assert_null(strstr(error, "SECRET"));
}

static void regions_come_in_order(void **state)
{
	(void)state;
	const char *const none[] = {NULL};
	const char *const env[] = {"AWS_REGION", "a", "AWS_DEFAULT_REGION", "b", NULL};
	const char *const profile[] = {"region", "c", NULL};
	struct fake_profile p = {env, profile, none};
	struct endpoint_settings settings = settings_of(&p);
	assert_string_equal(endpoint_region(&settings), "a");
	p.env = env + 2;
	settings = settings_of(&p);
	assert_string_equal(endpoint_region(&settings), "b");
	p.env = none;
	settings = settings_of(&p);
	assert_string_equal(endpoint_region(&settings), "c");
	p.profile = none;
	assert_null(endpoint_region(&settings));
}

static void plain_http_is_for_loopback(void **state)
{
	(void)state;
	static const char *const good[] = {"http://localhost:1", "http://LOCALHOST:1", "http://127.0.0.1:1",
					   "http://127.255.255.254:1", "http://[::1]:1"};
	static const char *const bad[] = {
	    "http://example.com", "http://10.0.0.1",	   "http://127.0.0.1.example.com",
	    "http://127.0.0.256", "http://127.0.0",	   "http://127.0.0.1.",
	    "http://127.1",	  "http://localhost.evil", "http://[::2]",
	    "http://128.0.0.1",	  "http://0127.0.0.1",	   "http://127.0.0.0001",
	};
	struct aws_endpoint e;
	char error[256];
	for (size_t i = 0; i < array_len(good); i++) {
		const char *const env[] = {"AWS_ENDPOINT_URL", good[i], NULL};
		assert_int_equal(endpoint_resolve(&in_env(env), AWS_LAMBDA, "us-east-1", &e, error, sizeof(error)), 0);
	}
	for (size_t i = 0; i < array_len(bad); i++) {
		const char *const env[] = {"AWS_ENDPOINT_URL", bad[i], NULL};
		if (!endpoint_resolve(&in_env(env), AWS_LAMBDA, "us-east-1", &e, error, sizeof(error)))
			fail_msg("taken: %s", bad[i]);
		assert_non_null(strstr(error, "loopback"));
	}
}

static void bad_urls_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {
	    "nonsense",
	    "ftp://x",
	    "httpx://x",
	    "://x",
	    "https://",
	    "https:///path",
	    "https://:443",
	    "https://x:",
	    "https://x:0",
	    "https://x:65536",
	    "https://x:12a",
	    "https://x:1:2",
	    "https://x?y",
	    "https://x#y",
	    "https://user:SECRET@x",
	    "https://x y",
	    "https://x\ty",
	    "https://\xc3\xbc.example",
	    "https://x\"y",
	    "https://[::1",
	    "https://[::1]x",
	    "https://a,b",
	    "https://[]",
	    "https://[::g]",
	    "https://[[::1]",
	    "https://x[::1]",
	};
	for (size_t i = 0; i < array_len(bad); i++) {
		const char *const env[] = {"AWS_ENDPOINT_URL_LAMBDA", bad[i], NULL};
		struct aws_endpoint e = {.host = "untouched"};
		char error[256];
		if (!endpoint_resolve(&in_env(env), AWS_LAMBDA, "us-east-1", &e, error, sizeof(error)))
			fail_msg("taken: %s", bad[i]);
		assert_non_null(strstr(error, "AWS_ENDPOINT_URL_LAMBDA"));
		assert_null(strstr(error, "SECRET"));
		assert_string_equal(e.host, "untouched");
	}
}

static void long_urls_are_refused(void **state)
{
	(void)state;
	char host[400] = "https://";
	memset(host + 8, 'h', 300);
	char path[400] = "https://x/";
	memset(path + 10, 'p', 200);
	for (int i = 0; i < 2; i++) {
		const char *const env[] = {"AWS_ENDPOINT_URL", i ? path : host, NULL};
		struct aws_endpoint e;
		char error[256];
		assert_int_equal(endpoint_resolve(&in_env(env), AWS_LAMBDA, "us-east-1", &e, error, sizeof(error)), 1);
		assert_non_null(strstr(error, "too long"));
	}
}

static void what_is_no_region_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {"aws-global",		 "aws-cn-global", "",	 "US-EAST-1",
					  "us-east-1.evil.com/", "us east",	  "-us", "us-east-1\n"};
	for (size_t i = 0; i < array_len(bad); i++) {
		const char *const none[] = {NULL};
		struct aws_endpoint e;
		char error[256];
		if (!endpoint_resolve(&in_env(none), AWS_LAMBDA, bad[i], &e, error, sizeof(error)))
			fail_msg("taken: %s", bad[i]);
		assert_non_null(strstr(error, "region"));
	}
}

static void names_and_regions(void **state)
{
	(void)state;
	assert_string_equal(endpoint_signing_name(AWS_CLOUDWATCH), "monitoring");
	assert_string_equal(endpoint_service_name(AWS_CLOUDWATCH), "cloudwatch");
	const char *const both[] = {"AWS_REGION", "a", "AWS_DEFAULT_REGION", "b", NULL};
	assert_string_equal(endpoint_region(&in_env(both)), "a");
	assert_string_equal(endpoint_region(&in_env((both + 2))), "b");
	assert_null(endpoint_region(&in_env((both + 4))));
	const char *const empty[] = {"AWS_REGION", "", "AWS_DEFAULT_REGION", "b", NULL};
	assert_string_equal(endpoint_region(&in_env(empty)), "b");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(hosts_by_region),
	    cmocka_unit_test(hosts_are_botocores),
	    cmocka_unit_test(fips_and_dualstack),
	    cmocka_unit_test(configured_endpoints),
	    cmocka_unit_test(the_nearest_setting_counts),
	    cmocka_unit_test(a_section_that_is_not_there),
	    cmocka_unit_test(profiles_have_switches),
	    cmocka_unit_test(a_broken_setting_is_named),
	    cmocka_unit_test(regions_come_in_order),
	    cmocka_unit_test(plain_http_is_for_loopback),
	    cmocka_unit_test(bad_urls_are_refused),
	    cmocka_unit_test(long_urls_are_refused),
	    cmocka_unit_test(what_is_no_region_is_refused),
	    cmocka_unit_test(names_and_regions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
