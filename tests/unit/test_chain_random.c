/*
 * Any chain that can be mended becomes as declared: random files, random states of AWS, and a crash at each change,
 * with the request lost before or after it took effect. The rig checks each change by itself (nothing twice, nobody
 * shut out); here the end is checked, that it is reached, and that it is the same whatever was interrupted.
 *
 * ROLLOUT_SEED runs one seed alone; ROLLOUT_SEEDS sets how many are run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/prng.h"
#include "base/text.h"
#include "chain_rig.h"

#define SEEDS	  1500
#define CALLS_MAX 120

#define set_text(out, s) assert_true(text_copy(out, sizeof(out), s))

struct run {
	struct chain_rig g;
	struct prng prng;
	uint64_t seed;
};

static bool chance(struct run *x, unsigned percent)
{
	return prng_below(&x->prng, 100) < percent;
}

#define check(x, cond)                                                                                                 \
	do {                                                                                                           \
		if (!(cond))                                                                                           \
			fail_msg("seed %llu: %s:\n%s", (unsigned long long)(x)->seed, #cond, chain_rig_text(&(x)->g)); \
	} while (0)

/* --- what is declared --- */

static void draw_aliases(struct run *x)
{
	struct chain_rig *g = &x->g;

	for (size_t n = 0; n < 3; n++) {
		struct service_alias *a = &g->aliases[n];
		a->jump = true; /* else one that holds $LATEST is a problem */
		a->follow = (enum follow)prng_below(&x->prng, 3);
		a->version = 1 + prng_below(&x->prng, g->n_versions ? g->n_versions : 1);
		if (n == 2 && chance(x, 30)) {
			g->aliases[1].follow = FOLLOW_VERSION;
			*a = (struct service_alias){.name = a->name,
						    .follow = FOLLOW_ALIAS,
						    .from_alias = "test",
						    .soak_ms = 1000,
						    .jump = true};
		}
	}
}

static void draw_api(struct run *x)
{
	static const struct service_route all[] = {
	    {"GET", "/hello"}, {"POST", "/hello"}, {"ANY", "/a/b/{proxy+}"}, {"GET", "/"}, {"GET", "/a"},
	};
	struct chain_rig *g = &x->g;

	g->spec.api.type = (enum api_type)prng_below(&x->prng, 3);
	g->spec.api.n_routes = 0;
	for (size_t n = 0; n < array_len(all); n++) {
		if (chance(x, 60) || (n == 4 && g->spec.api.n_routes == 0))
			g->routes[g->spec.api.n_routes++] = all[n];
	}
	for (size_t n = 0; n < 3; n++)
		g->stages[n].alias = prng_below(&x->prng, 3);
	g->spec.api.n_stages = 1 + prng_below(&x->prng, 3);
}

/* --- what AWS has: made as declared by another file, then taken apart --- */

static void damage_alias(struct run *x, struct chain_rig_alias *a)
{
	struct chain_rig *g = &x->g;

	if (a->n_statements > 0 && chance(x, 40)) {
		struct chain_rig_statement *s = &a->statements[prng_below(&x->prng, a->n_statements)];
		switch (prng_below(&x->prng, 4)) {
		case 0:
			set_text(s->account, "999999999999");
			break;
		case 1:
			set_text(s->sid, "by-hand");
			break;
		case 2:
			s->invokes = false;
			break;
		default:
			*s = a->statements[--a->n_statements];
		}
	}
	if (chance(x, 20))
		a->view.target.version = g->n_versions > 0 ? prng_below(&x->prng, g->n_versions + 1) : VERSION_LATEST;
	if (chance(x, 20))
		*a = g->alias[--g->n_alias];
}

static void damage_stage(struct run *x, struct chain_rig_stage *s)
{
	struct chain_rig *g = &x->g;

	if (chance(x, 20))
		s->n_variables = 0;
	else if (chance(x, 20))
		set_text(s->variables[0][1], "dev");
	if (!s->auto_deploy && chance(x, 20))
		set_text(s->deployment, chance(x, 50) ? "" : "gone");
	if (chance(x, 15))
		*s = g->stage[--g->n_stage];
}

static void damage_routes(struct run *x)
{
	struct chain_rig *g = &x->g;
	size_t n = prng_below(&x->prng, g->n_method);

	if (g->spec.api.type == API_HTTP && chance(x, 50)) {
		set_text(g->method[n].integration, "other");
	} else if (chance(x, 50)) {
		set_text(g->method[n].uri, "arn:elsewhere");
		if (g->spec.api.type == API_HTTP)
			set_text(g->method[n].integration, "");
	} else {
		g->method[n] = g->method[--g->n_method];
	}
}

static void damage(struct run *x)
{
	struct chain_rig *g = &x->g;

	for (size_t n = g->n_alias; n-- > 0;)
		damage_alias(x, &g->alias[n]);
	for (size_t n = g->n_stage; n-- > 0;)
		damage_stage(x, &g->stage[n]);
	if (g->n_method > 0 && chance(x, 40))
		damage_routes(x);
	if (chance(x, 10)) {
		g->api_found = false;
		g->n_same_name = 0;
	}
	if (chance(x, 40))
		set_text(g->latest.code_sha256, "sha-by-hand");
	if (chance(x, 20))
		set_text(g->latest.config_digest, "by-hand");
	if (chance(x, 30))
		chain_rig_add_version(g, "sha-by-hand");
	if (chance(x, 30))
		g->memory = (struct chain_memory){0}; /* another service, or a record that was lost */
	chain_rig_insist(g);			      /* so that drift is moved, too */
}

/* Calls, rollouts and waits until nothing is left. `crash`: the change that is interrupted; beyond the last: none. */
static unsigned run_to_end(struct run *x, unsigned crash, enum chain_rig_fate fate)
{
	struct chain_rig *g = &x->g;
	unsigned made = 0;

	chain_rig_ask(g);
	for (unsigned turn = 0; g->list.len > 0; turn++) {
		check(x, turn < CALLS_MAX);
		const struct change *c = chain_rig_next(g);
		if (!c) {
			/* Only time helps now, or that an operator asks again: nothing is beyond mending. */
			const struct change *first = &g->list.items[0];
			check(x, first->kind == CHANGE_WAIT || strstr(first->text, "rolloutctl retry"));
			if (first->kind == CHANGE_PROBLEM)
				chain_rig_insist(g);
			g->now_unix_ms += 1000;
			chain_rig_ask(g);
			continue;
		}
		enum chain_rig_fate now = made++ == crash ? fate : CHAIN_RIG_OK;
		bool anew = now != CHAIN_RIG_OK || c->kind == CHANGE_ROLLOUT || chance(x, 20);
		chain_rig_make(g, c, now);
		g->now_unix_ms++; /* no two deployments are asked for at the same time */
		if (!anew) {
			/* What the answer was let into shows what a look shows. */
			chain_rig_diff(g);
			char *kept = mem_strdup(chain_rig_text(g));
			if (!g->slow) {
				chain_rig_look(g);
				chain_rig_diff(g);
				if (strcmp(kept, chain_rig_text(g)) != 0)
					print_error("by the answer:\n%s", kept);
				check(x, strcmp(kept, chain_rig_text(g)) == 0);
			}
			free(kept);
		} else {
			chain_rig_ask(g);
		}
	}
	return made;
}

/* --- the end --- */

static void check_aliases(struct run *x)
{
	struct chain_rig *g = &x->g;

	for (size_t n = 0; n < g->spec.n_aliases; n++) {
		const struct service_alias *s = &g->aliases[n];
		const struct chain_rig_alias *a = chain_rig_alias(g, s->name);
		check(x, a && a->view.target.weight_bp == 0);
		uint64_t expected = s->version;
		if (s->follow == FOLLOW_HEAD)
			expected = VERSION_LATEST;
		else if (s->follow == FOLLOW_NEWEST)
			expected = g->versions[g->n_versions - 1].number;
		else if (s->follow == FOLLOW_ALIAS)
			expected = chain_rig_alias(g, s->from_alias)->view.target.version;
		check(x, a->view.target.version == expected);
	}
	check(x, strcmp(g->latest.code_sha256, g->code_sha256) == 0);
	check(x, strcmp(g->versions[g->n_versions - 1].code_sha256, g->code_sha256) == 0);
}

static void check_stage(struct run *x, size_t n)
{
	struct chain_rig *g = &x->g;
	const struct chain_rig_stage *s = chain_rig_stage(g, g->stages[n].name);

	check(x, s && s->n_variables > 0);
	check(x, strcmp(s->variables[0][1], g->aliases[g->stages[n].alias].name) == 0);
	if (s->auto_deploy)
		return;
	size_t served = 0;
	for (size_t k = 0; k < g->n_deployment; k++) {
		const struct chain_rig_deployment *d = &g->deployment[k];
		for (size_t r = 0; strcmp(d->id, s->deployment) == 0 && r < g->spec.api.n_routes; r++) {
			char key[256];
			snprintf(key, sizeof(key), "%s %s", g->routes[r].method, g->routes[r].path);
			for (size_t i = 0; i < d->n_routes; i++)
				served += strcmp(d->routes[i], key) == 0;
		}
	}
	check(x, served == g->spec.api.n_routes);
}

static void check_end(struct run *x)
{
	struct chain_rig *g = &x->g;

	chain_rig_ask(g); /* what was made is looked at once more */
	check(x, g->list.len == 0);
	check(x, g->function_found);
	check_aliases(x);
	check(x, !g->memory.insist && !g->memory.deploy);
	if (g->spec.api.type == API_NONE)
		return;
	check(x, g->api_found && g->n_same_name == 1);
	for (size_t n = 0; n < g->spec.api.n_stages; n++)
		check_stage(x, n);
	/* One integration for all routes of an HTTP API, if it had none of ours to begin with. */
	for (size_t a = 0; a < g->n_integration; a++) {
		for (size_t b = 0; b < a; b++)
			check(x, strcmp(g->integration[a].uri, g->integration[b].uri) != 0);
	}
}

/* What the end is, but for ids. */
static char *describe(struct chain_rig *g)
{
	cleanup(buf_deinit) struct buf b = BUF_INIT(1 << 16);

	buf_addf(&b, "%s %zu versions\n", g->latest.code_sha256, g->n_versions);
	for (size_t n = 0; n < g->spec.n_aliases; n++) {
		const struct chain_rig_alias *a = chain_rig_alias(g, g->aliases[n].name);
		buf_addf(&b, "%s %llu %zu\n", a->name, (unsigned long long)a->view.target.version, a->n_statements);
	}
	buf_addf(&b, "%zu resources %zu methods %zu integrations %zu stages\n", g->n_resource, g->n_method,
		 g->n_integration, g->n_stage);
	return buf_take(&b);
}

/* --- the walk --- */

static void begin(struct run *x, uint64_t seed)
{
	*x = (struct run){.seed = seed};
	prng_init(&x->prng, seed);
	struct chain_rig *g = &x->g;
	chain_rig_init(g);
	g->slow = chance(x, 30);
	if (chance(x, 30)) {
		g->function_found = false;
		g->latest = (struct view_version){0};
		g->n_versions = 0;
		g->next_version = 1;
		g->spec.create.role = "arn:aws:iam::123456789012:role/run";
	}
	draw_aliases(x);
	draw_api(x);
	if (chance(x, 60)) {
		run_to_end(x, UINT32_MAX, CHAIN_RIG_OK);
		damage(x);
		if (chance(x, 50))
			set_text(g->code_sha256, "sha-new");
		struct service_api before = g->spec.api;
		draw_aliases(x);
		draw_api(x);
		g->spec.api.type = before.type; /* an API of the other type would be another API */
		/* A stage that is not declared any more, deploys by itself and has no variable is rightly a problem. */
		if (before.type == API_HTTP)
			g->spec.api.n_stages = before.n_stages;
	}
}

static unsigned walk(uint64_t seed, unsigned crash, enum chain_rig_fate fate, char **ret_end)
{
	struct run *x = mem_alloc(sizeof(*x));

	begin(x, seed);
	prng_init(&x->prng, seed + 1); /* the same from here on, crash or not */
	unsigned made = run_to_end(x, crash, fate);
	check_end(x);
	check(x, chain_rig_run(&x->g) == 0); /* a second run makes no change at all */
	*ret_end = describe(&x->g);
	chain_rig_deinit(&x->g);
	free(x);
	return made;
}

static void one_seed(uint64_t seed, bool all)
{
	char *plain;
	unsigned calls = walk(seed, UINT32_MAX, CHAIN_RIG_OK, &plain);

	for (unsigned n = all ? 0 : (unsigned)(seed % (calls + 1)); n < calls; n++) {
		for (enum chain_rig_fate fate = CHAIN_RIG_LOST_BEFORE; fate <= CHAIN_RIG_LOST_AFTER; fate++) {
			char *end;
			(void)walk(seed, n, fate, &end);
			if (strcmp(plain, end) != 0)
				fail_msg("seed %llu, change %u lost %s:\n%s\ninstead of\n%s", (unsigned long long)seed,
					 n, fate == CHAIN_RIG_LOST_BEFORE ? "before" : "after", end, plain);
			free(end);
		}
		if (!all)
			break;
	}
	free(plain);
}

static void test_random(void **state)
{
	(void)state;
	const char *one = getenv("ROLLOUT_SEED");
	const char *many = getenv("ROLLOUT_SEEDS");
	unsigned seeds = many ? (unsigned)strtoul(many, NULL, 10) : SEEDS;

	if (one) {
		one_seed(strtoull(one, NULL, 10), true);
		return;
	}
	for (unsigned n = 1; n <= seeds; n++)
		one_seed(n, n % 20 == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_random)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
