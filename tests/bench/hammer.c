/*
 * A load client for the stages of rollout-localaws: hammer keeps a number of connections to one server on loopback
 * busy, spreads GET requests evenly over the URLs, and tells as JSON what each of them was answered.
 *
 * It is an honest witness, so nothing is tried twice: what was sent and not answered well, whole and in time, has
 * failed, and is counted by how. A connection that the server closed while nothing was asked of it has failed nobody:
 * that is looked for before a request is sent, and counted as "closed_idle".
 *
 * One thread, one epoll, one request at a time on a connection. All output goes to stdout, a line of JSON each; the
 * last one has "done": true.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "base/http.h"
#include "base/mem.h"
#include "base/text.h"

#define CONNECTIONS_MAX 1000
#define TARGETS_MAX	64
#define ANSWERS_MAX	32    /* different ones of one URL; further ones are counted together */
#define BODY_SHOWN	128   /* bytes of a body by which answers are told apart */
#define RESPONSE_BYTES	16384 /* header and body */
#define TIMEOUT_US	(30 * 1000000LL)
#define TICK_MS		1 /* how precisely a rate is kept, and how long it rests when nobody takes connections */

enum failure { FAILED_CONNECT, FAILED_SEND, FAILED_CLOSED, FAILED_MALFORMED, FAILED_TIMEOUT, FAILED_N };

static const char *const failure_names[FAILED_N] = {
    [FAILED_CONNECT] = "connect",     /* nobody took the connection */
    [FAILED_SEND] = "send",	      /* the request did not go out */
    [FAILED_CLOSED] = "closed",	      /* closed or reset before the answer was whole */
    [FAILED_MALFORMED] = "malformed", /* no HTTP/1.1 with a Content-Length, or too large */
    [FAILED_TIMEOUT] = "timeout",
};

struct answer {
	int status;
	char body[BODY_SHOWN + 1];
	uint64_t count;
	int64_t first_unix_ms;
	int64_t last_unix_ms;
};

struct target {
	const char *url;
	char *request; /* as it goes over the wire */
	size_t request_len;
	uint64_t ended;
	uint64_t failed[FAILED_N];
	struct answer answers[ANSWERS_MAX];
	size_t n_answers;
	uint64_t other_answers;
	int64_t slowest_us;
};

struct connection {
	int fd;		       /* -1: not open */
	struct target *target; /* of the request under way; NULL: idle */
	int64_t sent_us;
	char in[RESPONSE_BYTES];
	size_t in_len;
};

struct hammer {
	struct arena *arena;
	struct sockaddr_in address;
	struct target targets[TARGETS_MAX];
	size_t n_targets;
	struct connection *connections;
	uint64_t n_connections;
	uint64_t requests; /* to be made at least; 0: as many as there is time for */
	uint64_t rate;	   /* a second; 0: as fast as it goes */
	uint64_t progress_ms;
	bool until_stdin_closes;
	bool stdin_open;
	int epoll;
	int64_t began_us;
	uint64_t started;
	uint64_t busy;
	uint64_t opened;
	uint64_t closed_idle;
};

struct reply {
	int status;
	const char *body;
	size_t body_len;
	bool closes;
};

static const char usage[] =
    "usage: hammer [--connections N] [--rate N] [--progress MS] [--requests N] [--until-stdin-closes] URL...\n"
    "Sends GET requests to the URLs in turn (http://127.0.0.1:PORT/..., all of one server), over N connections (16),\n"
    "at most so many a second, until N were sent and, if so asked, stdin is closed. Prints counts as JSON.\n";

__attribute__((noreturn)) static void fail(const char *what, const char *why)
{
	(void)fprintf(stderr, "hammer: %s: %s\n", what, why);
	exit(1);
}

static int64_t now_us(clockid_t id)
{
	struct timespec t;

	(void)clock_gettime(id, &t);
	return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

/* --- what is told --- */

static json_t *answers_json(const struct target *t)
{
	json_t *all = json_array();

	for (size_t n = 0; n < t->n_answers; n++) {
		const struct answer *a = &t->answers[n];
		char body[BODY_SHOWN + 1];

		text_copy_printable(body, sizeof(body), a->body);
		json_array_append_new(all,
				      json_pack("{s:i, s:s, s:I, s:I, s:I}", "status", a->status, "body", body, "count",
						(json_int_t)a->count, "first_ms", (json_int_t)a->first_unix_ms,
						"last_ms", (json_int_t)a->last_unix_ms));
	}
	return all;
}

static json_t *target_json(const struct target *t)
{
	json_t *failed = json_object();

	for (size_t n = 0; n < FAILED_N; n++)
		json_object_set_new(failed, failure_names[n], json_integer((json_int_t)t->failed[n]));
	return json_pack("{s:s, s:I, s:o, s:I, s:o, s:f}", "url", t->url, "requests", (json_int_t)t->ended, "answers",
			 answers_json(t), "other_answers", (json_int_t)t->other_answers, "failed", failed, "slowest_ms",
			 (double)t->slowest_us / 1e3);
}

static void tell(const struct hammer *h, bool done)
{
	json_t *urls = json_array();
	double seconds = (double)(now_us(CLOCK_MONOTONIC) - h->began_us) / 1e6;
	uint64_t ended = 0;

	for (size_t n = 0; n < h->n_targets; n++) {
		ended += h->targets[n].ended;
		json_array_append_new(urls, target_json(&h->targets[n]));
	}
	json_t *all = json_pack("{s:b, s:I, s:f, s:I, s:f, s:I, s:I, s:I, s:o}", "done", done, "unix_ms",
				(json_int_t)(now_us(CLOCK_REALTIME) / 1000), "seconds", seconds, "requests",
				(json_int_t)ended, "per_second", seconds > 0 ? (double)ended / seconds : 0,
				"connections", (json_int_t)h->n_connections, "opened", (json_int_t)h->opened,
				"closed_idle", (json_int_t)h->closed_idle, "urls", urls);
	if (!all || json_dumpf(all, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9)) != 0 || puts("") < 0 ||
	    fflush(stdout) != 0)
		fail("stdout", "cannot be written");
	json_decref(all);
}

/* --- what is counted --- */

static void count_answer(struct target *t, const struct reply *r)
{
	int64_t unix_ms = now_us(CLOCK_REALTIME) / 1000;
	char body[BODY_SHOWN + 1];
	struct answer *a = t->answers;

	(void)snprintf(body, sizeof(body), "%.*s", (int)r->body_len, r->body);
	while (a < t->answers + t->n_answers && (a->status != r->status || strcmp(a->body, body) != 0))
		a++;
	if (a == t->answers + ANSWERS_MAX) {
		t->other_answers++;
		return;
	}
	if (a == t->answers + t->n_answers) {
		t->n_answers++;
		a->status = r->status;
		memcpy(a->body, body, sizeof(body));
		a->first_unix_ms = unix_ms;
	}
	a->count++;
	a->last_unix_ms = unix_ms;
}

static void close_connection(struct connection *c)
{
	if (c->fd >= 0)
		(void)close(c->fd); /* which takes it out of the epoll, too */
	c->fd = -1;
}

static void end_request(struct hammer *h, struct connection *c)
{
	int64_t took_us = now_us(CLOCK_MONOTONIC) - c->sent_us;

	if (took_us > c->target->slowest_us)
		c->target->slowest_us = took_us;
	c->target->ended++;
	c->target = NULL;
	h->busy--;
}

static void fail_request(struct hammer *h, struct connection *c, enum failure how)
{
	c->target->failed[how]++;
	end_request(h, c);
	close_connection(c);
}

/* --- the other side --- */

static bool open_connection(struct hammer *h, struct connection *c)
{
	/* On loopback connecting either succeeds or fails at once, but for a listener that takes nobody. */
	const struct timeval patience = {.tv_sec = TIMEOUT_US / 1000000};
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
	int yes = 1;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		fail("socket", strerror(errno));
	(void)setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	if (connect(c->fd, (const struct sockaddr *)&h->address, sizeof(h->address)) != 0) {
		close_connection(c);
		return false;
	}
	if (fcntl(c->fd, F_SETFL, O_NONBLOCK) != 0 || epoll_ctl(h->epoll, EPOLL_CTL_ADD, c->fd, &e) != 0)
		fail("epoll", strerror(errno));
	h->opened++;
	return true;
}

/* Anything that can be read from an idle connection is its end: nobody has asked for it. */
static bool is_still_open(struct hammer *h, struct connection *c)
{
	char byte;

	if (c->fd < 0)
		return false;
	if (recv(c->fd, &byte, 1, MSG_PEEK) < 0 && errno == EAGAIN)
		return true;
	h->closed_idle++;
	close_connection(c);
	return false;
}

/* False when nobody takes a connection, so that it is no use to go on at once. */
static bool send_request(struct hammer *h, struct connection *c)
{
	c->target = &h->targets[h->started++ % h->n_targets];
	c->sent_us = now_us(CLOCK_MONOTONIC);
	c->in_len = 0;
	h->busy++;
	if (!is_still_open(h, c) && !open_connection(h, c)) {
		fail_request(h, c, FAILED_CONNECT);
		return false;
	}
	/* What was sent before is answered, so there is room for all of it. */
	if (send(c->fd, c->target->request, c->target->request_len, MSG_NOSIGNAL) != (ssize_t)c->target->request_len)
		fail_request(h, c, FAILED_SEND);
	return true;
}

static const char *line_value(const char *line, const char *name)
{
	size_t len = strlen(name);

	if (strncasecmp(line, name, len) != 0)
		return NULL;
	line += len;
	return line + strspn(line, " \t");
}

enum parsed { PARSED_MORE, PARSED_WHOLE, PARSED_BAD };

/* "HTTP/1.1 200 " */
static bool parse_status(const char *in, int *ret)
{
	const char *digits = in + strlen("HTTP/1.1 ");

	if (strncmp(in, "HTTP/1.1 ", strlen("HTTP/1.1 ")) != 0 || strspn(digits, "0123456789") != 3 || digits[3] != ' ')
		return false;
	*ret = (digits[0] - '0') * 100 + (digits[1] - '0') * 10 + digits[2] - '0';
	return true;
}

/* The bytes are followed by a NUL. */
static enum parsed parse(const char *in, size_t len, struct reply *ret)
{
	const char *end = memmem(in, len, "\r\n\r\n", 4);
	struct reply r = {0};
	uint64_t body_len = UINT64_MAX;

	if (!end)
		return len + 1 < RESPONSE_BYTES ? PARSED_MORE : PARSED_BAD;
	if (!parse_status(in, &r.status))
		return PARSED_BAD;
	for (const char *line = in; line < end; line = strstr(line, "\r\n") + 2) {
		const char *value = line_value(line, "Content-Length:");
		if (value)
			body_len = strtoull(value, NULL, 10);
		value = line_value(line, "Connection:");
		if (value)
			r.closes = strncasecmp(value, "close", 5) == 0;
	}
	r.body = end + 4;
	size_t have = len - (size_t)(r.body - in);
	/* More than was asked for is no answer to this request. */
	if (body_len >= RESPONSE_BYTES - (size_t)(r.body - in) || have > body_len)
		return PARSED_BAD;
	if (have < body_len)
		return PARSED_MORE;
	r.body_len = (size_t)body_len;
	*ret = r;
	return PARSED_WHOLE;
}

static void on_readable(struct hammer *h, struct connection *c)
{
	if (!c->target) {
		(void)is_still_open(h, c);
		return;
	}
	ssize_t n = recv(c->fd, c->in + c->in_len, sizeof(c->in) - 1 - c->in_len, 0);
	struct reply r;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		fail_request(h, c, FAILED_CLOSED);
		return;
	}
	c->in_len += (size_t)n;
	c->in[c->in_len] = '\0';
	switch (parse(c->in, c->in_len, &r)) {
	case PARSED_MORE:
		break;
	case PARSED_BAD:
		fail_request(h, c, FAILED_MALFORMED);
		break;
	case PARSED_WHOLE:
		count_answer(c->target, &r);
		end_request(h, c);
		if (r.closes)
			close_connection(c);
		break;
	}
}

static void on_stdin(struct hammer *h)
{
	char some[256];

	if (read(STDIN_FILENO, some, sizeof(some)) > 0)
		return;
	h->stdin_open = false;
	(void)epoll_ctl(h->epoll, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
}

/* --- the loop --- */

static bool wants_more(const struct hammer *h)
{
	return (h->until_stdin_closes && h->stdin_open) || h->started < h->requests;
}

/* Whether the rate leaves room for one more now. */
static bool may_start(const struct hammer *h)
{
	if (!wants_more(h))
		return false;
	int64_t passed_us = now_us(CLOCK_MONOTONIC) - h->began_us;

	return h->rate == 0 || h->started < (uint64_t)((double)passed_us * (double)h->rate / 1e6);
}

static void start_requests(struct hammer *h)
{
	for (uint64_t n = 0; n < h->n_connections && h->busy < h->n_connections && may_start(h); n++) {
		if (!h->connections[n].target && !send_request(h, &h->connections[n]))
			return;
	}
}

static void give_up_late_ones(struct hammer *h)
{
	int64_t before_us = now_us(CLOCK_MONOTONIC) - TIMEOUT_US;

	for (uint64_t n = 0; n < h->n_connections; n++) {
		if (h->connections[n].target && h->connections[n].sent_us < before_us)
			fail_request(h, &h->connections[n], FAILED_TIMEOUT);
	}
}

static void run_once(struct hammer *h)
{
	struct epoll_event events[256];
	bool held_back = h->busy < h->n_connections && wants_more(h);
	int n = epoll_wait(h->epoll, events, 256, held_back ? TICK_MS : 1000);

	if (n < 0 && errno != EINTR)
		fail("epoll_wait", strerror(errno));
	for (int i = 0; i < n; i++) {
		if (!events[i].data.ptr)
			on_stdin(h);
		else
			on_readable(h, events[i].data.ptr);
	}
}

static void run(struct hammer *h)
{
	int64_t look_us = 1000000, told_ms = 0;

	h->began_us = now_us(CLOCK_MONOTONIC);
	while (wants_more(h) || h->busy > 0) {
		start_requests(h);
		run_once(h);
		int64_t passed_us = now_us(CLOCK_MONOTONIC) - h->began_us;

		if (passed_us > look_us) {
			look_us = passed_us + 1000000;
			give_up_late_ones(h);
		}
		if (h->progress_ms > 0 && passed_us / 1000 - told_ms >= (int64_t)h->progress_ms) {
			told_ms = passed_us / 1000;
			tell(h, false);
		}
	}
	tell(h, true);
}

/* --- what is asked --- */

static void add_target(struct hammer *h, const char *url)
{
	struct http_request r = {0};
	struct sockaddr_in address = {.sin_family = AF_INET};
	char host[64];
	uint64_t port = 0;

	if (http_request_set_url(h->arena, url, &r) != 0 || strcmp(r.scheme, "http") != 0 ||
	    !text_copy(host, sizeof(host), r.host))
		fail(url, "is no URL of the form http://127.0.0.1:PORT/PATH");
	char *colon = strchr(host, ':');
	if (!colon || text_parse_u64(colon + 1, UINT16_MAX, &port) != 0)
		fail(url, "has no port");
	*colon = '\0';
	if (inet_pton(AF_INET, strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, &address.sin_addr) != 1 ||
	    ntohl(address.sin_addr.s_addr) >> 24 != 127)
		fail(url, "is not on loopback, and nothing else is to be hammered");
	address.sin_port = htons((uint16_t)port);
	if (h->n_targets == TARGETS_MAX)
		fail(url, "is one URL too many");
	if (h->n_targets > 0 && memcmp(&h->address, &address, sizeof(address)) != 0)
		fail(url, "is of another server than the first URL");
	h->address = address;
	struct target *t = &h->targets[h->n_targets++];
	t->url = url;
	t->request = arena_printf(h->arena, "GET %s%s%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: hammer\r\n\r\n", r.path,
				  *r.query ? "?" : "", r.query, r.host);
	t->request_len = strlen(t->request);
}

static uint64_t number(const char *option, const char *text, uint64_t max)
{
	uint64_t v = 0;

	if (!text || text_parse_u64(text, max, &v) != 0 || v == 0) {
		(void)fprintf(stderr, "hammer: %s takes a number from 1 to %llu\n", option, (unsigned long long)max);
		exit(2);
	}
	return v;
}

static void read_arguments(struct hammer *h, char **argv)
{
	for (; *argv; argv++) {
		const struct {
			const char *name;
			uint64_t *to;
			uint64_t max;
		} options[] = {
		    {"--connections", &h->n_connections, CONNECTIONS_MAX},
		    {"--requests", &h->requests, 1000000000},
		    {"--rate", &h->rate, 1000000},
		    {"--progress", &h->progress_ms, 3600000},
		};
		size_t n = 0;

		while (n < array_len(options) && strcmp(*argv, options[n].name) != 0)
			n++;
		if (n < array_len(options)) {
			*options[n].to = number(argv[0], argv[1], options[n].max);
			argv++;
		} else if (strcmp(*argv, "--until-stdin-closes") == 0) {
			h->until_stdin_closes = h->stdin_open = true;
		} else if (**argv != '-') {
			add_target(h, *argv);
		} else {
			h->n_targets = 0;
			break;
		}
	}
	if (h->n_targets == 0 || (h->requests == 0 && !h->until_stdin_closes)) {
		(void)fputs(usage, stderr);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct hammer *h = mem_alloc(sizeof(*h));
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};

	(void)argc;
	h->arena = arena_new();
	h->n_connections = 16;
	read_arguments(h, argv + 1);
	h->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (h->epoll < 0)
		fail("epoll", strerror(errno));
	/* A file, or /dev/null, is at its end already. */
	if (h->until_stdin_closes && epoll_ctl(h->epoll, EPOLL_CTL_ADD, STDIN_FILENO, &e) != 0)
		h->stdin_open = false;
	h->connections = mem_array(h->n_connections, sizeof(*h->connections));
	for (uint64_t n = 0; n < h->n_connections; n++)
		h->connections[n].fd = -1;
	run(h);
	for (uint64_t n = 0; n < h->n_connections; n++)
		close_connection(&h->connections[n]);
	(void)close(h->epoll);
	arena_free(h->arena);
	free(h->connections);
	free(h);
	return 0;
}
