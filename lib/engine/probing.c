/*
 * Probing: while a rollout's canary has traffic and is watched, it is invoked at the pace of the plan, and the stable
 * version beside it where the two are compared. What they answer is counted in the samples of the period in which the
 * answer came, and judged with the next reading of the metrics.
 *
 * A probe is worth nothing by itself, so nothing is done for one: it is sent once, behind everything else, in a lane of
 * its own; each version has one under way, and what is due meanwhile is skipped; at its end a rollout waits for none of
 * them, nor does the program. Counts become durable with the record that was judged with them. Those since the last
 * record are lost in a crash, and nothing is made of their absence.
 *
 * A probe has failed when the function says so, or says nothing for LIMIT_PROBE_TIMEOUT_MS. What Lambda answers in its
 * own name (throttled, a right that is missing, 5xx) and what the network does tells nothing of the version: that turn
 * is skipped.
 *
 * The invocation is of the version itself, so CloudWatch counts it beside the alias's. Headers do not reach a function:
 * the client context says whose request it is, {"custom": {"rolloutd": "probe", "rollout": NAME}}.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "aws/lambda_chain.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/calls.h"
#include "engine/probe_event.h"

#define TICK_MS	      LIMIT_PROBE_EVERY_MS /* turns fall on these, so that many rollouts make few of them */
#define READ_AGAIN_MS MS_PER_MINUTE
#define SILENCE_TOLD  5 /* turns without an answer that are worth an event */
#define CONTEXT_MAX   256
#define PROBED_MAX    2 /* versions */

enum probed { PROBED_CANARY, PROBED_STABLE };

/* Shared by all that is probed in an account and region. */
struct probed_place {
	unsigned probing; /* rollouts */
	unsigned open;	  /* probes under way */
	char *key;
};

/* One probe under way. Whoever sent it may be gone when the answer comes. */
struct shot {
	struct engine *engine;
	struct probing *owner; /* NULL: nobody waits for it */
	enum probed which;
	struct probed_place *place;
	uint64_t ticket;
	int64_t sent_boot_ms;
};

/* The event is being read. */
struct reading {
	struct probing *owner; /* NULL: likewise */
};

struct probing {
	struct item *item;
	struct probing *prev;
	struct probing *next;
	struct probed_place *place;
	struct reading *reading; /* under way */
	struct buf event;	 /* read: what is sent */
	int64_t due_ms;		 /* boot_ms: the next turn, or until the event is there the next try to read it */
	struct shot *open[PROBED_MAX];
	unsigned silent[PROBED_MAX]; /* turns without an answer, one after the other */
	bool told[PROBED_MAX];	     /* … and an operator knows */
	char problem[LIMIT_REASON];  /* of the event, as it was told */
};

/* --- places --- */

static struct probed_place *join_place(struct item *i)
{
	char *key = mem_printf("%s/%s", i->plan->account, i->region);
	struct probed_place *p = strmap_get(&i->engine->probed_places, key);

	if (p) {
		free(key);
	} else {
		p = mem_alloc(sizeof(*p));
		p->key = key;
		strmap_put(&i->engine->probed_places, key, p);
	}
	p->probing++;
	return p;
}

static void drop_place(struct engine *e, struct probed_place *p)
{
	if (p->probing > 0 || p->open > 0)
		return;
	strmap_put(&e->probed_places, p->key, NULL);
	free(p->key);
	free(p);
}

/* --- what is told and counted --- */

static const char *name_of(enum probed which)
{
	return which == PROBED_CANARY ? "canary" : "stable version";
}

static void tell(const struct probing *p, const char *text)
{
	engine_add_event(p->item->engine, p->item, "probe", text, "");
}

static void skip(struct probing *p)
{
	p->item->state.probes_skipped++; /* durable with the next record, as counts are */
	p->item->engine->stats.probes_skipped++;
}

static void count(struct probing *p, enum probed which, bool failed)
{
	struct item *i = p->item;
	int64_t start = verdict_period_start(engine_now(i->engine).unix_ms, i->plan->spec.analysis.period_ms);
	struct sample *s = samples_at(&i->samples, start);
	struct counts *c;

	if (!s)
		return; /* the clock went back beyond all that is kept */
	c = which == PROBED_CANARY ? &s->probe_canary : &s->probe_stable;
	c->seen = true;
	c->invocations++;
	c->errors += failed;
	flight_changed(i, start); /* durable with the next record: a probe is no reason for one */
	i->engine->stats.probes_answered++;
	i->engine->stats.probes_failed += failed;
}

static void take_answer(struct probing *p, enum probed which, bool failed)
{
	char text[LIMIT_REASON];

	count(p, which, failed);
	p->silent[which] = 0;
	if (!p->told[which])
		return;
	p->told[which] = false;
	(void)snprintf(text, sizeof(text), "the %s answers probes again", name_of(which));
	tell(p, text);
}

/* It will be like that until somebody does something about it. */
static bool is_lasting(const struct aws_error *error)
{
	return error->class == AWS_DENIED || error->class == AWS_NOT_FOUND || error->class == AWS_INVALID;
}

static void take_silence(struct probing *p, enum probed which, const struct aws_error *error)
{
	char text[LIMIT_REASON], why[LIMIT_REASON];

	skip(p);
	if (p->told[which] || (++p->silent[which] < SILENCE_TOLD && !is_lasting(error)))
		return;
	p->told[which] = true;
	aws_error_format(error, "Invoke", why, sizeof(why));
	(void)snprintf(text, sizeof(text), "the %s is not probed: %.210s", name_of(which), why);
	tell(p, text);
}

/* --- one probe --- */

static uint64_t version_of(const struct probing *p, enum probed which)
{
	return which == PROBED_CANARY ? p->item->state.canary : p->item->state.stable;
}

static int build(void *arg, struct arena *a, const struct aws_endpoint *e, struct http_request *ret)
{
	struct shot *s = arg;
	const struct probing *p = s->owner;
	struct buf context cleanup(buf_deinit) = BUF_INIT(CONTEXT_MAX);
	char version[24];

	if (!p)
		return -ECANCELED;
	version_format(version_of(p, s->which), version);
	buf_add_text(&context, "{\"custom\":{\"rolloutd\":\"probe\",\"rollout\":");
	buf_add_json_string(&context, p->item->name);
	buf_add_text(&context, "}}");
	s->sent_boot_ms = engine_now(s->engine).boot_ms;
	lambda_build_invoke_with(a, e, calls_function(p->item), version, buf_text(&context), buf_text(&p->event),
				 p->event.len, ret);
	return 0;
}

static void done(void *arg, const struct http_response *response, const struct aws_error *error)
{
	struct shot *s = arg;
	struct probing *p = s->owner;
	struct lambda_invoked *x cleanup(mem_free_p) = mem_alloc(sizeof(*x));
	int64_t took_ms = engine_now(s->engine).boot_ms - s->sent_boot_ms;
	struct aws_error problem;

	s->place->open--;
	drop_place(s->engine, s->place);
	if (p) {
		p->open[s->which] = NULL;
		if (!error && lambda_parse_invoke(response, x, &problem) != 0)
			error = &problem;
		if (!error)
			take_answer(p, s->which, x->failed);
		else if (error->class == AWS_NO_ANSWER && took_ms >= LIMIT_PROBE_TIMEOUT_MS)
			take_answer(p, s->which, true);
		else
			take_silence(p, s->which, error);
	}
	free(s);
}

static void shoot(struct probing *p, enum probed which)
{
	const struct item *i = p->item;
	struct shot *s;
	struct dispatch_call call = {
	    .operation = OPERATION_INVOKE,
	    .account = i->plan->account,
	    .region = i->region,
	    .priority = PRIORITY_PATIENT,
	    .probe = true,
	    .timeout_ms = LIMIT_PROBE_TIMEOUT_MS,
	    .build = build,
	    .done = done,
	};

	if (p->open[which] || p->place->open >= LIMIT_PROBES_OPEN) {
		skip(p);
		return;
	}
	s = mem_alloc(sizeof(*s));
	*s = (struct shot){.engine = i->engine, .owner = p, .which = which, .place = p->place};
	p->place->open++;
	p->open[which] = s;
	call.arg = s;
	s->ticket = dispatch_submit(i->engine->dispatch, &call);
}

/* --- the event --- */

/* A sentence, or "". */
static void check_event(const struct artifact *a, const char *path, char *out, size_t size)
{
	if (a->error)
		(void)text_copy(out, size, a->error);
	else
		probe_event_check(a->text, a->size, path, out, size);
}

static void was_read(void *arg, const struct artifact *a)
{
	struct reading *r = arg;
	struct probing *p = r->owner;
	char problem[LIMIT_REASON], text[LIMIT_REASON];

	free(r);
	if (!p)
		return;
	p->reading = NULL;
	check_event(a, p->item->plan->spec.probe.payload, problem, sizeof(problem));
	p->due_ms = engine_now(p->item->engine).boot_ms;
	if (problem[0] == '\0') {
		buf_add(&p->event, a->text, (size_t)a->size);
	} else {
		p->due_ms += READ_AGAIN_MS;
		(void)snprintf(text, sizeof(text), "nothing is probed: %.200s; it is read again each minute", problem);
		if (strcmp(problem, p->problem) != 0)
			tell(p, text);
	}
	(void)text_copy(p->problem, sizeof(p->problem), problem);
	if (p->due_ms < p->item->engine->next_probing_ms)
		p->item->engine->next_probing_ms = p->due_ms;
}

static void read_event(struct probing *p)
{
	struct engine *e = p->item->engine;

	p->due_ms = INT64_MAX; /* until it was read */
	if (!e->ports.load_event)
		return;
	p->reading = mem_alloc(sizeof(*p->reading));
	p->reading->owner = p;
	e->ports.load_event(e->ports.ctx, p->item->plan->spec.probe.payload, was_read, p->reading);
}

/* --- the face --- */

static void start(struct item *i)
{
	struct engine *e = i->engine;
	struct probing *p = mem_alloc(sizeof(*p));

	p->item = i;
	p->event = BUF_INIT(LIMIT_PROBE_BYTES);
	p->place = join_place(i);
	p->due_ms = engine_now(e).boot_ms;
	p->next = e->first_probing;
	if (p->next)
		p->next->prev = p;
	e->first_probing = p;
	i->probing = p;
	e->next_probing_ms = p->due_ms;
}

void probing_stop(struct item *i)
{
	struct probing *p = i->probing;

	if (!p)
		return;
	i->probing = NULL;
	if (p->reading)
		p->reading->owner = NULL;
	for (size_t n = 0; n < PROBED_MAX; n++) {
		if (!p->open[n])
			continue;
		p->open[n]->owner = NULL;
		(void)dispatch_cancel(i->engine->dispatch, p->open[n]->ticket);
	}
	if (p->prev)
		p->prev->next = p->next;
	else
		i->engine->first_probing = p->next;
	if (p->next)
		p->next->prev = p->prev;
	p->place->probing--;
	drop_place(i->engine, p->place);
	buf_deinit(&p->event);
	free(p);
}

void probing_follow(struct item *i)
{
	bool probed = !i->engine->draining && rollout_is_probed(&i->plan->spec, &i->state);

	if (probed && !i->probing)
		start(i);
	else if (!probed)
		probing_stop(i);
}

static void take_turn(struct probing *p, int64_t now_ms)
{
	const struct rollout_spec *spec = &p->item->plan->spec;

	if (p->event.len == 0) {
		read_event(p);
		return;
	}
	shoot(p, PROBED_CANARY);
	if (spec_probes_stable(spec))
		shoot(p, PROBED_STABLE);
	/* Turns that fell into a time when nobody was here are none. */
	p->due_ms += spec->probe.every_ms;
	if (p->due_ms <= now_ms)
		p->due_ms = now_ms + spec->probe.every_ms;
}

static int64_t tick_of(int64_t boot_ms)
{
	return boot_ms > INT64_MAX - TICK_MS ? boot_ms : (boot_ms + TICK_MS - 1) / TICK_MS * TICK_MS;
}

void probing_run(struct engine *e)
{
	int64_t now_ms = engine_now(e).boot_ms;

	if (e->fenced || e->store_failing || now_ms < e->next_probing_ms)
		return;
	e->next_probing_ms = INT64_MAX;
	for (struct probing *p = e->first_probing; p; p = p->next) {
		int64_t at;

		if (p->due_ms <= now_ms && !p->item->dirty)
			take_turn(p, now_ms);
		at = p->item->dirty ? now_ms : tick_of(p->due_ms);
		if (at < e->next_probing_ms)
			e->next_probing_ms = at;
	}
}

int64_t probing_next_ms(const struct engine *e)
{
	return e->store_failing || e->fenced || e->draining ? INT64_MAX : e->next_probing_ms;
}

static void pack(const struct counts *c, int64_t *ret)
{
	ret[0] = c->seen ? (int64_t)c->invocations : -1;
	ret[1] = c->seen ? (int64_t)c->errors : -1;
}

static void unpack(const int64_t *counts, struct counts *ret)
{
	*ret = (struct counts){.seen = counts[0] >= 0};
	if (!ret->seen)
		return;
	ret->invocations = (uint64_t)counts[0];
	ret->errors = counts[1] > 0 ? (uint64_t)counts[1] : 0;
}

void probing_pack(const struct sample *s, int64_t ret[static PROBING_COUNTS])
{
	pack(&s->probe_canary, ret);
	pack(&s->probe_stable, ret + 2);
}

void probing_unpack(const int64_t counts[static PROBING_COUNTS], struct sample *ret)
{
	unpack(counts, &ret->probe_canary);
	unpack(counts + 2, &ret->probe_stable);
}

void probing_deinit(struct engine *e)
{
	strmap_deinit(&e->probed_places);
}
