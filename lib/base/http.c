#include "base/http.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"

/* Names of headers are ASCII; strcasecmp would ask the locale. */
static unsigned char lower(char c)
{
	return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static bool equal_names(const char *a, const char *b)
{
	for (; *a && lower(*a) == lower(*b); a++)
		b++;
	return lower(*a) == lower(*b);
}

void http_request_add_header(struct http_request *r, const char *name, const char *value)
{
	require(r->n_headers < HTTP_HEADERS_MAX);
	r->headers[r->n_headers++] = (struct http_header){.name = name, .value = value};
}

int http_request_set_url(struct arena *a, const char *url, struct http_request *ret)
{
	const char *host = strstr(url, "://"), *path, *query;
	size_t path_len;

	if (!host || (!text_starts_with(url, "http://") && !text_starts_with(url, "https://")) ||
	    strpbrk(url, "#\r\n\t "))
		return -EINVAL;
	path = host + 3 + strcspn(host + 3, "/?");
	if (path == host + 3 || memchr(host, '@', (size_t)(path - host)))
		return -EINVAL;
	path_len = strcspn(path, "?");
	query = path + path_len;
	ret->scheme = arena_strndup(a, url, (size_t)(host - url));
	ret->host = arena_strndup(a, host + 3, (size_t)(path - host - 3));
	ret->path = path_len > 0 ? arena_strndup(a, path, path_len) : "/";
	ret->query = query[0] ? arena_strdup(a, query + 1) : "";
	return 0;
}

const char *http_header_find(const struct http_header *headers, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (equal_names(headers[i].name, name))
			return headers[i].value;
	return NULL;
}

const char *const http_response_headers_kept[] = {
    "x-amzn-errortype",
    "x-amzn-query-error",
    "x-amzn-requestid",
    "x-amz-request-id",
    "retry-after",
    "x-amz-retry-after",
    "date",
    "content-type",
    "location",
    "x-amz-executed-version",
    "x-amz-function-error",
    "x-amz-log-result",
    NULL,
};
