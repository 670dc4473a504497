/* The API of a service: what must agree between its routes, its stages and the aliases. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan/chainspec.h"
#include "plan/texts.h"
#include "plan/value.h"

static bool is_rest(const struct record *api)
{
	return api->fields[API_KEY_TYPE].number == 0;
}

static enum api_type type_of(const struct record *api)
{
	return is_rest(api) ? API_REST : API_HTTP;
}

static void check_identity(const struct record *api, struct diags *diags)
{
	const struct field *name = &api->fields[API_KEY_NAME];
	const struct field *id = &api->fields[API_KEY_ID];
	if (name->node && id->node)
		diags_add(diags, DIAG_ERROR, AT_KEY(id->node),
			  "`name` (line %u) and `id` are both given, and could name two APIs; remove one of them",
			  name->node->key_line);
	else if (!name->node && !id->node && !name->misspelt && !id->misspelt)
		diags_add(diags, DIAG_ERROR, AT_VALUE(api->node),
			  "`api` has neither `name` nor `id`; add one, for example `name: hello-api`");
}

static void check_stages(const struct chainspec *c, const struct record *api, struct diags *diags)
{
	const struct field *stages = &api->fields[API_KEY_STAGES];
	const struct field *type = &api->fields[API_KEY_TYPE];
	const struct field *aliases = &c->root.fields[SERVICE_ALIASES];
	for (size_t i = 0; i < stages->n_items; i++) {
		const struct field *stage = &stages->entries[i];
		if (type->ok && is_rest(api) && !texts_is_rest_stage(stage->node->key))
			diags_add(diags, DIAG_ERROR, AT_KEY(stage->node),
				  "a REST API has no stage `%s`; its stages have letters, digits and `_`",
				  stage->node->key);
		if (!stage->ok || !aliases->ok || aliases->misspelt)
			continue;
		size_t alias = chainspec_find_alias(c, stage->text);
		if (alias == c->n_aliases) {
			char what[LIMIT_ALIAS_NAME + 32];
			(void)snprintf(what, sizeof(what), "the alias of stage `%s`", stage->node->key);
			chainspec_report_unknown(c, stage->node, what, stage->text, diags);
		} else if (api->fields[API_KEY_PROBE].node) {
			c->aliases[alias].probes++;
		}
	}
}

/* The probes of an alias's stages are verified in its rollouts, besides what those say themselves. */
static void check_verified(const struct chainspec *c, struct diags *diags)
{
	for (size_t i = 0; i < c->n_aliases; i++) {
		const struct chainspec_alias *alias = &c->aliases[i];
		const struct field *verify = &alias->rollout->fields[HOW_VERIFY];
		if (verify->node && verify->n_items + alias->probes > LIMIT_VERIFY)
			diags_add(
			    diags, DIAG_ERROR, AT_VALUE(verify->node),
			    "`verify` has %zu items, and %u stages of this alias are probed; together the most is %d",
			    verify->n_items, alias->probes, LIMIT_VERIFY);
	}
}

/* How much of two paths is the same, in whole parts: the offset of the slash where they part. */
static size_t common_parts(const char *a, const char *b)
{
	size_t slash = 0;
	for (size_t i = 0;; i++) {
		bool a_ends = a[i] == '/' || a[i] == '\0';
		bool b_ends = b[i] == '/' || b[i] == '\0';
		if (a_ends && b_ends)
			slash = i;
		if (a[i] != b[i] || a[i] == '\0')
			return slash;
	}
}

/* A REST API's resource has one child that is a variable, whatever it is called. */
static bool variables_clash(const char *a, const char *b)
{
	size_t at = common_parts(a, b);
	if (a[at] != '/' || b[at] != '/' || a[at + 1] != '{' || b[at + 1] != '{')
		return false;
	return strncmp(a + at + 1, b + at + 1, strcspn(a + at + 1, "/")) != 0; /* it ends in a brace */
}

static void check_route(const struct record *api, size_t index, struct diags *diags)
{
	const struct field *routes = &api->fields[API_KEY_ROUTES];
	const struct record *r = &routes->items[index];
	const struct field *path = &r->fields[ROUTE_PATH];
	const struct field *method = &r->fields[ROUTE_METHOD];
	for (size_t i = 0; path->ok && i < index; i++) {
		const struct record *other = &routes->items[i];
		const struct field *other_path = &other->fields[ROUTE_PATH];
		if (!other_path->ok)
			continue;
		bool same = strcmp(path->text, other_path->text) == 0;
		if (same && method->ok && other->fields[ROUTE_METHOD].ok &&
		    method->number == other->fields[ROUTE_METHOD].number) {
			diags_add(diags, DIAG_ERROR, AT_VALUE(r->node),
				  "this route is the same as the one in line %u; remove one of them",
				  other->node->line);
			return;
		}
		if (is_rest(api) && variables_clash(path->text, other_path->text)) {
			diags_add(
			    diags, DIAG_ERROR, AT_VALUE(path->node),
			    "a REST API has one variable part at a place, and the path in line %u has another one "
			    "there; give both the same name",
			    other_path->node->line);
			return;
		}
	}
}

void chainspec_api_check(const struct chainspec *c, struct diags *diags)
{
	const struct record *api = c->root.fields[SERVICE_API].items;
	if (!api)
		return;
	check_identity(api, diags);
	check_stages(c, api, diags);
	check_verified(c, diags);
	for (size_t i = 0; i < api->fields[API_KEY_ROUTES].n_items; i++)
		check_route(api, i, diags);
}

static int compare_routes(const void *a, const void *b)
{
	const struct service_route *x = a, *y = b;
	int r = strcmp(x->path, y->path);
	return r ? r : strcmp(x->method, y->method);
}

/* The order of routes and stages means nothing, so it is always the same one. */
static void fill_routes(const struct field *list, struct arena *a, struct service_api *ret)
{
	const char *const *methods = schema_route.keys[ROUTE_METHOD]->choices;
	struct service_route *routes = arena_array(a, list->n_items, sizeof(*routes));
	for (size_t i = 0; i < list->n_items; i++) {
		const struct field *f = list->items[i].fields;
		routes[i].method = methods[f[ROUTE_METHOD].number];
		routes[i].path = arena_strdup(a, f[ROUTE_PATH].text);
	}
	if (list->n_items > 0)
		qsort(routes, list->n_items, sizeof(*routes), compare_routes);
	ret->routes = routes;
	ret->n_routes = list->n_items;
}

static int compare_stages(const void *a, const void *b)
{
	return strcmp(((const struct service_stage *)a)->name, ((const struct service_stage *)b)->name);
}

static void fill_stages(const struct chainspec *c, const struct field *map, struct arena *a, struct service_api *ret)
{
	struct service_stage *stages = arena_array(a, map->n_items, sizeof(*stages));
	for (size_t i = 0; i < map->n_items; i++) {
		stages[i].name = arena_strdup(a, map->entries[i].node->key);
		stages[i].alias = chainspec_find_alias(c, map->entries[i].text);
	}
	qsort(stages, map->n_items, sizeof(*stages), compare_stages);
	ret->stages = stages;
	ret->n_stages = map->n_items;
}

void chainspec_api_fill(const struct chainspec *c, struct arena *a, struct service_api *ret)
{
	const struct record *api = c->root.fields[SERVICE_API].items;
	if (!api)
		return;
	const struct field *f = api->fields;
	const struct record *probe = f[API_KEY_PROBE].items;
	ret->type = type_of(api);
	ret->name = arena_strdup(a, f[API_KEY_NAME].text);
	ret->id = arena_strdup(a, f[API_KEY_ID].text);
	ret->stage_variable = arena_strdup(a, f[API_KEY_STAGE_VARIABLE].text);
	fill_routes(&f[API_KEY_ROUTES], a, ret);
	fill_stages(c, &f[API_KEY_STAGES], a, ret);
	if (probe) {
		ret->probe_path = arena_strdup(a, probe->fields[PROBE_PATH].text);
		ret->probe_status = (int)probe->fields[PROBE_EXPECT_STATUS].number;
	}
}
