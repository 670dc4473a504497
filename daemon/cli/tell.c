/*
 * A rollout's story in plain words, for somebody who has not read the manual: what was rolled out, how it was watched,
 * what happened and why, and what holds now. Each sentence has its numbers and where they are from.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "field.h"
#include "page.h"
#include "span.h"
#include "story.h"

enum { CHAPTER_WHAT, CHAPTER_WATCHED, CHAPTER_HAPPENED, CHAPTER_NOW };

#define STEPS_SHOWN    5
#define TROUBLE_EVENTS 1000 /* so far on is looked for its end */
#define SENTENCE_SIZE  2048

/* A sentence that is cut within a character must not be broken text. */
__attribute__((format(printf, 1, 0))) static char *format(const char *fmt, va_list args)
{
	char text[SENTENCE_SIZE], clean[SENTENCE_SIZE];

	vsnprintf(text, sizeof(text), fmt, args);
	text_copy_printable(clean, sizeof(clean), text);
	return mem_strdup(clean);
}

static struct story_sentence *add(struct story_chapter *c, int64_t at, enum story_tone tone)
{
	c->sentences = mem_grow(c->sentences, &c->cap, c->n + 1, sizeof(*c->sentences));
	struct story_sentence *s = &c->sentences[c->n++];
	*s = (struct story_sentence){.at_unix_ms = at, .tone = tone, .source = mem_strdup("")};
	return s;
}

static printf_like(4, 5) struct story_sentence *say(struct story_chapter *c, int64_t at, enum story_tone tone,
						    const char *fmt, ...)
{
	struct story_sentence *s = add(c, at, tone);
	va_list args;

	va_start(args, fmt);
	s->text = format(fmt, args);
	va_end(args);
	return s;
}

/* Where the sentence's numbers are from. */
static printf_like(2, 3) void cite(struct story_sentence *s, const char *fmt, ...)
{
	va_list args;

	free(s->source);
	va_start(args, fmt);
	s->source = format(fmt, args);
	va_end(args);
}

/* --- words --- */

static void format_span_between(int64_t from, int64_t until, char out[static 32])
{
	text_format_span(until > from ? until - from : 0, out);
}

static void format_at(const struct story *s, int64_t unix_ms, char out[static 40])
{
	story_format_time(unix_ms, s->created_unix_ms, out);
}

static void format_counts(const struct counts *c, char *out, size_t size)
{
	char n[SPAN_TIME_SIZE], e[SPAN_TIME_SIZE], rate[SPAN_TIME_SIZE];

	if (!c->seen || c->invocations == 0) {
		snprintf(out, size, "no requests that CloudWatch knows of");
		return;
	}
	span_format_count((int64_t)c->invocations, n);
	span_format_count((int64_t)c->errors, e);
	span_format_rate((int64_t)c->errors, (int64_t)c->invocations, rate);
	snprintf(out, size, "%s request%s, of which %s failed (%s)", n, c->invocations == 1 ? "" : "s", e, rate);
}

/* Metrics come late, and nobody reads them any more once a rollout has ended: what is counted is not always all. */
static void format_counted(const struct story *s, const struct story_weight *w, char out[static 64])
{
	char until[40];

	out[0] = '\0';
	if (!w || !w->counted_short || !w->canary.seen)
		return;
	format_at(s, w->counted_until_unix_ms, until);
	snprintf(out, 64, ", counted up to %s", until);
}

/* "uid=1000 pid=77" reads as "the user with uid 1000 (process 77)". */
static void format_by(const char *by, char *out, size_t size)
{
	size_t uid = text_starts_with(by, "uid=") ? strspn(by + 4, "0123456789") : 0;
	const char *rest = by + 4 + uid;

	if (uid > 0 && uid <= 10 && text_starts_with(rest, " pid="))
		snprintf(out, size, "the user with uid %.*s (process %s)", (int)uid, by + 4, rest + 5);
	else
		snprintf(out, size, "%s", by[0] ? by : "somebody");
}

static void format_weight(uint32_t bp, char out[static 32])
{
	char percent[16];

	text_format_bp(bp, percent);
	snprintf(out, 32, bp >= 10000 ? "all of the traffic" : "%s of the traffic", percent);
}

/* "Version 1". */
static void begin_sentence(const char *text, char *out, size_t size)
{
	snprintf(out, size, "%s", text);
	out[0] = (char)toupper((unsigned char)out[0]);
}

/* What follows the first ": " of an event's text, which repeats the phase. */
static const char *reason_of(const char *text)
{
	const char *colon = strstr(text, ": ");

	return colon ? colon + 2 : "";
}

static uint32_t read_bp(const json_t *step)
{
	int64_t bp = field_int(step, "weight_bp");

	return bp < 0 || bp > 10000 ? 0 : (uint32_t)bp;
}

/* --- what it was --- */

static void format_steps(const json_t *plan, char *out, size_t size)
{
	const json_t *steps = field_array(plan, "steps");
	size_t n = json_array_size(steps), shown = n > STEPS_SHOWN ? STEPS_SHOWN - 1 : n;
	struct buf b = BUF_INIT(size - 1);
	char weight[32], bake[32];

	for (size_t i = 0; i < shown; i++) {
		const json_t *step = json_array_get(steps, i);

		format_weight(read_bp(step), weight);
		text_format_span(field_int(step, "bake_ms"), bake);
		buf_addf(&b, "%s for %s, ", weight, bake);
	}
	if (shown < n) {
		format_weight(read_bp(json_array_get(steps, n - 1)), weight);
		buf_addf(&b, "and so on in %zu steps up to %s, ", n, weight);
	}
	buf_addf(&b, "%sall of it", n > 0 ? "then " : "");
	if (field_int(plan, "final_bake_ms") > 0) {
		text_format_span(field_int(plan, "final_bake_ms"), bake);
		buf_addf(&b, ", watched for %s more", bake);
	}
	snprintf(out, size, "%s", buf_text(&b));
	buf_deinit(&b);
}

static const json_t *find_event(const struct story *s, const char *kind)
{
	for (size_t i = 0; i < json_array_size(s->events); i++)
		if (field_is(json_array_get(s->events, i), "kind", kind))
			return json_array_get(s->events, i);
	return NULL;
}

static void tell_what(const struct story *s, struct story_chapter *c)
{
	const json_t *r = s->rollout, *accepted = find_event(s, "accepted");
	const char *source = field_text(r, "source"), *by = field_text(accepted, "by");
	char when[40], steps[512], who[128], from[256], stable[32], canary[32];
	bool known = field_text(r, "canary_version")[0] != '\0';

	story_format_time(s->created_unix_ms, 0, when);
	begin_sentence(s->stable, stable, sizeof(stable));
	begin_sentence(s->canary, canary, sizeof(canary));
	if (known && strcmp(s->stable, s->canary) == 0)
		say(c, 0, TONE_PLAIN,
		    "Rollout %s, attempt %jd, is about alias %s of function %s (%s, account %s). %s was to serve it, "
		    "and did so already.",
		    s->name, (intmax_t)s->attempt, field_text(r, "alias"), field_text(r, "function"),
		    field_text(r, "region"), field_text(r, "account"), canary);
	else if (known)
		say(c, 0, TONE_PLAIN,
		    "Rollout %s, attempt %jd, is about alias %s of function %s (%s, account %s). %s is the stable "
		    "one: what the alias served before. %s is the canary: the one that was to take its place.",
		    s->name, (intmax_t)s->attempt, field_text(r, "alias"), field_text(r, "function"),
		    field_text(r, "region"), field_text(r, "account"), stable, canary);
	else
		say(c, 0, TONE_PLAIN,
		    "Rollout %s, attempt %jd, is about alias %s of function %s (%s, account %s). Which version was "
		    "to take which one's place had not been found out.",
		    s->name, (intmax_t)s->attempt, field_text(r, "alias"), field_text(r, "function"),
		    field_text(r, "region"), field_text(r, "account"));
	format_by(by, who, sizeof(who));
	if (text_starts_with(source, "submit"))
		snprintf(from, sizeof(from), "handed in by %s", who);
	else if (source[0])
		snprintf(from, sizeof(from), "in the file %.200s", source);
	else
		snprintf(from, sizeof(from), "of a source that is not known any more");
	format_steps(json_object_get(r, "plan"), steps, sizeof(steps));
	cite(say(c, 0, TONE_PLAIN, "The plan, %s, was accepted on %s UTC. It gives the canary %s.", from, when, steps),
	     "plan %.12s", field_text(r, "plan_hash"));
}

/*
 * What the canary served in the whole rollout, how much of the traffic it had at most, and the last weight that was
 * counted (NULL: none).
 */
static struct counts count_canary(const struct story *s, uint32_t *ret_most_bp, const struct story_weight **ret_last)
{
	struct counts all = {0};

	*ret_most_bp = 0;
	*ret_last = NULL;
	for (size_t i = 0; i < s->n_weights; i++) {
		const struct story_weight *w = &s->weights[i];

		if (w->home)
			continue;
		if (w->canary.seen)
			*ret_last = w;
		if (w->weight_bp > *ret_most_bp)
			*ret_most_bp = w->weight_bp;
		all.seen = all.seen || w->canary.seen;
		all.invocations += w->canary.invocations;
		all.errors += w->canary.errors;
	}
	return all;
}

static void tell_exposure(const struct story *s, struct story_chapter *c, enum story_tone tone)
{
	uint32_t most;
	const struct story_weight *last;
	struct counts all = count_canary(s, &most, &last);
	char weight[32], counts[160], span[32], counted[64];

	if (s->first_traffic_unix_ms == 0)
		return;
	format_weight(most, weight);
	format_counts(&all, counts, sizeof(counts));
	format_counted(s, last, counted);
	format_span_between(s->first_traffic_unix_ms, s->until_unix_ms, span);
	cite(say(c, 0, tone, "In its %s with traffic the canary had %s at most, and served %s%s.%s", span, weight,
		 counts, counted, counted[0] ? " What it served after that was not read any more." : ""),
	     "AWS/Lambda Invocations and Errors by ExecutedVersion, as they were read last");
}

static void tell_outcome(const struct story *s, struct story_chapter *c)
{
	const char *reason = field_text(s->rollout, "reason");
	char at[40], took[32];

	format_at(s, s->ended_unix_ms, at);
	format_span_between(s->created_unix_ms, s->until_unix_ms, took);
	if (strcmp(s->phase, "succeeded") == 0) {
		cite(say(c, 0, TONE_GOOD, "It succeeded at %s, %s after it was accepted%s%s.", at, took,
			 reason[0] ? ": " : "", reason),
		     "event of %s", at);
		tell_exposure(s, c, TONE_PLAIN);
	} else if (strcmp(s->phase, "rolled-back") == 0) {
		cite(say(c, 0, TONE_BAD, "It was rolled back at %s, %s after it was accepted: %s.", at, took, reason),
		     "event of %s", at);
		tell_exposure(s, c, TONE_PLAIN);
	} else if (strcmp(s->phase, "failed") == 0) {
		cite(say(c, 0, TONE_BAD, "It ended at %s, before any traffic had moved: %s.", at, reason),
		     "event of %s", at);
	} else {
		say(c, 0, TONE_PLAIN, "It is still under way: %s%s%s.", s->phase, reason[0] ? ": " : "", reason);
	}
}

/* --- how it was watched --- */

static void tell_watch(const struct story *s, struct story_chapter *c)
{
	const json_t *analysis = json_object_get(json_object_get(s->rollout, "plan"), "analysis");
	char every[32], period[32], settle[32];

	text_format_span(field_int(analysis, "every_ms"), every);
	text_format_span(field_int(analysis, "period_ms"), period);
	text_format_span(field_int(analysis, "settle_ms"), settle);
	say(c, 0, TONE_PLAIN,
	    "Every %s rolloutd asked CloudWatch, AWS's store of metrics, for the counts of each period of %s, and "
	    "judged "
	    "the canary anew. Counts are believed once they are %s old, as CloudWatch delivers late. The verdict is "
	    "`pass` when every metric allows it, `fail` as soon as one forbids it, and `undecided` until there is "
	    "enough "
	    "to go by. The canary's share of the traffic is its weight; the time for which a weight is held and "
	    "watched "
	    "is its bake.",
	    every, period, settle);
	for (size_t i = 0; i < json_array_size(s->metrics); i++) {
		const json_t *m = json_array_get(s->metrics, i);

		cite(say(c, 0, TONE_PLAIN, "Metric %zu: %s.%s", i + 1, field_text(m, "text"),
			 field_true(m, "dry_run") ? " It is shown only: it decides nothing." : ""),
		     "%s", field_text(m, "source"));
	}
}

/* --- what happened --- */

/* How long the plan holds that weight; 0: it does not say. */
static int64_t asked_bake_ms(const struct story *s, uint32_t bp)
{
	const json_t *plan = json_object_get(s->rollout, "plan"), *steps = field_array(plan, "steps");

	if (bp >= 10000)
		return field_int(plan, "final_bake_ms");
	for (size_t i = 0; i < json_array_size(steps); i++)
		if (field_int(json_array_get(steps, i), "weight_bp") == bp)
			return field_int(json_array_get(steps, i), "bake_ms");
	return 0;
}

/* "had it for 5m (the plan asks for at least 5m)". */
static void format_held(const struct story *s, const struct story_weight *w, char *out, size_t size)
{
	int64_t asked = asked_bake_ms(s, w->weight_bp);
	bool last = w == &s->weights[s->n_weights - 1];
	const char *verb = !last		   ? "had it for"
			   : s->ended_unix_ms == 0 ? "has had it for"
			   : w->weight_bp >= 10000 ? "was watched with it for"
						   : "had it for";
	char held[32], bake[32];

	format_span_between(w->from_unix_ms, w->until_unix_ms, held);
	text_format_span(asked, bake);
	if (asked > 0)
		snprintf(out, size, "%s %s (the plan asks for at least %s)", verb, held, bake);
	else
		snprintf(out, size, "%s %s", verb, held);
}

static void tell_home(const struct story *s, const struct story_weight *w, struct story_chapter *c)
{
	char from[40];

	format_at(s, w->from_unix_ms, from);
	cite(say(c, w->from_unix_ms, TONE_GOOD, "All of the traffic was on %s, the stable one.", s->stable),
	     "alias, event of %s", from);
}

/* With the last weight the rollout was over: nothing was counted any more. */
static void tell_last(const struct story *s, const struct story_weight *w, struct story_chapter *c)
{
	char from[40];

	format_at(s, w->from_unix_ms, from);
	cite(say(c, w->from_unix_ms, TONE_PLAIN,
		 "The canary, %s, got all of the traffic. The plan asks for no watching after that.", s->canary),
	     "alias, event of %s", from);
}

static void tell_weight(const struct story *s, const struct story_weight *w, struct story_chapter *c)
{
	char weight[32], held[96], canary[160], stable[160], from[40], until[40], counted[64];

	if (w->home) {
		tell_home(s, w, c);
		return;
	}
	if (w->weight_bp >= 10000 && asked_bake_ms(s, 10000) == 0 && !w->canary.seen &&
	    strcmp(s->phase, "succeeded") == 0) {
		tell_last(s, w, c);
		return;
	}
	format_weight(w->weight_bp, weight);
	format_held(s, w, held, sizeof(held));
	format_counts(&w->canary, canary, sizeof(canary));
	format_counts(&w->stable, stable, sizeof(stable));
	format_counted(s, w, counted);
	format_at(s, w->counted_from_unix_ms, from);
	format_at(s, w->counted_until_unix_ms, until);
	/* At 100 % what the stable one still serves began before. */
	bool beside = w->weight_bp < 10000 || w->stable.invocations > 0;
	struct story_sentence *x =
	    say(c, w->from_unix_ms, TONE_PLAIN, "The canary, %s, got %s, and %s. In that time it served %s%s%s%s.",
		s->canary, weight, held, canary, counted,
		!beside		       ? ""
		: w->weight_bp < 10000 ? "; the stable one beside it served "
				       : "; the stable one still served ",
		beside ? stable : "");
	if (w->canary.seen)
		cite(x, "AWS/Lambda Invocations and Errors by ExecutedVersion, periods from %s to %s", from, until);
}

/* Judgements in a row that said the same. */
struct stretch {
	const struct story_judgement *first;
	const struct story_judgement *last;
	size_t n;
};

static bool says_same(const struct story_judgement *a, const struct story_judgement *b)
{
	return strcmp(a->verdict, b->verdict) == 0 && strcmp(a->gap, b->gap) == 0 && a->weight_bp == b->weight_bp;
}

static struct stretch next_stretch(const struct story *s, size_t from)
{
	struct stretch x = {&s->judgements[from], &s->judgements[from], 1};

	while (from + x.n < s->n_judgements && says_same(x.first, &s->judgements[from + x.n]))
		x.last = &s->judgements[from + x.n++];
	return x;
}

/* What the evidence means, as a sentence of its own; "" when the metric that decided weighs none, or has said it. */
static void format_evidence(const struct story *s, const struct story_judgement *j, char *out, size_t size)
{
	char seen[32], accepted[32];

	if (!story_odds(s, j, seen, accepted) || strstr(j->text, "were it no worse"))
		out[0] = '\0';
	else if (strcmp(seen, "1 of 1") == 0)
		snprintf(
		    out, size,
		    " Numbers like these are nothing unusual for a canary that is no worse; the plan acts when they "
		    "would be seen in at most %s rollouts.",
		    accepted);
	else
		snprintf(
		    out, size,
		    " If the canary were no worse, numbers like these would be seen in at most %s rollouts; the plan "
		    "acts at %s.",
		    seen, accepted);
}

static const char *gap_words(const char *gap)
{
	static const struct {
		const char *gap;
		const char *words;
	} all[] = {
	    {"not-settled", "too early"},
	    {"few", "too few requests"},
	    {"no-data", "CloudWatch had nothing"},
	    {"unreadable", "CloudWatch could not be read"},
	};

	for (size_t i = 0; i < array_len(all); i++)
		if (strcmp(all[i].gap, gap) == 0)
			return all[i].words;
	return "not enough to go by";
}

static void cite_judgement(const struct story *s, const struct story_judgement *j, struct story_sentence *x)
{
	const json_t *m = story_metric(s, j->metric);
	char at[40], through[40];

	format_at(s, j->at_unix_ms, at);
	format_at(s, j->through_unix_ms, through);
	if (field_is(m, "kind", "alarm"))
		cite(x, "%s, judged at %s", field_text(m, "source"), at);
	else
		cite(x, "%s, periods before %s, judged at %s", m ? field_text(m, "source") : "AWS/Lambda Invocations",
		     through, at);
}

/* What the plan makes of missing data; of too few requests for the step's own minimum it makes nothing. */
static const char *no_data_words(const struct story *s, const struct story_judgement *j)
{
	const json_t *analysis = json_object_get(json_object_get(s->rollout, "plan"), "analysis");
	bool missing = strcmp(j->gap, "no-data") == 0, few = strcmp(j->gap, "few") == 0 && story_metric(s, j->metric);

	if (field_is(analysis, "no_data", "pass") && (missing || few))
		return " The plan takes that for a pass (`no_data: pass`).";
	if (field_is(analysis, "no_data", "rollback") && missing)
		return " The plan takes that for a failure (`no_data: rollback`).";
	return "";
}

static void tell_undecided(const struct story *s, const struct stretch *x, struct story_chapter *c)
{
	bool early = strcmp(x->first->gap, "not-settled") == 0;
	enum story_tone tone = early ? TONE_DIM : TONE_WARN;
	char until[40];

	format_at(s, x->last->at_unix_ms, until);
	cite_judgement(s, x->last,
		       x->n == 1 ? say(c, x->first->at_unix_ms, tone, "Judged, and undecided: %s: %s.%s",
				       gap_words(x->first->gap), x->last->text, no_data_words(s, x->last))
				 : say(c, x->first->at_unix_ms, tone,
				       "Judged %zu times until %s, and each time undecided: %s: %s.%s", x->n, until,
				       gap_words(x->first->gap), x->last->text, no_data_words(s, x->last)));
}

/* What came of a pass: the next weight, if that is what came next. */
static void format_going_on(const struct story *s, const struct story_judgement *j, char *out, size_t size)
{
	char weight[32];

	out[0] = '\0';
	for (size_t i = 0; i < s->n_weights; i++) {
		const struct story_weight *w = &s->weights[i];

		if (w->from_unix_ms < j->at_unix_ms)
			continue;
		format_weight(w->weight_bp, weight);
		if (w->weight_bp > j->weight_bp)
			snprintf(out, size, " So it went on, to %s.", weight);
		return;
	}
}

static void tell_stretch(const struct story *s, const struct stretch *x, struct story_chapter *c)
{
	const struct story_judgement *j = x->first;
	const json_t *m = story_metric(s, j->metric);
	bool pass = strcmp(j->verdict, "pass") == 0, fail = strcmp(j->verdict, "fail") == 0;
	char evidence[320], again[64] = "", next[64];

	if (!pass && !fail) {
		tell_undecided(s, x, c);
		return;
	}
	format_evidence(s, j, evidence, sizeof(evidence));
	format_going_on(s, x->last, next, sizeof(next));
	if (x->n > 1)
		snprintf(again, sizeof(again), " It was so %zu more time%s.", x->n - 1, x->n == 2 ? "" : "s");
	struct story_sentence *told =
	    pass ? say(c, j->at_unix_ms, TONE_GOOD, "Judged, and the verdict was `pass`: %s.%s%s%s", j->text, evidence,
		       again, next)
		 : say(c, j->at_unix_ms, TONE_BAD,
		       "Judged, and the verdict was `fail`: %s.%s The metric that says so is: %s.%s", j->text, evidence,
		       m ? field_text(m, "text") : "-", again);
	cite_judgement(s, j, told);
}

static void tell_command(const struct story *s, const json_t *event, struct story_chapter *c)
{
	static const struct {
		const char *command;
		const char *effect;
	} effects[] = {
	    {"pause", "The weight stayed where it was, and the canary was watched on."},
	    {"resume", "It went on from where it was."},
	    {"promote", "That took the next step without waiting any longer."},
	    {"promote --full", "That sent all traffic to the canary at once."},
	    {"rollback", "That sent all traffic back to the stable version."},
	    {"retry", "That began this attempt."},
	    {"retry despite alarms", "That began this attempt, although alarms of the plan were in state ALARM."},
	};
	const char *text = field_text(event, "text"), *by = strstr(text, " by ");
	char command[64], by_whom[128], who[128], at[40];
	const char *effect = "";

	snprintf(command, sizeof(command), "%.*s", (int)(by ? by - text : (int)strcspn(text, ":")), text);
	for (size_t i = 0; i < array_len(effects); i++)
		if (strcmp(effects[i].command, command) == 0)
			effect = effects[i].effect;
	format_by(field_text(event, "by"), by_whom, sizeof(by_whom));
	begin_sentence(by_whom, who, sizeof(who));
	format_at(s, field_time(event, "at"), at);
	const char *reason = reason_of(text);
	cite(say(c, field_time(event, "at"), TONE_WARN, "%s said `%s`%s%s%s. %s", who, command,
		 reason[0] ? ", for the reason \"" : " and gave no reason", reason, reason[0] ? "\"" : "", effect),
	     "command, event of %s", at);
}

/* When the trouble of that event was over; 0: it was not. */
static int64_t trouble_over_at(const struct story *s, size_t from)
{
	for (size_t i = from + 1; i < json_array_size(s->events) && i < from + TROUBLE_EVENTS; i++)
		if (field_is(json_array_get(s->events, i), "kind", "recovered"))
			return field_time(json_array_get(s->events, i), "at");
	return 0;
}

static void tell_trouble(const struct story *s, size_t index, struct story_chapter *c)
{
	const json_t *event = json_array_get(s->events, index);
	int64_t at = field_time(event, "at"), over = trouble_over_at(s, index);
	char span[32], when[40];

	format_span_between(at, over, span);
	format_at(s, at, when);
	cite(over ? say(c, at, TONE_WARN, "Something went wrong: %s. It was tried again, and was over after %s.",
			field_text(event, "text"), span)
		  : say(c, at, TONE_WARN, "Something went wrong: %s. Nothing says that it was over.",
			field_text(event, "text")),
	     "event of %s", when);
}

/* Verdicts are told from the judgements; what is no verdict is what alarms and metrics would have said. */
static void tell_verdict(const struct story *s, const json_t *event, struct story_chapter *c)
{
	static const char *const verdicts[] = {"pass: ", "fail: ", "undecided: "};
	static const char dry_run[] = "would have failed (dry run): ";
	const char *text = field_text(event, "text");
	int64_t at = field_time(event, "at");
	char when[40], begun[LIMIT_REASON];

	for (size_t i = 0; i < array_len(verdicts); i++)
		if (text_starts_with(text, verdicts[i]))
			return;
	format_at(s, at, when);
	begin_sentence(text, begun, sizeof(begun));
	if (text_starts_with(text, dry_run))
		cite(say(c, at, TONE_WARN,
			 "A metric that decides nothing (`dry_run`) failed: %s. Nothing came of it, as the plan says.",
			 text + sizeof(dry_run) - 1),
		     "event of %s", when);
	else
		cite(say(c, at, TONE_WARN, "%s.", begun), "event of %s", when);
}

/* The sentence before says it already. */
static bool was_told(const struct story_chapter *c, const char *reason)
{
	return c->n > 0 && reason[0] && strstr(c->sentences[c->n - 1].text, reason);
}

static void tell_phase(const struct story *s, const json_t *event, struct story_chapter *c)
{
	const char *phase = field_text(event, "phase"), *text = field_text(event, "text"), *reason = reason_of(text);
	int64_t at = field_time(event, "at");
	char when[40];

	format_at(s, at, when);
	/* What a command did was told with it. */
	if (strcmp(phase, "paused") == 0 && !text_starts_with(reason, "paused by "))
		cite(say(c, at, TONE_WARN, "It paused by itself, the weight staying where it was: %s.", reason),
		     "event of %s", when);
	else if (strcmp(phase, "rolling-back") == 0 &&
		 (was_told(c, reason) || text_starts_with(reason, "rolled back by ")))
		cite(say(c, at, TONE_BAD, "So it went back: all traffic to %s.", s->stable), "event of %s", when);
	else if (strcmp(phase, "rolling-back") == 0)
		cite(say(c, at, TONE_BAD, "So it went back: all traffic to %s. The reason: %s.", s->stable, reason),
		     "event of %s", when);
	else if (strcmp(phase, "blocked") == 0)
		cite(say(c, at, TONE_BAD,
			 "It stopped, and changed nothing more until an operator's word (\"blocked\"): %s.", reason),
		     "event of %s", when);
	else if (strcmp(phase, "succeeded") == 0)
		cite(say(c, at, TONE_GOOD, "It had succeeded%s%s.", reason[0] ? ": " : "", reason), "event of %s",
		     when);
	else if (strcmp(phase, "failed") == 0)
		cite(say(c, at, TONE_BAD, "It ended without having moved any traffic: %s.", reason), "event of %s",
		     when);
	else if (strcmp(phase, "preparing") == 0 && reason[0])
		cite(say(c, at, TONE_PLAIN, "It prepared, and waited: %s.", reason), "event of %s", when);
	else if (strcmp(phase, "pending") == 0)
		cite(say(c, at, TONE_PLAIN, "It waited to begin: %s.", text), "event of %s", when);
}

static void tell_event(const struct story *s, size_t index, struct story_chapter *c)
{
	const json_t *event = json_array_get(s->events, index);
	const char *kind = field_text(event, "kind");
	int64_t at = field_time(event, "at");
	char when[40];

	format_at(s, at, when);
	if (strcmp(kind, "phase") == 0) {
		tell_phase(s, event, c);
	} else if (strcmp(kind, "command") == 0) {
		tell_command(s, event, c);
	} else if (strcmp(kind, "trouble") == 0) {
		tell_trouble(s, index, c);
	} else if (strcmp(kind, "foreign-write") == 0) {
		cite(say(c, at, TONE_BAD, "Somebody else had changed the alias: %s.", field_text(event, "text")),
		     "event of %s", when);
	} else if (strcmp(kind, "verdict") == 0) {
		tell_verdict(s, event, c);
	} else if (strcmp(kind, "intent") == 0) {
		/* Of weights it is told that they landed. */
		if (!text_starts_with(field_text(event, "text"), "asks AWS for version"))
			cite(say(c, at, TONE_DIM, "It was about to do this: %s.", field_text(event, "text")),
			     "event of %s", when);
	} else if (strcmp(kind, "accepted") != 0 && strcmp(kind, "weight") != 0 && strcmp(kind, "recovered") != 0) {
		cite(say(c, at, TONE_PLAIN, "%s: %s.", kind, field_text(event, "text")), "event of %s", when);
	}
}

/* A weight that landed at the time of a judgement came of it, unless that is about this weight already. */
static bool weight_is_next(const struct story *s, size_t weight, size_t judgement)
{
	const struct story_weight *w = &s->weights[weight];
	const struct story_judgement *j = &s->judgements[judgement];

	return w->from_unix_ms < j->at_unix_ms || (w->from_unix_ms == j->at_unix_ms && w->weight_bp == j->weight_bp);
}

/* Weights, judgements and events as one row in time. Of the same time events come last. */
static void tell_course(const struct story *s, struct story_chapter *c)
{
	size_t weight = 0, judgement = 0, event = 0, n_events = json_array_size(s->events);

	while (weight < s->n_weights || judgement < s->n_judgements || event < n_events) {
		int64_t w = weight < s->n_weights ? s->weights[weight].from_unix_ms : INT64_MAX;
		int64_t j = judgement < s->n_judgements ? s->judgements[judgement].at_unix_ms : INT64_MAX;
		int64_t e = event < n_events ? field_time(json_array_get(s->events, event), "at") : INT64_MAX;

		bool first =
		    weight < s->n_weights && (judgement == s->n_judgements || weight_is_next(s, weight, judgement));

		if (first && w <= e) {
			tell_weight(s, &s->weights[weight++], c);
		} else if (j <= e) {
			struct stretch x = next_stretch(s, judgement);

			tell_stretch(s, &x, c);
			judgement += x.n;
		} else {
			tell_event(s, event++, c);
		}
	}
	int64_t omitted = field_int(s->record, "judgements_omitted");
	if (omitted > 0)
		say(c, 0, TONE_DIM, "%jd further judgements, which said nothing new, are not told here.",
		    (intmax_t)omitted);
}

/* --- what holds now --- */

static bool is_paused_for(const struct story *s, const char *why)
{
	const json_t *pause = field_array(s->rollout, "pause");
	bool found = false;

	for (size_t i = 0; i < json_array_size(pause); i++) {
		const char *word = json_string_value(json_array_get(pause, i));

		found = found || (word && strcmp(word, why) == 0);
	}
	return found;
}

/* Only code that was found bad is quarantined: whatever else sent it home is no fault of the function. */
static void tell_after_rollback(const struct story *s, struct story_chapter *c)
{
	if (field_true(json_object_get(s->record, "record"), "quarantine"))
		say(c, 0, TONE_PLAIN,
		    "Mend the function, publish it, and drop a plan with the new version. To run this plan again as it "
		    "is: `rolloutctl retry %s`.",
		    s->name);
	else if (field_true(s->rollout, "superseded"))
		say(c, 0, TONE_PLAIN, "Nothing is to be done: a newer attempt has taken its place.");
	else
		say(c, 0, TONE_PLAIN,
		    "The code of %s was not found to be bad, and is not in quarantine. To run this plan again as it "
		    "is: "
		    "`rolloutctl retry %s`.",
		    s->canary, s->name);
}

static void tell_next(const struct story *s, struct story_chapter *c)
{
	bool approval = is_paused_for(s, "approval");

	if (is_paused_for(s, "failure"))
		say(c, 0, TONE_WARN,
		    "It waits for you: `rolloutctl rollback %s` sends all traffic back to %s. Nothing else leads on "
		    "from "
		    "a failure.",
		    s->name, s->stable);
	else if (json_array_size(field_array(s->rollout, "pause")) > 0)
		say(c, 0, TONE_WARN,
		    "It waits for you: `rolloutctl %s %s` lets it go on, `rolloutctl rollback %s` sends all traffic "
		    "back to %s.",
		    approval ? "promote" : "resume", s->name, s->name, s->stable);
	else if (strcmp(s->phase, "blocked") == 0)
		say(c, 0, TONE_WARN,
		    "It waits for you. Look at the alias first; then `rolloutctl resume %s` goes on from what it "
		    "holds, and "
		    "`rolloutctl rollback %s` sends all traffic to %s.",
		    s->name, s->name, s->stable);
	else if (strcmp(s->phase, "failed") == 0)
		say(c, 0, TONE_PLAIN,
		    "Put right what the reason says: in the plan, which then starts anew, or outside of it, and then "
		    "`rolloutctl retry %s` runs this plan again as it is.",
		    s->name);
	else if (strcmp(s->phase, "rolled-back") == 0)
		tell_after_rollback(s, c);
	else if (strcmp(s->phase, "succeeded") == 0 && strcmp(s->stable, s->canary) == 0)
		say(c, 0, TONE_PLAIN, "Nothing is to be done.");
	else if (strcmp(s->phase, "succeeded") == 0)
		say(c, 0, TONE_PLAIN, "Nothing is to be done. To go back to %s all the same: `rolloutctl rollback %s`.",
		    s->stable, s->name);
	else
		say(c, 0, TONE_PLAIN,
		    "Nothing is to be done; it goes on by itself. To watch: `rolloutctl watch %s`; to hold it: "
		    "`rolloutctl pause %s`.",
		    s->name, s->name);
}

static void tell_now(const struct story *s, struct story_chapter *c)
{
	const char *holds = field_text(s->rollout, "alias_holds"), *trouble = field_text(s->rollout, "trouble");
	char when[40];

	story_format_time(s->until_unix_ms, 0, when);
	if (holds[0] && strcmp(s->phase, "blocked") == 0)
		cite(say(c, 0, TONE_PLAIN,
			 "rolloutd had left alias %s at %s. What it holds now is for you to look at: somebody else may "
			 "have changed it.",
			 field_text(s->rollout, "alias"), holds),
		     "alias, %s UTC", when);
	else if (holds[0])
		cite(say(c, 0, TONE_PLAIN, "Alias %s holds %s, as rolloutd last saw it%s.",
			 field_text(s->rollout, "alias"), holds, s->ended_unix_ms ? " when this rollout ended" : ""),
		     "alias, %s UTC", when);
	if (trouble[0])
		say(c, 0, TONE_BAD, "This is going wrong now: %s.", trouble);
	if (field_true(json_object_get(s->record, "record"), "quarantine") && strcmp(s->phase, "rolled-back") == 0)
		say(c, 0, TONE_WARN,
		    "The code of %s is in quarantine for this alias: no plan ships it here again until "
		    "`rolloutctl retry %s`.",
		    s->canary, s->name);
	tell_next(s, c);
}

struct telling *telling_new(const struct story *s)
{
	struct telling *t = mem_alloc(sizeof(*t));
	static const char *const titles[STORY_CHAPTERS] = {"What it was", "How it was watched", "What happened",
							   "What holds now"};

	for (size_t i = 0; i < STORY_CHAPTERS; i++)
		t->chapters[i].title = titles[i];
	tell_what(s, &t->chapters[CHAPTER_WHAT]);
	tell_outcome(s, &t->chapters[CHAPTER_WHAT]);
	tell_watch(s, &t->chapters[CHAPTER_WATCHED]);
	tell_course(s, &t->chapters[CHAPTER_HAPPENED]);
	tell_now(s, &t->chapters[CHAPTER_NOW]);
	return t;
}

void telling_free(struct telling *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < STORY_CHAPTERS; i++) {
		for (size_t k = 0; k < t->chapters[i].n; k++) {
			free(t->chapters[i].sentences[k].text);
			free(t->chapters[i].sentences[k].source);
		}
		free(t->chapters[i].sentences);
	}
	free(t);
}
