/*
 * One scalar, read by its key's type and range.
 */
#pragma once

#include "plan/node.h"
#include "plan/schema.h"

struct value {
	int64_t number;
	const char *text; /* of a text or a SCHEMA_NUMBER; borrowed from what was parsed */
};

#define VALUE_SHOWN 96

/* How a value is shown in a sentence: "`5`", "a list", "a mapping"; shortened, and without control characters. */
void value_show(const struct node *n, char out[static VALUE_SHOWN]);
/* Reads a scalar. False when it will not do; `why` is then a whole sentence that begins with the key. */
must_use bool value_read(const struct schema_key *k, const struct node *n, struct value *ret, char *why, size_t size);
/* The table's own default, which must be well-formed. */
void value_fallback(const struct schema_key *k, struct value *ret);
/* "hold, pass and rollback" */
void value_list_choices(const char *const *choices, char *out, size_t size);
/* The nearest choice if it is near enough to be meant; NULL otherwise. */
const char *value_nearest(const char *text, const char *const *choices);
/* How many edits apart a mistyped word may be from the one that was meant. */
unsigned value_typo_limit(const char *text);
