/*
 * The checker's rules about judgements: each one that the daemon makes is made again from what CloudWatch has told it
 * (expect.h), and what follows from it is what the plan says. When a rollout is over, the judgements on record are held
 * against those. And the rules about probes, which give evidence as well.
 */
#include "tests/sim/checker_inner.h"

#include <jansson.h>
#include <math.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tests/sim/evidence.h"
#include "tests/sim/expect.h"

/* --- what is told --- */

static bool is_watched(const struct item *i)
{
	const struct rollout *r = &i->state;

	return !i->unreadable && r->first_traffic_unix_ms != 0 && r->goal == GOAL_FORWARD && !rollout_ended(r) &&
	       r->phase != PHASE_BLOCKED;
}

/* How it stands before an answer is given to the daemon. */
static void look_before(struct checker *c, const struct item *i, struct checked_rollout *r)
{
	const struct rollout *s = &i->state;

	r->before = (struct before_answer){
	    .polling = is_watched(i) && s->poll_pending,
	    .seq = s->poll_seq,
	    .step = s->step,
	    .from_unix_ms = s->first_traffic_unix_ms,
	    .step_from_unix_ms = s->step_from_unix_ms,
	    .promoted_unix_ms = s->promoted_unix_ms,
	};
	if (r->begun || s->first_traffic_unix_ms == 0 || rollout_ended(s))
		return;
	r->begun = true;
	evidence_forget(c->evidence, r->plan->alias);
}

void checker_delivers(struct checker *c, struct host *h, const struct delivery *d)
{
	if (h != &c->s->hosts[c->s->owner])
		return; /* what a daemon is told whose state another one has, counts for nothing */
	for (const struct item *i = h->engine->first; i; i = i->next) {
		struct checked_rollout *r = i->unreadable ? NULL : checker_rollout(c, i);

		if (!r)
			continue;
		look_before(c, i, r);
		/* Of an answer for several, one cannot tell from here who was to take what. */
		if (d && delivery_is_of(d, r->plan->alias) && !delivery_is_of_alone(d, r->plan->alias))
			r->shared = true;
	}
	if (d)
		evidence_take(c->evidence, d, host_now(h).unix_ms);
}

/* --- a judgement --- */

static void ask(const struct checker *c, const struct host *h, const struct item *i, const struct checked_rollout *r,
		struct expectation *ret)
{
	const struct script_plan *p = r->plan;
	const struct rollout *s = &i->state;
	bool last = r->before.step >= p->n_steps;
	const struct expect_question q = {
	    .told = c->evidence,
	    .plan = p,
	    .samples = &i->samples,
	    .alarms = s->alarms,
	    .canary = (unsigned)s->canary,
	    .stable = (unsigned)s->stable,
	    .now_unix_ms = host_now(h).unix_ms,
	    .from_unix_ms = r->before.from_unix_ms,
	    .step_from_unix_ms = r->before.step_from_unix_ms,
	    .step_until_unix_ms = r->before.step_from_unix_ms + (last ? p->final_bake_ms : p->bake_ms[r->before.step]),
	    .read_through_unix_ms = s->read_through_unix_ms,
	    .alarms_read_unix_ms = s->alarms_read_unix_ms,
	    .promoted_unix_ms = r->before.promoted_unix_ms,
	    .step_min_invocations = last ? 0 : p->min_invocations[r->before.step],
	    .excused_alarms = s->excused_alarms,
	    .history = s->history,
	    .stable_since_unix_ms = s->stable_since_unix_ms,
	    .landed_unix_ms = s->landed_unix_ms,
	};

	expect_judge(&q, ret);
}

static bool is_certain(const struct checker *c, const struct checked_rollout *r, const struct expectation *x)
{
	return x->certain && !r->shared && !c->s->script->clock_jumps &&
	       !(r->probes_doubtful && script_counts_probes(r->plan, true));
}

static void remember(struct checker *c, const struct item *i, const struct checked_rollout *r,
		     const struct expectation *x)
{
	c->expected[c->n_expected++ % CHECKER_EXPECTED] = (struct expected){
	    .row = i->id,
	    .seq = r->before.seq,
	    .certain = is_certain(c, r, x),
	    .verdict = x->verdict,
	    .canary = x->canary,
	    .stable = x->stable,
	    .weighed = x->weighed,
	    .evidence = x->evidence,
	};
}

/* What is believed was told in full. The window of what counts never begins anew. */
static void check_window(struct checker *c, const struct item *i, struct checked_rollout *r)
{
	const struct script_plan *p = r->plan;
	int64_t from = r->before.from_unix_ms / p->period_ms * p->period_ms;
	int64_t told = evidence_complete_through(c->evidence, p->alias, p->version, p->period_ms, 0, false);

	if (c->s->script->clock_jumps)
		return;
	if (i->state.read_through_unix_ms > (told > from ? told : from))
		checker_fail(c, VIOLATION_EVIDENCE, "%s#%llu believes periods that it was not told of in full", i->name,
			     (unsigned long long)i->attempt);
	if (r->window_unix_ms != 0 && from > r->window_unix_ms)
		checker_fail(c, VIOLATION_EVIDENCE, "%s#%llu leaves out what its canary did before", i->name,
			     (unsigned long long)i->attempt);
	r->window_unix_ms = from;
}

/* 4: what follows from a canary that fails, or that nobody calls. */
static void follow(struct checker *c, struct checked_rollout *r, const struct expectation *x)
{
	const struct script_plan *p = r->plan;
	bool failing = x->verdict == VERDICT_FAIL;
	bool fails = failing || (x->gap == VERDICT_GAP_NO_DATA && p->no_data == SCRIPT_ROLLBACK);

	r->failing = failing;
	if (p->failure_pauses) {
		r->must_pause = failing && !r->pardoned;
		return;
	}
	if (!fails)
		return;
	c->s->tally.n[TALLY_JUDGED_FAILED]++;
	r->failed = true;
	checker_must_go_home(c, r, false, failing ? "it has been told that its canary fails" : "nobody came");
}

static const char *text_of(const struct expectation *x)
{
	return x->verdict == VERDICT_UNDECIDED ? verdict_gap_name(x->gap) : verdict_name(x->verdict);
}

static void check_judgement(struct checker *c, struct host *h, const struct item *i, struct checked_rollout *r)
{
	const struct rollout *s = &i->state;
	struct expectation x;

	c->s->tally.n[TALLY_JUDGED]++;
	check_window(c, i, r);
	ask(c, h, i, r, &x);
	r->judged_unix_ms = host_now(h).unix_ms;
	r->judged_through_unix_ms = x.through_unix_ms;
	remember(c, i, r, &x);
	if (!is_certain(c, r, &x)) {
		r->failing = false; /* nobody here knows */
		return;
	}
	c->s->tally.n[TALLY_CHECK_EVIDENCE]++;
	c->s->tally.n[TALLY_JUDGED_AGAIN]++;
	c->s->tally.n[TALLY_JUDGED_COMPARED] += x.weighed;
	c->s->tally.n[TALLY_DRY_FAILURES] += (x.failed & x.dry) != 0;
	/* The next step's verdict is none yet. */
	if (s->step == r->before.step && (s->verdict != x.verdict || (s->gap != x.gap && x.verdict != VERDICT_FAIL)))
		checker_fail(c, x.verdict == VERDICT_FAIL ? VIOLATION_HOME : VIOLATION_EVIDENCE,
			     "%s#%llu judges %s (%s), and what it was told says %s (failed %x, dry %x): %.200s",
			     i->name, (unsigned long long)i->attempt, verdict_name(s->verdict),
			     verdict_gap_name(s->gap), text_of(&x), x.failed, x.dry, s->why);
	follow(c, r, &x);
	if (s->goal == GOAL_HOME && s->quarantine && !r->failed)
		checker_fail(c, VIOLATION_HOME, "%s#%llu rolls back, and nothing that counts fails: %.300s", i->name,
			     (unsigned long long)i->attempt, s->reason);
}

void checker_answered(struct checker *c, struct host *h)
{
	if (h != &c->s->hosts[c->s->owner])
		return;
	for (const struct item *i = h->engine->first; i; i = i->next) {
		struct checked_rollout *r = i->unreadable ? NULL : checker_rollout(c, i);
		bool waits = i->state.poll_pending && r && i->state.poll_seq == r->before.seq;

		/* Where both versions are one, there is nothing to judge. */
		if (r && r->before.polling && !waits && i->state.stable != i->state.canary)
			check_judgement(c, h, i, r);
		if (r)
			r->before.polling = false;
	}
}

void checker_judgements_durable(struct checker *c)
{
	for (; c->n_durable < c->n_expected; c->n_durable++)
		c->expected[c->n_durable % CHECKER_EXPECTED].durable = true;
}

void checker_judgements_lost(struct checker *c)
{
	for (size_t n = c->n_durable; n < c->n_expected; n++)
		c->expected[n % CHECKER_EXPECTED].row = 0;
	c->n_durable = c->n_expected;
	for (size_t i = 0; i < c->n_rollouts; i++) {
		struct checked_rollout *r = &c->rollouts[i];

		r->before.polling = false;
		r->probes_doubtful = true;
		r->window_unix_ms = r->window_durable_unix_ms;
	}
}

/* --- the judgements on record --- */

struct audit {
	struct checker *c;
	struct checked_rollout *r;
	bool compared; /* by the comparison it was found to fail */
	unsigned rows;
	uint64_t last_seq;
};

static bool is_pair(const json_t *list, const struct counts *c)
{
	if (!c->seen)
		return list == NULL;
	return (uint64_t)json_integer_value(json_array_get(list, 0)) == c->invocations &&
	       (uint64_t)json_integer_value(json_array_get(list, 1)) == c->errors;
}

static double evidence_in(const json_t *detail, const struct script_plan *p)
{
	for (unsigned n = 0; n < p->n_metrics; n++) {
		if (p->metrics[n].kind == SCRIPT_COMPARE)
			return json_number_value(
			    json_object_get(json_array_get(json_object_get(detail, "metrics"), n), "evidence"));
	}
	return NAN;
}

static void check_row(struct audit *a, const struct store_judgement *j, const struct expected *x)
{
	json_t *detail = json_loads(j->detail, 0, NULL);
	double evidence = evidence_in(detail, a->r->plan);

	if (strcmp(j->verdict, verdict_name(x->verdict)) != 0 ||
	    !is_pair(json_object_get(detail, "canary"), &x->canary) ||
	    !is_pair(json_object_get(detail, "stable"), &x->stable) ||
	    (x->weighed && !(fabs(evidence - x->evidence) <= 1e-4 * (1 + fabs(x->evidence)))))
		checker_fail(a->c, VIOLATION_EVIDENCE,
			     "%s#%llu: judgement %llu on record is %s of %.300s; it was told %llu/%llu and %llu/%llu "
			     "(evidence %g)",
			     script_names[a->r->name], (unsigned long long)a->r->attempt, (unsigned long long)j->seq,
			     j->verdict, j->detail, (unsigned long long)x->canary.errors,
			     (unsigned long long)x->canary.invocations, (unsigned long long)x->stable.errors,
			     (unsigned long long)x->stable.invocations, x->evidence);
	json_decref(detail);
}

static int audit_row(void *ctx, const struct store_judgement *j)
{
	struct audit *a = ctx;
	const struct script_plan *p = a->r->plan;
	bool failed = strcmp(j->verdict, verdict_name(VERDICT_FAIL)) == 0 && j->metric < p->n_metrics;
	size_t from = a->c->n_expected > CHECKER_EXPECTED ? a->c->n_expected - CHECKER_EXPECTED : 0;

	a->rows++;
	if (j->seq <= a->last_seq)
		checker_fail(a->c, VIOLATION_EVIDENCE, "%s#%llu was judged twice as number %llu",
			     script_names[a->r->name], (unsigned long long)a->r->attempt, (unsigned long long)j->seq);
	a->last_seq = j->seq;
	if (failed && p->metrics[j->metric].dry_run)
		checker_fail(a->c, VIOLATION_HOME, "%s#%llu fails by what only runs dry: %.300s",
			     script_names[a->r->name], (unsigned long long)a->r->attempt, j->text);
	a->compared = a->compared || (failed && p->metrics[j->metric].kind == SCRIPT_COMPARE);
	for (size_t n = from; n < a->c->n_expected; n++) {
		struct expected *x = &a->c->expected[n % CHECKER_EXPECTED];

		if (x->row != j->rollout_id || x->seq != j->seq)
			continue;
		x->found = true;
		if (x->certain)
			check_row(a, j, x);
	}
	return 0;
}

static void check_all_there(struct checker *c, const struct checked_rollout *r)
{
	size_t from = c->n_expected > CHECKER_EXPECTED ? c->n_expected - CHECKER_EXPECTED : 0;

	for (size_t n = from; n < c->n_expected; n++) {
		const struct expected *x = &c->expected[n % CHECKER_EXPECTED];

		if (x->row == r->row && x->durable && !x->found)
			checker_fail(c, VIOLATION_CRASH, "%s#%llu: judgement %llu is not on record",
				     script_names[r->name], (unsigned long long)r->attempt, (unsigned long long)x->seq);
	}
}

/* How often a canary that is no worse is sent back by the comparison, by the share that its plan accepts. */
static void count_equal(struct checker *c, const struct audit *a)
{
	const struct script_metric *m = script_metric_of(a->r->plan, SCRIPT_COMPARE);
	enum tally_item of;

	if (!m || m->dry_run || a->rows == 0 || a->r->stable != 1 || !script_is_equal(c->s->script, a->r->plan))
		return;
	of = m->false_alarm_percent == 1    ? TALLY_EQUAL_1
	     : m->false_alarm_percent == 10 ? TALLY_EQUAL_10
					    : TALLY_EQUAL_50;
	c->s->tally.n[of]++;
	c->s->tally.n[of + 1] += a->compared;
}

void checker_audit(struct checker *c, struct host *h)
{
	for (size_t i = 0; i < c->n_rollouts; i++) {
		struct audit a = {.c = c, .r = &c->rollouts[i]};

		if (!a.r->audit_due || h->engine->store_failing || h->engine->n_dirty > 0)
			continue;
		a.r->audit_due = false;
		if (store_each_judgement(h->store, a.r->row, audit_row, &a) != 0)
			continue; /* the disk cannot be read just now */
		check_all_there(c, a.r);
		count_equal(c, &a);
	}
}

/* --- probes --- */

#define PROBE_PATH "/2015-03-31/functions/" SCRIPT_FUNCTION "/invocations"
#define PROBE_WHO  "Qualifier="

/* Whose request it says that it is; NULL: nobody's. */
static const struct item *sender_of(const struct host *h, const struct http_request *request)
{
	const char *context = http_header_find(request->headers, request->n_headers, "X-Amz-Client-Context");
	char text[256] = "", said[128];
	size_t len = context ? strlen(context) : 0;

	if (len > 0 && len < sizeof(text))
		(void)EVP_DecodeBlock((unsigned char *)text, (const unsigned char *)context, (int)len);
	for (const struct item *i = h->engine->first; i; i = i->next) {
		(void)snprintf(said, sizeof(said), "{\"custom\":{\"rolloutd\":\"probe\",\"rollout\":\"%s\"}}", i->name);
		if (is_watched(i) && strcmp(text, said) == 0)
			return i;
	}
	return NULL;
}

/* Its canary, or the stable version where the two are compared by their probes. */
static bool may_probe(const struct item *i, const struct script_plan *p, uint64_t version)
{
	const struct script_metric *m = script_metric_of(p, SCRIPT_COMPARE);

	return p->probe_ms > 0 &&
	       (version == i->state.canary || (version == i->state.stable && m && !m->ignores_probes));
}

/* In the life of one daemon; the next one begins anew. */
static void check_probe_rate(struct checker *c, const struct host *h, struct checked_rollout *r, bool canary)
{
	struct checked_probes *p = &r->probes[canary];

	if (p->life_ms != h->started_ms || p->n == 0)
		*p = (struct checked_probes){.life_ms = h->started_ms, .from_ms = c->s->now_ms};
	p->n++;
	if (p->n > (uint64_t)((c->s->now_ms - p->from_ms) / r->plan->probe_ms) + 2)
		checker_fail(c, VIOLATION_BOUNDED, "%s#%llu probes more often than its plan says: %llu in %lld ms",
			     script_names[r->name], (unsigned long long)r->attempt, (unsigned long long)p->n,
			     (long long)(c->s->now_ms - p->from_ms));
}

bool checker_probes(struct checker *c, struct host *h, const struct http_request *request)
{
	const char *who = strstr(request->query, PROBE_WHO);
	uint64_t version = who ? strtoull(who + strlen(PROBE_WHO), NULL, 10) : 0;
	const struct item *i;
	struct checked_rollout *r;

	if (strcmp(request->path, PROBE_PATH) != 0)
		return false;
	c->s->tally.n[TALLY_PROBES]++;
	i = sender_of(h, request);
	r = i ? checker_rollout(c, i) : NULL;
	if (!r || !may_probe(i, r->plan, version)) {
		checker_fail(c, VIOLATION_WEIGHT, "a probe of %s, which nobody is to probe now", request->query);
		return true;
	}
	if (!r->landed || r->ended || r->went_home || r->must_go_home)
		checker_fail(c, VIOLATION_WEIGHT, "%s#%llu probes, and its canary is not judged%s%s",
			     script_names[r->name], (unsigned long long)r->attempt, r->must_go_home ? ": " : "",
			     r->home_reason);
	check_probe_rate(c, h, r, version == i->state.canary);
	return true;
}
