#include "daemon/localaws/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"

#define BACKLOG 1024

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static bool parse(const char *text, union address *ret, socklen_t *ret_len)
{
	char host[64];
	const char *colon = strrchr(text, ':');
	uint64_t port;
	if (!colon || (size_t)(colon - text) >= sizeof(host) || text_parse_u64(colon + 1, 65535, &port) != 0)
		return false;
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = '\0';
	size_t len = strlen(host);
	*ret = (union address){0};
	if (inet_pton(AF_INET, host, &ret->v4.sin_addr) == 1) {
		ret->v4.sin_family = AF_INET;
		ret->v4.sin_port = htons((uint16_t)port);
		*ret_len = sizeof(ret->v4);
		return true;
	}
	if (len < 2 || host[0] != '[' || host[len - 1] != ']')
		return false;
	host[len - 1] = '\0';
	if (inet_pton(AF_INET6, host + 1, &ret->v6.sin6_addr) != 1)
		return false;
	ret->v6.sin6_family = AF_INET6;
	ret->v6.sin6_port = htons((uint16_t)port);
	*ret_len = sizeof(ret->v6);
	return true;
}

static bool is_loopback(const union address *a)
{
	if (a->any.sa_family == AF_INET)
		return ntohl(a->v4.sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&a->v6.sin6_addr);
}

static void format_url(const union address *a, char out[static LISTEN_URL_SIZE])
{
	char host[INET6_ADDRSTRLEN] = "";
	bool v4 = a->any.sa_family == AF_INET;
	(void)inet_ntop(a->any.sa_family, v4 ? (const void *)&a->v4.sin_addr : &a->v6.sin6_addr, host, sizeof(host));
	snprintf(out, LISTEN_URL_SIZE, "http://%s%s%s:%u", v4 ? "" : "[", host, v4 ? "" : "]",
		 ntohs(v4 ? a->v4.sin_port : a->v6.sin6_port));
}

int listen_open(const char *text, char ret_url[static LISTEN_URL_SIZE], char *error, size_t error_size)
{
	union address address;
	socklen_t len;
	if (!parse(text, &address, &len)) {
		snprintf(error, error_size, "`%s` is no address to listen on; write it as 127.0.0.1:4599", text);
		return -1;
	}
	if (!is_loopback(&address)) {
		snprintf(error, error_size,
			 "%s is not a loopback address; this program has well-known keys and an open admin API, so it "
			 "listens on 127.0.0.1 or [::1] only",
			 text);
		return -1;
	}
	int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int yes = 1;
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) != 0 ||
	    bind(fd, &address.any, len) != 0 || listen(fd, BACKLOG) != 0 || getsockname(fd, &address.any, &len) != 0) {
		int saved = errno;
		snprintf(error, error_size, "cannot listen on %s: %s%s", text, strerror(saved),
			 saved == EADDRINUSE
			     ? "; stop what has the port, or use another one (port 0 chooses a free one)"
			     : "");
		if (fd >= 0)
			close(fd);
		return -1;
	}
	format_url(&address, ret_url);
	return fd;
}
