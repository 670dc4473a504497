/* Names of phases, commands and announcements: part of the interface, never changed. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "core/rollout.h"

static const char *const phases[] = {
    [PHASE_PENDING] = "pending",     [PHASE_PREPARING] = "preparing",	    [PHASE_PROGRESSING] = "progressing",
    [PHASE_PAUSED] = "paused",	     [PHASE_PROMOTING] = "promoting",	    [PHASE_BAKING] = "baking",
    [PHASE_SUCCEEDED] = "succeeded", [PHASE_ROLLING_BACK] = "rolling-back", [PHASE_ROLLED_BACK] = "rolled-back",
    [PHASE_FAILED] = "failed",	     [PHASE_BLOCKED] = "blocked",
};

const char *rollout_phase_name(enum rollout_phase p)
{
	require(p < array_len(phases));
	return phases[p];
}

bool rollout_phase_from_name(const char *name, enum rollout_phase *ret)
{
	for (size_t i = 0; i < array_len(phases); i++) {
		if (strcmp(phases[i], name) == 0) {
			*ret = (enum rollout_phase)i;
			return true;
		}
	}
	return false;
}

const char *rollout_command_name(enum rollout_command c)
{
	static const char *const names[] = {
	    [COMMAND_PAUSE] = "pause",	     [COMMAND_RESUME] = "resume",
	    [COMMAND_PROMOTE] = "promote",   [COMMAND_PROMOTE_FULL] = "promote --full",
	    [COMMAND_ROLLBACK] = "rollback",
	};

	require(c < array_len(names));
	return names[c];
}

const char *rollout_announce_name(enum announce_kind k)
{
	static const char *const names[] = {
	    [ANNOUNCE_PHASE] = "phase",		[ANNOUNCE_WEIGHT] = "weight",	      [ANNOUNCE_INTENT] = "intent",
	    [ANNOUNCE_VERDICT] = "verdict",	[ANNOUNCE_COMMAND] = "command",	      [ANNOUNCE_TROUBLE] = "trouble",
	    [ANNOUNCE_RECOVERED] = "recovered", [ANNOUNCE_FOREIGN] = "foreign-write", [ANNOUNCE_RELEASED] = "released",
	};

	require(k < array_len(names));
	return names[k];
}

void rollout_pause_format(uint32_t pause, char out[static 48])
{
	static const char *const names[] = {"operator", "approval", "hold-limit", "failure"};
	size_t len = 0;

	out[0] = '\0';
	for (size_t i = 0; i < array_len(names); i++) {
		if (pause & (1u << i))
			len += (size_t)snprintf(out + len, 48 - len, "%s%s", len > 0 ? "+" : "", names[i]);
	}
}
