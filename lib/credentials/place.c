#include "credentials/place.h"

#include <string.h>

#include "base/macros.h"
#include "base/mem.h"
#include "base/http.h"
#include "base/text.h"

static const char *const metadata[] = {PLACE_CONTAINER, PLACE_INSTANCE, PLACE_INSTANCE_6, PLACE_POD, PLACE_POD_6};

bool place_is_metadata(const char *ip)
{
	for (size_t i = 0; i < array_len(metadata); i++)
		if (strcmp(metadata[i], ip) == 0)
			return true;
	return false;
}

static bool is_loopback(const char *host)
{
	return strcmp(host, "::1") == 0 || text_is_loopback(host, strlen(host));
}

/* Without its port and, of IPv6, without its brackets. False: there is none. */
static bool take_host(const char *authority, char *out, size_t size)
{
	bool brackets = *authority == '[';
	const char *start = authority + brackets;
	size_t len = brackets ? strcspn(start, "]") : strcspn(start, ":");
	if (len == 0 || len >= size || (brackets && start[len] != ']'))
		return false;
	const char *behind = start + len + brackets;
	if (*behind && (*behind != ':' || strspn(behind + 1, "0123456789") != strlen(behind + 1)))
		return false;
	memcpy(out, start, len);
	out[len] = '\0';
	return true;
}

static const char *check(const char *url, bool instance)
{
	struct arena *arena cleanup(arena_free_p) = arena_new();
	struct http_request r = {0};
	char host[256];
	for (const char *c = url; *c; c++)
		if (*c <= ' ' || *c > '~')
			return "has a blank or a character beyond ASCII";
	if (strlen(url) > 2048)
		return "is longer than 2048 characters";
	if (http_request_set_url(arena, url, &r) || !take_host(r.host, host, sizeof(host)))
		return "is no URL like http://169.254.170.23/v1/credentials";
	if (strcmp(r.scheme, "https") == 0 || is_loopback(host) || strcmp(host, "localhost") == 0)
		return NULL;
	bool known = instance ? place_is_metadata(host)
			      : strcmp(host, PLACE_CONTAINER) == 0 || strcmp(host, PLACE_POD) == 0 ||
				    strcmp(host, PLACE_POD_6) == 0;
	return known ? NULL : "is http to another machine, which would see the keys: use https";
}

const char *place_check_container(const char *url)
{
	return check(url, false);
}

const char *place_check_instance(const char *url)
{
	return check(url, true);
}

size_t place_origin_len(const char *url)
{
	const char *host = strstr(url, "://");
	host = host ? host + 3 : url;
	return (size_t)(host - url) + strcspn(host, "/?");
}
