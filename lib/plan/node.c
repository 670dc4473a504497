/*
 * libyaml's scanner and parser have no limit on depth, and its time for deeply nested brackets is quadratic or worse;
 * so its events are taken one at a time, and the first one beyond a cap ends the parse. Its document tree is not used.
 *
 * What is refused but leaves a usable tree (an anchor, a tag, a duplicate key) is reported and parsing goes on, so that
 * one run shows every error of the file.
 */
#include "plan/node.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/strmap.h"
#include "base/text.h"
#include "base/utf8.h"
#include "plan/bytes.h"

/* How much of a key is shown in a sentence. */
#define SHOWN_SIZE 48
/* From so many children on, a mapping's keys are looked up in a table: with all that a file can have, walking along
 * them for each new one takes a fifth of a second. */
#define MANY_CHILDREN 64

/* A collection that is open. */
struct frame {
	struct node *node;
	struct node *last;  /* child */
	bool have_key;	    /* mapping: the next node is the value of `key` */
	struct strmap many; /* mapping: its children by key, once they are many */
	const char *key;    /* NULL: its value is parsed, and dropped */
	unsigned key_line;
	unsigned key_column;
};

struct builder {
	struct arena *arena;
	struct diags *diags;
	yaml_parser_t parser;
	yaml_mark_t end; /* of the text */
	struct frame stack[LIMIT_YAML_DEPTH];
	size_t depth;
	size_t nodes; /* keys included */
	unsigned documents;
	struct node *root;
	bool spoiled; /* an error leaves no tree */
};

/* Where the text ends. libyaml ends the last line itself where the file does not, and is one line further then. */
static yaml_mark_t find_end(const char *bytes, size_t len)
{
	yaml_mark_t end = {0};
	for (size_t i = 0, n; i < len; i += n) {
		n = utf8_char_len(bytes + i, len - i);
		bool crlf = bytes[i] == '\r' && i + 1 < len && bytes[i + 1] == '\n';
		if (bytes_is_break(utf8_decode(bytes + i, n)) && !crlf)
			end = (yaml_mark_t){.line = end.line + 1};
		else
			end.column++;
	}
	return end;
}

static unsigned line_of(yaml_mark_t m)
{
	return (unsigned)m.line + 1;
}

static unsigned column_of(yaml_mark_t m)
{
	return (unsigned)m.column + 1;
}

static yaml_mark_t inside(const struct builder *b, yaml_mark_t m)
{
	return m.line > b->end.line ? b->end : m;
}

#define ERROR_AT(b, mark, ...)                                                                                         \
	diags_add((b)->diags, DIAG_ERROR, line_of(inside(b, mark)), column_of(inside(b, mark)), __VA_ARGS__)

/* An error after which no tree can be had. */
static void spoil(struct builder *b, yaml_mark_t mark, const char *text)
{
	ERROR_AT(b, mark, "%s", text);
	b->spoiled = true;
}

static struct node *node_new(struct builder *b, enum node_kind kind, yaml_mark_t mark)
{
	struct node *n = arena_alloc(b->arena, sizeof(*n));
	n->kind = kind;
	n->line = line_of(inside(b, mark));
	n->column = column_of(inside(b, mark));
	return n;
}

/* The earlier value of that key in an open mapping; NULL if there is none. */
static const struct node *find_child(const struct node *mapping, const char *key)
{
	for (const struct node *n = mapping->first; n; n = n->next)
		if (n->key[0] == key[0] && strcmp(n->key, key) == 0)
			return n;
	return NULL;
}

/* The same while the mapping is being filled. */
static const struct node *find_placed(const struct frame *f, const char *key)
{
	return f->many.len > 0 ? strmap_get(&f->many, key) : find_child(f->node, key);
}

static void index_children(struct frame *f, struct node *newest)
{
	if (f->node->kind != NODE_MAPPING || f->node->n_children < MANY_CHILDREN)
		return;
	for (struct node *n = f->many.len > 0 ? newest : f->node->first; n; n = n->next)
		strmap_put(&f->many, n->key, n);
}

/* Whether the pair that this scalar begins is kept. */
static bool key_accept(struct builder *b, const struct frame *f, const struct node *key, yaml_mark_t mark)
{
	char shown[SHOWN_SIZE];
	text_copy_printable(shown, sizeof(shown), key->text);
	if (key->plain && strcmp(key->text, "<<") == 0) {
		ERROR_AT(b, mark, "merge keys (`<<`) are not supported; write the keys out");
		return false;
	}
	if (key->text[0] == '\0') {
		ERROR_AT(b, mark, "a key is empty; give it a name");
		return false;
	}
	const struct node *first = find_placed(f, key->text);
	if (first) {
		ERROR_AT(b, mark, "`%s` is given twice; the first one is in line %u", shown, first->key_line);
		return false;
	}
	return true;
}

static void place_as_key(struct builder *b, struct frame *f, struct node *n, yaml_mark_t mark)
{
	f->have_key = true;
	f->key = NULL;
	if (n->kind != NODE_SCALAR) {
		ERROR_AT(b, mark, "a %s cannot be a key; keys are plain words",
			 n->kind == NODE_SEQUENCE ? "list" : "mapping");
		return;
	}
	if (!key_accept(b, f, n, mark))
		return;
	f->key = n->text;
	f->key_line = n->line;
	f->key_column = n->column;
}

static void append(struct frame *f, struct node *n)
{
	if (f->last)
		f->last->next = n;
	else
		f->node->first = n;
	f->last = n;
	f->node->n_children++;
	index_children(f, n);
}

/* Puts a node where the parse stands: as root, item, key or value. */
static void place(struct builder *b, struct node *n, yaml_mark_t mark)
{
	if (b->depth == 0) {
		b->root = n;
		return;
	}
	struct frame *f = &b->stack[b->depth - 1];
	if (f->node->kind == NODE_SEQUENCE) {
		append(f, n);
		return;
	}
	if (!f->have_key) {
		place_as_key(b, f, n, mark);
		return;
	}
	f->have_key = false;
	if (!f->key)
		return;
	n->key = f->key;
	n->key_line = f->key_line;
	n->key_column = f->key_column;
	append(f, n);
}

/* False when the parse must end. */
static bool count_node(struct builder *b, yaml_mark_t mark)
{
	if (++b->nodes <= LIMIT_YAML_NODES)
		return true;
	char text[96];
	(void)snprintf(text, sizeof(text), "the file has more than %d keys and values; that is the limit",
		       LIMIT_YAML_NODES);
	spoil(b, mark, text);
	return false;
}

static void refuse_properties(struct builder *b, const yaml_char_t *anchor, const yaml_char_t *tag, yaml_mark_t mark)
{
	char shown[SHOWN_SIZE];
	if (anchor) {
		text_copy_printable(shown, sizeof(shown), (const char *)anchor);
		ERROR_AT(b, mark, "anchors (`&%s`) are not supported; write the value out where it is used", shown);
	}
	if (tag) {
		text_copy_printable(shown, sizeof(shown), (const char *)tag);
		ERROR_AT(b, mark, "tags (`%s`) are not supported; remove it", shown);
	}
}

static bool on_collection(struct builder *b, enum node_kind kind, yaml_mark_t mark)
{
	if (!count_node(b, mark))
		return false;
	if (b->depth == array_len(b->stack)) {
		char text[96];
		(void)snprintf(text, sizeof(text), "this is nested deeper than %d levels; that is the limit",
			       LIMIT_YAML_DEPTH);
		spoil(b, mark, text);
		return false;
	}
	struct node *n = node_new(b, kind, mark);
	place(b, n, mark);
	b->stack[b->depth++] = (struct frame){.node = n};
	return true;
}

static bool on_scalar(struct builder *b, const yaml_event_t *e)
{
	if (!count_node(b, e->start_mark))
		return false;
	const char *text = (const char *)e->data.scalar.value;
	struct node *n = node_new(b, NODE_SCALAR, e->start_mark);
	n->text = arena_strndup(b->arena, text, e->data.scalar.length);
	n->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	if (strlen(n->text) != e->data.scalar.length)
		ERROR_AT(b, e->start_mark, "there is a NUL character (`\\0`) in this text; remove it");
	place(b, n, e->start_mark);
	return true;
}

/* An alias has no value of its own here, so the tree would lie. */
static bool on_alias(struct builder *b, const yaml_event_t *e)
{
	char shown[SHOWN_SIZE];
	text_copy_printable(shown, sizeof(shown), (const char *)e->data.alias.anchor);
	ERROR_AT(b, e->start_mark, "aliases (`*%s`) are not supported; write the value out", shown);
	b->spoiled = true;
	if (!count_node(b, e->start_mark))
		return false;
	struct node *n = node_new(b, NODE_SCALAR, e->start_mark);
	n->text = "*";
	place(b, n, e->start_mark);
	return true;
}

static bool on_document(struct builder *b, const yaml_event_t *e)
{
	if (b->documents++ == 0)
		return true;
	ERROR_AT(b, e->start_mark, "a second document starts here; a file holds one, so put this one in its own file");
	return false;
}

/* False when the parse must end, well or badly. */
static bool on_event(struct builder *b, const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_STREAM_END_EVENT:
		return false;
	case YAML_DOCUMENT_START_EVENT:
		return on_document(b, e);
	case YAML_ALIAS_EVENT:
		return on_alias(b, e);
	case YAML_SCALAR_EVENT:
		refuse_properties(b, e->data.scalar.anchor, e->data.scalar.tag, e->start_mark);
		return on_scalar(b, e);
	case YAML_SEQUENCE_START_EVENT:
		refuse_properties(b, e->data.sequence_start.anchor, e->data.sequence_start.tag, e->start_mark);
		return on_collection(b, NODE_SEQUENCE, e->start_mark);
	case YAML_MAPPING_START_EVENT:
		refuse_properties(b, e->data.mapping_start.anchor, e->data.mapping_start.tag, e->start_mark);
		return on_collection(b, NODE_MAPPING, e->start_mark);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		require(b->depth > 0);
		strmap_deinit(&b->stack[--b->depth].many);
		return true;
	default:
		return true;
	}
}

/* libyaml's own words, in a sentence, at libyaml's own place. */
static void on_syntax_error(struct builder *b)
{
	const yaml_parser_t *p = &b->parser;
	const char *problem = p->problem ? p->problem : "the text cannot be read";
	b->spoiled = true;
	if (p->error == YAML_MEMORY_ERROR)
		mem_exhausted(); /* it is not the file that is wrong: called so, nobody would read it again */
	const char *tab =
	    strstr(problem, "cannot start any token") ? " (is there a tab? YAML is indented with spaces)" : "";
	if (p->context && p->context_mark.line != p->problem_mark.line)
		ERROR_AT(b, p->problem_mark, "this is not valid YAML: %s, %s that began in line %u%s", problem,
			 p->context, line_of(p->context_mark), tab);
	else if (p->context)
		ERROR_AT(b, p->problem_mark, "this is not valid YAML: %s, %s%s", problem, p->context, tab);
	else
		ERROR_AT(b, p->problem_mark, "this is not valid YAML: %s%s", problem, tab);
}

static void run(struct builder *b)
{
	for (bool more = true; more;) {
		yaml_event_t e;
		if (!yaml_parser_parse(&b->parser, &e)) {
			on_syntax_error(b);
			return;
		}
		more = on_event(b, &e);
		yaml_event_delete(&e);
	}
}

struct node *node_parse(struct arena *a, const char *bytes, size_t len, size_t max_bytes, struct diags *diags)
{
	if (!bytes_check(bytes, len, max_bytes, diags))
		return NULL;
	struct builder b = {.arena = a, .diags = diags, .end = find_end(bytes, len)};
	if (!yaml_parser_initialize(&b.parser))
		mem_exhausted();
	yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&b.parser, (const unsigned char *)bytes, len);
	run(&b);
	yaml_parser_delete(&b.parser);
	while (b.depth > 0)
		strmap_deinit(&b.stack[--b.depth].many);
	if (b.spoiled)
		return NULL;
	if (!b.root) {
		b.root = node_new(&b, NODE_SCALAR, (yaml_mark_t){0});
		b.root->text = "";
		b.root->plain = true;
	}
	return b.root;
}

const struct node *node_get(const struct node *mapping, const char *key)
{
	if (mapping->kind != NODE_MAPPING)
		return NULL;
	return find_child(mapping, key);
}

bool node_is_null(const struct node *n)
{
	static const char *const words[] = {"", "~", "null", "Null", "NULL"};
	if (n->kind != NODE_SCALAR || !n->plain)
		return false;
	for (size_t i = 0; i < array_len(words); i++)
		if (strcmp(n->text, words[i]) == 0)
			return true;
	return false;
}
