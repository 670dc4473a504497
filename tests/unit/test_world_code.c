/* Code: zips and what they may hold, S3, images; and what it changes when. */
#include "world_rig.h"

#include <openssl/evp.h>

#include "base/buf.h"
#include "sim/zip.h"

#define FUNCTION "/2015-03-31/functions/hello"
#define CODE	 FUNCTION "/code"
#define UNZIP	 "Could not unzip uploaded file. Please check your file, then try to upload again."
#define FILE_MAX (256 * 1024)

static const char world[] =
    "limits: off\ninvoke_delay: false\n"
    "s3: {bucket: {v1.zip: {code: one, body: S1}, v2.zip: {body: S2, version: abc}}, empty: {}}\n"
    "images: {\"repo/app:1\": {body: I1}, \"repo/app:2\": {body: I2}}\n"
    "functions:\n  hello:\n    versions: {1: {body: old}}\n";

/* --- a zip, by hand --- */

static void put_16(struct buf *out, unsigned v)
{
	buf_add_char(out, (char)(v & 255));
	buf_add_char(out, (char)(v >> 8 & 255));
}

static void put_32(struct buf *out, size_t v)
{
	put_16(out, (unsigned)(v & 65535));
	put_16(out, (unsigned)(v >> 16));
}

/* One entry; `unpacked` is what it claims to be unpacked. */
static struct buf make_zip(const char *name, const char *text, unsigned method, size_t unpacked)
{
	struct buf z = BUF_INIT(FILE_MAX);
	size_t len = strlen(text), name_len = strlen(name);
	buf_add(&z, "PK\3\4\24\0\0\0", 8);
	put_16(&z, method);
	put_32(&z, 0);
	put_32(&z, 0);
	put_32(&z, len);
	put_32(&z, unpacked);
	put_16(&z, (unsigned)name_len);
	put_16(&z, 0);
	buf_add_text(&z, name);
	buf_add(&z, text, len);
	size_t directory = z.len;
	buf_add(&z, "PK\1\2\24\0\24\0\0\0", 10);
	put_16(&z, method);
	put_32(&z, 0);
	put_32(&z, 0);
	put_32(&z, len);
	put_32(&z, unpacked);
	put_16(&z, (unsigned)name_len);
	/* Lengths of extra field and comment, disk, attributes, and the entry's place: the file's start. */
	for (int i = 0; i < 4; i++)
		put_32(&z, 0);
	buf_add_text(&z, name);
	size_t size = z.len - directory;
	buf_add(&z, "PK\5\6\0\0\0\0\1\0\1\0", 12);
	put_32(&z, size);
	put_32(&z, directory);
	put_16(&z, 0);
	return z;
}

static struct buf zip_of(const char *name, const char *text)
{
	return make_zip(name, text, 0, strlen(text));
}

/* Uploads the bytes; `rest` are other fields of the JSON text. */
static int upload(struct rig *r, const void *bytes, size_t len, const char *rest)
{
	char *base64 cleanup(mem_free_p) = mem_alloc(len / 3 * 4 + 8);
	EVP_EncodeBlock((unsigned char *)base64, bytes, (int)len);
	char *body cleanup(mem_free_p) = mem_printf("{\"ZipFile\":\"%s\"%s}", base64, rest);
	int status = rig_call(r, "PUT", CODE, body);
	return status;
}

static int upload_zip(struct rig *r, struct buf zip, const char *rest)
{
	int status = upload(r, buf_text(&zip), zip.len, rest);
	buf_deinit(&zip);
	return status;
}

static const char *invoked(struct rig *r, const char *qualifier)
{
	char query[64];
	snprintf(query, sizeof(query), "Qualifier=%s", qualifier);
	struct http_request request = {.method = "POST", .path = FUNCTION "/invocations", .query = query};
	assert_int_equal(rig_request(r, &request), 200);
	return r->reply.response.body;
}

/* --- zips --- */

static void test_the_parts_of_a_zip(void **state)
{
	(void)state;
	struct zip z;
	const char *bytes;
	size_t len;
	struct buf zip = zip_of("a.txt", "hello");
	assert_true(zip_open(zip.data, zip.len, &z));
	assert_int_equal(z.n_entries, 1);
	assert_int_equal(z.unzipped, 5);
	assert_int_equal(zip_find(&z, "a.txt", &bytes, &len), ZIP_FOUND);
	assert_int_equal(len, 5);
	assert_memory_equal(bytes, "hello", 5);
	assert_int_equal(zip_find(&z, "a.tx", &bytes, &len), ZIP_ABSENT);
	/* The first bytes of all, and of the directory. */
	zip.data[0] = 'X';
	assert_false(zip_open(zip.data, zip.len, &z));
	zip.data[0] = 'P';
	zip.data[40] = 'X';
	assert_false(zip_open(zip.data, zip.len, &z));
	zip.data[40] = 'P';
	assert_true(zip_open(zip.data, zip.len, &z));
	/* Cut or changed anywhere it is refused or found to hold less, and nothing outside of it is read. */
	for (size_t cut = 0; cut < zip.len; cut++) {
		char *copy = mem_alloc(cut);
		memcpy(copy, zip.data, cut);
		assert_false(zip_open(copy, cut, &z));
		free(copy);
	}
	for (size_t at = 0; at < zip.len; at++) {
		char *copy = mem_alloc(zip.len);
		memcpy(copy, zip.data, zip.len);
		for (int value = 0; value < 256; value += 5) {
			copy[at] = (char)value;
			if (zip_open(copy, zip.len, &z) && zip_find(&z, "a.txt", &bytes, &len) == ZIP_FOUND)
				assert_true(bytes >= copy && bytes + len <= copy + zip.len);
		}
		free(copy);
	}
	buf_deinit(&zip);
}

static void test_what_is_no_zip(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, 1, world);
	static const char *const bad[] = {"no zip at all", "PK", "PK\3\4 and then nothing of the kind that follows"};
	for (size_t i = 0; i < array_len(bad); i++) {
		assert_int_equal(upload(&r, bad[i], strlen(bad[i]), ""), 400);
		assert_string_equal(rig_text(&r, "message"), UNZIP);
	}
	assert_int_equal(rig_call(&r, "PUT", CODE, "{\"ZipFile\":\"%%%\"}"), 400);
	assert_int_equal(rig_call(&r, "PUT", CODE, "{\"ZipFile\":\"%%%%\"}"), 400);
	assert_int_equal(rig_call(&r, "PUT", CODE, "{\"ZipFile\":7}"), 400);
	assert_int_equal(rig_call(&r, "PUT", CODE, "{}"), 400);
	assert_int_equal(upload_zip(&r, make_zip("big", "x", 0, 262144000), ""), 400);
	assert_string_equal(rig_text(&r, "message"), "Unzipped size must be smaller than 262144000 bytes");
	assert_string_equal(invoked(&r, "1"), "\"old\"");
	rig_deinit(&r);
}

static void test_a_zip_says_how_it_behaves(void **state)
{
	(void)state;
	struct rig r;
	char sha[64];
	rig_init(&r, 1, world);
	assert_int_equal(upload_zip(&r, zip_of("localaws.json", "{\"response\": \"Hello V1\"}"), ",\"Publish\":true"),
			 200);
	assert_string_equal(rig_text(&r, "Version"), "2");
	text_copy(sha, sizeof(sha), rig_text(&r, "CodeSha256"));
	assert_string_equal(invoked(&r, "2"), "{\"statusCode\":200,\"body\":\"Hello V1\"}");
	assert_string_equal(invoked(&r, "1"), "\"old\"");
	/* The next says all anew: no word of errors means none. */
	const char *worse = "{\"response\": {\"status\": 201, \"body\": \"V2\", \"headers\": {\"a\": \"b\"}}, "
			    "\"error_rate\": 1}";
	assert_int_equal(upload_zip(&r, zip_of("localaws.json", worse), ",\"Publish\":true"), 200);
	assert_string_not_equal(rig_text(&r, "CodeSha256"), sha);
	assert_non_null(strstr(invoked(&r, "3"), "Handler fails"));
	assert_int_equal(upload_zip(&r, zip_of("localaws.json", "{\"body\": \"V3\"}"), ""), 200);
	assert_string_equal(invoked(&r, "$LATEST"), "\"V3\"");
	/* One that says nothing leaves it as it is. */
	assert_int_equal(upload_zip(&r, zip_of("index.py", "pass"), ""), 200);
	assert_string_equal(invoked(&r, "$LATEST"), "\"V3\"");
	rig_deinit(&r);
}

static void test_a_zip_that_says_it_wrongly(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, 1, world);
	static const struct {
		const char *text, *message;
	} cases[] = {
	    {"{\"eror_rate\": 1}", "line 1, column 2: `eror_rate` is not a key of localaws.json"},
	    {"{\"error_rate\": 7}", "error_rate"},
	    {"{\"response\": {\"status\": 99}}", "status"},
	    {"{\"response\": {\"headers\": [1]}}", "headers"},
	    {"{\"response\": \"a\", \"body\": \"b\"}", "give one of them"},
	    {"[1, 2]", "localaws.json in the zip"},
	    {"{", "localaws.json in the zip"},
	    {"", "localaws.json in the zip"},
	};
	for (size_t i = 0; i < array_len(cases); i++) {
		assert_int_equal(upload_zip(&r, zip_of("localaws.json", cases[i].text), ""), 400);
		if (!strstr(rig_text(&r, "message"), cases[i].message))
			fail_msg("%s: %s", cases[i].text, rig_text(&r, "message"));
	}
	assert_int_equal(upload_zip(&r, make_zip("localaws.json", "{}", 8, 2), ""), 400);
	assert_non_null(strstr(rig_text(&r, "message"), "zip -0"));
	rig_deinit(&r);
}

/* --- when it counts --- */

static void test_the_old_code_serves_until_the_update_is_done(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, 1, world);
	assert_int_equal(upload_zip(&r, zip_of("localaws.json", "{body: first}"), ""), 200);
	assert_string_equal(invoked(&r, "$LATEST"), "\"first\"");
	assert_int_equal(rig_call(&r, "PUT", "/_localaws/world", "{update_time: 10s}"), 200);
	assert_int_equal(upload_zip(&r, zip_of("localaws.json", "{body: second}"), ""), 200);
	assert_string_equal(rig_text(&r, "LastUpdateStatus"), "InProgress");
	assert_string_equal(invoked(&r, "$LATEST"), "\"first\"");
	assert_int_equal(upload_zip(&r, zip_of("localaws.json", "{body: third}"), ""), 409);
	rig_advance(&r, 10000);
	assert_string_equal(invoked(&r, "$LATEST"), "\"second\"");

	/* A failed update leaves code and hash as they were. */
	char sha[64];
	assert_int_equal(rig_call(&r, "GET", FUNCTION "/configuration", NULL), 200);
	text_copy(sha, sizeof(sha), rig_text(&r, "CodeSha256"));
	assert_int_equal(rig_call(&r, "PUT", "/_localaws/world", "{functions: {hello: {update_fails: why}}}"), 200);
	assert_int_equal(upload_zip(&r, zip_of("localaws.json", "{body: third, error_rate: 1}"), ""), 200);
	assert_string_not_equal(rig_text(&r, "CodeSha256"), sha);
	assert_string_equal(invoked(&r, "$LATEST"), "\"second\"");
	rig_advance(&r, 10000);
	assert_string_equal(invoked(&r, "$LATEST"), "\"second\"");
	assert_int_equal(rig_call(&r, "GET", FUNCTION "/configuration", NULL), 200);
	assert_string_equal(rig_text(&r, "LastUpdateStatus"), "Failed");
	assert_string_equal(rig_text(&r, "CodeSha256"), sha);
	rig_deinit(&r);
}

static void test_a_dry_run_changes_nothing(void **state)
{
	(void)state;
	struct rig r;
	char revision[64];
	rig_init(&r, 1, world);
	assert_int_equal(rig_call(&r, "GET", FUNCTION "/configuration", NULL), 200);
	text_copy(revision, sizeof(revision), rig_text(&r, "RevisionId"));
	assert_int_equal(upload_zip(&r, zip_of("localaws.json", "{body: new}"), ",\"DryRun\":true"), 200);
	assert_int_equal(rig_call(&r, "GET", FUNCTION "/configuration", NULL), 200);
	assert_string_equal(rig_text(&r, "RevisionId"), revision);
	assert_non_null(strstr(invoked(&r, "$LATEST"), "rollout-localaws"));
	assert_int_equal(upload_zip(&r, zip_of("localaws.json", "{body: new}"), ",\"RevisionId\":\"other\""), 412);
	assert_non_null(strstr(invoked(&r, "$LATEST"), "rollout-localaws"));
	rig_deinit(&r);
}

static void test_publishing_what_is_unchanged(void **state)
{
	(void)state;
	struct rig r;
	char body[128];
	rig_init(&r, 1, world);
	assert_int_equal(upload_zip(&r, zip_of("a", "1"), ",\"Publish\":true"), 200);
	assert_string_equal(rig_text(&r, "Version"), "2");
	assert_int_equal(upload_zip(&r, zip_of("a", "1"), ",\"Publish\":true"), 200);
	assert_string_equal(rig_text(&r, "Version"), "2");
	assert_int_equal(rig_call(&r, "POST", FUNCTION "/versions", "{\"Description\":\"other\"}"), 201);
	assert_string_equal(rig_text(&r, "Version"), "2");
	assert_int_equal(rig_call(&r, "POST", FUNCTION "/versions", "{\"CodeSha256\":\"other\"}"), 400);
	assert_int_equal(rig_call(&r, "POST", FUNCTION "/versions", "{\"RevisionId\":\"other\"}"), 412);
	assert_int_equal(upload_zip(&r, zip_of("a", "2"), ""), 200);
	snprintf(body, sizeof(body), "{\"CodeSha256\":\"%s\"}", rig_text(&r, "CodeSha256"));
	assert_int_equal(rig_call(&r, "POST", FUNCTION "/versions", body), 201);
	assert_string_equal(rig_text(&r, "Version"), "3");
	/* The same code with other settings is another version. */
	assert_int_equal(rig_call(&r, "PUT", FUNCTION "/configuration", "{\"Timeout\":9}"), 200);
	assert_int_equal(rig_call(&r, "POST", FUNCTION "/versions", body), 201);
	assert_string_equal(rig_text(&r, "Version"), "4");
	rig_deinit(&r);
}

/* --- by name --- */

static void test_code_from_s3(void **state)
{
	(void)state;
	struct rig r;
	char sha[64];
	rig_init(&r, 1, world);
	assert_int_equal(rig_call(&r, "PUT", CODE, "{\"S3Bucket\":\"bucket\",\"S3Key\":\"v1.zip\"}"), 200);
	text_copy(sha, sizeof(sha), rig_text(&r, "CodeSha256"));
	assert_string_equal(invoked(&r, "$LATEST"), "\"S1\"");
	assert_int_equal(
	    rig_call(&r, "PUT", CODE, "{\"S3Bucket\":\"bucket\",\"S3Key\":\"v2.zip\",\"S3ObjectVersion\":\"abc\"}"),
	    200);
	assert_string_not_equal(rig_text(&r, "CodeSha256"), sha);
	assert_string_equal(invoked(&r, "$LATEST"), "\"S2\"");
	static const struct {
		const char *body, *code;
	} cases[] = {
	    {"{\"S3Bucket\":\"none\",\"S3Key\":\"v1.zip\"}",
	     "NoSuchBucket. S3 Error Message: The specified bucket does not exist"},
	    {"{\"S3Bucket\":\"bucket\",\"S3Key\":\"v3.zip\"}",
	     "NoSuchKey. S3 Error Message: The specified key does not exist."},
	    {"{\"S3Bucket\":\"empty\",\"S3Key\":\"v1.zip\"}", "NoSuchKey"},
	    {"{\"S3Bucket\":\"bucket\",\"S3Key\":\"v2.zip\",\"S3ObjectVersion\":\"abd\"}", "NoSuchVersion"},
	    {"{\"ImageUri\":\"repo/app:1\"}", "Please don't provide ImageUri when updating"},
	    {"{\"S3Bucket\":\"bucket\"}", "Please provide a source for function code."},
	};
	for (size_t i = 0; i < array_len(cases); i++) {
		assert_int_equal(rig_call(&r, "PUT", CODE, cases[i].body), 400);
		assert_string_equal(rig_error(&r), "InvalidParameterValueException");
		assert_non_null(strstr(rig_text(&r, "message"), cases[i].code));
	}
	/* An object may be replaced, as anybody may do. */
	assert_int_equal(rig_call(&r, "PUT", "/_localaws/world", "{s3: {bucket: {v1.zip: {body: S3}}}}"), 200);
	assert_int_equal(rig_call(&r, "PUT", CODE, "{\"S3Bucket\":\"bucket\",\"S3Key\":\"v1.zip\"}"), 200);
	assert_string_not_equal(rig_text(&r, "CodeSha256"), sha);
	assert_string_equal(invoked(&r, "$LATEST"), "\"S3\"");
	rig_deinit(&r);
}

static int create_image(struct rig *r, const char *uri, const char *rest)
{
	char body[512];
	snprintf(body, sizeof(body),
		 "{\"FunctionName\":\"app\",\"PackageType\":\"Image\",\"Role\":\"arn:aws:iam::123456789012:role/r\","
		 "\"Code\":{\"ImageUri\":\"%s\"}%s}",
		 uri, rest);
	return rig_call(r, "POST", "/2015-03-31/functions", body);
}

static void test_images(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, 1, world);
	assert_int_equal(create_image(&r, "repo/app:9", ""), 400);
	assert_non_null(strstr(rig_text(&r, "message"), "Source image repo/app:9 does not exist."));
	assert_int_equal(create_image(&r, "repo/app:1", ",\"Handler\":\"h\""), 400);
	assert_int_equal(create_image(&r, "repo/app:1", ""), 201);
	assert_string_equal(rig_text(&r, "PackageType"), "Image");
	assert_null(json_object_get(r.body, "Runtime"));
	assert_null(json_object_get(r.body, "RuntimeVersionConfig"));
	assert_int_equal(strspn(rig_text(&r, "CodeSha256"), "0123456789abcdef"), 64);
	assert_int_equal(rig_call(&r, "PUT", "/2015-03-31/functions/app/code", "{\"ZipFile\":\"UEs=\"}"), 400);
	assert_string_equal(rig_text(&r, "message"),
			    "Please provide ImageUri when updating a function with packageType Image.");
	assert_int_equal(rig_call(&r, "GET", "/2015-03-31/functions/app", NULL), 200);
	assert_int_equal(
	    rig_call(&r, "PUT", "/2015-03-31/functions/app/code", "{\"ImageUri\":\"repo/app:2\",\"Publish\":true}"),
	    200);
	assert_int_equal(rig_call(&r, "GET", "/2015-03-31/functions/app", NULL), 200);
	json_t *code = json_object_get(r.body, "Code");
	json_t *sha = json_object_get(json_object_get(r.body, "Configuration"), "CodeSha256");
	char resolved[128];
	snprintf(resolved, sizeof(resolved), "repo/app@sha256:%s", json_string_value(sha));
	assert_string_equal(json_string_value(json_object_get(code, "ImageUri")), "repo/app:2");
	assert_string_equal(json_string_value(json_object_get(code, "ResolvedImageUri")), resolved);
	assert_int_equal(rig_call(&r, "POST", "/2015-03-31/functions/app:1/invocations", NULL), 200);
	assert_string_equal(r.reply.response.body, "\"I2\"");
	rig_deinit(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_the_parts_of_a_zip),
	    cmocka_unit_test(test_what_is_no_zip),
	    cmocka_unit_test(test_a_zip_says_how_it_behaves),
	    cmocka_unit_test(test_a_zip_that_says_it_wrongly),
	    cmocka_unit_test(test_the_old_code_serves_until_the_update_is_done),
	    cmocka_unit_test(test_a_dry_run_changes_nothing),
	    cmocka_unit_test(test_publishing_what_is_unchanged),
	    cmocka_unit_test(test_code_from_s3),
	    cmocka_unit_test(test_images),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
