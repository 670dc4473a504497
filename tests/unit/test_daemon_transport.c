/*
 * The transport against a server in the same loop that misbehaves as it is told. What counts most is that the outcome
 * is told truly: a request that may have been applied is never called unsent, and never sent twice.
 */
#include "transport_rig.h"

#include "daemon/io/turn.c"
#define arm	  waker_arm
#define poll_cb	  waker_poll_cb
#define closed_cb waker_closed_cb
#include "daemon/io/waker.c"

#include <dlfcn.h>

/* A libcurl that was built without this option; 0: it has all. */
static CURLoption missing;

typedef CURLcode (*setopt_fn)(CURL *, CURLoption, ...);

#undef curl_easy_setopt
__attribute__((visibility("default"))) CURLcode curl_easy_setopt(CURL *easy, CURLoption option, ...)
{
	va_list args;
	va_start(args, option);
	void *value = va_arg(args, void *); /* long, curl_off_t and pointers are passed alike on 64 bits */
	va_end(args);
	return option == missing ? CURLE_UNKNOWN_OPTION
				 : ((setopt_fn)dlsym(RTLD_NEXT, "curl_easy_setopt"))(easy, option, value);
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

/* What sees to certificates, and to where a request goes, may be missing in a libcurl: then it is given no request. */
static void test_nothing_is_sent_by_a_libcurl_that_lacks_an_option(void **state)
{
	static const CURLoption wanted[] = {CURLOPT_SSL_CTX_FUNCTION,	  CURLOPT_SSL_VERIFYPEER, CURLOPT_SSLVERSION,
					    CURLOPT_PROXY_SSL_VERIFYPEER, CURLOPT_PREREQFUNCTION, CURLOPT_NOPROXY};
	struct rig *r = *state;
	struct http_request request = request_to(r, "PUT", "x");
	for (size_t i = 0; i < array_len(wanted); i++) {
		request.scheme = i % 2 ? "http" : "https";
		missing = wanted[i];
		send_with(r, &request, 5000);
		missing = (CURLoption)0;
		assert_int_equal(r->result, TRANSPORT_NO_CONNECTION);
		assert_non_null(strstr(r->error, "this host's libcurl has no CURLOPT_"));
	}
	assert_int_equal(r->connections, 0);
	send_one(r, "PUT", "x"); /* such a handle is not used again */
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

int main(void)
{
	signal(SIGPIPE, SIG_IGN); /* the server writes on when the client has gone */
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
	    with_rig(test_nothing_is_sent_by_a_libcurl_that_lacks_an_option),
	    with_rig(test_what_fetches_keys),
	    with_rig(test_https_goes_through_the_proxy),
	    with_rig(test_secrets_that_come_back_are_masked),
	    with_rig(test_no_token_is_left_in_freed_memory),
	    with_rig(test_a_write_is_never_sent_twice),
	    with_rig(test_abort_answers_all_at_once),
	    with_rig(test_many_in_a_row_and_side_by_side),
	    with_rig(test_a_turn_runs_when_wanted_and_only_then),
	    with_rig(test_the_waker_wakes_once_and_can_be_reset),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
