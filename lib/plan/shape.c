#include "plan/shape.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "core/alias.h"
#include "plan/strategy.h"
#include "plan/value.h"

#define DEFAULT_STRATEGY "Canary10Percent5Minutes"

bool shape_is_unwatched(const struct shape *s)
{
	return s->ok && s->n_steps == 0 && s->final_ok && s->final_bake_ms == 0;
}

int64_t shape_bake_ms(const struct shape *s)
{
	int64_t total = s->final_bake_ms;
	for (size_t i = 0; i < s->n_steps; i++)
		total += s->steps[i].bake_ms;
	return total;
}

/* A strategy's steps; reports what is wrong with the name. */
static bool parse_strategy(struct arena *a, const struct field *f, const char *key, struct diags *diags,
			   struct spec_step **ret_steps, size_t *ret_n)
{
	char shown[VALUE_SHOWN], why[96];
	int r = strategy_parse(a, f->text, ret_steps, ret_n, why, sizeof(why));
	if (r == STRATEGY_OK)
		return true;
	require(f->node); /* the default strategy is a good one */
	value_show(f->node, shown);
	if (r == STRATEGY_RANGE)
		diags_add(diags, DIAG_ERROR, AT_VALUE(f->node), "`%s` is %s; %s", key, shown, why);
	else
		diags_add(diags, DIAG_ERROR, AT_VALUE(f->node),
			  "`%s` is %s, which is not known; write one such as Canary10Percent5Minutes, "
			  "Linear10PercentEvery1Minute or AllAtOnce, or use `steps`",
			  key, shown);
	return false;
}

/* The weight of a step against the one before it, which is NULL when there is none that could be read. */
static bool check_weight(const struct field *w, const struct field *before, bool is_last, struct diags *diags)
{
	char weight[16], earlier[16];
	text_format_bp((uint32_t)w->number, weight);
	bool good = true;
	if (before && w->number <= before->number) {
		text_format_bp((uint32_t)before->number, earlier);
		diags_add(diags, DIAG_ERROR, AT_VALUE(w->node),
			  "`weight` is %s, which does not rise above the %s of the step before (line %u)", weight,
			  earlier, before->node->line);
		good = false;
	}
	if (w->number == WEIGHT_BP_MAX && !is_last) {
		diags_add(diags, DIAG_ERROR, AT_VALUE(w->node),
			  "`weight` is 100%%, which may only be the last step; remove the steps after it");
		good = false;
	}
	return good;
}

/* A step before 100 %. */
static bool read_step(const struct record *r, struct diags *diags, struct spec_step *ret)
{
	const struct field *weight = &r->fields[STEP_WEIGHT];
	const struct field *bake = &r->fields[STEP_BAKE];
	const struct field *min_invocations = &r->fields[STEP_MIN_INVOCATIONS];
	const struct field *approve = &r->fields[STEP_APPROVE];
	if (!bake->node && !bake->misspelt) {
		diags_add(diags, DIAG_ERROR, AT_VALUE(r->node),
			  "`bake` is missing in a step; add how long its weight is held, for example `bake: 5m`");
		return false;
	}
	if (bake->node && bake->ok && bake->number == 0) {
		diags_add(diags, DIAG_ERROR, AT_VALUE(bake->node),
			  "`bake` is 0, so nothing could be judged at this weight; give it a time such as 5m, or "
			  "remove the step");
		return false;
	}
	*ret = (struct spec_step){
	    .weight_bp = (uint32_t)weight->number,
	    .bake_ms = bake->number,
	    .min_invocations = (uint64_t)min_invocations->number,
	    .approve = approve->number != 0,
	};
	return weight->ok && bake->ok && min_invocations->ok && approve->ok;
}

/* The step of 100 %, which says what follows the promotion. */
static bool read_final_step(const struct record *r, const struct record *how, struct diags *diags, struct shape *s)
{
	const struct field *bake = &r->fields[STEP_BAKE];
	const struct field *min_invocations = &r->fields[STEP_MIN_INVOCATIONS];
	const struct field *approve = &r->fields[STEP_APPROVE];
	const struct field *final_bake = &how->fields[HOW_FINAL_BAKE];
	bool good = bake->ok && min_invocations->ok && approve->ok;
	if (bake->node && final_bake->node) {
		diags_add(diags, DIAG_ERROR, AT_KEY(final_bake->node),
			  "`final_bake` is given, and so is the bake of the 100%% step (line %u), which is the same; "
			  "remove one of them",
			  bake->node->line);
		good = false;
	}
	if (approve->ok && approve->number) {
		diags_add(diags, DIAG_ERROR, AT_VALUE(approve->node),
			  "nothing is left to approve at 100%%; put `approve` on the step before");
		good = false;
	}
	if (bake->node)
		s->final_bake_ms = bake->number;
	bool no_bake = s->final_bake_ms == 0 && bake->ok && final_bake->ok;
	if (min_invocations->ok && min_invocations->number > 0 && no_bake) {
		diags_add(
		    diags, DIAG_ERROR, AT_VALUE(min_invocations->node),
		    "`min_invocations` at 100%% needs a bake to count them in; give this step a bake such as 15m");
		good = false;
	}
	s->final_min_invocations = (uint64_t)min_invocations->number;
	return good;
}

static bool is_final(const struct record *r, bool is_last)
{
	const struct field *w = &r->fields[STEP_WEIGHT];
	return is_last && w->ok && w->number == WEIGHT_BP_MAX;
}

static bool read_steps(struct arena *a, const struct record *how, struct diags *diags, struct shape *s)
{
	const struct field *list = &how->fields[HOW_STEPS];
	struct spec_step *steps = arena_array(a, list->n_items, sizeof(*steps));
	const struct field *before = NULL;
	bool good = list->ok;
	for (size_t i = 0; i < list->n_items; i++) {
		const struct record *r = &list->items[i];
		const struct field *w = &r->fields[STEP_WEIGHT];
		bool is_last = i + 1 == list->n_items;
		if (w->ok) {
			good &= check_weight(w, before, is_last, diags);
			before = w;
		}
		if (is_final(r, is_last))
			s->final_ok &= read_final_step(r, how, diags, s);
		else
			good &= read_step(r, diags, &steps[s->n_steps++]);
	}
	if (s->n_steps > LIMIT_STEPS) {
		diags_add(diags, DIAG_ERROR, AT_VALUE(list->node), "there are %zu steps below 100%%; the most is %d",
			  s->n_steps, LIMIT_STEPS);
		good = false;
	}
	s->steps = steps;
	return good;
}

/* What follows the promotion has no effect where none is made. */
static void check_ends_home(const struct record *how, const struct field *then, struct diags *diags)
{
	static const size_t later[] = {HOW_FINAL_BAKE, HOW_VERIFY};
	const struct record *hooks = how->fields[HOW_HOOKS].items;
	const struct node *at[array_len(later) + 1] = {0};
	for (size_t i = 0; i < array_len(later); i++)
		at[i] = how->fields[later[i]].node;
	at[array_len(later)] = hooks ? hooks->fields[HOOKS_POST_TRAFFIC].node : NULL;
	for (size_t i = 0; i < array_len(at); i++)
		if (at[i])
			diags_add(
			    diags, DIAG_ERROR, AT_KEY(at[i]),
			    "`%s` has no effect on an experiment that goes back, since the new version never gets all "
			    "traffic; remove it, or write `then: on`%s",
			    at[i]->key, then->node ? "" : " into `experiment`");
}

static void read_experiment(struct arena *a, const struct record *how, struct diags *diags, struct shape *s)
{
	const struct record *r = how->fields[HOW_EXPERIMENT].items;
	struct spec_step *step = arena_alloc(a, sizeof(*step));
	if (!r)
		return;
	const struct field *weight = &r->fields[EXPERIMENT_WEIGHT];
	const struct field *bake = &r->fields[EXPERIMENT_FOR];
	const struct field *then = &r->fields[EXPERIMENT_THEN];
	*step = (struct spec_step){.weight_bp = (uint32_t)weight->number, .bake_ms = bake->number};
	s->steps = step;
	s->n_steps = 1;
	s->ok = weight->ok && bake->ok && then->ok;
	s->experiment = true;
	s->ends_home = then->number == 0;
	if (then->ok && s->ends_home)
		check_ends_home(how, then, diags);
}

static bool steps_equal(const struct spec_step *a, const struct spec_step *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (a[i].weight_bp != b[i].weight_bp || a[i].bake_ms != b[i].bake_ms ||
		    a[i].min_invocations != b[i].min_invocations || a[i].approve != b[i].approve)
			return false;
	return true;
}

/* `from_strategy` changes nothing, so it must at least be true. */
static void check_from_strategy(struct arena *a, const struct record *how, struct diags *diags, struct shape *s)
{
	const struct field *from = &how->fields[HOW_FROM_STRATEGY];
	if (!from->node || !from->ok)
		return;
	struct spec_step *steps;
	size_t n;
	if (!how->fields[HOW_STEPS].node) {
		diags_add(diags, DIAG_ERROR, AT_KEY(from->node),
			  "`from_strategy` only says where `steps` came from; write `strategy` instead");
		return;
	}
	if (!parse_strategy(a, from, "from_strategy", diags, &steps, &n))
		return;
	if (s->ok && (n != s->n_steps || !steps_equal(steps, s->steps, n))) {
		diags_add(diags, DIAG_ERROR, AT_VALUE(from->node),
			  "`from_strategy` says %s, but the steps are different ones; remove it", from->text);
		return;
	}
	s->strategy = from->text;
}

/* `strategy`, `steps` and `experiment` say the same thing in three ways. */
static void check_one_way(const struct record *how, struct diags *diags)
{
	static const size_t ways[] = {HOW_STRATEGY, HOW_STEPS, HOW_EXPERIMENT};
	for (size_t i = 0; i < array_len(ways); i++) {
		for (size_t j = i + 1; j < array_len(ways); j++) {
			const struct node *n = how->fields[ways[i]].node, *other = how->fields[ways[j]].node;
			if (n && other)
				diags_add(diags, DIAG_ERROR, AT_KEY(n),
					  "`%s` and `%s` (line %u) are both given; remove one of them", n->key,
					  other->key, other->key_line);
		}
	}
}

void shape_read(struct arena *a, const struct record *how, struct diags *diags, struct shape *ret)
{
	const struct field *strategy = &how->fields[HOW_STRATEGY];
	const struct field *steps = &how->fields[HOW_STEPS];
	const struct field *final_bake = &how->fields[HOW_FINAL_BAKE];
	struct shape s = {.final_bake_ms = final_bake->number, .final_ok = final_bake->ok};
	struct spec_step *named = NULL;
	check_one_way(how, diags);
	if (strategy->node && strategy->ok) {
		s.ok = parse_strategy(a, strategy, "strategy", diags, &named, &s.n_steps);
		s.steps = named;
		s.strategy = s.ok ? strategy->text : NULL;
	} else if (!strategy->node && !steps->node && !how->fields[HOW_EXPERIMENT].node) {
		struct field f = {.text = DEFAULT_STRATEGY};
		s.ok = parse_strategy(a, &f, "strategy", diags, &named, &s.n_steps);
		s.steps = named;
	}
	if (steps->node) {
		s.n_steps = 0;
		s.ok = read_steps(a, how, diags, &s);
	} else if (!strategy->node) {
		read_experiment(a, how, diags, &s);
	}
	check_from_strategy(a, how, diags, &s);
	*ret = s;
}
