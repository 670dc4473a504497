/*
 * Resource-based policies. A statement counts as letting API Gateway in only when everything that it says is
 * understood: what is too much for this reader (another condition, a list of sources) does not, so that ours is added.
 */
#include <string.h>

#include "aws/answer.h"
#include "aws/lambda_chain.h"
#include "aws/lambda_wire.h"
#include "aws/request.h"
#include "base/text.h"

#define PRINCIPAL      "apigateway.amazonaws.com"
#define ACTION	       "lambda:InvokeFunction"
#define SID_MAX	       100
#define SOURCE_ARN_MAX 1024

/* --- requests --- */

void lambda_build_get_policy(struct arena *a, const struct aws_endpoint *e, const char *function, const char *qualifier,
			     struct http_request *ret)
{
	lambda_init_request(ret, a, e, "GET", function, "/policy", qualifier);
}

void lambda_build_add_permission(struct arena *a, const struct aws_endpoint *e, const char *function, const char *alias,
				 const char *sid, const char *source_arn, const char *source_account,
				 struct http_request *ret)
{
	struct buf body cleanup(buf_deinit) = BUF_INIT(LIMIT_AWS_REQUEST_BYTES);
	buf_add_char(&body, '{');
	request_add_member(&body, "StatementId", sid);
	request_add_member(&body, "Action", ACTION);
	request_add_member(&body, "Principal", PRINCIPAL);
	request_add_member(&body, "SourceArn", source_arn);
	request_add_member(&body, "SourceAccount", source_account);
	buf_add_char(&body, '}');
	lambda_init_request(ret, a, e, "POST", function, "/policy", alias);
	request_take_json(ret, a, &body);
}

void lambda_build_remove_permission(struct arena *a, const struct aws_endpoint *e, const char *function,
				    const char *alias, const char *sid, struct http_request *ret)
{
	struct buf rest cleanup(buf_deinit) = BUF_INIT(REQUEST_TARGET_MAX);
	buf_add_text(&rest, "/policy/");
	request_add_segment(&rest, sid);
	lambda_init_request(ret, a, e, "DELETE", function, buf_text(&rest), alias);
}

/* --- answers --- */

/* The policy language takes one text where it takes a list. */
static bool has_text(const json_t *value, const char *const *wanted, size_t n_wanted)
{
	size_t n = json_is_array(value) ? json_array_size(value) : 1;
	for (size_t i = 0; i < n; i++) {
		const char *text = json_string_value(json_is_array(value) ? json_array_get(value, i) : value);
		for (size_t k = 0; text && k < n_wanted; k++)
			if (strcmp(text, wanted[k]) == 0)
				return true;
	}
	return false;
}

static bool is_for_gateway(const json_t *principal)
{
	static const char *const gateway[] = {PRINCIPAL};
	static const char *const anyone[] = {"*"};
	return json_is_object(principal) ? has_text(json_object_get(principal, "Service"), gateway, 1)
					 : has_text(principal, anyone, 1);
}

/* One text, alone or in a list of one. */
static const char *single_text(const json_t *value)
{
	if (json_is_array(value) && json_array_size(value) == 1)
		value = json_array_get(value, 0);
	return json_string_value(value);
}

/* Keys of the global context have no case: AWS writes "AWS:SourceArn" itself, people write "aws:SourceArn". */
static bool is_key(const char *key, const char *name)
{
	return (text_starts_with(key, "AWS:") || text_starts_with(key, "aws:")) && strcmp(key + 4, name) == 0;
}

/* One key of one operator. False: it is not one of the two that we know, or says more than one thing. */
static bool read_condition(struct arena *a, const char *operator, const char * key, const json_t *value,
			   struct view_statement *s)
{
	const char *text = single_text(value);
	if (!text || strlen(text) > SOURCE_ARN_MAX)
		return false;
	bool arn_operator = strcmp(operator, "ArnLike") == 0 || strcmp(operator, "ArnEquals") == 0;
	if (arn_operator && is_key(key, "SourceArn") && !s->source_arn) {
		s->source_arn = arena_strdup(a, text);
		return true;
	}
	if (strcmp(operator, "StringEquals") == 0 && is_key(key, "SourceAccount") && !s->source_account) {
		s->source_account = arena_strdup(a, text);
		return true;
	}
	return false;
}

static bool read_conditions(struct arena *a, const json_t *conditions, struct view_statement *s)
{
	if (!conditions)
		return true;
	if (!json_is_object(conditions))
		return false;
	const char *operator;
	json_t *keys;
	json_object_foreach((json_t *)conditions, operator, keys)
	{
		const char *key;
		json_t *value;
		if (!json_is_object(keys))
			return false;
		json_object_foreach(keys, key, value) if (!read_condition(a, operator, key, value, s)) return false;
	}
	return true;
}

static bool read_statement(struct arena *a, const json_t *json, struct view_statement *ret)
{
	static const char *const invoking[] = {ACTION, "lambda:*", "*"};
	static const char *const allow[] = {"Allow"};
	struct view_statement s = {.sid = ""};
	if (!json_is_object(json) || !answer_text(a, json, "Sid", false, SID_MAX, &s.sid))
		return false;
	if (!s.sid)
		s.sid = "";
	s.invokes = has_text(json_object_get(json, "Effect"), allow, 1) &&
		    is_for_gateway(json_object_get(json, "Principal")) &&
		    has_text(json_object_get(json, "Action"), invoking, array_len(invoking)) &&
		    read_conditions(a, json_object_get(json, "Condition"), &s);
	*ret = s;
	return true;
}

/* Text that holds JSON: of GetPolicy and AddPermission. */
static json_t *load_embedded(const json_t *root, const char *key, size_t *ret_bytes)
{
	const json_t *text = json_object_get(root, key);
	if (!json_is_string(text))
		return NULL;
	const struct http_response inner = {
	    .status = 200, .body = json_string_value(text), .body_len = json_string_length(text)};
	const char *why;
	*ret_bytes = inner.body_len;
	return json_from_body(&inner, &why);
}

#define QUALIFIED_COLONS 7 /* arn:aws:lambda:REGION:ACCOUNT:function:NAME:ALIAS */

/* Whether a statement is about that alias. AWS keeps a policy for each; what stands in for it may keep one for all. */
static bool is_about(const json_t *statement, const char *alias)
{
	const char *resource = json_string_value(json_object_get(statement, "Resource"));
	const char *last = resource;
	size_t colons = 0;
	for (const char *c = resource; c && *c; c++)
		if (*c == ':') {
			colons++;
			last = c + 1;
		}
	return colons != QUALIFIED_COLONS || strcmp(last, alias) == 0;
}

int lambda_parse_policy(const struct http_response *r, const char *alias, struct arena *a, struct view_policy *ret,
			struct aws_error *ret_error)
{
	json_t *root cleanup(json_decref_p) = json_from_answer(r, ret_error);
	if (!root)
		return 1;
	struct view_policy p = {0};
	json_t *policy cleanup(json_decref_p) = load_embedded(root, "Policy", &p.bytes);
	if (!policy)
		return answer_malformed(r, "a Policy is text that holds a JSON object", ret_error);
	const json_t *items = json_object_get(policy, "Statement");
	size_t n = json_is_array(items) ? json_array_size(items) : 1;
	struct view_statement *statements = answer_extend(a, NULL, 0, n, sizeof(*statements));
	if (!statements)
		return answer_malformed(r, "a policy has at most 20,000 statements here", ret_error);
	for (size_t i = 0; i < n; i++) {
		const json_t *item = json_is_array(items) ? json_array_get(items, i) : items;
		if (!read_statement(a, item, &statements[p.n_statements]))
			return answer_malformed(
			    r, "a policy's Statements are objects, their Sid text of at most 100 characters",
			    ret_error);
		p.n_statements += is_about(item, alias);
	}
	p.statements = statements;
	*ret = p;
	return 0;
}

int lambda_parse_add_permission(const struct http_response *r, size_t *ret_bytes, struct aws_error *ret_error)
{
	json_t *root cleanup(json_decref_p) = json_from_answer(r, ret_error);
	if (!root)
		return 1;
	size_t bytes;
	json_t *statement cleanup(json_decref_p) = load_embedded(root, "Statement", &bytes);
	if (!statement)
		return answer_malformed(r, "a Statement is text that holds a JSON object", ret_error);
	*ret_bytes = bytes;
	return 0;
}
