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
	const char *service_id;
} services[AWS_N_SERVICES] = {
    [AWS_LAMBDA] = {"lambda", "lambda", "lambda", "AWS_ENDPOINT_URL_LAMBDA", "lambda"},
    [AWS_CLOUDWATCH] = {"cloudwatch", "monitoring", "monitoring", "AWS_ENDPOINT_URL_CLOUDWATCH", "cloudwatch"},
    [AWS_APIGATEWAY] = {"apigateway", "apigateway", "apigateway", "AWS_ENDPOINT_URL_API_GATEWAY", "api_gateway"},
    [AWS_APIGATEWAY_V2] = {"apigatewayv2", "apigateway", "apigateway", "AWS_ENDPOINT_URL_APIGATEWAYV2", "apigatewayv2"},
    [AWS_STS] = {"sts", "sts", "sts", "AWS_ENDPOINT_URL_STS", "sts"},
    [AWS_SSO] = {"sso", "awsssoportal", "portal.sso", "AWS_ENDPOINT_URL_SSO", "sso"},
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

const char *endpoint_suffix(const char *region)
{
	return partition_of(region)->suffix;
}

const char *endpoint_signing_name(enum aws_service s)
{
	return services[s].signing_name;
}

const char *endpoint_service_name(enum aws_service s)
{
	return services[s].name;
}

/* --- settings --- */

static const char *filled(const char *value)
{
	return value && *value ? value : NULL;
}

static const char *from_env(const struct endpoint_settings *s, const char *name)
{
	return s->env ? filled(s->env(s->env_ctx, name)) : NULL;
}

static const char *from_profile(const struct endpoint_settings *s, const char *key)
{
	return s->profile_get ? filled(s->profile_get(s->ctx, key)) : NULL;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* "true" in any case, as the SDKs read their switches; the environment's word goes before the profile's. */
static bool is_on(const struct endpoint_settings *s, const char *variable, const char *key)
{
	const char *value = from_env(s, variable);
	const char *want = "true";
	if (!value)
		value = from_profile(s, key);
	while (value && *want && lower(*value) == *want) {
		value++;
		want++;
	}
	return value && !*want && !*value;
}

/* --- from the region --- */

/* CloudWatch's, STS's and SSO's own hosts are the validated ones in GovCloud, so they have no second name there. */
static bool has_fips_name(enum aws_service service, const char *region, bool dualstack)
{
	if (!text_starts_with(region, "us-gov-"))
		return true;
	return service != AWS_CLOUDWATCH && ((service != AWS_STS && service != AWS_SSO) || dualstack);
}

static int from_region(const struct endpoint_settings *s, enum aws_service service, const char *region,
		       struct aws_endpoint *ret, char *ret_error, size_t error_size)
{
	/* It becomes a part of a host name. "aws-global" and the like stand for all regions at once. */
	if (!text_is_name(region, 63) || text_ends_with(region, "-global")) {
		char shown[80];
		text_copy_printable(shown, sizeof(shown), region);
		snprintf(ret_error, error_size, "\"%s\" is no AWS region; a region looks like eu-west-1", shown);
		return 1;
	}
	const struct partition *p = partition_of(region);
	bool dualstack = is_on(s, "AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint");
	bool fips = is_on(s, "AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint") && has_fips_name(service, region, dualstack);
	*ret = (struct aws_endpoint){.scheme = "https"};
	snprintf(ret->host, sizeof(ret->host), "%s%s.%s.%s", services[service].host_prefix, fips ? "-fips" : "", region,
		 dualstack ? p->dualstack_suffix : p->suffix);
	return 0;
}

/* --- from a URL --- */

static bool is_loopback(const char *host)
{
	return strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 || text_is_loopback(host, strlen(host));
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

/* Whether a name in the profile leads nowhere: AWS itself would be asked then, which nobody meant. */
static bool lacks_services(const struct endpoint_settings *s, const char **ret_name)
{
	*ret_name = from_profile(s, "services");
	return *ret_name && s->has_services && !s->has_services(s->ctx, *ret_name);
}

/* *ret_url NULL: none is configured. ret_setting: where it came from, for people. Returns 0, or 1 with ret_error. */
static int configured_url(const struct endpoint_settings *s, enum aws_service service, const char **ret_url,
			  char *ret_setting, size_t size, char *ret_error, size_t error_size)
{
	const char *id = services[service].service_id, *name;
	*ret_url = NULL;
	if (is_on(s, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "ignore_configured_endpoint_urls"))
		return 0;
	text_copy(ret_setting, size, services[service].variable);
	if ((*ret_url = from_env(s, ret_setting)))
		return 0;
	text_copy(ret_setting, size, "AWS_ENDPOINT_URL");
	if ((*ret_url = from_env(s, ret_setting)))
		return 0;
	if (lacks_services(s, &name)) {
		char shown[80];
		text_copy_printable(shown, sizeof(shown), name);
		snprintf(ret_error, error_size,
			 "the profile names [services %s], which the AWS config file does not have", shown);
		return 1;
	}
	snprintf(ret_setting, size, "endpoint_url of %s in the profile's [services] section", id);
	if (s->service_get && (*ret_url = filled(s->service_get(s->ctx, id, "endpoint_url"))))
		return 0;
	text_copy(ret_setting, size, "the profile's endpoint_url");
	*ret_url = from_profile(s, "endpoint_url");
	return 0;
}

static int find_place(const struct endpoint_settings *settings, enum aws_service service, const char *region,
		      struct aws_endpoint *ret, char *ret_error, size_t error_size)
{
	char setting[80];
	const char *url;
	if (configured_url(settings, service, &url, setting, sizeof(setting), ret_error, error_size))
		return 1;
	if (!url)
		return from_region(settings, service, region, ret, ret_error, error_size);
	const char *problem = parse_url(url, ret);
	if (problem) {
		/* The URL itself is not shown: it may hold a password. */
		snprintf(ret_error, error_size, "%s is unusable: the URL %s", setting, problem);
		return 1;
	}
	return 0;
}

int endpoint_resolve(const struct endpoint_settings *settings, enum aws_service service, const char *region,
		     struct aws_endpoint *ret, char *ret_error, size_t error_size)
{
	struct aws_endpoint found = {.host = ""};
	const char *bundle = from_profile(settings, "ca_bundle");
	if (find_place(settings, service, region, &found, ret_error, error_size))
		return 1;
	if (bundle && !text_copy(found.ca_bundle, sizeof(found.ca_bundle), bundle)) {
		snprintf(ret_error, error_size, "the profile's ca_bundle is a path of more than %zu characters",
			 sizeof(found.ca_bundle) - 1);
		return 1;
	}
	*ret = found;
	return 0;
}

const char *endpoint_region(const struct endpoint_settings *settings)
{
	const char *region = from_env(settings, "AWS_REGION");
	if (!region)
		region = from_env(settings, "AWS_DEFAULT_REGION");
	return region ? region : from_profile(settings, "region");
}

bool endpoint_is_here(const struct aws_endpoint *e)
{
	char host[sizeof(e->host)];
	char *port;

	text_copy(host, sizeof(host), e->host);
	port = strrchr(host, ':');
	if (port && !strchr(port, ']'))
		*port = '\0';
	return is_loopback(host);
}
