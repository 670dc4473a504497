/* The checker's rules about what forbids a rollout to go on: hooks that say no, and the quarantine. */
#include "tests/sim/checker_inner.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* --- hooks --- */

/* The text behind a key of the hook's input, which has no spaces; NULL: it has none such. */
static const char *value_of(const char *input, const char *key)
{
	const char *found = strstr(input, key);

	return found ? found + strlen(key) : NULL;
}

size_t checker_hook_starts(struct checker *c, const char *input, bool *ret_pre)
{
	const char *name = value_of(input, "\"rollout\":\""), *attempt = value_of(input, "\"attempt\":");

	*ret_pre = value_of(input, "\"hook\":\"pre_traffic\"") != NULL;
	for (size_t i = 0; name && attempt && i < c->n_rollouts; i++) {
		const struct checked_rollout *r = &c->rollouts[i];

		if (text_starts_with(name, script_names[r->name]) && strtoull(attempt, NULL, 10) == r->attempt)
			return i;
	}
	checker_fail(c, VIOLATION_WEIGHT, "a hook runs for nothing that was started: %.200s", input);
	return CHECKER_ROLLOUTS;
}

void checker_hook_ended(struct checker *c, size_t rollout, bool pre, const struct exec_result *result)
{
	struct checked_rollout *r = rollout < CHECKER_ROLLOUTS ? &c->rollouts[rollout] : NULL;
	bool no = result->started && !result->timed_out && result->status == 1;

	if (!r)
		return;
	if (result->started && !result->timed_out && result->status == 0)
		*(pre ? &r->pre_agreed : &r->post_agreed) = true;
	/* It may be asked again after a crash that made the daemon forget the answer, and think better of it. */
	if (no && (pre || !r->plan->failure_pauses))
		checker_must_go_home(c, r, false, pre ? "its hook said no before" : "its hook said no at the end");
	if (no && !pre)
		r->failed = true;
}

void checker_hooks_agreed(struct checker *c, const struct checked_rollout *r, bool end)
{
	if (r->plan->pre_hook && !r->pre_agreed)
		checker_fail(c, VIOLATION_WEIGHT, "%s#%llu moves traffic, and its hook has not agreed",
			     script_names[r->name], (unsigned long long)r->attempt);
	if (end && r->plan->post_hook && !r->post_agreed && !r->by_hand)
		checker_fail(c, VIOLATION_EVIDENCE, "%s#%llu succeeds, and its last hook has not agreed",
			     script_names[r->name], (unsigned long long)r->attempt);
}

/* --- quarantine --- */

/* By a newer attempt of its name, whether the daemon could say so or not. */
static bool is_superseded(const struct checker *c, const struct checked_rollout *r)
{
	for (size_t i = 0; i < c->n_rollouts; i++) {
		if (c->rollouts[i].name == r->name && c->rollouts[i].attempt > r->attempt)
			return true;
	}
	return false;
}

void checker_quarantine(struct checker *c, const struct checked_rollout *r)
{
	/* Only what failed, or was given up by an operator, once it had traffic; not what a newer plan replaced. */
	if (r->failed && r->home_durable && !is_superseded(c, r) && r->first_unix_ms != 0)
		c->quarantined[r->plan->alias][r->plan->version] = true;
}

void checker_lift_quarantine(struct checker *c, const struct checked_rollout *r)
{
	c->quarantined[r->plan->alias][r->plan->version] = false;
}

void checker_not_quarantined(struct checker *c, const struct checked_rollout *r)
{
	if (r->sends == 0 && c->quarantined[r->plan->alias][r->plan->version])
		checker_fail(c, VIOLATION_HOME,
			     "%s#%llu gives traffic to version %u, which was rolled back, and nobody said that it may",
			     script_names[r->name], (unsigned long long)r->attempt, r->plan->version);
}
