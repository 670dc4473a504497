#include "sim/gateway_answer.h"

#include <string.h>
#include <strings.h>

#include <openssl/evp.h>

#include "base/text.h"

/* API Gateway sends these itself. */
static bool is_own_header(const char *name)
{
	static const char *const own[] = {"content-length", "transfer-encoding", "connection", "date"};
	for (size_t i = 0; i < array_len(own); i++)
		if (strcasecmp(own[i], name) == 0)
			return true;
	return false;
}

/* Nothing that would break the answer's framing. */
static bool value_ok(const char *text)
{
	return text && !strpbrk(text, "\r\n");
}

static bool add_header(struct call *c, const char *name, const json_t *value)
{
	const char *text = json_string_value(value);
	if (json_is_integer(value))
		text = arena_printf(c->arena, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_boolean(value))
		text = json_is_true(value) ? "true" : "false";
	if (!value_ok(text) || !value_ok(name) || !*name)
		return false;
	if (is_own_header(name))
		return true;
	/* One place is kept for the content type. */
	if (c->reply->response.n_headers + 1 >= HTTP_HEADERS_MAX)
		return false;
	call_header_add(c, name, text);
	return true;
}

static bool add_headers(struct call *c, const json_t *answer)
{
	json_t *value, *one;
	const char *name;
	size_t i;
	json_object_foreach(json_object_get(answer, "headers"), name, value)
	{
		if (!json_object_get(json_object_get(answer, "multiValueHeaders"), name) && !add_header(c, name, value))
			return false;
	}
	json_object_foreach(json_object_get(answer, "multiValueHeaders"), name, value)
	{
		json_array_foreach(value, i, one)
		{
			if (!add_header(c, name, one))
				return false;
		}
	}
	json_array_foreach(json_object_get(answer, "cookies"), i, one)
	{
		if (!add_header(c, "Set-Cookie", one))
			return false;
	}
	return true;
}

/* 100 … 599, a number or digits; 0: neither. */
static int status_of(const json_t *answer)
{
	const json_t *status = json_object_get(answer, "statusCode");
	uint64_t number = 0;
	if (json_is_integer(status))
		number = (uint64_t)json_integer_value(status);
	else if (!json_is_string(status) || text_parse_u64(json_string_value(status), 599, &number) != 0)
		return 0;
	return number >= 100 && number <= 599 ? (int)number : 0;
}

/* REST APIs refuse what they do not know. */
static bool fields_known(const json_t *answer)
{
	static const char *const known[] = {"statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded"};
	const char *name;
	json_t *value;
	json_object_foreach((json_t *)answer, name, value)
	{
		size_t i = 0;
		while (i < array_len(known) && strcmp(known[i], name) != 0)
			i++;
		if (i == array_len(known))
			return false;
	}
	return true;
}

static bool decode_body(struct call *c, const char **body, size_t *len)
{
	unsigned char *out = arena_alloc(c->arena, *len + 4);
	size_t padding = 0;
	while (padding < 2 && padding < *len && (*body)[*len - 1 - padding] == '=')
		padding++;
	int n = EVP_DecodeBlock(out, (const unsigned char *)*body, (int)*len);
	if (n < 0 || (size_t)n < padding)
		return false;
	*body = (const char *)out;
	*len = (size_t)n - padding;
	return true;
}

static bool answer_object(struct call *c, const json_t *answer, bool rest)
{
	const json_t *body = json_object_get(answer, "body");
	int status = status_of(answer);
	if (!status || (rest && !fields_known(answer)) || (body && !json_is_string(body) && !json_is_null(body)))
		return false;
	const char *text = json_string_value(body);
	size_t len = json_string_length(body), n_before = c->reply->response.n_headers;
	if (!text)
		text = "";
	/* A REST API decodes only for the media types that it was told are binary, and here it has none. */
	bool encoded = !rest && json_is_true(json_object_get(answer, "isBase64Encoded"));
	if ((encoded && !decode_body(c, &text, &len)) || !add_headers(c, answer)) {
		c->reply->response.n_headers = n_before;
		return false;
	}
	const struct http_response *r = &c->reply->response;
	bool typed = http_header_find(r->headers, r->n_headers, "content-type");
	call_answer_bytes(c, status, typed ? NULL : rest ? "application/json" : "text/plain;charset=UTF-8", text, len);
	return true;
}

bool gateway_answer_proxy(struct call *c, const char *payload, size_t len, bool rest, bool two)
{
	json_t *answer = json_loadb(payload, len, JSON_DECODE_ANY, NULL);
	bool good = true;
	if (json_is_object(answer) && (!two || json_object_get(answer, "statusCode")))
		good = answer_object(c, answer, rest);
	else if (!two || !answer)
		good = false;
	else if (json_is_string(answer))
		call_answer_bytes(c, 200, "application/json", json_string_value(answer), json_string_length(answer));
	else
		call_answer_bytes(c, 200, "application/json", payload, len);
	json_decref(answer);
	return good;
}
