/*
 * Effects that are AWS calls: reading and writing the alias are one call each, and are here; what takes several, or is
 * no call of AWS at all, has a file of its own.
 */
#include "engine/calls.h"

#include <stdio.h>

#include "aws/lambda.h"
#include "base/mem.h"

/* A read or a write of the alias. */
struct sequence {
	struct item *item; /* pinned */
	struct rollout_effect effect;
	struct rollout_event event; /* the answer */
};

const char *calls_function(const struct item *i)
{
	return i->plan->function_arn ? i->plan->function_arn : i->plan->function;
}

static int build(void *arg, struct arena *a, const struct aws_endpoint *e, struct http_request *ret)
{
	const struct sequence *s = arg;
	const struct item *i = s->item;
	char mark[160];

	if (s->effect.kind == EFFECT_READ_ALIAS) {
		lambda_build_get_alias(a, e, calls_function(i), i->plan->alias, ret);
		return 0;
	}
	(void)snprintf(mark, sizeof(mark), "rolloutd %.63s %llu/%llu", i->name, (unsigned long long)i->attempt,
		       (unsigned long long)s->effect.seq);
	lambda_build_update_alias(a, e, calls_function(i), i->plan->alias, &s->effect.write.target,
				  s->effect.write.revision, i->engine->config.mark ? mark : NULL, ret);
	return 0;
}

static const char *operation_of(const struct sequence *s)
{
	return s->effect.kind == EFFECT_READ_ALIAS ? "GetAlias" : "UpdateAlias";
}

static void done(void *arg, const struct http_response *response, const struct aws_error *error)
{
	struct sequence *s = arg;
	struct item *i = s->item;
	struct aws_error problem;

	if (i->call_seq == s->effect.seq)
		i->call_ticket = 0;
	if (!error && lambda_parse_alias(response, &s->event.alias.alias, &problem) != 0)
		error = &problem;
	s->event.alias.outcome = error ? aws_error_outcome(error) : CALL_OK;
	if (error)
		aws_error_format(error, operation_of(s), s->event.alias.error, sizeof(s->event.alias.error));
	engine_event(i, &s->event, NULL, NULL);
	i->engine->calls_open--;
	free(s);
	item_unpin(i);
}

/* A rollback that is throttled says so while it waits. */
static void write_delayed(void *arg, const struct aws_error *error)
{
	struct sequence *s = arg;
	struct rollout_event event = {.kind = EVENT_DELAYED, .seq = s->effect.seq};

	aws_error_format(error, "UpdateAlias", event.alias.error, sizeof(event.alias.error));
	engine_event(s->item, &event, NULL, NULL);
}

static void submit(struct item *i, const struct rollout_effect *effect)
{
	bool read = effect->kind == EFFECT_READ_ALIAS, home = !read && effect->write.home;
	struct sequence *s = mem_alloc(sizeof(*s));
	struct dispatch_call call = {
	    .operation = read ? OPERATION_GET_ALIAS : OPERATION_UPDATE_ALIAS,
	    .account = i->plan->account,
	    .region = i->region,
	    .priority = read   ? PRIORITY_LOOKUP
			: home ? PRIORITY_HOME
			       : PRIORITY_NORMAL,
	    .safe = read,
	    .exempt = home,
	    .build = build,
	    .done = done,
	    .delayed = read ? NULL : write_delayed,
	    .arg = s,
	};

	s->item = i;
	s->effect = *effect;
	s->event.kind = read ? EVENT_ALIAS_READ : EVENT_WRITTEN;
	s->event.seq = effect->seq;
	item_pin(i);
	i->engine->calls_open++;
	i->call_seq = effect->seq;
	i->call_ticket = dispatch_submit(i->engine->dispatch, &call);
}

static void cancel(struct item *i, uint64_t seq)
{
	if (i->call_ticket != 0 && i->call_seq == seq)
		(void)dispatch_cancel(i->engine->dispatch, i->call_ticket);
	gate_cancel(i, seq);
}

void calls_send(struct engine *e, const struct outgoing *o)
{
	const struct rollout_effect *effect = &o->effect;

	(void)e;
	switch (effect->kind) {
	case EFFECT_CANCEL:
		cancel(o->item, effect->seq);
		break;
	case EFFECT_POLL:
		poll_add(o->item, effect);
		break;
	case EFFECT_PREPARE:
		calls_prepare(o->item, effect->seq);
		break;
	case EFFECT_GATE:
		gate_start(o->item, effect);
		break;
	case EFFECT_PROVISION:
	case EFFECT_RELEASE:
		provision_start(o->item, effect);
		break;
	case EFFECT_READ_ALIAS:
	case EFFECT_WRITE_ALIAS:
		submit(o->item, effect);
		break;
	case EFFECT_TIMER:
	case EFFECT_ANNOUNCE:
	case EFFECT_QUARANTINE:
	case EFFECT_ENDED:
		break; /* the engine's own, never sent */
	}
}
