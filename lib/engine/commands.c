/*
 * Operators' commands. A command goes to the name's live rollout (while an older attempt is still on its way home, to
 * that one); a succeeded rollout is brought back to memory to be rolled back. Each is durable before it is answered.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "engine/chain.h"

/* The attempt of a name that operators mean: the oldest one that has not ended. */
static struct item *find_live(struct engine *e, const char *name)
{
	struct item *found = NULL;

	for (struct item *i = strmap_get(&e->by_name, name); i; i = i->older) {
		if (!rollout_ended(&i->state))
			found = i;
	}
	return found;
}

/* The way out for a record that cannot be read: it is closed as it is, and the alias is left as it is. */
static enum engine_answer drop_unreadable(struct item *i, enum rollout_command command, const char *by, char *ret_text)
{
	struct engine *e = i->engine;
	char text[LIMIT_REASON];

	if (command != COMMAND_ROLLBACK) {
		(void)text_copy(ret_text, LIMIT_REASON, i->unreadable);
		return ENGINE_REFUSED;
	}
	i->state.phase = PHASE_FAILED;
	item_mark_dirty(i);
	(void)snprintf(text, sizeof(text), "its unreadable record was dropped by %s; the alias was left as it is", by);
	engine_add_event(e, i, rollout_announce_name(ANNOUNCE_COMMAND), text, by);
	(void)text_copy(ret_text, LIMIT_REASON, "the record is dropped; the alias was left as it is: look at it");
	return ENGINE_DONE;
}

struct revive {
	struct engine *e;
	struct item *item;
};

static int revive(void *ctx, const struct store_rollout *r)
{
	struct revive *v = ctx;

	v->item = item_from_row(v->e, r);
	return 0;
}

static enum engine_answer run(struct item *i, struct rollout_event *event, char *ret_text)
{
	enum rollout_answer answer = ANSWER_REFUSED;

	engine_event(i, event, &answer, ret_text);
	switch (answer) {
	case ANSWER_DONE:
		return ENGINE_DONE;
	case ANSWER_ALREADY:
		return ENGINE_ALREADY;
	case ANSWER_REFUSED:
		break;
	}
	return ENGINE_REFUSED;
}

/* What an ended rollout cannot be told, whatever the core would say. */
static bool forbidden(struct engine *e, const struct item *i, const struct rollout_event *event, char *ret_text)
{
	const struct item *owner = strmap_get(&e->by_alias, i->alias_key);

	if (i->unreadable) {
		(void)text_copy(ret_text, LIMIT_REASON, i->unreadable);
		return true;
	}
	if (!owner || event->command.command != COMMAND_ROLLBACK || i->state.phase != PHASE_SUCCEEDED)
		return false;
	(void)snprintf(ret_text, LIMIT_REASON, "%s is under way on the same alias: roll that back first", owner->name);
	return true;
}

/* Only a rollback means anything to a rollout that has ended, and only to a succeeded one; the core says so. */
static enum engine_answer command_ended(struct engine *e, const char *name, struct rollout_event *event, char *ret_text)
{
	struct revive v = {.e = e};
	enum engine_answer answer;
	struct item *i;

	/* It may have ended and still be here, for a call that is open or a store that fails: there is one of each. */
	i = strmap_get(&e->by_name, name);
	if (!i && store_each_of_name(e->store, name, 1, revive, &v) != 0) {
		(void)text_copy(ret_text, LIMIT_REASON, store_error_text(e->store));
		return ENGINE_UNAVAILABLE;
	}
	if (!i && !v.item)
		return ENGINE_NO_SUCH;
	if (forbidden(e, i ? i : v.item, event, ret_text)) {
		item_free(v.item);
		return ENGINE_REFUSED;
	}
	if (v.item) {
		i = v.item;
		item_link(e, i);
	}
	answer = run(i, event, ret_text);
	if (rollout_ended(&i->state))
		e->reap_due = true;
	return answer;
}

enum engine_answer engine_command(struct engine *e, const char *name, enum rollout_command command, const char *by,
				  const char *reason, char ret_text[static LIMIT_REASON])
{
	struct rollout_event event = {.kind = EVENT_COMMAND};
	struct service *service = service_find(e, name);
	struct item *i = find_live(e, name);
	enum engine_answer answer;

	ret_text[0] = '\0';
	if (e->fenced) {
		(void)text_copy(ret_text, LIMIT_REASON, "another daemon has taken over this state");
		return ENGINE_UNAVAILABLE;
	}
	event.command.command = command;
	(void)text_copy(event.command.by, sizeof(event.command.by), by);
	text_copy_printable(event.command.reason, sizeof(event.command.reason), reason);
	if (service)
		answer = service_command(service, command, by, event.command.reason, ret_text);
	else if (i && i->unreadable)
		answer = drop_unreadable(i, command, by, ret_text);
	else if (i)
		answer = run(i, &event, ret_text);
	else
		answer = command_ended(e, name, &event, ret_text);
	e->recheck_pending = true;
	engine_turn(e);
	if (answer == ENGINE_DONE && (e->store_failing || e->fenced)) {
		(void)snprintf(ret_text, LIMIT_REASON,
			       "it was taken, but could not be recorded yet and may be lost in a restart: %.150s",
			       store_error_text(e->store));
		return ENGINE_UNAVAILABLE;
	}
	return answer;
}
