/*
 * libmicrohttpd runs in its epoll form without threads: its epoll descriptor is watched by a uv_poll, its wish for a
 * time-out is a uv_timer, and MHD_run() does the work. Followers of the events are suspended while there is nothing to
 * tell them; so are askers, whose answer AWS has to be asked for.
 *
 * struct client: one for each connection. struct exchange: one for each request on it.
 */
#include "daemon/control/server.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/mem.h"
#include "daemon/control/answer.h"
#include "daemon/control/inquiry.h"
#include "daemon/control/stream.h"

#define SWEEP_MS	  1000
#define BEATS_EVERY	  5 /* sweeps between two signs of life to the followers */
#define FOLLOWERS_MAX	  (LIMIT_CONTROL_CONNECTIONS / 2)
#define FOLLOWERS_PER_UID (LIMIT_CONTROL_CONNECTIONS_PER_UID / 2)
#define MEMORY_PER_CLIENT (32 * 1024)
/* Connections of one user beyond its cap that are let in to be told so; any further one is cut off unheard. */
#define TOLD_SO 2
/* Places that root and the daemon's own user find free when others hold all of theirs. */
#define KEPT_FREE 4
/* How long the end waits for those that were let in. */
#define LAST_MS 200

struct client {
	struct server *server;
	struct client *next;
	struct client *prev;
	int fd;
	struct peer peer;
	bool unknown;	    /* the kernel did not say who it is */
	bool too_many;	    /* one more than its user may have */
	bool cut_off;	    /* it holds no place any more, only MHD does not know yet */
	uint64_t asking_ms; /* since when a request is being waited for or read; 0: it is being answered */
};

struct follower {
	struct server *server;
	struct follower *next;
	struct follower *prev;
	struct MHD_Connection *connection;
	struct stream *stream;
	uid_t uid;
	bool suspended;
};

/* A request whose answer is being found out. */
struct asker {
	struct server *server;
	struct asker *next;
	struct asker *prev;
	struct MHD_Connection *connection;
	struct inquiry *inquiry;
	int fd;
	uint64_t since_ms;
	bool suspended;
};

struct exchange {
	struct asker *asker; /* NULL: none */
	struct buf body;
	int refused; /* HTTP status of an answer that is known before the body is read; 0: none */
	const char *code;
	const char *message;
};

struct server {
	uv_loop_t *loop;
	const struct backend *backend;
	struct peer_rules rules;
	struct listener listener;
	struct MHD_Daemon *mhd;
	uv_poll_t poll;
	uv_timer_t timer; /* MHD's own wish */
	uv_timer_t sweep; /* while there are clients */
	unsigned open_handles;
	unsigned sweeps;
	struct client *clients;
	struct follower *followers;
	struct asker *askers;
	bool room_made; /* a connection was closed in this run of MHD's */
	bool closing;
};

/* --- answers --- */

static enum MHD_Result respond(struct MHD_Connection *connection, int status, struct MHD_Response *response,
			       const char *type, bool last)
{
	enum MHD_Result r = MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	if (r == MHD_YES)
		r = MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	if (r == MHD_YES && last)
		r = MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	if (r == MHD_YES)
		r = MHD_queue_response(connection, (unsigned)status, response);
	MHD_destroy_response(response);
	return r; /* MHD_NO closes the connection */
}

static enum MHD_Result give(struct MHD_Connection *connection, struct answer *a, bool last)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(a->len, a->body, MHD_RESPMEM_MUST_FREE);
	if (!response) {
		free(a->body);
		return MHD_NO;
	}
	return respond(connection, a->status, response, a->type, last);
}

static enum MHD_Result refuse(struct MHD_Connection *connection, int status, const char *code, const char *message)
{
	struct answer a;
	answer_error(status, code, message, &a);
	return give(connection, &a, true);
}

/* --- followers --- */

static ssize_t follower_read(void *arg, uint64_t position, char *out, size_t size)
{
	struct follower *f = arg;
	(void)position;
	if (f->server->closing)
		return MHD_CONTENT_READER_END_OF_STREAM;
	long n = stream_read(f->stream, out, size);
	if (n < 0)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (n == 0) {
		f->suspended = true;
		MHD_suspend_connection(f->connection);
	}
	return n;
}

static void follower_free(void *arg)
{
	struct follower *f = arg;
	struct server *s = f->server;
	if (f->prev)
		f->prev->next = f->next;
	else
		s->followers = f->next;
	if (f->next)
		f->next->prev = f->prev;
	stream_free(f->stream);
	free(f);
}

static void wake(struct follower *f)
{
	if (!f->suspended)
		return;
	f->suspended = false;
	MHD_resume_connection(f->connection);
}

static bool has_room(const struct server *s, uid_t uid)
{
	unsigned all = 0, own = 0;
	for (const struct follower *f = s->followers; f; f = f->next) {
		all++;
		own += f->uid == uid;
	}
	return all < FOLLOWERS_MAX && own < FOLLOWERS_PER_UID;
}

static enum MHD_Result follow(struct server *s, struct client *c, struct MHD_Connection *connection,
			      const struct control_request *request)
{
	if (!has_room(s, c->peer.uid))
		return refuse(connection, 429, "too_many",
			      "too many followers of the events: end one, or ask without follow=1");
	struct follower *f = mem_alloc(sizeof(*f));
	f->server = s;
	f->connection = connection;
	f->uid = c->peer.uid;
	f->stream = stream_new(s->backend->engine, s->backend->store, request);
	f->next = s->followers;
	if (f->next)
		f->next->prev = f;
	s->followers = f;
	struct MHD_Response *response =
	    MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16 * 1024, follower_read, f, follower_free);
	if (!response) {
		follower_free(f);
		return MHD_NO;
	}
	return respond(connection, 200, response, "application/x-ndjson", true);
}

/* --- askers --- */

static void timer_cb(uv_timer_t *timer);

/* MHD calls access_cb again for a connection that is resumed. */
static void wake_asker(struct asker *a)
{
	if (!a->suspended)
		return;
	a->suspended = false;
	MHD_resume_connection(a->connection);
}

static void ready_cb(void *ctx)
{
	struct asker *a = ctx;
	wake_asker(a);
	/* Not from here: the engine is in the middle of its turn. */
	if (!a->server->closing)
		require(uv_timer_start(&a->server->timer, timer_cb, 0, 0) == 0);
}

static void asker_free(struct asker *a)
{
	if (!a)
		return;
	if (a->prev)
		a->prev->next = a->next;
	else
		a->server->askers = a->next;
	if (a->next)
		a->next->prev = a->prev;
	inquiry_free(a->inquiry);
	free(a);
}

static enum MHD_Result ask(struct server *s, struct client *c, struct MHD_Connection *connection,
			   const struct control_request *request, struct exchange *x)
{
	struct answer answer;
	struct asker *a = mem_alloc(sizeof(*a));
	*a = (struct asker){.server = s, .connection = connection, .fd = c->fd, .since_ms = uv_now(s->loop)};
	a->inquiry = inquiry_new(s->backend, request, buf_text(&x->body), x->body.len, ready_cb, a, &answer);
	if (!a->inquiry) {
		free(a);
		return give(connection, &answer, false);
	}
	a->next = s->askers;
	if (a->next)
		a->next->prev = a;
	s->askers = a;
	x->asker = a;
	a->suspended = true;
	MHD_suspend_connection(connection);
	return MHD_YES;
}

/* Called when the connection was resumed. */
static enum MHD_Result answer_asker(struct asker *a)
{
	struct answer answer;
	if (inquiry_take(a->inquiry, &answer))
		return give(a->connection, &answer, false);
	a->suspended = true;
	MHD_suspend_connection(a->connection);
	return MHD_YES;
}

/* MHD does not look at a connection that is suspended. One that is only half closed still wants its answer. */
static bool is_gone(int fd)
{
	struct pollfd p = {.fd = fd};
	return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR));
}

static void look_after_askers(struct server *s)
{
	for (struct asker *a = s->askers; a; a = a->next) {
		if (!a->suspended)
			continue;
		if (is_gone(a->fd))
			inquiry_stop(a->inquiry);
		else if (uv_now(s->loop) - a->since_ms >= INQUIRY_TIMEOUT_MS)
			inquiry_time_out(a->inquiry);
		else
			continue;
		wake_asker(a);
	}
}

/* --- requests --- */

static const char *find_argument(void *ctx, const char *key)
{
	return MHD_lookup_connection_value(ctx, MHD_GET_ARGUMENT_KIND, key);
}

static void log_denied(const struct server *s, const char *by, const char *method, const char *path)
{
	log_printf(s->backend->log, LOG_LEVEL_WARNING, "%s may not %s %s: denied", by, method, path);
}

static enum MHD_Result answer_exchange(struct server *s, struct client *c, struct MHD_Connection *connection,
				       const char *method, const char *path, struct exchange *x)
{
	struct control_request request;
	struct answer a;
	char error[LIMIT_REASON] = "", by[48];
	int result = control_parse(method, path, find_argument, connection, buf_text(&x->body), x->body.len, &request,
				   error, sizeof(error));
	if (result != CONTROL_OK) {
		answer_parse_error(result, error, &a);
		return give(connection, &a, false);
	}
	peer_format(&c->peer, by);
	if (control_route_submits(request.route) && !peer_may_submit(&c->peer, &s->rules)) {
		log_denied(s, by, method, path);
		return refuse(connection, 403, "denied",
			      "only root and members of control.submit_group may submit plans");
	}
	if (request.route == CONTROL_EVENTS && request.follow)
		return follow(s, c, connection, &request);
	if (request.route == CONTROL_DIFF || request.route == CONTROL_DOCTOR || request.route == CONTROL_ACCOUNTS)
		return ask(s, c, connection, &request, x);
	answer_request(s->backend, &request, by, buf_text(&x->body), x->body.len, &a);
	return give(connection, &a, false);
}

/* Whoever still sends a body would get a broken pipe instead of an early answer: it is read, dropped, then answered. */
static void refuse_later(struct exchange *x, int status, const char *code, const char *message)
{
	x->refused = status;
	x->code = code;
	x->message = message;
}

/* What is known before a body is read. Only a body that is too large is answered at once. */
static enum MHD_Result begin(struct server *s, struct client *c, struct MHD_Connection *connection, const char *method,
			     const char *path, void **slot)
{
	char by[48];
	const char *length = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
	if (length && strtoull(length, NULL, 10) > LIMIT_CONTROL_REQUEST_BYTES)
		return refuse(connection, 413, "too_large", "a request may have 64 KiB");
	struct exchange *x = mem_alloc(sizeof(*x));
	x->body = BUF_INIT(LIMIT_CONTROL_REQUEST_BYTES);
	*slot = x;
	if (c->too_many) {
		refuse_later(x, 429, "too_many", "too many connections of this user: close one");
	} else if (c->unknown || !peer_may_look(&c->peer, &s->rules)) {
		peer_format(&c->peer, by);
		log_denied(s, by, method, path);
		refuse_later(x, 403, "denied", "only root and members of control.group may use the control socket");
	}
	return MHD_YES;
}

/* Called by MHD first with the head alone, then for each piece of the body, then once without one. */
static enum MHD_Result access_cb(void *arg, struct MHD_Connection *connection, const char *path, const char *method,
				 const char *version, const char *bytes, size_t *len, void **slot)
{
	struct server *s = arg;
	struct exchange *x = *slot;
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct client *c = info ? info->socket_context : NULL;
	(void)version;
	if (!c)
		return MHD_NO;
	if (!x)
		return begin(s, c, connection, method, path, slot);
	if (*len > 0) {
		if (!x->refused)
			buf_add(&x->body, bytes, *len);
		*len = 0;
		return MHD_YES;
	}
	c->asking_ms = 0;
	if (x->asker)
		return answer_asker(x->asker);
	if (x->refused)
		return refuse(connection, x->refused, x->code, x->message);
	if (!buf_ok(&x->body))
		return refuse(connection, 413, "too_large", "a request may have 64 KiB");
	return answer_exchange(s, c, connection, method, path, x);
}

static void completed_cb(void *arg, struct MHD_Connection *connection, void **slot,
			 enum MHD_RequestTerminationCode code)
{
	struct exchange *x = *slot;
	struct server *s = arg;
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	(void)code;
	if (info && info->socket_context)
		((struct client *)info->socket_context)->asking_ms = uv_now(s->loop);
	if (!x)
		return;
	asker_free(x->asker);
	buf_deinit(&x->body);
	free(x);
	*slot = NULL;
}

/* --- connections --- */

static unsigned count_of_uid(const struct server *s, uid_t uid)
{
	unsigned n = 0;
	for (const struct client *c = s->clients; c; c = c->next)
		n += !c->cut_off && c->peer.uid == uid;
	return n;
}

/* Whoever is told no holds a place until it has asked its question. Places are few, so that is granted to few: nobody
 * keeps others out by connections that ask nothing. */
static bool has_place(const struct server *s, const struct peer *p, unsigned own)
{
	unsigned others = 0;
	for (const struct client *c = s->clients; c; c = c->next)
		others += !c->cut_off && c->peer.uid != 0 && c->peer.uid != s->rules.own;
	bool favoured = p->uid == 0 || p->uid == s->rules.own;
	return own < LIMIT_CONTROL_CONNECTIONS_PER_UID + TOLD_SO &&
	       (favoured || others < LIMIT_CONTROL_CONNECTIONS - KEPT_FREE);
}

static struct client *add_client(struct server *s, int fd)
{
	struct client *c = mem_alloc(sizeof(*c));
	c->server = s;
	c->fd = fd;
	c->asking_ms = uv_now(s->loop);
	c->unknown = peer_read(fd, &c->peer) < 0;
	unsigned own = count_of_uid(s, c->peer.uid);
	c->too_many = own >= LIMIT_CONTROL_CONNECTIONS_PER_UID;
	c->cut_off = !has_place(s, &c->peer, own);
	if (c->cut_off)
		(void)shutdown(fd, SHUT_RDWR); /* MHD reads the end, and closes it */
	c->next = s->clients;
	if (c->next)
		c->next->prev = c;
	s->clients = c;
	return c;
}

static void drop_client(struct client *c)
{
	if (c->prev)
		c->prev->next = c->next;
	else
		c->server->clients = c->next;
	if (c->next)
		c->next->prev = c->prev;
	free(c);
}

static void sweep_cb(uv_timer_t *timer);

static void connection_cb(void *arg, struct MHD_Connection *connection, void **socket_context,
			  enum MHD_ConnectionNotificationCode code)
{
	struct server *s = arg;
	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		s->room_made = true;
		if (*socket_context)
			drop_client(*socket_context);
		*socket_context = NULL;
		return;
	}
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	if (!info)
		return; /* without a client, its requests are not answered */
	*socket_context = add_client(s, info->connect_fd);
	if (!s->closing && !uv_is_active((uv_handle_t *)&s->sweep))
		require(uv_timer_start(&s->sweep, sweep_cb, SWEEP_MS, SWEEP_MS) == 0);
}

/* --- the loop --- */

static void run(struct server *s);

static void timer_cb(uv_timer_t *timer)
{
	run(timer->data);
}

static void poll_cb(uv_poll_t *poll, int status, int events)
{
	(void)status; /* MHD asks its own descriptors */
	(void)events;
	run(poll->data);
}

/* Where all connections were taken, MHD has stopped to listen, and only its next run listens again: nothing else would
 * start that run before the sweep. */
static bool wait_of(struct server *s, MHD_UNSIGNED_LONG_LONG *ret_ms)
{
	*ret_ms = 0;
	return s->room_made || MHD_get_timeout(s->mhd, ret_ms) == MHD_YES;
}

static void run(struct server *s)
{
	MHD_UNSIGNED_LONG_LONG wait_ms;
	s->room_made = false;
	if (MHD_run(s->mhd) == MHD_NO)
		log_printf(s->backend->log, LOG_LEVEL_ERROR, "the control socket's server cannot go on");
	if (s->closing)
		return;
	if (wait_of(s, &wait_ms))
		require(uv_timer_start(&s->timer, timer_cb, wait_ms, 0) == 0);
	else
		(void)uv_timer_stop(&s->timer); /* never fails */
}

/* Requests that do not become complete in time are cut off, and followers get a sign of life. MHD's own time-out
 * starts again with each byte. */
static void sweep_cb(uv_timer_t *timer)
{
	struct server *s = timer->data;
	look_after_askers(s);
	bool beat = ++s->sweeps % BEATS_EVERY == 0;
	for (const struct client *c = s->clients; c; c = c->next)
		if (c->asking_ms && uv_now(s->loop) - c->asking_ms > LIMIT_CONTROL_TIMEOUT_MS)
			(void)shutdown(c->fd, SHUT_RDWR); /* it may be gone already */
	for (struct follower *f = s->followers; beat && f; f = f->next) {
		stream_beat(f->stream);
		wake(f);
	}
	if (!s->clients)
		(void)uv_timer_stop(&s->sweep); /* never fails */
	run(s);
}

void server_published(struct server *s, const char *name)
{
	bool any = false;
	for (struct follower *f = s->followers; f; f = f->next) {
		if (!f->suspended || !stream_wants(f->stream, name))
			continue;
		wake(f);
		any = true;
	}
	/* Not from here: the engine is in the middle of its turn. */
	if (any)
		require(uv_timer_start(&s->timer, timer_cb, 0, 0) == 0);
}

/* --- life --- */

static void log_cb(void *arg, const char *fmt, va_list args) printf_like(2, 0);
static void log_cb(void *arg, const char *fmt, va_list args)
{
	const struct server *s = arg;
	char text[512];
	vsnprintf(text, sizeof(text), fmt, args);
	text[strcspn(text, "\n")] = '\0';
	log_printf(s->backend->log, LOG_LEVEL_DEBUG, "control socket: %s", text);
}

static struct MHD_Daemon *start_mhd(struct server *s, int fd)
{
	unsigned timeout_s = LIMIT_CONTROL_TIMEOUT_MS / 1000;
	return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL, access_cb,
				s, MHD_OPTION_EXTERNAL_LOGGER, log_cb, s, MHD_OPTION_LISTEN_SOCKET, fd,
				MHD_OPTION_CONNECTION_LIMIT, (unsigned)LIMIT_CONTROL_CONNECTIONS,
				MHD_OPTION_CONNECTION_TIMEOUT, timeout_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
				(size_t)MEMORY_PER_CLIENT, MHD_OPTION_NOTIFY_COMPLETED, completed_cb, s,
				MHD_OPTION_NOTIFY_CONNECTION, connection_cb, s, MHD_OPTION_END);
}

static void closed_cb(uv_handle_t *handle)
{
	struct server *s = handle->data;
	if (--s->open_handles == 0)
		free(s);
}

int server_new(uv_loop_t *loop, const struct server_config *config, struct listener *listener, struct server **ret)
{
	struct server *s = mem_alloc(sizeof(*s));
	s->loop = loop;
	s->backend = config->backend;
	s->rules = config->rules;
	s->mhd = start_mhd(s, listener->fd);
	if (!s->mhd) {
		free(s);
		return -EIO;
	}
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->mhd, MHD_DAEMON_INFO_EPOLL_FD);
	int r = info ? uv_poll_init(loop, &s->poll, info->epoll_fd) : -EIO;
	if (r < 0) {
		MHD_stop_daemon(s->mhd); /* closes the socket as well */
		listener->fd = -1;
		free(s);
		return r;
	}
	require(uv_timer_init(loop, &s->timer) == 0); /* cannot fail */
	require(uv_timer_init(loop, &s->sweep) == 0);
	s->poll.data = s->timer.data = s->sweep.data = s;
	s->open_handles = 3;
	require(uv_poll_start(&s->poll, UV_READABLE, poll_cb) == 0);
	s->listener = *listener;
	*listener = (struct listener){.fd = -1};
	*ret = s;
	return 0;
}

static void stop_askers(struct server *s)
{
	for (struct asker *a = s->askers; a; a = a->next) {
		inquiry_stop(a->inquiry);
		wake_asker(a);
	}
}

void server_drain(struct server *s)
{
	stop_askers(s);
	require(uv_timer_start(&s->timer, timer_cb, 0, 0) == 0);
}

/*
 * Whoever was let in is answered, if its request is here or comes at once: it cannot know that this daemon stops.
 * Nobody else is let in. Where the service manager keeps the socket, the next daemon answers them.
 */
static void answer_the_last(struct server *s, int epoll_fd)
{
	uint64_t end_ns = uv_hrtime() + LAST_MS * UINT64_C(1000000);
	(void)MHD_quiesce_daemon(s->mhd); /* the listening socket is ours to close now */
	run(s);
	while (s->clients && uv_hrtime() < end_ns) {
		struct pollfd ready = {.fd = epoll_fd, .events = POLLIN};
		(void)poll(&ready, 1, LAST_MS / 10);
		run(s);
	}
}

void server_close(struct server *s)
{
	if (!s || s->closing)
		return;
	s->closing = true;
	uv_close((uv_handle_t *)&s->poll, closed_cb);
	uv_close((uv_handle_t *)&s->timer, closed_cb);
	uv_close((uv_handle_t *)&s->sweep, closed_cb);
	/* MHD may not be stopped while connections are suspended; and so each stream gets its proper end. */
	for (struct follower *f = s->followers; f; f = f->next)
		wake(f);
	stop_askers(s);
	answer_the_last(s, MHD_get_daemon_info(s->mhd, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd);
	MHD_stop_daemon(s->mhd);
	listen_deinit(&s->listener);
}
