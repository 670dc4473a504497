/* The schema's table as a JSON Schema, draft 2020-12. */
#include <stdio.h>

#include "base/number.h"
#include "plan/plan.h"
#include "plan/schema.h"

/* Durations: each unit at most once, falling; not empty. */
#define DURATION_PATTERN "^(?!$)([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$"

struct printer {
	struct buf *out;
	int depth;
	bool first; /* nothing was written yet at this depth */
};

static void new_line(struct printer *p)
{
	if (!p->first)
		buf_add_char(p->out, ',');
	p->first = false;
	buf_add_char(p->out, '\n');
	for (int i = 0; i < p->depth; i++)
		buf_add_char(p->out, '\t');
}

static void add_key(struct printer *p, const char *key)
{
	new_line(p);
	buf_add_json_string(p->out, key);
	buf_add_text(p->out, ": ");
}

static void add_text(struct printer *p, const char *key, const char *text)
{
	add_key(p, key);
	buf_add_json_string(p->out, text);
}

/* `json` goes in as it is. */
static void add_raw(struct printer *p, const char *key, const char *json)
{
	add_key(p, key);
	buf_add_text(p->out, json);
}

static void add_number(struct printer *p, const char *key, int64_t v)
{
	add_key(p, key);
	buf_addf(p->out, "%lld", (long long)v);
}

static void open_object(struct printer *p, const char *key)
{
	add_key(p, key);
	buf_add_char(p->out, '{');
	p->depth++;
	p->first = true;
}

static void close_object(struct printer *p)
{
	p->depth--;
	p->first = true;
	new_line(p);
	p->first = false;
	buf_add_char(p->out, '}');
}

static void open_list(struct printer *p, const char *key)
{
	add_key(p, key);
	buf_add_char(p->out, '[');
	p->depth++;
	p->first = true;
}

static void close_list(struct printer *p)
{
	p->depth--;
	p->first = true;
	new_line(p);
	p->first = false;
	buf_add_char(p->out, ']');
}

/* Ends with close_object. */
static void open_item(struct printer *p)
{
	new_line(p);
	buf_add_char(p->out, '{');
	p->depth++;
	p->first = true;
}

static bool is_raw(const struct schema_key *k)
{
	return k->type == SCHEMA_COUNT || k->type == SCHEMA_PERMILLE || k->type == SCHEMA_NUMBER ||
	       k->type == SCHEMA_BOOL || k->type == SCHEMA_OBJECT || k->type == SCHEMA_LIST || k->type == SCHEMA_MAP;
}

static void print_default(struct printer *p, const struct schema_key *k)
{
	if (!k->fallback)
		return;
	if (is_raw(k))
		add_raw(p, "default", k->fallback);
	else
		add_text(p, "default", k->fallback);
}

static void print_example(struct printer *p, const struct schema_key *k)
{
	if (is_raw(k) || k->type == SCHEMA_CHOICE)
		return;
	add_raw(p, "examples", "[");
	buf_add_json_string(p->out, k->example);
	buf_add_char(p->out, ']');
}

static void print_choices(struct printer *p, const struct schema_key *k)
{
	add_key(p, "enum");
	buf_add_char(p->out, '[');
	for (size_t i = 0; k->choices[i]; i++) {
		buf_add_text(p->out, i > 0 ? ", " : "");
		buf_add_json_string(p->out, k->choices[i]);
	}
	buf_add_char(p->out, ']');
}

/* A bare 0 is the one duration without a unit. */
static void print_duration(struct printer *p, const struct schema_key *k)
{
	if (k->min > 0) {
		add_text(p, "type", "string");
	} else {
		add_raw(p, "type", "[\"string\", \"integer\"]");
		add_number(p, "minimum", 0);
		add_number(p, "maximum", 0);
	}
	add_text(p, "pattern", DURATION_PATTERN);
}

static void print_object(struct printer *p, const struct schema_object *o);

static void print_scalar_text(struct printer *p, const struct schema_key *k)
{
	if (k->min > 0) {
		add_raw(p, "type", "[\"string\", \"integer\"]");
		add_number(p, "minimum", k->min);
	} else {
		add_text(p, "type", "string");
	}
	if (k->pattern)
		add_text(p, "pattern", k->pattern);
}

/* A text that may be written as a mapping instead takes either. */
static void print_text(struct printer *p, const struct schema_key *k)
{
	if (!k->object) {
		print_scalar_text(p, k);
		return;
	}
	open_list(p, "anyOf");
	open_item(p);
	print_scalar_text(p, k);
	close_object(p);
	open_item(p);
	print_object(p, k->object);
	close_object(p);
	close_list(p);
}

/* Free keys: which ones, and what they hold. */
static void print_map(struct printer *p, const struct schema_key *k)
{
	add_text(p, "type", "object");
	add_number(p, "minProperties", k->min);
	add_number(p, "maxProperties", k->max);
	open_object(p, "propertyNames");
	add_text(p, "pattern", k->pattern);
	close_object(p);
	open_object(p, "additionalProperties");
	add_text(p, "description", k->entry->about);
	print_text(p, k->entry);
	close_object(p);
}

static void print_permille(struct printer *p, const struct schema_key *k)
{
	char text[32];
	add_text(p, "type", "number");
	number_format_permille(k->min, text);
	add_raw(p, "minimum", text);
	number_format_permille(k->max, text);
	add_raw(p, "maximum", text);
}

static void print_type(struct printer *p, const struct schema_key *k)
{
	switch (k->type) {
	case SCHEMA_TEXT:
		print_text(p, k);
		break;
	case SCHEMA_CHOICE:
		print_choices(p, k);
		break;
	case SCHEMA_DURATION:
		print_duration(p, k);
		break;
	case SCHEMA_PERCENT_BP:
	case SCHEMA_PERCENT_PPM:
		add_text(p, "type", "string");
		add_text(p, "pattern",
			 k->type == SCHEMA_PERCENT_BP ? "^[0-9]+(\\.[0-9]{1,2})?%$" : "^[0-9]+(\\.[0-9]{1,4})?%$");
		break;
	case SCHEMA_COUNT:
		add_text(p, "type", "integer");
		add_number(p, "minimum", k->min);
		add_number(p, "maximum", k->max);
		break;
	case SCHEMA_PERMILLE:
		print_permille(p, k);
		break;
	case SCHEMA_NUMBER:
		add_text(p, "type", "number");
		break;
	case SCHEMA_RATE:
		add_text(p, "type", "string");
		add_text(p, "pattern", "^[0-9]+/[smh]$");
		break;
	case SCHEMA_BOOL:
		add_text(p, "type", "boolean");
		break;
	case SCHEMA_OBJECT:
		print_object(p, k->object);
		break;
	case SCHEMA_LIST:
		add_text(p, "type", "array");
		add_number(p, "minItems", k->min);
		add_number(p, "maxItems", k->max);
		open_object(p, "items");
		print_object(p, k->object);
		close_object(p);
		break;
	case SCHEMA_MAP:
		print_map(p, k);
		break;
	}
}

static void print_key(struct printer *p, const struct schema_key *k)
{
	open_object(p, k->name);
	if (k->state == SCHEMA_LATER) {
		char text[256];
		(void)snprintf(text, sizeof(text), "Not supported by this version of rolloutd. %s", k->about);
		add_text(p, "description", text);
		add_raw(p, "not", "{}");
	} else {
		add_text(p, "description", k->about);
		print_type(p, k);
		print_default(p, k);
		print_example(p, k);
	}
	close_object(p);
}

static void print_required(struct printer *p, const struct schema_object *o)
{
	bool first = true;
	for (size_t i = 0; i < o->n_keys; i++) {
		if (!o->keys[i]->required)
			continue;
		if (first)
			add_raw(p, "required", "[");
		else
			buf_add_text(p->out, ", ");
		first = false;
		buf_add_json_string(p->out, o->keys[i]->name);
	}
	if (!first)
		buf_add_char(p->out, ']');
}

/* What the table does not say of an object: which keys exclude each other. */
static void print_exclusions(struct printer *p, const struct schema_object *o)
{
	static const char one_shape[] =
	    "{\"anyOf\": [{\"required\": [\"strategy\", \"steps\"]}, {\"required\": [\"strategy\", \"experiment\"]}, "
	    "{\"required\": [\"steps\", \"experiment\"]}]}";
	static const struct {
		const struct schema_object *object;
		const char *keyword;
		const char *json;
	} exclusions[] = {
	    {&schema_plan, "not", one_shape},
	    {&schema_how, "not", one_shape},
	    {&schema_metric, "minProperties", "1"},
	    {&schema_metric, "maxProperties", "1"},
	    {&schema_errors, "oneOf", "[{\"required\": [\"max_rate\"]}, {\"required\": [\"compare\"]}]"},
	    {&schema_duration, "anyOf", "[{\"required\": [\"max\"]}, {\"required\": [\"max_ratio\"]}]"},
	    {&schema_query, "anyOf", "[{\"required\": [\"max\"]}, {\"required\": [\"min\"]}]"},
	    {&schema_data_query, "oneOf", "[{\"required\": [\"MetricStat\"]}, {\"required\": [\"Expression\"]}]"},
	    {&schema_hooks, "minProperties", "1"},
	    {&schema_hook, "oneOf",
	     "[{\"required\": [\"invoke\"]}, {\"required\": [\"exec\"]}, {\"required\": [\"http\"]}]"},
	    {&schema_rollout_version, "oneOf", "[{\"required\": [\"publish\"]}, {\"required\": [\"from_alias\"]}]"},
	    {&schema_alias_version, "required", "[\"from_alias\"]"},
	    {&schema_code, "not",
	     "{\"anyOf\": [{\"required\": [\"zip\", \"s3\"]}, {\"required\": [\"zip\", \"image\"]}, "
	     "{\"required\": [\"s3\", \"image\"]}]}"},
	    {&schema_api, "oneOf", "[{\"required\": [\"name\"]}, {\"required\": [\"id\"]}]"},
	};
	for (size_t i = 0; i < array_len(exclusions); i++)
		if (exclusions[i].object == o)
			add_raw(p, exclusions[i].keyword, exclusions[i].json);
}

static void print_object(struct printer *p, const struct schema_object *o)
{
	add_text(p, "type", "object");
	print_required(p, o);
	print_exclusions(p, o);
	add_raw(p, "additionalProperties", "false");
	open_object(p, "properties");
	for (size_t i = 0; i < o->n_keys; i++)
		print_key(p, o->keys[i]);
	close_object(p);
}

void plan_print_schema(struct buf *out)
{
	struct printer p = {.out = out, .depth = 1, .first = true};
	buf_add_char(out, '{');
	add_text(&p, "$schema", "https://json-schema.org/draft/2020-12/schema");
	add_text(&p, "$id", "urn:rolloutd:schema:plan:v1");
	add_text(&p, "title", "rolloutd plan");
	add_text(&p, "description",
		 "One plan of rolloutd. What depends on more than one key is checked by `rolloutctl validate`.");
	add_raw(&p, "if", "{\"properties\": {\"kind\": {\"const\": \"Service\"}}, \"required\": [\"kind\"]}");
	open_object(&p, "then");
	print_object(&p, &schema_service);
	close_object(&p);
	open_object(&p, "else");
	print_object(&p, &schema_plan);
	close_object(&p);
	buf_add_text(out, "\n}\n");
}
