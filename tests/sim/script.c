/* See script.h. */
#include "tests/sim/script.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/macros.h"
#include "base/prng.h"
#include "core/rollout.h"
#include "tests/sim/script_inner.h"

const char *const script_aliases[SCRIPT_ALIASES] = {"prod", "test"};
const char *const script_names[SCRIPT_NAMES] = {"one", "two", "three"};

/* --- the world --- */

static void draw_versions(struct prng *p, struct script *s)
{
	s->versions[1] = s->versions[2] = (struct script_version){0};
	s->versions[3] = (struct script_version){.error_permille = 500};
	s->versions[4] = (struct script_version){.error_permille = 200};
	s->versions[5] = (struct script_version){.error_permille = 700, .errors_after_ms = MINUTES(3)};
	s->versions[6] = (struct script_version){.error_permille = (unsigned)PICK(p, 0, 1, 10)};
}

static void draw_world(struct prng *p, struct script *s)
{
	for (size_t i = 0; i < SCRIPT_ALIASES; i++)
		s->rps[i] = (unsigned)(s->slowness > 1 ? PICK(p, 0, 1, 2, 5, 10) : PICK(p, 0, 2, 10, 10, 20));
	s->metrics_delay_ms = PICK(p, SECONDS(10), SECONDS(30), SECONDS(60));
	s->metrics_jitter_ms = chance(p, 30) ? PICK(p, SECONDS(20), MINUTES(2)) : 0;
	s->late_percent = chance(p, 30) ? (unsigned)PICK(p, 5, 30) : 0;
	s->late_by_ms = PICK(p, SECONDS(30), MINUTES(4));
	s->fresh_disk = chance(p, 10);
	s->mark = chance(p, 30);
	s->hook_trouble_percent = chance(p, 50) ? 0 : 40;
	draw_versions(p, s);
}

/* --- plans --- */

static void draw_analysis(struct prng *p, const struct script *s, struct script_plan *plan)
{
	plan->every_ms = PICK(p, SECONDS(60), MINUTES(2), MINUTES(5)) * s->slowness;
	plan->settle_ms = PICK(p, 0, SECONDS(30), SECONDS(60), SECONDS(60), SECONDS(120));
	plan->period_ms = s->slowness > 1 ? MINUTES(5) : PICK(p, SECONDS(60), SECONDS(60), SECONDS(60), SECONDS(120));
	script_draw_rate(p, plan);
	plan->no_data = (enum script_no_data)PICK(p, SCRIPT_HOLD, SCRIPT_HOLD, SCRIPT_PASS, SCRIPT_ROLLBACK);
	plan->hold_limit_ms = PICK(p, MINUTES(10), MINUTES(30), MINUTES(60)) * s->slowness;
	plan->hold_limit_rolls_back = chance(p, 50);
	plan->by_clock = chance(p, 25);
}

static void draw_steps(struct prng *p, const struct script *s, struct script_plan *plan)
{
	unsigned weight = 0;

	plan->n_steps = (unsigned)below(p, SCRIPT_STEPS + 1);
	for (unsigned i = 0; i < plan->n_steps; i++) {
		weight += 1 + (unsigned)below(p, 24);
		plan->weight_percent[i] = weight;
		plan->bake_ms[i] =
		    PICK(p, SECONDS(10), SECONDS(60), SECONDS(90), MINUTES(3), MINUTES(10)) * s->slowness;
		plan->min_invocations[i] = chance(p, 20) ? (unsigned)PICK(p, 10, 100) : 0;
		plan->approve[i] = chance(p, 8);
	}
	/* What moves at once is watched afterwards, or not at all. */
	plan->final_bake_ms = (plan->n_steps == 0 ? SECONDS(90) : PICK(p, 0, 0, SECONDS(60), MINUTES(5))) * s->slowness;
}

static void draw_plan(struct prng *p, struct script *s)
{
	struct script_plan *plan = &s->plans[s->n_plans++];

	*plan = (struct script_plan){.name = (unsigned)below(p, SCRIPT_NAMES)};
	plan->alias = plan->name == 2 ? 1 : 0;
	plan->version = (unsigned)PICK(p, 2, 2, 2, 3, 4, 5, 6, 6, 1);
	plan->failure_pauses = chance(p, 15);
	plan->manual = chance(p, 5);
	plan->pre_hook = chance(p, 10);
	plan->post_hook = chance(p, 10);
	draw_steps(p, s, plan);
	draw_analysis(p, s, plan);
}

/* --- what AWS does --- */

static void draw_fate(struct prng *p, struct script *s, const char *operation, const char *fault, int64_t delay_ms)
{
	/* Half of the seeds do not have this one at all. */
	unsigned permille = (unsigned)PICK(p, 0, 0, 0, 20, 100, 400);

	if (permille == 0)
		return;
	require(s->n_fates < SCRIPT_FATES);
	/* What says clearly that nothing was done is believed, and AWS does not lie there. */
	bool clear = strcmp(fault, "throttle") == 0 || strcmp(fault, "access_denied") == 0;

	s->fates[s->n_fates++] = (struct script_fate){
	    .operation = operation,
	    .fault = fault,
	    .permille = permille,
	    .delay_ms = delay_ms,
	    .applied = chance(p, 50) && !clear,
	};
}

static void draw_fates(struct prng *p, struct script *s)
{
	static const char *const writes[] = {"lost_before", "lost_after", "late",      "twice", "throttle", "error500",
					     "error503",    "garbage",	  "truncated", "html",	"reset",    "delay"};
	static const char *const reads[] = {"throttle", "error500", "truncated", "html", "lost_before"};
	static const char *const metrics[] = {"metrics_missing", "metrics_partial", "metrics_error", "metrics_delay"};

	if (chance(p, 20))
		return; /* a seed in which AWS does nothing wrong */
	for (size_t i = 0; i < array_len(writes); i++) {
		if (chance(p, 40))
			draw_fate(p, s, "UpdateAlias", writes[i],
				  PICK(p, SECONDS(2), SECONDS(15), SECONDS(90), MINUTES(6)));
	}
	for (size_t i = 0; i < array_len(reads); i++) {
		if (chance(p, 20))
			draw_fate(p, s, chance(p, 50) ? "GetAlias" : "*", reads[i], SECONDS(1));
	}
	if (chance(p, 25))
		draw_fate(p, s, "GetAlias", "stale", 0);
	if (chance(p, 15))
		draw_fate(p, s, "*", "access_denied", 0);
	for (size_t i = 0; i < array_len(metrics); i++) {
		if (chance(p, 20))
			draw_fate(p, s, "GetMetricData", metrics[i], PICK(p, MINUTES(1), MINUTES(10)));
	}
}

/* --- what is done --- */

struct deed *script_add_deed(struct script *s, enum deed_kind kind, int64_t at_ms)
{
	struct deed *d;

	require(s->n_deeds < SCRIPT_DEEDS);
	d = &s->deeds[s->n_deeds++];
	*d = (struct deed){.kind = kind, .at = at_ms};
	return d;
}

static int64_t some_time(struct prng *p, const struct script *s)
{
	return (int64_t)below(p, (uint64_t)s->faults_end_ms);
}

/* What has its greatest effect around a write happens there more often than not. */
static void around_a_write(struct prng *p, struct deed *d)
{
	if (chance(p, 40))
		return;
	d->trigger = (enum deed_trigger)PICK(p, TRIGGER_WRITE, TRIGGER_SENT, TRIGGER_ANSWER);
	d->at = 1 + (int64_t)below(p, 8);
}

static void fill_deed(struct prng *p, struct script *s, struct deed *d)
{
	d->a = (unsigned)below(p, SCRIPT_ALIASES);
	switch (d->kind) {
	case DEED_PLAN:
		d->a = (unsigned)below(p, s->n_plans);
		break;
	case DEED_COMMAND:
		d->a = (unsigned)below(p, SCRIPT_NAMES);
		d->b = (unsigned)below(p, COMMAND_ROLLBACK + 1);
		if (chance(p, 30))
			d->b = COMMAND_ROLLBACK;
		around_a_write(p, d);
		break;
	case DEED_RETRY:
		d->a = (unsigned)below(p, SCRIPT_NAMES);
		break;
	case DEED_HUMAN_WRITE:
		d->b = 1 + (unsigned)below(p, SCRIPT_VERSIONS);
		d->c = chance(p, 40) ? 1 + (unsigned)below(p, SCRIPT_VERSIONS) : 0;
		break;
	case DEED_KILL:
	case DEED_POWER_CUT:
	case DEED_REBOOT:
		d->for_ms = PICK(p, 100, SECONDS(1), SECONDS(30), MINUTES(5));
		around_a_write(p, d);
		if (d->trigger == TRIGGER_TIME && chance(p, 80))
			d->b = 1 + (unsigned)below(p, 40);
		if (d->kind == DEED_KILL && chance(p, 20)) {
			d->trigger = TRIGGER_START;
			d->at = 2 + (int64_t)below(p, 3);
			d->a = 1 + (unsigned)below(p, 60); /* operation of the disk */
		}
		break;
	case DEED_STOP:
	case DEED_USURP:
		d->for_ms = PICK(p, SECONDS(5), MINUTES(1), MINUTES(10));
		around_a_write(p, d);
		break;
	case DEED_CLOCK:
		d->for_ms = PICK(p, -MINUTES(120), -MINUTES(3), -SECONDS(5), SECONDS(20), MINUTES(4), MINUTES(180));
		s->clock_jumps = true;
		break;
	case DEED_DISK_ERROR:
		d->a = (unsigned)below(p, 40);
		d->b = (unsigned)PICK(p, 1, 3, 50);
		d->c = (unsigned)below(p, 4);
		break;
	case DEED_HUMAN_DELETE:
	case DEED_DISK_FULL:
	case DEED_REGION_OUT:
	case DEED_KEYS_OUT:
		d->for_ms = PICK(p, SECONDS(10), MINUTES(1), MINUTES(4));
		d->b = (unsigned)below(p, 4);
		break;
	default:
		break;
	}
}

static void draw_deeds(struct prng *p, struct script *s)
{
	static const struct {
		enum deed_kind kind;
		unsigned percent; /* of the seeds that have it */
		unsigned most;
	} kinds[] = {
	    {DEED_PLAN, 80, 2},	      {DEED_COMMAND, 50, 3},	{DEED_RETRY, 15, 2},	   {DEED_HUMAN_WRITE, 15, 2},
	    {DEED_HUMAN_HOME, 8, 1},  {DEED_HUMAN_SAME, 10, 2}, {DEED_HUMAN_DELETE, 4, 1}, {DEED_HUMAN_PUBLISH, 5, 1},
	    {DEED_KILL, 35, 3},	      {DEED_POWER_CUT, 30, 2},	{DEED_REBOOT, 12, 2},	   {DEED_RESTART, 12, 2},
	    {DEED_STOP, 12, 2},	      {DEED_CLOCK, 10, 2},	{DEED_SECOND, 8, 1},	   {DEED_USURP, 8, 1},
	    {DEED_DISK_ERROR, 20, 3}, {DEED_DISK_FULL, 10, 1},	{DEED_REGION_OUT, 12, 2},  {DEED_KEYS_OUT, 8, 1},
	};

	for (size_t i = 0; i < array_len(kinds); i++) {
		uint64_t n = chance(p, kinds[i].percent) ? 1 + below(p, kinds[i].most) : 0;

		while (n-- > 0)
			fill_deed(p, s, script_add_deed(s, kinds[i].kind, some_time(p, s)));
	}
	/* Something is there from the beginning. */
	script_add_deed(s, DEED_PLAN, SECONDS(1))->a = (unsigned)below(p, s->n_plans);
}

/* Nothing goes wrong, there is traffic, and the version is good: the rollout must succeed, and in time. */
static void draw_calm(struct prng *p, struct script *s)
{
	struct script_plan *plan = &s->plans[0];

	draw_plan(p, s);
	plan->version = 2;
	plan->manual = plan->pre_hook = plan->post_hook = false;
	plan->metrics[0].min_invocations = 1;
	plan->no_data = SCRIPT_HOLD;
	s->calm = true;
	s->rps[0] = s->rps[1] = 20;
	s->metrics_delay_ms = SECONDS(10);
	s->metrics_jitter_ms = 0;
	s->late_percent = 0;
	s->faults_end_ms = MINUTES(2) + plan->final_bake_ms + plan->every_ms + plan->settle_ms + 2 * plan->period_ms;
	for (unsigned i = 0; i < plan->n_steps; i++) {
		plan->weight_percent[i] = 20 + 18 * i; /* with less a short step may see no request at all */
		plan->approve[i] = false;
		plan->min_invocations[i] = 0;
		s->faults_end_ms += plan->bake_ms[i] + plan->every_ms + plan->settle_ms + 2 * plan->period_ms;
	}
	s->end_ms = s->faults_end_ms + MINUTES(12);
	(void)script_add_deed(s, DEED_PLAN, SECONDS(1));
}

/* Nothing goes wrong, but nobody comes: what the plan says about that must come, and in time. */
static void draw_silence(struct prng *p, struct script *s)
{
	struct script_plan *plan = &s->plans[0];

	s->silent = true;
	s->rps[0] = s->rps[1] = 0;
	plan->no_data = chance(p, 50) ? SCRIPT_HOLD : SCRIPT_ROLLBACK;
	plan->by_clock = false;
	plan->hold_limit_ms = MINUTES(10) * s->slowness;
	s->faults_end_ms += plan->hold_limit_ms + 2 * plan->every_ms;
	s->end_ms = s->faults_end_ms + MINUTES(12);
}

void script_draw(uint64_t seed, struct script *ret)
{
	struct prng p;
	uint64_t n;

	prng_init(&p, seed);
	*ret = (struct script){.seed = seed};
	ret->slowness = chance(&p, 10) ? 10 : 1;
	ret->faults_end_ms =
	    ret->slowness > 1 ? MINUTES(430) : PICK(&p, MINUTES(5), MINUTES(5), MINUTES(10), MINUTES(20));
	ret->end_ms = ret->faults_end_ms + MINUTES(12);
	draw_world(&p, ret);
	if (chance(&p, 4)) {
		draw_calm(&p, ret);
		if (chance(&p, 30))
			draw_silence(&p, ret);
		else
			script_draw_more(ret);
		return;
	}
	n = 1 + below(&p, 4);
	while (n-- > 0)
		draw_plan(&p, ret);
	draw_fates(&p, ret);
	draw_deeds(&p, ret);
	script_draw_more(ret);
}

void script_stretch(struct script *s, int64_t to_ms)
{
	for (size_t i = 0; i < s->n_deeds; i++) {
		if (s->deeds[i].trigger == TRIGGER_TIME)
			s->deeds[i].at = s->deeds[i].at * (to_ms / MS_PER_MINUTE) / (s->faults_end_ms / MS_PER_MINUTE);
	}
	s->end_ms += to_ms - s->faults_end_ms;
	s->faults_end_ms = to_ms;
}

/* --- texts --- */

static void add_steps(const struct script_plan *p, char *out, size_t size)
{
	size_t len = strlen(out);

	if (p->experiment) {
		(void)snprintf(out + len, size - len, "experiment: {weight: %u%%, for: %" PRId64 "s, then: %s}\n",
			       p->weight_percent[0], p->bake_ms[0] / MS_PER_SECOND, p->ends_home ? "back" : "on");
		return;
	}
	if (p->n_steps == 0) {
		(void)snprintf(out + len, size - len, "strategy: AllAtOnce\n");
		return;
	}
	len += (size_t)snprintf(out + len, size - len, "steps:\n");
	for (unsigned i = 0; i < p->n_steps; i++) {
		len += (size_t)snprintf(out + len, size - len, "  - {weight: %u%%, bake: %" PRId64 "s",
					p->weight_percent[i], p->bake_ms[i] / MS_PER_SECOND);
		if (p->min_invocations[i])
			len += (size_t)snprintf(out + len, size - len, ", min_invocations: %u", p->min_invocations[i]);
		len += (size_t)snprintf(out + len, size - len, "%s}\n", p->approve[i] ? ", approve: true" : "");
	}
}

void script_plan_text(const struct script_plan *p, char *out, size_t size)
{
	static const char *const no_data[] = {"hold", "pass", "rollback"};
	size_t len;

	(void)snprintf(out, size,
		       "apiVersion: rolloutd/v1\nkind: Rollout\nname: %s\nfunction: " SCRIPT_FUNCTION
		       "\nalias: %s\nversion: %u\non_failure: %s\nstart: %s\n",
		       script_names[p->name], script_aliases[p->alias], p->version,
		       p->failure_pauses ? "pause" : "rollback", p->manual ? "manual" : "auto");
	len = strlen(out);
	if (!p->ends_home)
		(void)snprintf(out + len, size - len, "final_bake: %" PRId64 "s\n", p->final_bake_ms / MS_PER_SECOND);
	add_steps(p, out, size);
	len = strlen(out);
	len += (size_t)snprintf(out + len, size - len,
				"analysis:\n  every: %" PRId64 "s\n  settle: %" PRId64 "s\n  period: %" PRId64
				"s\n  no_data: %s\n  hold_limit: %" PRId64 "s\n  on_hold_limit: %s\n  pace: %s\n",
				p->every_ms / MS_PER_SECOND, p->settle_ms / MS_PER_SECOND, p->period_ms / MS_PER_SECOND,
				no_data[p->no_data], p->hold_limit_ms / MS_PER_SECOND,
				p->hold_limit_rolls_back ? "rollback" : "pause", p->by_clock ? "clock" : "evidence");
	script_add_metrics(p, out, size);
	len = strlen(out);
	if (p->pre_hook || p->post_hook)
		len += (size_t)snprintf(out + len, size - len, "hooks:\n");
	if (p->pre_hook)
		len += (size_t)snprintf(out + len, size - len, "  pre_traffic: {exec: before, timeout: 1m}\n");
	if (p->post_hook)
		len += (size_t)snprintf(out + len, size - len, "  post_traffic: {exec: after, timeout: 1m}\n");
	require(len < size);
}

const char *deed_kind_name(enum deed_kind k)
{
	static const char *const names[DEED_COUNT] = {
	    "plan",	     "command",		"retry",
	    "human writes",  "human goes home", "human writes the same",
	    "human deletes", "human publishes", "kill",
	    "power cut",     "reboot",		"restart",
	    "stop",	     "clock",		"second daemon",
	    "usurper",	     "disk error",	"disk full",
	    "region out",    "keys out",	"gauge",
	    "alarm",
	};

	return names[k];
}

static void print_deed(const struct deed *d, FILE *to)
{
	static const char *const triggers[] = {"at", "before write", "after write", "at the answer to write",
					       "in start"};

	if (d->trigger == TRIGGER_TIME)
		fprintf(to, "  %9.1f s  ", (double)d->at / 1000);
	else
		fprintf(to, "  %s %" PRId64 "  ", triggers[d->trigger], d->at);
	fprintf(to, "%s", deed_kind_name(d->kind));
	if (d->kind == DEED_COMMAND)
		fprintf(to, " %s %s", rollout_command_name((enum rollout_command)d->b), script_names[d->a]);
	else
		fprintf(to, " %u %u %u", d->a, d->b, d->c);
	if (d->for_ms)
		fprintf(to, " for %.1f s", (double)d->for_ms / 1000);
	fprintf(to, "\n");
}

void script_print(const struct script *s, FILE *to)
{
	char text[4096];

	fprintf(to, "seed %" PRIu64 ": faults until %.0f s, metrics %" PRId64 "+%" PRId64 " ms late, requests/s",
		s->seed, (double)s->faults_end_ms / 1000, s->metrics_delay_ms, s->metrics_jitter_ms);
	for (size_t i = 0; i < SCRIPT_ALIASES; i++)
		fprintf(to, " %s %u.%u", script_aliases[i], s->rps[i] / 10, s->rps[i] % 10);
	fprintf(to, "%s%s\n", s->mark ? ", mark" : "", s->alarm_at_first ? ", in ALARM" : "");
	for (unsigned i = 1; i <= SCRIPT_VERSIONS; i++)
		fprintf(to, "  version %u: %u errors in 1000 after %.0f s, %u throttled, %u ms\n", i,
			s->versions[i].error_permille, (double)s->versions[i].errors_after_ms / 1000,
			s->versions[i].throttle_permille, s->versions[i].latency_ms);
	for (size_t i = 0; i < s->n_plans; i++) {
		script_plan_text(&s->plans[i], text, sizeof(text));
		fprintf(to, "plan %zu:\n%s", i, text);
	}
	for (size_t i = 0; i < s->n_fates; i++)
		fprintf(to, "  %s: %s, %u in 1000 (%.0f s%s)\n", s->fates[i].operation, s->fates[i].fault,
			s->fates[i].permille, (double)s->fates[i].delay_ms / 1000,
			s->fates[i].applied ? ", applied" : "");
	for (size_t i = 0; i < s->n_deeds; i++)
		print_deed(&s->deeds[i], to);
}
