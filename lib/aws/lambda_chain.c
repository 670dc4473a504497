#include "aws/lambda_chain.h"

#include <string.h>

#include "aws/answer.h"
#include "aws/lambda_wire.h"
#include "aws/request.h"
#include "base/error.h"

#define ZIP_BASE64_MAX (((size_t)LIMIT_ZIP_BYTES + 2) / 3 * 4)

/* --- code --- */

/* `before` + the file + `after`, written once: in base64 a file is up to 67 MB. */
static int take_zip(struct http_request *r, struct arena *a, const struct buf *before, const char *zip_base64,
		    const struct buf *after)
{
	size_t zip_len = strlen(zip_base64);
	if (zip_len > ZIP_BASE64_MAX)
		return -E2BIG;
	require(buf_ok(before) && buf_ok(after));
	size_t len = before->len + zip_len + after->len;
	char *body = arena_alloc(a, len + 1);
	char *end = mempcpy(body, before->data, before->len);
	end = mempcpy(end, zip_base64, zip_len);
	mempcpy(end, after->data, after->len);
	r->body = body;
	r->body_len = len;
	http_request_add_header(r, "Content-Type", REQUEST_JSON);
	return 0;
}

/* Where the code is, but for a file: that stands between the buffers. */
static void add_code(const struct code_spec *code, struct buf *before)
{
	switch (code->source) {
	case CODE_ZIP:
		request_add_key(before, "ZipFile");
		buf_add_char(before, '"');
		break;
	case CODE_S3:
		request_add_member(before, "S3Bucket", code->bucket);
		request_add_member(before, "S3Key", code->key);
		request_add_member(before, "S3ObjectVersion", code->object_version);
		break;
	case CODE_IMAGE:
		request_add_member(before, "ImageUri", code->image);
		break;
	case CODE_NONE:
	case CODE_LATEST:
		require(!"code that can be sent");
	}
}

static int take_code(struct http_request *r, struct arena *a, struct buf *before, const char *zip_base64,
		     const struct buf *after)
{
	if (zip_base64)
		return take_zip(r, a, before, zip_base64, after);
	buf_add(before, after->data, after->len);
	return request_take_body(r, a, before, REQUEST_JSON);
}

int lambda_build_create_function(struct arena *a, const struct aws_endpoint *e, const char *function,
				 const struct create_spec *create, const struct code_spec *code, const char *zip_base64,
				 struct http_request *ret)
{
	require((code->source == CODE_ZIP) == (zip_base64 != NULL));
	struct buf before cleanup(buf_deinit) = BUF_INIT(LIMIT_AWS_REQUEST_BYTES);
	struct buf after cleanup(buf_deinit) = BUF_INIT(LIMIT_AWS_REQUEST_BYTES);
	bool image = code->source == CODE_IMAGE;
	buf_add_char(&before, '{');
	request_add_member(&before, "FunctionName", function);
	if (!image) {
		request_add_member(&before, "Runtime", create->runtime);
		request_add_member(&before, "Handler", create->handler);
	}
	request_add_member(&before, "Role", create->role);
	request_add_member(&before, "PackageType", image ? "Image" : "Zip");
	request_add_key(&before, "Architectures");
	buf_add_char(&before, '[');
	buf_add_json_string(&before, create->architecture);
	buf_add_char(&before, ']');
	request_add_key(&before, "MemorySize");
	buf_add_u64(&before, create->memory_mb);
	request_add_key(&before, "Timeout");
	buf_add_u64(&before, create->timeout_s);
	request_add_key(&before, "Code");
	buf_add_char(&before, '{');
	add_code(code, &before);
	buf_add_text(&after, zip_base64 ? "\"}}" : "}}");

	struct http_request r;
	request_init(&r, a, e, "POST", "/2015-03-31/functions", "");
	int err = take_code(&r, a, &before, zip_base64, &after);
	if (!err)
		*ret = r;
	return err;
}

int lambda_build_update_code(struct arena *a, const struct aws_endpoint *e, const char *function,
			     const struct code_spec *code, const char *zip_base64, const char *revision,
			     struct http_request *ret)
{
	require((code->source == CODE_ZIP) == (zip_base64 != NULL));
	struct buf before cleanup(buf_deinit) = BUF_INIT(LIMIT_AWS_REQUEST_BYTES);
	struct buf after cleanup(buf_deinit) = BUF_INIT(LIMIT_AWS_REQUEST_BYTES);
	buf_add_char(&before, '{');
	request_add_member(&before, "RevisionId", revision);
	add_code(code, &before);
	buf_add_text(&after, zip_base64 ? "\"}" : "}");

	struct http_request r;
	lambda_init_request(&r, a, e, "PUT", function, "/code", NULL);
	int err = take_code(&r, a, &before, zip_base64, &after);
	if (!err)
		*ret = r;
	return err;
}

/* --- versions --- */

void lambda_build_publish_version(struct arena *a, const struct aws_endpoint *e, const char *function,
				  const char *code_sha256, const char *description, struct http_request *ret)
{
	struct buf body cleanup(buf_deinit) = BUF_INIT(LIMIT_AWS_REQUEST_BYTES);
	buf_add_char(&body, '{');
	request_add_member(&body, "CodeSha256", code_sha256);
	request_add_member(&body, "Description", description);
	buf_add_char(&body, '}');
	lambda_init_request(ret, a, e, "POST", function, "/versions", NULL);
	request_take_json(ret, a, &body);
}

void lambda_build_delete_version(struct arena *a, const struct aws_endpoint *e, const char *function, uint64_t version,
				 struct http_request *ret)
{
	char qualifier[24];
	/* Without a number the same request deletes the whole function. */
	require(version != VERSION_LATEST);
	version_format(version, qualifier);
	lambda_init_request(ret, a, e, "DELETE", function, "", qualifier);
}

/* --- aliases --- */

void lambda_build_create_alias(struct arena *a, const struct aws_endpoint *e, const char *function, const char *alias,
			       uint64_t version, struct http_request *ret)
{
	struct buf body cleanup(buf_deinit) = BUF_INIT(LIMIT_AWS_REQUEST_BYTES);
	char number[24];
	version_format(version, number);
	buf_add_char(&body, '{');
	request_add_member(&body, "Name", alias);
	request_add_member(&body, "FunctionVersion", number);
	buf_add_char(&body, '}');
	lambda_init_request(ret, a, e, "POST", function, "/aliases", NULL);
	request_take_json(ret, a, &body);
}

void lambda_build_list_aliases(struct arena *a, const struct aws_endpoint *e, const char *function, const char *marker,
			       struct http_request *ret)
{
	struct buf path cleanup(buf_deinit) = BUF_INIT(REQUEST_TARGET_MAX);
	struct buf query cleanup(buf_deinit) = BUF_INIT(REQUEST_TARGET_MAX);
	buf_add_text(&path, LAMBDA_FUNCTIONS);
	request_add_segment(&path, function);
	buf_add_text(&path, "/aliases");
	request_add_parameter(&query, "Marker", marker);
	request_init_target(ret, a, e, "GET", &path, &query);
}

static int compare_aliases(const void *a, const void *b)
{
	return strcmp(((const struct view_alias_entry *)a)->name, ((const struct view_alias_entry *)b)->name);
}

int lambda_parse_aliases(const struct http_response *r, struct chain_view *v, char *ret_marker, size_t marker_size,
			 struct aws_error *ret_error)
{
	json_t *root cleanup(json_decref_p) = json_from_answer(r, ret_error);
	if (!root)
		return 1;
	const json_t *items;
	char marker[LAMBDA_MARKER_SIZE];
	if (!json_object_get(root, "Aliases") || !json_get_array(root, "Aliases", &items))
		return answer_malformed(r, "a list of aliases has Aliases", ret_error);
	if (!json_copy_text(root, "NextMarker", false, marker, sizeof(marker)) || strlen(marker) >= marker_size)
		return answer_malformed(r, "NextMarker is text of at most 1023 characters", ret_error);
	struct view_alias_entry *all =
	    answer_extend(v->arena, v->aliases, v->n_aliases, json_array_size(items), sizeof(*all));
	if (!all)
		return answer_malformed(r, "a function has at most 20,000 aliases here", ret_error);
	size_t n = v->n_aliases;
	size_t i;
	json_t *item;
	json_array_foreach(items, i, item)
	{
		const char *why;
		if (!answer_text(v->arena, item, "Name", true, LIMIT_ALIAS_NAME, &all[n].name))
			return answer_malformed(r, "an alias has a Name of at most 128 characters", ret_error);
		if (!lambda_read_alias(item, &all[n].view, &why))
			return answer_malformed(r, why, ret_error);
		n++;
	}
	qsort(all, n, sizeof(*all), compare_aliases);
	v->aliases = all;
	v->n_aliases = n;
	memcpy(ret_marker, marker, strlen(marker) + 1);
	return 0;
}
