/*
 * YAML bytes -> tree of nodes with positions, over libyaml's events (never its document tree), with caps on bytes,
 * depth and nodes. Aliases, anchors, tags, several documents, merge keys, duplicate keys and non-UTF-8 are refused.
 * Used for plans, for the daemon's configuration and for the local stand-in's world files.
 */
#pragma once

#include "base/mem.h"
#include "plan/diag.h"

enum node_kind { NODE_SCALAR, NODE_SEQUENCE, NODE_MAPPING };

struct node {
	enum node_kind kind;
	unsigned line; /* from 1 */
	unsigned column;
	const char *text; /* scalar: its text */
	bool plain;	  /* scalar: written without quotes */
	const char *key;  /* when it is a mapping's value */
	unsigned key_line;
	unsigned key_column;
	struct node *first; /* children, in order */
	struct node *next;
	size_t n_children;
};

/* NULL when there was an error that leaves no tree; errors are added to diags in any case, so a tree alone does not
 * mean that all is well. A file without any content gives a null scalar. Nothing points into `bytes` afterwards. */
struct node *node_parse(struct arena *a, const char *bytes, size_t len, size_t max_bytes, struct diags *diags);
const struct node *node_get(const struct node *mapping, const char *key); /* NULL if absent */
/* A plain scalar that means null: "", "~", "null". */
bool node_is_null(const struct node *n);
