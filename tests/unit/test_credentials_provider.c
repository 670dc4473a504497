/* Fetching keys and keeping them fresh, in virtual time against scripted answers. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
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
	unsigned settled;
	struct aws_clock clock;
	struct provider *p;
};

static struct instant fake_now(void *ctx)
{
	return ((struct rig *)ctx)->now;
}

static uint64_t fake_entropy(void *ctx)
{
	return prng_next(&((struct rig *)ctx)->prng);
}

static void fake_send(void *ctx, const struct http_request *r, int64_t timeout_ms, bool metadata, transport_cb cb,
		      void *arg)
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

static void fake_run(void *ctx, char *const *words, int64_t timeout_ms, provider_ran_cb cb, void *arg)
{
	struct rig *w = ctx;
	(void)timeout_ms;
	w->ran[0] = '\0';
	for (; *words; words++)
		snprintf(w->ran + strlen(w->ran), sizeof(w->ran) - strlen(w->ran), "<%s>", *words);
	w->ran_cb = cb;
	w->ran_arg = arg;
}

static int fake_read(void *ctx, const char *path, size_t max, char **ret, size_t *ret_len)
{
	struct rig *w = ctx;
	(void)path;
	(void)max;
	if (!w->file)
		return -ENOENT;
	*ret = mem_strdup(w->file);
	*ret_len = strlen(w->file);
	return 0;
}

static int fake_endpoint(void *ctx, enum aws_service service, const char *region, struct aws_endpoint *ret,
			 char *ret_error, size_t error_size)
{
	(void)ctx;
	(void)ret_error;
	(void)error_size;
	*ret = (struct aws_endpoint){.scheme = "https"};
	snprintf(ret->host, sizeof(ret->host), "%s.%s", endpoint_service_name(service), region);
	return 0;
}

static void fake_settled(void *arg)
{
	((struct rig *)arg)->settled++;
}

/* Lines of NAME=value. */
static const char *look_up(void *ctx, const char *name)
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

static void rig_init(struct rig *w, const char *env, const char *config)
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

static void rig_deinit(struct rig *w)
{
	provider_free(w->p);
	assert_int_equal(w->n_sent, 0);
}

static void pass(struct rig *w, int64_t ms)
{
	w->now.unix_ms += ms;
	w->now.boot_ms += ms;
}

static void take_first(struct rig *w, struct sent *out)
{
	assert_true(w->n_sent > 0);
	*out = w->sent[0];
	memmove(w->sent, w->sent + 1, --w->n_sent * sizeof(w->sent[0]));
}

static void answer(struct rig *w, int status, const char *body)
{
	struct sent s;
	const struct http_response r = {.status = status, .body = body, .body_len = strlen(body)};
	take_first(w, &s);
	s.cb(s.arg, TRANSPORT_ANSWERED, &r, NULL);
}

static void lose(struct rig *w, enum transport_result result, const char *error)
{
	struct sent s;
	take_first(w, &s);
	s.cb(s.arg, result, NULL, error);
}

static void ran(struct rig *w, const struct provider_output *o)
{
	provider_ran_cb cb = take_ptr(w->ran_cb);
	assert_non_null(cb);
	cb(w->ran_arg, o);
}

/* Keys that end after that time from now, as the metadata services write them. */
static const char *metadata_keys(struct rig *w, const char *id, int64_t ms)
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

static const char *sts_keys(struct rig *w, const char *id, int64_t ms)
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

static void expect_keys(struct rig *w, const char *id)
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

static void expect_pending(struct rig *w)
{
	struct aws_credentials keys;
	char error[1024] = "";
	int r = provider_get(w->p, &keys, error, sizeof(error));
	if (r != PROVIDER_PENDING)
		fail_msg("not pending: %d %s", r, error);
}

static void expect_error(struct rig *w, const char *needle)
{
	struct aws_credentials keys;
	char error[1024] = "";
	assert_int_equal(provider_get(w->p, &keys, error, sizeof(error)), PROVIDER_BROKEN);
	if (!strstr(error, needle))
		fail_msg("%s: %s", needle, error);
	assert_null(strstr(error, SECRET));
}

static void expect_sent(struct rig *w, const char *method, const char *url, bool metadata, int64_t timeout_ms)
{
	assert_int_equal(w->n_sent, 1);
	assert_string_equal(w->sent[0].method, method);
	assert_string_equal(w->sent[0].url, url);
	assert_int_equal(w->sent[0].metadata, metadata);
	assert_int_equal(w->sent[0].timeout_ms, timeout_ms);
}

/* --- roles --- */

#define ENV "AWS_ACCESS_KEY_ID=BASE\nAWS_SECRET_ACCESS_KEY=" SECRET "\n"

static void rig_role(struct rig *w)
{
	rig_init(w, "AWS_PROFILE=r\n",
		 "[profile r]\nrole_arn = " ROLE "\nsource_profile = b\nexternal_id = e x\nduration_seconds = 3600\n"
		 "[profile b]\naws_access_key_id = BASE\naws_secret_access_key = " SECRET "\n");
}

static void a_role_is_assumed(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	rig_role(&w);
	expect_pending(&w);
	expect_sent(&w, "POST", "https://sts.us-east-1/", false, 10 * SECONDS);
	assert_string_equal(w.sent[0].body, "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A"
					    "123456789012%3Arole%2Fops&RoleSessionName=rolloutd&ExternalId=e%20x"
					    "&DurationSeconds=3600");
	assert_true(text_starts_with(w.sent[0].token, "AWS4-HMAC-SHA256 Credential=BASE/20261122/us-east-1/sts/"));
	/* However many ask meanwhile. */
	for (int i = 0; i < 100; i++)
		expect_pending(&w);
	assert_int_equal(w.n_requests, 1);
	assert_int_equal(w.settled, 0);
	answer(&w, 200, sts_keys(&w, "ASIA1", HOURS));
	assert_int_equal(w.settled, 1);
	expect_keys(&w, "ASIA1");
	struct provider_status status;
	provider_describe(w.p, &status);
	assert_string_equal(status.source, "role " ROLE " from profile b of /h/config");
	assert_int_equal(status.expires_unix_ms, START + HOURS);
	assert_string_equal(status.error, "");
}

/* One hour's keys, asked for every second over ten hours: always some, never dead ones, and 15 fetches at most. */
static void keys_are_renewed_under_load(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	rig_role(&w);
	int64_t ends = 0;
	expect_pending(&w);
	for (int64_t s = 0; s < 36000; s++) {
		if (w.n_sent > 0) {
			answer(&w, 200, sts_keys(&w, "ASIA", HOURS));
			ends = w.now.unix_ms + HOURS;
		}
		expect_keys(&w, "ASIA");
		assert_true(w.now.unix_ms < ends);
		pass(&w, SECONDS);
	}
	while (w.n_sent > 0)
		answer(&w, 200, sts_keys(&w, "ASIA", HOURS));
	assert_in_range(w.n_requests, 12, 15);
}

/* The source is down from the first renewal on: the old keys serve to their end, and not a moment longer. */
static void old_keys_serve_while_the_source_is_down(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	rig_role(&w);
	expect_pending(&w);
	answer(&w, 200, sts_keys(&w, "OLD", HOURS));
	struct provider_status status;
	unsigned tries_early = 0, tries_late = 0;
	for (int64_t s = 0; s < 3600 - 5; s++) {
		expect_keys(&w, "OLD");
		if (w.n_sent > 0)
			lose(&w, TRANSPORT_NO_CONNECTION, "connection refused");
		pass(&w, SECONDS);
		*(s < 3000 ? &tries_early : &tries_late) = w.n_requests;
	}
	tries_late -= tries_early;
	assert_in_range(tries_early, 5, 60);
	/* Ten minutes of pauses below ten seconds, each with three tries. */
	assert_in_range(tries_late, 120, 400);
	while (w.n_sent > 0) {
		expect_pending(&w);
		lose(&w, TRANSPORT_NO_CONNECTION, "connection refused");
		pass(&w, 10 * SECONDS);
	}
	pass(&w, 5 * SECONDS);
	for (int i = 0; i < 30 && w.n_requests < 2000; i++) {
		struct aws_credentials keys;
		char error[1024];
		int r = provider_get(w.p, &keys, error, sizeof(error));
		assert_int_not_equal(r, PROVIDER_FOUND);
		if (w.n_sent > 0)
			lose(&w, TRANSPORT_NO_CONNECTION, "connection refused");
		if (r == PROVIDER_BROKEN)
			assert_non_null(strstr(error, "AssumeRole: connection refused"));
		pass(&w, SECONDS);
	}
	provider_describe(w.p, &status);
	assert_false(status.has_keys);
	assert_non_null(
	    strstr(status.error, "role " ROLE " from profile b of /h/config: AssumeRole: connection refused"));
	/* It comes back. */
	pass(&w, 2 * MINUTES);
	expect_pending(&w);
	answer(&w, 200, sts_keys(&w, "NEW", HOURS));
	expect_keys(&w, "NEW");
}

/* With dead keys nothing can be done, a rollback least of all: that is when the source is asked most often. */
static void dead_keys_are_asked_for_most_often(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	unsigned runs = 0;
	rig_init(&w, "", "[default]\ncredential_process = keys\n");
	for (int s = 0; s < 20 * 60; s++) {
		struct aws_credentials keys;
		char error[1024];
		assert_int_not_equal(provider_get(w.p, &keys, error, sizeof(error)), PROVIDER_FOUND);
		if (w.ran_cb) {
			ran(&w, &(struct provider_output){.status = 1, .complaint = ""});
			runs++;
		}
		pass(&w, SECONDS);
	}
	assert_in_range(runs, 20 * 60 / 11, 20 * 60 / 5);
}

static void a_role_that_may_not_be_assumed(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	rig_role(&w);
	expect_pending(&w);
	answer(&w, 403,
	       "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not you</Message></Error>"
	       "</ErrorResponse>");
	expect_error(&w, "role " ROLE " from profile b of /h/config: AssumeRole: AccessDenied (403): not you");
	assert_int_equal(w.n_requests, 1); /* not asked again at once */
	pass(&w, 2 * SECONDS);
	expect_pending(&w);
	answer(&w, 500, "");
	pass(&w, SECONDS);
	expect_pending(&w); /* the same fetch: tried again */
	answer(&w, 200, "<a><Credentials><AccessKeyId>A</AccessKeyId></Credentials></a>");
	expect_error(&w, "the answer of STS has no Credentials with SecretAccessKey");
}

/* The signature is refused because this host is an hour behind; it is signed once more by the service's clock. */
static void a_wrong_clock_does_not_keep_a_role_from_being_assumed(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	struct sent s;
	rig_role(&w);
	expect_pending(&w);
	const char *body = "<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code><Message>old</Message></Error>"
			   "</ErrorResponse>";
	struct http_response r = {.status = 403, .body = body, .body_len = strlen(body)};
	r.headers[r.n_headers++] = (struct http_header){"Date", "Sun, 22 Nov 2026 23:10:05 GMT"};
	take_first(&w, &s);
	s.cb(s.arg, TRANSPORT_ANSWERED, &r, NULL);
	expect_pending(&w);
	answer(&w, 200, sts_keys(&w, "ASIA", 2 * HOURS));
	expect_keys(&w, "ASIA");
	/* They end by the service's clock. */
	pass(&w, HOURS);
	expect_pending(&w);
	answer(&w, 403, body);
	expect_error(&w, "SignatureDoesNotMatch");
}

/* This host is an hour ahead, as Lambda's answers have told: what ends in half an hour has not ended yet, and the role
 * is signed for by AWS's time from the start. */
static void a_clock_that_others_have_told_counts(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	rig_role(&w);
	aws_clock_told(&w.clock, w.now, START - HOURS, 0, false);
	expect_pending(&w);
	const char *body = sts_keys(&w, "ASIA", -HOURS + 30 * MINUTES);
	struct http_response r = {.status = 200, .body = body, .body_len = strlen(body)};
	r.headers[r.n_headers++] = (struct http_header){"Date", "Sun, 22 Nov 2026 21:10:05 GMT"};
	struct sent s;
	take_first(&w, &s);
	s.cb(s.arg, TRANSPORT_ANSWERED, &r, NULL);
	expect_keys(&w, "ASIA");
	assert_int_equal(w.n_requests, 1);
	pass(&w, 30 * MINUTES);
	expect_pending(&w);
	answer(&w, 200, sts_keys(&w, "NEXT", 0));
	expect_keys(&w, "NEXT");
}

static void what_sts_tells_of_the_time(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	struct sent s;
	rig_role(&w);
	expect_pending(&w);
	assert_false(w.clock.known);
	const char *body = "<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code><Message>old</Message></Error>"
			   "</ErrorResponse>";
	struct http_response r = {.status = 403, .body = body, .body_len = strlen(body)};
	r.headers[r.n_headers++] = (struct http_header){"Date", "Sun, 22 Nov 2026 23:10:05 GMT"};
	take_first(&w, &s);
	s.cb(s.arg, TRANSPORT_ANSWERED, &r, NULL);
	assert_true(w.clock.known);
	assert_in_range(aws_clock_unix_ms(&w.clock, w.now), START + HOURS - SECONDS, START + HOURS + SECONDS);
}

#define PROCESS_KEYS(id)                                                                                               \
	"{\"Version\":1,\"AccessKeyId\":\"" id "\",\"SecretAccessKey\":\"" SECRET "\",\"SessionToken\":\"T\"}"

static void ran_well(struct rig *w, const char *text)
{
	ran(w, &(struct provider_output){.text = text, .len = strlen(text), .complaint = ""});
	w->ran[0] = '\0';
}

/* A session without an end that anybody told: AWS tells it, by refusing. */
static void keys_that_aws_refuses_are_fetched_anew(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	rig_init(&w, "", "[default]\ncredential_process = keys\n");
	expect_pending(&w);
	ran_well(&w, PROCESS_KEYS("ONE"));
	expect_keys(&w, "ONE");
	assert_false(provider_refused(w.p, "ELSE")); /* of those before, say */
	expect_keys(&w, "ONE");
	assert_string_equal(w.ran, "");
	assert_true(provider_refused(w.p, "ONE"));
	expect_keys(&w, "ONE"); /* until there are others */
	assert_string_equal(w.ran, "<keys>");
	assert_true(provider_refused(w.p, "ONE"));
	expect_keys(&w, "ONE");
	ran(&w, &(struct provider_output){.status = 1, .complaint = "not now"});
	expect_keys(&w, "ONE");
	assert_null(w.ran_cb);
	pass(&w, SECONDS);
	expect_keys(&w, "ONE");
	ran_well(&w, PROCESS_KEYS("TWO"));
	expect_keys(&w, "TWO");
	/* These are refused as well, at once and on and on: the program is not run each time. */
	unsigned runs = 0;
	for (int i = 0; i < 600; i++) {
		assert_true(provider_refused(w.p, "TWO"));
		expect_keys(&w, "TWO");
		if (w.ran_cb) {
			ran_well(&w, PROCESS_KEYS("TWO"));
			runs++;
		}
		pass(&w, SECONDS);
	}
	assert_in_range(runs, 10, 30);
	pass(&w, MINUTES);
	expect_keys(&w, "TWO"); /* the last refusal */
	ran_well(&w, PROCESS_KEYS("TWO"));
	pass(&w, 1000 * HOURS);
	expect_keys(&w, "TWO");
	assert_null(w.ran_cb);
}

/* It is the keys that a role is assumed with that STS refuses: those of the program, not the role's. */
static void a_refusal_goes_down_the_chain(void **state)
{
	(void)state;
	static const char *const refusal =
	    "<ErrorResponse><Error><Code>ExpiredToken</Code><Message>old</Message></Error>"
	    "</ErrorResponse>";
	struct rig w cleanup(rig_deinit);
	rig_init(&w, "",
		 "[default]\nrole_arn = " ROLE "\nsource_profile = p\n[profile p]\ncredential_process = keys\n");
	expect_pending(&w);
	ran_well(&w, PROCESS_KEYS("ONE"));
	answer(&w, 200, sts_keys(&w, "ROLE1", HOURS));
	expect_keys(&w, "ROLE1");
	assert_true(provider_refused(w.p, "ROLE1"));
	expect_keys(&w, "ROLE1");
	assert_string_equal(w.ran, "");
	assert_non_null(strstr(w.sent[0].token, "Credential=ONE/"));
	answer(&w, 403, refusal);
	pass(&w, SECONDS);
	expect_keys(&w, "ROLE1");
	assert_string_equal(w.ran, "<keys>");
	assert_int_equal(w.n_sent, 0); /* it waits for those */
	ran_well(&w, PROCESS_KEYS("TWO"));
	assert_int_equal(w.n_sent, 1);
	assert_non_null(strstr(w.sent[0].token, "Credential=TWO/"));
	answer(&w, 200, sts_keys(&w, "ROLE2", HOURS));
	expect_keys(&w, "ROLE2");
}

static void a_chain_of_roles(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	rig_init(&w, "",
		 "[default]\nrole_arn = " ROLE "2\nsource_profile = m\n[profile m]\nrole_arn = " ROLE
		 "1\nsource_profile = b\n[profile b]\naws_access_key_id = BASE\naws_secret_access_key = " SECRET "\n");
	expect_pending(&w);
	assert_non_null(strstr(w.sent[0].body, "ops1"));
	answer(&w, 200, sts_keys(&w, "ONE", HOURS));
	assert_int_equal(w.settled, 0);
	assert_int_equal(w.n_sent, 1); /* without anybody asking again */
	assert_non_null(strstr(w.sent[0].body, "ops2"));
	assert_non_null(strstr(w.sent[0].token, "Credential=ONE/"));
	answer(&w, 200, sts_keys(&w, "TWO", HOURS));
	assert_int_equal(w.settled, 1);
	expect_keys(&w, "TWO");
	pass(&w, 2 * HOURS);
	expect_pending(&w);
	answer(&w, 403, "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>");
	expect_error(&w, "role " ROLE "2 cannot be assumed: role " ROLE "1 from profile b of /h/config: AssumeRole: "
			 "AccessDenied");
}

/* --- web identity, SSO, programs --- */

static void a_web_identity_whose_file_changes(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	rig_init(&w, "AWS_WEB_IDENTITY_TOKEN_FILE=/t\nAWS_ROLE_ARN=" ROLE "\nAWS_REGION=eu-west-1\n", NULL);
	expect_error(&w, "the token's file /t cannot be read: No such file");
	assert_int_equal(w.n_requests, 0);
	w.file = "first\n";
	pass(&w, SECONDS);
	expect_pending(&w);
	expect_sent(&w, "POST", "https://sts.eu-west-1/", false, 10 * SECONDS);
	assert_non_null(strstr(w.sent[0].body, "Action=AssumeRoleWithWebIdentity&"));
	assert_true(text_ends_with(w.sent[0].body, "&WebIdentityToken=first"));
	assert_string_equal(w.sent[0].token, "");
	answer(&w, 200, sts_keys(&w, "WEB", HOURS));
	expect_keys(&w, "WEB");
	w.file = "second";
	pass(&w, 50 * MINUTES);
	expect_keys(&w, "WEB");
	assert_true(text_ends_with(w.sent[0].body, "&WebIdentityToken=second"));
	answer(&w, 400, "<ErrorResponse><Error><Code>ExpiredTokenException</Code></Error></ErrorResponse>");
	expect_keys(&w, "WEB");
	w.file = "a\xff";
	pass(&w, HOURS);
	expect_error(&w, "is no text");
}

static void sso_from_its_cached_token(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	rig_init(
	    &w, "HOME=/h\n",
	    "[default]\nsso_start_url = https://s\nsso_region = eu-west-1\nsso_account_id = 1\nsso_role_name = R\n");
	expect_error(&w, "run \"aws sso login --profile default\"");
	w.file = "{\"accessToken\":\"tok\",\"expiresAt\":\"2026-11-22T22:10:05UTC\"}";
	pass(&w, SECONDS);
	expect_error(&w, "its token has expired: run \"aws sso login --profile default\"");
	w.file = "{\"accessToken\":\"tok\",\"expiresAt\":\"2026-11-23T22:10:05Z\"}";
	pass(&w, 2 * SECONDS);
	expect_pending(&w);
	expect_sent(&w, "GET", "https://sso.eu-west-1/federation/credentials?role_name=R&account_id=1", false,
		    10 * SECONDS);
	assert_string_equal(w.sent[0].token, "tok");
	answer(&w, 401, "{\"message\":\"Session token not found or invalid\"}");
	expect_error(&w, "run \"aws sso login");
	pass(&w, 10 * SECONDS);
	expect_pending(&w);
	answer(&w, 200,
	       "{\"roleCredentials\":{\"accessKeyId\":\"SSO\",\"secretAccessKey\":\"" SECRET
	       "\",\"sessionToken\":\"T\",\"expiration\":1795389005000}}");
	expect_keys(&w, "SSO");
	struct provider_status status;
	provider_describe(w.p, &status);
	assert_int_equal(status.expires_unix_ms, START + HOURS);
}

static void a_program(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	rig_init(&w, "", "[default]\ncredential_process = keys 'a b' $HOME\n");
	expect_pending(&w);
	assert_string_equal(w.ran, "<keys><a b><$HOME>");
	ran(&w, &(struct provider_output){.status = 3, .complaint = "no such account"});
	expect_error(&w,
		     "credential_process of profile default in /h/config: keys ended with status 3: no such account");
	pass(&w, SECONDS);
	expect_pending(&w);
	ran(&w, &(struct provider_output){.problem = "cannot be run: no such file or directory", .complaint = ""});
	expect_error(&w, "keys cannot be run");
	static const char *const bad[][2] = {
	    {"", "no valid JSON"},
	    {"{\"Version\":2}", "\"Version\": 1"},
	    {"{\"Version\":1,\"AccessKeyId\":\"A\"}", "has no SecretAccessKey"},
	    {"{\"Version\":1,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"" SECRET "\",\"Expiration\":\"soon\"}",
	     "no Expiration that is a time"},
	    {"{\"Version\":1,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"" SECRET
	     "\",\"Expiration\":\"2026-11-22T22:00:00Z\"}",
	     "gave keys that have ended already"},
	};
	for (size_t i = 0; i < array_len(bad); i++) {
		pass(&w, 2 * MINUTES);
		expect_pending(&w);
		ran(&w, &(struct provider_output){.text = bad[i][0], .len = strlen(bad[i][0]), .complaint = ""});
		expect_error(&w, bad[i][1]);
	}
	const char *good = "{\"Version\":1,\"AccessKeyId\":\"PROC\",\"SecretAccessKey\":\"" SECRET
			   "\",\"SessionToken\":null,\"Expiration\":null}";
	pass(&w, 2 * MINUTES);
	expect_pending(&w);
	ran(&w, &(struct provider_output){.text = good, .len = strlen(good), .complaint = ""});
	expect_keys(&w, "PROC");
	w.ran[0] = '\0';
	pass(&w, 1000 * HOURS);
	expect_keys(&w, "PROC"); /* they never end */
	assert_string_equal(w.ran, "");
}

/* --- container --- */

static void a_container(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	rig_init(&w, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/x?y=z\nAWS_CONTAINER_AUTHORIZATION_TOKEN=auth\n",
		 NULL);
	expect_pending(&w);
	expect_sent(&w, "GET", "http://169.254.170.2/v2/x?y=z", true, 2 * SECONDS);
	assert_string_equal(w.sent[0].token, "auth");
	/* Three tries, a second apart. */
	answer(&w, 500, "");
	expect_pending(&w);
	assert_int_equal(w.n_sent, 0);
	pass(&w, SECONDS);
	expect_pending(&w);
	answer(&w, 200, "not JSON");
	pass(&w, SECONDS);
	provider_look(w.p);
	lose(&w, TRANSPORT_NO_ANSWER, "it took too long");
	expect_error(&w, "container's role, by http://169.254.170.2: it took too long");
	pass(&w, SECONDS);
	expect_pending(&w);
	answer(&w, 200, metadata_keys(&w, "CONT", 6 * HOURS));
	expect_keys(&w, "CONT");
	assert_int_equal(w.n_requests, 4);
}

static void a_container_whose_token_is_in_a_file(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	rig_init(&w,
		 "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://[fd00:ec2::23]/v1\n"
		 "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=/f\nAWS_CONTAINER_AUTHORIZATION_TOKEN=other\n",
		 NULL);
	w.file = "one\n";
	expect_error(&w, "has a line break in it");
	w.file = "one";
	pass(&w, SECONDS);
	expect_pending(&w);
	expect_sent(&w, "GET", "http://[fd00:ec2::23]/v1", true, 2 * SECONDS);
	assert_string_equal(w.sent[0].token, "one");
	answer(&w, 200, metadata_keys(&w, "POD", HOURS));
	expect_keys(&w, "POD");
	w.file = "two";
	pass(&w, 58 * MINUTES);
	expect_keys(&w, "POD");
	assert_string_equal(w.sent[0].token, "two");
	answer(&w, 200, metadata_keys(&w, "POD2", HOURS));
	expect_keys(&w, "POD2");
}

/* --- instance --- */

#define BASE "http://169.254.169.254/latest/"

static void get_instance_keys(struct rig *w, const char *id, int64_t ms)
{
	expect_sent(w, "GET", BASE "meta-data/iam/security-credentials/", true, SECONDS);
	answer(w, 200, "ops\nother");
	expect_sent(w, "GET", BASE "meta-data/iam/security-credentials/ops", true, SECONDS);
	answer(w, 200, metadata_keys(w, id, ms));
	expect_keys(w, id);
}

static void an_instance(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	rig_init(&w, "", NULL);
	expect_pending(&w);
	expect_sent(&w, "PUT", BASE "api/token", true, SECONDS);
	assert_string_equal(w.sent[0].token, "21600");
	answer(&w, 200, "session");
	assert_string_equal(w.sent[0].token, "session");
	get_instance_keys(&w, "I1", HOURS);
	struct provider_status status;
	provider_describe(w.p, &status);
	assert_string_equal(status.source, "instance role ops");
	/* The session's token is kept; one that is refused is asked for anew, once. */
	pass(&w, 50 * MINUTES);
	expect_keys(&w, "I1");
	assert_string_equal(w.sent[0].token, "session");
	answer(&w, 401, "");
	expect_sent(&w, "PUT", BASE "api/token", true, SECONDS);
	answer(&w, 200, "session2");
	assert_string_equal(w.sent[0].token, "session2");
	answer(&w, 401, "");
	expect_keys(&w, "I1");
	provider_describe(w.p, &status);
	assert_non_null(strstr(status.error, "asked for its role, it answered with status 401"));
	/* After six hours a new one. */
	pass(&w, 6 * HOURS);
	expect_pending(&w);
	expect_sent(&w, "PUT", BASE "api/token", true, SECONDS);
	answer(&w, 200, "session3");
	get_instance_keys(&w, "I2", HOURS);
}

/* When the service gives no session token, and when keys are asked for without one. */
static void an_instance_of_the_first_version(void **state)
{
	(void)state;
	for (int status = 400; status <= 406; status++) {
		struct rig w cleanup(rig_deinit);
		rig_init(&w, "", NULL);
		expect_pending(&w);
		if (status == 406)
			lose(&w, TRANSPORT_NO_ANSWER, "time-out");
		else
			answer(&w, status, "");
		if (status == 403 || status == 404 || status == 405 || status == 406) {
			assert_string_equal(w.sent[0].token, "");
			get_instance_keys(&w, "V1", HOURS);
		} else {
			expect_error(&w,
				     "no AWS keys were found: AWS_ACCESS_KEY_ID is not set, /h/credentials does not "
				     "exist, /h/config does not exist, and the instance's metadata service at "
				     "http://169.254.169.254 gives no keys: asked for a session token, it answered");
		}
	}
	struct rig w cleanup(rig_deinit);
	rig_init(&w, "AWS_EC2_METADATA_V1_DISABLED=true\n", NULL);
	expect_pending(&w);
	answer(&w, 404, "");
	expect_error(&w, "AWS_EC2_METADATA_V1_DISABLED forbids");
}

static void an_instance_without_a_good_role(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	rig_init(&w, "", "[default]\nrole_arn = " ROLE "\ncredential_source = Ec2InstanceMetadata\n");
	expect_pending(&w);
	lose(&w, TRANSPORT_NO_CONNECTION, "no route");
	expect_error(&w, "role " ROLE " cannot be assumed: the instance's metadata service at http://169.254.169.254 "
			 "gives no keys: asked for a session token, no route");
	pass(&w, MINUTES);
	expect_pending(&w);
	answer(&w, 200, "s");
	answer(&w, 404, "");
	expect_error(&w, "it has no role: attach an instance profile");
	static const char *const roles[] = {"../../user-data", "a b", "\nops"};
	for (size_t i = 0; i < array_len(roles); i++) {
		pass(&w, 2 * MINUTES);
		expect_pending(&w);
		answer(&w, 200, roles[i]);
		expect_error(&w, "is no role");
	}
	pass(&w, 2 * MINUTES);
	expect_pending(&w);
	answer(&w, 200, "ops");
	answer(&w, 200, "{\"Code\":\"AssumeRoleUnauthorizedAccess\",\"Message\":\"EC2 cannot assume the role ops\"}");
	expect_error(&w, "its answer for role ops is AssumeRoleUnauthorizedAccess: EC2 cannot assume the role ops");
}

/* Keys that are over, and that the service still gives, are used on; and asked for again before long. */
static void keys_of_an_instance_that_are_extended(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	rig_init(&w, "", NULL);
	expect_pending(&w);
	answer(&w, 200, "s");
	get_instance_keys(&w, "OLD", -HOURS);
	struct provider_status status;
	provider_describe(w.p, &status);
	assert_true(status.extended);
	assert_in_range(status.expires_unix_ms - START, 17 * MINUTES, 25 * MINUTES);
	unsigned before = w.n_requests;
	pass(&w, 13 * MINUTES);
	expect_keys(&w, "OLD");
	assert_int_equal(w.n_requests, before + 1);
	get_instance_keys(&w, "NEW", HOURS);
	provider_describe(w.p, &status);
	assert_false(status.extended);
}

/* --- the rest --- */

/* Ten sources that stop while a request is on its way; the answer finds nobody. */
static void a_provider_that_goes_while_it_waits(void **state)
{
	(void)state;
	struct rig w;
	rig_init(&w, "", NULL);
	expect_pending(&w);
	provider_free(w.p);
	answer(&w, 200, "session");
	rig_init(&w, "", "[default]\ncredential_process = keys\n");
	expect_pending(&w);
	provider_free(w.p);
	ran(&w, &(struct provider_output){.problem = "broken off", .complaint = ""});
	provider_free(NULL);
	assert_int_equal(w.settled, 0);
}

static void keys_that_are_given(void **state)
{
	(void)state;
	struct rig w cleanup(rig_deinit);
	rig_init(&w, ENV "AWS_CREDENTIAL_EXPIRATION=2026-11-22T23:10:05Z\n", NULL);
	expect_keys(&w, "BASE");
	pass(&w, HOURS);
	expect_error(&w, "the keys of environment have ended");
	assert_int_equal(w.n_requests, 0);
}

static void times(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t seconds;
	} good[] = {{"2026-11-22T22:10:05Z", 0},       {"2026-11-22T22:10:05.123Z", 0},
		    {"2026-11-22T22:10:05UTC", 0},     {"2026-11-22T23:10:05+01:00", 0},
		    {"2026-11-22T17:40:05-0430", 0},   {"2026-11-22T22:10:05+00:00", 0},
		    {"2026-11-22T22:10:05.5+00:00", 0}};
	static const char *const bad[] = {"",
					  "now",
					  "2026-11-22",
					  "2026-11-22T22:10:05",
					  "2026-11-22T22:10:05+",
					  "2026-11-22T22:10:05+1:0x",
					  "2026-11-22T22:10:05Zz",
					  "2026-13-22T22:10:05Z"};
	int64_t v;
	for (size_t i = 0; i < array_len(good); i++) {
		if (keys_parse_time(good[i].text, &v))
			fail_msg("%s", good[i].text);
		assert_int_equal(v / 1000, START / 1000 + good[i].seconds);
	}
	for (size_t i = 0; i < array_len(bad); i++)
		if (keys_parse_time(bad[i], &v) == 0)
			fail_msg("%s", bad[i]);
}

static void answers_that_are_no_keys(void **state)
{
	(void)state;
	static const char *const xml[] = {
	    "",
	    "<a>",
	    "{}",
	    "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>",
	    "<Credentials><AccessKeyId>A</AccessKeyId><AccessKeyId>B</AccessKeyId><SecretAccessKey>S</SecretAccessKey>"
	    "<SessionToken>T</SessionToken><Expiration>2026-11-22T22:10:05Z</Expiration></Credentials>",
	    "<x><AccessKeyId>A</AccessKeyId><SecretAccessKey>S</SecretAccessKey><SessionToken>T</SessionToken>"
	    "<Expiration>2026-11-22T22:10:05Z</Expiration></x>",
	    "<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a></a></a></a></a></a></a></a></a></a></a></a></a></a></"
	    "a>"
	    "</a></a></a>",
	};
	struct aws_credentials keys;
	char error[256];
	for (size_t i = 0; i < array_len(xml); i++) {
		error[0] = '\0';
		assert_int_equal(keys_from_sts(xml[i], strlen(xml[i]), &keys, error, sizeof(error)), 1);
		assert_string_not_equal(error, "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_role_is_assumed),
	    cmocka_unit_test(keys_are_renewed_under_load),
	    cmocka_unit_test(old_keys_serve_while_the_source_is_down),
	    cmocka_unit_test(dead_keys_are_asked_for_most_often),
	    cmocka_unit_test(a_role_that_may_not_be_assumed),
	    cmocka_unit_test(a_wrong_clock_does_not_keep_a_role_from_being_assumed),
	    cmocka_unit_test(a_clock_that_others_have_told_counts),
	    cmocka_unit_test(what_sts_tells_of_the_time),
	    cmocka_unit_test(keys_that_aws_refuses_are_fetched_anew),
	    cmocka_unit_test(a_refusal_goes_down_the_chain),
	    cmocka_unit_test(a_chain_of_roles),
	    cmocka_unit_test(a_web_identity_whose_file_changes),
	    cmocka_unit_test(sso_from_its_cached_token),
	    cmocka_unit_test(a_program),
	    cmocka_unit_test(a_container),
	    cmocka_unit_test(a_container_whose_token_is_in_a_file),
	    cmocka_unit_test(an_instance),
	    cmocka_unit_test(an_instance_of_the_first_version),
	    cmocka_unit_test(an_instance_without_a_good_role),
	    cmocka_unit_test(keys_of_an_instance_that_are_extended),
	    cmocka_unit_test(a_provider_that_goes_while_it_waits),
	    cmocka_unit_test(keys_that_are_given),
	    cmocka_unit_test(times),
	    cmocka_unit_test(answers_that_are_no_keys),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
