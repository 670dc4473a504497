#include "story.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "control/api.h"
#include "field.h"

#define RECORD_FORMAT  1
#define WEIGHTS_MAX    2000 /* far more than any rollout has steps */
#define ODDS_SHOWN_MAX 1e9

int story_get(struct cli *cli, const char *name, json_t **ret_record)
{
	struct buf path = BUF_INIT(2048);

	control_format_path(CONTROL_RECORD, name, NULL, &path);
	if (cli->attempt > 0)
		buf_addf(&path, "?attempt=%" PRIu64, cli->attempt);
	int rc = cli_get(cli, buf_text(&path), ret_record);
	buf_deinit(&path);
	return rc;
}

/* --- what was counted --- */

static struct counts read_counts(const json_t *o, const char *key)
{
	const json_t *pair = json_object_get(o, key);
	struct counts c = {0};

	if (json_array_size(pair) != 2)
		return c;
	int64_t invocations = json_integer_value(json_array_get(pair, 0));
	int64_t errors = json_integer_value(json_array_get(pair, 1));
	c.seen = true;
	c.invocations = invocations > 0 ? (uint64_t)invocations : 0;
	c.errors = errors > 0 ? (uint64_t)errors : 0;
	return c;
}

/* The canary got all traffic within that period, and had some from its beginning on. */
static bool is_of_promotion(const struct story *s, int64_t start_unix_ms)
{
	return start_unix_ms < s->promoted_unix_ms && s->promoted_unix_ms < start_unix_ms + s->period_ms &&
	       s->first_traffic_unix_ms <= start_unix_ms;
}

/* What the stable version leaves of the alias's counts; `least` where late data would make that less. */
static struct counts without(const struct counts *alias, const struct counts *stable, const struct counts *least)
{
	struct counts c = *least;

	if (alias->invocations > stable->invocations + c.invocations)
		c.invocations = alias->invocations - stable->invocations;
	if (alias->errors > stable->errors + c.errors)
		c.errors = alias->errors - stable->errors;
	c.seen = true;
	return c;
}

static void read_period(const struct story *s, const json_t *o, struct story_period *ret)
{
	*ret = (struct story_period){
	    .start_unix_ms = field_time(o, "start_at"),
	    .canary = read_counts(o, "canary"),
	    .stable = read_counts(o, "stable"),
	    .probe_canary = read_counts(o, "probe_canary"),
	    .probe_stable = read_counts(o, "probe_stable"),
	    .values = field_array(o, "values"),
	};
	struct counts alias = read_counts(o, "alias");

	/* As the verdict does. */
	if (s->promoted_unix_ms == 0 || !alias.seen)
		return;
	if (!ret->canary.seen && ret->start_unix_ms >= s->promoted_unix_ms)
		ret->canary = alias;
	else if (ret->stable.seen && is_of_promotion(s, ret->start_unix_ms))
		ret->canary = without(&alias, &ret->stable, &ret->canary);
}

/* They come by start and then by reading, so the last of each start is the newest. */
static void read_periods(struct story *s)
{
	const json_t *samples = field_array(s->record, "samples");
	size_t n = json_array_size(samples);

	s->periods = mem_array(n + 1, sizeof(*s->periods));
	for (size_t i = 0; i < n; i++) {
		struct story_period p;

		read_period(s, json_array_get(samples, i), &p);
		if (s->n_periods > 0 && s->periods[s->n_periods - 1].start_unix_ms == p.start_unix_ms)
			s->n_periods--;
		if (s->n_periods < LIMIT_PERIODS)
			s->periods[s->n_periods++] = p;
	}
}

void story_add_counts(struct counts *sum, const struct counts *c)
{
	sum->seen = sum->seen || c->seen;
	sum->invocations += c->invocations;
	sum->errors += c->errors;
}

/* As the verdict does: the period in which a weight landed is the weight's. */
static void count_weight(const struct story *s, struct story_weight *w)
{
	int64_t from = w->from_unix_ms - w->from_unix_ms % s->period_ms;
	int64_t until = w->until_unix_ms - w->until_unix_ms % s->period_ms, whole = until;

	/* The last one has no successor that its last period belongs to. */
	if (until <= from || w == &s->weights[s->n_weights - 1])
		until += s->period_ms;
	w->counted_from_unix_ms = from;
	w->counted_until_unix_ms = from;
	for (size_t i = 0; i < s->n_periods; i++) {
		const struct story_period *p = &s->periods[i];

		if (p->start_unix_ms < from || p->start_unix_ms >= until)
			continue;
		story_add_counts(&w->canary, &p->canary);
		story_add_counts(&w->stable, &p->stable);
		story_add_counts(&w->probe_canary, &p->probe_canary);
		story_add_counts(&w->probe_stable, &p->probe_stable);
		w->counted_until_unix_ms = p->start_unix_ms + s->period_ms;
	}
	/* Periods without a datapoint were read as well. */
	int64_t read = s->read_through_unix_ms < whole ? s->read_through_unix_ms : whole;
	if (read > w->counted_until_unix_ms)
		w->counted_until_unix_ms = read;
	w->counted_short = w->counted_until_unix_ms < whole;
}

/* --- weights --- */

bool story_parse_target(const char *text, const char *canary, uint32_t *ret_bp)
{
	const char *at = strstr(text, canary);
	size_t len = strlen(canary);
	char percent[16];
	uint32_t bp;

	/* "version 1" is also how "version 10" begins. */
	while (at && at[len] != '\0' && at[len] != ' ')
		at = strstr(at + 1, canary);
	if (!at) {
		*ret_bp = 0;
		return strstr(text, "version ") || strstr(text, "$LATEST");
	}
	at += len;
	if (at[0] != ' ' || at[1] != '(') {
		*ret_bp = 10000;
		return true;
	}
	size_t digits = strcspn(at + 2, ")");
	if (digits >= sizeof(percent))
		return false;
	memcpy(percent, at + 2, digits);
	percent[digits] = '\0';
	if (text_parse_percent_bp(percent, &bp) != 0)
		return false;
	*ret_bp = bp;
	return true;
}

static void add_weight(struct story *s, const json_t *event)
{
	const char *text = field_text(event, "text");
	struct story_weight w = {.from_unix_ms = field_time(event, "at"), .until_unix_ms = s->until_unix_ms};

	if (!story_parse_target(text, s->canary, &w.weight_bp))
		return;
	w.home = w.weight_bp == 0;
	if (s->n_weights > 0)
		s->weights[s->n_weights - 1].until_unix_ms = w.from_unix_ms;
	s->weights[s->n_weights++] = w;
}

static void read_weights(struct story *s)
{
	size_t n = json_array_size(s->events);

	s->weights = mem_array(n + 1, sizeof(*s->weights));
	for (size_t i = 0; i < n && s->n_weights < WEIGHTS_MAX; i++) {
		const json_t *event = json_array_get(s->events, i);

		if (field_is(event, "kind", "weight"))
			add_weight(s, event);
	}
	for (size_t i = 0; i < s->n_weights; i++)
		count_weight(s, &s->weights[i]);
}

/* --- judgements --- */

static void read_judgements(struct story *s)
{
	const json_t *all = field_array(s->record, "judgements");
	size_t n = json_array_size(all);

	s->judgements = mem_array(n + 1, sizeof(*s->judgements));
	for (size_t i = 0; i < n && i < LIMIT_JUDGEMENTS; i++) {
		const json_t *o = json_array_get(all, i);
		int64_t bp = field_int(o, "weight_bp"), metric = field_int(o, "metric");

		s->judgements[s->n_judgements++] = (struct story_judgement){
		    .at_unix_ms = field_time(o, "at"),
		    .through_unix_ms = field_time(o, "through_at"),
		    .weight_bp = bp < 0 || bp > 10000 ? 0 : (uint32_t)bp,
		    .verdict = field_text(o, "verdict"),
		    .gap = field_text(o, "gap"),
		    .text = field_text(o, "text"),
		    .metric = metric < 0 ? 0 : (size_t)metric,
		    .detail = json_object_get(o, "detail"),
		};
	}
}

const json_t *story_metric(const struct story *s, size_t metric)
{
	return json_array_get(s->metrics, metric);
}

bool story_odds(const struct story *s, const struct story_judgement *j, char ret_seen[static 32],
		char ret_accepted[static 32])
{
	const json_t *result = json_array_get(json_object_get(j->detail, "metrics"), j->metric);
	const json_t *evidence = json_object_get(result, "evidence"),
		     *needed = json_object_get(result, "evidence_needed");
	double false_alarm = (double)field_int(story_metric(s, j->metric), "false_alarm_ppm") / 1e6;

	if (!json_is_number(evidence) || !json_is_number(needed) || false_alarm <= 0)
		return false;
	double beyond = json_number_value(evidence) - json_number_value(needed);
	double n = exp(fmin(beyond, log(ODDS_SHOWN_MAX))) / false_alarm;
	snprintf(ret_seen, 32, "1 of %.0f", fmax(1, fmin(n, ODDS_SHOWN_MAX)));
	snprintf(ret_accepted, 32, "1 of %.0f", 1 / false_alarm);
	return true;
}

/* --- probes and experiments --- */

static void read_probes(struct story *s)
{
	const json_t *plan = json_object_get(json_object_get(s->rollout, "plan"), "analysis");
	const json_t *probe = json_object_get(plan, "probe");
	struct story_probes *x = &s->probes;

	if (!json_is_object(probe))
		return;
	x->event = field_text(probe, "invoke");
	x->every_ms = field_int(probe, "every_ms");
	x->skipped = field_int(json_object_get(s->rollout, "probes"), "skipped");
	for (size_t i = 0; i < s->n_periods; i++) {
		const struct story_period *p = &s->periods[i];

		story_add_counts(&x->canary, &p->probe_canary);
		story_add_counts(&x->stable, &p->probe_stable);
		if (!p->probe_canary.seen && !p->probe_stable.seen)
			continue;
		if (x->from_unix_ms == 0)
			x->from_unix_ms = p->start_unix_ms;
		x->until_unix_ms = p->start_unix_ms + s->period_ms;
	}
}

static struct counts read_totals(const json_t *counts)
{
	int64_t invocations = field_int(counts, "invocations"), errors = field_int(counts, "errors");

	return (struct counts){.seen = field_true(counts, "seen"),
			       .invocations = invocations > 0 ? (uint64_t)invocations : 0,
			       .errors = errors > 0 ? (uint64_t)errors : 0};
}

/* In percent of the requests. */
static double read_bound(const json_t *form, const char *key)
{
	const json_t *v = json_object_get(form, key);

	return json_is_number(v) ? fmin(100, fmax(-100, json_number_value(v))) : NAN;
}

static void read_experiment(struct story *s)
{
	const json_t *form = json_object_get(s->rollout, "experiment");
	const json_t *step = json_array_get(field_array(json_object_get(s->rollout, "plan"), "steps"), 0);
	int64_t bp = field_int(step, "weight_bp");

	if (!json_is_object(form))
		return;
	s->experiment = (struct story_experiment){
	    .is = true,
	    .back = field_is(form, "then", "back"),
	    .concluded = field_true(form, "concluded"),
	    .text = field_text(form, "text"),
	    .finding = field_text(form, "finding"),
	    .canary = read_totals(json_object_get(form, "canary")),
	    .stable = read_totals(json_object_get(form, "stable")),
	    .low = read_bound(form, "difference_low"),
	    .high = read_bound(form, "difference_high"),
	    .counted_from_unix_ms = field_time(form, "counted_from_at"),
	    .counted_until_unix_ms = field_time(form, "counted_until_at"),
	    .weight_bp = bp < 0 || bp > 10000 ? 0 : (uint32_t)bp,
	    .asked_ms = field_int(step, "bake_ms"),
	};
	if (s->n_weights > 0)
		s->experiment.from_unix_ms = s->weights[0].from_unix_ms;
	s->experiment.until_unix_ms = s->n_weights > 1 ? s->weights[1].from_unix_ms : s->ended_unix_ms;
}

bool story_is_concluded(const struct story *s)
{
	return s->experiment.concluded && strcmp(s->phase, "rolled-back") == 0;
}

/* --- the whole --- */

static void read_version(const json_t *rollout, const char *key, char out[static 32])
{
	const char *v = field_text(rollout, key);

	snprintf(out, 32, "%s%.20s", v[0] == '$' ? "" : "version ", v[0] ? v : "?");
}

static void read_head(struct story *s)
{
	const json_t *r = s->rollout;

	s->name = field_text(r, "name");
	s->attempt = field_int(r, "attempt");
	s->phase = field_text(r, "phase");
	s->now_unix_ms = field_time(s->record, "now");
	s->created_unix_ms = field_time(r, "created_at");
	s->first_traffic_unix_ms = field_time(r, "first_traffic_at");
	s->promoted_unix_ms = field_time(r, "promoted_at");
	s->ended_unix_ms = field_time(r, "ended_at");
	s->until_unix_ms = s->ended_unix_ms != 0 ? s->ended_unix_ms : s->now_unix_ms;
	s->read_through_unix_ms = field_time(r, "metrics_read_through_at");
	s->period_ms = field_int(json_object_get(json_object_get(r, "plan"), "analysis"), "period_ms");
	if (s->period_ms <= 0 || s->period_ms > MS_PER_HOUR * 24)
		s->period_ms = MS_PER_MINUTE;
	read_version(r, "stable_version", s->stable);
	read_version(r, "canary_version", s->canary);
}

struct story *story_read(struct cli *cli, const json_t *record)
{
	struct story *s;

	if (!json_is_object(json_object_get(record, "rollout"))) {
		(void)cli_odd_answer(cli, "the rollout's record");
		return NULL;
	}
	if (field_int(record, "format") > RECORD_FORMAT) {
		cli_error(cli, "the record was written by a newer rolloutd: use the rolloutctl that came with it");
		return NULL;
	}
	if (field_true(json_object_get(record, "rollout"), "unreadable")) {
		cli_error(cli, "%s cannot be told: %s", field_text(json_object_get(record, "rollout"), "name"),
			  field_text(json_object_get(record, "rollout"), "reason"));
		return NULL;
	}
	s = mem_alloc(sizeof(*s));
	s->record = record;
	s->rollout = json_object_get(record, "rollout");
	s->metrics = field_array(record, "metrics");
	s->events = field_array(record, "events");
	read_head(s);
	read_periods(s);
	read_weights(s);
	read_judgements(s);
	read_probes(s);
	read_experiment(s);
	return s;
}

void story_free(struct story *s)
{
	if (!s)
		return;
	free(s->periods);
	free(s->weights);
	free(s->judgements);
	free(s);
}

void story_format_time(int64_t unix_ms, int64_t day_unix_ms, char out[static 40])
{
	char utc[32], day[32];

	if (unix_ms <= 0) {
		memcpy(out, "-", 2);
		return;
	}
	text_format_utc(unix_ms, utc);
	text_format_utc(day_unix_ms > 0 ? day_unix_ms : 0, day);
	if (day_unix_ms > 0 && memcmp(utc, day, 10) == 0)
		snprintf(out, 40, "%.8s", utc + 11);
	else
		snprintf(out, 40, "%.10s %.8s", utc, utc + 11);
}
