/*
 * From a parsed request to the text of its answer, without any HTTP. The stream of events is not here: see stream.h;
 * nor are diff and doctor, whose answers come later: see inquiry.h.
 */
#pragma once

#include "control/api.h"
#include "daemon/control/backend.h"

struct answer {
	int status;	  /* HTTP */
	const char *type; /* content type; static */
	char *body;	  /* malloc'd; the taker frees */
	size_t len;
};

/* `by` is who asks, for the record: "uid=1000 pid=77". `body` is the plan of CONTROL_SUBMIT and CONTROL_VALIDATE. */
void answer_request(const struct backend *b, const struct control_request *r, const char *by, const char *body,
		    size_t len, struct answer *ret);
/* Of a plan that was not valid. `outcome` ends the sentence: ", and was not taken in". */
void answer_invalid(const struct diags *d, const char *outcome, struct answer *ret);
void answer_inspection(const struct inspection *i, enum inspect_what what, struct answer *ret);
void answer_error(int status, const char *code, const char *message, struct answer *ret);
/* For what control_parse() returned, when that was not CONTROL_OK. */
void answer_parse_error(int result, const char *message, struct answer *ret);
