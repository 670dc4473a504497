/* Aliases: weights, revisions, and what Lambda refuses. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "sim/lambda.h"

#define NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

static json_t *alias_json(struct call *c, const struct function *f, const struct alias *a,
			  const struct alias_state *state)
{
	char number[24];
	version_format(state->version, number);
	json_t *routing = json_null();
	if (state->extra_version) {
		char extra[24];
		version_format(state->extra_version, extra);
		routing = json_pack("{s:{s:f}}", "AdditionalVersionWeights", extra, state->extra_weight);
	}
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:o}", "AliasArn", lambda_arn(c, f->name, a->name), "Name", a->name,
			 "FunctionVersion", number, "Description", state->description, "RevisionId", state->revision,
			 "RoutingConfig", routing);
}

static void log_change(struct call *c, const struct function *f, const struct alias *a)
{
	const char *agent = call_header(c, "user-agent");
	char shown[256];
	text_copy_printable(shown, sizeof(shown), agent ? agent : "");
	struct alias_change change = {.unix_ms = c->w->now_ms,
				      .operation = c->operation->name,
				      .function = f->name,
				      .alias = a->name,
				      .version = a->now.version,
				      .extra_version = a->now.extra_version,
				      .extra_weight = a->now.extra_weight,
				      .key_id = c->key_id,
				      .user_agent = shown,
				      .late = c->late};
	memcpy(change.revision, a->now.revision, sizeof(change.revision));
	counters_log(&c->w->counters, &change);
}

static bool bad_weights(struct call *c, const char *key, double weight, const char *constraint)
{
	char number[40];
	snprintf(number, sizeof(number), "%.15g", weight);
	call_fail(
	    c, &lambda_error_validation,
	    "1 validation error detected: Value '{%s=%s%s}' at 'routingConfig.additionalVersionWeights' failed to "
	    "satisfy constraint: Map %s",
	    key, number, strpbrk(number, ".en") ? "" : ".0", constraint);
	return false;
}

/* The weights of the request, if it has a RoutingConfig at all; an empty one clears. */
static bool read_routing(struct call *c, struct alias_state *state)
{
	json_t *routing = json_object_get(c->in, "RoutingConfig");
	if (!routing || json_is_null(routing))
		return true;
	json_t *weights = json_object_get(routing, "AdditionalVersionWeights");
	if (!json_is_object(routing) || (weights && !json_is_object(weights) && !json_is_null(weights))) {
		call_fail(c, &lambda_error_parameter,
			  "RoutingConfig is not of the form {AdditionalVersionWeights: {}}");
		return false;
	}
	state->extra_version = VERSION_LATEST;
	state->extra_weight = 0;
	const char *key;
	json_t *value;
	json_object_foreach(weights, key, value)
	{
		double weight = json_number_value(value);
		uint64_t number;
		if (!json_is_number(value) || !(weight >= 0 && weight <= 1))
			return bad_weights(
			    c, key, weight,
			    "value must satisfy constraint: [Member must have value less than or equal to 1.0, "
			    "Member must have value greater than or equal to 0.0, Member must not be null]");
		if (strspn(key, "0123456789") != strlen(key) || !model_parse_version(key, &number))
			return bad_weights(
			    c, key, weight,
			    "keys must satisfy constraint: [Member must have length less than or equal to 1024, "
			    "Member must have length greater than or equal to 1, Member must satisfy regular "
			    "expression pattern: [0-9]+]");
		state->extra_version = number;
		state->extra_weight = weight;
	}
	if (json_object_size(weights) > 1) {
		call_fail(c, &lambda_error_parameter,
			  "Number of items in AdditionalVersionWeights cannot be greater than 1");
		return false;
	}
	return true;
}

static bool read_state(struct call *c, struct alias_state *state)
{
	const char *version = NULL, *description = NULL;
	if (!lambda_read_text(c, "FunctionVersion", &version) || !lambda_read_text(c, "Description", &description))
		return false;
	if (version && !model_parse_version(version, &state->version)) {
		call_fail(
		    c, &lambda_error_validation,
		    "1 validation error detected: Value '%s' at 'functionVersion' failed to satisfy constraint: Member "
		    "must satisfy regular expression pattern: (\\$LATEST(\\.PUBLISHED)?|[0-9]+)",
		    version);
		return false;
	}
	if (description && strlen(description) > 256) {
		call_fail(c, &lambda_error_validation,
			  "1 validation error detected: Value '%s' at 'description' failed to satisfy constraint: "
			  "Member must "
			  "have length less than or equal to 256",
			  description);
		return false;
	}
	if (description)
		state->description = (char *)description;
	return read_routing(c, state);
}

static const char *setting_text(const struct version *v, const char *object, const char *key)
{
	json_t *from = object ? json_object_get(v->settings, object) : v->settings;
	const char *text = json_string_value(json_object_get(from, key));
	return text ? text : "";
}

/* A version that came to nothing serves nobody. One that is still Pending may be named already. */
static bool check_ready(struct call *c, const struct version *v)
{
	if (v->state != STATE_FAILED)
		return true;
	call_fail(c, &lambda_error_conflict,
		  "The operation cannot be performed at this time. The function is currently in the following state: "
		  "Failed");
	return false;
}

/* What the whole state must satisfy, after what was left out has been filled in. */
static bool check_state(struct call *c, struct function *f, const struct alias_state *state)
{
	char number[24];
	version_format(state->version, number);
	struct version *stable = model_version(f, state->version);
	if (!stable) {
		call_fail(c, &lambda_error_not_found, "Function not found: %s", lambda_arn(c, f->name, number));
		return false;
	}
	if (!check_ready(c, stable))
		return false;
	if (!state->extra_version)
		return true;
	if (state->version == VERSION_LATEST) {
		static const struct call_error latest = {
		    .code = "InvalidParameterValueException", .status = 400, .no_type = true};
		call_fail(c, &latest, "$LATEST is not supported for an alias pointing to more than 1 version");
		return false;
	}
	if (state->extra_version == state->version) {
		call_fail(
		    c, &lambda_error_parameter,
		    "Invalid function version %s. Function version %s is already included in routing configuration.",
		    number, number);
		return false;
	}
	version_format(state->extra_version, number);
	struct version *extra = model_version(f, state->extra_version);
	if (!extra) {
		call_fail(c, &lambda_error_not_found, "Function not found: %s", lambda_arn(c, f->name, number));
		return false;
	}
	if (!check_ready(c, extra))
		return false;
	if (strcmp(setting_text(stable, NULL, "Role"), setting_text(extra, NULL, "Role")) != 0) {
		call_fail(c, &lambda_error_parameter,
			  "Specified versions must be associated with the same execution role");
		return false;
	}
	if (strcmp(setting_text(stable, "DeadLetterConfig", "TargetArn"),
		   setting_text(extra, "DeadLetterConfig", "TargetArn")) != 0) {
		call_fail(c, &lambda_error_parameter,
			  "Specified versions must be associated with the same dead letter queue");
		return false;
	}
	return true;
}

static bool check_name(struct call *c, const char *name)
{
	size_t len = strlen(name);
	if (len < 1 || len > LIMIT_ALIAS_NAME) {
		call_fail(
		    c, &lambda_error_validation,
		    "1 validation error detected: Value '%s' at 'name' failed to satisfy constraint: Member must have "
		    "length less than or equal to 128",
		    name);
		return false;
	}
	if (strspn(name, NAME_CHARS) != len || strspn(name, "0123456789") == len) {
		call_fail(c, &lambda_error_validation,
			  "1 validation error detected: Value '%s' at 'name' failed to satisfy constraint: Member must "
			  "satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)",
			  name);
		return false;
	}
	return true;
}

void lambda_create_alias(struct call *c)
{
	struct lambda_target t;
	const char *name = NULL;
	struct alias_state state = {.version = UINT64_MAX, .description = (char *)""};
	if (!lambda_read_text(c, "Name", &name))
		return;
	if (!name) {
		call_fail(c, &lambda_error_validation,
			  "1 validation error detected: Value null at 'name' failed to satisfy constraint: Member must "
			  "not be "
			  "null");
		return;
	}
	if (!check_name(c, name) || !read_state(c, &state))
		return;
	if (state.version == UINT64_MAX) {
		call_fail(
		    c, &lambda_error_validation,
		    "1 validation error detected: Value null at 'functionVersion' failed to satisfy constraint: Member "
		    "must not be null");
		return;
	}
	const char *given = json_string_value(json_object_get(c->in, "FunctionVersion"));
	const char *function, *qualifier;
	if (!lambda_read_name(c, c->segments[0], &function, &qualifier))
		return;
	if (!model_function(c->w, function)) {
		/* Lambda names the version that it did not find. */
		call_fail(c, &lambda_error_not_found, "Function not found: %s", lambda_arn(c, function, given));
		return;
	}
	if (!lambda_find_function(c, &t) || !check_state(c, t.function, &state))
		return;
	if (model_alias(t.function, name)) {
		call_fail(c, &lambda_error_conflict, "Alias already exists: %s", lambda_arn(c, t.function->name, name));
		return;
	}
	struct alias *a = model_add_alias(c->w, t.function, name, &state);
	if (!a) {
		call_fail(c, &lambda_error_parameter,
			  "Function %s has %d aliases, the most that rollout-localaws keeps. Delete some.",
			  t.function->name, ALIASES_MAX);
		return;
	}
	log_change(c, t.function, a);
	call_answer_json(c, 201, alias_json(c, t.function, a, &a->now));
}

void lambda_get_alias(struct call *c)
{
	struct lambda_target t;
	if (!lambda_find_function(c, &t))
		return;
	const struct alias *a = model_alias(t.function, c->alias);
	if (!a) {
		call_fail(c, &lambda_error_not_found, "Cannot find alias arn: %s",
			  lambda_arn(c, t.function->name, c->alias));
		return;
	}
	bool past = c->stale_ms && a->before.revision[0] && c->w->now_ms - a->changed_ms <= c->stale_ms;
	call_answer_json(c, 200, alias_json(c, t.function, a, past ? &a->before : &a->now));
}

/* An alias with provisioned concurrency has one version, which takes it along. */
static bool check_provisioned(struct call *c, const struct function *f, const struct alias *a,
			      const struct alias_state *state)
{
	if (!state->extra_version)
		return lambda_may_provision(c, f, a, state->version);
	call_fail(c, &lambda_error_parameter, "Alias with weights can not be used with Provisioned Concurrency");
	return false;
}

void lambda_update_alias(struct call *c)
{
	struct lambda_target t;
	if (!lambda_find_function(c, &t))
		return;
	struct alias *a = model_alias(t.function, c->alias);
	if (!a) {
		call_fail(c, &lambda_error_not_found, "Alias not found: %s", lambda_arn(c, t.function->name, c->alias));
		return;
	}
	const struct provisioned *p = model_provisioned(t.function, a->name);
	/* What the request leaves out stays as it is, but for weights that AWS has put there by itself. */
	struct alias_state state = a->now;
	uint64_t serving = p && p->moving ? a->now.extra_version : a->now.version;
	if (p && p->moving)
		state.extra_version = VERSION_LATEST;
	if (!read_state(c, &state) || !lambda_check_revision(c, a->now.revision) ||
	    !check_state(c, t.function, &state) || (p && !check_provisioned(c, t.function, a, &state)))
		return;
	bool moves = p && (state.version != serving || p->moving);
	model_change_alias(c->w, a, &state);
	log_change(c, t.function, a);
	call_answer_json(c, 200, alias_json(c, t.function, a, &a->now));
	if (moves)
		model_move_provisioned(c->w, t.function, a, serving);
}

void lambda_delete_alias(struct call *c)
{
	struct lambda_target t;
	if (!lambda_find_function(c, &t))
		return;
	struct alias *a = model_alias(t.function, c->alias);
	if (a) {
		log_change(c, t.function, a);
		model_remove_alias(c->w, t.function, a);
	}
	/* Deleting what is not there succeeds as well. */
	call_answer_bytes(c, 204, NULL, "", 0);
}

void lambda_list_aliases(struct call *c)
{
	struct lambda_target t;
	size_t first, count, i, shown = 0;
	uint64_t number = 0;
	const char *version = call_query(c, "FunctionVersion");
	if (!lambda_find_function(c, &t) || !lambda_read_page(c, 10000, &first, &count))
		return;
	if (version && !model_parse_version(version, &number)) {
		call_fail(
		    c, &lambda_error_validation,
		    "1 validation error detected: Value '%s' at 'functionVersion' failed to satisfy constraint: Member "
		    "must satisfy regular expression pattern: (\\$LATEST(\\.PUBLISHED)?|[0-9]+)",
		    version);
		return;
	}
	const struct table *aliases = &t.function->aliases;
	json_t *list = json_array();
	for (i = first; i < aliases->len && shown < count; i++) {
		const struct alias *a = aliases->entries[i].value;
		if (version && a->now.version != number && (!number || a->now.extra_version != number))
			continue;
		json_array_append_new(list, alias_json(c, t.function, a, &a->now));
		shown++;
	}
	call_answer_json(
	    c, 200, json_pack("{s:o, s:o}", "Aliases", list, "NextMarker", lambda_next_marker(c, i, aliases->len)));
}
