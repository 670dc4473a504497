/* Versions that nobody needs any more. */
#include "base/text.h"
#include "chain/diff_inner.h"

/* Anything that is due or under way may still come to need a version. */
static bool is_quiet(const struct diff *d)
{
	for (size_t n = 0; n < d->len; n++) {
		if (d->items[n].kind != CHANGE_PROBLEM)
			return false;
	}
	for (size_t n = 0; n < d->spec->n_aliases; n++) {
		if (d->m->aliases[n].rollout_live)
			return false;
	}
	return true;
}

/* Which versions an odd alias names cannot be told. */
static bool names_are_known(const struct diff *d)
{
	for (size_t n = 0; n < d->v->n_aliases; n++) {
		if (d->v->aliases[n].view.odd)
			return false;
	}
	return true;
}

static bool is_named(const struct diff *d, uint64_t version)
{
	for (size_t n = 0; n < d->v->n_aliases; n++) {
		const struct alias_target *t = &d->v->aliases[n].view.target;
		if (t->version == version || (t->weight_bp > 0 && t->extra == version))
			return true;
	}
	for (size_t n = 0; n < d->spec->n_aliases; n++) {
		const struct service_alias *s = &d->spec->aliases[n];
		const struct alias_memory *m = &d->m->aliases[n];
		if ((s->follow == FOLLOW_VERSION && s->version == version) || m->reached == version ||
		    m->seen == version)
			return true;
	}
	for (size_t n = 0; n < d->in->n_kept_versions; n++) {
		if (d->in->kept_versions[n] == version)
			return true;
	}
	return false;
}

static bool is_provisioned(const struct diff *d, uint64_t version)
{
	char qualifier[24];

	version_format(version, qualifier);
	return chain_view_concurrency(d->v, qualifier) != NULL;
}

void diff_prune(struct diff *d)
{
	if (d->spec->keep_versions == 0 || !is_quiet(d) || !names_are_known(d))
		return;
	/* They are rising, so the last ones are the newest. */
	for (size_t n = 0; n + d->spec->keep_versions < d->v->n_versions; n++) {
		uint64_t version = d->v->versions[n].number;

		if (is_named(d, version) || is_provisioned(d, version))
			continue;
		const char *subject = arena_printf(d->a, "function %s", d->spec->function);
		if (!d->v->concurrency_read) {
			diff_problem(
			    d, subject, "versions",
			    "no old version is deleted, as its provisioned concurrency could not be read: allow "
			    "lambda:ListProvisionedConcurrencyConfigs, or take out `keep_versions:`");
			return;
		}
		struct change *c =
		    diff_add(d, CHANGE_DELETE_VERSION,
			     arena_printf(d->a, "version %llu of %s", (unsigned long long)version, subject));
		c->from = arena_printf(d->a, "%llu", (unsigned long long)version);
		c->version = version;
	}
}
