/*
 * Which connections the transport makes and keeps, and for how long: names that move, resolvers that hang, certificates
 * that change. Clocks and resolver are the test's, so that minutes pass at once.
 */
#include "transport_rig.h"

#include <dlfcn.h>
#include <netdb.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <time.h>

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

static int make_rig_now(void **state)
{
	ahead_s = 0;
	return make_rig(state);
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
	size_t len = 0;
	if (!bundle || file_read(bundle, LIMIT_CA_BUNDLE_BYTES, &bytes, &len) != 0)
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

/* --- profiles with bundles of their own --- */

static char folder[] = "/tmp/bundles-XXXXXX";
static char paths[LIMIT_CA_BUNDLES + 8][64];

/* Each has the same certificate. */
static int make_bundles(void **state)
{
	const char *system = curl_version_info(CURLVERSION_NOW)->cainfo;
	static const char end[] = "-----END CERTIFICATE-----\n";
	char *bytes;
	size_t len = 0;
	if (make_rig_now(state) || !system || file_read(system, LIMIT_CA_BUNDLE_BYTES, &bytes, &len) != 0)
		return -1;
	char *after = strstr(bytes, end);
	if (!after || !mkdtemp(folder))
		return -1;
	for (size_t i = 0; i < array_len(paths); i++) {
		snprintf(paths[i], sizeof(paths[i]), "%s/%zu.pem", folder, i);
		if (file_write_atomic(paths[i], bytes, (size_t)(after - bytes) + strlen(end), 0644))
			return -1;
	}
	free(bytes);
	return 0;
}

static int drop_bundles(void **state)
{
	for (size_t i = 0; i < array_len(paths); i++)
		unlink(paths[i]);
	int r = rmdir(folder);
	snprintf(folder, sizeof(folder), "/tmp/bundles-XXXXXX");
	return drop_rig(state) ? -1 : r;
}

static struct http_request request_by(const struct rig *r, const char *bundle)
{
	struct http_request request = request_to(r, "GET", NULL);
	request.scheme = "https";
	request.ca_bundle = bundle;
	return request;
}

/* What is kept of it, or NULL. */
static const struct bundle *is_kept(const struct rig *r, const char *path)
{
	const struct bundle *b = r->transport->bundles;
	while (b && strcmp(b->path, path) != 0)
		b = b->next;
	return b;
}

/* Reloads with other paths each time do not add up. */
static void test_bundles_do_not_add_up(void **state)
{
	struct rig *r = *state;
	const struct transport *first = NULL;
	r->manner = CLOSE_UNHEARD;
	for (size_t i = 0; i < array_len(paths); i++) {
		struct http_request request = request_by(r, paths[i]), always = request_by(r, paths[0]);
		send_with(r, &request, 5000);
		send_with(r, &always, 5000);
		assert_int_equal(r->connections, 2 * (i + 1));
		const struct bundle *kept = is_kept(r, paths[0]);
		assert_non_null(kept);
		assert_true(!first || kept->via == first);
		first = kept->via;
	}
	assert_int_equal(r->transport->n_bundles, LIMIT_CA_BUNDLES);
	assert_null(is_kept(r, paths[1]));
	assert_non_null(is_kept(r, paths[array_len(paths) - 1]));
}

static void send_by_all_others(void *arg, enum transport_result result, const struct http_response *response,
			       const char *error)
{
	struct rig *r = arg;
	answer_cb(arg, result, response, error);
	for (size_t i = 1; i <= LIMIT_CA_BUNDLES + 1; i++) {
		struct http_request request = request_by(r, paths[i]);
		transport_send(r->transport, &request, 5000, answer_cb, r);
	}
}

/* What is in use is not dropped for another: neither what has calls under way, nor what is just giving its answer. */
static void test_bundles_in_use_are_kept(void **state)
{
	struct rig *r = *state;
	struct http_request request = request_by(r, paths[0]);
	r->manner = SILENCE;
	transport_send(r->transport, &request, 60000, send_by_all_others, r);
	until(r, r->connections == 1);
	transport_abort(r->transport->bundles->via);
	assert_non_null(is_kept(r, paths[0]));
	assert_int_equal(r->transport->n_bundles, LIMIT_CA_BUNDLES);
	assert_int_equal(transport_in_flight(r->transport), LIMIT_CA_BUNDLES - 1 + 2);
	until(r, r->answers == 3); /* the two for which there was no place */
	assert_non_null(strstr(r->error, "calls by 64 profiles"));
	transport_abort(r->transport);
	assert_int_equal(r->answers, LIMIT_CA_BUNDLES + 2);
	assert_int_equal(transport_in_flight(r->transport), 0);
}

/* Nor is one that cannot be used read for each call. */
static void test_a_bad_bundle_is_not_read_for_each_call(void **state)
{
	struct rig *r = *state;
	struct http_request request = request_by(r, paths[0]);
	char *good;
	size_t len;
	r->manner = CLOSE_UNHEARD;
	assert_int_equal(file_read(paths[0], LIMIT_CA_BUNDLE_BYTES, &good, &len), 0);
	assert_int_equal(file_write_atomic(paths[0], "x", 1, 0644), 0);
	send_with(r, &request, 5000);
	assert_non_null(strstr(r->error, "which has no certificates"));
	assert_int_equal(file_write_atomic(paths[0], good, len, 0644), 0);
	send_with(r, &request, 5000);
	assert_non_null(strstr(r->error, "which has no certificates"));
	assert_non_null(strstr(r->error, paths[0]));
	assert_int_equal(r->connections, 0);
	ahead_s += TRUST_LOOK_MS / 1000 + 1;
	uv_update_time(&r->loop);
	send_with(r, &request, 5000);
	assert_int_equal(r->connections, 1);
	assert_null(strstr(r->error, "certificates"));
	free(good);
}

#define at_once(test)	   cmocka_unit_test_setup_teardown(test, make_rig_now, drop_rig)
#define with_bundles(test) cmocka_unit_test_setup_teardown(test, make_bundles, drop_bundles)

int main(void)
{
	sem_init(&resolver_may_go, 0, 0);
	sem_init(&resolver_has_gone, 0, 0);
	const struct CMUnitTest tests[] = {
	    at_once(test_a_dead_connection_is_not_written_to),
	    at_once(test_connections_do_not_grow_old),
	    at_once(test_a_name_that_moves),
	    at_once(test_both_kinds_of_addresses),
	    at_once(test_a_resolver_that_hangs),
	    at_once(test_the_connection_has_a_time_of_its_own),
	    at_once(test_certificates_are_read_once),
	    with_bundles(test_bundles_do_not_add_up),
	    with_bundles(test_bundles_in_use_are_kept),
	    with_bundles(test_a_bad_bundle_is_not_read_for_each_call),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
