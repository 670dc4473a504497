/*
 * Requests on the control socket: method, path and query by line, then the body. What the HTTP library does before
 * (its own parser, percent-decoding) is not ours; everything from there to the request that the engine is given is.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "control/api.h"
#include "daemon/control/answer.h"
#include "daemon/control/family.h"
#include "engine/planform.h"
#include "fuzz.h"
#include "plan/plan.h"

#define ARGUMENTS_MAX 8

struct arguments {
	char *keys[ARGUMENTS_MAX];
	char *values[ARGUMENTS_MAX];
	size_t n;
};

/* "name=hello&limit=5", taken as decoded already: any byte may be in it but '&', '=' and NUL. */
static void split_query(char *query, struct arguments *ret)
{
	*ret = (struct arguments){.n = 0};
	while (*query && ret->n < ARGUMENTS_MAX) {
		char *part = query;
		size_t len = strcspn(part, "&");
		query += len + (part[len] == '&');
		part[len] = '\0';
		char *value = strchr(part, '=');
		if (!value)
			continue;
		*value = '\0';
		ret->keys[ret->n] = part;
		ret->values[ret->n++] = value + 1;
	}
}

static const char *find_argument(void *ctx, const char *key)
{
	const struct arguments *a = ctx;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->keys[i], key) == 0)
			return a->values[i];
	return NULL;
}

/* An answer is JSON that says so, and ends: what rolloutctl and curl are given. */
static void check_answer(struct answer *a, int status)
{
	json_t *j = json_loadb(a->body, a->len, JSON_REJECT_DUPLICATES, NULL);
	const json_t *error = json_object_get(j, "error");
	require(a->status == status && error);
	require(json_is_string(json_object_get(error, "code")) && json_is_string(json_object_get(error, "message")));
	fuzz_check_sentence(json_string_value(json_object_get(error, "message")), SIZE_MAX);
	json_decref(j);
	free(a->body);
}

static void check_refusal(int result, const char *error, size_t size)
{
	static const int statuses[] = {
	    [CONTROL_BAD_REQUEST] = 400, [CONTROL_NO_ROUTE] = 404, [CONTROL_BAD_METHOD] = 405};
	struct answer a;
	require(result > 0 && (size_t)result < array_len(statuses));
	fuzz_check_sentence(error, size);
	answer_parse_error(result, error, &a);
	check_answer(&a, statuses[result]);
}

/* The client's path of the same request leads to the same request. */
static void check_path(const struct control_request *r, const char *method, const char *path)
{
	struct buf out cleanup(buf_deinit) = BUF_INIT(4096);
	char error[512];
	struct arguments none = {.n = 0};
	struct control_request again;
	if (r->route == CONTROL_HISTORY || r->route == CONTROL_EVENTS)
		return; /* their name is an argument */
	control_format_path(r->route, r->name[0] ? r->name : NULL, strrchr(path, '/') + 1, &out);
	require(buf_ok(&out) && strcmp(buf_text(&out), path) == 0);
	int rc = control_parse(method, buf_text(&out), find_argument, &none, "x", 1, &again, error, sizeof(error));
	require(rc == CONTROL_OK || rc == CONTROL_BAD_REQUEST);
	require(rc != CONTROL_OK || (again.route == r->route && strcmp(again.name, r->name) == 0));
}

static void check_request(const struct control_request *r)
{
	require(r->name[0] == '\0' || control_is_name(r->name));
	fuzz_check_printable(r->reason, sizeof(r->reason));
	require(r->limit <= LIMIT_EVENTS_PAGE);
	require((r->route != CONTROL_EVENTS && r->route != CONTROL_HISTORY) || r->limit >= 1);
	require(!control_route_submits(r->route) || control_route_may_change(r->route));
	require(family_has("", r->name) && family_has(r->name, r->name));
}

/* A plan that comes over the socket and is wrong: its diagnostics as the answer that shows them. */
static void check_plan(const char *body, size_t len)
{
	cleanup(diags_deinit) struct diags d = {0};
	cleanup(plan_free_p) struct plan *p = plan_load(body, len, &d);
	struct answer a;
	if (p)
		return;
	answer_invalid(&d, ", and was not taken in", &a);
	check_answer(&a, 422);
}

void fuzz_one(const uint8_t *data, size_t size)
{
	cleanup(mem_free_p) char *text = fuzz_text(data, size);
	/* The body may have NUL bytes in it; the lines before it end at one, as the HTTP library's do. */
	char *body = text;
	const char *fields[3];
	for (size_t i = 0; i < array_len(fields); i++)
		fields[i] = fuzz_line(&body);
	struct arguments arguments;
	split_query((char *)fields[2], &arguments);
	size_t len = size - (size_t)(body - text);
	cleanup(mem_free_p) char *exact = fuzz_text((const uint8_t *)body, len);
	char error[512] = "";
	struct control_request r = {.limit = 1};
	int rc = control_parse(fields[0], fields[1], find_argument, &arguments, exact, len, &r, error, sizeof(error));
	if (rc != CONTROL_OK) {
		check_refusal(rc, error, sizeof(error));
		return;
	}
	check_request(&r);
	check_path(&r, fields[0], fields[1]);
	if (r.route == CONTROL_SUBMIT || r.route == CONTROL_VALIDATE)
		check_plan(exact, len);
}
