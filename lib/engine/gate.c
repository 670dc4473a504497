/*
 * Gates: hooks, and requests that must be answered. Before traffic moves it is the pre-traffic hook; once all of it has
 * moved the post-traffic hook, then the plan's requests.
 *
 * A hook is told as JSON what it is asked about, and is run at least once: again after a crash, or when nobody knows
 * what became of it. What it means:
 *
 *   invoke  an error of the function, or {"status": anything but "Succeeded"}: no. Any other answer: yes.
 *   exec    status 0: yes; 75 (EX_TEMPFAIL): to be tried again; any other: no.
 *   http    2xx: yes; 429, 5xx and no answer at all: to be tried again; any other: no.
 *
 * Whatever takes longer than its timeout says no.
 *
 * Tries that fail for a while are repeated by the state machine, with its backoff; here they are counted, and the last
 * one is a no. The URL of a hook may be a secret, so it is never shown beyond its host.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "aws/lambda_chain.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/calls.h"
#include "engine/chain.h"

#define HTTP_TRIES     3
#define EXEC_TRIES     5
#define VERIFY_TRIES   5
#define EXIT_TEMPORARY 75 /* EX_TEMPFAIL of sysexits.h */
#define INPUT_MAX      8192
#define HINT_CHARS     180 /* of what a hook said, in a sentence */

struct gate_run {
	struct item *item; /* pinned */
	uint64_t seq;
	bool pre;
	const struct plan_hook *hook;
	bool dropped;	 /* nobody waits for it any more */
	uint64_t ticket; /* of a call that can be called back */
	struct probe *probe;
	struct buf input;
	char function[LIMIT_FUNCTION_NAME + 1]; /* that is invoked, … */
	char qualifier[LIMIT_ALIAS_NAME + 1];	/* "": none */
	char region[40];
	int64_t sent_boot_ms;
	char target[80]; /* for people */
};

/* --- ends --- */

static void finish(struct gate_run *g, enum call_outcome outcome, const char *text)
{
	struct item *i = g->item;
	struct rollout_event event = {.kind = EVENT_GATED, .seq = g->seq, .gated = {.outcome = outcome}};

	if (i->gate == g)
		i->gate = NULL;
	text_copy_printable(event.gated.text, sizeof(event.gated.text), text);
	if (!g->dropped)
		engine_event(i, &event, NULL, NULL);
	i->engine->calls_open--;
	buf_deinit(&g->input);
	free(g);
	item_unpin(i);
}

/* "the pre-traffic hook (program notify) said no: …" */
static void printf_like(3, 4) finish_hook(struct gate_run *g, enum call_outcome outcome, const char *fmt, ...)
{
	char text[LIMIT_REASON];
	va_list args;
	int n = snprintf(text, sizeof(text), "the %s-traffic hook (%s) ", g->pre ? "pre" : "post", g->target);

	va_start(args, fmt);
	(void)vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, args);
	va_end(args);
	finish(g, outcome, text);
}

/* A failure that may pass, until it has been one too often. */
static enum call_outcome passing(const struct gate_run *g, unsigned tries)
{
	return g->item->state.attempts + 1 < tries ? CALL_UNAVAILABLE : CALL_REFUSED;
}

/* No answer came for the whole of its time. Returns whether that is so, and has answered then. */
static bool finish_late(struct gate_run *g)
{
	char span[32];

	if (engine_now(g->item->engine).boot_ms - g->sent_boot_ms < g->hook->timeout_ms)
		return false;
	text_format_duration(g->hook->timeout_ms, span);
	finish_hook(g, CALL_REFUSED, "did not answer within %s", span);
	return true;
}

/* The last line that says something. */
static void last_line(const char *output, char *out, size_t size)
{
	const char *end = output + strlen(output), *from;

	while (end > output && (unsigned char)end[-1] <= ' ')
		end--;
	for (from = end; from > output && from[-1] != '\n'; from--)
		;
	(void)snprintf(out, size, "%.*s", (int)(end - from), from);
}

/* What a hook said is kept, agreed or not: its end, on one line. */
static void keep_output(const struct gate_run *g, const char *verdict, const char *output)
{
	size_t len = strlen(output), from = len > HINT_CHARS ? len - HINT_CHARS : 0;
	char text[LIMIT_REASON], said[HINT_CHARS + 1];

	(void)text_copy(said, sizeof(said), output + from);
	for (char *c = said; *c; c++) {
		if (*c == '\n' || *c == '\r' || *c == '\t')
			*c = ' ';
	}
	(void)snprintf(text, sizeof(text), "%s-traffic, %.50s: %s%s%s", g->pre ? "pre" : "post", g->target, verdict,
		       said[0] ? ": " : "", said);
	engine_add_event(g->item->engine, g->item, "hook", text, "");
}

/* Nothing new is begun then: the rest is asked after the restart. Returns whether it is so, and has answered then. */
static bool shuts_down(struct gate_run *g)
{
	if (!g->item->engine->draining)
		return false;
	finish(g, CALL_UNAVAILABLE, "rolloutd is shutting down: what must agree is asked after its restart");
	return true;
}

/* --- requests that must be answered --- */

static void verified(void *arg, const char *error)
{
	struct gate_run *g = arg;
	char text[LIMIT_REASON];

	g->probe = NULL;
	if (error[0] == '\0') {
		finish(g, CALL_OK, "");
		return;
	}
	(void)snprintf(text, sizeof(text), "a request that must be answered was not: %.200s", error);
	finish(g, passing(g, VERIFY_TRIES), text);
}

static void verify(struct gate_run *g)
{
	const struct plan *p = g->item->plan;

	if (g->pre || p->n_verify == 0 || g->dropped)
		finish(g, CALL_OK, "");
	else if (shuts_down(g))
		return;
	else
		g->probe = probe_start(g->item->engine, p->verify, p->n_verify, verified, g);
}

static void agreed(struct gate_run *g)
{
	if (!g->pre)
		g->item->post_hook_agreed = true;
	verify(g);
}

/* --- invoke --- */

static int build_invoke(void *arg, struct arena *a, const struct aws_endpoint *e, struct http_request *ret)
{
	struct gate_run *g = arg;

	g->sent_boot_ms = engine_now(g->item->engine).boot_ms;
	lambda_build_invoke(a, e, g->function, g->qualifier[0] ? g->qualifier : NULL, buf_text(&g->input), g->input.len,
			    ret);
	return 0;
}

/* The message in what Lambda answers for a function that failed. */
static void error_message(const char *payload, char *out, size_t size)
{
	json_t *j = json_loads(payload, JSON_DECODE_ANY, NULL);
	const char *message = json_string_value(json_object_get(j, "errorMessage"));

	text_copy_printable(out, size, message ? message : payload);
	json_decref(j);
}

static void invoked(void *arg, const struct http_response *response, const struct aws_error *error)
{
	struct gate_run *g = arg;
	struct lambda_invoked *x cleanup(mem_free_p) = mem_alloc(sizeof(*x));
	struct aws_error problem;
	char why[LIMIT_REASON];

	g->ticket = 0;
	if (!error && lambda_parse_invoke(response, x, &problem) != 0)
		error = &problem;
	if (error && error->class == AWS_NO_ANSWER && finish_late(g))
		return;
	if (error) {
		aws_error_format(error, "Invoke", why, sizeof(why));
		finish_hook(g, aws_error_outcome(error), "could not be asked: %.*s", HINT_CHARS, why);
		return;
	}
	if (x->failed) {
		error_message(x->payload, why, sizeof(why));
		keep_output(g, "failed", why);
		finish_hook(g, CALL_REFUSED, "failed: %.*s", HINT_CHARS, why);
	} else if (x->status[0] != '\0' && strcasecmp(x->status, "Succeeded") != 0) {
		keep_output(g, "refused", x->payload);
		finish_hook(g, CALL_REFUSED, "answered %s%s%.*s", x->status, x->reason[0] ? ": " : "", HINT_CHARS,
			    x->reason);
	} else {
		keep_output(g, "agreed", x->payload);
		agreed(g);
	}
}

/* "NAME", "NAME:QUALIFIER", or the same with all that an ARN has before the name. */
static void split_target(struct gate_run *g)
{
	const char *name = g->hook->target;
	const char *qualifier;

	for (int colons = text_starts_with(name, "arn:") ? 6 : 0; colons > 0 && name; colons--)
		name = strchr(name, ':') ? strchr(name, ':') + 1 : NULL;
	qualifier = name ? strchr(name, ':') : NULL;
	(void)text_copy(g->qualifier, sizeof(g->qualifier), qualifier ? qualifier + 1 : "");
	(void)snprintf(g->function, sizeof(g->function), "%.*s",
		       qualifier ? (int)(qualifier - g->hook->target) : LIMIT_FUNCTION_NAME, g->hook->target);
}

void gate_hook_region(const struct plan_hook *hook, const char *region, char *out, size_t size)
{
	const char *at = hook->target;
	size_t len;

	(void)text_copy(out, size, region);
	if (!text_starts_with(at, "arn:"))
		return;
	for (int colons = 0; colons < 3 && at; colons++)
		at = strchr(at, ':') ? strchr(at, ':') + 1 : NULL;
	len = at ? strcspn(at, ":") : 0;
	if (len > 0 && len < size)
		(void)snprintf(out, size, "%.*s", (int)len, at);
}

static void run_invoke(struct gate_run *g)
{
	struct item *i = g->item;
	struct dispatch_call call = {
	    .operation = OPERATION_INVOKE,
	    .account = i->plan->account,
	    .region = g->region,
	    .priority = PRIORITY_NORMAL,
	    .safe = false,
	    .timeout_ms = g->hook->timeout_ms,
	    .build = build_invoke,
	    .done = invoked,
	    .arg = g,
	};

	split_target(g);
	gate_hook_region(g->hook, i->region, g->region, sizeof(g->region));
	g->ticket = dispatch_submit(i->engine->dispatch, &call);
}

/* --- exec --- */

static void executed(void *arg, const struct exec_result *r)
{
	struct gate_run *g = arg;
	char line[LIMIT_REASON], span[32];

	if (!r->started) {
		finish_hook(g, CALL_REFUSED, "could not be run: %.*s", HINT_CHARS, r->output);
		return;
	}
	last_line(r->output, line, sizeof(line));
	if (r->timed_out) {
		text_format_duration(g->hook->timeout_ms, span);
		keep_output(g, "timed out", r->output);
		finish_hook(g, CALL_REFUSED, "did not end within %s%s%.150s", span, line[0] ? "; it last said: " : "",
			    line);
	} else if (r->status == 0) {
		keep_output(g, "agreed", r->output);
		agreed(g);
	} else {
		keep_output(g, r->status == EXIT_TEMPORARY ? "asks to be tried again" : "refused", r->output);
		finish_hook(g, r->status == EXIT_TEMPORARY ? passing(g, EXEC_TRIES) : CALL_REFUSED,
			    "ended with status %d%s%.150s", r->status, line[0] ? ": " : "", line);
	}
}

/* --- http --- */

static void posted(void *arg, enum transport_result result, const struct http_response *response, const char *error)
{
	struct gate_run *g = arg;
	int status = result == TRANSPORT_ANSWERED ? response->status : 0;

	if (result == TRANSPORT_NO_ANSWER && finish_late(g))
		return;
	if (result != TRANSPORT_ANSWERED) {
		finish_hook(g, passing(g, HTTP_TRIES), "gave no answer: %.*s", HINT_CHARS, error);
	} else if (status >= 200 && status <= 299) {
		keep_output(g, "agreed", response->body);
		agreed(g);
	} else {
		keep_output(g, status == 429 || status >= 500 ? "asks to be tried again" : "refused", response->body);
		finish_hook(g, status == 429 || status >= 500 ? passing(g, HTTP_TRIES) : CALL_REFUSED, "answered %d",
			    status);
	}
}

static void run_http(struct gate_run *g)
{
	const struct engine *e = g->item->engine;
	struct arena *a cleanup(arena_free_p) = arena_new();
	struct http_request r = {.method = "POST", .body = buf_text(&g->input), .body_len = g->input.len};

	if (http_request_set_url(a, g->hook->target, &r) != 0) {
		finish_hook(g, CALL_REFUSED, "has an address that is no URL: correct it in the plan");
		return;
	}
	http_request_add_header(&r, "Content-Type", "application/json");
	http_request_add_header(&r, "User-Agent", "rolloutd");
	g->sent_boot_ms = engine_now(e).boot_ms;
	e->ports.send(e->ports.ctx, &r, g->hook->timeout_ms, posted, g);
}

/* --- what a hook is told --- */

static void add_member(struct buf *b, const char *name, const char *value)
{
	buf_add_text(b, b->len == 0 ? "{" : ",");
	buf_add_json_string(b, name);
	buf_add_char(b, ':');
	buf_add_json_string(b, value);
}

static void make_input(struct gate_run *g, const char *function_arn)
{
	const struct item *i = g->item;
	char version[24], stable[24], attempt[24], arn[LIMIT_FUNCTION_NAME + 128];

	version_format(i->state.canary, version);
	version_format(i->state.stable, stable);
	(void)snprintf(attempt, sizeof(attempt), "%llu", (unsigned long long)i->attempt);
	(void)snprintf(arn, sizeof(arn), "%.220s:%s", function_arn, version);
	add_member(&g->input, "hook", g->pre ? "pre_traffic" : "post_traffic");
	add_member(&g->input, "rollout", i->name);
	buf_addf(&g->input, ",\"attempt\":%s", attempt);
	add_member(&g->input, "function", i->plan->function);
	add_member(&g->input, "alias", i->plan->alias);
	add_member(&g->input, "version", version);
	add_member(&g->input, "qualified_arn", arn);
	add_member(&g->input, "stable_version", stable);
	buf_add_char(&g->input, '}');
}

static void run_hook(struct gate_run *g, const char *function_arn)
{
	const struct engine *e = g->item->engine;

	if (shuts_down(g))
		return;
	make_input(g, function_arn);
	switch (g->hook->kind) {
	case PLAN_HOOK_INVOKE:
		run_invoke(g);
		break;
	case PLAN_HOOK_EXEC:
		e->ports.run_hook(e->ports.ctx, g->hook->target, buf_text(&g->input), g->hook->timeout_ms, executed, g);
		break;
	case PLAN_HOOK_HTTP:
		run_http(g);
		break;
	case PLAN_HOOK_NONE:
		agreed(g);
		break;
	}
}

/* --- the function's ARN, which hooks are told and a plan need not say --- */

static int build_function(void *arg, struct arena *a, const struct aws_endpoint *e, struct http_request *ret)
{
	const struct gate_run *g = arg;

	lambda_build_get_function(a, e, calls_function(g->item), NULL, ret);
	return 0;
}

static void function_read(void *arg, const struct http_response *response, const struct aws_error *error)
{
	struct gate_run *g = arg;
	struct chain_view v cleanup(chain_view_deinit);
	char revision[REVISION_SIZE], text[LIMIT_REASON], arn[LIMIT_FUNCTION_NAME + 96];
	struct aws_error problem;

	g->ticket = 0;
	chain_view_init(&v);
	if (!error && lambda_parse_function(response, &v, revision, &problem) != 0)
		error = &problem;
	if (error) {
		aws_error_format(error, "GetFunction", text, sizeof(text));
		finish(g, aws_error_outcome(error), text);
		return;
	}
	(void)snprintf(arn, sizeof(arn), "arn:%s:lambda:%s:%s:function:%.140s", v.partition, v.region, v.account_id,
		       g->item->plan->function);
	run_hook(g, arn);
}

static void read_function(struct gate_run *g)
{
	struct item *i = g->item;
	struct dispatch_call call = {
	    .operation = OPERATION_GET_FUNCTION,
	    .account = i->plan->account,
	    .region = i->region,
	    .priority = PRIORITY_NORMAL,
	    .safe = true,
	    .build = build_function,
	    .done = function_read,
	    .arg = g,
	};

	g->ticket = dispatch_submit(i->engine->dispatch, &call);
}

/* --- the face --- */

static void name_target(struct gate_run *g)
{
	const char *target = g->hook->target, *host = target ? strstr(target, "://") : NULL;

	switch (g->hook->kind) {
	case PLAN_HOOK_INVOKE:
		(void)snprintf(g->target, sizeof(g->target), "function %.60s", target);
		break;
	case PLAN_HOOK_EXEC:
		(void)snprintf(g->target, sizeof(g->target), "program %.60s", target);
		break;
	case PLAN_HOOK_HTTP:
		(void)snprintf(g->target, sizeof(g->target), "%.*s",
			       host ? (int)(host + 3 + strcspn(host + 3, "/?") - target) : 0, target);
		break;
	case PLAN_HOOK_NONE:
		break;
	}
}

void gate_start(struct item *i, const struct rollout_effect *effect)
{
	struct gate_run *g = mem_alloc(sizeof(*g));

	g->item = i;
	g->seq = effect->seq;
	g->pre = effect->gate.which == GATE_PRE;
	g->hook = g->pre ? &i->plan->pre_traffic : &i->plan->post_traffic;
	g->input = BUF_INIT(INPUT_MAX);
	name_target(g);
	item_pin(i);
	i->engine->calls_open++;
	i->gate = g;
	if (g->hook->kind == PLAN_HOOK_NONE || (!g->pre && i->post_hook_agreed))
		verify(g);
	else if (i->plan->function_arn)
		run_hook(g, i->plan->function_arn);
	else
		read_function(g);
}

void gate_cancel(struct item *i, uint64_t seq)
{
	struct gate_run *g = i->gate;

	if (!g || g->seq != seq)
		return;
	i->gate = NULL;
	g->dropped = true;
	if (g->ticket != 0)
		(void)dispatch_cancel(i->engine->dispatch, g->ticket);
	if (g->probe) {
		probe_cancel(g->probe);
		finish(g, CALL_UNAVAILABLE, "");
	}
}
