/* The checker's rules about single writes: when one leaves a host, and when one lands. */
#include "tests/sim/checker_inner.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "tests/sim/evidence.h"

#define ALIASES_PATH "/2015-03-31/functions/" SCRIPT_FUNCTION "/aliases/"

/* What a write is for, seen from its plan. */
#define STEP_HOME    (-2)
#define STEP_UNKNOWN (-3)

/* --- reading a request --- */

static unsigned alias_of_path(const char *path)
{
	for (unsigned i = 0; i < SCRIPT_ALIASES; i++) {
		if (text_starts_with(path, ALIASES_PATH) && strcmp(path + strlen(ALIASES_PATH), script_aliases[i]) == 0)
			return i;
	}
	return SCRIPT_ALIASES;
}

static void read_target(const json_t *body, struct alias_target *ret)
{
	const char *version = json_string_value(json_object_get(body, "FunctionVersion")), *extra;
	json_t *weights = json_object_get(json_object_get(body, "RoutingConfig"), "AdditionalVersionWeights"), *weight;

	*ret = (struct alias_target){.version = version ? strtoull(version, NULL, 10) : 0};
	json_object_foreach(weights, extra, weight)
	{
		ret->extra = strtoull(extra, NULL, 10);
		ret->weight_bp = (uint32_t)lround(json_number_value(weight) * WEIGHT_BP_MAX);
	}
}

/* --- the rules --- */

static int step_of(const struct checked_rollout *r, const struct alias_target *t)
{
	const struct script_plan *p = r->plan;

	if (t->weight_bp == 0 && t->version == r->stable)
		return STEP_HOME;
	if (t->weight_bp == 0 && t->version == p->version)
		return (int)p->n_steps;
	for (unsigned i = 0; i < p->n_steps; i++) {
		if (t->version == r->stable && t->extra == p->version && t->weight_bp == p->weight_percent[i] * 100)
			return (int)i;
	}
	return STEP_UNKNOWN;
}

struct sought_intent {
	const struct asked *asked;
	char target[96];
	uint64_t seq;
	bool found;
};

static int seek_intent(void *ctx, const struct store_intent *i)
{
	struct sought_intent *s = ctx;

	if (strcmp(i->revision, s->asked->revision) == 0 && strcmp(i->target, s->target) == 0 && i->seq > s->seq) {
		s->found = true;
		s->seq = i->seq;
	}
	return 0;
}

/* 1: what is sent can be read back from the store, by another statement than the one that wrote it. */
static void check_intent(struct checker *c, struct host *h, struct asked *a)
{
	struct sought_intent s = {.asked = a};
	int r;

	c->s->tally.n[TALLY_CHECK_INTENT]++;
	alias_target_format(&a->target, s.target, sizeof(s.target));
	r = store_each_intent(h->store, a->row, seek_intent, &s);
	a->seq = s.seq;
	a->unrecorded = !s.found;
	if (s.found)
		return;
	if (a->home && h->engine->store_failing)
		c->unrecorded_home = true;
	else if (r == 0) /* or the disk cannot be read just now */
		checker_fail(c, VIOLATION_INTENT, "%s was sent without an intent on record", s.target);
}

/* The requests that a step needs before it can pass. */
static unsigned least_of(const struct script_plan *p)
{
	unsigned least = 0;

	for (unsigned i = 0; i < p->n_metrics; i++) {
		const struct script_metric *m = &p->metrics[i];
		bool probes = p->probe_ms > 0 && !m->ignores_probes;

		if (m->kind <= SCRIPT_COMPARE && !m->dry_run && !probes && m->min_invocations > least)
			least = m->min_invocations;
	}
	return least;
}

/* The bake of the step before, and evidence that covers it. */
static void check_advance(struct checker *c, const struct checked_rollout *r, const struct asked *a, int step)
{
	const struct script_plan *p = r->plan;
	int64_t bake_ms = p->bake_ms[step - 1], until = r->landed_unix_ms + bake_ms;
	int64_t end = (until + p->period_ms - 1) / p->period_ms * p->period_ms;
	const struct evidence_window w = {p->alias, p->version, p->period_ms,
					  r->landed_unix_ms / p->period_ms * p->period_ms, INT64_MAX / 2};
	struct evidence_counts told = evidence_count(c->evidence, &w, false);

	c->s->tally.n[TALLY_CHECK_EVIDENCE]++;
	if (p->approve[step - 1])
		checker_fail(c, VIOLATION_EVIDENCE, "%s#%llu goes on from step %d, which nobody has approved",
			     script_names[r->name], (unsigned long long)r->attempt, step);
	if (a->sent_ms - r->landed_ms < bake_ms)
		checker_fail(c, VIOLATION_EVIDENCE, "%s#%llu: step %d baked %lld ms instead of %lld",
			     script_names[r->name], (unsigned long long)r->attempt, step,
			     (long long)(a->sent_ms - r->landed_ms), (long long)bake_ms);
	/* Metrics have AWS's time; which periods are meant after a jump of the host's clock, nobody can say. */
	if (c->s->script->clock_jumps)
		return;
	if (told.invocations < p->min_invocations[step - 1] && !script_counts_probes(p, false))
		checker_fail(c, VIOLATION_EVIDENCE, "%s#%llu: %llu of the %u requests that step %d needs",
			     script_names[r->name], (unsigned long long)r->attempt,
			     (unsigned long long)told.invocations, p->min_invocations[step - 1], step);
	if (p->by_clock && step < (int)p->n_steps && p->min_invocations[step - 1] == 0)
		return;
	if (r->judged_unix_ms < end + p->settle_ms)
		checker_fail(c, VIOLATION_EVIDENCE,
			     "%s#%llu goes on from step %d before the last period of it was settled and judged",
			     script_names[r->name], (unsigned long long)r->attempt, step);
	if (!script_needs_metrics(p))
		return;
	if (evidence_complete_through(c->evidence, p->alias, p->version, p->period_ms, end + p->settle_ms, false) < end)
		checker_fail(c, VIOLATION_EVIDENCE,
			     "%s#%llu goes on from step %d, and nobody has told it how that went to its end",
			     script_names[r->name], (unsigned long long)r->attempt, step);
	if (p->no_data != SCRIPT_PASS && told.invocations < least_of(p))
		checker_fail(c, VIOLATION_EVIDENCE, "%s#%llu goes on from step %d on %llu requests, of %u needed",
			     script_names[r->name], (unsigned long long)r->attempt, step,
			     (unsigned long long)told.invocations, least_of(p));
	if (r->judged_through_unix_ms < end)
		checker_fail(c, VIOLATION_EVIDENCE, "%s#%llu goes on from step %d, and has not judged all of it",
			     script_names[r->name], (unsigned long long)r->attempt, step);
}

/* In a write that has left; but for that one. */
static bool was_asked_by(const struct checker *c, const struct checked_rollout *r, const struct alias_target *t,
			 const struct asked *but)
{
	size_t from = c->n_asked > CHECKER_ASKED ? c->n_asked - CHECKER_ASKED : 0;

	for (size_t i = from; i < c->n_asked; i++) {
		const struct asked *a = &c->asked[i % CHECKER_ASKED];

		if (a != but && a->writer == WRITER_DAEMON && &c->rollouts[a->rollout] == r &&
		    alias_target_equal(&a->target, t))
			return true;
	}
	return false;
}

/* 3, 4 and 7: a forward write. */
static void check_forward(struct checker *c, const struct host *h, const struct checked_rollout *r,
			  const struct asked *a, int step)
{
	c->s->tally.n[TALLY_CHECK_HOME]++;
	checker_hooks_agreed(c, r, false);
	checker_not_quarantined(c, r);
	/* What was tried before is tried again. */
	if (h->draining && !was_asked_by(c, r, &a->target, a))
		checker_fail(c, VIOLATION_ONE_WRITER, "%s#%llu asks for step %d while its daemon shuts down",
			     script_names[r->name], (unsigned long long)r->attempt, step + 1);
	if (r->must_pause)
		checker_fail(c, VIOLATION_HOME, "%s#%llu asks for step %d; it fails, and its plan says to pause then",
			     script_names[r->name], (unsigned long long)r->attempt, step + 1);
	if (r->must_go_home)
		checker_fail(c, VIOLATION_HOME, "%s#%llu asks for step %d, though %s", script_names[r->name],
			     (unsigned long long)r->attempt, step + 1, r->home_reason);
	if (r->went_home)
		checker_fail(c, VIOLATION_HOME, "%s#%llu asks for step %d after it had asked for the way home",
			     script_names[r->name], (unsigned long long)r->attempt, step + 1);
	if (r->paused)
		checker_fail(c, VIOLATION_EVIDENCE, "%s#%llu asks for step %d while an operator has paused it",
			     script_names[r->name], (unsigned long long)r->attempt, step + 1);
	if (r->plan->manual && r->sends == 0 && !r->by_hand && !r->full)
		checker_fail(c, VIOLATION_WEIGHT, "%s#%llu begins, though nobody has started it", script_names[r->name],
			     (unsigned long long)r->attempt);
	if (r->plan->ends_home && step == 1 && !r->full)
		checker_fail(c, VIOLATION_WEIGHT, "%s#%llu goes on to 100 %%, and its experiment was to end at home",
			     script_names[r->name], (unsigned long long)r->attempt);
	if (r->full || step == r->last_step || step == 0)
		return;
	if (step != r->last_step + 1)
		checker_fail(c, VIOLATION_CRASH, "%s#%llu asks for step %d after step %d", script_names[r->name],
			     (unsigned long long)r->attempt, step + 1, r->last_step + 1);
	else if (!r->by_hand)
		check_advance(c, r, a, step);
}

/* What it is about to ask for may be on record, though it was killed before that left: it cannot tell who did it. */
static bool may_have_asked(const struct checked_rollout *r, const struct alias_target *t)
{
	int step = step_of(r, t);

	return step >= 0 && step <= r->last_step + 1;
}

/* 5: it would land on what a human has written, and nobody has said that it may. */
static void check_foreign(struct checker *c, const struct checked_rollout *r, const struct asked *a)
{
	const struct checked_alias *at = &c->aliases[a->alias];

	c->s->tally.n[TALLY_CHECK_FOREIGN]++;
	if (a->revision[0] == '\0') {
		checker_fail(c, VIOLATION_FOREIGN, "a write without a RevisionId");
		return;
	}
	if (!at->there || strcmp(at->revision, a->revision) != 0)
		return;
	if (r->sends == 0 && at->holds.weight_bp > 0 && !r->word)
		checker_fail(c, VIOLATION_FOREIGN, "%s#%llu begins over weights that it has not asked for",
			     script_names[r->name], (unsigned long long)r->attempt);
	if (at->writer == WRITER_DAEMON && &c->rollouts[at->by] != r && r->sends > 0 &&
	    r->first_send_ms < at->changed_ms && !was_asked_by(c, r, &at->holds, NULL))
		checker_fail(c, VIOLATION_FOREIGN, "%s#%llu writes over what %s#%llu has left", script_names[r->name],
			     (unsigned long long)r->attempt, script_names[c->rollouts[at->by].name],
			     (unsigned long long)c->rollouts[at->by].attempt);
	if (at->writer != WRITER_HUMAN)
		return;
	if (r->sends == 0 || r->first_send_ms > at->changed_ms || r->word || alias_target_equal(&at->holds, &a->target))
		return;
	if (!alias_target_equal(&at->holds, &at->before_human) && !was_asked_by(c, r, &at->holds, NULL) &&
	    !may_have_asked(r, &at->holds))
		checker_fail(c, VIOLATION_FOREIGN, "%s#%llu writes over what a human has written",
			     script_names[r->name], (unsigned long long)r->attempt);
}

/* `concluded`: it is an experiment, and says that it is over. */
static void check_write(struct checker *c, struct host *h, struct checked_rollout *r, struct asked *a, bool concluded)
{
	int step = step_of(r, &a->target);
	char text[96];

	c->s->tally.n[TALLY_CHECK_WEIGHT]++;
	alias_target_format(&a->target, text, sizeof(text));
	check_foreign(c, r, a);
	a->home = step == STEP_HOME;
	check_intent(c, h, a);
	if (step == STEP_UNKNOWN)
		checker_fail(c, VIOLATION_WEIGHT, "%s#%llu asks for %s, which its plan does not", script_names[r->name],
			     (unsigned long long)r->attempt, text);
	else if (!a->home)
		check_forward(c, h, r, a, step);
	else if (concluded && !r->by_hand && !r->went_home && r->last_step == 0)
		check_advance(c, r, a, 1);
	if (a->home) {
		r->went_home = true;
		r->concluded = concluded;
		r->home_recorded = r->home_recorded || !a->unrecorded;
		r->home_asked = false;
	}
	if (r->ended)
		checker_fail(c, VIOLATION_END, "%s#%llu has ended and asks for %s", script_names[r->name],
			     (unsigned long long)r->attempt, text);
}

/* --- leaving --- */

static struct asked *remember(struct checker *c, unsigned alias, enum writer writer, const json_t *body)
{
	struct asked *a = &c->asked[c->n_asked++ % CHECKER_ASKED];
	const char *revision = json_string_value(json_object_get(body, "RevisionId"));

	*a = (struct asked){.writer = writer, .alias = alias, .sent_ms = c->s->now_ms};
	read_target(body, &a->target);
	(void)text_copy(a->revision, sizeof(a->revision), revision ? revision : "");
	return a;
}

static const struct item *owner_of(const struct host *h, unsigned alias)
{
	char key[128];

	(void)snprintf(key, sizeof(key), "default/us-east-1/" SCRIPT_FUNCTION "/%s", script_aliases[alias]);
	return strmap_get(&h->engine->by_alias, key);
}

static void check_daemon_write(struct checker *c, struct host *h, struct asked *a)
{
	const struct item *owner = owner_of(h, a->alias);
	struct checked_rollout *r = owner ? checker_rollout(c, owner) : NULL;

	/* A daemon that can neither write nor read its disk cannot know; its way home leaves all the same. */
	if (&c->s->hosts[c->s->owner] != h && !(h->engine->store_failing && owner && owner->state.goal == GOAL_HOME))
		checker_fail(c, VIOLATION_ONE_WRITER, "a daemon whose state another one has taken over writes");
	if (!r) {
		checker_fail(c, VIOLATION_ONE_WRITER, "a write for an alias that no rollout owns");
		return;
	}
	if (r->sends == 0)
		r->first_send_ms = c->s->now_ms;
	/* It starts from what it has found; and anew from there, if an operator says so before anything has landed. */
	if (r->sends == 0 || (r->word && r->last_step < 0))
		r->stable = owner->state.stable;
	a->rollout = (size_t)(r - c->rollouts);
	a->row = owner->id;
	check_write(c, h, r, a, owner->state.concluded);
	r->sends++;
}

void checker_not_sent(struct checker *c)
{
	/* It waits for its next try now, and others may pass it. */
	for (size_t i = 0; i < c->n_rollouts; i++)
		c->rollouts[i].home_asked = false;
}

/* 4: it goes before every other call that waits for the same quota, but for other ways home. */
static void check_home_first(struct checker *c, const struct http_request *request)
{
	for (size_t i = 0; i < c->n_rollouts; i++) {
		const struct checked_rollout *r = &c->rollouts[i];

		if (r->home_asked)
			checker_fail(c, VIOLATION_HOME, "%s %s leaves before the way home of %s#%llu", request->method,
				     request->path, script_names[r->name], (unsigned long long)r->attempt);
	}
}

#define CALLS_A_MINUTE 300

/* 10: nothing is tried again and again without a pause. */
static void check_rate(struct checker *c)
{
	int64_t minute = c->s->now_ms / MS_PER_MINUTE;

	c->calls = minute == c->minute ? c->calls + 1 : 1;
	c->minute = minute;
	if (c->calls > CALLS_A_MINUTE)
		checker_fail(c, VIOLATION_BOUNDED, "more than %d calls within a minute", CALLS_A_MINUTE);
}

unsigned checker_sending(struct checker *c, struct host *h, const struct http_request *r)
{
	unsigned alias = alias_of_path(r->path);
	struct asked *a;
	json_t *body;

	if (h)
		check_rate(c);
	if (h && checker_probes(c, h, r))
		return 0;
	if (h && alias != SCRIPT_ALIASES && strcmp(r->method, "GET") == 0)
		check_home_first(c, r);
	if (alias == SCRIPT_ALIASES || strcmp(r->method, "PUT") != 0)
		return 0;
	body = json_loadb(r->body, r->body_len, 0, NULL);
	a = remember(c, alias, h ? WRITER_DAEMON : WRITER_HUMAN, body);
	json_decref(body);
	if (h)
		check_daemon_write(c, h, a);
	if (h && !a->home)
		check_home_first(c, r);
	return (unsigned)c->n_asked;
}

void checker_given_up(struct checker *c, unsigned asked)
{
	if (asked > 0 && asked + CHECKER_ASKED > c->n_asked)
		c->asked[(asked - 1) % CHECKER_ASKED].given_up = true;
}

/* --- landing --- */

static void rollout_landed(struct checker *c, struct checked_rollout *r, const struct asked *a)
{
	int step = step_of(r, &a->target);

	c->s->tally.n[TALLY_LANDED]++;
	/* What it takes for the stable version is what the alias held. */
	if (!r->landed && step != STEP_HOME && !r->word && c->aliases[a->alias].holds.version != r->stable)
		checker_fail(c, VIOLATION_WEIGHT, "%s#%llu takes version %llu for the stable one; the alias held %llu",
			     script_names[r->name], (unsigned long long)r->attempt, (unsigned long long)r->stable,
			     (unsigned long long)c->aliases[a->alias].holds.version);
	r->landed = true;
	if (r->first_unix_ms == 0 && step != STEP_HOME)
		r->first_unix_ms = host_now(&c->s->hosts[c->s->owner]).unix_ms;
	if (a->given_up)
		c->s->tally.n[TALLY_LANDED_LATE]++;
	if (r->ended)
		checker_fail(c, VIOLATION_END, "a write of %s#%llu lands after it has ended", script_names[r->name],
			     (unsigned long long)r->attempt);
	if (step == STEP_HOME || step == r->last_step)
		return;
	r->last_step = step;
	r->by_hand = false;
	r->landed_ms = c->s->now_ms;
	r->landed_unix_ms = host_now(&c->s->hosts[c->s->owner]).unix_ms;
}

static struct asked *find_asked(struct checker *c, unsigned alias, const struct alias_target *holds,
				const char *old_revision)
{
	size_t from = c->n_asked > CHECKER_ASKED ? c->n_asked - CHECKER_ASKED : 0;

	for (size_t i = c->n_asked; i-- > from;) {
		struct asked *a = &c->asked[i % CHECKER_ASKED];
		bool free = a->writer == WRITER_HUMAN && a->revision[0] == '\0';

		if (a->alias == alias && alias_target_equal(&a->target, holds) &&
		    (free || strcmp(a->revision, old_revision) == 0))
			return a;
	}
	return NULL;
}

static void alias_changed(struct checker *c, unsigned alias, const struct checked_alias *now)
{
	struct checked_alias *a = &c->aliases[alias];
	struct asked *by = find_asked(c, alias, &now->holds, a->revision);
	char text[96], line[160];

	alias_target_format(&now->holds, text, sizeof(text));
	(void)snprintf(line, sizeof(line), "%s holds %s%s", script_aliases[alias], text,
		       !by			    ? ""
		       : by->writer == WRITER_HUMAN ? ", by a human"
						    : "");
	trace_note(&c->s->trace, c->s->now_ms, "alias", line);
	if (a->there && !by)
		checker_fail(c, VIOLATION_WEIGHT, "the alias %s holds %s, which nobody asked for",
			     script_aliases[alias], text);
	a->writer = by ? by->writer : WRITER_HUMAN; /* a human has made it again */
	if (by && by->writer == WRITER_DAEMON) {
		a->by = by->rollout;
		rollout_landed(c, &c->rollouts[by->rollout], by);
	}
}

void checker_look(struct checker *c)
{
	for (unsigned i = 0; i < SCRIPT_ALIASES; i++) {
		struct checked_alias *a = &c->aliases[i];
		struct world_alias w;
		struct checked_alias now = {0};

		now.there = world_look_at_alias(c->s->world, SCRIPT_FUNCTION, script_aliases[i], &w);
		if (now.there) {
			now.holds = (struct alias_target){w.version, w.extra_version,
							  (uint32_t)lround(w.extra_weight * WEIGHT_BP_MAX)};
			(void)text_copy(now.revision, sizeof(now.revision), w.revision);
		}
		if (now.there == a->there && strcmp(now.revision, a->revision) == 0)
			continue;
		if (now.there)
			alias_changed(c, i, &now);
		a->there = now.there;
		a->holds = now.holds;
		(void)text_copy(a->revision, sizeof(a->revision), now.revision);
		a->changed_ms = c->s->now_ms;
	}
}
