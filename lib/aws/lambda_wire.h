/*
 * What the files of Lambda's operations share. Internal to lib/aws.
 */
#pragma once

#include "aws/json.h"
#include "aws/lambda.h"

#define LAMBDA_FUNCTIONS   "/2015-03-31/functions/"
#define LAMBDA_LATEST	   "$LATEST"
#define LAMBDA_MARKER_SIZE 1024

struct view_version;

/* A published version's number: digits, from 1. */
must_use bool lambda_parse_number(const char *text, uint64_t *ret);

/* An AliasConfiguration. False: *ret_why (static text) says what was expected. */
must_use bool lambda_read_alias(const json_t *root, struct alias_view *ret, const char **ret_why);
/* A FunctionConfiguration; the same. */
must_use bool lambda_read_configuration(const json_t *c, struct view_version *ret, const char **ret_why);

/* "/2015-03-31/functions/NAME" + `rest`, and the query "Qualifier=…" when there is a qualifier. */
void lambda_init_request(struct http_request *r, struct arena *a, const struct aws_endpoint *e, const char *method,
			 const char *function, const char *rest, const char *qualifier);
