/*
 * What a service does when its time comes: it looks at AWS and makes the changes that are calls (reconcile),
 * starts a rollout
 * for each alias that should move, asks the stages for an answer, and says how things stand.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "core/backoff.h"
#include "engine/service.h"

#define UNSETTLED_WAIT_MS   MS_PER_SECOND /* as AWS's own waiters do, … */
#define UNSETTLED_LOOKS	    60		  /* … for so many looks; what takes longer is looked at less often */
#define WAIT_MS		    (5 * MS_PER_SECOND)
#define WAIT_CAP_MS	    MS_PER_MINUTE
#define WAIT_DOUBLINGS	    4
#define UNSTABLE_BASE_MS    (5 * MS_PER_SECOND)
#define UNKNOWN_WAIT_MS	    (5 * MS_PER_SECOND) /* what was lost may still arrive */
#define LOOSE_WAIT_MS	    (MS_PER_SECOND / 2)
#define UNSTABLE_MAX	    4 /* in a row: then somebody works against us */
#define START_RETRY_CAP_MS  (5 * MS_PER_MINUTE)
#define RETRY_BASE_MS	    MS_PER_SECOND
#define RETRY_CAP_MS	    MS_PER_MINUTE
#define REFUSALS_MIN	    3 /* a role that was just made is not known everywhere at once, say */
#define PROBE_FAILURES_MAX  8 /* new deployments take their seconds to be served */
#define PROBE_RETRY_BASE_MS MS_PER_SECOND
#define PROBE_RETRY_CAP_MS  (15 * MS_PER_SECOND)

static void look_after(struct service *s, int64_t wait_ms)
{
	s->due_boot_ms = engine_now(s->engine).boot_ms + wait_ms;
	if (s->look_again) {
		/* What was seen is outdated, and no rollout starts from that. */
		s->due_boot_ms = engine_now(s->engine).boot_ms;
		s->rollouts_due = false;
	}
	s->look_again = false;
}

static int64_t backoff(const struct service *s, uint32_t failures, int64_t base_ms, int64_t cap_ms)
{
	return base_ms / 2 +
	       backoff_full_jitter_ms(failures, base_ms, cap_ms, s->engine->ports.entropy(s->engine->ports.ctx));
}

void service_stop(struct service *s)
{
	reconcile_free(take_ptr(s->now));
	probe_cancel(take_ptr(s->probe));
	s->rollouts_due = false;
	s->look_again = false;
}

/* --- what the record remembers is brought up to date --- */

/* What is known of the alias's rollout, which may have been started by a retry of its own. */
static void note_rollout(struct service *s, size_t n)
{
	struct alias_memory *m = &s->state.memory.aliases[n];
	const struct item *i = service_rollout(s, n);
	char *key cleanup(mem_free_p) =
	    mem_printf("%s/%s/%s/%s", s->plan->account, s->region, s->plan->function, s->plan->service.aliases[n].name);
	const struct item *holder = strmap_get(&s->engine->by_alias, key);
	char own[LIMIT_NAME + 1];

	service_rollout_name(s, n, own);
	m->held_by[0] = '\0';
	if (holder && strcmp(holder->name, own) != 0)
		(void)text_copy(m->held_by, sizeof(m->held_by), holder->name);
	m->rollout_live = i != NULL;
	if (i && !i->unreadable && !i->state.superseded && m->reached != 0)
		m->reached = i->plan->version;
}

static void looked(void *arg, const struct chain_view *v)
{
	struct service *s = arg;

	if (observe_unsettled(v) && s->plan->service.code.source != CODE_NONE)
		return; /* the aliases were not read */
	for (size_t n = 0; n < s->plan->service.n_aliases; n++)
		note_rollout(s, n);
	/* Of several that have the name none is known to be it. */
	if (v->api.n_same_name <= 1)
		(void)text_copy(s->state.api_id, sizeof(s->state.api_id), v->api.found ? v->api.id : "");
	service_mark_dirty(s);
}

/* --- versions that stay --- */

static void keep(struct service *s, uint64_t version)
{
	s->kept = mem_grow(s->kept, &s->cap_kept, s->n_kept + 1, sizeof(*s->kept));
	s->kept[s->n_kept++] = version;
}

static int keep_of_row(void *ctx, const struct store_rollout *r)
{
	char boot_id[BOOT_ID_SIZE], error[LIMIT_REASON];
	struct rollout state;

	if (record_decode(r->record, &state, boot_id, error, sizeof(error)) == 0) {
		keep(ctx, state.stable);
		keep(ctx, state.canary);
	}
	return 0;
}

/* What rollouts work with, and what the last one of each alias would go back to. Returns 0 or the store's error. */
static int collect_kept(struct service *s)
{
	char name[LIMIT_NAME + 1];
	int r = 0;

	s->n_kept = 0;
	if (s->plan->service.keep_versions == 0)
		return 0;
	for (const struct item *i = s->engine->first; i; i = i->next) {
		if (i->unreadable || strcmp(i->plan->function, s->plan->function) != 0)
			continue;
		keep(s, i->state.stable);
		keep(s, i->state.canary);
		keep(s, i->plan->version);
	}
	for (size_t n = 0; n < s->plan->service.n_aliases && r == 0; n++) {
		service_rollout_name(s, n, name);
		r = store_each_of_name(s->engine->store, name, 1, keep_of_row, s);
	}
	return r;
}

/* --- changes --- */

static void intent(void *arg, const struct change *c, const char *text)
{
	struct service *s = arg;

	if (c->kind >= CHANGE_CREATE_ALIAS && c->kind <= CHANGE_UPDATE_STAGE) {
		s->state.probe = s->plan->service.api.probe_path != NULL;
		s->state.probe_failures = 0;
	}
	/* What AWS refused so often to be said is not unsaid by one more try. */
	if (s->failures < REFUSALS_MIN)
		service_set_phase(s, PHASE_PREPARING, "what differs is being brought to what the file says");
	engine_add_intent(s->engine, s->id, ++s->state.seq, text, "");
	service_event(s, rollout_announce_name(ANNOUNCE_INTENT), text, "");
	service_mark_dirty(s);
}

static void changed(void *arg, const struct change *c, const char *text)
{
	struct service *s = arg;

	(void)c;
	s->state.changes_made++;
	s->waits = 0;
	service_event(s, "changed", text, "");
	service_mark_dirty(s);
}

/* --- how things stand --- */

static const struct change *first_of(const struct service *s, enum change_kind kind)
{
	const struct change_list *l = s->last ? reconcile_changes(s->last) : NULL;

	for (size_t n = 0; l && n < l->len; n++) {
		if (l->items[n].kind == kind)
			return &l->items[n];
	}
	return NULL;
}

/* What came back says more than what never moved. */
static const struct alias_memory *rolled_back(const struct service *s, size_t *ret_alias)
{
	const struct alias_memory *found = NULL;

	for (size_t n = 0; n < s->plan->service.n_aliases; n++) {
		const struct alias_memory *m = &s->state.memory.aliases[n];

		if (!m->rolled_back || service_rollout(s, n) || (found && m->unmoved))
			continue;
		*ret_alias = n;
		if (!m->unmoved)
			return m;
		found = m;
	}
	return found;
}

static void settle_with(struct service *s, enum rollout_phase phase, const char *subject, const char *text)
{
	char *whole cleanup(mem_free_p) = mem_printf("%s: %s", subject, text);
	char reason[LIMIT_REASON];

	(void)text_copy(reason, sizeof(reason), whole);
	service_set_phase(s, phase, reason);
}

static void settle_rolled_back(struct service *s, size_t alias, const struct alias_memory *m)
{
	char name[LIMIT_NAME + 1], subject[LIMIT_NAME + 32];

	service_rollout_name(s, alias, name);
	(void)snprintf(subject, sizeof(subject), "%s %s", name, m->unmoved ? "moved no traffic" : "came back");
	settle_with(s, m->unmoved ? PHASE_FAILED : PHASE_ROLLED_BACK, subject, m->outcome);
}

static void settle(struct service *s)
{
	const struct change *c = first_of(s, CHANGE_PROBLEM);
	const struct alias_memory *back;
	char reason[LIMIT_REASON];
	size_t alias = 0;

	for (size_t n = 0; n < s->plan->service.n_aliases; n++) {
		const struct item *i = service_rollout(s, n);

		if (!i)
			continue;
		(void)snprintf(reason, sizeof(reason), "%.63s is under way", i->name);
		service_set_phase(s, PHASE_PROGRESSING, reason);
		return;
	}
	back = rolled_back(s, &alias);
	if (back) {
		settle_rolled_back(s, alias, back);
	} else if (c) {
		settle_with(s, PHASE_BLOCKED, c->subject, c->text);
	} else if (s->rollouts_due) {
		service_set_phase(s, PHASE_PROGRESSING, "a rollout is about to start");
	} else if (s->state.probe) {
		service_set_phase(s, PHASE_PROGRESSING, "the stages are asked for an answer");
	} else if ((c = first_of(s, CHANGE_WAIT))) {
		settle_with(s, PHASE_PROGRESSING, c->subject, c->text);
	} else {
		service_set_phase(s, PHASE_SUCCEEDED, "as declared");
	}
}

/* A rollout that needs somebody, be it an earlier attempt that the newest one waits for; NULL: none. */
static const struct item *stuck_rollout(const struct service *s, size_t alias)
{
	char name[LIMIT_NAME + 1];

	service_rollout_name(s, alias, name);
	for (const struct item *i = strmap_get(&s->engine->by_name, name); i; i = i->older) {
		if (i->unreadable ? !rollout_ended(&i->state)
				  : i->state.phase == PHASE_BLOCKED || i->state.phase == PHASE_PAUSED)
			return i;
	}
	return NULL;
}

static uint64_t code_stamp(const struct service *s)
{
	const struct ports *p = &s->engine->ports;
	const char *zip = s->plan->service.code.zip;

	return zip && p->stamp_artifact ? p->stamp_artifact(p->ctx, zip) : 0;
}

/* Whoever waits for a service right after he wrote its code must not be told how it stood before. */
static bool code_is_new(const struct service *s)
{
	switch (s->state.phase) {
	case PHASE_SUCCEEDED:
	case PHASE_FAILED:
	case PHASE_ROLLED_BACK:
	case PHASE_BLOCKED:
		return code_stamp(s) != s->stamp_seen;
	default:
		return false;
	}
}

enum rollout_phase service_phase(const struct service *s, const char **ret_reason)
{
	*ret_reason = s->state.reason;
	if (s->unreadable || s->state.paused)
		return s->state.phase;
	for (size_t n = 0; n < s->plan->service.n_aliases; n++) {
		const struct item *i = stuck_rollout(s, n);

		if (!i)
			continue;
		*ret_reason = i->unreadable ? i->unreadable : i->state.reason;
		return i->unreadable ? PHASE_BLOCKED : i->state.phase;
	}
	if (code_is_new(s)) {
		*ret_reason = "the code's file has not been compared with what AWS has since it was written";
		return PHASE_PREPARING;
	}
	return s->state.phase;
}

static void trouble(struct service *s, const char *text)
{
	if (strcmp(s->state.trouble, text) == 0)
		return;
	if (text[0])
		service_event(s, rollout_announce_name(ANNOUNCE_TROUBLE), text, "");
	else
		service_event(s, rollout_announce_name(ANNOUNCE_RECOVERED), s->state.trouble, "");
	(void)text_copy(s->state.trouble, sizeof(s->state.trouble), text);
	service_mark_dirty(s);
}

/* --- probing --- */

static size_t probe_targets(const struct service *s, size_t alias, struct plan_verify *out, char urls[][LIMIT_URL])
{
	const struct service_api *api = &s->plan->service.api;
	size_t n_out = 0;

	for (size_t n = 0; n < api->n_stages && api->probe_path; n++) {
		if (alias != SIZE_MAX && api->stages[n].alias != alias)
			continue;
		probe_url(s->engine, &(struct chain_place){.account = s->plan->account, .region = s->region}, api->type,
			  s->state.api_id, api->stages[n].name, api->probe_path, urls[n_out], LIMIT_URL);
		out[n_out] = (struct plan_verify){urls[n_out], api->probe_status};
		n_out += urls[n_out][0] != '\0';
	}
	return n_out;
}

static void probed(void *arg, const char *error)
{
	struct service *s = arg;
	char text[LIMIT_REASON];

	s->probe = NULL;
	if (error[0] == '\0') {
		s->state.probe = false;
		s->state.probe_failures = 0;
		service_event(s, "probe", "every stage answers as it should", "");
		settle(s);
		look_after(s, s->rollouts_due ? 0 : s->plan->service.check_every_ms);
		return;
	}
	service_mark_dirty(s);
	if (++s->state.probe_failures < PROBE_FAILURES_MAX) {
		look_after(s, backoff(s, s->state.probe_failures, PROBE_RETRY_BASE_MS, PROBE_RETRY_CAP_MS));
		return;
	}
	(void)snprintf(text, sizeof(text), "a stage does not answer as it should: %.200s", error);
	service_set_phase(s, PHASE_BLOCKED, text);
	/* It may be the next version that answers. */
	look_after(s, s->rollouts_due ? 0 : s->plan->service.check_every_ms);
}

static bool probe(struct service *s)
{
	struct plan_verify targets[LIMIT_SERVICE_STAGES];
	char(*urls)[LIMIT_URL] cleanup(mem_free_p) = NULL;
	size_t n;

	if (!s->state.probe || s->engine->draining || first_of(s, CHANGE_PROBLEM))
		return false;
	urls = mem_array(LIMIT_SERVICE_STAGES, LIMIT_URL);
	n = probe_targets(s, SIZE_MAX, targets, urls);
	if (n == 0) {
		s->state.probe = false;
		return false;
	}
	s->probe = probe_start(s->engine, targets, n, probed, s);
	return true;
}

/* --- rollouts --- */

struct plan *service_make_rollout(const struct service *s, size_t alias, uint64_t version)
{
	struct plan_verify targets[LIMIT_SERVICE_STAGES];
	char(*urls)[LIMIT_URL] cleanup(mem_free_p) = mem_array(LIMIT_SERVICE_STAGES, LIMIT_URL);
	size_t n = probe_targets(s, alias, targets, urls);

	return plan_make_child(s->plan, alias, version, targets, n);
}

/* Returns whether it has started. */
static bool start_rollout(struct service *s, const struct change *c)
{
	struct plan *p = service_make_rollout(s, c->index, c->version);
	char by[128], why[LIMIT_REASON];
	struct item *i;

	(void)snprintf(by, sizeof(by), "service %.63s", s->name);
	(void)text_copy(why, sizeof(why),
			"its stages' addresses are none that can be asked: only https, or http on this host");
	i = p ? intake_start(s->engine, p, s->state.memory.insist, by, why) : NULL;
	if (!i) {
		trouble(s, why);
		return false;
	}
	reconcile_remember(s->last, c);
	service_mark_dirty(s);
	return true;
}

static void start_rollouts(struct service *s)
{
	const struct change_list *l = reconcile_changes(s->last);

	bool all = true;

	s->rollouts_due = false;
	for (size_t n = 0; n < l->len; n++) {
		if (l->items[n].kind == CHANGE_ROLLOUT)
			all = start_rollout(s, &l->items[n]) && all;
	}
	if (all) {
		s->starts_failed = 0;
		trouble(s, "");
		look_after(s, s->plan->service.check_every_ms);
	} else {
		look_after(s, backoff(s, ++s->starts_failed, RETRY_BASE_MS, START_RETRY_CAP_MS));
	}
	settle(s);
}

/* --- the check --- */

/* It is tried on, but not without somebody who does something about it will AWS say yes. Rollouts that are under way
 * are what counts more. */
static void settle_refused(struct service *s, const char *text)
{
	for (size_t n = 0; n < s->plan->service.n_aliases; n++) {
		if (service_rollout(s, n))
			return;
	}
	service_set_phase(s, PHASE_BLOCKED, text);
}

static int64_t retry_ms(struct service *s, const struct aws_error *error, const char *operation)
{
	bool unstable = strcmp(operation, RECONCILE_UNSTABLE) == 0;
	uint32_t doublings = s->unstable < 10 ? s->unstable : 10;
	int64_t wait = backoff(s, s->failures++, RETRY_BASE_MS, RETRY_CAP_MS);

	s->unstable = unstable ? s->unstable + 1 : 0;
	if (unstable) {
		wait = UNSTABLE_BASE_MS << doublings;
		return wait < s->plan->service.check_every_ms ? wait : s->plan->service.check_every_ms;
	}
	if (aws_error_outcome(error) == CALL_UNKNOWN && wait < UNKNOWN_WAIT_MS)
		wait = UNKNOWN_WAIT_MS;
	return wait;
}

static void failed(struct service *s, const struct aws_error *error, const char *operation)
{
	bool refused = reconcile_refused(s->now);
	char text[LIMIT_REASON];

	aws_error_format(error, operation, text, sizeof(text));
	if (refused) {
		reconcile_free(s->last);
		s->last = take_ptr(s->now);
		s->rollouts_due = false;
		s->stamp_seen = s->stamp_begun;
		s->state.checked_unix_ms = engine_now(s->engine).unix_ms;
		service_mark_dirty(s);
	}
	reconcile_free(take_ptr(s->now));
	if (s->engine->draining || s->engine->fenced)
		return;
	trouble(s, text);
	look_after(s, retry_ms(s, error, operation));
	if ((refused && s->failures >= REFUSALS_MIN) || s->unstable >= UNSTABLE_MAX)
		settle_refused(s, text);
}

/* Until something that is waited for may be over: each look costs a dozen calls of quotas that all share. */
static int64_t wait_ms(struct service *s)
{
	const struct change_list *l = reconcile_changes(s->last);
	int64_t wait = s->plan->service.check_every_ms, now = engine_now(s->engine).unix_ms;
	bool any = false;

	for (size_t n = 0; n < l->len; n++) {
		int64_t ms = WAIT_MS << (s->waits < WAIT_DOUBLINGS ? s->waits : WAIT_DOUBLINGS);

		if (l->items[n].kind != CHANGE_WAIT)
			continue;
		any = true;
		if (l->items[n].until_unix_ms > 0)
			ms = l->items[n].until_unix_ms > now + WAIT_MS ? l->items[n].until_unix_ms - now : WAIT_MS;
		else if (ms > WAIT_CAP_MS)
			ms = WAIT_CAP_MS;
		wait = ms < wait ? ms : wait;
	}
	s->waits = any ? s->waits + 1 : 0;
	return wait;
}

static void done(void *arg, const struct aws_error *error, const char *operation)
{
	struct service *s = arg;

	if (error) {
		failed(s, error, operation);
		return;
	}
	reconcile_free(s->last);
	s->last = take_ptr(s->now);
	s->failures = 0;
	s->unstable = 0;
	s->stamp_seen = s->stamp_begun;
	s->state.checked_unix_ms = engine_now(s->engine).unix_ms;
	service_mark_dirty(s);
	if (reconcile_unsettled(s->last)) {
		service_set_phase(s, PHASE_PROGRESSING, "waits until AWS has made the code ready");
		trouble(s, "");
		look_after(s, s->waits++ < UNSETTLED_LOOKS ? UNSETTLED_WAIT_MS : WAIT_MS);
		return;
	}
	s->rollouts_due = first_of(s, CHANGE_ROLLOUT) != NULL;
	if (!s->rollouts_due)
		s->starts_failed = 0;
	if (s->starts_failed == 0)
		trouble(s, "");
	if (probe(s)) {
		/* What failed often enough to be said is not unsaid by one more try. */
		if (s->state.probe_failures < PROBE_FAILURES_MAX)
			settle(s);
		return;
	}
	settle(s);
	look_after(s, s->rollouts_due ? 0 : wait_ms(s));
}

void service_check(struct service *s)
{
	struct reconcile_config config = {
	    .engine = s->engine,
	    .place = {s->plan->account, s->region, s->plan->function_arn ? s->plan->function_arn : s->plan->function},
	    .spec = &s->plan->service,
	    .memory = &s->state.memory,
	    .patient = true,
	    .aliases = true,
	    .ops = {looked, intent, changed, done},
	    .arg = s,
	};

	s->due_boot_ms = INT64_MAX;
	if (s->now || s->probe)
		return;
	if (reconcile_is_loose(s->engine, &config.place)) {
		look_after(s, LOOSE_WAIT_MS);
		return;
	}
	if (s->rollouts_due) {
		start_rollouts(s);
		return;
	}
	if (collect_kept(s) != 0) {
		trouble(s, store_error_text(s->engine->store));
		look_after(s, backoff(s, s->failures++, RETRY_BASE_MS, RETRY_CAP_MS));
		return;
	}
	config.kept_versions = s->kept;
	config.n_kept_versions = s->n_kept;
	s->stamp_begun = code_stamp(s);
	s->now = reconcile_start(&config);
}
