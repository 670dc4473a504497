/*
 * From an answer to a class. The error code decides, then the status; a message is for people only. An answer without
 * a code did not come from the service (a proxy, a captive portal, a load balancer), so a 404 of that kind says nothing
 * about an alias and is AWS_MALFORMED; only 429 and 5xx mean the same whoever says them.
 */
#include "aws/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "aws/json.h"
#include "aws/xml.h"
#include "base/clock.h"
#include "base/text.h"

#define SHOWN_MAX	   72 /* of an answer that is not AWS's */
#define RETRY_AFTER_MAX_MS (5 * MS_PER_MINUTE)
#define MESSAGE_READ_MAX   1024		       /* of which LIMIT_REASON are kept */
#define SKEW_MIN_MS	   (4 * MS_PER_MINUTE) /* AWS takes signatures up to 5 minutes old; Date is in seconds */

/* Codes that do not follow from their status. The first two groups are the SDKs' own lists ("Retry behavior" in the
 * AWS SDKs and Tools Reference Guide), with SNS's "Throttled" and API Gateway's "LimitExceeded" added. */
static const struct {
	const char *code;
	enum aws_error_class class;
} known_codes[] = {
    {"Throttling", AWS_THROTTLED},
    {"ThrottlingException", AWS_THROTTLED},
    {"ThrottledException", AWS_THROTTLED},
    {"Throttled", AWS_THROTTLED},
    {"RequestThrottled", AWS_THROTTLED},
    {"RequestThrottledException", AWS_THROTTLED},
    {"TooManyRequestsException", AWS_THROTTLED},
    {"TooManyRequests", AWS_THROTTLED},
    {"ProvisionedThroughputExceededException", AWS_THROTTLED},
    {"TransactionInProgressException", AWS_THROTTLED},
    {"RequestLimitExceeded", AWS_THROTTLED},
    {"BandwidthLimitExceeded", AWS_THROTTLED},
    {"LimitExceededException", AWS_THROTTLED},
    {"LimitExceeded", AWS_THROTTLED},
    {"SlowDown", AWS_THROTTLED},
    {"PriorRequestNotComplete", AWS_THROTTLED},
    {"EC2ThrottledException", AWS_THROTTLED},

    {"RequestTimeout", AWS_TRANSIENT},
    {"RequestTimeoutException", AWS_TRANSIENT},
    {"IDPCommunicationError", AWS_TRANSIENT},

    {"RequestTimeTooSkewed", AWS_SKEW},
    {"RequestExpired", AWS_SKEW},
    {"RequestInTheFuture", AWS_SKEW},

    {"AuthFailure", AWS_CREDENTIALS},
    {"ExpiredToken", AWS_CREDENTIALS},
    {"ExpiredTokenException", AWS_CREDENTIALS},
    {"IncompleteSignature", AWS_CREDENTIALS},
    {"IncompleteSignatureException", AWS_CREDENTIALS},
    {"InvalidAccessKeyId", AWS_CREDENTIALS},
    {"InvalidClientTokenId", AWS_CREDENTIALS},
    {"InvalidSignatureException", AWS_CREDENTIALS},
    {"InvalidToken", AWS_CREDENTIALS},
    {"MissingAuthenticationToken", AWS_CREDENTIALS},
    {"MissingAuthenticationTokenException", AWS_CREDENTIALS},
    {"SignatureDoesNotMatch", AWS_CREDENTIALS},
    {"TokenRefreshRequired", AWS_CREDENTIALS},
    {"UnrecognizedClient", AWS_CREDENTIALS},
    {"UnrecognizedClientException", AWS_CREDENTIALS},

    {"AccessDenied", AWS_DENIED},
    {"AccessDeniedException", AWS_DENIED},
    {"AuthorizationError", AWS_DENIED},
    {"NotAuthorized", AWS_DENIED},
    {"OptInRequired", AWS_DENIED},
    {"UnauthorizedOperation", AWS_DENIED},

    {"NotFoundException", AWS_NOT_FOUND},
    {"ResourceNotFound", AWS_NOT_FOUND},
    {"ResourceNotFoundException", AWS_NOT_FOUND},

    {"ConflictException", AWS_CONFLICT},
    {"ResourceConflictException", AWS_CONFLICT},

    {"PreconditionFailedException", AWS_PRECONDITION},
};

static const char *const class_names[] = {
    [AWS_OK] = "ok",
    [AWS_THROTTLED] = "throttled",
    [AWS_TRANSIENT] = "transient",
    [AWS_NOT_FOUND] = "not-found",
    [AWS_CONFLICT] = "conflict",
    [AWS_PRECONDITION] = "precondition",
    [AWS_DENIED] = "denied",
    [AWS_CREDENTIALS] = "credentials",
    [AWS_SKEW] = "skew",
    [AWS_INVALID] = "invalid",
    [AWS_MALFORMED] = "malformed",
    [AWS_SETTINGS] = "settings",
    [AWS_NO_CONNECTION] = "no-connection",
    [AWS_NO_ANSWER] = "no-answer",
};

static enum aws_error_class classify(int status, const char *code)
{
	if (*code) {
		for (size_t i = 0; i < array_len(known_codes); i++)
			if (strcmp(known_codes[i].code, code) == 0 &&
			    (status < 500 || known_codes[i].class == AWS_THROTTLED))
				return known_codes[i].class;
	}
	if (status == 429)
		return AWS_THROTTLED;
	if (status >= 500 && status <= 599)
		return AWS_TRANSIENT;
	if (status == 407)
		return AWS_NO_CONNECTION; /* from the proxy: the service has not seen it */
	if (status < 400 || status > 499 || !*code)
		return AWS_MALFORMED;
	switch (status) {
	case 401:
		return AWS_CREDENTIALS;
	case 403:
		return AWS_DENIED;
	case 404:
		return AWS_NOT_FOUND;
	case 409:
		return AWS_CONFLICT;
	case 412:
		return AWS_PRECONDITION;
	default:
		return AWS_INVALID;
	}
}

/* Keeps what is a code: "aws.x#Name:http://…" gives "Name". Anything that is no identifier gives "". */
static void copy_code(char *out, size_t size, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] == ':' || text[i] == ';') {
			len = i;
		} else if (text[i] == '#') {
			text += i + 1;
			len -= i + 1;
			i = (size_t)-1;
		}
	}
	if (len >= size)
		len = size - 1;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];
		if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
		      c == '_' || c == '-')) {
			out[0] = '\0';
			return;
		}
	}
	memcpy(out, text, len);
	out[len] = '\0';
}

/*
 * "User: ARN is not authorized to perform: ACTION on resource: ARN because …" becomes "not allowed: ACTION on ARN
 * because …; asked by ARN". AWS's order puts what matters last, behind a user that may be 170 bytes long.
 */
static bool rephrase_denial(const char *line, char *out, size_t size)
{
	static const char user[] = "User: ", perform[] = " is not authorized to perform: ", on[] = " on resource: ";
	const char *action = strstr(line, perform), *resource = action ? strstr(action, on) : NULL;
	char sentence[MESSAGE_READ_MAX + 64];

	if (!resource || !text_starts_with(line, user))
		return false;
	const char *who = line + strlen(user);
	int who_len = (int)(action - who);
	action += strlen(perform);
	snprintf(sentence, sizeof(sentence), AWS_ERROR_RIGHT_MISSING "%.*s on %s; asked by %.*s",
		 (int)(resource - action), action, resource + strlen(on), who_len, who);
	text_copy_printable(out, size, sentence);
	return true;
}

/* The first line only: behind it, a signature error repeats the whole request, session token included. */
static void copy_message(char *out, size_t size, const char *text, size_t len)
{
	char line[MESSAGE_READ_MAX];
	size_t n = 0;
	while (n < len && n < sizeof(line) - 1 && text[n] && text[n] != '\n' && text[n] != '\r') {
		line[n] = text[n];
		n++;
	}
	line[n] = '\0';
	if (!rephrase_denial(line, out, size))
		text_copy_printable(out, size, line);
}

static void read_json_error(const struct http_response *r, struct aws_error *e)
{
	static const char *const code_keys[] = {"__type", "code", "Code"};
	static const char *const message_keys[] = {"message", "Message"};
	const char *why;
	json_t *root cleanup(json_decref_p) = json_from_body(r, &why);
	for (size_t i = 0; i < array_len(code_keys) && !*e->code; i++) {
		const char *code = json_string_value(json_object_get(root, code_keys[i]));
		if (code)
			copy_code(e->code, sizeof(e->code), code, strlen(code));
	}
	for (size_t i = 0; i < array_len(message_keys) && !*e->message; i++) {
		const char *message = json_string_value(json_object_get(root, message_keys[i]));
		if (message)
			copy_message(e->message, sizeof(e->message), message, strlen(message));
	}
}

/* The query protocol's <ErrorResponse><Error><Code>…, which other services' front doors answer with as well. HTML has
 * no <Code>, or one with markup in it. */
static void read_xml_error(const char *body, struct aws_error *e)
{
	size_t len;
	const char *code = xml_find(body, "Code", &len);
	if (!code)
		return;
	if (!*e->code)
		copy_code(e->code, sizeof(e->code), code, len);
	const char *message = xml_find(body, "Message", &len);
	if (!message)
		return;
	copy_message(e->message, sizeof(e->message), message, len);
	xml_decode(e->message);
}

/* A whole number up to `max`, which what is larger counts as. Returns 0, or -EINVAL: it is no number. */
static int read_wish(const char *text, uint64_t max, uint64_t *ret)
{
	int r = text_parse_u64(text, max, ret);

	if (r == -ERANGE)
		*ret = max;
	return r == -ERANGE ? 0 : r;
}

/* A wish in milliseconds (x-amz-retry-after) goes before one in seconds (Retry-After, whose date form is not taken). */
static int64_t read_retry_after(const struct http_response *r, bool *ret_firm)
{
	*ret_firm = false;
	uint64_t v;
	const char *ms = http_header_find(r->headers, r->n_headers, "x-amz-retry-after");
	if (ms && read_wish(ms, RETRY_AFTER_MAX_MS, &v) == 0)
		return (int64_t)v;
	const char *seconds = http_header_find(r->headers, r->n_headers, "retry-after");
	if (!seconds || read_wish(seconds, RETRY_AFTER_MAX_MS / MS_PER_SECOND, &v) != 0)
		return 0;
	*ret_firm = true;
	return (int64_t)v * MS_PER_SECOND;
}

/* "Sun, 22 Nov 2026 22:10:05 GMT", the one form of HTTP's date that is still sent. 0 for anything else. */
int64_t aws_error_date(const struct http_response *r)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	const char *date = http_header_find(r->headers, r->n_headers, "date");
	if (!date || strlen(date) != 29 || strcmp(date + 25, " GMT") != 0 || date[4] != ' ')
		return 0;
	char month[4];
	text_copy(month, sizeof(month), date + 8);
	const char *found = strstr(months, month);
	if (!found || (found - months) % 3 != 0)
		return 0;
	char iso[32];
	int64_t unix_ms;
	snprintf(iso, sizeof(iso), "%.4s-%02d-%.2sT%.8sZ", date + 12, (int)(found - months) / 3 + 1, date + 5,
		 date + 17);
	return text_parse_utc(iso, &unix_ms) == 0 ? unix_ms : 0;
}

/* --- answers of others than AWS --- */

static bool is_page(const char *body)
{
	return strncasecmp(body, "<!doctype html", 14) == 0 || strcasestr(body, "<html") || strcasestr(body, "<head") ||
	       strcasestr(body, "<body");
}

/* What a page calls itself, in one line; "": it does not. */
static void read_title(const char *body, char *out, size_t size)
{
	const char *open = strcasestr(body, "<title");
	const char *start = open ? strchr(open, '>') : NULL;
	size_t n = 0;
	for (const char *at = start ? start + 1 : ""; *at && *at != '<' && n + 1 < size; at++) {
		bool space = strchr(" \t\r\n", *at);
		if (!space)
			out[n++] = *at;
		else if (n > 0 && out[n - 1] != ' ')
			out[n++] = ' ';
	}
	out[n] = '\0';
	xml_decode(out);
}

/* Its first printable characters; "": they are none. */
static void read_beginning(const char *body, char *out, size_t size)
{
	size_t n = 0;
	while (n + 1 < size && (unsigned char)body[n] >= ' ' && body[n] != 0x7f) {
		out[n] = body[n];
		n++;
	}
	while (n + 1 == size && n > 0 && (unsigned char)out[n - 1] >= 0x80)
		n--; /* a character of UTF-8 that may have been cut */
	out[text_is_utf8(out, n) ? n : 0] = '\0';
}

/* In a few words what came in place of AWS's JSON, whoever sent it. */
static void describe_body(const struct http_response *r, char *out, size_t size)
{
	const char *body = r->body ? r->body : "";
	char some[SHOWN_MAX] = "", shown[SHOWN_MAX];
	body += strspn(body, " \t\r\n");
	bool page = *body == '<' && is_page(body);
	if (page)
		read_title(body, some, sizeof(some));
	else
		read_beginning(body, some, sizeof(some));
	text_copy_printable(shown, sizeof(shown), some);
	if (r->body_len == 0)
		snprintf(out, size, "an empty answer");
	else if (page && *shown)
		snprintf(out, size, "a web page, titled '%s'", shown);
	else if (page)
		snprintf(out, size, "a web page");
	else if (*shown)
		snprintf(out, size, "%zu bytes that begin with '%s'", r->body_len, shown);
	else
		snprintf(out, size, "%zu bytes that are no text", r->body_len);
}

/* Whoever else may have answered, and what to do. */
static const char *advise(int status)
{
	if (status == 407)
		return "a proxy wants a user name and password: put them into HTTPS_PROXY";
	if (status >= 300 && status <= 399)
		return "a redirect, which AWS does not send: something between here and AWS answered; check the "
		       "endpoint and the network";
	if (status == 429 || status >= 500)
		return "a proxy or a load balancer may have answered in place of AWS";
	return "a captive portal, a proxy or another server answered in place of AWS: check the endpoint and the "
	       "network";
}

static void describe_foreign(const struct http_response *r, char *out, size_t size)
{
	char came[SHOWN_MAX + 64];
	if (r->body_len == 0 && (r->status >= 500 || r->status == 429)) {
		snprintf(out, size, "no further reason was given"); /* AWS's own do so, too */
		return;
	}
	describe_body(r, came, sizeof(came));
	snprintf(out, size, "no AWS error code, but %s: %s", came, advise(r->status));
}

void aws_error_parse(const struct http_response *response, struct aws_error *ret)
{
	*ret = (struct aws_error){
	    .status = response->status,
	    .date_unix_ms = aws_error_date(response),
	};
	ret->retry_after_ms = read_retry_after(response, &ret->retry_after_firm);
	/* "InvalidParameterValue;Sender", in the words of the protocol that came before JSON: goes before __type. */
	const char *header = http_header_find(response->headers, response->n_headers, "x-amzn-query-error");
	if (header)
		copy_code(ret->code, sizeof(ret->code), header, strlen(header));
	header = http_header_find(response->headers, response->n_headers, "x-amzn-errortype");
	if (header && !*ret->code)
		copy_code(ret->code, sizeof(ret->code), header, strlen(header));

	const char *body = response->body ? response->body : "";
	body += strspn(body, " \t\r\n");
	if (*body == '{')
		read_json_error(response, ret);
	else if (*body == '<')
		read_xml_error(body, ret);
	ret->class = classify(response->status, ret->code);
	if (!*ret->message && (!*ret->code || ret->class == AWS_MALFORMED))
		describe_foreign(response, ret->message, sizeof(ret->message));
}

void aws_error_malformed(const struct http_response *response, const char *what, struct aws_error *ret)
{
	char came[SHOWN_MAX + 64];
	const char *body = response->body ? response->body : "";
	*ret = (struct aws_error){.class = AWS_MALFORMED, .status = response->status};
	/* JSON or XML that lacks something is AWS's or its mock's; anything else is somebody's who is no AWS at all. */
	body += strspn(body, " \t\r\n");
	if (*body == '{' || *body == '[' || (*body == '<' && !is_page(body))) {
		snprintf(ret->message, sizeof(ret->message), "the answer is not what AWS sends: %.160s", what);
		return;
	}
	describe_body(response, came, sizeof(came));
	snprintf(ret->message, sizeof(ret->message), "no answer of AWS's, but %s: %s", came, advise(response->status));
}

void aws_error_transport(enum aws_error_class class, const char *message, struct aws_error *ret)
{
	*ret = (struct aws_error){.class = class};
	text_copy_printable(ret->message, sizeof(ret->message), message ? message : "");
}

int64_t aws_error_check_clock(struct aws_error *e, int64_t now_unix_ms)
{
	static const char *const signature_codes[] = {"AuthFailure", "InvalidSignatureException",
						      "SignatureDoesNotMatch"};
	bool suspect = e->class == AWS_SKEW;
	for (size_t i = 0; i < array_len(signature_codes); i++)
		suspect |= strcmp(e->code, signature_codes[i]) == 0;
	int64_t offset = e->date_unix_ms - now_unix_ms;
	if (!suspect || e->date_unix_ms == 0 || (offset < SKEW_MIN_MS && offset > -SKEW_MIN_MS))
		return 0;
	char span[32];
	text_format_span(offset < 0 ? -offset : offset, span);
	e->class = AWS_SKEW;
	snprintf(e->message, sizeof(e->message),
		 "this host's clock is %s %s the service's, so AWS refused the signature: set the clock", span,
		 offset < 0 ? "ahead of" : "behind");
	return offset;
}

bool aws_error_refuses_keys(const struct aws_error *e)
{
	static const char *const codes[] = {
	    "ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId", "InvalidClientTokenId",
	    "InvalidToken", "TokenRefreshRequired",  "UnrecognizedClient", "UnrecognizedClientException",
	};
	for (size_t i = 0; i < array_len(codes); i++)
		if (strcmp(e->code, codes[i]) == 0)
			return true;
	return false;
}

enum call_outcome aws_error_outcome(const struct aws_error *e)
{
	switch (e->class) {
	case AWS_OK:
		return CALL_OK;
	case AWS_THROTTLED:
	case AWS_NO_CONNECTION:
	case AWS_DENIED:
	case AWS_CREDENTIALS:
	case AWS_SETTINGS: /* of this host, which may be right again at the next look: AWS was never asked */
	case AWS_SKEW:
	case AWS_CONFLICT: /* another update of the function is in progress */
		return CALL_UNAVAILABLE;
	case AWS_NOT_FOUND:
		return CALL_NOT_FOUND;
	case AWS_PRECONDITION:
		return CALL_CONFLICT;
	case AWS_INVALID:
		return CALL_REFUSED;
	case AWS_TRANSIENT:
	case AWS_MALFORMED:
	case AWS_NO_ANSWER:
		break;
	}
	return CALL_UNKNOWN;
}

const char *aws_error_class_name(enum aws_error_class c)
{
	return class_names[c];
}

void aws_error_format(const struct aws_error *e, const char *operation, char *out, size_t size)
{
	const char *colon = *e->message ? ": " : "";
	if (*e->code && e->status)
		snprintf(out, size, "%s: %s (%d)%s%s", operation, e->code, e->status, colon, e->message);
	else if (*e->code)
		snprintf(out, size, "%s: %s%s%s", operation, e->code, colon, e->message);
	else if (e->status)
		snprintf(out, size, "%s: HTTP %d%s%s", operation, e->status, colon, e->message);
	else
		snprintf(out, size, "%s: %s", operation, *e->message ? e->message : aws_error_class_name(e->class));
}
