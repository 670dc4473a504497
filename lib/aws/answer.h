/*
 * What the parsers share that read answers into a view. Internal to lib/aws.
 */
#pragma once

#include "aws/json.h"
#include "base/http.h"

struct arena;

/* Fills ret_error by aws_error_malformed; always 1, for `return`. */
int answer_malformed(const struct http_response *r, const char *what, struct aws_error *ret_error);

/* Whether AWS has made it: for answers whose body says nothing, or whatever a function likes. What stands between here
 * and AWS answers 200 as well, and has no request to name. */
bool answer_is_from_aws(const struct http_response *r);

/* A member that is text of at most `max` bytes, without control characters, copied into the arena; NULL when it is
 * absent, null or empty, unless it is required. False: as json_copy_text. */
must_use bool answer_text(struct arena *a, const json_t *object, const char *key, bool required, size_t max,
			  const char **ret);
/* A member that is text for people: printable, and cut rather than refused. False: of another type. */
must_use bool answer_copy_reason(const json_t *object, const char *key, char *out, size_t size);
/* A member that is a boolean; absent and null are false. */
must_use bool answer_flag(const json_t *object, const char *key, bool *ret);
/* An object member; absent and null are an empty one (*ret NULL). False: of another type. */
must_use bool answer_object(const json_t *object, const char *key, const json_t **ret);

/* A new array in the arena that begins with the `n` elements of `old` and has room for `more`. NULL when that would be
 * more than LIMIT_VIEW_ITEMS. */
void *answer_extend(struct arena *a, const void *old, size_t n, size_t more, size_t size);
