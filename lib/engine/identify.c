/*
 * Whose keys an account has: where they are from and until when they are good says whoever gets them; for whom they
 * are, STS. That needs no right, so it also tells whose rights are missing when nothing else is allowed. A rollout does
 * not need STS, so that it cannot be asked is a warning only.
 */
#include <stdio.h>
#include <string.h>

#include "aws/identity.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/calls.h"
#include "engine/inspect.h"

#define TIMEOUT_MS   (3 * MS_PER_SECOND)  /* of a try; where STS cannot be reached the rest shall still be told */
#define PATIENCE_MS  (20 * MS_PER_SECOND) /* for keys and further tries: no slow source shall hide others */
#define KEYS_SIZE    640
#define CURE_PENDING "ask again in a minute; if it is so again, see why that source is slow"
#define CURE_KEYS    "mend that source, then `rolloutctl reload`; the AWS CLI as rolloutd's user must find keys there"

/* One account's call and what came of it, in the inspection's arena. */
struct question {
	struct inspect *inspect;
	struct question *all; /* of the inspection, in the accounts' order */
	struct view_account *account;
	bool failed;
	union {
		struct identity who;
		struct aws_error error;
	};
};

static struct keys_told keys_of(const struct inspect *n, const char *account)
{
	struct keys_told keys = {.source = "", .error = ""};

	if (n->engine->ports.describe_keys)
		n->engine->ports.describe_keys(n->engine->ports.ctx, account, &keys);
	return keys;
}

/* "keys from instance role ops, good until …". */
static void format_keys(const struct keys_told *k, char out[static KEYS_SIZE])
{
	char until[32] = "";

	if (k->there && k->expires_unix_ms != INT64_MAX)
		text_format_utc(k->expires_unix_ms, until);
	(void)snprintf(out, KEYS_SIZE, "keys from %.500s%s%s%s", *k->source ? k->source : "a source that is not known",
		       *until	  ? ", good until "
		       : k->there ? ", which do not end"
				  : "",
		       until, k->extended ? " as AWS has extended them" : "");
}

/* Of an STS that does not tell. */
static const char *cure_of(const struct aws_error *e)
{
	bool deaf = e->class == AWS_NO_CONNECTION || e->class == AWS_NO_ANSWER || e->class == AWS_TRANSIENT;

	return deaf ? "let this host reach STS, or see AWS_ENDPOINT_URL_STS" : doctor_cure(e);
}

/* False: nothing else can be asked with these keys either. */
static bool judge_error(struct inspect *n, const struct keys_told *k, const struct aws_error *e, const char *subject)
{
	bool unsent = e->status == 0;
	char keys[KEYS_SIZE], text[2 * LIMIT_REASON];

	format_keys(k, keys);
	aws_error_format(e, "GetCallerIdentity", text, sizeof(text));
	if (strcmp(e->code, DISPATCH_KEYS_PENDING) == 0)
		inspect_find(n, FINDING_PROBLEM, subject, CURE_PENDING, "its keys are still being fetched from %.500s",
			     *k->source ? k->source : "a source that is not known");
	else if (e->class == AWS_CREDENTIALS && unsent)
		inspect_find(n, FINDING_PROBLEM, subject, CURE_KEYS, "it has no keys: %s",
			     *k->error ? k->error : e->message);
	else if (e->class == AWS_CREDENTIALS)
		inspect_find(n, FINDING_PROBLEM, subject, CURE_KEYS, "AWS refuses its %s: %s", keys, text);
	else if (e->class == AWS_SETTINGS || (e->class == AWS_INVALID && unsent))
		inspect_find(n, FINDING_PROBLEM, subject, "mend the setting that it names", "%s", e->message);
	else
		inspect_find(n, FINDING_WARNING, subject, cure_of(e),
			     "it has %s; STS could not be asked whose they are: %s", keys, text);
	return e->class != AWS_CREDENTIALS && e->class != AWS_SETTINGS && !(e->class == AWS_INVALID && unsent);
}

static void judge_identity(struct inspect *n, const struct keys_told *k, const struct question *q, const char *subject)
{
	char keys[KEYS_SIZE];

	format_keys(k, keys);
	q->account->arn = arena_strdup(n->arena, q->who.arn);
	q->account->account_id = arena_strdup(n->arena, q->who.account_id);
	inspect_find(n, FINDING_OK, subject, "", "it is %s of account %s, by %s", q->who.arn, q->who.account_id, keys);
	if (k->there && *k->error)
		inspect_find(n, FINDING_WARNING, subject, CURE_KEYS, "its next keys cannot be fetched: %s", k->error);
}

/* False: the account is of no use. */
static bool judge(struct inspect *n, const struct question *q)
{
	const struct keys_told keys = keys_of(n, q->account->name);
	char subject[96];

	q->account->source = arena_strdup(n->arena, keys.source);
	q->account->expires_unix_ms = keys.there ? keys.expires_unix_ms : 0;
	q->account->extended = keys.extended;
	(void)snprintf(subject, sizeof(subject), "account %.60s", q->account->name);
	if (q->failed)
		return judge_error(n, &keys, &q->error, subject);
	judge_identity(n, &keys, q, subject);
	return true;
}

static void answered(void *arg, const struct http_response *response, const struct aws_error *error)
{
	struct question *q = arg;
	struct inspect *n = q->inspect;
	struct identity who;
	struct aws_error problem;
	bool usable = true;

	if (!inspect_goes_on(n))
		return;
	if (!error && identity_parse(response, &who, &problem) != 0)
		error = &problem;
	q->failed = error != NULL;
	if (error)
		q->error = *error;
	else
		q->who = who;
	if (n->calls > 0)
		return;
	for (size_t i = 0; i < n->n_accounts; i++)
		usable &= judge(n, &q->all[i]);
	inspect_identified(n, usable);
}

static int build(void *arg, struct arena *a, const struct aws_endpoint *e, struct http_request *ret)
{
	(void)arg;
	identity_build_get(a, e, ret);
	return 0;
}

void identify_accounts(struct inspect *n)
{
	struct question *all = arena_alloc(n->arena, n->n_accounts * sizeof(*all));

	n->engine->calls_open += (unsigned)n->n_accounts;
	n->calls += (unsigned)n->n_accounts;
	for (size_t i = 0; i < n->n_accounts; i++) {
		const struct dispatch_call call = {
		    .operation = OPERATION_GET_CALLER_IDENTITY,
		    .account = n->accounts[i].name,
		    .region = n->accounts[i].region,
		    .priority = PRIORITY_NORMAL,
		    .safe = true,
		    .timeout_ms = TIMEOUT_MS,
		    .patience_ms = PATIENCE_MS,
		    .build = build,
		    .done = answered,
		    .arg = &all[i],
		};

		all[i] = (struct question){.inspect = n, .all = all, .account = &n->accounts[i]};
		(void)dispatch_submit(n->engine->dispatch, &call);
	}
}
