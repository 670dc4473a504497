/* Functions, versions and aliases of a world file. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "sim/reader.h"
#include "sim/settings.h"

#define NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

/* --- versions --- */

struct version_wish {
	uint64_t number;
	const char *description;
	const char *code;
	const char *role;
	const char *dead_letter;
};

static bool read_version(const struct node *n, struct version_wish *ret, struct diags *d)
{
	*ret = (struct version_wish){0};
	if (!n->key || !model_parse_version(n->key, &ret->number)) {
		reader_key_error(n, d, "a version is named by its number, from 1, or $LATEST");
		return false;
	}
	return reader_text(node_get(n, "description"), 256, &ret->description, d) &&
	       reader_text(node_get(n, "code"), BODY_MAX, &ret->code, d) &&
	       reader_text(node_get(n, "role"), 256, &ret->role, d) &&
	       reader_text(node_get(n, "dead_letter"), 256, &ret->dead_letter, d);
}

static void set_settings(struct version *v, const struct version_wish *wish)
{
	if (!wish->role && !wish->dead_letter)
		return;
	json_t *settings = json_copy(v->settings);
	if (wish->role)
		json_object_set_new(settings, "Role", json_string(wish->role));
	if (wish->dead_letter)
		json_object_set_new(settings, "DeadLetterConfig", json_pack("{s:s}", "TargetArn", wish->dead_letter));
	json_decref(v->settings);
	v->settings = settings;
}

static void set_code(struct version *v, const char *function, const struct version_wish *wish)
{
	char made[LIMIT_FUNCTION_NAME + 32];
	snprintf(made, sizeof(made), "%s:%llu", function, (unsigned long long)wish->number);
	const char *code = wish->code ? wish->code : made;
	model_code_sha(code, strlen(code), v->code_sha256);
	v->code_size = strlen(code);
}

/* Besides those of its behaviour. */
static const char *const version_keys[] = {"description", "code", "role", "dead_letter", NULL};

bool settings_version(struct world *w, struct function *f, const struct node *n, struct diags *d)
{
	struct version_wish wish;
	size_t before = d->errors;
	if (!read_version(n, &wish, d))
		return false;
	struct version *v = model_version(f, wish.number);
	struct behaviour b = {0};
	behaviour_copy(&b, v ? &v->behaviour : &f->latest.behaviour);
	bool good = settings_behaviour(n, "a version", version_keys, &b, d) && d->errors == before;
	bool made = good && !v;
	if (made)
		v = model_publish(w, f, wish.number, wish.description);
	if (good && v) {
		behaviour_copy(&v->behaviour, &b);
		set_settings(v, &wish);
		if (made || wish.code)
			set_code(v, f->name, &wish);
		if (wish.description && !made) {
			free(v->description);
			v->description = mem_strdup(wish.description);
		}
	} else if (good) {
		reader_error(n, d, "function %s has %d versions already, the most there may be", f->name, VERSIONS_MAX);
	}
	free(b.body);
	return good && v;
}

/* --- aliases --- */

static bool read_weights(struct function *f, const struct node *n, struct alias_state *state, struct diags *d)
{
	if (!n)
		return true;
	if (n->kind != NODE_MAPPING || n->n_children > 1) {
		reader_error(n, d, "`weights` must be a mapping from one version to its share, such as {2: 10%%}");
		return false;
	}
	state->extra_version = VERSION_LATEST;
	state->extra_weight = 0;
	if (!n->first)
		return true;
	uint64_t number;
	if (!model_parse_version(n->first->key, &number) || number == VERSION_LATEST || !model_version(f, number) ||
	    number == state->version) {
		reader_error(n->first, d, "`weights` must name a version of %s other than the alias's own", f->name);
		return false;
	}
	state->extra_version = number;
	return reader_share(n->first, &state->extra_weight, d);
}

bool settings_alias(struct world *w, struct function *f, const char *name, const struct node *n, struct diags *d)
{
	static const char *const keys[] = {"version", "weights", "description", NULL};
	size_t len = strlen(name), before = d->errors;
	const char *version = NULL, *description = NULL;
	struct alias *a = model_alias(f, name);
	struct alias_state state = a ? a->now : (struct alias_state){.description = (char *)""};
	if (!len || len > LIMIT_ALIAS_NAME || strspn(name, NAME_CHARS) != len || strspn(name, "0123456789") == len) {
		reader_key_error(n, d, "`%s` is no name for an alias: letters, digits, - and _, but not digits alone",
				 name);
		return false;
	}
	if (!reader_mapping(n, "an alias", keys, d) || !reader_text(node_get(n, "version"), 20, &version, d) ||
	    !reader_text(node_get(n, "description"), 256, &description, d))
		return false;
	if (!version && !a) {
		reader_error(n, d, "an alias needs `version`");
		return false;
	}
	if (version && (!model_parse_version(version, &state.version) || !model_version(f, state.version))) {
		reader_error(node_get(n, "version"), d, "function %s has no version `%s`", f->name, version);
		return false;
	}
	if (description)
		state.description = (char *)description;
	/* A version alone means all of the traffic. */
	if (version)
		state.extra_version = VERSION_LATEST;
	if (!read_weights(f, node_get(n, "weights"), &state, d) || d->errors != before)
		return false;
	if (a) {
		model_change_alias(w, a, &state);
	} else if (!(a = model_add_alias(w, f, name, &state))) {
		reader_error(n, d, "function %s has %d aliases already, the most there may be", f->name, ALIASES_MAX);
		return false;
	}
	struct alias_change change = {.unix_ms = w->now_ms,
				      .operation = "(localaws)",
				      .function = f->name,
				      .alias = a->name,
				      .version = a->now.version,
				      .extra_version = a->now.extra_version,
				      .extra_weight = a->now.extra_weight};
	memcpy(change.revision, a->now.revision, sizeof(change.revision));
	counters_log(&w->counters, &change);
	return true;
}

/* --- functions --- */

static struct function *find_or_add(struct world *w, const char *name, const struct node *n, struct diags *d)
{
	struct function *f = model_function(w, name);
	if (f)
		return f;
	char sha[CODE_SHA_SIZE];
	json_t *settings = model_default_settings();
	model_code_sha(name, strlen(name), sha);
	f = model_add_function(w, name, settings, sha, strlen(name), "");
	json_decref(settings);
	if (!f) {
		reader_error(n, d, "there are %d functions already, the most there may be", FUNCTIONS_MAX);
		return NULL;
	}
	/* It has been there for long. */
	f->latest.settles_ms = f->settles_ms = w->now_ms;
	model_settle(w, f);
	return f;
}

static bool read_failure(const struct node *n, char **slot, struct diags *d)
{
	const char *reason = NULL;
	if (!n || !reader_text(n, 256, &reason, d))
		return !n;
	free(*slot);
	*slot = *reason && !node_is_null(n) ? mem_strdup(reason) : NULL;
	return true;
}

static bool read_platform(const struct node *n, struct platform *p, struct diags *d)
{
	return reader_duration(node_get(n, "publish_time"), MS_PER_HOUR, &p->publish_ms, d) &&
	       read_failure(node_get(n, "publish_fails"), &p->publish_fails, d) &&
	       read_failure(node_get(n, "update_fails"), &p->update_fails, d) &&
	       read_failure(node_get(n, "provision_fails"), &p->provision_fails, d);
}

static const struct version *newest_version(const struct function *f)
{
	return f->n_versions ? f->versions[f->n_versions - 1] : NULL;
}

static bool apply_function(struct world *w, const char *name, const struct node *n, struct diags *d)
{
	size_t before = d->errors;
	struct function *f = find_or_add(w, name, n, d);
	if (!f || !read_platform(n, &f->platform, d))
		return false;
	const struct node *versions = node_get(n, "versions"), *aliases = node_get(n, "aliases");
	const struct version *newest_before = newest_version(f);
	for (const struct node *v = versions ? versions->first : NULL; v; v = v->next)
		(void)settings_version(w, f, v, d);
	for (const struct node *a = aliases ? aliases->first : NULL; a && d->errors == before; a = a->next)
		(void)settings_alias(w, f, a->key, a, d);
	/* $LATEST holds the code of what is published now, unless the file says something else of it. */
	const struct version *newest = newest_version(f);
	if (newest != newest_before && !(versions && node_get(versions, "$LATEST"))) {
		memcpy(f->latest.code_sha256, newest->code_sha256, sizeof(f->latest.code_sha256));
		f->latest.code_size = newest->code_size;
	}
	return d->errors == before;
}

static bool read_function(struct world *w, const struct node *n, struct diags *d)
{
	static const char *const keys[] = {"versions",	    "aliases",	    "copies",	       "publish_time",
					   "publish_fails", "update_fails", "provision_fails", NULL};
	uint64_t copies = 0;
	size_t len = strlen(n->key), before = d->errors;
	if (!len || len > 64 || strspn(n->key, NAME_CHARS) != len) {
		reader_key_error(n, d, "`%s` is no name for a function: letters, digits, - and _, at most 64", n->key);
		return false;
	}
	if (!reader_mapping(n, "a function", keys, d) ||
	    !reader_count(node_get(n, "copies"), 1, FUNCTIONS_MAX, &copies, d))
		return false;
	for (size_t i = 0; i < 2; i++) {
		const struct node *part = node_get(n, keys[i]);
		if (part && part->kind != NODE_MAPPING) {
			reader_error(part, d, "`%s` must be a mapping", part->key);
			return false;
		}
	}
	if (!copies)
		return apply_function(w, n->key, n, d);
	for (uint64_t i = 0; i < copies && d->errors == before; i++) {
		char name[96];
		snprintf(name, sizeof(name), "%s-%llu", n->key, (unsigned long long)i);
		(void)apply_function(w, name, n, d);
	}
	return d->errors == before;
}

bool settings_functions(struct world *w, const struct node *n, struct diags *d)
{
	size_t before = d->errors;
	if (n->kind != NODE_MAPPING) {
		reader_error(n, d, "`functions` must be a mapping from names to functions");
		return false;
	}
	for (const struct node *f = n->first; f; f = f->next)
		(void)read_function(w, f, d);
	return d->errors == before;
}
