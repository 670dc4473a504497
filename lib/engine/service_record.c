/*
 * A service's state as JSON. What is missing has its zero; what cannot be a value of ours makes the record unreadable.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/nesting.h"
#include "base/text.h"
#include "engine/service.h"

#define RECORD_VERSION 1

static void json_free(json_t *j)
{
	json_decref(j);
}
define_cleanup(json_t *, json_free);

static void put_text(json_t *o, const char *key, const char *text)
{
	char clean[512];

	text_copy_printable(clean, sizeof(clean), text);
	(void)json_object_set_new(o, key, json_string(clean));
}

/* JSON's integers are signed here. */
static void put_number(json_t *o, const char *key, uint64_t v)
{
	(void)json_object_set_new(o, key, json_integer((json_int_t)v));
}

static json_t *encode_alias(const char *name, const struct alias_memory *m)
{
	json_t *o = json_object();

	put_text(o, "name", name);
	put_number(o, "reached", m->reached);
	(void)json_object_set_new(o, "was_head", json_boolean(m->was_head));
	put_number(o, "seen", m->seen);
	put_number(o, "seen_unix_ms", (uint64_t)m->seen_unix_ms);
	(void)json_object_set_new(o, "rollout_live", json_boolean(m->rollout_live));
	(void)json_object_set_new(o, "rolled_back", json_boolean(m->rolled_back));
	(void)json_object_set_new(o, "unmoved", json_boolean(m->unmoved));
	(void)json_object_set_new(o, "insisted", json_boolean(m->insisted));
	put_text(o, "outcome", m->outcome);
	return o;
}

void service_record_encode(const struct service_state *s, const struct service_spec *spec, struct buf *out)
{
	json_t *o cleanup(json_free_p) = json_object();
	json_t *aliases = json_array();
	char *text;

	put_number(o, "version", RECORD_VERSION);
	put_text(o, "kind", "service");
	put_text(o, "phase", rollout_phase_name(s->phase));
	(void)json_object_set_new(o, "paused", json_boolean(s->paused));
	(void)json_object_set_new(o, "probe", json_boolean(s->probe));
	put_number(o, "probe_failures", s->probe_failures);
	put_number(o, "seq", s->seq);
	put_number(o, "changes_made", s->changes_made);
	put_number(o, "created_unix_ms", (uint64_t)s->created_unix_ms);
	put_number(o, "checked_unix_ms", (uint64_t)s->checked_unix_ms);
	put_text(o, "api_id", s->api_id);
	put_text(o, "reason", s->reason);
	put_text(o, "trouble", s->trouble);
	put_text(o, "applied_code", s->memory.applied_code);
	put_text(o, "applied_sha256", s->memory.applied_sha256);
	(void)json_object_set_new(o, "deploy", json_boolean(s->memory.deploy));
	put_text(o, "deployment_id", s->memory.deployment_id);
	put_text(o, "deploy_mark", s->memory.deploy_mark);
	put_number(o, "api_until_unix_ms", (uint64_t)s->memory.api_until_unix_ms);
	(void)json_object_set_new(o, "code_done", json_boolean(s->memory.code_done));
	(void)json_object_set_new(o, "insist", json_boolean(s->memory.insist));
	for (size_t n = 0; n < spec->n_aliases; n++)
		(void)json_array_append_new(aliases, encode_alias(spec->aliases[n].name, &s->memory.aliases[n]));
	(void)json_object_set_new(o, "aliases", aliases);
	text = json_dumps(o, JSON_COMPACT);
	require(text);
	buf_add_text(out, text);
	free(text);
}

/* --- decoding --- */

struct reader {
	const json_t *object;
	const char *bad; /* the first field that will not do; NULL: none so far */
};

static void get_text(struct reader *r, const char *key, char *out, size_t size)
{
	const json_t *v = json_object_get(r->object, key);

	if (v && (!json_is_string(v) || !text_copy(out, size, json_string_value(v))) && !r->bad)
		r->bad = key;
}

static uint64_t get_number(struct reader *r, const char *key, uint64_t max)
{
	const json_t *v = json_object_get(r->object, key);

	if (v && (!json_is_integer(v) || json_integer_value(v) < 0 || (uint64_t)json_integer_value(v) > max)) {
		if (!r->bad)
			r->bad = key;
		return 0;
	}
	return (uint64_t)json_integer_value(v);
}

static int64_t get_time(struct reader *r, const char *key)
{
	return (int64_t)get_number(r, key, RECORD_MS_MAX);
}

static bool get_bool(struct reader *r, const char *key)
{
	const json_t *v = json_object_get(r->object, key);

	if (v && !json_is_boolean(v) && !r->bad)
		r->bad = key;
	return json_is_true(v);
}

static const char *decode_alias(const json_t *o, const struct service_spec *spec, struct service_state *s)
{
	struct reader r = {o, NULL};
	struct alias_memory m = {0};
	char name[LIMIT_ALIAS_NAME + 1] = "";

	get_text(&r, "name", name, sizeof(name));
	m.reached = get_number(&r, "reached", INT64_MAX);
	m.was_head = get_bool(&r, "was_head");
	m.seen = get_number(&r, "seen", INT64_MAX);
	m.seen_unix_ms = get_time(&r, "seen_unix_ms");
	m.rollout_live = get_bool(&r, "rollout_live");
	m.rolled_back = get_bool(&r, "rolled_back");
	m.unmoved = get_bool(&r, "unmoved");
	m.insisted = get_bool(&r, "insisted");
	get_text(&r, "outcome", m.outcome, sizeof(m.outcome));
	for (size_t n = 0; n < spec->n_aliases; n++) {
		if (strcmp(spec->aliases[n].name, name) == 0)
			s->memory.aliases[n] = m;
	}
	return r.bad;
}

static void decode(struct reader *r, struct service_state *s)
{
	char phase[32] = "";

	get_text(r, "phase", phase, sizeof(phase));
	if (!rollout_phase_from_name(phase, &s->phase) && !r->bad)
		r->bad = "phase";
	s->paused = get_bool(r, "paused");
	s->probe = get_bool(r, "probe");
	s->probe_failures = (uint32_t)get_number(r, "probe_failures", UINT32_MAX);
	s->seq = get_number(r, "seq", INT64_MAX);
	s->changes_made = get_number(r, "changes_made", INT64_MAX);
	s->created_unix_ms = get_time(r, "created_unix_ms");
	s->checked_unix_ms = get_time(r, "checked_unix_ms");
	get_text(r, "api_id", s->api_id, sizeof(s->api_id));
	if (s->api_id[0] != '\0' && !chain_view_is_api_id(s->api_id) && !r->bad)
		r->bad = "api_id";
	get_text(r, "reason", s->reason, sizeof(s->reason));
	get_text(r, "trouble", s->trouble, sizeof(s->trouble));
	get_text(r, "applied_code", s->memory.applied_code, sizeof(s->memory.applied_code));
	get_text(r, "applied_sha256", s->memory.applied_sha256, sizeof(s->memory.applied_sha256));
	s->memory.deploy = get_bool(r, "deploy");
	get_text(r, "deployment_id", s->memory.deployment_id, sizeof(s->memory.deployment_id));
	get_text(r, "deploy_mark", s->memory.deploy_mark, sizeof(s->memory.deploy_mark));
	s->memory.api_until_unix_ms = get_time(r, "api_until_unix_ms");
	s->memory.code_done = get_bool(r, "code_done");
	s->memory.insist = get_bool(r, "insist");
}

int service_record_decode(const char *json, const struct service_spec *spec, struct service_state *ret, char *ret_error,
			  size_t error_size)
{
	size_t len = strlen(json);
	bool sane = len <= LIMIT_RECORD_BYTES && !nesting_exceeds(json, len, LIMIT_JSON_DEPTH);
	json_t *root cleanup(json_free_p) = sane ? json_loadb(json, len, JSON_REJECT_DUPLICATES, NULL) : NULL;
	struct reader r = {root, NULL};
	struct service_state s = {0};
	const json_t *aliases = json_object_get(root, "aliases");

	if (!json_is_object(root)) {
		(void)snprintf(ret_error, error_size, "its stored record is not JSON");
		return 1;
	}
	if (json_integer_value(json_object_get(root, "version")) != RECORD_VERSION) {
		(void)snprintf(ret_error, error_size, "its stored record was written by another version of rolloutd");
		return 1;
	}
	decode(&r, &s);
	for (size_t n = 0; n < json_array_size(aliases) && !r.bad; n++)
		r.bad = decode_alias(json_array_get(aliases, n), spec, &s);
	if (r.bad) {
		(void)snprintf(ret_error, error_size, "its stored record has no usable `%s`", r.bad);
		return 1;
	}
	*ret = s;
	return 0;
}
