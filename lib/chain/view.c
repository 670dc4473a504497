#include "chain/view.h"

#include <string.h>

#include "base/sha256.h"

/* AWS takes 100 characters; a second statement for the same stage appends a few. */
#define SID_MAX 96

bool chain_view_is_api_id(const char *text)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
	size_t len = strlen(text);
	return len > 0 && strspn(text, allowed) == len;
}

void chain_view_init(struct chain_view *v)
{
	*v = (struct chain_view){.arena = arena_new()};
}

void chain_view_deinit(struct chain_view *v)
{
	arena_free(v->arena);
	*v = (struct chain_view){0};
}

const struct view_alias_entry *chain_view_alias(const struct chain_view *v, const char *name)
{
	for (size_t n = 0; n < v->n_aliases; n++) {
		if (strcmp(v->aliases[n].name, name) == 0)
			return &v->aliases[n];
	}
	return NULL;
}

const struct view_version *chain_view_version(const struct chain_view *v, uint64_t number)
{
	for (size_t n = 0; n < v->n_versions; n++) {
		if (v->versions[n].number == number)
			return &v->versions[n];
	}
	return NULL;
}

const struct view_version *chain_view_newest(const struct chain_view *v)
{
	const struct view_version *newest = NULL;

	for (size_t n = 0; n < v->n_versions; n++) {
		if (!newest || v->versions[n].number > newest->number)
			newest = &v->versions[n];
	}
	return newest;
}

const struct view_concurrency *chain_view_concurrency(const struct chain_view *v, const char *qualifier)
{
	for (size_t n = 0; n < v->n_concurrency; n++) {
		if (strcmp(v->concurrency[n].qualifier, qualifier) == 0)
			return &v->concurrency[n];
	}
	return NULL;
}

const struct view_stage *chain_view_stage(const struct chain_view *v, const char *name)
{
	for (size_t n = 0; n < v->api.n_stages; n++) {
		if (strcmp(v->api.stages[n].name, name) == 0)
			return &v->api.stages[n];
	}
	return NULL;
}

const char *chain_function_arn(struct arena *a, const struct service_spec *spec, const struct chain_view *v)
{
	return arena_printf(a, "arn:%s:lambda:%s:%s:function:%s", v->partition, v->region, v->account_id,
			    spec->function);
}

const char *chain_integration_uri(struct arena *a, const struct service_spec *spec, const struct chain_view *v)
{
	return arena_printf(a,
			    "arn:%s:apigateway:%s:lambda:path/2015-03-31/functions/%s:${stageVariables.%s}/invocations",
			    v->partition, v->region, chain_function_arn(a, spec, v), spec->api.stage_variable);
}

const char *chain_source_arn(struct arena *a, const struct chain_view *v, const char *stage)
{
	return arena_printf(a, "arn:%s:execute-api:%s:%s:%s/%s/*", v->partition, v->region, v->account_id, v->api.id,
			    stage);
}

const char *chain_statement_id(struct arena *a, const struct chain_view *v, const char *stage)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const char *plain = arena_printf(a, "rolloutd-%s-%s", v->api.id, stage);

	if (strlen(plain) <= SID_MAX && stage[strspn(stage, allowed)] == '\0')
		return plain;
	/* "$default", and names that are too long. */
	char hex[SHA256_HEX_SIZE];
	sha256_hex(stage, strlen(stage), hex);
	return arena_printf(a, "rolloutd-%s-%.24s", v->api.id, hex);
}

size_t chain_statement_bytes(const char *function_arn, const char *alias, const char *sid, const char *source_arn,
			     const char *source_account)
{
	/* As Lambda writes a statement, and the comma before it. */
	static const char frame[] = ",{\"Sid\":\"\",\"Effect\":\"Allow\","
				    "\"Principal\":{\"Service\":\"apigateway.amazonaws.com\"},"
				    "\"Action\":\"lambda:InvokeFunction\",\"Resource\":\":\","
				    "\"Condition\":{\"StringEquals\":{\"AWS:SourceAccount\":\"\"},"
				    "\"ArnLike\":{\"AWS:SourceArn\":\"\"}}}";

	return sizeof(frame) - 1 + strlen(function_arn) + strlen(alias) + strlen(sid) + strlen(source_arn) +
	       strlen(source_account);
}
