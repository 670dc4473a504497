/*
 * JSON that came from outside. Internal to lib/aws.
 */
#pragma once

#include <jansson.h>

#include "aws/error.h"

/* The answer's body as an object, with duplicate keys, deep nesting and oversize refused. NULL: *ret_why (static text)
 * says what is wrong. The caller decrefs. */
json_t *json_from_body(const struct http_response *r, const char **ret_why);
/* The same for a 2xx answer, whose faults are AWS_MALFORMED, and with any other answer read as the error it is. */
json_t *json_from_answer(const struct http_response *r, struct aws_error *ret_error);

void json_decref_p(json_t **slot); /* for cleanup() */

/* A member that is text of less than `size` bytes, copied as it is. An absent or null one gives "" when it is not
 * required. False: wrong type, too long, not printable ASCII or UTF-8 without control characters, or missing. */
must_use bool json_copy_text(const json_t *object, const char *key, bool required, char *out, size_t size);
/* An array member; absent and null are an empty one (*ret NULL). False: of another type. */
must_use bool json_get_array(const json_t *object, const char *key, const json_t **ret);
