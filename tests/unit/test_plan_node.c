/* YAML to nodes: positions, what is refused, and the caps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "plan/node.h"

struct parsed {
	struct arena *arena;
	struct diags diags;
	const struct node *root;
};

static void parsed_deinit(struct parsed *p)
{
	arena_free(p->arena);
	diags_deinit(&p->diags);
}

/* From a copy that is overwritten at once, so that nothing can point into it. */
static struct parsed parse_bytes(const char *text, size_t len)
{
	struct parsed p = {.arena = arena_new()};
	char *copy = malloc(len + 1);
	assert_non_null(copy);
	memcpy(copy, text, len);
	p.root = node_parse(p.arena, copy, len, LIMIT_PLAN_BYTES, &p.diags);
	memset(copy, '#', len);
	free(copy);
	return p;
}

static struct parsed parse(const char *text)
{
	return parse_bytes(text, strlen(text));
}

static void test_positions(void **state)
{
	(void)state;
	cleanup(parsed_deinit) struct parsed p = parse("a: 1\n\"größe\": {x: ä, yy: [p, q]}\n\nc:\n  - d\n");
	assert_int_equal(p.diags.len, 0);
	assert_int_equal(p.root->kind, NODE_MAPPING);
	assert_int_equal(p.root->n_children, 3);
	const struct node *b = node_get(p.root, "größe");
	assert_non_null(b);
	assert_int_equal(b->key_line, 2);
	assert_int_equal(b->key_column, 1);
	assert_int_equal(b->line, 2);
	assert_int_equal(b->column, 10); /* in characters, of which "größe" has five */
	const struct node *yy = node_get(b, "yy");
	assert_int_equal(yy->key_column, 17);
	assert_int_equal(yy->column, 21);
	assert_int_equal(yy->n_children, 2);
	assert_string_equal(yy->first->next->text, "q");
	assert_int_equal(yy->first->next->column, 25);
	const struct node *d = node_get(p.root, "c")->first;
	assert_int_equal(d->line, 5);
	assert_int_equal(d->column, 5);
	assert_null(d->key);
	assert_null(node_get(p.root, "d"));
	assert_null(node_get(yy, "p"));
}

static void test_scalars(void **state)
{
	(void)state;
	cleanup(parsed_deinit) struct parsed p = parse("[plain, 'single', \"dou\\nble\", ~, null, 'null', , Null]");
	assert_null(p.root); /* an empty item is not YAML */
	cleanup(parsed_deinit) struct parsed q = parse("[plain, 'single', \"dou\\nble\", ~, null, 'null', Null]\n");
	const struct node *n = q.root->first;
	assert_true(n->plain);
	assert_false(node_is_null(n));
	n = n->next;
	assert_false(n->plain);
	n = n->next;
	assert_string_equal(n->text, "dou\nble");
	n = n->next;
	assert_true(node_is_null(n));
	n = n->next;
	assert_true(node_is_null(n));
	n = n->next;
	assert_false(node_is_null(n));
	assert_true(node_is_null(n->next));
	assert_false(node_is_null(q.root));
}

static void test_nothing_at_all(void **state)
{
	(void)state;
	const char *const texts[] = {"", "\n\n", "# a comment", "---\n", "---\n...\n"};
	for (size_t i = 0; i < array_len(texts); i++) {
		cleanup(parsed_deinit) struct parsed p = parse(texts[i]);
		assert_int_equal(p.diags.len, 0);
		assert_non_null(p.root);
		assert_true(node_is_null(p.root));
	}
}

/* Each of these is refused with these words at this place; the tree is there or not. */
static const struct {
	const char *text;
	unsigned line;
	unsigned column;
	const char *words;
	bool tree;
} refused[] = {
    {"a: &x 1\n", 1, 4, "anchors (`&x`)", true},
    {"a: &x [1]\n", 1, 4, "anchors (`&x`)", true},
    {"&x {a: 1}\n", 1, 1, "anchors (`&x`)", true},
    {"a: *x\n", 1, 4, "aliases (`*x`)", false},
    {"- !!int 5\n", 1, 3, "tags (`tag:yaml.org,2002:int`)", true},
    {"- ! 5\n", 1, 3, "tags (`!`)", true},
    {"- !x {}\n", 1, 3, "tags (`!x`)", true},
    {"a: 1\n---\nb: 2\n", 2, 1, "a second document", true},
    {"a: 1\n<<: {b: 2}\n", 2, 1, "merge keys", true},
    {"a: 1\nb: 2\na: 3\n", 3, 1, "`a` is given twice; the first one is in line 1", true},
    {"? [a]\n: 1\n", 1, 3, "a list cannot be a key", true},
    {"? {a: 1}\n: 1\n", 1, 3, "a mapping cannot be a key", true},
    {"\"\": 1\n", 1, 1, "a key is empty", true},
    {"a: \"x\\0y\"\n", 1, 4, "NUL character", true},
    {"a: [1\n", 2, 1, "did not find expected ',' or ']', while parsing a flow sequence that began in line 1", false},
    {"a: b: c\n", 1, 5, "mapping values are not allowed", false},
    {"\tb: 1\n", 1, 1, "is there a tab?", false},
    {"a: @x\n", 1, 4, "cannot start any token", false},
    {"a: x\n%YAML 1.1\n", 2, 1, "directives", false},
    {"%TAG !a! x\n--- a\n", 1, 1, "directives", false},
    {"\xef\xbb\xbf"
     "a: 1\n",
     1, 1, "byte order mark", false},
    {"\xff\xfe", 1, 1, "UTF-16", false},
    {"\xfe\xff", 1, 1, "UTF-16", false},
    {"a: \xc3\xa4\xc3\n", 1, 5, "the byte 0xc3", false},
    {"a: \xed\xa0\x80\n", 1, 4, "the byte 0xed", false},
    {"a: b\r\nc: \x1b\n", 2, 4, "U+001B", false},
    {"a: b\rc: \x7f\n", 2, 4, "U+007F", false},
    {"a: b\xc2\x85"
     "c: \xef\xbb\xbf\n",
     2, 4, "U+FEFF", false},
};

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(refused); i++) {
		cleanup(parsed_deinit) struct parsed p = parse(refused[i].text);
		if (p.diags.len != 1 || p.diags.items[0].line != refused[i].line ||
		    p.diags.items[0].column != refused[i].column || !strstr(p.diags.items[0].text, refused[i].words) ||
		    (p.root != NULL) != refused[i].tree) {
			cleanup(buf_deinit) struct buf out = BUF_INIT(65536);
			diags_format(&p.diags, "got", &out);
			fail_msg("case %zu, %s: %s", i, refused[i].text, buf_text(&out));
		}
	}
	cleanup(parsed_deinit) struct parsed nul = parse_bytes("a: b\0c", 6);
	assert_null(nul.root);
	assert_int_equal(nul.diags.items[0].column, 5);
	assert_non_null(strstr(nul.diags.items[0].text, "NUL byte"));
}

static void test_first_of_two_stays(void **state)
{
	(void)state;
	cleanup(parsed_deinit) struct parsed p = parse("a: 1\na: {b: [2, 3]}\n? [x, {y: z}]\n: [4]\nc: 5\n");
	assert_int_equal(p.diags.errors, 2);
	assert_int_equal(p.root->n_children, 2);
	assert_string_equal(node_get(p.root, "a")->text, "1");
	assert_string_equal(node_get(p.root, "c")->text, "5");
}

static void test_all_at_once(void **state)
{
	(void)state;
	cleanup(parsed_deinit) struct parsed p = parse("a: &x 1\nb: !t 2\na: *x\n\"\": 3\nc: [1\n");
	assert_int_equal(p.diags.errors, 6);
	assert_null(p.root);
}

static void test_depth(void **state)
{
	(void)state;
	char text[256];
	memset(text, '[', LIMIT_YAML_DEPTH);
	memset(text + LIMIT_YAML_DEPTH, ']', LIMIT_YAML_DEPTH);
	cleanup(parsed_deinit) struct parsed good = parse_bytes(text, 2 * (size_t)LIMIT_YAML_DEPTH);
	assert_non_null(good.root);
	assert_int_equal(good.diags.len, 0);

	char *deep = malloc(LIMIT_PLAN_BYTES);
	assert_non_null(deep);
	memset(deep, '[', LIMIT_PLAN_BYTES);
	cleanup(parsed_deinit) struct parsed bad = parse_bytes(deep, LIMIT_PLAN_BYTES);
	for (size_t i = 0; i < LIMIT_PLAN_BYTES; i += 2)
		memcpy(deep + i, "- ", 2);
	cleanup(parsed_deinit) struct parsed block = parse_bytes(deep, LIMIT_PLAN_BYTES);
	free(deep);
	assert_null(bad.root);
	/* Stopped at the first bracket too many: the sentence is the only one, and has its place. */
	assert_int_equal(bad.diags.len, 1);
	assert_int_equal(bad.diags.items[0].column, LIMIT_YAML_DEPTH + 1);
	assert_non_null(strstr(bad.diags.items[0].text, "nested deeper than 16 levels"));
	assert_null(block.root);
	assert_int_equal(block.diags.len, 1);
	assert_non_null(strstr(block.diags.items[0].text, "nested deeper than 16 levels"));
}

static struct parsed parse_many(size_t items)
{
	struct buf b = BUF_INIT(LIMIT_PLAN_BYTES);
	buf_add_char(&b, '[');
	for (size_t i = 0; i < items; i++)
		buf_add_text(&b, "1,");
	buf_add_char(&b, ']');
	struct parsed p = parse_bytes(buf_text(&b), b.len);
	buf_deinit(&b);
	return p;
}

static void test_nodes(void **state)
{
	(void)state;
	cleanup(parsed_deinit) struct parsed good = parse_many(LIMIT_YAML_NODES - 1);
	assert_non_null(good.root);
	assert_int_equal(good.root->n_children, LIMIT_YAML_NODES - 1);
	cleanup(parsed_deinit) struct parsed bad = parse_many(LIMIT_YAML_NODES);
	assert_null(bad.root);
	assert_int_equal(bad.diags.len, 1);
	assert_non_null(strstr(bad.diags.items[0].text, "more than 24576 keys and values"));
}

static void test_bytes(void **state)
{
	(void)state;
	cleanup(arena_free_p) struct arena *a = arena_new();
	cleanup(diags_deinit) struct diags d = {0};
	assert_non_null(node_parse(a, "abcd", 4, 4, &d));
	assert_int_equal(d.len, 0);
	assert_null(node_parse(a, "abcde", 5, 4, &d));
	assert_non_null(strstr(d.items[0].text, "5 bytes; at most 4"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_positions),
	    cmocka_unit_test(test_scalars),
	    cmocka_unit_test(test_nothing_at_all),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_first_of_two_stays),
	    cmocka_unit_test(test_all_at_once),
	    cmocka_unit_test(test_depth),
	    cmocka_unit_test(test_nodes),
	    cmocka_unit_test(test_bytes),
	};
	return cmocka_run_group_tests_name("plan nodes", tests, NULL, NULL);
}
