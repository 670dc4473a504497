#include "field.h"

#include <string.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/nesting.h"
#include "base/text.h"

json_t *field_parse(const struct buf *text)
{
	if (nesting_exceeds(buf_text(text), text->len, LIMIT_JSON_DEPTH))
		return NULL;
	return json_loadb(buf_text(text), text->len, JSON_REJECT_DUPLICATES, NULL);
}

const char *field_text(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

int64_t field_int(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

bool field_true(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

int64_t field_time(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));
	int64_t unix_ms;

	return s && text_parse_utc(s, &unix_ms) == 0 ? unix_ms : 0;
}

json_t *field_array(const json_t *object, const char *key)
{
	json_t *a = json_object_get(object, key);

	return json_is_array(a) ? a : NULL;
}

bool field_is(const json_t *object, const char *key, const char *text)
{
	return strcmp(field_text(object, key), text) == 0;
}
