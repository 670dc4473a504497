/* Provisioned concurrency of versions and aliases. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "sim/lambda.h"

/* An account has 1000, of which 100 must stay unreserved: Lambda's developer guide, "Quotas". */
#define ACCOUNT_CONCURRENCY  1000
#define UNRESERVED_AT_LEAST  100
#define PROVISIONED_PER_PAGE 50

static const struct call_error error_none = {.code = "ProvisionedConcurrencyConfigNotFoundException", .status = 404};
static const struct call_error error_account = {
    .code = "InvalidParameterValueException", .status = 400, .no_type = true};

/* --- which --- */

/* A version or an alias. */
struct provision_target {
	struct function *function;
	const struct alias *alias; /* NULL: a version */
	const char *qualifier;
	uint64_t version; /* the alias's own, if an alias is meant */
};

static bool fail_absent(struct call *c, const char *name, const char *qualifier, bool is_version)
{
	call_fail(c, &lambda_error_not_found, is_version ? "Function not found: %s" : "Cannot find alias arn: %s",
		  lambda_arn(c, name, qualifier));
	return false;
}

/* `unpublished`: what is said of $LATEST. */
static bool find_provision_target(struct call *c, const char *unpublished, struct provision_target *ret)
{
	struct provision_target t = {0};
	const char *name;
	uint64_t number = VERSION_LATEST;
	if (!lambda_read_target(c, &name, &t.qualifier))
		return false;
	if (!t.qualifier || strcmp(t.qualifier, "$LATEST") == 0) {
		call_fail(c, &lambda_error_parameter, "%s", unpublished);
		return false;
	}
	bool is_version = model_parse_version(t.qualifier, &number);
	t.function = model_function(c->w, name);
	if (!t.function)
		return fail_absent(c, name, t.qualifier, is_version);
	model_settle(c->w, t.function);
	t.alias = is_version ? NULL : model_alias(t.function, t.qualifier);
	t.version = t.alias ? t.alias->now.version : number;
	if (is_version ? !model_version(t.function, number) : !t.alias)
		return fail_absent(c, name, t.qualifier, is_version);
	*ret = t;
	return true;
}

/* --- what there is --- */

static uint64_t provisioned_sum(const struct function *f)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < f->provisioned.len; i++)
		sum += ((const struct provisioned *)f->provisioned.entries[i].value)->requested;
	return sum;
}

static json_t *provisioned_json(const struct provisioned *p)
{
	const char *status = p->in_progress ? "IN_PROGRESS" : p->reason ? "FAILED" : "READY";
	char utc[32], modified[48];
	text_format_utc(p->modified_ms, utc);
	snprintf(modified, sizeof(modified), "%.19s+0000", utc);
	json_t *out = json_pack("{s:I, s:I, s:I, s:s, s:s}", "RequestedProvisionedConcurrentExecutions",
				(json_int_t)p->requested, "AvailableProvisionedConcurrentExecutions",
				(json_int_t)p->available, "AllocatedProvisionedConcurrentExecutions",
				(json_int_t)p->available, "Status", status, "LastModified", modified);
	if (!p->in_progress && p->reason)
		json_object_set_new(out, "StatusReason", json_string(p->reason));
	return out;
}

/* --- Put --- */

static bool read_requested(struct call *c, uint64_t *ret)
{
	json_t *value = json_object_get(c->in, "ProvisionedConcurrentExecutions");
	if (!json_is_integer(value)) {
		call_fail(c, &lambda_error_validation,
			  "1 validation error detected: Value null at 'provisionedConcurrentExecutions' failed to "
			  "satisfy constraint: Member must not be null");
		return false;
	}
	json_int_t n = json_integer_value(value);
	if (n < 1) {
		call_fail(c, &lambda_error_validation,
			  "1 validation error detected: Value '%lld' at 'provisionedConcurrentExecutions' failed to "
			  "satisfy constraint: Member must have value greater than or equal to 1",
			  (long long)n);
		return false;
	}
	*ret = (uint64_t)n;
	return true;
}

static bool account_allows(struct call *c, const struct provision_target *t, uint64_t requested)
{
	const struct provisioned *old = model_provisioned(t->function, t->qualifier);
	uint64_t taken = 0;
	for (size_t i = 0; i < c->w->functions.len; i++)
		taken += provisioned_sum(c->w->functions.entries[i].value);
	taken -= old ? old->requested : 0;
	uint64_t unreserved = taken < ACCOUNT_CONCURRENCY ? ACCOUNT_CONCURRENCY - taken : 0;
	if (requested > unreserved)
		call_fail(c, &error_account,
			  "Specified ConcurrentExecutions for function is greater than account's unreserved "
			  "concurrency [%llu].",
			  (unsigned long long)unreserved);
	else if (unreserved - requested < UNRESERVED_AT_LEAST)
		call_fail(c, &error_account,
			  "Specified ConcurrentExecutions for function decreases account's "
			  "UnreservedConcurrentExecution below its minimum value of [%d].",
			  UNRESERVED_AT_LEAST);
	else
		return true;
	return false;
}

/* Whether an alias with provisioned concurrency, other than `but`, names the version. */
static bool alias_provisions(const struct function *f, uint64_t number, const struct alias *but)
{
	for (size_t i = 0; i < f->provisioned.len; i++) {
		const struct alias *a = model_alias(f, f->provisioned.entries[i].key);
		if (a && a != but && a->now.version == number)
			return true;
	}
	return false;
}

static bool snap_starts(const struct version *v)
{
	const char *on = json_string_value(json_object_get(json_object_get(v->settings, "SnapStart"), "ApplyOn"));
	return on && strcmp(on, "PublishedVersions") == 0;
}

/* A version is provisioned once: by itself or through one alias. */
static bool check_once(struct call *c, const struct provision_target *t)
{
	if (!t->alias && alias_provisions(t->function, t->version, NULL)) {
		call_fail(c, &lambda_error_conflict, "Version is pointed by a Provisioned Concurrency alias");
		return false;
	}
	return !t->alias || lambda_may_provision(c, t->function, t->alias, t->version);
}

bool lambda_may_provision(struct call *c, const struct function *f, const struct alias *a, uint64_t version)
{
	char number[24];
	version_format(version, number);
	if (!model_provisioned(f, number) && !alias_provisions(f, version, a))
		return true;
	call_fail(c, &lambda_error_conflict,
		  "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version");
	return false;
}

static bool check_provision(struct call *c, const struct provision_target *t)
{
	const struct provisioned *p = model_provisioned(t->function, t->qualifier);
	const struct version *v = model_version(t->function, t->version);
	if (t->version == VERSION_LATEST)
		call_fail(c, &lambda_error_parameter,
			  "Provisioned Concurrency Configs cannot be applied to unpublished function versions.");
	else if (t->alias && t->alias->now.extra_version && !(p && p->moving))
		call_fail(c, &lambda_error_parameter,
			  "Alias with weights can not be used with Provisioned Concurrency");
	else if (snap_starts(v))
		call_fail(c, &lambda_error_parameter,
			  "Provisioned Concurrency is not supported for functions with SnapStart enabled.");
	else if (v->state != STATE_ACTIVE)
		call_fail(c, &lambda_error_conflict,
			  "The operation cannot be performed at this time. The function is currently in the following "
			  "state: %s",
			  v->state == STATE_PENDING ? "Pending" : "Failed");
	else
		return check_once(c, t);
	return false;
}

void lambda_put_provisioned(struct call *c)
{
	struct provision_target t;
	uint64_t requested;
	if (!read_requested(c, &requested) ||
	    !find_provision_target(c,
				   "Provisioned Concurrency Configs cannot be applied to unpublished function "
				   "versions.",
				   &t) ||
	    !check_provision(c, &t) || !account_allows(c, &t, requested))
		return;
	call_answer_json(c, 202, provisioned_json(model_provision(c->w, t.function, t.qualifier, requested)));
}

/* --- Get, Delete, List --- */

static const char unpublished_text[] = "The function resource provided must be an alias or a published version.";

void lambda_get_provisioned(struct call *c)
{
	struct provision_target t;
	if (!find_provision_target(c, unpublished_text, &t))
		return;
	const struct provisioned *p = model_provisioned(t.function, t.qualifier);
	if (p)
		call_answer_json(c, 200, provisioned_json(p));
	else
		call_fail(c, &error_none, "No Provisioned Concurrency Config found for this function");
}

void lambda_delete_provisioned(struct call *c)
{
	struct provision_target t;
	if (!find_provision_target(c, unpublished_text, &t))
		return;
	model_remove_provisioned(c->w, t.function, t.qualifier);
	call_answer_bytes(c, 204, NULL, "", 0);
}

void lambda_list_provisioned(struct call *c)
{
	struct lambda_target t;
	size_t first, count;
	if (!lambda_find_function(c, &t) || !lambda_read_page(c, PROVISIONED_PER_PAGE, &first, &count))
		return;
	const struct table *all = &t.function->provisioned;
	json_t *list = json_array();
	size_t i = first;
	for (; i < all->len && i < first + count; i++) {
		json_t *one = provisioned_json(all->entries[i].value);
		json_object_set_new(one, "FunctionArn",
				    json_string(lambda_arn(c, t.function->name, all->entries[i].key)));
		json_array_append_new(list, one);
	}
	call_answer_json(c, 200,
			 json_pack("{s:o, s:o}", "ProvisionedConcurrencyConfigs", list, "NextMarker",
				   lambda_next_marker(c, i, all->len)));
}
