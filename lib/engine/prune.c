/*
 * `keep_versions` of a rollout: once it has succeeded, the function's older versions go, but for those that something
 * names or may go back to. A service does the same in its own looking.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "engine/chain.h"

struct pruning {
	struct item *item; /* pinned */
	struct service_spec spec;
	struct chain_memory memory; /* nothing: only versions are looked at */
	struct reconcile *reconcile;
	uint64_t *kept;
	size_t n_kept;
	size_t cap_kept;
};

static void keep(struct pruning *p, uint64_t version)
{
	p->kept = mem_grow(p->kept, &p->cap_kept, p->n_kept + 1, sizeof(*p->kept));
	p->kept[p->n_kept++] = version;
}

/* What rollouts of the function work with, and what this one would go back to. */
static void collect_kept(struct pruning *p)
{
	const struct item *own = p->item;

	for (const struct item *i = own->engine->first; i; i = i->next) {
		if (i->unreadable || strcmp(i->plan->function, own->plan->function) != 0)
			continue;
		keep(p, i->state.stable);
		keep(p, i->state.canary);
		keep(p, i->plan->version);
	}
}

static void intent(void *arg, const struct change *c, const char *text)
{
	struct item *i = ((struct pruning *)arg)->item;

	(void)c;
	engine_add_intent(i->engine, i->id, PUBLISH_SEQ + i->publish_seq++, text, "");
	engine_add_event(i->engine, i, rollout_announce_name(ANNOUNCE_INTENT), text, "");
}

static void changed(void *arg, const struct change *c, const char *text)
{
	struct item *i = ((struct pruning *)arg)->item;

	(void)c;
	engine_add_event(i->engine, i, "changed", text, "");
}

static void done(void *arg, const struct aws_error *error, const char *operation)
{
	struct pruning *p = arg;
	struct item *i = p->item;
	const struct change_list *l = reconcile_changes(p->reconcile);
	char text[LIMIT_REASON] = "";

	if (error)
		aws_error_format(error, operation, text, sizeof(text));
	else if (l->len > 0)
		(void)snprintf(text, sizeof(text), "old versions stay: %.230s", l->items[0].text);
	if (text[0] && !i->engine->draining)
		engine_add_event(i->engine, i, rollout_announce_name(ANNOUNCE_TROUBLE), text, "");
	reconcile_free(p->reconcile);
	free(p->kept);
	free(p);
	item_unpin(i);
}

void prune_versions(struct item *i)
{
	struct pruning *p = mem_alloc(sizeof(*p));
	struct reconcile_config config = {
	    .engine = i->engine,
	    .place = {i->plan->account, i->region, i->plan->function_arn ? i->plan->function_arn : i->plan->function},
	    .spec = &p->spec,
	    .memory = &p->memory,
	    .aliases = true,
	    .ops = {.intent = intent, .changed = changed, .done = done},
	    .arg = p,
	};

	p->item = i;
	p->spec = (struct service_spec){
	    .name = i->name,
	    .function = i->plan->function,
	    .keep_versions = i->plan->keep_versions,
	    .check_every_ms = MS_PER_MINUTE,
	};
	item_pin(i);
	collect_kept(p);
	config.kept_versions = p->kept;
	config.n_kept_versions = p->n_kept;
	p->reconcile = reconcile_start(&config);
}
