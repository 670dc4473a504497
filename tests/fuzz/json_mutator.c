/*
 * Mutations that know JSON. Bytes changed at random hardly ever leave a document that a parser takes, so what lies
 * behind the parser would not be reached. An input may begin with other bytes (a target's choices, a request's lines);
 * the document starts at the first brace or bracket behind them. Half of the time, and where there is no document,
 * libFuzzer's own mutations are taken.
 */
#include <jansson.h>
#include <string.h>

#include "base/buf.h"
#include "base/prng.h"
#include "fuzz.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

#define SLOTS_MAX 512

/* A place in the document that has a value: in an object by its key, in an array by its index. */
struct slot {
	json_t *parent;
	const char *key; /* NULL: an array's */
	size_t index;
	json_t *value;
};

struct slots {
	struct slot items[SLOTS_MAX];
	size_t len;
};

/* NOLINTNEXTLINE(misc-no-recursion) jansson itself goes no deeper than 2,048 */
static void collect(json_t *node, struct slots *s)
{
	const char *key;
	json_t *value;
	size_t i;
	if (json_is_object(node)) {
		json_object_foreach(node, key, value)
		{
			if (s->len < SLOTS_MAX)
				s->items[s->len++] = (struct slot){.parent = node, .key = key, .value = value};
			collect(value, s);
		}
	} else if (json_is_array(node)) {
		json_array_foreach(node, i, value)
		{
			if (s->len < SLOTS_MAX)
				s->items[s->len++] = (struct slot){.parent = node, .index = i, .value = value};
			collect(value, s);
		}
	}
}

static void put(const struct slot *s, json_t *value)
{
	if (!value)
		return;
	if (s->key)
		(void)json_object_set_new(s->parent, s->key, value);
	else
		(void)json_array_set_new(s->parent, s->index, value);
}

static json_t *long_text(struct prng *p)
{
	static const size_t lengths[] = {15, 16, 63, 64, 65, 127, 128, 129, 255, 256, 257, 511, 1024, 4096};
	static const char *const fills[] = {"a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
	size_t len = lengths[prng_below(p, array_len(lengths))];
	const char *fill = fills[prng_below(p, array_len(fills))];
	struct buf b cleanup(buf_deinit) = BUF_INIT(32768);
	while (b.len < len)
		buf_add_text(&b, fill);
	return json_string(buf_text(&b));
}

/* What is at the edge of some type or range. */
static json_t *edge(struct prng *p)
{
	static const json_int_t integers[] = {0,
					      1,
					      -1,
					      2,
					      16,
					      127,
					      10000,
					      10001,
					      INT32_MAX,
					      (json_int_t)INT32_MAX + 1,
					      UINT32_MAX,
					      (json_int_t)UINT32_MAX + 1,
					      (json_int_t)1 << 53,
					      INT64_MAX,
					      INT64_MIN};
	static const double reals[] = {0.0,	  -0.0, 0.1,   0.00005, 0.5,	1.0,
				       1.0000001, 1e15, 1e300, -1e300,	5e-324, 1795385405.123};
	static const char *const texts[] = {
	    "",	     "0",	"1",  "2",	  "18446744073709551615", "18446744073709551616",
	    "-1",    "$LATEST", "\n", "\x1b[31m", "\xe2\x80\xae",	  "%s%n",
	    "../..", "null"};
	switch (prng_below(p, 8)) {
	case 0:
		return json_null();
	case 1:
		return json_boolean(prng_below(p, 2));
	case 2:
	case 3:
		return json_integer(integers[prng_below(p, array_len(integers))]);
	case 4:
		return json_real(reals[prng_below(p, array_len(reals))]);
	case 5:
		return prng_below(p, 2) ? json_object() : json_array();
	case 6:
		return long_text(p);
	default:
		return json_string(texts[prng_below(p, array_len(texts))]);
	}
}

/* Another value of the same type, as a check of types would stop at any other. */
static json_t *edge_of_type(const json_t *value, struct prng *p)
{
	json_t *drawn = edge(p);
	if (json_is_boolean(value)) {
		json_decref(drawn);
		return json_boolean(!json_is_true(value));
	}
	for (size_t tries = 0; tries < 32 && json_typeof(drawn) != json_typeof(value); tries++) {
		json_decref(drawn);
		drawn = edge(p);
	}
	return drawn;
}

/* The bytes of a text by libFuzzer's own ways; left as it is when that gives no UTF-8. */
static json_t *changed_text(const json_t *text)
{
	uint8_t bytes[256];
	size_t len = json_string_length(text) < sizeof(bytes) ? json_string_length(text) : sizeof(bytes);
	memcpy(bytes, json_string_value(text), len);
	len = LLVMFuzzerMutate(bytes, len, sizeof(bytes));
	return json_stringn((const char *)bytes, len);
}

static void repeat(const struct slot *s, size_t times)
{
	for (size_t i = 0; i < times && json_is_array(s->parent); i++)
		(void)json_array_append_new(s->parent, json_deep_copy(s->value));
}

static void mutate(const struct slot *s, const struct slot *other, struct prng *p)
{
	switch (prng_below(p, 12)) {
	case 0:
		put(s, edge(p));
		break;
	case 1:
	case 9:
	case 10:
	case 11:
		put(s, edge_of_type(s->value, p));
		break;
	case 2:
		if (s->key)
			(void)json_object_del(s->parent, s->key);
		else
			(void)json_array_remove(s->parent, s->index);
		break;
	case 3:
		repeat(s, prng_below(p, 8) ? 1 : 60);
		break;
	case 4:
		put(s, json_deep_copy(other->value));
		break;
	case 5:
		/* The value under a name that it has no business under. */
		if (s->key && other->key)
			(void)json_object_set_new(s->parent, other->key, json_deep_copy(s->value));
		break;
	case 6:
		if (json_is_integer(s->value))
			put(s, json_integer((json_int_t)((uint64_t)json_integer_value(s->value) +
							 (prng_below(p, 2) ? 1 : UINT64_MAX))));
		break;
	case 7:
		if (json_is_object(s->value))
			(void)json_object_set_new(s->value, other->key ? other->key : "x", edge(p));
		else if (json_is_array(s->value))
			(void)json_array_append_new(s->value, edge(p));
		break;
	default:
		if (json_is_string(s->value))
			put(s, changed_text(s->value));
	}
}

/* What jansson would not write: a key twice, brackets without end. */
static void write_odd(const char *json, struct prng *p, struct buf *out)
{
	switch (prng_below(p, 3)) {
	case 0:
		if (strncmp(json, "{\"", 2) == 0 && json[2] != '}') {
			const char *end = strchr(json + 2, '"');
			buf_addf(out, "{%.*s:1,", end ? (int)(end - json) : 0, json + 1);
			buf_add_text(out, json + 1);
			return;
		}
		break;
	case 1:
		buf_add_text(out, "{\"a\":");
		for (size_t i = prng_below(p, 40); i > 0; i--)
			buf_add_char(out, '[');
		buf_add_char(out, ',');
		buf_add_text(out, json + 1);
		return;
	default:
		break;
	}
	/* Cut off, as by a connection that broke. */
	size_t len = strlen(json);
	buf_add(out, json, len > 0 ? prng_below(p, len) : 0);
}

static size_t mutate_document(uint8_t *data, size_t size, size_t max_size, struct prng *p)
{
	size_t at = 0;
	while (at < size && data[at] != '{' && data[at] != '[')
		at++;
	json_t *root = json_loadb((const char *)data + at, size - at, 0, NULL);
	struct slots *s cleanup(mem_free_p) = mem_alloc(sizeof(*s));
	struct buf out cleanup(buf_deinit) = BUF_INIT(max_size > at ? max_size - at : 0);
	if (!root)
		return 0;
	for (size_t n = 1 + prng_below(p, 3); n > 0; n--) {
		s->len = 0;
		collect(root, s);
		if (s->len > 0)
			mutate(&s->items[prng_below(p, s->len)], &s->items[prng_below(p, s->len)], p);
	}
	char *text = json_dumps(root, JSON_COMPACT);
	if (text && prng_below(p, 24) == 0)
		write_odd(text, p, &out);
	else if (text)
		buf_add_text(&out, text);
	free(text);
	json_decref(root);
	if (out.len == 0 || !buf_ok(&out))
		return 0;
	if (at > 0 && prng_below(p, 4) == 0)
		data[prng_below(p, at)] = (uint8_t)prng_next(p);
	memcpy(data + at, out.data, out.len);
	return at + out.len;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	struct prng p;
	prng_init(&p, seed);
	size_t made = prng_below(&p, 2) ? mutate_document(data, size, max_size, &p) : 0;
	return made > 0 ? made : LLVMFuzzerMutate(data, size, max_size);
}
