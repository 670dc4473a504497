/* Plans as files: reading one, and handing it to the daemon. */
#pragma once

#include "cli.h"
#include "control/api.h"
#include "plan/plan.h"

/* Posts the file ("-": standard input) to that route. Returns EXIT_DONE with *ret_json, the caller's to decref; or it
 * said what is wrong, the plan's own errors included, and returns the exit code. */
/* Reads and loads the file, which must be a Rollout's. Returns EXIT_DONE with the plan, which the caller frees; or it
 * said what is wrong, and returns the exit code. */
must_use int plans_load_rollout(struct cli *cli, const char *file, struct plan **ret);
must_use int plans_post(struct cli *cli, const char *file, enum control_route route, json_t **ret_json);
