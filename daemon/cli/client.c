#include "client.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/mem.h"
#include "field.h"

_Static_assert(CLIENT_PATH_MAX == sizeof(((struct sockaddr_un *)0)->sun_path) - 1, "the kernel's limit");

struct client {
	const char *socket_path;
	CURL *easy;
	int64_t call_limit_ms;
	char error[1024];
};

/* An option can only be refused when it is unknown to the library or memory ran out. */
#define set_option(easy, option, value)                                                                                \
	do {                                                                                                           \
		CURLcode set_rc_ = curl_easy_setopt(easy, option, value);                                              \
		require(set_rc_ == CURLE_OK);                                                                          \
	} while (0)

struct client *client_new(const char *socket_path)
{
	if (strlen(socket_path) > CLIENT_PATH_MAX)
		return NULL;

	struct client *c = mem_alloc(sizeof(*c));
	/* Plain HTTP on a local socket needs none of the TLS library's set-up. */
	CURLcode rc = curl_global_init(CURL_GLOBAL_NOTHING);
	require(rc == CURLE_OK);
	c->socket_path = socket_path;
	c->call_limit_ms = CLIENT_CALL_TIMEOUT_MS;
	c->easy = curl_easy_init();
	require(c->easy);
	return c;
}

void client_free(struct client *c)
{
	if (!c)
		return;
	curl_easy_cleanup(c->easy);
	curl_global_cleanup();
	free(c);
}

void client_limit_calls(struct client *c, int64_t ms)
{
	/* 0 would mean no limit to the library. */
	c->call_limit_ms = ms < 1 ? 1 : ms < CLIENT_CALL_TIMEOUT_MS ? ms : CLIENT_CALL_TIMEOUT_MS;
}

void client_allow_calls(struct client *c, int64_t ms)
{
	c->call_limit_ms = ms;
}

void reply_deinit(struct reply *r)
{
	buf_deinit(&r->body);
	json_decref(r->json);
	r->json = NULL;
}

static size_t take_body(char *data, size_t size, size_t n, void *arg)
{
	struct buf *b = arg;

	buf_add(b, data, size * n);
	return buf_ok(b) ? size * n : 0;
}

static void set_common(struct client *c, CURL *easy, const char *path)
{
	cleanup(mem_free_p) char *url = mem_printf("http://localhost%s", path);

	set_option(easy, CURLOPT_UNIX_SOCKET_PATH, c->socket_path);
	set_option(easy, CURLOPT_URL, url);
	set_option(easy, CURLOPT_PROTOCOLS_STR, "http");
	set_option(easy, CURLOPT_PROXY, "");
	set_option(easy, CURLOPT_NOPROXY, "*");
	set_option(easy, CURLOPT_NOSIGNAL, 1L);
	set_option(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CLIENT_CONNECT_TIMEOUT_MS);
	set_option(easy, CURLOPT_USERAGENT, "rolloutctl/" ROLLOUTD_VERSION);
}

CURL *client_stream_handle(struct client *c, const char *path)
{
	CURL *easy = curl_easy_init();

	require(easy);
	set_common(c, easy, path);
	return easy;
}

/* Whose group may use the socket: told from the socket itself or, when even that cannot be seen, from its folder. */
static void explain_denied(struct client *c)
{
	struct stat st;
	char folder[CLIENT_PATH_MAX + 2];
	const char *slash = strrchr(c->socket_path, '/');
	size_t len = slash ? (size_t)(slash - c->socket_path) : 0;

	snprintf(folder, sizeof(folder), "%.*s", (int)(len ? len : 1), len ? c->socket_path : slash ? "/" : ".");
	bool seen = stat(c->socket_path, &st) == 0 || stat(folder, &st) == 0;
	const struct group *group = seen ? getgrgid(st.st_gid) : NULL;
	if (!group) {
		snprintf(c->error, sizeof(c->error),
			 "cannot reach rolloutd at %s: permission denied. Members of the group that rolloutd.yaml "
			 "names as control.group (by default 'rolloutd') may use it.",
			 c->socket_path);
		return;
	}
	snprintf(c->error, sizeof(c->error),
		 "cannot reach rolloutd at %s: permission denied. Members of the group '%s' may use it. Try: sudo "
		 "usermod -aG %s USER, and log in again.",
		 c->socket_path, group->gr_name, group->gr_name);
}

/* Asks the kernel why; 0 when a connection can be made after all. */
static int probe(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return errno;
	memcpy(address.sun_path, path, strlen(path) + 1);
	int rc = connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 ? 0 : errno;
	close(fd);
	return rc;
}

static void explain_no_connection(struct client *c)
{
	static const char hint[] = "Is it running? Try: systemctl status rolloutd";
	struct stat st;
	const char *why;
	int rc = probe(c->socket_path);

	if (rc == EACCES || rc == EPERM) {
		explain_denied(c);
		return;
	}
	if (rc == ENOENT || rc == ENOTDIR)
		why = "no such socket";
	else if (rc == ECONNREFUSED && stat(c->socket_path, &st) == 0 && !S_ISSOCK(st.st_mode))
		why = "this is not a socket";
	else if (rc == ECONNREFUSED)
		why = "the socket is there, but nobody listens";
	else
		why = rc ? strerror(rc) : "no connection came about";
	snprintf(c->error, sizeof(c->error), "cannot reach rolloutd at %s: %s. %s", c->socket_path, why, hint);
}

void client_note_failure(struct client *c, CURLcode code)
{
	static const char hint[] = "Try: journalctl -u rolloutd";
	const char *why;

	switch (code) {
	case CURLE_COULDNT_CONNECT:
		explain_no_connection(c);
		return;
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_PARTIAL_FILE:
	case CURLE_OK: /* of a stream, which does not end by itself */
		why = "it closed the connection without a whole answer";
		break;
	case CURLE_OPERATION_TIMEDOUT:
		why = "no answer in time: it is there, but hangs or is overloaded";
		break;
	case CURLE_WRITE_ERROR:
		why = "its answer is larger than what is taken";
		break;
	default:
		why = curl_easy_strerror(code);
	}
	snprintf(c->error, sizeof(c->error), "cannot talk to rolloutd at %s: %s. %s", c->socket_path, why, hint);
}

int client_call(struct client *c, const char *method, const char *path, const struct buf *body,
		const char *content_type, struct reply *ret)
{
	struct reply reply = {.body = BUF_INIT(LIMIT_CONTROL_ANSWER_BYTES)};
	struct curl_slist *headers = NULL;

	curl_easy_reset(c->easy);
	set_common(c, c->easy, path);
	set_option(c->easy, CURLOPT_TIMEOUT_MS, (long)c->call_limit_ms);
	set_option(c->easy, CURLOPT_WRITEFUNCTION, take_body);
	set_option(c->easy, CURLOPT_WRITEDATA, &reply.body);
	if (strcmp(method, "POST") == 0) {
		cleanup(mem_free_p) char *type = mem_printf("Content-Type: %s", content_type);

		headers = curl_slist_append(NULL, type);
		require(headers);
		/* The body is at most a plan: asking for leave to send it would only cost a second turn. */
		struct curl_slist *more = curl_slist_append(headers, "Expect:");
		require(more);
		set_option(c->easy, CURLOPT_POST, 1L);
		set_option(c->easy, CURLOPT_POSTFIELDSIZE, (long)(body ? body->len : 0));
		set_option(c->easy, CURLOPT_POSTFIELDS, body ? buf_text(body) : "");
		set_option(c->easy, CURLOPT_HTTPHEADER, headers);
	}
	CURLcode code = curl_easy_perform(c->easy);
	curl_slist_free_all(headers);
	if (code != CURLE_OK) {
		client_note_failure(c, code);
		reply_deinit(&reply);
		return 1;
	}
	curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &reply.status);
	reply.json = field_parse(&reply.body);
	*ret = reply;
	return 0;
}

const char *client_explain(const struct client *c)
{
	return c->error;
}
