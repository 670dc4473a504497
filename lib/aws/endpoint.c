/*
 * Hosts follow the SDKs' partition data (botocore's partitions.json and each service's endpoint rules). Endpoints that
 * are configured are held to https, as requests carry the right to move traffic; loopback is excepted for a stand-in.
 */
#include "aws/endpoint.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

static const struct {
	const char *name;
	const char *signing_name;
	const char *host_prefix;
	const char *variable;
} services[AWS_N_SERVICES] = {
    [AWS_LAMBDA] = {"lambda", "lambda", "lambda", "AWS_ENDPOINT_URL_LAMBDA"},
    [AWS_CLOUDWATCH] = {"cloudwatch", "monitoring", "monitoring", "AWS_ENDPOINT_URL_CLOUDWATCH"},
    [AWS_APIGATEWAY] = {"apigateway", "apigateway", "apigateway", "AWS_ENDPOINT_URL_API_GATEWAY"},
    [AWS_STS] = {"sts", "sts", "sts", "AWS_ENDPOINT_URL_STS"},
};

static const struct partition {
	const char *name;
	const char *region_prefix; /* "" is the rest */
	const char *suffix;
	const char *dualstack_suffix;
} partitions[] = {
    {"aws-cn", "cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"},
    {"aws-us-gov", "us-gov-", "amazonaws.com", "api.aws"},
    {"aws-eusc", "eusc-", "amazonaws.eu", "api.amazonwebservices.eu"},
    {"aws-iso", "us-iso-", "c2s.ic.gov", "api.aws.ic.gov"},
    {"aws-iso-b", "us-isob-", "sc2s.sgov.gov", "api.aws.scloud"},
    {"aws-iso-e", "eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"},
    {"aws-iso-f", "us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"},
    {"aws", "", "amazonaws.com", "api.aws"},
};

static const struct partition *partition_of(const char *region)
{
	const struct partition *p = partitions;
	while (!text_starts_with(region, p->region_prefix))
		p++;
	return p;
}

const char *endpoint_partition(const char *region)
{
	return partition_of(region)->name;
}

const char *endpoint_signing_name(enum aws_service s)
{
	return services[s].signing_name;
}

const char *endpoint_service_name(enum aws_service s)
{
	return services[s].name;
}

static const char *lookup_filled(credentials_lookup lookup, void *ctx, const char *name)
{
	const char *value = lookup(ctx, name);
	return value && *value ? value : NULL;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* "true" in any case, as the SDKs read their switches. */
static bool is_on(credentials_lookup lookup, void *ctx, const char *name)
{
	const char *value = lookup_filled(lookup, ctx, name);
	const char *want = "true";
	while (value && *want && lower(*value) == *want) {
		value++;
		want++;
	}
	return value && !*want && !*value;
}

/* --- from the region --- */

/* CloudWatch's and STS's own hosts are the validated ones in GovCloud, so they have no second name there. */
static bool has_fips_name(enum aws_service service, const char *region, bool dualstack)
{
	if (!text_starts_with(region, "us-gov-"))
		return true;
	return service == AWS_LAMBDA || service == AWS_APIGATEWAY || (service == AWS_STS && dualstack);
}

static int from_region(credentials_lookup lookup, void *ctx, enum aws_service service, const char *region,
		       struct aws_endpoint *ret, char *ret_error, size_t error_size)
{
	/* It becomes a part of a host name. */
	if (!text_is_name(region, 63)) {
		char shown[80];
		text_copy_printable(shown, sizeof(shown), region);
		snprintf(ret_error, error_size, "\"%s\" is no AWS region; a region looks like eu-west-1", shown);
		return 1;
	}
	const struct partition *p = partition_of(region);
	bool dualstack = is_on(lookup, ctx, "AWS_USE_DUALSTACK_ENDPOINT");
	bool fips = is_on(lookup, ctx, "AWS_USE_FIPS_ENDPOINT") && has_fips_name(service, region, dualstack);
	*ret = (struct aws_endpoint){.scheme = "https"};
	snprintf(ret->host, sizeof(ret->host), "%s%s.%s.%s", services[service].host_prefix, fips ? "-fips" : "", region,
		 dualstack ? p->dualstack_suffix : p->suffix);
	return 0;
}

/* --- from a URL --- */

static bool is_loopback(const char *host)
{
	if (strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0)
		return true;
	/* 127.0.0.0/8 as four plain numbers; "127.0.0.1.example.com" is somebody else's host. */
	unsigned numbers = 0;
	for (const char *at = host;; at++) {
		unsigned value = 0;
		size_t digits = 0;
		for (; *at >= '0' && *at <= '9' && digits < 4; at++, digits++)
			value = value * 10 + (unsigned)(*at - '0');
		if (digits == 0 || digits > 3 || value > 255 || (numbers == 0 && value != 127))
			return false;
		numbers++;
		if (*at != '.')
			return *at == '\0' && numbers == 4;
	}
}

static bool is_host_char(char c, bool brackets)
{
	if ((c >= 'a' && c <= 'f') || (c >= '0' && c <= '9') || c == '.')
		return true;
	return brackets ? c == ':' : (c >= 'g' && c <= 'z') || c == '-' || c == '_';
}

/* Copies the host in lower case; an IPv6 address stands in brackets. What follows is the caller's matter. */
static const char *take_host(const char **at, char *out, size_t size)
{
	bool brackets = **at == '[';
	size_t len = brackets ? strcspn(*at, "]/") + 1 : strcspn(*at, ":/");
	if (brackets && (*at)[len - 1] != ']')
		return "has no ']' behind its address";
	if (len <= (brackets ? 2 : 0))
		return "has no host";
	if (len >= size)
		return "has a host name that is too long";
	for (size_t i = 0; i < len; i++) {
		out[i] = lower((*at)[i]);
		bool edge = brackets && (i == 0 || i == len - 1);
		if (!edge && !is_host_char(out[i], brackets))
			return "has a character in its host that no host name has";
	}
	out[len] = '\0';
	*at += len;
	return NULL;
}

static const char *take_port(const char **at, uint64_t *ret_port)
{
	*ret_port = 0;
	if (**at != ':')
		return NULL;
	(*at)++;
	char digits[8];
	size_t len = strcspn(*at, "/");
	if (len == 0 || len >= sizeof(digits))
		return "has no valid port";
	memcpy(digits, *at, len);
	digits[len] = '\0';
	*at += len;
	return text_parse_u64(digits, 65535, ret_port) || *ret_port == 0 ? "has no valid port" : NULL;
}

static const char *take_path(const char *at, char *out, size_t size)
{
	size_t len = strlen(at);
	while (len > 0 && at[len - 1] == '/')
		len--;
	if (len >= size)
		return "has a path that is too long";
	memcpy(out, at, len);
	out[len] = '\0';
	return NULL;
}

/* NULL, or what is wrong with the URL. */
static const char *parse_url(const char *url, struct aws_endpoint *out)
{
	*out = (struct aws_endpoint){0};
	for (const char *c = url; *c; c++)
		if (*c <= ' ' || *c > '~')
			return "has a blank or a character beyond ASCII";
	const char *at = strstr(url, "://");
	size_t scheme = at ? (size_t)(at - url) : 0;
	if ((scheme != 4 && scheme != 5) || lower(url[0]) != 'h' || lower(url[1]) != 't' || lower(url[2]) != 't' ||
	    lower(url[3]) != 'p' || (scheme == 5 && lower(url[4]) != 's'))
		return "does not start with https:// or http://";
	bool secure = scheme == 5;
	text_copy(out->scheme, sizeof(out->scheme), secure ? "https" : "http");
	at += 3;
	if (strpbrk(at, "?#"))
		return "has a query or a fragment";
	if (strchr(at, '@'))
		return "has a user name; keys do not belong there";

	char host[240];
	uint64_t port;
	const char *problem = take_host(&at, host, sizeof(host));
	if (!problem)
		problem = take_port(&at, &port);
	if (!problem && *at && *at != '/')
		problem = "has something behind its host that is no port";
	if (!problem)
		problem = take_path(at, out->base_path, sizeof(out->base_path));
	if (problem)
		return problem;
	if (!secure && !is_loopback(host))
		return "is http to another host than loopback; use https";
	if (port == 0 || port == (secure ? 443 : 80))
		text_copy(out->host, sizeof(out->host), host);
	else
		snprintf(out->host, sizeof(out->host), "%s:%u", host, (unsigned)port);
	return NULL;
}

int endpoint_resolve(credentials_lookup lookup, void *ctx, enum aws_service service, const char *region,
		     struct aws_endpoint *ret, char *ret_error, size_t error_size)
{
	const char *variable = services[service].variable;
	const char *url = NULL;
	if (!is_on(lookup, ctx, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")) {
		url = lookup_filled(lookup, ctx, variable);
		if (!url) {
			variable = "AWS_ENDPOINT_URL";
			url = lookup_filled(lookup, ctx, variable);
		}
	}
	struct aws_endpoint found;
	if (!url) {
		int result = from_region(lookup, ctx, service, region, &found, ret_error, error_size);
		if (!result)
			*ret = found;
		return result;
	}
	const char *problem = parse_url(url, &found);
	if (problem) {
		/* The URL itself is not shown: it may hold a password. */
		snprintf(ret_error, error_size, "%s is unusable: the URL %s", variable, problem);
		return 1;
	}
	*ret = found;
	return 0;
}

const char *endpoint_region_from_env(credentials_lookup lookup, void *ctx)
{
	const char *region = lookup_filled(lookup, ctx, "AWS_REGION");
	return region ? region : lookup_filled(lookup, ctx, "AWS_DEFAULT_REGION");
}
