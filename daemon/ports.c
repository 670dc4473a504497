#include "daemon/ports.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

static int64_t read_clock_ms(clockid_t clock)
{
	struct timespec t;
	require(clock_gettime(clock, &t) == 0);
	return t.tv_sec * MS_PER_SECOND + t.tv_nsec / 1000000;
}

struct instant ports_now(void)
{
	return (struct instant){
	    .unix_ms = read_clock_ms(CLOCK_REALTIME),
	    .boot_ms = read_clock_ms(CLOCK_BOOTTIME),
	};
}

int ports_init(struct daemon_ports *p)
{
	uint64_t seed;
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		return -errno;
	prng_init(&p->prng, seed);
	return 0;
}

static struct instant port_now(void *ctx)
{
	(void)ctx;
	return ports_now();
}

static uint64_t port_entropy(void *ctx)
{
	struct daemon_ports *p = ctx;
	return prng_next(&p->prng);
}

static void port_wake_at(void *ctx, int64_t boot_ms)
{
	struct daemon_ports *p = ctx;
	waker_set(p->waker, boot_ms);
}

/* A request on its way: its answer also asks for a turn of the engine. */
struct flight {
	struct daemon_ports *ports;
	transport_cb cb;
	void *arg;
};

static void answered(void *arg, enum transport_result result, const struct http_response *response, const char *error)
{
	struct flight *f = arg;
	turn_want(f->ports->turn);
	f->cb(f->arg, result, response, error);
	free(f);
}

static void port_send(void *ctx, const struct http_request *request, int64_t timeout_ms, transport_cb cb, void *arg)
{
	struct daemon_ports *p = ctx;
	struct flight *f = mem_alloc(sizeof(*f));
	*f = (struct flight){.ports = p, .cb = cb, .arg = arg};
	transport_send(p->transport, request, timeout_ms, answered, f);
}

static int port_credentials(void *ctx, const char *account, struct aws_credentials *ret, char *ret_error,
			    size_t error_size)
{
	struct daemon_ports *p = ctx;
	return accounts_credentials(p->accounts, account, ret, ret_error, error_size);
}

static void port_keys_refused(void *ctx, const char *account, const char *access_key_id)
{
	struct daemon_ports *p = ctx;
	accounts_refused(p->accounts, account, access_key_id);
}

static int port_endpoint(void *ctx, const char *account, enum aws_service service, const char *region,
			 struct aws_endpoint *ret, char *ret_error, size_t error_size)
{
	struct daemon_ports *p = ctx;
	return accounts_endpoint(p->accounts, account, service, region, ret, ret_error, error_size);
}

static void port_describe_keys(void *ctx, const char *account, struct keys_told *ret)
{
	struct daemon_ports *p = ctx;
	struct provider_status status;
	if (!accounts_describe(p->accounts, account, &status))
		return;
	*ret = (struct keys_told){
	    .source = status.source,
	    .there = status.has_keys,
	    .extended = status.extended,
	    .expires_unix_ms = status.expires_unix_ms,
	    .error = status.error,
	};
}

/* What wants an operator's eye is a warning; what is said before it happens is for the curious. */
static int level_of(const struct store_event *e)
{
	bool bad_end = strcmp(e->phase, rollout_phase_name(PHASE_BLOCKED)) == 0 ||
		       strcmp(e->phase, rollout_phase_name(PHASE_FAILED)) == 0 ||
		       strcmp(e->phase, rollout_phase_name(PHASE_ROLLING_BACK)) == 0;
	if (strcmp(e->kind, rollout_announce_name(ANNOUNCE_INTENT)) == 0)
		return LOG_LEVEL_DEBUG;
	if (strcmp(e->kind, rollout_announce_name(ANNOUNCE_TROUBLE)) == 0 ||
	    strcmp(e->kind, rollout_announce_name(ANNOUNCE_FOREIGN)) == 0)
		return LOG_LEVEL_WARNING;
	if (bad_end && strcmp(e->kind, rollout_announce_name(ANNOUNCE_PHASE)) == 0)
		return LOG_LEVEL_WARNING;
	return LOG_LEVEL_INFO;
}

static void port_published(void *ctx, const struct store_event *e)
{
	struct daemon_ports *p = ctx;
	const struct log_field fields[] = {
	    {"rollout", e->name}, {"phase", e->phase}, {"event", e->kind}, {"by", e->by}};
	/* The journal shows the message alone, unless it is asked for more. */
	cleanup(mem_free_p) char *text = mem_printf("%s%s%s", e->name, e->name[0] ? ": " : "", e->text);
	log_write(p->log, level_of(e), text, fields, array_len(fields));
	if (p->published)
		p->published(p->published_ctx, e);
}

static void port_log(void *ctx, int level, const char *text)
{
	struct daemon_ports *p = ctx;
	log_write(p->log, level, text, NULL, 0);
}

/* What waits for a file or a hook asks for a turn of the engine, too. */
struct errand {
	struct daemon_ports *ports;
	union {
		artifact_cb loaded;
		exec_cb ran;
	} cb;
	void *arg;
};

static void loaded(void *arg, const struct artifact *a)
{
	struct errand *e = arg;
	turn_want(e->ports->turn);
	e->cb.loaded(e->arg, a);
	free(e);
}

static void port_load_artifact(void *ctx, const char *path, bool content, artifact_cb cb, void *arg)
{
	struct daemon_ports *p = ctx;
	struct errand *e = mem_alloc(sizeof(*e));
	*e = (struct errand){.ports = p, .cb.loaded = cb, .arg = arg};
	artifacts_load(p->artifacts, path, content, loaded, e);
}

static void port_load_event(void *ctx, const char *path, artifact_cb cb, void *arg)
{
	struct daemon_ports *p = ctx;
	struct errand *e = mem_alloc(sizeof(*e));
	*e = (struct errand){.ports = p, .cb.loaded = cb, .arg = arg};
	artifacts_load_event(p->artifacts, path, loaded, e);
}

static uint64_t port_stamp_artifact(void *ctx, const char *path)
{
	const struct daemon_ports *p = ctx;
	return artifacts_stamp(p->artifacts, path);
}

static void ran(void *arg, const struct exec_result *result)
{
	struct errand *e = arg;
	turn_want(e->ports->turn);
	e->cb.ran(e->arg, result);
	free(e);
}

static void port_run_hook(void *ctx, const char *program, const char *input, int64_t timeout_ms, exec_cb cb, void *arg)
{
	struct daemon_ports *p = ctx;
	struct errand *e = mem_alloc(sizeof(*e));
	*e = (struct errand){.ports = p, .cb.ran = cb, .arg = arg};
	hooks_run(p->hooks, program, input, timeout_ms, ran, e);
}

void ports_fill(struct daemon_ports *p, struct ports *ret)
{
	*ret = (struct ports){
	    .ctx = p,
	    .now = port_now,
	    .clock = &p->clock,
	    .entropy = port_entropy,
	    .wake_at = port_wake_at,
	    .send = port_send,
	    .credentials = port_credentials,
	    .keys_refused = port_keys_refused,
	    .describe_keys = port_describe_keys,
	    .endpoint = port_endpoint,
	    .load_artifact = port_load_artifact,
	    .load_event = port_load_event,
	    .stamp_artifact = port_stamp_artifact,
	    .run_hook = port_run_hook,
	    .published = port_published,
	    .log = port_log,
	};
}

/* --- for the accounts: what comes back asks for a turn of the engine, when something has become of it --- */

static void port_send_secret(void *ctx, const struct http_request *request, int64_t timeout_ms, bool metadata,
			     transport_cb cb, void *arg)
{
	struct daemon_ports *p = ctx;
	transport_send_secret(p->transport, request, timeout_ms, metadata, cb, arg);
}

static void port_run_program(void *ctx, char *const *words, int64_t timeout_ms, provider_ran_cb cb, void *arg)
{
	struct daemon_ports *p = ctx;
	programs_run(p->programs, words, timeout_ms, cb, arg);
}

static int port_read_file(void *ctx, const char *path, size_t max, char **ret_data, size_t *ret_len)
{
	(void)ctx;
	return file_read(path, max, ret_data, ret_len);
}

static void keys_settled(void *arg)
{
	struct daemon_ports *p = arg;
	turn_want(p->turn);
}

static void keys_told(void *arg, bool trouble, const char *text)
{
	struct daemon_ports *p = arg;
	if (p->log)
		log_write(p->log, trouble ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, text, NULL, 0);
}

void ports_connect_accounts(struct daemon_ports *p)
{
	const struct provider_ports ports = {
	    .ctx = p,
	    .now = port_now,
	    .clock = &p->clock,
	    .entropy = port_entropy,
	    .send = port_send_secret,
	    .run = port_run_program,
	    .read_file = port_read_file,
	};
	accounts_connect(p->accounts, &ports, keys_settled, keys_told, p);
}
