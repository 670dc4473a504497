#include "credentials/keys.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include <expat.h>
#include <jansson.h>

#include "aws/credentials.h"
#include "aws/json.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/text.h"

#define TOKEN_MAX      16384
#define XML_DEPTH      16
#define EXPIRES_MAX_MS INT64_C(253402300799999) /* the year 9999, where the times of other answers end */

#define broken(...) (snprintf(ret_error, error_size, __VA_ARGS__), 1)

/* --- JSON --- */

static json_t *load(const char *text, size_t len, const char **ret_why)
{
	const struct http_response r = {.body = text, .body_len = len};
	return json_from_body(&r, ret_why);
}

/* jansson's own copies of the strings. */
static void wipe_json(json_t *value)
{
	const char *key;
	json_t *member;
	if (json_is_string(value))
		secret_wipe((char *)json_string_value(value), json_string_length(value));
	json_object_foreach(value, key, member)
	{
		wipe_json(member);
	}
}

static void wipe_and_decref(json_t **slot)
{
	wipe_json(*slot);
	json_decref(*slot);
}

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static int take_keys(const json_t *object, const char *const names[static 3], int64_t expires_unix_ms,
		     struct aws_credentials *ret, char *ret_error, size_t error_size)
{
	const char *values[3];
	for (size_t i = 0; i < array_len(values); i++)
		values[i] = text_of(object, names[i]);
	for (size_t i = 0; i < 2; i++)
		if (!values[i] || !*values[i])
			return broken("has no %s", names[i]);
	char why[200];
	struct aws_credentials keys;
	if (credentials_from_texts(names, values, &keys, why, sizeof(why)))
		return broken("is unusable: %s", why);
	keys.expires_unix_ms = expires_unix_ms;
	*ret = keys;
	return 0;
}

static int take_expiration(const json_t *root, bool required, int64_t *ret, char *ret_error, size_t error_size)
{
	const json_t *value = json_object_get(root, "Expiration");
	*ret = INT64_MAX;
	if ((!value || json_is_null(value)) && !required)
		return 0;
	if (!json_is_string(value) || credentials_parse_time(json_string_value(value), ret) != 0)
		return broken("has no Expiration that is a time like 2026-11-22T22:10:05Z");
	return 0;
}

static int take_sso(const json_t *root, struct aws_credentials *ret, char *ret_error, size_t error_size)
{
	static const char *const names[] = {"accessKeyId", "secretAccessKey", "sessionToken"};
	const json_t *keys = json_object_get(root, "roleCredentials");
	const json_t *expiration = json_object_get(keys, "expiration");
	json_int_t expires = json_integer_value(expiration); /* 0 for what is no integer */
	if (expires <= 0 || expires > EXPIRES_MAX_MS)
		return broken("has no roleCredentials with an expiration that is a time");
	return take_keys(keys, names, expires, ret, ret_error, error_size);
}

/* An instance whose role cannot be assumed says so with status 200. */
static int take_refusal(const json_t *root, char *ret_error, size_t error_size)
{
	char code[96] = "", message[160] = "";
	const char *said = text_of(root, "Code");
	if (!said || strcmp(said, "Success") == 0 || text_of(root, "AccessKeyId"))
		return 0;
	text_copy_printable(code, sizeof(code), said);
	text_copy_printable(message, sizeof(message), text_of(root, "Message") ?: "no reason was given");
	return broken("is %s: %s", code, message);
}

int keys_from_json(enum keys_form form, const char *text, size_t len, struct aws_credentials *ret, char *ret_error,
		   size_t error_size)
{
	static const char *const by_process[] = {"AccessKeyId", "SecretAccessKey", "SessionToken"};
	static const char *const by_metadata[] = {"AccessKeyId", "SecretAccessKey", "Token"};
	const char *why;
	json_t *root cleanup(wipe_and_decref) = load(text, len, &why);
	int64_t expires;
	if (!root)
		return broken("is unusable: %s", why);
	if (form == KEYS_OF_SSO)
		return take_sso(root, ret, ret_error, error_size);
	bool process = form == KEYS_OF_PROCESS;
	const json_t *version = json_object_get(root, "Version");
	if (process && (!json_is_integer(version) || json_integer_value(version) != 1))
		return broken("has no \"Version\": 1, the only one there is");
	if (form == KEYS_OF_INSTANCE && take_refusal(root, ret_error, error_size))
		return 1;
	if (take_expiration(root, !process, &expires, ret_error, error_size))
		return 1;
	if (!process && !text_of(root, "Token"))
		return broken("has no Token");
	return take_keys(root, process ? by_process : by_metadata, expires, ret, ret_error, error_size);
}

int keys_sso_token(const char *text, size_t len, char **ret_token, int64_t *ret_expires_unix_ms, char *ret_error,
		   size_t error_size)
{
	const char *why;
	json_t *root cleanup(wipe_and_decref) = load(text, len, &why);
	if (!root)
		return broken("is unusable: %s", why);
	const char *token = text_of(root, "accessToken"), *expires = text_of(root, "expiresAt");
	if (!token || !*token || strlen(token) > TOKEN_MAX || !expires)
		return broken("has no accessToken with an expiresAt");
	for (const char *c = token; *c; c++)
		if (*c <= ' ' || *c > '~')
			return broken("has an accessToken with a character that no token has");
	if (credentials_parse_time(expires, ret_expires_unix_ms) != 0)
		return broken("has an expiresAt that is no time like 2026-11-22T22:10:05Z");
	*ret_token = mem_strdup(token);
	return 0;
}

/* --- XML --- */

static const char *const sts_names[] = {"AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"};
#define STS_N array_len(sts_names)

struct sts_reader {
	XML_Parser parser;
	unsigned depth;
	unsigned credentials_depth; /* 0: not inside of <Credentials> */
	int current;		    /* of sts_names; -1: none */
	struct buf values[STS_N];
	bool refused;
};

static void refuse(struct sts_reader *r)
{
	r->refused = true;
	(void)XML_StopParser(r->parser, XML_FALSE); /* fails only when it stops already */
}

static void start_element(void *arg, const char *name, const char **attributes)
{
	struct sts_reader *r = arg;
	(void)attributes;
	if (++r->depth > XML_DEPTH) {
		refuse(r);
		return;
	}
	r->current = -1;
	if (!r->credentials_depth && strcmp(name, "Credentials") == 0)
		r->credentials_depth = r->depth;
	for (size_t i = 0; r->credentials_depth && r->depth == r->credentials_depth + 1 && i < STS_N; i++) {
		if (strcmp(name, sts_names[i]) != 0)
			continue;
		r->current = (int)i;
		if (r->values[i].len > 0)
			refuse(r); /* twice */
	}
}

static void end_element(void *arg, const char *name)
{
	struct sts_reader *r = arg;
	(void)name;
	if (r->depth == r->credentials_depth)
		r->credentials_depth = 0;
	r->depth--;
	r->current = -1;
}

static void take_characters(void *arg, const char *text, int len)
{
	struct sts_reader *r = arg;
	if (r->current >= 0)
		buf_add(&r->values[r->current], text, (size_t)len);
}

/* No answer of STS has one, and entities could be made to grow. */
static void start_doctype(void *arg, const char *name, const char *system_id, const char *public_id, int internal)
{
	(void)name;
	(void)system_id;
	(void)public_id;
	(void)internal;
	refuse(arg);
}

/* expat keeps parts of the text in buffers of its own. */
static void free_wiped(void *p)
{
	if (p)
		secret_wipe(p, malloc_usable_size(p));
	free(p);
}

static void *allocate(size_t size)
{
	return mem_alloc(size);
}

static void *reallocate(void *old, size_t size)
{
	void *moved = mem_alloc(size);
	size_t before = old ? malloc_usable_size(old) : 0;
	if (old)
		memcpy(moved, old, before < size ? before : size);
	free_wiped(old);
	return moved;
}

static bool parse(struct sts_reader *r, const char *text, size_t len)
{
	static const XML_Memory_Handling_Suite memory = {allocate, reallocate, free_wiped};
	r->parser = XML_ParserCreate_MM("UTF-8", &memory, NULL);
	if (!r->parser)
		mem_exhausted();
	XML_SetUserData(r->parser, r);
	XML_SetElementHandler(r->parser, start_element, end_element);
	XML_SetCharacterDataHandler(r->parser, take_characters);
	XML_SetStartDoctypeDeclHandler(r->parser, start_doctype);
	bool good = len <= LIMIT_KEYS_ANSWER && XML_Parse(r->parser, text, (int)len, 1) == XML_STATUS_OK;
	XML_ParserFree(r->parser);
	for (size_t i = 0; i < STS_N; i++)
		good = good && buf_ok(&r->values[i]);
	return good && !r->refused;
}

int keys_from_sts(const char *text, size_t len, struct aws_credentials *ret, char *ret_error, size_t error_size)
{
	struct sts_reader r = {.current = -1};
	const char *values[STS_N];
	for (size_t i = 0; i < STS_N; i++)
		r.values[i] = BUF_INIT_SECRET(TOKEN_MAX);
	int result = 0;
	int64_t expires = 0;
	char why[200];
	struct aws_credentials keys;
	if (!parse(&r, text, len))
		result = broken("is no XML that STS sends");
	for (size_t i = 0; i < STS_N; i++) {
		values[i] = buf_text(&r.values[i]);
		if (!result && !*values[i])
			result = broken("has no Credentials with %s", sts_names[i]);
	}
	if (!result && credentials_parse_time(values[3], &expires) != 0)
		result = broken("has an Expiration that is no time like 2026-11-22T22:10:05Z");
	if (!result && credentials_from_texts(sts_names, values, &keys, why, sizeof(why)))
		result = broken("is unusable: %s", why);
	for (size_t i = 0; i < STS_N; i++)
		buf_wipe(&r.values[i]);
	if (result)
		return 1;
	*ret = keys;
	ret->expires_unix_ms = expires;
	return 0;
}
