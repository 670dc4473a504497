/*
 * The transport, compiled in, and a server in the same loop that misbehaves as it is told. For test programs, each of
 * which uses all of it.
 */
#pragma once

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

static unsigned frees;
static unsigned blocks_left; /* that were freed with a session's token in them */
static void look_and_free(void *block);

/* The daemon is a program and no library: its parts are compiled into the test. */
#define free(p) look_and_free(p)
#include "daemon/io/echo.c"
#include "daemon/io/failure.c"
#include "daemon/io/multi.c"
#include "daemon/io/proxy.c"
#include "daemon/io/transport.c"
#include "daemon/io/trust.c"
#undef free

#define BEAT_MS	  5
#define BEATS_MAX 4000 /* a test that waits for so long has failed */

enum manner {
	ANSWER,	       /* whatever `reply` is, and keep the connection */
	ANSWER_CLOSE,  /* the same, and close it */
	CLOSE_UNHEARD, /* close without reading */
	CLOSE_HEARD,   /* read the request, close without an answer */
	CLOSE_SECOND,  /* answer the first request of a connection, close on the next */
	SILENCE,       /* read, and never answer */
	FLOOD,	       /* an answer that does not end */
	DRIP,	       /* the same, a byte at a time */
};

struct rig {
	uv_loop_t loop;
	uv_timer_t guard;
	unsigned beats;
	bool late;
	uv_tcp_t listener;
	char host[32];
	enum manner manner;
	const char *reply;
	unsigned connections;
	unsigned requests;
	char last[4096]; /* the last request's bytes */
	struct transport *transport;
	/* the answer */
	unsigned answers;
	enum transport_result result;
	int status;
	char *body;
	char header[256];
	char error[512];
};

struct peer {
	struct rig *rig;
	uv_tcp_t tcp;
	uv_write_t write;
	char bytes[4096];
	size_t len;
	unsigned requests;
	bool flooding;
};

static const char ok_reply[] =
    "HTTP/1.1 200 OK\r\nx-amzn-RequestId: \t7 \r\nX-Other: no\r\nContent-Length: 5\r\n\r\nhello";
static char flood[64 * 1024];

/* --- the server --- */

static void peer_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void close_peer(struct peer *p)
{
	if (!uv_is_closing((uv_handle_t *)&p->tcp))
		uv_close((uv_handle_t *)&p->tcp, peer_closed);
}

static void written(uv_write_t *write, int status)
{
	struct peer *p = write->data;
	if (status < 0) {
		close_peer(p);
		return;
	}
	if (p->flooding) {
		uv_buf_t buf = uv_buf_init(flood, p->rig->manner == DRIP ? 1 : sizeof(flood));
		uv_write(&p->write, (uv_stream_t *)&p->tcp, &buf, 1, written);
	} else if (p->rig->manner == ANSWER_CLOSE) {
		close_peer(p);
	}
}

static void reply(struct peer *p)
{
	struct rig *r = p->rig;
	bool flooding = r->manner == FLOOD || r->manner == DRIP;
	const char *text = flooding ? "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n" : r->reply;
	uv_buf_t buf = uv_buf_init((char *)text, (unsigned)strlen(text));
	p->flooding = flooding;
	p->write.data = p;
	uv_write(&p->write, (uv_stream_t *)&p->tcp, &buf, 1, written);
}

static void heard(struct peer *p)
{
	struct rig *r = p->rig;
	snprintf(r->last, sizeof(r->last), "%.*s", (int)p->len, p->bytes);
	p->len = 0;
	p->requests++;
	r->requests++;
	if (r->manner == CLOSE_HEARD || (r->manner == CLOSE_SECOND && p->requests == 2))
		close_peer(p);
	else if (r->manner != SILENCE)
		reply(p);
}

static void peer_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct peer *p = stream->data;
	(void)buf;
	if (n < 0) {
		close_peer(p);
		return;
	}
	p->len += (size_t)n;
	p->bytes[p->len] = '\0';
	const char *head = strstr(p->bytes, "\r\n\r\n");
	const char *length = strstr(p->bytes, "Content-Length: ");
	if (head && (!length || p->len >= (size_t)(head + 4 - p->bytes) + strtoul(length + 16, NULL, 10)))
		heard(p);
}

static void peer_room(uv_handle_t *handle, size_t wanted, uv_buf_t *ret)
{
	struct peer *p = handle->data;
	(void)wanted;
	*ret = uv_buf_init(p->bytes + p->len, (unsigned)(sizeof(p->bytes) - p->len - 1));
}

static void connected(uv_stream_t *server, int status)
{
	struct rig *r = server->data;
	assert_int_equal(status, 0);
	struct peer *p = mem_alloc(sizeof(*p));
	p->rig = r;
	p->tcp.data = p;
	uv_tcp_init(&r->loop, &p->tcp);
	assert_int_equal(uv_accept(server, (uv_stream_t *)&p->tcp), 0);
	r->connections++;
	if (r->manner == CLOSE_UNHEARD)
		close_peer(p);
	else
		uv_read_start((uv_stream_t *)&p->tcp, peer_room, peer_read);
}

/* What libcurl and the transport give back. */
static void look_and_free(void *block)
{
	frees++;
	if (block && memmem(block, malloc_usable_size(block), "IQoJb3JpZ2luX2Vj", 16))
		blocks_left++;
	free(block);
}

/* --- the rig --- */

static void guard_cb(uv_timer_t *timer)
{
	struct rig *r = timer->data;
	r->late = ++r->beats > BEATS_MAX;
}

static const char *from_environment(void *ctx, const char *name)
{
	(void)ctx;
	return getenv(name);
}

static void start_transport(struct rig *r)
{
	char error[512];
	const struct transport_config config = {.user_agent = "test/1", .env = from_environment};
	assert_int_equal(transport_new(&r->loop, &config, &r->transport, error, sizeof(error)), 0);
}

/* As after a start of the daemon with this in its environment. */
static void restart_with(struct rig *r, const char *name, const char *value)
{
	transport_close(r->transport);
	setenv(name, value, 1);
	start_transport(r);
	unsetenv(name);
}

static int make_rig(void **state)
{
	struct rig *r = mem_alloc(sizeof(*r));
	struct sockaddr_in address;
	int size = sizeof(address);
	r->reply = ok_reply;
	assert_int_equal(uv_loop_init(&r->loop), 0);
	uv_timer_init(&r->loop, &r->guard);
	r->guard.data = r;
	uv_timer_start(&r->guard, guard_cb, BEAT_MS, BEAT_MS);
	uv_ip4_addr("127.0.0.1", 0, &address);
	uv_tcp_init(&r->loop, &r->listener);
	r->listener.data = r;
	assert_int_equal(uv_tcp_bind(&r->listener, (const struct sockaddr *)&address, 0), 0);
	assert_int_equal(uv_listen((uv_stream_t *)&r->listener, 16, connected), 0);
	uv_tcp_getsockname(&r->listener, (struct sockaddr *)&address, &size);
	snprintf(r->host, sizeof(r->host), "127.0.0.1:%u", ntohs(address.sin_port));
	start_transport(r);
	*state = r;
	return 0;
}

static void close_any(uv_handle_t *handle, void *arg)
{
	(void)arg;
	if (uv_is_closing(handle))
		return;
	uv_close(handle,
		 handle->type == UV_TCP && handle->data && ((struct peer *)handle->data)->tcp.data == handle->data
		     ? peer_closed
		     : NULL);
}

static int drop_rig(void **state)
{
	struct rig *r = *state;
	if (r->transport)
		transport_abort(r->transport);
	transport_close(r->transport);
	for (int i = 0; i < 10; i++)
		uv_run(&r->loop, UV_RUN_NOWAIT);
	uv_close((uv_handle_t *)&r->listener, NULL);
	uv_close((uv_handle_t *)&r->guard, NULL);
	uv_run(&r->loop, UV_RUN_NOWAIT);
	uv_walk(&r->loop, close_any, NULL);
	while (uv_run(&r->loop, UV_RUN_DEFAULT))
		;
	int closed = uv_loop_close(&r->loop);
	free(r->body);
	free(r);
	return closed;
}

#define until(r, condition)                                                                                            \
	do {                                                                                                           \
		while (!(condition) && !(r)->late)                                                                     \
			uv_run(&(r)->loop, UV_RUN_ONCE);                                                               \
		assert_false((r)->late);                                                                               \
	} while (0)

static void answer_cb(void *arg, enum transport_result result, const struct http_response *response, const char *error)
{
	struct rig *r = arg;
	r->answers++;
	r->result = result;
	free(r->body);
	r->body = NULL;
	r->status = 0;
	r->error[0] = r->header[0] = '\0';
	assert_true((result == TRANSPORT_ANSWERED) == (response != NULL));
	assert_true((result == TRANSPORT_ANSWERED) == (error == NULL));
	if (error) {
		snprintf(r->error, sizeof(r->error), "%s", error);
		return;
	}
	const char *id = http_header_find(response->headers, response->n_headers, "x-amzn-requestid");
	snprintf(r->header, sizeof(r->header), "%s", id ? id : "");
	assert_null(http_header_find(response->headers, response->n_headers, "x-other"));
	r->status = response->status;
	r->body = mem_strndup(response->body, response->body_len);
	assert_int_equal(response->body[response->body_len], '\0');
}

static struct http_request request_to(const struct rig *r, const char *method, const char *body)
{
	return (struct http_request){
	    .method = method,
	    .scheme = "http",
	    .host = r->host,
	    .path = "/2015-03-31/functions/arn%3Aaws/../x/aliases/$LATEST",
	    .query = "a=%24b",
	    .body = body,
	    .body_len = body ? strlen(body) : 0,
	};
}

static void send_with(struct rig *r, const struct http_request *request, int64_t timeout_ms)
{
	unsigned answers = r->answers;
	transport_send(r->transport, request, timeout_ms, answer_cb, r);
	assert_int_equal(r->answers, answers); /* never before it returns */
	until(r, r->answers > answers);
	assert_int_equal(r->answers, answers + 1);
	assert_int_equal(transport_in_flight(r->transport), 0);
}

static void send_one(struct rig *r, const char *method, const char *body)
{
	struct http_request request = request_to(r, method, body);
	send_with(r, &request, 5000);
}

static int set_up(void **state)
{
	static const char *const proxies[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};
	(void)state;
	for (size_t i = 0; i < array_len(proxies); i++)
		unsetenv(proxies[i]);
	signal(SIGPIPE, SIG_IGN); /* as the daemon does; the server in here writes to clients that left */
	return transport_set_up();
}

static int tear_down(void **state)
{
	(void)state;
	transport_tear_down();
	return 0;
}

#define with_rig(test) cmocka_unit_test_setup_teardown(test, make_rig, drop_rig)
