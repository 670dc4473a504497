/*
 * Publishing for a rollout whose plan says so: its function's code and versions alone are brought to what is
 * declared, and
 * the newest version is what it rolls out.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "engine/chain.h"

struct publishing {
	struct item *item; /* pinned */
	struct service_spec spec;
	struct reconcile *reconcile;
	publish_cb cb;
	void *arg;
};

static void answer(struct publishing *p, enum call_outcome outcome, uint64_t version, bool waiting, const char *text)
{
	struct item *i = p->item;

	reconcile_free(p->reconcile);
	p->cb(p->arg, outcome, version, waiting, text);
	item_unpin(i);
	free(p);
}

static void intent(void *arg, const struct change *c, const char *text)
{
	struct publishing *p = arg;

	(void)c;
	engine_add_intent(p->item->engine, p->item->id, PUBLISH_SEQ + p->item->publish_seq++, text, "");
	engine_add_event(p->item->engine, p->item, rollout_announce_name(ANNOUNCE_INTENT), text, "");
}

static void changed(void *arg, const struct change *c, const char *text)
{
	struct publishing *p = arg;

	(void)c;
	engine_add_event(p->item->engine, p->item, "changed", text, "");
}

/* The first of a kind; NULL: none. */
static const struct change *find(const struct change_list *l, enum change_kind kind)
{
	for (size_t n = 0; n < l->len; n++) {
		if (l->items[n].kind == kind)
			return &l->items[n];
	}
	return NULL;
}

/* While AWS works on the function, or on the version that was published last. */
static void answer_unsettled(struct publishing *p)
{
	const struct view_version *newest = chain_view_newest(reconcile_view(p->reconcile));
	char text[LIMIT_REASON], version[24];

	if (newest && strcmp(newest->state, "Pending") == 0) {
		version_format(newest->number, version);
		(void)snprintf(text, sizeof(text), "waits until AWS has made version %s ready", version);
		answer(p, CALL_OK, 0, true, text);
	} else {
		answer(p, CALL_OK, 0, true, "waits until AWS has made the code ready");
	}
}

static void done(void *arg, const struct aws_error *error, const char *operation)
{
	struct publishing *p = arg;
	const struct change *c;
	const struct view_version *newest;
	char text[LIMIT_REASON];

	if (error) {
		aws_error_format(error, operation, text, sizeof(text));
		/* What may have taken effect is found by looking again. */
		enum call_outcome outcome = aws_error_outcome(error);

		answer(p, outcome == CALL_UNKNOWN || outcome == CALL_CONFLICT ? CALL_UNAVAILABLE : outcome, 0, false,
		       text);
		return;
	}
	if (reconcile_unsettled(p->reconcile)) {
		answer_unsettled(p);
		return;
	}
	c = find(reconcile_changes(p->reconcile), CHANGE_PROBLEM);
	if (c) {
		(void)snprintf(text, sizeof(text), "%.60s: %.190s", c->subject, c->text);
		answer(p, CALL_REFUSED, 0, false, text);
		return;
	}
	c = find(reconcile_changes(p->reconcile), CHANGE_WAIT);
	newest = chain_view_newest(reconcile_view(p->reconcile));
	if (c || !newest) {
		answer(p, CALL_OK, 0, true, c ? c->text : "waits for the published version");
		return;
	}
	p->item->published = newest->number;
	answer(p, CALL_OK, newest->number, false, "");
}

/* Already published in this attempt: what came after it is not ours. */
static void repeat(void *arg)
{
	struct publishing *p = arg;

	p->item->engine->calls_open--;
	answer(p, CALL_OK, p->item->published, false, "");
}

void publish_for(struct item *i, publish_cb cb, void *arg)
{
	struct publishing *p = mem_alloc(sizeof(*p));
	struct reconcile_config config = {
	    .engine = i->engine,
	    .place = {i->plan->account, i->region, i->plan->function_arn ? i->plan->function_arn : i->plan->function},
	    .spec = &p->spec,
	    .ops = {.intent = intent, .changed = changed, .done = done},
	    .arg = p,
	};

	*p = (struct publishing){.item = i, .cb = cb, .arg = arg};
	p->spec = (struct service_spec){
	    .name = i->name, .function = i->plan->function, .code = i->plan->code, .check_every_ms = MS_PER_MINUTE};
	item_pin(i);
	if (i->published != 0) {
		i->engine->calls_open++;
		engine_after_commit(i->engine, repeat, p);
		return;
	}
	if (!i->publish_memory)
		i->publish_memory = mem_alloc(sizeof(*i->publish_memory));
	config.memory = i->publish_memory;
	p->reconcile = reconcile_start(&config);
}
