/* See dispatch_rig.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/prng.h"
#include "base/text.h"
#include "dispatch_rig.h"

static struct instant fake_now(void *ctx)
{
	return ((struct dispatch_rig *)ctx)->now;
}

static uint64_t fake_entropy(void *ctx)
{
	return ((struct dispatch_rig *)ctx)->entropy;
}

static void fake_send(void *ctx, const struct http_request *r, int64_t timeout_ms, transport_cb cb, void *arg)
{
	struct dispatch_rig *w = ctx;
	assert_true(w->n_sent < array_len(w->sent));
	struct sent *s = &w->sent[w->n_sent++];
	*s = (struct sent){.timeout_ms = timeout_ms, .cb = cb, .arg = arg};
	text_copy(s->path, sizeof(s->path), r->path);
	text_copy(s->authorization, sizeof(s->authorization),
		  http_header_find(r->headers, r->n_headers, "Authorization"));
	text_copy(s->amz_date, sizeof(s->amz_date), http_header_find(r->headers, r->n_headers, "X-Amz-Date"));
	assert_non_null(http_header_find(r->headers, r->n_headers, "X-Amz-Content-Sha256"));
}

static int fake_credentials(void *ctx, const char *account, struct aws_credentials *ret, char *ret_error,
			    size_t error_size)
{
	struct dispatch_rig *w = ctx;
	w->keys_asked++;
	if (w->credentials_fail) {
		snprintf(ret_error, error_size, "no keys for %s", account);
		return w->credentials_fail;
	}
	*ret = (struct aws_credentials){
	    .access_key_id = mem_printf("AKID-%s", account),
	    .secret_access_key = mem_strdup("secret"),
	    .expires_unix_ms = INT64_MAX,
	};
	return 0;
}

static void fake_describe_keys(void *ctx, const char *account, struct keys_told *ret)
{
	(void)ctx;
	(void)account;
	*ret = (struct keys_told){.source = "a slow program", .error = ""};
}

static void fake_keys_refused(void *ctx, const char *account, const char *access_key_id)
{
	struct dispatch_rig *w = ctx;
	snprintf(w->refused, sizeof(w->refused), "%s %s", account, access_key_id);
}

static int fake_endpoint(void *ctx, const char *account, enum aws_service service, const char *region,
			 struct aws_endpoint *ret, char *ret_error, size_t error_size)
{
	(void)account;
	struct dispatch_rig *w = ctx;
	if (w->endpoint_fail) {
		snprintf(ret_error, error_size, "bad endpoint");
		return 1;
	}
	*ret = (struct aws_endpoint){.scheme = "https"};
	snprintf(ret->host, sizeof(ret->host), "%s.%s", endpoint_service_name(service), region);
	return 0;
}

static void fake_log(void *ctx, int level, const char *text)
{
	struct dispatch_rig *w = ctx;
	(void)level;
	text_copy(w->logged, sizeof(w->logged), text);
	w->n_logged++;
}

struct dispatch_rig *dispatch_rig_new_unchecked(double lambda_rps)
{
	struct dispatch_rig *w = mem_alloc(sizeof(*w));
	w->now = (struct instant){.unix_ms = START_UNIX_MS, .boot_ms = START_BOOT_MS};
	const struct engine_config config = {.lambda_rps = lambda_rps, .cloudwatch_rps = 25, .apigateway_rps = 5};
	const struct ports ports = {
	    .ctx = w,
	    .now = fake_now,
	    .entropy = fake_entropy,
	    .send = fake_send,
	    .credentials = fake_credentials,
	    .describe_keys = fake_describe_keys,
	    .keys_refused = fake_keys_refused,
	    .endpoint = fake_endpoint,
	    .log = fake_log,
	};
	w->d = dispatch_new(&config, &ports);
	return w;
}

/* With one call that was answered before, in another account. */
struct dispatch_rig *dispatch_rig_new(double lambda_rps)
{
	struct dispatch_rig *w = dispatch_rig_new_unchecked(lambda_rps);
	struct probe first = {.w = w, .name = '0'};
	struct dispatch_call call = dispatch_rig_call_of(&first, OPERATION_CREATE_API, PRIORITY_NORMAL);
	call.account = "first";
	(void)dispatch_submit(w->d, &call);
	dispatch_run(w->d);
	assert_int_equal(w->n_sent, 1);
	dispatch_rig_answer_status(w, 0, 200, NULL, NULL);
	w->n_sent = 0;
	w->done = 0;
	w->order[0] = '\0';
	return w;
}

void dispatch_rig_free(struct dispatch_rig *w)
{
	dispatch_free(w->d);
	free(w);
}

void dispatch_rig_advance(struct dispatch_rig *w, int64_t ms)
{
	w->now.unix_ms += ms;
	w->now.boot_ms += ms;
}

static int probe_build(void *arg, struct arena *a, const struct aws_endpoint *e, struct http_request *ret)
{
	struct probe *p = arg;
	p->builds++;
	*ret = (struct http_request){.method = "GET",
				     .scheme = "https",
				     .host = arena_strdup(a, e->host),
				     .path = arena_printf(a, "/%c", p->name),
				     .query = "",
				     .body = ""};
	return p->build_result;
}

static void probe_done(void *arg, const struct http_response *response, const struct aws_error *error)
{
	struct probe *p = arg;
	assert_true(!response != !error);
	p->done++;
	p->w->done++;
	size_t len = strlen(p->w->order);
	if (len + 1 < sizeof(p->w->order))
		p->w->order[len] = p->name;
	p->status = response ? response->status : 0;
	if (error)
		p->error = *error;
	if (p->then)
		p->then(p);
}

static void probe_delayed(void *arg, const struct aws_error *error)
{
	struct probe *p = arg;
	p->delays++;
	p->error = *error;
}

struct dispatch_call dispatch_rig_call_of(struct probe *p, enum engine_operation operation,
					  enum dispatch_priority priority)
{
	return (struct dispatch_call){
	    .operation = operation,
	    .account = "default",
	    .region = "us-east-1",
	    .priority = priority,
	    .safe = operation != OPERATION_UPDATE_ALIAS,
	    .exempt = priority == PRIORITY_HOME,
	    .build = probe_build,
	    .done = probe_done,
	    .delayed = probe_delayed,
	    .arg = p,
	};
}

void dispatch_rig_submit(struct dispatch_rig *w, struct probe *p, char name, enum engine_operation operation,
			 enum dispatch_priority priority)
{
	p->w = w;
	p->name = name;
	const struct dispatch_call call = dispatch_rig_call_of(p, operation, priority);
	p->ticket = dispatch_submit(w->d, &call);
	assert_int_not_equal(p->ticket, 0);
}

void dispatch_rig_answer_status(struct dispatch_rig *w, size_t i, int status, const char *code, const char *date)
{
	struct http_response r = {.status = status, .body = "{}", .body_len = 2};
	if (code)
		r.headers[r.n_headers++] = (struct http_header){.name = "x-amzn-errortype", .value = code};
	if (date)
		r.headers[r.n_headers++] = (struct http_header){.name = "Date", .value = date};
	w->sent[i].cb(w->sent[i].arg, TRANSPORT_ANSWERED, &r, NULL);
}

void dispatch_rig_answer_all_from(struct dispatch_rig *w, size_t first)
{
	for (size_t i = first, n = w->n_sent; i < n; i++)
		dispatch_rig_answer_status(w, i, 200, NULL, NULL);
}

/* Everything that was sent, as the names of the calls. */
const char *dispatch_rig_sent_order(const struct dispatch_rig *w, char *out, size_t size)
{
	size_t n = 0;
	for (; n < w->n_sent && n < size - 1; n++)
		out[n] = w->sent[n].path[1];
	out[n] = '\0';
	return out;
}

/* Runs whenever the dispatcher wants to, answering nothing. */
void dispatch_rig_run_until(struct dispatch_rig *w, int64_t boot_ms)
{
	dispatch_run(w->d);
	for (int64_t next; (next = dispatch_next_ms(w->d)) <= boot_ms;) {
		if (next > w->now.boot_ms)
			dispatch_rig_advance(w, next - w->now.boot_ms);
		dispatch_run(w->d);
	}
	if (boot_ms > w->now.boot_ms)
		dispatch_rig_advance(w, boot_ms - w->now.boot_ms);
}
