/* See core_rig.h. */
#include "core_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

char rig_answer_text[LIMIT_REASON];

void rig_init(struct rig *g)
{
	*g = (struct rig){0};
	g->steps[0] = (struct spec_step){1000, 5 * MS_PER_MINUTE, 0, false};
	g->steps[1] = (struct spec_step){5000, 5 * MS_PER_MINUTE, 0, false};
	g->metrics[0] = (struct spec_metric){
	    .kind = SPEC_METRIC_ERRORS, .max_rate_ppm = 10000, .min_invocations = 50, .failure_limit = 1};
	g->spec = (struct rollout_spec){
	    .steps = g->steps,
	    .n_steps = 2,
	    .analysis = {.every_ms = MS_PER_MINUTE,
			 .settle_ms = MS_PER_MINUTE,
			 .period_ms = MS_PER_MINUTE,
			 .hold_limit_ms = MS_PER_HOUR,
			 .on_hold_limit = SPEC_PAUSE,
			 .metrics = g->metrics,
			 .n_metrics = 1},
	};
	g->now = (struct instant){INT64_C(1795377607123), 5000000};
	g->alias.target = (struct alias_target){.version = 1};
	(void)snprintf(g->alias.revision, REVISION_SIZE, "rev-0");
	g->canary_invocations = 600;
	g->timer_boot_ms = INT64_MAX;
	rollout_init(&g->r, g->now);
}

void rig_deinit(struct rig *g)
{
	samples_deinit(&g->samples);
}

static bool is_breach(const struct rig *g, const struct sample *s)
{
	const struct spec_metric *m = &g->metrics[0];

	return m->kind == SPEC_METRIC_ERRORS && !m->dry_run && s->canary.invocations >= m->min_invocations &&
	       s->canary.errors * 1000000u > s->canary.invocations * m->max_rate_ppm;
}

/* A period that was delivered shows more errors than are allowed. */
static bool has_breach(const struct rig *g)
{
	for (size_t i = 0; i < g->samples.len; i++) {
		if (is_breach(g, &g->samples.items[i]))
			return true;
	}
	return false;
}

/* How long a weight must be held; 0 when no step has it. */
static int64_t bake_of(const struct rig *g, uint32_t weight_bp)
{
	for (size_t i = 0; i < g->spec.n_steps; i++) {
		if (g->steps[i].weight_bp == weight_bp)
			return g->steps[i].bake_ms;
	}
	return 0;
}

/*
 * Invariant 3, by what the rig knows itself: a weight rises only after it has been held for its bake, with metrics read
 * up to that bake's end, and none of them a breach. An operator's word is above that.
 */
static void check_rise(const struct rig *g, const struct alias_target *to)
{
	uint32_t before = g->alias.target.weight_bp;
	uint32_t after = to->weight_bp > 0 ? to->weight_bp : WEIGHT_BP_MAX;
	int64_t bake = bake_of(g, before), held = g->landed_before_ms + g->now.boot_ms - g->landed_boot_ms;

	if (g->by_hand || g->by_hand_full || g->human_wrote || before == 0 || after <= before ||
	    !alias_target_equal(&g->alias.target, &g->r.live))
		return;
	assert_true(held >= bake);
	assert_false(has_breach(g));
	if (g->now.unix_ms - g->landed_unix_ms != held)
		return; /* the wall clock has jumped: whose end of the bake would that be? */
	if (g->spec.analysis.pace == SPEC_PACE_EVIDENCE && g->spec.analysis.no_data == SPEC_NO_DATA_HOLD)
		assert_true(g->read_through_unix_ms >= g->landed_unix_ms + bake);
}

/* Only weights that a step, the promotion or the way home asked for (invariant 2). */
static void check_target(const struct rig *g, const struct rollout_effect *e)
{
	const struct alias_target *t = &e->write.target;
	bool known = (t->weight_bp == 0 && (t->version == g->r.stable || t->version == g->r.canary));

	for (size_t i = 0; i < g->spec.n_steps; i++)
		known = known ||
			(t->version == g->r.stable && t->extra == g->r.canary && t->weight_bp == g->steps[i].weight_bp);
	assert_true(known);
	assert_true(e->write.revision[0] != '\0');
	assert_int_equal(e->write.home, t->version == g->r.stable && t->weight_bp == 0);
	/* No traffic before the first gate has opened, and none that the canary is not provisioned for. */
	if (!e->write.home) {
		check_rise(g, t);
		assert_true(!g->spec.pre_gate || g->gate_opened_pre);
		assert_true(g->stable_provisioned == 0 || g->canary_provisioned >= g->stable_provisioned);
	}
}

/* What has ended waits for nothing that could still move traffic, and is held back by nothing. */
static void check_end(const struct rig *g)
{
	const struct rollout *r = &g->r;

	assert_true(rollout_ended(r));
	assert_true(r->wait == WAIT_NOTHING || r->wait == WAIT_PROVISION);
	assert_int_equal(r->ended_unix_ms, g->now.unix_ms);
	assert_int_equal(r->pause, 0);
	assert_false(r->look);
	assert_false(r->reopened);
	assert_false(r->poll_pending);
	assert_string_equal(r->trouble, "");
}

/* Whoever watches sees each change of the phase and its reason, and is told nothing that is no change. */
static void check_phase(const struct rig *g, const struct rollout *before, enum rollout_event_kind kind)
{
	const char *name = rollout_phase_name(g->r.phase), *last = "";
	bool same = g->r.phase == before->phase && strcmp(g->r.reason, before->reason) == 0;
	size_t said = 0;

	for (size_t i = 0; i < g->effects.len; i++) {
		const struct rollout_effect *e = &g->effects.items[i];

		if (e->kind != EFFECT_ANNOUNCE || e->announce.kind != ANNOUNCE_PHASE)
			continue;
		last = e->announce.text;
		said++;
	}
	if (g->r.phase != before->phase)
		assert_memory_equal(last, name, strlen(name));
	/* There and back again are two. A command is told in any case: its reason may be over in the same turn. */
	if (same && kind != EVENT_COMMAND)
		assert_int_not_equal(said, 1);
}

static void take_effect(struct rig *g, const struct rollout_effect *e)
{
	switch (e->kind) {
	case EFFECT_PREPARE:
		g->has_prepare = true;
		g->prepare_seq = e->seq;
		break;
	case EFFECT_READ_ALIAS:
		g->has_read = true;
		g->read_seq = e->seq;
		break;
	case EFFECT_WRITE_ALIAS:
		check_target(g, e);
		assert_false(g->has_write);
		g->has_write = true;
		g->writes++;
		g->write.target = e->write.target;
		g->write.seq = e->seq;
		g->write.home = e->write.home;
		(void)text_copy(g->write.revision, REVISION_SIZE, e->write.revision);
		break;
	case EFFECT_POLL:
		g->has_poll = true;
		g->poll_seq = e->seq;
		g->poll_through = e->poll.through_unix_ms;
		g->history_through = e->poll.history_through_unix_ms;
		break;
	case EFFECT_TIMER:
		g->timer_boot_ms = e->timer.boot_ms;
		break;
	case EFFECT_QUARANTINE:
		g->quarantined_effect = true;
		break;
	case EFFECT_ENDED:
		check_end(g);
		g->ended_effects++;
		break;
	case EFFECT_ANNOUNCE:
		if (g->trace)
			print_message("  %-13s %s\n", rollout_announce_name(e->announce.kind), e->announce.text);
		break;
	case EFFECT_CANCEL:
		g->cancelled_seq = e->seq;
		break;
	case EFFECT_GATE:
		assert_false(g->has_gate);
		g->has_gate = true;
		g->gate = e->gate.which;
		g->gate_seq = e->seq;
		g->gates_asked++;
		break;
	case EFFECT_PROVISION:
		assert_true(g->r.provision_asked); /* on record first */
		assert_false(g->has_provision);
		g->has_provision = true;
		g->provision_seq = e->seq;
		g->provision_count = e->provision.count;
		assert_int_equal(e->provision.version, g->r.canary);
		break;
	case EFFECT_RELEASE:
		assert_true(rollout_ended(&g->r)); /* never while it may still be needed */
		assert_int_equal(e->provision.version, g->r.release);
		g->has_release = true;
		g->release_seq = e->seq;
		g->release_version = e->provision.version;
		break;
	}
}

static enum rollout_answer last_answer;

void rig_event(struct rig *g, struct rollout_event *event)
{
	struct rollout before = g->r;

	event->now = g->now;
	event->entropy = g->entropy = g->entropy * UINT64_C(6364136223846793005) + 1442695040888963407u;
	rollout_step(&g->spec, &g->r, &g->samples, event, &g->effects, &last_answer, rig_answer_text);
	for (size_t i = 0; i < g->effects.len; i++)
		take_effect(g, &g->effects.items[i]);
	/* Nothing wakes what has nothing left to do, or may do nothing before an operator's word. */
	if (rollout_settled(&g->r) || g->r.phase == PHASE_PENDING || g->r.phase == PHASE_BLOCKED)
		assert_int_equal(g->timer_boot_ms, INT64_MAX);
	check_phase(g, &before, event->kind);
}

void rig_simple(struct rig *g, enum rollout_event_kind kind)
{
	struct rollout_event e = {.kind = kind};

	rig_event(g, &e);
}

enum rollout_answer rig_command_for(struct rig *g, enum rollout_command c, const char *reason)
{
	struct rollout_event e = {.kind = EVENT_COMMAND, .command = {.command = c, .by = "uid=0 pid=1"}};
	bool hand = g->by_hand, full = g->by_hand_full;

	(void)text_copy(e.command.reason, sizeof(e.command.reason), reason);
	/* What a command leads to comes in the same turn. */
	g->by_hand = hand || c == COMMAND_PROMOTE || c == COMMAND_RESUME;
	g->by_hand_full = full || c == COMMAND_PROMOTE_FULL;
	rig_event(g, &e);
	assert_true(rig_answer_text[0] != '\0');
	if (last_answer != ANSWER_DONE) {
		g->by_hand = hand;
		g->by_hand_full = full;
	}
	return last_answer;
}

enum rollout_answer rig_command(struct rig *g, enum rollout_command c)
{
	return rig_command_for(g, c, "");
}

void rig_expect(struct rig *g, enum rollout_command c, enum rollout_answer want, const char *text)
{
	enum rollout_answer answer = rig_command(g, c);

	if (answer != want || !strstr(rig_answer_text, text))
		print_message("%s: %s\n", rollout_command_name(c), rig_answer_text);
	assert_int_equal(answer, want);
	assert_non_null(strstr(rig_answer_text, text));
}

void rig_assert_phase(const struct rig *g, enum rollout_phase phase)
{
	if (g->r.phase != phase)
		print_message("phase %s: %s / %s / %s\n", rollout_phase_name(g->r.phase), g->r.reason, g->r.why,
			      g->r.trouble);
	assert_string_equal(rollout_phase_name(g->r.phase), rollout_phase_name(phase));
}

bool rig_said(const struct rig *g, enum announce_kind kind, const char *text)
{
	for (size_t i = 0; i < g->effects.len; i++) {
		const struct rollout_effect *e = &g->effects.items[i];

		if (e->kind == EFFECT_ANNOUNCE && e->announce.kind == kind && strstr(e->announce.text, text))
			return true;
	}
	return false;
}

static bool rig_soaked(const struct rig *g)
{
	return g->r.soak_version == g->source_version && g->r.soak_from_unix_ms + g->spec.soak_ms <= g->now.unix_ms;
}

void rig_make_prepared(struct rig *g, struct rollout_event *ret)
{
	*ret = (struct rollout_event){.kind = EVENT_PREPARED, .seq = g->prepare_seq};
	g->has_prepare = false;
	ret->prepared.alias = g->alias;
	ret->prepared.canary = g->publishing ? 0 : 2;
	ret->prepared.canary_info.state = VERSION_READY;
	ret->prepared.stable_info.state = VERSION_READY;
	(void)text_copy(ret->prepared.canary_info.hash, CODE_HASH_SIZE, "hash-2");
	(void)text_copy(ret->prepared.stable_info.hash, CODE_HASH_SIZE, "hash-1");
	ret->prepared.same_role = true;
	ret->prepared.alarms = g->alarms;
	ret->prepared.stable_provisioned = g->stable_provisioned;
	ret->prepared.alias_provisioned = g->alias_provisioned;
	ret->prepared.canary_provisioned = g->canary_provisioned;
	ret->prepared.canary_provision = g->canary_provisioned > 0 ? g->provision_state : PROVISION_NONE;
	ret->prepared.waiting = g->publishing;
	if (g->publishing)
		(void)text_copy(ret->prepared.error, LIMIT_REASON, "publishes a version of hello");
	if (g->source_version != 0 || g->source_splits) {
		ret->prepared.from_alias = true;
		ret->prepared.source = "test";
		ret->prepared.source_since_unix_ms = g->source_since_unix_ms;
		/* As the engine: nothing else is read as long as it soaks, and once it is chosen it stays. */
		ret->prepared.canary = g->r.canary != 0 ? g->r.canary : g->source_splits ? 0 : g->source_version;
		ret->prepared.waiting = g->r.canary == 0 && (g->source_splits || !rig_soaked(g));
		if (g->source_splits)
			(void)text_copy(ret->prepared.error, LIMIT_REASON, "waits until test holds one version alone");
	}
}

void rig_answer_prepare(struct rig *g)
{
	struct rollout_event e;

	rig_make_prepared(g, &e);
	rig_event(g, &e);
}

void rig_end_prepare(struct rig *g, enum call_outcome outcome)
{
	struct rollout_event e = {.kind = EVENT_PREPARED, .seq = g->prepare_seq, .prepared = {.outcome = outcome}};

	assert_true(g->has_prepare);
	g->has_prepare = false;
	(void)text_copy(e.prepared.error, LIMIT_REASON, "GetFunction: it did not work");
	rig_event(g, &e);
}

void rig_answer_gate(struct rig *g, enum call_outcome outcome)
{
	struct rollout_event e = {.kind = EVENT_GATED, .seq = g->gate_seq, .gated = {.outcome = outcome}};

	assert_true(g->has_gate);
	g->has_gate = false;
	if (outcome == CALL_OK && g->gate == GATE_PRE && g->r.wait == WAIT_GATE)
		g->gate_opened_pre = true;
	if (outcome == CALL_OK && g->gate == GATE_POST && g->r.wait == WAIT_GATE)
		g->gate_opened_post = true;
	if (outcome != CALL_OK)
		(void)text_copy(e.gated.text, LIMIT_REASON, "the hook said no");
	rig_event(g, &e);
}

void rig_answer_provision(struct rig *g, enum call_outcome outcome, bool applied)
{
	struct rollout_event e = {
	    .kind = EVENT_PROVISIONED, .seq = g->provision_seq, .provisioned = {.outcome = outcome}};

	assert_true(g->has_provision);
	g->has_provision = false;
	if (applied) {
		g->canary_provisioned = g->provision_count;
		g->provision_state = PROVISION_IN_PROGRESS;
	}
	if (outcome != CALL_OK)
		(void)text_copy(e.provisioned.error, LIMIT_REASON, "PutProvisionedConcurrencyConfig: it did not work");
	rig_event(g, &e);
}

void rig_answer_release(struct rig *g, enum call_outcome outcome, bool applied)
{
	struct rollout_event e = {.kind = EVENT_RELEASED, .seq = g->release_seq, .provisioned = {.outcome = outcome}};

	assert_true(g->has_release);
	g->has_release = false;
	if (applied && g->release_version == g->r.canary)
		g->canary_provisioned = 0;
	else if (applied)
		g->stable_provisioned = 0;
	if (outcome != CALL_OK)
		(void)text_copy(e.provisioned.error, LIMIT_REASON,
				"DeleteProvisionedConcurrencyConfig: it did not work");
	rig_event(g, &e);
}

void rig_answer_read(struct rig *g)
{
	struct rollout_event e = {.kind = EVENT_ALIAS_READ, .seq = g->read_seq};

	g->has_read = false;
	e.alias.outcome = g->alias_gone ? CALL_NOT_FOUND : CALL_OK;
	e.alias.alias = g->alias;
	(void)text_copy(e.alias.error, LIMIT_REASON, g->alias_gone ? "GetAlias: ResourceNotFoundException (404)" : "");
	rig_event(g, &e);
}

void rig_end_read(struct rig *g, enum call_outcome outcome)
{
	struct rollout_event e = {.kind = EVENT_ALIAS_READ, .seq = g->read_seq, .alias = {.outcome = outcome}};

	assert_true(g->has_read);
	g->has_read = false;
	(void)text_copy(e.alias.error, LIMIT_REASON, "GetAlias: it did not work");
	rig_event(g, &e);
}

void rig_end_write(struct rig *g, enum call_outcome outcome)
{
	struct rollout_event e = {.kind = EVENT_WRITTEN, .seq = g->write.seq, .alias = {.outcome = outcome}};

	assert_true(g->has_write);
	g->has_write = false;
	e.alias.alias = g->alias;
	(void)text_copy(e.alias.error, LIMIT_REASON, "UpdateAlias: it did not work");
	rig_event(g, &e);
}

/* AWS's side of a write: compare-and-set on the revision. */
static bool apply(struct rig *g, const struct rig_write *w)
{
	if (strcmp(w->revision, g->alias.revision) != 0)
		return false;
	/* Invariant 5: what a human wrote is overwritten only after an operator's word. */
	g->human_wrote = false;
	g->alias.target = w->target;
	g->alias.odd = false;
	(void)snprintf(g->alias.revision, REVISION_SIZE, "rev-%llu", (unsigned long long)++g->revision);
	g->landed_boot_ms = g->now.boot_ms;
	g->landed_unix_ms = g->now.unix_ms;
	g->landed_before_ms = 0;
	g->by_hand = false;
	g->by_hand_full = g->by_hand_full && w->target.version != g->r.canary;
	g->applied_writes++;
	if (g->n_weights < array_len(g->weights))
		g->weights[g->n_weights++] = w->target.weight_bp > 0		? w->target.weight_bp
					     : w->target.version == g->r.canary ? WEIGHT_BP_MAX
										: 0;
	return true;
}

void rig_answer_write(struct rig *g, enum fate fate)
{
	struct rollout_event e = {.kind = EVENT_WRITTEN, .seq = g->write.seq};
	bool applied = false;

	assert_true(g->has_write);
	g->has_write = false;
	if (fate == FATE_OK || fate == FATE_LOST_AFTER)
		applied = apply(g, &g->write);
	if (fate == FATE_LATE) {
		g->late = g->write;
		g->has_late = true;
	}
	switch (fate) {
	case FATE_OK:
		e.alias.outcome = applied ? CALL_OK : CALL_CONFLICT;
		e.alias.alias = g->alias;
		break;
	case FATE_LOST_BEFORE:
	case FATE_LOST_AFTER:
	case FATE_LATE:
		e.alias.outcome = CALL_UNKNOWN;
		(void)text_copy(e.alias.error, LIMIT_REASON, "UpdateAlias: no answer");
		break;
	case FATE_THROTTLED:
		e.alias.outcome = CALL_UNAVAILABLE;
		(void)text_copy(e.alias.error, LIMIT_REASON, "UpdateAlias: TooManyRequestsException (429)");
		break;
	case FATE_REFUSED:
		e.alias.outcome = CALL_REFUSED;
		(void)text_copy(e.alias.error, LIMIT_REASON, "UpdateAlias: InvalidParameterValueException (400)");
		break;
	}
	rig_event(g, &e);
}

static void fill_samples(struct rig *g)
{
	int64_t period = g->spec.analysis.period_ms;
	int64_t from = g->r.first_traffic_unix_ms / period * period;

	for (int64_t at = from; at < g->poll_through; at += period) {
		struct sample *s = samples_at(&g->samples, at);

		if (!s || s->canary.seen)
			continue;
		s->canary = (struct counts){g->canary_invocations, g->canary_errors, true};
		s->stable = (struct counts){g->canary_invocations * 9, g->stable_errors, true};
	}
}

void rig_answer_poll(struct rig *g)
{
	struct rollout_event e = {.kind = EVENT_POLLED, .seq = g->poll_seq};
	enum verdict verdict = g->r.verdict;
	enum verdict_gap gap = g->r.gap;
	bool heeded = g->r.poll_pending && g->r.goal == GOAL_FORWARD && g->r.phase != PHASE_BLOCKED;

	g->has_poll = false;
	if (!g->metrics_missing && !g->metrics_unreadable)
		fill_samples(g);
	if (!g->metrics_unreadable && g->read_through_unix_ms < g->poll_through)
		g->read_through_unix_ms = g->poll_through;
	e.polled.complete = !g->metrics_unreadable;
	e.polled.through_unix_ms = g->poll_through;
	e.polled.alarms = g->alarms_unreadable ? NULL : g->alarms;
	if (g->history_through != 0)
		e.polled.history = g->history;
	(void)text_copy(e.polled.error, LIMIT_REASON, g->metrics_unreadable ? "GetMetricData: throttled" : "");
	rig_event(g, &e);
	/* Each change of the verdict is told, and nothing else but what only runs dry. */
	if (heeded && !rig_said(g, ANNOUNCE_VERDICT, "(dry run)"))
		assert_int_equal(rig_said(g, ANNOUNCE_VERDICT, ""), g->r.verdict != verdict || g->r.gap != gap);
	/* Invariant 4: a breach is acted on in the very turn that shows it. */
	if (heeded && !g->metrics_unreadable && has_breach(g))
		assert_true(g->spec.on_failure == SPEC_PAUSE ? (g->r.pause & PAUSE_FAILURE) : g->r.goal == GOAL_HOME);
}

void rig_deliver_late(struct rig *g)
{
	if (g->has_late)
		(void)apply(g, &g->late);
	g->has_late = false;
}

void rig_human(struct rig *g, struct alias_target target)
{
	g->alias.target = target;
	(void)snprintf(g->alias.revision, REVISION_SIZE, "human-%llu", (unsigned long long)++g->revision);
	g->human_wrote = true;
	if (g->trace)
		print_message("  a human sets version %llu, %u bp\n", (unsigned long long)target.version,
			      target.weight_bp);
}

bool rig_turn(struct rig *g)
{
	if (g->has_prepare)
		rig_answer_prepare(g);
	else if (g->has_read)
		rig_answer_read(g);
	else if (g->has_write)
		rig_answer_write(g, FATE_OK);
	else if (g->has_gate && !g->gate_takes_long)
		rig_answer_gate(g, CALL_OK);
	else if (g->has_provision)
		rig_answer_provision(g, CALL_OK, true);
	else if (g->has_release)
		rig_answer_release(g, CALL_OK, true);
	else if (g->has_poll)
		rig_answer_poll(g);
	else if (g->timer_boot_ms == INT64_MAX)
		return false;
	else {
		int64_t ahead = g->timer_boot_ms - g->now.boot_ms;

		if (ahead > 0) {
			g->now.boot_ms += ahead;
			g->now.unix_ms += ahead;
		}
		if (g->provision_state == PROVISION_IN_PROGRESS)
			g->provision_state = PROVISION_READY;
		rig_simple(g, EVENT_TIMER);
	}
	return true;
}

void rig_run_to_write(struct rig *g)
{
	for (unsigned i = 0; i < 2000 && !g->has_write; i++)
		assert_true(rig_turn(g));
	assert_true(g->has_write);
}

void rig_run_to_weight(struct rig *g, size_t n)
{
	for (unsigned i = 0; i < 2000 && g->n_weights < n; i++)
		assert_true(rig_turn(g));
	assert_int_equal(g->n_weights, n);
}

bool rig_run_until(struct rig *g, enum rollout_phase phase)
{
	for (unsigned i = 0; i < 2000 && g->r.phase != phase; i++) {
		if (!rig_turn(g))
			break;
	}
	return g->r.phase == phase;
}

void rig_crash(struct rig *g, bool same_boot)
{
	struct rollout_event e = {.kind = EVENT_RESUMED, .resumed = {.same_boot = same_boot}};

	if (g->trace)
		print_message("  crash\n");
	g->has_prepare = g->has_read = g->has_write = g->has_poll = false;
	g->has_gate = g->has_provision = g->has_release = false;
	if (!same_boot) {
		g->landed_before_ms += g->now.boot_ms - g->landed_boot_ms;
		g->landed_boot_ms = g->now.boot_ms = 1000;
	}
	rig_event(g, &e);
}
