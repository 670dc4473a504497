/* Plans as files: reading one, and handing it to the daemon. */
#pragma once

#include "cli.h"
#include "control/api.h"
#include "plan/plan.h"

/* Posts the file ("-": standard input) to that route. Returns EXIT_DONE with *ret_json, the caller's to decref; or it
 * said what is wrong, the plan's own errors included, and returns the exit code. */
must_use int plans_post(struct cli *cli, const char *file, enum control_route route, json_t **ret_json);

/* Reads and checks the file ("-": standard input), with its errors on stderr, and its warnings where they are wanted.
 * Returns EXIT_DONE with *ret_plan, the caller's to plan_free; or the exit code. */
must_use int plans_load(struct cli *cli, const char *file, bool warnings, struct plan **ret_plan);
