#include "plan/target.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/text.h"
#include "base/utf8.h"

#define FUNCTION_NAME_MAX 64 /* CreateFunction's limit for the bare name */
#define ACCOUNT_NAME_MAX  64
#define REGION_MAX	  32
#define ACCOUNT_ID_LEN	  12

/* JSON's numbers are exact up to here, and every form of a plan passes through JSON. */
#define VERSION_MAX ((UINT64_C(1) << 53) - 1)

#define DIGITS	"0123456789"
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

static bool only_of(const char *s, size_t len, const char *set)
{
	return strspn(s, set) >= len;
}

__attribute__((format(printf, 3, 4))) static bool no(char *why, size_t size, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(why, size, fmt, args);
	va_end(args);
	return false;
}

bool target_check_name(const char *text, char *why, size_t size)
{
	if (text_is_name(text, LIMIT_NAME))
		return true;
	return no(why, size, "a name has at most %d characters of a-z, 0-9 and `-`, not beginning or ending with `-`",
		  LIMIT_NAME);
}

/* Whether the two belong to each other is for the whole plan to say. */
bool target_check_rollout_name(const char *text, char *why, size_t size)
{
	char service[LIMIT_NAME + 1];
	char ignored[8];
	const char *dot = strchr(text, '.');
	if (!dot || strlen(text) > LIMIT_NAME || !target_check_alias(dot + 1, ignored, sizeof(ignored)))
		return target_check_name(text, why, size);
	memcpy(service, text, (size_t)(dot - text));
	service[dot - text] = '\0';
	return target_check_name(service, why, size);
}

/* Lower-case words and a number, joined by '-': us-east-1, us-gov-west-1, eusc-de-east-1. It becomes part of a host
 * name, so nothing else may pass. */
static bool is_region(const char *s, size_t len)
{
	size_t words = 0;
	size_t at = 0;
	while (at < len && s[at] >= 'a' && s[at] <= 'z') {
		while (at < len && s[at] >= 'a' && s[at] <= 'z')
			at++;
		if (at == len || s[at] != '-')
			return false;
		at++;
		words++;
	}
	size_t digits = len - at;
	return len <= REGION_MAX && words >= 2 && digits >= 1 && digits <= 2 && only_of(s + at, digits, DIGITS);
}

bool target_check_region(const char *text, char *why, size_t size)
{
	if (is_region(text, strlen(text)))
		return true;
	return no(why, size, "a region looks like us-east-1");
}

bool target_check_account(const char *text, char *why, size_t size)
{
	size_t len = strlen(text);
	if (len >= 1 && len <= ACCOUNT_NAME_MAX && only_of(text, len, LETTERS DIGITS "-_."))
		return true;
	return no(why, size,
		  "it is a name under `accounts` in rolloutd.yaml, of at most %d letters, digits, `-`, `_` and `.`",
		  ACCOUNT_NAME_MAX);
}

/* Moves *s behind the field and its colon; the field must have only these characters. */
static bool read_field(const char **s, const char *set, size_t *ret_len)
{
	size_t len = strspn(*s, set);
	if ((*s)[len] != ':')
		return false;
	*s += len + 1;
	*ret_len = len;
	return true;
}

static bool read_word(const char **s, const char *word)
{
	if (!text_starts_with(*s, word))
		return false;
	*s += strlen(word);
	return true;
}

/* "arn:aws:lambda:us-east-1:" */
static bool read_arn_head(const char **s, struct target_function *f)
{
	size_t len;
	if (!read_word(s, "arn:aws") || !read_field(s, LETTERS "-", &len) || !read_word(s, "lambda:"))
		return false;
	f->region = *s;
	return read_field(s, LETTERS DIGITS "-", &f->region_len) && is_region(f->region, f->region_len);
}

/* "123456789012:function:" */
static bool read_arn_tail(const char **s)
{
	size_t len;
	return read_field(s, DIGITS, &len) && len == ACCOUNT_ID_LEN && read_word(s, "function:");
}

bool target_parse_function(const char *text, struct target_function *ret, char *why, size_t size)
{
	if (strlen(text) > LIMIT_FUNCTION_NAME)
		return no(why, size, "it is longer than %d characters, which is Lambda's limit", LIMIT_FUNCTION_NAME);
	struct target_function f = {0};
	const char *s = text;
	if (text_starts_with(s, "arn:")) {
		f.is_arn = true;
		if (!read_arn_head(&s, &f) || !read_arn_tail(&s))
			return no(why, size,
				  "a function's ARN looks like arn:aws:lambda:us-east-1:123456789012:function:hello");
	} else if (strstr(s, ":function:")) {
		f.is_arn = true;
		if (!read_arn_tail(&s))
			return no(why, size, "a partial ARN looks like 123456789012:function:hello");
	}
	size_t len = strspn(s, LETTERS DIGITS "-_");
	if (s[len] == ':')
		return no(why, size,
			  "it has a qualifier (`:` and what follows); leave that out, and name the alias "
			  "in `alias`");
	if (len == 0 || s[len] != '\0')
		return no(why, size, "a function's name has letters, digits, `-` and `_`");
	if (len > FUNCTION_NAME_MAX)
		return no(why, size, "a function's name has at most %d characters", FUNCTION_NAME_MAX);
	f.name = s;
	*ret = f;
	return true;
}

bool target_check_function(const char *text, char *why, size_t size)
{
	struct target_function ignored;
	return target_parse_function(text, &ignored, why, size);
}

bool target_check_alias(const char *text, char *why, size_t size)
{
	size_t len = strlen(text);
	if (strcmp(text, "$LATEST") == 0)
		return no(why, size, "that is no alias; name an alias, such as prod");
	if (len == 0 || len > LIMIT_ALIAS_NAME || !only_of(text, len, LETTERS DIGITS "-_"))
		return no(why, size, "an alias has at most %d letters, digits, `-` and `_`", LIMIT_ALIAS_NAME);
	if (only_of(text, len, DIGITS))
		return no(why, size, "an alias has more than digits, as AWS would take it for a version");
	return true;
}

/* AWS takes any UTF-8 but control characters. Line separators are refused too, as no form that is written on one line
 * could carry them. */
bool target_check_alarm(const char *text, char *why, size_t size)
{
	if (text_starts_with(text, "arn:aws"))
		return no(why, size, "write the alarm's name, not its ARN");
	size_t count = 0;
	for (size_t left = strlen(text); left > 0; count++) {
		size_t n = utf8_char_len(text, left);
		const unsigned char *u = (const unsigned char *)text;
		bool control = n == 0 || u[0] < 0x20 || u[0] == 0x7f || (n == 2 && u[0] == 0xc2 && u[1] < 0xa0);
		bool separator = n == 3 && u[0] == 0xe2 && u[1] == 0x80 && (u[2] == 0xa8 || u[2] == 0xa9);
		bool no_character =
		    n == 3 && u[0] == 0xef && ((u[1] == 0xbb && u[2] == 0xbf) || (u[1] == 0xbf && u[2] >= 0xbe));
		if (control || separator || no_character)
			return no(why, size, "an alarm's name has no control characters");
		text += n;
		left -= n;
	}
	if (count == 0 || count > LIMIT_ALARM_NAME)
		return no(why, size, "an alarm's name has 1 to %d characters", LIMIT_ALARM_NAME);
	return true;
}

bool target_check_version(const char *text, char *why, size_t size)
{
	if (strcmp(text, "latest") == 0)
		return true;
	if (strcmp(text, "$LATEST") == 0)
		return no(why, size,
			  "an alias can only share its traffic between published versions; publish one, "
			  "and write its number or `latest`, the newest published one");
	uint64_t v;
	int r = text_parse_u64(text, VERSION_MAX, &v);
	if (r == 0 && text[0] != '0')
		return true;
	if (r == -ERANGE)
		return no(why, size, "that is more than %llu", (unsigned long long)VERSION_MAX);
	return no(why, size, "write a published version's number, such as 7, or `latest`");
}

bool target_check_followed(const char *text, char *why, size_t size)
{
	char ignored[8];
	if (strcmp(text, "$LATEST") == 0 || target_check_version(text, ignored, sizeof(ignored)))
		return true;
	return no(why, size, "write a published version's number, such as 7, or `latest`, or `$LATEST`");
}
