/* The metadata services of a container and of an instance. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/secret.h"
#include "credentials/fetch.h"
#include "credentials/keys.h"

#define CONTAINER_TIMEOUT_MS (2 * MS_PER_SECOND)
#define CONTAINER_TRIES	     3
#define CONTAINER_PAUSE_MS   MS_PER_SECOND
#define IMDS_TOKEN_TTL_S     21600
#define IMDS_TOKEN_TTL	     "21600"
#define IMDS_TOKEN_PATH	     "/latest/api/token"
#define IMDS_ROLE_PATH	     "/latest/meta-data/iam/security-credentials/"

/* NULL, or what is wrong with it. */
static const char *failure_of(enum transport_result result, const struct http_response *response, const char *error,
			      char out[static LIMIT_REASON])
{
	if (result != TRANSPORT_ANSWERED)
		snprintf(out, LIMIT_REASON, "%s", error);
	else if (response->status != 200)
		snprintf(out, LIMIT_REASON, "it answered with status %d", response->status);
	else
		return NULL;
	return out;
}

static bool build_get(struct arena *a, const char *url, const char *path, struct http_request *ret)
{
	*ret = (struct http_request){.method = "GET", .body = ""};
	return http_request_set_url(a, arena_printf(a, "%s%s", url, path), ret) == 0;
}

static void take_container(void *arg, enum transport_result result, const struct http_response *response,
			   const char *error)
{
	struct provider *p = provider_take_back(arg);
	struct aws_credentials keys;
	char buffer[LIMIT_REASON];
	if (!p)
		return;
	const char *why = failure_of(result, response, error, buffer);
	if (!why &&
	    keys_from_json(KEYS_OF_CONTAINER, response->body, response->body_len, &keys, buffer, sizeof(buffer)) == 0) {
		provider_succeed(p, &keys);
		return;
	}
	if (provider_try_again(p, CONTAINER_TRIES, CONTAINER_PAUSE_MS))
		return;
	provider_fail(p, "%s: %s%s", p->source->text, why ? "" : "its answer ", buffer);
}

void metadata_ask_container(struct provider *p)
{
	struct arena *arena cleanup(arena_free_p) = arena_new();
	struct http_request r;
	char *token cleanup(secret_free_p) = mem_strdup(p->source->authorization);
	if (p->source->token_file) {
		if (!provider_read_token(p, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &token))
			return;
		if (strpbrk(token, "\r\n")) {
			provider_fail(
			    p,
			    "%s: AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE %s has a line break in it, which no header "
			    "may have",
			    p->source->text, p->source->token_file);
			return;
		}
	}
	require(build_get(arena, p->source->url, "", &r)); /* the source was checked for that */
	http_request_add_header(&r, "Accept", "application/json");
	if (token)
		http_request_add_header(&r, "Authorization", token);
	provider_send(p, &r, CONTAINER_TIMEOUT_MS, true, take_container);
}

__attribute__((format(printf, 2, 3))) static void fail_instance(struct provider *p, const char *fmt, ...)
{
	char why[PROVIDER_ERROR_SIZE / 2];
	va_list args;
	va_start(args, fmt);
	vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	/* The list comes last: whoever shows the sentence may have to cut it. */
	provider_fail(p, "%sthe instance's metadata service at %s gives no keys: %s%s%s",
		      p->source->tried ? "no AWS keys were found: " : "", p->source->url, why,
		      p->source->tried ? "; looked at before: " : "", p->source->tried ? p->source->tried : "");
}

static void ask_instance(struct provider *p, enum step step, const char *path, transport_cb cb)
{
	struct arena *arena cleanup(arena_free_p) = arena_new();
	struct http_request r;
	if (p->fetch->step != step)
		p->fetch->tries = 0;
	p->fetch->step = step;
	require(build_get(arena, p->source->url, path, &r)); /* the source was checked for that */
	if (step == STEP_TOKEN) {
		r.method = "PUT";
		http_request_add_header(&r, "x-aws-ec2-metadata-token-ttl-seconds", IMDS_TOKEN_TTL);
	} else if (*p->token) {
		http_request_add_header(&r, "x-aws-ec2-metadata-token", p->token);
	}
	provider_send(p, &r, p->source->timeout_ms, true, cb);
}

static void ask_token(struct provider *p);

/* True: it was not what was asked for, and that has been dealt with. */
static bool take_instance_failure(struct provider *p, enum transport_result result,
				  const struct http_response *response, const char *error, const char *what)
{
	char buffer[LIMIT_REASON];
	const char *why = failure_of(result, response, error, buffer);
	if (!why && response->body_len > 0)
		return false;
	bool stale = result == TRANSPORT_ANSWERED && response->status == 401 && *p->token;
	if (stale && !p->fetch->renewed) {
		p->fetch->renewed = true;
		p->token_until_boot_ms = 0;
		ask_token(p);
	} else if (!provider_try_again(p, p->source->tries, 0)) {
		if (result == TRANSPORT_ANSWERED && response->status == 404)
			fail_instance(p, "it has no role: attach an instance profile");
		else
			fail_instance(p, "asked for %s, %s", what, why ? why : "it gave an empty answer");
	}
	return true;
}

static void take_instance_keys(void *arg, enum transport_result result, const struct http_response *response,
			       const char *error)
{
	struct provider *p = provider_take_back(arg);
	struct aws_credentials keys;
	char why[LIMIT_REASON];
	if (!p || take_instance_failure(p, result, response, error, "keys"))
		return;
	if (keys_from_json(KEYS_OF_INSTANCE, response->body, response->body_len, &keys, why, sizeof(why)))
		fail_instance(p, "its answer for role %s %s", p->role, why);
	else
		provider_succeed(p, &keys);
}

void metadata_ask_keys(struct provider *p)
{
	char path[sizeof(IMDS_ROLE_PATH) + sizeof(p->role)];
	snprintf(path, sizeof(path), IMDS_ROLE_PATH "%s", p->role);
	ask_instance(p, STEP_KEYS, path, take_instance_keys);
}

static void take_role(void *arg, enum transport_result result, const struct http_response *response, const char *error)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+=,.@-";
	struct provider *p = provider_take_back(arg);
	if (!p || take_instance_failure(p, result, response, error, "its role"))
		return;
	size_t len = strcspn(response->body, "\r\n");
	if (len == 0 || len > IMDS_ROLE_MAX || strspn(response->body, allowed) != len) {
		fail_instance(p, "what it names is no role");
		return;
	}
	memcpy(p->role, response->body, len);
	p->role[len] = '\0';
	metadata_ask_keys(p);
}

void metadata_ask_role(struct provider *p)
{
	if (!*p->token && p->source->v1_refused)
		fail_instance(p,
			      "it gives no session token, and AWS_EC2_METADATA_V1_DISABLED forbids to ask without one");
	else
		ask_instance(p, STEP_ROLE, IMDS_ROLE_PATH, take_role);
}

static bool keep_token(struct provider *p, const struct http_response *response)
{
	size_t len = response->body_len;
	if (len == 0 || len > IMDS_TOKEN_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (response->body[i] <= ' ' || response->body[i] > '~')
			return false;
	memcpy(p->token, response->body, len);
	p->token[len] = '\0';
	p->token_until_boot_ms = provider_now(p).boot_ms + (IMDS_TOKEN_TTL_S - 60) * MS_PER_SECOND;
	return true;
}

/*
 * Old services know no session tokens (404, 405), some refuse them (403), and in a container the answer may be lost on
 * the way (the packet's hop limit): then it is asked without. Anything else is no reason to send less than wanted.
 */
static void take_token(void *arg, enum transport_result result, const struct http_response *response, const char *error)
{
	struct provider *p = provider_take_back(arg);
	char buffer[LIMIT_REASON];
	if (!p)
		return;
	int status = result == TRANSPORT_ANSWERED ? response->status : 0;
	const char *why = failure_of(result, response, error, buffer);
	bool kept = !why && keep_token(p, response);
	if (kept || result == TRANSPORT_NO_ANSWER || status == 403 || status == 404 || status == 405)
		metadata_ask_role(p);
	else if (status == 400 || !provider_try_again(p, p->source->tries, 0))
		fail_instance(p, "asked for a session token, %s", why ? why : "it gave something else");
}

static void ask_token(struct provider *p)
{
	secret_wipe(p->token, sizeof(p->token));
	ask_instance(p, STEP_TOKEN, IMDS_TOKEN_PATH, take_token);
}

void metadata_begin_instance(struct provider *p)
{
	if (*p->token && provider_now(p).boot_ms < p->token_until_boot_ms)
		metadata_ask_role(p);
	else
		ask_token(p);
}
