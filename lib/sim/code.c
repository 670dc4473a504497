#include "sim/code.h"

#include <string.h>

#include <openssl/evp.h>

#include "base/error.h"
#include "base/text.h"
#include "sim/lambda.h"
#include "sim/settings.h"
#include "sim/zip.h"

#define ZIPPED_MAX	52428800
#define UNZIPPED_MAX	262144000
#define BEHAVIOUR_FILE	"localaws.json"
#define BEHAVIOUR_BYTES ((size_t)BODY_MAX + 4096)

static bool fail_unzip(struct call *c)
{
	call_fail(c, &lambda_error_parameter,
		  "Could not unzip uploaded file. Please check your file, then try to upload again.");
	return false;
}

/* --- behaviour in a zip --- */

static bool read_behaviour_file(struct call *c, const char *text, size_t len, struct behaviour *ret)
{
	/* Too large for a stack. */
	struct diags *d = arena_alloc(c->arena, sizeof(*d));
	struct behaviour b = {0};
	const struct node *n = node_parse(c->arena, text, len, BEHAVIOUR_BYTES, d);
	behaviour_init(&b);
	bool good = n && !d->errors && settings_behaviour(n, BEHAVIOUR_FILE, NULL, &b, d);
	if (good) {
		*ret = b;
	} else {
		diags_sort(d);
		const struct diag *first = &d->items[0];
		call_fail(c, &lambda_error_parameter, BEHAVIOUR_FILE " in the zip, line %u, column %u: %s", first->line,
			  first->column, first->text);
		free(b.body);
	}
	diags_deinit(d);
	return good;
}

static bool read_zip(struct call *c, const char *bytes, size_t len, struct code *code)
{
	static const struct call_error too_large = {
	    .code = "RequestEntityTooLargeException", .status = 413, .no_type = true};
	struct zip z;
	const char *text;
	if (len > ZIPPED_MAX) {
		call_fail(c, &too_large, "Zipped size must be smaller than %d bytes", ZIPPED_MAX);
		return false;
	}
	if (!zip_open(bytes, len, &z))
		return fail_unzip(c);
	if (z.unzipped >= UNZIPPED_MAX) {
		call_fail(c, &lambda_error_parameter, "Unzipped size must be smaller than %d bytes", UNZIPPED_MAX);
		return false;
	}
	model_code_sha(bytes, len, code->sha256);
	code->size = len;
	switch (zip_find(&z, BEHAVIOUR_FILE, &text, &len)) {
	case ZIP_FOUND:
		code->behaves = read_behaviour_file(c, text, len, &code->behaviour);
		return code->behaves;
	case ZIP_ABSENT:
		break;
	case ZIP_COMPRESSED:
		call_fail(c, &lambda_error_parameter,
			  BEHAVIOUR_FILE " in the zip is compressed, and rollout-localaws does not unpack: store it "
					 "(zip -0, or ZIP_STORED in Python)");
		return false;
	}
	return true;
}

static bool read_zip_file(struct call *c, json_t *zip, struct code *code)
{
	size_t len = json_string_length(zip);
	const char *text = json_string_value(zip);
	if (len % 4 != 0 || len > INT32_MAX)
		return fail_unzip(c);
	unsigned char *bytes = arena_alloc(c->arena, len / 4 * 3 + 4);
	int n = EVP_DecodeBlock(bytes, (const unsigned char *)text, (int)len);
	for (size_t i = len; n > 0 && i > 0 && text[i - 1] == '='; i--)
		n--;
	return n > 0 ? read_zip(c, (const char *)bytes, (size_t)n, code) : fail_unzip(c);
}

/* --- code to be found by name --- */

static void take_object(const struct code_object *o, struct code *code)
{
	memcpy(code->sha256, o->code_sha256, sizeof(code->sha256));
	code->size = o->code_size;
	code->behaves = true;
	behaviour_copy(&code->behaviour, &o->behaviour);
}

static bool fail_object(struct call *c, const char *code, const char *text)
{
	call_fail(c, &lambda_error_parameter, "Error occurred while GetObject. S3 Error Code: %s. S3 Error Message: %s",
		  code, text);
	return false;
}

static bool bucket_is_there(const struct world *w, const char *bucket)
{
	size_t len = strlen(bucket);
	for (size_t i = 0; i < w->objects.len; i++) {
		const char *name = w->objects.entries[i].key;
		if (strncmp(name, bucket, len) == 0 && name[len] == '/')
			return true;
	}
	return false;
}

static bool read_object(struct call *c, const char *bucket, const char *key, const char *version, struct code *code)
{
	const struct code_object *o = table_get(&c->w->objects, arena_printf(c->arena, "%s/%s", bucket, key));
	if (!bucket_is_there(c->w, bucket))
		return fail_object(c, "NoSuchBucket", "The specified bucket does not exist");
	if (!o)
		return fail_object(c, "NoSuchKey", "The specified key does not exist.");
	if (version && o->version && strcmp(version, o->version) != 0)
		return fail_object(c, "NoSuchVersion", "The specified version does not exist.");
	take_object(o, code);
	return true;
}

static bool read_image(struct call *c, const char *uri, struct code *code)
{
	const struct code_object *o = table_get(&c->w->images, uri);
	if (!o) {
		call_fail(c, &lambda_error_parameter, "Source image %s does not exist. Provide a valid source image.",
			  uri);
		return false;
	}
	take_object(o, code);
	code->image = uri;
	return true;
}

/* --- all of them --- */

struct source {
	const char *bucket, *key, *version, *image;
};

static bool read_source(struct call *c, json_t *in, struct source *ret)
{
	struct source s = {0};
	if (!lambda_read_text_of(c, in, "S3Bucket", &s.bucket) || !lambda_read_text_of(c, in, "S3Key", &s.key) ||
	    !lambda_read_text_of(c, in, "S3ObjectVersion", &s.version) ||
	    !lambda_read_text_of(c, in, "ImageUri", &s.image))
		return false;
	*ret = s;
	return true;
}

bool code_read(struct call *c, json_t *in, bool is_image, const char *doing, struct code *ret)
{
	struct source s;
	json_t *zip = json_object_get(in, "ZipFile");
	struct code code = {.image = NULL};
	bool good = false;
	if (!read_source(c, in, &s))
		return false;
	if (is_image && !s.image)
		call_fail(c, &lambda_error_parameter,
			  "Please provide ImageUri when %s a function with packageType Image.", doing);
	else if (!is_image && s.image)
		call_fail(c, &lambda_error_parameter,
			  "Please don't provide ImageUri when %s a function with packageType Zip.", doing);
	else if (s.image)
		good = read_image(c, s.image, &code);
	else if (s.bucket && s.key)
		good = read_object(c, s.bucket, s.key, s.version, &code);
	else if (json_is_string(zip))
		good = read_zip_file(c, zip, &code);
	else
		call_fail(c, &lambda_error_parameter, "Please provide a source for function code.");
	if (good)
		*ret = code;
	return good;
}

void code_deinit(struct code *code)
{
	free(code->behaviour.body);
	*code = (struct code){.image = NULL};
}

void code_apply(const struct code *code, struct version *latest)
{
	memcpy(latest->code_sha256, code->sha256, sizeof(latest->code_sha256));
	latest->code_size = code->size;
	free(latest->image);
	latest->image = mem_strdup(code->image);
	if (code->behaves)
		behaviour_copy(&latest->behaviour, &code->behaviour);
}
