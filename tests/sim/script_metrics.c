/* What the plans of a script look at: metrics, probes, experiments; and what goes wrong with those. */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "base/error.h"
#include "tests/sim/script_inner.h"

#define MORE UINT64_C(0x6d6f7265) /* sets these numbers apart from the script's others */

const struct script_metric *script_metric_of(const struct script_plan *p, enum script_metric_kind kind)
{
	for (unsigned i = 0; i < p->n_metrics; i++) {
		if (p->metrics[i].kind == kind)
			return &p->metrics[i];
	}
	return NULL;
}

bool script_needs_metrics(const struct script_plan *p)
{
	bool watched = false;

	for (unsigned i = 0; i < p->n_metrics; i++) {
		if (!p->metrics[i].dry_run && p->metrics[i].kind != SCRIPT_IN_ALARM)
			return true;
		watched = watched || !p->metrics[i].dry_run;
	}
	return !watched;
}

bool script_counts_probes(const struct script_plan *p, bool with_dry)
{
	for (unsigned i = 0; i < p->n_metrics && p->probe_ms > 0; i++) {
		if (p->metrics[i].kind <= SCRIPT_COMPARE && !p->metrics[i].ignores_probes &&
		    (with_dry || !p->metrics[i].dry_run))
			return true;
	}
	return false;
}

bool script_is_equal(const struct script *s, const struct script_plan *p)
{
	const struct script_version *a = &s->versions[1], *b = &s->versions[p->version];

	return p->version != 1 && a->error_permille == b->error_permille && b->errors_after_ms == 0;
}

/* --- drawing --- */

static struct script_metric *add_metric(struct script_plan *plan, enum script_metric_kind kind)
{
	struct script_metric *m = &plan->metrics[plan->n_metrics++];

	require(plan->n_metrics <= SCRIPT_METRICS);
	*m = (struct script_metric){.kind = kind, .failure_limit = 1};
	return m;
}

void script_draw_rate(struct prng *p, struct script_plan *plan)
{
	struct script_metric *m = add_metric(plan, SCRIPT_RATE);

	m->max_rate_percent = (unsigned)PICK(p, 1, 5, 10);
	m->min_invocations = (unsigned)PICK(p, 1, 5, 50);
}

static void draw_metric(struct prng *p, struct script_plan *plan, enum script_metric_kind kind)
{
	struct script_metric *m = add_metric(plan, kind);

	m->dry_run = chance(p, 15);
	m->ignores_probes = chance(p, 25);
	m->failure_limit = chance(p, 60) ? 1 : (unsigned)PICK(p, 2, 3);
	m->max_rate_percent = (unsigned)PICK(p, 1, 5, 10);
	m->min_invocations = (unsigned)PICK(p, 1, 1, 5, 20);
	m->false_alarm_percent = (unsigned)PICK(p, 1, 1, 10, 50);
	m->min_effect_percent = (unsigned)PICK(p, 110, 125, 125, 200);
	m->max_ms = (unsigned)PICK(p, 0, 25, 50);
	m->max_ratio_percent = m->max_ms == 0 || chance(p, 50) ? (unsigned)PICK(p, 120, 300) : 0;
	m->warm_up_ms = PICK(p, 0, SECONDS(30), MINUTES(3));
	m->max = (unsigned)PICK(p, 20, 50);
	m->expression = chance(p, 40);
}

static void draw_metrics(struct prng *p, struct script_plan *plan)
{
	static const unsigned percent[SCRIPT_METRIC_KINDS] = {
	    [SCRIPT_RATE] = 35,	    [SCRIPT_COMPARE] = 75, [SCRIPT_THROTTLES] = 15,
	    [SCRIPT_DURATION] = 15, [SCRIPT_QUERY] = 15,   [SCRIPT_IN_ALARM] = 12,
	};

	plan->n_metrics = 0;
	for (unsigned k = 0; k < SCRIPT_METRIC_KINDS; k++) {
		if (chance(p, percent[k]))
			draw_metric(p, plan, (enum script_metric_kind)k);
	}
	if (plan->n_metrics == 0)
		draw_metric(p, plan, SCRIPT_COMPARE);
	if (chance(p, 10))
		plan->probe_ms = PICK(p, SECONDS(10), SECONDS(30), SECONDS(60));
}

/* What has one step at least becomes an experiment of it. */
static void draw_experiment(struct prng *p, struct script_plan *plan, bool calm)
{
	if (plan->n_steps == 0 || !chance(p, 15))
		return;
	plan->experiment = true;
	plan->n_steps = 1;
	plan->weight_percent[0] = calm ? 50 : (unsigned)PICK(p, 10, 50);
	plan->min_invocations[0] = 0;
	plan->approve[0] = false;
	plan->ends_home = chance(p, 60);
	if (plan->ends_home) {
		plan->post_hook = false;
		plan->final_bake_ms = 0;
	}
}

static bool any_has(const struct script *s, enum script_metric_kind kind)
{
	for (size_t i = 0; i < s->n_plans; i++) {
		if (script_metric_of(&s->plans[i], kind))
			return true;
	}
	return false;
}

/* What the metrics look at. */
static void draw_sights(struct prng *p, struct script *s)
{
	bool duration = any_has(s, SCRIPT_DURATION), throttles = any_has(s, SCRIPT_THROTTLES);
	unsigned common = (unsigned)PICK(p, 0, 0, 0, 20, 100, 300);

	for (unsigned i = 1; i <= SCRIPT_VERSIONS; i++) {
		s->versions[i].latency_ms = duration ? 20 : 0;
		/* The good ones fail as much as the stable one does. */
		if (i <= 2 && !s->calm)
			s->versions[i].error_permille = common;
	}
	if (duration)
		s->versions[6].latency_ms = (unsigned)PICK(p, 20, 30, 90);
	if (throttles)
		s->versions[6].throttle_permille = (unsigned)PICK(p, 0, 20, 300);
	s->has_gauge = any_has(s, SCRIPT_QUERY);
	s->has_alarm = any_has(s, SCRIPT_IN_ALARM);
	s->alarm_at_first = s->has_alarm && !s->calm && chance(p, 5);
}

static void draw_trouble(struct prng *p, struct script *s, enum deed_kind kind, bool there)
{
	uint64_t n = there && chance(p, 60) ? 1 + below(p, 2) : 0;

	while (n-- > 0) {
		struct deed *d = script_add_deed(s, kind, (int64_t)below(p, (uint64_t)s->faults_end_ms));

		d->b = (unsigned)PICK(p, 0, 0, 1);
		d->for_ms = PICK(p, SECONDS(50), MINUTES(2), MINUTES(5));
	}
}

/* Nothing that takes time away from a bake: a daemon that is killed, or told to stop, is back at once. */
static void draw_restarts(struct prng *p, struct script *s)
{
	uint64_t n = chance(p, 60) ? 1 + below(p, 3) : 0;

	while (n-- > 0) {
		enum deed_kind kind = chance(p, 50) ? DEED_KILL : DEED_RESTART;
		struct deed *d = script_add_deed(s, kind, MINUTES(1) + (int64_t)below(p, (uint64_t)s->faults_end_ms));

		d->for_ms = SECONDS(1);
		s->faults_end_ms += SECONDS(90) + s->plans[0].every_ms;
		s->end_ms += SECONDS(90) + s->plans[0].every_ms;
	}
}

void script_be_calm(struct script_plan *plan)
{
	for (unsigned i = 0; i < plan->n_metrics; i++) {
		plan->metrics[i].min_invocations = 1;
		plan->metrics[i].warm_up_ms = 0;
	}
}

void script_draw_more(struct script *s)
{
	struct prng p;

	prng_init(&p, s->seed ^ MORE);
	if (chance(&p, 40))
		return;
	for (size_t i = 0; i < s->n_plans; i++) {
		if (chance(&p, 80))
			draw_metrics(&p, &s->plans[i]);
		draw_experiment(&p, &s->plans[i], s->calm);
	}
	draw_sights(&p, s);
	if (s->calm) {
		script_be_calm(&s->plans[0]);
		draw_restarts(&p, s);
		return;
	}
	draw_trouble(&p, s, DEED_GAUGE, s->has_gauge);
	draw_trouble(&p, s, DEED_ALARM, s->has_alarm);
}

/* --- texts --- */

struct out {
	char *text;
	size_t size;
};

static void printf_like(2, 3) add(struct out *o, const char *fmt, ...)
{
	size_t len = strlen(o->text);
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(o->text + len, o->size - len, fmt, args);
	va_end(args);
}

static void add_query(struct out *o, const struct script_plan *p, const struct script_metric *m)
{
	int64_t period_s = p->period_ms / MS_PER_SECOND;

	add(o,
	    "    - query:\n        metric_data_queries:\n          - {Id: depth, MetricStat: {Metric: {Namespace: Sim, "
	    "MetricName: depth}, Period: %" PRId64 ", Stat: Maximum}%s}\n",
	    period_s, m->expression ? ", ReturnData: false" : "");
	if (m->expression)
		add(o, "          - {Id: twice, Expression: depth * 2, Period: %" PRId64 "}\n", period_s);
	add(o, "        max: %u\n        failure_limit: %u\n        dry_run: %s\n", m->expression ? 2 * m->max : m->max,
	    m->failure_limit, m->dry_run ? "true" : "false");
}

static void add_errors(struct out *o, const struct script_plan *p, const struct script_metric *m)
{
	if (m->kind == SCRIPT_COMPARE)
		add(o, "    - errors: {compare: stable, false_alarm: %u%%, min_effect: %u.%02u", m->false_alarm_percent,
		    m->min_effect_percent / 100, m->min_effect_percent % 100);
	else
		add(o, "    - errors: {max_rate: %u%%", m->max_rate_percent);
	if (m->kind == SCRIPT_RATE && m->failure_limit > 1)
		add(o, ", failure_limit: %u", m->failure_limit);
	add(o, ", min_invocations: %u%s", m->min_invocations,
	    p->probe_ms > 0 && m->ignores_probes ? ", probes: ignore" : "");
}

static void add_duration(struct out *o, const struct script_metric *m)
{
	add(o, "    - duration: {stat: Maximum, warm_up: %" PRId64 "s, failure_limit: %u, min_invocations: %u",
	    m->warm_up_ms / MS_PER_SECOND, m->failure_limit, m->min_invocations);
	if (m->max_ms > 0)
		add(o, ", max: %ums", m->max_ms);
	if (m->max_ratio_percent > 0)
		add(o, ", max_ratio: %u.%02u", m->max_ratio_percent / 100, m->max_ratio_percent % 100);
}

void script_add_metrics(const struct script_plan *p, char *out, size_t size)
{
	struct out o = {out, size};

	if (p->probe_ms > 0)
		add(&o, "  probe: {invoke: event.json, rate: %" PRId64 "/m}\n", MS_PER_MINUTE / p->probe_ms);
	add(&o, "  metrics:\n");
	for (unsigned i = 0; i < p->n_metrics; i++) {
		const struct script_metric *m = &p->metrics[i];

		if (m->kind == SCRIPT_QUERY) {
			add_query(&o, p, m);
			continue;
		}
		if (m->kind <= SCRIPT_COMPARE)
			add_errors(&o, p, m);
		else if (m->kind == SCRIPT_DURATION)
			add_duration(&o, m);
		else if (m->kind == SCRIPT_THROTTLES)
			add(&o, "    - throttles: {max_rate: %u%%, failure_limit: %u, min_invocations: %u",
			    m->max_rate_percent, m->failure_limit, m->min_invocations);
		else
			add(&o, "    - alarm: {name: " SCRIPT_ALARM);
		add(&o, "%s}\n", m->dry_run ? ", dry_run: true" : "");
	}
}
