/*
 * Bringing a chain to what is declared, one change at a time. See chain.h for the way of it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "aws/apigateway.h"
#include "aws/lambda_chain.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/chain.h"

/* Looking again after changes must find nothing left to do; if it does each time, somebody works against us. */
#define ROUNDS_MAX 5

struct reconcile {
	struct reconcile_config config;
	bool freed;	  /* by its owner; what is under way still refers to it */
	unsigned pending; /* what is under way: a file, a look, a call, a wait for the disk */
	struct observation *observation;
	struct chain_view view;
	bool viewed;
	struct arena *arena; /* of the changes */
	struct change_list changes;
	const struct change *change; /* that is being made */
	char *zip_base64;
	char code_sha256[SHA256_BASE64_SIZE];
	char code_problem[LIMIT_REASON];
	unsigned rounds;
	bool changed; /* since the last look */
	bool unsettled;
	char **made; /* what AWS has said yes to, by its text: not asked for twice */
	size_t n_made, cap_made;
	bool calling; /* a change is on its way */
	/* Of one whose owner is gone while a change is on its way: where that is. Nobody looks there before it
	 * is answered. */
	char *loose_key;
	struct reconcile *next_loose;
	/* What AWS will say no to again, by its text, and the first no. Everything else goes on without it. */
	char **refused;
	size_t n_refused, cap_refused;
	struct aws_error refusal;
	const char *refused_operation;
};

static void look(struct reconcile *r);
static void step(struct reconcile *r);

static char *place_key(const struct chain_place *p)
{
	return mem_printf("%s/%s/%s", p->account, p->region, p->function);
}

static void let_loose(struct reconcile *r)
{
	r->loose_key = place_key(&r->config.place);
	r->next_loose = r->config.engine->first_loose;
	r->config.engine->first_loose = r;
}

static void catch_loose(struct reconcile *r)
{
	struct reconcile **slot = &r->config.engine->first_loose;

	while (*slot != r)
		slot = &(*slot)->next_loose;
	*slot = r->next_loose;
	free(take_ptr(r->loose_key));
}

bool reconcile_is_loose(const struct engine *e, const struct chain_place *place)
{
	char *key cleanup(mem_free_p) = place_key(place);

	for (const struct reconcile *r = e->first_loose; r; r = r->next_loose) {
		if (strcmp(r->loose_key, key) == 0)
			return true;
	}
	return false;
}

static void release(struct reconcile *r)
{
	if (!r->freed || r->pending > 0)
		return;
	if (r->loose_key)
		catch_loose(r);
	chain_view_deinit(&r->view);
	arena_free(r->arena);
	for (size_t n = 0; n < r->n_made; n++)
		free(r->made[n]);
	free(r->made);
	free(r->zip_base64);
	for (size_t n = 0; n < r->n_refused; n++)
		free(r->refused[n]);
	free(r->refused);
	free(r);
}

static void begin(struct reconcile *r)
{
	r->pending++;
	r->config.engine->calls_open++;
}

/* What was under way has ended. False: the owner is gone, and now the reconcile is, too. */
static bool finish(struct reconcile *r)
{
	r->pending--;
	r->config.engine->calls_open--;
	if (!r->freed)
		return true;
	release(r);
	return false;
}

static void done(struct reconcile *r, const struct aws_error *error, const char *operation)
{
	r->config.ops.done(r->config.arg, error, operation);
}

static void fail(struct reconcile *r, enum aws_error_class class, const char *why, const char *operation)
{
	struct aws_error e;

	aws_error_transport(class, why, &e);
	done(r, &e, operation);
}

static bool is_stopping(struct reconcile *r)
{
	const struct engine *e = r->config.engine;

	return e->draining || e->fenced;
}

/* --- making a change --- */

static const char *alias_of(const struct reconcile *r)
{
	return r->config.spec->aliases[r->change->index].name;
}

static const char *stage_alias(const struct reconcile *r)
{
	const struct service_spec *s = r->config.spec;

	return s->aliases[s->api.stages[r->change->index].alias].name;
}

static int build_lambda(struct reconcile *r, struct arena *a, const struct aws_endpoint *e, struct http_request *ret)
{
	const struct service_spec *s = r->config.spec;
	const struct change *c = r->change;
	const char *function = r->config.place.function;
	struct alias_target target = {.version = c->version};

	switch (c->kind) {
	case CHANGE_CREATE_FUNCTION:
		return lambda_build_create_function(a, e, function, &s->create, &s->code, r->zip_base64, ret);
	case CHANGE_UPDATE_CODE:
		return lambda_build_update_code(a, e, function, &s->code, r->zip_base64,
						r->view.revision[0] ? r->view.revision : NULL, ret);
	case CHANGE_PUBLISH_VERSION:
		lambda_build_publish_version(a, e, function, c->key, s->code.description, ret);
		return 0;
	case CHANGE_CREATE_ALIAS:
		lambda_build_create_alias(a, e, function, alias_of(r), c->version, ret);
		return 0;
	case CHANGE_MOVE_ALIAS:
		lambda_build_update_alias(a, e, function, alias_of(r), &target,
					  chain_view_alias(&r->view, alias_of(r))->view.revision, NULL, ret);
		return 0;
	case CHANGE_ADD_PERMISSION:
		lambda_build_add_permission(a, e, function, stage_alias(r), c->key,
					    chain_source_arn(a, &r->view, s->api.stages[c->index].name),
					    r->view.account_id, ret);
		return 0;
	case CHANGE_REMOVE_PERMISSION:
		lambda_build_remove_permission(a, e, function, alias_of(r), c->key, ret);
		return 0;
	default:
		lambda_build_delete_version(a, e, function, c->version, ret);
		return 0;
	}
}

static bool is_api_change(enum change_kind k)
{
	return k == CHANGE_CREATE_API || (k >= CHANGE_CREATE_RESOURCE && k <= CHANGE_UPDATE_STAGE);
}

static int build(void *arg, struct arena *a, const struct aws_endpoint *e, struct http_request *ret)
{
	struct reconcile *r = arg;

	if (r->freed)
		return -ECANCELED;
	chain_remember_sent(r->change, engine_now(r->config.engine).unix_ms, r->config.memory);
	if (!is_api_change(r->change->kind))
		return build_lambda(r, a, e, ret);
	apigateway_build_change(a, e, r->config.spec, &r->view, r->change, ret);
	return 0;
}

static enum engine_operation operation(enum change_kind k)
{
	static const enum engine_operation operations[] = {
	    [CHANGE_CREATE_FUNCTION] = OPERATION_CREATE_FUNCTION,
	    [CHANGE_UPDATE_CODE] = OPERATION_UPDATE_FUNCTION_CODE,
	    [CHANGE_PUBLISH_VERSION] = OPERATION_PUBLISH_VERSION,
	    [CHANGE_CREATE_ALIAS] = OPERATION_CREATE_ALIAS,
	    [CHANGE_MOVE_ALIAS] = OPERATION_UPDATE_ALIAS,
	    [CHANGE_CREATE_API] = OPERATION_CREATE_API,
	    [CHANGE_ADD_PERMISSION] = OPERATION_ADD_PERMISSION,
	    [CHANGE_CREATE_RESOURCE] = OPERATION_CREATE_RESOURCE,
	    [CHANGE_PUT_METHOD] = OPERATION_PUT_METHOD,
	    [CHANGE_PUT_INTEGRATION] = OPERATION_PUT_INTEGRATION,
	    [CHANGE_CREATE_INTEGRATION] = OPERATION_CREATE_INTEGRATION,
	    [CHANGE_CREATE_ROUTE] = OPERATION_CREATE_ROUTE,
	    [CHANGE_UPDATE_ROUTE] = OPERATION_UPDATE_ROUTE,
	    [CHANGE_CREATE_DEPLOYMENT] = OPERATION_CREATE_DEPLOYMENT,
	    [CHANGE_CREATE_STAGE] = OPERATION_CREATE_STAGE,
	    [CHANGE_UPDATE_STAGE] = OPERATION_UPDATE_STAGE,
	    [CHANGE_REMOVE_PERMISSION] = OPERATION_REMOVE_PERMISSION,
	    [CHANGE_DELETE_VERSION] = OPERATION_DELETE_FUNCTION,
	};

	return operations[k];
}

/* What an answer says that the next changes need. Returns 0, or 1 with the problem. */
static int parse(struct reconcile *r, const struct http_response *response, struct change_answer *ret,
		 char ids[2][API_ID_SIZE], struct aws_error *problem)
{
	enum change_kind kind = r->change->kind;

	switch (kind) {
	case CHANGE_CREATE_FUNCTION: /* tells the account, too: a configuration of its own shape would lose that */
	case CHANGE_UPDATE_CODE:
	case CHANGE_PUBLISH_VERSION:
		return lambda_parse_configuration(response, &ret->version, problem);
	case CHANGE_CREATE_ALIAS:
	case CHANGE_MOVE_ALIAS:
		return lambda_parse_alias(response, &ret->alias, problem);
	case CHANGE_ADD_PERMISSION:
		return lambda_parse_add_permission(response, &ret->statement_bytes, problem);
	case CHANGE_REMOVE_PERMISSION:
	case CHANGE_DELETE_VERSION:
		return lambda_parse_done(response, problem);
	default:
		ret->id = ids[0];
		ret->root_id = ids[1];
		return apigateway_parse_created(response, kind, r->config.spec->api.type, ids[0], ids[1], problem);
	}
}

static struct chain_input input(const struct reconcile *r)
{
	struct chain_input in = {
	    .spec = r->config.spec,
	    .view = &r->view,
	    .memory = r->config.memory,
	    .code_problem = r->code_problem[0] ? r->code_problem : NULL,
	    .kept_versions = r->config.kept_versions,
	    .n_kept_versions = r->config.n_kept_versions,
	    .now_unix_ms = engine_now(r->config.engine).unix_ms,
	};

	(void)text_copy(in.code_sha256, sizeof(in.code_sha256), r->code_sha256);
	return in;
}

static void landed(struct reconcile *r, const struct change_answer *answer)
{
	struct chain_input in = input(r);
	char text[LIMIT_REASON];

	change_format(r->change, text, sizeof(text));
	chain_apply(r->config.spec, r->change, answer, &r->view);
	chain_remember_after(&in, r->change, answer->id, r->config.memory);
	r->made = mem_grow(r->made, &r->cap_made, r->n_made + 1, sizeof(*r->made));
	r->made[r->n_made++] = mem_strdup(text);
	r->changed = true;
	r->config.ops.changed(r->config.arg, r->change, text);
}

/* --- what AWS refuses --- */

static bool is_refusal(const struct aws_error *e)
{
	return e->class == AWS_INVALID || e->class == AWS_DENIED;
}

static void note_refusal(struct reconcile *r, const struct aws_error *error)
{
	char text[LIMIT_REASON];

	change_format(r->change, text, sizeof(text));
	if (r->n_refused == 0) {
		r->refusal = *error;
		r->refused_operation = engine_operation_name(operation(r->change->kind));
	}
	r->refused = mem_grow(r->refused, &r->cap_refused, r->n_refused + 1, sizeof(*r->refused));
	r->refused[r->n_refused++] = mem_strdup(text);
}

static bool was_refused(const struct reconcile *r, const struct change *c)
{
	char text[LIMIT_REASON];

	change_format(c, text, sizeof(text));
	for (size_t n = 0; n < r->n_refused; n++) {
		if (strcmp(r->refused[n], text) == 0)
			return true;
	}
	return false;
}

/* The first call that was not refused: what depends on one that was is not in the list. */
static const struct change *next_call(const struct reconcile *r)
{
	for (size_t n = 0; n < r->changes.len; n++) {
		const struct change *c = &r->changes.items[n];

		if (CHANGE_IS_CALL(c->kind) && !was_refused(r, c))
			return c;
	}
	return NULL;
}

/* The account is told by nothing but the function itself, so one that was just made is looked at anew. */
static bool needs_look(const struct reconcile *r)
{
	return r->change->kind == CHANGE_CREATE_FUNCTION;
}

static void answered(void *arg, const struct http_response *response, const struct aws_error *error)
{
	struct reconcile *r = arg;
	struct change_answer answer = {0};
	char ids[2][API_ID_SIZE] = {"", ""};
	struct aws_error problem;

	r->calling = false;
	if (!finish(r))
		return;
	if (!error && parse(r, response, &answer, ids, &problem) != 0)
		error = &problem;
	if (error && is_refusal(error) && !is_stopping(r)) {
		note_refusal(r, error);
		step(r);
		return;
	}
	if (error) {
		done(r, error, engine_operation_name(operation(r->change->kind)));
		return;
	}
	bool again = needs_look(r);

	landed(r, &answer);
	if (is_stopping(r))
		fail(r, AWS_NO_CONNECTION, "rolloutd is shutting down", "the rest of the changes");
	else if (again)
		look(r);
	else
		step(r);
}

static void send(struct reconcile *r)
{
	struct dispatch_call call = {
	    .operation = operation(r->change->kind),
	    .account = r->config.place.account,
	    .region = r->config.place.region,
	    .priority = PRIORITY_NORMAL,
	    .http_api = r->config.spec->api.type == API_HTTP,
	    .safe = false,
	    .build = build,
	    .done = answered,
	    .arg = r,
	};

	/* An upload takes its time: 50 MB on a slow line. */
	if (r->zip_base64)
		call.timeout_ms = 10 * MS_PER_MINUTE;
	begin(r);
	r->calling = true;
	(void)dispatch_submit(r->config.engine->dispatch, &call);
}

/* The intent is durable. */
static void recorded(void *arg)
{
	struct reconcile *r = arg;

	if (!finish(r))
		return;
	if (is_stopping(r))
		fail(r, AWS_NO_CONNECTION, "rolloutd is shutting down", "the rest of the changes");
	else
		send(r);
}

static void intend(struct reconcile *r)
{
	char text[LIMIT_REASON];

	change_format(r->change, text, sizeof(text));
	chain_remember_before(r->change, r->config.memory);
	r->config.ops.intent(r->config.arg, r->change, text);
	begin(r);
	engine_after_commit(r->config.engine, recorded, r);
}

/* --- the code's file --- */

static void take_content(void *arg, const struct artifact *a)
{
	struct reconcile *r = arg;

	if (!finish(r))
		return;
	if (a->error) {
		fail(r, AWS_INVALID, a->error, "reading the code");
	} else if (strcmp(a->sha256, r->code_sha256) != 0) {
		fail(r, AWS_NO_CONNECTION, "the file has changed since it was looked at", "reading the code");
	} else {
		free(r->zip_base64);
		r->zip_base64 = mem_strdup(a->base64);
		intend(r);
	}
}

static void take_hash(void *arg, const struct artifact *a)
{
	struct reconcile *r = arg;

	if (!finish(r))
		return;
	if (a->error)
		(void)text_copy(r->code_problem, sizeof(r->code_problem), a->error);
	else
		(void)text_copy(r->code_sha256, sizeof(r->code_sha256), a->sha256);
	look(r);
}

static void load(struct reconcile *r, bool content, artifact_cb cb)
{
	struct engine *e = r->config.engine;

	begin(r);
	e->ports.load_artifact(e->ports.ctx, r->config.spec->code.zip, content, cb, r);
}

/* --- the loop --- */

static bool was_made(const struct reconcile *r, const struct change *c)
{
	char text[LIMIT_REASON];

	change_format(c, text, sizeof(text));
	for (size_t n = 0; n < r->n_made; n++) {
		if (strcmp(r->made[n], text) == 0)
			return true;
	}
	return false;
}

/* A look right after a change may show what was before it; and somebody may be changing it back. Either way it
 * is not made
 * again before some time has gone by. */
static void does_not_stay(struct reconcile *r)
{
	char text[LIMIT_REASON], what[LIMIT_REASON];

	change_format(r->change, what, sizeof(what));
	(void)snprintf(
	    text, sizeof(text),
	    "AWS does not show what was made, or somebody else changes it back; it is tried again later: %.140s", what);
	fail(r, AWS_CONFLICT, text, RECONCILE_UNSTABLE);
}

static void step(struct reconcile *r)
{
	struct chain_input in = input(r);

	arena_free(r->arena);
	r->arena = arena_new();
	chain_diff(&in, r->arena, &r->changes);
	r->change = r->config.look_only ? NULL : next_call(r);
	if (r->change && was_made(r, r->change)) {
		does_not_stay(r);
		return;
	}
	if (r->change && (r->change->kind == CHANGE_CREATE_FUNCTION || r->change->kind == CHANGE_UPDATE_CODE) &&
	    r->config.spec->code.source == CODE_ZIP) {
		load(r, true, take_content);
		return;
	}
	free(take_ptr(r->zip_base64));
	if (r->change)
		intend(r);
	else if (r->changed)
		look(r); /* what was made must be what AWS has */
	else if (r->n_refused > 0)
		done(r, &r->refusal, r->refused_operation);
	else
		done(r, NULL, NULL);
}

static void seen(void *arg, struct chain_view *view, const struct aws_error *error, const char *operation)
{
	struct reconcile *r = arg;

	r->observation = NULL;
	if (!finish(r))
		return;
	if (error) {
		done(r, error, operation);
		return;
	}
	chain_view_deinit(&r->view);
	r->view = *view;
	*view = (struct chain_view){0};
	r->viewed = true;
	r->changed = false;
	if (r->config.ops.looked)
		r->config.ops.looked(r->config.arg, &r->view);
	struct chain_input in = input(r);

	(void)chain_remember_seen(&in, r->config.memory);
	r->unsettled = observe_unsettled(&r->view) && r->config.spec->code.source != CODE_NONE;
	if (r->unsettled)
		done(r, NULL, NULL);
	else
		step(r);
}

static void look(struct reconcile *r)
{
	struct observe_scope scope = {
	    .aliases = r->config.aliases,
	    .concurrency = r->config.spec->keep_versions > 0 || r->config.look_only,
	    .deployments = r->config.memory->deploy,
	    .patient = r->config.patient,
	    .until_settled = r->config.spec->code.source != CODE_NONE,
	};

	if (++r->rounds > ROUNDS_MAX) {
		fail(r, AWS_CONFLICT, "what was made does not stay: somebody or something else changes it back",
		     RECONCILE_UNSTABLE);
		return;
	}
	begin(r);
	r->observation = observe_start(r->config.engine, &r->config.place, r->config.spec, &scope, seen, r);
}

struct reconcile *reconcile_start(const struct reconcile_config *config)
{
	struct reconcile *r = mem_alloc(sizeof(*r));

	r->config = *config;
	if (config->spec->code.source == CODE_ZIP)
		load(r, false, take_hash);
	else
		look(r);
	return r;
}

void reconcile_free(struct reconcile *r)
{
	if (!r)
		return;
	r->freed = true;
	if (r->calling)
		let_loose(r);
	if (r->observation) {
		/* It will not call back, so what it stands for ends here. */
		observe_cancel(take_ptr(r->observation));
		r->pending--;
		r->config.engine->calls_open--;
	}
	release(r);
}

const struct chain_view *reconcile_view(const struct reconcile *r)
{
	return r->viewed ? &r->view : NULL;
}

const struct change_list *reconcile_changes(const struct reconcile *r)
{
	return &r->changes;
}

void reconcile_forecast(const struct reconcile *r, struct arena *a, struct change_list *ret)
{
	struct chain_input in = input(r);

	chain_forecast(&in, a, ret);
}

void reconcile_remember(const struct reconcile *r, const struct change *rollout)
{
	struct chain_input in = input(r);

	chain_remember_after(&in, rollout, NULL, r->config.memory);
}

bool reconcile_refused(const struct reconcile *r)
{
	return r->n_refused > 0;
}

bool reconcile_unsettled(const struct reconcile *r)
{
	return r->unsettled;
}

const char *reconcile_code_sha256(const struct reconcile *r)
{
	return r->code_sha256;
}
