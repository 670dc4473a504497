#include "plan/texts.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/text.h"
#include "base/utf8.h"
#include "plan/target.h"

#define DIGITS	 "0123456789"
#define LOWER	 "abcdefghijklmnopqrstuvwxyz"
#define LETTERS	 "ABCDEFGHIJKLMNOPQRSTUVWXYZ" LOWER
#define WORD	 LETTERS DIGITS "_-"
#define SEGMENT	 LETTERS DIGITS "._~:-"
#define VARIABLE LETTERS DIGITS "._-"

#define PROGRAM_MAX	255
#define BUCKET_MIN	3
#define BUCKET_MAX	63
#define OBJECT_KEY_MAX	1024
#define IMAGE_MAX	511
#define DESCRIPTION_MAX 256
#define ROLE_MAX	255
#define RUNTIME_MAX	64
#define HANDLER_MAX	128
#define API_NAME_MAX	128
#define API_ID_MAX	32
#define VARIABLE_MAX	64
#define STAGE_MAX	128
#define DATA_ID_MAX	255
#define METRIC_WORD_MAX 255
#define DIMENSION_MAX	1024
#define EXPRESSION_MAX	2048
#define ACCOUNT_DIGITS	12

__attribute__((format(printf, 3, 4))) static bool no(char *why, size_t size, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(why, size, fmt, args);
	va_end(args);
	return false;
}

static bool only_of(const char *s, const char *set, size_t max)
{
	size_t len = strlen(s);
	return len >= 1 && len <= max && strspn(s, set) == len;
}

static bool is_visible(const char *s)
{
	for (; *s; s++)
		if (*s < '!' || *s > '~')
			return false;
	return true;
}

/* Text for people and file systems: any UTF-8 of 1 to `max` bytes without control characters and line separators. */
static bool is_line(const char *s, size_t max)
{
	size_t len = strlen(s);
	if (len == 0 || len > max)
		return false;
	for (size_t i = 0; i < len;) {
		size_t n = utf8_char_len(s + i, len - i);
		unsigned c = n > 0 ? utf8_decode(s + i, n) : 0;
		if (c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || (c & 0xfffe) == 0xfffe ||
		    c == 0xfeff)
			return false;
		i += n;
	}
	return true;
}

static bool is_loopback(const char *host, size_t len)
{
	return (len == 9 && memcmp(host, "localhost", 9) == 0) || (len == 5 && memcmp(host, "[::1]", 5) == 0) ||
	       text_is_loopback(host, len);
}

/* A name or an address, in brackets when it has colons; `ret_len` is its length. */
static bool read_host(const char *s, size_t *ret_len)
{
	size_t len;
	if (*s == '[') {
		len = 1 + strspn(s + 1, DIGITS "abcdefABCDEF:.");
		if (len == 1 || s[len] != ']')
			return false;
		*ret_len = len + 1;
		return true;
	}
	len = strspn(s, LETTERS DIGITS ".-");
	*ret_len = len;
	return len > 0 && *s != '.' && *s != '-';
}

/* What follows the host: nothing, or a port, and then nothing or a path or a query. */
static bool check_after_host(const char *s)
{
	if (*s == ':') {
		size_t digits = strspn(s + 1, DIGITS);
		uint64_t port = 0;
		char text[8];
		if (digits == 0 || digits > 5)
			return false;
		memcpy(text, s + 1, digits);
		text[digits] = '\0';
		if (text_parse_u64(text, 65535, &port) || port == 0)
			return false;
		s += 1 + digits;
	}
	return *s == '\0' || *s == '/' || *s == '?';
}

/* Without a user's name and password, which would be a secret in a plan. */
bool texts_check_url(const char *text, char *why, size_t size)
{
	size_t host_len;
	bool secure = text_starts_with(text, "https://");
	if (!secure && !text_starts_with(text, "http://"))
		return no(why, size, "a URL begins with https://");
	if (strlen(text) > LIMIT_URL)
		return no(why, size, "it is longer than %d characters", LIMIT_URL);
	const char *host = text + (secure ? 8 : 7);
	size_t authority = strcspn(host, "/?#");
	if (memchr(host, '@', authority))
		return no(why, size, "it has a user's name or password; remove them");
	if (!is_visible(text) || strchr(text, '#') || !read_host(host, &host_len) || !check_after_host(host + host_len))
		return no(why, size, "a URL looks like https://api.example.com/hello");
	if (!secure && !is_loopback(host, host_len))
		return no(why, size, "plain http goes to the loopback only (localhost, 127.0.0.1, [::1]); use https");
	return true;
}

bool texts_check_program(const char *text, char *why, size_t size)
{
	if (text[0] != '.' && only_of(text, VARIABLE, PROGRAM_MAX))
		return true;
	return no(why, size,
		  "it is the plain name of a program in hooks_dir: letters, digits, `-`, `_` and `.`, not beginning "
		  "with `.`, without folders or arguments");
}

/* A version's number, an alias, or $LATEST. */
static bool is_qualifier(const char *s)
{
	return strcmp(s, "$LATEST") == 0 || only_of(s, WORD, LIMIT_ALIAS_NAME);
}

bool texts_check_invoke(const char *text, char *why, size_t size)
{
	char function[LIMIT_FUNCTION_NAME + 2];
	const char *mark = strstr(text, ":function:");
	const char *colon = strchr(mark ? mark + strlen(":function:") : text, ':');
	if (text_starts_with(text, "arn:") && !mark)
		return no(why, size,
			  "a function's ARN looks like arn:aws:lambda:us-east-1:123456789012:function:hello");
	if (!colon)
		return target_check_function(text, why, size);
	if (!is_qualifier(colon + 1))
		return no(why, size, "what follows the function's name is an alias, a version's number or $LATEST");
	size_t len = (size_t)(colon - text);
	if (len >= sizeof(function))
		return no(why, size, "it is longer than %d characters, which is Lambda's limit", LIMIT_FUNCTION_NAME);
	memcpy(function, text, len);
	function[len] = '\0';
	return target_check_function(function, why, size);
}

bool texts_check_path(const char *text, char *why, size_t size)
{
	if (is_line(text, LIMIT_PATH) && !text_ends_with(text, "/"))
		return true;
	return no(why, size, "it is a file's path of at most %d bytes, without control characters", LIMIT_PATH);
}

bool texts_check_bucket(const char *text, char *why, size_t size)
{
	size_t len = strlen(text);
	if (len >= BUCKET_MIN && only_of(text, LOWER DIGITS ".-", BUCKET_MAX) && !strchr(".-", text[0]) &&
	    !strchr(".-", text[len - 1]))
		return true;
	return no(why, size, "a bucket's name has %d to %d of a-z, 0-9, `.` and `-`, a letter or digit at both ends",
		  BUCKET_MIN, BUCKET_MAX);
}

bool texts_check_object_key(const char *text, char *why, size_t size)
{
	return is_line(text, OBJECT_KEY_MAX) ||
	       no(why, size, "it has 1 to %d bytes, without control characters", OBJECT_KEY_MAX);
}

bool texts_check_image(const char *text, char *why, size_t size)
{
	if (only_of(text, LETTERS DIGITS "._/:@-", IMAGE_MAX) && strchr(LETTERS DIGITS, text[0]) && strchr(text, '/'))
		return true;
	return no(why, size,
		  "an image's URI looks like 123456789012.dkr.ecr.us-east-1.amazonaws.com/hello:1, of at most %d "
		  "characters",
		  IMAGE_MAX);
}

bool texts_check_description(const char *text, char *why, size_t size)
{
	return is_line(text, DESCRIPTION_MAX) ||
	       no(why, size, "a description has 1 to %d bytes, without control characters", DESCRIPTION_MAX);
}

bool texts_check_latest_code(const char *text, char *why, size_t size)
{
	return strcmp(text, "$LATEST") == 0 ||
	       no(why, size, "write {zip: PATH}, {s3: {bucket: …, key: …}}, {image: URI} or $LATEST");
}

bool texts_check_role(const char *text, char *why, size_t size)
{
	const char *s = text;
	bool good = strlen(text) <= ROLE_MAX && text_starts_with(s, "arn:aws");
	s += good ? strlen("arn:aws") : 0;
	s += good ? strspn(s, LETTERS "-") : 0;
	good = good && text_starts_with(s, ":iam::");
	s += good ? strlen(":iam::") : 0;
	good = good && strspn(s, DIGITS) == 12 && text_starts_with(s + 12, ":role/");
	s += good ? 12 + strlen(":role/") : 0;
	if (good && only_of(s, LETTERS DIGITS "_+=,.@/-", ROLE_MAX))
		return true;
	return no(why, size, "a role's ARN looks like arn:aws:iam::123456789012:role/hello");
}

bool texts_check_runtime(const char *text, char *why, size_t size)
{
	return only_of(text, LOWER DIGITS ".-", RUNTIME_MAX) ||
	       no(why, size, "a runtime looks like python3.12 or provided.al2023");
}

bool texts_check_handler(const char *text, char *why, size_t size)
{
	return (is_visible(text) && text[0] && strlen(text) <= HANDLER_MAX) ||
	       no(why, size, "a handler looks like index.handler, of at most %d characters", HANDLER_MAX);
}

bool texts_check_api_name(const char *text, char *why, size_t size)
{
	return is_line(text, API_NAME_MAX) ||
	       no(why, size, "an API's name has 1 to %d bytes, without control characters", API_NAME_MAX);
}

bool texts_check_api_id(const char *text, char *why, size_t size)
{
	return only_of(text, LOWER DIGITS, API_ID_MAX) ||
	       no(why, size, "an API's id looks like a1b2c3d4e5; name the API in `name` instead");
}

bool texts_check_stage_variable(const char *text, char *why, size_t size)
{
	return only_of(text, LETTERS DIGITS "_", VARIABLE_MAX) ||
	       no(why, size, "a stage variable's name has at most %d letters, digits and `_`", VARIABLE_MAX);
}

bool texts_is_rest_stage(const char *text)
{
	return only_of(text, LETTERS DIGITS "_", STAGE_MAX);
}

bool texts_check_stage(const char *text, char *why, size_t size)
{
	return texts_is_rest_stage(text) || strcmp(text, "$default") == 0 || strcmp(text, "-") == 0 ||
	       no(why, size, "a stage's name has at most %d letters, digits and `_`", STAGE_MAX);
}

/* One part of a route's path, up to the next slash: "hello", "{id}", "{proxy+}"; the last only at the end. */
static bool check_segment(const char *s, size_t len, bool is_last)
{
	if (len == 0)
		return false;
	if (s[0] != '{')
		return strspn(s, SEGMENT) >= len;
	size_t name = strspn(s + 1, VARIABLE);
	const char *after = s + 1 + name;
	if (name == 0)
		return false;
	if (*after == '+' && is_last)
		after++;
	return *after == '}' && (size_t)(after + 1 - s) == len;
}

bool texts_check_route(const char *text, char *why, size_t size)
{
	bool good = text[0] == '/' && strlen(text) <= LIMIT_PATH;
	for (const char *s = text; good && s[0] == '/' && strcmp(text, "/") != 0;) {
		size_t len = strcspn(s + 1, "/");
		const char *next = s + 1 + len;
		good = check_segment(s + 1, len, *next == '\0');
		s = next;
	}
	if (good)
		return true;
	return no(why, size,
		  "a route's path looks like /hello, /users/{id} or /files/{proxy+}: parts of letters, digits and "
		  "`._~:-`, `{name}` for one of them, `{name+}` at the end for all the rest");
}

bool texts_check_probe_path(const char *text, char *why, size_t size)
{
	if (text[0] == '/' && strlen(text) <= LIMIT_PATH && is_visible(text) && !strchr(text, '#'))
		return true;
	return no(why, size, "it begins with `/` and is percent-encoded, of at most %d characters", LIMIT_PATH);
}

/* "p99", "p99.9", "p0", "p100". */
static bool is_percentile(const char *s)
{
	if (*s != 'p')
		return false;
	size_t whole = strspn(s + 1, DIGITS);
	const char *after = s + 1 + whole;
	size_t decimals = *after == '.' ? strspn(after + 1, DIGITS) : 0;
	bool hundred = whole == 3 && text_starts_with(s + 1, "100") && strspn(after, ".0") == strlen(after);
	if (*after == '.' && (decimals < 1 || decimals > 2))
		return false;
	return (whole == 1 || whole == 2 || hundred) && after[*after == '.' ? 1 + decimals : 0] == '\0';
}

bool texts_check_stat(const char *text, char *why, size_t size)
{
	static const char *const words[] = {"Average", "Maximum", "Minimum"};
	for (size_t i = 0; i < array_len(words); i++)
		if (strcmp(text, words[i]) == 0)
			return true;
	return is_percentile(text) ||
	       no(why, size,
		  "write a percentile from p0 to p100, with at most two decimals, Average, Maximum or Minimum");
}

bool texts_check_data_id(const char *text, char *why, size_t size)
{
	return (only_of(text, LETTERS DIGITS "_", DATA_ID_MAX) && strchr(LOWER, text[0])) ||
	       no(why, size, "an Id has at most %d letters, digits and `_`, and begins with a small letter",
		  DATA_ID_MAX);
}

static bool check_length(const char *text, size_t max, char *why, size_t size)
{
	return (text[0] && strlen(text) <= max) || no(why, size, "it has 1 to %zu bytes", max);
}

bool texts_check_metric_word(const char *text, char *why, size_t size)
{
	return check_length(text, METRIC_WORD_MAX, why, size);
}

bool texts_check_dimension_value(const char *text, char *why, size_t size)
{
	return check_length(text, DIMENSION_MAX, why, size);
}

bool texts_check_expression(const char *text, char *why, size_t size)
{
	return check_length(text, EXPRESSION_MAX, why, size);
}

bool texts_check_account_id(const char *text, char *why, size_t size)
{
	return (strlen(text) == ACCOUNT_DIGITS && strspn(text, DIGITS) == ACCOUNT_DIGITS) ||
	       no(why, size, "an account's id has %d digits", ACCOUNT_DIGITS);
}
