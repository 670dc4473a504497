#include "daemon/io/failure.h"

#include <openssl/x509_vfy.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define TEXT_SIZE (CURL_ERROR_SIZE + 8)

/* A code of libcurl's, 0 when it cannot be told. */
static long info_of(const struct failure *f, CURLINFO what)
{
	long value = 0;
	return curl_easy_getinfo(f->easy, what, &value) == CURLE_OK ? value : 0;
}

/* What a proxy answers when it is asked for a connection. */
static void describe_tunnel(const struct failure *f, long status, char *out, size_t size)
{
	if (status == 407)
		snprintf(out, size,
			 "the proxy %s wants a user name and password, or does not take those it was given (407): set "
			 "%s to http://USER:PASSWORD@HOST:PORT",
			 f->proxy, f->proxy_setting);
	else if (status >= 500)
		snprintf(out, size, "the proxy %s does not reach %s (%ld): %s names that proxy", f->proxy, f->host,
			 status, f->proxy_setting);
	else
		snprintf(out, size,
			 "the proxy %s does not connect to %s (%ld): have it allowed there, or name the host in "
			 "NO_PROXY",
			 f->proxy, f->host, status);
}

/* A proxy over TLS shows its certificate first, and is asked for the connection then. */
static bool is_of_proxy(const struct failure *f)
{
	return f->proxy && text_starts_with(f->proxy, "https://") && info_of(f, CURLINFO_HTTP_CONNECTCODE) == 0;
}

/* What follows from how the verification ended; "": nothing. */
static void add_verification(const struct failure *f, char *out, size_t size)
{
	bool of_proxy = is_of_proxy(f);
	switch (info_of(f, of_proxy ? CURLINFO_PROXY_SSL_VERIFYRESULT : CURLINFO_SSL_VERIFYRESULT)) {
	case X509_V_ERR_CERT_NOT_YET_VALID:
	case X509_V_ERR_CERT_HAS_EXPIRED:
		snprintf(out, size, "; %sif it should be good, see to this host's clock",
			 of_proxy ? "that is the proxy's certificate: " : "");
		break;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		snprintf(out, size,
			 of_proxy
			     ? "; that is the proxy's certificate, and who signed it is not in %s: AWS_CA_BUNDLE "
			       "must name its authority too"
			     : "; who signed it is not in %s: where a proxy opens TLS, AWS_CA_BUNDLE must name its "
			       "authority",
			 f->trust);
		break;
	default:
		break;
	}
}

/* The server was not believed through a proxy over TLS: libcurl's write to the proxy clears OpenSSL's list of errors,
 * where the reason stood. */
static bool lost_reason(const struct failure *f)
{
	return f->code == CURLE_SSL_CONNECT_ERROR && f->proxy && text_starts_with(f->proxy, "https://") &&
	       !is_of_proxy(f) && strstr(f->text, "SSL_ERROR_SYSCALL");
}

static void add_advice(const struct failure *f, char *out, size_t size)
{
	if (f->code == CURLE_PEER_FAILED_VERIFICATION)
		add_verification(f, out, size);
	else if (lost_reason(f))
		snprintf(out, size,
			 "; %s closed the connection, or its certificate is not believed: see whether who signed it is "
			 "in %s",
			 f->host, f->trust);
	else if (f->code == CURLE_SSL_CONNECT_ERROR &&
		 (strstr(f->text, "wrong version number") || strstr(f->text, "packet length too long")))
		snprintf(out, size, "; what answers there does not speak TLS: see to the endpoint, and to proxies");
	else if (f->code == CURLE_UNSUPPORTED_PROTOCOL || f->code == CURLE_WEIRD_SERVER_REPLY)
		snprintf(out, size, "; what came is no HTTP: see to the endpoint, and to proxies");
	else if (f->code == CURLE_PARTIAL_FILE)
		snprintf(out, size, "; the answer was cut off");
}

void failure_describe(const struct failure *f, char *out, size_t size)
{
	char text[TEXT_SIZE], advice[512] = "", way[512] = "";
	long tunnel = f->proxy ? info_of(f, CURLINFO_HTTP_CONNECTCODE) : 0;
	if (tunnel >= 300) {
		describe_tunnel(f, tunnel, out, size);
		return;
	}
	text_copy_printable(text, sizeof(text), f->text[0] ? f->text : curl_easy_strerror(f->code));
	add_advice(f, advice, sizeof(advice));
	if (f->proxy)
		snprintf(way, sizeof(way), "; asked by way of the proxy %s of %s", f->proxy, f->proxy_setting);
	snprintf(out, size, "%s%s%s", text, advice, way);
}
