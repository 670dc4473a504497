#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"

static void test_empty(void **state)
{
	(void)state;
	struct buf b = BUF_INIT(10);
	assert_string_equal(buf_text(&b), "");
	assert_true(buf_ok(&b));
	char *text = buf_take(&b);
	assert_string_equal(text, "");
	free(text);
	buf_reset(&b);
	buf_add(&b, NULL, 0);
	assert_string_equal(buf_text(&b), "");
	buf_deinit(&b);
	buf_deinit(&b);
	buf_wipe(&b);
}

static void test_append(void **state)
{
	(void)state;
	struct buf b = BUF_INIT(1000);
	buf_add_text(&b, "one ");
	buf_add(&b, "two\0x", 3);
	buf_add_char(&b, ' ');
	buf_addf(&b, "%d-%s", 3, "three");
	buf_add_char(&b, ' ');
	buf_add_u64(&b, 0);
	buf_add_char(&b, ' ');
	buf_add_u64(&b, UINT64_MAX);
	assert_string_equal(buf_text(&b), "one two 3-three 0 18446744073709551615");
	assert_int_equal(b.len, strlen(buf_text(&b)));
	assert_true(buf_ok(&b));
	char *text = buf_take(&b);
	assert_int_equal(b.len, 0);
	assert_int_equal(b.max, 1000);
	free(text);
	buf_deinit(&b);
}

static void test_growth(void **state)
{
	(void)state;
	for (int secret = 0; secret < 2; secret++) {
		struct buf b = secret ? BUF_INIT_SECRET(100000) : BUF_INIT(100000);
		for (unsigned i = 0; i < 20000; i++)
			buf_addf(&b, "%05u", i);
		assert_true(buf_ok(&b));
		assert_int_equal(b.len, 100000);
		assert_int_equal(b.data[b.len], 0);
		assert_memory_equal(b.data + 5 * 12345, "12345", 5);
		buf_add_char(&b, 'x');
		assert_false(buf_ok(&b));
		buf_wipe(&b);
		assert_int_equal(b.secret, secret);
		assert_true(buf_ok(&b));
	}
}

static void test_cap(void **state)
{
	(void)state;
	struct buf b = BUF_INIT(5);
	buf_add_text(&b, "12345");
	assert_true(buf_ok(&b));
	buf_add_text(&b, "");
	assert_true(buf_ok(&b));
	buf_add_char(&b, '6');
	assert_false(buf_ok(&b));
	assert_string_equal(buf_text(&b), "12345");
	buf_reset(&b);
	assert_true(buf_ok(&b));
	/* Once over the cap nothing more goes in, even what would fit. */
	buf_add_text(&b, "123");
	buf_add_text(&b, "456");
	buf_add_char(&b, '7');
	buf_addf(&b, "8");
	assert_false(buf_ok(&b));
	assert_string_equal(buf_text(&b), "123");
	buf_reset(&b);
	buf_addf(&b, "%s", "12345");
	assert_true(buf_ok(&b));
	buf_addf(&b, "%s", "6");
	assert_false(buf_ok(&b));
	assert_string_equal(buf_text(&b), "12345");
	buf_deinit(&b);

	struct buf none = BUF_INIT(0);
	buf_add_text(&none, "");
	assert_true(buf_ok(&none));
	buf_addf(&none, "x");
	assert_false(buf_ok(&none));
	assert_string_equal(buf_text(&none), "");
	buf_deinit(&none);

	struct buf unbounded = BUF_INIT(SIZE_MAX);
	buf_add_text(&unbounded, "a");
	buf_add(&unbounded, "b", SIZE_MAX - 1); /* refused before a byte is read */
	assert_false(buf_ok(&unbounded));
	assert_string_equal(buf_text(&unbounded), "a");
	buf_deinit(&unbounded);
}

/* The cap holds whatever the lengths: after each overflow the text is a prefix made of whole appends. */
static void test_cap_formatted(void **state)
{
	(void)state;
	for (size_t max = 0; max < 200; max++) {
		struct buf b = BUF_INIT(max);
		for (int i = 0; i < 30; i++)
			buf_addf(&b, "%.*s", 7, "abcdefg");
		assert_false(buf_ok(&b));
		assert_int_equal(b.len, max / 7 * 7);
		assert_int_equal(strlen(buf_text(&b)), b.len);
		buf_deinit(&b);
	}
}

static void check_json(const char *text, const char *json)
{
	struct buf b = BUF_INIT(1000);
	buf_add_json_string(&b, text);
	assert_string_equal(buf_text(&b), json);
	buf_deinit(&b);
}

static void test_json(void **state)
{
	(void)state;
	check_json("", "\"\"");
	check_json("plain", "\"plain\"");
	check_json("a\"b\\c/d", "\"a\\\"b\\\\c/d\"");
	check_json("\n\r\t", "\"\\n\\r\\t\"");
	check_json("\x01\x1f\x7f", "\"\\u0001\\u001f\x7f\"");
	check_json("caf\xc3\xa9 \xf0\x9f\x98\x80", "\"caf\xc3\xa9 \xf0\x9f\x98\x80\"");
	check_json("a\xff"
		   "b",
		   "\"a\\ufffdb\"");
	check_json("cut \xe2\x82", "\"cut \\ufffd\\ufffd\"");
	check_json("\"", "\"\\\"\"");
}

static void check_uri(const char *text, bool keep_slash, const char *uri)
{
	struct buf b = BUF_INIT(1000);
	buf_add_uri(&b, text, strlen(text), keep_slash);
	assert_string_equal(buf_text(&b), uri);
	buf_deinit(&b);
}

static void test_uri(void **state)
{
	(void)state;
	check_uri("", false, "");
	check_uri("AZaz09-._~", false, "AZaz09-._~");
	check_uri("a/b c", false, "a%2Fb%20c");
	check_uri("a/b c", true, "a/b%20c");
	check_uri("$LATEST", false, "%24LATEST");
	check_uri("arn:aws:lambda:eu-west-1:123456789012:function:hello:prod", false,
		  "arn%3Aaws%3Alambda%3Aeu-west-1%3A123456789012%3Afunction%3Ahello%3Aprod");
	check_uri("\xc3\xa9+*%", false, "%C3%A9%2B%2A%25");
	struct buf b = BUF_INIT(10);
	buf_add_uri(&b, "a\0b", 3, false);
	assert_string_equal(buf_text(&b), "a%00b");
	buf_deinit(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_empty), cmocka_unit_test(test_append),	cmocka_unit_test(test_growth),
	    cmocka_unit_test(test_cap),	  cmocka_unit_test(test_cap_formatted), cmocka_unit_test(test_json),
	    cmocka_unit_test(test_uri),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
