#include "daemon/control/answer.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "daemon/control/family.h"
#include "daemon/control/metrics.h"
#include "engine/planform.h"

/* Takes over the form. */
static void give_json(int status, json_t *form, struct answer *ret)
{
	char *text = form ? json_dumps(form, FORM_DUMP_FLAGS) : NULL;
	json_decref(form);
	/* Forms fail for text that is no UTF-8 only, which nothing in here can be. */
	require(text);
	struct buf line = BUF_INIT(LIMIT_CONTROL_ANSWER_BYTES);
	buf_add_text(&line, text);
	buf_add_char(&line, '\n'); /* for people with curl */
	free(text);
	if (!buf_ok(&line)) {
		buf_deinit(&line);
		answer_error(503, "unavailable", "the answer is larger than the control socket's limit", ret);
		return;
	}
	size_t len = line.len;
	*ret = (struct answer){.status = status, .type = "application/json", .body = buf_take(&line), .len = len};
}

void answer_error(int status, const char *code, const char *message, struct answer *ret)
{
	give_json(status, form_error(code, message), ret);
}

void answer_parse_error(int result, const char *message, struct answer *ret)
{
	switch (result) {
	case CONTROL_NO_ROUTE:
		answer_error(404, "not_found", message, ret);
		break;
	case CONTROL_BAD_METHOD:
		answer_error(405, "method_not_allowed", message, ret);
		break;
	default:
		answer_error(400, "bad_request", message, ret);
		break;
	}
}

static void say_store_failed(const struct backend *b, struct answer *ret)
{
	answer_error(503, "unavailable", store_error_text(b->store), ret);
}

static void say_no_such(const char *name, struct answer *ret)
{
	cleanup(mem_free_p) char *message =
	    mem_printf("there is no service and no rollout of the name '%s': see rolloutctl list", name);
	answer_error(404, "not_found", message, ret);
}

/* --- looking --- */

static void collect_rollout(void *ctx, const struct view_rollout *v)
{
	require(json_array_append_new(ctx, form_rollout(v, false)) == 0);
}

static void collect_service(void *ctx, const struct view_service *v)
{
	require(json_array_append_new(ctx, form_service(v, false)) == 0);
}

static void collect_file(void *ctx, const struct view_file *file)
{
	require(json_array_append_new(ctx, form_file(file)) == 0);
}

static void list(const struct backend *b, struct answer *ret)
{
	json_t *rollouts = json_array();
	json_t *files = json_array();
	json_t *services = json_array();
	if (engine_each(b->engine, collect_rollout, rollouts)) {
		json_decref(rollouts);
		json_decref(files);
		json_decref(services);
		say_store_failed(b, ret);
		return;
	}
	dropin_each_problem(b->dropin, collect_file, files);
	engine_each_service(b->engine, collect_service, services);
	give_json(200, form_list(services, rollouts, files, b->now(b->ctx).unix_ms), ret);
}

static void keep_details(void *ctx, const struct view_rollout *v)
{
	*(json_t **)ctx = form_rollout(v, true);
}

static void keep_service(void *ctx, const struct view_service *v)
{
	*(json_t **)ctx = form_service(v, true);
}

static void status(const struct backend *b, const char *name, struct answer *ret)
{
	json_t *form = NULL;
	if (engine_service(b->engine, name, keep_service, &form) || engine_view(b->engine, name, keep_details, &form))
		give_json(200, form, ret);
	else
		say_no_such(name, ret);
}

static void record(const struct backend *b, const struct control_request *r, struct answer *ret)
{
	json_t *form = NULL;
	switch (engine_record(b->engine, r->name, r->attempt, &form)) {
	case ENGINE_DONE:
		give_json(200, form, ret);
		break;
	case ENGINE_UNAVAILABLE:
		say_store_failed(b, ret);
		break;
	default: {
		cleanup(mem_free_p) char *message = mem_printf(
		    "there is no such attempt of a rollout '%s': see rolloutctl history; the rollouts of a service "
		    "are named SERVICE.ALIAS",
		    r->name);
		answer_error(404, "not_found", message, ret);
		break;
	}
	}
}

static void history(const struct backend *b, const struct control_request *r, struct answer *ret)
{
	const char *name = r->name[0] ? r->name : NULL;
	json_t *rollouts = json_array();
	if (engine_each_attempt(b->engine, name, r->limit, collect_rollout, rollouts)) {
		json_decref(rollouts);
		say_store_failed(b, ret);
	} else if (name && json_array_size(rollouts) == 0) {
		json_decref(rollouts);
		say_no_such(r->name, ret);
	} else {
		give_json(200, form_history(rollouts), ret);
	}
}

static void events(const struct backend *b, const struct control_request *r, struct answer *ret)
{
	json_t *items = json_array();
	if (family_collect_events(b->engine, b->store, r->name, r->after, r->limit, items)) {
		json_decref(items);
		say_store_failed(b, ret);
		return;
	}
	give_json(200, form_events(items), ret);
}

static void health(const struct backend *b, struct answer *ret)
{
	const char *message = "";
	bool ok = b->healthy(b->ctx, &message);
	give_json(ok ? 200 : 503, form_health(ok, message), ret);
}

static void metrics(const struct backend *b, struct answer *ret)
{
	struct buf text = BUF_INIT(LIMIT_CONTROL_ANSWER_BYTES);
	metrics_format(b, &text);
	size_t len = text.len;
	*ret = (struct answer){.status = 200, .type = METRICS_CONTENT_TYPE, .body = buf_take(&text), .len = len};
}

/* --- commanding --- */

static void keep_phase(void *ctx, const struct view_rollout *v)
{
	*(const char **)ctx = v->unreadable ? NULL : rollout_phase_name(v->state->phase); /* static text */
}

static void keep_service_phase(void *ctx, const struct view_service *v)
{
	*(const char **)ctx = v->unreadable ? NULL : rollout_phase_name(v->phase);
}

/* NULL when there is neither a service nor a rollout of that name. */
static const char *find_phase(const struct backend *b, const char *name)
{
	const char *phase = NULL;
	if (!engine_service(b->engine, name, keep_service_phase, &phase))
		(void)engine_view(b->engine, name, keep_phase, &phase);
	return phase;
}

static void say_answer(const struct backend *b, enum engine_answer a, const char *name, const char *text,
		       struct answer *ret)
{
	switch (a) {
	case ENGINE_DONE:
	case ENGINE_ALREADY:
		give_json(200, form_answer(a == ENGINE_DONE ? "done" : "already", name, find_phase(b, name), text),
			  ret);
		break;
	case ENGINE_REFUSED:
		answer_error(409, "refused", text, ret);
		break;
	case ENGINE_NO_SUCH:
		say_no_such(name, ret);
		break;
	case ENGINE_UNAVAILABLE:
		answer_error(503, "unavailable", text[0] ? text : store_error_text(b->store), ret);
		break;
	}
}

static void command(const struct backend *b, const struct control_request *r, const char *by, struct answer *ret)
{
	char text[LIMIT_REASON] = "";
	enum engine_answer a;
	if (r->route == CONTROL_RETRY && r->despite_alarms)
		a = engine_retry_despite_alarms(b->engine, r->name, by, r->reason, text);
	else if (r->route == CONTROL_RETRY)
		a = engine_retry(b->engine, r->name, by, r->reason, text);
	else if (r->route == CONTROL_FORGET)
		a = engine_forget(b->engine, r->name, by, r->reason, text);
	else
		a = engine_command(b->engine, r->name, r->command, by, r->reason, text);
	turn_want(b->turn);
	say_answer(b, a, r->name, text, ret);
}

static void reload(const struct backend *b, const char *by, struct answer *ret)
{
	char message[LIMIT_REASON] = "";
	log_printf(b->log, LOG_LEVEL_INFO, "%s asked for a reload", by);
	b->reload(b->ctx, message, sizeof(message));
	give_json(200, form_answer("done", "", NULL, message), ret);
}

/* --- plans --- */

static void validate(const char *body, size_t len, struct answer *ret)
{
	struct diags diags = {0};
	cleanup(plan_free_p) struct plan *plan = plan_load(body, len, &diags);
	give_json(200, planform_check(plan, &diags), ret);
	diags_deinit(&diags);
}

void answer_invalid(const struct diags *d, const char *outcome, struct answer *ret)
{
	cleanup(mem_free_p) char *message =
	    mem_printf("the plan has %zu %s%s", d->errors, d->errors == 1 ? "error" : "errors", outcome);
	give_json(422, form_invalid_plan(message, planform_diagnostics(d)), ret);
}

static void take(const struct backend *b, struct plan *plan, const char *hash, const char *by, struct answer *ret)
{
	char text[LIMIT_REASON] = "";
	cleanup(mem_free_p) char *name = mem_strdup(plan->name);
	enum intake_result result = engine_take_plan(b->engine, plan, "submit", hash, by, text);
	turn_want(b->turn);
	b->taken(b->ctx);
	const char *phase = find_phase(b, name);
	switch (result) {
	case INTAKE_STARTED:
		give_json(201, form_answer("started", name, phase, text), ret);
		break;
	case INTAKE_SUPERSEDES:
		give_json(201, form_answer("supersedes", name, phase, text), ret);
		break;
	case INTAKE_UNCHANGED:
		give_json(200, form_answer("unchanged", name, phase, text), ret);
		break;
	case INTAKE_REFUSED:
		answer_error(409, "refused", text, ret);
		break;
	}
}

static void submit(const struct backend *b, const char *by, const char *body, size_t len, struct answer *ret)
{
	struct diags diags = {0};
	char hash[SHA256_HEX_SIZE];
	if (b->draining(b->ctx)) {
		answer_error(503, "unavailable", "the daemon is stopping: submit again when it is back", ret);
		return;
	}
	sha256_hex(body, len, hash);
	struct plan *plan = plan_load(body, len, &diags);
	if (plan)
		take(b, plan, hash, by, ret);
	else
		answer_invalid(&diags, ", and was not taken in", ret);
	diags_deinit(&diags);
}

static json_t *accounts_of(const struct inspection *i)
{
	json_t *accounts = json_array();
	for (size_t n = 0; n < i->n_accounts; n++)
		json_array_append_new(accounts, form_account(&i->accounts[n]));
	return accounts;
}

void answer_inspection(const struct inspection *i, enum inspect_what what, struct answer *ret)
{
	if (i->error)
		answer_error(502, "inspection_failed", i->error, ret);
	else if (what == INSPECT_DIFF)
		give_json(200, form_diff(i->name, i->kind, i->changes), ret);
	else
		give_json(200, form_doctor(i->name, accounts_of(i), i->findings, i->n_findings), ret);
}

void answer_request(const struct backend *b, const struct control_request *r, const char *by, const char *body,
		    size_t len, struct answer *ret)
{
	switch (r->route) {
	case CONTROL_LIST:
		list(b, ret);
		break;
	case CONTROL_STATUS:
		status(b, r->name, ret);
		break;
	case CONTROL_RECORD:
		record(b, r, ret);
		break;
	case CONTROL_COMMAND:
	case CONTROL_RETRY:
	case CONTROL_FORGET:
		command(b, r, by, ret);
		break;
	case CONTROL_HISTORY:
		history(b, r, ret);
		break;
	case CONTROL_SUBMIT:
		submit(b, by, body, len, ret);
		break;
	case CONTROL_VALIDATE:
		validate(body, len, ret);
		break;
	case CONTROL_DIFF:
	case CONTROL_DOCTOR:
	case CONTROL_ACCOUNTS: /* their answers come later: see inquiry.h */
		require(false);
		break;
	case CONTROL_EVENTS:
		events(b, r, ret);
		break;
	case CONTROL_RELOAD:
		reload(b, by, ret);
		break;
	case CONTROL_VERSION:
		give_json(200, form_version(ROLLOUTD_VERSION, b->started_unix_ms), ret);
		break;
	case CONTROL_METRICS:
		metrics(b, ret);
		break;
	case CONTROL_HEALTH:
		health(b, ret);
		break;
	}
}
