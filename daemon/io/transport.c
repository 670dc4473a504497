/*
 * One struct transfer for each request, kept in a pool with its curl handle and its buffers; multi.h has the loop's
 * side of it, and says when one is done.
 *
 * Whether bytes of a request left is known from CURLOPT_PREREQFUNCTION, which libcurl calls when a connection (TLS
 * included) stands and the request is about to go out. libcurl repeats a request by itself when a kept connection dies
 * before the answer; for anything but a GET the second call of that function says no.
 */
#include "daemon/io/transport.h"

#include <curl/curl.h>
#include <errno.h>
#include <malloc.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/text.h"
#include "credentials/place.h"
#include "daemon/io/echo.h"
#include "daemon/io/failure.h"
#include "daemon/io/multi.h"
#include "daemon/io/proxy.h"
#include "daemon/io/trust.h"

#define CONNECT_TIMEOUT_MS 5000L /* for name, connection, proxy and TLS together */
/* How old an address may be when a connection is made, and a connection when a request is sent on it. */
#define ADDRESS_KEPT_S	  30L
#define CONNECTION_KEPT_S 30L
#define TRUST_LOOK_MS	  10000 /* how often the certificates' files are looked at, at most */
#define ERROR_SIZE	  1024
#define POOL_MAX	  LIMIT_CALLS_IN_FLIGHT
#define BUFFER_KEPT	  (64 * 1024) /* larger buffers are not kept in the pool */
#define HEADER_VALUE_MAX  8192
#define URL_MAX		  8192

struct transfer {
	struct transport *owner;
	CURL *easy;
	struct transfer *next; /* in flight, or in the pool */
	struct transfer *prev; /* in flight */
	transport_cb cb;
	void *arg;
	unsigned sent;	     /* how often the request went out */
	bool once;	     /* it must not go out twice */
	bool plain;	     /* http: to this machine only */
	bool metadata;	     /* or to a metadata service */
	bool secret;	     /* the bodies are wiped */
	bool astray;	     /* plain http was about to leave this machine */
	bool unsendable;     /* libcurl would not take it, or there is nobody to trust */
	const char *lacking; /* the option that libcurl does not have; NULL: it has all */
	bool proxied;
	bool too_large;
	struct curl_slist *headers;
	char *host;
	struct buf url;
	struct buf request_body;
	struct buf body;
	struct arena *arena; /* values of the answer's headers */
	struct http_response response;
	char error[CURL_ERROR_SIZE];
};

/* What a profile names. A connection that was verified by one profile's authorities is none for another profile, so
 * each has connections of its own. */
struct bundle {
	struct bundle *next;
	char *path;
	uint64_t use;	       /* the larger, the later */
	struct transport *via; /* NULL: it could not be used, */
	char *refusal;	       /* and why */
	uint64_t tried_ms;     /* by the loop */
};

struct transport {
	uv_loop_t *loop;
	struct multi *multi;
	struct transport_config config; /* of which user_agent is owned */
	struct bundle *bundles;		/* of profiles */
	size_t n_bundles;
	uint64_t bundle_uses;
	struct proxy proxy;
	struct trust *trust;
	uint64_t looked_ms; /* when its files were, by the loop */
	uv_timer_t later;   /* answers what could not even be started */
	struct transfer *flying;
	struct transfer *pool;
	size_t n_flying;
	size_t n_pool;
	unsigned answering; /* in a callback of one that has been answered: not to be closed */
	bool closing;
};

/* --- a transfer's life --- */

static size_t write_cb(char *bytes, size_t size, size_t n, void *arg)
{
	struct transfer *x = arg;
	buf_add(&x->body, bytes, size * n);
	if (buf_ok(&x->body))
		return size * n;
	x->too_large = true;
	return 0;
}

static void keep_header(struct transfer *x, const char *line, size_t len)
{
	struct http_response *r = &x->response;
	const char *colon = memchr(line, ':', len);
	if (!colon || r->n_headers == HTTP_HEADERS_MAX)
		return;
	char *name = arena_strndup(x->arena, line, (size_t)(colon - line));
	for (size_t i = 0; http_response_headers_kept[i]; i++) {
		const struct http_header kept = {.name = http_response_headers_kept[i], .value = ""};
		if (!http_header_find(&kept, 1, name))
			continue;
		const char *value = colon + 1;
		const char *end = line + len;
		while (value < end && (*value == ' ' || *value == '\t'))
			value++;
		while (end > value && strchr(" \t\r\n", end[-1]))
			end--;
		if (end - value <= HEADER_VALUE_MAX)
			r->headers[r->n_headers++] = (struct http_header){
			    .name = name, .value = arena_strndup(x->arena, value, (size_t)(end - value))};
		return;
	}
}

static size_t header_cb(char *line, size_t size, size_t n, void *arg)
{
	struct transfer *x = arg;
	/* An interim answer (100 Continue) is followed by another head: only the last one counts. */
	if (n >= 5 && memcmp(line, "HTTP/", 5) == 0)
		x->response.n_headers = 0;
	else
		keep_header(x, line, size * n);
	return size * n;
}

static bool is_loopback(const char *ip)
{
	return text_is_loopback(ip, strlen(ip)) || strcmp(ip, "::1") == 0;
}

/* Plans and configuration may name http for this machine alone. Names are looked up here, so here is where that is
 * seen to: whatever a resolver says, no key and no plan leaves in the clear. */
static int prereq_cb(void *arg, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
	struct transfer *x = arg;
	(void)local_ip;
	(void)remote_port;
	(void)local_port;
	if (x->plain && !is_loopback(remote_ip) && !(x->metadata && place_is_metadata(remote_ip))) {
		x->astray = true;
		return CURL_PREREQFUNC_ABORT;
	}
	return x->sent++ > 0 && x->once ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

/* Options fail only for a libcurl that was built without the feature; then nothing may be sent at all. */
#define SET(x, option, value)                                                                                          \
	do {                                                                                                           \
		if (curl_easy_setopt((x)->easy, option, value) != CURLE_OK) {                                          \
			(x)->lacking = #option;                                                                        \
			(x)->unsendable = true;                                                                        \
		}                                                                                                      \
	} while (0)

/* libcurl is about to shake hands, with a server or with a proxy. */
static CURLcode trust_cb(CURL *easy, void *ssl_ctx, void *arg)
{
	const struct transfer *x = arg;
	(void)easy;
	SSL_CTX_set1_cert_store(ssl_ctx, trust_store(x->owner->trust));
	return CURLE_OK;
}

/* libcurl itself is to load none: see trust.h. */
static void set_certificates(struct transfer *x)
{
	SET(x, CURLOPT_CAINFO, NULL);
	SET(x, CURLOPT_CAPATH, NULL);
	SET(x, CURLOPT_PROXY_CAINFO, NULL);
	SET(x, CURLOPT_PROXY_CAPATH, NULL);
	SET(x, CURLOPT_SSL_CTX_FUNCTION, trust_cb);
	SET(x, CURLOPT_SSL_CTX_DATA, x);
	/* Or libcurl keeps the first store that it was given for a day, and puts it in the place of newer ones. */
	SET(x, CURLOPT_CA_CACHE_TIMEOUT, 0L);
	SET(x, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
	SET(x, CURLOPT_SSL_VERIFYPEER, 1L);
	SET(x, CURLOPT_SSL_VERIFYHOST, 2L);
	SET(x, CURLOPT_PROXY_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
	SET(x, CURLOPT_PROXY_SSL_VERIFYPEER, 1L);
	SET(x, CURLOPT_PROXY_SSL_VERIFYHOST, 2L);
	/* A session that is taken up again is not verified again, and its authority may have left the bundle. */
	SET(x, CURLOPT_SSL_SESSIONID_CACHE, 0L);
}

/* Which connections are made and kept, and for how long. */
static void set_connections(struct transfer *x)
{
	SET(x, CURLOPT_TCP_KEEPALIVE, 1L);
	SET(x, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	SET(x, CURLOPT_DNS_CACHE_TIMEOUT, ADDRESS_KEPT_S);
	SET(x, CURLOPT_MAXLIFETIME_CONN, CONNECTION_KEPT_S);
	SET(x, CURLOPT_MAXAGE_CONN, CONNECTION_KEPT_S);
	/* Otherwise libcurl waits, in the loop, until a resolver that hangs has given up. */
	SET(x, CURLOPT_QUICK_EXIT, 1L);
	SET(x, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	/* Signature and token are not for proxies. */
	SET(x, CURLOPT_HEADEROPT, CURLHEADER_SEPARATE);
	SET(x, CURLOPT_NOPROXY, ""); /* not the environment's: proxy.h has read it */
}

/* What is the same for every request of this handle. */
static void set_constants(struct transfer *x)
{
	SET(x, CURLOPT_PRIVATE, x);
	SET(x, CURLOPT_ERRORBUFFER, x->error);
	SET(x, CURLOPT_NOSIGNAL, 1L);
	SET(x, CURLOPT_PATH_AS_IS, 1L);
	SET(x, CURLOPT_FOLLOWLOCATION, 0L);
	SET(x, CURLOPT_PROTOCOLS_STR, "http,https");
	SET(x, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	SET(x, CURLOPT_USERAGENT, x->owner->config.user_agent);
	SET(x, CURLOPT_WRITEFUNCTION, write_cb);
	SET(x, CURLOPT_WRITEDATA, x);
	SET(x, CURLOPT_HEADERFUNCTION, header_cb);
	SET(x, CURLOPT_HEADERDATA, x);
	SET(x, CURLOPT_PREREQFUNCTION, prereq_cb);
	SET(x, CURLOPT_PREREQDATA, x);
	set_connections(x);
	set_certificates(x);
}

static struct transfer *new_transfer(struct transport *t)
{
	struct transfer *x = mem_alloc(sizeof(*x));
	x->owner = t;
	x->url = BUF_INIT(URL_MAX);
	x->request_body = BUF_INIT(LIMIT_AWS_UPLOAD_BYTES);
	x->body = BUF_INIT(LIMIT_AWS_RESPONSE_BYTES);
	x->easy = curl_easy_init();
	require(x->easy); /* fails for want of memory only */
	set_constants(x);
	return x;
}

/* They hold the session's token and the signature. */
static void free_headers(struct transfer *x)
{
	for (struct curl_slist *item = x->headers; item; item = item->next)
		secret_wipe(item->data, strlen(item->data));
	curl_slist_free_all(x->headers);
	x->headers = NULL;
}

static void free_transfer(struct transfer *x)
{
	free(x->host);
	curl_easy_cleanup(x->easy);
	free_headers(x);
	buf_deinit(&x->url);
	buf_wipe(&x->request_body);
	buf_wipe(&x->body);
	arena_free(x->arena);
	free(x);
}

static struct transfer *take_transfer(struct transport *t)
{
	struct transfer *x = t->pool;
	if (!x)
		return new_transfer(t);
	t->pool = x->next;
	t->n_pool--;
	return x;
}

static void recycle_transfer(struct transport *t, struct transfer *x)
{
	free(take_ptr(x->host));
	if (t->n_pool == POOL_MAX || x->unsendable) {
		free_transfer(x);
		return;
	}
	free_headers(x);
	arena_free(x->arena);
	x->arena = NULL;
	if (x->secret) {
		buf_wipe(&x->body);
		buf_wipe(&x->request_body);
	}
	if (x->body.cap > BUFFER_KEPT)
		buf_deinit(&x->body);
	if (x->request_body.cap > BUFFER_KEPT)
		buf_deinit(&x->request_body);
	x->next = t->pool;
	t->pool = x;
	t->n_pool++;
}

static void add_header(struct transfer *x, const char *name, const char *value)
{
	/* libcurl leaves a header out that has no value, unless it ends with a semicolon. */
	char *line = value[0] ? mem_printf("%s: %s", name, value) : mem_printf("%s;", name);
	struct curl_slist *longer = curl_slist_append(x->headers, line);
	require(longer); /* fails for want of memory only */
	secret_free(line);
	x->headers = longer;
}

/* Takes out the headers that libcurl would add by itself, which nobody signed. */
static void drop_header(struct transfer *x, const struct http_request *r, const char *name, const char *line)
{
	if (http_header_find(r->headers, r->n_headers, name))
		return;
	struct curl_slist *longer = curl_slist_append(x->headers, line);
	require(longer);
	x->headers = longer;
}

static void set_headers(struct transfer *x, const struct http_request *r)
{
	for (size_t i = 0; i < r->n_headers; i++)
		add_header(x, r->headers[i].name, r->headers[i].value);
	drop_header(x, r, "Accept", "Accept:");
	drop_header(x, r, "Content-Type", "Content-Type:");
	drop_header(x, r, "Expect", "Expect:");
	SET(x, CURLOPT_HTTPHEADER, x->headers);
}

/* A proxy is another machine, and would read what is not encrypted. */
static void set_proxy(struct transfer *x, const struct http_request *r)
{
	const struct proxy *p = &x->owner->proxy;
	x->proxied = !x->plain && !x->metadata && proxy_serves(p, r->host);
	SET(x, CURLOPT_PROXY, x->proxied ? p->url : "");
	SET(x, CURLOPT_PROXYUSERNAME, x->proxied ? p->user : NULL);
	SET(x, CURLOPT_PROXYPASSWORD, x->proxied ? p->password : NULL);
}

static void set_request(struct transfer *x, const struct http_request *r, int64_t timeout_ms)
{
	bool get = strcmp(r->method, "GET") == 0;
	buf_reset(&x->url);
	buf_addf(&x->url, "%s://%s%s%s%s", r->scheme, r->host, r->path, r->query[0] ? "?" : "", r->query);
	buf_reset(&x->request_body);
	buf_add(&x->request_body, r->body ? r->body : "", r->body_len);
	if (!buf_ok(&x->url) || !buf_ok(&x->request_body))
		x->unsendable = true;
	x->once = !get;
	x->plain = strcmp(r->scheme, "https") != 0;
	x->host = mem_strdup(r->host);
	x->astray = false;
	SET(x, CURLOPT_HTTPGET, 1L); /* forgets the former request's body and method */
	SET(x, CURLOPT_CUSTOMREQUEST, NULL);
	SET(x, CURLOPT_URL, buf_text(&x->url));
	set_proxy(x, r);
	SET(x, CURLOPT_TIMEOUT_MS, (long)(timeout_ms > 0 ? timeout_ms : 1)); /* 0 would mean: for ever */
	if (!get || r->body_len > 0) {
		SET(x, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)x->request_body.len);
		SET(x, CURLOPT_POSTFIELDS, buf_text(&x->request_body));
		SET(x, CURLOPT_CUSTOMREQUEST, r->method);
	}
	set_headers(x, r);
}

/* --- completion --- */

static void describe_failure(const struct transfer *x, CURLcode code, char *out, size_t size)
{
	const struct transport *t = x->owner;
	const struct failure failure = {
	    .easy = x->easy,
	    .code = code,
	    .text = x->error,
	    .host = x->host,
	    .trust = trust_describe(t->trust),
	    .proxy = x->proxied ? t->proxy.url : NULL,
	    .proxy_setting = t->proxy.setting,
	};
	if (x->too_large)
		snprintf(out, size, "the answer is larger than %zu bytes", x->body.max);
	else if (x->astray)
		snprintf(out, size,
			 "plain http goes to the loopback only, and this name leads to another machine: use https");
	else if (x->lacking)
		snprintf(out, size,
			 "this host's libcurl has no %s, without which nothing is sent: install one that is built with "
			 "OpenSSL (libcurl4)",
			 x->lacking);
	else if (x->unsendable)
		snprintf(out, size, "%s",
			 x->error[0] ? x->error : "the request could not be built: too large, or libcurl refuses it");
	else if (x->once && x->sent > 1)
		snprintf(out, size, "the connection was closed before an answer came");
	else
		failure_describe(&failure, out, size);
}

static void answer(struct transport *t, struct transfer *x, enum transport_result result, CURLcode code)
{
	char error[ERROR_SIZE] = "";
	long status = 0;
	list_remove(&t->flying, x);
	t->n_flying--;
	t->answering++;
	echo_mask(&(struct echo){
	    .sent_headers = x->headers,
	    .sent_secret = x->secret ? &x->request_body : NULL,
	    .body = &x->body,
	    .headers = x->response.headers,
	    .n_headers = x->response.n_headers,
	    .error = x->error,
	});
	if (result == TRANSPORT_ANSWERED) {
		if (curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK)
			status = 0; /* no HTTP status: the reader of the answer calls it malformed */
		x->response.status = (int)status;
		x->response.body = buf_text(&x->body);
		x->response.body_len = x->body.len;
		x->cb(x->arg, result, &x->response, NULL);
	} else {
		describe_failure(x, code, error, sizeof(error));
		x->cb(x->arg, result, NULL, error);
	}
	t->answering--;
	recycle_transfer(t, x);
}

/* Takes a transfer out of libcurl's hands, and answers it. */
static void finish(struct transport *t, struct transfer *x, CURLcode code)
{
	multi_remove(t->multi, x->easy);
	if (code == CURLE_OK)
		answer(t, x, TRANSPORT_ANSWERED, code);
	else
		answer(t, x, x->sent ? TRANSPORT_NO_ANSWER : TRANSPORT_NO_CONNECTION, code);
}

static void done_cb(void *arg, CURL *easy, CURLcode code)
{
	struct transport *t = arg;
	char *private = NULL;
	require(curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private) == CURLE_OK);
	finish(t, (struct transfer *)private, code);
}

/* Answers what libcurl would not take. */
static void later_cb(uv_timer_t *timer)
{
	struct transport *t = timer->data;
	for (struct transfer *x = t->flying, *next; x; x = next) {
		next = x->next;
		if (!x->unsendable)
			continue;
		answer(t, x, TRANSPORT_NO_CONNECTION, CURLE_FAILED_INIT);
		next = t->flying; /* the callback may have sent others */
	}
}

/* --- libcurl's memory --- */

/* libcurl writes requests out in buffers of its own, session tokens included. So what it frees is zeroed. */
static void free_zeroed(void *p)
{
	if (p)
		secret_wipe(p, malloc_usable_size(p));
	free(p);
}

static void *allocate(size_t size)
{
	return mem_realloc(NULL, size);
}

/* realloc() itself would leave the old bytes behind. */
static void *reallocate(void *p, size_t size)
{
	size_t before = p ? malloc_usable_size(p) : 0;
	void *moved = mem_realloc(NULL, size);
	if (p)
		memcpy(moved, p, before < size ? before : size);
	free_zeroed(p);
	return moved;
}

static void *allocate_array(size_t count, size_t size)
{
	return mem_array(count, size);
}

/* --- the module's face --- */

int transport_set_up(void)
{
	CURLcode code =
	    curl_global_init_mem(CURL_GLOBAL_DEFAULT, allocate, free_zeroed, reallocate, mem_strdup, allocate_array);
	return code == CURLE_OK ? 0 : -EIO;
}

void transport_tear_down(void)
{
	curl_global_cleanup();
}

printf_like(2, 3) static void warn(const struct transport *t, const char *format, ...)
{
	char text[ERROR_SIZE];
	va_list args;
	if (!t->config.warn)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	t->config.warn(t->config.warn_arg, text);
}

static const char *no_setting(void *ctx, const char *name)
{
	(void)ctx;
	(void)name;
	return NULL;
}

static int new_for_bundle(uv_loop_t *loop, const struct transport_config *config, const char *bundle,
			  struct transport **ret, char *ret_error, size_t error_size)
{
	struct transport *t = mem_alloc(sizeof(*t));
	t->config = *config;
	if (!t->config.env)
		t->config.env = no_setting;
	if (trust_new(t->config.env, t->config.env_ctx, bundle, &t->trust, ret_error, error_size) ||
	    proxy_read(t->config.env, t->config.env_ctx, &t->proxy, ret_error, error_size)) {
		trust_free(t->trust);
		free(t);
		return 1;
	}
	t->multi = multi_new(loop, done_cb, t);
	t->loop = loop;
	t->config.user_agent = mem_strdup(config->user_agent);
	t->looked_ms = uv_now(loop);
	require(uv_timer_init(loop, &t->later) == 0); /* cannot fail */
	t->later.data = t;
	if (trust_is_empty(t->trust))
		warn(t,
		     "nobody's certificate can be verified, and no call over https will succeed: there are none of %s; "
		     "install the package ca-certificates, or name a bundle in AWS_CA_BUNDLE",
		     trust_describe(t->trust));
	*ret = t;
	return 0;
}

int transport_new(uv_loop_t *loop, const struct transport_config *config, struct transport **ret, char *ret_error,
		  size_t error_size)
{
	char advice[ERROR_SIZE];
	int r = new_for_bundle(loop, config, NULL, ret, ret_error, error_size);
	if (r == 0 && proxy_advise(&(*ret)->proxy, advice, sizeof(advice)))
		warn(*ret, "%s", advice);
	return r;
}

int transport_check(credentials_lookup env, void *env_ctx, char *ret_error, size_t error_size)
{
	struct trust *trust = NULL;
	struct proxy proxy = {.setting = NULL};
	int r = trust_new(env, env_ctx, NULL, &trust, ret_error, error_size);
	if (r == 0)
		r = proxy_read(env, env_ctx, &proxy, ret_error, error_size);
	trust_free(trust);
	proxy_deinit(&proxy);
	return r;
}

/* --- whom to trust --- */

static void drop_bundle(struct transport *t, struct bundle **at)
{
	struct bundle *b = *at;
	*at = b->next;
	t->n_bundles--;
	transport_close(b->via);
	free(b->path);
	free(b->refusal);
	free(b);
}

/* Profiles may come and go with each reload. Returns whether there is room for another one's bundle. */
static bool make_room(struct transport *t)
{
	struct bundle **idle = NULL;
	if (t->n_bundles < LIMIT_CA_BUNDLES)
		return true;
	for (struct bundle **at = &t->bundles; *at; at = &(*at)->next) {
		const struct transport *via = (*at)->via;
		if ((!via || (via->n_flying == 0 && via->answering == 0)) && (!idle || (*at)->use < (*idle)->use))
			idle = at;
	}
	if (!idle)
		return false;
	drop_bundle(t, idle);
	return true;
}

static struct bundle *take_place(struct transport *t, const char *path)
{
	struct bundle *b = t->bundles;
	while (b && strcmp(b->path, path) != 0)
		b = b->next;
	if (!b && make_room(t)) {
		b = mem_alloc(sizeof(*b));
		b->path = mem_strdup(path);
		b->next = t->bundles;
		t->bundles = b;
		t->n_bundles++;
	}
	if (b)
		b->use = ++t->bundle_uses;
	return b;
}

/* NULL: the bundle cannot be used, and ret_error says why. It is not read for each call that wants it. */
static struct transport *find_for_bundle(struct transport *t, const char *path, char *ret_error, size_t error_size)
{
	const char *for_all = t->config.env(t->config.env_ctx, "AWS_CA_BUNDLE");
	uint64_t now = uv_now(t->loop);
	if (!path || (for_all && *for_all))
		return t;
	struct bundle *b = take_place(t, path);
	if (!b) {
		snprintf(ret_error, error_size,
			 "calls by %d profiles with bundles of certificates of their own are under way, and no more at "
			 "a time: name one bundle for several",
			 LIMIT_CA_BUNDLES);
		return NULL;
	}
	if (!b->via && (!b->refusal || now - b->tried_ms >= TRUST_LOOK_MS)) {
		free(take_ptr(b->refusal));
		b->tried_ms = now;
		char refusal[ERROR_SIZE];
		if (new_for_bundle(t->loop, &t->config, path, &b->via, refusal, sizeof(refusal)))
			b->refusal = mem_strdup(refusal);
	}
	if (!b->via)
		(void)text_copy(ret_error, error_size, b->refusal); /* cut at the end at worst */
	return b->via;
}

/* Connections that are open keep what they were verified by, for as long as they live. */
static void look_at_trust(struct transport *t)
{
	char text[ERROR_SIZE];
	uint64_t now = uv_now(t->loop);
	if (now - t->looked_ms < TRUST_LOOK_MS)
		return;
	t->looked_ms = now;
	if (trust_look(t->trust, text, sizeof(text)) < 0)
		warn(t, "%s; until then, what was read before is trusted", text);
}

/* `refusal`: why there is nobody to trust; "": there is. */
static void submit(struct transport *t, struct transfer *x, const struct http_request *request, int64_t timeout_ms,
		   const char *refusal, transport_cb cb, void *arg)
{
	x->cb = cb;
	x->arg = arg;
	x->sent = 0;
	x->too_large = false;
	x->response = (struct http_response){0};
	x->arena = arena_new();
	x->unsendable |= *refusal != '\0'; /* or it has been since it was made, for want of an option */
	(void)text_copy(x->error, sizeof(x->error), refusal); /* cut at the end at worst */
	x->body.max = x->secret ? LIMIT_KEYS_ANSWER : LIMIT_AWS_RESPONSE_BYTES;
	x->body.secret = x->request_body.secret = x->secret;
	buf_reset(&x->body);
	set_request(x, request, timeout_ms);
	list_push(&t->flying, x);
	t->n_flying++;
	if (!x->unsendable && multi_add(t->multi, x->easy))
		return;
	x->unsendable = true;
	require(uv_timer_start(&t->later, later_cb, 0, 0) == 0);
}

static void send_any(struct transport *t, const struct http_request *request, int64_t timeout_ms, bool secret,
		     bool metadata, transport_cb cb, void *arg)
{
	char refusal[ERROR_SIZE] = "";
	bool plain = strcmp(request->scheme, "https") != 0;
	struct transport *own = plain ? NULL : find_for_bundle(t, request->ca_bundle, refusal, sizeof(refusal));
	struct transport *via = own ? own : t;
	if (!plain)
		look_at_trust(via);
	struct transfer *x = take_transfer(via);
	x->secret = secret;
	x->metadata = metadata;
	submit(via, x, request, timeout_ms, refusal, cb, arg);
}

void transport_send(struct transport *t, const struct http_request *request, int64_t timeout_ms, transport_cb cb,
		    void *arg)
{
	send_any(t, request, timeout_ms, false, false, cb, arg);
}

void transport_send_secret(struct transport *t, const struct http_request *request, int64_t timeout_ms, bool metadata,
			   transport_cb cb, void *arg)
{
	send_any(t, request, timeout_ms, true, metadata, cb, arg);
}

size_t transport_in_flight(const struct transport *t)
{
	size_t n = t->n_flying;
	for (const struct bundle *b = t->bundles; b; b = b->next)
		n += b->via ? b->via->n_flying : 0;
	return n;
}

static void abort_own(struct transport *t)
{
	while (t->flying) {
		struct transfer *x = t->flying;
		snprintf(x->error, sizeof(x->error), "broken off: the daemon stops");
		require(!x->prev); /* it is the head: it will be gone from there */
		if (x->unsendable)
			answer(t, x, TRANSPORT_NO_CONNECTION, CURLE_FAILED_INIT);
		else
			finish(t, x, CURLE_ABORTED_BY_CALLBACK);
	}
}

void transport_abort(struct transport *t)
{
	abort_own(t);
	for (struct bundle *b = t->bundles; b;) {
		bool flying = b->via && b->via->flying;
		if (flying)
			abort_own(b->via);
		b = flying ? t->bundles : b->next; /* a callback may have sent others, and changed the list */
	}
}

static void later_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void transport_close(struct transport *t)
{
	if (!t || t->closing)
		return;
	require(t->n_flying == 0);
	t->closing = true;
	while (t->bundles)
		drop_bundle(t, &t->bundles);
	while (t->pool) {
		struct transfer *x = t->pool;
		t->pool = x->next;
		free_transfer(x);
	}
	multi_close(take_ptr(t->multi));
	trust_free(t->trust);
	proxy_deinit(&t->proxy);
	free((char *)t->config.user_agent);
	uv_close((uv_handle_t *)&t->later, later_closed);
}
