/* See inspect.h. */
#include "engine/inspect.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "engine/service.h"

struct chain_place inspect_place(const struct inspect *n)
{
	return (struct chain_place){n->plan->account, n->region,
				    n->plan->function_arn ? n->plan->function_arn : n->plan->function};
}

static void unlink_inspect(struct inspect *n)
{
	struct inspect **slot = &n->engine->first_inspect;

	while (*slot != n)
		slot = &(*slot)->next;
	*slot = n->next;
}

static void inspect_free(struct inspect *n)
{
	unlink_inspect(n);
	reconcile_free(n->reconcile);
	doctor_free(n->doctor);
	plan_free(n->plan);
	arena_free(n->arena);
	free(n->region);
	free(n->memory);
	free(n);
}

void inspect_end(struct inspect *n, const char *error, const struct finding *findings, size_t n_findings)
{
	struct inspection told = {
	    .name = n->plan->name,
	    .kind = n->plan->kind == PLAN_SERVICE ? "Service" : "Rollout",
	    .error = error,
	    .changes = &n->changes,
	    .findings = findings,
	    .n_findings = n_findings,
	};

	if (!n->forgotten)
		n->cb(n->arg, &told);
	inspect_free(n);
}

/* --- a rollout's plan as a chain of one alias --- */

static void describe_rollout(struct inspect *n)
{
	static const enum follow follows[] = {
	    [PLAN_VERSION_NUMBER] = FOLLOW_VERSION,
	    [PLAN_VERSION_LATEST] = FOLLOW_NEWEST,
	    [PLAN_VERSION_PUBLISH] = FOLLOW_NEWEST,
	    [PLAN_VERSION_FROM_ALIAS] = FOLLOW_ALIAS,
	};
	const struct plan *p = n->plan;

	n->alias = (struct service_alias){
	    .name = p->alias,
	    .follow = follows[p->version_kind],
	    .version = p->version,
	    .from_alias = p->from_alias,
	    .soak_ms = p->spec.soak_ms,
	    .jump = p->spec.n_steps == 0,
	};
	n->spec = (struct service_spec){
	    .name = p->name,
	    .function = p->function,
	    .code = p->code,
	    .aliases = &n->alias,
	    .n_aliases = 1,
	    .check_every_ms = MS_PER_MINUTE,
	};
}

/* A rollout moves an alias and makes none. */
static void name_missing_alias(struct inspect *n)
{
	for (size_t i = 0; i < n->changes.len && n->plan->kind == PLAN_ROLLOUT; i++) {
		struct change *c = &n->changes.items[i];

		if (c->kind != CHANGE_CREATE_ALIAS)
			continue;
		c->kind = CHANGE_PROBLEM;
		c->to = "";
		c->text = arena_printf(
		    n->arena, "it does not exist: create it on the version that serves now, or keep the function "
			      "with `kind: Service`");
	}
}

/* While AWS works on the code, nothing else was looked at. */
static void name_unsettled(struct inspect *n)
{
	struct change *c = arena_alloc(n->arena, sizeof(*c));

	*c = (struct change){.kind = CHANGE_WAIT,
			     .subject = arena_printf(n->arena, "function %s", n->plan->function),
			     .field = "",
			     .from = "",
			     .to = "",
			     .text = "AWS is making its code ready: ask again when it has"};
	n->changes = (struct change_list){c, 1};
}

static void looked(void *arg, const struct aws_error *error, const char *operation)
{
	struct inspect *n = arg;
	char text[LIMIT_REASON];

	if (n->forgotten) {
		inspect_end(n, NULL, NULL, 0);
		return;
	}
	if (error) {
		aws_error_format(error, operation, text, sizeof(text));
		if (n->what == INSPECT_DOCTOR)
			doctor_tell_error(n, error, text);
		else
			inspect_end(n, text, NULL, 0);
		return;
	}
	if (reconcile_unsettled(n->reconcile)) {
		name_unsettled(n);
	} else {
		reconcile_forecast(n->reconcile, n->arena, &n->changes);
		name_missing_alias(n);
	}
	if (n->what == INSPECT_DOCTOR)
		doctor_start(n);
	else
		inspect_end(n, NULL, NULL, 0);
}

static size_t count(const struct engine *e)
{
	size_t len = 0;

	for (const struct inspect *n = e->first_inspect; n; n = n->next)
		len++;
	return len;
}

/* Why it cannot even be begun; told by the next turn, as nothing calls back before the asker has its ticket. */
static void refused(void *arg)
{
	struct inspect *n = arg;

	n->engine->calls_open--;
	inspect_end(n,
		    n->engine->draining
			? "rolloutd is shutting down"
			: "no region, or an account that rolloutd.yaml does not name: see `account` and "
			  "`region` in the plan",
		    NULL, 0);
}

static void start(struct inspect *n)
{
	struct engine *e = n->engine;
	const char *region = intake_region(e, n->plan);
	struct reconcile_config config;

	n->region = mem_strdup(region ? region : "");
	if (n->region[0] == '\0' || e->draining || !e->config.account_known(e->config.account_ctx, n->plan->account)) {
		e->calls_open++;
		engine_after_commit(e, refused, n);
		return;
	}
	config = (struct reconcile_config){
	    .engine = e,
	    .place = inspect_place(n),
	    .spec = &n->spec,
	    .memory = n->memory,
	    .look_only = true,
	    .aliases = true,
	    .ops = {.done = looked},
	    .arg = n,
	};
	n->reconcile = reconcile_start(&config);
}

uint64_t engine_inspect(struct engine *e, struct plan *plan, enum inspect_what what, inspect_cb cb, void *arg)
{
	const struct service *live = service_find(e, plan->name);
	struct inspect *n;

	if (count(e) >= LIMIT_INSPECTIONS) {
		plan_free(plan);
		return 0;
	}
	n = mem_alloc(sizeof(*n));
	*n = (struct inspect){
	    .engine = e, .ticket = ++e->last_inspect, .what = what, .cb = cb, .arg = arg, .plan = plan};
	n->next = e->first_inspect;
	e->first_inspect = n;
	n->arena = arena_new();
	n->memory = mem_alloc(sizeof(*n->memory));
	if (plan->kind == PLAN_ROLLOUT) {
		describe_rollout(n);
	} else {
		n->spec = plan->service;
		if (live)
			service_copy_memory(live, &n->spec, n->memory);
	}
	start(n);
	e->ports.wake_at(e->ports.ctx, engine_now(e).boot_ms);
	return e->last_inspect;
}

void engine_inspect_forget(struct engine *e, uint64_t ticket)
{
	struct inspect *n = e->first_inspect;

	while (n && n->ticket != ticket)
		n = n->next;
	if (!n)
		return;
	n->forgotten = true;
	/* A call of the doctor's refers to it until it is answered; so does a refusal that waits for its turn. */
	if (n->reconcile && !n->doctor)
		inspect_end(n, NULL, NULL, 0);
}

void inspects_free(struct engine *e)
{
	struct inspect *next;

	for (struct inspect *n = e->first_inspect; n; n = next) {
		next = n->next;
		inspect_free(n);
	}
}
