/*
 * Provisioned concurrency of a version: asking for it, and giving it back. It costs money as long as it is there, and
 * whoever else uses the version counts on it: so it is given back only when no alias and no other rollout has the
 * version any more.
 */
#include <stdio.h>
#include <string.h>

#include "aws/lambda_chain.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/calls.h"
#include "engine/chain.h"

enum stage { STAGE_PUT, STAGE_ALIASES, STAGE_DELETE };

struct provisioning {
	struct item *item; /* pinned */
	struct rollout_effect effect;
	enum stage stage;
	struct chain_view view; /* its aliases alone */
	char marker[1024];
	unsigned pages;
};

static const enum engine_operation operations[] = {
    [STAGE_PUT] = OPERATION_PUT_CONCURRENCY,
    [STAGE_ALIASES] = OPERATION_LIST_ALIASES,
    [STAGE_DELETE] = OPERATION_DELETE_CONCURRENCY,
};

static void submit(struct provisioning *p);

static void finish(struct provisioning *p, enum call_outcome outcome, const char *error)
{
	struct item *i = p->item;
	struct rollout_event event = {.seq = p->effect.seq, .provisioned = {.outcome = outcome}};

	event.kind = p->effect.kind == EFFECT_PROVISION ? EVENT_PROVISIONED : EVENT_RELEASED;
	(void)text_copy(event.provisioned.error, sizeof(event.provisioned.error), error);
	engine_event(i, &event, NULL, NULL);
	i->engine->calls_open--;
	chain_view_deinit(&p->view);
	free(p);
	item_unpin(i);
}

/* --- who else uses the version --- */

/* Names the alias; NULL: none has the version. */
static const char *alias_in_use(const struct provisioning *p)
{
	uint64_t version = p->effect.provision.version;

	for (size_t n = 0; n < p->view.n_aliases; n++) {
		const struct alias_view *v = &p->view.aliases[n].view;

		/* Of an odd one not all is known. */
		if (v->odd || v->target.version == version || (v->target.weight_bp > 0 && v->target.extra == version))
			return p->view.aliases[n].name;
	}
	return NULL;
}

static bool same_function(const struct item *a, const struct item *b)
{
	return strcmp(a->plan->account, b->plan->account) == 0 && strcmp(a->region, b->region) == 0 &&
	       strcmp(a->plan->function, b->plan->function) == 0;
}

/* Another rollout of the function that is on its way with this version. NULL: none. */
static const struct item *rollout_in_use(const struct provisioning *p)
{
	uint64_t version = p->effect.provision.version;

	for (const struct item *i = p->item->engine->first; i; i = i->next) {
		if (i != p->item && !i->unreadable && !rollout_ended(&i->state) && same_function(i, p->item) &&
		    (i->state.canary == version || (i->state.prepared && i->state.stable == version)))
			return i;
	}
	return NULL;
}

/* Returns whether the version stays as it is, and has answered then. */
static bool keep(struct provisioning *p)
{
	const struct item *rollout = rollout_in_use(p);
	const char *alias = alias_in_use(p);
	char text[LIMIT_REASON];

	if (rollout)
		(void)snprintf(text, sizeof(text), "the rollout %.63s uses that version", rollout->name);
	else if (alias)
		(void)snprintf(text, sizeof(text), "the alias %.128s has that version", alias);
	else
		return false;
	finish(p, CALL_REFUSED, text);
	return true;
}

/* --- calls --- */

static int build(void *arg, struct arena *a, const struct aws_endpoint *e, struct http_request *ret)
{
	const struct provisioning *p = arg;
	const char *function = calls_function(p->item);

	switch (p->stage) {
	case STAGE_PUT:
		lambda_build_put_concurrency(a, e, function, p->effect.provision.version, p->effect.provision.count,
					     ret);
		break;
	case STAGE_ALIASES:
		lambda_build_list_aliases(a, e, function, p->marker[0] ? p->marker : NULL, ret);
		break;
	case STAGE_DELETE:
		lambda_build_delete_concurrency(a, e, function, p->effect.provision.version, ret);
		break;
	}
	return 0;
}

static void aliases_read(struct provisioning *p)
{
	if (p->marker[0] && ++p->pages < LIMIT_PAGES) {
		submit(p);
	} else if (p->marker[0]) {
		finish(p, CALL_REFUSED, "the function's list of aliases has more than 100 pages");
	} else if (!keep(p)) {
		p->stage = STAGE_DELETE;
		submit(p);
	}
}

static void done(void *arg, const struct http_response *response, const struct aws_error *error)
{
	struct provisioning *p = arg;
	struct item *i = p->item;
	struct aws_error problem;
	char text[LIMIT_REASON];

	if (i->call_seq == p->effect.seq)
		i->call_ticket = 0;
	int unread = 0;
	if (!error && p->stage == STAGE_ALIASES)
		unread = lambda_parse_aliases(response, &p->view, p->marker, sizeof(p->marker), &problem);
	else if (!error)
		unread = lambda_parse_done(response, &problem);
	if (unread != 0)
		error = &problem;
	if (error) {
		aws_error_format(error, engine_operation_name(operations[p->stage]), text, sizeof(text));
		finish(p, aws_error_outcome(error), text);
	} else if (p->stage == STAGE_ALIASES) {
		aliases_read(p);
	} else {
		finish(p, CALL_OK, "");
	}
}

static void submit(struct provisioning *p)
{
	struct item *i = p->item;
	struct dispatch_call call = {
	    .operation = operations[p->stage],
	    .account = i->plan->account,
	    .region = i->region,
	    .priority = PRIORITY_NORMAL,
	    .safe = p->stage == STAGE_ALIASES,
	    .build = build,
	    .done = done,
	    .arg = p,
	};

	i->call_seq = p->effect.seq;
	i->call_ticket = dispatch_submit(i->engine->dispatch, &call);
}

void provision_start(struct item *i, const struct rollout_effect *effect)
{
	struct provisioning *p = mem_alloc(sizeof(*p));

	p->item = i;
	p->effect = *effect;
	p->stage = effect->kind == EFFECT_PROVISION ? STAGE_PUT : STAGE_ALIASES;
	chain_view_init(&p->view);
	item_pin(i);
	i->engine->calls_open++;
	submit(p);
}
