/* See engine_bench.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine_bench.h"

static const char world_text[] = "seed: 7\n"
				 "functions:\n"
				 "  hello:\n"
				 "    versions: {1: {}, 2: {}, 3: {}, 8: {error_rate: 100%}, 9: {error_rate: 50%}}\n"
				 "    aliases: {prod: {version: 1}}\n"
				 "traffic: [{function: hello, alias: prod, rps: 20}]\n"
				 "metrics: {delay: 30s}\n";

/* --- ports --- */

static struct instant port_now(void *ctx)
{
	return ((struct bench *)ctx)->now;
}

static uint64_t port_entropy(void *ctx)
{
	struct bench *b = ctx;

	b->entropy = b->entropy * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return b->entropy >> 11;
}

static void port_wake_at(void *ctx, int64_t boot_ms)
{
	((struct bench *)ctx)->wake_ms = boot_ms;
}

static int match_revision(void *ctx, const struct store_intent *i)
{
	return i->revision[0] && strstr(ctx, i->revision) ? 1 : 0;
}

static int match_concurrency(void *ctx, const struct store_intent *i)
{
	(void)ctx;
	return strstr(i->target, "provisioned concurrency") ? 1 : 0;
}

static void check_asked(struct bench *b)
{
	bool found = false;

	b->asked++;
	for (uint64_t id = 1; id < 20 && !found; id++)
		found = store_each_intent(b->store, id, match_concurrency, NULL) == 1;
	b->unrecorded_asks += !found;
}

static void answer_web(struct bench *b, const struct http_request *request, struct world_reply *ret)
{
	*ret = (struct world_reply){.fate = b->web.status != 0 ? WORLD_ANSWER : WORLD_RESET, .delay_ms = 20};
	ret->response = (struct http_response){.status = b->web.status, .body = "as you like it", .body_len = 14};
	b->web.requests++;
	(void)snprintf(b->web.target, sizeof(b->web.target), "%s %s://%s%s", request->method, request->scheme,
		       request->host, request->path);
	(void)snprintf(b->web.body, sizeof(b->web.body), "%.*s", (int)request->body_len, request->body);
}

/* Invariant 1: the revision that a write carries is in an intent on record. */
static void check_intent(struct bench *b, const char *body)
{
	char *copy cleanup(mem_free_p) = mem_strdup(body);
	bool found = false;

	b->updates++;
	for (uint64_t id = 1; id < 20 && !found; id++)
		found = store_each_intent(b->store, id, match_revision, copy) == 1;
	b->unrecorded += !found;
	b->unrecorded_weights += !found && strstr(body, "Weights\":{\"");
}

static void port_send(void *ctx, const struct http_request *request, int64_t timeout_ms, transport_cb cb, void *arg)
{
	struct bench *b = ctx;
	struct flight *f = &b->flights[b->n_flights++];
	struct http_request copy = *request;

	assert_true(b->n_flights <= FLIGHTS);
	http_request_add_header(&copy, "Host", copy.host);
	*f = (struct flight){.cb = cb, .arg = arg};
	b->calls++;
	if (b->sent)
		b->sent(b, request);
	else if (strstr(request->path, "/provisioned-concurrency") && strcmp(request->method, "GET") != 0)
		check_asked(b);
	else if (strcmp(request->method, "PUT") == 0)
		check_intent(b, request->body);
	if (text_ends_with(request->host, ".example")) {
		answer_web(b, request, &f->reply);
	} else if (b->no_concurrency && strstr(request->path, "/provisioned-concurrency")) {
		f->reply = (struct world_reply){.fate = WORLD_ANSWER};
		f->reply.response = (struct http_response){.status = 404, .body = "<html>404</html>", .body_len = 16};
	} else {
		world_handle(b->world, &copy, b->now, &f->reply);
	}
	if (b->answers)
		b->answers(b, request, &f->reply);
	f->due_ms = b->now.boot_ms + 1 + f->reply.delay_ms;
	if (f->reply.fate == WORLD_SILENCE)
		f->due_ms = b->now.boot_ms + timeout_ms;
}

static void port_run_hook(void *ctx, const char *program, const char *input, int64_t timeout_ms, exec_cb cb, void *arg)
{
	struct bench *b = ctx;

	assert_null(b->hook.cb);
	assert_true(timeout_ms > 0);
	b->hook.runs++;
	(void)text_copy(b->hook.program, sizeof(b->hook.program), program);
	(void)text_copy(b->hook.input, sizeof(b->hook.input), input);
	b->hook.cb = cb;
	b->hook.arg = arg;
	b->hook.due_ms = b->now.boot_ms + 1 + b->hook.takes_ms;
}

static void end_hook(struct bench *b)
{
	exec_cb cb = b->hook.cb;
	struct exec_result r = {.started = !b->hook.missing,
				.status = b->hook.status,
				.timed_out = b->hook.timed_out,
				.output = b->hook.output ? b->hook.output : ""};

	b->hook.cb = NULL;
	cb(b->hook.arg, &r);
}

static void port_load_artifact(void *ctx, const char *path, bool content, artifact_cb cb, void *arg)
{
	struct bench *b = ctx;
	size_t n = b->file.n_loads++;

	(void)path;
	assert_true(n < array_len(b->file.loads));
	b->file.loads[n].cb = cb;
	b->file.loads[n].arg = arg;
	b->file.loads[n].content = content;
}

static void end_loads(struct bench *b)
{
	struct bench_file f = b->file;

	b->file.n_loads = 0;
	for (size_t n = 0; n < f.n_loads; n++) {
		struct artifact a = {.error = f.base64 ? NULL : "hello.zip does not exist"};

		if (f.base64) {
			a.sha256 = f.sha256;
			a.base64 = f.loads[n].content ? f.base64 : NULL;
			a.size = strlen(f.base64);
		}
		f.loads[n].cb(f.loads[n].arg, &a);
	}
}

static void port_load_event(void *ctx, const char *path, artifact_cb cb, void *arg)
{
	struct bench *b = ctx;

	(void)path;
	assert_true(b->event.waiting < array_len(b->event.cb));
	b->event.cb[b->event.waiting] = cb;
	b->event.arg[b->event.waiting++] = arg;
	b->event.reads++;
}

static void end_event(struct bench *b)
{
	struct bench_event e = b->event;
	struct artifact a = {.error = e.text ? NULL : "probe.json does not exist", .text = e.text};

	if (e.text)
		a.size = e.size > 0 ? e.size : strlen(e.text);
	b->event.waiting = 0;
	for (size_t n = 0; n < e.waiting; n++)
		e.cb[n](e.arg[n], &a);
}

static int port_credentials(void *ctx, const char *account, struct aws_credentials *ret, char *ret_error,
			    size_t error_size)
{
	const struct bench *b = ctx;

	if (b->keys_pending && strcmp(b->keys_pending, account) == 0)
		return 2;
	if (b->no_keys) {
		(void)snprintf(ret_error, error_size, "%s", b->no_keys);
		return 1;
	}
	*ret = (struct aws_credentials){
	    .access_key_id = mem_strdup("AKID"),
	    .secret_access_key = mem_strdup("secret"),
	    .expires_unix_ms = INT64_MAX,
	};
	return 0;
}

static void port_describe_keys(void *ctx, const char *account, struct keys_told *ret)
{
	const struct bench *b = ctx;

	(void)account;
	if (b->keys.source)
		*ret = b->keys;
}

static int port_endpoint(void *ctx, const char *account, enum aws_service service, const char *region,
			 struct aws_endpoint *ret, char *ret_error, size_t error_size)
{
	(void)account;
	(void)ctx;
	(void)region;
	(void)ret_error;
	(void)error_size;
	*ret = (struct aws_endpoint){.scheme = "http"};
	/* What API Gateway serves is asked for at the same host, which must be this one then. */
	if (service == AWS_APIGATEWAY || service == AWS_APIGATEWAY_V2)
		(void)snprintf(ret->host, sizeof(ret->host), "localhost");
	else
		(void)snprintf(ret->host, sizeof(ret->host), "%s.localhost", endpoint_service_name(service));
	return 0;
}

static void port_published(void *ctx, const struct store_event *event)
{
	struct bench *b = ctx;
	size_t len = strlen(b->published);

	if (getenv("TEST_ENGINE_TRACE"))
		print_message("%10.1f %-12s %-12s %s\n", (double)(b->now.boot_ms - START_BOOT_MS) / 1000, event->phase,
			      event->kind, event->text);
	(void)snprintf(b->published + len, sizeof(b->published) - len, "%s: %s\n", event->kind, event->text);
}

static void port_log(void *ctx, int level, const char *text)
{
	(void)ctx;
	if (getenv("TEST_ENGINE_TRACE"))
		print_message("log %d: %s\n", level, text);
}

static int account_region(void *ctx, const char *account, const char **ret, char *ret_error, size_t error_size)
{
	const struct bench *b = ctx;
	(void)account;
	*ret = NULL;
	if (b->region_error)
		(void)snprintf(ret_error, error_size, "%s", b->region_error);
	return b->region_error ? 1 : 0;
}

static bool account_known(void *ctx, const char *account)
{
	(void)ctx;
	return strcmp(account, "default") == 0;
}

static const char *account_name(void *ctx, size_t index)
{
	(void)ctx;
	return index == 0 ? "other" : index == 1 ? "default" : NULL;
}

/* --- life --- */

void bench_load(struct bench *b)
{
	struct ports ports = {.ctx = b,
			      .now = port_now,
			      .entropy = port_entropy,
			      .wake_at = port_wake_at,
			      .send = port_send,
			      .credentials = port_credentials,
			      .describe_keys = port_describe_keys,
			      .endpoint = port_endpoint,
			      .load_artifact = port_load_artifact,
			      .load_event = port_load_event,
			      .run_hook = port_run_hook,
			      .published = port_published,
			      .log = port_log};

	assert_int_equal(engine_new(&b->config, &ports, b->store, &b->e), 0);
	b->wake_ms = b->now.boot_ms;
}

struct bench *bench_new_world(const char *world)
{
	struct bench *b = mem_alloc(sizeof(*b));
	struct diags *diags cleanup(mem_free_p) = mem_alloc(sizeof(*diags));

	b->now = (struct instant){START_UNIX_MS, START_BOOT_MS};
	b->world = world_new(7);
	world_require_signatures(b->world, false);
	world_serve_admin(b->world, true);
	assert_int_equal(world_load(b->world, world, strlen(world), b->now, diags), 0);
	diags_deinit(diags);
	b->store = store_open_memory();
	b->good_ops = b->store->ops;
	b->config = (struct engine_config){.region = "us-east-1",
					   .lambda_rps = 10,
					   .cloudwatch_rps = 25,
					   .apigateway_rps = 5,
					   .boot_id = "boot-1",
					   .account_region = account_region,
					   .account_known = account_known,
					   .account_name = account_name,
					   .account_ctx = b};
	bench_load(b);
	return b;
}

struct bench *bench_new(void)
{
	return bench_new_world(world_text);
}

/* What is under way is answered by nobody; what the engine makes of that is lost with it. */
void bench_drop_flights(struct bench *b)
{
	static const struct exec_result killed = {.started = true, .status = 137, .output = ""};

	if (b->hook.cb) {
		b->hook.cb(b->hook.arg, &killed);
		b->hook.cb = NULL;
	}
	end_loads(b);
	end_event(b);
	while (b->n_flights > 0) {
		struct flight f = b->flights[--b->n_flights];

		f.cb(f.arg, TRANSPORT_NO_ANSWER, NULL, "killed");
		world_reply_deinit(&f.reply);
	}
}

void bench_crash(struct bench *b)
{
	b->forgetful = b->forgetful || b->store->ops != b->good_ops || b->e->store_failing;
	bench_drop_flights(b);
	engine_free(b->e);
	bench_load(b);
}

void bench_free(struct bench *b)
{
	b->store->ops = b->good_ops;
	bench_drop_flights(b);
	engine_free(b->e);
	store_close(b->store);
	world_free(b->world);
	free(b->file.base64);
	free(b);
}

static int commit_fails(struct store *s)
{
	return store_fail(s, -ENOSPC, "no space left");
}

void bench_store_fails(struct bench *b, bool fails)
{
	b->bad_ops = *b->good_ops;
	b->bad_ops.commit = commit_fails;
	b->store->ops = fails ? &b->bad_ops : b->good_ops;
}

/* --- time --- */

static void bench_answer(struct bench *b, size_t at)
{
	struct flight f = b->flights[at];

	b->flights[at] = b->flights[--b->n_flights];
	if (f.reply.fate == WORLD_ANSWER)
		f.cb(f.arg, TRANSPORT_ANSWERED, &f.reply.response, NULL);
	else
		f.cb(f.arg, TRANSPORT_NO_ANSWER, NULL, "no answer came");
	world_reply_deinit(&f.reply);
}

static int64_t bench_next_ms(const struct bench *b)
{
	int64_t at = b->wake_ms;

	for (size_t n = 0; n < b->n_flights; n++)
		at = b->flights[n].due_ms < at ? b->flights[n].due_ms : at;
	if (b->hook.cb && b->hook.due_ms < at)
		at = b->hook.due_ms;
	if (b->file.n_loads > 0 || b->event.waiting > 0)
		at = b->now.boot_ms;
	return at;
}

static void bench_turn(struct bench *b)
{
	b->turns++;
	b->wake_ms = INT64_MAX;
	engine_turn(b->e);
}

/* One batch of answers and timers, and its turn. Returns whether anything was due until then. */
bool bench_step(struct bench *b, int64_t until_ms)
{
	int64_t at = bench_next_ms(b);

	if (at > until_ms)
		return false;
	if (at > b->now.boot_ms) {
		b->now.unix_ms += at - b->now.boot_ms;
		b->now.boot_ms = at;
		world_advance(b->world, b->now);
	}
	for (size_t n = b->n_flights; n-- > 0;)
		if (b->flights[n].due_ms <= b->now.boot_ms)
			bench_answer(b, n);
	if (b->hook.cb && b->hook.due_ms <= b->now.boot_ms)
		end_hook(b);
	end_loads(b);
	end_event(b);
	bench_turn(b);
	return true;
}

void bench_run_for(struct bench *b, int64_t ms)
{
	int64_t until_ms = b->now.boot_ms + ms;
	unsigned before = b->turns;

	while (bench_step(b, until_ms))
		assert_true(b->turns - before < 100000);
	b->now.unix_ms += until_ms - b->now.boot_ms;
	b->now.boot_ms = until_ms;
	world_advance(b->world, b->now);
}

/* --- plans and views --- */

const char *bench_plan_text(const char *name, int version, const char *more)
{
	static char text[1024];

	(void)snprintf(text, sizeof(text),
		       "apiVersion: rolloutd/v1\nkind: Rollout\nname: %s\nfunction: hello\nalias: prod\nversion: %d\n"
		       "steps: [{weight: 10%%, bake: 2m}, {weight: 50%%, bake: 2m}]\n%s",
		       name, version, more);
	return text;
}

enum intake_result bench_take(struct bench *b, const char *source, const char *text, char *ret_text)
{
	struct diags *diags cleanup(mem_free_p) = mem_alloc(sizeof(*diags));
	struct plan *p = plan_load(text, strlen(text), diags);
	char hash[SHA256_HEX_SIZE];

	if (!p)
		fail_msg("%s\n%s", diags->items[0].text, text);
	diags_deinit(diags);
	sha256_hex(text, strlen(text), hash);
	return engine_take_plan(b->e, p, source, hash, "", ret_text);
}

enum intake_result bench_take_file(struct bench *b, const char *name, int version)
{
	char text[LIMIT_REASON], file[80];

	(void)snprintf(file, sizeof(file), "%s.yaml", name);
	return bench_take(b, file, bench_plan_text(name, version, ""), text);
}

void bench_keep(void *ctx, const struct view_rollout *v)
{
	struct seen *s = ctx;

	s->any = true;
	s->attempt = v->attempt;
	s->phase = v->unreadable ? PHASE_BLOCKED : v->state->phase;
	s->state = *v->state;
}

struct seen bench_look(struct bench *b, const char *name)
{
	struct seen s = {0};

	assert_true(engine_view(b->e, name, bench_keep, &s));
	return s;
}

void bench_assert_phase(struct bench *b, const char *name, enum rollout_phase phase)
{
	struct seen s = bench_look(b, name);

	if (s.phase != phase)
		print_message("%s is %s, not %s: %s\n", name, rollout_phase_name(s.phase), rollout_phase_name(phase),
			      s.state.reason);
	assert_int_equal(s.phase, phase);
}

enum engine_answer bench_command(struct bench *b, const char *name, enum rollout_command c)
{
	char text[LIMIT_REASON];
	enum engine_answer a = engine_command(b->e, name, c, "uid=0 pid=1", "", text);

	assert_true(text[0] != '\0' || a == ENGINE_NO_SUCH);
	return a;
}

void bench_admin(struct bench *b, const char *method, const char *path, const char *body)
{
	struct http_request request = {.method = method,
				       .scheme = "http",
				       .host = "localhost",
				       .path = path,
				       .query = "",
				       .body = body,
				       .body_len = strlen(body)};
	struct world_reply reply = {0};

	world_handle(b->world, &request, b->now, &reply);
	if (reply.response.status / 100 != 2)
		fail_msg("%s %s %s: %s", method, path, body, reply.response.body);
	world_reply_deinit(&reply);
}

/* "1", or "1+2@0.1". */
const char *bench_alias_holds(struct bench *b)
{
	static char text[64];
	struct http_request request = {
	    .method = "GET", .scheme = "http", .host = "localhost", .path = ALIAS_PATH, .query = ""};
	struct world_reply reply = {0};

	world_handle(b->world, &request, b->now, &reply);
	json_t *j = json_loadb(reply.response.body, reply.response.body_len, 0, NULL);
	json_t *weights = json_object_get(json_object_get(j, "RoutingConfig"), "AdditionalVersionWeights");
	void *first = json_object_iter(weights);

	if (first)
		(void)snprintf(text, sizeof(text), "%s+%s@%g", json_string_value(json_object_get(j, "FunctionVersion")),
			       json_object_iter_key(first), json_number_value(json_object_iter_value(first)));
	else
		(void)snprintf(text, sizeof(text), "%s", json_string_value(json_object_get(j, "FunctionVersion")));
	json_decref(j);
	world_reply_deinit(&reply);
	return text;
}

bool bench_ends_well(struct bench *b, const char *name)
{
	return bench_look(b, name).phase == PHASE_SUCCEEDED;
}
