/*
 * The state machine under random faults: lost, late and throttled writes, crashes at any event, a human's writes,
 * operators' commands, metrics that turn bad, go missing or cannot be read, hooks that refuse or do not answer,
 * requests for provisioned concurrency that are lost. The rig checks each write as it is asked for; here the rest of
 * the invariants is checked at each step. After a while the faults stop, and everything must end.
 *
 * ROLLOUT_SEED runs one seed alone and says what happens; ROLLOUT_SEEDS sets how many are run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/prng.h"
#include "core_rig.h"

struct run {
	struct rig g;
	struct prng prng;
	uint64_t seed;
	/* intensities, drawn for each seed, in per mille */
	unsigned p_fault, p_crash, p_human, p_command, p_metrics;
	struct alias_target left; /* what the rollout had left when the human wrote */
	bool human_seen;	  /* a human has written since the last operator's word */
	bool went_home;
	unsigned writes_seen;
	bool release_refused;
	bool promoted_fully; /* an operator said so */
};

static bool chance(struct run *x, unsigned per_mille)
{
	return prng_below(&x->prng, 1000) < per_mille;
}

#define check(x, cond)                                                                                                 \
	do {                                                                                                           \
		if (!(cond)) {                                                                                         \
			print_error("seed %llu: %s: phase %s, reason %s\n", (unsigned long long)(x)->seed, #cond,      \
				    rollout_phase_name((x)->g.r.phase), (x)->g.r.reason);                              \
			fail();                                                                                        \
		}                                                                                                      \
	} while (0)

static enum fate draw_fate(struct run *x)
{
	if (!chance(x, x->p_fault))
		return FATE_OK;
	return (enum fate)(FATE_LOST_BEFORE + prng_below(&x->prng, 4));
}

/* Invariant 5: a write on top of a human's must have been allowed by an operator's resume or rollback; unless the human
 * wrote what the rollout had left, or wants, itself: equal content is ours to go on from. */
static void answer_write(struct run *x, enum fate fate)
{
	bool on_human = x->g.human_wrote && strcmp(x->g.write.revision, x->g.alias.revision) == 0 &&
			!alias_target_equal(&x->g.alias.target, &x->left) &&
			!alias_target_equal(&x->g.alias.target, &x->g.write.target);

	if (on_human)
		check(x, !x->human_seen);
	rig_answer_write(&x->g, fate);
}

/* Mostly good; sometimes without an answer, seldom a refusal. */
static enum call_outcome draw_outcome(struct run *x)
{
	if (!chance(x, x->p_fault))
		return CALL_OK;
	if (chance(x, 50))
		return CALL_REFUSED;
	return chance(x, 500) ? CALL_UNAVAILABLE : CALL_UNKNOWN;
}

static void answer_outside(struct run *x, bool calm)
{
	struct rig *g = &x->g;
	enum call_outcome outcome = calm ? CALL_OK : draw_outcome(x);
	bool applied = outcome == CALL_OK || (outcome == CALL_UNKNOWN && chance(x, 500));

	if (g->has_gate) {
		rig_answer_gate(g, outcome);
	} else if (g->has_provision) {
		rig_answer_provision(g, outcome, applied);
	} else {
		x->release_refused = x->release_refused || outcome == CALL_REFUSED;
		rig_answer_release(g, outcome, applied);
	}
}

static bool waits_outside(const struct rig *g)
{
	return g->has_gate || g->has_provision || g->has_release;
}

/* What is under way then may take effect, or not. */
static void crash(struct run *x)
{
	struct rig *g = &x->g;

	if (g->has_provision && chance(x, 500)) {
		g->canary_provisioned = g->provision_count;
		g->provision_state = PROVISION_IN_PROGRESS;
	}
	if (g->has_release && chance(x, 500))
		*(g->release_version == g->r.canary ? &g->canary_provisioned : &g->stable_provisioned) = 0;
	rig_crash(g, chance(x, 700));
}

static void human(struct run *x)
{
	const struct alias_target targets[] = {{.version = 1}, {1, 2, 2500}, {.version = 9}, {1, 3, 1000}};

	x->left = x->g.r.live;
	rig_human(&x->g, targets[prng_below(&x->prng, array_len(targets))]);
	/* Before it is prepared there is nothing to overwrite; after an operator's word the alias is read once, and
	 * what it holds then is what was allowed. */
	x->human_seen = x->g.r.prepared && !x->g.r.take_over;
}

static void command(struct run *x)
{
	enum rollout_command c = (enum rollout_command)prng_below(&x->prng, COMMAND_ROLLBACK + 1);
	bool blocked = x->g.r.phase == PHASE_BLOCKED;
	enum rollout_answer a = rig_command(&x->g, c);

	/* The operator's word lets a blocked rollout go on from what is there now. */
	if (a == ANSWER_DONE && blocked)
		x->human_seen = false;
	x->promoted_fully = x->promoted_fully || c == COMMAND_PROMOTE_FULL;
}

static void metrics(struct run *x)
{
	x->g.metrics_missing = chance(x, 200);
	x->g.metrics_unreadable = chance(x, 200);
	x->g.canary_errors = chance(x, 300) ? 300 : 0;
	x->g.canary_invocations = chance(x, 100) ? 3 : 600;
	if (x->g.canary_errors > x->g.canary_invocations)
		x->g.canary_errors = 0;
}

static void check_always(struct run *x)
{
	const struct rollout *r = &x->g.r;

	/* Invariant 4: once it goes home, no canary weight is asked for any more. */
	if (x->went_home && x->g.writes > x->writes_seen)
		check(x, x->g.write.home);
	x->writes_seen = x->g.writes;
	if (r->goal == GOAL_HOME)
		x->went_home = true;
	if (r->phase == PHASE_SUCCEEDED || r->phase == PHASE_ROLLED_BACK || r->phase == PHASE_FAILED) {
		/* Invariant 8: unless a human wrote since, the end is clean and where it should be. */
		if (!x->g.human_wrote && !x->g.has_late && r->prepared) {
			check(x, x->g.alias.target.weight_bp == 0);
			check(x, x->g.alias.target.version == (r->phase == PHASE_SUCCEEDED ? r->canary : r->stable));
		}
	}
	/* An experiment is over by its time or an operator's word: on the way home, and not to be quarantined for. */
	if (r->concluded) {
		check(x, x->g.spec.experiment_ends_home && r->goal == GOAL_HOME);
		check(x, !r->quarantine && !x->g.quarantined_effect);
	}
	/* One that goes back has all the traffic by an operator's word alone. */
	if (x->g.spec.experiment_ends_home && x->g.has_write && x->g.write.target.version == r->canary)
		check(x, x->promoted_fully);
	/* No success before the last gate has opened; a rollout that changes nothing asks nobody. */
	if (r->phase == PHASE_SUCCEEDED && r->stable != r->canary)
		check(x, !x->g.spec.post_gate || x->g.gate_opened_post);
	/* What was given to a canary that is not wanted is taken back, and only that. */
	if (rollout_settled(r) && r->prepared && !x->release_refused && r->stable != r->canary) {
		check(x, r->phase == PHASE_SUCCEEDED ? x->g.canary_provisioned >= r->provisioned
						     : x->g.canary_provisioned == 0);
		check(x, r->phase != PHASE_SUCCEEDED || x->g.stable_provisioned == 0);
	}
	/* Something is always waited for, unless an operator must act or it has ended. */
	if (!rollout_settled(r) && r->phase != PHASE_BLOCKED && r->phase != PHASE_PENDING &&
	    !(r->phase == PHASE_PAUSED && r->first_traffic_unix_ms == 0))
		check(x, x->g.has_prepare || x->g.has_read || x->g.has_write || x->g.has_poll || waits_outside(&x->g) ||
			     x->g.timer_boot_ms != INT64_MAX);
	check(x, r->phase != PHASE_PAUSED || r->pause != 0);
}

/* One thing happens. */
static void event(struct run *x)
{
	struct rig *g = &x->g;

	if (chance(x, x->p_crash))
		crash(x);
	else if (chance(x, x->p_human))
		human(x);
	else if (chance(x, x->p_command))
		command(x);
	else if (chance(x, x->p_metrics))
		metrics(x);
	else if (g->has_late && chance(x, 200))
		rig_deliver_late(g);
	else if (g->has_write)
		answer_write(x, draw_fate(x));
	else if (waits_outside(g) && chance(x, 700))
		answer_outside(x, false);
	else
		(void)rig_turn(g);
	check_always(x);
}

static void calm_down(struct run *x)
{
	struct rig *g = &x->g;

	rig_deliver_late(g);
	g->metrics_missing = g->metrics_unreadable = false;
	g->canary_invocations = 600;
	g->canary_errors = 0;
	for (int i = 0; i < 4000 && !rollout_settled(&g->r); i++) {
		if (g->r.phase == PHASE_BLOCKED) {
			x->human_seen = false;
			(void)rig_command(g, COMMAND_ROLLBACK);
		} else if (g->r.phase == PHASE_PAUSED && g->r.pause & PAUSE_FAILURE) {
			(void)rig_command(g, COMMAND_ROLLBACK);
		} else if (g->r.phase == PHASE_PAUSED) {
			(void)rig_command(g, g->r.pause & PAUSE_APPROVAL ? COMMAND_PROMOTE : COMMAND_RESUME);
		} else if (g->has_write) {
			answer_write(x, FATE_OK);
		} else if (waits_outside(g)) {
			answer_outside(x, true);
		} else {
			(void)rig_turn(g);
		}
		check_always(x);
	}
	check(x, rollout_settled(&g->r));
}

static void draw_plan(struct run *x)
{
	struct rig *g = &x->g;

	g->steps[0].approve = chance(x, 200);
	g->steps[1].min_invocations = chance(x, 200) ? 2000 : 0;
	g->spec.n_steps = (size_t)prng_below(&x->prng, 3);
	g->spec.experiment = g->spec.n_steps == 1 && chance(x, 600);
	g->spec.experiment_ends_home = g->spec.experiment && chance(x, 600);
	g->spec.final_bake_ms = chance(x, 500) ? 3 * MS_PER_MINUTE : 0;
	g->spec.pre_gate = chance(x, 300);
	g->spec.post_gate = chance(x, 300);
	g->stable_provisioned = chance(x, 300) ? 10 : 0;
	g->source_version = chance(x, 200) ? 2 : 0;
	g->spec.soak_ms = g->source_version != 0 ? 10 * MS_PER_MINUTE : 0;
	g->gate_takes_long = chance(x, 500);
	g->spec.on_failure = chance(x, 300) ? SPEC_PAUSE : SPEC_ROLLBACK;
	g->spec.analysis.pace = chance(x, 300) ? SPEC_PACE_CLOCK : SPEC_PACE_EVIDENCE;
	g->spec.analysis.no_data = (enum spec_no_data)prng_below(&x->prng, 3);
	g->spec.analysis.on_hold_limit = chance(x, 500) ? SPEC_PAUSE : SPEC_ROLLBACK;
	g->spec.analysis.hold_limit_ms = 20 * MS_PER_MINUTE;
	x->p_fault = (unsigned)prng_below(&x->prng, 500);
	x->p_crash = (unsigned)prng_below(&x->prng, 150);
	x->p_human = (unsigned)prng_below(&x->prng, 2) * (unsigned)prng_below(&x->prng, 60);
	x->p_command = (unsigned)prng_below(&x->prng, 60);
	x->p_metrics = (unsigned)prng_below(&x->prng, 150);
}

static void run_seed(uint64_t seed, bool trace, unsigned ends[PHASE_BLOCKED + 1])
{
	struct run x = {.seed = seed};

	prng_init(&x.prng, seed);
	rig_init(&x.g);
	draw_plan(&x);
	x.g.trace = trace;
	rig_simple(&x.g, EVENT_START);
	for (int i = 0; i < 150 && !rollout_settled(&x.g.r); i++)
		event(&x);
	if (!rollout_settled(&x.g.r))
		calm_down(&x);
	/* Nothing that is still under way may land after the end. */
	if (!x.g.human_wrote) {
		rig_deliver_late(&x.g);
		check_always(&x);
	}
	ends[x.g.r.phase]++;
	rig_deinit(&x.g);
}

static uint64_t from_env(const char *name, uint64_t fallback)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : fallback;
}

static void every_seed_ends_well(void **state)
{
	unsigned ends[PHASE_BLOCKED + 1] = {0};
	uint64_t one = from_env("ROLLOUT_SEED", 0);
	uint64_t seeds = from_env("ROLLOUT_SEEDS", 20000);

	(void)state;
	for (uint64_t seed = one ? one : 1; seed <= (one ? one : seeds); seed++)
		run_seed(seed, one != 0, ends);
	if (one)
		return;
	print_message("%llu seeds: %u succeeded, %u rolled back, %u failed before any traffic\n",
		      (unsigned long long)seeds, ends[PHASE_SUCCEEDED], ends[PHASE_ROLLED_BACK], ends[PHASE_FAILED]);
	/* A test that only ever sees one end tests little. */
	assert_true(ends[PHASE_SUCCEEDED] > seeds / 50);
	assert_true(ends[PHASE_ROLLED_BACK] > seeds / 50);
	assert_true(ends[PHASE_FAILED] > seeds / 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_seed_ends_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
