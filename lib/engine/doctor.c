/*
 * What stands in a plan's way, found before it is started: what the comparison with AWS has shown, and then each thing
 * that a rollout will need, tried by calls that change nothing. A right to write is tried by a write that AWS
 * refuses for
 * another reason when the right is there (see lambda_chain.h).
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "aws/cloudwatch.h"
#include "aws/lambda_chain.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/calls.h"
#include "engine/forecast.h"
#include "engine/inspect.h"
#include "engine/probe_event.h"

#define METRICS_SPAN_MS	 (3 * MS_PER_DAY) /* days and nights; and cheap to read, by hours */
#define METRICS_PERIOD_S 3600
#define METRICS_QUERIES	 2 /* invocations, errors */

enum exam {
	EXAM_UPDATE_ALIAS,
	EXAM_PERMISSION,
	EXAM_METRICS,
	EXAM_ALARMS,
	EXAM_HOOK_PRE,
	EXAM_HOOK_POST,
	EXAM_EVENT,    /* of the probe: a file, which AWS is not asked about */
	EXAM_OF_ALIAS, /* how many there are for each alias */
	EXAM_PUBLISH = EXAM_OF_ALIAS,
};

struct doctor {
	struct inspect *inspect;
	struct plan **rollouts; /* of each alias; NULL: none moves it */
	size_t alias;
	enum exam exam;
	double sums[METRICS_QUERIES];
	int64_t first_unix_ms; /* of the hour of the oldest datapoint; INT64_MAX: there is none */
	int64_t asked_unix_ms;
	bool alarm_seen[LIMIT_METRICS];
};

void doctor_free(struct doctor *d)
{
	if (!d)
		return;
	for (size_t n = 0; n < d->inspect->spec.n_aliases && d->inspect->plan->kind == PLAN_SERVICE; n++)
		plan_free(d->rollouts[n]);
	free(d->rollouts);
	free(d);
}

#define find(d, ...) inspect_find((d)->inspect, __VA_ARGS__)

/* --- what the comparison has shown --- */

static const struct chain_view *view(const struct doctor *d)
{
	return reconcile_view(d->inspect->reconcile);
}

static void judge_changes(struct doctor *d)
{
	const struct change_list *l = &d->inspect->changes;
	size_t n_ahead = 0;
	char subject[96];

	for (size_t n = 0; n < l->len; n++) {
		const struct change *c = &l->items[n];

		if (c->kind == CHANGE_PROBLEM)
			find(d, FINDING_PROBLEM, c->subject, "", "%s", c->text);
		else if (c->kind == CHANGE_WAIT)
			find(d, FINDING_WARNING, c->subject, "", "%s", c->text);
		else
			n_ahead++;
	}
	(void)snprintf(subject, sizeof(subject), "plan %.63s", d->inspect->plan->name);
	if (n_ahead > 0)
		find(d, FINDING_OK, subject, "", "%zu change%s will be made: `rolloutctl diff` shows %s", n_ahead,
		     n_ahead == 1 ? "" : "s", n_ahead == 1 ? "it" : "them");
}

static void judge_function(struct doctor *d)
{
	const struct chain_view *v = view(d);
	const struct view_version *f = &v->latest;
	char subject[96];

	(void)snprintf(subject, sizeof(subject), "function %.64s", d->inspect->plan->function);
	if (!v->function_found)
		return; /* the comparison has said so */
	if (strcmp(f->state, "Failed") == 0 || strcmp(f->last_update_status, "Failed") == 0)
		find(d, FINDING_PROBLEM, subject, "put working code into it, or mend what the reason names",
		     "its last update failed: %s", f->last_update_reason[0] ? f->last_update_reason : f->state_reason);
	else
		find(d, FINDING_OK, subject, "", "it is there, in account %s, with %zu published version%s",
		     v->account_id, v->n_versions, v->n_versions == 1 ? "" : "s");
}

static void judge_pair(struct doctor *d, const char *subject, const struct view_version *stable,
		       const struct view_version *canary)
{
	if (strcmp(stable->role, canary->role) != 0)
		find(d, FINDING_PROBLEM, subject,
		     "publish the new version with the old one's execution role, or move the alias with "
		     "strategy AllAtOnce",
		     "versions %" PRIu64 " and %" PRIu64
		     " have different execution roles: AWS refuses to share an alias "
		     "between them",
		     stable->number, canary->number);
	else if (strcmp(stable->dead_letter_target, canary->dead_letter_target) != 0)
		find(d, FINDING_PROBLEM, subject, "publish the new version with the old one's dead-letter target",
		     "versions %" PRIu64 " and %" PRIu64
		     " have different dead-letter targets: AWS refuses to share an alias "
		     "between them",
		     stable->number, canary->number);
	else if (stable != canary)
		find(d, FINDING_OK, subject, "", "versions %" PRIu64 " and %" PRIu64 " may share its traffic",
		     stable->number, canary->number);
}

static void judge_concurrency(struct doctor *d, const struct service_alias *a, const char *subject)
{
	const struct view_concurrency *c = chain_view_concurrency(view(d), a->name);

	if (c && !a->jump && a->follow != FOLLOW_HEAD)
		find(d, FINDING_PROBLEM, subject,
		     "take it away from the alias and give it to the version that serves now: rolloutd gives the new "
		     "version the "
		     "same before it takes traffic",
		     "the alias itself has provisioned concurrency (%" PRIu32
		     "), and AWS gives such an alias no weights",
		     c->requested);
}

/* The version that a rollout would bring; NULL: none. */
static const struct change *move_of(const struct doctor *d, size_t alias)
{
	const struct change_list *l = &d->inspect->changes;

	for (size_t n = 0; n < l->len; n++) {
		if (l->items[n].kind == CHANGE_ROLLOUT && l->items[n].index == alias)
			return &l->items[n];
	}
	return NULL;
}

static void judge_quarantine(struct doctor *d, size_t alias, const struct view_version *canary, const char *subject)
{
	const struct inspect *n = d->inspect;
	char *key cleanup(mem_free_p) =
	    mem_printf("%s/%s/%s/%s", n->plan->account, n->region, n->plan->function, n->spec.aliases[alias].name);

	if (store_find_quarantine(n->engine->store, key, canary->code_sha256) == 0)
		find(d, FINDING_PROBLEM, subject, "publish other code; or, to try this once more, `rolloutctl retry`",
		     "the code of version %" PRIu64 " was rolled back on this alias before", canary->number);
}

static void judge_alias(struct doctor *d, size_t n)
{
	const struct service_alias *a = &d->inspect->spec.aliases[n];
	const struct view_alias_entry *is = chain_view_alias(view(d), a->name);
	const struct change *move = move_of(d, n);
	const struct view_version *stable, *canary;
	char subject[LIMIT_ALIAS_NAME + 16], holds[128];

	(void)snprintf(subject, sizeof(subject), "alias %s", a->name);
	if (!is)
		return;
	alias_view_format(&is->view, holds, sizeof(holds));
	find(d, FINDING_OK, subject, "", "it holds %s", holds);
	judge_concurrency(d, a, subject);
	if (!move)
		return;
	stable = chain_view_version(view(d), is->view.target.version);
	canary = chain_view_version(view(d), move->version);
	if (stable && canary)
		judge_pair(d, subject, stable, canary);
	if (canary)
		judge_quarantine(d, n, canary, subject);
}

static void judge_stages(struct doctor *d)
{
	const struct service_api *api = &d->inspect->spec.api;
	char subject[LIMIT_ALIAS_NAME + 16];

	for (size_t n = 0; n < api->n_stages && view(d)->api.found; n++) {
		bool missing = false;

		for (size_t c = 0; c < d->inspect->changes.len; c++)
			missing |= d->inspect->changes.items[c].kind == CHANGE_ADD_PERMISSION &&
				   d->inspect->changes.items[c].index == n;
		(void)snprintf(subject, sizeof(subject), "stage %.100s", api->stages[n].name);
		if (!missing && chain_view_stage(view(d), api->stages[n].name))
			find(d, FINDING_OK, subject, "", "API Gateway may invoke alias %s for it",
			     d->inspect->spec.aliases[api->stages[n].alias].name);
	}
}

/* --- trying --- */

static void next(struct doctor *d);

static const struct plan *rollout_of(const struct doctor *d)
{
	return d->rollouts[d->alias];
}

static const struct plan_hook *hook_of(const struct doctor *d)
{
	return d->exam == EXAM_HOOK_PRE ? &rollout_of(d)->pre_traffic : &rollout_of(d)->post_traffic;
}

static size_t alarms_of(const struct plan *p, const char *names[static LIMIT_METRICS])
{
	size_t n = 0;

	for (size_t m = 0; m < p->spec.analysis.n_metrics; m++) {
		if (p->spec.analysis.metrics[m].kind == SPEC_METRIC_ALARM)
			names[n++] = p->spec.analysis.metrics[m].alarm;
	}
	return n;
}

static bool applies(const struct doctor *d)
{
	const struct inspect *n = d->inspect;
	const char *names[LIMIT_METRICS];

	if (!view(d)->function_found)
		return false;
	if (d->alias == n->spec.n_aliases)
		return n->spec.code.source != CODE_NONE;
	if (!chain_view_alias(view(d), n->spec.aliases[d->alias].name))
		return false;
	switch (d->exam) {
	case EXAM_UPDATE_ALIAS:
		return true;
	case EXAM_PERMISSION:
		return n->spec.api.type != API_NONE;
	case EXAM_METRICS: /* all at once, and never watched: nothing depends on them */
		return rollout_of(d) && (rollout_of(d)->spec.n_steps > 0 || rollout_of(d)->spec.final_bake_ms > 0);
	case EXAM_ALARMS:
		return rollout_of(d) && alarms_of(rollout_of(d), names) > 0;
	case EXAM_HOOK_PRE:
	case EXAM_HOOK_POST:
		return rollout_of(d) && hook_of(d)->kind == PLAN_HOOK_INVOKE;
	case EXAM_EVENT:
		return rollout_of(d) && rollout_of(d)->spec.probe.payload && n->engine->ports.load_event;
	case EXAM_OF_ALIAS:
		break;
	}
	return false;
}

static int build_metrics(struct doctor *d, struct arena *a, const struct aws_endpoint *e, struct http_request *ret)
{
	const struct inspect *n = d->inspect;
	int64_t end_s;
	struct cloudwatch_query q[METRICS_QUERIES];

	for (size_t i = 0; i < METRICS_QUERIES; i++)
		q[i] = (struct cloudwatch_query){
		    .metric = i == 0 ? CLOUDWATCH_INVOCATIONS : CLOUDWATCH_ERRORS,
		    .function = n->plan->function,
		    .alias = n->spec.aliases[d->alias].name,
		    .period_s = METRICS_PERIOD_S,
		};
	d->asked_unix_ms = engine_now(n->engine).unix_ms;
	end_s = d->asked_unix_ms / MS_PER_SECOND;
	end_s += METRICS_PERIOD_S - end_s % METRICS_PERIOD_S; /* with what is newest */
	return cloudwatch_build_get_metric_data(a, e, q, METRICS_QUERIES, end_s - METRICS_SPAN_MS / MS_PER_SECOND,
						end_s, NULL, ret);
}

static int build(void *arg, struct arena *a, const struct aws_endpoint *e, struct http_request *ret)
{
	struct doctor *d = arg;
	const struct inspect *n = d->inspect;
	const char *function = inspect_place(n).function;
	const char *names[LIMIT_METRICS];

	if (d->alias == n->spec.n_aliases) {
		lambda_build_try_publish(a, e, function, ret);
		return 0;
	}
	switch (d->exam) {
	case EXAM_UPDATE_ALIAS:
		lambda_build_try_update_alias(a, e, function, n->spec.aliases[d->alias].name, ret);
		return 0;
	case EXAM_PERMISSION:
		lambda_build_try_remove_permission(a, e, function, n->spec.aliases[d->alias].name, ret);
		return 0;
	case EXAM_METRICS:
		return build_metrics(d, a, e, ret);
	case EXAM_ALARMS:
		cloudwatch_build_describe_alarms(a, e, names, alarms_of(rollout_of(d), names), NULL, ret);
		return 0;
	default:
		lambda_build_get_function(a, e, hook_of(d)->target, NULL, ret);
		return 0;
	}
}

static enum engine_operation operation(const struct doctor *d)
{
	static const enum engine_operation operations[] = {
	    [EXAM_UPDATE_ALIAS] = OPERATION_UPDATE_ALIAS, [EXAM_PERMISSION] = OPERATION_REMOVE_PERMISSION,
	    [EXAM_METRICS] = OPERATION_GET_METRIC_DATA,	  [EXAM_ALARMS] = OPERATION_DESCRIBE_ALARMS,
	    [EXAM_HOOK_PRE] = OPERATION_GET_FUNCTION,	  [EXAM_HOOK_POST] = OPERATION_GET_FUNCTION,
	    [EXAM_PUBLISH] = OPERATION_PUBLISH_VERSION,
	};

	return operations[d->alias == d->inspect->spec.n_aliases ? EXAM_PUBLISH : d->exam];
}

/* --- answers --- */

/* The error with its code and status; its operation is named by what is said around it. */
static const char *why(const struct doctor *d, const struct aws_error *e, char out[static LIMIT_REASON])
{
	const char *name = engine_operation_name(operation(d));

	if (e->class == AWS_DENIED)
		return e->message;
	aws_error_format(e, name, out, LIMIT_REASON);
	return out + strlen(name) + strlen(": ");
}

static void judge_right(struct doctor *d, const struct http_response *r, const struct aws_error *error,
			const char *subject)
{
	const char *name = engine_operation_name(operation(d));
	struct aws_error problem;
	char cure[LIMIT_REASON], text[LIMIT_REASON];

	if (!error && lambda_parse_done(r, &problem) != 0)
		error = &problem;

	(void)snprintf(cure, sizeof(cure), "allow lambda:%s to the identity of account %.60s", name,
		       d->inspect->plan->account);
	if (error && error->class == AWS_DENIED)
		find(d, FINDING_PROBLEM, subject, cure, "%s is not allowed: %s", name, error->message);
	else if (error && error->class != AWS_PRECONDITION && error->class != AWS_INVALID &&
		 error->class != AWS_NOT_FOUND && error->class != AWS_CONFLICT)
		find(d, FINDING_WARNING, subject, "ask again", "whether %s is allowed could not be tried: %s", name,
		     why(d, error, text));
	else
		find(d, FINDING_OK, subject, "", "%s is allowed", name);
}

static void take_datapoint(void *ctx, size_t query, int64_t unix_ms, double value)
{
	struct doctor *d = ctx;

	d->sums[query] += value;
	if (unix_ms < d->first_unix_ms)
		d->first_unix_ms = unix_ms;
}

static void take_status(void *ctx, size_t query, enum cloudwatch_status status)
{
	(void)ctx;
	(void)query;
	(void)status;
}

/* What the hours that were read say of the traffic; and when the plan would notice a bad version. */
static void judge_traffic(struct doctor *d, const char *subject)
{
	double ms = (double)(d->asked_unix_ms - d->first_unix_ms);
	struct forecast f = {
	    .spec = &rollout_of(d)->spec,
	    .rps = d->sums[0] * MS_PER_SECOND / fmax(ms, (double)MS_PER_MINUTE),
	    .error_rate = fmin(1, fmax(0, d->sums[1]) / d->sums[0]),
	};
	char text[FORECAST_SIZE];
	const char *cure;

	find(d, FINDING_OK, subject, "", "its metrics can be read: %.0f requests in the last 3 days", d->sums[0]);
	if (!outlook_counts_errors(f.spec))
		return;
	cure = forecast_tell(&f, text);
	find(d, cure[0] ? FINDING_WARNING : FINDING_OK, subject, cure, "%s", text);
}

static void judge_metrics(struct doctor *d, const struct http_response *r, const struct aws_error *error,
			  const char *subject)
{
	struct buf token cleanup(buf_deinit) = BUF_INIT(8192);
	struct cloudwatch_sink sink = {.ctx = d, .datapoint = take_datapoint, .status = take_status};
	struct aws_error problem;
	char text[LIMIT_REASON];

	d->sums[0] = d->sums[1] = 0;
	d->first_unix_ms = INT64_MAX;
	if (!error && cloudwatch_parse_get_metric_data(r, METRICS_QUERIES, &sink, &token, &problem) != 0)
		error = &problem;
	if (error)
		find(d, FINDING_PROBLEM, subject,
		     error->class == AWS_DENIED ? "allow cloudwatch:GetMetricData to the identity of the account"
						: "ask again",
		     "its metrics cannot be read: %s", why(d, error, text));
	else if (!(d->sums[0] > 0) && spec_counts_probes(&rollout_of(d)->spec.analysis))
		find(d, FINDING_OK, subject, "",
		     "its metrics can be read, and show no request in the last 3 days: the evidence comes by probes");
	else if (!(d->sums[0] > 0))
		find(d, FINDING_WARNING, subject,
		     "without requests there is no evidence: see `no_data` and `min_invocations` in the plan; a "
		     "`probe` in its analysis sends some",
		     "its metrics can be read, and show no request in the last 3 days");
	else
		judge_traffic(d, subject);
}

static void take_alarm(void *ctx, const char *name, enum alarm_state state, const char *reason)
{
	struct doctor *d = ctx;
	const char *names[LIMIT_METRICS];
	size_t n = alarms_of(rollout_of(d), names);
	char subject[LIMIT_ALARM_NAME + 16];

	(void)snprintf(subject, sizeof(subject), "alarm %s", name);
	for (size_t i = 0; i < n; i++) {
		if (strcmp(names[i], name) == 0)
			d->alarm_seen[i] = true;
	}
	if (state == ALARM_ALARM)
		find(d, FINDING_PROBLEM, subject, "no rollout starts while it is so: mend what it tells",
		     "it is in alarm: %.300s", reason ? reason : "");
	else
		find(d, FINDING_OK, subject, "", "it is there, and not in alarm");
}

static void judge_alarms(struct doctor *d, const struct http_response *r, const struct aws_error *error,
			 const char *alias)
{
	struct buf token cleanup(buf_deinit) = BUF_INIT(8192);
	const char *names[LIMIT_METRICS];
	size_t n = alarms_of(rollout_of(d), names);
	struct aws_error problem;
	char subject[LIMIT_ALARM_NAME + 16], text[LIMIT_REASON];

	memset(d->alarm_seen, 0, sizeof(d->alarm_seen));
	if (!error && cloudwatch_parse_describe_alarms(r, take_alarm, d, &token, &problem) != 0)
		error = &problem;
	if (error) {
		find(d, FINDING_PROBLEM, alias,
		     error->class == AWS_DENIED ? "allow cloudwatch:DescribeAlarms to the identity of the account"
						: "ask again",
		     "its alarms cannot be read: %s", why(d, error, text));
		return;
	}
	for (size_t i = 0; i < n; i++) {
		(void)snprintf(subject, sizeof(subject), "alarm %s", names[i]);
		if (!d->alarm_seen[i])
			find(d, FINDING_PROBLEM, subject, "make it, or mend its name in the plan",
			     "there is no such alarm in this region");
	}
}

static void judge_hook(struct doctor *d, const struct aws_error *error)
{
	char subject[LIMIT_FUNCTION_NAME + 32], text[LIMIT_REASON];

	(void)snprintf(subject, sizeof(subject), "hook %.140s", hook_of(d)->target);
	if (error)
		find(d, FINDING_PROBLEM, subject, "make it, or mend its name in the plan",
		     "the function cannot be read: %s", why(d, error, text));
	else
		find(d, FINDING_OK, subject, "", "the function is there");
}

static void judge(struct doctor *d, const struct http_response *r, const struct aws_error *error)
{
	const struct inspect *n = d->inspect;
	char subject[LIMIT_ALIAS_NAME + 16];

	if (d->alias == n->spec.n_aliases) {
		(void)snprintf(subject, sizeof(subject), "function %.64s", n->plan->function);
		judge_right(d, r, error, subject);
		return;
	}
	(void)snprintf(subject, sizeof(subject), "alias %s", n->spec.aliases[d->alias].name);
	switch (d->exam) {
	case EXAM_UPDATE_ALIAS:
	case EXAM_PERMISSION:
		judge_right(d, r, error, subject);
		break;
	case EXAM_METRICS:
		judge_metrics(d, r, error, subject);
		break;
	case EXAM_ALARMS:
		judge_alarms(d, r, error, subject);
		break;
	default:
		judge_hook(d, error);
	}
}

static void answered(void *arg, const struct http_response *response, const struct aws_error *error)
{
	struct doctor *d = arg;
	struct inspect *n = d->inspect;

	if (!inspect_goes_on(n))
		return;
	judge(d, response, error);
	d->exam++;
	next(d);
}

static void event_read(void *arg, const struct artifact *a)
{
	struct doctor *d = arg;
	struct inspect *n = d->inspect;
	const struct spec_probe *probe;
	char subject[LIMIT_PATH + 16], problem[LIMIT_REASON] = "", cure[64];

	if (!inspect_goes_on(n))
		return;
	probe = &rollout_of(d)->spec.probe;
	(void)snprintf(subject, sizeof(subject), "probe %.900s", probe->payload);
	(void)snprintf(cure, sizeof(cure), "mend it, or line %u of the plan, which names it", probe->line);
	if (a->error)
		(void)text_copy(problem, sizeof(problem), a->error);
	else
		probe_event_check(a->text, a->size, probe->payload, problem, sizeof(problem));
	if (problem[0])
		find(d, FINDING_PROBLEM, subject, cure, "no probe would be sent: %s", problem);
	else
		find(d, FINDING_OK, subject, "", "its event can be sent: %" PRIu64 " byte%s of JSON", a->size,
		     a->size == 1 ? "" : "s");
	d->exam++;
	next(d);
}

static void read_event(struct doctor *d)
{
	struct inspect *n = d->inspect;

	n->engine->calls_open++;
	n->calls++;
	n->engine->ports.load_event(n->engine->ports.ctx, rollout_of(d)->spec.probe.payload, event_read, d);
}

static bool is_of_hook(const struct doctor *d)
{
	return d->alias < d->inspect->spec.n_aliases && (d->exam == EXAM_HOOK_PRE || d->exam == EXAM_HOOK_POST);
}

static void submit(struct doctor *d)
{
	struct inspect *n = d->inspect;
	char region[64];
	struct dispatch_call call = {
	    .operation = operation(d),
	    .account = n->plan->account,
	    .region = n->region,
	    .priority = PRIORITY_NORMAL,
	    .safe = true,
	    .build = build,
	    .done = answered,
	    .arg = d,
	};

	if (is_of_hook(d)) {
		gate_hook_region(hook_of(d), n->region, region, sizeof(region));
		call.region = region;
	}
	n->engine->calls_open++;
	n->calls++;
	(void)dispatch_submit(n->engine->dispatch, &call);
}

static void next(struct doctor *d)
{
	struct inspect *n = d->inspect;

	for (; d->alias <= n->spec.n_aliases; d->alias++, d->exam = 0) {
		bool last = d->alias == n->spec.n_aliases;

		for (; d->exam < (last ? 1 : EXAM_OF_ALIAS); d->exam++) {
			if (!applies(d))
				continue;
			if (!last && d->exam == EXAM_EVENT)
				read_event(d);
			else
				submit(d);
			return;
		}
	}
	inspect_end(n, NULL);
}

/* Where AWS was compared with the plan, the account's keys have worked. */
static void judge_credentials(struct doctor *d)
{
	char subject[96];

	(void)snprintf(subject, sizeof(subject), "account %.60s", d->inspect->plan->account);
	find(d, FINDING_OK, subject, "", "its credentials work in %s", d->inspect->region);
}

void doctor_judge_clock(struct inspect *n)
{
	int64_t ahead_ms = dispatch_host_ahead_ms(n->engine->dispatch);
	char span[32];

	text_format_span(ahead_ms < 0 ? -ahead_ms : ahead_ms, span);
	if (ahead_ms != 0)
		inspect_find(n, FINDING_WARNING, "clock", "set this host's clock, and keep it by NTP",
			     "this host's clock is %s %s AWS's; rolloutd signs and reads metrics by AWS's time", span,
			     ahead_ms < 0 ? "behind" : "ahead of");
}

void doctor_start(struct inspect *n)
{
	struct doctor *d = mem_alloc(sizeof(*d));

	n->doctor = d;
	d->inspect = n;
	d->rollouts = mem_array(n->spec.n_aliases + 1, sizeof(*d->rollouts));
	for (size_t i = 0; i < n->spec.n_aliases; i++) {
		if (n->plan->kind == PLAN_ROLLOUT)
			d->rollouts[i] = n->plan;
		else if (n->spec.aliases[i].follow != FOLLOW_HEAD)
			d->rollouts[i] = plan_make_child(n->plan, i, 1, NULL, 0);
	}
	judge_credentials(d);
	doctor_judge_clock(n);
	if (reconcile_unsettled(n->reconcile)) {
		judge_changes(d);
		inspect_end(n, NULL);
		return;
	}
	judge_function(d);
	judge_changes(d);
	for (size_t i = 0; i < n->spec.n_aliases; i++)
		judge_alias(d, i);
	judge_stages(d);
	next(d);
}

const char *doctor_cure(const struct aws_error *e)
{
	static const char *const cures[] = {
	    [AWS_THROTTLED] = "ask again in a minute; others use the account's quota, too",
	    [AWS_DENIED] = "allow this operation to the identity of the account",
	    [AWS_CREDENTIALS] = "give the account's source keys that work, then `rolloutctl reload`",
	    [AWS_SETTINGS] = "mend the setting that it names, then `rolloutctl reload`",
	    [AWS_SKEW] = "set this host's clock",
	    [AWS_MALFORMED] = "somebody else than AWS has answered: check the endpoint, the proxy and the network",
	    [AWS_NO_CONNECTION] = "check the network and the endpoint from this host",
	    [AWS_NO_ANSWER] = "check the network and the endpoint from this host",
	};
	const char *cure = (size_t)e->class < array_len(cures) ? cures[e->class] : NULL;

	return cure ? cure : "ask again; AWS's own words say what it is";
}

void doctor_tell_error(struct inspect *n, const struct aws_error *error, const char *text)
{
	char subject[96];

	(void)snprintf(subject, sizeof(subject), "account %.60s", n->plan->account);
	inspect_find(n, FINDING_PROBLEM, subject, doctor_cure(error), "%s", text);
	inspect_end(n, NULL);
}
