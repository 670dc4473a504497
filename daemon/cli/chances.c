/* The outcome of `simulate`: sentences, numbers, and a plot of the time until the canary is back. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "plan/plan.h"
#include "screen.h"
#include "simulate.h"
#include "span.h"
#include "table.h"

#define BARS_WANTED 12
#define GOOD_SHARE  0.9 /* of worse canaries that come back: nothing need be said */
#define FEW	    100 /* requests of the canary in the first step */
#define WIDTH	    80	/* where the screen has none */
#define WORDS_CELLS 28	/* beside a bar */
#define RATE_PPM    1e6

/* --- numbers in words --- */

/* "20 requests/s", "3 requests/min": the unit in which it is not below 1. */
static void format_traffic(double rps, char out[static 48])
{
	static const struct {
		const char *unit;
		double seconds;
	} units[] = {{"s", 1}, {"min", 60}, {"h", 3600}};
	size_t i = 0;

	while (i + 1 < array_len(units) && rps > 0 && rps * units[i].seconds < 1)
		i++;
	double n = rps * units[i].seconds;
	char count[SPAN_TIME_SIZE];

	/* "2e+04" is no number for people. */
	if (n >= 1000)
		span_format_count(llround(n), count);
	else
		snprintf(count, sizeof(count), "%.4g", n);
	snprintf(out, 48, "%.30s request%s/%s", count, strcmp(count, "1") == 0 ? "" : "s", units[i].unit);
}

static void format_rate(double rate, char out[static 16])
{
	uint32_t ppm = (uint32_t)lround(rate * RATE_PPM);

	text_format_ppm(ppm >= 1000 ? (ppm + 50) / 100 * 100 : ppm, out);
}

/* "99 of 100 rollouts"; never all or none when that is not so. */
static void format_share(size_t n, size_t of, char out[static 64])
{
	size_t permille = (n * 1000 + of / 2) / of;

	if (n == of)
		snprintf(out, 64, of == 1 ? "the one rollout" : "all %zu rollouts", of);
	else if (n == 0)
		snprintf(out, 64, of == 1 ? "no rollout" : "none of %zu rollouts", of);
	else if (permille >= 1000)
		snprintf(out, 64, "more than 99.9 of 100 rollouts");
	else if (permille == 0)
		snprintf(out, 64, "fewer than 0.1 of 100 rollouts");
	else
		snprintf(out, 64, "%g of 100 rollouts", (double)permille / 10);
}

static size_t noticed(const struct simulate_summary *m)
{
	return m->ends[SIMULATE_ROLLED_BACK] + m->ends[SIMULATE_PAUSED];
}

static bool is_worse(const struct simulate_load *load)
{
	return load->canary_rate > load->stable_rate;
}

/* --- sentences --- */

static const char *deed(const struct simulated *s)
{
	const struct rollout_spec *spec = &s->plan->spec;

	if (spec->on_failure == SPEC_PAUSE)
		return spec->experiment ? "pauses the experiment" : "pauses the rollout";
	return spec->experiment ? "breaks the experiment off" : "brings the canary back";
}

/* How many of those that came to their end have told which version fails less. */
static size_t told(const struct simulate_summary *m)
{
	return m->found[EXPERIMENT_CANARY] + m->found[EXPERIMENT_STABLE];
}

static void say_found(const struct simulated *s, char *out, size_t size)
{
	const struct simulate_summary *m = &s->summary;
	char through[64], found[64], span[32];

	if (m->through_ms.n == 0)
		return;
	format_share(m->through_ms.n, m->runs, through);
	format_share(told(m), m->runs, found);
	text_format_span(m->through_ms.p50, span);
	snprintf(out, size,
		 " It comes to its end in %s, in %s (median), and tells there which version fails less in %s.", through,
		 span, found);
}

static void say_worse(const struct simulated *s, const char *traffic, char out[static SIMULATE_SENTENCE])
{
	const struct simulate_summary *m = &s->summary;
	char rate[16], share[64], span[32], count[SPAN_TIME_SIZE];
	size_t len;

	format_rate(s->load->canary_rate, rate);
	format_share(noticed(m), m->runs, share);
	len = (size_t)snprintf(out, SIMULATE_SENTENCE, "With %s and %s errors this plan %s in %s", traffic, rate,
			       deed(s), share);
	if (m->back_ms.n == 0) {
		len += (size_t)snprintf(out + len, SIMULATE_SENTENCE - len, ".");
	} else {
		text_format_span(m->back_ms.p50, span);
		span_format_count(m->back_failed.p50, count);
		len += (size_t)snprintf(out + len, SIMULATE_SENTENCE - len, ", after %s (median); %s %s until then.",
					span, count, m->back_failed.p50 == 1 ? "request fails" : "requests fail");
	}
	if (s->plan->spec.experiment)
		say_found(s, out + len, SIMULATE_SENTENCE - len);
}

static void say_equal_experiment(const struct simulated *s, const char *traffic, const char *rate,
				 char out[static SIMULATE_SENTENCE])
{
	char back[64];
	size_t len;

	format_share(noticed(&s->summary), s->summary.runs, back);
	len = (size_t)snprintf(out, SIMULATE_SENTENCE,
			       "With %s and %s errors the canary is no worse than the stable version: this plan %s for "
			       "nothing in %s.",
			       traffic, rate, deed(s), back);
	say_found(s, out + len, SIMULATE_SENTENCE - len);
}

/* What it does to a canary that is as good is its false alarms. */
static void say_equal(const struct simulated *s, const char *traffic, char out[static SIMULATE_SENTENCE])
{
	const struct simulate_summary *m = &s->summary;
	char rate[16], through[64], back[64], span[32] = "", after[64] = "";

	format_rate(s->load->canary_rate, rate);
	if (s->plan->spec.experiment) {
		say_equal_experiment(s, traffic, rate, out);
		return;
	}
	format_share(m->ends[SIMULATE_SUCCEEDED], m->runs, through);
	format_share(noticed(m), m->runs, back);
	text_format_span(m->through_ms.p50, span);
	if (m->through_ms.n > 0)
		snprintf(after, sizeof(after), ", in %s (median)", span);
	snprintf(out, SIMULATE_SENTENCE,
		 "With %s and %s errors the canary is no worse than the stable version: it goes through in %s%s; this "
		 "plan %s for nothing in %s.",
		 traffic, rate, through, after, deed(s), back);
}

void chances_sentence(const struct simulated *s, char out[static SIMULATE_SENTENCE])
{
	char traffic[48];

	format_traffic(s->load->rps, traffic);
	if (is_worse(s->load))
		say_worse(s, traffic, out);
	else
		say_equal(s, traffic, out);
}

/* The highest max_rate by which it could be judged at all; 0 when something else judges errors, too. */
static uint32_t allowed_ppm(const struct spec_analysis *a)
{
	uint32_t lowest = 0;

	for (size_t i = 0; i < a->n_metrics; i++) {
		const struct spec_metric *m = &a->metrics[i];

		if (m->dry_run)
			continue;
		if (m->kind == SPEC_METRIC_COMPARE)
			return 0;
		if (m->kind == SPEC_METRIC_ERRORS && (lowest == 0 || m->max_rate_ppm < lowest))
			lowest = m->max_rate_ppm;
	}
	return lowest;
}

static bool counts_probes(const struct rollout_spec *spec)
{
	for (size_t i = 0; i < spec->analysis.n_metrics; i++)
		if (spec->analysis.metrics[i].count_probes && !spec->analysis.metrics[i].dry_run)
			return true;
	return false;
}

/* What the canary serves while the first weight bakes, probes included where they count. */
static double first_requests(const struct simulated *s)
{
	const struct rollout_spec *spec = &s->plan->spec;
	double share = spec->n_steps == 0 ? 1 : (double)spec->steps[0].weight_bp / WEIGHT_BP_MAX;
	double bake_ms = (double)(spec->n_steps == 0 ? spec->final_bake_ms : spec->steps[0].bake_ms);
	double probes = counts_probes(spec) ? bake_ms / (double)spec->probe.every_ms : 0;

	return s->load->rps * share * bake_ms / MS_PER_SECOND + probes;
}

/* What would give it more requests. */
static const char *more_probes(const struct rollout_spec *spec)
{
	return !spec->probe.payload   ? "a probe"
	       : !counts_probes(spec) ? "a metric that counts the probe"
				      : "a faster probe";
}

static bool is_watched(const struct rollout_spec *spec)
{
	return spec->n_steps > 0 || spec->final_bake_ms > 0;
}

void chances_advice(const struct simulated *s, char out[static SIMULATE_SENTENCE])
{
	const struct simulate_summary *m = &s->summary;
	size_t empty = m->ends[SIMULATE_HELD] + m->ends[SIMULATE_RETURNED];
	double first = first_requests(s);
	uint32_t allowed = allowed_ppm(&s->plan->spec.analysis);
	char span[32], rate[16], share[64];

	out[0] = '\0';
	if (!is_watched(&s->plan->spec)) {
		snprintf(out, SIMULATE_SENTENCE,
			 "It moves all traffic at once and watches nothing: steps or a final_bake would.");
	} else if (10 * empty >= m->runs) {
		format_share(empty, m->runs, share);
		text_format_span(s->plan->spec.analysis.hold_limit_ms, span);
		snprintf(out, SIMULATE_SENTENCE,
			 "In %s there is no verdict within hold_limit (%s): the canary serves about %.3g requests "
			 "while the first weight bakes. A larger first weight, a longer bake or %s helps.",
			 share, span, first, more_probes(&s->plan->spec));
	} else if (!is_worse(s->load) || (double)noticed(m) >= GOOD_SHARE * (double)m->runs) {
		return;
	} else if (allowed > 0 && s->load->canary_rate * RATE_PPM <= allowed) {
		format_rate(allowed / RATE_PPM, rate);
		snprintf(out, SIMULATE_SENTENCE,
			 "So many errors are allowed: max_rate is %s. A lower max_rate helps, or `compare: stable`.",
			 rate);
	} else if (first < FEW) {
		snprintf(out, SIMULATE_SENTENCE,
			 "The canary serves about %.3g requests while the first weight bakes: a longer bake, a larger "
			 "weight or %s helps.",
			 first, more_probes(&s->plan->spec));
	} else {
		snprintf(out, SIMULATE_SENTENCE, "A longer bake or a final_bake gives it more to go by.");
	}
}

/* --- the plot --- */

static int64_t longest(const struct simulated *s)
{
	int64_t most = 0;

	for (size_t i = 0; i < s->summary.runs; i++) {
		const struct simulate_run *r = &s->runs[i];

		if ((r->end == SIMULATE_ROLLED_BACK || r->end == SIMULATE_PAUSED) && r->lasted_ms > most)
			most = r->lasted_ms;
	}
	return most;
}

/* A round width of which so many bars are enough. */
static int64_t bar_width(int64_t longest_ms)
{
	static const int64_t round_s[] = {5,   10,   15,   30,	 60,	120,   300,   600,
					  900, 1800, 3600, 7200, 10800, 21600, 43200, 86400};

	for (size_t i = 0; i < array_len(round_s); i++)
		if (longest_ms <= round_s[i] * MS_PER_SECOND * BARS_WANTED)
			return round_s[i] * MS_PER_SECOND;
	return (longest_ms / BARS_WANTED / MS_PER_DAY + 1) * MS_PER_DAY;
}

size_t chances_bars(const struct simulated *s, struct simulate_bar ret[static SIMULATE_BARS_MAX])
{
	int64_t most = longest(s), width = bar_width(most);
	size_t n = (size_t)(most / width) + 1;

	if (noticed(&s->summary) == 0)
		return 0;
	for (size_t i = 0; i < n; i++)
		ret[i] = (struct simulate_bar){.until_ms = (int64_t)(i + 1) * width};
	for (size_t i = 0; i < s->summary.runs; i++) {
		const struct simulate_run *r = &s->runs[i];

		if (r->end == SIMULATE_ROLLED_BACK || r->end == SIMULATE_PAUSED)
			ret[r->lasted_ms / width].runs++;
	}
	return n;
}

static void put_plot(const struct simulated *s, struct canvas *c)
{
	struct simulate_bar bars[SIMULATE_BARS_MAX] = {0};
	size_t n = chances_bars(s, bars), most = 1, sum = 0, first = 0;
	int width = (c->screen->width > 0 ? c->screen->width : WIDTH) - WORDS_CELLS;
	char span[32];

	if (n == 0)
		return;
	for (size_t i = 0; i < n; i++)
		most = bars[i].runs > most ? bars[i].runs : most;
	while (first + 1 < n && bars[first].runs == 0)
		first++;
	canvas_end_line(c);
	canvas_put(c, STYLE_DIM, s->plan->spec.on_failure == SPEC_PAUSE ? "  paused within" : "  back within");
	canvas_put(c, STYLE_DIM, "    of all rollouts");
	canvas_end_line(c);
	for (size_t i = first; i < n; i++) {
		sum += bars[i].runs;
		text_format_span(bars[i].until_ms, span);
		canvas_putf(c, STYLE_PLAIN, "  %11s  %6.1f%%", span, 100 * (double)sum / (double)s->summary.runs);
		if (width > 0 && bars[i].runs > 0) {
			canvas_put(c, STYLE_PLAIN, "  ");
			canvas_symbol(c, STYLE_INFO, SYMBOL_CANARY,
				      (int)((bars[i].runs * (size_t)width + most - 1) / most));
		}
		canvas_end_line(c);
	}
}

/* --- the page --- */

static void put_ends(const struct simulated *s, struct canvas *c)
{
	static const struct {
		const char *text;
		enum style style;
	} words[SIMULATE_ENDS] = {
	    [SIMULATE_SUCCEEDED] = {"succeeded", STYLE_GOOD},
	    [SIMULATE_CONCLUDED] = {"experiment over, back as planned", STYLE_GOOD},
	    [SIMULATE_ROLLED_BACK] = {"rolled back", STYLE_BAD},
	    [SIMULATE_PAUSED] = {"paused, as it failed", STYLE_WARN},
	    [SIMULATE_RETURNED] = {"rolled back for want of data", STYLE_WARN},
	    [SIMULATE_HELD] = {"paused for want of data", STYLE_WARN},
	    [SIMULATE_STUCK] = {"ended in another way", STYLE_WARN},
	    [SIMULATE_UNFINISHED] = {"not over after 60 days", STYLE_WARN},
	};
	static const struct column columns[] = {
	    {.title = "END"}, {.title = "ROLLOUTS", .right = true}, {.title = "", .right = true}};
	struct table *t = table_new(c->screen, columns, array_len(columns));
	size_t good = s->plan->spec.experiment_ends_home ? SIMULATE_CONCLUDED : SIMULATE_SUCCEEDED;

	for (size_t i = 0; i < SIMULATE_ENDS; i++) {
		size_t n = s->summary.ends[i];

		if (n == 0 && i != good && i != SIMULATE_ROLLED_BACK)
			continue;
		table_row(t);
		table_cell(t, n > 0 ? words[i].style : STYLE_DIM, words[i].text);
		table_cellf(t, STYLE_PLAIN, "%zu", n);
		table_cellf(t, STYLE_PLAIN, "%.1f%%", 100 * (double)n / (double)s->summary.runs);
	}
	table_render(t, c, 2);
	table_free(t);
}

static void put_times(struct table *t, const char *what, const struct simulate_spread *s)
{
	const int64_t values[] = {s->p10, s->p50, s->p90};
	char span[32];

	if (s->n == 0)
		return;
	table_row(t);
	table_cell(t, STYLE_PLAIN, what);
	for (size_t i = 0; i < array_len(values); i++) {
		text_format_span(values[i], span);
		table_cell(t, STYLE_PLAIN, span);
	}
}

static void put_counts(struct table *t, const char *what, const struct simulate_spread *s)
{
	const int64_t values[] = {s->p10, s->p50, s->p90};
	char count[SPAN_TIME_SIZE];

	table_row(t);
	table_cell(t, STYLE_PLAIN, what);
	for (size_t i = 0; i < array_len(values); i++) {
		span_format_count(values[i], count);
		table_cell(t, STYLE_PLAIN, count);
	}
}

static void put_spreads(const struct simulated *s, struct canvas *c)
{
	static const struct column columns[] = {{.title = ""},
						{.title = "P10", .right = true},
						{.title = "P50", .right = true},
						{.title = "P90", .right = true}};
	struct table *t = table_new(c->screen, columns, array_len(columns));
	char share[16];

	put_times(t, s->plan->spec.on_failure == SPEC_PAUSE ? "first weight to pause" : "first weight to rollback",
		  &s->summary.back_ms);
	put_times(t, s->plan->spec.experiment ? "an experiment that comes to its end" : "a rollout that goes through",
		  &s->summary.through_ms);
	put_counts(t, "requests that the canary fails", &s->summary.failed);
	table_render(t, c, 2);
	table_free(t);
	format_rate(s->summary.failed_share, share);
	canvas_putf(c, STYLE_PLAIN, "  Of all requests during the rollouts the canary fails %s.", share);
	canvas_end_line(c);
}

static void put_fine(const struct simulated *s, struct canvas *c)
{
	unsigned fine = simulate_fine(s->plan);
	const char *before = "  Taken as fine: ";

	if (!fine)
		return;
	for (unsigned i = 0; i < SIMULATE_PARTS; i++) {
		if (!(fine & 1u << i))
			continue;
		canvas_putf(c, STYLE_DIM, "%s%s", before, simulate_part_text(1u << i));
		before = "; ";
	}
	canvas_put(c, STYLE_DIM, ".");
	canvas_end_line(c);
}

void chances_print(const struct simulated *s, struct canvas *c)
{
	char text[SIMULATE_SENTENCE];

	chances_sentence(s, text);
	canvas_put(c, STYLE_BOLD, text);
	canvas_end_line(c);
	chances_advice(s, text);
	if (text[0]) {
		canvas_put(c, STYLE_WARN, text);
		canvas_end_line(c);
	}
	canvas_end_line(c);
	put_ends(s, c);
	canvas_end_line(c);
	put_spreads(s, c);
	put_fine(s, c);
	put_plot(s, c);
}
