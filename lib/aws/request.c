#include "aws/request.h"

#include <errno.h>

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
	};
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
