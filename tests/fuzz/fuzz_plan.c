/*
 * Plan files from hostile hands: whatever the bytes are, there is a plan or an error, soon; and the normalised form of
 * a good plan is the same plan.
 */
#include <string.h>

#include "base/text.h"
#include "fuzz.h"
#include "plan/node.h"
#include "plan/plan.h"

/* As the configuration and the world files are read. */
static void parse_nodes(const char *bytes, size_t size)
{
	cleanup(arena_free_p) struct arena *a = arena_new();
	cleanup(diags_deinit) struct diags d = {0};
	const struct node *root = node_parse(a, bytes, size, LIMIT_CONFIG_BYTES, &d);
	require(root || d.errors > 0);
	diags_sort(&d);
	fuzz_check_diags(&d, bytes, size);
}

static void check_round_trip(const struct plan *p)
{
	cleanup(diags_deinit) struct diags d = {0};
	cleanup(plan_free_p) struct plan *q = plan_load(p->normalized, strlen(p->normalized), &d);
	require(q && d.len <= LIMIT_DIAGNOSTICS);
	require(strlen(p->normalized) <= LIMIT_NORMALIZED_BYTES && !strpbrk(p->normalized, "\n\t\x1b"));
	require(strcmp(p->hash, q->hash) == 0);
	require(strcmp(p->normalized, q->normalized) == 0);
	require(p->spec.n_steps == q->spec.n_steps);
	require(p->spec.analysis.n_metrics == q->spec.analysis.n_metrics);
	if (p->kind == PLAN_ROLLOUT)
		spec_require(&p->spec);
	require(p->kind == PLAN_SERVICE || p->spec.analysis.n_metrics > 0);
	require(p->service.n_aliases == q->service.n_aliases && p->service.api.n_stages == q->service.api.n_stages);
}

/* Whatever a service declares, the rollouts that move its aliases are plans like others. */
static void check_children(const struct plan *p)
{
	for (size_t i = 0; i < p->service.n_aliases; i++) {
		cleanup(plan_free_p) struct plan *c = plan_make_child(p, i, 7, NULL, 0);
		require(c && c->spec.n_steps == p->hows[i].spec.n_steps);
		check_round_trip(c);
	}
}

void fuzz_one(const uint8_t *data, size_t size)
{
	const char *bytes = (const char *)data;
	parse_nodes(bytes, size);
	cleanup(diags_deinit) struct diags d = {0};
	cleanup(plan_free_p) struct plan *p = plan_load(bytes, size, &d);
	require((p != NULL) == (d.errors == 0));
	fuzz_check_diags(&d, bytes, size);
	for (size_t i = 1; i < d.len; i++)
		require(d.items[i - 1].line <= d.items[i].line);
	if (p) {
		check_round_trip(p);
		check_children(p);
	}
}
