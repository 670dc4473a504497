/* A process of the daemon on the simulated host: its ports, its life and its turns. See simulation.h. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "tests/sim/evidence.h"
#include "tests/sim/simulation.h"

#define BOOT_MS		 5000 /* CLOCK_BOOTTIME when a daemon is started first */
#define RESTART_AFTER_MS (2 * MS_PER_SECOND)
#define RETRY_AFTER_MS	 MS_PER_MINUTE /* at most, when it does not start */

/* --- time --- */

static int64_t boot_ms_of(const struct simulation *s)
{
	return s->now_ms - s->booted_ms + BOOT_MS;
}

struct instant host_now(const struct host *h)
{
	return (struct instant){.unix_ms = SIMULATION_START_UNIX_MS + h->s->now_ms + h->s->wall_jump_ms,
				.boot_ms = boot_ms_of(h->s)};
}

static struct instant aws_now(const struct simulation *s)
{
	return (struct instant){.unix_ms = SIMULATION_START_UNIX_MS + s->now_ms, .boot_ms = boot_ms_of(s)};
}

bool host_runs(const struct host *h)
{
	return h->engine && h->s->now_ms >= h->stopped_until_ms;
}

bool host_is_dead(const struct host *h)
{
	return h->dying || disk_process_is_dead(h->process);
}

/* --- ports --- */

static struct instant port_now(void *ctx)
{
	return host_now(ctx);
}

static uint64_t port_entropy(void *ctx)
{
	return prng_next(&((struct host *)ctx)->s->chance);
}

static void port_wake_at(void *ctx, int64_t boot_ms)
{
	((struct host *)ctx)->wake_ms = boot_ms;
}

static void take_flight(struct host *h, struct flight *f)
{
	require(h->n_flights < FLIGHTS);
	h->flights[h->n_flights++] = *f;
}

static void note_request(struct simulation *s, const struct http_request *r, const struct world_reply *reply)
{
	char line[256];

	s->tally.n[TALLY_CALLS]++;
	if (reply->response.status == 412)
		s->tally.n[TALLY_CONFLICTS]++;
	(void)snprintf(line, sizeof(line), "%s %.120s -> %d, fate %d after %lld ms", r->method, r->path,
		       reply->response.status, (int)reply->fate, (long long)reply->delay_ms);
	trace_note(&s->trace, s->now_ms, "call", line);
	trace_bytes(&s->trace, r->body ? r->body : "", r->body_len);
	trace_bytes(&s->trace, reply->response.body ? reply->response.body : "", reply->response.body_len);
}

/* Most answers come at once; some take so long that a lot may happen in between. */
static int64_t draw_latency_ms(struct simulation *s)
{
	uint64_t kind = prng_below(&s->chance, 8);

	return 1 + (int64_t)prng_below(&s->chance, kind == 0 ? 4000 : kind == 1 ? 150 : 1);
}

static int64_t due_ms(struct simulation *s, const struct world_reply *reply, int64_t timeout_ms)
{
	if (reply->fate == WORLD_SILENCE || reply->delay_ms > timeout_ms)
		return s->now_ms + timeout_ms;
	return s->now_ms + draw_latency_ms(s) + reply->delay_ms;
}

static void ask_aws(struct host *h, const struct http_request *request, int64_t timeout_ms, struct flight *f)
{
	struct simulation *s = h->s;
	struct http_request copy = *request;

	http_request_add_header(&copy, "Host", copy.host);
	checker_no_secret(&s->checker, "a request", request->body ? request->body : "");
	f->metrics = http_header_find(request->headers, request->n_headers, "X-Amz-Target") != NULL;
	f->asked = checker_sending(&s->checker, h, request);
	if (host_is_dead(h))
		return; /* it died while the checker looked at its disk */
	world_handle(s->world, &copy, aws_now(s), &f->reply);
	note_request(s, request, &f->reply);
	f->due_ms = due_ms(s, &f->reply, timeout_ms);
	if (f->reply.fate == WORLD_ANSWER && f->reply.delay_ms <= timeout_ms)
		f->delivery = delivery_read(request, &f->reply.response);
	else if (f->reply.fate == WORLD_ANSWER)
		f->reply.fate = WORLD_SILENCE;
	checker_look(&s->checker);
}

static void port_send(void *ctx, const struct http_request *request, int64_t timeout_ms, transport_cb cb, void *arg)
{
	struct host *h = ctx;
	struct simulation *s = h->s;
	struct flight f = {.cb = cb, .arg = arg, .due_ms = s->now_ms + 1};
	bool write = strcmp(request->method, "PUT") == 0;

	if (write && !host_is_dead(h))
		deeds_at(s, h, TRIGGER_WRITE, s->writes + 1);
	if (host_is_dead(h)) {
		f.due_ms = INT64_MAX;
	} else if (s->now_ms < s->region_out_until_ms && s->region_out_how == 0) {
		f.no_connection = true;
		checker_not_sent(&s->checker);
		s->tally.n[TALLY_NO_CONNECTION]++;
	} else {
		ask_aws(h, request, timeout_ms, &f);
		s->writes += write;
		s->tally.n[TALLY_WRITES] += write;
		if (write && !host_is_dead(h))
			deeds_at(s, h, TRIGGER_SENT, s->writes);
	}
	take_flight(h, &f);
}

static int port_credentials(void *ctx, const char *account, struct aws_credentials *ret, char *ret_error,
			    size_t error_size)
{
	const struct simulation *s = ((struct host *)ctx)->s;

	(void)account;
	if (s->now_ms < s->keys_out_until_ms) {
		(void)snprintf(ret_error, error_size, "no keys are to be had for the account default");
		((struct host *)ctx)->s->tally.n[TALLY_KEYS_OUT]++;
		checker_not_sent(&((struct host *)ctx)->s->checker);
		return 1;
	}
	*ret = (struct aws_credentials){.access_key_id = mem_strdup("AKIDSIMULATED"),
					.secret_access_key = mem_strdup(SECRET_MARKER "1"),
					.session_token = mem_strdup(SECRET_MARKER "2"),
					.expires_unix_ms = INT64_MAX};
	return 0;
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
	(void)snprintf(ret->host, sizeof(ret->host), "%s.localhost", endpoint_service_name(service));
	return 0;
}

static void port_load_artifact(void *ctx, const char *path, bool content, artifact_cb cb, void *arg)
{
	(void)ctx;
	(void)path;
	(void)content;
	(void)cb;
	(void)arg;
	require(!"no plan of a script has code");
}

static void port_load_event(void *ctx, const char *path, artifact_cb cb, void *arg)
{
	struct host *h = ctx;

	(void)path;
	require(h->n_readings < READINGS);
	h->readings[h->n_readings++] = (struct reading_file){cb, arg, h->s->now_ms + 1};
}

static void draw_hook_end(struct simulation *s, struct hook_run *run)
{
	bool trouble = prng_below(&s->chance, 100) < s->script->hook_trouble_percent && !s->quiet;

	run->due_ms = s->now_ms + 1 + (int64_t)prng_below(&s->chance, 20 * MS_PER_SECOND);
	run->result = (struct exec_result){.started = true, .output = "as you like it"};
	if (!trouble)
		return;
	switch (prng_below(&s->chance, 4)) {
	case 0:
		run->result.status = 1;
		break;
	case 1:
		run->result.status = 75; /* try again later */
		break;
	case 2:
		run->result.timed_out = true;
		break;
	default:
		run->result = (struct exec_result){.output = "it cannot be started"};
		break;
	}
}

static void port_run_hook(void *ctx, const char *program, const char *input, int64_t timeout_ms, exec_cb cb, void *arg)
{
	struct host *h = ctx;
	struct hook_run *run;

	(void)timeout_ms;
	require(h->n_hooks < HOOKS_RUNNING);
	run = &h->hooks[h->n_hooks++];
	*run = (struct hook_run){.cb = cb, .arg = arg};
	draw_hook_end(h->s, run);
	if (host_is_dead(h))
		return;
	h->s->tally.n[TALLY_HOOKS]++;
	checker_no_secret(&h->s->checker, "a hook's input", input);
	run->rollout = checker_hook_starts(&h->s->checker, input, &run->pre);
	trace_note(&h->s->trace, h->s->now_ms, "hook", program);
}

static void port_published(void *ctx, const struct store_event *event)
{
	struct host *h = ctx;
	char line[LIMIT_REASON + 128];

	if (host_is_dead(h))
		return;
	(void)snprintf(line, sizeof(line), "%s %s: %s", event->name, event->kind, event->text);
	trace_note(&h->s->trace, h->s->now_ms, "event", line);
	checker_published(&h->s->checker, h, event);
}

static void port_log(void *ctx, int level, const char *text)
{
	struct host *h = ctx;

	(void)level;
	if (host_is_dead(h))
		return;
	trace_note(&h->s->trace, h->s->now_ms, "log", text);
	checker_no_secret(&h->s->checker, "the log", text);
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
	return strcmp(account, "default") == 0;
}

/* --- life --- */

static void count(struct host *h)
{
	struct engine_stats now;
	struct tally *t = &h->s->tally;

	engine_stats(h->engine, &now);
	t->n[TALLY_TURNS] += now.turns - h->counted.turns;
	t->n[TALLY_COMMITS] += now.commits - h->counted.commits;
	t->n[TALLY_COMMIT_FAILURES] += now.commit_failures - h->counted.commit_failures;
	t->n[TALLY_PROBES_FAILED] += now.probes_failed - h->counted.probes_failed;
	h->counted = now;
}

/* What is under way is answered by nobody; what the engine makes of that is lost with it. */
static void drop_flights(struct host *h)
{
	static const struct exec_result killed = {.started = true, .status = 137, .output = ""};
	static const struct artifact unread = {.error = "killed"};

	while (h->n_readings > 0) {
		struct reading_file r = h->readings[--h->n_readings];

		r.cb(r.arg, &unread);
	}
	while (h->n_hooks > 0) {
		struct hook_run run = h->hooks[--h->n_hooks];

		run.cb(run.arg, &killed);
	}
	while (h->n_flights > 0) {
		struct flight f = h->flights[--h->n_flights];

		checker_given_up(&h->s->checker, f.asked);
		f.cb(f.arg, TRANSPORT_NO_ANSWER, NULL, "killed");
		world_reply_deinit(&f.reply);
		delivery_free(f.delivery);
	}
}

static void close_store(struct host *h)
{
	store_close(h->store);
	h->store = NULL;
	disk_process_free(h->process);
	h->process = NULL;
}

void host_end(struct host *h)
{
	if (!h->engine)
		return;
	count(h);
	h->dying = true;
	drop_flights(h);
	engine_free(h->engine);
	h->engine = NULL;
	close_store(h);
	h->dying = false;
	h->draining = false;
	h->wake_ms = INT64_MAX;
	h->stopped_until_ms = 0;
}

void simulation_reboot(struct simulation *s)
{
	s->boots++;
	s->booted_ms = s->now_ms;
}

/* How it died, the disk knows. */
static void count_death(struct simulation *s)
{
	const struct disk_counts *now = disk_counts(s->disk);

	if (now->crashes > s->crashes) {
		s->tally.n[TALLY_POWER_CUTS]++;
		simulation_reboot(s);
	} else if (now->kills > s->kills) {
		s->tally.n[TALLY_KILLS]++;
	}
	s->crashes = now->crashes;
	s->kills = now->kills;
}

/* What did not start is tried again, as systemd does, and each time later. */
static bool refused(struct host *h, const char *why)
{
	bool dead = disk_process_is_dead(h->process);

	trace_note(&h->s->trace, h->s->now_ms, "no start", why);
	if (dead)
		h->s->tally.n[TALLY_KILLS_IN_RECOVERY]++;
	else
		h->s->tally.n[TALLY_OPEN_FAILURES]++;
	h->refused_ms = h->refused_ms == 0 || h->s->quiet ? RESTART_AFTER_MS : 2 * h->refused_ms;
	if (h->refused_ms > RETRY_AFTER_MS)
		h->refused_ms = RETRY_AFTER_MS;
	h->start_at_ms = h->s->now_ms + h->refused_ms;
	if (dead) {
		count_death(h->s);
		checker_crashed(&h->s->checker);
	}
	return false;
}

static bool load_engine(struct host *h)
{
	struct ports ports = {.ctx = h,
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
	struct engine_config config = {.region = "us-east-1",
				       .lambda_rps = 10,
				       .cloudwatch_rps = 25,
				       .apigateway_rps = 5,
				       .mark = h->s->script->mark,
				       .account_region = account_region,
				       .account_known = account_known};

	(void)snprintf(config.boot_id, sizeof(config.boot_id), "boot-%llu", (unsigned long long)h->s->boots);
	return engine_new(&config, &ports, h->store, &h->engine) == 0;
}

bool host_start(struct host *h)
{
	struct simulation *s = h->s;

	require(!h->engine);
	h->start_at_ms = INT64_MAX;
	h->dying = false;
	s->unlocked = s->unlocked && s->hosts[s->owner].engine;
	h->process = disk_process_new(s->disk);
	s->starts++;
	deeds_at(s, h, TRIGGER_START, s->starts);
	if (store_open_sqlite_on(disk_platform(h->process), DISK_DATABASE, &h->store) != 0) {
		bool r = refused(h, store_error_text(NULL));

		disk_process_free(h->process);
		h->process = NULL;
		return r;
	}
	if (!load_engine(h)) {
		bool r = refused(h, store_error_text(h->store));

		close_store(h);
		return r;
	}
	h->counted = (struct engine_stats){0};
	h->refused_ms = 0;
	h->started_ms = s->now_ms;
	h->wake_ms = boot_ms_of(s);
	s->owner = (unsigned)(h - s->hosts);
	trace_note(&s->trace, s->now_ms, "start", "");
	if (!host_is_dead(h))
		checker_started(&s->checker, h);
	return true;
}

/* --- turns --- */

static void answer(struct host *h, size_t at)
{
	struct flight f = h->flights[at];

	h->flights[at] = h->flights[--h->n_flights];
	if (f.asked > 0) {
		checker_given_up(&h->s->checker, f.asked);
		deeds_at(h->s, h, TRIGGER_ANSWER, h->s->writes);
	}
	if (f.metrics && !host_is_dead(h))
		checker_delivers(&h->s->checker, h, f.delivery);
	if (f.no_connection)
		f.cb(f.arg, TRANSPORT_NO_CONNECTION, NULL, "no route to host");
	else if (f.reply.fate == WORLD_ANSWER)
		f.cb(f.arg, TRANSPORT_ANSWERED, &f.reply.response, NULL);
	else
		f.cb(f.arg, TRANSPORT_NO_ANSWER, NULL, "no answer came");
	if (f.metrics && !host_is_dead(h))
		checker_answered(&h->s->checker, h);
	world_reply_deinit(&f.reply);
	delivery_free(f.delivery);
}

static void give_events(struct host *h)
{
	static const struct artifact event = {.size = 2, .text = "{}"};

	for (size_t i = h->n_readings; i-- > 0;) {
		struct reading_file r = h->readings[i];

		if (r.due_ms > h->s->now_ms || host_is_dead(h))
			continue;
		h->readings[i] = h->readings[--h->n_readings];
		r.cb(r.arg, &event);
	}
}

static void answer_due(struct host *h)
{
	give_events(h);
	for (size_t i = h->n_flights; i-- > 0;) {
		if (h->flights[i].due_ms <= h->s->now_ms && !host_is_dead(h))
			answer(h, i);
	}
	for (size_t i = h->n_hooks; i-- > 0;) {
		if (h->hooks[i].due_ms <= h->s->now_ms && !host_is_dead(h)) {
			struct hook_run run = h->hooks[i];

			h->hooks[i] = h->hooks[--h->n_hooks];
			/* What a daemon is told whose state another one has, counts for nothing. */
			if (h == &h->s->hosts[h->s->owner])
				checker_hook_ended(&h->s->checker, run.rollout, run.pre, &run.result);
			run.cb(run.arg, &run.result);
		}
	}
}

void host_bury(struct host *h)
{
	struct simulation *s = h->s;

	count_death(s);
	checker_crashed(&s->checker);
	host_end(h);
	if (h == &s->hosts[s->owner])
		h->start_at_ms = s->now_ms + (h->start_after_ms ? h->start_after_ms : RESTART_AFTER_MS);
	h->start_after_ms = 0;
}

void host_step(struct host *h)
{
	struct simulation *s = h->s;

	answer_due(h);
	if (!host_is_dead(h)) {
		h->wake_ms = INT64_MAX;
		engine_turn(h->engine);
	}
	if (host_is_dead(h)) {
		host_bury(h);
		return;
	}
	checker_turned(&s->checker, h);
	count(h);
	if (h->engine->fenced) {
		s->tally.n[TALLY_STALE_DAEMONS]++;
		trace_note(&s->trace, s->now_ms, "stale daemon", "it stops");
		host_end(h);
		/* systemd starts it again; while the other one runs, it would be refused. */
		if (!s->hosts[0].engine && !s->hosts[1].engine)
			h->start_at_ms = s->now_ms + RESTART_AFTER_MS;
	} else if (h->draining && engine_idle(h->engine)) {
		trace_note(&s->trace, s->now_ms, "drained", "");
		host_end(h);
	}
}

int64_t host_next_ms(const struct host *h)
{
	int64_t at = INT64_MAX;

	if (!h->engine)
		return h->start_at_ms;
	if (host_is_dead(h) || h->engine->fenced)
		return h->s->now_ms;
	if (h->wake_ms != INT64_MAX)
		at = h->s->now_ms + h->wake_ms - boot_ms_of(h->s);
	for (size_t i = 0; i < h->n_flights; i++)
		at = h->flights[i].due_ms < at ? h->flights[i].due_ms : at;
	for (size_t i = 0; i < h->n_hooks; i++)
		at = h->hooks[i].due_ms < at ? h->hooks[i].due_ms : at;
	for (size_t i = 0; i < h->n_readings; i++)
		at = h->readings[i].due_ms < at ? h->readings[i].due_ms : at;
	if (at < h->stopped_until_ms)
		at = h->stopped_until_ms;
	return at < h->s->now_ms ? h->s->now_ms : at;
}
