/* One simulated rollout: the engine's ports, the traffic, and what is seen of it from outside. */
#include "simulate/simulate.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/poisson.h"
#include "base/text.h"
#include "engine/engine.h"
#include "sim/world.h"
#include "simulate/fine.h"

#define START_UNIX_MS	 INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */
#define START_SPREAD_MS	 MS_PER_HOUR		/* rollouts begin anywhere within a metric period */
#define START_BOOT_MS	 5000
#define BEFORE_MS	 (4 * MS_PER_HOUR) /* of traffic before it begins, for what looks back */
#define BEFORE_PART_MS	 (5 * MS_PER_MINUTE)
#define PART_MS		 MS_PER_MINUTE /* Lambda's own metric period */
#define ANSWER_MS	 50	       /* a call takes so long */
#define WORLD_TEXT_BYTES (16 * 1024)

struct flight {
	transport_cb cb;
	void *arg;
	int64_t due_ms;
	struct world_reply reply;
};

struct simulation {
	const struct plan *plan; /* as it is simulated; the engine has its own */
	const struct simulate_load *load;
	struct prng arrivals;
	struct prng entropy;
	struct instant now;
	struct world *world;
	struct store *store;
	struct engine *engine;
	struct flight flights[LIMIT_CALLS_IN_FLIGHT];
	size_t n_flights;
	artifact_cb event_cb; /* a probe's event is being read; NULL: none is */
	void *event_arg;
	int64_t wake_ms;
	int64_t drawn_ms; /* traffic is drawn up to here; wall time */
	double share;	  /* the canary's, since then */
	int64_t first_ms; /* of its first weight; -1: not yet */
	int64_t home_ms;  /* when it came back; -1: not yet */
	enum rollout_phase phase;
	struct simulate_run *run;
};

/* --- traffic --- */

/* Within one part. Those that fail and those that do not are Poisson processes of their own. */
static void draw_part(struct simulation *s, uint64_t version, int64_t at_ms, double mean, double rate)
{
	uint64_t failed = poisson_draw(&s->arrivals, mean * rate);
	uint64_t all = failed + poisson_draw(&s->arrivals, mean * (1 - rate));

	world_count_requests(s->world, s->plan->function, s->plan->alias, version, at_ms, all, failed);
	if (s->first_ms < 0 || s->home_ms >= 0)
		return;
	s->run->requests += all;
	if (version == FINE_CANARY) {
		s->run->canary += all;
		s->run->failed += failed;
	}
}

static void draw_traffic(struct simulation *s, int64_t until_ms, int64_t part_ms)
{
	while (s->drawn_ms < until_ms) {
		int64_t end_ms = s->drawn_ms - s->drawn_ms % part_ms + part_ms;
		double mean;

		end_ms = end_ms < until_ms ? end_ms : until_ms;
		mean = s->load->rps * (double)(end_ms - s->drawn_ms) / MS_PER_SECOND;
		if (s->share < 1)
			draw_part(s, FINE_STABLE, s->drawn_ms, mean * (1 - s->share), s->load->stable_rate);
		if (s->share > 0)
			draw_part(s, FINE_CANARY, s->drawn_ms, mean * s->share, s->load->canary_rate);
		s->drawn_ms = end_ms;
	}
}

static void look_at_alias(struct simulation *s)
{
	struct world_alias a;

	require(world_look_at_alias(s->world, s->plan->function, s->plan->alias, &a));
	s->share = a.version == FINE_CANARY ? 1 : a.extra_version == FINE_CANARY ? a.extra_weight : 0;
	if (s->share > 0 && s->first_ms < 0)
		s->first_ms = s->now.unix_ms;
	if (s->share <= 0 && s->first_ms >= 0 && s->home_ms < 0)
		s->home_ms = s->now.unix_ms;
}

/* --- ports --- */

static struct instant port_now(void *ctx)
{
	return ((struct simulation *)ctx)->now;
}

static uint64_t port_entropy(void *ctx)
{
	return prng_next(&((struct simulation *)ctx)->entropy);
}

static void port_wake_at(void *ctx, int64_t boot_ms)
{
	((struct simulation *)ctx)->wake_ms = boot_ms;
}

static void port_send(void *ctx, const struct http_request *request, int64_t timeout_ms, transport_cb cb, void *arg)
{
	struct simulation *s = ctx;
	struct http_request copy = *request;
	struct flight *f;

	(void)timeout_ms;
	require(s->n_flights < array_len(s->flights));
	f = &s->flights[s->n_flights++];
	*f = (struct flight){.cb = cb, .arg = arg, .due_ms = s->now.boot_ms + ANSWER_MS};
	http_request_add_header(&copy, "Host", copy.host);
	draw_traffic(s, s->now.unix_ms, PART_MS);
	world_handle(s->world, &copy, s->now, &f->reply);
	look_at_alias(s);
}

static int port_credentials(void *ctx, const char *account, struct aws_credentials *ret, char *ret_error,
			    size_t error_size)
{
	(void)ctx;
	(void)account;
	(void)ret_error;
	(void)error_size;
	*ret = (struct aws_credentials){.access_key_id = mem_strdup("AKIDSIMULATED"),
					.secret_access_key = mem_strdup("simulated"),
					.expires_unix_ms = INT64_MAX};
	return 0;
}

static int port_endpoint(void *ctx, const char *account, enum aws_service service, const char *region,
			 struct aws_endpoint *ret, char *ret_error, size_t error_size)
{
	(void)ctx;
	(void)account;
	(void)region;
	(void)ret_error;
	(void)error_size;
	*ret = (struct aws_endpoint){.scheme = "http"};
	(void)snprintf(ret->host, sizeof(ret->host), "%s.localhost", endpoint_service_name(service));
	return 0;
}

/* No plan that is simulated has code or hooks. */
static void port_load_artifact(void *ctx, const char *path, bool content, artifact_cb cb, void *arg)
{
	(void)ctx;
	(void)path;
	(void)content;
	(void)cb;
	(void)arg;
	require(!"a simulated plan has no code");
}

/* What is in it makes no difference here. */
static void port_load_event(void *ctx, const char *path, artifact_cb cb, void *arg)
{
	struct simulation *s = ctx;

	(void)path;
	require(!s->event_cb); /* there is one rollout */
	s->event_cb = cb;
	s->event_arg = arg;
}

static void give_event(struct simulation *s)
{
	artifact_cb cb = s->event_cb;

	s->event_cb = NULL;
	if (cb)
		cb(s->event_arg, &(struct artifact){.text = "{}", .size = 2});
}

static void port_run_hook(void *ctx, const char *program, const char *input, int64_t timeout_ms, exec_cb cb, void *arg)
{
	(void)ctx;
	(void)program;
	(void)input;
	(void)timeout_ms;
	(void)cb;
	(void)arg;
	require(!"a simulated plan has no hooks");
}

static void port_published(void *ctx, const struct store_event *event)
{
	struct simulation *s = ctx;

	if (event->rollout_id == 0 || !rollout_phase_from_name(event->phase, &s->phase))
		return;
	if (strcmp(event->kind, "phase") == 0)
		(void)text_copy(s->run->why, sizeof(s->run->why), event->text);
}

static void port_log(void *ctx, int level, const char *text)
{
	(void)ctx;
	(void)level;
	(void)text;
}

static int account_region(void *ctx, const char *account, const char **ret, char *ret_error, size_t error_size)
{
	(void)ctx;
	(void)account;
	(void)ret_error;
	(void)error_size;
	*ret = NULL;
	return 0;
}

static bool account_known(void *ctx, const char *account)
{
	(void)ctx;
	(void)account;
	return true;
}

static const char *account_name(void *ctx, size_t index)
{
	(void)ctx;
	return index == 0 ? "default" : NULL;
}

/* --- the world --- */

static void describe_world(const struct simulation *s, struct buf *out)
{
	const struct spec_analysis *a = &s->plan->spec.analysis;

	buf_add_text(out, "functions: {");
	buf_add_json_string(out, s->plan->function);
	buf_addf(out, ": {versions: {%d: {code: one, latency: 1ms, error_rate: %.9f}, ", FINE_STABLE,
		 s->load->stable_rate);
	buf_addf(out, "%d: {code: two, latency: 1ms, error_rate: %.9f}}, aliases: {", FINE_CANARY,
		 s->load->canary_rate);
	buf_add_json_string(out, s->plan->alias);
	buf_addf(out, ": {version: %d}}}}\nlimits: off\nmetrics: {delay: 30s, jitter: 10s}\nalarms: [", FINE_STABLE);
	for (size_t i = 0; i < a->n_metrics; i++) {
		if (a->metrics[i].kind != SPEC_METRIC_ALARM)
			continue;
		buf_add_text(out, "{name: ");
		buf_add_json_string(out, a->metrics[i].alarm);
		buf_add_text(out, ", state: OK}, ");
	}
	buf_add_text(out, "]\n");
}

static void make_world(struct simulation *s, uint64_t seed)
{
	struct buf text cleanup(buf_deinit) = BUF_INIT(WORLD_TEXT_BYTES);
	struct diags *diags cleanup(mem_free_p) = mem_alloc(sizeof(*diags));

	describe_world(s, &text);
	require(buf_ok(&text));
	s->world = world_new(seed);
	world_require_signatures(s->world, false);
	require(world_load(s->world, buf_text(&text), text.len, s->now, diags) == 0);
	diags_deinit(diags);
}

static void begin(struct simulation *s, uint64_t seed)
{
	const struct ports ports = {.ctx = s,
				    .now = port_now,
				    .entropy = port_entropy,
				    .wake_at = port_wake_at,
				    .send = port_send,
				    .credentials = port_credentials,
				    .endpoint = port_endpoint,
				    .load_artifact = port_load_artifact,
				    .load_event = port_load_event,
				    .run_hook = port_run_hook,
				    .published = port_published,
				    .log = port_log};
	const struct engine_config config = {.region = "us-east-1",
					     .lambda_rps = 10,
					     .cloudwatch_rps = 25,
					     .apigateway_rps = 5,
					     .boot_id = "simulated",
					     .account_region = account_region,
					     .account_known = account_known,
					     .account_name = account_name};

	prng_init(&s->arrivals, seed);
	prng_init(&s->entropy, ~seed);
	s->now.boot_ms = START_BOOT_MS;
	s->now.unix_ms = START_UNIX_MS + (int64_t)prng_below(&s->entropy, START_SPREAD_MS);
	make_world(s, seed);
	s->drawn_ms = s->now.unix_ms - BEFORE_MS;
	draw_traffic(s, s->now.unix_ms, BEFORE_PART_MS);
	s->store = store_open_memory();
	require(engine_new(&config, &ports, s->store, &s->engine) == 0);
}

static void end(struct simulation *s)
{
	while (s->n_flights > 0) {
		struct flight f = s->flights[--s->n_flights];

		f.cb(f.arg, TRANSPORT_NO_ANSWER, NULL, "the simulation is over");
		world_reply_deinit(&f.reply);
	}
	give_event(s); /* nobody waits for it any more */
	engine_free(s->engine);
	store_close(s->store);
	world_free(s->world);
}

/* --- time --- */

static void answer(struct simulation *s, size_t at)
{
	struct flight f = s->flights[at];

	s->flights[at] = s->flights[--s->n_flights];
	require(f.reply.fate == WORLD_ANSWER);
	f.cb(f.arg, TRANSPORT_ANSWERED, &f.reply.response, NULL);
	world_reply_deinit(&f.reply);
}

/* The next turn of the engine. False: nothing will ever happen any more. */
static bool step(struct simulation *s)
{
	int64_t at_ms = s->event_cb ? s->now.boot_ms : s->wake_ms;

	for (size_t i = 0; i < s->n_flights; i++)
		at_ms = s->flights[i].due_ms < at_ms ? s->flights[i].due_ms : at_ms;
	if (at_ms == INT64_MAX)
		return false;
	if (at_ms > s->now.boot_ms) {
		s->now.unix_ms += at_ms - s->now.boot_ms;
		s->now.boot_ms = at_ms;
	}
	give_event(s);
	for (size_t i = s->n_flights; i-- > 0;)
		if (s->flights[i].due_ms <= s->now.boot_ms)
			answer(s, i);
	s->wake_ms = INT64_MAX;
	engine_turn(s->engine);
	return true;
}

/* --- how it ends --- */

static void tell_pause(void *ctx, const struct view_rollout *v)
{
	struct simulation *s = ctx;

	s->run->end = v->state->pause & PAUSE_FAILURE ? SIMULATE_PAUSED : SIMULATE_HELD;
}

static void tell_way_home(void *ctx, const struct view_rollout *v)
{
	struct simulation *s = ctx;

	s->run->end = v->state->concluded		  ? SIMULATE_CONCLUDED
		      : v->state->verdict == VERDICT_FAIL ? SIMULATE_ROLLED_BACK
							  : SIMULATE_RETURNED;
}

/* What an experiment that has come to its end has shown. */
static void tell_finding(void *ctx, const struct view_rollout *v)
{
	struct simulation *s = ctx;

	s->run->found = v->experiment.finding;
}

/* What the phase says of the end, as long as the engine still knows why. Returns whether it is the end. */
static bool look(struct simulation *s)
{
	switch (s->phase) {
	case PHASE_PAUSED:
		return engine_view(s->engine, s->plan->name, tell_pause, s);
	case PHASE_ROLLING_BACK:
		(void)engine_view(s->engine, s->plan->name, tell_way_home, s);
		return false;
	case PHASE_ROLLED_BACK:
		(void)engine_view(s->engine, s->plan->name, tell_finding, s);
		return true;
	case PHASE_SUCCEEDED:
		s->run->end = SIMULATE_SUCCEEDED;
		(void)engine_view(s->engine, s->plan->name, tell_finding, s);
		return true;
	case PHASE_FAILED:
	case PHASE_BLOCKED:
		s->run->end = SIMULATE_STUCK;
		return true;
	default:
		return false;
	}
}

static void run(struct simulation *s)
{
	int64_t start_ms = s->now.boot_ms;
	enum rollout_phase seen = PHASE_PENDING;

	for (unsigned turns = 0; turns < LIMIT_SIMULATE_TURNS; turns++) {
		if (s->now.boot_ms - start_ms > LIMIT_SIMULATE_MS || !step(s))
			return;
		if (s->phase != seen && look(s))
			return;
		seen = s->phase;
	}
}

void simulate_run(const struct plan *p, const struct simulate_load *load, uint64_t seed, struct simulate_run *ret)
{
	struct plan *plan cleanup(plan_free_p) = fine_plan(p);
	struct simulation *s = mem_alloc(sizeof(*s));
	char text[LIMIT_REASON];
	enum intake_result taken;

	*ret = (struct simulate_run){.end = SIMULATE_UNFINISHED, .lasted_ms = -1};
	*s = (struct simulation){
	    .plan = plan, .load = load, .first_ms = -1, .home_ms = -1, .wake_ms = INT64_MAX, .run = ret};
	begin(s, seed);
	taken = engine_take_plan(s->engine, fine_plan(p), "simulation", plan->hash, "", text);
	require(taken == INTAKE_STARTED);
	run(s);
	draw_traffic(s, s->now.unix_ms, PART_MS);
	if (s->first_ms >= 0)
		ret->lasted_ms = (s->home_ms >= 0 ? s->home_ms : s->now.unix_ms) - s->first_ms;
	end(s);
	free(s);
}

uint64_t simulate_seed(uint64_t seed, unsigned run)
{
	struct prng p;

	prng_init(&p, seed ^ (uint64_t)run << 32);
	return prng_next(&p);
}
