/* What operators see: live rollouts from memory, ended ones from the store. */
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "engine/chain.h"

static void judge_as_of(const struct item *i, struct instant when, struct view_rollout *ret)
{
	const struct rollout_spec *spec = &i->plan->spec;
	struct verdict_question q;

	if (i->state.first_traffic_unix_ms == 0)
		return;
	rollout_question(spec, &i->state, &i->samples, when, &q);
	verdict_judge(&q, &ret->verdict);
	if (spec->experiment)
		experiment_judge(&q, i->state.stable, i->state.canary, &ret->experiment);
}

void view_of_item(const struct item *i, struct view_rollout *ret)
{
	const char *source = strmap_get(&i->engine->source_of, i->name);

	*ret = (struct view_rollout){
	    .name = i->name,
	    .attempt = i->attempt,
	    .source = source ? source : "",
	    .unreadable = i->unreadable,
	    .now = engine_now(i->engine),
	    .state = &i->state,
	};
	if (!i->plan)
		return;
	ret->function = i->plan->function;
	ret->alias = i->plan->alias;
	ret->account = i->plan->account;
	ret->region = i->region;
	ret->plan_hash = i->plan->hash;
	ret->spec = &i->plan->spec;
	if (!i->unreadable)
		judge_as_of(i, ret->now, ret);
}

struct walk {
	struct engine *e;
	engine_view_cb cb;
	void *ctx;
	bool live_too; /* history wants all rows of the store; a list has shown the live ones already */
	bool any;
};

/* The live item of a stored row, if there is one. */
static const struct item *live_of(const struct engine *e, const char *name, uint64_t attempt)
{
	for (const struct item *i = strmap_get(&e->by_name, name); i; i = i->older) {
		if (i->attempt == attempt)
			return i;
	}
	return NULL;
}

static void show_stored(struct walk *w, const struct store_rollout *r)
{
	struct item *i = item_from_row(w->e, r);
	struct view_rollout v;

	if (!i->unreadable && store_each_sample(w->e->store, r->id, record_load_sample, &i->samples) != 0)
		samples_deinit(&i->samples); /* shown without its counts */
	view_of_item(i, &v);
	/* An ended rollout is judged as of its end. */
	if (!i->unreadable && rollout_ended(&i->state))
		judge_as_of(i, (struct instant){i->state.ended_unix_ms, 0}, &v);
	w->any = true;
	w->cb(w->ctx, &v);
	item_free(i);
}

static int show_row(void *ctx, const struct store_rollout *r)
{
	struct walk *w = ctx;
	const struct item *live = live_of(w->e, r->name, r->attempt);
	struct view_rollout v;

	if (service_is_row(r))
		return 0;
	if (!live) {
		show_stored(w, r);
	} else if (w->live_too) {
		view_of_item(live, &v);
		w->any = true;
		w->cb(w->ctx, &v);
	}
	return 0;
}

void view_of_row(struct engine *e, const struct store_rollout *r, engine_view_cb cb, void *ctx)
{
	struct walk w = {.e = e, .cb = cb, .ctx = ctx, .live_too = true};

	(void)show_row(&w, r);
}

int engine_each(struct engine *e, engine_view_cb cb, void *ctx)
{
	struct walk w = {.e = e, .cb = cb, .ctx = ctx};
	struct view_rollout v;

	for (const struct item *i = e->first; i; i = i->next) {
		if (rollout_ended(&i->state) && strmap_get(&e->by_name, i->name) != i)
			continue;
		view_of_item(i, &v);
		cb(ctx, &v);
	}
	return store_each_latest(e->store, show_row, &w);
}

bool engine_view(struct engine *e, const char *name, engine_view_cb cb, void *ctx)
{
	struct walk w = {.e = e, .cb = cb, .ctx = ctx, .live_too = true};
	const struct item *shown = NULL;
	struct view_rollout v;

	/* The oldest that lives; one that has ended may still be here for an open call. */
	for (const struct item *i = strmap_get(&e->by_name, name); i; i = i->older) {
		if (!shown || !rollout_ended(&i->state))
			shown = i;
	}
	if (shown) {
		view_of_item(shown, &v);
		cb(ctx, &v);
		return true;
	}
	if (store_each_of_name(e->store, name, 1, show_row, &w) != 0)
		return false;
	return w.any;
}

int engine_each_attempt(struct engine *e, const char *name, unsigned limit, engine_view_cb cb, void *ctx)
{
	struct walk w = {.e = e, .cb = cb, .ctx = ctx, .live_too = true};

	return store_each_of_name(e->store, name, limit, show_row, &w);
}

void engine_stats(const struct engine *e, struct engine_stats *ret)
{
	*ret = e->stats;
	ret->fenced = e->fenced;
	for (const struct item *i = e->first; i; i = i->next)
		ret->by_phase[i->state.phase]++;
	dispatch_stats(e->dispatch, ret);
}
