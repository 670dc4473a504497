/*
 * One fetch at a time, a struct of its own, as an answer may come when the provider is gone. Its steps:
 *
 *   role:       keys of its source (a provider, too) -> AssumeRole
 *   web id.:    token's file -> AssumeRoleWithWebIdentity
 *   SSO:        token's file -> GetRoleCredentials
 *   program:    run
 *   container:  token's file -> GET
 *   instance:   PUT token (kept) -> GET the role's name -> GET its keys
 *
 * A step that fails for now is taken again after a pause, a few times; then the fetch has failed, and the next one
 * comes after a longer pause.
 */
#include "credentials/provider.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "aws/error.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/prng.h"
#include "base/secret.h"
#include "base/text.h"
#include "credentials/fetch.h"
#include "credentials/keys.h"
#include "credentials/sts.h"

#define ADVISORY_MS	     (15 * MS_PER_MINUTE)
#define MANDATORY_MS	     (10 * MS_PER_MINUTE)
#define MARGIN_MS	     (5 * MS_PER_SECOND) /* keys must be good when the request arrives */
#define PAUSE_FIRST_MS	     MS_PER_SECOND
#define PAUSE_MAX_MS	     MS_PER_MINUTE
#define PAUSE_MANDATORY_MS   (10 * MS_PER_SECOND)
#define EXTENSION_MS	     ADVISORY_MS
#define EXTENSION_JITTER_MIN (2 * MS_PER_MINUTE)
#define EXTENSION_JITTER_MAX (10 * MS_PER_MINUTE)

#define STS_TIMEOUT_MS	   (10 * MS_PER_SECOND)
#define STS_TRIES	   3
#define STS_PAUSE_MS	   200
#define PROCESS_TIMEOUT_MS MS_PER_MINUTE

/* By AWS's clock, as far as that is known. */
struct instant provider_now(const struct provider *p)
{
	struct instant now = p->ports.now(p->ports.ctx);
	now.unix_ms = aws_clock_unix_ms(p->clock, now);
	return now;
}

static uint64_t chance(struct provider *p, int64_t below)
{
	/* Not quite even for large bounds, which does not matter for a pause. */
	return below > 0 ? p->ports.entropy(p->ports.ctx) % (uint64_t)below : 0;
}

static bool usable(const struct provider *p, int64_t unix_ms)
{
	return p->has_keys && (p->expires_unix_ms == INT64_MAX || unix_ms < p->expires_unix_ms - MARGIN_MS);
}

/* --- the end of a fetch --- */

static void drop_fetch(struct provider *p)
{
	if (!p->fetch)
		return;
	p->fetch->owner = NULL;
	if (!p->fetch->out)
		free(p->fetch);
	p->fetch = NULL;
}

static void settle(struct provider *p)
{
	drop_fetch(p);
	if (p->settled && !p->driven)
		p->settled(p->settled_arg);
}

/* No fetch for a while, the longer the more came to nothing. */
static void pause_fetching(struct provider *p, struct instant now)
{
	bool serve = usable(p, now.unix_ms) && now.unix_ms < p->mandatory_unix_ms && !p->doubted;
	int64_t cap = serve ? PAUSE_MAX_MS : PAUSE_MANDATORY_MS;
	int64_t pause = p->failures < 16 ? PAUSE_FIRST_MS << p->failures : cap;
	pause = pause < cap ? pause : cap;
	p->failures++;
	p->retry_boot_ms = now.boot_ms + pause / 2 + (int64_t)chance(p, pause / 2 + 1);
}

void provider_fail(struct provider *p, const char *fmt, ...)
{
	char text[PROVIDER_ERROR_SIZE];
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	text_copy_printable(p->error, sizeof(p->error), text);
	pause_fetching(p, provider_now(p));
	settle(p);
}

static void plan_refresh(struct provider *p, int64_t now_ms)
{
	if (p->expires_unix_ms == INT64_MAX) {
		p->refresh_unix_ms = p->mandatory_unix_ms = INT64_MAX;
		return;
	}
	int64_t life = p->expires_unix_ms - now_ms;
	int64_t advisory = life / 2 < ADVISORY_MS ? life / 2 : ADVISORY_MS;
	int64_t mandatory = life / 3 < MANDATORY_MS ? life / 3 : MANDATORY_MS;
	/* Keys that were fetched together need not all be fetched together again. */
	p->refresh_unix_ms = p->expires_unix_ms - advisory + (int64_t)chance(p, (advisory - mandatory) / 4);
	p->mandatory_unix_ms = p->expires_unix_ms - mandatory;
}

static bool take_flag(bool *flag)
{
	bool was = *flag;
	*flag = false;
	return was;
}

/* Takes the keys. */
void provider_succeed(struct provider *p, struct aws_credentials *keys)
{
	struct instant now = provider_now(p);
	int64_t now_ms = now.unix_ms;
	int64_t expires = keys->expires_unix_ms;
	bool over = expires != INT64_MAX && expires - MARGIN_MS <= now_ms;
	bool extend = over && p->source->kind == SOURCE_INSTANCE;
	if (over && !extend) {
		aws_credentials_deinit(keys);
		provider_fail(p, "%s gave keys that have ended already: check that, and this host's clock",
			      p->source->text);
		return;
	}
	aws_credentials_deinit(&p->keys);
	p->keys = *keys;
	p->has_keys = true;
	p->extended = extend;
	p->expires_unix_ms = expires;
	if (extend)
		p->expires_unix_ms = now_ms + EXTENSION_MS + EXTENSION_JITTER_MIN +
				     (int64_t)chance(p, EXTENSION_JITTER_MAX - EXTENSION_JITTER_MIN);
	plan_refresh(p, now_ms);
	p->retry_boot_ms = 0;
	/* AWS may refuse these as well as those before: a source must not be asked at each refusal. */
	if (take_flag(&p->doubted))
		pause_fetching(p, now);
	else
		p->failures = 0;
	p->error[0] = '\0';
	settle(p);
}

/* Takes the step again after a pause. False: it was taken often enough. */
bool provider_try_again(struct provider *p, unsigned tries, int64_t pause_ms)
{
	struct fetch *f = p->fetch;
	if (++f->tries >= tries)
		return false;
	f->again_ms = provider_now(p).boot_ms + pause_ms;
	return true;
}

/* --- sending --- */

struct provider *provider_take_back(void *arg)
{
	struct fetch *f = arg;
	struct provider *p = f->owner;
	f->out = false;
	if (!p)
		free(f);
	return p;
}

void provider_send(struct provider *p, const struct http_request *r, int64_t timeout_ms, bool metadata, transport_cb cb)
{
	struct instant now = provider_now(p);
	p->fetch->out = true;
	p->fetch->again_ms = INT64_MAX;
	p->fetch->sent_boot_ms = now.boot_ms;
	p->fetch->sent_unix_ms = now.unix_ms;
	p->ports.send(p->ports.ctx, r, timeout_ms, metadata, cb, p->fetch);
}

static bool find_endpoint(struct provider *p, enum aws_service service, struct aws_endpoint *ret)
{
	char why[200];
	if (p->ports.endpoint(p->ports.endpoint_ctx, service, p->source->region, ret, why, sizeof(why)) == 0)
		return true;
	provider_fail(p, "%s: %s", p->source->text, why);
	return false;
}

/* A file with one token in it, without the line break that editors leave at its end. False: it has failed. */
bool provider_read_token(struct provider *p, const char *what, char **ret)
{
	char *text;
	size_t len;
	int r = p->ports.read_file(p->ports.ctx, p->source->token_file, LIMIT_KEYS_ANSWER, &text, &len);
	if (r) {
		provider_fail(p, "%s: %s %s cannot be read: %s", p->source->text, what, p->source->token_file,
			      r == -EFBIG    ? "it is larger than 64 KiB"
			      : r == -EINVAL ? "it is not a regular file"
					     : strerror(-r));
		return false;
	}
	if (memchr(text, '\0', len) || !text_is_utf8(text, len)) {
		secret_wipe(text, len);
		free(text);
		provider_fail(p, "%s: %s %s is no text", p->source->text, what, p->source->token_file);
		return false;
	}
	*ret = text;
	return true;
}

static void trim_end(char *text)
{
	size_t len = strlen(text);
	while (len > 0 && strchr(" \t\r\n", text[len - 1]))
		text[--len] = '\0';
}

/* --- STS --- */

static void note_clock(struct provider *p, int64_t date_unix_ms, bool accepted)
{
	struct instant now = p->ports.now(p->ports.ctx);
	if (date_unix_ms != 0)
		aws_clock_told(p->clock, now, date_unix_ms, now.boot_ms - p->fetch->sent_boot_ms, accepted);
}

/* AWS's clock counts: a role must not fail to be assumed because this host's is off. */
static bool correct_clock(struct provider *p, struct aws_error *e)
{
	int64_t travel_ms = provider_now(p).boot_ms - p->fetch->sent_boot_ms;
	/* Against the time that it was signed by: another answer may have told the right one meanwhile. */
	if (aws_error_check_clock(e, p->fetch->sent_unix_ms + travel_ms) == 0)
		return false;
	note_clock(p, e->date_unix_ms, false);
	if (p->fetch->renewed)
		return false;
	p->fetch->renewed = true;
	p->fetch->again_ms = provider_now(p).boot_ms;
	return true;
}

static void take_sts_failure(struct provider *p, struct aws_error *e)
{
	char text[LIMIT_REASON + 128];
	bool passing = e->class == AWS_THROTTLED || e->class == AWS_TRANSIENT || e->class == AWS_NO_CONNECTION ||
		       e->class == AWS_NO_ANSWER;
	if (correct_clock(p, e))
		return;
	if (passing &&
	    provider_try_again(p, STS_TRIES, STS_PAUSE_MS + (int64_t)chance(p, STS_PAUSE_MS << p->fetch->tries)))
		return;
	if (p->child && aws_error_refuses_keys(e))
		(void)provider_refused(p->child, p->fetch->signed_with); /* others may have come meanwhile */
	aws_error_format(e, p->source->kind == SOURCE_ASSUME_ROLE ? "AssumeRole" : "AssumeRoleWithWebIdentity", text,
			 sizeof(text));
	provider_fail(p, "%s: %s", p->source->text, text);
}

static void take_sts(void *arg, enum transport_result result, const struct http_response *response, const char *error)
{
	struct provider *p = provider_take_back(arg);
	struct aws_error e;
	struct aws_credentials keys;
	char why[256];
	if (!p)
		return;
	/* Of a web identity nothing is signed, so that its answer proves no time. */
	if (result == TRANSPORT_ANSWERED && response->status == 200 && p->source->kind == SOURCE_ASSUME_ROLE)
		note_clock(p, aws_error_date(response), true);
	if (result != TRANSPORT_ANSWERED) {
		aws_error_transport(result == TRANSPORT_NO_CONNECTION ? AWS_NO_CONNECTION : AWS_NO_ANSWER, error, &e);
		take_sts_failure(p, &e);
	} else if (response->status < 200 || response->status > 299) {
		aws_error_parse(response, &e);
		take_sts_failure(p, &e);
	} else if (keys_from_sts(response->body, response->body_len, &keys, why, sizeof(why))) {
		provider_fail(p, "%s: the answer of STS %s", p->source->text, why);
	} else {
		provider_succeed(p, &keys);
	}
}

static void send_sts(struct provider *p, struct http_request *r)
{
	provider_send(p, r, STS_TIMEOUT_MS, false, take_sts);
	sigv4_forget(r); /* the transport has copied it */
	secret_wipe((char *)r->body, r->body_len);
}

static void assume_role(struct provider *p, const struct aws_credentials *keys)
{
	struct aws_endpoint e;
	struct http_request r;
	struct arena *arena cleanup(arena_free_p) = NULL;
	if (!find_endpoint(p, AWS_STS, &e))
		return;
	const struct sigv4_scope scope = {
	    .region = p->source->region,
	    .service = endpoint_signing_name(AWS_STS),
	    .unix_ms = provider_now(p).unix_ms,
	    .normalize_path = true,
	};
	arena = arena_new();
	sts_build_assume_role(p->source, arena, &e, &r);
	if (!p->signer)
		p->signer = sigv4_signer_new();
	(void)text_copy(p->fetch->signed_with, sizeof(p->fetch->signed_with), keys->access_key_id); /* 128 at most */
	if (sigv4_sign(p->signer, keys, &scope, &r, arena) == 0)
		send_sts(p, &r);
	else
		provider_fail(p, "%s: the keys are too large to sign with", p->source->text);
}

static void take_source(struct provider *p)
{
	struct aws_credentials keys cleanup(aws_credentials_deinit) = {0};
	char why[PROVIDER_ERROR_SIZE];
	p->fetch->again_ms = INT64_MAX;
	int r = provider_get(p->child, &keys, why, sizeof(why));
	if (r == PROVIDER_BROKEN)
		provider_fail(p, "role %s cannot be assumed: %s", p->source->role_arn, why);
	else if (r == PROVIDER_FOUND && !(p->child->doubted && p->child->fetch)) /* others are on their way */
		assume_role(p, &keys);
}

static void assume_by_web_identity(struct provider *p)
{
	struct aws_endpoint e;
	struct http_request r;
	char *token cleanup(secret_free_p) = NULL;
	if (!find_endpoint(p, AWS_STS, &e) || !provider_read_token(p, "the token's file", &token))
		return;
	trim_end(token);
	if (!*token) {
		provider_fail(p, "%s: the token's file %s is empty", p->source->text, p->source->token_file);
		return;
	}
	struct arena *arena cleanup(arena_free_p) = arena_new();
	sts_build_web_identity(p->source, token, arena, &e, &r);
	send_sts(p, &r);
}

/* --- SSO --- */

/* Cause and cure come first: whoever shows the sentence may have to cut it. */
static void want_login(struct provider *p, const char *why)
{
	provider_fail(p, "%s: run \"aws sso login --profile %s\": %s, whose token is in %s", why, p->source->profile,
		      p->source->text, p->source->token_file);
}

static void take_sso(void *arg, enum transport_result result, const struct http_response *response, const char *error)
{
	struct provider *p = provider_take_back(arg);
	struct aws_error e;
	struct aws_credentials keys;
	char why[LIMIT_REASON + 128] = "";
	if (!p)
		return;
	if (result == TRANSPORT_ANSWERED && response->status == 200) {
		if (keys_from_json(KEYS_OF_SSO, response->body, response->body_len, &keys, why, sizeof(why)))
			provider_fail(p, "%s: the answer of SSO %s", p->source->text, why);
		else
			provider_succeed(p, &keys);
		return;
	}
	if (result == TRANSPORT_ANSWERED)
		aws_error_parse(response, &e);
	else
		aws_error_transport(result == TRANSPORT_NO_CONNECTION ? AWS_NO_CONNECTION : AWS_NO_ANSWER, error, &e);
	bool passing = e.class == AWS_THROTTLED || e.class == AWS_TRANSIENT || result != TRANSPORT_ANSWERED;
	if (passing && provider_try_again(p, STS_TRIES, STS_PAUSE_MS))
		return;
	aws_error_format(&e, "GetRoleCredentials", why, sizeof(why));
	if (result == TRANSPORT_ANSWERED && response->status == 401)
		want_login(p, why);
	else
		provider_fail(p, "%s: %s", p->source->text, why);
}

static void ask_sso(struct provider *p)
{
	const struct source *s = p->source;
	struct aws_endpoint e;
	struct http_request r;
	char *text cleanup(secret_free_p) = NULL, *token cleanup(secret_free_p) = NULL;
	int64_t expires;
	char why[200];
	if (!find_endpoint(p, AWS_SSO, &e))
		return;
	size_t len = 0;
	int error = p->ports.read_file(p->ports.ctx, s->token_file, LIMIT_KEYS_ANSWER, &text, &len);
	if (error) {
		snprintf(why, sizeof(why), "its token cannot be read (%s)",
			 error == -EINVAL ? "it is not a regular file" : strerror(-error));
		want_login(p, why);
		return;
	}
	if (keys_sso_token(text, len, &token, &expires, why, sizeof(why))) {
		char what[sizeof(why) + 16];
		snprintf(what, sizeof(what), "its token %s", why);
		want_login(p, what);
		return;
	}
	if (expires <= provider_now(p).unix_ms) {
		want_login(p, "its token has expired");
		return;
	}
	struct arena *arena cleanup(arena_free_p) = arena_new();
	sts_build_sso(s, token, arena, &e, &r);
	provider_send(p, &r, STS_TIMEOUT_MS, false, take_sso);
}

/* --- a program --- */

static void take_output(void *arg, const struct provider_output *o)
{
	struct provider *p = provider_take_back(arg);
	struct aws_credentials keys;
	char why[256];
	if (!p)
		return;
	if (o->problem)
		provider_fail(p, "%s: %s %s", p->source->text, p->source->command[0], o->problem);
	else if (o->status != 0)
		provider_fail(p, "%s: %s ended with status %d%s%s", p->source->text, p->source->command[0], o->status,
			      *o->complaint ? ": " : "", o->complaint);
	else if (keys_from_json(KEYS_OF_PROCESS, o->text, o->len, &keys, why, sizeof(why)))
		provider_fail(p, "%s: the output of %s %s", p->source->text, p->source->command[0], why);
	else
		provider_succeed(p, &keys);
}

static void run_program(struct provider *p)
{
	p->fetch->out = true;
	p->fetch->again_ms = INT64_MAX;
	p->ports.run(p->ports.ctx, p->source->command, PROCESS_TIMEOUT_MS, take_output, p->fetch);
}

/* --- steps --- */

static void take_step(struct provider *p)
{
	switch (p->fetch->step) {
	case STEP_SOURCE:
		take_source(p);
		break;
	case STEP_WEB_IDENTITY:
		assume_by_web_identity(p);
		break;
	case STEP_SSO:
		ask_sso(p);
		break;
	case STEP_PROCESS:
		run_program(p);
		break;
	case STEP_CONTAINER:
		metadata_ask_container(p);
		break;
	case STEP_TOKEN:
		metadata_begin_instance(p);
		break;
	case STEP_ROLE:
		metadata_ask_role(p);
		break;
	case STEP_KEYS:
		metadata_ask_keys(p);
		break;
	}
}

static void begin(struct provider *p)
{
	static const enum step first[] = {
	    [SOURCE_ASSUME_ROLE] = STEP_SOURCE,
	    [SOURCE_WEB_IDENTITY] = STEP_WEB_IDENTITY,
	    [SOURCE_SSO] = STEP_SSO,
	    [SOURCE_PROCESS] = STEP_PROCESS,
	    [SOURCE_CONTAINER] = STEP_CONTAINER,
	    [SOURCE_INSTANCE] = STEP_TOKEN,
	};
	p->fetch = mem_alloc(sizeof(*p->fetch));
	p->fetch->owner = p;
	p->fetch->step = first[p->source->kind];
	p->fetch->again_ms = INT64_MAX;
	take_step(p);
}

static bool waits_for_source(const struct fetch *f)
{
	return f && f->step == STEP_SOURCE && !f->out && f->again_ms == INT64_MAX;
}

/* Begins a fetch that is due, or takes the next step of one that paused. */
static void drive(struct provider *p)
{
	struct instant now = provider_now(p);
	struct fetch *f = p->fetch;
	if (p->source->kind == SOURCE_STATIC || p->driven)
		return;
	bool due = !usable(p, now.unix_ms) || now.unix_ms >= p->refresh_unix_ms || p->doubted;
	p->driven = true;
	if (f && !f->out && (now.boot_ms >= f->again_ms || waits_for_source(f)))
		take_step(p);
	else if (!f && due && now.boot_ms >= p->retry_boot_ms)
		begin(p);
	p->driven = false;
}

static void source_settled(void *arg)
{
	struct provider *p = arg;
	if (waits_for_source(p->fetch))
		take_step(p);
}

/* --- the face --- */

static struct provider *new_provider(const struct source *source, const struct provider_ports *ports)
{
	struct provider *p = mem_alloc(sizeof(*p));
	p->source = source;
	p->ports = *ports;
	p->clock = ports->clock ? ports->clock : &p->own_clock;
	p->ports.clock = p->clock; /* one for all that a chain asks */
	if (source->kind == SOURCE_STATIC) {
		aws_credentials_copy(&p->keys, &source->keys);
		p->has_keys = true;
		p->expires_unix_ms = source->keys.expires_unix_ms;
	}
	if (source->source) {
		p->child = new_provider(source->source, &p->ports);
		p->child->settled = source_settled;
		p->child->settled_arg = p;
	}
	return p;
}

struct provider *provider_new(struct source *source, const struct provider_ports *ports, void (*settled)(void *arg),
			      void *arg)
{
	struct provider *p = new_provider(source, ports);
	p->owned = source;
	p->settled = settled;
	p->settled_arg = arg;
	return p;
}

void provider_free(struct provider *p)
{
	if (!p)
		return;
	drop_fetch(p);
	provider_free(p->child);
	aws_credentials_deinit(&p->keys);
	sigv4_signer_free(p->signer);
	source_free(p->owned);
	secret_wipe(p->token, sizeof(p->token));
	free(p);
}

bool provider_ask(struct provider *p)
{
	p->used = true;
	drive(p);
	return usable(p, provider_now(p).unix_ms);
}

int provider_peek(const struct provider *p, struct aws_credentials *ret)
{
	if (!usable(p, provider_now(p).unix_ms))
		return PROVIDER_BROKEN;
	aws_credentials_copy(ret, &p->keys);
	return PROVIDER_FOUND;
}

void provider_renew(struct provider *p)
{
	if (p->source->kind == SOURCE_STATIC)
		return;
	drop_fetch(p);
	p->doubted = p->has_keys;
	p->failures = 0;
	p->retry_boot_ms = 0;
	if (p->child)
		provider_renew(p->child);
}

int provider_get(struct provider *p, struct aws_credentials *ret, char *ret_error, size_t error_size)
{
	if (provider_ask(p))
		return provider_peek(p, ret);
	if (p->fetch)
		return PROVIDER_PENDING;
	if (p->source->kind == SOURCE_STATIC)
		snprintf(ret_error, error_size,
			 "the keys of %s have ended (AWS_CREDENTIAL_EXPIRATION): start rolloutd with new ones",
			 p->source->text);
	else
		(void)text_copy(ret_error, error_size, p->error); /* cut at the end at worst */
	return PROVIDER_BROKEN;
}

bool provider_refused(struct provider *p, const char *access_key_id)
{
	bool present = p->has_keys && strcmp(p->keys.access_key_id, access_key_id) == 0;
	p->doubted |= present && p->source->kind != SOURCE_STATIC;
	return present;
}

void provider_look(struct provider *p)
{
	if (p->used)
		drive(p);
}

static void describe_source(const struct provider *p, char *out, size_t size)
{
	const struct provider *last = p;
	while (last->child)
		last = last->child;
	snprintf(out, size, "%s%s%s", p->source->text, *last->role ? " " : "", last->role);
}

void provider_describe(struct provider *p, struct provider_status *ret)
{
	char text[LIMIT_REASON];
	describe_source(p, text, sizeof(text));
	text_copy_printable(p->text, sizeof(p->text), text);
	*ret = (struct provider_status){
	    .source = p->text,
	    .has_keys = usable(p, provider_now(p).unix_ms),
	    .expires_unix_ms = p->expires_unix_ms,
	    .extended = p->extended,
	    .error = p->error,
	};
}

const struct source *provider_source(const struct provider *p)
{
	return p->source;
}
