#include "page.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "cli.h"
#include "field.h"
#include "service.h"
#include "span.h"

#define INDENT	   2
#define LABEL	   12 /* column after the labels */
#define BAR_CELLS  48
#define EVENT_ROWS 6
#define KIND_CELLS 8 /* of an event's kind, so that the texts stand in a column */
#define TEXT_ROWS  3 /* of a reason that is wider than the screen */

static bool phase_is(const json_t *rollout, const char *phase)
{
	return field_is(rollout, "phase", phase);
}

bool page_ended(const json_t *rollout)
{
	return phase_is(rollout, "succeeded") || phase_is(rollout, "rolled-back") || phase_is(rollout, "failed");
}

/* An experiment whose time was over, and whose traffic went back as planned: that is no failure. */
static bool has_concluded(const json_t *rollout)
{
	return field_true(json_object_get(rollout, "experiment"), "concluded");
}

int page_exit_code(const json_t *rollout)
{
	if (phase_is(rollout, "succeeded") || (phase_is(rollout, "rolled-back") && has_concluded(rollout)))
		return EXIT_DONE;
	if (phase_is(rollout, "rolled-back"))
		return EXIT_ROLLED_BACK;
	if (phase_is(rollout, "failed"))
		return EXIT_REFUSED;
	if (phase_is(rollout, "paused") || phase_is(rollout, "blocked"))
		return EXIT_HELD;
	return -1;
}

enum style page_phase_style(const char *phase)
{
	static const struct {
		const char *phase;
		enum style style;
	} styles[] = {
	    {"succeeded", STYLE_GOOD},	  {"progressing", STYLE_INFO}, {"promoting", STYLE_INFO},
	    {"baking", STYLE_INFO},	  {"preparing", STYLE_INFO},   {"paused", STYLE_WARN},
	    {"rolling-back", STYLE_WARN}, {"rolled-back", STYLE_BAD},  {"failed", STYLE_BAD},
	    {"blocked", STYLE_BAD},
	};

	for (size_t i = 0; i < array_len(styles); i++)
		if (strcmp(styles[i].phase, phase) == 0)
			return styles[i].style;
	return STYLE_PLAIN;
}

enum style page_style(const json_t *rollout)
{
	return page_exit_code(rollout) == EXIT_DONE ? STYLE_GOOD : page_phase_style(field_text(rollout, "phase"));
}

const char *page_weight(const json_t *object, const char *key_bp, char out[static 16])
{
	int64_t bp = field_int(object, key_bp);

	text_format_bp(bp < 0 || bp > 10000 ? 0 : (uint32_t)bp, out);
	return out;
}

/* Whether no weight was asked for yet. */
static bool not_begun(const json_t *rollout)
{
	return phase_is(rollout, "pending") || phase_is(rollout, "preparing") ||
	       (phase_is(rollout, "failed") && field_int(rollout, "weight_bp") == 0);
}

void page_format_step(const json_t *rollout, char out[static 48])
{
	int64_t index = field_int(rollout, "step_index"), count = field_int(rollout, "step_count");

	if (field_true(rollout, "unreadable") || not_begun(rollout))
		memcpy(out, "-", 2);
	else if (index >= count)
		memcpy(out, "final", 6);
	else
		snprintf(out, 48, "%jd/%jd", (intmax_t)(index + 1), (intmax_t)count);
}

static const char *version_of(const json_t *rollout, const char *key)
{
	const char *v = field_text(rollout, key);

	return v[0] ? v : "?";
}

/* Neither is known before the alias and the version were looked up. */
static bool knows_versions(const json_t *rollout)
{
	return field_text(rollout, "stable_version")[0] || field_text(rollout, "canary_version")[0];
}

void page_format_versions(const json_t *rollout, char out[static 64])
{
	if (field_true(rollout, "unreadable") || !knows_versions(rollout))
		memcpy(out, "-", 2);
	else
		snprintf(out, 64, "%.24s > %.24s", version_of(rollout, "stable_version"),
			 version_of(rollout, "canary_version"));
}

/* "v2", "$LATEST", "v?". */
static const char *version_label(const json_t *rollout, const char *key, char out[static 32])
{
	const char *v = version_of(rollout, key);

	snprintf(out, 32, "%s%.24s", v[0] == '$' ? "" : "v", v);
	return out;
}

static void put_label(struct canvas *c, const char *label)
{
	canvas_pad(c, INDENT);
	canvas_put(c, STYLE_DIM, label);
	canvas_pad(c, INDENT + LABEL);
}

/* A sentence; on a canvas that clips it is broken at its words, as its end often says most. */
void page_put_sentence(struct canvas *c, enum style style, const char *text)
{
	int width = c->clip ? c->screen->width : 0;

	for (int rows = 1; *text;) {
		size_t len = strcspn(text, " ");
		cleanup(mem_free_p) char *word = mem_strndup(text, len);
		bool fits = c->column + screen_cells(c->screen, word) <= width;

		if (width == 0 || (!fits && rows == TEXT_ROWS)) {
			canvas_put(c, style, text);
			return;
		}
		if (!fits && c->column > INDENT + LABEL) {
			canvas_end_line(c);
			canvas_pad(c, INDENT + LABEL);
			rows++;
		}
		canvas_put(c, style, word);
		text += len + strspn(text + len, " ");
		if (*text && c->column < width)
			canvas_put(c, style, " ");
	}
}

static void put_blank(struct canvas *c)
{
	canvas_end_line(c);
}

static void put_head(struct canvas *c, const struct page *p)
{
	const json_t *r = p->rollout;
	const char *phase = field_text(r, "phase"), *reason = field_text(r, "reason");
	canvas_put(c, STYLE_BOLD, field_text(r, "name"));
	if (!field_true(r, "unreadable")) {
		canvas_putf(c, STYLE_PLAIN, "  %s:%s", field_text(r, "function"), field_text(r, "alias"));
		canvas_putf(c, STYLE_DIM, "  %s, account %s, attempt %jd", field_text(r, "region"),
			    field_text(r, "account"), (intmax_t)field_int(r, "attempt"));
	}
	canvas_end_line(c);
	canvas_put(c, page_style(r), phase);
	if (reason[0]) {
		canvas_put(c, STYLE_PLAIN, ": ");
		page_put_sentence(c, STYLE_PLAIN, reason);
	}
	if (field_true(r, "superseded"))
		canvas_put(c, STYLE_WARN, " (superseded by new content)");
	canvas_end_line(c);
}

static void put_bar(struct canvas *c, const json_t *r)
{
	char stable[32], canary[32], weight[16], rest[16];
	int64_t bp = field_int(r, "weight_bp");
	int cells = BAR_CELLS;

	if (bp < 0 || bp > 10000)
		bp = 0;
	text_format_bp((uint32_t)(10000 - bp), rest);

	version_label(r, "stable_version", stable);
	version_label(r, "canary_version", canary);
	if (c->clip && c->screen->width > 0) {
		int room = c->screen->width - INDENT - (int)strlen(stable) - (int)strlen(canary) - 18;
		cells = room < 10 ? 10 : room < cells ? room : cells;
	}
	/* A weight of 0.1 % is traffic, and 99.9 % is not all of it: neither may look as if it were nothing. */
	int share = (int)((bp * cells + 5000) / 10000);
	if (bp > 0 && share == 0)
		share = 1;
	if (bp < 10000 && share == cells)
		share = cells - 1;
	canvas_pad(c, INDENT);
	canvas_putf(c, STYLE_BOLD, "%s %4s ", canary, page_weight(r, "weight_bp", weight));
	canvas_symbol(c, STYLE_INFO, SYMBOL_CANARY, share);
	canvas_symbol(c, STYLE_DIM, SYMBOL_STABLE, cells - share);
	canvas_putf(c, STYLE_PLAIN, " %4s %s", rest, stable);
	canvas_end_line(c);
}

/* How far the rollout is, from the view of the step with that index (step_count: the promotion and the final bake). */
enum step_state { STEP_AHEAD, STEP_HERE, STEP_DONE, STEP_FAILED };

static enum step_state step_state(const json_t *r, int64_t i)
{
	int64_t index = field_int(r, "step_index");

	if (phase_is(r, "succeeded") || has_concluded(r))
		return STEP_DONE;
	if (not_begun(r))
		return STEP_AHEAD;
	if (i != index)
		return i < index ? STEP_DONE : STEP_AHEAD;
	bool failed = phase_is(r, "rolling-back") || phase_is(r, "rolled-back") || phase_is(r, "failed");
	return failed ? STEP_FAILED : STEP_HERE;
}

static void put_step_mark(struct canvas *c, enum step_state state)
{
	canvas_pad(c, INDENT);
	switch (state) {
	case STEP_AHEAD:
		break;
	case STEP_HERE:
		canvas_symbol(c, STYLE_INFO, SYMBOL_HERE, 1);
		break;
	case STEP_DONE:
		canvas_symbol(c, STYLE_GOOD, SYMBOL_DONE, 1);
		break;
	case STEP_FAILED:
		canvas_symbol(c, STYLE_BAD, SYMBOL_FAILED, 1);
		break;
	}
	canvas_pad(c, INDENT + 2);
}

static void put_bake(struct canvas *c, const json_t *r, int64_t bake_ms, enum step_state state)
{
	char baked[32], bake[32];

	text_format_span(bake_ms, bake);
	if (state != STEP_HERE || phase_is(r, "promoting")) {
		canvas_put(c, STYLE_PLAIN, bake_ms > 0 ? bake : "-");
		return;
	}
	/* Whole seconds, so that it counts evenly. */
	text_format_span(field_int(r, "baked_ms") / 1000 * 1000, baked);
	if (bake_ms == 0)
		canvas_put(c, STYLE_PLAIN, "-");
	else if (field_int(r, "baked_ms") < bake_ms)
		canvas_putf(c, STYLE_PLAIN, "%s of %s baked", baked, bake);
	else
		canvas_putf(c, STYLE_PLAIN, "%s baked", bake);
}

static void put_step(struct canvas *c, const json_t *r, const json_t *step, int64_t i)
{
	enum step_state state = step_state(r, i);
	enum style style = state == STEP_HERE ? STYLE_BOLD : state == STEP_AHEAD ? STYLE_DIM : STYLE_PLAIN;
	char weight[16];
	int64_t least = field_int(step, "min_invocations");

	put_step_mark(c, state);
	canvas_putf(c, style, "step %jd", (intmax_t)(i + 1));
	canvas_pad(c, INDENT + LABEL);
	canvas_putf(c, style, "%6s  ", page_weight(step, "weight_bp", weight));
	put_bake(c, r, field_int(step, "bake_ms"), state);
	if (least > 0)
		canvas_putf(c, STYLE_DIM, ", at least %jd invocations", (intmax_t)least);
	if (field_true(step, "approve"))
		canvas_put(c, STYLE_DIM, ", then waits for promote");
	canvas_end_line(c);
}

static void put_final(struct canvas *c, const json_t *r, const json_t *plan, int64_t count)
{
	enum step_state state = step_state(r, count);
	bool promoted = field_int(r, "step_index") >= count; /* by hand, if need be */

	if (field_is(plan, "experiment", "back") && !promoted) {
		put_step_mark(c, has_concluded(r) && page_ended(r) ? STEP_DONE : STEP_AHEAD);
		canvas_put(c, STYLE_PLAIN, "then");
		canvas_pad(c, INDENT + LABEL);
		canvas_putf(c, STYLE_PLAIN, "%6s  back to the stable version", "0%");
		canvas_end_line(c);
		return;
	}
	put_step_mark(c, state);
	canvas_put(c, state == STEP_HERE ? STYLE_BOLD : STYLE_PLAIN, "final");
	canvas_pad(c, INDENT + LABEL);
	canvas_putf(c, STYLE_PLAIN, "%6s  ", "100%");
	put_bake(c, r, field_int(plan, "final_bake_ms"), state);
	canvas_end_line(c);
}

/* All steps, or as many around the current one as there is room for. */
static void put_steps(struct canvas *c, const struct page *p)
{
	const json_t *plan = json_object_get(p->rollout, "plan");
	const json_t *steps = field_array(plan, "steps");
	int64_t count = (int64_t)json_array_size(steps), index = field_int(p->rollout, "step_index");
	int64_t room = c->max_rows > 0 ? canvas_rows_left(c) - 14 : INT64_MAX;
	int64_t from = 0, until = count;

	if (!plan)
		return;
	if (room < 3)
		room = 3;
	if (count > room) {
		from = index - room / 2;
		from = from < 0 ? 0 : from + room > count ? count - room : from;
		until = from + room;
	}
	if (from > 0) {
		put_label(c, "");
		canvas_putf(c, STYLE_DIM, "%jd earlier steps", (intmax_t)from);
		canvas_end_line(c);
	}
	for (int64_t i = from; i < until; i++)
		put_step(c, p->rollout, json_array_get(steps, (size_t)i), i);
	if (until < count) {
		put_label(c, "");
		canvas_putf(c, STYLE_DIM, "%jd more steps", (intmax_t)(count - until));
		canvas_end_line(c);
	}
	put_final(c, p->rollout, plan, count);
}

static void put_next(struct canvas *c, const struct page *p)
{
	int64_t at = field_time(p->rollout, "next_step_at");
	char span[32], time[SPAN_TIME_SIZE];

	if (at == 0 || page_exit_code(p->rollout) >= 0)
		return;
	bool last = field_int(p->rollout, "step_index") >= field_int(p->rollout, "step_count");
	bool ends = field_is(json_object_get(p->rollout, "experiment"), "then", "back");
	put_label(c, last || ends ? "done" : "next step");
	if (at <= p->now_unix_ms) {
		canvas_put(c, STYLE_PLAIN, "as soon as the evidence is in");
	} else {
		/* Whole seconds, so that it counts down evenly. */
		text_format_span((at - p->now_unix_ms + 999) / 1000 * 1000, span);
		span_format_time(at, p->now_unix_ms, time);
		canvas_putf(c, STYLE_BOLD, "in %s", span);
		canvas_putf(c, STYLE_PLAIN, " at the earliest (%s)", time);
	}
	canvas_end_line(c);
}

static void put_counts(struct canvas *c, const char *label, const json_t *counts)
{
	char invocations[SPAN_TIME_SIZE], errors[SPAN_TIME_SIZE], rate[SPAN_TIME_SIZE];
	int64_t n = field_int(counts, "invocations"), e = field_int(counts, "errors");

	canvas_pad(c, INDENT);
	canvas_put(c, STYLE_PLAIN, label);
	canvas_pad(c, INDENT + LABEL + 2);
	if (!field_true(counts, "seen")) {
		canvas_putf(c, STYLE_DIM, "%11s", "no data");
		canvas_end_line(c);
		return;
	}
	span_format_count(n, invocations);
	span_format_count(e, errors);
	span_format_rate(e, n, rate);
	canvas_putf(c, STYLE_PLAIN, "%11s", invocations);
	canvas_putf(c, e > 0 ? STYLE_WARN : STYLE_PLAIN, "  %9s  %8s", errors, rate);
	canvas_end_line(c);
}

static void put_probes(struct canvas *c, const json_t *r)
{
	const json_t *probes = json_object_get(r, "probes");
	const json_t *stable = json_object_get(probes, "stable");
	char version[32], label[48];

	if (!json_is_object(probes))
		return;
	if (field_true(stable, "seen")) {
		snprintf(label, sizeof(label), "probes of %s", version_label(r, "stable_version", version));
		put_counts(c, label, stable);
	}
	snprintf(label, sizeof(label), "probes of %s", version_label(r, "canary_version", version));
	put_counts(c, label, json_object_get(probes, "canary"));
}

static void put_versions(struct canvas *c, const json_t *r)
{
	const json_t *v = json_object_get(r, "verdict");
	char version[32], label[48];

	canvas_pad(c, INDENT + LABEL + 2);
	canvas_putf(c, STYLE_DIM, "%11s  %9s  %8s", "invocations", "errors", "rate");
	canvas_end_line(c);
	snprintf(label, sizeof(label), "%s stable", version_label(r, "stable_version", version));
	put_counts(c, label, json_object_get(v, "stable"));
	snprintf(label, sizeof(label), "%s canary", version_label(r, "canary_version", version));
	put_counts(c, label, json_object_get(v, "canary"));
	put_counts(c, "   this step", json_object_get(v, "canary_step"));
	put_probes(c, r);
}

static void put_verdict(struct canvas *c, const json_t *r)
{
	const json_t *v = json_object_get(r, "verdict");
	const char *verdict = field_text(v, "verdict"), *why = field_text(v, "why");
	bool pass = strcmp(verdict, "pass") == 0, fail = strcmp(verdict, "fail") == 0;

	/* Once it is over, what is undecided stays so, and does not matter any more. */
	if (!verdict[0] || (page_ended(r) && !pass && !fail))
		return;
	put_label(c, "verdict");
	canvas_put(c, pass ? STYLE_GOOD : fail ? STYLE_BAD : STYLE_PLAIN, verdict);
	if (why[0]) {
		canvas_put(c, STYLE_PLAIN, ": ");
		page_put_sentence(c, STYLE_PLAIN, why);
	}
	canvas_end_line(c);
}

/* Of one that runs, or has run. As long as it is the reason of the phase, it is said there. */
static void put_experiment(struct canvas *c, const json_t *r)
{
	const char *text = field_text(json_object_get(r, "experiment"), "text");
	bool over = page_ended(r) || field_time(r, "promoted_at") != 0 || phase_is(r, "rolling-back");

	if (!strstr(field_text(r, "reason"), text))
		page_put_field(c, STYLE_PLAIN, over ? "found" : "so far", text);
}

void page_put_field(struct canvas *c, enum style style, const char *label, const char *text)
{
	if (!text[0])
		return;
	put_label(c, label);
	page_put_sentence(c, style, text);
	canvas_end_line(c);
}

static bool holds_pause(const json_t *r, const char *which)
{
	const json_t *pause = field_array(r, "pause");

	for (size_t i = 0; i < json_array_size(pause); i++) {
		const char *s = json_string_value(json_array_get(pause, i));
		if (s && strcmp(s, which) == 0)
			return true;
	}
	return false;
}

/* What an operator can do now, where the rollout waits for one. */
static void put_hint(struct canvas *c, const json_t *r)
{
	const char *name = field_text(r, "name");
	bool manual = field_is(json_object_get(r, "plan"), "start", "manual");
	char text[768] = "";

	if (field_true(r, "unreadable"))
		return;
	if (json_array_size(field_array(r, "pause")) > 0)
		snprintf(text, sizeof(text), "rolloutctl %s %.192s  or  rolloutctl rollback %.192s",
			 holds_pause(r, "approval") ? "promote" : "resume", name, name);
	else if (phase_is(r, "blocked"))
		snprintf(text, sizeof(text),
			 "rolloutctl resume %.192s (goes on from what the alias holds)  or  rolloutctl rollback %.192s",
			 name, name);
	else if (phase_is(r, "pending") && manual)
		snprintf(text, sizeof(text), "rolloutctl promote %.192s (starts it)", name);
	else if ((phase_is(r, "rolled-back") && !has_concluded(r)) || phase_is(r, "failed"))
		snprintf(text, sizeof(text), "rolloutctl retry %.192s (runs it again)", name);
	page_put_field(c, STYLE_BOLD, "to do", text);
}

void page_put_time(struct canvas *c, const struct page *p, const char *label, const char *key)
{
	int64_t at = field_time(p->rollout, key);
	char time[SPAN_TIME_SIZE], ago[32];

	if (at == 0)
		return;
	span_format_time(at, p->now_unix_ms, time);
	text_format_span(p->now_unix_ms > at ? p->now_unix_ms - at : 0, ago);
	put_label(c, label);
	canvas_putf(c, STYLE_PLAIN, "%s, %s ago", time, ago);
	canvas_end_line(c);
}

static void put_alarms(struct canvas *c, const json_t *r)
{
	const json_t *alarms = field_array(r, "alarms");

	for (size_t i = 0; i < json_array_size(alarms); i++) {
		const json_t *a = json_array_get(alarms, i);

		put_label(c, i == 0 ? "alarms" : "");
		canvas_putf(c, field_is(a, "state", "alarm") ? STYLE_BAD : STYLE_PLAIN, "%s: %s",
			    field_text(a, "alarm"), field_text(a, "state"));
		canvas_end_line(c);
	}
}

static void put_details(struct canvas *c, const struct page *p)
{
	const json_t *r = p->rollout;
	char span[32];

	put_alarms(c, r);
	/* A blocked one found something else there: its reason says what. */
	page_put_field(c, STYLE_PLAIN, phase_is(r, "blocked") ? "was left" : "alias holds",
		       field_text(r, "alias_holds"));
	page_put_field(c, STYLE_PLAIN, "revision", field_text(r, "alias_revision"));
	page_put_field(c, STYLE_PLAIN, "plan", field_text(r, "source"));
	page_put_field(c, STYLE_PLAIN, "plan hash", field_text(r, "plan_hash"));
	text_format_span(field_int(r, "expected_ms"), span);
	page_put_field(c, STYLE_PLAIN, "takes", span);
	page_put_time(c, p, "created", "created_at");
	page_put_time(c, p, "traffic", "first_traffic_at");
	if (!page_ended(r))
		page_put_time(c, p, "this weight", "weight_since_at");
	page_put_time(c, p, "promoted", "promoted_at");
	page_put_time(c, p, "ended", "ended_at");
	page_put_time(c, p, "metrics to", "metrics_read_through_at");
}

void page_put_event(struct canvas *c, const json_t *event, int64_t now_unix_ms, bool with_name)
{
	char time[SPAN_TIME_SIZE];
	const char *kind = field_text(event, "kind"), *by = field_text(event, "by");
	const char *text = field_text(event, "text");
	bool bad = strcmp(kind, "trouble") == 0 || strcmp(kind, "foreign-write") == 0;

	/* Texts that begin with their own kind, "accepted from …", need it once. */
	if (strncmp(text, kind, strlen(kind)) == 0 && text[strlen(kind)] == ' ')
		text += strlen(kind) + 1;
	span_format_time(field_time(event, "at"), now_unix_ms, time);
	canvas_putf(c, STYLE_DIM, "%s ", time);
	if (with_name && field_text(event, "name")[0])
		canvas_putf(c, STYLE_BOLD, "%s ", field_text(event, "name"));
	canvas_putf(c, bad ? STYLE_BAD : STYLE_INFO, "%-*s ", with_name ? 0 : KIND_CELLS, kind);
	canvas_put(c, STYLE_PLAIN, text);
	if (by[0])
		canvas_putf(c, STYLE_DIM, " (%s)", by);
	canvas_end_line(c);
}

/* The newest; where there is no room for all, those. */
static void put_events(struct canvas *c, const struct page *p)
{
	int n = (int)json_array_size(p->events), shown = n < EVENT_ROWS ? n : EVENT_ROWS;

	if (shown > canvas_rows_left(c) - 1)
		shown = canvas_rows_left(c) - 1;
	if (shown <= 0)
		return;
	put_blank(c);
	for (int i = n - shown; i < n; i++)
		page_put_event(c, json_array_get(p->events, (size_t)i), p->now_unix_ms, false);
}

void page_render(struct canvas *c, const struct page *p)
{
	const json_t *r = p->rollout;

	if (service_is(r)) {
		service_render(c, p);
		return;
	}
	put_head(c, p);
	/* First what an operator must know and can do: a small terminal shows no more than the top. */
	page_put_field(c, STYLE_BAD, "trouble", field_text(r, "trouble"));
	put_hint(c, r);
	if (!field_true(r, "unreadable")) {
		put_blank(c);
		if (knows_versions(r)) {
			put_bar(c, r);
			put_blank(c);
		}
		put_steps(c, p);
		put_next(c, p);
	}
	if (!field_true(r, "unreadable") && !not_begun(r)) {
		put_blank(c);
		put_versions(c, r);
		put_verdict(c, r);
		put_experiment(c, r);
	} else if (p->details) {
		put_blank(c);
	}
	if (p->details)
		put_details(c, p);
	put_events(c, p);
}

void page_put_line(struct canvas *c, const json_t *rollout)
{
	const char *phase = field_text(rollout, "phase"), *reason = field_text(rollout, "reason");
	char step[48], weight[16];

	if (service_is(rollout)) {
		service_put_line(c, rollout);
		return;
	}
	canvas_putf(c, STYLE_BOLD, "%s ", field_text(rollout, "name"));
	canvas_put(c, page_style(rollout), phase);
	page_format_step(rollout, step);
	if (!page_ended(rollout) && step[0] != '-')
		canvas_putf(c, STYLE_PLAIN, ", step %s", step);
	if (!field_true(rollout, "unreadable"))
		canvas_putf(c, STYLE_PLAIN, ", %s on version %s", page_weight(rollout, "weight_bp", weight),
			    version_of(rollout, "canary_version"));
	if (reason[0])
		canvas_putf(c, STYLE_PLAIN, ": %s", reason);
	canvas_end_line(c);
}
