/* The keys of kind: Service. */
#include "base/limits.h"
#include "base/macros.h"
#include "plan/schema.h"
#include "plan/target.h"
#include "plan/texts.h"

/* In the order of enum api_type, without its first. */
const char *const schema_api_types[] = {"rest", "http", NULL};
static const char *const architectures[] = {"x86_64", "arm64", NULL};
static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "ANY", NULL};

static const struct schema_key *const create_keys[] = {
    [CREATE_ROLE] =
	SCHEMA_KEY(.name = "role", .type = SCHEMA_TEXT, .required = true, .check = texts_check_role,
		   .pattern = "^arn:aws[A-Za-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+$",
		   .example = "arn:aws:iam::123456789012:role/hello", .about = "The role that the function runs as."),
    [CREATE_RUNTIME] = SCHEMA_KEY(.name = "runtime", .type = SCHEMA_TEXT, .check = texts_check_runtime,
				  .pattern = "^[a-z0-9.-]{1,64}$", .example = "python3.12",
				  .about = "Lambda's name of the runtime. Needed but for an image."),
    [CREATE_HANDLER] =
	SCHEMA_KEY(.name = "handler", .type = SCHEMA_TEXT, .check = texts_check_handler, .pattern = "^[!-~]{1,128}$",
		   .example = "index.handler", .about = "What the runtime calls. Needed but for an image."),
    [CREATE_ARCHITECTURE] = SCHEMA_KEY(.name = "architecture", .type = SCHEMA_CHOICE, .choices = architectures,
				       .fallback = "x86_64", .example = "arm64", .about = "The instruction set."),
    [CREATE_MEMORY] = SCHEMA_KEY(.name = "memory", .type = SCHEMA_COUNT, .min = 128, .max = 10240, .fallback = "128",
				 .example = "256", .about = "Megabytes of memory."),
    [CREATE_TIMEOUT] =
	SCHEMA_KEY(.name = "timeout", .type = SCHEMA_DURATION, .min = MS_PER_SECOND, .max = 15 * MS_PER_MINUTE,
		   .fallback = "3s", .example = "10s", .about = "How long one invocation may take, in whole seconds."),
};
const struct schema_object schema_create = {
    .noun = "`create`",
    .place = "in `create`",
    .keys = create_keys,
    .n_keys = array_len(create_keys),
};

static const struct schema_key *const alias_version_keys[] = {
    [VERSION_FROM_ALIAS] = &schema_key_from_alias,
    [VERSION_SOAK] = &schema_key_soak,
};
const struct schema_object schema_alias_version = {
    .noun = "an alias's `version`",
    .place = "in an alias's `version`",
    .keys = alias_version_keys,
    .n_keys = array_len(alias_version_keys),
};

#define PATTERN_FOLLOWED "^([1-9][0-9]*|latest|\\$LATEST)$"

static const struct schema_key *const alias_keys[] = {
    [ALIAS_VERSION] =
	SCHEMA_KEY(.name = "version", .type = SCHEMA_TEXT, .required = true, .min = 1, .check = target_check_followed,
		   .pattern = PATTERN_FOLLOWED, .object = &schema_alias_version, .example = "2",
		   .about = "What the alias serves: a published version's number; `latest`, the newest "
			    "published one; `$LATEST`, the unpublished code; or what another alias "
			    "serves."),
    [ALIAS_ROLLOUT] = SCHEMA_KEY(.name = "rollout", .type = SCHEMA_OBJECT, .object = &schema_how, .fallback = "{}",
				 .example = "{strategy: Linear10PercentEvery1Minute}",
				 .about = "How the alias moves to another version. Left out it is as in a Rollout that "
					  "says nothing: Canary10Percent5Minutes."),
};
const struct schema_object schema_alias = {
    .noun = "an alias",
    .place = "in an alias",
    .keys = alias_keys,
    .n_keys = array_len(alias_keys),
};
static const struct schema_key alias_entry = {
    .name = "an alias",
    .type = SCHEMA_TEXT,
    .min = 1,
    .check = target_check_followed,
    .pattern = PATTERN_FOLLOWED,
    .object = &schema_alias,
    .example = "{version: 2}",
    .about = "What the alias serves: a version's number, `latest`, `$LATEST`, or a mapping that says more.",
};

static const struct schema_key *const route_keys[] = {
    [ROUTE_METHOD] = SCHEMA_KEY(.name = "method", .type = SCHEMA_CHOICE, .required = true, .choices = methods,
				.example = "GET", .about = "The HTTP method; ANY for all of them."),
    [ROUTE_PATH] =
	SCHEMA_KEY(.name = "path", .type = SCHEMA_TEXT, .required = true, .check = texts_check_route,
		   .pattern = "^/$|^(/([A-Za-z0-9._~:-]+|\\{[A-Za-z0-9._-]+\\}))*"
			      "/([A-Za-z0-9._~:-]+|\\{[A-Za-z0-9._-]+\\+?\\})$",
		   .example = "/hello",
		   .about = "The path; `{name}` for one part of it, `{proxy+}` at the end for all the rest."),
};
const struct schema_object schema_route = {
    .noun = "a route",
    .place = "in a route",
    .keys = route_keys,
    .n_keys = array_len(route_keys),
};

static const struct schema_key *const probe_keys[] = {
    [PROBE_PATH] = SCHEMA_KEY(.name = "path", .type = SCHEMA_TEXT, .required = true, .check = texts_check_probe_path,
			      .pattern = "^/[!-~]*$", .example = "/hello",
			      .about = "What is asked for by GET, from the stage's root; a query may follow."),
    [PROBE_EXPECT_STATUS] = SCHEMA_KEY(.name = "expect_status", .type = SCHEMA_COUNT, .min = 100, .max = 599,
				       .fallback = "200", .example = "200", .about = "The status that must come back."),
};
const struct schema_object schema_probe = {
    .noun = "`probe`",
    .place = "in `probe`",
    .keys = probe_keys,
    .n_keys = array_len(probe_keys),
};

static const struct schema_key stage_entry = {
    .name = "a stage",
    .type = SCHEMA_TEXT,
    .check = target_check_alias,
    .pattern = SCHEMA_PATTERN_ALIAS,
    .example = "prod",
    .about = "The alias that the stage's requests reach: one of `aliases`.",
};

static const struct schema_key *const api_keys[] = {
    [API_KEY_NAME] =
	SCHEMA_KEY(.name = "name", .type = SCHEMA_TEXT, .check = texts_check_api_name, .pattern = "^.{1,128}$",
		   .example = "hello-api", .about = "The API's name: it is found by it, or created."),
    [API_KEY_ID] =
	SCHEMA_KEY(.name = "id", .type = SCHEMA_TEXT, .check = texts_check_api_id, .pattern = "^[a-z0-9]{1,32}$",
		   .example = "a1b2c3d4e5", .about = "The id of an API that exists, instead of `name`."),
    [API_KEY_TYPE] = SCHEMA_KEY(.name = "type", .type = SCHEMA_CHOICE, .choices = schema_api_types, .fallback = "rest",
				.example = "http", .about = "A REST API or an HTTP API."),
    [API_KEY_STAGE_VARIABLE] =
	SCHEMA_KEY(.name = "stage_variable", .type = SCHEMA_TEXT, .check = texts_check_stage_variable,
		   .pattern = "^[A-Za-z0-9_]{1,64}$", .fallback = "lambdaAlias", .example = "lambdaAlias",
		   .about = "The stage variable that holds the alias's name."),
    [API_KEY_ROUTES] =
	SCHEMA_KEY(.name = "routes", .type = SCHEMA_LIST, .object = &schema_route, .min = 1,
		   .max = LIMIT_SERVICE_ROUTES, .example = "[{method: GET, path: /hello}]",
		   .about = "What the API answers by the function. Routes that are not named are left alone."),
    [API_KEY_STAGES] = SCHEMA_KEY(.name = "stages", .type = SCHEMA_MAP, .required = true, .entry = &stage_entry,
				  .check = texts_check_stage, .pattern = "^([A-Za-z0-9_]{1,128}|\\$default|-)$",
				  .min = 1, .max = LIMIT_SERVICE_STAGES, .example = "{prod: prod}",
				  .about = "Each stage and its alias. Stages that are not named are left alone."),
    [API_KEY_PROBE] = SCHEMA_KEY(.name = "probe", .type = SCHEMA_OBJECT, .object = &schema_probe,
				 .example = "{path: /hello, expect_status: 200}",
				 .about = "One real request through each stage after a change, and before a rollout of "
					  "its alias counts as succeeded."),
};
const struct schema_object schema_api = {
    .noun = "`api`",
    .place = "in `api`",
    .keys = api_keys,
    .n_keys = array_len(api_keys),
};

static const struct schema_key *const service_keys[] = {
    [ROOT_API_VERSION] = &schema_key_api_version,
    [ROOT_KIND] = &schema_key_kind,
    [ROOT_NAME] = SCHEMA_KEY(.name = "name", .type = SCHEMA_TEXT, .required = true, .check = target_check_name,
			     .pattern = SCHEMA_PATTERN_NAME, .example = "hello",
			     .about = "The service's name, unique among all plans. Its rollouts are called "
				      "SERVICE.ALIAS."),
    [ROOT_FUNCTION] = SCHEMA_KEY(.name = "function", .type = SCHEMA_TEXT, .required = true,
				 .check = target_check_function, .pattern = SCHEMA_PATTERN_FUNCTION, .example = "hello",
				 .about = "The Lambda function: its name, its ARN, or its partial ARN. Without a "
					  "qualifier."),
    [ROOT_REGION] = &schema_key_region,
    [ROOT_ACCOUNT] = &schema_key_account,
    [SERVICE_CODE] = SCHEMA_KEY(.name = "code", .type = SCHEMA_TEXT, .check = texts_check_latest_code,
				.pattern = "^\\$LATEST$", .object = &schema_code, .example = "{zip: build/hello.zip}",
				.about = "Code that is published when it differs from the newest version's: a mapping, "
					 "or `$LATEST` for what stands there. Left out, nothing is published."),
    [SERVICE_CREATE] = SCHEMA_KEY(.name = "create", .type = SCHEMA_OBJECT, .object = &schema_create,
				  .example = "{role: \"arn:aws:iam::123456789012:role/hello\", runtime: python3.12, "
					     "handler: index.handler}",
				  .about = "How the function is created when it does not exist. The configuration of "
					   "one that exists is left alone."),
    [SERVICE_ALIASES] = SCHEMA_KEY(.name = "aliases", .type = SCHEMA_MAP, .entry = &alias_entry,
				   .check = target_check_alias, .pattern = SCHEMA_PATTERN_ALIAS, .min = 1,
				   .max = LIMIT_SERVICE_ALIASES, .example = "{prod: {version: 2}}",
				   .about = "The aliases to keep. One that is missing is created; others are left "
					    "alone."),
    [SERVICE_API] = SCHEMA_KEY(.name = "api", .type = SCHEMA_OBJECT, .object = &schema_api,
			       .example = "{name: hello-api, stages: {prod: prod}}",
			       .about = "The API Gateway API in front of the aliases."),
    [SERVICE_KEEP_VERSIONS] = &schema_key_keep_versions,
    [SERVICE_CHECK_EVERY] = SCHEMA_KEY(.name = "check_every", .type = SCHEMA_DURATION, .min = 10 * MS_PER_SECOND,
				       .max = MS_PER_DAY, .fallback = "1m", .example = "5m",
				       .about = "How often what AWS has is compared with what is declared."),
};
const struct schema_object schema_service = {
    .noun = "a service",
    .place = "at the top level of a Service",
    .keys = service_keys,
    .n_keys = array_len(service_keys),
};
