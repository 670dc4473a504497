#include "daemon/io/multi.h"

#include "base/error.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/mem.h"

/* As many as can be in flight: with fewer, a full load would open and close a connection for each call beyond it. */
#define CONNECTIONS_KEPT ((long)LIMIT_CALLS_IN_FLIGHT)

struct watched { /* a socket of libcurl's */
	struct multi *owner;
	struct watched *next;
	struct watched *prev;
	uv_poll_t poll;
	curl_socket_t socket;
	int events;
	bool closing;
};

struct multi {
	uv_loop_t *loop;
	CURLM *curl; /* NULL: closed */
	multi_done_cb done;
	void *arg;
	uv_timer_t timer;
	struct watched *sockets;
	unsigned open_handles;
};

static void collect(struct multi *m)
{
	int left;
	CURLMsg *message;
	while ((message = curl_multi_info_read(m->curl, &left))) {
		/* The message dies with the handle's removal, so what is in it is passed on by value. */
		if (message->msg == CURLMSG_DONE)
			m->done(m->arg, message->easy_handle, message->data.result);
	}
}

static void drive(struct multi *m, curl_socket_t socket, int events)
{
	int running;
	/* Other codes than OK are programmers' errors or want of memory. */
	CURLMcode code = curl_multi_socket_action(m->curl, socket, events, &running);
	require(code == CURLM_OK || code == CURLM_BAD_SOCKET);
	collect(m);
}

static void timer_cb(uv_timer_t *timer)
{
	drive(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

/* --- its sockets and its timer --- */

static void free_when_closed(struct multi *m)
{
	if (--m->open_handles == 0)
		free(m);
}

static void watched_closed(uv_handle_t *handle)
{
	struct watched *w = handle->data;
	free_when_closed(w->owner);
	free(w);
}

static void unwatch(struct watched *w)
{
	w->closing = true;
	list_remove(&w->owner->sockets, w);
	if (w->owner->curl)
		(void)curl_multi_assign(w->owner->curl, w->socket, NULL); /* it may have forgotten the socket */
	uv_close((uv_handle_t *)&w->poll, watched_closed);
}

static void poll_cb(uv_poll_t *poll, int status, int events)
{
	struct watched *w = poll->data;
	int what = 0;
	if (events & UV_READABLE)
		what |= CURL_CSELECT_IN;
	if (events & UV_WRITABLE)
		what |= CURL_CSELECT_OUT;
	if (status < 0)
		what = CURL_CSELECT_ERR;
	drive(w->owner, w->socket, what);
	/* uv stops a poll that reports an error. When libcurl still wants the socket, it goes on. */
	if (status < 0 && !w->closing && uv_poll_start(&w->poll, w->events, poll_cb) < 0)
		unwatch(w);
}

static struct watched *watch(struct multi *m, curl_socket_t socket)
{
	struct watched *w = mem_alloc(sizeof(*w));
	if (uv_poll_init_socket(m->loop, &w->poll, socket) < 0) {
		free(w);
		return NULL;
	}
	w->owner = m;
	w->socket = socket;
	w->poll.data = w;
	m->open_handles++;
	list_push(&m->sockets, w);
	return w;
}

static int socket_cb(CURL *easy, curl_socket_t socket, int what, void *arg, void *socket_arg)
{
	struct multi *m = arg;
	struct watched *w = socket_arg;
	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		/* libcurl also removes sockets that it never told of. */
		if (w)
			unwatch(w);
		return 0;
	}
	if (!w)
		w = watch(m, socket);
	if (!w || curl_multi_assign(m->curl, socket, w) != CURLM_OK) {
		if (w)
			unwatch(w);
		return -1;
	}
	w->events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
	return uv_poll_start(&w->poll, w->events, poll_cb) < 0 ? -1 : 0;
}

static int wait_cb(CURLM *curl, long timeout_ms, void *arg)
{
	struct multi *m = arg;
	(void)curl;
	if (timeout_ms < 0)
		return uv_timer_stop(&m->timer);
	/* Not called at once even for 0: libcurl is not to be entered from its own callback. */
	return uv_timer_start(&m->timer, timer_cb, (uint64_t)timeout_ms, 0) < 0 ? -1 : 0;
}

/* --- the module's face --- */

struct multi *multi_new(uv_loop_t *loop, multi_done_cb done, void *arg)
{
	struct multi *m = mem_alloc(sizeof(*m));
	m->loop = loop;
	m->done = done;
	m->arg = arg;
	m->curl = curl_multi_init();
	require(m->curl);			      /* fails for want of memory only */
	require(uv_timer_init(loop, &m->timer) == 0); /* cannot fail */
	m->timer.data = m;
	m->open_handles = 1;
	require(curl_multi_setopt(m->curl, CURLMOPT_SOCKETFUNCTION, socket_cb) == CURLM_OK);
	require(curl_multi_setopt(m->curl, CURLMOPT_SOCKETDATA, m) == CURLM_OK);
	require(curl_multi_setopt(m->curl, CURLMOPT_TIMERFUNCTION, wait_cb) == CURLM_OK);
	require(curl_multi_setopt(m->curl, CURLMOPT_TIMERDATA, m) == CURLM_OK);
	require(curl_multi_setopt(m->curl, CURLMOPT_MAXCONNECTS, CONNECTIONS_KEPT) == CURLM_OK);
	require(curl_multi_setopt(m->curl, CURLMOPT_PIPELINING, CURLPIPE_NOTHING) == CURLM_OK);
	return m;
}

bool multi_add(struct multi *m, CURL *easy)
{
	return curl_multi_add_handle(m->curl, easy) == CURLM_OK;
}

void multi_remove(struct multi *m, CURL *easy)
{
	/* Fails only for handles that are not in it. */
	require(curl_multi_remove_handle(m->curl, easy) == CURLM_OK);
}

static void timer_closed(uv_handle_t *handle)
{
	free_when_closed(handle->data);
}

void multi_close(struct multi *m)
{
	/* Closes the kept connections, and tells of their sockets for the last time. */
	require(curl_multi_cleanup(m->curl) == CURLM_OK);
	m->curl = NULL;
	while (m->sockets)
		unwatch(m->sockets);
	uv_close((uv_handle_t *)&m->timer, timer_closed);
}
