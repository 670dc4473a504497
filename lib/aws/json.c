#include "aws/json.h"

#include <string.h>

#include "base/limits.h"
#include "base/nesting.h"
#include "base/text.h"

static bool begins_markup(const char *body)
{
	return body && body[strspn(body, " \t\r\n")] == '<';
}

json_t *json_from_body(const struct http_response *r, const char **ret_why)
{
	if (r->body_len > LIMIT_AWS_RESPONSE_BYTES) {
		*ret_why = "it is larger than 8 MiB";
		return NULL;
	}
	/* jansson stops at 2,048 levels, each a stack frame; the cap here is ours. */
	if (nesting_exceeds(r->body, r->body_len, LIMIT_JSON_DEPTH)) {
		*ret_why = "its JSON is nested deeper than 32 levels";
		return NULL;
	}
	json_t *root = json_loadb(r->body, r->body_len, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(root)) {
		*ret_why = root ? "it is no JSON object"
			   : begins_markup(r->body)
			       ? "it is a page of HTML or XML, not JSON: something between here and "
				 "AWS answered; check the endpoint and the network"
			       : "it is no valid JSON";
		json_decref(root);
		return NULL;
	}
	return root;
}

json_t *json_from_answer(const struct http_response *r, struct aws_error *ret_error)
{
	if (r->status < 200 || r->status > 299) {
		aws_error_parse(r, ret_error);
		return NULL;
	}
	const char *why;
	json_t *root = json_from_body(r, &why);
	if (!root)
		aws_error_malformed(r, why, ret_error);
	return root;
}

void json_decref_p(json_t **slot)
{
	json_decref(*slot);
}

bool json_copy_text(const json_t *object, const char *key, bool required, char *out, size_t size)
{
	const json_t *value = json_object_get(object, key);
	if (!value || json_is_null(value)) {
		out[0] = '\0';
		return !required;
	}
	if (!json_is_string(value) || (required && json_string_length(value) == 0))
		return false;
	const char *text = json_string_value(value);
	for (const char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			return false;
	return text_copy(out, size, text);
}

bool json_get_array(const json_t *object, const char *key, const json_t **ret)
{
	const json_t *value = json_object_get(object, key);
	if (value && !json_is_null(value) && !json_is_array(value))
		return false;
	*ret = json_is_array(value) ? value : NULL;
	return true;
}
