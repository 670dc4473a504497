/* Where a stage's path is asked for: at AWS's own host wherever the control plane is, or at a stand-in on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "engine/chain.h"
#include "engine/item.h"

struct fake_endpoint {
	const char *scheme, *host, *account;
	enum aws_service service;
};

static int give_endpoint(void *ctx, const char *account, enum aws_service service, const char *region,
			 struct aws_endpoint *ret, char *ret_error, size_t error_size)
{
	struct fake_endpoint *f = ctx;
	(void)region;
	(void)ret_error;
	(void)error_size;
	f->account = account;
	f->service = service;
	*ret = (struct aws_endpoint){0};
	(void)text_copy(ret->scheme, sizeof(ret->scheme), f->scheme);
	(void)text_copy(ret->host, sizeof(ret->host), f->host);
	return 0;
}

static void expect_url(const char *scheme, const char *host, const char *region, enum api_type type, const char *stage,
		       const char *want)
{
	struct fake_endpoint f = {.scheme = scheme, .host = host};
	struct engine e = {.ports = {.ctx = &f, .endpoint = give_endpoint}};
	const struct chain_place place = {.account = "production", .region = region};
	char url[LIMIT_URL];
	probe_url(&e, &place, type, "abc", stage, "/hello", url, sizeof(url));
	assert_string_equal(url, want);
	assert_string_equal(f.account, "production");
	assert_int_equal(f.service, type == API_HTTP ? AWS_APIGATEWAY_V2 : AWS_APIGATEWAY);
}

static void stages_have_hosts_of_their_own(void **state)
{
	(void)state;
	static const char *const control[] = {"apigateway.eu-west-1.amazonaws.com",
					      "apigateway-fips.eu-west-1.amazonaws.com", "apigateway.eu-west-1.api.aws",
					      "vpce-1.apigateway.eu-west-1.vpce.amazonaws.com"};
	for (size_t n = 0; n < array_len(control); n++)
		expect_url("https", control[n], "eu-west-1", API_REST, "prod",
			   "https://abc.execute-api.eu-west-1.amazonaws.com/prod/hello");
	expect_url("https", "apigateway.cn-north-1.api.amazonwebservices.com.cn", "cn-north-1", API_HTTP, "prod",
		   "https://abc.execute-api.cn-north-1.amazonaws.com.cn/prod/hello");
	expect_url("https", "apigateway.eu-west-1.amazonaws.com", "eu-west-1", API_HTTP, "$default",
		   "https://abc.execute-api.eu-west-1.amazonaws.com/hello");
	expect_url("http", "127.0.0.1:4599", "eu-west-1", API_REST, "prod",
		   "http://127.0.0.1:4599/restapis/abc/prod/_user_request_/hello");
	/* Nor is it AWS when it speaks TLS. */
	static const char *const here[] = {"127.0.0.1:4599", "127.8.0.1",  "localhost:4599",
					   "localhost",	     "[::1]:4599", "[::1]"};
	for (size_t n = 0; n < array_len(here); n++) {
		char want[128];
		(void)snprintf(want, sizeof(want), "https://%s/restapis/abc/prod/_user_request_/hello", here[n]);
		expect_url("https", here[n], "eu-west-1", API_REST, "prod", want);
	}
	/* A name that only begins so is somebody else's. */
	expect_url("https", "127.0.0.1.example.com", "eu-west-1", API_REST, "prod",
		   "https://abc.execute-api.eu-west-1.amazonaws.com/prod/hello");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(stages_have_hosts_of_their_own)};
	return cmocka_run_group_tests_name("probe", tests, NULL, NULL);
}
