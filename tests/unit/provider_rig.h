/* A provider in virtual time, against scripted answers. */
#pragma once

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/prng.h"
#include "base/secret.h"
#include "base/text.h"
#include "credentials/keys.h"
#include "credentials/provider.h"

#define SECRET	"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define ROLE	"arn:aws:iam::123456789012:role/ops"
#define START	INT64_C(1795385405000) /* 2026-11-22T22:10:05Z */
#define SECONDS (INT64_C(1000))
#define MINUTES (60 * SECONDS)
#define HOURS	(60 * MINUTES)

struct sent {
	char method[8];
	char url[512];
	char body[1024];
	char token[64]; /* Authorization, or whatever header carries one */
	bool metadata;
	int64_t timeout_ms;
	transport_cb cb;
	void *arg;
};

struct rig {
	struct instant now;
	struct prng prng;
	struct sent sent[8]; /* not answered yet */
	size_t n_sent;
	unsigned n_requests;
	char ran[256];
	provider_ran_cb ran_cb;
	void *ran_arg;
	const char *file; /* content of whatever file is read; NULL: none */
	int file_error;	  /* a negative errno in place of that */
	unsigned settled;
	struct aws_clock clock;
	struct provider *p;
};

static inline struct instant fake_now(void *ctx)
{
	return ((struct rig *)ctx)->now;
}

static inline uint64_t fake_entropy(void *ctx)
{
	return prng_next(&((struct rig *)ctx)->prng);
}

static inline void fake_send(void *ctx, const struct http_request *r, int64_t timeout_ms, bool metadata,
			     transport_cb cb, void *arg)
{
	static const char *const headers[] = {"x-aws-ec2-metadata-token", "x-aws-ec2-metadata-token-ttl-seconds",
					      "x-amz-sso_bearer_token", "Authorization"};
	struct rig *w = ctx;
	assert_true(w->n_sent < array_len(w->sent));
	struct sent *s = &w->sent[w->n_sent++];
	*s = (struct sent){.metadata = metadata, .timeout_ms = timeout_ms, .cb = cb, .arg = arg};
	snprintf(s->method, sizeof(s->method), "%s", r->method);
	snprintf(s->url, sizeof(s->url), "%s://%s%s%s%s", r->scheme, r->host, r->path, *r->query ? "?" : "", r->query);
	snprintf(s->body, sizeof(s->body), "%.*s", (int)r->body_len, r->body);
	for (size_t i = 0; i < array_len(headers); i++) {
		const char *value = http_header_find(r->headers, r->n_headers, headers[i]);
		if (value)
			snprintf(s->token, sizeof(s->token), "%s", value);
	}
	w->n_requests++;
}

static inline void fake_run(void *ctx, char *const *words, int64_t timeout_ms, provider_ran_cb cb, void *arg)
{
	struct rig *w = ctx;
	(void)timeout_ms;
	w->ran[0] = '\0';
	for (; *words; words++)
		snprintf(w->ran + strlen(w->ran), sizeof(w->ran) - strlen(w->ran), "<%s>", *words);
	w->ran_cb = cb;
	w->ran_arg = arg;
}

static inline int fake_read(void *ctx, const char *path, size_t max, char **ret, size_t *ret_len)
{
	struct rig *w = ctx;
	(void)path;
	(void)max;
	if (!w->file || w->file_error)
		return w->file_error ? w->file_error : -ENOENT;
	*ret = mem_strdup(w->file);
	*ret_len = strlen(w->file);
	return 0;
}

static inline int fake_endpoint(void *ctx, enum aws_service service, const char *region, struct aws_endpoint *ret,
				char *ret_error, size_t error_size)
{
	(void)ctx;
	(void)ret_error;
	(void)error_size;
	*ret = (struct aws_endpoint){.scheme = "https"};
	snprintf(ret->host, sizeof(ret->host), "%s.%s", endpoint_service_name(service), region);
	return 0;
}

static inline void fake_settled(void *arg)
{
	((struct rig *)arg)->settled++;
}

/* Lines of NAME=value. */
static inline const char *look_up(void *ctx, const char *name)
{
	static char values[32][512];
	static unsigned next;
	char *value = values[next++ % array_len(values)];
	size_t len = strlen(name);
	for (const char *line = ctx; line && *line; line += strcspn(line, "\n"), line += *line == '\n') {
		if (strncmp(line, name, len) != 0 || line[len] != '=')
			continue;
		snprintf(value, sizeof(values[0]), "%.*s", (int)strcspn(line + len + 1, "\n"), line + len + 1);
		return value;
	}
	return NULL;
}

static inline void rig_init(struct rig *w, const char *env, const char *config)
{
	char error[1024] = "";
	struct profiles *profiles = NULL;
	struct source *source = NULL;
	const struct profiles_text files[] = {
	    [PROFILES_CREDENTIALS] = {"/h/credentials", NULL, 0, "does not exist"},
	    [PROFILES_CONFIG] = {"/h/config", config, config ? strlen(config) : 0, "does not exist"},
	};
	*w = (struct rig){.now = {.unix_ms = START, .boot_ms = 5 * HOURS}};
	prng_init(&w->prng, 7);
	if (profiles_parse(files, &profiles, error, sizeof(error)))
		fail_msg("%s", error);
	const struct source_request request = {.lookup = look_up, .lookup_ctx = (void *)env, .profiles = profiles};
	if (source_resolve(&request, &source, error, sizeof(error)))
		fail_msg("%s", error);
	profiles_free(profiles);
	const struct provider_ports ports = {
	    .ctx = w,
	    .now = fake_now,
	    .clock = &w->clock,
	    .entropy = fake_entropy,
	    .send = fake_send,
	    .run = fake_run,
	    .read_file = fake_read,
	    .endpoint = fake_endpoint,
	    .endpoint_ctx = w,
	};
	w->p = provider_new(source, &ports, fake_settled, w);
}

static inline void rig_deinit(struct rig *w)
{
	provider_free(w->p);
	assert_int_equal(w->n_sent, 0);
}

static inline void pass(struct rig *w, int64_t ms)
{
	w->now.unix_ms += ms;
	w->now.boot_ms += ms;
}

static inline void take_first(struct rig *w, struct sent *out)
{
	assert_true(w->n_sent > 0);
	*out = w->sent[0];
	memmove(w->sent, w->sent + 1, --w->n_sent * sizeof(w->sent[0]));
}

static inline void answer(struct rig *w, int status, const char *body)
{
	struct sent s;
	const struct http_response r = {.status = status, .body = body, .body_len = strlen(body)};
	take_first(w, &s);
	s.cb(s.arg, TRANSPORT_ANSWERED, &r, NULL);
}

static inline void lose(struct rig *w, enum transport_result result, const char *error)
{
	struct sent s;
	take_first(w, &s);
	s.cb(s.arg, result, NULL, error);
}

static inline void ran(struct rig *w, const struct provider_output *o)
{
	provider_ran_cb cb = take_ptr(w->ran_cb);
	assert_non_null(cb);
	cb(w->ran_arg, o);
}

/* Keys that end after that time from now, as the metadata services write them. */
static inline const char *metadata_keys(struct rig *w, const char *id, int64_t ms)
{
	static char text[512];
	char until[32];
	text_format_utc(w->now.unix_ms + ms, until);
	snprintf(text, sizeof(text),
		 "{\"Code\":\"Success\",\"AccessKeyId\":\"%s\",\"SecretAccessKey\":\"" SECRET
		 "\",\"Token\":\"T\",\"Expiration\":\"%s\"}",
		 id, until);
	return text;
}

static inline const char *sts_keys(struct rig *w, const char *id, int64_t ms)
{
	static char text[1024];
	char until[32];
	text_format_utc(w->now.unix_ms + ms, until);
	snprintf(text, sizeof(text),
		 "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>"
		 "<AssumedRoleUser><Arn>a</Arn></AssumedRoleUser><Credentials>\n<AccessKeyId>%s</AccessKeyId>"
		 "<SecretAccessKey>" SECRET "</SecretAccessKey><SessionToken>T&#43;</SessionToken>"
		 "<Expiration>%s</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>",
		 id, until);
	return text;
}

static inline void expect_keys(struct rig *w, const char *id)
{
	struct aws_credentials keys = {0};
	char error[1024] = "";
	int r = provider_get(w->p, &keys, error, sizeof(error));
	if (r != PROVIDER_FOUND)
		fail_msg("%s: %d %s", id, r, error);
	assert_string_equal(keys.access_key_id, id);
	assert_string_equal(keys.secret_access_key, SECRET);
	aws_credentials_deinit(&keys);
}

static inline void expect_pending(struct rig *w)
{
	struct aws_credentials keys;
	char error[1024] = "";
	int r = provider_get(w->p, &keys, error, sizeof(error));
	if (r != PROVIDER_PENDING)
		fail_msg("not pending: %d %s", r, error);
}

static inline void expect_error(struct rig *w, const char *needle)
{
	struct aws_credentials keys;
	char error[1024] = "";
	assert_int_equal(provider_get(w->p, &keys, error, sizeof(error)), PROVIDER_BROKEN);
	if (!strstr(error, needle))
		fail_msg("%s: %s", needle, error);
	assert_null(strstr(error, SECRET));
}

static inline void expect_sent(struct rig *w, const char *method, const char *url, bool metadata, int64_t timeout_ms)
{
	assert_int_equal(w->n_sent, 1);
	assert_string_equal(w->sent[0].method, method);
	assert_string_equal(w->sent[0].url, url);
	assert_int_equal(w->sent[0].metadata, metadata);
	assert_int_equal(w->sent[0].timeout_ms, timeout_ms);
}
