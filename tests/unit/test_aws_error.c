/* Errors as the services, their front doors, a stand-in and strangers on the way send them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <jansson.h>

#include "aws/error.h"
#include "base/clock.h"
#include "tests/unit/aws_answers.h"

#define RECORDED "../shared/vectors/real-aws-responses/lambda_api.snapshot.json"

struct expected {
	int status;
	const char *header;
	const char *value;
	const char *body;
	enum aws_error_class class;
	const char *code;
	const char *message;
};

static const struct expected answers[] = {
    /* rest-json: header, or body; `message` or `Message` */
    {404, "x-amzn-errortype", "ResourceNotFoundException", "{\"Type\":\"User\",\"Message\":\"Alias not found: a\"}",
     AWS_NOT_FOUND, "ResourceNotFoundException", "Alias not found: a"},
    {412, "X-Amzn-ErrorType", "PreconditionFailedException:http://internal.amazon.com/coral/x/",
     "{\"Type\":\"User\",\"message\":\"The RevisionId provided does not match\"}", AWS_PRECONDITION,
     "PreconditionFailedException", "The RevisionId provided does not match"},
    {409, "x-amzn-errortype", "ResourceConflictException", "{\"message\":\"An update is in progress\"}", AWS_CONFLICT,
     "ResourceConflictException", "An update is in progress"},
    {409, NULL, NULL, "{\"__type\":\"ConflictException\",\"message\":\"m\"}", AWS_CONFLICT, "ConflictException", "m"},
    {400, "x-amzn-errortype", "InvalidParameterValueException", "{\"message\":\"no\"}", AWS_INVALID,
     "InvalidParameterValueException", "no"},
    {400, NULL, NULL, "{\"code\":\"ValidationException\",\"message\":\"1 validation error\"}", AWS_INVALID,
     "ValidationException", "1 validation error"},
    {429, "x-amzn-errortype", "TooManyRequestsException",
     "{\"Reason\":\"CallerRateLimitExceeded\",\"message\":\"Rate exceeded\"}", AWS_THROTTLED,
     "TooManyRequestsException", "Rate exceeded"},
    {500, "x-amzn-errortype", "ServiceException", "{\"Message\":\"oops\"}", AWS_TRANSIENT, "ServiceException", "oops"},
    {404, "x-amzn-errortype", "ResourceNotFoundException", "null", AWS_NOT_FOUND, "ResourceNotFoundException", ""},
    /* json 1.0, with and without the status codes of the query protocol */
    {400, NULL, NULL, "{\"__type\":\"com.amazonaws.cloudwatch.v2010_08_01#ResourceNotFound\"}", AWS_NOT_FOUND,
     "ResourceNotFound", ""},
    {404, NULL, NULL, "{\"__type\":\"com.amazonaws.cloudwatch.v2010_08_01#ResourceNotFound\"}", AWS_NOT_FOUND,
     "ResourceNotFound", ""},
    {400, "x-amzn-query-error", "InvalidParameterValue;Sender",
     "{\"__type\":\"com.amazonaws.cloudwatch.v2010_08_01#InvalidParameterValueException\",\"message\":\"m\"}",
     AWS_INVALID, "InvalidParameterValue", "m"},
    {400, NULL, NULL, "{\"__type\":\"com.amazon.coral.validate#ValidationException\",\"message\":\"m\"}", AWS_INVALID,
     "ValidationException", "m"},
    {400, NULL, NULL, "{\"__type\":\"com.amazon.coral.availability#ThrottlingException\"}", AWS_THROTTLED,
     "ThrottlingException", ""},
    {404, "X-Amzn-Errortype", "GraniteServiceVersion20100801#ResourceNotFound",
     "{\"__type\":\"GraniteServiceVersion20100801#ResourceNotFound\",\"message\":\"a\",\"Message\":\"b\"}",
     AWS_NOT_FOUND, "ResourceNotFound", "a"},
    /* keys, rights, clock */
    {403, "x-amzn-errortype", "AccessDeniedException", "{\"Message\":\"User is not authorized\"}", AWS_DENIED,
     "AccessDeniedException", "User is not authorized"},
    {403, NULL, NULL, "{\"__type\":\"SomethingNewException\"}", AWS_DENIED, "SomethingNewException", ""},
    {403, NULL, NULL, "{\"__type\":\"UnrecognizedClientException\",\"message\":\"token invalid\"}", AWS_CREDENTIALS,
     "UnrecognizedClientException", "token invalid"},
    {400, NULL, NULL, "{\"__type\":\"com.amazon.coral.service#ExpiredTokenException\"}", AWS_CREDENTIALS,
     "ExpiredTokenException", ""},
    {401, NULL, NULL, "{\"code\":\"UnauthorizedException\"}", AWS_CREDENTIALS, "UnauthorizedException", ""},
    {403, NULL, NULL, "{\"__type\":\"RequestTimeTooSkewed\"}", AWS_SKEW, "RequestTimeTooSkewed", ""},
    /* XML, from STS and from others on 403 */
    {403, NULL, NULL,
     "<?xml version=\"1.0\"?>\n<ErrorResponse><Error><Type>Sender</Type><Code>InvalidClientTokenId</Code>"
     "<Message>The token &lt;x&gt; is &quot;bad&quot; &amp;amp;</Message></Error></ErrorResponse>",
     AWS_CREDENTIALS, "InvalidClientTokenId", "The token <x> is \"bad\" &amp;"},
    {429, NULL, NULL, "<ErrorResponse><Error><Code>Throttled</Code></Error></ErrorResponse>", AWS_THROTTLED,
     "Throttled", ""},
    /* transient by code */
    {400, NULL, NULL, "{\"__type\":\"RequestTimeout\"}", AWS_TRANSIENT, "RequestTimeout", ""},
    {503, NULL, NULL, "<Error><Code>SlowDown</Code></Error>", AWS_THROTTLED, "SlowDown", ""},
    {500, NULL, NULL, "{\"__type\":\"ResourceNotFoundException\"}", AWS_TRANSIENT, "ResourceNotFoundException", ""},
};

static void known_errors_are_classed(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(answers); i++) {
		const struct expected *x = &answers[i];
		struct http_response r = answer_of(x->status, x->header, x->value, x->body);
		struct aws_error e;
		aws_error_parse(&r, &e);
		assert_int_equal(e.status, x->status);
		assert_string_equal(e.code, x->code);
		assert_string_equal(e.message, x->message);
		if (e.class != x->class)
			fail_msg("%s (%d): %s instead of %s", x->code, x->status, aws_error_class_name(e.class),
				 aws_error_class_name(x->class));
	}
}

/* A proxy's or portal's 404 must not look like a deleted alias, nor its 403 like missing rights. */
static void strangers_are_not_taken_for_aws(void **state)
{
	(void)state;
	static const struct {
		int status;
		const char *body;
		enum aws_error_class class;
	} strange[] = {
	    {404, "<!doctype html><html><title>404 Not Found</title></html>", AWS_MALFORMED},
	    {404, "", AWS_MALFORMED},
	    {403, "<html><body><Code><b>403</b></Code></body></html>", AWS_MALFORMED},
	    {400, "{\"error\":\"bad\"}", AWS_MALFORMED},
	    {400, "{\"__type\":17}", AWS_MALFORMED},
	    {412, "{\"__type\":\"not a code\"}", AWS_MALFORMED},
	    {409, "{\"__type\":\"A\",\"__type\":\"B\"}", AWS_MALFORMED},
	    {302, "", AWS_MALFORMED},
	    {304, "", AWS_MALFORMED},
	    {100, "", AWS_MALFORMED},
	    {600, "", AWS_MALFORMED},
	    {407, "<html/>", AWS_NO_CONNECTION},
	    {429, "slow down", AWS_THROTTLED},
	    {500, "<html>Internal Server Error</html>", AWS_TRANSIENT},
	    {502, "", AWS_TRANSIENT},
	};
	for (size_t i = 0; i < array_len(strange); i++) {
		struct http_response r = answer_of(strange[i].status, NULL, NULL, strange[i].body);
		struct aws_error e;
		aws_error_parse(&r, &e);
		if (e.class != strange[i].class)
			fail_msg("%d %s: %s", strange[i].status, strange[i].body, aws_error_class_name(e.class));
		assert_string_not_equal(e.message, "");
	}
}

/* A refused signature is explained with the whole request, the session token in it. */
static void secrets_in_messages_are_cut_off(void **state)
{
	(void)state;
	struct http_response r = answer_of(403, "x-amzn-errortype", "InvalidSignatureException",
					   "{\"message\":\"The request signature does not match.\\n\\nThe Canonical "
					   "String should have been\\n'x-amz-security-token:SECRET'\"}");
	struct aws_error e;
	aws_error_parse(&r, &e);
	assert_int_equal(e.class, AWS_CREDENTIALS);
	assert_string_equal(e.message, "The request signature does not match.");
}

static void control_bytes_are_not_shown(void **state)
{
	(void)state;
	struct http_response r = answer_of(400, NULL, NULL, "{\"__type\":\"X\",\"message\":\"a\\u001b[31mred\\tb\"}");
	struct aws_error e;
	aws_error_parse(&r, &e);
	assert_string_equal(e.message, "a?[31mred?b");
}

static void long_texts_are_cut(void **state)
{
	(void)state;
	char body[1200];
	memset(body, 'x', sizeof(body) - 1);
	body[sizeof(body) - 1] = '\0';
	memcpy(body, "{\"__type\":\"", 11);
	memcpy(body + 500, "\",\"message\":\"", 13);
	memcpy(body + sizeof(body) - 3, "\"}", 2);
	struct http_response r = answer_of(400, NULL, NULL, body);
	struct aws_error e;
	aws_error_parse(&r, &e);
	assert_int_equal(strlen(e.code), sizeof(e.code) - 1);
	assert_int_equal(strlen(e.message), sizeof(e.message) - 1);
	assert_int_equal(e.class, AWS_INVALID);
}

/* AWS puts what matters behind a user whose name may be so long that the rest would be cut off. */
static void a_missing_right_comes_first(void **state)
{
	(void)state;
	char body[1024], user[256];
	memset(user, 'r', sizeof(user) - 1);
	user[sizeof(user) - 1] = '\0';
	snprintf(body, sizeof(body),
		 "{\"Message\":\"User: arn:aws:sts::123456789012:assumed-role/%s/i-0 is not authorized to perform: "
		 "lambda:UpdateAlias on resource: arn:aws:lambda:eu-west-1:123456789012:function:hello:prod with an "
		 "explicit "
		 "deny in a service control policy\"}",
		 user);
	struct http_response r = answer_of(403, "x-amzn-errortype", "AccessDeniedException", body);
	struct aws_error e;
	aws_error_parse(&r, &e);
	assert_int_equal(e.class, AWS_DENIED);
	assert_non_null(strstr(e.message,
			       "not allowed: lambda:UpdateAlias on arn:aws:lambda:eu-west-1:123456789012:function:"
			       "hello:prod with an explicit deny in a service control policy; asked by arn:aws:sts::"));
	assert_ptr_equal(strstr(e.message, "not allowed"), e.message);
}

static int64_t hint_of(const char *header, const char *value)
{
	struct http_response r = answer_of(429, header, value, "");
	struct aws_error e;
	aws_error_parse(&r, &e);
	return e.retry_after_ms;
}

static void hints_are_read(void **state)
{
	(void)state;
	assert_int_equal(hint_of("Retry-After", "3"), 3000);
	assert_int_equal(hint_of("x-amz-retry-after", "1500"), 1500);
	assert_int_equal(hint_of("Retry-After", "300"), 300000);
	/* More than five minutes counts as five. */
	assert_int_equal(hint_of("Retry-After", "301"), 300000);
	assert_int_equal(hint_of("Retry-After", "99999999999999999999999"), 300000);
	assert_int_equal(hint_of("x-amz-retry-after", "300001"), 300000);
	assert_int_equal(hint_of("Retry-After", "301s"), 0);
	assert_int_equal(hint_of("Retry-After", "-1"), 0);
	assert_int_equal(hint_of("Retry-After", "Sun, 22 Nov 2026 22:10:05 GMT"), 0);
	assert_int_equal(hint_of(NULL, NULL), 0);
}

/* As botocore classes them: tests/vectors/retries.json. */
static void classes_are_botocores(void **state)
{
	(void)state;
	json_t *vectors = json_load_file("tests/vectors/retries.json", 0, NULL), *item;
	size_t n, checked = 0;
	assert_non_null(vectors);
	json_array_foreach(json_object_get(vectors, "throttling"), n, item)
	{
		struct http_response r = answer_of(400, "x-amzn-errortype", json_string_value(item), "");
		struct aws_error e;
		aws_error_parse(&r, &e);
		assert_int_equal(e.class, AWS_THROTTLED);
		checked++;
	}
	json_array_foreach(json_object_get(vectors, "transient"), n, item)
	{
		struct http_response r = answer_of(400, "x-amzn-errortype", json_string_value(item), "");
		struct aws_error e;
		aws_error_parse(&r, &e);
		/* PriorRequestNotComplete is in both lists, and slowing down is the safer of the two. */
		assert_true(e.class == AWS_TRANSIENT || strcmp(e.code, "PriorRequestNotComplete") == 0);
		checked++;
	}
	json_array_foreach(json_object_get(vectors, "transient_statuses"), n, item)
	{
		struct http_response r = answer_of((int)json_integer_value(item), NULL, NULL, "");
		struct aws_error e;
		aws_error_parse(&r, &e);
		assert_int_equal(e.class, AWS_TRANSIENT);
		checked++;
	}
	assert_true(checked >= 20);
	json_decref(vectors);
}

static void hints_are_told_from_commands(void **state)
{
	(void)state;
	struct http_response r = answer_of(429, "Retry-After", "3", "");
	struct aws_error e;
	aws_error_parse(&r, &e);
	assert_true(e.retry_after_firm);
	r = answer_of(429, "x-amz-retry-after", "3", "");
	aws_error_parse(&r, &e);
	assert_false(e.retry_after_firm);
}

static void the_services_clock_tells_skew(void **state)
{
	(void)state;
	const int64_t date = INT64_C(1795385405000); /* 2026-11-22T22:10:05Z */
	struct http_response r = answer_of(403, "x-amzn-errortype", "InvalidSignatureException", "");
	r.headers[r.n_headers++] = (struct http_header){.name = "date", .value = "Sun, 22 Nov 2026 22:10:05 GMT"};
	struct aws_error e;
	aws_error_parse(&r, &e);
	assert_int_equal(e.date_unix_ms, date);
	assert_int_equal(e.class, AWS_CREDENTIALS);
	assert_int_equal(aws_error_check_clock(&e, date + 3 * MS_PER_MINUTE), 0);
	assert_int_equal(e.class, AWS_CREDENTIALS);
	assert_int_equal(aws_error_check_clock(&e, date + 10 * MS_PER_MINUTE), -10 * MS_PER_MINUTE);
	assert_int_equal(e.class, AWS_SKEW);
	assert_non_null(strstr(e.message, "10m ahead of"));
	assert_int_equal(aws_error_check_clock(&e, date - MS_PER_HOUR), MS_PER_HOUR);
	assert_non_null(strstr(e.message, "1h behind"));

	/* Another error, however far the clocks are apart. */
	r.headers[0].value = "AccessDeniedException";
	aws_error_parse(&r, &e);
	assert_int_equal(aws_error_check_clock(&e, date + MS_PER_HOUR), 0);
	assert_int_equal(e.class, AWS_DENIED);

	static const char *const no_dates[] = {"",
					       "Sun, 22 Nov 2026 22:10:05 UTC",
					       "Sun, 22 Nof 2026 22:10:05 GMT",
					       "Sun, 32 Nov 2026 22:10:05 GMT",
					       "Sun, 22 anF 2026 22:10:05 GMT",
					       "Sunday, 22-Nov-26 22:10:05 GMT"};
	for (size_t i = 0; i < array_len(no_dates); i++) {
		r.headers[1].value = no_dates[i];
		aws_error_parse(&r, &e);
		assert_int_equal(e.date_unix_ms, 0);
	}
}

static void outcomes_follow_from_the_class(void **state)
{
	(void)state;
	static const enum call_outcome outcomes[] = {
	    [AWS_OK] = CALL_OK,
	    [AWS_THROTTLED] = CALL_UNAVAILABLE,
	    [AWS_TRANSIENT] = CALL_UNKNOWN,
	    [AWS_NOT_FOUND] = CALL_NOT_FOUND,
	    [AWS_CONFLICT] = CALL_UNAVAILABLE,
	    [AWS_PRECONDITION] = CALL_CONFLICT,
	    [AWS_DENIED] = CALL_UNAVAILABLE,
	    [AWS_CREDENTIALS] = CALL_UNAVAILABLE,
	    [AWS_SKEW] = CALL_UNAVAILABLE,
	    [AWS_INVALID] = CALL_REFUSED,
	    [AWS_MALFORMED] = CALL_UNKNOWN,
	    [AWS_SETTINGS] = CALL_UNAVAILABLE,
	    [AWS_NO_CONNECTION] = CALL_UNAVAILABLE,
	    [AWS_NO_ANSWER] = CALL_UNKNOWN,
	};
	for (size_t i = 0; i < array_len(outcomes); i++) {
		const struct aws_error e = {.class = (enum aws_error_class)i};
		assert_int_equal(aws_error_outcome(&e), outcomes[i]);
		assert_true(strlen(aws_error_class_name(e.class)) > 1);
	}
}

static void errors_are_formatted_for_people(void **state)
{
	(void)state;
	char out[256];
	struct aws_error e = {.class = AWS_PRECONDITION,
			      .status = 412,
			      .code = "PreconditionFailedException",
			      .message = "The RevisionId is old"};
	aws_error_format(&e, "UpdateAlias", out, sizeof(out));
	assert_string_equal(out, "UpdateAlias: PreconditionFailedException (412): The RevisionId is old");
	e.message[0] = '\0';
	aws_error_format(&e, "UpdateAlias", out, sizeof(out));
	assert_string_equal(out, "UpdateAlias: PreconditionFailedException (412)");
	struct http_response r = answer_of(502, NULL, NULL, "");
	aws_error_parse(&r, &e);
	aws_error_format(&e, "GetAlias", out, sizeof(out));
	assert_string_equal(out, "GetAlias: HTTP 502: no further reason was given");
	aws_error_transport(AWS_NO_CONNECTION, "connection refused\n", &e);
	aws_error_format(&e, "GetAlias", out, sizeof(out));
	assert_string_equal(out, "GetAlias: connection refused?");
	aws_error_transport(AWS_NO_ANSWER, NULL, &e);
	aws_error_format(&e, "GetAlias", out, sizeof(out));
	assert_string_equal(out, "GetAlias: no-answer");
	r = answer_body("{x");
	aws_error_malformed(&r, "it is no valid JSON", &e);
	assert_int_equal(e.class, AWS_MALFORMED);
	aws_error_format(&e, "GetAlias", out, sizeof(out));
	assert_string_equal(out, "GetAlias: HTTP 200: the answer is not what AWS sends: it is no valid JSON");
	char small[12];
	aws_error_format(&e, "GetAlias", small, sizeof(small));
	assert_string_equal(small, "GetAlias: H");
}

/* Proxies, portals and load balancers answer with pages and with worse: what came is named, shortly and without markup,
 * and what to do about it. */
static void foreign_answers_are_named(void **state)
{
	(void)state;
	static const char in_place[] = ": a captive portal, a proxy or another server answered in place of AWS: check "
				       "the endpoint and the network";
	static const char maybe[] = ": a proxy or a load balancer may have answered in place of AWS";
	static const struct {
		int status;
		const char *body;
		const char *came;
		const char *advice;
	} cases[] = {
	    {200, " <!DOCTYPE html><html><head><title class=x>Sign in &amp;\n  go</title>",
	     "no answer of AWS's, but a web page, titled 'Sign in & go'", in_place},
	    {200, "<html><body><h1>It works!</h1>", "no answer of AWS's, but a web page", in_place},
	    {200, "", "no answer of AWS's, but an empty answer", in_place},
	    {200, "Welcome\nhome", "no answer of AWS's, but 12 bytes that begin with 'Welcome'", in_place},
	    {200, "\x01\x02", "no answer of AWS's, but 2 bytes that are no text", in_place},
	    {200, "\xff\xfeX", "no answer of AWS's, but 3 bytes that are no text", in_place},
	    {403, "<HTML><TITLE>Blocked</TITLE>", "no AWS error code, but a web page, titled 'Blocked'", in_place},
	    {403, "<Error>no</Error>", "no AWS error code, but 17 bytes that begin with '<Error>no</Error>'", in_place},
	    {502, "<html><title>502 Bad Gateway</title>", "no AWS error code, but a web page, titled '502 Bad Gateway'",
	     maybe},
	    {407, "<html/>", "no AWS error code, but a web page",
	     ": a proxy wants a user name and password: put them into HTTPS_PROXY"},
	};
	for (size_t i = 0; i < array_len(cases); i++) {
		struct aws_error e;
		char wanted[512];
		struct http_response r = answer_of(cases[i].status, NULL, NULL, cases[i].body);
		if (cases[i].status == 200)
			aws_error_malformed(&r, "it is no valid JSON", &e);
		else
			aws_error_parse(&r, &e);
		snprintf(wanted, sizeof(wanted), "%s%s", cases[i].came, cases[i].advice);
		assert_string_equal(e.message, wanted);
	}
	/* However long it is, the advice stays. */
	char page[4096] = "<html><title>";
	memset(page + strlen(page), 'x', 3000);
	struct http_response r = answer_of(200, NULL, NULL, page);
	struct aws_error e;
	aws_error_malformed(&r, "it is no valid JSON", &e);
	assert_non_null(strstr(e.message, "xxx': a captive portal"));
	assert_non_null(strstr(e.message, "the network"));
}

/* What boto3 made of a recorded error tells the code and status that the wire must have had. */
static int check_recorded(const json_t *error, int status)
{
	const char *code = json_string_value(json_object_get(error, "Code"));
	const char *message = json_string_value(json_object_get(error, "Message"));
	if (!code || status < 400)
		return 0;
	json_t *body = json_pack("{s:s?}", "Message", message);
	char *text = json_dumps(body, 0);
	struct http_response r = answer_of(status, "x-amzn-errortype", code, text);
	struct aws_error e;
	aws_error_parse(&r, &e);
	assert_string_equal(e.code, code);
	enum aws_error_class want = status == 404   ? AWS_NOT_FOUND
				    : status == 409 ? AWS_CONFLICT
				    : status == 412 ? AWS_PRECONDITION
				    : status == 403 ? AWS_DENIED
				    : status >= 500 ? AWS_TRANSIENT
						    : AWS_INVALID;
	if (e.class != want)
		fail_msg("%s (%d): %s", code, status, aws_error_class_name(e.class));
	free(text);
	json_decref(body);
	return 1;
}

static void recorded_errors(void **state)
{
	(void)state;
	json_t *all = json_load_file(RECORDED, 0, NULL);
	if (!all)
		skip();
	int n = 0;
	const char *scenario;
	json_t *entry;
	json_object_foreach(all, scenario, entry)
	{
		const char *step;
		json_t *recorded;
		json_object_foreach(json_object_get(entry, "recorded-content"), step, recorded)
		{
			const json_t *meta = json_object_get(recorded, "ResponseMetadata");
			int status = (int)json_integer_value(json_object_get(meta, "HTTPStatusCode"));
			n += check_recorded(json_object_get(recorded, "Error"), status);
		}
	}
	json_decref(all);
	assert_true(n > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(known_errors_are_classed),
	    cmocka_unit_test(strangers_are_not_taken_for_aws),
	    cmocka_unit_test(secrets_in_messages_are_cut_off),
	    cmocka_unit_test(control_bytes_are_not_shown),
	    cmocka_unit_test(long_texts_are_cut),
	    cmocka_unit_test(a_missing_right_comes_first),
	    cmocka_unit_test(hints_are_read),
	    cmocka_unit_test(hints_are_told_from_commands),
	    cmocka_unit_test(classes_are_botocores),
	    cmocka_unit_test(the_services_clock_tells_skew),
	    cmocka_unit_test(outcomes_follow_from_the_class),
	    cmocka_unit_test(errors_are_formatted_for_people),
	    cmocka_unit_test(foreign_answers_are_named),
	    cmocka_unit_test(recorded_errors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
