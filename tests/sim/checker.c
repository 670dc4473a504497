/* See checker.h. The rules about single writes are in checker_write.c. */
#include "tests/sim/checker_inner.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "tests/sim/evidence.h"

const char *violation_name(enum violation_kind k)
{
	static const char *const names[] = {
	    "none",
	    "1 intent first",
	    "2 only asked-for weights",
	    "3 no advance without evidence",
	    "4 failure goes home",
	    "5 never over another writer",
	    "6 one writer at a time",
	    "7 a crash costs nothing",
	    "8 the end is clean",
	    "9 no secret",
	    "10 bounded",
	    "everything ends",
	};

	return names[k];
}

void checker_fail(struct checker *c, enum violation_kind kind, const char *fmt, ...)
{
	va_list args;

	if (c->violation.kind != VIOLATION_NONE)
		return;
	c->violation.kind = kind;
	c->violation.at_ms = c->s->now_ms;
	va_start(args, fmt);
	(void)vsnprintf(c->violation.text, sizeof(c->violation.text), fmt, args);
	va_end(args);
	trace_note(&c->s->trace, c->s->now_ms, "VIOLATION", c->violation.text);
}

void checker_begin(struct checker *c, struct simulation *s)
{
	*c = (struct checker){.s = s, .evidence = evidence_new()};
	checker_look(c);
	for (size_t i = 0; i < SCRIPT_ALIASES; i++)
		c->aliases[i].writer = WRITER_NOBODY;
}

void checker_end(struct checker *c)
{
	evidence_free(c->evidence);
	c->evidence = NULL;
}

/* --- rollouts --- */

static struct checked_rollout *find(struct checker *c, unsigned name, uint64_t attempt)
{
	for (size_t i = 0; i < c->n_rollouts; i++) {
		if (c->rollouts[i].name == name && c->rollouts[i].attempt == attempt)
			return &c->rollouts[i];
	}
	return NULL;
}

static unsigned name_index(const char *name)
{
	for (unsigned i = 0; i < SCRIPT_NAMES; i++) {
		if (strcmp(script_names[i], name) == 0)
			return i;
	}
	return SCRIPT_NAMES;
}

/* Which of the script's plans it runs is told by the content's hash. */
static const struct script_plan *plan_of(const struct checker *c, const char *hash)
{
	for (size_t i = 0; i < c->s->script->n_plans; i++) {
		if (strcmp(c->s->plan_hashes[i], hash) == 0)
			return &c->s->script->plans[i];
	}
	return NULL;
}

struct checked_rollout *checker_rollout(struct checker *c, const struct item *i)
{
	unsigned name = name_index(i->name);
	struct checked_rollout *r = find(c, name, i->attempt);
	const struct script_plan *plan = i->plan ? plan_of(c, i->plan->hash) : NULL;

	if (!r) {
		if (!plan || name == SCRIPT_NAMES || c->n_rollouts == CHECKER_ROLLOUTS) {
			checker_fail(c, VIOLATION_WEIGHT, "%s#%llu runs what no plan says", i->name,
				     (unsigned long long)i->attempt);
			return NULL;
		}
		r = &c->rollouts[c->n_rollouts++];
		*r = (struct checked_rollout){.name = name,
					      .attempt = i->attempt,
					      .plan = plan,
					      .born_ms = c->s->now_ms,
					      .last_step = -1,
					      .phase = PHASE_PENDING};
	}
	r->row = i->id;
	return r;
}

/* --- what others do --- */

void checker_must_go_home(struct checker *c, struct checked_rollout *r, bool durable, const char *reason)
{
	if (r->must_go_home && (r->home_durable || !durable))
		return;
	if (!r->must_go_home)
		r->must_ms = c->s->now_ms;
	r->must_go_home = true;
	r->home_durable = durable;
	(void)text_copy(r->home_reason, sizeof(r->home_reason), reason);
	trace_note(&c->s->trace, c->s->now_ms, "must go home", reason);
}

void checker_plan_taken(struct checker *c, struct host *h, unsigned name, bool supersedes)
{
	const struct item *newest = strmap_get(&h->engine->by_name, script_names[name]);
	struct checked_rollout *r = newest ? checker_rollout(c, newest) : NULL;

	if (!r)
		return;
	r->accepted = true;
	for (size_t i = 0; i < c->n_rollouts && supersedes; i++) {
		struct checked_rollout *older = &c->rollouts[i];

		if (older->name == name && older->attempt < r->attempt && !older->ended)
			checker_must_go_home(c, older, true, "a newer plan has taken its place");
	}
}

/* What a command allows counts from the moment in which it is given: it acts before it answers. */
void checker_commands(struct checker *c, struct host *h, unsigned name, uint64_t attempt, enum rollout_command command)
{
	struct checked_rollout *r;

	for (const struct item *i = strmap_get(&h->engine->by_name, script_names[name]); i; i = i->older)
		(void)checker_rollout(c, i);
	r = find(c, name, attempt);
	if (!r)
		return;
	r->words_before = (unsigned)r->word | (unsigned)r->by_hand << 1 | (unsigned)r->full << 2 |
			  (unsigned)r->ended << 3 | (unsigned)r->must_pause << 4 | (unsigned)r->pardoned << 5 |
			  (unsigned)(r->phase == PHASE_BLOCKED) << 6;
	r->word = r->word || (command == COMMAND_ROLLBACK && !r->ended) || command == COMMAND_RESUME;
	r->paused = r->paused && command == COMMAND_PAUSE;
	if (command != COMMAND_PAUSE) {
		r->must_pause = false;
		r->pardoned = true;
	}
	r->by_hand = r->by_hand || command == COMMAND_PROMOTE || command == COMMAND_PROMOTE_FULL;
	r->full = r->full || command == COMMAND_PROMOTE_FULL;
	r->reopened = r->reopened || (command == COMMAND_ROLLBACK && r->ended);
	if (command == COMMAND_ROLLBACK)
		r->ended = false; /* one that had succeeded is opened again */
}

void checker_commanded(struct checker *c, unsigned name, uint64_t attempt, enum rollout_command command,
		       enum engine_answer answer)
{
	struct checked_rollout *r = find(c, name, attempt);

	if (!r)
		return;
	if (answer == ENGINE_UNAVAILABLE)
		return; /* taken, but perhaps not for long: it may be acted upon, and may be lost */
	if (answer != ENGINE_DONE) {
		r->word = r->words_before & 1;
		r->by_hand = r->words_before & 2;
		r->full = r->words_before & 4;
		r->ended = r->words_before & 8;
		r->must_pause = r->words_before & 16;
		r->pardoned = r->words_before & 32;
	} else if (command == COMMAND_RESUME && r->words_before & 16 && r->failing && r->pause_durable &&
		   !(r->words_before & 64)) {
		checker_fail(c, VIOLATION_HOME, "%s#%llu was let go on, though it has been told that its canary fails",
			     script_names[name], (unsigned long long)attempt);
	} else if (command == COMMAND_PAUSE) {
		r->paused = true;
	} else if (command == COMMAND_ROLLBACK && !r->ended) {
		r->failed = r->failed || !r->concluded; /* that one was going home anyway */
		checker_must_go_home(c, r, true, "an operator rolled it back");
	}
}

void checker_retried(struct checker *c, unsigned name)
{
	const struct checked_rollout *newest = NULL;

	for (size_t i = 0; i < c->n_rollouts; i++) {
		if (c->rollouts[i].name == name && (!newest || c->rollouts[i].attempt > newest->attempt))
			newest = &c->rollouts[i];
	}
	if (newest)
		checker_lift_quarantine(c, newest);
}

void checker_human(struct checker *c, unsigned alias)
{
	struct checked_alias *a = &c->aliases[alias];

	a->touched = true;
	a->touched_ms = c->s->now_ms;
	/* One that is deleted and made again as it was is as before. */
	if (a->there)
		a->before_human = a->holds;
	for (size_t i = 0; i < c->n_rollouts; i++) {
		if (c->rollouts[i].plan->alias == alias)
			c->rollouts[i].word = false;
	}
}

/* --- turns, crashes, starts --- */

static void check_owners(struct checker *c, const struct host *h)
{
	const struct item *owners[SCRIPT_ALIASES] = {NULL};

	for (const struct item *i = h->engine->first; i; i = i->next) {
		struct checked_rollout *r = i->unreadable ? NULL : checker_rollout(c, i);

		if (!r || !rollout_owns_alias(&i->state))
			continue;
		/* One that another has taken over from knows no more than before. */
		if (h == &c->s->hosts[c->s->owner] && r->must_pause && i->state.goal == GOAL_FORWARD &&
		    i->state.pause == 0 && i->state.phase != PHASE_BLOCKED)
			checker_fail(c, VIOLATION_HOME, "%s#%llu is not paused, though it has been told that it fails",
				     i->name, (unsigned long long)i->attempt);
		if (owners[r->plan->alias])
			checker_fail(c, VIOLATION_ONE_WRITER, "%s#%llu and %s#%llu are under way on the same alias",
				     i->name, (unsigned long long)i->attempt, owners[r->plan->alias]->name,
				     (unsigned long long)owners[r->plan->alias]->attempt);
		owners[r->plan->alias] = i;
	}
	c->s->tally.n[TALLY_CHECK_ONE_WRITER]++;
}

/* What the daemon has been told so far is on the disk, with what follows from it. */
static void committed(struct checker *c)
{
	evidence_durable(c->evidence);
	checker_judgements_durable(c);
	for (size_t i = 0; i < c->n_rollouts; i++) {
		struct checked_rollout *r = &c->rollouts[i];

		r->home_durable = r->home_durable || r->must_go_home;
		r->pause_durable = r->pause_durable || r->must_pause;
		r->window_durable_unix_ms = r->window_unix_ms;
	}
}

#define HOME_WITHIN_MS	    (100 * MS_PER_SECOND) /* a call may take ten seconds to say nothing, and back off */
#define INTENTS_WAITING_MAX 1000

/* 4: once nothing is in its way, the way home is asked for soon. */
static void check_home_soon(struct checker *c, const struct host *h)
{
	for (const struct item *i = h->engine->first; i; i = i->next) {
		struct checked_rollout *r = i->unreadable ? NULL : checker_rollout(c, i);
		int64_t from_ms = c->s->script->faults_end_ms;

		if (!r || !r->must_go_home)
			continue;
		from_ms = r->must_ms > from_ms ? r->must_ms : from_ms;
		if (!r->ended && !r->went_home && i->state.phase != PHASE_BLOCKED &&
		    c->s->now_ms > from_ms + HOME_WITHIN_MS)
			checker_fail(c, VIOLATION_HOME, "%s#%llu does not ask for the way home, though %s",
				     script_names[r->name], (unsigned long long)r->attempt, r->home_reason);
	}
}

void checker_turned(struct checker *c, struct host *h)
{
	const struct engine *e = h->engine;

	if (e->fenced || h->dying)
		return;
	if (e->store_failing)
		c->failing_ms = c->s->now_ms;
	check_owners(c, h);
	if (c->s->quiet)
		check_home_soon(c, h);
	c->s->tally.n[TALLY_CHECK_BOUNDED]++;
	if (e->n_intents > INTENTS_WAITING_MAX)
		checker_fail(c, VIOLATION_BOUNDED, "%zu intents wait for the disk", e->n_intents);
	if (!e->store_failing && e->n_dirty == 0)
		committed(c);
	checker_audit(c, h);
}

void checker_crashed(struct checker *c)
{
	evidence_crash(c->evidence);
	checker_judgements_lost(c);
	for (size_t i = 0; i < c->n_rollouts; i++) {
		struct checked_rollout *r = &c->rollouts[i];

		r->must_go_home = r->must_go_home && r->home_durable;
		r->must_pause = r->must_pause && r->pause_durable;
		r->home_asked = false;
		/* A way home that left while the disk failed is forgotten; if it was lost, too, the record counts. */
		r->went_home = r->went_home && r->home_recorded;
	}
}

struct sought {
	uint64_t number; /* an attempt, or an intent's seq */
	uint64_t row;
	bool found;
};

static int seek_attempt(void *ctx, const struct store_rollout *r)
{
	struct sought *s = ctx;

	s->found = s->found || (r->attempt == s->number && r->id == s->row);
	return s->found;
}

static int seek_intent(void *ctx, const struct store_intent *i)
{
	struct sought *s = ctx;

	s->found = s->found || i->seq == s->number;
	return s->found;
}

void checker_started(struct checker *c, struct host *h)
{
	c->s->tally.n[TALLY_CHECK_CRASH]++;
	for (size_t i = 0; i < c->n_rollouts; i++) {
		const struct checked_rollout *r = &c->rollouts[i];
		struct sought s = {.number = r->attempt, .row = r->row};

		if (r->accepted && store_each_of_name(h->store, script_names[r->name], 100, seek_attempt, &s) >= 0 &&
		    !s.found)
			checker_fail(c, VIOLATION_CRASH, "%s#%llu was accepted, and is not on record any more",
				     script_names[r->name], (unsigned long long)r->attempt);
	}
	for (size_t i = 0; i < c->n_asked; i++) {
		const struct asked *a = &c->asked[i % CHECKER_ASKED];
		struct sought s = {.number = a->seq};

		if (a->writer == WRITER_DAEMON && !a->unrecorded &&
		    store_each_intent(h->store, a->row, seek_intent, &s) >= 0 && !s.found)
			checker_fail(c, VIOLATION_CRASH, "the intent of write %zu is not on record any more", i + 1);
	}
}

/* --- what is published --- */

void checker_no_secret(struct checker *c, const char *where, const char *text)
{
	c->s->tally.n[TALLY_CHECK_SECRET]++;
	if (strstr(text, SECRET_MARKER))
		checker_fail(c, VIOLATION_SECRET, "a secret is in %s: %.200s", where, text);
}

static void tally_end(struct checker *c, enum rollout_phase end)
{
	enum tally_item item = end == PHASE_SUCCEEDED	  ? TALLY_ENDED_SUCCEEDED
			       : end == PHASE_ROLLED_BACK ? TALLY_ENDED_ROLLED_BACK
							  : TALLY_ENDED_FAILED;

	c->s->tally.n[item]++;
}

/* A success by itself comes after the last bake, which was judged. */
static void check_last_bake(struct checker *c, const struct checked_rollout *r)
{
	const struct script_plan *p = r->plan;
	int64_t baked_ms = c->s->now_ms - r->landed_ms;

	if (r->by_hand || r->last_step != (int)p->n_steps || p->final_bake_ms == 0)
		return;
	c->s->tally.n[TALLY_CHECK_EVIDENCE]++;
	if (baked_ms < p->final_bake_ms)
		checker_fail(c, VIOLATION_EVIDENCE, "%s succeeded %lld ms after its promotion, not %lld",
			     script_names[r->name], (long long)baked_ms, (long long)p->final_bake_ms);
	else if (!c->s->script->clock_jumps && script_needs_metrics(p) &&
		 evidence_complete_through(c->evidence, p->alias, 0, p->period_ms, 0, false) <
		     r->landed_unix_ms + p->final_bake_ms)
		checker_fail(c, VIOLATION_EVIDENCE, "%s succeeded, and nobody has told it how its last bake went",
			     script_names[r->name]);
}

#define SEEN_WITHIN_MS MS_PER_MINUTE /* what is done to the alias during the last look may pass unseen */

/* Before a success the alias is looked at: nobody had put it on something else. */
static void check_last_look(struct checker *c, const struct checked_rollout *r)
{
	const struct checked_alias *a = &c->aliases[r->plan->alias];
	const struct alias_target canary = {.version = r->plan->version};
	int64_t since_ms = c->s->now_ms - SEEN_WITHIN_MS;

	/* A daemon that was stopped, or waited for its disk, ends with what it had read before. */
	if (a->writer == WRITER_HUMAN && !alias_target_equal(&a->holds, &canary) && a->changed_ms < since_ms &&
	    c->s->hosts[c->s->owner].stopped_until_ms < since_ms && c->failing_ms <= since_ms)
		checker_fail(c, VIOLATION_END, "%s succeeded, and somebody had put the alias on something else",
			     script_names[r->name]);
}

/* What the alias must hold once a rollout has ended so. */
static void check_end(struct checker *c, const struct checked_rollout *r, enum rollout_phase end, const char *text)
{
	const struct checked_alias *a = &c->aliases[r->plan->alias];
	struct alias_target canary = {.version = r->plan->version};

	c->s->tally.n[TALLY_CHECK_END]++;
	if (end == PHASE_SUCCEEDED && r->landed && !r->reopened)
		check_last_look(c, r);
	if (end == PHASE_SUCCEEDED && r->landed)
		checker_hooks_agreed(c, r, true);
	if (end == PHASE_ROLLED_BACK)
		checker_quarantine(c, r);
	if (end == PHASE_ROLLED_BACK && r->concluded) {
		c->concluded = true;
		c->s->tally.n[TALLY_CONCLUDED]++;
	}
	if (!a->there || a->writer != WRITER_DAEMON || &c->rollouts[a->by] != r)
		return; /* somebody's doing since, or it never wrote */
	if (a->holds.weight_bp != 0)
		checker_fail(c, VIOLATION_END, "%s ended (%s) and the alias holds two versions", script_names[r->name],
			     text);
	else if (end == PHASE_SUCCEEDED && !alias_target_equal(&a->holds, &canary))
		checker_fail(c, VIOLATION_END, "%s succeeded and the alias does not hold version %u",
			     script_names[r->name], r->plan->version);
	else if (end != PHASE_SUCCEEDED && a->holds.version != r->stable)
		checker_fail(c, VIOLATION_END, "%s ended (%s) and the alias does not hold version %llu",
			     script_names[r->name], text, (unsigned long long)r->stable);
	if (end == PHASE_SUCCEEDED)
		check_last_bake(c, r);
	if (end == PHASE_SUCCEEDED && r->must_go_home && r->home_durable)
		checker_fail(c, VIOLATION_HOME, "%s succeeded, though %s", script_names[r->name], r->home_reason);
}

/* `now`: the phase that it has by now, as events may be published late. */
static void take_phase(struct checker *c, struct checked_rollout *r, enum rollout_phase phase, enum rollout_phase now,
		       const char *text)
{
	const struct checked_alias *a = &c->aliases[r->plan->alias];
	bool ended = phase == now && (phase == PHASE_SUCCEEDED || phase == PHASE_ROLLED_BACK || phase == PHASE_FAILED);

	if (phase == r->phase)
		return;
	if (r->phase == PHASE_BLOCKED)
		r->must_ms = c->s->now_ms; /* it is let go only now */
	r->phase = phase;
	if (ended && !r->ended) {
		check_end(c, r, phase, text);
		tally_end(c, phase);
		r->ended = true;
		r->audit_due = true;
	}
	if (phase != PHASE_BLOCKED)
		return;
	c->s->tally.n[TALLY_BLOCKED]++;
	bool somebody = a->touched && (a->writer == WRITER_HUMAN || a->touched_ms >= r->born_ms);

	if (!somebody && !c->unrecorded_home)
		checker_fail(c, VIOLATION_FOREIGN, "%s is blocked though nobody else wrote: %.300s",
			     script_names[r->name], text);
}

static bool phase_of(const char *name, enum rollout_phase *ret)
{
	return name[0] != '\0' && rollout_phase_from_name(name, ret);
}

void checker_published(struct checker *c, struct host *h, const struct store_event *e)
{
	enum rollout_phase phase;

	committed(c); /* events are published once they are durable */
	checker_no_secret(c, "an event", e->text);
	if (strcmp(e->kind, rollout_announce_name(ANNOUNCE_FOREIGN)) == 0)
		c->s->tally.n[TALLY_FOREIGN_SEEN]++;
	if (!phase_of(e->phase, &phase))
		return;
	for (const struct item *i = h->engine->first; i; i = i->next) {
		struct checked_rollout *r = i->id == e->rollout_id && !i->unreadable ? checker_rollout(c, i) : NULL;

		if (r && phase == PHASE_ROLLING_BACK && !h->engine->store_failing &&
		    strcmp(e->kind, rollout_announce_name(ANNOUNCE_INTENT)) == 0)
			r->home_asked = i->state.wait == WAIT_WRITE;
		if (r)
			take_phase(c, r, phase, i->state.phase, e->text);
	}
}

/* --- the end of it all --- */

void checker_finish(struct checker *c, struct host *h)
{
	c->s->tally.n[TALLY_CHECK_LIVENESS]++;
	for (const struct item *i = h->engine->first; i; i = i->next) {
		if (!rollout_ended(&i->state))
			checker_fail(c, VIOLATION_LIVENESS, "%s#%llu is still %s: %.200s%s%.100s", i->name,
				     (unsigned long long)i->attempt, rollout_phase_name(i->state.phase),
				     i->state.reason, i->state.trouble[0] ? "; " : "", i->state.trouble);
	}
	for (size_t i = 0; i < SCRIPT_ALIASES; i++) {
		const struct checked_alias *a = &c->aliases[i];

		if (a->there && a->writer == WRITER_DAEMON && a->holds.weight_bp != 0)
			checker_fail(c, VIOLATION_END, "in the end the alias %s holds two versions", script_aliases[i]);
	}
}
