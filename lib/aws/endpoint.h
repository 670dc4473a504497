/*
 * Where a service is, found as the SDKs find it. An endpoint that somebody configured, from the first of:
 * AWS_ENDPOINT_URL_<SERVICE>, AWS_ENDPOINT_URL, the service's endpoint_url in the section of [services] that the
 * profile names, the profile's endpoint_url; unless AWS_IGNORE_CONFIGURED_ENDPOINT_URLS or the profile's
 * ignore_configured_endpoint_urls is true. Else https://{prefix}.{region}.{suffix}, where AWS_USE_FIPS_ENDPOINT and
 * AWS_USE_DUALSTACK_ENDPOINT, or the profile's use_fips_endpoint and use_dualstack_endpoint, choose among the hosts.
 */
#pragma once

#include "aws/credentials.h"

/* To the SDKs HTTP APIs are a service of their own, on the same host. */
enum aws_service { AWS_LAMBDA, AWS_CLOUDWATCH, AWS_APIGATEWAY, AWS_APIGATEWAY_V2, AWS_STS, AWS_SSO, AWS_N_SERVICES };

struct aws_endpoint {
	char scheme[8];
	char host[256];	     /* with the port when it is not the scheme's own */
	char base_path[128]; /* "" or "/prefix" without a final slash */
	char ca_bundle[256]; /* the profile's own certificates to verify it by; "": those that hold for all */
};

const char *endpoint_signing_name(enum aws_service s); /* "lambda", "monitoring", "apigateway", "sts" */
const char *endpoint_service_name(enum aws_service s); /* for people and the configuration: "lambda", "cloudwatch", … */

/* What an ARN has behind "arn:": "aws", "aws-cn", "aws-us-gov", "aws-eusc", "aws-iso", … A region that is not known yet
 * is of its prefix's partition, or of "aws". */
const char *endpoint_partition(const char *region);
/* What the partition's hosts end in: "amazonaws.com", "amazonaws.com.cn", … */
const char *endpoint_suffix(const char *region);

/* Where settings are looked up. A lookup gives NULL for what is not set, and is itself NULL where there is nothing to
 * look in. service_id is as in the [services] sections: "lambda", "cloudwatch", "api_gateway", "apigatewayv2",
 * "sts". */
struct endpoint_settings {
	credentials_lookup env;
	void *env_ctx;
	const char *(*profile_get)(void *ctx, const char *key); /* of the profile that is in use */
	const char *(*service_get)(void *ctx, const char *service_id, const char *key);
	bool (*has_services)(void *ctx, const char *name); /* whether there is a section [services NAME] */
	void *ctx;					   /* of these three */
};

/* Returns 0, or 1 with ret_error when a configured URL is unusable: not http or https, http to another host than
 * loopback, or with a query, user name or fragment; when the profile names a [services] section that is not there; or
 * when the region is none. The error names the setting. */
must_use int endpoint_resolve(const struct endpoint_settings *settings, enum aws_service service, const char *region,
			      struct aws_endpoint *ret, char *ret_error, size_t error_size);
/* Whether it is on the loopback, and so no AWS but a stand-in for it. */
bool endpoint_is_here(const struct aws_endpoint *e);
/* AWS_REGION, AWS_DEFAULT_REGION, the profile's region; NULL: none of them. */
const char *endpoint_region(const struct endpoint_settings *settings);
