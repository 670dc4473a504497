/*
 * The product's side: the same UpdateAlias calls made by the production engine, with its store on disk and its
 * transport on libuv. SLOTS rollouts step through 99 weights as fast as the answers come; every call is decided by the
 * state machine, recorded durably (intent, record, events), signed, sent, parsed, and recorded again.
 *
 * Rounds of fresh rollouts, each on functions of its own, until CALLS calls were measured. Of each round only the part
 * between a tenth and nine tenths of its calls counts, so that reading plans and starting rollouts stay out of it.
 */
#include <curl/curl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "daemon/io/transport.h"
#include "daemon/io/turn.h"
#include "daemon/io/waker.h"
#include "engine/engine.h"
#include "tests/bench/bench.h"

#define STEPS 99

struct bench {
	struct bench_args args;
	uv_loop_t loop;
	struct transport *transport;
	struct turn *turn;
	struct waker *waker;
	struct store *store;
	struct engine *engine;
	unsigned functions;   /* used so far */
	uint64_t round_calls; /* answered in this round */
	uint64_t measured;
	double began_us;
	double cpu_us;
	bool measuring;
	bool round_over;
};

static int64_t clock_ms(clockid_t id)
{
	struct timespec t;

	(void)clock_gettime(id, &t);
	return t.tv_sec * MS_PER_SECOND + t.tv_nsec / 1000000;
}

static struct instant port_now(void *ctx)
{
	(void)ctx;
	return (struct instant){clock_ms(CLOCK_REALTIME), clock_ms(CLOCK_BOOTTIME)};
}

static uint64_t port_entropy(void *ctx)
{
	(void)ctx;
	return (uint64_t)random();
}

static void port_wake_at(void *ctx, int64_t boot_ms)
{
	struct bench *b = ctx;

	waker_set(b->waker, boot_ms);
}

/* As in the daemon: an answer is handed on, and asks for a turn. */
struct flight {
	struct bench *bench;
	transport_cb cb;
	void *arg;
};

static void answered(void *arg, enum transport_result result, const struct http_response *response, const char *error)
{
	struct flight *f = arg;

	turn_want(f->bench->turn);
	f->cb(f->arg, result, response, error);
	free(f);
}

static void port_send(void *ctx, const struct http_request *request, int64_t timeout_ms, transport_cb cb, void *arg)
{
	struct bench *b = ctx;
	struct flight *f = mem_alloc(sizeof(*f));

	*f = (struct flight){.bench = b, .cb = cb, .arg = arg};
	transport_send(b->transport, request, timeout_ms, answered, f);
}

static int port_credentials(void *ctx, const char *account, struct aws_credentials *ret, char *ret_error,
			    size_t error_size)
{
	(void)ctx;
	(void)account;
	(void)ret_error;
	(void)error_size;
	*ret = (struct aws_credentials){
	    .access_key_id = mem_strdup(BENCH_KEY),
	    .secret_access_key = mem_strdup(BENCH_KEY),
	    .expires_unix_ms = INT64_MAX,
	};
	return 0;
}

static int port_endpoint(void *ctx, const char *account, enum aws_service service, const char *region,
			 struct aws_endpoint *ret, char *ret_error, size_t error_size)
{
	(void)account;
	const struct bench *b = ctx;

	(void)service;
	(void)region;
	(void)ret_error;
	(void)error_size;
	*ret = (struct aws_endpoint){.scheme = "http"};
	(void)snprintf(ret->host, sizeof(ret->host), "%s", b->args.host);
	return 0;
}

/* Each weight that landed is one UpdateAlias. */
static void port_published(void *ctx, const struct store_event *event)
{
	struct bench *b = ctx;
	uint64_t all = (uint64_t)b->args.slots * STEPS;

	if (strcmp(event->kind, rollout_announce_name(ANNOUNCE_PHASE)) == 0 &&
	    strcmp(event->phase, rollout_phase_name(PHASE_PROGRESSING)) != 0 &&
	    strcmp(event->phase, rollout_phase_name(PHASE_PREPARING)) != 0)
		bench_fail(event->name, event->text);
	if (strcmp(event->kind, rollout_announce_name(ANNOUNCE_WEIGHT)) != 0)
		return;
	b->round_calls++;
	/* A turn may come before the loop waits: there is nothing to wait for any more. */
	if (b->round_calls >= all)
		uv_stop(&b->loop);
	if (!b->measuring && !b->round_over && b->round_calls >= all / 10) {
		b->measuring = true;
		b->measured -= b->round_calls;
		b->began_us = bench_cpu_us();
	} else if (b->measuring && b->round_calls >= all - all / 10) {
		b->measuring = false;
		b->round_over = true;
		b->measured += b->round_calls;
		b->cpu_us += bench_cpu_us() - b->began_us;
	}
}

static void port_log(void *ctx, int level, const char *text)
{
	(void)ctx;
	if (level <= 4)
		(void)fprintf(stderr, "engine: %s\n", text);
}

static bool any_account(void *ctx, const char *account)
{
	(void)ctx;
	(void)account;
	return true;
}

static int no_region(void *ctx, const char *account, const char **ret, char *ret_error, size_t error_size)
{
	(void)ctx;
	(void)account;
	(void)ret_error;
	(void)error_size;
	*ret = NULL;
	return 0;
}

static void turn_cb(void *ctx)
{
	struct bench *b = ctx;

	engine_turn(b->engine);
}

static void wake_cb(void *ctx)
{
	struct bench *b = ctx;

	turn_want(b->turn);
}

static void take_plan(struct bench *b)
{
	struct buf text cleanup(buf_deinit) = BUF_INIT(LIMIT_PLAN_BYTES);
	struct diags diags = {0};
	char why[LIMIT_REASON];
	unsigned n = b->functions++;

	buf_addf(
	    &text,
	    "{apiVersion: rolloutd/v1, kind: Rollout, name: bench-%u, function: bench-%u, alias: live, version: 2, "
	    "analysis: {pace: clock, every: 1h, period: 1h, no_data: pass, metrics: [errors: {max_rate: 1%%, "
	    "min_invocations: 1}]}, steps: [",
	    n, n);
	for (unsigned s = 1; s <= STEPS; s++)
		buf_addf(&text, "{weight: %u%%, bake: 1ms}, ", s);
	buf_add_text(&text, "]}");

	struct plan *plan = plan_load(buf_text(&text), text.len, &diags);

	if (!plan)
		bench_fail("plan", diags.items[0].text);
	if (engine_take_plan(b->engine, plan, "bench", plan->hash, "bench", why) != INTAKE_STARTED)
		bench_fail("engine_take_plan", why);
	diags_deinit(&diags);
}

static void setup(struct bench *b, const char *folder)
{
	struct ports ports = {
	    .ctx = b,
	    .now = port_now,
	    .entropy = port_entropy,
	    .wake_at = port_wake_at,
	    .send = port_send,
	    .credentials = port_credentials,
	    .endpoint = port_endpoint,
	    .published = port_published,
	    .log = port_log,
	};
	struct engine_config config = {
	    .region = BENCH_REGION,
	    .lambda_rps = 1e6,
	    .cloudwatch_rps = 1e6,
	    .apigateway_rps = 1e6,
	    .boot_id = "bench",
	    .account_region = no_region,
	    .account_known = any_account,
	};
	struct transport_config transport = {.user_agent = "rolloutd-bench"};
	char path[256], error[256];

	(void)curl_global_init(CURL_GLOBAL_DEFAULT);
	(void)uv_loop_init(&b->loop);
	turn_new(&b->loop, turn_cb, b, &b->turn);
	if (transport_new(&b->loop, &transport, &b->transport, error, sizeof(error)) != 0 ||
	    waker_new(&b->loop, wake_cb, b, &b->waker) != 0)
		bench_fail("the loop", "cannot be set up");
	(void)snprintf(path, sizeof(path), "%s/bench.db", folder);
	if (store_open_sqlite(path, &b->store) != 0)
		bench_fail(path, store_error_text(NULL));
	if (engine_new(&config, &ports, b->store, &b->engine) != 0)
		bench_fail("engine_new", store_error_text(b->store));
}

/* What is left of the rollouts stays where it is: the folder and the world end with this program. */
static void teardown(struct bench *b)
{
	transport_abort(b->transport);
	engine_free(b->engine);
	store_close(b->store);
	transport_close(b->transport);
	waker_close(b->waker);
	turn_close(b->turn);
	(void)uv_run(&b->loop, UV_RUN_DEFAULT);
	(void)uv_loop_close(&b->loop);
	curl_global_cleanup();
}

int main(int argc, char **argv)
{
	struct bench b = {.args = bench_args_read(argc, argv)};

	if (argc < 5)
		bench_fail("usage", "HOST:PORT CALLS SLOTS FOLDER");
	setup(&b, argv[4]);
	while (b.measured < b.args.calls) {
		b.round_calls = 0;
		b.round_over = false;
		for (unsigned s = 0; s < b.args.slots; s++)
			take_plan(&b);
		turn_want(b.turn);
		while (b.round_calls < (uint64_t)b.args.slots * STEPS)
			(void)uv_run(&b.loop, UV_RUN_ONCE);
	}
	printf("%.3f\n", b.cpu_us / (double)b.measured);
	teardown(&b);
	return 0;
}
