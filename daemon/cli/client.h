/*
 * HTTP over the control socket, one call after the other. Nothing goes through a proxy, nothing is redirected, and an
 * answer is capped.
 */
#pragma once

#include <curl/curl.h>
#include <jansson.h>
#include <stdint.h>

#include "base/buf.h"

struct client;

/* The path is borrowed. Returns NULL when it is too long for a socket's address (CLIENT_PATH_MAX). */
struct client *client_new(const char *socket_path);
void client_free(struct client *c); /* NULL is fine */

#define CLIENT_PATH_MAX		  107
#define CLIENT_CALL_TIMEOUT_MS	  30000
#define CLIENT_CONNECT_TIMEOUT_MS 5000

struct reply {
	long status;
	struct buf body;
	json_t *json; /* NULL: the body is no JSON */
};

void reply_deinit(struct reply *r);

/* Returns 0 when a whole answer came, whatever its status; 1 when none did, see client_explain(). body NULL: none. */
must_use int client_call(struct client *c, const char *method, const char *path, const struct buf *body,
			 const char *content_type, struct reply *ret);
/* A call may take that long at most, where CLIENT_CALL_TIMEOUT_MS is longer: for callers that have a deadline. */
void client_limit_calls(struct client *c, int64_t ms);
/* Calls may take longer than usual: for questions that the daemon has to ask AWS about. */
void client_allow_calls(struct client *c, int64_t ms);
/* Why the last call got no answer, and what to do: a sentence. */
const char *client_explain(const struct client *c);

/* For streams: an easy handle set up for a GET of that path, without a limit on its time. The caller owns it. */
CURL *client_stream_handle(struct client *c, const char *path);
/* After a stream's end: makes client_explain() speak of it. */
void client_note_failure(struct client *c, CURLcode code);
