/*
 * A treap: a search tree by key whose random priorities keep it balanced (Seidel and Aragon, Randomized Search Trees,
 * 1996). The random numbers have a fixed seed, so that a run can be repeated.
 */
#include "store/items.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/prng.h"
#include "store/ops.h"

struct change {
	struct item *removed; /* NULL: there was none */
	struct item *added;   /* NULL: it was dropped */
};

struct items {
	struct item *root;
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

struct item *items_new(const struct item_key *key, const char **texts, size_t n)
{
	size_t bytes = strlen(key->s) + strlen(key->t) + 2;
	for (size_t i = 0; i < n; i++)
		bytes += strlen(store_text(texts[i])) + 1;
	struct item *item = mem_alloc(sizeof(*item) + bytes);
	char *at = item->text;
	item->key = *key;
	item->key.s = keep_text(&at, key->s);
	item->key.t = keep_text(&at, key->t);
	for (size_t i = 0; i < n; i++)
		texts[i] = keep_text(&at, store_text(texts[i]));
	return item;
}

static int compare_u64(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int compare(const struct item_key *x, const struct item_key *y)
{
	int r = compare_u64(x->kind, y->kind);
	if (!r)
		r = strcmp(x->s, y->s);
	if (!r)
		r = strcmp(x->t, y->t);
	if (!r)
		r = compare_u64(x->a, y->a);
	return r ? r : compare_u64(x->b, y->b);
}

struct items *items_new(void)
{
	struct items *t = mem_alloc(sizeof(*t));
	prng_init(&t->prng, 1);
	return t;
}

static void free_tree(struct item *root)
{
	while (root) {
		free_tree(root->left);
		struct item *right = root->right;
		free(root);
		root = right;
	}
}

void items_free(struct items *t)
{
	if (!t)
		return;
	items_undo_changes(t);
	free_tree(t->root);
	free(t->changes);
	free(t);
}

/* Splits into what is before the key and what is not. */
static void split(struct item *root, const struct item_key *key, struct item **before, struct item **rest)
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
static struct item *join(struct item *left, struct item *right)
{
	struct item *root = NULL;
	struct item **slot = &root;
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

/* Takes the item of that key out of the tree; NULL if there is none. */
static struct item *take_out(struct items *t, const struct item_key *key)
{
	struct item **slot = &t->root;
	while (*slot) {
		int order = compare(key, &(*slot)->key);
		if (order == 0)
			break;
		slot = order < 0 ? &(*slot)->left : &(*slot)->right;
	}
	struct item *found = *slot;
	if (found)
		*slot = join(found->left, found->right);
	return found;
}

/* No item of that key is there. */
static void put_in(struct items *t, struct item *item)
{
	item->priority = prng_next(&t->prng);
	struct item **slot = &t->root;
	while (*slot && (*slot)->priority >= item->priority)
		slot = compare(&item->key, &(*slot)->key) < 0 ? &(*slot)->left : &(*slot)->right;
	split(*slot, &item->key, &item->left, &item->right);
	*slot = item;
}

static void note_change(struct items *t, struct item *removed, struct item *added)
{
	t->changes = mem_grow(t->changes, &t->changes_cap, t->n_changes + 1, sizeof(*t->changes));
	t->changes[t->n_changes++] = (struct change){.removed = removed, .added = added};
}

void items_put(struct items *t, struct item *item)
{
	struct item *removed = take_out(t, &item->key);
	put_in(t, item);
	note_change(t, removed, item);
}

void items_drop(struct items *t, const struct item_key *key)
{
	struct item *removed = take_out(t, key);
	if (removed)
		note_change(t, removed, NULL);
}

void items_keep_changes(struct items *t)
{
	for (size_t i = 0; i < t->n_changes; i++)
		free(t->changes[i].removed);
	t->n_changes = 0;
}

void items_undo_changes(struct items *t)
{
	while (t->n_changes > 0) {
		struct change *c = &t->changes[--t->n_changes];
		if (c->added)
			free(take_out(t, &c->added->key));
		if (c->removed)
			put_in(t, c->removed);
	}
}

struct item *items_find(const struct items *t, const struct item_key *key)
{
	struct item *at = t->root;
	while (at) {
		int order = compare(key, &at->key);
		if (order == 0)
			return at;
		at = order < 0 ? at->left : at->right;
	}
	return NULL;
}

struct item *items_after(const struct items *t, const struct item_key *key, bool inclusive)
{
	struct item *best = NULL;
	for (struct item *at = t->root; at;) {
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

struct item *items_before(const struct items *t, const struct item_key *key, bool inclusive)
{
	struct item *best = NULL;
	for (struct item *at = t->root; at;) {
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
