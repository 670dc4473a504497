/*
 * A mapping, read by its object of the schema: each key's value or default, and where it stood. Unknown keys, keys that
 * come later, missing ones and wrong values are reported here; what depends on more than one key is not.
 */
#pragma once

#include "base/mem.h"
#include "plan/node.h"
#include "plan/schema.h"

struct record;

/* One key's value. */
struct field {
	const struct node *node; /* NULL: left out */
	bool misspelt;		 /* left out, but an unknown key seems to have meant it */
	bool ok;		 /* the value below may be used: well written, or the default */
	int64_t number;		 /* as enum schema_type says; 0 when left out without a default */
	const char *text;	 /* of a text; NULL when left out without a default, and when it is a mapping */
	struct record *items;	 /* an object, a text written as a mapping: one; a list: n_items; else NULL */
	struct field *entries;	 /* a map: n_items, whose nodes have the keys */
	size_t n_items;
};

struct record {
	const struct schema_object *object;
	const struct node *node; /* NULL: left out, all defaults */
	struct field *fields;	 /* by the indices of schema.h */
};

/* The place of a value, for diags_add(); of its key. */
#define AT_VALUE(n) (n)->line, (n)->column
#define AT_KEY(n)   (n)->key_line, (n)->key_column

/* `node` must be a mapping, or NULL. Everything lives in the arena, and borrows from the nodes. */
void record_read(struct arena *a, const struct schema_object *o, const struct node *node, struct diags *diags,
		 struct record *ret);
/* Whether the key was written in the file. */
bool record_has(const struct record *r, size_t index);
/* Whether all that it holds may be used, as deep as it goes. Of keys that its object lacks this says nothing. */
bool record_is_good(const struct record *r);
