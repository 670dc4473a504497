/*
 * Configurations: of $LATEST, and of versions. A digest stands for everything that a version freezes beside its code,
 * so that "would publishing make anything new?" is one comparison.
 */
#include <stdio.h>
#include <string.h>

#include "aws/answer.h"
#include "aws/lambda_chain.h"
#include "aws/lambda_wire.h"
#include "base/sha256.h"
#include "base/text.h"

/* --- the digest --- */

/* What differs between $LATEST and a version that was published from it, or changes by itself; and the code, which is
 * compared by its own hash. ConfigSha256 says the same as this digest, with an unknown part of these in it. */
static const char *const not_frozen[] = {
    "FunctionArn",
    "FunctionName",
    "Version",
    "Description", /* a version has its own */
    "RevisionId",
    "LastModified",
    "CodeSize",
    "CodeSha256",
    "ConfigSha256",
    "MasterArn",
    "State",
    "StateReason",
    "StateReasonCode",
    "LastUpdateStatus",
    "LastUpdateStatusReason",
    "LastUpdateStatusReasonCode",
    "RuntimeVersionConfig", /* lists leave it out */
};

static bool is_empty(const json_t *v)
{
	return json_is_null(v) || json_is_false(v) || (json_is_string(v) && json_string_length(v) == 0) ||
	       (json_is_array(v) && json_array_size(v) == 0) || (json_is_object(v) && json_object_size(v) == 0);
}

/* AWS says "none" by leaving a member out, by null, "", false, [] or {}, and by an object of such. */
static void drop_empty(json_t *object)
{
	const char *key;
	json_t *value;
	void *next;
	json_object_foreach_safe(object, next, key, value)
	{
		if (json_is_object(value))
			drop_empty(value);
		if (is_empty(value))
			json_object_del(object, key);
	}
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(json_string_value(*(json_t *const *)a), json_string_value(*(json_t *const *)b));
}

/* Subnets and security groups are sets: their order says nothing, and may be another one in the next answer. */
static void sort_texts(json_t *array)
{
	size_t n = json_array_size(array);
	size_t i;
	json_t *item;
	json_array_foreach(array, i, item) if (!json_is_string(item)) return;
	json_t **items = mem_array(n, sizeof(json_t *));
	json_array_foreach(array, i, item) items[i] = json_incref(item);
	qsort(items, n, sizeof(json_t *), compare_texts);
	for (i = 0; i < n; i++)
		json_array_set_new(array, i, items[i]);
	free(items);
}

/* "" when AWS could not read the environment (its key is out of reach), so that what it would be is not known. */
static void digest_configuration(const json_t *c, char out[static DIGEST_SIZE])
{
	out[0] = '\0';
	const json_t *unreadable = json_object_get(json_object_get(c, "Environment"), "Error");
	if (unreadable && !is_empty(unreadable))
		return;
	json_t *copy cleanup(json_decref_p) = json_deep_copy(c);
	for (size_t i = 0; i < array_len(not_frozen); i++)
		json_object_del(copy, not_frozen[i]);
	json_t *snap_start = json_object_get(copy, "SnapStart");
	json_object_del(snap_start, "OptimizationStatus");
	const char *apply_on = json_string_value(json_object_get(snap_start, "ApplyOn"));
	if (apply_on && strcmp(apply_on, "None") == 0)
		json_object_del(copy, "SnapStart");
	drop_empty(copy);
	const json_t *vpc = json_object_get(copy, "VpcConfig");
	sort_texts(json_object_get(vpc, "SubnetIds"));
	sort_texts(json_object_get(vpc, "SecurityGroupIds"));
	char *dump cleanup(mem_free_p) = json_dumps(copy, JSON_COMPACT | JSON_SORT_KEYS);
	if (dump)
		sha256_hex(dump, strlen(dump), out);
}

/* --- one configuration --- */

static bool read_number(const json_t *c, uint64_t *ret)
{
	char version[24];
	if (!json_copy_text(c, "Version", true, version, sizeof(version)))
		return false;
	*ret = VERSION_LATEST;
	return strcmp(version, LAMBDA_LATEST) == 0 || lambda_parse_number(version, ret);
}

bool lambda_read_configuration(const json_t *c, struct view_version *ret, const char **ret_why)
{
	struct view_version v = {0};
	const json_t *dead_letter;
	*ret_why = "a function's configuration is an object whose Version is a number or $LATEST";
	if (!json_is_object(c) || !read_number(c, &v.number))
		return false;
	*ret_why = "a function's configuration has a CodeSha256 of at most 64 characters";
	if (!json_copy_text(c, "CodeSha256", true, v.code_sha256, sizeof(v.code_sha256)))
		return false;
	*ret_why = "a function's Role and DeadLetterConfig are ARNs of at most 255 characters";
	if (!answer_object(c, "DeadLetterConfig", &dead_letter) ||
	    !json_copy_text(c, "Role", false, v.role, sizeof(v.role)) ||
	    !json_copy_text(dead_letter, "TargetArn", false, v.dead_letter_target, sizeof(v.dead_letter_target)))
		return false;
	*ret_why = "a function's State and LastUpdateStatus are words, their reasons text";
	if (!json_copy_text(c, "State", false, v.state, sizeof(v.state)) ||
	    !json_copy_text(c, "LastUpdateStatus", false, v.last_update_status, sizeof(v.last_update_status)) ||
	    !answer_copy_reason(c, "StateReason", v.state_reason, sizeof(v.state_reason)) ||
	    !answer_copy_reason(c, "LastUpdateStatusReason", v.last_update_reason, sizeof(v.last_update_reason)))
		return false;
	digest_configuration(c, v.config_digest);
	*ret = v;
	return true;
}

int lambda_parse_configuration(const struct http_response *r, struct view_version *ret, struct aws_error *ret_error)
{
	json_t *root cleanup(json_decref_p) = json_from_answer(r, ret_error);
	if (!root)
		return 1;
	const char *why;
	return lambda_read_configuration(root, ret, &why) ? 0 : answer_malformed(r, why, ret_error);
}

/* --- GetFunction --- */

/* One part of an ARN, without its colon; moves *at behind it. */
static bool next_part(const char **at, char *out, size_t size)
{
	size_t len = strcspn(*at, ":");
	if ((*at)[len] != ':' || len == 0 || len >= size)
		return false;
	memcpy(out, *at, len);
	out[len] = '\0';
	*at += len + 1;
	return true;
}

/* "arn:PARTITION:lambda:REGION:ACCOUNT:function:…". */
static bool read_arn(const char *arn, struct chain_view *v)
{
	char service[8];
	if (!text_starts_with(arn, "arn:"))
		return false;
	arn += strlen("arn:");
	return next_part(&arn, v->partition, sizeof(v->partition)) && next_part(&arn, service, sizeof(service)) &&
	       strcmp(service, "lambda") == 0 && next_part(&arn, v->region, sizeof(v->region)) &&
	       next_part(&arn, v->account_id, sizeof(v->account_id)) && strlen(v->account_id) == 12 &&
	       strspn(v->account_id, "0123456789") == 12 && text_starts_with(arn, "function:");
}

int lambda_parse_function(const struct http_response *r, struct chain_view *v, char ret_revision[static REVISION_SIZE],
			  struct aws_error *ret_error)
{
	json_t *root cleanup(json_decref_p) = json_from_answer(r, ret_error);
	if (!root)
		return 1;
	struct chain_view found = *v;
	const json_t *c = json_object_get(root, "Configuration");
	const json_t *code;
	const char *why;
	char arn[512];
	char revision[REVISION_SIZE];
	if (!lambda_read_configuration(c, &found.latest, &why))
		return answer_malformed(r, why, ret_error);
	if (found.latest.number != VERSION_LATEST)
		return answer_malformed(r, "GetFunction without a qualifier answers $LATEST", ret_error);
	if (!json_copy_text(c, "FunctionArn", true, arn, sizeof(arn)) || !read_arn(arn, &found))
		return answer_malformed(r, "a FunctionArn names partition, region and an account of twelve digits",
					ret_error);
	/* A stand-in of AWS leaves RevisionId out. */
	if (!json_copy_text(c, "RevisionId", false, revision, sizeof(revision)))
		return answer_malformed(r, "a function's RevisionId is text of at most 63 characters", ret_error);
	if (!answer_object(root, "Code", &code) ||
	    !json_copy_text(code, "ImageUri", false, found.image_uri, sizeof(found.image_uri)))
		return answer_malformed(r, "a function's Code is an object, its ImageUri text", ret_error);
	found.function_found = true;
	memcpy(found.revision, revision, REVISION_SIZE);
	*v = found;
	memcpy(ret_revision, revision, REVISION_SIZE);
	return 0;
}

/* --- ListVersionsByFunction --- */

static int compare_versions(const void *a, const void *b)
{
	uint64_t x = ((const struct view_version *)a)->number;
	uint64_t y = ((const struct view_version *)b)->number;
	return (x > y) - (x < y);
}

int lambda_parse_versions(const struct http_response *r, struct chain_view *v, char *ret_marker, size_t marker_size,
			  struct aws_error *ret_error)
{
	json_t *root cleanup(json_decref_p) = json_from_answer(r, ret_error);
	if (!root)
		return 1;
	const json_t *items;
	struct view_version latest = v->latest;
	char marker[LAMBDA_MARKER_SIZE];
	if (!json_object_get(root, "Versions") || !json_get_array(root, "Versions", &items))
		return answer_malformed(r, "a list of versions has Versions", ret_error);
	if (!json_copy_text(root, "NextMarker", false, marker, sizeof(marker)) || strlen(marker) >= marker_size)
		return answer_malformed(r, "NextMarker is text of at most 1023 characters", ret_error);
	struct view_version *all =
	    answer_extend(v->arena, v->versions, v->n_versions, json_array_size(items), sizeof(*all));
	if (!all)
		return answer_malformed(r, "a function has at most 20,000 versions here", ret_error);
	size_t n = v->n_versions;
	size_t i;
	json_t *item;
	json_array_foreach(items, i, item)
	{
		const char *why;
		if (!lambda_read_configuration(item, &all[n], &why))
			return answer_malformed(r, why, ret_error);
		if (all[n].number == VERSION_LATEST)
			memcpy(latest.config_digest, all[n].config_digest, sizeof(latest.config_digest));
		else
			n++;
	}
	qsort(all, n, sizeof(*all), compare_versions);
	v->versions = all;
	v->n_versions = n;
	v->latest = latest;
	memcpy(ret_marker, marker, strlen(marker) + 1);
	return 0;
}
