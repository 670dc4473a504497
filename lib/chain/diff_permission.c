/*
 * Permissions: each stage may invoke its alias before anything routes to it, and nothing of ours stays that no stage
 * needs.
 */
#include <string.h>

#include "base/text.h"
#include "chain/diff_inner.h"

/*
 * Whether a pattern of ArnLike allows everything that `wanted` does, a pattern as well. AWS compares the parts between
 * colons one by one, so nothing matches a colon but a colon; and only a star covers a star.
 */
static bool covers_pattern(const char *pattern, const char *wanted)
{
	const char *star = NULL;
	const char *retry = NULL;

	while (*wanted) {
		if (*pattern == '*') {
			star = pattern++;
			retry = wanted;
		} else if (*pattern == *wanted || (*pattern == '?' && *wanted != '*' && *wanted != ':')) {
			pattern++;
			wanted++;
		} else if (star && *retry != ':') {
			pattern = star + 1;
			wanted = ++retry;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

static bool covers(const struct diff *d, const struct view_statement *s, const char *stage)
{
	if (!s->invokes)
		return false;
	if (s->source_account && strcmp(s->source_account, d->v->account_id) != 0)
		return false;
	return !s->source_arn || covers_pattern(s->source_arn, chain_source_arn(d->a, d->v, stage));
}

static bool is_covered(const struct diff *d, const struct view_policy *p, const char *stage)
{
	for (size_t n = 0; n < p->n_statements; n++) {
		if (covers(d, &p->statements[n], stage))
			return true;
	}
	return false;
}

static bool has_sid(const struct view_policy *p, const char *sid)
{
	for (size_t n = 0; n < p->n_statements; n++) {
		if (strcmp(p->statements[n].sid, sid) == 0)
			return true;
	}
	return false;
}

/* The stage's id; with a number when that one says something else, as a statement cannot be changed without a gap. */
static const char *free_sid(const struct diff *d, const struct view_policy *p, const char *stage)
{
	const char *base = chain_statement_id(d->a, d->v, stage);
	const char *sid = base;

	for (unsigned n = 2; has_sid(p, sid); n++)
		sid = arena_printf(d->a, "%s-%u", base, n);
	return sid;
}

/* --- adding --- */

static void add_permission(struct diff *d, size_t stage, const struct view_alias_entry *e)
{
	const char *name = d->spec->api.stages[stage].name;
	const char *subject =
	    arena_printf(d->a, "permission of alias %s for stage %s of %s", e->name, name, d->api_subject);
	const char *sid = free_sid(d, &e->policy, name);
	const char *source = chain_source_arn(d->a, d->v, name);
	size_t bytes = e->policy.bytes + chain_statement_bytes(chain_function_arn(d->a, d->spec, d->v), e->name, sid,
							       source, d->v->account_id);

	if (bytes > LIMIT_POLICY_BYTES) {
		diff_problem(
		    d, subject, "",
		    "the alias's policy would have %zu bytes, more than AWS's limit of %d: it has %zu statements; "
		    "remove what nothing needs any more with `aws lambda remove-permission` (the first is %s)",
		    bytes, LIMIT_POLICY_BYTES, e->policy.n_statements,
		    e->policy.n_statements > 0 ? e->policy.statements[0].sid : "unknown");
		return;
	}
	struct change *c = diff_add(d, CHANGE_ADD_PERMISSION, subject);
	c->to = source;
	c->key = sid;
	c->index = stage;
}

void diff_permissions(struct diff *d)
{
	for (size_t n = 0; n < d->spec->api.n_stages; n++) {
		const struct service_stage *s = &d->spec->api.stages[n];
		const struct view_alias_entry *e = chain_view_alias(d->v, d->spec->aliases[s->alias].name);

		if (!e)
			continue; /* the alias comes first, and says so itself */
		if (!e->policy_read) {
			diff_wait(d, arena_printf(d->a, "alias %s", e->name), "permissions",
				  "its permissions were not read yet, so stage %s does not change", s->name);
			d->api_waits = true;
		} else if (is_covered(d, &e->policy, s->name)) {
			d->ready[n] = true;
		} else {
			add_permission(d, n, e);
		}
	}
}

/* --- removing --- */

static bool names_alias(const struct view_stage *s, const char *alias)
{
	/* What a canary's own variables name is not known. */
	if (s->canary)
		return true;
	for (size_t n = 0; n < s->n_variables; n++) {
		if (strcmp(s->variables[n].value, alias) == 0)
			return true;
	}
	return false;
}

/* By a stage that is declared, or by any that AWS has: what nobody declared any more still serves. */
static bool is_needed(const struct diff *d, const struct view_statement *s, const char *alias)
{
	for (size_t n = 0; n < d->spec->api.n_stages; n++) {
		const struct service_stage *stage = &d->spec->api.stages[n];
		if (strcmp(d->spec->aliases[stage->alias].name, alias) == 0 && covers(d, s, stage->name))
			return true;
	}
	for (size_t n = 0; n < d->v->api.n_stages; n++) {
		const struct view_stage *stage = &d->v->api.stages[n];
		if (names_alias(stage, alias) && covers(d, s, stage->name))
			return true;
	}
	return false;
}

static void remove_unused(struct diff *d, size_t alias, const struct view_alias_entry *e, const char *prefix)
{
	for (size_t n = 0; n < e->policy.n_statements; n++) {
		const struct view_statement *s = &e->policy.statements[n];

		if (!text_starts_with(s->sid, prefix) || is_needed(d, s, e->name))
			continue;
		struct change *c = diff_add(d, CHANGE_REMOVE_PERMISSION,
					    arena_printf(d->a, "permission %s of alias %s", s->sid, e->name));
		c->from = s->source_arn ? s->source_arn : "any source";
		c->key = s->sid;
		c->index = alias;
	}
}

void diff_unused_permissions(struct diff *d)
{
	if (d->spec->api.type == API_NONE || !d->v->api.found || d->api_calls > 0 || d->api_waits)
		return;
	const char *prefix = arena_printf(d->a, "rolloutd-%s-", d->v->api.id);
	for (size_t n = 0; n < d->spec->n_aliases; n++) {
		const struct view_alias_entry *e = chain_view_alias(d->v, d->spec->aliases[n].name);
		if (e && e->policy_read)
			remove_unused(d, n, e, prefix);
	}
}
