/*
 * libcurl's multi interface on the loop. libcurl says which sockets and when; the loop's polls and one timer call it
 * back; after each such call the transfers that are done are told of.
 */
#pragma once

#include <curl/curl.h>
#include <stdbool.h>
#include <uv.h>

struct multi;

/* The handle is still in there: whoever hears it takes it out. */
typedef void (*multi_done_cb)(void *arg, CURL *easy, CURLcode code);

struct multi *multi_new(uv_loop_t *loop, multi_done_cb done, void *arg);
/* Whether libcurl takes it; `done` is never called before this returns. */
bool multi_add(struct multi *m, CURL *easy);
void multi_remove(struct multi *m, CURL *easy);
/* No handle may be in it, and it is not to be closed from `done`. The memory is freed by the loop's next turns. */
void multi_close(struct multi *m);
