/*
 * report: a rollout's story as one HTML page that needs nothing else: no script, no font, no picture from anywhere. It
 * can be sent to somebody, kept, and printed.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "chart.h"
#include "field.h"
#include "html.h"
#include "span.h"
#include "story.h"
#include "trial.h"

/* Browsers run nothing and fetch nothing, even if some text should have got through as markup. */
#define POLICY "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

static const char style[] =
    ":root{color-scheme:light dark;--paper:#fff;--ink:#1d2430;--soft:#5b6472;--rule:#dfe3e8;--wash:#f5f6f8;"
    "--canary:#c2570c;--canary-wash:#f4a261;--stable:#2f6690;--stable-wash:#9dbfd8;--good:#1a7f4b;--warn:#8a6100;"
    "--bad:#b3261e;--undecided:#a9b0ba}\n"
    "@media "
    "(prefers-color-scheme:dark){:root{--paper:#14171c;--ink:#e7eaee;--soft:#9aa4b2;--rule:#2c333d;--wash:#1c2128;"
    "--canary:#ff9d57;--canary-wash:#a9541b;--stable:#7db8e8;--stable-wash:#2f5878;--good:#5ad08f;--warn:#e0b252;"
    "--bad:#ff8a80;--undecided:#56606d}}\n"
    "*{box-sizing:border-box}html{background:var(--paper);color:var(--ink)}"
    "body{font:15px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif;margin:0 auto;"
    "max-width:1040px;padding:36px 28px 64px}\n"
    "h1{font-size:30px;line-height:1.2;margin:0;letter-spacing:-.01em;overflow-wrap:anywhere}"
    "h2{font-size:19px;margin:44px 0 12px;padding-top:14px;border-top:1px solid var(--rule)}"
    "h3{font-size:15px;margin:0}p{margin:.4em 0;overflow-wrap:anywhere}.soft{color:var(--soft)}code,pre{"
    "font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace}\n"
    "header{display:flex;flex-wrap:wrap;gap:8px 20px;align-items:baseline}header p{flex-basis:100%;margin:0}"
    ".badge{font-weight:650;border:1.5px solid;border-radius:99px;padding:2px 14px}"
    ".good{color:var(--good)}.bad{color:var(--bad)}.warning{color:var(--warn)}.detail{color:var(--soft)}\n"
    ".outcome{font-size:17px;border-left:4px solid;padding:2px 0 2px 14px;margin:18px 0}.outcome span{color:var(--ink)}"
    ".cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(165px,1fr));gap:12px;margin:22px 0 8px;padding:0}"
    ".cards div{background:var(--wash);border-radius:8px;padding:12px 14px}.cards dt{color:var(--soft);font-size:13px}"
    ".cards dd{margin:2px 0 0;font-size:21px;font-weight:600;font-variant-numeric:tabular-nums}"
    ".cards dd small{display:block;font-size:13px;font-weight:400;color:var(--soft)}\n"
    "figure{margin:26px 0 0;break-inside:avoid}figcaption{margin-bottom:4px}.legend{margin:2px 0 0;font-size:13px;"
    "color:var(--soft)}.key{display:inline-block;margin-right:16px}.key i{display:inline-block;width:12px;height:12px;"
    "border-radius:3px;margin-right:6px;vertical-align:-1px}.key.canary i{background:var(--canary)}.key.stable "
    "i{background:var(--stable)}.key.pass i{background:var(--good)}.key.fail i{background:var(--bad)}.key.undecided "
    "i{background:var(--undecided)}.key.interval i{background:var(--undecided);opacity:.6}.key.limit "
    "i{height:0;border-top:2px dashed var(--bad);border-radius:0;"
    "vertical-align:4px}.key.command i{border:1.5px solid var(--ink);border-radius:50%}\n"
    "svg{display:block;width:100%;height:auto;font:12px system-ui,-apple-system,'Segoe UI',Roboto,Arial,sans-serif;"
    "font-variant-numeric:tabular-nums}.grid{stroke:var(--rule)}.base{stroke:var(--soft)}.tick,.axis{fill:var(--soft)}"
    ".line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}.line.canary{stroke:var(--canary)}"
    ".line.stable{stroke:var(--stable);stroke-dasharray:5 "
    "3}.dot.canary{fill:var(--canary)}.dot.stable{fill:var(--stable)}"
    ".area.canary{fill:var(--canary-wash);stroke:var(--canary);stroke-width:1.2}.area.stable{fill:var(--stable-wash);"
    "stroke:var(--stable);stroke-width:.8}.area.interval{fill:var(--undecided);fill-opacity:.45;stroke:var(--undecided)"
    "}.limit{stroke:var(--bad);stroke-width:1.6;stroke-dasharray:7 4}"
    ".limit-label{fill:var(--bad);font-weight:600}.moment{stroke:var(--soft);stroke-dasharray:2 4}.moment.home{"
    "stroke:var(--bad)}.moment.command{stroke:var(--ink);stroke-dasharray:none;stroke-width:.8}.mark circle{"
    "fill:var(--paper);stroke:var(--ink);stroke-width:1.4}.mark "
    "text{fill:var(--ink);font-size:11px;font-weight:600}.moment.fail{stroke:var(--bad);stroke-dasharray:none}"
    ".mark.fail circle{stroke:var(--bad)}.mark.fail text{fill:var(--bad)}"
    ".band.pass{fill:var(--good)}.band.fail{fill:var(--bad)}.band.undecided{fill:var(--undecided)}\n"
    "table{border-collapse:collapse;width:100%;font-size:14px}th{text-align:left;color:var(--soft);font-weight:600;"
    "font-size:13px}th,td{padding:6px 12px 6px 0;border-bottom:1px solid var(--rule);vertical-align:top;"
    "overflow-wrap:anywhere}th,td.t,td.n{overflow-wrap:normal}td.t,td.n{white-space:nowrap;font-variant-numeric:"
    "tabular-nums}td.n,th.n{text-align:right}"
    "tr{break-inside:avoid}.source{color:var(--soft);font-size:13px}.story td{border:0;padding:4px 12px 4px 0}"
    ".story td.t{color:var(--soft)}pre{background:var(--wash);border-radius:8px;padding:14px;overflow:auto;"
    "white-space:pre-wrap;overflow-wrap:anywhere}footer{margin-top:48px;color:var(--soft);font-size:13px}\n"
    "@media print{:root{--paper:#fff;--ink:#000;--soft:#444;--rule:#ccc;--wash:#f4f4f4;--canary:#c2570c;"
    "--canary-wash:#f4a261;--stable:#2f6690;--stable-wash:#9dbfd8;--good:#1a7f4b;--warn:#8a6100;--bad:#b3261e;"
    "--undecided:#a9b0ba;color-scheme:light}body{max-width:none;padding:0;font-size:9.5pt}h1{font-size:20pt}h2{break-"
    "after:avoid;margin-top:18pt}"
    "svg{font-size:15px}figure{margin-top:10pt}.cards{grid-template-columns:repeat(5,1fr);gap:8px;margin-top:10pt}"
    ".cards dd{font-size:13pt}table,.outcome{font-size:9.5pt}"
    "*{-webkit-print-color-adjust:exact;print-color-adjust:exact}@page{margin:16mm}}\n";

struct page_of {
	const struct story *s;
	const struct telling *t;
	struct buf *out;
};

/* --- head --- */

struct outcome {
	const char *phase;
	const char *class;
	const char *label;
};

static const struct outcome *outcome_of(const struct story *s)
{
	static const struct outcome all[] = {
	    {"succeeded", "good", "✓ succeeded"}, {"rolled-back", "bad", "✗ rolled back"},
	    {"failed", "bad", "✗ failed"},	  {"blocked", "bad", "! blocked"},
	    {"paused", "warning", "paused"},	  {"rolling-back", "warning", "rolling back"},
	};
	static const struct outcome other = {"", "detail", "under way"};
	static const struct outcome concluded = {"", "good", "✓ experiment over"};

	if (story_is_concluded(s))
		return &concluded;

	for (size_t i = 0; i < array_len(all); i++)
		if (strcmp(all[i].phase, s->phase) == 0)
			return &all[i];
	return &other;
}

static void add_header(const struct page_of *p)
{
	const struct story *s = p->s;
	const struct outcome *o = outcome_of(s);
	const json_t *r = s->rollout;
	char from[40], until[40], attempt[32];

	story_format_time(s->created_unix_ms, 0, from);
	story_format_time(s->ended_unix_ms, s->created_unix_ms, until);
	snprintf(attempt, sizeof(attempt), "%jd", (intmax_t)s->attempt);
	html_addf(p->out, "<header><h1>%s</h1><span class=\"badge %s\">%s</span>", s->name, o->class, o->label);
	html_addf(p->out, "<p class=\"soft\">Attempt %s, function <b>%s</b>, alias <b>%s</b>, %s, account %s. ",
		  attempt, field_text(r, "function"), field_text(r, "alias"), field_text(r, "region"),
		  field_text(r, "account"));
	html_addf(p->out, "From %s to %s. %s%s%s UTC%s.</p></header>\n", s->stable, s->canary, from,
		  s->ended_unix_ms ? " – " : "", s->ended_unix_ms ? until : "",
		  s->ended_unix_ms ? "" : ", and not ended yet");
	const char *reason = field_text(r, "reason");
	if (reason[0])
		html_addf(p->out, "<p class=\"outcome %s\"><span>%s</span></p>\n", o->class, reason);
}

static void add_card(const struct page_of *p, const char *title, const char *value, const char *note)
{
	html_addf(p->out, "<div><dt>%s</dt><dd>%s<small>%s</small></dd></div>", title, value, note);
}

static void add_count_card(const struct page_of *p, const char *title, const char *what, const struct counts *c)
{
	char n[SPAN_TIME_SIZE], e[SPAN_TIME_SIZE], rate[SPAN_TIME_SIZE], note[128];

	span_format_count((int64_t)c->invocations, n);
	span_format_count((int64_t)c->errors, e);
	span_format_rate((int64_t)c->errors, (int64_t)c->invocations, rate);
	snprintf(note, sizeof(note), "%s; %s failed (%s)", what, e, rate);
	add_card(p, title, c->seen ? n : "–", c->seen ? note : "none known");
}

static void add_cards(const struct page_of *p)
{
	const struct story *s = p->s;
	struct counts canary = {0}, stable = {0};
	uint32_t most = 0;
	char weight[16], took[32], count[SPAN_TIME_SIZE], title[64];

	for (size_t i = 0; i < s->n_weights; i++) {
		const struct story_weight *w = &s->weights[i];

		most = !w->home && w->weight_bp > most ? w->weight_bp : most;
		if (w->home)
			continue;
		story_add_counts(&canary, &w->canary);
		story_add_counts(&stable, &w->stable);
	}
	text_format_span(s->until_unix_ms - s->created_unix_ms, took);
	text_format_bp(most, weight);
	span_format_count((int64_t)s->n_judgements, count);
	buf_add_text(p->out, "<dl class=\"cards\">");
	add_card(p, "Took", took, s->ended_unix_ms ? "from accepted to the end" : "so far");
	add_card(p, "Highest weight", weight, "of the traffic on the canary");
	snprintf(title, sizeof(title), "Canary, %s", s->canary);
	add_count_card(p, title, "requests", &canary);
	snprintf(title, sizeof(title), "Stable, %s", s->stable);
	add_count_card(p, title, "requests", &stable);
	add_card(p, "Judged", count, "times");
	if (s->probes.event) {
		snprintf(title, sizeof(title), "Probes of %s", s->canary);
		add_count_card(p, title, "answered", &s->probes.canary);
	}
	buf_add_text(p->out, "</dl>\n");
}

/* --- the story --- */

/* What stands between two backticks is something to type, or a word of ours. */
static void add_words(struct buf *out, const char *text)
{
	bool code = false;

	while (*text) {
		size_t len = strcspn(text, "`");
		cleanup(mem_free_p) char *part = mem_strndup(text, len);

		html_add(out, part);
		text += len;
		if (!*text)
			break;
		buf_add_text(out, code ? "</code>" : "<code>");
		code = !code;
		text++;
	}
	if (code)
		buf_add_text(out, "</code>");
}

static void add_sentence(const struct page_of *p, const struct story_sentence *x, bool times)
{
	static const char *const classes[] = {"detail", "good", "warning", "bad", "detail"};
	char at[40] = "";

	if (times && x->at_unix_ms != 0)
		story_format_time(x->at_unix_ms, p->s->created_unix_ms, at);
	if (times)
		html_addf(p->out, "<tr><td class=\"t\">%s</td><td class=\"%s\">%s</td><td class=\"%s\">", at,
			  classes[x->tone], x->tone == TONE_DIM ? "·" : "●", x->tone == TONE_DIM ? "detail" : "");
	else
		html_addf(p->out, "<p class=\"%s\">",
			  x->tone == TONE_BAD || x->tone == TONE_GOOD ? classes[x->tone] : "");
	add_words(p->out, x->text);
	if (x->source[0])
		html_addf(p->out, " <span class=\"source\">[%s]</span>", x->source);
	buf_add_text(p->out, times ? "</td></tr>\n" : "</p>\n");
}

static void add_chapter(const struct page_of *p, size_t index)
{
	const struct story_chapter *c = &p->t->chapters[index];
	bool times = index == 2;

	if (c->n == 0)
		return;
	html_addf(p->out, "<h2>%s</h2>\n", c->title);
	if (times)
		buf_add_text(p->out, "<table class=\"story\"><tbody>\n");
	for (size_t i = 0; i < c->n; i++)
		add_sentence(p, &c->sentences[i], times);
	if (times)
		buf_add_text(p->out, "</tbody></table>\n");
}

/* --- tables --- */

static void add_pair(const struct page_of *p, const struct counts *c)
{
	char n[SPAN_TIME_SIZE], e[SPAN_TIME_SIZE], rate[SPAN_TIME_SIZE];

	span_format_count((int64_t)c->invocations, n);
	span_format_count((int64_t)c->errors, e);
	span_format_rate((int64_t)c->errors, (int64_t)c->invocations, rate);
	html_addf(p->out, "<td class=\"n\">%s</td><td class=\"n\">%s</td><td class=\"n\">%s</td>", c->seen ? n : "–",
		  c->seen ? e : "–", c->seen ? rate : "–");
}

static void add_weights(const struct page_of *p)
{
	const struct story *s = p->s;

	if (s->n_weights == 0)
		return;
	buf_add_text(p->out, "<h2>Each weight</h2>\n<table><thead><tr><th>From (UTC)</th><th>Weight</th><th>Held</th>"
			     "<th class=\"n\">Canary: requests</th><th class=\"n\">failed</th><th class=\"n\">rate</th>"
			     "<th class=\"n\">Stable: requests</th><th class=\"n\">failed</th><th class=\"n\">rate</th>"
			     "</tr></thead><tbody>\n");
	for (size_t i = 0; i < s->n_weights; i++) {
		const struct story_weight *w = &s->weights[i];
		char at[40], weight[16], held[32];

		story_format_time(w->from_unix_ms, s->created_unix_ms, at);
		text_format_bp(w->weight_bp, weight);
		text_format_span(w->until_unix_ms - w->from_unix_ms, held);
		html_addf(p->out, "<tr><td class=\"t\">%s</td><td>%s</td><td class=\"t\">%s</td>", at, weight, held);
		add_pair(p, &w->canary);
		add_pair(p, &w->stable);
		buf_add_text(p->out, "</tr>\n");
	}
	buf_add_text(p->out, "</tbody></table>\n");
}

static void add_side(const struct page_of *p, const char *version, const char *role, uint32_t bp,
		     const struct counts *c)
{
	char weight[16];

	text_format_bp(bp, weight);
	html_addf(p->out, "<tr><td>%s</td><td>%s</td><td class=\"n\">%s</td>", version, role, weight);
	add_pair(p, c);
	buf_add_text(p->out, "</tr>\n");
}

static void add_difference(const struct page_of *p)
{
	const struct story_experiment *x = &p->s->experiment;
	char found[TRIAL_PART_SIZE], low[TRIAL_PART_SIZE], high[TRIAL_PART_SIZE], finding[96];

	if (!trial_is_known(x)) {
		html_addf(p->out, "<p>%s.</p>\n", x->text[0] ? x->text : "Nothing can be told yet");
		return;
	}
	trial_format_signed(trial_difference(&x->canary, &x->stable), TRIAL_NEAREST, found);
	trial_format_signed(x->low, TRIAL_DOWN, low);
	trial_format_signed(x->high, TRIAL_UP, high);
	trial_format_finding(p->s, finding, sizeof(finding));
	html_addf(
	    p->out,
	    "<p>Difference of the rates, the canary's less the stable one's: <b>%s</b> of the requests as counted; "
	    "truly from <b>%s</b> to <b>%s</b>, with 95%% confidence at all looks together: %s.</p>\n",
	    found, low, high, finding);
}

static void add_experiment(const struct page_of *p)
{
	const struct story *s = p->s;
	const struct story_experiment *x = &s->experiment;
	int64_t until = x->until_unix_ms != 0 ? x->until_unix_ms : s->now_unix_ms;
	char end[256], span[32], asked[32], from[40], to[40];

	if (!x->is || x->from_unix_ms == 0)
		return;
	buf_add_text(p->out,
		     "<h2>Experiment</h2>\n<table><thead><tr><th>Version</th><th>Role</th><th class=\"n\">Traffic"
		     "</th><th class=\"n\">Requests</th><th class=\"n\">failed</th><th class=\"n\">rate</th></tr>"
		     "</thead><tbody>\n");
	add_side(p, s->canary, "canary", x->weight_bp, &x->canary);
	add_side(p, s->stable, "stable", 10000 - x->weight_bp, &x->stable);
	buf_add_text(p->out, "</tbody></table>\n");
	add_difference(p);
	trial_format_end(s, end, sizeof(end));
	text_format_span(until > x->from_unix_ms ? until - x->from_unix_ms : 0, span);
	text_format_span(x->asked_ms, asked);
	html_addf(p->out, "<p>It %s for %s; the plan asks for %s. %s.</p>\n",
		  x->until_unix_ms != 0 ? "lasted" : "has lasted", span, asked, end);
	story_format_time(x->counted_from_unix_ms, s->created_unix_ms, from);
	story_format_time(x->counted_until_unix_ms, s->created_unix_ms, to);
	html_addf(p->out,
		  "<p class=\"source\">[AWS/Lambda Invocations and Errors by ExecutedVersion, settled periods from "
		  "%s to %s%s]</p>\n",
		  from, to, s->probes.event ? "; without rolloutd's probes" : "");
}

static void add_probe_row(const struct page_of *p, const char *at, const char *weight, const struct counts *canary,
			  const struct counts *stable)
{
	html_addf(p->out, "<tr><td class=\"t\">%s</td><td>%s</td>", at, weight);
	add_pair(p, canary);
	add_pair(p, stable);
	buf_add_text(p->out, "</tr>\n");
}

static void add_probes(const struct page_of *p)
{
	const struct story *s = p->s;
	char every[32], skipped[SPAN_TIME_SIZE];

	if (!s->probes.event || s->first_traffic_unix_ms == 0)
		return;
	text_format_span(s->probes.every_ms, every);
	span_format_count(s->probes.skipped, skipped);
	html_addf(
	    p->out,
	    "<h2>Probes</h2>\n<p>rolloutd's own requests with the event in <code>%s</code>, every %s one to %s; %s "
	    "%s to nothing.</p>\n",
	    s->probes.event, every, s->probes.stable.seen ? "each version" : "the canary", skipped,
	    s->probes.skipped == 1 ? "turn came" : "turns came");
	buf_add_text(p->out, "<table><thead><tr><th>From (UTC)</th><th>Weight</th><th class=\"n\">Canary: answered</th>"
			     "<th class=\"n\">failed</th><th class=\"n\">rate</th><th class=\"n\">Stable: answered</th>"
			     "<th class=\"n\">failed</th><th class=\"n\">rate</th></tr></thead><tbody>\n");
	for (size_t i = 0; i < s->n_weights; i++) {
		const struct story_weight *w = &s->weights[i];
		char at[40], weight[16];

		if (w->home && !w->probe_canary.seen && !w->probe_stable.seen)
			continue;
		story_format_time(w->from_unix_ms, s->created_unix_ms, at);
		text_format_bp(w->weight_bp, weight);
		add_probe_row(p, at, weight, &w->probe_canary, &w->probe_stable);
	}
	add_probe_row(p, "all", "", &s->probes.canary, &s->probes.stable);
	buf_add_text(p->out, "</tbody></table>\n<p class=\"source\">[rolloutd's own counts, by the period in which the "
			     "answer came. They go past the alias, so the requests above have none of them]</p>\n");
}

static void add_commands(const struct page_of *p)
{
	const json_t *events = p->s->events;
	unsigned number = 0;
	char at[40], count[16];

	for (size_t i = 0; i < json_array_size(events); i++) {
		const json_t *e = json_array_get(events, i);

		if (!field_is(e, "kind", "command"))
			continue;
		if (number++ == 0)
			buf_add_text(p->out,
				     "<h2>Who did what</h2>\n<table><thead><tr><th>#</th><th>At (UTC)</th><th>By</th>"
				     "<th>What, and why</th></tr></thead><tbody>\n");
		story_format_time(field_time(e, "at"), p->s->created_unix_ms, at);
		snprintf(count, sizeof(count), "%u", number);
		html_addf(p->out,
			  "<tr><td class=\"t\">%s</td><td class=\"t\">%s</td><td class=\"t\">%s</td><td>%s</td></tr>\n",
			  count, at, field_text(e, "by"), field_text(e, "text"));
	}
	if (number > 0)
		buf_add_text(p->out, "</tbody></table>\n");
}

/* Where the verdict changed, and the last one: all of them would be a line for each minute. */
static void add_judgements(const struct page_of *p)
{
	const struct story *s = p->s;

	if (s->n_judgements == 0)
		return;
	buf_add_text(p->out,
		     "<h2>Verdicts</h2>\n<table><thead><tr><th>At (UTC)</th><th>On periods before</th><th>Weight</th>"
		     "<th>Verdict</th><th>Why</th></tr></thead><tbody>\n");
	for (size_t i = 0; i < s->n_judgements; i++) {
		const struct story_judgement *j = &s->judgements[i], *before = i > 0 ? j - 1 : NULL;
		bool last = i + 1 == s->n_judgements;
		char at[40], through[40], weight[16];

		if (!last && before && strcmp(before->verdict, j->verdict) == 0 && strcmp(before->gap, j->gap) == 0 &&
		    before->weight_bp == j->weight_bp)
			continue;
		story_format_time(j->at_unix_ms, s->created_unix_ms, at);
		story_format_time(j->through_unix_ms, s->created_unix_ms, through);
		text_format_bp(j->weight_bp, weight);
		html_addf(p->out,
			  "<tr><td class=\"t\">%s</td><td class=\"t\">%s</td><td class=\"t\">%s</td>"
			  "<td class=\"t %s\">%s</td><td>%s</td></tr>\n",
			  at, through, weight,
			  strcmp(j->verdict, "pass") == 0   ? "good"
			  : strcmp(j->verdict, "fail") == 0 ? "bad"
							    : "detail",
			  j->verdict, j->text);
	}
	buf_add_text(p->out,
		     "</tbody></table>\n<p class=\"soft\">A line for each change of the verdict, and the last one. "
		     "<code>rolloutctl report -o json</code> has each judgement.</p>\n");
}

static void add_events(const struct page_of *p)
{
	const json_t *events = p->s->events;
	char at[40];

	buf_add_text(p->out,
		     "<h2>Events</h2>\n<table><thead><tr><th>At (UTC)</th><th>Kind</th><th>Phase</th><th>Text</th>"
		     "</tr></thead><tbody>\n");
	for (size_t i = 0; i < json_array_size(events); i++) {
		const json_t *e = json_array_get(events, i);

		story_format_time(field_time(e, "at"), p->s->created_unix_ms, at);
		html_addf(p->out,
			  "<tr><td class=\"t\">%s</td><td class=\"t\">%s</td><td class=\"t\">%s</td><td>%s</td></tr>\n",
			  at, field_text(e, "kind"), field_text(e, "phase"), field_text(e, "text"));
	}
	buf_add_text(p->out, "</tbody></table>\n");
}

/* The plan as it was kept: JSON, which is indented here. */
static void add_plan(const struct page_of *p)
{
	const char *plan = field_text(p->s->record, "plan");
	json_t *parsed = json_loads(plan, JSON_REJECT_DUPLICATES, NULL);
	char *shown = parsed ? json_dumps(parsed, JSON_INDENT(2) | JSON_REAL_PRECISION(15)) : NULL;

	html_addf(p->out, "<h2>Plan, every default written out</h2>\n<pre>%s</pre>\n", shown ? shown : plan);
	free(shown);
	json_decref(parsed);
}

static void add_queries(const struct page_of *p)
{
	const json_t *queries = field_array(p->s->record, "queries");
	char at[40];

	if (json_array_size(queries) == 0)
		return;
	buf_add_text(p->out, "<h2>What CloudWatch was asked</h2>\n");
	for (size_t i = 0; i < json_array_size(queries); i++) {
		const json_t *q = json_array_get(queries, i);
		char *shown = json_dumps(json_object_get(q, "asks"), JSON_COMPACT | JSON_ENCODE_ANY);

		story_format_time(field_time(q, "at"), p->s->created_unix_ms, at);
		html_addf(p->out, "<p class=\"soft\">From %s on:</p><pre>%s</pre>\n", at, shown ? shown : "");
		free(shown);
	}
}

static void add_page(const struct page_of *p)
{
	char now[40];

	story_format_time(p->s->now_unix_ms, 0, now);
	html_addf(p->out,
		  "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
		  "<meta http-equiv=\"Content-Security-Policy\" content=\"%s\">"
		  "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
		  "<meta name=\"referrer\" content=\"no-referrer\"><title>%s: %s</title>\n<style>",
		  POLICY, p->s->name, p->s->phase);
	buf_add_text(p->out, style);
	buf_add_text(p->out, "</style></head>\n<body>\n");
	add_header(p);
	add_cards(p);
	if (chart_any(p->s))
		chart_add_all(p->s, p->out);
	else
		buf_add_text(p->out,
			     "<p class=\"soft\">The canary never had traffic, so there is nothing to draw.</p>\n");
	for (size_t i = 0; i < STORY_CHAPTERS; i++)
		add_chapter(p, i);
	add_experiment(p);
	add_weights(p);
	add_probes(p);
	add_commands(p);
	add_judgements(p);
	add_events(p);
	add_plan(p);
	add_queries(p);
	html_addf(
	    p->out,
	    "<footer>Made by rolloutctl %s at %s UTC from the record of rolloutd. Times are UTC. Counts are those that "
	    "rolloutd had read%s.</footer>\n</body></html>\n",
	    ROLLOUTD_VERSION, now, p->s->ended_unix_ms ? " when the rollout ended" : " by then");
}

/* --- the command --- */

/* Devices and pipes are written to as they are: a page in place of /dev/null would cost more than a report. */
static int write_through(const char *path, const struct buf *page)
{
	FILE *f = fopen(path, "we");
	int rc = f ? 0 : -errno;

	if (f && fwrite(buf_text(page), 1, page->len, f) != page->len)
		rc = -errno;
	if (f && fclose(f) != 0 && rc == 0)
		rc = -errno;
	return rc;
}

/* A file is there whole or not at all. One that is replaced keeps its mode, a new one gets what the umask leaves. */
static int write_file(const char *path, const struct buf *page)
{
	cleanup(mem_free_p) char *target = realpath(path, NULL);
	struct stat there;
	bool exists = stat(path, &there) == 0;
	mode_t mask = umask(0);

	umask(mask);
	if (exists && !S_ISREG(there.st_mode))
		return write_through(path, page);
	return file_write_atomic(target ? target : path, buf_text(page), page->len,
				 exists ? there.st_mode & 0777 : 0666 & ~mask);
}

static int write_page(struct cli *cli, const struct story *s, const struct buf *page)
{
	cleanup(mem_free_p) char *named = mem_printf("%s-%" PRId64 ".html", s->name, s->attempt);
	const char *path = cli->output ? cli->output : named;
	struct buf said = BUF_INIT(8192);
	struct canvas c = {.screen = &cli->screen, .out = &said};
	int rc;

	if (strcmp(path, "-") == 0) {
		cli_write(page);
		return EXIT_DONE;
	}
	rc = write_file(path, page);
	if (rc != 0) {
		cli_error(cli, "%s cannot be written: %s", path, strerror(-rc));
		return EXIT_REFUSED;
	}
	canvas_putf(&c, STYLE_PLAIN, "%s: open it in a browser", path);
	canvas_end_line(&c);
	cli_write(&said);
	buf_deinit(&said);
	return EXIT_DONE;
}

static int make_page(struct cli *cli, const struct story *s)
{
	struct buf page = BUF_INIT(LIMIT_CONTROL_ANSWER_BYTES);
	struct telling *t = telling_new(s);
	struct page_of p = {.s = s, .t = t, .out = &page};
	int rc = EXIT_REFUSED;

	add_page(&p);
	if (buf_ok(&page))
		rc = write_page(cli, s, &page);
	else
		cli_error(
		    cli, "the report of %s would be larger than %d bytes; the record itself: rolloutctl report -o json",
		    s->name, LIMIT_CONTROL_ANSWER_BYTES);
	telling_free(t);
	buf_deinit(&page);
	return rc;
}

int command_report(struct cli *cli)
{
	json_t *record = NULL;
	int rc = story_get(cli, cli->args[0], &record);

	if (rc != EXIT_DONE)
		return rc;
	if (cli->json) {
		cli_write_json(cli, record);
	} else {
		struct story *s = story_read(cli, record);

		rc = s ? make_page(cli, s) : EXIT_REFUSED;
		story_free(s);
	}
	json_decref(record);
	return rc;
}
