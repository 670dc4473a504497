/* Resource-based policies: AddPermission, RemovePermission, GetPolicy, and what they permit. */
#include <string.h>

#include "aws/endpoint.h"
#include "base/error.h"
#include "base/text.h"
#include "sim/lambda.h"

#define POLICY_BYTES 20480 /* Lambda's developer guide, "Quotas" */
#define NAME_CHARS   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

static const struct call_error error_too_long = {.code = "PolicyLengthExceededException", .status = 400};

/* --- which --- */

/* A function with the qualifier whose policy is meant. */
struct policy_target {
	struct function *function;
	const char *name;
	const char *qualifier; /* NULL: none */
	const char *key;       /* of function->policies */
	const char *revision;  /* of the function, version or alias itself */
};

/* Function and qualifier as the request names them; the function may be NULL. False when the names will not do. */
static bool read_policy_target(struct call *c, struct policy_target *ret)
{
	struct policy_target t = {0};
	if (!lambda_read_target(c, &t.name, &t.qualifier))
		return false;
	t.function = model_function(c->w, t.name);
	if (t.function)
		model_settle(c->w, t.function);
	t.key = t.qualifier ? t.qualifier : "";
	*ret = t;
	return true;
}

/* Whether the qualifier is there; answers otherwise. */
static bool find_qualified(struct call *c, struct policy_target *t)
{
	uint64_t number = VERSION_LATEST;
	bool is_version = !t->qualifier || model_parse_version(t->qualifier, &number);
	bool is_name = t->qualifier && strspn(t->qualifier, NAME_CHARS) == strlen(t->qualifier);
	const struct version *v = is_version ? model_version(t->function, number) : NULL;
	const struct alias *a = is_version ? NULL : model_alias(t->function, t->qualifier);
	if (!v && !a) {
		call_fail(c, &lambda_error_not_found,
			  is_version || !is_name ? "Function not found: %s" : "Cannot find alias arn: %s",
			  lambda_arn(c, t->name, t->qualifier));
		return false;
	}
	t->revision = v ? v->revision : a->now.revision;
	return true;
}

static bool check_policy_revision(struct call *c, const char *given, const char *current)
{
	if (!given || strcmp(given, current) == 0)
		return true;
	call_fail(c, &lambda_error_precondition,
		  "The Revision Id provided does not match the latest Revision Id. Call the GetPolicy API to retrieve "
		  "the latest Revision Id");
	return false;
}

/* --- a statement --- */

/* What the request asks for; NULL where it is silent. */
struct permission {
	const char *sid, *action, *principal;
	const char *source_arn, *source_account, *event_token, *org_id, *url_auth;
	const char *revision;
};

static bool lacks(struct call *c, const char *member, const char *value)
{
	if (value)
		return false;
	call_fail(
	    c, &lambda_error_validation,
	    "1 validation error detected: Value null at '%s' failed to satisfy constraint: Member must not be null",
	    member);
	return true;
}

static bool breaks(struct call *c, const char *member, const char *value, bool good, const char *pattern)
{
	if (good)
		return false;
	call_fail(c, &lambda_error_validation,
		  "1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must satisfy "
		  "regular expression pattern: %s",
		  value, member, pattern);
	return true;
}

static bool is_digits(const char *s, size_t len)
{
	return strlen(s) == len && strspn(s, "0123456789") == len;
}

static bool action_ok(const char *action)
{
	if (strcmp(action, "*") == 0 || strcmp(action, "lambda:*") == 0)
		return true;
	const char *verb = text_starts_with(action, "lambda:") ? action + strlen("lambda:") : "";
	size_t len = strlen(verb);
	return len && strspn(verb, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == len;
}

static bool read_permission(struct call *c, struct permission *ret)
{
	struct permission p = {0};
	if (!lambda_read_text(c, "StatementId", &p.sid) || !lambda_read_text(c, "Action", &p.action) ||
	    !lambda_read_text(c, "Principal", &p.principal) || !lambda_read_text(c, "SourceArn", &p.source_arn) ||
	    !lambda_read_text(c, "SourceAccount", &p.source_account) ||
	    !lambda_read_text(c, "EventSourceToken", &p.event_token) ||
	    !lambda_read_text(c, "PrincipalOrgID", &p.org_id) ||
	    !lambda_read_text(c, "FunctionUrlAuthType", &p.url_auth) || !lambda_read_text(c, "RevisionId", &p.revision))
		return false;
	if (lacks(c, "statementId", p.sid) || lacks(c, "action", p.action) || lacks(c, "principal", p.principal))
		return false;
	size_t len = strlen(p.sid);
	if (len > 100) {
		call_fail(c, &lambda_error_validation,
			  "1 validation error detected: Value '%s' at 'statementId' failed to satisfy constraint: "
			  "Member must have length less than or equal to 100",
			  p.sid);
		return false;
	}
	if (breaks(c, "statementId", p.sid, len && strspn(p.sid, NAME_CHARS) == len, "([a-zA-Z0-9-_]+)") ||
	    breaks(c, "action", p.action, action_ok(p.action), "(lambda:[*]|lambda:[a-zA-Z]+|[*])") ||
	    breaks(c, "sourceArn", p.source_arn, !p.source_arn || text_starts_with(p.source_arn, "arn:"),
		   "arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\\-])+:((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\\d{1})?:"
		   "(\\d{12})?:(.*)") ||
	    breaks(c, "sourceAccount", p.source_account, !p.source_account || is_digits(p.source_account, 12),
		   "\\d{12}"))
		return false;
	*ret = p;
	return true;
}

/* "*", {"Service": …} or {"AWS": …}; NULL after it has answered. */
static json_t *principal_json(struct call *c, const char *principal)
{
	if (strcmp(principal, "*") == 0)
		return json_string("*");
	if (is_digits(principal, 12))
		return json_pack(
		    "{s:s}", "AWS",
		    arena_printf(c->arena, "arn:%s:iam::%s:root", endpoint_partition(c->region), principal));
	if (text_starts_with(principal, "arn:"))
		return json_pack("{s:s}", "AWS", principal);
	if (text_ends_with(principal, ".amazonaws.com") || text_ends_with(principal, ".amazon.com"))
		return json_pack("{s:s}", "Service", principal);
	call_fail(c, &lambda_error_parameter,
		  "The provided principal was invalid. Please check the principal and try again.");
	return NULL;
}

static void set_text(json_t *object, const char *key, const char *value)
{
	if (value)
		json_object_set_new(object, key, json_string(value));
}

static json_t *statement_json(const struct permission *p, json_t *principal, const char *resource)
{
	json_t *equals = json_object(), *condition = json_object();
	set_text(equals, "AWS:SourceAccount", p->source_account);
	set_text(equals, "lambda:EventSourceToken", p->event_token);
	set_text(equals, "lambda:FunctionUrlAuthType", p->url_auth);
	set_text(equals, "aws:PrincipalOrgID", p->org_id);
	if (json_object_size(equals))
		json_object_set(condition, "StringEquals", equals);
	if (p->source_arn)
		json_object_set_new(condition, "ArnLike", json_pack("{s:s}", "AWS:SourceArn", p->source_arn));
	json_t *statement = json_pack("{s:s, s:s, s:o, s:s, s:s}", "Sid", p->sid, "Effect", "Allow", "Principal",
				      principal, "Action", p->action, "Resource", resource);
	require(statement);
	if (json_object_size(condition))
		json_object_set(statement, "Condition", condition);
	json_decref(equals);
	json_decref(condition);
	return statement;
}

/* --- a policy --- */

static const char *dump(struct call *c, const json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT);
	require(text);
	const char *copy = arena_strdup(c->arena, text);
	free(text);
	return copy;
}

static const char *policy_text(struct call *c, json_t *statements)
{
	json_t *document =
	    json_pack("{s:s, s:s, s:O}", "Version", "2012-10-17", "Id", "default", "Statement", statements);
	const char *text = dump(c, document);
	json_decref(document);
	return text;
}

/* Index of the statement; the number of them when there is none of that id. */
static size_t find_statement(const struct policy *p, const char *sid)
{
	size_t n = p ? json_array_size(p->statements) : 0, i = 0;
	while (i < n && strcmp(json_string_value(json_object_get(json_array_get(p->statements, i), "Sid")), sid) != 0)
		i++;
	return i;
}

/* Takes the statement, unless the policy would grow too long. */
static void add_statement(struct call *c, const struct policy_target *t, json_t *statement)
{
	struct policy *p = model_policy(t->function, t->key);
	json_t *statements = p ? json_copy(p->statements) : json_array();
	json_array_append_new(statements, statement);
	size_t len = strlen(policy_text(c, statements));
	if (len > POLICY_BYTES) {
		json_decref(statements);
		call_fail(c, &error_too_long, "The final policy size (%zu) is bigger than the limit (%d).", len,
			  POLICY_BYTES);
		return;
	}
	const char *text = dump(c, statement);
	if (!p)
		p = model_add_policy(t->function, t->key);
	json_decref(p->statements);
	p->statements = statements;
	model_uuid(c->w, p->revision);
	call_answer_json(c, 201, json_pack("{s:s}", "Statement", text));
}

/* --- operations --- */

void lambda_add_permission(struct call *c)
{
	struct policy_target t;
	struct permission asked;
	if (!read_permission(c, &asked) || !read_policy_target(c, &t))
		return;
	if (!t.function) {
		call_fail(c, &lambda_error_not_found, "Function not found: %s", lambda_arn(c, t.name, t.qualifier));
		return;
	}
	if (t.qualifier && strcmp(t.qualifier, "$LATEST") == 0) {
		call_fail(c, &lambda_error_parameter, "We currently do not support adding policies for $LATEST.");
		return;
	}
	if (!find_qualified(c, &t))
		return;
	const struct policy *p = model_policy(t.function, t.key);
	/* Before there is a policy, the revision of what it will belong to stands for it. */
	if (!check_policy_revision(c, asked.revision, p ? p->revision : t.revision))
		return;
	if (p && find_statement(p, asked.sid) < json_array_size(p->statements)) {
		call_fail(c, &lambda_error_conflict,
			  "The statement id (%s) provided already exists. Please provide a new statement id, or remove "
			  "the existing statement.",
			  asked.sid);
		return;
	}
	json_t *principal = principal_json(c, asked.principal);
	if (principal)
		add_statement(c, &t, statement_json(&asked, principal, lambda_arn(c, t.name, t.qualifier)));
}

void lambda_remove_permission(struct call *c)
{
	struct policy_target t;
	const char *sid = c->segments[1];
	if (!read_policy_target(c, &t))
		return;
	if (!t.function) {
		call_fail(c, &lambda_error_not_found, "No policy found for: %s", lambda_arn(c, t.name, t.qualifier));
		return;
	}
	if (!find_qualified(c, &t))
		return;
	struct policy *p = model_policy(t.function, t.key);
	if (!p) {
		call_fail(c, &lambda_error_not_found, "No policy is associated with the given resource.");
		return;
	}
	size_t at = find_statement(p, sid);
	if (at == json_array_size(p->statements)) {
		call_fail(c, &lambda_error_not_found, "Statement %s is not found in resource policy.", sid);
		return;
	}
	if (!check_policy_revision(c, call_query(c, "RevisionId"), p->revision))
		return;
	json_array_remove(p->statements, at);
	model_uuid(c->w, p->revision);
	if (!json_array_size(p->statements))
		model_remove_policy(t.function, t.key);
	call_answer_bytes(c, 204, NULL, "", 0);
}

void lambda_get_policy(struct call *c)
{
	struct policy_target t;
	if (!read_policy_target(c, &t))
		return;
	const struct policy *p = t.function ? model_policy(t.function, t.key) : NULL;
	if (!p) {
		call_fail(c, &lambda_error_not_found, "The resource you requested does not exist.");
		return;
	}
	call_answer_json(c, 200,
			 json_pack("{s:s, s:s}", "Policy", policy_text(c, p->statements), "RevisionId", p->revision));
}

/* --- what is permitted --- */

/* '*' and '?' over the whole of both texts, which need not end with a NUL. */
static bool glob(const char *pattern, size_t pattern_len, const char *text, size_t len)
{
	size_t p = 0, t = 0, star = SIZE_MAX, from = 0;
	while (t < len) {
		if (p < pattern_len && (pattern[p] == '?' || (pattern[p] != '*' && pattern[p] == text[t]))) {
			p++;
			t++;
		} else if (p < pattern_len && pattern[p] == '*') {
			star = p++;
			from = t;
		} else if (star != SIZE_MAX) {
			/* The last star takes one more. */
			p = star + 1;
			t = ++from;
		} else {
			return false;
		}
	}
	while (p < pattern_len && pattern[p] == '*')
		p++;
	return p == pattern_len;
}

/* The six parts of an ARN are compared each by itself: a star does not reach over a colon, except in the last. */
static bool arn_like(const char *pattern, const char *arn)
{
	for (int part = 0; part < 5; part++) {
		size_t want = strcspn(pattern, ":"), have = strcspn(arn, ":");
		if (!pattern[want] || !arn[have] || !glob(pattern, want, arn, have))
			return false;
		pattern += want + 1;
		arn += have + 1;
	}
	return glob(pattern, strlen(pattern), arn, strlen(arn));
}

struct source {
	const char *service, *arn, *account;
};

static bool principal_matches(json_t *principal, const struct source *s)
{
	const char *any = json_string_value(principal),
		   *service = json_string_value(json_object_get(principal, "Service"));
	return (any && strcmp(any, "*") == 0) || (service && s->service && strcmp(service, s->service) == 0);
}

static bool action_matches(const char *action)
{
	static const char invoke[] = "lambda:InvokeFunction";
	return glob(action, strlen(action), invoke, sizeof(invoke) - 1);
}

/* Every condition must hold, so one that is not known permits nothing. */
static bool conditions_hold(json_t *conditions, const struct source *s)
{
	const char *operator, * key;
	json_t *keys, *value;
	json_object_foreach(conditions, operator, keys)
	{
		json_object_foreach(keys, key, value)
		{
			const char *wanted = json_string_value(value);
			bool arn = strcmp(operator, "ArnLike") == 0 && strcmp(key, "AWS:SourceArn") == 0;
			bool account = strcmp(operator, "StringEquals") == 0 && strcmp(key, "AWS:SourceAccount") == 0;
			bool holds = arn       ? s->arn && arn_like(wanted, s->arn)
				     : account ? s->account && strcmp(wanted, s->account) == 0
					       : false;
			if (!holds)
				return false;
		}
	}
	return true;
}

bool lambda_permits(const struct function *f, const char *qualifier, const char *principal_service,
		    const char *source_arn, const char *source_account)
{
	bool latest = !qualifier || strcmp(qualifier, "$LATEST") == 0;
	const struct policy *p = model_policy(f, latest ? "" : qualifier);
	const struct source source = {principal_service, source_arn, source_account};
	size_t n = p ? json_array_size(p->statements) : 0;
	for (size_t i = 0; i < n; i++) {
		json_t *s = json_array_get(p->statements, i);
		if (action_matches(json_string_value(json_object_get(s, "Action"))) &&
		    principal_matches(json_object_get(s, "Principal"), &source) &&
		    conditions_hold(json_object_get(s, "Condition"), &source))
			return true;
	}
	return false;
}
