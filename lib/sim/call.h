/*
 * One request on its way through the world: who asks, what is asked, and the answer that is being made. Everything of
 * it lives in the reply's arena, so that it may outlive the world's own objects.
 */
#pragma once

#include "sim/model.h"

enum service { SERVICE_NONE, SERVICE_LAMBDA, SERVICE_MONITORING, SERVICE_STS, SERVICE_APIGATEWAY };
enum protocol { PROTOCOL_REST_JSON, PROTOCOL_JSON, PROTOCOL_QUERY };

struct call;

struct operation {
	const char *name;
	enum service service;
	const char *method; /* rest-json: with `path`, "*" standing for one segment */
	const char *path;
	enum rate_group rate;
	void (*run)(struct call *c);
};

#define CALL_SEGMENTS_MAX 4

struct call {
	struct world *w;
	const struct http_request *request;
	struct world_reply *reply;
	struct arena *arena;
	enum service service;
	enum protocol protocol;
	bool query_mode; /* JSON protocol with x-amzn-query-mode: true */
	const struct operation *operation;
	char key_id[128];
	char region[64];
	char request_id[UUID_SIZE];
	const char *segments[CALL_SEGMENTS_MAX]; /* decoded, of a rest-json path */
	const char *function;			 /* bare name, once it is known; for faults and errors */
	const char *alias;			 /* of an alias operation */
	json_t *in;				 /* JSON body or query parameters; NULL: none */
	bool late;				 /* applied after its caller gave up */
	int64_t stale_ms;			 /* may answer from the past, if that is not older; 0: no */
};

/* --- reading --- */

/* Percent-decoded copy; NULL when it is malformed or no UTF-8. '+' stands for a space in queries only. */
char *call_decode(struct call *c, const char *text, size_t len, bool plus);
/* A parameter of the query string, decoded; NULL if absent or malformed. */
const char *call_query(struct call *c, const char *name);
const char *call_header(const struct call *c, const char *name);

/* --- answering --- */

void call_header_add(struct call *c, const char *name, const char *value);
/* Takes the reference. */
void call_answer_json(struct call *c, int status, json_t *body);
void call_answer_bytes(struct call *c, int status, const char *content_type, const char *body, size_t len);

/* An error in the words of the call's protocol. */
struct call_error {
	const char *code;	/* as JSON protocols name it: "ValidationException" */
	const char *query_code; /* as the query protocol does; NULL: the same */
	const char *space;	/* before '#' in JSON 1.0's __type; NULL: CloudWatch's own */
	int status;		/* rest-json and query; JSON 1.0 answers 400 instead of any 4xx */
	bool capital;		/* rest-json: "Message" instead of "message" */
	bool no_type;		/* rest-json: without "Type" */
	const char *reason;	/* rest-json: "Reason"; NULL: none */
};

/* `fmt` NULL: an error without a message. */
void call_fail(struct call *c, const struct call_error *e, const char *fmt, ...) printf_like(3, 4);

extern const struct call_error call_error_denied;
extern const struct call_error call_error_unknown_operation;

void call_fail_internal(struct call *c);    /* 500 */
void call_fail_unavailable(struct call *c); /* 503 */
void call_fail_throttled(struct call *c);
