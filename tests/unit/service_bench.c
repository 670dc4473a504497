/* See service_bench.h. */
#include "service_bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <openssl/evp.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/service.h"

static const char empty_world[] = "seed: 3\nlimits: off\ninvoke_delay: false\nfunctions: {}\n";
static const char *const aliases[] = {"dev", "test", "prod"};

/* --- the zip --- */

static void put_16(struct buf *out, unsigned v)
{
	buf_add_char(out, (char)(v & 255));
	buf_add_char(out, (char)(v >> 8 & 255));
}

static void put_32(struct buf *out, size_t v)
{
	put_16(out, (unsigned)(v & 65535));
	put_16(out, (unsigned)(v >> 16));
}

static void put_entry(struct buf *out, const char *name, size_t len)
{
	put_16(out, 0);
	put_32(out, 0);
	put_32(out, 0);
	put_32(out, len);
	put_32(out, len);
	put_16(out, (unsigned)strlen(name));
	put_16(out, 0);
}

/* One entry, stored. */
static struct buf make_zip(const char *name, const char *text)
{
	struct buf z = BUF_INIT(4096);
	size_t directory, size;

	buf_add(&z, "PK\3\4\24\0\0\0", 8);
	put_entry(&z, name, strlen(text));
	buf_add_text(&z, name);
	buf_add_text(&z, text);
	directory = z.len;
	buf_add(&z, "PK\1\2\24\0\24\0\0\0", 10);
	put_entry(&z, name, strlen(text));
	for (int i = 0; i < 3; i++)
		put_32(&z, 0);
	put_16(&z, 0);
	buf_add_text(&z, name);
	size = z.len - directory;
	buf_add(&z, "PK\5\6\0\0\0\0\1\0\1\0", 12);
	put_32(&z, size);
	put_32(&z, directory);
	put_16(&z, 0);
	return z;
}

void service_bench_zip(struct bench *b, const char *body)
{
	struct buf zip cleanup(buf_deinit) = {0};
	char *text cleanup(mem_free_p) = NULL;
	unsigned char hash[SHA256_BYTES];

	free(take_ptr(b->file.base64));
	if (!body)
		return;
	text = mem_printf("{\"response\": {\"status\": 200, \"body\": \"%s\"}}", body);
	zip = make_zip("localaws.json", text);
	b->file.base64 = mem_alloc(zip.len / 3 * 4 + 8);
	EVP_EncodeBlock((unsigned char *)b->file.base64, (const unsigned char *)zip.data, (int)zip.len);
	sha256_bytes(zip.data, zip.len, hash);
	EVP_EncodeBlock((unsigned char *)b->file.sha256, hash, SHA256_BYTES);
}

/* --- what is sent --- */

static int count_intent(void *ctx, const struct store_intent *i)
{
	(void)i;
	++*(uint64_t *)ctx;
	return 0;
}

static bool is_change(const struct http_request *r)
{
	return strcmp(r->method, "GET") != 0 && !strstr(r->path, "/invocations") &&
	       !text_ends_with(r->host, ".example") && strcmp(r->path, "/") != 0;
}

static void sent(struct bench *b, const struct http_request *r)
{
	struct service_sends *s = b->sent_ctx;
	uint64_t intents = 0;
	char what[256];

	if (!is_change(r))
		return;
	s->changes++;
	for (uint64_t id = 1; id < 500; id++)
		(void)!store_each_intent(b->store, id, count_intent, &intents);
	(void)snprintf(what, sizeof(what), "%s %s %.120s", r->method, r->path, r->body ? r->body : "");
	if (getenv("TEST_ENGINE_TRACE"))
		print_message("%10.1f -> %s\n", (double)(b->now.boot_ms - START_BOOT_MS) / 1000, what);
	/* The same again is a try that was throttled before. */
	if (strcmp(what, s->last) != 0 && ++s->used > intents) {
		print_message("without an intent: %s\n", what);
		s->unrecorded++;
	}
	(void)text_copy(s->last, sizeof(s->last), what);
	if (strcmp(r->method, "POST") == 0) {
		s->apis += text_ends_with(r->path, "/restapis") || text_ends_with(r->path, "/v2/apis");
		s->deployments += text_ends_with(r->path, "/deployments");
		s->integrations += text_ends_with(r->path, "/integrations");
	}
	if (s->crash_at != 0 && s->changes == s->crash_at)
		s->struck = true;
}

/* --- life --- */

struct bench *service_bench_new(const char *world, struct service_sends *sends)
{
	struct bench *b = bench_new_world(world ? world : empty_world);

	*sends = (struct service_sends){0};
	b->sent = sent;
	b->sent_ctx = sends;
	service_bench_zip(b, "Hello V1");
	return b;
}

void service_bench_free(struct bench *b)
{
	const struct service_sends *s = b->sent_ctx;

	assert_int_equal(s->unrecorded, 0);
	bench_free(b);
}

const char *service_bench_text(const char *kind, const char *prod)
{
	static char text[2048];

	(void)snprintf(
	    text, sizeof(text),
	    "apiVersion: rolloutd/v1\nkind: Service\nname: hello\nfunction: hello\ncode: {zip: hello.zip}\n"
	    "create: {role: 'arn:aws:iam::123456789012:role/hello', runtime: python3.12, handler: "
	    "index.handler}\naliases:\n  dev: {version: $LATEST}\n  test: {version: latest, rollout: "
	    "{strategy: AllAtOnce}}\n  prod: %s\napi:\n  name: hello-api\n  type: %s\n"
	    "  routes: [{method: GET, path: /hello}]\n  stages: {dev: dev, test: test, prod: prod}\n"
	    "  probe: {path: /hello, expect_status: 200}\ncheck_every: 5m\n",
	    prod ? prod : "{version: latest, rollout: {steps: [{weight: 10%, bake: 1m}], analysis: {no_data: pass}}}",
	    kind);
	return text;
}

void service_bench_take(struct bench *b, const char *text)
{
	char why[LIMIT_REASON];
	enum intake_result r = bench_take(b, "hello.yaml", text, why);

	if (r == INTAKE_REFUSED)
		fail_msg("refused: %s", why);
}

static void keep(void *ctx, const struct view_service *v)
{
	struct service_seen *s = ctx;

	s->any = true;
	s->phase = v->phase;
	(void)text_copy(s->reason, sizeof(s->reason), v->reason ? v->reason : "");
	(void)text_copy(s->trouble, sizeof(s->trouble), v->trouble ? v->trouble : "");
	s->changes_made = v->changes_made;
	s->n_changes = v->changes ? v->changes->len : 0;
}

struct service_seen service_bench_look(struct bench *b, const char *name)
{
	struct service_seen s = {0};

	assert_true(engine_service(b->e, name, keep, &s));
	return s;
}

void service_bench_assert(struct bench *b, enum rollout_phase phase)
{
	struct service_seen s = service_bench_look(b, "hello");

	if (s.phase != phase)
		fail_msg("hello is %s, not %s: %s (%s)\n%s", rollout_phase_name(s.phase), rollout_phase_name(phase),
			 s.reason, s.trouble,
			 b->published + (strlen(b->published) > 1500 ? strlen(b->published) - 1500 : 0));
}

bool service_bench_until(struct bench *b, enum rollout_phase phase, int64_t ms)
{
	int64_t until_ms = b->now.boot_ms + ms;
	const struct service_sends *s = b->sent_ctx;

	for (unsigned n = 0; n < STEP_LIMIT; n++) {
		if (s->struck || service_bench_look(b, "hello").phase == phase)
			return true;
		if (!bench_step(b, until_ms))
			return false;
	}
	fail_msg("%d steps are too many", STEP_LIMIT);
	return false;
}

/* --- what AWS has --- */

int service_bench_ask(struct bench *b, const char *method, const char *path, const char *query, const char *body,
		      char **ret_body)
{
	struct http_request request = {.method = method,
				       .scheme = "http",
				       .host = strstr(path, "apis") ? "apigateway.localhost" : "lambda.localhost",
				       .path = path,
				       .query = query,
				       .body = body,
				       .body_len = strlen(body)};
	struct world_reply reply = {0};
	int status;

	http_request_add_header(&request, "Host", request.host);
	world_handle(b->world, &request, b->now, &reply);
	status = reply.response.status;
	if (ret_body)
		*ret_body = mem_strndup(reply.response.body ? reply.response.body : "", reply.response.body_len);
	world_reply_deinit(&reply);
	return status;
}

static json_t *ask_json(struct bench *b, const char *path, const char *query)
{
	char *body cleanup(mem_free_p) = NULL;
	int status = service_bench_ask(b, "GET", path, query, "", &body);
	json_t *j = json_loads(body, 0, NULL);

	if (status != 200 || !j)
		fail_msg("GET %s?%s: %d %s", path, query, status, body);
	return j;
}

const char *service_bench_holds(struct bench *b)
{
	static char text[128];
	size_t len = 0;

	text[0] = '\0';
	for (size_t n = 0; n < array_len(aliases); n++) {
		char path[128];
		json_t *j;

		(void)snprintf(path, sizeof(path), FUNCTION "/aliases/%s", aliases[n]);
		j = ask_json(b, path, "");
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s%s", n > 0 ? " " : "",
					json_string_value(json_object_get(j, "FunctionVersion")),
					json_object_size(json_object_get(json_object_get(j, "RoutingConfig"),
									 "AdditionalVersionWeights")) > 0
					    ? "+"
					    : "");
		json_decref(j);
	}
	return text;
}

static void assert_one_statement(struct bench *b, const char *alias)
{
	char query[64];
	json_t *j, *policy, *statements;

	(void)snprintf(query, sizeof(query), "Qualifier=%s", alias);
	j = ask_json(b, FUNCTION "/policy", query);
	policy = json_loads(json_string_value(json_object_get(j, "Policy")), 0, NULL);
	statements = json_object_get(policy, "Statement");
	assert_int_equal(json_array_size(statements), 1);
	json_decref(policy);
	json_decref(j);
}

static void assert_answers(struct bench *b, const char *api, const char *stage, const char *want)
{
	char path[128], *body cleanup(mem_free_p) = NULL;

	(void)snprintf(path, sizeof(path), "/restapis/%s/%s/_user_request_/hello", api, stage);
	assert_int_equal(service_bench_ask(b, "GET", path, "", "", &body), 200);
	if (strcmp(stage, "dev") != 0)
		assert_string_equal(body, want);
}

void service_bench_assert_answers(struct bench *b, const char *kind, const char *body)
{
	bool rest = strcmp(kind, "rest") == 0;
	json_t *j = ask_json(b, rest ? "/restapis" : "/v2/apis", "");
	json_t *items = json_object_get(j, rest ? "item" : "items");
	const char *id = json_string_value(json_object_get(json_array_get(items, 0), rest ? "id" : "apiId"));

	assert_int_equal(json_array_size(items), 1);
	for (size_t n = 0; n < array_len(aliases); n++) {
		assert_one_statement(b, aliases[n]);
		assert_answers(b, id, aliases[n], body);
	}
	json_decref(j);
}

void service_bench_assert_whole(struct bench *b, const char *kind, const char *body, size_t versions)
{
	json_t *list = ask_json(b, FUNCTION "/versions", "");

	service_bench_assert_answers(b, kind, body);
	assert_int_equal(json_array_size(json_object_get(list, "Versions")), versions + 1);
	json_decref(list);
}

struct bench *service_bench_kept(const char *kind, struct service_sends *s)
{
	struct bench *b = service_bench_new(NULL, s);

	service_bench_take(b, service_bench_text(kind, NULL));
	if (!service_bench_until(b, PHASE_SUCCEEDED, HOUR))
		service_bench_assert(b, PHASE_SUCCEEDED);
	return b;
}

void service_bench_assert_recovers(struct bench *b, const char *kind, const char *what, unsigned n)
{
	struct service_sends *s = b->sent_ctx;
	unsigned calls;

	s->struck = false;
	s->crash_at = 0;
	if (!service_bench_until(b, PHASE_SUCCEEDED, 3 * HOUR)) {
		print_message("%s %u: %s\n", what, n, s->last);
		service_bench_assert(b, PHASE_SUCCEEDED);
	}
	service_bench_assert_whole(b, kind, "Hello V1", 1);
	assert_string_equal(service_bench_holds(b), "$LATEST 1 1");
	calls = s->changes;
	b->calls = 0;
	bench_run_for(b, HOUR);
	service_bench_assert(b, PHASE_SUCCEEDED);
	assert_int_equal(s->changes, calls);
	assert_in_range(b->calls, 1, 400);
}

void service_bench_update(struct bench *b, const char *body)
{
	service_bench_zip(b, body);
	engine_check_services(b->e, "hello.zip");
	engine_turn(b->e);
}

void service_bench_assert_updated(struct bench *b, const char *kind, const char *what, unsigned n)
{
	struct service_sends *s = b->sent_ctx;
	unsigned changes;

	bench_run_for(b, HOUR);
	if (service_bench_look(b, "hello").phase != PHASE_SUCCEEDED)
		print_message("%s %u\n", what, n);
	service_bench_assert(b, PHASE_SUCCEEDED);
	service_bench_assert_whole(b, kind, "Hello V2", 2);
	if (strcmp(service_bench_holds(b), "$LATEST 2 2") != 0)
		fail_msg("%s %u: %s", what, n, service_bench_holds(b));
	assert_int_equal(bench_look(b, "hello.prod").attempt, 1);
	assert_int_equal(bench_look(b, "hello.test").attempt, 1);
	changes = s->changes;
	bench_run_for(b, HOUR);
	assert_int_equal(s->changes, changes);
}
