#include "engine/rights.h"

#include <stdio.h>
#include <string.h>

#include "aws/endpoint.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"

#define WITH(feature)	 (1u << (feature))
#define RESOURCE_MAX	 512
#define SENTENCE_MAX	 1024
#define POLICY_INDENT	 "        "
#define ARN(service)	 "arn:{partition}:" service ":{region}:{account}:"
#define LAMBDA_ARN(name) ARN("lambda") "function:" name
#define GATEWAY_ARN	 "arn:{partition}:apigateway:{region}::"

/* What several operations are allowed on. A policy that names a function needs two resources: one for the function, one
 * for its versions and aliases. */
#define ON_FUNCTION   LAMBDA_ARN("{function}"), LAMBDA_ARN("{function}:*")
#define ON_LATEST     LAMBDA_ARN("{function}"), NULL
#define ON_VERSIONS   LAMBDA_ARN("{function}:*"), NULL
#define ON_HOOK	      LAMBDA_ARN("{hook}"), LAMBDA_ARN("{hook}:*")
#define ON_EVERYTHING "*", NULL
#define ON_REST_APIS  GATEWAY_ARN "/restapis", NULL
#define ON_REST_API   GATEWAY_ARN "/restapis/{api}", GATEWAY_ARN "/restapis/{api}/*"
#define ON_HTTP_APIS  GATEWAY_ARN "/apis", NULL
#define ON_HTTP_API   GATEWAY_ARN "/apis/{api}", GATEWAY_ARN "/apis/{api}/*"
#define ON_ROLE	      "arn:{partition}:iam::{account}:role/{role}", NULL
#define ON_OBJECTS    "arn:{partition}:s3:::{bucket}/*", NULL
#define ON_REPOSITORY ARN("ecr") "repository/{repository}", NULL
#define INDIRECTLY    OPERATION_COUNT
#define ROLLOUTS      WITH(FEATURE_ROLLOUTS)
#define REST_APIS     WITH(FEATURE_REST_APIS)
#define HTTP_APIS     WITH(FEATURE_HTTP_APIS)
#define LISTING_ALIASES                                                                                                \
	(WITH(FEATURE_PROVISIONED) | WITH(FEATURE_PRUNING) | WITH(FEATURE_SERVICES) | WITH(FEATURE_DOCTOR))

static const struct right rights[] = {
    {OPERATION_GET_ALIAS, "lambda:GetAlias", {ON_FUNCTION}, ROLLOUTS},
    {OPERATION_UPDATE_ALIAS, "lambda:UpdateAlias", {ON_FUNCTION}, ROLLOUTS},
    {OPERATION_GET_FUNCTION, "lambda:GetFunction", {ON_FUNCTION}, ROLLOUTS},
    {OPERATION_LIST_VERSIONS, "lambda:ListVersionsByFunction", {ON_FUNCTION}, ROLLOUTS},
    {OPERATION_LIST_CONCURRENCY, "lambda:ListProvisionedConcurrencyConfigs", {ON_FUNCTION}, ROLLOUTS},
    {OPERATION_GET_METRIC_DATA, "cloudwatch:GetMetricData", {ON_EVERYTHING}, ROLLOUTS},
    {OPERATION_DESCRIBE_ALARMS, "cloudwatch:DescribeAlarms", {ON_EVERYTHING}, WITH(FEATURE_ALARMS)},
    {OPERATION_LIST_ALIASES, "lambda:ListAliases", {ON_FUNCTION}, LISTING_ALIASES},
    {OPERATION_PUT_CONCURRENCY, "lambda:PutProvisionedConcurrencyConfig", {ON_FUNCTION}, WITH(FEATURE_PROVISIONED)},
    {OPERATION_DELETE_CONCURRENCY,
     "lambda:DeleteProvisionedConcurrencyConfig",
     {ON_FUNCTION},
     WITH(FEATURE_PROVISIONED)},
    {OPERATION_UPDATE_FUNCTION_CODE, "lambda:UpdateFunctionCode", {ON_LATEST}, WITH(FEATURE_PUBLISHING)},
    {OPERATION_PUBLISH_VERSION, "lambda:PublishVersion", {ON_LATEST}, WITH(FEATURE_PUBLISHING)},
    {INDIRECTLY, "s3:GetObject", {ON_OBJECTS}, WITH(FEATURE_CODE_FROM_S3)},
    {INDIRECTLY, "s3:GetObjectVersion", {ON_OBJECTS}, WITH(FEATURE_CODE_FROM_S3)},
    {INDIRECTLY, "ecr:BatchGetImage", {ON_REPOSITORY}, WITH(FEATURE_CODE_FROM_IMAGE)},
    {INDIRECTLY, "ecr:GetDownloadUrlForLayer", {ON_REPOSITORY}, WITH(FEATURE_CODE_FROM_IMAGE)},
    {OPERATION_DELETE_FUNCTION, "lambda:DeleteFunction", {ON_VERSIONS}, WITH(FEATURE_PRUNING)},
    {OPERATION_INVOKE, "lambda:InvokeFunction", {ON_HOOK}, WITH(FEATURE_HOOKS)},
    {OPERATION_GET_FUNCTION, "lambda:GetFunction", {ON_HOOK}, WITH(FEATURE_HOOKS)},
    {OPERATION_INVOKE, "lambda:InvokeFunction", {ON_VERSIONS}, WITH(FEATURE_PROBE)},
    {OPERATION_CREATE_ALIAS, "lambda:CreateAlias", {ON_FUNCTION}, WITH(FEATURE_SERVICES)},
    {OPERATION_CREATE_FUNCTION, "lambda:CreateFunction", {ON_LATEST}, WITH(FEATURE_CREATE_FUNCTION)},
    {INDIRECTLY, "iam:PassRole", {ON_ROLE}, WITH(FEATURE_CREATE_FUNCTION)},
    {OPERATION_GET_POLICY, "lambda:GetPolicy", {ON_FUNCTION}, REST_APIS | HTTP_APIS},
    {OPERATION_ADD_PERMISSION, "lambda:AddPermission", {ON_FUNCTION}, REST_APIS | HTTP_APIS},
    {OPERATION_REMOVE_PERMISSION, "lambda:RemovePermission", {ON_FUNCTION}, REST_APIS | HTTP_APIS},
    {OPERATION_GET_APIS, "apigateway:GET", {ON_REST_APIS}, REST_APIS},
    {OPERATION_GET_API, "apigateway:GET", {ON_REST_API}, REST_APIS},
    {OPERATION_GET_RESOURCES, "apigateway:GET", {ON_REST_API}, REST_APIS},
    {OPERATION_GET_INTEGRATION, "apigateway:GET", {ON_REST_API}, REST_APIS},
    {OPERATION_GET_STAGES, "apigateway:GET", {ON_REST_API}, REST_APIS},
    {OPERATION_GET_DEPLOYMENTS, "apigateway:GET", {ON_REST_API}, REST_APIS},
    {OPERATION_GET_DEPLOYMENT, "apigateway:GET", {ON_REST_API}, REST_APIS},
    {OPERATION_CREATE_RESOURCE, "apigateway:POST", {ON_REST_API}, REST_APIS},
    {OPERATION_PUT_METHOD, "apigateway:PUT", {ON_REST_API}, REST_APIS},
    {OPERATION_PUT_INTEGRATION, "apigateway:PUT", {ON_REST_API}, REST_APIS},
    {OPERATION_CREATE_DEPLOYMENT, "apigateway:POST", {ON_REST_API}, REST_APIS},
    {OPERATION_CREATE_STAGE, "apigateway:POST", {ON_REST_API}, REST_APIS},
    {OPERATION_UPDATE_STAGE, "apigateway:PATCH", {ON_REST_API}, REST_APIS},
    {OPERATION_CREATE_API, "apigateway:POST", {ON_REST_APIS}, WITH(FEATURE_CREATE_REST_APIS)},
    {OPERATION_GET_APIS, "apigateway:GET", {ON_HTTP_APIS}, HTTP_APIS},
    {OPERATION_GET_API, "apigateway:GET", {ON_HTTP_API}, HTTP_APIS},
    {OPERATION_GET_ROUTES, "apigateway:GET", {ON_HTTP_API}, HTTP_APIS},
    {OPERATION_GET_INTEGRATIONS, "apigateway:GET", {ON_HTTP_API}, HTTP_APIS},
    {OPERATION_GET_STAGES, "apigateway:GET", {ON_HTTP_API}, HTTP_APIS},
    {OPERATION_GET_DEPLOYMENTS, "apigateway:GET", {ON_HTTP_API}, HTTP_APIS},
    {OPERATION_CREATE_INTEGRATION, "apigateway:POST", {ON_HTTP_API}, HTTP_APIS},
    {OPERATION_CREATE_ROUTE, "apigateway:POST", {ON_HTTP_API}, HTTP_APIS},
    {OPERATION_UPDATE_ROUTE, "apigateway:PATCH", {ON_HTTP_API}, HTTP_APIS},
    {OPERATION_CREATE_DEPLOYMENT, "apigateway:POST", {ON_HTTP_API}, HTTP_APIS},
    {OPERATION_CREATE_STAGE, "apigateway:POST", {ON_HTTP_API}, HTTP_APIS},
    {OPERATION_UPDATE_STAGE, "apigateway:PATCH", {ON_HTTP_API}, HTTP_APIS},
    {OPERATION_CREATE_API, "apigateway:POST", {ON_HTTP_APIS}, WITH(FEATURE_CREATE_HTTP_APIS)},
};

static const struct {
	const char *name;
	const char *about;
	unsigned needs; /* bits; of each of these the needs as well */
} features[FEATURE_COUNT] = {
    [FEATURE_ROLLOUTS] = {"rollouts", "`kind: Rollout`: an alias's traffic in steps, its metrics watched", 0},
    [FEATURE_ALARMS] = {"alarms", "`alarm` among the metrics", ROLLOUTS},
    [FEATURE_PROVISIONED] = {"provisioned-concurrency", "functions that have it", ROLLOUTS},
    [FEATURE_PUBLISHING] = {"publishing", "`version: {publish: …}`, and `code:` of a service", ROLLOUTS},
    [FEATURE_CODE_FROM_S3] = {"code-from-s3", "code in S3, which Lambda reads with the caller's rights",
			      WITH(FEATURE_PUBLISHING)},
    [FEATURE_CODE_FROM_IMAGE] = {"code-from-image", "code in a container image", WITH(FEATURE_PUBLISHING)},
    [FEATURE_PRUNING] = {"pruning", "`keep_versions`: old versions are deleted", ROLLOUTS},
    [FEATURE_HOOKS] = {"hooks", "hooks that `invoke` a function", ROLLOUTS},
    [FEATURE_PROBE] = {"probe", "`probe` of an analysis: both versions are invoked", ROLLOUTS},
    [FEATURE_SERVICES] = {"services", "`kind: Service`: its aliases, made where they are missing", ROLLOUTS},
    [FEATURE_CREATE_FUNCTION] = {"create-function", "`create:` of a service, for a function that is not there",
				 WITH(FEATURE_SERVICES) | WITH(FEATURE_PUBLISHING)},
    [FEATURE_REST_APIS] = {"rest-apis", "`api:` of a service, `type: rest`", WITH(FEATURE_SERVICES)},
    [FEATURE_CREATE_REST_APIS] = {"create-rest-apis", "… and the API is made where it is not there", REST_APIS},
    [FEATURE_HTTP_APIS] = {"http-apis", "`api:` of a service, `type: http`", WITH(FEATURE_SERVICES)},
    [FEATURE_CREATE_HTTP_APIS] = {"create-http-apis", "… and the API is made where it is not there", HTTP_APIS},
    [FEATURE_DOCTOR] = {"doctor", "`rolloutctl diff` and `doctor` of a rollout's plan", ROLLOUTS},
};

static const struct {
	const char *name;
	const char *extra; /* what its text may have besides letters, digits, "-", "_", "*" and "?" */
	size_t max;	   /* of one */
	bool several;
} parts[PART_COUNT] = {
    [PART_FUNCTION] = {"function", "", 64, true}, [PART_HOOK] = {"hook", "", 64, true},
    [PART_REGION] = {"region", "", 32, false},	  [PART_ACCOUNT] = {"account", "", 12, false},
    [PART_API] = {"api", "", 32, true},		  [PART_ROLE] = {"role", "/+=,.@", 128, false},
    [PART_BUCKET] = {"bucket", ".", 63, true},	  [PART_REPOSITORY] = {"repository", "/.", 256, true},
};

size_t rights_count(void)
{
	return array_len(rights);
}

const struct right *rights_at(size_t index)
{
	require(index < array_len(rights));
	return &rights[index];
}

bool rights_are_needed(enum engine_operation operation)
{
	return operation != OPERATION_GET_CALLER_IDENTITY;
}

const char *rights_feature_name(enum right_feature f)
{
	return features[f].name;
}

const char *rights_feature_about(enum right_feature f)
{
	return features[f].about;
}

unsigned rights_feature_closure(enum right_feature f)
{
	unsigned closed = WITH(f), before;

	do {
		before = closed;
		for (size_t n = 0; n < FEATURE_COUNT; n++) {
			if (closed & WITH(n))
				closed |= features[n].needs;
		}
	} while (closed != before);
	return closed;
}

const char *rights_part_name(enum right_part p)
{
	return parts[p].name;
}

static bool is_part_char(enum right_part p, char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       strchr("-_*?", c) != NULL || strchr(parts[p].extra, c) != NULL;
}

static bool is_account(const char *text)
{
	return strcmp(text, "*") == 0 || (strlen(text) == 12 && strspn(text, "0123456789") == 12);
}

bool rights_part_is_valid(enum right_part p, const char *text)
{
	size_t len = 0;

	if (p == PART_ACCOUNT)
		return is_account(text);
	for (; *text; text++) {
		if (parts[p].several && *text == ',' && len > 0) {
			len = 0;
			continue;
		}
		if (!is_part_char(p, *text) || ++len > parts[p].max)
			return false;
	}
	return len > 0;
}

/* --- resources --- */

/* Up to the next comma, where there may be several. */
static size_t part_len(enum right_part p, const char *text)
{
	return parts[p].several ? strcspn(text, ",") : strlen(text);
}

static const char *part_text(const struct rights_wish *w, enum right_part p)
{
	return w->parts[p] ? w->parts[p] : "*";
}

/* Copies the template with its names filled in, those of `several` with the text that is given. */
static void fill_in(const struct rights_wish *w, const char *template, enum right_part several, const char *text,
		    size_t len, struct buf *out)
{
	while (*template) {
		size_t plain = strcspn(template, "{"), name;
		buf_add(out, template, plain);
		template += plain;
		if (!*template)
			break;
		name = strcspn(++template, "}");
		if (strncmp(template, "partition", name) == 0)
			buf_add_text(out, endpoint_partition(part_text(w, PART_REGION)));
		for (enum right_part p = 0; p < PART_COUNT; p++) {
			if (strlen(parts[p].name) != name || strncmp(template, parts[p].name, name) != 0)
				continue;
			if (p == several)
				buf_add(out, text, len);
			else
				buf_add_text(out, part_text(w, p));
		}
		template += name + 1;
	}
}

/* The part of a template of which there may be several; PART_COUNT: none. */
static enum right_part several_of(const char *template)
{
	char name[32];

	for (enum right_part p = 0; p < PART_COUNT; p++) {
		(void)snprintf(name, sizeof(name), "{%s}", parts[p].name);
		if (parts[p].several && strstr(template, name))
			return p;
	}
	return PART_COUNT;
}

static void add_string(struct buf *out, const char *text, bool *first)
{
	buf_add_text(out, *first ? "\n" POLICY_INDENT : ",\n" POLICY_INDENT);
	buf_add_json_string(out, text);
	*first = false;
}

static void add_resources(const struct rights_wish *w, const char *template, struct buf *out, bool *first)
{
	enum right_part several = several_of(template);
	const char *text = several < PART_COUNT ? part_text(w, several) : "";

	do {
		struct buf resource cleanup(buf_deinit) = BUF_INIT(RESOURCE_MAX);
		size_t len = several < PART_COUNT ? part_len(several, text) : 0;

		fill_in(w, template, several, text, len, &resource);
		add_string(out, buf_text(&resource), first);
		text += len + (text[len] == ',');
	} while (*text);
}

/* --- policies --- */

static bool same_resources(const struct right *a, const struct right *b)
{
	if (strcmp(a->resources[0], b->resources[0]) != 0 || !a->resources[1] != !b->resources[1])
		return false;
	return !a->resources[1] || strcmp(a->resources[1], b->resources[1]) == 0;
}

/* Whether an earlier right that is wished for makes this one's statement, or even this action in it. */
static bool came_before(const struct rights_wish *w, size_t index, bool action)
{
	for (size_t n = 0; n < index; n++) {
		if ((rights[n].features & w->features) && same_resources(&rights[n], &rights[index]) &&
		    (!action || strcmp(rights[n].action, rights[index].action) == 0))
			return true;
	}
	return false;
}

static void print_statement(const struct rights_wish *w, size_t index, unsigned number, struct buf *out)
{
	const struct right *r = &rights[index];
	bool first = true;

	buf_addf(out, "%s\n    {\n      \"Sid\": \"Rolloutd%u\",\n      \"Effect\": \"Allow\",\n      \"Action\": [",
		 number > 1 ? "," : "", number);
	for (size_t n = index; n < array_len(rights); n++) {
		if ((rights[n].features & w->features) && same_resources(&rights[n], r) && !came_before(w, n, true))
			add_string(out, rights[n].action, &first);
	}
	buf_add_text(out, "\n      ],\n      \"Resource\": [");
	first = true;
	for (size_t n = 0; n < array_len(r->resources) && r->resources[n]; n++)
		add_resources(w, r->resources[n], out, &first);
	buf_add_text(out, "\n      ]");
	if (strcmp(r->action, "iam:PassRole") == 0)
		buf_add_text(out, ",\n      \"Condition\": {\n        \"StringEquals\": "
				  "{\"iam:PassedToService\": \"lambda.amazonaws.com\"}\n      }");
	buf_add_text(out, "\n    }");
}

void rights_print_policy(const struct rights_wish *wish, struct buf *out)
{
	unsigned number = 0;

	buf_add_text(out, "{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [");
	for (size_t n = 0; n < array_len(rights); n++) {
		if ((rights[n].features & wish->features) && !came_before(wish, n, false))
			print_statement(wish, n, ++number, out);
	}
	buf_add_text(out, "\n  ]\n}\n");
}

/* --- the document --- */

static void print_features(unsigned which, struct buf *out)
{
	const char *comma = "";

	for (size_t f = 0; f < FEATURE_COUNT; f++) {
		if (which & WITH(f))
			buf_addf(out, "%s`%s`", comma, features[f].name);
		if (which & WITH(f))
			comma = ", ";
	}
}

/* Without what every ARN begins with; "a and b" where there are two. */
static void print_resources(const struct right *r, struct buf *out)
{
	for (size_t n = 0; n < array_len(r->resources) && r->resources[n]; n++) {
		const char *text = r->resources[n];
		const char *from = strstr(text, "function:");

		if (!from)
			from = strchr(text, '/') && strstr(text, "apigateway") ? strchr(text, '/') : text;
		buf_addf(out, "%s`%s`", n > 0 ? ", " : "", from);
	}
}

void rights_print_document(struct buf *out)
{
	buf_add_text(out, "| feature | what for | has those of |\n|---|---|---|\n");
	for (enum right_feature f = 0; f < FEATURE_COUNT; f++) {
		buf_addf(out, "| `%s` | %s | ", features[f].name, features[f].about);
		print_features(rights_feature_closure(f) & ~WITH(f), out);
		buf_add_text(out, " |\n");
	}
	buf_add_text(out, "\n| operation | action | resource | feature |\n|---|---|---|---|\n");
	for (size_t n = 0; n < array_len(rights); n++) {
		const struct right *r = &rights[n];

		buf_addf(out, "| %s | `%s` | ",
			 r->operation < OPERATION_COUNT ? engine_operation_name(r->operation) : "", r->action);
		print_resources(r, out);
		buf_add_text(out, " | ");
		print_features(r->features, out);
		buf_add_text(out, " |\n");
	}
}

/* --- a right that is missing --- */

static bool is_gateway(const struct right *r)
{
	return text_starts_with(r->action, "apigateway:");
}

/* The first right of the operation that is about such a path: REST and HTTP APIs share operations. */
static const struct right *find_right(enum engine_operation operation, const char *path)
{
	bool http = strstr(path, "/v2/apis") != NULL;

	for (size_t n = 0; n < array_len(rights); n++) {
		const struct right *r = &rights[n];

		if (r->operation == operation && (!is_gateway(r) || http == (strstr(r->resources[0], "/apis") != NULL)))
			return r;
	}
	return NULL;
}

static void add_decoded(struct buf *out, const char *text, size_t len)
{
	for (size_t n = 0; n < len; n++) {
		int decoded = text_percent_byte(text + n, len - n);
		buf_add_char(out, decoded >= 0 ? (char)decoded : text[n]);
		n += decoded >= 0 ? 2 : 0;
	}
}

/* Behind whatever the endpoint's own path is. IAM's resources of HTTP APIs have no "/v2". */
static const char *gateway_path(const char *path)
{
	const char *rest = strstr(path, "/restapis"), *http = strstr(path, "/v2/apis");

	return rest ? rest : http ? http + strlen("/v2") : "/*";
}

/* The ARN that the request was about; the account's number is not known here. */
static void add_resource(const struct right *r, const char *region, const char *path, struct buf *out)
{
	const char *function = strstr(path, "/functions/");

	if (strcmp(r->resources[0], "*") == 0) {
		buf_add_text(out, "*");
		return;
	}
	if (is_gateway(r)) {
		path = gateway_path(path);
		buf_addf(out, "arn:%s:apigateway:%s::", endpoint_partition(region), region);
		add_decoded(out, path, strlen(path));
		return;
	}
	/* The function's name is in the body of CreateFunction alone. */
	function = function ? function + strlen("/functions/") : "*";
	if (!text_starts_with(function, "arn%3A"))
		buf_addf(out, "arn:%s:lambda:%s:*:function:", endpoint_partition(region), region);
	add_decoded(out, function, strcspn(function, "/"));
}

void rights_name_missing(enum engine_operation operation, const char *region, const char *path, struct aws_error *e)
{
	const struct right *r = find_right(operation, path);
	struct buf text cleanup(buf_deinit) = BUF_INIT(SENTENCE_MAX);
	struct buf resource cleanup(buf_deinit) = BUF_INIT(RESOURCE_MAX);

	if (!r || text_starts_with(e->message, AWS_ERROR_RIGHT_MISSING))
		return;
	add_resource(r, region, path, &resource);
	buf_addf(&text, AWS_ERROR_RIGHT_MISSING "%s on %s", r->action, buf_text(&resource));
	if (*e->message)
		buf_addf(&text, ": %s", e->message);
	text_copy_printable(e->message, sizeof(e->message), buf_text(&text));
}
