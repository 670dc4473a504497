/* JSON that came from outside: what is not believed, before anybody reads a member of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "aws/json.h"
#include "base/buf.h"
#include "base/limits.h"
#include "base/mem.h"

static const char *refusal(const char *body, size_t len)
{
	const struct http_response r = {.status = 200, .body = body, .body_len = len};
	const char *why = "";
	json_t *root cleanup(json_decref_p) = json_from_body(&r, &why);
	return root ? "" : why;
}

static void assert_refused(const char *body, const char *expected)
{
	assert_string_equal(refusal(body, strlen(body)), expected);
}

/* Two readers of an object with a key given twice may see two different things. */
static void test_duplicates_are_refused(void **state)
{
	(void)state;
	assert_refused("{\"FunctionVersion\": \"1\", \"FunctionVersion\": \"2\"}", "it is no valid JSON");
	assert_refused("{\"a\": {\"b\": 1, \"b\": 1}}", "it is no valid JSON");
	assert_refused("{\"a\": [{\"b\": 1, \"\\u0062\": 2}]}", "it is no valid JSON"); /* written differently */
	assert_refused("{\"a\": {\"b\": 1}, \"c\": {\"b\": 1}}", "");
}

static void test_only_an_object_is_taken(void **state)
{
	static const char *const others[] = {"[]", "[{\"a\": 1}]"};
	static const char *const wrong[] = {"",
					    "{",
					    "{}}",
					    "{} {}",
					    "{\"a\": 1,}",
					    "{'a': 1}",
					    "{\"a\": \"\xff\"}",
					    "{\"a\\u0000b\": 1}",
					    "{\"a\": 1e999}",
					    "{\"a\": 99999999999999999999}",
					    "null",
					    "1",
					    "\"a\""};
	(void)state;
	for (size_t i = 0; i < array_len(others); i++)
		assert_refused(others[i], "it is no JSON object");
	for (size_t i = 0; i < array_len(wrong); i++)
		assert_refused(wrong[i], "it is no valid JSON");
	assert_refused("\r\n<!DOCTYPE html>", "it is a page of HTML or XML, not JSON: something between here and AWS "
					      "answered; check the endpoint and the network");
}

/* Objects and lists in turn, so many deep. */
static char *nested(size_t depth)
{
	struct buf b = BUF_INIT(100000);
	for (size_t i = 0; i < depth; i++)
		buf_add_text(&b, i % 2 ? "[" : "{\"a\":");
	buf_add_text(&b, "1");
	for (size_t i = depth; i > 0; i--)
		buf_add_text(&b, (i - 1) % 2 ? "]" : "}");
	return buf_take(&b);
}

static void test_depth_is_capped(void **state)
{
	(void)state;
	cleanup(mem_free_p) char *good = nested(LIMIT_JSON_DEPTH), *deep = nested(LIMIT_JSON_DEPTH + 1);
	cleanup(mem_free_p) char *far = nested(5000);
	assert_refused(good, "");
	assert_refused(deep, "its JSON is nested deeper than 32 levels");
	assert_refused(far, "its JSON is nested deeper than 32 levels");
	assert_refused("{\"a\": \"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[[[[[[\"}", ""); /* in a string */
}

static void test_size_is_capped(void **state)
{
	(void)state;
	size_t size = LIMIT_AWS_RESPONSE_BYTES + 1;
	cleanup(mem_free_p) char *body = mem_alloc(size + 1);
	memset(body, ' ', size);
	body[0] = '{';
	body[size - 2] = '}';
	assert_string_equal(refusal(body, size - 1), "");
	assert_string_equal(refusal(body, size), "it is larger than 8 MiB");
}

static void test_types_are_checked(void **state)
{
	(void)state;
	char out[8] = "before";
	const json_t *list;
	json_t *root cleanup(json_decref_p) = json_loads(
	    "{\"text\": \"abc\", \"long\": \"12345678\", \"line\": \"a\\nb\", \"number\": 1, \"none\": null, "
	    "\"empty\": \"\", \"list\": [], \"map\": {}}",
	    0, NULL);
	assert_true(json_copy_text(root, "text", true, out, sizeof(out)));
	assert_string_equal(out, "abc");
	assert_false(json_copy_text(root, "long", true, out, sizeof(out)));
	assert_false(json_copy_text(root, "line", true, out, sizeof(out)));
	assert_false(json_copy_text(root, "number", false, out, sizeof(out)));
	assert_false(json_copy_text(root, "list", false, out, sizeof(out)));
	assert_false(json_copy_text(root, "map", false, out, sizeof(out)));
	assert_false(json_copy_text(root, "none", true, out, sizeof(out)));
	assert_false(json_copy_text(root, "absent", true, out, sizeof(out)));
	assert_false(json_copy_text(root, "empty", true, out, sizeof(out)));
	assert_true(json_copy_text(root, "none", false, out, sizeof(out)));
	assert_string_equal(out, "");

	assert_true(json_get_array(root, "list", &list));
	assert_non_null(list);
	assert_true(json_get_array(root, "absent", &list));
	assert_null(list);
	assert_false(json_get_array(root, "map", &list));
	assert_false(json_get_array(root, "text", &list));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_duplicates_are_refused), cmocka_unit_test(test_only_an_object_is_taken),
	    cmocka_unit_test(test_depth_is_capped),	   cmocka_unit_test(test_size_is_capped),
	    cmocka_unit_test(test_types_are_checked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
