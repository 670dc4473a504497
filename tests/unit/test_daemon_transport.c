/*
 * The transport against a server in the same loop that misbehaves as it is told. What counts most is that the outcome
 * is told truly: a request that may have been applied is never called unsent, and never sent twice.
 */
#include <dlfcn.h>
#include <netdb.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/syscall.h>
#include <time.h>

#include <cmocka.h>

#include "base/mem.h"

static unsigned frees;
static unsigned blocks_left; /* that were freed with a session's token in them */
static void look_and_free(void *block);

/* The daemon is a program and no library: its parts are compiled into the test. */
#define free(p) look_and_free(p)
#include "daemon/io/failure.c"
#include "daemon/io/proxy.c"
#include "daemon/io/transport.c"
#include "daemon/io/trust.c"
#undef free
#include "daemon/io/turn.c"
#define arm	  waker_arm
#define poll_cb	  waker_poll_cb
#define closed_cb waker_closed_cb
#include "daemon/io/waker.c"

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

/* --- the clocks and the resolver that libcurl and libuv get --- */

#define NAME	    "lambda.test"
#define ALL_PROGRAM __attribute__((visibility("default")))

static _Atomic time_t ahead_s;		 /* of the real clocks */
static const char *_Atomic addresses[2]; /* of NAME */
static _Atomic unsigned look_ups;
static _Atomic bool resolver_hangs, resolver_gave_up;
static sem_t resolver_may_go, resolver_has_gone;

ALL_PROGRAM int clock_gettime(clockid_t clock, struct timespec *t)
{
	int r = (int)syscall(SYS_clock_gettime, clock, t);
	t->tv_sec += ahead_s;
	return r;
}

ALL_PROGRAM time_t time(time_t *out)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	if (out)
		*out = now.tv_sec;
	return now.tv_sec;
}

typedef int (*look_up_fn)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

static void hang(void)
{
	struct timespec until_then;
	syscall(SYS_clock_gettime, CLOCK_REALTIME, &until_then);
	until_then.tv_sec += 20;
	resolver_gave_up = sem_timedwait(&resolver_may_go, &until_then) != 0;
}

/* Called in threads of libcurl's. */
ALL_PROGRAM int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **ret)
{
	look_up_fn real = (look_up_fn)dlsym(RTLD_NEXT, "getaddrinfo");
	struct addrinfo numeric = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
	struct addrinfo *second;
	if (!host || strcmp(host, NAME) != 0)
		return real(host, port, hints, ret);
	look_ups++;
	if (resolver_hangs) {
		hang();
		sem_post(&resolver_has_gone);
		return EAI_AGAIN;
	}
	int r = real(addresses[0], port, &numeric, ret);
	if (r == 0 && addresses[1] && real(addresses[1], port, &numeric, &second) == 0)
		(*ret)->ai_next = second;
	return r;
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
	ahead_s = 0;
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

/* --- what goes over the wire --- */

static void test_a_get_as_it_was_built(void **state)
{
	struct rig *r = *state;
	send_one(r, "GET", NULL);
	char expected[512];
	snprintf(expected, sizeof(expected),
		 "GET /2015-03-31/functions/arn%%3Aaws/../x/aliases/$LATEST?a=%%24b HTTP/1.1\r\nHost: %s\r\n"
		 "User-Agent: test/1\r\n\r\n",
		 r->host);
	assert_string_equal(r->last, expected);
	assert_int_equal(r->result, TRANSPORT_ANSWERED);
	assert_int_equal(r->status, 200);
	assert_string_equal(r->body, "hello");
	assert_string_equal(r->header, "7");
}

static void test_a_put_as_it_was_built(void **state)
{
	struct rig *r = *state;
	struct http_request request = request_to(r, "PUT", "{\"a\":1}");
	http_request_add_header(&request, "Content-Type", "application/json");
	http_request_add_header(&request, "X-Empty", "");
	send_with(r, &request, 5000);
	assert_non_null(strstr(r->last, "PUT /2015"));
	assert_non_null(strstr(r->last, "\r\nContent-Type: application/json\r\n"));
	assert_non_null(strstr(r->last, "\r\nX-Empty:\r\n"));
	assert_non_null(strstr(r->last, "\r\nContent-Length: 7\r\n"));
	assert_null(strstr(r->last, "Expect"));
	assert_null(strstr(r->last, "Accept"));
	assert_non_null(strstr(r->last, "\r\n\r\n{\"a\":1}"));

	/* The handle forgets all of that. */
	send_one(r, "GET", NULL);
	assert_int_equal(strncmp(r->last, "GET ", 4), 0);
	assert_null(strstr(r->last, "Content"));
	send_one(r, "DELETE", NULL);
	assert_int_equal(strncmp(r->last, "DELETE ", 7), 0);
	send_one(r, "POST", "x");
	assert_int_equal(strncmp(r->last, "POST ", 5), 0);
	assert_null(strstr(r->last, "Content-Type"));
	assert_int_equal(r->connections, 1); /* kept open */
}

static void test_errors_and_redirects_are_answers(void **state)
{
	struct rig *r = *state;
	r->reply = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
	send_one(r, "GET", NULL);
	assert_int_equal(r->result, TRANSPORT_ANSWERED);
	assert_int_equal(r->status, 302);
	r->reply = "HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno";
	send_one(r, "PUT", "x");
	assert_int_equal(r->status, 503);
	assert_string_equal(r->body, "no");
	assert_int_equal(r->requests, 2);
}

static void test_interim_answers_do_not_count(void **state)
{
	struct rig *r = *state;
	r->reply = "HTTP/1.1 100 Continue\r\nx-amzn-requestid: early\r\n\r\n"
		   "HTTP/1.1 200 OK\r\nx-amzn-requestid: late\r\nContent-Length: 2\r\n\r\nok";
	send_one(r, "PUT", "x");
	assert_int_equal(r->status, 200);
	assert_string_equal(r->header, "late");
}

/* --- what went wrong, and where --- */

static void test_refused_is_no_connection(void **state)
{
	struct rig *r = *state;
	snprintf(r->host, sizeof(r->host), "127.0.0.1:1");
	send_one(r, "PUT", "x");
	assert_int_equal(r->result, TRANSPORT_NO_CONNECTION);
	assert_non_null(strstr(r->error, "127.0.0.1"));
}

static void test_failed_tls_is_no_connection(void **state)
{
	struct rig *r = *state;
	struct http_request request = request_to(r, "PUT", "x");
	request.scheme = "https";
	r->manner = CLOSE_UNHEARD;
	send_with(r, &request, 5000);
	assert_int_equal(r->result, TRANSPORT_NO_CONNECTION);
	assert_int_equal(r->connections, 1);
	assert_string_not_equal(r->error, "");
}

static void test_too_large_to_send_is_no_connection(void **state)
{
	struct rig *r = *state;
	char *body = mem_alloc(LIMIT_AWS_UPLOAD_BYTES + 2);
	memset(body, 'x', LIMIT_AWS_UPLOAD_BYTES + 1);
	send_one(r, "POST", body);
	assert_int_equal(r->result, TRANSPORT_NO_CONNECTION);
	assert_int_equal(r->connections, 0);
	free(body);
	send_one(r, "POST", "x"); /* and the next one is well */
	assert_int_equal(r->result, TRANSPORT_ANSWERED);
}

static void test_closed_without_an_answer_is_no_answer(void **state)
{
	struct rig *r = *state;
	r->manner = CLOSE_HEARD;
	send_one(r, "PUT", "x");
	assert_int_equal(r->result, TRANSPORT_NO_ANSWER);
	assert_int_equal(r->requests, 1);
	send_one(r, "POST", "x");
	assert_int_equal(r->result, TRANSPORT_NO_ANSWER);
	assert_int_equal(r->requests, 2);
}

static void test_truncated_is_no_answer(void **state)
{
	struct rig *r = *state;
	r->manner = ANSWER_CLOSE;
	r->reply = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"half";
	send_one(r, "PUT", "x");
	assert_int_equal(r->result, TRANSPORT_NO_ANSWER);
	r->reply = "garbage\r\n\r\n";
	send_one(r, "PUT", "x");
	assert_int_equal(r->result, TRANSPORT_NO_ANSWER);
}

static void test_a_timeout_is_no_answer(void **state)
{
	struct rig *r = *state;
	struct http_request request = request_to(r, "PUT", "x");
	r->manner = SILENCE;
	transport_send(r->transport, &request, 300, answer_cb, r);
	until(r, r->answers);
	assert_int_equal(r->result, TRANSPORT_NO_ANSWER);
	assert_int_equal(r->requests, 1);
	assert_non_null(strstr(r->error, "timed out"));
}

static void test_a_flood_is_cut_off(void **state)
{
	struct rig *r = *state;
	r->manner = FLOOD;
	send_one(r, "GET", NULL);
	assert_int_equal(r->result, TRANSPORT_NO_ANSWER);
	assert_string_equal(r->error, "the answer is larger than 8388608 bytes");
}

/* Each byte is a sign of life, and yet the whole has its time. */
static void test_a_drip_is_timed_out(void **state)
{
	struct rig *r = *state;
	struct http_request request = request_to(r, "PUT", "x");
	r->manner = DRIP;
	send_with(r, &request, 300);
	assert_int_equal(r->result, TRANSPORT_NO_ANSWER);
	assert_non_null(strstr(r->error, "timed out"));
}

/* --- who may read it --- */

static void test_plain_http_stays_on_this_machine(void **state)
{
	struct rig *r = *state;
	struct transfer x = {.plain = true};
	char here[] = "127.9.9.9", here6[] = "::1", there[] = "10.1.2.3", there6[] = "fd00:ec2::254";
	assert_int_equal(prereq_cb(&x, here, here, 80, 1), CURL_PREREQFUNC_OK);
	assert_int_equal(prereq_cb(&x, here6, here6, 80, 1), CURL_PREREQFUNC_OK);
	assert_false(x.astray);
	assert_int_equal(prereq_cb(&x, there, here, 80, 1), CURL_PREREQFUNC_ABORT);
	assert_int_equal(prereq_cb(&x, there6, here, 80, 1), CURL_PREREQFUNC_ABORT);
	assert_true(x.astray);
	assert_int_equal(x.sent, 2); /* what was broken off was not sent */
	/* Whoever fetches keys there may ask the metadata services; and nobody else. */
	char service[] = "169.254.169.254", near_it[] = "169.254.169.253";
	x.metadata = true;
	assert_int_equal(prereq_cb(&x, there6, here, 80, 1), CURL_PREREQFUNC_OK);
	assert_int_equal(prereq_cb(&x, service, here, 80, 1), CURL_PREREQFUNC_OK);
	assert_int_equal(prereq_cb(&x, near_it, here, 80, 1), CURL_PREREQFUNC_ABORT);
	assert_int_equal(prereq_cb(&x, there, here, 80, 1), CURL_PREREQFUNC_ABORT);
	x.metadata = false;
	assert_int_equal(prereq_cb(&x, service, here, 80, 1), CURL_PREREQFUNC_ABORT);
	x.plain = false;
	assert_int_equal(prereq_cb(&x, there, here, 443, 1), CURL_PREREQFUNC_OK);

	/* A proxy is another machine. */
	restart_with(r, "http_proxy", "http://127.0.0.1:1");
	send_one(r, "PUT", "x");
	assert_int_equal(r->result, TRANSPORT_ANSWERED);
	restart_with(r, "ALL_PROXY", "http://127.0.0.1:1");
	send_one(r, "PUT", "x");
	assert_int_equal(r->result, TRANSPORT_ANSWERED);
}

/* What fetches keys takes no more than keys, wipes both bodies, and asks no proxy for metadata, whatever the scheme. */
static void test_what_fetches_keys(void **state)
{
	struct rig *r = *state;
	struct http_request request = request_to(r, "POST", "Token=SECRET-SECRET-SECRET");
	r->result = -1;
	transport_send_secret(r->transport, &request, 5000, false, answer_cb, r);
	struct transfer *x = r->transport->flying;
	assert_int_equal(x->body.max, LIMIT_KEYS_ANSWER);
	while ((int)r->result == -1)
		uv_run(&r->loop, UV_RUN_ONCE);
	assert_int_equal(r->result, TRANSPORT_ANSWERED);
	assert_ptr_equal(r->transport->pool, x);
	assert_null(x->body.data);
	assert_null(x->request_body.data);

	restart_with(r, "https_proxy", "http://127.0.0.1:1");
	request.scheme = "https";
	r->manner = CLOSE_HEARD;
	r->result = -1;
	transport_send_secret(r->transport, &request, 5000, true, answer_cb, r);
	while ((int)r->result == -1)
		uv_run(&r->loop, UV_RUN_ONCE);
	assert_int_equal(r->result, TRANSPORT_NO_CONNECTION);
	assert_null(strstr(r->error, "127.0.0.1 port 1"));
	/* And the next one in the same place is as ever. */
	r->manner = 0;
	send_one(r, "PUT", "x");
	assert_int_equal(r->result, TRANSPORT_ANSWERED);
}

/* A proxy, whatever its name is looked up to, is asked for https only. */
static void test_https_goes_through_the_proxy(void **state)
{
	struct rig *r = *state;
	struct http_request request = request_to(r, "PUT", "x");
	char proxy[64];
	snprintf(proxy, sizeof(proxy), "http://%s", r->host);
	restart_with(r, "https_proxy", proxy);
	request.scheme = "https";
	request.host = "lambda.eu-west-1.amazonaws.com";
	r->manner = CLOSE_HEARD;
	send_with(r, &request, 5000);
	assert_int_equal(r->result, TRANSPORT_NO_CONNECTION);
	assert_int_equal(strncmp(r->last, "CONNECT lambda.eu-west-1.amazonaws.com:443 ", 43), 0);
}

/* --- what comes back of it --- */

#define TOKEN	  "IQoJb3JpZ2luX2VjEJ/token+of/a=session"
#define SIGNATURE "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"

static void send_signed(struct rig *r)
{
	struct http_request request = request_to(r, "PUT", "x");
	http_request_add_header(&request, "X-Amz-Security-Token", TOKEN);
	http_request_add_header(&request, "Authorization",
				"AWS4-HMAC-SHA256 Credential=AKID/20150830/x/y/aws4_request, SignedHeaders=host, "
				"Signature=" SIGNATURE);
	send_with(r, &request, 5000);
	assert_non_null(strstr(r->last, TOKEN)); /* it did go out */
	assert_int_equal(r->result, TRANSPORT_ANSWERED);
}

static void test_secrets_that_come_back_are_masked(void **state)
{
	struct rig *r = *state;
	r->reply = "HTTP/1.1 403 Forbidden\r\nx-amzn-RequestId: " TOKEN "\r\nConnection: close\r\n\r\n"
		   "{\"message\":\"you sent " TOKEN " and " TOKEN ", Credential=AKID/x, Signature=" SIGNATURE "\"}";
	r->manner = ANSWER_CLOSE;
	send_signed(r);
	assert_int_equal(r->status, 403);
	assert_null(strstr(r->body, "IQoJ"));
	assert_null(strstr(r->body, "session"));
	assert_null(strstr(r->body, "5d672d79"));
	assert_null(strstr(r->body, "b5d7"));
	assert_non_null(strstr(r->body, "{\"message\":\"you sent *****"));
	assert_non_null(strstr(r->body, "Credential=AKID/x, Signature=*****"));
	assert_int_equal(r->header[0], '*');
	assert_null(strstr(r->header, "session"));

	/* A short word that somebody tries things out with stays what it is. */
	struct http_request request = request_to(r, "PUT", "x");
	http_request_add_header(&request, "X-Amz-Security-Token", "x");
	r->manner = ANSWER;
	r->reply = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nxyz";
	send_with(r, &request, 5000);
	assert_string_equal(r->body, "xyz");
}

/* What libcurl writes requests out in is zeroed when it is freed. */
static void test_no_token_is_left_in_freed_memory(void **state)
{
	struct rig *r = *state;
	frees = 0;
	send_signed(r);
	assert_true(frees > 0);
	transport_close(r->transport);
	r->transport = NULL;
	assert_int_equal(blocks_left, 0);
}

/* A kept connection dies under a write: libcurl alone would send it again. */
static void test_a_write_is_never_sent_twice(void **state)
{
	struct rig *r = *state;
	r->manner = CLOSE_SECOND;
	send_one(r, "PUT", "one");
	assert_int_equal(r->result, TRANSPORT_ANSWERED);
	send_one(r, "PUT", "two");
	assert_int_equal(r->result, TRANSPORT_NO_ANSWER);
	assert_string_equal(r->error, "the connection was closed before an answer came");
	assert_int_equal(r->requests, 2);

	/* A read may be, and is. */
	send_one(r, "GET", NULL);
	unsigned requests = r->requests;
	send_one(r, "GET", NULL);
	assert_int_equal(r->result, TRANSPORT_ANSWERED);
	assert_int_equal(r->requests, requests + 2);
}

static void test_abort_answers_all_at_once(void **state)
{
	struct rig *r = *state;
	struct http_request request = request_to(r, "PUT", "x");
	r->manner = SILENCE;
	for (int i = 0; i < 5; i++)
		transport_send(r->transport, &request, 60000, answer_cb, r);
	assert_int_equal(transport_in_flight(r->transport), 5);
	until(r, r->requests == 5);
	transport_abort(r->transport);
	assert_int_equal(r->answers, 5);
	assert_int_equal(r->result, TRANSPORT_NO_ANSWER);

	/* What has not gone out yet is known not to have. */
	transport_send(r->transport, &request, 60000, answer_cb, r);
	transport_abort(r->transport);
	assert_int_equal(r->answers, 6);
	assert_int_equal(r->result, TRANSPORT_NO_CONNECTION);
}

/* --- connections that are kept, names that move --- */

static void send_to_name(struct rig *r, const char *first, const char *second)
{
	char host[64];
	snprintf(host, sizeof(host), NAME "%s", strrchr(r->host, ':'));
	addresses[0] = first;
	addresses[1] = second;
	struct http_request request = request_to(r, "PUT", "x");
	request.host = host;
	send_with(r, &request, 60000);
}

/* The server has closed it meanwhile: that is seen before the write, which goes out once, on another one. */
static void test_a_dead_connection_is_not_written_to(void **state)
{
	struct rig *r = *state;
	r->manner = ANSWER_CLOSE;
	for (unsigned i = 1; i <= 3; i++) {
		send_one(r, "PUT", "x");
		assert_int_equal(r->result, TRANSPORT_ANSWERED);
		assert_int_equal(r->connections, i);
		assert_int_equal(r->requests, i);
		for (int turns = 0; turns < 3; turns++) /* the server's end of it comes in */
			uv_run(&r->loop, UV_RUN_ONCE);
	}
}

/* Something in between may have forgotten it, and nobody says so. */
static void test_connections_do_not_grow_old(void **state)
{
	struct rig *r = *state;
	send_one(r, "PUT", "x");
	send_one(r, "PUT", "x");
	assert_int_equal(r->connections, 1);
	ahead_s += CONNECTION_KEPT_S + 2;
	send_one(r, "PUT", "x");
	assert_int_equal(r->result, TRANSPORT_ANSWERED);
	assert_int_equal(r->connections, 2);
	/* Nor do those that are never idle for long. */
	for (int i = 0; i < 6; i++) {
		ahead_s += 10;
		send_one(r, "PUT", "x");
	}
	assert_true(r->connections >= 3);
}

/* Within a minute of a change nothing goes to where the name was, though it is used all the time. */
static void test_a_name_that_moves(void **state)
{
	struct rig *r = *state;
	look_ups = 0;
	send_to_name(r, "127.0.0.1", NULL);
	send_to_name(r, "127.0.0.1", NULL);
	assert_int_equal(r->result, TRANSPORT_ANSWERED);
	assert_int_equal(look_ups, 1);
	for (int i = 0; i < 6; i++) {
		ahead_s += 10;
		send_to_name(r, "127.0.0.2", NULL);
	}
	assert_int_equal(r->result, TRANSPORT_NO_CONNECTION); /* nobody listens there */
	assert_non_null(strstr(r->error, NAME));
}

/* The name has an address of IPv6, where nobody answers, and one of IPv4. */
static void test_both_kinds_of_addresses(void **state)
{
	struct rig *r = *state;
	send_to_name(r, "::1", "127.0.0.1");
	assert_int_equal(r->result, TRANSPORT_ANSWERED);
	assert_int_equal(r->requests, 1);
	ahead_s += 120;
	send_to_name(r, "127.0.0.2", "127.0.0.1");
	assert_int_equal(r->result, TRANSPORT_ANSWERED);
	assert_int_equal(r->requests, 2);
}

/* A name server that does not answer takes the resolver much longer than a request may take. The loop does not wait. */
static void test_a_resolver_that_hangs(void **state)
{
	struct rig *r = *state;
	struct http_request request = request_to(r, "PUT", "x");
	resolver_hangs = true;
	request.host = NAME;
	send_with(r, &request, 300);
	assert_int_equal(r->result, TRANSPORT_NO_CONNECTION);
	assert_non_null(strstr(r->error, "timed out"));
	send_one(r, "PUT", "x"); /* others go on */
	assert_int_equal(r->result, TRANSPORT_ANSWERED);
	assert_false(resolver_gave_up);
	sem_post(&resolver_may_go);
	sem_wait(&resolver_has_gone);
	assert_false(resolver_gave_up);
	resolver_hangs = false;
}

/* Whoever takes a connection and does not shake hands has less time than an answer may take. */
static void test_the_connection_has_a_time_of_its_own(void **state)
{
	struct rig *r = *state;
	struct http_request request = request_to(r, "PUT", "x");
	request.scheme = "https";
	r->manner = SILENCE;
	transport_send(r->transport, &request, 600000, answer_cb, r);
	until(r, r->connections == 1);
	assert_int_equal(r->answers, 0);
	ahead_s += CONNECT_TIMEOUT_MS / 1000 + 1;
	until(r, r->answers == 1);
	assert_int_equal(r->result, TRANSPORT_NO_CONNECTION);
	assert_non_null(strstr(r->error, "time"));
}

/* However many connections there are, certificates are read once; and anew when their file has changed. */
static void test_certificates_are_read_once(void **state)
{
	struct rig *r = *state;
	struct http_request request = request_to(r, "GET", NULL);
	char path[] = "/tmp/bundle-XXXXXX";
	const char *bundle = curl_version_info(CURLVERSION_NOW)->cainfo;
	char *bytes;
	size_t len;
	if (!bundle || file_read(bundle, BUNDLE_MAX, &bytes, &len) != 0)
		skip();
	int fd = mkstemp(path);
	assert_int_equal(write(fd, bytes, len), len);
	restart_with(r, "AWS_CA_BUNDLE", path);
	request.scheme = "https";
	r->manner = CLOSE_UNHEARD;
	for (unsigned i = 1; i <= 10; i++) {
		send_with(r, &request, 5000);
		assert_int_equal(r->connections, i);
	}
	assert_int_equal(trust_loads(r->transport->trust), 1);
	assert_int_equal(write(fd, "\n", 1), 1);
	send_with(r, &request, 5000);
	assert_int_equal(trust_loads(r->transport->trust), 1); /* not looked at for every request */
	ahead_s += TRUST_LOOK_MS / 1000 + 1;
	uv_update_time(&r->loop);
	send_with(r, &request, 5000);
	assert_int_equal(trust_loads(r->transport->trust), 2);
	ahead_s += TRUST_LOOK_MS / 1000 + 1;
	uv_update_time(&r->loop);
	send_with(r, &request, 5000);
	assert_int_equal(trust_loads(r->transport->trust), 2);
	free(bytes);
	close(fd);
	unlink(path);
}

/* The answer's callback may send the next request. */
static void send_again(void *arg, enum transport_result result, const struct http_response *response, const char *error)
{
	struct rig *r = arg;
	answer_cb(arg, result, response, error);
	struct http_request request = request_to(r, "PUT", "x");
	if (r->answers < 100)
		transport_send(r->transport, &request, 5000, send_again, r);
}

static void test_many_in_a_row_and_side_by_side(void **state)
{
	struct rig *r = *state;
	struct http_request request = request_to(r, "PUT", "x");
	transport_send(r->transport, &request, 5000, send_again, r);
	until(r, r->answers == 100);
	assert_int_equal(r->connections, 1);
	for (int i = 0; i < 64; i++)
		transport_send(r->transport, &request, 5000, answer_cb, r);
	until(r, r->answers == 164);
	assert_int_equal(r->requests, 164);
}

/* --- the loop's clocks --- */

struct clocks {
	struct rig *rig;
	struct turn *turn;
	unsigned turns;
	unsigned wakes;
	unsigned wanted; /* turns that a turn asks for */
};

static void count_turn(void *ctx)
{
	struct clocks *c = ctx;
	c->turns++;
	if (c->wanted > 0) {
		c->wanted--;
		turn_want(c->turn);
	}
}

static void count_wake(void *ctx)
{
	struct clocks *c = ctx;
	c->wakes++;
}

static int64_t boot_now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_BOOTTIME, &t);
	return t.tv_sec * MS_PER_SECOND + t.tv_nsec / 1000000;
}

static void test_a_turn_runs_when_wanted_and_only_then(void **state)
{
	struct rig *r = *state;
	struct clocks c = {.rig = r};
	struct turn_stats stats;
	turn_new(&r->loop, count_turn, &c, &c.turn);
	for (int i = 0; i < 5; i++)
		uv_run(&r->loop, UV_RUN_NOWAIT);
	assert_int_equal(c.turns, 0);
	turn_want(c.turn);
	turn_want(c.turn);
	uv_run(&r->loop, UV_RUN_NOWAIT);
	assert_int_equal(c.turns, 1);
	c.wanted = 3;
	turn_want(c.turn);
	until(r, c.turns == 5);
	turn_stats(c.turn, &stats);
	assert_true(stats.turns >= 5);
	turn_close(c.turn);
	uv_run(&r->loop, UV_RUN_NOWAIT);
}

static void test_the_waker_wakes_once_and_can_be_reset(void **state)
{
	struct rig *r = *state;
	struct clocks c = {.rig = r};
	struct waker *w;
	assert_int_equal(waker_new(&r->loop, count_wake, &c, &w), 0);
	waker_set(w, boot_now_ms() + 3600 * 1000);
	waker_set(w, INT64_MAX);
	uv_run(&r->loop, UV_RUN_NOWAIT);
	assert_int_equal(c.wakes, 0);
	waker_set(w, 0); /* long past */
	until(r, c.wakes == 1);
	int64_t at = boot_now_ms() + 20;
	waker_set(w, at);
	until(r, c.wakes == 2);
	assert_true(boot_now_ms() >= at);
	waker_set(w, boot_now_ms() - 5);
	waker_set(w, boot_now_ms() - 5);
	until(r, c.wakes == 3);
	waker_close(w);
	uv_run(&r->loop, UV_RUN_NOWAIT);
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

int main(void)
{
	signal(SIGPIPE, SIG_IGN); /* the server writes on when the client has gone */
	sem_init(&resolver_may_go, 0, 0);
	sem_init(&resolver_has_gone, 0, 0);
	const struct CMUnitTest tests[] = {
	    with_rig(test_a_get_as_it_was_built),
	    with_rig(test_a_put_as_it_was_built),
	    with_rig(test_errors_and_redirects_are_answers),
	    with_rig(test_interim_answers_do_not_count),
	    with_rig(test_refused_is_no_connection),
	    with_rig(test_failed_tls_is_no_connection),
	    with_rig(test_too_large_to_send_is_no_connection),
	    with_rig(test_closed_without_an_answer_is_no_answer),
	    with_rig(test_truncated_is_no_answer),
	    with_rig(test_a_timeout_is_no_answer),
	    with_rig(test_a_flood_is_cut_off),
	    with_rig(test_a_drip_is_timed_out),
	    with_rig(test_plain_http_stays_on_this_machine),
	    with_rig(test_what_fetches_keys),
	    with_rig(test_https_goes_through_the_proxy),
	    with_rig(test_secrets_that_come_back_are_masked),
	    with_rig(test_no_token_is_left_in_freed_memory),
	    with_rig(test_a_write_is_never_sent_twice),
	    with_rig(test_a_dead_connection_is_not_written_to),
	    with_rig(test_connections_do_not_grow_old),
	    with_rig(test_a_name_that_moves),
	    with_rig(test_both_kinds_of_addresses),
	    with_rig(test_a_resolver_that_hangs),
	    with_rig(test_the_connection_has_a_time_of_its_own),
	    with_rig(test_certificates_are_read_once),
	    with_rig(test_abort_answers_all_at_once),
	    with_rig(test_many_in_a_row_and_side_by_side),
	    with_rig(test_a_turn_runs_when_wanted_and_only_then),
	    with_rig(test_the_waker_wakes_once_and_can_be_reset),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
