/*
 * A service as operators see it: what each alias should hold and holds, where each stage is, what differs.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "engine/service.h"

struct texts {
	char declared[160];
	char holds[160];
	char rollout[LIMIT_NAME + 1];
	char state[LIMIT_REASON];
};

/* What is said about an alias in what differs; NULL: nothing. */
static const struct change *change_of(const struct service *s, size_t alias)
{
	const struct change_list *l = s->last ? reconcile_changes(s->last) : NULL;
	char subject[LIMIT_ALIAS_NAME + 16];

	(void)snprintf(subject, sizeof(subject), "alias %s", s->plan->service.aliases[alias].name);
	for (size_t n = 0; l && n < l->len; n++) {
		if (strcmp(l->items[n].subject, subject) == 0)
			return &l->items[n];
	}
	return NULL;
}

static void state_of(const struct service *s, size_t alias, const struct item *i, struct texts *t)
{
	const struct change *c = change_of(s, alias);

	if (i)
		(void)snprintf(t->state, sizeof(t->state), "%s%s%.200s", rollout_phase_name(i->state.phase),
			       i->state.reason[0] ? ": " : "", i->state.reason);
	else if (c && c->text && c->text[0])
		(void)snprintf(t->state, sizeof(t->state), "%.250s", c->text);
	else if (c)
		change_format(c, t->state, sizeof(t->state));
	else if (s->state.checked_unix_ms == 0)
		(void)snprintf(t->state, sizeof(t->state), "not looked at yet");
	else if (s->state.memory.aliases[alias].rolled_back)
		(void)snprintf(t->state, sizeof(t->state), "%s: %.200s",
			       s->state.memory.aliases[alias].unmoved ? "got no traffic" : "came back",
			       s->state.memory.aliases[alias].outcome);
	else
		(void)snprintf(t->state, sizeof(t->state), "as declared");
}

static void show_alias(const struct service *s, size_t n, struct texts *t, struct view_service_alias *ret)
{
	const struct chain_view *v = s->last ? reconcile_view(s->last) : NULL;
	const struct view_alias_entry *is = v ? chain_view_alias(v, s->plan->service.aliases[n].name) : NULL;
	const struct item *i = service_rollout(s, n);

	form_declared(&s->plan->service.aliases[n], t->declared, sizeof(t->declared));
	if (i && !i->unreadable && i->state.prepared)
		alias_target_format(&i->state.live, t->holds, sizeof(t->holds));
	else if (is)
		alias_view_format(&is->view, t->holds, sizeof(t->holds));
	if (i)
		(void)text_copy(t->rollout, sizeof(t->rollout), i->name);
	state_of(s, n, i && !i->unreadable ? i : NULL, t);
	*ret =
	    (struct view_service_alias){s->plan->service.aliases[n].name, t->declared, t->holds, t->rollout, t->state};
}

static void show_unreadable(const struct service *s, engine_service_cb cb, void *ctx)
{
	struct view_service v = {
	    .name = s->name,
	    .attempt = s->attempt,
	    .region = s->region,
	    .phase = s->state.phase,
	    .unreadable = s->unreadable,
	    .now = engine_now(s->engine),
	};

	cb(ctx, &v);
}

void service_show(const struct service *s, engine_service_cb cb, void *ctx)
{
	const struct service_spec *spec = s->unreadable ? NULL : &s->plan->service;
	struct arena *a cleanup(arena_free_p) = arena_new();
	struct view_service_stage stages[LIMIT_SERVICE_STAGES];
	struct view_service_alias aliases[LIMIT_SERVICE_ALIASES];
	const char *source = strmap_get(&s->engine->source_of, s->name);
	struct view_service v;

	if (!spec) {
		show_unreadable(s, cb, ctx);
		return;
	}
	for (size_t n = 0; n < spec->n_aliases; n++)
		show_alias(s, n, arena_alloc(a, sizeof(struct texts)), &aliases[n]);
	for (size_t n = 0; n < spec->api.n_stages; n++) {
		char *url = arena_alloc(a, LIMIT_URL);
		const char *path = spec->api.probe_path	    ? spec->api.probe_path
				   : spec->api.n_routes > 0 ? spec->api.routes[0].path
							    : "/";

		probe_url(s->engine, &(struct chain_place){.account = s->plan->account, .region = s->region},
			  spec->api.type, s->state.api_id, spec->api.stages[n].name, path, url, LIMIT_URL);
		stages[n] = (struct view_service_stage){spec->api.stages[n].name,
							spec->aliases[spec->api.stages[n].alias].name, url};
	}
	v = (struct view_service){
	    .name = s->name,
	    .attempt = s->attempt,
	    .function = s->plan->function,
	    .account = s->plan->account,
	    .region = s->region,
	    .plan_hash = s->plan->hash,
	    .source = source ? source : "",
	    .trouble = s->state.trouble,
	    .checked_unix_ms = s->state.checked_unix_ms,
	    .changes_made = s->state.changes_made,
	    .api_id = s->state.api_id,
	    .aliases = aliases,
	    .n_aliases = spec->n_aliases,
	    .stages = stages,
	    .n_stages = spec->api.n_stages,
	    .changes = s->last ? reconcile_changes(s->last) : NULL,
	    .now = engine_now(s->engine),
	};
	v.phase = service_phase(s, &v.reason);
	cb(ctx, &v);
}
