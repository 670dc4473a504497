#include "control/api.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/nesting.h"
#include "base/text.h"

static const struct control_entry table[] = {
    {CONTROL_LIST, "GET", "/v1/rollouts", 0},
    {CONTROL_STATUS, "GET", "/v1/rollouts/{name}", 0},
    {CONTROL_RECORD, "GET", "/v1/rollouts/{name}/record", 0},
    {CONTROL_COMMAND, "POST", "/v1/rollouts/{name}/pause", COMMAND_PAUSE},
    {CONTROL_COMMAND, "POST", "/v1/rollouts/{name}/resume", COMMAND_RESUME},
    {CONTROL_COMMAND, "POST", "/v1/rollouts/{name}/promote", COMMAND_PROMOTE},
    {CONTROL_COMMAND, "POST", "/v1/rollouts/{name}/rollback", COMMAND_ROLLBACK},
    {CONTROL_RETRY, "POST", "/v1/rollouts/{name}/retry", 0},
    {CONTROL_FORGET, "POST", "/v1/rollouts/{name}/forget", 0},
    {CONTROL_HISTORY, "GET", "/v1/history", 0},
    {CONTROL_SUBMIT, "POST", "/v1/plans", 0},
    {CONTROL_VALIDATE, "POST", "/v1/plans/validate", 0},
    {CONTROL_DIFF, "POST", "/v1/plans/diff", 0},
    {CONTROL_DOCTOR, "POST", "/v1/plans/doctor", 0},
    {CONTROL_ACCOUNTS, "GET", "/v1/accounts", 0},
    {CONTROL_EVENTS, "GET", "/v1/events", 0},
    {CONTROL_RELOAD, "POST", "/v1/reload", 0},
    {CONTROL_VERSION, "GET", "/v1/version", 0},
    {CONTROL_METRICS, "GET", "/metrics", 0},
    {CONTROL_HEALTH, "GET", "/healthz", 0},
};

static const char placeholder[] = "{name}";

const struct control_entry *control_table(size_t *ret_n)
{
	*ret_n = array_len(table);
	return table;
}

/* Where the request's parts come from, and where complaints go. */
struct source {
	const char *(*query)(void *ctx, const char *key);
	void *ctx;
	const char *body;
	size_t body_len;
	char *error;
	size_t error_size;
};

/* Formats the complaint; a macro, so that the compiler sees the format. */
#define complain(s, ...) ((void)snprintf((s)->error, (s)->error_size, __VA_ARGS__), CONTROL_BAD_REQUEST)

/* Compares a path with a pattern; *ret_name gets the segment that stands for {name} ("" when there is none). */
static bool path_matches(const char *pattern, const char *path, const char **ret_name, size_t *ret_len)
{
	const char *hole = strstr(pattern, placeholder);

	if (!hole) {
		*ret_name = path;
		*ret_len = 0;
		return strcmp(pattern, path) == 0;
	}
	size_t head = (size_t)(hole - pattern);
	if (strncmp(pattern, path, head) != 0)
		return false;
	size_t len = strcspn(path + head, "/");
	if (len == 0 || strcmp(path + head + len, hole + sizeof(placeholder) - 1) != 0)
		return false;
	*ret_name = path + head;
	*ret_len = len;
	return true;
}

bool control_is_name(const char *s)
{
	char plan[LIMIT_NAME + 1];
	size_t len = strcspn(s, ".");

	if (len > LIMIT_NAME)
		return false;
	memcpy(plan, s, len);
	plan[len] = '\0';
	if (!text_is_name(plan, LIMIT_NAME))
		return false;
	if (!s[len])
		return true;
	/* Aliases may have what AWS lets them have. */
	const char *alias = s + len + 1;
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
	size_t alias_len = strspn(alias, allowed);
	return alias_len > 0 && alias_len <= LIMIT_ALIAS_NAME && !alias[alias_len];
}

static int take_name(struct source *s, const char *name, size_t len, char out[static CONTROL_NAME_SIZE])
{
	char copy[CONTROL_NAME_SIZE + 1];

	if (len >= sizeof(copy))
		len = sizeof(copy) - 1; /* too long by one is as wrong as too long by many */
	memcpy(copy, name, len);
	copy[len] = '\0';
	if (!control_is_name(copy))
		return complain(
		    s,
		    "not a name: expected that of a plan, [a-z0-9-], at most %d characters, or of a rollout "
		    "of a service, SERVICE.ALIAS",
		    LIMIT_NAME);
	memcpy(out, copy, len + 1);
	return CONTROL_OK;
}

/* The optional query argument `name`. */
static int take_query_name(struct source *s, char out[static CONTROL_NAME_SIZE])
{
	const char *name = s->query(s->ctx, "name");

	return name ? take_name(s, name, strlen(name), out) : CONTROL_OK;
}

static int take_query_number(struct source *s, const char *key, uint64_t min, uint64_t max, uint64_t fallback,
			     uint64_t *ret)
{
	const char *text = s->query(s->ctx, key);

	if (!text) {
		*ret = fallback;
		return CONTROL_OK;
	}
	uint64_t v;
	if (text_parse_u64(text, max, &v) != 0 || v < min)
		return complain(s, "query argument '%s': expected a number from %ju to %ju", key, (uintmax_t)min,
				(uintmax_t)max);
	*ret = v;
	return CONTROL_OK;
}

static int take_page(struct source *s, unsigned fallback, struct control_request *r)
{
	uint64_t limit;
	int rc = take_query_name(s, r->name);

	if (rc == CONTROL_OK)
		rc = take_query_number(s, "limit", 1, LIMIT_EVENTS_PAGE, fallback, &limit);
	if (rc == CONTROL_OK)
		r->limit = (unsigned)limit;
	return rc;
}

static int take_events(struct source *s, struct control_request *r)
{
	uint64_t follow = 0;
	int rc = take_page(s, CONTROL_EVENTS_DEFAULT, r);

	if (rc == CONTROL_OK)
		rc = take_query_number(s, "after", 0, INT64_MAX, 0, &r->after);
	if (rc == CONTROL_OK)
		rc = take_query_number(s, "follow", 0, 1, 0, &follow);
	r->follow = follow == 1;
	return rc;
}

static int take_reason(struct source *s, const json_t *value, struct control_request *r)
{
	if (!json_is_string(value))
		return complain(s, "'reason': expected a text");
	if (json_string_length(value) >= sizeof(r->reason))
		return complain(s, "'reason' is too long: %zu bytes, at most %zu", json_string_length(value),
				sizeof(r->reason) - 1);
	text_copy_printable(r->reason, sizeof(r->reason), json_string_value(value));
	return CONTROL_OK;
}

/* `full` of promote, `despite_alarms` of retry. */
static int take_command_flag(struct source *s, const char *key, const json_t *value, struct control_request *r)
{
	bool full = strcmp(key, "full") == 0;

	if (!json_is_boolean(value))
		return complain(s, "'%s': expected true or false", full ? "full" : "despite_alarms");
	if (!json_is_true(value))
		return CONTROL_OK;
	if (full && (r->route != CONTROL_COMMAND || r->command != COMMAND_PROMOTE))
		return complain(s, "'full' belongs to promote only");
	if (!full && r->route != CONTROL_RETRY)
		return complain(s, "'despite_alarms' belongs to retry only");
	if (full)
		r->command = COMMAND_PROMOTE_FULL;
	else
		r->despite_alarms = true;
	return CONTROL_OK;
}

static int take_command_key(struct source *s, const char *key, const json_t *value, struct control_request *r)
{
	if (strcmp(key, "reason") == 0)
		return take_reason(s, value, r);
	if (strcmp(key, "full") != 0 && strcmp(key, "despite_alarms") != 0) {
		char shown[64];
		text_copy_printable(shown, sizeof(shown), key);
		return complain(s,
				"unknown key '%s' in the body: expected 'reason', for promote 'full', for retry "
				"'despite_alarms'",
				shown);
	}
	return take_command_flag(s, key, value, r);
}

/* The body of a command: nothing, or an object of few keys. */
static int take_command_body(struct source *s, struct control_request *r)
{
	if (s->body_len == 0)
		return CONTROL_OK;

	if (nesting_exceeds(s->body, s->body_len, LIMIT_JSON_DEPTH))
		return complain(s, "the body is nested deeper than %d levels", LIMIT_JSON_DEPTH);
	json_error_t e;
	json_t *body = json_loadb(s->body, s->body_len, JSON_REJECT_DUPLICATES, &e);
	if (!body) {
		char why[sizeof(e.text)];
		text_copy_printable(why, sizeof(why), e.text);
		return complain(s, "the body is not JSON: %s (line %d, column %d)", why, e.line, e.column);
	}
	int rc = CONTROL_OK;
	if (!json_is_object(body)) {
		rc = complain(s, "the body: expected an object such as {\"reason\": \"…\"}");
	} else {
		const char *key;
		json_t *value;
		json_object_foreach(body, key, value)
		{
			rc = take_command_key(s, key, value, r);
			if (rc != CONTROL_OK)
				break;
		}
	}
	json_decref(body);
	if (rc == CONTROL_OK && r->despite_alarms && r->reason[0] == '\0')
		rc = complain(s, "'despite_alarms' needs a 'reason': it is kept with the record");
	return rc;
}

static int take_plan_body(struct source *s)
{
	if (s->body_len == 0)
		return complain(s, "the body is empty: expected a plan in YAML");
	if (s->body_len > LIMIT_PLAN_BYTES)
		return complain(s, "the plan is too large: %zu bytes, at most %d", s->body_len, LIMIT_PLAN_BYTES);
	return CONTROL_OK;
}

static int take_arguments(struct source *s, struct control_request *r)
{
	switch (r->route) {
	case CONTROL_COMMAND:
	case CONTROL_RETRY:
	case CONTROL_FORGET:
		return take_command_body(s, r);
	case CONTROL_HISTORY:
		return take_page(s, CONTROL_HISTORY_DEFAULT, r);
	case CONTROL_EVENTS:
		return take_events(s, r);
	case CONTROL_RECORD:
		return take_query_number(s, "attempt", 1, INT64_MAX, 0, &r->attempt);
	case CONTROL_SUBMIT:
	case CONTROL_VALIDATE:
	case CONTROL_DIFF:
	case CONTROL_DOCTOR:
		return take_plan_body(s);
	case CONTROL_LIST:
	case CONTROL_STATUS:
	case CONTROL_ACCOUNTS:
	case CONTROL_RELOAD:
	case CONTROL_VERSION:
	case CONTROL_METRICS:
	case CONTROL_HEALTH:
		break;
	}
	return CONTROL_OK;
}

/* The table's line for a request, or NULL; *ret_other gets the method that the path does have. */
static const struct control_entry *find_entry(const char *method, const char *path, const char **ret_name,
					      size_t *ret_len, const char **ret_other)
{
	for (size_t i = 0; i < array_len(table); i++) {
		if (!path_matches(table[i].path, path, ret_name, ret_len))
			continue;
		if (strcmp(table[i].method, method) == 0)
			return &table[i];
		*ret_other = table[i].method;
	}
	return NULL;
}

int control_parse(const char *method, const char *path, const char *(*query)(void *ctx, const char *key), void *ctx,
		  const char *body, size_t body_len, struct control_request *ret, char *ret_error, size_t error_size)
{
	struct source s = {.query = query, .ctx = ctx, .body = body, .body_len = body_len, .error_size = error_size};
	const char *name, *other = NULL;
	size_t name_len;
	const struct control_entry *e = find_entry(method, path, &name, &name_len, &other);

	s.error = ret_error;
	if (!e && other) {
		(void)complain(&s, "this path takes %s only", other);
		return CONTROL_BAD_METHOD;
	}
	if (!e) {
		(void)complain(&s, "no such path: docs/openapi.yaml lists them");
		return CONTROL_NO_ROUTE;
	}
	if (body_len > LIMIT_CONTROL_REQUEST_BYTES)
		return complain(&s, "the request is too large: %zu bytes, at most %d", body_len,
				LIMIT_CONTROL_REQUEST_BYTES);

	struct control_request r = {.route = e->route, .command = e->command};
	int rc = name_len ? take_name(&s, name, name_len, r.name) : CONTROL_OK;
	if (rc == CONTROL_OK)
		rc = take_arguments(&s, &r);
	if (rc == CONTROL_OK)
		*ret = r;
	return rc;
}

bool control_route_may_change(enum control_route r)
{
	return r == CONTROL_COMMAND || r == CONTROL_RETRY || r == CONTROL_FORGET || r == CONTROL_RELOAD ||
	       r == CONTROL_SUBMIT;
}

bool control_route_submits(enum control_route r)
{
	return r == CONTROL_SUBMIT;
}

/* The table's path of a route; a command's is told by its last segment. */
static const char *find_pattern(enum control_route r, const char *verb)
{
	for (size_t i = 0; i < array_len(table); i++) {
		const char *last = strrchr(table[i].path, '/') + 1;

		if (table[i].route == r && (r != CONTROL_COMMAND || strcmp(last, verb) == 0))
			return table[i].path;
	}
	return NULL;
}

void control_format_path(enum control_route r, const char *name, const char *verb, struct buf *out)
{
	const char *pattern = find_pattern(r, verb);

	require(pattern);
	const char *hole = strstr(pattern, placeholder);
	if (!hole) {
		buf_add_text(out, pattern);
		if (name && (r == CONTROL_HISTORY || r == CONTROL_EVENTS)) {
			buf_add_text(out, "?name=");
			buf_add_uri(out, name, strlen(name), false);
		}
		return;
	}
	buf_add(out, pattern, (size_t)(hole - pattern));
	buf_add_uri(out, name, strlen(name), false);
	buf_add_text(out, hole + sizeof(placeholder) - 1);
}
