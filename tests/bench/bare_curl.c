/*
 * The yardstick: UpdateAlias by libcurl's multi_socket on a libuv loop and nothing else. The requests are signed once,
 * before the clock starts; answers are counted and thrown away. They carry no RevisionId, so the same bytes can be
 * sent again and again.
 */
#include <curl/curl.h>
#include <string.h>
#include <time.h>
#include <uv.h>

#include "aws/sigv4.h"
#include "base/mem.h"
#include "tests/bench/bench.h"

struct bare {
	uv_loop_t loop;
	uv_timer_t timer;
	CURLM *multi;
	uint64_t to_start;
	uint64_t to_end;
};

struct slot {
	char url[256];
	struct curl_slist *headers;
	CURL *easy;
};

/* One watched socket; libcurl keeps the pointer for us. */
struct watch {
	uv_poll_t poll;
	struct bare *bare;
	curl_socket_t fd;
};

static const char body[] = "{\"FunctionVersion\":\"1\",\"RoutingConfig\":{\"AdditionalVersionWeights\":{\"2\":0.1}}}";

static size_t swallow(char *data, size_t size, size_t count, void *arg)
{
	(void)data;
	(void)arg;
	return size * count;
}

static void check(CURLMcode code, const char *what)
{
	if (code != CURLM_OK)
		bench_fail(what, curl_multi_strerror(code));
}

static void reap(struct bare *b)
{
	int left;
	for (CURLMsg *m; (m = curl_multi_info_read(b->multi, &left));) {
		CURL *easy = m->easy_handle;
		long status = 0;
		if (m->data.result != CURLE_OK)
			bench_fail("UpdateAlias", curl_easy_strerror(m->data.result));
		(void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
		if (status != 200)
			bench_fail("UpdateAlias", "answered with another status than 200");
		check(curl_multi_remove_handle(b->multi, easy), "curl_multi_remove_handle");
		b->to_end--;
		if (b->to_start > 0) {
			b->to_start--;
			check(curl_multi_add_handle(b->multi, easy), "curl_multi_add_handle");
		}
	}
}

static void on_socket_ready(uv_poll_t *poll, int status, int events)
{
	struct watch *w = poll->data;
	int running;
	int flags = status < 0 ? CURL_CSELECT_ERR
			       : ((events & UV_READABLE) ? CURL_CSELECT_IN : 0) |
				     ((events & UV_WRITABLE) ? CURL_CSELECT_OUT : 0);
	struct bare *b = w->bare;
	check(curl_multi_socket_action(b->multi, w->fd, flags, &running), "curl_multi_socket_action");
	reap(b);
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	(void)easy;
	struct bare *b = arg;
	struct watch *w = socket_arg;
	if (what == CURL_POLL_REMOVE) {
		if (w) {
			uv_close((uv_handle_t *)&w->poll, on_closed);
			check(curl_multi_assign(b->multi, fd, NULL), "curl_multi_assign");
		}
		return 0;
	}
	if (!w) {
		w = mem_alloc(sizeof(*w));
		w->bare = b;
		w->fd = fd;
		w->poll.data = w;
		if (uv_poll_init_socket(&b->loop, &w->poll, fd) != 0)
			bench_fail("uv_poll_init_socket", "failed");
		check(curl_multi_assign(b->multi, fd, w), "curl_multi_assign");
	}
	int events = ((what & CURL_POLL_IN) ? UV_READABLE : 0) | ((what & CURL_POLL_OUT) ? UV_WRITABLE : 0);
	return uv_poll_start(&w->poll, events, on_socket_ready);
}

static void on_timer(uv_timer_t *timer)
{
	struct bare *b = timer->data;
	int running;
	check(curl_multi_socket_action(b->multi, CURL_SOCKET_TIMEOUT, 0, &running), "curl_multi_socket_action");
	reap(b);
}

static int on_timeout_wanted(CURLM *multi, long ms, void *arg)
{
	(void)multi;
	struct bare *b = arg;
	return ms < 0 ? uv_timer_stop(&b->timer) : uv_timer_start(&b->timer, on_timer, (uint64_t)ms, 0);
}

static void slot_init(struct slot *s, unsigned index, const char *host)
{
	struct arena *a = arena_new();
	struct sigv4_signer *signer = sigv4_signer_new();
	char key[] = BENCH_KEY;
	struct aws_credentials keys = {.access_key_id = key, .secret_access_key = key, .expires_unix_ms = INT64_MAX};
	struct sigv4_scope scope = {
	    .region = BENCH_REGION, .service = "lambda", .unix_ms = (int64_t)time(NULL) * 1000, .normalize_path = true};
	struct http_request r = {.method = "PUT",
				 .scheme = "http",
				 .host = host,
				 .path = arena_printf(a, "/2015-03-31/functions/bare-%u/aliases/live", index),
				 .query = "",
				 .body = body,
				 .body_len = sizeof(body) - 1};
	http_request_add_header(&r, "Content-Type", "application/json");
	if (sigv4_sign(signer, &keys, &scope, &r, a) != 0)
		bench_fail("sigv4_sign", "failed");
	for (size_t i = 0; i < r.n_headers; i++)
		s->headers =
		    curl_slist_append(s->headers, arena_printf(a, "%s: %s", r.headers[i].name, r.headers[i].value));
	(void)snprintf(s->url, sizeof(s->url), "http://%s%s", host, r.path);
	sigv4_signer_free(signer);
	arena_free(a);

	s->easy = curl_easy_init();
	(void)curl_easy_setopt(s->easy, CURLOPT_URL, s->url);
	(void)curl_easy_setopt(s->easy, CURLOPT_CUSTOMREQUEST, "PUT");
	(void)curl_easy_setopt(s->easy, CURLOPT_POSTFIELDS, body);
	(void)curl_easy_setopt(s->easy, CURLOPT_POSTFIELDSIZE, (long)sizeof(body) - 1);
	(void)curl_easy_setopt(s->easy, CURLOPT_HTTPHEADER, s->headers);
	(void)curl_easy_setopt(s->easy, CURLOPT_WRITEFUNCTION, swallow);
	(void)curl_easy_setopt(s->easy, CURLOPT_PROXY, "");
}

static void close_walk(uv_handle_t *handle, void *arg)
{
	(void)arg;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

int main(int argc, char **argv)
{
	struct bench_args args = bench_args_read(argc, argv);
	struct bare b = {.to_start = args.calls, .to_end = args.calls};
	struct slot slots[BENCH_SLOTS] = {0};
	(void)curl_global_init(CURL_GLOBAL_DEFAULT);
	(void)uv_loop_init(&b.loop);
	(void)uv_timer_init(&b.loop, &b.timer);
	b.timer.data = &b;
	b.multi = curl_multi_init();
	check(curl_multi_setopt(b.multi, CURLMOPT_SOCKETFUNCTION, on_socket), "curl_multi_setopt");
	check(curl_multi_setopt(b.multi, CURLMOPT_SOCKETDATA, &b), "curl_multi_setopt");
	check(curl_multi_setopt(b.multi, CURLMOPT_TIMERFUNCTION, on_timeout_wanted), "curl_multi_setopt");
	check(curl_multi_setopt(b.multi, CURLMOPT_TIMERDATA, &b), "curl_multi_setopt");
	for (unsigned i = 0; i < args.slots; i++)
		slot_init(&slots[i], i, args.host);

	double began = bench_cpu_us();
	for (unsigned i = 0; i < args.slots && b.to_start > 0; i++, b.to_start--)
		check(curl_multi_add_handle(b.multi, slots[i].easy), "curl_multi_add_handle");
	while (b.to_end > 0)
		(void)uv_run(&b.loop, UV_RUN_ONCE);
	printf("%.3f\n", (bench_cpu_us() - began) / (double)args.calls);

	for (unsigned i = 0; i < args.slots; i++) {
		curl_easy_cleanup(slots[i].easy);
		curl_slist_free_all(slots[i].headers);
	}
	(void)curl_multi_cleanup(b.multi);
	uv_walk(&b.loop, close_walk, NULL);
	(void)uv_run(&b.loop, UV_RUN_DEFAULT);
	(void)uv_loop_close(&b.loop);
	curl_global_cleanup();
	return 0;
}
