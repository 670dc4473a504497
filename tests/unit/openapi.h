/*
 * A small checker of JSON against docs/openapi.yaml, as far as that file uses JSON Schema: $ref, anyOf, type, enum,
 * properties, required, items. Stricter than the standard in one point: a key that the schema does not name is wrong.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <yaml.h>

struct openapi {
	yaml_document_t doc;
};

static inline yaml_node_t *openapi_root(struct openapi *o)
{
	return yaml_document_get_root_node(&o->doc);
}

static inline const char *openapi_text(const yaml_node_t *n)
{
	return n && n->type == YAML_SCALAR_NODE ? (const char *)n->data.scalar.value : "";
}

static inline yaml_node_t *openapi_get(struct openapi *o, yaml_node_t *mapping, const char *key)
{
	if (!mapping || mapping->type != YAML_MAPPING_NODE)
		return NULL;
	for (yaml_node_pair_t *p = mapping->data.mapping.pairs.start; p < mapping->data.mapping.pairs.top; p++)
		if (strcmp(openapi_text(yaml_document_get_node(&o->doc, p->key)), key) == 0)
			return yaml_document_get_node(&o->doc, p->value);
	return NULL;
}

static inline bool openapi_holds(struct openapi *o, const yaml_node_t *sequence, const char *text)
{
	if (!sequence || sequence->type != YAML_SEQUENCE_NODE)
		return strcmp(openapi_text(sequence), text) == 0;
	for (yaml_node_item_t *i = sequence->data.sequence.items.start; i < sequence->data.sequence.items.top; i++)
		if (strcmp(openapi_text(yaml_document_get_node(&o->doc, *i)), text) == 0)
			return true;
	return false;
}

static inline yaml_node_t *openapi_schema(struct openapi *o, const char *name)
{
	return openapi_get(o, openapi_get(o, openapi_get(o, openapi_root(o), "components"), "schemas"), name);
}

static inline const char *openapi_type_of(const json_t *j)
{
	switch (json_typeof(j)) {
	case JSON_OBJECT:
		return "object";
	case JSON_ARRAY:
		return "array";
	case JSON_STRING:
		return "string";
	case JSON_INTEGER:
		return "integer";
	case JSON_REAL:
		return "number";
	case JSON_TRUE:
	case JSON_FALSE:
		return "boolean";
	case JSON_NULL:
		break;
	}
	return "null";
}

static bool openapi_fits(struct openapi *o, yaml_node_t *schema, const json_t *j, const char *where);

static inline bool openapi_object_fits(struct openapi *o, yaml_node_t *schema, const json_t *j, const char *where)
{
	yaml_node_t *properties = openapi_get(o, schema, "properties"), *required = openapi_get(o, schema, "required");
	const char *key;
	json_t *value;

	if (strcmp(openapi_text(openapi_get(o, schema, "additionalProperties")), "true") == 0)
		return true;

	json_object_foreach((json_t *)j, key, value)
	{
		yaml_node_t *property = openapi_get(o, properties, key);
		if (!property) {
			print_error("%s: no '%s' in docs/openapi.yaml\n", where, key);
			return false;
		}
		if (!openapi_fits(o, property, value, key))
			return false;
	}
	if (!required)
		return true;
	for (yaml_node_item_t *i = required->data.sequence.items.start; i < required->data.sequence.items.top; i++) {
		const char *name = openapi_text(yaml_document_get_node(&o->doc, *i));
		if (!json_object_get(j, name)) {
			print_error("%s: '%s' is required and missing\n", where, name);
			return false;
		}
	}
	return true;
}

static inline bool openapi_any_fits(struct openapi *o, yaml_node_t *any, const json_t *j, const char *where)
{
	for (yaml_node_item_t *i = any->data.sequence.items.start; i < any->data.sequence.items.top; i++)
		if (openapi_fits(o, yaml_document_get_node(&o->doc, *i), j, where))
			return true;
	return false;
}

static bool openapi_fits(struct openapi *o, yaml_node_t *schema, const json_t *j, const char *where)
{
	const char *ref = openapi_text(openapi_get(o, schema, "$ref")), *got = openapi_type_of(j);
	yaml_node_t *any = openapi_get(o, schema, "anyOf"), *type, *options;

	if (ref[0])
		return openapi_fits(o, openapi_schema(o, strrchr(ref, '/') + 1), j, where);
	if (any)
		return openapi_any_fits(o, any, j, where);
	type = openapi_get(o, schema, "type");
	bool integral = strcmp(got, "integer") == 0 && openapi_holds(o, type, "number");
	if (!type || !(openapi_holds(o, type, got) || integral)) {
		print_error("%s: is of type %s\n", where, got);
		return false;
	}
	options = openapi_get(o, schema, "enum");
	if (options && json_is_string(j) && !openapi_holds(o, options, json_string_value(j))) {
		print_error("%s: '%s' is none of the values allowed\n", where, json_string_value(j));
		return false;
	}
	for (size_t i = 0; i < json_array_size(j); i++)
		if (!openapi_fits(o, openapi_get(o, schema, "items"), json_array_get(j, i), where))
			return false;
	return !json_is_object(j) || openapi_object_fits(o, schema, j, where);
}

/* Run from the top of the tree, as all tests are. */
static inline bool openapi_open(struct openapi *o)
{
	FILE *f = fopen("docs/openapi.yaml", "re");
	yaml_parser_t parser;

	if (!f)
		return false;
	yaml_parser_initialize(&parser);
	yaml_parser_set_input_file(&parser, f);
	bool good = yaml_parser_load(&parser, &o->doc) == 1;
	yaml_parser_delete(&parser);
	fclose(f);
	return good;
}

static inline void openapi_close(struct openapi *o)
{
	yaml_document_delete(&o->doc);
}
