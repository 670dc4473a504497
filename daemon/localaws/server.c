#include "daemon/localaws/server.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <microhttpd.h>

#include "base/buf.h"
#include "base/error.h"

#define CONNECTIONS_MAX	  1024
#define CONNECTION_IDLE_S 300
/* An answer that never comes leaves the connection open for so long; longer than any client waits. */
#define SILENCE_MS (15 * MS_PER_MINUTE)
#define LOOP_MS	   1000

/* One request and its answer. */
struct exchange {
	struct exchange *next; /* of the waiting ones */
	struct exchange *previous;
	struct MHD_Connection *connection;
	char *uri; /* as it was sent, still encoded */
	struct buf body;
	bool too_large;
	bool handled; /* the world has answered */
	bool waiting; /* suspended until due_ms */
	int64_t due_ms;
	struct world_reply reply;
};

struct server {
	struct world *w;
	struct MHD_Daemon *mhd;
	struct exchange *waiting;
	int64_t look_ms; /* when to look next for clients that are gone */
	bool closing;
};

struct instant server_now(void)
{
	struct timespec wall, boot;
	clock_gettime(CLOCK_REALTIME, &wall);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	return (struct instant){.unix_ms = (int64_t)wall.tv_sec * 1000 + wall.tv_nsec / 1000000,
				.boot_ms = (int64_t)boot.tv_sec * 1000 + boot.tv_nsec / 1000000};
}

/* --- suspended exchanges --- */

static void wait_until(struct server *s, struct exchange *x, int64_t due_ms)
{
	x->due_ms = due_ms;
	x->waiting = true;
	x->previous = NULL;
	x->next = s->waiting;
	if (s->waiting)
		s->waiting->previous = x;
	s->waiting = x;
	MHD_suspend_connection(x->connection);
}

static void stop_waiting(struct server *s, struct exchange *x)
{
	if (!x->waiting)
		return;
	x->waiting = false;
	if (x->previous)
		x->previous->next = x->next;
	else
		s->waiting = x->next;
	if (x->next)
		x->next->previous = x->previous;
}

static void wake(struct server *s, struct exchange *x)
{
	stop_waiting(s, x);
	MHD_resume_connection(x->connection);
}

/* --- sending --- */

struct half_body {
	size_t half;
	char bytes[];
};

static ssize_t read_half(void *cls, uint64_t pos, char *out, size_t max)
{
	const struct half_body *h = cls;
	if (pos >= h->half)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	size_t n = h->half - (size_t)pos < max ? h->half - (size_t)pos : max;
	memcpy(out, h->bytes + pos, n);
	return (ssize_t)n;
}

/* Announces the whole body and breaks off in its middle. */
static struct MHD_Response *truncated_response(const struct http_response *r)
{
	struct half_body *h = mem_alloc(sizeof(*h) + r->body_len);
	h->half = r->body_len / 2;
	memcpy(h->bytes, r->body ? r->body : "", r->body_len);
	return MHD_create_response_from_callback(r->body_len, 4096, read_half, h, free);
}

static enum MHD_Result send_response(struct exchange *x)
{
	const struct http_response *r = &x->reply.response;
	/* Borrowed: the exchange outlives the sending. */
	struct MHD_Response *response =
	    x->reply.fate == WORLD_TRUNCATE
		? truncated_response(r)
		: MHD_create_response_from_buffer(r->body_len, (void *)(r->body ? r->body : ""),
						  MHD_RESPMEM_PERSISTENT);
	if (!response)
		return MHD_NO;
	for (size_t i = 0; i < r->n_headers; i++)
		(void)MHD_add_response_header(response, r->headers[i].name, r->headers[i].value);
	enum MHD_Result result = MHD_queue_response(x->connection, (unsigned)r->status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result send_plain(struct MHD_Connection *connection, unsigned status, const char *text)
{
	struct MHD_Response *response =
	    MHD_create_response_from_buffer(strlen(text), (void *)text, MHD_RESPMEM_PERSISTENT);
	enum MHD_Result result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static int descriptor(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	return info ? info->connect_fd : -1;
}

static void arm_reset(struct MHD_Connection *connection)
{
	/* Closing with nothing allowed to linger sends RST instead of FIN. */
	struct linger linger = {.l_onoff = 1, .l_linger = 0};
	(void)setsockopt(descriptor(connection), SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

/* libmicrohttpd does not watch suspended connections: those whose client gave up would fill the table of them. */
static bool client_is_gone(struct MHD_Connection *connection)
{
	char byte;
	ssize_t n = recv(descriptor(connection), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

static enum MHD_Result finish(struct exchange *x)
{
	switch (x->reply.fate) {
	case WORLD_ANSWER:
	case WORLD_TRUNCATE:
		return send_response(x);
	case WORLD_RESET:
		arm_reset(x->connection);
		return MHD_NO;
	case WORLD_SILENCE:
	case WORLD_CLOSE:
		return MHD_NO;
	}
	return MHD_NO;
}

/* --- receiving --- */

struct header_reader {
	struct http_request *request;
	bool too_many;
};

static enum MHD_Result take_header(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct header_reader *reader = cls;
	(void)kind;
	if (reader->request->n_headers >= HTTP_HEADERS_MAX) {
		reader->too_many = true;
		return MHD_NO;
	}
	http_request_add_header(reader->request, name, value ? value : "");
	return MHD_YES;
}

static enum MHD_Result ask_world(struct server *s, struct exchange *x, const char *method)
{
	char *query = strchr(x->uri, '?');
	if (query)
		*query++ = '\0';
	struct http_request request = {.method = method,
				       .scheme = "http",
				       .path = x->uri,
				       .query = query ? query : "",
				       .body = buf_text(&x->body),
				       .body_len = x->body.len};
	struct header_reader reader = {.request = &request};
	MHD_get_connection_values(x->connection, MHD_HEADER_KIND, take_header, &reader);
	if (reader.too_many)
		return send_plain(x->connection, 431, "Too many headers.\n");
	request.host = http_header_find(request.headers, request.n_headers, "host");
	struct instant now = server_now();
	world_handle(s->w, &request, now, &x->reply);
	x->handled = true;
	bool silent = x->reply.fate == WORLD_SILENCE;
	if (!silent && x->reply.delay_ms <= 0)
		return finish(x);
	wait_until(s, x, now.boot_ms + (silent ? SILENCE_MS : x->reply.delay_ms));
	return MHD_YES;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
				  const char *version, const char *upload, size_t *upload_size, void **context)
{
	struct server *s = cls;
	struct exchange *x = *context;
	(void)url;
	(void)version;
	if (!x || s->closing)
		return MHD_NO;
	if (!x->connection) {
		/* Headers are there, the body is not yet. */
		x->connection = connection;
		return MHD_YES;
	}
	if (*upload_size) {
		buf_add(&x->body, upload, *upload_size);
		x->too_large = !buf_ok(&x->body);
		*upload_size = 0;
		return MHD_YES;
	}
	if (x->too_large)
		return send_plain(connection, 413, "The request is larger than 72 MiB.\n");
	return x->handled ? finish(x) : ask_world(s, x, method);
}

/* Called first of all, with the request's target as it was sent; its result becomes the exchange. */
static void *on_uri(void *cls, const char *uri, struct MHD_Connection *connection)
{
	(void)cls;
	(void)connection;
	struct exchange *x = mem_alloc(sizeof(*x));
	*x = (struct exchange){.uri = mem_strdup(uri), .body = BUF_INIT(WORLD_REQUEST_BYTES)};
	return x;
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **context,
			 enum MHD_RequestTerminationCode code)
{
	struct server *s = cls;
	struct exchange *x = *context;
	(void)connection;
	(void)code;
	if (!x)
		return;
	stop_waiting(s, x);
	world_reply_deinit(&x->reply);
	buf_deinit(&x->body);
	free(x->uri);
	free(x);
	*context = NULL;
}

/* Signatures cover the path as it was sent, so nothing may be decoded on the way. */
static size_t keep_encoded(void *cls, struct MHD_Connection *connection, char *text)
{
	(void)cls;
	(void)connection;
	return strlen(text);
}

struct server *server_new(struct world *w, int listen_fd)
{
	struct server *s = mem_alloc(sizeof(*s));
	s->w = w;
	s->mhd = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, s,
				  MHD_OPTION_LISTEN_SOCKET, listen_fd, MHD_OPTION_URI_LOG_CALLBACK, on_uri, s,
				  MHD_OPTION_UNESCAPE_CALLBACK, keep_encoded, s, MHD_OPTION_NOTIFY_COMPLETED,
				  on_completed, s, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
				  MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)CONNECTION_IDLE_S, MHD_OPTION_END);
	if (!s->mhd) {
		free(s);
		return NULL;
	}
	return s;
}

void server_free(struct server *s)
{
	if (!s)
		return;
	/* libmicrohttpd does not stop while anything is suspended. */
	s->closing = true;
	while (s->waiting)
		wake(s, s->waiting);
	MHD_run(s->mhd);
	MHD_stop_daemon(s->mhd);
	free(s);
}

int server_fd(const struct server *s)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->mhd, MHD_DAEMON_INFO_EPOLL_FD);
	return info->epoll_fd;
}

int server_timeout_ms(const struct server *s)
{
	MHD_UNSIGNED_LONG_LONG mhd_ms;
	int64_t timeout_ms = LOOP_MS, now_ms = server_now().boot_ms;
	if (MHD_get_timeout(s->mhd, &mhd_ms) == MHD_YES && mhd_ms < LOOP_MS)
		timeout_ms = (int64_t)mhd_ms;
	for (const struct exchange *x = s->waiting; x; x = x->next)
		if (x->due_ms - now_ms < timeout_ms)
			timeout_ms = x->due_ms > now_ms ? x->due_ms - now_ms : 0;
	return (int)timeout_ms;
}

void server_run(struct server *s)
{
	struct instant now = server_now();
	/* Now and then is enough, and costs nothing when there are many. */
	bool look = now.boot_ms >= s->look_ms;
	if (look)
		s->look_ms = now.boot_ms + LOOP_MS;
	world_advance(s->w, now);
	for (struct exchange *x = s->waiting, *next; x; x = next) {
		next = x->next;
		if (x->due_ms <= now.boot_ms || (look && client_is_gone(x->connection)))
			wake(s, x);
	}
	MHD_run(s->mhd);
}
