/*
 * The engine's life and its turn. See item.h for the way of the data within a turn.
 */
#include "engine/engine.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/chain.h"

struct instant engine_now(const struct engine *e)
{
	struct instant now = e->ports.now(e->ports.ctx);

	/* Metric periods are AWS's, and so is whatever else has a date. */
	if (e->dispatch)
		now.unix_ms = dispatch_unix_ms(e->dispatch, now);
	return now;
}

void engine_log(struct engine *e, int level, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	e->ports.log(e->ports.ctx, level, text);
}

/* --- items --- */

struct item *item_new(struct engine *e, struct plan *plan)
{
	struct item *i = mem_alloc(sizeof(*i));

	i->engine = e;
	i->plan = plan;
	i->timer_boot_ms = INT64_MAX;
	i->flight = flight_log_new();
	if (plan) {
		const struct spec_analysis *a = &plan->spec.analysis;

		i->name = mem_strdup(plan->name);
		i->samples.n_values = spec_first_value(a, a->n_metrics);
	}
	return i;
}

/* An item as it was stored. What cannot be read leaves `unreadable` set, and no plan. */
struct item *item_from_row(struct engine *e, const struct store_rollout *r)
{
	char error[LIMIT_REASON] = "", boot_id[BOOT_ID_SIZE] = "";
	const char *slash = strchr(r->alias_key, '/');
	struct item *i = item_new(e, intake_load_plan(r->plan, error, sizeof(error)));

	i->id = r->id;
	i->attempt = r->attempt;
	i->revision = r->revision;
	i->alias_key = mem_strdup(r->alias_key);
	i->region = slash ? mem_strndup(slash + 1, strcspn(slash + 1, "/")) : mem_strdup("");
	if (!i->name)
		i->name = mem_strdup(r->name);
	if (i->plan && record_decode(r->record, &i->state, boot_id, error, sizeof(error)) == 0) {
		i->same_boot = boot_id[0] != '\0' && strcmp(boot_id, e->config.boot_id) == 0;
		if (rollout_fits(&i->plan->spec, &i->state))
			return i;
		(void)snprintf(error, sizeof(error), "its record is at step %" PRIu32 ", but its plan has only %zu",
			       i->state.step, i->plan->spec.n_steps);
	}
	plan_free(take_ptr(i->plan));
	i->raw_record = mem_strdup(r->record);
	i->unreadable = mem_printf("%s%s", error,
				   r->live ? ". Its alias is left alone: look at it, mend it by hand, then `rolloutctl "
					     "rollback` drops this record and frees the alias"
					   : "");
	return i;
}

void item_free(struct item *i)
{
	if (!i)
		return;
	probing_stop(i);
	poll_forget(i);
	plan_free(i->plan);
	samples_deinit(&i->samples);
	free(i->name);
	free(i->alias_key);
	free(i->region);
	free(i->unreadable);
	free(i->raw_record);
	free(i->changed_samples);
	flight_log_free(i->flight);
	free(i->publish_memory);
	free(i);
}

static void join_pending(struct engine *e, struct item *i)
{
	i->in_pending = true;
	i->prev_pending = e->last_pending;
	if (e->last_pending)
		e->last_pending->next_pending = i;
	else
		e->first_pending = i;
	e->last_pending = i;
}

static void leave_pending(struct engine *e, struct item *i)
{
	if (!i->in_pending)
		return;
	i->in_pending = false;
	if (i->prev_pending)
		i->prev_pending->next_pending = i->next_pending;
	else
		e->first_pending = i->next_pending;
	if (i->next_pending)
		i->next_pending->prev_pending = i->prev_pending;
	else
		e->last_pending = i->prev_pending;
}

/* Takes its place in the list, in the table of names, and in that of aliases if it owns one. */
void item_link(struct engine *e, struct item *i)
{
	struct item *older = strmap_get(&e->by_name, i->name);

	i->prev = e->last;
	if (e->last)
		e->last->next = i;
	else
		e->first = i;
	e->last = i;
	i->older = older;
	strmap_put(&e->by_name, i->name, i);
	if (i->unreadable || rollout_owns_alias(&i->state))
		strmap_put(&e->by_alias, i->alias_key, i);
	if (!i->unreadable && i->state.phase == PHASE_PENDING)
		join_pending(e, i);
	e->stats.live++;
	e->recheck_pending = true;
}

/* Beside an unreadable rollout, which keeps its alias in any case, another one may have owned it all along. */
static void give_alias_back(struct engine *e, const struct item *i)
{
	strmap_put(&e->by_alias, i->alias_key, NULL);
	for (struct item *n = i->unreadable ? e->first : NULL; n; n = n->next) {
		if (n != i && rollout_owns_alias(&n->state) && strcmp(n->alias_key, i->alias_key) == 0)
			strmap_put(&e->by_alias, i->alias_key, n);
	}
}

static void unlink_item(struct engine *e, struct item *i)
{
	struct item *newest = strmap_get(&e->by_name, i->name);

	timers_set(e, i, INT64_MAX);
	leave_pending(e, i);
	if (newest == i)
		strmap_put(&e->by_name, i->name, i->older);
	for (struct item *n = newest; n; n = n->older) {
		if (n->older == i)
			n->older = i->older;
	}
	if (strmap_get(&e->by_alias, i->alias_key) == i)
		give_alias_back(e, i);
	if (i->prev)
		i->prev->next = i->next;
	else
		e->first = i->next;
	if (i->next)
		i->next->prev = i->prev;
	else
		e->last = i->prev;
	e->stats.live--;
	e->recheck_pending = true;
}

void item_pin(struct item *i)
{
	i->pins++;
}

void item_unpin(struct item *i)
{
	require(i->pins > 0);
	i->pins--;
	if (i->pins == 0 && rollout_settled(&i->state))
		i->engine->reap_due = true;
}

void item_mark_dirty(struct item *i)
{
	if (i->dirty)
		return;
	i->dirty = true;
	i->next_dirty = i->engine->dirty;
	i->engine->dirty = i;
	i->engine->n_dirty++;
}

/* Ended, with nothing left to do, durable, and nothing refers to it any more. */
static void reap(struct engine *e)
{
	if (!e->reap_due)
		return;
	e->reap_due = false;
	for (struct item *i = e->first, *next; i; i = next) {
		next = i->next;
		if (rollout_settled(&i->state) && !i->dirty && i->pins == 0) {
			unlink_item(e, i);
			item_free(i);
		}
	}
}

/* --- events --- */

void engine_add_row_event(struct engine *e, uint64_t row_id, const char *name, enum rollout_phase phase,
			  const char *kind, const char *text, const char *by)
{
	struct pending_event *p;

	e->events = mem_grow(e->events, &e->cap_events, e->n_events + 1, sizeof(*e->events));
	p = &e->events[e->n_events++];
	*p = (struct pending_event){
	    .rollout_id = row_id, .phase = phase, .kind = kind, .unix_ms = engine_now(e).unix_ms};
	(void)text_copy(p->name, sizeof(p->name), name);
	text_copy_printable(p->text, sizeof(p->text), text);
	(void)text_copy(p->by, sizeof(p->by), by);
}

void engine_add_event(struct engine *e, const struct item *i, const char *kind, const char *text, const char *by)
{
	engine_add_row_event(e, i ? i->id : 0, i ? i->name : "", i ? i->state.phase : PHASE_PENDING, kind, text, by);
}

void engine_add_intent(struct engine *e, uint64_t row_id, uint64_t seq, const char *text, const char *revision)
{
	struct pending_intent *p;

	e->intents = mem_grow(e->intents, &e->cap_intents, e->n_intents + 1, sizeof(*e->intents));
	p = &e->intents[e->n_intents++];
	*p = (struct pending_intent){.rollout_id = row_id, .seq = seq, .unix_ms = engine_now(e).unix_ms};
	text_copy_printable(p->text, sizeof(p->text), text);
	(void)text_copy(p->revision, sizeof(p->revision), revision);
}

void engine_after_commit(struct engine *e, void (*run)(void *arg), void *arg)
{
	e->after = mem_grow(e->after, &e->cap_after, e->n_after + 1, sizeof(*e->after));
	e->after[e->n_after++] = (struct after_commit){run, arg};
}

static void record_intent(struct item *i, const struct rollout_effect *effect)
{
	const char *revision = "";
	char text[96];

	if (effect->kind == EFFECT_WRITE_ALIAS) {
		alias_target_format(&effect->write.target, text, sizeof(text));
		revision = effect->write.revision;
	} else if (effect->kind == EFFECT_GATE) {
		(void)snprintf(text, sizeof(text), "%s-traffic hook", effect->gate.which == GATE_PRE ? "pre" : "post");
	} else {
		(void)snprintf(text, sizeof(text), "version %llu with provisioned concurrency of %u",
			       (unsigned long long)effect->provision.version, effect->provision.count);
	}
	engine_add_intent(i->engine, i->id, effect->seq, text, revision);
}

static void post(struct item *i, const struct rollout_effect *effect)
{
	struct engine *e = i->engine;

	e->outbox = mem_grow(e->outbox, &e->cap_outbox, e->n_outbox + 1, sizeof(*e->outbox));
	e->outbox[e->n_outbox++] = (struct outgoing){i, *effect};
	item_pin(i);
}

static void note_quarantine(struct item *i)
{
	struct engine *e = i->engine;

	if (i->state.canary_hash[0] == '\0')
		return;
	e->quarantines = mem_grow(e->quarantines, &e->cap_quarantines, e->n_quarantines + 1, sizeof(*e->quarantines));
	e->quarantines[e->n_quarantines++] = (struct quarantine_entry){i};
	item_pin(i);
}

static void take_effect(struct item *i, const struct rollout_effect *effect, const char *by)
{
	struct engine *e = i->engine;

	switch (effect->kind) {
	case EFFECT_WRITE_ALIAS:
	case EFFECT_GATE:
	case EFFECT_PROVISION:
	case EFFECT_RELEASE:
		record_intent(i, effect);
		post(i, effect);
		break;
	case EFFECT_PREPARE:
	case EFFECT_READ_ALIAS:
	case EFFECT_CANCEL:
		post(i, effect);
		break;
	case EFFECT_POLL:
		flight_asked(i);
		post(i, effect);
		break;
	case EFFECT_TIMER:
		timers_set(e, i, effect->timer.boot_ms);
		break;
	case EFFECT_ANNOUNCE:
		engine_add_event(e, i, rollout_announce_name(effect->announce.kind), effect->announce.text,
				 effect->announce.kind == ANNOUNCE_COMMAND ? by : "");
		break;
	case EFFECT_QUARANTINE:
		note_quarantine(i);
		break;
	case EFFECT_ENDED:
		services_rollout_ended(e, i);
		if (i->state.phase == PHASE_SUCCEEDED && i->plan->keep_versions > 0 && !e->draining)
			prune_versions(i);
		e->recheck_pending = true;
		e->reap_due = true;
		break;
	}
}

static void update_ownership(struct item *i)
{
	struct engine *e = i->engine;
	struct item *owner = strmap_get(&e->by_alias, i->alias_key);

	if (rollout_owns_alias(&i->state) && !owner) {
		strmap_put(&e->by_alias, i->alias_key, i);
	} else if (!rollout_owns_alias(&i->state) && owner == i) {
		strmap_put(&e->by_alias, i->alias_key, NULL);
		left_remember(i);
	}
}

void engine_event(struct item *i, struct rollout_event *event, enum rollout_answer *ret_answer, char *ret_text)
{
	struct rollout_effects effects;
	uint64_t stale = i->state.stale;
	const char *by = event->kind == EVENT_COMMAND ? event->command.by : "";

	event->now = engine_now(i->engine);
	event->entropy = i->engine->ports.entropy(i->engine->ports.ctx);
	rollout_step(&i->plan->spec, &i->state, &i->samples, event, &effects, ret_answer, ret_text);
	i->engine->stats.stale_answers += i->state.stale - stale;
	if (effects.judged.done)
		flight_judged(i, &effects.judged, event->seq);
	item_mark_dirty(i);
	update_ownership(i);
	for (size_t n = 0; n < effects.len; n++)
		take_effect(i, &effects.items[n], by);
	if (rollout_settled(&i->state))
		timers_set(i->engine, i, INT64_MAX);
	probing_follow(i);
}

/* --- the turn --- */

static void run_timers(struct engine *e)
{
	int64_t now = engine_now(e).boot_ms;
	struct item *i;

	while ((i = timers_due(e, now))) {
		struct rollout_event event = {.kind = EVENT_TIMER};

		/* While draining, only the way home goes on; the rest is taken up again after the restart. */
		if (!e->draining || i->state.goal == GOAL_HOME)
			engine_event(i, &event, NULL, NULL);
	}
}

/* One that has ended may be here still, to release what is not needed any more: that is in nobody's way. */
static bool older_lives(const struct item *i)
{
	for (const struct item *o = i->older; o; o = o->older) {
		if (o->unreadable || !rollout_ended(&o->state))
			return true;
	}
	return false;
}

/* Says, once, what a rollout waits for that could start otherwise. */
static void explain_wait(struct item *i, const struct item *owner)
{
	char reason[LIMIT_REASON];

	if (!owner || older_lives(i))
		(void)text_copy(reason, sizeof(reason), "starts when the earlier attempt has sent its traffic back");
	else
		(void)snprintf(reason, sizeof(reason), "waits for %.63s, which is under way on the same alias",
			       owner->name);
	if (strcmp(i->state.reason, reason) == 0)
		return;
	(void)text_copy(i->state.reason, sizeof(i->state.reason), reason);
	engine_add_event(i->engine, i, rollout_announce_name(ANNOUNCE_PHASE), reason, "");
	item_mark_dirty(i);
}

static void start(struct item *i)
{
	struct rollout_event event = {.kind = EVENT_START};

	event.start.old_revision = left_old_revision(i->engine, i->alias_key);
	engine_event(i, &event, NULL, NULL);
}

static void start_pending(struct engine *e)
{
	if (!e->recheck_pending || e->draining || e->fenced)
		return;
	e->recheck_pending = false;
	for (struct item *i = e->first_pending, *next; i; i = next) {
		const struct item *owner;

		next = i->next_pending;
		if (i->state.phase != PHASE_PENDING)
			leave_pending(e, i);
		if (!rollout_may_start(&i->plan->spec, &i->state))
			continue;
		owner = strmap_get(&e->by_alias, i->alias_key);
		if (older_lives(i) || owner)
			explain_wait(i, owner);
		else
			start(i);
	}
}

/*
 * What may leave although the turn could not be made durable, or while draining: nothing that changes AWS, or runs a
 * hook, but the way home, which the rollout's first record tells already and which is idempotent under its RevisionId.
 */
static bool held_back(const struct engine *e, const struct outgoing *o)
{
	switch (o->effect.kind) {
	case EFFECT_WRITE_ALIAS:
		return (e->store_failing || e->draining) && !o->effect.write.home;
	case EFFECT_GATE:
	case EFFECT_PROVISION:
	case EFFECT_RELEASE:
		return e->store_failing || e->draining;
	default:
		return false;
	}
}

/* The answer to what never left. */
static void answer_called_back(const struct outgoing *o)
{
	struct rollout_event event = {.seq = o->effect.seq};
	static const char text[] = "called back before it was sent";

	switch (o->effect.kind) {
	case EFFECT_GATE:
		event.kind = EVENT_GATED;
		event.gated.outcome = CALL_UNAVAILABLE;
		(void)text_copy(event.gated.text, sizeof(event.gated.text), text);
		break;
	case EFFECT_PROVISION:
	case EFFECT_RELEASE:
		event.kind = o->effect.kind == EFFECT_PROVISION ? EVENT_PROVISIONED : EVENT_RELEASED;
		event.provisioned.outcome = CALL_UNAVAILABLE;
		(void)text_copy(event.provisioned.error, sizeof(event.provisioned.error), text);
		break;
	default:
		event.kind = EVENT_WRITTEN;
		event.alias.outcome = CALL_UNAVAILABLE;
		(void)text_copy(event.alias.error, sizeof(event.alias.error), text);
		break;
	}
	engine_event(o->item, &event, NULL, NULL);
}

/* What was held back here, and is called back now, never left: it is answered as such. */
static bool call_back(struct engine *e, size_t kept, const struct outgoing *cancel)
{
	for (size_t n = 0; n < kept; n++) {
		struct outgoing o = e->outbox[n];

		if (o.item != cancel->item || o.effect.seq != cancel->effect.seq)
			continue;
		for (size_t m = n; m + 1 < kept; m++)
			e->outbox[m] = e->outbox[m + 1];
		answer_called_back(&o);
		item_unpin(o.item);
		return true;
	}
	return false;
}

/* What is posted while this runs belongs to the next turn: it is not durable yet. */
static void empty_outbox(struct engine *e)
{
	size_t kept = 0, count = e->n_outbox;

	for (size_t n = 0; n < count; n++) {
		struct outgoing o = e->outbox[n];

		if (held_back(e, &o)) {
			e->outbox[kept++] = o;
			continue;
		}
		if (o.effect.kind == EFFECT_CANCEL && call_back(e, kept, &o))
			kept--;
		else
			calls_send(e, &o);
		item_unpin(o.item);
	}
	for (size_t n = count; n < e->n_outbox; n++)
		e->outbox[kept++] = e->outbox[n];
	e->n_outbox = kept;
	poll_flush(e);
}

/* What is added while this runs waits for the next turn's commit. While draining it runs whatever the disk
 * does: who waits
 * sees that nothing is sent any more, and ends. */
static void run_after_commit(struct engine *e)
{
	size_t count = e->n_after;

	if (e->store_failing && !e->draining)
		return;
	for (size_t n = 0; n < count; n++) {
		struct after_commit a = e->after[n];

		a.run(a.arg);
	}
	e->n_after -= count;
	if (e->n_after > 0)
		memmove(e->after, e->after + count, e->n_after * sizeof(*e->after));
}

static bool owes_rollback(const struct engine *e)
{
	for (const struct item *i = e->dirty; i; i = i->next_dirty) {
		if (i->state.goal == GOAL_HOME)
			return true;
	}
	return false;
}

static void fence(struct engine *e)
{
	if (e->fenced)
		return;
	e->fenced = true;
	engine_log(e, LOG_ERROR, "another daemon has taken over this state: nothing is sent any more: %s",
		   store_error_text(e->store));
}

/*
 * Whether the state is still ours. A turn that has committed knows; otherwise what waits to be sent, or sent again, may
 * have waited while this process was stopped, and another daemon has gone on with the state since. Where the disk
 * cannot tell, the RevisionId of the write is what protects the alias.
 */
static bool may_change(void *ctx)
{
	struct engine *e = ctx;

	if (!e->fenced && e->owned_turn != e->stats.turns) {
		if (store_check_owner(e->store) == STORE_LOCKED)
			fence(e);
		else
			e->owned_turn = e->stats.turns;
	}
	return !e->fenced;
}

static void commit(struct engine *e)
{
	int r;

	if (e->store_failing && engine_now(e).boot_ms < e->store_retry_boot_ms)
		return;
	r = commit_turn(e);
	if (r == -ENOSPC && owes_rollback(e) && store_spend_reserve(e->store))
		r = commit_turn(e);
	if (r == 0) {
		if (e->store_failing)
			engine_log(e, LOG_INFO, "the state is recorded again");
		e->store_failing = false;
		return;
	}
	e->stats.commit_failures++;
	if (r == STORE_CONFLICT || r == STORE_LOCKED) {
		fence(e);
		return;
	}
	if (!e->store_failing)
		engine_log(e, LOG_ERROR, "the state cannot be recorded, so no rollout advances; rollbacks go on: %s",
			   store_error_text(e->store));
	e->store_failing = true;
	e->store_retry_boot_ms = engine_now(e).boot_ms + STORE_RETRY_MS;
}

static void arm(struct engine *e)
{
	int64_t at = timers_next(e);
	int64_t next = dispatch_next_ms(e->dispatch);

	if (next < at)
		at = next;
	next = services_next_ms(e);
	if (next < at)
		at = next;
	next = probing_next_ms(e);
	if (next < at)
		at = next;
	if (e->store_failing && e->store_retry_boot_ms < at)
		at = e->store_retry_boot_ms;
	/* Something came up after the commit: it wants a turn of its own. */
	if (!e->store_failing && (e->n_dirty > 0 || e->n_events > 0 || e->n_after > 0 || services_dirty(e) ||
				  (e->recheck_pending && !e->draining)))
		at = engine_now(e).boot_ms;
	e->ports.wake_at(e->ports.ctx, at);
}

void engine_turn(struct engine *e)
{
	if (e->fenced)
		return;
	e->stats.turns++;
	dispatch_run(e->dispatch); /* answers what was taken out of the queue */
	run_timers(e);
	reap(e);
	services_run(e);
	start_pending(e);
	commit(e);
	if (e->fenced)
		return;
	empty_outbox(e);
	run_after_commit(e);
	probing_run(e);
	dispatch_run(e->dispatch);
	reap(e);
	arm(e);
}

void engine_drain(struct engine *e)
{
	e->draining = true;
	for (struct item *i = e->first; i; i = i->next)
		probing_stop(i);
	dispatch_drain(e->dispatch);
}

/* A way home that waits for its next try is under way as well. */
static bool rollback_waits(const struct engine *e)
{
	for (const struct item *i = e->first; i; i = i->next) {
		if (i->timer_slot != 0 && i->state.goal == GOAL_HOME)
			return true;
	}
	return false;
}

bool engine_idle(const struct engine *e)
{
	return e->fenced || (dispatch_idle(e->dispatch) && e->calls_open == 0 && e->n_dirty == 0 && e->n_events == 0 &&
			     !services_dirty(e) && e->n_after == 0 && !rollback_waits(e));
}

/* --- loading --- */

/* The first record of an unreadable rollout's trouble: it keeps its alias, so that nothing else starts there. */
static void park(struct item *i)
{
	i->state.phase = PHASE_BLOCKED;
	engine_add_event(i->engine, i, "unreadable", i->unreadable, "");
}

static int load_rollout(void *ctx, const struct store_rollout *r)
{
	struct engine *e = ctx;
	struct item *i;

	if (service_is_row(r)) {
		service_load_row(e, r);
		return 0;
	}
	i = item_from_row(e, r);
	if (i->unreadable)
		park(i);
	item_link(e, i);
	return 0;
}

static int load_source(void *ctx, const struct store_source *x)
{
	struct engine *e = ctx;

	intake_remember_source(e, x->source, x->hash, x->name);
	return 0;
}

/* Feeds a restored rollout its first event; and what a crash may have kept from an older one of the same name. */
static int resume(struct engine *e, struct item *i)
{
	struct rollout_event event = {.kind = EVENT_RESUMED};
	int r;

	if (i->unreadable)
		return 0;
	r = flight_load(e, i);
	if (r != 0)
		return r;
	event.resumed.same_boot = i->same_boot;
	engine_event(i, &event, NULL, NULL);
	if (i->older && !i->older->unreadable && !i->older->state.superseded) {
		struct rollout_event superseded = {.kind = EVENT_SUPERSEDED};

		engine_event(i->older, &superseded, NULL, NULL);
	}
	return 0;
}

static int load(struct engine *e)
{
	int r = store_each_source(e->store, load_source, e);

	if (r == 0)
		left_load(e);
	if (r == 0)
		r = store_each_live(e->store, load_rollout, e);
	for (struct item *i = e->first; i && r == 0; i = i->next)
		r = resume(e, i);
	return r == 0 ? services_resume(e) : r;
}

int engine_new(const struct engine_config *config, const struct ports *ports, struct store *store, struct engine **ret)
{
	struct engine *e cleanup(engine_free_p) = mem_alloc(sizeof(*e));
	int r;

	e->config = *config;
	if (e->config.call_timeout_ms == 0)
		e->config.call_timeout_ms = 10 * MS_PER_SECOND;
	e->ports = *ports;
	e->next_probing_ms = INT64_MAX;
	e->store = store;
	e->dispatch = dispatch_new(&e->config, &e->ports);
	dispatch_set_guard(e->dispatch, may_change, e);
	r = load(e);
	if (r != 0)
		return r;
	*ret = take_ptr(e);
	return 0;
}

static void free_texts(struct strmap *map)
{
	for (size_t n = 0; n < map->cap; n++)
		free(map->slots[n].value);
	strmap_deinit(map);
}

void engine_free(struct engine *e)
{
	if (!e)
		return;
	/* Whoever waits for the disk learns that nothing is sent any more. */
	e->draining = true;
	services_free(e);
	while (e->n_after > 0)
		run_after_commit(e);
	inspects_free(e);
	dispatch_free(e->dispatch);
	while (e->first) {
		struct item *i = e->first;

		e->first = i->next;
		item_free(i);
	}
	free_texts(&e->sources);
	free_texts(&e->source_of);
	strmap_deinit(&e->by_name);
	strmap_deinit(&e->by_alias);
	probing_deinit(e);
	left_deinit(e);
	free(e->heap);
	free(e->outbox);
	free(e->after);
	free(e->events);
	free(e->intents);
	free(e->quarantines);
	free(e->polls);
	free(e);
}
