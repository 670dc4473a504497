/* The small value types of base: random numbers, hashes, token buckets, headers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/bucket.h"
#include "base/http.h"
#include "base/mem.h"
#include "base/prng.h"
#include "base/sha256.h"

/* The first outputs of the reference implementation for the state 1, 2, 3, 4. */
static void test_prng_reference(void **state)
{
	(void)state;
	static const uint64_t wanted[] = {
	    11520, 0, 1509978240, UINT64_C(1215971899390074240), UINT64_C(1216172134540287360),
	};
	struct prng p = {.s = {1, 2, 3, 4}};
	for (size_t i = 0; i < array_len(wanted); i++)
		assert_true(prng_next(&p) == wanted[i]);
}

/* The state is the sequence of splitmix64, whose first outputs for this seed are published. */
static void test_prng_seed(void **state)
{
	(void)state;
	static const uint64_t wanted[] = {
	    UINT64_C(6457827717110365317),
	    UINT64_C(3203168211198807973),
	    UINT64_C(9817491932198370423),
	    UINT64_C(4593380528125082431),
	};
	struct prng p;
	prng_init(&p, 1234567);
	for (size_t i = 0; i < array_len(wanted); i++)
		assert_true(p.s[i] == wanted[i]);
}

static void test_prng_below(void **state)
{
	(void)state;
	struct prng p;
	prng_init(&p, 7);
	unsigned counts[6] = {0};
	for (int i = 0; i < 60000; i++)
		counts[prng_below(&p, 6)]++;
	for (size_t i = 0; i < array_len(counts); i++)
		assert_in_range(counts[i], 9500, 10500);
	for (int i = 0; i < 100; i++)
		assert_int_equal(prng_below(&p, 1), 0);
	/* Three quarters of the range: drawn carelessly, every third number would come twice as often as the others. */
	uint64_t bound = UINT64_C(3) << 62;
	unsigned thirds = 0;
	unsigned high = 0;
	for (int i = 0; i < 10000; i++) {
		uint64_t v = prng_below(&p, bound);
		assert_true(v < bound);
		thirds += v % 3 == 0;
		high += v >= bound / 2;
	}
	assert_in_range(thirds, 3100, 3600);
	assert_in_range(high, 4700, 5300);
}

static void test_prng_unit(void **state)
{
	(void)state;
	struct prng p;
	prng_init(&p, 0);
	double sum = 0;
	for (int i = 0; i < 10000; i++) {
		double v = prng_unit(&p);
		assert_true(v >= 0 && v < 1);
		sum += v;
	}
	assert_true(sum > 4800 && sum < 5200);
	struct prng largest = {.s = {0, UINT64_MAX / 5, 0, 0}};
	assert_true(prng_unit(&largest) < 1);
}

/* FIPS 180-2, appendix B, and the empty message. */
static void test_sha256(void **state)
{
	(void)state;
	char hex[SHA256_HEX_SIZE];
	sha256_hex("", 0, hex);
	assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	sha256_hex(NULL, 0, hex);
	assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	sha256_hex("abc", 3, hex);
	assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	const char *two_blocks = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
	sha256_hex(two_blocks, strlen(two_blocks), hex);
	assert_string_equal(hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	cleanup(mem_free_p) char *million = mem_alloc(1000000);
	memset(million, 'a', 1000000);
	sha256_hex(million, 1000000, hex);
	assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	unsigned char bytes[SHA256_BYTES];
	sha256_bytes("abc", 3, bytes);
	assert_int_equal(bytes[0], 0xba);
	assert_int_equal(bytes[31], 0xad);
	char out[7];
	sha256_format_hex((const unsigned char *)"\x00\xff\x1a", 3, out);
	assert_string_equal(out, "00ff1a");
}

static void test_bucket(void **state)
{
	(void)state;
	struct bucket b;
	bucket_init(&b, 10, 3, 1000);
	assert_int_equal(bucket_wait_ms(&b, 1000), 0);
	for (int i = 0; i < 3; i++)
		assert_true(bucket_take(&b, 1000));
	assert_false(bucket_take(&b, 1000));
	assert_int_equal(bucket_wait_ms(&b, 1000), 100);
	assert_int_equal(bucket_wait_ms(&b, 1060), 40);
	assert_false(bucket_take(&b, 1099));
	assert_int_equal(bucket_wait_ms(&b, 1099), 1);
	assert_true(bucket_take(&b, 1100));
	assert_false(bucket_take(&b, 1100));
	/* A long rest saves the burst and no more. */
	for (int i = 0; i < 3; i++)
		assert_true(bucket_take(&b, 10000000));
	assert_false(bucket_take(&b, 10000000));
}

/* Waiting as long as it says is always enough, and never much too long, whatever the rate. */
static void test_bucket_changes_its_rate(void **state)
{
	(void)state;
	struct bucket b;
	bucket_init(&b, 10, 10, 1000);
	for (int i = 0; i < 10; i++)
		assert_true(bucket_take(&b, 1000));
	/* What came in by the old rate is there; what is to come comes by the new one. */
	bucket_set_rate(&b, 0.5, 1, 1050);
	assert_int_equal(bucket_wait_ms(&b, 1050), 1000);
	bucket_set_rate(&b, 20, 20, 2050);
	assert_true(bucket_take(&b, 2050));
	assert_int_equal(bucket_wait_ms(&b, 2050), 50);
	bucket_set_rate(&b, 1, 1, 60000);
	assert_true(bucket_take(&b, 60000));
	assert_false(bucket_take(&b, 60000));
}

static void test_bucket_wait(void **state)
{
	(void)state;
	static const double rates[] = {0.1, 0.3, 1, 3, 7, 10, 15, 25, 333, 999, 1000, 5000};
	for (size_t i = 0; i < array_len(rates); i++) {
		struct bucket b;
		int64_t now = INT64_C(1795385405123);
		int64_t start = now;
		bucket_init(&b, rates[i], 1, now);
		assert_true(bucket_take(&b, now));
		unsigned taken = 0;
		for (; taken < 2000; taken++) {
			int64_t wait = bucket_wait_ms(&b, now);
			if (wait > 0)
				assert_false(bucket_take(&b, now + wait - 1));
			now += wait;
			assert_int_equal(bucket_wait_ms(&b, now), 0);
			assert_true(bucket_take(&b, now));
		}
		double ideal_ms = taken * 1000.0 / rates[i];
		assert_true((double)(now - start) >= ideal_ms - 2000.0 / rates[i]);
		/* Whole milliseconds are the unit, so at most one is lost for each token. */
		assert_true((double)(now - start) <= ideal_ms + taken);
	}
}

static void test_bucket_time_backwards(void **state)
{
	(void)state;
	struct bucket b;
	bucket_init(&b, 1, 2, 3600000);
	assert_true(bucket_take(&b, 3600000));
	assert_true(bucket_take(&b, 3600000));
	assert_false(bucket_take(&b, 0));
	assert_int_equal(bucket_wait_ms(&b, 0), 1000);
	assert_false(bucket_take(&b, 999));
	assert_true(bucket_take(&b, 1000)); /* and not only after an hour */
	assert_false(bucket_take(&b, 1000));
	/* Time at the ends of its range. */
	assert_true(bucket_take(&b, INT64_MAX));
	assert_true(bucket_take(&b, INT64_MIN));
	assert_false(bucket_take(&b, INT64_MIN));
	bucket_init(&b, 1e-18, 1, 0);
	assert_true(bucket_take(&b, 0));
	assert_true(bucket_wait_ms(&b, 0) == INT64_MAX);
}

static void test_headers(void **state)
{
	(void)state;
	struct http_request r = {.method = "GET"};
	http_request_add_header(&r, "X-Amz-Date", "20261122T221005Z");
	http_request_add_header(&r, "Content-Type", "application/json");
	http_request_add_header(&r, "content-type", "second");
	assert_int_equal(r.n_headers, 3);
	assert_string_equal(http_header_find(r.headers, r.n_headers, "x-amz-date"), "20261122T221005Z");
	assert_string_equal(http_header_find(r.headers, r.n_headers, "CONTENT-TYPE"), "application/json");
	assert_null(http_header_find(r.headers, r.n_headers, "content-typ"));
	assert_null(http_header_find(r.headers, r.n_headers, "content-type2"));
	assert_null(http_header_find(r.headers, r.n_headers, ""));
	assert_null(http_header_find(NULL, 0, "date"));
	/* Only letters have a case: '@' and '`' differ by the same bit. */
	http_request_add_header(&r, "@", "at");
	assert_null(http_header_find(r.headers, r.n_headers, "`"));
}

static bool is_kept(const char *name)
{
	for (size_t i = 0; http_response_headers_kept[i]; i++)
		if (strcmp(http_response_headers_kept[i], name) == 0)
			return true;
	return false;
}

static void test_headers_kept(void **state)
{
	(void)state;
	static const char *const needed[] = {
	    "x-amzn-errortype",
	    "x-amzn-query-error",
	    "x-amzn-requestid",
	    "x-amz-request-id",
	    "retry-after",
	    "x-amz-retry-after",
	    "date",
	    "content-type",
	    "x-amz-executed-version",
	    "x-amz-function-error",
	    "x-amz-log-result",
	    "location",
	};
	for (size_t i = 0; i < array_len(needed); i++)
		assert_true(is_kept(needed[i]));
	assert_false(is_kept("set-cookie"));
	assert_true(array_len(needed) <= HTTP_HEADERS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_prng_reference),
	    cmocka_unit_test(test_prng_seed),
	    cmocka_unit_test(test_prng_below),
	    cmocka_unit_test(test_prng_unit),
	    cmocka_unit_test(test_sha256),
	    cmocka_unit_test(test_bucket),
	    cmocka_unit_test(test_bucket_changes_its_rate),
	    cmocka_unit_test(test_bucket_wait),
	    cmocka_unit_test(test_bucket_time_backwards),
	    cmocka_unit_test(test_headers),
	    cmocka_unit_test(test_headers_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
