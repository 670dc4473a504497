/*
 * An alarm that is in ALARM fails at once; everything else is believed only when it was read after the bake settled.
 * One that was in ALARM before the start, which an operator has excused, counts as OK until it was seen to have left
 * it.
 */
#include <stdio.h>

#include "base/text.h"
#include "core/judge.h"

bool judge_alarm(const struct judge *j, size_t index, struct metric_result *ret)
{
	static const struct {
		enum verdict_gap gap;
		const char *text;
	} states[] = {
	    [ALARM_UNKNOWN] = {VERDICT_GAP_UNREADABLE, "could not be read"},
	    [ALARM_OK] = {VERDICT_GAP_NONE, "is OK"},
	    [ALARM_INSUFFICIENT] = {VERDICT_GAP_NO_DATA, "has INSUFFICIENT_DATA"},
	    [ALARM_ALARM] = {VERDICT_GAP_NONE, "is in state ALARM"},
	    [ALARM_MISSING] = {VERDICT_GAP_UNREADABLE, "does not exist"},
	};
	const struct verdict_question *q = j->q;
	const char *name = q->analysis->metrics[index].alarm;
	enum alarm_state state = q->alarms[index];
	bool excused = (q->excused_alarms >> index & 1) != 0;
	int64_t settled = verdict_settled_at(q->step_until_unix_ms, q->analysis);
	enum verdict_gap gap = states[state].gap;
	char why[LIMIT_REASON], time[32];

	(void)snprintf(ret->why, sizeof(ret->why), "the alarm %.160s %s", name, states[state].text);
	if (state == ALARM_ALARM) {
		if (!excused)
			return true;
		(void)snprintf(ret->why, sizeof(ret->why),
			       "the alarm %.140s is in state ALARM since before the start, which was excused", name);
	}
	(void)text_copy(why, sizeof(why), ret->why);
	if (q->now_unix_ms < settled) {
		judge_format_time(settled, time);
		(void)snprintf(why, sizeof(why),
			       "the alarm %.140s is judged at %s, after this weight's bake has settled", name, time);
		gap = VERDICT_GAP_NOT_SETTLED;
	} else if (q->alarms_read_unix_ms < settled) {
		gap = VERDICT_GAP_UNREADABLE;
	}
	judge_gap(ret, gap, why);
	return false;
}
