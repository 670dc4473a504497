/*
 * Effects that are AWS calls: each becomes one or several calls in sequence, and then one event for the state machine.
 */
#include <stdio.h>
#include <string.h>

#include "aws/cloudwatch.h"
#include "aws/lambda.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/item.h"

#define TOKEN_MAX 8192

/* One sequence of calls for one effect. */
struct sequence {
	struct item *item; /* pinned */
	struct rollout_effect effect;
	struct rollout_event event; /* the answer that is being put together */
	enum { STAGE_ALIAS, STAGE_VERSIONS, STAGE_CANARY, STAGE_STABLE, STAGE_ALARMS } stage;
	struct lambda_function canary;
	struct lambda_versions versions;
	enum alarm_state alarms[LIMIT_METRICS];
	struct buf token;
	unsigned pages;
};

static void submit(struct sequence *s);

static const char *function_of(const struct item *i)
{
	return i->plan->function_arn ? i->plan->function_arn : i->plan->function;
}

static void finish(struct sequence *s)
{
	struct item *i = s->item;

	engine_event(i, &s->event, NULL, NULL);
	i->engine->calls_open--;
	buf_deinit(&s->token);
	free(s);
	item_unpin(i);
}

/* --- building --- */

static int build_write(struct sequence *s, struct arena *a, const struct aws_endpoint *e, struct http_request *ret)
{
	const struct item *i = s->item;
	char mark[160];

	(void)snprintf(mark, sizeof(mark), "rolloutd %.63s %llu/%llu", i->name, (unsigned long long)i->attempt,
		       (unsigned long long)s->effect.seq);
	lambda_build_update_alias(a, e, function_of(i), i->plan->alias, &s->effect.write.target,
				  s->effect.write.revision, i->engine->config.mark ? mark : NULL, ret);
	return 0;
}

static int build_alarms(struct sequence *s, struct arena *a, const struct aws_endpoint *e, struct http_request *ret)
{
	const struct spec_analysis *an = &s->item->plan->spec.analysis;
	const char *names[LIMIT_METRICS];
	size_t n = 0;

	for (size_t m = 0; m < an->n_metrics; m++) {
		if (an->metrics[m].kind == SPEC_METRIC_ALARM)
			names[n++] = an->metrics[m].alarm;
	}
	cloudwatch_build_describe_alarms(a, e, names, n, s->token.len > 0 ? buf_text(&s->token) : NULL, ret);
	return 0;
}

static int build(void *arg, struct arena *a, const struct aws_endpoint *e, struct http_request *ret)
{
	struct sequence *s = arg;
	const char *function = function_of(s->item);
	char version[24];

	if (s->effect.kind == EFFECT_WRITE_ALIAS)
		return build_write(s, a, e, ret);
	switch (s->stage) {
	case STAGE_ALIAS:
		lambda_build_get_alias(a, e, function, s->item->plan->alias, ret);
		return 0;
	case STAGE_VERSIONS:
		lambda_build_list_versions(a, e, function, s->versions.next_marker[0] ? s->versions.next_marker : NULL,
					   ret);
		return 0;
	case STAGE_CANARY:
		version_format(s->event.prepared.canary, version);
		break;
	case STAGE_STABLE:
		version_format(s->event.prepared.alias.target.version, version);
		break;
	case STAGE_ALARMS:
		return build_alarms(s, a, e, ret);
	}
	lambda_build_get_function(a, e, function, version, ret);
	return 0;
}

/* --- answers of single calls --- */

static void write_done(void *arg, const struct http_response *response, const struct aws_error *error)
{
	struct sequence *s = arg;
	struct aws_error problem;

	s->event.kind = EVENT_WRITTEN;
	if (s->item->write_seq == s->effect.seq)
		s->item->write_ticket = 0;
	if (!error && lambda_parse_alias(response, &s->event.alias.alias, &problem) != 0)
		error = &problem;
	s->event.alias.outcome = error ? aws_error_outcome(error) : CALL_OK;
	if (error)
		aws_error_format(error, "UpdateAlias", s->event.alias.error, sizeof(s->event.alias.error));
	finish(s);
}

/* A rollback that is throttled says so while it waits. */
static void write_delayed(void *arg, const struct aws_error *error)
{
	struct sequence *s = arg;
	struct rollout_event event = {.kind = EVENT_DELAYED, .seq = s->effect.seq};

	aws_error_format(error, "UpdateAlias", event.alias.error, sizeof(event.alias.error));
	engine_event(s->item, &event, NULL, NULL);
}

static void read_done(void *arg, const struct http_response *response, const struct aws_error *error)
{
	struct sequence *s = arg;
	struct aws_error problem;

	s->event.kind = EVENT_ALIAS_READ;
	if (!error && lambda_parse_alias(response, &s->event.alias.alias, &problem) != 0)
		error = &problem;
	s->event.alias.outcome = error ? aws_error_outcome(error) : CALL_OK;
	if (error)
		aws_error_format(error, "GetAlias", s->event.alias.error, sizeof(s->event.alias.error));
	finish(s);
}

/* --- preparing: alias, (versions,) canary, stable(, alarms) --- */

static void prepare_failed(struct sequence *s, const char *operation, const struct aws_error *error)
{
	s->event.prepared.outcome = aws_error_outcome(error);
	aws_error_format(error, operation, s->event.prepared.error, sizeof(s->event.prepared.error));
	finish(s);
}

static void prepare_refused(struct sequence *s, const char *why)
{
	s->event.prepared.outcome = CALL_REFUSED;
	(void)text_copy(s->event.prepared.error, sizeof(s->event.prepared.error), why);
	finish(s);
}

static void prepare_complete(struct sequence *s)
{
	s->event.prepared.outcome = CALL_OK;
	s->event.prepared.alarms = s->alarms;
	finish(s);
}

static void next_stage(struct sequence *s, int stage)
{
	s->stage = stage;
	submit(s);
}

static void alias_answered(struct sequence *s, const struct http_response *response)
{
	struct aws_error problem;
	const struct plan *p = s->item->plan;

	if (lambda_parse_alias(response, &s->event.prepared.alias, &problem) != 0) {
		prepare_failed(s, "GetAlias", &problem);
	} else if (p->version_kind == PLAN_VERSION_LATEST) {
		next_stage(s, STAGE_VERSIONS);
	} else {
		s->event.prepared.canary = p->version;
		next_stage(s, STAGE_CANARY);
	}
}

static void versions_answered(struct sequence *s, const struct http_response *response)
{
	struct aws_error problem;

	if (lambda_parse_list_versions(response, &s->versions, &problem) != 0) {
		prepare_failed(s, "ListVersionsByFunction", &problem);
		return;
	}
	if (s->versions.highest > s->event.prepared.canary)
		s->event.prepared.canary = s->versions.highest;
	if (s->versions.next_marker[0] && ++s->pages < LIMIT_PAGES)
		next_stage(s, STAGE_VERSIONS);
	else if (s->versions.next_marker[0])
		prepare_refused(s, "the function's list of versions has more than 100 pages: name the version in the "
				   "plan");
	else if (s->event.prepared.canary == 0)
		prepare_refused(s, "the function has no published version yet: publish one");
	else
		next_stage(s, STAGE_CANARY);
}

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

static void after_versions(struct sequence *s)
{
	const struct spec_analysis *a = &s->item->plan->spec.analysis;

	for (size_t m = 0; m < a->n_metrics; m++) {
		if (a->metrics[m].kind == SPEC_METRIC_ALARM) {
			s->alarms[m] = ALARM_MISSING;
			s->stage = STAGE_ALARMS;
		}
	}
	if (s->stage == STAGE_ALARMS)
		submit(s);
	else
		prepare_complete(s);
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

static void canary_answered(struct sequence *s, const struct http_response *response)
{
	struct aws_error problem;
	struct item *i = s->item;

	if (lambda_parse_get_function(response, &s->canary, &problem) != 0) {
		prepare_failed(s, "GetFunction", &problem);
		return;
	}
	version_info(&s->canary, &s->event.prepared.canary_info);
	if (find_quarantine(i, s->event.prepared.canary_info.hash, &s->event.prepared.quarantined) != 0) {
		s->event.prepared.outcome = CALL_UNAVAILABLE;
		(void)snprintf(s->event.prepared.error, sizeof(s->event.prepared.error),
			       "it cannot be read whether the version is quarantined: %.180s",
			       store_error_text(i->engine->store));
		finish(s);
		return;
	}
	next_stage(s, STAGE_STABLE);
}

static void stable_answered(struct sequence *s, const struct http_response *response)
{
	struct lambda_function stable;
	struct aws_error problem;

	if (lambda_parse_get_function(response, &stable, &problem) != 0) {
		prepare_failed(s, "GetFunction", &problem);
		return;
	}
	version_info(&stable, &s->event.prepared.stable_info);
	s->event.prepared.same_role = strcmp(stable.role, s->canary.role) == 0 &&
				      strcmp(stable.dead_letter_target, s->canary.dead_letter_target) == 0;
	after_versions(s);
}

static void take_alarm(void *ctx, const char *name, enum alarm_state state, const char *reason)
{
	struct sequence *s = ctx;
	const struct spec_analysis *a = &s->item->plan->spec.analysis;

	(void)reason;
	for (size_t m = 0; m < a->n_metrics; m++) {
		if (a->metrics[m].kind == SPEC_METRIC_ALARM && strcmp(a->metrics[m].alarm, name) == 0)
			s->alarms[m] = state;
	}
}

static void alarms_answered(struct sequence *s, const struct http_response *response)
{
	struct aws_error problem;

	buf_reset(&s->token);
	if (cloudwatch_parse_describe_alarms(response, take_alarm, s, &s->token, &problem) != 0)
		prepare_failed(s, "DescribeAlarms", &problem);
	else if (s->token.len > 0 && ++s->pages < LIMIT_PAGES)
		next_stage(s, STAGE_ALARMS);
	else
		prepare_complete(s);
}

static const char *stage_name(const struct sequence *s)
{
	static const char *const names[] = {"GetAlias", "ListVersionsByFunction", "GetFunction", "GetFunction",
					    "DescribeAlarms"};

	return names[s->stage];
}

static void prepare_done(void *arg, const struct http_response *response, const struct aws_error *error)
{
	struct sequence *s = arg;

	s->event.kind = EVENT_PREPARED;
	if (error && s->stage == STAGE_CANARY && error->class == AWS_NOT_FOUND) {
		s->event.prepared.canary_info.state = VERSION_ABSENT;
		s->event.prepared.same_role = true;
		prepare_complete(s);
		return;
	}
	if (error) {
		prepare_failed(s, stage_name(s), error);
		return;
	}
	switch (s->stage) {
	case STAGE_ALIAS:
		alias_answered(s, response);
		break;
	case STAGE_VERSIONS:
		versions_answered(s, response);
		break;
	case STAGE_CANARY:
		canary_answered(s, response);
		break;
	case STAGE_STABLE:
		stable_answered(s, response);
		break;
	case STAGE_ALARMS:
		alarms_answered(s, response);
		break;
	}
}

/* --- sending --- */

static void submit(struct sequence *s)
{
	static const enum engine_operation operations[] = {
	    [STAGE_ALIAS] = OPERATION_GET_ALIAS,	[STAGE_VERSIONS] = OPERATION_LIST_VERSIONS,
	    [STAGE_CANARY] = OPERATION_GET_FUNCTION,	[STAGE_STABLE] = OPERATION_GET_FUNCTION,
	    [STAGE_ALARMS] = OPERATION_DESCRIBE_ALARMS,
	};
	struct item *i = s->item;
	struct dispatch_call call = {
	    .operation = operations[s->stage],
	    .account = i->plan->account,
	    .region = i->region,
	    .priority = PRIORITY_NORMAL,
	    .safe = true,
	    .build = build,
	    .done = prepare_done,
	    .arg = s,
	};

	if (s->effect.kind == EFFECT_READ_ALIAS) {
		call.priority = PRIORITY_LOOKUP;
		call.done = read_done;
	} else if (s->effect.kind == EFFECT_WRITE_ALIAS) {
		call.operation = OPERATION_UPDATE_ALIAS;
		call.priority = s->effect.write.home ? PRIORITY_HOME : PRIORITY_NORMAL;
		call.safe = false;
		call.exempt = s->effect.write.home;
		call.done = write_done;
		call.delayed = write_delayed;
	}
	uint64_t ticket = dispatch_submit(i->engine->dispatch, &call);

	if (s->effect.kind == EFFECT_WRITE_ALIAS) {
		i->write_ticket = ticket;
		i->write_seq = s->effect.seq;
	}
}

void calls_send(struct engine *e, const struct outgoing *o)
{
	struct sequence *s;

	if (o->effect.kind == EFFECT_CANCEL) {
		if (o->item->write_ticket != 0 && o->item->write_seq == o->effect.seq)
			(void)dispatch_cancel(e->dispatch, o->item->write_ticket);
		return;
	}
	if (o->effect.kind == EFFECT_POLL) {
		poll_add(o->item, o->effect.seq, o->effect.poll.from_unix_ms, o->effect.poll.through_unix_ms);
		return;
	}
	s = mem_alloc(sizeof(*s));
	s->item = o->item;
	s->effect = o->effect;
	s->event.seq = o->effect.seq;
	s->token = BUF_INIT(TOKEN_MAX);
	item_pin(s->item);
	e->calls_open++;
	submit(s);
}
