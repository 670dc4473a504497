/* Which hosts are asked by way of which proxy; botocore's opinion on what it knows of is in test_wire.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/io/proxy.c"

struct setting {
	const char *name;
	const char *value;
};

static const char *find(void *ctx, const char *name)
{
	for (const struct setting *s = ctx; s->name; s++)
		if (strcmp(s->name, name) == 0)
			return s->value;
	return NULL;
}

static void test_where_it_is_read_from(void **state)
{
	(void)state;
	static struct setting cases[][5] = {
	    {{"https_proxy", "a"}, {"HTTPS_PROXY", "b"}, {"all_proxy", "c"}, {"ALL_PROXY", "d"}},
	    {{"HTTPS_PROXY", "a"}, {"all_proxy", "c"}, {"ALL_PROXY", "d"}},
	    {{"all_proxy", "a"}, {"ALL_PROXY", "d"}, {"http_proxy", "e"}},
	    {{"ALL_PROXY", "a"}, {"HTTP_PROXY", "e"}, {"HTTPS_PROXY", ""}},
	};
	char error[512];
	struct proxy p;
	for (size_t i = 0; i < array_len(cases); i++) {
		assert_int_equal(proxy_read(find, cases[i], &p, error, sizeof(error)), 0);
		assert_string_equal(p.setting, cases[i][0].name);
		assert_string_equal(p.url, "http://a:80");
		proxy_deinit(&p);
	}
	struct setting plain[] = {{"http_proxy", "http://a:1"}, {"HTTP_PROXY", "http://a:1"}, {.name = NULL}};
	assert_int_equal(proxy_read(find, plain, &p, error, sizeof(error)), 0);
	assert_false(proxy_serves(&p, "lambda.example.com"));
	proxy_deinit(&p);
}

/* An empty name in small letters switches off, as Python has it. */
static void test_what_is_switched_off(void **state)
{
	(void)state;
	static struct setting cases[][5] = {
	    {{"https_proxy", ""}, {"HTTPS_PROXY", "b"}, {"ALL_PROXY", "d"}},
	    {{"https_proxy", ""}, {"all_proxy", "d"}},
	    {{"all_proxy", ""}, {"ALL_PROXY", "d"}},
	};
	char error[512];
	struct proxy p;
	for (size_t i = 0; i < array_len(cases); i++) {
		assert_int_equal(proxy_read(find, cases[i], &p, error, sizeof(error)), 0);
		assert_null(p.url);
		assert_null(p.setting);
		proxy_deinit(&p);
	}
	struct setting env[] = {{"HTTPS_PROXY", "p"}, {"no_proxy", ""}, {"NO_PROXY", "a"}, {.name = NULL}};
	assert_int_equal(proxy_read(find, env, &p, error, sizeof(error)), 0);
	assert_true(proxy_serves(&p, "a"));
	proxy_deinit(&p);
}

/* What operators write, and what excepts nothing, here as for curl and botocore. */
static void test_advice(void **state)
{
	(void)state;
	static const struct {
		const char *list, *named; /* NULL: nothing is amiss */
	} cases[] = {
	    {"*", NULL},
	    {" *,", NULL},
	    {"", NULL},
	    {"example.com,.a,10.0.0.0/8", NULL},
	    {"a, *.example.com,b", "'*.example.com'"},
	    {"a,*", "'*'"},
	    {"*,*", "'*'"},
	    {"10.*\033[2J", "'10.*?[2J'"},
	};
	char error[512];
	struct proxy p;
	for (size_t i = 0; i < array_len(cases); i++) {
		struct setting env[] = {{"HTTPS_PROXY", "p"}, {"NO_PROXY", cases[i].list}, {.name = NULL}};
		assert_int_equal(proxy_read(find, env, &p, error, sizeof(error)), 0);
		bool advised = proxy_advise(&p, error, sizeof(error));
		assert_int_equal(advised, cases[i].named != NULL);
		if (advised) {
			assert_true(text_starts_with(error, "NO_PROXY has "));
			assert_non_null(strstr(error, cases[i].named));
		}
		proxy_deinit(&p);
	}
}

static void test_forms(void **state)
{
	(void)state;
	static const struct {
		const char *value, *url, *user, *password;
	} good[] = {
	    {"proxy", "http://proxy:80", NULL, NULL},
	    {"//proxy:3128", "http://proxy:3128", NULL, NULL},
	    {"HTTP://proxy:3128/", "http://proxy:3128", NULL, NULL},
	    {"https://proxy", "https://proxy:443", NULL, NULL},
	    {"socks5h://10.0.0.1", "socks5h://10.0.0.1:1080", NULL, NULL},
	    {"http://[fd00::1]:8080", "http://[fd00::1]:8080", NULL, NULL},
	    {"http://u:p@proxy:1", "http://proxy:1", "u", "p"},
	    {"u@proxy:1", "http://proxy:1", "u", ""},
	    {"http://d%5Cu:p%40:%2f@proxy:1/x", "http://proxy:1", "d\\u", "p@:/"},
	    {"http://u:p@ss@proxy:1", "http://proxy:1", "u", "p@ss"},
	};
	static const char *const bad[] = {
	    "ftp://proxy",	  "http://",
	    "http://:80",	  "http://proxy:",
	    "http://proxy:0",	  "http://proxy:x",
	    "http://proxy:65536", "http://u:%zz@proxy",
	    "http://u:%4@proxy",  "http://u:%0a@proxy",
	    "http://[::1",	  "http://[zz]:1",
	    "http://a b",	  "http://a%3ab:p@proxy:1",
	    "://proxy",
	};
	char error[512];
	struct proxy p;
	for (size_t i = 0; i < array_len(good); i++) {
		struct setting env[] = {{"HTTPS_PROXY", good[i].value}, {.name = NULL}};
		assert_int_equal(proxy_read(find, env, &p, error, sizeof(error)), 0);
		assert_string_equal(p.url, good[i].url);
		assert_true(!p.user == !good[i].user);
		if (p.user) {
			assert_string_equal(p.user, good[i].user);
			assert_string_equal(p.password, good[i].password);
		}
		proxy_deinit(&p);
	}
	for (size_t i = 0; i < array_len(bad); i++) {
		struct setting env[] = {{"HTTPS_PROXY", bad[i]}, {.name = NULL}};
		if (proxy_read(find, env, &p, error, sizeof(error)) != 1)
			fail_msg("%s was taken", bad[i]);
		assert_non_null(strstr(error, "HTTPS_PROXY cannot be used"));
		assert_null(strstr(error, "proxy:6"));
	}
}

static void test_exceptions(void **state)
{
	(void)state;
	static const struct {
		const char *list, *host;
		bool direct;
	} cases[] = {
	    {"*", "any.example.com", true},
	    {" * ", "any.example.com", true},
	    {"example.com", "example.com", true},
	    {"example.com", "a.EXAMPLE.com", true},
	    {"example.com", "badexample.com", false},
	    {".example.com.", "example.com", true},
	    {"a.example.com", "example.com", false},
	    {"x y,example.com\tz", "example.com", true},
	    {"example.com:443", "example.com", true},
	    {"example.com:8443", "example.com", false},
	    {"example.com:8443", "a.example.com:8443", true},
	    {"example.com", "example.com:8443", true},
	    {"10.0.0.0/8", "10.255.1.2", true},
	    {"10.0.0.0/8", "11.0.0.1", false},
	    {"10.0.0.0/9", "10.128.0.1", false},
	    {"10.0.0.0/9", "10.127.0.1:8443", true},
	    {"10.0.0.0/0", "192.0.2.1", true},
	    {"10.0.0.0/33", "10.0.0.0", false},
	    {"10.0.0.0/x", "10.0.0.0", false},
	    {"/8", "10.0.0.1", false},
	    {"10.0.0.0/8", "10.example.com", false},
	    {"192.0.2.1", "192.0.2.1", true},
	    {"192.0.2.1:443", "192.0.2.1", true},
	    {"192.0.2.1:80", "192.0.2.1", false},
	    {"2.1", "192.0.2.1", false},
	    {"::1", "[::1]", true},
	    {"[::1]", "[::1]:8443", true},
	    {"[::1]:8443", "[::1]:8443", true},
	    {"[::1]:8443", "[::1]", false},
	    {"0:0::1", "[::1]", true},
	    {"fd00::/8", "[fd12::1]", true},
	    {"fd00::/8", "[fe80::1]", false},
	    {"fd00::/8", "10.0.0.1", false},
	    {", ,", "example.com", false},
	    {".", "example.com", false},
	    {"", "example.com", false},
	};
	for (size_t i = 0; i < array_len(cases); i++) {
		struct setting env[] = {{"HTTPS_PROXY", "p"}, {"NO_PROXY", cases[i].list}, {.name = NULL}};
		char error[512];
		struct proxy p;
		assert_int_equal(proxy_read(find, env, &p, error, sizeof(error)), 0);
		if (proxy_serves(&p, cases[i].host) == cases[i].direct)
			fail_msg("NO_PROXY=%s, %s", cases[i].list, cases[i].host);
		proxy_deinit(&p);
	}
	/* The one in small letters goes first. */
	struct setting env[] = {{"ALL_PROXY", "p"}, {"NO_PROXY", "b"}, {"no_proxy", "a"}, {.name = NULL}};
	char error[512];
	struct proxy p;
	assert_int_equal(proxy_read(find, env, &p, error, sizeof(error)), 0);
	assert_false(proxy_serves(&p, "a"));
	assert_true(proxy_serves(&p, "b"));
	proxy_deinit(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_where_it_is_read_from),
	    cmocka_unit_test(test_what_is_switched_off),
	    cmocka_unit_test(test_advice),
	    cmocka_unit_test(test_forms),
	    cmocka_unit_test(test_exceptions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
