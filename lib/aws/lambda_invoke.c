/* Provisioned concurrency, invoking, and trying rights. */
#include <string.h>

#include <openssl/evp.h>

#include "aws/answer.h"
#include "aws/lambda_chain.h"
#include "aws/lambda_wire.h"
#include "aws/request.h"
#include "base/error.h"
#include "base/text.h"

/* --- provisioned concurrency --- */

static void init_concurrency(struct http_request *r, struct arena *a, const struct aws_endpoint *e, const char *method,
			     const char *function, const struct buf *query)
{
	struct buf path cleanup(buf_deinit) = BUF_INIT(REQUEST_TARGET_MAX);
	buf_add_text(&path, "/2019-09-30/functions/");
	request_add_segment(&path, function);
	buf_add_text(&path, "/provisioned-concurrency");
	request_init_target(r, a, e, method, &path, query);
}

static void init_concurrency_of(struct http_request *r, struct arena *a, const struct aws_endpoint *e,
				const char *method, const char *function, uint64_t version)
{
	struct buf query cleanup(buf_deinit) = BUF_INIT(REQUEST_TARGET_MAX);
	char qualifier[24];
	require(version != VERSION_LATEST);
	version_format(version, qualifier);
	request_add_parameter(&query, "Qualifier", qualifier);
	init_concurrency(r, a, e, method, function, &query);
}

void lambda_build_put_concurrency(struct arena *a, const struct aws_endpoint *e, const char *function, uint64_t version,
				  uint32_t count, struct http_request *ret)
{
	struct buf body cleanup(buf_deinit) = BUF_INIT(64);
	buf_add_text(&body, "{\"ProvisionedConcurrentExecutions\":");
	buf_add_u64(&body, count);
	buf_add_char(&body, '}');
	init_concurrency_of(ret, a, e, "PUT", function, version);
	request_take_json(ret, a, &body);
}

void lambda_build_delete_concurrency(struct arena *a, const struct aws_endpoint *e, const char *function,
				     uint64_t version, struct http_request *ret)
{
	init_concurrency_of(ret, a, e, "DELETE", function, version);
}

void lambda_build_list_concurrency(struct arena *a, const struct aws_endpoint *e, const char *function,
				   const char *marker, struct http_request *ret)
{
	struct buf query cleanup(buf_deinit) = BUF_INIT(REQUEST_TARGET_MAX);
	request_add_parameter(&query, "List", "ALL");
	request_add_parameter(&query, "Marker", marker);
	init_concurrency(ret, a, e, "GET", function, &query);
}

static bool read_count(const json_t *object, const char *key, uint32_t *ret)
{
	const json_t *value = json_object_get(object, key);
	if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > UINT32_MAX)
		return false;
	*ret = (uint32_t)json_integer_value(value);
	return true;
}

static bool read_concurrency(const json_t *json, struct view_concurrency *ret, const char **ret_why)
{
	static const char *const statuses[] = {
	    [CONCURRENCY_IN_PROGRESS] = "IN_PROGRESS", [CONCURRENCY_READY] = "READY", [CONCURRENCY_FAILED] = "FAILED"};
	struct view_concurrency c = {0};
	char arn[512];
	char status[24];
	*ret_why = "provisioned concurrency has a FunctionArn that ends with a version or an alias";
	if (!json_copy_text(json, "FunctionArn", true, arn, sizeof(arn)))
		return false;
	/* arn:aws:lambda:REGION:ACCOUNT:function:NAME:QUALIFIER */
	size_t colons = 0;
	for (const char *p = arn; *p; p++)
		colons += *p == ':';
	const char *qualifier = colons == 7 ? strrchr(arn, ':') + 1 : "";
	if (!*qualifier || !text_copy(c.qualifier, sizeof(c.qualifier), qualifier))
		return false;
	*ret_why = "provisioned concurrency has a requested and an available number";
	if (!read_count(json, "RequestedProvisionedConcurrentExecutions", &c.requested) ||
	    !read_count(json, "AvailableProvisionedConcurrentExecutions", &c.available))
		return false;
	*ret_why = "provisioned concurrency's Status is IN_PROGRESS, READY or FAILED, its StatusReason text";
	if (!json_copy_text(json, "Status", true, status, sizeof(status)) ||
	    !answer_copy_reason(json, "StatusReason", c.reason, sizeof(c.reason)))
		return false;
	size_t i = 0;
	while (i < array_len(statuses) && strcmp(statuses[i], status) != 0)
		i++;
	if (i == array_len(statuses))
		return false;
	c.status = i;
	*ret = c;
	return true;
}

int lambda_parse_concurrencies(const struct http_response *r, struct chain_view *v, char *ret_marker,
			       size_t marker_size, struct aws_error *ret_error)
{
	json_t *root cleanup(json_decref_p) = json_from_answer(r, ret_error);
	if (!root)
		return 1;
	const json_t *items;
	char marker[LAMBDA_MARKER_SIZE];
	if (!json_object_get(root, "ProvisionedConcurrencyConfigs") ||
	    !json_get_array(root, "ProvisionedConcurrencyConfigs", &items))
		return answer_malformed(r, "a list of provisioned concurrency has ProvisionedConcurrencyConfigs",
					ret_error);
	if (!json_copy_text(root, "NextMarker", false, marker, sizeof(marker)) || strlen(marker) >= marker_size)
		return answer_malformed(r, "NextMarker is text of at most 1023 characters", ret_error);
	size_t n = json_array_size(items);
	struct view_concurrency *all = answer_extend(v->arena, v->concurrency, v->n_concurrency, n, sizeof(*all));
	if (!all)
		return answer_malformed(r, "a function has provisioned concurrency at most 20,000 times here",
					ret_error);
	const char *why;
	for (size_t i = 0; i < n; i++)
		if (!read_concurrency(json_array_get(items, i), &all[v->n_concurrency + i], &why))
			return answer_malformed(r, why, ret_error);
	v->concurrency = all;
	v->n_concurrency += n;
	v->concurrency_read = true;
	memcpy(ret_marker, marker, strlen(marker) + 1);
	return 0;
}

/* --- invoking --- */

void lambda_build_invoke(struct arena *a, const struct aws_endpoint *e, const char *function, const char *qualifier,
			 const char *payload, size_t payload_len, struct http_request *ret)
{
	require(payload_len <= LIMIT_AWS_REQUEST_BYTES);
	lambda_init_request(ret, a, e, "POST", function, "/invocations", qualifier);
	ret->body = arena_strndup(a, payload, payload_len);
	ret->body_len = payload_len;
	http_request_add_header(ret, "Content-Type", REQUEST_JSON);
	http_request_add_header(ret, "X-Amz-Invocation-Type", "RequestResponse");
}

void lambda_build_invoke_with(struct arena *a, const struct aws_endpoint *e, const char *function,
			      const char *qualifier, const char *context, const char *payload, size_t payload_len,
			      struct http_request *ret)
{
	size_t len = strlen(context);
	char *encoded = arena_alloc(a, 4 * ((len + 2) / 3) + 1);

	require(len <= LAMBDA_CONTEXT_MAX);
	lambda_build_invoke(a, e, function, qualifier, payload, payload_len, ret);
	(void)EVP_EncodeBlock((unsigned char *)encoded, (const unsigned char *)context, (int)len);
	http_request_add_header(ret, "X-Amz-Client-Context", encoded);
}

static int not_from_aws(const struct http_response *r, struct aws_error *ret_error)
{
	return answer_malformed(r,
				"it names no request of AWS's: something between here and AWS answered; check the "
				"endpoint and the network",
				ret_error);
}

int lambda_parse_done(const struct http_response *r, struct aws_error *ret_error)
{
	if (r->status >= 200 && r->status <= 299)
		return answer_is_from_aws(r) ? 0 : not_from_aws(r, ret_error);
	aws_error_parse(r, ret_error);
	return 1;
}

/* Nothing that a function answers is an error of the call. */
static void read_word(const json_t *root, const char *key, char *out, size_t size)
{
	const char *text = json_string_value(json_object_get(root, key));
	text_copy_printable(out, size, text ? text : "");
}

static bool begins_object(const char *text)
{
	return text[strspn(text, " \t\r\n")] == '{';
}

int lambda_parse_invoke(const struct http_response *r, struct lambda_invoked *ret, struct aws_error *ret_error)
{
	if (r->status < 200 || r->status > 299) {
		aws_error_parse(r, ret_error);
		return 1;
	}
	/* A page that asks to sign in would be a yes. */
	if (!answer_is_from_aws(r))
		return not_from_aws(r, ret_error);
	const char *failed = http_header_find(r->headers, r->n_headers, "x-amz-function-error");
	const char *version = http_header_find(r->headers, r->n_headers, "x-amz-executed-version");
	const char *why;
	*ret = (struct lambda_invoked){.failed = failed && *failed};
	text_copy_printable(ret->executed_version, sizeof(ret->executed_version), version ? version : "");
	text_copy_printable(ret->payload, sizeof(ret->payload), r->body ? r->body : "");
	json_t *root cleanup(json_decref_p) = json_from_body(r, &why);
	if (!root && r->body && begins_object(r->body)) {
		/* It may have said no: what cannot be read is never taken for a yes. */
		text_copy(ret->status, sizeof(ret->status), "what cannot be read");
		text_copy(ret->reason, sizeof(ret->reason), why);
		return 0;
	}
	read_word(root, "status", ret->status, sizeof(ret->status));
	read_word(root, "reason", ret->reason, sizeof(ret->reason));
	return 0;
}

/* --- trying rights --- */

void lambda_build_try_update_alias(struct arena *a, const struct aws_endpoint *e, const char *function,
				   const char *alias, struct http_request *ret)
{
	static const char text[] = "{\"RevisionId\":\"00000000-0000-0000-0000-000000000000\"}";
	struct buf body cleanup(buf_deinit) = BUF_INIT(sizeof(text));
	struct buf rest cleanup(buf_deinit) = BUF_INIT(REQUEST_TARGET_MAX);
	buf_add_text(&rest, "/aliases/");
	request_add_segment(&rest, alias);
	buf_add_text(&body, text);
	lambda_init_request(ret, a, e, "PUT", function, buf_text(&rest), NULL);
	request_take_json(ret, a, &body);
}

void lambda_build_try_publish(struct arena *a, const struct aws_endpoint *e, const char *function,
			      struct http_request *ret)
{
	/* The form of a hash, of bytes that are all zero. */
	lambda_build_publish_version(a, e, function, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", NULL, ret);
}

void lambda_build_try_remove_permission(struct arena *a, const struct aws_endpoint *e, const char *function,
					const char *alias, struct http_request *ret)
{
	lambda_build_remove_permission(a, e, function, alias, "rolloutd-no-such-statement", ret);
}
