/* The two protocols, and the reading of fields. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "aws/endpoint.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/text.h"
#include "sim/cloudwatch.h"

#define FORM_PARAMETERS_MAX 50000
#define XML_MAX		    (32 * 1024 * 1024)

const struct call_error cloudwatch_error_value = {
    .code = "InvalidParameterValueException", .query_code = "InvalidParameterValue", .status = 400};
const struct call_error cloudwatch_error_combination = {
    .code = "InvalidParameterCombinationException", .query_code = "InvalidParameterCombination", .status = 400};
const struct call_error cloudwatch_error_missing = {
    .code = "MissingRequiredParameterException", .query_code = "MissingParameter", .status = 400};
const struct call_error cloudwatch_error_validation = {.code = "ValidationException",
						       .query_code = "ValidationError",
						       .space = "com.amazon.coral.validate",
						       .status = 400};
const struct call_error cloudwatch_error_not_found = {.code = "ResourceNotFound", .status = 404};
const struct call_error cloudwatch_error_token = {.code = "InvalidNextToken", .status = 400};
const struct call_error cloudwatch_error_limit = {
    .code = "LimitExceededFault", .query_code = "LimitExceeded", .status = 400};

/* --- the query protocol, read --- */

/* Puts one parameter, "A.member.1.B", into nested objects whose keys are its parts. */
static bool put_parameter(json_t *into, char *name, const char *value)
{
	unsigned depth = 0;
	for (char *dot; (dot = strchr(name, '.')); name = dot + 1) {
		*dot = '\0';
		json_t *next = json_object_get(into, name);
		if (!next) {
			next = json_object();
			json_object_set_new(into, name, next);
		}
		if (!json_is_object(next) || ++depth > LIMIT_JSON_DEPTH)
			return false;
		into = next;
	}
	return json_object_set_new(into, name, json_string(value)) == 0;
}

/* {"member": {"1": x, "2": y}} becomes [x, y]; everything else stays, its parts treated alike. */
static json_t *fold_members(json_t *from)
{
	if (!json_is_object(from))
		return json_incref(from);
	json_t *members = json_object_get(from, "member");
	if (json_is_object(members) && json_object_size(from) == 1) {
		json_t *list = json_array();
		for (size_t i = 1; i <= json_object_size(members); i++) {
			char index[24];
			snprintf(index, sizeof(index), "%zu", i);
			json_t *item = json_object_get(members, index);
			if (item)
				json_array_append_new(list, fold_members(item));
		}
		return list;
	}
	json_t *folded = json_object();
	const char *key;
	json_t *value;
	json_object_foreach(from, key, value)
	{
		json_object_set_new(folded, key, fold_members(value));
	}
	return folded;
}

json_t *cloudwatch_read_form(struct call *c)
{
	json_t *nested = json_object();
	const char *at = c->request->body ? c->request->body : "", *end = at + c->request->body_len;
	bool good = true;
	for (size_t n = 0; at < end && good; n++) {
		const char *stop = memchr(at, '&', (size_t)(end - at));
		if (!stop)
			stop = end;
		const char *equals = memchr(at, '=', (size_t)(stop - at));
		char *name = call_decode(c, at, (size_t)((equals ? equals : stop) - at), true);
		char *value =
		    equals ? call_decode(c, equals + 1, (size_t)(stop - equals - 1), true) : arena_strdup(c->arena, "");
		good = name && value && n < FORM_PARAMETERS_MAX && put_parameter(nested, name, value);
		at = stop + 1;
	}
	json_t *folded = good ? fold_members(nested) : NULL;
	json_decref(nested);
	return folded;
}

const char *cloudwatch_operation(struct call *c)
{
	const char *target = call_header(c, "x-amz-target");
	if (target) {
		const char *dot = strrchr(target, '.');
		return dot ? dot + 1 : target;
	}
	return json_string_value(json_object_get(c->in, "Action"));
}

/* --- the answer --- */

static void xml_text(struct buf *out, const char *s)
{
	for (; *s; s++) {
		if (*s == '<')
			buf_add_text(out, "&lt;");
		else if (*s == '>')
			buf_add_text(out, "&gt;");
		else if (*s == '&')
			buf_add_text(out, "&amp;");
		else if (*s == '"')
			buf_add_text(out, "&quot;");
		else
			buf_add_char(out, *s);
	}
}

static void xml_value(struct buf *out, const char *key, json_t *value);

static void xml_children(struct buf *out, const char *key, json_t *value)
{
	size_t i;
	const char *name;
	json_t *child;
	if (strcmp(key, "ExtendedStatistics") == 0 && json_is_object(value)) {
		/* The one map of these operations; maps have entries. */
		json_object_foreach(value, name, child)
		{
			buf_add_text(out, "<entry><key>");
			xml_text(out, name);
			buf_add_text(out, "</key>");
			xml_value(out, "value", child);
			buf_add_text(out, "</entry>");
		}
		return;
	}
	json_array_foreach(value, i, child)
	{
		buf_add_text(out, "<member>");
		xml_children(out, key, child);
		buf_add_text(out, "</member>");
	}
	json_object_foreach(value, name, child)
	{
		xml_value(out, name, child);
	}
	if (json_is_string(value)) {
		xml_text(out, json_string_value(value));
	} else if (json_is_number(value) && (text_ends_with(key, "Timestamp") || text_ends_with(key, "Timestamps"))) {
		char time[32];
		text_format_utc(llround(json_number_value(value) * 1000), time);
		buf_add_text(out, time);
	} else if (json_is_number(value)) {
		char *number = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
		buf_add_text(out, number);
		free(number);
	} else if (json_is_boolean(value)) {
		buf_add_text(out, json_is_true(value) ? "true" : "false");
	}
}

static void xml_value(struct buf *out, const char *key, json_t *value)
{
	buf_addf(out, "<%s>", key);
	xml_children(out, key, value);
	buf_addf(out, "</%s>", key);
}

static void answer_xml(struct call *c, const char *space, json_t *result)
{
	const char *name = c->operation->name;
	struct buf out cleanup(buf_deinit) = BUF_INIT(XML_MAX);
	buf_addf(&out, "<%sResponse xmlns=\"%s\">", name, space);
	/* Operations without a result have no element for it. */
	if (json_object_size(result)) {
		buf_addf(&out, "<%sResult>", name);
		xml_children(&out, "", result);
		buf_addf(&out, "</%sResult>", name);
	}
	buf_addf(&out, "<ResponseMetadata><RequestId>%s</RequestId></ResponseMetadata></%sResponse>\n", c->request_id,
		 name);
	json_decref(result);
	if (buf_ok(&out))
		call_answer_bytes(c, 200, "text/xml", out.data, out.len);
	else
		call_fail_internal(c);
}

void cloudwatch_answer(struct call *c, json_t *result)
{
	if (c->protocol == PROTOCOL_QUERY)
		answer_xml(c, "http://monitoring.amazonaws.com/doc/2010-08-01/", result);
	else
		call_answer_json(c, 200, result);
}

void sts_get_caller_identity(struct call *c)
{
	const char *arn = arena_printf(c->arena, "arn:%s:iam::" WORLD_ACCOUNT ":user/%s", endpoint_partition(c->region),
				       *c->key_id ? c->key_id : "localaws");
	json_t *who =
	    json_pack("{s:s, s:s, s:s}", "Arn", arn, "UserId", "AIDALOCALAWSUSER00001", "Account", WORLD_ACCOUNT);
	answer_xml(c, "https://sts.amazonaws.com/doc/2011-06-15/", who);
}

/* --- fields --- */

static bool absent(const struct field *f, const char *key, bool required)
{
	if (required)
		call_fail(f->c, &cloudwatch_error_missing, "The parameter %s%s is required.", f->where, key);
	return !required;
}

static bool wrong(const struct field *f, const char *key)
{
	call_fail(f->c, &cloudwatch_error_value, "The value for parameter %s%s is not of the right type.", f->where,
		  key);
	return false;
}

static json_t *get(const struct field *f, const char *key)
{
	json_t *value = json_object_get(f->from, key);
	return json_is_null(value) ? NULL : value;
}

bool cloudwatch_text(const struct field *f, const char *key, bool required, const char **ret)
{
	json_t *value = get(f, key);
	if (!value || (required && json_is_string(value) && !json_string_length(value)))
		return absent(f, key, required);
	if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value))
		return wrong(f, key);
	*ret = json_string_value(value);
	return true;
}

bool cloudwatch_number(const struct field *f, const char *key, bool required, double *ret)
{
	json_t *value = get(f, key);
	if (!value)
		return absent(f, key, required);
	if (json_is_number(value)) {
		*ret = json_number_value(value);
		return true;
	}
	const char *text = json_string_value(value);
	char *end = NULL;
	double number = text && strspn(text, "+-.0123456789eE") == strlen(text) ? strtod(text, &end) : NAN;
	if (!end || *end || end == text || !isfinite(number))
		return wrong(f, key);
	*ret = number;
	return true;
}

bool cloudwatch_time(const struct field *f, const char *key, bool required, int64_t *ret_ms)
{
	json_t *value = get(f, key);
	if (!value)
		return absent(f, key, required);
	if (json_is_number(value) && fabs(json_number_value(value)) < 1e11) {
		*ret_ms = llround(json_number_value(value) * 1000);
		return true;
	}
	if (json_is_string(value) && text_parse_utc(json_string_value(value), ret_ms) == 0)
		return true;
	return wrong(f, key);
}

bool cloudwatch_bool(const struct field *f, const char *key, bool *ret)
{
	json_t *value = get(f, key);
	if (!value)
		return true;
	const char *text = json_string_value(value);
	if (!json_is_boolean(value) && (!text || (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)))
		return wrong(f, key);
	*ret = json_is_true(value) || (text && strcmp(text, "true") == 0);
	return true;
}

bool cloudwatch_list(const struct field *f, const char *key, json_t **ret)
{
	json_t *value = get(f, key);
	/* The query protocol writes an empty list as an empty text. */
	bool empty = !value || (json_is_string(value) && !json_string_length(value)) ||
		     (json_is_array(value) && !json_array_size(value));
	if (!empty && !json_is_array(value))
		return wrong(f, key);
	*ret = empty ? NULL : value;
	return true;
}

bool cloudwatch_dimensions(const struct field *f, struct dimension out[static METRICS_DIMENSIONS_MAX], size_t *ret_n)
{
	json_t *list, *item;
	size_t i;
	if (!cloudwatch_list(f, "Dimensions", &list))
		return false;
	if (json_array_size(list) > METRICS_DIMENSIONS_MAX) {
		call_fail(f->c, &cloudwatch_error_value,
			  "The collection %sDimensions must not have a size greater than %d.", f->where,
			  METRICS_DIMENSIONS_MAX);
		return false;
	}
	json_array_foreach(list, i, item)
	{
		struct field one = {f->c, item, arena_printf(f->c->arena, "%sDimensions.member.%zu.", f->where, i + 1)};
		if (!cloudwatch_text(&one, "Name", true, &out[i].name) ||
		    !cloudwatch_text(&one, "Value", true, &out[i].value))
			return false;
		if (strlen(out[i].name) > 255 || strlen(out[i].value) > 1024) {
			call_fail(f->c, &cloudwatch_error_value, "The value for parameter %sName or Value is too long.",
				  one.where);
			return false;
		}
	}
	*ret_n = json_array_size(list);
	return true;
}

bool cloudwatch_period(const struct field *f, const char *key, int64_t *ret_ms)
{
	double seconds = 0;
	if (!cloudwatch_number(f, key, true, &seconds))
		return false;
	int64_t ms = seconds >= 1 && seconds <= 86400 ? (int64_t)seconds * 1000 : 0;
	bool usual = ms == 1000 || ms == 5000 || ms == 10000 || ms == 20000 || ms == 30000 || ms % 60000 == 0;
	if (!ms || seconds != floor(seconds) || (!usual && ms % f->c->w->metrics.settings.period_ms != 0)) {
		call_fail(f->c, &cloudwatch_error_value,
			  "The parameter %s%s must be 1, 5, 10, 20, 30, or a multiple of 60.", f->where, key);
		return false;
	}
	*ret_ms = ms;
	return true;
}
