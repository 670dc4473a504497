/* What is told of rolloutd's own requests: what was sent, what came back, and where it counted. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "field.h"
#include "prose.h"
#include "span.h"

#define CITED "rolloutd's own counts"

static void format_answers(const struct counts *c, char *out, size_t size)
{
	char n[SPAN_TIME_SIZE], e[SPAN_TIME_SIZE], rate[SPAN_TIME_SIZE];

	if (!c->seen || c->invocations == 0) {
		snprintf(out, size, "answered none");
		return;
	}
	span_format_count((int64_t)c->invocations, n);
	span_format_count((int64_t)c->errors, e);
	span_format_rate((int64_t)c->errors, (int64_t)c->invocations, rate);
	snprintf(out, size, "answered %s, of which %s failed (%s)", n, e, rate);
}

/* Which of the metrics count them: "metrics 1 and 3"; "" when none of them does. */
static void format_counting(const struct story *s, char *out, size_t size)
{
	const json_t *plan = json_object_get(json_object_get(s->rollout, "plan"), "analysis");
	const json_t *metrics = field_array(plan, "metrics");
	struct buf b = BUF_INIT(size - 1);
	size_t n = 0;

	for (size_t i = 0; i < json_array_size(metrics); i++) {
		if (!field_is(json_array_get(metrics, i), "probes", "count"))
			continue;
		buf_addf(&b, "%s%zu", n++ == 0 ? "" : ", ", i + 1);
	}
	snprintf(out, size, "%s%s%s", n == 0 ? "" : "metric", n == 0 ? "" : n == 1 ? " " : "s ", buf_text(&b));
	buf_deinit(&b);
}

void probed_tell_plan(const struct story *s, struct story_chapter *c)
{
	char every[32], counting[128];

	if (!s->probes.event)
		return;
	text_format_span(s->probes.every_ms, every);
	format_counting(s, counting, sizeof(counting));
	prose_cite(
	    prose_say(c, 0, TONE_PLAIN,
		      "As long as the canary had traffic and was judged, rolloutd itself invoked it every %s with the "
		      "event in %s%s: marked requests, its probes. They go to the version itself and past the alias, "
		      "so none of them is in CloudWatch's counts of the alias. %s%s%s",
		      every, s->probes.event, s->probes.stable.seen ? ", and the stable version alike" : "",
		      counting[0] ? "They count in " : "No metric counts them: they are only shown.", counting,
		      counting[0] ? ", beside users' requests." : ""),
	    "plan %.12s", field_text(s->rollout, "plan_hash"));
}

void probed_tell_all(const struct story *s, struct story_chapter *c)
{
	const struct story_probes *p = &s->probes;
	char canary[160], stable[160] = "", skipped[SPAN_TIME_SIZE], from[40], until[40];
	struct story_sentence *x;

	if (!p->event || s->first_traffic_unix_ms == 0)
		return;
	format_answers(&p->canary, canary, sizeof(canary));
	if (p->stable.seen)
		format_answers(&p->stable, stable, sizeof(stable));
	span_format_count(p->skipped, skipped);
	x = prose_say(
	    c, 0, p->canary.seen ? TONE_PLAIN : TONE_WARN, "Of rolloutd's own probes the canary %s%s%s.%s%s%s", canary,
	    stable[0] ? "; the stable version " : "", stable, p->skipped > 0 ? " " : "", p->skipped > 0 ? skipped : "",
	    p->skipped == 1  ? " turn came to nothing, as the probe before was under way or AWS did not answer."
	    : p->skipped > 0 ? " turns came to nothing, as the probe before was under way or AWS did not answer."
			     : "");
	prose_format_at(s, p->from_unix_ms, from);
	prose_format_at(s, p->until_unix_ms, until);
	if (p->from_unix_ms != 0)
		prose_cite(x, CITED ", periods from %s to %s", from, until);
	else
		prose_cite(x, CITED);
}

void probed_tell_weight(const struct story *s, const struct story_weight *w, struct story_chapter *c)
{
	char canary[160], stable[160] = "", from[40], until[40];

	if (!w->probe_canary.seen && !w->probe_stable.seen)
		return;
	format_answers(&w->probe_canary, canary, sizeof(canary));
	if (w->probe_stable.seen)
		format_answers(&w->probe_stable, stable, sizeof(stable));
	prose_format_at(s, w->counted_from_unix_ms, from);
	prose_format_at(s, w->counted_until_unix_ms, until);
	prose_cite(prose_say(c, 0, TONE_PLAIN, "Of the probes in that time it %s%s%s.", canary,
			     stable[0] ? "; the stable one " : "", stable),
		   CITED ", periods from %s to %s", from, until);
}
