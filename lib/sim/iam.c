#include "sim/iam.h"

#include <ctype.h>
#include <string.h>

#include "aws/endpoint.h"
#include "base/text.h"
#include "sim/cloudwatch.h"
#include "sim/lambda.h"

static const char *prefix_of(const struct call *c)
{
	switch (c->service) {
	case SERVICE_LAMBDA:
		return "lambda";
	case SERVICE_STS:
		return "sts";
	case SERVICE_APIGATEWAY:
		return "apigateway";
	default:
		return "cloudwatch";
	}
}

/* Rights to API Gateway go by method and path, and IAM's name of Invoke is another one. */
static const char *action_of(struct call *c)
{
	const char *name = c->operation->name;

	if (c->service == SERVICE_APIGATEWAY)
		name = c->request->method;
	else if (c->operation->run == lambda_invoke)
		name = "InvokeFunction";
	return arena_printf(c->arena, "%s:%s", prefix_of(c), name);
}

static const char *resource_of(struct call *c)
{
	const char *path = c->request->path, *function = c->function;

	if (c->service == SERVICE_APIGATEWAY) {
		path += text_starts_with(path, "/v2/") ? strlen("/v2") : 0;
		return arena_printf(c->arena, "arn:%s:apigateway:%s::%s", endpoint_partition(c->region), c->region,
				    path);
	}
	if (c->service != SERVICE_LAMBDA)
		return "*";
	if (!function)
		function = json_string_value(json_object_get(c->in, "FunctionName"));
	return function ? lambda_arn(c, function, call_query(c, "Qualifier")) : "*";
}

void iam_deny(struct call *c)
{
	const char *action = action_of(c), *resource = resource_of(c);

	call_fail(c, &call_error_denied,
		  "User: arn:%s:iam::" WORLD_ACCOUNT ":user/%s is not authorized to perform: %s on resource: %s "
		  "because no identity-based policy allows the %s action",
		  endpoint_partition(c->region), c->key_id, action, resource, action);
}

static char fold(char c, bool any_case)
{
	return any_case ? (char)tolower((unsigned char)c) : c;
}

/* A star goes over anything, colons and slashes too. */
static bool matches(const char *pattern, const char *text, bool any_case)
{
	const char *star = NULL, *retry = NULL;

	while (*text) {
		if (*pattern == '*') {
			star = pattern++;
			retry = text;
		} else if (*pattern == '?' || (*pattern && fold(*pattern, any_case) == fold(*text, any_case))) {
			pattern++;
			text++;
		} else if (star) {
			pattern = star + 1;
			text = ++retry;
		} else {
			return false;
		}
	}
	return pattern[strspn(pattern, "*")] == '\0';
}

/* One text, or a list of them. */
static bool any_matches(const json_t *patterns, const char *text, bool any_case)
{
	if (json_is_string(patterns))
		return matches(json_string_value(patterns), text, any_case);
	for (size_t n = 0; n < json_array_size(patterns); n++) {
		const char *pattern = json_string_value(json_array_get(patterns, n));

		if (pattern && matches(pattern, text, any_case))
			return true;
	}
	return false;
}

/* IAM takes one statement without a list around it, too. */
static size_t count_statements(const json_t *statements)
{
	return json_is_object(statements) ? 1 : json_array_size(statements);
}

bool iam_allows(struct call *c, const json_t *policy)
{
	const json_t *statements = json_object_get(policy, "Statement");
	const char *action = action_of(c), *resource = resource_of(c);
	bool allowed = false;

	if (c->operation->run == sts_get_caller_identity)
		return true;
	for (size_t n = 0; n < count_statements(statements); n++) {
		const json_t *s = json_is_object(statements) ? statements : json_array_get(statements, n);
		const char *effect = json_string_value(json_object_get(s, "Effect"));

		if (!effect || !any_matches(json_object_get(s, "Action"), action, true) ||
		    !any_matches(json_object_get(s, "Resource"), resource, false))
			continue;
		if (strcmp(effect, "Deny") == 0)
			return false;
		allowed |= !json_object_get(s, "Condition");
	}
	return allowed;
}
