/*
 * What happened in a rollout, in plain words: weights, judgements and events as one row in time.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "core/rollout.h"
#include "field.h"
#include "prose.h"

#define TROUBLE_EVENTS 1000 /* so far on is looked for its end */
#define JUDGED_LATE_MS 10   /* the record never has two readings at one time: the later one is told as of later */

/* What follows the first ": " of an event's text, which repeats the phase. */
static const char *reason_of(const char *text)
{
	const char *colon = strstr(text, ": ");

	return colon ? colon + 2 : "";
}

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

	prose_format_span(w->from_unix_ms, w->until_unix_ms, held);
	text_format_span(asked, bake);
	if (asked > 0)
		snprintf(out, size, "%s %s (the plan asks for at least %s)", verb, held, bake);
	else
		snprintf(out, size, "%s %s", verb, held);
}

static void tell_home(const struct story *s, const struct story_weight *w, struct story_chapter *c)
{
	char from[40];

	prose_format_at(s, w->from_unix_ms, from);
	prose_cite(prose_say(c, w->from_unix_ms, TONE_GOOD, "All of the traffic was on %s, the stable one.", s->stable),
		   "alias, event of %s", from);
}

/* With the last weight the rollout was over: nothing was counted any more. */
static void tell_last(const struct story *s, const struct story_weight *w, struct story_chapter *c)
{
	char from[40];

	prose_format_at(s, w->from_unix_ms, from);
	prose_cite(prose_say(c, w->from_unix_ms, TONE_PLAIN,
			     "The canary, %s, got all of the traffic. The plan asks for no watching after that.",
			     s->canary),
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
	prose_format_weight(w->weight_bp, weight);
	format_held(s, w, held, sizeof(held));
	prose_format_counts(&w->canary, canary, sizeof(canary));
	prose_format_counts(&w->stable, stable, sizeof(stable));
	prose_format_counted(s, w, counted);
	prose_format_at(s, w->counted_from_unix_ms, from);
	prose_format_at(s, w->counted_until_unix_ms, until);
	/* At 100 % what the stable one still serves began before. */
	bool beside = w->weight_bp < 10000 || w->stable.invocations > 0;
	struct story_sentence *x = prose_say(c, w->from_unix_ms, TONE_PLAIN,
					     "The canary, %s, got %s, and %s. In that time it served %s%s%s%s.",
					     s->canary, weight, held, canary, counted,
					     !beside		    ? ""
					     : w->weight_bp < 10000 ? "; the stable one beside it served "
								    : "; the stable one still served ",
					     beside ? stable : "");
	if (w->canary.seen)
		prose_cite(x, "AWS/Lambda Invocations and Errors by ExecutedVersion, periods from %s to %s", from,
			   until);
	probed_tell_weight(s, w, c);
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

	prose_format_at(s, j->at_unix_ms, at);
	prose_format_at(s, j->through_unix_ms, through);
	if (field_is(m, "kind", "alarm"))
		prose_cite(x, "%s, judged at %s", field_text(m, "source"), at);
	else
		prose_cite(x, "%s, periods before %s, judged at %s",
			   m ? field_text(m, "source") : "AWS/Lambda Invocations", through, at);
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

	prose_format_at(s, x->last->at_unix_ms, until);
	cite_judgement(s, x->last,
		       x->n == 1
			   ? prose_say(c, x->first->at_unix_ms, tone, "Judged, and undecided: %s: %s.%s",
				       gap_words(x->first->gap), x->last->text, no_data_words(s, x->last))
			   : prose_say(c, x->first->at_unix_ms, tone,
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
		prose_format_weight(w->weight_bp, weight);
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
	    pass ? prose_say(c, j->at_unix_ms, TONE_GOOD, "Judged, and the verdict was `pass`: %s.%s%s%s", j->text,
			     evidence, again, next)
		 : prose_say(c, j->at_unix_ms, TONE_BAD,
			     "Judged, and the verdict was `fail`: %s.%s The metric that says so is: %s.%s", j->text,
			     evidence, m ? field_text(m, "text") : "-", again);
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
	if (s->experiment.back && strcmp(command, "promote") == 0)
		effect = "That ended the experiment.";
	prose_format_by(field_text(event, "by"), by_whom, sizeof(by_whom));
	prose_begin(by_whom, who, sizeof(who));
	prose_format_at(s, field_time(event, "at"), at);
	const char *reason = reason_of(text);
	prose_cite(prose_say(c, field_time(event, "at"), TONE_WARN, "%s said `%s`%s%s%s. %s", who, command,
			     reason[0] ? ", for the reason \"" : " and gave no reason", reason, reason[0] ? "\"" : "",
			     effect),
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

	prose_format_span(at, over, span);
	prose_format_at(s, at, when);
	prose_cite(over ? prose_say(c, at, TONE_WARN,
				    "Something went wrong: %s. It was tried again, and was over after %s.",
				    field_text(event, "text"), span)
			: prose_say(c, at, TONE_WARN, "Something went wrong: %s. Nothing says that it was over.",
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
	prose_format_at(s, at, when);
	prose_begin(text, begun, sizeof(begun));
	if (text_starts_with(text, dry_run))
		prose_cite(
		    prose_say(
			c, at, TONE_WARN,
			"A metric that decides nothing (`dry_run`) failed: %s. Nothing came of it, as the plan says.",
			text + sizeof(dry_run) - 1),
		    "event of %s", when);
	else
		prose_cite(prose_say(c, at, TONE_WARN, "%s.", begun), "event of %s", when);
}

/* The sentence before says it already. */
static bool was_told(const struct story_chapter *c, const char *reason)
{
	return c->n > 0 && reason[0] && strstr(c->sentences[c->n - 1].text, reason);
}

/* An event of a turn with several has the phase after the last; its text begins with its own. */
static const char *phase_of(const json_t *event, char out[static 32])
{
	const char *text = field_text(event, "text");
	enum rollout_phase phase;

	snprintf(out, 32, "%.*s", (int)strcspn(text, ":"), text);
	return rollout_phase_from_name(out, &phase) ? out : field_text(event, "phase");
}

/* The end of an experiment is none of the rollback's and promotion's usual sentences. False: this is not it. */
static bool tell_end_of_experiment(const struct story *s, const json_t *event, struct story_chapter *c)
{
	char name[32], when[40];
	const char *phase = phase_of(event, name), *reason = reason_of(field_text(event, "text"));
	bool home = strcmp(phase, "rolling-back") == 0;

	if (!s->experiment.is || !text_starts_with(reason, "the experiment is over"))
		return false;
	if (!home && strcmp(phase, "promoting") != 0 && strcmp(phase, "baking") != 0)
		return false;
	prose_format_at(s, field_time(event, "at"), when);
	prose_cite(prose_say(c, field_time(event, "at"), TONE_GOOD,
			     "So it went %s: all traffic to %s. What was said then: %s.",
			     home ? "back, as it was meant to" : "on", home ? s->stable : s->canary, reason),
		   "event of %s", when);
	return true;
}

static void tell_phase(const struct story *s, const json_t *event, struct story_chapter *c)
{
	char name[32], when[40];
	const char *phase = phase_of(event, name), *text = field_text(event, "text"), *reason = reason_of(text);
	int64_t at = field_time(event, "at");

	prose_format_at(s, at, when);
	/* What a command did was told with it. */
	if (strcmp(phase, "paused") == 0 && !text_starts_with(reason, "paused by "))
		prose_cite(
		    prose_say(c, at, TONE_WARN, "It paused by itself, the weight staying where it was: %s.", reason),
		    "event of %s", when);
	else if (strcmp(phase, "rolling-back") == 0 &&
		 (was_told(c, reason) || text_starts_with(reason, "rolled back by ")))
		prose_cite(prose_say(c, at, TONE_BAD, "So it went back: all traffic to %s.", s->stable), "event of %s",
			   when);
	else if (strcmp(phase, "rolling-back") == 0)
		prose_cite(prose_say(c, at, TONE_BAD, "So it went back: all traffic to %s. The reason: %s.", s->stable,
				     reason),
			   "event of %s", when);
	else if (strcmp(phase, "blocked") == 0)
		prose_cite(prose_say(c, at, TONE_BAD,
				     "It stopped, and changed nothing more until an operator's word (\"blocked\"): %s.",
				     reason),
			   "event of %s", when);
	else if (strcmp(phase, "succeeded") == 0)
		prose_cite(prose_say(c, at, TONE_GOOD, "It had succeeded%s%s.", reason[0] ? ": " : "", reason),
			   "event of %s", when);
	else if (strcmp(phase, "failed") == 0)
		prose_cite(prose_say(c, at, TONE_BAD, "It ended without having moved any traffic: %s.", reason),
			   "event of %s", when);
	else if (strcmp(phase, "preparing") == 0 && reason[0])
		prose_cite(prose_say(c, at, TONE_PLAIN, "It prepared, and waited: %s.", reason), "event of %s", when);
	else if (strcmp(phase, "pending") == 0)
		prose_cite(prose_say(c, at, TONE_PLAIN, "It waited to begin: %s.", text), "event of %s", when);
}

static void tell_event(const struct story *s, size_t index, struct story_chapter *c)
{
	const json_t *event = json_array_get(s->events, index);
	const char *kind = field_text(event, "kind");
	int64_t at = field_time(event, "at");
	char when[40];

	prose_format_at(s, at, when);
	if (strcmp(kind, "phase") == 0) {
		if (!tell_end_of_experiment(s, event, c))
			tell_phase(s, event, c);
	} else if (strcmp(kind, "command") == 0) {
		tell_command(s, event, c);
	} else if (strcmp(kind, "trouble") == 0) {
		tell_trouble(s, index, c);
	} else if (strcmp(kind, "probe") == 0) {
		prose_cite(prose_say(c, at, TONE_WARN, "About the probes: %s.", field_text(event, "text")),
			   "event of %s", when);
	} else if (strcmp(kind, "foreign-write") == 0) {
		prose_cite(
		    prose_say(c, at, TONE_BAD, "Somebody else had changed the alias: %s.", field_text(event, "text")),
		    "event of %s", when);
	} else if (strcmp(kind, "verdict") == 0) {
		tell_verdict(s, event, c);
	} else if (strcmp(kind, "intent") == 0) {
		/* Of weights it is told that they landed. */
		if (!text_starts_with(field_text(event, "text"), "asks AWS for version"))
			prose_cite(
			    prose_say(c, at, TONE_DIM, "It was about to do this: %s.", field_text(event, "text")),
			    "event of %s", when);
	} else if (strcmp(kind, "accepted") != 0 && strcmp(kind, "weight") != 0 && strcmp(kind, "recovered") != 0) {
		prose_cite(prose_say(c, at, TONE_PLAIN, "%s: %s.", kind, field_text(event, "text")), "event of %s",
			   when);
	}
}

/* What is next of each row; INT64_MAX: nothing. */
struct course {
	const struct story *s;
	size_t weight;
	size_t judgement;
	size_t event;
	int64_t weight_ms;
	int64_t judgement_ms;
	int64_t event_ms;
};

static void look_ahead(struct course *x)
{
	const struct story *s = x->s;
	bool events = x->event < json_array_size(s->events);

	x->weight_ms = x->weight < s->n_weights ? s->weights[x->weight].from_unix_ms : INT64_MAX;
	x->judgement_ms = x->judgement < s->n_judgements ? s->judgements[x->judgement].at_unix_ms : INT64_MAX;
	x->event_ms = events ? field_time(json_array_get(s->events, x->event), "at") : INT64_MAX;
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* What a judgement led to follows it, even where its own time is that little later. */
static bool judgement_led(const struct course *x)
{
	const struct story *s = x->s;
	const struct story_judgement *j = &s->judgements[x->judgement];

	if (x->judgement_ms == INT64_MAX ||
	    x->judgement_ms - earlier(x->weight_ms, earlier(x->event_ms, x->judgement_ms)) > JUDGED_LATE_MS)
		return false;
	if (x->weight_ms <= x->judgement_ms && s->weights[x->weight].weight_bp != j->weight_bp)
		return true;
	return x->event_ms <= x->judgement_ms && j->text[0] &&
	       strcmp(reason_of(field_text(json_array_get(s->events, x->event), "text")), j->text) == 0;
}

/* Weights, judgements and events as one row in time. Of the same time a weight comes first, then its judgement; the
 * weight of the way home comes after what tells why. */
void course_tell(const struct story *s, struct story_chapter *c)
{
	struct course x = {.s = s};

	for (look_ahead(&x); earlier(x.weight_ms, earlier(x.judgement_ms, x.event_ms)) < INT64_MAX; look_ahead(&x)) {
		bool led = judgement_led(&x);
		bool home = x.weight_ms < INT64_MAX && x.weight_ms == x.event_ms && s->weights[x.weight].home;

		if (x.weight_ms <= x.judgement_ms && x.weight_ms <= x.event_ms && !led && !home) {
			tell_weight(s, &s->weights[x.weight++], c);
		} else if (led || x.judgement_ms <= x.event_ms) {
			struct stretch same = next_stretch(s, x.judgement);

			tell_stretch(s, &same, c);
			x.judgement += same.n;
		} else {
			tell_event(s, x.event++, c);
		}
	}
	int64_t omitted = field_int(s->record, "judgements_omitted");
	if (omitted > 0)
		prose_say(c, 0, TONE_DIM, "%jd further judgements, which said nothing new, are not told here.",
			  (intmax_t)omitted);
}
