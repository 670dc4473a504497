#include "aws/lambda.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "aws/answer.h"
#include "aws/lambda_wire.h"
#include "aws/request.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"

#define BASIS_POINT_FUZZ 1e-6 /* what a double may be off the basis point it stands for */
#define LATEST_PUBLISHED "$LATEST.PUBLISHED"

/* --- requests --- */

void lambda_init_request(struct http_request *r, struct arena *a, const struct aws_endpoint *e, const char *method,
			 const char *function, const char *rest, const char *qualifier)
{
	struct buf path cleanup(buf_deinit) = BUF_INIT(REQUEST_TARGET_MAX);
	struct buf query cleanup(buf_deinit) = BUF_INIT(REQUEST_TARGET_MAX);
	buf_add_text(&path, LAMBDA_FUNCTIONS);
	request_add_segment(&path, function);
	buf_add_text(&path, rest);
	request_add_parameter(&query, "Qualifier", qualifier);
	request_init_target(r, a, e, method, &path, &query);
}

static void init_alias_request(struct http_request *r, struct arena *a, const struct aws_endpoint *e,
			       const char *method, const char *function, const char *alias)
{
	struct buf rest cleanup(buf_deinit) = BUF_INIT(REQUEST_TARGET_MAX);
	buf_add_text(&rest, "/aliases/");
	request_add_segment(&rest, alias);
	lambda_init_request(r, a, e, method, function, buf_text(&rest), NULL);
}

void lambda_build_get_alias(struct arena *a, const struct aws_endpoint *e, const char *function, const char *alias,
			    struct http_request *ret)
{
	init_alias_request(ret, a, e, "GET", function, alias);
}

/* "0.05" for 500: printf would ask the locale for its decimal point. */
static void add_weight(struct buf *b, uint32_t bp)
{
	char digits[7] = {(char)('0' + bp / 10000), '.'};
	uint32_t rest = bp % 10000;
	for (int i = 5; i >= 2; i--) {
		digits[i] = (char)('0' + rest % 10);
		rest /= 10;
	}
	size_t len = 6;
	while (len > 3 && digits[len - 1] == '0')
		len--;
	buf_add(b, digits, len);
}

void lambda_build_update_alias(struct arena *a, const struct aws_endpoint *e, const char *function, const char *alias,
			       const struct alias_target *target, const char *revision, const char *description,
			       struct http_request *ret)
{
	require(target->weight_bp <= WEIGHT_BP_MAX);
	init_alias_request(ret, a, e, "PUT", function, alias);
	struct buf body cleanup(buf_deinit) = BUF_INIT(LIMIT_AWS_REQUEST_BYTES);
	char version[24];
	version_format(target->version, version);
	buf_add_text(&body, "{\"FunctionVersion\":");
	buf_add_json_string(&body, version);
	buf_add_text(&body, ",\"RoutingConfig\":{\"AdditionalVersionWeights\":{");
	if (target->weight_bp > 0) {
		version_format(target->extra, version);
		buf_add_json_string(&body, version);
		buf_add_char(&body, ':');
		add_weight(&body, target->weight_bp);
	}
	buf_add_text(&body, "}},\"RevisionId\":");
	buf_add_json_string(&body, revision);
	if (description) {
		buf_add_text(&body, ",\"Description\":");
		buf_add_json_string(&body, description);
	}
	buf_add_char(&body, '}');
	require(request_take_body(ret, a, &body, REQUEST_JSON) == 0);
}

void lambda_build_get_function(struct arena *a, const struct aws_endpoint *e, const char *function,
			       const char *qualifier, struct http_request *ret)
{
	lambda_init_request(ret, a, e, "GET", function, "", qualifier);
}

void lambda_build_list_versions(struct arena *a, const struct aws_endpoint *e, const char *function, const char *marker,
				struct http_request *ret)
{
	struct buf path cleanup(buf_deinit) = BUF_INIT(REQUEST_TARGET_MAX);
	struct buf query cleanup(buf_deinit) = BUF_INIT(REQUEST_TARGET_MAX);
	buf_add_text(&path, LAMBDA_FUNCTIONS);
	request_add_segment(&path, function);
	buf_add_text(&path, "/versions");
	request_add_parameter(&query, "Marker", marker);
	request_init_target(ret, a, e, "GET", &path, &query);
}

/* --- answers --- */

bool lambda_parse_number(const char *text, uint64_t *ret)
{
	return *text >= '1' && *text <= '9' && text_parse_u64(text, INT64_MAX, ret) == 0;
}

/* The one entry of AdditionalVersionWeights. What cannot be said as a target is odd, with the nearest target shown. */
static bool read_weight(const char *version, const json_t *weight, struct alias_view *v)
{
	if (!json_is_number(weight))
		return false;
	double share = json_number_value(weight);
	double nearest = nearbyint(share * WEIGHT_BP_MAX);
	uint64_t extra;
	if (!(nearest >= 1 && nearest <= WEIGHT_BP_MAX) || !lambda_parse_number(version, &extra) ||
	    extra == v->target.version) {
		v->odd = true;
		return true;
	}
	v->target.extra = extra;
	v->target.weight_bp = (uint32_t)nearest;
	v->odd |= fabs(share * WEIGHT_BP_MAX - nearest) > BASIS_POINT_FUZZ;
	return true;
}

/* AWS leaves RoutingConfig out when it is empty; others send {}, null, or an empty AdditionalVersionWeights. */
static bool read_routing(const json_t *root, struct alias_view *v)
{
	const json_t *routing = json_object_get(root, "RoutingConfig");
	if (!routing || json_is_null(routing))
		return true;
	const json_t *weights = json_object_get(routing, "AdditionalVersionWeights");
	if (!json_is_object(routing) || (weights && !json_is_object(weights) && !json_is_null(weights)))
		return false;
	size_t n = json_object_size(weights);
	const char *version;
	json_t *weight;
	json_object_foreach((json_t *)weights, version, weight)
	{
		struct alias_view ignored = *v;
		if (!read_weight(version, weight, n == 1 ? v : &ignored))
			return false;
	}
	v->odd |= n > 1;
	return true;
}

bool lambda_read_alias(const json_t *root, struct alias_view *ret, const char **ret_why)
{
	struct alias_view v = {0};
	char version[32];
	*ret_why = "an alias's FunctionVersion is a number or $LATEST";
	if (!json_copy_text(root, "FunctionVersion", true, version, sizeof(version)))
		return false;
	if (strcmp(version, LATEST_PUBLISHED) == 0)
		v.odd = true;
	else if (strcmp(version, LAMBDA_LATEST) != 0 && !lambda_parse_number(version, &v.target.version))
		return false;
	*ret_why = "an alias needs a RevisionId of at most 63 characters";
	if (!json_copy_text(root, "RevisionId", true, v.revision, sizeof(v.revision)))
		return false;
	*ret_why = "an alias's RoutingConfig holds weights by version";
	if (!read_routing(root, &v))
		return false;
	*ret = v;
	return true;
}

int lambda_parse_alias(const struct http_response *r, struct alias_view *ret, struct aws_error *ret_error)
{
	json_t *root cleanup(json_decref_p) = json_from_answer(r, ret_error);
	if (!root)
		return 1;
	const char *why;
	return lambda_read_alias(root, ret, &why) ? 0 : answer_malformed(r, why, ret_error);
}

int lambda_parse_get_function(const struct http_response *r, struct lambda_function *ret, struct aws_error *ret_error)
{
	json_t *root cleanup(json_decref_p) = json_from_answer(r, ret_error);
	if (!root)
		return 1;
	const json_t *c = json_object_get(root, "Configuration");
	if (!json_is_object(c))
		return answer_malformed(r, "a function has a Configuration", ret_error);
	const json_t *dead_letter = json_object_get(c, "DeadLetterConfig");
	if (dead_letter && !json_is_null(dead_letter) && !json_is_object(dead_letter))
		return answer_malformed(r, "a function's DeadLetterConfig is an object", ret_error);

	struct lambda_function f = {0};
	uint64_t number;
	const struct {
		const char *key;
		const json_t *from;
		bool required;
		char *out;
		size_t size;
	} texts[] = {
	    {"FunctionName", c, true, f.function_name, sizeof(f.function_name)},
	    {"Version", c, true, f.version, sizeof(f.version)},
	    {"CodeSha256", c, true, f.code_sha256, sizeof(f.code_sha256)},
	    {"State", c, false, f.state, sizeof(f.state)},
	    {"LastUpdateStatus", c, false, f.last_update_status, sizeof(f.last_update_status)},
	    {"Role", c, false, f.role, sizeof(f.role)},
	    {"TargetArn", dead_letter, false, f.dead_letter_target, sizeof(f.dead_letter_target)},
	    {"RevisionId", c, false, f.revision, sizeof(f.revision)},
	};
	for (size_t i = 0; i < array_len(texts); i++)
		if (!json_copy_text(texts[i].from, texts[i].key, texts[i].required, texts[i].out, texts[i].size)) {
			char what[96];
			snprintf(what, sizeof(what), "a function's %s is missing, no text or too long", texts[i].key);
			return answer_malformed(r, what, ret_error);
		}
	if (!answer_copy_reason(c, "StateReason", f.state_reason, sizeof(f.state_reason)))
		return answer_malformed(r, "a function's StateReason is text", ret_error);
	if (strcmp(f.version, LAMBDA_LATEST) != 0 && strcmp(f.version, LATEST_PUBLISHED) != 0 &&
	    !lambda_parse_number(f.version, &number))
		return answer_malformed(r, "a function's Version is a number or $LAMBDA_LATEST", ret_error);
	*ret = f;
	return 0;
}

int lambda_parse_list_versions(const struct http_response *r, struct lambda_versions *ret, struct aws_error *ret_error)
{
	json_t *root cleanup(json_decref_p) = json_from_answer(r, ret_error);
	if (!root)
		return 1;
	const json_t *versions = json_object_get(root, "Versions");
	if (!json_is_array(versions))
		return answer_malformed(r, "a list of versions has Versions", ret_error);
	struct lambda_versions found = {0};
	size_t i;
	json_t *item;
	json_array_foreach(versions, i, item)
	{
		char version[32];
		uint64_t number = 0;
		if (!json_copy_text(item, "Version", true, version, sizeof(version)))
			return answer_malformed(r, "each of the Versions has a Version", ret_error);
		if (*version != '$' && !lambda_parse_number(version, &number))
			return answer_malformed(r, "a Version is a number or $LAMBDA_LATEST", ret_error);
		if (number > found.highest)
			found.highest = number;
	}
	if (!json_copy_text(root, "NextMarker", false, found.next_marker, sizeof(found.next_marker)))
		return answer_malformed(r, "NextMarker is text of at most 1023 characters", ret_error);
	*ret = found;
	return 0;
}
