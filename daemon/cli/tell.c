/*
 * A rollout's story in plain words, for somebody who has not read the manual: what was rolled out, how it was watched,
 * what happened and why, and what holds now. Each sentence has its numbers and where they are from.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "field.h"
#include "prose.h"
#include "trial.h"

enum { CHAPTER_WHAT, CHAPTER_WATCHED, CHAPTER_HAPPENED, CHAPTER_NOW };

#define STEPS_SHOWN 5
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

		prose_format_weight(read_bp(step), weight);
		text_format_span(field_int(step, "bake_ms"), bake);
		buf_addf(&b, "%s for %s, ", weight, bake);
	}
	if (shown < n) {
		prose_format_weight(read_bp(json_array_get(steps, n - 1)), weight);
		buf_addf(&b, "and so on in %zu steps up to %s, ", n, weight);
	}
	if (field_is(plan, "experiment", "back"))
		buf_add_text(&b, "as an experiment: then all traffic goes back");
	else
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
	prose_begin(s->stable, stable, sizeof(stable));
	prose_begin(s->canary, canary, sizeof(canary));
	if (known && strcmp(s->stable, s->canary) == 0)
		prose_say(
		    c, 0, TONE_PLAIN,
		    "Rollout %s, attempt %jd, is about alias %s of function %s (%s, account %s). %s was to serve it, "
		    "and did so already.",
		    s->name, (intmax_t)s->attempt, field_text(r, "alias"), field_text(r, "function"),
		    field_text(r, "region"), field_text(r, "account"), canary);
	else if (known)
		prose_say(
		    c, 0, TONE_PLAIN,
		    "Rollout %s, attempt %jd, is about alias %s of function %s (%s, account %s). %s is the stable "
		    "one: what the alias served before. %s is the canary: the one that was to take its place.",
		    s->name, (intmax_t)s->attempt, field_text(r, "alias"), field_text(r, "function"),
		    field_text(r, "region"), field_text(r, "account"), stable, canary);
	else
		prose_say(
		    c, 0, TONE_PLAIN,
		    "Rollout %s, attempt %jd, is about alias %s of function %s (%s, account %s). Which version was "
		    "to take which one's place had not been found out.",
		    s->name, (intmax_t)s->attempt, field_text(r, "alias"), field_text(r, "function"),
		    field_text(r, "region"), field_text(r, "account"));
	prose_format_by(by, who, sizeof(who));
	if (text_starts_with(source, "submit"))
		snprintf(from, sizeof(from), "handed in by %s", who);
	else if (source[0])
		snprintf(from, sizeof(from), "in the file %.200s", source);
	else
		snprintf(from, sizeof(from), "of a source that is not known any more");
	format_steps(json_object_get(r, "plan"), steps, sizeof(steps));
	prose_cite(prose_say(c, 0, TONE_PLAIN, "The plan, %s, was accepted on %s UTC. It gives the canary %s.", from,
			     when, steps),
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
	prose_format_weight(most, weight);
	prose_format_counts(&all, counts, sizeof(counts));
	prose_format_counted(s, last, counted);
	prose_format_span(s->first_traffic_unix_ms, s->until_unix_ms, span);
	prose_cite(prose_say(c, 0, tone, "In its %s with traffic the canary had %s at most, and served %s%s.%s", span,
			     weight, counts, counted,
			     counted[0] ? " What it served after that was not read any more." : ""),
		   "AWS/Lambda Invocations and Errors by ExecutedVersion, as they were read last");
}

static void tell_outcome(const struct story *s, struct story_chapter *c)
{
	const char *reason = field_text(s->rollout, "reason");
	char at[40], took[32];

	prose_format_at(s, s->ended_unix_ms, at);
	prose_format_span(s->created_unix_ms, s->until_unix_ms, took);
	if (strcmp(s->phase, "succeeded") == 0) {
		prose_cite(prose_say(c, 0, TONE_GOOD, "It succeeded at %s, %s after it was accepted%s%s.", at, took,
				     reason[0] ? ": " : "", reason),
			   "event of %s", at);
		tell_exposure(s, c, TONE_PLAIN);
	} else if (story_is_concluded(s)) {
		prose_cite(prose_say(c, 0, TONE_GOOD,
				     "The experiment was over, and all traffic on %s again, at %s, %s after it was "
				     "accepted.",
				     s->stable, at, took),
			   "event of %s", at);
	} else if (strcmp(s->phase, "rolled-back") == 0) {
		prose_cite(prose_say(c, 0, TONE_BAD, "It was rolled back at %s, %s after it was accepted: %s.", at,
				     took, reason),
			   "event of %s", at);
		tell_exposure(s, c, TONE_PLAIN);
	} else if (strcmp(s->phase, "failed") == 0) {
		prose_cite(prose_say(c, 0, TONE_BAD, "It ended at %s, before any traffic had moved: %s.", at, reason),
			   "event of %s", at);
	} else {
		prose_say(c, 0, TONE_PLAIN, "It is still under way: %s%s%s.", s->phase, reason[0] ? ": " : "", reason);
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
	prose_say(
	    c, 0, TONE_PLAIN,
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

		prose_cite(prose_say(c, 0, TONE_PLAIN, "Metric %zu: %s.%s", i + 1, field_text(m, "text"),
				     field_true(m, "dry_run") ? " It is shown only: it decides nothing." : ""),
			   "%s", field_text(m, "source"));
	}
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
		prose_say(
		    c, 0, TONE_PLAIN,
		    "Mend the function, publish it, and drop a plan with the new version. To run this plan again as it "
		    "is: `rolloutctl retry %s`.",
		    s->name);
	else if (field_true(s->rollout, "superseded"))
		prose_say(c, 0, TONE_PLAIN, "Nothing is to be done: a newer attempt has taken its place.");
	else
		prose_say(c, 0, TONE_PLAIN,
			  "The code of %s was not found to be bad, and is not in quarantine. To run this plan again as "
			  "it is: "
			  "`rolloutctl retry %s`.",
			  s->canary, s->name);
}

static void tell_next(const struct story *s, struct story_chapter *c)
{
	bool approval = is_paused_for(s, "approval");

	if (is_paused_for(s, "failure"))
		prose_say(
		    c, 0, TONE_WARN,
		    "It waits for you: `rolloutctl rollback %s` sends all traffic back to %s. Nothing else leads on "
		    "from a "
		    "failure.",
		    s->name, s->stable);
	else if (json_array_size(field_array(s->rollout, "pause")) > 0)
		prose_say(
		    c, 0, TONE_WARN,
		    "It waits for you: `rolloutctl %s %s` lets it go on, `rolloutctl rollback %s` sends all traffic "
		    "back to %s.",
		    approval ? "promote" : "resume", s->name, s->name, s->stable);
	else if (strcmp(s->phase, "blocked") == 0)
		prose_say(c, 0, TONE_WARN,
			  "It waits for you. Look at the alias first; then `rolloutctl resume %s` goes on from what it "
			  "holds, and "
			  "`rolloutctl rollback %s` sends all traffic to %s.",
			  s->name, s->name, s->stable);
	else if (story_is_concluded(s))
		prose_say(c, 0, TONE_PLAIN,
			  "Nothing is to be done. No code is in quarantine for it: a plan may ship %s. To run the "
			  "experiment once more: `rolloutctl retry %s`.",
			  s->canary, s->name);
	else if (strcmp(s->phase, "failed") == 0)
		prose_say(
		    c, 0, TONE_PLAIN,
		    "Put right what the reason says: in the plan, which then starts anew, or outside of it, and then "
		    "`rolloutctl retry %s` runs this plan again as it is.",
		    s->name);
	else if (strcmp(s->phase, "rolled-back") == 0)
		tell_after_rollback(s, c);
	else if (strcmp(s->phase, "succeeded") == 0 && strcmp(s->stable, s->canary) == 0)
		prose_say(c, 0, TONE_PLAIN, "Nothing is to be done.");
	else if (strcmp(s->phase, "succeeded") == 0)
		prose_say(c, 0, TONE_PLAIN,
			  "Nothing is to be done. To go back to %s all the same: `rolloutctl rollback %s`.", s->stable,
			  s->name);
	else
		prose_say(c, 0, TONE_PLAIN,
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
		prose_cite(
		    prose_say(
			c, 0, TONE_PLAIN,
			"rolloutd had left alias %s at %s. What it holds now is for you to look at: somebody else may "
			"have changed it.",
			field_text(s->rollout, "alias"), holds),
		    "alias, %s UTC", when);
	else if (holds[0])
		prose_cite(prose_say(c, 0, TONE_PLAIN, "Alias %s holds %s, as rolloutd last saw it%s.",
				     field_text(s->rollout, "alias"), holds,
				     s->ended_unix_ms ? " when this rollout ended" : ""),
			   "alias, %s UTC", when);
	if (trouble[0])
		prose_say(c, 0, TONE_BAD, "This is going wrong now: %s.", trouble);
	if (field_true(json_object_get(s->record, "record"), "quarantine") && strcmp(s->phase, "rolled-back") == 0)
		prose_say(c, 0, TONE_WARN,
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
	trial_tell(s, &t->chapters[CHAPTER_WHAT]);
	probed_tell_all(s, &t->chapters[CHAPTER_WHAT]);
	tell_watch(s, &t->chapters[CHAPTER_WATCHED]);
	probed_tell_plan(s, &t->chapters[CHAPTER_WATCHED]);
	course_tell(s, &t->chapters[CHAPTER_HAPPENED]);
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
