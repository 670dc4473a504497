/*
 * make bench-verdict: what the judges do with canaries that are equal, worse and much worse, over traffic and error
 * rates; as one table. The rollouts are the product's own state machine in virtual time; only AWS is made up: a
 * weighted alias that splits at random, and counts that settle a minute late.
 *
 * The judge of this project is put beside four that are in use elsewhere. They drive the same rollouts: each has an
 * alarm of its own that it raises, so that schedule, delays and the way home are the same for all.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/prng.h"
#include "base/text.h"
#include "core/rollout.h"

#define FALSE_ALARM_PPM 10000
#define LIMIT_SHARE	0.01 /* of (a), (b), (c) */
#define FAILURES	5    /* of (c) */
#define Z_95		1.959963984540054
#define PERIODS_MAX	400
#define STABLE		1
#define CANARY		2

enum judge { JUDGE_EVIDENCE, JUDGE_ALIAS_ALARM, JUDGE_MINUTE, JUDGE_FIVE_MINUTES, JUDGE_MANN_WHITNEY, N_JUDGES };

static const char *const judge_names[] = {"rolloutd", "(a) alias 1%", "(b) 1%/min", "(c) 1% x5", "(d) M-W"};

struct schedule {
	const char *name;
	struct spec_step steps[9];
	size_t n_steps;
	int64_t final_bake_ms;
};

static struct schedule schedules[] = {
    {"Canary10Percent5Minutes", {{1000, 5 * MS_PER_MINUTE, 0, false}}, 1, 0},
    {"Linear10PercentEvery1Minute", {{0}}, 9, 0},
    {"5% 25% 50%, final bake",
     {{500, 5 * MS_PER_MINUTE, 0, false}, {2500, 10 * MS_PER_MINUTE, 0, false}, {5000, 10 * MS_PER_MINUTE, 0, false}},
     3,
     15 * MS_PER_MINUTE},
};

struct cell {
	double rps, stable_rate, canary_rate;
	enum judge judge;
	const struct schedule *schedule;
};

/* One rollout, and the world around it. */
struct run {
	struct cell cell;
	struct prng prng;
	struct spec_metric metric;
	struct rollout_spec spec;
	struct rollout r;
	struct samples samples;
	struct instant now;
	struct alias_view alias;
	unsigned revision;
	int64_t lived_until_ms; /* traffic has been counted up to here */
	struct sample truth[PERIODS_MAX];
	size_t n_truth;
	int64_t first_ms;
	uint64_t failed; /* requests that the canary failed */
	unsigned readings;
	enum alarm_state alarm;
	struct rollout_effects effects;
	struct rollout_event answers[8];
	size_t n_answers;
	int64_t timer_boot_ms;
};

struct outcome {
	bool back;
	double minutes;	 /* from the first weight to the rollback */
	double readings; /* of the metrics, until then */
	uint64_t failed;
};

/* --- traffic --- */

static double uniform(struct run *x)
{
	return 1 - prng_unit(&x->prng);
}

static double normal(struct run *x)
{
	return sqrt(-2 * log(uniform(x))) * cos(2 * M_PI * uniform(x));
}

/* Binomial: from hit to hit while those are few, else by the normal law. */
static uint64_t draw(struct run *x, uint64_t n, double rate)
{
	double mean = (double)n * rate, at;
	uint64_t k = 0;

	if (rate <= 0 || n == 0)
		return 0;
	if (rate > 0.5)
		return n - draw(x, n, 1 - rate);
	if (mean > 100) {
		at = round(mean + sqrt(mean * (1 - rate)) * normal(x));
		return at < 0 ? 0 : at > (double)n ? n : (uint64_t)at;
	}
	for (at = floor(log(uniform(x)) / log1p(-rate)); at < (double)n;
	     at += 1 + floor(log(uniform(x)) / log1p(-rate)))
		k++;
	return k;
}

/* How many requests come in that time: Poisson. */
static uint64_t arrivals(struct run *x, double mean)
{
	double sum = 0;
	uint64_t n = 0;

	if (mean > 100)
		return (uint64_t)fmax(0, round(mean + sqrt(mean) * normal(x)));
	while ((sum -= log(uniform(x))) < mean)
		n++;
	return n;
}

static double weight(const struct run *x)
{
	const struct alias_target *t = &x->alias.target;

	if (t->weight_bp > 0)
		return (double)t->weight_bp / WEIGHT_BP_MAX;
	return t->version == CANARY ? 1 : 0;
}

/* Lets the traffic of [from, until) happen; within one period. */
static void live_part(struct run *x, int64_t from_ms, int64_t until_ms)
{
	size_t i = (size_t)(from_ms / MS_PER_MINUTE - x->first_ms / MS_PER_MINUTE);
	uint64_t all = arrivals(x, x->cell.rps * (double)(until_ms - from_ms) / MS_PER_SECOND);
	uint64_t canary = draw(x, all, weight(x));
	uint64_t bad = draw(x, canary, x->cell.canary_rate);
	struct sample *s;

	require(i < PERIODS_MAX);
	for (; x->n_truth <= i; x->n_truth++)
		x->truth[x->n_truth] = (struct sample){
		    .start_unix_ms = (x->first_ms / MS_PER_MINUTE + (int64_t)x->n_truth) * MS_PER_MINUTE};
	s = &x->truth[i];
	s->canary.invocations += canary;
	s->canary.errors += bad;
	s->stable.invocations += all - canary;
	s->stable.errors += draw(x, all - canary, x->cell.stable_rate);
	x->failed += bad;
}

static void live_until(struct run *x, int64_t until_ms)
{
	while (x->lived_until_ms < until_ms) {
		int64_t end = verdict_period_start(x->lived_until_ms, MS_PER_MINUTE) + MS_PER_MINUTE;

		live_part(x, x->lived_until_ms, end < until_ms ? end : until_ms);
		x->lived_until_ms = end < until_ms ? end : until_ms;
	}
}

/* --- the judges of others; each looks at what has settled since the canary has traffic --- */

static double rate(uint64_t errors, uint64_t invocations)
{
	return invocations > 0 ? (double)errors / (double)invocations : 0;
}

/* Two-sided at 5 %, with the normal approximation and the correction for ties; the canary must be the worse one. */
static bool mann_whitney(const struct sample *s, size_t n)
{
	double c[PERIODS_MAX], t[PERIODS_MAX], u = 0, ties = 0, mean, deviation;
	size_t n_c = 0, n_t = 0;

	for (size_t i = 0; i < n; i++) {
		if (s[i].canary.invocations > 0)
			c[n_c++] = rate(s[i].canary.errors, s[i].canary.invocations);
		if (s[i].stable.invocations > 0)
			t[n_t++] = rate(s[i].stable.errors, s[i].stable.invocations);
	}
	if (n_c < 2 || n_t < 2)
		return false;
	for (size_t i = 0; i < n_c; i++)
		for (size_t k = 0; k < n_t; k++)
			u += c[i] > t[k] ? 1 : c[i] == t[k] ? 0.5 : 0;
	/* Each value's ties in both, t^3 - t over the groups, comes to the sum of t^2 - 1 over the values. */
	for (size_t i = 0; i < n_c + n_t; i++) {
		double v = i < n_c ? c[i] : t[i - n_c], same = 0;

		for (size_t k = 0; k < n_c + n_t; k++)
			same += (k < n_c ? c[k] : t[k - n_c]) == v;
		ties += same * same - 1;
	}
	double a = (double)n_c, b = (double)n_t, all = a + b;

	mean = a * b / 2;
	deviation = sqrt(a * b / 12 * (all + 1 - ties / (all * (all - 1))));
	return deviation > 0 && (u - mean) / deviation > Z_95;
}

static bool other_judge_fails(const struct run *x, const struct sample *s, size_t n)
{
	unsigned failed = 0;

	if (x->cell.judge == JUDGE_MANN_WHITNEY)
		return mann_whitney(s, n);
	for (size_t i = 0; i < n; i++) {
		bool alias = x->cell.judge == JUDGE_ALIAS_ALARM;
		uint64_t errors = s[i].canary.errors + (alias ? s[i].stable.errors : 0);
		uint64_t all = s[i].canary.invocations + (alias ? s[i].stable.invocations : 0);

		failed += rate(errors, all) > LIMIT_SHARE;
	}
	return failed >= (x->cell.judge == JUDGE_FIVE_MINUTES ? FAILURES : 1);
}

/* --- AWS's answers --- */

static struct rollout_event *answer(struct run *x, enum rollout_event_kind kind, uint64_t seq)
{
	struct rollout_event *e = &x->answers[x->n_answers++];

	require(x->n_answers <= sizeof(x->answers) / sizeof(x->answers[0]));
	*e = (struct rollout_event){.kind = kind, .seq = seq};
	return e;
}

static void answer_prepare(struct run *x, uint64_t seq)
{
	struct rollout_event *e = answer(x, EVENT_PREPARED, seq);

	e->prepared.alias = x->alias;
	e->prepared.canary = CANARY;
	e->prepared.canary_info.state = VERSION_READY;
	e->prepared.stable_info.state = VERSION_READY;
	e->prepared.same_role = true;
	e->prepared.alarms = &x->alarm;
}

static void answer_write(struct run *x, const struct rollout_effect *effect)
{
	struct rollout_event *e = answer(x, EVENT_WRITTEN, effect->seq);

	live_until(x, x->now.unix_ms);
	x->alias.target = effect->write.target;
	(void)snprintf(x->alias.revision, REVISION_SIZE, "rev-%u", ++x->revision);
	e->alias.alias = x->alias;
}

static void answer_poll(struct run *x, const struct rollout_effect *effect)
{
	struct rollout_event *e = answer(x, EVENT_POLLED, effect->seq);
	int64_t from = verdict_period_start(x->r.first_traffic_unix_ms, MS_PER_MINUTE);
	size_t first = x->n_truth, end = 0;

	x->readings++;
	live_until(x, x->now.unix_ms);
	for (size_t i = 0; i < x->n_truth; i++) {
		struct sample *truth = &x->truth[i], *s;

		if (truth->start_unix_ms < from || truth->start_unix_ms >= effect->poll.through_unix_ms)
			continue;
		first = i < first ? i : first;
		end = i + 1;
		s = samples_at(&x->samples, truth->start_unix_ms);
		*s = *truth;
		s->canary.seen = s->canary.invocations > 0;
		s->stable.seen = s->stable.invocations > 0;
	}
	if (x->cell.judge != JUDGE_EVIDENCE && end > first)
		x->alarm = other_judge_fails(x, x->truth + first, end - first) ? ALARM_ALARM : ALARM_OK;
	e->polled.complete = true;
	e->polled.through_unix_ms = effect->poll.through_unix_ms;
	e->polled.alarms = &x->alarm;
}

static void take_effect(struct run *x, const struct rollout_effect *e)
{
	switch (e->kind) {
	case EFFECT_PREPARE:
		answer_prepare(x, e->seq);
		break;
	case EFFECT_READ_ALIAS:
		answer(x, EVENT_ALIAS_READ, e->seq)->alias.alias = x->alias;
		break;
	case EFFECT_WRITE_ALIAS:
		answer_write(x, e);
		break;
	case EFFECT_POLL:
		answer_poll(x, e);
		break;
	case EFFECT_TIMER:
		x->timer_boot_ms = e->timer.boot_ms;
		break;
	default:
		break;
	}
}

static void step(struct run *x, struct rollout_event event)
{
	enum rollout_answer ignored;
	char text[LIMIT_REASON];

	event.now = x->now;
	event.entropy = prng_next(&x->prng);
	rollout_step(&x->spec, &x->r, &x->samples, &event, &x->effects, &ignored, text);
	for (size_t i = 0; i < x->effects.len; i++)
		take_effect(x, &x->effects.items[i]);
}

/* --- one rollout --- */

static void begin(struct run *x, const struct cell *cell, uint64_t seed)
{
	*x = (struct run){.cell = *cell, .timer_boot_ms = INT64_MAX, .alarm = ALARM_OK};
	prng_init(&x->prng, seed);
	x->first_ms = INT64_C(1795377600000);
	x->now = (struct instant){x->first_ms + (int64_t)prng_below(&x->prng, MS_PER_MINUTE), 5000000};
	x->lived_until_ms = x->now.unix_ms;
	x->alias.target = (struct alias_target){.version = STABLE};
	(void)snprintf(x->alias.revision, REVISION_SIZE, "rev-0");
	x->metric = (struct spec_metric){.kind = SPEC_METRIC_ALARM, .alarm = "judge"};
	if (cell->judge == JUDGE_EVIDENCE)
		x->metric = (struct spec_metric){.kind = SPEC_METRIC_COMPARE,
						 .false_alarm_ppm = FALSE_ALARM_PPM,
						 .min_effect_permille = 1250,
						 .min_invocations = 1};
	x->spec = (struct rollout_spec){
	    .steps = cell->schedule->steps,
	    .n_steps = cell->schedule->n_steps,
	    .final_bake_ms = cell->schedule->final_bake_ms,
	    .analysis = {.every_ms = MS_PER_MINUTE,
			 .settle_ms = MS_PER_MINUTE,
			 .period_ms = MS_PER_MINUTE,
			 .no_data = SPEC_NO_DATA_PASS,
			 .hold_limit_ms = MS_PER_HOUR,
			 .on_hold_limit = SPEC_PAUSE,
			 .metrics = &x->metric,
			 .n_metrics = 1},
	};
	/* Three hours of the stable version, as the daemon reads them. */
	uint64_t before = arrivals(x, cell->rps * 3 * 3600);

	rollout_init(&x->r, x->now);
	x->r.history = (struct counts){before, draw(x, before, cell->stable_rate), true};
}

static struct outcome run(const struct cell *cell, uint64_t seed)
{
	static struct run x;
	struct outcome o = {0};

	begin(&x, cell, seed);
	step(&x, (struct rollout_event){.kind = EVENT_START});
	while (!rollout_ended(&x.r) && x.r.phase != PHASE_PAUSED) {
		if (x.n_answers > 0) {
			struct rollout_event e = x.answers[0];

			memmove(x.answers, x.answers + 1, --x.n_answers * sizeof(x.answers[0]));
			step(&x, e);
			continue;
		}
		require(x.timer_boot_ms != INT64_MAX);
		if (x.timer_boot_ms > x.now.boot_ms) {
			x.now.unix_ms += x.timer_boot_ms - x.now.boot_ms;
			x.now.boot_ms = x.timer_boot_ms;
		}
		step(&x, (struct rollout_event){.kind = EVENT_TIMER});
	}
	o.back = x.r.phase == PHASE_ROLLED_BACK;
	o.minutes = (double)(x.r.ended_unix_ms - x.r.first_traffic_unix_ms) / MS_PER_MINUTE;
	o.readings = x.readings;
	o.failed = x.failed;
	samples_deinit(&x.samples);
	return o;
}

/* --- the table --- */

struct summary {
	double back;	 /* share */
	double minutes;	 /* median of those that came back; NAN: none */
	double readings; /* the same */
	double failed;	 /* mean of all */
};

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The lower one of the two in the middle. */
static double median(double *values, unsigned n)
{
	qsort(values, n, sizeof(*values), by_value);
	return n > 0 ? values[(n - 1) / 2] : NAN;
}

/* `room` is for twice as many numbers as there are runs. */
static struct summary summarise(const struct cell *cell, unsigned runs, double *room)
{
	double *times = room, *readings = room + runs;
	struct summary s = {0};
	unsigned back = 0;

	for (unsigned n = 0; n < runs; n++) {
		struct outcome o = run(cell, n + 1);

		s.failed += (double)o.failed / runs;
		if (o.back) {
			times[back] = o.minutes;
			readings[back++] = o.readings;
		}
	}
	s.back = (double)back / runs;
	s.minutes = median(times, back);
	s.readings = median(readings, back);
	return s;
}

/* What the bar asks for, over all cells. */
struct bar {
	double worst_null[N_JUDGES], worst_null_at_2[N_JUDGES];
	unsigned clear, no_later, next;
};

static void print_cell(const struct summary *s)
{
	char share[16], time[16];

	(void)snprintf(share, sizeof(share), s->back > 0 && s->back < 0.0995 ? "%.1f%%" : "%.0f%%", 100 * s->back);
	(void)snprintf(time, sizeof(time), isnan(s->minutes) ? "-" : "%.1f", s->minutes);
	printf(" %6s %5s %7.1f |", share, time, s->failed);
}

/* Whether a clearly worse canary is found no later than by the minute's threshold: at the same reading of the metrics,
 * at the median. Minutes would tell less: the first period is a part of one, and in a second or two of traffic a single
 * request that fails is above any threshold. */
static void hold_against(struct bar *bar, const struct summary *ours, const struct summary *minute)
{
	bool all = ours->back >= minute->back;
	double later = ours->readings - minute->readings;

	bar->clear++;
	bar->no_later += all && later <= 0;
	bar->next += all && later <= 1;
	if (!all || later > 0)
		printf(" %.0f later than (b)", later);
}

static void print_row(const struct cell *base, unsigned runs, double *times, struct bar *bar)
{
	bool equal = base->canary_rate == base->stable_rate;
	struct summary s[N_JUDGES];

	printf("| %6g | %5g%% | %5g%% |", base->rps, 100 * base->stable_rate, 100 * base->canary_rate);
	for (int j = 0; j < N_JUDGES; j++) {
		struct cell cell = *base;

		cell.judge = (enum judge)j;
		s[j] = summarise(&cell, runs, times);
		print_cell(&s[j]);
		if (equal)
			bar->worst_null[j] = fmax(bar->worst_null[j], s[j].back);
		if (equal && base->stable_rate == 0.02)
			bar->worst_null_at_2[j] = fmax(bar->worst_null_at_2[j], s[j].back);
	}
	if (base->rps >= 20 && base->canary_rate > 0 && base->canary_rate >= 9.99 * base->stable_rate)
		hold_against(bar, &s[JUDGE_EVIDENCE], &s[JUDGE_MINUTE]);
	printf("\n");
	(void)fflush(stdout);
}

static void print_schedule(const struct schedule *schedule, unsigned runs, struct bar *bar)
{
	static const double traffic[] = {0.1, 1, 20, 500}, base[] = {0, 0.001, 0.02};
	double *times = calloc(2 * 10 * (size_t)runs, sizeof(*times));

	require(times != NULL);
	printf("\n%s\n\n|  req/s | stable | canary |", schedule->name);
	for (int j = 0; j < N_JUDGES; j++)
		printf(" %-20s |", judge_names[j]);
	printf("\n|        |  fails |  fails |");
	for (int j = 0; j < N_JUDGES; j++)
		printf("   back   min  failed |");
	printf("\n");
	for (size_t t = 0; t < sizeof(traffic) / sizeof(traffic[0]); t++) {
		for (size_t b = 0; b < sizeof(base) / sizeof(base[0]); b++) {
			const double canary[] = {base[b], 3 * base[b], 10 * base[b], 0.05, 0.5};

			for (size_t c = 0; c < sizeof(canary) / sizeof(canary[0]); c++) {
				struct cell cell = {traffic[t], base[b], canary[c], JUDGE_EVIDENCE, schedule};

				if (c == 0 || canary[c] > base[b])
					print_row(&cell, c == 0 ? 10 * runs : runs, times, bar);
			}
		}
	}
	free(times);
}

int main(int argc, char **argv)
{
	struct bar bar = {0};
	uint64_t runs = 200;

	if (argc > 2 || (argc == 2 && (text_parse_u64(argv[1], 1000000, &runs) != 0 || runs == 0))) {
		(void)fprintf(stderr,
			      "usage: %s [RUNS]: rollouts of each cell (200), ten times as many of equal canaries\n",
			      argv[0]);
		return 2;
	}
	for (size_t i = 0; i < 9; i++)
		schedules[1].steps[i] = (struct spec_step){(uint32_t)(i + 1) * 1000, MS_PER_MINUTE, 0, false};
	printf("%u rollouts a cell, %u of equal canaries; back: share rolled back; min: median minutes from the first "
	       "weight "
	       "to that;\nfailed: requests that the canary failed, mean\n",
	       (unsigned)runs, 10 * (unsigned)runs);
	for (size_t i = 0; i < sizeof(schedules) / sizeof(schedules[0]); i++)
		print_schedule(&schedules[i], (unsigned)runs, &bar);
	printf("\nequal canaries rolled back, the worst of all cells (and where 2%% fail):");
	for (int j = 0; j < N_JUDGES; j++)
		printf(" %s %.2f%% (%.2f%%)%s", judge_names[j], 100 * bar.worst_null[j], 100 * bar.worst_null_at_2[j],
		       j + 1 < N_JUDGES ? "," : "\n");
	printf("clearly worse ones (x10 or more, 20 requests/s or more): %u; found at the same reading of the metrics "
	       "as by "
	       "(b), or before: %u; at most one later: %u\n",
	       bar.clear, bar.no_later, bar.next);
	return bar.worst_null[JUDGE_EVIDENCE] * 1e6 <= FALSE_ALARM_PPM ? 0 : 1;
}
