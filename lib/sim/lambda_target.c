/* Names, ARNs and the fields that many operations share. */
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "aws/endpoint.h"
#include "base/text.h"
#include "sim/lambda.h"

#define NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

const struct call_error lambda_error_validation = {
    .code = "ValidationException", .space = "com.amazon.coral.validate", .status = 400, .no_type = true};
const struct call_error lambda_error_parameter = {.code = "InvalidParameterValueException", .status = 400};
const struct call_error lambda_error_not_found = {.code = "ResourceNotFoundException", .status = 404, .capital = true};
const struct call_error lambda_error_conflict = {.code = "ResourceConflictException", .status = 409};
const struct call_error lambda_error_precondition = {.code = "PreconditionFailedException", .status = 412};

const char *lambda_arn(struct call *c, const char *function, const char *qualifier)
{
	return arena_printf(c->arena, "arn:%s:lambda:%s:" WORLD_ACCOUNT ":function:%s%s%s",
			    endpoint_partition(c->region), c->region, function, qualifier ? ":" : "",
			    qualifier ? qualifier : "");
}

/* One part up to the next ':', which is passed over. False when there is none. */
static bool take_part(const char **at, char *out, size_t size)
{
	size_t len = strcspn(*at, ":");
	if ((*at)[len] != ':' || len >= size)
		return false;
	memcpy(out, *at, len);
	out[len] = '\0';
	*at += len + 1;
	return true;
}

/* "us-east-1", "us-gov-west-1", "eusc-de-east-1" … */
static bool is_region(const char *s)
{
	size_t len = strlen(s);
	return len >= 9 && len < 32 && s[len - 1] >= '0' && s[len - 1] <= '9' && s[len - 2] == '-' &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyz-") == len - 1 && s[0] != '-';
}

static bool is_account(const char *s)
{
	return strlen(s) == 12 && strspn(s, "0123456789") == 12;
}

struct name_parts {
	char region[64];
	char account[16];
	const char *name;
	const char *qualifier;
};

/*
 * (arn:…:lambda:)?(region:)?(account:)?(function:)?name(:qualifier)?, each group optional by itself, as the model's
 * pattern has it.
 */
static bool parse_name(struct call *c, const char *text, struct name_parts *ret)
{
	*ret = (struct name_parts){0};
	const char *at = text;
	char part[64];
	if (text_starts_with(at, "arn:")) {
		at += 4;
		if (!take_part(&at, part, sizeof(part)) || !text_starts_with(part, "aws"))
			return false;
		if (!take_part(&at, part, sizeof(part)) || strcmp(part, "lambda") != 0)
			return false;
	}
	const char *next = at;
	if (take_part(&next, part, sizeof(part)) && is_region(part)) {
		text_copy(ret->region, sizeof(ret->region), part);
		at = next;
	}
	next = at;
	if (take_part(&next, part, sizeof(part)) && is_account(part)) {
		text_copy(ret->account, sizeof(ret->account), part);
		at = next;
	}
	if (text_starts_with(at, "function:"))
		at += strlen("function:");
	size_t len = strspn(at, NAME_CHARS ".");
	if (!len || (at[len] && at[len] != ':'))
		return false;
	ret->name = arena_strndup(c->arena, at, len);
	if (!at[len])
		return true;
	const char *qualifier = at + len + 1;
	bool latest = strcmp(qualifier, "$LATEST") == 0;
	if (!latest && (!*qualifier || strspn(qualifier, NAME_CHARS) != strlen(qualifier)))
		return false;
	ret->qualifier = qualifier;
	return true;
}

bool lambda_read_name(struct call *c, const char *text, const char **ret_name, const char **ret_qualifier)
{
	struct name_parts p;
	if (strlen(text) > 256) {
		call_fail(
		    c, &lambda_error_validation,
		    "1 validation error detected: Value '%s' at 'functionName' failed to satisfy constraint: Member "
		    "must have length less than or equal to 256",
		    text);
		return false;
	}
	if (!parse_name(c, text, &p)) {
		call_fail(
		    c, &lambda_error_validation,
		    "1 validation error detected: Value '%s' at 'functionName' failed to satisfy constraint: Member "
		    "must satisfy regular expression pattern: "
		    "(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\\d{1}:)?"
		    "(\\d{12}:)?(function:)?([a-zA-Z0-9-_\\.]+)(:(\\$LATEST(\\.PUBLISHED)?|[a-zA-Z0-9-_]+))?",
		    text);
		return false;
	}
	if (strlen(p.name) > 64) {
		call_fail(
		    c, &lambda_error_parameter,
		    "1 validation error detected: Value '%s' at 'functionName' failed to satisfy constraint: Member "
		    "must have length less than or equal to 64",
		    p.name);
		return false;
	}
	if (p.region[0] && strcmp(p.region, c->region) != 0) {
		call_fail(c, &lambda_error_not_found, "Functions from '%s' are not reachable in this region ('%s')",
			  p.region, c->region);
		return false;
	}
	if (p.account[0] && strcmp(p.account, WORLD_ACCOUNT) != 0) {
		call_fail(c, &call_error_denied, NULL);
		return false;
	}
	c->function = p.name;
	*ret_name = p.name;
	*ret_qualifier = p.qualifier;
	return true;
}

bool lambda_read_target(struct call *c, const char **ret_name, const char **ret_qualifier)
{
	const char *derived, *given = call_query(c, "Qualifier");
	if (!lambda_read_name(c, c->segments[0], ret_name, &derived))
		return false;
	if (given && strspn(given, NAME_CHARS "$") != strlen(given)) {
		call_fail(
		    c, &lambda_error_validation,
		    "1 validation error detected: Value '%s' at 'qualifier' failed to satisfy constraint: Member must "
		    "satisfy regular expression pattern: \\$(LATEST(\\.PUBLISHED)?)|[a-zA-Z0-9-_$]+",
		    given);
		return false;
	}
	if (given && derived && strcmp(given, derived) != 0) {
		call_fail(c, &lambda_error_parameter,
			  "The derived qualifier from the function name does not match the specified qualifier.");
		return false;
	}
	*ret_qualifier = given && *given ? given : derived;
	return true;
}

bool lambda_find_function(struct call *c, struct lambda_target *ret)
{
	const char *name, *qualifier;
	if (!lambda_read_target(c, &name, &qualifier))
		return false;
	struct function *f = model_function(c->w, name);
	if (!f) {
		call_fail(c, &lambda_error_not_found, "Function not found: %s", lambda_arn(c, name, NULL));
		return false;
	}
	model_settle(c->w, f);
	*ret = (struct lambda_target){.function = f, .version = &f->latest, .qualifier = qualifier};
	return true;
}

bool lambda_find(struct call *c, struct lambda_target *ret)
{
	const char *name, *qualifier;
	if (!lambda_read_target(c, &name, &qualifier))
		return false;
	struct function *f = model_function(c->w, name);
	struct lambda_target t = {.function = f, .qualifier = qualifier};
	uint64_t number = VERSION_LATEST;
	if (f)
		model_settle(c->w, f);
	if (f && qualifier && !model_parse_version(qualifier, &number)) {
		t.alias = model_alias(f, qualifier);
		if (t.alias)
			t.version = model_version(f, t.alias->now.version);
	} else if (f) {
		t.version = model_version(f, number);
	}
	if (!t.version) {
		call_fail(c, &lambda_error_not_found, "Function not found: %s", lambda_arn(c, name, qualifier));
		return false;
	}
	*ret = t;
	return true;
}

static bool wrong_type(struct call *c, const char *key, const char *wanted)
{
	static const struct call_error serialization = {
	    .code = "SerializationException", .space = "com.amazon.coral.service", .status = 400, .no_type = true};
	call_fail(c, &serialization, "%s must be %s", key, wanted);
	return false;
}

bool lambda_read_text_of(struct call *c, json_t *in, const char *key, const char **ret)
{
	json_t *value = json_object_get(in, key);
	if (!value || json_is_null(value))
		return true;
	if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value))
		return wrong_type(c, key, "a string");
	*ret = json_string_value(value);
	return true;
}

bool lambda_read_text(struct call *c, const char *key, const char **ret)
{
	return lambda_read_text_of(c, c->in, key, ret);
}

bool lambda_read_bool(struct call *c, const char *key, bool *ret)
{
	json_t *value = json_object_get(c->in, key);
	if (!value || json_is_null(value))
		return true;
	if (!json_is_boolean(value))
		return wrong_type(c, key, "a boolean");
	*ret = json_is_true(value);
	return true;
}

bool lambda_check_revision(struct call *c, const char *current)
{
	const char *given = NULL;
	if (!lambda_read_text(c, "RevisionId", &given))
		return false;
	if (given && strcmp(given, current) != 0) {
		call_fail(
		    c, &lambda_error_precondition,
		    "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias "
		    "API to retrieve the latest Revision Id");
		return false;
	}
	return true;
}

bool lambda_read_page(struct call *c, size_t most, size_t *ret_first, size_t *ret_count)
{
	const char *marker = call_query(c, "Marker"), *items = call_query(c, "MaxItems");
	uint64_t count = most, first = 0;
	if (items && (text_parse_u64(items, 10000, &count) != 0 || count < 1)) {
		call_fail(
		    c, &lambda_error_validation,
		    "1 validation error detected: Value '%s' at 'maxItems' failed to satisfy constraint: Member must "
		    "have value less than or equal to 10000 and greater than or equal to 1",
		    items);
		return false;
	}
	if (marker && (strncmp(marker, "m-", 2) != 0 || text_parse_u64(marker + 2, FUNCTIONS_MAX, &first) != 0)) {
		call_fail(c, &lambda_error_parameter, "Invalid Marker: %s", marker);
		return false;
	}
	*ret_first = first;
	*ret_count = count < most ? count : most;
	return true;
}

json_t *lambda_next_marker(struct call *c, size_t next, size_t total)
{
	return next < total ? json_string(arena_printf(c->arena, "m-%zu", next)) : json_null();
}
