/*
 * Where a service is: AWS_ENDPOINT_URL_<SERVICE>, AWS_ENDPOINT_URL, else https://{prefix}.{region}.{suffix}.
 */
#pragma once

#include "aws/credentials.h"

enum aws_service { AWS_LAMBDA, AWS_CLOUDWATCH, AWS_APIGATEWAY, AWS_STS, AWS_N_SERVICES };

struct aws_endpoint {
	char scheme[8];
	char host[256];	     /* with the port when it is not the scheme's own */
	char base_path[128]; /* "" or "/prefix" without a final slash */
};

const char *endpoint_signing_name(enum aws_service s); /* "lambda", "monitoring", "apigateway", "sts" */
const char *endpoint_service_name(enum aws_service s); /* for people and the configuration: "lambda", "cloudwatch", … */

/* What an ARN has behind "arn:": "aws", "aws-cn", "aws-us-gov", "aws-eusc", "aws-iso", … A region that is not known yet
 * is of its prefix's partition, or of "aws". */
const char *endpoint_partition(const char *region);

/* Returns 0, or 1 with ret_error when an AWS_ENDPOINT_URL is unusable: not http or https, http to another host than
 * loopback, or with a query, user name or fragment. */
must_use int endpoint_resolve(credentials_lookup lookup, void *ctx, enum aws_service service, const char *region,
			      struct aws_endpoint *ret, char *ret_error, size_t error_size);
/* AWS_REGION, then AWS_DEFAULT_REGION; NULL: neither. */
const char *endpoint_region_from_env(credentials_lookup lookup, void *ctx);
