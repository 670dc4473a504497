/*
 * Which rights at AWS each operation takes, and for what: the one table that policies, docs/iam.md and the sentences
 * about missing rights are made from. IAM's actions and resources are those of the Service Authorization Reference;
 * API Gateway's are HTTP methods on paths.
 */
#pragma once

#include "aws/error.h"
#include "base/buf.h"
#include "engine/operations.h"

enum right_feature {
	FEATURE_ROLLOUTS,
	FEATURE_ALARMS,
	FEATURE_PROVISIONED,
	FEATURE_PUBLISHING,
	FEATURE_CODE_FROM_S3,
	FEATURE_CODE_FROM_IMAGE,
	FEATURE_PRUNING,
	FEATURE_HOOKS,
	FEATURE_PROBE,
	FEATURE_SERVICES,
	FEATURE_CREATE_FUNCTION,
	FEATURE_REST_APIS,
	FEATURE_CREATE_REST_APIS,
	FEATURE_HTTP_APIS,
	FEATURE_CREATE_HTTP_APIS,
	FEATURE_DOCTOR,
	FEATURE_COUNT,
};

/* What a policy can be narrowed to. */
enum right_part {
	PART_FUNCTION,
	PART_HOOK,
	PART_REGION,
	PART_ACCOUNT, /* its number */
	PART_API,
	PART_ROLE, /* path and name */
	PART_BUCKET,
	PART_REPOSITORY,
	PART_COUNT,
};

struct right {
	enum engine_operation operation; /* OPERATION_COUNT: none; AWS asks for it on behalf of another one */
	const char *action;		 /* "lambda:GetAlias", "apigateway:GET" */
	const char *resources[2];	 /* with {function} and the like for the parts; the second may be NULL */
	unsigned features;		 /* bits by enum right_feature */
};

size_t rights_count(void);
const struct right *rights_at(size_t index);
/* Whoever has keys may: AWS asks for no right, and none can be taken away. Such an operation is not in the table. */
bool rights_are_needed(enum engine_operation operation);

const char *rights_feature_name(enum right_feature f);	/* "rollouts", "rest-apis", … */
const char *rights_feature_about(enum right_feature f); /* a clause for people */
/* With all features that it makes no sense without. */
unsigned rights_feature_closure(enum right_feature f);
const char *rights_part_name(enum right_part p); /* "function", … */
/* Whether the text can stand for that part: IAM's * and ? are welcome, and commas where there may be several. */
bool rights_part_is_valid(enum right_part p, const char *text);

struct rights_wish {
	unsigned features;
	const char *parts[PART_COUNT]; /* checked by rights_part_is_valid; NULL: any */
};

/* The least policy that these features work with, as IAM takes it, with a line's end behind it. */
void rights_print_policy(const struct rights_wish *wish, struct buf *out);
/* What docs/iam.md has of the table, in Markdown. */
void rights_print_document(struct buf *out);

/*
 * Makes a refusal for want of a right name the action and the resource: in AWS's own words where it told them
 * (aws_error_parse has put them first), else by the table and the path of the request that was refused.
 */
void rights_name_missing(enum engine_operation operation, const char *region, const char *path, struct aws_error *e);
