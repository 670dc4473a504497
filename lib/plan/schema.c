#include "plan/schema.h"

#include <string.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/macros.h"
#include "plan/target.h"
#include "plan/texts.h"

static const char *const api_versions[] = {"rolloutd/v1", NULL};
static const char *const kinds[] = {"Rollout", "Service", NULL}; /* SCHEMA_KIND_… */
/* In the order of enum spec_reaction, of spec.start_manual and of spec.experiment_ends_home, from true to false. */
const char *const schema_reactions[] = {"rollback", "pause", NULL};
static const char *const starts[] = {"auto", "manual", NULL};
static const char *const thens[] = {"back", "on", NULL};

static const struct schema_key *const step_keys[] = {
    [STEP_WEIGHT] =
	SCHEMA_KEY(.name = "weight", .type = SCHEMA_PERCENT_BP, .required = true, .min = 1, .max = 10000,
		   .example = "5%",
		   .about = "The new version's share of the alias's traffic, with at most two decimals. Weights rise "
			    "from step to step; 100% may only be the last one."),
    [STEP_BAKE] =
	SCHEMA_KEY(.name = "bake", .type = SCHEMA_DURATION, .min = 0, .max = LIMIT_BAKE_MS, .example = "5m",
		   .about =
		       "How long the weight is held while the new version is watched. Needed for every step before "
		       "100%; at 100% it is the final bake."),
    [STEP_MIN_INVOCATIONS] =
	SCHEMA_KEY(.name = "min_invocations", .type = SCHEMA_COUNT, .min = 0, .max = SCHEMA_COUNT_MAX, .fallback = "0",
		   .example = "500",
		   .about = "The step does not end before the new version has served this many requests in "
			    "it."),
    [STEP_APPROVE] = SCHEMA_KEY(.name = "approve", .type = SCHEMA_BOOL, .fallback = "false", .example = "true",
				.about = "After the step, wait for `rolloutctl promote`."),
};
const struct schema_object schema_step = {
    .noun = "a step",
    .place = "in a step",
    .keys = step_keys,
    .n_keys = array_len(step_keys),
};

static const struct schema_key *const experiment_keys[] = {
    [EXPERIMENT_WEIGHT] =
	SCHEMA_KEY(.name = "weight", .type = SCHEMA_PERCENT_BP, .required = true, .min = 1, .max = 9999,
		   .example = "50%", .about = "The new version's share of the alias's traffic, below 100%."),
    [EXPERIMENT_FOR] = SCHEMA_KEY(.name = "for", .type = SCHEMA_DURATION, .required = true, .min = 1,
				  .max = LIMIT_BAKE_MS, .example = "24h", .about = "How long both versions serve."),
    [EXPERIMENT_THEN] =
	SCHEMA_KEY(.name = "then", .type = SCHEMA_CHOICE, .choices = thens, .fallback = "back", .example = "on",
		   .about = "back: all traffic to the stable version, whatever was found. on: to the new one, if "
			    "nothing speaks against it."),
};
const struct schema_object schema_experiment = {
    .noun = "`experiment`",
    .place = "in `experiment`",
    .keys = experiment_keys,
    .n_keys = array_len(experiment_keys),
};

static const struct schema_key *const hook_keys[] = {
    [HOOK_INVOKE] = SCHEMA_KEY(
	    .name = "invoke", .type = SCHEMA_TEXT, .check = texts_check_invoke,
	    .pattern =
		"^((arn:aws[A-Za-z-]*:lambda:[a-z]+(-[a-z]+)+-[0-9]{1,2}:)?[0-9]{12}:function:)?[A-Za-z0-9_-]{1,64}"
		"(:([A-Za-z0-9_-]{1,128}|\\$LATEST))?$",
	    .example = "hello-smoke",
	    .about = "A Lambda function that is invoked: its name or ARN, with or without a qualifier. It is told "
		     "function, alias, version and rollout; its error, or its answer, can be a no."),
    [HOOK_EXEC] =
	SCHEMA_KEY(.name = "exec", .type = SCHEMA_TEXT, .check = texts_check_program,
		   .pattern = "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}$", .example = "notify-chat",
		   .about =
		       "A program in hooks_dir, run without a shell and in a clean environment. Exit code 0 is a yes."),
    [HOOK_HTTP] = SCHEMA_KEY(
	    .name = "http", .type = SCHEMA_TEXT, .check = texts_check_url, .pattern = TEXTS_PATTERN_URL,
	    .example = "https://chat.example.com/hooks/rollout",
	    .about = "A URL that gets a POST of JSON: https, or http to the loopback only. A status of 2xx is a yes."),
    [HOOK_TIMEOUT] = SCHEMA_KEY(.name = "timeout", .type = SCHEMA_DURATION, .min = MS_PER_SECOND,
				.max = LIMIT_HOOK_TIMEOUT_MS, .fallback = "5m", .example = "5m",
				.about = "How long it may take; `invoke` at most 15m. Longer is a no."),
};
const struct schema_object schema_hook = {
    .noun = "a hook",
    .place = "in a hook",
    .keys = hook_keys,
    .n_keys = array_len(hook_keys),
};

static const struct schema_key *const hooks_keys[] = {
    [HOOKS_PRE_TRAFFIC] = SCHEMA_KEY(.name = "pre_traffic", .type = SCHEMA_OBJECT, .object = &schema_hook,
				     .example = "{invoke: hello-smoke, timeout: 5m}",
				     .about = "Asked before any traffic moves; a no ends the rollout there."),
    [HOOKS_POST_TRAFFIC] =
	SCHEMA_KEY(.name = "post_traffic", .type = SCHEMA_OBJECT, .object = &schema_hook,
		   .example = "{exec: notify-chat}",
		   .about = "Asked once all traffic is on the new version, before the final bake; a no is a failure."),
};
const struct schema_object schema_hooks = {
    .noun = "`hooks`",
    .place = "in `hooks`",
    .keys = hooks_keys,
    .n_keys = array_len(hooks_keys),
};

static const struct schema_key *const verify_keys[] = {
    [VERIFY_URL] = SCHEMA_KEY(.name = "url", .type = SCHEMA_TEXT, .required = true, .check = texts_check_url,
			      .pattern = TEXTS_PATTERN_URL, .example = "https://api.example.com/hello",
			      .about = "What is asked for by GET: https, or http to the loopback only."),
    [VERIFY_EXPECT_STATUS] =
	SCHEMA_KEY(.name = "expect_status", .type = SCHEMA_COUNT, .min = 100, .max = 599, .fallback = "200",
		   .example = "200", .about = "The status that must come back."),
};
const struct schema_object schema_verify = {
    .noun = "an item of `verify`",
    .place = "in an item of `verify`",
    .keys = verify_keys,
    .n_keys = array_len(verify_keys),
};

static const struct schema_key key_strategy = {
    .name = "strategy",
    .type = SCHEMA_TEXT,
    .pattern = "^(CodeDeployDefault\\.(Lambda)?)?(AllAtOnce|Canary[1-9][0-9]?Percent[1-9][0-9]*Minutes?|"
	       "Linear[1-9][0-9]?PercentEvery[1-9][0-9]*Minutes?)$",
    .example = "Linear10PercentEvery1Minute",
    .about = "A schedule by its CodeDeploy name, with any numbers, instead of `steps`. With neither, it is "
	     "Canary10Percent5Minutes."};
static const struct schema_key key_steps = {.name = "steps",
					    .type = SCHEMA_LIST,
					    .object = &schema_step,
					    .min = 1,
					    .max = LIMIT_STEPS + 1, /* 100% is one more */
					    .example = "[{weight: 5%, bake: 5m}]",
					    .about = "The weights, one after the other, before all traffic moves."};
static const struct schema_key key_experiment = {
    .name = "experiment",
    .type = SCHEMA_OBJECT,
    .object = &schema_experiment,
    .example = "{weight: 50%, for: 24h}",
    .about = "Instead of `steps` and `strategy`: both versions serve beside each other for a time, and are compared."};
static const struct schema_key key_final_bake = {
    .name = "final_bake",
    .type = SCHEMA_DURATION,
    .min = 0,
    .max = LIMIT_BAKE_MS,
    .fallback = "0s",
    .example = "15m",
    .about = "How long the new version is watched at 100%, the stable one ready to come back."};
static const struct schema_key key_analysis = {.name = "analysis",
					       .type = SCHEMA_OBJECT,
					       .object = &schema_analysis,
					       .fallback = "{}",
					       .example = "{metrics: [{errors: {max_rate: 1%}}]}",
					       .about = "How the new version is judged."};
static const struct schema_key key_on_failure = {
    .name = "on_failure",
    .type = SCHEMA_CHOICE,
    .choices = schema_reactions,
    .fallback = "rollback",
    .example = "rollback",
    .about = "What a failed verdict does: all traffic back at once, or stop and wait for an operator."};
static const struct schema_key key_start = {.name = "start",
					    .type = SCHEMA_CHOICE,
					    .choices = starts,
					    .fallback = "auto",
					    .example = "auto",
					    .about = "manual: wait in pending for `rolloutctl promote`."};
static const struct schema_key key_from_strategy = {
    .name = "from_strategy",
    .type = SCHEMA_TEXT,
    .example = "Linear10PercentEvery1Minute",
    .about = "For display only: the strategy that `steps` were written out from. rolloutd writes it "
	     "into the normalised form of a plan; the steps must be that strategy's."};

static const struct schema_key key_hooks = {
    .name = "hooks",
    .type = SCHEMA_OBJECT,
    .object = &schema_hooks,
    .example = "{pre_traffic: {invoke: hello-smoke}}",
    .about = "A function, a program or a URL that must agree before or after traffic moves."};
static const struct schema_key key_verify = {
    .name = "verify",
    .type = SCHEMA_LIST,
    .object = &schema_verify,
    .min = 1,
    .max = LIMIT_VERIFY,
    .example = "[{url: \"https://api.example.com/hello\", expect_status: 200}]",
    .about = "Requests that must be answered so once all traffic is on the new version; otherwise it goes back."};

#define HOW_KEYS(at)                                                                                                   \
	[(at) + HOW_STRATEGY] = &key_strategy, [(at) + HOW_STEPS] = &key_steps,                                        \
		[(at) + HOW_EXPERIMENT] = &key_experiment, [(at) + HOW_FINAL_BAKE] = &key_final_bake,                  \
		[(at) + HOW_ANALYSIS] = &key_analysis, [(at) + HOW_HOOKS] = &key_hooks,                                \
		[(at) + HOW_VERIFY] = &key_verify, [(at) + HOW_ON_FAILURE] = &key_on_failure,                          \
		[(at) + HOW_START] = &key_start, [(at) + HOW_FROM_STRATEGY] = &key_from_strategy

static const struct schema_key *const how_keys[] = {HOW_KEYS(0)};
const struct schema_object schema_how = {
    .noun = "`rollout`",
    .place = "in `rollout`",
    .keys = how_keys,
    .n_keys = array_len(how_keys),
};

static const struct schema_key *const s3_keys[] = {
    [S3_BUCKET] = SCHEMA_KEY(.name = "bucket", .type = SCHEMA_TEXT, .required = true, .check = texts_check_bucket,
			     .pattern = "^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", .example = "builds",
			     .about = "The bucket, in the function's region."),
    [S3_KEY] = SCHEMA_KEY(.name = "key", .type = SCHEMA_TEXT, .required = true, .check = texts_check_object_key,
			  .pattern = "^.{1,1024}$", .example = "hello/1.zip", .about = "The object's key."),
    [S3_VERSION] = SCHEMA_KEY(
	    .name = "version", .type = SCHEMA_TEXT, .check = texts_check_object_key, .pattern = "^.{1,1024}$",
	    .example = "3HL4kqtJvjVBH40Nrjfkd",
	    .about = "The object's version. Without one, a new upload under the same key is noticed by its hash only."),
};
const struct schema_object schema_s3 = {
    .noun = "`s3`",
    .place = "in `s3`",
    .keys = s3_keys,
    .n_keys = array_len(s3_keys),
};

static const struct schema_key *const code_keys[] = {
    [CODE_KEY_ZIP] =
	SCHEMA_KEY(.name = "zip", .type = SCHEMA_TEXT, .check = texts_check_path, .pattern = "^.{1,1024}$",
		   .example = "build/hello.zip",
		   .about = "A zip file on the daemon's host; relative to the plans folder. At most 50 MiB."),
    [CODE_KEY_S3] = SCHEMA_KEY(.name = "s3", .type = SCHEMA_OBJECT, .object = &schema_s3,
			       .example = "{bucket: builds, key: hello/1.zip}", .about = "A zip file in S3."),
    [CODE_KEY_IMAGE] = SCHEMA_KEY(.name = "image", .type = SCHEMA_TEXT, .check = texts_check_image,
				  .pattern = "^[A-Za-z0-9][A-Za-z0-9._/:@-]{0,510}$",
				  .example = "123456789012.dkr.ecr.us-east-1.amazonaws.com/hello:1",
				  .about = "The URI of a container image, by tag or by digest."),
    [CODE_KEY_DESCRIPTION] = SCHEMA_KEY(.name = "description", .type = SCHEMA_TEXT, .check = texts_check_description,
					.pattern = "^.{1,256}$", .example = "build 117",
					.about = "The description of the version that is published."),
};
const struct schema_object schema_code = {
    .noun = "code to publish",
    .place = "in code to publish",
    .keys = code_keys,
    .n_keys = array_len(code_keys),
};

const struct schema_key schema_key_from_alias = {.name = "from_alias",
						 .type = SCHEMA_TEXT,
						 .check = target_check_alias,
						 .pattern = SCHEMA_PATTERN_ALIAS,
						 .example = "test",
						 .about =
						     "The version that this other alias serves, with all its traffic."};
const struct schema_key schema_key_soak = {.name = "soak",
					   .type = SCHEMA_DURATION,
					   .min = 0,
					   .max = LIMIT_BAKE_MS,
					   .fallback = "0s",
					   .example = "2h",
					   .about = "How long the other alias must have served it."};

static const struct schema_key *const version_keys[] = {
    [VERSION_FROM_ALIAS] = &schema_key_from_alias,
    [VERSION_SOAK] = &schema_key_soak,
    [VERSION_PUBLISH] = SCHEMA_KEY(.name = "publish", .type = SCHEMA_OBJECT, .object = &schema_code,
				   .example = "{zip: build/hello.zip}",
				   .about = "Publishes a version first: of a zip file, of S3, of an image, or with {} "
					    "of $LATEST as it stands. When "
					    "nothing is new, none is published."),
};
const struct schema_object schema_rollout_version = {
    .noun = "`version`",
    .place = "in the `version` of a Rollout",
    .keys = version_keys,
    .n_keys = array_len(version_keys),
};

const struct schema_key schema_key_api_version = {.name = "apiVersion",
						  .type = SCHEMA_CHOICE,
						  .required = true,
						  .choices = api_versions,
						  .example = "rolloutd/v1",
						  .about = "The format of this file."};
const struct schema_key schema_key_kind = {.name = "kind",
					   .type = SCHEMA_CHOICE,
					   .required = true,
					   .choices = kinds,
					   .example = "Rollout",
					   .about = "What this file describes."};
const struct schema_key schema_key_region = {
    .name = "region",
    .type = SCHEMA_TEXT,
    .check = target_check_region,
    .pattern = "^[a-z]+(-[a-z]+)+-[0-9]{1,2}$",
    .example = "us-east-1",
    .about = "The AWS region. Left out it is the ARN's, the account's or the configuration's."};
const struct schema_key schema_key_account = {.name = "account",
					      .type = SCHEMA_TEXT,
					      .check = target_check_account,
					      .pattern = "^[A-Za-z0-9._-]{1,64}$",
					      .fallback = "default",
					      .example = "prod-eu",
					      .about =
						  "The AWS identity to use: a name under `accounts` in rolloutd.yaml."};
const struct schema_key schema_key_keep_versions = {
    .name = "keep_versions",
    .type = SCHEMA_COUNT,
    .min = 1,
    .max = 1000,
    .example = "10",
    .about = "How many of the newest published versions are kept; older ones are deleted, but never one that any alias "
	     "names. Left out, none are deleted."};

static const struct schema_key *const plan_keys[] = {
    [ROOT_API_VERSION] = &schema_key_api_version,
    [ROOT_KIND] = &schema_key_kind,
    [ROOT_NAME] = SCHEMA_KEY(.name = "name", .type = SCHEMA_TEXT, .required = true, .check = target_check_rollout_name,
			     .pattern = SCHEMA_PATTERN_NAME, .example = "hello-prod",
			     .about = "The rollout's name, unique among all plans."),
    [ROOT_FUNCTION] = SCHEMA_KEY(.name = "function", .type = SCHEMA_TEXT, .required = true,
				 .check = target_check_function, .pattern = SCHEMA_PATTERN_FUNCTION, .example = "hello",
				 .about = "The Lambda function: its name, its ARN, or its partial ARN "
					  "(123456789012:function:hello). Without a qualifier."),
    [ROOT_REGION] = &schema_key_region,
    [ROOT_ACCOUNT] = &schema_key_account,
    [TOP_ALIAS] = SCHEMA_KEY(.name = "alias", .type = SCHEMA_TEXT, .required = true, .check = target_check_alias,
			     .pattern = SCHEMA_PATTERN_ALIAS, .example = "prod",
			     .about = "The alias whose traffic is moved. It must exist."),
    [TOP_VERSION] =
	SCHEMA_KEY(.name = "version", .type = SCHEMA_TEXT, .required = true, .min = 1, /* may be a number */
		   .check = target_check_version, .pattern = "^([1-9][0-9]*|latest)$",
		   .object = &schema_rollout_version, .example = "2",
		   .about =
		       "The version to roll out: a published one's number; `latest`, the newest published one; one "
		       "that is published first; or what another alias serves."),
    HOW_KEYS(TOP_HOW),
    [TOP_KEEP_VERSIONS] = &schema_key_keep_versions,
    [TOP_SERVICE] = SCHEMA_KEY(
	    .name = "service", .type = SCHEMA_TEXT, .check = target_check_name, .pattern = SCHEMA_PATTERN_NAME,
	    .example = "hello",
	    .about =
		"The service that the rollout belongs to; its name is then SERVICE.ALIAS. Written by rolloutd in the "
		"rollouts that it makes for services, not in files."),
    SCHEMA_COMES_LATER("dry_run", "Everything but the writes."),
    SCHEMA_COMES_LATER("group", "Rollouts that go back together."),
    SCHEMA_COMES_LATER("freeze", "Times at which nothing moves."),
};
const struct schema_object schema_plan = {
    .noun = "a plan",
    .place = "at the top level of a Rollout",
    .keys = plan_keys,
    .n_keys = array_len(plan_keys),
};

const struct schema_object *const schema_objects[] = {
    &schema_plan,	 &schema_service,	  &schema_how,		 &schema_step,	 &schema_experiment,
    &schema_analysis,	 &schema_probing,	  &schema_metric,	 &schema_errors, &schema_throttles,
    &schema_duration,	 &schema_api_5xx,	  &schema_alarm,	 &schema_query,	 &schema_data_query,
    &schema_metric_stat, &schema_cw_metric,	  &schema_dimension,	 &schema_hooks,	 &schema_hook,
    &schema_verify,	 &schema_rollout_version, &schema_alias_version, &schema_code,	 &schema_s3,
    &schema_create,	 &schema_alias,		  &schema_api,		 &schema_route,	 &schema_probe,
};
const size_t schema_n_objects = array_len(schema_objects);

const struct schema_key *schema_find(const struct schema_object *o, const char *name)
{
	for (size_t i = 0; i < o->n_keys; i++)
		if (strcmp(o->keys[i]->name, name) == 0)
			return o->keys[i];
	return NULL;
}

size_t schema_index(const struct schema_object *o, const struct schema_key *k)
{
	size_t i = 0;
	while (i < o->n_keys && o->keys[i] != k)
		i++;
	require(i < o->n_keys);
	return i;
}
