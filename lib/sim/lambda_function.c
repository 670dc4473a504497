/* Functions and their versions. */
#include <stdio.h>
#include <string.h>

#include "aws/endpoint.h"
#include "base/error.h"
#include "base/text.h"
#include "sim/code.h"
#include "sim/lambda.h"

static json_t *text_or_null(const char *s)
{
	return s ? json_string(s) : json_null();
}

/* "2026-11-22T22:10:05.000+0000" */
static json_t *modified_json(int64_t unix_ms)
{
	char utc[32], text[48];
	text_format_utc(unix_ms, utc);
	snprintf(text, sizeof(text), "%.23s+0000", utc);
	return json_string(text);
}

/* Lambda writes null for what is not set. */
static void add_unset(json_t *out)
{
	static const char *const names[] = {
	    "VpcConfig",	   "SigningJobArn",    "FileSystemConfigs",	  "Layers", "KMSKeyArn", "MasterArn",
	    "ImageConfigResponse", "DeadLetterConfig", "SigningProfileVersionArn"};
	for (size_t i = 0; i < array_len(names); i++)
		if (!json_object_get(out, names[i]))
			json_object_set_new(out, names[i], json_null());
}

static void add_state(json_t *out, const char *key, const char *state, const char *reason, const char *code)
{
	char name[64];
	json_object_set_new(out, key, text_or_null(state));
	snprintf(name, sizeof(name), "%sReason", key);
	json_object_set_new(out, name, text_or_null(reason));
	snprintf(name, sizeof(name), "%sReasonCode", key);
	json_object_set_new(out, name, text_or_null(code));
}

static void add_states(json_t *out, const struct version *v)
{
	static const char *const states[] = {
	    [STATE_PENDING] = "Pending", [STATE_ACTIVE] = "Active", [STATE_FAILED] = "Failed"};
	static const char *const updates[] = {[UPDATE_NONE] = NULL,
					      [UPDATE_IN_PROGRESS] = "InProgress",
					      [UPDATE_SUCCESSFUL] = "Successful",
					      [UPDATE_FAILED] = "Failed"};
	static const char creating[] = "The function is being created.";
	bool pending = v->state == STATE_PENDING, failed = v->state == STATE_FAILED;
	bool updating = v->update == UPDATE_IN_PROGRESS, undone = v->update == UPDATE_FAILED;
	add_state(out, "State", states[v->state],
		  pending  ? creating
		  : failed ? v->reason
			   : NULL,
		  pending  ? "Creating"
		  : failed ? "FunctionError"
			   : NULL);
	add_state(out, "LastUpdateStatus", updates[v->update],
		  updating ? creating
		  : undone ? v->reason
			   : NULL,
		  updating ? "Creating"
		  : undone ? "FunctionError"
			   : NULL);
}

/* A snapshot is taken of published versions alone. */
static void add_snap_start(json_t *out, const struct version *v)
{
	json_t *asked = json_object_get(v->settings, "SnapStart");
	const char *on = json_string_value(json_object_get(asked, "ApplyOn"));
	bool optimized = on && strcmp(on, "PublishedVersions") == 0 && v->number != VERSION_LATEST;
	json_object_set_new(
	    out, "SnapStart",
	    json_pack("{s:s, s:s}", "ApplyOn", on ? on : "None", "OptimizationStatus", optimized ? "On" : "Off"));
}

json_t *lambda_configuration(struct call *c, const struct function *f, const struct version *v, const char *qualifier,
			     bool listed)
{
	char number[24];
	version_format(v->number, number);
	json_t *out = json_copy(v->settings);
	json_object_set_new(out, "FunctionName", json_string(f->name));
	json_object_set_new(out, "FunctionArn", json_string(lambda_arn(c, f->name, qualifier)));
	json_object_set_new(out, "Version", json_string(number));
	json_object_set_new(out, "Description", json_string(v->description));
	json_object_set_new(out, "CodeSha256", json_string(v->code_sha256));
	json_object_set_new(out, "CodeSize", json_integer((json_int_t)v->code_size));
	json_object_set_new(out, "LastModified", modified_json(v->modified_ms));
	json_object_set_new(out, "RevisionId", json_string(v->revision));
	json_object_set_new(out, "LoggingConfig",
			    json_pack("{s:s, s:s}", "LogFormat", "Text", "LogGroup",
				      arena_printf(c->arena, "/aws/lambda/%s", f->name)));
	if (!listed && !v->image)
		json_object_set_new(out, "RuntimeVersionConfig",
				    json_pack("{s:s}", "RuntimeVersionArn",
					      arena_printf(c->arena, "arn:%s:lambda:%s::runtime:localaws",
							   endpoint_partition(c->region), c->region)));
	if (!listed)
		add_states(out, v);
	add_snap_start(out, v);
	add_unset(out);
	return out;
}

static bool missing(struct call *c, const char *member)
{
	call_fail(
	    c, &lambda_error_validation,
	    "1 validation error detected: Value null at '%s' failed to satisfy constraint: Member must not be null",
	    member);
	return false;
}

static bool read_role(struct call *c, const char **ret)
{
	const char *role = NULL;
	if (!lambda_read_text(c, "Role", &role))
		return false;
	if (role && (!text_starts_with(role, "arn:aws") || !strstr(role, ":iam::") || !strstr(role, ":role/"))) {
		call_fail(c, &lambda_error_validation,
			  "1 validation error detected: Value '%s' at 'role' failed to satisfy constraint: Member must "
			  "satisfy regular expression pattern: "
			  "arn:(aws[a-zA-Z-]*)?:iam::\\d{12}:role/?[a-zA-Z_0-9+=,.@\\-_/]+",
			  role);
		return false;
	}
	*ret = role;
	return true;
}

/* The settings in the request over those in `base`, as a new object. */
static json_t *merge_settings(struct call *c, json_t *base)
{
	static const char *const names[] = {
	    "Runtime",	   "Role",	    "Handler",		"Timeout",	 "MemorySize",
	    "Environment", "Architectures", "DeadLetterConfig", "TracingConfig", "EphemeralStorage",
	    "SnapStart"};
	json_t *settings = json_copy(base);
	for (size_t i = 0; i < array_len(names); i++) {
		json_t *value = json_object_get(c->in, names[i]);
		if (value && !json_is_null(value))
			json_object_set_new(settings, names[i], json_deep_copy(value));
	}
	return settings;
}

/* Whether $LATEST differs from the newest version; Lambda publishes nothing otherwise. */
static struct version *unchanged_version(const struct function *f)
{
	struct version *newest = f->n_versions ? f->versions[f->n_versions - 1] : NULL;
	bool same = newest && strcmp(newest->code_sha256, f->latest.code_sha256) == 0 &&
		    json_equal(newest->settings, f->latest.settings);
	return same ? newest : NULL;
}

/*
 * The version that publishing comes to; `pending_ms`: how long what is new in it takes before its own publication
 * begins. NULL after it has answered.
 */
static struct version *publish(struct call *c, struct function *f, const char *description, int64_t pending_ms)
{
	struct version *v = unchanged_version(f);
	if (v)
		return v;
	v = model_publish(c->w, f, 0, description);
	if (!v) {
		static const struct call_error full = {.code = "CodeStorageExceededException", .status = 400};
		call_fail(c, &full, "Function %s has %d versions, the most that rollout-localaws keeps. Delete some.",
			  f->name, VERSIONS_MAX);
		return NULL;
	}
	const struct platform *p = &f->platform;
	if (pending_ms >= 0 || p->publish_ms || p->publish_fails)
		model_start_version(c->w, f, v, (pending_ms > 0 ? pending_ms : 0) + p->publish_ms);
	return v;
}

static void answer_version(struct call *c, int status, const struct function *f, const struct version *v)
{
	char number[24];
	version_format(v->number, number);
	const char *qualifier = v->number == VERSION_LATEST ? NULL : number;
	call_answer_json(c, status, lambda_configuration(c, f, v, qualifier, false));
}

struct new_function {
	const char *name, *description;
	bool publish, is_image;
};

static bool read_package(struct call *c, bool *ret_is_image)
{
	const char *type = "Zip", *runtime = NULL, *handler = NULL;
	if (!lambda_read_text(c, "PackageType", &type) || !lambda_read_text(c, "Runtime", &runtime) ||
	    !lambda_read_text(c, "Handler", &handler))
		return false;
	bool is_image = strcmp(type, "Image") == 0;
	if (!is_image && strcmp(type, "Zip") != 0) {
		call_fail(c, &lambda_error_validation,
			  "1 validation error detected: Value '%s' at 'packageType' failed to satisfy constraint: "
			  "Member must satisfy enum value set: [Image, Zip]",
			  type);
		return false;
	}
	if (is_image ? runtime || handler : !runtime || !handler) {
		call_fail(c, &lambda_error_parameter,
			  is_image ? "Please don't provide Handler or Runtime or Layer when the intended function "
				     "PackageType is Image."
				   : "Runtime and Handler are mandatory parameters for functions created with "
				     "deployment packages.");
		return false;
	}
	*ret_is_image = is_image;
	return true;
}

static bool read_new_function(struct call *c, struct new_function *ret)
{
	const char *given = NULL, *qualifier, *role = NULL;
	struct new_function n = {.description = ""};
	if (!lambda_read_text(c, "FunctionName", &given) || !read_role(c, &role) ||
	    !lambda_read_text(c, "Description", &n.description) || !lambda_read_bool(c, "Publish", &n.publish))
		return false;
	if (!given)
		return missing(c, "functionName");
	if (!role)
		return missing(c, "role");
	if (!json_is_object(json_object_get(c->in, "Code")))
		return missing(c, "code");
	if (!lambda_read_name(c, given, &n.name, &qualifier))
		return false;
	if (qualifier || strchr(n.name, '.')) {
		call_fail(
		    c, &lambda_error_validation,
		    "1 validation error detected: Value '%s' at 'functionName' failed to satisfy constraint: Member "
		    "must satisfy regular expression pattern: "
		    "(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\\d{1}:)?"
		    "(\\d{12}:)?(function:)?([a-zA-Z0-9-_]+)(:(\\$LATEST|[a-zA-Z0-9-_]+))?",
		    given);
		return false;
	}
	if (!read_package(c, &n.is_image))
		return false;
	*ret = n;
	return true;
}

static struct function *add_function(struct call *c, const struct new_function *n, const struct code *code)
{
	json_t *base = model_default_settings();
	json_t *settings = merge_settings(c, base);
	if (n->is_image) {
		json_object_set_new(settings, "PackageType", json_string("Image"));
		json_object_del(settings, "Runtime");
		json_object_del(settings, "Handler");
	}
	struct function *f = model_add_function(c->w, n->name, settings, code->sha256, code->size, n->description);
	json_decref(settings);
	json_decref(base);
	if (f) {
		code_apply(code, &f->latest);
		return f;
	}
	static const struct call_error full = {.code = "CodeStorageExceededException", .status = 400};
	call_fail(c, &full, "There are %d functions, the most that rollout-localaws keeps. Delete some.",
		  FUNCTIONS_MAX);
	return NULL;
}

void lambda_create_function(struct call *c)
{
	struct new_function n;
	struct code code cleanup(code_deinit) = {.image = NULL};
	if (!read_new_function(c, &n) || !code_read(c, json_object_get(c->in, "Code"), n.is_image, "creating", &code))
		return;
	if (model_function(c->w, n.name)) {
		call_fail(c, &lambda_error_conflict, "Function already exist: %s", n.name);
		return;
	}
	struct function *f = add_function(c, &n, &code);
	struct version *v = f ? &f->latest : NULL;
	if (f && n.publish)
		v = publish(c, f, NULL, c->w->update_ms);
	if (v)
		answer_version(c, 201, f, v);
}

/* Where the code of a version is to be had. */
static json_t *code_json(struct call *c, const struct function *f, const struct version *v)
{
	if (!v->image)
		return json_pack("{s:s, s:s}", "RepositoryType", "S3", "Location",
				 arena_printf(c->arena,
					      "https://awslambda-%s-tasks.s3.%s.amazonaws.com/snapshots/%s/%s",
					      c->region, c->region, WORLD_ACCOUNT, f->name));
	/* The tag, if any, stands behind the last slash. */
	const char *slash = strrchr(v->image, '/'), *tag = strpbrk(slash ? slash : v->image, ":@");
	size_t len = tag ? (size_t)(tag - v->image) : strlen(v->image);
	return json_pack(
	    "{s:s, s:s, s:s}", "RepositoryType", "ECR", "ImageUri", v->image, "ResolvedImageUri",
	    arena_printf(c->arena, "%s@sha256:%s", arena_strndup(c->arena, v->image, len), v->code_sha256));
}

void lambda_get_function(struct call *c)
{
	struct lambda_target t;
	if (!lambda_find(c, &t))
		return;
	json_t *configuration = lambda_configuration(c, t.function, t.version, t.qualifier, false);
	call_answer_json(c, 200,
			 json_pack("{s:o, s:o, s:n, s:n}", "Configuration", configuration, "Code",
				   code_json(c, t.function, t.version), "Tags", "Concurrency"));
}

void lambda_get_function_configuration(struct call *c)
{
	struct lambda_target t;
	if (lambda_find(c, &t))
		call_answer_json(c, 200, lambda_configuration(c, t.function, t.version, t.qualifier, false));
}

void lambda_list_functions(struct call *c)
{
	size_t first, count;
	const char *wanted = call_query(c, "FunctionVersion");
	if (wanted && strcmp(wanted, "ALL") != 0) {
		call_fail(
		    c, &lambda_error_validation,
		    "1 validation error detected: Value '%s' at 'functionVersion' failed to satisfy constraint: Member "
		    "must satisfy enum value set: [ALL]",
		    wanted);
		return;
	}
	if (wanted) {
		call_fail(c, &lambda_error_parameter,
			  "rollout-localaws does not list all versions of all functions: use ListVersionsByFunction");
		return;
	}
	if (!lambda_read_page(c, LIST_PAGE, &first, &count))
		return;
	const struct table *t = &c->w->functions;
	json_t *list = json_array();
	size_t i = first;
	for (; i < t->len && i < first + count; i++) {
		const struct function *f = t->entries[i].value;
		json_array_append_new(list, lambda_configuration(c, f, &f->latest, NULL, true));
	}
	call_answer_json(c, 200,
			 json_pack("{s:o, s:o}", "Functions", list, "NextMarker", lambda_next_marker(c, i, t->len)));
}

/* While an update runs, code, configuration and versions stay as they are. */
static bool ready_for_change(struct call *c, const struct function *f)
{
	const struct version *v = &f->latest;
	if (v->state == STATE_PENDING)
		call_fail(c, &lambda_error_conflict,
			  "The operation cannot be performed at this time. The function is currently in the following "
			  "state: Pending");
	else if (v->update == UPDATE_IN_PROGRESS)
		call_fail(c, &lambda_error_conflict,
			  "The operation cannot be performed at this time. An update is in progress for resource: %s",
			  lambda_arn(c, f->name, NULL));
	else
		return true;
	return false;
}

static bool is_image(const struct version *v)
{
	const char *type = json_string_value(json_object_get(v->settings, "PackageType"));
	return type && strcmp(type, "Image") == 0;
}

void lambda_update_function_code(struct call *c)
{
	struct lambda_target t;
	bool publishes = false, dry = false;
	struct code code cleanup(code_deinit) = {.image = NULL};
	if (!lambda_find_function(c, &t) || !lambda_read_bool(c, "Publish", &publishes) ||
	    !lambda_read_bool(c, "DryRun", &dry) || !code_read(c, c->in, is_image(t.version), "updating", &code) ||
	    !lambda_check_revision(c, t.version->revision) || !ready_for_change(c, t.function))
		return;
	if (dry) {
		answer_version(c, 200, t.function, t.version);
		return;
	}
	model_start_update(c->w, t.function);
	code_apply(&code, t.version);
	struct version *v = t.version;
	if (publishes)
		v = publish(c, t.function, NULL, c->w->update_ms);
	if (v)
		answer_version(c, 200, t.function, v);
}

void lambda_update_function_configuration(struct call *c)
{
	struct lambda_target t;
	const char *role = NULL, *description = NULL;
	if (!lambda_find_function(c, &t) || !read_role(c, &role) || !lambda_read_text(c, "Description", &description) ||
	    !lambda_check_revision(c, t.version->revision) || !ready_for_change(c, t.function))
		return;
	json_t *settings = merge_settings(c, t.version->settings);
	model_start_update(c->w, t.function);
	json_decref(t.version->settings);
	t.version->settings = settings;
	if (description) {
		free(t.version->description);
		t.version->description = mem_strdup(description);
	}
	answer_version(c, 200, t.function, t.version);
}

/* "[live, prod]": the aliases that send anything to the version; NULL: none. */
static const char *aliases_of(struct call *c, const struct function *f, uint64_t number)
{
	const char *names = NULL;
	for (size_t i = 0; i < f->aliases.len; i++) {
		const struct alias *a = f->aliases.entries[i].value;
		if (a->now.version == number || a->now.extra_version == number)
			names = names ? arena_printf(c->arena, "%s, %s", names, a->name) : a->name;
	}
	return names;
}

void lambda_delete_function(struct call *c)
{
	struct lambda_target t;
	uint64_t number;
	if (!lambda_find_function(c, &t))
		return;
	if (!t.qualifier) {
		model_remove_function(c->w, t.function);
		call_answer_bytes(c, 204, NULL, "", 0);
		return;
	}
	if (!model_parse_version(t.qualifier, &number)) {
		call_fail(c, &lambda_error_parameter, "Deletion of aliases is not currently supported.");
		return;
	}
	if (number == VERSION_LATEST) {
		call_fail(c, &lambda_error_parameter,
			  "$LATEST version cannot be deleted without deleting the function.");
		return;
	}
	const char *names = aliases_of(c, t.function, number);
	if (names) {
		call_fail(c, &lambda_error_conflict,
			  "Unable to delete version because the following aliases reference it: [%s]", names);
		return;
	}
	if (model_provisioned(t.function, t.qualifier)) {
		call_fail(c, &lambda_error_conflict,
			  "Unable to delete version %s because it has a provisioned concurrency configuration",
			  t.qualifier);
		return;
	}
	struct version *v = model_version(t.function, number);
	if (v)
		model_remove_version(c->w, t.function, v);
	call_answer_bytes(c, 204, NULL, "", 0);
}

void lambda_publish_version(struct call *c)
{
	struct lambda_target t;
	const char *sha = NULL, *description = NULL;
	if (!lambda_find_function(c, &t) || !lambda_read_text(c, "CodeSha256", &sha) ||
	    !lambda_read_text(c, "Description", &description) || !lambda_check_revision(c, t.version->revision) ||
	    !ready_for_change(c, t.function))
		return;
	if (sha && *sha && strcmp(sha, t.version->code_sha256) != 0) {
		call_fail(
		    c, &lambda_error_parameter,
		    "CodeSHA256 (%s) is different from current CodeSHA256 in $LATEST (%s). Please try again with the "
		    "CodeSHA256 in $LATEST.",
		    sha, t.version->code_sha256);
		return;
	}
	struct version *v = publish(c, t.function, description, -1);
	if (v)
		answer_version(c, 201, t.function, v);
}

void lambda_list_versions(struct call *c)
{
	struct lambda_target t;
	size_t first, count;
	if (!lambda_find_function(c, &t) || !lambda_read_page(c, LIST_PAGE, &first, &count))
		return;
	/* $LATEST comes first. */
	size_t total = t.function->n_versions + 1, i = first;
	json_t *list = json_array();
	for (; i < total && i < first + count; i++) {
		const struct version *v = i ? t.function->versions[i - 1] : &t.function->latest;
		char number[24];
		version_format(v->number, number);
		json_array_append_new(list, lambda_configuration(c, t.function, v, number, true));
	}
	call_answer_json(c, 200,
			 json_pack("{s:o, s:o}", "Versions", list, "NextMarker", lambda_next_marker(c, i, total)));
}

void lambda_get_account_settings(struct call *c)
{
	json_int_t bytes = 0;
	for (size_t i = 0; i < c->w->functions.len; i++) {
		const struct function *f = c->w->functions.entries[i].value;
		bytes += (json_int_t)(f->latest.code_size * (f->n_versions + 1));
	}
	call_answer_json(c, 200,
			 json_pack("{s:{s:I, s:I, s:I, s:i, s:i}, s:{s:I, s:I}}", "AccountLimit", "TotalCodeSize",
				   (json_int_t)80530636800, "CodeSizeUnzipped", (json_int_t)262144000, "CodeSizeZipped",
				   (json_int_t)52428800, "ConcurrentExecutions", 1000, "UnreservedConcurrentExecutions",
				   1000, "AccountUsage", "TotalCodeSize", bytes, "FunctionCount",
				   (json_int_t)c->w->functions.len));
}
