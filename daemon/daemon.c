/*
 * The start goes from the state outwards: store, clocks and transport, engine, plans folder, control socket; whatever
 * fails ends the start with one sentence. The stop goes back:
 *
 *   TERM, INT    no plan is taken in and nothing moves forward; what is in flight is waited for, at most 25 s;
 *                a second signal does not wait
 *   then         connections and handles are closed, and the loop runs until the last of them is gone
 *
 * The store's records make any shorter end safe as well.
 */
#include "daemon/daemon.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "daemon/accounts.h"
#include "daemon/control/server.h"
#include "daemon/dropin.h"
#include "daemon/ports.h"
#include "daemon/sd/activation.h"
#include "daemon/sd/notify.h"
#include "daemon/watchfile.h"
#include "engine/engine.h"
#include "store/store.h"

#define DRAIN_MS    25000
#define LOOK_MS	    5000 /* how often the daemon looks after itself */
#define PRUNE_EVERY 24	 /* looks: two minutes */

struct daemon {
	const struct config *config;
	const char *config_path;
	struct log *log;
	uv_loop_t loop;
	bool have_loop;
	struct store *store;
	struct accounts *accounts;
	struct daemon_ports ports;
	struct engine *engine;
	struct dropin *dropin;
	struct watchfile *watchfile;
	struct listener listener;
	struct peer_rules rules;
	struct server *server;
	struct backend backend;

	uv_signal_t signals[3];
	uv_timer_t look;  /* after health, status and history */
	uv_timer_t alive; /* for the watchdog */
	uv_timer_t drain;
	bool have_handles;
	bool alive_due; /* the service manager hears of the next turn */

	bool draining;
	bool finished;
	bool reloading;
	int exit_code;
	unsigned looks;
	struct engine_stats last_look;
	bool failing; /* the state could not be recorded when last looked */
	char status[128];
	struct dropin_counts counts;
	bool prune_failed;
};

static void check_notified(struct daemon *d, int r)
{
	if (r < 0)
		log_printf(d->log, LOG_LEVEL_WARNING, "the service manager cannot be told: %s", strerror(-r));
}

/* --- stop --- */

static void close_handle(void *handle)
{
	if (!uv_is_closing(handle))
		uv_close(handle, NULL); /* it lives in the daemon, which outlives the loop */
}

/* Closes everything; the loop ends when the last handle is closed. */
static void finish(struct daemon *d)
{
	if (d->finished)
		return;
	d->finished = true;
	server_close(d->server);
	d->server = NULL;
	dropin_close(d->dropin);
	d->dropin = NULL;
	watchfile_close(d->watchfile);
	d->watchfile = NULL;
	hooks_close(d->ports.hooks);
	programs_close(d->ports.programs);
	artifacts_close(d->ports.artifacts);
	if (d->ports.transport)
		transport_abort(d->ports.transport);
	transport_close(d->ports.transport);
	waker_close(d->ports.waker);
	turn_close(d->ports.turn);
	if (!d->have_handles)
		return;
	for (size_t i = 0; i < array_len(d->signals); i++)
		close_handle(&d->signals[i]);
	close_handle(&d->look);
	close_handle(&d->alive);
	close_handle(&d->drain);
}

static void drain_cb(uv_timer_t *timer)
{
	struct daemon *d = timer->data;
	if (d->draining)
		log_printf(d->log, LOG_LEVEL_WARNING,
			   "calls are still unanswered after %d s: they are looked up at the next start",
			   DRAIN_MS / 1000);
	finish(d);
}

static void stop(struct daemon *d, const char *why)
{
	if (d->draining) {
		log_printf(d->log, LOG_LEVEL_WARNING, "%s once more: not waiting any longer", why);
		finish(d);
		return;
	}
	log_printf(d->log, LOG_LEVEL_INFO, "%s: stopping; what is in flight is waited for", why);
	check_notified(d, notify_stopping());
	d->draining = true;
	dropin_stop(d->dropin);
	server_drain(d->server);
	engine_drain(d->engine);
	require(uv_timer_start(&d->drain, drain_cb, DRAIN_MS, 0) == 0);
	turn_want(d->ports.turn);
}

/* The daemon cannot go on, and a new start may help. */
static void give_up(struct daemon *d, const char *why)
{
	log_printf(d->log, LOG_LEVEL_ERROR, "%s", why);
	d->exit_code = 1;
	finish(d);
}

/* --- turns --- */

static void turn_cb(void *ctx)
{
	struct daemon *d = ctx;
	if (d->finished)
		return;
	engine_turn(d->engine);
	if (d->alive_due) {
		d->alive_due = false;
		check_notified(d, notify_alive());
	}
	if (d->draining && engine_idle(d->engine)) {
		log_printf(d->log, LOG_LEVEL_INFO, "nothing is in flight: stopped");
		finish(d);
	}
}

static void wake_cb(void *ctx)
{
	struct daemon *d = ctx;
	turn_want(d->ports.turn);
}

/* The watchdog is fed by the turn that this asks for, not from here. */
static void alive_cb(uv_timer_t *timer)
{
	struct daemon *d = timer->data;
	d->alive_due = true;
	turn_want(d->ports.turn);
}

/* --- looking after itself --- */

static void add_count(struct buf *out, uint64_t count, const char *what)
{
	if (count)
		buf_addf(out, ", %ju %s", (uintmax_t)count, what);
}

static void look_at_status(struct daemon *d, const struct engine_stats *s)
{
	struct buf text = BUF_INIT(sizeof(d->status) - 1);
	buf_addf(&text, "%ju %s", (uintmax_t)s->live, s->live == 1 ? "rollout" : "rollouts");
	add_count(&text, s->by_phase[PHASE_ROLLING_BACK], "rolling back");
	add_count(&text, s->by_phase[PHASE_BLOCKED], "blocked");
	add_count(&text, s->by_phase[PHASE_PAUSED], "paused");
	if (d->failing)
		buf_add_text(&text, "; the state cannot be recorded");
	if (strcmp(d->status, buf_text(&text)) != 0) {
		(void)text_copy(d->status, sizeof(d->status), buf_text(&text)); /* as large as the buffer's cap */
		check_notified(d, notify_status(d->status));
	}
	buf_deinit(&text);
}

/* Whether this daemon still owns its state. */
static bool owns_state(struct daemon *d)
{
	int r = store_begin(d->store);
	if (r == 0)
		store_abort(d->store);
	return r != STORE_LOCKED;
}

static void prune(struct daemon *d)
{
	int64_t before = ports_now().unix_ms - d->config->history_days * MS_PER_DAY;
	int r = store_begin(d->store);
	if (r == 0)
		r = store_prune(d->store, before, d->config->history_keep);
	if (r == 0)
		r = store_commit(d->store);
	if (r != 0)
		store_abort(d->store);
	if (r != 0 && !d->prune_failed)
		log_printf(d->log, LOG_LEVEL_WARNING, "old history cannot be dropped: %s", store_error_text(d->store));
	d->prune_failed = r != 0;
}

static void look_cb(uv_timer_t *timer)
{
	struct daemon *d = timer->data;
	struct engine_stats s;
	engine_stats(d->engine, &s);
	d->failing = s.commit_failures != d->last_look.commit_failures && s.commits == d->last_look.commits;
	d->last_look = s;
	look_at_status(d, &s);
	if (d->draining)
		return;
	accounts_look(d->accounts);
	/* What a new start loaded, a service that ended, …: cheaper to ask than to be told. */
	watchfile_list(d->watchfile);
	if (!owns_state(d))
		give_up(d, "another daemon has taken over this state: this one stops");
	else if (s.fenced)
		give_up(d, "the records are not as this daemon left them: it stops, and a new start loads them");
	else if (d->looks++ % PRUNE_EVERY == 0)
		prune(d);
}

/* --- what the other parts ask for --- */

static enum intake_result take_cb(void *ctx, struct plan *plan, const char *source, const char *hash,
				  char ret_text[static LIMIT_REASON])
{
	struct daemon *d = ctx;
	enum intake_result result = engine_take_plan(d->engine, plan, source, hash, "", ret_text);
	if (result != INTAKE_UNCHANGED) {
		turn_want(d->ports.turn);
		watchfile_list(d->watchfile);
	}
	return result;
}

static void scanned_cb(void *ctx, const struct dropin_counts *counts)
{
	struct daemon *d = ctx;
	if (counts->files != d->counts.files || counts->bad != d->counts.bad || d->reloading)
		log_printf(d->log, LOG_LEVEL_INFO, "%s: %zu plan %s, %zu with errors", d->config->plans_dir,
			   counts->files, counts->files == 1 ? "file" : "files", counts->bad);
	d->counts = *counts;
	if (d->reloading)
		check_notified(d, notify_ready());
	d->reloading = false;
}

static void published_cb(void *ctx, const struct store_event *event)
{
	struct daemon *d = ctx;
	if (d->server)
		server_published(d->server, event->name);
}

static struct instant now_cb(void *ctx)
{
	(void)ctx;
	return ports_now();
}

/* The configuration is for the whole life of the process; but whoever changed it should hear so. */
static bool config_changed(const struct daemon *d)
{
	char *bytes;
	size_t len;
	char hash[SHA256_HEX_SIZE];
	if (file_read(d->config_path, LIMIT_CONFIG_BYTES, &bytes, &len) < 0)
		return false;
	sha256_hex(bytes, len, hash);
	free(bytes);
	return strcmp(hash, d->config->hash) != 0;
}

static void reload_cb(void *ctx, char *ret_message, size_t size)
{
	struct daemon *d = ctx;
	bool changed = config_changed(d);
	snprintf(ret_message, size, "the plans in %s and the AWS keys are read again%s%s%s", d->config->plans_dir,
		 changed ? "; " : "", changed ? d->config_path : "",
		 changed ? " has changed: restart rolloutd to apply it" : "");
	if (d->draining)
		return;
	if (!d->reloading)
		check_notified(d, notify_reloading());
	d->reloading = true;
	accounts_renew(d->accounts);
	dropin_rescan(d->dropin);
	engine_check_services(d->engine, NULL);
}

static bool healthy_cb(void *ctx, const char **ret_message)
{
	const struct daemon *d = ctx;
	if (d->failing)
		*ret_message = "the state cannot be recorded: no rollout advances; see the log";
	else if (d->draining)
		*ret_message = "rolloutd is stopping";
	return !d->failing && !d->draining;
}

/* A plan came over the control socket. */
static void taken_cb(void *ctx)
{
	struct daemon *d = ctx;
	turn_want(d->ports.turn);
	watchfile_list(d->watchfile);
}

static void each_artifact_cb(void *ctx, void (*cb)(void *cb_ctx, const char *path), void *cb_ctx)
{
	struct daemon *d = ctx;
	engine_each_artifact(d->engine, cb, cb_ctx);
}

static void artifact_changed_cb(void *ctx, const char *path)
{
	struct daemon *d = ctx;
	if (d->draining)
		return;
	log_printf(d->log, LOG_LEVEL_INFO, "%s has changed: the services that take their code from it are checked",
		   path);
	engine_check_services(d->engine, path);
	turn_want(d->ports.turn);
}

static bool draining_cb(void *ctx)
{
	return ((const struct daemon *)ctx)->draining;
}

static void signal_cb(uv_signal_t *handle, int signum)
{
	struct daemon *d = handle->data;
	char message[LIMIT_REASON];
	if (signum != SIGHUP) {
		stop(d, signum == SIGTERM ? "SIGTERM" : "SIGINT");
		return;
	}
	reload_cb(d, message, sizeof(message));
	log_printf(d->log, LOG_LEVEL_INFO, "SIGHUP: %s", message);
}

/* --- start; each step returns 0, or -1 after it logged why --- */

#define fail(d, ...) (log_printf((d)->log, LOG_LEVEL_ERROR, __VA_ARGS__), -1)

static int start_store(struct daemon *d)
{
	const char *dir = d->config->state_dir;
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return fail(d, "the folder for the state, %s, cannot be made: %s", dir, strerror(errno));
	cleanup(mem_free_p) char *path = file_resolve(dir, "rolloutd.db");
	int r = store_open_sqlite(path, &d->store);
	/* These sentences of the store's name the file, and say what to do about it. */
	if (r == STORE_LOCKED || r == STORE_CORRUPT || r == STORE_NEWER)
		return fail(d, "not started: %s", store_error_text(NULL));
	return r == 0 ? 0 : fail(d, "%s cannot be opened: %s", path, store_error_text(NULL));
}

static int start_clocks(struct daemon *d)
{
	int r = uv_loop_init(&d->loop);
	if (r < 0)
		return fail(d, "no event loop: %s", uv_strerror(r));
	d->have_loop = true;
	turn_new(&d->loop, turn_cb, d, &d->ports.turn);
	r = waker_new(&d->loop, wake_cb, d, &d->ports.waker);
	if (r < 0)
		return fail(d, "no timer: %s", strerror(-r));
	r = ports_init(&d->ports);
	return r == 0 ? 0 : fail(d, "no random numbers: %s", strerror(-r));
}

static void warn_cb(void *arg, const char *text)
{
	struct daemon *d = arg;
	log_printf(d->log, LOG_LEVEL_WARNING, "%s", text);
}

static const char *look_up(void *ctx, const char *name)
{
	(void)ctx;
	return getenv(name);
}

static int start_transport(struct daemon *d)
{
	char error[LIMIT_REASON];
	const struct transport_config config = {
	    .user_agent = "rolloutd/" ROLLOUTD_VERSION,
	    .env = look_up,
	    .warn = warn_cb,
	    .warn_arg = d,
	};
	int r = transport_new(&d->loop, &config, &d->ports.transport, error, sizeof(error));
	return r == 0 ? 0 : fail(d, "not started: %s", error);
}

static int account_region_cb(void *ctx, const char *name, const char **ret, char *ret_error, size_t error_size)
{
	return accounts_region(ctx, name, ret, ret_error, error_size);
}

static bool account_known_cb(void *ctx, const char *name)
{
	return accounts_known(ctx, name);
}

static const char *account_name_cb(void *ctx, size_t index)
{
	return accounts_name(ctx, index);
}

/* Without it, records of this boot are treated like those of an earlier one, which is always safe. */
static void read_boot_id(struct daemon *d, char *out, size_t size)
{
	cleanup(mem_free_p) char *text = NULL;
	size_t len;
	int r = file_read("/proc/sys/kernel/random/boot_id", 128, &text, &len);
	if (r == 0) {
		text[strcspn(text, "\n")] = '\0';
		(void)text_copy(out, size, text); /* 36 characters */
		return;
	}
	log_printf(d->log, LOG_LEVEL_WARNING,
		   "the boot's id cannot be read (%s): bakes under way begin anew after a "
		   "restart of the daemon",
		   strerror(-r));
	snprintf(out, size, "unknown-%016jx", (uintmax_t)prng_next(&d->ports.prng));
}

static int start_engine(struct daemon *d)
{
	struct engine_config config = {
	    .region = accounts_default_region(d->accounts),
	    .lambda_rps = d->config->lambda_rps,
	    .cloudwatch_rps = d->config->cloudwatch_rps,
	    .apigateway_rps = d->config->apigateway_rps,
	    .mark = d->config->mark,
	    .account_region = account_region_cb,
	    .account_known = account_known_cb,
	    .account_name = account_name_cb,
	    .account_ctx = d->accounts,
	};
	struct ports ports;
	read_boot_id(d, config.boot_id, sizeof(config.boot_id));
	d->ports.accounts = d->accounts;
	d->ports.log = d->log;
	d->ports.published = published_cb;
	d->ports.published_ctx = d;
	d->ports.artifacts = artifacts_new(&d->loop, d->config->plans_dir);
	d->ports.hooks = hooks_new(&d->loop, d->config->hooks_dir);
	d->ports.programs = programs_new(&d->loop);
	ports_connect_accounts(&d->ports);
	ports_fill(&d->ports, &ports);
	if (engine_new(&config, &ports, d->store, &d->engine) != 0)
		return fail(d, "the rollouts cannot be loaded: %s", store_error_text(d->store));
	return 0;
}

static void start_watchfile(struct daemon *d)
{
	struct watchfile_ops ops = {.ctx = d, .each = each_artifact_cb, .changed = artifact_changed_cb};
	d->watchfile = watchfile_new(&d->loop, d->config->plans_dir, 0, &ops);
	watchfile_list(d->watchfile);
}

static int start_dropin(struct daemon *d)
{
	struct dropin_config config = {
	    .folder = d->config->plans_dir,
	    .ops = {.ctx = d, .take = take_cb, .scanned = scanned_cb},
	    .log = d->log,
	};
	start_watchfile(d); /* each plan that is taken in may name a file */
	int r = dropin_new(&d->loop, &config, &d->dropin);
	return r == 0 ? 0 : fail(d, "the plans folder cannot be watched: %s", strerror(-r));
}

/* A group that the configuration names must exist; the default one need not, then only root and the own user may. */
static int find_group(struct daemon *d, const char *key, const char *name, const char *fallback, gid_t *ret)
{
	*ret = PEER_NO_GROUP;
	int r = peer_find_group(name ? name : fallback, ret);
	if (r < 0)
		return fail(d, "control.%s: group '%s' cannot be looked up: %s", key, name ? name : fallback,
			    strerror(-r));
	if (r == PEER_GROUP_UNKNOWN && name)
		return fail(d, "control.%s: there is no group '%s': make it, or correct the configuration", key, name);
	if (r == PEER_GROUP_UNKNOWN)
		log_printf(d->log, LOG_LEVEL_DEBUG, "control.%s: there is no group '%s'; only root and uid %u may", key,
			   fallback, geteuid());
	return 0;
}

static int open_listener(struct daemon *d)
{
	char error[LIMIT_REASON];
	int fd = -1;
	int r = activation_take_socket(&fd);
	if (r == ACTIVATION_TAKEN) {
		listen_adopt(fd, &d->listener);
		return 0;
	}
	if (r != ACTIVATION_NONE)
		return fail(d, "the service manager handed over something else than one listening unix stream socket");
	/* A user who is not in the default group cannot give the socket to it, and goes without. */
	gid_t group = d->rules.look;
	r = listen_open(d->config->socket, group, &d->listener, error, sizeof(error));
	if (r == -EPERM && !d->config->group && group != PEER_NO_GROUP) {
		d->rules.look = PEER_NO_GROUP;
		r = listen_open(d->config->socket, PEER_NO_GROUP, &d->listener, error, sizeof(error));
	}
	return r < 0 ? fail(d, "%s", error) : 0;
}

static int start_server(struct daemon *d)
{
	d->rules.own = geteuid();
	if (find_group(d, "group", d->config->group, CONFIG_DEFAULT_GROUP, &d->rules.look) < 0 ||
	    find_group(d, "submit_group", d->config->submit_group, CONFIG_DEFAULT_SUBMIT_GROUP, &d->rules.submit) < 0 ||
	    open_listener(d) < 0)
		return -1;
	d->backend = (struct backend){
	    .engine = d->engine,
	    .store = d->store,
	    .dropin = d->dropin,
	    .turn = d->ports.turn,
	    .log = d->log,
	    .accounts = d->accounts,
	    .started_unix_ms = ports_now().unix_ms,
	    .ctx = d,
	    .now = now_cb,
	    .reload = reload_cb,
	    .healthy = healthy_cb,
	    .taken = taken_cb,
	    .draining = draining_cb,
	};
	struct server_config config = {.backend = &d->backend, .rules = d->rules};
	int r = server_new(&d->loop, &config, &d->listener, &d->server);
	return r == 0 ? 0 : fail(d, "the control socket's server cannot start: %s", strerror(-r));
}

static int start_handles(struct daemon *d)
{
	static const int signums[] = {SIGTERM, SIGINT, SIGHUP};
	int64_t watchdog_ms = notify_watchdog_ms();
	/* uv_timer_init and uv_timer_start with a callback do not fail. */
	require(uv_timer_init(&d->loop, &d->look) == 0);
	require(uv_timer_init(&d->loop, &d->alive) == 0);
	require(uv_timer_init(&d->loop, &d->drain) == 0);
	for (size_t i = 0; i < array_len(signums); i++) {
		require(uv_signal_init(&d->loop, &d->signals[i]) == 0);
		d->signals[i].data = d;
	}
	d->have_handles = true;
	d->look.data = d->alive.data = d->drain.data = d;
	require(uv_timer_start(&d->look, look_cb, 0, LOOK_MS) == 0);
	if (watchdog_ms > 0)
		require(uv_timer_start(&d->alive, alive_cb, 0, (uint64_t)watchdog_ms / 2) == 0);
	for (size_t i = 0; i < array_len(signums); i++) {
		int r = uv_signal_start(&d->signals[i], signal_cb, signums[i]);
		if (r < 0)
			return fail(d, "signal %d cannot be handled: %s", signums[i], uv_strerror(r));
	}
	return 0;
}

static int start(struct daemon *d)
{
	d->accounts = accounts_new(d->config);
	if (start_store(d) < 0 || start_clocks(d) < 0 || start_transport(d) < 0 || start_engine(d) < 0 ||
	    start_dropin(d) < 0 || start_server(d) < 0 || start_handles(d) < 0)
		return -1;
	turn_want(d->ports.turn);
	return 0;
}

int daemon_run(const struct config *config, const char *config_path, struct log *log)
{
	struct daemon d = {.config = config, .config_path = config_path, .log = log, .listener = {.fd = -1}};
	if (start(&d) == 0) {
		log_printf(log, LOG_LEVEL_INFO, "rolloutd %s is ready: plans in %s, control socket %s",
			   ROLLOUTD_VERSION, config->plans_dir, config->socket);
		check_notified(&d, notify_ready());
	} else {
		d.exit_code = 1;
		finish(&d);
	}
	if (d.have_loop) {
		/* Returns when all handles are closed, and only then. */
		while (uv_run(&d.loop, UV_RUN_DEFAULT) != 0)
			;
		require(uv_loop_close(&d.loop) == 0);
	}
	listen_deinit(&d.listener);
	engine_free(d.engine);
	store_close(d.store);
	accounts_free(d.accounts);
	return d.exit_code;
}
