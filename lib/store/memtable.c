/*
 * A treap: a search tree by key whose random priorities keep it balanced (Seidel and Aragon, Randomized Search Trees,
 * 1996). The random numbers have a fixed seed, so that a run can be repeated.
 */
#include "store/memtable.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/prng.h"
#include "store/ops.h"

struct change {
	struct row *removed; /* NULL: there was none */
	struct row *added;   /* NULL: it was dropped */
};

struct memtable {
	struct row *root;
	struct prng prng;
	struct change *changes;
	size_t n_changes;
	size_t changes_cap;
};

static const char *keep_text(char **at, const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = *at;
	memcpy(copy, text, size);
	*at += size;
	return copy;
}

struct row *memtable_row_new(const struct row_key *key, const char **texts, size_t n)
{
	size_t bytes = strlen(key->s) + strlen(key->t) + 2;
	for (size_t i = 0; i < n; i++)
		bytes += strlen(store_text(texts[i])) + 1;
	struct row *row = mem_alloc(sizeof(*row) + bytes);
	char *at = row->text;
	row->key = *key;
	row->key.s = keep_text(&at, key->s);
	row->key.t = keep_text(&at, key->t);
	for (size_t i = 0; i < n; i++)
		texts[i] = keep_text(&at, store_text(texts[i]));
	return row;
}

static int compare_u64(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int compare(const struct row_key *x, const struct row_key *y)
{
	int r = compare_u64(x->kind, y->kind);
	if (!r)
		r = strcmp(x->s, y->s);
	if (!r)
		r = strcmp(x->t, y->t);
	if (!r)
		r = compare_u64(x->a, y->a);
	if (!r)
		r = compare_u64(x->b, y->b);
	return r ? r : compare_u64(x->c, y->c);
}

struct memtable *memtable_new(void)
{
	struct memtable *t = mem_alloc(sizeof(*t));
	prng_init(&t->prng, 1);
	return t;
}

static void free_tree(struct row *root)
{
	while (root) {
		free_tree(root->left);
		struct row *right = root->right;
		free(root);
		root = right;
	}
}

void memtable_free(struct memtable *t)
{
	if (!t)
		return;
	memtable_undo_changes(t);
	free_tree(t->root);
	free(t->changes);
	free(t);
}

/* Splits into what is before the key and what is not. */
static void split(struct row *root, const struct row_key *key, struct row **before, struct row **rest)
{
	while (root) {
		if (compare(&root->key, key) < 0) {
			*before = root;
			before = &root->right;
			root = root->right;
		} else {
			*rest = root;
			rest = &root->left;
			root = root->left;
		}
	}
	*before = NULL;
	*rest = NULL;
}

/* Everything in `left` is before everything in `right`. */
static struct row *join(struct row *left, struct row *right)
{
	struct row *root = NULL;
	struct row **slot = &root;
	while (left && right) {
		if (left->priority >= right->priority) {
			*slot = left;
			slot = &left->right;
			left = left->right;
		} else {
			*slot = right;
			slot = &right->left;
			right = right->left;
		}
	}
	*slot = left ? left : right;
	return root;
}

/* Takes the row of that key out of the tree; NULL if there is none. */
static struct row *take_out(struct memtable *t, const struct row_key *key)
{
	struct row **slot = &t->root;
	while (*slot) {
		int order = compare(key, &(*slot)->key);
		if (order == 0)
			break;
		slot = order < 0 ? &(*slot)->left : &(*slot)->right;
	}
	struct row *found = *slot;
	if (found)
		*slot = join(found->left, found->right);
	return found;
}

/* No row of that key is there. */
static void put_in(struct memtable *t, struct row *row)
{
	row->priority = prng_next(&t->prng);
	struct row **slot = &t->root;
	while (*slot && (*slot)->priority >= row->priority)
		slot = compare(&row->key, &(*slot)->key) < 0 ? &(*slot)->left : &(*slot)->right;
	split(*slot, &row->key, &row->left, &row->right);
	*slot = row;
}

static void note_change(struct memtable *t, struct row *removed, struct row *added)
{
	t->changes = mem_grow(t->changes, &t->changes_cap, t->n_changes + 1, sizeof(*t->changes));
	t->changes[t->n_changes++] = (struct change){.removed = removed, .added = added};
}

void memtable_put(struct memtable *t, struct row *row)
{
	struct row *removed = take_out(t, &row->key);
	put_in(t, row);
	note_change(t, removed, row);
}

void memtable_drop(struct memtable *t, const struct row_key *key)
{
	struct row *removed = take_out(t, key);
	if (removed)
		note_change(t, removed, NULL);
}

void memtable_keep_changes(struct memtable *t)
{
	for (size_t i = 0; i < t->n_changes; i++)
		free(t->changes[i].removed);
	t->n_changes = 0;
}

void memtable_undo_changes(struct memtable *t)
{
	while (t->n_changes > 0) {
		struct change *c = &t->changes[--t->n_changes];
		if (c->added)
			free(take_out(t, &c->added->key));
		if (c->removed)
			put_in(t, c->removed);
	}
}

struct row *memtable_find(const struct memtable *t, const struct row_key *key)
{
	struct row *at = t->root;
	while (at) {
		int order = compare(key, &at->key);
		if (order == 0)
			return at;
		at = order < 0 ? at->left : at->right;
	}
	return NULL;
}

struct row *memtable_after(const struct memtable *t, const struct row_key *key, bool inclusive)
{
	struct row *best = NULL;
	for (struct row *at = t->root; at;) {
		int order = compare(&at->key, key);
		if (order > 0 || (order == 0 && inclusive)) {
			best = at;
			at = at->left;
		} else {
			at = at->right;
		}
	}
	return best && best->key.kind == key->kind ? best : NULL;
}

struct row *memtable_before(const struct memtable *t, const struct row_key *key, bool inclusive)
{
	struct row *best = NULL;
	for (struct row *at = t->root; at;) {
		int order = compare(&at->key, key);
		if (order < 0 || (order == 0 && inclusive)) {
			best = at;
			at = at->right;
		} else {
			at = at->left;
		}
	}
	return best && best->key.kind == key->kind ? best : NULL;
}
