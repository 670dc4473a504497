#include "aws/answer.h"

#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"

int answer_malformed(const struct http_response *r, const char *what, struct aws_error *ret_error)
{
	aws_error_malformed(r, what, ret_error);
	return 1;
}

bool answer_is_from_aws(const struct http_response *r)
{
	static const char *const names[] = {"x-amzn-requestid", "x-amz-request-id", "x-amz-executed-version",
					    "x-amz-function-error"};

	for (size_t i = 0; i < array_len(names); i++)
		if (http_header_find(r->headers, r->n_headers, names[i]))
			return true;
	return false;
}

bool answer_text(struct arena *a, const json_t *object, const char *key, bool required, size_t max, const char **ret)
{
	const json_t *value = json_object_get(object, key);
	if (!value || json_is_null(value) || (json_is_string(value) && json_string_length(value) == 0)) {
		if (!required)
			*ret = NULL;
		return !required;
	}
	if (!json_is_string(value) || json_string_length(value) > max)
		return false;
	const char *text = json_string_value(value);
	for (const char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			return false;
	*ret = arena_strdup(a, text);
	return true;
}

bool answer_copy_reason(const json_t *object, const char *key, char *out, size_t size)
{
	const json_t *value = json_object_get(object, key);
	text_copy_printable(out, size, json_is_string(value) ? json_string_value(value) : "");
	return !value || json_is_null(value) || json_is_string(value);
}

bool answer_flag(const json_t *object, const char *key, bool *ret)
{
	const json_t *value = json_object_get(object, key);
	if (value && !json_is_null(value) && !json_is_boolean(value))
		return false;
	*ret = json_is_true(value);
	return true;
}

bool answer_object(const json_t *object, const char *key, const json_t **ret)
{
	const json_t *value = json_object_get(object, key);
	if (value && !json_is_null(value) && !json_is_object(value))
		return false;
	*ret = json_is_object(value) ? value : NULL;
	return true;
}

void *answer_extend(struct arena *a, const void *old, size_t n, size_t more, size_t size)
{
	if (more > LIMIT_VIEW_ITEMS || n > LIMIT_VIEW_ITEMS - more)
		return NULL;
	void *array = arena_array(a, n + more, size);
	if (n > 0)
		memcpy(array, old, n * size);
	return array;
}
