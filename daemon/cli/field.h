/*
 * Reading the API's JSON forms. A field that is missing or of another type reads as nothing: a newer daemon may say
 * more, an older one less, and neither may make rolloutctl fail.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct buf;

/* What the daemon said, as JSON: NULL when it is none, says something twice, or is nested deeper than LIMIT_JSON_DEPTH.
 * The caller decrefs. */
json_t *field_parse(const struct buf *text);
const char *field_text(const json_t *object, const char *key); /* never NULL */
int64_t field_int(const json_t *object, const char *key);      /* 0 when absent */
bool field_true(const json_t *object, const char *key);
int64_t field_time(const json_t *object, const char *key);  /* to unix ms; 0 when null or absent */
json_t *field_array(const json_t *object, const char *key); /* borrowed; NULL when absent */
bool field_is(const json_t *object, const char *key, const char *text);
