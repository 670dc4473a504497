/* One seed from its beginning to its end. See simulation.h. */
#include "tests/sim/simulation.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "plan/diag.h"

#define SLICE_MS      (20 * MS_PER_SECOND)
#define SLOW_SLICE_MS (100 * MS_PER_SECOND)
#define STEPS_AT_ONCE 4000 /* without time going on: something spins */
#define RESOLVE_MS    (3 * MS_PER_MINUTE)

static void describe_world(const struct script *s, struct buf *out)
{
	buf_addf(out, "seed: %llu\nfunctions:\n  " SCRIPT_FUNCTION ":\n    versions:\n",
		 (unsigned long long)s->seed % 1000000007);
	for (unsigned i = 1; i <= SCRIPT_VERSIONS; i++) {
		const struct script_version *v = &s->versions[i];

		buf_addf(out, "      %u: {error_rate: %u.%u%%", i, v->error_permille / 10, v->error_permille % 10);
		if (v->errors_after_ms)
			buf_addf(out, ", errors_after: %llds", (long long)(v->errors_after_ms / MS_PER_SECOND));
		if (v->throttle_permille)
			buf_addf(out, ", throttle_rate: %u.%u%%", v->throttle_permille / 10, v->throttle_permille % 10);
		buf_addf(out, ", latency: {median: %ums}}\n", v->latency_ms);
	}
	buf_add_text(out, "    aliases: {prod: {version: 1}, test: {version: 1}}\ntraffic:\n");
	for (unsigned i = 0; i < SCRIPT_ALIASES; i++)
		buf_addf(out, "  - {function: " SCRIPT_FUNCTION ", alias: %s, rps: %u.%u, users: 1}\n",
			 script_aliases[i], s->rps[i] / 10, s->rps[i] % 10);
	buf_addf(out, "metrics: {delay: %llds, jitter: %llds, late: {share: %u%%, by: %llds}}\nlimits: off\n",
		 (long long)(s->metrics_delay_ms / MS_PER_SECOND), (long long)(s->metrics_jitter_ms / MS_PER_SECOND),
		 s->late_percent, (long long)(s->late_by_ms / MS_PER_SECOND));
	if (s->has_gauge)
		buf_addf(out, "gauges: [{namespace: Sim, metric: depth, value: %d}]\n", SCRIPT_GAUGE_OK);
	if (s->has_alarm)
		buf_addf(out, "alarms: [{name: " SCRIPT_ALARM ", state: %s}]\n", s->alarm_at_first ? "ALARM" : "OK");
}

static void make_world(struct simulation *s)
{
	struct buf text cleanup(buf_deinit) = BUF_INIT(16384);
	struct diags *diags cleanup(mem_free_p) = mem_alloc(sizeof(*diags));
	struct instant now = {.unix_ms = SIMULATION_START_UNIX_MS};

	describe_world(s->script, &text);
	s->world = world_new(s->script->seed);
	world_require_signatures(s->world, false);
	world_serve_admin(s->world, true);
	world_draw_traffic_in(s->world, s->script->slowness > 1 ? SLOW_SLICE_MS : SLICE_MS);
	if (world_load(s->world, buf_text(&text), text.len, now, diags) != 0) {
		fprintf(stderr, "%s\n%s\n", diags->items[0].text, buf_text(&text));
		require(!"the world's text is good");
	}
	diags_deinit(diags);
}

/* A disk with a state that nothing has been written to yet. Each run starts from a copy. */
static struct disk *make_template(void)
{
	struct disk *d = disk_new(1);
	struct disk_process *p = disk_process_new(d);
	struct store *store;

	require(store_open_sqlite_on(disk_platform(p), DISK_DATABASE, &store) == 0);
	store_close(store);
	disk_process_free(p);
	return d;
}

static struct simulation *begin(struct simulator *simulator, const struct script *script, FILE *to)
{
	struct simulation *s = mem_alloc(sizeof(*s));

	s->script = script;
	memcpy(s->deeds, script->deeds, sizeof(s->deeds));
	prng_init(&s->chance, script->seed ^ UINT64_C(0x5eed));
	trace_begin(&s->trace, to);
	make_world(s);
	if (!simulator->template)
		simulator->template = make_template();
	s->disk = script->fresh_disk ? disk_new(script->seed) : disk_new_from(simulator->template, script->seed);
	for (size_t i = 0; i < SCRIPT_ALIASES; i++)
		s->alias_back_ms[i] = INT64_MAX;
	s->gauge_back_ms = s->alarm_back_ms = INT64_MAX;
	for (size_t i = 0; i < HOSTS; i++)
		s->hosts[i] = (struct host){.s = s, .start_at_ms = INT64_MAX, .wake_ms = INT64_MAX};
	s->hosts[0].start_at_ms = 0;
	checker_begin(&s->checker, s);
	simulation_put_fates(s);
	return s;
}

static void count_disk(struct simulation *s)
{
	const struct disk_counts *c = disk_counts(s->disk);

	s->tally.n[TALLY_TORN] += c->torn;
	s->tally.n[TALLY_DROPPED] += c->dropped;
	for (int i = 0; i < DISK_FULL; i++)
		s->tally.n[TALLY_DISK_FAULTS] += c->faults[i];
}

static void end(struct simulation *s, struct outcome *ret)
{
	count_disk(s);
	trace_number(&s->trace, disk_hash(s->disk));
	s->tally.n[TALLY_SEEDS] = 1;
	s->tally.n[TALLY_SIMULATED_MS] = (uint64_t)s->now_ms;
	*ret = (struct outcome){
	    .hash = s->trace.hash, .entries = s->trace.entries, .violation = s->checker.violation, .tally = s->tally};
	for (size_t i = 0; i < HOSTS; i++)
		host_end(&s->hosts[i]);
	checker_end(&s->checker);
	disk_free(s->disk);
	world_free(s->world);
	free(s);
}

/* --- time --- */

static int64_t next_ms(const struct simulation *s)
{
	int64_t late_ms = world_next_ms(s->world), at = deeds_next_ms(s);

	if (late_ms != INT64_MAX && late_ms - SIMULATION_START_UNIX_MS < at)
		at = late_ms - SIMULATION_START_UNIX_MS;
	for (size_t i = 0; i < HOSTS; i++) {
		int64_t host_ms = host_next_ms(&s->hosts[i]);

		at = host_ms < at ? host_ms : at;
	}
	return at;
}

static void move_to(struct simulation *s, int64_t at_ms)
{
	if (at_ms > s->now_ms)
		s->now_ms = at_ms;
	world_advance(s->world, (struct instant){.unix_ms = SIMULATION_START_UNIX_MS + s->now_ms});
	checker_look(&s->checker);
}

/* Until that time, or a violation. */
static void run_until(struct simulation *s, int64_t until_ms)
{
	unsigned at_once = 0;

	while (s->checker.violation.kind == VIOLATION_NONE) {
		int64_t at = next_ms(s);

		if (at > until_ms)
			break;
		at_once = at > s->now_ms ? 0 : at_once + 1;
		if (at_once > STEPS_AT_ONCE)
			checker_fail(&s->checker, VIOLATION_BOUNDED, "the daemon spins: %u turns at one moment",
				     at_once);
		s->tally.n[TALLY_STEPS]++;
		move_to(s, at);
		deeds_run_due(s);
		for (size_t i = 0; i < HOSTS; i++) {
			struct host *h = &s->hosts[i];

			if (h->engine && (host_runs(h) || host_is_dead(h)) && host_next_ms(h) <= s->now_ms)
				host_step(h);
		}
	}
	if (s->checker.violation.kind == VIOLATION_NONE)
		move_to(s, until_ms);
}

void simulator_deinit(struct simulator *s)
{
	disk_free(s->template);
	s->template = NULL;
}

/* It had all the time that its plan asks for, and nothing was in its way. */
static void check_calm(struct simulation *s)
{
	const struct script_plan *p = &s->script->plans[0];
	const struct host *h = simulation_owner(s);
	bool rolls_back = p->no_data == SCRIPT_ROLLBACK ? !p->failure_pauses : p->hold_limit_rolls_back;

	if (s->checker.violation.kind != VIOLATION_NONE)
		return;
	if (p->ends_home && !s->checker.concluded)
		checker_fail(&s->checker, VIOLATION_LIVENESS, "nothing went wrong, and the experiment is not over");
	else if (!s->script->silent && !p->ends_home && s->tally.n[TALLY_ENDED_SUCCEEDED] == 0)
		checker_fail(&s->checker, VIOLATION_LIVENESS, "nothing went wrong, and the rollout has not succeeded");
	if (s->script->silent && rolls_back && s->tally.n[TALLY_ENDED_ROLLED_BACK] == 0)
		checker_fail(&s->checker, VIOLATION_HOME, "nobody came, and the rollout has not gone back");
	if (s->script->silent && !rolls_back && (!h || !h->engine->first || h->engine->first->state.pause == 0))
		checker_fail(&s->checker, VIOLATION_HOME, "nobody came, and the rollout has not paused");
}

void simulation_run(struct simulator *simulator, const struct script *script, FILE *to, struct outcome *ret)
{
	struct simulation *s = begin(simulator, script, to);

	run_until(s, script->faults_end_ms);
	if (script->calm)
		check_calm(s);
	deeds_calm(s);
	while (s->checker.violation.kind == VIOLATION_NONE && s->now_ms < script->end_ms && !deeds_all_ended(s)) {
		run_until(s, s->now_ms + RESOLVE_MS);
		deeds_resolve(s);
	}
	run_until(s, s->now_ms + MS_PER_MINUTE);
	if (s->checker.violation.kind == VIOLATION_NONE && !simulation_owner(s))
		checker_fail(&s->checker, VIOLATION_LIVENESS, "no daemon runs in the end");
	if (s->checker.violation.kind == VIOLATION_NONE)
		checker_finish(&s->checker, simulation_owner(s));
	if (disk_contains(s->disk, SECRET_MARKER))
		checker_fail(&s->checker, VIOLATION_SECRET, "a secret is in the store's files");
	end(s, ret);
}
