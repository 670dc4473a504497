#include "sim/counters.h"

#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "sim/model.h"

static void change_deinit(struct alias_change *c)
{
	free(c->function);
	free(c->alias);
	free(c->key_id);
	free(c->user_agent);
}

static void stage_free(struct stage_counts *s)
{
	for (size_t i = 0; i < s->n_versions; i++)
		free(s->versions[i].function);
	free(s->versions);
	free(s);
}

void counters_deinit(struct counters *c)
{
	for (size_t i = 0; i < c->operations.len; i++)
		free(c->operations.entries[i].value);
	table_deinit(&c->operations);
	free(c->calls);
	for (size_t i = 0; i < c->stages.len; i++)
		stage_free(c->stages.entries[i].value);
	table_deinit(&c->stages);
	for (size_t i = 0; i < c->n_log; i++)
		change_deinit(&c->log[i]);
	free(c->log);
	*c = (struct counters){0};
}

static void log_call(struct counters *c, const struct call_entry *entry)
{
	size_t at = c->n_calls++ % CALL_LOG_MAX;
	if (at >= c->calls_cap)
		c->calls = mem_grow(c->calls, &c->calls_cap, at + 1, sizeof(*c->calls));
	c->calls[at] = *entry;
}

void counters_add(struct counters *c, const char *operation, enum outcome outcome, int64_t unix_ms)
{
	struct call_counts *counts = table_get(&c->operations, operation);
	if (!counts) {
		counts = mem_alloc(sizeof(*counts));
		table_put(&c->operations, operation, counts);
	}
	counts->calls++;
	counts->by[outcome]++;
	log_call(c, &(struct call_entry){unix_ms, operation, outcome});
}

static struct stage_version *find_version(struct stage_counts *s, const char *function, uint64_t version)
{
	for (size_t i = 0; i < s->n_versions; i++)
		if (s->versions[i].version == version && strcmp(s->versions[i].function, function) == 0)
			return &s->versions[i];
	s->versions = mem_grow(s->versions, &s->cap, s->n_versions + 1, sizeof(*s->versions));
	s->versions[s->n_versions] = (struct stage_version){.function = mem_strdup(function), .version = version};
	return &s->versions[s->n_versions++];
}

void counters_add_served(struct counters *c, const char *stage, int status, const char *function, uint64_t version)
{
	struct stage_counts *s = table_get(&c->stages, stage);
	if (!s) {
		s = mem_alloc(sizeof(*s));
		table_put(&c->stages, stage, s);
	}
	s->requests++;
	s->client_errors += status >= 400 && status < 500;
	s->server_errors += status >= 500;
	if (function)
		find_version(s, function, version)->requests++;
}

void counters_log(struct counters *c, const struct alias_change *change)
{
	struct alias_change copy = *change;
	copy.function = mem_strdup(change->function);
	copy.alias = mem_strdup(change->alias);
	copy.key_id = mem_strdup(change->key_id);
	copy.user_agent = mem_strdup(change->user_agent);
	if (c->n_log < ALIAS_LOG_MAX) {
		c->log = mem_grow(c->log, &c->log_cap, c->n_log + 1, sizeof(*c->log));
		c->log[c->n_log++] = copy;
	} else {
		struct alias_change *oldest = &c->log[c->n_changes % ALIAS_LOG_MAX];
		change_deinit(oldest);
		*oldest = copy;
	}
	c->n_changes++;
}

static const char *const outcome_names[OUTCOME_N] = {
    [OUTCOME_OK] = "ok",
    [OUTCOME_CLIENT_ERROR] = "client_error",
    [OUTCOME_THROTTLED] = "throttled",
    [OUTCOME_SERVER_ERROR] = "server_error",
    [OUTCOME_NO_ANSWER] = "no_answer",
};

static json_t *operations_json(const struct counters *c)
{
	json_t *all = json_object();
	for (size_t i = 0; i < c->operations.len; i++) {
		const struct call_counts *counts = c->operations.entries[i].value;
		json_t *one = json_pack("{s:I}", "calls", (json_int_t)counts->calls);
		for (size_t k = 0; k < OUTCOME_N; k++)
			json_object_set_new(one, outcome_names[k], json_integer((json_int_t)counts->by[k]));
		json_object_set_new(all, c->operations.entries[i].key, one);
	}
	return all;
}

static json_t *stages_json(const struct counters *c)
{
	json_t *all = json_object();
	for (size_t i = 0; i < c->stages.len; i++) {
		const struct stage_counts *s = c->stages.entries[i].value;
		json_t *versions = json_object();
		for (size_t k = 0; k < s->n_versions; k++) {
			char number[24];
			version_format(s->versions[k].version, number);
			cleanup(mem_free_p) char *key = mem_printf("%s:%s", s->versions[k].function, number);
			json_object_set_new(versions, key, json_integer((json_int_t)s->versions[k].requests));
		}
		json_object_set_new(all, c->stages.entries[i].key,
				    json_pack("{s:I, s:I, s:I, s:o}", "requests", (json_int_t)s->requests,
					      "client_errors", (json_int_t)s->client_errors, "server_errors",
					      (json_int_t)s->server_errors, "versions", versions));
	}
	return all;
}

static json_t *time_json(int64_t unix_ms)
{
	return unix_ms ? json_integer((json_int_t)unix_ms) : json_null();
}

static json_t *usage_json(const struct usage *u)
{
	return json_pack("{s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:I, s:I}", "requests", (json_int_t)u->requests, "errors",
			 (json_int_t)u->errors, "throttles", (json_int_t)u->throttles, "first_ms",
			 time_json(u->first_ms), "last_ms", time_json(u->last_ms), "first_error_ms",
			 time_json(u->first_error_ms), "last_error_ms", time_json(u->last_error_ms), "users",
			 (json_int_t)u->users.members, "users_with_errors", (json_int_t)u->error_users.members);
}

static json_t *function_json(const struct function *f)
{
	json_t *versions = json_object();
	if (f->latest.usage.first_ms)
		json_object_set_new(versions, "$LATEST", usage_json(&f->latest.usage));
	for (size_t i = 0; i < f->n_versions; i++) {
		char number[24];
		version_format(f->versions[i]->number, number);
		json_object_set_new(versions, number, usage_json(&f->versions[i]->usage));
	}
	return json_pack("{s:I, s:I, s:o}", "users", (json_int_t)f->n_users, "users_seen", (json_int_t)f->users.members,
			 "versions", versions);
}

static json_t *change_json(const struct alias_change *c)
{
	char version[24], time[32];
	version_format(c->version, version);
	text_format_utc(c->unix_ms, time);
	json_t *weights = json_object();
	if (c->extra_version) {
		char extra[24];
		version_format(c->extra_version, extra);
		json_object_set_new(weights, extra, json_real(c->extra_weight));
	}
	return json_pack("{s:I, s:s, s:s, s:s, s:s, s:s, s:o, s:s, s:s?, s:s?, s:b}", "time_ms", (json_int_t)c->unix_ms,
			 "time", time, "operation", c->operation, "function", c->function, "alias", c->alias, "version",
			 version, "weights", weights, "revision", c->revision, "key", c->key_id, "user_agent",
			 c->user_agent, "late", c->late);
}

static json_t *signatures_json(const struct counters *c)
{
	static const char *const names[COUNTERS_SIGNATURES] = {
	    [SIGV4_CHECK_OK] = "good",
	    [SIGV4_CHECK_MISSING] = "missing",
	    [SIGV4_CHECK_INCOMPLETE] = "incomplete",
	    [SIGV4_CHECK_UNKNOWN_KEY] = "unknown_key",
	    [SIGV4_CHECK_SCOPE] = "scope",
	    [SIGV4_CHECK_SKEWED] = "skewed",
	    [SIGV4_CHECK_MISMATCH] = "mismatch",
	};
	json_t *out = json_object();

	for (size_t i = 0; i < COUNTERS_SIGNATURES; i++)
		json_object_set_new(out, names[i], json_integer((json_int_t)c->signatures[i]));
	return out;
}

json_t *counters_json(const struct world *w)
{
	const struct counters *c = &w->counters;
	json_t *functions = json_object(), *log = json_array();
	for (size_t i = 0; i < w->functions.len; i++)
		json_object_set_new(functions, w->functions.entries[i].key,
				    function_json(w->functions.entries[i].value));
	size_t first = c->n_log < ALIAS_LOG_MAX ? 0 : c->n_changes % ALIAS_LOG_MAX;
	for (size_t i = 0; i < c->n_log; i++)
		json_array_append_new(log, change_json(&c->log[(first + i) % c->n_log]));
	return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:I}", "time_ms", (json_int_t)w->now_ms, "signatures",
			 signatures_json(c), "operations", operations_json(c), "functions", functions, "stages",
			 stages_json(c), "alias_changes", log, "alias_changes_total", (json_int_t)c->n_changes);
}

json_t *counters_calls_json(const struct world *w)
{
	const struct counters *c = &w->counters;
	json_t *all = json_array();
	for (uint64_t i = c->n_calls > CALL_LOG_MAX ? c->n_calls - CALL_LOG_MAX : 0; i < c->n_calls; i++) {
		const struct call_entry *entry = &c->calls[i % CALL_LOG_MAX];
		json_array_append_new(all,
				      json_pack("{s:I, s:s, s:s}", "time_ms", (json_int_t)entry->unix_ms, "operation",
						entry->operation, "outcome", outcome_names[entry->outcome]));
	}
	return json_pack("{s:o, s:I}", "calls", all, "calls_total", (json_int_t)c->n_calls);
}
