#include "plan/record.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "plan/value.h"

#define SENTENCE 512

static void read_field(struct arena *a, const struct schema_key *k, const struct node *n, struct diags *diags,
		       struct field *f);

static void read_object(struct arena *a, const struct schema_key *k, const struct node *n, struct diags *diags,
			struct field *f)
{
	if (n && n->kind != NODE_MAPPING) {
		char shown[VALUE_SHOWN];
		value_show(n, shown);
		diags_add(diags, DIAG_ERROR, AT_VALUE(n), "`%s` is %s; it must be a mapping, such as %s", k->name,
			  shown, k->example);
		return;
	}
	f->items = arena_alloc(a, sizeof(*f->items));
	f->n_items = 1;
	f->ok = true;
	record_read(a, k->object, n, diags, f->items);
}

static void read_list(struct arena *a, const struct schema_key *k, const struct node *n, struct diags *diags,
		      struct field *f)
{
	char shown[VALUE_SHOWN];
	if (n->kind != NODE_SEQUENCE) {
		value_show(n, shown);
		diags_add(diags, DIAG_ERROR, AT_VALUE(n), "`%s` is %s; it must be a list, such as %s", k->name, shown,
			  k->example);
		return;
	}
	if (n->n_children < (size_t)k->min) {
		diags_add(diags, DIAG_ERROR, AT_VALUE(n), "`%s` is empty; give it an item, or leave it out", k->name);
		return;
	}
	if (n->n_children > (size_t)k->max) {
		diags_add(diags, DIAG_ERROR, AT_VALUE(n), "`%s` has %zu items; the most is %lld", k->name,
			  n->n_children, (long long)k->max);
		return;
	}
	f->ok = true;
	f->items = arena_array(a, n->n_children, sizeof(*f->items));
	f->n_items = 0;
	for (const struct node *item = n->first; item; item = item->next) {
		if (item->kind == NODE_MAPPING) {
			record_read(a, k->object, item, diags, &f->items[f->n_items++]);
			continue;
		}
		value_show(item, shown);
		diags_add(diags, DIAG_ERROR, AT_VALUE(item), "%s is %s; it must be a mapping", k->object->noun,
			  node_is_null(item) ? "empty" : shown);
		f->ok = false;
	}
}

/* Each value as the map's `entry`, under its own name. */
static void read_map(struct arena *a, const struct schema_key *k, const struct node *n, struct diags *diags,
		     struct field *f)
{
	char shown[VALUE_SHOWN], reason[256];
	if (n->kind != NODE_MAPPING) {
		value_show(n, shown);
		diags_add(diags, DIAG_ERROR, AT_VALUE(n), "`%s` is %s; it must be a mapping, such as %s", k->name,
			  shown, k->example);
		return;
	}
	if (n->n_children < (size_t)k->min || n->n_children > (size_t)k->max) {
		diags_add(diags, DIAG_ERROR, AT_VALUE(n), "`%s` has %zu entries; the least is %lld, the most %lld",
			  k->name, n->n_children, (long long)k->min, (long long)k->max);
		return;
	}
	f->ok = true;
	f->entries = arena_array(a, n->n_children, sizeof(*f->entries));
	for (const struct node *child = n->first; child; child = child->next) {
		struct schema_key entry = *k->entry;
		if (!k->check(child->key, reason, sizeof(reason))) {
			text_copy_printable(shown, sizeof(shown), child->key);
			diags_add(diags, DIAG_ERROR, AT_KEY(child), "`%s` will not do as a key of `%s`; %s", shown,
				  k->name, reason);
			f->ok = false;
			continue;
		}
		entry.name = child->key;
		read_field(a, &entry, child, diags, &f->entries[f->n_items++]);
	}
}

static void read_scalar(struct arena *a, const struct schema_key *k, const struct node *n, struct diags *diags,
			struct field *f)
{
	if (n->kind == NODE_MAPPING && k->object) {
		read_object(a, k, n, diags, f);
		return;
	}
	if (n->kind != NODE_SCALAR) {
		char shown[VALUE_SHOWN];
		value_show(n, shown);
		diags_add(diags, DIAG_ERROR, AT_VALUE(n), "`%s` is %s; it must be a value such as %s", k->name, shown,
			  k->example);
		return;
	}
	struct value v;
	char why[SENTENCE];
	if (!value_read(k, n, &v, why, sizeof(why))) {
		diags_add(diags, DIAG_ERROR, AT_VALUE(n), "%s", why);
		return;
	}
	f->number = v.number;
	f->text = v.text;
	f->ok = true;
}

static void read_field(struct arena *a, const struct schema_key *k, const struct node *n, struct diags *diags,
		       struct field *f)
{
	f->node = n;
	if (node_is_null(n))
		diags_add(diags, DIAG_ERROR, AT_KEY(n), "`%s` has no value; give it one, such as %s, or remove the key",
			  k->name, k->example);
	else if (k->type == SCHEMA_OBJECT)
		read_object(a, k, n, diags, f);
	else if (k->type == SCHEMA_LIST)
		read_list(a, k, n, diags, f);
	else if (k->type == SCHEMA_MAP)
		read_map(a, k, n, diags, f);
	else
		read_scalar(a, k, n, diags, f);
}

/* What stands when the key was left out. */
static void fill_field(struct arena *a, const struct schema_key *k, struct diags *diags, struct field *f)
{
	f->ok = true;
	if (!k->fallback)
		return;
	if (k->type == SCHEMA_OBJECT) {
		read_object(a, k, NULL, diags, f);
		return;
	}
	struct value v;
	value_fallback(k, &v);
	f->number = v.number;
	f->text = v.text;
}

/* The places where a key of that name and state belongs, joined by "or"; false if there are none. */
static bool find_places(const char *key, enum schema_state state, char *out, size_t size)
{
	struct buf b = BUF_INIT(size - 1);
	for (size_t i = 0; i < schema_n_objects; i++) {
		const struct schema_key *k = schema_find(schema_objects[i], key);
		if (k && k->state == state)
			buf_addf(&b, "%s%s", b.len > 0 ? " or " : "", schema_objects[i]->place);
	}
	bool found = b.len > 0;
	text_copy(out, size, buf_text(&b));
	buf_deinit(&b);
	return found;
}

/* The known key of this object that was meant; NULL if none is near enough. */
static const char *nearest_key(const struct schema_object *o, const char *key)
{
	const char *names[32] = {0};
	size_t n = 0;
	for (size_t i = 0; i < o->n_keys && n + 1 < array_len(names); i++)
		if (o->keys[i]->state == SCHEMA_KNOWN)
			names[n++] = o->keys[i]->name;
	return value_nearest(key, names);
}

static void list_keys(const struct schema_object *o, char *out, size_t size)
{
	struct buf b = BUF_INIT(size - 1);
	for (size_t i = 0; i < o->n_keys; i++)
		if (o->keys[i]->state == SCHEMA_KNOWN)
			buf_addf(&b, "%s%s", b.len > 0 ? ", " : "", o->keys[i]->name);
	text_copy(out, size, buf_text(&b));
	buf_deinit(&b);
}

#define NOT_SUPPORTED "`%s` is not supported by this version of rolloutd; remove it"

/* A key that is not one of this object's, or that comes later. Returns the one that seems to be meant, or NULL. */
static const char *refuse_key(const struct schema_object *o, const struct node *n, struct diags *diags)
{
	if (diags->len == array_len(diags->items)) {
		/* Only counted; a hint that nobody sees is not worth its time. */
		diags_add(diags, DIAG_ERROR, AT_KEY(n), "unknown key");
		return NULL;
	}
	char shown[48];
	text_copy_printable(shown, sizeof(shown), n->key);
	char list[SENTENCE / 2];
	const struct schema_key *k = schema_find(o, n->key);
	bool later = k && k->state == SCHEMA_LATER;
	const char *nearest = later ? NULL : nearest_key(o, n->key);
	/* One letter off is a slip of this mapping's own key, even where another mapping has a key of that name. */
	bool slip = nearest && text_distance(n->key, nearest, 1) == 1;
	if (!later && !slip && find_places(n->key, SCHEMA_KNOWN, list, sizeof(list))) {
		diags_add(diags, DIAG_ERROR, AT_KEY(n), "`%s` does not belong %s; it belongs %s", shown, o->place,
			  list);
		return NULL;
	}
	if (later || (!slip && find_places(n->key, SCHEMA_LATER, list, sizeof(list)))) {
		diags_add(diags, DIAG_ERROR, AT_KEY(n), NOT_SUPPORTED, shown);
		return NULL;
	}
	if (nearest) {
		diags_add(diags, DIAG_ERROR, AT_KEY(n), "unknown key `%s`; did you mean `%s`?", shown, nearest);
	} else {
		list_keys(o, list, sizeof(list));
		diags_add(diags, DIAG_ERROR, AT_KEY(n), "unknown key `%s`; the keys %s are: %s", shown, o->place, list);
	}
	return nearest;
}

/* Every key that was written. */
static void read_given(struct arena *a, const struct record *r, struct diags *diags)
{
	const struct schema_object *o = r->object;
	for (const struct node *n = r->node->first; n; n = n->next) {
		const struct schema_key *k = schema_find(o, n->key);
		if (k && k->state == SCHEMA_KNOWN) {
			read_field(a, k, n, diags, &r->fields[schema_index(o, k)]);
			continue;
		}
		const char *meant = refuse_key(o, n, diags);
		if (meant)
			r->fields[schema_index(o, schema_find(o, meant))].misspelt = true;
	}
}

void record_read(struct arena *a, const struct schema_object *o, const struct node *node, struct diags *diags,
		 struct record *ret)
{
	ret->object = o;
	ret->node = node;
	ret->fields = arena_array(a, o->n_keys, sizeof(*ret->fields));
	if (node)
		read_given(a, ret, diags);
	for (size_t i = 0; i < o->n_keys; i++) {
		const struct schema_key *k = o->keys[i];
		struct field *f = &ret->fields[i];
		if (k->state == SCHEMA_LATER || f->node)
			continue;
		fill_field(a, k, diags, f);
		if (f->misspelt || (node && k->required))
			f->ok = false;
		if (node && k->required && !f->misspelt)
			diags_add(diags, DIAG_ERROR, AT_VALUE(node), "`%s` is missing %s; add it, for example `%s: %s`",
				  k->name, o->place, k->name, k->example);
	}
}

bool record_has(const struct record *r, size_t index)
{
	return r->fields[index].node != NULL;
}

bool record_is_good(const struct record *r)
{
	for (size_t i = 0; i < r->object->n_keys; i++) {
		const struct field *f = &r->fields[i];
		if (r->object->keys[i]->state == SCHEMA_LATER)
			continue;
		if (!f->ok)
			return false;
		for (size_t j = 0; f->items && j < f->n_items; j++)
			if (!record_is_good(&f->items[j]))
				return false;
	}
	return true;
}
