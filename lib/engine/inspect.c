/* See inspect.h. */
#include "engine/inspect.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "engine/service.h"

#define SHUTTING_DOWN "rolloutd is shutting down"
#define FINDING_SIZE  2048 /* an ARN, and a source's whole sentence */

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
	free(n->accounts);
	free(n->findings);
	free(n);
}

void inspect_end(struct inspect *n, const char *error)
{
	struct inspection told = {
	    .name = n->plan ? n->plan->name : "",
	    .kind = !n->plan			    ? ""
		    : n->plan->kind == PLAN_SERVICE ? "Service"
						    : "Rollout",
	    .error = error,
	    .changes = &n->changes,
	    .findings = n->findings,
	    .n_findings = n->n_findings,
	    .accounts = n->accounts,
	    .n_accounts = n->n_accounts,
	};

	if (!n->forgotten)
		n->cb(n->arg, &told);
	inspect_free(n);
}

void inspect_find(struct inspect *n, enum finding_level level, const char *subject, const char *cure, const char *fmt,
		  ...)
{
	char text[FINDING_SIZE];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	n->findings = mem_grow(n->findings, &n->cap_findings, n->n_findings + 1, sizeof(*n->findings));
	n->findings[n->n_findings++] = (struct finding){level, arena_strdup(n->arena, subject),
							arena_strdup(n->arena, text), arena_strdup(n->arena, cure)};
}

bool inspect_goes_on(struct inspect *n)
{
	n->engine->calls_open--;
	n->calls--;
	if (!n->forgotten && !n->engine->draining)
		return true;
	if (n->calls == 0)
		inspect_end(n, SHUTTING_DOWN);
	return false;
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
		inspect_end(n, NULL);
		return;
	}
	if (error) {
		aws_error_format(error, operation, text, sizeof(text));
		if (n->what == INSPECT_DOCTOR)
			doctor_tell_error(n, error, text);
		else
			inspect_end(n, text);
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
		inspect_end(n, NULL);
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
	inspect_end(n, n->engine->draining ? SHUTTING_DOWN
					   : "no region, or an account that rolloutd.yaml does not name: see `account` "
					     "and `region` in the plan");
}

static void refuse(struct inspect *n)
{
	n->engine->calls_open++;
	engine_after_commit(n->engine, refused, n);
}

static void compare(struct inspect *n)
{
	struct reconcile_config config = {
	    .engine = n->engine,
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

void inspect_identified(struct inspect *n, bool usable)
{
	if (n->plan && usable) {
		compare(n);
		return;
	}
	doctor_judge_clock(n);
	inspect_end(n, NULL);
}

static void add_account(struct inspect *n, const char *name, const char *region)
{
	size_t cap = n->n_accounts;

	n->accounts = mem_grow(n->accounts, &cap, n->n_accounts + 1, sizeof(*n->accounts));
	n->accounts[n->n_accounts++] = (struct view_account){
	    .name = arena_strdup(n->arena, name),
	    .region = arena_strdup(n->arena, region),
	    .source = "",
	    .arn = "",
	    .account_id = "",
	};
}

static void start(struct inspect *n)
{
	struct engine *e = n->engine;
	char why[LIMIT_REASON];

	/* Nothing is recorded, and the account's first call will say what is wrong. */
	if (intake_region(e, n->plan, &n->region, why, sizeof(why)) != 0)
		n->region = mem_strdup(e->config.region);
	if (!n->region)
		n->region = mem_strdup("");
	if (n->region[0] == '\0' || e->draining || !e->config.account_known(e->config.account_ctx, n->plan->account)) {
		refuse(n);
	} else if (n->what == INSPECT_DOCTOR) {
		add_account(n, n->plan->account, n->region);
		identify_accounts(n);
	} else {
		compare(n);
	}
}

/* NULL: there are too many. */
static struct inspect *begin(struct engine *e, struct plan *plan, enum inspect_what what, inspect_cb cb, void *arg)
{
	struct inspect *n;

	if (count(e) >= LIMIT_INSPECTIONS) {
		plan_free(plan);
		return NULL;
	}
	n = mem_alloc(sizeof(*n));
	*n = (struct inspect){
	    .engine = e, .ticket = ++e->last_inspect, .what = what, .cb = cb, .arg = arg, .plan = plan};
	n->next = e->first_inspect;
	e->first_inspect = n;
	n->arena = arena_new();
	n->memory = mem_alloc(sizeof(*n->memory));
	e->ports.wake_at(e->ports.ctx, engine_now(e).boot_ms);
	return n;
}

uint64_t engine_inspect(struct engine *e, struct plan *plan, enum inspect_what what, inspect_cb cb, void *arg)
{
	const struct service *live = service_find(e, plan->name);
	struct inspect *n = begin(e, plan, what, cb, arg);

	if (!n)
		return 0;
	if (plan->kind == PLAN_ROLLOUT) {
		describe_rollout(n);
	} else {
		n->spec = plan->service;
		if (live)
			service_copy_memory(live, &n->spec, n->memory);
	}
	start(n);
	return n->ticket;
}

uint64_t engine_inspect_accounts(struct engine *e, inspect_cb cb, void *arg)
{
	struct inspect *n = begin(e, NULL, INSPECT_DOCTOR, cb, arg);
	const char *name;
	char why[LIMIT_REASON];

	if (!n)
		return 0;
	for (size_t i = 0; (name = e->config.account_name(e->config.account_ctx, i)); i++) {
		const char *region = NULL;

		/* The account's first call will say what is wrong. */
		if (e->config.account_region(e->config.account_ctx, name, &region, why, sizeof(why)) != 0)
			region = NULL;
		add_account(n, name, region ? region : e->config.region);
	}
	if (e->draining || n->n_accounts == 0)
		refuse(n);
	else
		identify_accounts(n);
	return n->ticket;
}

void engine_inspect_forget(struct engine *e, uint64_t ticket)
{
	struct inspect *n = e->first_inspect;

	while (n && n->ticket != ticket)
		n = n->next;
	if (!n)
		return;
	n->forgotten = true;
	/* Calls refer to it until they are answered; so does a refusal that waits for its turn. */
	if (n->reconcile && n->calls == 0)
		inspect_end(n, NULL);
}

void inspects_free(struct engine *e)
{
	struct inspect *next;

	for (struct inspect *n = e->first_inspect; n; n = next) {
		next = n->next;
		n->forgotten = true;
		if (n->calls == 0) /* the answers end the others, which the dispatcher's end gives them */
			inspect_free(n);
	}
}
