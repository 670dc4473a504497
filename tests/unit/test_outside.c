/*
 * What comes from outside, once for each kind of reader: depth, keys given twice, sizes and types; and each input that
 * a fuzz target has ever stopped at, by what was wrong with it. The fuzzers' own inputs are replayed besides.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws/apigateway.h"
#include "aws/lambda_chain.h"
#include "base/buf.h"
#include "base/http.h"
#include "base/nesting.h"
#include "base/text.h"
#include "control/api.h"
#include "engine/item.h"
#include "engine/service.h"
#include "plan/node.h"
#include "sim/zip.h"

/* rolloutctl is a program and no library: its part is compiled into the test. */
#include "daemon/cli/field.c"

/* {"a":[[…]]}, so many levels deep in all. */
static char *nested(size_t depth)
{
	struct buf b = BUF_INIT(64 * 1024);
	buf_add_text(&b, "{\"a\":");
	for (size_t i = 1; i < depth; i++)
		buf_add_char(&b, '[');
	for (size_t i = 1; i < depth; i++)
		buf_add_char(&b, ']');
	buf_add_char(&b, '}');
	return buf_take(&b);
}

/* --- depth, by the text alone --- */

static void depth_is_counted_outside_of_strings(void **state)
{
	(void)state;
	static const struct {
		const char *json;
		size_t depth;
	} cases[] = {
	    {"", 0},
	    {"1", 0},
	    {"[]", 1},
	    {"[[]]", 2},
	    {"{\"a\":[{}]}", 3},
	    {"[][][]", 1},
	    {"\"[[[[\"", 0},
	    {"[\"\\\"[[\"]", 1},
	    {"[\"\\\\\",[]]", 2},
	    {"]]]][", 1},
	    {"{\"[\":\"{\"}", 1},
	    {"[\"", 1},
	    {"\"\\", 0},
	};
	for (size_t i = 0; i < array_len(cases); i++) {
		size_t len = strlen(cases[i].json);
		assert_false(nesting_exceeds(cases[i].json, len, cases[i].depth));
		if (cases[i].depth > 0)
			assert_true(nesting_exceeds(cases[i].json, len, cases[i].depth - 1));
	}
}

/* --- control requests --- */

static const char *no_argument(void *ctx, const char *key)
{
	(void)ctx, (void)key;
	return NULL;
}

static int command_with(const char *body, char *error, size_t size)
{
	struct control_request r;
	return control_parse("POST", "/v1/rollouts/hello/pause", no_argument, NULL, body, strlen(body), &r, error,
			     size);
}

static void command_bodies_are_not_deep_and_have_no_key_twice(void **state)
{
	(void)state;
	char error[256];
	cleanup(mem_free_p) char *deep = nested(LIMIT_JSON_DEPTH + 1), *bottomless = nested(20000);
	assert_int_equal(command_with(deep, error, sizeof(error)), CONTROL_BAD_REQUEST);
	assert_string_equal(error, "the body is nested deeper than 32 levels");
	assert_int_equal(command_with(bottomless, error, sizeof(error)), CONTROL_BAD_REQUEST);
	assert_int_equal(command_with("{\"full\":true,\"full\":false}", error, sizeof(error)), CONTROL_BAD_REQUEST);
	assert_non_null(strstr(error, "duplicate"));
	assert_int_equal(command_with("{\"reason\":1}", error, sizeof(error)), CONTROL_BAD_REQUEST);
	assert_int_equal(command_with("{\"reason\":\"x\"}", error, sizeof(error)), CONTROL_OK);
}

/* --- records --- */

static const struct service_alias service_aliases[] = {{.name = "prod"}};
static const struct service_spec service_spec = {.name = "hello", .aliases = service_aliases, .n_aliases = 1};

static char *rollout_record(void)
{
	struct buf b = BUF_INIT(LIMIT_RECORD_BYTES);
	struct rollout r;
	rollout_init(&r, (struct instant){.unix_ms = 1795385405000, .boot_ms = 5});
	record_encode(&r, "boot", &b);
	return buf_take(&b);
}

static char *service_record(const char *api_id)
{
	struct buf b = BUF_INIT(LIMIT_RECORD_BYTES);
	struct service_state *s cleanup(mem_free_p) = mem_alloc(sizeof(*s));
	text_copy(s->api_id, sizeof(s->api_id), api_id);
	service_record_encode(s, &service_spec, &b);
	return buf_take(&b);
}

static int decode_rollout(const char *json, char *error, size_t size)
{
	struct rollout r;
	char boot_id[BOOT_ID_SIZE];
	return record_decode(json, &r, boot_id, error, size);
}

static int decode_service(const char *json, char *error, size_t size)
{
	struct service_state *s cleanup(mem_free_p) = mem_alloc(sizeof(*s));
	return service_record_decode(json, &service_spec, s, error, size);
}

/* `json` with "{" replaced by what begins another object. */
static char *beginning(const char *with, const char *json)
{
	return mem_printf("%s%s", with, json + 1);
}

static void records_are_not_deep_and_have_no_key_twice(void **state)
{
	(void)state;
	static int (*const decoders[])(const char *, char *, size_t) = {decode_rollout, decode_service};
	char error[256];
	for (size_t i = 0; i < array_len(decoders); i++) {
		cleanup(mem_free_p) char *good = i == 0 ? rollout_record() : service_record("abc123");
		cleanup(mem_free_p) char *inner = nested(LIMIT_JSON_DEPTH);
		cleanup(mem_free_p) char *more = mem_printf("{\"x\":%s,", inner);
		cleanup(mem_free_p) char *twice = beginning("{\"phase\":0,", good), *deep = beginning(more, good);
		/* Keys that nobody asks for do not matter: only what is around them. */
		cleanup(mem_free_p) char *other = beginning("{\"x\":[[[1]]],", good);
		assert_int_equal(decoders[i](good, error, sizeof(error)), 0);
		assert_int_equal(decoders[i](other, error, sizeof(error)), 0);
		assert_int_equal(decoders[i](twice, error, sizeof(error)), 1);
		assert_string_equal(error, "its stored record is not JSON");
		assert_int_equal(decoders[i](deep, error, sizeof(error)), 1);
		assert_string_equal(error, "its stored record is not JSON");
		assert_int_equal(decoders[i]("[]", error, sizeof(error)), 1);
		assert_int_equal(decoders[i]("", error, sizeof(error)), 1);
	}
}

static void a_record_larger_than_any_is_not_parsed(void **state)
{
	(void)state;
	char error[256];
	cleanup(mem_free_p) char *good = rollout_record(), *blanks = mem_alloc(LIMIT_RECORD_BYTES + 2);
	memset(blanks, ' ', LIMIT_RECORD_BYTES + 1);
	cleanup(mem_free_p) char *large = mem_printf("%s%s", good, blanks);
	assert_int_equal(decode_rollout(large, error, sizeof(error)), 1);
	blanks[LIMIT_RECORD_BYTES - strlen(good)] = '\0';
	cleanup(mem_free_p) char *fits = mem_printf("%s%s", good, blanks);
	assert_int_equal(decode_rollout(fits, error, sizeof(error)), 0);
}

static void replace(char **text, const char *what, const char *with)
{
	char *at = strstr(*text, what);
	assert_non_null(at);
	char *made = mem_printf("%.*s%s%s", (int)(at - *text), *text, with, at + strlen(what));
	free(*text);
	*text = made;
}

/* Sums of them must be numbers again. */
static void times_in_records_have_a_range(void **state)
{
	(void)state;
	static const struct {
		const char *value;
		int result;
	} cases[] = {{"4503599627370496", 0},
		     {"4503599627370497", 1},
		     {"-4503599627370496", 0},
		     {"-4503599627370497", 1},
		     {"9223372036854775807", 1},
		     {"-9223372036854775808", 1},
		     {"9223372036854775808", 1},
		     {"1e3", 1},
		     {"\"1\"", 1}};
	char error[256], with[64];
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup(mem_free_p) char *record = rollout_record();
		(void)snprintf(with, sizeof(with), "\"baked_ms\":%s", cases[i].value);
		replace(&record, "\"baked_ms\":0", with);
		assert_int_equal(decode_rollout(record, error, sizeof(error)), cases[i].result);

		cleanup(mem_free_p) char *service = service_record("a");
		(void)snprintf(with, sizeof(with), "\"seen_unix_ms\":%s", cases[i].value);
		replace(&service, "\"seen_unix_ms\":0", with);
		assert_int_equal(decode_service(service, error, sizeof(error)),
				 cases[i].value[0] == '-' || cases[i].result);
	}
	cleanup(mem_free_p) char *service = service_record("a");
	replace(&service, "\"probe_failures\":0", "\"probe_failures\":4294967296");
	assert_int_equal(decode_service(service, error, sizeof(error)), 1);
	assert_string_equal(error, "its stored record has no usable `probe_failures`");
}

static void samples_of_no_time_are_passed_over(void **state)
{
	(void)state;
	struct samples s = {.len = 0};
	const int64_t starts[] = {INT64_MIN, -60000, RECORD_MS_MAX + 1, INT64_MAX, 1795385400000};
	for (size_t i = 0; i < array_len(starts); i++) {
		const struct store_sample x = {.start_unix_ms = starts[i], .counts = {1, 0, 1, 0, 1, 0}};
		assert_int_equal(record_load_sample(&s, &x), 0);
	}
	assert_int_equal(s.len, 1);
	assert_int_equal(s.items[0].start_unix_ms, 1795385400000);
	samples_deinit(&s);
}

/* --- the id of an API, which is a part of the name of the host that is asked --- */

static const char *const odd_ids[] = {"a b",	"a#",	  "a@example.com", "example.com/x?",
				      "a/../b", "a:8080", "\xc3\xa9",	   "("};

static void an_api_id_has_nothing_that_makes_another_url(void **state)
{
	(void)state;
	char error[256];
	for (size_t i = 0; i < array_len(odd_ids); i++) {
		cleanup(mem_free_p) char *record = service_record(odd_ids[i]);
		assert_int_equal(decode_service(record, error, sizeof(error)), 1);
		assert_string_equal(error, "its stored record has no usable `api_id`");

		cleanup(mem_free_p) char *body =
		    mem_printf("{\"id\":\"%s\",\"name\":\"hello-api\",\"rootResourceId\":\"r\"}", odd_ids[i]);
		const struct http_response r = {.status = 200, .body = body, .body_len = strlen(body)};
		struct chain_view v;
		struct aws_error e;
		char id[API_ID_SIZE], root_id[API_ID_SIZE];
		chain_view_init(&v);
		assert_int_equal(apigateway_parse_api(&r, API_REST, &v, &e), 1);
		assert_int_equal(e.class, AWS_MALFORMED);
		assert_false(v.api.found);
		assert_int_equal(apigateway_parse_created(&r, CHANGE_CREATE_API, API_REST, id, root_id, &e), 1);
		chain_view_deinit(&v);
	}
	cleanup(mem_free_p) char *good = service_record("a1b2c3d4e5");
	assert_int_equal(decode_service(good, error, sizeof(error)), 0);
}

/* --- a hook's answer --- */

static struct http_response from_aws(const char *body)
{
	return (struct http_response){
	    .status = 200,
	    .n_headers = 1,
	    .headers = {{"x-amzn-RequestId", "r"}},
	    .body = body,
	    .body_len = strlen(body),
	};
}

static void an_answer_that_cannot_be_read_is_no_yes(void **state)
{
	(void)state;
	cleanup(mem_free_p) char *deep = nested(LIMIT_JSON_DEPTH + 1);
	const char *const unreadable[] = {"{\"status\":\"Failed\",\"status\":\"Failed\"}", "{\"status\":\"Failed\"",
					  " \n{\"status\":\"Failed\",}", deep};
	const char *const agreeing[] = {"", "null", "\"fine\"", "{}", "[]", "{\"status\":\"Succeeded\"}", "not JSON"};
	struct lambda_invoked *x cleanup(mem_free_p) = mem_alloc(sizeof(*x));
	struct aws_error e;
	for (size_t i = 0; i < array_len(unreadable); i++) {
		const struct http_response r = from_aws(unreadable[i]);
		assert_int_equal(lambda_parse_invoke(&r, x, &e), 0);
		assert_string_equal(x->status, "what cannot be read");
		assert_string_not_equal(x->reason, "");
	}
	for (size_t i = 0; i < array_len(agreeing); i++) {
		const struct http_response r = from_aws(agreeing[i]);
		assert_int_equal(lambda_parse_invoke(&r, x, &e), 0);
		assert_true(x->status[0] == '\0' || strcmp(x->status, "Succeeded") == 0);
	}
}

/* --- YAML --- */

static void diagnose(const char *text, struct diags *d)
{
	cleanup(arena_free_p) struct arena *a = arena_new();
	*d = (struct diags){.len = 0};
	(void)node_parse(a, text, strlen(text), LIMIT_PLAN_BYTES, d);
}

static void an_error_at_the_end_is_in_the_last_line(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		unsigned line, column;
	} cases[] = {
	    {"a: [1,\nb", 2, 2}, {"a: {x: 1", 1, 9}, {"a: [1,\r\nb", 2, 2}, {"a: [1\n", 2, 1}, {"a: [\xc3\xa9", 1, 6}};
	struct diags d;
	for (size_t i = 0; i < array_len(cases); i++) {
		diagnose(cases[i].text, &d);
		assert_true(d.len >= 1);
		assert_int_equal(d.items[0].line, cases[i].line);
		assert_int_equal(d.items[0].column, cases[i].column);
		diags_deinit(&d);
	}
}

/* With so many keys they are looked up in another way. */
static void a_key_twice_is_found_among_thousands(void **state)
{
	(void)state;
	struct buf b cleanup(buf_deinit) = BUF_INIT(LIMIT_PLAN_BYTES);
	struct diags d;
	char want[96];
	for (unsigned i = 0; i < 5000; i++)
		buf_addf(&b, "k%u: 1\n", i);
	size_t len = b.len;
	static const unsigned twice[] = {0, 1, 62, 63, 64, 65, 4999};
	for (size_t i = 0; i < array_len(twice); i++) {
		b.len = len;
		buf_addf(&b, "k%u: 2\nk5000: {k1: 1}\n", twice[i]);
		diagnose(buf_text(&b), &d);
		assert_int_equal(d.len, 1);
		(void)snprintf(want, sizeof(want), "`k%u` is given twice; the first one is in line %u", twice[i],
			       twice[i] + 1);
		assert_string_equal(d.items[0].text, want);
		assert_int_equal(d.items[0].line, 5001);
		diags_deinit(&d);
	}
}

static void a_quoted_key_commands_no_terminal(void **state)
{
	(void)state;
	struct diags d = {.len = 0};
	diags_add(&d, DIAG_ERROR, 1, 1, "`%s` is not known", "a\x1b[31m\tb\nc\xff\xc2\x9b");
	assert_string_equal(d.items[0].text, "`a?[31m?b?c??` is not known");
	diags_deinit(&d);
}

/* --- others --- */

static void a_zip_with_its_directory_beyond_the_end_is_none(void **state)
{
	(void)state;
	unsigned char bytes[64] = "PK\3\4";
	unsigned char *end = bytes + sizeof(bytes) - 22;
	struct zip z;
	memcpy(end, "PK\5\6", 4);
	end[16] = 40;
	assert_true(zip_open(bytes, sizeof(bytes), &z));
	end[16] = 60;
	assert_false(zip_open(bytes, sizeof(bytes), &z));
}

static void a_url_is_http_or_https(void **state)
{
	(void)state;
	cleanup(arena_free_p) struct arena *a = arena_new();
	struct http_request r;
	assert_int_equal(http_request_set_url(a, "https://h/x?y", &r), 0);
	assert_int_equal(http_request_set_url(a, "http://h", &r), 0);
	assert_int_equal(http_request_set_url(a, "file://h/x", &r), -EINVAL);
	assert_int_equal(http_request_set_url(a, "a?://h/x", &r), -EINVAL);
	assert_int_equal(http_request_set_url(a, "://h/x", &r), -EINVAL);
}

static void what_the_daemon_said_is_not_deep_and_has_no_key_twice(void **state)
{
	(void)state;
	cleanup(mem_free_p) char *deep = nested(LIMIT_JSON_DEPTH + 1), *good = nested(LIMIT_JSON_DEPTH);
	const char *const texts[] = {good, deep, "{\"a\":1,\"a\":1}", "", "nonsense"};
	for (size_t i = 0; i < array_len(texts); i++) {
		struct buf b cleanup(buf_deinit) = BUF_INIT(64 * 1024);
		buf_add_text(&b, texts[i]);
		json_t *j = field_parse(&b);
		assert_int_equal(j != NULL, i == 0);
		json_decref(j);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(depth_is_counted_outside_of_strings),
	    cmocka_unit_test(command_bodies_are_not_deep_and_have_no_key_twice),
	    cmocka_unit_test(records_are_not_deep_and_have_no_key_twice),
	    cmocka_unit_test(a_record_larger_than_any_is_not_parsed),
	    cmocka_unit_test(times_in_records_have_a_range),
	    cmocka_unit_test(samples_of_no_time_are_passed_over),
	    cmocka_unit_test(an_api_id_has_nothing_that_makes_another_url),
	    cmocka_unit_test(an_answer_that_cannot_be_read_is_no_yes),
	    cmocka_unit_test(an_error_at_the_end_is_in_the_last_line),
	    cmocka_unit_test(a_key_twice_is_found_among_thousands),
	    cmocka_unit_test(a_quoted_key_commands_no_terminal),
	    cmocka_unit_test(a_zip_with_its_directory_beyond_the_end_is_none),
	    cmocka_unit_test(a_url_is_http_or_https),
	    cmocka_unit_test(what_the_daemon_said_is_not_deep_and_has_no_key_twice),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
