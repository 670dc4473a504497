/*
 * Making a turn durable: every changed record, intent, sample, judgement, quarantine and event in one
 * transaction. On failure all
 * of it is kept, and the next turn tries again with whatever has come in the meantime.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/mem.h"
#include "engine/chain.h"

/* Events that wait for a store that does not take them: beyond this, the oldest go (the records say what is). */
#define EVENTS_KEPT 10000

static int put_item(struct engine *e, struct item *i)
{
	struct buf record cleanup(buf_deinit) = BUF_INIT(LIMIT_RECORD_BYTES);
	struct store_rollout row;
	int r;

	if (!i->unreadable)
		record_encode(&i->state, e->config.boot_id, &record);
	row = (struct store_rollout){
	    .id = i->id,
	    .live = !rollout_settled(&i->state),
	    .revision = i->revision,
	    .record = i->unreadable ? i->raw_record : buf_text(&record),
	    .updated_unix_ms = engine_now(e).unix_ms,
	};
	r = store_put_rollout(e->store, &row);
	return r != 0 ? r : flight_put(e, i);
}

static int put_items(struct engine *e)
{
	int r = 0;

	for (struct item *i = e->dirty; i && r == 0; i = i->next_dirty)
		r = put_item(e, i);
	return r;
}

static int put_intents(struct engine *e)
{
	int r = 0;

	for (size_t n = 0; n < e->n_intents && r == 0; n++) {
		const struct pending_intent *p = &e->intents[n];
		struct store_intent row = {p->rollout_id, p->seq, p->unix_ms, p->text, p->revision};

		r = store_put_intent(e->store, &row);
	}
	return r;
}

static int put_quarantines(struct engine *e)
{
	int r = 0;

	for (size_t n = 0; n < e->n_quarantines && r == 0; n++) {
		const struct item *i = e->quarantines[n].item;

		r = store_put_quarantine(e->store, i->alias_key, i->state.canary_hash, i->state.reason,
					 engine_now(e).unix_ms);
	}
	return r;
}

static struct store_event event_row(const struct pending_event *p)
{
	return (struct store_event){
	    .rollout_id = p->rollout_id,
	    .name = p->name,
	    .unix_ms = p->unix_ms,
	    .kind = p->kind,
	    .phase = p->rollout_id != 0 ? rollout_phase_name(p->phase) : "",
	    .text = p->text,
	    .by = p->by,
	};
}

static int put_events(struct engine *e, uint64_t *ids)
{
	int r = 0;

	for (size_t n = 0; n < e->n_events && r == 0; n++) {
		struct store_event row = event_row(&e->events[n]);

		r = store_put_event(e->store, &row, &ids[n]);
	}
	return r;
}

static int put_all(struct engine *e, uint64_t *event_ids)
{
	int r = store_begin(e->store);

	if (r != 0)
		return r;
	r = put_items(e);
	if (r == 0)
		r = services_put(e);
	if (r == 0)
		r = put_intents(e);
	if (r == 0)
		r = put_quarantines(e);
	if (r == 0)
		r = put_events(e, event_ids);
	if (r == 0)
		r = store_commit(e->store);
	if (r != 0)
		store_abort(e->store);
	return r;
}

static void forget_all(struct engine *e, const uint64_t *event_ids)
{
	size_t n_events = e->n_events;

	for (struct item *i = e->dirty; i; i = i->next_dirty) {
		i->dirty = false;
		i->revision++;
		flight_recorded(i);
		if (rollout_settled(&i->state))
			e->reap_due = true;
	}
	e->dirty = NULL;
	e->n_dirty = 0;
	services_recorded(e);
	e->n_intents = 0;
	for (size_t n = 0; n < e->n_quarantines; n++)
		item_unpin(e->quarantines[n].item);
	e->n_quarantines = 0;
	for (size_t n = 0; n < n_events; n++) {
		struct store_event row = event_row(&e->events[n]);

		row.id = event_ids[n];
		e->ports.published(e->ports.ctx, &row);
	}
	e->n_events = 0;
}

int commit_turn(struct engine *e)
{
	uint64_t *ids cleanup(mem_free_p) = NULL;
	int r;

	if (e->n_dirty == 0 && !services_dirty(e) && e->n_events == 0 && e->n_intents == 0 && e->n_quarantines == 0)
		return 0;
	ids = mem_array(e->n_events + 1, sizeof(*ids));
	r = put_all(e, ids);
	if (r != 0) {
		if (e->n_events > EVENTS_KEPT) {
			size_t drop = e->n_events - EVENTS_KEPT;

			for (size_t n = 0; n < EVENTS_KEPT; n++)
				e->events[n] = e->events[n + drop];
			e->n_events = EVENTS_KEPT;
		}
		return r;
	}
	e->stats.commits++;
	e->owned_turn = e->stats.turns;
	forget_all(e, ids);
	return 0;
}
