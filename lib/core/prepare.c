/*
 * Preparing: which version is rolled out, and whether anything forbids it. Nothing but the canary's provisioned
 * concurrency is changed before all of that is answered, and asked anew until it is.
 *
 * A version that another alias has to try out first is chosen once it has soaked there; from then on the rollout keeps
 * it, whatever that alias names next.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "core/step.h"

#define PREPARE_LIMIT_MS (15 * MS_PER_MINUTE) /* SnapStart takes minutes */
#define PUBLISH_LIMIT_MS MS_PER_HOUR	      /* large images take many */
#define WAITING_MS	 MS_PER_SECOND
#define WAITING_CAP_MS	 (5 * MS_PER_SECOND)
#define SOAK_LOOK_MS	 MS_PER_MINUTE

void prepare_ask(struct turn *t)
{
	t->r->wait = WAIT_PREPARE;
	turn_effect(t, EFFECT_PREPARE)->seq = ++t->r->seq;
}

void prepare_fail(struct turn *t, const char *fmt, ...)
{
	char reason[LIMIT_REASON];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(reason, sizeof(reason), fmt, args);
	va_end(args);
	turn_end(t, PHASE_FAILED, reason);
}

/* Left-over weights are somebody's unfinished work: shown, never overwritten without an operator's word. */
static void block_on_leftovers(struct turn *t)
{
	struct rollout *r = t->r;
	const struct alias_view *alias = &t->event->prepared.alias;
	char holds[128], reason[LIMIT_REASON];

	r->stable = alias->target.version;
	r->prepared = true;
	traffic_confirm(t, alias);
	alias_view_format(alias, holds, sizeof(holds));
	(void)snprintf(reason, sizeof(reason),
		       "the alias already splits its traffic (%s): clear that and `resume`, or `rollback` to send all "
		       "to the first one",
		       holds);
	turn_announce(t, ANNOUNCE_FOREIGN, "the alias holds %s before the rollout began", holds);
	traffic_block(t, reason);
}

/* Which alarms are in ALARM already, as bits by metric. Those that only run dry are in nobody's way. */
static uint32_t alarms_in_alarm(const struct turn *t)
{
	const struct spec_analysis *a = &t->spec->analysis;
	uint32_t found = 0;

	for (size_t i = 0; i < a->n_metrics; i++) {
		const struct spec_metric *m = &a->metrics[i];

		if (m->kind == SPEC_METRIC_ALARM && !m->dry_run && t->event->prepared.alarms[i] == ALARM_ALARM)
			found |= UINT32_C(1) << i;
	}
	return found;
}

/* The first of the alarms of which the bit is set; NULL: there is none. */
static const char *first_alarm(const struct turn *t, uint32_t bits)
{
	return bits != 0 ? t->spec->analysis.metrics[__builtin_ctz(bits)].alarm : NULL;
}

/* An operator knows of these alarms, and has started it all the same. */
static void excuse_alarms(struct turn *t)
{
	uint32_t found = alarms_in_alarm(t);
	int n = __builtin_popcount(found);

	t->r->excused_alarms = found;
	if (n == 1)
		turn_announce(
		    t, ANNOUNCE_VERDICT,
		    "the alarm %.120s is in state ALARM already, which was excused: it counts once it was seen "
		    "in another state",
		    first_alarm(t, found));
	else if (n > 1)
		turn_announce(
		    t, ANNOUNCE_VERDICT,
		    "%d alarms are in state ALARM already, %.100s among them, which was excused: each counts once "
		    "it was seen in another state",
		    n, first_alarm(t, found));
}

/* Ends the rollout when something forbids it to begin. Returns whether it did. */
static bool forbidden(struct turn *t)
{
	const struct version_info *canary = &t->event->prepared.canary_info;
	const char *alarm = t->r->despite_alarms ? NULL : first_alarm(t, alarms_in_alarm(t));
	char version[24];

	version_format(t->event->prepared.canary, version);
	if (canary->state == VERSION_ABSENT)
		prepare_fail(t, "version %s does not exist: publish it, or correct `version` in the plan", version);
	else if (canary->state == VERSION_BROKEN)
		prepare_fail(t, "the new version cannot run: %.200s", canary->detail);
	else if (t->event->prepared.quarantined)
		prepare_fail(t,
			     "version %s is quarantined on this alias: the same code was rolled back before. "
			     "`rolloutctl retry` ships it again",
			     version);
	else if (t->spec->n_steps > 0 && t->event->prepared.alias.target.version == VERSION_LATEST)
		prepare_fail(t, "the alias points at $LATEST, which cannot share traffic: point it at a published "
				"version first, or use AllAtOnce");
	else if (t->spec->n_steps > 0 && !t->event->prepared.same_role)
		prepare_fail(t, "the two versions differ in execution role or dead-letter target: AWS refuses to "
				"split traffic between them");
	else if (t->spec->n_steps > 0 && t->event->prepared.alias_provisioned)
		prepare_fail(
		    t, "the alias has provisioned concurrency of its own, and AWS refuses weights on such an alias: "
		       "put it on the version instead, or use AllAtOnce");
	else if (alarm)
		prepare_fail(t,
			     "the alarm %.120s is in state ALARM already: `rolloutctl retry` once it is not, or with "
			     "--despite-alarms --reason TEXT to start all the same",
			     alarm);
	else
		return false;
	return true;
}

/* --- waiting --- */

static void wait_for(struct turn *t, const char *reason, int64_t ms)
{
	struct rollout *r = t->r;

	turn_recovered(t);
	if (r->pause == 0)
		turn_set_phase(t, PHASE_PREPARING, reason);
	r->retry_boot_ms = t->now.boot_ms + ms;
}

/* Publishing goes on: looked at after a second, and then every few. */
static void await_publishing(struct turn *t)
{
	uint32_t times = t->r->attempts;
	int64_t ms = times < 3 ? WAITING_MS << times : WAITING_CAP_MS;

	t->r->prepare_ms += ms;
	if (t->r->prepare_ms > PUBLISH_LIMIT_MS) {
		prepare_fail(t,
			     "nothing came of publishing within an hour: it %.120s. Look at the function in AWS, "
			     "then `rolloutctl retry`",
			     t->event->prepared.error);
		return;
	}
	wait_for(t, t->event->prepared.error, ms);
	t->r->attempts = times < 3 ? times + 1 : times;
}

void prepare_await(struct turn *t, const char *what, const char *detail)
{
	int64_t before = t->now.boot_ms;

	turn_retry_later(t);
	t->r->prepare_ms += t->r->retry_boot_ms - before;
	if (t->r->prepare_ms > PREPARE_LIMIT_MS)
		prepare_fail(t, "%s did not become active within 15 minutes: %.160s", what, detail);
	else
		turn_trouble(t, "%s is not active yet: %.160s", what, detail);
}

/* --- soaking --- */

/* "14:05Z", with its date when that is another one. */
static void format_until(int64_t unix_ms, int64_t now_unix_ms, char out[static 32])
{
	char at[32], now[32];
	bool today;

	text_format_utc(unix_ms, at);
	text_format_utc(now_unix_ms, now);
	today = memcmp(at, now, 10) == 0;
	(void)snprintf(out, 32, "%.*sZ", today ? 5 : 16, today ? at + 11 : at);
}

/*
 * What counts is the time that has passed, by the clock that does not jump: when the wall clock was set meanwhile, the
 * beginning moves along. After a restart of the host that cannot be told, but for a beginning that lies in the future.
 */
static void follow_clock(struct turn *t)
{
	struct rollout *r = t->r;
	int64_t boot_ms = t->now.boot_ms - r->soak_seen_boot_ms;

	if (r->soak_seen_boot_ms != 0 && boot_ms >= 0)
		r->soak_from_unix_ms += t->now.unix_ms - r->soak_seen_unix_ms - boot_ms;
	if (r->soak_from_unix_ms > t->now.unix_ms)
		r->soak_from_unix_ms = t->now.unix_ms;
}

static void note_source(struct turn *t)
{
	struct rollout *r = t->r;
	uint64_t version = t->event->prepared.canary;
	int64_t known = t->event->prepared.source_since_unix_ms;

	if (version == r->soak_version) {
		follow_clock(t);
	} else {
		r->soak_version = version;
		r->soak_from_unix_ms = known > 0 && known < t->now.unix_ms ? known : t->now.unix_ms;
	}
	r->soak_seen_unix_ms = t->now.unix_ms;
	r->soak_seen_boot_ms = t->now.boot_ms;
}

/* The version has to be on the source alias for longer, or is not known yet. Says so, and when to look again. */
static bool still_soaks(struct turn *t)
{
	struct rollout *r = t->r;
	int64_t soak = t->spec->soak_ms, every = soak < SOAK_LOOK_MS ? soak : SOAK_LOOK_MS, left;
	char span[32], until[32], reason[LIMIT_REASON];

	note_source(t);
	if (r->soak_version == 0) {
		wait_for(t, t->event->prepared.error, every > WAITING_CAP_MS ? every : WAITING_CAP_MS);
		return true;
	}
	left = r->soak_from_unix_ms + soak - t->now.unix_ms;
	if (left <= 0) {
		/* Nothing else was read as long as it soaked. */
		if (t->event->prepared.waiting)
			wait_for(t, "", 1);
		return t->event->prepared.waiting;
	}
	text_format_duration(soak, span);
	format_until(t->now.unix_ms + left, t->now.unix_ms, until);
	(void)snprintf(reason, sizeof(reason), "waits until version %" PRIu64 " has been on %.128s for %s (until %s)",
		       r->soak_version, t->event->prepared.source, span, until);
	wait_for(t, reason, left < every ? left : every);
	return true;
}

/* --- the answer --- */

static void begin_forward(struct turn *t)
{
	struct rollout *r = t->r;

	r->stable = t->event->prepared.alias.target.version;
	(void)text_copy(r->stable_hash, sizeof(r->stable_hash), t->event->prepared.stable_info.hash);
	r->stable_since_unix_ms = t->event->prepared.stable_since_unix_ms;
	traffic_confirm(t, &t->event->prepared.alias);
	r->prepared = true;
	if (r->despite_alarms)
		excuse_alarms(t);
	r->step = r->full ? (uint32_t)t->spec->n_steps : 0;
	turn_recovered(t);
	turn_set_phase(t, turn_forward_phase(t), r->pause ? r->reason : "");
}

/* AWS is still moving the alias's own provisioned concurrency for whoever changed it last. */
static bool alias_moves(const struct turn *t)
{
	const struct alias_view *alias = &t->event->prepared.alias;

	return t->event->prepared.alias_provisioned && !alias->odd && alias->target.weight_bp == WEIGHT_BP_MAX;
}

static void prepare_read(struct turn *t)
{
	const struct alias_view *alias = &t->event->prepared.alias;

	if (t->event->prepared.from_alias && t->r->canary == 0 && still_soaks(t))
		return;
	if (t->event->prepared.waiting) {
		await_publishing(t);
		return;
	}
	if (traffic_is_old_view(t, alias))
		return;
	if (t->r->canary == 0)
		t->r->prepare_ms = 0; /* the time that publishing took does not count against what comes now */
	t->r->canary = t->event->prepared.canary;
	(void)text_copy(t->r->canary_hash, sizeof(t->r->canary_hash), t->event->prepared.canary_info.hash);
	if (alias_moves(t)) {
		prepare_await(t, "the alias's provisioned concurrency", "AWS is still moving it to another version");
	} else if (alias->odd || alias->target.weight_bp > 0) {
		block_on_leftovers(t);
	} else if (alias->target.version == t->event->prepared.canary) {
		t->r->stable = alias->target.version;
		traffic_confirm(t, alias);
		t->r->prepared = true;
		turn_end(t, PHASE_SUCCEEDED, "the alias points at this version already; nothing was changed");
	} else if (!forbidden(t)) {
		if (t->event->prepared.canary_info.state == VERSION_PENDING)
			prepare_await(t, "the new version", t->event->prepared.canary_info.detail);
		else if (concurrency_ready(t))
			begin_forward(t);
	}
}

void prepare_answered(struct turn *t)
{
	const char *error = t->event->prepared.error;

	switch (t->event->prepared.outcome) {
	case CALL_OK:
		prepare_read(t);
		break;
	case CALL_NOT_FOUND:
	case CALL_REFUSED:
	case CALL_CONFLICT:
		prepare_fail(t, "%.250s", error);
		break;
	case CALL_UNAVAILABLE:
	case CALL_UNKNOWN:
		turn_trouble(t, "%.250s", error);
		turn_retry_later(t);
		break;
	}
}
