/*
 * Preparing: everything that a rollout must know before it begins, by a sequence of reads.
 *
 *   which version:  the plan's number | the newest one | what it publishes | what another alias holds
 *   then:           alias, (versions | publishing,) canary, stable, provisioned concurrency(, alarms)
 *
 * Once the rollout has chosen its version it is asked for no more. As long as that has to soak on another alias,
 * nothing but that alias is read.
 */
#include <stdio.h>
#include <string.h>

#include "aws/cloudwatch.h"
#include "aws/lambda_chain.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/calls.h"
#include "engine/chain.h"

#define TOKEN_MAX		8192
#define CONCURRENCY_UNKNOWN_MAX 4
/* How far back in the records it is looked for since when a version is on its source alias … */
#define SOURCE_ATTEMPTS 2000
/* … and on the rollout's own, which each rollout asks: among the last ones of all, and of its name. */
#define STABLE_ATTEMPTS 200

enum stage {
	STAGE_SOURCE,
	STAGE_ALIAS,
	STAGE_VERSIONS,
	STAGE_CANARY,
	STAGE_STABLE,
	STAGE_CONCURRENCY,
	STAGE_ALARMS,
};

struct preparing {
	struct item *item;	    /* pinned */
	struct rollout_event event; /* the answer that is being put together */
	enum stage stage;
	struct lambda_function canary;
	struct lambda_versions versions;
	struct chain_view view; /* its concurrency alone */
	enum alarm_state alarms[LIMIT_METRICS];
	struct buf token;
	char marker[1024];
	unsigned pages;
};

static void submit(struct preparing *p);

/* --- ends --- */

static void finish(struct preparing *p)
{
	struct item *i = p->item;

	engine_event(i, &p->event, NULL, NULL);
	i->engine->calls_open--;
	chain_view_deinit(&p->view);
	buf_deinit(&p->token);
	free(p);
	item_unpin(i);
}

static void failed(struct preparing *p, const char *operation, const struct aws_error *error)
{
	p->event.prepared.outcome = aws_error_outcome(error);
	aws_error_format(error, operation, p->event.prepared.error, sizeof(p->event.prepared.error));
	finish(p);
}

static void printf_like(3, 4) answer(struct preparing *p, enum call_outcome outcome, const char *fmt, ...)
{
	va_list args;

	p->event.prepared.outcome = outcome;
	va_start(args, fmt);
	(void)vsnprintf(p->event.prepared.error, sizeof(p->event.prepared.error), fmt, args);
	va_end(args);
	finish(p);
}

static void complete(struct preparing *p)
{
	p->event.prepared.outcome = CALL_OK;
	p->event.prepared.alarms = p->alarms;
	finish(p);
}

static void next_stage(struct preparing *p, enum stage stage)
{
	p->stage = stage;
	submit(p);
}

/* --- which version --- */

static void chosen(struct preparing *p, uint64_t version)
{
	p->event.prepared.canary = version;
	next_stage(p, STAGE_CANARY);
}

/* Since when a version has all of an alias's traffic, by a rollout of ours that was the last to move it. */
struct since {
	const char *alias_key;
	uint64_t version;
	bool found; /* the last one that moved it */
	int64_t unix_ms;
};

static void weigh(struct since *s, const struct rollout *r)
{
	/* One that moved no traffic, or changed nothing, says nothing. */
	if (r->first_traffic_unix_ms == 0 && r->promoted_unix_ms == 0)
		return;
	s->found = true;
	if (r->phase == PHASE_SUCCEEDED && r->canary == s->version)
		s->unix_ms = r->promoted_unix_ms;
	else if (r->phase == PHASE_ROLLED_BACK && r->stable == s->version)
		s->unix_ms = r->ended_unix_ms;
}

static int weigh_row(void *ctx, const struct store_rollout *row)
{
	struct since *s = ctx;
	struct rollout r;
	char boot_id[BOOT_ID_SIZE], error[LIMIT_REASON];

	if (strcmp(row->alias_key, s->alias_key) == 0 &&
	    record_decode(row->record, &r, boot_id, error, sizeof(error)) == 0)
		weigh(s, &r);
	return s->found ? 1 : 0;
}

/* Returns 0 or the store's error. */
static int find_since(const struct engine *e, unsigned attempts, struct since *s)
{
	for (const struct item *n = e->last; n && !s->found; n = n->prev) {
		if (!n->unreadable && strcmp(n->alias_key, s->alias_key) == 0)
			weigh(s, &n->state);
	}
	return s->found ? 0 : store_each_of_name(e->store, NULL, attempts, weigh_row, s);
}

/* What is not found soaks from now on, so a store that cannot be read costs time and nothing else. */
static int64_t source_since(const struct item *i, uint64_t version)
{
	char *key cleanup(mem_free_p) =
	    mem_printf("%s/%s/%s/%s", i->plan->account, i->region, i->plan->function, i->plan->from_alias);
	struct since s = {.alias_key = key, .version = version};

	return find_since(i->engine, SOURCE_ATTEMPTS, &s) < 0 ? 0 : s.unix_ms;
}

/* If the last rollout of ours left another version there, somebody else has moved the alias since, perhaps just now. */
static int64_t stable_since(const struct item *i, uint64_t version)
{
	struct since s = {.alias_key = i->alias_key, .version = version};
	int r = find_since(i->engine, STABLE_ATTEMPTS, &s);

	if (r >= 0 && !s.found)
		r = store_each_of_name(i->engine->store, i->name, STABLE_ATTEMPTS, weigh_row, &s);
	return r < 0 || (s.found && s.unix_ms == 0) ? engine_now(i->engine).unix_ms : s.unix_ms;
}

static bool has_soaked(const struct item *i, uint64_t version)
{
	const struct rollout *r = &i->state;

	return i->plan->spec.soak_ms == 0 ||
	       (r->soak_version == version &&
		r->soak_from_unix_ms + i->plan->spec.soak_ms <= engine_now(i->engine).unix_ms);
}

static void source_answered(struct preparing *p, const struct http_response *response)
{
	const struct item *i = p->item;
	struct alias_view source;
	struct aws_error problem;
	char holds[128];

	if (lambda_parse_alias(response, &source, &problem) != 0) {
		failed(p, "GetAlias", &problem);
		return;
	}
	if (source.odd || source.target.weight_bp > 0) {
		alias_view_format(&source, holds, sizeof(holds));
		p->event.prepared.waiting = true;
		answer(p, CALL_OK, "waits until %.100s has one version alone: it holds %.100s", i->plan->from_alias,
		       holds);
	} else if (source.target.version == VERSION_LATEST) {
		answer(p, CALL_REFUSED,
		       "%.100s points at $LATEST, which may change at any time: point it at a published version, and "
		       "`rolloutctl retry`",
		       i->plan->from_alias);
	} else {
		p->event.prepared.canary = source.target.version;
		if (has_soaked(i, source.target.version)) {
			next_stage(p, STAGE_ALIAS);
			return;
		}
		p->event.prepared.waiting = true;
		if (i->state.soak_version != source.target.version)
			p->event.prepared.source_since_unix_ms = source_since(i, source.target.version);
		complete(p);
	}
}

static void published(void *arg, enum call_outcome outcome, uint64_t version, bool waiting, const char *text)
{
	struct preparing *p = arg;

	if (outcome == CALL_OK && !waiting && version != 0) {
		chosen(p, version);
		return;
	}
	p->event.prepared.waiting = waiting;
	answer(p, outcome, "%s", text);
}

static void alias_answered(struct preparing *p, const struct http_response *response)
{
	const struct plan *plan = p->item->plan;
	struct aws_error problem;

	if (lambda_parse_alias(response, &p->event.prepared.alias, &problem) != 0) {
		failed(p, "GetAlias", &problem);
		return;
	}
	if (p->item->state.canary != 0) {
		chosen(p, p->item->state.canary);
		return;
	}
	switch (plan->version_kind) {
	case PLAN_VERSION_LATEST:
		next_stage(p, STAGE_VERSIONS);
		break;
	case PLAN_VERSION_PUBLISH:
		publish_for(p->item, published, p);
		break;
	case PLAN_VERSION_FROM_ALIAS:
		next_stage(p, STAGE_CANARY);
		break;
	case PLAN_VERSION_NUMBER:
		chosen(p, plan->version);
		break;
	}
}

static void versions_answered(struct preparing *p, const struct http_response *response)
{
	struct aws_error problem;

	if (lambda_parse_list_versions(response, &p->versions, &problem) != 0) {
		failed(p, "ListVersionsByFunction", &problem);
		return;
	}
	if (p->versions.highest > p->event.prepared.canary)
		p->event.prepared.canary = p->versions.highest;
	if (p->versions.next_marker[0] && ++p->pages < LIMIT_PAGES)
		next_stage(p, STAGE_VERSIONS);
	else if (p->versions.next_marker[0])
		answer(p, CALL_REFUSED,
		       "the function's list of versions has more than %d pages: name the version in the plan",
		       LIMIT_PAGES);
	else if (p->event.prepared.canary == 0)
		answer(p, CALL_REFUSED, "the function has no published version yet: publish one");
	else
		next_stage(p, STAGE_CANARY);
}

/* --- the two versions --- */

static void version_info(const struct lambda_function *f, struct version_info *ret)
{
	const char *state = f->state;

	(void)text_copy(ret->hash, sizeof(ret->hash), f->code_sha256);
	/* A version without a state is an old one, and one that idled (Inactive) wakes up with its first request. */
	if (state[0] == '\0' || strcmp(state, "Active") == 0 || strcmp(state, "Inactive") == 0)
		ret->state = VERSION_READY;
	else
		ret->state = strcmp(state, "Pending") == 0 ? VERSION_PENDING : VERSION_BROKEN;
	(void)snprintf(ret->detail, sizeof(ret->detail), "its state is %s%s%.180s", state,
		       f->state_reason[0] ? ": " : "", f->state_reason);
}

/* Whether the code is quarantined on this alias, on record or about to be. Returns 0 or the store's error. */
static int find_quarantine(const struct item *i, const char *hash, bool *ret)
{
	const struct engine *e = i->engine;
	bool found = false;
	int r;

	for (size_t n = 0; n < e->n_quarantines && !found; n++) {
		const struct item *q = e->quarantines[n].item;

		found = strcmp(q->alias_key, i->alias_key) == 0 && strcmp(q->state.canary_hash, hash) == 0;
	}
	r = found ? 0 : store_find_quarantine(e->store, i->alias_key, hash);
	if (r != 0 && r != STORE_NOT_FOUND)
		return r;
	*ret = r == 0;
	return 0;
}

static void canary_answered(struct preparing *p, const struct http_response *response)
{
	struct aws_error problem;
	struct item *i = p->item;

	if (lambda_parse_get_function(response, &p->canary, &problem) != 0) {
		failed(p, "GetFunction", &problem);
		return;
	}
	version_info(&p->canary, &p->event.prepared.canary_info);
	if (find_quarantine(i, p->event.prepared.canary_info.hash, &p->event.prepared.quarantined) != 0)
		answer(p, CALL_UNAVAILABLE, "it cannot be read whether the version is quarantined: %.180s",
		       store_error_text(i->engine->store));
	else
		next_stage(p, STAGE_STABLE);
}

static void stable_answered(struct preparing *p, const struct http_response *response)
{
	struct lambda_function stable;
	struct aws_error problem;

	if (lambda_parse_get_function(response, &stable, &problem) != 0) {
		failed(p, "GetFunction", &problem);
		return;
	}
	version_info(&stable, &p->event.prepared.stable_info);
	p->event.prepared.stable_since_unix_ms = stable_since(p->item, p->event.prepared.alias.target.version);
	p->event.prepared.same_role = strcmp(stable.role, p->canary.role) == 0 &&
				      strcmp(stable.dead_letter_target, p->canary.dead_letter_target) == 0;
	next_stage(p, STAGE_CONCURRENCY);
}

/* --- provisioned concurrency --- */

/* An alarm that only runs dry is in nobody's way, and that it cannot be read neither. */
static bool forbids(const struct spec_metric *m)
{
	return m->kind == SPEC_METRIC_ALARM && !m->dry_run;
}

static void after_concurrency(struct preparing *p)
{
	const struct spec_analysis *a = &p->item->plan->spec.analysis;
	bool any = false;

	p->pages = 0;
	for (size_t m = 0; m < a->n_metrics; m++) {
		if (forbids(&a->metrics[m])) {
			p->alarms[m] = ALARM_MISSING;
			any = true;
		}
	}
	if (any)
		next_stage(p, STAGE_ALARMS);
	else
		complete(p);
}

static const struct view_concurrency *concurrency_of(const struct preparing *p, uint64_t version)
{
	char qualifier[24];

	version_format(version, qualifier);
	return chain_view_concurrency(&p->view, qualifier);
}

static void read_concurrency(struct preparing *p)
{
	static const enum provision_state states[] = {
	    [CONCURRENCY_IN_PROGRESS] = PROVISION_IN_PROGRESS,
	    [CONCURRENCY_READY] = PROVISION_READY,
	    [CONCURRENCY_FAILED] = PROVISION_FAILED,
	};
	const struct view_concurrency *stable = concurrency_of(p, p->event.prepared.alias.target.version);
	const struct view_concurrency *canary = concurrency_of(p, p->event.prepared.canary);

	p->event.prepared.alias_provisioned = chain_view_concurrency(&p->view, p->item->plan->alias) != NULL;
	/* What AWS could not give the stable version, it does not have. */
	if (stable && stable->status != CONCURRENCY_FAILED)
		p->event.prepared.stable_provisioned = stable->requested;
	if (!canary)
		return;
	p->event.prepared.canary_provision = states[canary->status];
	p->event.prepared.canary_provisioned = canary->requested;
	(void)snprintf(p->event.prepared.provision_detail, sizeof(p->event.prepared.provision_detail),
		       "%u of %u are there%s%.180s", canary->available, canary->requested,
		       canary->reason[0] ? ": " : "", canary->reason);
}

static void concurrency_answered(struct preparing *p, const struct http_response *response)
{
	struct aws_error problem;

	if (lambda_parse_concurrencies(response, &p->view, p->marker, sizeof(p->marker), &problem) != 0) {
		failed(p, "ListProvisionedConcurrencyConfigs", &problem);
	} else if (p->marker[0] && ++p->pages < LIMIT_PAGES) {
		next_stage(p, STAGE_CONCURRENCY);
	} else {
		read_concurrency(p);
		after_concurrency(p);
	}
}

/* Who may not list it has none that we could keep; a service that does not know the operation has none at all. */
static void without_concurrency(struct preparing *p, const struct aws_error *error)
{
	struct item *i = p->item;
	char text[LIMIT_REASON];

	if (error->class == AWS_DENIED && !i->concurrency_denied) {
		(void)snprintf(text, sizeof(text), "provisioned concurrency is left alone: %s", error->message);
		engine_add_event(i->engine, i, rollout_announce_name(ANNOUNCE_TROUBLE), text, "");
		i->concurrency_denied = true;
	}
	after_concurrency(p);
}

/* --- alarms --- */

static void take_alarm(void *ctx, const char *name, enum alarm_state state, const char *reason)
{
	struct preparing *p = ctx;
	const struct spec_analysis *a = &p->item->plan->spec.analysis;

	(void)reason;
	for (size_t m = 0; m < a->n_metrics; m++) {
		if (a->metrics[m].kind == SPEC_METRIC_ALARM && strcmp(a->metrics[m].alarm, name) == 0)
			p->alarms[m] = state;
	}
}

static void alarms_answered(struct preparing *p, const struct http_response *response)
{
	struct aws_error problem;

	buf_reset(&p->token);
	if (cloudwatch_parse_describe_alarms(response, take_alarm, p, &p->token, &problem) != 0)
		failed(p, "DescribeAlarms", &problem);
	else if (p->token.len > 0 && ++p->pages < LIMIT_PAGES)
		next_stage(p, STAGE_ALARMS);
	else
		complete(p);
}

static void build_alarms(struct preparing *p, struct arena *a, const struct aws_endpoint *e, struct http_request *ret)
{
	const struct spec_analysis *an = &p->item->plan->spec.analysis;
	const char *names[LIMIT_METRICS];
	size_t n = 0;

	for (size_t m = 0; m < an->n_metrics; m++) {
		if (forbids(&an->metrics[m]))
			names[n++] = an->metrics[m].alarm;
	}
	cloudwatch_build_describe_alarms(a, e, names, n, p->token.len > 0 ? buf_text(&p->token) : NULL, ret);
}

/* --- calls --- */

static int build(void *arg, struct arena *a, const struct aws_endpoint *e, struct http_request *ret)
{
	struct preparing *p = arg;
	const struct plan *plan = p->item->plan;
	const char *function = calls_function(p->item);
	char version[24];

	switch (p->stage) {
	case STAGE_SOURCE:
		lambda_build_get_alias(a, e, function, plan->from_alias, ret);
		break;
	case STAGE_ALIAS:
		lambda_build_get_alias(a, e, function, plan->alias, ret);
		break;
	case STAGE_VERSIONS:
		lambda_build_list_versions(a, e, function, p->versions.next_marker[0] ? p->versions.next_marker : NULL,
					   ret);
		break;
	case STAGE_CANARY:
	case STAGE_STABLE:
		version_format(p->stage == STAGE_CANARY ? p->event.prepared.canary
							: p->event.prepared.alias.target.version,
			       version);
		lambda_build_get_function(a, e, function, version, ret);
		break;
	case STAGE_CONCURRENCY:
		lambda_build_list_concurrency(a, e, function, p->marker[0] ? p->marker : NULL, ret);
		break;
	case STAGE_ALARMS:
		build_alarms(p, a, e, ret);
		break;
	}
	return 0;
}

static const struct {
	enum engine_operation operation;
	void (*answered)(struct preparing *p, const struct http_response *response);
} stages[] = {
    [STAGE_SOURCE] = {OPERATION_GET_ALIAS, source_answered},
    [STAGE_ALIAS] = {OPERATION_GET_ALIAS, alias_answered},
    [STAGE_VERSIONS] = {OPERATION_LIST_VERSIONS, versions_answered},
    [STAGE_CANARY] = {OPERATION_GET_FUNCTION, canary_answered},
    [STAGE_STABLE] = {OPERATION_GET_FUNCTION, stable_answered},
    [STAGE_CONCURRENCY] = {OPERATION_LIST_CONCURRENCY, concurrency_answered},
    [STAGE_ALARMS] = {OPERATION_DESCRIBE_ALARMS, alarms_answered},
};

/* A 404 without a code of AWS's may be a service that does not know the operation, or a network that wants a sign-in
 * first. Whoever says so again and again, while all other answers are AWS's, is the former. */
static bool has_no_concurrency(struct item *i, const struct aws_error *error)
{
	if (error->class == AWS_DENIED || error->class == AWS_NOT_FOUND)
		return true;
	return error->status == 404 && ++i->concurrency_unknown >= CONCURRENCY_UNKNOWN_MAX;
}

static void done(void *arg, const struct http_response *response, const struct aws_error *error)
{
	struct preparing *p = arg;

	if (!error) {
		stages[p->stage].answered(p, response);
	} else if (p->stage == STAGE_CANARY && error->class == AWS_NOT_FOUND) {
		p->event.prepared.canary_info.state = VERSION_ABSENT;
		p->event.prepared.same_role = true;
		complete(p);
	} else if (p->stage == STAGE_CONCURRENCY && has_no_concurrency(p->item, error)) {
		without_concurrency(p, error);
	} else {
		failed(p, engine_operation_name(stages[p->stage].operation), error);
	}
}

static void submit(struct preparing *p)
{
	const struct item *i = p->item;
	struct dispatch_call call = {
	    .operation = stages[p->stage].operation,
	    .account = i->plan->account,
	    .region = i->region,
	    .priority = PRIORITY_NORMAL,
	    .safe = true,
	    .build = build,
	    .done = done,
	    .arg = p,
	};

	(void)dispatch_submit(i->engine->dispatch, &call);
}

void calls_prepare(struct item *i, uint64_t seq)
{
	struct preparing *p = mem_alloc(sizeof(*p));

	p->item = i;
	p->event.kind = EVENT_PREPARED;
	p->event.seq = seq;
	p->token = BUF_INIT(TOKEN_MAX);
	chain_view_init(&p->view);
	item_pin(i);
	i->engine->calls_open++;
	if (i->plan->version_kind == PLAN_VERSION_FROM_ALIAS) {
		p->event.prepared.from_alias = true;
		p->event.prepared.source = i->plan->from_alias;
	}
	next_stage(p, i->state.canary == 0 && p->event.prepared.from_alias ? STAGE_SOURCE : STAGE_ALIAS);
}
