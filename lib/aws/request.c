#include "aws/request.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

void request_init(struct http_request *r, struct arena *a, const struct aws_endpoint *e, const char *method,
		  const char *path, const char *query)
{
	*r = (struct http_request){
	    .method = method,
	    .scheme = arena_strdup(a, e->scheme),
	    .host = arena_strdup(a, e->host),
	    .path = arena_printf(a, "%s%s", e->base_path, path),
	    .query = arena_strdup(a, query),
	    .body = "",
	    .ca_bundle = e->ca_bundle[0] ? arena_strdup(a, e->ca_bundle) : NULL,
	};
}

void request_init_target(struct http_request *r, struct arena *a, const struct aws_endpoint *e, const char *method,
			 const struct buf *path, const struct buf *query)
{
	require(buf_ok(path) && (!query || buf_ok(query)));
	request_init(r, a, e, method, buf_text(path), query ? buf_text(query) : "");
}

void request_add_segment(struct buf *path, const char *text)
{
	buf_add_uri(path, text, strlen(text), false);
}

void request_add_parameter(struct buf *query, const char *name, const char *value)
{
	if (!value || !*value)
		return;
	if (query->len > 0)
		buf_add_char(query, '&');
	buf_add_text(query, name);
	buf_add_char(query, '=');
	buf_add_uri(query, value, strlen(value), false);
}

void request_add_key(struct buf *body, const char *key)
{
	if (body->len > 0 && body->data[body->len - 1] != '{')
		buf_add_char(body, ',');
	buf_add_json_string(body, key);
	buf_add_char(body, ':');
}

void request_add_member(struct buf *body, const char *key, const char *value)
{
	if (!value || !*value)
		return;
	request_add_key(body, key);
	buf_add_json_string(body, value);
}

void request_take_json(struct http_request *r, struct arena *a, const struct buf *body)
{
	require(request_take_body(r, a, body, REQUEST_JSON) == 0);
}

int request_take_body(struct http_request *r, struct arena *a, const struct buf *body, const char *content_type)
{
	if (!buf_ok(body))
		return -E2BIG;
	r->body = arena_strndup(a, buf_text(body), body->len);
	r->body_len = body->len;
	http_request_add_header(r, "Content-Type", content_type);
	return 0;
}
