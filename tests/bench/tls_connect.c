/*
 * CPU time of a new TLS connection with a request on it: tls_connect URL-HOST:PORT BUNDLE N. By the daemon's transport,
 * by libcurl with Debian's folder of certificates beside the bundle, and by libcurl with the bundle alone. The server,
 * which closes after each answer, is another process. One line of figures; exit status 1 when a request fails.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/error.h"
#include "daemon/io/trust.h"
#include "daemon/io/transport.h"

static unsigned answered;

static const char *look_up(void *ctx, const char *name)
{
	return strcmp(name, "AWS_CA_BUNDLE") == 0 ? ctx : NULL;
}

static void take_answer(void *arg, enum transport_result result, const struct http_response *response,
			const char *error)
{
	(void)arg;
	(void)response;
	if (result == TRANSPORT_ANSWERED)
		answered++;
	else
		fprintf(stderr, "%s\n", error);
}

static double cpu_ms(void)
{
	struct rusage u;
	require(getrusage(RUSAGE_SELF, &u) == 0);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
}

static double by_transport(const char *host, char *bundle, unsigned n)
{
	uv_loop_t loop;
	struct transport *t;
	char error[512];
	const struct transport_config config = {.user_agent = "tls_connect", .env = look_up, .env_ctx = bundle};
	const struct http_request request = {
	    .method = "GET", .scheme = "https", .host = host, .path = "/", .query = "", .body = ""};
	require(uv_loop_init(&loop) == 0);
	if (transport_new(&loop, &config, &t, error, sizeof(error))) {
		fprintf(stderr, "%s\n", error);
		exit(1);
	}
	double start = cpu_ms();
	for (unsigned i = 0; i < n; i++) {
		transport_send(t, &request, 10000, take_answer, NULL);
		while (transport_in_flight(t))
			uv_run(&loop, UV_RUN_ONCE);
	}
	double each = (cpu_ms() - start) / n;
	transport_close(t);
	uv_run(&loop, UV_RUN_DEFAULT);
	require(uv_loop_close(&loop) == 0);
	return each;
}

static size_t drop(char *bytes, size_t size, size_t n, void *arg)
{
	(void)bytes;
	(void)arg;
	return size * n;
}

static double by_libcurl(const char *host, const char *bundle, const char *folder, unsigned n)
{
	CURL *easy = curl_easy_init();
	char url[256];
	snprintf(url, sizeof(url), "https://%s/", host);
	require(easy && curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK &&
		curl_easy_setopt(easy, CURLOPT_CAINFO, bundle) == CURLE_OK &&
		curl_easy_setopt(easy, CURLOPT_CAPATH, folder) == CURLE_OK &&
		curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L) == CURLE_OK &&
		curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop) == CURLE_OK);
	double start = cpu_ms();
	for (unsigned i = 0; i < n; i++)
		answered += curl_easy_perform(easy) == CURLE_OK;
	double each = (cpu_ms() - start) / n;
	curl_easy_cleanup(easy);
	return each;
}

int main(int argc, char **argv)
{
	unsigned n = argc == 4 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
	if (n == 0) {
		fputs("usage: tls_connect HOST:PORT BUNDLE N\n", stderr);
		return 2;
	}
	require(transport_set_up() == 0);
	double ours = by_transport(argv[1], argv[2], n);
	double folder = by_libcurl(argv[1], argv[2], X509_get_default_cert_dir(), n);
	double file = by_libcurl(argv[1], argv[2], NULL, n);
	transport_tear_down();
	printf("a new TLS connection, CPU: rolloutd %.2f ms; bare libcurl with a folder of certificates %.2f ms, "
	       "without %.2f ms (%u each)\n",
	       ours, folder, file, n);
	return answered == 3 * n ? 0 : 1;
}
