/*
 * The way of a call:
 *
 *   submit -> queue of its lane -> (token, place on the wire) -> built, signed, sent -> answer
 *                 ^                                                                      |
 *                 └──────────── backs off <──────────── may be tried again ──────────────┤
 *                                                                                        v
 *   what fails before it is sent (no keys, no endpoint, cancelled) -> ended ->  done, once
 *
 * No step costs more with more calls waiting, but for the logarithm of those that back off. `done` may submit and
 * cancel: both only move calls between queues, so nothing recurses, and what they add is seen by the next round.
 */
#include "engine/dispatch.h"

#include <stdio.h>
#include <string.h>

#include "aws/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/lane.h"
#include "engine/rights.h"

#define HOME_PLACES	    4  /* of LIMIT_CALLS_IN_FLIGHT, for PRIORITY_HOME alone */
#define INVOKE_PLACES	    16 /* of LIMIT_CALLS_IN_FLIGHT, as a hook may take minutes to answer */
#define PROBE_PLACES	    16 /* … for probes */
#define GET_FUNCTION_FACTOR 10
#define INVOKE_FACTOR	    10
#define DEPLOYMENT_RPS	    0.18 /* an account has one in 5 seconds, counted where they arrive: a little slack */
#define RESOURCES_RPS_MAX   2	 /* and 5 of these in 2 seconds */
#define ALARMS_RPS_MAX	    5
#define STS_RPS		    5 /* of 600 */
#define DEFAULT_TIMEOUT_MS  (10 * MS_PER_SECOND)
#define CLOCK_CHECK_MS	    (2 * MS_PER_SECOND) /* the first call goes alone for so long */
#define CLOCK_STEP_MS	    MS_PER_MINUTE
#define SKEW_TOLD_MS	    (10 * MS_PER_SECOND)

#define KEYS_PENDING	     2 /* of ports.credentials */
#define KEYLESS_PAUSE_MIN_MS 20
#define KEYLESS_PAUSE_MAX_MS MS_PER_SECOND
#define KEYLESS_TOLD_MS	     MS_PER_SECOND /* a rollback says that it waits */
#define KEYLESS_TOLD_AGAIN   (30 * MS_PER_SECOND)
/* More than any source takes: a credential_process has a minute, and each of eight roles three times ten seconds and
 * the pauses between. */
#define KEYLESS_MAX_MS (6 * MS_PER_MINUTE)

static const struct {
	enum aws_service service;
	enum lane_kind lane;
} operations[OPERATION_COUNT] = {
    [OPERATION_GET_ALIAS] = {AWS_LAMBDA, LANE_LAMBDA},
    [OPERATION_UPDATE_ALIAS] = {AWS_LAMBDA, LANE_LAMBDA},
    [OPERATION_GET_FUNCTION] = {AWS_LAMBDA, LANE_GET_FUNCTION},
    [OPERATION_LIST_VERSIONS] = {AWS_LAMBDA, LANE_LAMBDA},
    [OPERATION_GET_METRIC_DATA] = {AWS_CLOUDWATCH, LANE_METRIC_DATA},
    [OPERATION_DESCRIBE_ALARMS] = {AWS_CLOUDWATCH, LANE_ALARMS},
    [OPERATION_CREATE_FUNCTION] = {AWS_LAMBDA, LANE_LAMBDA},
    [OPERATION_UPDATE_FUNCTION_CODE] = {AWS_LAMBDA, LANE_LAMBDA},
    [OPERATION_PUBLISH_VERSION] = {AWS_LAMBDA, LANE_LAMBDA},
    [OPERATION_DELETE_FUNCTION] = {AWS_LAMBDA, LANE_LAMBDA},
    [OPERATION_CREATE_ALIAS] = {AWS_LAMBDA, LANE_LAMBDA},
    [OPERATION_LIST_ALIASES] = {AWS_LAMBDA, LANE_LAMBDA},
    [OPERATION_GET_POLICY] = {AWS_LAMBDA, LANE_LAMBDA},
    [OPERATION_ADD_PERMISSION] = {AWS_LAMBDA, LANE_LAMBDA},
    [OPERATION_REMOVE_PERMISSION] = {AWS_LAMBDA, LANE_LAMBDA},
    [OPERATION_PUT_CONCURRENCY] = {AWS_LAMBDA, LANE_LAMBDA},
    [OPERATION_DELETE_CONCURRENCY] = {AWS_LAMBDA, LANE_LAMBDA},
    [OPERATION_LIST_CONCURRENCY] = {AWS_LAMBDA, LANE_LAMBDA},
    [OPERATION_INVOKE] = {AWS_LAMBDA, LANE_INVOKE},
    [OPERATION_GET_APIS] = {AWS_APIGATEWAY, LANE_APIGATEWAY},
    [OPERATION_GET_API] = {AWS_APIGATEWAY, LANE_APIGATEWAY},
    [OPERATION_GET_RESOURCES] = {AWS_APIGATEWAY, LANE_RESOURCES},
    [OPERATION_GET_INTEGRATION] = {AWS_APIGATEWAY, LANE_APIGATEWAY},
    [OPERATION_GET_INTEGRATIONS] = {AWS_APIGATEWAY, LANE_APIGATEWAY},
    [OPERATION_GET_ROUTES] = {AWS_APIGATEWAY, LANE_APIGATEWAY},
    [OPERATION_GET_DEPLOYMENTS] = {AWS_APIGATEWAY, LANE_APIGATEWAY},
    [OPERATION_GET_DEPLOYMENT] = {AWS_APIGATEWAY, LANE_APIGATEWAY},
    [OPERATION_GET_STAGES] = {AWS_APIGATEWAY, LANE_APIGATEWAY},
    [OPERATION_CREATE_API] = {AWS_APIGATEWAY, LANE_APIGATEWAY},
    [OPERATION_CREATE_RESOURCE] = {AWS_APIGATEWAY, LANE_APIGATEWAY},
    [OPERATION_PUT_METHOD] = {AWS_APIGATEWAY, LANE_APIGATEWAY},
    [OPERATION_PUT_INTEGRATION] = {AWS_APIGATEWAY, LANE_APIGATEWAY},
    [OPERATION_CREATE_INTEGRATION] = {AWS_APIGATEWAY, LANE_APIGATEWAY},
    [OPERATION_CREATE_ROUTE] = {AWS_APIGATEWAY, LANE_APIGATEWAY},
    [OPERATION_UPDATE_ROUTE] = {AWS_APIGATEWAY, LANE_APIGATEWAY},
    [OPERATION_CREATE_DEPLOYMENT] = {AWS_APIGATEWAY, LANE_DEPLOYMENT},
    [OPERATION_CREATE_STAGE] = {AWS_APIGATEWAY, LANE_APIGATEWAY},
    [OPERATION_UPDATE_STAGE] = {AWS_APIGATEWAY, LANE_APIGATEWAY},
    [OPERATION_GET_CALLER_IDENTITY] = {AWS_STS, LANE_STS},
};

/* A ticket is a slot and how often it was used before, so finding a call and telling it from an earlier one is one
 * look. */
struct slot {
	struct call *call; /* NULL: free */
	uint32_t uses;
	uint32_t next_free; /* index + 1 */
};

struct dispatch {
	struct ports ports;
	bool (*may_change)(void *ctx); /* NULL: whatever it is */
	void *guard_ctx;
	bool barred;
	int64_t timeout_ms;
	struct sigv4_signer *signer;
	struct lanes lanes;
	double rates[LANE_COUNT];

	struct slot *slots;
	size_t n_slots;
	size_t cap_slots;
	uint32_t free_slot; /* index + 1; 0: none */

	struct call **backoff; /* a binary heap by due_ms */
	size_t n_backoff;
	size_t cap_backoff;
	struct call_list ended;

	size_t n_calls;
	size_t n_queued; /* in queues or backing off */
	size_t n_wire;
	size_t n_wire_home;
	size_t n_wire_invoke;
	size_t n_wire_probe;
	struct aws_clock own_clock;
	struct aws_clock *clock;   /* the ports' or that one */
	bool clock_checked;	   /* AWS has answered since the start, or since somebody set this host's clock */
	int64_t checking_since_ms; /* boot_ms: the call that shall tell left then */
	int64_t wall_ahead_ms;	   /* of boot_ms, when we last looked */
	bool skew_told;
	bool running;
	bool closing;
	struct engine_stats stats;
};

static struct instant now_of(const struct dispatch *d)
{
	return d->ports.now(d->ports.ctx);
}

int64_t dispatch_unix_ms(const struct dispatch *d, struct instant now)
{
	return aws_clock_unix_ms(d->clock, now);
}

/* --- tickets --- */

static uint64_t take_slot(struct dispatch *d, struct call *c)
{
	if (d->free_slot == 0) {
		d->slots = mem_grow(d->slots, &d->cap_slots, d->n_slots + 1, sizeof(*d->slots));
		d->slots[d->n_slots] = (struct slot){0};
		d->free_slot = (uint32_t)++d->n_slots;
	}
	uint32_t number = d->free_slot;
	struct slot *s = &d->slots[number - 1];
	d->free_slot = s->next_free;
	s->call = c;
	s->uses++;
	return (uint64_t)s->uses << 32 | number;
}

static struct call *find_call(const struct dispatch *d, uint64_t ticket)
{
	uint32_t number = (uint32_t)ticket;
	if (number == 0 || number > d->n_slots)
		return NULL;
	struct call *c = d->slots[number - 1].call;
	return c && c->ticket == ticket ? c : NULL;
}

static void give_slot_back(struct dispatch *d, const struct call *c)
{
	uint32_t number = (uint32_t)c->ticket;
	d->slots[number - 1].call = NULL;
	d->slots[number - 1].next_free = d->free_slot;
	d->free_slot = number;
}

/* --- those that back off --- */

static void heap_set(struct dispatch *d, size_t at, struct call *c)
{
	d->backoff[at] = c;
	c->heap_slot = at;
}

static void heap_up(struct dispatch *d, size_t at, struct call *c)
{
	for (; at > 0 && d->backoff[(at - 1) / 2]->due_ms > c->due_ms; at = (at - 1) / 2)
		heap_set(d, at, d->backoff[(at - 1) / 2]);
	heap_set(d, at, c);
}

static void heap_down(struct dispatch *d, size_t at, struct call *c)
{
	for (;;) {
		size_t child = 2 * at + 1;
		if (child >= d->n_backoff)
			break;
		if (child + 1 < d->n_backoff && d->backoff[child + 1]->due_ms < d->backoff[child]->due_ms)
			child++;
		if (d->backoff[child]->due_ms >= c->due_ms)
			break;
		heap_set(d, at, d->backoff[child]);
		at = child;
	}
	heap_set(d, at, c);
}

static void back_off(struct dispatch *d, struct call *c, int64_t due_ms)
{
	d->backoff = mem_grow(d->backoff, &d->cap_backoff, d->n_backoff + 1, sizeof(struct call *));
	c->due_ms = due_ms;
	c->place = PLACE_BACKOFF;
	d->n_queued++;
	heap_up(d, d->n_backoff++, c);
}

static void stop_backing_off(struct dispatch *d, struct call *c)
{
	size_t at = c->heap_slot;
	struct call *last = d->backoff[--d->n_backoff];
	d->n_queued--;
	if (last == c)
		return;
	if (at > 0 && d->backoff[(at - 1) / 2]->due_ms > last->due_ms)
		heap_up(d, at, last);
	else
		heap_down(d, at, last);
}

/* --- queue, end, answer --- */

static void enqueue(struct dispatch *d, struct call *c, bool first)
{
	lanes_queue(&d->lanes, c, first);
	d->n_queued++;
}

static void dequeue(struct dispatch *d, struct call *c)
{
	lanes_unqueue(&d->lanes, c);
	d->n_queued--;
}

/* The call will be answered with the error by the next dispatch_run. It is in no queue. */
static void end_call(struct dispatch *d, struct call *c, enum aws_error_class class, const char *code,
		     const char *message)
{
	c->error = mem_alloc(sizeof(*c->error));
	aws_error_transport(class, message, c->error);
	text_copy(c->error->code, sizeof(c->error->code), code);
	c->place = PLACE_ENDED;
	call_list_append(&d->ended, c);
}

/* Everything about the call is gone before its owner hears of the result, and may do as it likes. */
static void answer(struct dispatch *d, struct call *c, const struct http_response *response,
		   const struct aws_error *error)
{
	void (*done)(void *arg, const struct http_response *response, const struct aws_error *error) = c->what.done;
	void *arg = c->what.arg;
	if (error)
		d->stats.call_errors++;
	give_slot_back(d, c);
	lanes_release(&d->lanes, c->lane, now_of(d).boot_ms);
	d->n_calls--;
	free(c->path);
	free(c->key_id);
	free(c);
	done(arg, response, error);
}

static void answer_ended(struct dispatch *d)
{
	/* Those that are added meanwhile wait for the next round. */
	for (size_t n = d->ended.len; n > 0; n--) {
		struct call *c = d->ended.first;
		call_list_remove(&d->ended, c);
		struct aws_error *error cleanup(mem_free_p) = c->error;
		answer(d, c, NULL, error);
	}
}

/* --- answers of the transport --- */

/* Once when it begins, and once when it is over. */
static void tell_skew(struct dispatch *d)
{
	int64_t ahead_ms = dispatch_host_ahead_ms(d);
	char span[32], text[LIMIT_REASON];

	if (!d->skew_told && (ahead_ms > SKEW_TOLD_MS || ahead_ms < -SKEW_TOLD_MS)) {
		text_format_span(ahead_ms < 0 ? -ahead_ms : ahead_ms, span);
		snprintf(
		    text, sizeof(text),
		    "this host's clock is %s %s AWS's: requests are signed and metrics are read by AWS's time; set the "
		    "clock",
		    span, ahead_ms < 0 ? "behind" : "ahead of");
		d->ports.log(d->ports.ctx, LOG_WARNING, text);
		d->skew_told = true;
	} else if (d->skew_told && ahead_ms == 0) {
		d->ports.log(d->ports.ctx, LOG_INFO, "this host's clock agrees with AWS's again");
		d->skew_told = false;
	}
}

static void note_clock(struct dispatch *d, const struct call *c, int64_t date_unix_ms, bool accepted)
{
	struct instant now = now_of(d);

	d->clock_checked = true;
	if (date_unix_ms == 0)
		return;
	aws_clock_told(d->clock, now, date_unix_ms, now.boot_ms - c->sent_boot_ms, accepted);
	tell_skew(d);
}

/*
 * A signature that was refused for its time was not the caller's fault: AWS's time is known now, and the call is signed
 * again by it, once. Whatever else is sent from here on has that time from the start.
 */
static bool correct_clock(struct dispatch *d, struct call *c, struct aws_error *e)
{
	int64_t travel_ms = now_of(d).boot_ms - c->sent_boot_ms;

	/* Against the time that it was signed by: another answer may have told the right one meanwhile. */
	(void)aws_error_check_clock(e, c->signed_unix_ms + travel_ms);
	if (e->class != AWS_SKEW || e->date_unix_ms == 0)
		return false;
	note_clock(d, c, e->date_unix_ms, false);
	if (c->clock_corrected || d->closing)
		return false;
	c->clock_corrected = true;
	return true;
}

/* What whoever reads it may do about it, or need not, where neither AWS nor libcurl says so. */
static void advise(struct aws_error *e)
{
	const char *advice = e->class == AWS_THROTTLED	     ? "the limit is that of the whole account"
			     : e->class == AWS_NO_CONNECTION ? "nothing was sent; check the network and the endpoint"
			     : e->class == AWS_NO_ANSWER     ? "no whole answer came; check the network"
							     : NULL;
	size_t len = strlen(e->message);

	if (advice)
		snprintf(e->message + len, sizeof(e->message) - len, "%s%s", len > 0 ? "; " : "", advice);
}

/* Whoever asked wants to be told by then, whatever there is to tell. */
static bool is_out_of_patience(const struct call *c, int64_t boot_ms)
{
	return c->what.patience_ms > 0 && boot_ms >= c->since_boot_ms + c->what.patience_ms;
}

static void take_failure(struct dispatch *d, struct call *c, struct aws_error *e)
{
	if (e->class == AWS_THROTTLED)
		d->stats.throttled++;
	int64_t wait_ms = -1;
	if (c->called_back)
		wait_ms = -1;
	else if (correct_clock(d, c, e))
		wait_ms = 0;
	else if (!d->closing && !c->what.probe)
		wait_ms = retry_next_ms(&c->lane->budget, &c->retry, e, c->what.safe, c->what.exempt,
					d->ports.entropy(d->ports.ctx));
	if (is_out_of_patience(c, now_of(d).boot_ms + wait_ms))
		wait_ms = -1;
	if (aws_error_refuses_keys(e) && c->key_id && d->ports.keys_refused)
		d->ports.keys_refused(d->ports.ctx, c->lane->account, c->key_id);
	if (e->class == AWS_DENIED)
		rights_name_missing(c->what.operation, c->lane->region, c->path, e);
	advise(e);
	if (wait_ms < 0) {
		answer(d, c, NULL, e);
		return;
	}
	d->stats.retries++;
	if (c->what.exempt && c->what.delayed)
		c->what.delayed(c->what.arg, e);
	back_off(d, c, now_of(d).boot_ms + wait_ms);
}

/* Calls on the wire, by what has places of its own there. */
static void count_wire(struct dispatch *d, const struct call *c, bool sent)
{
	size_t *counts[] = {
	    &d->n_wire,
	    c->what.priority == PRIORITY_HOME ? &d->n_wire_home : NULL,
	    c->lane->kind == LANE_INVOKE ? &d->n_wire_invoke : NULL,
	    c->lane->kind == LANE_PROBE ? &d->n_wire_probe : NULL,
	};

	for (size_t i = 0; i < array_len(counts); i++) {
		if (counts[i] && sent)
			++*counts[i];
		else if (counts[i])
			--*counts[i];
	}
}

/* An operator wants to know why everything takes longer, once; with ten minutes before it is over, also of a trouble
 * that comes and goes. */
static void note_pace(struct dispatch *d, struct lane *lane, bool throttled)
{
	enum lane_pace pace = lane_answered(lane, throttled, now_of(d).boot_ms);
	char text[LIMIT_REASON];

	if (pace == LANE_AS_BEFORE)
		return;
	if (pace == LANE_SLOWED)
		snprintf(
		    text, sizeof(text),
		    "AWS asks to slow down: %s of account %s in %s are sent more slowly for now; rollbacks are not",
		    lane_name(lane->kind), lane->account, lane->region);
	else
		snprintf(text, sizeof(text),
			 "AWS has not asked to slow down for 10 minutes: %s of account %s in %s are sent at their "
			 "usual rate again",
			 lane_name(lane->kind), lane->account, lane->region);
	d->ports.log(d->ports.ctx, pace == LANE_SLOWED ? LOG_WARNING : LOG_INFO, text);
}

/* A proxy and a captive portal answer as well, and their time is nobody's. */
static bool is_from_aws(const struct http_response *r, const struct aws_error *e)
{
	static const char *const ids[] = {"x-amzn-requestid", "x-amz-request-id", "x-amzn-request-id"};
	bool found = *e->code != '\0';

	for (size_t i = 0; i < array_len(ids); i++)
		found |= http_header_find(r->headers, r->n_headers, ids[i]) != NULL;
	return found;
}

static void take_answer(void *arg, enum transport_result result, const struct http_response *response,
			const char *error)
{
	struct call *c = arg;
	struct dispatch *d = c->owner;
	struct aws_error e;
	count_wire(d, c, false);
	switch (result) {
	case TRANSPORT_ANSWERED:
		if (response->status >= 200 && response->status <= 299) {
			note_pace(d, c->lane, false);
			note_clock(d, c, aws_error_date(response), true);
			retry_succeeded(&c->lane->budget, &c->retry);
			answer(d, c, response, NULL);
			return;
		}
		aws_error_parse(response, &e);
		note_pace(d, c->lane, e.class == AWS_THROTTLED);
		if (is_from_aws(response, &e))
			note_clock(d, c, e.date_unix_ms, true);
		break;
	case TRANSPORT_NO_CONNECTION:
		aws_error_transport(AWS_NO_CONNECTION, error, &e);
		break;
	case TRANSPORT_NO_ANSWER:
		aws_error_transport(AWS_NO_ANSWER, error, &e);
		break;
	}
	take_failure(d, c, &e);
}

/* --- sending --- */

static int build_signed(struct dispatch *d, struct call *c, const struct aws_endpoint *e,
			const struct aws_credentials *keys, struct arena *a, struct http_request *ret)
{
	int r = c->what.build(c->what.arg, a, e, ret);
	if (r)
		return r;
	c->signed_unix_ms = dispatch_unix_ms(d, now_of(d));
	const struct sigv4_scope scope = {
	    .region = c->lane->region,
	    .service = endpoint_signing_name(operations[c->what.operation].service),
	    .unix_ms = c->signed_unix_ms,
	    .normalize_path = true,
	    .payload_header = true,
	};
	return sigv4_sign(d->signer, keys, &scope, ret, a);
}

static void send_signed(struct dispatch *d, struct call *c, const struct http_request *r)
{
	c->place = PLACE_WIRE;
	free(c->path);
	c->path = mem_strdup(r->path);
	c->sent_boot_ms = now_of(d).boot_ms;
	if (d->n_wire == 0)
		d->checking_since_ms = c->sent_boot_ms;
	count_wire(d, c, true);
	d->stats.calls[c->what.operation]++;
	d->ports.send(d->ports.ctx, r, c->what.timeout_ms > 0 ? c->what.timeout_ms : d->timeout_ms, take_answer, c);
}

/* Whoever waits for a rollback sees what it waits for, now and then. */
static void tell_keyless(struct dispatch *d, struct call *c, int64_t now_ms)
{
	struct keys_told keys = {.source = "", .error = ""};
	struct aws_error e;
	char text[LIMIT_REASON];

	if (!c->what.exempt || !c->what.delayed || now_ms < c->tell_keyless_ms)
		return;
	c->tell_keyless_ms = now_ms + KEYLESS_TOLD_AGAIN;
	if (d->ports.describe_keys)
		d->ports.describe_keys(d->ports.ctx, c->lane->account, &keys);
	snprintf(text, sizeof(text), "the keys of account %.60s are still being fetched%s%.200s; it is sent with them",
		 c->lane->account, *keys.source ? " from " : "", keys.source);
	aws_error_transport(AWS_CREDENTIALS, text, &e);
	c->what.delayed(c->what.arg, &e);
}

/*
 * Its keys are being fetched. The call goes on when they are there, and meanwhile costs neither its tokens nor one of
 * its tries. The pauses grow with the time that it has waited, so that those who have only just come do not wait long.
 */
static void wait_for_keys(struct dispatch *d, struct call *c)
{
	int64_t now_ms = now_of(d).boot_ms;
	lane_give_back(c->lane, c->what.priority);
	if (c->keyless_since_ms == 0) {
		c->keyless_since_ms = now_ms;
		c->tell_keyless_ms = now_ms + KEYLESS_TOLD_MS;
	}
	int64_t waited_ms = now_ms - c->keyless_since_ms;
	if (waited_ms >= KEYLESS_MAX_MS) {
		end_call(d, c, AWS_CREDENTIALS, "Credentials", "its AWS keys were not there after six minutes");
		return;
	}
	if (is_out_of_patience(c, now_ms)) {
		end_call(d, c, AWS_CREDENTIALS, DISPATCH_KEYS_PENDING, "its AWS keys are still being fetched");
		return;
	}
	tell_keyless(d, c, now_ms);
	int64_t pause_ms = waited_ms < KEYLESS_PAUSE_MIN_MS ? KEYLESS_PAUSE_MIN_MS : waited_ms;
	back_off(d, c, now_ms + (pause_ms < KEYLESS_PAUSE_MAX_MS ? pause_ms : KEYLESS_PAUSE_MAX_MS));
}

static enum aws_service service_of(const struct call *c)
{
	enum aws_service service = operations[c->what.operation].service;

	return service == AWS_APIGATEWAY && c->what.http_api ? AWS_APIGATEWAY_V2 : service;
}

static void send_call(struct dispatch *d, struct call *c)
{
	struct aws_endpoint endpoint;
	struct aws_credentials keys cleanup(aws_credentials_deinit) = {0};
	char problem[LIMIT_REASON] = "";
	int result = d->ports.credentials(d->ports.ctx, c->lane->account, &keys, problem, sizeof(problem));
	if (result == KEYS_PENDING) {
		wait_for_keys(d, c);
		return;
	}
	c->keyless_since_ms = 0;
	if (result) {
		end_call(d, c, AWS_CREDENTIALS, "Credentials", problem);
		return;
	}
	if (d->ports.endpoint(d->ports.ctx, c->lane->account, service_of(c), c->lane->region, &endpoint, problem,
			      sizeof(problem))) {
		end_call(d, c, AWS_SETTINGS, "Endpoint", problem);
		return;
	}
	struct arena *arena cleanup(arena_free_p) = arena_new();
	struct http_request request;
	int r = build_signed(d, c, &endpoint, &keys, arena, &request);
	if (r == 0) {
		free(c->key_id);
		c->key_id = mem_strdup(keys.access_key_id);
		send_signed(d, c, &request);
		sigv4_forget(&request); /* the transport has copied it */
		return;
	}
	snprintf(problem, sizeof(problem), "the request could not be made: %s",
		 r == -E2BIG ? "it is larger than this program sends (1 MiB; 64 KiB of headers)" : strerror(-r));
	end_call(d, c, AWS_INVALID, "Request", problem);
}

void dispatch_set_guard(struct dispatch *d, bool (*may_change)(void *ctx), void *ctx)
{
	d->may_change = may_change;
	d->guard_ctx = ctx;
}

static bool may_leave(struct dispatch *d, const struct call *c)
{
	if (!d->barred && !c->what.safe && d->may_change)
		d->barred = !d->may_change(d->guard_ctx);
	return !d->barred;
}

/* Until AWS has told the time one call goes ahead of all others, so that a wrong clock makes for one refusal and not
 * for as many as there are calls. It may get lost: the others wait for it a moment, and what a rollback consists of
 * not at all. */
static bool is_checking_clock(const struct dispatch *d, enum dispatch_priority p)
{
	return !d->clock_checked && p > PRIORITY_LOOKUP && d->n_wire > 0 &&
	       now_of(d).boot_ms < d->checking_since_ms + CLOCK_CHECK_MS;
}

static bool has_place(const struct dispatch *d, const struct lane *lane, enum dispatch_priority p)
{
	if (d->n_wire >= LIMIT_CALLS_IN_FLIGHT || is_checking_clock(d, p))
		return false;
	if (lane->kind == LANE_INVOKE && d->n_wire_invoke >= INVOKE_PLACES)
		return false;
	if (lane->kind == LANE_PROBE && d->n_wire_probe >= PROBE_PLACES)
		return false;
	return p == PRIORITY_HOME || d->n_wire - d->n_wire_home < LIMIT_CALLS_IN_FLIGHT - HOME_PLACES;
}

/* One call of each lane in turn, until no lane has both a call of this priority and a token. Going through all lanes
 * priority by priority keeps a lane's tokens for its most urgent calls. */
static void send_priority(struct dispatch *d, enum dispatch_priority p, int64_t now_ms)
{
	size_t idle_turns = 0;
	while (idle_turns < d->lanes.active.len) {
		struct lane *lane = d->lanes.active.first;
		struct call *c = lane->queues[p].first;
		lanes_rotate(&d->lanes, lane);
		idle_turns++;
		if (!c || !has_place(d, lane, p) || !lane_take(lane, p, now_ms))
			continue;
		idle_turns = 0;
		if (!may_leave(d, c))
			return;
		dequeue(d, c);
		send_call(d, c);
	}
}

/* Somebody has set this host's clock, or the host was stopped: what was known may not hold any more. */
static void look_at_wall(struct dispatch *d, struct instant now)
{
	int64_t ahead_ms = now.unix_ms - now.boot_ms, step_ms = ahead_ms - d->wall_ahead_ms;

	if (step_ms > CLOCK_STEP_MS || step_ms < -CLOCK_STEP_MS)
		d->clock_checked = false;
	d->wall_ahead_ms = ahead_ms;
}

void dispatch_run(struct dispatch *d)
{
	if (d->running)
		return;
	d->running = true;
	answer_ended(d);
	struct instant now = now_of(d);
	int64_t now_ms = now.boot_ms;
	look_at_wall(d, now);
	while (d->n_backoff > 0 && d->backoff[0]->due_ms <= now_ms) {
		struct call *c = d->backoff[0];
		stop_backing_off(d, c);
		enqueue(d, c, true);
	}
	for (enum dispatch_priority p = PRIORITY_HOME; p < PRIORITY_COUNT; p++)
		send_priority(d, p, now_ms);
	d->running = false;
}

/* --- the face --- */

struct dispatch *dispatch_new(const struct engine_config *config, const struct ports *ports)
{
	struct dispatch *d = mem_alloc(sizeof(*d));
	d->timeout_ms = config->call_timeout_ms > 0 ? config->call_timeout_ms : DEFAULT_TIMEOUT_MS;
	d->ports = *ports;
	d->clock = ports->clock ? ports->clock : &d->own_clock;
	d->signer = sigv4_signer_new();
	d->rates[LANE_LAMBDA] = config->lambda_rps;
	d->rates[LANE_GET_FUNCTION] = config->lambda_rps * GET_FUNCTION_FACTOR;
	d->rates[LANE_METRIC_DATA] = config->cloudwatch_rps;
	d->rates[LANE_ALARMS] = config->cloudwatch_rps < ALARMS_RPS_MAX ? config->cloudwatch_rps : ALARMS_RPS_MAX;
	d->rates[LANE_INVOKE] = config->lambda_rps * INVOKE_FACTOR;
	d->rates[LANE_PROBE] = LIMIT_PROBES_RPS;
	d->rates[LANE_APIGATEWAY] = config->apigateway_rps;
	d->rates[LANE_DEPLOYMENT] = DEPLOYMENT_RPS;
	d->rates[LANE_RESOURCES] =
	    config->apigateway_rps < RESOURCES_RPS_MAX ? config->apigateway_rps : RESOURCES_RPS_MAX;
	d->rates[LANE_STS] = STS_RPS;
	return d;
}

/* Everything that waits, in any lane. */
static void end_all(struct dispatch *d)
{
	while (d->lanes.active.first) {
		struct lane *lane = d->lanes.active.first;
		for (int p = 0; p < PRIORITY_COUNT; p++) {
			struct call *c;
			while ((c = lane->queues[p].first)) {
				dequeue(d, c);
				end_call(d, c, AWS_NO_CONNECTION, "ShutDown", "shut down before it was sent");
			}
		}
	}
	while (d->n_backoff > 0) {
		struct call *c = d->backoff[0];
		stop_backing_off(d, c);
		end_call(d, c, AWS_NO_CONNECTION, "ShutDown", "shut down before it was sent again");
	}
}

/* It would change something, and nobody has to know yet whether it has. */
static bool can_be_left(const struct call *c)
{
	return !c->what.safe && c->what.priority != PRIORITY_HOME && c->sent_boot_ms == 0;
}

static void leave_queued(struct dispatch *d, struct lane *lane)
{
	for (int p = 0; p < PRIORITY_COUNT; p++) {
		for (struct call *c = lane->queues[p].first, *next; c; c = next) {
			next = c->next;
			if (!can_be_left(c))
				continue;
			dequeue(d, c);
			end_call(d, c, AWS_NO_CONNECTION, "ShutDown", "shut down before it was sent");
		}
	}
}

void dispatch_drain(struct dispatch *d)
{
	struct lane *next;

	for (struct lane *lane = d->lanes.active.first; lane; lane = next) {
		next = lane->next; /* it leaves the list with its last call */
		leave_queued(d, lane);
	}
	for (size_t n = d->n_backoff; n-- > 0;) {
		struct call *c = d->backoff[n];
		if (!can_be_left(c))
			continue;
		stop_backing_off(d, c);
		end_call(d, c, AWS_NO_CONNECTION, "ShutDown", "shut down before it was sent");
		n = d->n_backoff; /* the heap has been laid anew */
	}
}

void dispatch_free(struct dispatch *d)
{
	if (!d)
		return;
	require(d->n_wire == 0);
	d->closing = true;
	/* What `done` submits even now is answered in the same way. */
	while (d->n_calls > 0) {
		end_all(d);
		answer_ended(d);
	}
	lanes_deinit(&d->lanes);
	sigv4_signer_free(d->signer);
	free(d->slots);
	free(d->backoff);
	free(d);
}

uint64_t dispatch_submit(struct dispatch *d, const struct dispatch_call *call)
{
	require(call->operation < OPERATION_COUNT && call->priority < PRIORITY_COUNT);
	enum lane_kind kind = call->probe ? LANE_PROBE : operations[call->operation].lane;
	struct call *c = mem_alloc(sizeof(*c));
	c->owner = d;
	c->what = *call;
	c->since_boot_ms = now_of(d).boot_ms;
	c->lane = lanes_get(&d->lanes, kind, call->account, call->region, d->rates[kind], c->since_boot_ms);
	c->what.account = c->lane->account;
	c->what.region = c->lane->region;
	lanes_hold(&d->lanes, c->lane);
	c->ticket = take_slot(d, c);
	d->n_calls++;
	if (d->n_queued >= LIMIT_CALLS_QUEUED && call->priority >= PRIORITY_NORMAL) {
		char text[96];
		snprintf(text, sizeof(text), "%d calls are waiting already, which is this program's limit",
			 LIMIT_CALLS_QUEUED);
		end_call(d, c, AWS_THROTTLED, "TooManyCallsQueued", text);
	} else {
		enqueue(d, c, false);
	}
	return c->ticket;
}

bool dispatch_cancel(struct dispatch *d, uint64_t ticket)
{
	struct call *c = find_call(d, ticket);
	if (c && c->place == PLACE_WIRE)
		c->called_back = true;
	if (!c || (c->place != PLACE_QUEUE && c->place != PLACE_BACKOFF))
		return false;
	if (c->place == PLACE_QUEUE)
		dequeue(d, c);
	else
		stop_backing_off(d, c);
	end_call(d, c, AWS_NO_CONNECTION, "Cancelled", "taken back before it was sent");
	return true;
}

int64_t dispatch_next_ms(const struct dispatch *d)
{
	int64_t now_ms = now_of(d).boot_ms;
	if (d->ended.len > 0)
		return now_ms;
	int64_t next = d->n_backoff > 0 ? d->backoff[0]->due_ms : INT64_MAX;
	for (const struct lane *lane = d->lanes.active.first; lane; lane = lane->next) {
		enum dispatch_priority p = PRIORITY_HOME;
		while (!lane->queues[p].first)
			p++;
		if (is_checking_clock(d, p) && d->checking_since_ms + CLOCK_CHECK_MS < next)
			next = d->checking_since_ms + CLOCK_CHECK_MS;
		if (!has_place(d, lane, p))
			continue; /* an answer has to come first */
		int64_t wait_ms = lane_wait_ms(lane, p, now_ms);
		if (wait_ms < next - now_ms)
			next = now_ms + wait_ms;
	}
	return next;
}

bool dispatch_idle(const struct dispatch *d)
{
	return d->n_calls == d->n_wire_probe; /* which nobody waits for */
}

int64_t dispatch_host_ahead_ms(const struct dispatch *d)
{
	return aws_clock_host_ahead_ms(d->clock, now_of(d));
}

void dispatch_stats(const struct dispatch *d, struct engine_stats *ret)
{
	for (size_t i = 0; i < OPERATION_COUNT; i++)
		ret->calls[i] += d->stats.calls[i];
	ret->call_errors += d->stats.call_errors;
	ret->throttled += d->stats.throttled;
	ret->retries += d->stats.retries;
	ret->calls_queued += d->n_queued;
	ret->calls_in_flight += d->n_wire;
	ret->host_ahead_ms = dispatch_host_ahead_ms(d);
}
