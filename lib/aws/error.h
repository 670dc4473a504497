/*
 * AWS errors as structured values. The class comes from the HTTP status and the error code field of the protocol in
 * use, never from a substring of a message.
 */
#pragma once

#include <stdint.h>

#include "base/http.h"
#include "core/rollout.h"

enum aws_error_class {
	AWS_OK,
	AWS_THROTTLED,	   /* 429, Throttling…: not applied; slow down */
	AWS_TRANSIENT,	   /* 500, 502, 503, 504, RequestTimeout: may have been applied */
	AWS_NOT_FOUND,	   /* 404 ResourceNotFoundException */
	AWS_CONFLICT,	   /* 409 ResourceConflictException */
	AWS_PRECONDITION,  /* 412 PreconditionFailedException */
	AWS_DENIED,	   /* 403 AccessDenied…: rights are missing */
	AWS_CREDENTIALS,   /* keys unknown, expired, or the signature does not match */
	AWS_SKEW,	   /* the host's clock is off */
	AWS_INVALID,	   /* 400 …: AWS will say no again */
	AWS_MALFORMED,	   /* an answer that is not what the protocol allows: outcome unknown */
	AWS_SETTINGS,	   /* this host's settings name no usable endpoint: not sent (made by the dispatcher) */
	AWS_NO_CONNECTION, /* never reached the service: not applied (made by the transport) */
	AWS_NO_ANSWER,	   /* sent, and no complete answer: outcome unknown (made by the transport) */
};

struct aws_error {
	enum aws_error_class class;
	int status;		/* HTTP; 0 when there was no answer */
	int64_t retry_after_ms; /* the service's own wish; 0: none */
	bool retry_after_firm;	/* from Retry-After, which means it; x-amz-retry-after is a hint */
	int64_t date_unix_ms;	/* the service's clock, by its Date header; 0: not told */
	char code[96];
	char message[LIMIT_REASON]; /* printable */
};

/* What a message begins with when a right is missing and AWS said which: the action and the resource come next, so that
 * they are never what is cut off. */
#define AWS_ERROR_RIGHT_MISSING "not allowed: "

/* Reads a non-2xx answer of rest-json, json 1.0/1.1, query/XML, or of something that is no AWS at all. */
void aws_error_parse(const struct http_response *response, struct aws_error *ret);
/* An answer's Date, of any status; 0: it tells none. */
int64_t aws_error_date(const struct http_response *response);
/* For an answer of 2xx whose body is not what was expected. `what` names the expectation. */
void aws_error_malformed(const struct http_response *response, const char *what, struct aws_error *ret);
void aws_error_transport(enum aws_error_class class, const char *message, struct aws_error *ret);

/*
 * A signature that was refused while the service's clock is minutes away from ours becomes AWS_SKEW, with a message
 * that says by how much. Returns the offset to add to our time, or 0 when the clock is not the matter.
 */
int64_t aws_error_check_clock(struct aws_error *e, int64_t now_unix_ms);

/* Whether AWS does not take these keys, or not any more: others of the same source may be good. */
bool aws_error_refuses_keys(const struct aws_error *e);

/* What a write's error means to the state machine: see enum call_outcome. */
enum call_outcome aws_error_outcome(const struct aws_error *e);
const char *aws_error_class_name(enum aws_error_class c);
/* "UpdateAlias: PreconditionFailedException (412): The RevisionId …". */
void aws_error_format(const struct aws_error *e, const char *operation, char *out, size_t size);
