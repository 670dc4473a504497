/*
 * replay: another plan's analysis on a rollout that took place. It goes over the times at which that one was judged,
 * and judges what was known then, by the code that the daemon judges with. The weights are those that were: what would
 * have come after another decision nobody knows.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "field.h"
#include "plans.h"
#include "progress.h"
#include "span.h"
#include "story.h"
#include "table.h"

/* One version of a period's counts. */
struct reading {
	const json_t *sample;
	int64_t read_unix_ms;
};

/* What the other plan says about one weight. */
struct ruling {
	const struct story_weight *weight;
	int64_t at_unix_ms; /* of the first judgement that said so; 0: none was made */
	enum verdict verdict;
	char why[LIMIT_REASON];
};

struct replay {
	struct cli *cli;
	const struct story *s;
	struct plan *plan; /* the other one */
	struct plan *own;  /* the one that it ran by; NULL: it cannot be read any more */
	struct spec_analysis analysis;
	struct spec_metric metrics[LIMIT_METRICS]; /* those that were recorded */
	size_t source[LIMIT_METRICS];		   /* which of the own plan's metrics each has its data from */
	bool unrecorded[LIMIT_METRICS];		   /* of the other plan's */
	struct reading *readings;		   /* by the time of reading */
	size_t n_readings;
	size_t next_reading;
	struct samples known;
	struct ruling *rulings; /* one for each weight forward */
	size_t n_rulings;
	const struct ruling *failed; /* NULL: it would not have */
};

/* --- which metrics there is data for --- */

static bool same_text(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool reads_same(const struct spec_metric *a, const struct spec_metric *b)
{
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case SPEC_METRIC_ERRORS:
	case SPEC_METRIC_COMPARE:
	case SPEC_METRIC_THROTTLES:
		return true;
	case SPEC_METRIC_DURATION:
		return same_text(a->stat, b->stat) && (b->max_ratio_permille > 0 || a->max_ratio_permille == 0);
	case SPEC_METRIC_API_5XX:
		return same_text(a->api, b->api) && same_text(a->stage, b->stage) && a->http_api == b->http_api;
	case SPEC_METRIC_ALARM:
		return same_text(a->alarm, b->alarm);
	case SPEC_METRIC_QUERY:
		return same_text(a->queries, b->queries) && same_text(a->returns, b->returns);
	}
	return false;
}

/* The own plan's metric that has the data for this one. False: it was not recorded. */
static bool find_source(const struct replay *r, const struct spec_metric *m, size_t *ret)
{
	*ret = 0;
	if (m->kind == SPEC_METRIC_ERRORS || m->kind == SPEC_METRIC_COMPARE)
		return true; /* the counts of both versions are kept in any case */
	for (size_t i = 0; r->own && i < r->own->spec.analysis.n_metrics; i++) {
		if (reads_same(m, &r->own->spec.analysis.metrics[i])) {
			*ret = i;
			return true;
		}
	}
	return false;
}

static void choose_metrics(struct replay *r)
{
	const struct spec_analysis *a = &r->plan->spec.analysis;

	r->analysis = *a;
	r->analysis.period_ms = r->s->period_ms;
	r->analysis.metrics = r->metrics;
	r->analysis.n_metrics = 0;
	for (size_t i = 0; i < a->n_metrics; i++) {
		size_t source;

		r->unrecorded[i] = !find_source(r, &a->metrics[i], &source);
		if (r->unrecorded[i])
			continue;
		r->source[r->analysis.n_metrics] = source;
		r->metrics[r->analysis.n_metrics++] = a->metrics[i];
	}
	r->known.n_values = spec_first_value(&r->analysis, r->analysis.n_metrics);
}

static void format_metric(const struct spec_metric *m, char *out, size_t size)
{
	switch (m->kind) {
	case SPEC_METRIC_ERRORS:
	case SPEC_METRIC_COMPARE:
		snprintf(out, size, "errors");
		break;
	case SPEC_METRIC_THROTTLES:
		snprintf(out, size, "throttles");
		break;
	case SPEC_METRIC_DURATION:
		snprintf(out, size, "duration, %s", m->stat);
		break;
	case SPEC_METRIC_API_5XX:
		snprintf(out, size, "answers 5xx of stage %s of API %s", m->stage, m->api);
		break;
	case SPEC_METRIC_ALARM:
		snprintf(out, size, "alarm %s", m->alarm);
		break;
	case SPEC_METRIC_QUERY:
		snprintf(out, size, "query %s", m->returns);
		break;
	}
}

/* --- what was known when --- */

static int by_reading(const void *a, const void *b)
{
	const struct reading *x = a, *y = b;

	return (x->read_unix_ms > y->read_unix_ms) - (x->read_unix_ms < y->read_unix_ms);
}

static void sort_readings(struct replay *r)
{
	const json_t *samples = field_array(r->s->record, "samples");
	size_t n = json_array_size(samples);

	r->readings = mem_array(n + 1, sizeof(*r->readings));
	for (size_t i = 0; i < n; i++) {
		const json_t *o = json_array_get(samples, i);

		r->readings[r->n_readings++] = (struct reading){o, field_time(o, "read_at")};
	}
	qsort(r->readings, r->n_readings, sizeof(*r->readings), by_reading);
}

static void take_counts(const json_t *sample, const char *key, struct counts *ret)
{
	const json_t *pair = json_object_get(sample, key);
	int64_t n = json_integer_value(json_array_get(pair, 0)), e = json_integer_value(json_array_get(pair, 1));

	*ret = (struct counts){.seen = json_array_size(pair) == 2,
			       .invocations = n > 0 ? (uint64_t)n : 0,
			       .errors = e > 0 ? (uint64_t)e : 0};
}

/* The values of the other plan's metrics, from where the own plan's had them. */
static void take_values(struct replay *r, const json_t *sample, const struct sample *s)
{
	const json_t *values = field_array(sample, "values");
	double *to = samples_values(&r->known, (size_t)(s - r->known.items));

	for (size_t m = 0; to && m < r->analysis.n_metrics; m++) {
		size_t at = spec_first_value(&r->analysis, m), n = spec_metric_values(&r->metrics[m]);
		size_t from = n > 0 ? spec_first_value(&r->own->spec.analysis, r->source[m]) : 0;

		for (size_t k = 0; k < n; k++) {
			const json_t *v = json_array_get(values, from + k);

			to[at + k] = json_is_number(v) ? json_number_value(v) : NAN;
		}
	}
}

static void learn_until(struct replay *r, int64_t unix_ms)
{
	for (; r->next_reading < r->n_readings; r->next_reading++) {
		const struct reading *x = &r->readings[r->next_reading];
		int64_t start = field_time(x->sample, "start_at");

		if (x->read_unix_ms > unix_ms)
			return;
		struct sample *s = start > 0 ? samples_at(&r->known, start) : NULL;
		if (!s)
			continue;
		take_counts(x->sample, "canary", &s->canary);
		take_counts(x->sample, "stable", &s->stable);
		take_counts(x->sample, "alias", &s->alias);
		take_counts(x->sample, "probe_canary", &s->probe_canary);
		take_counts(x->sample, "probe_stable", &s->probe_stable);
		take_values(r, x->sample, s);
	}
}

/* --- judging --- */

/* Which alarms were excused was not kept for each time; but an alarm that was in ALARM then, and did not fail, was. */
static uint32_t take_alarms(const struct replay *r, const struct story_judgement *j,
			    enum alarm_state alarms[LIMIT_METRICS])
{
	const json_t *results = json_object_get(j->detail, "metrics");
	uint32_t excused = 0;

	for (size_t m = 0; m < LIMIT_METRICS; m++)
		alarms[m] = ALARM_UNKNOWN;
	for (size_t m = 0; m < r->analysis.n_metrics; m++) {
		const json_t *result = json_array_get(results, r->source[m]);
		int64_t state = field_int(result, "alarm");

		if (r->metrics[m].kind != SPEC_METRIC_ALARM || state <= 0 || state > ALARM_MISSING)
			continue;
		alarms[m] = (enum alarm_state)state;
		if (state == ALARM_ALARM && !field_is(result, "verdict", "fail"))
			excused |= UINT32_C(1) << m;
	}
	return excused;
}

static struct counts take_history(const struct replay *r)
{
	const json_t *record = json_object_get(r->s->record, "record");
	struct counts c = {.seen = field_true(record, "history_seen")};

	/* Numbers that need all 64 bits are text in the record. */
	if (text_parse_u64(field_text(record, "history_invocations"), UINT64_MAX, &c.invocations) != 0 ||
	    text_parse_u64(field_text(record, "history_errors"), UINT64_MAX, &c.errors) != 0)
		c = (struct counts){0};
	return c;
}

/* What the plan asks for at that weight besides its analysis. */
static uint64_t least_invocations(const struct replay *r, uint32_t weight_bp)
{
	const struct rollout_spec *spec = &r->plan->spec;

	for (size_t i = 0; i < spec->n_steps; i++)
		if (spec->steps[i].weight_bp == weight_bp)
			return spec->steps[i].min_invocations;
	return weight_bp >= WEIGHT_BP_MAX ? spec->final_min_invocations : 0;
}

/* The weights that it really had, and when they landed. */
static size_t take_weights(const struct story *s, struct spec_step **ret_steps, int64_t **ret_landed)
{
	size_t n = 0;

	*ret_steps = mem_array(s->n_weights + 1, sizeof(**ret_steps));
	*ret_landed = mem_array(s->n_weights + 1, sizeof(**ret_landed));
	for (size_t i = 0; i < s->n_weights; i++) {
		if (s->weights[i].weight_bp == 0 || s->weights[i].weight_bp >= WEIGHT_BP_MAX)
			continue;
		(*ret_steps)[n].weight_bp = s->weights[i].weight_bp;
		(*ret_landed)[n++] = s->weights[i].from_unix_ms;
	}
	return n;
}

static void judge(struct replay *r, const struct story_judgement *j, struct verdict_result *ret)
{
	const struct story *s = r->s;
	struct spec_step *steps cleanup(mem_free_p) = NULL;
	int64_t *landed cleanup(mem_free_p) = NULL;
	size_t n_steps = take_weights(s, &steps, &landed);
	enum alarm_state alarms[LIMIT_METRICS];
	bool promoted = s->promoted_unix_ms != 0 && s->promoted_unix_ms <= j->at_unix_ms;
	struct verdict_question q = {
	    .analysis = &r->analysis,
	    .samples = &r->known,
	    .alarms = alarms,
	    .alarms_read_unix_ms = field_time(j->detail, "alarms_read_at"),
	    .now_unix_ms = j->at_unix_ms,
	    .rollout_from_unix_ms =
		verdict_from(s->first_traffic_unix_ms,
			     field_int(json_object_get(s->record, "record"), "stable_since_unix_ms"), s->period_ms),
	    .step_from_unix_ms = field_time(j->detail, "weight_since_at"),
	    .step_until_unix_ms = field_time(j->detail, "bake_until_at"),
	    .read_through_unix_ms = field_time(j->detail, "read_through_at"),
	    .promoted_unix_ms = promoted ? s->promoted_unix_ms : 0,
	    .step_min_invocations = least_invocations(r, j->weight_bp),
	    .history = take_history(r),
	    .steps = steps,
	    .landed_unix_ms = landed,
	    .n_steps = n_steps,
	};

	learn_until(r, j->at_unix_ms);
	q.excused_alarms = take_alarms(r, j, alarms);
	verdict_judge(&q, ret);
}

/* What the plan makes of a verdict: missing data may count as a pass or a failure. */
static enum verdict read_verdict(const struct replay *r, const struct verdict_result *v)
{
	enum spec_no_data no_data = r->analysis.no_data;

	if (v->verdict != VERDICT_UNDECIDED)
		return v->verdict;
	if (v->gap == VERDICT_GAP_NO_DATA && no_data == SPEC_NO_DATA_ROLLBACK)
		return VERDICT_FAIL;
	if ((v->gap == VERDICT_GAP_NO_DATA || v->gap == VERDICT_GAP_FEW) && v->min_met &&
	    no_data == SPEC_NO_DATA_PASS && !verdict_awaits_data(&r->analysis, v))
		return VERDICT_PASS;
	return VERDICT_UNDECIDED;
}

static struct ruling *ruling_at(struct replay *r, const struct story_judgement *j)
{
	for (size_t i = r->n_rulings; i-- > 0;) {
		const struct story_weight *w = r->rulings[i].weight;

		if (w->weight_bp == j->weight_bp && j->at_unix_ms >= w->from_unix_ms)
			return &r->rulings[i];
	}
	return NULL;
}

static void run(struct replay *r)
{
	/* The name in a record may be anything; that one was given and checked. */
	struct progress progress = progress_begin(r->cli->of, "judgements");

	for (size_t i = 0; i < r->s->n_judgements && !r->failed; i++) {
		const struct story_judgement *j = &r->s->judgements[i];
		struct ruling *ruling = ruling_at(r, j);
		struct verdict_result v;

		progress_tell(&progress, i, r->s->n_judgements);
		judge(r, j, &v);
		if (!ruling)
			continue;
		enum verdict verdict = read_verdict(r, &v);
		if (ruling->verdict == VERDICT_PASS && verdict != VERDICT_FAIL)
			continue; /* from its first pass on it would have gone on */
		ruling->at_unix_ms = j->at_unix_ms;
		ruling->verdict = verdict;
		(void)text_copy(ruling->why, sizeof(ruling->why), v.why);
		if (verdict == VERDICT_FAIL)
			r->failed = ruling;
	}
	progress_end(&progress);
}

/* --- what is said --- */

/* With all traffic it was not judged, as neither plan watches that, or the one it ran by did not. */
static bool is_unwatched(const struct ruling *x)
{
	return x->at_unix_ms == 0 && x->weight->weight_bp >= WEIGHT_BP_MAX;
}

static bool wants_final(const struct replay *r)
{
	return r->plan->spec.final_bake_ms > 0;
}

/* The first weight that the other plan would not have let pass. NULL: none. */
static const struct ruling *find_undecided(const struct replay *r)
{
	for (size_t i = 0; i < r->n_rulings; i++) {
		const struct ruling *x = &r->rulings[i];

		if (x->verdict != VERDICT_PASS && (!is_unwatched(x) || wants_final(r)))
			return x;
	}
	return NULL;
}

/* What really came of that weight. */
static const char *really(const struct replay *r, const struct story_weight *w, char out[static 64])
{
	const struct story *s = r->s;
	const struct story_weight *next = w + 1 < s->weights + s->n_weights ? w + 1 : NULL;
	char at[40];

	story_format_time(next ? next->from_unix_ms : s->until_unix_ms, s->created_unix_ms, at);
	if (next)
		snprintf(out, 64, "%s at %s", next->home ? "went back" : "went on", at);
	else
		snprintf(out, 64, "%s at %s", s->ended_unix_ms ? s->phase : "is still there", at);
	return out;
}

static const char *ruling_words(const struct replay *r, const struct ruling *x, char out[static 64])
{
	char at[40];

	story_format_time(x->at_unix_ms, r->s->created_unix_ms, at);
	if (r->failed && x->weight->from_unix_ms > r->failed->at_unix_ms)
		snprintf(out, 64, "not reached");
	else if (is_unwatched(x) && !wants_final(r))
		snprintf(out, 64, "needs no verdict");
	else if (x->at_unix_ms == 0)
		snprintf(out, 64, "never judged");
	else
		snprintf(out, 64, "%s at %s", verdict_name(x->verdict), at);
	return out;
}

static void put_summary(const struct replay *r, struct canvas *c)
{
	const struct story *s = r->s;
	const struct ruling *held = find_undecided(r);
	char at[40], span[32], weight[16];

	if (r->failed) {
		int64_t earlier = s->until_unix_ms - r->failed->at_unix_ms;

		story_format_time(r->failed->at_unix_ms, s->created_unix_ms, at);
		text_format_span(earlier > 0 ? earlier : 0, span);
		text_format_bp(r->failed->weight->weight_bp, weight);
		canvas_putf(c, STYLE_BAD, "By this plan it would have failed at %s, at a weight of %s", at, weight);
		canvas_putf(c, STYLE_PLAIN, ": %s.", r->failed->why);
		canvas_end_line(c);
		if (!s->ended_unix_ms)
			canvas_putf(c, STYLE_PLAIN, "It really is still under way: %s.", s->phase);
		else if (earlier < r->s->period_ms)
			canvas_putf(c, STYLE_PLAIN, "That is just when it really ended: %s.", s->phase);
		else
			canvas_putf(c, STYLE_PLAIN, "That is %s before what really was its end: %s.", span, s->phase);
	} else if (!held) {
		canvas_put(c, STYLE_GOOD, "By this plan every weight would have passed.");
		canvas_putf(c, STYLE_PLAIN, " What really happened: %s.", s->phase);
	} else {
		text_format_bp(held->weight->weight_bp, weight);
		canvas_putf(
		    c, STYLE_WARN,
		    "By this plan it would not have failed, and at a weight of %s it would have been undecided: "
		    "%s.",
		    weight, held->at_unix_ms != 0 ? held->why : "that was not watched, so nothing was judged");
		canvas_putf(c, STYLE_PLAIN, " What really happened: %s.", s->phase);
	}
	canvas_end_line(c);
}

static void put_table(const struct replay *r, struct canvas *c)
{
	static const struct column columns[] = {{.title = "WEIGHT", .right = true},
						{.title = "FROM (UTC)"},
						{.title = "REALLY"},
						{.title = "BY THIS PLAN"},
						{.title = "WHY", .shrink_to = 20}};
	struct table *t = table_new(c->screen, columns, array_len(columns));

	for (size_t i = 0; i < r->n_rulings; i++) {
		const struct ruling *x = &r->rulings[i];
		char weight[16], from[40], was[64], words[64];

		text_format_bp(x->weight->weight_bp, weight);
		story_format_time(x->weight->from_unix_ms, i > 0 ? r->s->created_unix_ms : 0, from);
		table_row(t);
		table_cell(t, STYLE_BOLD, weight);
		table_cell(t, STYLE_PLAIN, from);
		table_cell(t, STYLE_PLAIN, really(r, x->weight, was));
		table_cell(t,
			   x->verdict == VERDICT_PASS	? STYLE_GOOD
			   : x->verdict == VERDICT_FAIL ? STYLE_BAD
							: STYLE_PLAIN,
			   ruling_words(r, x, words));
		table_cell(t, STYLE_PLAIN, x->why);
	}
	table_render(t, c, 0);
	table_free(t);
}

static void put_notes(const struct replay *r, struct canvas *c)
{
	const struct spec_analysis *a = &r->plan->spec.analysis;
	char name[320], mine[32], theirs[32];

	for (size_t i = 0; i < a->n_metrics; i++) {
		if (!r->unrecorded[i])
			continue;
		format_metric(&a->metrics[i], name, sizeof(name));
		canvas_putf(c, STYLE_WARN, "Not recorded, and so not judged: %s.", name);
		canvas_end_line(c);
	}
	if (a->period_ms != r->s->period_ms) {
		text_format_span(a->period_ms, mine);
		text_format_span(r->s->period_ms, theirs);
		canvas_putf(c, STYLE_WARN, "Judged by the recorded periods of %s; the plan asks for %s.", theirs, mine);
		canvas_end_line(c);
	}
	int64_t omitted = field_int(r->s->record, "judgements_omitted");
	if (omitted > 0) {
		canvas_putf(c, STYLE_WARN, "%jd times at which it was judged as before were left out of the record.",
			    (intmax_t)omitted);
		canvas_end_line(c);
	}
	canvas_put(c, STYLE_DIM,
		   "The weights are those that were: what would have come after another decision nobody knows.");
	canvas_end_line(c);
}

static json_t *time_form(int64_t unix_ms)
{
	char text[32];

	text_format_utc(unix_ms, text);
	return unix_ms ? json_string(text) : json_null();
}

static json_t *replay_form(const struct replay *r)
{
	const struct spec_analysis *a = &r->plan->spec.analysis;
	json_t *weights = json_array(), *missing = json_array();
	char text[320];

	for (size_t i = 0; i < r->n_rulings; i++) {
		const struct ruling *x = &r->rulings[i];

		json_array_append_new(
		    weights, json_pack("{s:I, s:o, s:s, s:s, s:o, s:s}", "weight_bp", (json_int_t)x->weight->weight_bp,
				       "from_at", time_form(x->weight->from_unix_ms), "really",
				       really(r, x->weight, text), "verdict", verdict_name(x->verdict), "judged_at",
				       time_form(x->at_unix_ms), "why", x->why));
	}
	for (size_t i = 0; i < a->n_metrics; i++) {
		if (!r->unrecorded[i])
			continue;
		format_metric(&a->metrics[i], text, sizeof(text));
		json_array_append_new(missing, json_string(text));
	}
	return json_pack("{s:s, s:I, s:s, s:b, s:o, s:o, s:o}", "name", r->s->name, "attempt",
			 (json_int_t)r->s->attempt, "really", r->s->phase, "would_fail", r->failed != NULL, "fails_at",
			 time_form(r->failed ? r->failed->at_unix_ms : 0), "weights", weights, "not_recorded", missing);
}

static void put_replay(const struct replay *r)
{
	struct buf out = BUF_INIT(LIMIT_CONTROL_ANSWER_BYTES);
	struct canvas c = {.screen = &r->cli->screen, .out = &out};

	put_summary(r, &c);
	canvas_end_line(&c);
	put_table(r, &c);
	canvas_end_line(&c);
	put_notes(r, &c);
	cli_write(&out);
	buf_deinit(&out);
}

/* --- the command --- */

static int replay_story(struct cli *cli, const struct story *s, struct plan *plan)
{
	const char *text = field_text(s->record, "plan");
	struct diags *diags = mem_alloc(sizeof(*diags));
	cleanup(plan_free_p) struct plan *own = plan_load(text, strlen(text), diags);
	struct replay r = {.cli = cli, .s = s, .plan = plan, .own = own};
	int rc = EXIT_REFUSED;

	diags_deinit(diags);
	free(diags);
	choose_metrics(&r);
	sort_readings(&r);
	r.rulings = mem_array(s->n_weights + 1, sizeof(*r.rulings));
	for (size_t i = 0; i < s->n_weights; i++)
		if (!s->weights[i].home)
			r.rulings[r.n_rulings++].weight = &s->weights[i];
	if (s->n_judgements == 0) {
		cli_error(cli, "%s, attempt %jd, was never judged: there is nothing to judge again", s->name,
			  (intmax_t)s->attempt);
	} else if (r.analysis.n_metrics == 0) {
		cli_error(cli, "none of this plan's metrics was recorded for %s: see rolloutctl explain %s", s->name,
			  s->name);
	} else {
		run(&r);
		rc = r.failed ? EXIT_ROLLED_BACK : EXIT_DONE;
		json_t *form = cli->json ? replay_form(&r) : NULL;
		if (form)
			cli_write_json(cli, form);
		else
			put_replay(&r);
		json_decref(form);
	}
	samples_deinit(&r.known);
	free(r.readings);
	free(r.rulings);
	return rc;
}

int command_replay(struct cli *cli)
{
	cleanup(plan_free_p) struct plan *plan = NULL;
	json_t *record = NULL;

	if (!cli->of) {
		cli_error(cli, "replay: --of NAME is missing: the rollout that took place");
		return EXIT_USAGE;
	}
	int rc = plans_load(cli, cli->args[0], false, &plan); /* warnings are for `validate` */
	if (rc == EXIT_DONE && plan->kind != PLAN_ROLLOUT) {
		cli_error(cli, "%s: is a Service; expected a plan with `kind: Rollout`", cli->args[0]);
		rc = EXIT_REFUSED;
	}
	if (rc == EXIT_DONE)
		rc = story_get(cli, cli->of, &record);
	if (rc != EXIT_DONE)
		return rc;
	struct story *s = story_read(cli, record);
	rc = s ? replay_story(cli, s, plan) : EXIT_REFUSED;
	story_free(s);
	json_decref(record);
	return rc;
}
