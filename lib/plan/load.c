/*
 * From bytes to a plan: nodes, then records by the schema's table, then the checks across keys. Only when nothing was
 * wrong is a plan made, in an arena of its own; everything else is freed.
 */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/sha256.h"
#include "base/text.h"
#include "plan/artifact.h"
#include "plan/chainspec.h"
#include "plan/checks.h"
#include "plan/how.h"
#include "plan/normalize.h"
#include "plan/plan.h"
#include "plan/target.h"
#include "plan/value.h"

/* What was read and found to be in order. */
struct parts {
	enum plan_kind kind;
	struct record root;
	struct followed version; /* of a Rollout */
	struct how how;
	struct chainspec chain; /* of a Service */
};

/* False when the document is nothing that could be read as a plan. */
static bool check_root(const struct node *root, struct diags *diags)
{
	if (node_is_null(root)) {
		diags_add(diags, DIAG_ERROR, AT_VALUE(root),
			  "the file is empty; a plan begins with `apiVersion: rolloutd/v1` and `kind: Rollout` or "
			  "`kind: Service`");
		return false;
	}
	if (root->kind != NODE_MAPPING) {
		diags_add(
		    diags, DIAG_ERROR, AT_VALUE(root),
		    "a plan is a mapping that begins with `apiVersion: rolloutd/v1` and `kind: Rollout` or `kind: "
		    "Service`, not a %s",
		    root->kind == NODE_SEQUENCE ? "list" : "single value");
		return false;
	}
	return true;
}

/* By what `kind` says or seems to mean. An unknown one is reported with the other keys. */
static enum plan_kind find_kind(const struct node *root)
{
	const char *const *kinds = schema_key_kind.choices;
	const struct node *kind = node_get(root, "kind");
	const char *meant = kind && kind->kind == NODE_SCALAR ? value_nearest(kind->text, kinds) : NULL;
	return meant == kinds[SCHEMA_KIND_SERVICE] ? PLAN_SERVICE : PLAN_ROLLOUT;
}

/* "SERVICE.ALIAS" is how the rollouts of services are called, and nothing else is. */
static void check_owner(const struct record *root, struct diags *diags)
{
	const struct field *name = &root->fields[ROOT_NAME];
	const struct field *alias = &root->fields[TOP_ALIAS];
	const struct field *service = &root->fields[TOP_SERVICE];
	char shown[VALUE_SHOWN], why[128];
	if (!name->ok || !alias->ok || !service->ok)
		return;
	if (!service->node && !target_check_name(name->text, why, sizeof(why))) {
		value_show(name->node, shown);
		diags_add(diags, DIAG_ERROR, AT_VALUE(name->node), "`name` is %s; %s", shown, why);
	}
	if (!service->node)
		return;
	char want[LIMIT_NAME + LIMIT_ALIAS_NAME + 2];
	(void)snprintf(want, sizeof(want), "%s.%s", service->text, alias->text);
	if (strcmp(name->text, want) != 0)
		diags_add(
		    diags, DIAG_ERROR, AT_KEY(service->node),
		    "`service` is written by rolloutd, in the rollouts of a service, which are called `%s`; remove "
		    "it",
		    want);
}

static void check_from_alias(const struct parts *parts, struct diags *diags)
{
	const struct followed *v = &parts->version;
	const struct field *alias = &parts->root.fields[TOP_ALIAS];
	if (v->ok && v->from_alias && alias->ok && strcmp(v->from_alias, alias->text) == 0)
		diags_add(diags, DIAG_ERROR, AT_VALUE(v->from),
			  "`from_alias` is the alias whose traffic is moved; name another one");
}

static void read_rollout(struct arena *a, struct parts *parts, struct diags *diags)
{
	struct record how = how_of_rollout(&parts->root);
	followed_read(&parts->root.fields[TOP_VERSION], diags, &parts->version);
	how_read(a, &how, diags, &parts->how);
	checks_target(&parts->root, diags);
	check_owner(&parts->root, diags);
	check_from_alias(parts, diags);
}

static void read_parts(struct arena *a, const struct node *root, struct diags *diags, struct parts *ret)
{
	ret->kind = find_kind(root);
	record_read(a, ret->kind == PLAN_SERVICE ? &schema_service : &schema_plan, root, diags, &ret->root);
	if (ret->kind == PLAN_SERVICE)
		chainspec_read(a, &ret->root, diags, &ret->chain);
	else
		read_rollout(a, ret, diags);
}

static void fill_target(struct plan *p, const struct record *r)
{
	struct target_function f;
	char why[128];
	require(r->fields); /* a document without errors is a whole record */
	const char *function = r->fields[ROOT_FUNCTION].text;
	require(target_parse_function(function, &f, why, sizeof(why)));
	p->name = arena_strdup(p->arena, r->fields[ROOT_NAME].text);
	p->function = arena_strdup(p->arena, f.name);
	p->function_arn = f.is_arn ? arena_strdup(p->arena, function) : NULL;
	p->region = f.region_len > 0 ? arena_strndup(p->arena, f.region, f.region_len)
				     : arena_strdup(p->arena, r->fields[ROOT_REGION].text);
	p->account = arena_strdup(p->arena, r->fields[ROOT_ACCOUNT].text);
}

static void fill_version(struct plan *p, const struct followed *v)
{
	if (v->publish) {
		p->version_kind = PLAN_VERSION_PUBLISH;
		artifact_fill(p->arena, v->publish, &p->code);
	} else if (v->follow == FOLLOW_ALIAS) {
		p->version_kind = PLAN_VERSION_FROM_ALIAS;
		p->from_alias = arena_strdup(p->arena, v->from_alias);
		p->spec.soak_ms = v->soak_ms;
	} else if (v->follow == FOLLOW_NEWEST) {
		p->version_kind = PLAN_VERSION_LATEST;
	} else {
		p->version_kind = PLAN_VERSION_NUMBER;
		p->version = v->version;
	}
}

static void fill_rollout(struct plan *p, const struct parts *parts)
{
	const struct field *f = parts->root.fields;
	struct plan_how how;
	how_fill(p->arena, &parts->how, &how);
	p->alias = arena_strdup(p->arena, f[TOP_ALIAS].text);
	p->strategy = how.strategy;
	p->spec = how.spec;
	p->pre_traffic = how.pre_traffic;
	p->post_traffic = how.post_traffic;
	p->verify = how.verify;
	p->n_verify = how.n_verify;
	p->keep_versions = (uint32_t)f[TOP_KEEP_VERSIONS].number;
	p->owner = arena_strdup(p->arena, f[TOP_SERVICE].text);
	fill_version(p, &parts->version);
}

/* How many keys and values a JSON text has, as node_parse will count them when it is read back. */
static size_t count_nodes(const char *json)
{
	size_t n = 1;
	bool quoted = false;
	for (; *json; json++) {
		if (*json == '\\')
			json++;
		else if (*json == '"')
			quoted = !quoted;
		else if (!quoted && (*json == ',' || *json == ':'))
			n++;
		else if (!quoted && (*json == '{' || *json == '['))
			n += json[1] != '}' && json[1] != ']';
	}
	return n;
}

/* The normalised text, and the hash of its part that means something. False when it is more than can be read back. */
static bool fill_text(struct plan *p)
{
	cleanup(buf_deinit) struct buf b = BUF_INIT(LIMIT_NORMALIZED_BYTES);
	normalize_plan(p, false, &b);
	sha256_hex(buf_text(&b), b.len, p->hash);
	bool fits = buf_ok(&b);
	buf_reset(&b);
	normalize_plan(p, true, &b);
	p->normalized = arena_strndup(p->arena, buf_text(&b), b.len);
	return fits && buf_ok(&b) && count_nodes(p->normalized) <= LIMIT_YAML_NODES;
}

static struct plan *make_plan(const struct parts *parts, const struct node *root, struct diags *diags)
{
	struct arena *a = arena_new();
	struct plan *p = arena_alloc(a, sizeof(*p));
	p->arena = a;
	p->kind = parts->kind;
	fill_target(p, &parts->root);
	if (p->kind == PLAN_SERVICE)
		chainspec_fill(&parts->chain, p);
	else
		fill_rollout(p, parts);
	if (fill_text(p))
		return p;
	diags_add(
	    diags, DIAG_ERROR, AT_VALUE(root),
	    "written out in full, with every step and every default, this plan has more than %d bytes, or more than "
	    "%d keys and values; use fewer or coarser steps, fewer metrics, or split it",
	    LIMIT_NORMALIZED_BYTES, LIMIT_YAML_NODES);
	plan_free(p);
	return NULL;
}

struct plan *plan_load(const char *bytes, size_t len, struct diags *diags)
{
	cleanup(arena_free_p) struct arena *scratch = arena_new();
	size_t errors_before = diags->errors;
	struct parts parts = {0};
	struct plan *plan = NULL;
	const struct node *root = node_parse(scratch, bytes, len, LIMIT_NORMALIZED_BYTES, diags);
	if (root && check_root(root, diags))
		read_parts(scratch, root, diags, &parts);
	if (root && diags->errors == errors_before)
		plan = make_plan(&parts, root, diags);
	diags_sort(diags);
	return plan;
}

void plan_free(struct plan *p)
{
	if (p)
		arena_free(p->arena);
}
