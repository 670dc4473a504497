/*
 * Gates: what must agree from outside. The first one opens before any traffic moves, the last one after all of it is on
 * the canary. While the last one is asked the canary bakes and is watched as ever: a failure goes home without waiting
 * for the answer.
 */
#include "core/step.h"

static bool pre_closed(const struct rollout_spec *spec, const struct rollout *r)
{
	return spec->pre_gate && !r->gated_pre;
}

bool gates_hold_traffic(const struct turn *t)
{
	return pre_closed(t->spec, t->r);
}

bool gates_hold_end(const struct turn *t)
{
	return t->spec->post_gate && !t->r->gated_post;
}

bool gates_due(const struct turn *t)
{
	const struct rollout *r = t->r;

	if (r->goal == GOAL_HOME)
		return false;
	if (gates_hold_traffic(t))
		return true;
	/* A refusal that led to a pause: an operator's word comes first, and then the gate is asked anew. */
	return r->applied && r->step == t->spec->n_steps && gates_hold_end(t) && !(r->pause & PAUSE_FAILURE);
}

void gates_ask(struct turn *t)
{
	struct rollout *r = t->r;
	struct rollout_effect *e = turn_effect(t, EFFECT_GATE);
	bool pre = gates_hold_traffic(t);

	r->wait = WAIT_GATE;
	e->seq = ++r->seq;
	e->gate.which = pre ? GATE_PRE : GATE_POST;
	if (r->pause == 0)
		turn_set_phase(t, r->phase,
			       pre ? "waits for the pre-traffic hook" : "waits for the post-traffic checks");
}

static void open_gate(struct turn *t, bool pre)
{
	struct rollout *r = t->r;

	turn_recovered(t);
	if (pre)
		r->gated_pre = true;
	else
		r->gated_post = true;
	turn_set_phase(t, turn_forward_phase(t), r->pause ? r->reason : "");
}

void gates_answered(struct turn *t)
{
	bool pre = gates_hold_traffic(t);

	switch (t->event->gated.outcome) {
	case CALL_OK:
		open_gate(t, pre);
		break;
	case CALL_REFUSED:
	case CALL_NOT_FOUND:
	case CALL_CONFLICT:
		turn_recovered(t);
		if (pre)
			prepare_fail(t, "%.250s", t->event->gated.text);
		else
			watch_failed(t, t->event->gated.text);
		break;
	case CALL_UNAVAILABLE:
	case CALL_UNKNOWN:
		turn_trouble(t, "%.250s", t->event->gated.text);
		turn_retry_later(t);
		break;
	}
}

void gates_drop(struct turn *t)
{
	if (t->r->wait != WAIT_GATE)
		return;
	turn_effect(t, EFFECT_CANCEL)->seq = t->r->seq;
	t->r->wait = WAIT_NOTHING;
}
