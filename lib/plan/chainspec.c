#include "plan/chainspec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "plan/artifact.h"
#include "plan/checks.h"
#include "plan/value.h"

size_t chainspec_find_alias(const struct chainspec *c, const char *name)
{
	size_t i = 0;
	while (i < c->n_aliases && strcmp(c->aliases[i].name, name) != 0)
		i++;
	return i;
}

void chainspec_report_unknown(const struct chainspec *c, const struct node *at, const char *what, const char *name,
			      struct diags *diags)
{
	const char *names[LIMIT_SERVICE_ALIASES + 1] = {0};
	for (size_t i = 0; i < c->n_aliases; i++)
		names[i] = c->aliases[i].name;
	const char *nearest = value_nearest(name, names);
	if (nearest)
		diags_add(diags, DIAG_ERROR, AT_VALUE(at), "%s is `%s`, which is not in `aliases`; did you mean `%s`?",
			  what, name, nearest);
	else
		diags_add(diags, DIAG_ERROR, AT_VALUE(at), "%s is `%s`, which is not in `aliases`; declare it there",
			  what, name);
}

static int compare_aliases(const void *a, const void *b)
{
	return strcmp(((const struct chainspec_alias *)a)->name, ((const struct chainspec_alias *)b)->name);
}

/* The shorthand says the version alone. */
static void read_alias(struct arena *a, const struct field *entry, struct diags *diags, struct chainspec_alias *ret)
{
	const struct record *r = entry->items;
	const struct field *rollout = r ? &r->fields[ALIAS_ROLLOUT] : NULL;
	ret->name = entry->node->key;
	ret->node = entry->node;
	followed_read(r ? &r->fields[ALIAS_VERSION] : entry, diags, &ret->followed);
	if (rollout && rollout->items) {
		ret->rollout = rollout->items;
	} else {
		struct record *defaults = arena_alloc(a, sizeof(*defaults));
		record_read(a, &schema_how, NULL, diags, defaults);
		ret->rollout = defaults;
	}
	how_read(a, ret->rollout, diags, &ret->how);
}

static bool serves_latest(const struct chainspec_alias *alias)
{
	return alias->followed.ok && alias->followed.follow == FOLLOW_HEAD;
}

/* Nothing of a `rollout` would have an effect, so nothing but how it is anyway may be said. */
static void check_latest(struct chainspec_alias *alias, struct diags *diags)
{
	const struct record *rollout = alias->rollout;
	struct shape *shape = &alias->how.shape;
	if (!serves_latest(alias))
		return;
	for (size_t i = 0; rollout->node && i < HOW_KNOWN; i++) {
		const struct node *n = rollout->fields[i].node;
		if (n && i != HOW_STRATEGY && i != HOW_STEPS && i != HOW_EXPERIMENT)
			diags_add(
			    diags, DIAG_ERROR, AT_KEY(n),
			    "`%s` has no effect on an alias of `$LATEST`, which is never moved in steps; remove it",
			    n->key);
	}
	if (rollout->node && shape->ok && shape->n_steps > 0)
		diags_add(diags, DIAG_ERROR, AT_KEY(rollout->node),
			  "`rollout` has steps, but AWS lets no alias share its traffic between `$LATEST` and another "
			  "version; remove it, write {strategy: AllAtOnce}, or let the alias serve `latest`");
	*shape = (struct shape){.ok = true, .final_ok = true};
}

/* A service keeps what it declares, so its alias must get there. */
static void check_experiment(const struct chainspec_alias *alias, struct diags *diags)
{
	const struct shape *shape = &alias->how.shape;
	if (!shape->ok || !shape->ends_home)
		return;
	const struct field *experiment = &alias->rollout->fields[HOW_EXPERIMENT];
	const struct node *then = experiment->items->fields[EXPERIMENT_THEN].node;
	unsigned line = then ? then->line : experiment->node->key_line;
	unsigned column = then ? then->column : experiment->node->key_column;
	diags_add(diags, DIAG_ERROR, line, column,
		  "this experiment goes back, so `%s` would never serve the version that the service declares for it; "
		  "write `then: on`%s, or make it a `kind: Rollout` of an alias that no service keeps",
		  alias->name, then ? "" : " into it");
}

/* Where `from_alias` leads; NULL if it leads nowhere, which is reported by check_from. */
static struct chainspec_alias *follow(const struct chainspec *c, const struct chainspec_alias *alias)
{
	if (!alias->followed.ok || alias->followed.follow != FOLLOW_ALIAS)
		return NULL;
	size_t i = chainspec_find_alias(c, alias->followed.from_alias);
	return i < c->n_aliases ? &c->aliases[i] : NULL;
}

/* A loop is reported once, at its first alias by name. */
static bool begins_loop(const struct chainspec *c, const struct chainspec_alias *alias)
{
	const struct chainspec_alias *at = follow(c, alias);
	for (size_t i = 0; at && at != alias && i < c->n_aliases; i++) {
		if (at < alias)
			return false;
		at = follow(c, at);
	}
	return at == alias;
}

static void check_from(const struct chainspec *c, const struct chainspec_alias *alias, struct diags *diags)
{
	const struct followed *f = &alias->followed;
	if (!f->ok || f->follow != FOLLOW_ALIAS)
		return;
	const struct chainspec_alias *source = follow(c, alias);
	if (!source)
		chainspec_report_unknown(c, f->from, "`from_alias`", f->from_alias, diags);
	else if (source == alias)
		diags_add(diags, DIAG_ERROR, AT_VALUE(f->from),
			  "`%s` takes its version from itself; name another alias", alias->name);
	else if (begins_loop(c, alias))
		diags_add(diags, DIAG_ERROR, AT_VALUE(f->from),
			  "`%s` takes its version from `%s`, which in the end takes it from `%s`: one of them must say "
			  "a version",
			  alias->name, f->from_alias, alias->name);
	else if (serves_latest(source))
		diags_add(
		    diags, DIAG_ERROR, AT_VALUE(f->from),
		    "`from_alias` is `%s`, which serves `$LATEST`, and that is no published version; let it serve "
		    "`latest`",
		    f->from_alias);
}

static void check_rollout_name(const struct field *name, const struct chainspec_alias *alias, struct diags *diags)
{
	if (!name->ok || strlen(name->text) + 1 + strlen(alias->name) <= LIMIT_NAME)
		return;
	diags_add(
	    diags, DIAG_ERROR, AT_KEY(alias->node),
	    "the rollouts of this alias would be called `%.64s.%.64s`, which has more than %d characters; shorten "
	    "the service's name or the alias's",
	    name->text, alias->name, LIMIT_NAME);
}

static void read_aliases(struct arena *a, struct diags *diags, struct chainspec *c)
{
	const struct field *aliases = &c->root.fields[SERVICE_ALIASES];
	c->aliases = arena_array(a, aliases->n_items, sizeof(*c->aliases));
	for (size_t i = 0; i < aliases->n_items; i++)
		read_alias(a, &aliases->entries[i], diags, &c->aliases[i]);
	c->n_aliases = aliases->n_items;
	if (c->n_aliases > 0)
		qsort(c->aliases, c->n_aliases, sizeof(*c->aliases), compare_aliases);
	for (size_t i = 0; i < c->n_aliases; i++) {
		check_rollout_name(&c->root.fields[ROOT_NAME], &c->aliases[i], diags);
		check_latest(&c->aliases[i], diags);
		check_experiment(&c->aliases[i], diags);
		if (aliases->ok)
			check_from(c, &c->aliases[i], diags);
	}
}

/* A function that does not exist needs code, and what runs it. */
static void check_create(const struct record *root, struct diags *diags)
{
	const struct field *code = &root->fields[SERVICE_CODE];
	const struct record *create = root->fields[SERVICE_CREATE].items;
	if (!create)
		return;
	const struct field *timeout = &create->fields[CREATE_TIMEOUT];
	if (timeout->ok && timeout->number % MS_PER_SECOND != 0)
		diags_add(diags, DIAG_ERROR, AT_VALUE(timeout->node), "`timeout` in `create` is in whole seconds");
	if (!code->node || (code->ok && !code->items))
		diags_add(diags, DIAG_ERROR, AT_KEY(create->node),
			  "`create` needs code to create the function with; write `code` as {zip: PATH}, {s3: {bucket: "
			  "…, key: …}} or {image: URI}");
	bool image = code->items && code->items->fields[CODE_KEY_IMAGE].node;
	bool other = code->items && !image;
	static const size_t keys[] = {CREATE_RUNTIME, CREATE_HANDLER};
	for (size_t i = 0; i < array_len(keys); i++) {
		const struct field *f = &create->fields[keys[i]];
		const struct schema_key *k = schema_create.keys[keys[i]];
		if (f->node && image)
			diags_add(diags, DIAG_ERROR, AT_KEY(f->node),
				  "`%s` has no effect on a container image, which brings its own; remove it", k->name);
		else if (!f->node && !f->misspelt && other)
			diags_add(diags, DIAG_ERROR, AT_VALUE(create->node),
				  "`%s` is missing in `create`; add it, for example `%s: %s`", k->name, k->name,
				  k->example);
	}
}

static void check_something(const struct record *root, struct diags *diags)
{
	static const size_t keys[] = {SERVICE_CODE, SERVICE_ALIASES, SERVICE_API, SERVICE_KEEP_VERSIONS};
	for (size_t i = 0; i < array_len(keys); i++)
		if (root->fields[keys[i]].node || root->fields[keys[i]].misspelt)
			return;
	diags_add(diags, DIAG_ERROR, AT_VALUE(root->node),
		  "this service declares nothing; give it `aliases`, `code` or both");
}

void chainspec_read(struct arena *a, const struct record *root, struct diags *diags, struct chainspec *ret)
{
	ret->root = *root;
	checks_target(root, diags);
	check_something(root, diags);
	if (root->fields[SERVICE_CODE].items)
		artifact_check(root->fields[SERVICE_CODE].items, false, diags);
	check_create(root, diags);
	read_aliases(a, diags, ret);
	chainspec_api_check(ret, diags);
}

static void fill_create(struct arena *a, const struct record *r, struct create_spec *ret)
{
	if (!r)
		return;
	const struct field *f = r->fields;
	*ret = (struct create_spec){
	    .role = arena_strdup(a, f[CREATE_ROLE].text),
	    .runtime = arena_strdup(a, f[CREATE_RUNTIME].text),
	    .handler = arena_strdup(a, f[CREATE_HANDLER].text),
	    .architecture = schema_create.keys[CREATE_ARCHITECTURE]->choices[f[CREATE_ARCHITECTURE].number],
	    .memory_mb = (uint32_t)f[CREATE_MEMORY].number,
	    .timeout_s = (uint32_t)(f[CREATE_TIMEOUT].number / MS_PER_SECOND),
	};
}

static void fill_aliases(const struct chainspec *c, struct plan *p)
{
	struct service_alias *aliases = arena_array(p->arena, c->n_aliases, sizeof(*aliases));
	struct plan_how *hows = arena_array(p->arena, c->n_aliases, sizeof(*hows));
	for (size_t i = 0; i < c->n_aliases; i++) {
		const struct chainspec_alias *from = &c->aliases[i];
		how_fill(p->arena, &from->how, &hows[i]);
		aliases[i] = (struct service_alias){
		    .name = arena_strdup(p->arena, from->name),
		    .follow = from->followed.follow,
		    .version = from->followed.version,
		    .from_alias = arena_strdup(p->arena, from->followed.from_alias),
		    .soak_ms = from->followed.soak_ms,
		    .jump = hows[i].spec.n_steps == 0,
		};
	}
	p->service.aliases = aliases;
	p->service.n_aliases = c->n_aliases;
	p->hows = hows;
}

void chainspec_fill(const struct chainspec *c, struct plan *p)
{
	const struct field *f = c->root.fields;
	struct service_spec *s = &p->service;
	s->name = p->name;
	s->function = p->function;
	if (f[SERVICE_CODE].node)
		s->code.source = CODE_LATEST;
	if (f[SERVICE_CODE].items)
		artifact_fill(p->arena, f[SERVICE_CODE].items, &s->code);
	fill_create(p->arena, f[SERVICE_CREATE].items, &s->create);
	fill_aliases(c, p);
	chainspec_api_fill(c, p->arena, &s->api);
	s->keep_versions = (uint32_t)f[SERVICE_KEEP_VERSIONS].number;
	s->check_every_ms = f[SERVICE_CHECK_EVERY].number;
	p->keep_versions = s->keep_versions;
}
