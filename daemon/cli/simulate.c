/* simulate: what a plan would do to a canary, without daemon, network or AWS. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli.h"
#include "command.h"
#include "plans.h"
#include "progress.h"
#include "span.h"

#define RUNS_DEFAULT 200
#define SEED_DEFAULT 1

/* --- options --- */

/* "20", "2.5/s", "3/m", "10/h": requests a second. */
static int parse_rate(const char *text, double *ret)
{
	static const struct {
		const char *unit;
		double seconds;
	} units[] = {{"", 1}, {"/s", 1}, {"/m", 60}, {"/min", 60}, {"/h", 3600}};
	size_t digits = strspn(text, "0123456789"), len = digits;

	if (digits > 0 && text[digits] == '.')
		len += 1 + strspn(text + digits + 1, "0123456789");
	/* No exponent, no sign, no locale: the one character that strtod could read otherwise is the point. */
	if (digits == 0 || digits > 9 || len > 20 || (len > digits && len == digits + 1))
		return -EINVAL;
	for (size_t i = 0; i < array_len(units); i++) {
		if (strcmp(text + len, units[i].unit) != 0)
			continue;
		*ret = strtod(text, NULL) / units[i].seconds;
		return *ret <= LIMIT_SIMULATE_RPS ? 0 : -ERANGE;
	}
	return -EINVAL;
}

static int take_rps(struct cli *cli, const char *value)
{
	if (parse_rate(value, &cli->simulate.load.rps) == 0) {
		cli->simulate.has_rps = true;
		return EXIT_DONE;
	}
	cli_error(cli, "--rps: expected a rate of requests such as 20, 20/s, 3/m or 10/h, at most %d/s, not '%s'",
		  LIMIT_SIMULATE_RPS, value);
	return EXIT_USAGE;
}

static int take_errors(struct cli *cli, const char *name, const char *value, bool *ret_has, double *ret)
{
	uint32_t ppm;

	if (text_parse_percent_ppm(value, &ppm) == 0) {
		*ret_has = true;
		*ret = ppm / 1e6;
		return EXIT_DONE;
	}
	cli_error(cli, "--%s: expected a percentage of requests such as 0.1%% or 5%%, not '%s'", name, value);
	return EXIT_USAGE;
}

static int take_runs(struct cli *cli, const char *value)
{
	uint64_t v;

	if (text_parse_u64(value, LIMIT_SIMULATE_RUNS, &v) == 0 && v > 0) {
		cli->simulate.runs = (unsigned)v;
		return EXIT_DONE;
	}
	cli_error(cli, "--runs: expected a number from 1 to %d, not '%s'", LIMIT_SIMULATE_RUNS, value);
	return EXIT_USAGE;
}

int simulate_take_option(struct cli *cli, enum simulate_option option, const char *value)
{
	struct simulate_wish *w = &cli->simulate;

	switch (option) {
	case SIMULATE_RPS:
		return take_rps(cli, value);
	case SIMULATE_STABLE_ERRORS:
		return take_errors(cli, "stable-errors", value, &w->has_stable, &w->load.stable_rate);
	case SIMULATE_CANARY_ERRORS:
		return take_errors(cli, "canary-errors", value, &w->has_canary, &w->load.canary_rate);
	case SIMULATE_RUNS:
		return take_runs(cli, value);
	case SIMULATE_SEED:
		w->has_seed = true;
		if (text_parse_u64(value, INT64_MAX, &w->seed) == 0)
			return EXIT_DONE;
		cli_error(cli, "--seed: expected a whole number, not '%s'", value);
		break;
	case SIMULATE_OPTIONS:
		break;
	}
	return EXIT_USAGE;
}

static int check_wish(struct cli *cli)
{
	const struct simulate_wish *w = &cli->simulate;
	const char *missing = !w->has_rps      ? "--rps"
			      : !w->has_stable ? "--stable-errors"
			      : !w->has_canary ? "--canary-errors"
					       : NULL;

	if (!missing)
		return EXIT_DONE;
	cli_error(cli, "simulate: %s is missing", missing);
	command_print_usage(cli->command);
	return EXIT_USAGE;
}

/* --- running --- */

static void simulate_all(const struct simulate_wish *w, struct simulated *s, struct simulate_run *runs)
{
	struct progress progress = progress_begin(s->plan->name, "rollouts");

	for (unsigned i = 0; i < w->runs; i++) {
		simulate_run(s->plan, &w->load, simulate_seed(w->seed, i), &runs[i]);
		progress_tell(&progress, i + 1, w->runs);
	}
	progress_end(&progress);
	s->runs = runs;
	simulate_summarise(runs, w->runs, &s->summary);
}

/* --- JSON --- */

static json_t *spread_form(const struct simulate_spread *s)
{
	if (s->n == 0)
		return json_null();
	return json_pack("{s:I, s:I, s:I}", "p10", (json_int_t)s->p10, "p50", (json_int_t)s->p50, "p90",
			 (json_int_t)s->p90);
}

static json_t *bars_form(const struct simulated *s)
{
	struct simulate_bar bars[SIMULATE_BARS_MAX];
	size_t n = chances_bars(s, bars);
	json_t *a = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(a, json_pack("{s:I, s:I}", "until_ms", (json_int_t)bars[i].until_ms, "rollouts",
						   (json_int_t)bars[i].runs));
	return a;
}

static json_t *fine_form(const struct simulated *s)
{
	unsigned fine = simulate_fine(s->plan);
	json_t *a = json_array();

	for (unsigned i = 0; i < SIMULATE_PARTS; i++)
		if (fine & 1u << i)
			json_array_append_new(a, json_string(simulate_part_text(1u << i)));
	return a;
}

/* What those that came to their end have told. */
static json_t *found_form(const struct simulated *s)
{
	json_t *j = json_object();

	if (!s->plan->spec.experiment) {
		json_decref(j);
		return json_null();
	}
	for (size_t i = 0; i < EXPERIMENT_FINDINGS; i++)
		json_object_set_new(j, experiment_finding_name((enum experiment_finding)i),
				    json_integer((json_int_t)s->summary.found[i]));
	return j;
}

static json_t *simulated_form(const struct simulated *s)
{
	const struct simulate_summary *m = &s->summary;
	json_t *j = json_object(), *ends = json_object();
	char text[SIMULATE_SENTENCE];

	json_object_set_new(j, "name", json_string(s->plan->name));
	for (size_t i = 0; i < SIMULATE_ENDS; i++)
		json_object_set_new(ends, simulate_end_name((enum simulate_end)i),
				    json_integer((json_int_t)m->ends[i]));
	json_object_set_new(j, "ends", ends);
	json_object_set_new(j, "experiment_found", found_form(s));
	json_object_set_new(j, "until_back_ms", spread_form(&m->back_ms));
	json_object_set_new(j, "until_back_failed_requests", spread_form(&m->back_failed));
	json_object_set_new(j, "success_ms", spread_form(&m->through_ms));
	json_object_set_new(j, "failed_requests", spread_form(&m->failed));
	json_object_set_new(j, "failed_share", json_real(m->failed_share));
	json_object_set_new(j, "back_within", bars_form(s));
	json_object_set_new(j, "taken_as_fine", fine_form(s));
	chances_sentence(s, text);
	json_object_set_new(j, "summary", json_string(text));
	chances_advice(s, text);
	json_object_set_new(j, "advice", json_string(text));
	return j;
}

static json_t *wish_form(const struct simulate_wish *w, json_t *rollouts)
{
	json_t *j = json_object();

	json_object_set_new(j, "requests_per_second", json_real(w->load.rps));
	json_object_set_new(j, "stable_error_rate", json_real(w->load.stable_rate));
	json_object_set_new(j, "canary_error_rate", json_real(w->load.canary_rate));
	json_object_set_new(j, "runs", json_integer(w->runs));
	json_object_set_new(j, "seed", json_integer((json_int_t)w->seed));
	json_object_set_new(j, "rollouts", rollouts);
	return j;
}

/* --- the command --- */

struct output {
	struct cli *cli;
	struct canvas canvas;
	json_t *rollouts; /* with -o json */
	struct simulate_run *runs;
};

static void put_head(const struct simulate_wish *w, const char *name, struct canvas *c)
{
	canvas_putf(c, STYLE_DIM, "%s: %u %s simulated, seed %ju; %s%g%% of the stable version's requests fail", name,
		    w->runs, w->runs == 1 ? "rollout" : "rollouts", (uintmax_t)w->seed, "", w->load.stable_rate * 100);
	canvas_end_line(c);
}

static void simulate_plan(struct output *o, const struct plan *p)
{
	struct simulate_wish *w = &o->cli->simulate;
	struct simulated s = {.plan = p, .load = &w->load};

	simulate_all(w, &s, o->runs);
	if (o->rollouts) {
		json_array_append_new(o->rollouts, simulated_form(&s));
		return;
	}
	if (o->canvas.out->len > 0)
		canvas_end_line(&o->canvas);
	put_head(w, p->name, &o->canvas);
	chances_print(&s, &o->canvas);
}

/* Each alias that moves by rollouts. Returns how many. */
static size_t simulate_service(struct output *o, const struct plan *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->service.n_aliases; i++) {
		struct plan *child = NULL;

		if (p->service.aliases[i].follow != FOLLOW_HEAD)
			child = plan_make_child(p, i, 1, NULL, 0);
		if (child && (child->spec.n_steps > 0 || child->spec.final_bake_ms > 0)) {
			simulate_plan(o, child);
			n++;
		}
		plan_free(child);
	}
	return n;
}

static int simulate_loaded(struct cli *cli, const struct plan *p)
{
	struct buf out = BUF_INIT(LIMIT_CONTROL_ANSWER_BYTES);
	struct output o = {.cli = cli,
			   .canvas = {.screen = &cli->screen, .out = &out},
			   .rollouts = cli->json ? json_array() : NULL,
			   .runs = mem_array(cli->simulate.runs, sizeof(*o.runs))};
	int rc = EXIT_DONE;

	if (p->kind == PLAN_ROLLOUT) {
		simulate_plan(&o, p);
	} else if (simulate_service(&o, p) == 0) {
		cli_error(cli, "%s: no alias of this service moves in steps: there is nothing to simulate", p->name);
		rc = EXIT_REFUSED;
	}
	if (o.rollouts && rc == EXIT_DONE) {
		json_t *all = wish_form(&cli->simulate, take_ptr(o.rollouts));

		cli_write_json(cli, all);
		json_decref(all);
	}
	json_decref(o.rollouts);
	cli_write(&out);
	buf_deinit(&out);
	free(o.runs);
	return rc;
}

int command_simulate(struct cli *cli)
{
	struct plan *plan cleanup(plan_free_p) = NULL;
	int rc = check_wish(cli);

	if (rc == EXIT_DONE)
		rc = plans_load(cli, cli->args[0], true, &plan);
	if (rc != EXIT_DONE)
		return rc;
	if (cli->simulate.runs == 0)
		cli->simulate.runs = RUNS_DEFAULT;
	if (!cli->simulate.has_seed)
		cli->simulate.seed = SEED_DEFAULT;
	return simulate_loaded(cli, plan);
}
